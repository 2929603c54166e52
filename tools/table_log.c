/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/table_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/instant.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/vec.h"
#include "tools/reason.h"

#define DOCUMENT_BYTES_MAX ((size_t)1 << 30)

void table_log_init(struct table_log *log)
{
    *log = (struct table_log){.max = VERSIONS_MAX};
    buf_init(&log->text, DOCUMENT_BYTES_MAX);
}

static void line_done(struct table_log_line *l)
{
    free(l->operation);
    free(l->parameters);
    free(l->user);
    free(l->engine);
    free(l->names);
}

void table_log_done(struct table_log *log)
{
    for (size_t i = 0; i < log->n; i++)
        line_done(&log->at[i]);
    vec_done(log);
    buf_done(&log->text);
}

/* `.tarn` is found in the table's directory, so it is looked for from the path upwards. */
int table_log_document(const char *path, const char *name, struct buf *out, struct err *err)
{
    AUTO(buf) struct buf file = {0};
    AUTO_FREE char *real = realpath(path, NULL);
    struct slice dir = slice_of(real);
    if (!real)
        return reason_set(err, errno, path);
    buf_init(&file, KEY_BYTES_MAX + 64);
    for (; dir.n > 1; dir = text_dirname(dir)) {
        buf_reset(&file);
        buf_addf(&file, "%.*s/.tarn/%s", SLICE_FMT(dir), name);
        int rc = buf_check(&file, err);
        if (rc == 0)
            rc = file_read(AT_FDCWD, file.data, out, err);
        if (rc == -EIO || rc == -EOPNOTSUPP)
            return reason_set(err, -rc, path);
        if (rc != -ENOENT && rc != -ENOTDIR)
            return rc;
    }
    return err_set(err, ENOENT, "%s is in no table of a mount of tarn", path);
}

/* Commits are written by anybody: nothing in them steers the terminal. */
static void disarm(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
}

/* A string as it is; of anything else its JSON. null is nothing. */
static bool take_text(struct json *j, char **out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice text = SLICE_NONE;
    buf_init(&scratch, JSON_LINE_BYTES_MAX);
    if (json_null(j))
        return true;
    bool ok = json_peek(j) == JSON_STRING ? json_string(j, &scratch, &text) : json_skip(j, &text);
    if (ok && text.n) {
        free(*out);
        *out = strndup(text.p, text.n);
        ok = *out != NULL;
        if (ok)
            disarm(*out);
    }
    return ok;
}

static bool take_number(struct json *j, int64_t *out)
{
    return json_peek(j) == JSON_NUMBER ? json_int64(j, out) : json_skip(j, NULL);
}

static bool take_flag(struct json *j, bool *out)
{
    return json_peek(j) == JSON_BOOL ? json_bool(j, out) : json_skip(j, NULL);
}

static bool take_line(struct json *j, struct table_log_line *l)
{
    struct slice key;
    const struct {
        const char *name;
        int64_t *to;
    } numbers[] = {{"version", &l->version},
                   {"timestampMs", &l->time_ms},
                   {"numAddedFiles", &l->added_files},
                   {"numRemovedFiles", &l->removed_files},
                   {"addedBytes", &l->added_bytes},
                   {"removedBytes", &l->removed_bytes},
                   {"numChangeFiles", &l->change_files},
                   {"numAddedDeleteFiles", &l->added_deletes},
                   {"numRemovedDeleteFiles", &l->removed_deletes}};
    const struct {
        const char *name;
        char **to;
    } texts[] = {{"operation", &l->operation},
                 {"operationParameters", &l->parameters},
                 {"userName", &l->user},
                 {"engineInfo", &l->engine}};
    const struct {
        const char *name;
        bool *to;
    } flags[] = {{"dataChange", &l->rows},
                 {"metadataChange", &l->metadata},
                 {"protocolChange", &l->protocol}};
    bool ok = json_enter_object(j);
    while (ok && json_next_key(j, &key)) {
        size_t n = 0, t = 0, f = 0;
        while (n < ARRAY_SIZE(numbers) && !slice_is(key, numbers[n].name))
            n++;
        while (t < ARRAY_SIZE(texts) && !slice_is(key, texts[t].name))
            t++;
        while (f < ARRAY_SIZE(flags) && !slice_is(key, flags[f].name))
            f++;
        ok = n < ARRAY_SIZE(numbers) ? take_number(j, numbers[n].to)
             : t < ARRAY_SIZE(texts) ? take_text(j, texts[t].to)
             : f < ARRAY_SIZE(flags) ? take_flag(j, flags[f].to)
                                     : json_skip(j, NULL);
    }
    return ok && !json_failed(j);
}

static int parse_history(struct table_log *log, struct err *err)
{
    struct json j;
    json_init(&j, buf_slice(&log->text));
    bool ok = json_enter_array(&j);
    while (ok && json_next_element(&j)) {
        struct table_log_line l = {.version = -1,
                                   .added_files = TABLE_LOG_UNKNOWN,
                                   .removed_files = TABLE_LOG_UNKNOWN,
                                   .added_bytes = TABLE_LOG_UNKNOWN,
                                   .removed_bytes = TABLE_LOG_UNKNOWN,
                                   .removable_ms = INT64_MAX};
        struct json again;
        ok = json_skip(&j, &l.raw);
        json_init(&again, l.raw);
        ok = ok && take_line(&again, &l);
        if (!ok || vec_push(log, l) < 0) {
            line_done(&l);
            return err_set(err, EIO, "history.json cannot be read");
        }
    }
    return json_failed(&j) ? json_error(&j, err) : 0;
}

