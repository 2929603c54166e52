/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/s3_versions.h"

void s3_choice_init(struct s3_choice *c, int64_t time_ms,
                    int (*emit)(void *arg, const struct s3_line *line, struct err *err), void *arg)
{
    *c = (struct s3_choice){.time_ms = time_ms, .emit = emit, .arg = arg};
    buf_init(&c->key, URL_BYTES_MAX + 4 * KEY_BYTES_MAX);
    buf_init(&c->etag, KIB);
    buf_init(&c->class, KIB);
    buf_init(&c->version, VERSION_ID_BYTES_MAX);
}

void s3_choice_done(struct s3_choice *c)
{
    buf_done(&c->key);
    buf_done(&c->etag);
    buf_done(&c->class);
    buf_done(&c->version);
}

static int set(struct buf *to, struct slice text, struct err *err)
{
    buf_reset(to);
    buf_add_slice(to, text);
    return buf_check(to, err);
}

/* Remembers it beyond its page. */
static int set_best(struct s3_choice *c, const struct s3_line *line, struct err *err)
{
    c->best = *line;
    c->best.key = c->best.etag = c->best.version = c->best.class = c->best.generation = SLICE_NONE;
    int rc = set(&c->etag, line->etag, err);
    if (rc == 0)
        rc = set(&c->class, line->class, err);
    return rc < 0 ? rc : set(&c->version, line->version, err);
}

/* The key has no more versions. */
static int emit_best(struct s3_choice *c, struct err *err)
{
    struct s3_line best = c->best;
    c->best = (struct s3_line){0};
    if (!best.mtime_ms || best.is_deletion)
        return 0;
    best.key = buf_slice(&c->key);
    best.etag = buf_slice(&c->etag);
    best.version = buf_slice(&c->version);
    best.class = buf_slice(&c->class);
    return c->emit(c->arg, &best, err);
}

static bool is_better(const struct s3_line *line, const struct s3_line *best)
{
    if (line->mtime_ms != best->mtime_ms)
        return line->mtime_ms > best->mtime_ms;
    return line->is_latest && !best->is_latest;
}

static int take(struct s3_choice *c, const struct s3_line *line, struct err *err)
{
    int rc = 0;
    if (!slice_eq(line->key, buf_slice(&c->key))) {
        rc = emit_best(c, err);
        if (rc == 0)
            rc = set(&c->key, line->key, err);
    }
    if (rc == 0 && line->is_prefix)
        rc = c->emit(c->arg, line, err);
    if (rc || line->is_prefix)
        return rc;
    if (line->mtime_ms > c->time_ms && slice_is(line->version, "null"))
        return err_set(
            err, ENOENT,
            "it kept no versions then: what \"%.*s\" was before it was written is not known",
            line->key.n > 200 ? 200 : (int)line->key.n, line->key.p);
    if (line->mtime_ms > c->time_ms || !is_better(line, &c->best))
        return 0;
    return set_best(c, line, err);
}

int s3_choose(struct s3_choice *c, const struct s3_page *page, bool last, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < page->lines.n; i++)
        rc = take(c, &page->lines.at[i], err);
    if (rc == 0 && last) {
        rc = emit_best(c, err);
        buf_reset(&c->key);
    }
    return rc;
}
