# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests. TESTING.md says how to run one of them."""
import fcntl
import os
import random
import re
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fake.proxy import DelayProxy                                   # noqa: E402
from support import (canaries, corpus as corpus_support, gcs as gcs_support, lakes,   # noqa: E402
                     s3 as s3_support)
from support.mounts import Mounter                                  # noqa: E402
from support.places import FAKE, PATIENCE_S, SLOWNESS, TARN         # noqa: E402
from support.present import PRESENT                                 # noqa: E402

# Guards against hanging only: a busy machine may take ten times as long as a quiet one.
DEFAULT_TIMEOUT_S = 900


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker('last') is not None)
    for item in items:
        own = item.get_closest_marker('timeout')
        seconds = own.args[0] if own else DEFAULT_TIMEOUT_S
        item.add_marker(pytest.mark.timeout(seconds * SLOWNESS, method='signal'), append=False)


def seconds_of(request):
    """How long the test may take, some seconds before pytest ends it itself."""
    return max(5, request.node.get_closest_marker('timeout').args[0] - 5)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.when in ('setup', 'call') and report.failed:
        for mounter in mounters(item):
            for path, text in mounter.logs().items():
                report.sections.append(('tarn: ' + path, text))


@pytest.fixture
def chance():
    """Random numbers whose seed is printed, and taken from SEED."""
    seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
    print('SEED', seed)
    return random.Random(seed)


@pytest.fixture(scope='session')
def kill_at(tmp_path_factory):
    """A program that kills another one at its n-th system call."""
    program = tmp_path_factory.mktemp('kill_at') / 'kill_at'
    subprocess.run(['gcc', '-O1', '-g', '-D_GNU_SOURCE', '-Wall', '-Werror', str(FAKE / 'kill_at.c'),
                    '-o', str(program)], check=True, timeout=PATIENCE_S)
    return program


@pytest.fixture(scope='session')
def duck():
    """DuckDB, on one thread."""
    connection = duckdb.connect()
    connection.execute('SET threads = 1')
    return connection


@pytest.fixture(scope='session')
def present_program():
    """The tests' program that presents one file is there."""
    assert PRESENT.is_file(), 'no %s: run make' % PRESENT


def mounters(item):
    found = []
    for value in getattr(item, 'funcargs', {}).values():
        if isinstance(value, Mounter):
            found.append(value)
        elif isinstance(getattr(value, 'mounter', None), Mounter):
            found.append(value.mounter)
    return found


@pytest.fixture(scope='session')
def tarn():
    """The binary under test."""
    assert TARN.is_file(), 'no binary at %s: run make, or set TARN' % TARN
    return TARN


@pytest.fixture
def mount(tarn, tmp_path, request):
    """mount(source, **options): a Mount, unmounted at the end of the test."""
    mounter = Mounter(tmp_path / 'mounts', seconds_of(request))
    yield mounter
    forced = mounter.end()
    assert not forced, 'had to be taken away by force: %s' % ', '.join(forced)


@pytest.fixture(scope='module')
def module_mount(tarn, tmp_path_factory):
    """The same for a whole module; its watchdog is long."""
    mounter = Mounter(tmp_path_factory.mktemp('mounts'), 3600 * SLOWNESS)
    yield mounter
    forced = mounter.end()
    assert not forced, 'had to be taken away by force: %s' % ', '.join(forced)


@pytest.fixture
def public(tarn, request):
    """
    Mounts that other users can reach, and a lake and a cache that they cannot. Not below tmp_path,
    which pytest shuts to others each time that it starts.
    """
    with tempfile.TemporaryDirectory(prefix='tarn-public') as base:
        os.chmod(base, 0o755)
        lake = Path(base) / 'private' / 'lake'
        lake.parent.mkdir(mode=0o700)
        mounter = Mounter(Path(base) / 'mounts', seconds_of(request))
        mounter.lake = lake
        yield mounter
        forced = mounter.end()
        for lock in mounter.below.glob('*/lock'):       # what a daemon still writes cannot be removed
            with open(lock) as held:
                fcntl.flock(held, fcntl.LOCK_EX)
        assert not forced, 'had to be taken away by force: %s' % ', '.join(forced)
        left = canaries.left_in(base)
        assert not left, 'everybody can read what is in these, and should not: %s' % ', '.join(left)


@pytest.fixture(scope='session')
def lake(tmp_path_factory):
    """A lake of real Delta tables, with what each version holds. Nobody changes it."""
    return lakes.make(tmp_path_factory.mktemp('lake') / 'lake')


@pytest.fixture
def own_lake(tmp_path):
    """A lake that the test may change."""
    return lakes.make(tmp_path / 'own-lake')


@pytest.fixture(scope='session')
def corpus(tmp_path_factory):
    """The corpus unpacked, with its modification times. Nobody changes it."""
    return corpus_support.unpack(tmp_path_factory.mktemp('corpus') / 'lake')


@pytest.fixture(scope='session')
def s3(tmp_path_factory):
    """A real S3 server."""
    server = s3_support.Server(tmp_path_factory.mktemp('s3'))
    yield server
    server.stop()


@pytest.fixture(scope='session')
def gcs(tmp_path_factory):
    """A real GCS server."""
    server = gcs_support.Server(tmp_path_factory.mktemp('gcs'))
    yield server
    server.stop()


@pytest.fixture
def bucket(s3, request):
    """A bucket of the test's own: its name."""
    name = re.sub(r'[^a-z0-9]+', '-', request.node.name.lower()).strip('-')[:50].strip('-')
    own = zlib.crc32(request.node.nodeid.encode())     # names may be one in 50 characters
    return s3.make_bucket('%s-%08x' % (name, own))


@pytest.fixture
def proxy(s3):
    """A proxy in front of the S3 server that counts, delays and breaks requests."""
    with DelayProxy(s3.port) as p:
        yield p
