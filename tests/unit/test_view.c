/* SPDX-License-Identifier: Apache-2.0 */
/* What a grant makes of a table's columns. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "lake/former.h"
#include "lake/view/policy_grant.h"
#include "lake/view/principal.h"
#include "lake/view/view.h"

/* See shape_of. */
#define CUSTOMERS                                                                                  \
    "id#1=id:l email#2=email:s address#3=address{ street#4=street:s city#5=city:s } "              \
    "tags#6=tags[ :s ] attrs#7=attrs< :s :s > people#8=people[ { phone#9=phone:s "                 \
    "age#10=age:i } ] born#11=born:d"

static enum shape_type type_of(char c)
{
    return c == 's'   ? SHAPE_STRING
           : c == 'i' ? SHAPE_INT32
           : c == 'd' ? SHAPE_DATE
           : c == 'v' ? SHAPE_VARIANT
           : c == 'o' ? SHAPE_STORED
                      : SHAPE_INT64;
}

/*
 * A shape from words: `name#id=stored:t` a leaf (s string, i int, l long, d date, v variant, o as
 * stored), `name{` a struct, `name[` a list, `name<` a map, and what ends them. Id and stored name
 * may be left out.
 */
static struct shape *shape_of(const char *text)
{
    struct shape_builder b;
    struct shape *s = NULL;
    struct err err = ERR_INIT;
    shape_builder_init(&b, SHAPE_BY_NAME);
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, " ");
        struct slice word = slice_make(at, n);
        at += n + (at[n] == ' ');
        if (strchr("}]>", word.p[0])) {
            shape_end(&b);
            continue;
        }
        struct shape_field f = {.id = SHAPE_NO_ID, .nullable = true, .name = SLICE_LIT("")};
        char last = word.p[word.n - 1];
        f.kind = last == '{'   ? SHAPE_STRUCT
                 : last == '[' ? SHAPE_LIST
                 : last == '<' ? SHAPE_MAP
                               : SHAPE_LEAF;
        f.type = (uint8_t)(f.kind == SHAPE_LEAF ? type_of(last) : 0);
        word.n -= f.kind == SHAPE_LEAF ? 2 : 1;
        ptrdiff_t stored = slice_find(word, '='), id = slice_find(word, '#');
        if (stored >= 0)
            f.stored = slice_from(word, (size_t)stored + 1);
        if (id >= 0)
            f.id = atoi(word.p + id + 1);
        f.name = slice_make(word.p, (size_t)(id >= 0       ? id
                                             : stored >= 0 ? stored
                                                           : (ptrdiff_t)word.n));
        shape_add(&b, &f);
    }
    if (shape_finish(&b, &s, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    return s;
}

static void print(const struct shape *s, uint32_t at, struct buf *out)
{
    static const char open[] = "\0{[<", close[] = "\0}]>";
    for (uint32_t i = at + 1; i < s->fields[at].end; i = s->fields[i].end) {
        const struct shape_field *f = &s->fields[i];
        buf_addf(out, "%s%.*s", out->len && !strchr("{[<", out->data[out->len - 1]) ? " " : "",
                 SLICE_FMT(f->name));
        if (f->mask)
            buf_addf(out, "=%s", shape_mask_name(f->mask));
        if (f->kind == SHAPE_LEAF)
            continue;
        buf_add_char(out, open[f->kind]);
        print(s, i, out);
        buf_add_char(out, close[f->kind]);
    }
}

static struct policy *grant_of(const char *text)
{
    struct err err = ERR_INIT;
    AUTO(buf) struct buf yaml;
    struct policy *p = NULL;
    buf_init(&yaml, MIB);
    buf_addf(&yaml,
             "classes: {pii: [lake/t.email, '**.phone'], other: [lake/u.email], dots: "
             "[lake/t.x.email]}\n"
             "grants:\n- to: [everyone]\n  tables: ['**']\n  %s\n",
             text);
    if (policy_parse(buf_slice(&yaml), "p", &p, &err) < 0)
        fail_msg("%s", err.msg);
    return p;
}

struct versions {
    const char *at, *today, *partitions;
    const char *once; /* NULL; or columns with names that they had in between */
};

/* The view as text, or the errno and the reason. */
static const char *see(const char *grant, struct versions v, struct buf *out)
{
    static const uint8_t salt[VIEW_SALT_BYTES] = {1};
    struct err err = ERR_INIT;
    AUTO(policy) struct policy *p = grant_of(grant);
    AUTO(shape)
    struct shape *at = shape_of(v.at), *today = shape_of(v.today ? v.today : v.at),
                 *partitions = v.partitions ? shape_of(v.partitions) : NULL;
    AUTO(shape) struct shape *once = v.once ? shape_of(v.once) : NULL;
    AUTO(former) struct former *former = once ? former_new(&err) : NULL;
    AUTO(view) struct view *view = NULL;
    if (once)
        assert_int_equal(former_add_shape(former, once, &err), 0);
    struct view_columns then = {SLICE_LIT("lake/t"), at, partitions, NULL},
                        now = {SLICE_LIT("lake/t"), today, partitions, former};
    buf_init(out, MIB);
    int rc = view_make(&p->grants[0], &then, &now, salt, &view, &err);
    if (rc < 0) {
        assert_null(view);
        buf_addf(out, "%s: %s", strerrorname_np(-rc), err.msg);
    } else if (view->hash == 0) {
        assert_null(view->shape);
        buf_add_str(out, "whole");
    } else {
        assert_true(view->shape->confined);
        print(view->shape, 0, out);
        buf_add_str(out, view->filter ? " | rows" : "");
        buf_add_str(out, view->paths ? ", paths" : "");
    }
    return out->data;
}

struct example {
    const char *grant, *want;
};

static void check(const struct example *cases, size_t n, struct versions v)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(buf) struct buf out;
        const char *got = see(cases[i].grant, v, &out);
        size_t whole = strlen(cases[i].want);
        bool prefix = whole && cases[i].want[whole - 1] == '~';
        if (prefix ? strncmp(got, cases[i].want, whole - 1) != 0 : strcmp(got, cases[i].want) != 0)
            fail_msg("%s:\n got %s\nwant %s", cases[i].grant, got, cases[i].want);
    }
}
#define CHECK(cases, ...) check(cases, ARRAY_SIZE(cases), (struct versions){.at = __VA_ARGS__})

