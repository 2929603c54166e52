# SPDX-License-Identifier: Apache-2.0
"""Layers whose tables a SQL catalog knows (PyIceberg's SqlCatalog in SQLite and PostgreSQL), and tables by their metadata files."""
import contextlib
import hashlib
import json
import os
import sqlite3
import time

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from support.mounts import paused, run_tarn, wait_for
from support.places import PATIENCE_S
from support.postgres import PASSWORD, Server

ROWS = pa.table({'id': pa.array([1, 2, 3], pa.int64()), 'name': ['a', 'b', 'c']})
MORE = pa.table({'id': pa.array([4], pa.int64()), 'name': ['d']})


@pytest.fixture(scope='module')
def postgres():
    server = Server()
    yield server
    server.stop()


class Kept:
    """A catalog of PyIceberg's, and what a lake file says of it."""

    def __init__(self, own_uri, uri, below, env):
        self.warehouse = below / 'warehouse'
        self.uri, self.env, self.below = uri, env, below
        self.warehouse.mkdir(exist_ok=True)
        self.catalog = SqlCatalog('prod', uri=own_uri, warehouse=self.warehouse.as_uri())

    def make(self, name, rows=ROWS, **more):
        self.catalog.create_namespace_if_not_exists(name.rsplit('.', 1)[0])
        table = self.catalog.create_table(name, rows.schema, **more)
        table.append(rows)
        return table

    def file(self, name='lake.yaml', layer=None, **catalog):
        path = self.below / name
        of = {'type': 'sql', 'uri': self.uri, 'name': 'prod', 'warehouse': self.warehouse.as_uri(), **catalog}
        path.write_text(json.dumps({'layers': {'prod': {'catalog': {k: v for k, v in of.items() if v},
                                                        **(layer or {})},
                                               'beside': str(self.warehouse)}}))
        return path


@pytest.fixture(params=['sqlite', 'postgres'])
def kept(request, tmp_path):
    if request.param == 'sqlite':
        yield Kept('sqlite:///%s/catalog.db' % tmp_path, 'sqlite:///%s/catalog.db' % tmp_path, tmp_path, {})
        return
    server = request.getfixturevalue('postgres')
    with contextlib.suppress(Exception):
        server.sql('DROP TABLE iceberg_tables, iceberg_namespace_properties')
    yield Kept(server.own_uri, server.uri, tmp_path, {'PGPASSWORD': PASSWORD})


@pytest.fixture
def lite(tmp_path):
    return Kept('sqlite:///%s/catalog.db' % tmp_path, '%s/catalog.db' % tmp_path, tmp_path, {})


def rows_of(path):
    return ds.dataset(str(path), format='parquet').to_table().sort_by('id')


def test_namespaces_of_several_levels_are_directories_and_tables_are_tables(kept, mount):
    kept.make('sales.orders')
    kept.make('sales.emea.orders', MORE)
    kept.catalog.create_namespace('empty')
    m = mount(kept.file(), env=kept.env)
    assert sorted(os.listdir(m / 'prod')) == ['empty', 'sales']
    assert os.listdir(m / 'prod/empty') == []
    assert sorted(os.listdir(m / 'prod/sales')) == ['emea', 'orders']
    assert rows_of(m / 'prod/sales/orders') == ROWS
    assert rows_of(m / 'prod/sales/emea/orders') == MORE
    assert m.xattr('prod/sales/emea/orders', 'table') == 'prod/sales/emea/orders'
    assert not (m / 'prod/none').exists() and not (m / 'prod/sales/none/orders').exists()


