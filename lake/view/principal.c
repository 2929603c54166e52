/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/principal.h"

#include <grp.h>
#include <pwd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/text.h"

/* What a user's account says is as long as this at first; a group of thousands needs more. */
#define ENTRY_BYTES_FIRST ((size_t)16 << 10)
#define GROUPS_FIRST 64

/* What a principal is made of. */
struct parts {
    const char *role, *user;
    bool has_uid;
    uid_t uid;
    const char *const *groups;
    const gid_t *gids;
    size_t groups_n;
};

static void add_text(struct buf *to, const char *text)
{
    buf_add_char(to, text ? 't' : 'n');
    buf_add(to, text ? text : "", text ? strlen(text) + 1 : 0);
}

/* Of everything that a policy may look at; nobody finds another principal with the same one. */
static int hash_of(const struct parts *p, uint64_t *out, struct err *err)
{
    AUTO(buf) struct buf all = {0};
    uint8_t sum[SHA256_BYTES];
    buf_init(&all, NSS_ENTRY_BYTES_MAX);
    add_text(&all, p->role);
    add_text(&all, p->user);
    buf_addf(&all, "%d %u %zu", p->has_uid, p->uid, p->groups_n);
    for (size_t i = 0; i < p->groups_n; i++) {
        buf_addf(&all, " %u", p->gids[i]);
        add_text(&all, p->groups[i]);
    }
    int rc = buf_check(&all, err);
    if (rc < 0)
        return rc;
    sha256(buf_slice(&all), sum);
    memcpy(out, sum, sizeof *out);
    return 0;
}

