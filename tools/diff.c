/* SPDX-License-Identifier: Apache-2.0 */
/* tarn diff A B: what differs between two versions of one table: files, schema, protocol. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/limits.h"
#include "base/vec.h"
#include "tools/arguments.h"
#include "tools/facts.h"
#include "tools/human.h"
#include "tools/reason.h"
#include "tools/table_log.h"
#include "tools/tools.h"

#define DOCUMENT_BYTES_MAX ((size_t)4 << 30) /* of files: ten million */
#define FILES_MAX_HERE ((size_t)1 << 25)
#define NAME_MAX_HERE 4096

enum change { FILE_SAME, FILE_ADDED, FILE_REMOVED, FILE_REPLACED };

struct file {
    struct slice path;
    char identity[16]; /* tells two files of one path apart */
    int64_t size;
    enum change change;
};

struct files {
    struct file *at;
    size_t n, capacity, max;
};

/* One of the two. */
struct side {
    const char *path;
    struct buf version, files, schema, properties;
};

struct diff {
    struct side a, b;
    struct files before, after;
    struct arena arena;
    bool json, summary;
    uint64_t count[4], bytes[4]; /* by enum change */
    bool first;                  /* of a JSON list */
};

static void help(void)
{
    printf(
        "usage: tarn diff [--json] [--summary] A B\n\n"
        "A and B are two versions of one table in a mount: silver/orders@3 silver/orders@5, say.\n"
        "Tells the files that only one has (- only A, + only B), those of one path that are not\n"
        "the same file (~: rows deleted, say), and what changed in schema, protocol and\n"
        "properties.\n");
}

/* reading */

static int read_side(struct side *s, struct err *err)
{
    const struct {
        const char *name;
        struct buf *to;
        bool optional; /* not of every format */
    } documents[] = {{"version", &s->version, false},
                     {"files.jsonl", &s->files, false},
                     {"schema.json", &s->schema, true},
                     {"properties.json", &s->properties, true}};
    for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
        buf_init(documents[i].to, DOCUMENT_BYTES_MAX);
        int rc = table_log_document(s->path, documents[i].name, documents[i].to, err);
        if (rc < 0 && !(rc == -ENOENT && documents[i].optional))
            return rc;
    }
    if (s->version.len) /* its line feed */
        s->version.data[--s->version.len] = '\0';
    return 0;
}

/* Both are of one table of one mount. */
static int check_table(const struct diff *d, struct err *err)
{
    char a[NAME_MAX_HERE], b[NAME_MAX_HERE];
    struct stat x, y;
    ssize_t n = getxattr(d->a.path, "user.tarn.table", a, sizeof a);
    int failed = n < 0 ? errno : 0;
    ssize_t m = getxattr(d->b.path, "user.tarn.table", b, sizeof b);
    failed = failed || m >= 0 ? failed : errno;
    if (failed && failed != ENODATA)
        return reason_set(err, failed, n < 0 ? d->a.path : d->b.path);
    if (failed)
        return err_set(err, ENOENT, "%s is in no table of a mount of tarn",
                       n < 0 ? d->a.path : d->b.path);
    if (stat(d->a.path, &x) < 0 || stat(d->b.path, &y) < 0 || x.st_dev != y.st_dev || n != m ||
        memcmp(a, b, (size_t)n) != 0)
        return err_set(err, EINVAL, "%s and %s are not of one table", d->a.path, d->b.path);
    return 0;
}

static int parse_file(struct slice line, struct arena *arena, struct file *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice key, path = SLICE_NONE, identity = SLICE_NONE;
    buf_init(&scratch, ACTION_BYTES_MAX);
    json_init(&j, line);
    bool ok = json_enter_object(&j);
    *out = (struct file){.size = 0};
    while (ok && json_next_key(&j, &key))
        ok = slice_is(key, "path")       ? json_string(&j, &scratch, &path)
             : slice_is(key, "size")     ? json_int64(&j, &out->size)
             : slice_is(key, "identity") ? json_skip(&j, &identity)
                                         : json_skip(&j, NULL);
    ok = ok && identity.n == sizeof "\"0123456789abcdef\"" - 1;
    if (ok) /* in its quotes */
        memcpy(out->identity, identity.p + 1, sizeof out->identity);
    out->path = arena_slice(arena, path);
    return ok && !json_failed(&j) && out->path.p ? 0 : -EIO;
}

