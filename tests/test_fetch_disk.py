#!/usr/bin/python3
"""leat fetch on a disk that fails: rows D01 to D05 of the fault catalogue, and C1. LEAT: path of the command.

Calls fail by tests/fail_io.c (preloaded); disks are full or read-only by mounts in a namespace of the test's own. Whatever happens:
a file under its final name is whole and right, and the next run finishes the work."""
import os
import shlex
import shutil
import subprocess
import unittest

import fetching
from fetching import BAD_DISK, FINE, LARGE, LEAT, MIB, ONE_BY_ONE, SIZES, SYNCS, WRITES, read, write

NAMESPACE = ['unshare', '-m'] if os.geteuid() == 0 else ['unshare', '-Urm']


class Failing(fetching.Disk):
    """D01 to D03: calls that fail."""

    def test_d01_a_full_disk_wherever_it_is_met(self):
        for call in (WRITES, 'fallocate', SYNCS, 'rename|link', 'create', 'mkdir'):
            for error in ('ENOSPC', 'EDQUOT'):
                with self.subTest(call=call, error=error):
                    self.to = self.path(f'{call[:4]}-{error}')
                    run = self.disturbed(f'{call}@1+={error}')
                    if run.code or call != 'fallocate':  # reserving is a courtesy
                        self.assert_disk_error(run, 'No space left|quota|Quota|full|too small')
                    self.look()
                    self.finish_three()

    def test_d01_a_full_disk_in_the_middle(self):
        """The k-th write fails: what was finished before it is not fetched again."""
        for k in range(1, 13):
            with self.subTest(k=k):
                self.to = self.path(f'to-{k}')
                self.disturbed(f'{WRITES}@{k}+=ENOSPC')
                there = set(self.files())
                self.look()
                run = self.finish_three()
                self.assertEqual({event['path'] for event in run.of('skip')}, there)

    def test_d01_a_real_full_disk(self):
        """A tmpfs of 4 MiB: told with what is needed and what is free; with more room the next run ends it."""
        first, second = self.on_a_small_disk({**os.environ})
        self.assert_disk_error(first, r'3\.1 MB.*free.*(No space left|too small)|(No space left|too small).*3\.1 MB.*free')
        self.outcome(first, cancelled=1)
        self.outcome(second, done=1, code=FINE)

    def test_d01_a_disk_that_fills_up_in_the_middle_of_a_file(self):
        """Its parts are kept."""
        what = self.url('ok', size=3 * MIB), '--part-size', '256K', '--parts', '1'
        first = self.fetch(*what, env=self.injected(f'fallocate@*=EOPNOTSUPP;{WRITES}@16+=ENOSPC'))
        self.assert_disk_error(first, 'free.*No space left')
        self.outcome(first, cancelled=1)
        second = self.fetch(*what)
        self.outcome(second, done=1, code=FINE)
        self.assertLess(second.summary['bytes'], 2.5 * MIB, 'what was there was fetched again')
        self.assert_file('x.bin', self.data(3 * MIB))

    def on_a_small_disk(self, env):
        """Two runs: with 1.6 MB of room for 3 MiB, and with enough."""
        saved = self.path('saved')
        os.mkdir(self.to)
        again = shlex.join(self.command(self.url('ok', size=3 * MIB), '--part-size', '256K', '--parts', '1'))
        script = f"""set -e
            mount -t tmpfs -o size=4m none {self.to}
            head -c 2500000 /dev/zero > {self.to}/ballast
            set +e
            {again} > {self.path('out0')} 2> {self.path('err0')}; echo $? > {self.path('code0')}
            rm {self.to}/ballast
            {again} > {self.path('out1')} 2> {self.path('err1')}; echo $? > {self.path('code1')}
            cp -r {self.to} {saved}"""
        subprocess.run([*NAMESPACE, 'sh', '-c', script], check=True, timeout=60, env=env)
        words = [[read(self.path(name + n)).decode() for name in ('code', 'out', 'err')] for n in '01']
        self.assertEqual(read(os.path.join(saved, 'x.bin')), self.data(3 * MIB))
        return [fetching.Run(int(code), out, err, 0) for code, out, err in words]

    def test_d02_writing_fails_for_good(self):
        for call in (WRITES, SYNCS, 'rename|link'):
            with self.subTest(call=call):
                self.to, log = self.path(call[:5]), self.path(call[:5] + '.log')
                run = self.disturbed(f'{call}@1+=EIO', log)
                self.assert_disk_error(run, 'Input/output error')
                self.look()
                if call == SYNCS:  # what was not synced cannot be synced by asking again
                    synced = [path for name, path in self.calls(log) if name in SYNCS.split('|')]
                    self.assertEqual(len(synced), len(set(synced)), synced)
                    self.assertEqual(run.summary['done'], 0)
                self.finish_three()

    def test_d02_reading_the_parts_of_an_earlier_run_fails(self):
        url = self.interrupted()
        run = self.fetch(url, *ONE_BY_ONE, env=self.injected('pread|read@1+=EIO'))
        if run.summary['done']:
            self.assert_file('x.bin', self.data(LARGE))
        else:
            self.assert_disk_error(run, 'Input/output error')
        self.outcome(self.fetch(url, *ONE_BY_ONE), **{'skipped' if run.summary['done'] else 'done': 1})
        self.assert_file('x.bin', self.data(LARGE))

    def test_c1_durable_means_that_data_and_names_are_synced(self):
        """In a durable run all bytes are synced before a file gets its name, and the names before the end."""
        log = self.path('log')
        run = self.disturbed('', log)
        self.outcome(run, done=3, code=FINE)
        names = [name for name, path in self.calls(log) if '/work/' not in path or name in ('pwrite', 'syncfs')]
        self.assertNotIn('pwrite', names[names.index('rename'):])
        self.assertIn('syncfs', names[:names.index('rename')])
        last = len(names) - names[::-1].index('rename')
        self.assertTrue(set(names[last:]) & set(SYNCS.split('|')), 'the names were not synced')

    def test_d03_short_writes_and_interrupted_calls(self):
        for n, what in enumerate((f'{WRITES}@%2=short', f'{WRITES}@*=short', f'{WRITES}|read|pread|create|open@%2=EINTR',
                                  f'{WRITES}@%3=EINTR;fallocate|ftruncate@%2=EINTR')):
            with self.subTest(what=what):
                self.to = self.path(f'to-{n}')
                run = self.fetch(*self.three(), *ONE_BY_ONE, env=self.injected(what))
                self.outcome(run, done=3, code=FINE)
                self.expect_three()


