/* SPDX-License-Identifier: Apache-2.0 */
/* Random Iceberg tables beside a model that applies deletes as the specification says. */
#include "tests/unit/iceberg_fixture.h"

#include <stdlib.h>

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
        cmocka_unit_test_setup_teardown(test_random, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
