/* SPDX-License-Identifier: Apache-2.0 */
/* tarn audit verify FILE...: is an audit log whole? */
#include <fcntl.h>
#include <stdio.h>

#include "base/file.h"
#include "base/limits.h"
#include "lake/view/audit_verify.h"
#include "tools/tools.h"

#define FILES_MAX_HERE 10000
#define READ_BYTES (2 * AUDIT_LINE_BYTES_MAX)

struct options {
    const char *chain; /* NULL: FILE.chain */
    bool from_middle;
};

struct input {
    const char *path;
    FILE *file;
    char *text; /* READ_BYTES; what is read and not passed yet: */
    size_t at, end;
    bool over;      /* nothing comes behind it */
    size_t line;    /* number in the file of the line that was passed last */
    uint64_t first; /* number in the log of its first line; 0: it is none; UINT64_MAX: empty */
    bool has_chain;
    struct audit_chain chain; /* FILE.chain, read before FILE */
};

static void help(void)
{
    printf("usage: tarn audit verify [--chain CHAIN] [--from-middle] FILE...\n\n"
           "Tells whether an audit log is whole: of all its FILEs, the rotated ones too, in any\n"
           "order. Prints the first line that is missing or was altered. The end of the newest\n"
           "FILE is known from FILE.chain beside it; for lines from syslog or journald\n"
           "(`journalctl -t tarn-audit -o cat | tarn audit verify -`) from CHAIN in the cache\n"
           "directory: audit-syslog.chain, audit-journald.chain.\n\n"
           "  --from-middle  lines before the first one were dropped on purpose: they may be "
           "missing\n");
}

static void read_chain(struct input *in, const char *path)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, KIB);
    in->has_chain = file_read(AT_FDCWD, path, &text, NULL) == 0 &&
                    audit_chain_parse(buf_slice(&text), &in->chain);
}

/* Reads on until a line or as much as one may be is there. */
static int fill(struct input *in, struct err *err)
{
    memmove(in->text, in->text + in->at, in->end - in->at);
    in->end -= in->at;
    in->at = 0;
    while (!in->over && in->end < READ_BYTES) {
        size_t n = fread(in->text + in->end, 1, READ_BYTES - in->end, in->file);
        in->end += n;
        in->over = n == 0;
    }
    if (ferror(in->file))
        return err_set(err, EIO, "%s: cannot be read", in->path);
    return 0;
}

/* 1: *line is the next one; 0: there is none, *line is what stands behind the last line feed. */
static int next_line(struct input *in, struct slice *line, struct err *err)
{
    struct slice left = slice_make(in->text + in->at, in->end - in->at);
    ptrdiff_t feed = slice_find(left, '\n');
    if (feed < 0) {
        int rc = fill(in, err);
        if (rc < 0)
            return rc;
        left = slice_make(in->text, in->end);
        feed = slice_find(left, '\n');
    }
    if (feed < 0 && left.n < READ_BYTES) {
        *line = left;
        return 0;
    }
    size_t n = feed < 0 ? left.n : (size_t)feed; /* longer than any line: a bad one, in parts */
    *line = slice_make(left.p, n);
    in->at += n + (feed >= 0);
    in->line++;
    return 1;
}

static int open_input(struct input *in, const char *path, struct err *err)
{
    char chain[4096];
    struct slice line;
    struct audit_line l;
    in->path = path;
    if ((size_t)snprintf(chain, sizeof chain, "%s.chain", path) < sizeof chain)
        read_chain(in, chain);
    in->file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!in->file)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    in->text = malloc(READ_BYTES);
    if (!in->text)
        return err_set(err, ENOMEM, "out of memory");
    int rc = next_line(in, &line, err);
    if (rc < 0)
        return rc;
    if (rc == 0) /* the newest: rotated, and nothing happened since */
        in->first = UINT64_MAX;
    else if (audit_line_parse(line, &l, NULL) == 0)
        in->first = l.at.line;
    if (rc == 1) { /* it is read again */
        in->at = 0;
        in->line = 0;
    }
    return 0;
}

static void close_inputs(struct input *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(all[i].text);
        if (all[i].file && all[i].file != stdin)
            (void)fclose(all[i].file); /* only read */
    }
    free(all);
}

