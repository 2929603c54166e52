# SPDX-License-Identifier: Apache-2.0
"""`tarn tier report`: every object that a store lists is told once, with what it is there for."""
import collections
import csv
import io
import json
import os
import re
import subprocess
import xml.etree.ElementTree
from pathlib import Path

import pytest

from support import lakes
from support.histories import History
from support.mounts import run_tarn
from support.need import Needs
from support.places import PATIENCE_S, TABLES


def report(source, *more, env=None):
    done = run_tarn('tier', 'report', source, '--json', *more, env=env, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def by(rows, *names):
    sums = collections.Counter()
    for row in rows:
        sums[tuple(row[n] for n in names)] += row['bytes']
    return {k: v for k, v in sums.items() if v}


def sizes_of(root):
    return {os.path.relpath(p, root): p.stat().st_size for p in Path(root).rglob('*') if p.is_file()}


def expected_uses(root):
    """Bytes by use of one table, by the replay."""
    needs, found = Needs(root), collections.Counter()
    for name, size in sizes_of(root).items():
        found['log' if name.startswith('_delta_log/') else needs.use(name)] += size
    return {k: v for k, v in found.items() if v}


def test_the_sums_are_those_of_the_stores_own_listing(s3, bucket, lake):
    """Files and bytes of all rows are what boto3 lists, in each class and below each table."""
    s3.copy_tree(lake.root, bucket, 'lake/')
    s3.put(bucket, 'lake/note.txt', b'outside of tables')
    listed = [o for page in s3.client.get_paginator('list_objects_v2').paginate(
        Bucket=bucket, Prefix='lake/') for o in page['Contents']]
    told = report('s3://%s/lake' % bucket, '--endpoint-url', s3.url, env=s3.env)
    assert told['total']['files'] == len(listed) == sum(r['files'] for r in told['rows'])
    assert told['total']['bytes'] == sum(o['Size'] for o in listed)
    classes = collections.Counter()
    for o in listed:
        classes[(o['StorageClass'],)] += o['Size']
    assert by(told['rows'], 'class') == classes
    tables = by(told['rows'], 'table')
    for table in lake.tables:
        assert tables[(table,)] == sum(o['Size'] for o in listed
                                       if o['Key'].startswith('lake/%s/' % table))
    assert tables[(None,)] == len(b'outside of tables')
    assert told['notes'] == []


def test_uses_and_versions_are_those_of_the_log(lake):
    """What the newest version holds, what only older ones do, what compaction left: as the log says."""
    told = report(lake.root, '--versions')
    for table in lake.tables:
        rows = [r for r in told['rows'] if r['table'] == table]
        assert {k[0]: v for k, v in by(rows, 'use').items()} == expected_uses(lake.root / table)
        needs = Needs(lake.root / table)
        sums = needs.sums(sizes_of(lake.root / table))
        assert {v['version']: (v['files'], v['bytes'], v['only_files'], v['only_bytes'])
                for v in told['versions'] if v['table'] == table} == sums
    uses = {r['use'] for r in told['rows']}
    assert {'live', 'older', 'leftover', 'log'} <= uses


@pytest.mark.timeout(300)
def test_random_histories(tmp_path, chance):
    """Whatever was done to a table (deletes, restores, vacuums, cleaned-up logs), the sums are right."""
    for i in range(6):
        root = tmp_path / ('t%d' % i)
        history = History(root / 'lake' / 'layer' / 'table', chance.randrange(1 << 32)).run()
        print(history.seed, history.done)
        told = report(root / 'lake', '--versions')
        assert {k[0]: v for k, v in by(told['rows'], 'use').items()} == expected_uses(history.path)
        sums = Needs(history.path).sums(sizes_of(history.path))
        assert {v['version']: (v['files'], v['bytes'], v['only_files'], v['only_bytes'])
                for v in told['versions']} == sums


def test_money_is_bytes_times_price(s3, bucket, lake, tmp_path):
    """A month is what list prices say, or the lake file."""
    s3.copy_tree(lake.root / 'gold', bucket)
    source, options = 's3://' + bucket, ('--endpoint-url', s3.url)
    told = report(source, *options, env=s3.env)
    assert told['total']['month'] == pytest.approx(told['total']['bytes'] * 0.023e-9)
    file = tmp_path / 'lake.yaml'
    file.write_text('layers: {gold: "%s"}\nprices: {STANDARD: 1000}\n' % source)
    told = report(file, *options, env=s3.env)
    assert told['total']['month'] == pytest.approx(told['total']['bytes'] * 1000e-9)
    assert {r['layer'] for r in told['rows']} == {'gold'}


def test_patterns_choose_tables(lake):
    """With patterns only those tables are told; one that nothing matches is an error."""
    told = report(lake.root, 'silver/**')
    assert {r['table'] for r in told['rows']} == {'silver/orders', 'silver/eu/fr/clients'}
    done = run_tarn('tier', 'report', lake.root, 'brass/*')
    assert done.returncode == 1 and 'brass/*' in done.stderr


def test_what_is_missing_is_said(own_lake):
    """A file that the newest version holds and that is not in the store is a note, not a number."""
    name = next(iter(own_lake.versions('gold/daily')[-1].files))
    (own_lake / 'gold/daily' / name).unlink()
    told = report(own_lake.root)
    note, = told['notes']
    assert 'gold/daily' in note and '1 files' in note
    assert told['total']['files'] == len(sizes_of(own_lake.root))


def test_a_table_that_is_not_read_is_counted(own_lake):
    """A Hudi table's bytes are in the sums, under a use of their own, with the reason."""
    metadata = own_lake / 'silver/hudi/.hoodie'
    metadata.mkdir(parents=True)
    (metadata / 'hoodie.properties').write_text('hoodie.table.name=hudi\n')
    (own_lake / 'silver/hudi/data.parquet').write_bytes(b'12345')
    told = report(own_lake.root)
    rows = {r['use']: r['bytes'] for r in told['rows'] if r['table'] == 'silver/hudi'}
    assert rows['unread'] == 5
    assert any('silver/hudi' in n for n in told['notes'])
    assert told['total']['bytes'] == sum(sizes_of(own_lake.root).values())


def test_csv_and_text_say_the_same(lake):
    """CSV has the rows of JSON; text has the totals."""
    told = report(lake.root, '--versions')
    rows = list(csv.DictReader(io.StringIO(
        run_tarn('tier', 'report', lake.root, '--csv').stdout)))
    assert [(r['table'], r['use'], int(r['bytes'])) for r in rows] == \
        [(r['table'] or '', r['use'], r['bytes']) for r in told['rows']]
    versions = list(csv.DictReader(io.StringIO(
        run_tarn('tier', 'report', lake.root, '--csv', '--versions').stdout)))
    assert [int(v['only_bytes']) for v in versions] == [v['only_bytes'] for v in told['versions']]
    text = run_tarn('tier', 'report', lake.root, '--versions')
    assert text.returncode == 0
    assert '%d files' % told['total']['files'] in text.stdout.replace(',', '')
    assert 'silver/orders' in text.stdout and 'left behind by compaction' in text.stdout


def test_the_page_is_whole_in_itself(own_lake, tmp_path):
    """The HTML page has plots, names nothing elsewhere, runs nothing, and shows names as they are."""
    os.rename(own_lake / 'gold/daily', own_lake / 'gold/<b>&"daily')
    page = tmp_path / 'report.html'
    done = run_tarn('tier', 'report', own_lake.root, '--versions', '--html', page)
    assert done.returncode == 0 and not done.stdout, done.stderr
    text = page.read_text()
    assert not re.search(r'https?://|<script|\bsrc=|<link|@import|url\(', text)
    assert '<b>&"daily' not in text and '&lt;b&gt;&amp;&quot;daily' in text
    plots = re.findall(r'<svg.*?</svg>', text, re.S)
    assert len(plots) >= 3
    for plot in plots:
        xml.etree.ElementTree.fromstring(plot)
    bars = sum(plot.count('<rect') for plot in plots)
    assert bars >= len(own_lake.tables)


def test_nothing_is_left_behind(lake, tmp_path):
    """The command's own files are gone when it ends, and it writes nothing into the cache."""
    scratch, cache = tmp_path / 'scratch', tmp_path / 'cache'
    scratch.mkdir()
    done = run_tarn('tier', 'report', lake.root, '--cache-dir', cache, env={'TMPDIR': str(scratch)})
    assert done.returncode == 0
    assert not list(scratch.iterdir()) and not cache.exists()


@pytest.mark.timeout(300)
def test_tables_of_real_engines(tmp_path_factory):
    """Tables that Spark and others wrote, with deletion vectors and change data: as a replay says."""
    root = tmp_path_factory.mktemp('corpus') / 'lake'
    subprocess.run([str(TABLES / 'unpack'), str(root)], check=True, capture_output=True)
    told = report(root / 'delta', '--versions')
    rows, versions, compared = collections.defaultdict(list), collections.defaultdict(dict), collections.Counter()
    for r in told['rows']:
        rows[r['table']].append(r)
    for v in told['versions']:
        versions[v['table']][v['version']] = (v['files'], v['bytes'], v['only_files'], v['only_bytes'])
    for log in sorted((root / 'delta').glob('**/_delta_log')):
        name = str(log.parent.relative_to(root / 'delta'))
        commits = sorted(int(p.stem) for p in log.glob('*.json') if p.stem.isdigit())
        unread = {r['use'] for r in rows[name]} & {'unread'}
        uniform = any((log.parent / n).exists() for n in ('metadata', '.hoodie'))   # others' logs beside it
        if unread or uniform or not commits or commits != list(range(len(commits))) or not versions[name]:
            continue                            # the replay knows no checkpoints of newer kinds
        if any(re.match(r'(\w+:)?/|\w+://|\.\./', o) for o in Needs(log.parent).objects):
            continue                            # files elsewhere
        wrong = {k[0]: v for k, v in by(rows[name], 'use').items()} != expected_uses(log.parent)
        if wrong or versions[name] != Needs(log.parent).sums(sizes_of(log.parent)):
            print(name, by(rows[name], 'use'), expected_uses(log.parent))
            compared['wrong'] += 1
        compared.update({r['use'] for r in rows[name]})
    print(compared)
    assert not compared['wrong']
    assert compared['live'] > 50 and compared['deletes'] > 5 and compared['changes'] > 0
