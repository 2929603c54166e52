/* SPDX-License-Identifier: Apache-2.0 */
/* What is open, and whether it still may be. */
#include "base/log.h"
#include "fs/govern_private.h"
#include "fs/request.h"

void held_free(struct held *h)
{
    if (!h)
        return;
    if (h->slot)
        slots_leave(&h->governor->slots, h->table, h->slot);
    shown_done(&h->shown);
    principal_unref(h->principal);
    free(h->path);
    object_places_done(&h->objects);
    free(h);
}

static struct held *held_new(const struct asker *a, const struct where *w,
                             const struct shown *shown)
{
    AUTO(held) struct held *h = calloc(1, sizeof *h);
    AUTO(buf) struct buf path = {0};
    if (!h)
        return NULL;
    h->governor = a->governor;
    h->principal = principal_ref(a->principal);
    h->table = w->table;
    h->is_dir = w->kind != WHERE_FILE && w->kind != WHERE_OBJECT && w->kind != WHERE_DOCUMENT;
    h->generation = a->ruling->generation;
    shown_copy(&h->shown, shown);
    buf_init(&path, REGISTRY_NAME_MAX + KEY_BYTES_MAX);
    if (w->table && (w->kind != WHERE_FILE || table_ops(w->table)->shape))
        return STEAL(h);
    govern_add_place(w, &path);
    buf_add_str(&path, ""); /* not NULL, of the root */
    struct slice text = buf_slice(&path);
    int rc = -path.failed;
    if (rc == 0 && h->is_dir)
        rc = (h->path = strndup(text.p, text.n)) ? 0 : -ENOMEM;
    else if (rc == 0)
        rc = object_places_add(&h->objects, text, w->table ? table_path(w->table).n : text.n, NULL);
    return rc == 0 ? STEAL(h) : NULL;
}

int govern_hold(const struct asker *a, const struct where *w, const struct shown *shown,
                uint64_t node, struct held **out, struct err *err)
{
    *out = NULL;
    if (!a->governor)
        return 0;
    AUTO(held) struct held *h = held_new(a, w, shown);
    if (!h)
        return err_set(err, ENOMEM, "out of memory");
    h->node = node;
    unsigned slot = h->is_dir ? 0 : node_of(node).view;
    /* Another one's node, or that of before a change: the kernel looks the name up again. */
    if (!h->is_dir && slot != shown->slot)
        return -ESTALE;
    if (slot && !slots_hold(&a->governor->slots, w->table, slot, shown_hash(shown)))
        return -ESTALE;
    h->slot = slot;
    *out = STEAL(h);
    return 0;
}

int govern_hold_object(const struct asker *a, const struct where *w, struct task *task,
                       struct held *held, struct err *err)
{
    struct err why = ERR_INIT;
    int rc = w->kind == WHERE_FILE ? govern_log(a, w, task, &held->objects, &why) : 0;
    if (rc == 0)
        rc = govern_object(a, w, task, &held->objects, &why);
    if (rc < 0 && rc != -EINPROGRESS)
        (void)err_copy(err, &why);
    if (rc == -EACCES)
        (void)govern_deny(a, w, 0, why.msg, NULL);
    return rc;
}

static bool table_is_shown(const struct held *h, const struct ruling *ruling)
{
    AUTO(view) struct view *now = NULL;
    const struct grant *g = ruling_decide(ruling, h->principal, table_path(h->table));
    if (g && h->is_dir && !table_ops(h->table)->shape) /* it was decided of all that it lists */
        return grant_whole(g) &&
               !policy_parts_below(ruling->policy, h->principal, table_path(h->table));
    if (!g || grant_whole(g))
        return g != NULL; /* who sees the whole may see a part */
    return h->shown.basis &&
           ruling_view_of(g, h->shown.basis, h->governor->salt, &now, NULL) == 0 &&
           now->hash == shown_hash(&h->shown);
}

static bool is_shown(const struct held *h, const struct ruling *ruling)
{
    for (size_t i = 0; i < h->objects.at.n; i++)
        if (!ruling_gives_object(ruling, h->principal, &h->objects.at.at[i]))
            return false;
    if (h->table)
        return table_is_shown(h, ruling);
    return !h->is_dir || ruling_reaches(ruling, h->principal, slice_of(h->path));
}

void held_look_again(struct held *h, const struct ruling *ruling)
{
    if (atomic_load(&h->revoked) || atomic_load(&h->generation) >= ruling->generation)
        return;
    if (is_shown(h, ruling))
        atomic_store(&h->generation, ruling->generation);
    else
        atomic_store(&h->revoked, true);
}

int govern_held(struct held *h)
{
    if (!h)
        return 0;
    if (!atomic_load(&h->revoked) &&
        atomic_load(&h->generation) != atomic_load(&h->governor->generation)) {
        AUTO(ruling) struct ruling *now = governor_ruling(h->governor);
        held_look_again(h, now);
    }
    return atomic_load(&h->revoked) ? -ESTALE : 0;
}

static enum audit_what what_is(const struct where *w)
{
    return w->kind == WHERE_DOCUMENT ? AUDIT_DOCUMENT
           : w->kind == WHERE_OBJECT ? AUDIT_OBJECT
                                     : AUDIT_DATA;
}

int govern_opened(const struct asker *a, const struct where *w, const struct shown *shown,
                  struct slice version, struct task *task, struct err *err)
{
    AUTO(buf) struct buf path = {0};
    if (!a->governor || !a->governor->audit)
        return 0;
    buf_init(&path, (size_t)2 * KEY_BYTES_MAX);
    govern_add_place(w, &path);
    const struct audit_event e = {.kind = AUDIT_OPEN,
                                  .what = what_is(w),
                                  .principal = a->principal,
                                  .has_caller = a->has_caller,
                                  .uid = a->uid,
                                  .pid = a->pid,
                                  .table = w->table ? table_path(w->table) : SLICE_NONE,
                                  .version = version,
                                  .path = buf_slice(&path),
                                  .view = shown_hash(shown),
                                  .line = shown->line};
    return audit_add(a->governor->audit, &e, task, err);
}
