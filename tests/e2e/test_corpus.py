# SPDX-License-Identifier: Apache-2.0
"""Tables that real engines wrote, with the answers that they must give."""
import json
import re
import subprocess
from pathlib import Path

import pytest

from support.places import PYTHON, SLOWNESS, TABLES

REFUSED = Path(__file__).with_name('refused.txt')


@pytest.fixture(scope='session')
def corpus(tmp_path_factory):
    """The corpus unpacked, with its modification times."""
    assert (TABLES / 'check').is_file(), \
        'no corpus at %s: docs/TESTING.md says where it comes from; set TABLES' % TABLES
    root = tmp_path_factory.mktemp('corpus') / 'lake'
    subprocess.run([str(TABLES / 'unpack'), str(root)], check=True, capture_output=True)
    return root


def check(mounted, corpus, tables, *more, expected=TABLES / 'expected'):
    """Runs the corpus's own comparison; its words when a table is neither right nor refused."""
    done = subprocess.run(
        [PYTHON, str(TABLES / 'check'), str(mounted), str(expected), '--bytes',
         '--source', str(corpus), '--tables', tables, '--refused', str(REFUSED),
         '--deletes', 'either',
         '--timeout', str(60 * SLOWNESS), *more], capture_output=True, text=True)
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


@pytest.mark.timeout(600)
@pytest.mark.parametrize('tables', ['delta/*', 'files/*'])
def test_corpus_from_a_directory(mount, corpus, tables):
    """Every table of a local corpus is right at every version to the byte, or refused as listed."""
    m = mount(corpus)
    passed = check(m, corpus, tables)
    assert passed >= (150 if tables == 'delta/*' else 1)


@pytest.mark.timeout(900)
@pytest.mark.parametrize('tables', ['delta/*', 'files/*'])
def test_corpus_from_s3(mount, corpus, s3, bucket, tables, expected_without_times):
    """The same tables give the same answers from a real S3 server."""
    top = tables.split('/')[0]
    s3.copy_tree(corpus / top, bucket, 'lake/' + top)
    m = mount('s3://%s/lake' % bucket, endpoint_url=s3.url, env=s3.env)
    passed = check(m, corpus, tables, '--no-time', expected=expected_without_times)
    assert passed >= (150 if tables == 'delta/*' else 1)


# The server looks through all objects of a bucket for each request: a bucket for each of these.
GCS_GROUPS = ('delta/delta-rs', 'delta/delta-rs-exotic', 'delta/derived', 'delta/golden',
              'delta/kernel', 'delta/kernel-rs', 'delta/spark', 'delta/trino', 'delta/unitycatalog',
              'files')


@pytest.mark.timeout(600)
@pytest.mark.parametrize('group', GCS_GROUPS)
def test_corpus_from_gcs(mount, corpus, gcs, group, expected_without_times):
    """The same tables give the same answers from a real GCS server."""
    bucket = gcs.make_bucket('corpus-' + group.replace('/', '-'))
    gcs.copy_tree(corpus / group, bucket, 'lake/' + group)
    m = mount('gs://%s/lake' % bucket, endpoint_url=gcs.url, no_sign_request=True)
    check(m, corpus, group + '/*', '--no-time', expected=expected_without_times)


def test_refused_lines_name_tables(corpus):
    """No line of the list of refused tables is left over from a table that is not there."""
    for line in REFUSED.read_text().splitlines():
        if line and not line.startswith('#'):
            table, _, reason = line.partition('\t')
            assert reason, line
            assert (corpus / table).is_dir(), line
