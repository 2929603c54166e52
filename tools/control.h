/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control socket (DIR/ctl.sock): how commands reach the daemon of a cache directory.
 *
 * A message is one line of JSON, with at most one descriptor beside it (SCM_RIGHTS). The client
 * sends one request and reads answers until the daemon closes:
 *
 *   {"op":"mount","source":..,"mountpoint":..,"options":{..},"credentials":{..},"uid":..,"gid":..}
 *                         ("lake":".." beside it: the content of the lake file that "source" is)
 *   {"ok":true,"pid":..}   or   {"ok":false,"code":..,"error":".."}   ("warning":".." beside ok)
 *   {"ended":true}          when the mount is gone
 *
 *   {"op":"cache","action":"stat"}          answers of tools/maintain.h; one client at a time
 *   ... "verify", "drop", "gc"              does more than look (-EBUSY)
 *
 *   {"op":"tag","tag":{..}}                 tools/daemon_tag.h
 *
 *   {"op":"recall","recall":{..}}           tools/daemon_recall.h
 *
 *   {"op":"ping"}           {"ok":true,"pid":..}
 *
 * Where the directory is on a disk that is read-only, no socket can be made in it: one without a
 * file (an abstract one, named by the directory's device and inode) takes its place.
 *
 * Blocks.
 */
#ifndef TOOLS_CONTROL_H
#define TOOLS_CONTROL_H

#include "base/buf.h"

#define CONTROL_SOCKET "ctl.sock"
#define CONTROL_MESSAGE_MAX ((size_t)1 << 20)

/* -ENAMETOOLONG where a socket in the directory could not have a name. */
int control_check_directory(const char *dir, struct err *err);

/* A listening socket in the directory, with mode 0600; replaces one that nobody listens on. */
int control_listen(const char *dir, int *fd, struct err *err);

/* -ENOENT or -ECONNREFUSED where no daemon is there. */
int control_connect(const char *dir, int *fd, struct err *err);

/* The peer is root or has our own uid. -EPERM otherwise. */
int control_check_peer(int fd, struct err *err);

/* One line (without its line feed), and a descriptor unless passed_fd is -1. */
int control_send(int fd, struct slice line, int passed_fd, struct err *err);

/*
 * The next line into `line` (reset first), and a descriptor that came with it in *passed_fd (the
 * caller's; -1: none). -EPIPE where the peer has closed. Keeps nothing back: one line a message.
 */
int control_receive(int fd, struct buf *line, int *passed_fd, struct err *err);

/* What an answer that is "ok" warns of, appended; nothing where it does not. */
void control_add_warning(struct slice line, struct buf *out);

/* 0 where the answer is "ok", else the error that it tells. */
int control_check_answer(struct slice line, struct err *err);

#endif
