# SPDX-License-Identifier: Apache-2.0
"""Damaged, truncated and hostile logs: a refusal with its reason, never a part of a table."""
import errno
import os

import pytest

from support import bad_logs, lakes
from support.mounts import run_tarn, wait_for, zombie
from support.places import PATIENCE_S

SECRET = 'not for the lake'


class BadLake:
    def __init__(self, mounter, mount, source):
        self.mounter, self.mount, self.source, self.pid = mounter, mount, source, mount.pid


@pytest.fixture(scope='module')
def bad(module_mount, tmp_path_factory):
    """All cases as tables of one lake, mounted once."""
    top = tmp_path_factory.mktemp('bad')
    (top / 'secret.parquet').write_text(SECRET)
    root = bad_logs.build_all(top / 'lake')
    return BadLake(module_mount, module_mount(root), root)


def fails(path):
    """The errno of listing a directory."""
    with pytest.raises(OSError) as caught:
        os.listdir(path)
    return caught.value.errno


def test_corpus_is_large():
    """At least 40 tables are wrong, each in its own way and with its description."""
    assert len({c.name for c in bad_logs.REFUSED}) == len(bad_logs.REFUSED) >= 40
    assert len({c.wrong for c in bad_logs.REFUSED}) >= 40


@pytest.mark.parametrize('case', bad_logs.REFUSED, ids=lambda c: c.name)
def test_refused_as_a_whole(bad, case):
    """The name is listed and answers stat; listing it is an error, its reason is told, no more."""
    table = bad.mount / case.name
    assert case.name in os.listdir(bad.mount)
    assert os.path.isdir(table)
    assert fails(table) in case.errno, case.wrong
    assert fails(table) in case.errno, 'the second time: ' + case.wrong
    with pytest.raises(OSError):
        os.stat(table / bad_logs.file_name(0))
    reason = os.getxattr(table, 'user.tarn.error').decode()
    assert len(reason) > 10
    doctor = run_tarn('doctor', table)
    assert doctor.returncode == 1
    assert reason in doctor.stdout + doctor.stderr
    sound(bad)


@pytest.mark.parametrize('case', bad_logs.REFUSED, ids=lambda c: c.name)
def test_older_versions_are_exact_or_refused(bad, case):
    """A version before the damage is exactly itself, or an error: never less, never more."""
    for version in range(bad_logs.LAST + 1):
        there = bad.mount / ('%s@%d' % (case.name, version))
        exact = {bad_logs.file_name(v): 100 + v for v in range(version + 1)}
        try:
            got = lakes.tree(there)
        except OSError as e:
            assert e.errno in (errno.EIO, errno.EOPNOTSUPP, errno.ENOENT), e
            continue
        assert version < bad_logs.LAST, 'the damaged version is readable'
        assert got == exact
    sound(bad)


@pytest.mark.parametrize('case', bad_logs.HARMLESS, ids=lambda c: c.name)
def test_odd_but_right(bad, case):
    """What only looks odd is read exactly."""
    table = bad.mount / case.name
    raw = table / '.tarn/raw'       # where nothing proves the columns of a file, it has slack
    assert sorted(lakes.tree(table)) == sorted(bad_logs.EXPECTED), case.wrong
    assert lakes.tree(raw) == bad_logs.EXPECTED, case.wrong
    for name in bad_logs.EXPECTED:
        assert (raw / name).read_bytes() == (bad.source / case.name / name).read_bytes()
    assert run_tarn('doctor', table).returncode == 0


def sound(bad):
    """The daemon is the one it was, and the table beside is read."""
    assert not zombie(bad.pid) and bad.mount.pid == bad.pid, 'the daemon died'
    assert lakes.tree(bad.mount / 'neighbour') == bad_logs.EXPECTED


ESCAPES = ['../../secret.parquet', '..%2F..%2Fsecret.parquet', '%2e%2e/%2e%2e/secret.parquet',
           'a/../../../secret.parquet', '{top}/secret.parquet', 'file://{top}/secret.parquet',
           'file:{top}/secret.parquet', 'FILE://{top}/secret.parquet', 'file:///etc/passwd']


