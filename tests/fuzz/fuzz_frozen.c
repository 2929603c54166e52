/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Property: whatever a frozen file holds, it is opened and read within the size of its object, and
 * a block that is given is one that the frames hold.
 *
 *   input: flags u8 | size of the object u32 | the file
 *
 * With the lowest flag the seek table at the file's end is written anew so that it opens: the rest
 * is cut into equal frames.
 */
#include <assert.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/limits.h"
#include "cache/frozen.h"

#define HEADER_BYTES 5
#define BLOCKS_MAX 8
#define TABLE_BYTES_MAX (8 + 8 * BLOCKS_MAX + 9)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t length_at(uint32_t object, size_t block)
{
    size_t left = object - block * BLOCK_BYTES;
    return left < BLOCK_BYTES ? left : BLOCK_BYTES;
}

static uint8_t *put32(uint8_t *to, size_t value)
{
    uint32_t v = (uint32_t)value;
    memcpy(to, &v, sizeof v);
    return to + sizeof v;
}

static size_t make_table(uint8_t *to, uint32_t object, size_t blocks, size_t frames)
{
    size_t n = 8 + 8 * blocks + 9;
    uint8_t *p = put32(put32(to, 0x184D2A5E), n - 8);
    for (size_t i = 0; i < blocks; i++) {
        size_t from = frames * i / blocks, end = frames * (i + 1) / blocks;
        p = put32(put32(p, end - from), length_at(object, i));
    }
    p = put32(p, blocks);
    *p++ = 0;
    (void)put32(p, 0x8F92EAB1);
    return n;
}

static void read_all(const struct frozen *f, uint32_t object, size_t blocks)
{
    for (size_t i = 0; i < blocks; i++) {
        struct err err = ERR_INIT;
        size_t n = length_at(object, i);
        AUTO_FREE char *to = malloc(n); /* of that length, for the sanitizer */
        assert(to);
        memset(to, 0x5a, n);
        int rc = frozen_read(f, i, to, n, &err);
        assert(rc == -err.code);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    uint8_t table[TABLE_BYTES_MAX];
    uint32_t object;
    AUTO_FD int fd = memfd_create("frozen", MFD_CLOEXEC);
    if (fd < 0 || size < HEADER_BYTES)
        return -1;
    memcpy(&object, data + 1, sizeof object);
    object %= BLOCKS_MAX * BLOCK_BYTES + 1;
    size_t blocks = (object + BLOCK_BYTES - 1) / BLOCK_BYTES;
    const uint8_t *file = data + HEADER_BYTES;
    size_t n = size - HEADER_BYTES, table_bytes = 8 + 8 * blocks + 9;
    bool made = data[0] & 1 && n >= table_bytes + blocks;
    if (made)
        n -= make_table(table, object, blocks, n - table_bytes);
    if (file_pwrite_full(fd, file, n, 0, &err) < 0 ||
        (made && file_pwrite_full(fd, table, table_bytes, (off_t)n, &err) < 0))
        return -1;
    AUTO(frozen) struct frozen *f = frozen_open(fd, object, &err);
    assert(f || err.code);
    assert(f || !made || (blocks == 0 && n > 0)); /* bytes that no frame holds */
    if (f)
        read_all(f, object, blocks);
    return 0;
}