/* Aim: what is hidden is gone with all that is in it, and what has nothing left as well. */
static void test_hide(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"", "whole"},
        {"hide: [nothing]",
         "id email address{street city} tags[] attrs<> people[{phone age}] born"},
        {"hide: [email, address.street]",
         "id address{city} tags[] attrs<> people[{phone age}] born"},
        {"hide: [address, people, attrs, tags]", "id email born"},
        {"hide: ['address.*', people, attrs, tags]", "id email born"},
        {"hide: [tags.element, attrs.key, people.element]", "id email address{street city} born"},
        {"hide: [attrs.value, people.element.phone, tags]",
         "id email address{street city} people[{age}] born"},
        {"hide: [people.phone, attrs, tags]", "id email address{street city} people[{age}] born"},
        {"hide: ['class:pii', attrs, tags]", "id address{street city} people[{age}] born"},
        {"hide: ['class:other', attrs, tags, people]", "id email address{street city} born"},
        {"hide: [EMAIL, Address.STREET, '*s', people]", "id born"},
        {"hide: ['**']", "ENOENT: lake/t under the grant in line 3: no column~"},
        {"hide: ['**.street', '*e*']", "id tags[] attrs<> born"},
    };
    CHECK(cases, CUSTOMERS);
}

/* Aim: `only` shows what it names, letter by letter, and what is in it. */
static void test_only(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"only: [id]", "id"},
        {"only: [ID]", "ENOENT: ~"},
        {"only: [id, address]", "id address{street city}"},
        {"only: [address.city, id]", "id address{city}"},
        {"only: [people.element.age]", "people[{age}]"},
        {"only: [people.age]", "ENOENT: ~"},
        {"only: [attrs.key]", "ENOENT: ~"},
        {"only: [attrs]", "attrs<>"},
        {"only: ['class:pii']", "email people[{phone}]"},
        {"only: ['**.city', '?d']", "id address{city}"},
        {"only: ['**']", "id email address{street city} tags[] attrs<> people[{phone age}] born"},
    };
    CHECK(cases, CUSTOMERS);
}

/* Aim: masks go to leaves, the first that names a column counts, and one that does not fit denies.
 */
