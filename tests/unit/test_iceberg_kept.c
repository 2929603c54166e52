/* SPDX-License-Identifier: Apache-2.0 */
/* Archived snapshots beside those of the newest metadata, with a store that keeps texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

#include "cache/store/store.h"
#include "lake/iceberg/kept.h"

#define SCHEMA(id, column)                                                                         \
    "{\"type\":\"struct\",\"schema-id\":" #id ",\"fields\":[{\"id\":1" #id ",\"name\":\"" column   \
    "\",\"type\":\"long\",\"required\":false}]}"
#define SPEC(id, name)                                                                             \
    "{\"spec-id\":" #id ",\"fields\":[{\"source-id\":11,\"field-id\":1000,\"name\":\"" name        \
    "\",\"transform\":\"identity\"}]}"
#define SNAPSHOT(id, schema)                                                                       \
    "{\"snapshot-id\":" #id ",\"timestamp-ms\":" #id "00,\"schema-id\":" #schema                   \
    ",\"manifest-list\":\"s3://b/t/m" #id "\"}"
#define FILE_OF(uuid, current, schemas, specs, snapshots)                                          \
    "{\"format-version\":2,\"table-uuid\":\"" uuid "\",\"location\":\"s3://b/t\","                 \
    "\"last-updated-ms\":7,\"current-schema-id\":" #current ",\"schemas\":[" schemas               \
    "],\"default-spec-id\":0,\"partition-specs\":[" specs "],\"snapshots\":[" snapshots "]}"

#define NEWEST FILE_OF("u", 1, SCHEMA(1, "b"), SPEC(0, "p"), SNAPSHOT(5, 1))

/* A version that is archived, and the metadata file that was archived with it. */
struct kept {
    int64_t version;
    const char *key, *text; /* text NULL: it cannot be read now */
};

struct keeper {
    struct store store;
    struct store_ops ops;
    const struct kept *at;
    size_t n;
    unsigned reads; /* of files */
    bool dead;      /* nothing is told */
};

static struct keeper *keeper_of(struct store *s)
{
    return CONTAINER_OF(s, struct keeper, store);
}

static int tell_kept(struct store *s, const char *prefix, int (*emit)(void *arg, int64_t version),
                     void *arg, struct err *err)
{
    struct keeper *k = keeper_of(s);
    assert_string_equal(prefix, "t/");
    if (k->dead)
        return err_set(err, EIO, "nobody answers");
    for (size_t i = 0; i < k->n; i++)
        assert_int_equal(emit(arg, k->at[i].version), 0);
    return 0;
}

static int tell_log(struct store *s, const char *prefix, int64_t version,
                    int (*emit)(void *arg, const struct store_entry *entry), void *arg,
                    struct err *err)
{
    struct keeper *k = keeper_of(s);
    struct store_entry list = {.key = SLICE_LIT("t/metadata/snap-1.avro")};
    (void)prefix;
    for (size_t i = 0; i < k->n; i++) {
        struct store_entry file = {.key = slice_of(k->at[i].key)};
        if (k->at[i].version != version)
            continue;
        int rc = emit(arg, &list);
        return rc ? rc : emit(arg, &file);
    }
    return err_set(err, ENOENT, "it was dropped");
}

static void get(struct store *s, struct store_get *req)
{
    struct keeper *k = keeper_of(s);
    const char *text = NULL;
    k->reads++;
    for (size_t i = 0; i < k->n; i++)
        if (strcmp(k->at[i].key, req->key) == 0)
            text = k->at[i].text;
    if (!text) {
        req->rc = err_set(&req->err, EIO, "it cannot be read");
    } else {
        req->info.size = strlen(text);
        req->got = strlen(text) < req->length ? strlen(text) : req->length;
        memcpy(req->to, text, req->got);
    }
    req->done(req);
}

static void keeper_init(struct keeper *k, const struct kept *at, size_t n)
{
    *k = (struct keeper){.at = at, .n = n};
    k->ops =
        (struct store_ops){.scheme = "file", .get = get, .kept = tell_kept, .kept_log = tell_log};
    k->store.ops = &k->ops;
}

static struct iceberg_metadata *parse(const char *text)
{
    struct iceberg_metadata *m = NULL;
    struct err err = ERR_INIT;
    if (iceberg_metadata_parse(slice_of(text), SLICE_LIT("9.metadata.json"), &m, &err) < 0)
        fail_msg("%s", err.msg);
    return m;
}

