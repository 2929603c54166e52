# SPDX-License-Identifier: Apache-2.0
"""
Rows that Iceberg's delete files take out: equality deletes, position deletes and both, by plain Parquet readers
at every snapshot, against a model that applies the specification's rules to the rows as they were written.
"""
import collections
import datetime
import json
import os
import subprocess
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import (BinaryType, DateType, DecimalType, IntegerType, LongType, NestedField, StringType, StructType,
                             TimestampType)

from support import iceberg_lakes
from support.iceberg_deletes import Deletes, added_files
from support.mounts import wait_for
from support.places import PATIENCE_S

DAY = datetime.date(2026, 3, 1)
NOON = datetime.datetime(2026, 3, 1, 12)
FIELDS = [NestedField(1, 'id', IntegerType(), required=False), NestedField(2, 'name', StringType(), required=False),
          NestedField(3, 'day', DateType(), required=False), NestedField(4, 'price', DecimalType(9, 2), required=False),
          NestedField(5, 'raw', BinaryType(), required=False), NestedField(6, 'at', TimestampType(), required=False),
          NestedField(7, 'place', StructType(NestedField(9, 'city', StringType(), required=False),
                                             NestedField(10, 'zone', IntegerType(), required=False)), required=False),
          NestedField(8, 'region', StringType(), required=False)]
BY_REGION = PartitionSpec(PartitionField(8, 1000, IdentityTransform(), 'region'))


def some(chance, what):
    """A value of few, so that tuples meet several rows; null now and then."""
    values = {'id': range(8), 'name': ['', 'a', 'b', 'ä'], 'day': [DAY + datetime.timedelta(days=i) for i in range(3)],
              'price': [None, '0.00', '1.50', '-2.25'], 'raw': [b'', b'\0', b'x'], 'region': ['EU', 'US'],
              'at': [NOON + datetime.timedelta(microseconds=i) for i in range(3)], 'later': range(3), 'city': ['P', 'Q'],
              'zone': [1, 2]}[what]
    if what != 'region' and chance.random() < 0.2:
        return None
    value = chance.choice(list(values))
    return pa.scalar(value).cast(pa.decimal128(9, 2)).as_py() if what == 'price' and value else value


