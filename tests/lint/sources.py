# SPDX-License-Identifier: Apache-2.0
"""What the checks of style share: which files there are, and C without comments and strings."""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The one total order of docs/ARCHITECTURE.md, lowest first. lake/* are the drivers.
LAYERS = ['base', 'cache/store', 'cache', 'lake/format', 'lake/index', 'lake/catalog', 'lake', 'lake/*', 'lake/archive',
          'lake/tier', 'lake/view', 'fs', 'tools']
DRIVERS = ['lake/delta', 'lake/iceberg', 'lake/files', 'lake/unread']

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def layer_of(path):
    """The layer of a file, relative to ROOT; None outside of them (tests)."""
    folder = Path(path).parent.as_posix()
    if folder in LAYERS:
        return folder
    return 'lake/*' if folder in DRIVERS else None


def files(*suffixes, tests=False):
    """C files of the layers, and with tests=True of tests/ too, relative to ROOT."""
    tops = ['base', 'cache', 'lake', 'fs', 'tools'] + (['tests'] if tests else [])
    found = []
    for top in tops:
        for path in sorted((ROOT / top).rglob('*')):
            if path.suffix in suffixes and path.is_file():
                found.append(path.relative_to(ROOT))
    return found


def bare(text):
    """C with comments and the inside of strings blanked; lines stay where they are."""
    def blank(m):
        kept = re.sub(r'[^\n]', ' ', m[0])
        return '"' + kept[1:-1] + '"' if m[0][0] == '"' else kept
    return TOKEN.sub(blank, text)


def finish(name, problems, checked):
    """Prints what was found; the status of the program."""
    for p in problems:
        print(p)
    print('%s: %d checked, %d wrong' % (name, checked, len(problems)))
    if not checked:
        print('%s: nothing to check' % name)
    sys.exit(1 if problems or not checked else 0)
