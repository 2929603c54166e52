/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks, and what he is shown of it. */
#include "base/log.h"
#include "fs/govern_private.h"
#include "fs/request.h"
#include "lake/cataloged.h"
#include "lake/key_name.h"
#include "lake/raw.h"

/* Who asks */

void asker_done(struct asker *a)
{
    ruling_unref(a->ruling);
    principal_unref(a->principal);
}

int govern_ask_as(struct session *s, uid_t uid, pid_t pid, struct task *task, struct asker *out,
                  struct err *err)
{
    struct governor *g = s->governor;
    *out = (struct asker){.governor = g, .has_caller = true, .uid = uid, .pid = pid};
    if (!g)
        return 0;
    int rc = 0;
    if (g->fixed)
        out->principal = principal_ref(g->fixed);
    else
        rc = principals_of(g->principals, g->per_uid ? uid : g->uid, task, &out->principal, err);
    if (rc == 0) /* behind what parks: what is asked now is answered by what is in force now */
        out->ruling = governor_ruling(g);
    return rc;
}

int govern_ask(struct request *r, struct asker *out, struct err *err)
{
    *out = (struct asker){.governor = NULL};
    if (!r->session->governor)
        return 0;
    const struct fuse_ctx *caller = fuse_req_ctx(r->req);
    return govern_ask_as(r->session, caller->uid, caller->pid, &r->task, out, err);
}

static const struct grant *decide(const struct asker *a, struct slice path)
{
    return ruling_decide(a->ruling, a->principal, path);
}

/* Denials */

struct denial {
    struct slice table, path;
    unsigned line;
    const char *reason;
};

static int deny(const struct asker *a, const struct denial *d, struct err *err)
{
    const struct audit_event e = {.kind = AUDIT_DENIED,
                                  .principal = a->principal,
                                  .has_caller = a->has_caller,
                                  .uid = a->uid,
                                  .pid = a->pid,
                                  .table = d->table,
                                  .path = d->path,
                                  .line = d->line,
                                  .reason = d->reason ? slice_of(d->reason) : SLICE_NONE};
    if (a->governor->audit)
        (void)audit_add(a->governor->audit, &e, NULL, NULL); /* denied it is in any case */
    return err_set(err, ENOENT, "%.*s is denied", SLICE_FMT(d->path));
}

void govern_add_place(const struct where *w, struct buf *out)
{
    if (w->kind != WHERE_FILE) {
        where_real_path(buf_slice(&w->path), out);
        return;
    }
    buf_add_slice(out, table_path(w->table));
    buf_addf(out, "/%.*s", SLICE_FMT(buf_slice(&w->shown_path)));
}

int govern_deny(const struct asker *a, const struct where *w, unsigned line, const char *reason,
                struct err *err)
{
    AUTO(buf) struct buf path = {0};
    buf_init(&path, (size_t)2 * KEY_BYTES_MAX);
    govern_add_place(w, &path);
    return deny(a,
                &(struct denial){.table = w->table ? table_path(w->table) : SLICE_NONE,
                                 .path = buf_slice(&path),
                                 .line = line,
                                 .reason = reason},
                err);
}

/* Views */

static struct ruling_run run_of(const struct table_version *v)
{
    if (!v || !v->snapshot)
        return (struct ruling_run){NULL, 0};
    struct run *patch = snapshot_patch(v->snapshot);
    return patch ? (struct ruling_run){patch, v->patch_number}
                 : (struct ruling_run){snapshot_base(v->snapshot), v->base_number};
}

/* Once for each grant, table and version. */
static void tell_why(const struct asker *a, const struct table *table, const struct grant *g,
                     const struct err *why)
{
    log_warn("%s: table %.*s, policy line %u: %s", a->governor->mountpoint,
             SLICE_FMT(table_path(table)), grant_line(g), why->msg);
}

/* Who asks by which grant. */
struct claim {
    const struct asker *asker;
    const struct grant *grant;
    struct catalog_answer *answer; /* of the table's catalog; NULL: it requires nothing */
    struct task *task;
    bool only_name; /* a refusal is no matter: whoever looks into it is told of that */
    bool in_list;   /* nor is a denial: nobody has asked for it by name */
};

static int deny_claim(const struct claim *c, const struct where *w, unsigned line,
                      const char *reason, struct err *err)
{
    return c->in_list ? err_set(err, ENOENT, "not listed")
                      : govern_deny(c->asker, w, line, reason, err);
}