static void test_mask(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"mask: {email: show-last-4}\n  only: [id, email]", "id email=show-last-4"},
        {"mask: {EMAIL: show-last-4, email: mask-alphanum}\n  only: [email]", "email=show-last-4"},
        {"mask: {address.city: mask-alphanum, address: show-first-4}\n  only: [address]",
         "address{street=show-first-4 city=mask-alphanum}"},
        {"mask: {address: replace-with-null, address.city: mask-alphanum}\n  only: [address]",
         "address=replace-with-null{street city}"},
        {"mask: {address.city: mask-alphanum, address: replace-with-null}\n  only: [address]",
         "address=replace-with-null{street city}"},
        {"mask: {people.phone: show-last-4, tags: mask-alphanum}\n  only: [people, tags]",
         "tags[=mask-alphanum] people[{phone=show-last-4 age}]"},
        {"mask: {attrs.value: mask-alphanum}\n  only: [attrs]", "attrs<=mask-alphanum>"},
        {"mask: {attrs: mask-alphanum}\n  only: [attrs]", "EOPNOTSUPP: ~"},
        {"mask: {attrs: replace-with-null}\n  only: [attrs]", "attrs=replace-with-null<>"},
        {"mask: {born: truncate-to-year, id: sha-256-query-local}\n  only: [id, born]",
         "id=sha-256-query-local born=truncate-to-year"},
        {"mask: {id: truncate-to-year}",
         "EOPNOTSUPP: lake/t under the grant in line 3: column \"id\"~"},
        {"mask: {id: truncate-to-year}\n  hide: [id, attrs, tags, people, address]", "email born"},
        {"mask: {'class:pii': mask-to-fixed-value}\n  only: ['class:pii']",
         "email=mask-to-fixed-value people[{phone=mask-to-fixed-value}]"},
    };
    CHECK(cases, CUSTOMERS);
}

/* Aim: a grant that keeps a partition column back denies the table, for paths would tell it. */
static void test_partitions(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"hide: [b]", "a"},
        {"hide: [Region]",
         "ENOENT: lake/t under the grant in line 3: column \"region\" is hidden~"},
        {"mask: {region: mask-alphanum}", "ENOENT: ~"},
        {"only: [a]", "ENOENT: ~"},
        {"only: [a, region]", "a"},
        {"only: [region]", "ENOENT: ~"},
    };
    CHECK(cases, "a:l b:s", .partitions = "region:s");
}

/* Aim: a column that came later is hidden by a pattern that names it, and by `only` in any case. */
static void test_new_columns(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"hide: ['secret_*', contact]", "a"},
        {"hide: ['secret_*']", "a contact{phone}"},
        {"hide: ['**.phone', secret_1]", "a"},
        {"only: [a]", "a"},
    };
    CHECK(cases, "a:l secret_1:s contact{ phone:s }", .today = "a:l");
    static const struct example nested[] = {
        {"hide: [contact.phone]", "a contact{mail fax}"},
        {"only: [contact.mail]", "contact{mail}"},
        {"only: [contact]", "contact{mail phone fax}"},
    };
    CHECK(nested, "a:l contact{ mail:s phone:s fax:s }");
}

/* Aim: a grant follows a column through renames by its id, and into the time before there were any.
 */
static void test_renames(void **state)
{
    (void)state;
    static const struct example renamed[] = {
        {"hide: [mail]", "id home{town}"},
        {"hide: [email]", "id home{town}"},
        {"only: [mail, address.city]", "email home{town}"},
        {"only: [email, home]", "ENOENT: ~"},
        {"mask: {address.city: mask-alphanum}", "id email home{town=mask-alphanum}"},
        {"mask: {home.town: mask-alphanum}", "id email home{town=mask-alphanum}"},
    };
    static const char *const today = "id#1=id:l mail#2=email:s address#3=home{ city#4=town:s }";
    CHECK(renamed, "id#1=id:l email#2=email:s home#3=home{ town#4=town:s }", .today = today);
    CHECK(renamed, "id:l email:s home{ town:s }", .today = today);
}

/* Aim: hide and mask go on after a column was renamed, in every version, by the name that its files
 * have; so do those for what is in it. `only` shows nothing for such a name. */
