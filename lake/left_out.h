/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a listing leaves out because no file can have its name: counted, and the first ones told,
 * each as a line "KEY: REASON" with the key as names are escaped (lake/key_name.h). It is what
 * `user.tarn.left_out` holds and `tarn doctor` prints.
 */
#ifndef LAKE_LEFT_OUT_H
#define LAKE_LEFT_OUT_H

#include "lake/key_name.h"

struct left_out {
    size_t count;
    struct buf lines; /* of the first ones */
};

void left_out_init(struct left_out *l);
void left_out_done(struct left_out *l);
DEFINE_AUTO_DONE(left_out, struct left_out, left_out_done)

/* Counts one. Only its line is missing where memory is out. */
void left_out_add(struct left_out *l, struct slice key, enum key_flaw flaw);

/* "2 objects are left out", the lines, and how many have none; nothing where none is left out. */
void left_out_format(const struct left_out *l, struct buf *out);

#endif
