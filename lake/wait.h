/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for what parks (lake/lake.h): for commands that have a lake in their own process, and
 * nothing else to do meanwhile.
 */
#ifndef LAKE_WAIT_H
#define LAKE_WAIT_H

#include "lake/lake.h"

/* May be run more than once, from its start: it parks, or it has an answer. */
typedef int lake_step(void *arg, struct task *task, struct err *err);

/*
 * Runs the step on the lake's workers until it has an answer, which is returned. Blocks: never on a
 * worker of the lake's, which the step may need.
 */
int lake_wait(struct lake *lake, lake_step *step, void *arg, struct err *err);

#endif
