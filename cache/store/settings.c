/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/settings.h"

#include <stddef.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define ROW(field, variable)                                                                       \
    {                                                                                              \
#field, variable, offsetof(struct store_options, field)                                    \
    }

const struct setting settings[] = {
    ROW(endpoint_url, NULL),
    ROW(region, NULL),
    ROW(ca_bundle, NULL),
    ROW(proxy_url, NULL),
    ROW(addressing, NULL),
    ROW(sse, NULL),
    ROW(sse_kms_key_id, NULL),
    ROW(sse_c_key, NULL),
    ROW(access_key_id, "AWS_ACCESS_KEY_ID"),
    ROW(secret_access_key, "AWS_SECRET_ACCESS_KEY"),
    ROW(session_token, "AWS_SESSION_TOKEN"),
    ROW(https_proxy, "https_proxy"),
    ROW(https_proxy, "HTTPS_PROXY"),
    ROW(http_proxy, "http_proxy"), /* the other spelling may come from a web request's header */
    ROW(no_proxy, "no_proxy"),
    ROW(no_proxy, "NO_PROXY"),
    ROW(home, "HOME"),
    ROW(path, "PATH"),
    ROW(aws_profile, "AWS_PROFILE"),
    ROW(aws_profile, "AWS_DEFAULT_PROFILE"),
    ROW(aws_config_file, "AWS_CONFIG_FILE"),
    ROW(aws_credentials_file, "AWS_SHARED_CREDENTIALS_FILE"),
    ROW(aws_role_arn, "AWS_ROLE_ARN"),
    ROW(aws_role_session_name, "AWS_ROLE_SESSION_NAME"),
    ROW(aws_token_file, "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ROW(aws_container_path, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
    ROW(aws_container_url, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ROW(aws_container_token, "AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    ROW(aws_container_token_file, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
    ROW(aws_metadata_disabled, "AWS_EC2_METADATA_DISABLED"),
    ROW(aws_metadata_url, "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
    ROW(aws_metadata_mode, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"),
    ROW(aws_dualstack, "AWS_USE_DUALSTACK_ENDPOINT"),
    ROW(aws_sts_url, "AWS_ENDPOINT_URL_STS"),
    ROW(aws_sso_url, "AWS_ENDPOINT_URL_SSO"),
    ROW(aws_sso_oidc_url, "AWS_ENDPOINT_URL_SSO_OIDC"),
    ROW(gcs_access_key_id, "GS_ACCESS_KEY_ID"),
    ROW(gcs_secret_access_key, "GS_SECRET_ACCESS_KEY"),
    ROW(gcs_access_token, "GOOGLE_OAUTH_ACCESS_TOKEN"),
    ROW(gcs_access_token, "CLOUDSDK_AUTH_ACCESS_TOKEN"),
    ROW(gcs_credentials_file, "GOOGLE_APPLICATION_CREDENTIALS"),
    ROW(gcs_config_dir, "CLOUDSDK_CONFIG"),
    ROW(gcs_metadata_host, "GCE_METADATA_HOST"),
    ROW(gcs_no_metadata, "NO_GCE_CHECK"),
    ROW(gcs_user_project, "GOOGLE_CLOUD_QUOTA_PROJECT"),
    ROW(gcs_endpoint_url, "STORAGE_EMULATOR_HOST"),
    ROW(azure_connection_string, "AZURE_STORAGE_CONNECTION_STRING"),
    ROW(azure_account_key, "AZURE_STORAGE_ACCOUNT_KEY"),
    ROW(azure_account_key, "AZURE_STORAGE_KEY"),
    ROW(azure_sas_token, "AZURE_STORAGE_SAS_TOKEN"),
    ROW(azure_token, "AZURE_STORAGE_TOKEN"),
    ROW(azure_tenant_id, "AZURE_TENANT_ID"),
    ROW(azure_client_id, "AZURE_CLIENT_ID"),
    ROW(azure_client_secret, "AZURE_CLIENT_SECRET"),
    ROW(azure_token_file, "AZURE_FEDERATED_TOKEN_FILE"),
    ROW(azure_authority_host, "AZURE_AUTHORITY_HOST"),
    ROW(azure_identity_endpoint, "IDENTITY_ENDPOINT"),
    ROW(azure_identity_header, "IDENTITY_HEADER"),
    ROW(azure_metadata_url, "AZURE_POD_IDENTITY_AUTHORITY_HOST"),
    ROW(catalog_token, "TARN_CATALOG_TOKEN"),
    ROW(catalog_credential, "TARN_CATALOG_CREDENTIAL"),
    ROW(pg_password, "PGPASSWORD"),
    ROW(pg_passfile, "PGPASSFILE"),
};
const size_t settings_count = ARRAY_SIZE(settings);

static const char **place_of(struct store_options *o, const struct setting *row)
{
    return (const char **)(void *)((char *)o + row->offset);
}

const char *setting_of(const struct store_options *o, const struct setting *row)
{
    return *place_of((struct store_options *)(uintptr_t)o, row); /* only read */
}

bool setting_counts(const struct store_options *o, const struct setting *row, const char *scheme)
{
    static const struct {
        const char *prefix, *scheme;
    } owners[] = {
        {"aws_", "s3"}, {"gcs_", "gs"}, {"azure_", "abfss"}, {"catalog_", ""}, {"pg_", ""}};
    for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
        if (strncmp(row->key, owners[i].prefix, strlen(owners[i].prefix)) == 0 &&
            strcmp(scheme, owners[i].scheme) != 0)
            return false;
    bool keys = o->access_key_id && o->secret_access_key && !o->aws_profile_chosen;
    bool address = strcmp(row->key, "aws_dualstack") == 0;
    bool leads = (strncmp(row->key, "aws_", 4) == 0 && !address) || strcmp(row->key, "home") == 0;
    return strcmp(row->key, "path") != 0 && !(leads && (keys || o->no_sign_request));
}

static void wipe(const char **place)
{
    char *value = (char *)(uintptr_t)*place; /* settings_set's copy */
    if (value)
        explicit_bzero(value, strlen(value));
    free(value);
    *place = NULL;
}

int settings_set(struct store_options *o, struct slice key, struct slice value, struct err *err)
{
    for (size_t i = 0; i < settings_count; i++) {
        if (!slice_is(key, settings[i].key))
            continue;
        char *copy = strndup(value.n ? value.p : "", value.n);
        if (!copy)
            return err_set(err, ENOMEM, "out of memory");
        wipe(place_of(o, &settings[i]));
        *place_of(o, &settings[i]) = copy;
        return 0;
    }
    return 0;
}

int settings_copy(struct store_options *to, const struct store_options *from)
{
    int rc = 0;
    *to = *from;
    for (size_t i = 0; i < settings_count; i++)
        *place_of(to, &settings[i]) = NULL;
    for (size_t i = 0; i < settings_count; i++) {
        const char *value = setting_of(from, &settings[i]);
        if (!value || *place_of(to, &settings[i]))
            continue;
        *place_of(to, &settings[i]) = strdup(value);
        if (!*place_of(to, &settings[i]))
            rc = -ENOMEM;
    }
    return rc;
}

void settings_done(struct store_options *o)
{
    for (size_t i = 0; i < settings_count; i++)
        wipe(place_of(o, &settings[i]));
}
