# SPDX-License-Identifier: Apache-2.0
"""
Near stores: read first, filled with what was read, and never a reason for an error or a wrong byte.
"""
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from fake.faults import FaultProxy
from support import lakes, moto, s3 as s3_support
from support.mounts import paused, run_tarn, wait_for
from support.places import PATIENCE_S, SLOWNESS, SUPPORT, TOOLS

MIB = 1 << 20
GRANULE, TAIL = 64 << 10, 136
COUNT, SIZE = 12, 700_001


def near_bytes(size):
    """What an object of that size takes in a near store."""
    return size + -(-size // GRANULE) * TAIL


class Directory:
    """A NAS: a near store in a directory."""

    def __init__(self, below):
        self.path = below / 'nas'
        self.path.mkdir()
        self.url = str(self.path)

    def objects(self):
        """{name: size} of all that lies there with an object's name."""
        return {p.name: p.stat().st_size for p in self.path.glob('objects/*/*')}

    def wipe(self):
        shutil.rmtree(self.path / 'objects', ignore_errors=True)

    def damage(self, at):
        """Another byte there, of each object."""
        for p in self.path.glob('objects/*/*'):
            with open(p, 'r+b') as f:
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(at)
                f.write(bytes([byte ^ 1]))

    def cut(self, size):
        for p in self.path.glob('objects/*/*'):
            os.truncate(p, size)


class Bucket:
    """An on-premises S3: a near store in a bucket."""

    def __init__(self, server, name):
        self.server, self.name = server, server.make_bucket(name)
        self.url = 's3+%s/%s/near' % (server.url, name)

    def each(self):
        pages = self.server.client.get_paginator('list_objects_v2').paginate(Bucket=self.name)
        return [c for page in pages for c in page.get('Contents', [])]

    def objects(self):
        return {c['Key'].rsplit('/', 1)[1]: c['Size'] for c in self.each()
                if c['Key'].startswith('near/objects/')}

    def wipe(self):
        for c in self.each():
            self.server.client.delete_object(Bucket=self.name, Key=c['Key'])

    def change(self, how):
        for c in self.each():
            data = self.server.client.get_object(Bucket=self.name, Key=c['Key'])['Body'].read()
            self.server.client.put_object(Bucket=self.name, Key=c['Key'], Body=how(data))

    def damage(self, at):
        self.change(lambda d: d[:at] + bytes([d[at] ^ 1]) + d[at + 1:])

    def cut(self, size):
        self.change(lambda d: d[:size])


@pytest.fixture(scope='module')
def near_server(tmp_path_factory):
    server = s3_support.Server(tmp_path_factory.mktemp('near'))
    yield server
    server.stop()


@pytest.fixture
def nas(tmp_path):
    return Directory(tmp_path)


@pytest.fixture(params=['directory', 'bucket'])
def near(request, tmp_path, near_server, bucket):
    if request.param == 'directory':
        return Directory(tmp_path)
    return Bucket(near_server, bucket[-40:].strip('-'))


@pytest.fixture
def files(s3, bucket, tmp_path):
    """Files in the bucket: what each holds, by its path."""
    source = tmp_path / 'source'
    source.mkdir()
    chance = random.Random(7)
    sizes = [1, GRANULE, GRANULE + 1, 3 * MIB + 5, 9 * MIB] + [SIZE] * COUNT
    for i, size in enumerate(sizes):
        (source / ('f%02d' % i)).write_bytes(chance.randbytes(size))
    s3.copy_tree(source, bucket, 'files')
    return {'files/' + p.name: p.read_bytes() for p in source.iterdir()}


@pytest.fixture
def home(s3, bucket, proxy, files):
    """Keyword arguments for a mount of the bucket, whose requests are counted."""
    return {'source': 's3://' + bucket, 'endpoint_url': proxy.url, 'env': s3.env}


def check(m, files, order=None):
    for path in order or files:
        assert (m / path).read_bytes() == files[path], path


def stat(m):
    done = run_tarn('cache', 'stat', '--json', m)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def filled(near, files):
    """All of the files lie there, each of them whole."""
    return sorted(near.objects().values()) == sorted(near_bytes(len(d)) for d in files.values())


def fill(mount, home, near, files, **more):
    m = mount(**home, near=near.url, **more)
    check(m, files)
    wait_for(lambda: filled(near, files), PATIENCE_S, 'the near store is filled')
    return m


def test_what_one_machine_read_another_reads_near(mount, home, near, files, proxy):
    """What was read lies in the near store, and a machine without a cache asks home for no byte of it."""
    first = fill(mount, home, near, files)
    assert stat(first)['nearFilled'] == len(files)
    second = mount(**home, near=near.url)
    before = proxy.counts('data')
    check(second, files)
    assert proxy.counts('data') == before
    told = stat(second)
    assert told['nearHitBytes'] == sum(map(len, files.values()))
    assert told['nearDamaged'] == told['nearFailed'] == 0
    assert 'near store' in run_tarn('cache', 'stat', second).stdout


def test_wiped(mount, home, near, files, proxy):
    """What was there and is not any more is read at home, and lies there again."""
    fill(mount, home, near, files)
    known = mount(**home, near=near.url)
    old = dict(list(files.items())[:3])
    check(known, old)
    near.wipe()
    check(known, files)
    new = {p: d for p, d in files.items() if p not in old}      # the others need no refetch here
    wait_for(lambda: filled(near, new), PATIENCE_S, 'it is filled again')
    third = mount(**home, near=near.url)
    check(third, files)
    wait_for(lambda: filled(near, files), PATIENCE_S, 'by who missed them')


@pytest.mark.parametrize('at', [0, 1, 100])
def test_wrong_bytes(mount, home, near, files, at):
    """A byte that changed there, of data or of what is behind it, is found, removed, read at home."""
    fill(mount, home, near, files)
    near.damage(at)
    second = mount(**home, near=near.url)
    check(second, files)
    assert stat(second)['nearDamaged'] >= len(files)
    wait_for(lambda: filled(near, files), PATIENCE_S, 'right ones lie there again')
    third = mount(**home, near=near.url)
    check(third, files)
    assert stat(third)['nearDamaged'] == 0


def test_cut(mount, home, near, files):
    """An object that lost its end is as wrong."""
    fill(mount, home, near, files)
    near.cut(100)
    second = mount(**home, near=near.url)
    check(second, files)
    assert stat(second)['nearDamaged'] >= len(files) - 1


def test_swapped(mount, home, nas, files):
    """An object with another one's name, or another one's granules, is never given out."""
    fill(mount, home, nas, files)
    same = [p for p in nas.path.glob('objects/*/*') if p.stat().st_size == near_bytes(SIZE)]
    contents = [p.read_bytes() for p in same]
    for p, data in zip(same, contents[1:] + contents[:1]):
        p.write_bytes(data)
    large = next(p for p in nas.path.glob('objects/*/*') if p.stat().st_size == near_bytes(9 * MIB))
    data, step = large.read_bytes(), GRANULE + TAIL
    large.write_bytes(data[step:2 * step] + data[:step] + data[2 * step:])
    second = mount(**home, near=nas.url)
    check(second, files)
    assert stat(second)['nearDamaged'] > COUNT


def test_dead(mount, home, files, tmp_path, bucket):
    """A near store that is gone, and comes again: reads go on from home, then come from there."""
    server = s3_support.Server(tmp_path)
    try:
        near = Bucket(server, 'dead')
        fill(mount, home, near, files)
        second = mount(**home, near=near.url)
        with paused(server.process):                    # connects, and does not answer
            began = time.monotonic()
            check(second, files)
            assert time.monotonic() - began < 15 * SLOWNESS
        assert stat(second)['nearFailed'] > 0
        assert 'left alone' in ''.join(p.read_text() for p in second.cache.glob('*.log')) \
            or 'left alone' in second.log.read_text()

        def works_again():
            assert run_tarn('cache', 'drop', second).returncode == 0
            check(second, files)
            return stat(second)['nearHits'] > 0
        wait_for(works_again, PATIENCE_S, 'it is asked again')
    finally:
        server.stop()
    third = mount(**home, near=near.url)                # nobody listens there
    check(third, files)
    assert stat(third)['nearHits'] == 0


def test_slow(mount, home, files, bucket, near_server):
    """A near store that is later than its deadline is not waited for."""
    near = Bucket(near_server, 'slow')
    fill(mount, home, near, files)
    with FaultProxy(near_server.port, latency_ms=5000) as p:
        near.url = 's3+%s/%s/near' % (p.url, near.name)
        second = mount(**home, near=near.url)
        began = time.monotonic()
        check(second, files)
        assert time.monotonic() - began < 15 * SLOWNESS
        assert stat(second)['nearHits'] == 0 and stat(second)['nearFailed'] > 0


@pytest.fixture
def small(tmp_path):
    """A NAS of 4 MiB."""
    nas = Directory(tmp_path)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', str(nas.path)], check=True)
    yield nas
    subprocess.run(['umount', '-l', str(nas.path)], check=True)


def test_full(mount, home, small, files):
    """A near store without room takes what fits, whole, and the rest is read from home."""
    m = mount(**home, near=small.url)
    check(m, files)
    second = mount(**home, near=small.url)
    check(second, files)
    sizes = {near_bytes(len(d)) for d in files.values()}
    assert set(small.objects().values()) <= sizes
    assert 'not filled' in m.log.read_text() + ''.join(p.read_text() for p in m.cache.glob('*.log'))


def test_read_only(mount, home, nas, files, proxy):
    """A near store that takes nothing is read all the same."""
    fill(mount, home, nas, files)
    first = max(nas.path.glob('objects/*/*'), key=lambda p: p.stat().st_size)
    first.unlink()
    subprocess.run(['mount', '--bind', str(nas.path), str(nas.path)], check=True)
    try:
        subprocess.run(['mount', '-o', 'remount,bind,ro', str(nas.path)], check=True)
        m = mount(**home, near=nas.url)
        check(m, files)
        assert stat(m)['nearHits'] >= len(files) - 1
        assert stat(m)['nearFilled'] == 0
    finally:
        subprocess.run(['umount', '-l', str(nas.path)], check=True)


def test_budget(mount, home, near, files):
    """What lies there stays within its budget, and what was used last stays."""
    limit = 16 * MIB
    m = mount(**home, near=near.url, near_size='16M')
    small = {p: d for p, d in files.items() if len(d) <= SIZE}
    check(m, small)
    wait_for(lambda: filled(near, small), PATIENCE_S, 'all that fits is there')
    chance = random.Random(3)
    for turn in range(3):
        check(m, files, chance.sample(list(files), len(files)))
        assert sum(near.objects().values()) <= limit + 4 * MIB
    assert near_bytes(9 * MIB) not in near.objects().values()   # more than a fourth of it


def test_two_machines_fill_it(mount, home, near, files):
    """Two that fill it at the same time leave each object there once, whole."""
    machines = [mount(**home, near=near.url) for _ in range(2)]
    threads = [threading.Thread(target=check, args=(m, files)) for m in machines]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wait_for(lambda: filled(near, files), PATIENCE_S, 'it is filled')
    third = mount(**home, near=near.url)
    check(third, files)
    assert stat(third)['nearDamaged'] == 0


def test_killed_while_it_fills(mount, home, nas, files, chance):
    """A daemon that is killed while it fills leaves nothing half there."""
    sizes = {near_bytes(len(d)) for d in files.values()}
    for _ in range(6):
        m = mount(**home, near=nas.url)
        reader = threading.Thread(target=lambda: [os.path.exists(m / p) and read_some(m / p)
                                                  for p in files])
        reader.start()
        time.sleep(chance.random() * 0.6)
        os.kill(m.pid, signal.SIGKILL)
        reader.join()
        assert set(nas.objects().values()) <= sizes
        subprocess.run(['umount', '-l', str(m)], check=False)
        nas.wipe()


def read_some(path):
    try:
        path.read_bytes()
    except OSError:
        pass        # its daemon was killed


def test_hanging_directory(mount, home, files, tmp_path, near_server):
    """A directory that hangs holds up neither reads nor the end of the mount."""
    server = s3_support.Server(tmp_path)
    inner = mount('s3://' + server.make_bucket('nas'), endpoint_url=server.url, env=server.env,
                  refresh='3600')
    try:
        (server.root / 'nas' / 'some').write_bytes(b'x')
        os.listdir(inner)
        with paused(server.process):
            m = mount(**home, near=str(inner))
            began = time.monotonic()
            check(m, files)
            assert time.monotonic() - began < 20 * SLOWNESS
            m.unmount()
    finally:
        server.stop()


def test_home_is_gone(mount, home, near, files, s3, bucket):
    """What lies near can be read while home does not answer."""
    first = fill(mount, home, near, files)
    names = [str(p) for p in files]
    second = mount(**home, near=near.url)
    for name in names:
        os.stat(second / name)
    with paused(s3.process):
        check(second, files)
    assert first


@pytest.fixture
def classes(tmp_path):
    """A server whose objects have storage classes."""
    server = moto.Server(tmp_path)
    yield server
    server.stop()


@pytest.mark.timeout(600)
def test_training_while_objects_move(mount, classes, near, lake):
    """A shuffled PyTorch loop of 4 workers over a table whose objects move between classes that can
    be read, and whose near store is wiped and filled meanwhile: every byte right."""
    bucket = classes.make_bucket('home')
    classes.copy_tree(lake.root, bucket)
    newest = lake.versions('silver/orders')[-1]
    objects = [k for k in classes.keys(bucket, 'silver/orders/') if k.endswith('.parquet')]
    m = mount('s3://' + bucket, endpoint_url=classes.url, env=classes.env, near=near.url,
              cache_size='3M')
    stop, wiped, moved = threading.Event(), [], []

    def wipe():
        while not stop.wait(0.5):
            near.wipe()
            wiped.append(time.monotonic())

    def move():
        for storage_class in itertools.cycle(('STANDARD_IA', 'GLACIER_IR', 'STANDARD')):
            for key in objects:
                if stop.is_set():
                    return
                classes.copy_to_class(bucket, key, storage_class)
                moved.append(key)
    threads = [threading.Thread(target=wipe), threading.Thread(target=move)]
    for thread in threads:
        thread.start()
    try:
        done = subprocess.run(
            [str(TOOLS / 'venv-torch' / 'bin' / 'python'), str(SUPPORT / 'torch_reader.py'),
             '--shuffle', *['%s/silver/orders@%d' % (m, newest.number)] * 8],
            capture_output=True, text=True, timeout=PATIENCE_S)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert done.returncode == 0, done.stderr
    assert [tuple(map(int, line.split())) for line in done.stdout.splitlines()] == \
        [(newest.rows, newest.total)] * 8
    assert len(wiped) > 3 and len(moved) > len(objects) and stat(m)['nearFilled'] > 0


def test_options(nas, tmp_path, own_lake):
    """Sizes and places that mean nothing are refused with the option's name."""
    point = tmp_path / 'point'
    point.mkdir()
    for options, said in ((['--near', 'nas'], 'near'), (['--near-size', '1G'], 'near-size'),
                          (['--near', nas.url, '--near-size', 'much'], 'near-size'),
                          (['--near', '/no/such/directory'], 'near store')):
        done = run_tarn('mount', 's3://bucket', point, '--endpoint-url', 'http://127.0.0.1:1',
                        '--no-sign-request', '--cache-dir', tmp_path / 'c', *options)
        assert done.returncode != 0 and said in done.stderr, (options, done.stderr)


@pytest.mark.parametrize('lake, near', [('lake', 'lake'), ('lake', 'lake/near'), ('lake/silver', '')])
def test_a_near_store_in_the_lake_is_refused(s3, bucket, own_lake, tmp_path, lake, near):
    """What is put there would be the lake's own objects; beside the lake it may be."""
    s3.copy_tree(own_lake.root, bucket, 'lake/')
    point = tmp_path / 'point'
    point.mkdir()
    words = ['mount', 's3://%s/%s' % (bucket, lake), point, '--endpoint-url', s3.url, '--cache-dir', tmp_path / 'c']
    inside = 's3+%s/%s/%s' % (s3.url, bucket, near)
    done = run_tarn(*words, '--near', inside, env=s3.env)
    assert done.returncode != 0 and 'option near: ' in done.stderr and 'outside of the lake' in done.stderr
    file = tmp_path / 'lake.yaml'
    file.write_text('layers:\n  a: {url: "s3://%s/%s", endpoint-url: "%s",\n      near: "%s"}\n' % (bucket, lake, s3.url, inside))
    done = run_tarn('mount', file, point, '--cache-dir', tmp_path / 'c', env=s3.env)
    assert done.returncode != 0 and ':3:13: near store: ' in done.stderr
    assert run_tarn(*words, '--near', 's3+%s/%s/beside' % (s3.url, bucket), env=s3.env).returncode == 0
    assert run_tarn('umount', point).returncode == 0


def test_local_source(mount, nas, own_lake):
    """A lake of this machine is read in place: it needs no nearer store, and fills none."""
    m = mount(own_lake.root, near=nas.url)
    newest = own_lake.versions('silver/orders')[-1]
    assert newest.number == int(m.xattr('silver/orders', 'version'))
    assert nas.objects() == {}
    assert lakes
