#!/usr/bin/python3
"""The loader's cache end to end: shards from a real nginx, tests/cache_driver as the trainer, up to four of them on one cache.

Every row's bytes are hashed, so that no wrong byte goes unseen. LEAT_MORE_CASES: a hundred kills instead of a few."""
import contextlib
import io
import os
import random
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
import unittest

import servers

BUILD = os.environ.get('LEAT_BUILD', 'build')
DRIVER = os.path.abspath(f'{BUILD}/tests/cache_driver')
LEAT = os.path.abspath(os.environ.get('LEAT', f'{BUILD}/cli/leat'))
KILLS = 100 if os.environ.get('LEAT_MORE_CASES') else 6
SHARDS, EACH = 8, 25
NAMES = '{000..007}.tar'


def write_shards(folder, seed=0):
    os.makedirs(folder, exist_ok=True)
    for shard in range(SHARDS):
        with tarfile.open(f'{folder}/{shard:03}.tar', 'w', format=tarfile.USTAR_FORMAT) as tar:
            for number in range(shard * EACH, shard * EACH + EACH):
                noise = random.Random(f'{seed} {number}')
                data = noise.randbytes(noise.randrange(1, 24000))
                info = tarfile.TarInfo(f's{number:05}.bin')
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


class Run:
    """What a driver said."""

    def __init__(self, out, err, code):
        lines = out.splitlines(keepends=True)
        whole = [line.rstrip('\n') for line in lines if line.endswith('\n')]  # a killed one may break off in a line
        self.rows = [line for line in whole if line[0].isdigit()]
        self.ends = sum(line.startswith('end ') for line in whole)
        self.err, self.code = err, code
        found = re.findall(r'(\w+)=(\d+)', whole[-1]) if whole and whole[-1].startswith('stats ') else ()
        self.stats = {name: int(value) for name, value in found}


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix='leat-cache-')
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.www = f'{cls.scratch}/www'
        write_shards(cls.www)
        os.mkdir(f'{cls.scratch}/nginx')
        cls.nginx = servers.Nginx(cls.www, f'{cls.scratch}/nginx')
        cls.addClassCleanup(lambda: cls.nginx.stop())
        cls.url, cls.slow = cls.nginx.url(NAMES), cls.nginx.url('slow/' + NAMES)
        cls.index = f'{cls.scratch}/leat.index'
        subprocess.run([LEAT, 'index', f'{cls.www}/{NAMES}', '--to', cls.scratch], check=True, capture_output=True, timeout=60)
        cls.bytes = sum(os.path.getsize(f'{cls.www}/{name}') for name in os.listdir(cls.www))
        cls.plain = {}

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=self.scratch)
        self.cache = f'{self.folder}/cache'
        self.nginx.log()

    def start(self, source, **settings):
        arguments = [DRIVER, source, *(f'{name}={value}' for name, value in settings.items())]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def ended(self, process, timeout=60):
        out, err = process.communicate(timeout=timeout)
        return Run(out, err, process.returncode)

    def run_driver(self, source, **settings):
        return self.ended(self.start(source, **settings))

    def good(self, source, **settings):
        """A run with the cache that brings what one without it brings. Returns what it said."""
        run = self.run_driver(source, cache=self.cache, **settings)
        self.assertEqual((run.code, run.stats.get('errors')), (0, 0), run.err)
        self.assertEqual(run.rows, self.expected(**settings))
        return run

    def expected(self, **settings):
        ours = ('epochs', 'order', 'index', 'world', 'rank', 'lanes', 'window', 'memory', 'seed')
        key = tuple(sorted((name, value) for name, value in settings.items() if name in ours))
        if key not in self.plain:
            run = self.run_driver(f'{self.www}/{NAMES}', **{'index': 'none', **dict(key)})
            self.assertEqual((run.code, run.stats.get('errors')), (0, 0), run.err)
            self.plain[key] = run.rows
        return self.plain[key]

    def requests(self):
        """Paths of the shards asked for, each as often as it was."""
        time.sleep(0.05)  # nginx writes its line when the answer is over
        return sorted(path for _, _, _, path in self.nginx.log() if path.endswith('.tar'))

    def once(self, prefix=''):
        return [f'/{prefix}{shard:03}.tar' for shard in range(SHARDS)]

    def entries(self):
        found = []
        for folder, _, names in os.walk(f'{self.cache}/v1'):
            if re.fullmatch('[0-9a-f]{2}', os.path.basename(folder)):
                found += [f'{folder}/{name}' for name in names]
        return sorted(found)

    def disk_bytes(self):
        total = 0
        for folder, _, names in os.walk(f'{self.cache}/v1'):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    total += os.lstat(f'{folder}/{name}').st_blocks * 512
        return total


