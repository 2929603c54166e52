/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of Iceberg tables as trees: bases and patches, which deletes apply, what is damaged. */
#include "tests/unit/iceberg_fixture.h"

#include <stdlib.h>

#include "lake/iceberg/runs.h"
#include "lake/objects.h"

#define ADDED 1
#define REMOVED 2
#define INHERITED (-1)

static struct made_entry data(const char *path, int partition)
{
    return (struct made_entry){.status = ADDED,
                               .snapshot = INHERITED,
                               .sequence = INHERITED,
                               .path = path,
                               .partition = partition,
                               .rows = 1,
                               .size = 100,
                               .sizes = true,
                               .offset = -1};
}

static struct made_entry position(const char *path, int partition)
{
    struct made_entry e = data(path, partition);
    e.content = 1;
    return e;
}

static struct made_entry vector(const char *path, const char *about, int64_t offset)
{
    struct made_entry e = data(path, 1);
    e.content = 1;
    e.format = "PUFFIN";
    e.referenced = about;
    e.offset = offset;
    return e;
}

static struct made_manifest made(struct fixture *f, const char *name, bool deletes, int64_t of,
                                 const struct made_entry *entries, size_t n)
{
    struct made_manifest m = {.deletes = deletes, .sequence = of, .snapshot = of};
    (void)snprintf(m.name, sizeof m.name, "%s.avro", name);
    write_manifest(f, &m, entries, n);
    return m;
}

/* Aim: a snapshot shows the files of its manifests, and the next one costs its difference. */
static void test_versions(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("data/p=1/a", 1), data("data/p=2/b", 2)};
    struct made_entry two[] = {data("c", 3)};
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 2), made(f, "m2", false, 2, two, 1)};
    struct made_snapshot s[] = {{1, -1, 1, "append"}, {2, 1, 2, "append"}};
    write_list(f, 1, m, 1);
    write_list(f, 2, m, 2);
    write_metadata(f, s, 2, "");
    AUTO(history) struct history *h = history(f);
    check_load(f, h, 0, "data/p=1/a 100 1 stored 1000\ndata/p=2/b 100 1 stored 1000\n", false);
    check_load(f, h, 1,
               "data/p=1/a 100 1 stored 1000\ndata/p=2/b 100 1 stored 1000\n"
               "p=3/c 100 2 built stored 2000\n",
               true);
}

/* Aim: a file whose deletes come later is shown with them from that snapshot on, not before. */
static void test_deletes(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("p=1/a", 1), data("p=1/b", 1), data("p=2/c", 2)};
    struct made_entry two[] = {position("x", 1)};
    struct made_entry three[] = {vector("v", "p=1/a", 4)};
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 3), made(f, "m2", true, 2, two, 1),
                                made(f, "m3", true, 3, three, 1)};
    struct made_snapshot s[] = {{1, -1, 1, "append"}, {2, 1, 2, "delete"}, {3, 2, 3, "delete"}};
    for (int64_t i = 1; i <= 3; i++)
        write_list(f, i, m, (size_t)i);
    write_metadata(f, s, 3, "");
    AUTO(history) struct history *h = history(f);
    check_load(f, h, 0,
               "p=1/a 100 1 stored 1000\np=1/b 100 1 stored 1000\np=2/c 100 1 stored 1000\n",
               false);
    check_load(f, h, 1, "p=1/a 100 1 - p:x 2000\np=1/b 100 1 - p:x 2000\np=2/c 100 1 stored 1000\n",
               true);
    check_load(f, h, 2,
               "p=1/a 100 1 - v:v@4 3000\np=1/b 100 1 - p:x 2000\np=2/c 100 1 stored 1000\n", true);
}

/* Aim: what is not proven to be as it is stored is not called so: files that may have no ids, or
 * may lack the column by which they are partitioned. */
static void test_proof(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("p=1/a", 1), data("p=1/b", 1)};
    one[1].sizes = false;
    struct made_manifest m = made(f, "m1", false, 1, one, 2);
    struct made_snapshot s = {1, -1, 1, "append"};
    write_list(f, 1, &m, 1);
    write_metadata(f, &s, 1, "\"schema.name-mapping.default\":\"[]\"");
    AUTO(history) struct history *h = history(f);
    check_load(f, h, 0, "p=1/a 100 1 1000\np=1/b 100 1 1000\n", false);
    history_unref(STEAL(h));
    forget(f);
    write_metadata(f, &s, 1, "");
    h = history(f);
    check_load(f, h, 0, "p=1/a 100 1 stored 1000\np=1/b 100 1 1000\n", false);
}

