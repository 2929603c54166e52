#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Opens every STEP-th file of a directory from the FIRST one on, reads a page of each, says how many it
holds, and holds them until its standard input ends.

usage: holder.py DIRECTORY FIRST STEP
"""
import os
import resource
import sys


def main():
    directory, first, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = []
    try:
        for name in sorted(os.listdir(directory))[first::step]:
            held.append(os.open(os.path.join(directory, name), os.O_RDONLY))
            assert len(os.pread(held[-1], 4096, 0)) == 4096, name
    except OSError as e:
        print(e, file=sys.stderr)               # what is held stays so
    print(len(held), flush=True)
    sys.stdin.read()


if __name__ == '__main__':
    main()
