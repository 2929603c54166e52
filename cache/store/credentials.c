/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/credentials.h"

#include "cache/store/credentials_parse.h"
#include "cache/store/credentials_source.h"
#include "cache/store/settings.h"
#include "cache/store/vended.h"

/* Profiles that a role is reached through. */
#define PROFILES_MAX 5

static int from_profile(const struct credentials_finder *f, const struct credentials_files *files,
                        const char *name, unsigned depth, struct credentials *out, struct err *err);

static int from_environment(const struct credentials_finder *f, struct credentials *out,
                            struct err *err)
{
    struct credentials c = {0};
    if (!f->o.access_key_id || !f->o.secret_access_key)
        return err_set(err, ENOENT, "no keys in the environment");
    if (!credentials_copy(c.access_key_id, sizeof c.access_key_id, slice_of(f->o.access_key_id)) ||
        !credentials_copy(c.secret_access_key, sizeof c.secret_access_key,
                          slice_of(f->o.secret_access_key)) ||
        !credentials_copy(c.session_token, sizeof c.session_token, slice_of(f->o.session_token)))
        return err_set(err, EINVAL, "the credentials are too long, or have control characters");
    *out = c;
    return 0;
}

static int from_credential_source(const struct credentials_finder *f,
                                  const struct credentials_profile *p, struct credentials *out,
                                  struct err *err)
{
    int rc;
    if (strcmp(p->credential_source, "Environment") == 0)
        rc = from_environment(f, out, err);
    else if (strcmp(p->credential_source, "EcsContainer") == 0)
        rc = credentials_from_container(f, out, err);
    else if (strcmp(p->credential_source, "Ec2InstanceMetadata") == 0)
        rc = credentials_from_metadata(f, out, err);
    else
        rc = err_set(err, EACCES, "unknown credential_source");
    if (rc == -ENOENT)
        rc = err_set(err, EACCES, "credential_source %s gives none", p->credential_source);
    return rc < 0 ? err_wrap(err, "profile %s", p->name) : 0;
}

static int from_keys(const struct credentials_profile *p, struct credentials *out, struct err *err)
{
    if (!p->fixed.access_key_id[0])
        return err_set(err, ENOENT, "profile %s has no keys", p->name);
    if (!p->fixed.secret_access_key[0])
        return err_set(err, EACCES, "profile %s: aws_secret_access_key is missing", p->name);
    *out = p->fixed;
    return 0;
}

/* Whose keys ask for a role end the chain of profiles, even where they have a role too. */
static bool ends_chain(const struct credentials_profile *p, unsigned depth)
{
    return depth > 0 && p->fixed.access_key_id[0];
}

/* The role of a profile that names whose credentials ask for it; -ENOENT: it names none. */
static int from_role(const struct credentials_finder *f, const struct credentials_files *files,
                     const struct credentials_profile *p, unsigned depth, struct credentials *out,
                     struct err *err)
{
    struct credentials source = {0};
    int rc;
    if (!p->role_arn[0] || p->token_file[0] || ends_chain(p, depth))
        return err_set(err, ENOENT, "no role");
    if (!p->source_profile[0] && !p->credential_source[0]) /* its keys are another identity's */
        return err_set(err, EACCES,
                       "profile %s: role_arn without source_profile, credential_source or "
                       "web_identity_token_file",
                       p->name);
    if (p->source_profile[0] && p->credential_source[0])
        return err_set(err, EACCES, "profile %s: both source_profile and credential_source",
                       p->name);
    if (p->credential_source[0])
        rc = from_credential_source(f, p, &source, err);
    else if (strcmp(p->source_profile, p->name) == 0)
        rc = from_keys(p, &source, err);
    else
        rc = from_profile(f, files, p->source_profile, depth + 1, &source, err);
    if (rc == -ENOENT)
        rc = err_set(err, EACCES, "source_profile %s has no credentials", p->source_profile);
    if (rc == 0)
        rc = credentials_from_role(f, p, &source, out, err);
    explicit_bzero(&source, sizeof source);
    return rc < 0 ? err_wrap(err, "profile %s", p->name) : 0;
}

/* What a profile has besides a role with its source. */
static int from_profile_itself(const struct credentials_finder *f,
                               const struct credentials_profile *p, struct credentials *out,
                               struct err *err)
{
    int rc;
    if (p->role_arn[0] && p->token_file[0])
        rc = credentials_from_web_identity(f, p, out, err);
    else if (p->sso_account_id[0] && p->sso_role_name[0])
        rc = credentials_from_sso(f, p, out, err);
    else if (p->fixed.access_key_id[0])
        rc = from_keys(p, out, err);
    else if (p->process[0])
        rc = credentials_from_process(f, p->process, out, err);
    else
        return err_set(err, ENOENT, "profile %s has no credentials", p->name);
    return rc < 0 ? err_wrap(err, "profile %s", p->name) : 0;
}

