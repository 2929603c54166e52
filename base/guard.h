/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Touching mapped files whose disk may die: an access that the kernel cannot serve (SIGBUS) ends
 * the call with an error and not the process.
 *
 *   if (guard_run(read_page, &request) < 0)
 *       the disk is dead, and with it whatever else lives in this mapping
 *
 *   int mapping = guard_map_add(at, bytes);
 *   ... at[i] ...
 *   if (guard_map_lost(mapping))
 *       what was read may have been zeros
 *
 * What runs is left in the middle, at any access to memory, without any clean-up of its own. So it
 * takes no lock that others need and owns nothing; and a library in whose middle that may be (LMDB,
 * which has locks of its own) is not called any more for what it had open, not even to close it.
 *
 * Any thread; calls may nest, the innermost ends. The first call sets the handler of SIGBUS for
 * the process, and each thread's first call unblocks SIGBUS there. Outside of guard_run SIGBUS
 * ends the process as ever.
 */
#ifndef BASE_GUARD_H
#define BASE_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Calls run(arg). 0, or -EIO where memory could not be read or written and run was left. */
int guard_run(void (*run)(void *arg), void *arg, struct err *err);

/*
 * For mappings that are read in so many places that none of them can be left in the middle: from
 * the first access on that the kernel cannot serve, a page reads as zeros, and the mapping counts
 * as lost. Readers must be bounded whatever they read, and ask guard_map_lost before they believe
 * it. Returns a number for the other two; -1: all GUARD_MAPS_MAX are taken, and the mapping is not
 * guarded. Remove it before it is unmapped. Any thread.
 */
#define GUARD_MAPS_MAX 4096
int guard_map_add(const void *start, size_t bytes);
void guard_map_remove(int mapping);
bool guard_map_lost(int mapping);

#endif
