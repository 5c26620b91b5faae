#!/usr/bin/python3
"""Tests of what leat fetch shows and says, over a library that only plays a run (fake_fetch.c): the view on terminals of many
sizes, as pyte has them; JSON; lines for logs; signals; exit codes. FAKE_LEAT: path of that command.

Debian: python3-pyte, python3-wcwidth, python3-pil."""
import json
import os
import re
import signal
import subprocess
import time
import unicodedata
import unittest

import wcwidth

from record_view import play

LEAT = os.path.abspath(os.environ.get('FAKE_LEAT', 'build/tests/fake_leat'))
FETCH = [LEAT, 'fetch', 'https://data.example.org/{0..9}.tar', '--to', 'data']
SEQUENCE = re.compile(r'\033\[(?:\?7[hl]|[0-9]*[AJKm])')
SUMMARY = re.compile(r'([\d,]+) planned = ([\d,]+) done \+ ([\d,]+) skipped \+ ([\d,]+) failed \+ ([\d,]+) cancelled')


def fake(words):
    return {'FAKE_FETCH': words}


def run(words, *arguments, **more):
    world = {**os.environ, **fake(words)}
    return subprocess.run([*FETCH, *arguments], capture_output=True, text=True, timeout=60, env=world, **more)


def strict(line):
    def refuse(word):
        raise ValueError(word)
    return json.loads(line, parse_constant=refuse)


def is_control(char):
    return unicodedata.category(char) in ('Cc', 'Cf', 'Cs', 'Zl', 'Zp')


class Case(unittest.TestCase):
    maxDiff = None

    def check_sum(self, text):
        """planned = done + skipped + failed + cancelled, said once."""
        found = SUMMARY.findall(text)
        self.assertEqual(len(found), 1, text)
        planned, *rest = (int(number.replace(',', '')) for number in found[0])
        self.assertEqual(planned, sum(rest))
        return [planned, *rest]


