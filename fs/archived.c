/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/archived.h"

#include "base/log.h"
#include "cache/store/store.h"
#include "fs/attr.h"
#include "fs/opened.h"
#include "fs/ops.h"
#include "fs/sequence.h"
#include "lake/raw.h"

/* What readers of Parquet ask for first. */
#define TAIL_BYTES (64 * KIB)

/* Where the object of a file lies. */
struct place {
    struct object_location at; /* with its store */
    struct buf path;           /* below the mount: pinned, where the table has versions */
    /* Of a file of a table: */
    struct table *table;
    struct run *run;
    struct buf scratch;
    struct entry entry;
};

static void place_init(struct place *p)
{
    *p = (struct place){.table = NULL};
    object_location_init(&p->at);
    buf_init(&p->path, REGISTRY_NAME_MAX + KEY_BYTES_MAX);
    buf_init(&p->scratch, ACTION_BYTES_MAX);
}

static void place_done(struct place *p)
{
    object_location_done(&p->at);
    buf_done(&p->path);
    buf_done(&p->scratch);
    if (p->run)
        run_unref(p->run);
}
DEFINE_AUTO_DONE(place, struct place, place_done)

/* ---- where it is ---- */

/* As user.tarn.path has it. */
static void add_path(const struct table *t, const struct entry *entry, struct buf *out)
{
    buf_add_slice(out, table_path(t));
    if (table_ops(t)->marker)
        buf_addf(out, "@%lld", (long long)entry->version);
    buf_add_char(out, '/');
    buf_add_slice(out, entry->path);
}

static int place_of_file(struct request *r, const struct node *node, struct place *out,
                         struct err *err)
{
    struct table *t;
    if (!lake_run_known(r->session->lake, node->number, &t, &out->run) ||
        node->ordinal >= run_files(out->run))
        return err_set(err, ENOENT, "its table is not at hand");
    int rc = run_file(out->run, node->ordinal, &out->scratch, &out->entry, NULL, err);
    if (rc < 0)
        return rc;
    out->table = t;
    add_path(t, &out->entry, &out->path);
    rc = table_ops(t)->locate(table_driver(t), &out->entry, &out->at, err);
    if (rc == 0 && !out->at.store)
        out->at.store = table_store(t);
    return rc < 0 ? rc : buf_check(&out->path, err);
}

/* Outside of tables: the path is the key, as names of the mount. */
static int place_of_object(struct request *r, struct place *out, struct err *err)
{
    AUTO(where) struct where w = {0};
    where_init(&w);
    int rc = attr_where(r, r->ino, &w, err);
    if (rc == 0 && w.kind != WHERE_OBJECT)
        rc = err_set(err, ENOENT, "not an object");
    if (rc < 0)
        return rc;
    out->at.store = w.home;
    buf_add_slice(&out->at.key, buf_slice(&w.key));
    buf_add_slice(&out->path, buf_slice(&w.path));
    rc = buf_check(&out->path, err);
    return rc < 0 ? rc : object_location_check(&out->at, err);
}

static int place_of(struct request *r, struct place *out, struct err *err)
{
    struct node node = node_of(r->ino);
    return node.kind == NODE_FILE ? place_of_file(r, &node, out, err)
                                  : place_of_object(r, out, err);
}

/* ---- what is with it ---- */

/* A version has no HEAD of its own here: its first byte tells. */
static int ask_version(const struct object_location *at, struct store_info *out, struct err *err)
{
    char byte;
    struct store_get get = {
        .key = at->key.data, .length = 1, .version = at->version.data, .to = &byte};
    int rc = store_get_wait(at->store, &get, err);
    if (rc == 0 || rc == -EREMOTE)
        *out = get.info;
    return rc == -EREMOTE ? 0 : rc;
}

static int ask_object(const struct object_location *at, struct store_info *out, struct err *err)
{
    return at->version.len ? ask_version(at, out, err)
                           : at->store->ops->head(at->store, at->key.data, out, err);
}

/* Each object that a file is read from: its own one first. */
struct walk {
    const struct archived_file *file;
    /* own: false of those that tell deleted rows. Other than 0 ends it. */
    int (*take)(struct walk *w, const struct object_location *at, bool own);
    struct err *err;

    struct store_info info; /* archived_tier */
    bool asked;             /* likewise: it is known of its own object */
    struct buf *names;      /* archived_objects */
    struct request *r;      /* archived_refuse */
    const struct place *place;
    bool refused;
};

static int take_deletes(void *arg, const struct object_location *at)
{
    struct walk *w = arg;
    struct object_location with_store = *at; /* borrows its buffers */
    if (!at->store)
        with_store.store = table_store(w->file->table);
    return w->take(w, &with_store, false);
}

