/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/manifest_list.h"

#include "base/limits.h"
#include "base/vec.h"
#include "lake/format/avro.h"

/* Slots of the fields that are read, in their order in `wants`. */
enum slot {
    SLOT_PATH,
    SLOT_LENGTH,
    SLOT_SPEC,
    SLOT_CONTENT,
    SLOT_SEQUENCE,
    SLOT_SNAPSHOT,
    SLOT_ADDED,
    SLOT_EXISTING,
    SLOT_KEY,
};

static const struct avro_want wants[] = {
    [SLOT_PATH] = {500, "manifest_path", AVRO_STRING, true},
    [SLOT_LENGTH] = {501, "manifest_length", AVRO_LONG, true},
    [SLOT_SPEC] = {502, "partition_spec_id", AVRO_LONG, true},
    [SLOT_CONTENT] = {517, "content", AVRO_LONG, false},
    [SLOT_SEQUENCE] = {515, "sequence_number", AVRO_LONG, false},
    [SLOT_SNAPSHOT] = {503, "added_snapshot_id", AVRO_LONG, false},
    [SLOT_ADDED] = {504, "added_files_count", AVRO_LONG, false},
    [SLOT_EXISTING] = {505, "existing_files_count", AVRO_LONG, false},
    [SLOT_KEY] = {519, "key_metadata", AVRO_BYTES, false},
};

void iceberg_manifest_list_init(struct iceberg_manifest_list *l)
{
    *l = (struct iceberg_manifest_list){.n = 0};
    arena_init(&l->arena, ICEBERG_MANIFEST_LIST_MEMORY_MAX);
}

void iceberg_manifest_list_done(struct iceberg_manifest_list *l)
{
    arena_done(&l->arena);
    free(l->at);
}

int iceberg_manifest_list_add(struct iceberg_manifest_list *l, const struct iceberg_manifest *m,
                              struct err *err)
{
    void *at = l->at;
    int rc = vec_grow_(&at, l->n, &l->capacity, ICEBERG_MANIFESTS_MAX, sizeof l->at[0]);
    l->at = at;
    if (rc < 0)
        return err_set(err, -rc, "more than %zu manifests", l->n);
    l->at[l->n] = *m;
    l->at[l->n].path = arena_slice(&l->arena, m->path);
    if (!l->at[l->n].path.p)
        return arena_failed(&l->arena, "the list of manifests", err);
    l->n++;
    return 0;
}

/* The line that the reader is at. */
static int take(struct iceberg_manifest_list *l, const struct avro *a, struct err *err)
{
    const struct avro_value *path = avro_value(a, SLOT_PATH), *key = avro_value(a, SLOT_KEY);
    int64_t length = avro_number(a, SLOT_LENGTH, -1), spec = avro_number(a, SLOT_SPEC, -1);
    int64_t content = avro_number(a, SLOT_CONTENT, 0);
    int64_t added = avro_number(a, SLOT_ADDED, -1), existing = avro_number(a, SLOT_EXISTING, -1);
    if (!path->present || path->bytes.n == 0 || path->bytes.n > ACTION_BYTES_MAX)
        return err_set(err, EIO, "a manifest has no path");
    if (length <= 0 || spec < 0 || spec > INT32_MAX || content < 0 || content > 1)
        return err_set(err, EIO, "manifest '%.*s': length %lld, partition spec %lld, content %lld",
                       (int)(path->bytes.n < 300 ? path->bytes.n : 300), path->bytes.p,
                       (long long)length, (long long)spec, (long long)content);
    struct iceberg_manifest m = {
        .path = path->bytes,
        .length = (uint64_t)length,
        .spec_id = (int32_t)spec,
        .deletes = content == 1,
        .encrypted = key->present && key->bytes.n,
        .sequence = avro_number(a, SLOT_SEQUENCE, 0),
        .snapshot = avro_number(a, SLOT_SNAPSHOT, ICEBERG_NONE),
        .live = added < 0 || existing < 0 || added > INT32_MAX || existing > INT32_MAX
                    ? ICEBERG_NONE
                    : added + existing,
    };
    return iceberg_manifest_list_add(l, &m, err);
}

int iceberg_manifest_list_parse(struct iceberg_manifest_list *l, struct slice file, struct err *err)
{
    AUTO(avro) struct avro *a = avro_open_bytes(file, err);
    if (!a)
        return -err->code;
    int rc = 0;
    for (size_t i = 0; rc >= 0 && i < ARRAY_SIZE(wants); i++)
        rc = avro_choose(a, &wants[i], err);
    if (rc < 0)
        return rc;
    while ((rc = avro_next(a, err)) > 0)
        if ((rc = take(l, a, err)) < 0)
            break;
    return rc;
}

int iceberg_manifest_list_inline(struct iceberg_manifest_list *l, const struct iceberg_snapshot *s,
                                 struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < s->manifests_n; i++) {
        struct iceberg_manifest m = {
            .path = s->manifests[i],
            .spec_id = ICEBERG_NONE,
            .snapshot = ICEBERG_NONE,
            .live = ICEBERG_NONE,
        };
        rc = m.path.n ? iceberg_manifest_list_add(l, &m, err)
                      : err_set(err, EIO, "a manifest has no path");
    }
    return rc;
}
