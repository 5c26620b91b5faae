#!/usr/bin/python3
"""Runs what README.md and docs/guide.md tell a reader to type, as written; and checks what the pages refer to.

Every ```sh block is run by bash -eu in a copy of the tree, all of a page in order; a ```c block whose first line names
a file is written to that file. LEAT_BUILD is installed under a folder of the test's, where pkg-config, the loader of
shared libraries and PATH find it. A block that can't be run here is marked <!-- not run: why --> above it. scripts/test
is not run out of itself."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ['LEAT_BUILD']
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BLOCK = re.compile(r'(?P<mark><!-- not run: [^\n]* -->\n)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$',
                   re.DOTALL | re.MULTILINE)
NOT_COPIED = shutil.ignore_patterns('.git', 'build*', 'leat-quickstart*', '__pycache__')


def read(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as file:
        return file.read()


def pages():
    return ['README.md', 'CHANGELOG.md'] + ['docs/' + name for name in sorted(os.listdir(f'{ROOT}/docs'))]


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix='leat-documents-')
        cls.addClassCleanup(shutil.rmtree, cls.home)
        stage = f'{cls.home}/stage'
        subprocess.run(['/usr/bin/meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', stage], check=True,
                       stdout=subprocess.DEVNULL)
        libdir = next(folder for folder, _, names in os.walk(stage) if 'libleat.a' in names)
        bindir = next(folder for folder, _, names in os.walk(stage) if 'leat' in names)
        cls.env = {**os.environ, 'PATH': f'{bindir}:{os.environ["PATH"]}', 'LD_LIBRARY_PATH': libdir, 'DESTDIR': stage,
                   'PKG_CONFIG_PATH': f'{libdir}/pkgconfig', 'PKG_CONFIG_SYSROOT_DIR': stage}

    def run_page(self, page):
        tree = f'{self.home}/{os.path.basename(page)}.tree'
        shutil.copytree(ROOT, tree, symlinks=True, ignore=NOT_COPIED)
        ran = 0
        for block in BLOCK.finditer(read(page)):
            text = block['text']
            if block['kind'] == 'c' and (name := re.match(r'/\* (\w+\.c)', text)):
                with open(f'{tree}/{name[1]}', 'w') as file:
                    file.write(text)
            if block['kind'] != 'sh' or block['mark'] or text.strip() == 'scripts/test':
                continue
            with self.subTest(page=page, commands=text):
                done = subprocess.run(['bash', '-eu', '-c', text], cwd=tree, env=self.env, capture_output=True,
                                      text=True, stdin=subprocess.DEVNULL, timeout=600)
                self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
                ran += 1
        return tree, ran

    def test_the_readme(self):
        tree, ran = self.run_page('README.md')
        self.assertGreaterEqual(ran, 3)
        with open(f'{tree}/leat-quickstart.png', 'rb') as file:
            self.assertEqual(file.read(8), b'\x89PNG\r\n\x1a\n')

    def test_the_guide(self):
        self.assertGreaterEqual(self.run_page('docs/guide.md')[1], 3)


class Pages(unittest.TestCase):
    def test_links_lead_somewhere(self):
        for page in pages():
            for target in re.findall(r'\]\((?!https?:)([^)#]+)', read(page)):
                path = os.path.normpath(os.path.join(ROOT, os.path.dirname(page), target))
                self.assertTrue(os.path.exists(path), f'{page}: {target}')

    def test_files_that_are_named_exist(self):
        named = r'`((?:bench|cli|docs|examples|fetch|include|loader|pipeline|scripts|stages|store|tests)/[\w./-]+)`'
        for page in pages():
            for target in re.findall(named, read(page)):
                self.assertTrue(os.path.exists(os.path.join(ROOT, target)), f'{page}: {target}')

    def test_names_of_the_interface_exist(self):
        headers = ''.join(read(f'include/leat/{name}') for name in os.listdir(f'{ROOT}/include/leat'))
        headers += ''.join(f' LEAT_{name} ' for name in re.findall(r'^    X\((\w+),', headers, re.MULTILINE))
        known = set(re.findall(r'\b(?:leat_\w+|LEAT_\w+)', headers))
        for page in pages():
            for name in re.findall(r'\b(?:leat_[a-z]\w+|LEAT_[A-Z]\w+)', read(page)):
                if not name.startswith('leat__'):
                    self.assertIn(name, known, page)

    def test_options_of_the_command_exist(self):
        commands = ('bench', 'ls', 'show', 'pack', 'index', 'order', 'fetch', 'verify', 'cache gc')
        helps = ''.join(subprocess.run([os.environ['LEAT'], *command.split(), '--help'], capture_output=True, text=True).stdout
                        for command in commands)
        known = set(re.findall(r'--[a-z][\w-]+', helps)) | {'--help', '--version'}
        for page in pages():
            for line in re.findall(r'^(?:time )?(?:leat|build/cli/leat) .*$', read(page), re.MULTILINE):
                for option in re.findall(r' (--[a-z][\w-]+)', line):
                    self.assertIn(option, known, f'{page}: {line}')


if __name__ == '__main__':
    unittest.main()
