/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/prices.h"

#include "base/limits.h"

#define IA_BYTES (128 * KIB)
#define GLACIER_COLD (32 * KIB)
#define GLACIER_HOT (8 * KIB)

/* The first one of a scheme is the default. */
static const struct tier_class classes[] = {
    /* scheme, class, coldness, GB-month, least bytes, days, retrieval, request, overheads, archived
     */
    {"s3", "STANDARD", 0, 0.023, 0, 0, 0, 0.005e-3, 0, 0, false},
    {"s3", "REDUCED_REDUNDANCY", 0, 0.024, 0, 0, 0, 0.005e-3, 0, 0, false},
    {"s3", "INTELLIGENT_TIERING", 1, 0.023, 0, 0, 0, 0.01e-3, 0, 0, false},
    {"s3", "STANDARD_IA", 2, 0.0125, IA_BYTES, 30, 0.01, 0.01e-3, 0, 0, false},
    {"s3", "ONEZONE_IA", 3, 0.01, IA_BYTES, 30, 0.01, 0.01e-3, 0, 0, false},
    {"s3", "GLACIER_IR", 4, 0.004, IA_BYTES, 90, 0.03, 0.02e-3, 0, 0, false},
    {"s3", "GLACIER", 5, 0.0036, 0, 90, 0.01, 0.03e-3, GLACIER_COLD, GLACIER_HOT, true},
    {"s3", "DEEP_ARCHIVE", 6, 0.00099, 0, 180, 0.02, 0.05e-3, GLACIER_COLD, GLACIER_HOT, true},
    {"abfss", "Hot", 0, 0.0184, 0, 0, 0, 0.005e-3, 0, 0, false},
    {"abfss", "Premium", 0, 0.15, 0, 0, 0, 0.00175e-3, 0, 0, false},
    {"abfss", "Cool", 1, 0.01, 0, 30, 0.01, 0.01e-3, 0, 0, false},
    {"abfss", "Cold", 2, 0.0036, 0, 90, 0.03, 0.018e-3, 0, 0, false},
    {"abfss", "Archive", 3, 0.002, 0, 180, 0.02, 0.01e-3, 0, 0, true},
    {"gs", "STANDARD", 0, 0.02, 0, 0, 0, 0.005e-3, 0, 0, false},
    {"gs", "MULTI_REGIONAL", 0, 0.026, 0, 0, 0, 0.005e-3, 0, 0, false},
    {"gs", "REGIONAL", 0, 0.02, 0, 0, 0, 0.005e-3, 0, 0, false},
    {"gs", "DURABLE_REDUCED_AVAILABILITY", 0, 0.02, 0, 0, 0, 0.005e-3, 0, 0, false},
    {"gs", "NEARLINE", 1, 0.01, 0, 30, 0.01, 0.01e-3, 0, 0, false},
    {"gs", "COLDLINE", 2, 0.004, 0, 90, 0.02, 0.02e-3, 0, 0, false},
    {"gs", "ARCHIVE", 3, 0.0012, 0, 365, 0.05, 0.05e-3, 0, 0, false},
    {"file", "local", 0, 0, 0, 0, 0, 0, 0, 0, false},
};

const struct tier_class *tier_class_find(const char *scheme, struct slice name)
{
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
        if (strcmp(classes[i].scheme, scheme) == 0 && slice_is(name, classes[i].name))
            return &classes[i];
    return NULL;
}

const char *tier_class_default(const char *scheme)
{
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
        if (strcmp(classes[i].scheme, scheme) == 0)
            return classes[i].name;
    return "";
}

static bool price_of(const struct lakefile *file, const struct lakefile_layer *layer,
                     const struct tier_class *class, struct slice name, double *out)
{
    if (file && lakefile_price(file, layer, name, out))
        return true;
    if (class)
        *out = class->gb_month;
    return class != NULL;
}

struct tier_price tier_price_find(const struct lakefile *file, const struct lakefile_layer *layer,
                                  const char *scheme, struct slice name)
{
    struct tier_price p = {.class = tier_class_find(scheme, name)};
    struct slice first = slice_of(tier_class_default(scheme));
    p.known = price_of(file, layer, p.class, name, &p.gb_month);
    (void)price_of(file, layer, tier_class_find(scheme, first), first, &p.hot_gb_month);
    return p;
}

double tier_price_month(const struct tier_price *p, uint64_t bytes)
{
    const struct tier_class *c = p->class;
    double billed = (double)(c && bytes < c->minimum_bytes ? c->minimum_bytes : bytes);
    double month = billed / TIER_GB * p->gb_month;
    if (c && c->overhead_cold)
        month += (double)c->overhead_cold / TIER_GB * p->gb_month +
                 (double)c->overhead_hot / TIER_GB * p->hot_gb_month;
    return month;
}
