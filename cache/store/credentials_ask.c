/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>

#include "base/file.h"
#include "cache/store/credentials_source.h"
#include "cache/store/proxy.h"
#include "cache/store/url.h"

static bool ask_again(struct http_request *r)
{
    return r->answer.status >= 500 || r->answer.status == 429;
}

int credentials_ask(const struct credentials_finder *f, const struct credentials_question *q,
                    struct buf *text, unsigned *status, struct err *err)
{
    struct http_request r = {.method = q->method,
                             .url = q->url,
                             .fields = q->fields,
                             .fields_count = q->fields_count,
                             .ca_bundle = f->o.ca_bundle,
                             .proxy_url = q->direct ? NULL : proxy_for(&f->o, q->url),
                             .upload = q->upload,
                             .deadline_ms = q->deadline_ms,
                             .again = ask_again};
    buf_init(&r.text, CREDENTIALS_ANSWER_BYTES_MAX);
    http_run(f->http, &r);
    if (r.rc < 0) {
        wiped_buf_done(&r.text);
        return err_set(err, EIO, "%s: %s", q->whom, r.err.msg);
    }
    *status = r.answer.status;
    *text = r.text;
    return 0;
}

int credentials_read_file(const struct credentials_finder *f, const char *path, struct buf *text,
                          struct err *err)
{
    AUTO(buf) struct buf whole = {0};
    buf_init(&whole, 8192);
    if (path[0] == '~' && path[1] == '/' && f->o.home) {
        buf_add_str(&whole, f->o.home);
        path++;
    }
    buf_add_str(&whole, path);
    int rc = buf_check(&whole, err);
    return rc < 0 ? rc : file_read(AT_FDCWD, whole.data, text, err);
}

int credentials_service_url(const char *given, const char *name, const char *region,
                            struct buf *out, struct err *err)
{
    if (given)
        return url_endpoint(slice_of(given), out, err);
    if (!region_valid(region))
        return err_set(err, EINVAL, "%s is no region",
                       region[0] ? "what the profile names" : "\"\"");
    buf_addf(out, "https://%s.%s.%s", name, region, region_domain(region));
    return buf_check(out, err);
}
