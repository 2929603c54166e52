# SPDX-License-Identifier: Apache-2.0
"""tarn versions, log and diff; what VACUUM may remove, and what it has removed."""
import json
import os
import time

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S

DAY_MS = 86400 * 1000


def rows(n, start=0):
    return pa.table({'id': list(range(start, start + n)), 'name': ['x%d' % i for i in range(n)]})


@pytest.fixture
def table(tmp_path):
    """Two appends, a delete, a compaction, and a column more: the directory of the table."""
    path = tmp_path / 'lake' / 'silver' / 'orders'
    write_deltalake(path, rows(10))
    write_deltalake(path, rows(10, 100), mode='append')
    DeltaTable(path).delete('id >= 105')
    DeltaTable(path).optimize.compact()
    write_deltalake(path, rows(3, 200).append_column('note', pa.array(['a', 'b', 'c'])),
                    mode='append', schema_mode='merge')
    return path


def actions(table, version):
    text = (table / '_delta_log' / ('%020d.json' % version)).read_text()
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def age(table, days):
    """As if everything had been done so many days ago: the log's times, and those in it."""
    for path in sorted((table / '_delta_log').glob('*.json')):
        found = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        for action in found:
            if 'remove' in action:
                action['remove']['deletionTimestamp'] -= days * DAY_MS
        at = path.stat().st_mtime - days * 86400
        path.write_text('\n'.join(json.dumps(a) for a in found) + '\n')
        os.utime(path, (at, at))


def sums(table, version, kind):
    files = [a[kind] for a in actions(table, version) if kind in a]
    return len(files), sum(f['size'] for f in files)


def test_versions_as_json_say_what_the_commits_say(table, mount):
    m = mount(table.parents[1])
    done = run_tarn('versions', '--json', m / 'silver/orders')
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [v['version'] for v in told] == [0, 1, 2, 3, 4]
    for v in told:
        n = v['version']
        assert (v['numAddedFiles'], v['addedBytes']) == sums(table, n, 'add')
        assert (v['numRemovedFiles'], v['removedBytes']) == sums(table, n, 'remove')
    assert [v['operation'] for v in told] == ['WRITE', 'WRITE', 'DELETE', 'OPTIMIZE', 'WRITE']
    assert [v['dataChange'] for v in told] == [True, True, True, False, True]
    assert [v['metadataChange'] for v in told] == [True, False, False, False, True]


def test_versions_for_a_person(table, mount):
    """A line a version under a heading, times of the reader's zone with that zone."""
    m = mount(table.parents[1])
    done = run_tarn('versions', m / 'silver/orders', env={'TZ': 'Asia/Kolkata'})
    assert done.returncode == 0, done.stderr
    heading, *lines = done.stdout.splitlines()
    assert heading.split()[:3] == ['version', 'time', 'operation']
    assert len(lines) == 5 and all('+0530' in line for line in lines)
    assert 'OPTIMIZE' in lines[3] and lines[0].split()[0] == '0'
    assert 'VACUUM' not in done.stdout


def test_log_is_newest_first_and_can_be_cut(table, mount):
    m = mount(table.parents[1])
    done = run_tarn('log', '-n', '2', m / 'silver/orders')
    assert done.returncode == 0, done.stderr
    heads = [line for line in done.stdout.splitlines() if line.startswith('version ')]
    assert [h.split()[1:3] for h in heads] == [['4', 'WRITE'], ['3', 'OPTIMIZE']]
    assert 'rows     unchanged' in done.stdout
    told = json.loads(run_tarn('log', '--json', m / 'silver/orders').stdout)
    assert [v['version'] for v in told] == [4, 3, 2, 1, 0]


def test_a_pinned_path_tells_its_own_history(table, mount):
    m = mount(table.parents[1])
    for ref, versions in (('@2', [0, 1, 2]), ('@1..3', [2, 3])):
        done = run_tarn('versions', '--json', m / ('silver/orders' + ref))
        assert [v['version'] for v in json.loads(done.stdout)] == versions


def test_a_commit_steers_no_terminal(table, mount):
    """Control characters of a user's name are not printed."""
    log = table / '_delta_log' / ('%020d.json' % 4)
    found = actions(table, 4)
    for a in found:
        if 'commitInfo' in a:
            a['commitInfo']['userName'] = 'me\x1b[2Jyou'
    log.write_text('\n'.join(json.dumps(a) for a in found) + '\n')
    m = mount(table.parents[1])
    for command in ('versions', 'log'):
        done = run_tarn(command, m / 'silver/orders')
        assert 'me?[2Jyou' in done.stdout and '\x1b' not in done.stdout


