/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/retry.h"

#define DELAY_FIRST_MS 100
#define DELAY_MAX_MS 5000
#define DOUBLINGS_MAX 6

int64_t retry_delay_ms(unsigned attempts, uint64_t random)
{
    unsigned doublings = attempts > DOUBLINGS_MAX ? DOUBLINGS_MAX : attempts - (attempts > 0);
    int64_t bound = (int64_t)DELAY_FIRST_MS << doublings;
    if (bound > DELAY_MAX_MS)
        bound = DELAY_MAX_MS;
    return (int64_t)(random % (uint64_t)(bound + 1));
}
