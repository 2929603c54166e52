# SPDX-License-Identifier: Apache-2.0
"""What is in the Iceberg tables that real engines wrote: rows and columns, by plain readers and by PyIceberg."""
import fnmatch
import json
import os

import duckdb
import pyarrow.parquet as pq
import pytest

from support import iceberg_tables, presented
from support.places import TABLES

# What PyIceberg 0.12 or DuckDB does not read, or not right.
NOT_BY_PYICEBERG = {
    'iceberg/*/avro-snappy': 'manifests in snappy, without a package for it',
    'iceberg/*/legacy_v1': 'manifests in the metadata itself',
    'iceberg/duckdb/equality_deletes/*': 'equality deletes', 'iceberg/icebird/java/bunnies': 'equality deletes',
    'iceberg/impala/*_equality*': 'equality deletes', 'iceberg/impala/*_both_eq_and_pos': 'equality deletes',
    'iceberg/duckdb/partition_fixed_length_binary/*': 'a required column that only the partition tells',
    'iceberg/duckdb/partition_timestamptz/*': 'a required column that only the partition tells',
    'iceberg/impala/*iceberg_lineitem_multiblock': 'position deletes that name files by whole URLs',
    'iceberg/impala/*_with_dangling_delete': 'position deletes that name files by whole URLs',
    'iceberg/impala/*_v2_delete_positional': 'position deletes that name files by whole URLs',
    'iceberg/impala/*_null_delete_record': 'position deletes that name files by whole URLs',
    'iceberg/impala/*_positional_update_all_rows': 'position deletes that name files by whole URLs',
    'iceberg/impala/iceberg_migrated_complex_test': 'a logical type that pyarrow does not read',
    'iceberg/impala/*/trino_variant': 'variants',
    'iceberg/duckdb/case_sensitive_names/*': 'names that differ in case alone, which DuckDB renames',
}
# What pyarrow or DuckDB do not read, of files that are as their writers made them.
NOT_BY_READERS = {'iceberg/impala/iceberg_migrated_complex_test': 'a logical type that pyarrow does not read'}


def answers():
    """(what is expected of a table) for each that is to be read."""
    for source in sorted((TABLES / 'expected' / 'iceberg').glob('*.json')):
        told = json.loads(source.read_text())
        if told['must'] == 'read' and not told.get('doubtful'):
            yield told


def matches(table, globs):
    return any(fnmatch.fnmatchcase(table, g) for g in globs)


def whole(file):
    """Parquet, there, and as large as the table says."""
    return file['object'] is not None and file['path'].endswith('.parquet') and 'object_size' not in file


def readable(version):
    return all(whole(f) for f in version.get('files', ()))


@pytest.fixture(scope='module')
def shown(module_mount, corpus):
    return module_mount(corpus)


def schema_names(metadata, snapshot_id):
    """The columns that a snapshot is read with."""
    schemas = {s.get('schema-id', 0): s for s in metadata.get('schemas') or [metadata['schema']]}
    snapshot, = (s for s in metadata['snapshots'] if s['snapshot-id'] == snapshot_id)
    chosen = snapshot.get('schema-id', metadata.get('current-schema-id', 0))
    return [f['name'] for f in schemas[chosen]['fields']]


def test_files_have_the_rows_and_columns_of_their_snapshot(shown, corpus):
    """Each Parquet file has, for a plain reader, the columns of its snapshot and no deleted row."""
    seen = deleted = 0
    for told in answers():
        if matches(told['table'], NOT_BY_READERS):
            continue
        metadata = iceberg_tables.metadata(corpus / told['table'])
        for version in told['versions']:
            for file in version.get('files', ()):
                if not whole(file) or file['rows'] is None:
                    continue
                path = shown / ('%s@%s' % (told['table'], version['version'])) / file['path']
                gone = file.get('deleted_rows', 0)
                got = pq.ParquetFile(path)
                assert got.schema_arrow.names == schema_names(metadata, int(version['version'])), path
                if gone is not None:
                    assert got.metadata.num_rows == file['rows'] - gone, path
                assert sum(b.num_rows for b in got.iter_batches()) == got.metadata.num_rows, path
                seen, deleted = seen + 1, deleted + bool(gone)
    assert seen > 150 and deleted >= 10, (seen, deleted)


def test_snapshots_have_the_rows_that_are_expected(shown):
    """DuckDB counts in each snapshot's directory what the table has by the count of other readers."""
    seen = 0
    for told in answers():
        for version in told['versions']:
            if version['rows'] is None or not readable(version) or not version.get('files'):
                continue
            path = shown / ('%s@%s' % (told['table'], version['version']))
            with duckdb.connect() as c:
                counted, = c.execute('SELECT count(*) FROM read_parquet(?, hive_partitioning = false)',
                                     [str(path) + '/**/*.parquet']).fetchone()
            assert counted == version['rows'], path
            seen += 1
    assert seen > 70, seen


def test_snapshots_have_the_rows_that_pyiceberg_reads(shown, corpus):
    """The rows that pyarrow and DuckDB read in each snapshot's directory, and in the live one, are PyIceberg's."""
    seen, wrong = 0, []

    def compare(there, rows):
        try:
            presented.compare(shown / there, rows, [], there)
        except Exception as e:                  # a reader's own, too: all are looked at
            wrong.append('%s: %s' % (there, e))

    for told in answers():
        if matches(told['table'], NOT_BY_PYICEBERG) or not told['versions'] \
                or not all(readable(v) for v in told['versions']):
            continue
        table = iceberg_tables.Moved(corpus / told['table'])
        for version in told['versions']:
            rows = table.rows(int(version['version']))
            assert rows.count == version['rows'], (told['table'], version['version'])
            compare('%s@%s' % (told['table'], version['version']), rows)
            seen += 1
        if told['latest'] is not None:
            compare(told['table'], table.rows_now(int(told['latest'])))
    assert not wrong, '\n'.join(wrong)
    assert seen > 45, seen


def test_what_pyiceberg_does_not_read_is_there(corpus):
    """No line of the lists above is left over from a table that is not there."""
    tables = [told['table'] for told in answers()]
    for g in list(NOT_BY_PYICEBERG) + list(NOT_BY_READERS):
        assert fnmatch.filter(tables, g), g


def test_every_table_is_one_for_extended_attributes(shown):
    """Each is a table of the format `iceberg` without an error, and its version is the latest one."""
    for told in answers():
        path = shown / told['table']
        assert os.getxattr(path, 'user.tarn.format') == b'iceberg', path
        assert 'user.tarn.error' not in os.listxattr(path), path
        if told['latest'] is not None:
            assert os.getxattr(path, 'user.tarn.version').decode() == told['latest'], path
