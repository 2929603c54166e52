# SPDX-License-Identifier: Apache-2.0
"""A cache disk that is full, fills up, fails now and then, or dies: caching goes off, reading goes on."""
import errno
import os
import random
import shutil

import pytest

from support import faults, lakes
from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S

TABLE = 'silver/eu/fr/clients'
CODES = [errno.ENOSPC, errno.EIO]
START_CHANGES = 40                              # a daemon makes them before it serves
CACHE_SIZE = '3M'                               # less than the files: something is evicted, too
SIZES = (0, 100, 70000, 300000, 1 << 20, (2 << 20) + 5, 300000, 400000, 500000)


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    return faults.build(tmp_path_factory.mktemp('failing-disk'))


@pytest.fixture(scope='module')
def small(s3, lake, tmp_path_factory):
    """A small lake in a bucket: keyword arguments for mount, and {path: bytes} of what to read."""
    root = tmp_path_factory.mktemp('small') / 'lake'
    chance = random.Random(5)
    (root / 'files').mkdir(parents=True)
    for i, size in enumerate(SIZES):
        (root / 'files' / ('file-%d' % i)).write_bytes(chance.randbytes(size))
    shutil.copytree(lake / TABLE, root / TABLE)
    bucket = s3.new_bucket('faults')
    s3.copy_tree(root, bucket)
    wanted = {}
    for below in ('files', TABLE):
        for name in lakes.tree(root / below):
            if not name.startswith('_delta_log'):
                wanted[below + '/' + name] = (root / below / name).read_bytes()
    return {'source': 's3://' + bucket, 'endpoint_url': s3.url, 'env': s3.env}, wanted


def mounted(mount, small, cache, env=None, **more):
    """The mount, or None where tarn refused with a reason."""
    options = dict({'cache_size': CACHE_SIZE}, **small[0], **more)
    options['env'] = dict(options['env'], **(env or {}))
    try:
        return mount(cache=cache, foreground=True, **options)
    except AssertionError as e:
        m = mount.made[-1]
        assert m.process and m.process.returncode == 1, 'status %s: %s' % (
            m.process and m.process.returncode, e)
        assert os.strerror(errno.ENOSPC) in str(e) or os.strerror(errno.EIO) in str(e), e
        return None


def check(m, wanted):
    """Every directory and every byte is right."""
    for below in {os.path.dirname(path) for path in wanted}:
        names = [n for n in os.listdir(m / below) if not n.startswith('.')]
        assert sorted(names) == sorted(
            os.path.basename(p) for p in wanted if os.path.dirname(p) == below)
    for path, expected in wanted.items():
        with open(m / path, 'rb', buffering=0) as f:
            got = f.read(len(expected) + 1)     # may be short where the kernel splits it
            while len(got) < len(expected):
                more = f.read(len(expected) - len(got))
                assert more, path
                got += more
        assert got == expected, path


def one_failure(mount, small, disk, below, **how):
    """
    One life of a cache in which changes of its disk fail, and one after: (what the first did,
    whether it came to the chosen change).
    """
    cache = below / 'cache'
    cache.mkdir(mode=0o700)
    try:
        disk.fail(**how)
        m = mounted(mount, small, cache, disk.env)
        if m:
            check(m, small[1])
            check(m, small[1])
            m.unmount()                         # its status is that of the daemon's end
        reached = disk.failed > 0
        what = ('read ' if m else 'refused ') + disk.first
        disk.heal()
        again = mounted(mount, small, cache)
        assert again, 'refused after the disk was mended'
        check(again, small[1])
        again.unmount()
    finally:
        shutil.rmtree(cache)
    return what, reached


def failures(mount, small, disk, below, code, count, numbers):
    """A failure at each of the numbers: [what happened], until there is no such change."""
    said = []
    for number in numbers:
        try:
            what, reached = one_failure(mount, small, disk, below, first=number, count=count,
                                        code=code)
        except BaseException:
            print('change %d, errno %d, count %d: %s' % (number, code, count, disk.first))
            raise
        mount.made.clear()                      # they are gone
        if not reached:
            break
        said.append('%d: %s' % (number, what))
    print('\n'.join(said))
    return said


def only_at_the_start(said):
    """Refused is a mount only while the cache is being opened, never after a later change."""
    refused = [int(line.split(':')[0]) for line in said if ' refused ' in line]
    assert not refused or max(refused) < START_CHANGES, refused


@pytest.mark.parametrize('count', [1, faults.FOREVER], ids=['once', 'from-then-on'])
@pytest.mark.parametrize('code', CODES, ids=['ENOSPC', 'EIO'])
def test_some_changes_fail(mount, small, library, tmp_path, code, count):
    """At changes of the cache directory chosen by chance the disk fails: every byte is right."""
    seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
    print('SEED', seed)
    disk = faults.FailingDisk(library, tmp_path / 'cache', tmp_path / 'control')
    numbers = sorted(random.Random(seed).sample(range(1, 90), 12))
    said = failures(mount, small, disk, tmp_path, code, count, numbers)
    assert len(said) >= 5
    only_at_the_start(said)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize('count', [1, faults.FOREVER], ids=['once', 'from-then-on'])
