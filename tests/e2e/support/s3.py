# SPDX-License-Identifier: Apache-2.0
"""A real S3 server (versitygw over a directory) on a loopback port of its own."""
import hashlib
import itertools
import os
import shutil
import subprocess
import time
import urllib.request

import boto3
from botocore.config import Config

from .places import MINIO, VERSITYGW
from .ports import end, serve

ACCESS_KEY, SECRET_KEY = 'tarn-tests', 'tarn-tests-secret'


class Server:
    """Buckets are directories below `root`: files copied there are objects."""

    program = VERSITYGW

    def __init__(self, below, host='127.0.0.1', more=()):
        assert self.program.is_file(), ('no S3 server at %s: run tests/tools/deps.sh check'
                                        % self.program)
        self.root = below / 'buckets'
        self.root.mkdir()
        self.log, self.host, self.more = open(below / 'server.log', 'wb'), host, more
        self.numbers = itertools.count(1)
        self.port = None
        self.process, _ = serve(lambda port: self.start(below, port), self.log.name)
        self.client = boto3.client(
            's3', endpoint_url=self.url, region_name='us-east-1', aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={'addressing_style': 'path'}, proxies={}))

    def start(self, below, port):
        self.port = port
        return subprocess.Popen(self.command(below), env=self.server_env(), stdin=subprocess.DEVNULL,
                                stdout=self.log, stderr=self.log)

    def command(self, below):
        (below / 'versions').mkdir(exist_ok=True)
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

    def make_bucket(self, name, versioned=False):
        self.client.create_bucket(Bucket=name)
        if versioned:
            self.client.put_bucket_versioning(Bucket=name,
                                              VersioningConfiguration={'Status': 'Enabled'})
        return name

    def new_bucket(self, stem):
        """Of a name that it never had: a module's fixtures are made again where its tests are spread."""
        return self.make_bucket('%s-%d' % (stem, next(self.numbers)))

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
        end(self.process, self.log)


class Minio(Server):
    """MinIO over a directory: files copied there are none of its objects."""

    program = MINIO

    def command(self, below):
        return [str(self.program), 'server', '--quiet', '--address', '127.0.0.1:%d' % self.port,
                str(self.root)]

    def server_env(self):
        return dict(os.environ, MINIO_ROOT_USER=ACCESS_KEY, MINIO_ROOT_PASSWORD=SECRET_KEY,
                    MINIO_BROWSER='off', MINIO_UPDATE='off')

    def __init__(self, below, host='127.0.0.1', more=()):
        """It listens before it can be asked for anything."""
        super().__init__(below, host, more)
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
