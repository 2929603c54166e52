/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/instant.h"

#define LINE_MAX_BYTES 2048

static _Atomic int log_fd = 2;
static _Atomic int log_level = LOG_WARN;

void log_to(int fd, enum log_level level)
{
    log_fd = fd;
    log_level = (int)level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    if ((int)level > log_level)
        return;
    char message[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(message, sizeof message, fmt, ap); /* cut when too long */
    va_end(ap);
    AUTO(buf) struct buf line = {0};
    buf_init(&line, (size_t)8 * LINE_MAX_BYTES);
    instant_format(&line, clock_real_ms());
    buf_addf(&line, " %s: ", names[level]);
    for (const char *p = message; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            buf_addf(&line, "\\x%02x", (unsigned)(unsigned char)*p);
        else
            buf_add_char(&line, *p);
    buf_add_char(&line, '\n');
    ssize_t written = write(log_fd, line.data, line.len);
    (void)written; /* there is nowhere to complain */
}
