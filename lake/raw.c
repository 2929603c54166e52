/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/raw.h"

#include "base/text.h"
#include "lake/index/build.h"
#include "lake/index/prune.h"
#include "lake/key_name.h"

#define PREFIX "raw-"
#define RUN_NAME_BYTES 64
/* Of one table, the last that were made. */
#define RAW_RUNS_MAX 8

bool raw_is(const struct run *run)
{
    return slice_starts(slice_of(run_name(run)), SLICE_LIT(PREFIX));
}

static bool is_raw_name(struct slice name)
{
    return slice_starts(name, SLICE_LIT(PREFIX));
}

struct making {
    struct table *table;
    struct index_build *build;
    struct buf prefix; /* of the table's keys */
    struct buf path;
    struct object_location at;
    uint64_t seq;
    struct err *err;
};

/* The path of an object that lies elsewhere, or cannot be told where. */
static void add_outside(struct making *m, const struct entry *e)
{
    AUTO(buf) struct buf decoded = {0};
    buf_init(&decoded, ACTION_BYTES_MAX);
    text_percent_decode(&decoded, e->raw); /* what tables name are URI references */
    buf_reset(&m->path);
    buf_add_str(&m->path, RAW_OUTSIDE);
    (void)key_name_add(&m->path, text_basename(buf_slice(&decoded)),
                       false); /* what has no name is not to be read either */
}

/* True: its object is below the table's root, and has a path there. */
static bool add_inside(struct making *m)
{
    struct slice key = buf_slice(&m->at.key), prefix = buf_slice(&m->prefix);
    if (!slice_starts(key, prefix) || key.n == prefix.n)
        return false;
    return key_name_add_path(&m->path, slice_from(key, prefix.n), false) == KEY_FLAW_NONE;
}

static int add_file(void *arg, const struct entry *e)
{
    struct making *m = arg;
    struct index_action action = {.entry = *e, .seq = m->seq++};
    const struct driver_ops *ops = table_ops(m->table);
    buf_reset(&m->path);
    buf_reset(&m->at.key);
    buf_reset(&m->at.etag);
    buf_reset(&m->at.version);
    bool told = ops->locate(table_driver(m->table), e, &m->at, NULL) == 0;
    bool inside = told && !m->at.store && add_inside(m);
    if (!inside)
        add_outside(m, e);
    int rc = buf_check(&m->path, m->err);
    if (rc < 0)
        return rc;
    action.key = told && !m->at.store ? buf_slice(&m->at.key) : e->raw;
    action.entry.path = buf_slice(&m->path);
    action.entry.flags = ENTRY_AS_STORED | (inside ? 0 : ENTRY_BUILT);
    if (e->flags & ENTRY_DELETES) /* which rows those are is nothing of the object */
        action.entry.extra = SLICE_NONE;
    return index_build_add(m->build, &action, m->err);
}

static int make(struct table *t, const struct table_version *of, const char *name, struct err *err)
{
    struct making m = {.table = t, .err = err};
    struct prune_kind kind = {.is = is_raw_name, .keep = RAW_RUNS_MAX};
    m.build = index_build_new(table_index_dirfd(t), err);
    if (!m.build)
        return err ? -err->code : -ENOMEM;
    buf_init(&m.prefix, KEY_BYTES_MAX);
    buf_init(&m.path, KEY_BYTES_MAX);
    object_location_init(&m.at);
    buf_add_slice(&m.prefix, table_prefix(t));
    int rc = buf_check(&m.prefix, err);
    if (rc == 0)
        rc = snapshot_each_file(of->snapshot, add_file, &m, err);
    if (rc == 0)
        rc = index_build_base(m.build, name, snapshot_meta(of->snapshot), err);
    if (rc == 0)
        prune_runs(table_index_dirfd(t), &kind, 1);
    index_build_free(m.build);
    object_location_done(&m.at);
    buf_done(&m.path);
    buf_done(&m.prefix);
    return rc;
}

static int open_run(struct table *t, const struct table_version *of, struct run **out,
                    struct err *err)
{
    char name[RUN_NAME_BYTES];
    (void)snprintf(name, sizeof name, PREFIX "%020lld-%016llx", (long long)of->version.number,
                   (unsigned long long)of->version.fingerprint); /* 41 bytes */
    int rc = run_open(table_index_dirfd(t), name, out, err);
    if (rc != -ENOENT && rc != -EUCLEAN)
        return rc;
    rc = make(t, of, name, err);
    rc = lake_heal_version(table_lake(t), t, of, rc, err);
    return rc < 0 ? rc : run_open(table_index_dirfd(t), name, out, err);
}

int raw_version(struct table *t, const struct table_version *of, struct task *task,
                struct table_version **out, struct err *err)
{
    struct run *run = NULL;
    if (!of->snapshot)
        return err_set(err, ENOENT, "the table has no version yet");
    int rc = task_to_worker(task, table_lake(t)->config.workers);
    if (rc == 0)
        rc = open_run(t, of, &run, err);
    if (rc < 0)
        return rc;
    AUTO(table_version) struct table_version *v = calloc(1, sizeof *v);
    if (!v) {
        run_unref(run);
        return err_set(err, ENOMEM, "out of memory");
    }
    v->refs = 1;
    v->kind = of->kind;
    v->after = of->after;
    v->version = of->version;
    v->snapshot = snapshot_new(run, NULL, err);
    if (!v->snapshot)
        return -ENOMEM;
    rc = lake_run_number(table_lake(t), t, run, &v->base_number, err);
    if (rc == 0)
        *out = STEAL(v);
    return rc;
}
