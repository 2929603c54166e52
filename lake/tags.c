/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tags.h"

#include "base/instant.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/vec.h"
#include "lake/ref.h"

#define DIRECTORY "_tarn/tags/"
#define NAME_MAX_BYTES 200
#define TAGS_MAX 4096
#define LISTED_MAX ((size_t)1 << 20) /* objects, of all generations */
#define OBJECT_BYTES (64 * KIB)
#define DIGITS 20
#define ENDING ".json"

struct tags *tags_ref(struct tags *t)
{
    t->refs++;
    return t;
}

void tags_unref(struct tags *t)
{
    if (!t || --t->refs != 0)
        return;
    vec_done(t);
    arena_done(&t->arena);
    free(t);
}

/* names */

bool tag_name_valid(struct slice name)
{
    struct ref ref;
    if (name.n == 0 || name.n > NAME_MAX_BYTES || !utf8_valid(name) || name.p[0] == '.' ||
        name.p[0] == '-' || memmem(name.p, name.n, "..", 2))
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f)
            return false;
    return ref_parse(name, true, &ref) && ref.kind == REF_NAME && slice_eq(ref.name, name);
}

void tag_name_format(struct buf *out, struct slice name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '/' || c == '@' || c == '%')
            buf_addf(out, "%%%02X", (unsigned char)c);
        else
            buf_add_char(out, c);
    }
}

bool tag_name_parse(struct buf *out, struct slice text)
{
    size_t before = out->len;
    text_percent_decode(out, text);
    return !out->failed && tag_name_valid(slice_from(buf_slice(out), before));
}

bool tags_parse_key(struct slice file, struct buf *name, uint64_t *generation)
{
    size_t behind = 1 + DIGITS + sizeof ENDING - 1;
    if (file.n <= behind || !slice_ends(file, SLICE_LIT(ENDING)) ||
        file.p[file.n - behind] != '.' ||
        !text_parse_u64(slice_make(file.p + file.n - behind + 1, DIGITS), INT64_MAX, generation))
        return false;
    return tag_name_parse(name, slice_make(file.p, file.n - behind));
}

bool tags_parse_object(struct slice text, int64_t *version)
{
    struct json j;
    struct slice key;
    bool found = false;
    json_init(&j, text);
    bool ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key)) {
        if (!slice_is(key, "version")) {
            ok = json_skip(&j, NULL);
        } else if (json_null(&j)) {
            *version = -1;
            found = true;
        } else {
            ok = found = json_int64(&j, version) && *version >= 0;
        }
    }
    return found && !json_failed(&j);
}

/* reading */

/* The newest object of each name, as it is listed. */
struct collecting {
    struct tags *tags;
    size_t skip; /* of the key: the directory */
    size_t listed;
    struct buf name;
    struct err *err;
};

static int by_name(const void *a, const void *b)
{
    const struct tag *x = a, *y = b;
    int c = slice_cmp(x->name, y->name);
    if (c == 0)
        c = x->shared - y->shared;
    return c ? c : (x->generation < y->generation) - (x->generation > y->generation);
}

static int add(struct tags *t, const struct tag *tag, struct err *err)
{
    struct tag own = *tag;
    own.name = arena_slice(&t->arena, tag->name);
    int rc = own.name.p ? vec_push(t, own) : -ENOMEM;
    return rc < 0 ? err_set(err, -rc, "no room for more tags") : 0;
}

static int collect_local(void *arg, struct slice name, const struct local_tag *local)
{
    struct collecting *c = arg;
    struct tag tag = {.name = name, .version = local->version, .time_ms = local->time_ms};
    return add(c->tags, &tag, c->err);
}

static int collect_shared(void *arg, const struct store_entry *e)
{
    struct collecting *c = arg;
    struct tag tag = {.shared = true, .version = -1};
    buf_reset(&c->name);
    if (++c->listed > LISTED_MAX)
        return err_set(c->err, EOVERFLOW, "more than %zu objects in " DIRECTORY, LISTED_MAX);
    if (e->is_prefix || e->key.n <= c->skip || e->size > OBJECT_BYTES ||
        !tags_parse_key(slice_from(e->key, c->skip), &c->name, &tag.generation))
        return 0;
    tag.name = buf_slice(&c->name);
    return add(c->tags, &tag, c->err);
}

