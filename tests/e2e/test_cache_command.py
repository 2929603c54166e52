# SPDX-License-Identifier: Apache-2.0
"""tarn cache stat, verify, drop, gc: the same words whether a daemon has the cache open or nobody."""
import json
import os
import random
import re
import subprocess

import pytest

from support.mounts import clean_env, run_tarn, wait_for
from support.places import PATIENCE_S, TARN

MIB = 1 << 20
COUNT, SIZE = 12, 700_000


@pytest.fixture
def files(s3, bucket, tmp_path):
    """Files in the bucket, 8 MiB in all: what each holds."""
    source = tmp_path / 'source'
    source.mkdir()
    chance = random.Random(5)
    for i in range(COUNT):
        (source / ('f%02d' % i)).write_bytes(chance.randbytes(SIZE))
    s3.copy_tree(source, bucket, 'files')
    return {p.name: p.read_bytes() for p in source.iterdir()}


@pytest.fixture
def kept(s3, bucket, proxy, files, tmp_path):
    """Keyword arguments for mount, with a cache directory that stays."""
    return {'source': 's3://' + bucket, 'endpoint_url': proxy.url, 'env': s3.env,
            'cache': tmp_path / 'cache'}


def warmed(mount, **options):
    """A mount all of whose files are cached."""
    m = mount(**options)
    assert run_tarn('warm', m).returncode == 0
    return m


@pytest.fixture(params=['daemon', 'nobody'])
def warm(request, mount, kept):
    """A warmed cache, with a daemon that has it open or without: (words for it, mount again)."""
    m = warmed(mount, **kept)
    if request.param == 'daemon':
        yield [str(m)], lambda: m
    else:
        m.unmount_and_wait_for_the_daemon()
        yield ['--cache-dir', str(kept['cache'])], lambda: mount(**kept)


def cache(action, words, *more, status=0):
    done = run_tarn('cache', action, *words, *more)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def figures(action, words, status=0):
    return json.loads(cache(action, words, '--json', status=status))


def objects(kept):
    return sorted(p for p in (kept['cache'] / 'objects').rglob('*') if p.is_file())


def flip(path, at):
    with open(path, 'r+b') as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 0x10]))


def contents(m):
    return {p.name: p.read_bytes() for p in (m / 'files').iterdir()}


def test_stat(warm, kept):
    """stat tells objects and bytes of the cache, to programs and to people."""
    words, _ = warm
    wait_for(lambda: figures('stat', words)['sealed'] == COUNT, PATIENCE_S, 'all sealed')
    told = figures('stat', words)
    assert told['objects'] == COUNT
    assert COUNT * SIZE <= told['bytes'] <= 2 * COUNT * SIZE < told['limitBytes']
    assert told['damaged'] == told['writeErrors'] == 0 and told['off'] is False
    said = cache('stat', words)
    assert str(kept['cache']) in said and re.search(r'objects +12, 12 of them whole', said)


def test_stat_counts_hits(mount, kept, files):
    """What is fetched and what is found are counted since the daemon began."""
    m = mount(**kept)
    assert figures('stat', [str(m)])['fetchedBytes'] == 0
    assert contents(m) == files
    told = figures('stat', [str(m)])
    assert told['fetchedBytes'] >= COUNT * SIZE and told['requests'] >= COUNT
    m.unmount_and_wait_for_the_daemon()
    again = mount(**kept)
    assert contents(again) == files
    told = figures('stat', [str(again)])
    assert told['fetchedBytes'] == 0 and re.search('since the daemon began', cache('stat', [str(again)]))


def test_verify_of_a_sound_cache(warm):
    """verify reads everything that is cached, and is 0 where nothing is damaged."""
    words, _ = warm
    told = figures('verify', words)
    assert told['objects'] == COUNT and told['bytes'] >= COUNT * SIZE and told['damaged'] == 0
    assert 'nothing is damaged' in cache('verify', words)


def test_verify_finds_a_flipped_bit(warm, kept, files, proxy):
    """One flipped bit is found with status 1; it is fetched again, and then nothing is damaged."""
    words, again = warm
    seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
    print('SEED', seed)
    chance = random.Random(seed)
    path = chance.choice(objects(kept))
    flip(path, chance.randrange(SIZE))
    assert figures('verify', words, status=1)['damaged'] >= 1
    assert figures('verify', words)['damaged'] == 0
    proxy.clear()
    m = again()
    assert contents(m) == files
    assert run_tarn('warm', m).returncode == 0
    assert proxy.counts('data') >= 1
    assert figures('verify', [str(m)])['damaged'] == 0


def test_drop(warm, kept, files, proxy):
    """drop removes all objects; what is read later is fetched again, and right."""
    words, again = warm
    assert figures('drop', words)['removed'] == COUNT
    assert figures('stat', words)['objects'] == 0 and objects(kept) == []
    proxy.clear()
    m = again()
    assert run_tarn('warm', m).returncode == 0    # also where the kernel has the pages still
    assert proxy.counts('data') >= COUNT
    assert figures('stat', [str(m)])['objects'] == COUNT
    assert contents(m) == files


