#!/usr/bin/python3
"""leat fetch where somebody was before: rows D07 to D12 of the fault catalogue. LEAT: path of the command.

What a killed run left is damaged by hand, what lies under final names is replaced, other processes share the directory or died in
it; and a cache that is too small. Whatever happens: nothing wrong gets a final name, and nothing of anybody else is touched."""
import glob
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
import time
import unittest

import fetching
from fetching import BAD_CONFIG, BAD_DATA, FINE, LARGE, LEAT, MIB, ONE_BY_ONE, PART, SIZE, read, write


def flip(path, at, bit=1):
    data = bytearray(read(path))
    data[at] ^= bit
    write(path, bytes(data))


class Damaged(fetching.Disk):
    """D07, D08: what a killed run left is not what it was. Each case works on a copy."""
    THERE = 8 * PART  # at least

    def setUp(self):
        super().setUp()
        self.kept_url = self.interrupted()
        self.original = self.to

    def copy(self, name):
        self.to = self.path('copy-' + name)
        shutil.copytree(self.original, self.to, symlinks=True)
        journal = [path for path in self.work() if path.endswith('.journal')][0]
        return journal, journal[:-len('.journal')]

    def recover(self):
        """Finishes it; returns how many bytes that took."""
        run = self.fetch(self.kept_url, *ONE_BY_ONE)
        self.outcome(run, done=1, code=FINE)
        self.assert_file('x.bin', self.data(LARGE))
        return run.summary['bytes']

    def test_d07_undamaged_only_the_rest_is_fetched(self):
        self.copy('good')
        self.assertLessEqual(self.recover(), LARGE - self.THERE)

    def test_d07_a_journal_that_says_nothing(self):
        def grow(journal, _):
            os.truncate(journal, 1 << 33)

        def instead(make):
            def change(journal, _):
                os.unlink(journal)
                make(journal)
            return change
        target = self.path('target')
        write(target, b'mine')
        damages = {
            'zeroed': lambda journal, _: write(journal, bytes(os.path.getsize(journal))),
            'empty': lambda journal, _: os.truncate(journal, 0),
            'cut in its head': lambda journal, _: os.truncate(journal, 20),
            'first bit': lambda journal, _: flip(journal, 0),
            'version': lambda journal, _: flip(journal, 9),
            'head': lambda journal, _: flip(journal, 40, 128),
            'text': lambda journal, _: write(journal, b'{"hello": "world"}\n' * 100),
            'huge': grow,
            'gone': lambda journal, _: os.unlink(journal),
            'link': instead(lambda path: os.symlink(target, path)),
            'fifo': instead(os.mkfifo),
            'folder': instead(os.mkdir),
        }
        for name, damage in damages.items():
            with self.subTest(name=name):
                damage(*self.copy(name))
                self.recover()
        self.assertEqual(read(target), b'mine')

    def test_d07_a_journal_whose_end_is_torn(self):
        size = os.path.getsize(self.copy('size')[0])
        for name, damage in (('cut', lambda journal, _: os.truncate(journal, size - 3)),
                             ('flipped', lambda journal, _: flip(journal, size - 2)),
                             ('more', lambda journal, _: write(journal, read(journal) + b'\0' * 5))):
            with self.subTest(name=name):
                damage(*self.copy(name))
                self.assertLessEqual(self.recover(), LARGE - self.THERE + 2 * PART, 'more than the last part was fetched again')

    def test_d07_a_journal_of_another_url(self):
        """Under the same name, so with the same id; of the same size, ETag and date: only the URL tells them apart."""
        self.copy('other')
        data = fetching.other(self.data(LARGE))
        write(self.path('x.bin'), data)
        run = self.fetch(self.url('ok', dir=self.folder), *ONE_BY_ONE)
        self.outcome(run, done=1, code=FINE)
        self.assert_file('x.bin', data)
        self.assertEqual(run.summary['bytes'], LARGE)

    def test_d07_not_resumed_where_that_is_not_wanted(self):
        self.copy('fresh')
        run = self.fetch(self.kept_url, *ONE_BY_ONE, '--no-resume')
        self.outcome(run, done=1, code=FINE)
        self.assertEqual(run.summary['bytes'], LARGE)
        self.assert_file('x.bin', self.data(LARGE))

    def test_d08_a_part_whose_bytes_have_flipped(self):
        for part in (0, 3, 7):
            with self.subTest(part=part):
                _, data = self.copy(str(part))
                flip(data, part * PART + 1234, 4)
                self.assertLessEqual(self.recover(), LARGE - self.THERE + PART, 'more than the bad part was fetched again')

    def test_d08_a_file_that_is_shorter(self):
        _, data = self.copy('short')
        os.truncate(data, 5 * PART + 99)
        self.assertLessEqual(self.recover(), LARGE - 5 * PART)

    def test_d08_a_file_that_is_longer(self):
        _, data = self.copy('long')
        write(data, read(data) + b'x' * 2 * MIB)
        self.assertLessEqual(self.recover(), LARGE - self.THERE)

    def test_d08_a_file_that_is_something_else(self):
        target = self.path('target')
        write(target, self.data(LARGE))
        for name, make in (('gone', lambda path: None), ('link', lambda path: os.symlink(target, path)), ('fifo', os.mkfifo),
                           ('folder', os.mkdir)):
            with self.subTest(name=name):
                _, data = self.copy(name)
                os.unlink(data)
                make(data)
                self.recover()
                self.assertTrue(stat.S_ISREG(os.lstat(self.at('x.bin')).st_mode))
        self.assertEqual(read(target), self.data(LARGE))