class View(Case):
    SIZES = ((200, 60), (120, 40), (80, 24), (60, 20), (59, 20), (40, 12), (40, 24), (25, 8), (12, 5), (80, 3), (3, 2))

    def show(self, words, columns, lines, *arguments, **more):
        more['env'] = {**fake(words), **more.get('env', {})}
        return play([*FETCH, *arguments], columns, lines, **more)

    def check_bytes(self, data, columns):
        """Only the sequences that the view is made of, and no line as wide as the terminal."""
        drawn = SEQUENCE.sub('', data[:data.rindex(b'\033[J')].decode())
        drawn = re.sub(r'leat fetch: .*\r\n', '', drawn)  # printed above the view
        for line in drawn.replace('\r', '\n').split('\n'):
            self.assertFalse([char for char in line if is_control(char)], line)
            self.assertLess(wcwidth.wcswidth(line), columns, line)
        return drawn

    def test_no_size_makes_lines_too_wide(self):
        for columns, lines in self.SIZES:
            with self.subTest(columns=columns, lines=lines):
                code, screen, data = self.show('steps=12 step_ms=20 transfers=64', columns, lines)
                self.assertEqual(code, 1)
                self.check_bytes(data, columns)
                frames = re.findall(rb'\033\[\?7l.*?\033\[\?7h', data, re.S)
                self.assertGreater(len(frames), 5)
                self.assertLess(max(frame.count(b'\n') for frame in frames), lines)

    def test_names_that_nobody_should_send(self):
        for unicode in (True, False):
            code, screen, data = self.show('steps=20 step_ms=20 transfers=30 hostile', 70, 30, unicode=unicode)
            drawn = self.check_bytes(data, 70)
            self.assertTrue(']0;title\\x07owned.tar' in drawn)
            self.assertEqual('\u6f22' in drawn, unicode)
            if not unicode:
                self.assertTrue(data.isascii())

    def test_is_wiped_and_the_summary_stands_in_its_place(self):
        code, screen, data = self.show('files=1000 steps=20 step_ms=20', 100, 40)
        lines = screen.text().rstrip('\n').split('\n')
        self.assertEqual(sum(line.startswith('leat fetch: ') for line in lines), 4)  # 3 failures and the note
        self.assertEqual(self.check_sum(screen.text()), [1000, 897, 100, 3, 0])
        self.assertRegex(screen.text(), r'\n51\.3M in 0\.4 s, [\d.]+M/s; 923 requests, 23 of them repeated\n')
        for word in ('left', 'in flight', 'hosts', 'last failures', '\u2501', '\u2500'):
            self.assertNotIn(word, screen.text())

    def test_what_stands_in_it(self):
        seen = []
        self.show('steps=40 step_ms=25 transfers=40', 120, 40, '-j', '64',
                  look=lambda screen, seconds, process, resize: seen.append(screen.text()) if process else None)
        middle = [text for text in seen if 'paused for' in text][-1]
        self.assertRegex(middle, r'leat fetch  data +\d:\d\d\n')
        self.assertRegex(middle, r'\u2501+\u257e?\u2500+ +\d+%  [\d.]+M of ~[\d.]+M  [\d.]+[KMG]/s  \d:\d\d left\n')
        self.assertRegex(middle, r'[\d,]+ of 3,000 files   done [\d,]+   skipped \d+   failed \d   retries \d+   files/s [\d,]+\n')
        self.assertRegex(middle, r'\n  shards/train-000000.tar +\u2501+\u257e?\u2500+   \d\d%  [\d.]+M/256.0M x4\n')
        self.assertRegex(middle, r'\n  and 24 more in flight, [\d,]+ waiting\n\nhosts\n')
        self.assertRegex(middle, r'\n  mirror.example.org:443    8 of 8 requests +paused for 0:0\d\n')
        self.assertRegex(''.join(seen), r'\n  mirror.example.org:443    8 of 8 requests +throttled\n')
        self.assertRegex(middle, r'\n  10.0.0.7:8080             0 of 64 requests +unreachable( +retries \d+)?\n')
        self.assertRegex(middle, r'\nlast failures\n(  https://data.example.org/train/\S+: HTTP 404 Not Found \(attempt 1\)\n)+$')
        first = [text for text in seen if '+ files' in text][0].split('\n')
        self.assertRegex(first[1], r'^\u2500+  [\d.]+M  [\d.]+[KMG]?/s$')  # still being listed: no share, no time left
        self.assertRegex(first[2], r'of [\d,]+\+ files')

    def test_one_host_without_trouble_is_not_mentioned(self):
        seen = []
        self.show('steps=10 step_ms=30 hosts=1', 80, 24,
                  look=lambda screen, seconds, process, resize: seen.append(screen.text()) if process else None)
        self.assertIn('of 3,000 files', ''.join(seen))
        self.assertNotIn('hosts', ''.join(seen))

    def test_fewer_active_than_are_listed(self):
        _, _, data = self.show('steps=6 step_ms=20 transfers=16 active=1', 80, 24)
        self.assertIn('and 8 more in flight', SEQUENCE.sub('', data.decode()))

    def test_resized_while_it_runs(self):
        sizes = [(0.2, 60, 20), (0.4, 130, 45), (0.6, 40, 12), (0.8, 80, 24)]
        waiting = list(sizes)
        titles = []

        def look(screen, seconds, process, resize):
            if process and waiting and seconds >= waiting[0][0]:
                resize(*waiting.pop(0)[1:])
            elif process and not waiting:
                titles.append(screen.text().count('leat fetch  data'))
        code, screen, data = self.show('steps=60 step_ms=25', 120, 40, look=look, every=0.02)
        self.assertEqual(waiting, [])
        self.assertGreater(titles.count(1), 3)
        self.assertEqual(max(titles), 1)
        self.check_sum(screen.history_text())

    def test_no_color_no_utf8_no_cursor(self):
        _, _, data = self.show('steps=8 step_ms=20', 80, 24, env={'NO_COLOR': '1'})
        self.assertNotRegex(data, rb'\033\[[0-9]*m')
        self.assertIn('\u2501'.encode(), data)
        _, _, data = self.show('steps=8 step_ms=20', 80, 24, unicode=False)
        self.assertTrue(data.isascii())
        self.assertIn(b'###', data)
        _, _, data = self.show('steps=8 step_ms=20', 80, 24, env={'TERM': 'dumb'})
        self.assertNotIn(b'\033', data)

    def test_json_on_the_same_terminal_has_no_view_between(self):
        _, _, data = self.show('files=100 steps=8 step_ms=20', 80, 24, '--json')
        self.assertNotIn(b'\033', data)

    def test_json_elsewhere_leaves_the_view(self):
        with open(os.devnull, 'wb') as null:
            _, screen, data = self.show('files=100 steps=8 step_ms=20', 80, 24, '--json', stdout=null)
        self.assertIn(b'\033[J', data)
        self.check_sum(screen.text())

    def test_first_ctrl_c_is_said_in_the_view(self):
        sent, seen = [], []

        def look(screen, seconds, process, resize):
            seen.append(screen.text())
            if process and seconds > 0.5 and not sent:
                sent.append(process.send_signal(signal.SIGINT))
        code, screen, _ = self.show('steps=100 step_ms=30', 80, 24, look=look, every=0.02)
        self.assertEqual(code, 130)
        self.assertIn('stopping, resumable; Ctrl-C again to quit at once', ''.join(seen))
        self.assertGreater(self.check_sum(screen.text())[4], 0)


