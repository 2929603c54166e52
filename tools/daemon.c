/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/daemon.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cache/store/share.h"
#include "lake/local_tags.h"
#include "tools/daemon_client.h"

#define METADATA_WORKERS 16 /* they wait for the network: LIST, logs, checkpoints */
#define DISK_WORKERS 4
#define SECRET_WORKERS 4
#define CLIENTLESS_MS 10000 /* a daemon that nobody has come to ends */
#define LOG_BYTES_MAX (16 * (off_t)MIB)
#define DESCRIPTORS_MAX 65536 /* one for each open object */

static int open_log(struct daemon *d, const struct daemon_config *config, struct err *err)
{
    enum log_level level = config->options->debug ? LOG_DEBUG : LOG_INFO;
    if (config->foreground) {
        log_to(STDERR_FILENO, level);
        return 0;
    }
    int rc = file_open_own(d->directory.dirfd, "tarn.log", O_WRONLY | O_CREAT | O_APPEND,
                           &d->log_fd, err);
    if (rc == -EROFS)
        return 0; /* who mounts is told; reading goes on */
    if (rc < 0)
        return err_wrap(err, "%s", config->options->cache_dir);
    struct stat st;
    bool full = fstat(d->log_fd, &st) == 0 && st.st_size > LOG_BYTES_MAX;
    if (full && ftruncate(d->log_fd, 0) < 0) /* begun anew: the log is for what happens now */
        return err_set(err, errno, "%s/tarn.log: %s", config->options->cache_dir, strerror(errno));
    log_to(d->log_fd, level);
    return 0;
}

