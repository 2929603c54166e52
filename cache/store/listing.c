/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/listing.h"

/* Pages without an entry, which a server may send, one after the other. */
#define EMPTY_PAGES_MAX 100
#define PARAMETERS_MAX 8

static int emit_line(const struct listing *l, const struct store_list *req,
                     const struct s3_line *line, struct err *err)
{
    struct slice root = slice_of(l->root), prefix = slice_of(req->prefix);
    struct slice key = slice_starts(line->key, root) ? slice_from(line->key, root.n) : SLICE_NONE;
    if (!slice_starts(line->key, root) || !slice_starts(key, prefix))
        return err_set(err, EIO, "bucket %s: the listing of %.100s%.100s names another key, %.*s",
                       l->bucket, l->root, req->prefix, line->key.n > 100 ? 100 : (int)line->key.n,
                       line->key.p);
    bool slash = key.n && key.p[key.n - 1] == '/';
    if (line->is_prefix && (!slash || key.n == prefix.n))
        return err_set(err, EIO, "bucket %s: a common prefix that is no directory", l->bucket);
    /* A directory's marker: made by tools, no object of anybody's. */
    if (!line->is_prefix && (key.n == prefix.n || (slash && line->size == 0)))
        return 0;
    if (!line->is_prefix && req->start_after && slice_cmp(key, slice_of(req->start_after)) <= 0)
        return 0; /* some servers do not know start-after */
    struct store_entry entry = {.key = key,
                                .is_prefix = line->is_prefix,
                                .size = line->size,
                                .mtime_ms = line->mtime_ms,
                                .etag = line->etag};
    return req->emit(req->arg, &entry);
}

/* The caller's to free; NULL when out of memory. */
static char *whole_key(const struct listing *l, const char *key)
{
    AUTO(buf) struct buf whole = {0};
    buf_init(&whole, URL_BYTES_MAX + KEY_BYTES_MAX);
    buf_add_str(&whole, l->root);
    buf_add_str(&whole, key);
    return buf_steal_str(&whole);
}

/* One page: asked for with `token` where it is not NULL. */
static int get_page(const struct listing *l, const struct store_list *req, const char *token,
                    struct s3_page *page, struct err *err)
{
    AUTO_FREE char *prefix = whole_key(l, req->prefix);
    AUTO_FREE char *after = req->start_after ? whole_key(l, req->start_after) : NULL;
    if (!prefix || (req->start_after && !after))
        return err_set(err, ENOMEM, "out of memory");
    struct sigv4_parameter parameters[PARAMETERS_MAX] = {{"list-type", "2"},
                                                         {"encoding-type", "url"}};
    size_t n = 2;
    if (prefix[0])
        parameters[n++] = (struct sigv4_parameter){"prefix", prefix};
    if (!req->recursive)
        parameters[n++] = (struct sigv4_parameter){"delimiter", "/"};
    if (token)
        parameters[n++] = (struct sigv4_parameter){"continuation-token", token};
    else if (after)
        parameters[n++] = (struct sigv4_parameter){"start-after", after};
    int rc = l->page(l->arg, parameters, n, page, err);
    return rc < 0 ? err_wrap(err, "bucket %s, list %.100s", l->bucket, prefix) : 0;
}

int listing_run(const struct listing *l, const struct store_list *req, struct err *err)
{
    struct slice prefix = slice_of(req->prefix);
    if (prefix.n && prefix.p[prefix.n - 1] != '/')
        return err_set(err, EINVAL, "the prefix of a listing ends in /: %s", req->prefix);
    AUTO_FREE char *token = NULL;
    for (unsigned empty = 0; empty < EMPTY_PAGES_MAX; empty++) {
        AUTO(s3_page) struct s3_page page;
        s3_page_init(&page);
        int rc = get_page(l, req, token, &page, err);
        for (size_t i = 0; rc == 0 && i < page.lines.n; i++)
            rc = emit_line(l, req, &page.lines.at[i], err);
        if (rc || !page.truncated)
            return rc;
        if (token && strcmp(token, page.token) == 0)
            return err_set(err, EIO, "bucket %s: the listing goes on with the same token for ever",
                           l->bucket);
        if (page.lines.n)
            empty = 0;
        free(token);
        token = strdup(page.token);
        if (!token)
            return err_set(err, ENOMEM, "out of memory");
    }
    return err_set(err, EIO, "bucket %s: %d empty pages of a listing", l->bucket, EMPTY_PAGES_MAX);
}
