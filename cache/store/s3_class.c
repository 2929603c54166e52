/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_class.h"

#include <string.h>

#include "base/text.h"
#include "cache/store/s3_request.h"
#include "cache/store/status.h"
#include "cache/store/xml.h"

/* CopyObject's limit. */
#define COPY_BYTES_MAX ((uint64_t)5 << 30)
/* Slower than this the service copies nothing. */
#define COPY_BYTES_PER_MS (20 * KIB)
/* A success that is an error inside is sent again so often. */
#define COPIES_MAX 4

#define TEXT_BYTES_MAX 4096
#define MD5_HEX 32

/* One change. */
struct change {
    struct remote *remote;
    const char *key; /* whole */
    const char *class;
    struct s3_bucket *bucket;
    struct store_info before;
    char encryption[24]; /* of the object; empty: not told */
};

/* ---- what the answers say ---- */

static int on_ownership(void *arg, const struct xml_element *e, struct err *err)
{
    (void)err; /* nothing is wrong with any element */
    bool *enforced = arg;
    if (e->depth == 3 && slice_is(e->name, "ObjectOwnership"))
        *enforced = slice_is(e->text, "BucketOwnerEnforced");
    return 0;
}

bool s3_ownership_enforced(struct slice xml)
{
    bool enforced = false;
    return xml_walk(xml, TEXT_BYTES_MAX, on_ownership, &enforced, NULL) == 0 && enforced;
}

/* The elements of an ACL, as they end: the owner's first. */
struct acl {
    char owner[TEXT_BYTES_MAX];
    bool is_owner, is_full; /* the grant that is being read */
    unsigned owners, others;
};

static int on_acl(void *arg, const struct xml_element *e, struct err *err)
{
    struct acl *a = arg;
    if (!slice_is(e->root, "AccessControlPolicy"))
        return err_set(err, EIO, "the answer is a %.*s, not an ACL", SLICE_FMT(e->root));
    if (slice_is(e->name, "ID") && slice_is(e->parent, "Owner") && e->text.n < sizeof a->owner) {
        memcpy(a->owner, e->text.p, e->text.n);
        a->owner[e->text.n] = '\0';
    } else if (slice_is(e->name, "ID") && slice_is(e->parent, "Grantee")) {
        a->is_owner = e->text.n && slice_is(e->text, a->owner);
    } else if (slice_is(e->name, "Permission")) {
        a->is_full = slice_is(e->text, "FULL_CONTROL");
    } else if (slice_is(e->name, "Grant")) {
        *(a->is_owner && a->is_full ? &a->owners : &a->others) += 1;
        a->is_owner = a->is_full = false;
    }
    return 0;
}

int s3_acl_private(struct slice xml, bool *out, struct err *err)
{
    struct acl a = {.owner = ""};
    int rc = xml_walk(xml, TEXT_BYTES_MAX - 1, on_acl, &a, err);
    if (rc == 0)
        *out = a.owners == 1 && a.others == 0;
    return rc;
}

struct copied {
    bool is_result;
    char etag[ETAG_BYTES_MAX];
};

static int on_copied(void *arg, const struct xml_element *e, struct err *err)
{
    (void)err; /* nothing is wrong with any element */
    struct copied *c = arg;
    c->is_result = slice_is(e->root, "CopyObjectResult");
    if (e->depth == 2 && slice_is(e->name, "ETag") && e->text.n < sizeof c->etag) {
        memcpy(c->etag, e->text.p, e->text.n);
        c->etag[e->text.n] = '\0';
    }
    return 0;
}

int s3_copied_parse(struct slice xml, char etag[ETAG_BYTES_MAX], struct s3_problem *problem,
                    struct err *err)
{
    struct copied c = {.is_result = false};
    int rc = xml_walk(xml, TEXT_BYTES_MAX, on_copied, &c, err);
    *problem = (struct s3_problem){0};
    if (rc == 0 && !c.is_result) {
        s3_problem_parse(xml, problem);
        rc = err_set(err, EIO, "the copy failed: %s: %s", problem->code, problem->message);
    }
    if (rc == 0)
        memcpy(etag, c.etag, sizeof c.etag);
    return rc;
}

/* ---- whether a copy would be the same object ---- */

static bool is_md5(const char *etag)
{
    struct slice s = slice_of(etag);
    if (s.n != MD5_HEX + 2 || s.p[0] != '"' || s.p[s.n - 1] != '"')
        return false;
    for (size_t i = 1; i <= MD5_HEX; i++)
        if (text_hex_digit(s.p[i]) < 0)
            return false;
    return true;
}

