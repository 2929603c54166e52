/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URLs of stores. Pure.
 *
 *   s3://bucket/prefix                   AWS's own, or the endpoint that the options name
 *   s3+https://host:port/bucket/prefix   with its endpoint: the canonical form where there is one
 *   gs://bucket/prefix                   Google's own; gs+https://host:port/bucket/prefix likewise
 *   abfss://c@account.dfs.core.windows.net/prefix   Azure, see azure_url.h
 *   file:///dir                          percent-decoded once
 *   /dir, dir                            a directory's path, as it is
 *
 * A prefix is bytes, as the AWS tools take it: no percent-decoding, `?` and `#` are nothing
 * special. Credentials have no place in a URL: one that looks as if it held any is refused, and
 * no message repeats it.
 */
#ifndef CACHE_STORE_URL_H
#define CACHE_STORE_URL_H

#include "base/buf.h"

enum url_kind { URL_LOCAL, URL_S3, URL_GCS, URL_AZURE };

struct url {
    enum url_kind kind;
    char *path;     /* local: as given, not empty */
    char *endpoint; /* not local: "http://host:port" in canonical spelling, or NULL */
    char *bucket;   /* not local; Azure calls it a container */
    char *prefix;   /* not local: what stands before every key: empty, or ends in `/` */
    char *account;  /* Azure */
    char *host;     /* Azure: of the account's blobs, where no endpoint is named */
};

void url_done(struct url *u);
DEFINE_AUTO_DONE(url, struct url, url_done)

/* -EINVAL with a reason for what is none of the above; *out is untouched then. */
int url_parse(struct slice text, struct url *out, struct err *err);

/*
 * What messages and logs may repeat of a text that was given as a URL: all of what url_parse takes,
 * the scheme of what it refuses, which may hold a secret.
 */
struct slice url_shown(struct slice text);

/* An endpoint in canonical spelling, appended: scheme and host in lower case, no default port, no
 * final `/`. -EINVAL for anything but http or https and a host. */
int url_endpoint(struct slice text, struct buf *out, struct err *err);

/* The canonical form, of what is not local: parsed again it is the same store. */
void url_format(const struct url *u, struct buf *out);

#endif
