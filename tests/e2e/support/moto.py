# SPDX-License-Identifier: Apache-2.0
"""
moto's S3 server on a loopback port of its own: it knows storage classes, refuses to read what is
archived, and restores it at once.
"""
import os

from .places import MOTO_SERVER
from .s3 import Server as S3Server


class Server(S3Server):
    """Buckets of moto. Objects are in its memory: each is uploaded."""

    program = MOTO_SERVER

    def command(self, below):
        return [str(self.program), '-H', self.host, '-p', str(self.port)]

    def copy_tree(self, source, bucket, prefix='', storage_class='STANDARD'):
        for where, _, names in os.walk(source):
            for name in names:
                path = os.path.join(where, name)
                with open(path, 'rb') as f:
                    self.put(bucket, prefix + os.path.relpath(path, source), f.read(),
                             storage_class)

    def put(self, bucket, key, data, storage_class='STANDARD'):
        self.client.put_object(Bucket=bucket, Key=key, Body=data, StorageClass=storage_class)

    def move(self, bucket, key, storage_class):
        """As a lifecycle rule does it: the same object in another class."""
        data = self.client.get_object(Bucket=bucket, Key=key)['Body'].read()
        self.put(bucket, key, data, storage_class)

    def copy_to_class(self, bucket, key, storage_class):
        """As `tarn tier apply` does it: a copy to itself."""
        self.client.copy_object(Bucket=bucket, Key=key, CopySource={'Bucket': bucket, 'Key': key},
                                StorageClass=storage_class, MetadataDirective='COPY')

    def keys(self, bucket, prefix=''):
        pages = self.client.get_paginator('list_objects_v2').paginate(Bucket=bucket, Prefix=prefix)
        return [c['Key'] for page in pages for c in page.get('Contents', [])]

    def head(self, bucket, key):
        return self.client.head_object(Bucket=bucket, Key=key)

    def restore(self, bucket, key, days=1):
        self.client.restore_object(Bucket=bucket, Key=key, RestoreRequest={
            'Days': days, 'GlacierJobParameters': {'Tier': 'Standard'}})
