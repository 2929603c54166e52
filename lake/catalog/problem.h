/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a catalog says where an answer is no success, as JSON. Pure.
 *
 *   {"error":{"message":M,"type":T,"code":404}}   Iceberg: ErrorModel
 *   {"error_code":T,"message":M}                  Unity Catalog
 *   {"__type":T,"message":M}                      AWS; also `Message`, and T behind a `#`
 *   {"error":T,"error_description":M}             OAuth2
 *   {"message":M}
 *
 * A gateway before the catalog may answer with a document of these forms, too.
 */
#ifndef LAKE_CATALOG_PROBLEM_H
#define LAKE_CATALOG_PROBLEM_H

#include "base/slice.h"

/* Who says T. */
enum problem_form { PROBLEM_OTHER, PROBLEM_ICEBERG, PROBLEM_UNITY, PROBLEM_AWS };

/* Plain ASCII, empty where not told, cut where too long. */
struct catalog_problem {
    enum problem_form form;
    char type[80];
    char message[256];
};

/* Never fails: what is not such a document says nothing. */
void catalog_problem_parse(struct slice json, struct catalog_problem *out);

/* It is a catalog's word that what was asked for does not exist, and not that nobody is there who
 * knows. */
bool catalog_problem_absent(const struct catalog_problem *p);

#endif
