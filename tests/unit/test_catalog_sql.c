/* SPDX-License-Identifier: Apache-2.0 */
/* SQL catalogs: which URIs name a database, and what a SQLite file answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "lake/catalog/sql.h"
#include "lake/catalog/sql_uri.h"
#include "tests/unit/temp_dir.h"

static struct sql_uri uri_of(const char *text)
{
    struct sql_uri u;
    struct err err = ERR_INIT;
    if (sql_uri_parse(slice_of(text), &u, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return u;
}

static void test_sqlite_is_named_by_an_absolute_path(void **state)
{
    (void)state;
    static const char *const same[] = {"/d/c.db", "sqlite:////d/c.db", "jdbc:sqlite:/d/c.db",
                                       "jdbc:sqlite:file:/d/c.db"};
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        struct sql_uri u = uri_of(same[i]);
        assert_false(u.postgres);
        assert_string_equal(u.path, "/d/c.db");
    }
}

static void test_postgres_as_sqlalchemy_and_jdbc_write_it(void **state)
{
    (void)state;
    struct sql_uri u =
        uri_of("postgresql+psycopg2://r%40x@[::1]:5433/lakes?sslmode=verify-full&sslrootcert=/ca");
    assert_true(u.postgres);
    assert_string_equal(u.user, "r@x");
    assert_string_equal(u.host, "::1");
    assert_string_equal(u.port, "5433");
    assert_string_equal(u.database, "lakes");
    assert_string_equal(u.sslmode, "verify-full");
    assert_string_equal(u.sslrootcert, "/ca");
    u = uri_of("jdbc:postgresql://db/lakes?user=me");
    assert_string_equal(u.host, "db");
    assert_string_equal(u.port, "");
    assert_string_equal(u.user, "me");
}

static void test_what_names_no_database_is_refused_and_no_password_repeated(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "c.db",
                                        "sqlite:///c.db",
                                        "sqlite://",
                                        "mysql://h/d",
                                        "postgresql://h",
                                        "postgresql://h/",
                                        "postgresql:///d",
                                        "postgresql://h:0/d",
                                        "postgresql://h:x/d",
                                        "postgresql://a,b/d",
                                        "postgresql://u:hunter2@h/d",
                                        "postgresql://h/d?password=hunter2",
                                        "postgresql://h/d?sslmode=maybe",
                                        "jdbc:/c.db"};
    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        struct sql_uri u;
        struct err err = ERR_INIT;
        assert_int_equal(sql_uri_parse(slice_of(wrong[i]), &u, &err), -EINVAL);
        assert_null(strstr(err.msg, "hunter2"));
    }
}

static const char *dir_of(void **state)
{
    return ((const struct temp_dir *)*state)->path;
}

/* A database of one statement after the other. */
static void run(const char *path, const char *statements)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    char *why = NULL;
    if (sqlite3_exec(db, statements, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static const char tables[] =
    "CREATE TABLE iceberg_tables (catalog_name, table_namespace, table_name, metadata_location,"
    " previous_metadata_location, iceberg_type);"
    "CREATE TABLE iceberg_namespace_properties (catalog_name, namespace, property_key,"
    " property_value);"
    "INSERT INTO iceberg_tables VALUES ('prod', 'a.b', 't', 's3://b/t/metadata/1.metadata.json',"
    " NULL, NULL), ('prod', 'a', 'v', 's3://b/v', NULL, 'VIEW'), ('other', 'x', 't', 's3://b/x',"
    " NULL, 'TABLE');"
    "INSERT INTO iceberg_namespace_properties VALUES ('prod', 'a-b', 'exists', 'true');";

static struct catalog *catalog_of(const char *path, int64_t deadline_ms)
{
    struct store_options store = {.deadline_ms = deadline_ms};
    const struct sql_catalog_options o = {.uri = path, .name = "prod", .store = &store};
    struct catalog *c = NULL;
    struct err err = ERR_INIT;
    if (catalog_sql_open(&o, &c, &err) < 0)
        fail_msg("%s", err.msg);
    return c;
}

static int add(void *arg, struct slice name)
{
    struct buf *all = arg;
    buf_addf(all, "%.*s ", SLICE_FMT(name));
    return 0;
}

static void test_a_sqlite_file_tells_namespaces_tables_and_where_they_are(void **state)
{
    AUTO_FREE char *path = NULL;
    assert_true(asprintf(&path, "%s/c.db", dir_of(state)) > 0);
    run(path, tables);
    AUTO(catalog) struct catalog *c = catalog_of(path, 0);
    AUTO(buf) struct buf all = {0};
    struct err err = ERR_INIT;
    const struct slice levels[] = {SLICE_LIT("a"), SLICE_LIT("b")};
    const struct catalog_namespace root = {NULL, 0}, a = {levels, 1}, ab = {levels, 2};
    buf_init(&all, KIB);
    assert_int_equal(catalog_namespaces(c, &root, add, &all, &err), 0);
    assert_non_null(strstr(all.data, "a-b "));
    assert_non_null(strstr(all.data, "a "));
    assert_null(strchr(all.data, 'x'));
    buf_reset(&all);
    assert_int_equal(catalog_namespaces(c, &a, add, &all, &err), 0);
    assert_string_equal(all.data, "b ");
    buf_reset(&all);
    assert_int_equal(catalog_tables(c, &ab, add, &all, &err), 0);
    assert_string_equal(all.data, "t ");
    buf_reset(&all);
    assert_int_equal(catalog_tables(c, &a, add, &all, &err), 0); /* a view is none */
    assert_int_equal(all.len, 0);
    AUTO(catalog_table) struct catalog_table *t = NULL;
    assert_int_equal(catalog_load(c, &ab, SLICE_LIT("t"), NULL, &t, &err), 0);
    assert_string_equal(t->metadata_location.p, "s3://b/t/metadata/1.metadata.json");
    struct catalog_table *same = t;
    assert_int_equal(catalog_load(c, &ab, SLICE_LIT("t"), t->etag.p, &same, &err), 0);
    assert_null(same);
    assert_int_equal(catalog_load(c, &a, SLICE_LIT("v"), NULL, &same, &err), -ENOENT);
    assert_int_equal(catalog_load(c, &ab, SLICE_LIT("none"), NULL, &same, &err), -ENOENT);
}

/* A view in the place of the table computes without end. */
static void test_a_database_that_computes_for_ever_is_given_up_at_the_deadline(void **state)
{
    AUTO_FREE char *path = NULL;
    assert_true(asprintf(&path, "%s/evil.db", dir_of(state)) > 0);
    run(path,
        "CREATE TABLE iceberg_namespace_properties (catalog_name, namespace);"
        "CREATE VIEW iceberg_tables AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1"
        " FROM n) SELECT 'prod' AS catalog_name, 'a' AS table_namespace, 't' AS table_name,"
        " 's' AS metadata_location FROM n WHERE i < 0;");
    AUTO(catalog) struct catalog *c = catalog_of(path, 200);
    AUTO(buf) struct buf all = {0};
    struct err err = ERR_INIT;
    const struct catalog_namespace root = {NULL, 0};
    int64_t begun_ms = clock_mono_ms();
    buf_init(&all, KIB);
    assert_int_equal(catalog_namespaces(c, &root, add, &all, &err), -EIO);
    assert_non_null(strstr(err.msg, "deadline"));
    assert_true(clock_mono_ms() - begun_ms < 20000);
}

static void test_what_is_no_database_is_an_error_and_no_empty_catalog(void **state)
{
    const struct catalog_namespace root = {NULL, 0};
    AUTO_FREE char *none = NULL, *fifo = NULL, *text = NULL;
    assert_true(asprintf(&none, "%s/none.db", dir_of(state)) > 0);
    assert_true(asprintf(&fifo, "%s/fifo.db", dir_of(state)) > 0);
    assert_true(asprintf(&text, "%s/text.db", dir_of(state)) > 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    FILE *f = fopen(text, "w");
    assert_non_null(f);
    assert_true(fputs("no database, but long enough to be looked at as one, page by page\n", f) >
                0);
    assert_int_equal(fclose(f), 0);
    const char *const paths[] = {none, fifo, text};
    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        AUTO(catalog) struct catalog *c = catalog_of(paths[i], 0);
        AUTO(buf) struct buf all = {0};
        struct err err = ERR_INIT;
        buf_init(&all, KIB);
        assert_int_equal(catalog_namespaces(c, &root, add, &all, &err), -EIO);
        assert_non_null(strstr(err.msg, paths[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sqlite_is_named_by_an_absolute_path),
        cmocka_unit_test(test_postgres_as_sqlalchemy_and_jdbc_write_it),
        cmocka_unit_test(test_what_names_no_database_is_refused_and_no_password_repeated),
        cmocka_unit_test_setup_teardown(
            test_a_sqlite_file_tells_namespaces_tables_and_where_they_are, temp_dir_set_up,
            temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(
            test_a_database_that_computes_for_ever_is_given_up_at_the_deadline, temp_dir_set_up,
            temp_dir_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_database_is_an_error_and_no_empty_catalog,
                                        temp_dir_set_up, temp_dir_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
