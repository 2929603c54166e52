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
#include "cache/store/oauth.h"

/* Where a container is and who asks. Immutable. */
struct azure_container {
    char *base; /* "https://host:port/container": no final `/` */
    char *account, *name;
    struct azure_auth auth;
    int64_t deadline_ms;
    char *ca_bundle, *proxy_url; /* may be NULL */
};

void azure_container_done(struct azure_container *c);

/* Of an answer that should have none but an error's sentence. */
#define AZURE_ERROR_BYTES_MAX (64 * KIB)

struct azure_request {
    struct http_request http; /* its `text` holds the body of a listing or an error */
    const struct azure_container *container;
    const char *key; /* whole, for messages; borrowed */

    /* What http points to. */
    struct http_field fields[AZURE_FIELDS_MAX];
    struct buf url, authorization;
    char range[64], date[32];
};

struct azure_parts {
    const char *method;
    const char *key; /* whole; empty: the container. Must live as long as the request */
    const struct azure_parameter *parameters;
    size_t parameters_count;
    uint64_t offset, length; /* range; length 0: none. Their sum must not overflow */
    const char *if_match;    /* must live as long as the request */
    bool if_absent;
    struct slice upload; /* likewise */
    size_t text_max;     /* of the answer's body */
};

/*
 * Addresses and signs at this moment. `token`: where the container's auth is AZURE_TOKEN. -ENOENT
 * for a key that no request can name. azure_request_done also where it failed.
 */
int azure_request_init(struct azure_request *q, const struct azure_container *container,
                       const struct azure_parts *parts, const struct oauth_token *token,
                       struct err *err);
void azure_request_done(struct azure_request *q);
DEFINE_AUTO_DONE(azure_request, struct azure_request, azure_request_done)

/*
 * 0 where the answer is a success. Else the errno of the table in azure_status.h, and a message
 * that names account, container, key, status, Azure's code and sentence, and the request's id.
 */
int azure_request_check(const struct azure_request *q, struct err *err);

/* As above with a reason of our own: an answer that cannot be right. Returns -code. */
int azure_request_refuse(const struct azure_request *q, int code, const char *why, struct err *err);

/* For http.again: the status or code says that it may go better. */
bool azure_request_retryable(const struct azure_request *q);

/*
 * The token that was sent was not taken: it is rejected, so that the next one is another. The same
 * request may be sent again with that.
 */
bool azure_request_token_refused(const struct azure_request *q);

#endif
