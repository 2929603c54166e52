/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/archive/lease.h"

#include <openssl/rand.h>
#include <poll.h>

#include "base/clock.h"
#include "base/text.h"
#include "base/vec.h"
#include "cache/store/write.h"

#define PREFIX "leases/"
#define LOOK_AGAIN_MS 500
#define LEASES_MAX 10000

static const char *const names[] = {"archive", "drop"};

static void key_of(const struct lease *l, unsigned number, char out[64])
{
    (void)snprintf(out, 64, PREFIX "%s-%s-%08u", names[l->kind], l->id, number); /* fits */
}

static int put(struct lease *l, unsigned number, struct err *err)
{
    char key[64];
    struct store *s = archive_store(l->archive);
    key_of(l, number, key);
    int rc = s->ops->put_if_absent(s, key, SLICE_LIT("tarn\n"), err);
    return rc == -EEXIST ? 0 : rc; /* nobody else has the id: a retry of ours */
}

static void take_away(struct lease *l, unsigned number)
{
    char key[64];
    key_of(l, number, key);
    (void)store_remove(archive_store(l->archive), key, NULL); /* else it goes stale */
}

struct seen {
    char key[64];
    int64_t mtime_ms;
};

struct look {
    const struct lease *own;
    int64_t now_ms; /* by the store's clock: when the own one was written */
    struct {
        struct seen *at;
        size_t n, capacity, max;
    } others; /* of the other kind */
};

static int see(void *arg, const struct store_entry *e)
{
    struct look *look = arg;
    char own[64];
    struct seen seen = {.mtime_ms = e->mtime_ms};
    if (e->is_prefix || e->key.n >= sizeof seen.key)
        return 0; /* nothing of ours */
    memcpy(seen.key, e->key.p, e->key.n);
    key_of(look->own, look->own->number, own);
    if (strcmp(seen.key, own) == 0)
        look->now_ms = e->mtime_ms;
    const char *other = names[look->own->kind == LEASE_ARCHIVE ? LEASE_DROP : LEASE_ARCHIVE];
    struct slice name = slice_from(slice_of(seen.key), strlen(PREFIX));
    return slice_starts(name, slice_of(other)) ? vec_push(&look->others, seen) : 0;
}

/* How many of the other kind are at work; what is stale is removed. */
static int count_others(const struct lease *l, size_t *out, struct err *err)
{
    struct look look = {.own = l, .others = VEC_MAX(LEASES_MAX)};
    struct store *s = archive_store(l->archive);
    struct store_list req = {.prefix = PREFIX, .recursive = true, .emit = see, .arg = &look};
    int rc = s->ops->list(s, &req, err);
    if (rc == 0 && look.now_ms == 0)
        rc = err_set(err, ESTALE, "%s: the lease that was written is not there", s->url);
    *out = 0;
    for (size_t i = 0; rc == 0 && i < look.others.n; i++) {
        const struct seen *other = &look.others.at[i];
        if (look.now_ms - other->mtime_ms < LEASE_STALE_MS)
            ++*out;
        else
            rc = store_remove(s, other->key, err);
    }
    vec_done(&look.others);
    return rc;
}

/* A lease that waits stays new. */
static int wait_for_others(struct lease *l, struct err *err)
{
    size_t others = 0;
    int rc = count_others(l, &others, err);
    while (rc == 0 && others) {
        if (l->kind == LEASE_DROP)
            return err_set(err, EBUSY, "somebody archives into %s at this moment",
                           archive_store(l->archive)->url);
        (void)poll(NULL, 0, LOOK_AGAIN_MS); /* a pause */
        rc = lease_renew(l, err);
        if (rc == 0)
            rc = count_others(l, &others, err);
    }
    return rc;
}

int lease_take(struct lease *l, struct archive *a, enum lease_kind kind, struct err *err)
{
    uint8_t id[8];
    AUTO(buf) struct buf hex = {0};
    *l = (struct lease){.kind = kind};
    buf_init(&hex, sizeof l->id);
    if (RAND_bytes(id, sizeof id) != 1)
        return err_set(err, EIO, "no random numbers are to be had");
    text_hex(&hex, id, sizeof id);
    int rc = buf_check(&hex, err);
    if (rc < 0)
        return rc;
    memcpy(l->id, hex.data, sizeof l->id - 1);
    l->archive = a;
    rc = put(l, 0, err);
    l->renewed_ms = clock_mono_ms();
    if (rc == 0)
        rc = wait_for_others(l, err);
    if (rc < 0)
        lease_end(l);
    return rc;
}

int lease_check(const struct lease *l, struct err *err)
{
    char key[64];
    struct store_info info;
    struct store *s = archive_store(l->archive);
    key_of(l, l->number, key);
    int rc = s->ops->head(s, key, &info, err);
    return rc == -ENOENT ? err_set(err, ESTALE, "%s/%s was taken for dead and removed", s->url, key)
                         : rc;
}

int lease_renew(struct lease *l, struct err *err)
{
    if (clock_mono_ms() - l->renewed_ms < LEASE_RENEW_MS)
        return 0;
    int rc = lease_check(l, err);
    if (rc == 0)
        rc = put(l, l->number + 1, err);
    if (rc < 0)
        return rc;
    take_away(l, l->number++);
    l->renewed_ms = clock_mono_ms();
    return 0;
}

void lease_end(struct lease *l)
{
    if (l->archive)
        take_away(l, l->number);
    l->archive = NULL;
}
