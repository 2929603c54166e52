/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a run and its tables. The file is ours alone (0600, in a directory of 0700), is never
 * written again once it has its name, and a new one replaces it by a rename, which leaves the old
 * one whole to those that have it mapped. Its disk may die: then the run is lost (base/guard.h).
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/guard.h"
#include "base/hash.h"
#include "lake/index/run_private.h"

static int check_page(const struct run *r, uint64_t page, struct err *err)
{
    _Atomic uint64_t *word = &r->checked[page / 64];
    uint64_t bit = (uint64_t)1 << page % 64;
    if (atomic_load_explicit(word, memory_order_relaxed) & bit)
        return 0;
    if (page >= r->pages ||
        crc32c(0, r->map + page * RUN_PAGE_BYTES, RUN_PAGE_BYTES) != r->sums[page])
        return run_damaged("checksum of page", page, err);
    (void)atomic_fetch_or_explicit(word, bit, memory_order_relaxed); /* the page never changes */
    return 0;
}

int run_touch(const struct run *r, struct run_place place, const uint8_t **out, struct err *err)
{
    const struct run_section *s = &r->head.sections[place.section];
    if (run_lost(r))
        return err_set(err, EUCLEAN, "the index cannot be read any more: its disk failed");
    if (place.offset > s->bytes || place.bytes > s->bytes - place.offset)
        return run_damaged("a place outside of section", place.section, err);
    uint64_t at = s->page * RUN_PAGE_BYTES + place.offset;
    for (uint64_t page = at / RUN_PAGE_BYTES; page * RUN_PAGE_BYTES < at + place.bytes; page++) {
        int rc = check_page(r, page, err);
        if (rc < 0)
            return rc;
    }
    *out = r->map + at;
    return 0;
}

static uint64_t section_bytes(const struct run *r, enum run_section_id section)
{
    return r->head.sections[section].bytes;
}

/* A section that was checked on open, or by run_check_keys. */
static const uint8_t *section_data(const struct run *r, enum run_section_id section)
{
    return r->map + r->head.sections[section].page * RUN_PAGE_BYTES;
}

static int check_section(const struct run *r, enum run_section_id section, struct err *err)
{
    const uint8_t *ignored;
    struct run_place all = {section, 0, section_bytes(r, section)};
    return run_touch(r, all, &ignored, err);
}

/* Every section lies in the file, and those whose size follows from the counts have it. */
static int check_layout(const struct run *r, struct err *err)
{
    static const uint8_t record_bytes[RUN_SECTIONS] = {[RUN_BLOCKS] = 1,
                                                       [RUN_INDEX] = 4,
                                                       [RUN_LEVELS] = 4,
                                                       [RUN_DIRS] = sizeof(struct run_dir_record),
                                                       [RUN_NAMES] = 1,
                                                       [RUN_KEYS] = sizeof(struct run_key),
                                                       [RUN_REMOVED] = 4,
                                                       [RUN_COUNTS] = sizeof(struct run_pair),
                                                       [RUN_TWINS] = sizeof(struct run_pair),
                                                       [RUN_META] = 1,
                                                       [RUN_SUMS] = 4};
    const struct run_header *h = &r->head;
    uint64_t records[RUN_SECTIONS];
    for (int i = 0; i < RUN_SECTIONS; i++) {
        uint64_t page = h->sections[i].page, bytes = h->sections[i].bytes;
        if (page > r->map_bytes / RUN_PAGE_BYTES || bytes > r->map_bytes - page * RUN_PAGE_BYTES ||
            bytes % record_bytes[i] != 0)
            return run_damaged("extent of section", (uint64_t)i, err);
        records[i] = bytes / record_bytes[i];
    }
    bool sound = h->files <= FILES_MAX && h->dirs >= 1 && h->dirs <= FILES_MAX &&
                 h->sections[RUN_BLOCKS].bytes % RUN_BLOCK_ALIGN == 0 &&
                 records[RUN_INDEX] == run_blocks(h->files) + 1 && records[RUN_LEVELS] >= 2 &&
                 records[RUN_LEVELS] <= RUN_LEVELS_MAX && records[RUN_DIRS] == h->dirs &&
                 records[RUN_KEYS] <= UINT32_MAX && records[RUN_REMOVED] <= FILES_MAX &&
                 records[RUN_COUNTS] <= FILES_MAX && records[RUN_TWINS] <= h->dirs &&
                 records[RUN_SUMS] == h->sections[RUN_SUMS].page && records[RUN_SUMS] >= 1;
    return sound ? 0 : run_damaged("counts of a run of files", h->files, err);
}

