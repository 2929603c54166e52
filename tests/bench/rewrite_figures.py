#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What taking rows out of a Parquet file costs, beside pyarrow reading, filtering and writing it.

usage: rewrite_figures.py [--rows N] [CODEC ...]

One table with columns of every common kind, written by pyarrow with each codec, without few rows
(one in 1,000, in runs and scattered) and without half of them. Both read a file in the page cache and
write one; the best of three. pyarrow has all CPUs, tarn uses one. The status is 1 where tarn takes
longer. build/tests/present includes its start and reading the rows as text.
"""
import argparse
import os
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
       CASE hash(range + 9) % 3 WHEN 0 THEN [] WHEN 1 THEN [range % 7] ELSE [range % 5, range % 3] END AS list
FROM range({rows})'''


def best(run):
    times = []
    for _ in range(3):
        start = time.monotonic()
        run()
        times.append(time.monotonic() - start)
    return min(times)


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


def main():
    p = argparse.ArgumentParser(description='Taking rows out, beside pyarrow.')
    p.add_argument('--rows', type=int, default=2000000)
    p.add_argument('codecs', nargs='*', default=['snappy', 'zstd', 'none', 'gzip', 'lz4', 'brotli'])
    opt = p.parse_args()
    table = duckdb.sql(TABLE.format(rows=opt.rows)).to_arrow_table()
    with tempfile.TemporaryDirectory(prefix='tarn-bench') as where:
        return any([measure(table, codec, Path(where)) for codec in opt.codecs])


if __name__ == '__main__':
    sys.exit(main())
