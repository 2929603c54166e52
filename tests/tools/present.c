/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Presents one local Parquet file as a table's columns and rows: what the transformer does, for
 * tests.
 *
 *   present [-m] [-s SLACK] [-c COLUMNS.json | -i SCHEMA.json [-n MAPPING.json] [-k CONSTANTS]]
 *           [-d ROWS.txt]
 *           [-f FILTER [-p COLUMNS.json] [-v VALUE]...] IN OUT
 *
 *   -s  bytes that the presented file has beyond the object (default: 64 KiB and a sixteenth)
 *   -c  {"match": "id", "confined": true, "salt": "hex", "fields": [FIELD, ...]}; without it, the
 *       columns as they are
 *       FIELD: {"name": "a", "stored": "b", "id": 3, "nullable": true, "type": "decimal",
 *               "precision": 9, "scale": 2, "length": 16, "constant": "hex",
 *               "mask": "show-last-4", "fields": [FIELD, ...]}
 *       type: as named below, or struct, list (one field), map (two); "fields" is the last key
 *       match: "name", "id"
 *   -i  instead of -c: an Iceberg schema; -n: a name mapping, -k: constants of its partition
 *   -d  rows that are taken out, one number a line, ascending
 *   -m  the presented file has room for masks as well (shape.h: shape_mask_room)
 *   -f  a row filter over the columns of -c, which is needed then, and of -p, the partitions'
 *   -v  the value of the next partition column; \N is NULL
 *
 * Prints what was done as a line of JSON. Status 1 and the reason on standard error where it is
 * refused: "errno: reason".
 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/vec.h"
#include "lake/format/parquet_rewrite.h"
#include "tests/tools/filter_option.h"
#include "tests/tools/iceberg_option.h"

/* Columns */

static const char *const types[] = {
    [SHAPE_BOOLEAN] = "boolean",
    [SHAPE_INT8] = "int8",
    [SHAPE_INT16] = "int16",
    [SHAPE_INT32] = "int32",
    [SHAPE_INT64] = "int64",
    [SHAPE_FLOAT] = "float",
    [SHAPE_DOUBLE] = "double",
    [SHAPE_DECIMAL] = "decimal",
    [SHAPE_STRING] = "string",
    [SHAPE_BINARY] = "binary",
    [SHAPE_FIXED] = "fixed",
    [SHAPE_UUID] = "uuid",
    [SHAPE_DATE] = "date",
    [SHAPE_TIME] = "time",
    [SHAPE_TIMESTAMP] = "timestamp",
    [SHAPE_TIMESTAMP_LOCAL] = "timestamp_local",
    [SHAPE_TIMESTAMP_NS] = "timestamp_ns",
    [SHAPE_TIMESTAMP_LOCAL_NS] = "timestamp_local_ns",
    [SHAPE_VARIANT] = "variant",
    [SHAPE_UNKNOWN] = "unknown",
    [SHAPE_STORED] = "stored",
    [SHAPE_GEOMETRY] = "geometry",
    [SHAPE_GEOGRAPHY] = "geography",
};

static bool set_type(struct shape_field *f, struct slice name)
{
    static const char *const kinds[] = {
        [SHAPE_STRUCT] = "struct", [SHAPE_LIST] = "list", [SHAPE_MAP] = "map"};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (slice_is(name, types[i])) {
            f->type = (uint8_t)i;
            return true;
        }
    for (size_t i = SHAPE_STRUCT; i < ARRAY_SIZE(kinds); i++)
        if (slice_is(name, kinds[i])) {
            f->kind = (uint8_t)i;
            return true;
        }
    return false;
}

/* Decodes hex in place; false where it is none. */
static bool unhex(struct buf *b)
{
    size_t n = b->len / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        if (sscanf(b->data + 2 * i, "%2x", &byte) != 1)
            return false;
        b->data[i] = (char)byte;
    }
    b->len = n;
    return true;
}

struct field_words {
    struct buf name, stored, constant;
};

static void words_init(struct field_words *w)
{
    buf_init(&w->name, MIB);
    buf_init(&w->stored, MIB);
    buf_init(&w->constant, MIB);
}

