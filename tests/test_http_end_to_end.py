#!/usr/bin/python3
"""leat from end to end: the command against nginx, and against a server that misbehaves. LEAT: path of the command.

128 photographs in 16 shards of 8, as .tar, .tar.zst, .tar.gz and loose: what comes from disk is what must come over HTTP, whatever
happens on the way. LEAT_SLOW_TESTS=1: memory with a shard of 1 GB too."""
import glob
import gzip
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest
import zlib

from PIL import Image

import servers

HERE = os.path.dirname(os.path.abspath(__file__))
LEAT = os.path.abspath(os.environ.get('LEAT', 'build/cli/leat'))
PHOTOS = sorted(glob.glob(os.path.join(HERE, '../examples/data/photos/*/*.jpg')))
SLOW = os.environ.get('LEAT_SLOW_TESTS') == '1'
MIB = 1 << 20

SHARDS, EACH = 16, 8
BRACES = '{000000..000015}'
SMALL = ('--image', '48', '--batch', '16')
RESIDENT_OVER_LIMIT = 64 * MIB  # the program, its libraries and what decoders hold

world = None


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data)


def member(name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info, io.BytesIO(data)


def make_tar(path, samples):
    with tarfile.open(path, 'w', format=tarfile.USTAR_FORMAT) as tar:
        for key, photo, label in samples:
            tar.addfile(*member(key + '.cls', b'%d' % label))
            tar.addfile(*member(key + '.jpg', photo))


class World:
    """The data in a folder, and the servers of it."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='leat-end-to-end-', dir='/var/tmp')
        for name in ('root', 'root/loose', 'nginx'):
            os.mkdir(self.path(name))
        self.make_shards()
        self.nginx = servers.Nginx(self.path('root'), self.path('nginx'))
        self.chaos = servers.Chaos(self.path('root'))

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def root(self, name):
        return self.path('root', name)

    def make_shards(self):
        photos = [read(path) for path in PHOTOS]
        for shard in range(SHARDS):
            numbers = range(shard * EACH, (shard + 1) * EACH)
            path = self.root(f'train-{shard:06}.tar')
            make_tar(path, [(f'{n:04}', photos[n % len(photos)], n % 10) for n in numbers])
            write(path + '.gz', gzip.compress(read(path), 1))
            for n in numbers:
                write(self.root(f'loose/photo-{n:03}.jpg'), photos[n % len(photos)])
        subprocess.run(['zstd', '-q', '-1', *sorted(glob.glob(self.root('*.tar')))], check=True, timeout=30)

    def close(self):
        self.nginx.stop()
        self.chaos.stop()
        shutil.rmtree(self.folder)


def setUpModule():
    global world
    world = World()


def tearDownModule():
    world.close()


def leat(*arguments, timeout=60, **more):
    more = {'capture_output': True, 'text': True, **more}
    return subprocess.run([LEAT, *arguments], timeout=timeout, check=False, **more)


def start(*arguments, **more):
    return subprocess.Popen([LEAT, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='case-', dir=world.folder)
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def bench(self, source, *arguments, codes=(0,), size=SMALL, timeout=60):
        """The JSON object of a run."""
        result = leat('bench', source, *size, '--hash', '--json', *arguments, timeout=timeout)
        self.assertIn(result.returncode, codes, result.stderr)
        report = json.loads(result.stdout)
        report['stderr'] = result.stderr
        return report

    def clean(self, *arguments):
        """The hash of the undisturbed run from disk."""
        key = arguments
        if key not in CLEAN:
            report = self.bench(world.root(f'train-{BRACES}.tar'), *arguments)
            self.assertEqual((report['samples'], report['errors']), (SHARDS * EACH, 0))
            CLEAN[key] = report['sha256']
        return CLEAN[key]

    def same(self, source, *arguments):
        """The run brings what the clean run brings. Returns its report."""
        report = self.bench(source, *arguments)
        self.assertEqual((report['samples'], report['errors'], report['failures']), (SHARDS * EACH, 0, []), report['stderr'])
        self.assertEqual(report['sha256'], self.clean())
        return report


CLEAN = {}


class Nginx(Case):
    """The same batches from disk and over HTTP."""

    def test_every_container_has_the_same_hash_from_disk_and_from_nginx(self):
        for suffix in ('.tar', '.tar.zst', '.tar.gz'):
            name = f'train-{BRACES}{suffix}'
            for source in (world.root(name), world.nginx.url(name), world.nginx.url(name, tls=True)):
                with self.subTest(source=source):
                    report = self.same(source, '--ca', world.nginx.ca)
                    files = sum(os.path.getsize(path) for path in glob.glob(world.root('train-*' + suffix)))
                    self.assertEqual(report['bytes_read'], files)

    def test_threads_do_not_change_it(self):
        for threads in ('1', '2', '4'):
            with self.subTest(threads=threads):
                self.same(world.nginx.url(f'train-{BRACES}.tar'), '--threads', threads)

    def test_connections_do_not_change_it(self):
        for connections in (1, 4, 64):
            with self.subTest(connections=connections):
                world.nginx.log()
                self.same(world.nginx.url(f'train-{BRACES}.tar'), '--connections', str(connections))
                used = {connection for connection, *_ in world.nginx.log()}
                self.assertLessEqual(len(used), max(connections, SHARDS))

    def test_one_connection_carries_one_lane_after_another(self):
        for lanes in ('1', '2', '16'):
            with self.subTest(lanes=lanes):
                local = self.bench(world.root(f'train-{BRACES}.tar'), '--lanes', lanes)
                report = self.bench(world.nginx.url(f'train-{BRACES}.tar'), '--lanes', lanes, '--connections', '1')
                self.assertEqual((report['samples'], report['sha256']), (SHARDS * EACH, local['sha256']))

    def test_augmentation_and_epochs(self):
        arguments = ('--crop', 'random-resized', '--flip', '--dtype', 'f32', '--epochs', '3', '--seed', '7')
        local = self.bench(world.root(f'train-{BRACES}.tar'), *arguments)
        remote = self.bench(world.nginx.url(f'train-{BRACES}.tar.zst'), *arguments, '--threads', '4')
        self.assertEqual(local['sha256'], remote['sha256'])
        self.assertEqual([epoch['samples'] for epoch in remote['epochs']], [SHARDS * EACH] * 3)
        self.assertNotEqual(local['sha256'], self.bench(world.root(f'train-{BRACES}.tar'), *arguments[:-1], '8')['sha256'])

    def test_lists_of_urls_and_of_paths(self):
        names = [f'train-{n:06}.tar' for n in range(SHARDS)]
        for where in (world.root, world.nginx.url):
            text = ''.join(where(name) + '\n' for name in names)
            write(self.path('list'), text.encode())
            self.same('@' + self.path('list'))
            piped = leat('bench', '@-', *SMALL, '--hash', '--json', input=text)
            self.assertEqual(piped.returncode, 0, piped.stderr)
            self.assertEqual(json.loads(piped.stdout)['sha256'], self.clean())

    def test_shards_and_loose_files_in_one_list(self):
        for where in (world.root, world.nginx.url):
            write(self.path('list'), (where('train-000000.tar') + '\n' + where('loose/photo-100.jpg') + '\n').encode())
            self.assertEqual(self.bench('@' + self.path('list'))['samples'], EACH + 1)

    def test_loose_files(self):
        reports = [self.bench(where('loose/photo-{000..127}.jpg')) for where in (world.root, world.nginx.url)]
        self.assertEqual([report['samples'] for report in reports], [SHARDS * EACH] * 2)
        self.assertEqual(reports[0]['sha256'], reports[1]['sha256'])
        self.assertNotEqual(reports[0]['sha256'], self.bench(world.root('loose/photo-{000..127}.jpg'), '--seed', '1')['sha256'])
        write(self.path('list'), ''.join(world.nginx.url(f'loose/photo-{n:03}.jpg') + '\n' for n in range(128)).encode())
        for connections in ('1', '4', '64'):
            with self.subTest(connections=connections):
                report = self.bench('@' + self.path('list'), '--connections', connections)
                self.assertEqual(report['sha256'], reports[0]['sha256'])

    def test_keep_alive(self):
        world.nginx.log()
        self.bench(world.nginx.url('loose/photo-{000..127}.jpg'), '--connections', '2')
        requests = world.nginx.log()
        self.assertEqual(len(requests), SHARDS * EACH)
        self.assertLessEqual(len({connection for connection, *_ in requests}), 2)

    def test_a_limit_ends_the_reading(self):
        report = self.bench(world.nginx.url(f'train-{BRACES}.tar'), '--lanes', '1', '--shuffle-window', '1', '--limit', '16')
        self.assertEqual((report['samples'], report['batches'], report['errors']), (16, 1, 0))
        local = self.bench(world.root(f'train-{BRACES}.tar'), '--lanes', '1', '--shuffle-window', '1', '--limit', '16')
        self.assertEqual(report['sha256'], local['sha256'])

    def test_a_ca_that_did_not_sign_it(self):
        wrong = servers.make_authority(self.folder, 'wrong')
        for arguments in (('--ca', wrong), ()):
            with self.subTest(arguments=arguments):
                begin = time.monotonic()
                result = leat('bench', world.nginx.url('train-000000.tar', tls=True), *arguments)
                self.assertLess(time.monotonic() - begin, 2)
                self.assertNotEqual(result.returncode, 0)
                self.assertRegex(result.stderr, 'https://127.0.0.1:.*train-000000.tar.*(certificate|issuer)')

    def test_ca_files_that_are_none(self):
        write(self.path('not.pem'), b'hello\n')
        for ca in (self.path('gone.pem'), self.path('not.pem'), self.folder):
            with self.subTest(ca=ca):
                begin = time.monotonic()
                result = leat('bench', world.nginx.url('train-000000.tar', tls=True), '--ca', ca)
                self.assertLess(time.monotonic() - begin, 2)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(ca, result.stderr)

    def test_ls_lists_the_same_over_http(self):
        for source, what in ((f'train-{BRACES}.tar', ()), (f'train-{BRACES}.tar.zst', ('--json',)), ('train-000003.tar', ())):
            local, remote = leat('ls', world.root(source), *what), leat('ls', world.nginx.url(source), *what)
            self.assertEqual((local.returncode, remote.returncode), (0, 0), remote.stderr)
            self.assertIn('0024' if '3.tar' in source else '0127', local.stdout)
            there, here = world.nginx.url(''), world.root('')
            self.assertEqual(remote.stdout.replace(there, here), local.stdout)

    def test_show_draws_the_same_sheet_over_http(self):
        sheets = []
        for where in (world.root, world.nginx.url):
            result = leat('show', where(f'train-{BRACES}.tar'), '-o', self.path('sheet.png'), '--image', '64')
            self.assertEqual(result.returncode, 0, result.stderr)
            with Image.open(self.path('sheet.png')) as sheet:
                sheets.append(sheet.convert('RGB').crop((0, 26, *sheet.size)))  # without the line that names the source
        self.assertEqual(sheets[0].size, sheets[1].size)
        self.assertEqual(sheets[0].tobytes(), sheets[1].tobytes())
        self.assertGreater(len(set(sheets[0].tobytes())), 200)

    def test_a_big_shard_streams(self):
        """The first samples are there while the end is not yet on the wire: nginx sends 64 KiB a second."""
        size = os.path.getsize(world.root('train-000000.tar'))
        report = self.bench(world.nginx.url('slow/train-{000000..000007}.tar'), '--lanes', '1', '--shuffle-window', '1',
                            '--connections', '1', '--limit', '2', size=('--image', '48', '--batch', '1'))
        self.assertEqual(report['samples'], 2)
        self.assertLess(report['first_batch_seconds'], 0.5 * size / 65536)
        self.assertLess(report['seconds'], 1.5)


class Failures(Case):
    """4 of 16 shards are bad: they are named, the rest is delivered."""

    @classmethod
    def setUpClass(cls):
        cls.folder_name = tempfile.mkdtemp(prefix='bad-', dir=world.root(''))
        cls.expected = 12 * EACH
        for n in range(SHARDS):
            name = f'train-{n:06}.tar'
            data = bytearray(read(world.root(name)))
            with tarfile.open(world.root(name)) as tar:
                offsets = [entry.offset for entry in tar]  # 2 entries a sample
            if n == 3:
                data = data[:offsets[2 * 5 + 1] + 1500]  # in the sixth sample's photograph
                cls.expected += 5
            elif n == 6:
                data = random.Random(1).randbytes(200000)
            elif n == 9:
                continue
            elif n == 12:
                data[offsets[2 * 3]:offsets[2 * 3] + 100] = b'\xff' * 100  # the fourth sample's first header
                cls.expected += 2  # nor the third sample: nobody knows whether it had another field
                cls.broken_offset = offsets[2 * 3]
            write(os.path.join(cls.folder_name, name), data)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder_name)

    def sources(self):
        bad = os.path.basename(self.folder_name)
        return (os.path.join(self.folder_name, f'train-{BRACES}.tar'), world.nginx.url(f'{bad}/train-{BRACES}.tar'))

    def test_they_are_named_and_the_rest_is_delivered(self):
        hashes = set()
        for source in self.sources():
            for threads in ('1', '3'):
                with self.subTest(source=source, threads=threads):
                    report = self.bench(source, '--threads', threads)
                    self.check_failures(report)
                    hashes.add(report['sha256'])
        self.assertEqual(len(hashes), 1)

    def check_failures(self, report):
        self.assertEqual((report['errors'], report['samples']), (4, self.expected))
        failures = {re.search(r'train-0000(\d\d)\.tar', failure['shard'])[1]: failure for failure in report['failures']}
        self.assertEqual(sorted(failures), ['03', '06', '09', '12'])
        for number, words in (('03', 'truncated|ends|cut'), ('06', 'tar|header|neither'), ('09', '404|No such file|not found'),
                              ('12', 'header|checksum')):
            failure = failures[number]
            self.assertRegex(failure['message'], f'train-0000{number}.tar.*({words})')
            self.assertIn(failure['message'], report['stderr'])
            self.assertTrue(failure['stage'] and failure['code'], failure)
        self.assertEqual(failures['12']['offset'], self.broken_offset)
        self.assertEqual(failures['06']['offset'], 0)
        self.assertRegex(failures['12']['message'], rf'\b{self.broken_offset}\b')
        self.assertGreater(failures['03']['offset'], 0)

    def test_stop_ends_the_run(self):
        for source in self.sources():
            with self.subTest(source=source):
                report = self.bench(source, '--on-error', 'stop', codes=(1, 4))
                self.assertLess(report['samples'], self.expected)
                self.assertRegex(report['error'], r'train-0000(03|06|09|12)\.tar')

    def test_max_errors(self):
        for source in self.sources():
            with self.subTest(source=source):
                self.bench(source, '--max-errors', '4')
                report = self.bench(source, '--max-errors', '3', codes=(1,))
                self.assertRegex(report['error'], r'train-0000(03|06|09|12)\.tar')
                self.assertIn('3', report['error'])
                report = self.bench(source, '--max-errors', '0', codes=(1, 4))
                self.assertEqual(report['errors'], 1)

    def test_failed_samples_are_substituted(self):
        """Photographs that cannot be decoded, in good shards: batches stay full."""
        photos = [read(path) for path in PHOTOS]
        folder = tempfile.mkdtemp(dir=world.root(''))
        self.addCleanup(shutil.rmtree, folder)
        for n in range(2):
            samples = [(f'{n}-{i:02}', photos[i][:len(photos[i]) // 3] if i % 4 == 1 else photos[i], i) for i in range(16)]
            make_tar(os.path.join(folder, f'x-{n}.tar'), samples)
        hashes = set()
        for source in (os.path.join(folder, 'x-{0..1}.tar'), world.nginx.url(os.path.basename(folder) + '/x-{0..1}.tar')):
            full = self.bench(source, '--on-error', 'substitute')
            self.assertEqual((full['samples'], full['batches'], full['errors'], full['substituted']), (24, 2, 8, 8))
            skipped = self.bench(source)
            self.assertEqual((skipped['samples'], skipped['batches'], skipped['errors'], skipped['substituted']), (24, 2, 8, 0))
            for failure in skipped['failures']:
                self.assertRegex(failure['key'], r'^\d-\d\d$')
                self.assertRegex(failure['message'], r'x-\d\.tar.*\d-\d\d.*JPEG')
                self.assertGreaterEqual(failure['offset'], 0)
            hashes.add((full['sha256'], skipped['sha256']))
        self.assertEqual(len(hashes), 1)

    def test_lost_shards_do_not_hurt_substitutes(self):
        for source in self.sources():
            report = self.bench(source, '--on-error', 'substitute')
            self.assertEqual((report['errors'], report['samples'], report['substituted']), (4, self.expected, 0))

    def test_compressed_shards_that_are_damaged(self):
        """Each kind of damage in one shard of 16: one error, and whole samples before it or none."""
        for suffix in ('.tar.zst', '.tar.gz'):
            data = read(world.root('train-000005' + suffix))
            flipped = bytearray(data)
            flipped[len(data) // 2] ^= 0x55
            for name, damaged in (('truncated', data[:len(data) // 2]), ('flipped', bytes(flipped)), ('empty', b''),
                                  ('magic only', data[:3])):
                with self.subTest(suffix=suffix, name=name):
                    write(self.path('bad' + suffix), damaged)
                    lines = [world.root(f'train-{n:06}{suffix}') for n in range(SHARDS) if n != 5] + [self.path('bad' + suffix)]
                    write(self.path('list'), '\n'.join(lines).encode())
                    report = self.bench('@' + self.path('list'))
                    self.assertGreaterEqual(report['errors'], 1)
                    self.assertGreaterEqual(report['samples'], 15 * EACH)
                    self.assertLess(report['samples'], 16 * EACH)
                    self.assertIn('bad' + suffix, report['failures'][0]['message'])

    def test_nothing_at_all_is_no_success(self):
        report = self.bench(world.nginx.url('gone-{0..3}.tar'), codes=(4,))
        self.assertEqual((report['samples'], report['errors']), (0, 4))
        result = leat('bench', world.path('gone-{0..3}.tar'))
        self.assertEqual(result.returncode, 4)
        self.assertIn('gone-0.tar', result.stderr)


class Chaos(Case):
    """What a bad network does is not seen in the batches."""

    def setUp(self):
        super().setUp()
        world.chaos.ask('/__forget')

    def test_faults_in_mid_body(self):
        for behaviour in ('reset', 'cut'):
            with self.subTest(behaviour=behaviour):
                report = self.same(world.chaos.url(behaviour, f'train-{BRACES}.tar', at=70000, times=2))
                self.assertGreaterEqual(report['retries'], SHARDS)
        self.same(world.chaos.url('close_idle', f'train-{BRACES}.tar'))

    def test_faults_before_the_body(self):
        for at in (0, -1, -2):
            with self.subTest(at=at):
                world.chaos.ask('/__forget')
                self.same(world.chaos.url('reset', f'train-{BRACES}.tar', at=at, times=1))

    def test_compressed_shards_resume_too(self):
        for suffix in ('.tar.zst', '.tar.gz'):
            with self.subTest(suffix=suffix):
                world.chaos.ask('/__forget')
                self.same(world.chaos.url('reset', f'train-{BRACES}{suffix}', at=70000, times=1))

    def test_errors_of_the_server(self):
        for code, more in ((500, {}), (503, {}), (429, {'retry_after': 1}), (503, {'retry_after': 'past'})):
            with self.subTest(code=code, more=more):
                world.chaos.ask('/__forget')
                begin = time.monotonic()
                self.same(world.chaos.url('status', f'train-{BRACES}.tar', code=code, times=1, **more))
                if more.get('retry_after') == 1:
                    self.assertGreaterEqual(time.monotonic() - begin, 1)

    def test_a_server_that_is_asked_too_much(self):
        """429 while more than two requests of a file run."""
        write(self.path('list'), (world.chaos.url('throttle', 'train-000001.tar', most=2) + '\n').encode() * 8)
        report = self.bench('@' + self.path('list'), '--connections', '8')
        self.assertEqual((report['samples'], report['errors']), (8 * EACH, 0), report['stderr'])

    def test_faults_in_every_epoch(self):
        source = world.chaos.url('reset', f'train-{BRACES}.tar', at=70000, times=3)
        arguments = ('--epochs', '3', '--threads', '3', '--connections', '5')
        report = self.bench(source, *arguments)
        self.assertEqual((report['samples'], report['errors']), (3 * SHARDS * EACH, 0), report['stderr'])
        self.assertEqual(report['sha256'], self.bench(world.root(f'train-{BRACES}.tar'), '--epochs', '3')['sha256'])

    def test_a_stall_is_cut_and_tried_again(self):
        world.chaos.ask('/__forget')
        self.same(world.chaos.url('stall', f'train-{BRACES}.tar', at=50000, times=1), '--timeout', '1')

    def test_framings(self):
        for frame in ('chunked', 'close'):
            with self.subTest(frame=frame):
                self.same(world.chaos.url('ok', f'train-{BRACES}.tar', frame=frame))

    def test_redirects(self):
        for code in (301, 302, 303, 307, 308):
            with self.subTest(code=code):
                target = world.nginx.url('train-000002.tar')
                report = self.bench(world.chaos.url('redirect', 'train-000002.tar', code=code, to=target))
                self.assertEqual(report['sha256'], self.bench(world.root('train-000002.tar'))['sha256'])
        report = self.bench(world.chaos.url('redirect', 'train-000002.tar', to='file:///etc/passwd'), codes=(1,))
        self.assertRegex(report['stderr'], 'redirect|file:')
        self.bench(world.chaos.url('redirect', 'train-000002.tar', to='self'), codes=(1,))

    def test_a_server_that_never_recovers(self):
        world.chaos.ask('/__forget')
        report = self.bench(world.chaos.url('status', 'train-000000.tar', code=403), codes=(4,))
        self.assertRegex(report['failures'][0]['message'], '403')
        self.assertEqual(world.chaos.ask('/__count?path=/status/train-000000.tar'), '1')

    def test_garbage_instead_of_http(self):
        begin = time.monotonic()
        self.bench(world.chaos.url('garbage', 'train-000000.tar'), codes=(1,), timeout=30)
        self.assertLess(time.monotonic() - begin, 25)


class Stopping(Case):
    """Ctrl-C in each phase: the command ends within a second or so, by 130."""

    def interrupt(self, process, within=1.5, number=signal.SIGINT):
        begin = time.monotonic()
        process.send_signal(number)
        try:
            out, err = process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.fail('did not end')
        self.assertLess(time.monotonic() - begin, within, err)
        self.assertEqual(process.returncode, 128 + number, err)
        return out, err

    def test_a_server_that_never_answers(self):
        for command in (('bench', '--json'), ('ls',), ('show', '-o', self.path('sheet.png')), ('pack', '--to', self.path('shards'))):
            for at in (-1, 0, 50000):
                with self.subTest(command=command, at=at):
                    world.chaos.ask('/__forget')
                    process = start(*command, world.chaos.url('stall', f'train-{BRACES}.tar', at=at))
                    self.wait_for_request('/stall/train-000000.tar')
                    out, _ = self.interrupt(process)
                    if command[0] == 'bench':
                        self.assertTrue(json.loads(out)['interrupted'])

    def wait_for_request(self, path):
        for _ in range(200):
            if world.chaos.ask('/__count?path=' + path) != '0':
                return
            time.sleep(0.02)
        self.fail('no request came')

    def test_a_port_that_takes_no_connection(self):
        """The listener's queue is full: connecting hangs."""
        with socket.create_server(('127.0.0.1', 0), backlog=0) as listener:
            port = listener.getsockname()[1]
            fill = []
            for _ in range(4):
                sock = socket.socket()
                sock.setblocking(False)
                sock.connect_ex(('127.0.0.1', port))
                fill.append(sock)
            process = start('bench', f'http://127.0.0.1:{port}/x.tar')
            time.sleep(0.3)
            self.interrupt(process)
            for sock in fill:
                sock.close()

    def test_while_retries_wait(self):
        world.chaos.ask('/__forget')
        process = start('bench', '--json', world.chaos.url('status', 'train-000000.tar', code=503, retry_after=60))
        self.wait_for_request('/status/train-000000.tar')
        time.sleep(0.1)
        self.interrupt(process)

    def test_a_consumer_that_sleeps_with_everything_full(self):
        process = start('bench', world.nginx.url(f'train-{BRACES}.tar'), *SMALL, '--json', '--consumer-delay', '60000')
        time.sleep(0.5)
        out, _ = self.interrupt(process)
        self.assertEqual(json.loads(out)['batches'], 1)

    def test_while_the_list_is_read_from_stdin(self):
        process = start('bench', '@-', stdin=subprocess.PIPE)
        time.sleep(0.3)
        self.interrupt(process)

    def test_in_the_ideal_loop(self):
        process = start('bench', world.root('train-000000.tar'), *SMALL, '--json', '--ideal')
        time.sleep(1)
        self.interrupt(process, within=4)

    def test_a_second_signal_is_not_needed_nor_harmful(self):
        process = start('bench', world.chaos.url('stall', 'train-000000.tar', at=0))
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=5)
        self.assertIn(process.returncode, (128 + signal.SIGINT, -signal.SIGINT))

    def test_terminated(self):
        process = start('bench', world.nginx.url(f'slow/train-{BRACES}.tar'), *SMALL, '--lanes', '1', '--connections', '1')
        time.sleep(0.3)
        self.interrupt(process, number=signal.SIGTERM)


