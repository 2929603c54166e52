/* SPDX-License-Identifier: Apache-2.0 */
/* tarn catalog URI [NAMESPACE]... [--table NAME]: what a catalog answers, without a mount. */
#include <stdio.h>
#include <string.h>

#include "cache/store/http.h"
#include "cache/store/settings.h"
#include "lake/catalog/rest.h"
#include "lake/catalog/unity.h"
#include "tools/arguments.h"
#include "tools/catalog_show.h"
#include "tools/environment.h"
#include "tools/tools.h"

struct request {
    const char *kind, *auth, *table, *etag;
    bool credentials;
    struct catalog_options catalog;
    struct options options;
    struct store_options store, asked; /* of the environment; with the options */
    const char *uri;
    struct slice levels[CATALOG_LEVELS_MAX];
    size_t levels_n;
};

static const struct {
    const char *name, *help;
    size_t offset; /* in struct request, of a const char * */
} words[] = {
    {"--kind", "rest (Iceberg's REST protocol, the default), glue, unity (its own API, Delta)",
     offsetof(struct request, kind)},
    {"--warehouse", "which of the server's", offsetof(struct request, catalog.warehouse)},
    {"--prefix", "of paths, where the server tells none", offsetof(struct request, catalog.prefix)},
    {"--auth", "none, bearer, oauth2, sigv4; else by what is given",
     offsetof(struct request, auth)},
    {"--token-file", "file of a bearer token", offsetof(struct request, catalog.token_file)},
    {"--credential-file", "file of CLIENT_ID:SECRET, for OAuth2",
     offsetof(struct request, catalog.credential_file)},
    {"--oauth2-server-uri", "who gives tokens; else the catalog itself",
     offsetof(struct request, catalog.oauth2_server_uri)},
    {"--scope", "of tokens", offsetof(struct request, catalog.scope)},
    {"--signing-name", "AWS's service: glue, s3tables, execute-api",
     offsetof(struct request, catalog.signing_name)},
    {"--signing-region", "AWS's region", offsetof(struct request, catalog.signing_region)},
    {"--table", "tell what the catalog says of this table", offsetof(struct request, table)},
    {"--etag", "only where the table is another one than this", offsetof(struct request, etag)},
};

static void help(void)
{
    printf(
        "usage: tarn catalog URI [NAMESPACE]... [OPTION]...\n\n"
        "Tells what a catalog answers: the namespaces below NAMESPACE (a level an argument) and\n"
        "its tables, or with --table one table. Secrets are not shown. A bearer token may stand\n"
        "in TARN_CATALOG_TOKEN, OAuth2's CLIENT_ID:SECRET in TARN_CATALOG_CREDENTIAL.\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        printf("  %-20s %s\n", words[i].name, words[i].help);
    printf("  --credentials        ask for the table's credentials alone\n"
           "  --no-vended          ask for no credentials\n"
           "  -o KEY=VALUE,...     region, profile, ca-bundle, proxy, deadline as tarn mount\n");
}

/* ---- arguments ---- */

static int take_word(struct request *r, const char *arg, struct arguments *a, bool *found)
{
    const char *equals = strchr(arg, '=');
    size_t n = equals ? (size_t)(equals - arg) : strlen(arg);
    *found = false;
    for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
        if (strlen(words[i].name) != n || strncmp(words[i].name, arg, n) != 0)
            continue;
        const char *value = equals ? equals + 1 : arguments_value(a);
        if (!value)
            return usage_error("catalog", "%s needs a value", words[i].name);
        *(const char **)(void *)((char *)r + words[i].offset) = value;
        *found = true;
        return 0;
    }
    return 0;
}

static int take_option(struct request *r, const char *arg, struct arguments *a)
{
    struct err err = ERR_INIT;
    bool found = false;
    if (strcmp(arg, "--credentials") == 0)
        r->credentials = true;
    else if (strcmp(arg, "--no-vended") == 0)
        r->catalog.no_vended_credentials = true;
    else {
        int rc = take_word(r, arg, a, &found);
        if (rc != 0 || found)
            return rc;
        if (options_argument(&r->options, a->argc, a->argv, &a->taken, &err) < 0)
            return usage_error("catalog", "%s", err.msg);
    }
    return 0;
}

static int take_arguments(struct request *r, int argc, char **argv)
{
    struct arguments a = {.argc = argc, .argv = argv};
    bool option;
    for (const char *arg; (arg = arguments_next(&a, &option));) {
        int rc = 0;
        if (option)
            rc = take_option(r, arg, &a);
        else if (!r->uri)
            r->uri = arg;
        else if (r->levels_n < CATALOG_LEVELS_MAX)
            r->levels[r->levels_n++] = slice_of(arg);
        else
            rc = usage_error("catalog", "more than %d levels", CATALOG_LEVELS_MAX);
        if (rc != 0)
            return rc;
    }
    return r->uri ? 0 : usage_error("catalog", "a URI is needed");
}

