/* SPDX-License-Identifier: Apache-2.0 */
/* Refs in paths: where they stand, and what `@/` lists. */
#include "base/text.h"
#include "lake/raw.h"
#include "lake/where_private.h"

bool where_is_raw(const struct table_version *v)
{
    return v->snapshot && raw_is(snapshot_base(v->snapshot));
}

bool where_moment(struct slice path, struct slice *ref)
{
    const char *mark = path.n ? memmem(path.p, path.n, REF_MARK, 2) : NULL;
    if (mark && ref) {
        struct slice text = slice_from(path, (size_t)(mark - path.p) + 2);
        ptrdiff_t slash = slice_find(text, '/');
        *ref = slice_make(text.p, slash < 0 ? text.n : (size_t)slash);
    }
    return mark != NULL;
}

void where_real_path(struct slice path, struct buf *out)
{
    struct slice ref;
    if (!where_moment(path, &ref)) {
        buf_add_slice(out, path);
        return;
    }
    buf_add(out, path.p, (size_t)(ref.p - path.p) - 2);
    buf_add_slice(out, slice_from(path, (size_t)(ref.p - path.p) + ref.n));
}

bool where_keeps_names(const struct where *w)
{
    struct ref ref;
    struct slice text;
    if (!w->moving || w->version->kind != TABLE_VERSION || where_is_raw(w->version))
        return false;
    if (!where_moment(buf_slice(&w->path), &text))
        return true;
    text = slice_starts(text, SLICE_LIT("@")) ? slice_from(text, 1) : text;
    return ref_parse(text, table_ops(w->table)->digits17_is_time, &ref) && ref.kind == REF_TIME;
}

/* `orders@/12`, and a tag of version 12 beside it, lead to ../orders@12, `orders/@/12` and `@/12`
 * to ../@12. */
int where_link_target(const struct where *w, struct buf *out, struct err *err)
{
    if (w->kind != WHERE_LINK)
        return err_set(err, EINVAL, "not a symbolic link");
    struct slice table = table_path(w->table);
    struct slice ref = slice_from(buf_slice(&w->path), table.n);
    buf_add_str(out, "../");
    if (!slice_starts(ref, SLICE_LIT(REF_MARK "@")))
        buf_add_slice(out, text_basename(table));
    buf_addf(out, "@%lld", (long long)w->link);
    return buf_check(out, err);
}

/* `orders@/12`: versions are listed by their numbers only. 0: it is no number. */
static int number_child(const struct where *parent, struct slice name, struct task *task,
                        int64_t *out, struct err *err)
{
    uint64_t number;
    AUTO(history) struct history *h = NULL;
    bool canonical = text_parse_u64(name, INT64_MAX, &number) &&
                     (name.n == 1 || (name.n > 1 && name.p[0] != '0'));
    if (!canonical)
        return 0;
    int rc = table_history(parent->table, task, &h, err);
    if (rc < 0)
        return rc;
    if (!h->numbered || history_find(h, (int64_t)number) < 0)
        return where_no_entry(err, name);
    *out = (int64_t)number;
    return 1;
}

/* `orders@/gold`: a tag or a branch, with the version that it names now. */
static int tag_child(const struct where *parent, struct slice name, struct task *task, int64_t *out,
                     struct err *err)
{
    AUTO(buf) struct buf text = {0};
    AUTO(tags) struct tags *tags = NULL;
    AUTO(history) struct history *h = NULL;
    struct ref ref;
    buf_init(&text, KEY_BYTES_MAX);
    int rc = table_history(parent->table, task, &h, err);
    if (rc == 0 && (!h->numbered || !ref_parse(name, true, &ref) || !ref_name_decode(&text, &ref)))
        return where_no_entry(err, name);
    const struct history_name *named = rc == 0 ? history_named(h, buf_slice(&text)) : NULL;
    if (named && ref.kind != (named->branch ? REF_TAG : REF_BRANCH)) {
        *out = h->at[named->position].number;
        return 0;
    }
    if (rc == 0 && (ref.kind != REF_NAME || !tag_name_valid(buf_slice(&text))))
        return where_no_entry(err, name);
    if (rc == 0)
        rc = table_tags(parent->table, task, &tags, err);
    if (rc < 0)
        return rc;
    const struct tag *tag = tags_find(tags, buf_slice(&text));
    if (!tag || history_find(h, tag->version) < 0)
        return where_no_entry(err, name);
    *out = tag->version;
    return 0;
}

int where_version_child(const struct where *parent, struct slice name, struct task *task,
                        struct where *out, struct err *err)
{
    int rc = number_child(parent, name, task, &out->link, err);
    if (rc == 0)
        rc = tag_child(parent, name, task, &out->link, err);
    if (rc < 0)
        return rc;
    out->kind = WHERE_LINK;
    out->table = parent->table;
    AUTO(buf) struct buf target = {0};
    buf_init(&target, KEY_BYTES_MAX);
    rc = where_link_target(out, &target, err);
    out->size = target.len;
    return rc;
}
