"""The frame of the tests of `leat fetch`: the command in a folder of its own, a server that misbehaves, what is true of every run.

    class Row(fetching.Case):
        def test_x(self):
            run = self.fetch(self.url('cut', at=500, times=1))
            self.outcome(run, done=1)
            self.assert_file('x.bin', self.data())

    def load_tests(loader, tests, pattern):
        return fetching.SideBySide(tests)

Every run (Case.fetch) is checked: strict JSON; planned = done + skipped + failed + cancelled, and an event for each; the summary's
exit code is the process's; messages name what failed, without the query of its URL; nothing lies about that no event has named."""
import concurrent.futures
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from urllib.parse import urlencode, urlsplit

import chaos_server
import servers

HERE = os.path.dirname(os.path.abspath(__file__))
LEAT = os.path.abspath(os.environ.get('LEAT', 'build/cli/leat'))
BUILD = os.environ.get('LEAT_BUILD', 'build')
MIB = 1 << 20
SIZE = 100000  # of an object of the server, if nothing is said
LARGE = 3 * MIB
PART = 256 << 10
PARTS = ('--part-size', '256K', '--parts', '4')  # LARGE is 12 of them
QUICK = ('--connect-timeout', '2', '--stall', '1', '--seed', '1')
THREE = ('a.bin', 'b.bin', 'c.bin')
SIZES = {'a.bin': SIZE, 'b.bin': 0, 'c.bin': 4 * PART}
ONE_BY_ONE = ('--jobs', '1', '--threads', '1', '--part-size', '256K', '--parts', '1')
WRITES, SYNCS = 'write|pwrite|pwritev', 'fsync|fdatasync|syncfs'  # as tests/fail_io.c calls them
JOURNAL_HEAD, JOURNAL_RECORD = 264, 16  # bytes, docs/formats.md
SIDE_BY_SIDE = 6  # most wait for time to pass
FINE, SOME_FAILED, BAD_CONFIG, NO_SOURCE, NO_NETWORK, BAD_DATA, BAD_DISK = 0, 1, 3, 4, 5, 6, 7  # exit codes

world = None


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def write(path, data):
    with open(path, 'wb') as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def other(data):
    """The bytes of an object after it has changed."""
    return data.translate(chaos_server.XOR[255])


class World:
    """What all tests of a file share: the server, with certificates of every kind, and the library that makes calls fail."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='leat-fetch-', dir='/var/tmp')
        os.chmod(self.folder, 0o755)
        self.ca = servers.make_authority(self.folder, 'authority')
        good = servers.make_certificate(self.folder, 'good', self.ca, 'IP:127.0.0.1')
        wrong = servers.make_certificate(self.folder, 'wrong', self.ca, 'DNS:other.example')
        expired = servers.make_certificate(self.folder, 'expired', self.ca, 'IP:127.0.0.1', days=-1)
        servers.make_authority(self.folder, 'stranger')
        itself = [os.path.join(self.folder, 'stranger' + end) for end in ('.pem', '.key')]
        self.chaos = servers.Chaos(self.folder, plain=2, certificates=(good, wrong, expired, itself))
        self.tls = dict(zip(('good', 'wrong host', 'expired', 'self-signed'), self.chaos.tls_ports))
        self.fail_io = self.build_fail_io()

    def build_fail_io(self):
        """tests/fail_io.c as a library: meson's, or one made now."""
        path = os.path.join(BUILD, 'tests', 'libfail_io.so')
        if not os.path.exists(path):
            path = os.path.join(self.folder, 'libfail_io.so')
            source = os.path.join(HERE, 'fail_io.c')
            subprocess.run(['cc', '-D_GNU_SOURCE', '-O1', '-fPIC', '-shared', '-o', path, source], check=True, timeout=60)
        return os.path.abspath(path)

    def close(self):
        self.chaos.stop()
        shutil.rmtree(self.folder)


