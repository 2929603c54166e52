#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Calls that the project does not make, each with what to use instead, and the SPDX line that every
source begins with. A use that is right all the same says so: `/* allowed: NAME: why */` on its line.
"""
import re

from sources import ROOT, bare, files, finish

INSTEAD = {
    'strcpy': 'buf_add or memcpy with a checked length',
    'strcat': 'struct buf',
    'strncpy': 'memcpy with a checked length: strncpy may leave no end',
    'strncat': 'struct buf',
    'sprintf': 'snprintf or buf_printf',
    'vsprintf': 'vsnprintf or buf_printf',
    'gets': 'getline',
    'scanf': 'the parsers of base/text.h',
    'sscanf': 'the parsers of base/text.h: sscanf does not see overflow',
    'fscanf': 'the parsers of base/text.h',
    'strtok': 'slices: strtok has a hidden state',
    'atoi': 'the parsers of base/text.h: atoi sees no error',
    'atol': 'the parsers of base/text.h',
    'atoll': 'the parsers of base/text.h',
    'atof': 'the parsers of base/text.h',
    'alloca': 'the heap or a fixed array',
    'system': 'posix_spawn without a shell',
    'popen': 'posix_spawn without a shell',
    'gmtime': 'base/instant.h: gmtime is not for threads',
    'localtime': 'base/instant.h: no time zone decides what tarn shows',
    'mktime': 'base/instant.h',
    'asctime': 'base/instant.h',
    'ctime': 'base/instant.h',
    'time': 'base/clock.h, which tests can set',
    'gettimeofday': 'base/clock.h, which tests can set',
    'clock_gettime': 'base/clock.h, which tests can set',
    'rand': 'getrandom',
    'srand': 'getrandom',
    'random': 'getrandom',
    'usleep': 'cond_wait_until: nothing sleeps',
    'sleep': 'cond_wait_until: nothing sleeps',
    'nanosleep': 'cond_wait_until: nothing sleeps',
    'tmpnam': 'O_TMPFILE or mkstemp',
    'tempnam': 'O_TMPFILE or mkstemp',
    'mktemp': 'O_TMPFILE or mkstemp',
    'signal': 'sigaction',
    'setjmp': 'return errors',
    'longjmp': 'return errors',
    'pthread_mutex_lock': 'WITH_LOCK, which the thread analysis follows',
    'pthread_mutex_unlock': 'WITH_LOCK, which the thread analysis follows',
    'readdir_r': 'readdir',
    'chdir': 'directory descriptors: the process has one place only',
    'putenv': 'setenv in a child only: the environment is not for threads',
}

# The one module that wraps a call for the others.
HOME = {
    'clock_gettime': 'base/clock.c', 'time': 'base/clock.c', 'gettimeofday': 'base/clock.c',
    'pthread_mutex_lock': 'base/lock.c', 'pthread_mutex_unlock': 'base/lock.c',
}

CALL = re.compile(r'(?<![\w.>])(' + '|'.join(INSTEAD) + r')\s*\(')
SPDX = re.compile(r'\A(?:#![^\n]*\n)?[^\n]*SPDX-License-Identifier: Apache-2\.0')


def check(path):
    text = (ROOT / path).read_text()
    lines, problems = text.split('\n'), []
    for m in CALL.finditer(bare(text)):
        number = text.count('\n', 0, m.start()) + 1
        if HOME.get(m[1]) == path.as_posix() or 'allowed: %s:' % m[1] in lines[number - 1]:
            continue
        problems.append('%s:%d: %s: use %s' % (path, number, m[1], INSTEAD[m[1]]))
    return problems


def spdx_files():
    scripts = [p.relative_to(ROOT) for suffix in ('py', 'sh') for p in
               sorted((ROOT / 'tests').rglob('*.' + suffix)) if p.stat().st_size]
    return files('.c', '.h', tests=True) + scripts


def main():
    sources = files('.c', '.h')
    problems = [p for path in sources for p in check(path)]
    for path in spdx_files():
        if not SPDX.match((ROOT / path).read_text()):
            problems.append('%s:1: the SPDX line is missing' % path)
    finish('banned', problems, len(sources))


if __name__ == '__main__':
    main()
