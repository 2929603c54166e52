/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A warning in the log where ordinary users can reach the metadata service of this instance:
 * whoever does has the instance's credentials, whatever a mount shows or does not show.
 *
 * It is judged by trying: a socket that is an ordinary user's (for root's daemon that of `nobody`,
 * whom the usual rules of a packet filter by owner keep away) connects to the service's port. Who
 * can connect can ask; nothing is asked here.
 */
#ifndef TOOLS_METADATA_WARNING_H
#define TOOLS_METADATA_WARNING_H

#include "base/workers.h"
#include "cache/store/store.h"

/*
 * Tries on a worker, for a second at most; the caller does not wait. Where the environment forbids
 * to ask the service (AWS_EC2_METADATA_DISABLED) nothing is tried.
 */
void metadata_warning_start(struct workers *w, const struct store_options *o);

#endif
