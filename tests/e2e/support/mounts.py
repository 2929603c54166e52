# SPDX-License-Identifier: Apache-2.0
"""Mounts made by a test, and their certain end: whatever hangs is aborted."""
import array
import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from .places import PATIENCE_S, TARN

MOUNT_TIMEOUT_S = PATIENCE_S
CONNECTIONS = Path('/sys/fs/fuse/connections')

# The environment's own credentials must not decide what a test sees.
FOREIGN = ('AWS_', 'TARN_', 'XDG_CACHE_HOME', 'GOOGLE_', 'GS_', 'GCE_', 'NO_GCE_', 'CLOUDSDK_',
           'STORAGE_EMULATOR_HOST', 'AZURE_', 'IDENTITY_', 'PG')


def clean_env(extra=None):
    env = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    env['AWS_EC2_METADATA_DISABLED'] = 'true'   # nor whether this machine is an instance
    env.update(extra or {})
    return env


def run_tarn(*args, env=None, timeout=MOUNT_TIMEOUT_S, **more):
    """Runs the binary to its end: a CompletedProcess with text."""
    return subprocess.run([str(TARN), *map(str, args)], env=clean_env(env), timeout=timeout,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, **more)


def mount_lines():
    """[(mountpoint, "major:minor", type)] as the kernel has them; asks no filesystem."""
    found = []
    for line in Path('/proc/self/mountinfo').read_text().splitlines():
        fields = line.split()
        path = fields[4].encode().decode('unicode_escape')
        found.append((path, fields[2], fields[fields.index('-') + 1]))
    return found


def is_mounted(path):
    return any(p == str(path) and t.startswith('fuse') for p, _, t in mount_lines())


def connections():
    """The kernel's directory of FUSE connections, mounted where the machine has not done it."""
    if not any(CONNECTIONS.iterdir()):
        subprocess.run(['mount', '-t', 'fusectl', 'none', str(CONNECTIONS)], check=False,
                       capture_output=True, timeout=PATIENCE_S)
    return CONNECTIONS


def abort_connection(path):
    """Makes every request of a FUSE mount fail now, also those that wait."""
    for where, device, kind in mount_lines():
        if where != str(path) or not kind.startswith('fuse'):
            continue
        lent = not any(CONNECTIONS.iterdir())   # the control filesystem is not mounted everywhere
        if lent:
            subprocess.run(['mount', '-t', 'fusectl', 'none', str(CONNECTIONS)], check=False)
        control = CONNECTIONS / device.split(':')[1] / 'abort'
        if control.exists():
            control.write_text('1')
        if lent:
            subprocess.run(['umount', str(CONNECTIONS)], check=False)


def detach(path):
    """Takes a mount away whatever state its daemon is in."""
    abort_connection(path)
    for command in (['umount', '-l', str(path)], ['fusermount3', '-uz', str(path)]):
        if is_mounted(path):
            subprocess.run(command, check=False, capture_output=True, timeout=PATIENCE_S)


def daemon_pid(cache):
    """The process that serves a cache directory, as the kernel names the socket's owner."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.settimeout(PATIENCE_S)
        here = os.open(cache, os.O_PATH)        # a socket's path is limited to 108 bytes
        try:
            s.connect('/proc/self/fd/%d/ctl.sock' % here)
        finally:
            os.close(here)
        pid, _, _ = struct.unpack('3i', s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid


def fusermount_descriptor(mountpoint):
    """A /dev/fuse descriptor with the mount made by fusermount3, as a container runtime does it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours, theirs:
        subprocess.run(['fusermount3', '-o', 'ro,default_permissions', '--', str(mountpoint)],
                       pass_fds=[theirs.fileno()], check=True,
                       env=dict(os.environ, _FUSE_COMMFD=str(theirs.fileno())))
        _, control, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
    fds = array.array('i')
    fds.frombytes(control[0][2][:4])
    return fds[0]


def wait_for(condition, seconds, what):
    """Polls until the condition is true; a TimeoutError that says what did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError('not within %g s: %s' % (seconds, what))
        time.sleep(0.02)


def wait_until_taken_back(file):
    """A revoked handle, open and unbuffered: it gives nothing any more, or says that it is stale."""
    def taken():
        try:
            file.seek(0)
            return not file.read(1)
        except OSError as e:
            return e.strerror == 'Stale file handle'
    wait_for(taken, PATIENCE_S, 'the handle is taken back')


@contextlib.contextmanager
def paused(process):
    """A server that does not answer. The signal alone is not enough: it stops a process's threads some time later."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        wait_for(lambda: all(state_of(task) == 'T' for task in Path('/proc/%d/task' % process.pid).iterdir()),
                 PATIENCE_S, 'the server stops')
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


def state_of(task):
    return (task / 'stat').read_text().rsplit(')', 1)[1].split()[0]


