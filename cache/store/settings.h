/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strings of struct store_options as a table: where those come from that the environment of
 * whoever mounts tells, and under which key they travel to the daemon, whose own environment is
 * empty. Most are secret, or lead to secrets.
 */
#ifndef CACHE_STORE_SETTINGS_H
#define CACHE_STORE_SETTINGS_H

#include "cache/store/store.h"

struct setting {
    const char *key;      /* in a mount request */
    const char *variable; /* of the environment; NULL: an option of the mount says it. Of two rows
                             with one key, the first that is set counts */
    size_t offset;        /* in struct store_options, of a const char * */
};

extern const struct setting settings[];
extern const size_t settings_count;

/* The value; NULL where it is not set. */
const char *setting_of(const struct store_options *o, const struct setting *row);

/*
 * The setting has a part in who asks a store of this scheme, and how. Where keys are given, it does
 * not matter what else the environment has; where a program is looked for never does.
 */
bool setting_counts(const struct store_options *o, const struct setting *row, const char *scheme);

/*
 * A copy of the value, for settings_done; the value before is wiped. A key that is not known (of a
 * newer or older tarn) changes nothing. -ENOMEM.
 */
int settings_set(struct store_options *o, struct slice key, struct slice value, struct err *err);

/* All of `from`, its strings copied, for settings_done. -ENOMEM; `to` is for settings_done also
 * then. */
int settings_copy(struct store_options *to, const struct store_options *from);

/* Wipes and frees every string: of options that settings_set or settings_copy alone has filled. */
void settings_done(struct store_options *o);

#endif
