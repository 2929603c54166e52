# SPDX-License-Identifier: Apache-2.0
"""An object replaced at the store in the middle of a read: the whole old one or ESTALE, no mixture."""
import concurrent.futures
import errno
import itertools
import mmap
import os
import random
import threading
import time

import boto3
import pytest
from botocore.config import Config

from support import bad_logs
from support.mounts import wait_for
from support.proxy_program import proxy_program
from support.range_reader import read_full
from support.s3 import ACCESS_KEY, SECRET_KEY

MIB = 1 << 20
SIZES = (4096, 65536, 65537, 300000, MIB, MIB + 1, 3 * MIB + 70000, 9 * MIB + 5)
WEIGHTS = (1, 1, 2, 4, 2, 3, 4, 2)
TABLE = 'silver/replaced'
READERS = 6
DELAY_S = 0.004
STRIPE = 1 << 20                                # contents repeat after that


class Contents:
    """The bytes of an object in each generation; every place differs between generations."""

    def __init__(self, seed):
        chance = random.Random(seed)
        self.pattern = [chance.randbytes(STRIPE) for _ in range(2)]
        # no byte in common: so that whichever part of a read is of the wrong one shows
        table = bytes(range(1, 256)) + b'\0'
        self.pattern[1] = self.pattern[0].translate(table)

    def of(self, generation, size):
        return (self.pattern[generation] * (size // STRIPE + 1))[:size]

    def generations(self, offset, got):
        """Of which generations the bytes at an offset may be; none: a mixture, or wrong."""
        found = set()
        for g in (0, 1):
            at = offset % STRIPE
            wanted = self.pattern[g][at:] + self.pattern[g] * (len(got) // STRIPE + 1)
            if wanted[:len(got)] == got:
                found.add(g)
        return found


class Mixture(AssertionError):
    pass


class Witness:
    """All that was read of one object: its bytes must be of one generation."""

    def __init__(self, name, contents):
        self.name, self.contents, self.seen, self.stale = name, contents, {0, 1}, 0
        self.reads, self.lock = {g: [] for g in (0, 1)}, threading.Lock()

    def saw(self, how, offset, got):
        if not got:
            return
        with self.lock:
            found = self.contents.generations(offset, got)
            if not found:
                raise Mixture('%s: one %s of %d at %d has bytes of both, or of none'
                              % (self.name, how, len(got), offset))
            for g in found:
                self.reads[g].append((how, offset, len(got)))
            self.seen &= found
            if not self.seen:
                raise Mixture('%s: reads of two generations: %s' % (
                    self.name, {g: [len(r), r[:3], r[-3:]] for g, r in self.reads.items()}))

    def error(self, e):
        if e.errno != errno.ESTALE:
            raise e
        self.stale += 1


def read_ranges(path, size, witness, chance):
    """Some ranges through one handle, as long as it is not stale."""
    fd = os.open(path, os.O_RDONLY)
    try:
        for _ in range(chance.randrange(1, 8)):
            offset = chance.randrange(size)
            length = min(size - offset, chance.choice((1, 4096, 70000, 300000, 2 * MIB)))
            witness.saw('pread', offset, read_full(fd, length, offset))
    finally:
        os.close(fd)


def read_whole(path, size, witness, chance):
    """From front to back in small reads."""
    step = chance.choice((4096, 50000, 128 << 10, MIB))
    with open(path, 'rb', buffering=0) as f:
        at = 0
        while part := f.read(step):
            witness.saw('read', at, part)
            at += len(part)
    if at != size:
        raise Mixture('%s: %d bytes of %d' % (path, at, size))


def read_uncached(path, size, witness, chance):
    """The same places again after the kernel was told to forget them."""
    fd = os.open(path, os.O_RDONLY)
    try:
        for _ in range(3):
            offset = chance.randrange(size)
            witness.saw('pread', offset, read_full(fd, min(size - offset, 100000), offset))
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def open_laid(path):
    """
    None: not yet. Prefetch of its neighbours may have asked for it before it was laid, and who opens
    it before the answer has come shares that.
    """
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None


WAYS = (read_ranges, read_whole, read_uncached)


def read_in_a_way(path, size, witness, chance):
    try:
        chance.choice(WAYS)(path, size, witness, chance)
    except OSError as e:
        witness.error(e)


def client_of(port):
    return boto3.client('s3', endpoint_url='http://127.0.0.1:%d' % port, region_name='us-east-1',
                        aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
                        config=Config(s3={'addressing_style': 'path'}, proxies={},
                                      retries={'max_attempts': 1}, max_pool_connections=READERS))


class Field:
    """A table of many files behind a proxy, and what is done to one of them."""

    def __init__(self, s3, bucket, proxy, count, seed):
        self.s3, self.bucket, self.proxy, self.seed = s3, bucket, proxy, seed
        self.contents = Contents(seed)
        self.client = client_of(proxy.port)
        chance = random.Random(seed)
        self.sizes = chance.choices(SIZES, WEIGHTS, k=count)
        self.stale, self.whole = itertools.count(), itertools.count()
        self.reading_s = 3 * DELAY_S            # of a MiB, about as long as it takes on this machine now

    def name(self, i):
        return 'part-%06d.parquet' % i

    def lay(self, tmp_path):
        root, self.aside = tmp_path / 'lay', tmp_path / 'aside'
        self.aside.mkdir()
        adds = [bad_logs.add(0, path=self.name(i), size=n) for i, n in enumerate(self.sizes)]
        (root / TABLE / '_delta_log').mkdir(parents=True)
        bad_logs.write(root / TABLE, 0,
                       bad_logs.line(bad_logs.protocol(), bad_logs.metadata(), *adds))
        self.s3.copy_tree(root, self.bucket)

    def put(self, i, generation):
        self.client.put_object(Bucket=self.bucket, Key=TABLE + '/' + self.name(i),
                               Body=self.contents.of(generation, self.sizes[i]))

    def first(self, i, below):
        """
        The old object, put where the server keeps it, at once: nobody opens it yet, but prefetch may
        ask for it.
        """
        beside, path = self.aside / self.name(i), below / self.name(i)
        beside.write_bytes(self.contents.of(0, self.sizes[i]))
        os.setxattr(beside, 'user.etag', ('"old-%d-%d"' % (self.seed, i)).encode())
        return beside.rename(path)

    def replace_one(self, i, m):
        """
        Two readers, and the replacement at a random moment; then a fresh look. What all of them
        saw is of one generation.
        """
        chance = random.Random(self.seed * 1000003 + i)
        stored = self.first(i, self.s3.root / self.bucket / TABLE)
        path, size = m / TABLE / self.name(i), self.sizes[i]
        witness = Witness(self.name(i), self.contents)
        # so that all are of one open object
        held = wait_for(lambda: open_laid(path), 10, 'an open of %s' % path)
        try:
            reader = threading.Thread(target=self._read, args=(path, size, witness, chance.random()))
            reader.start()
            time.sleep(chance.uniform(0, 1.5 * self.reading_s * (1 + size / MIB)))
            self.put(i, 1)
            reader.join()
            read_in_a_way(path, size, witness, chance)
            read_in_a_way(path, size, witness, chance)
            self._mapped(held, size, witness)
        finally:
            os.close(held)
        # Nobody has it open. Whatever a fresh reader is given, it is whole.
        fresh = Witness(self.name(i) + ' afresh', self.contents)
        try:
            read_whole(path, size, fresh, chance)
        except OSError as e:
            fresh.error(e)
        stored.unlink()
        next(self.stale if witness.stale or fresh.stale else self.whole)
        self.check(witness)

    def _read(self, path, size, witness, seed):
        started = time.monotonic()
        try:
            read_in_a_way(path, size, witness, random.Random(seed))
            took = (time.monotonic() - started) / (1 + size / MIB)
            self.reading_s += (took - self.reading_s) / 20
        except Exception as e:                  # told by the thread that waits for this one
            witness.broken = e

    @staticmethod
    def check(witness):
        broken = getattr(witness, 'broken', None)
        if broken:
            raise broken

    @staticmethod
    def _mapped(fd, size, witness):
        """
        Mapped, only what the kernel has: a page that cannot be had any more would be SIGBUS, which
        is right, and the end of this process.
        """
        with mmap.mmap(fd, size, prot=mmap.PROT_READ) as map:
            for offset in range(0, size, mmap.PAGESIZE):
                try:
                    got = os.preadv(fd, [buffer := bytearray(mmap.PAGESIZE)], offset, os.RWF_NOWAIT)
                except OSError:
                    continue
                if got:
                    witness.saw('mmap', offset, bytes(map[offset:offset + got]))
                    witness.saw('nowait', offset, bytes(buffer[:got]))


def replace_all(mount, s3, bucket, tmp_path, count, **options):
    seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
    print('SEED', seed)
    started = time.monotonic()
    with proxy_program(s3.port, DELAY_S, '--atomic') as proxy:
        field = Field(s3, bucket, proxy, count, seed)
        field.lay(tmp_path)
        m = mount('s3://' + bucket, endpoint_url=proxy.url, env=s3.env, **options)
        assert len(os.listdir(m / TABLE)) >= count
        with concurrent.futures.ThreadPoolExecutor(READERS) as pool:
            # in no order: those that come next in a listing would be fetched before they are there
            order = random.Random(seed).sample(range(count), count)
            for done in [pool.submit(field.replace_one, i, m) for i in order]:
                done.result()
    stale, whole = next(field.stale), next(field.whole)
    print('%d replaced: %d seen stale, %d whole, %.0f s'
          % (count, stale, whole, time.monotonic() - started))
    assert stale + whole == count
    return stale, whole


def test_replaced_in_the_middle(mount, s3, bucket, tmp_path):
    """300 objects of a table are replaced while they are read: no reader sees a mixture."""
    stale, whole = replace_all(mount, s3, bucket, tmp_path, 300)
    assert stale >= 20 and whole >= 20, 'the moments are not random enough'


def test_replaced_in_the_middle_with_a_small_cache(mount, s3, bucket, tmp_path):
    """The same where next to nothing can be kept: what was forgotten comes again, never mixed."""
    stale, whole = replace_all(mount, s3, bucket, tmp_path, 200, cache_size='2M')
    assert stale >= 10 and whole >= 10


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_ten_thousand_replaced(mount, s3, bucket, tmp_path):
    """10,000 of them."""
    stale, whole = replace_all(mount, s3, bucket, tmp_path, 10000, cache_size='256M')
    assert stale >= 1000 and whole >= 1000
