# SPDX-License-Identifier: Apache-2.0
"""Files that the kernel reads itself: their bytes never come through the daemon."""
import concurrent.futures
import contextlib
import ctypes
import functools
import mmap
import os
import random
import subprocess
from pathlib import Path

import pytest

from support.delta_log import write_log
from support.mounts import clean_env, detach, fusermount_descriptor, wait_for
from support.places import PATIENCE_S, TARN

MIB = 1 << 20
BIG_BYTES, SMALL_BYTES = 9 * MIB + 12345, 110_000
# Directory entries and names come through the daemon too, so a file is told from them by its size.
SLACK = 256 * 1024

SAYS_NO = 'no passthrough'
PR_CAPBSET_DROP, CAP_SYS_ADMIN = 24, 21


def noise(seed, n):
    return random.Random(seed).randbytes(n)


def can_pass():
    """This kernel and this process can: Linux 6.9 or newer, and CAP_SYS_ADMIN."""
    release = tuple(int(x) for x in os.uname().release.split('.')[:2])
    caps = next(line for line in Path('/proc/self/status').read_text().splitlines()
                if line.startswith('CapEff'))
    return release >= (6, 9) and bool(int(caps.split()[1], 16) & 1 << CAP_SYS_ADMIN)


needs_passthrough = pytest.mark.skipif(not can_pass(), reason='no passthrough here')


@functools.cache
def pid_of(m):
    """Asked once a mount: the daemon is not to be kept busy by being asked."""
    return m.pid


def daemon_bytes(m):
    """Bytes that the daemon has written: answers to READ, and what it keeps in its cache."""
    for line in Path('/proc/%d/io' % pid_of(m)).read_text().splitlines():
        if line.startswith('wchar:'):
            return int(line.split()[1])
    raise AssertionError('no wchar')


class Counted:
    """with Counted(m) as c: ...; c.bytes is what the daemon has written meanwhile."""

    def __init__(self, m):
        self.m = m

    def __enter__(self):
        self.before = daemon_bytes(self.m)
        return self

    def __exit__(self, *_):
        self.bytes = daemon_bytes(self.m) - self.before


def log_of(m):
    path = m.cache / 'tarn.log'
    return (path.read_text() if path.is_file() else '') + m.log.read_text()


@pytest.fixture
def source(tmp_path):
    """A lake with a table of the format `files`, and files outside tables."""
    root = tmp_path / 'source'
    for name in ('raw/pictures', 'loose'):
        (root / name).mkdir(parents=True)
    for i in range(20):
        (root / 'raw/pictures' / ('p%d' % i)).write_bytes(noise(i, SMALL_BYTES))
    (root / 'raw/big.bin').write_bytes(noise('big', BIG_BYTES))
    (root / 'raw/empty').write_bytes(b'')
    (root / 'loose.bin').write_bytes(noise('loose', BIG_BYTES))
    return root


def files_below(root):
    return sorted(p.relative_to(root) for p in root.rglob('*') if p.is_file())


@needs_passthrough
@pytest.mark.parametrize('how', ['background', 'foreground', 'debug'])
def test_kernel_reads_files_in_place(mount, source, how):
    """Reading a directory's files through a mount moves none of their bytes through the daemon."""
    m = mount(source, foreground=how != 'background', debug=how == 'debug')
    with Counted(m) as c:
        for name in files_below(source):
            assert (m / name).read_bytes() == (source / name).read_bytes(), name
    assert c.bytes < SLACK
    assert SAYS_NO not in log_of(m)


