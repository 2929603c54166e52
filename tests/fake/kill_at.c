/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kills a program at its n-th system call: kill_at N COMMAND...
 *
 * System calls of all its threads are counted from the moment that one of them sends an HTTP HEAD
 * or PUT on; at the N-th, before the kernel does it, all of them are killed (status 99). N 0: it
 * runs to its end, and the count is the last line on standard error.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#define KILLED_STATUS 99
#define OPTIONS                                                                                    \
    (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |      \
     PTRACE_O_EXITKILL)

/* The call that a thread is about to make sends such a request. */
static bool begins(pid_t thread, const struct __ptrace_syscall_info *call)
{
    char text[5] = "";
    if (call->entry.nr != SYS_sendto && call->entry.nr != SYS_write)
        return false;
    struct iovec to = {text, 4}, from = {(void *)(uintptr_t)call->entry.args[1], 4};
    return process_vm_readv(thread, &to, 1, &from, 1, 0) == 4 &&
           (strcmp(text, "HEAD") == 0 || strcmp(text, "PUT ") == 0);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    long wanted = strtol(argv[1], NULL, 10), seen = 0;
    bool counts = false;
    pid_t child = fork();
    if (child == 0) {
        /* under ptrace the sanitizer cannot look for leaks, and fails */
        setenv("ASAN_OPTIONS", "detect_leaks=0:abort_on_error=1", 1);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child ||
        ptrace(PTRACE_SETOPTIONS, child, NULL, OPTIONS) < 0)
        return 3;
    ptrace(PTRACE_SYSCALL, child, NULL, NULL);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        if (thread < 0)
            return 3;
        if (!WIFSTOPPED(status)) {
            if (thread != child)
                continue;
            (void)fprintf(stderr, "%ld\n", seen);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        int signal = WSTOPSIG(status);
        struct __ptrace_syscall_info call;
        if (signal == (SIGTRAP | 0x80)) {
            signal = 0;
            if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) > 0 &&
                call.op == PTRACE_SYSCALL_INFO_ENTRY) {
                counts = counts || begins(thread, &call);
                seen += counts;
                if (wanted && seen == wanted) {
                    kill(child, SIGKILL);
                    while (waitpid(-1, &status, __WALL) > 0) /* its threads before it */
                        continue;
                    return KILLED_STATUS;
                }
            }
        } else if (signal == SIGTRAP || signal == SIGSTOP) {
            signal = 0; /* of a new thread or program */
        }
        ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(long)signal);
    }
}
