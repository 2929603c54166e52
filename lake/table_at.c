/* SPDX-License-Identifier: Apache-2.0 */
/* What a ref means: a version, a moment, a range; and what is loaded of it. */
#include "base/hash.h"
#include "base/log.h"
#include "lake/table_private.h"

void table_version_name(const struct table_version *v, struct buf *out)
{
    if (v->kind == TABLE_RANGE)
        buf_addf(out, "%lld..", (long long)v->after);
    buf_addf(out, "%lld", (long long)v->version.number);
}

static int unknown_ref(struct err *err, const struct table *t, struct slice ref)
{
    return err_set(err, ENOENT, "table %s has no version %.*s", t->path, SLICE_FMT(ref));
}

struct wanted table_wanted_at(const struct history *h, ptrdiff_t position)
{
    return (struct wanted){.kind = TABLE_VERSION,
                           .number = h->at[position].number,
                           .head = position >= (ptrdiff_t)h->n};
}

ptrdiff_t table_wanted_position(const struct history *h, const struct wanted *what)
{
    return what->head ? history_find_head(h, what->number) : history_find(h, what->number);
}

/* what is loaded */

static int loaded_locked(struct table *t, const struct wanted *what, uint64_t fingerprint,
                         struct task *task, struct table_version **out, struct err *err)
    REQUIRES(&t->lock)
{
    int64_t now_ms = clock_mono_ms();
    int64_t errors_ms =
        now_ms - ERROR_KEPT_MS < task->since_ms ? now_ms - ERROR_KEPT_MS : task->since_ms;
    struct loaded *l = table_loaded_find(t, what, fingerprint, errors_ms);
    if (l && !l->version)
        return err_copy(err, &l->err);
    if (l) {
        *out = table_version_ref(l->version);
        return 0;
    }
    bool queued = false;
    for (size_t i = 0; i < t->wanted_n; i++)
        queued |= table_wanted_same(&t->wanted[i], what);
    if (!queued && t->wanted_n < WANTED_MAX)
        t->wanted[t->wanted_n++] = *what;
    return table_park(t, task);
}

struct version table_moment(int64_t time_ms)
{
    return (struct version){.number = time_ms,
                            .timestamp_ms = time_ms,
                            .fingerprint = hash64(3, slice_make(&time_ms, sizeof time_ms))};
}

static int moment_at(struct table *t, int64_t time_ms, struct task *task,
                     struct table_version **out, struct err *err)
{
    struct version v = table_moment(time_ms);
    struct wanted what = {.kind = TABLE_VERSION, .number = time_ms};
    int rc;
    WITH_LOCK (&t->lock)
        rc = loaded_locked(t, &what, v.fingerprint, task, out, err);
    return rc;
}

bool table_range_version(const struct history *h, const struct wanted *what, struct version *out)
{
    ptrdiff_t upto = history_find(h, what->number);
    ptrdiff_t after = what->after < 0 ? -1 : history_find(h, what->after);
    if (upto < 0 || (what->after >= 0 && after < 0))
        return false;
    uint64_t ends[] = {(uint64_t)what->kind, after < 0 ? 0 : h->at[after].fingerprint,
                       h->at[upto].fingerprint};
    *out = h->at[upto];
    out->fingerprint = hash64(4, slice_make(ends, sizeof ends));
    return true;
}

/* refs */

/* A version's time as heard may differ a little from what it was when a local tag was set: it
 * depends on the commits before it. */
#define TAG_APART_MS 60000

/* A ref's place in the history. */
struct found {
    ptrdiff_t position; /* -1: there is none */
    bool moving;        /* a later commit changes what it means */
};

/* The position of a version or a time. */
static int position_locked(struct table *t, const struct ref *ref, struct task *task,
                           struct found *out, struct err *err) REQUIRES(&t->lock)
{
    int rc = table_known_history(t, task, INT64_MAX, err);
    if (rc < 0)
        return rc;
    if (ref->kind == REF_TIME) {
        bool last;
        out->position = history_at(t->history, ref->time_ms, &last);
        out->moving = !t->lake->config.as_of_ms && out->position >= 0 && last;
        return 0;
    }
    out->position = history_find(t->history, ref->version);
    if (out->position >= 0) {
        table_hear_aside(t);
        return 0;
    }
    rc = table_known_history(t, task, HEARD_SINCE, err); /* it may have been committed since */
    return rc == 0 && t->history_err.code ? err_copy(err, &t->history_err) : rc;
}

