# SPDX-License-Identifier: Apache-2.0
"""Who may write one Iceberg table names another one's manifests and data in it: readers of it learn nothing of that one."""
import json
import os
import warnings

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, write_manifest_list
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.transforms import IdentityTransform
from pyiceberg.typedef import Record

from support import iceberg_lakes
from support.iceberg_deletes import Deletes, added_files
from support.iceberg_tables import newest
from support.mounts import wait_until_taken_back
from test_iceberg_views import rows, schema
from test_policy_mount import replace

OWN, SECRET = 'gold/own', 'silver/secret'
POLICY = '''
grants:
  - to: [role:reader]
    tables: ["gold/**"]
  - to: [role:both]
    tables: ["gold/**", silver/secret]
  - to: [role:part]
    tables: ["gold/**"]
  - to: [role:part]
    tables: [silver/secret]
    hide: [amount]
'''
BY_EMAIL = PartitionSpec(PartitionField(3, 1000, IdentityTransform(), 'email'))


@pytest.fixture
def lake(tmp_path):
    """gold/own has the ids from 100, silver/secret those from 0; both are partitioned by `email`, or not at all."""
    root = tmp_path / 'lake'
    root.mkdir()
    catalog = iceberg_lakes.catalog(root)

    def make(name, first, spec):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            t = catalog.create_table(('n', name.replace('/', '_')), schema(), partition_spec=spec,
                                     location='file://%s/%s' % (root, name), properties={'write.object-storage.enabled': 'false', 'format-version': '2'})
            t.append(rows(t, first, 4))
        return t

    return lambda spec=PartitionSpec(): (root, make(OWN, 100, spec), make(SECRET, 0, spec))


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(POLICY)
    return path


def edit(root, change):
    """The newest snapshot of gold/own, as its writer leaves it."""
    path = newest(root / OWN)
    whole = json.loads(path.read_text())
    change(next(s for s in whole['snapshots'] if s['snapshot-id'] == whole['current-snapshot-id']))
    path.write_text(json.dumps(whole))


def take_list(root, own, secret):
    """Its manifest list is the other table's."""
    edit(root, lambda s: s.update({'manifest-list': secret.current_snapshot().manifest_list}))


def take_manifest(root, own, secret):
    """A list of its own names the other table's manifests beside its own."""
    snapshot = own.current_snapshot()
    path = '%s/metadata/mine.avro' % own.location()
    with write_manifest_list(2, own.io.new_output(path), snapshot.snapshot_id, None, 1, 'deflate') as w:
        w.add_manifests(snapshot.manifests(own.io) + secret.current_snapshot().manifests(secret.io))
    edit(root, lambda s: s.update({'manifest-list': path}))


def said(below):
    """All that can be listed, and documents."""
    found = []
    for where, dirs, names in os.walk(below):
        found += dirs + names
    for name in os.listdir(below / '.tarn'):
        if name != 'prefetch' and (below / '.tarn' / name).is_file():
            found.append((below / '.tarn' / name).read_text())
    return '\n'.join(found)


@pytest.mark.parametrize('take', [take_list, take_manifest])
@pytest.mark.parametrize('role', ['reader', 'part'])
def test_files_of_another_table_are_not_listed_by_its_manifests(mount, lake, policy, take, role):
    root, own, secret = lake(BY_EMAIL)
    take(root, own, secret)
    assert mount(root).path and 'QTOKENm000001' in said(mount(root) / OWN)
    m = mount(root, policy=policy, **{'as': role})
    pinned = '%s@%d' % (OWN, own.current_snapshot().snapshot_id)
    for path in (OWN, pinned, OWN + '/.tarn', OWN + '/.tarn/files.jsonl', OWN + '/.tarn/raw', OWN + '/email=QTOKENm000001'):
        with pytest.raises(PermissionError):
            os.listdir(m / path)
    assert 'QTOKENm000001' in said(mount(root, policy=policy, **{'as': 'both'}) / OWN)


def test_what_was_opened_by_such_a_manifest_is_taken_back_with_the_other_table(mount, lake, policy):
    root, own, secret = lake()
    take_manifest(root, own, secret)
    m = mount(root, policy=policy, o='revocable', **{'as': 'both'})
    mine = next(p for p, _ in added_files(own)).rsplit('/', 1)[1]
    with open(next((m / OWN).rglob(mine)), 'rb', 0) as f:
        assert f.read(4) == b'PAR1'
        replace(policy, POLICY.replace(', silver/secret]', ']'))
        wait_until_taken_back(f)


def delete_by(own, secret, content, **more):
    """The other table's data file is a delete file of this one."""
    d = Deletes(own)
    path = added_files(secret)[0][0]
    d.entries.append((own.spec(), DataFile.from_args(
        content=content, file_path=path, file_format=FileFormat.PARQUET, partition=Record(), record_count=4,
        file_size_in_bytes=len(secret.io.new_input(path)), **more)))
    d.commit()


def ids(below):
    return sorted(i for f in below.rglob('*.parquet') for i in pq.ParquetFile(f).read(['id'])['id'].to_pylist())


def test_rows_are_not_compared_with_those_of_another_table(mount, lake, policy):
    """An equality delete of its ids, say: which are gone would tell which ones it has."""
    root, own, secret = lake()
    own.append(pa.concat_tables([rows(own, 2, 4)]))
    delete_by(own, secret, DataFileContent.EQUALITY_DELETES, equality_ids=[1])
    assert ids(mount(root) / OWN) == [4, 5, 100, 101, 102, 103]
    assert ids(mount(root, policy=policy, **{'as': 'both'}) / OWN) == [4, 5, 100, 101, 102, 103]
    for role in ('reader', 'part'):
        m = mount(root, policy=policy, **{'as': role})
        files = list((m / OWN).rglob('*.parquet'))
        assert len(files) == 2
        for f in files:
            with pytest.raises(PermissionError):
                f.read_bytes()