class Table:
    """A table, and all rows that were ever written to it, by field id."""

    def __init__(self, root, name, chance, spec=None):
        self.chance = chance
        self.table = iceberg_lakes.catalog(root).create_table(
            ('n', name), Schema(*FIELDS), location='file://%s/%s' % (root, name), partition_spec=spec or PartitionSpec(),
            properties={'write.object-storage.enabled': 'false'})
        self.path = root / name
        self.files = []                                     # (sequence, path, partition, [row by field id, or None])
        self.snapshots = {}                                 # id: rows by name, as the schema of then has them

    def leaves(self):
        """Columns of values: (field ids, their names below structs)."""
        out = {}
        for f in self.table.schema().fields:
            for g in f.field_type.fields if f.field_type.is_struct else [f]:
                out[g.field_id] = g.name
        return out

    def value(self, row, field):
        if field.field_type.is_struct:
            inner = {g.name: row.get(g.field_id) for g in field.field_type.fields}
            return inner if row.get(field.field_id) else None
        return row.get(field.field_id)

    def shown(self):
        fields = self.table.schema().fields
        return [tuple((f.name, repr(self.value(r, f))) for f in fields) for *_, rows in self.files for r in rows if r]

    def done(self):
        self.snapshots[self.table.current_snapshot().snapshot_id] = collections.Counter(self.shown())

    def row(self):
        row = {i: some(self.chance, self.source(i)) for i in self.leaves()}
        row[7] = self.chance.random() < 0.8                 # whether the struct is there
        return row if row[7] else {**row, 9: None, 10: None}

    @staticmethod
    def source(i):
        """What the column was called first."""
        return {1: 'id', 2: 'name', 3: 'day', 4: 'price', 5: 'raw', 6: 'at', 8: 'region', 9: 'city', 10: 'zone'}.get(i, 'later')

    def append(self, count=20):
        rows = [self.row() for _ in range(count)]
        schema = self.table.schema()
        arrow = schema.as_arrow()
        self.table.append(pa.table([pa.array([self.value(r, f) for r in rows], arrow.field(f.name).type)
                                    for f in schema.fields], schema=arrow))
        sequence = self.table.current_snapshot().sequence_number
        added = added_files(self.table)
        for path, partition in added:                       # PyIceberg keeps the order of rows within a partition
            mine = [r for r in rows if not partition or r[8] == partition[0]]
            self.files.append((sequence, path, list(partition._data), mine))
        assert sum(len(f[3]) for f in self.files[-len(added):]) == count
        self.done()

    def delete_equal(self, ids, tuples, format='parquet', region=None):
        d = Deletes(self.table)
        partition = next((f for f in [p for _, p in added_partitions(self)] if f and f[0] == region), None) if region else None
        leaves = [i for i in self.order(ids)]
        d.equality(ids, [self.nested(leaves, t) for t in tuples], format, partition,
                   None if partition or not self.table.spec().fields else PartitionSpec(spec_id=self.unpartitioned()))
        d.commit()
        sequence = self.table.current_snapshot().sequence_number
        gone = {tuple(t) for t in tuples}
        for of, _, where, rows in self.files:
            if of < sequence and (not region or where == [region]):
                rows[:] = [None if r and tuple(r.get(i) for i in leaves) in gone else r for r in rows]
        self.done()

    def order(self, ids):
        """As a delete file has them: by the newest schema that has all."""
        for schema in reversed(sorted(self.table.schemas().values(), key=lambda s: s.schema_id)):
            leaves = [g.field_id for f in schema.fields for g in (f.field_type.fields if f.field_type.is_struct else [f])]
            if set(ids) <= set(leaves):
                return [i for i in leaves if i in ids]
        raise KeyError(ids)

    def nested(self, leaves, values):
        """Top-level values of a tuple of leaves: 9 and 10 are in a struct."""
        out, place = [], {}
        for i, v in zip(leaves, values):
            if i in (9, 10):
                if not place:
                    out.append(place)
                place[{9: 'city', 10: 'zone'}[i]] = v
            else:
                out.append(v)
        return [Place(v) if isinstance(v, dict) else v for v in out]

    def unpartitioned(self):
        return next(s.spec_id for s in self.table.specs().values() if not s.fields)

    def delete_rows(self, count, format='parquet'):
        d = Deletes(self.table)
        some_rows = [(f, i) for f in self.files for i in range(len(f[3]))]
        for region in {tuple(f[2]) for f in self.files}:
            chosen = self.chance.sample([s for s in some_rows if tuple(s[0][2]) == region], count)
            partition = next((p for _, p in added_partitions(self) if list(p._data) == list(region)), None)
            d.positions(sorted((f[1], i) for f, i in chosen), format, partition)
            for f, i in chosen:
                f[3][i] = None
        d.commit()
        self.done()


class Place(dict):
    """A struct: by name for Arrow, by position for Avro."""

    def __getitem__(self, i):
        return list(self.values())[i] if isinstance(i, int) else super().__getitem__(i)


def added_partitions(t):
    return [(e.data_file.file_path, e.data_file.partition) for m in t.table.current_snapshot().manifests(t.table.io)
            if m.content == 0 for e in m.fetch_manifest_entry(t.table.io)]


def rows_below(path):
    out = collections.Counter()
    for f in Path(path).rglob('*.parquet'):
        data = pq.read_table(f, partitioning=None)
        for r in data.to_pylist():
            out[tuple((n, repr(r[n])) for n in data.schema.names)] += 1
    return out


def check(m, t):
    for snapshot, wanted in t.snapshots.items():
        assert rows_below(m / ('%s@%d' % (t.path.name, snapshot))) == wanted, snapshot
    assert rows_below(m / t.path.name) == list(t.snapshots.values())[-1]


@pytest.fixture
def root(tmp_path):
    warnings.simplefilter('ignore')
    (tmp_path / 'lake').mkdir()
    return tmp_path / 'lake'


def said(m):
    return ''.join(p.read_text(errors='replace') for p in [m.log, m.cache / 'tarn.log'] if p.is_file())


@pytest.mark.parametrize('format', ['parquet', 'avro'])
@pytest.mark.parametrize('ids', [[1], [2], [3], [4], [5], [6], [9], [1, 2], [2, 9, 10], [1, 2, 3, 4, 5, 6]])
def test_rows_that_have_such_values_are_gone(mount, root, chance, ids, format):
    """Of each type, null like null; rows that are written later stay."""
    t = Table(root, 't', chance)
    t.append(60)
    names = t.order(ids)
    tuples = [[r[i] for i in names] for r in chance.sample(t.files[0][3], 4)]
    tuples += [[some(chance, t.source(i)) for i in names] for _ in range(4)]
    t.delete_equal(ids, tuples, format)
    t.append(60)
    check(mount(root), t)


