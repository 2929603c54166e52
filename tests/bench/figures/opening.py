# SPDX-License-Identifier: Apache-2.0
"""Opens per second of many small files: the disk, the no-op passthrough daemon, tarn."""
import contextlib
import json
import os

from support.mounts import run_tarn, wait_for

from . import machine
from .lake import SMALL, SMALL_LIVE
from .machine import peer, read

ROUNDS, OF_PEER = 7, 0.90
SEALED_S = 120
WHOLE = 1 << 20                                 # more than a small file has


def stat_below(directory):
    for entry in os.scandir(directory):
        entry.stat()
        if entry.is_dir():
            stat_below(entry.path)


def first_touch(paths, on_disk, rounds=3):
    """Every name for the first time: the kernel has no inode of a mount, and all of the disk's."""
    took = [[] for _ in paths]
    for turn in range(rounds):
        for i in range(len(paths)):
            which = (turn + i) % len(paths)
            machine.drop_caches(2)
            for directory in on_disk:
                stat_below(directory)
            once = read('open', paths[which])
            took[which].append(once.seconds[0][0])
    return machine.Rounds(once.bytes, once.ops, took)


def rows(table, names, paths, on_disk):
    """paths: disk, peer, then those that `names` names; on_disk: where their files lie."""
    stat_below(on_disk[-1])
    machine.read('open', *paths, read=WHOLE)    # everything is looked up, and in the page cache
    for what, rounds in (
            ('open, close', lambda: read('open', *paths, rounds=ROUNDS)),
            ('2 threads', lambda: read('open', *paths, rounds=ROUNDS, threads=2)),
            ('open, read all, close', lambda: read('open', *paths, rounds=ROUNDS, read=WHOLE)),
            ('first touch', lambda: first_touch(paths, on_disk))):
        done = rounds()
        table.row('peer: %s' % what, '%s opens/s' % format(done.ops_s(1), ',.0f'),
                  'disk %s' % format(done.ops_s(0), ',.0f'), done.ratio(1))
        for i, (name, demanded) in enumerate(names, 2):
            table.row('%s: %s' % (name, what), '%s opens/s' % format(done.ops_s(i), ',.0f'),
                      'disk %s' % format(done.ops_s(0), ',.0f'), done.ratio(i))
            table.row('%s: %s, beside the peer' % (name, what), '',
                      'peer %s' % format(done.ops_s(1), ',.0f'), done.ratio(i, 1),
                      OF_PEER if demanded else None)


def sealed_objects(m):
    said = run_tarn('cache', 'stat', '--json', '--cache-dir', m.cache)
    return json.loads(said.stdout)['sealed']


def small_files(bench):
    """In place, sealed in the cache, and without passthrough, all in one run."""
    bench.table.section('Opens of %s files of %s bytes' % (
        format(bench.sizes.small_files, ','), format(bench.sizes.small, ',')))
    disk = bench.root / SMALL_LIVE
    with contextlib.ExitStack() as stack:
        noop = stack.enter_context(peer(disk, bench.below / 'peer'))
        local, far = bench.mount(bench.root), bench.mount_s3(cache=bench.warm_cache)
        off = bench.mount(bench.root, passthrough=False)
        mounts = {'in place': local, 'sealed': far, 'off': off}
        machine.read('open', far / SMALL, read=WHOLE)
        wait_for(lambda: sealed_objects(far) >= bench.sizes.small_files, SEALED_S, 'all is sealed')
        some = sorted(os.listdir(disk))[-1]
        for name, m in mounts.items():
            if name != 'off' and not machine.wait_until_it_passes(m.pid, m / SMALL / some, 20):
                bench.table.note('%s: nothing passes through here' % name)
        rows(bench.table, [(name, name != 'off') for name in mounts] + [('live path', False)],
             [disk, noop, *(m / SMALL for m in mounts.values()), local / SMALL_LIVE],
             [disk, far.cache / 'objects'])
        for m in mounts.values():
            m.unmount_and_wait_for_the_daemon()
