#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Functions have at most 70 lines and 6 parameters, files 600 lines (a warning above 500).
"""
import re
import sys

from sources import ROOT, bare, files, finish

LINES_MAX, PARAMETERS_MAX, FILE_LINES_MAX, FILE_LINES_WARN = 70, 6, 600, 500

# A definition in our format: its name at the start of a line, its `{` alone on one, its `}` too.
DEFINITION = re.compile(r'^(?P<head>[A-Za-z_][^;{}#]*?\b(?P<name>\w+)\s*\((?P<rest>[^;{}]*))\n\{\n',
                        re.M)
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.M)


def parameters(rest):
    """How many parameters: commas at depth 0 of the first parenthesis."""
    depth, count, text = 1, 0, ''
    for c in rest:
        depth += {'(': 1, ')': -1}.get(c, 0)
        if depth == 0:
            break
        count += c == ',' and depth == 1
        text += c
    return 0 if text.strip() in ('', 'void') else count + 1


def definitions(text):
    """[(name, line, lines, parameters)] of the functions in C without comments."""
    plain = DIRECTIVE.sub(lambda m: re.sub(r'[^\n]', ' ', m[0]), bare(text))
    found = []
    for m in DEFINITION.finditer(plain):
        if m['name'] in ('__attribute__',):
            continue
        end = plain.find('\n}', m.end() - 1)
        if end < 0:
            continue
        # the first parenthesis of the head is that of the parameters
        head = re.sub(r'__attribute__\s*\(\([^)]*(?:\([^)]*\))*[^)]*\)\)', '', m['head'])
        opened = re.search(r'\b(\w+)\s*\((.*)', head, re.S)
        lines = plain.count('\n', m.end(), end + 1)
        line = plain.count('\n', 0, m.start('head')) + 1
        found.append((opened[1], line, lines, parameters(opened[2])))
    return found


def check(path):
    text = (ROOT / path).read_text()
    problems, count = [], 0
    for name, line, lines, count_parameters in definitions(text):
        count += 1
        if lines > LINES_MAX:
            problems.append('%s:%d: %s has %d lines, at most %d' % (path, line, name, lines, LINES_MAX))
        if count_parameters > PARAMETERS_MAX:
            problems.append('%s:%d: %s has %d parameters, at most %d'
                            % (path, line, name, count_parameters, PARAMETERS_MAX))
    size = text.count('\n')
    if size > FILE_LINES_MAX:
        problems.append('%s: %d lines, at most %d' % (path, size, FILE_LINES_MAX))
    elif size > FILE_LINES_WARN:
        print('%s: %d lines (warning: look for the missing idea)' % (path, size), file=sys.stderr)
    return problems, count


def main():
    problems, functions = [], 0
    for path in files('.c', '.h', tests=True):
        found, count = check(path)
        problems += found
        functions += count
    finish('functions', problems, functions)


if __name__ == '__main__':
    main()
