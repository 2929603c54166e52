/* SPDX-License-Identifier: Apache-2.0 */
/* AWS's regions and the domains of its services in them. Pure. */
#ifndef CACHE_STORE_REGION_H
#define CACHE_STORE_REGION_H

#include "base/slice.h"

#define REGION_BYTES_MAX 48

/* Lower-case letters, digits and `-`: what may become part of a host's name. */
bool region_valid(const char *region);

/* "amazonaws.com", or what the partition of that region has. */
const char *region_domain(const char *region);

#endif
