# SPDX-License-Identifier: Apache-2.0
"""
Iceberg tables on disk, wherever they were written: their metadata by a reader as simple as can be, and their
rows by PyIceberg, which is told where the files lie now.

    m = metadata(table)                     the newest one, as JSON
    Moved(table).rows(snapshot_id)          what PyIceberg reads; NotImplementedError where it cannot
"""
import gzip
import json
import re
from pathlib import Path

from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan, PyArrowFileIO
from pyiceberg.table import StaticTable

from .presented import Rows


def newest(table):
    """The metadata file of the greatest number."""
    def number(path):
        return int(re.match(r'v?(\d+)', path.name)[1])
    return max((p for p in (Path(table) / 'metadata').iterdir() if '.metadata.json' in p.name and not p.name.startswith('.')), key=number)


def metadata(table):
    raw = newest(table).read_bytes()
    return json.loads(gzip.decompress(raw) if raw[:2] == b'\x1f\x8b' else raw)


def bare(url):
    """A location without scheme and host, `/` at both ends."""
    return '/' + re.sub(r'^[a-z0-9+.-]+:(//[^/]*)?', '', url).strip('/').removeprefix('./') + '/'


class MovedFileIO(PyArrowFileIO):
    """Files of a table at its place of today: what follows the location, or else the name of its last directory."""

    def place(self, location):
        was, now = bare(self.properties['was']), Path(self.properties['now'])
        path = bare(location)
        if path.startswith(was):
            return str(now / path[len(was):-1])
        last = '/%s/' % now.name
        if last in path:
            return str(now / path.rsplit(last, 1)[1][:-1])
        return location

    def new_input(self, location):
        return super().new_input(self.place(location))


class Moved:
    def __init__(self, table):
        self.metadata = metadata(table)
        self.table = StaticTable.from_metadata(
            str(newest(table)), {'py-io-impl': __name__ + '.MovedFileIO', 'was': self.metadata['location'],
                                 'now': str(table)})

    def rows(self, snapshot_id):
        """By the snapshot's own schema."""
        return Rows([self.table.scan(snapshot_id=snapshot_id).to_arrow()])

    def rows_now(self, snapshot_id):
        """By the table's schema of now, as the live path and branches show them."""
        tasks = self.table.scan(snapshot_id=snapshot_id).plan_files()
        return Rows([ArrowScan(self.table.metadata, self.table.io, self.table.schema(), AlwaysTrue()).to_table(tasks)])
