/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/region.h"

#include "base/cleanup.h"

static const struct {
    const char *prefix, *domain;
} partitions[] = {
    {"cn-", "amazonaws.com.cn"}, {"us-isob-", "sc2s.sgov.gov"},  {"us-isof-", "csp.hci.ic.gov"},
    {"us-iso-", "c2s.ic.gov"},   {"eu-isoe-", "cloud.adc-e.uk"}, {"eusc-", "amazonaws.eu"},
};

bool region_valid(const char *region)
{
    size_t n = strlen(region);
    return n && n < REGION_BYTES_MAX &&
           strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

const char *region_domain(const char *region)
{
    for (size_t i = 0; i < ARRAY_SIZE(partitions); i++)
        if (slice_starts(slice_of(region), slice_of(partitions[i].prefix)))
            return partitions[i].domain;
    return "amazonaws.com";
}
