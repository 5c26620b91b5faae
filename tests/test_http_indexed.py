#!/usr/bin/python3
"""Shards with an index over HTTP: read by ranges, from nginx and from a server that misbehaves, by one rank and several."""
import os
import unittest

import test_http_end_to_end as over_http
from test_http_end_to_end import BRACES, EACH, SHARDS, SMALL, leat

TOTAL = SHARDS * EACH
BATCH = ('--batch', '12', '--lanes', '3')


def setUpModule():
    over_http.setUpModule()


def tearDownModule():
    over_http.tearDownModule()


class Case(over_http.Case):
    def setUp(self):
        super().setUp()
        over_http.world.chaos.ask('/__forget')

    def index(self, source):
        """Makes an index of the source in a folder of this test's; returns the file."""
        made = leat('index', source, '--to', self.folder)
        self.assertEqual(made.returncode, 0, made.stderr)
        return self.path('leat.index')

    def local(self):
        return self.index(over_http.world.root(f'train-{BRACES}.tar'))

    def same(self, source, *arguments):
        """The run by ranges brings what the run from disk without an index brings. Returns its report."""
        report = self.bench(source, *BATCH, *arguments)
        self.assertEqual((report['samples'], report['errors'], report['failures']), (TOTAL, 0, []), report['stderr'])
        self.assertTrue(report['indexed'])
        self.assertEqual(report['sha256'], self.bench(over_http.world.root(f'train-{BRACES}.tar'), *BATCH, '--index', 'none')['sha256'])
        return report


class Nginx(Case):
    def test_the_same_batches_by_ranges(self):
        index, url = self.local(), over_http.world.nginx.url(f'train-{BRACES}.tar')
        for more in ((), ('--connections', '1'), ('--threads', '4', '--prefetch', '5'), ('--memory', '40M')):
            with self.subTest(more=more):
                self.same(url, '--index', index, *more)

    def test_an_index_on_the_server_is_asked_for_where_samples_have_to_be_counted(self):
        made = leat('index', over_http.world.root(f'train-{BRACES}.tar'))
        self.addCleanup(os.unlink, over_http.world.root('leat.index'))
        self.assertEqual(made.returncode, 0, made.stderr)
        url = over_http.world.nginx.url(f'train-{BRACES}.tar')
        self.assertFalse(self.bench(url, *BATCH)['indexed'])
        ranks = [self.bench(url, *BATCH, '--world', '2', '--rank', str(rank)) for rank in range(2)]
        self.assertEqual([report['indexed'] for report in ranks], [True, True])
        self.assertEqual(sum(report['samples'] for report in ranks), TOTAL)
        self.assertEqual(len({report['batches'] for report in ranks}), 1)

    def test_a_rank_fetches_its_own_part(self):
        url = over_http.world.nginx.url(f'train-{BRACES}.tar')
        arguments = (*BATCH, '--index', self.local(), '--lanes', '4')
        alone = self.bench(url, *arguments)['bytes_read']
        ranks = [self.bench(url, *arguments, '--world', '4', '--rank', str(rank))['bytes_read'] for rank in range(4)]
        self.assertLess(max(ranks), alone * 0.6)  # gaps between its samples may be fetched along, half as much at most

    def test_without_an_index_ranks_are_refused(self):
        refused = leat('bench', over_http.world.nginx.url(f'train-{BRACES}.tar'), '--world', '2', '--rank', '0')
        self.assertEqual(refused.returncode, 3)
        self.assertIn('leat index', refused.stderr)

    def test_a_resume_fetches_only_what_is_left(self):
        url, state, index = over_http.world.nginx.url(f'train-{BRACES}.tar'), self.path('state'), self.local()
        whole = self.bench(url, *BATCH, '--index', index)
        for stop in range(whole['batches'] + 1):
            with self.subTest(stop=stop):
                self.bench(url, *BATCH, '--index', index, '--stop-after', str(stop), '--save', state)
                rest = self.bench(url, *BATCH, '--index', index, '--resume', state)
                expected = self.bench(url, *BATCH, '--index', index, '--hash-from', str(stop))
                self.assertEqual(rest['sha256'], expected['sha256'])
                self.assertLessEqual(rest['bytes_read'], whole['bytes_read'] * (1 - stop / whole['batches']) + 300000)


class Chaos(Case):
    """What a bad network does to range requests is not seen in the batches."""

    def test_dropped_connections(self):
        index = self.local()
        for behaviour in ('reset', 'cut'):
            for at in (0, 1, 30000):
                with self.subTest(behaviour=behaviour, at=at):
                    over_http.world.chaos.ask('/__forget')
                    report = self.same(over_http.world.chaos.url(behaviour, f'train-{BRACES}.tar', at=at, times=3), '--index', index)
                    self.assertGreaterEqual(report['retries'], 1)

    def test_errors_stalls_and_redirects(self):
        index = self.local()
        self.same(over_http.world.chaos.url('status', f'train-{BRACES}.tar', code=500, times=2), '--index', index)
        self.same(over_http.world.chaos.url('status', f'train-{BRACES}.tar', code=429, retry_after=1, times=1), '--index', index)
        self.same(over_http.world.chaos.url('stall', f'train-{BRACES}.tar', at=5000, times=1), '--index', index, '--timeout', '1')

    def test_a_server_without_ranges(self):
        self.same(over_http.world.chaos.url('ok', f'train-{BRACES}.tar', range='no'), '--index', self.local())

    def test_wrong_ranges_are_not_believed(self):
        report = self.bench(over_http.world.chaos.url('bad_range', f'train-{BRACES}.tar', kind='start'), *BATCH, '--index', self.local(),
                            codes=(0, 1))
        self.assertEqual(report['samples'], 0)
        self.assertGreater(report['errors'], 0)

    def test_another_object_than_the_index_speaks_of(self):
        url = over_http.world.chaos.url('ok', f'train-{BRACES}.tar')
        index = self.index(url)  # with ETags: the server gives a new one to each object's name
        self.same(url, '--index', index)
        changed = leat('bench', over_http.world.chaos.url('ok', f'train-{BRACES}.tar', etag='change'), *SMALL, *BATCH, '--index', index)
        self.assertEqual(changed.returncode, 1)
        self.assertIn('the index is of another object', changed.stderr)
        self.assertIn('run leat index again', changed.stderr)
        foreign = leat('bench', over_http.world.chaos.url('ok', 'other-000000.tar', size=5), *SMALL, *BATCH, '--index', index)
        self.assertEqual(foreign.returncode, 1)
        self.assertIn('leat index', foreign.stderr)


if __name__ == '__main__':
    unittest.main()
