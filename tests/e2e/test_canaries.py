# SPDX-License-Identifier: Apache-2.0
"""
No byte that a principal may not see is anywhere where it can look: every string of the lake is a
token that exists once, so whatever leaks is found and says from which cell it came.
"""
import json
import os
import stat

from support import governed, pages
from support.mounts import daemon_pid
from support.people import error_of, person

MASKED = {'ssn': 'mask-alphanum', 'note': 'sha-256-global'}
# Of each principal: its grant on silver/customers, as the policy and as the reference have it.
GRANTS = {
    'hider': dict(hide=['email', 'address.street', 'contact.phone']),
    'masker': dict(mask=MASKED),
    'selector': dict(rows="region = 'EU' and amount > 100"),
    'all': dict(hide=['email', 'attrs'], mask=MASKED, rows="amount > 150 or region = 'US'"),
    'few': dict(only=['id', 'note', 'region']),
}
DOCUMENTS = ('version', 'history.json', 'schema.json', 'files.jsonl', 'properties.json', 'stats',
             'refs.json', 'raw', 'changes', 'prefetch', 'stats.json')


def look_everywhere(root, cache, pid):
    """Every byte that this process can get of the mount, the cache directory and the daemon."""
    found = {}

    def take(path):
        found[path + ' (names)'] = path.encode('utf-8', 'surrogateescape')
        try:
            s = os.lstat(path)
            found[path + ' (stat)'] = repr(s).encode()
            for name in os.listxattr(path):
                found['%s (%s)' % (path, name)] = os.getxattr(path, name)
            if stat.S_ISDIR(s.st_mode):
                for name in sorted(os.listdir(path)):
                    take(os.path.join(path, name))
            elif stat.S_ISLNK(s.st_mode):
                found[path + ' (link)'] = os.readlink(path).encode()
            else:
                with open(path, 'rb') as f:
                    found[path] = f.read()
        except OSError as e:
            found[path + ' (error)'] = str(e).encode()

    take(root)
    for table in ('silver/customers', 'silver/plain', 'silver/secret', 'bronze/events', 'notes.txt'):
        for ref in ('', '@0', '@1', '@2', '@0..2', '@1..2', '@', '@2030-01-01', '@nosuch'):
            take(os.path.join(root, table + ref))
            for name in DOCUMENTS:
                take(os.path.join(root, table + ref, '.tarn', name))
        take(os.path.join(root, table, '_delta_log/%020d.json' % 0))
        take(os.path.join(root, table, 'part-0.parquet'))
        take(os.path.join(root, table, '.tarn/raw/region=US/part-0.parquet'))
    take(cache)
    for name in ('environ', 'maps', 'mem', 'cmdline', 'fd', 'map_files', 'root', 'cwd', 'stack', 'task'):
        path = '/proc/%d/%s' % (pid, name)
        if os.getuid() and error_of(os.stat, path) == 0 and name != 'task':
            try:
                if os.path.isdir(path):
                    found[path] = repr(os.listdir(path)).encode()
                else:
                    with open(path, 'rb') as f:
                        found[path] = f.read(1 << 20)
            except OSError as e:
                found[path + ' (error)'] = str(e).encode()
    return found


def everything_in(found):
    """All tokens, also of pages that are compressed."""
    tokens = set()
    for path, data in found.items():
        tokens |= governed.tokens_in(data)
        if path.endswith('.parquet') and data:
            for page in pages.contents(data):
                tokens |= governed.tokens_in(page)
    return tokens


def allowed(customers, grant):
    """The tokens that the principal may see in some version."""
    told = {k: v for k, v in grant.items() if k in ('hide', 'only', 'mask')}
    return set().union(*(governed.strings_of(governed.view(customers.rows(v), where=grant.get('rows'), **told))
                         for v in range(len(customers.versions))))


def check(customers, found, grant, who):
    known = {t.encode() for t in customers.token.given}
    seen, may = everything_in(found), allowed(customers, grant) & known
    leaked = (seen & known) - may
    where = [p for p, data in found.items()
             for t in list(leaked)[:20] if t in data or p.endswith('.parquet') and any(
                 t in page for page in pages.contents(data))] if leaked else []
    assert not leaked, '%s sees %d tokens that it may not, in %s' % (who, len(leaked), where[:20])
    assert may <= seen, '%s does not see %d tokens that it may' % (who, len(may - seen))


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
