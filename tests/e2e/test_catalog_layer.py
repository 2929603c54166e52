# SPDX-License-Identifier: Apache-2.0
"""Catalogs asked by HTTP as layers of a lake: whose credentials read, what is asked when, what a catalog keeps back."""
import errno
import json
import os
import time

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

from fake.catalog import RestCatalog, UnityCatalog
from support import s3 as s3_support
from support.mounts import wait_for
from support.places import PATIENCE_S

ROWS = pa.table({'id': pa.array([1, 2, 3, 4], pa.int64()), 'region': ['EU', 'US', None, 'EU'],
                 'phone': ['123-4567', '765-4321', None, '55']})
SCHEMA = Schema(NestedField(1, 'id', LongType()), NestedField(2, 'region', StringType()),
                NestedField(3, 'phone', StringType()))


@pytest.fixture
def rest():
    with RestCatalog() as c:
        yield c


@pytest.fixture
def unity():
    with UnityCatalog() as c:
        yield c


class Written:
    """An Iceberg table that PyIceberg writes into a bucket."""

    def __init__(self, s3, tmp_path):
        self.bucket = s3.new_bucket('of-a-catalog')
        self.catalog = SqlCatalog('own', uri='sqlite:///%s/own.db' % tmp_path, warehouse='s3://%s/wh' % self.bucket,
                                  **{'s3.endpoint': s3.url, 's3.access-key-id': s3_support.ACCESS_KEY,
                                     's3.secret-access-key': s3_support.SECRET_KEY, 's3.region': 'us-east-1'})
        self.catalog.create_namespace('sales')
        self.table = self.catalog.create_table('sales.orders', SCHEMA)
        self.table.append(ROWS)

    def answer(self):
        io = self.table.io.new_input(self.table.metadata_location)
        with io.open() as f:
            metadata = json.loads(f.read())
        return {'metadata-location': self.table.metadata_location, 'metadata': metadata}


@pytest.fixture
def written(s3, tmp_path):
    return Written(s3, tmp_path)


def vended(s3, prefix, life_s=3600):
    return [{'prefix': prefix, 'config': {
        's3.access-key-id': s3_support.ACCESS_KEY, 's3.secret-access-key': s3_support.SECRET_KEY,
        's3.session-token-expires-at-ms': str(int((time.time() + life_s) * 1000)), 's3.endpoint': s3.url,
        's3.path-style-access': 'true', 'client.region': 'us-east-1'}}]


def lake_file(below, catalog, **layer):
    path = below / 'lake.yaml'
    path.write_text(json.dumps({'layers': {'prod': {'catalog': catalog, **layer}}}))
    return path


def rows_of(path):
    return ds.dataset(str(path), format='parquet').to_table().sort_by('id')


def test_a_table_is_read_with_what_the_catalog_vends_which_is_renewed_before_it_ends(s3, rest, written, tmp_path, mount):
    rest.add(['sales'], 'orders', **written.answer(),
             **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket, life_s=3)})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}), refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    loads = len(rest.requests('/tables/orders'))
    rest.tables[('sales',), 'orders']['storage-credentials'] = vended(s3, 's3://%s/' % written.bucket)
    time.sleep(3)                                # what was vended first has ended
    written.table.append(ROWS.slice(0, 1))
    rest.tables[('sales',), 'orders'].update(written.answer())
    wait_for(lambda: rows_of(m / 'prod/sales/orders').num_rows == 5, PATIENCE_S, 'the commit is shown')
    assert len(rest.requests('/tables/orders')) > loads


def test_a_table_that_has_not_changed_costs_a_304(s3, rest, written, tmp_path, mount):
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}), refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    time.sleep(0.3)                              # longer than --refresh
    assert rows_of(m / 'prod/sales/orders') == ROWS
    asked = rest.requests('/tables/orders')
    assert 'if-none-match' in asked[-1].headers and 'if-none-match' not in asked[0].headers


def test_what_is_not_vended_is_read_by_own_credentials_where_the_lake_file_says(s3, rest, written, tmp_path, mount):
    rest.add(['sales'], 'orders', **written.answer())
    own = {'endpoint-url': s3.url}
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}, **own), env=s3.env)
    with pytest.raises(PermissionError):
        os.listdir(m / 'prod/sales/orders')
    m.unmount()
    named = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri, 'warehouse': 's3://%s/wh' % written.bucket},
                            **own), env=s3.env)
    assert rows_of(named / 'prod/sales/orders') == ROWS


