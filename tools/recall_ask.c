/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/recall_ask.h"

#include <stdio.h>
#include <sys/xattr.h>

#include "base/json.h"
#include "tools/ask.h"
#include "tools/control.h"
#include "tools/recall_speed.h"

int recall_mount_of(const char *path, struct recall_mount *out, struct err *err)
{
    int rc = ask_directory(path, out->dir, err);
    if (rc < 0)
        return rc;
    ssize_t n = getxattr(path, "user.tarn.mount", out->number, sizeof out->number - 1);
    if (n < 0)
        return err_set(err, errno, "%s: %s", path, strerror(errno));
    out->number[n] = '\0';
    return 0;
}

static void begin(const struct recall_mount *m, const struct store_restore *how, struct buf *out)
{
    buf_init(out, CONTROL_MESSAGE_MAX);
    buf_addf(out, "{\"op\":\"recall\",\"recall\":{\"mount\":\"%s\",\"days\":%u,\"speed\":\"%s\",",
             m->number, how->days, recall_speed_name(how->speed));
}

/* A line of the answer. False: it is the last one. */
static bool parse_line(struct slice line, int64_t *code, struct buf *why)
{
    AUTO(buf) struct buf scratch = {0};
    struct json j;
    struct slice key, text = SLICE_NONE;
    bool ok, last = false;
    buf_init(&scratch, CONTROL_MESSAGE_MAX);
    *code = 0;
    json_init(&j, line);
    ok = json_enter_object(&j);
    while (ok && json_next_key(&j, &key)) {
        last = last || slice_is(key, "ok");
        ok = slice_is(key, "code")    ? json_int64(&j, code)
             : slice_is(key, "error") ? json_string(&j, &scratch, &text)
                                      : json_skip(&j, NULL);
    }
    buf_reset(why);
    buf_add_slice(why, text);
    return !last && !json_failed(&j);
}

static int ask(const struct recall_mount *m, struct buf *request,
               const struct recall_listener *listener, struct err *err)
{
    AUTO_FD int fd = -1;
    AUTO(buf) struct buf line = {0}, why = {0};
    int passed = -1;
    int64_t code;
    buf_init(&line, CONTROL_MESSAGE_MAX);
    buf_init(&why, CONTROL_MESSAGE_MAX);
    int rc = buf_check(request, err);
    if (rc == 0)
        rc = control_connect(m->dir, &fd, err);
    if (rc == 0)
        rc = control_check_peer(fd, err);
    if (rc == 0)
        rc = control_send(fd, buf_slice(request), -1, err);
    for (size_t i = 0; rc == 0; i++) {
        rc = control_receive(fd, &line, &passed, err);
        if (rc == 0 && !parse_line(buf_slice(&line), &code, &why))
            return control_check_answer(buf_slice(&line), err);
        if (rc == 0)
            listener->told(listener->arg, i, -(int)code, why.len ? why.data : "");
    }
    return rc;
}

int recall_objects(const struct recall_mount *m, const char *const *objects, size_t n,
                   const struct store_restore *how, const struct recall_listener *listener,
                   struct err *err)
{
    AUTO(buf) struct buf request = {0};
    begin(m, how, &request);
    buf_add_str(&request, "\"objects\":[");
    for (size_t i = 0; i < n; i++) {
        buf_add_str(&request, i ? "," : "");
        buf_add_json(&request, slice_of(objects[i]));
    }
    buf_add_str(&request, "]}}");
    return ask(m, &request, listener, err);
}

int recall_log(const struct recall_mount *m, const char *table, const struct store_restore *how,
               const struct recall_listener *listener, struct err *err)
{
    AUTO(buf) struct buf request = {0};
    begin(m, how, &request);
    buf_add_str(&request, "\"table\":");
    buf_add_json(&request, slice_of(table));
    buf_add_str(&request, "}}");
    return ask(m, &request, listener, err);
}
