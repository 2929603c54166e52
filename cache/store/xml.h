/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small XML that object stores answer with: a root, lines below it, fields in some lines.
 * Hostile input: no document type (so no entities), bounded depth and text. Pure.
 */
#ifndef CACHE_STORE_XML_H
#define CACHE_STORE_XML_H

#include "base/buf.h"

/* An element that ends. Borrowed for the call; names are without their namespace's prefix. */
struct xml_element {
    unsigned depth;      /* the root's is 1 */
    struct slice name;   /* cut at 63 bytes */
    struct slice parent; /* empty for the root */
    struct slice root;
    struct slice text; /* of the element itself, as UTF-8; only where it has no children; its p is
                          not NULL */
    bool encoded;      /* it says Encoded="true": Azure percent-encoded what XML cannot hold */
};

/*
 * Calls `end` for each element as it ends; other than 0 stops and is returned (end sets err then).
 * -EIO for what is not well-formed, deeper than 16 or has a text of more than text_max bytes.
 */
int xml_walk(struct slice document, size_t text_max,
             int (*end)(void *arg, const struct xml_element *element, struct err *err), void *arg,
             struct err *err);

/* The text of an element, escaped, appended. */
void xml_add_text(struct buf *out, struct slice text);

#endif