static int parse_files(struct diff *d, const struct side *s, struct files *out, struct err *err)
{
    struct slice rest = buf_slice(&s->files);
    *out = (struct files){.max = FILES_MAX_HERE};
    while (rest.n) {
        struct file f;
        ptrdiff_t end = slice_find(rest, '\n');
        struct slice line = slice_make(rest.p, end < 0 ? rest.n : (size_t)end);
        rest = slice_from(rest, end < 0 ? rest.n : line.n + 1);
        if (parse_file(line, &d->arena, &f) < 0 || vec_push(out, f) < 0)
            return err_set(err, EIO, "the files of %s cannot be read", s->path);
    }
    return 0;
}

/* comparing */

static int by_path(const void *a, const void *b)
{
    const struct file *x = a, *y = b;
    return slice_cmp(x->path, y->path);
}

/* Merges the two; what changed is marked, a replaced file in `after`. */
static void compare(struct diff *d)
{
    struct files *a = &d->before, *b = &d->after;
    if (a->n)
        qsort(a->at, a->n, sizeof a->at[0], by_path);
    if (b->n)
        qsort(b->at, b->n, sizeof b->at[0], by_path);
    size_t i = 0, k = 0;
    while (i < a->n || k < b->n) {
        int c = i == a->n ? 1 : k == b->n ? -1 : slice_cmp(a->at[i].path, b->at[k].path);
        if (c < 0) {
            a->at[i].change = FILE_REMOVED;
        } else if (c > 0) {
            b->at[k].change = FILE_ADDED;
        } else if (memcmp(a->at[i].identity, b->at[k].identity, sizeof a->at[i].identity) != 0) {
            b->at[k].change = FILE_REPLACED;
        }
        const struct file *f = c < 0 ? &a->at[i] : &b->at[k];
        d->count[f->change]++;
        d->bytes[f->change] += (uint64_t)f->size;
        i += c <= 0;
        k += c >= 0;
    }
}

/* The changed files of both in order of their paths. */
static void each_change(struct diff *d, void (*emit)(struct diff *d, const struct file *f))
{
    size_t i = 0, k = 0;
    while (i < d->before.n || k < d->after.n) {
        const struct file *a = i < d->before.n ? &d->before.at[i] : NULL;
        const struct file *b = k < d->after.n ? &d->after.at[k] : NULL;
        bool first = !b || (a && slice_cmp(a->path, b->path) <= 0);
        const struct file *f = first ? a : b;
        if (f->change != FILE_SAME)
            emit(d, f);
        i += first;
        k += !first;
    }
}

/* telling */

static void print_file(struct diff *d, const struct file *f)
{
    static const char signs[] = " +-~";
    char size[HUMAN_BYTES];
    (void)d;
    printf("%c %-10s %.*s\n", signs[f->change], human_bytes((uint64_t)f->size, size),
           SLICE_FMT(f->path));
}

static void print_fact(void *arg, struct slice name, struct slice before, struct slice after)
{
    const char *of = arg;
    if (!before.n)
        printf("%s + %.*s: %.*s\n", of, SLICE_FMT(name), SLICE_FMT(after));
    else if (!after.n)
        printf("%s - %.*s: %.*s\n", of, SLICE_FMT(name), SLICE_FMT(before));
    else
        printf("%s ~ %.*s: %.*s -> %.*s\n", of, SLICE_FMT(name), SLICE_FMT(before),
               SLICE_FMT(after));
}

static void print_counts(const struct diff *d)
{
    static const char *const names[] = {"same", "added", "removed", "replaced"};
    char n[HUMAN_BYTES], b[HUMAN_BYTES];
    for (size_t i = 1; i <= 4; i++)
        printf("%s%s %s (%s)", i > 1 ? ", " : "", human_count(d->count[i % 4], n), names[i % 4],
               human_bytes(d->bytes[i % 4], b));
    printf("\n");
}

static void json_text(struct slice text)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 8 * text.n + 16);
    buf_add_json(&out, text);
    printf("%.*s", SLICE_FMT(buf_slice(&out)));
}

static void json_file(struct diff *d, const struct file *f)
{
    static const char *const names[] = {"same", "added", "removed", "replaced"};
    printf("%s{\"change\":\"%s\",\"path\":", d->first ? "" : ",\n", names[f->change]);
    json_text(f->path);
    printf(",\"size\":%lld}", (long long)f->size);
    d->first = false;
}

static void json_fact(void *arg, struct slice name, struct slice before, struct slice after)
{
    struct diff *d = arg;
    printf("%s{\"name\":", d->first ? "" : ",\n");
    json_text(name);
    printf(",\"before\":");
    if (before.n)
        json_text(before);
    else
        printf("null");
    printf(",\"after\":");
    if (after.n)
        json_text(after);
    else
        printf("null");
    printf("}");
    d->first = false;
}

struct both {
    struct facts before, after;
};