class Lines(Case):
    def test_no_terminal_no_cursor(self):
        result = run('steps=22 step_ms=500 hostile')
        self.assertFalse([char for char in result.stderr + result.stdout if is_control(char) and char != '\n'])
        self.assertRegex(result.stderr, r'leat fetch: [\d,]+ of 3,000 files \(\d\d%\), [\d.]+M, [\d.]+M/s, 0:0\d left; '
                                        r'\d failed, \d+ retries\n')
        self.assertEqual(len(re.findall(r'of 3,000 files', result.stderr)), 1)
        self.check_sum(result.stdout)

    def test_failures_beyond_the_first_are_counted(self):
        result = run('files=20000 steps=5 step_ms=1')
        self.assertEqual(result.stderr.count('HTTP 404'), 10)
        self.assertIn('leat fetch: and 40 more failures\n', result.stderr)
        self.assertIn('listed in data/.leat/failed.jsonl; the same command again, or leat fetch @data/.leat/failed.jsonl '
                      '--to data, tries again\n', result.stdout)

    def test_dry_run_names_every_file_on_stdout(self):
        result = run('files=50 steps=5 step_ms=1', '--dry-run')
        lines = result.stdout.split('\n')
        self.assertEqual(len(lines), 51)
        name = 'train/class-000/image-000000.jpg'
        self.assertEqual(lines[0], f'fetch      58.6K  {name}  https://data.example.org/{name}')
        self.assertIn('nothing was done', result.stderr)
        self.assertEqual(result.returncode, 0)

    def test_exit_code_is_that_of_the_worst(self):
        for worst, code in enumerate((0, 1, 5, 4, 3, 7, 6)):
            result = run(f'files=500 steps=5 step_ms=1 worst={worst}', '--json')
            self.assertEqual(result.returncode, code)
            self.assertEqual(strict(result.stdout.split('\n')[-2])['exit_code'], code)

    def test_exit_code_of_what_ended_the_run(self):
        for fatal, worst, code in ((46, 1, 7), (45, 1, 6), (10, 0, 3), (14, 0, 4), (29, 1, 5), (12, 2, 5), (12, 0, 1)):
            result = run(f'files=500 steps=6 step_ms=1 fatal={fatal} worst={worst}', '--json')
            self.assertEqual(result.returncode, code, (fatal, worst))
            summary = strict(result.stdout.split('\n')[-2])
            self.assertEqual(summary['exit_code'], code)
            self.assertEqual(summary['error'], 'data: writing: no space left on device')
            self.assertIn('leat fetch: data: writing: no space left on device\n', result.stderr)


