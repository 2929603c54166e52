/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/instant.h"
#include "lake/tier/rule.h"

#define DAY INT64_C(86400000)
#define NOW (1000 * DAY)

static int64_t at(const char *text)
{
    int64_t ms;
    assert_true(instant_parse(slice_of(text), &ms));
    return ms;
}

/* Aim: a partition value has passed when what it names has ended, not when it began. */
static void test_partition_values(void **state)
{
    (void)state;
    static const struct {
        const char *value, *end; /* NULL: it names no time */
    } rows[] = {
        {"2026-03-01", "2026-03-02"},
        {"20260301", "2026-03-02"},
        {"2024-02-29", "2024-03-01"},
        {"2026-03", "2026-04-01"},
        {"2026-12", "2027-01-01"},
        {"202612", "2027-01-01"},
        {"2026", "2027-01-01"},
        {"2026-03-01 09:30:00", "2026-03-01T09:30:00Z"},
        {"2026-03-01T09:30:00.000Z", "2026-03-01T09:30:00Z"},
        {"2026-02-30", NULL},
        {"2025-02-29", NULL},
        {"2026-13", NULL},
        {"2026-00", NULL},
        {"202", NULL},
        {"20261", NULL},
        {"2026-3-1", NULL},
        {"2026/03/01", NULL},
        {"EU", NULL},
        {"", NULL},
        {"-2026", NULL},
        {"2026x", NULL},
        {"2026-03-01x", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t end = 1;
        bool known = tier_partition_end(slice_of(rows[i].value), &end);
        if (known != (rows[i].end != NULL) || (known && end != at(rows[i].end)))
            fail_msg("%s: %lld", rows[i].value, (long long)end);
    }
}

/* Aim: the value of a hive directory, decoded; null is no value. */
static void test_directories(void **state)
{
    (void)state;
    struct slice value = SLICE_NONE, path = SLICE_LIT("a=1/date=2026%2D03-01/a=2/x=9");
    AUTO(buf) struct buf scratch = {0};
    buf_init(&scratch, 100);
    assert_true(tier_partition_in_path(path, SLICE_LIT("date"), &scratch, &value));
    assert_true(slice_is(value, "2026-03-01"));
    assert_true(tier_partition_in_path(path, SLICE_LIT("a"), &scratch, &value));
    assert_true(slice_is(value, "1"));
    assert_false(tier_partition_in_path(path, SLICE_LIT("x"), &scratch, &value)); /* the file's */
    assert_false(tier_partition_in_path(SLICE_LIT("a=__HIVE_DEFAULT_PARTITION__/f"), SLICE_LIT("a"),
                                        &scratch, &value));
}

struct row {
    const char *name;
    struct lakefile_rule rule;
    struct tier_subject subject;
    const char *value;
    int64_t from_ms; /* -1: the rule does not take it */
};

/* Aim: whom a rule takes, and what `after` counts from: the table of the documentation. */
static void test_takes(void **state)
{
    (void)state;
    static const struct tier_subject young = {.live = true, .added_ms = NOW - DAY};
    static const struct tier_subject dead = {
        .added_ms = NOW - 90 * DAY, .ceased_ms = NOW - 8 * DAY, .compacted = false};
    static const struct tier_subject rewritten = {
        .added_ms = NOW - 90 * DAY, .ceased_ms = NOW - 8 * DAY, .compacted = true};
    static const struct lakefile_rule age = {0}, live = {.live = true},
                                      old = {.need = LAKEFILE_NEED_OLDER_THAN, .need_ms = 7 * DAY},
                                      older = {.need = LAKEFILE_NEED_OLDER_THAN,
                                               .need_ms = 9 * DAY},
                                      old_live = {.need = LAKEFILE_NEED_OLDER_THAN, .live = true},
                                      compacted = {.need = LAKEFILE_NEED_COMPACTED},
                                      day = {.partition_column = "d",
                                             .partition_older_ms = 2 * DAY};
    const struct row rows[] = {
        {"age, live", age, young, NULL, -1},
        {"age, live, allowed", live, young, NULL, NOW - DAY},
        {"age, not live", age, dead, NULL, NOW - 90 * DAY},
        {"need, live", old, young, NULL, -1},
        {"need, live, allowed: it is needed all the same", old_live, young, NULL, -1},
        {"need, since long", old, dead, NULL, NOW - DAY},
        {"need, not long enough", older, dead, NULL, -1},
        {"compacted, but it was not", compacted, dead, NULL, -1},
        {"compacted", compacted, rewritten, NULL, NOW - 8 * DAY},
        {"partition, none", day, dead, NULL, -1},
        {"partition, no date", day, dead, "x", -1},
        {"partition, long ago", day, dead, "1972-09-24", NOW - 90 * DAY}, /* day 997 */
        {"partition, one day less", day, dead, "1972-09-25", -1},
    };
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        int64_t from = -1;
        bool takes =
            tier_rule_takes(&rows[i].rule, &rows[i].subject, slice_of(rows[i].value), NOW, &from);
        if (takes != (rows[i].from_ms >= 0) || (takes && from != rows[i].from_ms))
            fail_msg("%s: %d, %lld", rows[i].name, takes, (long long)from);
    }
}

/* Aim: the last move whose time has come; times beyond all times come never. */
static void test_due(void **state)
{
    (void)state;
    static const struct lakefile_move moves[] = {{"IA", 30 * DAY}, {"GLACIER", 90 * DAY}};
    static const struct lakefile_move never[] = {{"IA", INT64_MAX}};
    const struct lakefile_rule rule = {.moves = moves, .moves_n = 2};
    const struct lakefile_rule far = {.moves = never, .moves_n = 1};
    assert_null(tier_rule_due(&rule, NOW - 30 * DAY + 1, NOW));
    assert_ptr_equal(tier_rule_due(&rule, NOW - 30 * DAY, NOW), &moves[0]);
    assert_ptr_equal(tier_rule_due(&rule, NOW - 90 * DAY + 1, NOW), &moves[0]);
    assert_ptr_equal(tier_rule_due(&rule, NOW - 90 * DAY, NOW), &moves[1]);
    assert_null(tier_rule_due(&far, 1, NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_partition_values),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_takes),
        cmocka_unit_test(test_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
