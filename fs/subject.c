/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/subject.h"

void subject_done(struct subject *s)
{
    asker_done(&s->asker);
    shown_done(&s->part);
    where_done(&s->where);
    if (s->run)
        run_unref(s->run);
    buf_done(&s->scratch);
    object_location_done(&s->object);
}

struct store *subject_store(const struct subject *s)
{
    return s->object.store ? s->object.store : where_store(&s->where);
}

static int load_file(struct subject *s, const struct node *node, struct err *err)
{
    int rc = lake_run_find(s->r->session->lake, node->number, &s->r->task, &s->table, &s->run, err);
    if (rc == 0)
        rc = lake_heal_run(s->r->session->lake, s->table, s->run,
                           run_file(s->run, node->ordinal, &s->scratch, &s->entry, NULL, err), err);
    if (rc < 0)
        return rc;
    struct where_file file = {s->table, s->run, node->number, node->ordinal, &s->entry};
    rc = where_set_file(&s->where, &file, err);
    if (rc == 0)
        rc = govern_where(&s->asker, &s->where, &s->r->task, &s->part, err);
    if (rc < 0)
        return rc;
    rc = govern_object(&s->asker, &s->where, &s->r->task, NULL, NULL);
    if (rc == -EINPROGRESS)
        return rc;
    bool mine = rc == 0;
    s->is_object = true;
    s->size = s->entry.size;
    /* A file that must not be read has attributes all the same, without its object. */
    if (!mine ||
        table_ops(s->table)->locate(table_driver(s->table), &s->entry, &s->object, &s->outside) < 0)
        buf_reset(&s->object.key);
    return 0;
}

/* A directory whose table is refused: the table and the reason. */
static int load_refused(struct subject *s, const struct err *why, struct err *err)
{
    AUTO(buf) struct buf path = {0};
    AUTO(listing) struct listing *listing = NULL;
    char kind;
    buf_init(&path, REGISTRY_NAME_MAX);
    AUTO(buf) struct buf real = {0};
    buf_init(&real, REGISTRY_NAME_MAX);
    int rc = attr_place_of(s->r->session, s->r->ino, &kind, &path, err);
    where_real_path(buf_slice(&path), &real);
    if (rc == 0)
        rc = dir_open(s->r->session->lake, buf_slice(&real), &s->r->task, &s->table, &listing, err);
    if (rc < 0)
        return rc;
    if (!s->table)
        return err_copy(err, why);
    s->where.kind = WHERE_LIVE;
    s->refusal = *why;
    if (!govern_sees_all(&s->asker, s->table)) /* it may name what is hidden */
        (void)err_set(&s->refusal, why->code, "%s", strerror(why->code));
    return 0;
}

int subject_load(struct subject *s, struct err *err)
{
    struct node node = node_of(s->r->ino);
    struct err why = ERR_INIT;
    where_init(&s->where);
    buf_init(&s->scratch, ACTION_BYTES_MAX);
    object_location_init(&s->object);
    int rc = govern_ask(s->r, &s->asker, err);
    if (rc < 0)
        return rc;
    if (node.kind == NODE_FILE)
        return load_file(s, &node, err);
    rc = attr_shown(s->r, &s->asker, &s->where, &s->part, &why);
    if (rc == -EINPROGRESS)
        return rc;
    bool denied = rc == -ENOENT && s->asker.governor;
    if (rc < 0)
        return node.kind == NODE_PLACE && !denied ? load_refused(s, &why, err)
                                                  : err_copy(err, &why);
    s->table = s->where.table;
    if (s->where.kind == WHERE_OBJECT && !s->table) {
        s->is_object = true;
        s->size = s->where.size;
        buf_add_slice(&s->object.key, buf_slice(&s->where.key));
        buf_add_slice(&s->object.etag, buf_slice(&s->where.etag));
    }
    if (s->where.version && s->where.version->snapshot)
        s->shown = &s->where.version->version;
    return 0;
}
