# SPDX-License-Identifier: Apache-2.0
"""
Two recording fakes of catalogs, for faults and for what Iceberg's own test server cannot do.

RestCatalog answers by Iceberg's open-api/rest-catalog-open-api.yaml: configuration, namespaces and tables in
pages, tables with ETags, vended credentials and restrictions, OAuth2 client credentials, AWS signatures (checked
by botocore). UnityCatalog answers by unitycatalog's api/all.yaml: catalogs, schemas, tables in pages, temporary
table credentials.
"""
import collections
import hashlib
import http.server
import itertools
import json
import threading
import time
import urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .loopback import Loopback

Seen = collections.namedtuple('Seen', 'method path query headers body')


class Refused(Exception):
    def __init__(self, status, kind, message='a reason', plain=None):
        super().__init__(kind)
        self.status, self.kind, self.message, self.plain = status, kind, message, plain


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self):
        path, _, query = self.path.partition('?')
        body = self.rfile.read(int(self.headers.get('content-length') or 0))
        headers = {k.lower(): v for k, v in self.headers.items()}
        fake = self.owner
        with fake.lock:
            fake.seen.append(Seen(self.command, path, query, headers, body))
        fields = {}
        try:
            fake.planned_refusal(path)
            status, answer = fake.respond(self.command, path, query, headers, body, fields)
            text = b'' if answer is None else json.dumps(answer).encode()
        except Refused as r:
            status = r.status
            text = r.plain if r.plain is not None else json.dumps(fake.problem(r)).encode()
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header('content-type', 'application/json')
        if status != 304:
            self.send_header('content-length', str(len(text)))
        self.end_headers()
        if status != 304:
            self.wfile.write(text)

    do_GET = do_POST = answer


class _Catalog(Loopback):
    """
    What both have: a server, what it has seen, what it refuses, who may ask. `words`, `env`: what
    `tarn catalog` is given beside its URI.
    """

    words = ()

    def __init__(self):
        self.lock = threading.Lock()
        self.seen, self.refusals = [], []
        self.page_size, self.env = 1000, {}
        self.clients = {}                   # id -> secret; tokens are given to them
        self.tokens = {}                    # token -> its end
        self.token_life_s = 3600
        self.count = itertools.count(1)
        super().__init__(_Handler)

    # for tests

    def refuse(self, status, kind='', path='*', times=1, plain=None):
        """The next requests for a path that ends so are answered with an error."""
        with self.lock:
            self.refusals.append([status, kind, path, times, plain])

    def requests(self, path=''):
        with self.lock:
            return [s for s in self.seen if s.path.endswith(path)]

    def forget_tokens(self):
        with self.lock:
            self.tokens.clear()

    # the server's side

    def planned_refusal(self, path):
        with self.lock:
            for rule in self.refusals:
                if rule[3] and (rule[2] == '*' or path.endswith(rule[2])):
                    rule[3] -= 1
                    raise Refused(rule[0], rule[1], plain=rule[4])

    def check_bearer(self, headers):
        if not self.clients and not self.tokens:
            return
        said = headers.get('authorization', '')
        with self.lock:
            end = self.tokens.get(said[len('Bearer '):]) if said.startswith('Bearer ') else None
        if end is None or time.time() >= end:
            raise Refused(401, 'NotAuthorizedException', 'The access token has expired')

    def give_token(self, body):
        """RFC 6749, 4.4."""
        form = dict(urllib.parse.parse_qsl(body.decode()))
        if form.get('grant_type') != 'client_credentials':
            return 400, {'error': 'unsupported_grant_type'}
        if self.clients.get(form.get('client_id', '')) != form.get('client_secret'):
            return 401, {'error': 'invalid_client', 'error_description': 'Who are you?'}
        token = 'token-%d' % next(self.count)
        with self.lock:
            self.tokens[token] = time.time() + self.token_life_s
        return 200, {'access_token': token, 'token_type': 'bearer', 'expires_in': self.token_life_s,
                     'issued_token_type': 'urn:ietf:params:oauth:token-type:access_token'}

    def page(self, names, query, of_token):
        """Those of the page that is asked for, and the token of the next one; None: it is the last."""
        asked = dict(urllib.parse.parse_qsl(query, keep_blank_values=True)).get(of_token)
        begin = int(asked[len('page-'):]) if asked else 0
        end = begin + self.page_size
        return names[begin:end], 'page-%d' % end if end < len(names) else None


