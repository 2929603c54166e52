# SPDX-License-Identifier: Apache-2.0
"""--cache-compress-after: what nobody read for a while takes less disk, and no reader notices."""
import json
import random
import subprocess

import pytest

from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S
from test_passthrough import needs_passthrough, wait_until_it_passes

MIB = 1 << 20


def text(seed, n):
    """Lines of a table, which compress to a fifth."""
    chance = random.Random(seed)
    words = [b'%08x' % chance.randrange(1 << 32) for _ in range(500)]
    lines = b''.join(b'%d,%s,%s\n' % (i, chance.choice(words), chance.choice(words))
                     for i in range(MIB // 20))
    return (lines * (n // len(lines) + 1))[:n]


@pytest.fixture
def held(s3, bucket, tmp_path):
    """What the bucket holds: files that compress, small and large, and one that does not."""
    held = {'files/small-%d' % i: text(i, 110_000 + i) for i in range(8)}
    held['files/large'] = text('large', 9 * MIB + 12345)
    held['files/noise'] = random.Random(1).randbytes(2 * MIB)
    for name, data in held.items():
        path = tmp_path / 'source' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    s3.copy_tree(tmp_path / 'source', bucket)
    return held


@pytest.fixture
def kept(s3, bucket, proxy, held, tmp_path):
    """Keyword arguments for mount, with a cache directory that stays."""
    return {'source': 's3://' + bucket, 'endpoint_url': proxy.url, 'env': s3.env,
            'cache': tmp_path / 'cache'}


def stat(cache):
    done = run_tarn('cache', 'stat', '--json', '--cache-dir', cache)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def disk_used(cache):
    return sum(p.stat().st_blocks * 512 for p in (cache / 'objects').rglob('*') if p.is_file())


def wait_frozen(cache, count):
    wait_for(lambda: stat(cache)['frozen'] == count, PATIENCE_S, '%d compressed' % count)


def read_all(m, held):
    for name, data in held.items():
        assert (m / name).read_bytes() == data, name


def test_rested_files_take_less_disk(mount, kept, held, proxy):
    """Files that rested are compressed but for what does not compress; they read right, without a
    request, in this mount and in the next one, and are plain files again afterwards."""
    cache = kept['cache']
    m = mount(cache_compress_after='1s', **kept)
    read_all(m, held)
    plain = sum(map(len, held.values()))
    wait_frozen(cache, len(held) - 1)
    assert disk_used(cache) < plain // 2
    assert stat(cache)['bytes'] <= disk_used(cache) + 64 * 1024
    proxy.clear()
    read_all(m, held)
    assert proxy.counts('data') == 0
    wait_frozen(cache, len(held) - 1)
    m.unmount_and_wait_for_the_daemon()
    again = mount(cache_compress_after=0, **kept)
    read_all(again, held)
    wait_frozen(cache, 0)
    assert disk_used(cache) >= plain
    assert not list((cache / 'objects').rglob('*.zst'))
    wait_for(lambda: stat(cache)['sealed'] == len(held), PATIENCE_S, 'all sealed')
    assert stat(cache)['damaged'] == 0
    assert proxy.counts('data') == 0


@needs_passthrough
def test_compressed_files_pass_again(mount, kept, held, proxy):
    """A file that was compressed is read by the kernel itself again once it has been read."""
    m = mount(cache_compress_after='1s', **kept)
    read_all(m, held)
    wait_frozen(kept['cache'], len(held) - 1)
    m.unmount_and_wait_for_the_daemon()
    proxy.clear()
    again = mount(cache_compress_after=0, **kept)
    for name in 'files/large', 'files/small-3':
        wait_until_it_passes(again, name, held[name])
    assert proxy.counts('data') == 0


def test_zstd_reads_the_cache(mount, kept, held):
    """The command zstd gives a compressed file back without tarn."""
    m = mount(cache_compress_after='1s', **kept)
    read_all(m, held)
    wait_frozen(kept['cache'], len(held) - 1)
    m.unmount_and_wait_for_the_daemon()
    found = {subprocess.run(['zstd', '-q', '-d', '-c', p], check=True, capture_output=True).stdout
             for p in (kept['cache'] / 'objects').rglob('*.zst')}
    assert found == {data for name, data in held.items() if name != 'files/noise'}


def test_encrypted_caches_are_not_compressed(mount, kept, held, tmp_path):
    """With a key nothing is compressed, while beside it all is: sealed bytes do not compress."""
    key = tmp_path / 'key'
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    keyed = mount(cache_compress_after='1s', cache_key_file=key,
                  **kept | {'cache': tmp_path / 'keyed'})
    read_all(keyed, held)
    m = mount(cache_compress_after='1s', **kept)
    read_all(m, held)
    wait_frozen(kept['cache'], len(held) - 1)
    assert not list((tmp_path / 'keyed/objects').rglob('*.zst'))
    assert stat(tmp_path / 'keyed')['sealed'] == len(held)
