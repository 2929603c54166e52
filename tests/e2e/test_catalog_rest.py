# SPDX-License-Identifier: Apache-2.0
"""Catalogs by Iceberg's REST protocol, asked by `tarn catalog`: lists, tables, who asks, and what goes wrong."""
import time

import pytest

from fake.catalog import Refused, RestCatalog
from support.catalogs import SECRET, lines, refusal
from support.mounts import run_tarn

CREDENTIALS_ENDPOINT = 'GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials'


@pytest.fixture
def catalog():
    with RestCatalog() as c:
        yield c


def s3_config(key):
    return {'s3.access-key-id': key, 's3.secret-access-key': SECRET, 's3.session-token': SECRET,
            's3.session-token-expires-at-ms': '4102444800000'}


# names

def test_namespaces_of_several_levels(catalog):
    """Each level lists the one below it and the tables in it."""
    catalog.add(['sales', 'emea', 'north'], 'orders')
    catalog.add(['sales'], 'all')
    assert lines(catalog) == ['sales/']
    assert lines(catalog, 'sales') == ['emea/', 'all']
    assert lines(catalog, 'sales', 'emea') == ['north/']
    assert lines(catalog, 'sales', 'emea', 'north') == ['orders']


def test_names_of_any_bytes(catalog):
    """Blanks, slashes, percent signs and letters of the world are asked for as the catalog has them."""
    for name in ('a b', 'a/b', '50%', 'a+b&c=d', 'é漢', 'a.b', '..'):
        catalog.add(['x ' + name, name], name)
    for name in ('a b', 'a/b', '50%', 'a+b&c=d', 'é漢', 'a.b', '..'):
        assert lines(catalog, 'x ' + name) == [name + '/']
        assert lines(catalog, 'x ' + name, name) == [name]
        assert 'uuid: uuid-of-' + name in lines(catalog, 'x ' + name, name, '--table', name)


def test_lists_come_in_pages(catalog):
    """All pages are asked for, one after the other."""
    catalog.page_size = 3
    for i in range(10):
        catalog.add(['n%d' % i], 't')
        catalog.add(['n0'], 't%d' % i)
    assert lines(catalog) == ['n%d/' % i for i in range(10)]
    assert lines(catalog, 'n0') == sorted(['t'] + ['t%d' % i for i in range(10)])
    assert len(catalog.requests('/tables')) == 4


def test_a_page_that_never_ends(catalog):
    """A server that names the same page again and again is refused, not asked for ever."""
    catalog.add(['a'], 't')
    catalog.page = lambda names, query, of_token: (names, 'again')
    assert 'the same page' in refusal(catalog)


def test_a_catalog_of_one_level(catalog):
    """Who says that namespaces do not nest has none below others, and lists its tables."""
    catalog.nested = False
    catalog.add(['db'], 't')
    assert lines(catalog) == ['db/']
    assert lines(catalog, 'db') == ['t']


def test_a_later_page_that_fails_is_no_end_of_the_list(catalog):
    """Who told some namespaces below another one and then refuses has not told all."""
    catalog.add(['a', 'one'], 't')
    catalog.add(['a', 'two'], 't')
    catalog.page_size = 1
    page = catalog.page

    def first_page_alone(names, query, of_token):
        if of_token + '=page' in query:
            raise Refused(400, 'BadRequestException', 'the token has expired')
        return page(names, query, of_token)
    catalog.page = first_page_alone
    assert 'the token has expired' in refusal(catalog, 'a')


@pytest.mark.parametrize('separator', ['.', '~~'])
def test_the_servers_own_separator(separator):
    """Levels are joined as the catalog's configuration says."""
    with RestCatalog(separator=separator) as catalog:
        catalog.add(['a', 'b c'], 't')
        assert lines(catalog, 'a') == ['b c/']
        assert lines(catalog, 'a', 'b c') == ['t']


# configuration

def test_warehouse_and_prefix():
    """The warehouse is told first, and the prefix that comes back stands in every path."""
    with RestCatalog(prefix='catalogs/main') as catalog:
        catalog.warehouses = ['main house']
        catalog.add(['a'], 't')
        assert lines(catalog, '--warehouse', 'main house') == ['a/']
        assert catalog.requests()[-1].path == '/iceberg/v1/catalogs/main/namespaces'
        said = refusal(catalog, '--warehouse', 'other')
        assert 'NoSuchWarehouseException' in said and 'Input/output error' in said


def test_another_uri_on_the_same_host(catalog):
    """A catalog may say that it lies at another path; at another host it is not followed."""
    catalog.add(['a'], 't')
    catalog.overrides['uri'] = catalog.url + '/iceberg/'
    assert lines(catalog) == ['a/']
    catalog.overrides['uri'] = 'http://example.invalid/iceberg'
    assert 'http://example.invalid/iceberg: name that as its URI' in refusal(catalog)


# tables