static void test_renamed_since(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"hide: [name]", "id home{town doc} tags[{label}]"},
        {"hide: [fullname]", "id home{town doc} tags[{label}]"},
        {"hide: [NAME]", "id home{town doc} tags[{label}]"},
        {"hide: ['na*']", "id home{town doc} tags[{label}]"},
        {"hide: ['class:pii']", "id fullname home{town doc} tags[{label}]"},
        {"mask: {name: mask-alphanum}", "id fullname=mask-alphanum home{town doc} tags[{label}]"},
        {"mask: {fullname: show-last-4, name: mask-alphanum}",
         "id fullname=show-last-4 home{town doc} tags[{label}]"},
        {"mask: {name: mask-alphanum, fullname: show-last-4}",
         "id fullname=mask-alphanum home{town doc} tags[{label}]"},
        {"hide: [address.city]", "id fullname home{doc} tags[{label}]"},
        {"hide: [home.city]", "id fullname home{doc} tags[{label}]"},
        {"hide: [address.town]", "id fullname home{doc} tags[{label}]"},
        {"hide: ['**.city', name]", "id home{doc} tags[{label}]"},
        {"hide: [address.body.phone]", "id fullname home{town} tags[{label}]"},
        {"hide: [marks.label, name]", "id home{town doc}"},
        {"hide: [marks.element.text, name]", "id home{town doc}"},
        {"hide: [tags.text, name]", "id home{town doc}"},
        {"hide: [address]", "id fullname tags[{label}]"},
        {"hide: [city]", "id fullname home{town doc} tags[{label}]"},
        {"only: [name, id]", "id"},
        {"only: [fullname]", "fullname"},
    };
    CHECK(cases, "id#1=id:l fullname#2=name:s home#3=address{ town#4=city:s doc#5=body:v } "
                 "tags#6=marks[ { label#7=text:s } ]");
    static const struct example dotted[] = {{"hide: [a.b]", "id"}, {"hide: [c]", "id"}};
    CHECK(dotted, "id#1=id:l c#2=a.b:s");
    static const struct example partition[] = {{"hide: [region]", "ENOENT: ~"}};
    CHECK(partition, "id#1=id:l", .partitions = "area#2=region:s");
    static const struct example then[] = {{"hide: [name]", "id"}, {"hide: [middle]", "id"}};
    CHECK(then, "id#1=id:l middle#2=name:s", .today = "id#1=id:l fullname#2=name:s");
    static const struct example once[] = {
        {"hide: [mail]", "id home{town}"},
        {"hide: [house.town]", "id email"},
        {"hide: [house.city]", "id email"},
        {"mask: {mail: replace-with-null}", "id email=replace-with-null home{town}"},
        {"only: [mail, id]", "id"},
    };
    CHECK(once, "id#1=col-1:l email#2=col-2:s home#3=col-3{ town#4=col-4:s }",
          .once = "mail#2=col-2:s house#3=col-3{ city#4=col-4:s }");
}

/* Aim: a column that is gone today is not shown for the sake of one that has its name now. */
static void test_names_used_again(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"only: [note, id]", "id"},
        {"only: [old, id]", "id old"},
        {"hide: [note]", "id old"},
    };
    CHECK(cases, "id#1=id:l note#2=note:s old#4=old:s", .today = "id#1=id:l note#3=note-3:s");
    CHECK(cases, "id:l note:s old:s", .today = "id#1=id:l note#3=note-3:s");
}

/* Aim: a row filter follows its columns as grants do, and denies what it cannot find. */
static void test_rows(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"rows: mail = 'x'", "id mail | rows"},
        {"rows: MAIL = 'x' and region = 'EU'\n  hide: [mail]", "id | rows"},
        {"rows: gone = 1", "ENOENT: lake/t under the grant in line 3: column \"gone\" decides~"},
        {"rows: id = 'a'", "EOPNOTSUPP: ~"},
    };
    CHECK(cases, "id#1=id:l mail#2=email:s", .partitions = "region#9=region:s");
    static const struct example then[] = {
        {"rows: mail = 'x'", "id email | rows"},
        {"rows: fresh = 1", "id email | rows"}, /* not there then: null in every row */
        {"rows: email = 1", "ENOENT: lake/t under the grant in line 3: column \"email\" decides on "
                            "rows, and was another~"},
    };
    CHECK(then, "id#1=id:l email#2=email:s",
          .today = "id#1=id:l mail#2=email:s fresh#5=fresh:i email#6=email-6:l");
    CHECK(then, "id:l email:s",
          .today = "id#1=id:l mail#2=email:s fresh#5=fresh:i email#6=email-6:l");
}

/* Aim: where a table lost its ids, columns that cannot be followed are hidden. */
static void test_lost_ids(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"hide: [secret]", "id"},
        {"hide: [nothing]", "id"},
    };
    CHECK(cases, "id#1=id:l x#2=x-2:s", .today = "id:l secret:s");
}

/* Aim: dots in names open no way around a pattern, nor do those in a table's name. */
static void test_dots(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"hide: [a.b]", "c"},
        {"hide: ['`a.b`']", "c"},
        {"only: [a.b]", "ENOENT: ~"},
        {"only: ['`a.b`']", "a.b"},
    };
    CHECK(cases, "a.b:s c:l");
}

