# SPDX-License-Identifier: Apache-2.0
"""Access control where bytes live elsewhere: near stores, archive stores, archived objects."""
import errno
import os

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable, write_deltalake

from support import lakes, moto
from support.archived import refusal
from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S

TABLE = 'silver/customers'
TOKEN = 'QTIERTOKEN'
POLICY = '''
grants:
  - {to: [role:owner], tables: ["**"]}
  - {to: [role:trainer], tables: [silver/customers], hide: [email], mask: {phone: mask-alphanum},
     rows: "id < 150"}
'''


def rows(first, count):
    ids = range(first, first + count)
    return pa.table({'id': pa.array(ids, pa.int64()),
                     'email': ['%s%09d' % (TOKEN, i) for i in ids],
                     'phone': ['%s-%d' % (TOKEN, i) for i in ids]})


@pytest.fixture
def source(tmp_path):
    """Two versions; of the first nothing is left in the second."""
    root = tmp_path / 'lake'
    write_deltalake(root / TABLE, rows(0, 100))
    write_deltalake(root / TABLE, rows(100, 100), mode='overwrite')
    return root


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(POLICY)
    return path


@pytest.fixture
def far(tmp_path, source):
    """That lake in an S3 whose archive classes refuse reads: (server, keyword arguments for a mount)."""
    server = moto.Server(tmp_path)
    server.copy_tree(source, server.make_bucket('home'))
    yield server, {'source': 's3://home', 'endpoint_url': server.url, 'env': server.env}
    server.stop()


def files(below):
    return [below / name for name in lakes.tree(below)]


def check_trainer(below, ids):
    """The view that the policy gives the trainer, and no byte more."""
    table = ds.dataset([str(f) for f in files(below)], format='parquet').to_table()
    assert table.column_names == ['id', 'phone']
    assert sorted(table.column('id').to_pylist()) == list(ids)
    assert set(table.column('phone').to_pylist()) == {'x' * len(TOKEN) + '-' + 'n' * len(str(i)) for i in ids}
    assert not any(TOKEN.encode() in f.read_bytes() for f in files(below))


def check_owner(below, ids):
    table = ds.dataset([str(f) for f in files(below)], format='parquet').to_table()
    assert sorted(table.column('email').to_pylist()) == ['%s%09d' % (TOKEN, i) for i in ids]


def test_a_near_store_serves_each_view(mount, far, policy, tmp_path):
    """What one role has brought near is another role's view there too, and nothing more."""
    _, home = far
    near = tmp_path / 'nas'
    near.mkdir()
    with_near = dict(home, policy=policy, near=near)
    owner = mount(**with_near, **{'as': 'owner'})
    check_owner(owner / TABLE, range(100, 200))
    trainer = mount(**with_near, **{'as': 'trainer'})
    check_trainer(trainer / TABLE, range(100, 150))
    check_trainer(trainer / (TABLE + '@0'), range(0, 100))
    assert [p for p in near.rglob('*') if p.is_file()]


def test_an_archived_version_is_shown_as_the_policy_says(mount, source, policy, tmp_path):
    """After VACUUM a version that comes from the archive store is narrowed as it was at home."""
    store = tmp_path / 'keep'
    store.mkdir()
    done = run_tarn('archive', '--quiet', '--lake', source, TABLE + '@0', '--to', store, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    assert DeltaTable(source / TABLE).vacuum(retention_hours=0, dry_run=False,
                                             enforce_retention_duration=False)
    options = {'policy': policy, 'archive_store': store}
    trainer = mount(source, **{'as': 'trainer'}, **options)
    check_trainer(trainer / (TABLE + '@0'), range(0, 100))
    assert {os.getxattr(f, 'user.tarn.tier') for f in files(trainer / (TABLE + '@0'))} == {b'archive/local'}
    check_owner(mount(source, **{'as': 'owner'}, **options) / (TABLE + '@0'), range(0, 100))
    stranger = mount(source, **{'as': 'stranger'}, **options)
    with pytest.raises(FileNotFoundError):
        os.listdir(stranger / (TABLE + '@0'))


def test_an_archived_object_is_recalled_for_a_view(mount, far, policy):
    """Opening a narrowed file whose object is archived is EREMOTE; with --archive=recall that also
    asks for it, and it reads, narrowed, without a remount."""
    server, home = far
    keys = [k for k in server.keys('home', TABLE) if k.endswith('.parquet')]
    for key in keys:
        server.move('home', key, 'GLACIER')
    still = mount(**home, policy=policy, **{'as': 'trainer'})
    with pytest.raises(OSError) as refused:
        files(still / TABLE)[0].read_bytes()
    assert refused.value.errno == errno.EREMOTE
    assert not any('Restore' in server.head('home', key) for key in keys)
    recalls = mount(**home, policy=policy, **{'as': 'trainer'}, archive='recall')
    with pytest.raises(OSError) as refused:
        files(recalls / TABLE)[0].read_bytes()
    assert refused.value.errno == errno.EREMOTE
    assert sum('Restore' in server.head('home', key) for key in keys) == 1
    wait_for(lambda: not any(map(refusal, files(recalls / TABLE))), PATIENCE_S, 'it is restored')
    check_trainer(recalls / TABLE, range(100, 150))
