/* SPDX-License-Identifier: Apache-2.0 */
/* What an answer of Azure's means: its error codes before the table of statuses in status.h. Pure.
 */
#ifndef CACHE_STORE_AZURE_STATUS_H
#define CACHE_STORE_AZURE_STATUS_H

#include "base/slice.h"

/* As status_errno and status_retryable. `code` is x-ms-error-code's, which HEAD has too. */
int azure_status_errno(unsigned status, struct slice code);
bool azure_status_retryable(unsigned status, struct slice code);

/* The token is none that counts now; not that its owner lacks a right. */
bool azure_status_token_refused(unsigned status, struct slice code);

#endif