static int choose_auth(struct request *r)
{
    static const char *const names[] = {[CATALOG_AUTH_NONE] = "none",
                                        [CATALOG_AUTH_BEARER] = "bearer",
                                        [CATALOG_AUTH_OAUTH2] = "oauth2",
                                        [CATALOG_AUTH_SIGV4] = "sigv4"};
    struct catalog_options *o = &r->catalog;
    o->token = o->token_file ? NULL : getenv("TARN_CATALOG_TOKEN");
    o->credential = o->credential_file ? NULL : getenv("TARN_CATALOG_CREDENTIAL");
    if (o->credential_file || o->credential)
        o->auth = CATALOG_AUTH_OAUTH2;
    if (o->token_file || o->token)
        o->auth = CATALOG_AUTH_BEARER;
    if (r->kind && strcmp(r->kind, "glue") == 0) {
        o->auth = CATALOG_AUTH_SIGV4;
        o->signing_name = o->signing_name ? o->signing_name : "glue";
    }
    if (!r->auth)
        return 0;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(r->auth, names[i]) == 0) {
            o->auth = (enum catalog_auth)i;
            return 0;
        }
    return usage_error("catalog", "--auth %s: none, bearer, oauth2, sigv4", r->auth);
}

/* ---- who asks ---- */

static int take_settings(struct store_options *o, struct err *err)
{
    for (size_t i = settings_count; i-- > 0;) { /* of two with one key, the first counts */
        const char *value = settings[i].variable ? getenv(settings[i].variable) : NULL;
        if (value && *value && settings_set(o, slice_of(settings[i].key), slice_of(value), err) < 0)
            return -ENOMEM;
    }
    return 0;
}

static void add_options(struct store_options *s, const struct options *o)
{
    s->region = o->region;
    s->ca_bundle = o->ca_bundle;
    s->proxy_url = o->proxy;
    s->deadline_ms = o->deadline_ms;
    s->aws_profile_chosen = o->profile != NULL;
    if (o->profile)
        s->aws_profile = o->profile;
    s->uid = (uint32_t)getuid();
    s->gid = (uint32_t)getgid();
}

/* ---- asking ---- */

static int show_name(void *arg, struct slice name)
{
    const char *end = arg;
    AUTO(buf) struct buf shown = {0};
    buf_init(&shown, 256 * KIB);
    for (size_t i = 0; i < name.n; i++)
        buf_add_char(&shown, (unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f ? '?' : name.p[i]);
    printf("%s%s\n", shown.data ? shown.data : "", end);
    return 0;
}

static int show_names(struct catalog *c, const struct catalog_namespace *in, struct err *err)
{
    static char slash[] = "/", nothing[] = "";
    int rc = catalog_namespaces(c, in, show_name, slash, err);
    return rc < 0 ? rc : catalog_tables(c, in, show_name, nothing, err);
}

static int show_table(const struct request *r, struct catalog *c,
                      const struct catalog_namespace *in, struct err *err)
{
    AUTO(catalog_table) struct catalog_table *t = NULL;
    int rc = r->credentials ? catalog_credentials(c, in, slice_of(r->table), &t, err)
                            : catalog_load(c, in, slice_of(r->table), r->etag, &t, err);
    if (rc < 0)
        return rc;
    if (t)
        catalog_show(t);
    else
        printf("not changed\n");
    return 0;
}

static int open_catalog(const struct request *r, struct http *http, struct catalog **out,
                        struct err *err)
{
    const char *kind = r->kind ? r->kind : "rest";
    if (strcmp(kind, "rest") == 0 || strcmp(kind, "glue") == 0)
        return catalog_rest_open(&r->catalog, http, out, err);
    if (strcmp(kind, "unity") == 0)
        return catalog_unity_open(&r->catalog, http, out, err);
    return err_set(err, EINVAL, "--kind %s: rest, glue, unity", kind);
}

static int run(struct request *r, struct err *err)
{
    AUTO(http) struct http *http = NULL;
    AUTO(catalog) struct catalog *c = NULL;
    const struct catalog_namespace in = {r->levels, r->levels_n};
    int rc = take_settings(&r->store, err);
    if (rc == 0 && (rc = environment_take(&r->options, err)) == 0)
        rc = options_check(&r->options, err);
    if (rc < 0)
        return rc;
    r->asked = r->store;
    add_options(&r->asked, &r->options);
    r->catalog.uri = r->uri;
    r->catalog.store = &r->asked;
    if (!(http = http_new(err)))
        return -err->code;
    rc = open_catalog(r, http, &c, err);
    if (rc < 0)
        return rc;
    return r->table ? show_table(r, c, &in, err) : show_names(c, &in, err);
}

int cmd_catalog(int argc, char **argv)
{
    struct request r = {0};
    struct err err = ERR_INIT;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    int status = take_arguments(&r, argc, argv);
    if (status == 0)
        status = choose_auth(&r);
    if (status == 0 && run(&r, &err) < 0) {
        (void)fprintf(stderr, "tarn catalog: %s: %s\n", strerror(err.code), err.msg);
        status = EXIT_FAILED;
    }
    settings_done(&r.store);
    options_done(&r.options);
    return status;
}
