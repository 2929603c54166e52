/* SPDX-License-Identifier: Apache-2.0 */
/* What `tarn recall` asks the daemon for. */
#include <stdlib.h>
#include <sys/xattr.h>

#include "base/text.h"
#include "tools/daemon_recall.h"
#include "tools/recall.h"

#define VALUE_BYTES_MAX (64 * KIB) /* of an attribute */

/* ---- tables whose logs are archived ---- */

/* The table that a path is in, which may be refused, or a version of it, which may not be found. */
static bool table_of(const char *path, char at[PATH_MAX], char table[PATH_MAX])
{
    struct slice rest = slice_of(path);
    while (rest.n && rest.n < PATH_MAX) {
        memcpy(at, rest.p, rest.n);
        at[rest.n] = '\0';
        ssize_t n = getxattr(at, "user.tarn.table", table, PATH_MAX - 1);
        if (n > 0) {
            table[n] = '\0';
            return true;
        }
        const char *mark = strrchr(at, '@');
        struct slice above = text_dirname(rest);
        rest = mark && !strchr(mark, '/') ? slice_make(path, (size_t)(mark - at)) : above;
    }
    return false;
}

static void told_log(void *arg, size_t object, int rc, const char *why)
{
    struct recall *c = arg;
    (void)object;
    c->log_objects++;
    if (rc < 0 && rc != -EALREADY) {
        progress_say(&c->progress, "%s", why);
        c->failures++; /* one thread */
    }
}

int recall_ask_logs(struct recall *c, struct err *err)
{
    char at[PATH_MAX], table[PATH_MAX];
    struct recall_mount mount;
    const struct recall_listener listener = {told_log, c};
    int rc = 0;
    c->log_objects = 0;
    for (size_t i = 0; rc == 0 && i < c->refused.n; i++) {
        const char *path = c->refused.at[i];
        if (!table_of(path, at, table))
            rc = err_set(err, EREMOTE, "%s: archived, and in no table", path);
        if (rc == 0)
            rc = recall_mount_of(at, &mount, err);
        if (rc == 0)
            rc = c->check ? 0 : recall_log(&mount, table, &c->how, &listener, err);
        if (rc == 0 && (c->check || !c->wait))
            progress_say(&c->progress, "%s: its log is archived%s", path,
                         c->check ? ""
                                  : ", and asked for: the same command goes on when it is back");
    }
    return rc;
}

/* ---- files ---- */

/* Files of one mount, and their objects that are asked for by one request. */
struct batch {
    struct recall *recall;
    size_t files_n, files[RECALL_OBJECTS_MAX];
    size_t n, owners[RECALL_OBJECTS_MAX]; /* files, each of the object beside it */
    char *objects[RECALL_OBJECTS_MAX];
    char names[VALUE_BYTES_MAX];
};

static void told_object(void *arg, size_t object, int rc, const char *why)
{
    const struct batch *b = arg;
    struct recall *c = b->recall;
    if (object >= b->n)
        return; /* more than was asked for */
    struct recall_state *s = &c->states[b->owners[object]];
    bool failed = rc < 0 && rc != -EALREADY;
    s->failed = s->failed || failed;
    s->begun = s->begun || rc == 0;
    if (failed)
        progress_say(&c->progress, "%s", why);
    if (!s->failed)
        s->access = STORE_RESTORING;
}

static void send_objects(struct batch *b)
{
    struct recall *c = b->recall;
    const struct recall_listener listener = {told_object, b};
    struct err err = ERR_INIT;
    if (b->n == 0)
        return;
    const struct recall_mount *m = &c->mounts[c->list.files.at[b->owners[0]].path];
    if (recall_objects(m, (const char *const *)b->objects, b->n, &c->how, &listener, &err) < 0) {
        progress_say(&c->progress, "%s", err.msg);
        for (size_t i = 0; i < b->n; i++)
            if (c->states[b->owners[i]].access == STORE_ARCHIVED)
                c->states[b->owners[i]].failed = true;
    }
    for (size_t i = 0; i < b->n; i++)
        free(b->objects[i]);
    b->n = 0;
}

/* Deleted rows of several files are told by one object: it is asked for once. */
static bool is_asked_for(const struct batch *b, const char *object)
{
    for (size_t i = 0; i < b->n; i++)
        if (strcmp(b->objects[i], object) == 0)
            return true;
    return false;
}

static void add_object(struct batch *b, size_t file, const char *object)
{
    struct recall *c = b->recall;
    if (is_asked_for(b, object)) {
        c->states[file].access = STORE_RESTORING;
        return;
    }
    if (b->n == RECALL_OBJECTS_MAX)
        send_objects(b);
    b->objects[b->n] = strdup(object);
    if (b->objects[b->n]) {
        b->owners[b->n++] = file;
        return;
    }
    c->states[file].failed = true;
    progress_say(&c->progress, "out of memory");
}

/* What of its object and of those that tell its deleted rows is archived. */
static void add_to_batch(struct batch *b, size_t file)
{
    struct recall *c = b->recall;
    char path[PATH_MAX];
    ssize_t n = -1, told = -1;
    if (warm_file_path(&c->list.files.at[file], path) == 0) {
        n = getxattr(path, "user.tarn.archived", b->names, sizeof b->names - 1);
        told = n > 0 ? n : getxattr(path, "user.tarn.object", NULL, 0);
    }
    if (told <= 0) {
        c->states[file].failed = true;
        progress_say(&c->progress, "%s: its object is not told", path);
        return;
    }
    if (n <= 0) { /* somebody else has asked for it meanwhile: that is looked at again */
        c->states[file].access = STORE_RESTORING;
        return;
    }
    b->names[n] = '\0';
    for (char *object = b->names; object < b->names + n; object += strlen(object) + 1)
        add_object(b, file, object);
}

/* The next files that are archived, of one path: they are in one mount. */
static void take_batch(struct batch *b)
{
    struct recall *c = b->recall;
    bool full = false;
    b->files_n = 0;
    WITH_LOCK (&c->lock) {
        while (!full && c->taken < c->list.files.n) {
            size_t i = c->taken;
            const struct warm_file *f = &c->list.files.at[i];
            bool wanted =
                !f->again && c->states[i].access == STORE_ARCHIVED && !c->states[i].failed;
            full = wanted && (b->files_n == RECALL_OBJECTS_MAX ||
                              (b->files_n && f->path != c->list.files.at[b->files[0]].path));
            if (wanted && !full)
                b->files[b->files_n++] = i;
            c->taken += !full;
        }
    }
}

void recall_restore(void *arg)
{
    struct recall *c = arg;
    struct batch *b = calloc(1, sizeof *b);
    if (!b) {
        progress_say(&c->progress, "out of memory");
        WITH_LOCK (&c->lock)
            c->failures++;
        return;
    }
    b->recall = c;
    for (take_batch(b); b->files_n; take_batch(b)) {
        for (size_t i = 0; i < b->files_n; i++)
            add_to_batch(b, b->files[i]);
        send_objects(b);
    }
    free(b);
}