static int check_header(struct run *r, struct err *err)
{
    static const uint8_t zeros[sizeof(uint32_t)];
    size_t at = offsetof(struct run_header, crc);
    uint32_t crc = crc32c(0, r->map, at);
    crc = crc32c(crc, zeros, sizeof zeros);
    crc = crc32c(crc, r->map + at + sizeof zeros, RUN_PAGE_BYTES - at - sizeof zeros);
    memcpy(&r->head, r->map, sizeof r->head);
    if (memcmp(r->head.magic, RUN_MAGIC, sizeof r->head.magic) != 0 || r->head.format != RUN_FORMAT)
        return err_set(err, EUCLEAN, "no index of this format");
    if (crc != r->head.crc)
        return run_damaged("checksum of page", 0, err);
    if (r->head.file_bytes != r->map_bytes)
        return err_set(err, EUCLEAN, "the index is damaged: it has %zu bytes, should have %llu",
                       r->map_bytes, (unsigned long long)r->head.file_bytes);
    return check_layout(r, err);
}

static int check_tables(struct run *r, struct err *err)
{
    /* What is read through functions that cannot fail is checked now; in a base, that is little. */
    static const enum run_section_id now[] = {RUN_LEVELS, RUN_REMOVED, RUN_COUNTS, RUN_TWINS,
                                              RUN_META};
    const struct run_section *sums = &r->head.sections[RUN_SUMS];
    r->pages = sums->page;
    r->sums = (const uint32_t *)(const void *)section_data(r, RUN_SUMS);
    if (crc32c(0, r->sums, sums->bytes) != r->head.sums_crc)
        return run_damaged("checksums from page", sums->page, err);
    r->checked = calloc(r->map_bytes / RUN_PAGE_BYTES / 64 + 1, sizeof *r->checked);
    if (!r->checked)
        return err_set(err, ENOMEM, "out of memory");
    for (size_t i = 0; i < ARRAY_SIZE(now); i++) {
        int rc = check_section(r, now[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int run_open(int dirfd, const char *name, struct run **out, struct err *err)
{
    AUTO_FD int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(err, errno, "%s: %s", name, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_size < (off_t)RUN_PAGE_BYTES)
        return err_set(err, EUCLEAN, "%s: no index", name);
    AUTO(run) struct run *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(err, ENOMEM, "out of memory");
    atomic_init(&r->refs, 1);
    r->name = strdup(name);
    if (!r->name)
        return err_set(err, ENOMEM, "out of memory");
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return err_set(err, errno, "%s: mmap: %s", name, strerror(errno));
    r->map = map;
    r->map_bytes = (size_t)st.st_size;
    r->guard = guard_map_add(map, r->map_bytes);
    int rc = check_header(r, err);
    if (rc == 0)
        rc = check_tables(r, err);
    if (rc < 0)
        return err_wrap(err, "%s", name);
    *out = STEAL(r);
    return 0;
}

struct run *run_ref(struct run *r)
{
    (void)atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void run_unref(struct run *r)
{
    if (!r || atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (r->map) {
        guard_map_remove(r->guard);
        (void)munmap((void *)(uintptr_t)r->map, r->map_bytes); /* it was mapped so */
    }
    free((void *)r->checked);
    free(r->name);
    free(r);
}

bool run_lost(const struct run *r)
{
    return guard_map_lost(r->guard);
}

const char *run_name(const struct run *r)
{
    return r->name;
}

struct slice run_meta(const struct run *r)
{
    return slice_make(section_data(r, RUN_META), section_bytes(r, RUN_META));
}

uint32_t run_files(const struct run *r)
{
    return r->head.files;
}

uint64_t run_bytes(const struct run *r)
{
    return r->head.bytes;
}

bool run_shares_keys(const struct run *r)
{
    return r->head.sections[RUN_KEYS].bytes / sizeof(struct run_key) != r->head.files;
}

uint32_t run_dirs(const struct run *r)
{
    return r->head.dirs;
}

uint64_t run_identity(const struct run *r)
{
    return r->head.identity;
}

bool run_stands_on(const struct run *patch, const struct run *base)
{
    return patch->head.base_identity == base->head.identity;
}

int run_dir(const struct run *r, uint32_t dir, struct run_dir *out, struct err *err)
{
    const uint8_t *at;
    struct run_dir_record d;
    struct run_place record = {RUN_DIRS, dir * (uint64_t)sizeof d, sizeof d};
    int rc = run_touch(r, record, &at, err);
    if (rc < 0)
        return rc;
    memcpy(&d, at, sizeof d);
    const uint8_t *name;
    rc = run_touch(r, (struct run_place){RUN_NAMES, d.name >> 8, d.name & 0xff}, &name, err);
    if (rc < 0)
        return rc;
    const struct run_header *h = &r->head;
    /* Parents come before and children behind, so that no walk goes in circles. */
    if ((dir ? d.parent >= dir || (d.name & 0xff) == 0 : d.parent != 0) || d.first_dir > h->dirs ||
        d.dirs > h->dirs - d.first_dir || (d.dirs && d.first_dir <= dir) ||
        d.first_file > h->files || d.files > h->files - d.first_file ||
        d.subtree_files > h->files || d.subtree_files < d.files)
        return run_damaged("directory", dir, err);
    *out = (struct run_dir){.name = slice_make(name, d.name & 0xff),
                            .parent = d.parent,
                            .first_dir = d.first_dir,
                            .dirs = d.dirs,
                            .first_file = d.first_file,
                            .files = d.files,
                            .subtree_files = d.subtree_files};
    return 0;
}

int run_find_dir(const struct run *r, uint32_t dir, struct slice name, uint32_t *out,
                 struct err *err)
{
    struct run_dir d, sub;
    int rc = run_dir(r, dir, &d, err);
    if (rc < 0)
        return rc;
    uint32_t low = d.first_dir, high = d.first_dir + d.dirs;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        rc = run_dir(r, middle, &sub, err);
        if (rc < 0)
            return rc;
        int c = slice_cmp(sub.name, name);
        if (c == 0) {
            *out = middle;
            return 0;
        }
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return err_set(err, ENOENT, "no directory %.*s", SLICE_FMT(name));
}

int run_check_keys(const struct run *r, struct err *err)
{
    return check_section(r, RUN_KEYS, err);
}

struct run_key run_key_at(const struct run *r, uint32_t position)
{
    struct run_key k;
    memcpy(&k, section_data(r, RUN_KEYS) + position * sizeof k, sizeof k);
    return k;
}

static uint32_t key_bound(const struct run *r, uint64_t hash, bool above)
{
    uint32_t low = 0, high = (uint32_t)(section_bytes(r, RUN_KEYS) / sizeof(struct run_key));
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        uint64_t at = run_key_at(r, middle).hash;
        if (at < hash || (above && at == hash))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void run_find_key(const struct run *r, uint64_t hash, uint32_t *first, uint32_t *count)
{
    *first = key_bound(r, hash, false);
    *count = 0;
    uint32_t keys = (uint32_t)(section_bytes(r, RUN_KEYS) / sizeof(struct run_key));
    if (*first < keys && run_key_at(r, *first).hash == hash)
        *count = key_bound(r, hash, true) - *first;
}

uint32_t run_removed_next(const struct run *patch, uint32_t from)
{
    const uint32_t *removed = (const uint32_t *)(const void *)section_data(patch, RUN_REMOVED);
    uint32_t n = run_removed_files(patch), low = 0, high = n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (removed[middle] < from)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n ? removed[low] : RUN_NONE;
}

bool run_removed(const struct run *patch, uint32_t base_ordinal)
{
    return run_removed_next(patch, base_ordinal) == base_ordinal;
}

/* The pair of a table, sorted by both fields, whose field `by_value ? value : base_dir` is that. */
static const struct run_pair *find_pair(const struct run *r, enum run_section_id section,
                                        bool by_value, uint32_t what)
{
    const struct run_pair *pairs = (const struct run_pair *)(const void *)section_data(r, section);
    size_t low = 0, high = section_bytes(r, section) / sizeof *pairs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t at = by_value ? pairs[middle].value : pairs[middle].base_dir;
        if (at == what)
            return &pairs[middle];
        if (at < what)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint32_t run_removed_below(const struct run *patch, uint32_t base_dir)
{
    const struct run_pair *pair = find_pair(patch, RUN_COUNTS, false, base_dir);
    return pair ? pair->value : 0;
}

uint32_t run_twin_in_patch(const struct run *patch, uint32_t base_dir)
{
    const struct run_pair *pair = find_pair(patch, RUN_TWINS, false, base_dir);
    return pair ? pair->value : RUN_NONE;
}

uint32_t run_twin_in_base(const struct run *patch, uint32_t patch_dir)
{
    const struct run_pair *pair = find_pair(patch, RUN_TWINS, true, patch_dir);
    return pair ? pair->base_dir : RUN_NONE;
}

uint64_t run_removed_bytes(const struct run *patch)
{
    return patch->head.removed_bytes;
}

uint32_t run_removed_files(const struct run *patch)
{
    return (uint32_t)(section_bytes(patch, RUN_REMOVED) / sizeof(uint32_t));
}
