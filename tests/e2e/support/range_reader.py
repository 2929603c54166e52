# SPDX-License-Identifier: Apache-2.0
"""
Reads random ranges and whole files below a mount for ever, and compares each byte with the source.

usage: range_reader.py MOUNT SOURCE FILES SEED CONTROL INDEX
  FILES    JSON: [[path in the mount, path in the source, size], ...]
  CONTROL  a mapped file: u64 state, then for each reader u64 reads, u64 bytes.
           The state is odd while the mount is up; a failure counts where it was odd and the same
           before and after. 0: the end.
Ends with status 0, or 3 and one line that tells what was wrong.
"""
import json
import mmap
import os
import random
import sys
import time

RANGE_BYTES_MAX = 3 << 20


class Control:
    """The mapped file; each reader writes its own numbers only."""

    def __init__(self, path, readers=0):
        if readers:
            with open(path, 'wb') as f:
                f.write(b'\0' * (8 + 16 * readers))
        self.readers = readers
        with open(path, 'r+b') as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.words = memoryview(self.map).cast('Q')     # each is stored at once

    @property
    def state(self):
        return self.words[0]

    @state.setter
    def state(self, value):
        self.words[0] = value

    def tell(self, index, reads, count):
        self.words[1 + 2 * index], self.words[2 + 2 * index] = reads, count

    def sums(self):
        """Reads and bytes of all readers."""
        return sum(self.words[1::2]), sum(self.words[2::2])


def difference(got, wanted):
    """Where two byte strings of one length differ: (first, count of differing bytes)."""
    wrong = [i for i, (a, b) in enumerate(zip(got, wanted)) if a != b]
    return wrong[0], len(wrong)


def compare(path, source, offset, got, length):
    if len(got) != length:
        return '%s: %d bytes at %d, %d wanted' % (path, len(got), offset, length)
    with open(source, 'rb') as f:
        wanted = os.pread(f.fileno(), length, offset)
    if got == wanted:
        return None
    return '%s: bytes at %d of length %d are wrong: first at +%d, %d in all' % (
        path, offset, length, *difference(got, wanted))


def read_full(fd, length, offset):
    """What the file has there; reads may be cut short where the mount splits them."""
    parts = []
    while length:
        part = os.pread(fd, length, offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
        length -= len(part)
    return b''.join(parts)


def one_file(chance, mount, source, entry):
    """Opens a file and reads some of it: (bytes read, what is wrong or None)."""
    path, below, size = entry
    count = 0
    fd = os.open(os.path.join(mount, path), os.O_RDONLY)
    try:
        whole = size <= 1 << 20
        for _ in range(1 if whole else chance.randrange(1, 6)):
            length = size if whole else chance.randrange(1, min(size, RANGE_BYTES_MAX))
            offset = 0 if whole else chance.randrange(size - length + 1)
            if not whole and chance.random() < 0.3:
                length = min(length, 4096)
            got = read_full(fd, length, offset)
            wrong = compare(path, os.path.join(source, below), offset, got, length)
            if wrong:
                return count, wrong
            count += length
    finally:
        os.close(fd)
    return count, None


def main():
    mount, source, files, seed, control, index = sys.argv[1:]
    control, index, chance = Control(control), int(index), random.Random(int(seed))
    with open(files) as f:
        entries = json.load(f)
    reads = total = 0
    while True:
        state = control.state
        if state == 0:
            return 0
        if not state & 1:
            time.sleep(0.002)
            continue
        try:
            count, wrong = one_file(chance, mount, source, chance.choice(entries))
        except OSError as e:
            count, wrong = 0, 'state %d: %r' % (state, e)
            if control.state != state:
                wrong = None                    # the daemon was killed meanwhile
        if wrong:
            print(wrong, flush=True)
            return 3
        reads, total = reads + 1, total + count
        control.tell(index, reads, total)
        time.sleep(0.001)


if __name__ == '__main__':
    sys.exit(main())
