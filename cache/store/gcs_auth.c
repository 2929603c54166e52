/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/gcs_auth.h"

#include <fcntl.h>
#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/file.h"
#include "cache/store/gcs_account.h"
#include "cache/store/proxy.h"
#include "cache/store/url.h"
#include "cache/store/vended.h"

#define METADATA_HOST "metadata.google.internal"
#define METADATA_TOKEN "/computeMetadata/v1/instance/service-accounts/default/token"
#define DEFAULT_FILE "application_default_credentials.json"
/* A request waits for its token; less than its own deadline, so that the reason is told. */
#define TOKEN_DEADLINE_MS 20000
#define METADATA_DEADLINE_MS 10000
#define FORM_BYTES_MAX (64 * KIB)

/* Where tokens come from: one of the first three. */
struct source {
    struct http *http; /* immutable, as all */
    char *given;       /* a token */
    char *file;        /* an account's */
    char *url;         /* the metadata service's */
    char *ca_bundle, *proxy_url;
};

static void wipe(char *secret)
{
    if (secret)
        OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}

static void source_free(void *arg)
{
    struct source *s = arg;
    if (!s)
        return;
    wipe(s->given);
    free(s->file);
    free(s->url);
    free(s->ca_bundle);
    free(s->proxy_url);
    free(s);
}
DEFINE_AUTO(source, struct source *, source_free)

/* fetching, on a worker */

/* Whatever is wrong with it is `code`: it is no object that does not exist. */
static int read_account(const char *path, int code, struct gcs_account *out, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    struct err why = ERR_INIT;
    buf_init(&text, GCS_ACCOUNT_BYTES_MAX);
    int rc = file_read(AT_FDCWD, path, &text, &why);
    if (rc == 0)
        rc = gcs_account_parse(buf_slice(&text), out, &why);
    if (text.data)
        OPENSSL_cleanse(text.data, text.cap);
    return rc < 0 ? err_set(err, code, "credentials %.200s: %.250s", path, why.msg) : 0;
}

static int fetch_by_account(const struct source *s, struct oauth_token *out, int64_t *expires_ms,
                            struct err *err)
{
    AUTO(gcs_account) struct gcs_account account = {0};
    AUTO(buf) struct buf form = {0};
    struct err why = ERR_INIT;
    buf_init(&form, FORM_BYTES_MAX);
    int rc = read_account(s->file, EACCES, &account, err);
    if (rc == 0 && gcs_account_form(&account, clock_real_ms(), &form, &why) < 0)
        rc = err_set(err, EACCES, "credentials %.200s: %.250s", s->file, why.msg);
    if (rc == 0) {
        struct oauth_request r = {.url = account.token_uri,
                                  .form = buf_slice(&form),
                                  .ca_bundle = s->ca_bundle,
                                  .proxy_url = s->proxy_url,
                                  .deadline_ms = TOKEN_DEADLINE_MS};
        rc = oauth_fetch(s->http, &r, out, expires_ms, err);
    }
    if (form.data)
        OPENSSL_cleanse(form.data, form.cap);
    return rc;
}

static int fetch_by_metadata(const struct source *s, struct oauth_token *out, int64_t *expires_ms,
                             struct err *err)
{
    struct http_field flavor = {"metadata-flavor", "Google"};
    struct oauth_request r = {
        .url = s->url, .fields = &flavor, .fields_count = 1, .deadline_ms = METADATA_DEADLINE_MS};
    int rc = oauth_fetch(s->http, &r, out, expires_ms, err);
    return rc < 0 ? err_wrap(err, "no credentials for Cloud Storage are configured, and the "
                                  "metadata service gives none")
                  : 0;
}

static int fetch(void *arg, void *out, int64_t *expires_ms, struct err *err)
{
    const struct source *s = arg;
    if (s->given)
        return oauth_token_set(out, slice_of(s->given), err);
    if (s->file)
        return fetch_by_account(s, out, expires_ms, err);
    return fetch_by_metadata(s, out, expires_ms, err);
}

/* choosing */

static bool has(const char *text)
{
    return text && *text;
}

static int copy(char **to, const char *text, struct err *err)
{
    if (!has(text))
        return 0;
    *to = strdup(text);
    return *to ? 0 : err_set(err, ENOMEM, "out of memory");
}

/* gcloud's own file, NULL where there is none. */
static int find_default_file(const struct store_options *o, char **out, struct err *err)
{
    AUTO_FREE char *path = NULL;
    int n = 0;
    if (has(o->gcs_config_dir))
        n = asprintf(&path, "%s/" DEFAULT_FILE, o->gcs_config_dir);
    else if (has(o->home))
        n = asprintf(&path, "%s/.config/gcloud/" DEFAULT_FILE, o->home);
    if (n < 0) {
        path = NULL;
        return err_set(err, ENOMEM, "out of memory");
    }
    if (path && *path == '/' && access(path, F_OK) == 0)
        *out = STEAL(path);
    return 0;
}