static size_t text_bytes(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

static const char *put_text(char **at, const char *text)
{
    char *to = *at;
    size_t n = text_bytes(text);
    if (n)
        memcpy(to, text, n);
    *at += n;
    return n ? to : NULL;
}

static int make(const struct parts *parts, struct principal **out, struct err *err)
{
    uint64_t hash = 0;
    int rc = hash_of(parts, &hash, err);
    if (rc < 0)
        return rc;
    size_t n = parts->groups_n;
    size_t text = text_bytes(parts->role) + text_bytes(parts->user);
    for (size_t i = 0; i < n; i++)
        text += text_bytes(parts->groups[i]);
    struct principal *p = calloc(1, sizeof *p + n * (sizeof(char *) + sizeof(gid_t)) + text);
    if (!p)
        return err_set(err, ENOMEM, "out of memory");
    const char **groups = (const char **)(void *)(p + 1);
    gid_t *gids = (gid_t *)(void *)(groups + n);
    char *at = (char *)(gids + n);
    atomic_init(&p->refs, 1);
    p->role = put_text(&at, parts->role);
    p->user = put_text(&at, parts->user);
    p->has_uid = parts->has_uid;
    p->uid = parts->uid;
    for (size_t i = 0; i < n; i++) {
        groups[i] = put_text(&at, parts->groups[i]);
        gids[i] = parts->gids[i];
    }
    p->groups = groups;
    p->gids = gids;
    p->groups_n = n;
    p->hash = hash;
    *out = p;
    return 0;
}

struct principal *principal_role(const char *role, struct err *err)
{
    struct principal *p = NULL;
    return make(&(struct parts){.role = role}, &p, err) < 0 ? NULL : p;
}

struct principal *principal_user(uid_t uid, const char *user, const char *const *groups,
                                 const gid_t *gids, size_t groups_n, struct err *err)
{
    struct principal *p = NULL;
    struct parts parts = {.has_uid = true,
                          .uid = uid,
                          .user = user,
                          .groups = groups,
                          .gids = gids,
                          .groups_n = groups_n};
    return make(&parts, &p, err) < 0 ? NULL : p;
}

struct principal *principal_ref(struct principal *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void principal_unref(struct principal *p)
{
    if (p && atomic_fetch_sub(&p->refs, 1) == 1)
        free(p);
}

bool principal_has_role(const struct principal *p, struct slice role)
{
    return p->role && slice_is(role, p->role);
}

/* Digits alone are a number, also one that no id can be. */
static bool is_number(struct slice s, uint64_t *out)
{
    size_t i = 0;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    if (s.n == 0 || i < s.n)
        return false;
    if (!text_parse_u64(s, UINT32_MAX, out))
        *out = UINT64_MAX;
    return true;
}

bool principal_is_user(const struct principal *p, struct slice name_or_uid)
{
    uint64_t uid;
    if (!p->has_uid)
        return false;
    if (is_number(name_or_uid, &uid))
        return uid == p->uid;
    return p->user && slice_is(name_or_uid, p->user);
}

bool principal_in_group(const struct principal *p, struct slice name_or_gid)
{
    uint64_t gid;
    bool number = is_number(name_or_gid, &gid);
    for (size_t i = 0; i < p->groups_n; i++)
        if (number ? gid == p->gids[i] : p->groups[i] && slice_is(name_or_gid, p->groups[i]))
            return true;
    return false;
}

void principal_name(const struct principal *p, struct buf *out)
{
    if (p->role)
        buf_addf(out, "role:%s", p->role);
    else if (p->user)
        buf_addf(out, "user:%s", p->user);
    else
        buf_addf(out, "user:%u", p->uid);
}

/* What one call of NSS writes into. */
struct entry_buf {
    char *at;
    size_t n;
};

static void entry_buf_done(struct entry_buf *b)
{
    free(b->at);
}
DEFINE_AUTO_DONE(entry_buf, struct entry_buf, entry_buf_done)

/* Room for one more try; false where an entry is longer than any should be. */
static bool grow(struct entry_buf *b)
{
    size_t n = b->n ? 4 * b->n : ENTRY_BYTES_FIRST;
    char *at = n <= NSS_ENTRY_BYTES_MAX ? realloc(b->at, n) : NULL;
    if (!at)
        return false;
    b->at = at;
    b->n = n;
    return true;
}

static int find_user(uid_t uid, struct entry_buf *b, struct passwd *user, bool *found,
                     struct err *err)
{
    struct passwd *hit = NULL;
    int rc = b->n ? 0 : ERANGE;
    do {
        if (rc == ERANGE && !grow(b))
            return err_set(err, EIO, "user %u: its entry is too long, or out of memory", uid);
        rc = getpwuid_r(uid, user, b->at, b->n, &hit);
    } while (rc == ERANGE || rc == EINTR);
    if (rc)
        return err_set(err, EIO, "user %u: who that is cannot be told: %s", uid, strerror(rc));
    *found = hit != NULL;
    return 0;
}

static int find_group(gid_t gid, struct entry_buf *b, const char **name, struct err *err)
{
    struct group group, *hit = NULL;
    int rc = b->n ? 0 : ERANGE;
    do {
        if (rc == ERANGE && !grow(b))
            return err_set(err, EIO, "group %u: its entry is too long, or out of memory", gid);
        rc = getgrgid_r(gid, &group, b->at, b->n, &hit);
    } while (rc == ERANGE || rc == EINTR);
    if (rc)
        return err_set(err, EIO, "group %u: its name cannot be told: %s", gid, strerror(rc));
    *name = hit ? group.gr_name : NULL;
    return 0;
}

/* The gids of an account, its own first; *out is the caller's. */
static int find_gids(const struct passwd *user, gid_t **out, size_t *out_n, struct err *err)
{
    AUTO_FREE gid_t *gids = NULL;
    for (int room = GROUPS_FIRST; room <= PRINCIPAL_GROUPS_MAX; room *= 4) {
        int n = room;
        gid_t *more = reallocarray(gids, (size_t)room, sizeof *gids);
        if (!more)
            return err_set(err, EIO, "out of memory for the groups of %s", user->pw_name);
        gids = more;
        if (getgrouplist(user->pw_name, user->pw_gid, gids, &n) >= 0) {
            *out = STEAL(gids);
            *out_n = (size_t)n;
            return 0;
        }
    }
    return err_set(err, EIO, "user %s is in more than %d groups", user->pw_name,
                   PRINCIPAL_GROUPS_MAX);
}

/* Names of the gids, in the arena. */
static int find_names(const gid_t *gids, size_t n, struct arena *arena, const char **names,
                      struct err *err)
{
    AUTO(entry_buf) struct entry_buf b = {0};
    for (size_t i = 0; i < n; i++) {
        const char *name = NULL;
        int rc = find_group(gids[i], &b, &name, err);
        if (rc < 0)
            return rc;
        names[i] = name ? arena_slice(arena, slice_of(name)).p : NULL;
        if (name && !names[i])
            return err_set(err, EIO, "out of memory for the names of groups");
    }
    return 0;
}

int principal_resolve(uid_t uid, struct principal **out, struct err *err)
{
    AUTO(entry_buf) struct entry_buf b = {0};
    AUTO(arena) struct arena arena;
    AUTO_FREE gid_t *gids = NULL;
    struct parts parts = {.has_uid = true, .uid = uid};
    struct passwd user;
    bool found = false;
    arena_init(&arena, NSS_ENTRY_BYTES_MAX);
    int rc = find_user(uid, &b, &user, &found, err);
    if (rc < 0)
        return rc;
    if (!found)
        return make(&parts, out, err);
    parts.user = user.pw_name;
    rc = find_gids(&user, &gids, &parts.groups_n, err);
    if (rc < 0)
        return rc;
    const char **names = arena_calloc(&arena, parts.groups_n, sizeof *names);
    if (!names)
        return err_set(err, EIO, "out of memory for the names of groups");
    rc = find_names(gids, parts.groups_n, &arena, names, err);
    if (rc < 0)
        return rc;
    parts.gids = gids;
    parts.groups = names;
    return make(&parts, out, err);
}
