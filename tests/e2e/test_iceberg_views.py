# SPDX-License-Identifier: Apache-2.0
"""Policies over Iceberg tables: columns hidden and masked by field id through renames, rows, partitions."""
import hashlib
import os
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import BucketTransform, IdentityTransform, TruncateTransform
from pyiceberg.types import LongType, NestedField, StringType, StructType

from support import iceberg_lakes
from support.iceberg_tables import newest

PEOPLE = 'silver/people'
TOKEN = b'QTOKEN'


def token(i, what):
    return 'QTOKEN%s%06d' % (what, i)


def rows(table, first, count, **names):
    """New rows; names: those that the columns have now."""
    of = lambda n: names.get(n, n)
    ids = range(first, first + count)
    values = {of('id'): list(ids), of('region'): [('EU', 'US')[i % 2] for i in ids],
              of('email'): [token(i, 'm') for i in ids], of('amount'): [i % 100 for i in ids],
              of('address'): [{'street': token(i, 's'), 'city': 'C%d' % (i % 5)} for i in ids]}
    schema = table.schema().as_arrow()
    return pa.table([pa.array(values[f.name], f.type) for f in schema], schema=schema)


def schema():
    return Schema(NestedField(1, 'id', LongType(), required=False), NestedField(2, 'region', StringType(), required=False),
                  NestedField(3, 'email', StringType(), required=False),
                  NestedField(4, 'amount', LongType(), required=False),
                  NestedField(5, 'address', StructType(NestedField(6, 'street', StringType(), required=False),
                                                       NestedField(7, 'city', StringType(), required=False)),
                              required=False))


class Lake:
    """silver/people: two appends, `email` is renamed to `mail`, a third append; not partitioned."""

    def __init__(self, root):
        self.root = root
        root.mkdir(parents=True)
        self.catalog = iceberg_lakes.catalog(root)
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            t = self.new('people')
            t.append(rows(t, 0, 200))
            t.append(rows(t, 200, 200))
            with t.update_schema() as update:
                update.rename_column('email', 'mail')
            t.append(rows(t, 400, 200, email='mail'))
            self.ids = [s.snapshot_id for s in t.snapshots()]
            for name, spec in (('by_region', PartitionField(2, 1000, IdentityTransform(), 'region')),
                               ('by_bucket', PartitionField(3, 1000, BucketTransform(2), 'email_bucket')),
                               ('by_prefix', PartitionField(3, 1000, TruncateTransform(9), 'email_trunc'))):
                t = self.new(name, PartitionSpec(spec))
                t.append(rows(t, 0, 100))

    def new(self, name, spec=PartitionSpec()):
        return self.catalog.create_table(('n', name), schema(), location='file://%s/silver/%s' % (self.root, name),
                                         partition_spec=spec, properties={'write.object-storage.enabled': 'false'})


@pytest.fixture(scope='module')
def lake(tmp_path_factory):
    return Lake(tmp_path_factory.mktemp('views') / 'lake')


@pytest.fixture
def seen(mount, lake, tmp_path):
    """seen(grant): a mount for the role `trainer` under that grant of all tables of silver."""
    def give(grant, tables='silver/*', **more):
        path = tmp_path / 'policy.yaml'
        path.write_text('grants:\n  - to: [role:trainer]\n    tables: ["%s"]\n%s' % (
            tables, ''.join('    %s\n' % line for line in grant)))
        return mount(more.pop('source', lake.root), policy=path, **{'as': 'trainer'}, **more)
    return give


def files(below):
    return sorted(Path(below).rglob('*.parquet'))


def columns(below):
    tables = [pq.read_table(f, partitioning=None) for f in files(below)]
    return sorted({n for t in tables for n in t.schema.names}), sum(t.num_rows for t in tables)


def values(below, name):
    return [v for f in files(below) for v in pq.read_table(f, partitioning=None)[name].to_pylist()]


def no_token_in(below, kind):
    found = b''.join(f.read_bytes() for f in files(below))
    return len(found) > 500 and TOKEN + kind not in found


def everywhere(m, lake):
    """The live path, every snapshot, and the branch."""
    return [m / PEOPLE, m / (PEOPLE + '@main'), *[m / ('%s@%d' % (PEOPLE, i)) for i in lake.ids]]


def test_a_hidden_column_is_in_no_snapshot_whatever_it_was_called(seen, lake):
    """By its field id: `mail` was `email` in the first two."""
    m = seen(['hide: [mail, address.street]'])
    for there, count in zip(everywhere(m, lake), (600, 600, 200, 400, 600)):
        assert columns(there) == (['address', 'amount', 'id', 'region'], count)
        assert no_token_in(there, b'm') and no_token_in(there, b's')
        assert {tuple(v) for v in values(there, 'address')} == {('city',)}


