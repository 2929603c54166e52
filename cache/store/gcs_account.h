/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credential files of Google's tools (Application Default Credentials), and the form by which an
 * account of one asks for an access token. Pure: the time is given.
 *
 *   service_account   a signed statement, RS256 (RFC 7523 section 2.1, RFC 7515 appendix A.2)
 *   authorized_user   a refresh token (RFC 6749 section 6), as gcloud writes it
 *
 * The other types are refused by name.
 */
#ifndef CACHE_STORE_GCS_ACCOUNT_H
#define CACHE_STORE_GCS_ACCOUNT_H

#include "base/buf.h"

/* A key of 4,096 bits has 3.2 KiB as PEM. */
#define GCS_ACCOUNT_BYTES_MAX ((size_t)64 << 10)

struct gcs_account {
    bool is_user; /* authorized_user; else a service account */
    char *token_uri;
    char *client_email, *private_key, *private_key_id; /* service account; the id may be NULL */
    char *client_id, *client_secret, *refresh_token;   /* user */
};

/* Wipes what is secret. */
void gcs_account_done(struct gcs_account *a);
DEFINE_AUTO_DONE(gcs_account, struct gcs_account, gcs_account_done)

/*
 * Fills an account that is zeroed. -EINVAL with the reason: no such file, a type that is not
 * taken, a token_uri that would send secrets in the clear. No message has anything secret.
 */
int gcs_account_parse(struct slice json, struct gcs_account *out, struct err *err);

/*
 * Appends the form to send to token_uri. It is as secret as the token. -EINVAL where the private
 * key is none.
 */
int gcs_account_form(const struct gcs_account *a, int64_t now_ms, struct buf *form,
                     struct err *err);

#endif
