/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who archives and who removes at the same time, on whatever machines: leases in the archive store.
 *
 *   leases/archive-<16 hex>-<8 digits>    somebody archives: nothing may be removed that no version
 *   leases/drop-<16 hex>-<8 digits>       names yet; somebody removes: nothing may be begun
 *
 * Each writes his own first and then looks for the other's, so one of two sees the other at least:
 * who archives waits then, who removes leaves it for later. A lease is renewed (the next number)
 * while its owner is at work. One that is older than LEASE_STALE_MS by the store's own clock
 * belongs to nobody any more and is removed by who finds it; an owner that finds his gone knows
 * that.
 */
#ifndef LAKE_ARCHIVE_LEASE_H
#define LAKE_ARCHIVE_LEASE_H

#include "lake/archive/archive.h"

#define LEASE_STALE_MS 600000
#define LEASE_RENEW_MS 60000

enum lease_kind { LEASE_ARCHIVE, LEASE_DROP };

struct lease {
    struct archive *archive; /* borrowed; NULL: it is not held */
    enum lease_kind kind;
    char id[17];
    unsigned number;
    int64_t renewed_ms;
};

/* Waits (ARCHIVE) while somebody removes; -EBUSY (DROP) where somebody archives. Blocks. */
int lease_take(struct lease *l, struct archive *a, enum lease_kind kind, struct err *err);
/* Renews it where it is time to; -ESTALE where somebody has taken it for dead. Blocks. */
int lease_renew(struct lease *l, struct err *err);
/* It is still there: -ESTALE where not. Blocks. */
int lease_check(const struct lease *l, struct err *err);
/* Gives it back; what is left of it goes stale. */
void lease_end(struct lease *l);
DEFINE_AUTO_DONE(lease, struct lease, lease_end)

#endif
