#!/usr/bin/python3
"""`leat fetch` as its users see it, against a real nginx: whole runs, runs that are killed or stopped and run again, several processes that
share a directory or a list. LEAT_MORE_CASES=N: N times as many kills (the whole point of the issue, 100 moments, is N = 10)."""
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import fetching
import servers

LEAT = fetching.LEAT
MORE = int(os.environ.get('LEAT_MORE_CASES', '1'))
SMALL, MIB = 300, 1 << 20
LARGE = {'large/a.bin': 9 * MIB + 17, 'large/b.bin': 5 * MIB, 'large/c.tar': 3 * MIB - 1}


def tree(folder):
    """{relative name: SHA-256} of what is there, .leat left out."""
    found = {}
    for path, folders, names in os.walk(folder):
        if '.leat' in folders:
            folders.remove('.leat')
        for name in names:
            full = os.path.join(path, name)
            with open(full, 'rb') as file:
                found[os.path.relpath(full, folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


class EndToEnd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix='leat-fetch-', dir='/var/tmp')
        cls.root, chance = os.path.join(cls.scratch, 'root'), random.Random(5)
        os.makedirs(os.path.join(cls.root, 'small'))
        os.makedirs(os.path.join(cls.root, 'large'))
        for number in range(SMALL):
            fetching.write(os.path.join(cls.root, f'small/{number:04}.jpg'), chance.randbytes(chance.choice((0, 1, 700, 9000, 58000))))
        for name, size in LARGE.items():
            fetching.write(os.path.join(cls.root, name), chance.randbytes(size))
        cls.all = tree(cls.root)
        cls.server = servers.Nginx(cls.root, cls.scratch)
        cls.list = os.path.join(cls.scratch, 'list.txt')
        fetching.write(cls.list, ''.join(cls.server.url(name) + '\n' for name in sorted(cls.all)))
        cls.sums = os.path.join(cls.scratch, 'SHA256SUMS')
        fetching.write(cls.sums, ''.join(f'{digest}  {name}\n' for name, digest in cls.all.items()))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.scratch)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='case-', dir=self.scratch)
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.to = os.path.join(self.folder, 'to')
        self.server.log()

    def command(self, *more, to=None):
        return [LEAT, 'fetch', '@' + self.list, '--to', to or self.to, '--json', '--part-size', '512K', '--parts', '3', *more]

    def run_leat(self, *more, to=None, code=0, **options):
        done = subprocess.run(self.command(*more, to=to), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, **options)
        self.assertEqual(done.returncode, code, done.stdout[-2000:] + done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def check(self, folder=None):
        """All is there, and nothing else; of .leat only the records."""
        folder = folder or self.to
        self.assertEqual(tree(folder), self.all)
        self.assertEqual(os.listdir(os.path.join(folder, '.leat')), ['records'])

    def counts(self, summary):
        self.assertEqual(summary['planned'], summary['done'] + summary['skipped'] + summary['failed'] + summary['cancelled'])
        return summary['done'], summary['skipped'], summary['failed'], summary['cancelled']

    # ---- one process ----

    def test_everything_comes_and_the_second_run_asks_for_nothing(self):
        total = len(self.all)
        self.assertEqual(self.counts(self.run_leat('--checksums', self.sums)), (total, 0, 0, 0))
        self.check()
        self.server.log()
        self.assertEqual(self.counts(self.run_leat('--checksums', self.sums)), (0, total, 0, 0))
        self.assertEqual(self.server.log(), [])

    def test_a_dry_run_writes_nothing(self):
        trace = os.path.join(self.folder, 'trace')
        self.assertEqual(self.counts(self.run_leat('--dry-run')), (0, 0, 0, len(self.all)))
        self.assertFalse(os.path.exists(self.to))
        if shutil.which('strace') and not os.environ.keys() & {'ASAN_OPTIONS', 'TSAN_OPTIONS'}:  # those write when they begin
            calls = 'open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,symlink,symlinkat,link,linkat'
            subprocess.run(['strace', '-f', '-o', trace, '-e', 'trace=' + calls, *self.command('--dry-run')], check=True,
                           stdout=subprocess.DEVNULL, timeout=120)
            wrote = [line for line in fetching.read(trace).decode(errors='replace').splitlines()
                     if 'O_CREAT' in line or not any(call in line for call in ('openat', 'open(', 'exited', '+++', '---'))]
            self.assertEqual(wrote, [])

    def test_a_copy_from_local_disk(self):
        done = subprocess.run([LEAT, 'fetch', self.root, '--to', self.to, '--json', '--part-size', '1M'], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr)
        self.check()

    def test_the_rate_is_limited(self):
        begun = time.monotonic()
        self.run_leat('--limit-rate', '8M')
        seconds, size = time.monotonic() - begun, sum(os.path.getsize(os.path.join(self.root, name)) for name in self.all)
        self.assertGreater(seconds, 0.6 * size / (8 * MIB))
        self.check()

    def test_the_rate_of_copies_is_limited_too(self):
        begun = time.monotonic()
        subprocess.run([LEAT, 'fetch', os.path.join(self.root, 'large'), '--to', self.to, '--part-size', '512K', '--limit-rate', '8M'],
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True, timeout=120)
        self.assertGreater(time.monotonic() - begun, 0.6 * sum(LARGE.values()) / (8 * MIB))

    # ---- killed ----

    def kill_and_finish(self, moment, *more):
        """Kills a run after so many seconds, then runs to the end. What has been journaled or finished comes over the network once."""
        process = subprocess.Popen(self.command(*more), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        process.kill()
        process.wait(10)
        finished = {name for name in tree(self.to)} if os.path.isdir(self.to) else set()
        self.server.log()
        summary = self.run_leat(*more)
        self.check()
        again = [path for _, _, _, path in self.server.log() if path.lstrip('/') in finished]
        self.assertEqual(again, [])
        return summary

    def test_a_killed_run_goes_on(self):
        chance = random.Random(os.environ.get('LEAT_SEED', '1'))
        begun = time.monotonic()
        self.run_leat('--limit-rate', '40M')
        longest = time.monotonic() - begun
        for case in range(10 * MORE):
            shutil.rmtree(self.to)
            more = [(), ('--checksums', self.sums), ('--no-durable',)][case % 3]
            self.kill_and_finish(chance.uniform(0.01, longest), '--limit-rate', '40M', *more)

    def test_killed_again_and_again(self):
        chance = random.Random(3)
        for _ in range(12):
            process = subprocess.Popen(self.command('--limit-rate', '20M'), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
            time.sleep(chance.uniform(0.02, 0.4))
            process.kill()
            process.wait(10)
        self.run_leat()
        self.check()

    # ---- stopped ----

    def test_ctrl_c_stops_soon_and_the_next_run_goes_on(self):
        process = subprocess.Popen(self.command('--limit-rate', '4M'), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        time.sleep(1)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(process.returncode, 130)
        summary = json.loads(out.splitlines()[-1])
        done, _, failed, cancelled = self.counts(summary)
        self.assertEqual(failed, 0)
        self.assertGreater(cancelled, 0)
        there = summary['finished_bytes']
        rest = self.run_leat()
        self.assertEqual(self.counts(rest), (len(self.all) - done, done, 0, 0))
        self.check()
        self.assertLess(rest['bytes'], sum(os.path.getsize(os.path.join(self.root, name)) for name in self.all) - there // 2)

    def test_a_list_that_never_ends_can_be_stopped(self):
        process = subprocess.Popen([LEAT, 'fetch', '@-', '--to', self.to, '--json'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdin.write(self.server.url('small/0002.jpg') + '\n')
        process.stdin.flush()
        for _ in range(200):
            if os.path.exists(os.path.join(self.to, 'small/0002.jpg')):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(5), 143)
        process.stdin.close()
        process.stdout.close()
        self.assertEqual(tree(self.to), {'small/0002.jpg': self.all['small/0002.jpg']})

    # ---- several processes ----

    def test_processes_share_a_directory(self):
        processes = [subprocess.Popen(self.command('--limit-rate', '20M'), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
                     for _ in range(3)]
        outs = [process.communicate(timeout=120)[0] for process in processes]
        self.assertEqual([process.returncode for process in processes], [0, 0, 0], outs)
        summaries = [json.loads(out.splitlines()[-1]) for out in outs]
        self.assertEqual(sum(self.counts(summary)[0] for summary in summaries), len(self.all))
        self.check()
        whole = [path for _, _, _, path in self.server.log() if path.startswith('/small')]
        self.assertEqual(len(whole), len(set(whole)), 'a file was fetched twice')

    def test_one_of_them_is_killed(self):
        processes = [subprocess.Popen(self.command('--limit-rate', '8M'), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
                     for _ in range(3)]
        time.sleep(0.7)
        processes[1].kill()
        self.assertEqual([process.wait(120) for process in processes], [0, -9, 0])
        self.check()

    def test_ranks_by_hand_fetch_a_share_each(self):
        folders = [os.path.join(self.folder, f'rank{rank}') for rank in range(3)]
        for rank, folder in enumerate(folders):
            self.run_leat('--rank', str(rank), '--world', '3', to=folder)
        shares = [tree(folder) for folder in folders]
        self.assertEqual(sum(map(len, shares)), len(self.all))
        self.assertEqual({name: digest for share in shares for name, digest in share.items()}, self.all)

    @unittest.skipUnless(shutil.which('mpirun'), 'no mpirun')
    def test_mpirun_shares_the_list(self):
        each = f'exec "$@" > {self.folder}/out.$OMPI_COMM_WORLD_RANK' # mpirun mixes what they say
        command = ['mpirun', '--allow-run-as-root', '--oversubscribe', '-n', '4', 'sh', '-c', each, 'sh', *self.command()]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout[-2000:] + done.stderr[-2000:])
        summaries = [json.loads(fetching.read(f'{self.folder}/out.{rank}').splitlines()[-1]) for rank in range(4)]
        self.assertEqual(sorted((summary['rank'], summary['world']) for summary in summaries), [(rank, 4) for rank in range(4)])
        self.assertEqual(sum(summary['done'] for summary in summaries), len(self.all))
        self.check()


if __name__ == '__main__':
    unittest.main(argv=[sys.argv[0], '-v', *sys.argv[1:]])
