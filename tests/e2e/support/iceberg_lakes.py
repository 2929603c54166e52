# SPDX-License-Identifier: Apache-2.0
"""
A lake with one Iceberg table by PyIceberg, silver/orders, and what each snapshot of it holds.

     0 append   1 append   2 append   3 delete of a country (files are written anew)   4 append
     5 append, after a column `note` was added
     6 append, after `country` was renamed to `nation`; the table's newest
    on the branch `audit/2024@x`, from 3 on:  7 append     tags: `v1.0` is 1, `EOY/2023` is 3
    0 has expired

Rows are those of lakes.py, partitioned by `date`. Snapshot i is dated FIRST plus i days; 7 half a day after 3.
"""
import dataclasses
import datetime
import json
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField, StringType

from .iceberg_tables import newest
from .lakes import DAY, FIRST, rows

TABLE = 'silver/orders'
BRANCH, TAGS = 'audit/2024@x', {'v1.0': 1, 'EOY/2023': 3}
NEWEST, ON_BRANCH = 6, 7
SCHEMA = Schema(NestedField(1, 'id', LongType(), required=False), NestedField(2, 'amount', LongType(), required=False),
                NestedField(3, 'country', StringType(), required=False),
                NestedField(4, 'date', StringType(), required=False))
BY_DATE = PartitionSpec(PartitionField(4, 1000, IdentityTransform(), 'date'))


@dataclasses.dataclass
class Snapshot:
    id: int
    rows: int
    total: int                                  # sum of the column `amount`
    files: dict                                 # path below the table: size
    columns: list
    time: datetime.datetime


@dataclasses.dataclass
class Lake:
    root: Path
    url: str                                    # of the root, as the table's metadata has it
    catalog: SqlCatalog
    snapshots: list                             # of them the first one has expired

    @property
    def path(self):
        return self.root / TABLE

    def table(self):
        return self.catalog.load_table(('n', 'orders'))

    def id(self, number):
        return self.snapshots[number].id

    def at(self, number):
        """TABLE@ID"""
        return '%s@%d' % (TABLE, self.id(number))


def spelled(ref):
    return ref.replace('%', '%25').replace('/', '%2F').replace('@', '%40')


def note(t):
    return t.append_column('note', pa.array(['n%d' % i for i in t['id'].to_pylist()]))


def nation(t):
    return t.rename_columns(['nation' if n == 'country' else n for n in t.schema.names])


def catalog(root, **more):
    c = SqlCatalog('c', uri='sqlite:///%s' % (Path(root).parent / (Path(root).name + '.db')), warehouse='file://%s' % root,
                   **more)
    c.create_namespace_if_not_exists('n')
    return c


def make(root, url=None, more=None, properties=None):
    """Makes it in a directory that is not there yet; url, more: in a bucket, by these properties of a catalog."""
    root = Path(root)
    root.mkdir(parents=True)
    url = url or 'file://%s' % root
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        c = catalog(root, **(more or {}))
        t = c.create_table(('n', 'orders'), SCHEMA, location='%s/%s' % (url, TABLE), partition_spec=BY_DATE,
                           properties={'write.object-storage.enabled': 'false', **(properties or {})})
        for i in range(3):
            t.append(rows(120 * i, 120))
        t.delete("country == 'PL'")
        deleted = t.current_snapshot().snapshot_id
        t.manage_snapshots().create_branch(deleted, BRANCH).commit()
        t.append(rows(3000, 60))
        with t.update_schema() as update:
            update.add_column('note', StringType())
        t.append(note(rows(4000, 30)))
        with t.update_schema() as update:
            update.rename_column('country', 'nation')
        t.append(nation(note(rows(5000, 30))))
        t.append(nation(note(rows(7000, 9))), branch=BRANCH)
    lake = Lake(root, url, c, [])
    for i, s in enumerate(t.snapshots()):
        lake.snapshots.append(describe(t, s, FIRST + (i * DAY if i != ON_BRANCH else 3.5 * DAY)))
    for name, number in TAGS.items():
        t.manage_snapshots().create_tag(lake.id(number), name).commit()
    t.maintenance.expire_snapshots().by_id(lake.id(0)).commit()
    if url.startswith('file:'):
        date(lake)
    return lake


def describe(table, snapshot, when):
    scan = table.scan(snapshot_id=snapshot.snapshot_id)
    data, base = scan.to_arrow(), table.location().rstrip('/') + '/'
    return Snapshot(snapshot.snapshot_id, data.num_rows, pc.sum(data['amount']).as_py(),
                    {t.file.file_path.removeprefix(base): t.file.file_size_in_bytes for t in scan.plan_files()},
                    data.schema.names, when)


def date(lake):
    """Dates the snapshots, as if they had been made on these days."""
    path = newest(lake.path)
    told = json.loads(path.read_text())
    times = {s.id: int(s.time.timestamp()) * 1000 + s.time.microsecond // 1000 for s in lake.snapshots}
    for entry in told['snapshots'] + told['snapshot-log']:
        entry['timestamp-ms'] = times.get(entry['snapshot-id'], entry['timestamp-ms'])
    # as Java's expire leaves it: nothing of before the oldest snapshot that is there
    told['snapshot-log'] = [e for e in told['snapshot-log'] if e['snapshot-id'] != lake.id(0)]
    told['last-updated-ms'] = max(times.values())
    path.write_text(json.dumps(told))
