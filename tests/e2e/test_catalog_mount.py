# SPDX-License-Identifier: Apache-2.0
"""Layers whose tables a REST catalog knows, in an S3 server that only the catalog's credentials open."""
import errno
import json
import os
import time

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from fake.catalog import RestCatalog
from support.mounts import wait_for
from support.places import PATIENCE_S
from support.s3 import ACCESS_KEY, SECRET_KEY

ROWS = pa.table({'id': pa.array([1, 2, 3, 4], pa.int64()), 'region': ['EU', 'US', 'EU', None],
                 'name': ['ann', 'bob', 'cyd', 'dan']})
MORE = pa.table({'id': pa.array([5], pa.int64()), 'region': ['EU'], 'name': ['eve']})


def keys():
    return {'s3.access-key-id': ACCESS_KEY, 's3.secret-access-key': SECRET_KEY,
            's3.session-token-expires-at-ms': str(int((time.time() + 3600) * 1000))}


class Writer:
    """Tables of PyIceberg's in a bucket, of which the catalog tells."""

    def __init__(self, rest, s3, bucket, tmp_path):
        self.rest, self.s3, self.tmp_path = rest, s3, tmp_path
        self.io = {'s3.endpoint': s3.url, 's3.region': 'us-east-1', 's3.access-key-id': ACCESS_KEY,
                   's3.secret-access-key': SECRET_KEY, 's3.path-style-access': 'true'}
        self.catalog = SqlCatalog('w', uri='sqlite:///%s/w.db' % tmp_path, warehouse='s3://%s/wh' % bucket, **self.io)

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
            'storage-credentials': [{'prefix': table.location(), 'config': keys()}], **more})
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
