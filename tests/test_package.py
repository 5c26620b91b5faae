#!/usr/bin/python3
"""Tests of what other programs get: headers, the installed library, pkg-config, symbols. LEAT_BUILD: the build."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

BUILD = os.environ['LEAT_BUILD']
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HEADERS = sorted(os.listdir(f'{ROOT}/include/leat'))
PHOTOS = f'{ROOT}/examples/data/photos'
STRICT = ['-Wall', '-Wextra', '-Wpedantic', '-Werror']

# written by pthread_once and never again: libcurl's initialization, the C locale, the line of leat_version()
CONSTANT_AFTER_ONCE = {'global_result', 'once', 'c_locale', 'c_locale_once', 'line'}


def run(*command, **more):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL, **more)


def declared():
    """Names of the functions that the headers declare."""
    text = ''.join(open(f'{ROOT}/include/leat/{name}').read() for name in HEADERS if name != 'export.h')
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.DOTALL)
    return set(re.findall(r'LEAT_API[^;(]*?\b(leat_\w+)\(', text))


class Headers(unittest.TestCase):
    def compile(self, compiler, standard, language):
        for name in HEADERS:
            with self.subTest(header=name):
                done = subprocess.run([compiler, f'-std={standard}', *STRICT, '-fsyntax-only', f'-I{ROOT}/include',
                                       '-x', language, '-'], input=f'#include <leat/{name}>\n' * 2 + 'int some;\n',
                                      capture_output=True, text=True, timeout=60)
                self.assertEqual((done.returncode, done.stderr), (0, ''))

    def test_each_alone_as_c11_with_gcc(self):
        self.compile('gcc', 'c11', 'c')

    def test_each_alone_as_c11_with_clang(self):
        self.compile('clang', 'c11', 'c')

    def test_each_alone_as_cpp11_with_gcc(self):
        self.compile('g++', 'c++11', 'c++')

    def test_each_alone_as_cpp20_with_clang(self):
        self.compile('clang++', 'c++20', 'c++')

    def test_the_umbrella_includes_them_all(self):
        text = open(f'{ROOT}/include/leat/leat.h').read()
        included = set(re.findall(r'#include <leat/(\w+\.h)>', text))
        self.assertEqual(included | {'leat.h', 'export.h'}, set(HEADERS))


class Registered(unittest.TestCase):
    def test_every_test_program_is_in_the_build(self):
        known = {test['name'] for test in json.loads(run('/usr/bin/meson', 'introspect', '--tests', BUILD).stdout)}
        for folder, prefix, title in (('tests', 'test_', ''), ('tests/fuzz', 'fuzz_', 'fuzz ')):
            for name in os.listdir(f'{ROOT}/{folder}'):
                stem, ending = os.path.splitext(name)
                if stem.startswith(prefix) and ending in ('.c', '.py'):
                    self.assertIn(title + stem[len(prefix):], known)


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix='leat-package-')
        cls.addClassCleanup(shutil.rmtree, cls.home)
        done = run('/usr/bin/meson', 'install', '-C', BUILD, '--no-rebuild', '--destdir', cls.home)
        assert done.returncode == 0, done.stdout + done.stderr
        files = [os.path.join(folder, name) for folder, _, names in os.walk(cls.home) for name in names]
        cls.files = {os.path.basename(path): path for path in files}
        cls.libdir = os.path.dirname(cls.files['libleat.a'])
        cls.prefix = os.path.dirname(os.path.dirname(cls.files['leat']))
        cls.env = {**os.environ, 'PKG_CONFIG_PATH': f'{cls.libdir}/pkgconfig', 'LD_LIBRARY_PATH': cls.libdir}

    def pkg_config(self, *arguments):
        done = run('pkg-config', f'--define-variable=prefix={self.prefix}', *arguments, 'leat', env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        return done.stdout.split()

    def needed(self, path):
        return set(re.findall(r'\(NEEDED\).*\[(.*)\]', run('readelf', '-d', path).stdout))

    def build(self, *command):
        done = run(*command, env=self.env)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, '', ''))

    def check_runs(self, program):
        done = run(program, PHOTOS, env=self.env)
        self.assertEqual((done.returncode, done.stderr), (0, ''))
        self.assertIn('batch 0: 16 rows, 0 missing', done.stdout)

    def test_every_file_is_in_its_place(self):
        libraries = {'libleat.a', 'libleat.so', 'libleat.so.0', 'libleat.so.0.1.0'}
        self.assertEqual(set(self.files), {'leat', 'leat.pc', *libraries, *HEADERS})
        for name in HEADERS:
            self.assertEqual(self.files[name], f'{self.prefix}/include/leat/{name}')

    def test_the_version_is_the_same_everywhere(self):
        version = self.pkg_config('--modversion')[0]
        header = open(self.files['version.h']).read()
        self.assertIn(f'#define LEAT_VERSION "{version}"', header)
        for part, number in zip(('MAJOR', 'MINOR', 'PATCH'), version.split('.')):
            self.assertIn(f'#define LEAT_VERSION_{part} {number}\n', header)
        self.assertTrue(run(self.files['leat'], '--version', env=self.env).stdout.startswith(f'leat {version}'))
        self.assertIn(f'## {version}', open(f'{ROOT}/CHANGELOG.md').read())

    def test_a_program_with_the_shared_library(self):
        program = f'{self.home}/shared'
        self.build('gcc', '-std=c11', *STRICT, f'{ROOT}/examples/tensors.c', '-o', program,
                   *self.pkg_config('--cflags', '--libs'))
        self.assertEqual(self.needed(program) - {'libc.so.6'}, {'libleat.so.0'})
        self.check_runs(program)

    def test_a_program_with_the_static_library(self):
        program = f'{self.home}/static'
        flags = self.pkg_config('--static', '--cflags', '--libs')
        flags = ['-l:libleat.a' if flag == '-lleat' else flag for flag in flags]
        self.build('gcc', '-std=c11', *STRICT, f'{ROOT}/examples/tensors.c', '-o', program, *flags)
        self.assertNotIn('libleat.so.0', self.needed(program))
        self.check_runs(program)

    def test_a_program_in_cpp(self):
        source = f'{self.home}/program.cpp'
        with open(source, 'w') as file:
            file.write('#include <leat/leat.h>\n#include <iostream>\n'
                       'int main() { leat_config config = LEAT_CONFIG_INIT; leat_error error; leat_loader *loader;\n'
                       '  leat_code code = leat_open(&config, &loader, &error);\n'
                       '  std::cout << leat_code_name(code) << "\\n"; leat_close(loader); }\n')
        program = f'{self.home}/cpp'
        self.build('g++', '-std=c++11', *STRICT, '-Wno-missing-field-initializers', source, '-o', program,
                   *self.pkg_config('--cflags', '--libs'))
        self.assertEqual(run(program, env=self.env).stdout, 'invalid\n')

    def test_only_what_the_headers_declare_is_exported(self):
        listing = run('nm', '-D', '--defined-only', '--format=posix', self.files['libleat.so']).stdout
        exported = {line.split()[0] for line in listing.splitlines()}
        self.assertGreater(len(declared()), 30)
        self.assertEqual(exported, declared())

    def test_the_static_library_keeps_to_its_names(self):
        listing = run('nm', '-g', '--defined-only', '--format=posix', self.files['libleat.a']).stdout
        names = {line.split()[0] for line in listing.splitlines() if ' ' in line}
        self.assertGreater(len(names), 100)
        self.assertEqual({name for name in names if not name.startswith('leat_')}, set())

    def test_no_variable_that_changes_is_shared_by_loaders(self):
        listing = run('objdump', '-t', self.files['libleat.so.0.1.0']).stdout
        self.assertIn(' .text', listing)
        writable = set(re.findall(r'O \.(?:data|bss)\s+\w+ +(\w[\w.]*)$', listing, re.MULTILINE))
        ours = {name for name in writable if not name.startswith(('__', 'completed'))}  # the compiler's own
        self.assertEqual({name.split('.')[0] for name in ours}, CONSTANT_AFTER_ONCE)

    def test_soname_runpath_and_protection(self):
        dynamic = run('readelf', '-d', self.files['libleat.so']).stdout
        self.assertRegex(dynamic, r'\(SONAME\).*\[libleat\.so\.0\]')
        self.assertNotRegex(dynamic, r'\((RPATH|RUNPATH)\)')
        segments = run('readelf', '-lW', self.files['libleat.so']).stdout
        self.assertIn('GNU_RELRO', segments)
        self.assertRegex(segments, r'GNU_STACK\s.*\sRW\s')
        self.assertNotIn('TEXTREL', dynamic)

    def test_the_command_uses_the_public_library_only(self):
        listing = run('nm', '-D', '--undefined-only', '--format=posix', self.files['leat']).stdout
        used = {line.split()[0] for line in listing.splitlines() if line.startswith('leat')}
        self.assertGreater(len(used), 10)
        self.assertEqual(used - declared(), set())


if __name__ == '__main__':
    unittest.main()