class Final(fetching.Disk):
    """D09: what lies under a final name is not what was put there."""

    def setUp(self):
        super().setUp()
        self.source = self.url('ok')
        self.outcome(self.fetch(self.source), done=1, code=FINE)

    def verify(self, *arguments):
        command = [LEAT, 'verify', self.to, '--json', *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def test_d09_cut_short_it_is_no_longer_leat_s_and_told(self):
        """Neither believed nor overwritten: somebody else may have put it there. verify knows what it was."""
        os.truncate(self.at('x.bin'), 5000)
        run = self.fetch(self.source)
        self.outcome(run, failed=1)
        self.assertEqual((run.of('error')[0]['code'], os.path.getsize(self.at('x.bin'))), ('exists', 5000))
        self.assertEqual(self.verify().returncode, BAD_DATA)
        self.assertEqual(self.verify('--fix').returncode, FINE)
        self.assert_file('x.bin', self.data())

    def test_d09_flipped_is_found_by_verify_and_fixed(self):
        flip(self.at('x.bin'), 777)
        found = self.verify()
        self.assertEqual(found.returncode, BAD_DATA, found)
        self.assertIn('x.bin', found.stdout)
        fixed = self.verify('--fix')
        self.assertEqual(fixed.returncode, FINE, fixed)
        self.assert_file('x.bin', self.data())
        self.assertEqual(self.verify().returncode, FINE)

    def test_d09_replaced_by_something_that_is_no_file(self):
        outside = self.path('outside')
        write(outside, b'mine')
        for name, make in (('link', lambda path: os.symlink(outside, path)), ('dangling', lambda path: os.symlink('nowhere', path)),
                           ('fifo', os.mkfifo), ('folder', os.mkdir)):
            with self.subTest(name=name):
                path = self.at('x.bin')
                os.unlink(path)
                make(path)
                mode = os.lstat(path).st_mode
                before = len(self.requests())
                run = self.fetch(self.source)
                self.outcome(run, failed=1)
                self.assertEqual(run.of('error')[0]['code'], 'exists')
                self.assertRegex(run.messages()[0], 'x.bin')
                self.assertEqual((os.lstat(path).st_mode, len(self.requests())), (mode, before))
                self.assertEqual(self.verify().returncode, BAD_DATA)
        self.assertEqual(read(outside), b'mine')

    def test_d09_a_file_of_somebody_else_stays(self):
        write(self.at('y.bin'), b'mine')
        run = self.fetch(self.url('ok', 'y.bin'))
        self.outcome(run, failed=1)
        self.assertEqual((run.of('error')[0]['code'], read(self.at('y.bin'))), ('exists', b'mine'))
        self.assertEqual(self.requests('ok', 'y.bin'), [])

    def test_d09_a_file_of_somebody_else_that_comes_meanwhile_stays(self):
        process = self.start(self.url('pieces', 'y.bin', size=30000, at=1000))
        self.wait_for(lambda: self.requests('pieces', 'y.bin'))
        write(self.at('y.bin'), b'mine')
        run = self.finish(process)
        self.check(run, kept=('x.bin', 'y.bin'))
        self.outcome(run, failed=1)
        self.assertEqual((run.of('error')[0]['code'], read(self.at('y.bin'))), ('exists', b'mine'))

    def test_d09_and_counts_as_there_if_the_manifest_says_so(self):
        write(self.at('y.bin'), self.data())
        manifest = self.manifest((self.url('ok', 'y.bin'), {'sha256': self.sha256(self.data()), 'bytes': SIZE}))
        self.outcome(self.fetch(manifest), skipped=1, code=FINE)
        self.assertEqual(self.requests('ok', 'y.bin'), [])


class Shared(fetching.Disk):
    """D10, D11: several processes on one directory, none of which can rely on a lock; and those that died."""

    def test_d10_two_processes_without_locks(self):
        names = [f'{n:03}.bin' for n in range(120)]
        url = self.url('pieces', '{000..119}.bin', size=30000, at=10000)
        env = self.injected('flock@*=none')
        piped = {'stdout': subprocess.PIPE, 'stderr': subprocess.PIPE, 'text': True}
        starts = [subprocess.Popen(self.command(url, '--jobs', '8'), env=env, **piped) for _ in range(2)]
        runs = []
        for process in starts:
            out, err = process.communicate(timeout=30)
            runs.append(fetching.Run(process.returncode, out, err, 0))
        for run in runs:
            self.assertEqual((run.code, run.summary['done'] + run.summary['skipped']), (FINE, 120), run.told())
        self.assertEqual(sum(run.summary['done'] for run in runs), 120)
        self.assertTrue(all(run.summary['done'] for run in runs), 'one did it all')
        counts = [len(self.requests('pieces', name)) for name in names]
        self.assertLessEqual((max(counts), sum(counts)), (2, 126), 'work was doubled')
        for name in names:
            self.assert_file(name, self.data(30000))
        self.check_disk(runs[-1], names)

    def test_d11_the_holder_is_killed(self):
        process, url = self.held()
        self.kill(process)
        self.recovers(url)

    def held(self):
        """A process that has a claim and waits for its server."""
        url = self.url('stall', at=50000, times=1)
        process = self.start(url, '--stall', '60')
        self.wait_for(self.requests)
        self.assertEqual(len(os.listdir(self.at('.leat', 'work', 'claims'))), 1)
        return process, url

    def recovers(self, url):
        begin = time.monotonic()
        self.whole(self.fetch(url), 'x.bin')
        self.assertLess(time.monotonic() - begin, 5)

    def test_d11_the_holder_dies_while_another_process_waits_for_it(self):
        process, url = self.held()
        command = self.command(url)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other:
            time.sleep(1)
            self.assertIsNone(other.poll(), 'it did not wait')
            self.kill(process)
            out, err = other.communicate(timeout=20)
        self.whole(fetching.Run(other.returncode, out, err, 0), 'x.bin')

    def test_d11_its_number_is_that_of_another_process_now(self):
        """The token names a process that runs, but not since then."""
        process, url = self.held()
        self.kill(process)
        self.rename_owner(str(process.pid), str(os.getpid()))
        self.recovers(url)

    def test_d11_it_ran_before_the_machine_was_started_again(self):
        process, url = self.held()
        self.kill(process)
        claim = os.listdir(self.at('.leat', 'work', 'claims'))[0]
        token = os.readlink(self.at('.leat', 'work', 'claims', claim))
        boot = token.rsplit('-', 5)[1]
        self.rename_owner(boot, f'{int(boot, 16) ^ 0x1234:08x}')
        self.recovers(url)

    def rename_owner(self, part, new):
        """Puts another word into the token, wherever it stands in .leat."""
        def changed(text):
            self.assertRegex(text, f'-{part}-')
            return re.sub(f'-{part}-', f'-{new}-', text)
        for name in os.listdir(self.at('.leat', 'work', 'claims')):
            path = self.at('.leat', 'work', 'claims', name)
            token = os.readlink(path)
            os.unlink(path)
            os.symlink(changed(token), path)
        for name in os.listdir(self.at('.leat', 'work', 'owners')):
            os.rename(self.at('.leat', 'work', 'owners', name), self.at('.leat', 'work', 'owners', changed(name)))
        for path in self.work():
            os.rename(path, changed(path))


class CacheLimit(fetching.Disk):
    """D12: a cache that is too small for its objects, or for what is in use."""
    SHARDS = 4

    def setUp(self):
        super().setUp()
        os.mkdir(self.path('shards'))
        photo = read(sorted(glob.glob(os.path.join(fetching.HERE, '../examples/data/photos/*/*.jpg')))[0])
        for n in range(self.SHARDS):
            write(self.path('photo.jpg'), photo)
            with tarfile.open(self.path('shards', f'{n}.tar'), 'w', format=tarfile.USTAR_FORMAT) as tar:
                for i in range(16):
                    tar.add(self.path('photo.jpg'), f'{n}-{i:02}.jpg')
        self.bytes = os.path.getsize(self.path('shards', '0.tar'))

    def bench(self, *arguments):
        url = self.url('ok', '{0..3}.tar', dir=self.path('shards'))
        command = [LEAT, 'bench', url, '--image', '32', '--batch', '8', '--hash', '--json', '--epochs', '2', *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def test_d12_a_limit_below_the_largest_object_is_refused_with_both_numbers(self):
        limit = self.bytes // 2
        run = self.bench('--cache', self.path('cache'), '--cache-limit', str(limit))
        self.assertEqual(run.returncode, BAD_CONFIG, run.stdout + run.stderr)
        self.assertRegex(run.stderr, rf'{limit}\b')
        needed = int(re.search(r'takes (\d+)', run.stderr)[1])
        self.assertTrue(self.bytes <= needed < self.bytes + 65536, run.stderr)

    def test_d12_a_limit_that_is_pinned_whole_streams_on(self):
        """Four lanes hold four shards; the limit, two."""
        plain = self.bench()
        limit = 2 * self.bytes + self.bytes // 2
        cached = self.bench('--cache', self.path('cache'), '--cache-limit', str(limit), '--lanes', '4')
        self.assertEqual((plain.returncode, cached.returncode), (FINE, FINE), cached.stderr)
        lanes = self.bench('--lanes', '4')
        self.assertEqual(json.loads(cached.stdout)['sha256'], json.loads(lanes.stdout)['sha256'])
        used = sum(os.lstat(os.path.join(folder, name)).st_blocks * 512
                   for folder, _, names in os.walk(self.path('cache')) for name in names)
        self.assertLessEqual(used, limit + self.bytes + 65536)


def load_tests(_loader, tests, _pattern):
    return fetching.SideBySide(tests)


if __name__ == '__main__':
    unittest.main()
