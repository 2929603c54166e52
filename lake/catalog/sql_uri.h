/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a SQL catalog's database is, as PyIceberg (SQLAlchemy) and JDBC write it. Pure.
 *
 *   /dir/catalog.db                            SQLite, always by an absolute path
 *   sqlite:////dir/catalog.db                  likewise; jdbc:sqlite:/dir/...,
 * jdbc:sqlite:file:/dir/... postgresql://user@host:port/database       also postgresql+psycopg2://,
 * postgres://, jdbc:postgresql:// ?sslmode=verify-full&sslrootcert=/pem  and user=
 *
 * A URI holds no password.
 */
#ifndef LAKE_CATALOG_SQL_URI_H
#define LAKE_CATALOG_SQL_URI_H

#include <stdbool.h>

#include "base/err.h"
#include "base/slice.h"

#define SQL_URI_PART_MAX 256

/* Texts are empty where not told. */
struct sql_uri {
    bool postgres;
    char path[4096];             /* of SQLite: absolute */
    char host[SQL_URI_PART_MAX]; /* of PostgreSQL: never empty */
    char port[8];
    char database[SQL_URI_PART_MAX]; /* never empty */
    char user[SQL_URI_PART_MAX];
    char sslmode[16], sslrootcert[4096];
};

/* -EINVAL with a reason that repeats nothing of the text; *out is untouched then. */
int sql_uri_parse(struct slice text, struct sql_uri *out, struct err *err);

#endif
