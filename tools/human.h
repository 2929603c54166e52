/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as a person reads them. Pure. */
#ifndef TOOLS_HUMAN_H
#define TOOLS_HUMAN_H

#include <stdint.h>

#define HUMAN_BYTES 32 /* room of each text, with its zero */

/* "0 B", "812 KiB", "3.4 GiB": three digits at least where there are so many. Returns out. */
char *human_bytes(uint64_t bytes, char out[HUMAN_BYTES]);

/* "1,234,567". Returns out. */
char *human_count(uint64_t count, char out[HUMAN_BYTES]);

/* "0:07", "12:34", "1:02:03". Returns out. */
char *human_seconds(uint64_t seconds, char out[HUMAN_BYTES]);

/* Hundredths of `whole` that `part` is, rounded down: 100 only where nothing is missing. */
unsigned human_percent(uint64_t part, uint64_t whole);

#endif
