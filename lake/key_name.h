/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names from keys and keys from names. A store's key is any bytes; a name of the mount is 1 to 255
 * bytes of UTF-8 without control characters that no program mistakes for something else. Where a
 * key's component is such a name, it is shown as it is; else some of its bytes are shown as `%~`
 * and two upper-case hex digits:
 *
 *   component                          name
 *   a%20b, x=1%3A2, orders@12          the same
 *   (empty: a//b, or a/ with bytes)    %~
 *   .   ..   .tarn                     %~2E   %~2E.   %~2Etarn
 *   control characters, no UTF-8       %~0A, %~FF, a byte each; U+0080 to U+009F too
 *   %~                                 %~25~
 *   x, where the directory x is too    x%~            (the object; the directory is x)
 *
 * So a name has one key, and different keys have different names. What has no name is left out,
 * counted and told (lake/left_out.h). Pure; any thread.
 */
#ifndef LAKE_KEY_NAME_H
#define LAKE_KEY_NAME_H

#include "base/buf.h"

/* Found in a table's directory by name: never the name of an object. */
#define KEY_NAME_META ".tarn"

/* Why a key has no name. */
enum key_flaw {
    KEY_FLAW_NONE,
    KEY_FLAW_LONG_NAME, /* over NAME_BYTES_MAX, as escaped */
    KEY_FLAW_LONG_PATH, /* over KEY_BYTES_MAX, as escaped */
    KEY_FLAW_ZERO,      /* a zero byte: no request can name it */
};
/* As the end of "is left out: ". */
const char *key_flaw_reason(enum key_flaw flaw);

/*
 * The name of one component, which has no `/`, appended. `beside_dir`: of an object where a
 * directory has the same component. With a flaw `out` is as it was; that memory is out tells `out`.
 */
enum key_flaw key_name_add(struct buf *out, struct slice component, bool beside_dir);

/* The path of a whole key: `beside_dir` counts for its last component. */
enum key_flaw key_name_add_path(struct buf *out, struct slice key, bool beside_dir);

/* The key of a path that the two above may have made, appended; other texts give other keys. */
void key_name_add_key(struct buf *out, struct slice path);

#endif
