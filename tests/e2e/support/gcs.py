# SPDX-License-Identifier: Apache-2.0
"""A real GCS server of its own (fake-gcs-server, in memory) on a loopback port."""
import http.client
import itertools
import json
import os
import subprocess
import urllib.parse

from .places import FAKE_GCS_SERVER, PATIENCE_S
from .ports import end, serve


class Server:
    """
    It serves reads and listings of the XML API and takes uploads by the JSON API. It asks for no
    credentials, knows no preconditions, and lists in one page: tests/fake/gcs.py is for those.
    """

    def __init__(self, below):
        assert FAKE_GCS_SERVER.is_file(), \
            'no GCS server at %s: run tests/tools/deps.sh check' % FAKE_GCS_SERVER
        self.log = open(below / 'fake-gcs-server.log', 'wb')
        self.numbers = itertools.count(1)
        self.process, self.port = serve(lambda port: subprocess.Popen(
            [str(FAKE_GCS_SERVER), '-backend', 'memory', '-scheme', 'http', '-host', '127.0.0.1',
             '-public-host', '127.0.0.1', '-port', str(port), '-log-level', 'warn'],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log), self.log.name)

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self.port

    def _ask(self, method, path, body=None, kind='application/json', connection=None):
        c = connection or http.client.HTTPConnection('127.0.0.1', self.port, timeout=PATIENCE_S)
        c.request(method, path, body, {'Content-Type': kind} if body is not None else {})
        answer = c.getresponse()
        data = answer.read()
        if not connection:
            c.close()
        return answer.status, data

    def make_bucket(self, name):
        status, said = self._ask('POST', '/storage/v1/b?project=tests', json.dumps({'name': name}))
        assert status == 200, said
        return name

    def new_bucket(self, stem):
        """Of a name that it never had: a module's fixtures are made again where its tests are spread."""
        return self.make_bucket('%s-%d' % (stem, next(self.numbers)))

    def put(self, bucket, key, data, connection=None):
        """The generation that the object has then."""
        status, said = self._ask(
            'POST', '/upload/storage/v1/b/%s/o?uploadType=media&name=%s'
            % (bucket, urllib.parse.quote(key, safe='')), data, 'application/octet-stream', connection)
        assert status == 200, said
        return json.loads(said)['generation']

    def delete(self, bucket, key):
        status, said = self._ask('DELETE', '/storage/v1/b/%s/o/%s'
                                 % (bucket, urllib.parse.quote(key, safe='')))
        assert status in (200, 204), said

    def copy_tree(self, source, bucket, prefix=''):
        """Uploads a directory's files, those of a log in its order: their times follow it."""
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=PATIENCE_S)
        for where, directories, names in os.walk(source):
            directories.sort()
            for name in sorted(names):
                path = os.path.join(where, name)
                key = os.path.normpath(os.path.join(prefix, os.path.relpath(path, source)))
                with open(path, 'rb') as f:
                    self.put(bucket, key, f.read(), c)
        c.close()

    def stop(self):
        end(self.process, self.log)
