#!/usr/bin/python3
"""Runs the example programs that the build has made, on folders and on shards. LEAT, LEAT_BUILD: as meson sets them."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

EXAMPLES = os.environ['LEAT_BUILD'] + '/examples/example-'
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PHOTOS = f'{ROOT}/examples/data/photos'


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix='leat-examples-')
        cls.addClassCleanup(shutil.rmtree, cls.home)
        done = run(os.environ['LEAT'], 'pack', PHOTOS, '--to', cls.home, '--shard-size', '300K', '--zstd')
        assert done.returncode == 0, done.stderr

    def example(self, name, *arguments, code=0):
        done = run(EXAMPLES + name, *arguments)
        self.assertEqual((done.returncode, bool(done.stderr)), (code, code != 0), done.stderr)
        return done.stdout

    def test_every_example_is_built_and_documented(self):
        names = sorted(name[:-2] for name in os.listdir(f'{ROOT}/examples') if name.endswith('.c'))
        self.assertEqual(names, ['custom_stage', 'poll_fd', 'tensors', 'train'])
        readme = open(f'{ROOT}/README.md').read()
        for name in names:
            self.assertTrue(os.access(EXAMPLES + name, os.X_OK))
            self.assertIn(f'examples/{name}.c', readme)

    def test_tensors_of_a_folder_and_of_shards(self):
        for source in (PHOTOS, self.home):
            out = self.example('tensors', source)
            self.assertIn('batch 0: 16 rows, 0 missing\n', out)
            self.assertRegex(out, r'image +float32 +\[16, 3, 224, 224\] +9633792 bytes +CHW\n')
            self.assertRegex(out, r'label +int64 +\[16\] +128 bytes\n')
            self.assertRegex(out, r'row 0: \w+/\S+, label [0-3], from ' + re.escape(source))

    def test_training_lowers_the_loss_and_repeats(self):
        out = self.example('train', PHOTOS, '30')
        losses = [float(loss) for loss in re.findall(r'^epoch \d+: loss ([\d.]+), \d+ of 64 right$', out, re.MULTILINE)]
        self.assertEqual(len(losses), 30)
        self.assertLess(sum(losses[-5:]), 0.8 * sum(losses[:5]))
        self.assertEqual(self.example('train', PHOTOS, '30'), out)

    def test_the_custom_stage_repeats(self):
        first, second, verdict = self.example('custom_stage', PHOTOS).splitlines()
        self.assertEqual((len(first), first, verdict), (64, second, 'the same'))

    def test_a_loop_of_the_hosts_own(self):
        self.assertRegex(self.example('poll_fd', PHOTOS), r'^64 samples; the timer rang \d+ times meanwhile\n$')

    def test_what_they_say_without_a_source_or_with_a_wrong_one(self):
        for name in ('tensors', 'train', 'custom_stage', 'poll_fd'):
            self.assertEqual(self.example(name, code=1), '')
            self.assertEqual(self.example(name, f'{self.home}/none', code=1), '')


if __name__ == '__main__':
    unittest.main()
