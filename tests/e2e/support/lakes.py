# SPDX-License-Identifier: Apache-2.0
"""
A lake of real Delta tables, with what each version must hold.

    bronze/events/      raw JSON files, no table format
    bronze/images/      blobs, some of them larger than a block
    silver/orders/      12 versions: appends, a delete, an overwrite, a checkpoint, a compaction
    silver/eu/fr/clients/   a table three levels down
    gold/daily/         partitioned by date

Commit v of every table is dated FIRST plus v days: a log file's modification time is its time.
"""
import dataclasses
import datetime
import os
import random
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

FIRST = datetime.datetime(2024, 3, 1, 9, 30, 0, 123000, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
# The commits are dated years back: without this the writer's clean-up would delete them.
KEPT = {'delta.enableExpiredLogCleanup': 'false', 'delta.logRetentionDuration': 'interval 36500 days'}
DATES = ('2024-02-01', '2024-02-02', '2024-02-03')


@dataclasses.dataclass
class Version:
    """What the deltalake package says of one version."""
    number: int
    rows: int
    total: int                                  # sum of the column `amount`
    files: dict                                 # path below the table: size
    time: datetime.datetime


@dataclasses.dataclass
class Lake:
    root: Path
    tables: dict                                # path below root: [Version, ...]

    def versions(self, table):
        return self.tables[table]

    def __truediv__(self, below):
        return self.root / below


def log_file(table, version):
    return Path(table) / '_delta_log' / ('%020d.json' % version)


def set_commit_time(table, version, when):
    stamp = int(when.timestamp()) * 10 ** 9 + when.microsecond * 1000
    os.utime(log_file(table, version), ns=(stamp, stamp))


def rows(first, count, dates=DATES):
    """Rows whose values follow from their ids; every sum is exact."""
    ids = range(first, first + count)
    return pa.table({
        'id': pa.array(ids, pa.int64()),
        'amount': pa.array([i * 7 % 1000 + 1 for i in ids], pa.int64()),
        'country': pa.array([('FR', 'DE', 'PL', 'IT')[i % 4] for i in ids]),
        'date': pa.array([dates[i % len(dates)] for i in ids]),
    })


def describe(table):
    """All versions of a table on disk, by the deltalake package."""
    found = []
    for number in range(DeltaTable(table).version() + 1):
        t = DeltaTable(table, version=number)
        data = t.to_pyarrow_table(columns=['amount'])
        adds = pa.table(t.get_add_actions(flatten=True))
        when = log_file(table, number).stat().st_mtime_ns // 10 ** 6
        found.append(Version(
            number, data.num_rows, sum(data['amount'].to_pylist()),
            dict(zip(adds['path'].to_pylist(), adds['size_bytes'].to_pylist())),
            datetime.datetime.fromtimestamp(when // 1000, datetime.timezone.utc)
            + datetime.timedelta(milliseconds=when % 1000)))
    return found


def finish(table):
    """Dates the commits, and says what the versions hold."""
    for number in range(DeltaTable(table).version() + 1):
        set_commit_time(table, number, FIRST + number * DAY)
    return describe(table)


def make_orders(table):
    write_deltalake(table, rows(0, 120), partition_by=['date'], configuration=KEPT)      # 0
    for step in range(1, 4):
        write_deltalake(table, rows(step * 120, 120), mode='append')                     # 1 to 3
    DeltaTable(table).delete("country = 'PL' AND date = '2024-02-02'")                   # 4
    for step in range(5, 8):
        write_deltalake(table, rows(step * 120, 60, DATES[:2]), mode='append')           # 5 to 7
    write_deltalake(table, rows(5000, 90), mode='overwrite')                             # 8
    for step in range(9, 11):
        write_deltalake(table, rows(step * 1000, 30), mode='append')                     # 9, 10
    DeltaTable(table).create_checkpoint()
    DeltaTable(table).optimize.compact()                                                 # 11
    return finish(table)


def make_bronze(root):
    chance = random.Random(7)
    events = root / 'bronze' / 'events' / '2024' / '02'
    events.mkdir(parents=True)
    for i in range(10):
        (events / ('%02d.json' % i)).write_text('{"event": %d, "value": %d}\n' % (i, i * i))
    images = root / 'bronze' / 'images'
    images.mkdir()
    for i, size in enumerate((0, 1, 4096, 70000, (1 << 20), (1 << 20) + 1, (5 << 20) + 12345)):
        (images / ('image-%d.bin' % i)).write_bytes(chance.randbytes(size))
    for where, _, names in os.walk(root / 'bronze'):
        for name in names:
            os.utime(os.path.join(where, name), (FIRST.timestamp(), FIRST.timestamp()))


def make(root):
    """Makes the lake in a directory that does not exist yet."""
    root = Path(root)
    root.mkdir(parents=True)
    make_bronze(root)
    tables = {'silver/orders': make_orders(root / 'silver' / 'orders')}
    clients = root / 'silver' / 'eu' / 'fr' / 'clients'
    write_deltalake(clients, rows(0, 20), configuration=KEPT)
    write_deltalake(clients, rows(20, 20), mode='append')
    tables['silver/eu/fr/clients'] = finish(clients)
    daily = root / 'gold' / 'daily'
    for step in range(3):
        write_deltalake(daily, rows(step * 10, 10), mode='append', partition_by=['date'],
                        configuration=None if step else KEPT)
    tables['gold/daily'] = finish(daily)
    return Lake(root, tables)


def tree(path):
    """{relative path: size} of all files below a directory; directories that are empty fail."""
    found = {}

    def fail(error):
        raise error

    for where, below, names in os.walk(path, onerror=fail):
        assert below or names or where == str(path), 'an empty directory: ' + where
        for name in names:
            full = os.path.join(where, name)
            found[os.path.relpath(full, path)] = os.stat(full).st_size
    return found


def reference(lake, table, version, to):
    """Builds a plain directory that a snapshot must equal: links to the data files."""
    to = Path(to)
    for name in lake.versions(table)[version].files:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(lake / table / name, to / name)
    return to