def live(table, version):
    dt = DeltaTable(table, version=version)
    return {os.path.relpath(p.replace('file://', ''), table) for p in dt.file_uris()}


def test_diff_is_what_the_engine_says(table, mount):
    m = mount(table.parents[1])
    for a in range(5):
        for b in range(5):
            done = run_tarn('diff', '--json', m / ('silver/orders@%d' % a),
                            m / ('silver/orders@%d' % b))
            assert done.returncode == 0, done.stderr
            told = json.loads(done.stdout)
            before, after = live(table, a), live(table, b)
            found = {kind: {os.path.basename(f['path']) for f in told['files']
                            if f['change'] == kind} for kind in ('added', 'removed', 'replaced')}
            assert found['added'] == {os.path.basename(p) for p in after - before}
            assert found['removed'] == {os.path.basename(p) for p in before - after}
            assert not found['replaced']
            assert told['sameFiles'] == len(before & after)


def test_diff_tells_schema_and_properties(table, mount):
    DeltaTable(table).alter.set_table_properties({'delta.appendOnly': 'false'})
    m = mount(table.parents[1])
    done = run_tarn('diff', '--json', m / 'silver/orders@3', m / 'silver/orders')
    told = json.loads(done.stdout)
    assert told['schema'] == [{'name': 'note', 'before': None, 'after': 'string'}]
    assert {'name': 'configuration.delta.appendOnly', 'before': None,
            'after': 'false'} in told['properties']
    text = run_tarn('diff', '--summary', m / 'silver/orders@3', m / 'silver/orders').stdout
    assert 'schema + note: string' in text and '1 added' in text


def test_diff_of_two_tables_is_refused(table, mount):
    write_deltalake(table.parent / 'other', rows(1))
    m = mount(table.parents[1])
    done = run_tarn('diff', m / 'silver/orders', m / 'silver/other')
    assert done.returncode == 1 and 'not of one table' in done.stderr


# What VACUUM may remove

def test_a_fresh_table_warns_of_nothing(table, mount):
    m = mount(table.parents[1])
    told = json.loads((m / 'silver/orders/.tarn/retention.json').read_text())
    assert told['retentionMs'] == 7 * DAY_MS and told['newest'] == 4
    # The delete took what 1 holds, the compaction what 0, 1 and 2 hold; 3 and 4 lose nothing.
    assert [v['version'] for v in told['versions']] == [0, 1, 2]
    assert all(v['removableAtMs'] > time.time() * 1000 for v in told['versions'])


def test_versions_that_vacuum_may_break_are_marked(table, mount):
    age(table, 8)
    m = mount(table.parents[1])
    done = run_tarn('versions', m / 'silver/orders')
    marked = [line.split()[0] for line in done.stdout.splitlines() if line.strip()[:2] in
              ('0!', '1!', '2!', '3!', '4!')]
    assert marked == ['0!', '1!', '2!']
    assert '3 versions up to 2 hold files' in done.stdout
    told = json.loads(run_tarn('log', '--json', m / 'silver/orders').stdout)
    assert [v['removableAt'] is None for v in told] == [True, True, False, False, False]


def test_the_tables_own_period_counts(table, mount):
    DeltaTable(table).alter.set_table_properties(
        {'delta.deletedFileRetentionDuration': 'interval 30 days'})
    age(table, 8)
    m = mount(table.parents[1])
    assert 'VACUUM' not in run_tarn('versions', m / 'silver/orders').stdout
    told = json.loads((m / 'silver/orders/.tarn/retention.json').read_text())
    assert told['retentionMs'] == 30 * DAY_MS


def test_opening_such_a_version_is_told_in_the_log_once(table, mount):
    age(table, 8)
    m = mount(table.parents[1])
    for _ in range(3):
        os.listdir(m / 'silver/orders@1')
        os.listdir(m / 'silver/orders@3')
    text = wait_for(lambda: 'VACUUM' in (m.cache / 'tarn.log').read_text() and
                    (m.cache / 'tarn.log').read_text(), PATIENCE_S, 'the warning')
    assert text.count('VACUUM') == 1 and 'version 1, which is in use' in text


