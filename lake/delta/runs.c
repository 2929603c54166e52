/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/runs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/vec.h"
#include "lake/index/prune.h"

void delta_base_name(char name[RUN_NAME_BYTES], int64_t version)
{
    (void)snprintf(name, RUN_NAME_BYTES, "base-%020lld", (long long)version);
}

void delta_patch_name(char name[RUN_NAME_BYTES], int64_t base, int64_t version)
{
    (void)snprintf(name, RUN_NAME_BYTES, "patch-%020lld-%020lld", (long long)base,
                   (long long)version);
}

/* The first version of it stands in the name, as that is never below zero. */
void delta_range_name(char name[RUN_NAME_BYTES], bool changes, int64_t after, int64_t version)
{
    (void)snprintf(name, RUN_NAME_BYTES, "%s-%020lld-%020lld", changes ? "changes" : "range",
                   (long long)after + 1, (long long)version);
}

/* `<kind>-<20 digits>`, count times. */
static bool parse_versions(struct slice name, const char *kind, uint64_t *versions, size_t count)
{
    if (!slice_starts(name, slice_of(kind)))
        return false;
    name = slice_from(name, strlen(kind));
    for (size_t i = 0; i < count; i++) {
        if (name.n < 21 || name.p[0] != '-' ||
            !text_parse_u64(slice_make(name.p + 1, 20), INT64_MAX, &versions[i]))
            return false;
        name = slice_from(name, 21);
    }
    return name.n == 0;
}

static int newest_first(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

int delta_runs_find(int dirfd_, int64_t version, struct delta_runs *out, struct err *err)
{
    *out = (struct delta_runs){VEC_MAX(VERSIONS_MAX), VEC_MAX(VERSIONS_MAX)};
    DIR *dir = run_dir_open(dirfd_, err);
    if (!dir)
        return -err->code;
    int rc = 0;
    uint64_t v[2];
    for (struct dirent *d; rc == 0 && (d = readdir(dir));) {
        struct slice name = slice_of(d->d_name);
        if (parse_versions(name, "base", v, 1) && v[0] <= (uint64_t)version)
            rc = vec_push(&out->bases, (int64_t)v[0]);
        else if (parse_versions(name, "patch", v, 2) && v[1] == (uint64_t)version)
            rc = vec_push(&out->patches, (int64_t)v[0]);
    }
    (void)closedir(dir); /* only read */
    if (rc < 0)
        return err_set(err, -rc, "too many runs");
    if (out->bases.n)
        qsort(out->bases.at, out->bases.n, sizeof out->bases.at[0], newest_first);
    return 0;
}

void delta_runs_done(struct delta_runs *runs)
{
    vec_done(&runs->bases);
    vec_done(&runs->patches);
}

static bool is_base(struct slice name)
{
    uint64_t v[1];
    return parse_versions(name, "base", v, 1);
}

static bool is_patch(struct slice name)
{
    uint64_t v[2];
    return parse_versions(name, "patch", v, 2);
}

static bool is_range(struct slice name)
{
    uint64_t v[2];
    return parse_versions(name, "range", v, 2);
}

static bool is_changes(struct slice name)
{
    uint64_t v[2];
    return parse_versions(name, "changes", v, 2);
}

void delta_runs_prune(int dirfd_)
{
    struct prune_kind kinds[] = {
        {.is = is_base, .keep = DELTA_BASES_MAX},
        {.is = is_patch, .keep = DELTA_PATCHES_MAX},
        {.is = is_range, .keep = DELTA_RANGES_MAX},
        {.is = is_changes, .keep = DELTA_RANGES_MAX},
        {.is = run_is_unchecked, .keep = SIZE_MAX, .leftover_ms = RUN_LEFTOVER_MS},
    };
    prune_runs(dirfd_, kinds, ARRAY_SIZE(kinds));
}
