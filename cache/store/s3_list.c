/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_list.h"

#include "base/instant.h"
#include "base/text.h"
#include "cache/store/xml.h"

/* Keys thrice as long, percent-encoded; continuation tokens have some hundred bytes. */
#define TEXT_BYTES_MAX (4 * KEY_BYTES_MAX)

struct page_reader {
    struct s3_page *page;
    struct s3_line line; /* of the Contents or CommonPrefixes that is open */
    bool has_key, has_size, encoded, versions;
};

/* What tells of an object. */
static bool is_object(const struct page_reader *r, struct slice name)
{
    return r->versions ? slice_is(name, "Version") || slice_is(name, "DeleteMarker")
                       : slice_is(name, "Contents");
}

void s3_page_init(struct s3_page *page)
{
    *page = (struct s3_page){.lines = VEC_MAX(S3_PAGE_ENTRIES_MAX)};
    arena_init(&page->arena, S3_PAGE_MEMORY_MAX);
}

void s3_page_done(struct s3_page *page)
{
    vec_done(&page->lines);
    arena_done(&page->arena);
}

static int keep(struct s3_page *page, struct slice text, struct slice *out, struct err *err)
{
    struct slice copy = arena_slice(&page->arena, text);
    if (!copy.p)
        return err_set(err, ENOMEM, "listing: out of memory");
    *out = copy;
    return 0;
}

static int bad(const char *name, struct slice text, struct err *err)
{
    return err_set(err, EIO, "listing: %s is \"%.*s\"", name, text.n > 40 ? 40 : (int)text.n,
                   text.p ? text.p : "");
}

static int read_key(struct page_reader *r, struct slice text, struct err *err)
{
    if (r->has_key || text.n == 0)
        return bad("a key", text, err);
    r->has_key = true;
    return keep(r->page, text, &r->line.key, err);
}

/* Of an object. */
static int read_field(struct page_reader *r, const struct xml_element *e, struct err *err)
{
    if (slice_is(e->name, "Size")) {
        if (!text_parse_u64(e->text, INT64_MAX, &r->line.size))
            return bad("Size", e->text, err);
        r->has_size = true;
    } else if (slice_is(e->name, "LastModified")) {
        if (!instant_parse(e->text, &r->line.mtime_ms))
            return bad("LastModified", e->text, err);
    } else if (slice_is(e->name, "ETag")) {
        return keep(r->page, e->text, &r->line.etag, err);
    } else if (slice_is(e->name, "VersionId")) {
        if (e->text.n >= VERSION_ID_BYTES_MAX)
            return bad("VersionId", e->text, err);
        return keep(r->page, e->text, &r->line.version, err);
    } else if (slice_is(e->name, "IsLatest")) {
        r->line.is_latest = slice_is(e->text, "true");
    } else if (slice_is(e->name, "StorageClass")) {
        return keep(r->page, e->text, &r->line.class, err);
    } else if (slice_is(e->name, "Generation")) {
        return keep(r->page, e->text, &r->line.generation, err);
    } else if (slice_is(e->name, "Key")) {
        return read_key(r, e->text, err);
    }
    return 0;
}

static int read_line(struct page_reader *r, struct slice name, struct err *err)
{
    struct s3_line *line = &r->line;
    line->is_prefix = slice_is(name, "CommonPrefixes");
    line->is_deletion = slice_is(name, "DeleteMarker");
    if (line->is_prefix && !r->has_key)
        return 0; /* some servers send an empty CommonPrefixes where there are none */
    if (!r->has_key || (!line->is_prefix && !line->is_deletion && !r->has_size))
        return err_set(err, EIO, "listing: an entry without key or size");
    if (r->versions && !line->is_prefix && (!line->version.n || !line->mtime_ms))
        return err_set(err, EIO, "listing: a version without its id or time");
    int rc = vec_push(&r->page->lines, *line);
    if (rc < 0)
        return err_set(err, rc == -ENOMEM ? ENOMEM : EIO, "listing: more than %d entries in a page",
                       S3_PAGE_ENTRIES_MAX);
    return 0;
}

static int keep_text(struct s3_page *page, struct slice text, char **out, struct err *err)
{
    struct slice copy = SLICE_NONE;
    int rc = keep(page, text, &copy, err);
    if (rc == 0)
        *out = (char *)copy.p; /* the arena's, which ends in a zero */
    return rc;
}

static int read_head(struct page_reader *r, const struct xml_element *e, struct err *err)
{
    if (slice_is(e->name, "IsTruncated")) {
        r->page->truncated = slice_is(e->text, "true");
        if (!r->page->truncated && !slice_is(e->text, "false"))
            return bad("IsTruncated", e->text, err);
    } else if (slice_is(e->name, "EncodingType")) {
        r->encoded = slice_is(e->text, "url");
    } else if (slice_is(e->name, "NextContinuationToken") && e->text.n) {
        return keep_text(r->page, e->text, &r->page->token, err);
    } else if (slice_is(e->name, "NextKeyMarker") && e->text.n) {
        return keep_text(r->page, e->text, &r->page->next_key, err);
    } else if (slice_is(e->name, "NextVersionIdMarker") && e->text.n) {
        return keep_text(r->page, e->text, &r->page->next_version, err);
    }
    return 0;
}

