/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patches: what the manifest lists of a base's snapshot and of another one tell apart.
 *
 *   base's list    A  B  C  D(deletes)
 *   its            A  B     D  E(deletes)  F
 *
 *   C     gone: its files are removed, unless F has them too, as they were (a rewritten manifest)
 *   F     come: its files are added, likewise
 *   E     come: the files of A and B to which it may apply are looked at again
 */
#include <assert.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/map.h"
#include "lake/iceberg/make_private.h"
#include "lake/iceberg/runs.h"

/* Files on one base: so many, or a quarter of its own. */
#define PATCH_FILES_MAX 10000
/* Files of manifests that only one of both has, which are looked at: 24 bytes each. */
#define LOOKED_AT_MAX ((int64_t)1 << 20)

struct known {
    uint64_t hash;  /* of the path */
    uint64_t state; /* of what is shown of it */
    bool matched;   /* the other snapshot has it too */
};

struct list {
    VEC(const struct iceberg_manifest *) at;
};

struct patching {
    struct iceberg_make *make;
    struct run *base;
    struct iceberg_manifest_list before; /* the base's */
    struct list gone, come, both;        /* data manifests */
    bool deletes_differ;
    /* As files were shown, as they are, and which may be shown otherwise. */
    struct iceberg_place was, is, touched;
    struct iceberg_deletes *was_deletes, *is_deletes, *touched_deletes;
    VEC(struct known) known; /* files of `gone`, by hash */
    struct index_build *build;
    uint64_t adds, removals;
    const struct iceberg_manifest *manifest; /* that is walked */
    bool entered;                            /* the other places know of it */
};

static void patching_done(struct patching *p)
{
    iceberg_manifest_list_done(&p->before);
    vec_done(&p->gone.at);
    vec_done(&p->come.at);
    vec_done(&p->both.at);
    iceberg_place_done(&p->was);
    iceberg_place_done(&p->is);
    iceberg_place_done(&p->touched);
    if (p->was_deletes != p->is_deletes)
        iceberg_deletes_free(p->was_deletes);
    iceberg_deletes_free(p->is_deletes);
    iceberg_deletes_free(p->touched_deletes);
    vec_done(&p->known);
    index_build_free(p->build);
}
DEFINE_AUTO_DONE(patching, struct patching, patching_done)

static int no_way(struct err *err, const char *why)
{
    return err_set(err, EAGAIN, "no patch: %s", why);
}

/* Which manifests differ ---------------------------------------------------------------------- */

static bool same_specs(const struct iceberg_metadata *a, const struct iceberg_metadata *b)
{
    bool same = a->specs_n == b->specs_n;
    for (size_t i = 0; same && i < a->specs_n; i++)
        same = a->specs[i].id == b->specs[i].id && a->specs[i].n == b->specs[i].n;
    return same;
}

/* Are files of the base shown as they would be in a new one? */
static bool same_table(const struct iceberg_metadata *base, const struct iceberg_metadata *now,
                       int32_t schema)
{
    static const char mapping[] = "schema.name-mapping.default";
    const struct iceberg_schema_text *a = iceberg_metadata_schema(base, schema);
    const struct iceberg_schema_text *b = iceberg_metadata_schema(now, schema);
    return a && b && slice_eq(a->json, b->json) && slice_eq(base->uuid, now->uuid) &&
           slice_eq(base->location, now->location) && same_specs(base, now) &&
           slice_eq(iceberg_metadata_property(base, mapping),
                    iceberg_metadata_property(now, mapping));
}

static int read_before(struct patching *p, struct err *err)
{
    const struct iceberg_view *view = p->make->view;
    AUTO(iceberg_metadata) struct iceberg_metadata *of_base = NULL;
    AUTO(buf) struct buf path = {0};
    struct iceberg_identity id;
    buf_init(&path, ACTION_BYTES_MAX);
    int rc = iceberg_state_identity(run_meta(p->base), &id, err);
    if (rc == 0)
        rc = iceberg_state_parse(run_meta(p->base), &of_base, &path, err);
    if (rc < 0)
        return rc;
    if (!same_table(of_base, view->metadata, p->make->identity.schema))
        return no_way(err, "the base has other columns, partitions or another place");
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(view->metadata, id.snapshot);
    if (s)
        return iceberg_manifests_list(view, s, &p->before, err);
    return path.len ? iceberg_manifests_kept_list(view, buf_slice(&path), &p->before, err)
                    : no_way(err, "the base's snapshot has expired");
}