class Memory(Case):
    """A slow consumer: what is resident stays under the limit and what a program of this kind has anyway; bytes are the same."""

    @classmethod
    def setUpClass(cls):
        photos = [read(path) for path in PHOTOS]
        cls.big = tempfile.mkdtemp(prefix='big-', dir=world.root(''))
        cls.make_big('big.tar', photos, (1 << 30) if SLOW else 150 * MIB)
        subprocess.run(['zstd', '-q', '-1', '-T2', os.path.join(cls.big, 'big.tar')], check=True, timeout=120)
        cls.batches = 12

    @classmethod
    def make_big(cls, name, photos, size):
        """`size` bytes of samples; every 500th has a photograph of 2 MB (bytes after its end)."""
        padded = photos[0] + bytes(2 * MIB)
        with open(os.path.join(cls.big, name), 'wb') as file, tarfile.open(fileobj=file, mode='w') as tar:
            n = 0
            while file.tell() < size:
                tar.addfile(*member(f'{n:07}.jpg', padded if n % 500 == 1 else photos[n % len(photos)]))
                tar.addfile(*member(f'{n:07}.cls', b'%d' % (n % 10)))
                n += 1
            cls.samples = n

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.big)

    def sources(self):
        name = os.path.basename(self.big)
        for suffix in ('.tar', '.tar.zst'):
            yield os.path.join(self.big, 'big' + suffix)
            yield world.nginx.url(f'{name}/big{suffix}')

    def run_slowly(self, source, memory, limit, delay):
        return self.bench(source, '--memory', f'{memory}M', '--consumer-delay', str(delay), '--limit', str(limit),
                          size=('--image', '128', '--batch', '32'), timeout=300)

    def test_a_slow_consumer(self):
        hashes = set()
        for source in self.sources():
            for delay in (0, 60):
                with self.subTest(source=source, delay=delay):
                    report = self.run_slowly(source, 64, 32 * self.batches, delay)
                    self.assertEqual((report['samples'], report['errors']), (32 * self.batches, 0))
                    self.assertLessEqual(report['peak_rss_bytes'], 64 * MIB + RESIDENT_OVER_LIMIT)
                    self.assertLessEqual(report['memory_peak_bytes'], 64 * MIB)
                    hashes.add(report['sha256'])
        self.assertEqual(len(hashes), 1)

    def test_many_lanes_and_a_slow_consumer(self):
        name = os.path.basename(self.big)
        for where in (os.path.join(self.big, 'big.tar'), world.nginx.url(f'{name}/big.tar')):
            write(self.path('list'), (where + '\n').encode() * 16)
            with self.subTest(where=where):
                report = self.run_slowly('@' + self.path('list'), 256, 32 * 8, 50)
                self.assertEqual((report['samples'], report['errors']), (32 * 8, 0))
                self.assertLessEqual(report['peak_rss_bytes'], 256 * MIB + RESIDENT_OVER_LIMIT)

    @unittest.skipUnless(SLOW, 'LEAT_SLOW_TESTS=1: a shard of 1 GB')
    def test_a_whole_shard_of_a_gigabyte(self):
        hashes = set()
        for source in self.sources():
            with self.subTest(source=source):
                report = self.bench(source, '--memory', '256M', '--consumer-delay', '5', size=('--image', '32', '--batch', '256'),
                                    timeout=600)
                self.assertEqual((report['samples'], report['errors']), (self.samples, 0))
                self.assertLessEqual(report['peak_rss_bytes'], 256 * MIB + RESIDENT_OVER_LIMIT)
                hashes.add(report['sha256'])
        self.assertEqual(len(hashes), 1)


