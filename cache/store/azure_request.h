/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request to a container: its address, who asks, and what its answer means.
 *
 *   https://account.blob.core.windows.net/container/KEY
 *   ENDPOINT/account/container/KEY                        where the host does not name the account
 *
 * Azure resolves `.` and `..` in paths and takes `\` for `/`: a key that would lead elsewhere is
 * not asked for.
 */
#ifndef CACHE_STORE_AZURE_REQUEST_H
#define CACHE_STORE_AZURE_REQUEST_H

#include "cache/store/azure_auth.h"
#include "cache/store/remote.h"

/* Where a container is and who asks. Immutable. */
struct azure_container {
    char *base; /* "https://host:port/container": no final `/` */
    char *account, *name;
    char where[REMOTE_WHERE_BYTES]; /* "account NAME, container NAME" */
    struct azure_auth auth;
    int64_t deadline_ms;
    char *ca_bundle, *proxy_url; /* may be NULL */
};

void azure_container_done(struct azure_container *c);

struct azure_request {
    struct remote_request remote;
    const struct azure_container *container;
    const struct http_parameter *parameters; /* borrowed */
    size_t parameters_count;
    size_t query_end; /* in the URL: where a SAS begins */
    size_t path_end;  /* in the URL */
    char date[32];
};

static inline struct azure_request *azure_request_of(struct remote_request *q)
{
    return CONTAINER_OF(q, struct azure_request, remote);
}

/* Addresses it at this moment. -ENOENT for a key that no request can name. */
int azure_request_init(struct azure_request *q, const struct azure_container *container,
                       const struct remote_parts *parts, struct err *err);

extern const struct remote_ops azure_request_ops;

#endif
