# SPDX-License-Identifier: Apache-2.0
"""Tables that real engines wrote, with the answers that they must give."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pyarrow.parquet
import pytest

from support.places import PATIENCE_S, PYTHON, TABLES

REFUSED = Path(__file__).with_name('refused.txt')


def check(mounted, corpus, tables, *more, expected=TABLES / 'expected'):
    """Runs the corpus's own comparison; its words when a table is neither right nor refused."""
    done = subprocess.run(
        [PYTHON, str(TABLES / 'check'), str(mounted), str(expected), '--bytes',
         '--source', str(corpus), '--tables', tables, '--refused', str(REFUSED),
         '--deletes', 'either',
         '--timeout', str(4 * PATIENCE_S), *more], capture_output=True, text=True)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = int(done.stdout.splitlines()[-1].split()[0])
    assert passed > 0
    return passed


@pytest.fixture(scope='session')
def expected_without_times(tmp_path_factory):
    """The answers but for refs that are times of commits: the server keeps whole seconds only."""
    root = tmp_path_factory.mktemp('expected')
    for source in (TABLES / 'expected').rglob('*.json'):
        answer = json.loads(source.read_text())
        if 'other_refs' in answer:
            answer['other_refs'] = {ref: version for ref, version in answer['other_refs'].items()
                                    if not re.fullmatch(r'(timestamp=.*|[0-9]{17})', ref)}
        copy = root / source.relative_to(TABLES / 'expected')
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(json.dumps(answer))
    return root


# The least number of tables that are right; doubtful ones are left out.
FORMATS = {'delta/*': 280, 'files/*': 1, 'iceberg/*': 62}


@pytest.mark.parametrize('tables', FORMATS)
def test_corpus_from_a_directory(mount, corpus, tables):
    """Every table of a local corpus is right at every version to the byte, or refused as listed."""
    m = mount(corpus)
    passed = check(m, corpus, tables)
    assert passed >= FORMATS[tables]


def data_columns(table):
    """Names of the columns that files of a table's directory have, as its schema tells them."""
    told = json.loads((table / '.tarn' / 'schema.json').read_text())
    return [f['name'] for f in told['schema']['fields']
            if f['name'] not in told['partitionColumns'] and f['type'] != 'void']


TRANSFORMED = ('colmap-', 'deletion-vectors-live', 'reader-feature:typeWidening', 'metadata-change')


def test_files_have_the_rows_and_columns_of_their_version(mount, corpus):
    """Files of tables that were renamed, widened, evolved or deleted from read, with a plain Parquet
    reader, as the version has them: its columns, and no deleted row."""
    m = mount(corpus)
    seen = {feature: 0 for feature in TRANSFORMED}
    for source in sorted((TABLES / 'expected' / 'delta').glob('*.json')):
        told = json.loads(source.read_text())
        mine = [t for t in TRANSFORMED if any(f.startswith(t) for f in told['features'])]
        if not mine or told['must'] != 'read' or told.get('doubtful'):
            continue
        for version in told['versions']:
            table = m / ('%s@%s' % (told['table'], version['version']))
            for file in version.get('files', ()):
                deleted = file.get('deleted_rows', 0)
                if file['object'] is None or file['rows'] is None or deleted is None:
                    continue
                got = pyarrow.parquet.ParquetFile(table / file['path'])
                where = (told['table'], version['version'], file['path'])
                if 'user.tarn.transform' in os.listxattr(table / file['path']) and \
                        os.getxattr(table / file['path'], 'user.tarn.transform') != b'none':
                    assert got.schema_arrow.names == data_columns(table), where
                assert got.metadata.num_rows == file['rows'] - deleted, where
                assert sum(b.num_rows for b in got.iter_batches()) == got.metadata.num_rows, where
                for feature in mine:
                    seen[feature] += 1
    assert min(seen.values()) > 0, seen


@pytest.mark.timeout(900)
@pytest.mark.parametrize('tables', FORMATS)
def test_corpus_from_s3(mount, corpus, s3, bucket, tables, expected_without_times):
    """The same tables give the same answers from a real S3 server."""
    top = tables.split('/')[0]
    s3.copy_tree(corpus / top, bucket, 'lake/' + top)
    m = mount('s3://%s/lake' % bucket, endpoint_url=s3.url, env=s3.env)
    passed = check(m, corpus, tables, '--no-time', '--without', 'dv-p',  # whose address is local
                   expected=expected_without_times)
    assert passed >= FORMATS[tables] * (0.89 if tables == 'delta/*' else 1)


# The server looks through all objects of a bucket for each request: a bucket for each of these.
GCS_GROUPS = ('delta/delta-rs', 'delta/delta-rs-exotic', 'delta/derived', 'delta/golden',
              'delta/kernel', 'delta/kernel-rs', 'delta/spark', 'delta/trino', 'delta/unitycatalog',
              'files', 'iceberg/derived', 'iceberg/duckdb', 'iceberg/icebird', 'iceberg/impala', 'iceberg/trino')


@pytest.mark.parametrize('group', GCS_GROUPS)
def test_corpus_from_gcs(mount, corpus, gcs, group, expected_without_times):
    """The same tables give the same answers from a real GCS server."""
    bucket = gcs.new_bucket('corpus-' + group.replace('/', '-'))
    gcs.copy_tree(corpus / group, bucket, 'lake/' + group)
    m = mount('gs://%s/lake' % bucket, endpoint_url=gcs.url, no_sign_request=True)
    check(m, corpus, group + '/*', '--no-time', '--without', 'dv-p',
          expected=expected_without_times)


def test_refused_lines_name_tables(corpus):
    """No line of the list of refused tables is left over from a table that is not there."""
    for line in REFUSED.read_text().splitlines():
        if line and not line.startswith('#'):
            table, _, reason = line.partition('\t')
            assert reason, line
            assert (corpus / table).is_dir(), line


V2_NAME = re.compile(r'(\d{20})\.checkpoint\.[0-9a-f-]{36}\.(json|parquet)')


def v2_checkpoints(corpus):
    """{table: its newest version that has a checkpoint named by a UUID}, of tables of that kind."""
    found = {}
    for path in corpus.glob('delta/*/*/_delta_log/*.checkpoint.*-*'):
        named = V2_NAME.fullmatch(path.name)
        if named:
            table = path.parent.parent.relative_to(corpus)
            found[table] = max(found.get(table, 0), int(named[1]))
    return found


def listing(directory):
    """Paths alone: how large files are that no commit proves to be as stored is another matter."""
    return {str(p.relative_to(directory)) for p in directory.rglob('*') if p.is_file()}


def test_checkpoints_of_version_2_stand_for_their_commits(mount, corpus, tmp_path):
    """Where the commits before such a checkpoint are gone, its version and later ones are the same."""
    whole, rest = mount(corpus), tmp_path / 'rest'
    tables = {t: v for t, v in v2_checkpoints(corpus).items()
              if 'user.tarn.error' not in os.listxattr(whole / t)}
    for table, version in tables.items():
        shutil.copytree(corpus / table, rest / table)
        for v in range(version + 1):
            (rest / table / '_delta_log' / ('%020d.json' % v)).unlink(missing_ok=True)
    m = mount(rest)
    for table, version in tables.items():
        at = '%s@%d' % (table, version)
        assert listing(m / at) == listing(whole / at) != set(), table
        assert listing(m / table) == listing(whole / table), table
        assert version == 0 or not (m / ('%s@0' % table)).exists()
    assert len(tables) >= 5