class Contract(Case):
    """The JSON object that other programs read."""
    counts = ('samples', 'batches', 'bytes_read', 'peak_rss_bytes', 'errors')
    reals = ('seconds', 'samples_per_second', 'cpu_seconds', 'first_batch_seconds', 'consumer_wait_seconds')

    def check_figures(self, figures):
        for key in self.counts:
            self.assertIs(type(figures[key]), int, key)
        for key in self.reals:
            self.assertIn(type(figures[key]), (int, float), key)
            self.assertGreaterEqual(figures[key], 0)
        self.assertGreater(figures['samples_per_second'], 0)

    def test_over_http(self):
        result = leat('bench', world.nginx.url(f'train-{BRACES}.tar'), '--batch', '50', '--image', '40x30', '--crop', 'center',
                      '--flip', '--dtype', 'f16', '--layout', 'hwc', '--mean', '0.5,0.5,0.5', '--std', '0.2,0.2,0.2',
                      '--shuffle-window', '8', '--lanes', '4', '--seed', '5', '--epochs', '2', '--on-error', 'skip', '--max-errors',
                      '9', '--memory', '300M', '--connections', '8', '--threads', '2', '--hash', '--ideal', '--json')
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertEqual(result.stdout.count('\n{') + result.stdout.startswith('{'), 1)
        report = json.loads(result.stdout)
        self.check_figures(report)
        self.assertEqual((report['samples'], report['batches'], report['errors']), (256, 6, 0))
        self.assertEqual(len(report['epochs']), 2)
        for epoch in report['epochs']:
            self.check_figures(epoch)
        for key in ('samples', 'batches', 'errors'):
            self.assertEqual(sum(epoch[key] for epoch in report['epochs']), report[key])
        self.assertAlmostEqual(sum(epoch['seconds'] for epoch in report['epochs']), report['seconds'], delta=0.05)
        for stage in report['stages']:
            for key in ('items', 'busy_seconds', 'starved_seconds', 'blocked_seconds', 'queue_depth_mean', 'queue_depth_max'):
                self.assertGreaterEqual(stage[key], 0)
        names = [stage['name'] for stage in report['stages']]
        self.assertEqual(len(names), len(set(names)))
        self.assertEqual([stage['items'] for stage in report['stages'] if stage['name'] == 'decode'], [256])
        self.assertRegex(report['sha256'], '^[0-9a-f]{64}$')
        self.assertAlmostEqual(report['of_ideal'], report['samples_per_second'] / report['ideal_samples_per_second'], places=3)

    def test_an_object_comes_even_where_every_sample_failed(self):
        report = self.bench(world.nginx.url('gone.tar'), codes=(4,))
        self.assertEqual((report['samples'], report['batches'], report['errors'], report['first_batch_seconds']), (0, 0, 1, None))
        self.assertRegex(report['stderr'], 'gone.tar.*404')
        failure = report['failures'][0]
        self.assertEqual((failure['stage'], failure['code'], failure['offset']), ('fetch', 'not-found', 0))