class RestCatalog(_Catalog):
    BASE = '/iceberg'

    def __init__(self, prefix='', separator='\x1f'):
        super().__init__()
        self.prefix, self.separator = prefix, separator
        self.overrides, self.defaults, self.endpoints = {}, {}, []
        self.warehouses = None              # those that there are; None: any
        self.tables = {}                    # (namespace, name) -> LoadTableResult
        self.namespaces = set()             # tuples
        self.etags_of_locations = False   # as Polaris has it, not of the whole answer
        self.nested = True
        self.credentials = []               # storage-credentials of the endpoint for them
        self.signers = {}                   # AWS key ids -> secrets
        self.service = ('us-east-1', 'execute-api')

    @property
    def uri(self):
        return self.url + self.BASE

    def add(self, namespace, name, **more):
        for n in range(1, len(namespace) + 1):
            self.namespaces.add(tuple(namespace[:n]))
        location = 's3://bucket/' + '/'.join((*namespace, name))
        self.tables[tuple(namespace), name] = {
            'metadata-location': location + '/metadata/00000.metadata.json',
            'metadata': {'format-version': 2, 'table-uuid': 'uuid-of-' + name, 'location': location}, **more}

    def problem(self, r):
        return {'error': {'message': r.message, 'type': r.kind, 'code': r.status, 'stack': ['at a line']}}

    def check_signature(self, method, path, query, headers, body):
        said = headers.get('authorization', '')
        if not said.startswith('AWS4-HMAC-SHA256 '):
            raise Refused(403, 'MissingAuthenticationTokenException')
        parts = dict(p.strip().split('=', 1) for p in said[len('AWS4-HMAC-SHA256 '):].split(','))
        who = parts['Credential'].split('/')
        if who[0] not in self.signers or tuple(who[2:4]) != self.service:
            raise Refused(403, 'UnrecognizedClientException', 'not %s' % who)
        request = AWSRequest(method=method, url=self.url + path + ('?' + query if query else ''), data=body,
                             headers={n: headers[n] for n in parts['SignedHeaders'].split(';') if n != 'host'})
        request.context['timestamp'] = headers['x-amz-date']
        signer = SigV4Auth(Credentials(who[0], self.signers[who[0]]), self.service[1], self.service[0])
        text = signer.string_to_sign(request, signer.canonical_request(request))
        if signer.signature(text, request) != parts['Signature']:
            raise Refused(403, 'InvalidSignatureException', 'another signature')

    def respond(self, method, path, query, headers, body, fields):
        if path == self.BASE + '/v1/oauth/tokens' and method == 'POST':
            return self.give_token(body)
        if self.signers:
            self.check_signature(method, path, query, headers, body)
        else:
            self.check_bearer(headers)
        if path == self.BASE + '/v1/config':
            return self.configuration(query)
        below = self.BASE + '/v1' + ('/' + self.prefix if self.prefix else '') + '/namespaces'
        if not path.startswith(below):
            raise Refused(404, '', plain=b'<html>no such page</html>')
        parts = path[len(below):].split('/')[1:]
        if not parts:
            return self.list_namespaces(query)
        levels = tuple(urllib.parse.unquote(parts[0]).split(self.separator))
        if parts[1:] == ['tables']:
            return self.list_tables(levels, query)
        return self.table(levels, urllib.parse.unquote(parts[2]), parts[3:], headers, fields)

    def configuration(self, query):
        warehouse = dict(urllib.parse.parse_qsl(query)).get('warehouse')
        if self.warehouses is not None and warehouse not in self.warehouses:
            raise Refused(404, 'NoSuchWarehouseException', 'no warehouse %s' % warehouse)
        overrides = dict(self.overrides)
        if self.prefix:
            overrides['prefix'] = self.prefix
        if self.separator != '\x1f':
            overrides['namespace-separator'] = urllib.parse.quote(self.separator, safe='')
        return 200, {'defaults': self.defaults, 'overrides': overrides, 'endpoints': self.endpoints}

    def list_namespaces(self, query):
        asked = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        parent = tuple(asked['parent'].split(self.separator)) if asked.get('parent') else ()
        if parent and not self.nested:
            raise Refused(400, 'BadRequestException', 'namespaces have one level here')
        if parent and parent not in self.namespaces:
            raise Refused(404, 'NoSuchNamespaceException', 'no %s' % (parent,))
        names = sorted(n for n in self.namespaces if n[:-1] == parent)
        names, token = self.page(names, query, 'pageToken')
        return 200, {'namespaces': [list(n) for n in names], 'next-page-token': token}

    def list_tables(self, levels, query):
        if levels not in self.namespaces:
            raise Refused(404, 'NoSuchNamespaceException', 'no %s' % (levels,))
        names, token = self.page(sorted(n for l, n in self.tables if l == levels), query, 'pageToken')
        return 200, {'identifiers': [{'namespace': list(levels), 'name': n} for n in names],
                     'next-page-token': token}

    def table(self, levels, name, rest, headers, fields):
        if (levels, name) not in self.tables:
            raise Refused(404, 'NoSuchTableException', 'no %s in %s' % (name, levels))
        if rest == ['credentials']:
            return 200, {'storage-credentials': self.credentials}
        answer = self.tables[levels, name]
        if headers.get('x-iceberg-access-delegation') != 'vended-credentials':
            answer = {k: v for k, v in answer.items() if k != 'storage-credentials'}
        told = answer['metadata-location'] if self.etags_of_locations else answer
        fields['etag'] = '"%s"' % hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
        if headers.get('if-none-match') == fields['etag']:
            return 304, None
        return 200, answer


