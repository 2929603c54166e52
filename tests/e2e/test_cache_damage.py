# SPDX-License-Identifier: Apache-2.0
"""A cache directory that was damaged with the daemon down: found, counted, fetched again."""
import json
import os
import random
import re

import pytest

from support import bad_logs, damage
from support.mounts import run_tarn
from support.places import PATIENCE_S
from support.range_reader import difference, read_full

MIB = 1 << 20
TABLE = 'silver/kept'
SEGMENT = 64 * MIB


@pytest.fixture(scope='module')
def kept(s3, tmp_path_factory):
    """(bucket, {path: bytes}): a table and a directory of files of many sizes."""
    root = tmp_path_factory.mktemp('kept') / 'lake'
    chance = random.Random(21)
    sizes = [1, 4095, 65536, 65537, 200000, 300000, MIB, MIB + 1, 3 * MIB + 5, 5 * MIB, 9 * MIB]
    contents = {}
    for below in (TABLE, 'raw'):
        (root / below).mkdir(parents=True)
        for i, size in enumerate(sizes):
            name = 'part-%02d.parquet' % i
            # half of it compresses, which objects that are kept compressed need
            data = chance.randbytes(size // 2) + (b'%d of %d ' % (i, size) * (size // 8))
            contents[below + '/' + name] = data = data[:size] + b'.' * (size - len(data))
            (root / below / name).write_bytes(data)
    data = chance.randbytes(16 * MIB) * 4 + chance.randbytes(3 * MIB)
    contents['raw/large.bin'] = data            # more than a segment
    (root / 'raw/large.bin').write_bytes(data)
    adds = [bad_logs.add(0, path=os.path.basename(p), size=len(d))
            for p, d in contents.items() if p.startswith(TABLE)]
    (root / TABLE / '_delta_log').mkdir()
    bad_logs.write(root / TABLE, 0, bad_logs.line(bad_logs.protocol(), bad_logs.metadata(), *adds))
    bucket = s3.new_bucket('kept')
    s3.copy_tree(root, bucket)
    return bucket, contents


def wrong_files(m, contents):
    """The names of files whose bytes are not the source's, with where and how many are wrong."""
    found = []
    for path, data in contents.items():
        got = (m / path).read_bytes()
        if got != data:
            found.append((path, len(got), *(difference(got, data) if len(got) == len(data) else ())))
    return found


def read_all(m, contents):
    assert wrong_files(m, contents) == []


def read_parts(m, contents, chance):
    """Some of each file that is larger than a granule; none of them whole: (path, offset, length)."""
    parts = []
    for path, data in contents.items():
        if len(data) <= 2 * MIB:
            continue
        fd = os.open(m / path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        for _ in range(3):
            length = chance.randrange(1, 300000)
            offset = chance.randrange(len(data) // 2 - length)
            assert read_full(fd, length, offset) == data[offset:offset + length]
            parts.append((path, offset, length))
        os.close(fd)
    return parts


def check_parts(m, contents, parts):
    for path, offset, length in parts:
        fd = os.open(m / path, os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
        got = read_full(fd, length, offset)
        os.close(fd)
        assert got == contents[path][offset:offset + length], (path, offset, length)


def counted(where):
    """What `tarn cache stat` says of damage."""
    done = run_tarn('cache', 'stat', '--json', *where)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)['damaged']


def verify(cache, sound=False):
    """Scrubs the whole cache, in which nothing may be wrong where it is `sound`."""
    done = run_tarn('cache', 'verify', '--cache-dir', cache, timeout=PATIENCE_S)
    assert done.returncode in ((0,) if sound else (0, 1)), done.stdout + done.stderr
    return done.stdout


def spoil(cache, chance, kinds, count):
    """Damages some files: [what was done]."""
    done = []
    for _ in range(20 * count):
        files = damage.objects(cache)
        if len(done) == count or not files:
            break
        path, kind = chance.choice(files), chance.choice(kinds)
        if kind(path, chance):
            done.append('%s %s' % (kind.__name__, path.name[:8]))
    print('\n'.join(done))
    assert done
    return done


@pytest.mark.parametrize('attempt', range(3))
def test_incomplete_objects(mount, s3, kept, tmp_path, chance, attempt):
    """What is not complete is checked at each read: no wrong byte, and the damage is counted."""
    bucket, contents = kept
    cache = tmp_path / 'cache'
    options = dict(source='s3://' + bucket, endpoint_url=s3.url, env=s3.env, cache=cache)
    m = mount(**options)
    parts = read_parts(m, contents, chance)
    m.unmount_and_wait_for_the_daemon()
    for path in damage.objects(cache):          # each of them, so that some of it is read again
        while not chance.choice(damage.BYTES)(path, chance):
            pass
    again = mount(**options)
    check_parts(again, contents, parts)
    read_all(again, contents)
    assert counted([again.path]) > 0            # whichever granules were hit
    damage.outside_is_untouched(cache)


@pytest.mark.parametrize('attempt', range(3))
def test_complete_objects_after_the_scrub(mount, s3, kept, tmp_path, chance, attempt):
    """Bytes and files that were changed: once the scrub has run, no byte is wrong."""
    bucket, contents = kept
    cache = tmp_path / 'cache'
    options = dict(source='s3://' + bucket, endpoint_url=s3.url, env=s3.env, cache=cache)
    m = mount(**options)
    read_all(m, contents)
    m.unmount_and_wait_for_the_daemon()
    spoil(cache, chance, damage.BYTES + damage.FILES, 6)
    verify(cache)
    again = mount(**options)
    read_all(again, contents)
    again.unmount_and_wait_for_the_daemon()
    damage.outside_is_untouched(cache)
    verify(cache, sound=True)


def test_verify_counts_what_it_finds(mount, s3, kept, tmp_path, chance):
    """Each file with a flipped bit is found by `tarn cache verify`, and by nobody twice."""
    bucket, contents = kept
    cache = tmp_path / 'cache'
    m = mount('s3://' + bucket, endpoint_url=s3.url, env=s3.env, cache=cache)
    read_all(m, contents)
    m.unmount_and_wait_for_the_daemon()
    for path in damage.objects(cache)[:5]:
        assert damage.flip_bits(path, chance)
    first = run_tarn('cache', 'verify', '--cache-dir', cache, timeout=PATIENCE_S)
    assert first.returncode == 1, first.stdout + first.stderr
    assert re.search(r'\b5 ', first.stdout), first.stdout
    second = run_tarn('cache', 'verify', '--cache-dir', cache, timeout=PATIENCE_S)
    assert second.returncode == 0, second.stdout + second.stderr


@pytest.mark.parametrize('attempt', range(3))
def test_files_that_are_gone_or_no_files(mount, s3, kept, tmp_path, chance, attempt):
    """Files that are missing, cut, links, pipes or directories: right at once, without a scrub."""
    bucket, contents = kept
    cache = tmp_path / 'cache'
    options = dict(source='s3://' + bucket, endpoint_url=s3.url, env=s3.env, cache=cache)
    m = mount(**options)
    read_all(m, contents)
    m.unmount_and_wait_for_the_daemon()
    kinds = [k for k in damage.FILES if k not in (damage.hard_link_outside, damage.another_object)]
    spoil(cache, chance, kinds, 8)
    again = mount(**options)
    read_all(again, contents)
    read_all(again, contents)
    again.unmount_and_wait_for_the_daemon()
    damage.outside_is_untouched(cache)
    read_all(mount(**options), contents)


def test_database(mount, s3, kept, tmp_path, chance):
    """LMDB's file damaged in ten ways: the mount works at once, and no byte is wrong."""
    bucket, contents = kept
    some = {p: d for p, d in contents.items() if len(d) < 4 * MIB}
    cache = tmp_path / 'cache'
    options = dict(source='s3://' + bucket, endpoint_url=s3.url, env=s3.env, cache=cache)
    m = mount(**options)
    read_all(m, some)
    m.unmount_and_wait_for_the_daemon()
    for _ in range(10):
        print(damage.database(cache / 'cache.mdb', chance), flush=True)
        again = mount(**options)
        read_all(again, some)
        again.unmount_and_wait_for_the_daemon()
        assert not (cache / 'cache.mdb').is_symlink() or (cache / 'cache.mdb').exists()


def test_everything_at_once(mount, s3, kept, tmp_path, chance):
    """Objects and database, time and again on one cache: after each scrub no byte is wrong."""
    bucket, contents = kept
    cache = tmp_path / 'cache'
    options = dict(source='s3://' + bucket, endpoint_url=s3.url, env=s3.env, cache=cache)
    for _ in range(4):
        m = mount(**options)
        read_all(m, contents)
        m.unmount_and_wait_for_the_daemon()
        spoil(cache, chance, damage.BYTES + damage.FILES, 4)
        if chance.random() < 0.5:
            print(damage.database(cache / 'cache.mdb', chance))
        verify(cache)
    read_all(mount(**options), contents)
    damage.outside_is_untouched(cache)


def test_encrypted_objects(mount, s3, kept, tmp_path, chance):
    """Encrypted objects are checked at each read: whatever was changed, no byte is wrong, ever."""
    bucket, contents = kept
    cache, key = tmp_path / 'cache', tmp_path / 'key'
    key.write_bytes(chance.randbytes(32))
    key.chmod(0o600)
    options = dict(source='s3://' + bucket, endpoint_url=s3.url, env=s3.env, cache=cache,
                   cache_key_file=key)
    m = mount(**options)
    read_all(m, contents)
    m.unmount_and_wait_for_the_daemon()
    for path in damage.objects(cache):
        data = path.read_bytes()
        for plain in contents.values():
            assert plain[:16] not in data or len(plain) < 16, 'not encrypted'
    spoil(cache, chance, damage.BYTES + damage.FILES, 8)
    again = mount(**options)
    read_all(again, contents)
    assert counted([again.path]) > 0
    damage.outside_is_untouched(cache)


def test_no_link_leads_out(mount, s3, kept, tmp_path, chance):
    """Links in the place of the cache's own directories: nothing outside is read, written or removed."""
    bucket, contents = kept
    cache = tmp_path / 'cache'
    options = dict(source='s3://' + bucket, endpoint_url=s3.url, env=s3.env, cache=cache)
    m = mount(**options)
    read_all(m, contents)
    m.unmount_and_wait_for_the_daemon()
    done = [damage.link_parent(path, chance) for path in damage.objects(cache)]
    assert any(done)
    outside = cache.parent / (cache.name + '-outside')
    before = sorted(p for p in outside.rglob('*') if p.is_file())
    again = mount(cache_size='16M', **options)
    read_all(again, contents)
    again.unmount_and_wait_for_the_daemon()
    damage.outside_is_untouched(cache)
    assert sorted(p for p in outside.rglob('*') if p.is_file()) == before


def test_verify_misses_no_object(mount, s3, bucket, tmp_path, chance):
    """Every object is visited, whatever else looks after the cache at the same time."""
    count = 400
    root = tmp_path / 'many'
    (root / 'raw').mkdir(parents=True)
    for i in range(count):
        (root / 'raw' / ('f%04d' % i)).write_bytes(chance.randbytes(1000 + i))
    s3.copy_tree(root, bucket)
    cache = tmp_path / 'cache'
    m = mount('s3://' + bucket, endpoint_url=s3.url, env=s3.env, cache=cache)
    for i in range(count):
        (m / 'raw' / ('f%04d' % i)).read_bytes()
    m.unmount_and_wait_for_the_daemon()
    for _ in range(5):
        done = run_tarn('cache', 'verify', '--json', '--cache-dir', cache)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)['objects'] == count
