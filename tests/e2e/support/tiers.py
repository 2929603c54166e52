# SPDX-License-Identifier: Apache-2.0
"""
A table whose old version is to move to another class, in a bucket; and what must not change about its objects
whatever happens while they move.
"""
import json

from botocore.exceptions import ClientError

from .delta_log import SCHEMA
from .mounts import run_tarn

OLD_BYTES = 150_000             # below 128 KiB nothing is moved: it would cost more


def log(table_files):
    """The commits of a table: a list of (added, removed) of paths -> sizes."""
    began_ms = 1_700_000_000_000
    for version, (added, removed) in enumerate(table_files):
        when = began_ms + version * 60_000
        actions = [{'commitInfo': {'timestamp': when, 'operation': 'WRITE'}}]
        if version == 0:
            actions += [{'protocol': {'minReaderVersion': 1, 'minWriterVersion': 2}},
                        {'metaData': {'id': '6f4dd0f0-0000-4000-8000-000000000008', 'configuration': {},
                                      'format': {'provider': 'parquet', 'options': {}},
                                      'partitionColumns': [], 'schemaString': json.dumps(SCHEMA),
                                      'createdTime': began_ms}}]
        actions += [{'add': {'path': path, 'partitionValues': {}, 'size': size, 'modificationTime': when,
                             'dataChange': True}} for path, size in added.items()]
        actions += [{'remove': {'path': path, 'deletionTimestamp': when, 'dataChange': True,
                                'size': size}} for path, size in removed.items()]
        yield '_delta_log/%020d.json' % version, '\n'.join(map(json.dumps, actions)).encode()


def objects(chance, count, size=OLD_BYTES):
    """A table of two versions by path: `count` files that only the first one holds, one of both, one of the second."""
    old = {'old-%03d.parquet' % i: chance.randbytes(size + i) for i in range(count)}
    both = {'both.parquet': chance.randbytes(size)}
    new = {'new.parquet': chance.randbytes(size)}
    sizes = lambda files: {k: len(v) for k, v in files.items()}                         # noqa: E731
    return {**old, **both, **new,
            **dict(log([(sizes({**old, **both}), {}), (sizes(new), sizes(old))]))}


class Lake:
    """Its objects in `bucket` below `landing/orders/`, its lake file, and `tarn tier` about it."""

    def __init__(self, server, below, bucket='raw', to='STANDARD_IA', rule='', url=None):
        self.server, self.below, self.bucket, self.runs = server, below, bucket, 0
        self.path = self.write(to, rule, url or server.url)

    def write(self, to, rule='', url=None, name='lake.yaml'):
        path = self.below / name
        path.write_text('layers:\n  bronze: {url: "s3://%s/landing", endpoint-url: "%s"}\n'
                        'rules:\n  - {tables: ["bronze/**"], need: older-than-0d, %s '
                        'move: [{to: %s, after: 0d}]}\n'
                        % (self.bucket, url or self.server.url, rule, to))
        return path

    def key(self, path):
        return 'landing/orders/' + path

    def command(self, *args, path=None):
        """The arguments of a run of its own: as on a machine of its own."""
        self.runs += 1
        return ['tier', 'apply', '--json', *args, '--cache-dir', self.below / ('cache%d' % self.runs),
                path or self.path]

    def apply(self, *args, path=None, ok=True):
        done = run_tarn(*self.command(*args, path=path), env=self.server.env, timeout=300)
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        counts = {k: v['objects'] if isinstance(v, dict) else v for k, v in json.loads(done.stdout).items()}
        return counts, done.stderr

    def classes(self):
        """{path: class} as the listing tells it."""
        listed = self.server.client.list_objects_v2(Bucket=self.bucket, Prefix='landing/orders/')
        start = len('landing/orders/')
        return {o['Key'][start:]: o['StorageClass'] for o in listed['Contents']}

    def look(self):
        """All about each object but its class, its times and our tag; {path: ...}."""
        found = {}
        for path in self.classes():
            client, name = self.server.client, {'Bucket': self.bucket, 'Key': self.key(path)}
            head = client.head_object(**name)
            tags = client.get_object_tagging(**name)['TagSet']
            found[path] = (client.get_object(**name)['Body'].read(), head['ETag'], head['Metadata'],
                           [head.get(k) for k in ('ContentType', 'CacheControl', 'ContentEncoding',
                                                  'ContentDisposition', 'ContentLanguage',
                                                  'ServerSideEncryption', 'SSEKMSKeyId')],
                           sorted((t['Key'], t['Value']) for t in tags if t['Key'] != 'tarn-tier'),
                           self.grants(path))
        return found

    def grants(self, path):
        try:
            return self.server.client.get_object_acl(Bucket=self.bucket, Key=self.key(path))['Grants']
        except ClientError as e:        # moto knows none of what was uploaded in parts
            return e.response['Error']['Code']

    def tags(self):
        """{path: value of our tag} where there is one."""
        found = {}
        for path in self.classes():
            tags = self.server.client.get_object_tagging(Bucket=self.bucket, Key=self.key(path))['TagSet']
            found.update({path: t['Value'] for t in tags if t['Key'] == 'tarn-tier'})
        return found
