/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who asks Cloud Storage. The first of these that the mount's options name:
 *
 *   no_sign_request          nobody: public buckets
 *   vended                   what a catalog gives for this bucket (cache/store/vended.h)
 *   gcs_access_key_id        an HMAC key, by which every request is signed
 *   gcs_access_token         a bearer token as it is; nobody renews it
 *   gcs_credentials_file     an account (cache/store/gcs_account.h), which asks for tokens
 *   gcloud's own file        the same: CONFIG/application_default_credentials.json, where it is
 *   the metadata service     of Google's machines
 *
 * The last two are what a machine has for Google: another server (an emulator) gets nothing of
 * them, and is asked by nobody, unless gcloud's directory or the service's address is named.
 *
 * Files are read again for every token. Tokens are renewed beside their use; the metadata service
 * is never asked through a proxy.
 */
#ifndef CACHE_STORE_GCS_AUTH_H
#define CACHE_STORE_GCS_AUTH_H

#include "cache/store/oauth.h"
#include "cache/store/renewed.h"
#include "cache/store/store.h"

/* Immutable after gcs_auth_init. Neither key nor tokens: nobody asks. */
struct gcs_auth {
    char *access_key_id, *secret_access_key;
    struct renewed *tokens; /* of struct oauth_token */
};

/*
 * Fills what is zeroed; asks nobody yet. `googles`: the server is Google's own. -EINVAL for half of
 * an HMAC key, for a token that is none, and for a file that is missing, damaged or of a type that
 * is not taken. gcs_auth_done also where it failed.
 */
int gcs_auth_init(struct gcs_auth *auth, const struct store_options *options, bool googles,
                  const struct store_runtime *runtime, struct err *err);

/* Waits for a token that is being fetched. */
void gcs_auth_done(struct gcs_auth *auth);

#endif
