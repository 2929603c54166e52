#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Functions of the project that the linker throws out of the binary: code that nobody calls, or that
should be static. Reads the output of a link with --gc-sections --print-gc-sections of all objects.
usage: dead.py < OUTPUT
"""
import re
import sys
from pathlib import Path

from sources import finish

LINE = re.compile(r"removing unused section '\.text\.([^']+)' in file '([^']*obj/[^']+\.o)'")
SUFFIX = re.compile(r'\.(part|constprop|isra|cold)(\.\d+)*$')


def name_of(section):
    name = re.sub(r'^(unlikely|startup|exit|hot)\.', '', section)
    while SUFFIX.search(name):
        name = SUFFIX.sub('', name)
    return name


def allowed():
    found = {}
    for line in Path(__file__).with_name('test_only.txt').read_text().splitlines():
        if line.strip() and not line.startswith('#'):
            name, _, why = line.partition(' ')
            found[name] = why.strip()
    return found


def main():
    text = sys.stdin.read()
    listed, dead = allowed(), {}
    for m in LINE.finditer(text):
        source = re.sub(r'.*obj/', '', m[2])[:-2] + '.c'
        dead[name_of(m[1])] = source
    problems = ['%s: %s is in no path of the binary: delete it, or make it static' % (where, name)
                for name, where in sorted(dead.items(), key=lambda x: x[::-1]) if name not in listed]
    problems += ['tests/lint/test_only.txt: %s is not dead (any more)' % name
                 for name in listed if name not in dead]
    problems += ['tests/lint/test_only.txt: %s has no reason' % name
                 for name, why in listed.items() if not why]
    finish('dead code', problems, text.count('removing unused section'))


if __name__ == '__main__':
    main()
