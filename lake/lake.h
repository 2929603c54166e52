/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A lake: what one mount shows. Its root is a store's, or lists the layers of a lake file, each a
 * store of its own (lake/layers.h); tables are found by themselves.
 *
 *   lake ── directories known so far (lake/dir.h): plain, or the root of a table
 *        ── tables (lake/table.h): history, the live version, versions loaded
 *        ── runs by number (for node ids that the kernel holds)
 *
 * Functions that take a `struct task` park it where they would wait (-EINPROGRESS: the caller must
 * touch nothing of the task any more) and are called again, from the task's start, when there is
 * something new. Any thread.
 */
#ifndef LAKE_LAKE_H
#define LAKE_LAKE_H

#include "base/limits.h"
#include "base/lock.h"
#include "base/map.h"
#include "base/vec.h"
#include "base/workers.h"
#include "cache/cache.h"
#include "lake/driver.h"
#include "lake/layers.h"
#include "lake/registry.h"
#include "lake/spare.h"

struct cataloged;
struct lakefile;
struct lakefile_layer;
struct shape;
struct table;

/* How the live path moves (design.md section 2), and where everything is. Borrowed for the call. */
struct lake_config {
    const char *url;     /* of the root; of a lake file its path, for messages */
    const char *outside; /* URLs with line feeds between: where files of tables may lie besides */
    const struct lakefile *file; /* NULL: the lake is the URL; else its stores, and no `outside` */
    const struct store_options *store_options;
    /* Of a lake file: what is put around this layer's stores, into a copy of the runtime (wrap,
     * wrap_arg, wrapped), which is used before it is asked for the next layer. May be NULL. */
    void (*dress)(void *arg, const struct lakefile_layer *layer, struct store_runtime *runtime);
    /* What is put around is looked at beside all layers; may be NULL. */
    int (*check)(void *arg, const struct layers *layers, struct err *err);
    void *dress_arg;
    const struct store_runtime *runtime;
    int64_t refresh_ms, hold_ms, keep_ms;
    int64_t as_of_ms;                        /* 0: none */
    const struct driver_ops *const *drivers; /* in order of precedence, NULL at the end; static */
    const struct driver_ops *files;          /* for what no driver finds; static */
    /* What is fetched through the store ends before it. NULL: nothing is cached. */
    struct cache *cache;
    struct registry *registry; /* these are borrowed while the lake lives */
    struct workers *workers;
    struct local_tags *tags; /* likewise; NULL: there are none */
    int indexes_dirfd;       /* DIR/indexes, for the tables' runs */
    bool narrows; /* views may show less of files: where_set_file tells what that takes */
    /* Told once of each version that somebody opens and that holds files which the table's own
     * clean-up may remove since then. On a worker; may be NULL. */
    void (*removable)(void *arg, const struct table *table, const struct version *version,
                      int64_t since_ms);
    void *arg;
};

struct lake {
    /* Immutable, as are the layers; url, outside, file and options of the stores are not kept. */
    struct lake_config config;
    struct layers layers;
    struct spare spare;          /* for runs that DIR/indexes does not take */
    struct lock lock;            /* guards the maps; below every table's lock */
    struct map dirs;             /* path -> struct dir */
    struct map tables;           /* path -> struct table */
    VEC(struct table *) retired; /* lock; tables that others have taken the place of */
    struct map runs;             /* number as 4 bytes -> struct lake_run */
    uint64_t run_clock;          /* lock */
};

/* Opens the stores and asks each once for its root: what cannot be read is told here. Blocks. */
struct lake *lake_open(const struct lake_config *config, struct err *err);
/* No task may be under way. Blocks until the tables' background work has ended. */
void lake_close(struct lake *lake);
DEFINE_AUTO(lake, struct lake *, lake_close)

/* The table of that path and format, made now where it is not known yet. Borrowed: lives as long as
 * the lake. Takes `cataloged` (table_new). */
int lake_table(struct lake *lake, struct slice path, const struct driver_ops *ops,
               struct cataloged *cataloged, struct table **out, struct err *err)
    EXCLUDES(lake->lock);

/* The table of that path where it is known, or NULL. Borrowed likewise. */
struct table *lake_known_table(struct lake *lake, struct slice path) EXCLUDES(lake->lock);

/*
 * The directory turned out to be no table of that format any more: it is looked at anew. Who has
 * the table still may use it.
 */
void lake_retire(struct lake *lake, struct table *table) EXCLUDES(lake->lock);

/* A run of a table that stands behind a number. */
struct lake_run {
    uint32_t number;
    struct table *table; /* borrowed: lives as long as the lake */
    struct run *run;
    uint64_t used;         /* run_clock when it was wanted last */
    bool shaped;           /* shape is what the driver said */
    struct shape *shape;   /* a reference, or NULL: columns are as stored */
    struct err *shapeless; /* why the driver makes no shape of its columns; NULL: it was not so */
};

/* The number of a run of that table, which is kept at hand from now on. */
int lake_run_number(struct lake *lake, struct table *table, struct run *run, uint32_t *out,
                    struct err *err) EXCLUDES(lake->lock);

/*
 * The run behind a number: *run is a new reference. Parks. -ENOENT where the number is of no run of
 * this lake, or its file is gone.
 */
int lake_run_find(struct lake *lake, uint32_t number, struct task *task, struct table **table,
                  struct run **run, struct err *err) EXCLUDES(lake->lock);

/* The same where it is at hand: asks nobody, never waits. False where it is not. */
bool lake_run_known(struct lake *lake, uint32_t number, struct table **table, struct run **run)
    EXCLUDES(lake->lock);

/*
 * The columns that the files of a run present: *out is a reference, or NULL where they are as they
 * are stored. What the run's meta says is parsed once and kept with the run. Does not wait.
 */
int lake_run_shape(struct lake *lake, struct table *table, struct run *run, uint32_t number,
                   struct shape **out, struct err *err) EXCLUDES(lake->lock);

struct table_version;

/*
 * After a call on a run or a version's snapshot has answered `rc`: where that is -EUCLEAN, or the
 * disk has failed under the index whatever was answered, it is damaged. It is removed, so that it
 * is made again when it is wanted next, and the answer becomes -ESTALE, upon which the kernel looks
 * the path up anew. Every other rc is returned as it is.
 */
int lake_heal_run(struct lake *lake, struct table *table, struct run *run, int rc, struct err *err)
    EXCLUDES(lake->lock);
int lake_heal_version(struct lake *lake, struct table *table, const struct table_version *version,
                      int rc, struct err *err) EXCLUDES(lake->lock);

#endif
