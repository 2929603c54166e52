# SPDX-License-Identifier: Apache-2.0
"""Anonymous memory of the daemon in a memory cgroup, under loads that try to make it grow."""
import concurrent.futures
import os
import subprocess
import sys
from pathlib import Path

from support.memory import MemoryGroup, Sampler

from . import machine
from .lake import LARGE, SMALL
from .table import AT_MOST

GROUP_BYTES, ANONYMOUS_BYTES = 400 << 20, 256 << 20
HOLDER, HOLDERS = Path(__file__).resolve().parents[1] / 'holder.py', 8
READERS, RANDOM_READS, COLD_READERS, COLD_BYTES = 8, 1_000, 64, 16 << 20


def random_readers(bench, m):
    readers = [subprocess.Popen(machine.reader_words('rand', m / LARGE, count=RANDOM_READS, seed=i),
                                stdout=subprocess.DEVNULL) for i in range(1, READERS + 1)]
    assert all(r.wait(machine.READER_TIMEOUT_S) == 0 for r in readers)


def held_opens(bench, m):
    """All small files open at once, by several processes, a page of each read."""
    holders = [subprocess.Popen([sys.executable, str(HOLDER), str(m / SMALL), str(i), str(HOLDERS)],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
               for i in range(HOLDERS)]
    held = [h.stdout.readline().strip() for h in holders]
    for h in holders:
        h.communicate()
    share = sum(map(int, held)) / bench.sizes.small_files
    bench.table.row('held open of %s small files' % format(bench.sizes.small_files, ','),
                    format(sum(map(int, held)), ','), '', share, 1.0)


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
