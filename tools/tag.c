/* SPDX-License-Identifier: Apache-2.0 */
/* tarn tag: names for versions of a table, of this machine or shared in the lake. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/instant.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "tools/arguments.h"
#include "tools/ask.h"
#include "tools/control.h"
#include "tools/reason.h"
#include "tools/table_log.h"
#include "tools/tools.h"

#define VALUE_BYTES 4096

struct tag_command {
    const char *path, *name;
    const char *action; /* "set", "delete", "list" */
    bool shared, replace, json;
    bool any; /* of a JSON list: one was printed */
};

static void help(void)
{
    printf(
        "usage: tarn tag [--shared] [--force] TABLE@REF NAME\n"
        "       tarn tag --delete [--shared] TABLE NAME\n"
        "       tarn tag --list [--json] TABLE\n\n"
        "Names the version that the path TABLE@REF of a mount shows, so that TABLE@NAME is that\n"
        "version. The tag is kept in the cache directory of this machine, or, with --shared, in\n"
        "the lake beside the table, for everybody. A tag that is there is set anew only with\n"
        "--force. Where both are of one name, the one of this machine counts.\n");
}

static bool take_option(struct tag_command *c, const char *arg)
{
    if (strcmp(arg, "--shared") == 0)
        c->shared = true;
    else if (strcmp(arg, "--force") == 0)
        c->replace = true;
    else if (strcmp(arg, "--json") == 0)
        c->json = true;
    else if (strcmp(arg, "--delete") == 0 || strcmp(arg, "--list") == 0)
        c->action = arg + 2;
    else
        return false;
    return true;
}

static int parse(struct tag_command *c, int argc, char **argv)
{
    struct arguments a = {.argc = argc, .argv = argv};
    bool option;
    c->action = "set";
    for (const char *arg; (arg = arguments_next(&a, &option));) {
        if (option && take_option(c, arg))
            continue;
        if (option || c->name)
            return usage_error("tag", "unexpected argument %s", arg);
        if (c->path)
            c->name = arg;
        else
            c->path = arg;
    }
    bool list = strcmp(c->action, "list") == 0;
    if (!c->path || list == (c->name != NULL))
        return usage_error("tag", list ? "one PATH of a table is needed"
                                       : "a PATH of a table and a NAME are needed");
    return EXIT_OK;
}

/* An attribute of the path as a text with its zero. */
static int attribute(const char *path, const char *name, char out[VALUE_BYTES], struct err *err)
{
    ssize_t n = getxattr(path, name, out, VALUE_BYTES - 1);
    bool refused = n < 0 && getxattr(path, "user.tarn.error", NULL, 0) > 0;
    if (n < 0 && errno == ENODATA && !refused)
        return err_set(err, ENOENT, "%s is in no table of a mount of tarn", path);
    if (n < 0)
        return reason_set(err, refused ? EOPNOTSUPP : errno, path);
    out[n] = '\0';
    return 0;
}

static const char *user_name(void)
{
    const struct passwd *p = getpwuid(getuid());
    return p ? p->pw_name : "";
}

/* Which version is to be named, and its commit's time. */
static int add_version(const struct tag_command *c, struct buf *out, struct err *err)
{
    char version[VALUE_BYTES], time[VALUE_BYTES];
    uint64_t number;
    int64_t time_ms;
    int rc = attribute(c->path, "user.tarn.version", version, err);
    if (rc == 0)
        rc = attribute(c->path, "user.tarn.timestamp", time, err);
    if (rc < 0)
        return rc;
    if (!text_parse_u64(slice_of(version), INT64_MAX, &number) ||
        !instant_parse(slice_of(time), &time_ms))
        return err_set(err, EINVAL, "%s shows %s, which is no one version", c->path, version);
    buf_addf(out, ",\"version\":%llu,\"timeMs\":%lld", (unsigned long long)number,
             (long long)time_ms);
    return 0;
}