class Run:
    """What a run of `leat fetch --json` said."""

    def __init__(self, code, out, err, seconds):
        self.code, self.stderr, self.seconds = code, err, seconds
        self.events = [self.strict(line) for line in out.splitlines()]
        self.summary = self.events[-1] if self.events and self.events[-1]['event'] == 'summary' else None

    @staticmethod
    def strict(line):
        def pairs(items):
            if len(dict(items)) != len(items):
                raise ValueError('a key twice: ' + line)
            return dict(items)

        def no_constant(text):
            raise ValueError('no JSON: ' + text)
        return json.loads(line, object_pairs_hook=pairs, parse_constant=no_constant)

    def of(self, kind):
        return [event for event in self.events if event['event'] == kind]

    def messages(self):
        return [event['message'] for event in self.of('error')]

    def told(self):
        """For messages of failed tests."""
        events = [json.dumps(event) for event in self.events if event['event'] != 'progress']
        return f'exit code {self.code}\n{self.stderr}' + '\n'.join(events)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.test = self.id().rsplit('.', 1)[-1]
        self.folder = tempfile.mkdtemp(prefix='case-', dir=world.folder)
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.to = self.path('to')
        self.began = 0

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def at(self, *parts):
        """A path below the directory that is fetched to."""
        return os.path.join(self.to, *parts)

    # ---- the server ----

    def url(self, behaviour, name='x.bin', /, tls=None, second=False, **query):
        """An object of this test's; tls: the port with the certificate of that kind; second: the second plain port."""
        port = world.tls[tls] if tls else world.chaos.ports[second]
        words = '?' + urlencode(query) if query else ''
        return f"{'https' if tls else 'http'}://127.0.0.1:{port}/{behaviour}/{self.test}/{name}{words}"

    def requests(self, behaviour='', name=''):
        """What the server saw of this test, in its order; the path's beginning: /behaviour/test/name."""
        log = json.loads(world.chaos.ask(f'/__log?path=/{behaviour}' if behaviour else '/__log'))
        return [entry for entry in log if f'/{self.test}/{name}' in entry['path']]

    def wait_for(self, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, 'it never came true')
            time.sleep(0.02)

    @staticmethod
    def data(size=SIZE):
        return chaos_server.pattern(0, size)

    def manifest(self, *entries):
        """"@FILE" of a manifest in JSON lines: (url, {member: value}) each, under the names that the URLs alone would have."""
        path = self.path('manifest.jsonl')
        lines = [json.dumps({'url': url, 'path': os.path.basename(urlsplit(url).path), **more}) + '\n' for url, more in entries]
        write(path, ''.join(lines))
        return '@' + path

    @staticmethod
    def sha256(data):
        return hashlib.sha256(data).hexdigest()

    # ---- the command ----

    def command(self, *arguments):
        """Without syncs, which no test of the network needs, but if it says --durable."""
        durable = () if '--durable' in arguments else ('--no-durable',)
        return [LEAT, 'fetch', *QUICK, *durable, *arguments, '--to', self.to, '--json']

    def injected(self, what, log=None):
        """An environment in which calls on the directory fail as fail_io.c's head comment says."""
        more = {'LD_PRELOAD': world.fail_io, 'FAIL_IO': what, 'FAIL_IO_UNDER': os.path.realpath(self.to)}
        if log:
            more['FAIL_IO_LOG'] = log
        sanitizer = os.environ.get('ASAN_OPTIONS', '') + ':verify_asan_link_order=0'  # it wants to come before what is preloaded
        return {**os.environ, 'ASAN_OPTIONS': sanitizer, **more}

    def start(self, *arguments, **more):
        """The process, whose output goes to files: nobody need read it."""
        self.began = time.monotonic()
        with open(self.path('out'), 'wb') as out, open(self.path('err'), 'wb') as err:
            return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=out, stderr=err, **more)

    def finish(self, process, timeout=30):
        """Its Run; unchecked."""
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            self.fail(f'did not end\n{self.output()}')
        return Run(code, read(self.path('out')).decode(), read(self.path('err')).decode(), time.monotonic() - self.began)

    def output(self):
        return read(self.path('out')).decode(errors='replace')[-3000:] + read(self.path('err')).decode(errors='replace')[-2000:]

    def kill(self, process):
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def fetch(self, *arguments, timeout=30, **more):
        """A whole run, checked."""
        kept = self.files()
        run = self.finish(self.start(*arguments, **more), timeout)
        self.check(run, kept)
        return run

    # ---- what has to be true ----

    def check(self, run, kept=()):
        """Every run that came to its end by itself; kept: names of files that were there before."""
        told = run.told()
        self.assertIsNotNone(run.summary, told)
        summary = run.summary
        self.assertEqual(run.events[0]['event'], 'plan', told)
        counts = {key: summary[key] for key in ('planned', 'done', 'skipped', 'failed', 'cancelled')}
        self.assertEqual(counts['planned'], counts['done'] + counts['skipped'] + counts['failed'] + counts['cancelled'], told)
        for key, kind in (('done', 'done'), ('skipped', 'skip'), ('failed', 'error')):
            self.assertEqual(len(run.of(kind)), counts[key], told)
        self.assertEqual(summary['exit_code'], run.code, told)
        self.assertEqual(run.code == 0, counts['failed'] + counts['cancelled'] == 0, told)
        self.assertNotRegex(run.stderr, r'AddressSanitizer|runtime error|Assertion', told)
        for event in run.of('error') + run.of('retry'):
            self.check_message(event)
        self.check_disk(run, kept)

    def check_message(self, event):
        """It names what failed, and keeps the query to itself, where signatures are."""
        message = event['message']
        self.assertTrue(event['path'] in message or event['url'] in message, message)
        self.assertNotRegex(message, r'[?&](size|at|times|code|to)=')
        self.assertRegex(event['url'] or '', r'^[^?]*([?][.]{3})?$')

    def check_disk(self, run, kept=()):
        """Whole files under the names that were told, and of .leat what it may keep; failed.jsonl as long as it has to be."""
        named = {event['path'] for event in run.of('done') + run.of('skip')} | set(kept)
        self.assertEqual(set(self.files()) - named, set(), 'stray files\n' + run.told())
        failed = run.summary['failed'] + run.summary['cancelled']
        state = set(os.listdir(self.at('.leat'))) if os.path.isdir(self.at('.leat')) else set()
        allowed = {'records', 'failed.jsonl', 'bad'} | ({'work'} if failed else set())
        self.assertEqual(state - allowed, set(), run.told())
        if failed:
            self.assertEqual(len(read(run.summary['failed_list']).splitlines()), failed, run.told())
        else:
            self.assertNotIn('failed.jsonl', state)

    def files(self):
        """Names of what is there besides .leat."""
        return sorted(os.path.relpath(os.path.join(folder, name), self.to) for folder, folders, names in os.walk(self.to)
                      for name in names + [link for link in folders if os.path.islink(os.path.join(folder, link))]
                      if '/.leat' not in folder[len(self.to):])

    def outcome(self, run, done=0, skipped=0, failed=0, cancelled=0, code=None):
        summary = run.summary
        self.assertEqual((summary['done'], summary['skipped'], summary['failed'], summary['cancelled']),
                         (done, skipped, failed, cancelled), run.told())
        if code is not None:
            self.assertEqual(run.code, code, run.told())

    def assert_file(self, name, data):
        self.assertTrue(os.path.isfile(self.at(name)), name)
        there = read(self.at(name))
        if there != data:
            at = next((i for i, (a, b) in enumerate(zip(there, data)) if a != b), min(len(there), len(data)))
            self.fail(f'{name}: {len(there)} bytes, expected {len(data)}; they differ from byte {at} on')

    def whole(self, run, *names, size=SIZE):
        """All was fetched, and is right."""
        self.outcome(run, done=len(names), code=FINE)
        for name in names:
            self.assert_file(name, self.data(size))

    def fails(self, run, code, words):
        """One file, and it failed so."""
        self.outcome(run, failed=1, code=code)
        self.assertRegex(run.messages()[0], words)
        self.assertEqual(self.files(), [])