@needs_passthrough
def test_all_ways_to_read(mount, source):
    """pread at random places, readv, sendfile, mmap private and shared, and a copy give the file's
    bytes without the daemon, and stat is that of an ordinary file."""
    m = mount(source)
    name, whole = m / 'loose.bin', (source / 'loose.bin').read_bytes()
    assert name.stat().st_size == BIG_BYTES
    with Counted(m) as c, open(name, 'rb', buffering=0) as f:
        chance = random.Random(5)
        for _ in range(200):
            at, n = chance.randrange(BIG_BYTES), chance.randrange(1, 200_000)
            assert os.pread(f.fileno(), n, at) == whole[at:at + n]
        assert os.pread(f.fileno(), 10, BIG_BYTES) == b''
        for access in (mmap.ACCESS_READ, mmap.ACCESS_COPY):
            with mmap.mmap(f.fileno(), 0, access=access) as mapped:
                assert mapped[:] == whole
        with open(source.parent / 'copy', 'wb') as out:
            assert os.sendfile(out.fileno(), f.fileno(), 0, BIG_BYTES) > 0
        subprocess.run(['cp', name, source.parent / 'copy2'], check=True)
    assert c.bytes < SLACK
    assert (source.parent / 'copy2').read_bytes() == whole


@needs_passthrough
def test_fork_keeps_what_is_open(mount, source):
    """A child reads and maps what its parent has opened, also when the parent has closed it."""
    m = mount(source)
    whole = (source / 'loose.bin').read_bytes()
    fd = os.open(m / 'loose.bin', os.O_RDONLY)
    mapped = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
    pid = os.fork()
    if pid == 0:
        good = os.pread(fd, BIG_BYTES, 0) == whole and mapped[:] == whole
        os._exit(0 if good else 1)
    os.close(fd)
    assert os.waitpid(pid, 0)[1] == 0
    assert mapped[:] == whole
    mapped.close()


@needs_passthrough
def test_program_is_run_from_the_mount(mount, tmp_path):
    """A program and its interpreter's script can be run by a loader that maps them."""
    root = tmp_path / 'programs'
    root.mkdir()
    (root / 'a').mkdir()
    (root / 'a/true').write_bytes(Path('/bin/true').read_bytes())
    m = mount(root)
    loader = next(Path('/lib64').glob('ld-linux*'))     # files of a mount have no x bit
    with Counted(m) as c:
        subprocess.run([loader, m / 'a/true'], check=True, timeout=PATIENCE_S)
    assert c.bytes < SLACK


def open_many(paths):
    """Opens each path in a thread of its own, all at once: the descriptors."""
    with concurrent.futures.ThreadPoolExecutor(len(paths)) as pool:
        return list(pool.map(lambda p: os.open(p, os.O_RDONLY), paths))


@pytest.mark.parametrize('passthrough', ['auto', 'off'])
def test_hundred_openers_at_once(mount, source, passthrough):
    """A hundred threads that open, read, map and close one file all get its bytes."""
    m = mount(source, passthrough=passthrough)
    for name in ('loose.bin', 'raw/pictures/p0'):
        whole = (source / name).read_bytes()
        for _ in range(3):
            fds = open_many([m / name] * 100)
            for fd in fds:
                assert os.pread(fd, 1000, 5000) == whole[5000:6000]
            with mmap.mmap(fds[7], 0, access=mmap.ACCESS_READ) as mapped:
                assert mapped[:] == whole
            for fd in fds:
                os.close(fd)


@needs_passthrough
def test_file_is_replaced_while_it_is_open(mount, source):
    """Who has a file open keeps reading the old one; who opens it after that reads the new one."""
    m = mount(source, refresh='0')
    old = (source / 'loose.bin').read_bytes()
    with open(m / 'loose.bin', 'rb', buffering=0) as first:
        assert first.read(100) == old[:100]
        for turn in range(5):
            new = noise('new%d' % turn, BIG_BYTES + 17 + turn)
            (source / 'aside').write_bytes(new)
            os.rename(source / 'aside', source / 'loose.bin')
            wait_for(lambda: (m / 'loose.bin').stat().st_size == BIG_BYTES + 17 + turn, PATIENCE_S,
                     'the mount shows the new file')
            for _ in range(3):
                assert (m / 'loose.bin').read_bytes() == new
            assert os.pread(first.fileno(), BIG_BYTES, 0) == old
    assert (m / 'loose.bin').read_bytes() == new


