/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/recall_speed.h"

static const char *const names[] = {[STORE_SPEED_STANDARD] = "standard",
                                    [STORE_SPEED_BULK] = "bulk",
                                    [STORE_SPEED_EXPEDITED] = "expedited"};

bool recall_speed_parse(struct slice text, enum store_speed *out)
{
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (slice_is(text, names[i])) {
            *out = (enum store_speed)i;
            return true;
        }
    return false;
}

const char *recall_speed_name(enum store_speed speed)
{
    return names[speed];
}

unsigned recall_minutes(struct slice class, enum store_speed speed)
{
    /*
     * "Understanding archive retrieval options" of S3; of INTELLIGENT_TIERING, which does not tell
     * in a listing which of its tiers it is, the slower one. "Blob rehydration from the archive
     * tier" of Azure: high priority is for up to 10 GB.
     */
    static const struct {
        const char *class;
        unsigned minutes[ARRAY_SIZE(names)];
    } rows[] = {
        {"GLACIER", {5 * 60, 12 * 60, 5}},
        {"DEEP_ARCHIVE", {12 * 60, 48 * 60, 0}},
        {"INTELLIGENT_TIERING", {12 * 60, 48 * 60, 5}},
        {"Archive", {15 * 60, 15 * 60, 60}},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (slice_is(class, rows[i].class))
            return rows[i].minutes[speed];
    return 0;
}
