# SPDX-License-Identifier: Apache-2.0
"""The command line: statuses, words, one daemon a cache directory, both ways to the background."""
import os
import subprocess
import sys

import pytest

from support import bad_logs, lakes
from support.mounts import (clean_env, connections, daemon_pid, detach, fusermount_descriptor,
                            is_mounted, run_tarn, wait_for, zombie)
from support.places import PATIENCE_S

TABLE = 'silver/orders'


@pytest.mark.parametrize('words', [
    [], ['nonsense'], ['mount'], ['mount', 'one'], ['mount', 'a', 'b', 'c'], ['umount'],
    ['umount', 'a', 'b'], ['versions'], ['versions', 'a', 'b'], ['doctor'], ['log'],
    ['log', '-n', 'x', 'a'], ['diff', 'a'], ['diff', 'a', 'b', 'c'],
    ['mount', '--no-such-option', 'a', 'b'], ['mount', 'a', 'b', '-o', 'nosuchkey=1'],
    ['mount', 'a', 'b', '--cache-size', 'many'], ['mount', 'a', 'b', '--hold', '-5'],
    ['mount', 'a', 'b', '--as-of', 'yesterday'], ['mount', 'a', 'b', '--cache-dir'],
], ids=' '.join)
def test_wrong_use_is_2(tarn, tmp_path, words):
    """Wrong use ends with 2, says why on stderr, and nothing on stdout."""
    done = run_tarn(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() and not done.stdout


@pytest.mark.parametrize('words', [['--help'], ['--version']])
def test_help_and_version(tarn, words):
    """--help and --version are answered on stdout with 0."""
    done = run_tarn(*words)
    assert done.returncode == 0 and 'tarn' in done.stdout and not done.stderr


def failing_sources(tmp_path, s3):
    (tmp_path / 'file').write_text('not a directory')
    return {
        'missing directory': ([tmp_path / 'nowhere'], 'nowhere'),
        'a file': ([tmp_path / 'file'], 'file'),
        'unknown scheme': (['gopher://x/y'], 'gopher'),
        'no bucket name': (['s3://'], 's3'),
        'missing bucket': (['s3://no-such-bucket/x', '--endpoint-url', s3.url], 'no-such-bucket'),
        'nobody there': (['s3://bucket/x', '--endpoint-url', 'http://127.0.0.1:1'], '127.0.0.1'),
    }


@pytest.mark.parametrize('what', ['missing directory', 'a file', 'unknown scheme', 'no bucket name',
                                  'missing bucket', 'nobody there'])
def test_failure_is_1_with_its_reason(tarn, tmp_path, s3, what):
    """A mount that cannot be made gives 1, names the reason on the terminal, and leaves nothing."""
    words, named = failing_sources(tmp_path, s3)[what]
    mnt = tmp_path / 'mnt'
    mnt.mkdir()
    try:
        done = run_tarn('mount', *words, mnt, '--cache-dir', tmp_path / 'cache', env=s3.env,
                        timeout=PATIENCE_S)
        assert done.returncode in ((1, 2) if what in ('unknown scheme', 'no bucket name') else (1,))
        assert named in done.stderr
        assert not is_mounted(mnt)
    finally:
        detach(mnt)


def test_wrong_credentials(tarn, tmp_path, s3, bucket):
    """A store that does not know the key is a failure with its reason, and no secret in it."""
    s3.put(bucket, 'a/b', b'x')
    mnt = tmp_path / 'mnt'
    mnt.mkdir()
    env = {'AWS_ACCESS_KEY_ID': 'tarn-tests', 'AWS_SECRET_ACCESS_KEY': 'quite-another-secret'}
    try:
        done = run_tarn('mount', 's3://' + bucket, mnt, '--endpoint-url', s3.url, '--cache-dir',
                        tmp_path / 'cache', env=env)
        assert done.returncode == 1 and done.stderr.strip()
        assert 'quite-another-secret' not in done.stderr + done.stdout
    finally:
        detach(mnt)


def test_mountpoint_missing(tarn, lake, tmp_path):
    """A mountpoint that is not there is a failure that names it."""
    done = run_tarn('mount', lake.root, tmp_path / 'no-mnt', '--cache-dir', tmp_path / 'cache')
    assert done.returncode == 1 and 'no-mnt' in done.stderr


def test_one_line(mount, lake):
    """A mount in the background prints one line, which names source and mountpoint."""
    m = mount(lake.root)
    lines = m.said.splitlines()
    assert len(lines) == 1 and str(m) in lines[0] and str(lake.root) in lines[0]


def test_answers_at_once(mount, lake):
    """When the command returns, the mount answers."""
    m = mount(lake.root)
    assert sorted(os.listdir(m)) == ['bronze', 'gold', 'silver']


def test_background_lets_go_of_the_terminal(mount, lake, tarn, tmp_path):
    """A caller that waits for the end of its pipe is not held by the daemon."""
    mnt = tmp_path / 'mnt'
    mnt.mkdir()
    try:                                        # run_tarn reads to the end of the pipe
        done = run_tarn('mount', lake.root, mnt, '--cache-dir', tmp_path / 'cache')
        assert done.returncode == 0, done.stderr
        assert is_mounted(mnt)
        pid = daemon_pid(tmp_path / 'cache')
        assert os.getsid(pid) != os.getsid(0)
    finally:
        run_tarn('umount', mnt)
        detach(mnt)


def test_umount(mount, lake):
    """umount ends the mount; a second one says that there is none, with 1."""
    m = mount(lake.root)
    pid = m.pid
    m.unmount()
    assert os.listdir(m.path) == []
    done = run_tarn('umount', m.path)
    assert done.returncode == 1 and str(m.path) in done.stderr
    wait_for(lambda: zombie(pid), PATIENCE_S, 'the end of the daemon')


def test_umount_of_something_else(tarn, tmp_path):
    """umount of a directory that is no mount is 1 with its reason."""
    done = run_tarn('umount', tmp_path)
    assert done.returncode == 1 and str(tmp_path) in done.stderr


def test_versions(mount, lake):
    """versions lists number and time of each version, of the table and from inside of it."""
    m = mount(lake.root)
    for path in (m / TABLE, m / TABLE / sorted(os.listdir(m / TABLE))[0]):
        done = run_tarn('versions', path, env={'TZ': 'UTC'})
        assert done.returncode == 0, done.stderr
        for v in lake.versions(TABLE):
            line = [x for x in done.stdout.splitlines() if x.split()[0] == str(v.number)]
            assert len(line) == 1 and v.time.strftime('%Y-%m-%d %H:%M:%S') in line[0], done.stdout


@pytest.mark.parametrize('path', ['bronze', '/', '/nowhere'])
def test_versions_of_no_table(mount, lake, path):
    """versions of what is no table is 1 with its reason."""
    m = mount(lake.root)
    done = run_tarn('versions', path if path.startswith('/') else m / path)
    assert done.returncode == 1 and done.stderr.strip() and not done.stdout


def test_doctor(mount, own_lake):
    """doctor is 0 for a sound table, and 1 with the reason for a refused one."""
    bad = own_lake / 'silver' / 'broken'
    bad_logs.base(bad)
    bad_logs.write(bad, bad_logs.LAST, bad_logs.line(bad_logs.protocol(minReaderVersion=99)))
    m = mount(own_lake.root)
    sound = run_tarn('doctor', m / TABLE)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    refused = run_tarn('doctor', m / 'silver/broken')
    assert refused.returncode == 1
    assert '99' in refused.stdout + refused.stderr


def test_two_mounts_one_daemon(mount, lake, own_lake, tmp_path):
    """Mounts with one cache directory are served by one process, with others by others."""
    cache = tmp_path / 'shared-cache'
    one, two, three = mount(lake.root, cache=cache), mount(own_lake.root, cache=cache), \
        mount(lake.root)
    assert one.pid == two.pid == daemon_pid(cache) != three.pid
    pid = one.pid
    one.unmount()
    assert not zombie(pid)
    assert lakes.tree(two / TABLE) == own_lake.versions(TABLE)[-1].files
    two.unmount()
    wait_for(lambda: zombie(pid), PATIENCE_S, 'the end of the daemon')
    assert lakes.tree(three / TABLE)


def test_cache_directory_is_private(mount, lake):
    """The cache directory that tarn makes is 0700, and its socket for its owner."""
    m = mount(lake.root)
    assert os.stat(m.cache).st_mode & 0o077 == 0
    assert os.path.exists(m.cache / 'ctl.sock')


def test_many_mounts_at_once(mount, lake, tmp_path, tarn):
    """Mounts that race for a fresh cache directory all succeed, with one daemon."""
    cache = tmp_path / 'raced-cache'
    points = [tmp_path / ('race%d' % i) for i in range(6)]
    for p in points:
        p.mkdir()
    try:
        started = [subprocess.Popen([str(tarn), 'mount', str(lake.root), str(p), '--cache-dir',
                                     str(cache)], stdin=subprocess.DEVNULL, env=clean_env(),
                                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                   for p in points]
        assert [s.wait(timeout=PATIENCE_S) for s in started] == [0] * len(points)
        assert all(lakes.tree(p / TABLE) == lake.versions(TABLE)[-1].files for p in points)
        assert daemon_pid(cache)
    finally:
        for p in points:
            run_tarn('umount', p)
            detach(p)


def test_foreground(mount, lake):
    """-f stays in the foreground until it is unmounted, and then ends with 0."""
    m = mount(lake.root, foreground=True)
    wait_for(lambda: os.listdir(m), PATIENCE_S, 'an answer')
    assert m.process.poll() is None
    assert lakes.tree(m / TABLE) == lake.versions(TABLE)[-1].files
    m.unmount()


@pytest.mark.parametrize('sign', ['SIGTERM', 'SIGINT'])
def test_foreground_signal(mount, lake, sign):
    """A signal to a mount in the foreground unmounts it."""
    import signal
    m = mount(lake.root, foreground=True)
    wait_for(lambda: os.listdir(m), PATIENCE_S, 'an answer')
    m.process.send_signal(getattr(signal, sign))
    m.process.wait(timeout=PATIENCE_S)
    wait_for(lambda: not is_mounted(m.path), PATIENCE_S, 'unmounted')


def test_options_as_o(mount, lake):
    """Every long option can be given through -o, several at once."""
    m = mount(lake.root, o='as-of=2024-03-04,refresh=2,hold=5,keep=60,cache-size=64M')
    assert os.getxattr(m / TABLE, 'user.tarn.version') == b'2'


def test_descriptor_from_outside(lake, tmp_path, tarn):
    """A mount that somebody else made is served through the descriptor /dev/fd/N."""
    mnt = tmp_path / 'mnt'
    mnt.mkdir()
    fd = fusermount_descriptor(mnt)
    log = open(tmp_path / 'log', 'wb')
    served = subprocess.Popen([str(tarn), 'mount', str(lake.root), '/dev/fd/%d' % fd, '--cache-dir',
                               str(tmp_path / 'cache'), '-f'], pass_fds=[fd], env=clean_env(),
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    os.close(fd)
    try:
        # asked by a process of its own: it would hang if nobody served the descriptor
        found = subprocess.run([sys.executable, '-c', 'import os, sys; print(os.listdir(sys.argv[1]))',
                                str(mnt)], capture_output=True, text=True, timeout=PATIENCE_S)
        assert "'silver'" in found.stdout, found.stderr + (tmp_path / 'log').read_text()
        assert lakes.tree(mnt / TABLE) == lake.versions(TABLE)[-1].files
        detach(mnt)
        served.wait(timeout=PATIENCE_S)
    finally:
        detach(mnt)
        if served.poll() is None:
            served.kill()
            served.wait()
        log.close()


def test_dead_daemon_is_replaced(mount, lake, tmp_path):
    """After kill -9 of the daemon, the next mount with the same cache directory works."""
    cache = tmp_path / 'killed-cache'
    m = mount(lake.root, cache=cache)
    files = lakes.tree(m / TABLE)
    pid = m.pid
    os.kill(pid, 9)
    wait_for(lambda: zombie(pid), PATIENCE_S, 'the end of the daemon')
    detach(m.path)
    again = mount(lake.root, cache=cache)
    assert again.pid != pid and lakes.tree(again / TABLE) == files


def test_daemon_ends_after_an_abort(mount, lake):
    """A connection that is aborted while files are open leaves no daemon behind."""
    m = mount(lake.root)
    pid = m.pid
    name = next((m / 'bronze/images').iterdir())
    with open(name, 'rb') as held:
        held.read(1)
        subprocess.run(['umount', '-l', str(m)], check=True)
        (connections() / str(os.minor(os.fstat(held.fileno()).st_dev)) / 'abort').write_text('1')
    wait_for(lambda: zombie(pid), PATIENCE_S, 'the end of daemon %d' % pid)


def test_descriptor_that_is_no_mount(tmp_path, lake, mount):
    """A descriptor behind which no mount is, is an error that is told."""
    done = run_tarn('mount', lake.root, '/dev/fd/0', '--cache-dir', tmp_path / 'cache')
    assert done.returncode == 1 and done.stderr and not done.stdout


def test_mount_point_inside_the_source(tmp_path, mount):
    """A mount point inside its own source is refused: whoever walked there would never come back."""
    (tmp_path / 'lake/bronze/here').mkdir(parents=True)
    done = run_tarn('mount', tmp_path / 'lake', tmp_path / 'lake/bronze/here', '--cache-dir',
                    tmp_path / 'cache')
    assert done.returncode == 1 and 'inside' in done.stderr


def test_cache_directory_of_others(tmp_path, lake):
    """A directory that holds other things does not become a cache directory."""
    other = tmp_path / 'other'
    other.mkdir(mode=0o755)
    (other / 'file').write_text('mine')
    (tmp_path / 'm').mkdir()
    done = run_tarn('mount', lake.root, tmp_path / 'm', '--cache-dir', other)
    assert done.returncode == 1 and str(other) in done.stderr
    assert os.listdir(other) == ['file'] and other.stat().st_mode & 0o777 == 0o755


def test_two_mounts_share_a_store(mount, lake, s3, bucket, tmp_path):
    """A mount ends though another one of the same source has the same file open."""
    s3.copy_tree(lake.root, bucket)
    cache = tmp_path / 'shared-cache'
    first, second = (mount('s3://' + bucket, cache=cache, endpoint_url=s3.url, env=s3.env)
                     for _ in range(2))
    name = 'image-6.bin'
    with open(first / 'bronze/images' / name, 'rb') as held, \
            open(second / 'bronze/images' / name, 'rb') as other:
        assert held.read() == other.read()
        other.close()
        second.unmount()
        log = cache / 'tarn.log'
        wait_for(lambda: str(second) + ': unmounted' in log.read_text(), PATIENCE_S, 'the end')
        held.seek(0)
        assert held.read()
