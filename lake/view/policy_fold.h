/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters without their case: the simple folding of Unicode's CaseFolding.txt (status C and S; the
 * lower-case letter where there is only a full one). Columns of a table that differ in case alone
 * are one column to the engines that write it. Pure.
 */
#ifndef LAKE_VIEW_POLICY_FOLD_H
#define LAKE_VIEW_POLICY_FOLD_H

#include <stdint.h>

uint32_t policy_fold(uint32_t character);

#endif
