#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
As much of S3 as reading a lake takes, for benchmarks: a bucket of one directory's files, and of a
million objects besides that are only listed. Written from the documentation of ListObjectsV2 and
GetObject.

usage: s3_list.py PORT DIR OBJECTS.json      OBJECTS: [[key, size, class, mtime in s], ...]
"""
import bisect
import datetime
import http.server
import json
import os
import sys
import urllib.parse
from xml.sax.saxutils import escape

PAGE = 1000


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%S.000Z')


class Bucket:
    def __init__(self, root, objects):
        self.root, self.keys, self.about = root, [], {}
        for where, _, names in os.walk(root):
            for name in names:
                path = os.path.join(where, name)
                st = os.stat(path)
                self.about[os.path.relpath(path, root)] = (st.st_size, 'STANDARD', stamp(st.st_mtime))
        for key, size, kind, mtime in objects:
            self.about[key] = (size, kind, stamp(mtime))
        self.keys = sorted(self.about)
        self.entries = [self.entry(k) for k in self.keys]

    def entry(self, key):
        size, kind, when = self.about[key]
        return ('<Contents><Key>%s</Key><LastModified>%s</LastModified><ETag>&quot;%032x&quot;</ETag>'
                '<Size>%d</Size><StorageClass>%s</StorageClass></Contents>'
                % (escape(key), when, size, size, kind))

    def page(self, query):
        """One page as XML."""
        def one(name):
            return query.get(name, [''])[0]
        prefix, delimiter = one('prefix'), one('delimiter')
        after = max(one('start-after'), one('continuation-token'))
        most = min(PAGE, int(one('max-keys') or PAGE))
        i = max(bisect.bisect_left(self.keys, prefix), bisect.bisect_right(self.keys, after))
        out, n, last = [], 0, ''
        while i < len(self.keys) and self.keys[i].startswith(prefix) and n < most:
            key = self.keys[i]
            cut = key.find(delimiter, len(prefix)) if delimiter else -1
            if cut >= 0:
                common = key[:cut + 1]
                last = common + '\U0010ffff'
                i = bisect.bisect_left(self.keys, last)
                if not after.startswith(common):
                    out.append('<CommonPrefixes><Prefix>%s</Prefix></CommonPrefixes>' % escape(common))
                    n += 1
                continue
            out.append(self.entries[i])
            n, i, last = n + 1, i + 1, key
        more = i < len(self.keys) and self.keys[i].startswith(prefix)
        token = '<NextContinuationToken>%s</NextContinuationToken>' % escape(last) if more else ''
        return ('<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/'
                'doc/2006-03-01/"><Name>bucket</Name><KeyCount>%d</KeyCount><IsTruncated>%s</IsTruncated>%s%s'
                '</ListBucketResult>' % (n, 'true' if more else 'false', token, ''.join(out))).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm, wbufsize = True, 1 << 20
    bucket = None

    def answer(self, status, body, **headers):
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        key = urllib.parse.unquote(url.path).lstrip('/').partition('/')[2]
        if not key:
            return self.answer(200, self.bucket.page(query), Content_Type='application/xml')
        try:
            with open(os.path.join(self.bucket.root, key), 'rb') as f:
                data = f.read()
        except OSError:
            return self.answer(404, b'<Error><Code>NoSuchKey</Code></Error>')
        size, _, _ = self.bucket.about[key]
        first, status, more = 0, 200, {}
        if self.headers.get('Range'):
            first, last = self.headers['Range'].removeprefix('bytes=').split('-')
            first, last = int(first), min(int(last), size - 1)
            status, more = 206, {'Content_Range': 'bytes %d-%d/%d' % (first, last, size)}
            data = data[first:last + 1]
        return self.answer(status, data, ETag='"%032x"' % size,
                           Last_Modified='Sun, 01 Nov 2026 00:00:00 GMT', **more)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


def main():
    port, root, objects = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    with open(objects) as f:
        Handler.bucket = Bucket(root, json.load(f))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', port), Handler)
    print('ready', flush=True)
    server.serve_forever()


if __name__ == '__main__':
    main()
