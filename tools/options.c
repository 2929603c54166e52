/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/options.h"

#include <stddef.h>

#include "base/clock.h"
#include "base/instant.h"
#include "base/json.h"
#include "base/text.h"
#include "fs/session.h"
#include "tools/recall_speed.h"

#define DEFAULT_CACHE_BYTES (20 * GIB)
/* What others on the disk can count on; of a small disk less. */
#define DEFAULT_FREE_BYTES GIB
#define DEFAULT_FREE_PERCENT 5
#define DEFAULT_COMPRESS_AFTER_MS 86400000
#define DEFAULT_REFRESH_MS 1000
#define DEFAULT_HOLD_MS 60000
#define DEFAULT_KEEP_MS 86400000
#define DEFAULT_THREADS 2
#define DEADLINE_MS_MIN 100 /* below it nothing would ever be answered */
#define OPTION_BYTES_MAX (64 * KIB)

static const struct option_row {
    const char *name;
    size_t offset;
    bool flag;
    const char *help;
} table[] = {
#define VALUE(name, field, help)                                                                   \
    {                                                                                              \
        name, offsetof(struct options, field), false, help                                         \
    }
#define FLAG(name, field, help)                                                                    \
    {                                                                                              \
        name, offsetof(struct options, field), true, help                                          \
    }
    VALUE("cache-dir", cache_dir, "DIR   where objects and indexes are kept"),
    VALUE("cache-size", cache_size, "SIZE   budget of the cached objects (20G)"),
    VALUE("cache-free", cache_free, "SIZE|N%   of its disk stay free (1G, of a small disk 5%)"),
    VALUE("cache-key-file", cache_key_file, "FILE   encrypt the cached objects with this key"),
    VALUE("cache-compress-after", cache_compress_after,
          "S   objects not read for so long are compressed (1d; 0: never)"),
    VALUE("refresh", refresh, "S   a live path that rests this long shows the newest version (1)"),
    VALUE("hold", hold, "S   a live path that is walked holds still this long (60)"),
    VALUE("keep", keep, "S   names that were shown stay openable this long (86400)"),
    VALUE("as-of", as_of, "TIME   bare paths show this time; later refs do not exist"),
    VALUE("outside", outside, "URL   files of tables may lie below it too; as often as wanted"),
    VALUE("near", near, "URL   a nearer store, read first and filled with what is read"),
    VALUE("near-size", near_size, "SIZE   budget of what lies in it (200G)"),
    VALUE("archive-store", archive_store,
          "URL   what the source has lost is read there (tarn archive)"),
    VALUE("endpoint-url", endpoint_url, "URL   another server than the store's own"),
    VALUE("region", region, "NAME   region of the bucket (us-east-1)"),
    VALUE("ca-bundle", ca_bundle, "FILE   certificates to trust, PEM"),
    VALUE("deadline", deadline, "S   a request to the store ends by then, with its retries (60)"),
    VALUE("profile", profile, "NAME   profile of the AWS configuration (AWS_PROFILE, default)"),
    VALUE("addressing", addressing, "auto|path|virtual   where the bucket's name stands (auto)"),
    VALUE("proxy", proxy, "URL   HTTP proxy (HTTPS_PROXY, http_proxy, NO_PROXY; off: none)"),
    VALUE("sse", sse, "aws:kms|AES256   encryption of what is written"),
    VALUE("sse-kms-key-id", sse_kms_key_id, "ID   key of sse"),
    VALUE("sse-c-key-file", sse_c_key_file, "FILE   key that objects were written with"),
    FLAG("requester-pays", requester_pays, "   the requests are paid by who asks"),
    VALUE("passthrough", passthrough, "auto|off   the kernel reads cached files itself (auto)"),
    VALUE("slack", slack, "SIZE[+1/N]   room of files that need other footers (64K+1/16)"),
    VALUE("archive", archive, "refuse|recall   what opening an archived file does (refuse)"),
    VALUE("recall-days", recall_days, "N   files that are recalled stay readable this long (7)"),
    VALUE("recall-speed", recall_speed, "standard|bulk|expedited   how soon they are (standard)"),
    VALUE("policy", policy, "FILE   who is shown what: what no grant of it allows is not there"),
    VALUE("as", role, "ROLE   as whom the mount sees (the user who mounts)"),
    FLAG("per-uid", per_uid, "   each caller sees as himself; other users may enter the mount"),
    FLAG("revocable", revocable, "   files of a policy are never read by the kernel itself"),
    VALUE("audit", audit, "FILE|syslog|journald   who opened what, and what was denied"),
    FLAG("audit-strict", audit_strict, "   no byte before its line is on disk"),
    VALUE("threads", threads, "N   threads that take requests (2)"),
    VALUE("uid", uid, "UID   owner of all files (the caller)"),
    VALUE("gid", gid, "GID   group of all files (the caller's)"),
    FLAG("no-sign-request", no_sign_request, "   ask the store without credentials"),
    FLAG("allow-other", allow_other, "   other users may enter the mount"),
    FLAG("foreground", foreground, "   stay in the foreground (-f)"),
    FLAG("debug", debug, "   log every request (-d)"),
#undef VALUE
#undef FLAG
};