static int load_error(struct fixture *f, const struct history *h)
{
    AUTO(buf) struct buf out;
    bool patch;
    buf_init(&out, MIB);
    return load(f, h, 0, &out, &patch);
}

/* Aim: a snapshot of which a part is gone, or that tells what cannot be, is an error with its
 * reason, never a part of it. */
static void test_damage(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("p=1/a", 1), data("p=1/a", 1)};
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 1), made(f, "m2", false, 1, one, 1)};
    struct made_snapshot s = {1, -1, 1, "append"};
    write_list(f, 1, m, 1);
    write_metadata(f, &s, 1, "");
    AUTO(history) struct history *h = history(f);
    check_load(f, h, 0, "p=1/a 100 1 stored 1000\n", false);
    forget(f);
    history_unref(STEAL(h));
    h = history(f);
    assert_int_equal(unlinkat(f->table_fd, "m1.avro", 0), 0);
    assert_int_equal(load_error(f, h), -EIO);
    assert_non_null(strstr(f->err.msg, "m1.avro' is gone"));
    assert_int_equal(unlinkat(f->table_fd, "snap-1.avro", 0), 0);
    forget(f);
    history_unref(STEAL(h));
    h = history(f);
    assert_int_equal(load_error(f, h), -EIO);
    assert_non_null(strstr(f->err.msg, "snap-1.avro' is gone"));
    m[0] = made(f, "m1", false, 1, one, 1);
    write_list(f, 1, m, 2);
    assert_int_equal(load_error(f, h), -EIO);
    assert_non_null(strstr(f->err.msg, "named twice"));
}

/* Aim: a manifest or list that was kept, and is damaged, is read again. */
static void test_kept_damage(void **state)
{
    struct fixture *f = *state;
    char name[RUN_NAME_BYTES], path[128];
    struct made_entry one[] = {data("p=1/a", 1)};
    struct made_manifest m = made(f, "m1", false, 1, one, 1);
    struct made_snapshot s = {1, -1, 1, "append"};
    write_list(f, 1, &m, 1);
    write_metadata(f, &s, 1, "");
    AUTO(history) struct history *h = history(f);
    (void)snprintf(path, sizeof path, "file://%s/lake/t/metadata/m1.avro", f->dir);
    iceberg_manifest_name(name, slice_of(path), (uint64_t)m.length);
    assert_int_equal(file_replace(f->runs_fd, name, SLICE_LIT("junk"), 0600, &f->err), 0);
    check_load(f, h, 0, "p=1/a 100 1 stored 1000\n", false);
    AUTO(buf) struct buf kept = {0};
    buf_init(&kept, MIB);
    assert_int_equal(file_read(f->runs_fd, name, &kept, &f->err), 0);
    kept.data[kept.len / 2] ^= 1;
    assert_int_equal(file_replace(f->runs_fd, name, buf_slice(&kept), 0600, &f->err), 0);
    iceberg_base_name(name, 1, 0);
    assert_int_equal(unlinkat(f->runs_fd, name, 0), 0);
    (void)snprintf(path, sizeof path, "file://%s/lake/t/metadata/snap-1.avro", f->dir);
    iceberg_list_name(name, slice_of(path));
    assert_int_equal(file_replace(f->runs_fd, name, SLICE_LIT("junk"), 0600, &f->err), 0);
    check_load(f, h, 0, "p=1/a 100 1 stored 1000\n", false);
}

static int list_range(struct fixture *f, const struct history *h, ptrdiff_t after, size_t upto,
                      struct buf *out)
{
    AUTO(snapshot) struct snapshot *s = NULL;
    struct version_range range = {.after = after, .upto = upto};
    buf_reset(out);
    f->err = (struct err)ERR_INIT;
    int rc = iceberg_ops.range(f->driver, h, &range, &s, &f->err);
    if (rc < 0)
        return rc;
    rc = snapshot_each_file(s, list_entry, out, &f->err);
    sort_lines(out);
    return rc;
}

/* Aim: a range has what its snapshots appended, not what they rewrote, and only of one line of
 * descent. */
