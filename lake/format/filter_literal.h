/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values as people and metadata write them: numbers, dates, instants, UUIDs. Nothing is rounded
 * where it is not asked for. Pure; any thread.
 */
#ifndef LAKE_FORMAT_FILTER_LITERAL_H
#define LAKE_FORMAT_FILTER_LITERAL_H

#include "base/slice.h"

/* A number as it is written: -? coefficient * 10^exponent. */
struct filter_number {
    bool negative;
    unsigned __int128 coefficient; /* up to 38 digits, the last one not 0 */
    int exponent;
};

/* `12`, `-1.50`, `3e-4`. False where it is none, has more than 38 digits that count, or is beyond
 * 10^±1000. */
bool filter_number_parse(struct slice text, struct filter_number *out);

/* The greatest integer that is not above number * 10^scale; *exact: it is it. Beyond 128 bits: the
 * greatest or the least, not exact. */
__int128 filter_number_floor(const struct filter_number *n, unsigned scale, bool *exact);

/* The value of so many bits (32 or 64) that is written so: printed with as many digits, it is the
 * same number. False where there is none. */
bool filter_number_real(const struct filter_number *n, unsigned bits, double *out);

/* The nearest one, infinity too. */
double filter_number_nearest(const struct filter_number *n, unsigned bits);

/* Days since 1970. */
bool filter_date_parse(struct slice text, __int128 *out);

/* Nanoseconds since 1970. Without a zone: UTC; zoned: it has one. */
bool filter_instant_parse(struct slice text, bool *zoned, __int128 *out);

/* 16 bytes of 36 characters. */
bool filter_uuid_parse(struct slice text, uint8_t out[16]);

#endif
