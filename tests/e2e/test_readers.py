# SPDX-License-Identifier: Apache-2.0
"""The engines of a training node read versions as plain files."""
import subprocess

import duckdb
import polars
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from support.places import PATIENCE_S, SUPPORT, TOOLS

TABLE = 'silver/orders'


def with_pyarrow(path):
    t = ds.dataset(path, format='parquet', partitioning='hive').to_table(columns=['amount', 'date'])
    return t.num_rows, pc.sum(t['amount']).as_py()


def with_duckdb(path):
    query = ("SELECT count(*), sum(amount)::BIGINT FROM read_parquet('%s/**/*.parquet', "
             "hive_partitioning = true) WHERE date IS NOT NULL" % path)
    return duckdb.connect().execute(query).fetchone()


def with_polars(path):
    t = polars.scan_parquet('%s/**/*.parquet' % path, hive_partitioning=True)
    return t.select(polars.len(), polars.col('amount').sum()).collect().row(0)


@pytest.mark.parametrize('read', [with_pyarrow, with_duckdb, with_polars],
                         ids=['pyarrow', 'duckdb', 'polars'])
@pytest.mark.parametrize('store', ['directory', 's3'])
def test_every_version(mount, lake, s3, request, read, store):
    """Every version read by an engine has the rows and the sum that the deltalake package gives."""
    if store == 's3':
        bucket = request.getfixturevalue('bucket')
        s3.copy_tree(lake.root, bucket)
        m = mount('s3://%s' % bucket, endpoint_url=s3.url, env=s3.env)
    else:
        m = mount(lake.root)
    versions = lake.versions(TABLE)
    assert len(versions) > 10
    got = [tuple(read('%s/%s@%d' % (m, TABLE, v.number))) for v in versions]
    assert got == [(v.rows, v.total) for v in versions]
    assert tuple(read('%s/%s' % (m, TABLE))) == got[-1]


def test_pytorch_dataloader(mount, lake):
    """A PyTorch DataLoader with 4 workers reads the same rows and sums of every version."""
    m = mount(lake.root)
    versions = lake.versions(TABLE)
    done = subprocess.run(
        [str(TOOLS / 'venv-torch' / 'bin' / 'python'), str(SUPPORT / 'torch_reader.py'),
         *['%s/%s@%d' % (m, TABLE, v.number) for v in versions]],
        capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    got = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert got == [(v.rows, v.total) for v in versions]
