# SPDX-License-Identifier: Apache-2.0
"""A real S3 server (versitygw over a directory) on a loopback port of its own."""
import hashlib
import os
import random
import shutil
import socket
import subprocess
import time
import urllib.request

import boto3
from botocore.config import Config

from .places import MINIO, VERSITYGW

ACCESS_KEY, SECRET_KEY = 'tarn-tests', 'tarn-tests-secret'


def free_port():
    """
    A port that nobody has. Below those that the kernel gives to whoever asks for any, and other
    workers of one run look elsewhere: it is free until its server starts.
    """
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[2:])
    while True:
        port = 10000 + 1000 * (worker % 20) + random.randrange(1000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(('127.0.0.1', port))
                return port
            except OSError:
                continue


class Server:
    """Buckets are directories below `root`: files copied there are objects."""

    program = VERSITYGW

    def __init__(self, below, host='127.0.0.1', more=()):
        assert self.program.is_file(), ('no S3 server at %s: run tests/tools/deps.sh check'
                                        % self.program)
        self.root = below / 'buckets'
        self.root.mkdir()
        self.log = open(below / 'server.log', 'wb')
        self.host, self.port, self.more = host, free_port(), more
        self.process = subprocess.Popen(self.command(below), env=self.server_env(),
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self._wait()
        self.client = boto3.client(
            's3', endpoint_url=self.url, region_name='us-east-1', aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={'addressing_style': 'path'}, proxies={}))

    def command(self, below):
        (below / 'versions').mkdir()
        return [str(self.program), '--port', '%s:%d' % (self.host, self.port), '--access',
                ACCESS_KEY, '--secret', SECRET_KEY, '--quiet', *self.more, 'posix',
                '--versioning-dir', str(below / 'versions'), str(self.root)]

    def server_env(self):
        return None

    @property
    def url(self):
        return 'http://%s:%d' % (self.host, self.port)

    @property
    def env(self):
        """What `tarn mount` reads its credentials from."""
        return {'AWS_ACCESS_KEY_ID': ACCESS_KEY, 'AWS_SECRET_ACCESS_KEY': SECRET_KEY}

    def _wait(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection((self.host.strip('[]'), self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        self.log.flush()
        raise RuntimeError('the S3 server did not start: ' + open(self.log.name).read()[-2000:])

    def make_bucket(self, name, versioned=False):
        self.client.create_bucket(Bucket=name)
        if versioned:
            self.client.put_bucket_versioning(Bucket=name,
                                              VersioningConfiguration={'Status': 'Enabled'})
        return name

    def put(self, bucket, key, data):
        self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def copy_tree(self, source, bucket, prefix=''):
        """
        Copies a directory's files into a bucket, with their modification times, as objects with
        the ETag that an upload would have given them: much faster than uploads.
        """
        for where, _, names in os.walk(source):
            to = self.root / bucket / prefix / os.path.relpath(where, source)
            if names:
                os.makedirs(to, exist_ok=True)
            for name in names:
                path = os.path.join(where, name)
                shutil.copy2(path, to / name)
                with open(path, 'rb') as f:
                    etag = hashlib.md5(f.read()).hexdigest()
                os.setxattr(to / name, 'user.etag', ('"%s"' % etag).encode())

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Minio(Server):
    """MinIO over a directory: files copied there are none of its objects."""

    program = MINIO

    def command(self, below):
        return [str(self.program), 'server', '--quiet', '--address', '127.0.0.1:%d' % self.port,
                str(self.root)]

    def server_env(self):
        return dict(os.environ, MINIO_ROOT_USER=ACCESS_KEY, MINIO_ROOT_PASSWORD=SECRET_KEY,
                    MINIO_BROWSER='off', MINIO_UPDATE='off')

    def _wait(self):
        """It listens before it can be asked for anything."""
        super()._wait()
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(self.url + '/minio/health/ready', timeout=5).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def copy_tree(self, source, bucket, prefix=''):
        raise NotImplementedError
