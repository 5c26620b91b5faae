"""What the tests of resume and of ranks share: small data sets in every container, and resume_driver as a process.

LEAT: path of the command; LEAT_BUILD: the build, for tests/resume_driver."""
import functools
import io
import os
import random
import shutil
import subprocess
import tarfile
import tempfile
import time

import numpy
from PIL import Image

import servers

BUILD = os.environ.get('LEAT_BUILD', 'build')
LEAT = os.path.abspath(os.environ.get('LEAT', f'{BUILD}/cli/leat'))
DRIVER = os.path.abspath(f'{BUILD}/tests/resume_driver')
LAUNCHERS = ('RANK', 'WORLD_SIZE', 'OMPI_', 'PMI', 'SLURM_', 'JOB_COMPLETION_INDEX')
ALONE = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS)}

SHARDS = (13, 1, 0, 22, 9, 30, 7, 11)  # samples of each: 93
SAMPLES, BATCH = sum(SHARDS), 8
STEPS = -(-SAMPLES // BATCH)
ITEMS = STEPS + 1  # answers of leat_next in an epoch: its batches and LEAT_END
LARGE = (83, 100, 1, 77) * 8  # 2,088 samples


@functools.lru_cache(None)
def picture(number):
    """A JPEG of 0.4 to 10 KB, each another one: so sizes differ that a small one may be read along between two large ones."""
    noise = numpy.random.default_rng(number)
    height, width = noise.integers(8, 100, 2)
    out = io.BytesIO()
    Image.fromarray(noise.integers(0, 256, (height, width, 3), numpy.uint8)).save(out, 'JPEG', quality=80)
    return out.getvalue()


def write_shards(folder, counts, prefix='', pictures=1000):
    """Shards 000000.tar and on, of so many samples each; of so many pictures in turn."""
    os.makedirs(folder)
    number = 0
    for shard, count in enumerate(counts):
        with tarfile.open(f'{folder}/{shard:06}.tar', 'w', format=tarfile.USTAR_FORMAT) as tar:
            for number in range(number, number + count):
                for suffix, data in (('cls', b'%d' % (number % 10)), ('jpg', picture(number % pictures))):
                    info = tarfile.TarInfo(f'{prefix}{number:05}.{suffix}')
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
            number += count > 0


def command(*arguments, environment=(), timeout=120):
    return subprocess.run([LEAT, *arguments], capture_output=True, text=True, timeout=timeout, env={**ALONE, **dict(environment)},
                          check=False)


def checked(result):
    if result.returncode:
        raise AssertionError(f'{result.args}: exit code {result.returncode}: {result.stderr}')
    return result.stdout


def arguments_of(source, settings):
    return [DRIVER, source, *(f'{name}={value}' for name, value in settings.items())]


def lines(source, timeout=120, **settings):
    """The lines of a driver that ends by itself."""
    result = subprocess.run(arguments_of(source, settings), capture_output=True, text=True, timeout=timeout, env=ALONE, check=False)
    return checked(result).splitlines()


def refusal(source, **settings):
    """What a driver says that cannot begin."""
    result = subprocess.run(arguments_of(source, settings), capture_output=True, text=True, timeout=60, env=ALONE, check=False)
    if result.returncode != 1 or result.stdout:
        raise AssertionError(f'{result.args}: exit code {result.returncode}: {result.stdout}')
    return result.stderr


def kill(process):
    """SIGKILL, which nobody can catch. Returns the rest of what it had printed, whole lines only."""
    process.kill()
    rest = process.stdout.read()
    error = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    if process.wait(60) != -9:
        raise AssertionError(f'{process.args} had ended before it was killed: {error}')
    return rest[:rest.rfind('\n') + 1].splitlines()


def start(source, **settings):
    return subprocess.Popen(arguments_of(source, settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ALONE)


def killed_at_line(count, source, **settings):
    """The first `count` lines of an endless driver that is killed at once when the last of them has been read."""
    process = start(source, **settings)
    read = []
    while len(read) < count:
        line = process.stdout.readline()
        if not line:
            raise AssertionError(f'{process.args}: {process.stderr.read()}')
        read.append(line.rstrip('\n'))
    kill(process)
    return read


def killed_after(seconds, source, **settings):
    """All lines of an endless driver that is killed so long after it was started."""
    process = start(source, **settings)
    time.sleep(seconds)
    return kill(process)


class World:
    """The data, in a folder that nginx serves. `sources`: name -> (source, settings of it)."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='leat-resume-', dir='/var/tmp')
        os.mkdir(self.path('nginx'))
        for name in ('indexed', 'plain'):
            write_shards(self.path('root', name), SHARDS)
        write_shards(self.path('root/zst'), SHARDS)
        tars = [self.path('root/zst', name) for name in sorted(os.listdir(self.path('root/zst')))]
        subprocess.run(['zstd', '-q', '-1', '--rm', *tars], check=True, timeout=60)
        for number in range(SAMPLES):
            name = self.path('root/loose', f'class{number % 3}', f'{number:02}.jpg')
            os.makedirs(os.path.dirname(name), exist_ok=True)
            with open(name, 'wb') as file:
                file.write(picture(5000 + number))
        write_shards(self.path('root/large'), LARGE, pictures=200)
        for name in ('indexed', 'zst', 'large'):
            checked(command('index', self.path('root', name)))
        self.nginx = servers.Nginx(self.path('root'), self.path('nginx'))
        self.sources = self.list_sources()

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def list_sources(self):
        braces = '{000000..%06d}.tar' % (len(SHARDS) - 1)
        indexed, loose = self.path('root/indexed'), self.path('root/loose')
        return {
            'indexed': (indexed, {}),
            'not indexed': (self.path('root/plain'), {}),
            'zst, indexed': (self.path('root/zst'), {}),
            'zst, not indexed': (self.path('root/zst'), {'index': 'none'}),
            'folder': (loose, {}),
            'over-sampled': (indexed, {'epoch_samples': SAMPLES + 2}),  # an epoch ends in the middle of a pass
            'mixed': (indexed, {'mix': loose + '=0.3', 'epoch_samples': SAMPLES}),
            'http, indexed': (self.nginx.url('indexed/' + braces), {}),
            'http, not indexed': (self.nginx.url('plain/' + braces), {}),
            'https, zst, indexed': (self.nginx.url(f'zst/{braces}.zst', tls=True), {'ca': self.nginx.ca}),
        }

    def close(self):
        self.nginx.stop()
        shutil.rmtree(self.folder)


def other_settings(source_name, dice):
    """Settings that change nothing."""
    settings = {'threads': dice.choice((1, 2, 4, 8)), 'prefetch': dice.choice((1, 2, 7)), 'io': dice.choice((1, 3)),
                'connections': dice.choice((1, 32))}
    if 'not indexed' not in source_name:  # without an index, windows may be cut by memory
        settings['memory'] = dice.choice((64, 256, 1024)) << 20
    return settings


def dice_of(*what):
    return random.Random(repr(what))
