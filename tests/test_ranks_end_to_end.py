#!/usr/bin/python3
"""Ranks from end to end: worlds of 1 to 17 ranks, any resumed as any other, and real processes of mpirun and torchrun.

Slot s of a global batch is row s // world of rank s % world: so the ranks' rows, put together again, have to be the rows of one
rank alone, augmentation included. LEAT_MORE_CASES=N: N times as many random cases."""
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import trainers
from trainers import SAMPLES, checked, command, dice_of, lines

MORE = int(os.environ.get('LEAT_MORE_CASES', '1'))
PEERS = os.environ.get('LEAT_PEERS', '/var/tmp/leat-peers')  # of bench/peers/install.py
TORCHRUN = shutil.which('torchrun') or shutil.which(f'{PEERS}/venvs/torch/bin/torchrun')
# all of them; with a sanitizer, under which each of hundreds of processes takes long, some of every kind
WORLDS = range(1, 18) if 'ASAN_OPTIONS' not in os.environ else (1, 2, 3, 4, 7, 12, 16, 17)
BATCH = 20  # 93 samples: 4 whole batches and 13 samples
LEFT = SAMPLES % BATCH
EPOCHS = 2  # that states are gone on with to the end of
REMAINDERS = {'short': 0, 'drop': 1, 'pad': 2}

world = None


def setUpModule():
    global world
    world = trainers.World()


def tearDownModule():
    world.close()


def steps_of(remainder, ranks):
    """Global batches of an epoch."""
    whole = SAMPLES // BATCH
    return whole + (remainder == 'pad' or (remainder == 'short' and LEFT >= ranks))


def together(ranks):
    """One batch out of the rows of all ranks."""
    rows = [row for layer in itertools.zip_longest(*ranks) for row in layer]
    while rows and rows[-1] is None:
        rows.pop()
    return rows


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='case-', dir=world.folder)
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def merge(self, text, count):
        """Lines of all ranks -> [(epoch, step, rows)]; every rank has to have each step."""
        steps = {}
        for line in text:
            rank, *rest = line.split()
            if rest != ['end']:
                steps.setdefault((int(rest[0]), int(rest[1])), {})[int(rank)] = rest[3:]
        for place, ranks in steps.items():
            self.assertEqual(sorted(ranks), list(range(count)), place)
        merged = [(*place, together([ranks[rank] for rank in range(count)])) for place, ranks in sorted(steps.items())]
        for _, _, rows in merged:
            self.assertNotIn(None, rows)
        return merged


class Order(Case):
    """leat order: who gets what."""

    def of_rank(self, source, ranks, rank, *arguments):
        """step -> [(shard, key)] of one rank."""
        steps = {}
        said = checked(command('order', source, '--batch', str(BATCH), '--world', str(ranks), '--rank', str(rank), *arguments))
        for line in said.splitlines():
            step, said_rank, row, *sample = line.split('\t')
            self.assertEqual((int(said_rank), int(row)), (rank, len(steps.setdefault(int(step), []))))
            steps[int(step)].append(tuple(sample))
        self.assertEqual(sorted(steps), list(range(len(steps))))
        return steps

    def check_worlds(self, source, remainder, worlds, *arguments):
        if remainder != 'short':
            arguments += ('--remainder', remainder)
        alone = self.of_rank(source, 1, 0, *arguments)
        rows = [row for step in alone.values() for row in step]
        if '--mix' not in arguments:  # nothing is lost or comes twice, unless it was asked for
            whole = {'short': SAMPLES, 'drop': SAMPLES - LEFT, 'pad': SAMPLES + BATCH - LEFT}[remainder]
            self.assertEqual((len(rows), len(set(rows))), (whole, min(whole, SAMPLES)))
            self.assertEqual(rows[SAMPLES:], rows[:max(0, whole - SAMPLES)])
        for count in worlds:
            with self.subTest(source=source, remainder=remainder, world=count):
                ranks = [self.of_rank(source, count, rank, *arguments) for rank in range(count)]
                self.assertEqual([len(steps) for steps in ranks], [steps_of(remainder, count)] * count)
                for step in ranks[0]:
                    self.assertEqual(together([steps[step] for steps in ranks]), alone[step])
                listed = checked(command('order', source, '--batch', str(BATCH), '--world', str(count), *arguments)).splitlines()
                self.assertEqual([tuple(line.split('\t')[3:]) for line in listed], rows[:len(listed)])
                self.assertEqual(len(listed), sum(len(rows) for steps in ranks for rows in steps.values()))

    def test_seventeen_worlds(self):
        for remainder in REMAINDERS:
            self.check_worlds(world.sources['indexed'][0], remainder, WORLDS)

    def test_folders_packed_shards_and_mixtures(self):
        worlds, seed = (1, 2, 3, 7, 16), ('--seed', '11', '--epoch', '4')
        self.check_worlds(world.sources['folder'][0], 'short', worlds, *seed)
        self.check_worlds(world.sources['zst, indexed'][0], 'drop', worlds, *seed)
        mixed = (*seed, '--mix', world.sources['folder'][0] + '=0.4', '--epoch-samples', str(SAMPLES))
        self.check_worlds(world.sources['indexed'][0], 'pad', worlds, *mixed)


