# SPDX-License-Identifier: Apache-2.0
"""
Ten views of one table at once, by ten users of one mount and by ten roles with a mount each: whoever
reads whatever way, it is the reader's own view; a descriptor that is passed on stays its giver's.
"""
import hashlib
import json
import mmap
import os
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import canaries, governed
from support.people import Descriptors, Person, read_tree

VIEWS = 10
FIRST_UID = 60101


def grants(who):
    """View i has the rows whose id ends in i, and another column hidden in each."""
    names = [f.name for f in governed.COLUMNS if f.name != 'id']
    return [{'to': [w], 'tables': ['silver/customers'], 'hide': [names[i]],
             'rows': ' or '.join('id = %d' % n for n in range(i, 6 * governed.ROWS, VIEWS))
             if i % 2 else 'id in (%s)' % ', '.join(map(str, range(i, 6 * governed.ROWS, VIEWS)))}
            for i, w in enumerate(who)]


# what a reader does, in its own process

def digest(data):
    return hashlib.sha256(data).digest()


def read_first(root):
    """All files, kept to be compared with, and their contents for who checks them."""
    global KEPT                                   # pylint: disable=global-statement
    found = read_tree(root)
    KEPT = (root, {p: (len(d), digest(d)) for p, d in found.items()}, {})
    return found


def by_read(fd, size):
    data = bytearray()
    while len(data) < size:
        part = os.pread(fd, size - len(data), len(data))
        if not part:
            break
        data += part
    return data


def by_map(flags):
    def read(fd, size):
        with mmap.mmap(fd, size, flags=flags, prot=mmap.PROT_READ) as m:
            return m[:]
    return read


READERS = {'read': by_read, 'private map': by_map(mmap.MAP_PRIVATE), 'shared map': by_map(mmap.MAP_SHARED)}


def work(seed, operations):
    """So many operations at random. Returns how many of each were done."""
    chance, done = random.Random(seed), {}
    root, kept, handles = KEPT
    for _ in range(operations):
        path = chance.choice(sorted(kept))
        size, sum_ = kept[path]
        what = chance.choice(['open', 'open', 'handle', 'readdir', 'stat', *READERS])
        done[what] = done.get(what, 0) + 1
        if what == 'readdir':
            where = os.path.dirname(os.path.join(root, path))
            names = set(os.listdir(where))
            assert os.path.basename(path) in names, (where, names)
            continue
        if what == 'stat':
            assert os.stat(os.path.join(root, path)).st_size == size, path
            continue
        if what == 'handle' and path in handles:
            fd = handles[path]
        else:
            fd = os.open(os.path.join(root, path), os.O_RDONLY)
        try:
            data = READERS.get(what, by_read)(fd, size)
            assert digest(data) == sum_, '%s by %s is not what it was for user %d' % (path, what, os.getuid())
        finally:
            if what == 'handle':
                if handles.setdefault(path, fd) != fd:
                    os.close(fd)
            else:
                os.close(fd)
    return done


def give():
    """Open files for somebody else, and what is in them."""
    root, kept, _ = KEPT
    paths = sorted(kept)[:8]
    fds = [os.open(os.path.join(root, p), os.O_RDONLY) for p in paths]
    return Descriptors([(p, *kept[p]) for p in paths], fds)


def read_given(told, fds):
    """Reads another's descriptors, and between them its own files of the same names."""
    root, kept, _ = KEPT
    for (path, size, sum_), fd in zip(told, fds):
        for read in READERS.values():
            assert digest(read(fd, size)) == sum_, '%s: not what its giver sees' % path
            if path in kept:
                own = os.open(os.path.join(root, path), os.O_RDONLY)
                assert digest(read(own, kept[path][0])) == kept[path][1], path
                os.close(own)
    return len(fds)


# the test

def check_rows(customers, i, found, root):
    """What the reader found is view i, and all of it."""
    name = [f.name for f in governed.COLUMNS if f.name != 'id'][i]
    canaries.check_allowed(customers, found, [governed.view(
        customers.rows(), hide=[name], where='id %% %d = %d' % (VIEWS, i))], 'reader %d' % i)
    wanted = {r['id'] for v in customers.rows().to_pylist() for r in [v] if r['id'] % VIEWS == i}
    ids = set()
    for path, data in found.items():
        table = pq.ParquetFile(pa.BufferReader(data)).read()
        assert name not in table.column_names, (root, path)
        ids |= set(table['id'].to_pylist())
    assert ids == wanted, (root, i)


def interleave(people, roots, customers, chance, operations):
    """Everybody works at once, in rounds; descriptors go round between them."""
    for person, root, i in zip(people, roots, range(VIEWS)):
        check_rows(customers, i, person(read_first, root), root)
    total = {}
    rounds = max(2, operations // 50_000)
    for _ in range(rounds):
        for person in people:
            person.begin(work, chance.random(), operations // rounds // VIEWS)
        for person in people:
            for what, n in person.result().items():
                total[what] = total.get(what, 0) + n
        for i, person in enumerate(people):
            told, fds = person(give)
            assert people[(i + chance.randrange(1, VIEWS)) % VIEWS](read_given, told, fds=fds) == len(fds)
            for fd in fds:
                os.close(fd)
    print(total)
    assert set(total) == {'open', 'handle', 'readdir', 'stat', *READERS}
    assert sum(total.values()) >= operations * 9 // 10


# OPERATIONS=N: that many instead of the first, to run the million in pieces
OPERATIONS = [pytest.param(int(os.environ.get('OPERATIONS', 4000)), id='some'),
              pytest.param(1_000_000, id='a million', marks=pytest.mark.long)]


def as_people(uids, function):
    people = [Person(u) for u in uids]
    try:
        function(people)
    finally:
        for p in people:
            p.end()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize('operations', OPERATIONS)
def test_ten_users_of_one_mount(public, chance, operations):
    customers = governed.make(public.lake, 31)
    uids = range(FIRST_UID, FIRST_UID + VIEWS)
    policy = public.below / 'policy.yaml'
    policy.write_text(json.dumps({'grants': grants(['user:%d' % u for u in uids])}))
    m = public(public.lake, policy=policy, o='per-uid')
    as_people(uids, lambda people: interleave(
        people, [str(m / 'silver/customers')] * VIEWS, customers, chance, operations))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize('operations', OPERATIONS)
def test_ten_roles_of_one_cache(public, s3, bucket, chance, operations):
    """A mount each, of a bucket; their cache is one."""
    customers = governed.make(public.lake, 32)
    s3.copy_tree(public.lake, bucket)
    policy, cache = public.below / 'policy.yaml', public.below / 'cache'
    roles = ['r%d' % i for i in range(VIEWS)]
    policy.write_text(json.dumps({'grants': grants(['role:' + r for r in roles])}))
    roots = [str(public('s3://' + bucket, cache=cache, endpoint_url=s3.url, env=s3.env,
                        policy=policy, o='allow_other', **{'as': r}) / 'silver/customers') for r in roles]
    as_people([FIRST_UID] * VIEWS, lambda people: interleave(people, roots, customers, chance, operations))