def test_drop_leaves_what_is_open(mount, kept, files):
    """A file that somebody has open is not dropped, and reads on without the store."""
    m = warmed(mount, **kept)
    with open(m / 'files/f03', 'rb') as held:
        held.read(1)
        assert cache('drop', [str(m)]).startswith('%d objects, ' % (COUNT - 1))
        assert held.read() == files['f03'][1:]
        assert m.xattr('files/f03', 'cached') == str(SIZE)
    assert figures('stat', [str(m)])['objects'] == 1


def test_gc(warm, kept, files):
    """gc removes files that no record names, and leaves what is cached."""
    words, again = warm
    stray = kept['cache'] / 'objects' / 'ab'
    stray.mkdir(exist_ok=True)
    (stray / ('c' * 62)).write_bytes(b'x' * 4096)
    removed = figures('gc', words)['removed']
    assert not (stray / ('c' * 62)).exists()
    assert removed == 1 or words[0] == '--cache-dir'    # opening the cache looks for such files, too
    assert figures('stat', words)['objects'] == COUNT
    assert contents(again()) == files


def test_gc_shrinks_to_what_the_command_says(mount, kept, files):
    """Without a daemon --cache-size says what may stay."""
    m = warmed(mount, **kept)
    m.unmount_and_wait_for_the_daemon()
    words = ['--cache-dir', str(kept['cache'])]
    cache('gc', words, '--cache-size', '3M')
    told = figures('stat', words)
    assert 0 < told['bytes'] <= 3 * MIB
    assert contents(mount(**kept)) == files


def test_budget_of_the_last_daemon(mount, kept):
    """Without a daemon the cache is opened with the budget that the last one had: nothing is lost."""
    m = mount(cache_size='1T', cache_free='1%', **kept)
    limit = figures('stat', [str(m)])['limitBytes']
    m.unmount_and_wait_for_the_daemon()
    words = ['--cache-dir', str(kept['cache'])]
    assert abs(figures('stat', words)['limitBytes'] - limit) < 4 << 30      # others use the disk too
    saved = json.loads((kept['cache'] / 'options').read_text())
    assert saved == {'cache-size': '1T', 'cache-free': '1%'}


def test_options_of_a_running_daemon(mount, kept, files):
    """A daemon that runs keeps its own options, and that is said."""
    m = warmed(mount, **kept)
    done = run_tarn('cache', 'gc', m, '--cache-size', '3M')
    assert done.returncode == 0 and 'own options count' in done.stderr
    assert figures('stat', [str(m)])['objects'] == COUNT


def test_stat_answers_while_verify_runs(mount, kept):
    """While clients verify one after the other, the mount and others who ask are answered."""
    m = warmed(mount, **kept)
    again_and_again = 'while [ -e "$2" ]; do "$0" cache verify "$1" >"$3" 2>&1; done'
    flag, said = kept['cache'].parent / 'flag', kept['cache'].parent / 'said'
    flag.touch()
    looping = subprocess.Popen(['bash', '-c', again_and_again, str(TARN), str(m), str(flag), str(said)],
                               env=clean_env(), stdin=subprocess.DEVNULL)
    try:
        for _ in range(20):
            assert figures('stat', [str(m)])['objects'] == COUNT
            assert len(os.listdir(m / 'files')) == COUNT
    finally:
        flag.unlink()
        assert looping.wait(timeout=PATIENCE_S) == 0
    assert 'nothing is damaged' in said.read_text()


def test_any_path_in_the_mount(mount, kept):
    """A path below the mount point names the same cache as its directory."""
    m = mount(**kept)
    wait_for(lambda: figures('stat', [str(m / 'files')]) == figures('stat', ['--cache-dir', str(m.cache)]),
             PATIENCE_S, 'the same answer')


@pytest.mark.parametrize('words', [['cache'], ['cache', 'nonsense'], ['cache', 'stat', 'a', 'b'],
                                   ['cache', 'stat', '--refresh', '1'],
                                   ['cache', 'stat', 'a', '--cache-dir', 'b'],
                                   ['cache', 'stat', '--cache-size']], ids=' '.join)
def test_wrong_use(tarn, words):
    """Wrong use is 2 with its reason."""
    done = run_tarn(*words)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_no_cache_directory(tarn, tmp_path):
    """What is no cache directory is told and left alone."""
    (tmp_path / 'empty').mkdir(mode=0o755)
    for action in ('stat', 'verify', 'drop', 'gc'):
        for path in (tmp_path / 'empty', tmp_path / 'nowhere', tmp_path):
            done = run_tarn('cache', action, '--cache-dir', path)
            assert done.returncode == 1 and str(path) in done.stderr
        done = run_tarn('cache', action, tmp_path)
        assert done.returncode == 1 and 'not in a mount' in done.stderr
    assert os.listdir(tmp_path / 'empty') == []
    assert (tmp_path / 'empty').stat().st_mode & 0o777 == 0o755


def test_a_mount_waits_for_the_command(mount, kept, files):
    """While a command has the directory a mount waits for it, and works then."""
    m = warmed(mount, **kept)
    m.unmount_and_wait_for_the_daemon()
    running = [subprocess.Popen([str(TARN), 'cache', action, '--cache-dir', str(kept['cache'])],
                                env=clean_env(), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL) for action in ('verify', 'stat', 'stat')]
    assert contents(mount(**kept)) == files
    assert [p.wait(timeout=PATIENCE_S) for p in running] == [0, 0, 0]
