/* SPDX-License-Identifier: Apache-2.0 */
/* tarn mount SOURCE MOUNTPOINT: asks the daemon of the cache directory, which is started where
 * there is none. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/text.h"
#include "cache/store/settings.h"
#include "tools/control.h"
#include "tools/daemon.h"
#include "tools/environment.h"
#include "tools/key_file.h"
#include "tools/lake_source.h"
#include "tools/tools.h"

#define TRIES 5 /* a daemon that is just ending closes the socket before it answers */

struct mount_command {
    struct options options;
    const char *source;
    struct lake_source lake;
    char *mountpoint; /* absolute, owned; NULL where fuse_fd is given */
    int fuse_fd;      /* of the mount point /dev/fd/N, or -1 */
    struct buf request;
    bool keyed;
    uint8_t key[KEY_BYTES]; /* of --cache-key-file; wiped at the end, and by the daemon */
    bool has_sse_c_key;
    uint8_t sse_c_key[KEY_BYTES]; /* of --sse-c-key-file; likewise */
};

static void help(void)
{
    printf("usage: tarn mount SOURCE MOUNTPOINT [OPTION]... [-o KEY=VALUE,...]\n\n"
           "Mounts a lake: a directory, file:///DIR, s3://BUCKET/PREFIX with the credentials that\n"
           "the AWS tools would use, gs://BUCKET/PREFIX with those of Google's environment, or\n"
           "az://ACCOUNT/CONTAINER/PREFIX (abfss://, too) with those of Azure's; or a lake file,\n"
           "LAKE.yaml, which names several of these: tarn-lake(5). MOUNTPOINT /dev/fd/N takes an\n"
           "open /dev/fuse that is mounted already.\n\n");
    options_help();
}

/* One argument that begins with `-`; *i moves over its value. */
static int parse_option(struct options *o, int argc, char **argv, int *i, struct err *err)
{
    const char *arg = argv[*i];
    if (strcmp(arg, "-f") == 0)
        return options_set(o, SLICE_LIT("foreground"), NULL, err);
    if (strcmp(arg, "-d") == 0)
        return options_set(o, SLICE_LIT("debug"), NULL, err);
    return options_argument(o, argc, argv, i, err);
}

static int parse_mountpoint(struct mount_command *m, const char *text, struct err *err)
{
    uint64_t fd;
    struct slice s = slice_of(text);
    if (slice_starts(s, SLICE_LIT("/dev/fd/")) &&
        text_parse_u64(slice_from(s, sizeof "/dev/fd/" - 1), 1 << 20, &fd)) {
        m->fuse_fd = (int)fd;
        return fcntl(m->fuse_fd, F_GETFD) < 0
                   ? err_set(err, EBADF, "%s is not an open descriptor", text)
                   : 0;
    }
    struct stat st;
    m->mountpoint = realpath(text, NULL);
    if (!m->mountpoint)
        return err_set(err, errno, "mount point %s: %s", text, strerror(errno));
    if (stat(m->mountpoint, &st) < 0 && errno == ENOTCONN)
        return err_set(err, ENOTCONN, "mount point %s has a dead mount: `tarn umount` it first",
                       text);
    if (stat(m->mountpoint, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(err, ENOTDIR, "mount point %s is not a directory", text);
    return 0;
}

/* Arguments: 0 and all of *m, or -EINVAL for wrong use. */
static int parse(int argc, char **argv, struct mount_command *m, const char **mountpoint,
                 struct err *err)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-' && argv[i][1]) {
            int rc = parse_option(&m->options, argc, argv, &i, err);
            if (rc < 0)
                return rc;
        } else if (!m->source) {
            m->source = argv[i];
        } else if (!*mountpoint) {
            *mountpoint = argv[i];
        } else {
            return err_set(err, EINVAL, "unexpected argument %s", argv[i]);
        }
    }
    if (!m->source || !*mountpoint)
        return err_set(err, EINVAL, "SOURCE and MOUNTPOINT are needed");
    return options_check(&m->options, err);
}