class Epochs(Case):
    def test_later_epochs_and_runs_come_from_disk_alone(self):
        for order in (0, 1):
            for index in ('none', self.index):
                with self.subTest(order=order, index=index != 'none'):
                    self.cache = f'{self.folder}/cache-{order}-{len(index)}'
                    run = self.good(self.url, order=order, index=index, epochs=3)
                    self.assertEqual(self.requests(), self.once())
                    self.assertGreaterEqual(run.stats['misses'], SHARDS)  # the second epoch may begin while a shard comes in
                    if index == 'none':
                        self.assertEqual(run.stats['misses'] + run.stats['hits'], 3 * SHARDS)
                    self.assertEqual((run.stats['bypassed'], run.stats['damaged']), (0, 0))
                    again = self.good(self.url, order=order, index=index, epochs=2)
                    self.assertEqual(self.requests(), [])
                    self.assertEqual((again.stats['misses'], again.stats['bypassed']), (0, 0))
                    self.assertEqual(sorted(os.listdir(f'{self.cache}/v1'))[-1], 'lock')  # no owners/, no claims/, no bad/

    def test_small_memory_and_odd_settings(self):
        for number, more in enumerate(({'memory': 32 << 20}, {'lanes': 1}, {'lanes': 3, 'window': 5, 'io': 1}, {'connections': 1})):
            for index in ('none', self.index):
                with self.subTest(more=more, index=index != 'none'):
                    self.cache = f'{self.folder}/cache-{number}-{len(index)}'
                    run = self.good(self.url, index=index, epochs=2, **more)
                    self.assertEqual(self.requests(), self.once())
                    self.assertLessEqual(run.stats['peak'], more.get('memory', 64 << 20))

    def test_two_ranks_share_a_cache(self):
        runs = [self.start(self.slow, cache=self.cache, index=self.index, world=2, rank=rank, epochs=2) for rank in range(2)]
        for rank, run in enumerate([self.ended(process) for process in runs]):
            self.assertEqual(run.code, 0, run.err)
            self.assertEqual(run.rows, self.expected(index=self.index, world=2, rank=rank, epochs=2))
        self.assertEqual(self.requests(), self.once('slow/'))

    def test_a_run_that_is_broken_off_is_gone_on_with(self):
        run = self.run_driver(self.slow, cache=self.cache, window=2, batches=1)
        self.assertEqual(run.code, 0, run.err)
        self.assertTrue(any(name.endswith('.part.left') for name in self.entries()))
        self.nginx.log()
        self.good(self.slow)
        statuses = [status for _, status, _, path in self.nginx.log() if path.endswith('.tar')]
        self.assertIn(206, statuses)
        self.assertEqual(len(self.entries()), SHARDS)
        self.assertFalse(any('.part' in name for name in self.entries()))

    def test_a_download_that_the_network_broke_off_is_gone_on_with(self):
        os.mkdir(f'{self.folder}/nginx')
        with servers.Nginx(self.www, f'{self.folder}/nginx') as nginx:
            url = nginx.url('slow/' + NAMES)
            process = self.start(url, cache=self.cache, retries=1)
            while not any(os.path.getsize(path) > 150000 for path in self.entries() if '.part.' in path):
                time.sleep(0.01)
            nginx.stop()
            run = self.ended(process)
            self.assertEqual(run.code, 0, run.err)
            self.assertGreater(run.stats['errors'], 0)
            self.assertTrue(any(name.endswith('.part.left') for name in self.entries()), (run.err, self.entries()))
            nginx.start(self.www, nginx.port, nginx.tls_port)
            self.assertTrue(nginx.answers())
            nginx.log()
            self.good(url)
            self.assertIn(206, [status for _, status, _, path in nginx.log() if path.endswith('.tar')])

    def test_an_object_that_has_changed_is_fetched_anew_and_never_mixed(self):
        other = f'{self.folder}/www'
        write_shards(other)
        os.mkdir(f'{self.folder}/nginx')
        with servers.Nginx(other, f'{self.folder}/nginx') as nginx:
            self.run_driver(nginx.url('slow/' + NAMES), cache=self.cache, window=2, batches=1)
            self.assertTrue(any(name.endswith('.part.left') for name in self.entries()))
            time.sleep(1.1)  # nginx's ETag has whole seconds
            write_shards(other, seed=1)
            run = self.run_driver(nginx.url('slow/' + NAMES), cache=self.cache)
        fresh = self.run_driver(f'{other}/{NAMES}')
        self.assertEqual((run.code, run.stats['errors']), (0, 0), run.err)
        self.assertEqual(run.rows, fresh.rows)

    def test_what_the_index_says_is_another_object_is_not_served(self):
        other = f'{self.folder}/www'
        write_shards(other, seed=1)
        os.mkdir(f'{self.folder}/nginx')
        with servers.Nginx(other, f'{self.folder}/nginx') as nginx:
            self.assertEqual(self.run_driver(nginx.url(NAMES), cache=self.cache).code, 0)
            run = self.run_driver(nginx.url(NAMES), cache=self.cache, index=self.index)
        self.assertEqual(run.rows, [])
        self.assertGreater(run.stats.get('errors', 1), 0)
        self.assertIn('leat index', run.err)

    def test_a_missing_shard_fails_as_without_a_cache(self):
        run = self.run_driver(self.nginx.url('{006..008}.tar'), cache=self.cache, order=1)
        plain = self.run_driver(self.nginx.url('{006..008}.tar'), order=1)
        self.assertEqual((run.rows, run.stats['errors'], run.err), (plain.rows, plain.stats['errors'], plain.err))
        self.assertEqual(len(self.entries()), 2)


