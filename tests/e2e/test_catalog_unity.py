# SPDX-License-Identifier: Apache-2.0
"""Unity Catalog's own API for Delta tables, asked by `tarn catalog`: a stand-in by its published OpenAPI text."""
import time

import pytest

from fake.catalog import UnityCatalog
from support.catalogs import SECRET, lines, refusal


@pytest.fixture
def catalog():
    with UnityCatalog() as c:
        c.tokens[SECRET] = time.time() + 1000
        c.env = {'TARN_CATALOG_TOKEN': SECRET}
        yield c


def test_catalogs_schemas_tables(catalog):
    """Catalogs, schemas and tables are three levels, or two below the catalog that is named; all in pages."""
    catalog.page_size = 2
    for i in range(5):
        catalog.add('main.s%d.t' % i, 's3://b/%d' % i)
        catalog.add('main.s0.t%d' % i, 's3://b/0%d' % i)
        catalog.add('other%d.s.t' % i, 's3://c')
    catalog.add('main.s0.v', '', table_type='VIEW')
    assert lines(catalog) == ['main/'] + ['other%d/' % i for i in range(5)]
    assert lines(catalog, 'main') == ['s%d/' % i for i in range(5)]
    assert lines(catalog, 'main', 's0') == ['t'] + ['t%d' % i for i in range(5)]
    assert lines(catalog, '--warehouse', 'main') == ['s%d/' % i for i in range(5)]
    assert lines(catalog, 's0', '--warehouse', 'main') == lines(catalog, 'main', 's0')


def test_a_delta_table(catalog):
    """Its location, and credentials that the catalog makes for reading it."""
    catalog.add('main.s.t', 's3://bucket/t')
    catalog.credentials['id-of-main.s.t'] = {
        'aws_temp_credentials': {'access_key_id': 'AKTEMP', 'secret_access_key': SECRET, 'session_token': SECRET},
        'expiration_time': 4102444800000, 'url': 's3://bucket/t'}
    told = lines(catalog, 'main', 's', '--table', 't')
    assert {'format: delta', 'location: s3://bucket/t', 'uuid: id-of-main.s.t',
            'credentials of the location: vended', 'credentials until: 2100-01-01T00:00:00Z'} <= set(told)
    assert 'credentials of the location: none are vended' in lines(catalog, 'main', 's', '--table', 't',
                                                                   '--no-vended')


@pytest.mark.parametrize('location, vended', [
    ('gs://bucket/t', {'gcp_oauth_token': {'oauth_token': SECRET}}),
    ('abfss://c@acc.dfs.core.windows.net/t', {'azure_user_delegation_sas': {'sas_token': SECRET}})])
def test_credentials_of_other_clouds(catalog, location, vended):
    """Google's tokens and Azure's signatures count where the table lies."""
    catalog.add('main.s.t', location)
    catalog.credentials['id-of-main.s.t'] = {**vended, 'expiration_time': 4102444800000}
    told = lines(catalog, 'main', 's', '--table', 't')
    assert 'credentials of the location: vended' in told
    assert 'credentials until: 2100-01-01T00:00:00Z' in told


def test_a_local_table_needs_none(catalog):
    """Nobody is asked for credentials of a directory."""
    catalog.add('main.s.t', 'file:///tmp/t')
    assert 'credentials of the location: none are vended' in lines(catalog, 'main', 's', '--table', 't')
    assert not catalog.requests('/temporary-table-credentials')


def test_what_is_refused(catalog):
    """Other formats, views and tables with policies of the catalog's own are refused with their reason."""
    catalog.add('main.s.csv', 's3://b/csv', data_source_format='CSV')
    catalog.add('main.s.ice', 's3://b/ice', data_source_format='ICEBERG')
    catalog.add('main.s.v', '', table_type='VIEW')
    catalog.add('main.s.rows', 's3://b/r', row_filter={'function_name': 'f'})
    catalog.add('main.s.cells', 's3://b/c', columns=[{'name': 'c', 'mask': {'function_name': 'f'}}])
    for name, word in (('csv', 'CSV'), ('ice', 'REST'), ('v', 'view'), ('rows', 'row_filter'), ('cells', 'mask')):
        said = refusal(catalog, 'main', 's', '--table', name)
        assert 'Operation not supported' in said and word in said and 'main.s.' + name in said


def test_errors(catalog):
    """No such table is ENOENT, no right EACCES, a broken server EIO."""
    catalog.add('main.s.t', 's3://b/t')
    assert 'No such file or directory' in refusal(catalog, 'main', 's', '--table', 'u')
    assert 'No such file or directory' in refusal(catalog, 'nope')
    assert 'No such file or directory' in refusal(catalog, 'main', 'nope')
    assert 'Permission denied' in refusal(catalog, 'main', 's', '--table', 't')     # nothing is vended
    assert 'Permission denied' in refusal(catalog, env={'TARN_CATALOG_TOKEN': 'wrong'})
    catalog.refuse(500, 'INTERNAL', 'main.s.t', times=10000)
    assert 'Input/output error' in refusal(catalog, 'main', 's', '--table', 't', '-o', 'deadline=2')
