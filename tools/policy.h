/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `tarn policy`. Each returns tarn's exit status. */
#ifndef TOOLS_POLICY_H
#define TOOLS_POLICY_H

#include "base/buf.h"
#include "lake/view/policy.h"

int policy_test(int argc, char **argv);
int policy_import(int argc, char **argv);

/* The policy of a file. Errors as policy_parse, and those of reading it. */
int policy_read(const char *path, struct policy **out, struct err *err);

#endif