static int format_request(const struct tag_command *c, struct buf *out, struct err *err)
{
    char mount[VALUE_BYTES], table[VALUE_BYTES];
    int rc = attribute(c->path, "user.tarn.table", table, err);
    if (rc == 0)
        rc = attribute(c->path, "user.tarn.mount", mount, err);
    if (rc < 0)
        return rc;
    buf_addf(out,
             "{\"op\":\"tag\",\"tag\":{\"action\":\"%s\",\"mount\":\"%s\",\"table\":", c->action,
             mount);
    buf_add_json(out, slice_of(table));
    if (c->name) {
        buf_add_str(out, ",\"name\":");
        buf_add_json(out, slice_of(c->name));
    }
    buf_addf(out, ",\"shared\":%s,\"replace\":%s,\"by\":", c->shared ? "true" : "false",
             c->replace ? "true" : "false");
    buf_add_json(out, slice_of(user_name()));
    if (strcmp(c->action, "set") == 0)
        rc = add_version(c, out, err);
    buf_add_str(out, "}}");
    return rc < 0 ? rc : buf_check(out, err);
}

/* A line of a list: true; false: it is the answer that ends it. */
static bool print_tag(struct tag_command *c, struct slice line)
{
    AUTO(buf) struct buf scratch = {0}, format = {0};
    struct json j;
    struct slice key, name = SLICE_NONE, kind = SLICE_NONE;
    int64_t version = -1;
    bool shared = false, hidden = false, ok;
    buf_init(&scratch, KEY_BYTES_MAX);
    buf_init(&format, KEY_BYTES_MAX);
    json_init(&j, line);
    ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key))
        ok = slice_is(key, "name")      ? json_string(&j, &scratch, &name)
             : slice_is(key, "version") ? json_int64(&j, &version)
             : slice_is(key, "shared")  ? json_bool(&j, &shared)
             : slice_is(key, "hidden")  ? json_bool(&j, &hidden)
             : slice_is(key, "format")  ? json_string(&j, &format, &kind)
                                        : json_skip(&j, NULL);
    if (!kind.n)
        kind = shared ? SLICE_LIT("shared") : SLICE_LIT("local");
    if (!ok || json_failed(&j) || !name.n)
        return false;
    if (c->json)
        printf("%s%.*s", c->any ? ",\n" : "", SLICE_FMT(line));
    else
        printf("%8lld  %-7.*s  %.*s%s\n", (long long)version, SLICE_FMT(kind), SLICE_FMT(name),
               hidden ? "  (a local tag has its name)" : "");
    c->any = true;
    return true;
}

static int ask(struct tag_command *c, struct err *err)
{
    char dir[PATH_MAX];
    AUTO_FD int fd = -1;
    AUTO(buf) struct buf line = {0};
    int passed = -1;
    buf_init(&line, CONTROL_MESSAGE_MAX);
    int rc = format_request(c, &line, err);
    if (rc == 0)
        rc = ask_directory(c->path, dir, err);
    if (rc == 0)
        rc = control_connect(dir, &fd, err);
    if (rc == 0)
        rc = control_check_peer(fd, err);
    if (rc == 0)
        rc = control_send(fd, buf_slice(&line), -1, err);
    do {
        if (rc == 0)
            rc = control_receive(fd, &line, &passed, err);
    } while (rc == 0 && print_tag(c, buf_slice(&line)));
    if (rc == 0 && control_check_answer(buf_slice(&line), err) < 0)
        rc = err_wrap(err, "%s", c->path);
    return rc;
}

/* What was named may lose its files: whoever names it wants to keep it. */
static void warn_removable(const char *path)
{
    AUTO(table_log) struct table_log log = {0};
    AUTO(buf) struct buf since = {0};
    table_log_init(&log);
    if (table_log_read(&log, path, NULL) < 0 || log.n == 0)
        return;                                          /* it is named all the same */
    const struct table_log_line *l = &log.at[log.n - 1]; /* the version that the path shows */
    if (l->removable_ms > clock_real_ms())
        return;
    buf_init(&since, KIB);
    table_log_time(&since, l->removable_ms);
    (void)fprintf(stderr,
                  "tarn tag: version %lld holds files that VACUUM may remove since %s: a tag does "
                  "not keep them\n",
                  (long long)l->version, since.data);
}

int cmd_tag(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct tag_command c = {.path = NULL};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    int status = parse(&c, argc, argv);
    if (status != EXIT_OK)
        return status;
    bool list = c.json && strcmp(c.action, "list") == 0;
    printf("%s", list ? "[" : "");
    int rc = ask(&c, &err);
    printf("%s", list ? "]\n" : "");
    if (rc < 0)
        (void)fprintf(stderr, "tarn tag: %s\n", err.msg);
    else if (strcmp(c.action, "set") == 0)
        warn_removable(c.path);
    return rc < 0 ? EXIT_FAILED : EXIT_OK;
}