static struct iceberg_metadata *join(struct keeper *k, struct iceberg_metadata *newest,
                                     struct iceberg_metadata *before, bool changed,
                                     struct iceberg_kept *kept)
{
    struct iceberg_metadata *m = NULL;
    struct err err = ERR_INIT;
    if (iceberg_kept_join(&k->store, "t/", newest, before, changed, kept, &m, &err) < 0)
        fail_msg("%s", err.msg);
    return m;
}

/* Aim: what is archived and forgotten is there again with schema, spec and the file that has it; of
 * several in one file that is read once, and never again. */
static void test_joined(void **state)
{
    (void)state;
    static const char old[] =
        FILE_OF("u", 0, SCHEMA(0, "a") "," SCHEMA(1, "b"), SPEC(0, "p") "," SPEC(3, "q"),
                SNAPSHOT(2, 0) "," SNAPSHOT(3, 1) "," SNAPSHOT(4, 1));
    static const struct kept at[] = {{2, "t/metadata/v3.metadata.json", old},
                                     {3, "t/metadata/v3.metadata.json", old},
                                     {5, "t/metadata/v7.metadata.json", NULL}};
    struct keeper k;
    struct iceberg_kept kept = {0};
    keeper_init(&k, at, 3);
    AUTO(iceberg_metadata) struct iceberg_metadata *newest = parse(NEWEST);
    AUTO(iceberg_metadata) struct iceberg_metadata *m = join(&k, newest, NULL, true, &kept);
    assert_int_equal(m->snapshots_n, 3);
    assert_int_equal(k.reads, 1);
    const struct iceberg_snapshot *s = iceberg_metadata_snapshot(m, 2);
    assert_true(slice_is(s->manifest_list, "s3://b/t/m2"));
    assert_true(slice_is(s->metadata, "v3.metadata.json"));
    assert_int_equal(iceberg_metadata_schema_of(m, s), 0);
    assert_non_null(iceberg_metadata_spec(m, 3));
    assert_int_equal(iceberg_metadata_snapshot(m, 5)->metadata.n, 0);
    assert_null(iceberg_metadata_snapshot(m, 4)); /* that is not archived */
    assert_int_equal(m->current_schema_id, 1);
    assert_null(join(&k, newest, m, false, &kept));
    AUTO(iceberg_metadata) struct iceberg_metadata *next = join(&k, newest, m, true, &kept);
    assert_int_equal(next->snapshots_n, 3);
    assert_int_equal(k.reads, 1);
    k.dead = true; /* what was found stays */
    AUTO(iceberg_metadata) struct iceberg_metadata *last = join(&k, newest, next, true, &kept);
    assert_int_equal(last->snapshots_n, 3);
    k.dead = false;
    k.n = 0; /* dropped */
    AUTO(iceberg_metadata) struct iceberg_metadata *none = join(&k, newest, last, false, &kept);
    assert_ptr_equal(none, newest);
}

/* Aim: another table's, and one of which an id means something else now, stay expired. */
static void test_others(void **state)
{
    (void)state;
    static const struct kept at[] = {
        {1, "t/metadata/v1.metadata.json",
         FILE_OF("other", 1, SCHEMA(1, "b"), SPEC(0, "p"), SNAPSHOT(1, 1))},
        {2, "t/metadata/v2.metadata.json",
         FILE_OF("u", 1, SCHEMA(1, "x"), SPEC(0, "p"), SNAPSHOT(2, 1))},
        {3, "t/metadata/v3.metadata.json",
         FILE_OF("u", 1, SCHEMA(1, "b"), SPEC(0, "x"), SNAPSHOT(3, 1))},
        {4, "t/metadata/v4.metadata.json", "{damaged"},
        {6, "t/_delta_log/00000000000000000006.json", "{}"},
        {7, "t/metadata/v7.metadata.json", NULL},
    };
    struct keeper k;
    struct iceberg_kept kept = {0};
    keeper_init(&k, at, 6);
    AUTO(iceberg_metadata) struct iceberg_metadata *newest = parse(NEWEST);
    AUTO(iceberg_metadata) struct iceberg_metadata *m = join(&k, newest, NULL, true, &kept);
    assert_int_equal(m->snapshots_n, 1);
    assert_int_equal(m->schemas_n, 1);
    assert_true(kept.again_ms > 0); /* for 7 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_joined),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