static int push(struct list *l, const struct iceberg_manifest *m, struct err *err)
{
    int rc = vec_push(&l->at, m);
    return rc < 0 ? err_set(err, -rc, "no room for more than %zu manifests", l->at.n) : 0;
}

/* Manifests of a list that are not in the map, and those that are (`both` may be NULL). */
static int sort_out(struct patching *p, const struct iceberg_manifest_list *l,
                    const struct map *others, struct list *alone, struct list *both,
                    struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        const struct iceberg_manifest *m = &l->at[i];
        bool common = map_find(others, m->path) != NULL;
        if (m->deletes)
            p->deletes_differ = p->deletes_differ || !common;
        else if (!common)
            rc = push(alone, m, err);
        else if (both)
            rc = push(both, m, err);
    }
    return rc;
}

static int map_list(struct map *map, const struct iceberg_manifest_list *l, struct err *err)
{
    int rc = 0;
    map_init(map, ICEBERG_MANIFESTS_MAX);
    for (size_t i = 0; rc == 0 && i < l->n; i++)
        rc = map_put(map, l->at[i].path, &l->at[i]);
    return rc < 0 ? err_set(err, -rc, "no room for %zu manifests", l->n) : 0;
}

static int find_differences(struct patching *p, struct err *err)
{
    AUTO(map) struct map before = {0};
    AUTO(map) struct map after = {0};
    const struct iceberg_manifest_list *now = &p->make->list;
    p->gone.at.max = p->come.at.max = p->both.at.max = ICEBERG_MANIFESTS_MAX;
    int rc = map_list(&before, &p->before, err);
    if (rc == 0)
        rc = map_list(&after, now, err);
    if (rc == 0)
        rc = sort_out(p, &p->before, &after, &p->gone, NULL, err);
    return rc < 0 ? rc : sort_out(p, now, &before, &p->come, &p->both, err);
}

static int64_t live_files(const struct iceberg_manifest *const *at, size_t n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum =
            at[i]->live == ICEBERG_NONE || sum > INT64_MAX / 2 ? INT64_MAX / 2 : sum + at[i]->live;
    return sum;
}

static int64_t deletes_of(const struct iceberg_manifest_list *l)
{
    int64_t sum = 0;
    for (size_t i = 0; i < l->n; i++)
        if (l->at[i].deletes)
            sum += l->at[i].live == ICEBERG_NONE ? LOOKED_AT_MAX : l->at[i].live;
    return sum;
}

/* What a patch costs must be less than what a base does. */
static int check_cost(const struct patching *p, struct err *err)
{
    int64_t gone = live_files(p->gone.at.at, p->gone.at.n);
    int64_t come = live_files(p->come.at.at, p->come.at.n);
    int64_t most = (int64_t)run_files(p->base) / 2;
    most = most < PATCH_FILES_MAX ? PATCH_FILES_MAX : most;
    if (gone > LOOKED_AT_MAX || gone + come > most)
        return no_way(err, "too many manifests have changed");
    if (p->deletes_differ && deletes_of(&p->before) + deletes_of(&p->make->list) > LOOKED_AT_MAX)
        return no_way(err, "too many delete files");
    return 0;
}

/* Deletes ------------------------------------------------------------------------------------- */

static int decode(const struct patching *p, const struct list *l, struct err *err)
{
    return iceberg_manifests_decode(p->make->view, l->at.at, l->at.n, err);
}

static int decode_deletes(const struct patching *p, const struct iceberg_manifest_list *l,
                          struct err *err)
{
    struct list deletes = {.at.max = ICEBERG_MANIFESTS_MAX};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->n; i++)
        if (l->at[i].deletes)
            rc = push(&deletes, &l->at[i], err);
    if (rc == 0)
        rc = decode(p, &deletes, err);
    vec_done(&deletes.at);
    return rc;
}

