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
import subprocess
import sys
import tarfile
import tempfile
import time
import unittest

import numpy
from PIL import Image

LEAT = os.path.abspath(os.environ.get('LEAT', 'build/leat'))
COMMANDS = ('bench', 'ls', 'show', 'pack')


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
                     'header epoch consumer-delay orient alpha resize-shorter timeout').split():
            self.assertIn(f'      --{name} ', text)
        for key in ('queue_depth_mean', 'busy_seconds', 'starved_seconds', 'blocked_seconds', 'of_ideal',
                    'samples_per_second'):
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
                                        f'{len(before) - 1}): choose another folder or prefix, or overwrite\n')
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
        self.assertEqual(sorted(os.listdir(self.path('out'))), ['classes.txt', 'shard-000000.tar'])

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


if __name__ == '__main__':
    if not os.access(LEAT, os.X_OK):
        sys.exit(f'no command at {LEAT}: set LEAT')
    unittest.main()
