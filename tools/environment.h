/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a mount that were not given: from the AWS environment variables, then from the
 * profile. */
#ifndef TOOLS_ENVIRONMENT_H
#define TOOLS_ENVIRONMENT_H

#include "tools/options.h"

/*
 * Region, endpoint and certificates. Of the profile (--profile, AWS_PROFILE, "default") in
 * AWS_CONFIG_FILE or ~/.aws/config; a file that cannot be read has none. Before threads, which must
 * not meet getenv.
 */
int environment_take(struct options *o, struct err *err);

#endif
