/* SPDX-License-Identifier: Apache-2.0 */
/* The stores of a lake: which path lies where, what a store is opened with, what is refused. */
#include <sys/stat.h>

#include "base/workers.h"
#include "lake/lake.h"
#include "lake/lakefile.h"
#include "tests/unit/temp_dir.h"

struct fixture {
    struct temp_dir *dir;
    const char *root;
    struct workers *workers;
    struct store_runtime runtime;
    struct store_options options;
    struct lakefile *file;
    struct layers layers;
    struct err err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    assert_int_equal(temp_dir_set_up((void **)&f->dir), 0);
    f->root = f->dir->path;
    f->workers = workers_new("test", 1, &f->err);
    f->runtime.workers = f->workers;
    *state = f;
    return f->workers ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    workers_free(f->workers);
    lakefile_free(f->file);
    int rc = temp_dir_tear_down((void **)&f->dir);
    free(f);
    return rc;
}

static void make_dir(struct fixture *f, const char *name)
{
    AUTO_FREE char *path = NULL;
    assert_true(asprintf(&path, "%s/%s", f->root, name) > 0);
    assert_int_equal(mkdir(path, 0700), 0);
}

/* Opens the layers of a lake file, of which %R is the directory. */
static int open_layers(struct fixture *f, const char *text)
{
    AUTO(buf) struct buf whole = {0};
    buf_init(&whole, 4096);
    for (const char *p = text; *p; p++) {
        if (p[0] == '%' && p[1] == 'R' && p++)
            buf_add_str(&whole, f->root);
        else
            buf_add_char(&whole, *p);
    }
    lakefile_free(f->file);
    f->file = NULL;
    assert_int_equal(lakefile_parse(buf_slice(&whole), "l", &f->file, &f->err), 0);
    struct lake_config config = {
        .url = "l", .file = f->file, .store_options = &f->options, .runtime = &f->runtime};
    return layers_open(&f->layers, &config, &f->err);
}

static const struct layer *place(struct fixture *f, const char *path, const char *rest)
{
    struct slice found;
    const struct layer *layer = layers_place(&f->layers, slice_of(path), &found);
    if (layer)
        assert_true(slice_is(found, rest));
    return layer;
}

/* A path's first name is its layer, the rest is in that layer's store. */
static void test_places(void **state)
{
    struct fixture *f = *state;
    make_dir(f, "one");
    make_dir(f, "two");
    assert_int_equal(open_layers(f, "layers: {a: %R/one, ab: %R/two}\n"), 0);
    const struct layer *a = &f->layers.at.at[0], *ab = &f->layers.at.at[1];
    assert_true(layers_are_listed(&f->layers));
    assert_ptr_equal(place(f, "a", ""), a);
    assert_ptr_equal(place(f, "a/t/x", "t/x"), a);
    assert_ptr_equal(place(f, "ab/t", "t"), ab);
    assert_null(place(f, "", ""));
    assert_null(place(f, "abc/t", ""));
    assert_null(place(f, "/a", ""));
    assert_ptr_equal(layers_of_store(&f->layers, ab->store), ab);
    assert_null(layers_of_store(&f->layers, NULL));
    assert_true(a->others.n == 1 && a->others.at[0] == ab->store);
    layers_close(&f->layers, NULL);
}

/* Of a URL, all paths are in its store. */
static void test_one(void **state)
{
    struct fixture *f = *state;
    struct lake_config config = {
        .url = f->root, .store_options = &f->options, .runtime = &f->runtime};
    assert_int_equal(layers_open(&f->layers, &config, &f->err), 0);
    assert_false(layers_are_listed(&f->layers));
    assert_ptr_equal(place(f, "", ""), &f->layers.at.at[0]);
    assert_ptr_equal(place(f, "a/b", "a/b"), &f->layers.at.at[0]);
    assert_string_equal(f->layers.identity, f->layers.at.at[0].store->url);
    layers_close(&f->layers, NULL);
}

/* Names and stores make a lake's identity; the same file gives the same one. */
static void test_identity(void **state)
{
    struct fixture *f = *state;
    static const char *const files[] = {"layers: {a: %R/one, b: %R/two}\n",
                                        "layers: {b: %R/one, a: %R/two}\n", "layers: {a: %R/one}\n",
                                        "layers: {a: %R/one, b: %R/two}\n"};
    char *seen[ARRAY_SIZE(files)];
    make_dir(f, "one");
    make_dir(f, "two");
    for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
        assert_int_equal(open_layers(f, files[i]), 0);
        seen[i] = strdup(f->layers.identity);
        assert_null(strchr(seen[i], '\n'));
        layers_close(&f->layers, NULL);
    }
    assert_string_equal(seen[0], seen[3]);
    assert_string_not_equal(seen[0], seen[1]);
    assert_string_not_equal(seen[0], seen[2]);
    assert_string_not_equal(seen[1], seen[2]);
    for (size_t i = 0; i < ARRAY_SIZE(files); i++)
        free(seen[i]);
}