/* What the environment says of credentials (cache/store/settings.h). */
static void add_credentials(const struct mount_command *m, struct buf *out)
{
    const char *before = "", *separator = "{";
    for (size_t i = 0; i < settings_count; i++) {
        const struct setting *row = &settings[i];
        const char *value = row->variable ? getenv(row->variable) : NULL;
        if (!value || !*value || strcmp(row->key, before) == 0)
            continue;
        buf_addf(out, "%s\"%s\":", separator, row->key);
        buf_add_json(out, slice_of(value));
        before = row->key;
        separator = ",";
    }
    if (m->has_sse_c_key) {
        buf_addf(out, "%s\"sse_c_key\":\"", separator);
        text_hex(out, m->sse_c_key, sizeof m->sse_c_key);
        buf_add_char(out, '"');
        separator = ",";
    }
    buf_add_str(out, *separator == '{' ? "{}" : "}");
}

/* Relative directories are the caller's, not the daemon's. */
static void add_source(struct buf *out, const char *source)
{
    AUTO_FREE char *real = strstr(source, "://") ? NULL : realpath(source, NULL);
    buf_add_json(out,
                 slice_of(real ? real : source)); /* one that is not there is told by the daemon */
}

static int format_request(struct mount_command *m, struct err *err)
{
    struct buf *out = &m->request;
    buf_init(out, CONTROL_MESSAGE_MAX);
    buf_add_str(out, "{\"op\":\"mount\",\"source\":");
    add_source(out, m->source);
    if (m->lake.file) {
        buf_add_str(out, ",\"lake\":"); /* its content: it may be another one when it is used */
        buf_add_json(out, buf_slice(&m->lake.text));
    }
    if (m->mountpoint) {
        buf_add_str(out, ",\"mountpoint\":");
        buf_add_json(out, slice_of(m->mountpoint));
    }
    if (m->keyed) {
        char fingerprint[KEY_FINGERPRINT_BYTES];
        key_fingerprint(m->key, fingerprint);
        buf_addf(out, ",\"cache_key\":\"%s\"", fingerprint);
    }
    buf_addf(out, ",\"uid\":%u,\"gid\":%u,\"options\":", (unsigned)getuid(), (unsigned)getgid());
    options_format(&m->options, out);
    buf_add_str(out, ",\"credentials\":");
    add_credentials(m, out);
    buf_add_char(out, '}');
    return buf_check(out, err);
}

/*
 * Credentials travel with each mount: a daemon has none in its environment, where /proc would go on
 * showing them if they were only forgotten, and in no core.
 */
static void hide_secrets(void)
{
    for (char **at = environ; at && *at; at++)
        explicit_bzero(*at, strlen(*at));
    (void)clearenv();
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* cannot fail with these arguments */
}

/* starting the daemon */

static void tell_parent(void *arg, const struct err *err)
{
    int fd = *(int *)arg;
    if (err) {
        ssize_t n = write(fd, err, sizeof *err);
        (void)n; /* the parent then reads nothing, which is a failure too */
    } else {
        char ok = 0;
        ssize_t n = write(fd, &ok, 1);
        (void)n; /* likewise */
    }
    (void)close(fd);
}

static void become_daemon(struct mount_command *m, int ready_fd)
{
    struct err err = ERR_INIT;
    struct daemon_config config = {.options = &m->options,
                                   .cache_key = m->keyed ? m->key : NULL,
                                   .ready = tell_parent,
                                   .arg = &ready_fd};
    AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)setsid();
    if (null < 0 || chdir("/") < 0) /* allowed: chdir: a child, before it has threads */
        _exit(1);
    for (int fd = 0; fd <= 2; fd++)
        (void)dup2(null, fd); /* the log has a file of its own */
    _exit(daemon_run(&config, &err) < 0);
}