/* The version that a tag of ours names. */
static int tagged_locked(struct table *t, struct slice text, struct task *task, struct found *out,
                         struct err *err) REQUIRES(&t->lock)
{
    AUTO(buf) struct buf name = {0};
    buf_init(&name, KEY_BYTES_MAX);
    if (!tag_name_parse(&name, text))
        return 0;
    int rc = table_known_tags(t, task, INT64_MAX, err);
    const struct tag *tag = rc == 0 ? tags_find(t->tags, buf_slice(&name)) : NULL;
    if (rc == 0 && !tag) { /* it may have been set since */
        rc = table_known_tags(t, task, PAUSE_MS, err);
        tag = rc == 0 ? tags_find(t->tags, buf_slice(&name)) : NULL;
    }
    if (!tag)
        return rc;
    struct ref ref = {.kind = REF_VERSION, .version = tag->version};
    rc = position_locked(t, &ref, task, out, err);
    if (rc < 0 || out->position < 0)
        return rc;
    int64_t apart_ms = t->history->at[out->position].timestamp_ms - tag->time_ms;
    if (tag->time_ms && (apart_ms > TAG_APART_MS || apart_ms < -TAG_APART_MS))
        out->position = -1; /* a table that was made anew: its version has the number, no more */
    out->moving = true;
    return 0;
}

/* A tag or a branch of the format's own. */
static bool find_own_locked(const struct table *t, const struct ref *ref, struct found *out)
    REQUIRES(&t->lock)
{
    AUTO(buf) struct buf name = {0};
    buf_init(&name, KEY_BYTES_MAX);
    const struct history_name *found =
        ref_name_decode(&name, ref) ? history_named(t->history, buf_slice(&name)) : NULL;
    if (!found || ref->kind == (found->branch ? REF_TAG : REF_BRANCH))
        return false;
    *out = (struct found){.position = found->position, .moving = true};
    return true;
}

/* A tag or a branch: the format's own come first. */
static int named_locked(struct table *t, const struct ref *ref, struct task *task,
                        struct found *out, struct err *err) REQUIRES(&t->lock)
{
    if (find_own_locked(t, ref, out))
        return 0;
    int rc = ref->kind == REF_BRANCH ? 0 : tagged_locked(t, ref->name, task, out, err);
    if (rc < 0 || out->position >= 0 || !t->ops->describe_refs)
        return rc;
    rc = table_known_history(t, task, HEARD_SINCE, err); /* it may have been made since */
    if (rc == 0 && t->history_err.code)
        return err_copy(err, &t->history_err);
    if (rc == 0)
        (void)find_own_locked(t, ref, out);
    return rc;
}

static bool is_future(const struct table *t, const struct ref *ref)
{
    int64_t as_of_ms = t->lake->config.as_of_ms;
    return ref->kind == REF_TIME && ref->time_ms > (as_of_ms ? as_of_ms : clock_real_ms());
}

/* What is not there is told to no log, but that it was: not each time that it is looked for. */
static int tell_expired(struct table *t, int64_t version, struct err *err) REQUIRES(&t->lock)
{
    if (t->told_expired != version)
        log_info("table %s: version %lld has expired: its table's metadata names it no more",
                 t->path, (long long)version);
    t->told_expired = version;
    return err_set(err, ENOENT, "table %s: version %lld has expired", t->path, (long long)version);
}

/* The position of a ref that is no range. -ENOENT where there is none. */
static int resolve_locked(struct table *t, struct slice text, struct task *task, struct found *out,
                          struct err *err) REQUIRES(&t->lock)
{
    struct ref ref;
    *out = (struct found){.position = -1};
    if (!ref_parse(text, t->ops->digits17_is_time, &ref) || ref.kind == REF_RANGE ||
        is_future(t, &ref))
        return unknown_ref(err, t, text);
    int rc = table_known_history(t, task, INT64_MAX, err);
    if (rc == 0 && ref_is_name(&ref) && t->history->numbered)
        rc = named_locked(t, &ref, task, out, err);
    else if (rc == 0 && !ref_is_name(&ref))
        rc = position_locked(t, &ref, task, out, err);
    if (rc == 0 && out->position < 0 && ref.kind == REF_VERSION &&
        history_has_expired(t->history, ref.version))
        return tell_expired(t, ref.version, err);
    if (rc == 0 && (out->position < 0 || !t->history->numbered))
        rc = unknown_ref(err, t, text);
    return rc;
}

