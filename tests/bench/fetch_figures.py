#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A table of figures of cold reads from an object store, each with what it is compared with measured
in the same run: raw GETs (raw_get.c), and the mounts of others that tests/tools/peers.sh installs.

usage: fetch_figures.py [--quick] [--first] [--peers NAME,... | --no-peers] [SECTION ...]

S3P: a network with 15 ms to the first byte, 90 MB/s a connection, 1 % of requests five times slower
(tests/fake/faults.py). The status is 1 when a demand is missed. As root, for passthrough. --quick
takes small files and a minute. --first runs all of it before everything else on the machine.
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / 'e2e'), str(TESTS / 'bench')]

from figures import fetch, fetch_lake                                  # noqa: E402


def main():
    p = argparse.ArgumentParser(description='Figures of cold reads beside raw GETs and peers.')
    p.add_argument('--quick', action='store_true')
    p.add_argument('--first', action='store_true')
    p.add_argument('--peers', type=lambda text: text.split(','), metavar='NAME,...')
    p.add_argument('--no-peers', dest='peers', action='store_const', const=[])
    p.add_argument('sections', nargs='*', metavar='SECTION', help=' '.join(fetch.SECTIONS))
    opt = p.parse_args()
    unknown = set(opt.sections) - set(fetch.SECTIONS)
    if unknown:
        p.error('no section %s; there are %s' % (', '.join(unknown), ' '.join(fetch.SECTIONS)))
    if opt.first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    print('%d CPUs, kernel %s' % (os.cpu_count(), os.uname().release))
    sizes = fetch_lake.QUICK if opt.quick else fetch_lake.Sizes()
    with tempfile.TemporaryDirectory(prefix='tarn-bench') as where:
        with fetch_lake.Bench(where, sizes, opt.peers) as bench:
            print('peers: %s' % (', '.join(bench.installed) or 'none'))
            bench.part = fetch.part_of(bench)
            for name, measure in fetch.SECTIONS.items():
                if not opt.sections or name in opt.sections:
                    measure(bench)
        return 0 if bench.table.end() else 1


if __name__ == '__main__':
    sys.exit(main())
