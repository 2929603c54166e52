# SPDX-License-Identifier: Apache-2.0
"""
Tables that were Hive's: their files lack the partition's columns, or ids, and read with both; who is
shown a part of such a table sees neither a row nor a directory more.
"""
import datetime
import decimal
import errno
import os
import warnings
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (DateType, DecimalType, DoubleType, IntegerType, LongType, NestedField,
                             StringType)

from support import iceberg_lakes

COLUMNS = [('id', LongType()), ('region', StringType()), ('level', IntegerType()),
           ('day', DateType()), ('score', DoubleType()), ('price', DecimalType(9, 2)),
           ('note', StringType())]
PARTS = ['region', 'level', 'day', 'score', 'price']
MAPPING = '[%s]' % ', '.join('{"field-id": %d, "names": ["%s"]}' % (i + 1, name)
                             for i, (name, _) in enumerate(COLUMNS) if name not in PARTS)
TUPLES = [('EU', 1, datetime.date(2026, 3, 1), 0.5, decimal.Decimal('1.25')),
          ('US', 2, datetime.date(2026, 3, 2), 1.5, decimal.Decimal('-1.25')),
          (None, None, None, None, None)]


def data_file(table, values, first, ids):
    """A file of ten rows without the partition's columns; the directory says its values."""
    folder = '/'.join('%s=%s' % (name, '__HIVE_DEFAULT_PARTITION__' if v is None else v)
                      for name, v in zip(PARTS, values))
    path = Path(table.location()[7:]) / folder / ('%d.parquet' % first)
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = {name: i + 1 for i, (name, _) in enumerate(COLUMNS)}
    fields = [pa.field(n, k, metadata={'PARQUET:field_id': str(numbers[n])} if ids else None)
              for n, k in (('id', pa.int64()), ('note', pa.string()))]
    pq.write_table(pa.table([list(range(first, first + 10)),
                             ['note %d' % i for i in range(first, first + 10)]],
                            schema=pa.schema(fields)), path)
    days = None if values[2] is None else (values[2] - datetime.date(1970, 1, 1)).days
    return DataFile.from_args(
        content=DataFileContent.DATA, file_path='file://%s' % path, file_format=FileFormat.PARQUET,
        partition=Record(*values[:2], days, *values[3:]), record_count=10, column_sizes={}, spec_id=0,
        file_size_in_bytes=path.stat().st_size, value_counts={}, null_value_counts={},
        nan_value_counts={}, lower_bounds={}, upper_bounds={}, key_metadata=None, split_offsets=[4],
        equality_ids=None, sort_order_id=None)


@pytest.fixture(scope='module')
def lake(tmp_path_factory):
    root = tmp_path_factory.mktemp('migrated') / 'lake'
    root.mkdir()
    catalog = iceberg_lakes.catalog(root)
    spec = PartitionSpec(*[PartitionField(1 + [n for n, _ in COLUMNS].index(name), 1000 + i,
                                          IdentityTransform(), name)
                           for i, name in enumerate(PARTS)])
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        for name, ids in (('ids', True), ('names', False)):
            t = catalog.create_table(
                ('n', name), Schema(*[NestedField(i + 1, n, k, required=False)
                                      for i, (n, k) in enumerate(COLUMNS)]),
                location='file://%s/silver/%s' % (root, name), partition_spec=spec,
                properties={} if ids else {'schema.name-mapping.default': MAPPING})
            with t.transaction() as change, change.update_snapshot().fast_append() as append:
                for i, values in enumerate(TUPLES):
                    append.append_data_file(data_file(t, values, 10 * i, ids))
        void(catalog, root)
    return root


def void(catalog, root):
    """A table of version 1 whose partition field was given up: it goes on as `region=null`."""
    t = catalog.create_table(
        ('n', 'void'), Schema(NestedField(1, 'id', LongType(), required=False),
                              NestedField(2, 'region', StringType(), required=False)),
        location='file://%s/silver/void' % root,
        partition_spec=PartitionSpec(PartitionField(2, 1000, IdentityTransform(), 'region')),
        properties={'format-version': '1'})
    of = lambda first: pa.table({'id': pa.array(range(first, first + 4), pa.int64()),
                                 'region': ['EU', 'US', 'EU', None]})
    t.append(of(0))
    with t.update_spec() as update:
        update.remove_field('region')
    t.append(of(10))


