/* SPDX-License-Identifier: Apache-2.0 */
/* A credential file and a token endpoint's answer that mean harm: refused, or whole, never a crash.
 */
#include <assert.h>

#include "cache/store/gcs_account.h"
#include "cache/store/oauth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    AUTO(gcs_account) struct gcs_account a = {0};
    int rc = gcs_account_parse(slice_make(data, size), &a, &err);
    assert(rc == -err.code);
    if (rc == 0) {
        assert(a.token_uri && (a.is_user ? a.client_id && a.client_secret && a.refresh_token
                                         : a.client_email && a.private_key));
        AUTO(buf) struct buf form = {0};
        buf_init(&form, 4 * GCS_ACCOUNT_BYTES_MAX);
        (void)gcs_account_form(&a, 0, &form, NULL); /* most keys are none */
    }
    static struct oauth_token token;
    int64_t expires_ms = 0;
    err = (struct err)ERR_INIT;
    rc = oauth_parse(slice_make(data, size), 0, &token, &expires_ms, &err);
    assert(rc == -err.code && expires_ms >= 0);
    for (const char *p = token.text; rc == 0 && *p; p++)
        assert(*p > ' ' && *p < 0x7f);
    return 0;
}