static void test_range(void **state)
{
    struct fixture *f = *state;
    struct made_entry one[] = {data("p=1/a", 1)}, two[] = {data("p=1/b", 1)};
    struct made_entry three[] = {data("p=1/ab", 1), data("p=1/a", 1)};
    three[1].status = REMOVED;
    three[1].sequence = three[1].snapshot = 1;
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 1), made(f, "m2", false, 2, two, 1),
                                made(f, "m3", false, 3, three, 2), made(f, "m4", false, 4, one, 1)};
    struct made_snapshot s[] = {
        {1, -1, 1, "append"}, {2, 1, 2, "append"}, {3, 2, 3, "replace"}, {4, 1, 4, "append"}};
    AUTO(buf) struct buf out = {0};
    buf_init(&out, MIB);
    write_list(f, 1, m, 1);
    write_list(f, 2, m, 2);
    write_list(f, 3, &m[2], 1);
    write_list(f, 4, &m[3], 1);
    write_metadata(f, s, 4, "");
    AUTO(history) struct history *h = history(f);
    assert_int_equal(list_range(f, h, -1, 2, &out), 0);
    assert_string_equal(out.data, "p=1/a 100 1 stored 1000\np=1/b 100 2 stored 2000\n");
    assert_int_equal(list_range(f, h, 0, 2, &out), 0);
    assert_string_equal(out.data, "p=1/b 100 2 stored 2000\n");
    assert_int_equal(list_range(f, h, 1, 3, &out), -ENOENT);
    assert_non_null(strstr(f->err.msg, "no ancestor"));
}

static int tell_key(void *arg, const char *key)
{
    buf_addf(arg, "%s\n", key);
    return 0;
}

/* Three snapshots: a file comes with its deletes, and is rewritten. */
static void make_rewritten(struct fixture *f)
{
    struct made_entry one[] = {data("p=1/a", 1), data("p=2/b", 2)};
    struct made_entry two[] = {position("x", 1), vector("v", "p=2/b", 4)};
    struct made_entry three[] = {data("p=1/c", 1), data("p=2/b", 2), data("p=1/a", 1)};
    three[1].status = 0;
    three[1].sequence = three[1].snapshot = three[2].sequence = three[2].snapshot = 1;
    three[2].status = REMOVED;
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 2), made(f, "m2", true, 2, two, 2),
                                made(f, "m3", false, 3, three, 3)};
    struct made_snapshot s[] = {{1, -1, 1, "append"}, {2, 1, 2, "delete"}, {3, 2, 3, "replace"}};
    struct made_manifest last[] = {m[2], m[1]};
    write_list(f, 1, m, 1);
    write_list(f, 2, m, 2);
    write_list(f, 3, last, 2);
    write_metadata(f, s, 3, "");
}

/* Aim: an archive of a version has all that the version is made of, its delete files too. */
static void test_needs(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf out = {0};
    buf_init(&out, MIB);
    make_rewritten(f);
    AUTO(history) struct history *h = history(f);
    assert_int_equal(iceberg_ops.log_objects(f->driver, h, 1, tell_key, &out, &f->err), 0);
    sort_lines(&out);
    assert_string_equal(out.data, "t/metadata/00001-x.metadata.json\nt/metadata/m1.avro\n"
                                  "t/metadata/m2.avro\nt/metadata/snap-2.avro\nt/v\nt/x\n");
}

static int tell_event(void *arg, const struct object_event *e, struct err *err)
{
    (void)err;
    buf_addf(arg, "%zu %s %s%.*s", e->position,
             e->what == OBJECT_REMOVED ? "-"
             : e->what == OBJECT_ADDED ? "+"
                                       : "=",
             e->kind == OBJECT_DELETES ? "deletes "
             : e->kind == OBJECT_LOG   ? "log "
                                       : "",
             SLICE_FMT(e->key));
    for (size_t i = 0; i < e->partitions_n; i++)
        buf_addf(arg, " %.*s=%.*s", SLICE_FMT(e->partitions[i].column),
                 SLICE_FMT(e->partitions[i].value));
    buf_addf(arg, "%s\n", e->moves_rows ? " moved" : "");
    return 0;
}

static int tell_facts(void *arg, const struct object_facts *facts, struct err *err)
{
    (void)err;
    buf_addf(arg, "9 kept %lld by %.*s\n", (long long)facts->retention_ms,
             SLICE_FMT(facts->columns[0].name));
    return 0;
}