static void words_done(struct field_words *w)
{
    buf_done(&w->name);
    buf_done(&w->stored);
    buf_done(&w->constant);
}
DEFINE_AUTO_DONE(field_words, struct field_words, words_done)

static bool get_text(struct json *j, struct buf *to)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice s;
    buf_init(&scratch, MIB);
    if (!json_string(j, &scratch, &s))
        return false;
    buf_reset(to);
    buf_add_slice(to, s);
    return buf_check(to, NULL) == 0;
}

/* One key of a field but "fields". */
static bool get_key(struct json *j, struct slice key, struct shape_field *f, struct field_words *w)
{
    AUTO(buf) struct buf type = {0};
    buf_init(&type, KIB);
    int64_t number = 0;
    bool ok;
    if (slice_is(key, "name"))
        return get_text(j, &w->name);
    if (slice_is(key, "stored"))
        return get_text(j, &w->stored);
    if (slice_is(key, "constant")) {
        f->has_constant = true;
        return get_text(j, &w->constant) && unhex(&w->constant);
    }
    if (slice_is(key, "type"))
        return get_text(j, &type) && set_type(f, buf_slice(&type));
    if (slice_is(key, "mask")) {
        if (!get_text(j, &type))
            return false;
        f->mask = (uint8_t)shape_mask_parse(buf_slice(&type));
        return f->mask != SHAPE_MASK_NONE;
    }
    if (slice_is(key, "nullable"))
        return json_bool(j, &f->nullable);
    ok = json_int64(j, &number);
    if (slice_is(key, "id"))
        f->id = (int32_t)number;
    else if (slice_is(key, "precision"))
        f->precision = (uint8_t)number;
    else if (slice_is(key, "scale"))
        f->scale = (uint8_t)number;
    else if (slice_is(key, "length"))
        f->length = (uint32_t)number;
    else
        return false;
    return ok;
}

static bool get_fields(struct json *j, struct shape_builder *b);

static bool get_field(struct json *j, struct shape_builder *b)
{
    AUTO(field_words) struct field_words w;
    struct shape_field f = {.id = SHAPE_NO_ID, .nullable = true};
    struct slice key;
    bool children = false, ok = json_enter_object(j);
    words_init(&w);
    while (ok && json_next_key(j, &key)) {
        children = slice_is(key, "fields");
        if (!children) {
            ok = get_key(j, key, &f, &w);
            continue;
        }
        f.name = buf_slice(&w.name);
        f.stored = buf_slice(&w.stored);
        shape_add(b, &f);
        ok = get_fields(j, b);
        shape_end(b);
    }
    f.name = buf_slice(&w.name);
    f.stored = buf_slice(&w.stored);
    f.constant = buf_slice(&w.constant);
    if (!children)
        shape_add(b, &f);
    return ok && !json_failed(j);
}

static bool get_fields(struct json *j, struct shape_builder *b)
{
    bool ok = json_enter_array(j);
    while (ok && json_next_element(j))
        ok = get_field(j, b);
    return ok;
}

static bool get_match(struct json *j, struct shape_builder *b)
{
    static const char *const words[] = {[SHAPE_BY_NAME] = "name", [SHAPE_BY_ID] = "id"};
    AUTO(buf) struct buf word = {0};
    buf_init(&word, KIB);
    if (!get_text(j, &word))
        return false;
    for (uint8_t i = 0; i < ARRAY_SIZE(words); i++)
        if (slice_is(buf_slice(&word), words[i])) {
            b->shape->match = i;
            return true;
        }
    return false;
}

/* One key beside "fields". */
static bool get_view(struct json *j, struct slice key, struct shape_builder *b)
{
    AUTO(buf) struct buf salt = {0};
    bool confined = false;
    buf_init(&salt, KIB);
    if (slice_is(key, "match"))
        return get_match(j, b);
    if (slice_is(key, "confined")) {
        if (json_bool(j, &confined) && confined)
            shape_confine(b, NULL);
        return true;
    }
    if (!slice_is(key, "salt") || !get_text(j, &salt) || !unhex(&salt) ||
        salt.len != SHAPE_SALT_BYTES)
        return false;
    shape_confine(b, (const uint8_t *)salt.data);
    return true;
}

