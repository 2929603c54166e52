# SPDX-License-Identifier: Apache-2.0
"""A memory group of its own for a process and what it starts (control groups v1 and v2)."""
import os
import threading
import time
from pathlib import Path

from .mounts import wait_for
from .places import PATIENCE_S

V1, V2 = Path('/sys/fs/cgroup/memory'), Path('/sys/fs/cgroup')


class MemoryGroup:
    """`preexec` puts a child into the group; nobody else is in it."""

    def __init__(self, limit_bytes):
        name = 'tarn-test-%d-%d' % (os.getpid(), time.monotonic_ns())
        if (V1 / 'memory.limit_in_bytes').exists():
            self.path = V1 / name
            self.path.mkdir()
            (self.path / 'memory.limit_in_bytes').write_text(str(limit_bytes))
        else:
            assert (V2 / 'cgroup.controllers').exists(), 'no control group of memory is mounted'
            control = V2 / 'cgroup.subtree_control'
            if 'memory' not in control.read_text().split():
                control.write_text('+memory')
            self.path = V2 / name
            self.path.mkdir()
            (self.path / 'memory.max').write_text(str(limit_bytes))

    def preexec(self):
        (self.path / 'cgroup.procs').write_text(str(os.getpid()))

    def pids(self):
        return [int(x) for x in (self.path / 'cgroup.procs').read_text().split()]

    def failures(self):
        """How often the kernel killed for memory in this group."""
        for name in ('memory.oom_control', 'memory.events'):
            if (self.path / name).exists():
                for line in (self.path / name).read_text().splitlines():
                    key, _, value = line.partition(' ')
                    if key == 'oom_kill':
                        return int(value)
        return 0

    def remove(self):
        wait_for(lambda: not self.pids(), PATIENCE_S, 'the end of the processes in the group')
        self.path.rmdir()


def anonymous_bytes(pid):
    for line in Path('/proc/%d/status' % pid).read_text().splitlines():
        if line.startswith('RssAnon:'):
            return int(line.split()[1]) * 1024
    raise ValueError('process %d has no RssAnon' % pid)


class Sampler:
    """The largest anonymous memory of a process while the block runs."""

    def __init__(self, pid, every_s=0.02):
        self.pid, self.every_s, self.peak, self.done = pid, every_s, 0, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self.done.is_set():
            try:
                self.peak = max(self.peak, anonymous_bytes(self.pid))
            except (OSError, ValueError):
                return
            self.done.wait(self.every_s)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()