def test_only_what_is_named_is_shown(seen, lake):
    m = seen(['only: [id, amount]'])
    for there in everywhere(m, lake):
        assert columns(there)[0] == ['amount', 'id']
        assert no_token_in(there, b'') or TOKEN not in b''.join(f.read_bytes() for f in files(there))


def test_a_mask_follows_the_column(seen, lake):
    m = seen(['mask: {mail: sha-256-global, amount: replace-with-null}'])
    wanted = {hashlib.sha256(token(i, 'm').encode()).hexdigest() for i in range(600)}
    assert set(values(m / PEOPLE, 'mail')) == wanted
    first = m / ('%s@%d' % (PEOPLE, lake.ids[0]))
    assert set(values(first, 'email')) == {hashlib.sha256(token(i, 'm').encode()).hexdigest() for i in range(200)}
    assert set(values(first, 'amount')) == {None}
    assert all(no_token_in(there, b'm') for there in everywhere(m, lake))


def test_rows_that_are_not_granted_are_in_no_snapshot(seen, lake):
    m = seen(["rows: region = 'EU' and amount < 50"])
    for there, count in zip(everywhere(m, lake), (600, 600, 200, 400, 600)):
        found = sorted(values(there, 'id'))
        assert found == [i for i in range(count) if i % 2 == 0 and i % 100 < 50]
    said = b''.join(f.read_bytes() for f in files(m / PEOPLE))
    assert token(1, 'm').encode() not in said


def test_rows_of_a_partition_decide_whole_files(seen):
    m = seen(["rows: region = 'US'"])
    assert set(values(m / 'silver/by_region', 'region')) == {'US'}
    assert os.listdir(m / 'silver/by_region/data') == ['region=US']


@pytest.mark.parametrize('grant', ['hide: [region]', 'only: [id, amount]', 'mask: {region: replace-with-null}'])
def test_a_table_whose_partition_column_is_kept_back_is_denied(seen, grant):
    """Its directories tell it."""
    m = seen([grant])
    assert 'by_region' not in os.listdir(m / 'silver') and 'people' in os.listdir(m / 'silver')
    with pytest.raises(FileNotFoundError):
        os.stat(m / 'silver/by_region')


@pytest.mark.parametrize('table', ['by_bucket', 'by_prefix'])
@pytest.mark.parametrize('grant', ['hide: [email, mail]', 'only: [id]', 'mask: {email: sha-256-global}',
                                   'mask: {email: replace-with-null}'])
def test_what_a_transform_tells_of_a_column_is_kept_back_with_it(seen, table, grant):
    """The directories of a table that is partitioned by a bucket or the beginning of a hidden column."""
    m = seen([grant])
    assert table not in os.listdir(m / 'silver')
    with pytest.raises(FileNotFoundError):
        os.listdir(m / 'silver' / table)


def test_documents_tell_of_what_is_shown_only(seen, lake):
    m = seen(['hide: [mail]'])
    for there in everywhere(m, lake):
        for name in os.listdir(there / '.tarn'):
            path = there / '.tarn' / name
            if path.is_file() and name != 'prefetch':
                said = path.read_bytes()
                assert b'mail' not in said, (path, said[:2000])
        assert not (there / '.tarn/raw').exists()


def test_a_column_that_comes_later_is_not_shown_by_only(seen, tmp_path):
    lake = Lake(tmp_path / 'own')
    m = seen(['only: [id]'], source=lake.root, refresh='0.1')
    t = lake.catalog.load_table(('n', 'people'))
    with t.update_schema() as update:
        update.add_column('secret', StringType())
        update.rename_column('id', 'number')
    assert newest(lake.root / PEOPLE)
    for there in [m / ('%s@%d' % (PEOPLE, i)) for i in lake.ids]:
        assert columns(there)[0] in (['id'], [])


def test_a_table_in_a_bucket_is_governed_alike(seen, lake, s3, bucket):
    s3.copy_tree(lake.root, bucket)
    m = seen(['hide: [mail]', "rows: region = 'EU'"], source='s3://' + bucket, endpoint_url=s3.url, env=s3.env)
    for there, count in zip(everywhere(m, lake), (600, 600, 200, 400, 600)):
        assert columns(there) == (['address', 'amount', 'id', 'region'], count // 2)
        assert no_token_in(there, b'm')
