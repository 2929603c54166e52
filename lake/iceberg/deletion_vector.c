/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/deletion_vector.h"

#include "base/limits.h"

/* Length and checksum around it. */
#define FRAME_BYTES 8

static int fetch(struct store *store, const char *key, const struct iceberg_delete *d,
                 char *to, /* NOLINT(readability-non-const-parameter): the store writes there */
                 struct err *err)
{
    struct store_get get = {.key = key, .offset = d->offset, .length = (size_t)d->length, .to = to};
    int rc = store_get_wait(store, &get, err);
    if (rc == 0 && get.got != d->length)
        rc = err_set(err, EIO, "%s: it ends before the deletion vector does", key);
    return rc;
}

int iceberg_vector_read(struct store *store, const char *key, const struct iceberg_delete *d,
                        struct roaring **out, struct err *err)
{
    AUTO(roaring) struct roaring *r = NULL;
    if (d->length > ROARING_BYTES_MAX + FRAME_BYTES)
        return err_set(err, EOVERFLOW, "%s: a deletion vector of %llu bytes, over %zu", key,
                       (unsigned long long)d->length, ROARING_BYTES_MAX);
    AUTO_FREE char *bytes = malloc(d->length ? (size_t)d->length : 1);
    if (!bytes)
        return err_set(err, ENOMEM, "a deletion vector: out of memory");
    int rc = fetch(store, key, d, bytes, err);
    if (rc < 0)
        return rc;
    rc = roaring_parse_framed(slice_make(bytes, (size_t)d->length), &r, err);
    if (rc < 0)
        return err_wrap(err, "%s: deletion vector at %llu", key, (unsigned long long)d->offset);
    if (roaring_count(r) != d->rows)
        return err_set(err, EIO, "%s: a deletion vector of %llu rows, %llu in the manifest", key,
                       (unsigned long long)roaring_count(r), (unsigned long long)d->rows);
    *out = STEAL(r);
    return 0;
}
