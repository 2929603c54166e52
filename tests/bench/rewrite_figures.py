#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What taking rows out of a Parquet file costs, beside pyarrow reading, filtering and writing it.

usage: rewrite_figures.py [--rows N] [--only rows|masks] [CODEC ...]

One table with columns of every common kind, written by pyarrow with each codec, without few rows
(one in 1,000, in runs and scattered) and without half of them. Both read a file in the page cache and
write one; the best of three. pyarrow has all CPUs, tarn uses one. The status is 1 where tarn takes
longer. build/tests/present includes its start and reading the rows as text.

Masks: one table under a view that hides a column, masks others and takes rows out, those of a list or
those that a row filter decides against, beside pyarrow merely decoding the whole file, with one thread
each; more than three times as long fails. Hashes of a value in every row make a file several times as
long, and what a disk takes for that depends on the disk: of them three times the processor's time fails,
which is told of both.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[2]
PRESENT = ROOT / 'build' / 'tests' / 'present'
TABLE = '''
SELECT range AS id, hash(range) >> 24 AS key, (hash(range + 1) % 100)::INT AS small,
       (hash(range + 2) % 1000000007) / 1e5 AS price, ((hash(range + 3) % 65521) / 7)::FLOAT AS ratio,
       hash(range + 4) % 5 = 0 AS flag, 'word ' || (hash(range + 5) % 1000) AS word,
       'text ' || (hash(range + 6) % 1000000000) AS text,
       CASE WHEN hash(range + 7) % 3 > 0 THEN (hash(range + 8) % 10000019)::DOUBLE END AS sparse,
       DATE '1950-01-01' + (hash(range + 10) % 20000)::INT AS day,
       CASE hash(range + 9) % 3 WHEN 0 THEN [] WHEN 1 THEN [range % 7] ELSE [range % 5, range % 3] END AS list
FROM range({rows})'''


def best(run):
    return best_of(run)[0]


def busy_s():
    """Seconds that processors were busy for us and our children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def best_of(run):
    """Seconds, and those that processors were busy."""
    times, busy = [], []
    for _ in range(3):
        start, before = time.monotonic(), busy_s()
        run()
        times.append(time.monotonic() - start)
        busy.append(busy_s() - before)
    return min(times), min(busy)


def patterns(rows):
    yield 'few', [i for i in range(rows) if i * 2654435761 % 1000 == 0]
    yield 'runs', [i for i in range(rows) if i % 200000 < 200]
    yield 'half', [i for i in range(rows) if (i * 2654435761 >> 7) % 2]


def measure(table, codec, where):
    source, presented, written = (where / name for name in ('in.parquet', 'tarn.parquet', 'arrow.parquet'))
    pq.write_table(table, source, compression=codec)
    slower = False
    for name, gone in patterns(table.num_rows):
        listed = where / 'rows'
        listed.write_text('\n'.join(map(str, gone)))
        gone = set(gone)
        keep = pa.array([i not in gone for i in range(table.num_rows)])
        ours = best(lambda: subprocess.run([PRESENT, '-d', listed, source, presented], check=True,
                                           stdout=subprocess.DEVNULL))
        theirs = best(lambda: pq.write_table(pq.read_table(source).filter(keep), written, compression=codec))
        assert pq.ParquetFile(presented).metadata.num_rows == keep.true_count
        slower |= ours > theirs
        print('%-8s %-5s %5.0f MB  tarn %6.3f s  pyarrow %6.3f s  ratio %5.2f' % (
            codec, name, os.path.getsize(source) / 1e6, ours, theirs, theirs / ours), flush=True)
    return slower


VIEW = [dict(name='id', type='int64'), dict(name='small', type='int32', mask='mask-to-fixed-value'),
        dict(name='price', type='double'), dict(name='ratio', type='float', mask='replace-with-null'),
        dict(name='flag', type='boolean'), dict(name='word', type='string', mask='show-first-4'),
        dict(name='text', type='string', mask='mask-alphanum'), dict(name='sparse', type='double'),
        dict(name='day', type='date', mask='truncate-to-month'),
        dict(name='list', type='list', fields=[dict(name='e', type='int64')])]
FILTER = "small < 60 and (flag or word like 'word 9%' or price > 5000) and sparse is not null"
HASHES = [dict(f, mask='sha-256-global') if f['name'] in ('id', 'word', 'text') else f for f in VIEW]


def measure_masks(table, codec, where):
    source, presented, listed = (where / name for name in ('in.parquet', 'tarn.parquet', 'rows'))
    pq.write_table(table, source, compression=codec)
    decode = best(lambda: pq.read_table(source))
    alone, busy = best_of(lambda: pq.read_table(source, use_threads=False))
    kept = duckdb.sql('SELECT count(*) FROM "table" WHERE ' + FILTER).fetchall()[0][0]
    slower = False
    for view, fields in (('masks', VIEW), ('hashes', HASHES)):
        columns = where / 'view.json'
        columns.write_text(json.dumps({'confined': True, 'fields': fields}))
        for name, gone in [('all', []), ('filter', None), *patterns(table.num_rows)]:
            rows = ['-f', FILTER] if gone is None else ['-d', listed] if gone else []
            listed.write_text('\n'.join(map(str, gone or [])))
            command = [PRESENT, '-m', '-c', columns, *rows, source, presented]
            ours, our_busy = best_of(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
            left = kept if gone is None else table.num_rows - len(gone)
            assert pq.ParquetFile(presented).metadata.num_rows == left
            slower |= (ours > 3 * alone) if view == 'masks' else (our_busy > 3 * busy)
            print('%-8s %-6s %-6s tarn %6.3f s  pyarrow decodes in %6.3f s (all threads: %6.3f s)  times %5.2f, of processors '
                  '%.2f / %.2f s = %5.2f' % (codec, view, name, ours, alone, decode, ours / alone, our_busy, busy, our_busy / busy),
                  flush=True)
    return slower


def main():
    p = argparse.ArgumentParser(description='Taking rows out, beside pyarrow.')
    p.add_argument('--rows', type=int, default=2000000)
    p.add_argument('--only', choices=['rows', 'masks'])
    p.add_argument('codecs', nargs='*', default=['snappy', 'zstd', 'none', 'gzip', 'lz4', 'brotli'])
    opt = p.parse_args()
    table = duckdb.sql(TABLE.format(rows=opt.rows)).to_arrow_table()
    with tempfile.TemporaryDirectory(prefix='tarn-bench') as where:
        runs = [run for name, run in (('rows', measure), ('masks', measure_masks)) if opt.only in (None, name)]
        return any([run(table, codec, Path(where)) for run in runs for codec in opt.codecs])


if __name__ == '__main__':
    sys.exit(main())