static int take_both(const struct buf *before, const struct buf *after,
                     int (*take)(struct facts *f, struct slice json, struct err *err),
                     struct both *out, struct err *err)
{
    facts_init(&out->before);
    facts_init(&out->after);
    int rc = before->len ? take(&out->before, buf_slice(before), err) : 0;
    if (rc == 0 && after->len)
        rc = take(&out->after, buf_slice(after), err);
    return rc;
}

static void tell(struct diff *d, struct both *schema, struct both *properties)
{
    char text[] = "schema", other[] = "table ";
    printf("%s %s -> %s\n", "version", d->a.version.data, d->b.version.data);
    if (!d->summary)
        each_change(d, print_file);
    facts_differ(&schema->before, &schema->after, print_fact, text);
    facts_differ(&properties->before, &properties->after, print_fact, other);
    print_counts(d);
}

static void tell_json(struct diff *d, struct both *schema, struct both *properties)
{
    printf("{\"from\":\"%s\",\"to\":\"%s\"", d->a.version.data, d->b.version.data);
    printf(",\"addedFiles\":%llu,\"addedBytes\":%llu,\"removedFiles\":%llu,\"removedBytes\":%llu,"
           "\"replacedFiles\":%llu,\"replacedBytes\":%llu,\"sameFiles\":%llu,\"sameBytes\":%llu",
           (unsigned long long)d->count[FILE_ADDED], (unsigned long long)d->bytes[FILE_ADDED],
           (unsigned long long)d->count[FILE_REMOVED], (unsigned long long)d->bytes[FILE_REMOVED],
           (unsigned long long)d->count[FILE_REPLACED], (unsigned long long)d->bytes[FILE_REPLACED],
           (unsigned long long)d->count[FILE_SAME], (unsigned long long)d->bytes[FILE_SAME]);
    if (!d->summary) {
        printf(",\n\"files\":[");
        d->first = true;
        each_change(d, json_file);
        printf("]");
    }
    printf(",\n\"schema\":[");
    d->first = true;
    facts_differ(&schema->before, &schema->after, json_fact, d);
    printf("],\n\"properties\":[");
    d->first = true;
    facts_differ(&properties->before, &properties->after, json_fact, d);
    printf("]}\n");
}

static int run(struct diff *d, struct err *err)
{
    struct both schema, properties;
    int rc = check_table(d, err);
    if (rc == 0)
        rc = read_side(&d->a, err);
    if (rc == 0)
        rc = read_side(&d->b, err);
    if (rc == 0)
        rc = parse_files(d, &d->a, &d->before, err);
    if (rc == 0)
        rc = parse_files(d, &d->b, &d->after, err);
    if (rc < 0)
        return rc;
    compare(d);
    rc = take_both(&d->a.schema, &d->b.schema, facts_of_schema, &schema, err);
    int failed = take_both(&d->a.properties, &d->b.properties, facts_of_object, &properties, err);
    rc = rc < 0 ? rc : failed;
    if (rc == 0 && d->json)
        tell_json(d, &schema, &properties);
    else if (rc == 0)
        tell(d, &schema, &properties);
    facts_done(&schema.before);
    facts_done(&schema.after);
    facts_done(&properties.before);
    facts_done(&properties.after);
    return rc;
}

static void side_done(struct side *s)
{
    buf_done(&s->version);
    buf_done(&s->files);
    buf_done(&s->schema);
    buf_done(&s->properties);
}

int cmd_diff(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct diff d = {.json = false};
    struct arguments a = {.argc = argc, .argv = argv};
    bool option;
    for (const char *arg; (arg = arguments_next(&a, &option));) {
        if (option && strcmp(arg, "--help") == 0) {
            help();
            return EXIT_OK;
        }
        if (option && strcmp(arg, "--json") == 0)
            d.json = true;
        else if (option && strcmp(arg, "--summary") == 0)
            d.summary = true;
        else if (option || d.b.path)
            return usage_error("diff", "two PATHs of one table are needed");
        else if (d.a.path)
            d.b.path = arg;
        else
            d.a.path = arg;
    }
    if (!d.b.path)
        return usage_error("diff", "two PATHs of one table are needed");
    arena_init(&d.arena, DOCUMENT_BYTES_MAX);
    int rc = run(&d, &err);
    if (rc < 0)
        (void)fprintf(stderr, "tarn diff: %s\n", err.msg);
    side_done(&d.a);
    side_done(&d.b);
    vec_done(&d.before);
    vec_done(&d.after);
    arena_done(&d.arena);
    return rc < 0 ? EXIT_FAILED : EXIT_OK;
}
