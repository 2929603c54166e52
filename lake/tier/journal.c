/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/journal.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/instant.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/vec.h"

/* An object that is tagged. Its texts follow it. */
struct tagged {
    struct journal_entry entry;
    struct slice name; /* URL, line feed, key */
    bool named;
};

struct journal {
    int fd;
    char *path;
    atomic_bool torn; /* its last line may lack its end */
    struct lock lock;
    struct map tagged; /* lock; name -> struct tagged, whose own it is */
};

#define ENTRY_BYTES_MAX (16 * KIB)

/* ---- what is tagged ---- */

static void add_name(struct buf *out, const char *store, const char *key)
{
    buf_addf(out, "%s\n%s", store, key);
}

static const char *put_text(char **at, const char *text)
{
    size_t n = strlen(text) + 1;
    char *to = memcpy(*at, text, n);
    *at += n;
    return to;
}

static struct tagged *tagged_new(const struct journal_entry *e)
{
    size_t store = strlen(e->store), key = strlen(e->key);
    size_t texts = store + 1 + key + 1 + strlen(e->etag) + strlen(e->from) + strlen(e->to) + 3;
    struct tagged *t = malloc(sizeof *t + texts + store + 1 + key + 1);
    if (!t)
        return NULL;
    char *at = (char *)(t + 1);
    t->named = true; /* who tags it was told so by a plan */
    t->entry = (struct journal_entry){.did = "tag", .size = e->size};
    t->name = slice_make(at, store + 1 + key);
    at += snprintf(at, store + 1 + key + 1, "%s\n%s", e->store, e->key) + 1; /* it fits */
    t->entry.store = put_text(&at, e->store);
    t->entry.key = put_text(&at, e->key);
    t->entry.etag = put_text(&at, e->etag);
    t->entry.from = put_text(&at, e->from);
    t->entry.to = put_text(&at, e->to);
    return t;
}

/* What a line makes of it. */
static int remember(struct journal *j, const struct journal_entry *e, struct err *err)
{
    AUTO(buf) struct buf name = {0};
    int rc = 0;
    buf_init(&name, ENTRY_BYTES_MAX);
    add_name(&name, e->store, e->key);
    rc = buf_check(&name, err);
    struct tagged *now = rc == 0 && strcmp(e->did, "tag") == 0 ? tagged_new(e) : NULL;
    if (rc < 0)
        return rc;
    WITH_LOCK (&j->lock) {
        struct tagged *before = map_remove(&j->tagged, buf_slice(&name));
        if (now)
            rc = map_put(&j->tagged, now->name, now);
        if (now && before)
            now->named = before->named;
        free(before);
    }
    if (strcmp(e->did, "tag") == 0 && !now)
        return err_set(err, ENOMEM, "out of memory");
    if (rc < 0) {
        free(now);
        return err_set(err, -rc, "%s: over %zu objects wait for the lifecycle", j->path,
                       TIER_JOURNAL_MAX);
    }
    return 0;
}

/* ---- lines ---- */

/* The texts of a line that is read. */
struct line {
    char did[16], store[URL_BYTES_MAX], key[KEY_BYTES_MAX + 1], etag[ETAG_BYTES_MAX];
    char from[STORE_CLASS_BYTES_MAX], to[STORE_CLASS_BYTES_MAX];
    int64_t size;
};

static bool read_member(struct json *j, struct slice key, struct buf *scratch, struct line *l)
{
    const struct {
        const char *name;
        char *to;
        size_t room;
    } texts[] = {{"did", l->did, sizeof l->did},    {"store", l->store, sizeof l->store},
                 {"key", l->key, sizeof l->key},    {"etag", l->etag, sizeof l->etag},
                 {"from", l->from, sizeof l->from}, {"to", l->to, sizeof l->to}};
    struct slice text;
    if (slice_is(key, "size"))
        return json_int64(j, &l->size) && l->size >= 0;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (!slice_is(key, texts[i].name))
            continue;
        if (!json_string(j, scratch, &text) || text.n >= texts[i].room)
            return false;
        memcpy(texts[i].to, text.p, text.n);
        texts[i].to[text.n] = '\0';
        return true;
    }
    return json_skip(j, NULL);
}

static bool is_did(const char *did)
{
    return strcmp(did, "class") == 0 || strcmp(did, "tag") == 0 || strcmp(did, "untag") == 0 ||
           strcmp(did, "settled") == 0;
}

static bool read_line(struct slice text, struct line *l)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice key;
    bool ok = true;
    buf_init(&scratch, ENTRY_BYTES_MAX);
    *l = (struct line){.did = ""};
    json_init(&j, text);
    if (!json_enter_object(&j))
        return false;
    while (ok && json_next_key(&j, &key))
        ok = read_member(&j, key, &scratch, l);
    return ok && !json_failed(&j) && json_at_end(&j) && is_did(l->did) && l->store[0] && l->key[0];
}

/* Reads what is there; a last line without an end is none. */
static int read_all(struct journal *j, struct err *err)
{
    AUTO_FREE struct line *l = malloc(sizeof *l);
    AUTO_FREE char *text = NULL;
    size_t room = 0;
    unsigned long number = 0;
    int fd = dup(j->fd);
    FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
    int rc = !l || !f ? err_set(err, errno, "%s: %s", j->path, strerror(errno)) : 0;
    ssize_t n = 0;
    while (rc == 0 && (n = getline(&text, &room, f)) > 0) {
        struct slice line = slice_make(text, (size_t)n - 1);
        number++;
        if (text[n - 1] != '\n')
            rc = write(j->fd, "\n", 1) == 1
                     ? 0
                     : err_set(err, errno, "%s: %s", j->path, strerror(errno));
        else if (line.n && read_line(line, l))
            rc = remember(j,
                          &(struct journal_entry){l->did, l->store, l->key, (uint64_t)l->size,
                                                  l->etag, l->from, l->to},
                          err);
        else if (line.n && line.p[0] != '{') /* half a line that a later run ended is passed over */
            rc = err_set(err, EINVAL, "%s:%lu: no line of a journal", j->path, number);
    }
    if (f)
        (void)fclose(f); /* was read only */
    else if (fd >= 0)
        (void)close(fd);
    return rc;
}

