/* SPDX-License-Identifier: Apache-2.0 */
/* Names with values, taken from JSON, and what differs between two such lists. Pure. */
#ifndef TOOLS_FACTS_H
#define TOOLS_FACTS_H

#include "base/arena.h"
#include "base/json.h"

struct fact {
    struct slice name, value;
};

/* Sorted by name once taken. Texts live in the arena. */
struct facts {
    struct fact *at;
    size_t n, capacity, max;
    struct arena arena;
};

void facts_init(struct facts *f);
void facts_done(struct facts *f);
DEFINE_AUTO_DONE(facts, struct facts, facts_done)

/* The members of a JSON object, those of objects in it as `outer.inner`; lists as their text.
 * -EIO where it is none. */
int facts_of_object(struct facts *f, struct slice json, struct err *err);

/* The columns of a `.tarn/schema.json`: `address.street` -> `string`, with `not null` where it is
 * so; `list.element`, `map.key`, `map.value`. And the partition columns as one. */
int facts_of_schema(struct facts *f, struct slice json, struct err *err);

/* Each name whose value differs; before or after is empty where only one has it. */
void facts_differ(const struct facts *before, const struct facts *after,
                  void (*emit)(void *arg, struct slice name, struct slice before,
                               struct slice after),
                  void *arg);

#endif
