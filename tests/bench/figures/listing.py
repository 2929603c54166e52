# SPDX-License-Identifier: Apache-2.0
"""Directories of a large table."""
import os
import subprocess

from .lake import LISTED
from .machine import timed

TABLE = 'silver/big'


def list_all(directory):
    subprocess.run(['ls', '-lR', str(directory)], stdout=subprocess.DEVNULL, check=True)


def table(bench):
    bench.table.section('A Delta table of %s files' % format(LISTED, ','))
    m = bench.mount(bench.root)
    bench.table.row('first lookup: index made',
                    '%.0f ms' % (1000 * timed(os.stat, m / TABLE / bench.some)))
    bench.table.row('ls -lR', '%s files/s' % format(LISTED / timed(list_all, m / TABLE), ',.0f'))
    bench.table.row('ls -lR again',
                    '%s files/s' % format(LISTED / timed(list_all, m / TABLE), ',.0f'))
    cache = m.cache
    m.unmount_and_wait_for_the_daemon()
    again = bench.mount(bench.root, cache=cache)
    bench.table.row('first lookup: found again',
                    '%.1f ms' % (1000 * timed(os.stat, again / TABLE / bench.some)))
    again.unmount_and_wait_for_the_daemon()
