/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage classes as they are changed, and the tags by which a store's own lifecycle changes them.
 *
 *   set_class  the object goes into another class where it lies: name, bytes, ETag, metadata, tags,
 *              encryption and who may read it stay. Where one of them would not, -EOPNOTSUPP with
 *              the reason, and nothing was changed
 *   set_tag    a tag of its own beside those that are there; a rule of the store's lifecycle that
 *              names the tag does the rest (`tarn tier export`)
 *
 *   store  class                               tags
 *   S3     CopyObject onto itself              object tags
 *   Azure  Set Blob Tier, under a short lease  blob index tags
 *   GCS    none: it would make a generation    custom metadata, and the custom time
 *   local  none                                none
 *
 * Each is one atomic request: whoever is killed in between leaves the object in its old or its new
 * class. Run twice, by one or by several, the second finds it done. They block: workers and tools.
 */
#ifndef CACHE_STORE_CLASS_H
#define CACHE_STORE_CLASS_H

#include "cache/store/store.h"

/* S3 and Azure have ten tags an object; names of 128 and values of 256 characters of UTF-8. */
#define STORE_TAGS_MAX 10
#define STORE_TAG_NAME_BYTES 513
#define STORE_TAG_VALUE_BYTES 1025

struct store_tag {
    char name[STORE_TAG_NAME_BYTES];
    char value[STORE_TAG_VALUE_BYTES]; /* of set_tag: empty removes the tag */
};

struct store_tags {
    unsigned count;
    struct store_tag at[STORE_TAGS_MAX];
};

/*
 * Puts the object into the class, as the store names it ("STANDARD_IA", "Cool"), and sees that it
 * is there: size and ETag what they were. An object that is in the class already is left alone.
 *
 * `if_is`: the size that the object must have, and the ETag and the class where they are not empty;
 * -ESTALE where it is another, also where it was replaced while this ran. `now` (may be NULL) is
 * what the store says of it afterwards. -EREMOTE: archived; it would have to be restored first.
 * -EINVAL: no class of this store.
 */
int store_set_class(struct store *s, const char *key, const char *class,
                    const struct store_info *if_is, struct store_info *now, struct err *err);

/* The object's tags. */
int store_tags(struct store *s, const char *key, struct store_tags *out, struct err *err);

/*
 * Sets one tag (an empty value removes it) and keeps the others. *changed (may be NULL): false
 * where it was so already and nothing was sent. `if_is` as above. -EOPNOTSUPP: the store has no
 * tags, or the object has ten already.
 */
int store_set_tag(struct store *s, const char *key, const struct store_tag *tag,
                  const struct store_info *if_is, bool *changed, struct err *err);

#endif
