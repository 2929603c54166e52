/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The key of --cache-key-file: 32 bytes, as they are or as 64 hexadecimal digits.
 *
 * Only the command that was given the option reads the file, with its rights, before it forks the
 * daemon. The key itself is in no argument, request, log or core: a daemon that runs already is
 * shown a fingerprint, and says whether it has the same. Blocks.
 */
#ifndef TOOLS_KEY_FILE_H
#define TOOLS_KEY_FILE_H

#include <stdint.h>

#include "base/err.h"

#define KEY_BYTES 32
#define KEY_FINGERPRINT_BYTES 65 /* with its zero */

/*
 * -ENOENT and others as open(2); -EPERM where others than owner and group may read the file;
 * -EINVAL where it holds no key. The caller wipes the key.
 */
int key_file_read(const char *path, uint8_t key[KEY_BYTES], struct err *err);

/* Tells keys from each other and does not tell the key. */
void key_fingerprint(const uint8_t key[KEY_BYTES], char out[KEY_FINGERPRINT_BYTES]);

#endif