static int get_shape(const char *path, struct shape **out, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    AUTO(shape_builder) struct shape_builder b;
    buf_init(&text, SCHEMA_BYTES_MAX);
    shape_builder_init(&b, SHAPE_BY_NAME);
    int rc = file_read(AT_FDCWD, path, &text, err);
    if (rc < 0)
        return rc;
    struct json j;
    struct slice key;
    json_init(&j, buf_slice(&text));
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key))
        ok = slice_is(key, "fields") ? get_fields(&j, &b) : get_view(&j, key, &b);
    if (json_failed(&j))
        return json_error(&j, err);
    if (!ok)
        return err_set(err, EINVAL, "%s: unknown key or type before byte %td", path, j.p - j.begin);
    return shape_finish(&b, out, err);
}

/* Deleted rows, as RoaringFormatSpec has them: containers that are arrays or bitmaps. */

#define COOKIE_WITHOUT_RUNS 12346U
#define ARRAY_MAX 4096
#define BITMAP_BYTES 8192

typedef VEC(uint32_t) rows_vec;

static void add_u16(struct buf *b, uint32_t v)
{
    uint16_t half = (uint16_t)v;
    buf_add(b, &half, sizeof half);
}

static void add_u32(struct buf *b, uint64_t v)
{
    uint32_t word = (uint32_t)v;
    buf_add(b, &word, sizeof word);
}

/* Rows from i on that share their upper half: where they end. */
static size_t container_end(const rows_vec *rows, size_t i)
{
    size_t end = i;
    while (end < rows->n && rows->at[end] >> 16 == rows->at[i] >> 16)
        end++;
    return end;
}

static void add_container(const rows_vec *rows, size_t i, size_t end, struct buf *out)
{
    uint8_t bitmap[BITMAP_BYTES] = {0};
    for (size_t r = i; r < end; r++)
        if (end - i <= ARRAY_MAX)
            add_u16(out, rows->at[r] & 0xffff);
        else
            bitmap[(rows->at[r] & 0xffff) / 8] |= (uint8_t)(1 << rows->at[r] % 8);
    if (end - i > ARRAY_MAX)
        buf_add(out, bitmap, sizeof bitmap);
}

static void add_bitmap(const rows_vec *rows, struct buf *out)
{
    uint32_t n = 0;
    for (size_t i = 0; i < rows->n; i = container_end(rows, i))
        n++;
    add_u32(out, COOKIE_WITHOUT_RUNS);
    add_u32(out, n);
    for (size_t i = 0, end; i < rows->n; i = end) {
        end = container_end(rows, i);
        add_u16(out, rows->at[i] >> 16);
        add_u16(out, (uint32_t)(end - i - 1));
    }
    uint64_t offset = 8 + 8 * (uint64_t)n;
    for (size_t i = 0, end; i < rows->n; i = end) {
        end = container_end(rows, i);
        add_u32(out, offset);
        offset += end - i <= ARRAY_MAX ? 2 * (end - i) : BITMAP_BYTES;
    }
    for (size_t i = 0, end; i < rows->n; i = end) {
        end = container_end(rows, i);
        add_container(rows, i, end, out);
    }
}

static int get_rows(const char *path, struct roaring **out, struct err *err)
{
    rows_vec rows = VEC_MAX((size_t)1 << 28);
    AUTO_FILE FILE *file = fopen(path, "re");
    AUTO(buf) struct buf bytes = {0};
    unsigned row;
    buf_init(&bytes, ROARING_BYTES_MAX);
    if (!file)
        return err_set(err, errno, "%s", path);
    int rc = 0;
    while (rc == 0 && fscanf(file, "%u", &row) == 1)
        rc = vec_push(&rows, row);
    add_bitmap(&rows, &bytes);
    vec_done(&rows);
    if (rc < 0)
        return err_set(err, -rc, "%s: too many rows", path);
    rc = buf_check(&bytes, err);
    return rc < 0 ? rc : roaring_parse(buf_slice(&bytes), out, err);
}

/* Files */

struct output {
    int in, fd;
    off_t at;
};