static const struct option_row *find_row(struct slice name)
{
    AUTO(buf) struct buf dashed = {0}; /* -o takes allow_other as mount does */
    buf_init(&dashed, 64);
    for (size_t i = 0; i < name.n; i++)
        buf_add_char(&dashed, name.p[i] == '_' ? '-' : name.p[i]);
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (slice_is(buf_slice(&dashed), table[i].name))
            return &table[i];
    return NULL;
}

static char **value_at(struct options *o, const struct option_row *row)
{
    return (char **)(void *)((char *)o + row->offset);
}

static bool *flag_at(struct options *o, const struct option_row *row)
{
    return (bool *)(void *)((char *)o + row->offset);
}

void options_done(struct options *o)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        if (!table[i].flag) {
            free(*value_at(o, &table[i]));
            *value_at(o, &table[i]) = NULL;
        }
}

int options_takes_value(struct slice name)
{
    const struct option_row *row = find_row(name);
    return row ? !row->flag : -1;
}

int options_set(struct options *o, struct slice name, const char *value, struct err *err)
{
    const struct option_row *row = find_row(name);
    if (!row)
        return err_set(err, EINVAL, "unknown option %.*s", SLICE_FMT(name));
    if (row->flag && value)
        return err_set(err, EINVAL, "option %s takes no value", row->name);
    if (!row->flag && !value)
        return err_set(err, EINVAL, "option %s needs a value", row->name);
    if (row->flag) {
        *flag_at(o, row) = true;
        return 0;
    }
    char *copy = NULL, **at = value_at(o, row);
    bool more = at == &o->outside && *at;
    if (more && asprintf(&copy, "%s\n%s", *at, value) < 0)
        copy = NULL;
    else if (!more)
        copy = strdup(value);
    if (!copy)
        return err_set(err, ENOMEM, "out of memory");
    free(*at);
    *at = copy;
    return 0;
}

int options_set_list(struct options *o, const char *list, struct err *err)
{
    AUTO(buf) struct buf item = {0};
    buf_init(&item, URL_BYTES_MAX);
    for (const char *p = list;; p++) {
        if (p[0] == '\\' && p[1] == ',') {
            buf_add_char(&item, *++p);
            continue;
        }
        if (*p && *p != ',') {
            buf_add_char(&item, *p);
            continue;
        }
        int rc = buf_check(&item, err);
        if (rc < 0)
            return err_wrap(err, "-o %.32s...", item.data);
        if (item.len) {
            ptrdiff_t equals = slice_find(buf_slice(&item), '=');
            struct slice name =
                equals < 0 ? buf_slice(&item) : slice_make(item.data, (size_t)equals);
            rc = options_set(o, name, equals < 0 ? NULL : item.data + equals + 1, err);
            if (rc < 0)
                return rc;
        }
        buf_reset(&item);
        if (!*p)
            return 0;
    }
}

/* A size, a share of the disk, or `off`. */
static int check_free(struct options *o, struct err *err)
{
    struct slice text = slice_of(o->cache_free);
    uint64_t percent = 100;
    o->cache_free_bytes = DEFAULT_FREE_BYTES;
    o->cache_free_percent = DEFAULT_FREE_PERCENT;
    if (!o->cache_free)
        return 0;
    o->cache_free_percent = 100;
    if (slice_is(text, "off")) {
        o->cache_free_bytes = 0;
    } else if (slice_ends(text, SLICE_LIT("%")) &&
               text_parse_u64(slice_make(text.p, text.n - 1), 99, &percent)) {
        o->cache_free_bytes = UINT64_MAX;
        o->cache_free_percent = (unsigned)percent;
    } else if (!text_parse_size(text, &o->cache_free_bytes)) {
        return err_set(err, EINVAL, "option cache-free: %s is no size (such as 10G, 5%% or 0)",
                       o->cache_free);
    }
    return 0;
}

