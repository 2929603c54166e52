/* SPDX-License-Identifier: Apache-2.0 */
/* The tags of a table: asked for by the background job, kept until the live path looks anew. */
#include "lake/table_private.h"

struct tags_place table_tags_place(const struct table *t)
{
    return (struct tags_place){.local = t->lake->config.tags,
                               .store = t->store,
                               .prefix = t->prefix,
                               .table_id = table_id(t)};
}

int table_known_tags(struct table *t, struct task *task, int64_t max_age_ms, struct err *err)
    REQUIRES(&t->lock)
{
    int64_t age_ms = clock_mono_ms() - t->tags_ms;
    bool before = t->tags_ms < task->since_ms; /* the task came */
    bool failed = !t->tags && age_ms > ERROR_KEPT_MS && before;
    if (t->tags_ms == 0 || failed || (age_ms > max_age_ms && before)) {
        t->want_tags = true;
        return table_park(t, task);
    }
    return t->tags ? 0 : err_copy(err, &t->tags_err);
}

int table_tags(struct table *t, struct task *task, struct tags **out, struct err *err)
{
    int rc;
    WITH_LOCK (&t->lock) {
        rc = table_known_tags(t, task, t->lake->config.refresh_ms, err);
        if (rc == 0)
            *out = tags_ref(t->tags);
    }
    return rc;
}

void table_load_tags(struct table *t)
{
    struct err err = ERR_INIT;
    AUTO(tags) struct tags *previous = NULL;
    struct tags *tags = NULL;
    struct tags_place place = table_tags_place(t);
    WITH_LOCK (&t->lock)
        previous = t->tags ? tags_ref(t->tags) : NULL;
    if (tags_load(&place, previous, &tags, &err) < 0)
        (void)err_wrap(&err, "table %s: tags", t->path);
    WITH_LOCK (&t->lock) {
        t->tags_ms = clock_mono_ms();
        t->tags_err = err;
        if (tags) { /* what could not be asked for is as it was */
            tags_unref(t->tags);
            t->tags = tags;
        }
    }
}

struct history *table_heard(struct table *t)
{
    struct history *h;
    WITH_LOCK (&t->lock)
        h = t->history ? history_ref(t->history) : NULL;
    return h;
}

/* The format's own names come first: a tag of ours would never be seen. */
static int check_name(struct table *t, const struct tag_change *change, struct err *err)
{
    AUTO(history) struct history *h = table_heard(t);
    const struct history_name *name =
        h && change->version >= 0 ? history_named(h, change->name) : NULL;
    return name ? err_set(err, EEXIST, "the table has a %s %.*s of its own",
                          name->branch ? "branch" : "tag", SLICE_FMT(change->name))
                : 0;
}

int table_change_tag(struct table *t, const struct tag_change *change, struct err *err)
{
    struct tags_place place = table_tags_place(t);
    int rc = check_name(t, change, err);
    if (rc == 0)
        rc = tags_change(&place, change, err);
    WITH_LOCK (&t->lock)
        t->tags_ms = 0;
    return rc;
}