@pytest.mark.parametrize('path', ESCAPES)
def test_no_path_leaves_the_lake(mount, tmp_path, path):
    """A log that names a file outside of the mounted root never gives a byte of it."""
    (tmp_path / 'secret.parquet').write_text(SECRET)
    table = tmp_path / 'lake' / 'table'
    bad_logs.base(table)
    bad_logs.write(table, 2, bad_logs.line(bad_logs.add(
        2, path=path.format(top=tmp_path), size=len(SECRET))))
    m = mount(tmp_path / 'lake')
    try:
        names = lakes.tree(m / 'table')
    except OSError as e:
        assert e.errno in (errno.EIO, errno.EOPNOTSUPP, errno.EACCES)
        names = {}
    else:
        assert len(names) == 3, 'a file is missing from the listing'
    for name in names:
        if name not in (bad_logs.file_name(0), bad_logs.file_name(1)):
            with pytest.raises(OSError) as caught:
                (m / 'table' / name).read_bytes()
            assert caught.value.errno in (errno.EACCES, errno.ENOENT, errno.EIO, errno.EOPNOTSUPP)


@pytest.mark.parametrize('target', ['link', 'directory-link'])
def test_symlinks_of_the_source_do_not_lead_out(mount, tmp_path, target):
    """A symbolic link in a local source does not lead a reader out of it."""
    (tmp_path / 'outside').mkdir()
    (tmp_path / 'outside' / 'secret').write_text(SECRET)
    root = tmp_path / 'lake' / 'bronze' / 'raw'
    root.mkdir(parents=True)
    (root / 'real').write_text('real')
    if target == 'link':
        (root / 'x').symlink_to(tmp_path / 'outside' / 'secret')
    else:
        (root / 'x').symlink_to(tmp_path / 'outside')
    m = mount(tmp_path / 'lake')
    assert (m / 'bronze/raw/real').read_text() == 'real'
    for path in (m / 'bronze/raw/x', m / 'bronze/raw/x/secret'):
        try:
            assert SECRET not in path.read_text()
        except OSError:
            pass


def test_log_from_s3_that_ends_early(mount, s3, bucket, proxy, tmp_path):
    """A commit that arrives cut short is asked for again, and never taken for a whole one."""
    bad_logs.base(tmp_path / 'lake' / 'table')
    s3.copy_tree(tmp_path / 'lake', bucket)
    rule = proxy.rule('truncate', kind='log', keep=40, times=2)
    m = mount('s3://' + bucket, endpoint_url=proxy.url, env=s3.env)
    assert lakes.tree(m / 'table') == bad_logs.EXPECTED
    assert rule.hits == 2


def test_directory_of_files_keeps_few_listings(mount, tmp_path):
    """Of a directory of files the last four listings are kept, and it has no schema."""
    raw = tmp_path / 'lake' / 'bronze' / 'raw'
    raw.mkdir(parents=True)
    (raw / 'f').write_text('x')
    m = mount(tmp_path / 'lake', refresh='0.2', hold='0.2')
    for i in range(7):
        name = 'f%d' % i
        (raw / name).write_text('x')
        wait_for(lambda: name in os.listdir(m / 'bronze/raw'), PATIENCE_S, name)
    assert len(list(m.cache.rglob('listing-*'))) == 4
    assert sorted(os.listdir(m / 'bronze/raw/.tarn')) == ['files.jsonl', 'history.json', 'version']
    assert not (m / 'bronze/raw/.tarn/schema.json').exists()


def test_store_that_stays_broken(mount, s3, bucket, proxy, tmp_path):
    """While the log cannot be fetched the table is EIO, never ENOENT or empty, and heals after."""
    bad_logs.base(tmp_path / 'lake' / 'table')
    bad_logs.base(tmp_path / 'lake' / 'other')
    s3.copy_tree(tmp_path / 'lake', bucket)
    m = mount('s3://' + bucket, endpoint_url=proxy.url, env=s3.env, deadline=10)
    proxy.rule('status', kind='log', key='*/table/*', status=500)
    assert fails(m / 'table') == errno.EIO
    assert lakes.tree(m / 'other') == bad_logs.EXPECTED
    proxy.clear()

    def healed():
        try:
            return lakes.tree(m / 'table') == bad_logs.EXPECTED
        except OSError:
            return False
    wait_for(healed, PATIENCE_S, 'the table readable again')
