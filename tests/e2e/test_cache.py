# SPDX-License-Identifier: Apache-2.0
"""What was fetched once is not fetched again, and what arrives wrong is not kept."""
import errno
import os
import random
import shutil

import pytest

from support import lakes
from support.places import PATIENCE_S

TABLE = 'silver/orders'


@pytest.fixture
def served(s3, bucket, lake, proxy):
    """The lake in a bucket behind the counting proxy: keyword arguments for mount."""
    s3.copy_tree(lake.root, bucket)
    return {'source': 's3://' + bucket, 'endpoint_url': proxy.url, 'env': s3.env}


def read_all(root):
    return {name: (root / name).read_bytes() for name in lakes.tree(root)}


def wanted(lake, below):
    return {name: (lake / below / name).read_bytes() for name in lakes.tree(lake / below)
            if not name.startswith('_delta_log')}


def test_second_mount_asks_for_no_data(mount, lake, served, proxy, tmp_path):
    """After a remount the same reads make no request for data, and none for a log that is known."""
    cache = tmp_path / 'kept-cache'
    m = mount(cache=cache, **served)
    paths = [TABLE + '@3', TABLE, 'bronze/images', 'gold/daily']
    first = {p: read_all(m / p) for p in paths}
    assert proxy.counts('data') > 0 and proxy.counts('log') > 0
    m.unmount_and_wait_for_the_daemon()
    proxy.clear()
    again = mount(cache=cache, **served)
    assert {p: read_all(again / p) for p in paths} == first
    assert [r.key for r in proxy.seen('data')] == []
    assert [r.key for r in proxy.seen('log') if not r.key.endswith('_last_checkpoint')] == []
    assert first['bronze/images'] == wanted(lake, 'bronze/images')


def test_second_read_asks_for_nothing(mount, served, proxy):
    """In one mount the second read of a file makes no request, though the kernel forgot it."""
    m = mount(**served)
    name = m / 'bronze/images/image-6.bin'
    first = name.read_bytes()
    before = proxy.counts('data')
    assert before > 0
    fd = os.open(name, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)
    assert name.read_bytes() == first
    assert proxy.counts('data') == before


def test_each_byte_is_fetched_once(mount, served, proxy):
    """A read from front to back asks for each byte once, in few requests, however small the reads
    are."""
    m = mount(**served)
    with open(m / 'bronze/images/image-6.bin', 'rb', buffering=0) as f:
        while f.read(10000):
            pass
    ranges = [r.range for r in proxy.seen('data', '*image-6.bin')]
    ends = sorted(tuple(map(int, r.removeprefix('bytes=').split('-'))) for r in ranges)
    assert all(a[1] < b[0] for a, b in zip(ends, ends[1:])), ranges
    assert len(ranges) <= 10, ranges


def test_lost_cache(mount, lake, served, tmp_path):
    """A cache directory whose files were deleted behind tarn's back gives the right bytes again."""
    cache = tmp_path / 'lost-cache'
    m = mount(cache=cache, **served)
    first = read_all(m / 'bronze/images')
    m.unmount_and_wait_for_the_daemon()
    shutil.rmtree(cache / 'objects')
    assert read_all(mount(cache=cache, **served) / 'bronze/images') == first


@pytest.mark.parametrize('what', ['garbage', 'truncated', 'empty'])
def test_damaged_index_of_the_cache(mount, served, tmp_path, what):
    """A damaged LMDB file is made again: the mount works and the bytes are right."""
    cache = tmp_path / 'damaged-cache'
    m = mount(cache=cache, **served)
    first = read_all(m / TABLE)
    m.unmount_and_wait_for_the_daemon()
    chance, found = random.Random(3), sorted(cache.glob('*.mdb'))
    assert found
    for path in found:
        size = path.stat().st_size
        path.write_bytes({'garbage': chance.randbytes(min(size, 1 << 20)), 'truncated': b'\0' * 100,
                          'empty': b''}[what])
    assert read_all(mount(cache=cache, **served) / TABLE) == first


def test_kill_leaves_a_valid_cache(mount, lake, served, tmp_path):
    """kill -9 in the middle of reading leaves a cache from which every byte is right."""
    import signal
    from support.mounts import detach, wait_for, zombie
    cache = tmp_path / 'killed-cache'
    expected = wanted(lake, 'bronze/images')
    for stop_after in range(1, 4):
        m = mount(cache=cache, **served)
        for name in sorted(expected)[:stop_after * 2]:
            assert (m / 'bronze/images' / name).read_bytes() == expected[name]
        pid = m.pid
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: zombie(pid), PATIENCE_S, 'the end of the daemon')
        detach(m.path)
    assert read_all(mount(cache=cache, **served) / 'bronze/images') == expected


def test_changed_object_is_stale(mount, s3, bucket, served):
    """An object that changed under an open handle is ESTALE, never a mixture of two generations."""
    key = 'bronze/images/image-6.bin'
    m = mount(**served)
    fd = os.open(m / key, os.O_RDONLY)
    try:
        old = os.pread(fd, 1000, 0)
        size = os.fstat(fd).st_size
        s3.put(bucket, key, b'\xee' * size)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        with pytest.raises(OSError) as caught:
            for offset in range(2 << 20, size, 1 << 20):
                assert b'\xee' * 100 not in os.pread(fd, 1 << 20, offset)
        assert caught.value.errno == errno.ESTALE
        assert os.pread(fd, 1000, 0) == old
    finally:
        os.close(fd)


@pytest.mark.parametrize('action, more', [
    ('status', {'status': 500, 'times': 2}), ('status', {'status': 503, 'times': 2}),
    ('reset', {'times': 2}), ('truncate', {'times': 2}), ('delay', {'seconds': 0.5, 'times': 5}),
], ids=['500', '503', 'reset', 'truncate', 'delay'])
def test_passing_trouble(mount, lake, served, proxy, action, more):
    """A store that fails a few times is asked again, and every byte is right."""
    rule = proxy.rule(action, kind='data', **more)
    m = mount(**served)
    assert read_all(m / 'bronze/images') == wanted(lake, 'bronze/images')
    assert rule.hits == more['times']


@pytest.mark.parametrize('status, expected', [(403, errno.EACCES), (404, errno.ENOENT)])
def test_lasting_refusal(mount, lake, served, proxy, status, expected):
    """A refusal has its errno, and reading works again once it is over."""
    name = 'bronze/images/image-5.bin'
    m = mount(**served)
    assert os.stat(m / name)
    proxy.rule('status', kind='data', key='*image-5.bin', status=status)
    with pytest.raises(OSError) as caught:
        (m / name).read_bytes()
    assert caught.value.errno == expected
    proxy.clear()
    assert (m / name).read_bytes() == (lake / name).read_bytes()


def test_damaged_index_is_made_again(mount, lake, tmp_path):
    """Indexes whose bytes were changed on disk are noticed and made again; no listing is wrong."""
    cache = tmp_path / 'kept-cache'
    m = mount(lake.root, cache=cache)
    paths = [TABLE, TABLE + '@3', 'bronze/images', 'gold/daily']
    first = {p: read_all(m / p) for p in paths}
    m.unmount_and_wait_for_the_daemon()
    seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
    print('SEED', seed)
    chance = random.Random(seed)
    for attempt in range(6):
        runs = [r for r in (cache / 'indexes').glob('*/*') if r.name != 'times']
        assert runs
        for run in runs:
            data = bytearray(run.read_bytes())
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            run.write_bytes(data)
        again = mount(lake.root, cache=cache)
        for p in paths:
            assert read_all(again / p) == first[p]
        again.unmount_and_wait_for_the_daemon()
