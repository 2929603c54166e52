/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage classes and what they cost, where the lake file says nothing else: prices in USD as the
 * services have listed them for one region each (S3: us-east-1, Azure Blob: East US 2, LRS, GCS:
 * us-central1), the first step of each. Pure.
 */
#ifndef LAKE_TIER_PRICES_H
#define LAKE_TIER_PRICES_H

#include "lake/lakefile.h"

struct tier_class {
    const char *scheme; /* of the store: "s3", "abfss", "gs", "file" */
    const char *name;
    unsigned coldness;      /* objects are moved to greater ones only */
    double gb_month;        /* per 10^9 bytes */
    uint64_t minimum_bytes; /* a smaller object is billed as if it had so many */
    unsigned minimum_days;  /* what leaves before is billed for the rest */
    double retrieval_gb;    /* reading a GB */
    double request;         /* one that puts an object there */
    uint64_t overhead_cold; /* bytes that each object takes besides, at this class's price */
    uint64_t overhead_hot;  /* and at that of the store's first class */
    bool archived;          /* its objects have to be restored before they are read */
};

/* A class as a store of that scheme names it; NULL: it is not known. */
const struct tier_class *tier_class_find(const char *scheme, struct slice name);

/* The class that objects have of which the store tells none. */
const char *tier_class_default(const char *scheme);

/* What a class costs in a layer (file, layer: NULL where there are none). */
struct tier_price {
    const struct tier_class *class; /* NULL: not known */
    double gb_month;                /* 0 where nobody says it */
    double hot_gb_month;            /* of the store's first class */
    bool known;                     /* somebody says it */
};
struct tier_price tier_price_find(const struct lakefile *file, const struct lakefile_layer *layer,
                                  const char *scheme, struct slice name);

/* Of one object of so many bytes, a month. */
double tier_price_month(const struct tier_price *p, uint64_t bytes);

#define TIER_GB 1e9

#endif
