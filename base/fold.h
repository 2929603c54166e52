/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters without their case: the simple folding of Unicode's CaseFolding.txt (status C and S; the
 * lower-case letter where there is only a full one). Columns of a table that differ in case alone
 * are one column to the engines that write it. Pure.
 */
#ifndef BASE_FOLD_H
#define BASE_FOLD_H

#include "base/slice.h"

/* The next character of a text that is not empty, which is taken off. A byte that is no UTF-8 is
 * one of its own, above all others. */
uint32_t fold_next(struct slice *s, bool folded);

/* They differ in case at most. */
bool fold_equal(struct slice a, struct slice b);

#endif
