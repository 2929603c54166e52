/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/write.h"

#include <inttypes.h>

int store_put_begin(struct store *s, const char *key, const struct store_put *how,
                    struct store_writer **out, struct err *err)
{
    if (!s->ops->put_begin)
        return err_set(err, EROFS, "%.300s: nothing can be written there", s->url);
    if (!key[0] || how->size > OBJECT_BYTES_MAX)
        return err_set(err, EINVAL, "%.300s: no such object can be written: %" PRIu64 " bytes", key,
                       how->size);
    int rc = s->ops->put_begin(s, key, how, out, err);
    if (rc == 0)
        (*out)->left = how->size;
    return rc;
}

static int keep(struct store_writer *w, int rc)
{
    if (rc < 0)
        w->failed = rc;
    return rc;
}

static int failed_before(const struct store_writer *w, struct err *err)
{
    return err_set(err, -w->failed, "the write has failed before");
}

int store_writer_add(struct store_writer *w, struct slice data, struct err *err)
{
    if (w->failed)
        return failed_before(w, err);
    if (data.n > w->left)
        return keep(w, err_set(err, EINVAL, "more bytes than were promised"));
    w->left -= data.n;
    return data.n ? keep(w, w->ops->add(w, data, err)) : 0;
}

int store_writer_end(struct store_writer *w, struct store_info *out, struct err *err)
{
    struct store_info info = {0};
    if (w->failed)
        return failed_before(w, err);
    if (w->left)
        return keep(w, err_set(err, EINVAL, "%" PRIu64 " bytes fewer than were promised", w->left));
    int rc = keep(w, w->ops->end(w, &info, err));
    if (rc == 0 && out)
        *out = info;
    return rc;
}

void store_writer_free(struct store_writer *w)
{
    if (w)
        w->ops->free(w);
}

int store_write(struct store *s, const char *key, const struct store_put *how, struct slice data,
                struct store_info *out, struct err *err)
{
    AUTO(store_writer) struct store_writer *w = NULL;
    int rc = store_put_begin(s, key, how, &w, err);
    if (rc == 0)
        rc = store_writer_add(w, data, err);
    return rc < 0 ? rc : store_writer_end(w, out, err);
}

int store_remove(struct store *s, const char *key, struct err *err)
{
    if (!s->ops->remove)
        return err_set(err, EROFS, "%.300s: nothing can be removed there", s->url);
    return s->ops->remove(s, key, err);
}
