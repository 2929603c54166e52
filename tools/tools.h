/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the command line, one file each. Each returns tarn's exit status. */
#ifndef TOOLS_TOOLS_H
#define TOOLS_TOOLS_H

#include <stdbool.h>

enum exit_status { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

int cmd_mount(int argc, char **argv);
int cmd_umount(int argc, char **argv);
int cmd_versions(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_diff(int argc, char **argv);
int cmd_tag(int argc, char **argv);
int cmd_archive(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_catalog(int argc, char **argv);
int cmd_warm(int argc, char **argv);
int cmd_recall(int argc, char **argv);
int cmd_cache(int argc, char **argv);
int cmd_lake(int argc, char **argv);
int cmd_tier(int argc, char **argv);
int cmd_policy(int argc, char **argv);
int cmd_audit(int argc, char **argv);

/* Prints "tarn COMMAND: message" and how to get help; returns EXIT_USAGE. */
__attribute__((format(printf, 2, 3))) int usage_error(const char *command, const char *fmt, ...);

#endif
