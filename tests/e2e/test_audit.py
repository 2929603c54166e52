# SPDX-License-Identifier: Apache-2.0
"""The audit log of a mount: opens, denials and policies are lines, whatever happens to the file."""
import errno
import hashlib
import os
import signal
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from support import audit_log
from support.mounts import detach, is_mounted, run_tarn, wait_for
from support.people import as_user
from support.places import PATIENCE_S

ALICE, BOB, STRANGER = 60001, 60002, 60003
TABLE, SECRET = 'silver/customers', 'silver/secret'

POLICY = '''grants:
  - to: [role:trainer, user:60001]
    tables: [silver/customers]
    hide: [email]
  - to: [user:60002]
    tables: ["**"]
'''


@pytest.fixture(scope='module')
def lake(tmp_path_factory):
    root = tmp_path_factory.mktemp('audit') / 'lake'
    for i in range(2):
        rows = pa.table({'id': pa.array(range(100), pa.int64()), 'email': ['x%d' % i] * 100})
        write_deltalake(root / TABLE, rows, mode='append')
        write_deltalake(root / SECRET, rows, mode='append')
    return root


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(POLICY)
    return path


@pytest.fixture
def log(tmp_path):
    (tmp_path / 'log').mkdir()
    return tmp_path / 'log' / 'audit.log'


def parquets(below):
    return sorted(str(p) for p in Path(below).rglob('*.parquet'))


def read_all(below):
    return len([Path(p).read_bytes() for p in parquets(below)])


def denied(name):
    try:
        os.stat(name)
    except FileNotFoundError:
        return True
    return False


def events(path, what=None):
    found = audit_log.read(path) if path.exists() else []
    return [e for e in found if what in (None, e['event'])]


def await_events(path, what, n):
    wait_for(lambda: len(events(path, what)) >= n, PATIENCE_S, '%d lines of %s' % (n, what))
    return events(path, what)


def verify(*paths):
    done = run_tarn('audit', 'verify', *paths)
    assert done.returncode == 0, done.stderr


def test_first_opens(mount, lake, policy, log):
    """Who opened files of which version of which table in which view, once; a user is his uid."""
    m = mount(lake, policy=policy, o='per-uid', audit=log)
    for _ in range(3):
        assert as_user(ALICE, m, read_all, TABLE) == ('ok', 2)
        assert as_user(BOB, m, read_all, TABLE) == ('ok', 2)
        assert as_user(ALICE, m, read_all, TABLE + '@0') == ('ok', 1)
    m.unmount()
    opens = events(log, 'open')
    assert sorted((e['principal'], e['version']) for e in opens) == [
        ('user:60001', '0'), ('user:60001', '1'), ('user:60002', '0'), ('user:60002', '1')]
    for e in opens:
        assert e['uid'] == int(e['principal'][5:]) and e['pid'] > 0 and e['command']
        assert e['mount'] == str(m.path) and e['table'] == TABLE
        assert e['path'].startswith(TABLE) and e['path'].endswith('.parquet')
        assert e['policyLine'] == (2 if e['uid'] == ALICE else 5)
        assert (e['view'] == 'whole') == (e['uid'] == BOB)
    assert oct(log.stat().st_mode & 0o777) == '0o600'
    verify(log)


def test_denials(mount, lake, policy, log):
    """Each denial is a line with who it was and what he asked for, and tells him nothing."""
    m = mount(lake, policy=policy, o='per-uid', audit=log)
    for _ in range(2):
        assert as_user(ALICE, m, denied, SECRET) == ('ok', True)
        assert as_user(STRANGER, m, denied, TABLE) == ('ok', True)
    m.unmount()
    found = [(e['principal'], e['path']) for e in events(log, 'denied')]
    assert found.count(('user:60001', SECRET)) == 2
    assert any(who == 'user:60003' for who, _ in found)
    assert not events(log, 'open')


def test_a_role(mount, lake, policy, log):
    """In the mount of a role the role is the principal, and the caller's uid is told beside it."""
    m = mount(lake, policy=policy, audit=log, **{'as': 'trainer'})
    assert read_all(m / TABLE) == 2
    assert denied(m / SECRET)
    m.unmount()
    for e in events(log, 'open') + events(log, 'denied'):
        assert (e['principal'], e['uid']) == ('role:trainer', os.getuid())
        assert 'user' not in e
    assert len(events(log, 'open')) == 2 and len(events(log, 'denied')) == 1


