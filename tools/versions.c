/* SPDX-License-Identifier: Apache-2.0 */
/* tarn versions PATH: the versions of a table, from its .tarn/history.json. */
#include <fcntl.h>

#include "base/file.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "tools/tools.h"

#define HISTORY_BYTES_MAX ((size_t)1 << 30)

/* One version as a line: number, time, operation, who. */
struct line {
    int64_t version;
    struct buf timestamp, operation, user;
};

static bool take_text(struct json *j, struct buf *out)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice text;
    if (json_peek(j) != JSON_STRING)
        return json_skip(j, NULL);
    buf_init(&scratch, JSON_LINE_BYTES_MAX);
    if (!json_string(j, &scratch, &text))
        return false;
    buf_add_slice(out, text);
    return true;
}

static bool print_version(struct json *j)
{
    struct line l = {.version = -1};
    struct slice key;
    buf_init(&l.timestamp, KIB);
    buf_init(&l.operation, KIB);
    buf_init(&l.user, KIB);
    bool ok = json_enter_object(j);
    while (ok && json_next_key(j, &key))
        if (slice_is(key, "version"))
            ok = json_int64(j, &l.version);
        else if (slice_is(key, "timestamp"))
            ok = take_text(j, &l.timestamp);
        else if (slice_is(key, "operation"))
            ok = take_text(j, &l.operation);
        else if (slice_is(key, "userName"))
            ok = take_text(j, &l.user);
        else
            ok = json_skip(j, NULL);
    if (ok && !json_failed(j))
        printf("%8lld  %-24.*s  %-16.*s  %.*s\n", (long long)l.version,
               SLICE_FMT(buf_slice(&l.timestamp)), SLICE_FMT(buf_slice(&l.operation)),
               SLICE_FMT(buf_slice(&l.user)));
    buf_done(&l.timestamp);
    buf_done(&l.operation);
    buf_done(&l.user);
    return ok;
}

/*
 * The history of the table that the path is in: `.tarn` is found in the table's directory, so it is
 * looked for from the path upwards.
 */
static int read_history(const char *path, struct buf *out, struct err *err)
{
    AUTO(buf) struct buf file = {0};
    AUTO_FREE char *real = realpath(path, NULL);
    struct slice dir = slice_of(real);
    if (!real)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    for (; dir.n > 1; dir = text_dirname(dir)) {
        buf_done(&file);
        buf_init(&file, KEY_BYTES_MAX + 64);
        buf_addf(&file, "%.*s/.tarn/history.json", SLICE_FMT(dir));
        int rc = buf_check(&file, err);
        if (rc == 0)
            rc = file_read(AT_FDCWD, file.data, out, err);
        if (rc != -ENOENT && rc != -ENOTDIR)
            return rc;
    }
    return err_set(err, ENOENT, "%s is in no table of a mount of tarn", path);
}

int cmd_versions(int argc, char **argv)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf text = {0};
    struct json j;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("usage: tarn versions PATH\n\nPATH is a table in a mount, or something in it.\n");
        return EXIT_OK;
    }
    if (argc != 2 || argv[1][0] == '-')
        return usage_error("versions", "one PATH of a table in a mount is needed");
    buf_init(&text, HISTORY_BYTES_MAX);
    int rc = read_history(argv[1], &text, &err);
    json_init(&j, buf_slice(&text));
    bool ok = rc == 0 && json_enter_array(&j);
    while (ok && json_next_element(&j))
        ok = print_version(&j);
    if (rc == 0 && json_failed(&j))
        rc = json_error(&j, &err);
    if (rc < 0)
        (void)fprintf(stderr, "tarn versions: %s\n", err.msg);
    return rc < 0 ? EXIT_FAILED : EXIT_OK;
}
