# SPDX-License-Identifier: Apache-2.0
"""gs://: tables, refs, generations, credentials and errors of Cloud Storage."""
import os

import pyarrow.dataset as ds
import pytest

from support import gcs as gcs_support

NO_CONFIG = {'CLOUDSDK_CONFIG': '/nonexistent'}      # the developer's own gcloud is not asked


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    s = gcs_support.Server(tmp_path_factory.mktemp('gcs'))
    yield s
    s.stop()


@pytest.fixture(scope='module')
def lake_bucket(server, lake):
    """A bucket with the lake of real Delta tables below a prefix."""
    server.make_bucket('lake-bucket')
    server.copy_tree(lake.root, 'lake-bucket', 'some/lake')
    return 'gs://lake-bucket/some/lake'


def files_below(root):
    return {os.path.relpath(os.path.join(where, name), root): os.path.join(where, name)
            for where, _, names in os.walk(root) for name in names}


def amounts(path):
    table = ds.dataset(str(path), format='parquet').to_table(columns=['amount'])
    return table.num_rows, sum(table['amount'].to_pylist())


def test_tables_at_every_version(mount, server, lake, lake_bucket):
    """Every version of every table of a bucket has the rows and the files that it must have."""
    m = mount(lake_bucket, endpoint_url=server.url, env=NO_CONFIG)
    for table, versions in lake.tables.items():
        for v in versions:
            below = m / ('%s@%d' % (table, v.number))
            found = {path: os.path.getsize(p) for path, p in files_below(below).items()}
            assert found == v.files
            assert amounts(below) == (v.rows, v.total)
        assert amounts(m / table) == (versions[-1].rows, versions[-1].total)


def test_raw_files_to_the_byte(mount, server, lake, lake_bucket):
    """Plain objects, empty and larger than a block ones too, are read to the byte."""
    m = mount(lake_bucket, endpoint_url=server.url, env=NO_CONFIG)
    wanted = files_below(lake / 'bronze')
    found = files_below(m / 'bronze')
    assert found.keys() == wanted.keys()
    for path, p in found.items():
        with open(p, 'rb') as f, open(wanted[path], 'rb') as g:
            assert f.read() == g.read(), path
