# SPDX-License-Identifier: Apache-2.0
"""Access control under attack: what somebody keeps, delays or shares to see more for longer."""
import contextlib
import errno
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from support.governed import write_policy
from support.mounts import paused, state_of, wait_for
from support.people import person
from support.places import PATIENCE_S

FIRST, SECOND, ALL = 60001, 60002, 60009
CUSTOMERS = 'silver/customers'


def policy_for(*users):
    return json.dumps({'grants': [
        {'to': ['user:%d' % u for u in (*users, 1)], 'tables': [CUSTOMERS], 'hide': ['email']},
        {'to': ['user:%d' % ALL], 'tables': ['**']}]})


@pytest.fixture(scope='module')
def lake(tmp_path_factory):
    root = tmp_path_factory.mktemp('attacks') / 'lake'
    count = 400000
    noise = os.urandom(8 * count)
    write_deltalake(root / CUSTOMERS, pa.table({
        'id': pa.array(range(count), pa.int64()),
        'noise': pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(noise)]),
        'email': ['QTOKEN%010d' % i for i in range(count)]}))
    return root


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / 'policy.yaml'
    write_policy(path, policy_for(FIRST, SECOND))
    return path


@contextlib.contextmanager
def people(m, *uids):
    """Processes of these users in the mount: the directories above are root's own."""
    before = os.getcwd()
    os.chdir(m)
    try:
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(person(u)) for u in uids]
    finally:
        os.chdir(before)


# what people do: the standard library only

def names(directory):
    return sorted(n for n in os.listdir(directory) if n.endswith('.parquet'))


def open_kept(path):
    """Kept open in its process; its size."""
    global kept                                  # pylint: disable=global-variable-undefined
    kept = os.open(path, os.O_RDONLY)
    return os.fstat(kept).st_size


def read_kept(offset=0, count=4096):
    """The number of bytes, or minus the error."""
    try:
        return len(os.pread(kept, count, offset))
    except OSError as e:
        return -e.errno


def read_all_kept():
    at = 0
    while True:
        n = read_kept(at, 1 << 20)
        if n <= 0:
            return n or at
        at += n


def policies(m):
    """How many have been in force."""
    return (m.cache / 'tarn.log').read_text().count('is in force')


def waits_for_a_page(who):
    return state_of(Path('/proc/%d' % who.pid)) == 'D'


def denied(who):
    try:
        return who(names, CUSTOMERS) == []
    except FileNotFoundError:
        return True


def test_a_store_that_does_not_answer_holds_up_no_change_of_the_policy(mount, lake, s3, bucket, policy):
    """The kernel waits for the pages of a revoked file that are being read: not so the policy."""
    s3.copy_tree(lake, bucket)
    m = mount('s3://%s' % bucket, env=s3.env, endpoint_url=s3.url, policy=policy, o='per-uid',
              passthrough='off')
    with people(m, FIRST, SECOND) as (first, second):
        path = '%s/%s' % (CUSTOMERS, first(names, CUSTOMERS)[0])
        assert first(open_kept, path) > 1 << 20
        with paused(s3.process):
            first.begin(read_kept, 1 << 20)
            wait_for(lambda: waits_for_a_page(first), PATIENCE_S, 'the read')
            write_policy(policy, policy_for(SECOND))
            wait_for(lambda: policies(m) == 2, PATIENCE_S, 'the first change')
            write_policy(policy, policy_for())
            wait_for(lambda: policies(m) == 3, PATIENCE_S, 'the second change')
        assert first.result() == -errno.ESTALE


def test_who_was_revoked_reads_no_page_that_another_reader_brings(mount, lake, policy):
    """Both have the same view, so the kernel has one set of pages for them."""
    m = mount(lake, policy=policy, o='per-uid,revocable')
    with people(m, FIRST, SECOND) as (first, second):
        path = '%s/%s' % (CUSTOMERS, first(names, CUSTOMERS)[0])
        size = first(open_kept, path)
        assert size == second(open_kept, path) == second(read_all_kept) == first(read_all_kept)
        write_policy(policy, policy_for(SECOND))
        wait_for(lambda: denied(first), PATIENCE_S, 'the revocation')
        wait_for(lambda: first(read_kept) < 0, PATIENCE_S, 'of what is open')
        assert second(read_all_kept) == size
        assert first(read_kept) == first(read_all_kept) == -errno.ESTALE
