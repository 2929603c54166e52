/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "cache/store/credentials_parse.h"
#include "cache/store/credentials_source.h"
#include "cache/store/ini.h"

/* Hand-written files; some hold hundreds of profiles. */
#define FILE_BYTES_MAX ((size_t)1 << 20)

static const struct row {
    const char *key;
    size_t offset, n;
} rows[] = {
#define ROW(key, field)                                                                            \
    {                                                                                              \
        key, offsetof(struct credentials_profile, field),                                          \
            sizeof((struct credentials_profile *)NULL)->field                                      \
    }
    ROW("region", region),
    ROW("role_arn", role_arn),
    ROW("role_session_name", role_session_name),
    ROW("external_id", external_id),
    ROW("duration_seconds", duration_seconds),
    ROW("mfa_serial", mfa_serial),
    ROW("source_profile", source_profile),
    ROW("credential_source", credential_source),
    ROW("web_identity_token_file", token_file),
    ROW("sso_session", sso_session),
    ROW("sso_account_id", sso_account_id),
    ROW("sso_role_name", sso_role_name),
    ROW("sso_start_url", sso_start_url),
    ROW("sso_region", sso_region),
    ROW("credential_process", process),
    ROW("aws_access_key_id", fixed.access_key_id),
    ROW("aws_secret_access_key", fixed.secret_access_key),
    ROW("aws_session_token", fixed.session_token),
#undef ROW
};

static int read_optional(const struct credentials_finder *f, const char *given,
                         const char *otherwise, struct buf *text, struct err *err)
{
    struct err why = ERR_INIT;
    buf_init(text, FILE_BYTES_MAX);
    if (!given && !f->o.home)
        return 0; /* nobody's */
    int rc = credentials_read_file(f, given ? given : otherwise, text, &why);
    if (rc < 0 && rc != -ENOENT && rc != -ENOTDIR)
        return err_copy(err, &why);
    return 0;
}

int credentials_files_read(const struct credentials_finder *f, struct credentials_files *files,
                           struct err *err)
{
    int rc = read_optional(f, f->o.aws_config_file, "~/.aws/config", &files->config, err);
    if (rc == 0)
        rc = read_optional(f, f->o.aws_credentials_file, "~/.aws/credentials", &files->credentials,
                           err);
    return rc;
}

void credentials_files_done(struct credentials_files *files)
{
    wiped_buf_done(&files->config);
    wiped_buf_done(&files->credentials);
}

/* One section's settings over those that are there. */
static int read_section(struct slice text, const char *kind, const char *name,
                        struct credentials_profile *p, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        struct slice value;
        if (ini_find(text, kind, name, rows[i].key, &value) &&
            !credentials_copy((char *)p + rows[i].offset, rows[i].n, value))
            return err_set(err, EINVAL, "profile %.100s: %s is too long", name, rows[i].key);
    }
    return 0;
}

int credentials_profile_read(const struct credentials_files *files, const char *name,
                             struct credentials_profile *p, struct err *err)
{
    struct slice config = buf_slice(&files->config), secrets = buf_slice(&files->credentials);
    /* Only the default one may stand without the word. */
    const char *kind =
        strcmp(name, "default") == 0 && !ini_has_section(config, "profile", name) ? "" : "profile";
    *p = (struct credentials_profile){0};
    if (!ini_has_section(config, kind, name) && !ini_has_section(secrets, "", name))
        return err_set(err, ENOENT, "there is no profile %.100s", name);
    if (!credentials_copy(p->name, sizeof p->name, slice_of(name)))
        return err_set(err, EINVAL, "a profile's name is too long");
    int rc = read_section(config, kind, name, p, err);
    if (rc == 0)
        rc = read_section(secrets, "", name, p, err);
    if (rc == 0 && p->sso_session[0]) {
        struct credentials_profile session = {0};
        rc = read_section(config, "sso-session", p->sso_session, &session, err);
        if (rc == 0 && session.sso_region[0])
            memcpy(p->sso_region, session.sso_region, sizeof p->sso_region);
        if (rc == 0 && session.sso_start_url[0])
            memcpy(p->sso_start_url, session.sso_start_url, sizeof p->sso_start_url);
    }
    return rc;
}