/* Of a name only the newest object is left, the local one before it. */
static void keep_newest(struct tags *t)
{
    size_t kept = 0;
    if (t->n)
        qsort(t->at, t->n, sizeof t->at[0], by_name);
    for (size_t i = 0; i < t->n; i++) {
        struct tag *last = kept ? &t->at[kept - 1] : NULL;
        bool same = last && slice_eq(last->name, t->at[i].name);
        if (same && last->shared)
            continue;
        t->at[kept] = t->at[i];
        t->at[kept++].hidden = same;
    }
    t->n = kept;
}

static void format_key(struct buf *out, const char *prefix, struct slice name, uint64_t generation)
{
    buf_reset(out);
    buf_addf(out, "%s" DIRECTORY, prefix);
    text_percent_encode(out, name, "");
    buf_addf(out, ".%020llu" ENDING, (unsigned long long)generation);
}

/* The version that a shared tag's object says; -1 where it was taken away, or says nothing. */
static int read_shared(const struct tags_place *place, struct tag *tag, struct err *err)
{
    AUTO(buf) struct buf key = {0}, text = {0};
    buf_init(&key, KEY_BYTES_MAX);
    buf_init(&text, OBJECT_BYTES);
    format_key(&key, place->prefix, tag->name, tag->generation);
    int rc = buf_check(&key, err);
    if (rc == 0)
        rc = store_read(place->store, key.data, &text, NULL, err);
    if (rc == 0 && !tags_parse_object(buf_slice(&text), &tag->version))
        tag->version = -1;
    return rc == -ENOENT ? 0 : rc;
}

static const struct tag *find_shared(const struct tags *t, const struct tag *like)
{
    for (size_t i = 0; t && i < t->n; i++)
        if (t->at[i].shared && t->at[i].generation == like->generation &&
            slice_eq(t->at[i].name, like->name))
            return &t->at[i];
    return NULL;
}

/* Reads what is not known, and drops what was taken away. */
static int read_versions(const struct tags_place *place, const struct tags *previous,
                         struct tags *t, struct err *err)
{
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < t->n; i++) {
        struct tag tag = t->at[i];
        const struct tag *known = tag.shared ? find_shared(previous, &tag) : NULL;
        if (known)
            tag.version = known->version;
        else if (tag.shared)
            rc = read_shared(place, &tag, err);
        if (tag.version >= 0)
            t->at[kept++] = tag;
    }
    t->n = kept;
    if (rc == 0 && t->n > TAGS_MAX)
        rc = err_set(err, EOVERFLOW, "more than %d tags", TAGS_MAX);
    return rc;
}

static int list_shared(const struct tags_place *place, struct collecting *c)
{
    AUTO(buf) struct buf prefix = {0};
    buf_init(&prefix, KEY_BYTES_MAX);
    buf_addf(&prefix, "%s" DIRECTORY, place->prefix);
    struct store_list req = {.prefix = prefix.data, .emit = collect_shared, .arg = c};
    c->skip = prefix.len;
    int rc = buf_check(&prefix, c->err);
    return rc < 0 ? rc : place->store->ops->list(place->store, &req, c->err);
}

int tags_load(const struct tags_place *place, const struct tags *previous, struct tags **out,
              struct err *err)
{
    AUTO(tags) struct tags *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(err, ENOMEM, "out of memory");
    t->refs = 1;
    t->max = LISTED_MAX;
    arena_init(&t->arena, LISTED_MAX * 64);
    struct collecting c = {.tags = t, .err = err};
    buf_init(&c.name, KEY_BYTES_MAX);
    int rc =
        place->local ? local_tags_each(place->local, place->table_id, collect_local, &c, err) : 0;
    if (rc == 0)
        rc = list_shared(place, &c);
    buf_done(&c.name);
    if (rc < 0)
        return rc;
    keep_newest(t);
    rc = read_versions(place, previous, t, err);
    if (rc == 0)
        *out = STEAL(t);
    return rc;
}

