# SPDX-License-Identifier: Apache-2.0
"""
No byte that a principal may not see is anywhere where it can look: every string of the lake is a
token that exists once, so whatever leaks is found and says from which cell it came.
"""
import json
import os
import tempfile

import pytest

from support import canaries, governed
from support.canaries import check, look_everywhere
from support.mounts import daemon_pid
from support.people import person

MASKED = {'ssn': 'mask-alphanum', 'note': 'sha-256-global'}
# Of each principal: its grant on silver/customers, as the policy and as the reference have it.
GRANTS = {
    'hider': dict(hide=['email', 'address.street', 'contact.phone']),
    'masker': dict(mask=MASKED),
    'selector': dict(rows="region = 'EU' and amount > 100"),
    'all': dict(hide=['email', 'attrs'], mask=MASKED, rows="amount > 150 or region = 'US'"),
    'few': dict(only=['id', 'note', 'region']),
}
def test_no_forbidden_cell_is_found_by_a_role(public):
    """Whatever it opens, lists or asks for; as root, who has no right of its own in a mount."""
    customers = governed.make(public.lake, 21)
    policy = public.below / 'policy.yaml'
    policy.write_text(json.dumps({'grants': [
        dict({'to': ['role:' + r], 'tables': ['silver/customers']}, **g) for r, g in GRANTS.items()]}))
    cache = public.below / 'cache'
    for role, grant in GRANTS.items():
        m = public(public.lake, cache=cache, policy=policy, **{'as': role})
        check(customers, look_everywhere(str(m), '/nonexistent', os.getpid()), grant, role)
        m.unmount()


def test_no_forbidden_cell_is_found_by_a_user(public):
    """Of one mount for all of them; twice, so that what is in the kernel's caches is met too."""
    customers = governed.make(public.lake, 22)
    policy, uids = public.below / 'policy.yaml', range(60001, 60001 + len(GRANTS))
    policy.write_text(json.dumps({'grants': [
        dict({'to': ['user:%d' % u], 'tables': ['silver/customers']}, **g)
        for u, g in zip(uids, GRANTS.values())]}))
    m = public(public.lake, policy=policy, o='per-uid')
    pid = daemon_pid(m.cache)
    for _ in range(2):
        for uid, (name, grant) in zip(uids, GRANTS.items()):
            with person(uid) as someone:
                found = someone(look_everywhere, str(m), str(m.cache), pid)
            check(customers, found, grant, 'user %d (%s)' % (uid, name))


def test_sizes_say_nothing_of_hidden_values(public):
    """Files of one stored size are of one size in a view, whatever is hidden in them."""
    customers = governed.make(public.lake, 23)
    policy = public.below / 'policy.yaml'
    policy.write_text(json.dumps({'grants': [
        {'to': ['everyone'], 'tables': ['**'], 'rows': "ssn < 'Q8'", 'hide': ['email']}]}))
    m = public(public.lake, policy=policy, **{'as': 'anybody'})
    for path, add in customers.adds.items():
        size = (m / 'silver/customers' / path).stat().st_size
        assert size == add['size'] + (64 << 10) + -(-add['size'] // 16) or \
            size == add['size'] + (64 << 10) + add['size'] // 16, path


@pytest.mark.alone
@pytest.mark.last
def test_no_cell_is_left_anywhere_after_all_tests(tmp_path):
    """
    What the tests of access control left on the machine, in all the time that they ran as users and
    roles, has no token of any of their lakes that an ordinary user can read.
    """
    governed.make(tmp_path / 'lake', 24)        # where no test of access control ran before
    known = canaries.Recorded()
    with tempfile.NamedTemporaryFile(prefix='tarn-planted') as planted, person(canaries.STRANGER) as someone:
        planted.write(b'a leak: ' + min(known.tokens))
        planted.flush()
        os.chmod(planted.name, 0o644)
        found = someone(canaries.search, [str(p) for p in canaries.PLACES], known.tokens, known.since)
    assert found == [planted.name]              # which shows that others would have been found
    known.forget()