/* An object belongs to one layer, also where one is reached by a link; names alike are no overlap.
 */
static void test_overlap(void **state)
{
    struct fixture *f = *state;
    static const char *const overlap[] = {"layers: {a: %R/one, b: %R/one}\n",
                                          "layers: {a: %R/one, b: %R/one/in}\n",
                                          "layers: {a: %R/one/in, b: \"file://%R/one/\"}\n"};
    make_dir(f, "one");
    make_dir(f, "one/in");
    make_dir(f, "one-more");
    for (size_t i = 0; i < ARRAY_SIZE(overlap); i++) {
        assert_int_equal(open_layers(f, overlap[i]), -EINVAL);
        assert_non_null(strstr(f->err.msg, "l:1:"));
        assert_non_null(strstr(f->err.msg, "layer b: "));
        assert_non_null(strstr(f->err.msg, "which is layer a"));
        layers_close(&f->layers, NULL);
    }
    assert_int_equal(open_layers(f, "layers: {a: %R/one, b: %R/one-more}\n"), 0);
    layers_close(&f->layers, NULL);
}

/* The line of the store that is not there, and its layer. */
static void test_missing(void **state)
{
    struct fixture *f = *state;
    make_dir(f, "one");
    assert_int_equal(open_layers(f, "layers:\n  a: %R/one\n  b: {url: %R/none}\n"), -ENOENT);
    assert_non_null(strstr(f->err.msg, "l:3:12: layer b: "));
    layers_close(&f->layers, NULL);
    assert_int_equal(open_layers(f, "layers:\n  a: {url: %R/one, outside: [%R/no]}\n"), -ENOENT);
    assert_non_null(strstr(f->err.msg, "l:2:"));
    assert_non_null(strstr(f->err.msg, "layer a: outside: "));
    layers_close(&f->layers, NULL);
}

/* What a layer says counts before the mount's; the server's options of the mount are S3's. */
static void test_options(void **state)
{
    struct fixture *f = *state;
    struct store_options o;
    static const char text[] =
        "layers:\n"
        "  a: {url: s3://aaa, region: here, profile: p, requester-pays: true}\n"
        "  b: az://account/container\n"
        "  c: {url: gs://ccc, no-sign-request: true, proxy: off2, ca-bundle: /ca}\n";
    const struct store_options mount = {.endpoint_url = "http://mount",
                                        .region = "there",
                                        .ca_bundle = "/mount",
                                        .access_key_id = "key",
                                        .deadline_ms = 5};
    lakefile_free(f->file);
    assert_int_equal(lakefile_parse(slice_of(text), "l", &f->file, &f->err), 0);
    lakefile_store_options(&f->file->layers[0].store, &mount, &o);
    assert_string_equal(o.endpoint_url, "http://mount");
    assert_string_equal(o.region, "here");
    assert_string_equal(o.aws_profile, "p");
    assert_true(o.aws_profile_chosen && o.requester_pays && !o.no_sign_request);
    assert_string_equal(o.access_key_id, "key");
    lakefile_store_options(&f->file->layers[1].store, &mount, &o);
    assert_null(o.endpoint_url);
    assert_null(o.region);
    assert_string_equal(o.ca_bundle, "/mount");
    assert_true(!o.requester_pays && !o.aws_profile_chosen && o.deadline_ms == 5);
    lakefile_store_options(&f->file->layers[2].store, &mount, &o);
    assert_true(o.no_sign_request);
    assert_string_equal(o.proxy_url, "off2");
    assert_string_equal(o.ca_bundle, "/ca");
}

/* What is kept for the lake is no part of it, neither below a layer nor above one. */
static void test_near_and_archive_stores_are_apart(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *keep, *told;
    } cases[] = {
        {"archive: %R/one", "l:2:10: archive store: "},
        {"archive: %R/one/keep", "l:2:10: archive store: "},
        {"archive: %R", "l:2:10: archive store: "},
        {"archive: %R/one-2", NULL},
        {"archive: %R/not-there", NULL},
    };
    make_dir(f, "one");
    make_dir(f, "one/keep");
    make_dir(f, "one-2");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        AUTO_FREE char *text = NULL;
        assert_true(asprintf(&text, "layers: {a: %%R/one}\n%s\n", cases[i].keep) > 0);
        int rc = open_layers(f, text);
        assert_int_equal(rc, cases[i].told ? -EINVAL : 0);
        if (cases[i].told)
            assert_memory_equal(f->err.msg, cases[i].told, strlen(cases[i].told));
        layers_close(&f->layers, NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_places, setup, teardown),
        cmocka_unit_test_setup_teardown(test_near_and_archive_stores_are_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_overlap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_options, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
