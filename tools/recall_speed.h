/* SPDX-License-Identifier: Apache-2.0 */
/* How soon archived objects are back: what is asked for, and what the stores say of it. Pure. */
#ifndef TOOLS_RECALL_SPEED_H
#define TOOLS_RECALL_SPEED_H

#include "cache/store/store.h"

#define RECALL_DAYS_DEFAULT 7
#define RECALL_DAYS_MAX 36500

/* "standard", "bulk" or "expedited". False: none of them. */
bool recall_speed_parse(struct slice text, enum store_speed *out);
const char *recall_speed_name(enum store_speed speed);

/*
 * Minutes within which the store says that objects of the class are back, at that speed; 0: it does
 * not say, or does not do it.
 */
unsigned recall_minutes(struct slice class, enum store_speed speed);

#endif
