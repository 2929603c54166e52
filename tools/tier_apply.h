/* SPDX-License-Identifier: Apache-2.0 */
/* `tarn tier apply` and `tarn tier export`. Each returns tarn's exit status. */
#ifndef TOOLS_TIER_APPLY_H
#define TOOLS_TIER_APPLY_H

int tier_apply_run(int argc, char **argv);
int tier_export_run(int argc, char **argv);

#endif