class Unkind(Case):
    """A user who tries to break it."""

    def refused(self, *arguments, code=2):
        result = leat(*arguments)
        self.assertEqual(result.returncode, code, (arguments, result.stderr))
        self.assertEqual(result.stdout, '')
        self.assertRegex(result.stderr, '^leat')
        return result.stderr

    def test_arguments_that_make_no_sense(self):
        shard = world.root('train-000000.tar')
        for arguments in (['--batch'], ['--batch', '-1'], ['--batch', '0'], ['--batch', '99999999999999999999'], ['--batch=1e3'],
                          ['--memory', '1.5G'], ['--memory', '0'], ['--memory', '99999999999G'], ['--image', '0x0'],
                          ['--image', '224x'], ['--image', 'x224'], ['--image', '3x4x5'], ['--image', '224,224'], ['--threads', '0'],
                          ['--crop', 'middle'], ['--mean', '1,2'], ['--mean', 'nan,0,0'], ['--std', '0,0,0'], ['--std', '1,1,1,1'],
                          ['--connections', '0'], ['--connections', 'many'], ['--max-errors', '-3'], ['--seed', '-1'],
                          ['--on-error', 'ignore'], ['--header', 'no colon'], ['--header', 'A: b\r\nC: d'], ['--hash=yes'],
                          ['--hash', 'extra'], ['-x'], ['--'], ['--=3'], ['---'], ['--timeout', '0'], ['--epochs', '0'], ['']):
            with self.subTest(arguments=arguments):
                more = [] if arguments in (['--'], ['']) else [shard]
                said = self.refused('bench', *more, *arguments)
                self.assertNotIn('\r', said)

    def test_sources_that_make_no_sense(self):
        os.mkdir(self.path('empty'))
        write(self.path('secret.tar'), b'x' * 2000)
        write(self.path('empty.txt'), b'')
        write(self.path('blank.txt'), b'\n\n# nothing\n')
        write(self.path('nul.txt'), b'a\0b.tar\n')
        write(self.path('mixed.txt'), (world.root('train-000000.tar') + '\n' + world.nginx.url('train-000001.tar') + '\n').encode())
        for source in ('', ' ', '@', '@/nowhere/list', '@' + self.folder, self.path('empty'), self.path('gone.tar'),
                       self.path('gone-*.tar'), 'ftp://127.0.0.1/x.tar', 'http://', 'http://127.0.0.1:99999/x.tar', 'https://:80/',
                       'x-{5..1}.tar', 'x-{a..}.tar', 'x-{0..99999999999}.tar', 'x-{0..1', '@' + self.path('empty.txt'),
                       '@' + self.path('blank.txt'), '@' + self.path('nul.txt'), '@' + self.path('mixed.txt'), '/dev/null',
                       self.path('secret.tar', 'deeper.tar'), 'a' * 5000 + '.tar', '\x1b[31mred.tar', '\xff.tar'):
            for command in (('bench', '--json'), ('ls',), ('show', '-o', self.path('x.png'))):
                with self.subTest(source=source[:60], command=command):
                    begin = time.monotonic()
                    result = leat(*command, source)
                    self.assertIn(result.returncode, (1, 2, 3, 4), result.stderr)
                    self.assertRegex(result.stderr, '^leat')
                    self.assertNotIn('\x1b', result.stderr)
                    self.assertLess(time.monotonic() - begin, 5)

    def test_files_that_are_no_shards(self):
        for name, data in (('zeros.tar', bytes(10240)), ('empty.tar', b''), ('text.tar', b'hello world\n' * 1000),
                           ('one.tar', b'\0'), ('photo.tar', read(PHOTOS[0])), ('bomb.tar.gz', gzip.compress(bytes(64 * MIB), 9)),
                           ('bare.tar.zst', b'\x28\xb5\x2f\xfd'), ('raw.tar.gz', zlib.compress(b'x' * 1000))):
            with self.subTest(name=name):
                write(self.path(name), data)
                result = leat('bench', self.path(name), '--json')
                report = json.loads(result.stdout)
                self.assertEqual(report['samples'], 0)
                self.assertIn(result.returncode, (0, 1), result.stderr)
                if data and name not in ('zeros.tar', 'bomb.tar.gz'):
                    self.assertEqual((result.returncode, report['errors']), (1, 1), result.stderr)

    def test_a_fifo_and_a_device_are_refused_or_end(self):
        os.mkfifo(self.path('pipe.tar'))
        result = leat('bench', self.path('pipe.tar'), timeout=10)
        self.assertNotEqual(result.returncode, 0)
        result = leat('bench', '/dev/zero', timeout=10)
        self.assertNotEqual(result.returncode, 0)

    def test_a_file_that_may_not_be_read(self):
        """As nobody if the tests are root's; one of three shards, then all."""
        shard, user = self.path('x-0.tar'), {}
        if os.geteuid() == 0:
            user = {'user': 65534}
            for folder in (world.folder, self.folder):
                os.chmod(folder, 0o755)
            if subprocess.run(['test', '-x', LEAT], check=False, **user).returncode:
                self.skipTest('nobody may not run ' + LEAT)
        for n in range(3):
            shutil.copy(world.root(f'train-{n:06}.tar'), self.path(f'x-{n}.tar'))
            os.chmod(self.path(f'x-{n}.tar'), 0o644 if n else 0)
        result = leat('bench', shard, **user)
        self.assertEqual(result.returncode, 4, result.stderr)
        self.assertRegex(result.stderr, 'x-0.tar.*Permission denied')
        result = leat('bench', self.path('x-{0..2}.tar'), *SMALL, '--json', **user)
        report = json.loads(result.stdout)
        self.assertEqual((result.returncode, report['samples'], report['errors']), (0, 2 * EACH, 1))
        self.assertRegex(result.stderr, 'x-0.tar.*Permission denied.*skipped')

    def test_a_full_device(self):
        shard = world.root('train-000000.tar')
        for command in (('bench', shard, '--json'), ('bench', shard), ('ls', shard), ('ls', shard, '--json'),
                        ('show', shard, '-o', '-'), ('bench', '--help'), ('--version',)):
            with self.subTest(command=command), open('/dev/full', 'wb') as full:
                result = leat(*command, capture_output=False, stdout=full, stderr=subprocess.PIPE)
                self.assertEqual(result.returncode, 7, result.stderr)
                self.assertIn('No space left', result.stderr)
        result = leat('show', shard, '-o', self.path('nowhere', 'x.png'))
        self.assertEqual(result.returncode, 7, result.stderr)

    def test_a_sheet_never_replaces_a_device_or_a_link(self):
        write(self.path('target.png'), b'old')
        os.symlink('target.png', self.path('link.png'))
        os.symlink('/dev/full', self.path('full.png'))
        os.mkfifo(self.path('pipe.png'))
        shard = world.root('train-000000.tar')
        self.assertEqual(leat('show', shard, '-o', self.path('link.png')).returncode, 0)
        self.assertEqual(read(self.path('target.png'))[:4], b'\x89PNG')
        result = leat('show', shard, '-o', self.path('full.png'))
        self.assertEqual(result.returncode, 7, result.stderr)
        self.assertIn('No space left', result.stderr)
        process = start('show', shard, '-o', self.path('pipe.png'))
        self.assertEqual(read(self.path('pipe.png'))[:4], b'\x89PNG')
        process.communicate(timeout=10)
        self.assertEqual(process.returncode, 0)
        self.assertEqual(sorted(os.listdir(self.folder)), ['full.png', 'link.png', 'pipe.png', 'target.png'])
        self.assertTrue(os.path.islink(self.path('full.png')) and os.path.islink(self.path('link.png')))

    def test_a_pipe_that_closes(self):
        """As in `leat ls ... | head -1`: no noise, no hang."""
        for command in (('ls', world.nginx.url(f'train-{BRACES}.tar')), ('show', world.root('train-000000.tar'), '-o', '-'),
                        ('bench', world.nginx.url('train-000001.tar'), '--json')):
            with self.subTest(command=command):
                reading, writing = os.pipe()
                os.close(reading)
                result = leat(*command, capture_output=False, stdout=writing, stderr=subprocess.PIPE)
                os.close(writing)
                self.assertEqual((result.returncode, result.stderr), (128 + signal.SIGPIPE, ''))

    def test_closed_standard_streams(self):
        """stdin, stdout or stderr are closed: no descriptor of ours takes their numbers to be written to."""
        for closed in ('<&-', '>&-', '2>&-', '<&- >&- 2>&-'):
            with self.subTest(closed=closed):
                result = subprocess.run(['sh', '-c', f'exec "$0" bench "$1" --image 48 --json {closed}', LEAT,
                                         world.nginx.url('train-000000.tar')], capture_output=True, timeout=30, check=False)
                self.assertIn(result.returncode, (0, 7))
        self.assertEqual(len(read(world.root('train-000000.tar'))), os.path.getsize(world.root('train-000000.tar')))

    def test_few_descriptors(self):
        """64 connections are asked for, and there are 30 descriptors: fewer will do, and nothing is lost."""
        for where in (world.nginx.url, world.root):
            result = subprocess.run(['sh', '-c', 'ulimit -n 30; exec "$0" bench "$1" --image 48 --connections 64 --json', LEAT,
                                     where('loose/photo-{000..127}.jpg')], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(json.loads(result.stdout)['samples'], SHARDS * EACH, result.stderr)

    def test_a_shard_that_shrinks_and_one_that_grows_while_it_is_read(self):
        for change in (lambda path: os.truncate(path, 100000), lambda path: os.truncate(path, 10 * MIB)):
            data = b''.join(read(world.root(f'train-{n:06}.tar'))[:-10240 // 1] for n in range(SHARDS))
            write(self.path('x.tar'), data)
            process = start('bench', self.path('x.tar'), '--json', '--image', '48', '--batch', '4', '--lanes', '1', '--prefetch', '1',
                            '--memory', '32M', '--consumer-delay', '30')
            timer = threading.Timer(0.2, change, [self.path('x.tar')])
            timer.start()
            out, err = process.communicate(timeout=60)
            timer.join()
            self.assertIn(process.returncode, (0, 1), err)
            json.loads(out)


if __name__ == '__main__':
    unittest.main()