static int compare(const void *a, const void *b)
{
    const struct input *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

static int bad(const struct input *in, size_t line, const struct err *why)
{
    (void)fprintf(stderr, "%s:%zu: %s\n", in->path, line, why->msg);
    return -EIO;
}

static int verify_file(struct audit_verify *v, struct input *in, const struct input *older,
                       bool *fragment, struct err *err)
{
    struct err why = ERR_INIT;
    struct slice line;
    bool before;
    int rc;
    while ((rc = next_line(in, &line, err)) == 1) {
        size_t at = in->line;
        if (audit_verify_line(v, line, &before, &why) == 0)
            continue;
        if (before && at == 1 && older)
            return bad(older, older->line, &why);
        return bad(in, at - before, &why);
    }
    *fragment = rc == 0 && line.n;
    return rc;
}

/* What stands behind the last line feed of a file that others follow. */
static int check_fragment(const struct input *in)
{
    struct err why = ERR_INIT;
    (void)err_set(&why, EIO, "the file ends in the middle of a line");
    return bad(in, in->line + 1, &why);
}

/* All lines are good, but what came before the first one nobody can know here. */
static int check_beginning(const struct audit_verify *v, const struct input *oldest,
                           const struct options *o)
{
    struct err why = ERR_INIT;
    if (v->first <= 1 || o->from_middle)
        return 0;
    (void)err_set(&why, EIO,
                  "the log begins with line %llu, in the middle of a chain: what came before is "
                  "not there (--from-middle, if older files were dropped on purpose)",
                  (unsigned long long)v->first);
    return bad(oldest, 1, &why);
}

static int verify(struct input *all, size_t n, const struct options *o, struct err *err)
{
    struct audit_verify v;
    struct err why = ERR_INIT;
    struct input *last = &all[n - 1];
    struct audit_verify_end end = {.open = strcmp(last->path, "-") == 0};
    bool before;
    audit_verify_init(&v);
    for (size_t i = 0; i < n; i++) {
        if (i && end.fragment)
            return check_fragment(&all[i - 1]);
        int rc = verify_file(&v, &all[i], i ? &all[i - 1] : NULL, &end.fragment, err);
        if (rc < 0)
            return rc;
    }
    if (o->chain)
        read_chain(last, o->chain);
    if (o->chain && !last->has_chain)
        return err_set(err, EIO, "%s cannot be read", o->chain);
    end.chain = last->has_chain ? &last->chain : NULL;
    if (audit_verify_end(&v, &end, &before, &why) < 0)
        return bad(last, before ? last->line : last->line + 1, &why);
    printf("lines %llu to %llu are as they were written%s%s\n", (unsigned long long)v.first,
           (unsigned long long)v.at.line, v.first > 1 ? "; what came before is not there" : "",
           end.open && !end.chain && !v.ended ? "; whether lines follow is not known" : "");
    return check_beginning(&v, &all[0], o);
}

static int run(char **paths, size_t n, const struct options *o, struct err *err)
{
    struct input *all = calloc(n, sizeof *all);
    if (!all)
        return err_set(err, ENOMEM, "out of memory");
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = open_input(&all[i], paths[i], err);
    if (rc == 0) {
        qsort(all, n, sizeof *all, compare);
        rc = verify(all, n, o, err);
    }
    close_inputs(all, n);
    return rc;
}

int cmd_audit(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct options o = {.chain = NULL};
    int i = 1;
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    if (argc < 2 || strcmp(argv[1], "verify") != 0)
        return usage_error("audit", "what to do is needed: verify");
    for (i = 2; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            help();
            return EXIT_OK;
        }
        if (strcmp(argv[i], "--from-middle") == 0)
            o.from_middle = true;
        else if (strcmp(argv[i], "--chain") == 0 && i + 1 < argc)
            o.chain = argv[++i];
        else
            return usage_error("audit", "verify: unknown option %s", argv[i]);
    }
    if (i == argc || argc - i > FILES_MAX_HERE)
        return usage_error("audit", "verify: the FILEs of a log are needed");
    if (run(argv + i, (size_t)(argc - i), &o, &err) == 0)
        return EXIT_OK;
    if (err.code)
        (void)fprintf(stderr, "tarn audit: %s\n", err.msg);
    return EXIT_FAILED;
}
