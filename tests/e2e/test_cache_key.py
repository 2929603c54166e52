# SPDX-License-Identifier: Apache-2.0
"""--cache-key-file: objects are encrypted at rest, and the key is nowhere but in its file."""
import json
import os
from pathlib import Path

import pytest

from support.mounts import run_tarn

PATTERN = b'what nobody else shall read ' * 40_000     # 1.1 MB that cannot be overlooked


@pytest.fixture
def key(tmp_path):
    """A key file that tarn takes."""
    path = tmp_path / 'key'
    path.write_text(os.urandom(32).hex() + '\n')
    path.chmod(0o600)
    return path


@pytest.fixture
def kept(s3, bucket, proxy, tmp_path):
    """Keyword arguments for mount: one object, a cache directory that stays."""
    s3.put(bucket, 'files/secret', PATTERN)
    s3.put(bucket, 'files/small', b'x' * 10)
    return {'source': 's3://' + bucket, 'endpoint_url': proxy.url, 'env': s3.env,
            'cache': tmp_path / 'cache'}


def cached_bytes(kept):
    return b''.join(p.read_bytes() for p in (kept['cache'] / 'objects').rglob('*') if p.is_file())


def refused(kept, tmp_path, *options):
    """Mounts, which has to fail: what was said."""
    mnt = tmp_path / 'refused'
    mnt.mkdir(exist_ok=True)
    done = run_tarn('mount', kept['source'], mnt, '--cache-dir', kept['cache'], '--endpoint-url',
                    kept['endpoint_url'], *options, env=kept['env'])
    assert done.returncode == 1 and not os.path.ismount(mnt)
    return done.stderr


def test_nothing_readable_is_kept(mount, kept, key, proxy):
    """With a key the cache holds none of the bytes; they are read from it all the same."""
    m = mount(cache_key_file=key, **kept)
    assert run_tarn('warm', m).returncode == 0
    assert (m / 'files/secret').read_bytes() == PATTERN
    m.unmount_and_wait_for_the_daemon()
    held = cached_bytes(kept)
    assert len(held) >= len(PATTERN) and PATTERN[:28] not in held
    proxy.clear()
    again = mount(cache_key_file=key, **kept)
    assert (again / 'files/secret').read_bytes() == PATTERN
    assert proxy.counts('data') == 0


def test_the_key_is_nowhere(mount, kept, key):
    """The key is in no argument, no environment, no log and no file of the daemon's."""
    m = mount(cache_key_file=key, debug=True, **kept)
    assert (m / 'files/secret').read_bytes() == PATTERN
    text = key.read_text().strip()
    places = [Path('/proc/%d/%s' % (m.pid, name)) for name in ('cmdline', 'environ')]
    places += [p for p in kept['cache'].rglob('*') if p.is_file()]
    assert kept['cache'] / 'tarn.log' in places
    for place in places:
        data = place.read_bytes()
        assert text.encode() not in data and bytes.fromhex(text) not in data, place


def test_other_keys_are_refused(mount, kept, key, tmp_path):
    """A cache of one key is refused to none and to another, and so is a plain one to a key."""
    mount(cache_key_file=key, **kept).unmount_and_wait_for_the_daemon()
    m = mount(cache_key_file=key, **kept)
    assert run_tarn('warm', m).returncode == 0
    m.unmount_and_wait_for_the_daemon()
    other = tmp_path / 'other'
    other.write_bytes(os.urandom(32))
    other.chmod(0o600)
    assert 'another key' in refused(kept, tmp_path, '--cache-key-file', other)
    assert '--cache-key-file is not given' in refused(kept, tmp_path)
    kept['cache'] = tmp_path / 'plain'
    plain = mount(**kept)
    assert run_tarn('warm', plain).returncode == 0
    plain.unmount_and_wait_for_the_daemon()
    assert 'not encrypted' in refused(kept, tmp_path, '--cache-key-file', key)


def test_a_daemon_without_the_key(mount, kept, key, tmp_path):
    """A mount with a key is refused by a daemon that has none; one without takes what there is."""
    plain = mount(**kept)
    assert 'does not encrypt' in refused(kept, tmp_path, '--cache-key-file', key)
    plain.unmount_and_wait_for_the_daemon()
    keyed = mount(cache_key_file=key, **kept)
    other = tmp_path / 'other'
    other.write_bytes(os.urandom(32))
    other.chmod(0o600)
    assert 'another key' in refused(kept, tmp_path, '--cache-key-file', other)
    second, third = mount(cache_key_file=key, **kept), mount(**kept)
    assert keyed.pid == second.pid == third.pid
    assert (third / 'files/secret').read_bytes() == PATTERN


@pytest.mark.parametrize('what', ['missing', 'short', 'open'])
def test_bad_key_files(kept, key, tmp_path, what):
    """A key file that is missing, no key, or open to others is told, and nothing is mounted."""
    if what == 'missing':
        key.unlink()
    elif what == 'short':
        key.write_text('00' * 31)
    else:
        key.chmod(0o644)
    assert str(key) in refused(kept, tmp_path, '--cache-key-file', key)
    assert not kept['cache'].exists()


def test_commands_without_a_daemon(mount, kept, key, tmp_path):
    """stat and gc need no key, verify finds the file by itself, drop makes room for another key."""
    m = mount(cache_key_file=key, **kept)
    assert run_tarn('warm', m).returncode == 0
    m.unmount_and_wait_for_the_daemon()
    words = ['--cache-dir', str(kept['cache'])]
    sound = run_tarn('cache', 'verify', *words)
    assert sound.returncode == 0 and 'nothing is damaged' in sound.stdout
    other = tmp_path / 'other'
    key.rename(other)                           # where nobody looks for it
    for action in ('stat', 'gc'):
        assert run_tarn('cache', action, *words).returncode == 0
    assert json.loads(run_tarn('cache', 'stat', '--json', *words).stdout)['objects'] == 2
    failed = run_tarn('cache', 'verify', *words)
    assert failed.returncode == 1 and str(key) in failed.stderr
    assert run_tarn('cache', 'verify', '--cache-key-file', other, *words).returncode == 0
    assert run_tarn('cache', 'drop', *words).returncode == 0
    plain = mount(**kept)
    assert (plain / 'files/secret').read_bytes() == PATTERN


def test_a_flipped_bit(mount, kept, key):
    """verify finds a flipped bit of an encrypted object."""
    m = mount(cache_key_file=key, **kept)
    assert run_tarn('warm', m).returncode == 0
    m.unmount_and_wait_for_the_daemon()
    path = max((p for p in (kept['cache'] / 'objects').rglob('*') if p.is_file()),
               key=lambda p: p.stat().st_size)
    data = bytearray(path.read_bytes())
    data[777_777] ^= 1
    path.write_bytes(data)
    assert run_tarn('cache', 'verify', '--cache-dir', kept['cache']).returncode == 1
    again = mount(cache_key_file=key, **kept)
    assert (again / 'files/secret').read_bytes() == PATTERN
