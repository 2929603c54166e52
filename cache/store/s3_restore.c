/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_restore.h"

#include "base/instant.h"
#include "cache/store/remote.h"

/* The value of `name="..."` in x-amz-restore; empty where it has none. */
static struct slice quoted_value(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    if (!at)
        return SLICE_NONE;
    at += strlen(name);
    if (at[0] != '=' || at[1] != '"')
        return SLICE_NONE;
    at += 2;
    return slice_make(at, strcspn(at, "\""));
}

static bool needs_restore(const struct store_info *info, const struct http_answer *a)
{
    return strcmp(info->class, "GLACIER") == 0 || strcmp(info->class, "DEEP_ARCHIVE") == 0 ||
           a->archive_status[0];
}

void s3_tell_class(const struct http_answer *a, struct store_info *info)
{
    struct slice ongoing = quoted_value(a->restore, "ongoing-request");
    (void)snprintf(info->class, sizeof info->class, "%s",
                   a->storage_class[0] ? a->storage_class : "STANDARD"); /* it fits */
    if (slice_is(ongoing, "false"))
        (void)instant_parse_http(quoted_value(a->restore, "expiry-date"),
                                 &info->restored_until_ms); /* stays 0: not told */
    if (!needs_restore(info, a) || slice_is(ongoing, "false"))
        info->access = STORE_READABLE;
    else
        info->access = slice_is(ongoing, "true") ? STORE_RESTORING : STORE_ARCHIVED;
}

static void format_body(const struct store_restore *how, const char *class, struct buf *out)
{
    static const char *const tiers[] = {[STORE_SPEED_STANDARD] = "Standard",
                                        [STORE_SPEED_BULK] = "Bulk",
                                        [STORE_SPEED_EXPEDITED] = "Expedited"};
    buf_add_str(out, "<RestoreRequest xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    if (strcmp(class, "INTELLIGENT_TIERING") != 0) /* which moves it back for good */
        buf_addf(out, "<Days>%u</Days>", how->days);
    buf_addf(out,
             "<GlacierJobParameters><Tier>%s</Tier></GlacierJobParameters>"
             "</RestoreRequest>",
             tiers[how->speed]);
}

/* Of another version than the newest the caller knows it: a HEAD of it is not asked for. */
static int ask_class(struct store *s, const char *key, const struct store_restore *how,
                     char class[STORE_CLASS_BYTES_MAX], struct err *err)
{
    struct store_info info = {0};
    int rc = 0;
    if (how->class && how->class[0])
        (void)snprintf(info.class, sizeof info.class, "%s", how->class); /* as it was told */
    else
        rc = s->ops->head(s, key, &info, err);
    if (rc == 0)
        memcpy(class, info.class, sizeof info.class);
    return rc;
}

int s3_restore(struct store *s, const char *key, const struct store_restore *how, struct err *err)
{
    struct remote *r = remote_of(s);
    AUTO(remote_request) struct remote_request *q = NULL;
    AUTO(buf) struct buf body = {0};
    AUTO_FREE char *whole = remote_whole_key(r, key);
    char class[STORE_CLASS_BYTES_MAX] = "";
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    int rc = ask_class(s, key, how, class, err);
    if (rc < 0)
        return rc;
    buf_init(&body, KIB);
    format_body(how, class, &body);
    const struct http_parameter parameters[] = {{"restore", ""}, {"versionId", how->version}};
    const struct http_field type = {"content-type", "application/xml"};
    struct remote_parts parts = {.method = "POST",
                                 .key = whole,
                                 .parameters = parameters,
                                 .parameters_count = how->version ? 2 : 1,
                                 .keeps = true,
                                 .fields = &type,
                                 .fields_count = 1,
                                 .upload = buf_slice(&body),
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    rc = buf_check(&body, err);
    if (rc == 0)
        rc = remote_ask(r, &parts, &q, err);
    return rc == -EREMOTE ? 0 : rc; /* InvalidObjectState, here: its class is not an archive's */
}
