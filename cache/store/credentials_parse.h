/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sources of credentials answer with, read into structs: bounded, nothing is cut, and no
 * text has control characters. Messages never quote the answer. Pure.
 */
#ifndef CACHE_STORE_CREDENTIALS_PARSE_H
#define CACHE_STORE_CREDENTIALS_PARSE_H

#include "base/buf.h"
#include "cache/store/credentials.h"

/* A text of n bytes at most, zero included: false where it is longer, or has control characters. */
bool credentials_copy(char *to, size_t n, struct slice text);

/*
 * A JSON object with AccessKeyId, SecretAccessKey, Token or SessionToken, Expiration: the output of
 * credential_process (Version 1), a container's and the metadata service's answer, and, with
 * names that begin in lower case and an expiration in milliseconds, SSO's. Objects inside (SSO's
 * roleCredentials) are entered. -EACCES with the source's own Code and Message where it says no.
 */
int credentials_parse_json(struct slice text, struct credentials *out, struct err *err);

/* STS's answer to AssumeRole and AssumeRoleWithWebIdentity (XML). */
int credentials_parse_sts(struct slice text, struct credentials *out, struct err *err);

/* A sign-in that `aws sso login` left. Texts are empty where not told. */
struct credentials_sign_in {
    char access_token[CREDENTIALS_TOKEN_BYTES_MAX];
    int64_t expires_ms;
    /* for another one, without a browser */
    char refresh_token[CREDENTIALS_TOKEN_BYTES_MAX];
    char client_id[CREDENTIALS_KEY_BYTES_MAX];
    char client_secret[CREDENTIALS_TOKEN_BYTES_MAX];
};
int credentials_parse_sign_in(struct slice text, struct credentials_sign_in *out, struct err *err);

/* The answer of OIDC CreateToken, laid over the sign-in that it was asked with. */
int credentials_parse_new_token(struct slice text, int64_t now_ms, struct credentials_sign_in *io,
                                struct err *err);

/*
 * The words of a command line, as a POSIX shell parts them (2.2 Quoting), and nothing else of a
 * shell: each with a zero behind it, appended to out; *count of them. -EINVAL: an open quote.
 */
int credentials_split(struct slice command, struct buf *out, size_t *count, struct err *err);

#endif