class Events(Case):
    def test_every_line_is_json_whatever_the_names(self):
        result = run('files=400 steps=24 step_ms=100 hostile', '--json')
        events = [strict(line) for line in result.stdout.split('\n')[:-1]]
        kinds = [event['event'] for event in events]
        self.assertEqual(kinds[0], 'plan')
        self.assertEqual(kinds[-1], 'summary')
        self.assertEqual(events[0]['schema'], 1)
        self.assertEqual({kind: kinds.count(kind) for kind in set(kinds)}, {
            'plan': 1, 'start': 360, 'retry': 9, 'error': 1, 'done': 359, 'skip': 40, 'note': 1, 'progress': 2, 'summary': 1})
        self.assertIn('\033[2J\033[H\033]0;title\007owned.tar', [event.get('path') for event in events])
        summary = events[-1]
        self.assertEqual(summary['planned'], 400)
        self.assertEqual(summary['planned'], summary['done'] + summary['skipped'] + summary['failed'] + summary['cancelled'])
        for key in ('bytes', 'seconds', 'planned_bytes', 'retries', 'requests', 'unverified', 'rate', 'worst', 'failed_list',
                    'rank', 'world'):
            self.assertIn(key, summary)
        self.check_sum(result.stderr)

    def test_what_is_not_known_is_null(self):
        lines = run('files=20 steps=5 step_ms=1', '--json').stdout.split('\n')
        start = next(strict(line) for line in lines if '"start"' in line)
        self.assertIsNone(start['bytes'])

    def test_every_option_arrives(self):
        options = ('--layout hash --include *.tar --exclude a* --include ab* --checksums SUMS --max-size 5G --no-resume '
                   '--no-durable -j 9 --max-per-host 3 --parts 2 --part-size 1M --limit-rate 2M --memory 64M --threads 5 '
                   '--retries 7 --connect-timeout 2 --stall 0.25 --max-retry-after 1.5 --header A:b --world 4 --rank 2 '
                   'second @third')
        result = run('files=1 steps=1 step_ms=1', '--json', *options.split(' '))
        plan = strict(result.stdout.split('\n')[0])
        self.assertEqual(plan['sources'], 3)
        self.assertEqual(plan['to'], 'data')
        self.assertEqual(plan['settings'], {
            'layout': 'hash', 'resume': False, 'durable': False, 'dry_run': False, 'checksums': 'SUMS',
            'patterns': [{'include': '*.tar'}, {'exclude': 'a*'}, {'include': 'ab*'}], 'jobs': 9, 'max_per_host': 3, 'parts': 2,
            'part_bytes': 1 << 20, 'limit_rate': 2 << 20, 'memory_limit': 64 << 20, 'threads': 5, 'max_object_bytes': 5 << 30,
            'retries': 7, 'connect_timeout_ms': 2000, 'stall_timeout_ms': 250, 'max_retry_after_ms': 1500, 'world': 4,
            'headers': 1})

    def test_credentials_are_not_in_the_plan(self):
        result = run('files=1 steps=1 step_ms=1', 'https://user:secret@host/x?key=secret', '--header', 'Authorization: secret',
                     '--json')
        self.assertNotIn('secret', result.stdout + result.stderr)

    def test_a_reader_that_has_gone_stops_the_run(self):
        process = subprocess.Popen([*FETCH, '--json'], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env={**os.environ, **fake('steps=300 step_ms=50')})
        process.stdout.readline()
        process.stdout.close()
        begin = time.monotonic()
        process.stderr.read()
        process.stderr.close()
        self.assertEqual(process.wait(timeout=20), 141)
        self.assertLess(time.monotonic() - begin, 5)


