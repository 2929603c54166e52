/* SPDX-License-Identifier: Apache-2.0 */
/* An Iceberg table in a directory, its metadata and manifests written by hand, and its driver. For
 * tests. The data files themselves are not there. */
#ifndef TESTS_UNIT_ICEBERG_FIXTURE_H
#define TESTS_UNIT_ICEBERG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/workers.h"
#include "lake/iceberg/extra.h"
#include "lake/iceberg/iceberg.h"
#include "tests/unit/avro_fixture.h"

#define OPTIONAL(name, id, type)                                                                   \
    "{\"name\":\"" name "\",\"field-id\":" id ",\"type\":[\"null\"," type "]}"
#define REQUIRED(name, id, type) "{\"name\":\"" name "\",\"field-id\":" id ",\"type\":" type "}"
#define SIZES                                                                                      \
    "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\",\"name\":\"k1\","  \
    "\"fields\":[" REQUIRED("key", "117", "\"int\"") "," REQUIRED("value", "118",                  \
                                                                  "\"long\"") "]}}"
#define BOUNDS(name, key, value)                                                                   \
    "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\",\"name\":\"" name  \
    "\",\"fields\":[" REQUIRED("key", key, "\"int\"") "," REQUIRED("value", value,                 \
                                                                   "\"bytes\"") "]}}"

static const char list_schema[] =
    "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":[" REQUIRED("manifest_path", "500", "\"string\"") "," REQUIRED("manifest_length", "501", "\"long\"") "," REQUIRED(
        "partition_spec_id", "502",
        "\"int\"") "," REQUIRED("content", "517",
                                "\"int\"") "," REQUIRED("sequence_number", "515",
                                                        "\"long\"") "," REQUIRED("added_snapshot_"
                                                                                 "id",
                                                                                 "503",
                                                                                 "\"long\"") "," REQUIRED("added_files_count",
                                                                                                          "504",
                                                                                                          "\"int\"") "," REQUIRED("existing_files_count",
                                                                                                                                  "505",
                                                                                                                                  "\"int\"") "]}";

static const char entry_schema[] = "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":"
                                   "[" REQUIRED("status", "0",
                                                "\"int\"") "," OPTIONAL("snapshot_id", "1", "\"long\"") "," OPTIONAL("sequence_number", "3", "\"long\"") ","
                                                                                                                                                         "{\"name\":\"data_file\",\"field-id\":2,\"type\":{\"type\":\"record\",\"name\":\"r2\","
                                                                                                                                                         "\"fields\":[" REQUIRED("content",
                                                                                                                                                                                 "134", "\"int\"") "," REQUIRED("file_path", "100", "\"string\"") "," REQUIRED("file_format", "101", "\"string\"") ","
                                                                                                                                                                                                                                                                                                   "{\"name\":\"partition\",\"field-id\":102,\"type\":{\"type\":\"record\",\"name\":\"r102\","
                                                                                                                                                                                                                                                                                                   "\"fields\":[" OPTIONAL("p",
                                                                                                                                                                                                                                                                                                                           "1000", "\"int\"") "]}}," REQUIRED("record_count",
                                                                                                                                                                                                                                                                                                                                                              "103",
                                                                                                                                                                                                                                                                                                                                                              "\"long\"") "," REQUIRED("file_size_in_bytes", "104", "\"long\"") "," OPTIONAL("column_sizes",
                                                                                                                                                                                                                                                                                                                                                                                                                                             "108", SIZES) "," OPTIONAL("lower_bounds", "125", BOUNDS("k2", "126", "127")) "," OPTIONAL("upper_bounds",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        "128",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                        BOUNDS("k3", "129", "130")) "," OPTIONAL("equality_ids", "135", "{\"type\":\"array\",\"element-id\":136,\"items\":\"int\"}") "," OPTIONAL("referenced_data_file", "143", "\"string\"") "," OPTIONAL("content_offset", "144", "\"long\"") "," OPTIONAL("content_size_in_bytes", "145",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                              "\"long\"") "]}}]}";