/* What a grant that keeps something back leaves of a version. Parks. */
static int make_view(const struct claim *c, const struct where *w, struct ruling_run at,
                     struct shown *out, struct err *err)
{
    const struct asker *a = c->asker;
    const struct grant *g = c->grant;
    AUTO(table_version) struct table_version *live = NULL;
    struct err why = ERR_INIT;
    bool first;
    int rc = table_live(w->table, c->task, &live, err);
    if (rc < 0)
        return rc;
    struct ruling_run today = run_of(live);
    const struct ruling_ask ask = {.grant = g,
                                   .restrictions =
                                       c->answer ? c->answer->table->restrictions : NULL,
                                   .table = w->table,
                                   .at = at.run ? at : today,
                                   .today = today,
                                   .salt = a->governor->salt};
    rc = ruling_view(a->ruling, &ask, &out->view, &out->basis, &first, &why);
    if (rc < 0 && first)
        tell_why(a, w->table, g, &why);
    if (rc == -ENOENT)
        return deny_claim(c, w, grant_line(g), why.msg, err);
    if (ruling_refuses(rc) && !c->only_name)
        (void)govern_deny(a, w, grant_line(g), why.msg, NULL); /* it answers what is wrong */
    if (rc < 0)
        return err_copy(err, &why);
    uint64_t taker = a->governor->per_uid ? a->principal->hash : 0;
    if (out->view->hash) /* else nothing is kept back of this one; its basis stays for later */
        return slots_find(&a->governor->slots, w->table, taker, out, err);
    view_unref(out->view);
    out->view = NULL;
    return 0;
}

/* Tables' own files and their log say more than any view; they may hold columns that no schema of
 * today has, which a catalog keeps back. */
static bool tells_more(const struct claim *c, const struct shown *shown, const struct run *run)
{
    return (c->answer || shown->view) && (raw_is(run) || table_is_changes(run));
}

static int view_of_file(const struct claim *c, struct where *w, struct shown *out, struct err *err)
{
    AUTO(run) struct run *run = NULL;
    struct table *table;
    int rc = lake_run_find(table_lake(w->table), w->run_number, c->task, &table, &run, err);
    if (rc == 0)
        rc = make_view(c, w, (struct ruling_run){run, w->run_number}, out, err);
    if (rc < 0)
        return rc;
    if (tells_more(c, out, run))
        return govern_deny(c->asker, w, out->line, NULL, err);
    if (!out->view)
        return 0;
    if (!shown_has_file(out, buf_slice(&w->shown_path), w->built))
        return govern_deny(c->asker, w, out->line, NULL, err);
    shown_narrow(out, w);
    return 0;
}

static int view_of_dir(const struct claim *c, const struct where *w, struct shown *out,
                       struct err *err)
{
    AUTO(buf) struct buf path = {0};
    struct ruling_run at = run_of(w->version);
    int rc = make_view(c, w, at, out, err);
    if (rc < 0)
        return rc;
    if (at.run && tells_more(c, out, at.run))
        return govern_deny(c->asker, w, out->line, NULL, err);
    if (!out->view)
        return 0;
    if ((w->kind != WHERE_LIVE && w->kind != WHERE_PINNED) || w->dir == SNAPSHOT_ROOT)
        return 0;
    buf_init(&path, KEY_BYTES_MAX);
    rc = where_table_path(w, &path, err);
    buf_add_char(&path, '/');
    if (rc == 0)
        rc = buf_check(&path, err);
    return rc == 0 && !shown_has_dir(out, buf_slice(&path))
               ? govern_deny(c->asker, w, out->line, NULL, err)
               : rc;
}

/* Places */

/* The root's `.tarn`, in which only `prefetch` is. */
static bool is_root_meta(struct slice real)
{
    return slice_is(real, KEY_NAME_META) || slice_starts(real, SLICE_LIT(KEY_NAME_META "/"));
}

int govern_path(const struct asker *a, struct slice place, struct err *err)
{
    AUTO(buf) struct buf path = {0};
    if (!a->governor)
        return 0;
    buf_init(&path, REGISTRY_NAME_MAX);
    where_real_path(place, &path);
    struct slice real = buf_slice(&path);
    bool may =
        !path.failed && (is_root_meta(real) || ruling_reaches(a->ruling, a->principal, real));
    for (size_t end = 0; !may && !path.failed && end <= real.n; end++)
        if (end == real.n || real.p[end] == '/')
            may = decide(a, slice_make(real.p, end)) != NULL;
    return may ? 0 : err_set(err, ENOENT, "%.*s is denied", SLICE_FMT(place));
}

