/* SPDX-License-Identifier: Apache-2.0 */
/* Which ORC files have a table's columns as they are (tests/fixtures/orc/make.py wrote them). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/limits.h"
#include "lake/format/orc.h"
#include "lake/format/shape.h"

static void load(struct buf *file, const char *name)
{
    char path[256];
    (void)snprintf(path, sizeof path, "tests/fixtures/orc/%s.orc", name);
    buf_init(file, MIB);
    assert_int_equal(file_read(AT_FDCWD, path, file, NULL), 0);
}

/* What is asked for otherwise than the file has it. */
struct change {
    size_t at; /* of the fields below; 0: nothing */
    struct shape_field as;
    bool without; /* the field is left out */
};

static const struct shape_field fields[] = {
    {.name = {"", 0}, .kind = SHAPE_STRUCT, .id = SHAPE_NO_ID},
    {.name = {"id", 2}, .id = 1, .type = SHAPE_INT64},
    {.name = {"name", 4}, .id = 2, .type = SHAPE_STRING},
    {.name = {"day", 3}, .id = 3, .type = SHAPE_DATE},
    {.name = {"price", 5}, .id = 4, .type = SHAPE_DECIMAL, .precision = 9, .scale = 2},
    {.name = {"place", 5}, .id = 5, .kind = SHAPE_STRUCT},
    {.name = {"city", 4}, .id = 6, .type = SHAPE_STRING},
    {.name = {"zone", 4}, .id = 7, .type = SHAPE_INT32},
    {.name = {"tags", 4}, .id = 8, .kind = SHAPE_LIST},
    {.name = {"element", 7}, .id = 9, .type = SHAPE_STRING},
};

static struct shape *shape_of(enum shape_match match, const struct change *c, bool more)
{
    struct shape_builder b;
    struct shape *s = NULL;
    shape_builder_init(&b, match);
    for (size_t i = 1; i < ARRAY_SIZE(fields); i++) {
        struct shape_field f = c && c->at == i ? c->as : fields[i];
        f.names = &fields[i].name;
        f.names_n = 1;
        f.nullable = true;
        if (!(c && c->at == i && c->without))
            shape_add(&b, &f);
        if (i == 7 || i == 9)
            shape_end(&b);
    }
    if (more)
        shape_add(&b,
                  &(struct shape_field){.name = SLICE_LIT("later"), .id = 10, .type = SHAPE_INT32});
    assert_int_equal(shape_finish(&b, &s, NULL), 0);
    return s;
}

static int present(const char *name, const struct shape *s, struct err *err)
{
    AUTO(buf) struct buf file = {0};
    uint64_t n;
    load(&file, name);
    assert_true(orc_is(buf_slice(&file)));
    assert_int_equal(orc_tail_bytes(buf_slice(&file), file.len, &n, err), 0);
    assert_true(n < file.len);
    return orc_presents(slice_from(buf_slice(&file), file.len - (size_t)n), s, err);
}

/* In whatever compression, a file with the table's columns is shown as it is. */
static void test_same_columns(void **state)
{
    (void)state;
    static const char *const names[] = {"uncompressed", "zlib", "snappy", "lz4", "zstd"};
    AUTO(shape) struct shape *alone = shape_of(SHAPE_BY_ID_ALONE, NULL, false);
    AUTO(shape) struct shape *mapped = shape_of(SHAPE_BY_MAPPING, NULL, false);
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (present(names[i], alone, &err) < 0 || present(names[i], mapped, &err) < 0)
            fail_msg("%s: %s", names[i], err.msg);
    if (present("no_ids", mapped, &err) < 0 || present("no_ids", alone, &err) < 0)
        fail_msg("%s", err.msg);
}

/* Anything else is refused, and the reason names the column. */
static void test_other_columns(void **state)
{
    (void)state;
    const struct {
        struct change change;
        const char *why;
    } cases[] = {
        {{1, {.name = SLICE_LIT("key"), .id = 1, .type = SHAPE_INT64}, false},
         "\"key\" has another name"},
        {{1, {.name = SLICE_LIT("id"), .id = 11, .type = SHAPE_INT64}, false},
         "\"id\" is another one"},
        {{1, {.name = SLICE_LIT("id"), .id = 1, .type = SHAPE_INT32}, false},
         "\"id\" has another type"},
        {{4,
          {.name = SLICE_LIT("price"), .id = 4, .type = SHAPE_DECIMAL, .precision = 10, .scale = 2},
          false},
         "\"price\" has another type"},
        {{6, {.name = SLICE_LIT("town"), .id = 6, .type = SHAPE_STRING}, false},
         "\"town\" has another name"},
        {{9, {.name = SLICE_LIT("element"), .id = 9, .type = SHAPE_BINARY}, false},
         "\"element\" has another type"},
        {{2, {.name = SLICE_LIT("name")}, true}, "\"day\" has another name or place"},
        {{7, {.name = SLICE_LIT("zone")}, true}, "\"place\" has more fields"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO(shape) struct shape *s = shape_of(SHAPE_BY_ID_ALONE, &cases[i].change, false);
        struct err err = ERR_INIT;
        assert_int_equal(present("zlib", s, &err), -EOPNOTSUPP);
        if (!strstr(err.msg, cases[i].why))
            fail_msg("%s: %s", cases[i].why, err.msg);
    }
    AUTO(shape) struct shape *s = shape_of(SHAPE_BY_ID_ALONE, NULL, true);
    struct err err = ERR_INIT;
    assert_int_equal(present("zlib", s, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.msg, "\"later\" is not in it"));
}

/* A name that the mapping does not have is another column's, though it is the same. */
static void test_name_mapping(void **state)
{
    (void)state;
    struct change c = {2, {.name = SLICE_LIT("name"), .id = 2, .type = SHAPE_STRING}, false};
    struct slice other = SLICE_LIT("title");
    struct shape_builder b;
    AUTO(shape) struct shape *s = NULL;
    struct err err = ERR_INIT;
    shape_builder_init(&b, SHAPE_BY_MAPPING);
    for (size_t i = 1; i < 3; i++) {
        struct shape_field f = i == 2 ? c.as : fields[i];
        f.names = i == 2 ? &other : &fields[i].name;
        f.names_n = 1;
        shape_add(&b, &f);
    }
    assert_int_equal(shape_finish(&b, &s, NULL), 0);
    assert_int_equal(present("no_ids", s, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.msg, "\"name\" is not that of this name"));
}

/* Whatever byte of its end is wrong, or however short it is, nothing but an error comes of it. */
static void test_damage(void **state)
{
    (void)state;
    AUTO(shape) struct shape *s = shape_of(SHAPE_BY_ID_ALONE, NULL, false);
    AUTO(buf) struct buf file = {0};
    load(&file, "zlib");
    for (size_t i = 0; i < file.len; i++) {
        struct err err = ERR_INIT;
        uint64_t n;
        file.data[i] = (char)~file.data[i];
        if (orc_tail_bytes(buf_slice(&file), file.len, &n, &err) == 0) {
            int rc = orc_presents(slice_from(buf_slice(&file), file.len - (size_t)n), s, &err);
            assert_true(rc == 0 || rc == -EIO || rc == -EOPNOTSUPP || rc == -EOVERFLOW);
        }
        file.data[i] = (char)~file.data[i];
        (void)orc_presents(slice_from(buf_slice(&file), i), s, &err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_columns),
        cmocka_unit_test(test_other_columns),
        cmocka_unit_test(test_name_mapping),
        cmocka_unit_test(test_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