/* One entry of a manifest. */
struct made_entry {
    int status, content;
    int64_t snapshot, sequence; /* -1: inherited */
    const char *path;           /* below the table's location */
    const char *format;         /* NULL: PARQUET */
    int partition;              /* -1: null */
    int64_t rows, size;
    bool sizes;        /* column_sizes of the columns 1 and 2 */
    const char *lower; /* bounds of file_path, below the location; NULL: none */
    const char *upper;
    int equality_id;        /* 0: none */
    const char *referenced; /* below the location; NULL: none */
    int64_t offset;         /* -1: no deletion vector */
};

/* One manifest as a list has it. */
struct made_manifest {
    char name[32];
    bool deletes;
    int64_t sequence, snapshot, length;
    int live;
};

struct fixture {
    char dir[64];
    int table_fd, runs_fd; /* <dir>/lake/t/metadata, <dir>/runs */
    struct workers *workers;
    struct store *store;
    struct driver *driver;
    struct err err;
    int metadata; /* number of the newest metadata file */
};

static inline void open_driver(struct fixture *f)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/runs", f->dir);
    assert_int_equal(file_mkdirs(path, 0700, &f->err), 0);
    f->runs_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct driver_config config = {.store = f->store, .prefix = "t/", .index_dirfd = f->runs_fd};
    assert_int_equal(iceberg_ops.open(&config, &f->driver, &f->err), 0);
}

static inline int set_up(void **state)
{
    static struct fixture f;
    char path[128];
    f = (struct fixture){.dir = "/tmp/tarn-iceberg-XXXXXX"};
    assert_non_null(mkdtemp(f.dir));
    (void)snprintf(path, sizeof path, "%s/lake/t/metadata", f.dir);
    assert_int_equal(file_mkdirs(path, 0700, &f.err), 0);
    f.table_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    f.workers = workers_new("test", 1, &f.err);
    struct store_runtime runtime = {.workers = f.workers};
    struct store_options options = {0};
    (void)snprintf(path, sizeof path, "%s/lake", f.dir);
    f.store = store_open(path, &options, &runtime, &f.err);
    assert_non_null(f.store);
    open_driver(&f);
    *state = &f;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path);
}

/* All that was kept of the table is forgotten. */
static inline void forget(struct fixture *f)
{
    char path[128];
    iceberg_ops.close(f->driver);
    (void)close(f->runs_fd);
    (void)snprintf(path, sizeof path, "%s/runs", f->dir);
    assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    open_driver(f);
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    iceberg_ops.close(f->driver);
    store_free(f->store);
    workers_free(f->workers);
    (void)close(f->table_fd);
    (void)close(f->runs_fd);
    return nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Avro values. */

static inline void put_location(struct buf *out, const struct fixture *f, const char *path)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, KIB);
    buf_addf(&text, "file://%s/lake/t/%s", f->dir, path);
    put_text(out, buf_slice(&text));
}

static inline bool put_some(struct buf *out, bool some)
{
    put_long(out, some);
    return some;
}

static inline void put_bound(struct buf *out, const struct fixture *f, const char *path)
{
    if (!put_some(out, path != NULL))
        return;
    put_long(out, 1);
    put_long(out, 2147483546);
    put_location(out, f, path);
    put_long(out, 0);
}

static inline void put_entry(struct buf *out, const struct fixture *f, const struct made_entry *e)
{
    put_long(out, e->status);
    if (put_some(out, e->snapshot >= 0))
        put_long(out, e->snapshot);
    if (put_some(out, e->sequence >= 0))
        put_long(out, e->sequence);
    put_long(out, e->content);
    put_location(out, f, e->path);
    put_text(out, slice_of(e->format ? e->format : "PARQUET"));
    if (put_some(out, e->partition >= 0))
        put_long(out, e->partition);
    put_long(out, e->rows);
    put_long(out, e->size);
    if (put_some(out, e->sizes)) {
        put_long(out, 2);
        for (int id = 1; id <= 2; id++) {
            put_long(out, id);
            put_long(out, 100);
        }
        put_long(out, 0);
    }
    put_bound(out, f, e->lower);
    put_bound(out, f, e->upper);
    if (put_some(out, e->equality_id)) {
        put_long(out, 1);
        put_long(out, e->equality_id);
        put_long(out, 0);
    }
    if (put_some(out, e->referenced != NULL))
        put_location(out, f, e->referenced);
    if (put_some(out, e->offset >= 0))
        put_long(out, e->offset);
    if (put_some(out, e->offset >= 0))
        put_long(out, 40);
}

