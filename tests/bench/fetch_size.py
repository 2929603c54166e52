#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
How much to fetch at once where a small read finds nothing cached: what FETCH_RANDOM_BYTES of
base/limits.h was chosen by.

usage: fetch_size.py [--quick] [--delay S] [--rate BYTES] [KIB ...]

Builds tarn with each size, below build/fetch-KIB, and reads through a proxy that takes 15 ms to a first
byte and gives 90 MB/s to a connection, as object stores do. For each load: how fast, and how many
bytes came over the wire for a byte that was needed. As root, after `make bench-tools`.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
ROOT = TESTS.parent
sys.path[:0] = [str(TESTS), str(TESTS / 'e2e'), str(TESTS / 'bench')]

from figures import lake, machine, network                             # noqa: E402
from figures.setting import Bench                                      # noqa: E402
from support import mounts                                             # noqa: E402

KNOB, LAYERS = 'FETCH_RANDOM_BYTES', ('base', 'cache', 'lake', 'fs', 'tools')
SIZES = lake.Sizes(large=1 << 30, middle=256 << 20, small_files=200)
DELAY_S, RATE = 0.015, 90_000_000


def build(kib):
    """The binary with this size. Only what names the knob is compiled anew."""
    users = subprocess.run(['grep', '-rlw', '--include=*.c', KNOB, *LAYERS], cwd=ROOT,
                           stdout=subprocess.PIPE, text=True, check=False).stdout.split()
    assert users, 'nothing below %s uses %s' % (ROOT, KNOB)
    to = ROOT / 'build' / ('fetch-%d' % kib)
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    shutil.copytree(ROOT / 'build' / 'obj', to / 'obj', copy_function=shutil.copy2)
    below = to.relative_to(ROOT)
    words = ['make', '-s', '-j2', 'BUILD=%s' % below, 'CFLAGS=-D%s=%d' % (KNOB, kib << 10)]
    for user in users:
        words += ['-W', user]
    subprocess.run([*words, str(below / 'tarn')], cwd=ROOT, check=True, timeout=600,
                   stdout=subprocess.DEVNULL)
    return to / 'tarn'


def loads(bench):
    """[(what, load, bytes needed)]"""
    middle = bench.sizes.middle
    return network.wire_loads(bench)[:3] + [
        ('sequential, 16 KiB a read',
         lambda m: machine.read('seq', m / lake.MIDDLE, block=16 << 10), middle),
        ('random 4 KiB, 8 threads', lambda m: network.random_threads(m, 8),
         8 * network.RANDOM_READS // 4 * 4096)]


def measure(bench, proxy, kib):
    mounts.TARN = build(kib)
    for what, load, needed in loads(bench):
        sent, requests, seconds = network.measure_wire(bench, proxy, load)
        print('%6d KiB  %-40s %8.2f s %9.2f MB/s  %6d requests  %7.2f on the wire' % (
            kib, what, seconds, needed / seconds / 1e6, requests, sent / needed), flush=True)


def main():
    p = argparse.ArgumentParser(description='Measures how much to fetch at once.')
    p.add_argument('--quick', action='store_true')
    p.add_argument('--delay', type=float, default=DELAY_S)
    p.add_argument('--rate', type=int, default=RATE)
    p.add_argument('kib', nargs='*', type=int, default=[64, 128, 256, 512, 1024])
    opt = p.parse_args()
    print('%d CPUs; %g ms to the first byte, %.0f MB/s a connection' % (
        os.cpu_count(), opt.delay * 1000, opt.rate / 1e6))
    with tempfile.TemporaryDirectory(prefix='tarn-fetch') as where:
        with Bench(where, lake.QUICK if opt.quick else SIZES) as bench:
            with bench.proxied(delay=opt.delay, rate=opt.rate) as proxy:
                for kib in opt.kib:
                    measure(bench, proxy, kib)


if __name__ == '__main__':
    main()