def test_a_mount_as_of_a_time_tells_what_vacuum_may_remove(table, mount):
    """What removes files is what was done after that time, though nothing of it is shown."""
    age(table, 8)
    for version in range(5):
        at = time.time() - 8 * 86400 + 60 * version
        os.utime(table / '_delta_log' / ('%020d.json' % version), (at, at))
    as_of = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() - 8 * 86400 + 90))
    m = mount(table.parents[1], as_of=as_of)
    assert m.xattr('silver/orders', 'version') == '1'
    text = wait_for(lambda: 'VACUUM' in (m.cache / 'tarn.log').read_text() and
                    (m.cache / 'tarn.log').read_text(), PATIENCE_S, 'the warning')
    assert 'version 1, which is in use' in text
    told = json.loads(run_tarn('versions', '--json', m / 'silver/orders').stdout)
    assert [v['removableAt'] is None for v in told] == [False, False]


def test_who_tags_such_a_version_is_warned(table, mount):
    age(table, 8)
    m = mount(table.parents[1])
    done = run_tarn('tag', m / 'silver/orders@1', 'kept')
    assert done.returncode == 0 and 'version 1 holds files that VACUUM may remove' in done.stderr
    done = run_tarn('tag', m / 'silver/orders@4', 'new')
    assert done.returncode == 0 and not done.stderr


def test_commands_tell_why_a_table_is_refused(table, mount):
    """Not the errno of a system call."""
    commit = table / '_delta_log' / ('%020d.json' % 5)
    commit.write_text('{"protocol":{"minReaderVersion":99,"minWriterVersion":99}}\n')
    m = mount(table.parents[1])
    path = m / 'silver/orders'
    for words in (['versions', path], ['log', path], ['diff', path, path], ['tag', path, 'x']):
        done = run_tarn(*words)
        assert done.returncode != 0 and 'reader version 99 is not known' in done.stderr, words
    done = run_tarn('versions', m / 'silver/orders@5')
    assert done.returncode != 0 and str(m.cache / 'tarn.log') in done.stderr
    assert run_tarn('versions', m / 'silver/orders@4').returncode == 0


def test_what_follows_two_dashes_is_a_path(table, mount):
    table.rename(table.with_name('-orders'))
    m = mount(table.parents[1])
    for words in (['versions', '--json'], ['log'], ['diff', '--summary'], ['tag', '--list'], ['doctor'],
                  ['cache', 'stat']):
        paths = ['-orders'] * (2 if words[0] == 'diff' else 1)
        done = run_tarn(*words, '--', *paths, cwd=m / 'silver')
        assert done.returncode == 0, (words, done.stderr)
        assert run_tarn(*words, *paths, cwd=m / 'silver').returncode == 2, words
    assert run_tarn('umount', '--', '-orders', cwd=m / 'silver').returncode == 1     # it is no mount
    assert run_tarn('umount', '-orders', cwd=m / 'silver').returncode == 2


def test_what_vacuum_has_removed_is_an_error_that_says_so(table, mount):
    age(table, 8)
    gone = (live(table, 1) - live(table, 4)).pop()
    os.unlink(table / gone)
    m = mount(table.parents[1])
    os.listdir(m / 'silver/orders@1')
    wait_for(lambda: 'VACUUM' in (m.cache / 'tarn.log').read_text(), PATIENCE_S, 'the warning')
    with pytest.raises(FileNotFoundError):
        (m / 'silver/orders@1' / gone).read_bytes()
    wait_for(lambda: 'the object is gone' in (m.cache / 'tarn.log').read_text(), PATIENCE_S, 'the error')
    assert 'VACUUM' in m.xattr('silver/orders@1/' + gone, 'error')


def test_what_is_gone_from_a_bucket_says_so_too(table, mount, s3, bucket):
    gone = (live(table, 1) - live(table, 4)).pop()
    for path in table.rglob('*'):
        if path.is_file() and path.name != os.path.basename(gone):
            s3.put(bucket, 'silver/orders/%s' % path.relative_to(table), path.read_bytes())
    m = mount('s3://' + bucket, env=s3.env, endpoint_url=s3.url)
    with pytest.raises(FileNotFoundError):
        (m / 'silver/orders@1' / gone).read_bytes()
    wait_for(lambda: 'the object is gone' in (m.cache / 'tarn.log').read_text(), PATIENCE_S, 'the error')
    assert 'VACUUM' in m.xattr('silver/orders@1/' + gone, 'error')
