# SPDX-License-Identifier: Apache-2.0
"""Catalogs asked by HTTP as layers of a lake: whose credentials read, what is asked when, what a catalog keeps back."""
import errno
import json
import os
import time

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

from fake.catalog import RestCatalog, UnityCatalog
from support import azure, s3 as s3_support
from support.mounts import run_tarn, wait_for
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
    assert 'if-none-match' not in rest.requests('/tables/orders')[0].headers

    def asked_by_etag():
        assert rows_of(m / 'prod/sales/orders') == ROWS
        return 'if-none-match' in rest.requests('/tables/orders')[-1].headers
    wait_for(asked_by_etag, PATIENCE_S, 'it is asked with the ETag')


def test_an_etag_that_does_not_tell_of_restrictions_does_not_hide_them(s3, rest, written, tmp_path, mount):
    """Apache Polaris makes ETags of the metadata's location alone."""
    rest.etags_of_locations = True
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}), refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    rest.tables[('sales',), 'orders']['read-restrictions'] = {
        'required-column-projections': [{'field-id': 3, 'action': 'replace-with-null'}]}
    wait_for(lambda: rows_of(m / 'prod/sales/orders').column('phone').null_count == 4, 30, 'it holds')


def test_what_is_vended_comes_before_what_the_layer_says_of_credentials(s3, rest, written, tmp_path, mount):
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}, **{'no-sign-request': True}))
    assert rows_of(m / 'prod/sales/orders') == ROWS


def test_the_key_of_objects_does_not_go_where_a_catalog_says(s3, rest, written, tmp_path, mount):
    """With it the store would be refused: it may not travel without TLS to another host."""
    credentials = vended(s3, 's3://%s/' % written.bucket)
    credentials[0]['config']['s3.endpoint'] = s3.url.replace('127.0.0.1', 'localhost')
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': credentials})
    key = tmp_path / 'key'
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}), sse_c_key_file=key)
    assert rows_of(m / 'prod/sales/orders') == ROWS


def test_two_tables_for_which_one_place_is_vended_are_both_read(s3, rest, written, tmp_path, mount):
    other = written.catalog.create_table('sales.other', SCHEMA)
    other.append(ROWS)
    for name, table in ('orders', written.table), ('other', other):
        written.table = table
        rest.add(['sales'], name, **written.answer(),
                 **{'storage-credentials': vended(s3, 's3://%s/wh' % written.bucket)})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}))
    assert rows_of(m / 'prod/sales/orders') == ROWS
    assert rows_of(m / 'prod/sales/other') == ROWS


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


def test_the_secret_for_a_catalog_comes_from_a_file_or_from_who_mounts(s3, rest, written, tmp_path, mount):
    rest.clients = {'reader': 'hunter2'}
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    secret = tmp_path / 'secret'
    secret.write_text('reader:hunter2\n')
    by_file = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri, 'credential-file': str(secret)}))
    assert rows_of(by_file / 'prod/sales/orders') == ROWS
    by_file.unmount()
    catalog = {'type': 'rest', 'uri': rest.uri}
    by_environment = mount(lake_file(tmp_path, catalog), env={'TARN_CATALOG_CREDENTIAL': 'reader:hunter2'})
    assert rows_of(by_environment / 'prod/sales/orders') == ROWS
    by_environment.unmount()
    (tmp_path / 'mnt').mkdir()
    refused = run_tarn('mount', lake_file(tmp_path, catalog), tmp_path / 'mnt', '--cache-dir', tmp_path / 'cache',
                       env={'TARN_CATALOG_CREDENTIAL': 'reader:hunter3'})
    assert refused.returncode != 0 and 'lake.yaml:1:' in refused.stderr and 'hunter' not in refused.stderr


def two_layers(below, s3, catalog, other, **layer):
    path = below / 'lake.yaml'
    path.write_text(json.dumps({'layers': {
        'prod': {'catalog': catalog, **layer},
        'raw': {'url': other, 'endpoint-url': s3.url, 'region': 'us-east-1'}}}))
    return path


