#!/usr/bin/python3
"""leat fetch against a network that fails: tests for the rows N04 to N39 of the fault catalogue. LEAT: path of the command.

What the server saw, what is on disk, what the events and messages say, and the exit code. Not here: N19 (leat fetch has no list of
networks that are forbidden). N14, where it is the disk that is too slow, is made by tests/fail_io.c."""
import os
import signal
import socket
import time
import unittest
from email.utils import formatdate

import fetching
from fetching import (BAD_CONFIG, BAD_DATA, FINE, LARGE, MIB, NO_NETWORK, NO_SOURCE, PARTS, SIZE, SOME_FAILED, WRITES, other, read,
                      write)

TWICE = 2  # what may go better later is tried again when all else is done
SECRETS = ('Authorization: Bearer planted-1', 'X-Amz-Security-Token: planted-2', 'X-Api-Key: planted-3', 'Cookie: id=planted-4')


def ranges(requests):
    """Where each of the requests began."""
    return [int(entry['headers'].get('range', 'bytes=0-')[6:].partition('-')[0]) for entry in requests]


def gaps(requests):
    return [after['seconds'] - before['seconds'] for before, after in zip(requests, requests[1:])]


class Connections(fetching.Case):
    """N04 to N09, N39: connections that are refused, black holes, broken, cut."""

    def test_n04_a_refused_connection_is_tried_again_and_named(self):
        with socket.create_server(('127.0.0.1', 0)) as listener:
            port = listener.getsockname()[1]
        run = self.fetch(f'http://127.0.0.1:{port}/x.bin', '--retries', '3')
        self.fails(run, NO_NETWORK, f'127.0.0.1:{port}/x.bin.*connect.*attempts')
        self.assertGreaterEqual(run.summary['retries'], 2)

    def test_n05_a_black_hole_ends_by_the_connect_timeout(self):
        with socket.create_server(('127.0.0.1', 0), backlog=0) as listener:
            fill = [socket.socket() for _ in range(4)]
            for sock in fill:
                sock.setblocking(False)
                sock.connect_ex(listener.getsockname())
            run = self.fetch(f'http://127.0.0.1:{listener.getsockname()[1]}/x.bin', '--connect-timeout', '0.4', '--retries', '2')
            for sock in fill:
                sock.close()
        self.fails(run, NO_NETWORK, 'x.bin.*connecting took too long')
        self.assertLess(run.seconds, 6)

    def test_n06_a_reset_anywhere_goes_on_where_it_broke(self):
        places = (-2, -1, 0, 1, SIZE // 2, SIZE - 1)
        names = [f'{at}.bin' for at in places]
        run = self.fetch(*[self.url('reset', name, at=at, times=2) for name, at in zip(names, places)])
        self.whole(run, *names)
        for name, at in zip(names, places):
            requests = self.requests('reset', name)
            self.assertLessEqual(len(requests), 3)
            self.assertGreaterEqual(len(requests), 2)
            self.assertTrue(all(start <= max(at, 0) * 2 for start in ranges(requests)), requests)
            if at > 1:
                self.assertGreater(ranges(requests)[-1], 0, 'begun anew')
        self.assertGreaterEqual(run.summary['retries'], len(places))

    def test_n06_a_reset_within_parts(self):
        run = self.fetch(self.url('reset', size=LARGE, at=600000, times=5), *PARTS)
        self.whole(run, 'x.bin', size=LARGE)

    def test_n07_an_early_end_goes_on_at_the_offset(self):
        run = self.fetch(self.url('cut', at=50000, times=1))
        self.whole(run, 'x.bin')
        self.assertEqual(ranges(self.requests()), [0, 50000])
        self.assertEqual(self.requests()[1]['headers'].get('if-match'), '"v1"')
        self.assertEqual(run.summary['retries'], 1)

    def test_n07_an_early_end_each_time_is_truncated(self):
        run = self.fetch(self.url('cut', at=0), '--retries', '3')
        self.fails(run, SOME_FAILED, 'x.bin.*ended.*3 attempts')
        self.assertEqual(run.of('error')[0]['code'], 'truncated')

    def test_n08_an_end_without_any_length_is_unverified_or_checked(self):
        run = self.fetch(self.url('cut', at=50000, frame='close'))
        self.outcome(run, done=1, code=FINE)
        self.assert_file('x.bin', self.data()[:50000])
        self.assertEqual((run.summary['unverified'], run.of('done')[0]['unverified']), (1, True))

    def test_n08_the_manifest_s_size_finds_it(self):
        once = self.url('cut', 'once.bin', at=50000, frame='close', times=1)
        run = self.fetch(self.manifest((once, {'bytes': SIZE})))
        self.whole(run, 'once.bin')
        self.assertEqual(run.summary['unverified'], 0)

    def test_n08_and_so_does_its_checksum(self):
        always = self.url('cut', at=50000, frame='close')
        run = self.fetch(self.manifest((always, {'sha256': self.sha256(self.data())})), '--retries', '2')
        self.fails(run, BAD_DATA, 'x.bin.*(sha256|SHA-256)')

    def test_n09_chunks_without_the_last_one(self):
        run = self.fetch(self.url('cut', at=50000, frame='chunked', times=1))
        self.whole(run, 'x.bin')
        self.assertEqual(len(self.requests()), 2)

    def test_n39_idle_connections_that_the_server_closed(self):
        names = [f'{n:02}.bin' for n in range(20)]
        run = self.fetch(self.url('close_idle', '{00..19}.bin'), '--jobs', '2')
        self.whole(run, *names)
        self.assertEqual([len(self.requests('close_idle', name)) for name in names], [1] * 20)


class Slowness(fetching.Case):
    """N11 to N14."""

    def test_n11_a_header_that_trickles_has_a_deadline(self):
        run = self.fetch(self.url('slow_header', times=1), '--connect-timeout', '0.5', '--stall', '1')
        self.whole(run, 'x.bin')
        first, second = self.requests()
        self.assertLess(second['seconds'] - first['seconds'], 4)
        self.assertNotEqual(first['connection'], second['connection'])

    def test_n12_a_body_that_trickles_is_cut_and_goes_on(self):
        run = self.fetch(self.url('trickle', at=1000, times=1))
        self.whole(run, 'x.bin')
        first, second = self.requests()
        self.assertNotEqual(first['connection'], second['connection'])
        self.assertGreaterEqual(ranges([second])[0], 1000)

    def test_n13_silence_is_cut_and_goes_on(self):
        run = self.fetch(self.url('stall', 'body.bin', at=50000, times=1), self.url('stall', 'header.bin', at=-1, times=1),
                         '--connect-timeout', '0.5')
        self.whole(run, 'body.bin', 'header.bin')
        first, second = self.requests('stall', 'body.bin')
        self.assertNotEqual(first['connection'], second['connection'])
        self.assertEqual(ranges([second]), [50000])
        self.assertRegex(run.of('retry')[0]['message'], 'bytes/s|header')

    def test_n13_silence_for_ever_ends(self):
        run = self.fetch(self.url('stall', at=0), '--retries', '2', '--stall', '0.5')
        self.fails(run, NO_NETWORK, 'x.bin.*bytes/s.*2 attempts')
        self.assertEqual(len(self.requests()), TWICE * 2)

    def test_n14_a_process_that_was_stopped_blames_nobody(self):
        process = self.start(self.url('pieces', at=1000, size=60000), '--stall', '0.6')
        self.wait_for(self.requests)
        time.sleep(0.3)
        process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        run = self.finish(process)
        self.check(run)
        self.whole(run, 'x.bin', size=60000)
        self.assertEqual((run.summary['retries'], len(self.requests())), (0, 1))

    def test_n14_nor_does_a_slow_disk(self):
        """Each write takes 50 ms: the transfers pause far longer than a stall may last."""
        few = ('--memory', '16M', '--threads', '1', '--stall', '0.5', '--jobs', '4')
        run = self.fetch(self.url('ok', size=40 * MIB), *few, timeout=60, env=self.injected(f'{WRITES}@*=sleep50'))
        self.whole(run, 'x.bin', size=40 * MIB)
        self.assertEqual(run.summary['retries'], 0)


class Headers(fetching.Case):
    """N10, N15, N16, N34 to N37: answers that are no good HTTP, or too much of it."""

    def test_n10_chunk_sizes_that_are_none(self):
        for n, chunk in enumerate(('zz', '-5', '10000000000000000', 'fffffffffffffffff', '')):
            with self.subTest(chunk=chunk):
                run = self.fetch(self.url('bad_chunk', f'{n}.bin', chunk=chunk, at=0), '--retries', '2')
                self.fails(run, NO_NETWORK, f'{n}.bin.*chunk')
                self.assertLessEqual(len(self.requests('bad_chunk', f'{n}.bin')), TWICE * 2)

    def test_n15_headers_without_end(self):
        for name, query in (('400k', {}), ('10000', {'each': 40}), ('single', {'single': 1, 'at': 1000000})):
            with self.subTest(name=name):
                run = self.fetch(self.url('many_headers', name, **query))
                self.fails(run, SOME_FAILED, f'{name}.*header')
                self.assertEqual(run.of('error')[0]['code'], 'headers')
                self.assertEqual(len(self.requests('many_headers', name)), 1)

    def test_n16_interim_answers_are_passed_over_and_capped(self):
        run = self.fetch(self.url('interim', at=5))
        self.whole(run, 'x.bin')

    def test_n16_interim_answers_without_end(self):
        run = self.fetch(self.url('interim'))
        self.fails(run, SOME_FAILED, 'x.bin.*header')
        self.assertEqual(len(self.requests()), 1)
        self.assertLess(self.requests()[0]['sent'], 16 * MIB)

    def test_n34_an_encoding_that_nobody_asked_for(self):
        for name in ('gzip', 'br', 'x\x1b[31m'):
            with self.subTest(name=name):
                run = self.fetch(self.url('encoding', f'{name[0]}.bin', name=name))
                self.fails(run, SOME_FAILED, 'Content-Encoding (gzip|br|x)')
                self.assertEqual(run.of('error')[0]['code'], 'encoding')
                self.assertNotIn('\x1b', run.messages()[0] + run.stderr)
        self.assertEqual([entry['headers'].get('accept-encoding', 'identity') for entry in self.requests()], ['identity'] * 3)

    def test_n35_lengths_that_contradict_themselves(self):
        for kind in ('two', 'both', 'negative', 'huge'):
            with self.subTest(kind=kind):
                run = self.fetch(self.url('lengths', kind, kind=kind))
                self.fails(run, SOME_FAILED, f'{kind}.*(Content-Length|header|bytes)')
                self.assertEqual(len(self.requests('lengths', kind)), 1)

    def test_n35_a_length_that_is_too_large_is_a_truncation(self):
        run = self.fetch(self.url('lengths', kind='long', times=1))
        self.fails_or_whole(run)

    def fails_or_whole(self, run):
        """The second answer says another size: begun anew, or given up; never mixed."""
        if run.summary['done']:
            self.whole(run, 'x.bin')
        else:
            self.fails(run, None, 'x.bin.*changed')

    def test_n35_a_length_that_is_too_small_leaves_nothing_for_the_next_answer(self):
        """What follows the announced bytes on the connection is not taken for the next answer; a known size finds the loss."""
        short, good = self.url('lengths', 'short.bin', kind='short'), self.url('ok', 'good.bin')
        run = self.fetch(self.manifest((short, {'bytes': SIZE}), (good, {})), '--jobs', '1', '--retries', '2')
        self.outcome(run, done=1, failed=1, code=BAD_DATA)
        self.assert_file('good.bin', self.data())
        self.assertEqual(self.files(), ['good.bin'])

    def test_n36_garbage_and_http_0_9(self):
        for n, text in enumerate(('GARBAGE 200 of no known protocol\r\n\r\nhello', 'hello\n', '<html>hello</html>',
                                  'HTTP/9.9\r\n\r\n', '\0' * 5000)):
            with self.subTest(text=text[:20]):
                run = self.fetch(self.url('garbage', f'{n}.bin', text=text), '--retries', '2')
                self.fails(run, None, f'{n}.bin')

    def test_n37_a_body_without_end_stops_at_the_cap(self):
        for frame in ('chunked', 'close'):
            with self.subTest(frame=frame):
                run = self.fetch(self.url('endless', frame, frame=frame), '--max-size', '1M')
                self.fails(run, SOME_FAILED, f'{frame}.*(limit|max|1048576|MiB)')
                self.assertEqual(run.of('error')[0]['code'], 'limit')
                self.assertLess(sum(entry['sent'] for entry in self.requests('endless', frame)), 20 * MIB)

    def test_n37_a_body_without_end_stops_at_the_manifest_s_size(self):
        run = self.fetch(self.manifest((self.url('endless', frame='chunked'), {'bytes': SIZE})), '--retries', '2')
        self.fails(run, BAD_DATA, 'x.bin.*100000')
        self.assertLess(sum(entry['sent'] for entry in self.requests()), 40 * MIB)

    def test_n37_an_announced_size_over_the_plan_or_the_cap_is_not_begun(self):
        run = self.fetch(self.manifest((self.url('ok', size=3 * MIB), {'bytes': SIZE})))
        self.fails(run, BAD_DATA, 'x.bin.*3145728.*100000|x.bin.*100000.*3145728')
        run = self.fetch(self.url('ok', 'y.bin', size=3 * MIB), '--max-size', '1M')
        self.fails(run, SOME_FAILED, 'y.bin.*3145728.*1048576')
        self.assertEqual([len(self.requests('ok', name)) for name in ('x.bin', 'y.bin')], [1, 1])

    def test_n38_a_page_for_a_browser_is_not_the_object(self):
        for name, more in (('size.tar', {'bytes': SIZE}), ('sum.jpg', {'sha256': self.sha256(self.data())})):
            with self.subTest(name=name):
                run = self.fetch(self.manifest((self.url('portal', name), more)))
                self.fails(run, BAD_DATA, f'{name}.*text/html')

    def test_n38_of_the_right_size_too(self):
        wanted = {'bytes': SIZE, 'sha256': self.sha256(self.data())}
        run = self.fetch(self.manifest((self.url('portal', 'x.tar', pad=SIZE), wanted)))
        self.fails(run, BAD_DATA, 'x.tar.*text/html')

    def test_n38_once_only(self):
        run = self.fetch(self.manifest((self.url('portal', pad=SIZE, times=1), {'sha256': self.sha256(self.data())})))
        self.whole(run, 'x.bin')


class Redirects(fetching.Case):
    """N17, N18, N20, N21."""

    def test_n17_a_loop_and_a_chain_that_is_too_long(self):
        run = self.fetch(self.url('redirect', 'loop', to='self'))
        self.fails(run, SOME_FAILED, 'loop.* -> .* -> ')
        self.assertEqual(run.of('error')[0]['code'], 'redirect')
        self.assertLessEqual(len(self.requests('redirect', 'loop')), 6)
        run = self.fetch(self.url('redirect', 'long', hops=6, to='/ok/target'))
        self.fails(run, SOME_FAILED, 'long.* -> .* -> ')
        self.assertLessEqual(len(self.requests('redirect', 'long')), 6)

    def test_n17_a_chain_that_is_not(self):
        run = self.fetch(self.url('redirect', hops=4, to='/ok/target'))
        self.whole(run, 'x.bin')

    def test_n18_no_other_scheme_is_followed(self):
        write(self.path('secret'), b'planted')
        log = self.path('log')
        with socket.create_server(('127.0.0.1', 0)) as listener:
            listener.settimeout(0.01)
            port = listener.getsockname()[1]
            targets = (f'file://{self.path("secret")}', f'ftp://127.0.0.1:{port}/x', f'gopher://127.0.0.1:{port}/x',
                       'data:text/plain,planted')
            for n, target in enumerate(targets):
                with self.subTest(target=target):
                    env = {**self.injected('', log), 'FAIL_IO_UNDER': self.folder}
                    run = self.fetch(self.url('redirect', f'{n}.bin', to=target), env=env)
                    self.fails(run, SOME_FAILED, f"{n}.bin.*{target.partition(':')[0]}")
                    self.assertEqual(run.of('error')[0]['code'], 'redirect')
                    self.assertEqual(len(self.requests('redirect', f'{n}.bin')), 1)
            with self.assertRaises(TimeoutError):
                listener.accept()
        calls = read(log).decode()
        self.assertIn(self.to, calls)
        self.assertNotIn('secret', calls)

    def test_n20_credentials_stay_with_their_host(self):
        headers = [word for header in SECRETS for word in ('--header', header)]
        target = self.url('ok', second=True)
        run = self.fetch(self.url('redirect', to=target), *headers)
        self.whole(run, 'x.bin')
        first, second = self.requests()
        for header in SECRETS:
            name, value = header.split(': ')
            self.assertEqual(first['headers'].get(name.lower()), value)
            self.assertNotIn(name.lower(), second['headers'])
        self.assertNotIn('planted', str(second['headers']) + run.told())

    def test_n20_and_go_along_on_the_same_one(self):
        run = self.fetch(self.url('redirect', to=self.url('ok')), '--header', SECRETS[0])
        self.whole(run, 'x.bin')
        self.assertEqual([entry['headers'].get('authorization') for entry in self.requests()], ['Bearer planted-1'] * 2)

    def test_n20_no_secret_is_told_or_kept_for_others(self):
        """Userinfo and queries of URLs: not in events, messages, or files that others may read."""
        url = self.url('status', code=403, signature='planted-5').replace('http://', 'http://user:planted-6@')
        run = self.fetch(url)
        self.fails(run, NO_SOURCE, 'x.bin.*403')
        self.assertNotIn('planted', run.told())
        for folder, _, names in os.walk(self.at('.leat')):
            for name in names:
                path = os.path.join(folder, name)
                if b'planted' in read(path):
                    self.assertEqual(os.stat(path).st_mode & 0o077, 0, path)

    def test_n21_https_is_never_left(self):
        run = self.fetch(self.url('redirect', tls='good', to=self.url('ok')), '--ca', fetching.world.ca)
        self.fails(run, SOME_FAILED, 'x.bin.*https to http')
        self.assertEqual(self.requests('ok'), [])


class Tls(fetching.Case):
    """N22, N23, with a CA of the tests' own."""

    def test_n22_certificates_that_prove_nothing(self):
        for tls, words in (('expired', 'expired'), ('wrong host', 'name|match|127.0.0.1'), ('self-signed', 'self.signed|issuer')):
            with self.subTest(tls=tls):
                run = self.fetch(self.url('ok', tls=tls), '--ca', fetching.world.ca)
                self.fails(run, NO_NETWORK, f'x.bin.*({words})')
                self.assertEqual(run.of('error')[0]['code'], 'tls')
                self.assertEqual(run.of('retry'), [])
        run = self.fetch(self.url('ok', tls='good'))  # nobody knows the authority
        self.fails(run, NO_NETWORK, 'x.bin.*(certificate|identity)')
        self.assertEqual(self.requests(), [])

    def test_n22_and_one_that_does(self):
        run = self.fetch(self.url('ok', tls='good'), '--ca', fetching.world.ca)
        self.whole(run, 'x.bin')

    def test_n22_an_authority_that_is_not_there(self):
        run = self.finish(self.start(self.url('ok', tls='good'), '--ca', self.path('gone.pem')))
        self.assertEqual((run.code, self.requests()), (BAD_CONFIG, []), run.told())
        self.assertIn('gone.pem', run.told())

    def test_n23_an_alert_in_mid_stream(self):
        run = self.fetch(self.url('alert', tls='good', at=50000, times=1), '--ca', fetching.world.ca)
        self.whole(run, 'x.bin')
        self.assertEqual(len(self.requests()), 2)
        self.assertEqual(run.summary['retries'], 1)


class Statuses(fetching.Case):
    """N24 to N28: what servers answer instead."""

    def test_n24_statuses_that_asking_again_cannot_help(self):
        for status, code in ((401, BAD_CONFIG), (403, NO_SOURCE), (404, NO_SOURCE), (410, NO_SOURCE)):
            with self.subTest(status=status):
                run = self.fetch(self.url('status', str(status), code=status))
                self.fails(run, code, f'{status}.*HTTP {status}.*attempt 1')
                self.assertEqual(len(self.requests('status', str(status))), 1)

    def test_n24_the_others_are_not_affected(self):
        run = self.fetch(self.url('status', 'gone.bin', code=404), self.url('ok', 'x-{0..4}.bin'))
        self.outcome(run, done=5, failed=1, code=NO_SOURCE)
        for n in range(5):
            self.assert_file(f'x-{n}.bin', self.data())

    def test_n25_retry_after_is_kept_by_all_of_the_host(self):
        once = self.url('status', 'a.bin', code=429, retry_after=2, times=1)
        run = self.fetch(once, self.url('ok', 'b-{0..3}.bin'), '--jobs', '1')
        self.whole(run, 'a.bin', *[f'b-{n}.bin' for n in range(4)])
        waits = gaps(self.requests())
        self.assertGreaterEqual(waits[0], 1.95)
        self.assertEqual(run.summary['throttled'], 1)

    def test_n26_retry_after_of_every_kind(self):
        def soon():
            return formatdate(time.time() + 3, usegmt=True)
        kinds = (('past', 'Wed, 21 Oct 2015 07:28:00 GMT', 0), ('negative', '-5', 0), ('huge', '1000000000000', 1),
                 ('garbage', 'next tuesday', 0), ('soon', soon, 1), ('fraction', '0.5', 0), ('empty', '', 0), ('zero', '0', 0),
                 ('far', 'Fri, 31 Dec 9999 23:59:59 GMT', 1))
        for name, value, least in kinds:
            with self.subTest(name=name):
                after = value() if value is soon else value
                run = self.fetch(self.url('status', name, code=503, retry_after=after, times=1), '--max-retry-after', '1')
                self.whole(run, name)
                requests = self.requests('status', name)
                self.assertEqual(len(requests), 2)
                self.assertGreaterEqual(gaps(requests)[0], least * 0.95)
                self.assertLess(gaps(requests)[0], 4)

    def test_n27_three_500s_and_then_the_object(self):
        run = self.fetch(self.url('status', code=500, times=3))
        self.whole(run, 'x.bin')
        self.assertEqual(len(self.requests()), 4)
        self.assertEqual(run.summary['retries'], 3)

    def test_n27_500s_for_ever(self):
        run = self.fetch(self.url('status', code=500, text='no disk left here'), '--retries', '3')
        self.fails(run, SOME_FAILED, 'x.bin.*HTTP 500.*3 attempts.*no disk left here')

    def test_n28_a_dead_host_is_not_stormed(self):
        """10,000 objects; the budget of retries is spent, then files fail without a request."""
        with socket.create_server(('127.0.0.1', 0)) as listener:
            port = listener.getsockname()[1]
        run = self.fetch(f'http://127.0.0.1:{port}/x-{{0000..9999}}.bin', timeout=60)
        self.outcome(run, failed=10000, code=NO_NETWORK)
        self.assertLessEqual(run.summary['retries'], 200)
        self.assertLessEqual(run.summary['requests'], 10100)
        self.assertEqual(self.files(), [])

    def test_n28_nor_is_one_that_is_busy(self):
        """503 for ever: the whole host is asked now and then, however many objects wait for it; and Ctrl-C is heard meanwhile."""
        process = self.start(self.url('status', 'x-{0000..9999}.bin', code=503))
        time.sleep(6)
        asked = len(self.requests())
        process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        run = self.finish(process)
        self.assertLess(time.monotonic() - begin, 5 if 'ASAN_OPTIONS' not in os.environ else 15)
        self.assertEqual(run.code, 128 + signal.SIGINT, run.told())
        self.assertLessEqual(asked, 64 + 100)
        self.assertEqual(run.summary['planned'], run.summary['failed'] + run.summary['cancelled'], run.told())

    def test_n28_one_that_is_busy_for_ever_is_given_up(self):
        """503 for ever: put up with for 30 s, or for what is allowed as Retry-After; then all of the host's files fail."""
        for count in (1, 20):
            with self.subTest(count=count):
                names = [f'{count}-{n}.bin' for n in range(count)]
                urls = [self.url('status', name, code=503) for name in names]
                run = self.fetch(*urls, '--retries', '2', '--max-retry-after', '2')
                self.outcome(run, failed=count)
                self.assertNotEqual(run.code, FINE)
                self.assertGreater(run.seconds, 2)
                self.assertLess(run.seconds, 15)
                self.assertTrue(all('HTTP 503' in error['message'] for error in run.of('error')), run.told())
                self.assertLessEqual(len(self.requests()), 64 + 40)

    def test_n28_what_failed_can_be_fed_back_in(self):
        urls = [self.url('status', f'{n}.bin', code=500, times=4) for n in range(3)] + [self.url('ok', 'good.bin')]
        run = self.fetch(*urls, '--retries', '1')
        self.outcome(run, done=1, failed=3)
        while run.summary['failed']:
            run = self.fetch('@' + run.summary['failed_list'], '--retries', '2')
        self.assertEqual(self.files(), ['0.bin', '1.bin', '2.bin', 'good.bin'])
        for name in self.files():
            self.assert_file(name, self.data())


class Ranges(fetching.Case):
    """N29 to N33: parts of large files, and servers that answer with something else."""

    def test_n29_a_server_without_ranges(self):
        run = self.fetch(self.url('ok', size=LARGE, range='no'), *PARTS)
        self.whole(run, 'x.bin', size=LARGE)

    def test_n29_that_breaks_off(self):
        run = self.fetch(self.url('cut', size=LARGE, range='no', at=MIB, times=2), *PARTS)
        self.whole(run, 'x.bin', size=LARGE)

    def test_n30_a_range_that_is_another_one(self):
        for kind in ('start', 'before', 'beyond', 'end', 'total', 'missing', 'multipart', 'oversize'):
            with self.subTest(kind=kind):
                run = self.fetch(self.url('bad_range', kind, kind=kind, at=300000, size=LARGE), *PARTS, '--retries', '2')
                self.fails(run, None, f'{kind}.*(range|changed|bytes)')
                self.assertIn(run.of('error')[0]['code'], ('range', 'changed', 'oversize'))

    def test_n30_a_server_whose_ranges_are_wrong_is_read_in_one_piece(self):
        for kind in ('start', 'total', 'missing', 'multipart'):
            with self.subTest(kind=kind):
                run = self.fetch(self.url('bad_range', kind, kind=kind, at=LARGE, size=LARGE), *PARTS, '--retries', '2')
                self.outcome(run, done=1, code=FINE)
                self.assert_file(kind, self.data(LARGE))

    def test_n30_a_range_that_is_good_but_odd(self):
        for kind in ('star', 'short'):
            with self.subTest(kind=kind):
                run = self.fetch(self.url('bad_range', kind, kind=kind, at=300000, size=LARGE, step=100000), *PARTS)
                self.outcome(run, done=1, code=FINE)
                self.assert_file(kind, self.data(LARGE))

    def test_n31_416_after_the_last_byte(self):
        run = self.fetch(self.url('cut', frame='chunked', at=SIZE, times=1))
        self.whole(run, 'x.bin')

    def test_n31_416_because_the_object_has_shrunk(self):
        run = self.fetch(self.url('cut', at=80000, times=1, changes=1, new_size=50000, etag='none', modified=0))
        self.outcome(run, done=1, code=FINE)
        self.assert_file('x.bin', other(self.data(50000)))

    def test_n32_the_object_changes_once(self):
        for precondition in (1, 0):
            for size, more in ((SIZE, ()), (LARGE, PARTS)):
                with self.subTest(precondition=precondition, size=size):
                    name = f'{precondition}-{size}.bin'
                    url = self.url('cut', name, size=size, at=size // 2, times=1, changes=1, precondition=precondition)
                    run = self.fetch(url, *more)
                    self.outcome(run, done=1, code=FINE)
                    self.assert_file(name, other(self.data(size)))

    def test_n32_the_object_changes_under_parts(self):
        for changes in (1, 2, 3, 4):
            with self.subTest(changes=changes):
                name = f'{changes}.bin'
                run = self.fetch(self.url('pieces', name, size=LARGE, at=200000, changes=changes), *PARTS)
                self.outcome(run, done=1, code=FINE)
                there = read(self.at(name))
                self.assertIn(there, (self.data(LARGE), other(self.data(LARGE))), 'mixed')

    def test_n32_the_object_changes_all_the_time(self):
        run = self.fetch(self.url('cut', size=LARGE, at=400000, etag='change'), *PARTS, '--retries', '3')
        self.fails(run, BAD_DATA, 'x.bin.*changed')
        self.assertEqual(run.of('error')[0]['code'], 'changed')

    def test_n32_412_to_every_range(self):
        run = self.fetch(self.url('cut', 'x.bin', size=LARGE, at=400000, times=1, etag='change'), *PARTS)
        if run.summary['done']:
            self.whole(run, 'x.bin', size=LARGE)
        else:
            self.fails(run, None, 'x.bin.*changed')

    def test_n32_the_object_changes_between_two_runs(self):
        url = self.url('stall', size=LARGE, at=2 * MIB, after=0, times=1, changes=1)
        process = self.start(url, *PARTS, '--parts', '1', '--stall', '30')
        self.wait_for(lambda: self.requests() and self.requests()[0]['sent'] > 2 * MIB)
        time.sleep(1)
        self.kill(process)
        run = self.fetch(url, *PARTS)
        self.outcome(run, done=1, code=FINE)
        self.assert_file('x.bin', other(self.data(LARGE)))

    def test_n33_weak_validators(self):
        """No If-Match with a weak ETag; without any validator no range at all, so that nothing can be mixed."""
        for etag, modified in (('weak', 1), ('none', 1), ('weak', 0), ('none', 0)):
            with self.subTest(etag=etag, modified=modified):
                name = f'{etag}-{modified}.bin'
                run = self.fetch(self.url('pieces', name, size=LARGE, at=200000, etag=etag, modified=modified), *PARTS)
                self.whole(run, name, size=LARGE)
                for entry in self.requests('pieces', name):
                    self.assertNotIn('if-match', entry['headers'])
                if not modified:
                    self.assertEqual(ranges(self.requests('pieces', name)), [0])

    def test_n33_strong_ones_are_asked_for(self):
        run = self.fetch(self.url('pieces', size=LARGE, at=200000), *PARTS)
        self.whole(run, 'x.bin', size=LARGE)
        requests = self.requests()
        self.assertGreater(len(requests), 1, 'one connection only')
        self.assertEqual([entry['headers'].get('if-match') for entry in requests[1:]], ['"v1"'] * (len(requests) - 1))
        self.assertEqual(len(set(ranges(requests))), len(requests))


def load_tests(_loader, tests, _pattern):
    return fetching.SideBySide(tests)


if __name__ == '__main__':
    unittest.main()