def test_policies(mount, lake, policy, log):
    """Each policy that is read is a line with its hash; one that does not hold with its reason."""
    mount(lake, policy=policy, o='per-uid', audit=log)
    first = await_events(log, 'policy', 1)[0]
    assert first['path'] == str(policy) and 'reason' not in first
    assert first['version'] == hashlib.sha256(POLICY.encode()).hexdigest()
    changed = POLICY + '  - to: [everyone]\n    tables: ["gold/**"]\n'
    policy.write_text(changed)
    wait_for(lambda: any(e['version'] == hashlib.sha256(changed.encode()).hexdigest()
                         for e in events(log, 'policy')), PATIENCE_S, 'the other policy')
    policy.write_text('grants: [')
    wait_for(lambda: events(log, 'policy')[-1].get('reason'), PATIENCE_S, 'the bad policy')


NAMES = ['"},{"event":"open', 'caf\u00e9', '\\u0041', '\u202etxt.exe', '\U0001f41f', "'; rm -rf"]


def test_names(mount, tmp_path, policy, log):
    """No name that somebody asks for makes, hides or garbles a line."""
    for name in NAMES:
        (tmp_path / 'named/silver' / name).mkdir(parents=True)
    m = mount(tmp_path / 'named', policy=policy, o='per-uid', audit=log)
    for name in NAMES:
        assert as_user(ALICE, m, denied, 'silver/' + name) == ('ok', True)
    m.unmount()
    assert sorted(e['path'] for e in events(log, 'denied')) == sorted('silver/' + n for n in NAMES)


def test_rotation(mount, lake, policy, log):
    """After a rename and SIGHUP, as logrotate does it, lines are in a new file; none is lost."""
    m = mount(lake, policy=policy, o='per-uid', audit=log)
    assert as_user(ALICE, m, denied, SECRET) == ('ok', True)
    await_events(log, 'denied', 1)
    old = log.with_name('audit.log.1')
    log.rename(old)
    os.kill(m.pid, signal.SIGHUP)
    wait_for(lambda: events(old, 'end') and log.exists(), PATIENCE_S, 'the new file')
    verify(old)
    assert as_user(ALICE, m, denied, SECRET) == ('ok', True)
    await_events(log, 'denied', 1)
    m.unmount()
    assert len([e for e in audit_log.read(old, log) if e['event'] == 'denied']) == 2
    verify(old, log)


def test_mounts_share_a_log_and_a_restart_goes_on(mount, lake, policy, log):
    """One chain over two mounts of a daemon, and over its death."""
    one = mount(lake, policy=policy, audit=log, **{'as': 'trainer'})
    two = mount(lake, cache=one.cache, policy=policy, audit=log, o='per-uid')
    assert read_all(one / TABLE) == 2
    assert as_user(BOB, two, read_all, TABLE) == ('ok', 2)
    await_events(log, 'open', 4)
    assert {e['mount'] for e in events(log)} == {str(one.path), str(two.path)}
    pid = one.pid
    os.kill(pid, signal.SIGKILL)
    for m in (one, two):
        detach(m.path)
    wait_for(lambda: not Path('/proc/%d/ns' % pid).exists(), PATIENCE_S, 'the end of the daemon')
    with open(log, 'a') as f:                   # as if it had died in the middle of a line
        f.write('{"line":99,"prev":"')
    third = mount(lake, cache=one.cache, policy=policy, audit=log, **{'as': 'trainer'})
    assert read_all(third / TABLE) == 2
    third.unmount()
    assert len(events(log, 'open')) == 6
    assert [e['torn'] for e in events(log) if 'torn' in e] == [19]
    verify(log)


def test_another_daemon_is_refused(mount, lake, policy, log, tmp_path):
    """Two daemons do not write one log."""
    mount(lake, policy=policy, audit=log, **{'as': 'trainer'})
    (tmp_path / 'm').mkdir()
    done = run_tarn('mount', lake, tmp_path / 'm', '--cache-dir', tmp_path / 'c', '--policy', policy,
                    '--as', 'trainer', '--audit', log)
    assert done.returncode == 1 and str(log) in done.stderr
    assert not is_mounted(tmp_path / 'm')