static int open_dirs(struct daemon *d, const struct daemon_config *config, struct err *err)
{
    const char *path = config->options->cache_dir;
    struct err told = ERR_INIT;
    int rc = control_check_directory(path, err); /* before anything is made in it */
    if (rc == 0)
        rc = directory_open(&d->directory, path, true, err);
    if (rc < 0)
        return rc;
    /* For `tarn cache` without a daemon, which has the ones before where the disk is full. */
    (void)directory_save_options(&d->directory, config->options, NULL);
    if (mkdirat(d->directory.dirfd, "indexes", 0700) < 0 && errno != EEXIST)
        return err_set(err, errno, "%s/indexes: %s", path, strerror(errno));
    d->indexes_dirfd =
        openat(d->directory.dirfd, "indexes", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (d->indexes_dirfd < 0)
        return err_set(err, errno, "%s/indexes: %s", path, strerror(errno));
    rc = open_log(d, config, err);
    /* A disk that is full is no reason not to mount. */
    if (rc == 0 && directory_save_options(&d->directory, config->options, &told) < 0 &&
        told.code != EROFS) /* of which the cache tells */
        log_warn("%s", told.msg);
    return rc;
}

/* The key is used up: the cache has what it needs of it. */
static int open_cache(struct daemon *d, const struct daemon_config *config, struct err *err)
{
    uint8_t *key = config->cache_key;
    if (key)
        key_fingerprint(key, d->cache_key);
    d->cache = directory_open_cache(&d->directory, config->options,
                                    &(struct directory_key){.bytes = key}, d->disk, err);
    if (key)
        explicit_bzero(key, KEY_BYTES);
    return d->cache ? 0 : -err->code;
}

static void tell_of_audit(const char *message)
{
    log_warn("%s", message);
}

static int open_services(struct daemon *d, const struct daemon_config *config, struct err *err)
{
    d->disk = workers_new("tarn-disk", DISK_WORKERS, err);
    d->metadata = d->disk ? workers_new("tarn-meta", METADATA_WORKERS, err) : NULL;
    d->secrets = d->metadata ? workers_new("tarn-secret", SECRET_WORKERS, err) : NULL;
    d->http = d->secrets ? http_new(err) : NULL;
    if (!d->http)
        return -err->code;
    if (open_cache(d, config, err) < 0)
        return -err->code;
    d->shares = store_shares_new(err);
    if (!d->shares)
        return -err->code;
    const struct audits_config audits = {
        .state_dirfd = d->directory.dirfd, .workers = d->metadata, .tell = tell_of_audit};
    d->audits = audits_new(&audits, err);
    if (!d->audits)
        return -err->code;
    d->registry = registry_open(d->directory.dirfd, config->options->cache_dir, err);
    if (!d->registry)
        return err_wrap(err, "cache %s", config->options->cache_dir);
    struct err why = ERR_INIT;
    d->tags = local_tags_open(d->directory.dirfd, config->options->cache_dir, &why);
    if (!d->tags) /* mounts do without */
        log_warn("no tags of this machine: %s", why.msg);
    return 0;
}

/* An open object takes one; root may go beyond the limit that it was started with. */
static void raise_descriptors(void)
{
    struct rlimit had, more = {DESCRIPTORS_MAX, DESCRIPTORS_MAX};
    if (getrlimit(RLIMIT_NOFILE, &had) < 0)
        return;
    if (more.rlim_max < had.rlim_max)
        more.rlim_max = had.rlim_max;
    if (had.rlim_cur >= DESCRIPTORS_MAX || setrlimit(RLIMIT_NOFILE, &more) == 0)
        return;
    had.rlim_cur = had.rlim_max < DESCRIPTORS_MAX ? had.rlim_max : DESCRIPTORS_MAX;
    (void)setrlimit(RLIMIT_NOFILE, &had); /* fewer open objects otherwise */
}

/* What cannot be undone later comes last: signals are only blocked when all is there. */
static int open_events(struct daemon *d, const struct daemon_config *config, struct err *err)
{
    sigset_t signals;
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread: all inherit it */
    (void)signal(SIGPIPE, SIG_IGN);                   /* allowed: signal: SIG_IGN, no handler */
    (void)signal(SIGIO, SIG_IGN); /* allowed: signal: of leases (fs/policy_file.c), SIG_IGN */
    raise_descriptors();
    d->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    d->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (d->signal_fd < 0 || d->event_fd < 0)
        return err_set(err, errno, "events: %s", strerror(errno));
    d->foreground = config->foreground;
    return 0;
}

void daemon_wake(struct daemon *d)
{
    uint64_t one = 1;
    ssize_t n = write(d->event_fd, &one, sizeof one);
    (void)n; /* full means that it is awake already */
}

static void unmount_all(struct daemon *d)
{
    WITH_LOCK (&d->lock)
        for (struct daemon_session *s = d->sessions; s; s = s->next)
            if (!s->ended)
                session_unmount(s->session);
}

/* Policies are read again. False where there is none: then it is a terminal that was closed. */
static bool reload_all(struct daemon *d)
{
    bool some = false;
    WITH_LOCK (&d->lock)
        for (const struct daemon_session *s = d->sessions; s; s = s->next)
            if (!s->ended)
                some = session_reload(s->session) || some;
    return some;
}

static void take_signal(struct daemon *d)
{
    struct signalfd_siginfo info;
    if (read(d->signal_fd, &info, sizeof info) != (ssize_t)sizeof info)
        return;
    if (info.ssi_signo == SIGHUP && (reload_all(d) || !d->foreground))
        return;
    if (atomic_exchange(&d->ending, true))
        _exit(1); /* asked twice: the cache is right at any moment */
    unmount_all(d);
}

static bool finished(struct daemon *d, int64_t started_ms)
{
    bool done;
    WITH_LOCK (&d->lock)
        done = !d->sessions && d->clients == 0 &&
               (d->served || clock_mono_ms() - started_ms > CLIENTLESS_MS);
    return done;
}

static void accept_client(struct daemon *d)
{
    AUTO_FD int fd = accept4(d->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    struct err err = ERR_INIT;
    if (fd < 0)
        return;
    if (control_check_peer(fd, &err) < 0 || daemon_client_start(d, STEAL_FD(fd), &err) < 0)
        log_warn("control socket: %s", err.msg);
}

static void serve(struct daemon *d)
{
    int64_t started_ms = clock_mono_ms();
    while (!finished(d, started_ms)) {
        struct pollfd fds[] = {
            {.fd = d->listen_fd, .events = POLLIN},
            {.fd = d->event_fd, .events = POLLIN},
            {.fd = d->signal_fd, .events = POLLIN},
        };
        (void)poll(fds, ARRAY_SIZE(fds), 1000);
        if (fds[1].revents) {
            uint64_t count;
            ssize_t n = read(d->event_fd, &count, sizeof count);
            (void)n; /* only to make it wait again */
        }
        if (fds[2].revents)
            take_signal(d);
        if (fds[0].revents)
            accept_client(d);
    }
}

static void close_all(struct daemon *d, const char *cache_dir)
{
    if (d->listen_fd >= 0) {
        char path[PATH_MAX];
        if ((size_t)snprintf(path, sizeof path, "%s/" CONTROL_SOCKET, cache_dir) < sizeof path)
            (void)unlink(path); /* a new daemon would replace it as well */
        (void)close(d->listen_fd);
    }
    if (d->registry)
        registry_close(d->registry);
    local_tags_close(d->tags);
    if (d->cache)
        cache_close(d->cache);
    if (d->audits)
        audits_free(d->audits);
    if (d->shares)
        store_shares_free(d->shares);
    if (d->http)
        http_free(d->http);
    if (d->secrets)
        workers_free(d->secrets);
    if (d->metadata)
        workers_free(d->metadata);
    if (d->disk)
        workers_free(d->disk);
    int fds[] = {d->indexes_dirfd, d->signal_fd, d->event_fd};
    for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
        if (fds[i] >= 0)
            (void)close(fds[i]); /* nothing of value was written through them */
    directory_close(&d->directory);
    cond_done(&d->changed);
    lock_done(&d->lock);
}

int daemon_run(const struct daemon_config *config, struct err *err)
{
    struct daemon d = {.directory = DIRECTORY_NONE,
                       .indexes_dirfd = -1,
                       .listen_fd = -1,
                       .event_fd = -1,
                       .signal_fd = -1,
                       .log_fd = -1};
    lock_init(&d.lock);
    cond_init(&d.changed);
    int rc = open_dirs(&d, config, err);
    if (rc == 0)
        rc = open_events(&d, config, err);
    if (rc == 0)
        rc = open_services(&d, config, err);
    if (rc == 0)
        rc = control_listen(config->options->cache_dir, &d.listen_fd, err);
    config->ready(config->arg, rc < 0 ? err : NULL);
    if (rc == 0)
        serve(&d);
    close_all(&d, config->options->cache_dir);
    return rc;
}