class Elastic(Case):
    """A state that any world has saved is gone on with by any other, at the next global batch."""

    @classmethod
    def setUpClass(cls):
        """The uninterrupted runs of all worlds with each rank's state behind each line."""
        cls.states = tempfile.mkdtemp(prefix='states-', dir=world.folder)
        cls.source = world.sources['indexed'][0]
        cls.runs = {}

    def state(self, remainder, count, rank, line):
        return os.path.join(self.states, f'{remainder}-{count}.{rank}-{line}')

    def settings(self, remainder, count):
        """With an end, as 17 loaders with a GiB each would read a thousand epochs ahead."""
        return {'batch': BATCH, 'rows': 1, 'seed': 2, 'remainder': REMAINDERS[remainder], 'world': count, 'together': 1,
                'threads': 1, 'io': 1, 'epochs': EPOCHS}

    def run_of(self, remainder, count):
        """(merged steps of all epochs, lines an epoch)"""
        if (remainder, count) not in self.runs:
            an_epoch = steps_of(remainder, count) + 1
            said = lines(self.source, **self.settings(remainder, count), items=EPOCHS * an_epoch, keep=1,
                         save=os.path.join(self.states, f'{remainder}-{count}'))
            self.assertEqual(len(said), EPOCHS * an_epoch * count)
            self.runs[remainder, count] = self.merge(said, count), an_epoch
        return self.runs[remainder, count]

    def check(self, remainder, saved_by, line, resumed_by, rank):
        """Goes on until the end of the last epoch."""
        _, saved_epoch = self.run_of(remainder, saved_by)
        whole, an_epoch = self.run_of(remainder, resumed_by)
        epoch, step = divmod(line, saved_epoch)
        left = EPOCHS * an_epoch - min(epoch * an_epoch + step, epoch * an_epoch + an_epoch - 1)
        said = lines(self.source, **self.settings(remainder, resumed_by), items=left,
                     resume=self.state(remainder, saved_by, rank, line))
        wanted = [batch for batch in whole if batch[:2] >= (epoch, step)]
        self.assertEqual(self.merge(said, resumed_by), wanted)
        self.assertEqual(said[-resumed_by:], [f'{rank} end' for rank in range(resumed_by)])

    def test_every_world_trains_on_the_same(self):
        for remainder in REMAINDERS:
            alone, _ = self.run_of(remainder, 1)
            for count in WORLDS:
                with self.subTest(remainder=remainder, world=count):
                    whole, _ = self.run_of(remainder, count)
                    steps = steps_of(remainder, count)
                    self.assertEqual(whole, [batch for batch in alone if batch[1] < steps])
                    self.assertEqual(len(whole), EPOCHS * steps)

    def test_any_to_any(self):
        for saved_by, resumed_by, number in itertools.product(WORLDS, WORLDS, range(MORE)):
            dice = dice_of(saved_by, resumed_by, number)
            remainder = dice.choice(list(REMAINDERS))
            line, rank = dice.randrange(1, steps_of(remainder, saved_by) + 3), dice.randrange(saved_by)
            with self.subTest(remainder=remainder, saved_by=saved_by, resumed_by=resumed_by, line=line, rank=rank):
                self.check(remainder, saved_by, line, resumed_by, rank)

    def test_at_each_step(self):
        for saved_by, resumed_by in ((4, 2), (2, 4), (5, 3), (1, 17), (17, 1)):
            for line in range(1, EPOCHS * (steps_of('pad', saved_by) + 1)):
                with self.subTest(saved_by=saved_by, resumed_by=resumed_by, line=line):
                    self.check('pad', saved_by, line, resumed_by, 0)

    def test_the_states_of_all_ranks_are_one(self):
        self.run_of('pad', 7)
        for line in range(1, EPOCHS * (steps_of('pad', 7) + 1) + 1):
            texts = set()
            for rank in range(7):
                with open(self.state('pad', 7, rank, line), encoding='ascii') as file:
                    texts.add(file.read())
            self.assertEqual(len(texts), 1)


