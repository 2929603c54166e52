/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/refusal.h"

#define SHOWN_KEY_BYTES 160

int refusal_set(const struct http_request *r, const char *bucket, const char *key, int code,
                const char *why, struct err *err)
{
    const struct http_answer *a = &r->answer;
    struct slice shown = slice_of(key);
    bool cut = shown.n > SHOWN_KEY_BYTES;
    if (cut)
        shown = slice_from(shown, shown.n - SHOWN_KEY_BYTES);
    char status[24] = "no answer", id[128] = "";
    if (a->status)
        (void)snprintf(status, sizeof status, "HTTP %u", a->status); /* three digits fit */
    if (a->request_id[0])
        (void)snprintf(id, sizeof id, " (request %.90s)", a->request_id); /* likewise */
    return err_set(err, code, "%s bucket %.63s%s%s%.*s: %s%s: %s", r->method, bucket,
                   shown.n ? ", key " : "", cut ? "..." : "", SLICE_FMT(shown), status, id, why);
}