/* Forks a daemon and waits until it listens. -EBUSY where another one was quicker. */
static int start_daemon(struct mount_command *m, struct err *err)
{
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) < 0)
        return err_set(err, errno, "pipe: %s", strerror(errno));
    pid_t middle = fork();
    if (middle == 0) { /* twice, so that nobody waits for the daemon */
        (void)close(ready[0]);
        pid_t pid = fork();
        if (pid == 0)
            become_daemon(m, ready[1]);
        _exit(pid < 0);
    }
    (void)close(ready[1]);
    AUTO_FD int from = ready[0];
    if (middle < 0)
        return err_set(err, errno, "fork: %s", strerror(errno));
    (void)waitpid(middle, NULL, 0); /* its child is what matters */
    struct err told = ERR_INIT;
    ssize_t n = read(from, &told, sizeof told);
    if (n == 1) {
        if (access(m->options.cache_dir, W_OK) < 0 && errno == EROFS)
            (void)fprintf(stderr,
                          "tarn mount: %s is on a read-only disk: nothing is cached, nor logged\n",
                          m->options.cache_dir);
        return 0;
    }
    if (n == (ssize_t)sizeof told)
        return err_copy(err, &told);
    return err_set(err, EIO, "the daemon ended before it was ready (see %s/tarn.log)",
                   m->options.cache_dir);
}

/* asking it */

/* The mount is there, but not as somebody may have thought. */
static void tell_warning(struct slice answer)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, CONTROL_MESSAGE_MAX);
    control_add_warning(answer, &text);
    if (text.len)
        (void)fprintf(stderr, "tarn mount: %s\n", text.data);
}

/*
 * Sends the request and takes the answer. *fd stays open, for what comes later. *heard: a daemon
 * has answered, so an error is the mount's own.
 */
static int ask(const struct mount_command *m, int *out, bool *heard, struct err *err)
{
    AUTO_FD int fd = -1;
    AUTO(buf) struct buf line = {0};
    int passed = -1;
    buf_init(&line, CONTROL_MESSAGE_MAX);
    *heard = false;
    int rc = control_connect(m->options.cache_dir, &fd, err);
    if (rc == 0)
        rc = control_check_peer(fd, err); /* who gets the credentials */
    if (rc == 0)
        rc = control_send(fd, buf_slice(&m->request), m->fuse_fd, err);
    if (rc == 0)
        rc = control_receive(fd, &line, &passed, err);
    if (rc < 0)
        return rc;
    *heard = true;
    rc = control_check_answer(buf_slice(&line), err);
    if (rc < 0)
        return rc;
    tell_warning(buf_slice(&line));
    *out = STEAL_FD(fd);
    return 0;
}

static int mount_with_daemon(struct mount_command *m, int *fd, struct err *err)
{
    int rc = 0;
    for (int i = 0; i < TRIES; i++) {
        bool heard;
        rc = ask(m, fd, &heard, err);
        if (rc == 0 || heard)
            return rc;
        rc = start_daemon(m, err);
        if (rc < 0 && rc != -EBUSY)
            return rc;
    }
    return rc < 0 ? rc : err_set(err, EIO, "no daemon answers in %s", m->options.cache_dir);
}

/* The mount answers: its root is another file system than before. */
static int wait_until_mounted(const struct mount_command *m, struct err *err)
{
    struct stat st;
    if (m->mountpoint && stat(m->mountpoint, &st) < 0)
        return err_set(err, errno, "%s does not answer: %s", m->mountpoint, strerror(errno));
    return 0;
}

/* foreground */

struct foreground {
    const struct mount_command *command;
    pthread_t asking;
    bool started;
    struct err err;
    int rc;
};

