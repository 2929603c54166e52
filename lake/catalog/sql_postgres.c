/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A catalog in PostgreSQL. libpq is used without blocking, so that a server that hangs costs the
 * deadline and no more (the name of its host is resolved by libpq before that). A few connections
 * are kept; one that a server has closed meanwhile is made again, once.
 */
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/lock.h"
#include "cache/store/credentials_source.h"
#include "lake/catalog/sql_private.h"

#define IDLE_MAX 4
#define NO_FILE "/nonexistent"
#define IDLE_MS 30000
#define CREDENTIAL_BYTES_MAX 4096

struct idle {
    PGconn *connection;
    int64_t since_ms;
};

struct postgres_db {
    struct sql_db db;
    struct sql_uri uri; /* immutable, as the next ones */
    char *credential_file, *password, *passfile;
    struct lock lock;
    struct idle idle[IDLE_MAX]; /* lock */
    size_t idle_n;
};

static void finish(PGconn **connection)
{
    PQfinish(*connection); /* NULL is fine */
}

static void clear(PGresult **result)
{
    PQclear(*result); /* likewise */
}

/* libpq's messages have several lines, and never the password. */
static int fail(const struct postgres_db *p, int code, const char *why, struct err *err)
{
    size_t n = strcspn(why, "\n");
    return err_set(err, code, "catalog postgresql://%s/%s: %.*s", p->uri.host, p->uri.database,
                   (int)(n < 300 ? n : 300), why);
}

/* 0: the socket is ready. */
static int wait_socket(const struct postgres_db *p, PGconn *c, short events, int64_t until_ms,
                       struct err *err)
{
    struct pollfd fd = {.fd = PQsocket(c), .events = events};
    for (;;) {
        int64_t left_ms = until_ms - clock_mono_ms();
        int n = left_ms > 0 ? poll(&fd, 1, left_ms < 1000 ? (int)left_ms : 1000) : 0;
        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return fail(p, EIO, strerror(errno), err);
        if (left_ms <= 0)
            return fail(p, EIO, "it does not answer within the deadline", err);
    }
}

/* Connecting */

struct credential {
    struct buf text; /* "user", a zero, "password", a zero */
    const char *user, *password;
};

static void credential_done(struct credential *c)
{
    wiped_buf_done(&c->text);
}
DEFINE_AUTO_DONE(credential, struct credential, credential_done)

/* The file is read anew each time, as others change it. */
static int find_credential(const struct postgres_db *p, struct credential *out, struct err *err)
{
    buf_init(&out->text, CREDENTIAL_BYTES_MAX);
    out->user = *p->uri.user ? p->uri.user : NULL;
    out->password = p->password;
    if (!p->credential_file)
        return 0;
    struct err why = ERR_INIT;
    if (file_read(AT_FDCWD, p->credential_file, &out->text, &why) < 0)
        return err_set(err, EACCES, "credential-file: %s", why.msg);
    char *text = out->text.data;
    if (!text)
        return err_set(err, EACCES, "%s is empty", p->credential_file);
    text[strcspn(text, "\r\n")] = '\0';
    char *colon = strchr(text, ':');
    out->password = colon ? colon + 1 : text;
    if (colon) {
        *colon = '\0';
        out->user = text;
    }
    return 0;
}

static PGconn *start(const struct postgres_db *p, const struct credential *who)
{
    const char *keys[16], *values[16];
    size_t n = 0;
    const struct {
        const char *key, *value;
    } rows[] = {{"host", p->uri.host},
                {"port", p->uri.port},
                {"dbname", p->uri.database},
                {"user", who->user},
                {"password", who->password},
                {"passfile", p->passfile ? p->passfile : NO_FILE}, /* not the daemon's */
                {"sslmode", p->uri.sslmode},
                {"sslrootcert", p->uri.sslrootcert},
                {"application_name", "tarn"},
                {"client_encoding", "UTF8"}};
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (rows[i].value && *rows[i].value) {
            keys[n] = rows[i].key;
            values[n++] = rows[i].value;
        }
    keys[n] = values[n] = NULL;
    return PQconnectStartParams(keys, values, 0);
}

static bool is_refused(const char *why)
{
    return strstr(why, "authentication failed") || strstr(why, "no password supplied") ||
           strstr(why, "no pg_hba.conf entry") || strstr(why, "permission denied");
}

