/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats that are recognised but not read: their tables are listed, and refused as a whole with
 * that reason, because a plain listing would show dead files beside live ones.
 */
#ifndef LAKE_UNREAD_UNREAD_H
#define LAKE_UNREAD_UNREAD_H

#include "lake/driver.h"

extern const struct driver_ops unread_hudi_ops;

#endif
