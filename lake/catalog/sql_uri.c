/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/sql_uri.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/text.h"

/* Percent-decoded into a field; false: it does not fit, or has control characters. */
static bool copy(char *to, size_t size, struct slice from)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, size);
    text_percent_decode(&text, from);
    if (text.failed || text.len >= size)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return false;
    memcpy(to, text.len ? text.data : "", text.len);
    to[text.len] = '\0';
    return true;
}

static bool take(struct slice *s, const char *prefix)
{
    bool is = slice_starts(*s, slice_of(prefix));
    if (is)
        *s = slice_from(*s, strlen(prefix));
    return is;
}

static int too_long(struct err *err)
{
    return err_set(err, EINVAL,
                   "a part of the catalog's URI is too long, or has control characters");
}

static int parse_sqlite(struct slice path, struct sql_uri *u, struct err *err)
{
    if (path.n < 2 || path.p[0] != '/' || path.p[path.n - 1] == '/')
        return err_set(err, EINVAL,
                       "a SQLite catalog is named by an absolute path: sqlite:////dir/catalog.db");
    if (path.n >= sizeof u->path || memchr(path.p, '\n', path.n) || memchr(path.p, '\0', path.n))
        return too_long(err);
    memcpy(u->path, path.p, path.n);
    u->path[path.n] = '\0';
    return 0;
}

static int parse_parameter(struct slice text, struct sql_uri *u, struct err *err)
{
    static const char *const modes[] = {"disable", "allow",     "prefer",
                                        "require", "verify-ca", "verify-full"};
    if (take(&text, "sslmode=")) {
        for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
            if (slice_is(text, modes[i]))
                return copy(u->sslmode, sizeof u->sslmode, text) ? 0 : too_long(err);
        return err_set(err, EINVAL,
                       "sslmode is disable, allow, prefer, require, verify-ca or "
                       "verify-full");
    }
    if (take(&text, "sslrootcert=")) {
        if (!copy(u->sslrootcert, sizeof u->sslrootcert, text))
            return too_long(err);
        return *u->sslrootcert == '/' ? 0 : err_set(err, EINVAL, "sslrootcert is an absolute path");
    }
    if (take(&text, "user="))
        return copy(u->user, sizeof u->user, text) ? 0 : too_long(err);
    return err_set(err, EINVAL,
                   "a PostgreSQL URI has no parameters but sslmode, sslrootcert and "
                   "user");
}

static int parse_parameters(struct slice text, struct sql_uri *u, struct err *err)
{
    int rc = 0;
    while (rc == 0 && text.n) {
        ptrdiff_t end = slice_find(text, '&');
        size_t n = end < 0 ? text.n : (size_t)end;
        rc = parse_parameter(slice_make(text.p, n), u, err);
        text = slice_from(text, n + (end >= 0));
    }
    return rc;
}

static int parse_host(struct slice text, struct sql_uri *u, struct err *err)
{
    uint64_t port;
    struct slice host = text, digits = SLICE_NONE;
    ptrdiff_t colon = slice_rfind(text, ':');
    ptrdiff_t bracket = slice_rfind(text, ']');
    if (colon >= 0 && colon > bracket) {
        host = slice_make(text.p, (size_t)colon);
        digits = slice_from(text, (size_t)colon + 1);
        if (!text_parse_u64(digits, 65535, &port) || port == 0)
            return err_set(err, EINVAL, "a port is 1 to 65535");
    }
    if (bracket >= 0) { /* IPv6 */
        if (host.p[0] != '[' || (size_t)bracket + 1 != host.n)
            return err_set(err, EINVAL, "the host is none");
        host = slice_make(host.p + 1, host.n - 2);
    }
    if (!host.n || slice_find(host, ',') >= 0)
        return err_set(err, EINVAL,
                       "a PostgreSQL catalog is on one host: postgresql://host/database");
    return copy(u->host, sizeof u->host, host) && copy(u->port, sizeof u->port, digits)
               ? 0
               : too_long(err);
}

static int parse_postgres(struct slice rest, struct sql_uri *u, struct err *err)
{
    ptrdiff_t question = slice_find(rest, '?');
    struct slice parameters = question < 0 ? SLICE_NONE : slice_from(rest, (size_t)question + 1);
    rest.n = question < 0 ? rest.n : (size_t)question;
    ptrdiff_t slash = slice_find(rest, '/');
    struct slice database = slash < 0 ? SLICE_NONE : slice_from(rest, (size_t)slash + 1);
    struct slice authority = slice_make(rest.p, slash < 0 ? rest.n : (size_t)slash);
    ptrdiff_t at = slice_rfind(authority, '@');
    struct slice user = slice_make(authority.p, at < 0 ? 0 : (size_t)at);
    u->postgres = true;
    if (slice_find(user, ':') >= 0)
        return err_set(err, EINVAL,
                       "a password has no place in a catalog's URI: credential-file or "
                       "PGPASSWORD of the environment has one");
    if (!database.n || slice_find(database, '/') >= 0)
        return err_set(err, EINVAL,
                       "a PostgreSQL catalog names its database: postgresql://host/database");
    if (!copy(u->user, sizeof u->user, user) || !copy(u->database, sizeof u->database, database))
        return too_long(err);
    int rc = parse_host(slice_from(authority, (size_t)(at + 1)), u, err);
    return rc < 0 ? rc : parse_parameters(parameters, u, err);
}

int sql_uri_parse(struct slice text, struct sql_uri *out, struct err *err)
{
    static const char *const postgres[] = {"postgresql://", "postgres://"};
    struct sql_uri u = {0};
    struct slice rest = text;
    bool jdbc = take(&rest, "jdbc:");
    int rc = -EINVAL;
    if (!jdbc && rest.n && rest.p[0] == '/') {
        rc = parse_sqlite(rest, &u, err);
    } else if (take(&rest, "sqlite:")) {
        if (jdbc)
            (void)take(&rest, "file:"); /* either is fine */
        else if (!take(&rest, "///"))
            rest = SLICE_NONE;
        rc = parse_sqlite(rest, &u, err);
    } else {
        bool is = false;
        if (!jdbc && take(&rest, "postgresql+")) { /* a driver of SQLAlchemy's: psycopg2 */
            ptrdiff_t end = slice_find(rest, ':');
            rest = slice_from(rest, end < 0 ? rest.n : (size_t)end);
            is = take(&rest, "://");
        }
        for (size_t i = 0; !is && i < ARRAY_SIZE(postgres); i++)
            is = take(&rest, postgres[i]);
        rc = is ? parse_postgres(rest, &u, err)
                : err_set(err, EINVAL, "a SQL catalog's URI begins with sqlite: or postgresql:");
    }
    if (rc == 0)
        *out = u;
    return rc;
}