static int walk_objects(struct walk *w)
{
    const struct archived_file *f = w->file;
    int rc = w->take(w, f->at, true);
    if (rc != 0 || !f->table || !(f->entry->flags & ENTRY_DELETES) || raw_is(f->run) ||
        !table_ops(f->table)->locate_deletes)
        return rc;
    return table_ops(f->table)->locate_deletes(table_driver(f->table), f->entry, take_deletes, w,
                                               w->err);
}

static int ask_one(struct walk *w, const struct object_location *at, bool own)
{
    struct store_info info = {0};
    int rc = ask_object(at, &info, own ? w->err : NULL);
    if (rc < 0)
        return own ? rc : 0; /* opening the file tells */
    w->asked = true;
    if (own || info.access != STORE_READABLE)
        w->info = info;
    return info.access != STORE_READABLE;
}

int archived_tier(const struct archived_file *f, struct buf *out, struct err *err)
{
    static const char *const words[] = {
        [STORE_READABLE] = "", [STORE_ARCHIVED] = ",archived", [STORE_RESTORING] = ",restoring"};
    struct walk w = {.file = f, .take = ask_one, .err = err};
    int rc = walk_objects(&w);
    if (rc < 0 && !w.asked) /* what is not known of deletes is told by who opens it */
        return rc;
    buf_addf(out, "%s%s", w.info.class[0] ? w.info.class : "unknown", words[w.info.access]);
    return 0;
}

static int name_one(struct walk *w, const struct object_location *at, bool own)
{
    struct store_info info = {0};
    int rc = ask_object(at, &info, own ? w->err : NULL);
    if (rc < 0 || info.access != STORE_ARCHIVED)
        return own && rc < 0 ? rc : 0;
    if (w->names->len + strlen(at->store->home) + at->key.len + 2 > w->names->max)
        return 1; /* the rest when these are back */
    buf_addf(w->names, "%s/", at->store->home);
    buf_add_slice(w->names, buf_slice(&at->key));
    buf_add_char(w->names, '\0'); /* a key may have any other byte */
    return 0;
}

int archived_objects(const struct archived_file *f, struct buf *out, struct err *err)
{
    struct walk w = {.file = f, .take = name_one, .err = err, .names = out};
    int rc = walk_objects(&w);
    return out->len ? 0 : rc < 0 ? rc : -ENODATA;
}

static struct archived_file file_of(const struct place *p)
{
    return (struct archived_file){p->table, p->run, &p->entry, &p->at};
}

/* ---- what to do about it ---- */

static int set_refusal(struct request *r, const struct place *p, const char *how,
                       const char *option, struct err *err)
{
    r->probing = PROBE_REFUSED;
    return err_set(err, EREMOTE, "%s: %s; `tarn recall %s%s/%s` %s", p->path.data, how, option,
                   r->session->mountpoint, p->path.data,
                   option[0] ? "waits for it" : "has it restored");
}

/* The mount restores what is opened: begins, and says so. */
static int recall(struct request *r, const struct place *p, const struct object_location *at,
                  const struct store_info *info, struct err *err)
{
    const struct session_config *config = &r->session->config;
    struct err why = ERR_INIT;
    struct store_restore how = config->recall;
    how.class = info->class;
    how.version = at->version.len ? at->version.data : NULL;
    int rc = at->store->ops->restore(at->store, at->key.data, &how, &why);
    r->probing = PROBE_REFUSED;
    if (rc < 0 && rc != -EALREADY)
        return err_set(err, EREMOTE, "%s: archived (%s), and cannot be restored: %s", p->path.data,
                       info->class, why.msg);
    if (rc == 0)
        log_info("%s: %s: archived (%s), is being restored from now on", r->session->mountpoint,
                 p->path.data, info->class);
    return set_refusal(r, p, "archived, and being restored", "--wait ", err);
}

/* What the store has said of the file's object, or of one that tells its deleted rows. */
static int refuse(struct request *r, const struct place *p, const struct object_location *at,
                  const struct store_info *info, struct err *err)
{
    char how[STORE_CLASS_BYTES_MAX + 300], whose[200] = "";
    const char *class = info->class;
    if (at != &p->at)
        (void)snprintf(whose, sizeof whose, "its deleted rows are told by %.150s, which is ",
                       at->key.data); /* may be cut */
    if (info->access != STORE_RESTORING && r->session->config.recalls)
        return recall(r, p, at, info, err);
    if (info->access == STORE_RESTORING)
        (void)snprintf(how, sizeof how, "%sarchived, and being restored", whose); /* it fits */
    else
        (void)snprintf(how, sizeof how, "%sarchived%s%s%s", whose, class[0] ? " (" : "", class,
                       class[0] ? ")" : ""); /* it fits */
    return set_refusal(r, p, how, info->access == STORE_RESTORING ? "--wait " : "", err);
}