static int connect_new(const struct postgres_db *p, int64_t until_ms, PGconn **out, struct err *err)
{
    AUTO(credential) struct credential who = {.user = NULL};
    int rc = find_credential(p, &who, err);
    if (rc < 0)
        return rc;
    __attribute__((cleanup(finish))) PGconn *c = start(p, &who);
    if (!c)
        return err_set(err, ENOMEM, "out of memory");
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (rc == 0 && PQstatus(c) != CONNECTION_BAD && state != PGRES_POLLING_OK &&
           state != PGRES_POLLING_FAILED) {
        rc = wait_socket(p, c, state == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_ms, err);
        if (rc == 0)
            state = PQconnectPoll(c);
    }
    if (rc < 0)
        return rc;
    if (PQstatus(c) != CONNECTION_OK)
        return fail(p, is_refused(PQerrorMessage(c)) ? EACCES : EIO, PQerrorMessage(c), err);
    if (PQsetnonblocking(c, 1) < 0)
        return fail(p, EIO, PQerrorMessage(c), err);
    *out = STEAL(c);
    return 0;
}

/* Keeping */

static PGconn *take_idle(struct postgres_db *p)
{
    PGconn *c = NULL, *old[IDLE_MAX];
    size_t old_n = 0;
    int64_t now_ms = clock_mono_ms();
    WITH_LOCK (&p->lock)
        while (!c && p->idle_n) {
            struct idle *i = &p->idle[--p->idle_n];
            if (now_ms - i->since_ms <= IDLE_MS)
                c = i->connection;
            else
                old[old_n++] = i->connection;
        }
    while (old_n)
        PQfinish(old[--old_n]);
    return c;
}

static void keep_idle(struct postgres_db *p, PGconn *c)
{
    bool kept = false;
    WITH_LOCK (&p->lock)
        if (p->idle_n < IDLE_MAX) {
            p->idle[p->idle_n++] = (struct idle){c, clock_mono_ms()};
            kept = true;
        }
    if (!kept)
        PQfinish(c);
}

/* Asking */

static int flush(const struct postgres_db *p, PGconn *c, int64_t until_ms, struct err *err)
{
    int left, rc = 0;
    while (rc == 0 && (left = PQflush(c)) != 0)
        rc = left < 0 ? fail(p, EIO, PQerrorMessage(c), err)
                      : wait_socket(p, c, POLLOUT, until_ms, err);
    return rc;
}

/* The next result; *out NULL: there is none any more. */
static int next_result(const struct postgres_db *p, PGconn *c, int64_t until_ms, PGresult **out,
                       struct err *err)
{
    int rc = 0;
    while (rc == 0 && PQisBusy(c)) {
        rc = wait_socket(p, c, POLLIN, until_ms, err);
        if (rc == 0 && !PQconsumeInput(c))
            rc = fail(p, EIO, PQerrorMessage(c), err);
    }
    if (rc == 0)
        *out = PQgetResult(c);
    return rc;
}

static int tell_rows(const PGresult *r, const struct sql_query *q, struct err *err)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < PQntuples(r); i++) {
        struct sql_row row = {.n = 0};
        for (int f = 0; f < PQnfields(r) && f < SQL_COLUMNS_MAX; f++) {
            size_t n = (size_t)PQgetlength(r, i, f);
            if (n > SQL_VALUE_BYTES_MAX)
                return err_set(err, EOVERFLOW, "a value has %zu bytes, at most %zu are taken", n,
                               SQL_VALUE_BYTES_MAX);
            row.names[row.n] = slice_of(PQfname(r, f));
            row.values[row.n++] =
                PQgetisnull(r, i, f) ? SLICE_NONE : slice_make(PQgetvalue(r, i, f), n);
        }
        rc = q->row(q->arg, &row, err);
    }
    return rc;
}

static int take_result(const struct postgres_db *p, const PGresult *r, const struct sql_query *q,
                       struct err *err)
{
    switch (PQresultStatus(r)) {
    case PGRES_SINGLE_TUPLE:
    case PGRES_TUPLES_OK: {
        int rc = tell_rows(r, q, err);
        return rc < 0 ? err_wrap(err, "catalog postgresql://%s/%s", p->uri.host, p->uri.database)
                      : rc;
    }
    case PGRES_COMMAND_OK:
        return 0;
    default: {
        const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
        bool denied = state && strcmp(state, "42501") == 0; /* insufficient_privilege */
        return fail(p, denied ? EACCES : EIO, PQresultErrorMessage(r), err);
    }
    }
}