static int range_locked(struct table *t, const struct wanted *what, struct task *task,
                        struct table_version **out, struct err *err) REQUIRES(&t->lock)
{
    struct version v;
    if (!t->ops->range || !table_range_version(t->history, what, &v))
        return err_set(err, ENOENT, "table %s has no such range of versions", t->path);
    return loaded_locked(t, what, v.fingerprint, task, out, err);
}

/* A head's version. */
static ptrdiff_t version_of(const struct history *h, ptrdiff_t position)
{
    return position < (ptrdiff_t)h->n ? position : history_find(h, h->at[position].number);
}

static int range_at(struct table *t, const struct ref *ref, struct task *task,
                    struct table_version **out, bool *moving, struct err *err)
{
    struct found from = {.position = -1}, to = {.position = -1};
    int rc;
    WITH_LOCK (&t->lock) {
        rc = resolve_locked(t, ref->name, task, &from, err);
        if (rc == 0)
            rc = resolve_locked(t, ref->to, task, &to, err);
        if (rc == 0 && version_of(t->history, from.position) > version_of(t->history, to.position))
            rc = err_set(err, ENOENT, "table %s: the range %.*s..%.*s ends before it begins",
                         t->path, SLICE_FMT(ref->name), SLICE_FMT(ref->to));
        if (rc == 0) {
            struct wanted what = {.kind = TABLE_RANGE,
                                  .after = t->history->at[from.position].number,
                                  .number = t->history->at[to.position].number};
            rc = range_locked(t, &what, task, out, err);
        }
    }
    if (rc == 0)
        *moving = from.moving || to.moving;
    return rc;
}

bool table_is_changes(const struct run *run)
{
    return slice_starts(slice_of(run_name(run)), SLICE_LIT(TABLE_CHANGES_NAME "-"));
}

int table_changes(struct table *t, const struct table_version *of, struct task *task,
                  struct table_version **out, struct err *err)
{
    struct wanted what = {.kind = TABLE_CHANGES,
                          .after = of->kind == TABLE_RANGE ? of->after : of->version.number - 1,
                          .number = of->version.number};
    int rc;
    WITH_LOCK (&t->lock) {
        rc = table_known_history(t, task, INT64_MAX, err);
        if (rc == 0 && history_find(t->history, what.after) < 0 && of->kind != TABLE_RANGE)
            what.after = -1; /* the oldest version that is left */
        if (rc == 0)
            rc = range_locked(t, &what, task, out, err);
    }
    return rc;
}

/*
 * A tag moves as the live path does: what is known of it counts as long as that holds still. Other
 * errors of the live path are not the tag's.
 */
static int hold_still(struct table *t, struct task *task)
{
    AUTO(table_version) struct table_version *live = NULL;
    struct err ignored = ERR_INIT;
    return table_live(t, task, &live, &ignored) == -EINPROGRESS ? -EINPROGRESS : 0;
}

static bool names_tag(const struct table *t, const struct ref *ref)
{
    struct ref end;
    if (ref->kind != REF_RANGE)
        return ref_is_name(ref);
    return (ref_parse(ref->name, t->ops->digits17_is_time, &end) && ref_is_name(&end)) ||
           (ref_parse(ref->to, t->ops->digits17_is_time, &end) && ref_is_name(&end));
}

int table_at(struct table *t, struct slice text, struct task *task, struct table_version **out,
             bool *moving, struct err *err)
{
    struct ref ref;
    int rc;
    struct found found = {.position = -1};
    if (!ref_parse(text, t->ops->digits17_is_time, &ref))
        return unknown_ref(err, t, text);
    if (ref.kind == REF_TIME && t->ops->moment && !is_future(t, &ref)) {
        rc = moment_at(t, ref.time_ms, task, out, err);
        if (rc == 0)
            *moving = false;
        return rc;
    }
    if (t->ops->range && names_tag(t, &ref) && hold_still(t, task) < 0)
        return -EINPROGRESS;
    if (ref.kind == REF_RANGE)
        return range_at(t, &ref, task, out, moving, err);
    bool last = false;
    WITH_LOCK (&t->lock) {
        rc = resolve_locked(t, text, task, &found, err);
        last = rc == 0 && found.moving && ref.kind == REF_TIME;
        if (rc == 0 && !last) {
            struct wanted what = table_wanted_at(t->history, found.position);
            rc =
                loaded_locked(t, &what, t->history->at[found.position].fingerprint, task, out, err);
        }
    }
    if (last)
        rc = table_live(t, task, out, err);
    if (rc == 0)
        *moving = found.moving;
    return rc;
}
