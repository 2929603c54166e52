#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Records which objects real programs use through a mount, for bench_evict: record_traces.py [NAME...].

Each workload runs on a mount whose daemon logs every request of the kernel's. An OPEN is a use of
the object; of an object of more than a segment, the first READ that comes to a segment is a use of
that segment (shards are read from their start to their end, so the bytes that were answered tell
where a reader is). The files are sparse: what they hold does not matter, and 1 GiB costs nothing.

Needs what `make check` installs: TOOLS (build/tools) with venv-check and venv-torch.
"""
import argparse
import os
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
TRACES = TESTS / 'bench/traces'
SEGMENT_BYTES = 64 << 20
SEED = 20260321
TIMEOUT_S = 500

OPENED = re.compile(r'unique: (\d+), opcode: (OPEN|READ) \(\d+\), nodeid: (\d+)')
ANSWERED = re.compile(r'unique: (\d+), success, outsize: (\d+)')


# ---- programs that read, as users have them ------------------------------------------------------

def load_with_torch(directory, epochs, shuffle):
    """Epochs of a DataLoader with 4 workers over the files of a directory; one item a file."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Files(Dataset):
        paths = sorted(p for p in Path(directory).rglob('*') if p.is_file())

        def __len__(self):
            return len(self.paths)

        def __getitem__(self, i):
            pixels = torch.frombuffer(bytearray(self.paths[i].read_bytes()), dtype=torch.uint8)
            return pixels.float().std()         # as much work as decoding a small picture

    torch.manual_seed(SEED)
    loader = DataLoader(Files(), batch_size=16, shuffle=shuffle, num_workers=4)
    for _ in range(epochs):
        for _ in loader:
            pass


def torch_epochs(directory, epochs, shuffle):
    """The same in Debian's Python, which has PyTorch."""
    from support.places import TOOLS
    return subprocess.Popen([str(TOOLS / 'venv-torch/bin/python'), __file__, '--torch',
                             str(directory), str(epochs), str(int(shuffle))])


def finish(*processes):
    for p in processes:
        if p.wait(timeout=TIMEOUT_S) != 0:
            raise RuntimeError('status %d: %s' % (p.returncode, p.args))


def read_shards(directory, epochs, chance):
    """Whole shards from start to end, in a new order each epoch; their pages are given back."""
    shards, room = sorted(Path(directory).iterdir()), bytearray(4 << 20)
    for _ in range(epochs):
        chance.shuffle(shards)
        for path in shards:
            with open(path, 'rb', buffering=0) as f:
                while f.readinto(room):
                    pass
                os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def query_days(table, days, count, chance):
    """`count` queries of a few days each; recent days are asked for more often."""
    import pyarrow.dataset as ds
    for _ in range(count):
        wanted = {min(int(chance.expovariate(0.15)), days - 1) for _ in range(6)}
        paths = [str(p) for day in wanted for p in (table / ('day=%02d' % day)).iterdir()]
        ds.dataset(paths, format='parquet').to_table(columns=['amount'])


# ---- lakes ---------------------------------------------------------------------------------------

def make_files(directory, count, mean_bytes, chance):
    directory.mkdir(parents=True)
    for i in range(count):
        with open(directory / ('%05d.jpg' % i), 'wb') as f:
            f.truncate(int(mean_bytes * chance.lognormvariate(-0.18, 0.6)))


def make_table(path, days, rows, chance):
    import pyarrow as pa
    from deltalake import write_deltalake
    write_deltalake(str(path), pa.table({
        'day': ['%02d' % (i % days) for i in range(rows)],
        'amount': [chance.getrandbits(40) for _ in range(rows)],
        'text': ['%032x' % chance.getrandbits(128) for _ in range(rows)]}), partition_by=['day'])


# ---- workloads: (what makes the lake, what runs on the mount, the cache's size in bytes) ---------

def epochs(shuffle):
    def make(root, chance):
        make_files(root / 'bronze/images', 1500, 110_000, chance)

    def run(m, _root, _chance):
        finish(torch_epochs(m / 'bronze/images', 7, shuffle))

    return make, run, lambda sizes: sum(sizes) // 2


def hot_table_beside_scan():
    days = 48

    def make(root, chance):
        make_table(root / 'silver/sales', days, 600_000, chance)
        make_files(root / 'bronze/archive', 6000, 110_000, chance)

    def run(m, root, chance):
        table = m / 'silver/sales'
        query_days(table, days, 40, chance)
        with open(os.devnull, 'wb') as nowhere:
            tar = subprocess.Popen(['tar', 'cf', '-', '-C', str(m / 'bronze'), 'archive'],
                                   stdout=subprocess.PIPE)
            away = subprocess.Popen(['cat'], stdin=tar.stdout, stdout=nowhere)
            while tar.poll() is None:
                query_days(table, days, 1, chance)
            finish(tar, away)
        query_days(table, days, 40, chance)

    return make, run, lambda _sizes: 26 << 20


def small_beside_huge():
    def make(root, chance):
        make_files(root / 'bronze/images', 1500, 110_000, chance)
        (root / 'bronze/shards').mkdir()
        for i in range(7):
            with open(root / ('bronze/shards/%02d.tar' % i), 'wb') as f:
                f.truncate(chance.randrange(70 << 20, 128 << 20))

    def run(m, _root, chance):
        images = torch_epochs(m / 'bronze/images', 6, True)
        while images.poll() is None:
            read_shards(m / 'bronze/shards', 1, chance)
        finish(images)

    return make, run, lambda sizes: sum(sizes) // 3