@pytest.mark.parametrize('format', ['parquet', 'avro'])
def test_rows_that_are_named_by_their_places_are_gone(mount, root, chance, format):
    """One file names rows of several data files."""
    t = Table(root, 't', chance)
    for _ in range(3):
        t.append(30)
    t.delete_rows(25, format)
    t.append(10)
    t.delete_rows(25, format)
    check(mount(root), t)


def test_columns_that_changed_since(mount, root, chance):
    """A column that was widened, renamed, dropped, or is younger than the data file deletes as the specification says."""
    t = Table(root, 't', chance)
    t.append(40)
    t.delete_equal([1], [[0], [None]])
    with t.table.update_schema() as update:
        update.update_column('id', LongType())
        update.add_column('later', IntegerType())
        update.rename_column('name', 'title')
    later = t.table.schema().find_field('later').field_id
    t.append(40)
    t.delete_equal([1, 2], [[1, 'a'], [2, None], [3, '']])
    t.delete_equal([later], [[0]])                          # the first file lacks it: null there
    t.append(40)
    t.delete_equal([1, later], [[5, None], [6, 1]], 'avro')
    with t.table.update_schema() as update:
        update.delete_column('day')
    t.append(10)
    t.delete_equal([3], [[DAY]])                            # of files that had it
    check(mount(root), t)


def test_deletes_of_a_partition_and_of_all(mount, root, chance):
    t = Table(root, 't', chance)
    t.append(40)
    with t.table.update_spec() as update:
        update.add_identity('region')
    for _ in range(2):
        t.append(60)
    t.delete_equal([1], [[1], [2]], region='EU')
    t.delete_equal([1, 2], [[3, 'a'], [4, None]])
    t.append(30)
    t.delete_equal([1], [[5]], 'avro', region='US')
    check(mount(root), t)


def test_many_delete_files(mount, root, chance):
    """Flink's upserts: each commit has one."""
    t = Table(root, 't', chance)
    for i in range(12):
        t.append(20)
        t.delete_equal([1], [[i % 8]], chance.choice(['parquet', 'avro']))
        if i % 4 == 3:
            t.delete_rows(3)
    check(mount(root), t)


@pytest.mark.parametrize('number', range(6))
def test_random_deletes(mount, root, chance, number):
    t = Table(root, 't', chance)
    t.append(60)
    for _ in range(8):
        what = chance.choice(['append', 'equal', 'equal', 'places'])
        if what == 'append':
            t.append(chance.randrange(1, 80))
        elif what == 'places':
            t.delete_rows(chance.randrange(1, 20), chance.choice(['parquet', 'avro']))
        else:
            ids = chance.sample([1, 2, 3, 4, 5, 6, 8, 9, 10], chance.randrange(1, 4))
            names = t.order(ids)
            t.delete_equal(ids, [[some(chance, t.source(i)) for i in names] for _ in range(chance.randrange(1, 6))],
                           chance.choice(['parquet', 'avro']))
    check(mount(root), t)


def test_row_filters_masks_and_deletes_at_once(mount, root, chance, tmp_path):
    t = Table(root, 't', chance)
    t.append(200)
    t.delete_equal([1, 8], [[i, 'EU'] for i in range(4)])
    t.delete_rows(30)
    policy = tmp_path / 'policy.yaml'
    policy.write_text('grants:\n  - to: [role:trainer]\n    tables: ["t"]\n    rows: "day = date \'2026-03-01\'"\n'
                      '    hide: [region, id]\n    mask: {name: replace-with-null}\n')
    m = mount(root, policy=policy, **{'as': 'trainer'})
    wanted = collections.Counter()
    for row, count in list(t.snapshots.values())[-1].items():
        row = dict(row)
        if row['day'] == repr(DAY):
            wanted[tuple((n, 'None' if n == 'name' else v) for n, v in row.items() if n not in ('region', 'id'))] += count
    assert rows_below(m / 't') == wanted


def refused(path):
    with pytest.raises(OSError) as e:
        Path(path).read_bytes()
    return e.value.errno


def first_file(m):
    return next(iter(Path(m / 't').rglob('*.parquet')))


def test_a_delete_file_that_is_gone_is_an_error_with_its_reason(mount, root, chance):
    t = Table(root, 't', chance)
    t.append(20)
    t.delete_equal([1], [[1]])
    lost = next((t.path / 'data').glob('eq-*'))
    lost.unlink()
    m = mount(root)
    assert refused(first_file(m)) == 5
    wait_for(lambda: lost.name in said(m), PATIENCE_S, 'a line in the log')
    before = list(t.snapshots)[0]
    assert rows_below(m / ('t@%d' % before)) == t.snapshots[before]


