/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The single sources of credentials (credentials.h puts them in order). Private to credentials*.c.
 *
 * Each blocks, on a worker, and is bounded in time. Each returns 0 and the credentials; -ENOENT
 * where it is not set up, and the next one is to be asked; or why it failed: -EACCES it says no,
 * -EIO it does not answer, or not what it should. `err` is never NULL.
 */
#ifndef CACHE_STORE_CREDENTIALS_SOURCE_H
#define CACHE_STORE_CREDENTIALS_SOURCE_H

#include "cache/store/credentials.h"
#include "cache/store/region.h"

struct credentials_finder {
    struct store_options o; /* strings are owned */
    struct http *http;
    bool metadata_answered; /* so there is one, and its silence passes */
};

/* Asking (credentials_ask.c). */

struct credentials_question {
    const char *whom;         /* for messages: "STS" */
    const char *method, *url; /* "GET", "PUT", "POST" */
    const struct http_field *fields;
    size_t fields_count;
    struct slice upload;
    int64_t deadline_ms;
    bool direct; /* to this machine or its host: through no proxy */
};

#define CREDENTIALS_ANSWER_BYTES_MAX ((size_t)256 << 10)

/* 0: there was an answer: its status, and its body in text. */
int credentials_ask(const struct credentials_finder *f, const struct credentials_question *q,
                    struct buf *text, unsigned *status, struct err *err);

/* A file of the mount's owner: `~/` is HOME. -ENOENT where there is none. */
int credentials_read_file(const struct credentials_finder *f, const char *path, struct buf *text,
                          struct err *err);

/* The URL of an AWS service: what the environment names for it, or https://NAME.REGION.DOMAIN. */
int credentials_service_url(const char *given, const char *name, const char *region,
                            struct buf *out, struct err *err);

/* The message stays: they are not to be had. */
static inline int credentials_deny(struct err *err)
{
    err->code = EACCES;
    return -EACCES;
}

/* For buffers that had secrets in them. */
static inline void wiped_buf_done(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_done(b);
}
DEFINE_AUTO_DONE(wiped_buf, struct buf, wiped_buf_done)

/* Profiles (credentials_profile.c). Settings are empty where the files do not have them. */
struct credentials_profile {
    char name[128];
    char region[REGION_BYTES_MAX];
    char role_arn[2048], role_session_name[128], external_id[1224], duration_seconds[8];
    char mfa_serial[256], source_profile[128], credential_source[32], token_file[4096];
    char sso_session[128], sso_account_id[16], sso_role_name[128];
    char sso_start_url[512], sso_region[REGION_BYTES_MAX];
    char process[4096];
    struct credentials fixed; /* of aws_access_key_id and so on */
};

/* The text of both files; what is not there is empty. */
struct credentials_files {
    struct buf config, credentials;
};
int credentials_files_read(const struct credentials_finder *f, struct credentials_files *files,
                           struct err *err);
void credentials_files_done(struct credentials_files *files);

/* -ENOENT where neither file has it. */
int credentials_profile_read(const struct credentials_files *files, const char *name,
                             struct credentials_profile *p, struct err *err);

/* Sources that a profile or the environment names. */

/* STS AssumeRole, signed with `source`, which may be `out`. (credentials_sts.c) */
int credentials_from_role(const struct credentials_finder *f, const struct credentials_profile *p,
                          const struct credentials *source, struct credentials *out,
                          struct err *err);
/* STS AssumeRoleWithWebIdentity: role_arn, token_file. (credentials_sts.c) */
int credentials_from_web_identity(const struct credentials_finder *f,
                                  const struct credentials_profile *p, struct credentials *out,
                                  struct err *err);
/* (credentials_sso.c) */
int credentials_from_sso(const struct credentials_finder *f, const struct credentials_profile *p,
                         struct credentials *out, struct err *err);
/* (credentials_process.c) */
int credentials_from_process(const struct credentials_finder *f, const char *command,
                             struct credentials *out, struct err *err);
/* (credentials_host.c) */
int credentials_from_container(const struct credentials_finder *f, struct credentials *out,
                               struct err *err);
int credentials_from_metadata(const struct credentials_finder *f, struct credentials *out,
                              struct err *err);

#endif