static int from_profile(const struct credentials_finder *f, const struct credentials_files *files,
                        const char *name, unsigned depth, struct credentials *out, struct err *err)
{
    if (depth >= PROFILES_MAX)
        return err_set(err, EACCES, "profile %.100s: more than %d profiles lead to it", name,
                       PROFILES_MAX);
    struct credentials_profile *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ENOMEM, "out of memory");
    int rc = credentials_profile_read(files, name, p, err);
    if (rc == 0) {
        rc = from_role(f, files, p, depth, out, err);
        if (rc == -ENOENT)
            rc = from_profile_itself(f, p, out, err);
    }
    explicit_bzero(p, sizeof *p);
    free(p);
    return rc;
}

/* AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, as Kubernetes sets them. */
static int from_environment_role(const struct credentials_finder *f, struct credentials *out,
                                 struct err *err)
{
    const struct store_options *o = &f->o;
    if (!o->aws_role_arn || !o->aws_token_file)
        return err_set(err, ENOENT, "no web identity");
    struct credentials_profile *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ENOMEM, "out of memory");
    bool fits =
        credentials_copy(p->role_arn, sizeof p->role_arn, slice_of(o->aws_role_arn)) &&
        credentials_copy(p->token_file, sizeof p->token_file, slice_of(o->aws_token_file)) &&
        credentials_copy(p->role_session_name, sizeof p->role_session_name,
                         slice_of(o->aws_role_session_name));
    int rc = fits ? credentials_from_web_identity(f, p, out, err)
                  : err_set(err, EACCES, "AWS_ROLE_ARN or what belongs to it is too long");
    free(p);
    return rc;
}

/* The profile in use. -ENOENT: it has none, and need not. */
static int from_chosen_profile(const struct credentials_finder *f, struct credentials *out,
                               struct err *err)
{
    const char *name = f->o.aws_profile;
    struct credentials_files files = {0};
    int rc = credentials_files_read(f, &files, err);
    if (rc == 0)
        rc = from_profile(f, &files, name ? name : "default", 0, out, err);
    if (rc == -ENOENT && name)
        rc = credentials_deny(err);
    credentials_files_done(&files);
    return rc;
}

/* Nothing but silence from where the metadata service would be: this is no instance. */
static int from_instance(struct credentials_finder *f, struct credentials *out, struct err *err)
{
    int rc = credentials_from_metadata(f, out, err);
    if (rc == 0)
        f->metadata_answered = true;
    if (rc == -EIO && !f->metadata_answered)
        return err_set(err, ENOENT,
                       "no metadata service answers (a container needs a hop limit of 2)");
    return rc;
}

static int find(struct credentials_finder *f, struct credentials *out, struct err *err)
{
    bool environment = !f->o.aws_profile_chosen;
    int rc = environment ? from_environment(f, out, err) : -ENOENT;
    if (rc == -ENOENT && environment)
        rc = from_environment_role(f, out, err);
    if (rc == -ENOENT)
        rc = from_chosen_profile(f, out, err);
    if (rc == -ENOENT)
        rc = credentials_from_container(f, out, err);
    if (rc == -ENOENT)
        rc = from_instance(f, out, err);
    if (rc == -ENOENT) {
        struct err why = *err; /* the metadata service's */
        return err_set(err, EACCES,
                       "no credentials for S3: not in the environment, in no profile, and %.200s; "
                       "--no-sign-request asks without",
                       why.msg);
    }
    return rc;
}

static int fetch(void *arg, void *out, int64_t *expires_ms, struct err *err)
{
    struct credentials *c = out;
    struct err why = ERR_INIT;
    int rc = find(arg, c, &why);
    *expires_ms = c->expires_ms;
    if (rc < 0)
        return err_set(err, rc == -EACCES || rc == -ENOMEM ? -rc : EIO, "%s", why.msg);
    return 0;
}

static void finder_free(void *arg)
{
    struct credentials_finder *f = arg;
    settings_done(&f->o);
    free(f);
}

struct renewed *credentials_new(const struct store_options *o, struct http *http,
                                struct workers *secrets, struct err *err)
{
    if (o->vended)
        return vended_keys(o->vended, err);
    struct credentials_finder *f = calloc(1, sizeof *f);
    if (!f || settings_copy(&f->o, o) < 0) {
        if (f)
            finder_free(f);
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    f->http = http;
    struct renewed *r = renewed_new(
        &(struct renewed_source){
            .bytes = sizeof(struct credentials), .fetch = fetch, .free = finder_free, .arg = f},
        secrets, err);
    if (!r)
        finder_free(f);
    return r;
}