def test_a_table(catalog):
    """Location, metadata file, credentials by prefix; no secret is shown."""
    catalog.add(['a'], 't', config={'client.region': 'eu-west-1', 'secret.of.some.kind': SECRET},
                **{'storage-credentials': [{'prefix': 's3://bucket/a/', 'config': s3_config('AKVENDED')}]})
    told = lines(catalog, 'a', '--table', 't')
    assert 'location: s3://bucket/a/t' in told
    assert 'metadata file: s3://bucket/a/t/metadata/00000.metadata.json' in told
    assert 'config: client.region = eu-west-1' in told
    assert 'credentials of the location: vended' in told
    assert 'credentials until: 2100-01-01T00:00:00Z' in told
    assert 'credentials of the location: none are vended' in lines(catalog, 'a', '--table', 't', '--no-vended')


def test_a_table_that_has_not_changed(catalog):
    """An ETag of before brings no table again, a new one does."""
    catalog.add(['a'], 't')
    etag = [w for w in lines(catalog, 'a', '--table', 't') if w.startswith('etag: ')][0][len('etag: '):]
    assert lines(catalog, 'a', '--table', 't', '--etag', etag) == ['not changed']
    catalog.add(['a'], 't', config={'x': 'y'})
    assert 'format: iceberg' in lines(catalog, 'a', '--table', 't', '--etag', etag)


@pytest.mark.parametrize('has_endpoint', [True, False])
def test_credentials_anew(catalog, has_endpoint):
    """They come from where the catalog has them alone, and else with the table."""
    catalog.add(['a'], 't', **{'storage-credentials': [{'prefix': 's3', 'config': s3_config('FROMTABLE')}]})
    catalog.credentials = [{'prefix': 's3', 'config': s3_config('ANEW')}]
    catalog.endpoints = [CREDENTIALS_ENDPOINT] if has_endpoint else []
    told = lines(catalog, 'a', '--table', 't', '--credentials')
    assert 'credentials for: s3' in told
    assert ('format: iceberg' in told) and bool(catalog.requests('/credentials')) == has_endpoint
    assert ('location: s3://bucket/a/t' in told) == (not has_endpoint)


def test_restrictions(catalog):
    """What rows and columns are restricted to is told by field ids."""
    reference = {'type': 'reference', 'id': 2}
    catalog.add(['a'], 't', **{'read-restrictions': {
        'required-column-projections': [{'field-id': 5, 'action': 'sha-256-global'}],
        'required-row-filter': {'type': 'or', 'left': {'type': 'eq', 'left': reference, 'right': 'EU'},
                                'right': {'type': 'is-null', 'child': reference}}}})
    told = lines(catalog, 'a', '--table', 't')
    assert 'column: field 5 sha-256-global' in told
    assert 'rows: (field 2 = "EU" or field 2 is null)' in told


def test_an_unknown_restriction(catalog):
    """A table with a restriction of the future is not read at all."""
    catalog.add(['a'], 't', **{'read-restrictions': {
        'required-column-projections': [{'field-id': 5, 'action': 'blur'}]}})
    said = refusal(catalog, 'a', '--table', 't')
    assert 'Operation not supported' in said and '"blur"' in said and 'table a.t' in said


def test_the_server_wants_to_plan(catalog):
    """Where clients must not read manifests themselves, nothing is read."""
    catalog.add(['a'], 't', config={'scan-planning-mode': 'server'})
    assert 'scan-planning-mode server' in refusal(catalog, 'a', '--table', 't')


# who asks

def test_a_bearer_token(catalog, tmp_path):
    """A token of the environment or of a file stands in each request; a wrong one is told as such."""
    catalog.tokens[SECRET] = time.time() + 1000
    catalog.add(['a'], 't')
    (tmp_path / 'token').write_text(SECRET + '\n')
    assert lines(catalog, env={'TARN_CATALOG_TOKEN': SECRET}) == ['a/']
    assert lines(catalog, '--token-file', str(tmp_path / 'token')) == ['a/']
    assert 'Permission denied' in refusal(catalog, env={'TARN_CATALOG_TOKEN': 'wrong'})
    assert 'Permission denied' in refusal(catalog, '--auth', 'none')
    assert 'no token is given' in refusal(catalog, '--auth', 'bearer')


def test_client_credentials(catalog, tmp_path):
    """One token is fetched, by id and secret, and serves all requests."""
    catalog.clients['me and you'] = SECRET + '/+&='
    catalog.page_size = 1
    for i in range(4):
        catalog.add(['n%d' % i], 't')
    (tmp_path / 'c').write_text('me and you:%s/+&=\n' % SECRET)
    assert len(lines(catalog, '--credential-file', str(tmp_path / 'c'), '--scope', 'PRINCIPAL_ROLE:ALL')) == 4
    given = catalog.requests('/oauth/tokens')
    assert len(given) == 1 and b'scope=PRINCIPAL_ROLE%3AALL' in given[0].body
    said = refusal(catalog, env={'TARN_CATALOG_CREDENTIAL': 'me:' + SECRET})
    assert 'Permission denied' in said and 'invalid_client' in said