def restricted(s3, rest, written, restrictions):
    rest.add(['sales'], 'orders', **written.answer(), **{
        'storage-credentials': vended(s3, 's3://%s/' % written.bucket), 'read-restrictions': restrictions})


def test_rows_and_columns_that_the_catalog_keeps_back_are_not_shown(s3, rest, written, tmp_path, mount):
    restricted(s3, rest, written, {
        'required-row-filter': {'type': 'not-eq', 'left': {'type': 'reference', 'id': 2},
                                'right': {'type': 'literal', 'value': 'US'}},
        'required-column-projections': [{'field-id': 3, 'action': 'show-last-4'}]})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}))
    shown = rows_of(m / 'prod/sales/orders')
    assert shown.column('id').to_pylist() == [1, 3, 4]           # not-eq of null is true in Iceberg
    assert shown.column('phone').to_pylist() == ['nnn-4567', None, '55']
    first = written.table.current_snapshot().snapshot_id
    assert rows_of(m / ('prod/sales/orders@%d' % first)) == shown
    assert not (m / 'prod/sales/orders/.tarn/raw').exists()


def test_a_restriction_that_comes_later_holds_from_then_on(s3, rest, written, tmp_path, mount):
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}), refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    rest.tables[('sales',), 'orders']['read-restrictions'] = {
        'required-column-projections': [{'field-id': 3, 'action': 'replace-with-null'}]}
    wait_for(lambda: rows_of(m / 'prod/sales/orders').column('phone').null_count == 4, PATIENCE_S, 'it holds')


@pytest.mark.parametrize('unknown', [
    {'required-column-projections': [{'field-id': 3, 'action': 'shuffle'}]},
    {'required-row-filter': {'type': 'st-within', 'left': {'type': 'reference', 'id': 2}, 'right': {'type': 'literal', 'value': 'x'}}},
    {'required-something': []},
])
def test_a_restriction_that_is_not_known_refuses_the_table(s3, rest, written, tmp_path, mount, unknown):
    restricted(s3, rest, written, unknown)
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}))
    assert os.listdir(m / 'prod/sales') == ['orders']
    with pytest.raises(OSError) as refused:
        os.listdir(m / 'prod/sales/orders')
    assert refused.value.errno == errno.EOPNOTSUPP


def test_a_policy_and_a_catalog_both_count(s3, rest, written, tmp_path, mount):
    restricted(s3, rest, written, {'required-column-projections': [{'field-id': 3, 'action': 'mask-alphanum'}]})
    rest.add(['sales'], 'secret', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    policy = tmp_path / 'policy.yaml'
    policy.write_text('grants:\n- {to: [everyone], tables: [prod/sales/orders]}\n')
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}), policy=policy, **{'as': 'trainer'})
    assert os.listdir(m / 'prod/sales') == ['orders']
    assert rows_of(m / 'prod/sales/orders').column('phone').to_pylist() == ['nnn-nnnn', 'nnn-nnnn', None, 'nn']


def test_what_a_catalog_has_told_is_shown_while_it_fails(s3, rest, written, tmp_path, mount):
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}), refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    before = len(rest.requests('/tables/orders'))
    rest.refuse(400, 'BadRequestException', path='/tables/orders', times=1000)

    def asked_and_shown():
        assert rows_of(m / 'prod/sales/orders') == ROWS
        return len(rest.requests('/tables/orders')) > before
    wait_for(asked_and_shown, PATIENCE_S, 'the catalog is asked, and refuses')


def test_delta_tables_of_unity_catalog(s3, unity, tmp_path, mount):
    bucket = s3.new_bucket('of-unity')
    write_deltalake('s3://%s/t/orders' % bucket, ROWS, storage_options={
        'AWS_ENDPOINT_URL': s3.url, 'AWS_ACCESS_KEY_ID': s3_support.ACCESS_KEY, 'AWS_SECRET_ACCESS_KEY': s3_support.SECRET_KEY,
        'AWS_ALLOW_HTTP': 'true', 'AWS_REGION': 'us-east-1', 'AWS_S3_ALLOW_UNSAFE_RENAME': 'true'})
    unity.add('main.sales.orders', 's3://%s/t/orders' % bucket)
    m = mount(lake_file(tmp_path, {'type': 'unity', 'uri': unity.uri, 'warehouse': 'main', 'vended-credentials': False},
                        outside=['s3://%s/t' % bucket], **{'endpoint-url': s3.url}), env=s3.env)
    assert os.listdir(m / 'prod') == ['sales']
    assert rows_of(m / 'prod/sales/orders') == ROWS
    assert m.xattr('prod/sales/orders', 'format') == 'delta'
