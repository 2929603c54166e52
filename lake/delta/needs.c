/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/needs.h"

#include "lake/delta/checkpoint.h"
#include "lake/delta/replay.h"

struct needs {
    const struct delta_table *table;
    const struct delta_log *log;
    int (*emit)(void *arg, const char *key);
    void *arg;
    struct err *err;
};

static int emit_commits(const struct needs *n, int64_t first, int64_t last)
{
    AUTO(buf) struct buf key = {0};
    int rc = 0;
    buf_init(&key, KEY_BYTES_MAX);
    for (int64_t v = first; rc == 0 && v <= last; v++) {
        const struct delta_log_file *file = delta_log_commit(n->log, v);
        if (!file)
            return err_set(n->err, ENOENT, "the commit of version %lld is missing", (long long)v);
        delta_log_key(&key, n->table->prefix, &file->name);
        rc = buf_check(&key, n->err);
        if (rc == 0)
            rc = n->emit(n->arg, key.data);
    }
    return rc;
}

/* Its files, and the commits up to it that tell more of what it holds. */
static int emit_checkpoint(const struct needs *n, const struct delta_log_file *file)
{
    AUTO(delta_checkpoint) struct delta_checkpoint c;
    delta_checkpoint_init(&c, n->table->store, n->table->prefix, file);
    int rc = delta_checkpoint_files(&c, n->emit, n->arg, n->err);
    int64_t version = file->name.version;
    return rc ? rc : emit_commits(n, delta_replay_first_evidence(n->log, version), version);
}

int delta_needs(const struct delta_table *table, int64_t version,
                int (*emit)(void *arg, const char *key), void *arg, struct err *err)
{
    AUTO(delta_log) struct delta_log log;
    struct needs n = {table, &log, emit, arg, err};
    delta_log_init(&log);
    int rc = delta_log_read(&log, table->store, table->prefix, NULL, err);
    if (rc < 0)
        return rc;
    const struct delta_log_file *checkpoint = delta_log_checkpoint(&log, version);
    if (checkpoint)
        rc = emit_checkpoint(&n, checkpoint);
    return rc ? rc : emit_commits(&n, checkpoint ? checkpoint->name.version + 1 : 0, version);
}
