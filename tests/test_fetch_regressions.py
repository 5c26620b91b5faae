#!/usr/bin/python3
"""`leat fetch`: what once went wrong, each named after its symptom. The frame is fetching.py's."""
import json
import os
import subprocess
import sys
import time
import unittest

import fetching
from fetching import BAD_DATA, FINE, LEAT, SIZE, read, write


class Regressions(fetching.Case):
    def test_two_versions_of_an_object_without_a_validator_are_not_mixed(self):
        """An equal size says nothing: it is begun anew."""
        run = self.fetch(self.url('reset', at=50000, times=1, changes=1, etag='none', modified=0))
        self.outcome(run, done=1, code=FINE)
        self.assert_file('x.bin', fetching.other(self.data()))

    def test_a_local_source_that_changes_is_not_mixed(self):
        source = self.path('source')
        os.mkdir(source)
        write(os.path.join(source, 'x.bin'), b'a' * (7 << 20))
        env = {**self.injected('pread@*=sleep200'), 'FAIL_IO_UNDER': os.path.realpath(source)}
        process = self.start(source, env=env)
        time.sleep(0.7)  # in the midst of its parts
        write(os.path.join(source, 'x.bin'), b'b' * (8 << 20))
        run = self.finish(process)
        self.outcome(run, done=1, code=FINE)
        self.assert_file('x.bin', b'b' * (8 << 20))

    def test_a_change_is_no_checksum_failure_because_a_size_is_listed(self):
        url = self.url('reset', at=50000, times=1, changes=1)
        run = self.fetch(self.manifest((url, {'bytes': SIZE})))
        self.outcome(run, done=1, code=FINE)
        self.assert_file('x.bin', fetching.other(self.data()))

    def test_a_dry_run_leaves_the_list_of_what_failed_alone(self):
        self.fetch(self.url('status', code=404))
        path = self.at('.leat', 'failed.jsonl')
        before = read(path)
        self.assertEqual(len(before.splitlines()), 1)
        subprocess.run([LEAT, 'fetch', '@' + path, '--to', self.to, '--dry-run'], stdin=subprocess.DEVNULL, capture_output=True,
                       check=True, timeout=30)
        self.assertEqual(read(path), before)

    def test_two_processes_keep_their_own_lists_of_what_failed(self):
        names = [[f'{who}{i}.bin' for i in range(40)] for who in 'ab']
        processes = [subprocess.Popen([LEAT, 'fetch', *(self.url('status', name, code=404) for name in mine), '--to', self.to, '--json'],
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) for mine in names]
        for process, mine in zip(processes, names):
            summary = json.loads(process.communicate(timeout=30)[0].splitlines()[-1])
            self.assertEqual(summary['failed'], 40)
            listed = [json.loads(line)['path'] for line in read(summary['failed_list']).splitlines()]
            self.assertEqual(sorted(listed), sorted(mine))

    def test_short_runs_side_by_side_all_start(self):
        """One that ends takes the empty work folder away from under one that begins."""
        for _ in range(12):
            runs = [subprocess.Popen([LEAT, 'fetch', self.url('ok', f'{n}.bin', size=10), '--to', self.to], stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for n in range(4)]
            told = [run.communicate(timeout=30)[1] for run in runs]
            self.assertEqual([run.returncode for run in runs], [FINE] * 4, told)

    def test_a_url_that_no_record_can_hold_fails_alone(self):
        urls = [self.url('ok', f'{n}.bin') for n in range(3)] + [self.url('ok', 'long.bin', more='x' * 66000)]
        run = self.finish(self.start(*urls))
        self.assertEqual((run.summary['done'], run.summary['failed']), (3, 1), run.told()[:3000])

    def test_a_very_low_rate_goes_on(self):
        began = time.monotonic()
        run = self.fetch(*(self.url('ok', f'{n}.bin', size=60) for n in range(3)), '--jobs', '1', '--limit-rate', '60')
        self.outcome(run, done=3, code=FINE)
        self.assertGreater(time.monotonic() - began, 1)

    def test_a_wrong_checksum_is_fetched_once_more(self):
        run = self.fetch(self.manifest((self.url('ok'), {'sha256': '0' * 64})))
        self.fails(run, BAD_DATA, 'sha256')
        self.assertEqual(len(self.requests('ok')), 2)


def load_tests(_loader, tests, _pattern):
    return fetching.SideBySide(tests)


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], '-v', *sys.argv[1:]])
