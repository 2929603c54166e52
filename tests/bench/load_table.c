/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads versions of one table and tells what that took, as JSON lines:
 *
 *   load_table delta|iceberg ROOT RUNS TABLE [again]
 *
 * Of the version that the live path shows; with `again`, then waits for a line on its input, asks
 * for the history again and loads what is shown then. RUNS is the directory of the table's runs.
 * ROOT may be a directory, or a URL with the endpoint and keys of AWS_* in the environment.
 */
#include <fcntl.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/workers.h"
#include "cache/store/http.h"
#include "lake/delta/delta.h"
#include "lake/iceberg/iceberg.h"

static struct driver *driver;
static struct history *heard;

/* KiB that this program had at most: getrusage counts what the parent had before exec, too. */
static long most_memory(void)
{
    char line[256];
    long kib = -1;
    FILE *f = fopen("/proc/self/status", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    if (f)
        (void)fclose(f);
    return kib;
}

static int load(struct err *err)
{
    AUTO(history) struct history *h = NULL;
    AUTO(snapshot) struct snapshot *s = NULL;
    int64_t began = clock_mono_us();
    int rc = driver->ops->history(driver, heard, &h, err);
    int64_t told = clock_mono_us();
    if (rc == 0 && h->live >= 0)
        rc = driver->ops->load(driver, h, (size_t)h->live, &s, err);
    if (rc < 0 || !s)
        return rc < 0 ? rc : err_set(err, ENOENT, "no version");
    int64_t ended = clock_mono_us();
    printf("{\"version\": %lld, \"files\": %llu, \"bytes\": %llu, \"patch\": %s, "
           "\"history_ms\": %.3f, \"load_ms\": %.3f, \"rss_kib\": %ld}\n",
           (long long)h->at[h->live].number, (unsigned long long)snapshot_files(s),
           (unsigned long long)snapshot_bytes(s), snapshot_patch(s) ? "true" : "false",
           (double)(told - began) / 1000, (double)(ended - told) / 1000, most_memory());
    (void)fflush(stdout);
    history_unref(heard);
    heard = STEAL(h);
    return 0;
}

static const struct driver_ops *find_ops(const char *format)
{
    static const struct driver_ops *const all[] = {&delta_ops, &iceberg_ops};
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (strcmp(all[i]->format, format) == 0)
            return all[i];
    return NULL;
}

static int run(struct store *store, char **argv, bool again, struct err *err)
{
    const struct driver_ops *ops = find_ops(argv[1]);
    AUTO(buf) struct buf prefix = {0};
    buf_init(&prefix, KEY_BYTES_MAX);
    buf_addf(&prefix, "%s/", argv[4]);
    if (file_mkdirs(argv[3], 0700, err) < 0)
        return -err->code;
    AUTO_FD int fd = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct driver_config config = {.store = store, .prefix = prefix.data, .index_dirfd = fd};
    if (fd < 0 || ops->open(&config, &driver, err) < 0)
        return -1;
    int rc = load(err);
    while (rc == 0 && again && getchar() != EOF)
        rc = load(err);
    history_unref(heard);
    driver->ops->close(driver);
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    if (argc < 5 || argc > 6 || !find_ops(argv[1])) {
        (void)fprintf(stderr, "usage: load_table FORMAT ROOT RUNS TABLE [again]\n");
        return 2;
    }
    struct workers *workers = workers_new("store", 4, &err);
    struct http *http = workers ? http_new(&err) : NULL;
    struct store_runtime runtime = {.http = http, .workers = workers, .secrets = workers};
    struct store_options options = {.endpoint_url = getenv("AWS_ENDPOINT_URL"),
                                    .access_key_id = getenv("AWS_ACCESS_KEY_ID"),
                                    .secret_access_key = getenv("AWS_SECRET_ACCESS_KEY"),
                                    .proxy_url = "off"};
    struct store *store = http ? store_open(argv[2], &options, &runtime, &err) : NULL;
    int rc = store ? run(store, argv, argc == 6, &err) : -1;
    if (rc < 0)
        (void)fprintf(stderr, "load_table: %s\n", err.msg);
    if (store)
        store_free(store);
    http_free(http);
    workers_free(workers);
    return rc < 0;
}
