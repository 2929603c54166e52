/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_list.h"

#include "base/instant.h"
#include "base/text.h"
#include "cache/store/xml.h"

/* Names thrice as long, percent-encoded; metadata has at most 8 KiB. */
#define TEXT_BYTES_MAX (4 * KEY_BYTES_MAX)

/* EnumerationResults / Blobs / Blob / Properties / Content-Length */
enum { DEPTH_HEAD = 2, DEPTH_LINE = 3, DEPTH_FIELD = 4, DEPTH_PROPERTY = 5 };

struct page_reader {
    struct s3_page *page;
    struct s3_line line; /* of the Blob or BlobPrefix that is open */
    bool has_name, has_size;
};

static int keep(struct s3_page *page, struct slice text, struct slice *out, struct err *err)
{
    struct slice copy = arena_slice(&page->arena, text);
    if (!copy.p)
        return arena_failed(&page->arena, "a listing", err);
    *out = copy;
    return 0;
}

static int bad(const char *name, struct slice text, struct err *err)
{
    return err_set(err, EIO, "listing: %s is \"%.*s\"", name, text.n > 40 ? 40 : (int)text.n,
                   text.p ? text.p : "");
}

static int read_name(struct page_reader *r, const struct xml_element *e, struct err *err)
{
    AUTO(buf) struct buf decoded = {0};
    struct slice name = e->text;
    buf_init(&decoded, TEXT_BYTES_MAX);
    if (e->encoded) {
        text_percent_decode(&decoded, name);
        if (decoded.failed)
            return err_set(err, ENOMEM, "out of memory");
        name = buf_slice(&decoded);
    }
    if (r->has_name || name.n == 0 || memchr(name.p, '\0', name.n))
        return bad("a name", name, err);
    r->has_name = true;
    return keep(r->page, name, &r->line.key, err);
}

/* The answer to a GET has quotes around the ETag, the listing has none. */
static int read_etag(struct page_reader *r, struct slice text, struct err *err)
{
    AUTO(buf) struct buf quoted = {0};
    bool bare = text.n && text.p[text.n - 1] != '"';
    buf_init(&quoted, ETAG_BYTES_MAX);
    buf_add_str(&quoted, bare ? "\"" : "");
    buf_add_slice(&quoted, text);
    buf_add_str(&quoted, bare ? "\"" : "");
    if (quoted.failed == EOVERFLOW)
        return 0; /* half of it would match nothing */
    return quoted.failed ? err_set(err, ENOMEM, "out of memory")
                         : keep(r->page, buf_slice(&quoted), &r->line.etag, err);
}

static int read_property(struct page_reader *r, const struct xml_element *e, struct err *err)
{
    if (slice_is(e->name, "Content-Length")) {
        if (!text_parse_u64(e->text, INT64_MAX, &r->line.size))
            return bad("Content-Length", e->text, err);
        r->has_size = true;
    } else if (slice_is(e->name, "Last-Modified")) {
        if (!instant_parse_http(e->text, &r->line.mtime_ms))
            return bad("Last-Modified", e->text, err);
    } else if (slice_is(e->name, "Etag")) {
        return read_etag(r, e->text, err);
    } else if (slice_is(e->name, "AccessTier")) {
        return keep(r->page, e->text, &r->line.class, err);
    } else if (slice_is(e->name, "ResourceType")) {
        r->line.is_directory |= slice_is(e->text, "directory");
    }
    return 0;
}

static int read_line(struct page_reader *r, bool is_prefix, struct err *err)
{
    struct s3_line line = r->line;
    bool whole = r->has_name && (is_prefix || r->has_size || line.is_directory);
    r->line = (struct s3_line){0};
    r->has_name = r->has_size = false;
    if (!whole)
        return err_set(err, EIO, "listing: an entry without name or size");
    line.is_prefix = is_prefix;
    int rc = vec_push(&r->page->lines, line);
    if (rc < 0)
        return err_set(err, rc == -ENOMEM ? ENOMEM : EIO, "listing: more than %d entries in a page",
                       S3_PAGE_ENTRIES_MAX);
    return 0;
}

static int on_element(void *arg, const struct xml_element *e, struct err *err)
{
    struct page_reader *r = arg;
    if (!slice_is(e->root, "EnumerationResults"))
        return err_set(err, EIO, "listing: the answer is a %.*s", SLICE_FMT(e->root));
    if (e->depth == DEPTH_PROPERTY && slice_is(e->parent, "Properties"))
        return read_property(r, e, err);
    if (e->depth == DEPTH_PROPERTY && slice_is(e->parent, "Metadata")) {
        /* An empty blob that Hadoop's drivers, and namespaces with hierarchy, make. */
        if (slice_is(e->name, "hdi_isfolder") && slice_is(e->text, "true"))
            r->line.is_directory = true;
        return 0;
    }
    bool blob = slice_is(e->name, "Blob"), prefix = slice_is(e->name, "BlobPrefix");
    if (e->depth == DEPTH_LINE && (blob || prefix))
        return read_line(r, prefix, err);
    bool in_line = slice_is(e->parent, "Blob") || slice_is(e->parent, "BlobPrefix");
    if (e->depth == DEPTH_FIELD && in_line && slice_is(e->name, "Name"))
        return read_name(r, e, err);
    if (e->depth == DEPTH_HEAD && slice_is(e->name, "NextMarker") && e->text.n) {
        struct slice marker = SLICE_NONE;
        int rc = keep(r->page, e->text, &marker, err);
        if (rc < 0)
            return rc;
        r->page->token = (char *)marker.p; /* the arena's copy, which ends in a zero */
        r->page->truncated = true;
    }
    return 0;
}

int azure_page_parse(struct slice xml, struct s3_page *page, struct err *err)
{
    struct page_reader r = {.page = page};
    return xml_walk(xml, TEXT_BYTES_MAX, on_element, &r, err);
}