static int check_duration(const char *name, const char *value, int64_t otherwise, int64_t *out,
                          struct err *err)
{
    *out = otherwise;
    if (value && !text_parse_duration_ms(slice_of(value), out))
        return err_set(err, EINVAL, "option %s: %s is no duration (such as 0.5, 60 or 5m)", name,
                       value);
    return 0;
}

static int check_number(const char *name, const char *value, uint64_t max, int64_t *out,
                        struct err *err)
{
    uint64_t number;
    if (!value)
        return 0;
    if (!text_parse_u64(slice_of(value), max, &number))
        return err_set(err, EINVAL, "option %s: %s is no number up to %llu", name, value,
                       (unsigned long long)max);
    *out = (int64_t)number;
    return 0;
}

static int default_cache_dir(struct options *o, struct err *err)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n;
    if (geteuid() == 0)
        n = asprintf(&o->cache_dir, "/var/cache/tarn");
    else if (base && *base == '/')
        n = asprintf(&o->cache_dir, "%s/tarn", base);
    else if (home && *home == '/')
        n = asprintf(&o->cache_dir, "%s/.cache/tarn", home);
    else
        return err_set(err, EINVAL, "option cache-dir is needed: HOME is not set");
    if (n < 0) {
        o->cache_dir = NULL;
        return err_set(err, ENOMEM, "out of memory");
    }
    return 0;
}

/* The daemon has no working directory of its caller's. */
static int make_absolute(char **path, struct err *err)
{
    AUTO_FREE char *here = NULL;
    char *whole;
    if (**path == '/')
        return 0;
    here = getcwd(NULL, 0);
    if (!here || asprintf(&whole, "%s/%s", here, *path) < 0)
        return err_set(err, errno, "working directory: %s", strerror(errno));
    free(*path);
    *path = whole;
    return 0;
}

/* What only means something with a policy must not be taken for one. */
static int check_policy(struct options *o, struct err *err)
{
    const char *alone = o->role           ? "as"
                        : o->per_uid      ? "per-uid"
                        : o->revocable    ? "revocable"
                        : o->audit        ? "audit"
                        : o->audit_strict ? "audit-strict"
                                          : NULL;
    if (!o->policy)
        return alone ? err_set(err, EINVAL, "option %s needs option policy", alone) : 0;
    if (!*o->policy || (o->role && !*o->role) || (o->audit && !*o->audit))
        return err_set(err, EINVAL, "option %s: it is empty",
                       !*o->policy            ? "policy"
                       : o->role && !*o->role ? "as"
                                              : "audit");
    if (o->role && o->per_uid)
        return err_set(err, EINVAL, "options as and per-uid: it is one role or each user");
    if (o->audit_strict && !o->audit)
        return err_set(err, EINVAL, "option audit-strict needs option audit");
    o->allow_other = o->allow_other || o->per_uid;
    int rc = make_absolute(&o->policy, err);
    bool file = o->audit && strcmp(o->audit, "syslog") != 0 && strcmp(o->audit, "journald") != 0;
    return rc == 0 && file ? make_absolute(&o->audit, err) : rc;
}

/* The daemon is somewhere else: a relative path would be another one there. */
static int check_outside(const struct options *o, struct err *err)
{
    struct slice rest = slice_of(o->outside);
    while (rest.n) {
        ptrdiff_t end = slice_find(rest, '\n');
        struct slice url = slice_make(rest.p, end < 0 ? rest.n : (size_t)end);
        rest = slice_from(rest, end < 0 ? rest.n : url.n + 1);
        if (!slice_starts(url, SLICE_LIT("/")) && !memmem(url.p, url.n, "://", 3))
            return err_set(err, EINVAL, "option outside: %.*s is no URL and no absolute path",
                           SLICE_FMT(url));
    }
    return 0;
}

static int check_recall(struct options *o, struct err *err)
{
    uint64_t days = RECALL_DAYS_DEFAULT;
    o->recalls = o->archive && strcmp(o->archive, "recall") == 0;
    if (o->archive && !o->recalls && strcmp(o->archive, "refuse") != 0)
        return err_set(err, EINVAL, "option archive: %s is neither refuse nor recall", o->archive);
    if (o->recall_days &&
        (!text_parse_u64(slice_of(o->recall_days), RECALL_DAYS_MAX, &days) || days == 0))
        return err_set(err, EINVAL, "option recall-days: %s is not from 1 to %d", o->recall_days,
                       RECALL_DAYS_MAX);
    if (o->recall_speed && !recall_speed_parse(slice_of(o->recall_speed), &o->recall.speed))
        return err_set(err, EINVAL, "option recall-speed: %s is none of standard, bulk, expedited",
                       o->recall_speed);
    o->recall.days = (unsigned)days;
    return 0;
}

