# SPDX-License-Identifier: Apache-2.0
"""One fetch for many readers, bytes as soon as they come, If-Match on what follows, open ones stay."""
import os
import random
import subprocess
import sys
import threading
import time

import pytest

from support import bad_logs
from support.mounts import wait_for
from support.places import PATIENCE_S

MIB = 1 << 20
TABLE = 'silver/shared'
SIZES = {'small.parquet': 300000, 'middle.parquet': 7 * MIB + 999, 'large.parquet': 40 * MIB + 1}
SEGMENT = 64 * MIB


@pytest.fixture
def table(s3, bucket, proxy, tmp_path):
    """A table in a bucket behind the proxy: (keyword arguments for mount, {name: bytes})."""
    root = tmp_path / 'lake'
    chance = random.Random(3)
    (root / TABLE / '_delta_log').mkdir(parents=True)
    contents = {name: chance.randbytes(size) for name, size in SIZES.items()}
    for name, data in contents.items():
        (root / TABLE / name).write_bytes(data)
    adds = [bad_logs.add(0, path=name, size=len(data)) for name, data in contents.items()]
    bad_logs.write(root / TABLE, 0, bad_logs.line(bad_logs.protocol(), bad_logs.metadata(), *adds))
    s3.copy_tree(root, bucket)
    return {'source': 's3://' + bucket, 'endpoint_url': proxy.url, 'env': s3.env}, contents


def byte_ranges(requests):
    """[(first, end)] of what was asked for."""
    found = []
    for r in requests:
        first, last = r.range[len('bytes='):].split('-')
        found.append((int(first), int(last) + 1))
    return sorted(found)


def fetched_once(proxy, name, size):
    """Every byte of the file was asked for, and none twice."""
    at = 0
    for first, end in byte_ranges(proxy.seen('data', '*/' + name)):
        assert first == at, 'from %d on twice or never' % min(first, at)
        at = end
    assert at == size


READ_ALL = 'import sys,hashlib\nprint(hashlib.md5(open(sys.argv[1],"rb").read()).hexdigest())'


@pytest.mark.parametrize('name', sorted(SIZES))
def test_eight_processes_one_fetch(mount, table, proxy, name):
    """8 processes that read one file at once fetch each of its bytes once."""
    options, contents = table
    m = mount(**options)
    assert os.listdir(m / TABLE)
    proxy.delay = 0.1
    readers = [subprocess.Popen([sys.executable, '-c', READ_ALL, str(m / TABLE / name)],
                                stdout=subprocess.PIPE, text=True) for _ in range(8)]
    said = {r.communicate(timeout=PATIENCE_S)[0] for r in readers}
    assert [r.returncode for r in readers] == [0] * 8 and len(said) == 1
    assert (m / TABLE / name).read_bytes() == contents[name]
    fetched_once(proxy, name, SIZES[name])


def test_same_range_one_request(mount, table, proxy):
    """16 threads that want one range while it is under way wait for one request."""
    options, contents = table
    m = mount(**options)
    name, offset = 'large.parquet', 20 * MIB + 4096
    assert os.listdir(m / TABLE)
    # An open asks for the file's end: whether it is archived.
    fds = [os.open(m / TABLE / name, os.O_RDONLY) for _ in range(16)]
    rule = proxy.rule('hold', kind='data', keep=0)
    got = [None] * 16

    def read(i):
        got[i] = os.pread(fds[i], 65536, offset)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    try:
        wait_for(lambda: proxy.flying('data'), PATIENCE_S, 'the request')
        time.sleep(0.3)                         # what follows would follow at once
    finally:
        rule.release()
        for t in threads:
            t.join()
        for fd in fds:
            os.close(fd)
    assert set(got) == {contents[name][offset:offset + 65536]}
    held = [r for r in byte_ranges(proxy.seen('data')) if r[0] <= offset < r[1]]
    assert len(held) == 1


def test_bytes_as_soon_as_they_come(mount, table, proxy):
    """The first bytes of an answer are readable while the rest of it is still to come."""
    options, contents = table
    m = mount(**options)
    assert os.listdir(m / TABLE)
    name = 'large.parquet'
    rule = proxy.rule('hold', kind='data', keep=20000)
    fd = os.open(m / TABLE / name, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)    # the kernel asks for these pages only
    got = []
    reader = threading.Thread(target=lambda: got.append(os.pread(fd, 8192, 4096)))
    late = threading.Thread(target=lambda: got.append(os.pread(fd, 8192, 40960)))
    reader.start()
    try:
        reader.join(PATIENCE_S)
        assert got == [contents[name][4096:12288]], 'nothing came before the rest was there'
        assert proxy.flying('data'), 'the answer was not held back'
        late.start()
        late.join(0.5)
        assert late.is_alive(), 'bytes that have not come'
    finally:
        rule.release()
        if late.ident:
            late.join(PATIENCE_S)
        reader.join(PATIENCE_S)
        os.close(fd)
    assert got[1] == contents[name][40960:49152]


def test_every_request_but_the_first_names_the_generation(mount, table, proxy):
    """A file that is read in random order is fetched by ranges, and all but the first say If-Match."""
    options, contents = table
    m = mount(**options)
    assert os.listdir(m / TABLE)
    name, chance = 'large.parquet', random.Random(9)
    offsets = list(range(0, SIZES[name], MIB))
    chance.shuffle(offsets)
    fd = os.open(m / TABLE / name, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    for offset in offsets:
        assert os.pread(fd, 5000, offset) == contents[name][offset:offset + 5000]
    os.close(fd)
    seen = proxy.seen('data', '*/' + name)
    assert len(seen) > 3 and all(r.range for r in seen)
    assert all(r.if_match for r in seen[1:]) and len({r.if_match for r in seen[1:]}) == 1
    ranges = byte_ranges(seen)
    assert all(a[1] <= b[0] for a, b in zip(ranges, ranges[1:])), 'a byte was fetched twice'


def test_open_objects_are_not_evicted(mount, table, proxy):
    """What is open stays in the cache, whatever else is read: its bytes are not fetched again."""
    options, contents = table
    m = mount(cache_size='16M', **options)
    name = 'middle.parquet'
    fd = os.open(m / TABLE / name, os.O_RDONLY)
    try:
        assert os.pread(fd, SIZES[name], 0) == contents[name]
        before = proxy.counts('data', '*/' + name)
        for _ in range(3):
            with open(m / TABLE / 'large.parquet', 'rb') as f:
                while f.read(MIB):
                    pass
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for _ in range(3):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            got = b''
            while part := os.pread(fd, SIZES[name], len(got)):
                got += part
            assert got == contents[name]
        assert proxy.counts('data', '*/' + name) == before
    finally:
        os.close(fd)
