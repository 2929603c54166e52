/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Touching mapped files whose disk may die: an access that the kernel cannot serve (SIGBUS) ends
 * the call with an error and not the process.
 *
 *   if (guard_run(read_page, &request) < 0)
 *       the disk is dead, and with it whatever else lives in this mapping
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

#include "base/err.h"

/* Calls run(arg). 0, or -EIO where memory could not be read or written and run was left. */
int guard_run(void (*run)(void *arg), void *arg, struct err *err);

#endif
