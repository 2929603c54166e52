# SPDX-License-Identifier: Apache-2.0
"""The live path under a writer that never rests."""
import subprocess
import time

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pytest

from support.places import PATIENCE_S, PYTHON, SLOWNESS, SUPPORT


class Writer:
    """Another process that commits every 100 ms."""

    def __init__(self, table, log):
        self.log = log
        self.process = subprocess.Popen(
            [PYTHON, str(SUPPORT / 'live_writer.py'), str(table), str(log)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == b'ready\n'

    def sums(self):
        """{sum: version} of all that was committed, or is about to be."""
        return {int(t): int(v) for v, t in map(str.split, self.log.read_text().splitlines())}

    def stop(self):
        assert self.process.poll() is None, 'the writer died'
        self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0


@pytest.mark.alone                              # most reads have a second
@pytest.mark.parametrize('reads', [
    pytest.param(150),
    pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(1500)]),
])
def test_each_read_is_one_version(mount, tmp_path, reads):
    """Each read of the unpinned table sees one single version, within a second, while it changes."""
    root, log = tmp_path / 'lake', tmp_path / 'sums'
    (root / 'silver').mkdir(parents=True)
    writer = Writer(root / 'silver' / 'orders', log)
    try:
        m = mount(root)
        seen, took = [], []
        for _ in range(reads):
            started = time.monotonic()
            data = ds.dataset(m / 'silver/orders', format='parquet').to_table(columns=['amount'])
            took.append(time.monotonic() - started)
            value = pc.sum(data['amount']).as_py()
            assert value in writer.sums(), 'a sum of no version: %r' % value
            seen.append(writer.sums()[value])
            # the path moves when nobody touches it: sometimes there must be such a pause
            time.sleep(1.2 if len(seen) % 50 == 0 else 0.02)
    finally:
        writer.stop()
    took.sort()
    print('%d reads of %d versions, slowest %.3f s' % (reads, len(set(seen)), took[-1]))
    assert seen == sorted(seen), 'the live path went back'
    assert len(set(seen)) >= 3, 'the live path never moved'
    # a machine may be busy elsewhere now and then, and a sanitizer's build is slow
    assert took[reads * 95 // 100] < 1 * SLOWNESS and took[-1] < PATIENCE_S / 3