class Mount:
    """One mount. `m / 'silver/orders@3'` is a path below it."""

    def __init__(self, path, cache, log, said, process=None):
        self.path, self.cache, self.log, self.said = Path(path), Path(cache), Path(log), said
        self.process = process                  # with foreground=True only

    def __truediv__(self, below):
        return self.path / below

    def __fspath__(self):
        return str(self.path)

    def __str__(self):
        return str(self.path)

    @property
    def pid(self):
        return daemon_pid(self.cache)

    def xattr(self, below, name):
        return os.getxattr(self.path / below, 'user.tarn.' + name).decode().rstrip('\0')

    def unmount(self):
        """As a person does it; a failure is the test's."""
        done = run_tarn('umount', self.path)
        assert done.returncode == 0, 'tarn umount: %s%s' % (done.stdout, done.stderr)
        wait_for(lambda: not is_mounted(self.path), PATIENCE_S, '%s unmounted' % self.path)
        if self.process:
            assert self.process.wait(timeout=PATIENCE_S) == 0

    def unmount_and_wait_for_the_daemon(self):
        """Also waits until the daemon has written what it had and is gone."""
        pid = self.pid
        self.unmount()
        wait_for(lambda: not Path('/proc/%d/ns' % pid).exists() or zombie(pid), PATIENCE_S,
                 'the end of daemon %d' % pid)


def zombie(pid):
    try:
        return Path('/proc/%d/stat' % pid).read_text().rsplit(')', 1)[1].split()[0] == 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return True


class Mounter:
    """Makes mounts below a directory and ends all of them."""

    def __init__(self, below, watchdog_s):
        self.below, self.made, self.count = Path(below), [], 0
        self.below.mkdir(parents=True, exist_ok=True)
        self.watchdog = threading.Timer(watchdog_s, self.abort_all)
        self.watchdog.daemon = True
        self.watchdog.start()

    def abort_all(self):
        for m in list(self.made):
            abort_connection(m.path)

    def command(self, source, path, cache, options):
        words = [str(TARN), 'mount', str(source), str(path), '--cache-dir', str(cache)]
        for key, value in options.items():
            if value is None or value is False:
                continue
            words.append('--' + key.replace('_', '-'))
            if value is not True:
                words.append(str(value))
        return words

    def __call__(self, source, cache=None, env=None, foreground=False, o=None, preexec=None,
                 **options):
        """
        Mounts a source. `cache` defaults to one of its own; `o` is the text for -o; other options
        are long ones with `_` for `-`; `preexec` runs in the child before tarn starts.
        """
        self.count += 1
        path = self.below / ('mnt%d' % self.count)
        cache = Path(cache) if cache else self.below / ('cache%d' % self.count)
        path.mkdir()
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = self.below / ('log%d' % self.count)
        words = self.command(source, path, cache, options)
        if o:
            words += ['-o', o]
        if foreground:
            words.append('-f')
        said_path = self.below / ('out%d' % self.count)
        m = Mount(path, cache, log, '')
        self.made.append(m)                     # before it exists: a hanging start is ended too
        with open(log, 'ab') as err, open(said_path, 'wb') as out:
            process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                       env=clean_env(env), preexec_fn=preexec)
            if foreground:
                m.process = process
                wait_for(lambda: is_mounted(path) or process.poll() is not None, MOUNT_TIMEOUT_S,
                         'mounted: ' + ' '.join(words))
                assert process.poll() is None, 'tarn mount -f ended: ' + log.read_text()
            else:
                try:
                    status = process.wait(timeout=MOUNT_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise AssertionError('tarn mount did not return within %g s: %s'
                                         % (MOUNT_TIMEOUT_S, log.read_text())) from None
                m.said = said_path.read_text()
                assert status == 0, 'status %d of %s:\n%s%s' % (status, ' '.join(words), m.said,
                                                                log.read_text())
        return m

    def end(self):
        """Unmounts everything. Returns what had to be forced, for the report."""
        forced = []
        for m in reversed(self.made):
            if is_mounted(m.path):
                try:
                    run_tarn('umount', m.path, timeout=PATIENCE_S)
                except (subprocess.TimeoutExpired, OSError):
                    pass
                if is_mounted(m.path):
                    forced.append(str(m.path))
                    detach(m.path)
            if m.process and m.process.poll() is None:
                try:
                    m.process.wait(timeout=PATIENCE_S)
                except subprocess.TimeoutExpired:
                    forced.append('process %d' % m.process.pid)
                    m.process.kill()
                    m.process.wait()
        self.watchdog.cancel()
        return forced

    def logs(self):
        """What the daemons said, by file."""
        found = {}
        for m in self.made:
            for path in [m.log, *sorted(m.cache.glob('*.log')), m.cache / 'log']:
                if path.is_file() and path.stat().st_size:
                    found[str(path)] = path.read_text(errors='replace')[-8000:]
        return found