@pytest.mark.parametrize('of_raw', ['wh', 'wh/sales/orders', 'wh/sales/orders/data'])
def test_a_table_that_is_vended_has_no_objects_of_another_layer(s3, rest, written, tmp_path, mount, of_raw):
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    m = mount(two_layers(tmp_path, s3, {'type': 'rest', 'uri': rest.uri}, 's3://%s/%s' % (written.bucket, of_raw)),
              env=s3.env)
    with pytest.raises(PermissionError):
        os.listdir(m / 'prod/sales/orders')


def test_a_table_that_is_vended_may_lie_in_another_layer_by_the_lake_files_word(s3, rest, written, tmp_path, mount):
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    warehouse = 's3://%s/wh' % written.bucket
    m = mount(two_layers(tmp_path, s3, {'type': 'rest', 'uri': rest.uri, 'warehouse': warehouse}, warehouse), env=s3.env)
    assert rows_of(m / 'prod/sales/orders') == ROWS


def test_an_object_of_another_layer_needs_that_layers_grant_whatever_is_vended(s3, rest, written, tmp_path, mount):
    raw = 's3://%s/raw' % written.bucket
    with written.table.io.new_output(raw + '/t/x.parquet').create() as f:
        pq.write_table(ROWS, f)
    written.table.add_files([raw + '/t/x.parquet'])
    rest.add(['sales'], 'orders', **written.answer(), **{
        'storage-credentials': vended(s3, 's3://%s/wh/' % written.bucket) + vended(s3, 's3://%s' % written.bucket)})
    lake = two_layers(tmp_path, s3, {'type': 'rest', 'uri': rest.uri}, raw)
    policy = tmp_path / 'policy.yaml'
    policy.write_text('grants:\n- {to: [everyone], tables: ["prod/**", "raw/**"]}\n')
    m = mount(lake, policy=policy, env=s3.env, **{'as': 'trainer'})
    assert rows_of(m / 'prod/sales/orders').num_rows == 2 * ROWS.num_rows
    m.unmount()
    policy.write_text('grants:\n- {to: [everyone], tables: ["prod/**"]}\n')
    m = mount(lake, policy=policy, env=s3.env, **{'as': 'trainer'})
    with pytest.raises(OSError):
        rows_of(m / 'prod/sales/orders')


def test_what_another_table_is_vended_too_does_not_refuse_a_table(s3, rest, written, tmp_path, mount):
    other = written.catalog.create_table('sales.returns', SCHEMA)
    other.append(ROWS)
    io = other.io.new_input(other.metadata_location)
    with io.open() as f:
        answer = {'metadata-location': other.metadata_location, 'metadata': json.loads(f.read())}
    both = vended(s3, 's3://%s/wh/sales/' % written.bucket) + vended(s3, 's3://%s/shared' % written.bucket)
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': both})
    rest.add(['sales'], 'returns', **answer, **{'storage-credentials': both})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}))
    assert rows_of(m / 'prod/sales/orders') == ROWS
    assert rows_of(m / 'prod/sales/returns') == ROWS


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


@pytest.mark.parametrize('table', ['orders@%(id)d', 'orders@%(time)s', 'orders'])
def test_a_refusal_that_comes_later_holds_in_every_version_and_for_what_was_looked_up(s3, rest, written, tmp_path, mount, table):
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}), refresh=0.1)
    first = written.table.current_snapshot()
    written.table.append(ROWS)
    at = time.gmtime(first.timestamp_ms / 1000 + 1)
    rest.tables[('sales',), 'orders'].update(written.answer())
    below = m / 'prod/sales' / (table % {'id': first.snapshot_id, 'time': time.strftime('%Y-%m-%dT%H:%M:%SZ', at)})
    wait_for(lambda: time.time() > first.timestamp_ms / 1000 + 1, PATIENCE_S, 'that time is past')
    file = next(p for p in below.rglob('*.parquet'))
    known = os.open(file, os.O_PATH)             # the inode, whatever becomes of its name
    try:
        rest.tables[('sales',), 'orders']['read-restrictions'] = {'required-something': []}

        def refused():
            for ask in (lambda: os.close(os.open('/proc/self/fd/%d' % known, os.O_RDONLY)), file.read_bytes):
                try:
                    ask()
                except OSError as e:
                    assert e.errno == errno.EOPNOTSUPP
                else:
                    return False
            return True
        wait_for(refused, PATIENCE_S, 'it is refused')
    finally:
        os.close(known)