def new_data_set():
    def make(root, chance):
        make_files(root / 'bronze/old', 1000, 110_000, chance)
        make_files(root / 'bronze/new', 1000, 110_000, chance)

    def run(m, _root, _chance):
        finish(torch_epochs(m / 'bronze/old', 4, True))
        finish(torch_epochs(m / 'bronze/new', 8, True))

    return make, run, lambda sizes: sum(sizes) * 11 // 20


WORKLOADS = {
    'epochs-in-order': epochs(False),
    'epochs-shuffled': epochs(True),
    'hot-table-beside-scan': hot_table_beside_scan(),
    'small-beside-huge': small_beside_huge(),
    'new-data-set': new_data_set(),
}


# ---- the recording -------------------------------------------------------------------------------

class Uses:
    """The uses in a daemon's log: numbers of objects (of segments, where an object has several)."""

    def __init__(self, size_of):
        self.size_of, self.numbers, self.sizes, self.trace = size_of, {}, [], []
        self.of_segments = 0
        self.seen, self.asked = {}, {}          # bytes that a reader has had; READs under way

    def use(self, node, segment):
        key = (node, segment)
        if key not in self.numbers:
            self.numbers[key] = len(self.sizes)
            rest = self.size_of[node] - segment * SEGMENT_BYTES
            self.sizes.append(min(rest, SEGMENT_BYTES))
        self.trace.append(self.numbers[key])

    def line(self, line):
        m = OPENED.search(line)
        if m:
            unique, what, node = m[1], m[2], int(m[3])
            size = self.size_of.get(node)
            if size is None:
                return                          # the table's own documents
            if what == 'READ':
                self.asked[unique] = node
            else:
                self.seen[node] = 0
                if size <= SEGMENT_BYTES:
                    self.use(node, 0)
            return
        m = ANSWERED.search(line)
        if m and m[1] in self.asked:
            self.answered(self.asked.pop(m[1]), int(m[2]) - 16)

    def answered(self, node, count):
        before = self.seen.get(node, 0)
        self.seen[node] = before + count
        if count and self.size_of[node] > SEGMENT_BYTES:
            first = -(-before // SEGMENT_BYTES)
            for segment in range(first, -(-(before + count) // SEGMENT_BYTES)):
                self.use(node, segment)
                self.of_segments += 1


def sizes_by_node(m):
    """Of all files: one after the other is opened, and the log tells the node of each."""
    sizes = []
    for path in sorted(p for p in Path(m).rglob('*') if p.is_file()):
        with open(path, 'rb') as f:
            sizes.append(os.fstat(f.fileno()).st_size)
    nodes = [int(found[3]) for found in OPENED.finditer(m.log.read_text(errors='replace'))
             if found[2] == 'OPEN']
    assert len(nodes) == len(sizes), '%d files, %d opens' % (len(sizes), len(nodes))
    return dict(zip(nodes, sizes))


def record(name, below):
    from support.mounts import Mounter
    make, run, cache_bytes = WORKLOADS[name]
    chance = random.Random('%d %s' % (SEED, name))
    root = below / 'lake'
    root.mkdir()
    make(root, chance)
    mount = Mounter(below / 'mounts', TIMEOUT_S)
    try:
        m = mount(root, foreground=True, debug=True)
        size_of = sizes_by_node(m)
        m.log.write_text('')                    # finding the sizes was no use
        run(m, root, chance)
        m.unmount()
        uses = Uses(size_of)
        with open(m.log, errors='replace') as log:
            for line in log:
                uses.line(line)
    finally:
        mount.end()
    if any(size > SEGMENT_BYTES for size in size_of.values()) and not uses.of_segments:
        raise RuntimeError('no READ of a large object was logged: do its reads pass by the daemon?')
    write(name, uses, cache_bytes(uses.sizes))


def write(name, uses, cache_bytes):
    TRACES.mkdir(exist_ok=True)
    text = 'tarn-trace 1\nseed %d\ncache %d\nobjects %d\n%s\nuses %d\n%s\n' % (
        SEED, cache_bytes, len(uses.sizes), '\n'.join(map(str, uses.sizes)), len(uses.trace),
        '\n'.join(map(str, uses.trace)))
    path = TRACES / (name + '.zst')
    subprocess.run(['zstd', '-q', '-f', '-19', '-o', str(path)], input=text.encode(), check=True)
    print('%s: %d objects, %d MiB, %d uses, cache %d MiB, %d bytes' % (
        name, len(uses.sizes), sum(uses.sizes) >> 20, len(uses.trace), cache_bytes >> 20,
        path.stat().st_size), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--torch', nargs=3, metavar=('DIRECTORY', 'EPOCHS', 'SHUFFLE'))
    parser.add_argument('names', nargs='*', choices=[[], *WORKLOADS])
    wanted = parser.parse_args()
    if wanted.torch:
        directory, count, shuffle = wanted.torch
        load_with_torch(directory, int(count), shuffle == '1')
        return
    sys.path[:0] = [str(TESTS), str(TESTS / 'e2e')]
    for name in wanted.names or WORKLOADS:
        with tempfile.TemporaryDirectory(prefix='tarn-traces') as below:
            record(name, Path(below))


if __name__ == '__main__':
    main()