static int send_query(const struct postgres_db *p, PGconn *c, const struct sql_query *q,
                      struct err *err)
{
    /* Text parameters end in a zero; none has one in it (lake/catalog/sql.c). */
    AUTO(buf) struct buf texts = {0};
    const char *values[SQL_PARAMETERS_MAX] = {NULL};
    size_t at[SQL_PARAMETERS_MAX] = {0};
    buf_init(&texts, SQL_PARAMETERS_MAX * (SQL_VALUE_BYTES_MAX + 1));
    for (size_t i = 0; i < q->parameters_n; i++) {
        at[i] = texts.len;
        buf_add_slice(&texts, q->parameters[i]);
        buf_add_char(&texts, '\0');
    }
    int rc = buf_check(&texts, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < q->parameters_n; i++)
        values[i] = texts.data + at[i];
    if (!PQsendQueryParams(c, q->text, (int)q->parameters_n, NULL, values, NULL, NULL, 0) ||
        !PQsetSingleRowMode(c))
        return fail(p, EIO, PQerrorMessage(c), err);
    return 0;
}

/* *again: the connection was gone before anything was told. */
static int ask(const struct postgres_db *p, PGconn *c, const struct sql_query *q, int64_t until_ms,
               bool *again, struct err *err)
{
    bool told = false;
    int rc = send_query(p, c, q, err);
    if (rc == 0)
        rc = flush(p, c, until_ms, err);
    while (rc == 0) {
        __attribute__((cleanup(clear))) PGresult *r = NULL;
        rc = next_result(p, c, until_ms, &r, err);
        if (rc < 0 || !r)
            break;
        rc = take_result(p, r, q, err);
        told = told || PQntuples(r) > 0;
    }
    *again = rc < 0 && !told && PQstatus(c) == CONNECTION_BAD;
    return rc;
}

static int postgres_query(struct sql_db *base, const struct sql_query *q, struct err *err)
{
    struct postgres_db *p = CONTAINER_OF(base, struct postgres_db, db);
    int64_t until_ms = clock_mono_ms() + base->deadline_ms;
    __attribute__((cleanup(finish))) PGconn *c = take_idle(p);
    bool again = false;
    int rc = c ? ask(p, c, q, until_ms, &again, err) : 0;
    if (!c || again) {
        PQfinish(c);
        c = NULL;
        rc = connect_new(p, until_ms, &c, err);
        if (rc == 0)
            rc = ask(p, c, q, until_ms, &again, err);
    }
    if (rc == 0)
        keep_idle(p, STEAL(c)); /* who stopped in the middle has rows on the way */
    return rc;
}

static void postgres_free(struct sql_db *base)
{
    struct postgres_db *p = CONTAINER_OF(base, struct postgres_db, db);
    for (size_t i = 0; i < p->idle_n; i++)
        PQfinish(p->idle[i].connection);
    if (p->password)
        explicit_bzero(p->password, strlen(p->password));
    free(p->password);
    free(p->passfile);
    free(p->credential_file);
    lock_done(&p->lock);
    free(p);
}

static bool copy(const char *from, char **to)
{
    *to = from ? strdup(from) : NULL;
    return !from || *to;
}

int sql_postgres_new(const struct sql_uri *uri, const struct sql_catalog_options *o,
                     struct sql_db **out, struct err *err)
{
    static const struct sql_db_ops ops = {.query = postgres_query, .free = postgres_free};
    struct postgres_db *p = calloc(1, sizeof *p);
    if (!p)
        return err_set(err, ENOMEM, "out of memory");
    p->db.ops = &ops;
    p->uri = *uri;
    lock_init(&p->lock);
    if (copy(o->credential_file, &p->credential_file) &&
        copy(o->store->pg_password, &p->password) && copy(o->store->pg_passfile, &p->passfile)) {
        *out = &p->db;
        return 0;
    }
    postgres_free(&p->db);
    return err_set(err, ENOMEM, "out of memory");
}
