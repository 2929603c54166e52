#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A table of 100 columns, five of them hidden from a role: its cold reads from an object store beside
those of a role that sees all of it, and its warm ones beside the same file on the disk.

usage: views_figures.py [--quick] [--first]

Cold rates are of the bytes that the role may see. The status is 1 when a demand is missed. As root,
for passthrough. --first runs all of it before everything else on the machine.
"""
import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / 'e2e'), str(TESTS / 'bench')]

from figures import machine                                            # noqa: E402
from figures.fetch_lake import COLUMNS, write_wide                     # noqa: E402
from figures.machine import read                                       # noqa: E402
from figures.setting import link_tree                                  # noqa: E402
from figures.table import Table                                        # noqa: E402
from support import presented_tables, s3 as s3_support                 # noqa: E402
from support.mounts import Mounter                                     # noqa: E402

TABLE, BUCKET, WATCHDOG_S = 'silver/wide', 'lake', 1800
HIDDEN = ['c05', 'c25', 'c45', 'c65', 'c85']
GRANTS = {'whole': {}, 'view': {'hide': HIDDEN}}
COLD, WARM = 0.95, 0.90                         # what is demanded of the ratio


class Bench:
    """`below` is a new directory. Use as a context: everything is unmounted at its end."""

    def __init__(self, below, files, rounds):
        self.below, self.files, self.rounds, self.table = Path(below), files, rounds, Table()
        self.root, self.policy = self.below / 'lake', self.below / 'policy.yaml'

    def __enter__(self):
        write_wide(self.root / TABLE, self.files, random.Random(5))
        adds = [{'path': p.name, 'size': p.stat().st_size} for p in sorted((self.root / TABLE).iterdir())]
        self.bytes = sum(a['size'] for a in adds)
        presented_tables.write_log(
            self.root / TABLE, [presented_tables.field('c%02d' % c, 'long') for c in range(COLUMNS)],
            adds, ['deletionVectors'], {})
        self.policy.write_text(json.dumps({'grants': [
            dict({'to': ['role:' + r], 'tables': [TABLE]}, **g) for r, g in GRANTS.items()]}))
        self.server = s3_support.Server(self.below)
        self.server.make_bucket(BUCKET)
        link_tree(self.root, self.server.root / BUCKET)
        os.sync()
        self.mounter = Mounter(self.below / 'mounts', WATCHDOG_S)
        return self

    def __exit__(self, *_):
        self.mounter.end()
        self.server.stop()

    def mount(self, role):
        """With nothing cached; what the last one had is gone."""
        for old in self.mounter.below.glob('cache*'):
            shutil.rmtree(old)
        return self.mounter('s3://' + BUCKET, env=self.server.env, endpoint_url=self.server.url,
                            policy=self.policy, **{'as': role})

    def paths(self, m):
        return sorted((m / (TABLE + '@0')).iterdir())


def cold(bench):
    bench.table.section('Cold, %d MiB, 5 of 100 columns hidden' % (bench.bytes >> 20))
    seconds, may = {r: [] for r in GRANTS}, {'whole': 1.0, 'view': 1 - len(HIDDEN) / COLUMNS}
    for _ in range(bench.rounds):
        for role, took in seconds.items():
            m = bench.mount(role)
            paths = bench.paths(m)
            took.append(sum(read('seq', p).seconds[0][0] for p in paths))
            m.unmount_and_wait_for_the_daemon()
    rate = {r: bench.bytes * may[r] / min(took) / (1 << 20) for r, took in seconds.items()}
    ratio = statistics.median(w / v * may['view'] for w, v in zip(seconds['whole'], seconds['view']))
    bench.table.row('cold sequential', '%.0f MiB/s' % rate['view'], 'all columns %.0f' % rate['whole'],
                    ratio, COLD)


def warm(bench):
    bench.table.section('Warm')
    m = bench.mount('view')
    path = bench.paths(m)[0]
    machine.warm(path)
    passing = machine.wait_until_it_passes(m.pid, path, 60)
    if not passing:
        bench.table.note('nothing passes through here: the daemon reads')
    disk = bench.below / 'copy.parquet'
    shutil.copyfile(path, disk)
    machine.warm(disk)
    for what, mode, more in (('sequential', 'seq', {}), ('random 4 KiB', 'rand', {'count': 300_000}),
                             ('mmap, all of it', 'mmap', {})):
        rounds = read(mode, disk, path, rounds=9, **more)
        bench.table.row('warm %s' % what, '%.0f MiB/s' % rounds.mib_s(1), 'disk %.0f' % rounds.mib_s(0),
                        rounds.ratio(1), WARM)
    m.unmount_and_wait_for_the_daemon()


def main():
    p = argparse.ArgumentParser(description='Figures of a view beside the whole table.')
    p.add_argument('--quick', action='store_true')
    p.add_argument('--first', action='store_true')
    opt = p.parse_args()
    if opt.first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    print('%d CPUs, kernel %s' % (os.cpu_count(), os.uname().release))
    with tempfile.TemporaryDirectory(prefix='tarn-bench') as where:
        with Bench(where, 1 if opt.quick else 4, 2 if opt.quick else 5) as bench:
            cold(bench)
            warm(bench)
            return 0 if bench.table.end() else 1


if __name__ == '__main__':
    sys.exit(main())
