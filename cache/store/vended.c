/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/vended.h"

#include <stdatomic.h>

static struct vended *ref(struct vended *v)
{
    atomic_fetch_add(&v->refs, 1);
    return v;
}

void vended_unref(struct vended *v)
{
    if (v && atomic_fetch_sub(&v->refs, 1) == 1)
        v->free(v);
}

/* A secret on the heap, as it is larger than a worker's stack should bear. */
static int fetch(struct vended *v, struct vended_secret **out, struct err *err)
{
    struct vended_secret *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    int rc = v->fetch(v, s, err);
    *out = s;
    return rc;
}

static void wipe(struct vended_secret *s)
{
    if (s)
        explicit_bzero(s, sizeof *s);
    free(s);
}

static int fetch_keys(void *arg, void *out, int64_t *expires_ms, struct err *err)
{
    struct vended_secret *s = NULL;
    int rc = fetch(arg, &s, err);
    if (rc == 0 && !s->keys.access_key_id[0])
        rc = err_set(err, EACCES, "no keys for S3 are vended");
    if (rc == 0) {
        memcpy(out, &s->keys, sizeof s->keys);
        *expires_ms = s->expires_ms;
    }
    wipe(s);
    return rc;
}

static int fetch_token(void *arg, void *out, int64_t *expires_ms, struct err *err)
{
    struct vended *v = arg;
    struct oauth_token *token = out;
    struct vended_secret *s = NULL;
    int rc = fetch(v, &s, err);
    const char *text = rc == 0 && v->sas ? s->sas : rc == 0 ? s->token.text : "";
    if (rc == 0 && !*text)
        rc = err_set(err, EACCES, "no %s is vended", v->sas ? "SAS" : "token");
    if (rc == 0)
        rc = oauth_token_set(token, slice_of(text), err);
    if (rc == 0)
        *expires_ms = s->expires_ms;
    wipe(s);
    return rc;
}

static void unref(void *arg)
{
    vended_unref(arg);
}

static struct renewed *renew(struct vended *v, size_t bytes,
                             int (*fetch_it)(void *, void *, int64_t *, struct err *),
                             struct err *err)
{
    struct renewed_source source = {
        .bytes = bytes, .fetch = fetch_it, .free = unref, .arg = ref(v)};
    struct renewed *r = renewed_new(&source, v->workers, err);
    if (!r)
        vended_unref(v);
    return r;
}

struct renewed *vended_keys(struct vended *v, struct err *err)
{
    return renew(v, sizeof(struct credentials), fetch_keys, err);
}

struct renewed *vended_tokens(struct vended *v, struct err *err)
{
    return renew(v, sizeof(struct oauth_token), fetch_token, err);
}
