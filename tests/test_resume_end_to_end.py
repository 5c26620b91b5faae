#!/usr/bin/python3
"""Resume from end to end: processes that are killed with SIGKILL, and others that go on from the state they left.

The lines of resume_driver (a digest a batch, and each end of an epoch) are compared with those of a run that nobody disturbed.
LEAT_MORE_CASES=N: N times as many random cases (10: 200 of a large epoch)."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest

import trainers
from trainers import BATCH, ITEMS, STEPS, dice_of, killed_after, killed_at_line, lines, other_settings

MORE = int(os.environ.get('LEAT_MORE_CASES', '1'))
LARGE_STEPS = -(-sum(trainers.LARGE) // BATCH)

world = None


def setUpModule():
    global world
    world = trainers.World()


def tearDownModule():
    world.close()


def position(state):
    """How many lines come before the one that a state goes on with."""
    return state['epoch'] * ITEMS + state['step']


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='case-', dir=world.folder)
        self.addCleanup(shutil.rmtree, self.folder)
        self.state = self.path('state')

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def read_state(self):
        with open(self.state, encoding='ascii') as file:
            text = file.read()
        self.assertLessEqual(len(text), 1024)
        return json.loads(text)


class EveryBatch(Case):
    """Two epochs of 12 batches and what comes between them."""

    def test_killed_behind_each_line_and_gone_on_in_a_new_process(self):
        for name, (source, settings) in world.sources.items():
            whole = lines(source, batch=BATCH, seed=3, items=2 * ITEMS + 2, **settings)
            self.assertEqual([line for line in whole if line.endswith('end')], ['0 end'] * 2)
            self.assertEqual([line.split()[1:3] for line in whole[ITEMS:ITEMS + 2]], [['1', '0'], ['1', '1']])
            self.assertEqual(len(set(whole)), 2 * ITEMS + 1)  # no two batches alike
            for k in range(1, 2 * ITEMS + 1):
                with self.subTest(source=name, k=k):
                    self.kill_and_go_on(name, whole, k)

    def kill_and_go_on(self, name, whole, k):
        source, settings = world.sources[name]
        dice = dice_of(name, k)
        first = killed_at_line(k, source, batch=BATCH, seed=3, save=self.state, after=k, **settings, **other_settings(name, dice))
        state = self.read_state()
        self.assertEqual(position(state), k)
        rest = lines(source, batch=BATCH, seed=3, resume=self.state, items=len(whole) - k, **settings, **other_settings(name, dice))
        self.assertEqual(first + rest, whole)

    def test_the_containers_and_the_index_make_no_difference(self):
        """So a state of one is a state of the other, as long as the names are the same."""
        whole = lines(world.sources['not indexed'][0], batch=BATCH, items=2 * ITEMS)
        for k in (1, STEPS, ITEMS, ITEMS + 5):
            killed_at_line(k, world.sources['not indexed'][0], batch=BATCH, save=self.state, after=k)
            for name in ('indexed', 'http, indexed', 'http, not indexed'):
                with self.subTest(k=k, name=name):
                    rest = lines(world.sources[name][0], batch=BATCH, resume=self.state, items=len(whole) - k)
                    self.assertEqual(rest, whole[k:])
        killed_at_line(3, world.sources['indexed'][0], batch=BATCH, save=self.state, after=3)
        self.assertIn('run leat index', trainers.refusal(world.sources['not indexed'][0], batch=BATCH, resume=self.state))

    def test_many_lives(self):
        """Killed and gone on from again and again, each life with other settings."""
        for name, (source, settings) in world.sources.items():
            with self.subTest(source=name):
                dice, read, more = dice_of('lives', name), [], {}
                whole = lines(source, batch=BATCH, seed=5, items=4 * ITEMS, **settings)
                while len(read) < 3 * ITEMS:
                    k = dice.choice((1, 1, 2, 5, ITEMS))
                    read += killed_at_line(k, source, batch=BATCH, seed=5, save=self.state, after=k, **more, **settings,
                                           **other_settings(name, dice))
                    more = {'resume': self.state}
                rest = lines(source, batch=BATCH, seed=5, items=len(whole) - len(read), **more, **settings)
                self.assertEqual(read + rest, whole)

    def test_the_edges_of_the_last_epoch(self):
        for name, (source, settings) in world.sources.items():
            with self.subTest(source=name):
                whole = lines(source, batch=BATCH, epoch=7, epochs=2, items=2 * ITEMS + 2, **settings)
                self.assertEqual(whole[-3:], ['0 end'] * 3)
                self.assertEqual(whole[0].split()[1:3], ['7', '0'])
                for k in range(2 * ITEMS - 2, 2 * ITEMS + 3):
                    lines(source, batch=BATCH, epoch=7, epochs=2, items=k, save=self.state, after=k, **settings)
                    rest = lines(source, batch=BATCH, epoch=7, epochs=2, resume=self.state, items=5, **settings)
                    self.assertEqual(rest, (whole[k:] + ['0 end'] * 5)[:5])

    def test_what_was_prefetched_comes_again(self):
        """The consumer sleeps over its first batch until all that prefetch allows is ready; then it is killed."""
        source, settings = world.sources['not indexed']
        whole = lines(source, batch=BATCH, items=ITEMS, **settings)
        process = trainers.start(source, batch=BATCH, prefetch=11, save=self.state, delay=10000)
        self.assertEqual(process.stdout.readline().rstrip('\n'), whole[0])
        time.sleep(0.2)
        self.assertEqual(trainers.kill(process), [])
        self.assertEqual(lines(source, batch=BATCH, resume=self.state, items=ITEMS - 1), whole[1:])


class LargeEpoch(Case):
    """2,088 samples in 32 shards, 261 batches."""

    def test_killed_behind_random_batches(self):
        name, dice = 'large', dice_of('large')
        source = world.path('root/large')
        whole = lines(source, batch=BATCH, seed=9, items=LARGE_STEPS + 10)
        for k in [1, LARGE_STEPS - 1, LARGE_STEPS, LARGE_STEPS + 1] + [dice.randrange(1, LARGE_STEPS) for _ in range(20 * MORE)]:
            with self.subTest(k=k):
                index = dice.choice((source, 'none'))
                first = killed_at_line(k, source, batch=BATCH, seed=9, index=index, save=self.state, after=k,
                                       **other_settings('not indexed', dice))
                rest = lines(source, batch=BATCH, seed=9, index=index, resume=self.state, items=len(whole) - k,
                             **other_settings('not indexed' if index == 'none' else name, dice))
                self.assertEqual(first + rest, whole)

    def test_over_http_only_what_is_left_is_read(self):
        braces = '{000000..%06d}.tar' % (len(trainers.LARGE) - 1)
        source = world.nginx.url('large/' + braces)
        whole = lines(source, batch=BATCH, index=world.path('root/large'), items=LARGE_STEPS)
        k = LARGE_STEPS - 2
        killed_at_line(k, source, batch=BATCH, index=world.path('root/large'), save=self.state, after=k)
        world.nginx.log()
        rest = lines(source, batch=BATCH, resume=self.state, epochs=1, items=3)
        self.assertEqual(rest, whole[k:] + ['0 end'])
        sent = sum(sent for _, _, sent, path in world.nginx.log() if path.endswith('.tar'))
        total = sum(os.path.getsize(path) for path in glob.glob(world.path('root/large/*.tar')))
        self.assertLess(sent, total / 5)


    def test_windows_larger_than_what_is_read_together_over_http(self):
        """Small samples that lie between two wanted ones come along, long before their own turn."""
        source = world.nginx.url('large/{000000..%06d}.tar' % (len(trainers.LARGE) - 1))
        settings = {'batch': BATCH, 'window': 1000, 'lanes': 1, 'index': world.path('root/large')}
        whole = lines(world.path('root/large'), items=LARGE_STEPS + 1, **settings)
        for memory in (32 << 20, 1 << 30):
            for k in (0, 1, 100, LARGE_STEPS - 1):
                more = {'memory': memory, 'timeout': 20}
                first = lines(source, items=k, save=self.state, after=k, **more, **settings) if k else []
                resume = {'resume': self.state} if k else {}
                rest = lines(source, items=LARGE_STEPS + 1 - k, **resume, **more, **settings)
                self.assertEqual(first + rest, whole, f'{memory} bytes, k {k}')


class AnyMoment(Case):
    """SIGKILL that waits for nothing: the state is always the old or the new one, whole."""

    def chain(self, name, writes, least):
        """One life after another, until so many lines have come."""
        source, settings = world.sources[name]
        dice, done, lives = dice_of('moments', name, writes), 0, 0
        whole = lines(source, batch=BATCH, items=least + 1100, **settings)
        begin = time.monotonic()
        lines(source, batch=BATCH, items=1, save=self.path('another'), writes=writes, **settings)
        longest = min(4 * (time.monotonic() - begin), 1)  # with a line a millisecond: at most 1000
        while done < least:
            resume = {'resume': self.state} if lives and os.path.exists(self.state) else {}
            read = killed_after(dice.uniform(0, longest), source, batch=BATCH, save=self.state, writes=writes, delay=1, **resume,
                                **settings)
            self.assertEqual(read, whole[done:done + len(read)], f'life {lives}')
            now = position(self.read_state()) if os.path.exists(self.state) else 0
            self.assertIn(now - done - len(read), (0, 1), f'life {lives}')  # 1: saved, and not yet printed
            done, lives = now, lives + 1
            self.assertLess(time.monotonic() - begin, 200)
        self.assertGreater(lives, 2)

    def test_the_state_is_always_whole(self):
        for name in ('indexed', 'not indexed', 'mixed', 'http, indexed'):
            for _ in range(MORE):
                with self.subTest(source=name):
                    self.chain(name, 1, 200)
                    os.unlink(self.state)

    def test_also_while_it_is_being_written(self):
        """Each is written 200 times, so that nearly every kill hits a writer."""
        for _ in range(MORE):
            self.chain('indexed', 200, 40)
            os.unlink(self.state)


class Command(Case):
    """The same with leat bench: --save, --resume, --stop-after, --hash-from."""
    ARGUMENTS = ('--batch', str(BATCH), '--image', '16', '--crop', 'random-resized', '--flip', '--epochs', '2', '--json')

    def bench(self, source, *arguments):
        return json.loads(trainers.checked(trainers.command('bench', source, *self.ARGUMENTS, *arguments)))

    def test_the_hash_of_the_rest(self):
        for name in ('indexed', 'not indexed', 'zst, indexed', 'folder', 'http, indexed'):
            source = world.sources[name][0]
            for k in (1, 7, STEPS, STEPS + 1, 2 * STEPS - 1):
                with self.subTest(source=name, k=k):
                    wanted = self.bench(source, '--hash-from', str(k))
                    first = self.bench(source, '--stop-after', str(k), '--save', self.state, '--prefetch', '7')
                    rest = self.bench(source, '--resume', self.state, '--hash', '--threads', '3')
                    self.assertEqual(first['batches'] + rest['batches'], wanted['batches'])
                    self.assertEqual(first['samples'] + rest['samples'], wanted['samples'])
                    self.assertEqual(rest['sha256'], wanted['sha256'])

    def one_step(self, source, seconds):
        """A process for the next batch, killed after so many seconds. What it printed; None: it was killed."""
        process = subprocess.Popen([trainers.LEAT, 'bench', source, *self.ARGUMENTS, '--hash', '--stop-after', '1', '--resume',
                                    self.state, '--save', self.state], stdout=subprocess.PIPE, text=True, env=trainers.ALONE)
        try:
            return json.loads(process.communicate(timeout=seconds)[0])
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return None

    def test_killed_while_it_runs_or_saves(self):
        """Step by step through two epochs, two in three killed at some moment: a step counts, or it is done again."""
        source, dice = world.sources['indexed'][0], dice_of('command')
        whole = [line.split() for line in lines(source, batch=BATCH, items=2 * ITEMS) if not line.endswith('end')]
        begin = time.monotonic()
        self.bench(source, '--stop-after', '0', '--save', self.state)
        longest, steps, killed = 2 * (time.monotonic() - begin), [], 0
        while len(steps) < 2 * STEPS:
            before = self.read_state()
            said = self.one_step(source, 60 if dice.random() < 0.3 else dice.uniform(0, longest))
            after = self.read_state()
            killed += said is None
            if said:
                self.assertEqual((said['batches'], said['sha256']), (1, whole[len(steps)][3]))
                self.assertNotEqual(after, before)
            if after != before:
                steps.append((after['epoch'], after['step']))
            for leftover in glob.glob(self.state + '.*.partial'):
                os.unlink(leftover)
        self.assertGreater(killed, 0)
        self.assertEqual(steps, [(epoch, step) for epoch in (0, 1) for step in range(1, STEPS + 1)])


if __name__ == '__main__':
    unittest.main(verbosity=2)
