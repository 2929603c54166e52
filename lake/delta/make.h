/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making runs: a base or a patch of one version from the log, in bounded memory
 * (lake/delta/ahead.h, object.h for what is read, lake/index/sort.h for what is sorted).
 *
 * What cannot be used is passed over where the log has another way to the same version: compacted
 * commits for the commits themselves, a checkpoint that is damaged or of an unread kind for an
 * older one. What comes out is compared with the version's checksums, where there are any: another
 * state than they tell of is refused, unless another way gives the right one, or the commits since
 * the first one say so themselves: they are the table.
 *
 * Blocks; one thread.
 */
#ifndef LAKE_DELTA_MAKE_H
#define LAKE_DELTA_MAKE_H

#include "lake/delta/replay.h"
#include "lake/driver.h"

struct delta_make {
    const struct delta_table *table;
    const struct history *h;
    struct delta_log log; /* after delta_make_log */

    /* private */
    bool has_log;
    int64_t log_from;  /* of the log that was read: its first version */
    bool commits_only; /* compacted ones were of no use */
    /* Why the last try failed, where another one may do. */
    bool checkpoint_unread; /* it is damaged, or of an unread kind */
    bool compacted_unread;
    bool compacted_used; /* whatever became of it */
    bool wrong_sums;     /* another state than the version's checksums say */
    bool whole;          /* it was made of all commits since the first, and nothing else */
};

/* Table and history are borrowed while it lives. Asks nobody. */
void delta_make_init(struct delta_make *m, const struct delta_table *table,
                     const struct history *h);
void delta_make_done(struct delta_make *m);
DEFINE_AUTO_DONE(delta_make, struct delta_make, delta_make_done)

/* Lists what the log has of that version (0: all) and later ones, unless it is known already. */
int delta_make_log(struct delta_make *m, int64_t from, struct err *err);

/* Is the version in the log still the one that the history has? -ENOENT, -ESTALE. */
int delta_make_check(const struct delta_make *m, const struct version *version, struct err *err);

/*
 * Makes the base of a version. From the newest checkpoint, or, where that is of no use, from an
 * older one or the first commit, as long as the log (which was listed whole) reaches.
 */
int delta_make_base(struct delta_make *m, const struct version *version, struct run **out,
                    struct err *err);

/*
 * Makes the patch of a version on the base of an older one, from which on the log was listed.
 * -EAGAIN where a patch is not the way: a base is made then. So it is where the sums are wrong: the
 * base may be.
 */
int delta_make_patch(struct delta_make *m, const struct version *version, struct run *base,
                     struct run **out, struct err *err);

#endif