static int where_is_plain(const struct asker *a, const struct where *w, struct slice real,
                          struct shown *out, struct err *err)
{
    if (w->kind == WHERE_DIR)
        return ruling_reaches(a->ruling, a->principal, real) ? 0 : govern_deny(a, w, 0, NULL, err);
    if (w->kind != WHERE_OBJECT)
        return 0; /* the root's .tarn */
    const struct grant *g = ruling_decide_object(a->ruling, a->principal, real, real);
    out->line = g ? grant_line(g) : 0;
    return g && grant_whole(g) ? 0 : govern_deny(a, w, out->line, NULL, err);
}

/* What the table's catalog requires of who reads it, a reference; NULL: nothing. */
static struct catalog_answer *restricting(const struct table *table)
{
    struct cataloged *cataloged = table_cataloged(table);
    AUTO(catalog_answer)
    struct catalog_answer *answer = cataloged ? cataloged_answer(cataloged) : NULL;
    return answer && answer->table->restrictions ? STEAL(answer) : NULL;
}

bool govern_keeps_parts_below(const struct asker *a, const struct table *table)
{
    const struct policy *p = a->governor ? a->ruling->policy : NULL;
    return p && !table_ops(table)->shape && policy_parts_below(p, a->principal, table_path(table));
}

/* The grant that decides of something in it. */
static const struct grant *decide_inside(const struct asker *a, const struct table *table,
                                         struct slice path)
{
    AUTO(buf) struct buf all = {0};
    struct slice place = table_path(table);
    buf_init(&all, REGISTRY_NAME_MAX + KEY_BYTES_MAX);
    buf_addf(&all, "%.*s/%.*s", SLICE_FMT(place), SLICE_FMT(path));
    return all.failed ? NULL
                      : ruling_decide_object(a->ruling, a->principal, place, buf_slice(&all));
}

bool govern_has_path(const struct asker *a, const struct table *table, struct slice path)
{
    const struct grant *g = decide_inside(a, table, path);
    return g && grant_whole(g);
}

/* Something in a table of which no columns are known. What tells of all of its files, and what has
 * them by other names, is not there where some of them are not. */
static int where_of_files(const struct claim *c, const struct where *w, unsigned line,
                          struct err *err)
{
    AUTO(buf) struct buf path = {0};
    int rc = 0;
    if (!govern_keeps_parts_below(c->asker, w->table))
        return 0;
    bool snapshot = w->kind == WHERE_LIVE || w->kind == WHERE_PINNED;
    struct run *run = snapshot ? run_of(w->version).run : NULL;
    if (w->kind == WHERE_DOCUMENT || (run && raw_is(run)))
        return govern_deny(c->asker, w, line, "it tells of all files", err);
    buf_init(&path, KEY_BYTES_MAX);
    if (w->kind == WHERE_FILE)
        buf_add_slice(&path, buf_slice(&w->shown_path));
    else if (snapshot && w->dir != SNAPSHOT_ROOT)
        rc = where_table_path(w, &path, err);
    if (rc == 0)
        rc = buf_check(&path, err);
    if (rc < 0 || !path.len)
        return rc;
    const struct grant *g = decide_inside(c->asker, w->table, buf_slice(&path));
    return g && grant_whole(g) ? 0 : govern_deny(c->asker, w, g ? grant_line(g) : 0, NULL, err);
}

/* What had no log when it was first seen may be a table by now, which the next lookup finds. Parks.
 */
static int look_for_table(const struct claim *c, struct table *table)
{
    AUTO(table_version) struct table_version *live = NULL;
    struct err why = ERR_INIT; /* it is denied, whatever that is */
    if (table_ops(table)->marker)
        return 0;
    int rc = table_live(table, c->task, &live, &why);
    if (rc == -EMEDIUMTYPE)
        lake_retire(table_lake(table), table);
    return rc == -EINPROGRESS ? rc : 0;
}

/* Its log may name another table's for its own; what files that has is not told by it. */
static int log_is_granted(const struct claim *c, const struct where *w, unsigned line,
                          struct err *err)
{
    struct err why = ERR_INIT;
    int rc = govern_log(c->asker, w, c->task, NULL, &why);
    if (rc == -EACCES)
        (void)govern_deny(c->asker, w, line, why.msg, NULL);
    return rc < 0 && rc != -EINPROGRESS ? err_copy(err, &why) : rc;
}