def test_strict_needs_a_file(lake, policy, tmp_path):
    """Where nobody tells when a line is on disk, strict is refused."""
    (tmp_path / 'm').mkdir()
    done = run_tarn('mount', lake, tmp_path / 'm', '--cache-dir', tmp_path / 'c', '--policy', policy,
                    '--audit', 'journald', '--audit-strict')
    assert done.returncode in (1, 2) and 'strict' in done.stderr
    assert not is_mounted(tmp_path / 'm')


def test_strict(mount, lake, policy, log):
    """When an open has returned, its line is in the file."""
    m = mount(lake, policy=policy, o='per-uid', audit=log, audit_strict=True)

    def open_and_look(name):
        fd = os.open(parquets(name)[0], os.O_RDONLY)
        return os.fstat(fd).st_size > 0

    os.chmod(log, 0o644)                        # so that the user can look
    os.chmod(log.parent, 0o755)
    for uid, name in ((ALICE, TABLE), (BOB, TABLE), (BOB, SECRET)):
        before = len(events(log, 'open'))
        assert as_user(uid, m, open_and_look, name) == ('ok', True)
        assert len(events(log, 'open')) == before + 1


@pytest.fixture
def small_disk(tmp_path):
    """A filesystem of 256 KiB."""
    where = tmp_path / 'small'
    where.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'none', where], check=True)
    yield where
    subprocess.run(['umount', '-l', where], check=True)


def fill(where):
    with open(where / 'filler', 'wb', buffering=0) as f:
        try:
            while True:
                f.write(b'x' * 4096)
        except OSError:
            pass


def first_byte(name):
    with open(parquets(name)[0], 'rb') as f:
        return len(f.read(1))


@pytest.mark.parametrize('strict', [True, False])
def test_full_disk(mount, lake, policy, small_disk, strict):
    """Strict, nothing new opens on a full disk; else it does, and what was lost is counted."""
    log = small_disk / 'audit.log'
    m = mount(lake, policy=policy, o='per-uid', audit=log, audit_strict=strict)
    assert as_user(ALICE, m, first_byte, TABLE) == ('ok', 1)
    await_events(log, 'open', 1)
    fill(small_disk)
    for _ in range(20):                         # what is left of the log's last page
        assert as_user(ALICE, m, denied, SECRET) == ('ok', True)
    answers = {as_user(BOB, m, first_byte, name) for name in (TABLE, SECRET)}
    assert ('EIO' in answers) == strict
    assert as_user(ALICE, m, first_byte, TABLE) == ('ok', 1)    # told before
    (small_disk / 'filler').unlink()
    wait_for(lambda: as_user(BOB, m, first_byte, SECRET) == ('ok', 1), PATIENCE_S, 'an open')
    wait_for(lambda: as_user(ALICE, m, denied, SECRET) == ('ok', True) and
             any('lost' in e for e in events(log)), PATIENCE_S, 'a line that counts what was lost')
    m.unmount()
    assert len([e for e in events(log, 'open') if e['uid'] == ALICE]) == 1
    verify(log)


@pytest.fixture
def freezable(tmp_path):
    """A filesystem that can be frozen: what is written to it waits."""
    image, where = tmp_path / 'image', tmp_path / 'frozen'
    where.mkdir()
    with open(image, 'wb') as f:
        f.truncate(16 << 20)
    subprocess.run(['mkfs.ext4', '-q', image], check=True)
    done = subprocess.run(['mount', '-o', 'loop', image, where], check=False, capture_output=True)
    if done.returncode:
        pytest.skip('no loop devices here: %s' % done.stderr.decode())
    yield where
    subprocess.run(['fsfreeze', '-u', where], check=False, capture_output=True)
    subprocess.run(['umount', '-l', where], check=True)


def begin(uid, m, name, answer):
    """Another process opens a file and writes what it was answered; returns when it opens it."""
    receive, send = os.pipe()

    def open_and_read():
        path = parquets(name)[0]
        os.write(send, b'x')
        with open(path, 'rb') as f:
            return len(f.read(1))

    child = os.fork()
    if child == 0:
        try:
            answer.write_text(repr(as_user(uid, m, open_and_read)))
        finally:
            os._exit(0)
    os.close(send)
    assert os.read(receive, 1) == b'x'
    os.close(receive)
    return child