@needs_passthrough
def test_reads_through_the_daemon_when_told_to(mount, source):
    """With passthrough=off the daemon reads, and the log does not complain."""
    m = mount(source, o='passthrough=off')
    with Counted(m) as c:
        assert (m / 'loose.bin').read_bytes() == (source / 'loose.bin').read_bytes()
    assert c.bytes >= BIG_BYTES
    assert SAYS_NO not in log_of(m)


class Served:
    """A mount that was made before its daemon: served on /dev/fd/N."""

    def __init__(self, source, below, preexec=None):
        self.path, self.log, self.cache = below / 'mnt', below / 'log', below / 'cache'
        self.path.mkdir(parents=True)
        fd = fusermount_descriptor(self.path)
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                [str(TARN), 'mount', str(source), '/dev/fd/%d' % fd, '--cache-dir',
                 str(self.cache), '-f', '-d'], pass_fds=[fd], env=clean_env(), preexec_fn=preexec,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        os.close(fd)
        self.pid = self.process.pid

    def __truediv__(self, below):
        return self.path / below

    def __enter__(self):
        return self

    def __exit__(self, *_):
        detach(self.path)
        try:
            self.process.wait(timeout=PATIENCE_S)
        finally:
            self.process.kill()
            self.process.wait()


def without_admin():
    """In the child: root without CAP_SYS_ADMIN."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) == 0


@needs_passthrough
def test_passes_through_a_descriptor(source, tmp_path):
    """A mount that somebody else made passes as well."""
    with Served(source, tmp_path / 'served') as m, Counted(m) as c:
        for name in files_below(source):
            assert (m / name).read_bytes() == (source / name).read_bytes()
    assert c.bytes < SLACK


@needs_passthrough
def test_falls_back_without_privilege(source, tmp_path):
    """A daemon without CAP_SYS_ADMIN reads itself, and says once in its log why."""
    with Served(source, tmp_path / 'served', without_admin) as m, Counted(m) as c:
        for _ in range(2):
            for name in files_below(source):
                assert (m / name).read_bytes() == (source / name).read_bytes()
    assert c.bytes >= BIG_BYTES
    said = [line for line in log_of(m).splitlines() if SAYS_NO in line]
    assert len(said) == 1 and 'CAP_SYS_ADMIN' in said[0]


@pytest.fixture
def overlay(tmp_path):
    """A directory on overlayfs, whose files the kernel does not pass."""
    parts = {name: tmp_path / ('overlay-' + name) for name in ('low', 'up', 'work', 'all')}
    for part in parts.values():
        part.mkdir()
    done = subprocess.run(['mount', '-t', 'overlay', 'overlay', '-o', 'lowerdir=%s,upperdir=%s,'
                           'workdir=%s' % (parts['low'], parts['up'], parts['work']),
                           parts['all']], check=False, capture_output=True)
    if done.returncode:
        pytest.skip('no overlayfs here')
    yield parts['all']
    subprocess.run(['umount', '-l', parts['all']], check=True)


@needs_passthrough
def test_falls_back_where_the_filesystem_refuses(mount, overlay):
    """Files that lie on an overlayfs are read by the daemon, which is said once in the log."""
    (overlay / 'd').mkdir()
    for i in range(3):
        (overlay / 'd' / str(i)).write_bytes(noise(i, BIG_BYTES))
    m = mount(overlay)
    with Counted(m) as c:
        for _ in range(2):
            for i in range(3):
                assert (m / 'd' / str(i)).read_bytes() == noise(i, BIG_BYTES)
    assert c.bytes >= 3 * BIG_BYTES
    assert sum(SAYS_NO in line for line in log_of(m).splitlines()) == 1


@needs_passthrough
def test_many_opens_leave_nothing_behind(mount, source):
    """After thousands of opens and closes the daemon has no more descriptors than before."""
    m = mount(source)
    names = [m / n for n in files_below(source)]

    def descriptors():
        return len(os.listdir('/proc/%d/fd' % m.pid))

    for name in names:
        name.read_bytes()
    wait_for(lambda: descriptors() < 60, PATIENCE_S, 'released')
    before = descriptors()
    for _ in range(100):
        for name in names:
            os.close(os.open(name, os.O_RDONLY))
    wait_for(lambda: descriptors() <= before, PATIENCE_S, 'as many descriptors as before: %d' % before)


# Objects of a bucket: files of a table's version, whose names the kernel keeps for ever.

TABLE, VERSION = 'silver/files', 'silver/files@0/'
LARGE = [VERSION + 'large/%d.bin' % i for i in range(5)]
SMALL = [VERSION + 'small/%d.bin' % i for i in range(20)]


@pytest.fixture
def bucket_of_files(s3, bucket, tmp_path):
    """A bucket: keyword arguments for mount, and what it holds. Without a proxy in this process,
    which could not answer while a page is awaited under the interpreter's lock."""
    root = tmp_path / 'objects'
    table = root / TABLE
    held = {name: noise(name, BIG_BYTES) for name in LARGE}
    held |= {name: noise(name, SMALL_BYTES) for name in SMALL}
    for name, data in held.items():
        path = table / name.removeprefix(VERSION)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    write_log(table, {name.removeprefix(VERSION): len(data) for name, data in held.items()})
    s3.copy_tree(root, bucket)
    return {'source': 's3://' + bucket, 'endpoint_url': s3.url, 'env': s3.env}, held


