/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/human.h"

#include <stdio.h>
#include <string.h>

char *human_bytes(uint64_t bytes, char out[HUMAN_BYTES])
{
    static const char units[][4] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0, shift = 0;
    /* 1000 KiB are told as 0.9 MiB: three digits before the unit are enough */
    while ((bytes >> shift) >= 1000) {
        shift += 10;
        unit++;
    }
    uint64_t whole = bytes >> shift;
    uint64_t tenth = unit ? ((bytes >> (shift - 10)) % 1024) * 10 / 1024 : 0;
    if (unit == 0 || whole >= 100)
        (void)snprintf(out, HUMAN_BYTES, "%llu %s", (unsigned long long)whole, units[unit]);
    else
        (void)snprintf(out, HUMAN_BYTES, "%llu.%llu %s", (unsigned long long)whole,
                       (unsigned long long)tenth, units[unit]);
    return out;
}

char *human_count(uint64_t count, char out[HUMAN_BYTES])
{
    char digits[HUMAN_BYTES];
    int n = snprintf(digits, sizeof digits, "%llu", (unsigned long long)count);
    char *to = out;
    for (int i = 0; i < n; i++) {
        if (i > 0 && (n - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

char *human_seconds(uint64_t seconds, char out[HUMAN_BYTES])
{
    unsigned long long s = seconds;
    if (s >= 3600)
        (void)snprintf(out, HUMAN_BYTES, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
    else
        (void)snprintf(out, HUMAN_BYTES, "%llu:%02llu", s / 60, s % 60);
    return out;
}

unsigned human_percent(uint64_t part, uint64_t whole)
{
    if (part >= whole)
        return 100;
    return (unsigned)((double)part * 100 / (double)whole);
}