def test_what_the_catalog_commits_is_seen(kept, mount):
    table = kept.make('sales.orders')
    first = table.current_snapshot().snapshot_id
    m = mount(kept.file(), env=kept.env, refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    table.append(MORE)
    wait_for(lambda: rows_of(m / 'prod/sales/orders') == pa.concat_tables([ROWS, MORE]), PATIENCE_S,
             'the commit is shown')
    assert rows_of(m / ('prod/sales/orders@%d' % first)) == ROWS
    kept.make('sales.returns', MORE)
    wait_for((m / 'prod/sales/returns').exists, PATIENCE_S, 'the new table is shown')
    assert rows_of(m / 'prod/sales/returns') == MORE


def test_a_table_that_is_dropped_is_gone_and_another_of_its_name_is_shown(kept, mount):
    kept.make('sales.orders')
    m = mount(kept.file(), env=kept.env, refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    kept.catalog.drop_table('sales.orders')
    wait_for(lambda: 'orders' not in os.listdir(m / 'prod/sales'), PATIENCE_S, 'it is not listed')
    kept.make('sales.orders', MORE, location=(kept.warehouse / 'elsewhere').as_uri())

    def shown():
        with contextlib.suppress(OSError, pa.ArrowInvalid):
            return rows_of(m / 'prod/sales/orders') == MORE
    wait_for(shown, PATIENCE_S, 'the other table is shown')


def test_a_table_outside_of_the_warehouse_is_refused_unless_the_lake_file_names_the_place(kept, mount):
    elsewhere = kept.below / 'elsewhere'
    kept.make('sales.orders', location=(elsewhere / 'orders').as_uri())
    m = mount(kept.file(), env=kept.env)
    assert os.listdir(m / 'prod/sales') == ['orders']
    with pytest.raises(PermissionError):
        os.listdir(m / 'prod/sales/orders')
    assert 'neither in the layer' in (m.cache / 'tarn.log').read_text()
    named = mount(kept.file('named.yaml', layer={'outside': [elsewhere.as_uri()]}), env=kept.env)
    assert rows_of(named / 'prod/sales/orders') == ROWS


def test_views_of_the_second_schema_are_not_shown(lite, mount):
    table = lite.make('sales.orders')
    with contextlib.closing(sqlite3.connect(lite.below / 'catalog.db')) as db:
        columns = [row[1] for row in db.execute('PRAGMA table_info(iceberg_tables)')]
        if 'iceberg_type' not in columns:
            db.execute('ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)')
        for name, kind in (('seen', 'VIEW'), ('also', 'TABLE')):
            db.execute('INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location,'
                       ' iceberg_type) VALUES (?, ?, ?, ?, ?)',
                       ('prod', 'sales', name, table.metadata_location, kind))
        db.commit()
    m = mount(lite.file())
    assert sorted(os.listdir(m / 'prod/sales')) == ['also', 'orders']
    assert rows_of(m / 'prod/sales/also') == ROWS


def test_names_that_no_file_can_have_are_escaped_and_read(lite, mount):
    table = lite.make('sales.orders')
    names = ['a/b', '.tarn', '..', 'x\ny', 'plain name', 'orders@1', '%~41', 'é']
    with contextlib.closing(sqlite3.connect(lite.below / 'catalog.db')) as db:
        for name in [*names, 'emea', 'n' * 300]:
            db.execute('INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location)'
                       ' VALUES (?, ?, ?, ?)', ('prod', 'sales', name, table.metadata_location))
        db.commit()
    lite.catalog.create_namespace('sales.emea')
    m = mount(lite.file())
    shown = {'a%~2Fb', '%~2Etarn', '%~2E.', 'x%~0Ay', 'plain name', 'orders@1', '%~25~41', 'é', 'emea',
             'emea%~', 'orders'}
    assert set(os.listdir(m / 'prod/sales')) == shown
    for name in shown - {'emea'}:
        assert rows_of(m / 'prod/sales' / name) == ROWS, name
    assert os.listdir(m / 'prod/sales/emea') == []


def test_a_database_is_only_read(lite, mount):
    lite.make('sales.orders')
    lite.catalog.close() if hasattr(lite.catalog, 'close') else None

    def state():
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in lite.below.glob('catalog.db*')}
    before = state()
    m = mount(lite.file())
    assert rows_of(m / 'prod/sales/orders') == ROWS
    assert state() == before


def test_a_wrong_password_is_told_when_mounting_and_is_in_no_message(postgres, tmp_path, mount):
    kept = Kept(postgres.own_uri, postgres.uri, tmp_path, {})
    secret = tmp_path / 'secret'
    secret.write_text('keeper:not the one\n')
    (tmp_path / 'mnt').mkdir()
    done = run_tarn('mount', kept.file(**{'credential-file': str(secret)}), tmp_path / 'mnt', '--cache-dir',
                    tmp_path / 'cache')
    assert done.returncode != 0
    assert 'lake.yaml:1:' in done.stderr and 'authentication failed' in done.stderr
    assert 'not the one' not in done.stderr


def test_a_credential_file_is_read_for_each_connection(postgres, tmp_path, mount):
    kept = Kept(postgres.own_uri, postgres.uri.replace('keeper@', ''), tmp_path, {})
    with contextlib.suppress(Exception):
        kept.make('files.orders')
    secret = tmp_path / 'secret'
    secret.write_text('keeper:%s\n' % PASSWORD)
    m = mount(kept.file(**{'credential-file': str(secret)}))
    assert 'files' in os.listdir(m / 'prod')


def test_a_server_that_hangs_holds_up_no_other_layer(postgres, tmp_path, mount):
    kept = Kept(postgres.own_uri, postgres.uri, tmp_path, {'PGPASSWORD': PASSWORD})
    with contextlib.suppress(Exception):
        kept.make('hangs.orders')
    m = mount(kept.file(), env=kept.env, refresh=0.1, deadline=3)
    assert 'hangs' in os.listdir(m / 'prod')
    # the server's children answer: a paused server takes no connection, kept ones are ended
    postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tarn'")
    with paused(postgres.process):
        time.sleep(0.2)                          # longer than --refresh: what is listed now is asked for
        begun = time.monotonic()
        with pytest.raises(OSError):
            os.listdir(m / 'prod/hangs')
        assert time.monotonic() - begun < 60
        assert 'hangs' in os.listdir(m / 'beside')
    wait_for(lambda: readable(m / 'prod/hangs'), PATIENCE_S, 'it answers again')


def readable(path):
    with contextlib.suppress(OSError):
        return os.listdir(path)


def test_a_table_is_named_by_its_metadata_file_and_stays_there(lite, mount):
    table = lite.make('sales.orders')
    first = table.metadata_location
    table.append(MORE)
    file = lite.below / 'named.yaml'
    file.write_text(json.dumps({'layers': {'fixed': {'tables': {'orders': table.metadata_location,
                                                                'before': first}}}}))
    m = mount(file)
    assert sorted(os.listdir(m / 'fixed')) == ['before', 'orders']
    assert rows_of(m / 'fixed/orders') == pa.concat_tables([ROWS, MORE])
    assert rows_of(m / 'fixed/before') == ROWS
    table.append(MORE)
    assert rows_of(m / 'fixed/orders') == pa.concat_tables([ROWS, MORE])
