/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/http_answer.h"

#include <string.h>
#include <strings.h>

#include "base/instant.h"
#include "base/text.h"

static void copy_text(char *to, size_t room, struct slice value)
{
    if (value.n >= room || memchr(value.p, '\0', value.n))
        return;
    memcpy(to, value.p, value.n);
    to[value.n] = '\0';
}

static bool name_is(struct slice name, const char *lower)
{
    return name.n == strlen(lower) && strncasecmp(name.p, lower, name.n) == 0;
}

/* They come in one field or in several. */
static void add_hash(struct http_answer *a, struct slice value)
{
    size_t n = strlen(a->hash);
    if (n)
        a->hash[n++] = ',';
    copy_text(a->hash + n, sizeof a->hash - n, value);
}

/* What decides whether a copy of the object would be the same object. */
static void read_nature(struct http_answer *a, struct slice name, struct slice value)
{
    if (name_is(name, "x-amz-version-id") || name_is(name, "x-ms-version-id"))
        copy_text(a->version_id, sizeof a->version_id, value);
    else if (name_is(name, "x-amz-server-side-encryption"))
        copy_text(a->encryption, sizeof a->encryption,
                  value.n < sizeof a->encryption ? value : SLICE_LIT("another"));
    else if (name_is(name, "x-ms-blob-type"))
        copy_text(a->blob_type, sizeof a->blob_type, value);
    else if (name_is(name, "x-amz-server-side-encryption-customer-algorithm"))
        a->has_customer_key = true;
    else if (name_is(name, "x-amz-object-lock-mode"))
        a->is_locked = true;
    else if (name_is(name, "x-amz-object-lock-legal-hold"))
        a->is_locked |= slice_is(value, "ON");
    else if (name_is(name, "x-amz-website-redirect-location"))
        a->is_redirect = true;
}

static void read_field(struct http_answer *a, struct slice name, struct slice value)
{
    if (name_is(name, "content-length"))
        a->has_length = text_parse_u64(value, INT64_MAX, &a->content_length);
    else if (name_is(name, "etag"))
        copy_text(a->etag, sizeof a->etag, value);
    else if (name_is(name, "content-range"))
        copy_text(a->content_range, sizeof a->content_range, value);
    else if (name_is(name, "last-modified"))
        (void)instant_parse_http(value, &a->last_modified_ms); /* stays 0: not told */
    else if (name_is(name, "x-goog-generation"))
        copy_text(a->generation, sizeof a->generation, value);
    else if (name_is(name, "x-amz-request-id") || name_is(name, "x-guploader-uploadid") ||
             name_is(name, "x-ms-request-id"))
        copy_text(a->request_id, sizeof a->request_id, value);
    else if (name_is(name, "x-amz-bucket-region"))
        copy_text(a->bucket_region, sizeof a->bucket_region, value);
    else if (name_is(name, "x-ms-error-code"))
        copy_text(a->error_code, sizeof a->error_code, value);
    else if (name_is(name, "location"))
        copy_text(a->location, sizeof a->location, value);
    else if (name_is(name, "range"))
        copy_text(a->range, sizeof a->range, value);
    else if (name_is(name, "x-goog-hash"))
        add_hash(a, value);
    else if (name_is(name, "x-amz-storage-class") || name_is(name, "x-goog-storage-class") ||
             name_is(name, "x-ms-access-tier"))
        copy_text(a->storage_class, sizeof a->storage_class, value);
    else if (name_is(name, "x-amz-archive-status") || name_is(name, "x-ms-archive-status"))
        copy_text(a->archive_status, sizeof a->archive_status, value);
    else if (name_is(name, "x-amz-restore"))
        copy_text(a->restore, sizeof a->restore, value);
    else if (name_is(name, "x-ms-meta-hdi_isfolder"))
        a->is_directory |= slice_is(value, "true");
    else if (name_is(name, "x-ms-resource-type"))
        a->is_directory |= slice_is(value, "directory");
    else
        read_nature(a, name, value);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void http_answer_read(struct http_answer *a, struct slice line)
{
    if (slice_starts(line, SLICE_LIT("HTTP/"))) {
        *a = (struct http_answer){0}; /* what came before was an interim answer's */
        return;
    }
    ptrdiff_t colon = slice_find(line, ':');
    if (colon <= 0)
        return;
    struct slice value = slice_from(line, (size_t)colon + 1);
    while (value.n && is_blank(value.p[0]))
        value = slice_from(value, 1);
    while (value.n && is_blank(value.p[value.n - 1]))
        value.n--;
    read_field(a, slice_make(line.p, (size_t)colon), value);
}
