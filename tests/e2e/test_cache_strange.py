# SPDX-License-Identifier: Apache-2.0
"""A cache directory on a read-only disk, and one with what somebody else put into it."""
import json
import os
import re
import socket
import subprocess
import time

import pytest

from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S


@pytest.fixture
def files(tmp_path):
    """A lake on this disk, of one file."""
    lake = tmp_path / 'lake'
    (lake / 'raw').mkdir(parents=True)
    (lake / 'raw' / 'a.txt').write_text('hello')
    return lake


@pytest.fixture
def read_only(tmp_path):
    """Makes a directory read-only, as a disk becomes that fails."""
    done = []

    def make(path):
        made = subprocess.run(['mount', '--bind', path, path], capture_output=True)
        if made.returncode:
            pytest.skip('mount --bind: %s' % made.stderr)
        done.append(path)
        subprocess.run(['mount', '-o', 'remount,ro,bind', path], check=True)

    yield make
    for path in done:
        subprocess.run(['umount', '-l', path], check=True)


def used_once(mount, source, cache):
    m = mount(source=source, cache=cache)
    assert (m / 'raw/a.txt').read_text() == 'hello'
    m.unmount_and_wait_for_the_daemon()


def stat(*words):
    done = run_tarn('cache', 'stat', '--json', *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_read_only_disk(mount, files, tmp_path, read_only):
    """Where the cache directory cannot be written any more, reading goes on; who mounts is told."""
    cache = tmp_path / 'cache'
    used_once(mount, files, cache)
    read_only(cache)
    m = mount(source=files, cache=cache)
    assert (m / 'raw/a.txt').read_text() == 'hello'
    assert stat(str(m))['off'] is True
    another = mount(source=files, cache=cache)
    assert (another / 'raw/a.txt').read_text() == 'hello'
    another.unmount()
    for action in 'verify', 'drop', 'gc':
        done = run_tarn('cache', action, str(m))
        assert done.returncode == 1 and 'read-only' in done.stderr
    m.unmount()
    assert stat('--cache-dir', cache)['objects'] == 0


def test_read_only_disk_logs_once(mount, files, tmp_path, read_only):
    """One line tells why nothing is cached, one that there are no tags."""
    cache = tmp_path / 'cache'
    used_once(mount, files, cache)
    read_only(cache)
    m = mount(source=files, cache=cache, foreground=True)
    assert (m / 'raw/a.txt').read_text() == 'hello'
    m.unmount()
    warnings = [line for line in m.log.read_text().splitlines() if 'Read-only' in line]
    assert len(warnings) == 2 and 'caching is off' in warnings[0] and 'no tags' in warnings[1], warnings


@pytest.mark.parametrize('name', ['tarn.log', 'cache.mdb', 'nodes.mdb', 'options.tmp', 'uses'])
def test_link_is_not_followed(mount, files, tmp_path, name):
    """A link in the cache directory does not lead the daemon to what it points to."""
    cache, target = tmp_path / 'cache', tmp_path / 'target'
    used_once(mount, files, cache)
    target.write_text('mine')
    (cache / name).unlink(missing_ok=True)
    (cache / name).symlink_to(target)
    used_once(mount, files, cache)
    assert target.read_text() == 'mine'


@pytest.mark.parametrize('name', ['tarn.log', 'cache.mdb', 'cache.mdb-lock', 'nodes.mdb', 'options',
                                  'cache.key', 'uses', 'lock'])
def test_pipe_is_not_waited_for(mount, files, tmp_path, name):
    """A named pipe in place of a file of the cache does not keep anybody waiting."""
    cache = tmp_path / 'cache'
    used_once(mount, files, cache)
    (cache / name).unlink(missing_ok=True)
    os.mkfifo(cache / name)
    used_once(mount, files, cache)
    stat('--cache-dir', cache)


def test_damaged_index(mount, files, tmp_path):
    """A damaged index is made anew: the log says so once, and it is counted."""
    cache = tmp_path / 'cache'
    used_once(mount, files, cache)
    (cache / 'cache.mdb').write_bytes(b'garbage' * 5000)
    (cache / 'tarn.log').write_text('')
    m = mount(source=files, cache=cache)
    assert stat(str(m))['damaged'] == 1
    log = (cache / 'tarn.log').read_text()
    assert len(re.findall('cache.mdb: damaged; it is made anew', log)) == 1, log


def test_directory_for_index(mount, files, tmp_path):
    """A directory that is not empty is left alone, and named."""
    cache = tmp_path / 'cache'
    used_once(mount, files, cache)
    (cache / 'cache.mdb').unlink()
    (cache / 'cache.mdb').mkdir()
    used_once(mount, files, cache)
    (cache / 'cache.mdb').unlink()
    (cache / 'cache.mdb' / 'mine').mkdir(parents=True)
    with pytest.raises(AssertionError, match='cache.mdb is no regular file, and cannot be removed'):
        mount(source=files, cache=cache)


def test_overlong_directory(files, tmp_path):
    """A directory whose socket could have no name is refused before anything is made in it."""
    cache = tmp_path / ('long' * 30)
    (tmp_path / 'mnt').mkdir()
    done = run_tarn('mount', '--cache-dir', cache, files, tmp_path / 'mnt')
    assert done.returncode == 1 and 'too long' in done.stderr
    assert not cache.exists()


def test_damaged_options(mount, files, tmp_path):
    """The message names the file that is damaged."""
    cache = tmp_path / 'cache'
    used_once(mount, files, cache)
    (cache / 'options').write_text('{nonsense')
    done = run_tarn('cache', 'stat', '--cache-dir', cache)
    assert done.returncode == 1 and str(cache) + '/options: ' in done.stderr, done.stderr


def test_empty_cache_dir():
    """An option without its value is wrong use."""
    assert run_tarn('cache', 'stat', '--cache-dir=').returncode == 2


def test_too_large_a_cache(files, tmp_path):
    """What no index can be mapped for is refused in words."""
    (tmp_path / 'mnt').mkdir()
    done = run_tarn('mount', '--cache-dir', tmp_path / 'c', '--cache-size', '900T', files,
                    tmp_path / 'mnt')
    assert done.returncode == 1 and 'index of a cache of' in done.stderr, done.stderr


@pytest.mark.parametrize('more', [['--check'], []])
def test_warm_of_nothing(mount, files, tmp_path, more):
    """A path that is not there has one line of error, and nothing else is said."""
    m = mount(source=files, cache=tmp_path / 'cache')
    done = run_tarn('warm', *more, m / 'nothere')
    assert done.returncode == 1 and done.stdout == ''
    assert len(done.stderr.splitlines()) == 1 and 'nothere' in done.stderr, done.stderr


def test_silent_client(mount, files, tmp_path):
    """Who connects and says nothing does not keep the daemon."""
    cache = tmp_path / 'cache'
    m = mount(source=files, cache=cache)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(cache / 'ctl.sock'))
        s.send(b'{"op":')
        time.sleep(0.1)
        m.unmount()
        wait_for(lambda: not (cache / 'ctl.sock').exists(), PATIENCE_S, 'the end of the daemon')