def wanted(where=lambda row: True):
    rows = []
    for i, values in enumerate(TUPLES):
        for n in range(10 * i, 10 * i + 10):
            row = {'id': n, **dict(zip(PARTS, values)), 'note': 'note %d' % n}
            if where(row):
                rows.append(row)
    return rows


def files(below):
    return sorted(p for p in Path(below).rglob('*') if p.is_file())


def rows_of(below):
    return sorted((r for f in files(below) for r in pq.ParquetFile(f).read().to_pylist()),
                  key=lambda r: r['id'])


@pytest.fixture
def seen(mount, lake, tmp_path):
    def give(*grant, tables='silver/*'):
        path = tmp_path / 'policy.yaml'
        path.write_text('grants:\n  - to: [role:trainer]\n    tables: ["%s"]\n%s' % (
            tables, ''.join('    %s\n' % line for line in grant)))
        return mount(lake, policy=path, **{'as': 'trainer'})
    return give


@pytest.mark.parametrize('table', ['ids', 'names'])
def test_partitions_are_columns(mount, lake, table):
    """Every row has its partition's values, in pyarrow, in DuckDB and as PyIceberg reads it."""
    there = mount(lake) / 'silver' / table
    assert rows_of(there) == wanted()
    assert [f.parent.relative_to(there).parts[0] for f in files(there)] == [
        'region=EU', 'region=US', 'region=__HIVE_DEFAULT_PARTITION__']
    got = duckdb.sql("SELECT * FROM read_parquet('%s/**/*.parquet', hive_partitioning = false) "
                     "ORDER BY id" % there).to_arrow_table()
    assert got.to_pylist() == wanted()
    for f in files(there):
        assert os.getxattr(f, 'user.tarn.transform') == b'columns'


ROWS = [
    ("region = 'EU'", lambda r: r['region'] == 'EU', 1),
    ("region is null", lambda r: r['region'] is None, 3),
    ("region <> 'EU' or id < 3", lambda r: r['id'] < 3 or (r['region'] or 'EU') != 'EU', 3),
    ("level >= 2 and id > 12", lambda r: (r['level'] or 0) >= 2 and r['id'] > 12, 1),
    ("day < date '2026-03-02'", lambda r: r['day'] == datetime.date(2026, 3, 1), 1),
    ("score > 1.0", lambda r: (r['score'] or 0) > 1, 3),
    ("price = -1.25 and note like '%9'", lambda r: r['id'] == 19, 3),
    ("not (region = 'US')", lambda r: r['region'] == 'EU', 1),
]


@pytest.mark.parametrize('grant, where, listed', ROWS, ids=[r[0] for r in ROWS])
@pytest.mark.parametrize('table', ['ids', 'names'])
def test_rows_by_partitions_that_files_lack(seen, table, grant, where, listed):
    """A row filter knows the partition's values; a path whose rows all go is not listed, where it
    says the value beyond debate."""
    there = seen('rows: "%s"' % grant) / 'silver' / table
    assert rows_of(there) == wanted(where)
    # A null partition's directory says no value of its own: its file is looked into.
    assert len(files(there)) <= listed


@pytest.mark.parametrize('grant', [
    'hide: [region]', 'mask: {region: mask-alphanum}', 'only: [id, region, level, day, score]',
    'mask: {day: truncate-to-year}'])
def test_a_partition_that_may_not_be_seen_denies_the_table(seen, grant):
    """Paths would tell it."""
    m = seen(grant)
    with pytest.raises(OSError) as e:
        os.listdir(m / 'silver/ids')
    assert e.value.errno == errno.ENOENT


def test_other_columns_may_be_hidden_and_masked(seen):
    """The partition's columns stay, with their values."""
    there = seen('hide: [note]', 'mask: {id: mask-to-fixed-value}') / 'silver/names'
    got = [r for f in files(there) for r in pq.ParquetFile(f).read().to_pylist()]
    assert [r['region'] for r in got] == ['EU'] * 10 + ['US'] * 10 + [None] * 10
    assert {tuple(r) for r in got} == {('id', *PARTS)} and len({r['id'] for r in got}) == 1


def test_a_partition_that_was_given_up(mount, lake, seen):
    """Later files lie below `region=null`, whatever their rows have: they are looked into."""
    every = rows_of(mount(lake) / 'silver/void')
    assert [r['region'] for r in every] == 2 * ['EU', 'US', 'EU', None]
    there = seen('rows: "region = \'EU\'"') / 'silver/void'
    assert [r['id'] for r in rows_of(there)] == [0, 2, 10, 12]
    assert not [f for f in files(there) if 'region=US' in str(f)]
