# SPDX-License-Identifier: Apache-2.0
"""
Delete files for tables that PyIceberg has written, which does not write such itself: in Parquet by pyarrow, in Avro
by PyIceberg's writer, ORC by pyarrow. Each call is one snapshot.

    d = Deletes(table)
    d.equality(ids, tuples, format='avro', partition=...)
    d.positions([(path, row), ...], format='parquet')
    d.data(rows, format='orc')                              a data file, which PyIceberg writes in Parquet alone
    d.commit()
"""
import datetime
import uuid

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
from pyiceberg.avro.file import AvroOutputFile
from pyiceberg.io.pyarrow import schema_to_pyarrow
from pyiceberg.manifest import (DataFile, DataFileContent, FileFormat, ManifestContent, ManifestEntry,
                                ManifestEntryStatus, ManifestWriterV2, write_manifest_list)
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, AssertRefSnapshotId, SetSnapshotRefUpdate
from pyiceberg.typedef import Record
from pyiceberg.types import LongType, NestedField, StringType

POSITIONS = Schema(NestedField(2147483546, 'file_path', StringType(), required=True),
                   NestedField(2147483545, 'pos', LongType(), required=True))
EPOCH = datetime.date(1970, 1, 1)


class DeleteManifest(ManifestWriterV2):
    def content(self):
        return ManifestContent.DELETES

    @property
    def _meta(self):
        return {**super()._meta, 'content': 'deletes'}


def in_avro(value):
    if isinstance(value, datetime.datetime):
        return (value - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
    return (value - EPOCH).days if isinstance(value, datetime.date) else value


def columns_of(table, ids):
    """A schema of the columns of these ids, in any schema of the table; a field in a struct within that."""
    def cut(fields):
        kept = []
        for f in fields:
            if f.field_id in ids:
                found.add(f.field_id)
                kept.append(f)
            elif f.field_type.is_struct and (inner := cut(f.field_type.fields)):
                kept.append(f.model_copy(update={'field_type': f.field_type.model_copy(update={'fields': tuple(inner)})}))
        return kept
    for schema in reversed(sorted(table.schemas().values(), key=lambda s: s.schema_id)):
        found = set()
        fields = cut(schema.fields)
        if found == set(ids):
            return Schema(*fields)
    raise KeyError(ids)


class Deletes:
    def __init__(self, table):
        self.table, self.id = table, uuid.uuid4().int >> 65
        self.entries = []

    def equality(self, ids, tuples, format='parquet', partition=None, spec=None, schema=None):
        """tuples: values in the order of the schema's columns."""
        schema = schema or columns_of(self.table, ids)
        return self.write('eq', schema, tuples, format, DataFileContent.EQUALITY_DELETES, partition, spec, equality_ids=sorted(ids))

    def positions(self, rows, format='parquet', partition=None, spec=None):
        return self.write('pos', POSITIONS, rows, format, DataFileContent.POSITION_DELETES, partition, spec)

    def data(self, tuples, format, schema=None):
        return self.write('data', schema or self.table.schema(), tuples, format, DataFileContent.DATA, None, None)

    def write(self, what, schema, tuples, format, content, partition, spec, **more):
        path = '%s/data/%s-%s.%s' % (self.table.location(), what, uuid.uuid4(), format)
        local = path.removeprefix('file://')
        if format == 'avro':
            with AvroOutputFile(self.table.io.new_output(path), schema, 'deletes', metadata={'write.avro.compression-codec': 'zstd'}) as out:
                for tuple_ in tuples:
                    out.write_block([Record(*map(in_avro, tuple_))])
        else:
            arrow = schema_to_pyarrow(schema)
            if format == 'orc':
                arrow = pa.schema([f.with_metadata({'iceberg.id': f.metadata[b'PARQUET:field_id']}) for f in arrow])
            data = pa.table([pa.array([t[i] for t in tuples], f.type) for i, f in enumerate(arrow)], schema=arrow)
            pa.orc.write_table(data, local) if format == 'orc' else pq.write_table(data, local)
        self.entries.append((spec or self.table.spec(), DataFile.from_args(
            content=content, file_path=path, file_format=FileFormat(format.upper()), partition=partition or Record(),
            record_count=len(tuples), file_size_in_bytes=self.table.io.new_input(path).__len__(), **more)))
        return path

    def commit(self):
        t = self.table
        before = t.current_snapshot()
        sequence = t.metadata.next_sequence_number()
        manifests = []
        kind = lambda e: (e[0].spec_id, e[1].content == DataFileContent.DATA)
        for one in {kind(e): e for e in self.entries}.values():
            out = t.io.new_output('%s/metadata/%s.avro' % (t.location(), uuid.uuid4()))
            writer = ManifestWriterV2 if kind(one)[1] else DeleteManifest
            with writer(one[0], t.schema(), out, self.id, 'deflate') as w:
                for of, file in self.entries:
                    if kind((of, file)) == kind(one):
                        w.add_entry(ManifestEntry.from_args(status=ManifestEntryStatus.ADDED, snapshot_id=self.id,
                                                            sequence_number=None, file_sequence_number=None, data_file=file))
            manifests.append(w.to_manifest_file())
        path = '%s/metadata/snap-%d.avro' % (t.location(), self.id)
        with write_manifest_list(2, t.io.new_output(path), self.id, before.snapshot_id, sequence, 'deflate') as w:
            w.add_manifests(before.manifests(t.io) + manifests)
        snapshot = Snapshot(snapshot_id=self.id, parent_snapshot_id=before.snapshot_id, sequence_number=sequence,
                            manifest_list=path, schema_id=t.schema().schema_id,
                            timestamp_ms=max(int(datetime.datetime.now().timestamp() * 1000), before.timestamp_ms + 1),
                            summary=Summary(Operation.DELETE))
        t._do_commit((AddSnapshotUpdate(snapshot=snapshot),
                      SetSnapshotRefUpdate(**{'ref_name': 'main', 'type': 'branch', 'snapshot_id': self.id})),
                     (AssertRefSnapshotId(**{'ref': 'main', 'snapshot-id': before.snapshot_id}),))
        t.refresh()
        return self.id


def added_files(table):
    """Data files that the current snapshot added: (path, partition)."""
    s = table.current_snapshot()
    return [(e.data_file.file_path, e.data_file.partition) for m in s.manifests(table.io) if m.content == ManifestContent.DATA
            for e in m.fetch_manifest_entry(table.io) if e.snapshot_id == s.snapshot_id]
