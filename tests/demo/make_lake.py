#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Makes a small lake of real Delta tables, written by the deltalake package.

usage: make_lake.py DIR             the lake: bronze, silver and gold
       make_lake.py DIR --commit    one more commit of silver/orders: all prices doubled
"""
import argparse
import datetime
import os
import random
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

DAYS = ['2025-03-01', '2025-03-02', '2025-03-03']
FIRST = datetime.datetime(2025, 3, 1, 9, 30, tzinfo=datetime.timezone.utc)


# The commits are dated back: without this the writer's clean-up might delete them.
KEPT = {'delta.enableExpiredLogCleanup': 'false'}


def orders(first, count, price=1):
    ids = list(range(first, first + count))
    return pa.table({
        'order_id': pa.array(ids, pa.int64()),
        'customer': pa.array(['customer-%03d' % (i * 37 % 200) for i in ids]),
        'price_cents': pa.array([(i * 131 % 9000 + 100) * price for i in ids], pa.int64()),
        'date': pa.array([DAYS[i % len(DAYS)] for i in ids]),
    })


def date_commits(table):
    """Version v was committed v days after the first: a log file's time is its commit's."""
    log = Path(table) / '_delta_log'
    for version in range(DeltaTable(table).version() + 1):
        when = (FIRST + datetime.timedelta(days=version)).timestamp()
        os.utime(log / ('%020d.json' % version), (when, when))


def make_bronze(lake):
    clicks = lake / 'bronze' / 'clicks' / '2025-03-01'
    clicks.mkdir(parents=True)
    for hour in range(3):
        lines = ['{"user": %d, "page": "/p/%d"}\n' % (i * 7 % 50, i % 9) for i in range(200)]
        (clicks / ('hour-%02d.json' % hour)).write_text(''.join(lines))
    photos = lake / 'bronze' / 'photos'
    photos.mkdir()
    chance = random.Random(1)
    for i in range(4):
        (photos / ('photo-%d.jpg' % i)).write_bytes(b'\xff\xd8\xff\xe0' + chance.randbytes(150_000))


def make_silver(lake):
    table = lake / 'silver' / 'orders'
    write_deltalake(table, orders(0, 3000), partition_by=['date'], configuration=KEPT)  # version 0
    write_deltalake(table, orders(3000, 1500), mode='append')                     # version 1
    DeltaTable(table).delete("date = '2025-03-02'")                               # version 2
    write_deltalake(table, orders(0, 1200, price=3), mode='overwrite')            # version 3
    date_commits(table)


def make_gold(lake):
    table = lake / 'gold' / 'daily'
    write_deltalake(table, pa.table({'date': DAYS, 'revenue_cents': pa.array([101, 202, 303], pa.int64())}))
    date_commits(table)


def main():
    p = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    p.add_argument('lake', metavar='DIR', type=Path)
    p.add_argument('--commit', action='store_true', help='add one commit to silver/orders')
    opt = p.parse_args()
    if opt.commit:
        write_deltalake(opt.lake / 'silver' / 'orders', orders(0, 1200, price=6), mode='overwrite')
        return
    make_bronze(opt.lake)
    make_silver(opt.lake)
    make_gold(opt.lake)


if __name__ == '__main__':
    main()
