#!/usr/bin/python3
"""Tests of the leat command: whole outputs, exit codes, shards bit for bit. LEAT: path of the command.

Packing is compared with tarfile, zstd and sha256; what a loader must agree on (hashes over threads) with itself."""
import hashlib
import io
import json
import os
import pty
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest
import urllib.request
import zlib

import numpy
from PIL import Image

import servers

LEAT = os.path.abspath(os.environ.get('LEAT', 'build/leat'))
COMMANDS = ('bench', 'ls', 'show', 'order', 'index', 'pack')


def run(*arguments, cwd=None, **more):
    return subprocess.run([LEAT, *arguments], cwd=cwd, capture_output=True, text=True, timeout=120, **more)


def read(*parts):
    with open(os.path.join(*parts), 'rb') as file:
        return file.read()


def digests(folder):
    return {name: hashlib.sha256(read(folder, name)).hexdigest() for name in sorted(os.listdir(folder))}


def noise(length, seed):
    return numpy.random.default_rng(seed).bytes(length)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='leat-cli-')
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), 'wb') as file:
            file.write(data)

    def check(self, result, code, out='', err=''):
        self.assertEqual((result.returncode, result.stdout, result.stderr), (code, out, err))


class Usage(Case):
    """Each refusal is one sentence that says what would be right."""
    RIGHT = [
        (['bench', 'x', '--batch', '0'], 'leat bench: --batch 0: give a number of rows from 1 to 65536'),
        (['bench', 'x', '--batch=65537'], 'leat bench: --batch 65537: give a number of rows from 1 to 65536'),
        (['bench', 'x', '--batch', '-3'], 'leat bench: --batch -3: give a number of rows from 1 to 65536'),
        (['bench', 'x', '--batch', '8x'], 'leat bench: --batch 8x: give a number of rows from 1 to 65536'),
        (['bench', 'x', '--batch='], 'leat bench: --batch : give a number of rows from 1 to 65536'),
        (['bench', 'x', '--batch'], 'leat bench: --batch: give a number of rows from 1 to 65536'),
        (['bench', 'x', '--batch', '--json'], 'leat bench: --batch: give a number of rows from 1 to 65536'),
        (['bench', 'x', '--batch', '99999999999999999999'],
         'leat bench: --batch 99999999999999999999: give a number of rows from 1 to 65536'),
        (['bench', 'x', '--memory', '1.5G'],
         'leat bench: --memory 1.5G: give a size such as 512M from 32M to 65536G (no fractions: 1536M, not 1.5G)'),
        (['bench', 'x', '--memory', '31M'], 'leat bench: --memory 31M: give a size such as 512M from 32M to 65536G'),
        (['bench', 'x', '--memory', '1GB'], 'leat bench: --memory 1GB: give a size such as 512M from 32M to 65536G'),
        (['bench', 'x', '--image', '224x'],
         'leat bench: --image 224x: give rows and columns from 1 to 16384, such as 224x224'),
        (['bench', 'x', '--image', '0x5'],
         'leat bench: --image 0x5: give rows and columns from 1 to 16384, such as 224x224'),
        (['bench', 'x', '--crop', 'centre'],
         'leat bench: --crop centre: give none, center or random-resized; did you mean center?'),
        (['bench', 'x', '--crop', 'zoom'], 'leat bench: --crop zoom: give none, center or random-resized'),
        (['bench', 'x', '--dtype', 'f64'], 'leat bench: --dtype f64: give u8, f16 or f32'),
        (['bench', 'x', '--mean', '1,2'], 'leat bench: --mean 1,2: give three numbers, such as 0.485,0.456,0.406'),
        (['bench', 'x', '--mean', '1,2,nan'],
         'leat bench: --mean 1,2,nan: give three numbers, such as 0.485,0.456,0.406'),
        (['bench', 'x', '--std', '1,0,1'],
         'leat bench: --std 1,0,1: give three numbers over 0, such as 0.229,0.224,0.225'),
        (['bench', 'x', '--mean', '0,0,0'], 'leat bench: --mean: u8 images are not normalized; add --dtype f32 or f16'),
        (['bench', 'x', '--resize-shorter', '9'], 'leat bench: --resize-shorter: goes with --crop center only'),
        (['bench', 'x', '--seed', 'abc'], 'leat bench: --seed abc: give a whole number, 0 or more'),
        (['bench', 'x', '--max-errors', 'all'],
         'leat bench: --max-errors all: give a number of failures, or unlimited'),
        (['bench', 'x', '--header', 'nocolon'], 'leat bench: --header number 1: give "Name: value" in one line'),
        (['bench', 'x', '--header', 'A: b', '--header', 'C: d\r\nE: f'],
         'leat bench: --header number 2: give "Name: value" in one line'),
        (['bench', 'x', '--json=1'], 'leat bench: --json: takes no value'),
        (['bench', 'x', '--bathc', '3'], 'leat bench: --bathc: no such option; did you mean --batch?'),
        (['bench', 'x', '--frobnicate'], 'leat bench: --frobnicate: no such option; leat bench --help lists them'),
        (['bench', 'x', '-q'], 'leat bench: -q: no such option; leat bench --help lists them'),
        (['bench', 'x', 'y'],
         'leat bench: y: one SOURCE is enough; put a pattern in quotes, or the shell spreads it out'),
        (['bench'],
         'leat bench: no SOURCE: give a folder, a shard, a pattern, a URL or @list.txt; leat bench --help says more'),
        (['bench', ''], 'leat bench: an empty SOURCE: give a folder, a shard, a pattern, a URL or @list.txt'),
        (['bench', '--', '--json', '--hash'],
         'leat bench: --hash: one SOURCE is enough; put a pattern in quotes, or the shell spreads it out'),
        (['bench', 'x', '--rank', '1'], 'leat bench: --rank: goes with --world'),
        (['bench', 'x', '--world', '0'], 'leat bench: --world 0: give a number of ranks from 1 to 1000000'),
        (['bench', 'x', '--rank', '-1'], 'leat bench: --rank -1: give a rank from 0 to 999999'),
        (['bench', 'x', '--remainder', 'short'], 'leat bench: --remainder short: give drop or pad'),
        (['bench', 'x', '--remainder', 'pad', '--drop-last'], 'leat bench: --drop-last: contradicts --remainder pad'),
        (['bench', 'x', '--epoch-samples', '0'], 'leat bench: --epoch-samples 0: give a number of samples, 1 or more'),
        (['bench', 'x', '--stop-after', 'x'], 'leat bench: --stop-after x: give a number of batches, 0 or more'),
        (['bench', 'x', '--save='], 'leat bench: --save : give the file that the state goes to'),
        (['bench', 'x', '--weight', '2'], 'leat bench: --weight: goes with --mix only'),
        (['order', 'x', '--from', '3', '--to', '3'], 'leat order: --to 3: give a step over --from, 3: rows end before it'),
        (['order', 'x', '--rank', '1'], 'leat order: --rank: goes with --world'),
        (['order', 'x', '--hash'], 'leat order: --hash: no such option; leat order --help lists them'),
        (['ordr', 'x'], 'leat: ordr: no such command; did you mean leat order?'),
        (['show', 'x'], 'leat show: no -o: give the PNG to write, as in -o sheet.png, or - for stdout'),
        (['show', 'x', '-o', 's', '--count', '0'], 'leat show: --count 0: give a number of images from 1 to 256'),
        (['pack', 'x'], 'leat pack: no --to: give the folder that the shards go into, as in --to shards'),
        (['pack', 'x', '--to', 'y', '--zstd=20'],
         'leat pack: --zstd 20: give a level from 1 to 19, as in --zstd=9, or --zstd alone'),
        (['pack', 'x', '--to', 'y', '--shard-size', '10'],
         'leat pack: --shard-size 10: give a size such as 64M from 1K to 16384G'),
        (['pack', 'x', '--to='], 'leat pack: --to : give the folder that the shards go into'),
        (['bench', 'x', '--b\033[2J'], 'leat bench: --b\\x1B[2J: no such option; leat bench --help lists them'),
        (['benhc'], 'leat: benhc: no such command; did you mean leat bench?'),
        (['frobnicate'], 'leat: frobnicate: no such command; leat --help lists them'),
        ([], 'leat: no command; leat --help lists them'),
    ]

    def test_weights_that_are_none(self):
        right = 'SOURCE=WEIGHT, such as more.tar=0.3 (a weight over 0 with at most 6 decimals), at most 32 times'
        for value in ('b', '=1', 'b=', 'b=0', 'b=0.0000001', 'b=1.1234567', 'b=-1', 'b=1e3', 'b=nan', 'b=1000001', 'b=.', 'b=1=x'):
            self.check(run('bench', 'x', '--mix', value), 2, err=f'leat bench: --mix {value}: give {right}\n')
            weight = value.split('=', 1)[-1]
            if value != '=1':
                self.check(run('bench', 'x', '--weight=' + weight), 2, err=f'leat bench: --weight {weight}: give a weight over 0 '
                           'with at most 6 decimals, such as 0.7\n')
        self.check(run('bench', 'x', *['--mix', 'b=1'] * 33), 2, err=f'leat bench: --mix b=1: give {right}\n')

    def test_refusals(self):
        for arguments, sentence in self.RIGHT:
            with self.subTest(arguments=arguments):
                self.check(run(*arguments), 2, err=sentence + '\n')

    def test_help(self):
        for command in COMMANDS:
            result = run(command, '--help')
            self.assertEqual((result.returncode, result.stderr), (0, ''))
            self.assertTrue(result.stdout.startswith(f'usage: leat {command} '))
            self.assertIn(f'\nexample: leat {command} ', result.stdout)
            self.assertLessEqual(max(map(len, result.stdout.split('\n'))), 120)
            self.check(run('help', command), 0, result.stdout)
            self.check(run(command, 'x', '--batch' if command == 'bench' else '-h', '5', '-h'), 0, result.stdout)
        listing = run('--help')
        self.assertEqual((listing.returncode, listing.stderr), (0, ''))
        for command in COMMANDS:
            self.assertIn(f'\n  {command} ', listing.stdout)

    def test_the_contract_of_bench_is_in_its_help(self):
        text = run('bench', '--help').stdout
        for name in ('batch threads image crop flip dtype layout mean std shuffle-window lanes seed epochs limit '
                     'on-error max-errors memory connections hash ideal json drop-last order io-threads prefetch ca '
                     'header epoch consumer-delay orient alpha resize-shorter timeout rank world remainder epoch-samples '
                     'stop-after save resume hash-from index mix weight').split():
            self.assertIn(f'      --{name} ', text)
        for key in ('queue_depth_mean', 'busy_seconds', 'starved_seconds', 'blocked_seconds', 'of_ideal',
                    'samples_per_second', 'launcher', 'indexed', 'steps', 'dropped', 'padded', 'sources', 'state_file'):
            self.assertIn(key, text)

    def test_version(self):
        result = run('--version')
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertRegex(result.stdout, r'^leat \d+\.\d+\.\d+.*\n$')

    def test_a_full_disk_under_stdout_is_said(self):
        with open('/dev/full', 'w') as full:
            result = subprocess.run([LEAT, 'bench', '--help'], stdout=full, stderr=subprocess.PIPE, text=True)
        self.assertEqual((result.returncode, result.stderr), (7, 'leat: writing to stdout: No space left on device\n'))