int journal_open(const char *path, struct journal **out, struct err *err)
{
    AUTO(journal) struct journal *j = calloc(1, sizeof *j);
    if (!j)
        return err_set(err, ENOMEM, "out of memory");
    lock_init(&j->lock);
    map_init(&j->tagged, TIER_JOURNAL_MAX);
    j->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    j->path = strdup(path);
    if (j->fd < 0 || !j->path)
        return err_set(err, errno, "journal %s: %s", path, strerror(errno));
    if (flock(j->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? err_set(err, EBUSY, "%s: another run writes it", path)
                                    : err_set(err, errno, "%s: %s", path, strerror(errno));
    int rc = read_all(j, err);
    if (rc == 0)
        *out = STEAL(j);
    return rc;
}

void journal_close(struct journal *j)
{
    const struct map_entry *e;
    size_t at = 0;
    if (!j)
        return;
    while ((e = map_next(&j->tagged, &at)))
        free(e->value);
    map_done(&j->tagged);
    if (j->fd >= 0)
        (void)close(j->fd); /* each line was written at once */
    free(j->path);
    lock_done(&j->lock);
    free(j);
}

static void add_member(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, ",\"%s\":", name);
    buf_add_json(out, slice_of(value));
}

/* The last line about it says so already. */
static bool is_told(struct journal *j, const struct journal_entry *e)
{
    AUTO(buf) struct buf name = {0};
    bool told = false;
    buf_init(&name, ENTRY_BYTES_MAX);
    add_name(&name, e->store, e->key);
    WITH_LOCK (&j->lock) {
        const struct tagged *t = map_find(&j->tagged, buf_slice(&name));
        told = t && strcmp(t->entry.to, e->to) == 0 && strcmp(t->entry.etag, e->etag) == 0;
    }
    return told;
}

int journal_add(struct journal *j, const struct journal_entry *e, struct err *err)
{
    AUTO(buf) struct buf line = {0};
    buf_init(&line, ENTRY_BYTES_MAX);
    if (strcmp(e->did, "tag") == 0 && is_told(j, e))
        return 0;
    buf_add_str(&line, j->torn ? "\n{\"time\":\"" : "{\"time\":\"");
    instant_format(&line, clock_real_ms());
    buf_add_str(&line, "\"");
    add_member(&line, "did", e->did);
    add_member(&line, "store", e->store);
    add_member(&line, "key", e->key);
    buf_addf(&line, ",\"size\":%llu", (unsigned long long)e->size);
    add_member(&line, "etag", e->etag);
    add_member(&line, "from", e->from);
    add_member(&line, "to", e->to);
    buf_add_str(&line, "}\n");
    int rc = buf_check(&line, err);
    if (rc < 0)
        return rc;
    ssize_t n = write(j->fd, line.data, line.len);
    if (n != (ssize_t)line.len) {
        j->torn = true;
        int code = n < 0 ? errno : ENOSPC;
        return err_set(err, code, "%s: %s", j->path, strerror(code));
    }
    return remember(j, e, err);
}

/* ---- what a plan names ---- */

void journal_begin(struct journal *j)
{
    const struct map_entry *e;
    size_t at = 0;
    WITH_LOCK (&j->lock)
        while ((e = map_next(&j->tagged, &at)))
            ((struct tagged *)e->value)->named = false;
}

void journal_name(struct journal *j, const char *store, const char *key)
{
    AUTO(buf) struct buf name = {0};
    buf_init(&name, ENTRY_BYTES_MAX);
    add_name(&name, store, key);
    WITH_LOCK (&j->lock) {
        struct tagged *t = map_find(&j->tagged, buf_slice(&name));
        if (t)
            t->named = true;
    }
}

int journal_unnamed(struct journal *j,
                    int (*each)(void *arg, const struct journal_entry *entry, struct err *err),
                    void *arg, struct err *err)
{
    VEC(struct tagged *) found = VEC_MAX(TIER_JOURNAL_MAX);
    const struct map_entry *e;
    size_t at = 0;
    int rc = 0;
    WITH_LOCK (&j->lock)
        while (rc == 0 && (e = map_next(&j->tagged, &at)))
            if (!((struct tagged *)e->value)->named)
                rc = vec_push(&found, (struct tagged *)e->value);
    if (rc < 0)
        (void)err_set(err, -rc, "out of memory");
    size_t n = rc == 0 ? found.n : 0;
    for (size_t i = 0; i < n; i++) { /* one that fails does not keep the others */
        struct err why = ERR_INIT;
        /* A line about it takes it out of the map: what is called works on a copy. */
        AUTO_FREE struct tagged *copy = tagged_new(&found.at[i]->entry);
        int one = copy ? each(arg, &copy->entry, &why) : err_set(&why, ENOMEM, "out of memory");
        if (one < 0 && rc == 0)
            rc = err_copy(err, &why);
    }
    vec_done(&found);
    return rc;
}
