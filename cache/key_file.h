/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of `--cache-key-file`: the key of an encrypted cache, as 32 raw bytes or as 64 hex
 * digits with or without a newline after them.
 */
#ifndef CACHE_KEY_FILE_H
#define CACHE_KEY_FILE_H

#include "cache/cipher.h"

/*
 * Reads the key; the caller wipes it. -EACCES where others than the owner have any permission, or
 * the owner is neither this user nor root; -EINVAL where it is no file or holds no key. Blocks.
 */
int key_file_read(const char *path, uint8_t key[CIPHER_KEY_BYTES], struct err *err);

#endif
