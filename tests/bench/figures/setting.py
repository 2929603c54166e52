# SPDX-License-Identifier: Apache-2.0
"""What all measurements share: the lake, as a directory and in a bucket, and mounts of it."""
import base64
import hashlib
import json
import os
import shutil
import zlib
from pathlib import Path

from fake.proxy import DelayProxy
from support import s3 as s3_support
from support.mounts import Mounter, run_tarn

from . import lake
from .table import Table

WATCHDOG_S = 1800


def set_attributes(path):
    """The ETag and the checksum that an upload would have given an object of the server's."""
    md5, crc = hashlib.md5(), 0
    with open(path, 'rb') as f:
        while piece := f.read(1 << 20):
            md5.update(piece)
            crc = zlib.crc32(piece, crc)
    checksum = base64.b64encode(crc.to_bytes(4, 'big')).decode()
    os.setxattr(path, 'user.etag', ('"%s"' % md5.hexdigest()).encode())
    os.setxattr(path, 'user.checksums', json.dumps(
        {'Algorithm': 'CRC32', 'Type': 'FULL_OBJECT', 'CRC32': checksum}).encode())


def link_tree(source, to):
    """A bucket of links to a directory's files, as if they had been uploaded."""
    for where, _, names in os.walk(source):
        below = to / os.path.relpath(where, source)
        below.mkdir(parents=True, exist_ok=True)
        for name in names:
            os.link(Path(where) / name, below / name)
            set_attributes(below / name)


class Bench:
    """`below` is a new directory. Use as a context: everything is unmounted at its end."""

    def __init__(self, below, sizes):
        self.below, self.sizes, self.table = Path(below), sizes, Table()
        self.root, self.bucket = self.below / 'lake', 'lake'
        self.warm_cache = self.below / 'warm'   # of what is sealed, between measurements
        self.knows_passthrough = 'passthrough' in run_tarn('mount', '--help').stdout

    def __enter__(self):
        self.some = lake.make(self.root, self.sizes)
        self.server = s3_support.Server(self.below)
        self.mounter = Mounter(self.below / 'mounts', WATCHDOG_S)
        self.server.make_bucket(self.bucket)
        for name in ('bronze', lake.SMALL_TABLE):
            link_tree(self.root / name, self.server.root / self.bucket / name)
        os.sync()
        return self

    def __exit__(self, *_):
        self.mounter.end()
        self.server.stop()

    def _options(self, passthrough):
        """For -o. A binary that does not know the option has no passthrough to switch off."""
        if passthrough:
            return None
        if not self.knows_passthrough:
            self.table.note('this binary has no passthrough')
            return None
        return 'passthrough=off'

    def mount(self, source, cache=None, passthrough=True, preexec=None):
        return self.mounter(source, cache=cache, o=self._options(passthrough), preexec=preexec)

    def mount_s3(self, cache=None, passthrough=True, preexec=None, url=None):
        return self.mounter('s3://' + self.bucket, cache=cache, env=self.server.env,
                            o=self._options(passthrough), preexec=preexec,
                            endpoint_url=url or self.server.url)

    def proxied(self, **more):
        """A proxy before the server that counts; see tests/fake/proxy.py."""
        return DelayProxy(self.server.port, **more)

    def forget(self, m):
        """Frees the disk of a mount that is gone."""
        shutil.rmtree(m.cache)