/* Asks a daemon that is there, and waits until the mount is gone. */
static int mount_and_wait(const struct mount_command *m, struct err *err)
{
    AUTO_FD int fd = -1;
    AUTO(buf) struct buf line = {0};
    int passed = -1;
    bool heard;
    buf_init(&line, CONTROL_MESSAGE_MAX);
    int rc = ask(m, &fd, &heard, err);
    if (rc < 0)
        return rc;
    printf("%s mounted on %s\n", m->source, m->mountpoint ? m->mountpoint : "a descriptor");
    (void)fflush(stdout);
    (void)control_receive(fd, &line, &passed, NULL); /* its end, too, is that the mount is gone */
    return 0;
}

static void *ask_own_daemon(void *arg)
{
    struct foreground *f = arg;
    f->rc = mount_and_wait(f->command, &f->err);
    return NULL;
}

static void own_daemon_ready(void *arg, const struct err *err)
{
    struct foreground *f = arg;
    if (!err)
        f->started = pthread_create(&f->asking, NULL, ask_own_daemon, f) == 0;
}

/* A daemon in this process; or, where there is one already, a mount in that. */
static int mount_in_foreground(struct mount_command *m, struct err *err)
{
    struct foreground f = {.command = m};
    struct daemon_config config = {.options = &m->options,
                                   .cache_key = m->keyed ? m->key : NULL,
                                   .foreground = true,
                                   .ready = own_daemon_ready,
                                   .arg = &f};
    int rc = daemon_run(&config, err);
    if (rc == -EBUSY)
        return mount_and_wait(m, err);
    if (rc < 0)
        return rc;
    if (!f.started)
        return err_set(err, EAGAIN, "thread: no room for one");
    (void)pthread_join(f.asking, NULL); /* our own, joined once */
    return f.rc < 0 ? err_copy(err, &f.err) : 0;
}

int cmd_mount(int argc, char **argv)
{
    struct err err = ERR_INIT;
    const char *mountpoint = NULL;
    struct mount_command m = {.fuse_fd = -1};
    int fd = -1;
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        help();
        return EXIT_OK;
    }
    int rc = parse(argc, argv, &m, &mountpoint, &err);
    if (rc < 0) {
        options_done(&m.options);
        return usage_error("mount", "%s", err.msg);
    }
    rc = lake_source_read(m.source, &m.options, &m.lake, &err);
    if (rc == 0 && lake_source_is_s3(&m.lake, m.source, &m.options))
        rc = environment_take(&m.options, &err);
    if (rc == 0)
        rc = parse_mountpoint(&m, mountpoint, &err);
    if (rc == 0 && m.options.cache_key_file)
        rc = key_file_read(m.options.cache_key_file, m.key, &err);
    m.keyed = rc == 0 && m.options.cache_key_file;
    if (rc == 0 && m.options.sse_c_key_file)
        rc = key_file_read(m.options.sse_c_key_file, m.sse_c_key, &err);
    m.has_sse_c_key = rc == 0 && m.options.sse_c_key_file;
    if (rc == 0)
        rc = format_request(&m, &err);
    hide_secrets(); /* for the daemon, too, which is forked from here */
    if (rc == 0)
        rc =
            m.options.foreground ? mount_in_foreground(&m, &err) : mount_with_daemon(&m, &fd, &err);
    if (rc == 0 && !m.options.foreground)
        rc = wait_until_mounted(&m, &err);
    if (rc < 0)
        (void)fprintf(stderr, "tarn mount: %s\n", err.msg);
    else if (!m.options.foreground)
        printf("%s mounted on %s\n", m.source, mountpoint);
    if (fd >= 0)
        (void)close(fd); /* the daemon goes on without us */
    if (m.request.data)
        explicit_bzero(m.request.data, m.request.len);
    explicit_bzero(m.key, sizeof m.key);
    explicit_bzero(m.sse_c_key, sizeof m.sse_c_key);
    buf_done(&m.request);
    options_done(&m.options);
    lake_source_done(&m.lake);
    free(m.mountpoint);
    return rc < 0 ? EXIT_FAILED : EXIT_OK;
}
