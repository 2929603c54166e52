# SPDX-License-Identifier: Apache-2.0
"""A real GCS server of its own (fake-gcs-server, in memory) on a loopback port."""
import http.client
import json
import os
import subprocess
import time
import urllib.parse

from .places import FAKE_GCS_SERVER
from .s3 import free_port


class Server:
    """
    It serves reads and listings of the XML API and takes uploads by the JSON API. It asks for no
    credentials, knows no preconditions, and lists in one page: tests/fake/gcs.py is for those.
    """

    def __init__(self, below):
        assert FAKE_GCS_SERVER.is_file(), \
            'no GCS server at %s: run tests/tools/deps.sh check' % FAKE_GCS_SERVER
        self.log = open(below / 'fake-gcs-server.log', 'wb')
        self.port = free_port()
        self.process = subprocess.Popen(
            [str(FAKE_GCS_SERVER), '-backend', 'memory', '-scheme', 'http', '-host', '127.0.0.1',
             '-public-host', '127.0.0.1', '-port', str(self.port), '-log-level', 'warn'],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self._wait()

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self.port

    def _wait(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self._ask('GET', '/_internal/healthcheck')[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        self.log.flush()
        raise RuntimeError('fake-gcs-server did not start: ' + open(self.log.name).read()[-2000:])

    def _ask(self, method, path, body=None, kind='application/json', connection=None):
        c = connection or http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
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
        c = http.client.HTTPConnection('127.0.0.1', self.port, timeout=30)
        for where, directories, names in os.walk(source):
            directories.sort()
            for name in sorted(names):
                path = os.path.join(where, name)
                key = os.path.normpath(os.path.join(prefix, os.path.relpath(path, source)))
                with open(path, 'rb') as f:
                    self.put(bucket, key, f.read(), c)
        c.close()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
