/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/remote_tags.h"

#include <openssl/evp.h>

#include "cache/store/remote.h"
#include "cache/store/store_tags.h"

/* Each character may be written as five. */
#define TAGS_BYTES_MAX (STORE_TAGS_MAX * 5 * (STORE_TAG_NAME_BYTES + STORE_TAG_VALUE_BYTES) + KIB)
/* An MD5 in base64, with a zero. */
#define MD5_TEXT_BYTES 32

/* Whose tags. */
struct tagged {
    struct remote *remote;
    const char *key;                    /* whole */
    char version[VERSION_ID_BYTES_MAX]; /* empty: the only one */
    struct store_info info;
};

static bool is_azure(const struct tagged *t)
{
    return strcmp(t->remote->store.ops->scheme, "abfss") == 0;
}

static struct remote_parts parts_of(const struct tagged *t, const char *method,
                                    struct http_parameter parameters[2])
{
    parameters[0] = is_azure(t) ? (struct http_parameter){"comp", "tags"}
                                : (struct http_parameter){"tagging", ""};
    parameters[1] = (struct http_parameter){is_azure(t) ? "versionid" : "versionId", t->version};
    return (struct remote_parts){.method = method,
                                 .key = t->key,
                                 .parameters = parameters,
                                 .parameters_count = t->version[0] ? 2 : 1,
                                 .keeps = true,
                                 .text_max = TAGS_BYTES_MAX};
}

/* A store, or an account of it, that has none. */
static int explain(const struct remote_request *q, int rc, struct err *err)
{
    unsigned status = q ? q->http.answer.status : 0;
    struct s3_problem problem = q ? remote_problem(q) : (struct s3_problem){0};
    struct slice code = slice_of(problem.code);
    if (rc < 0 && (status == 501 || status == 405 || slice_starts(code, SLICE_LIT("FeatureNot")) ||
                   slice_starts(code, SLICE_LIT("BlobTagsNot"))))
        return remote_refuse(q, EOPNOTSUPP, "objects there have no tags", err);
    return rc;
}

static int read_tags(const struct tagged *t, struct store_tags *out, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    struct http_parameter parameters[2];
    struct remote_parts parts = parts_of(t, "GET", parameters);
    int rc = remote_ask(t->remote, &parts, &q, err);
    if (rc < 0 && q && strcmp(remote_problem(q).code, "NoSuchTagSet") == 0) {
        *out = (struct store_tags){0};
        return 0;
    }
    if (rc < 0)
        return explain(q, rc, err);
    rc = store_tags_parse(buf_slice(&q->http.text), out, err);
    return rc < 0 ? err_wrap(err, "%s, key %.160s", t->remote->where, t->key) : 0;
}

/* S3 has an operation of its own for none. */
static int remove_tags(const struct tagged *t, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    struct http_parameter parameters[2];
    struct remote_parts parts = parts_of(t, "DELETE", parameters);
    int rc = remote_ask(t->remote, &parts, &q, err);
    return explain(q, rc, err);
}

static int write_tags(const struct tagged *t, const struct store_tags *tags, struct err *err)
{
    if (!tags->count && !is_azure(t))
        return remove_tags(t, err);
    AUTO(buf) struct buf body = {0};
    AUTO(remote_request) struct remote_request *q = NULL;
    uint8_t md5[EVP_MAX_MD_SIZE];
    char text[MD5_TEXT_BYTES];
    unsigned n = 0;
    buf_init(&body, TAGS_BYTES_MAX);
    store_tags_format(tags, is_azure(t) ? "Tags" : "Tagging", &body);
    int rc = buf_check(&body, err);
    if (rc < 0)
        return rc;
    if (EVP_Digest(body.data, body.len, md5, &n, EVP_md5(), NULL) != 1)
        return err_set(err, EIO, "no MD5 can be computed");
    (void)EVP_EncodeBlock((unsigned char *)text, md5, (int)n); /* 24 characters */
    const struct http_field fields[] = {{"content-md5", text}, {"content-type", "application/xml"}};
    struct http_parameter parameters[2];
    struct remote_parts parts = parts_of(t, "PUT", parameters);
    parts.fields = fields;
    parts.fields_count = ARRAY_SIZE(fields);
    parts.upload = buf_slice(&body);
    rc = remote_ask(t->remote, &parts, &q, err);
    return explain(q, rc, err);
}

