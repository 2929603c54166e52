#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Changes a Delta table every 100 ms until it is told to stop (its standard input ends): appends,
overwrites, compacts. Before each commit `version sum` of what it will be goes to LOG.
usage: live_writer.py TABLE LOG
"""
import itertools
import os
import select
import sys
import time

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

PERIOD_S = 0.1


def rows(first, count):
    return pa.table({'id': pa.array(range(first, first + count), pa.int64()),
                     'amount': pa.array([i * 13 % 997 + 1 for i in range(first, first + count)],
                                        pa.int64())})


def total(data):
    return sum(data['amount'].to_pylist())


def say(log, version, value):
    os.write(log, b'%d %d\n' % (version, value))


def main():
    table, log = sys.argv[1], os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    data = rows(0, 500)
    say(log, 0, total(data))
    write_deltalake(table, data)
    value, version, first = total(data), 0, 500
    print('ready', flush=True)
    for step in itertools.count():
        due = time.monotonic() + PERIOD_S
        if step % 10 == 9:
            say(log, version + 1, value)
            DeltaTable(table).optimize.compact()
        else:
            overwrite = step % 10 == 4
            data = rows(first, 200 if overwrite else 50)
            first += data.num_rows
            value = total(data) + (0 if overwrite else value)
            say(log, version + 1, value)
            write_deltalake(table, data, mode='overwrite' if overwrite else 'append')
        version = DeltaTable(table).version()
        if select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
            return


if __name__ == '__main__':
    main()
    os._exit(0)                                 # the writers' own threads may not end cleanly
