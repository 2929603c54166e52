/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_class.h"

#include <sys/random.h>

#include "base/clock.h"
#include "base/lock.h"

/* The shortest that Azure gives. */
#define LEASE_S "15"
/* Another's lease is waited for: it ends after 15 s where nobody renews it. */
#define LEASED_WAIT_MS 500
#define LEASED_TRIES_MAX 40
#define LEASE_ID_BYTES 37

/* One change. */
struct change {
    struct remote *remote;
    const char *key; /* whole */
    const char *class;
    struct store_info before;
    char lease[LEASE_ID_BYTES];
};

/* As RFC 9562 writes random ones (version 4). */
static int make_lease_id(char out[LEASE_ID_BYTES], struct err *err)
{
    uint8_t r[16];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r)
        return err_set(err, errno, "no random numbers for a lease");
    r[6] = (uint8_t)(0x40 | (r[6] & 0x0f));
    r[8] = (uint8_t)(0x80 | (r[8] & 0x3f));
    (void)snprintf(out, LEASE_ID_BYTES,
                   "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", r[0],
                   r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10], r[11], r[12], r[13],
                   r[14], r[15]); /* it fits */
    return 0;
}

/* A PUT of a part of the blob, without a body; `parts` has its identity and fields. */
static int put(const struct change *c, const char *what, struct remote_parts parts,
               struct remote_request **out, struct err *err)
{
    struct http_parameter parameter = {"comp", what};
    parts.method = "PUT";
    parts.key = c->key;
    parts.parameters = &parameter;
    parts.parameters_count = 1;
    parts.keeps = true;
    parts.text_max = REMOTE_ERROR_BYTES_MAX;
    return remote_ask(c->remote, &parts, out, err);
}

/* -EBUSY: it is another's. */
static int lease(const struct change *c, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    const struct http_field fields[] = {{"x-ms-lease-action", "acquire"},
                                        {"x-ms-lease-duration", LEASE_S},
                                        {"x-ms-proposed-lease-id", c->lease}};
    struct remote_parts parts = {
        .identity = c->before.etag, .fields = fields, .fields_count = ARRAY_SIZE(fields)};
    int rc = put(c, "lease", parts, &q, err);
    if (rc < 0 && q && strcmp(remote_problem(q).code, "LeaseAlreadyPresent") == 0)
        return remote_refuse(q, EBUSY, "somebody else holds a lease of it", err);
    return rc;
}

static void release(const struct change *c)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    const struct http_field fields[] = {{"x-ms-lease-action", "release"},
                                        {"x-ms-lease-id", c->lease}};
    struct remote_parts parts = {.fields = fields, .fields_count = ARRAY_SIZE(fields)};
    (void)put(c, "lease", parts, &q, NULL); /* else it ends by itself */
}

static int set_tier(const struct change *c, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    const struct http_field fields[] = {{"x-ms-access-tier", c->class},
                                        {"x-ms-lease-id", c->lease}};
    struct remote_parts parts = {.fields = fields, .fields_count = ARRAY_SIZE(fields)};
    int rc = put(c, "tier", parts, &q, err);
    struct s3_problem problem = rc < 0 && q ? remote_problem(q) : (struct s3_problem){0};
    if (strcmp(problem.code, "InvalidHeaderValue") == 0)
        return remote_refuse(q, EINVAL, "no access tier", err);
    if (strcmp(problem.code, "AccessTierNotSupportedForBlobType") == 0 ||
        strcmp(problem.code, "InvalidBlobTier") == 0)
        return remote_refuse(q, EOPNOTSUPP, "a blob or account that has no such tier", err);
    return rc;
}

static int stale(const struct change *c, struct err *err)
{
    return err_set(err, ESTALE, "%s, key %.160s: the blob is another one now", c->remote->where,
                   c->key);
}

/* What is there now, and that it is what shall be changed. */
static int look(struct change *c, const struct store_info *if_is, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    int rc = remote_look(c->remote, c->key, &q, &c->before, err);
    if (rc < 0)
        return rc;
    const char *type = q->http.answer.blob_type;
    if (c->before.size != if_is->size ||
        (if_is->etag[0] && strcmp(c->before.etag, if_is->etag) != 0))
        return stale(c, err);
    if (strcmp(c->before.class, c->class) == 0)
        return 0;
    if (if_is->class[0] && strcmp(c->before.class, if_is->class) != 0)
        return remote_refuse(q, ESTALE, "it is in another tier now", err);
    if (c->before.access != STORE_READABLE)
        return remote_refuse(q, EREMOTE, "it is archived, and has to be rehydrated first", err);
    if ((type[0] && strcmp(type, "BlockBlob") != 0) || !c->before.class[0])
        return remote_refuse(q, EOPNOTSUPP, "a blob that has no tier", err);
    return 0;
}

static int change(struct change *c, struct store_info *now, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    int rc = lease(c, err);
    if (rc < 0)
        return rc;
    rc = set_tier(c, err);
    release(c);
    if (rc == 0)
        rc = remote_look(c->remote, c->key, &q, now, err);
    if (rc == 0 && strcmp(now->etag, c->before.etag) != 0)
        return stale(c, err);
    if (rc == 0 && strcmp(now->class, c->class) != 0)
        return remote_refuse(q, EIO, "Set Blob Tier succeeded, and the tier did not change", err);
    return rc;
}

/* Nobody tells when a lease ends. */
static void wait_for_lease(void)
{
    struct lock lock;
    struct cond never;
    int64_t until_ms = clock_mono_ms() + LEASED_WAIT_MS;
    lock_init(&lock);
    cond_init(&never);
    WITH_LOCK (&lock)
        while (cond_wait_until(&never, &lock, until_ms))
            continue;
    cond_done(&never);
    lock_done(&lock);
}

static bool is_class(const char *class)
{
    return class[strspn(class, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")] ==
           '\0';
}

int azure_set_class(struct store *s, const char *key, const char *class,
                    const struct store_info *if_is, struct store_info *now, struct err *err)
{
    AUTO_FREE char *whole = remote_whole_key(remote_of(s), key);
    struct change c = {.remote = remote_of(s), .key = whole, .class = class};
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, ENOENT, "%s: no key", c.remote->where);
    if (!is_class(class))
        return err_set(err, EINVAL, "%.60s is no access tier", class);
    int rc = make_lease_id(c.lease, err);
    for (unsigned tries = 0; rc == 0 && tries < LEASED_TRIES_MAX; tries++) {
        rc = look(&c, if_is, err);
        if (rc == 0 && strcmp(c.before.class, class) == 0) {
            *now = c.before;
            return 0;
        }
        if (rc == 0)
            rc = change(&c, now, err);
        if (rc != -EBUSY)
            return rc;
        rc = 0;
        wait_for_lease();
    }
    return rc < 0 ? rc
                  : err_set(err, EBUSY, "%s, key %.160s: somebody else holds a lease of it",
                            c.remote->where, key);
}