class Disk(Case):
    """Three files, fetched in an order that is always the same."""

    def three(self):
        return [self.url('ok', name, size=SIZES[name]) for name in THREE]

    def expect_three(self, names=THREE):
        for name in names:
            self.assert_file(name, self.data(SIZES[name]))

    def look(self):
        """What is there under final names is whole."""
        self.expect_three([name for name in self.files()] if os.path.isdir(self.to) else [])

    def finish_three(self):
        """The next run, undisturbed, ends as if nothing had been; the one after it has nothing to do."""
        run = self.fetch(*self.three(), *ONE_BY_ONE)
        self.assertEqual(tuple(self.files()), THREE)
        self.assertEqual((run.code, run.summary['done'] + run.summary['skipped']), (FINE, 3), run.told())
        self.expect_three()
        before = len(self.requests())
        again = self.fetch(*self.three(), *ONE_BY_ONE)
        self.outcome(again, skipped=3, code=FINE)
        self.assertEqual(len(self.requests()), before)
        return run

    def disturbed(self, what, log=None):
        return self.finish(self.start(*self.three(), *ONE_BY_ONE, '--durable', env=self.injected(what, log)))

    def calls(self, log):
        return [line.split(' ', 1) for line in read(log).decode().splitlines()] if os.path.exists(log) else []

    def assert_disk_error(self, run, words):
        self.assertEqual(run.code, BAD_DISK, run.told())
        self.assertRegex(run.told(), words)
        self.assertIn(self.to, run.told())

    def interrupted(self):
        """A run that was killed when 8 of 12 parts were there. Returns the URL; its next request is served well."""
        url = self.url('stall', size=LARGE, at=2 * MIB + PART, times=1)
        process = self.start(url, *ONE_BY_ONE, '--stall', '30')
        self.wait_for(lambda: self.requests() and self.requests()[0]['sent'] > 2 * MIB + PART)
        size = -1
        while size != self.journal_size() or size < JOURNAL_HEAD + 8 * JOURNAL_RECORD:
            size = self.journal_size()
            time.sleep(0.3)
        self.kill(process)
        self.assertEqual(self.files(), [])
        return url

    def journal_size(self):
        paths = [path for path in self.work() if path.endswith('.journal')]
        return os.path.getsize(paths[0]) if paths else 0

    def work(self):
        folder = self.at('.leat', 'work')
        paths = [os.path.join(folder, name) for name in os.listdir(folder)] if os.path.isdir(folder) else []
        return [path for path in paths if not path.endswith(('owners', 'claims'))]


class Locked:
    """A TestResult that several threads may use."""

    def __init__(self, result):
        self.result, self.lock = result, threading.Lock()

    def __getattr__(self, name):
        value = getattr(self.result, name)
        if not callable(value):
            return value

        def call(*arguments):
            with self.lock:
                return value(*arguments)
        return call


class SideBySide(unittest.TestSuite):
    """Runs the tests of a file in several threads, with a World around them."""

    def run(self, result, debug=False):
        global world
        world = World()
        try:
            self.run_all(Locked(result))
        finally:
            world.close()
        return result

    def run_all(self, result):
        with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            for future in [pool.submit(test, result) for test in self.leaves(self)]:
                future.result()

    def leaves(self, suite):
        for test in suite:
            if isinstance(test, unittest.TestSuite):
                yield from self.leaves(test)
            else:
                yield test
