#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A table of figures of a mount, each with what it is compared with measured in the same run.

usage: mount_figures.py [--quick] [--first] [SECTION ...]

Figures are those of the best round; a ratio is the median over rounds that have both sides next
to each other. The status is 1 when a demand is missed. As root: caches are dropped, memory cgroups
are made. --quick takes small files (to try the program; its ratios mean little). --first runs all
of it before everything else on the machine (SCHED_RR), where others work on the same CPUs.
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / 'e2e'), str(TESTS / 'bench')]

from figures import lake, listing, memory, network, opening, reading   # noqa: E402
from figures.setting import Bench                                      # noqa: E402

SECTIONS = {
    'local': reading.in_place,
    'cached': reading.cached,
    'opens': opening.small_files,
    'cold': network.cold,
    'shared': network.shared,
    'wire': network.wire,
    'memory': memory.anonymous,
    'listing': listing.table,
}


def main():
    p = argparse.ArgumentParser(description='Figures of a mount beside those of the disk.')
    p.add_argument('--quick', action='store_true')
    p.add_argument('--first', action='store_true')
    p.add_argument('sections', nargs='*', metavar='SECTION', help=' '.join(SECTIONS))
    opt = p.parse_args()
    unknown = set(opt.sections) - set(SECTIONS)
    if unknown:
        p.error('no section %s; there are %s' % (', '.join(unknown), ' '.join(SECTIONS)))
    if opt.first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    print('%d CPUs, kernel %s' % (os.cpu_count(), os.uname().release))
    with tempfile.TemporaryDirectory(prefix='tarn-bench') as where:
        with Bench(where, lake.QUICK if opt.quick else lake.Sizes()) as bench:
            for name, measure in SECTIONS.items():
                if not opt.sections or name in opt.sections:
                    measure(bench)
        return 0 if bench.table.end() else 1


if __name__ == '__main__':
    sys.exit(main())