def test_strict_waits_for_the_disk(mount, lake, policy, freezable, tmp_path):
    """While the disk takes no line, no byte is given; other requests are answered meanwhile."""
    log, answer = freezable / 'audit.log', tmp_path / 'answer'
    m = mount(lake, policy=policy, o='per-uid', audit=log, audit_strict=True)
    assert as_user(ALICE, m, first_byte, TABLE) == ('ok', 1)
    subprocess.run(['fsfreeze', '-f', freezable], check=True)
    try:
        child = begin(BOB, m, SECRET, answer)
        for _ in range(20):                     # requests of others, among them opens told before
            assert as_user(ALICE, m, first_byte, TABLE) == ('ok', 1)
            assert as_user(ALICE, m, denied, SECRET) == ('ok', True)
        assert not answer.exists()
    finally:
        subprocess.run(['fsfreeze', '-u', freezable], check=True)
    os.waitpid(child, 0)
    assert answer.read_text() == repr(('ok', 1))
    assert [e['uid'] for e in events(log, 'open')] == [ALICE, BOB]


UNFIT = '''grants:
  - to: [user:60001]
    tables: [silver/customers]
    %s
  - to: [user:60002]
    tables: ["**"]
'''


def looks_into(below):
    """What each of three tries to look into a table is answered; 0: it could be."""
    answers = []
    for _ in range(3):
        try:
            os.scandir(below).close()
            answers.append(0)
        except OSError as e:
            answers.append(e.errno)
    return answers


@pytest.mark.parametrize('what,reason', [
    ('mask: {id: mask-alphanum}', 'the mask mask-alphanum does not fit the type int64'),
    ('rows: email > 5', 'email')], ids=['mask', 'rows'])
def test_denials_of_what_does_not_fit(mount, lake, policy, log, what, reason):
    """A mask or comparison that does not fit its column denies the table: each time a line."""
    policy.write_text(UNFIT % what)
    m = mount(lake, policy=policy, o='per-uid', audit=log)
    assert as_user(ALICE, m, looks_into, TABLE) == ('ok', [errno.EOPNOTSUPP] * 3)
    m.unmount()
    found = events(log, 'denied')
    assert len(found) == 3
    for e in found:
        assert (e['principal'], e['table'], e['policyLine']) == ('user:60001', TABLE, 2)
        assert e['path'] == TABLE and reason in e['reason']


def test_objects_outside_of_tables(mount, tmp_path, policy, log):
    """Of what lies in no table, an open tells the line of the policy that allowed it, too."""
    (tmp_path / 'plain/loose').mkdir(parents=True)
    (tmp_path / 'plain/loose/notes.txt').write_text('notes')
    m = mount(tmp_path / 'plain', policy=policy, o='per-uid', audit=log)
    assert as_user(BOB, m, lambda: Path('loose/notes.txt').read_text()) == ('ok', 'notes')
    m.unmount()
    assert [(e['path'], e['policyLine']) for e in events(log, 'open')] == [('loose/notes.txt', 5)]


@pytest.mark.parametrize('name', ['schema.json', 'files.jsonl', 'history.json', 'properties.json'])
def test_documents(mount, lake, policy, log, name):
    """Who opens no file of a table but a document of it is told of, once for each version."""
    m = mount(lake, policy=policy, o='per-uid', audit=log)
    for uid in (ALICE, BOB):
        for version in ('', '', '@0'):
            document = TABLE + version + '/.tarn/' + name
            assert as_user(uid, m, lambda path=document: len(Path(path).read_bytes()) > 0) == (
                'ok', True)
    m.unmount()
    opens = events(log, 'open')
    assert [(e['uid'], e['version'], e['path']) for e in opens] == [
        (uid, version, TABLE + '/.tarn/' + name) for uid in (ALICE, BOB) for version in ('1', '0')]
    for e in opens:
        assert e['table'] == TABLE and e['policyLine'] == (2 if e['uid'] == ALICE else 5)
        assert (e['view'] == 'whole') == (e['uid'] == BOB)
