# SPDX-License-Identifier: Apache-2.0
"""
An S3 server in memory that takes every key that S3 takes: `..`, `//`, control characters, bytes that
are no UTF-8, a key that is another one's directory. No real server at hand takes them all. It lists
(ListObjectsV2, ListObjectVersions) in byte order and page by page, answers ranged GET and HEAD, and
asks for no signature.

    with AnyKeyServer() as s:  s.put('bucket', b'a//b', b'data');  s.url
"""
import bisect
import collections
import datetime
import hashlib
import http.server
import itertools
import threading
import urllib.parse
from xml.sax.saxutils import escape

from .loopback import Loopback

Version = collections.namedtuple('Version', 'id data etag modified marker')


def shown(key):
    return urllib.parse.quote_from_bytes(key, safe='/')


def stamp(when):
    return when.strftime('%Y-%m-%dT%H:%M:%S.') + '%03dZ' % (when.microsecond // 1000)


class Bucket:
    def __init__(self, versioned=False):
        self.versioned, self.keys, self.versions = versioned, [], {}    # newest version first

    def add(self, key, version):
        if key not in self.versions:
            bisect.insort(self.keys, key)
            self.versions[key] = []
        self.versions[key] = [version] + (self.versions[key] if self.versioned else [])

    def newest(self, key):
        found = self.versions.get(key)
        return found[0] if found and not found[0].marker else None


class AnyKeyServer(Loopback):
    def __init__(self, page=1000, ordered=True):
        self.buckets, self.page, self.number, self.ordered = {}, page, 0, ordered
        self.requests = []                      # (method, bucket, key, query)
        self.lock = threading.Lock()
        super().__init__(Handler)
        self.httpd.socket.listen(128)
        self.port = self.httpd.server_port

    def make_bucket(self, name, versioned=False):
        self.buckets[name] = Bucket(versioned)
        return name

    def put(self, bucket, key, data, modified=None, marker=False):
        modified = modified or datetime.datetime.now(datetime.timezone.utc)
        etag = '"%s"' % hashlib.md5(data).hexdigest()
        with self.lock:
            self.number += 1
            name = 'v%08d' % self.number if self.buckets[bucket].versioned else 'null'
            self.buckets[bucket].add(key, Version(name, data, etag, modified, marker))
        return name

    def expire(self, bucket, key, version):
        """As a lifecycle rule removes a version that is not the newest."""
        with self.lock:
            b = self.buckets[bucket]
            b.versions[key] = [v for v in b.versions[key] if v.id != version]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        path, _, query = self.path.partition('?')
        parts = urllib.parse.unquote_to_bytes(path)[1:].split(b'/', 1)
        query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True,
                                            encoding='utf-8', errors='surrogateescape'))
        bucket, key = parts[0].decode(), parts[1] if len(parts) > 1 else b''
        with self.owner.lock:
            self.owner.requests.append((self.command, bucket, key, query))
            b = self.owner.buckets.get(bucket)
            if b is None:
                return self.refuse(404, 'NoSuchBucket')
            if key == b'' and 'versioning' in query:
                status = '<Status>Enabled</Status>' if b.versioned else ''
                return self.send_xml('<VersioningConfiguration>%s</VersioningConfiguration>' % status)
            if key == b'' and 'versions' in query:
                return self.send_xml(self.list_versions(b, query))
            if key == b'':
                return self.send_xml(self.list_objects(b, query))
            return self.send_object(b, key, query)

    def refuse(self, status, code):
        self.send_body(status, ('<Error><Code>%s</Code><Message>refused</Message></Error>' % code)
                       .encode(), {'Content-Type': 'application/xml'})

    def send_xml(self, text):
        body = ('<?xml version="1.0" encoding="UTF-8"?>' + text).encode()
        self.send_body(200, body, {'Content-Type': 'application/xml'})

    def send_body(self, status, body, fields, length=None):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body) if length is None else length))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def send_object(self, b, key, query):
        found = b.newest(key)
        if 'versionId' in query:
            found = next((v for v in b.versions.get(key, []) if v.id == query['versionId']), None)
        if found is None or found.marker:
            return self.refuse(404, 'NoSuchVersion' if 'versionId' in query else 'NoSuchKey')
        if self.headers.get('If-Match', found.etag) != found.etag:
            return self.refuse(412, 'PreconditionFailed')
        fields = {'ETag': found.etag, 'Accept-Ranges': 'bytes'}
        asked = self.headers.get('Range')
        if not asked:
            return self.send_body(200, found.data, fields)
        first, last = asked[len('bytes='):].split('-')
        part = found.data[int(first):int(last) + 1]
        if not part:
            fields['Content-Range'] = 'bytes */%d' % len(found.data)
            return self.send_body(416, b'', fields)
        fields['Content-Range'] = 'bytes %s-%d/%d' % (first, int(first) + len(part) - 1,
                                                      len(found.data))
        return self.send_body(206, part, fields)

    @staticmethod
    def bytes_of(query, name):
        return query.get(name, '').encode('utf-8', 'surrogateescape')

    @staticmethod
    def token(query):
        return bytes.fromhex(query.get('continuation-token', ''))

    def groups(self, b, query, after):
        """(key, is a common prefix, the key that shows it), each once, in order, behind `after`."""
        prefix, delimiter = self.bytes_of(query, 'prefix'), self.bytes_of(query, 'delimiter')
        last, start = None, bisect.bisect_left(b.keys, max(prefix, after))
        keys = itertools.islice(b.keys, start, None)
        if not self.owner.ordered:               # as by a hash, and start-after is not known
            keys, after = sorted(b.keys, key=lambda k: hashlib.md5(k).digest()), b''
            keys = keys[keys.index(self.token(query)) + 1 if self.token(query) else 0:]
        for key in keys:
            if not key.startswith(prefix) and self.owner.ordered:
                break
            if not key.startswith(prefix):
                continue
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            group = key[:end + 1] if end >= 0 else key
            if group != last and group > after and not (end >= 0 and after.startswith(group)):
                yield group, end >= 0, key
            last = group

    def list_objects(self, b, query):
        after = max(self.bytes_of(query, 'start-after'), self.token(query))
        limit, lines, more, last = min(int(query.get('max-keys', 1000)), self.owner.page), [], False, b''
        for key, is_prefix, at in self.groups(b, query, after):
            found = None if is_prefix else b.newest(key)
            if not is_prefix and found is None:
                continue
            if len(lines) == limit:
                more = True
                break
            last = at
            if is_prefix:
                lines.append('<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>' % shown(key))
            else:
                lines.append('<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>%s</ETag>'
                             '<Size>%d</Size></Contents>' % (shown(key), stamp(found.modified),
                                                             escape(found.etag), len(found.data)))
        token = '<NextContinuationToken>%s</NextContinuationToken>' % last.hex() if more else ''
        return ('<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>'
                '%s%s</ListBucketResult>' % (str(more).lower(), token, ''.join(lines)))

    def list_versions(self, b, query):
        after, after_id = self.bytes_of(query, 'key-marker'), query.get('version-id-marker')
        limit, lines, more, at = min(int(query.get('max-keys', 1000)), self.owner.page), [], False, ('', '')
        start = after[:-1] if after_id else after
        for key, is_prefix, _ in self.groups(b, query, start):
            entries = [None] if is_prefix else b.versions[key]
            if key < after or (key == after and not after_id):
                continue
            if key == after and not is_prefix:
                entries = entries[1 + next(i for i, v in enumerate(entries) if v.id == after_id):]
            for v in entries:
                if len(lines) == limit:
                    more = True
                    break
                at = (shown(key), v.id if v else '')
                if v is None:
                    lines.append('<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>' % shown(key))
                    continue
                name = 'DeleteMarker' if v.marker else 'Version'
                about = '' if v.marker else '<ETag>%s</ETag><Size>%d</Size>' % (escape(v.etag),
                                                                               len(v.data))
                lines.append('<%s><Key>%s</Key><VersionId>%s</VersionId><IsLatest>%s</IsLatest>'
                             '<LastModified>%s</LastModified>%s</%s>'
                             % (name, shown(key), v.id, str(v is b.versions[key][0]).lower(),
                                stamp(v.modified), about, name))
            if more:
                break
        marker = ('<NextKeyMarker>%s</NextKeyMarker><NextVersionIdMarker>%s</NextVersionIdMarker>' % at
                  if more else '')
        return ('<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>'
                '%s%s</ListVersionsResult>' % (str(more).lower(), marker, ''.join(lines)))