/* Delete manifests that only one of both lists has. */
static int list_changed(const struct patching *p, struct iceberg_manifest_list *out,
                        struct err *err)
{
    const struct iceberg_manifest_list *both[2] = {&p->before, &p->make->list};
    for (size_t side = 0; side < 2; side++) {
        AUTO(map) struct map others = {0};
        int rc = map_list(&others, both[1 - side], err);
        for (size_t i = 0; rc == 0 && i < both[side]->n; i++)
            if (both[side]->at[i].deletes && !map_find(&others, both[side]->at[i].path))
                rc = iceberg_manifest_list_add(out, &both[side]->at[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int read_deletes(struct patching *p, struct err *err)
{
    AUTO(iceberg_manifest_list) struct iceberg_manifest_list changed;
    iceberg_manifest_list_init(&changed);
    int rc = decode_deletes(p, &p->make->list, err);
    if (rc == 0)
        rc = iceberg_make_deletes(&p->is, &p->make->list, &p->is_deletes, err);
    if (rc == 0 && p->deletes_differ)
        rc = decode_deletes(p, &p->before, err);
    if (rc == 0 && p->deletes_differ)
        rc = iceberg_make_deletes(&p->was, &p->before, &p->was_deletes, err);
    if (rc == 0 && p->deletes_differ)
        rc = list_changed(p, &changed, err);
    if (rc == 0 && p->deletes_differ)
        rc = iceberg_make_deletes(&p->touched, &changed, &p->touched_deletes, err);
    if (!p->deletes_differ)
        p->was_deletes = p->is_deletes;
    p->was.deletes = p->was_deletes;
    p->is.deletes = p->is_deletes;
    p->touched.deletes = p->touched_deletes;
    return rc;
}

/* Files --------------------------------------------------------------------------------------- */

/* All that is shown of a file but its path. */
static uint64_t state_of(const struct entry *e)
{
    uint64_t numbers[3] = {e->size, (uint64_t)e->version, e->flags};
    return hash64(hash64(e->flags, e->extra), slice_make(numbers, sizeof numbers));
}

static int take_gone(void *arg, const struct iceberg_decoded *decoded,
                     const struct iceberg_entry *f, struct err *err)
{
    struct patching *p = arg;
    struct entry e = {.flags = 0};
    int rc = iceberg_place_file(&p->was, decoded, f, &e, err);
    if (rc < 0)
        return rc;
    rc = vec_push(&p->known, ((struct known){hash64(0, f->path), state_of(&e), false}));
    return rc < 0 ? no_way(err, "too many files are gone") : 0;
}

static int by_hash(const void *x, const void *y)
{
    const struct known *a = x, *b = y;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

static struct known *find_known(const struct patching *p, struct slice path)
{
    struct known want = {.hash = hash64(0, path)};
    return p->known.n ? bsearch(&want, p->known.at, p->known.n, sizeof want, by_hash) : NULL;
}

static int check_size(const struct patching *p, struct err *err)
{
    uint64_t most = run_files(p->base) / 4;
    most = most < PATCH_FILES_MAX ? PATCH_FILES_MAX : most;
    return p->adds + p->removals > most ? no_way(err, "too many files have changed") : 0;
}

static int add(struct patching *p, const struct iceberg_entry *f, const struct entry *e,
               struct err *err)
{
    const struct index_action action = {.entry = *e, .key = f->path, .seq = 1};
    p->adds++;
    int rc = check_size(p, err);
    return rc < 0 ? rc : index_build_add(p->build, &action, err);
}

static int take_come(void *arg, const struct iceberg_decoded *decoded,
                     const struct iceberg_entry *f, struct err *err)
{
    struct patching *p = arg;
    struct entry e = {.flags = 0};
    int rc = iceberg_place_file(&p->is, decoded, f, &e, err);
    if (rc < 0)
        return rc;
    struct known *known = find_known(p, f->path);
    bool same = known && known->state == state_of(&e);
    if (known)
        known->matched = true;
    return same ? 0 : add(p, f, &e, err);
}

static int take_removed(void *arg, const struct iceberg_decoded *decoded,
                        const struct iceberg_entry *f, struct err *err)
{
    struct patching *p = arg;
    const struct index_action action = {.key = f->path, .seq = 1, .removed = true};
    const struct known *known = find_known(p, f->path);
    (void)decoded;
    if (known && known->matched)
        return 0;
    p->removals++;
    int rc = check_size(p, err);
    return rc < 0 ? rc : index_build_add(p->build, &action, err);
}

/* A file that was there: other deletes may apply to it now. */
static int take_both(void *arg, const struct iceberg_decoded *decoded,
                     const struct iceberg_entry *f, struct err *err)
{
    struct patching *p = arg;
    struct entry was = {.flags = 0}, is = {.flags = 0};
    bool touched;
    int rc = iceberg_place_touched(&p->touched, decoded, f, &touched, err);
    if (rc < 0 || !touched)
        return rc;
    if (!p->entered) {
        rc = iceberg_place_manifest(&p->was, p->manifest, &decoded->head, err);
        if (rc == 0)
            rc = iceberg_place_manifest(&p->is, p->manifest, &decoded->head, err);
        p->entered = rc == 0;
    }
    if (rc == 0)
        rc = iceberg_place_file(&p->was, decoded, f, &was, err);
    uint64_t before = rc == 0 ? state_of(&was) : 0;
    if (rc == 0)
        rc = iceberg_place_file(&p->is, decoded, f, &is, err);
    return rc < 0 || state_of(&is) == before ? rc : add(p, f, &is, err);
}

static int walk(struct patching *p, struct iceberg_place *place, const struct list *l,
                iceberg_walk_file *file, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->at.n; i++) {
        p->manifest = l->at.at[i];
        p->entered = false;
        rc = iceberg_walk_manifest(place, p->manifest, file, p, err);
    }
    return rc;
}

static int collect(struct patching *p, struct err *err)
{
    p->known.max = (size_t)LOOKED_AT_MAX;
    int rc = decode(p, &p->gone, err);
    if (rc == 0)
        rc = decode(p, &p->come, err);
    if (rc == 0)
        rc = walk(p, &p->was, &p->gone, take_gone, err);
    if (rc == 0 && p->known.n)
        qsort(p->known.at, p->known.n, sizeof p->known.at[0], by_hash);
    for (size_t i = 1; rc == 0 && i < p->known.n; i++)
        if (p->known.at[i].hash == p->known.at[i - 1].hash)
            rc = no_way(err, "a file is named twice");
    if (rc == 0)
        rc = walk(p, &p->is, &p->come, take_come, err);
    if (rc == 0)
        rc = walk(p, &p->was, &p->gone, take_removed, err);
    if (rc == 0 && p->touched_deletes)
        rc = decode(p, &p->both, err);
    if (rc == 0 && p->touched_deletes)
        rc = walk(p, &p->touched, &p->both, take_both, err);
    return rc;
}

/* The patch gives as many files as the list tells. */
static int check_count(void *arg, const struct run *patch, struct err *err)
{
    const struct patching *p = arg;
    int64_t told =
        live_files(p->both.at.at, p->both.at.n) + live_files(p->come.at.at, p->come.at.n);
    int64_t have =
        (int64_t)run_files(p->base) - (int64_t)run_removed_files(patch) + (int64_t)run_files(patch);
    return told == have ? 0 : no_way(err, "the manifest list tells of another number of files");
}

static int make_patch(struct patching *p, struct run **out, struct err *err)
{
    struct iceberg_make *m = p->make;
    char name[RUN_NAME_BYTES];
    struct iceberg_identity id = {.snapshot = ICEBERG_NONE};
    iceberg_manifest_list_init(&p->before);
    int rc = read_before(p, err);
    if (rc == 0)
        rc = find_differences(p, err);
    if (rc == 0)
        rc = check_cost(p, err);
    struct iceberg_place *const places[] = {&p->was, &p->is, &p->touched};
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(places); i++)
        rc = iceberg_place_init(places[i], m->view, m->identity.schema, err);
    if (rc == 0)
        rc = read_deletes(p, err);
    if (rc == 0 && !(p->build = index_build_new(m->view->table->dirfd, err)))
        rc = -err->code;
    if (rc == 0)
        rc = collect(p, err);
    if (rc == 0)
        rc = iceberg_state_identity(run_meta(p->base), &id, err);
    if (rc < 0)
        return rc;
    iceberg_patch_name(name, id.snapshot, m->identity.snapshot, m->identity.schema);
    struct iceberg_filling filling = {
        .build = p->build, .files = p->adds, .check = check_count, .arg = p};
    return iceberg_make_run(m, &filling, p->base, name, out, err);
}

int iceberg_make_patch(struct iceberg_make *m, struct run *base, struct run **out, struct err *err)
{
    AUTO(patching) struct patching p = {.make = m, .base = base};
    struct err e = ERR_INIT;
    int rc = make_patch(&p, out, &e);
    /* Whatever stands in its way: the base that is made then tells what is wrong. */
    return rc < 0 && rc != -ENOMEM ? err_set(err, EAGAIN, "%s", e.msg) : rc;
}