const struct tag *tags_find(const struct tags *t, struct slice name)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (slice_cmp(t->at[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->n && slice_eq(t->at[low].name, name) ? &t->at[low] : NULL;
}

/* changing */

static int change_local(const struct tags_place *place, const struct tag_change *c, struct err *err)
{
    struct local_tag tag = {c->version, c->time_ms, c->now_ms};
    if (!place->local)
        return err_set(err, EROFS, "the cache directory keeps no tags");
    return c->version < 0
               ? local_tags_remove(place->local, place->table_id, c->name, err)
               : local_tags_set(place->local, place->table_id, c->name, &tag, c->replace, err);
}

struct newest {
    struct slice name;
    size_t skip;
    uint64_t generation; /* 0: there is none */
    struct buf scratch;
};

static int find_newest(void *arg, const struct store_entry *e)
{
    struct newest *n = arg;
    uint64_t generation;
    buf_reset(&n->scratch);
    if (!e->is_prefix && e->key.n > n->skip &&
        tags_parse_key(slice_from(e->key, n->skip), &n->scratch, &generation) &&
        slice_eq(buf_slice(&n->scratch), n->name) && generation > n->generation)
        n->generation = generation;
    return 0;
}

static void format_object(struct buf *out, const struct tag_change *c)
{
    buf_add_str(out, "{\"tag\":");
    buf_add_json(out, c->name);
    if (c->version < 0)
        buf_add_str(out, ",\"version\":null,\"set\":\"");
    else
        buf_addf(out, ",\"version\":%lld,\"set\":\"", (long long)c->version);
    instant_format(out, c->now_ms);
    buf_add_str(out, "\",\"by\":");
    buf_add_json(out, c->by);
    buf_add_str(out, "}\n");
}

static int change_shared(const struct tags_place *place, const struct tag_change *c,
                         struct err *err)
{
    AUTO(buf) struct buf key = {0}, text = {0};
    struct tag tag = {.name = c->name, .version = -1};
    struct newest n = {.name = c->name};
    buf_init(&key, KEY_BYTES_MAX);
    buf_init(&text, OBJECT_BYTES);
    buf_init(&n.scratch, KEY_BYTES_MAX);
    buf_addf(&key, "%s" DIRECTORY, place->prefix);
    n.skip = key.len;
    struct store_list req = {.prefix = key.data, .emit = find_newest, .arg = &n};
    int rc = buf_check(&key, err);
    if (rc == 0)
        rc = place->store->ops->list(place->store, &req, err);
    buf_done(&n.scratch);
    tag.generation = n.generation;
    if (rc == 0 && n.generation)
        rc = read_shared(place, &tag, err);
    if (rc < 0)
        return rc;
    if (c->version < 0 && tag.version < 0)
        return err_set(err, ENOENT, "there is no shared tag %.*s", SLICE_FMT(c->name));
    if (c->version >= 0 && tag.version >= 0 && !c->replace)
        return err_set(err, EEXIST,
                       "there is a shared tag %.*s, of version %lld (--force sets it anew)",
                       SLICE_FMT(c->name), (long long)tag.version);
    format_key(&key, place->prefix, c->name, n.generation + 1);
    format_object(&text, c);
    rc = buf_check(&key, err);
    if (rc == 0)
        rc = buf_check(&text, err);
    return rc < 0 ? rc
                  : place->store->ops->put_if_absent(place->store, key.data, buf_slice(&text), err);
}

int tags_change(const struct tags_place *place, const struct tag_change *change, struct err *err)
{
    if (!tag_name_valid(change->name))
        return err_set(err, EINVAL, "%.*s can be no tag's name", SLICE_FMT(change->name));
    return change->shared ? change_shared(place, change, err) : change_local(place, change, err);
}
