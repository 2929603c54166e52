/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/own_lake.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "cache/store/http.h"
#include "cache/store/settings.h"
#include "cache/store/share.h"
#include "lake/delta/delta.h"
#include "lake/files/files.h"
#include "lake/iceberg/iceberg.h"
#include "lake/lakefile.h"
#include "lake/unread/unread.h"
#include "tools/environment.h"

#define METADATA_WORKERS 16 /* they wait for the network */
#define DISK_WORKERS 4
#define SECRET_WORKERS 4
#define REFRESH_MS 1000
#define LEFTOVER_S 60 /* younger ones may be about to be locked */

static const struct driver_ops *const drivers[] = {
    &delta_ops,
    &iceberg_ops,
    &unread_hudi_ops,
    NULL,
};

struct own_lake {
    char *path;               /* of a directory of its own, which goes with it */
    int dirfd, indexes_dirfd; /* of that, which is locked; of `indexes` in it */
    struct workers *disk, *metadata, *secrets;
    struct http *http;
    struct store_shares *shares;
    struct registry *registry;
    struct store_options credentials; /* of the environment; its strings are owned */
    struct store_options store;       /* with the options; borrowed from both */
    struct store_runtime runtime;
    struct lakefile *file; /* NULL: the source is a URL */
    struct lake *lake;
};

/* the directory of the indexes */

#define TEMPORARY "tarn-own-"

/* Removes a directory of ours and what is in it, so many levels below. */
static void remove_all(int dirfd, const char *name, unsigned depth)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *e;
    while (dir && (e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, e->d_name, 0) < 0 && depth)
            remove_all(fd, e->d_name, depth - 1);
    }
    if (dir)
        (void)closedir(dir);
    else if (fd >= 0)
        (void)close(fd);
    (void)unlinkat(dirfd, name, AT_REMOVEDIR); /* somebody may have put something there meanwhile */
}

/* Those of commands that were killed: nobody holds their lock. */
static void remove_leftovers(const char *base)
{
    DIR *dir = opendir(base);
    const struct dirent *e;
    struct stat st;
    while (dir && (e = readdir(dir)) != NULL) {
        if (strncmp(e->d_name, TEMPORARY, strlen(TEMPORARY)) != 0)
            continue;
        AUTO_FD int fd =
            openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        bool old = fd >= 0 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
                   clock_real_ms() / 1000 - st.st_mtime > LEFTOVER_S;
        if (old && flock(fd, LOCK_EX | LOCK_NB) == 0)
            remove_all(dirfd(dir), e->d_name, 3);
    }
    if (dir)
        (void)closedir(dir);
}