static inline void write_avro(struct fixture *f, const char *name, const char *schema,
                              int64_t records, struct slice bytes, int64_t *length)
{
    AUTO(buf) struct buf file = {0};
    put_file(&file, schema, records, bytes);
    assert_int_equal(file_replace(f->table_fd, name, buf_slice(&file), 0600, &f->err), 0);
    *length = (int64_t)file.len;
}

/* Writes a manifest; its name, length and count of live files are set. */
static inline void write_manifest(struct fixture *f, struct made_manifest *m,
                                  const struct made_entry *entries, size_t n)
{
    AUTO(buf) struct buf records = {0};
    buf_init(&records, 16 * MIB);
    m->live = 0;
    for (size_t i = 0; i < n; i++) {
        put_entry(&records, f, &entries[i]);
        m->live += entries[i].status != 2;
    }
    write_avro(f, m->name, entry_schema, (int64_t)n, buf_slice(&records), &m->length);
}

/* Writes the list of a snapshot: `snap-<id>.avro`. */
static inline void write_list(struct fixture *f, int64_t snapshot, const struct made_manifest *at,
                              size_t n)
{
    AUTO(buf) struct buf records = {0};
    char name[64];
    int64_t length;
    buf_init(&records, 16 * MIB);
    for (size_t i = 0; i < n; i++) {
        AUTO(buf) struct buf path = {0};
        buf_init(&path, KIB);
        buf_addf(&path, "metadata/%s", at[i].name);
        put_location(&records, f, path.data);
        put_long(&records, at[i].length);
        put_long(&records, 0);
        put_long(&records, at[i].deletes);
        put_long(&records, at[i].sequence);
        put_long(&records, at[i].snapshot);
        put_long(&records, at[i].live);
        put_long(&records, 0);
    }
    (void)snprintf(name, sizeof name, "snap-%lld.avro", (long long)snapshot);
    write_avro(f, name, list_schema, (int64_t)n, buf_slice(&records), &length);
}

/* A snapshot of the metadata: its parent, and what it did. */
struct made_snapshot {
    int64_t id, parent, sequence;
    const char *operation;
};

/* The table's next metadata, partitioned by the identity of column 2. properties: of a JSON object,
 * or "". */
static inline void write_metadata(struct fixture *f, const struct made_snapshot *at, size_t n,
                                  const char *properties)
{
    AUTO(buf) struct buf out = {0};
    char name[64];
    buf_init(&out, 16 * MIB);
    buf_addf(&out,
             "{\"format-version\":3,\"table-uuid\":\"u\",\"location\":\"file://%s/lake/t\","
             "\"last-updated-ms\":%zu,\"last-sequence-number\":%zu,\"last-column-id\":2,"
             "\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":"
             "[{\"id\":1,\"name\":\"a\",\"required\":false,\"type\":\"long\"},"
             "{\"id\":2,\"name\":\"p\",\"required\":false,\"type\":\"int\"}]}],"
             "\"default-spec-id\":0,\"partition-specs\":[{\"spec-id\":0,\"fields\":[{\"name\":"
             "\"p\",\"transform\":\"identity\",\"source-id\":2,\"field-id\":1000}]}],"
             "\"last-partition-id\":1000,\"default-sort-order-id\":0,\"sort-orders\":[],"
             "\"next-row-id\":0,\"properties\":{%s},\"current-snapshot-id\":%lld,\"snapshots\":[",
             f->dir, 1000 * n, n, properties, n ? (long long)at[n - 1].id : -1);
    for (size_t i = 0; i < n; i++)
        buf_addf(&out,
                 "%s{\"snapshot-id\":%lld,\"parent-snapshot-id\":%lld,\"sequence-number\":%lld,"
                 "\"timestamp-ms\":%lld,\"schema-id\":0,\"summary\":{\"operation\":\"%s\"},"
                 "\"manifest-list\":\"file://%s/lake/t/metadata/snap-%lld.avro\"}",
                 i ? "," : "", (long long)at[i].id, (long long)at[i].parent,
                 (long long)at[i].sequence, 1000 * (long long)at[i].sequence, at[i].operation,
                 f->dir, (long long)at[i].id);
    buf_addf(&out, "],\"snapshot-log\":[],\"metadata-log\":[],\"refs\":{}}");
    (void)snprintf(name, sizeof name, "%05d-x.metadata.json", ++f->metadata);
    assert_int_equal(file_replace(f->table_fd, name, buf_slice(&out), 0600, &f->err), 0);
}

