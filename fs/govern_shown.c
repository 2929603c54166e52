/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of a table: of its files and directories, and what node ids stand for. */
#include "base/hash.h"
#include "fs/govern_private.h"
#include "lake/format/filter.h"
#include "lake/format/shape.h"
#include "lake/partition_path.h"

void shown_done(struct shown *s)
{
    view_unref(s->view);
    basis_unref(s->basis);
    *s = (struct shown){.view = NULL};
}

void shown_copy(struct shown *to, const struct shown *from)
{
    *to = *from;
    if (to->view)
        (void)view_ref(to->view); /* the same */
    if (to->basis)
        (void)basis_ref(to->basis);
}

uint64_t shown_identity(const struct shown *s, uint64_t identity)
{
    uint64_t hash = shown_hash(s);
    if (!hash)
        return identity;
    hash = hash64(identity, slice_make(&hash, sizeof hash));
    return hash > 2 ? hash : hash + 2; /* as lake/where_file.c has it */
}

void shown_narrow(const struct shown *s, struct where *file)
{
    if (!s->view || file->kind != WHERE_FILE)
        return;
    shape_unref(file->shape);
    file->shape = s->view->shape ? shape_ref(s->view->shape) : NULL;
    file->presented = true;
    file->whole = false;
    file->identity = shown_identity(s, file->identity);
}

int shown_partitions(const struct shown *s, struct slice path, bool built,
                     struct partition_values *out, struct err *err)
{
    return partition_path_values(s->basis->at_partitions, path, built, out, err);
}

/* Of a column that files have as well: an empty text may be null or not, and `null` is what Iceberg
 * writes for a partition field that a table has given up. */
static bool tells(struct slice text)
{
    return text.n && !slice_is(text, "null");
}

static bool has_path(const struct shown *s, struct slice path, bool built, bool is_file)
{
    AUTO(partition_values) struct partition_values values;
    partition_values_init(&values);
    if (!s->view || !s->view->filter)
        return true;
    if (shown_partitions(s, path, built, &values, NULL) < 0)
        return false;
    const struct row_filter *filter = s->view->paths ? s->view->paths : s->view->filter;
    for (size_t i = 0; i < values.n; i++) {
        /* A path says all that is in paths alone; one that does not is none that a driver gives. */
        if (is_file && !values.known[i] && row_filter_needs(s->view->filter, i))
            return false;
        if (s->view->paths)
            values.known[i] = values.known[i] && tells(values.at[i]);
    }
    return row_filter_partition(filter, values.at, values.known) != FILTER_NONE;
}

bool shown_has_file(const struct shown *s, struct slice path, bool built)
{
    return has_path(s, path, built, true);
}

bool shown_has_dir(const struct shown *s, struct slice path)
{
    return has_path(s, path, true, false);
}

int govern_node(struct governor *g, const struct table *table, unsigned slot, struct shown *out,
                struct err *err)
{
    if (!slot)
        return 0;
    return g && table && slots_shown(&g->slots, table, slot, out)
               ? 0
               : err_set(err, ESTALE, "nobody has that view any more");
}