def test_masks_that_come_later_hold_in_a_version_that_nothing_else_moves(s3, rest, written, tmp_path, mount):
    """Nobody looks at the live path: reading an old version is enough for the catalog to be asked."""
    rest.add(['sales'], 'orders', **written.answer(), **{'storage-credentials': vended(s3, 's3://%s/' % written.bucket)})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}), refresh=0.1)
    old = m / ('prod/sales/orders@%d' % written.table.current_snapshot().snapshot_id)
    assert rows_of(old) == ROWS
    rest.tables[('sales',), 'orders']['read-restrictions'] = {
        'required-column-projections': [{'field-id': 3, 'action': 'replace-with-null'}]}
    wait_for(lambda: rows_of(old).column('phone').null_count == 4, PATIENCE_S, 'it holds')


def test_raw_files_are_closed_where_only_a_column_that_is_gone_is_kept_back(s3, rest, written, tmp_path, mount):
    """No schema of today names it, and the files still have it."""
    restricted(s3, rest, written, {'required-column-projections': [{'field-id': 99, 'action': 'replace-with-null'}]})
    m = mount(lake_file(tmp_path, {'type': 'rest', 'uri': rest.uri}))
    assert rows_of(m / 'prod/sales/orders') == ROWS
    assert not (m / 'prod/sales/orders/.tarn/raw').exists()
    assert not list((m / 'prod/sales/orders/.tarn').glob('raw/*'))


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


@pytest.fixture
def azurite(tmp_path_factory):
    server = azure.Server(tmp_path_factory.mktemp('azurite'))
    yield server
    server.stop()


def test_delta_tables_in_azure_are_read_with_a_sas_that_unity_vends(azurite, unity, tmp_path, mount):
    write_deltalake(tmp_path / 'own/orders', ROWS)
    container = azurite.make_container('vended')
    azurite.copy_tree(tmp_path / 'own', container)
    unity.add('main.sales.orders', 'abfss://vended@%s.dfs.core.windows.net/orders' % azure.ACCOUNT)
    sas = {'azure_user_delegation_sas': {'sas_token': azure.container_sas('vended')}}
    unity.credentials['id-of-main.sales.orders'] = sas
    m = mount(lake_file(tmp_path, {'type': 'unity', 'uri': unity.uri, 'warehouse': 'main'},
                        **{'endpoint-url': azurite.url}), refresh=0.1)
    assert rows_of(m / 'prod/sales/orders') == ROWS
    assert all('sig=' not in s.path + s.query for s in unity.requests())


def add_table_in_google_s_bucket(gcs, unity, tmp_path):
    """Of which Unity vends a token."""
    write_deltalake(tmp_path / 'own/orders', ROWS)
    bucket = gcs.new_bucket('of-unity')
    gcs.copy_tree(tmp_path / 'own', bucket)
    unity.add('main.sales.orders', 'gs://%s/orders' % bucket)
    unity.credentials['id-of-main.sales.orders'] = {
        'gcp_oauth_token': {'oauth_token': 'a-token'}, 'expiration_time': int((time.time() + 3600) * 1000)}


def test_delta_tables_in_google_s_buckets_are_read_with_a_token_that_unity_vends(gcs, unity, tmp_path, mount):
    add_table_in_google_s_bucket(gcs, unity, tmp_path)
    m = mount(lake_file(tmp_path, {'type': 'unity', 'uri': unity.uri, 'warehouse': 'main'}, **{'endpoint-url': gcs.url}))
    assert rows_of(m / 'prod/sales/orders') == ROWS


def test_the_server_of_a_mount_is_not_asked_for_tables_in_google_s_buckets(gcs, unity, tmp_path, mount):
    """`--endpoint-url` is of S3: what is vended for another store must not be sent there."""
    add_table_in_google_s_bucket(gcs, unity, tmp_path)
    m = mount(lake_file(tmp_path, {'type': 'unity', 'uri': unity.uri, 'warehouse': 'main'}),
              endpoint_url='http://127.0.0.1:9', env={'STORAGE_EMULATOR_HOST': gcs.url})
    assert rows_of(m / 'prod/sales/orders') == ROWS
