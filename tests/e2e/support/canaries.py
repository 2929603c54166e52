# SPDX-License-Identifier: Apache-2.0
"""
Canaries: every cell of a governed lake holds a token of 16 bytes (support/governed.py). Here is who
looks for them: in a mount and all around it, and in what tests leave on the machine.
"""
import contextlib
import os
import re
import stat
import tempfile
import time
import uuid
from pathlib import Path

from . import governed, pages
from .people import error_of, person

DOCUMENTS = ('version', 'history.json', 'schema.json', 'files.jsonl', 'properties.json', 'stats',
             'refs.json', 'raw', 'changes', 'prefetch', 'stats.json')


def look_everywhere(root, cache, pid):
    """Every byte that this process can get of the mount, the cache directory and the daemon."""
    found = {}

    def take(path):
        found[path + ' (names)'] = path.encode('utf-8', 'surrogateescape')
        try:
            s = os.lstat(path)
            found[path + ' (stat)'] = repr(s).encode()
            for name in os.listxattr(path):
                found['%s (%s)' % (path, name)] = os.getxattr(path, name)
            if stat.S_ISDIR(s.st_mode):
                for name in sorted(os.listdir(path)):
                    take(os.path.join(path, name))
            elif stat.S_ISLNK(s.st_mode):
                found[path + ' (link)'] = os.readlink(path).encode()
            else:
                with open(path, 'rb') as f:
                    found[path] = f.read()
        except OSError as e:
            found[path + ' (error)'] = str(e).encode()

    take(root)
    for table in ('silver/customers', 'silver/plain', 'silver/secret', 'bronze/events', 'notes.txt'):
        for ref in ('', '@0', '@1', '@2', '@0..2', '@1..2', '@', '@2030-01-01', '@nosuch'):
            take(os.path.join(root, table + ref))
            for name in DOCUMENTS:
                take(os.path.join(root, table + ref, '.tarn', name))
        take(os.path.join(root, table, '_delta_log/%020d.json' % 0))
        take(os.path.join(root, table, 'part-0.parquet'))
        take(os.path.join(root, table, '.tarn/raw/region=US/part-0.parquet'))
    take(cache)
    for name in ('environ', 'maps', 'mem', 'cmdline', 'fd', 'map_files', 'root', 'cwd', 'stack', 'task'):
        path = '/proc/%d/%s' % (pid, name)
        if os.getuid() and error_of(os.stat, path) == 0 and name != 'task':
            try:
                if os.path.isdir(path):
                    found[path] = repr(os.listdir(path)).encode()
                else:
                    with open(path, 'rb') as f:
                        found[path] = f.read(1 << 20)
            except OSError as e:
                found[path + ' (error)'] = str(e).encode()
    return found


def everything_in(found):
    """All tokens, also of pages that are compressed."""
    tokens = set()
    for path, data in found.items():
        tokens |= governed.tokens_in(data)
        if path.endswith('.parquet') and data:
            for page in pages.contents(data):
                tokens |= governed.tokens_in(page)
    return tokens


def allowed(customers, grant):
    """What the principal may see in each version."""
    told = {k: v for k, v in grant.items() if k in ('hide', 'only', 'mask')}
    return [governed.view(customers.rows(v), where=grant.get('rows'), **told) for v in range(len(customers.versions))]


def check(customers, found, grant, who):
    check_allowed(customers, found, allowed(customers, grant), who)


def check_allowed(customers, found, tables, who):
    """In all that was found are the tokens of these tables and no others."""
    known = {t.encode() for t in customers.token.given}
    may = set().union(*(governed.strings_of(t) for t in tables)) & known
    seen = everything_in(found)
    leaked = (seen & known) - may
    where = [p for p, data in found.items()
             for t in list(leaked)[:20] if t in data or p.endswith('.parquet') and any(
                 t in page for page in pages.contents(data))] if leaked else []
    assert not leaked, '%s sees %d tokens that it may not, in %s' % (who, len(leaked), where[:20])
    assert may <= seen, '%s does not see %d tokens that it may' % (who, len(may - seen))


# what is left of the tests

STRANGER = 60999                                 # of whom no test knows
PLACES = [Path(p) for p in dict.fromkeys([
    tempfile.gettempdir(), '/tmp', '/var/tmp', '/dev/shm', '/run', '/var/log', '/var/cache', '/var/spool', '/home'])]
RECORD = Path(tempfile.gettempdir()) / ('tarn-canaries-%d' % os.getuid())
TOKEN = re.compile(rb'Q[0-9a-f]{15}')
PART = 1 << 20


def record(tokens):
    """The tokens of a lake, for who looks for them when all tests are done."""
    RECORD.mkdir(mode=0o700, exist_ok=True)
    (RECORD / uuid.uuid4().hex).write_text('\n'.join(sorted(tokens)))


class Recorded:
    """All tokens of lakes that were made since this was last forgotten, and the time of the first of them."""

    def __init__(self):
        self.files, self.tokens, self.since = [], set(), time.time()
        for path in RECORD.iterdir() if RECORD.is_dir() else []:
            with contextlib.suppress(FileNotFoundError):            # another run has forgotten it
                self.since = min(self.since, path.stat().st_mtime)
                self.tokens |= {t.encode() for t in path.read_text().split()}
                self.files.append(path)

    def forget(self):
        for path in self.files:
            path.unlink(missing_ok=True)


def search(places, tokens, since=0):
    """Files of these directories, on their own file systems, that are newer, can be read and hold a token; by name too."""
    found = []

    def look(path, device):
        try:
            s = os.lstat(path)
            if s.st_dev != device:
                return
            if holds(os.fsencode(os.path.basename(path)), tokens):
                found.append(path)
            if stat.S_ISDIR(s.st_mode):
                for name in os.listdir(path):
                    look(os.path.join(path, name), device)
            elif stat.S_ISREG(s.st_mode) and max(s.st_mtime, s.st_ctime) >= since and file_holds(path, tokens):
                found.append(path)
        except OSError:
            pass                                 # it is not his to read, or gone
    for place in places:
        if error_of(os.lstat, place) == 0:
            look(place, os.lstat(place).st_dev)
    return found


def holds(data, tokens):
    return any(t in tokens for t in TOKEN.findall(data))


def file_holds(path, tokens):
    """Raw; of Parquet files also what their pages hold."""
    before = b''
    with open(path, 'rb') as f:
        while part := f.read(PART):
            if holds(before + part, tokens):
                return True
            before = part[-15:]
    if not path.endswith('.parquet'):
        return False
    with open(path, 'rb') as f:
        return any(holds(page, tokens) for page in pages.contents(f.read()))


def left_in(place):
    """What a stranger finds there of any lake's tokens."""
    known = Recorded()
    if not known.tokens:
        return []
    with person(STRANGER) as someone:
        return someone(search, [str(place)], known.tokens)
