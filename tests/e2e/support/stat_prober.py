#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Stats the files below a directory in turn until its standard input ends, and prints how many and the
99th percentile in ms. Prints `ready` when all of them are known. usage: stat_prober.py DIR
"""
import os
import select
import sys
import time

paths = [os.path.join(where, n) for where, _, names in os.walk(sys.argv[1]) for n in names]
for path in paths:
    os.stat(path)
print('ready', flush=True)
took = []
while not select.select([sys.stdin], [], [], 0)[0] or len(took) < 50:
    started = time.monotonic()
    os.stat(paths[len(took) % len(paths)])
    took.append(time.monotonic() - started)
    time.sleep(0.001)
took.sort()
print(len(took), 1000 * took[len(took) * 99 // 100])