static int on_page_element(void *arg, const struct xml_element *e, struct err *err)
{
    struct page_reader *r = arg;
    if (!slice_is(e->root, r->versions ? "ListVersionsResult" : "ListBucketResult"))
        return err_set(err, EIO, "listing: the answer is a %.*s", SLICE_FMT(e->root));
    if (e->depth == 2 && (is_object(r, e->name) || slice_is(e->name, "CommonPrefixes"))) {
        int rc = read_line(r, e->name, err);
        r->line = (struct s3_line){0};
        r->has_key = r->has_size = false;
        return rc;
    }
    if (e->depth == 2)
        return read_head(r, e, err);
    if (e->depth == 3 && is_object(r, e->parent))
        return read_field(r, e, err);
    bool prefix = slice_is(e->parent, "CommonPrefixes") && slice_is(e->name, "Prefix");
    return e->depth == 3 && prefix ? read_key(r, e->text, err) : 0;
}

/* `encoding-type=url` is that of forms: a space is `+`. */
static int decode_key(struct s3_page *page, struct slice *key, struct err *err)
{
    AUTO(buf) struct buf spaced = {0}, decoded = {0};
    buf_init(&spaced, TEXT_BYTES_MAX);
    buf_init(&decoded, TEXT_BYTES_MAX);
    for (size_t i = 0; i < key->n; i++)
        buf_add_char(&spaced, key->p[i] == '+' ? ' ' : key->p[i]);
    text_percent_decode(&decoded, buf_slice(&spaced));
    if (spaced.failed || decoded.failed)
        return err_set(err, ENOMEM, "listing: out of memory");
    return keep(page, buf_slice(&decoded), key, err);
}

static int decode_page(struct s3_page *page, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < page->lines.n; i++)
        rc = decode_key(page, &page->lines.at[i].key, err);
    struct slice next = slice_of(page->next_key);
    if (rc == 0 && page->next_key && (rc = decode_key(page, &next, err)) == 0)
        page->next_key = (char *)next.p;
    return rc;
}

int s3_page_parse(struct slice xml, bool versions, struct s3_page *page, struct err *err)
{
    struct page_reader r = {.page = page, .versions = versions};
    int rc = xml_walk(xml, TEXT_BYTES_MAX, on_page_element, &r, err);
    if (rc < 0)
        return rc;
    if (page->truncated && !(versions ? page->next_key : page->token))
        return err_set(err, EIO, "listing: truncated, without a token to go on");
    return r.encoded ? decode_page(page, err) : 0;
}

static int on_versioning_element(void *arg, const struct xml_element *e, struct err *err)
{
    bool *keeps = arg;
    if (!slice_is(e->root, "VersioningConfiguration"))
        return err_set(err, EIO, "versioning: the answer is a %.*s", SLICE_FMT(e->root));
    if (e->depth == 2 && slice_is(e->name, "Status"))
        *keeps = slice_is(e->text, "Enabled") || slice_is(e->text, "Suspended");
    return 0;
}

int s3_versioning_parse(struct slice xml, bool *keeps, struct err *err)
{
    bool found = false;
    int rc = xml_walk(xml, TEXT_BYTES_MAX, on_versioning_element, &found, err);
    if (rc == 0)
        *keeps = found;
    return rc;
}

static void copy_cut(char *to, size_t room, struct slice text)
{
    size_t n = text.n < room ? text.n : room - 1;
    if (n)
        memcpy(to, text.p, n);
    to[n] = '\0';
}

static int on_problem_element(void *arg, const struct xml_element *e, struct err *err)
{
    (void)err; /* nothing is wrong with any element */
    struct s3_problem *p = arg;
    if (e->depth != 2 || !slice_is(e->root, "Error"))
        return 0;
    if (slice_is(e->name, "Code"))
        copy_cut(p->code, sizeof p->code, e->text);
    else if (slice_is(e->name, "Message"))
        copy_cut(p->message, sizeof p->message, e->text);
    else if (slice_is(e->name, "Region"))
        copy_cut(p->region, sizeof p->region, e->text);
    else if (slice_is(e->name, "StorageClass"))
        copy_cut(p->storage_class, sizeof p->storage_class, e->text);
    else if (slice_is(e->name, "ActualObjectSize"))
        p->has_size = text_parse_u64(e->text, INT64_MAX, &p->size);
    return 0;
}

void s3_problem_parse(struct slice xml, struct s3_problem *out)
{
    *out = (struct s3_problem){0};
    /* A proxy's HTML or nothing at all: then the status alone decides. */
    (void)xml_walk(xml, TEXT_BYTES_MAX, on_problem_element, out, NULL);
}