/* Aim: what each snapshot came to hold and ceased to is told, and what a rewriting moved. */
static void test_objects(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf out = {0};
    struct object_sink sink = {tell_event, tell_facts, &out};
    buf_init(&out, MIB);
    make_rewritten(f);
    AUTO(history) struct history *h = history(f);
    assert_int_equal(iceberg_ops.objects(f->driver, h, &sink, &f->err), 0);
    sort_lines(&out);
    assert_string_equal(out.data, "0 + log t/metadata/m1.avro\n0 + log t/metadata/snap-1.avro\n"
                                  "0 + t/p=1/a p=1\n0 + t/p=2/b p=2\n"
                                  "1 + deletes t/v\n1 + deletes t/x\n"
                                  "1 + log t/metadata/m2.avro\n1 + log t/metadata/snap-2.avro\n"
                                  "1 - log t/metadata/snap-1.avro\n"
                                  "2 + log t/metadata/m3.avro\n2 + log t/metadata/snap-3.avro\n"
                                  "2 + t/p=1/c p=1\n"
                                  "2 - log t/metadata/m1.avro\n2 - log t/metadata/snap-2.avro\n"
                                  "2 - t/p=1/a moved\n2 - t/p=2/b moved\n"
                                  "2 = t/p=2/b p=2\n9 kept 432000000 by p\n");
}

/* Aim: what a compaction of one branch does not hold is another branch's, and was not moved. */
static void test_objects_of_branches(void **state)
{
    struct fixture *f = *state;
    AUTO(buf) struct buf out = {0};
    struct object_sink sink = {tell_event, tell_facts, &out};
    struct made_entry one[] = {data("p=1/a", 1)}, two[] = {data("p=2/b", 2)};
    struct made_entry three[] = {data("p=1/c", 1)};
    struct made_manifest m[] = {made(f, "m1", false, 1, one, 1), made(f, "m2", false, 2, two, 1),
                                made(f, "m3", false, 3, three, 1)};
    struct made_snapshot s[] = {{1, -1, 1, "append"}, {2, 1, 2, "append"}, {3, 1, 3, "replace"}};
    buf_init(&out, MIB);
    write_list(f, 1, m, 1);
    write_list(f, 2, m, 2);
    write_list(f, 3, m + 2, 1);
    write_metadata(f, s, 3, "");
    AUTO(history) struct history *h = history(f);
    assert_int_equal(iceberg_ops.objects(f->driver, h, &sink, &f->err), 0);
    assert_non_null(strstr(out.data, "2 - t/p=2/b\n"));
    assert_null(strstr(out.data, "moved"));
}

/* A random table against a model ------------------------------------------------------------- */

#define SNAPSHOTS 12
#define FILES 64
#define MANIFESTS 48

struct model_file {
    char path[64];
    struct made_entry e; /* with its own sequence and snapshot; path is set from it */
    char referenced[64];
};

struct model_manifest {
    struct made_manifest m;
    struct model_file files[FILES];
    size_t n;
};

struct model {
    struct model_manifest at[MANIFESTS];
    size_t n;
};

struct random {
    uint64_t state;
};

static size_t pick(struct random *r, size_t n)
{
    r->state = r->state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(r->state >> 33) % n;
}

/* Writes the manifest as its files are: new ones inherit, where `inherit`. */
static void write_model(struct fixture *f, struct model_manifest *m, int64_t snapshot, int *names)
{
    struct made_entry entries[FILES];
    for (size_t i = 0; i < m->n; i++) {
        entries[i] = m->files[i].e;
        entries[i].path = m->files[i].path;
        if (entries[i].offset >= 0)
            entries[i].referenced = m->files[i].referenced;
        entries[i].status = entries[i].snapshot == snapshot ? ADDED : 0;
        if (entries[i].status == ADDED && i % 2)
            entries[i].sequence = entries[i].snapshot = INHERITED;
    }
    m->m.sequence = m->m.snapshot = snapshot;
    (void)snprintf(m->m.name, sizeof m->m.name, "m%d.avro", (*names)++);
    write_manifest(f, &m->m, entries, m->n);
}

static const struct model_file *some_file(struct random *r, const struct model *model)
{
    for (int tries = 0; model->n && tries < 50; tries++) {
        const struct model_manifest *m = &model->at[pick(r, model->n)];
        if (!m->m.deletes && m->n)
            return &m->files[pick(r, m->n)];
    }
    return NULL;
}