def wait_until_it_passes(m, name, data):
    """Opens anew and reads until the daemon reads nothing of it: it is sealed."""
    def passes():
        with Counted(m) as c:
            assert (m / name).read_bytes() == data
        return c.bytes < len(data) // 2
    wait_for(passes, PATIENCE_S, '%s passes' % name)


@needs_passthrough
def test_small_objects_pass_at_once(mount, bucket_of_files, proxy):
    """The open of a small object completes it with one request: its bytes are the kernel's to read."""
    args, held = bucket_of_files
    m = mount(**args | {'endpoint_url': proxy.url})
    with contextlib.ExitStack() as opened:
        fds = {name: opened.enter_context(open(m / name, 'rb')).fileno() for name in SMALL}
        # All are open before one is read: the daemon writes those ahead into its cache.
        with Counted(m) as c:
            for name, fd in fds.items():
                assert os.pread(fd, SMALL_BYTES, 0) == held[name]
    assert c.bytes < len(SMALL) * SMALL_BYTES // 2
    assert proxy.counts('data') == len(SMALL)


@needs_passthrough
def test_large_object_passes_when_it_is_complete(mount, bucket_of_files):
    """A large object is read through the daemon while it is fetched, and without it from then on;
    who has it open since before reads on, mapped or not."""
    args, held = bucket_of_files
    m = mount(**args)
    name, data = LARGE[0], held[LARGE[0]]
    first = os.open(m / name, os.O_RDONLY)
    assert os.pread(first, 5000, 3 * MIB) == data[3 * MIB:3 * MIB + 5000]
    with mmap.mmap(first, 0, access=mmap.ACCESS_READ) as mapped:
        assert mapped[MIB:2 * MIB] == data[MIB:2 * MIB]
        inode = os.fstat(first).st_ino
        wait_until_it_passes(m, name, data)
        assert mapped[:] == data
        assert os.pread(first, BIG_BYTES, 0) == data
        assert os.stat(m / name).st_ino == inode
        with open(m / name, 'rb') as second, \
                mmap.mmap(second.fileno(), 0, access=mmap.ACCESS_READ) as passed:
            assert passed[:] == data
            assert os.fstat(second.fileno()).st_ino == inode
    os.close(first)


@needs_passthrough
def test_open_again_through_proc(mount, bucket_of_files):
    """/proc/self/fd/N opens a file that has been completed meanwhile, though its name is not asked."""
    args, held = bucket_of_files
    m = mount(**args)
    name, data = LARGE[1], held[LARGE[1]]
    first = os.open(m / name, os.O_RDONLY)
    assert os.pread(first, 10, 0) == data[:10]
    wait_until_it_passes(m, name, data)
    for _ in range(5):
        assert Path('/proc/self/fd/%d' % first).read_bytes() == data
    os.close(first)


