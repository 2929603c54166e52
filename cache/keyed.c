/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose key the cache has: DIR/cache.key holds the fingerprint of the key that its objects are
 * encrypted with; there is no such file where they are not encrypted.
 *
 * Objects of another key, and plain ones beside encrypted ones, are of no use, and deleting them
 * is not ours to decide: such a cache is refused until it is empty.
 */
#include <string.h>

#include "base/file.h"
#include "cache/private.h"

#define FILE_NAME "cache.key"
#define FILE_BYTES_MAX 256
#define ANYWAY "; `tarn cache drop` gives up what it holds, another --cache-dir keeps it"

/* The fingerprint that the file has; empty where there is no file. */
static int read_fingerprint(struct cache *c, struct buf *text, struct err *err)
{
    int rc = file_remove_other(c->dirfd, FILE_NAME, err);
    if (rc >= 0)
        rc = file_read(c->dirfd, FILE_NAME, text, err);
    if (rc == -ENOENT)
        return 0;
    while (rc == 0 && text->len && text->data[text->len - 1] == '\n')
        text->data[--text->len] = '\0';
    return rc;
}

static int write_fingerprint(struct cache *c, const char *fingerprint, struct err *err)
{
    char line[CIPHER_FINGERPRINT_BYTES + 1];
    if (!*fingerprint) {
        if (unlinkat(c->dirfd, FILE_NAME, 0) < 0 && errno != ENOENT)
            return err_set(err, errno, "%s: %s", FILE_NAME, strerror(errno));
        return file_sync_dir(c->dirfd, err);
    }
    (void)snprintf(line, sizeof line, "%s\n", fingerprint);
    return file_replace(c->dirfd, FILE_NAME, slice_of(line), 0600, err);
}

int keyed_check(struct cache *c, struct err *err)
{
    char ours[CIPHER_FINGERPRINT_BYTES] = "";
    AUTO(buf) struct buf theirs = {0};
    buf_init(&theirs, FILE_BYTES_MAX);
    if (c->cipher)
        cipher_fingerprint(c->cipher, ours);
    int rc = read_fingerprint(c, &theirs, err);
    if (rc < 0 || slice_is(buf_slice(&theirs), ours))
        return rc;
    if (index_is_blind(c->index))
        return 0; /* nothing is found in it, nothing is written */
    if (c->objects == 0 && c->bytes == 0)
        return write_fingerprint(c, ours, err);
    if (!c->cipher)
        return err_set(err, EKEYREJECTED,
                       "its objects are encrypted, and --cache-key-file is not given" ANYWAY);
    return err_set(err, EKEYREJECTED,
                   theirs.len ? "its objects are encrypted with another key" ANYWAY
                              : "its objects are not encrypted" ANYWAY);
}
