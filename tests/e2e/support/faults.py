# SPDX-License-Identifier: Apache-2.0
"""Disks that fail: at the n-th change (a preloaded library), full ones, dead ones (loop devices)."""
import errno
import fcntl
import mmap
import os
import struct
import subprocess

from .places import FAKE, PATIENCE_S, TARN

CONTROL = struct.Struct('=QQQQQ216s')
FOREVER = 1 << 62


def build(to):
    """Compiles the library: its path."""
    library = to / 'failing_disk.so'
    subprocess.run(['gcc', '-O1', '-g', '-D_GNU_SOURCE', '-shared', '-fPIC', '-Wall', '-Werror',
                    str(FAKE / 'failing_disk.c'), '-o', str(library), '-ldl'], check=True, timeout=PATIENCE_S)
    return library


def sanitizer():
    """The runtime that must be loaded before any other library, where the binary has one."""
    said = subprocess.run(['ldd', str(TARN)], capture_output=True, text=True, check=True).stdout
    return [line.split()[2] for line in said.splitlines() if 'libasan' in line or 'libtsan' in line]


class FailingDisk:
    """What is changed below a directory by a process with this environment is counted, or fails."""

    def __init__(self, library, directory, control):
        self.env = {'LD_PRELOAD': ':'.join([*sanitizer(), str(library)]),
                    'FAILING_DIR': os.path.realpath(directory), 'FAILING_CONTROL': str(control)}
        with open(control, 'wb') as f:
            f.write(b'\0' * mmap.PAGESIZE)
        with open(control, 'r+b') as f:
            self.map = mmap.mmap(f.fileno(), mmap.PAGESIZE)

    def _get(self):
        return CONTROL.unpack_from(self.map)

    def fail(self, first, count=1, code=errno.ENOSPC):
        """From now on, of the changes from the next on, those from `first` (1 is the next)."""
        CONTROL.pack_into(self.map, 0, 0, first, count, code, 0, b'')

    def heal(self):
        self.fail(0, 0, 0)

    @property
    def seen(self):
        return self._get()[0]

    @property
    def failed(self):
        return self._get()[4]

    @property
    def first(self):
        return self._get()[5].split(b'\0')[0].decode(errors='replace')


class SmallDisk:
    """An ext4 of its own in a file, on a loop device."""
    SHUTDOWN = 0x8004587d                       # _IOR('X', 125, __u32): the disk is dead from now on

    def __init__(self, below, size_bytes):
        self.image, self.path = below / 'disk.img', below / 'disk'
        self.path.mkdir()
        with open(self.image, 'wb') as f:
            f.truncate(size_bytes)
        subprocess.run(['mkfs.ext4', '-q', '-m', '0', str(self.image)], check=True, timeout=PATIENCE_S)
        self.mount()

    def mount(self):
        subprocess.run(['mount', '-o', 'loop', str(self.image), str(self.path)], check=True,
                       timeout=PATIENCE_S)

    def unmount(self):
        subprocess.run(['umount', '-l', str(self.path)], check=True, timeout=PATIENCE_S)

    @property
    def free(self):
        st = os.statvfs(self.path)
        return st.f_bavail * st.f_frsize

    def fill(self, leave=0):
        """Takes the free room, but for so many bytes."""
        with open(self.path / 'filler', 'ab', buffering=0) as f:
            n = max(0, self.free - leave)
            for step in (1 << 20, 1 << 12):
                try:
                    while self.free > leave:
                        os.posix_fallocate(f.fileno(), f.tell(), min(step, max(n, 4096)))
                        f.seek(0, os.SEEK_END)
                except OSError as e:
                    assert e.errno == errno.ENOSPC

    def empty(self):
        (self.path / 'filler').unlink()

    def kill(self):
        """Whatever is asked of it from now on is an error. What was not synced is lost."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, self.SHUTDOWN, struct.pack('I', 2))     # without flushing the journal
        finally:
            os.close(fd)