class Launched:
    """Real processes of a launcher, which find rank and world by themselves. Subclasses say how they are started: `starter`,
    and what is set for them: `launcher`, `rank_variable`."""

    def launch(self, count, *arguments):
        """Runs arguments as `count` processes; $RANK in them is the rank. Returns what each printed."""
        text = ' '.join(arguments).replace('$RANK', '$' + self.rank_variable)
        checked(self.run_all(count, 'sh', '-c', f'exec {text} > {self.path("out")}.${self.rank_variable}'))
        said = []
        for rank in range(count):
            with open(self.path(f'out.{rank}'), encoding='utf-8') as file:
                said.append(file.read())
            os.unlink(self.path(f'out.{rank}'))
        return said

    def run_all(self, count, *arguments):
        return subprocess.run([*self.starter(count), *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120, env=trainers.ALONE, check=False)

    def train(self, count, **settings):
        """Merged steps of so many drivers."""
        settings = {'batch': BATCH, 'rows': 1, 'remainder': 2, 'seed': 6, **settings}
        said = self.launch(count, *trainers.arguments_of(world.sources['indexed'][0], settings))
        return self.merge([line for text in said for line in text.splitlines()], count)

    def test_two_and_four_ranks_and_back(self):
        whole = self.merge(lines(world.sources['indexed'][0], batch=BATCH, rows=1, remainder=2, seed=6, items=12), 1)
        self.assertEqual(len(whole), 10)
        first = self.train(4, items=3, save=self.path('state.$RANK'))
        second = self.train(2, items=4, resume=self.path('state.3'), save=self.path('again.$RANK'))
        third = self.train(4, items=5, resume=self.path('again.1'))
        self.assertEqual(first + second + third, whole)  # 3, 4 with an end of the epoch, 5 with another

    def test_bench_says_what_it_found(self):
        source = world.sources['indexed'][0]
        arguments = (source, '--batch', str(BATCH), '--image', '16', '--epochs', '2', '--json', '--hash')
        for count in (2, 4):
            reports = [json.loads(text) for text in self.launch(count, trainers.LEAT, 'bench', *arguments)]
            for rank, report in enumerate(reports):
                self.assertEqual((report['launcher'], report['rank'], report['world'], report['indexed']),
                                 (self.launcher, rank, count, True))
                self.assertEqual((report['steps'], report['batches'], report['dropped'], report['padded']), (5, 10, 0, 0))
                given = command('bench', *arguments, '--world', str(count), '--rank', str(rank))
                self.assertEqual(report['sha256'], json.loads(checked(given))['sha256'])
            self.assertEqual(sum(report['samples'] for report in reports), 2 * SAMPLES)
            self.assertEqual(len({report['sha256'] for report in reports}), count)


class Mpirun(Launched, Case):
    launcher, rank_variable = 'openmpi', 'OMPI_COMM_WORLD_RANK'

    @staticmethod
    def starter(count):
        return ['mpirun', '--allow-run-as-root', '--oversubscribe', '-n', str(count)]

    def test_bench_goes_on_with_half_the_ranks(self):
        source = world.sources['indexed'][0]
        arguments = (trainers.LEAT, 'bench', source, '--batch', str(BATCH), '--image', '16', '--epochs', '2', '--json',
                     '--remainder', 'drop', '--crop', 'random-resized')
        whole = [json.loads(text) for text in self.launch(2, *arguments, '--hash-from', '3')]
        self.launch(4, *arguments, '--stop-after', '3', '--save', self.path('state.$RANK'))
        rest = [json.loads(text) for text in self.launch(2, *arguments, '--resume', self.path('state.2'), '--hash')]
        self.assertEqual([report['sha256'] for report in rest], [report['sha256'] for report in whole])
        self.assertEqual([report['batches'] for report in rest], [5, 5])
        self.assertEqual([report['dropped'] for report in rest], [LEFT, LEFT])

    def test_without_an_index_all_ranks_end(self):
        """With the sentence that says what to do; nobody waits for ever."""
        result = self.run_all(2, trainers.LEAT, 'bench', world.sources['not indexed'][0], '--image', '16')
        self.assertEqual((result.returncode, result.stdout.count('"samples"')), (3, 0))
        self.assertIn('leat index', result.stderr)


@unittest.skipUnless(TORCHRUN, f'no torchrun, neither on PATH nor in {PEERS}/venvs/torch: bench/peers/install.py installs it')
class Torchrun(Launched, Case):
    launcher, rank_variable = 'torchrun', 'RANK'

    @staticmethod
    def starter(count):
        return [TORCHRUN, '--standalone', '--nproc-per-node', str(count), '--no-python']


class Environment(Case):
    """Launchers that are not here, by what they set."""
    FOUND = (({'SLURM_PROCID': '1', 'SLURM_NTASKS': '3'}, (), ('slurm', 1, 3)),
             ({'PMI_RANK': '0', 'PMI_SIZE': '2'}, (), ('pmi', 0, 2)),
             ({'JOB_COMPLETION_INDEX': '4'}, ('--world', '5'), ('kubernetes', 4, 5)),
             ({'JOB_COMPLETION_INDEX': '4'}, (), ('', 0, 1)),
             ({'SLURM_PROCID': '1', 'SLURM_NTASKS': '3', 'RANK': '0', 'WORLD_SIZE': '6'}, (), ('torchrun', 0, 6)),
             ({'SLURM_NTASKS': '3'}, (), ('', 0, 1)),
             ({'SLURM_PROCID': '1', 'SLURM_NTASKS': '3'}, ('--world', '2', '--rank', '0'), ('config', 0, 2)))

    def bench(self, source, environment, *arguments):
        return command('bench', source, '--batch', str(BATCH), '--image', '16', '--json', *arguments, environment=environment)

    def test_what_is_found(self):
        for environment, arguments, found in self.FOUND:
            with self.subTest(environment=environment, arguments=arguments):
                report = json.loads(checked(self.bench(world.sources['indexed'][0], environment, *arguments)))
                self.assertEqual((report['launcher'], report['rank'], report['world']), found)
                share = sum(1 for batch in (20, 20, 20, 20, LEFT) for slot in range(batch) if slot % found[2] == found[1])
                self.assertEqual((report['samples'], report['batches']), (share, 5))

    def test_what_makes_no_sense_is_refused(self):
        for environment, arguments, words in (({'SLURM_PROCID': '3', 'SLURM_NTASKS': '3'}, (), "SLURM_PROCID .* '3'"),
                                              ({'RANK': 'x', 'WORLD_SIZE': '2'}, (), "RANK .* 'x'"),
                                              ({'JOB_COMPLETION_INDEX': '5'}, ('--world', '5'), 'JOB_COMPLETION_INDEX'),
                                              ({'RANK': '0', 'WORLD_SIZE': '2'}, ('--world', '3'), 'world is 3 .*torchrun.* 2'),
                                              ({}, ('--world', '2'), 'no launcher says')):
            with self.subTest(environment=environment, arguments=arguments):
                result = self.bench(world.sources['indexed'][0], environment, *arguments)
                self.assertEqual((result.returncode, result.stdout), (3, ''))
                self.assertRegex(result.stderr, words)

    def test_without_an_index_there_is_one_rank(self):
        for name in ('not indexed', 'zst, not indexed', 'http, not indexed'):
            source, settings = world.sources[name]
            index = ('--index', settings['index']) if 'index' in settings else ()
            with self.subTest(source=name):
                result = self.bench(source, {'RANK': '0', 'WORLD_SIZE': '2'}, *index)
                self.assertEqual((result.returncode, result.stdout), (3, ''))
                self.assertIn('leat index', result.stderr)
                self.assertEqual(self.bench(source, {}, *index).returncode, 0)


if __name__ == '__main__':
    unittest.main(verbosity=2)
