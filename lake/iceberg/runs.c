/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/runs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/text.h"
#include "lake/index/prune.h"

void iceberg_base_name(char name[RUN_NAME_BYTES], int64_t snapshot, int32_t schema)
{
    (void)snprintf(name, RUN_NAME_BYTES, "base-%016llx-%08x", (unsigned long long)snapshot,
                   (unsigned)schema);
}

void iceberg_patch_name(char name[RUN_NAME_BYTES], int64_t base, int64_t snapshot, int32_t schema)
{
    (void)snprintf(name, RUN_NAME_BYTES, "patch-%016llx-%016llx-%08x", (unsigned long long)base,
                   (unsigned long long)snapshot, (unsigned)schema);
}

void iceberg_range_name(char name[RUN_NAME_BYTES], int64_t after, int64_t snapshot)
{
    (void)snprintf(name, RUN_NAME_BYTES, "range-%016llx-%016llx", (unsigned long long)after,
                   (unsigned long long)snapshot);
}

static void hashed_name(char name[RUN_NAME_BYTES], const char *kind, struct slice text,
                        uint64_t seed)
{
    (void)snprintf(name, RUN_NAME_BYTES, "%s-%016llx%016llx", kind,
                   (unsigned long long)hash64(seed, text),
                   (unsigned long long)hash64(seed + 0x7461726e, text));
}

void iceberg_manifest_name(char name[RUN_NAME_BYTES], struct slice path, uint64_t length)
{
    hashed_name(name, "manifest", path, length);
}

void iceberg_list_name(char name[RUN_NAME_BYTES], struct slice path)
{
    hashed_name(name, "list", path, 0);
}

/* `-` and so many hex digits. */
static bool take_hex(struct slice *rest, size_t digits, uint64_t *out)
{
    if (rest->n < digits + 1 || rest->p[0] != '-' ||
        !text_parse_hex(slice_make(rest->p + 1, digits), out))
        return false;
    *rest = slice_from(*rest, digits + 1);
    return true;
}

static bool take_kind(struct slice *rest, const char *kind)
{
    if (!slice_starts(*rest, slice_of(kind)))
        return false;
    *rest = slice_from(*rest, strlen(kind));
    return true;
}

static bool parse_base(struct slice name, uint64_t *snapshot, uint64_t *schema)
{
    return take_kind(&name, "base") && take_hex(&name, 16, snapshot) &&
           take_hex(&name, 8, schema) && name.n == 0;
}

static bool parse_patch(struct slice name, uint64_t *base, uint64_t *snapshot, uint64_t *schema)
{
    return take_kind(&name, "patch") && take_hex(&name, 16, base) &&
           take_hex(&name, 16, snapshot) && take_hex(&name, 8, schema) && name.n == 0;
}

static void note_base(struct iceberg_runs *out, int dirfd_, const char *name, int64_t snapshot)
{
    struct stat st;
    if (out->bases_n == sizeof out->bases / sizeof out->bases[0] ||
        fstatat(dirfd_, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    int64_t made_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    size_t i = out->bases_n++;
    for (; i > 0 && out->bases[i - 1].made_ns < made_ns; i--)
        out->bases[i] = out->bases[i - 1];
    out->bases[i].snapshot = snapshot;
    out->bases[i].made_ns = made_ns;
}

int iceberg_runs_find(int dirfd_, int64_t snapshot, int32_t schema, struct iceberg_runs *out,
                      struct err *err)
{
    *out = (struct iceberg_runs){.bases_n = 0};
    DIR *dir = run_dir_open(dirfd_, err);
    if (!dir)
        return -err->code;
    for (struct dirent *d; (d = readdir(dir));) {
        uint64_t base, to, with;
        if (parse_base(slice_of(d->d_name), &base, &with) && with == (uint32_t)schema)
            note_base(out, dirfd_, d->d_name, (int64_t)base);
        else if (parse_patch(slice_of(d->d_name), &base, &to, &with) && to == (uint64_t)snapshot &&
                 with == (uint32_t)schema && out->patches_n < ARRAY_SIZE(out->patches))
            out->patches[out->patches_n++] = (int64_t)base;
    }
    (void)closedir(dir); /* only read */
    return 0;
}

static bool is_base(struct slice name)
{
    uint64_t snapshot, schema;
    return parse_base(name, &snapshot, &schema);
}

static bool is_patch(struct slice name)
{
    uint64_t base, snapshot, schema;
    return parse_patch(name, &base, &snapshot, &schema);
}

static bool is_range(struct slice name)
{
    return slice_starts(name, SLICE_LIT("range-"));
}

static bool is_list(struct slice name)
{
    return slice_starts(name, SLICE_LIT("list-"));
}

static bool is_manifest(struct slice name)
{
    return slice_starts(name, SLICE_LIT("manifest-"));
}

void iceberg_runs_prune(int dirfd_, size_t manifests)
{
    size_t decoded = 2 * manifests;
    struct prune_kind kinds[] = {
        {.is = is_base, .keep = ICEBERG_BASES_MAX},
        {.is = is_patch, .keep = ICEBERG_PATCHES_MAX},
        {.is = is_range, .keep = ICEBERG_RANGES_MAX},
        {.is = is_list, .keep = ICEBERG_LISTS_MAX},
        {.is = is_manifest, .keep = decoded < ICEBERG_DECODED_MAX ? ICEBERG_DECODED_MAX : decoded},
        {.is = run_is_unchecked, .keep = SIZE_MAX, .leftover_ms = RUN_LEFTOVER_MS},
    };
    prune_runs(dirfd_, kinds, ARRAY_SIZE(kinds));
}
