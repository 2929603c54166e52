/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tags of one table: names for its versions, of two kinds.
 *
 *   local   of this machine, in the cache directory (lake/local_tags.h)
 *   shared  in the lake, beside the table's data, for everybody who mounts it:
 *
 *     <table>/_tarn/tags/<name, percent-encoded>.<20 digits>.json
 *     {"tag":"name","version":12,"set":"2026-03-01T09:30:00Z","by":"who"}
 *
 * Objects there are never changed nor removed: to set a shared tag anew, or to take it away
 * (version null), is a new object with the next number, which one of two writers gets
 * (put-if-absent). Of a name the greatest number counts. Directories that begin with `_` are hidden
 * from readers, and left alone by VACUUM.
 *
 * Where both have a name the local tag counts: who sets one for himself means it.
 *
 * A name has 1 to 200 bytes of UTF-8 without control characters, does not begin with `.` or `-`,
 * has no `..` in it, and is nothing that a bare ref may be already (a number, a time). In a path
 * `/`, `@` and `%` of it are written as %2F, %40, %25.
 */
#ifndef LAKE_TAGS_H
#define LAKE_TAGS_H

#include "base/arena.h"
#include "cache/store/store.h"
#include "lake/local_tags.h"

struct tag {
    struct slice name; /* decoded */
    int64_t version;
    int64_t time_ms;     /* local: of the version's commit; 0: any */
    uint64_t generation; /* shared: its number */
    bool shared;
    bool hidden; /* a local one has its name */
};

/* Immutable, shared by reference. In order of names, of one name the local first. */
struct tags {
    _Atomic unsigned refs;
    struct arena arena;
    struct tag *at;
    size_t n, capacity, max;
};
struct tags *tags_ref(struct tags *t);
void tags_unref(struct tags *t);
DEFINE_AUTO(tags, struct tags *, tags_unref)

/* Where a table's tags are. Borrowed for the call. */
struct tags_place {
    struct local_tags *local; /* NULL: there are none */
    struct store *store;
    const char *prefix;    /* of the table in the store: empty or ends in `/` */
    struct slice table_id; /* as table_id */
};

bool tag_name_valid(struct slice name);
/* A name as it stands in a path, appended. */
void tag_name_format(struct buf *out, struct slice name);
/* The other way, appended; false where it can be none. */
bool tag_name_parse(struct buf *out, struct slice text);

/*
 * All of a table; `previous` (may be NULL) is an older answer, whose shared tags are not read
 * again. What in `_tarn/tags/` is no tag is passed over. Blocks.
 */
int tags_load(const struct tags_place *place, const struct tags *previous, struct tags **out,
              struct err *err);
/* The one that counts, or NULL. */
const struct tag *tags_find(const struct tags *t, struct slice name);

/* A change; `version` -1 takes the tag away. -EEXIST where the name is taken and not to be
 * replaced, -ENOENT where there is nothing to take away. Blocks. */
struct tag_change {
    struct slice name, by; /* by: who; told of shared ones */
    int64_t version, time_ms, now_ms;
    bool shared, replace;
};
int tags_change(const struct tags_place *place, const struct tag_change *change, struct err *err);

/* A name in `_tarn/tags/`: the tag's name (appended to name) and its number. Pure. */
bool tags_parse_key(struct slice file, struct buf *name, uint64_t *generation);
/* What such an object holds: a version, or -1 for a tag that was taken away. Pure. */
bool tags_parse_object(struct slice text, int64_t *version);

#endif