@pytest.mark.parametrize('code', CODES, ids=['ENOSPC', 'EIO'])
def test_every_change_fails(mount, small, library, tmp_path, code, count):
    """The same at each change of the cache directory, from the first to the last."""
    disk = faults.FailingDisk(library, tmp_path / 'cache', tmp_path / 'control')
    said = failures(mount, small, disk, tmp_path, code, count, range(1, 10000))
    assert len(said) >= 60
    only_at_the_start(said)


@pytest.fixture
def disk(tmp_path):
    """A small disk of its own for the cache."""
    d = faults.SmallDisk(tmp_path, 64 << 20)
    yield d
    d.unmount()


def drop_caches():
    with open('/proc/sys/vm/drop_caches', 'w') as f:
        f.write('3')


def until_right(m, wanted):
    """
    The kernel reads sealed objects by itself, and may be the first to meet the dead disk: that is
    an error, a few times at most, and never a wrong byte.
    """
    def right():
        try:
            check(m, wanted)
        except OSError as e:
            assert e.errno in (errno.EIO, errno.ESTALE), e
            return False
        return True
    wait_for(right, PATIENCE_S, 'reads right after the death of the disk')


def lasting(m, wanted):
    assert m, 'refused'
    check(m, wanted)
    check(m, wanted)
    m.unmount()


def test_full_disk_from_the_start(mount, small, disk):
    """A cache directory on a full disk: reads are right; with room again they are kept again."""
    cache = disk.path / 'cache'
    cache.mkdir(mode=0o700)
    disk.fill()
    m = mounted(mount, small, cache, cache_size='1G')
    if m:
        lasting(m, small[1])
    disk.empty()
    lasting(mounted(mount, small, cache, cache_size='1G'), small[1])


@pytest.mark.parametrize('leave', [0, 4096, 40960, 1 << 20], ids=str)
def test_disk_fills_up_while_reading(mount, small, disk, leave):
    """Somebody fills the disk under a running mount: reads are right, then and after a restart."""
    m = mounted(mount, small, disk.path / 'cache', cache_size='1G')
    names = sorted(small[1])
    for path in names[:3]:
        assert (m / path).read_bytes() == small[1][path]
    disk.fill(leave)
    lasting(m, small[1])
    lasting(mounted(mount, small, disk.path / 'cache', cache_size='1G'), small[1])
    disk.empty()
    lasting(mounted(mount, small, disk.path / 'cache', cache_size='1G'), small[1])


@pytest.mark.alone                              # drops what the kernel keeps for everybody
@pytest.mark.parametrize('synced', [False, True], ids=['dirty', 'synced'])
@pytest.mark.parametrize('read_before', [0, 3, 100], ids=['cold', 'some', 'warm'])
def test_disk_dies_while_reading(mount, small, disk, read_before, synced):
    """The cache disk dies under a running mount: the daemon lives, and reads are right."""
    m = mounted(mount, small, disk.path / 'cache', cache_size='1G')
    for path in sorted(small[1])[:read_before]:
        assert (m / path).read_bytes() == small[1][path]
    pid = m.pid
    if synced:                                  # mapped pages are clean: writing to one asks the disk
        os.sync()
        drop_caches()
    disk.kill()
    if read_before:
        until_right(m, small[1])
    check(m, small[1])
    check(m, small[1])
    assert m.process.poll() is None and m.process.pid == pid
    assert run_tarn('umount', m.path).returncode == 0
    assert m.process.wait(timeout=PATIENCE_S) == 0, 'the daemon ended with its disk'
    disk.unmount()
    wait_for(lambda: not os.path.ismount(disk.path), PATIENCE_S, 'the dead disk gone')
    disk.mount()
    lasting(mounted(mount, small, disk.path / 'cache', cache_size='1G'), small[1])


@pytest.mark.alone
def test_device_is_cut_short(mount, small, disk):
    """The device under the cache is cut short while the daemon runs: that lives, and ends well."""
    m = mounted(mount, small, disk.path / 'cache', cache_size='1G')
    check(m, small[1])
    os.sync()
    with open(disk.image, 'r+b') as f:
        f.truncate(1 << 20)
    drop_caches()                               # so that what is read is read from the device
    for path in small[1]:
        try:
            (m / path).read_bytes()             # zeros, as the device says, before the scrub has run
        except OSError as e:
            assert e.errno == errno.EIO, (e, m.process.wait(timeout=PATIENCE_S))
    assert m.process.poll() is None
    assert run_tarn('umount', m.path).returncode == 0
    assert m.process.wait(timeout=PATIENCE_S) == 0
