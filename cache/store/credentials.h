/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AWS credentials, found where the AWS tools find them and in their order:
 *
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY     unless an option names a profile
 *   AWS_ROLE_ARN, AWS_WEB_IDENTITY_TOKEN_FILE    likewise: STS AssumeRoleWithWebIdentity
 *   the profile (~/.aws/config, ~/.aws/credentials):
 *       role_arn with source_profile or credential_source      STS AssumeRole
 *       role_arn with web_identity_token_file                  STS AssumeRoleWithWebIdentity
 *       sso_account_id, sso_role_name                          SSO, by its cached sign-in
 *       aws_access_key_id; credential_process
 *   AWS_CONTAINER_CREDENTIALS_*                  ECS, EKS Pod Identity
 *   the instance's metadata service              IMDSv2
 *
 * The first that is there decides: if it fails, the ones behind it are not asked. Files are read
 * anew each time, as others change them. Environment and files are those of whoever mounts.
 */
#ifndef CACHE_STORE_CREDENTIALS_H
#define CACHE_STORE_CREDENTIALS_H

#include "cache/store/http.h"
#include "cache/store/renewed.h"
#include "cache/store/store.h"

/* IAM says 128 of an id; ids and secrets of other servers are longer. */
#define CREDENTIALS_KEY_BYTES_MAX 512
/* STS promises no maximum; real ones have some 1,000. */
#define CREDENTIALS_TOKEN_BYTES_MAX 8192

/* Texts without control characters; no token: empty. */
struct credentials {
    int64_t expires_ms; /* clock_real_ms; 0: never */
    char access_key_id[CREDENTIALS_KEY_BYTES_MAX];
    char secret_access_key[CREDENTIALS_KEY_BYTES_MAX];
    char session_token[CREDENTIALS_TOKEN_BYTES_MAX];
};

/*
 * The credentials of these options, as a value of struct credentials. Options are copied, the
 * engine is borrowed. What is found wrong in the options alone: NULL and -EINVAL; all else is
 * told to whoever wants the value: -EACCES there are none or they are refused, -EIO who was to
 * give them does not answer.
 */
struct renewed *credentials_new(const struct store_options *o, struct http *http,
                                struct workers *secrets, struct err *err);

#endif