class Hindered(fetching.Disk):
    """D04: a directory that cannot be written to is told before anything is asked for."""

    def refused(self, words, to=None, **more):
        self.to = to or self.to
        run = self.finish(self.start(*self.three(), **more))
        self.assertEqual(run.code, BAD_DISK, run.told())
        self.assertRegex(run.told(), words)
        self.assertEqual(self.requests(), [])
        return run

    def test_d04_not_a_folder(self):
        write(self.path('file'), b'x')
        self.refused('Not a directory|not a (directory|folder)', self.path('file'))
        self.refused('Not a directory|not a (directory|folder)', self.path('file', 'deeper', 'to'))
        self.assertEqual(read(self.path('file')), b'x')

    def test_d04_links_in_a_circle(self):
        os.symlink('b', self.path('a'))
        os.symlink('a', self.path('b'))
        self.refused('symbolic links', self.path('a'))

    def test_d04_names_that_are_too_long(self):
        self.refused('too long', self.path('x' * 300))
        self.refused('too long', self.path(*['y' * 200] * 25))

    def test_d04_a_folder_of_somebody_else(self):
        os.mkdir(self.to, 0o755)
        user = {}
        if os.geteuid() == 0:
            user = {'user': 65534}
            os.chmod(self.folder, 0o755)
            if subprocess.run(['test', '-x', LEAT], check=False, **user).returncode:
                self.skipTest('nobody may not run ' + LEAT)
        else:
            os.chmod(self.to, 0o555)
        self.refused('Permission denied', **user)
        self.assertEqual(os.listdir(self.to), [])

    def test_d04_a_read_only_disk(self):
        os.mkdir(self.to)
        script = f'mount --bind {self.to} {self.to} && mount -o remount,ro,bind {self.to} && exec "$@"'
        command = [*NAMESPACE, 'sh', '-c', script, 'sh', *self.command(*self.three())]
        run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(run.returncode, BAD_DISK, run)
        self.assertIn('Read-only file system', run.stdout + run.stderr)
        self.assertEqual(self.requests(), [])

    def test_d04_what_is_called_leat_there_is_something_else(self):
        outside = self.path('outside')
        os.mkdir(outside)
        for name, make in (('link', lambda path: os.symlink(outside, path)), ('file', lambda path: write(path, b'x')),
                           ('fifo', os.mkfifo)):
            with self.subTest(name=name):
                to = self.path('to-' + name)
                os.mkdir(to)
                make(os.path.join(to, '.leat'))
                self.refused(r'\.leat', to)
                self.assertEqual((os.listdir(outside), os.listdir(to)), ([], ['.leat']))

    def test_d04_a_file_in_the_place_of_a_folder_stops_that_file_only(self):
        os.mkdir(self.to)
        write(self.at('sub'), b'mine')
        bad, good = self.url('ok', 'bad.bin'), self.url('ok', 'good.bin')
        run = self.fetch(self.manifest((bad, {'path': 'sub/bad.bin'}), (good, {'path': 'good.bin'})))
        self.outcome(run, done=1, failed=1)
        self.assertRegex(run.messages()[0], 'bad.bin.*Not a directory')
        self.assertEqual((read(self.at('sub')), len(self.requests('ok', 'bad.bin'))), (b'mine', 0))