/* Zeros stay a hole, as in the mount (lake/view/presented_rewrite.c). */
static int put(void *arg, struct slice bytes, struct err *err)
{
    struct output *o = arg;
    bool zeros =
        bytes.n == 0 || (bytes.p[0] == 0 && memcmp(bytes.p, bytes.p + 1, bytes.n - 1) == 0);
    int rc = zeros ? 0 : file_pwrite_full(o->fd, bytes.p, bytes.n, o->at, err);
    if (rc == 0)
        o->at += (off_t)bytes.n;
    return rc;
}

static int put_again(void *arg, struct err *err)
{
    struct output *o = arg;
    o->at = 0;
    return ftruncate(o->fd, 0) < 0 ? err_set(err, errno, "ftruncate") : 0;
}

static int get(void *arg, uint64_t offset, void *to, size_t n, struct err *err)
{
    return file_pread_full(*(const int *)arg, to, n, (off_t)offset, err);
}

static int put_extent(const struct present_plan *p, const struct present_extent *e, int in,
                      struct output *out, struct err *err)
{
    static char bytes[MIB];
    int rc = 0;
    for (uint64_t done = 0; rc == 0 && done < e->length;) {
        size_t n = e->length - done < sizeof bytes ? (size_t)(e->length - done) : sizeof bytes;
        memset(bytes, 0, n);
        if (e->from == PRESENT_OBJECT)
            rc = file_pread_full(in, bytes, n, (off_t)(e->at + done), err);
        else if (e->from == PRESENT_OWN)
            memcpy(bytes, p->own.p + e->at + done, n);
        if (rc == 0)
            rc = put(out, slice_make(bytes, n), err);
        done += n;
    }
    return rc;
}

static int put_extents(const struct present_plan *p, int in, struct output *out, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < p->extents_n; i++) {
        if ((uint64_t)out->at != p->extents[i].offset)
            return err_set(err, EPROTO, "extent %zu does not follow the one before", i);
        rc = put_extent(p, &p->extents[i], in, out, err);
    }
    return rc;
}

struct job {
    const char *columns, *rows, *in, *out, *partitions;
    struct filter_option filter;
    struct iceberg_option iceberg;
    int64_t slack; /* -1: the rule */
    bool masks;    /* and room for masks */
};

static int get_footer(int fd, uint64_t *object_bytes, struct buf *footer, struct err *err)
{
    struct stat st;
    char tail[8];
    uint32_t length;
    if (fstat(fd, &st) < 0)
        return err_set(err, errno, "fstat");
    if (st.st_size < 12)
        return err_set(err, EIO, "no Parquet file");
    int rc = file_pread_full(fd, tail, sizeof tail, st.st_size - 8, err);
    if (rc < 0)
        return rc;
    memcpy(&length, tail, sizeof length);
    if (memcmp(tail + 4, "PAR1", 4) != 0 || length > st.st_size - 12)
        return err_set(err, EIO, "no Parquet file");
    void *to = buf_reserve(footer, length);
    if (to)
        rc = file_pread_full(fd, to, length, st.st_size - 8 - (off_t)length, err);
    footer->len = length;
    *object_bytes = (uint64_t)st.st_size;
    return rc < 0 ? rc : buf_check(footer, err);
}

/* Takes what the filter takes out to `deleted`. */
static int filter_rows(const struct job *job, const struct present_request *r, int in,
                       struct roaring **deleted, struct err *err)
{
    AUTO(shape) struct shape *partitions = NULL;
    struct source source = {.size_bytes = r->object_bytes, .read = get, .arg = &in};
    int rc = job->partitions ? get_shape(job->partitions, &partitions, err) : 0;
    return rc < 0 ? rc : filter_option_rows(&job->filter, r, partitions, &source, deleted, err);
}

static int present(const struct job *job, const struct present_request *r,
                   const struct present_plan *p, struct output *out, struct err *err)
{
    AUTO(roaring) struct roaring *deleted = NULL;
    int in = out->in;
    int rc = job->rows ? get_rows(job->rows, &deleted, err) : 0;
    if (rc == 0 && job->filter.text)
        rc = filter_rows(job, r, in, &deleted, err);
    if (rc < 0)
        return rc;
    if (p->kind != PRESENT_REWRITE)
        return put_extents(p, in, out, err);
    struct source source = {.size_bytes = p->object_bytes, .read = get, .arg = &in};
    struct parquet_sink sink = {.write = put, .rewind = put_again, .arg = out};
    return parquet_rewrite(&source, p, deleted, &sink, err);
}