class UnityCatalog(_Catalog):
    BASE = '/api/2.1/unity-catalog'
    words = ('--kind', 'unity')

    def __init__(self):
        super().__init__()
        self.tables = {}                    # "catalog.schema.table" -> TableInfo
        self.schemas = set()                # "catalog.schema"
        self.credentials = {}               # table_id -> TemporaryCredentials

    @property
    def uri(self):
        return self.url

    def add(self, full_name, location, **more):
        catalog, schema, name = full_name.split('.')
        self.schemas.add('%s.%s' % (catalog, schema))
        self.tables[full_name] = {
            'name': name, 'catalog_name': catalog, 'schema_name': schema, 'table_type': 'EXTERNAL',
            'data_source_format': 'DELTA', 'columns': [], 'storage_location': location, 'properties': {},
            'table_id': 'id-of-' + full_name, **more}

    def problem(self, r):
        return {'error_code': r.kind, 'message': r.message,
                'details': [{'@type': 'type.googleapis.com/google.rpc.ErrorInfo', 'reason': r.kind}]}

    def names(self, member, items, query):
        found, token = self.page(items, query, 'page_token')
        return 200, {member: found, **({'next_page_token': token} if token else {})}

    def respond(self, method, path, query, headers, body, fields):
        self.check_bearer(headers)
        asked = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        below = path[len(self.BASE):] if path.startswith(self.BASE) else ''
        if below == '/catalogs':
            names = sorted({s.split('.')[0] for s in self.schemas})
            return self.names('catalogs', [{'name': n} for n in names], query)
        if below == '/schemas':
            inside = sorted(s.split('.')[1] for s in self.schemas if s.split('.')[0] == asked['catalog_name'])
            if not inside:
                raise Refused(404, 'CATALOG_NOT_FOUND', 'no catalog %s' % asked['catalog_name'])
            return self.names('schemas', [{'name': n, 'catalog_name': asked['catalog_name']} for n in inside], query)
        if below == '/tables':
            schema = '%s.%s' % (asked['catalog_name'], asked['schema_name'])
            if schema not in self.schemas:
                raise Refused(404, 'SCHEMA_NOT_FOUND', 'no schema %s' % schema)
            return self.names('tables', [t for n, t in sorted(self.tables.items())
                                         if n.rpartition('.')[0] == schema], query)
        if below.startswith('/tables/'):
            name = urllib.parse.unquote(below[len('/tables/'):])
            if name not in self.tables:
                raise Refused(404, 'TABLE_NOT_FOUND', 'no table %s' % name)
            return 200, self.tables[name]
        if below == '/temporary-table-credentials' and method == 'POST':
            asked = json.loads(body)
            if asked.get('operation') != 'READ' or asked.get('table_id') not in self.credentials:
                raise Refused(403, 'PERMISSION_DENIED', 'not for you')
            return 200, self.credentials[asked['table_id']]
        raise Refused(404, '', plain=b'no such page')
