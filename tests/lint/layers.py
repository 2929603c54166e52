#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Includes follow the order of the layers; only fs/ knows FUSE, only the engine libcurl; every
header has its guard and compiles alone (with the flags in argv: the compiler and its options).
"""
import concurrent.futures
import re
import subprocess
import sys
from pathlib import Path

from sources import LAYERS, ROOT, files, finish, layer_of

# Who alone may include what, and why.
OWNERS = [
    (r'fuse.*\.h', lambda p: p.parts[0] == 'fs', 'only fs/ speaks FUSE'),
    (r'curl/.*', lambda p: p.as_posix() == 'cache/store/http_private.h',
     "only the engine's files (cache/store/http_private.h) own libcurl"),
    (r'yaml\.h', lambda p: p.as_posix() == 'base/yaml.c',
     'only base/yaml.c reads YAML'),
    (r'lmdb\.h', lambda p: p.parts[0] == 'cache' or p.parts[0] == 'lake',
     'LMDB is for the cache and the indexes'),
    (r'(pthread|curl/.*|sys/socket|netdb|lmdb)\.h', lambda p: layer_of(p) != 'lake/format',
     'lake/format is pure: no threads, no I/O'),
]
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def includes(path):
    text = (ROOT / path).read_text()
    for m in INCLUDE.finditer(text):
        yield text.count('\n', 0, m.start()) + 1, m[1], m[2]


def wrong_order(path, name):
    """Why a file of ours must not include that one, or None."""
    if not (ROOT / name).is_file():
        return '"%s" is not a path from the top' % name
    own, other = layer_of(path), layer_of(name)
    if own is None:
        return None                             # tests see everything
    if other is None:
        return 'a layer must not include %s' % name
    if own == other == 'lake/*' and path.parent != Path(name).parent:
        return 'one driver must not include another (%s)' % name
    if LAYERS.index(other) > LAYERS.index(own):
        return '%s is above %s' % (other, own)
    return None


def check_includes(path):
    found = []
    if path.parts[0] != 'tests' and layer_of(path) is None:
        found.append('%s: its folder is no layer: see LAYERS and DRIVERS in tests/lint/sources.py'
                     % path)
    for number, kind, name in includes(path):
        where = '%s:%d: ' % (path, number)
        if kind == '"':
            why = wrong_order(path, name)
            if why:
                found.append(where + why)
        for pattern, may, why in OWNERS:
            if kind == '<' and layer_of(path) and re.fullmatch(pattern, name) and not may(path):
                found.append(where + why)
    return found


def compile_alone(path, compiler):
    done = subprocess.run([*compiler, '-fsyntax-only', '-x', 'c', '-'], cwd=ROOT, text=True,
                          input='#include "%s"\n#include "%s"\n' % (path, path),
                          capture_output=True)
    return [] if done.returncode == 0 else ['%s: does not compile alone:\n%s' % (path, done.stderr)]


def main():
    sources, headers = files('.c', '.h', tests=True), files('.h')
    problems = [p for path in sources for p in check_includes(path)]
    compiler = sys.argv[1:]
    if compiler:
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for found in pool.map(lambda h: compile_alone(h, compiler), headers):
                problems += found
    finish('layers', problems, len(sources))


if __name__ == '__main__':
    main()