static struct table_log_line *find_line(const struct table_log *log, int64_t version)
{
    size_t low = 0, high = log->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->at[middle].version < version)
            low = middle + 1;
        else
            high = middle;
    }
    return low < log->n && log->at[low].version == version ? &log->at[low] : NULL;
}

static bool take_removable(struct json *j, struct table_log *log)
{
    struct slice key;
    int64_t version = -1, ms = INT64_MAX;
    bool ok = json_enter_object(j);
    while (ok && json_next_key(j, &key))
        ok = slice_is(key, "version")         ? json_int64(j, &version)
             : slice_is(key, "removableAtMs") ? json_int64(j, &ms)
                                              : json_skip(j, NULL);
    struct table_log_line *l = ok ? find_line(log, version) : NULL;
    if (l)
        l->removable_ms = ms;
    return ok;
}

static int parse_retention(struct table_log *log, struct slice text, struct err *err)
{
    struct json j;
    struct slice key;
    json_init(&j, text);
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key)) {
        if (slice_is(key, "retentionMs"))
            ok = json_int64(&j, &log->retention_ms);
        else if (!slice_is(key, "versions"))
            ok = json_skip(&j, NULL);
        else
            for (ok = json_enter_array(&j); ok && json_next_element(&j);)
                ok = take_removable(&j, log);
    }
    return json_failed(&j) ? json_error(&j, err) : 0;
}

static int add_name(struct table_log *log, int64_t version, struct slice name)
{
    for (size_t i = 0; i < log->n; i++) {
        struct table_log_line *l = &log->at[i];
        char *names = NULL;
        if (l->version != version)
            continue;
        if (asprintf(&names, "%s%s%.*s", l->names ? l->names : "", l->names ? ", " : "",
                     SLICE_FMT(name)) < 0)
            return -ENOMEM;
        disarm(names);
        free(l->names);
        l->names = names;
    }
    return 0;
}

static int parse_refs(struct table_log *log, struct slice text, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    buf_init(&scratch, DOCUMENT_BYTES_MAX);
    json_init(&j, text);
    bool ok = json_enter_array(&j);
    while (ok && json_next_element(&j)) {
        struct slice key, name = SLICE_NONE;
        int64_t version = -1;
        ok = json_enter_object(&j);
        while (ok && json_next_key(&j, &key))
            ok = slice_is(key, "name")      ? json_string(&j, &scratch, &name)
                 : slice_is(key, "version") ? json_int64(&j, &version)
                                            : json_skip(&j, NULL);
        if (ok && add_name(log, version, name) < 0)
            return err_set(err, ENOMEM, "out of memory for the names of versions");
    }
    return json_failed(&j) ? json_error(&j, err) : 0;
}

int table_log_read(struct table_log *log, const char *path, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, DOCUMENT_BYTES_MAX);
    int rc = table_log_document(path, "history.json", &log->text, err);
    if (rc == 0)
        rc = parse_history(log, err);
    if (rc < 0)
        return rc;
    struct err ignored = ERR_INIT; /* a format without such a rule, or a newest version that is
                                    * refused: then nothing is told of it */
    if (table_log_document(path, "refs.json", &text, &ignored) == 0)
        rc = parse_refs(log, buf_slice(&text), err);
    if (rc < 0)
        return rc;
    buf_reset(&text);
    if (table_log_document(path, "retention.json", &text, &ignored) < 0)
        return 0;
    return parse_retention(log, buf_slice(&text), err);
}

void table_log_time(struct buf *out, int64_t time_ms)
{
    time_t seconds = (time_t)(time_ms / 1000 - (time_ms % 1000 < 0));
    struct tm tm;
    char text[64];
    if (localtime_r(&seconds, &tm) && strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S %z", &tm))
        buf_add_str(out, text);
    else
        instant_format(out, time_ms); /* years beyond the calendar */
}

void table_log_warn(const struct table_log *log)
{
    AUTO(buf) struct buf since = {0};
    int64_t now_ms = clock_real_ms(), first_ms = INT64_MAX;
    size_t count = 0;
    const struct table_log_line *last = NULL;
    for (size_t i = 0; i < log->n; i++) {
        const struct table_log_line *l = &log->at[i];
        if (l->removable_ms > now_ms)
            continue;
        count++;
        last = l;
        first_ms = l->removable_ms < first_ms ? l->removable_ms : first_ms;
    }
    if (!count)
        return;
    buf_init(&since, KIB);
    table_log_time(&since, first_ms);
    printf("\n! %zu version%s up to %lld hold%s files that later versions removed, and that VACUUM "
           "may remove\n  since %.*s (the table keeps them %.3g days).\n",
           count, count == 1 ? "" : "s", (long long)last->version, count == 1 ? "s" : "",
           SLICE_FMT(buf_slice(&since)), (double)log->retention_ms / 86400000.0);
}

static void print_json_line(const struct table_log_line *l)
{
    AUTO(buf) struct buf out = {0};
    buf_init(&out, DOCUMENT_BYTES_MAX);
    buf_add_slice(&out, slice_make(l->raw.p, l->raw.n - 1)); /* its closing brace comes last */
    if (l->removable_ms == INT64_MAX) {
        buf_add_str(&out, ",\"removableAt\":null}");
    } else {
        buf_add_str(&out, ",\"removableAt\":\"");
        instant_format(&out, l->removable_ms);
        buf_add_str(&out, "\"}");
    }
    printf("%.*s", SLICE_FMT(buf_slice(&out)));
}

void table_log_print_json(const struct table_log *log, bool newest_first, size_t count)
{
    size_t first = log->n > count ? log->n - count : 0;
    printf("[");
    for (size_t i = first; i < log->n; i++) {
        printf("%s", i > first ? ",\n" : "");
        print_json_line(&log->at[newest_first ? log->n - 1 - (i - first) : i]);
    }
    printf("]\n");
}
