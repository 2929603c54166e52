# SPDX-License-Identifier: Apache-2.0
"""Layers whose tables a REST catalog or Unity Catalog knows, in an S3 server that only the catalog's credentials open."""
import errno
import json
import os
import time

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog

from fake.catalog import RestCatalog, UnityCatalog
from support.mounts import wait_for
from support.places import PATIENCE_S
from support.s3 import ACCESS_KEY, SECRET_KEY

ROWS = pa.table({'id': pa.array([1, 2, 3, 4], pa.int64()), 'region': ['EU', 'US', 'EU', None],
                 'name': ['ann', 'bob', 'cyd', 'dan']})
MORE = pa.table({'id': pa.array([5], pa.int64()), 'region': ['EU'], 'name': ['eve']})
ENDPOINT = 'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials'


def keys(life_s=3600, secret=SECRET_KEY):
    return {'s3.access-key-id': ACCESS_KEY, 's3.secret-access-key': secret,
            's3.session-token-expires-at-ms': str(int((time.time() + life_s) * 1000))}


class Writer:
    """Tables of PyIceberg's in a bucket, of which the catalog tells."""

    def __init__(self, rest, s3, bucket, tmp_path):
        self.rest, self.s3, self.tmp_path = rest, s3, tmp_path
        self.io = {'s3.endpoint': s3.url, 's3.region': 'us-east-1', 's3.access-key-id': ACCESS_KEY,
                   's3.secret-access-key': SECRET_KEY, 's3.path-style-access': 'true'}
        self.catalog = SqlCatalog('w', uri='sqlite:///%s/w.db' % tmp_path, warehouse='s3://%s/wh' % bucket, **self.io)
        self.life_s = 3600

    def make(self, *levels, rows=ROWS, **more):
        self.catalog.create_namespace_if_not_exists(levels[:-1])
        table = self.catalog.create_table(levels, rows.schema)
        table.append(rows)
        self.tell(levels, table, **more)
        return table

    def tell(self, levels, table, **more):
        """What the catalog says of it now."""
        with table.io.new_input(table.metadata_location).open() as f:
            metadata = json.loads(f.read())
        self.rest.add(list(levels[:-1]), levels[-1], **{
            'config': {'s3.endpoint': self.s3.url, 's3.region': 'us-east-1', 's3.path-style-access': 'true'},
            'storage-credentials': [{'prefix': table.location(), 'config': keys(self.life_s)}], **more})
        self.rest.tables[tuple(levels[:-1]), levels[-1]].update(
            {'metadata': metadata, 'metadata-location': table.metadata_location})

    def file(self, **catalog):
        path = self.tmp_path / 'lake.yaml'
        path.write_text(json.dumps({'layers': {'prod': {'catalog': {'type': 'rest', 'uri': self.rest.uri, **catalog}}}}))
        return path


@pytest.fixture
def rest():
    with RestCatalog() as catalog:
        yield catalog


@pytest.fixture
def writer(rest, s3, bucket, tmp_path):
    return Writer(rest, s3, bucket, tmp_path)


def rows_of(path):
    return ds.dataset(str(path), format='parquet').to_table().sort_by('id')


def test_namespaces_are_directories_and_the_catalogs_credentials_open_the_tables(writer, mount):
    """Who mounts has no key of the store's: every table is read with what is vended for it."""
    writer.make('sales', 'emea', 'orders')
    writer.make('sales', 'all', rows=MORE)
    m = mount(writer.file())
    assert sorted(os.listdir(m / 'prod/sales')) == ['all', 'emea']
    assert rows_of(m / 'prod/sales/emea/orders') == ROWS
    assert rows_of(m / 'prod/sales/all') == MORE


def test_nothing_is_read_where_the_catalog_vends_nothing(writer, mount):
    """Without credentials of its own the mount cannot open the table, and says why."""
    writer.make('sales', 'orders', **{'storage-credentials': []})
    m = mount(writer.file())
    assert os.listdir(m / 'prod/sales') == ['orders']
    with pytest.raises(PermissionError):
        os.listdir(m / 'prod/sales/orders')
    assert SECRET_KEY not in (m.cache / 'tarn.log').read_text()


