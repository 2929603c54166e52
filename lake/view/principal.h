/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For whom something is shown: the role of a mount, or a user with his groups.
 *
 *   --as ROLE       principal_role, once a mount; who calls does not matter
 *   else            principals_of(uid): name and groups as the machine's accounts have them (NSS),
 *                   not the groups that a process happens to have
 *
 * uid 0 is a user as any other. A uid that no account has is a principal without name and groups.
 *
 * A failure to find out is not that: a grant to a group may stand before a wider one to everyone,
 * so that who has lost his groups could see more. It is -EIO, upon which nothing is shown.
 *
 *   uid ─► cache: good for PRINCIPAL_GOOD_MS, asked again beside its use after half of that
 *            └─► resolvers: threads of their own, which may hang in NSS; whoever waits is told -EIO
 *                after PRINCIPAL_DEADLINE_MS. They are waited for by nobody, principals_free too
 */
#ifndef LAKE_VIEW_PRINCIPAL_H
#define LAKE_VIEW_PRINCIPAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/slice.h"
#include "base/workers.h"

/* Immutable, shared by reference; all of it lies in one allocation. */
struct principal {
    atomic_uint refs;
    const char *role; /* NULL: a user */
    bool has_uid;
    uid_t uid;
    const char *user; /* NULL: no account has this uid */
    const char *const
        *groups;       /* names, NULL where a gid has none; the first one is the account's */
    const gid_t *gids; /* theirs */
    size_t groups_n;
    uint64_t hash; /* of all of it, the same in every process; other principals have others */
};

/* A role. NULL and err. */
struct principal *principal_role(const char *role, struct err *err);

/* A user as somebody says he is, for tests of a policy: user may be NULL; groups' names may be. */
struct principal *principal_user(uid_t uid, const char *user, const char *const *groups,
                                 const gid_t *gids, size_t groups_n, struct err *err);

/* Asks NSS. Blocks, perhaps for minutes: tools only. -EIO where it fails. */
int principal_resolve(uid_t uid, struct principal **out, struct err *err);

struct principal *principal_ref(struct principal *p);
void principal_unref(struct principal *p);
DEFINE_AUTO(principal, struct principal *, principal_unref)

/*
 * What a grant names after `role:`, `user:` and `group:`. Digits are a uid or gid and never a name,
 * whatever names there are.
 */
bool principal_has_role(const struct principal *p, struct slice role);
bool principal_is_user(const struct principal *p, struct slice name_or_uid);
bool principal_in_group(const struct principal *p, struct slice name_or_gid);

/* `role:trainer`, `user:alice`, `user:1000` where he has no name; appended. */
struct buf;
void principal_name(const struct principal *p, struct buf *out);

/* The users of one daemon or mount. */
struct principals;

/* NSS for tests; NULL in principals_new: principal_resolve. */
typedef int principal_resolver(uid_t uid, struct principal **out, struct err *err);

/* workers: where parked tasks go on. NULL and err where it cannot. */
struct principals *principals_new(struct workers *workers, principal_resolver *resolver,
                                  struct err *err);
/* No task may be parked here. */
void principals_free(struct principals *p);
DEFINE_AUTO(principals, struct principals *, principals_free)

/*
 * The user of that uid: *out is a reference. Parks. -EIO where that could not be found out, just
 * now or in the last second; -EMFILE where too many are being asked for.
 */
int principals_of(struct principals *p, uid_t uid, struct task *task, struct principal **out,
                  struct err *err);

#endif
