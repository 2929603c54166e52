# SPDX-License-Identifier: Apache-2.0
"""A table of very many files in little memory, and found again without reading its log."""
import os
import subprocess
import time

import pytest

from support import big_table
from support.memory import MemoryGroup, Sampler

GROUP_BYTES, ANON_BYTES_MAX = 400 << 20, 300 << 20

SIZES = [
    pytest.param(100_000, 100, id='100k'),
    pytest.param(100_000, 1, id='100k-one-directory'),
    pytest.param(1_000_000, 100, marks=[pytest.mark.long, pytest.mark.timeout(1500)], id='1M'),
    pytest.param(1_000_000, 1, marks=[pytest.mark.long, pytest.mark.timeout(1500)],
                 id='1M-one-directory'),
]


@pytest.fixture
def group():
    g = MemoryGroup(GROUP_BYTES)
    yield g
    g.remove()


def slack(size):
    """What a file has that the log does not prove to be stored as it is shown."""
    return size + 65536 + size // 16


# The group must outlive the daemon, so it stands before `mount` in every list of fixtures.
@pytest.mark.figures
@pytest.mark.parametrize('files, directories', SIZES)
def test_many_files(group, mount, s3, bucket, proxy, tmp_path, files, directories):
    """Lookup and ls -lR of everything within 300 MB of memory; the next mount reads no log."""
    count, some, size = big_table.make(tmp_path / 'lake' / 'big', files, directories)
    s3.copy_tree(tmp_path / 'lake', bucket)
    cache = tmp_path / 'big-cache'
    options = dict(source='s3://' + bucket, cache=cache, endpoint_url=proxy.url, env=s3.env)

    m = mount(preexec=group.preexec, **options)
    pid = m.pid
    assert group.pids() == [pid], 'the daemon alone must be in the group'
    with Sampler(pid) as memory:
        started = time.monotonic()
        assert os.stat(m / 'big' / some).st_size in (size, slack(size))
        first = time.monotonic() - started
        started = time.monotonic()
        listing = subprocess.run('set -o pipefail; ls -lR %s | grep -c "parquet$"' % (m / 'big'),
                                 shell=True, executable='/bin/bash', capture_output=True,
                                 text=True, check=True)
        listed = time.monotonic() - started
    assert listing.stderr == '' and int(listing.stdout) == count
    assert group.failures() == 0 and m.pid == pid
    m.unmount_and_wait_for_the_daemon()

    proxy.clear()
    again = mount(preexec=group.preexec, **options)
    started = time.monotonic()
    assert os.stat(again / 'big' / some).st_size in (size, slack(size))
    second = time.monotonic() - started
    read = [r.key for r in proxy.seen('log') if not r.key.endswith('_last_checkpoint')]
    print('%d files: first lookup %.2f s, ls -lR %.2f s, RssAnon %d MiB, next mount %.1f ms'
          % (count, first, listed, memory.peak >> 20, second * 1000))
    assert memory.peak <= ANON_BYTES_MAX
    assert read == []
    assert second < max(0.1, first / 4), 'the log was read again'


def test_memory_does_not_grow_with_walks(mount, tmp_path):
    """Walking a table again and again leaves the daemon's memory where it was."""
    big_table.make(tmp_path / 'lake' / 'big', 20_000, 10)
    m = mount(tmp_path / 'lake')

    def walk():
        subprocess.run(['ls', '-lR', str(m / 'big')], stdout=subprocess.DEVNULL, check=True)
        with Sampler(m.pid) as memory:
            time.sleep(0.1)
        return memory.peak

    walk()
    settled = walk()
    for _ in range(8):
        last = walk()
    assert last <= settled + (8 << 20)
