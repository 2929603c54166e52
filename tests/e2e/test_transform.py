# SPDX-License-Identifier: Apache-2.0
"""What the transformer presents of a Parquet file reads as the projection of the original."""
import os
import random
import subprocess

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.places import ROOT, TABLES
from support.present import MADE, PRESENT, Projection, Refused, chunk_ranges, present


@pytest.fixture(scope='session', autouse=True)
def program():
    assert PRESENT.is_file(), 'no %s: run make' % PRESENT


@pytest.fixture
def chance():
    seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
    print('SEED', seed)
    return random.Random(seed)


@pytest.fixture(scope='session')
def duck():
    con = duckdb.connect()
    con.execute('SET threads = 1')
    return con


def by_pyarrow(path):
    return pq.ParquetFile(path).read()


def by_duckdb(duck, path):
    return duck.sql('SELECT * FROM read_parquet(?, hive_partitioning = false)',
                    params=[str(path)]).to_arrow_table()


def usable(schema):
    names = [n.lower() for n in schema.names]
    return names and '' not in names and len(set(names)) == len(names)


class Tally(dict):
    """How many files were read by whom, and why others were not."""

    def count(self, what):
        self[what] = self.get(what, 0) + 1


def zeros_where_dropped(path, out, projection, schema):
    """No byte of a column that is not presented is in the file."""
    kept = {schema.names[c[0]] for c in projection.columns if c[0] is not None}
    data = bytearray(out.read_bytes())
    for column, start, size in chunk_ranges(out):       # pages of its own may lie there
        if column.startswith('added '):
            data[start:start + size] = bytes(size)
    for column, start, size in chunk_ranges(path):
        if not any(column == k or column.startswith(k + '.') for k in kept):
            assert not any(data[start:start + size]), (column, start)


def check_file(path, out, chance, duck, tally, nulls_inside=False):
    try:
        schema = pq.ParquetFile(path).schema_arrow
        original = by_pyarrow(path)
    except (pa.ArrowException, OSError) as e:
        tally.count('pyarrow cannot read it: %s' % str(e)[:60])
        return None
    if not usable(schema):
        tally.count('odd names')
        return None
    projection = Projection(chance, schema, nulls_inside)
    try:
        done = present(path, out, projection.fields)
    except Refused as e:
        tally.count('refused: %s' % e)
        return None
    projection.check(original, by_pyarrow(out))
    tally.count('pyarrow')
    if done['kind'] == 'footer':
        zeros_where_dropped(path, out, projection, schema)
    try:
        original = by_duckdb(duck, path)
    except duckdb.Error as e:
        tally.count('duckdb cannot read it: %s' % str(e)[:60])
    else:
        projection.check(original, by_duckdb(duck, out), types=False)
        tally.count('duckdb')
    tally.count(done['kind'])
    return done


@pytest.fixture(scope='session')
def files(tmp_path_factory):
    """The corpus's data files, each content once."""
    root = tmp_path_factory.mktemp('corpus') / 'lake'
    subprocess.run([str(TABLES / 'unpack'), str(root)], check=True, capture_output=True)
    contents = {p.read_bytes(): p for p in sorted(root.rglob('*.parquet'))}
    return sorted(contents.values())


@pytest.mark.timeout(300)
def test_files_of_real_tables(files, tmp_path, chance, duck):
    """Any columns of any file that real engines wrote, renamed, moved and added to."""
    tally = Tally()
    for path in files:
        try:
            check_file(path, tmp_path / 'out.parquet', chance, duck, tally)
        except Exception:
            print('FILE', path)
            raise
    print(tally)
    assert tally['pyarrow'] > 1000 and tally['duckdb'] > 1000
