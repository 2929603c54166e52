/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks a catalog: nothing, a bearer token (RFC 6750), one that a server gives for client
 * credentials (RFC 6749 section 4.4), or AWS Signature Version 4.
 *
 * Secrets are fetched by a thread of the signer's own, beside their use (cache/store/renewed.h).
 */
#ifndef LAKE_CATALOG_SIGNER_H
#define LAKE_CATALOG_SIGNER_H

#include "cache/store/credentials.h"
#include "cache/store/oauth.h"
#include "lake/catalog/options.h"

struct signer;

/* `uri` is the catalog's, as requests begin. -EINVAL for options that do not go together. */
int signer_new(const struct catalog_options *o, const char *uri, struct http *http,
               struct signer **out, struct err *err);
void signer_free(struct signer *s);
DEFINE_AUTO(signer, struct signer *, signer_free)

/* What one request is signed with; it must live as long as the request. signature_done wipes. */
struct signature {
    struct http_field fields[6]; /* to be sent besides */
    size_t fields_n;
    struct buf authorization, host;
    char date[24], sha256[65];
    union {
        struct oauth_token token;
        struct credentials credentials;
    } used;
    bool has_secret;
};
void signature_done(struct signature *s);
DEFINE_AUTO_DONE(signature, struct signature, signature_done)

struct signer_request {
    const char *method;
    const char *url;    /* percent-encoded, without the query */
    struct slice query; /* as sigv4_query makes it */
    struct slice upload;
    bool json; /* the upload's type */
};

/*
 * Says who asks. Blocks until there is a token. *out is zeroed before. -EACCES there is none, or it
 * is refused by who gives it; -EIO who gives it does not answer.
 */
int signer_sign(struct signer *s, const struct signer_request *r, struct signature *out,
                struct err *err);

/* The catalog takes it no more. True where another try may go better. */
bool signer_reject(struct signer *s, const struct signature *used);

#endif
