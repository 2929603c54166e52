# SPDX-License-Identifier: Apache-2.0
"""
A recording fake of what fake-gcs-server lacks, written from Google's documentation: Cloud Storage's
XML API with V4 signatures of HMAC keys, bearer tokens, preconditions on generations, listings in
pages, gzip transcoding and error documents; the token endpoint of OAuth; the metadata service.
"""
import base64
import collections
import datetime
import gzip
import hashlib
import hmac
import http.server
import itertools
import json
import re
import subprocess
import tempfile
import threading
import time
import urllib.parse
from xml.sax.saxutils import escape

from .loopback import Loopback

Seen = collections.namedtuple('Seen', 'method path query headers')
Stored = collections.namedtuple('Stored', 'generation data time encoding')

METADATA = '/computeMetadata/v1/instance/service-accounts/default/token'
JWT_GRANT = 'urn:ietf:params:oauth:grant-type:jwt-bearer'


class Refused(Exception):
    def __init__(self, status, code, message='a reason'):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message


def sign_v4(secret, method, path, query, headers, names):
    """The signature of the documentation's string-to-sign (signatures, canonical requests)."""
    date = headers['x-goog-date']
    pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    canonical_query = '&'.join('%s=%s' % (urllib.parse.quote(k, safe='-_.~'),
                                          urllib.parse.quote(v, safe='-_.~')) for k, v in pairs)
    fields = ''.join('%s:%s\n' % (n, re.sub(' +', ' ', headers[n].strip())) for n in names)
    request = '\n'.join((method, path, canonical_query, fields, ';'.join(names),
                         headers['x-goog-content-sha256']))
    scope = '%s/auto/storage/goog4_request' % date[:8]
    text = '\n'.join(('GOOG4-HMAC-SHA256', date, scope,
                      hashlib.sha256(request.encode()).hexdigest()))
    key = ('GOOG4' + secret).encode()
    for part in (date[:8], 'auto', 'storage', 'goog4_request'):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return scope, hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = _crc_table()


def crc32c_text(data):
    """CRC32C as x-goog-hash has it: base64, the highest byte first."""
    crc = 0xffffffff
    for byte in bytes(data):
        crc = CRC_TABLE[(crc ^ byte) & 255] ^ crc >> 8
    return base64.b64encode((crc ^ 0xffffffff).to_bytes(4, 'big')).decode()