def test_a_damaged_delete_file_is_an_error(mount, root, chance):
    t = Table(root, 't', chance)
    t.append(20)
    t.delete_rows(3)
    broken = next((t.path / 'data').glob('pos-*'))
    broken.write_bytes(b'\0' * broken.stat().st_size)
    m = mount(root)
    assert refused(first_file(m)) == 5
    wait_for(lambda: broken.name in said(m), PATIENCE_S, 'a line in the log')


def test_delete_files_in_orc_are_refused(mount, root, chance):
    t = Table(root, 't', chance)
    t.append(20)
    t.delete_equal([1], [[1]], 'orc')
    m = mount(root)
    assert refused(first_file(m)) == 95
    wait_for(lambda: 'ORC' in said(m), PATIENCE_S, 'a line in the log')


@pytest.fixture
def flat(root):
    """A table of two columns with a name mapping, so that its metadata alone proves nothing of a file."""
    mapping = [{'field-id': f.field_id, 'names': [f.name]} for f in FIELDS[:2]]
    t = iceberg_lakes.catalog(root).create_table(('n', 't'), Schema(*FIELDS[:2]), location='file://%s/t' % root,
                                                 properties={'schema.name-mapping.default': json.dumps(mapping)})
    t.append(pa.table({'id': [1, 2], 'name': ['a', 'b']}, schema=t.schema().as_arrow()))
    return t


def local(path):
    return Path(path.removeprefix('file://'))


@pytest.mark.parametrize('format, rows', [('orc', 50), ('avro', 50), ('avro', 3000)])
def test_files_of_other_formats_are_shown_as_they_are_or_refused_with_the_reason(mount, root, flat, format, rows):
    """By the columns that the file has itself: as long as they are the table's."""
    d = Deletes(flat)
    path = local(d.data([(i, 'n%d' % i) for i in range(rows)], format))
    before = d.commit()
    with flat.update_schema() as update:
        update.rename_column('name', 'title')
    m = mount(root)
    shown = next(Path(m / ('t@%d' % before)).rglob('*.' + format))
    assert shown.stat().st_size == path.stat().st_size
    assert shown.read_bytes() == path.read_bytes()
    assert os.getxattr(shown, 'user.tarn.transform') == b'none'
    renamed = next(Path(m / 't').rglob('*.' + format))
    assert refused(renamed) == 95
    assert os.getxattr(renamed, 'user.tarn.transform') == b'columns'
    wait_for(lambda: 'the column "title" has another name' in said(m), PATIENCE_S, 'a line in the log')


@pytest.mark.parametrize('format', ['orc', 'avro'])
def test_rows_of_other_formats_are_not_taken_out_but_refused(mount, root, flat, format):
    d = Deletes(flat)
    path = d.data([(1, 'a'), (2, 'b')], format)
    d.commit()
    d = Deletes(flat)
    d.positions([(path, 0)])
    d.commit()
    m = mount(root)
    assert refused(next(Path(m / 't').rglob('*.' + format))) == 95
    wait_for(lambda: 'rows of it are deleted' in said(m), PATIENCE_S, 'a line in the log')
    assert sum(rows_below(m / 't').values()) == 2               # of the Parquet file beside it


def test_other_formats_are_not_narrowed(mount, root, flat, tmp_path):
    d = Deletes(flat)
    d.data([(1, 'a'), (2, 'b')], 'orc')
    d.commit()
    policy = tmp_path / 'policy.yaml'
    policy.write_text('grants:\n  - to: [role:trainer]\n    tables: ["t"]\n    hide: [title]\n')
    m = mount(root, policy=policy, **{'as': 'trainer'})
    assert refused(next(Path(m / 't').rglob('*.orc'))) == 95


def test_a_delete_file_of_many_data_files_is_read_once(mount, root, chance, tmp_path):
    """Though all its data files are opened."""
    t = Table(root, 't', chance)
    for _ in range(6):
        t.append(10)
    t.delete_equal([1], [[1]])
    trace = tmp_path / 'trace'
    m = mount(root)
    assert len(list(Path(m / 't').rglob('*.parquet'))) == 6
    strace = subprocess.Popen(['strace', '-f', '-e', 'trace=openat', '-o', trace, '-p', str(m.pid)], stderr=subprocess.PIPE)
    strace.stderr.readline()
    try:
        check(m, t)
    finally:
        strace.terminate()
        strace.wait()
    assert trace.read_text().count('/eq-') + trace.read_text().count('"eq-') <= 2