def test_another_giver_of_tokens(catalog, tmp_path):
    """Tokens may come from a server of their own."""
    with RestCatalog() as giver:
        giver.clients['me'] = SECRET
        catalog.clients['nobody'] = 'x'
        giver.tokens = catalog.tokens
        catalog.add(['a'], 't')
        (tmp_path / 'c').write_text('me:' + SECRET)
        assert lines(catalog, '--credential-file', str(tmp_path / 'c'), '--oauth2-server-uri',
                     giver.uri + '/v1/oauth/tokens') == ['a/']
        assert not catalog.requests('/oauth/tokens')


@pytest.mark.parametrize('token', [None, SECRET])
def test_signed_requests(token):
    """Glue's face: requests are signed for its name and region, odd names in the path too."""
    with RestCatalog(prefix='catalogs/123456789012') as catalog:
        catalog.signers['AKME'] = SECRET
        catalog.service = ('eu-central-1', 'glue')
        catalog.add(['a b', 'c/d'], 't ü%')
        catalog.page_size = 1
        env = {'AWS_ACCESS_KEY_ID': 'AKME', 'AWS_SECRET_ACCESS_KEY': SECRET,
               **({'AWS_SESSION_TOKEN': token} if token else {})}
        glue = ('--kind', 'glue', '--warehouse', '123456789012', '--signing-region', 'eu-central-1')
        assert lines(catalog, *glue, env=env) == ['a b/']
        assert lines(catalog, 'a b', *glue, env=env) == ['c/d/']
        assert 'uuid: uuid-of-t ü%' in lines(catalog, 'a b', 'c/d', '--table', 't ü%', *glue, env=env)
        env['AWS_SECRET_ACCESS_KEY'] = 'wrong'
        assert 'Permission denied' in refusal(catalog, *glue, env=env)


# what goes wrong

@pytest.mark.parametrize('status', [429, 500, 502, 503, 504])
def test_a_failure_that_passes(catalog, status):
    """A server that is busy is asked again."""
    catalog.add(['a'], 't')
    catalog.refuse(status, 'ServiceFailureException', times=2)
    assert lines(catalog, 'a', '--table', 't')[0] == 'format: iceberg'
    assert len(catalog.requests()) == 4


@pytest.mark.parametrize('status', [500, 503])
def test_a_failure_that_stays(catalog, status):
    """It is an error of input and output that names catalog and table, and never "no such table"."""
    catalog.add(['a'], 't')
    catalog.refuse(status, 'ServiceFailureException', '/t', times=10000)
    said = refusal(catalog, 'a', '--table', 't', '-o', 'deadline=3')
    assert 'Input/output error' in said and 'HTTP %d' % status in said and 'table a.t' in said
    assert catalog.uri in said


def test_what_is_not_there(catalog):
    """A namespace or table that the catalog does not have is ENOENT."""
    catalog.add(['a'], 't')
    for words in (('b',), ('a', 'b'), ('b', '--table', 't'), ('a', '--table', 'u')):
        assert 'No such file or directory' in refusal(catalog, *words)


def test_no_catalog_at_the_uri(catalog):
    """A 404 of some other server is no word about a table."""
    catalog.add(['a'], 't')
    catalog.refuse(404, plain=b'<html>nginx</html>', path='/tables/t')
    said = refusal(catalog, 'a', '--table', 't')
    assert 'Input/output error' in said and 'no catalog answers at this URI' in said


@pytest.mark.parametrize('body', [
    b'{"timestamp": 1, "status": 404, "error": "Not Found", "path": "/v1"}', b'{"error": "NoSuchRoute"}',
    b'{"error_code": "ENDPOINT_NOT_FOUND", "message": "No API found"}', b'{"error": {"type": "RouteException"}}'])
def test_a_gateways_404(catalog, body):
    """Nor is that of a gateway, whatever form it has."""
    catalog.add(['a'], 't')
    catalog.refuse(404, plain=body, path='/tables/t')
    assert 'Input/output error' in refusal(catalog, 'a', '--table', 't')


@pytest.mark.parametrize('body', [b'', b'{', b'<html></html>', b'{"namespaces": {}}', b'null', b'[' * 5000])
def test_damaged_answers(catalog, body):
    """What is no answer of the protocol is an error, for lists and tables."""
    catalog.add(['a'], 't')
    catalog.refuse(200, path='/namespaces', plain=body)
    catalog.refuse(200, path='/t', plain=body)
    assert 'Input/output error' in refusal(catalog)
    assert 'Input/output error' in refusal(catalog, 'a', '--table', 't')


def test_an_answer_beyond_all_bounds(catalog):
    """A list that is larger than memory should hold is refused as such."""
    catalog.add(['a'], 't')
    catalog.refuse(200, path='/namespaces', plain=b' ' * (17 << 20))
    assert 'more than' in refusal(catalog)


def test_uris_with_secrets_are_refused(catalog):
    """Users and passwords have no place in a URI, and are not repeated."""
    for uri in ('http://me:%s@127.0.0.1/' % SECRET, catalog.uri + '?token=' + SECRET, 'ftp://x/', 'http://'):
        done = run_tarn('catalog', uri)
        assert done.returncode == 1 and SECRET not in done.stdout + done.stderr