class Processes(Case):
    def test_four_processes_and_a_cold_cache_ask_for_each_object_once(self):
        for source, prefix, index in ((self.url, '', 'none'), (self.slow, 'slow/', 'none'), (self.slow, 'slow/', self.index)):
            with self.subTest(source=prefix, index=index != 'none'):
                self.cache = f'{self.folder}/cache-{len(prefix)}-{len(index)}'
                settings = [{'seed': seed, 'order': seed % 2, 'index': index} for seed in range(4)]
                runs = [self.start(source, cache=self.cache, **more) for more in settings]
                for more, run in zip(settings, [self.ended(process) for process in runs]):
                    self.assertEqual((run.code, run.stats.get('bypassed')), (0, 0), run.err)
                    self.assertEqual(run.rows, self.expected(**more))
                self.assertEqual(self.requests(), self.once(prefix))

    def test_a_process_that_is_stopped_holds_up_the_others_for_the_stall_time_only(self):
        stopped = self.start(self.slow, cache=self.cache, order=1)
        while not any('.part.' in name for name in self.entries()):
            time.sleep(0.01)
        stopped.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        run = self.good(self.slow, order=1, stall=1000)
        self.assertGreater(run.stats['bypassed'], 0)
        self.assertLess(time.monotonic() - begin, 40)
        stopped.send_signal(signal.SIGCONT)
        late = self.ended(stopped)
        self.assertEqual((late.code, late.rows), (0, self.expected(order=1)))

    def test_kills_at_random_moments_bring_no_wrong_byte_and_no_more_than_the_quota(self):
        chance, limit = random.Random(5), self.bytes * 2 // 3
        good = {line.split(' ', 1)[1] for line in self.expected()}
        over, stop = [], threading.Event()

        def watch():
            while not stop.wait(0.002):
                used = self.disk_bytes()
                if used > limit + 65536:  # folders' own, and renames seen twice
                    used = self.disk_bytes()  # a file may have been seen under two names
                if used > limit + 65536:
                    over.append(used)
        watcher = threading.Thread(target=watch)
        watcher.start()
        self.addCleanup(watcher.join)
        self.addCleanup(stop.set)
        for kill in range(KILLS):
            settings = {'cache': self.cache, 'limit': limit, 'epochs': 0, 'index': self.index if kill % 2 else 'none'}
            source = self.slow if kill % 3 == 0 else self.url
            processes = [self.start(source, seed=seed + 10 * kill, order=seed % 2, **settings) for seed in range(4)]
            time.sleep(chance.uniform(0.01, 0.8))
            for process in processes:
                if chance.random() < 0.8:
                    process.kill()
            time.sleep(chance.uniform(0, 0.3))
            for process in processes:
                process.kill()
            for run in [self.ended(process) for process in processes]:
                self.assertEqual([row for row in run.rows if row.split(' ', 1)[1] not in good], [])
        stop.set()
        watcher.join()
        self.assertEqual(over, [])
        run = self.good(self.url, limit=limit)
        self.assertEqual(run.stats['damaged'], 0)
        self.good(self.url)
        self.assertFalse(any('.part' in name for name in self.entries()), self.entries())