@needs_passthrough
def test_bind_mount_of_a_file(mount, bucket_of_files, tmp_path):
    """A bind mount of a file that was incomplete reads right when it is complete, and again when it
    was evicted."""
    args, held = bucket_of_files
    m = mount(cache_size='24M', **args)
    name, data = LARGE[1], held[LARGE[1]]
    with open(m / name, 'rb') as f:
        assert f.read(10) == data[:10]
    point = tmp_path / 'bound'
    point.touch()
    subprocess.run(['mount', '--bind', m / name, point], check=True)
    try:
        wait_until_it_passes(m, name, data)
        assert point.read_bytes() == data and point.read_bytes() == data
        for other in LARGE[2:]:
            wait_until_it_passes(m, other, held[other])
        assert point.read_bytes() == data and point.read_bytes() == data
    finally:
        subprocess.run(['umount', '-l', point], check=True)


class Readers:
    """Threads that open, read or map, and close some files, until they are told to end."""

    def __init__(self, m, held, names, count, seed):
        self.m, self.held, self.names, self.end, self.opens = m, held, names, False, 0
        self.pool = concurrent.futures.ThreadPoolExecutor(count)
        self.runs = [self.pool.submit(self.run, random.Random(seed + i)) for i in range(count)]

    def run(self, chance):
        while not self.end:
            name = chance.choice(self.names)
            data = self.held[name]
            at, n = chance.randrange(len(data)), chance.randrange(1, MIB)
            fd = os.open(self.m / name, os.O_RDONLY)
            try:
                if chance.random() < 0.2:
                    with mmap.mmap(fd, 0, access=mmap.ACCESS_READ) as mapped:
                        assert mapped[at:at + n] == data[at:at + n]
                assert os.pread(fd, n, at) == data[at:at + n]
            finally:
                os.close(fd)
            self.opens += 1

    def stop(self):
        self.end = True
        for run in self.runs:
            run.result(timeout=PATIENCE_S)
        self.pool.shutdown()
        return self.opens


@needs_passthrough
def test_openers_in_all_states(mount, bucket_of_files):
    """A hundred threads open, map and read files while these are fetched, completed and evicted
    again: each gets the right bytes and nobody an error."""
    seed = random.randrange(1 << 30)
    print('seed', seed)
    args, held = bucket_of_files
    m = mount(cache_size='24M', **args)
    readers = Readers(m, held, LARGE[:2], 100, seed)
    try:
        for _ in range(6):
            for name in LARGE:
                with open(m / name, 'rb') as f:
                    assert f.read() == held[name]
    finally:
        opens = readers.stop()
    assert opens > 100


@needs_passthrough
def test_files_come_and_go_between_lookup_and_open(mount, bucket_of_files):
    """Files that are completed and evicted behind names that the kernel remembers: every open works
    and passes again once the file is complete."""
    args, held = bucket_of_files
    m = mount(cache_size='24M', **args)
    for _ in range(3):
        for name in LARGE + SMALL:
            wait_until_it_passes(m, name, held[name])


@needs_passthrough
def test_falls_back_where_the_cache_is_refused(mount, bucket_of_files, overlay):
    """With the cache on an overlayfs all objects are read through the daemon, large and small, also
    when they are complete, which is said once in the log."""
    args, held = bucket_of_files
    m = mount(cache=overlay / 'cache', **args)
    for _ in range(3):
        for name in LARGE[:2] + SMALL[:3]:
            with open(m / name, 'rb') as f:
                assert f.read() == held[name]
                with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                    assert mapped[:] == held[name]
    assert sum(SAYS_NO in line for line in log_of(m).splitlines()) == 1
    m.unmount_and_wait_for_the_daemon()