static bool has_vector(const struct model *model, const char *path)
{
    for (size_t i = 0; i < model->n; i++)
        for (size_t k = 0; k < model->at[i].n; k++)
            if (model->at[i].files[k].e.offset >= 0 &&
                strcmp(model->at[i].files[k].referenced, path) == 0)
                return true;
    return false;
}

static void add_files(struct random *r, const struct model *model, struct model_manifest *m,
                      int64_t snapshot, int *names)
{
    size_t n = 1 + pick(r, 5);
    for (size_t i = 0; i < n; i++) {
        struct model_file *file = &m->files[m->n];
        int partition = (int)pick(r, 4) - 1;
        const struct model_file *about = some_file(r, model);
        char kind = m->m.deletes ? "pev"[pick(r, 3)] : 'd';
        if (kind == 'v' && (!about || has_vector(model, about->path)))
            kind = 'p';
        *file = (struct model_file){.e = data("", partition)};
        if (kind == 'd' && partition >= 0 && pick(r, 2))
            (void)snprintf(file->path, sizeof file->path, "data/p=%d/f%d", partition, (*names)++);
        else
            (void)snprintf(file->path, sizeof file->path, "data/%c%d", kind, (*names)++);
        file->e.sequence = file->e.snapshot = snapshot;
        file->e.content = kind == 'd' ? 0 : kind == 'e' ? 2 : 1;
        file->e.equality_id = kind == 'e';
        file->e.size = 50 + (int64_t)pick(r, 50);
        if (kind == 'v') {
            file->e.format = "PUFFIN";
            file->e.partition = about->e.partition;
            file->e.offset = (int64_t)pick(r, 1000);
            (void)snprintf(file->referenced, sizeof file->referenced, "%s", about->path);
            m->n++;
            return; /* two of one data file would be damage */
        }
        m->n++;
    }
}

static void drop(struct model *model, size_t i)
{
    model->at[i] = model->at[--model->n];
}

/* One commit on the state of its parent. */
static void commit(struct fixture *f, struct random *r, struct model *model, int64_t snapshot,
                   int *names)
{
    size_t i = model->n ? pick(r, model->n) : 0, k = model->n ? pick(r, model->n) : 0;
    struct model_manifest *a = &model->at[i], *b = &model->at[k];
    switch (model->n ? pick(r, 6) : 0) {
    case 0: /* append, or deletes */
    case 1:
    case 2:
        a = &model->at[model->n];
        *a = (struct model_manifest){.m.deletes = model->n && pick(r, 2)};
        add_files(r, model, a, snapshot, names);
        model->n++;
        write_model(f, a, snapshot, names);
        break;
    case 3: /* a manifest without some of its files */
        for (size_t n = 0; n < a->n; n++)
            if (pick(r, 3) == 0)
                a->files[n--] = a->files[--a->n];
        write_model(f, a, snapshot, names);
        break;
    case 4: /* two become one */
        if (i == k || a->m.deletes != b->m.deletes || a->n + b->n > FILES)
            break;
        memcpy(&a->files[a->n], b->files, b->n * sizeof b->files[0]);
        a->n += b->n;
        write_model(f, a, snapshot, names);
        drop(model, k);
        break;
    case 5:
        drop(model, i);
        break;
    }
}

static bool applies(const struct model_file *d, const struct model_file *file, bool vector)
{
    if (d->e.offset >= 0)
        return strcmp(d->referenced, file->path) == 0 && d->e.sequence >= file->e.sequence;
    return d->e.partition == file->e.partition &&
           (d->e.content == 2 ? d->e.sequence > file->e.sequence
                              : !vector && d->e.sequence >= file->e.sequence);
}

struct applied {
    const struct model_file *at[FILES];
    size_t n;
    int64_t newest;
};

static int by_delete(const void *x, const void *y)
{
    const struct model_file *a = *(const struct model_file *const *)x,
                            *b = *(const struct model_file *const *)y;
    int kind_a = a->e.offset >= 0 ? 3 : a->e.content, kind_b = b->e.offset >= 0 ? 3 : b->e.content;
    return kind_a != kind_b ? kind_a - kind_b : strcmp(a->path, b->path);
}

