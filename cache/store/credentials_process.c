/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credential_process: a command of the profile that prints credentials as JSON. It runs without a
 * shell, as the mount's owner, with an environment that leads it to its files and has no secrets;
 * what it says on its standard error is nobody's.
 */
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "cache/store/credentials_parse.h"
#include "cache/store/credentials_source.h"
#include "cache/store/settings.h"

#define PROCESS_DEADLINE_MS 60000
#define OUTPUT_BYTES_MAX ((size_t)64 << 10)
#define ENVIRONMENT_MAX 16
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* All that the child needs, made before it is. */
struct command {
    char *words[257], *environment[ENVIRONMENT_MAX];
    char path[PATH_MAX]; /* of the program */
    uid_t uid;
    gid_t gid;
    bool become; /* uid and gid are others than ours */
};

/* The program as PATH leads to it. */
static int find_program(const struct credentials_finder *f, struct command *c, struct err *err)
{
    const char *name = c->words[0];
    struct slice rest = slice_of(f->o.path ? f->o.path : DEFAULT_PATH);
    if (strchr(name, '/')) {
        if (strlen(name) < sizeof c->path) {
            memcpy(c->path, name, strlen(name) + 1);
            return 0;
        }
        rest = SLICE_NONE;
    }
    while (rest.n) {
        ptrdiff_t colon = slice_find(rest, ':');
        size_t n = colon < 0 ? rest.n : (size_t)colon;
        int length = snprintf(c->path, sizeof c->path, "%.*s/%s", (int)n, rest.p, name);
        bool absolute = rest.p[0] == '/'; /* a relative one would be below our directory */
        rest = slice_from(rest, colon < 0 ? rest.n : n + 1);
        if (absolute && length > 0 && (size_t)length < sizeof c->path && access(c->path, X_OK) == 0)
            return 0;
    }
    return err_set(err, EACCES, "credential_process: %.100s is in no directory of PATH", name);
}

/* Its environment: what of ours is no secret and leads somewhere. */
static int make_environment(const struct credentials_finder *f, struct command *c, struct buf *text,
                            struct err *err)
{
    const struct {
        const char *name, *value;
    } rows[] = {
        {"HOME", f->o.home},
        {"PATH", f->o.path ? f->o.path : DEFAULT_PATH},
        {"AWS_CONFIG_FILE", f->o.aws_config_file},
        {"AWS_SHARED_CREDENTIALS_FILE", f->o.aws_credentials_file},
        {"AWS_CA_BUNDLE", f->o.ca_bundle},
        {"AWS_REGION", f->o.region},
    };
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].value) {
            buf_addf(text, "%s=%s", rows[i].name, rows[i].value);
            buf_add_char(text, '\0');
            n++;
        }
    int rc = buf_check(text, err);
    char *at = text->data;
    for (size_t i = 0; rc == 0 && i < n; at += strlen(at) + 1)
        c->environment[i++] = at;
    return rc;
}

/* The child: nothing here may allocate or lock, as other threads of ours were left behind. */
__attribute__((noreturn)) static void run_child(const struct command *c, int out)
{
    sigset_t none;
    (void)sigemptyset(&none);
    (void)pthread_sigmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL); /* allowed: signal: SIG_DFL, no handler */
    (void)setpgid(0, 0);            /* so that it ends with its children */
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0)
        _exit(126);
    /* The calls themselves: the library's would tell threads that are not there. */
    if (c->become && (syscall(SYS_setgroups, 0, NULL) < 0 ||
                      syscall(SYS_setresgid, c->gid, c->gid, c->gid) < 0 ||
                      syscall(SYS_setresuid, c->uid, c->uid, c->uid) < 0))
        _exit(126);
    (void)execve(c->path, c->words, c->environment);
    _exit(127);
}

static int64_t left_of(int64_t until_ms)
{
    int64_t left_ms = until_ms - clock_mono_ms();
    return left_ms < 0 ? 0 : left_ms;
}

/* All that it prints, until it closes its output. */
static int read_output(int fd, int64_t until_ms, struct buf *text, struct err *err)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char *to = buf_reserve(text, 4096);
        if (!to)
            return err_set(err, EIO, "it prints more than %zu bytes", OUTPUT_BYTES_MAX);
        if (poll(&p, 1, (int)left_of(until_ms)) <= 0 && left_of(until_ms) == 0)
            return err_set(err, EIO, "it does not end within %d s", PROCESS_DEADLINE_MS / 1000);
        ssize_t n = p.revents ? read(fd, to, 4096) : -1;
        if (n == 0)
            return 0;
        if (n > 0)
            text->len += (size_t)n;
        else if (p.revents && errno != EINTR && errno != EAGAIN)
            return err_set(err, EIO, "its output: %s", strerror(errno));
    }
}

/* Ends with the process, whatever it does. */
static int wait_for_end(pid_t pid, int64_t until_ms, bool kill_now, struct err *err)
{
    int status = 0;
    AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    if (!kill_now && poll(&p, pidfd >= 0, (int)left_of(until_ms)) <= 0)
        kill_now = true;
    if (kill_now)
        (void)kill(-pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 0;
    if (WIFSIGNALED(status))
        return err_set(err, EACCES, "it was ended by signal %d", WTERMSIG(status));
    return err_set(err, EACCES, "it ended with status %d", WEXITSTATUS(status));
}

static int run(const struct command *c, struct buf *text, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(err, EIO, "pipe: %s", strerror(errno));
    AUTO_FD int from = ends[0];
    AUTO_FD int to = ends[1];
    int64_t until_ms = clock_mono_ms() + PROCESS_DEADLINE_MS;
    pid_t pid = fork();
    if (pid < 0)
        return err_set(err, EIO, "fork: %s", strerror(errno));
    if (pid == 0)
        run_child(c, to);
    (void)setpgid(pid, pid); /* whoever comes first */
    (void)close(STEAL_FD(to));
    int rc = read_output(from, until_ms, text, err);
    int ended = wait_for_end(pid, until_ms, rc < 0, rc < 0 ? NULL : err);
    return rc < 0 ? rc : ended;
}

int credentials_from_process(const struct credentials_finder *f, const char *command,
                             struct credentials *out, struct err *err)
{
    struct command c = {
        .uid = f->o.uid, .gid = f->o.gid, .become = geteuid() == 0 && f->o.uid != 0};
    AUTO(buf) struct buf words = {0}, environment = {0};
    AUTO(wiped_buf) struct buf text = {0};
    size_t count = 0;
    buf_init(&words, 16384);
    buf_init(&environment, 65536);
    buf_init(&text, OUTPUT_BYTES_MAX);
    int rc = credentials_split(slice_of(command), &words, &count, err);
    char *at = words.data;
    for (size_t i = 0; rc == 0 && i < count; at += strlen(at) + 1)
        c.words[i++] = at;
    if (rc == 0)
        rc = find_program(f, &c, err);
    if (rc == 0)
        rc = make_environment(f, &c, &environment, err);
    if (rc == 0)
        rc = run(&c, &text, err);
    if (rc == 0)
        rc = credentials_parse_json(buf_slice(&text), out, err);
    return rc < 0 ? err_wrap(err, "credential_process") : 0;
}
