/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a catalog says where an answer is no success, as JSON. Pure.
 *
 *   {"error":{"message":M,"type":T,"code":404}}   Iceberg: ErrorModel
 *   {"error_code":T,"message":M}                  Unity Catalog
 *   {"__type":T,"message":M}                      AWS; also `Message`, and T behind a `#`
 *   {"error":T,"error_description":M}             OAuth2
 *   {"message":M}
 */
#ifndef LAKE_CATALOG_PROBLEM_H
#define LAKE_CATALOG_PROBLEM_H

#include "base/slice.h"

/* Plain ASCII, empty where not told, cut where too long. */
struct catalog_problem {
    char type[80];
    char message[256];
};

/* Never fails: what is not such a document says nothing. */
void catalog_problem_parse(struct slice json, struct catalog_problem *out);

#endif
