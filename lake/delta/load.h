/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading: the snapshot of one version, from runs that are there (lake/delta/runs.h), or from runs
 * that are made.
 *
 * A run counts where its meta names the version and the fingerprint that the history has: a table
 * that was replaced by another one never meets its predecessor's runs. A base stands at a
 * checkpoint or at a round version, so that versions near each other share it.
 *
 * Blocks; any thread: runs are written aside and renamed, so two that make the same one do no harm.
 */
#ifndef LAKE_DELTA_LOAD_H
#define LAKE_DELTA_LOAD_H

#include "lake/delta/replay.h"
#include "lake/driver.h"

int delta_load(const struct delta_table *table, const struct history *h, size_t position,
               struct snapshot **out, struct err *err);

#endif
