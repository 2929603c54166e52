/* SPDX-License-Identifier: Apache-2.0 */
/* Which of an object's versions was there at a moment, of a listing in pages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cache/store/s3_versions.h"

#define NOON_MS 1772366400000 /* 2026-03-01T12:00:00Z */

struct told {
    unsigned count;
    char key[8], version[8], class[24];
};

static int tell(void *arg, const struct s3_line *line, struct err *err)
{
    struct told *t = arg;
    (void)err;
    t->count++;
    (void)snprintf(t->key, sizeof t->key, "%.*s", SLICE_FMT(line->key));
    (void)snprintf(t->version, sizeof t->version, "%.*s", SLICE_FMT(line->version));
    (void)snprintf(t->class, sizeof t->class, "%.*s", SLICE_FMT(line->class));
    return 0;
}

/* A page whose memory is used for other things once it has been read. */
static void choose(struct s3_choice *c, const char *entries, bool last)
{
    AUTO(buf) struct buf xml = {0};
    AUTO(s3_page) struct s3_page page;
    buf_init(&xml, 64 * KIB);
    buf_addf(&xml, "<ListVersionsResult><IsTruncated>false</IsTruncated>%s</ListVersionsResult>",
             entries);
    s3_page_init(&page);
    assert_int_equal(s3_page_parse(buf_slice(&xml), true, &page, NULL), 0);
    assert_int_equal(s3_choose(c, &page, last, NULL), 0);
    for (size_t i = 0; i < page.lines.n; i++) {
        struct s3_line *line = &page.lines.at[i];
        const struct slice texts[] = {line->key, line->version, line->class, line->etag};
        for (size_t t = 0; t < ARRAY_SIZE(texts); t++)
            if (texts[t].n)
                memset((char *)(uintptr_t)texts[t].p, '#', texts[t].n);
    }
}

#define VERSION(key, id, time, latest, class)                                                      \
    "<Version><Key>" key "</Key><VersionId>" id "</VersionId><IsLatest>" latest                    \
    "</IsLatest><LastModified>2026-03-01T" time                                                    \
    "Z</LastModified><ETag>&quot;e&quot;</ETag><Size>4</Size><StorageClass>" class "</"            \
                                                                                   "StorageClass>" \
                                                                                   "</Version>"
#define DELETION(key, id, time, latest)                                                            \
    "<DeleteMarker><Key>" key "</Key><VersionId>" id "</VersionId><IsLatest>" latest               \
    "</IsLatest><LastModified>2026-03-01T" time "Z</LastModified></DeleteMarker>"

/* What a page told last is told whole when the next page has come: its storage class too. */
static void test_pages(void **state)
{
    struct s3_choice c;
    struct told t = {0};
    (void)state;
    s3_choice_init(&c, NOON_MS, tell, &t);
    choose(&c, VERSION("a", "two", "11:00:00", "true", "GLACIER"), false);
    choose(&c, VERSION("a", "one", "10:00:00", "false", "STANDARD"), false);
    assert_int_equal(t.count, 0);
    choose(&c, VERSION("b", "one", "13:00:00", "true", "STANDARD"), true);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.key, "a");
    assert_string_equal(t.version, "two");
    assert_string_equal(t.class, "GLACIER");
    s3_choice_done(&c);
}

/* Of versions of one moment the one counts that was listed first, which is the newest; a deletion
 * that some servers list behind them counts where it is the latest. */
static void test_equal_times(void **state)
{
    struct s3_choice c;
    struct told t = {0};
    (void)state;
    s3_choice_init(&c, NOON_MS, tell, &t);
    choose(&c,
           VERSION("a", "two", "11:00:00", "false", "STANDARD")
               VERSION("a", "one", "11:00:00", "false", "STANDARD"),
           true);
    assert_int_equal(t.count, 1);
    assert_string_equal(t.version, "two");
    choose(&c,
           VERSION("b", "one", "11:00:00", "false", "STANDARD")
               DELETION("b", "gone", "11:00:00", "true"),
           true);
    assert_int_equal(t.count, 1);
    s3_choice_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_equal_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