class Disk(Case):
    def damage(self, path, how):
        if how == 'flip':
            with open(path, 'r+b') as file:
                file.seek(os.path.getsize(path) * 3 // 4)
                byte = file.read(1)
                file.seek(-1, os.SEEK_CUR)
                file.write(bytes([byte[0] ^ 4]))
            return
        if how == 'truncate':
            os.truncate(path, os.path.getsize(path) // 2)
            return
        os.unlink(path)
        if how == 'folder':
            os.makedirs(f'{path}/x')
        elif how == 'fifo':
            os.mkfifo(path)
        elif how == 'link':
            os.symlink('/etc/passwd', path)

    def test_what_is_damaged_is_never_served_and_fetched_again(self):
        for order in (0, 1):
            for index in ('none', self.index):
                self.cache = f'{self.folder}/cache-{order}-{len(index)}'
                self.good(self.url, order=order, index=index)
                for path, how in zip(self.entries(), ('flip', 'truncate', 'folder', 'fifo', 'link', 'flip')):
                    self.damage(path, how)
                with self.subTest(order=order, index=index != 'none'):
                    run = self.good(self.url, order=order, index=index)
                    self.assertEqual(run.stats['damaged'], 6)
                    self.good(self.url, order=order, index=index)  # what was flipped comes back
                    self.nginx.log()
                    last = self.good(self.url, order=order, index=index)
                    self.assertEqual((last.stats['hits'], last.stats['damaged'], self.requests()), (SHARDS, 0, []))

    def test_the_limit_is_kept_and_the_bytes_are_right(self):
        limit = self.bytes // 2
        for index in ('none', self.index):
            run = self.good(self.url, index=index, limit=limit, epochs=3, lanes=2)
            self.assertLessEqual(self.disk_bytes(), limit + 65536)
            self.assertGreater(run.stats['misses'], SHARDS)
            self.assertEqual(run.stats['limit'], limit)

    def test_too_small_a_limit_is_refused_with_both_numbers(self):
        for index in ('none', self.index):
            run = self.run_driver(self.url, cache=self.cache, limit=100000, index=index)
            self.assertEqual(run.code, 1)
            self.assertEqual(run.rows, [])
            self.assertRegex(run.err, r'cache_limit is 100000 bytes, and http\S+\.tar alone takes \d{6,} in the cache')
            self.assertEqual(self.requests() == [], index != 'none')  # an index tells before anything is asked for

    def mount(self, options):
        target = f'{self.folder}/mount'
        os.mkdir(target)
        made = subprocess.run(['mount', '-t', 'tmpfs', '-o', options, 'tmpfs', target], capture_output=True, check=False,
                              timeout=10)
        if made.returncode:
            self.skipTest('mounting a tmpfs is not permitted')
        self.addCleanup(subprocess.run, ['umount', '-l', target], check=True, timeout=10)
        self.cache = f'{target}/cache'
        return target

    def test_a_full_disk_means_streaming(self):
        for number, size in enumerate(('8k', '300k', f'{self.bytes // 2}')):
            with self.subTest(size=size):
                self.folder = tempfile.mkdtemp(dir=self.scratch)
                self.mount(f'size={size}')
                run = self.good(self.url, limit=1 << 30, epochs=2)
                self.assertGreater(run.stats['bypassed'], 0)
                self.good(self.url, epochs=2)  # with a limit of leat's choice
                if number == 2:
                    self.assertGreater(run.stats['hits'] + run.stats['misses'], 0)

    def test_a_full_disk_in_the_middle_of_a_file(self):
        target = self.mount('size=40m')
        with open(f'{target}/ballast', 'wb') as ballast:
            process = self.start(self.slow, cache=self.cache, order=1, limit=1 << 30)
            time.sleep(0.3)
            with contextlib.suppress(OSError):
                while True:
                    ballast.write(bytes(1 << 16))
                    ballast.flush()
            run = self.ended(process)
        self.assertEqual((run.code, run.rows), (0, self.expected(order=1)), run.err)

    def test_a_read_only_disk_is_a_clear_error(self):
        target = self.mount('size=1m')
        subprocess.run(['mount', '-o', 'remount,ro', target], check=True, timeout=10)
        run = self.run_driver(self.url, cache=self.cache)
        self.assertEqual((run.code, run.rows, self.requests()), (1, [], []))
        self.assertIn('Read-only file system', run.err)

    def test_a_folder_that_anyone_may_write_to_is_refused(self):
        os.mkdir(self.cache)
        os.chmod(self.cache, 0o777)
        run = self.run_driver(self.url, cache=self.cache)
        self.assertEqual((run.code, run.rows), (1, []))
        self.assertIn('anyone may write', run.err)

    def test_a_cache_that_is_removed_meanwhile_is_not_made_anew(self):
        process = self.start(self.slow, cache=self.cache, order=1, epochs=2)
        time.sleep(0.5)
        shutil.rmtree(self.cache, ignore_errors=True)
        run = self.ended(process)
        self.assertEqual((run.code, run.rows), (0, self.expected(order=1, epochs=2)), run.err)


if __name__ == '__main__':
    unittest.main()
