/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Granules as they lie on the disk: the object's bytes with their CRC32C as the check, or sealed by
 * the cache's cipher, whose nonce and tag are the check.
 */
#include <assert.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "cache/private.h"

static void crc_check(const char *bytes, size_t n, uint8_t *check)
{
    uint32_t crc = crc32c(0, bytes, n);
    memcpy(check, &crc, sizeof crc);
}

static int write_sealed(struct object *o, int fd, uint64_t granule, const char *bytes,
                        uint8_t *check)
{
    char sealed[GRANULE_BYTES];
    struct cipher_input in = {.id = &o->id, .granule = granule, .bytes = bytes};
    in.n = granule_length(o->size, granule);
    int rc = cipher_seal(o->cache->cipher, &in, sealed, check, NULL);
    off_t at = (off_t)(granule * GRANULE_BYTES);
    return rc < 0 ? rc : file_pwrite_full(fd, sealed, in.n, at, NULL);
}

static void check_all(const struct object *o, const struct granules *g, uint8_t *checks)
{
    for (unsigned i = 0; i < g->count; i++) {
        const char *from = g->at[i].iov_base;
        for (size_t at = 0; at < g->at[i].iov_len; at += GRANULE_BYTES) {
            size_t left = g->at[i].iov_len - at;
            crc_check(from + at, left < GRANULE_BYTES ? left : GRANULE_BYTES, checks);
            checks += o->cache->check_bytes;
        }
    }
}

static bool all_zero(const char *bytes, size_t n)
{
    return !bytes[0] && memcmp(bytes, bytes + 1, n - 1) == 0;
}

/* Granules one behind the other that are all zeros, or all not. */
struct stretch {
    uint64_t offset;
    size_t length;
    bool zeros;
    unsigned count; /* of what is written; one of each buffer */
    struct iovec at[TRAIN_FLIGHTS_MAX];
};

/* Zeros are a hole, which takes no disk: columns that nobody may see, and the room of footers. */
static int stretch_write(int fd, const struct stretch *s)
{
    if (!s->length)
        return 0;
    if (s->zeros && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)s->offset,
                              (off_t)s->length) == 0)
        return 0;
    return file_pwritev_full(fd, s->at, s->count, (off_t)s->offset, NULL);
}

/* One granule more; where it is of the other kind, what was there is written. */
static int stretch_add(int fd, struct stretch *s, char *bytes, size_t n)
{
    bool zeros = all_zero(bytes, n);
    int rc = 0;
    if (zeros != s->zeros) {
        rc = stretch_write(fd, s);
        *s = (struct stretch){.offset = s->offset + s->length, .zeros = zeros};
    }
    struct iovec *last = s->count ? &s->at[s->count - 1] : NULL;
    if (last && (char *)last->iov_base + last->iov_len == bytes)
        last->iov_len += n;
    else
        s->at[s->count++] = (struct iovec){bytes, n};
    s->length += n;
    return rc;
}

static int write_plain(int fd, const struct granules *g)
{
    struct stretch s = {.offset = g->offset};
    int rc = 0;
    for (unsigned i = 0; i < g->count; i++) {
        char *from = g->at[i].iov_base;
        for (size_t at = 0; rc == 0 && at < g->at[i].iov_len; at += GRANULE_BYTES) {
            size_t left = g->at[i].iov_len - at;
            rc = stretch_add(fd, &s, from + at, left < GRANULE_BYTES ? left : GRANULE_BYTES);
        }
    }
    return rc < 0 ? rc : stretch_write(fd, &s);
}

int granules_write(struct object *o, int fd, const struct granules *g, uint8_t *checks)
{
    struct cache *c = o->cache;
    uint64_t granule = g->offset / GRANULE_BYTES;
    int rc = 0;
    assert(g->offset % GRANULE_BYTES == 0 && g->count <= TRAIN_FLIGHTS_MAX);
    if (!c->cipher) {
        rc = write_plain(fd, g);
        if (rc == 0)
            check_all(o, g, checks);
        return rc;
    }
    for (unsigned i = 0; i < g->count; i++) {
        const char *from = g->at[i].iov_base;
        for (size_t at = 0; rc == 0 && at < g->at[i].iov_len; at += GRANULE_BYTES) {
            rc = write_sealed(o, fd, granule++, from + at, checks);
            checks += c->check_bytes;
        }
    }
    return rc;
}

bool granule_open(const struct object *o, uint64_t granule, char *bytes, const uint8_t *check)
{
    const struct cache *c = o->cache;
    uint8_t found[sizeof(uint32_t)];
    size_t n = granule_length(o->size, granule);
    if (c->cipher) {
        struct cipher_input in = {.id = &o->id, .granule = granule, .bytes = bytes, .n = n};
        return cipher_open(c->cipher, &in, bytes, check, NULL) == 0;
    }
    crc_check(bytes, n, found);
    return memcmp(found, check, sizeof found) == 0;
}
