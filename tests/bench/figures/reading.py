# SPDX-License-Identifier: Apache-2.0
"""One large file through a mount, beside the file itself on the disk."""
import os

from . import machine
from .lake import LARGE, MIDDLE
from .machine import read, read_cold

ROUNDS, RANDOM_READS = 9, 300_000
SEQUENTIAL, RANDOM, COLD, MAPPED = 0.95, 0.90, 0.90, 0.95   # what is demanded of the ratio


def rows(table, name, disk, mount, cold_disk, cold_mount, demanded=True, forget=False):
    """
    `disk` and `mount` are the same bytes. With `forget` the mount's pages are dropped before each
    turn: what the daemon delivers, not what the kernel has kept.
    """
    more = {'forget': True} if forget else {}
    machine.warm(disk)
    machine.warm(mount)

    def add(what, rounds, bound, random=False):
        unit, of = ('reads/s', rounds.ops_s) if random else ('MiB/s', rounds.mib_s)
        table.row('%s: %s' % (name, what), '%s %s' % (format(of(1), ',.0f'), unit),
                  'disk %s' % format(of(0), ',.0f'), rounds.ratio(1), bound if demanded else None)

    add('hot sequential', read('seq', disk, mount, rounds=ROUNDS, **more), SEQUENTIAL)
    add('hot random 4 KiB', read('rand', disk, mount, rounds=ROUNDS,
                                 count=RANDOM_READS if not forget else 20_000, **more), RANDOM, True)
    add('mmap, all of it', read('mmap', disk, mount, rounds=5, **more), MAPPED)
    add('mmap, random pages', read('touch', disk, mount, rounds=ROUNDS,
                                   count=RANDOM_READS if not forget else 20_000, **more), MAPPED,
        True)
    add('disk-cold sequential', read_cold('seq', cold_disk, cold_mount), COLD)
    add('disk-cold random 4 KiB', read_cold('rand', cold_disk, cold_mount, count=4_000), COLD, True)


def in_place(bench):
    """file://: what passes is the source's own file."""
    bench.table.section('Large files of a local source (%d MiB)' % (bench.sizes.large >> 20))
    m = bench.mount(bench.root)
    passing = machine.wait_until_it_passes(m.pid, m / LARGE, 5)
    if not passing:
        bench.table.note('nothing passes through here: the daemon reads')
    rows(bench.table, 'in place', bench.root / LARGE, m / LARGE, bench.root / MIDDLE, m / MIDDLE,
         forget=not passing)
    m.unmount_and_wait_for_the_daemon()


def sealed(bench, m, name, demanded, wait_s=20):
    """S3, all of it in the cache."""
    for path in (LARGE, MIDDLE):
        machine.warm(m / path)
    passing = machine.wait_until_it_passes(m.pid, m / LARGE, wait_s)
    if passing:
        passing = machine.wait_until_it_passes(m.pid, m / MIDDLE, wait_s)
    if demanded and not passing:
        bench.table.note('nothing passes through here: the daemon reads')
    large, middle = (machine.cached_file(m.cache, os.stat(m / p).st_size) for p in (LARGE, MIDDLE))
    rows(bench.table, name, large, m / LARGE, middle, m / MIDDLE, demanded, forget=not passing)
    if not passing:
        again = read('seq', large, m / LARGE, rounds=ROUNDS)
        bench.table.row('%s: again, from the kernel\'s pages' % name,
                        '%s MiB/s' % format(again.mib_s(1), ',.0f'),
                        'disk %s' % format(again.mib_s(0), ',.0f'), again.ratio(1))


def cached(bench):
    """Objects of S3 that are sealed; and the same where the kernel must not read them itself."""
    bench.table.section('Large objects of S3, cached')
    m = bench.mount_s3()
    sealed(bench, m, 'sealed', True)
    m.unmount_and_wait_for_the_daemon()
    bench.table.section('The same without passthrough')
    off = bench.mount_s3(cache=m.cache, passthrough=False)
    sealed(bench, off, 'off', False, 0)
    off.unmount_and_wait_for_the_daemon()