/* The daemon is somewhere else: a relative path would be another one there. */
static int check_near(struct options *o, struct err *err)
{
    if (!o->near)
        return o->near_size ? err_set(err, EINVAL, "option near-size needs option near") : 0;
    if (*o->near != '/' && !strstr(o->near, "://"))
        return err_set(err, EINVAL, "option near: %s is no URL and no absolute path", o->near);
    if (o->sse_c_key_file)
        return err_set(err, EINVAL,
                       "options near and sse-c-key-file: what is encrypted at home with a key of "
                       "one's own would lie there in the clear");
    if (o->near_size &&
        (!text_parse_size(slice_of(o->near_size), &o->near_size_bytes) || o->near_size_bytes == 0))
        return err_set(err, EINVAL, "option near-size: %s is no size (such as 500G or 2T)",
                       o->near_size);
    return 0;
}

static int check_archive_store(const struct options *o, struct err *err)
{
    const char *url = o->archive_store;
    return !url || *url == '/' || strstr(url, "://")
               ? 0
               : err_set(err, EINVAL, "option archive-store: %s is no URL and no absolute path",
                         url);
}

int options_argument(struct options *o, int argc, char **argv, int *i, struct err *err)
{
    const char *arg = argv[*i];
    if (strncmp(arg, "-o", 2) == 0) {
        const char *list = arg[2] ? arg + 2 : *i + 1 < argc ? argv[++*i] : NULL;
        return list ? options_set_list(o, list, err)
                    : err_set(err, EINVAL, "-o needs KEY=VALUE,...");
    }
    if (strncmp(arg, "--", 2) != 0)
        return err_set(err, EINVAL, "unknown option %s", arg);
    struct slice name = slice_of(arg + 2);
    ptrdiff_t equals = slice_find(name, '=');
    const char *value = NULL;
    if (equals >= 0) {
        value = name.p + equals + 1;
        name.n = (size_t)equals;
    } else if (options_takes_value(name) == 1) {
        value = *i + 1 < argc ? argv[++*i] : NULL;
    }
    return options_set(o, name, value, err);
}

