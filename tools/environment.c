/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/environment.h"

#include <fcntl.h>
#include <stddef.h>

#include "base/file.h"
#include "base/limits.h"
#include "cache/store/ini.h"

#define CONFIG_BYTES_MAX MIB

static const struct row {
    const char *variable, *setting, *option; /* setting: of a profile; NULL: none */
    size_t offset;
} rows[] = {
    {"AWS_REGION", "region", "region", offsetof(struct options, region)},
    {"AWS_DEFAULT_REGION", NULL, "region", offsetof(struct options, region)},
    {"AWS_ENDPOINT_URL_S3", "endpoint_url", "endpoint-url", offsetof(struct options, endpoint_url)},
    {"AWS_ENDPOINT_URL", NULL, "endpoint-url", offsetof(struct options, endpoint_url)},
    {"AWS_CA_BUNDLE", "ca_bundle", "ca-bundle", offsetof(struct options, ca_bundle)},
};

static int set_if_missing(struct options *o, const struct row *row, const char *value,
                          struct err *err)
{
    char *const *given = (char *const *)(void *)((char *)o + row->offset);
    return value && *value && !*given ? options_set(o, slice_of(row->option), value, err) : 0;
}

static const char *profile_of(const struct options *o)
{
    const char *const named[] = {o->profile, getenv("AWS_PROFILE"), getenv("AWS_DEFAULT_PROFILE")};
    for (size_t i = 0; i < ARRAY_SIZE(named); i++)
        if (named[i] && *named[i])
            return named[i];
    return "default";
}

static void read_config(struct buf *text)
{
    const char *file = getenv("AWS_CONFIG_FILE"), *home = getenv("HOME");
    AUTO(buf) struct buf path = {0};
    buf_init(&path, 8192);
    buf_init(text, CONFIG_BYTES_MAX);
    if (file && *file && *file != '~')
        buf_add_str(&path, file);
    else if (home)
        buf_addf(&path, "%s%s", home, file && *file ? file + 1 : "/.aws/config");
    if (path.len && !path.failed && file_read(AT_FDCWD, path.data, text, NULL) < 0)
        buf_reset(text);
}

static int take_profile(struct options *o, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    const char *name = profile_of(o);
    read_config(&text);
    struct slice config = buf_slice(&text);
    const char *kind = ini_has_section(config, "profile", name) ? "profile" : "";
    if (!*kind && strcmp(name, "default") != 0)
        return 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(rows); i++) {
        struct slice value;
        if (!rows[i].setting || !ini_find(config, kind, name, rows[i].setting, &value))
            continue;
        AUTO_FREE char *copy = strndup(value.n ? value.p : "", value.n);
        rc = copy ? set_if_missing(o, &rows[i], copy, err) : err_set(err, ENOMEM, "out of memory");
    }
    return rc;
}

int environment_take(struct options *o, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_SIZE(rows); i++)
        rc = set_if_missing(o, &rows[i], getenv(rows[i].variable), err);
    return rc < 0 ? rc : take_profile(o, err);
}
