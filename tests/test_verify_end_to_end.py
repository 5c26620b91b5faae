#!/usr/bin/python3
"""`leat verify` as its users see it: folders that `leat fetch` has filled from a real nginx and that were damaged then; --quick,
--deep, --checksums, --fix, --json; what comes back, what stays, what the exit code is. Every run is checked: strict JSON, files =
good + bad + missing, a finding for each, nothing touched without --fix."""
import gzip
import hashlib
import io
import json
import os
import random
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

import fetching
import servers
from fetching import read, write

LEAT = fetching.LEAT
FINE, SOME_FAILED, BAD_USE, BAD_CONFIG, NO_SOURCE, BAD_DATA = 0, 1, 2, 3, 4, 6
SIZE = 50000
QUICKLY = ['--connect-timeout', '2', '--retries', '1', '--seed', '1']


def tar(members, mode='w'):
    """The bytes of an archive of {name: bytes}."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zstd(data):
    return subprocess.run(['zstd', '-q', '--check', '-c'], input=data, stdout=subprocess.PIPE, check=True, timeout=30).stdout


def image(kind, seed=1):
    out = io.BytesIO()
    pixels = numpy.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=numpy.uint8)
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def array(count=1000):
    out = io.BytesIO()
    numpy.save(out, numpy.arange(count, dtype=numpy.float32))
    return out.getvalue()


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def contents():
    """{name: bytes} of the data set."""
    chance = random.Random(7)
    samples = {f'{number:04}.{end}': data for number in range(6)
               for end, data in (('jpg', image('JPEG', number)), ('cls', b'%d' % number))}
    files = {f'small/{number:03}.bin': chance.randbytes(chance.choice((0, 1, 900, SIZE))) for number in range(40)}
    files.update({'train.tar': tar(samples), 'train.tar.zst': zstd(tar(samples)), 'train.tar.gz': tar(samples, 'w:gz')})
    files.update({'x.jpg': image('JPEG'), 'x.png': image('PNG'), 'x.npy': array(), 'text.zst': zstd(chance.randbytes(SIZE)),
                  'text.gz': gzip.compress(chance.randbytes(SIZE)), 'big.bin': chance.randbytes(3 << 20),
                  'a/b/c.bin': chance.randbytes(SIZE)})
    return files


class Looked:
    """What a run of `leat verify --json` said."""

    def __init__(self, done):
        self.code, self.stderr, self.stdout = done.returncode, done.stderr, done.stdout
        self.events = [fetching.Run.strict(line) for line in done.stdout.splitlines()]
        self.summary = self.events[-1] if self.events else None
        self.findings = self.events[:-1]

    def of(self, state):
        return sorted(finding['path'] for finding in self.findings if finding['state'] == state)

    def message(self, path):
        return next(finding['message'] for finding in self.findings if finding['path'] == path)


class Verify(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix='leat-verify-', dir='/var/tmp')
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.root, cls.first = os.path.join(cls.scratch, 'root'), os.path.join(cls.scratch, 'first')
        cls.files = contents()
        for name, data in cls.files.items():
            os.makedirs(os.path.dirname(os.path.join(cls.root, name)), exist_ok=True)
            write(os.path.join(cls.root, name), data)
        cls.server = servers.Nginx(cls.root, cls.scratch)
        cls.addClassCleanup(cls.server.stop)
        cls.list = os.path.join(cls.scratch, 'list.txt')
        write(cls.list, ''.join(cls.server.url(name) + '\n' for name in sorted(cls.files)))
        cls.fetch(cls.first)

    @classmethod
    def fetch(cls, to, *sources):
        done = subprocess.run([LEAT, 'fetch', *(sources or ['@' + cls.list]), '--to', to, '--json', '--no-durable'], timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='case-', dir=self.scratch)
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.to = os.path.join(self.folder, 'to')
        shutil.copytree(self.first, self.to)

    def at(self, *parts):
        return os.path.join(self.to, *parts)

    def run_verify(self, *more, to=None, cwd=None):
        done = subprocess.run([LEAT, 'verify', to or self.to, *QUICKLY, '--json', *more], stdin=subprocess.DEVNULL, cwd=cwd,
                              capture_output=True, text=True, timeout=60)
        self.assertNotRegex(done.stderr, r'AddressSanitizer|runtime error|ThreadSanitizer|Assertion')
        return Looked(done)

    def snapshot(self, folder=None):
        """{name: what is there}, of files their bytes, .leat and all."""
        found = {}
        for path, folders, names in os.walk(folder or self.to):
            for name in folders + names:
                full = os.path.join(path, name)
                kind = os.lstat(full).st_mode
                plain = not os.path.islink(full) and os.path.isfile(full)
                found[os.path.relpath(full, folder or self.to)] = (kind, read(full) if plain else b'')
        return found

    def look(self, *more, bad=(), missing=(), code=None, unknown=0, unverified=0, files=None, to=None):
        """A run without --fix, of which all is checked."""
        before = self.snapshot(to)
        looked = self.run_verify(*more, to=to)
        said = looked.stdout + looked.stderr
        self.assertEqual(self.snapshot(to), before, 'something was touched')
        self.assertEqual((looked.of('bad'), looked.of('missing'), looked.of('fixed')), (sorted(bad), sorted(missing), []), said)
        counts = looked.summary
        self.assertEqual(counts['files'], counts['good'] + counts['bad'] + counts['missing'], said)
        self.assertEqual((counts['files'], counts['bad'], counts['missing'], counts['unknown'], counts['unverified']),
                         (len(self.files) if files is None else files, len(bad), len(missing), unknown, unverified), said)
        self.assertEqual(looked.code, (BAD_DATA if bad or missing else FINE) if code is None else code, said)
        self.assertEqual(counts['exit_code'], looked.code)
        for finding in looked.findings:
            self.assertTrue(finding['message'] and finding['code'], said)
        return looked

    def refused(self, to, code, words, *more):
        looked = self.run_verify(*more, to=to)
        self.assertEqual(looked.code, code, looked.stdout + looked.stderr)
        self.assertRegex(looked.stderr, words)
        return looked

    def mended(self, looked, code, fixed=(), unfixed=()):
        self.assertEqual((looked.of('fixed'), looked.of('unfixed'), looked.summary['fixed'], looked.code),
                         (list(fixed), list(unfixed), len(fixed), code), looked.stdout + looked.stderr)

    def fixed(self, *names, with_=()):
        """A run with --fix after which all is as it was fetched."""
        looked = self.run_verify('--fix', *with_)
        self.mended(looked, FINE, fixed=sorted(names))
        for name, data in self.files.items():
            self.assertEqual(read(self.at(name)), data, name)
        self.assertEqual(os.listdir(self.at('.leat')), ['records'])
        self.look()
        return looked

    # ---- sizes and checksums ----

    def test_a_good_folder(self):
        looked = self.look()
        self.assertEqual(looked.summary['bytes'], sum(map(len, self.files.values())))
        self.look('--deep')
        self.look('--quick', unverified=len(self.files))

    def test_what_is_printed(self):
        write(self.at('x.npy'), b'')
        os.unlink(self.at('x.png'))
        done = subprocess.run([LEAT, 'verify', self.to], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        lines = sorted(done.stdout.splitlines())
        self.assertEqual(done.returncode, BAD_DATA)
        self.assertRegex(lines[0], r'^\d+ files, .* in .* s: \d+ good, 1 bad, 1 missing$')
        self.assertRegex(lines[1], r'^bad      x\.npy: it has 0 bytes, it should have \d+$')
        self.assertEqual(lines[2:], ['missing  x.png'])

    def test_a_flipped_byte(self):
        for at in (0, 1 << 20, (3 << 20) - 1):
            write(self.at('big.bin'), flipped(self.files['big.bin'], at))
            looked = self.look(bad=['big.bin'])
            self.assertRegex(looked.message('big.bin'), 'crc32c is [0-9a-f]{8}, it should be [0-9a-f]{8}')
            self.look('--quick', unverified=len(self.files))

    def test_cut_or_longer(self):
        data = self.files['big.bin']
        for there in (data[:-1], b'', data + b'x'):
            write(self.at('big.bin'), there)
            for how in ((), ('--quick',), ('--deep',)):
                looked = self.look(*how, bad=['big.bin'], unverified=len(self.files) - 1 if how == ('--quick',) else 0)
                self.assertRegex(looked.message('big.bin'), f'it has {len(there)} bytes, it should have {len(data)}')

    def test_missing(self):
        os.unlink(self.at('x.jpg'))
        shutil.rmtree(self.at('a'))
        self.look(missing=['x.jpg', 'a/b/c.bin'])
        write(self.at('a'), b'a file where a folder was')
        self.look(missing=['x.jpg', 'a/b/c.bin'], unknown=1)

    def test_all_missing(self):
        for name in self.files:
            os.unlink(self.at(name))
        self.look(missing=self.files)

    def test_replaced_by_what_is_no_file(self):
        for name in ('x.jpg', 'x.png', 'x.npy', 'text.gz'):
            os.unlink(self.at(name))
        os.mkdir(self.at('x.jpg'))
        os.mkfifo(self.at('x.png'))
        os.symlink(os.path.join(self.root, 'x.npy'), self.at('x.npy'))
        os.symlink('nowhere', self.at('text.gz'))
        shutil.rmtree(self.at('a'))
        os.symlink(os.path.join(self.root, 'a'), self.at('a'))
        names = ['a/b/c.bin', 'text.gz', 'x.jpg', 'x.npy', 'x.png']
        for how in ((), ('--deep',), ('--quick',)):
            looked = self.look(*how, bad=names, unverified=len(self.files) - len(names) if how == ('--quick',) else 0)
            self.assertRegex(looked.message('x.npy'), 'link')
            self.assertRegex(looked.message('a/b/c.bin'), 'link')

    def test_what_is_no_file_is_not_fixed_but_left_alone(self):
        os.unlink(self.at('x.jpg'))
        os.mkdir(self.at('x.jpg'))
        write(self.at('x.jpg', 'mine'), b'mine')
        os.unlink(self.at('x.npy'))
        os.symlink(os.path.join(self.root, 'x.npy'), self.at('x.npy'))
        os.unlink(self.at('x.png'))
        os.mkfifo(self.at('x.png'))
        write(self.at('big.bin'), b'')
        looked = self.run_verify('--fix')
        self.mended(looked, BAD_DATA, fixed=['big.bin'], unfixed=['x.jpg', 'x.npy', 'x.png'])
        self.assertEqual(read(self.at('x.jpg', 'mine')), b'mine')
        self.assertTrue(os.path.islink(self.at('x.npy')))
        self.assertEqual(os.listdir(self.at('.leat')), ['records'])
        self.look(bad=['x.jpg', 'x.npy', 'x.png'], unknown=1)

    # ---- records ----

    def records(self):
        """Paths of the files of records, and their lines."""
        folder = self.at('.leat', 'records')
        paths = [os.path.join(folder, name) for name in os.listdir(folder)]
        return {path: read(path).splitlines(keepends=True) for path in paths}

    def test_a_file_that_was_fetched_twice(self):
        name = os.path.join(self.root, 'twice.bin')
        self.addCleanup(os.unlink, name)
        self.addCleanup(self.files.pop, 'twice.bin')
        for data in (b'first', b'another', b'another'):
            time.sleep(1.1 if data != b'first' else 0)  # records have whole seconds
            write(name, data)
            if os.path.exists(self.at('twice.bin')):
                os.unlink(self.at('twice.bin'))
            self.fetch(self.to, self.server.url('twice.bin'))
        self.files['twice.bin'] = b'another'
        self.assertEqual(sum(b'twice.bin' in line for lines in self.records().values() for line in lines), 3)
        self.look()
        write(self.at('twice.bin'), b'first')
        self.look()
        write(self.at('twice.bin'), b'neither')
        looked = self.look(bad=['twice.bin'])
        self.assertRegex(looked.message('twice.bin'), 'crc32c')
        self.fixed('twice.bin')
        os.unlink(self.at('twice.bin'))
        self.look(missing=['twice.bin'])
        self.fixed('twice.bin')

    def test_files_that_nothing_is_recorded_of(self):
        os.mkdir(self.at('mine'))
        for name in ('mine/x', 'y.jpg', 'a/b/z.tar'):
            write(self.at(name), b'')
        self.look(unknown=3)
        os.symlink('nowhere', self.at('link'))
        os.mkfifo(self.at('fifo'))
        self.look(unknown=3)
        looked = self.look('--deep', unknown=3, bad=['y.jpg', 'a/b/z.tar'], files=len(self.files) + 3, unverified=1)
        self.assertNotEqual(looked.message('y.jpg'), looked.message('a/b/z.tar'))
        self.run_verify('--deep', '--fix')
        self.assertTrue(os.path.exists(self.at('y.jpg')), 'leat did not write that')

    def test_links_that_nothing_is_recorded_of_are_not_followed(self):
        os.symlink(os.path.join(self.root, 'x.jpg'), self.at('link.jpg'))
        self.look('--deep', unknown=1)

    def test_no_records_at_all(self):
        mine = os.path.join(self.folder, 'mine')
        os.mkdir(mine)
        write(os.path.join(mine, 'x.jpg'), self.files['x.jpg'])
        self.refused(mine, NO_SOURCE, 'nothing is recorded')
        self.look('--deep', to=mine, files=1, unknown=1, unverified=1)
        self.refused(os.path.join(self.folder, 'nowhere'), NO_SOURCE, 'nowhere')
        self.refused(os.path.join(mine, 'x.jpg'), SOME_FAILED, 'x.jpg')
        shutil.rmtree(self.at('.leat', 'records'))
        self.refused(self.to, NO_SOURCE, 'nothing is recorded')

    def test_a_damaged_line_of_the_records(self):
        path, lines = next(iter(self.records().items()))
        torn = json.loads(lines[3])['path']
        lines[3] = lines[3][:-20] + b'\n'
        lines.insert(0, b'\xff\x00{{{\n')
        write(path, b''.join(lines) + b'{"path":"x')
        self.look(files=len(self.files) - 1, unknown=1)
        os.unlink(self.at(torn))
        self.look(files=len(self.files) - 1)

    def test_a_record_that_leads_out(self):
        path, lines = next(iter(self.records().items()))
        outside = os.path.join(self.folder, 'outside.bin')
        write(outside, b'not looked at')
        entry = json.loads(next(line for line in lines if b'x.npy' in line))
        entry['path'] = '../outside.bin'
        write(path, b''.join(lines) + json.dumps(entry).encode() + b'\n')
        self.look(bad=['../outside.bin'], files=len(self.files) + 1)
        self.run_verify('--fix')
        self.assertEqual(read(outside), b'not looked at')

    # ---- checksums from elsewhere ----

    def sums(self, names, prefix=''):
        path = os.path.join(self.folder, 'SHA256SUMS')
        write(path, ''.join(f'{hashlib.sha256(self.files[name]).hexdigest()}  {prefix}{name}\n' for name in names))
        return path

    def test_checksums_count_beside_the_records(self):
        path = self.sums(self.files)
        self.look('--checksums', path)
        write(path, read(path).decode().replace(hashlib.sha256(self.files['x.jpg']).hexdigest(), 64 * 'a'))
        looked = self.look('--checksums', path, bad=['x.jpg'])
        self.assertRegex(looked.message('x.jpg'), 'sha256 is [0-9a-f]{64}, it should be a{64}')

    def test_checksums_of_a_folder_that_leat_has_not_filled(self):
        shutil.rmtree(self.at('.leat'))
        path = self.sums(['x.jpg', 'a/b/c.bin', 'big.bin'])
        self.look('--checksums', path, files=3, unknown=len(self.files) - 3)
        write(self.at('big.bin'), flipped(self.files['big.bin'], 77))
        os.unlink(self.at('x.jpg'))
        self.look('--checksums', path, files=3, unknown=len(self.files) - 3, bad=['big.bin'], missing=['x.jpg'])

    def test_checksums_by_other_names(self):
        """The list was made above the folder, or in one of its folders."""
        shutil.rmtree(self.at('.leat'))
        self.look('--checksums', self.sums(['x.jpg', 'big.bin'], prefix='set/'), files=2, unknown=len(self.files) - 2)
        path = os.path.join(self.folder, 'SHA256SUMS')
        write(path, hashlib.sha256(self.files['a/b/c.bin']).hexdigest() + '  c.bin\n')
        self.look('--checksums', path, files=1, unknown=len(self.files) - 1)

    def test_checksums_that_cannot_be_read(self):
        path = os.path.join(self.folder, 'SUMS')
        write(path, 'no checksum\n')
        self.refused(self.to, BAD_CONFIG, 'SUMS', '--checksums', path)
        self.refused(self.to, NO_SOURCE, 'SUMS2', '--checksums', path + '2')

    # ---- what is inside ----

    def deep(self, name, data, words, fine=False):
        """A file that came as it is, and is damaged inside."""
        folder = os.path.join(self.folder, 'deep')
        os.mkdir(folder)
        write(os.path.join(folder, name), data)
        looked = self.look('--deep', to=folder, files=1, unknown=1, bad=[] if fine else [name], unverified=int(fine))
        if not fine:
            self.assertRegex(looked.message(name), words)
        shutil.rmtree(folder)

    def test_tar(self):
        whole = self.files['train.tar']
        self.deep('x.tar', whole, '', fine=True)
        self.deep('x.tar', whole[:3000], '(?i)byte [0-9]+')
        self.deep('x.tar', whole[:512 + 100], '(?i)byte [0-9]+')
        second = 512 + (len(image('JPEG', 0)) + 511) // 512 * 512
        self.deep('x.tar', flipped(whole, second + 3), f'(?i)byte {second}.*checksum|checksum.*byte {second}')
        self.deep('x.tar', b'<html>' * 1000, '(?i)tar')
        self.deep('x.tar', tar({'video.mp4': bytes(100 << 20)}), '', fine=True)

    def test_tar_within_zstd_and_gzip(self):
        for name in ('train.tar.zst', 'train.tar.gz'):
            whole = self.files[name]
            self.deep('x' + name[5:], whole, '', fine=True)
            self.deep('x' + name[5:], whole[:-5], '.')
            self.deep('x' + name[5:], whole[:len(whole) // 2], '.')
            self.deep('x' + name[5:], flipped(whole, len(whole) // 2), '.')
            self.deep('x' + name[5:], flipped(whole, len(whole) - (9 if name.endswith('gz') else 1)), '.')

    def test_images_within_a_tar(self):
        good = {'a.jpg': image('JPEG'), 'b.png': image('PNG')}
        self.deep('x.tar', tar(good), '', fine=True)
        self.deep('x.tar', tar({**good, 'c.jpg': flipped(image('JPEG'), 2)}), r'c\.jpg')
        self.deep('x.tar', tar({**good, 'c.png': b'<html>404</html>'}), r'c\.png.*HTML')
        self.deep('x.tar', tar({**good, 'c.jpg': image('JPEG')[:-200]}), r'c\.jpg.*end')
        self.deep('x.tar', tar({**good, 'c.npy': array()[:-1]}), r'c\.npy')
        self.deep('x.tar', tar({**good, 'c.txt': b'<html>', 'd.cls': b'no number'}), '', fine=True)

    def test_packed(self):
        for name in ('text.zst', 'text.gz'):
            whole = self.files[name]
            self.deep(name, whole, '', fine=True)
            self.deep(name, whole + whole, '', fine=True)
            self.deep(name, whole[:-1], 'byte [0-9]+')
            self.deep(name, whole[:10], 'byte [0-9]+')
            self.deep(name, flipped(whole, len(whole) // 2), 'byte [0-9]+')
            self.deep(name, whole + b'more of it', 'byte [0-9]+')
            self.deep(name, b'<html>', 'zstd|gzip')
            self.deep(name, b'', 'zstd|gzip|empty')

    def test_packed_to_a_thousandth_is_no_damage(self):
        zeros = bytes(100 << 20)
        self.deep('zeros.gz', gzip.compress(zeros, 9), '', fine=True)
        self.deep('zeros.zst', zstd(zeros), '', fine=True)

    def test_loose_images_and_arrays(self):
        for kind, end in (('JPEG', '.jpg'), ('PNG', '.png')):
            whole = image(kind)
            self.deep('x' + end, whole, '', fine=True)
            self.deep('X' + end.upper(), whole, '', fine=True)
            self.deep('x' + end, whole[:-300], 'end|trunc')
            self.deep('x' + end, whole[:30], 'end|trunc')
            self.deep('x' + end, b'<!DOCTYPE html><html></html>', 'HTML')
            self.deep('x' + end, b'', 'empty|end|0 bytes|no')
        self.deep('x.npy', array(), '', fine=True)
        self.deep('x.npy', array()[:-1], 'npy')
        self.deep('x.npy', array()[:20], 'npy')
        self.deep('x.npy', b'not one', 'npy')

    def test_bad_inside_and_bad_at_its_source_cannot_be_fixed(self):
        """The server has the same: it comes back as it was."""
        name = os.path.join(self.root, 'cut.jpg')
        write(name, self.files['x.jpg'][:30])
        self.addCleanup(os.unlink, name)
        self.fetch(self.to, self.server.url('cut.jpg'))
        self.look(files=len(self.files) + 1)
        self.look('--deep', files=len(self.files) + 1, bad=['cut.jpg'])
        looked = self.run_verify('--deep', '--fix')
        self.mended(looked, BAD_DATA, unfixed=['cut.jpg'])
        self.assertEqual(read(self.at('cut.jpg')), read(name))
        self.look(files=len(self.files) + 1)
        write(name, image('JPEG'))  # mended there
        self.mended(self.run_verify('--deep', '--fix'), FINE, fixed=['cut.jpg'])
        self.assertEqual(read(self.at('cut.jpg')), read(name))
        self.look('--deep', files=len(self.files) + 1)

    # ---- fixing ----

    def damage(self):
        write(self.at('big.bin'), flipped(self.files['big.bin'], 5))
        write(self.at('x.npy'), b'')
        os.unlink(self.at('a/b/c.bin'))
        os.unlink(self.at('small/003.bin'))
        return 'big.bin', 'x.npy', 'a/b/c.bin', 'small/003.bin'

    def test_fix(self):
        names = self.damage()
        self.server.log()
        looked = self.fixed(*names)
        self.assertEqual((looked.summary['bad'], looked.summary['missing']), (2, 2))
        self.assertEqual({path.lstrip('/') for _, _, _, path in self.server.log()}, set(names))
        self.server.log()
        self.fixed()
        self.assertEqual(self.server.log(), [])

    def test_fix_as_quick_and_deep_saw_it(self):
        write(self.at('x.npy'), b'')
        self.fixed('x.npy', with_=['--quick'])
        write(self.at('train.tar'), b'')
        self.fixed('train.tar', with_=['--deep'])

    def test_fix_with_strange_names(self):
        name = 'strange {1..3} "\\ \xe4*.bin'
        write(os.path.join(self.root, name), b'strange')
        self.addCleanup(os.unlink, os.path.join(self.root, name))
        manifest = os.path.join(self.folder, 'm.jsonl')
        quoted = 'strange%20%7B1..3%7D%20%22%5C%20%C3%A4*.bin'
        write(manifest, json.dumps({'url': self.server.url(quoted) + '?signature=1', 'path': name}) + '\n')
        self.fetch(self.to, '@' + manifest)
        there = [each for each in os.listdir(self.to) if each.startswith('strange')]
        self.assertEqual(len(there), 1)
        write(self.at(there[0]), b'damaged')
        looked = self.run_verify('--fix')
        self.assertEqual((looked.of('bad'), looked.of('fixed'), looked.code), (there, there, FINE), looked.stdout + looked.stderr)
        self.assertEqual(read(self.at(there[0])), b'strange')
        self.assertNotIn('signature', looked.stdout + looked.stderr)

    def test_fix_while_the_server_is_gone(self):
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch, servers.Nginx(self.root, scratch) as mortal:
            self.fetch(self.at('more'), mortal.url('big.bin'), mortal.url('x.npy'))
        write(self.at('more', 'big.bin'), b'the bad one')
        os.unlink(self.at('more', 'x.npy'))
        looked = self.run_verify('--fix', to=self.at('more'))
        said = looked.stdout + looked.stderr
        self.assertEqual((looked.of('bad'), looked.of('missing')), (['big.bin'], ['x.npy']), said)
        self.mended(looked, BAD_DATA, unfixed=['big.bin', 'x.npy'])
        self.assertEqual(sum('127.0.0.1' in finding['message'] for finding in looked.findings), 2, said)
        self.assertEqual(read(self.at('more', 'big.bin')), b'the bad one')
        self.assertEqual(sorted(os.listdir(self.at('more'))), ['.leat', 'big.bin'])
        self.assertFalse(os.path.exists(self.at('more', '.leat', 'bad')))

    def test_fix_when_the_source_has_changed(self):
        """What was recorded cannot be had any more: the old file stays."""
        name = os.path.join(self.root, 'changing.bin')
        self.addCleanup(os.unlink, name)
        write(name, b'first version')
        self.fetch(self.to, self.server.url('changing.bin'))
        write(name, b'other version')
        write(self.at('changing.bin'), b'damaged one..')
        looked = self.run_verify('--fix')
        self.mended(looked, BAD_DATA, unfixed=['changing.bin'])
        self.assertEqual(read(self.at('changing.bin')), b'damaged one..')

    def test_fix_of_what_was_copied(self):
        """From a local folder that was named relatively: from anywhere."""
        to = self.at('copied')
        done = subprocess.run([LEAT, 'fetch', 'root/small', '--to', to, '--json'], cwd=self.scratch, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        name = next(os.path.relpath(os.path.join(path, '005.bin'), to) for path, _, names in os.walk(to) if '005.bin' in names)
        write(os.path.join(to, name), b'damaged')
        self.mended(self.run_verify('--fix', to=to), FINE, fixed=[name])
        self.assertEqual(read(os.path.join(to, name)), self.files['small/005.bin'])

    def test_fix_of_what_has_no_url(self):
        path = self.sums(['x.jpg', 'big.bin'])
        shutil.rmtree(self.at('.leat'))
        write(self.at('big.bin'), b'')
        looked = self.run_verify('--fix', '--checksums', path)
        self.mended(looked, BAD_DATA, unfixed=['big.bin'])
        self.assertEqual(read(self.at('big.bin')), b'')
        self.assertFalse(os.path.exists(self.at('.leat')))

    def test_two_fix_at_once(self):
        names = self.damage()
        command = [LEAT, 'verify', self.to, '--fix', '--json']
        both = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        outs = [process.communicate(timeout=60)[0] for process in both]
        self.assertTrue(all('"summary"' in out for out in outs), outs)
        self.fixed(*[name for name in names if not os.path.exists(self.at(name)) or read(self.at(name)) != self.files[name]])

    def start_slow_fix(self):
        """The bad big.bin comes at 64 KiB/s now: it takes until it is stopped."""
        for path, lines in self.records().items():
            write(path, b''.join(lines).replace(self.server.url('big.bin').encode(), self.server.url('slow/big.bin').encode()))
        write(self.at('big.bin'), b'the bad one')
        out = open(os.path.join(self.folder, 'out'), 'wb')
        self.addCleanup(out.close)
        process = subprocess.Popen([LEAT, 'verify', self.to, '--fix', '--json'], stdin=subprocess.DEVNULL, stdout=out)
        end = time.monotonic() + 10
        while os.path.exists(self.at('big.bin')) and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.3)
        self.assertIsNone(process.poll())
        return process

    def test_ctrl_c_while_it_is_fixed(self):
        process = self.start_slow_fix()
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(20), 130)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(read(self.at('big.bin')), b'the bad one')
        summary = fetching.Run.strict(read(os.path.join(self.folder, 'out')).decode().splitlines()[-1])
        self.assertEqual((summary['event'], summary['bad'], summary['fixed'], summary['exit_code']), ('summary', 1, 0, 130))
        self.assertFalse(os.path.exists(self.at('.leat', 'bad')))

    def test_killed_while_it_is_fixed(self):
        process = self.start_slow_fix()
        process.kill()
        process.wait(10)
        self.look(missing=['big.bin'])
        aside, = os.listdir(self.at('.leat', 'bad'))
        self.assertEqual(read(self.at('.leat', 'bad', aside)), b'the bad one')
        for path, lines in self.records().items():
            write(path, b''.join(lines).replace(b'slow/', b''))
        looked = self.run_verify('--fix')
        self.assertEqual((looked.of('missing'), looked.of('fixed'), looked.code), (['big.bin'], ['big.bin'], FINE), looked.stdout)
        self.assertEqual(read(self.at('big.bin')), self.files['big.bin'])
        self.assertEqual(set(os.listdir(self.at('.leat'))) - {'work'}, {'bad', 'records'})

    # ---- how it runs ----

    def test_many_threads(self):
        write(self.at('big.bin'), flipped(self.files['big.bin'], 9))
        os.unlink(self.at('small/000.bin'))
        for threads in ('1', '3', '64'):
            self.look('--threads', threads, bad=['big.bin'], missing=['small/000.bin'])
            self.look('--threads', threads, '--deep', bad=['big.bin'], missing=['small/000.bin'])
        self.refused(self.to, BAD_CONFIG, 'threads', '--threads', '65')

    def test_wrong_use(self):
        self.assertEqual(self.run_verify('--quick', '--deep').code, BAD_USE)
        self.assertEqual(subprocess.run([LEAT, 'verify'], capture_output=True, timeout=30).returncode, BAD_USE)

    def test_ctrl_c(self):
        with open(self.at('huge.gz'), 'wb') as file:
            for _ in range(6000):  # 6 GB when unpacked: seconds
                file.write(self.huge_part())
        process = subprocess.Popen([LEAT, 'verify', self.to, '--deep', '--json'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   text=True)
        time.sleep(0.7)
        self.assertIsNone(process.poll(), 'it was too fast for this test')
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(process.returncode, 130)
        summary = fetching.Run.strict(out.splitlines()[-1])
        self.assertEqual((summary['event'], summary['error'], summary['exit_code']), ('summary', 'stopped', 130))
        self.assertEqual(summary['files'], summary['good'] + summary['bad'] + summary['missing'])
        self.assertLessEqual(summary['good'], len(self.files))

    @staticmethod
    def huge_part(part=[]):
        if not part:
            part.append(gzip.compress(bytes(1 << 20)))
        return part[0]


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], '-v', *sys.argv[1:]])