/* Looks at the object, and names its version where there may be others. */
static int look(struct tagged *t, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    int rc = remote_look(t->remote, t->key, &q, &t->info, err);
    if (rc < 0)
        return rc;
    const char *version = q->http.answer.version_id;
    if (strcmp(version, "null") != 0) /* of one that was written without versions */
        memcpy(t->version, version, strlen(version) + 1);
    return 0;
}

static bool is_that(const struct store_info *is, const struct store_info *wanted)
{
    return is->size == wanted->size && (!wanted->etag[0] || strcmp(is->etag, wanted->etag) == 0) &&
           (!wanted->class[0] || strcmp(is->class, wanted->class) == 0);
}

static int stale(const struct tagged *t, struct err *err)
{
    return err_set(err, ESTALE, "%s, key %.160s: the object is another one now", t->remote->where,
                   t->key);
}

/* Reads them again: the store has them. And the object is the same still. */
static int verify(struct tagged *t, const struct store_tag *tag, struct err *err)
{
    AUTO_FREE struct store_tags *now = calloc(1, sizeof *now);
    struct tagged after = {.remote = t->remote, .key = t->key};
    struct store_tag none = {.name = ""};
    struct store_info before = t->info;
    before.class[0] = '\0'; /* that may have changed: it is why it was tagged */
    if (!now)
        return err_set(err, ENOMEM, "out of memory");
    int rc = read_tags(t, now, err);
    const struct store_tag *found = rc == 0 ? store_tags_find(now, tag->name) : NULL;
    bool same = strcmp(found ? found->value : "", tag->value) == 0;
    if (rc == 0)
        rc = look(&after, err);
    if (rc == 0 && !is_that(&after.info, &before)) {
        memcpy(none.name, tag->name, sizeof none.name);
        if (found && !t->version[0] && store_tags_set(now, &none, &rc))
            (void)write_tags(&after, now, NULL); /* what it would tell is told below */
        return stale(t, err);
    }
    if (rc == 0 && !same)
        return err_set(err, EIO, "%s, key %.160s: the tag that was set is not there",
                       t->remote->where, t->key);
    return rc;
}

int remote_tags(struct store *s, const char *key, struct store_tags *out, struct err *err)
{
    AUTO_FREE char *whole = remote_whole_key(remote_of(s), key);
    struct tagged t = {.remote = remote_of(s), .key = whole};
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, ENOENT, "%s: no key", t.remote->where);
    return read_tags(&t, out, err);
}

int remote_set_tag(struct store *s, const char *key, const struct store_tag *tag,
                   const struct store_info *if_is, bool *changed, struct err *err)
{
    AUTO_FREE char *whole = remote_whole_key(remote_of(s), key);
    AUTO_FREE struct store_tags *tags = calloc(1, sizeof *tags);
    struct tagged t = {.remote = remote_of(s), .key = whole};
    if (!whole || !tags)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, ENOENT, "%s: no key", t.remote->where);
    int rc = look(&t, err);
    if (rc == 0 && !is_that(&t.info, if_is))
        rc = stale(&t, err);
    if (rc == 0)
        rc = read_tags(&t, tags, err);
    *changed = rc == 0 && store_tags_set(tags, tag, &rc);
    if (!*changed)
        return rc == -EOVERFLOW ? err_set(err, EOPNOTSUPP, "%s, key %.160s: it has %u tags already",
                                          t.remote->where, t.key, tags->count)
                                : rc;
    rc = write_tags(&t, tags, err);
    return rc < 0 ? rc : verify(&t, tag, err);
}