static int make_directory(struct own_lake *o, const char *base, struct err *err)
{
    if (asprintf(&o->path, "%s/" TEMPORARY "XXXXXX", base) < 0) {
        o->path = NULL;
        return err_set(err, ENOMEM, "out of memory");
    }
    if (!mkdtemp(o->path)) {
        int rc = err_set(err, errno, "%s: %s", o->path, strerror(errno));
        free(STEAL(o->path));
        return rc;
    }
    o->dirfd = open(o->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return o->dirfd < 0 || flock(o->dirfd, LOCK_EX | LOCK_NB) < 0
               ? err_set(err, errno, "%s: %s", o->path, strerror(errno))
               : 0;
}

static int open_directory(struct own_lake *o, struct err *err)
{
    const char *base = getenv("TMPDIR");
    base = base && *base == '/' ? base : "/var/tmp"; /* larger than /tmp, which may be memory */
    remove_leftovers(base);
    int rc = make_directory(o, base, err);
    if (rc < 0)
        return rc;
    if (mkdirat(o->dirfd, "indexes", 0700) < 0)
        return err_set(err, errno, "%s/indexes: %s", o->path, strerror(errno));
    o->indexes_dirfd = openat(o->dirfd, "indexes", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (o->indexes_dirfd < 0)
        return err_set(err, errno, "%s/indexes: %s", o->path, strerror(errno));
    o->registry = registry_open(o->dirfd, o->path, err);
    return o->registry ? 0 : -err->code;
}

/* services */

static int open_services(struct own_lake *o, struct err *err)
{
    o->disk = workers_new("tarn-disk", DISK_WORKERS, err);
    o->metadata = o->disk ? workers_new("tarn-meta", METADATA_WORKERS, err) : NULL;
    o->secrets = o->metadata ? workers_new("tarn-secret", SECRET_WORKERS, err) : NULL;
    o->http = o->secrets ? http_new(err) : NULL;
    o->shares = o->http ? store_shares_new(err) : NULL;
    if (!o->shares)
        return -err->code;
    o->runtime = (struct store_runtime){
        .http = o->http, .workers = o->disk, .shares = o->shares, .secrets = o->secrets};
    return 0;
}

static int take_credentials(struct own_lake *o, struct err *err)
{
    for (size_t i = settings_count; i-- > 0;) { /* of two with one key, the first counts */
        const char *value = settings[i].variable ? getenv(settings[i].variable) : NULL;
        if (value && *value &&
            settings_set(&o->credentials, slice_of(settings[i].key), slice_of(value), err) < 0)
            return -ENOMEM;
    }
    return 0;
}

static void set_store_options(struct own_lake *o, const struct options *options)
{
    struct store_options *s = &o->store;
    *s = o->credentials;
    s->endpoint_url = options->endpoint_url;
    s->region = options->region;
    s->no_sign_request = options->no_sign_request;
    s->ca_bundle = options->ca_bundle;
    s->addressing = options->addressing;
    s->proxy_url = options->proxy;
    s->deadline_ms = options->deadline_ms;
    s->requester_pays = options->requester_pays;
    s->sse = options->sse;
    s->sse_kms_key_id = options->sse_kms_key_id;
    s->aws_profile_chosen = options->profile != NULL;
    if (options->profile)
        s->aws_profile = options->profile;
    s->uid = (uint32_t)getuid();
    s->gid = (uint32_t)getgid();
}

static int open_lake(struct own_lake *o, const char *source, const struct options *options,
                     struct err *err)
{
    const struct lake_config config = {.url = source,
                                       .outside = options->outside,
                                       .file = o->file,
                                       .store_options = &o->store,
                                       .runtime = &o->runtime,
                                       .refresh_ms = REFRESH_MS,
                                       .hold_ms = options->hold_ms,
                                       .keep_ms = options->keep_ms,
                                       .as_of_ms = options->as_of_ms,
                                       .drivers = drivers,
                                       .files = &files_ops,
                                       .registry = o->registry,
                                       .workers = o->metadata,
                                       .indexes_dirfd = o->indexes_dirfd};
    o->lake = lake_open(&config, err);
    return o->lake ? 0 : -err->code;
}

int own_lake_open(const char *source, struct options *options, struct own_lake **out,
                  struct err *err)
{
    AUTO(own_lake) struct own_lake *o = calloc(1, sizeof *o);
    if (!o)
        return err_set(err, ENOMEM, "out of memory");
    o->dirfd = o->indexes_dirfd = -1;
    bool named = lakefile_is_named(source);
    int rc = options_check(options, err);
    if (rc == 0 && named)
        rc = lakefile_read(source, &o->file, err);
    if (rc == 0)
        rc = environment_take(options, err); /* before threads, which must not meet getenv */
    if (rc == 0)
        rc = take_credentials(o, err);
    if (rc < 0)
        return rc;
    set_store_options(o, options);
    (void)signal(SIGPIPE, SIG_IGN); /* allowed: signal: SIG_IGN, no handler */
    rc = open_directory(o, err);
    if (rc == 0)
        rc = open_services(o, err);
    if (rc == 0)
        rc = open_lake(o, source, options, err);
    if (rc == 0)
        *out = STEAL(o);
    return rc;
}

void own_lake_close(struct own_lake *o)
{
    if (!o)
        return;
    if (o->lake)
        lake_close(o->lake);
    lakefile_free(o->file);
    if (o->registry)
        registry_close(o->registry);
    if (o->shares)
        store_shares_free(o->shares);
    if (o->http)
        http_free(o->http);
    struct workers *pools[] = {o->secrets, o->metadata, o->disk};
    for (size_t i = 0; i < ARRAY_SIZE(pools); i++)
        if (pools[i])
            workers_free(pools[i]);
    settings_done(&o->credentials);
    if (o->indexes_dirfd >= 0)
        (void)close(o->indexes_dirfd);
    if (o->path)
        remove_all(AT_FDCWD, o->path, 3);
    if (o->dirfd >= 0)
        (void)close(o->dirfd);
    free(o->path);
    free(o);
}

struct lake *own_lake_get(const struct own_lake *o)
{
    return o->lake;
}

const struct lakefile *own_lake_file(const struct own_lake *o)
{
    return o->file;
}

const struct store_runtime *own_lake_runtime(const struct own_lake *o)
{
    return &o->runtime;
}

const struct store_options *own_lake_store_options(const struct own_lake *o)
{
    return &o->store;
}

int own_lake_scratch(const struct own_lake *o)
{
    return o->dirfd;
}
