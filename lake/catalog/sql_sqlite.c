/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A catalog in a SQLite file. The file is opened for reading alone, and what its schema says is not
 * trusted: it may define views in place of tables, which compute, but write nothing, read no other
 * file and end with the deadline.
 */
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "lake/catalog/sql_private.h"

#define STEPS_BETWEEN_LOOKS 10000 /* of SQLite's machine: well under a millisecond */
#define ROW_BYTES_MAX (4 * 1000 * 1000)

struct sqlite_db {
    struct sql_db db;
    char *path;
};

static void close_sqlite(sqlite3 **db)
{
    (void)sqlite3_close_v2(*db); /* read only: nothing to lose */
}

static void finalize(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement); /* its error was told by the step */
}

/* Other than 0 interrupts. */
static int is_late(void *arg)
{
    const int64_t *until_ms = arg;
    return clock_mono_ms() > *until_ms;
}

static int wait_for_writer(void *arg, int times)
{
    (void)times;
    return !is_late(arg) && sqlite3_sleep(2) >= 0;
}

/* Selecting, reading and the recursion of views; ATTACH, PRAGMA and writes are none of these. */
static int permit(void *arg, int action, const char *a, const char *b, const char *c, const char *d)
{
    (void)arg;
    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_RECURSIVE ||
                   action == SQLITE_FUNCTION
               ? SQLITE_OK
               : SQLITE_DENY;
}

static int fail(const struct sqlite_db *s, sqlite3 *db, int rc, struct err *err)
{
    int code = EIO;
    const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    if ((rc & 0xff) == SQLITE_NOMEM)
        code = ENOMEM;
    else if ((rc & 0xff) == SQLITE_TOOBIG)
        code = EOVERFLOW;
    else if ((rc & 0xff) == SQLITE_PERM || (rc & 0xff) == SQLITE_AUTH)
        code = EACCES;
    else if ((rc & 0xff) == SQLITE_INTERRUPT)
        why = "it took longer than the deadline";
    return err_set(err, code, "catalog %s: %.300s", s->path, why);
}

/* What is no file, a FIFO say, would be waited for. */
static int check_file(const struct sqlite_db *s, struct err *err)
{
    struct stat st;
    if (stat(s->path, &st) < 0)
        return err_set(err, errno == EACCES ? EACCES : EIO, "catalog %s: %s", s->path,
                       strerror(errno));
    return S_ISREG(st.st_mode) ? 0 : err_set(err, EIO, "catalog %s: it is no file", s->path);
}

static int set_up(sqlite3 *db, int64_t *until_ms)
{
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
    (void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
    sqlite3_progress_handler(db, STEPS_BETWEEN_LOOKS, is_late, until_ms);
    int rc = sqlite3_busy_handler(db, wait_for_writer, until_ms);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_set_authorizer(db, permit, NULL);
    return rc;
}

static int bind_all(sqlite3_stmt *statement, const struct sql_query *q)
{
    int rc = SQLITE_OK;
    for (size_t i = 0; rc == SQLITE_OK && i < q->parameters_n; i++) {
        struct slice p = q->parameters[i];
        rc = sqlite3_bind_text64(statement, (int)i + 1, p.n ? p.p : "", p.n, SQLITE_STATIC,
                                 SQLITE_UTF8);
    }
    return rc;
}

static struct slice value_of(sqlite3_stmt *statement, int column)
{
    if (sqlite3_column_type(statement, column) == SQLITE_NULL)
        return SLICE_NONE;
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return slice_make(text, text ? (size_t)sqlite3_column_bytes(statement, column) : 0);
}

static int tell_row(sqlite3_stmt *statement, const struct sql_query *q, struct err *err)
{
    struct sql_row row = {.n = 0};
    int n = sqlite3_column_count(statement);
    for (int i = 0; i < n && i < SQL_COLUMNS_MAX; i++) {
        row.names[row.n] = slice_of(sqlite3_column_name(statement, i));
        row.values[row.n++] = value_of(statement, i);
    }
    for (size_t i = 0; i < row.n; i++)
        if (row.values[i].n > SQL_VALUE_BYTES_MAX)
            return err_set(err, EOVERFLOW, "a value has %zu bytes, at most %zu are taken",
                           row.values[i].n, SQL_VALUE_BYTES_MAX);
    return q->row(q->arg, &row, err);
}

static int sqlite_query(struct sql_db *base, const struct sql_query *q, struct err *err)
{
    struct sqlite_db *s = CONTAINER_OF(base, struct sqlite_db, db);
    __attribute__((cleanup(close_sqlite))) sqlite3 *db = NULL;
    __attribute__((cleanup(finalize))) sqlite3_stmt *statement = NULL;
    int64_t until_ms = clock_mono_ms() + base->deadline_ms;
    int told = check_file(s, err);
    if (told < 0)
        return told;
    int rc = sqlite3_open_v2(s->path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = set_up(db, &until_ms);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, q->text, -1, &statement, NULL);
    if (rc == SQLITE_OK)
        rc = bind_all(statement, q);
    while (rc == SQLITE_OK && told == 0) {
        rc = sqlite3_step(statement);
        if (rc != SQLITE_ROW)
            break;
        rc = SQLITE_OK;
        told = tell_row(statement, q, err);
        if (told < 0)
            (void)err_wrap(err, "catalog %s", s->path);
    }
    return told || rc == SQLITE_OK || rc == SQLITE_DONE ? told : fail(s, db, rc, err);
}

static void sqlite_free(struct sql_db *base)
{
    struct sqlite_db *s = CONTAINER_OF(base, struct sqlite_db, db);
    free(s->path);
    free(s);
}

int sql_sqlite_new(const struct sql_uri *uri, struct sql_db **out, struct err *err)
{
    static const struct sql_db_ops ops = {.query = sqlite_query, .free = sqlite_free};
    struct sqlite_db *s = calloc(1, sizeof *s);
    char *path = strdup(uri->path);
    if (!s || !path) {
        free(s);
        free(path);
        return err_set(err, ENOMEM, "out of memory");
    }
    s->db.ops = &ops;
    s->path = path;
    *out = &s->db;
    return 0;
}
