/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/share.h"

#include <assert.h>

#include "base/hash.h"
#include "base/lock.h"
#include "cache/store/settings.h"
#include "cache/store/vended.h"

/* One store and those who have it. */
struct store_share {
    struct store_shares *shares;
    struct store *store;
    struct store_share *next; /* lock of the shares, as owners */
    unsigned owners;
    uint8_t options[SHA256_BYTES]; /* a digest: secrets are nowhere twice */
};

struct store_shares {
    struct lock lock;
    struct store_share *first; /* lock */
};

struct store_shares *store_shares_new(struct err *err)
{
    struct store_shares *s = calloc(1, sizeof *s);
    if (!s) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&s->lock);
    return s;
}

void store_shares_free(struct store_shares *s)
{
    assert(!s->first);
    lock_done(&s->lock);
    free(s);
}

static int digest(const struct store_options *o, const char *scheme, const char *wrapped,
                  uint8_t out[SHA256_BYTES], struct err *err)
{
    AUTO(buf) struct buf all = {0};
    buf_init(&all, 64 * KIB);
    buf_addf(&all, "%s\n", wrapped ? wrapped : "");
    buf_addf(&all, "%d %lld %d %u %u", o->no_sign_request, (long long)o->deadline_ms,
             o->aws_profile_chosen, (unsigned)o->uid, (unsigned)o->gid);
    if (o->vended)
        buf_addf(&all, "\nvended %s", o->vended->identity);
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings[i];
        const char *text = setting_counts(o, row, scheme) ? setting_of(o, row) : NULL;
        buf_addf(&all, "\n%zu %s", text ? strlen(text) : 0, text ? text : "-");
    }
    int rc = buf_check(&all, err);
    if (rc == 0)
        sha256(buf_slice(&all), out);
    if (all.data)
        explicit_bzero(all.data, all.len);
    return rc;
}

/* The share of that URL with one more owner, NULL where there is none; *other: its options differ.
 */
static struct store *join_locked(struct store_shares *s, const char *url,
                                 const uint8_t options[SHA256_BYTES], bool *other)
    REQUIRES(&s->lock)
{
    for (struct store_share *e = s->first; e; e = e->next) {
        if (strcmp(e->store->url, url) != 0)
            continue;
        *other = memcmp(e->options, options, SHA256_BYTES) != 0;
        if (*other)
            return NULL;
        e->owners++;
        return e->store;
    }
    return NULL;
}

struct store *store_share(struct store_shares *shares, struct store *opened,
                          const struct store_options *options, const char *wrapped, struct err *err)
{
    AUTO(store) struct store *mine = opened;
    AUTO_FREE struct store_share *e = calloc(1, sizeof *e);
    struct store *use = NULL;
    bool other = false;
    /* a directory's own options say nothing: its URL and what is around it tell all */
    static const struct store_options none;
    const struct store_options *counts = mine->ops->open_in_place ? &none : options;
    if (!e || (options && digest(counts, mine->ops->scheme, wrapped, e->options, err) < 0)) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    WITH_LOCK (&shares->lock) {
        use = join_locked(shares, mine->url, e->options, &other);
        if (!use && !other) {
            e->shares = shares;
            e->store = use = STEAL(mine);
            e->owners = 1;
            e->next = shares->first;
            use->share = shares->first = STEAL(e);
        }
    }
    if (other)
        (void)err_set(err, EBUSY,
                      "it is mounted with other credentials or options in this cache directory; "
                      "give this mount a cache directory of its own");
    return use;
}

bool store_leave(struct store *s)
{
    bool last = true;
    if (s->share)
        WITH_LOCK (&s->share->shares->lock)
            last = --s->share->owners == 0;
    return last;
}

unsigned store_owners(const struct store *s)
{
    unsigned owners = 0;
    if (s->share)
        WITH_LOCK (&s->share->shares->lock)
            owners = s->share->owners;
    return owners;
}

void store_free(struct store *s)
{
    struct store_share *e = s ? s->share : NULL;
    if (e) {
        bool joined = false;
        WITH_LOCK (&e->shares->lock) {
            struct store_share **at = &e->shares->first;
            joined = e->owners > 0; /* by others, or again since it was left */
            while (!joined && *at != e)
                at = &(*at)->next;
            if (!joined)
                *at = e->next;
        }
        if (joined)
            return;
        free(e);
    }
    if (s)
        s->ops->free(s);
}
