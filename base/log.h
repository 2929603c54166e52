/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: one line an event, `2026-03-01T09:30:00.123Z error: message`. Only fs/ and tools/ log
 * above debug. Control characters in a message are escaped. Any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines up to `level` go to the descriptor (borrowed), by default warnings and errors to 2. */
void log_to(int fd, enum log_level level);

__attribute__((format(printf, 2, 3))) void log_line(enum log_level level, const char *fmt, ...);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)

#endif