static void find_applied(const struct model *model, const struct model_file *file,
                         struct applied *out)
{
    bool vector = false;
    *out = (struct applied){.newest = file->e.snapshot};
    for (int pass = 0; pass < 2; pass++) /* vectors first */
        for (size_t i = 0; i < model->n; i++)
            for (size_t k = 0; model->at[i].m.deletes && k < model->at[i].n; k++) {
                const struct model_file *d = &model->at[i].files[k];
                if ((d->e.offset >= 0) != (pass == 0) || !applies(d, file, vector))
                    continue;
                vector = vector || pass == 0;
                out->at[out->n++] = d;
                out->newest = d->e.snapshot > out->newest ? d->e.snapshot : out->newest;
            }
    if (out->n)
        qsort(out->at, out->n, sizeof out->at[0], by_delete);
}

/* What the table shows, by the rules alone. */
static void list_model(const struct model *model, struct buf *out)
{
    buf_reset(out);
    for (size_t i = 0; i < model->n; i++)
        for (size_t k = 0; !model->at[i].m.deletes && k < model->at[i].n; k++) {
            const struct model_file *file = &model->at[i].files[k];
            struct applied applied;
            bool kept = strstr(file->path, "p=") != NULL;
            find_applied(model, file, &applied);
            if (kept)
                buf_add_str(out, file->path);
            else if (file->e.partition < 0)
                buf_addf(out, "p=__HIVE_DEFAULT_PARTITION__/%s", file->path + 5);
            else
                buf_addf(out, "p=%d/%s", file->e.partition, file->path + 5);
            buf_addf(out, " %lld %lld%s%s", (long long)file->e.size, (long long)file->e.snapshot,
                     kept ? "" : " built", applied.n ? " -" : " stored");
            for (size_t n = 0; n < applied.n; n++) {
                const struct model_file *d = applied.at[n];
                if (d->e.offset >= 0)
                    buf_addf(out, " v:%s@%lld", d->path + 5, (long long)d->e.offset);
                else
                    buf_addf(out, " %c:%s", d->e.content == 2 ? 'e' : 'p', d->path + 5);
            }
            buf_addf(out, " %lld\n", (long long)(1000 * applied.newest));
        }
    sort_lines(out);
}

static void check_random(struct fixture *f, uint64_t seed)
{
    static struct model models[SNAPSHOTS];
    struct made_snapshot snapshots[SNAPSHOTS];
    struct random r = {seed};
    AUTO(buf) struct buf want, got;
    int names = 0, patches = 0;
    buf_init(&want, 4 * MIB);
    buf_init(&got, 4 * MIB);
    for (int i = 0; i < SNAPSHOTS; i++) {
        int parent = i ? (pick(&r, 4) ? i - 1 : (int)pick(&r, (size_t)i)) : -1;
        models[i] = parent < 0 ? (struct model){.n = 0} : models[parent];
        for (size_t n = 0; n < 1 + pick(&r, 3); n++)
            commit(f, &r, &models[i], i + 1, &names);
        snapshots[i] = (struct made_snapshot){i + 1, parent + 1 ? parent + 1 : -1, i + 1, "append"};
        struct made_manifest list[MANIFESTS];
        for (size_t k = 0; k < models[i].n; k++)
            list[k] = models[i].at[k].m;
        write_list(f, i + 1, list, models[i].n);
    }
    write_metadata(f, snapshots, SNAPSHOTS, "");
    AUTO(history) struct history *h = history(f);
    for (int i = 0; i < 2 * SNAPSHOTS; i++) {
        size_t at = pick(&r, SNAPSHOTS);
        bool patch = false;
        if (load(f, h, at, &got, &patch) < 0)
            fail_msg("seed %llu: snapshot %zu: %s", (unsigned long long)seed, at + 1, f->err.msg);
        list_model(&models[at], &want);
        if (!slice_eq(buf_slice(&want), buf_slice(&got)))
            fail_msg("seed %llu: snapshot %zu%s has\n%sand not\n%s", (unsigned long long)seed,
                     at + 1, patch ? " (a patch)" : "", got.data ? got.data : "", want.data);
        patches += patch;
    }
    assert_true(patches > 0);
}

/* Aim: whatever was committed, and in whatever order snapshots are loaded, each shows the files and
 * deletes that the specification gives it. TARN_SEED chooses the table. */
static void test_random(void **state)
{
    struct fixture *f = *state;
    const char *chosen = getenv("TARN_SEED");
    for (uint64_t seed = 1; seed <= (chosen ? 1 : 40); seed++) {
        check_random(f, chosen ? strtoull(chosen, NULL, 10) : seed);
        forget(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_deletes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_proof, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_needs, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_objects, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_objects_of_branches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