/* A mount that restores what is opened goes on to what else it takes. */
static int refuse_one(struct walk *w, const struct object_location *at, bool own)
{
    struct store_info info = {0};
    struct err why = ERR_INIT;
    int rc = ask_object(at, &info, &why);
    if (rc < 0 || info.access == STORE_READABLE || !at->store->ops->restore)
        return own && rc < 0 ? rc : 0;
    w->refused = true;
    (void)refuse(w->r, w->place, own ? &w->place->at : at, &info, w->err);
    return !w->r->session->config.recalls;
}

int archived_refuse(struct request *r, struct err *err)
{
    AUTO(place) struct place p;
    struct err why = ERR_INIT;
    place_init(&p);
    if (r->probing == PROBE_REFUSED)
        return -EREMOTE; /* all is said */
    int rc = task_to_worker(&r->task, r->session->config.lake.workers);
    if (rc < 0)
        return rc;
    rc = place_of(r, &p, &why);
    if (rc == -EINPROGRESS)
        return rc;
    const struct archived_file file = file_of(&p);
    struct walk w = {.file = &file, .take = refuse_one, .err = &why, .r = r, .place = &p};
    if (rc == 0)
        (void)walk_objects(&w); /* readable: the error names the object that it needs */
    if (w.refused)
        (void)err_copy(err, &why);
    return -EREMOTE;
}

void archived_tell(struct request *r, struct err *err)
{
    AUTO(place) struct place p;
    struct node node = node_of(r->ino);
    struct err said = *err;
    place_init(&p);
    if (r->op == op_read && node.kind == NODE_FILE && place_of_file(r, &node, &p, NULL) == 0)
        (void)set_refusal(r, &p, "archived since it was opened", "", err);
    else
        (void)err_set(err, EREMOTE, "%.400s; `tarn recall` of the table's path has it restored",
                      said.msg);
}

/* ---- before an open ---- */

static void probe_done(struct object_read *read)
{
    struct request *r = CONTAINER_OF(read, struct request, read);
    r->probing = PROBE_DONE;
    r->task.on_worker = true;
    workers_submit(r->session->config.lake.workers, &r->task.job);
}

/* Fetches what the reader asks for next; one byte of it has to come. */
static int probe(struct request *r, struct object *o, struct err *err)
{
    if (r->probing == PROBE_NONE) {
        bool parquet = slice_ends(slice_of(object_key(o)), SLICE_LIT(".parquet"));
        uint64_t size = object_size(o);
        if (!r->object)
            r->object = object_ref(o); /* an interrupted open may end before */
        r->probing = PROBE_UNDER_WAY;
        r->read =
            (struct object_read){.offset = parquet && size > TAIL_BYTES ? size - TAIL_BYTES : 0,
                                 .length = 1,
                                 .to = &r->probed,
                                 .fetch_bytes = parquet ? 2 * GRANULE_BYTES : SEQUENCE_FIRST,
                                 .done = probe_done};
        int rc = object_read(o, &r->read, err);
        if (rc < 0)
            return rc;
        r->probing = PROBE_DONE;
    }
    if (r->probing == PROBE_DONE && r->read.rc == -EREMOTE)
        return err_copy(err, &r->read.err);
    r->probing = PROBE_PASSED;
    return 0;
}

/* It was archived when it was last asked for. */
static int ask_again(struct request *r, struct object *o, struct err *err)
{
    AUTO(place) struct place p;
    struct store_info info = {0};
    place_init(&p);
    int rc = task_to_worker(&r->task, r->session->config.lake.workers);
    if (rc == 0)
        rc = place_of(r, &p, err);
    if (rc == 0)
        rc = ask_object(&p.at, &info, err);
    if (rc == 0 && info.access != STORE_READABLE)
        return refuse(r, &p, &p.at, &info, err);
    if (rc == 0)
        object_told_readable(o);
    return rc < 0 && rc != -EINPROGRESS ? probe(r, o, err) : rc;
}

int archived_open(struct request *r, struct opened *h, bool fills, struct err *err)
{
    struct object *o = h->object;
    if (!h->store->ops->restore || object_is_sealed(o) || object_size(o) == 0)
        return 0;
    enum object_access access = object_access(o);
    if (access == OBJECT_ARCHIVED)
        return ask_again(r, o, err);
    /* Of a presented file the plan has been made of the object's end, or is kept. */
    if (access == OBJECT_CAME || h->readable || h->recipe || fills)
        return 0;
    return probe(r, o, err);
}
