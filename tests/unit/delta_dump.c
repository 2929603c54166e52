/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prints what the Delta driver makes of tables, for comparison with the expected answers:
 *
 *   delta_dump [-r] ROOT RUNS TABLE...     -r: newest version first
 *
 * Lines, tab-separated: `table NAME`, `error ERRNO MESSAGE` (the history), `version N MS`, `bad N
 * ERRNO MESSAGE`, `file SIZE FLAGS KEY PATH` of the version before.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/workers.h"
#include "lake/delta/delta.h"

static struct driver *driver;

static int print_file(void *arg, const struct entry *entry)
{
    (void)arg;
    struct err err = ERR_INIT;
    struct object_location where;
    buf_init(&where.key, KEY_BYTES_MAX);
    buf_init(&where.etag, ETAG_BYTES_MAX);
    int rc = driver->ops->locate(driver, entry, &where, &err);
    printf("file\t%llu\t%u\t%s\t%.*s\n", (unsigned long long)entry->size, entry->flags,
           rc == 0 ? where.key.data : "-", SLICE_FMT(entry->path));
    buf_done(&where.key);
    buf_done(&where.etag);
    return 0;
}

static void dump_version(const struct history *h, size_t position)
{
    struct err err = ERR_INIT;
    AUTO(snapshot) struct snapshot *s = NULL;
    long long number = (long long)h->at[position].number;
    int rc = driver->ops->load(driver, h, position, &s, &err);
    if (rc < 0) {
        printf("bad\t%lld\t%d\t%s\n", number, -rc, err.msg);
        return;
    }
    printf("version\t%lld\t%lld\t%llu\t%llu\t%d\n", number, (long long)h->at[position].timestamp_ms,
           (unsigned long long)snapshot_files(s), (unsigned long long)snapshot_bytes(s),
           snapshot_patch(s) != NULL);
    rc = snapshot_each_file(s, print_file, NULL, &err);
    if (rc < 0)
        printf("bad\t%lld\t%d\t%s\n", number, -rc, err.msg);
}

static int dump_table(struct store *store, const char *runs, const char *table, bool newest_first)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf dir;
    AUTO(buf) struct buf prefix;
    buf_init(&dir, KEY_BYTES_MAX);
    buf_init(&prefix, KEY_BYTES_MAX);
    buf_addf(&dir, "%s/%s", runs, table);
    buf_addf(&prefix, "%s/", table);
    printf("table\t%s\n", table);
    if (file_mkdirs(dir.data, 0700, &err) < 0)
        return -1;
    AUTO_FD int fd = open(dir.data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct driver_config config = {store, prefix.data, fd};
    if (fd < 0 || delta_ops.open(&config, &driver, &err) < 0)
        return -1;
    AUTO(history) struct history *h = NULL;
    AUTO(history) struct history *again = NULL;
    int rc = driver->ops->history(driver, NULL, &h, &err);
    if (rc == 0)
        rc = driver->ops->history(driver, h, &again, &err);
    if (rc < 0)
        printf("error\t%d\t%s\n", -rc, err.msg);
    for (size_t i = 0; rc == 0 && i < h->n; i++)
        dump_version(h, newest_first ? h->n - 1 - i : i);
    driver->ops->close(driver);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    bool newest_first = argc > 1 && strcmp(argv[1], "-r") == 0;
    int at = 1 + newest_first;
    if (argc < at + 3)
        return 2;
    AUTO(workers) struct workers *workers = workers_new("store", 2, &err);
    struct store_runtime runtime = {NULL, workers};
    struct store_options options = {0};
    AUTO(store) struct store *store = store_open(argv[at], &options, &runtime, &err);
    if (!workers || !store) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    for (int i = at + 2; i < argc; i++)
        if (dump_table(store, argv[at + 1], argv[i], newest_first) < 0)
            return 1;
    return 0;
}