/* A file that could not be used is told of now, not by the first read. */
static int choose_file(struct source *s, const struct store_options *o, struct err *err)
{
    AUTO(gcs_account) struct gcs_account account = {0};
    if (has(o->gcs_credentials_file) && o->gcs_credentials_file[0] != '/')
        return err_set(err, EINVAL, "GOOGLE_APPLICATION_CREDENTIALS: %.200s is no absolute path",
                       o->gcs_credentials_file);
    int rc = has(o->gcs_credentials_file) ? copy(&s->file, o->gcs_credentials_file, err)
                                          : find_default_file(o, &s->file, err);
    if (rc == 0 && s->file)
        rc = read_account(s->file, EINVAL, &account, err);
    return rc == 0 && s->file ? copy(&s->proxy_url, proxy_for(o, account.token_uri), err) : rc;
}

static int choose_metadata(struct source *s, const struct store_options *o, struct err *err)
{
    AUTO(buf) struct buf host = {0}, url = {0};
    buf_init(&host, URL_BYTES_MAX);
    buf_init(&url, URL_BYTES_MAX);
    if (has(o->gcs_no_metadata) && strcasecmp(o->gcs_no_metadata, "true") == 0)
        return err_set(err, EINVAL,
                       "no credentials for Cloud Storage: an HMAC key, a token, a file of an "
                       "account, or no-sign-request");
    buf_addf(&host, "http://%s", has(o->gcs_metadata_host) ? o->gcs_metadata_host : METADATA_HOST);
    int rc = buf_check(&host, err);
    if (rc == 0 && (rc = url_endpoint(buf_slice(&host), &url, err)) < 0)
        return err_wrap(err, "GCE_METADATA_HOST");
    buf_add_str(&url, METADATA_TOKEN);
    s->url = buf_steal_str(&url);
    return rc == 0 && !s->url ? err_set(err, ENOMEM, "out of memory") : rc;
}

/* 0: *s says where tokens come from, or nothing where nobody asks. */
static int choose(struct source *s, const struct store_options *o, bool googles, struct err *err)
{
    bool metadata = googles || has(o->gcs_metadata_host);
    bool default_file = googles || has(o->gcs_config_dir);
    struct oauth_token probe;
    int rc = 0;
    if (has(o->gcs_access_token)) {
        rc = oauth_token_set(&probe, slice_of(o->gcs_access_token), err);
        OPENSSL_cleanse(&probe, sizeof probe);
        return rc < 0 ? rc : copy(&s->given, o->gcs_access_token, err);
    }
    if (default_file || has(o->gcs_credentials_file))
        rc = choose_file(s, o, err);
    if (rc == 0 && !s->file && metadata)
        rc = choose_metadata(s, o, err);
    return rc;
}

static int init_key(struct gcs_auth *auth, const struct store_options *o, struct err *err)
{
    if (!has(o->gcs_access_key_id) || !has(o->gcs_secret_access_key))
        return err_set(err, EINVAL,
                       "half of an HMAC key: GS_ACCESS_KEY_ID and "
                       "GS_SECRET_ACCESS_KEY belong together");
    for (const char *p = o->gcs_access_key_id; *p; p++)
        if (*p <= ' ' || *p >= 0x7f)
            return err_set(err, EINVAL, "GS_ACCESS_KEY_ID has strange characters");
    int rc = copy(&auth->access_key_id, o->gcs_access_key_id, err);
    return rc < 0 ? rc : copy(&auth->secret_access_key, o->gcs_secret_access_key, err);
}

int gcs_auth_init(struct gcs_auth *auth, const struct store_options *o, bool googles,
                  const struct store_runtime *runtime, struct err *err)
{
    if (o->no_sign_request)
        return 0;
    if (o->vended)
        return (auth->tokens = vended_tokens(o->vended, err)) ? 0 : -ENOMEM;
    if (has(o->gcs_access_key_id) || has(o->gcs_secret_access_key))
        return init_key(auth, o, err);
    AUTO(source) struct source *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(err, ENOMEM, "out of memory");
    s->http = runtime->http;
    int rc = choose(s, o, googles, err);
    if (rc == 0)
        rc = copy(&s->ca_bundle, o->ca_bundle, err);
    if (rc < 0 || !(s->given || s->file || s->url))
        return rc;
    struct renewed_source tokens = {
        .bytes = sizeof(struct oauth_token), .fetch = fetch, .free = source_free, .arg = s};
    auth->tokens = renewed_new(&tokens, runtime->secrets, err);
    if (!auth->tokens)
        return -ENOMEM;
    s = NULL; /* taken over */
    return 0;
}

void gcs_auth_done(struct gcs_auth *auth)
{
    renewed_free(auth->tokens);
    free(auth->access_key_id);
    wipe(auth->secret_access_key);
    *auth = (struct gcs_auth){0};
}