def test_credentials_are_renewed_before_they_end(writer, rest, mount):
    """Credentials that live for seconds are asked for again, and the table goes on being read."""
    writer.life_s = 4
    table = writer.make('sales', 'orders')
    rest.endpoints = [ENDPOINT]
    rest.credentials = [{'prefix': table.location(), 'config': keys(4)}]
    m = mount(writer.file(), refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    first = len(rest.requests('/credentials'))
    end = time.time() + 4
    wait_for(lambda: time.time() > end, PATIENCE_S, 'the credentials have ended')
    rest.credentials = [{'prefix': table.location(), 'config': keys()}]
    table.append(MORE)
    writer.tell(('sales', 'orders'), table)
    wait_for(lambda: rows_of(m / 'prod/sales/orders').num_rows == 5, PATIENCE_S, 'the commit is shown')
    assert len(rest.requests('/credentials')) > first


def test_the_catalog_is_asked_whether_the_table_has_changed(writer, rest, mount):
    """A commit is seen, and while there is none the catalog answers that nothing has changed."""
    table = writer.make('sales', 'orders')
    m = mount(writer.file(), refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    wait_for(lambda: os.listdir(m / 'prod/sales/orders') and
             [s for s in rest.requests('/tables/orders') if 'if-none-match' in s.headers],
             PATIENCE_S, 'the catalog is asked with the ETag')
    table.append(MORE)
    writer.tell(('sales', 'orders'), table)
    wait_for(lambda: rows_of(m / 'prod/sales/orders').num_rows == 5, PATIENCE_S, 'the commit is shown')


def test_rows_and_columns_that_the_catalog_restricts(writer, mount):
    """Rows that the filter does not keep are not there, a masked column has nulls, for everybody."""
    table = writer.make('sales', 'orders')
    ids = {f.name: f.field_id for f in table.schema().fields}
    writer.tell(('sales', 'orders'), table, **{'read-restrictions': {
        'required-row-filter': {'type': 'eq', 'left': {'type': 'reference', 'id': ids['region']}, 'right': 'EU'},
        'required-column-projections': [{'field-id': ids['name'], 'action': 'replace-with-null'}]}})
    m = mount(writer.file())
    found = rows_of(m / 'prod/sales/orders')
    assert found['id'].to_pylist() == [1, 3]
    assert found['region'].to_pylist() == ['EU', 'EU']
    assert found['name'].to_pylist() == [None, None]


@pytest.mark.parametrize('restrictions', [
    {'required-column-projections': [{'field-id': 3, 'action': 'blur'}]},
    {'required-row-filter': {'type': 'like', 'left': {'type': 'reference', 'id': 1}, 'right': 'x'}},
    {'something-new': True}])
def test_a_restriction_that_is_not_known_refuses_the_table(writer, mount, restrictions):
    """The whole table is refused, with the catalog's word in the reason; others are read."""
    writer.make('sales', 'orders', **{'read-restrictions': restrictions})
    writer.make('sales', 'other')
    m = mount(writer.file())
    with pytest.raises(OSError) as e:
        os.listdir(m / 'prod/sales/orders')
    assert e.value.errno == errno.EOPNOTSUPP
    assert 'not known here' in m.xattr('prod/sales/orders', 'error')
    assert rows_of(m / 'prod/sales/other') == ROWS


def test_a_catalog_that_fails_is_never_an_empty_one(writer, rest, mount):
    """While it answers 503 nothing looks deleted or empty: what nobody has seen yet is an I/O error, and comes back."""
    writer.make('sales', 'orders')
    writer.make('other', 'new')
    m = mount(writer.file(), refresh=0.1, deadline=2)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    rest.refuse(503, 'ServiceUnavailableException', times=10 ** 6)
    for ask, path in ((os.listdir, 'prod/other'), (os.stat, 'prod/other/new'), (os.listdir, 'prod/other/new')):
        with pytest.raises(OSError) as e:
            ask(m / path)
        assert e.value.errno == errno.EIO, path
    rest.refusals.clear()

    def read():
        try:
            return [rows_of(m / 'prod' / t) for t in ('sales/orders', 'other/new')] == [ROWS, ROWS]
        except OSError as error:
            assert error.errno == errno.EIO
    wait_for(read, PATIENCE_S, 'the tables are read again')


def test_client_credentials_of_a_file(writer, rest, mount, tmp_path):
    """The lake file names a file with the client's credential; neither is in logs."""
    secret = tmp_path / 'credential'
    secret.write_text('me:hunter2-of-the-client')
    rest.clients['me'] = 'hunter2-of-the-client'
    writer.make('sales', 'orders')
    m = mount(writer.file(**{'credential-file': str(secret)}))
    assert rows_of(m / 'prod/sales/orders') == ROWS
    log = (m.cache / 'tarn.log').read_text()
    assert 'hunter2' not in log and SECRET_KEY not in log and 'token-1' not in log


def test_delta_tables_of_unity_catalog(s3, bucket, mount, tmp_path):
    """A Delta table that Unity Catalog knows is read with the credentials that it makes for it."""
    for name, rows in (('orders', ROWS), ('more', MORE)):
        write_deltalake(str(tmp_path / name), rows)
        s3.copy_tree(tmp_path / name, bucket, 'tables/' + name)
    with UnityCatalog() as unity:
        for name in ('orders', 'more'):
            unity.add('main.sales.' + name, 's3://%s/tables/%s' % (bucket, name))
            unity.credentials['id-of-main.sales.' + name] = {
                'aws_temp_credentials': {'access_key_id': ACCESS_KEY, 'secret_access_key': SECRET_KEY},
                'expiration_time': int((time.time() + 3600) * 1000)}
        (tmp_path / 'lake.yaml').write_text(json.dumps({'layers': {'uc': {
            'endpoint-url': s3.url,
            'catalog': {'type': 'unity', 'uri': unity.uri, 'warehouse': 'main'}}}}))
        m = mount(tmp_path / 'lake.yaml')
        assert os.listdir(m / 'uc') == ['sales']
        assert sorted(os.listdir(m / 'uc/sales')) == ['more', 'orders']
        assert rows_of(m / 'uc/sales/orders') == ROWS
        assert m.xattr('uc/sales/orders', 'format') == 'delta'
        assert rows_of(m / 'uc/sales/more@0') == MORE