/* Why it would not; NULL: it would, as far as the answer tells. */
static const char *unlike(const struct http_answer *a, const struct store_info *info)
{
    if (a->has_customer_key)
        return "it is encrypted with a key that the service does not keep: a copy has another ETag";
    if (a->encryption[0] && strcmp(a->encryption, "AES256") != 0)
        return "it is encrypted with a key of KMS: a copy has another ETag";
    if (!is_md5(info->etag))
        return "it was uploaded in parts: a copy has another ETag";
    if (info->size > COPY_BYTES_MAX)
        return "it has over 5 GiB: no more can be copied at once";
    if (a->version_id[0]) /* "null", too: of before the bucket kept them */
        return "the bucket keeps versions: a copy leaves the old one behind";
    if (a->is_locked)
        return "it is locked: a copy is not";
    if (a->is_redirect)
        return "it redirects: a copy does not";
    return NULL;
}

/* Asks for a part of the bucket or object that has a name of its own. */
static int ask(struct change *c, const char *key, const char *what, struct remote_request **out,
               struct err *err)
{
    struct http_parameter parameter = {what, ""};
    struct remote_parts parts = {.method = "GET",
                                 .key = key,
                                 .parameters = &parameter,
                                 .parameters_count = 1,
                                 .keeps = true,
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    return remote_ask(c->remote, &parts, out, err);
}

static bool is_unimplemented(const struct remote_request *q)
{
    return q && (q->http.answer.status == 501 || q->http.answer.status == 405);
}

/* Whether objects have ACLs there, as far as can be seen: asked once a bucket. */
static int has_acls(struct change *c, bool *out, struct err *err)
{
    enum s3_acls known = S3_ACLS_UNKNOWN;
    struct err why = ERR_INIT;
    WITH_LOCK (&c->bucket->lock)
        known = c->bucket->acls;
    if (known == S3_ACLS_UNKNOWN) {
        AUTO(remote_request) struct remote_request *q = NULL;
        int rc = ask(c, "", "ownershipControls", &q, &why);
        if (rc < 0 && (!q || remote_retryable(q) || q->http.answer.status == 0))
            return err_copy(err, &why);
        known =
            rc == 0 && s3_ownership_enforced(buf_slice(&q->http.text)) ? S3_ACLS_OFF : S3_ACLS_ON;
        WITH_LOCK (&c->bucket->lock)
            c->bucket->acls = known;
    }
    *out = known == S3_ACLS_ON;
    return 0;
}

/* A copy is its owner's alone: so has to be what is copied. */
static int check_readers(struct change *c, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    bool on = false, private = false;
    int rc = has_acls(c, &on, err);
    if (rc < 0 || !on)
        return rc;
    rc = ask(c, c->key, "acl", &q, err);
    if (rc < 0 && is_unimplemented(q))
        return 0;
    if (rc == -EACCES)
        return err_set(err, EOPNOTSUPP,
                       "%s, key %.160s: who may read it cannot be seen "
                       "(s3:GetObjectAcl is not permitted): a copy is private",
                       c->remote->where, c->key);
    if (rc == 0)
        rc = s3_acl_private(buf_slice(&q->http.text), &private, err);
    if (rc < 0)
        return rc;
    return private ? 0
                   : err_set(err, EOPNOTSUPP,
                             "%s, key %.160s: others than its owner may read it: "
                             "a copy is private",
                             c->remote->where, c->key);
}

/* ---- the copy ---- */

/* AWS encrypts everything since 2023: named, so that a bucket's default key is not taken. */
static const char *encryption(const struct change *c)
{
    return c->encryption[0] || !c->bucket->endpoint ? "AES256" : NULL;
}

/* Sends it; what the answer's body says is in `etag` or `problem`. */
static int send_copy(struct change *c, const char *source, char etag[ETAG_BYTES_MAX],
                     struct s3_problem *problem, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    const char *named = encryption(c);
    const struct http_field fields[] = {
        {"x-amz-copy-source", source},
        {"x-amz-copy-source-if-match", c->before.etag},
        {"x-amz-metadata-directive", "COPY"},
        {"x-amz-storage-class", c->class},
        {"x-amz-tagging-directive", "COPY"},
        {"x-amz-server-side-encryption", named}, /* last: it may lack */
    };
    struct remote_parts parts = {.method = "PUT",
                                 .key = c->key,
                                 .identity = c->before.etag,
                                 .keeps = true,
                                 .fields = fields,
                                 .fields_count = ARRAY_SIZE(fields) - (named ? 0 : 1),
                                 .text_max = REMOTE_ERROR_BYTES_MAX,
                                 .deadline_ms = c->bucket->deadline_ms +
                                                (int64_t)(c->before.size / COPY_BYTES_PER_MS)};
    int rc = remote_ask(c->remote, &parts, &q, err);
    *problem = q ? remote_problem(q) : (struct s3_problem){0};
    if (rc < 0 && is_unimplemented(q))
        return remote_refuse(q, EOPNOTSUPP, "the server makes no conditional copies", err);
    if (rc < 0 && strcmp(problem->code, "InvalidStorageClass") == 0)
        return remote_refuse(q, EINVAL, "no storage class of this store", err);
    return rc < 0 ? rc : s3_copied_parse(buf_slice(&q->http.text), etag, problem, err);
}

/*
 * Copies it onto itself. Of two who do it at once the second may be told that nothing changes: what
 * is there then is for the look afterwards to judge.
 */
static int copy(struct change *c, struct err *err)
{
    AUTO(buf) struct buf source = {0};
    char etag[ETAG_BYTES_MAX] = "";
    struct s3_problem problem;
    buf_init(&source, REMOTE_URL_BYTES_MAX);
    buf_addf(&source, "/%s/", c->bucket->name);
    text_percent_encode(&source, slice_of(c->key), "/");
    int rc = buf_check(&source, err);
    for (unsigned i = 0; rc == 0 && i < COPIES_MAX; i++) {
        rc = send_copy(c, source.data, etag, &problem, err);
        if (rc != -EIO || !problem.code[0] || !status_retryable(200, slice_of(problem.code)))
            break;
        rc = i + 1 < COPIES_MAX ? 0 : rc;
    }
    if (rc < 0 && strcmp(problem.code, "InvalidRequest") == 0)
        return 0;
    if (rc == 0 && strcmp(etag, c->before.etag) != 0)
        return err_set(err, EIO,
                       "%s, key %.160s: the copy has ETag %.60s, the object had %.60s: it was "
                       "replaced meanwhile and the server heeds no conditions, or it encrypts "
                       "copies in another way",
                       c->remote->where, c->key, etag, c->before.etag);
    return rc;
}

/* ---- the whole ---- */

/* What is there now, and that it is what shall be changed. */
static int look(struct change *c, const struct store_info *if_is, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    int rc = remote_look(c->remote, c->key, &q, &c->before, err);
    if (rc < 0)
        return rc;
    const struct http_answer *a = &q->http.answer;
    const char *why = unlike(a, &c->before);
    c->bucket = s3_request_of(q)->bucket;
    memcpy(c->encryption, a->encryption, sizeof c->encryption);
    if (c->before.size != if_is->size ||
        (if_is->etag[0] && strcmp(c->before.etag, if_is->etag) != 0))
        return remote_refuse(q, ESTALE, "the object is another one now", err);
    if (strcmp(c->before.class, c->class) == 0)
        return 0;
    if (if_is->class[0] && strcmp(c->before.class, if_is->class) != 0)
        return remote_refuse(q, ESTALE, "it is in another class now", err);
    if (c->before.access != STORE_READABLE)
        return remote_refuse(q, EREMOTE, "it is archived, and has to be restored first", err);
    return why ? remote_refuse(q, EOPNOTSUPP, why, err) : 0;
}

static int verify(struct change *c, struct store_info *now, struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    int rc = remote_look(c->remote, c->key, &q, now, err);
    if (rc < 0)
        return rc;
    if (now->size != c->before.size || strcmp(now->etag, c->before.etag) != 0)
        return remote_refuse(q, ESTALE, "the object was replaced meanwhile", err);
    if (strcmp(now->class, c->class) != 0)
        return remote_refuse(q, EIO, "the copy succeeded, and the object's class did not change",
                             err);
    return 0;
}

/* As the services name theirs. */
static bool is_class(const char *class)
{
    return class[strspn(
               class, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")] == '\0';
}

int s3_set_class(struct store *s, const char *key, const char *class,
                 const struct store_info *if_is, struct store_info *now, struct err *err)
{
    AUTO_FREE char *whole = remote_whole_key(remote_of(s), key);
    struct change c = {.remote = remote_of(s), .key = whole, .class = class};
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    if (!key[0])
        return err_set(err, ENOENT, "%s: no key", c.remote->where);
    if (!is_class(class))
        return err_set(err, EINVAL, "%.60s is no storage class", class);
    int rc = look(&c, if_is, err);
    if (rc == 0 && strcmp(c.before.class, class) == 0) {
        *now = c.before;
        return 0;
    }
    if (rc == 0)
        rc = check_readers(&c, err);
    if (rc == 0)
        rc = copy(&c, err);
    return rc < 0 ? rc : verify(&c, now, err);
}
