# SPDX-License-Identifier: Apache-2.0
"""What Apache Iceberg's own REST catalog answers: `tarn catalog` tells the same as PyIceberg's client."""
import json
import os
import urllib.request

import pyarrow as pa
import pytest

from rest_server import Server
from support.mounts import run_tarn

SECRET = 'hunter2-of-the-catalog'
SCHEMA = pa.schema([pa.field('id', pa.int64()), pa.field('name', pa.string())])


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp('rest'), **{
        'include-credentials': 'true', 's3.access-key-id': 'AKVENDED', 's3.secret-access-key': SECRET,
        's3.session-token': SECRET})
    yield s
    s.stop()


def ask(server, *words, env=None):
    done = run_tarn('catalog', server.uri, *words, env={**os.environ, **(env or {})})
    assert SECRET not in done.stdout + done.stderr
    return done


def lines(server, *words, **more):
    done = ask(server, *words, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def told(server, *words):
    return dict(line.partition(': ')[::2] for line in lines(server, *words))


def test_lists_are_those_of_pyiceberg(server):
    """Namespaces of several levels and tables with odd names are listed as PyIceberg made and lists them."""
    client = server.client()
    below = {('sales',): ['emea'], ('sales', 'emea'): ['north west'], ('sales', 'emea', 'north west'): [],
             ('é漢',): []}                      # of which PyIceberg 0.12 encodes the name of a parent twice
    for namespace in below:
        client.create_namespace(namespace)
        for name in ('orders', 'a b', 'ünï', 'x%2Fy+z'):
            client.create_table((*namespace, name), SCHEMA)
    assert sorted(lines(server)) == sorted(n[0] + '/' for n in client.list_namespaces())
    for namespace, children in below.items():
        found = lines(server, *namespace)
        assert [w for w in found if w.endswith('/')] == [n + '/' for n in children]
        tables = [w for w in found if not w.endswith('/')]
        assert sorted(tables) == sorted(t[-1] for t in client.list_tables(namespace)) and len(tables) == 4


def test_a_table_is_that_of_pyiceberg(server):
    """Location, metadata file and uuid are those that PyIceberg loads, after each commit."""
    client = server.client()
    client.create_namespace('commits')
    table = client.create_table(('commits', 't'), SCHEMA)
    etags = set()
    for i in range(3):
        facts = told(server, 'commits', '--table', 't')
        table = client.load_table(('commits', 't'))
        assert facts['format'] == 'iceberg'
        assert facts['location'] == table.location()
        assert facts['metadata file'] == table.metadata_location
        assert facts['uuid'] == str(table.metadata.table_uuid)
        etags.add(facts['etag'])
        table.append(pa.table({'id': [i], 'name': ['x']}, schema=SCHEMA))
    assert len(etags) == 3


def test_not_modified(server):
    """With the ETag of its newest answer the server sends nothing again; after a commit it does."""
    client = server.client()
    client.create_namespace('etags')
    table = client.create_table(('etags', 't'), SCHEMA)
    etag = told(server, 'etags', '--table', 't')['etag']
    assert lines(server, 'etags', '--table', 't', '--etag', etag) == ['not changed']
    table.append(pa.table({'id': [1], 'name': ['x']}, schema=SCHEMA))
    assert told(server, 'etags', '--table', 't', '--etag', etag)['etag'] != etag


def test_vended_credentials(server):
    """What the server gives out for the table is there, and not shown."""
    server.client().create_namespace('vended')
    server.client().create_table(('vended', 't'), SCHEMA)
    found = lines(server, 'vended', '--table', 't')
    assert 'config: s3.access-key-id = (not shown)' in found
    assert 'config: s3.session-token = (not shown)' in found


def test_what_is_not_there(server):
    """No such namespace, no such table: ENOENT, with the server's own word."""
    server.client().create_namespace('there')
    for words, word in ((('nowhere',), 'NoSuchNamespaceException'),
                        (('there', 'nowhere'), 'NoSuchNamespaceException'),
                        (('there', '--table', 't'), 'NoSuchTableException')):
        done = ask(server, *words)
        assert done.returncode == 1
        assert 'No such file or directory' in done.stderr and word in done.stderr


def test_client_credentials(server, tmp_path):
    """Its endpoint for tokens gives one for client credentials, which is taken."""
    (tmp_path / 'c').write_text('me:' + SECRET)
    server.client().create_namespace('tokens')
    assert 'tokens/' in lines(server, '--credential-file', str(tmp_path / 'c'))


def test_a_dropped_table(server):
    """A table that was dropped is gone at once, and one of the same name is another one."""
    client = server.client()
    client.create_namespace('drops')
    client.create_table(('drops', 't'), SCHEMA)
    first = told(server, 'drops', '--table', 't')['uuid']
    client.drop_table(('drops', 't'))
    assert lines(server, 'drops') == []
    client.create_table(('drops', 't'), SCHEMA)
    assert told(server, 'drops', '--table', 't')['uuid'] != first


def test_a_table_with_much_metadata(server):
    """Metadata of thousands of columns comes whole, to the byte of what a plain request gets."""
    client = server.client()
    client.create_namespace('large')
    fields = pa.schema([pa.field('c%d' % i, pa.int64()) for i in range(3000)])
    client.create_table(('large', 't'), fields, properties={'p%d' % i: 'v' * 50 for i in range(2000)})
    with urllib.request.urlopen(server.uri + '/v1/namespaces/large/tables/t') as plain:
        text = plain.read().decode()
    begin = text.index('"metadata":') + len('"metadata":')
    metadata = json.JSONDecoder().raw_decode(text, begin)[1] - begin
    assert metadata > 200000
    assert told(server, 'large', '--table', 't')['metadata'] == '%d bytes' % metadata