class Signals(Case):
    def stop(self, *signals):
        """Sends them 0.2 s apart; returns how it ended, and how long after the last."""
        process = subprocess.Popen([*FETCH, '--json'], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, **fake('steps=300 step_ms=50')})
        process.stdout.readline()
        time.sleep(0.3)
        for number in signals:
            time.sleep(0.2)
            process.send_signal(number)
        begin = time.monotonic()
        out, err = process.communicate(timeout=20)
        return process.returncode, out, err, time.monotonic() - begin

    def test_the_first_stops_cleanly(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            code, out, err, _ = self.stop(number)
            self.assertEqual(code, 128 + number)
            self.assertIn('leat fetch: stopping, resumable; again to quit at once\n', err)
            summary = strict(out.split('\n')[-2])
            self.assertEqual(summary['exit_code'], 128 + number)
            self.assertGreater(summary['cancelled'], 0)
            self.check_sum(err)

    def test_the_second_ends_it_at_once_whichever_it_is(self):
        for second in (signal.SIGINT, signal.SIGTERM):
            code, _, _, seconds = self.stop(signal.SIGINT, second)
            self.assertEqual(code, -second)
            self.assertLess(seconds, 0.5)


class Usage(Case):
    RIGHT = [
        (['fetch', 'x'], 'leat fetch: no --to: give the directory that the files go into, as in --to data'),
        (['fetch', '--to', 'y'], 'leat fetch: no SOURCE...: give a URL, a local path or @list.txt; leat fetch --help says more'),
        (['fetch', '', '--to', 'y'], 'leat fetch: an empty SOURCE...: give a URL, a local path or @list.txt'),
        (['fetch', 'x', '--to', 'y', '--stall', '0'], 'leat fetch: --stall 0: give a number of seconds from 0.001 to 86400'),
        (['fetch', 'x', '--to', 'y', '--stall', '1e3'], 'leat fetch: --stall 1e3: give a number of seconds from 0.001 to 86400'),
        (['fetch', 'x', '--to', 'y', '--stall', '.'], 'leat fetch: --stall .: give a number of seconds from 0.001 to 86400'),
        (['fetch', 'x', '--to', 'y', '--jobs', '1025'], 'leat fetch: --jobs 1025: give a number of transfers from 1 to 1024'),
        (['fetch', 'x', '--to', 'y', '--rank', '1'], 'leat fetch: --rank: goes with --world'),
        (['fetch', 'x', '--to', 'y', '--durable', '--no-durable'], 'leat fetch: --durable: contradicts --no-durable'),
        (['fetch', 'x', '--to', 'y', '--include='], 'leat fetch: --include : give a pattern, at most 64 times'),
        (['fetch', 'x', '--to', 'y', '--header', 'x'], 'leat fetch: --header number 1: give "Name: value" in one line'),
        (['verify'], 'leat verify: no DIR: give a directory that leat fetch has filled; leat verify --help says more'),
        (['verify', 'x', '--quick', '--deep'], 'leat verify: --quick: contradicts --deep'),
        (['cache'], 'leat cache: nothing to do: give ls, verify, gc or rm'),
        (['cache', 'list'], 'leat cache: list: give ls, verify, gc or rm'),
        (['cache', 'verfy'], 'leat cache: verfy: give ls, verify, gc or rm; did you mean verify?'),
        (['cache', 'ls'],
         'leat cache ls: no DIR: give a directory that loaders have as their cache; leat cache ls --help says more'),
        (['cache', 'rm', 'x'], "leat cache rm: no GLOB: give a pattern of URLs, such as 'https://host/old/*'"),
        (['cache', 'rm', 'x', 'y', 'z'], 'leat cache rm: z: DIR GLOB, and no more'),
        (['bench', 'x', '--cache-limit', '1G'], 'leat bench: --cache-limit: goes with --cache'),
    ]

    def test_refusals(self):
        for arguments, message in self.RIGHT:
            result = subprocess.run([LEAT, *arguments], capture_output=True, text=True, timeout=20)
            self.assertEqual((result.returncode, result.stdout, result.stderr), (2, '', message + '\n'))

    def test_more_sources_than_any_table_holds(self):
        result = run('files=1 steps=1 step_ms=1', '--json', *(f'f{i}' for i in range(5000)), '--', '-x')
        self.assertEqual(strict(result.stdout.split('\n')[0])['sources'], 5002)


if __name__ == '__main__':
    unittest.main()