class FakeGcs(Loopback):
    """
    Buckets and who may ask. `hmac_keys`: secrets by id; `tokens`: the instants at which tokens end;
    with neither, and `closed` false, everybody may. `page`: entries of a page of a listing.
    """

    def __init__(self, page=1000):
        self.page, self.closed = page, False
        self.hmac_keys, self.tokens, self.refresh_tokens = {}, {}, set()
        self.public_keys = {}                   # PEM by client_email
        self.token_life_s, self.token_count = 3600, itertools.count(1)
        self.buckets, self.generations = {}, itertools.count(1700000000000001)
        self.seen, self.refusals, self.lock = [], [], threading.Lock()
        self.sessions = {}                      # resumable uploads, by id
        self.takes = 1 << 60                    # bytes of a part that a session takes at once
        super().__init__(_Handler)

    # for tests

    def put(self, bucket, key, data, encoding=None):
        with self.lock:
            kept = self.buckets.setdefault(bucket, {})
            kept[key] = Stored(next(self.generations), bytes(data), time.time(), encoding)
            return str(kept[key].generation)

    def refuse(self, status, code='', path='*', times=1):
        """The next requests for a path that ends so are answered with an error."""
        with self.lock:
            self.refusals.append([status, code, path, times])

    def requests(self, method=None, path=None):
        with self.lock:
            return [s for s in self.seen if (method is None or s.method == method)
                    and (path is None or s.path == path)]

    # the server's side

    def planned_refusal(self, path):
        with self.lock:
            for rule in self.refusals:
                if rule[3] and (rule[2] == '*' or path.endswith(rule[2])):
                    rule[3] -= 1
                    raise Refused(rule[0], rule[1])

    def check_token(self, token):
        with self.lock:
            end = self.tokens.get(token)
        if end is None or time.time() >= end:
            raise Refused(401, 'AuthenticationRequired', 'Authentication required.')

    def check_signature(self, method, path, query, headers, body):
        m = re.fullmatch(r'GOOG4-HMAC-SHA256 Credential=([^/]+)/(\S+), SignedHeaders=(\S+), '
                         r'Signature=([0-9a-f]+)', headers['authorization'])
        if not m or m[1] not in self.hmac_keys:
            raise Refused(403, 'InvalidAccessKeyId')
        names = m[3].split(';')
        needed = {'host'} | {n for n in headers if n.startswith('x-goog-')}
        # Google's front end rewrites this one: signed, no signature would ever match
        if not needed <= set(names) or 'accept-encoding' in names:
            raise Refused(403, 'SignatureDoesNotMatch', 'signed: %s' % names)
        now = datetime.datetime.now(datetime.timezone.utc)
        then = datetime.datetime.strptime(headers['x-goog-date'] + '+0000', '%Y%m%dT%H%M%SZ%z')
        scope, wanted = sign_v4(self.hmac_keys[m[1]], method, path, query, headers, names)
        if scope != m[2] or wanted != m[4] or abs((now - then).total_seconds()) > 900 or \
                hashlib.sha256(body).hexdigest() != headers['x-goog-content-sha256']:
            raise Refused(403, 'SignatureDoesNotMatch', 'wanted %s' % wanted)

    def check_who(self, method, path, query, headers, body):
        said = headers.get('authorization', '')
        if any(n.startswith('x-amz-') for n in headers):
            raise Refused(400, 'InvalidArgument', 'fields of another protocol')
        if said.startswith('Bearer '):
            self.check_token(said[len('Bearer '):])
        elif said:
            self.check_signature(method, path, query, headers, body)
        elif self.hmac_keys or self.public_keys or self.refresh_tokens or self.tokens or self.closed:
            raise Refused(401, 'AuthenticationRequired', 'Authentication required.')

    def new_token(self):
        token = 'ya29.token-%d' % next(self.token_count)
        with self.lock:
            self.tokens[token] = time.time() + self.token_life_s
        return json.dumps({'access_token': token, 'expires_in': self.token_life_s,
                           'token_type': 'Bearer'}).encode()

    def check_assertion(self, assertion):
        head, claims, signature = assertion.split('.')
        unpack = lambda text: base64.urlsafe_b64decode(text + '=' * (-len(text) % 4))  # noqa: E731
        header, claim = json.loads(unpack(head)), json.loads(unpack(claims))
        now = time.time()
        assert header['alg'] == 'RS256' and header['typ'] == 'JWT'
        assert claim['aud'] == self.url + '/token' and 'devstorage' in claim['scope']
        assert claim['iat'] <= now + 1 and now < claim['exp'] <= claim['iat'] + 3600
        with tempfile.NamedTemporaryFile() as s, tempfile.NamedTemporaryFile() as k:
            s.write(unpack(signature))
            k.write(self.public_keys[claim['iss']].encode())
            s.flush()
            k.flush()
            subprocess.run(['openssl', 'dgst', '-sha256', '-verify', k.name, '-signature', s.name],
                           input=('%s.%s' % (head, claims)).encode(), check=True,
                           capture_output=True)

    def give_token(self, form):
        fields = dict(urllib.parse.parse_qsl(form.decode()))
        try:
            if fields['grant_type'] == JWT_GRANT:
                self.check_assertion(fields['assertion'])
            else:
                assert fields['grant_type'] == 'refresh_token'
                assert (fields['client_id'], fields['client_secret'],
                        fields['refresh_token']) in self.refresh_tokens
        except (AssertionError, KeyError, ValueError, subprocess.CalledProcessError):
            return 400, json.dumps({'error': 'invalid_grant',
                                    'error_description': 'Bad Request'}).encode()
        return 200, self.new_token()

    def list(self, bucket, query):
        q = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        if q.get('list-type') != '2':
            raise Refused(400, 'InvalidArgument')
        prefix, delimiter = q.get('prefix', ''), q.get('delimiter', '')
        after = q.get('start-after', '')
        if 'continuation-token' in q:
            after = base64.b64decode(q['continuation-token']).decode()
        name = (lambda k: urllib.parse.quote(k, safe='/')) if q.get('encoding-type') == 'url' \
            else escape
        lines, last = [], ''
        with self.lock:
            kept = sorted((k, v) for k, v in self.buckets[bucket].items() if k.startswith(prefix))
        done = set()
        more = False
        for key, stored in kept:
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            shown = key[:cut + 1] if cut >= 0 else key
            if shown <= after or shown in done:
                continue
            if len(lines) == self.page:
                more = True
                break
            done.add(shown)
            last = shown
            when = datetime.datetime.fromtimestamp(stored.time, datetime.timezone.utc)
            lines.append('<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>' % name(shown)
                         if cut >= 0 else
                         '<Contents><Key>%s</Key><Generation>%d</Generation><MetaGeneration>1'
                         '</MetaGeneration><LastModified>%s</LastModified><ETag>"%s"</ETag>'
                         '<Size>%d</Size></Contents>'
                         % (name(shown), stored.generation,
                            when.strftime('%Y-%m-%dT%H:%M:%S.000Z'),
                            hashlib.md5(stored.data).hexdigest(), len(stored.data)))
        token = '<NextContinuationToken>%s</NextContinuationToken>' \
            % base64.b64encode(last.encode()).decode() if more else ''
        encoding = '<EncodingType>url</EncodingType>' if name is not escape else ''
        return ("<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3."
                "amazonaws.com/2006-03-01'><Name>%s</Name>%s%s<IsTruncated>%s</IsTruncated>%s"
                "</ListBucketResult>" % (bucket, encoding, token, str(more).lower(),
                                         ''.join(lines))).encode()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    owner = None

    def log_message(self, *_):
        pass

    def answer(self, status, body=b'', fields=(), length=None):
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header('X-GUploader-UploadID', 'upload-id-7')
        self.send_header('Content-Length', str(len(body) if length is None else length))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def handle_any(self):
        path, _, query = self.path.partition('?')
        headers = {n.lower(): v for n, v in self.headers.items()}
        body = self.rfile.read(int(headers.get('content-length', '0')))
        with self.owner.lock:
            self.owner.seen.append(Seen(self.command, path, query, headers))
        try:
            self.owner.planned_refusal(path)
            if path == '/token':
                self.answer(*self.owner.give_token(body))
            elif path == METADATA:
                if headers.get('metadata-flavor') != 'Google':
                    raise Refused(403, 'Forbidden')
                self.answer(200, self.owner.new_token())
            else:
                self.owner.check_who(self.command, path, query, headers, body)
                self.serve(path, query, headers, body)
        except Refused as e:
            self.answer(e.status, ("<?xml version='1.0' encoding='UTF-8'?><Error><Code>%s</Code>"
                                   "<Message>%s</Message></Error>"
                                   % (e.code, escape(e.message))).encode())

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def begin_session(self, bucket, key, headers, path):
        upload = 'ABg5-%d/+=' % len(self.owner.sessions)
        self.owner.sessions[upload] = [bucket, key, bytearray(),
                                       headers.get('x-goog-if-generation-match'), None]
        self.answer(201, fields=[('Location', 'http://elsewhere.example%s?upload_id=%s'
                                  % (path, urllib.parse.quote(upload, safe='')))])

    def go_on(self, upload, headers, body):
        """A part of a session ("Resumable uploads"): 308 until the last one."""
        session = self.owner.sessions.get(upload)
        if session is None:
            raise Refused(404, 'NoSuchUpload')
        bucket, key, have, condition, ended = session
        if self.command == 'DELETE':
            del self.owner.sessions[upload]
            self.answer(499)
            return
        first, last, total = (int(n) for n in
                              re.fullmatch(r'bytes (\d+)-(\d+)/(\d+)', headers['content-range'])
                              .groups())
        assert last - first + 1 == len(body) and (last + 1 == total or len(body) % (256 << 10) == 0)
        if first > len(have):
            raise Refused(503, 'ServiceUnavailable')
        if ended is None:
            have += body[len(have) - first:][:self.owner.takes]
            if len(have) < total:
                self.answer(308, fields=[('Range', 'bytes=0-%d' % (len(have) - 1))])
                return
            stored = self.owner.buckets[bucket].get(key)
            if condition is not None and int(condition) != (stored.generation if stored else 0):
                raise Refused(412, 'PreconditionFailed')
            session[4] = self.owner.put(bucket, key, have)
        self.answer(200, fields=[('x-goog-generation', session[4]),
                                 ('x-goog-hash', 'md5=' + base64.b64encode(
                                     hashlib.md5(have).digest()).decode()),
                                 ('x-goog-hash', 'crc32c=' + crc32c_text(have))])

    def serve(self, path, query, headers, body):
        bucket, _, key = path[1:].partition('/')
        key = urllib.parse.unquote(key)
        if bucket not in self.owner.buckets:
            raise Refused(404, 'NoSuchBucket', 'The specified bucket does not exist.')
        if not key:
            self.answer(200, self.owner.list(bucket, query))
            return
        form = dict(urllib.parse.parse_qsl(query))
        if 'upload_id' in form:
            self.go_on(form['upload_id'], headers, body)
            return
        with self.owner.lock:
            stored = self.owner.buckets[bucket].get(key)
        wanted = headers.get('x-goog-if-generation-match')
        if wanted is not None and int(wanted) != (stored.generation if stored else 0):
            raise Refused(404 if not stored else 412,
                          'NoSuchKey' if not stored else 'PreconditionFailed')
        if self.command == 'POST' and headers.get('x-goog-resumable') == 'start':
            self.begin_session(bucket, key, headers, path)
            return
        if self.command == 'PUT':
            if headers['x-goog-hash'] != 'crc32c=' + crc32c_text(body):
                raise Refused(400, 'BadDigest')
            self.answer(200, fields=[('x-goog-generation', self.owner.put(bucket, key, body))])
            return
        if not stored:
            raise Refused(404, 'NoSuchKey', 'The specified key does not exist.')
        if self.command == 'DELETE':
            with self.owner.lock:
                del self.owner.buckets[bucket][key]
            self.answer(204)
            return
        self.read(stored, headers)

    def read(self, stored, headers):
        data, ranged = stored.data, headers.get('range')
        fields = [('x-goog-generation', str(stored.generation)), ('x-goog-metageneration', '1'),
                  ('ETag', '"%s"' % hashlib.md5(data).hexdigest()),
                  ('Last-Modified', self.date_time_string(int(stored.time)))]
        if stored.encoding == 'gzip' and 'gzip' not in headers.get('accept-encoding', ''):
            data, ranged = gzip.decompress(data), None      # transcoded: no range, no length
            self.answer(200, data, fields)
            return
        if not ranged or self.command == 'HEAD':
            self.answer(200, data, fields)
            return
        first, last = (int(n) for n in ranged[len('bytes='):].split('-'))
        if first >= len(data):
            raise Refused(416, 'InvalidRange')
        part = data[first:last + 1]
        self.answer(206, part, [*fields, ('Content-Range', 'bytes %d-%d/%d'
                                          % (first, first + len(part) - 1, len(data)))])