class Killed(fetching.Disk):
    """D05: kill -9 at each call that changes something, and in the middle of each write: the k-th of all, for every k."""
    SHARES = 3

    def count(self):
        log = self.path('all.log')
        run = self.disturbed('', log)
        self.outcome(run, done=3, code=FINE)
        self.expect_three()
        return self.calls(log)

    def each(self, share, rule, kinds, shares=SHARES):
        calls = [name for name, _ in self.count() if name in kinds]
        self.assertGreater(len(calls), 3)
        for k in range(1 + share, len(calls) + 3, shares):
            with self.subTest(k=k, of=len(calls)):
                self.to = self.path(f'to-{k}')
                run = self.disturbed(rule % k)
                self.look()
                if run.code == 0:
                    self.assertGreaterEqual(k, len(calls) - 3, 'it was not killed')
                run = self.finish_three()
                self.assertLess(run.summary['bytes'], sum(SIZES.values()) + 1)
                shutil.rmtree(self.to)

    CHANGES = f'create|{WRITES}|{SYNCS}|rename|link|symlink|unlink|mkdir|rmdir|fallocate|ftruncate'.split('|')

    def test_d05_at_every_third_call(self):
        self.each(0, 'change@%d=kill', self.CHANGES)

    def test_d05_at_the_next_ones(self):
        self.each(1, 'change@%d=kill', self.CHANGES)

    def test_d05_and_the_next(self):
        self.each(2, 'change@%d=kill', self.CHANGES)

    def test_d05_in_the_middle_of_every_write(self):
        self.each(0, f'{WRITES}@%d=torn', WRITES.split('|'), shares=1)

    def test_d05_twice(self):
        """The run that was to clean up after a killed one is killed, too."""
        calls = len(self.count())
        for k in range(5, calls, 5):
            for again in (3, 9, 15):
                self.to = self.path(f'to-{k}-{again}')
                self.disturbed(f'change@{k}=kill')
                self.disturbed(f'change@{again}=kill')
                self.look()
                self.finish_three()
                shutil.rmtree(self.to)


def load_tests(_loader, tests, _pattern):
    return fetching.SideBySide(tests)


if __name__ == '__main__':
    unittest.main()
