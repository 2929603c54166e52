/* SPDX-License-Identifier: Apache-2.0 */
/* When a failed request is tried again. Pure: who asks brings the randomness. */
#ifndef CACHE_STORE_RETRY_H
#define CACHE_STORE_RETRY_H

#include <stdint.h>

/*
 * Milliseconds to wait after `attempts` failed ones (at least 1): evenly spread from 0 to a bound
 * that doubles with each, so that clients which failed together do not come back together.
 */
int64_t retry_delay_ms(unsigned attempts, uint64_t random);

#endif