class Pack(Case):
    CLASSES = ('ant', 'cat', 'dog')

    def setUp(self):
        super().setUp()
        self.files = {}
        for label, name in enumerate(self.CLASSES):
            for i in range(1, 31):
                self.files[f'{name}/{i:03}.jpg'] = noise(i * 700 + label, i)
        for name, data in self.files.items():
            self.write('in/' + name, data)

    def pack(self, to, *arguments, source='in', code=0):
        result = run('pack', source, '--to', to, *arguments, cwd=self.folder)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def entries(self, to):
        """[(shard, name, bytes)] of all shards in order."""
        found = []
        for name in sorted(os.listdir(self.path(to))):
            if name.endswith('.tar'):
                data = read(self.path(to, name))
            elif name.endswith('.zst'):
                data = subprocess.run(['zstd', '-dc', self.path(to, name)], check=True, capture_output=True).stdout
            else:
                continue
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                found += [(name, member.name, archive.extractfile(member).read()) for member in archive]
        return found

    def partials(self, to):
        return [name for name in os.listdir(self.path(to)) if name.endswith('.partial')]

    def test_what_is_in_the_shards(self):
        self.pack('out', '--shard-size', '100K')
        expected = []
        for name, data in sorted(self.files.items()):
            expected += [(name, data), (name[:-4] + '.cls', str(self.CLASSES.index(name[:3])).encode())]
        self.assertEqual([entry[1:] for entry in self.entries('out')], expected)
        self.assertEqual(read(self.path('out/classes.txt')), b'ant\ncat\ndog\n')

    def test_shards_are_closed_before_they_grow_over_the_size(self):
        self.pack('out', '--shard-size', '100K')
        names = sorted(name for name in os.listdir(self.path('out')) if name.endswith('.tar'))
        self.assertEqual(names, [f'shard-{i:06}.tar' for i in range(len(names))])
        sizes = [os.path.getsize(self.path('out', name)) for name in names]
        self.assertTrue(all(size <= 100 * 1024 for size in sizes), sizes)
        for before, shard in zip(sizes, names[1:]):
            first = [entry for entry in self.entries('out') if entry[0] == shard][:2]
            needed = sum(512 + -(-len(data) // 512) * 512 for _, _, data in first)
            self.assertGreater(before + needed, 100 * 1024)

    def test_a_sample_over_the_size_has_a_shard_of_its_own(self):
        self.pack('out', '--shard-size', '8K')
        for shard in {entry[0] for entry in self.entries('out')}:
            inside = [entry for entry in self.entries('out') if entry[0] == shard]
            if os.path.getsize(self.path('out', shard)) > 8192:
                self.assertEqual(len(inside), 2)

    def test_the_same_bytes_for_any_number_of_threads_and_run(self):
        for more in ([], ['--zstd'], ['--zstd=12'], ['--shuffle', '--seed', '5'], ['--zstd', '--shuffle']):
            with self.subTest(options=more):
                results = []
                for i, threads in enumerate(('1', '4', '4', '2')):
                    to = f'out-{"".join(more)}-{i}'
                    self.pack(to, '--shard-size', '60K', '--threads', threads, *more)
                    results.append(digests(self.path(to)))
                self.assertGreater(len(results[0]), 10)
                for other in results[1:]:
                    self.assertEqual(other, results[0])

    def test_shuffle_keeps_every_sample_and_changes_the_order(self):
        self.pack('plain', '--shard-size', '100K')
        for seed in ('0', '1'):
            self.pack('s' + seed, '--shard-size', '100K', '--shuffle', '--seed', seed)
        plain, zero, one = ([entry[1:] for entry in self.entries(to)] for to in ('plain', 's0', 's1'))
        self.assertEqual(sorted(plain), sorted(zero))
        self.assertEqual(sorted(plain), sorted(one))
        self.assertEqual(len({tuple(plain), tuple(zero), tuple(one)}), 3)
        for names in (zero, one):  # fields of a sample stay together
            self.assertTrue(all(names[i][0][:-3] == names[i + 1][0][:-3] for i in range(0, len(names), 2)))

    def test_files_of_one_key_are_one_sample(self):
        buffer = io.BytesIO()
        numpy.save(buffer, numpy.arange(3))
        self.write('in/cat/001.npy', buffer.getvalue())
        self.pack('out')
        names = [entry[1] for entry in self.entries('out')]
        at = names.index('cat/001.jpg')
        self.assertEqual(names[at:at + 4], ['cat/001.jpg', 'cat/001.npy', 'cat/001.cls', 'cat/002.jpg'])

    def test_long_and_foreign_names(self):
        long_name = 'n' * 200
        self.write(f'in/cat/{long_name}.jpg', b'long')
        self.write('in/cat/größe.jpg', b'umlaut')
        self.pack('out')
        entries = {entry[1]: entry[2] for entry in self.entries('out')}
        self.assertEqual(entries[f'cat/{long_name}.jpg'], b'long')
        self.assertEqual(entries['cat/größe.jpg'], b'umlaut')
        self.assertEqual(entries[f'cat/{long_name}.cls'], b'1')

    def test_shards_in_the_way(self):
        self.pack('out', '--shard-size', '100K')
        before = digests(self.path('out'))
        result = self.pack('out', code=1)
        self.assertEqual(result.stderr, 'leat pack: out/shard-000000.tar is there already (shards of this prefix: '
                                        f'{len(before) - 2}): choose another folder or prefix, or overwrite\n')
        self.pack('out', '--zstd', code=1)
        self.assertEqual(digests(self.path('out')), before)
        self.pack('out', '--prefix', 'val')
        result = self.pack('out', '--overwrite')
        self.assertIn('out/shard-000001.tar is left from an earlier run', result.stderr)

    def test_another_list_of_classes_in_the_way(self):
        self.write('out/classes.txt', b'other\n')
        self.pack('out', code=1)
        self.assertEqual(sorted(os.listdir(self.path('out'))), ['classes.txt'])

    def test_a_stale_partial_shard_is_replaced(self):
        self.write('out/shard-000000.tar.partial', noise(1000000, 1))
        self.pack('out')
        self.assertEqual(sorted(os.listdir(self.path('out'))), ['classes.txt', 'leat.index', 'shard-000000.tar'])

    def test_a_file_that_is_gone(self):
        os.symlink('nowhere', self.path('in/cat/999.jpg'))
        result = self.pack('out', code=1)
        self.assertEqual(result.stderr, 'leat pack: in/cat/999.jpg: No such file or directory\n')
        self.assertEqual(os.listdir(self.path('out')), [])
        result = self.pack('out', '--max-errors', '1', '--json')
        self.assertEqual(result.stderr, 'leat pack: in/cat/999.jpg: No such file or directory\n')
        self.assertEqual(len(self.entries('out')), 180)
        report = json.loads(result.stdout)
        self.assertEqual((report['samples'], report['shards'], report['errors']), (90, 1, 1))
        self.assertEqual(report['failures'][0]['key'], 'cat/999')
        os.symlink('nowhere', self.path('in/cat/998.jpg'))
        result = self.pack('out', '--max-errors', '1', '--overwrite', code=1)
        self.assertIn('leat pack: more than 1 files could not be packed (max_errors); the first: in/cat/998.jpg: '
                      'No such file or directory\n', result.stderr)

    def test_a_file_that_shrinks_is_left_out_of_a_shard_begun_again(self):
        """sysfs says 4096 bytes and gives fewer: it fails after its header was written."""
        self.pack('whole', '--shard-size', '100K')
        for more in ([], ['--zstd']):
            os.symlink('/sys/kernel/mm/transparent_hugepage/enabled', self.path('in/cat/015x.jpg'))
            result = self.pack('out' + ''.join(more), '--shard-size', '104K', *more, code=1)
            self.assertEqual(result.stderr, 'leat pack: in/cat/015x.jpg: shrank while it was packed: had 4096 bytes\n')
            self.assertEqual(self.partials('out' + ''.join(more)), [])
            self.pack('out2' + ''.join(more), '--shard-size', '104K', '--max-errors', '1', *more)
            self.assertEqual([entry[1:] for entry in self.entries('out2' + ''.join(more))],
                             [entry[1:] for entry in self.entries('whole')])
            os.unlink(self.path('in/cat/015x.jpg'))

    def test_two_files_for_one_field(self):
        self.write('in/cat/001.JPG', b'x')
        result = self.pack('out', code=1)
        self.assertEqual(result.stderr, 'leat pack: in/cat/001.jpg: a second field "jpg" of a sample; the first is '
                                        'in/cat/001.JPG\n')

    def test_no_folder_and_no_permission(self):
        self.check(run('pack', self.path('none'), '--to', self.path('out')), 4,
                   err=f"leat pack: there is no file or folder '{self.path('none')}'\n")
        self.check(run('pack', self.path('in'), '--to', '/proc/none/x'), 7,
                   err='leat pack: making folder /proc/none: No such file or directory\n')
        self.check(run('pack', self.path('in'), '--to', self.path('in/cat/001.jpg')), 7,
                   err=f'leat pack: opening folder {self.path("in/cat/001.jpg")}: Not a directory\n')

    def test_a_list_from_stdin(self):
        names = ''.join(f'in/{name}\n' for name in sorted(self.files)[:5])
        result = run('pack', '@-', '--to', 'out', cwd=self.folder, input=names)
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual([entry[1] for entry in self.entries('out')][:1], ['ant/001.jpg'])

    def test_two_samples_of_one_key_side_by_side(self):
        self.write('other/ant/001.jpg', b'twin')
        self.write('list.txt', b'in/ant/001.jpg\nother/ant/001.jpg\n')
        result = self.pack('out', source='@list.txt', code=1)
        self.assertIn('a second field "jpg" of a sample', result.stderr)

    def test_json_and_words(self):
        result = self.pack('out', '--json')
        report = json.loads(result.stdout)
        self.assertEqual(set(report), {'samples', 'shards', 'bytes', 'seconds', 'errors'})
        self.assertEqual(report['bytes'], os.path.getsize(self.path('out/shard-000000.tar')))
        result = self.pack('out2')
        self.assertRegex(result.stdout, r'^90 samples in 1 shard, 1\.\dM, in \d+\.\d s: out2\n$')

    def test_a_disk_that_is_full(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (50000, 50000))
        for more in ([], ['--zstd']):
            result = run('pack', 'in', '--to', 'out', *more, cwd=self.folder, preexec_fn=limit)
            ending = 'tar.zst' if more else 'tar'
            self.check(result, 7, err=f'leat pack: writing out/shard-000000.{ending}.partial: File too large\n')
            self.assertEqual(os.listdir(self.path('out')), [])

    def interrupt(self, number):
        with open(self.path('in/dog/big.jpg'), 'wb') as big:  # level 19 takes longer than this test
            big.write(noise(300 << 20, 1))
        process = subprocess.Popen([LEAT, 'pack', self.path('in'), '--to', self.path('out'), '--zstd=19'],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.time() + 30
        while not os.path.exists(self.path('out/shard-000000.tar.zst.partial')) and time.time() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        begin = time.time()
        out, err = process.communicate(timeout=30)
        self.assertLess(time.time() - begin, 5)
        self.assertEqual((process.returncode, out), (128 + number, ''))
        self.assertEqual(err, 'leat pack: stopped as asked; the shards that were finished stay\n')
        self.assertEqual(self.partials('out'), [])

    def test_interrupted(self):
        self.interrupt(signal.SIGINT)

    def test_terminated(self):
        self.interrupt(signal.SIGTERM)

    def test_killed_and_run_again(self):
        self.pack('whole', '--zstd=3', '--shard-size', '100K')
        arguments = ('--zstd=3', '--shard-size', '100K')
        process = subprocess.Popen([LEAT, 'pack', self.path('in'), '--to', self.path('out'), *arguments],
                                   stdout=subprocess.DEVNULL)
        time.sleep(0.01)
        process.kill()
        process.wait()
        self.pack('out', '--overwrite', *arguments)
        self.assertEqual(digests(self.path('out')), digests(self.path('whole')))

    def test_progress_is_for_terminals(self):
        for i in range(3):  # enough to be seen between two redraws
            self.write(f'in/dog/big{i}.jpg', noise(40 << 20, i))
        master, slave = pty.openpty()
        arguments = [LEAT, 'pack', self.path('in'), '--to', self.path('out'), '--zstd=9', '--threads', '1']
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=slave)
        os.close(slave)
        shown = b''
        while select.select([master], [], [], 20)[0]:
            try:
                shown += os.read(master, 4096)
            except OSError:
                break
        out, _ = process.communicate(timeout=60)
        os.close(master)
        self.assertEqual(process.returncode, 0)
        self.assertRegex(shown.decode(), r'pack \[[#.]{20}\] \d+/93 samples  \d+/s  \S+ left  \S+, \d+ shards')
        self.assertTrue(shown.endswith(b'\r\x1b[K'))
        self.assertTrue(out.startswith(b'93 samples'))


class Loader(Case):
    """Photographs in class folders, packed, listed, run and shown."""
    CLASSES = ('blue', 'green', 'red')
    COLOURS = ((20, 30, 220), (20, 200, 30), (220, 20, 30))

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix='leat-cli-')
        cls.addClassCleanup(shutil.rmtree, cls.home)
        for label, name in enumerate(cls.CLASSES):
            os.makedirs(f'{cls.home}/in/{name}')
            for i in range(20):
                image = Image.new('RGB', (64 + i, 48 + label * 8), cls.COLOURS[label])
                image.save(f'{cls.home}/in/{name}/{i:02}.jpg', quality=95)
        for to, more in (('tar', []), ('zst', ['--zstd'])):
            result = run('pack', 'in', '--to', to, '--shard-size', '20K', *more, cwd=cls.home)
            assert result.returncode == 0, result.stderr

    def leat(self, *arguments, code=0):
        result = run(*arguments, cwd=self.home)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def bench(self, *arguments, code=0):
        return json.loads(self.leat('bench', *arguments, '--json', '--image', '32x32', code=code).stdout)

    def test_ls_lists_class_folders(self):
        result = self.leat('ls', 'in')
        expected = ''
        for name in self.CLASSES:
            for i in range(20):
                size = os.path.getsize(f'{self.home}/in/{name}/{i:02}.jpg')
                expected += f'{name}/{i:02}\tjpg={size}\tin/{name}/{i:02}.jpg\n'
        self.assertEqual((result.stdout, result.stderr), (expected, ''))

    def test_ls_lists_shards_as_tarfile_does(self):
        expected = ''
        sums = ''
        for shard in sorted(os.listdir(f'{self.home}/tar')):
            if not shard.endswith('.tar'):
                continue
            with tarfile.open(f'{self.home}/tar/{shard}') as archive:
                members = archive.getmembers()
            for image, label in zip(members[::2], members[1::2]):
                expected += f'{image.name[:-4]}\tjpg={image.size} cls={label.size}\ttar/{shard}\n'
            size = sum(member.size for member in members)
            sums += f'tar/{shard}\t{len(members) // 2} samples\t{len(members)} fields\t{size} bytes\n'
        self.assertEqual(self.leat('ls', 'tar').stdout, expected)
        compressed = expected.replace('\ttar/', '\tzst/').replace('.tar\n', '.tar.zst\n')
        self.assertEqual(self.leat('ls', 'zst').stdout, compressed)
        self.assertEqual(self.leat('ls', 'tar', '--shards').stdout, sums)
        self.assertEqual(self.leat('ls', 'tar', '--limit', '3').stdout, ''.join(expected.splitlines(True)[:3]))

    def test_ls_json(self):
        lines = [json.loads(line) for line in self.leat('ls', 'in', '--json').stdout.splitlines()]
        self.assertEqual(len(lines), 60)
        size = os.path.getsize(f'{self.home}/in/green/05.jpg')
        self.assertEqual(lines[25], {'key': 'green/05', 'shard': 'in/green/05.jpg', 'index': 0, 'offset': 0, 'class': 1,
                                     'class_name': 'green', 'fields': [{'name': 'jpg', 'bytes': size}]})
        lines = [json.loads(line) for line in self.leat('ls', 'tar', '--json', '--shards').stdout.splitlines()]
        self.assertEqual(sum(line['samples'] for line in lines), 60)

    def test_ls_into_a_pipe_that_closes(self):
        process = subprocess.Popen([LEAT, 'ls', f'{self.home}/in'], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        self.assertEqual(process.stderr.read(), b'')
        process.stderr.close()
        self.assertEqual(process.wait(timeout=30), 141)

    def test_ls_of_a_broken_shard_lists_the_rest(self):
        data = bytearray(read(f'{self.home}/tar/shard-000001.tar'))
        self.write('one.tar', data[:6000])
        result = run('ls', 'one.tar', cwd=self.folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn('one.tar', result.stderr)
        self.assertGreater(len(result.stdout.splitlines()), 0)

    def test_bench_has_every_figure_of_the_contract(self):
        report = self.bench('tar', '--epochs', '2', '--batch', '8', '--hash', '--ideal')
        for key in ('samples', 'batches', 'bytes_read', 'seconds', 'samples_per_second', 'cpu_seconds',
                    'peak_rss_bytes', 'first_batch_seconds', 'consumer_wait_seconds', 'errors'):
            self.assertIn(key, report)
            for epoch in report['epochs']:
                self.assertIn(key, epoch)
        self.assertEqual((report['samples'], report['batches'], report['errors']), (120, 16, 0))
        self.assertEqual([(e['epoch'], e['samples'], e['batches']) for e in report['epochs']], [(0, 60, 8), (1, 60, 8)])
        self.assertRegex(report['sha256'], '^[0-9a-f]{64}$')
        self.assertAlmostEqual(report['of_ideal'], report['samples_per_second'] / report['ideal_samples_per_second'],
                               places=6)
        self.assertGreater(len(report['stages']), 2)
        for stage in report['stages']:
            self.assertEqual(set(stage), {'name', 'items', 'busy_seconds', 'starved_seconds', 'blocked_seconds',
                                          'queue_depth_mean', 'queue_depth_max', 'instances', 'concurrency', 'bytes'})
        self.assertEqual(report['failures'], [])
        self.assertEqual(report['config']['batch_size'], 8)

    def test_one_hash_for_any_threads_and_container(self):
        options = ('--hash', '--crop', 'random-resized', '--flip', '--batch', '7', '--seed', '3')
        hashes = {self.bench(source, *options, '--threads', threads, '--prefetch', depth)['sha256']
                  for source in ('tar', 'zst') for threads, depth in (('1', '1'), ('2', '4'), ('4', '2'))}
        self.assertEqual(len(hashes), 1)
        self.assertNotEqual({self.bench('tar', *options[:-1], '4')['sha256']}, hashes)

    def test_window_zero_is_sequential(self):
        one = self.bench('tar', '--hash', '--shuffle-window', '0')
        other = self.bench('tar', '--hash', '--order', 'sequential')
        self.assertEqual(one['sha256'], other['sha256'])
        self.assertEqual(one['config']['order'], 'sequential')

    def test_bench_limit_drop_last_and_words(self):
        self.assertEqual(self.bench('tar', '--limit', '10')['samples'], 10)
        self.assertEqual(self.bench('tar', '--batch', '25', '--drop-last')['samples'], 50)
        result = self.leat('bench', 'tar', '--image', '32')
        for word in ('\n  samples   60 in 1 batches, 1 epoch\n', '\n  rate ', '\n  memory ', '\n  errors    0',
                     '\n  stage '):
            self.assertIn(word, result.stdout)

    def broken(self):
        shutil.copytree(f'{self.home}/in', self.path('in'))
        self.write('in/red/05.jpg', read(self.path('in/red/05.jpg'))[:300])
        self.write('in/blue/07.jpg', b'')

    def test_failures_are_named_and_the_rest_delivered(self):
        self.broken()
        result = run('bench', 'in', '--json', '--image', '32', cwd=self.folder)
        report = json.loads(result.stdout)
        self.assertEqual((result.returncode, report['samples'], report['errors']), (0, 58, 2))
        self.assertEqual({failure['key'] for failure in report['failures']}, {'red/05', 'blue/07'})
        self.assertEqual(len(result.stderr.splitlines()), 2)
        for policy in (['--on-error', 'stop'], ['--max-errors', '1'], ['--max-errors', '0']):
            result = run('bench', 'in', '--json', '--image', '32', *policy, cwd=self.folder)
            self.assertEqual(result.returncode, 1)
            self.assertIn('error', json.loads(result.stdout))
        report = json.loads(run('bench', 'in', '--json', '--image', '32', '--on-error', 'substitute',
                                cwd=self.folder).stdout)
        self.assertEqual((report['samples'], report['substituted'], report['errors']), (58, 2, 2))

    def test_sources_that_are_not_there(self):
        for command in (['bench'], ['ls'], ['show', '-o', self.path('s.png')]):
            result = run(*command, self.path('none'))
            self.assertEqual((result.returncode, result.stdout), (4, ''))
            self.assertEqual(result.stderr, f"leat {command[0]}: there is no file or folder '{self.path('none')}'\n")
        result = run('bench', self.path('none-{0..3}.tar'), '--json', '--image', '32')
        self.assertEqual(result.returncode, 4)

    def test_settings_that_cannot_be_had(self):
        result = run('bench', f'{self.home}/in', '--memory', '32M', '--batch', '65536')
        self.assertEqual((result.returncode, result.stdout), (3, ''))
        self.assertTrue(result.stderr.startswith('leat bench: '))

    def test_interrupted_bench_prints_what_it_has(self):
        process = subprocess.Popen([LEAT, 'bench', f'{self.home}/tar', '--epochs', '1000000', '--json', '--image', '32',
                                    '--batch', '10', '--consumer-delay', '20'], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        begin = time.time()
        out, err = process.communicate(timeout=30)
        self.assertLess(time.time() - begin, 2)
        self.assertEqual((process.returncode, err), (130, b''))
        report = json.loads(out)
        self.assertTrue(report['interrupted'])
        self.assertGreater(report['samples'], 10)

    def test_a_consumer_that_sleeps_is_named(self):
        report = self.bench('tar', '--batch', '10', '--consumer-delay', '100')
        self.assertGreater(report['seconds'], 0.6)
        self.assertIn('the consumer holds it back', report['verdict'])

    def sheet(self, *arguments):
        self.leat('show', *arguments, '-o', self.path('sheet.png'))
        return numpy.asarray(Image.open(self.path('sheet.png')))

    def test_show_has_the_colours_of_the_classes(self):
        normal = ('--mean', '0.485,0.456,0.406', '--std', '0.229,0.224,0.225')
        for more in ([], ['--dtype', 'f32', *normal], ['--dtype', 'f16', '--layout', 'hwc'],
                     ['--crop', 'random-resized', '--flip']):
            sheet = self.sheet('in', '--count', '60', '--shuffle-window', '0', '--image', '130', *more)
            columns = (sheet.shape[1] - 8) // 138
            for i in range(60):
                x, y = 8 + 138 * (i % columns) + 65, 29 + (130 + 3 + 29 + 8) * (i // columns) + 65
                self.assertLess(abs(sheet[y, x].astype(int) - self.COLOURS[i // 20]).max(), 6, (i, more))

    def test_show_of_shards_finds_the_class_names(self):
        named = self.sheet('tar', '--count', '4', '--shuffle-window', '0')
        shutil.copytree(f'{self.home}/tar', self.path('tar'))
        os.unlink(self.path('tar/classes.txt'))
        run('show', self.path('tar'), '--count', '4', '--shuffle-window', '0', '-o', self.path('bare.png'))
        bare = numpy.asarray(Image.open(self.path('bare.png')))
        self.assertEqual(named.shape, bare.shape)
        self.assertFalse(numpy.array_equal(named[29 + 224:29 + 240], bare[29 + 224:29 + 240]))

    def test_show_to_stdout_and_where_it_cannot(self):
        result = subprocess.run([LEAT, 'show', f'{self.home}/in', '-o', '-', '--count', '2'], capture_output=True)
        self.assertEqual(Image.open(io.BytesIO(result.stdout)).format, 'PNG')
        result = run('show', f'{self.home}/in', '-o', '/proc/none/s.png')
        self.check(result, 7, err='leat show: writing /proc/none/s.png: No such file or directory\n')

    def test_shards_into_other_shards(self):
        result = run('pack', f'{self.home}/tar', '--to', self.path('again'), '--shard-size', '50K')
        self.assertEqual(result.returncode, 0, result.stderr)
        names = lambda folder: [line.split('\t')[:2] for line in run('ls', folder).stdout.splitlines()]
        self.assertEqual(names(self.path('again')), names(f'{self.home}/tar'))
        sizes = [os.path.getsize(self.path('again', name)) for name in os.listdir(self.path('again'))]
        self.assertTrue(all(size <= 50 * 1024 for size in sizes))
        result = run('pack', self.path('again'), '--to', self.path('again'), '--overwrite')
        self.assertEqual(result.returncode, 3)
        self.assertIn('would be overwritten while it is read', result.stderr)


class Order(Case):
    """Which sample comes when: of every rank, from any step on, after any resume. 50 photographs, loose and in shards."""
    CLASSES = ('ant', 'bee', 'cat', 'dog', 'elk')
    LAUNCHERS = ('RANK', 'WORLD_SIZE', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'PMI_RANK', 'PMI_SIZE', 'SLURM_PROCID',
                 'SLURM_NTASKS', 'JOB_COMPLETION_INDEX')

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix='leat-order-')
        cls.addClassCleanup(shutil.rmtree, cls.home)
        cls.alone = {name: value for name, value in os.environ.items() if name not in cls.LAUNCHERS}
        cls.keys = []
        for folder, classes in (('in', cls.CLASSES), ('more', ('fox', 'gnu'))):
            for label, name in enumerate(classes):
                os.makedirs(f'{cls.home}/{folder}/{name}')
                for i in range(10):
                    image = Image.new('RGB', (40 + i, 30 + label), (25 * i, 40 * label, 99))
                    image.save(f'{cls.home}/{folder}/{name}/{i}.jpg')
                    cls.keys += [f'{name}/{i}'] if folder == 'in' else []
            result = run('pack', folder, '--to', folder + '-tar', '--shard-size', '20K', cwd=cls.home)
            assert result.returncode == 0, result.stderr

    def leat(self, *arguments, code=0, **env):
        result = run(*arguments, cwd=self.home, env={**self.alone, **env})
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def order(self, *arguments, **env):
        """[(step, rank, row, shard, key)]"""
        rows = [line.split('\t') for line in self.leat('order', *arguments, **env).stdout.splitlines()]
        return [(int(step), int(rank), int(row), shard, key) for step, rank, row, shard, key in rows]

    def bench(self, *arguments, code=0, source='in-tar', **env):
        return json.loads(self.leat('bench', source, *arguments, '--json', '--image', '16', '--batch', '8', '--crop',
                                    'random-resized', '--flip', '--seed', '5', code=code, **env).stdout)

    # ---- leat order ----

    def test_sequential_whole_output(self):
        result = self.leat('order', 'in', '--order', 'sequential', '--batch', '8', '--from', '1', '--to', '3')
        expected = ''.join(f'{n // 8}\t0\t{n % 8}\tin/{self.keys[n]}.jpg\t{self.keys[n]}\n' for n in range(8, 24))
        self.assertEqual((result.stdout, result.stderr), (expected, ''))

    def test_json_says_the_same(self):
        for source in ('in', 'in-tar'):
            rows = self.order(source, '--batch', '8', '--epoch', '3', '--world', '2')
            lines = self.leat('order', source, '--batch', '8', '--epoch', '3', '--world', '2', '--json').stdout.splitlines()
            self.assertEqual([json.loads(line) for line in lines],
                             [{'epoch': 3, 'step': step, 'rank': rank, 'row': row, 'shard': shard, 'key': key}
                              for step, rank, row, shard, key in rows])

    def test_every_sample_once_in_another_order_each_epoch(self):
        for source in ('in', 'in-tar'):
            orders = []
            for more in ([], ['--epoch', '1'], ['--seed', '1']):
                rows = self.order(source, '--batch', '8', *more)
                self.assertEqual([row[:3] for row in rows], [(n // 8, 0, n % 8) for n in range(50)])
                self.assertEqual(sorted(row[4] for row in rows), self.keys)
                orders.append(tuple(row[4] for row in rows))
            self.assertEqual(len(set(orders)), 3)
            self.assertEqual(tuple(row[4] for row in self.order(source, '--batch', '8')), orders[0])

    def test_ranks_share_each_step(self):
        for source in ('in', 'in-tar'):
            alone = self.order(source, '--batch', '8')
            for world in (1, 2, 3, 5, 8):
                every = self.order(source, '--batch', '8', '--world', str(world))
                kept = alone if 50 % 8 >= world else alone[:48]  # two are left for the last step
                self.assertEqual(every, [(step, slot % world, slot // world, shard, key) for step, _, slot, shard, key in kept])
                for rank in range(world):
                    own = self.order(source, '--batch', '8', '--world', str(world), '--rank', str(rank))
                    self.assertEqual(own, [row for row in every if row[1] == rank])
                    self.assertEqual({row[0] for row in own}, {row[0] for row in every})

    def test_from_and_to_cut_out_steps(self):
        for more in ([], ['--world', '3'], ['--world', '3', '--rank', '1'], ['--index', 'none']):
            rows = self.order('in-tar', '--batch', '8', *more)
            for first in range(7):
                for last in (first + 1, first + 3):
                    cut = self.order('in-tar', '--batch', '8', '--from', str(first), '--to', str(last), *more)
                    self.assertEqual(cut, [row for row in rows if first <= row[0] < last])
                self.assertEqual(self.order('in-tar', '--batch', '8', '--from', str(first), *more),
                                 [row for row in rows if first <= row[0]])

    def test_the_index_changes_nothing(self):
        self.assertEqual(self.order('in-tar', '--batch', '8', '--index', 'none'), self.order('in-tar', '--batch', '8'))

    def test_the_remainder(self):
        rows = self.order('in-tar', '--batch', '8')
        for flag in (['--remainder', 'drop'], ['--drop-last']):
            self.assertEqual(self.order('in-tar', '--batch', '8', *flag), rows[:48])
        padded = self.order('in-tar', '--batch', '8', '--remainder', 'pad')
        self.assertEqual(padded[:50], rows)
        self.assertEqual([row[3:] for row in padded[50:]], [row[3:] for row in rows[:6]])
        self.assertEqual([row[:3] for row in padded[50:]], [(6, 0, n) for n in range(2, 8)])

    def test_an_epoch_of_another_length(self):
        rows = self.order('in-tar', '--batch', '8', '--epoch-samples', '120')
        self.assertEqual(len(rows), 120)
        self.assertEqual(sorted(row[4] for row in rows[:50]), self.keys)
        self.assertEqual(sorted(row[4] for row in rows[50:100]), self.keys)
        follows = self.order('in-tar', '--batch', '8', '--epoch-samples', '120', '--epoch', '1')
        self.assertEqual(sorted([row[4] for row in rows[100:]] + [row[4] for row in follows[:30]]), self.keys)

    def test_launchers_are_for_bench_only(self):
        env = {'RANK': '1', 'WORLD_SIZE': '2'}
        self.assertEqual(self.order('in', **env), self.order('in'))
        self.assertEqual(self.leat('ls', 'in', **env).stdout, self.leat('ls', 'in').stdout)
        for name, more in (('a.png', {}), ('b.png', env)):
            self.leat('show', 'in', '-o', self.path(name), '--image', '16', **more)
        self.assertEqual(read(self.path('a.png')), read(self.path('b.png')))
        result = self.leat('pack', 'in-tar', '--to', self.path('again'), **env)
        self.assertTrue(result.stdout.startswith('50 samples'))

    def test_several_ranks_need_counts(self):
        result = self.leat('order', 'in-tar', '--index', 'none', '--world', '2', code=3)
        self.assertEqual(result.stdout, '')
        self.assertIn('leat index', result.stderr)
        self.check(self.leat('order', 'in', '--world', '2', '--rank', '2', code=3), 3,
                   err='leat order: rank is 2: 0 to 1 would be right, as world is 2\n')

    def test_names_cannot_forge_lines(self):
        self.write('odd/a\t0\t0\n1.jpg', b'x')
        result = run('order', 'odd', cwd=self.folder)
        self.check(result, 0, '0\t0\t0\todd/a\\x090\\x090\\x0a1.jpg\ta\\x090\\x090\\x0A1\n')

    def test_a_broken_shard_is_no_success(self):
        shutil.copytree(f'{self.home}/in-tar', self.path('tar'))
        first = self.path('tar', sorted(name for name in os.listdir(self.path('tar')) if name.endswith('.tar'))[0])
        data = read(first)
        os.truncate(first, 3000)
        result = run('order', 'tar', '--index', 'none', cwd=self.folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn(os.path.basename(first), result.stderr)
        self.assertLess(len(result.stdout.splitlines()), 50)
        with open(first, 'wb') as file:
            file.write(data)

    def quality(self, keys, group_of, batch):
        """The figures of --quality, from their definitions: over all pairs, and by counting batches."""
        n, places = len(keys), [self.keys.index(key) for key in keys]
        pairs = [(a, b) for a in range(n) for b in range(a)]
        groups = [group_of(key) for key in keys]
        batches = [groups[i:i + batch] for i in range(0, n, batch)]
        def expected(m):  # groups of a random batch of m: 1 - the chance that the first, second ... m-th are of others
            total = 0
            for group in set(groups):
                others, none = n - groups.count(group), 1.0
                for i in range(m):
                    none *= max(0, others - i) / (n - i)
                total += 1 - none
            return total
        return {
            'neighbour_distance': sum(abs(a - b) for a, b in zip(places, places[1:])) / (n - 1),
            'perfect_neighbour_distance': sum(abs(places[a] - places[b]) for a, b in pairs) / len(pairs),
            'same_group': sum(a == b for a, b in zip(groups, groups[1:])) / (n - 1),
            'perfect_same_group': sum(groups[a] == groups[b] for a, b in pairs) / len(pairs),
            'batch_groups': sum(len(set(b)) for b in batches) / len(batches),
            'perfect_batch_groups': sum(expected(len(b)) for b in batches) / len(batches),
            'batch_groups_least': min(len(set(b)) for b in batches if len(b) == batch),
            'samples': n, 'batches': len(batches), 'groups': len(set(groups)),
        }

    def test_quality_by_its_definitions(self):
        for source, more in (('in', []), ('in-tar', []), ('in-tar', ['--shuffle-window', '1']),
                             ('in-tar', ['--order', 'sequential']), ('in', ['--from', '1', '--to', '4'])):
            rows = self.order(source, '--batch', '8', '--epoch', '2', *more)
            shard_of = {row[4]: row[3] for row in rows}
            group_of = (lambda key: key[:3]) if source == 'in' else shard_of.get
            found = json.loads(self.leat('order', source, '--batch', '8', '--epoch', '2', '--quality', '--json', *more).stdout)
            expected = self.quality([row[4] for row in rows], group_of, 8)
            if more[:1] == ['--from']:  # places of the samples that were seen, by name
                seen = sorted(row[4] for row in rows)
                places = [seen.index(row[4]) for row in rows]
                expected['neighbour_distance'] = sum(abs(a - b) for a, b in zip(places, places[1:])) / (len(rows) - 1)
                expected['perfect_neighbour_distance'] = (len(rows) + 1) / 3
            for key, value in expected.items():
                self.assertAlmostEqual(found[key], value, 6, (source, more, key))
            self.assertEqual((found['group'], found['epoch']), ('class' if source == 'in' else 'shard', 2))
            poor = more[:1] == ['--order']
            self.assertEqual(found['mixing'] < 0.5, poor, found)
            self.assertEqual(found['verdict'].startswith('it mixes poorly'), poor)

    def test_quality_in_words(self):
        result = self.leat('order', 'in', '--order', 'sequential', '--batch', '8', '--quality')
        self.check(result, 0, '''\
  order       50 samples in 7 batches, epoch 0; 5 classes
  neighbours  1.0 places apart in the data on average; a perfect shuffle: 17.0
  same class  0.918 of the neighbours; a perfect shuffle: 0.184
  a batch     1.4 classes on average, 1 at least; a perfect shuffle: 3.9 on average

  it mixes poorly: more lanes, a larger shuffle window, or shards that were packed shuffled (leat pack --shuffle)
''')
        result = self.leat('order', 'in', '--limit', '1', '--quality')
        self.check(result, 0, '  order       1 sample in 1 batch, epoch 0; 1 class\n\n'
                              '  too few samples to say how well they are mixed\n')

    # ---- mixing ----

    def test_mixed_sources_keep_their_shares_at_every_prefix(self):
        for weights in ((0.7, 0.3), (1, 1), (5, 0.25)):
            rows = self.order('in-tar', '--weight', str(weights[0]), '--mix', f'more-tar={weights[1]}', '--batch', '8')
            self.assertEqual(len(rows), 70)
            share, count = weights[0] / sum(weights), 0
            for n, row in enumerate(rows, 1):
                count += row[3].startswith('in-tar/')
                self.assertLessEqual(abs(count - n * share), 1)

    def test_bench_counts_the_sources(self):
        report = self.bench('--weight', '0.7', '--mix', 'more-tar=0.3', '--epoch-samples', '100')
        self.assertEqual([(source['name'], source['weight']) for source in report['sources']],
                         [('in-tar', 0.7), ('more-tar', 0.3)])
        counts = [source['samples'] for source in report['sources']]
        self.assertEqual(sum(counts), 100)
        self.assertLessEqual(abs(counts[0] - 70), 1)
        words = self.leat('bench', 'in-tar', '--mix', 'more-tar=1', '--image', '16').stdout
        self.assertRegex(words, r'\n  source    \d+ samples, 0\.5 of all wanted: in-tar\n'
                                r'  source    \d+ samples, 0\.5 of all wanted: more-tar\n')

    # ---- ranks of leat bench ----

    def test_bench_takes_its_rank_from_the_launcher(self):
        whole = self.bench()
        self.assertEqual((whole['rank'], whole['world'], whole['launcher'], whole['indexed'], whole['steps']), (0, 1, '', True, 7))
        for launcher, rank, world in (('torchrun', 'RANK', 'WORLD_SIZE'), ('slurm', 'SLURM_PROCID', 'SLURM_NTASKS'),
                                      ('openmpi', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'), ('pmi', 'PMI_RANK', 'PMI_SIZE')):
            reports = [self.bench(**{rank: str(r), world: '2'}) for r in range(2)]
            self.assertEqual([(r['rank'], r['world'], r['launcher'], r['batches'], r['samples']) for r in reports],
                             [(r, 2, launcher, 7, 25) for r in range(2)])
        report = self.bench('--world', '2', JOB_COMPLETION_INDEX='1')
        self.assertEqual((report['rank'], report['launcher']), (1, 'kubernetes'))
        report = self.bench('--world', '2', '--rank', '1', RANK='5', WORLD_SIZE='6')
        self.assertEqual((report['rank'], report['world'], report['launcher']), (1, 2, 'config'))
        self.assertEqual((report['config']['rank'], report['config']['world']), (1, 2))

    def test_ranks_that_cannot_be(self):
        for arguments, env, sentence in (
                (['--world', '2'], {}, 'world is 2, and no launcher says which rank this is (RANK, OMPI_COMM_WORLD_RANK, PMI_RANK '
                 'or SLURM_PROCID, each with its count, or JOB_COMPLETION_INDEX): give rank, 0 to 1'),
                (['--world', '4'], {'RANK': '0', 'WORLD_SIZE': '2'},
                 'world is 4 and WORLD_SIZE (torchrun) says 2: give the same number, or no world at all'),
                ([], {'RANK': '2', 'WORLD_SIZE': '2'}, "RANK of the environment is '2': a whole number from 0 to 1 would be right, "
                 'as WORLD_SIZE is 2; or give rank and world in the config')):
            self.check(self.leat('bench', 'in-tar', *arguments, code=3, **env), 3, err=f'leat bench: {sentence}\n')

    def test_what_is_dropped_and_padded_is_said(self):
        report = self.bench('--world', '3', '--rank', '0')
        self.assertEqual((report['steps'], report['dropped'], report['padded'], report['samples']), (6, 2, 0, 18))
        report = self.bench('--remainder', 'drop')
        self.assertEqual((report['steps'], report['dropped'], report['config']['remainder']), (6, 2, 'drop'))
        self.assertTrue(report['config']['drop_last'])
        report = self.bench('--world', '3', '--rank', '1', '--remainder', 'pad')
        self.assertEqual((report['steps'], report['dropped'], report['padded'], report['samples']), (7, 0, 6, 21))
        words = self.leat('bench', 'in-tar', '--batch', '8', '--image', '16', '--world', '3', '--rank', '1', '--remainder',
                          'pad').stdout
        self.assertIn('\n  rank      1 of 3 (config); 7 steps an epoch; 6 rows padded\n', words)

    # ---- states ----

    def save(self, batches, *arguments, name='state', **env):
        report = self.bench('--stop-after', str(batches), '--save', self.path(name), *arguments, **env)
        self.assertEqual((report['batches'], report['state_file']), (batches, self.path(name)))
        return report

    def test_resumed_after_every_batch(self):
        for source in ('in', 'in-tar'):
            whole = self.bench('--epochs', '2', '--hash', source=source)
            self.assertEqual(whole['batches'], 14)
            for k in range(15):
                rest = self.bench('--epochs', '2', '--hash-from', str(k), source=source)
                self.assertEqual(rest['samples'], 100)
                self.save(k, '--epochs', '2', source=source)
                resumed = self.bench('--epochs', '2', '--resume', self.path('state'), '--hash', '--threads', '3', source=source)
                self.assertEqual((resumed['sha256'], resumed['batches']), (rest['sha256'], 14 - k), (source, k))
                self.assertEqual([(e['epoch'], e['batches']) for e in resumed['epochs']],
                                 [e for e in ((0, 7 - min(k, 7)), (1, 14 - max(k, 7))) if e[1]])

    def test_resumed_twice_and_without_an_index(self):
        for more in ([], ['--index', 'none'], ['--weight', '3', '--mix', 'more-tar=1']):
            rest = self.bench('--hash-from', '5', *more)
            self.save(2, *more)
            second = self.bench('--resume', self.path('state'), '--stop-after', '3', '--save', self.path('state'), *more)
            self.assertEqual(second['batches'], 3)
            resumed = self.bench('--resume', self.path('state'), '--hash', *more)
            self.assertEqual((resumed['sha256'], resumed['batches']), (rest['sha256'], rest['batches'] - 5))

    def test_resumed_with_other_ranks(self):
        self.save(3, '--world', '2', '--rank', '1')
        rest = [self.bench('--world', '3', '--rank', str(rank), '--hash-from', '3')['sha256'] for rank in range(3)]
        resumed = [self.bench('--world', '3', '--rank', str(rank), '--resume', self.path('state'), '--hash') for rank in range(3)]
        self.assertEqual([report['sha256'] for report in resumed], rest)

    def test_epochs_are_counted_from_the_first_one(self):
        self.save(9, '--epochs', '2')
        result = self.leat('bench', 'in-tar', '--image', '16', '--batch', '8', '--crop', 'random-resized', '--flip', '--seed', '5',
                           '--resume', self.path('state'))
        self.assertEqual(result.stderr, 'leat bench: nothing is left: the state stands behind the last epoch '
                                        '(--epochs counts from --epoch on)\n')
        self.assertIn('\n  samples   0 in 0 batches, 0 epochs\n', result.stdout)
        report = self.bench('--epoch', '1', '--epochs', '2', '--resume', self.path('state'))
        self.assertEqual([(e['epoch'], e['batches']) for e in report['epochs']], [(1, 5), (2, 7)])

    def test_a_state_of_something_else_is_refused(self):
        self.save(3)
        state = self.path('state')
        arguments = ['bench', 'in-tar', '--image', '16', '--batch', '8', '--crop', 'random-resized', '--flip', '--resume', state]
        text = read(state).decode()
        self.assertTrue(text.endswith('}\n') and text.count('\n') == 1 and len(text) <= 1024, text)
        for more, word in ((['--seed', '6'], 'seed'), (['--seed', '5', '--batch', '9'], 'batch'),
                           (['--seed', '5', '--remainder', 'pad'], 'remainder')):
            result = self.leat(*arguments, *more, code=3)
            self.assertEqual(result.stdout, '')
            self.assertIn(word, result.stderr)
        arguments[1] = 'more-tar'
        self.assertEqual(self.leat(*arguments, '--seed', '5', code=3).stdout, '')
        arguments[1] = 'in-tar'
        for i in range(0, len(text) - 1, 7):
            damaged = text[:i] + chr(ord(text[i]) ^ 1) + text[i + 1:]
            self.write('state', damaged.encode())
            self.assertEqual(self.leat(*arguments, '--seed', '5', code=3).stdout, '', damaged)

    def test_files_that_are_no_states(self):
        self.write('large', b'{' * 4097)
        self.write('none', b'\n')
        self.write('zero', b'{"a": "\0"}')
        for name, code, why in (('missing', 4, 'No such file or directory'), ('.', 4, 'Is a directory'),
                                ('large', 3, 'over 4096 bytes, so it is no state that leat has saved'),
                                ('none', 3, 'empty, so it is no state that leat has saved'),
                                ('zero', 3, 'has a zero byte, so it is no state that leat has saved')):
            self.check(run('bench', f'{self.home}/in', '--resume', name, cwd=self.folder), code,
                       err=f'leat bench: --resume {name}: {why}\n')
        self.write('other', b'{"version": "something else"}')
        self.assertEqual(self.leat('bench', 'in', '--resume', self.path('other'), code=3).stdout, '')

    def test_what_is_saved_is_whole_or_as_it_was(self):
        self.save(2)
        before = read(self.path('state'))
        result = self.leat('bench', 'in-tar', '--image', '16', '--save', '/proc/none/state', code=7)
        self.assertIn('leat bench: writing /proc/none/state: No such file or directory\n', result.stderr)
        result = self.leat('bench', 'in-tar', '--image', '16', '--save', '/proc/none/x', '--json', code=7)
        self.assertNotIn('state_file', json.loads(result.stdout))
        limit = lambda: (signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8)))
        result = run('bench', f'{self.home}/in', '--image', '16', '--save', self.path('state'), preexec_fn=limit)
        self.assertEqual(result.returncode, 7)
        self.assertIn(f'leat bench: writing {self.path("state")}: File too large\n', result.stderr)
        self.assertEqual((read(self.path('state')), os.listdir(self.folder)), (before, ['state']))
        os.symlink('state', self.path('link'))
        self.save(3, name='link')
        self.assertTrue(os.path.islink(self.path('link')))
        self.assertNotEqual(read(self.path('state')), before)
        self.assertEqual(sorted(os.listdir(self.folder)), ['link', 'state'])
        for path in ('none/x', 'state'):  # a run that was never opened leaves the file as it is
            before = read(self.path('state'))
            run('bench', self.path('nothing'), '--save', self.path(path))
            self.assertEqual(read(self.path('state')), before)

    def test_several_ranks_save_to_one_file(self):
        arguments = [LEAT, 'bench', f'{self.home}/in-tar', '--image', '16', '--batch', '8', '--stop-after', '3', '--world', '4',
                     '--save', self.path('state'), '--rank']
        for _ in range(5):
            ranks = [subprocess.Popen([*arguments, str(rank)], stdout=subprocess.DEVNULL, env=self.alone) for rank in range(4)]
            self.assertEqual([rank.wait(timeout=60) for rank in ranks], [0] * 4)
            json.loads(read(self.path('state')))
            self.assertEqual(os.listdir(self.folder), ['state'])

    def test_interrupted_and_resumed(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([LEAT, 'bench', 'in-tar', '--image', '16', '--batch', '8', '--crop', 'random-resized',
                                        '--flip', '--seed', '5', '--epochs', '100', '--json', '--consumer-delay', '30', '--save',
                                        self.path('state')], cwd=self.home, env=self.alone, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            time.sleep(1)
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
            self.assertEqual((process.returncode, err), (128 + number, b''))
            taken = json.loads(out)['batches']
            self.assertGreater(taken, 3)
            rest = self.bench('--epochs', '100', '--hash-from', str(taken), '--stop-after', str(taken + 20))
            resumed = self.bench('--epochs', '100', '--resume', self.path('state'), '--hash', '--stop-after', '20')
            self.assertEqual(resumed['sha256'], rest['sha256'])

    def test_ended_by_an_error_and_resumed(self):
        shutil.copytree(f'{self.home}/in', self.path('in'))
        names = [row[4] for row in self.order('in', '--batch', '8', '--seed', '5')]
        self.write(f'in/{names[20]}.jpg', b'broken')
        arguments = ['bench', 'in', '--image', '16', '--batch', '8', '--seed', '5', '--json']
        result = run(*arguments, '--on-error', 'stop', '--save', 'state', cwd=self.folder, env=self.alone)
        self.assertEqual((result.returncode, json.loads(result.stdout)['batches']), (1, 2))
        rest = json.loads(run(*arguments, '--hash-from', '2', cwd=self.folder, env=self.alone).stdout)
        result = run(*arguments, '--resume', 'state', '--hash', cwd=self.folder, env=self.alone)
        self.assertEqual(json.loads(result.stdout)['sha256'], rest['sha256'])


class Index(Case):
    """leat index as docs/formats.md describes its file: read here by struct, compared with tarfile."""

    def shard(self, name, samples, size=1500, form=tarfile.USTAR_FORMAT):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with tarfile.open(self.path(name), 'w', format=form) as archive:
            for i in range(samples):
                for field, data in (('jpg', noise(size + i, i)), ('cls', b'1')):
                    info = tarfile.TarInfo(f's{i}.{field}')
                    info.size = len(data)
                    archive.addfile(info, io.BytesIO(data))

    def index(self, *arguments, code=0):
        result = run('index', *arguments, cwd=self.folder)
        self.assertEqual(result.returncode, code, result.stderr)
        return result

    def rows(self, *path):
        """{name: (bytes, bytes unpacked, samples, CRC of the head, places or None, ETag)}, every checksum compared."""
        data = read(self.path(*path))
        head = struct.unpack('<8sIIQQQQQII', data[:64])
        table = data[64:64 + head[6]]
        self.assertEqual(head[:4] + head[7:], (b'\x89LEAT\r\n\x1a', 1, 64, len(data), 0, zlib.crc32(table), zlib.crc32(data[:60])))
        rows, at = {}, 64 + len(table)
        for number in range(head[4]):
            size, samples, where, crc, flags, length, tag, text, unpacked = struct.unpack_from('<QQQIIIIQQ', table, 56 * number)
            places = None
            if flags & 1:
                self.assertEqual(where, at)
                places = []
                while len(places) <= samples:
                    count = min(1024, samples + 1 - len(places))
                    places += [512 * place for place in struct.unpack_from(f'<{count}I', data, at)]
                    self.assertEqual(struct.unpack_from('<I', data, at + 4 * count)[0], zlib.crc32(data[at:at + 4 * count]))
                    at += 4 * count + 4
            name, etag = table[text:text + length].decode(), table[text + length + 1:text + length + 1 + tag].decode()
            rows[name] = (size, unpacked, samples, crc, places, etag)
        self.assertEqual((at, sum(row[2] for row in rows.values()), sorted(rows)), (len(data), head[5], list(rows)))
        return rows

    def truth(self, name, etag=''):
        data = read(self.path(name))
        with tarfile.open(self.path(name)) as archive:
            members = archive.getmembers()
        places = [member.offset for member in members if member.name.endswith('.jpg')]
        end = members[-1].offset_data + 512 if members else 0
        return len(data), len(data), len(places), zlib.crc32(data[:4096]), places + [end], etag

    def test_whole_outputs(self):
        self.shard('in/a.tar', 3)
        self.shard('in/b.tar', 1100, size=0)
        self.shard('in/c.tar', 0)
        result = self.index('in')
        self.assertRegex(result.stdout, r'^1103 samples in 3 shards in \d+\.\d s: 1 index file, 4\.6K\n$')
        self.assertEqual(result.stderr, '')
        self.assertEqual(sorted(os.listdir(self.path('in'))), ['a.tar', 'b.tar', 'c.tar', 'leat.index'])
        self.assertEqual(self.rows('in/leat.index'), {name: self.truth(f'in/{name}') for name in ('a.tar', 'b.tar', 'c.tar')})
        before = read(self.path('in/leat.index'))
        result = json.loads(self.index('in', '--json', '--threads', '1').stdout)
        self.assertGreater(result.pop('seconds'), 0)
        self.assertEqual(result, {'shards': 3, 'samples': 1103, 'files': 1, 'bytes': len(before)})
        self.assertEqual(read(self.path('in/leat.index')), before)
        self.index('in', '--to', 'deep/er')
        self.assertEqual(read(self.path('deep/er/leat.index')), before)

    def test_long_bodies_are_stepped_over(self):
        self.shard('a.tar', 3, size=5000000, form=tarfile.PAX_FORMAT)
        self.index('a.tar')
        self.assertEqual(self.rows('leat.index'), {'a.tar': self.truth('a.tar')})
        os.truncate(self.path('a.tar'), 7000000)
        result = self.index('a.tar', code=1)
        self.assertRegex(result.stderr, r'^leat index: a\.tar: tar archive ends at byte 7000000, \d+ bytes short of the end of the entry at '
                                        r'byte 5001728\n$')
        self.assertEqual(list(self.rows('leat.index')), ['a.tar'])  # the old one stays

    def test_refusals(self):
        self.write('photos/1.jpg', b'x')
        self.shard('x/a.tar', 1)
        self.shard('y/a.tar', 1)
        self.check(self.index('photos', code=3), 3, '', 'leat index: the source has no shards, but loose files, which need no index\n')
        self.check(self.index('nowhere', code=4), 4, '', "leat index: there is no file or folder 'nowhere'\n")
        self.check(self.index('http://127.0.0.1:1/a.tar', code=3), 3, '',
                   'leat index: the shards are not on local disk: say where the index goes to (to, --to DIR)\n')
        self.check(self.index('{x,y}/a.tar', '--to', 'z', code=3), 3, '',
                   'leat index: the source: two shards are named a.tar, and an index tells shards by their base names\n')
        self.check(self.index('x', '--header', 'no', code=3), 3, '',
                   'leat index: headers[0] is not of the form "Name: value" without control characters\n')
        self.check(self.index('x', '--to', '/proc/none', code=7), 7, '',
                   'leat index: making folder /proc/none: No such file or directory\n')
        self.assertFalse(os.path.exists(self.path('z')))

    def test_pack_writes_the_same(self):
        for i in range(30):
            self.write(f'in/{"ab"[i % 2]}/{i}.jpg', noise(3000 + i, i))
        for options in ([], ['--zstd', '--prefix', 'z'], ['--shuffle', '--prefix', 's'], ['--overwrite', '--shard-size', '30K']):
            self.assertEqual(run('pack', 'in', '--to', 'out', '--shard-size', '20K', *options, cwd=self.folder).returncode, 0)
            written = read(self.path('out/leat.index'))
            self.index('out')
            self.assertEqual(read(self.path('out/leat.index')), written, options)
        rows = self.rows('out/leat.index')
        packed = {name: row for name, row in rows.items() if name.endswith('.zst')}
        self.assertGreater(len(packed), 1)
        for name, (size, unpacked, _, _, places, _) in packed.items():
            whole = subprocess.run(['zstd', '-dc', self.path('out', name)], check=True, capture_output=True).stdout
            self.assertEqual((size, unpacked, places), (os.path.getsize(self.path('out', name)), len(whole), None))
        self.assertTrue(all(row[0] == row[1] for name, row in rows.items() if name not in packed))

    def test_a_part_of_a_folder(self):
        for name in 'abc':
            self.shard(f'in/{name}.tar', 3)
        self.index('in')
        self.shard('in/b.tar', 5)
        result = self.index('in/b.tar')
        self.assertRegex(result.stdout, '^5 samples in 1 shard in')
        self.assertEqual(self.rows('in/leat.index'), {name: self.truth(f'in/{name}') for name in ('a.tar', 'b.tar', 'c.tar')})
        self.index('b.tar', '--to', 'x', code=4)
        self.index('in/b.tar', '--to', 'x')
        self.assertEqual(list(self.rows('x/leat.index')), ['b.tar'])

    def test_pack_beside_a_shard_that_cannot_be_read(self):
        self.write('in/a/1.jpg', noise(3000, 1))
        self.shard('out/w.tar', 3)
        self.assertEqual(run('pack', 'in', '--to', 'out', cwd=self.folder).returncode, 0)
        self.assertEqual(list(self.rows('out/leat.index')), ['shard-000000.tar', 'w.tar'])
        os.truncate(self.path('out/w.tar'), 3000)
        result = run('pack', 'in', '--to', 'out', '--prefix', 'next', cwd=self.folder)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r'^leat pack: out/w\.tar: tar archive ends at byte 3000, .*: so out/leat\.index could not be '
                                        r'written anew, and lacks shards that are there now; what was packed is whole: mend or remove '
                                        r'that shard and run leat index\n$')
        self.assertEqual(sorted(os.listdir(self.path('out'))),
                         ['classes.txt', 'leat.index', 'next-000000.tar', 'shard-000000.tar', 'w.tar'])
        os.unlink(self.path('out/w.tar'))
        self.index('out')
        self.assertEqual(list(self.rows('out/leat.index')), ['next-000000.tar', 'shard-000000.tar'])

    def test_over_http(self):
        self.shard('www/a.tar', 3)
        self.shard('www/b.tar', 700, size=3000)
        os.mkdir(self.path('scratch'))
        with servers.Nginx(self.path('www'), self.path('scratch')) as nginx:
            self.index(nginx.url('{a,b}.tar'), '--to', 'out')
            etags = [urllib.request.urlopen(nginx.url(name)).headers['ETag'] for name in ('a.tar', 'b.tar')]
            self.assertEqual(self.rows('out/leat.index'), {'a.tar': self.truth('www/a.tar', etags[0]), 'b.tar': self.truth('www/b.tar', etags[1])})
            result = self.index(nginx.url('{a,c}.tar'), '--to', 'none', code=4)
            self.assertIn('c.tar: HTTP 404', result.stderr)
            self.assertFalse(os.path.exists(self.path('none')))

    def test_interrupted(self):
        os.makedirs(self.path('in'))
        self.shard('www/a.tar', 3000, size=3000)
        os.mkdir(self.path('scratch'))
        with servers.Nginx(self.path('www'), self.path('scratch')) as nginx:
            process = subprocess.Popen([LEAT, 'index', nginx.url('slow/a.tar'), '--to', self.path('out')], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            self.assertEqual(process.communicate(timeout=10), (b'', b'leat index: stopped as asked; no index was written\n'))
            self.assertEqual(process.returncode, 130)
        self.assertFalse(os.path.exists(self.path('out')))


if __name__ == '__main__':
    if not os.access(LEAT, os.X_OK):
        sys.exit(f'no command at {LEAT}: set LEAT')
    unittest.main()