int options_check(struct options *o, struct err *err)
{
    int64_t threads = DEFAULT_THREADS;
    o->cache_size_bytes = DEFAULT_CACHE_BYTES;
    o->owner_uid = o->owner_gid = -1;
    o->slack_rule = (struct slack)SLACK_DEFAULT;
    if (o->cache_size && !text_parse_size(slice_of(o->cache_size), &o->cache_size_bytes))
        return err_set(err, EINVAL, "option cache-size: %s is no size (such as 500M or 2T)",
                       o->cache_size);
    if (o->as_of && (!instant_parse(slice_of(o->as_of), &o->as_of_ms) || o->as_of_ms <= 0))
        return err_set(err, EINVAL,
                       "option as-of: %s is no time (such as 2026-03-01 or 2026-03-01T093000Z)",
                       o->as_of);
    if (o->as_of_ms > clock_real_ms())
        return err_set(err, EINVAL, "option as-of: %s is later than now", o->as_of);
    if (o->cache_dir && !*o->cache_dir)
        return err_set(err, EINVAL, "option cache-dir: a directory is needed");
    int rc = o->cache_dir ? 0 : default_cache_dir(o, err);
    if (rc == 0)
        rc = make_absolute(&o->cache_dir, err);
    if (rc == 0 && o->ca_bundle)
        rc = make_absolute(&o->ca_bundle, err);
    if (rc == 0 && o->cache_key_file)
        rc = make_absolute(&o->cache_key_file, err);
    if (rc == 0 && o->sse_c_key_file)
        rc = make_absolute(&o->sse_c_key_file, err);
    if (rc == 0)
        rc = check_outside(o, err);
    if (rc == 0)
        rc = check_near(o, err);
    if (rc == 0)
        rc = check_archive_store(o, err);
    if (rc == 0)
        rc = check_policy(o, err);
    if (rc == 0)
        rc = check_free(o, err);
    if (rc == 0)
        rc = check_recall(o, err);
    if (rc == 0)
        rc = check_duration("cache-compress-after", o->cache_compress_after,
                            DEFAULT_COMPRESS_AFTER_MS, &o->cache_compress_after_ms, err);
    if (rc == 0)
        rc = check_duration("refresh", o->refresh, DEFAULT_REFRESH_MS, &o->refresh_ms, err);
    if (rc == 0)
        rc = check_duration("hold", o->hold, DEFAULT_HOLD_MS, &o->hold_ms, err);
    if (rc == 0)
        rc = check_duration("keep", o->keep, DEFAULT_KEEP_MS, &o->keep_ms, err);
    if (rc == 0)
        rc = check_duration("deadline", o->deadline, STORE_DEADLINE_MS, &o->deadline_ms, err);
    if (rc == 0 && (o->deadline_ms < DEADLINE_MS_MIN || o->deadline_ms > REQUEST_DEADLINE_MS))
        rc = err_set(err, EINVAL, "option deadline: %s is not from 0.1 to %d seconds", o->deadline,
                     REQUEST_DEADLINE_MS / 1000);
    if (rc == 0)
        rc = check_number("threads", o->threads, SESSION_THREADS_MAX, &threads, err);
    if (rc == 0)
        rc = check_number("uid", o->uid, UINT32_MAX - 1, &o->owner_uid, err);
    if (rc == 0)
        rc = check_number("gid", o->gid, UINT32_MAX - 1, &o->owner_gid, err);
    if (rc == 0 && o->slack && slack_parse(slice_of(o->slack), &o->slack_rule, err) < 0)
        rc = err_wrap(err, "option slack");
    if (rc == 0 && threads == 0)
        rc = err_set(err, EINVAL, "option threads: at least 1 is needed");
    if (rc == 0 && o->passthrough && strcmp(o->passthrough, "auto") != 0 &&
        strcmp(o->passthrough, "off") != 0)
        rc = err_set(err, EINVAL, "option passthrough: %s is neither auto nor off", o->passthrough);
    if (rc == 0 && o->proxy && strchr(o->proxy, '@'))
        rc = err_set(err, EINVAL,
                     "option proxy: a password is seen by others there; give it in "
                     "https_proxy or http_proxy");
    o->threads_count = (unsigned)threads;
    return rc;
}

static void format_rows(const struct options *o, struct buf *out, bool cache_only)
{
    struct options *all = (struct options *)(uintptr_t)o; /* only read */
    const char *separator = "{";
    for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
        const char *value = table[i].flag ? "" : *value_at(all, &table[i]);
        struct slice name = slice_of(table[i].name);
        bool of_cache = slice_starts(name, SLICE_LIT("cache-")) && !slice_is(name, "cache-dir");
        if ((table[i].flag ? !*flag_at(all, &table[i]) : !value) || (cache_only && !of_cache))
            continue;
        buf_addf(out, "%s\"%s\":", separator, table[i].name);
        if (table[i].flag)
            buf_add_str(out, "true");
        else
            buf_add_json(out, slice_of(value));
        separator = ",";
    }
    buf_add_str(out, *separator == '{' ? "{}" : "}");
}

void options_format(const struct options *o, struct buf *out)
{
    format_rows(o, out, false);
}

void options_format_cache(const struct options *o, struct buf *out)
{
    format_rows(o, out, true);
}

/* One member: its name was read. */
static int parse_member(struct options *o, struct slice name, struct json *j, struct err *err)
{
    bool flag;
    struct slice value = SLICE_NONE;
    AUTO(buf) struct buf scratch = {0};
    AUTO_FREE char *text = NULL;
    buf_init(&scratch, OPTION_BYTES_MAX);
    bool is_flag = json_peek(j) == JSON_BOOL;
    if (!(is_flag ? json_bool(j, &flag) : json_string(j, &scratch, &value)))
        return json_error(j, err);
    const struct option_row *row = find_row(name);
    if (row && !row->flag && *value_at(o, row))
        return 0;
    if (!is_flag && !(text = strndup(value.p ? value.p : "", value.n)))
        return err_set(err, ENOMEM, "out of memory");
    return options_set(o, name, text, err);
}

int options_parse(struct options *o, struct slice text, struct err *err)
{
    struct json j;
    struct slice key;
    json_init(&j, text);
    if (!json_enter_object(&j))
        return json_error(&j, err);
    while (json_next_key(&j, &key)) {
        int rc = parse_member(o, key, &j, err);
        if (rc < 0)
            return rc;
    }
    return json_failed(&j) ? json_error(&j, err) : 0;
}

void options_help(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(table); i++)
        printf("  --%s %s\n", table[i].name, table[i].help);
}