/* Reading. */

static inline struct history *history(struct fixture *f)
{
    struct history *h = NULL;
    int rc = iceberg_ops.history(f->driver, NULL, &h, &f->err);
    if (rc < 0)
        fail_msg("history: %s", f->err.msg);
    return h;
}

/* A file's line: `path size version flags kinds-of-deletes`, by what its extra says. */
static inline int list_entry(void *arg, const struct entry *e)
{
    struct buf *out = arg;
    struct iceberg_extra extra;
    AUTO(arena) struct arena arena = {0};
    arena_init(&arena, MIB);
    assert_int_equal(iceberg_extra_parse(e->extra, &arena, &extra, NULL), 0);
    buf_addf(out, "%.*s %llu %lld%s%s%s", SLICE_FMT(e->path), (unsigned long long)e->size,
             (long long)e->version, e->flags & ENTRY_BUILT ? " built" : "",
             e->flags & ENTRY_AS_STORED ? " stored" : "", e->flags & ENTRY_DELETES ? " -" : "");
    for (size_t i = 0; i < extra.deletes_n; i++) {
        const struct iceberg_delete *d = &extra.deletes[i];
        struct slice name = slice_from(d->path, (size_t)(slice_rfind(d->path, '/') + 1));
        buf_addf(out, " %c:%.*s", "pev"[d->kind], SLICE_FMT(name));
        if (d->kind == ICEBERG_DELETE_VECTOR)
            buf_addf(out, "@%llu", (unsigned long long)d->offset);
    }
    buf_addf(out, " %lld\n", (long long)e->mtime_ms);
    return 0;
}

static inline int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the lines of a text. */
static inline void sort_lines(struct buf *text)
{
    char *lines[8192];
    size_t n = 0;
    AUTO_FREE char *copy = strndup(text->data ? text->data : "", text->len);
    char *rest = copy;
    for (char *line; n < 8192 && (line = strsep(&rest, "\n"));)
        if (*line)
            lines[n++] = line;
    qsort(lines, n, sizeof lines[0], by_line);
    buf_reset(text);
    for (size_t i = 0; i < n; i++)
        buf_addf(text, "%s\n", lines[i]);
}

/* Opens a snapshot and lists it, sorted; the error otherwise. */
static inline int load(struct fixture *f, const struct history *h, size_t position, struct buf *out,
                       bool *patch)
{
    AUTO(snapshot) struct snapshot *s = NULL;
    buf_reset(out);
    f->err = (struct err)ERR_INIT;
    int rc = iceberg_ops.load(f->driver, h, position, &s, &f->err);
    if (rc < 0)
        return rc;
    *patch = snapshot_patch(s) != NULL;
    rc = snapshot_each_file(s, list_entry, out, &f->err);
    sort_lines(out);
    return rc;
}

static inline void check_load(struct fixture *f, const struct history *h, size_t position,
                              const char *want, bool want_patch)
{
    AUTO(buf) struct buf out;
    bool patch = false;
    buf_init(&out, MIB);
    if (load(f, h, position, &out, &patch) < 0)
        fail_msg("%s", f->err.msg);
    assert_string_equal(out.data ? out.data : "", want);
    assert_int_equal(patch, want_patch);
}

/* Entries and manifests as most tests want them. */
#define ADDED 1
#define REMOVED 2
#define INHERITED (-1)

static inline struct made_entry data(const char *path, int partition)
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

static inline struct made_entry position(const char *path, int partition)
{
    struct made_entry e = data(path, partition);
    e.content = 1;
    return e;
}

static inline struct made_entry vector(const char *path, const char *about, int64_t offset)
{
    struct made_entry e = data(path, 1);
    e.content = 1;
    e.format = "PUFFIN";
    e.referenced = about;
    e.offset = offset;
    return e;
}

static inline struct made_manifest made(struct fixture *f, const char *name, bool deletes,
                                        int64_t of, const struct made_entry *entries, size_t n)
{
    struct made_manifest m = {.deletes = deletes, .sequence = of, .snapshot = of};
    (void)snprintf(m.name, sizeof m.name, "%s.avro", name);
    write_manifest(f, &m, entries, n);
    return m;
}

#endif