static void report(const struct present_plan *p)
{
    static const char *const kinds[] = {"same", "footer", "rewrite"};
    const struct present_changes *c = &p->changes;
    printf("{\"kind\": \"%s\", \"dropped\": %u, \"filled\": %u, \"converted\": %u, "
           "\"masked\": %u, \"renamed\": %u, \"relabelled\": %u, \"moved\": %s}\n",
           kinds[p->kind], c->dropped, c->filled, c->converted, c->masked, c->renamed,
           c->relabelled, c->moved ? "true" : "false");
}

static int run(const struct job *job, struct err *err)
{
    AUTO(shape) struct shape *shape = NULL;
    AUTO(buf) struct buf footer = {0};
    AUTO(present_plan) struct present_plan *plan = NULL;
    AUTO_FD int in = open(job->in, O_RDONLY | O_CLOEXEC);
    AUTO_FD int fd = open(job->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    struct output out = {.in = in, .fd = fd};
    struct present_request r = {.deletes = job->rows || job->filter.text};
    buf_init(&footer, FOOTER_BYTES_MAX);
    if (in < 0 || fd < 0)
        return err_set(err, errno, "%s", in < 0 ? job->in : job->out);
    int rc = job->columns          ? get_shape(job->columns, &shape, err)
             : job->iceberg.schema ? iceberg_option_shape(&job->iceberg, &shape, err)
                                   : 0;
    if (rc == 0)
        rc = get_footer(in, &r.object_bytes, &footer, err);
    uint64_t slack = 64 * KIB + r.object_bytes / 16;
    r.presented_bytes = r.object_bytes + (job->slack >= 0 ? (uint64_t)job->slack : slack);
    if (job->masks && shape)
        r.presented_bytes += shape_mask_room(shape, r.object_bytes);
    r.footer = buf_slice(&footer);
    r.shape = shape;
    if (rc == 0)
        rc = present_plan(&r, &plan, err);
    if (rc == 0)
        rc = present(job, &r, plan, &out, err);
    if (rc == 0 && (uint64_t)out.at != r.presented_bytes)
        return err_set(err, EPROTO, "%jd bytes were written of %ju", (intmax_t)out.at,
                       (uintmax_t)r.presented_bytes);
    if (rc == 0 && ftruncate(fd, out.at) < 0)
        rc = err_set(err, errno, "%s", job->out);
    if (rc == 0)
        report(plan);
    return rc;
}

int main(int argc, char **argv)
{
    struct job job = {.slack = -1};
    struct err err = ERR_INIT;
    int option;
    while ((option = getopt(argc, argv, "ms:c:i:n:k:d:f:p:v:")) != -1)
        switch (option) {
        case 'm':
            job.masks = true;
            break;
        case 's':
            job.slack = strtoll(optarg, NULL, 10);
            break;
        case 'c':
            job.columns = optarg;
            break;
        case 'i':
            job.iceberg.schema = optarg;
            break;
        case 'n':
            job.iceberg.mapping = optarg;
            break;
        case 'k':
            job.iceberg.constants = optarg;
            break;
        case 'd':
            job.rows = optarg;
            break;
        case 'f':
            job.filter.text = optarg;
            break;
        case 'p':
            job.partitions = optarg;
            break;
        case 'v':
            filter_option_value(&job.filter, optarg);
            break;
        default:
            return 2;
        }
    if (argc - optind != 2) {
        (void)fprintf(stderr, "usage: present [-m] [-s SLACK] [-c COLUMNS.json] [-d ROWS.txt] "
                              "[-f FILTER [-p COLUMNS.json] [-v VALUE]...] IN OUT\n");
        return 2;
    }
    job.in = argv[optind];
    job.out = argv[optind + 1];
    if (run(&job, &err) == 0)
        return 0;
    (void)fprintf(stderr, "%s: %s\n", strerrorname_np(err.code), err.msg);
    return 1;
}
