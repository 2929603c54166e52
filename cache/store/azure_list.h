/* SPDX-License-Identifier: Apache-2.0 */
/* The XML that Azure answers List Blobs with. Pure. */
#ifndef CACHE_STORE_AZURE_LIST_H
#define CACHE_STORE_AZURE_LIST_H

#include "cache/store/s3_list.h"

/* 5,000 entries with names of 1,024 characters, metadata of 8 KiB and their frame. */
#define AZURE_PAGE_BYTES_MAX (64 * MIB)

/* Fills a page that was just initialised; its token is the marker. -EIO for what is no such page.
 */
int azure_page_parse(struct slice xml, struct s3_page *page, struct err *err);

#endif