/* Aim: what a pattern names in a variant cannot be taken out alone, so all of it is. */
static void test_variants(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"hide: [doc.phone]", "id s{x}"},
        {"hide: [DOC.a.b]", "id s{x}"},
        {"hide: [id.phone, s.doc.phone, s.x.y]", "id doc s{x}"},
        {"hide: [doc]", "id s{x}"},
        {"only: [id, doc.phone]", "id"},
        {"mask: {doc.phone: replace-with-null}", "id doc=replace-with-null s{x}"},
        {"hide: ['**.phone']", "id doc s{x}"},
    };
    CHECK(cases, "id:l doc:v s{ x:s }");
}

/* Aim: without columns to look at, only a whole grant gives anything. */
static void test_no_schema(void **state)
{
    (void)state;
    static const uint8_t salt[VIEW_SALT_BYTES];
    struct view_columns none = {.table = SLICE_LIT("lake/t")};
    struct view *view = NULL;
    struct err err = ERR_INIT;
    AUTO(policy) struct policy *hide = grant_of("hide: [a]"), *whole = grant_of("");
    assert_int_equal(view_make(&hide->grants[0], &none, &none, salt, &view, &err), -ENOENT);
    assert_int_equal(view_make(&whole->grants[0], &none, &none, salt, &view, &err), 0);
    assert_int_equal(view->hash, 0);
    assert_int_equal(view->line, 3);
    view_unref(view);
}

/*
 * Aim: a partition of a column that files have as well (Iceberg) tells nothing that is hidden or
 * masked, whatever it is called; rows are decided by the files, and by paths where those say it.
 */
static void test_partitions_of_columns(void **state)
{
    (void)state;
    static const struct example cases[] = {
        {"hide: [x]", "day region at{zone hour}"},
        {"hide: [region]", "ENOENT: ~"},
        {"mask: {region: mask-alphanum}", "ENOENT: ~"},
        {"hide: [at.hour]", "ENOENT: ~"},
        {"hide: [at]", "ENOENT: ~"},
        {"mask: {at: replace-with-null}", "ENOENT: ~"},
        {"hide: [at.zone]", "day region at{hour} x"},
        {"hide: [day]", "region at{zone hour} x"}, /* that a partition is called so is nothing */
        {"only: [region, at, x]", "region at{zone hour} x"},
        {"only: [x, at]", "ENOENT: ~"},
        {"rows: \"region = 'EU'\"", "day region at{zone hour} x | rows, paths"},
        {"rows: \"x = 1\"", "day region at{zone hour} x | rows, paths"},
        {"rows: \"at.hour > 5\"", "day region at{zone hour} x | rows, paths"},
    };
    CHECK(cases, "day#1:d region#2:s at#3{ zone#4:s hour#5:l } x#6:l",
          .partitions = "region_by#2:s day#5:o");
}

/* Aim: views are told apart by what they show, and are the same where they show the same. */
static void test_hashes(void **state)
{
    (void)state;
    static const char *const grants[] = {"hide: [nothing]",
                                         "hide: [a]",
                                         "hide: [b]",
                                         "mask: {a: mask-alphanum}",
                                         "mask: {a: show-last-4}",
                                         "mask: {a: sha-256-query-local}"};
    static const uint8_t salts[2][VIEW_SALT_BYTES] = {{1}, {2}};
    uint64_t hashes[2][ARRAY_SIZE(grants)];
    AUTO(shape) struct shape *s = shape_of("a:s b:l");
    struct view_columns at = {SLICE_LIT("lake/t"), s, NULL, NULL};
    for (size_t salt = 0; salt < 2; salt++)
        for (size_t i = 0; i < ARRAY_SIZE(grants); i++) {
            AUTO(policy) struct policy *p = grant_of(grants[i]);
            AUTO(view) struct view *v = NULL;
            assert_int_equal(view_make(&p->grants[0], &at, &at, salts[salt], &v, NULL), 0);
            hashes[salt][i] = v->hash;
        }
    for (size_t i = 0; i < ARRAY_SIZE(grants); i++) {
        assert_int_equal(hashes[0][i] == hashes[1][i], i + 1 < ARRAY_SIZE(grants));
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(hashes[0][i], hashes[0][j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hide),
        cmocka_unit_test(test_only),
        cmocka_unit_test(test_mask),
        cmocka_unit_test(test_partitions),
        cmocka_unit_test(test_new_columns),
        cmocka_unit_test(test_renames),
        cmocka_unit_test(test_renamed_since),
        cmocka_unit_test(test_names_used_again),
        cmocka_unit_test(test_lost_ids),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_dots),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_no_schema),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_partitions_of_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
