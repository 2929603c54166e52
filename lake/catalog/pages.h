/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of names that come in pages, each with the token of the next one; bounded. */
#ifndef LAKE_CATALOG_PAGES_H
#define LAKE_CATALOG_PAGES_H

#include "lake/catalog/catalog.h"

struct client;

/* One page, in its arena. */
struct catalog_names {
    struct arena arena;
    struct slice *at;
    size_t n;
    struct slice next; /* token of the next page; empty: it is the last */
};
void catalog_names_init(struct catalog_names *names);
void catalog_names_done(struct catalog_names *names);
DEFINE_AUTO_DONE(catalog_names, struct catalog_names, catalog_names_done)

/* Embedded in what is needed to ask. */
struct pages {
    /* Fills what was just initialised. `token` is empty for the first one. */
    int (*ask)(struct pages *p, const char *token, struct catalog_names *names, struct err *err);
    const struct client *client; /* for messages, as `what` */
    const char *what;
};

/* Asks for page after page. As catalog_ops.tables. */
int pages_list(struct pages *p, catalog_emit *emit, void *arg, struct err *err);

#endif
