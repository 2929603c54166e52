/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of any bytes: its checksums are made right first, so that what they guard is reached.
 * Everything is read, alone and as base and patch of itself; nothing may crash or go on forever.
 */
#include <sys/mman.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/text.h"
#include "lake/index/run_private.h"
#include "lake/index/snapshot.h"

/* Runs of hostile counts may be large; what is read of each is bounded. */
#define STEPS_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fix_sums(uint8_t *data, size_t size)
{
    struct run_header h;
    memcpy(&h, data, sizeof h);
    memcpy(h.magic, RUN_MAGIC, sizeof h.magic);
    h.format = RUN_FORMAT;
    h.file_bytes = size;
    h.base_identity = h.identity;
    h.crc = 0;
    const struct run_section *sums = &h.sections[RUN_SUMS];
    size_t at = sums->page * RUN_PAGE_BYTES;
    if (sums->page < size / RUN_PAGE_BYTES && sums->bytes <= size - at) {
        for (size_t i = 1; i < sums->page && i < sums->bytes / 4; i++) {
            uint32_t crc = crc32c(0, data + i * RUN_PAGE_BYTES, RUN_PAGE_BYTES);
            memcpy(data + at + i * 4, &crc, sizeof crc);
        }
        h.sums_crc = crc32c(0, data + at, sums->bytes);
    }
    memcpy(data, &h, sizeof h);
    h.crc = crc32c(0, data, RUN_PAGE_BYTES);
    memcpy(data, &h, sizeof h);
}

static int stop_at_last(void *arg, struct slice name, const struct snapshot_node *node,
                        const struct entry *entry, uint64_t next)
{
    (void)name, (void)node, (void)entry, (void)next;
    return ++*(unsigned *)arg >= STEPS_MAX;
}

static int stop_file(void *arg, const struct entry *entry)
{
    (void)entry;
    return ++*(unsigned *)arg >= STEPS_MAX;
}

/* Failures are expected everywhere: only what they do to memory counts. */
static void read_run(const struct run *r)
{
    struct err err = ERR_INIT;
    struct run_dir d;
    uint32_t found, dir;
    for (uint32_t i = 0; i < run_dirs(r) && i < STEPS_MAX; i++)
        if (run_dir(r, i, &d, &err) == 0) {
            (void)run_find_dir(r, d.parent, d.name, &found, &err);
            (void)run_find_file(r, i, SLICE_LIT("f1"), &found, &err);
            (void)run_removed_below(r, i);
        }
    AUTO(run_cursor) struct run_cursor c;
    AUTO(buf) struct buf scratch;
    buf_init(&scratch, MIB);
    struct entry e;
    int rc = run_cursor_init(&c, r, 0, &err);
    for (unsigned i = 0; rc == 0 && i < STEPS_MAX && run_cursor_next(&c, &e, &err) == 1; i++) {
        (void)run_find_file(r, c.dir, text_basename(e.path), &found, &err);
        (void)run_file(r, i * 3, &scratch, &e, &dir, &err);
        (void)run_removed(r, i);
    }
    uint32_t first, count;
    if (run_check_keys(r, &err) == 0) {
        run_find_key(r, hash64(0, SLICE_LIT("k1")), &first, &count);
        for (uint32_t i = 0; i < count && i < STEPS_MAX; i++)
            (void)run_key_at(r, first + i);
    }
}

static void read_snapshot(struct snapshot *s)
{
    struct err err = ERR_INIT;
    unsigned steps = 0;
    struct snapshot_node node;
    struct entry e;
    AUTO(buf) struct buf path;
    buf_init(&path, MIB);
    for (uint32_t dir = 0; dir < 40; dir++) {
        unsigned listed = 0;
        buf_reset(&path);
        (void)snapshot_list(s, dir, dir * 7, stop_at_last, &listed, &err);
        (void)snapshot_dir_path(s, dir, &path, &err);
        (void)snapshot_find(s, dir, SLICE_LIT("f1"), &node, &err);
    }
    if (snapshot_walk(s, SLICE_LIT("d1/e/f1"), &node, &err) == 0)
        (void)snapshot_file(s, &node, &path, &e, &err);
    (void)snapshot_each_file(s, stop_file, &steps, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    AUTO_FD int fd = memfd_create("run", MFD_CLOEXEC);
    AUTO_FREE uint8_t *copy = malloc(size ? size : 1);
    if (fd < 0 || !copy || size > MIB)
        return -1;
    if (size)
        memcpy(copy, data, size);
    if (size >= RUN_PAGE_BYTES)
        fix_sums(copy, size);
    char name[64];
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    AUTO(run) struct run *r = NULL;
    if (file_pwrite_full(fd, copy, size, 0, &err) < 0 || run_open(-1, name, &r, &err) < 0)
        return 0;
    read_run(r);
    for (int with_patch = 0; with_patch < 2; with_patch++) {
        struct snapshot *s = snapshot_new(run_ref(r), with_patch ? run_ref(r) : NULL, &err);
        if (s)
            read_snapshot(s);
        snapshot_unref(s);
    }
    return 0;
}
