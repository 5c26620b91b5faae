#!/usr/bin/python3
"""all.py [STEP ...] - builds leat in every way and runs its tests; scripts/test calls it.

    plain     gcc, release: every test, the installed package, examples, and the commands of the README
    clang     clang, with asserts: the tests of single modules
    asan      gcc, asserts, AddressSanitizer with leak check, UndefinedBehaviorSanitizer: every test but the package's
    tsan      gcc, asserts, ThreadSanitizer: the tests of the suite `concurrent`
    valgrind  the release build under valgrind: a few tests and the command

All builds with warnings as errors. What is counted: Check's checks, unittest's tests, pillow_compare.py's cases; one
for each other program (a corpus, a build, a run under valgrind). A step that cannot be run is a failure."""
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILDS = f'{ROOT}/build-test'
OPTIONS = {
    'plain': ('gcc', ['-Dbuildtype=release', '-Ddebug=true']),
    'clang': ('clang', ['-Dbuildtype=debugoptimized']),
    'asan': ('gcc', ['-Dbuildtype=debugoptimized', '-Db_sanitize=address,undefined']),
    'tsan': ('gcc', ['-Dbuildtype=debugoptimized', '-Db_sanitize=thread']),
}
# (times the time-outs, the suites, environment)
RUNS = {
    'plain': (1, [], {'LEAT_SLOW_TESTS': '1'}),
    'clang': (1, ['unit'], {}),
    'asan': (4, [], {'ASAN_OPTIONS': 'detect_leaks=1:detect_stack_use_after_return=1',
                     'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1'}),
    'tsan': (8, ['concurrent'], {'TSAN_OPTIONS': 'halt_on_error=1:second_deadlock_stack=1', 'CK_FORK': 'no'}),
}
VALGRIND = ['valgrind', '-q', '--leak-check=full', '--error-exitcode=99']
VALGRIND_RUNS = [
    ['tests/test_items'], ['tests/test_braces'], ['tests/test_pipeline'],
    ['cli/leat', 'bench', f'{ROOT}/examples/data/photos', '--image', '32', '--threads', '2', '--batch', '8', '--hash'],
    ['cli/leat', 'ls', f'{ROOT}/examples/data/photos'],
    ['examples/example-poll_fd', f'{ROOT}/examples/data/photos'],
]


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def add(self, what, passed, failed, seconds, output=''):
        self.passed += passed
        self.failed += failed
        print(f'  {what:<34} {passed:6} passed {failed:3} failed {seconds:7.1f} s', flush=True)
        if failed:
            print('\n'.join('    | ' + line for line in output.strip().splitlines()[-60:]), flush=True)


def count(output, good):
    """(passed, failed) of one program, from what it printed; one check if it prints no count."""
    passed = failed = 0
    for numbers in re.findall(r'^\d+%: Checks: (\d+), Failures: (\d+), Errors: (\d+)', output, re.MULTILINE):
        checks, failures, errors = map(int, numbers)
        failed += failures + errors
        passed += checks - failures - errors
    for tests, verdict in re.findall(r'^Ran (\d+) tests? in .*\n\n(.*)', output, re.MULTILINE):
        wrong = sum(map(int, re.findall(r'(?:failures|errors|unexpected successes)=(\d+)', verdict)))
        skipped = sum(map(int, re.findall(r'(?:skipped|expected failures)=(\d+)', verdict)))
        wrong = min(wrong, int(tests))  # subtests can be more
        failed += wrong
        passed += int(tests) - wrong - skipped
    for cases, differ in re.findall(r'^(\d+) cases, (\d+) differ', output, re.MULTILINE):
        failed += int(differ)
        passed += int(cases) - int(differ)
    if good and passed + failed == 0:
        passed = 1
    if not good and failed == 0:
        failed = 1
    return passed, failed


def call(command, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors='replace', **more)
    return done.returncode == 0, done.stdout


def build(tally, name):
    compiler, options = OPTIONS[name]
    folder, begin = f'{BUILDS}/{name}', time.time()
    set_up = ['meson', 'setup', folder, ROOT, '--werror', *options]
    if os.path.exists(f'{folder}/build.ninja'):
        set_up.append('--reconfigure')
    good, output = call(set_up, env={**os.environ, 'CC': compiler})
    if good:
        good, output = call(['ninja', '-C', folder])
    tally.add(f'{name}: build', int(good), int(not good), time.time() - begin, output)
    return good


def run_suites(tally, name):
    times, suites, environment = RUNS[name]
    folder, log = f'{BUILDS}/{name}', f'{BUILDS}/{name}/meson-logs/{name}.json'
    if os.path.exists(log):
        os.unlink(log)
    command = ['meson', 'test', '-C', folder, '--no-rebuild', '--logbase', name, '-t', str(times)]
    for suite in suites:
        command += ['--suite', suite]
    _, said = call(command, env={**os.environ, 'CK_TIMEOUT_MULTIPLIER': str(times), **environment})
    results = [json.loads(line) for line in open(log)] if os.path.exists(log) else []
    if not results:
        tally.add(f'{name}: meson test', 0, 1, 0, said)
    for result in results:
        output = (result.get('stdout') or '') + (result.get('stderr') or '')
        passed, failed = count(output, result['result'] == 'OK')
        if result['result'] != 'OK':
            output += f'\n{result["result"]}, exit code {result["returncode"]}'
        tally.add(f'{name}: {result["name"].split(" / ")[-1]}', passed, failed, result['duration'], output)


def run_valgrind(tally):
    # FORCENONE: libjpeg without vectors. Those take in what lies behind a row's end and give the row's pixels alone,
    # but memcheck makes pmaddwd's two sums one, and so calls greens near the end undefined. They are not: test_jpeg,
    # test_pixels_that_valgrind_calls_undefined_are_the_same_whatever_lay_in_memory
    environment = {**os.environ, 'JSIMD_FORCENONE': '1', 'CK_FORK': 'no', 'CK_TIMEOUT_MULTIPLIER': '50'}
    for program, *arguments in VALGRIND_RUNS:
        begin = time.time()
        command = [*VALGRIND, f'{BUILDS}/plain/{program}', *arguments]
        good, output = call(command, env=environment, cwd=f'{ROOT}/tests', timeout=600)
        what = f'{os.path.basename(program)} {arguments[0] if program == "cli/leat" else ""}'
        tally.add(f'valgrind: {what}', int(good), int(not good), time.time() - begin, output)


def main():
    steps = sys.argv[1:] or [*OPTIONS, 'valgrind']
    unknown = [step for step in steps if step not in (*OPTIONS, 'valgrind')]
    if unknown:
        sys.exit(f'all.py: {unknown[0]}: no such step; there are {", ".join(OPTIONS)}, valgrind')
    tally, begin = Tally(), time.time()
    os.makedirs(BUILDS, exist_ok=True)
    for step in steps:
        print(f'{step}, after {time.time() - begin:.0f} s', flush=True)
        if step == 'valgrind':
            if build(tally, 'plain'):
                run_valgrind(tally)
        elif build(tally, step):
            run_suites(tally, step)
    print(f'{tally.passed} passed, {tally.failed} failed', flush=True)
    return 1 if tally.failed else 0


if __name__ == '__main__':
    sys.exit(main())
