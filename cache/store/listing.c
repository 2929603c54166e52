/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/listing.h"

#define PARAMETERS_MAX 8

int listing_check(const struct store_list *req, struct err *err)
{
    struct slice prefix = slice_of(req->prefix);
    if (prefix.n && prefix.p[prefix.n - 1] != '/')
        return err_set(err, EINVAL, "the prefix of a listing ends in /: %s", req->prefix);
    return 0;
}

/* Of those that nobody names yet it is not known. */
static bool class_is_readable(struct slice class)
{
    static const char *const never_archived[] = {"STANDARD",
                                                 "STANDARD_IA",
                                                 "ONEZONE_IA",
                                                 "GLACIER_IR",
                                                 "EXPRESS_ONEZONE",
                                                 "REDUCED_REDUNDANCY",
                                                 "OUTPOSTS",
                                                 "Hot",
                                                 "Cool",
                                                 "Cold",
                                                 "Premium"};
    for (size_t i = 0; i < ARRAY_SIZE(never_archived); i++)
        if (slice_is(class, never_archived[i]))
            return true;
    return false;
}

int listing_emit(const struct remote *r, const struct store_list *req, const struct s3_line *line,
                 struct err *err)
{
    struct slice root = slice_of(r->prefix), prefix = slice_of(req->prefix);
    struct slice key = slice_starts(line->key, root) ? slice_from(line->key, root.n) : SLICE_NONE;
    if (!slice_starts(line->key, root) || !slice_starts(key, prefix))
        return err_set(err, EIO, "%s: the listing of %.100s%.100s names another key, %.*s",
                       r->where, r->prefix, req->prefix, line->key.n > 100 ? 100 : (int)line->key.n,
                       line->key.p);
    bool slash = key.n && key.p[key.n - 1] == '/';
    if (line->is_prefix && (!slash || key.n == prefix.n))
        return err_set(err, EIO, "%s: a common prefix that is no directory", r->where);
    /* A directory's marker: made by tools, no object of anybody's. */
    if (!line->is_prefix && (line->is_directory || (line->size == 0 && (key.n == 0 || slash))))
        return 0;
    if (!line->is_prefix && req->start_after && slice_cmp(key, slice_of(req->start_after)) <= 0)
        return 0; /* some servers do not know start-after */
    struct store_entry entry = {.key = key,
                                .is_prefix = line->is_prefix,
                                .size = line->size,
                                .mtime_ms = line->mtime_ms,
                                .etag = line->etag,
                                .version = line->version,
                                .class = line->class,
                                .readable =
                                    !r->store.ops->restore || class_is_readable(line->class)};
    return req->emit(req->arg, &entry);
}

int listing_v2_page(struct remote *r, const struct listing_page *ask, struct s3_page *page,
                    struct err *err)
{
    AUTO(remote_request) struct remote_request *q = NULL;
    struct http_parameter parameters[PARAMETERS_MAX] = {{"list-type", "2"},
                                                        {"encoding-type", "url"}};
    size_t n = 2;
    if (ask->prefix[0])
        parameters[n++] = (struct http_parameter){"prefix", ask->prefix};
    if (!ask->recursive)
        parameters[n++] = (struct http_parameter){"delimiter", "/"};
    if (ask->token)
        parameters[n++] = (struct http_parameter){"continuation-token", ask->token};
    else if (ask->start_after)
        parameters[n++] = (struct http_parameter){"start-after", ask->start_after};
    struct remote_parts parts = {.method = "GET",
                                 .key = "",
                                 .parameters = parameters,
                                 .parameters_count = n,
                                 .text_max = S3_PAGE_BYTES_MAX};
    int rc = remote_ask(r, &parts, &q, err);
    return rc < 0 ? rc : s3_page_parse(buf_slice(&q->http.text), false, page, err);
}

int listing_run(struct remote *r, const struct listing_ops *ops, const struct store_list *req,
                struct err *err)
{
    int rc = listing_check(req, err);
    if (rc < 0)
        return rc;
    AUTO_FREE char *prefix = remote_whole_key(r, req->prefix);
    AUTO_FREE char *after = req->start_after ? remote_whole_key(r, req->start_after) : NULL;
    AUTO_FREE char *token = NULL;
    if (!prefix || (req->start_after && !after))
        return err_set(err, ENOMEM, "out of memory");
    for (unsigned empty = 0; empty < ops->empty_max; empty++) {
        struct listing_page ask = {prefix, after, token, req->recursive};
        AUTO(s3_page) struct s3_page page;
        s3_page_init(&page);
        rc = ops->page(r, &ask, &page, err);
        if (rc < 0)
            return err_wrap(err, "%s, list %.100s", r->where, prefix);
        for (size_t i = 0; rc == 0 && i < page.lines.n; i++)
            rc = listing_emit(r, req, &page.lines.at[i], err);
        if (rc || !page.truncated)
            return rc;
        if (token && strcmp(token, page.token) == 0)
            return err_set(err, EIO, "%s: the listing goes on with the same token for ever",
                           r->where);
        if (page.lines.n)
            empty = 0;
        free(token);
        token = strdup(page.token);
        if (!token)
            return err_set(err, ENOMEM, "out of memory");
    }
    return err_set(err, EIO, "%s: %u empty pages of a listing", r->where, ops->empty_max);
}
