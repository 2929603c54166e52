# SPDX-License-Identifier: Apache-2.0
"""How often the kernel has to ask: what never changes is asked for once."""
import collections
import os
import re
import subprocess

import pytest

from support.delta_log import write_log

FILES = 40


class Asked:
    """with Asked(m) as a: ...; a['LOOKUP'] is how many of these requests came meanwhile."""

    def __init__(self, m):
        self.m = m

    def settle(self):
        """Asks for a name that no one has asked for: all before it has been written down then."""
        mark = 'mark-%d' % self.m.log.stat().st_size
        assert not (self.m / mark).exists()
        return self.m.log.stat().st_size

    def __enter__(self):
        self.start = self.settle()
        return self

    def __exit__(self, *_):
        self.settle()
        text = self.m.log.read_bytes()[self.start:].decode(errors='replace')
        self.count = collections.Counter(re.findall(r'opcode: (\w+)', text))

    def __getitem__(self, name):
        return self.count[name]


@pytest.fixture
def pinned(mount, tmp_path):
    """A version's directory, with a directory below it, through a mount that logs each request."""
    table = tmp_path / 'lake/silver/t'
    names = ['%s/f%d' % (d, i) if d else 'f%d' % i for i in range(FILES) for d in ('', 'sub')]
    (table / 'sub').mkdir(parents=True)
    for name in names:
        (table / name).write_bytes(b'x' * 100)
    write_log(table, {name: 100 for name in names})
    m = mount(tmp_path / 'lake', foreground=True, debug=True)
    os.stat(m / 'silver/t@0/sub')
    return m, m / 'silver/t@0'


def open_all(directory):
    for i in range(FILES):
        fd = os.open(directory / ('f%d' % i), os.O_RDONLY)
        assert os.read(fd, 1000) == b'x' * 100
        os.close(fd)


def test_directory_is_listed_once(pinned):
    """The second listing of a version's directory comes from the kernel's own pages."""
    m, directory = pinned
    with Asked(m) as first:
        assert len(os.listdir(directory)) == FILES + 1
    assert first['READDIR'] + first['READDIRPLUS'] > 0
    with Asked(m) as again:
        assert len(os.listdir(directory)) == FILES + 1
    assert again['READDIR'] + again['READDIRPLUS'] == 0


def test_attributes_come_with_the_listing(pinned):
    """`ls -l` of a version asks for no file, and opens ask for nothing but OPEN and RELEASE."""
    m, directory = pinned
    with Asked(m) as a:
        subprocess.run(['ls', '-l', directory], check=True, stdout=subprocess.DEVNULL)
        for i in range(FILES):
            os.stat(directory / ('f%d' % i))
    assert a['READDIRPLUS'] > 0 and a['LOOKUP'] < FILES // 4 and a['GETATTR'] < FILES // 4
    with Asked(m) as a:
        open_all(directory)
    assert a['OPEN'] == FILES
    assert a['LOOKUP'] + a['GETATTR'] < FILES // 4 and a['FLUSH'] <= 1


def test_names_are_looked_up_once(pinned):
    """Below a ref that never changes a name, its attributes, and that there is none, are asked for
    once, however long ago."""
    m, directory = pinned
    sub = directory / 'sub'
    for i in range(FILES):
        os.stat(sub / ('f%d' % i))
        assert not (sub / ('none%d' % i)).exists()
    subprocess.run(['sleep', '1.2'], check=True)    # longer than what the live path's names last
    with Asked(m) as a:
        for i in range(FILES):
            os.stat(sub / ('f%d' % i))
            assert not (sub / ('none%d' % i)).exists()
        open_all(sub)
    assert a['LOOKUP'] + a['GETATTR'] < FILES // 4 and a['OPEN'] == FILES


@pytest.mark.skipif(os.geteuid() != 0, reason='only root may set it')
def test_much_is_read_ahead_and_at_once(pinned):
    """The kernel reads 1 MiB ahead of cached files, and keeps 64 requests under way."""
    m, directory = pinned
    minor = os.minor(os.stat(directory).st_dev)
    with open('/sys/class/bdi/0:%d/read_ahead_kb' % minor, encoding='ascii') as f:
        assert f.read().strip() == '1024'
    connection = '/sys/fs/fuse/connections/%d/max_background' % minor
    if os.path.exists(connection):
        with open(connection, encoding='ascii') as f:
            assert f.read().strip() == '64'
