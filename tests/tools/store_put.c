/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes and removes objects of a store, for end-to-end tests.
 *
 *   store_put URL put KEY SIZE [if-absent] [class=CLASS]   SIZE bytes from standard input
 *   store_put URL remove KEY
 *
 * Endpoints: STORE_ENDPOINT; credentials: the environment. Prints `ok ETAG` or `-ERRNO message`;
 * `begun` and `added N` on the way, so that it can be killed there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/workers.h"
#include "cache/store/http.h"
#include "cache/store/settings.h"
#include "cache/store/write.h"

#define CHUNK ((size_t)100 << 10)

static int add_all(struct store_writer *w, uint64_t size, struct err *err)
{
    AUTO_FREE char *chunk = malloc(CHUNK);
    int rc = chunk ? 0 : err_set(err, ENOMEM, "out of memory");
    for (uint64_t done = 0; rc == 0 && done < size;) {
        size_t want = size - done < CHUNK ? (size_t)(size - done) : CHUNK;
        size_t n = fread(chunk, 1, want, stdin);
        if (n == 0)
            return err_set(err, EIO, "standard input ends");
        rc = store_writer_add(w, slice_make(chunk, n), err);
        done += n;
        printf("added %llu\n", (unsigned long long)done);
    }
    return rc;
}

static int put(struct store *s, int argc, char **argv, struct err *err)
{
    struct store_put how = {.size = strtoull(argv[4], NULL, 10)};
    struct store_info info = {0};
    AUTO(store_writer) struct store_writer *w = NULL;
    for (int i = 5; i < argc; i++) {
        if (strcmp(argv[i], "if-absent") == 0)
            how.if_absent = true;
        else if (strncmp(argv[i], "class=", 6) == 0)
            how.class = argv[i] + 6;
    }
    int rc = store_put_begin(s, argv[3], &how, &w, err);
    if (rc == 0) {
        printf("begun\n");
        rc = add_all(w, how.size, err);
    }
    if (rc == 0)
        rc = store_writer_end(w, &info, err);
    if (rc == 0)
        printf("ok %s\n", info.etag);
    return rc;
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct store_options options = {.endpoint_url = getenv("STORE_ENDPOINT"), .deadline_ms = 20000};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc < 4 || (strcmp(argv[2], "put") == 0) != (argc > 4))
        return 2;
    for (size_t i = 0; i < settings_count; i++) {
        const char *value = settings[i].variable ? getenv(settings[i].variable) : NULL;
        if (value && !setting_of(&options, &settings[i]))
            *(const char **)(void *)((char *)&options + settings[i].offset) = value;
    }
    AUTO(http) struct http *http = http_new(&err);
    AUTO(workers) struct workers *workers = workers_new("disk", 2, &err);
    AUTO(workers) struct workers *secrets = workers_new("secret", 2, &err);
    struct store_runtime runtime = {.http = http, .workers = workers, .secrets = secrets};
    AUTO(store) struct store *s = store_open(argv[1], &options, &runtime, &err);
    int rc = s ? 0 : -err.code;
    if (rc == 0 && strcmp(argv[2], "put") == 0)
        rc = put(s, argc, argv, &err);
    else if (rc == 0 && (rc = store_remove(s, argv[3], &err)) == 0)
        printf("ok\n");
    if (rc < 0)
        printf("%d %s\n", rc, err.msg);
    return rc < 0;
}