static int where_of_table(struct claim *c, struct where *w, struct shown *out, struct err *err)
{
    const struct grant *g = decide(c->asker, table_path(w->table));
    if (!g)
        return deny_claim(c, w, 0, NULL, err);
    int rc = table_catalog_allows(w->table, c->task, err);
    if (rc < 0)
        return rc;
    AUTO(catalog_answer) struct catalog_answer *answer = restricting(w->table);
    out->line = grant_line(g);
    rc = log_is_granted(c, w, out->line, err);
    if (rc < 0)
        return rc;
    if (grant_whole(g) && !answer)
        return table_ops(w->table)->shape ? 0 : where_of_files(c, w, out->line, err);
    if (!table_ops(w->table)->shape && !c->in_list) {
        rc = look_for_table(c, w->table);
        if (rc < 0)
            return rc;
    }
    if (!table_ops(w->table)->shape) /* nothing in it could be kept back */
        return deny_claim(c, w, out->line, "a format of which no columns are known", err);
    if (!grant_whole(g) && answer)
        return deny_claim(c, w, out->line, "both the policy and its catalog keep parts of it back",
                          err);
    c->grant = g;
    c->answer = answer;
    rc = w->kind == WHERE_FILE ? view_of_file(c, w, out, err) : view_of_dir(c, w, out, err);
    c->answer = NULL;
    return rc;
}

int govern_where(const struct asker *a, struct where *w, struct task *task, struct shown *out,
                 struct err *err)
{
    AUTO(buf) struct buf path = {0};
    struct claim claim = {.asker = a, .task = task};
    if (!a->governor)
        return 0;
    if (w->table)
        return where_of_table(&claim, w, out, err);
    buf_init(&path, REGISTRY_NAME_MAX);
    where_real_path(buf_slice(&w->path), &path);
    int rc = buf_check(&path, err);
    return rc < 0 ? rc : where_is_plain(a, w, buf_slice(&path), out, err);
}

/* What stands behind a directory's name is known only when it is looked into. */
static int look_into(struct claim *c, struct slice place, struct slice real, struct err *err)
{
    const struct asker *a = c->asker;
    AUTO(listing) struct listing *listing = NULL;
    AUTO(shown) struct shown shown = {.view = NULL};
    AUTO(where) struct where inside = {0};
    const struct grant *g = decide(a, real);
    if (g && grant_whole(g))
        return 0;
    struct table *table;
    int rc = dir_open(a->governor->session->lake, real, c->task, &table, &listing, err);
    if (rc < 0)
        return rc;
    if (!table)
        return 0;
    where_init(&inside);
    inside.kind = WHERE_VERSIONS; /* no version of it is meant */
    inside.table = table;
    buf_add_slice(&inside.path, place);
    c->only_name = true;
    rc = where_of_table(c, &inside, &shown, err);
    /* That it is refused is for whoever looks into it to be told. */
    return rc == -ENOENT || rc == -EINPROGRESS ? rc : 0;
}

int govern_entry(const struct asker *a, struct slice place, bool is_dir, struct task *task,
                 struct err *err)
{
    AUTO(buf) struct buf path = {0};
    struct claim claim = {.asker = a, .task = task, .in_list = true};
    buf_init(&path, REGISTRY_NAME_MAX);
    where_real_path(place, &path);
    int rc = buf_check(&path, err);
    if (rc < 0)
        return rc;
    struct slice real = buf_slice(&path);
    if (is_dir && ruling_reaches(a->ruling, a->principal, real)) {
        rc = look_into(&claim, place, real, err);
        return rc == -EINPROGRESS || rc == -ENOENT ? rc
                                                   : 0; /* what cannot be looked into is there */
    }
    const struct object_place o = {real.p ? path.data : "", real.n};
    return !is_dir && ruling_gives_object(a->ruling, a->principal, &o)
               ? 0
               : err_set(err, ENOENT, "not listed");
}

int govern_name(const struct asker *a, const struct where *w, struct task *task, struct err *err)
{
    AUTO(buf) struct buf path = {0};
    if (!a->governor)
        return 0;
    buf_init(&path, REGISTRY_NAME_MAX);
    where_real_path(buf_slice(&w->path), &path);
    int rc = buf_check(&path, err);
    if (rc < 0)
        return rc;
    struct slice real = buf_slice(&path);
    struct claim claim = {.asker = a, .task = task};
    return ruling_reaches(a->ruling, a->principal, real)
               ? look_into(&claim, buf_slice(&w->path), real, err)
               : govern_deny(a, w, 0, NULL, err);
}

bool govern_sees_all(const struct asker *a, const struct table *table)
{
    const struct grant *g = a->governor ? decide(a, table_path(table)) : NULL;
    AUTO(catalog_answer) struct catalog_answer *answer = restricting(table);
    return !answer && (!a->governor || (g && grant_whole(g)));
}
