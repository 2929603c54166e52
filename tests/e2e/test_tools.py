# SPDX-License-Identifier: Apache-2.0
"""The tools of a shell work on a mount as on any directory, and nothing can be written."""
import errno
import os
import subprocess

import pytest

from support import lakes
from support.places import PATIENCE_S

TABLE = 'silver/orders'


def quiet(command, cwd=None):
    """Runs a shell command that must end with 0 and nothing on stderr: its output."""
    done = subprocess.run(['bash', '-o', 'pipefail', '-c', command], capture_output=True, text=True,
                          cwd=cwd, timeout=PATIENCE_S)
    assert (done.returncode, done.stderr) == (0, ''), command
    return done.stdout


@pytest.fixture
def mounted(mount, lake):
    return mount(lake.root)


def test_ls_and_find(mounted, lake):
    """ls -lR and find walk the whole lake, and find every file of the newest versions once."""
    listing = quiet('ls -lR %s' % mounted)
    found = quiet('find %s -type f' % (mounted / TABLE)).splitlines()
    expected = lake.versions(TABLE)[-1].files
    assert sorted(os.path.relpath(p, mounted / TABLE) for p in found) == sorted(expected)
    for name in expected:
        assert os.path.basename(name) in listing
    assert '_delta_log' not in listing and '.tarn' not in listing and '@' not in listing


@pytest.mark.parametrize('copy', ['cp -r {from}/. {to}', 'cp -a {from}/. {to}',
                                  'rsync -a {from}/ {to}', 'tar -C {from} -cf - . | tar -C {to} -xf -'],
                         ids=['cp-r', 'cp-a', 'rsync', 'tar'])
@pytest.mark.parametrize('version', [0, 4, 7, 11])
def test_copies_equal_the_reference(mounted, lake, tmp_path, copy, version):
    """A version copied by a tool is the reference tree, byte for byte."""
    to = tmp_path / 'to'
    to.mkdir()
    quiet(copy.format(**{'from': mounted / (TABLE + '@%d' % version), 'to': to}))
    reference = lakes.reference(lake, TABLE, version, tmp_path / 'reference')
    assert lakes.tree(to) == lake.versions(TABLE)[version].files
    quiet('diff -r %s %s' % (reference, to))


def test_tar_of_the_live_path(mounted, tmp_path):
    """Nothing seems to change under who reads the live path, however he asks."""
    quiet('tar -cf %s/a.tar -C %s .' % (tmp_path, mounted / TABLE))
    for below, dirs, _ in os.walk(mounted / TABLE):
        for name in dirs:
            path = os.path.join(below, name)
            fd = os.open(path, os.O_RDONLY)
            assert os.fstat(fd).st_mtime_ns == os.stat(path).st_mtime_ns, path
            os.close(fd)


def test_diff_against_the_mount(mounted, lake, tmp_path):
    """diff -r of a mounted version and a reference tree is clean, for every version."""
    for v in lake.versions(TABLE):
        reference = lakes.reference(lake, TABLE, v.number, tmp_path / str(v.number))
        quiet('diff -r %s %s' % (reference, mounted / (TABLE + '@%d' % v.number)))


def test_whole_lake_equals_its_source(mounted, lake, tmp_path):
    """Raw files, which no table holds, are what they are in the source."""
    quiet('diff -r %s %s' % (lake / 'bronze', mounted / 'bronze'))


def test_du_counts_each_byte_once(mounted, lake):
    """du says the sum of the files of one version, not of its history."""
    files = lake.versions(TABLE)[-1].files
    listed = quiet('du -ab --apparent-size %s' % (mounted / TABLE)).splitlines()
    sizes = {line.split('\t')[1]: int(line.split('\t')[0]) for line in listed}
    assert {k: sizes[str(mounted / TABLE / k)] for k in files} == files


def test_md5sum_and_stat(mounted, lake):
    """md5sum reads what the source has; stat says size, mode, links and modification time."""
    for name, size in lake.versions(TABLE)[3].files.items():
        there, here = mounted / (TABLE + '@3') / name, lake / TABLE / name
        assert quiet('md5sum < %s' % there) == quiet('md5sum < %s' % here)
        said = quiet("stat -c '%%s %%a %%h %%F' %s" % there).strip()
        assert said == '%d 444 1 regular file' % size
    assert quiet("stat -c '%%a %%F' %s" % (mounted / TABLE)).strip() == '555 directory'


def test_getfattr(mounted):
    """getfattr dumps the attributes of a table and of a file."""
    dump = quiet('getfattr -d -m - --absolute-names %s' % (mounted / (TABLE + '@2')))
    assert 'user.tarn.version="2"' in dump
    some = next((mounted / (TABLE + '@2')).rglob('*.parquet'))
    assert 'user.tarn.transform="none"' in quiet('getfattr -d -m - --absolute-names %s' % some)


def some_file(m):
    return str(next((m / (TABLE + '@2')).rglob('*.parquet')))


WRITES = {
    'create': lambda d, f: os.open(d + '/new', os.O_CREAT | os.O_WRONLY, 0o644),
    'open for writing': lambda d, f: os.open(f, os.O_WRONLY),
    'open for both': lambda d, f: os.open(f, os.O_RDWR),
    'open to truncate': lambda d, f: os.open(f, os.O_WRONLY | os.O_TRUNC),
    'temporary file': lambda d, f: os.open(d, os.O_TMPFILE | os.O_WRONLY),
    'mkdir': lambda d, f: os.mkdir(d + '/new'),
    'unlink': lambda d, f: os.unlink(f),
    'rmdir': lambda d, f: os.rmdir(os.path.dirname(f)),
    'rename file': lambda d, f: os.rename(f, d + '/new'),
    'rename directory': lambda d, f: os.rename(os.path.dirname(f), d + '/new'),
    'link': lambda d, f: os.link(f, d + '/new'),
    'symlink': lambda d, f: os.symlink('x', d + '/new'),
    'chmod': lambda d, f: os.chmod(f, 0o600),
    'chown': lambda d, f: os.chown(f, 1, 1),
    'truncate': lambda d, f: os.truncate(f, 0),
    'utime': lambda d, f: os.utime(f, (1, 1)),
    'setxattr': lambda d, f: os.setxattr(f, 'user.x', b'1'),
    'removexattr': lambda d, f: os.removexattr(f, 'user.tarn.version'),
    'mkfifo': lambda d, f: os.mkfifo(d + '/new'),
    'mknod': lambda d, f: os.mknod(d + '/new'),
}


@pytest.mark.parametrize('what', WRITES)
@pytest.mark.parametrize('where', ['', 'silver', TABLE, TABLE + '@2', 'bronze/images'])
def test_every_write_is_erofs(mounted, where, what):
    """Every kind of change fails with EROFS wherever it is tried, even for root."""
    directory = str(mounted / where) if where else str(mounted)
    with pytest.raises(OSError) as caught:
        WRITES[what](directory, some_file(mounted))
    assert caught.value.errno == errno.EROFS


def test_what_was_refused_is_not_there(mounted):
    """A refused creation leaves nothing behind."""
    with pytest.raises(OSError):
        os.mkdir(mounted / TABLE / 'new')
    assert 'new' not in os.listdir(mounted / TABLE)
    assert not (mounted / TABLE / 'new').exists()
