# SPDX-License-Identifier: Apache-2.0
"""Anonymous memory of the daemon in a memory cgroup, under loads that try to make it grow."""
import concurrent.futures
import contextlib
import os
import resource
import subprocess

from support.memory import MemoryGroup, Sampler

from . import machine
from .lake import LARGE, SMALL
from .table import AT_MOST

GROUP_BYTES, ANONYMOUS_BYTES = 400 << 20, 256 << 20
READERS, RANDOM_READS, COLD_READERS, COLD_BYTES = 8, 1_000, 64, 16 << 20


def random_readers(bench, m):
    readers = [subprocess.Popen(machine.reader_words('rand', m / LARGE, count=RANDOM_READS, seed=i),
                                stdout=subprocess.DEVNULL) for i in range(1, READERS + 1)]
    assert all(r.wait(machine.READER_TIMEOUT_S) == 0 for r in readers)


@contextlib.contextmanager
def many_descriptors(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 1000, max(hard, count + 1000)))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def held_opens(bench, m):
    """All small files open at once, a page of each read."""
    held, names = [], sorted(os.listdir(m / SMALL))

    def one(name):
        held.append(os.open(m / SMALL / name, os.O_RDONLY))
        assert len(os.pread(held[-1], 4096, 0)) == 4096

    with many_descriptors(len(names)), concurrent.futures.ThreadPoolExecutor(16) as pool:
        try:
            list(pool.map(one, names))
        finally:
            for fd in held:
                os.close(fd)


def cold_readers(bench, m):
    """Each reads another part of the object."""
    part = bench.sizes.large // COLD_READERS

    def one(i):
        fd = os.open(m / LARGE, os.O_RDONLY)
        try:
            for at in range(0, min(part, COLD_BYTES), 1 << 20):
                assert os.pread(fd, 1 << 20, i * part + at)
        finally:
            os.close(fd)

    with concurrent.futures.ThreadPoolExecutor(COLD_READERS) as pool:
        list(pool.map(one, range(COLD_READERS)))


def anonymous(bench):
    bench.table.section('Anonymous memory of a daemon in a cgroup of %d MiB' % (GROUP_BYTES >> 20))
    for what, load in (
            ('%d random readers of a cold object' % READERS, random_readers),
            ('%s small files held open' % format(bench.sizes.small_files, ','), held_opens),
            ('%d cold readers' % COLD_READERS, cold_readers)):
        group = MemoryGroup(GROUP_BYTES)
        m = bench.mount_s3(preexec=group.preexec)
        with Sampler(m.pid) as sampler:
            load(bench, m)
        killed = group.failures()
        m.unmount_and_wait_for_the_daemon()
        group.remove()
        assert killed == 0, 'the kernel killed %d times for memory' % killed
        bench.table.row(what, '%d MiB' % (sampler.peak >> 20),
                        'allowed %d' % (ANONYMOUS_BYTES >> 20), sampler.peak / ANONYMOUS_BYTES,
                        1.0, AT_MOST)
