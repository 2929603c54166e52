/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <grp.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/lock.h"
#include "lake/view/principal.h"

#define NOBODYS_UID 3999999999U
#define PATIENCE_MS 20000

/* NSS as the tests want it. */
static struct nss {
    struct lock lock;
    struct cond changed;
    unsigned calls, inside; /* lock, as all of it */
    bool hang, fail;
    const char *user;
} nss;

static int resolve(uid_t uid, struct principal **out, struct err *err)
{
    const char *groups[] = {"ml", NULL};
    gid_t gids[] = {100, 200};
    const char *user = NULL;
    bool fail = false;
    WITH_LOCK (&nss.lock) {
        nss.calls++;
        nss.inside++;
        cond_broadcast(&nss.changed);
        while (nss.hang)
            cond_wait(&nss.changed, &nss.lock);
        nss.inside--;
        fail = nss.fail;
        user = nss.user;
        cond_broadcast(&nss.changed);
    }
    if (fail)
        return err_set(err, EIO, "the directory server is away");
    *out = principal_user(uid, user, groups, gids, 2, err);
    return *out ? 0 : -EIO;
}

static unsigned calls(void)
{
    unsigned n = 0;
    WITH_LOCK (&nss.lock)
        n = nss.calls;
    return n;
}

/* Ends hanging, and lets who is inside leave. */
static void go_on(void)
{
    WITH_LOCK (&nss.lock) {
        nss.hang = false;
        cond_broadcast(&nss.changed);
        while (nss.inside)
            cond_wait(&nss.changed, &nss.lock);
    }
}

/* Somebody who asks as a request does: again from the start until nothing parks him. */
struct asking {
    struct task task;
    struct principals *principals;
    uid_t uid;
    struct lock lock;
    struct cond changed;
    unsigned runs; /* lock, as all below */
    bool done;
    int rc;
    struct principal *got;
    struct err err;
};

static void ask(struct job *job)
{
    struct asking *a = CONTAINER_OF(job, struct asking, task.job);
    struct principal *got = NULL;
    struct err err = ERR_INIT;
    WITH_LOCK (&a->lock)
        a->runs++;
    int rc = principals_of(a->principals, a->uid, &a->task, &got, &err);
    if (rc == -EINPROGRESS)
        return;
    WITH_LOCK (&a->lock) {
        a->done = true;
        a->rc = rc;
        a->got = got;
        a->err = err;
        cond_broadcast(&a->changed);
    }
}

static void begin(struct asking *a, struct principals *p, uid_t uid)
{
    *a = (struct asking){.principals = p, .uid = uid};
    a->task.job.run = ask;
    lock_init(&a->lock);
    cond_init(&a->changed);
    ask(&a->task.job);
}

static bool is_done(struct asking *a)
{
    bool done = false;
    WITH_LOCK (&a->lock)
        done = a->done;
    return done;
}

static int end(struct asking *a)
{
    int64_t until_ms = clock_mono_ms() + PATIENCE_MS;
    WITH_LOCK (&a->lock)
        while (!a->done)
            assert_true(cond_wait_until(&a->changed, &a->lock, until_ms));
    cond_done(&a->changed);
    lock_done(&a->lock);
    return a->rc;
}

/* The answer's principal is the caller's. */
static struct principal *get(struct principals *p, uid_t uid)
{
    struct asking a;
    begin(&a, p, uid);
    assert_int_equal(end(&a), 0);
    return a.got;
}

struct fixture {
    struct workers *workers;
    struct principals *principals;
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err = ERR_INIT;
    nss = (struct nss){.user = "alice"};
    lock_init(&nss.lock);
    cond_init(&nss.changed);
    f.workers = workers_new("test", 2, &err);
    f.principals = principals_new(f.workers, resolve, &err);
    assert_non_null(f.principals);
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    clock_shift_for_test(0);
    principals_free(f->principals);
    workers_free(f->workers);
    go_on();
    return 0;
}

/* Aim: a role is that role and no other, and no user, whoever calls. */
static void test_role(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(principal) struct principal *p = principal_role("trainer", &err);
    AUTO(principal) struct principal *other = principal_role("trainer2", &err);
    AUTO(buf) struct buf name = {0};
    buf_init(&name, 100);
    principal_name(p, &name);
    assert_string_equal(name.data, "role:trainer");
    assert_true(principal_has_role(p, SLICE_LIT("trainer")));
    assert_false(principal_has_role(p, SLICE_LIT("trainer2")));
    assert_false(principal_has_role(p, SLICE_LIT("")));
    assert_false(principal_is_user(p, SLICE_LIT("trainer")));
    assert_false(principal_is_user(p, SLICE_LIT("0")));
    assert_false(principal_in_group(p, SLICE_LIT("0")));
    assert_int_not_equal(p->hash, other->hash);
}

/* Aim: digits in a grant are ids only; a user whose name is a number does not become another one.
 */
static void test_matching(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const char *groups[] = {"staff", NULL, "27"};
    gid_t gids[] = {50, 51, 52};
    AUTO(principal) struct principal *p = principal_user(1001, "1002", groups, gids, 3, &err);
    assert_true(principal_is_user(p, SLICE_LIT("1001")));
    assert_true(principal_is_user(p, SLICE_LIT("01001")));
    assert_false(principal_is_user(p, SLICE_LIT("1002")));
    assert_false(principal_is_user(p, SLICE_LIT("")));
    assert_false(principal_is_user(p, SLICE_LIT("4294968297"))); /* 1001 and 2^32 */
    assert_true(principal_in_group(p, SLICE_LIT("staff")));
    assert_true(principal_in_group(p, SLICE_LIT("51")));
    assert_false(principal_in_group(p, SLICE_LIT("27")));
    assert_false(principal_in_group(p, SLICE_LIT("")));
    assert_false(principal_in_group(p, SLICE_LIT("4294967346")));
    assert_false(principal_has_role(p, SLICE_LIT("1002")));
    AUTO(principal) struct principal *nameless = principal_user(7, NULL, NULL, NULL, 0, &err);
    AUTO(buf) struct buf name = {0};
    buf_init(&name, 100);
    principal_name(nameless, &name);
    assert_string_equal(name.data, "user:7");
    assert_false(principal_is_user(nameless, SLICE_LIT("")));
}

/* Aim: whatever a policy can tell apart has another hash; the same has the same. */
static void test_hash(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const char *a[] = {"x", "y"}, *b[] = {"xy", ""}, *c[] = {"x", NULL};
    gid_t gids[] = {1, 2}, swapped[] = {2, 1};
    struct principal *all[] = {
        principal_user(1, "u", a, gids, 2, &err), principal_user(1, "u", b, gids, 2, &err),
        principal_user(1, "u", c, gids, 2, &err), principal_user(1, "u", a, swapped, 2, &err),
        principal_user(2, "u", a, gids, 2, &err), principal_user(1, NULL, a, gids, 2, &err),
        principal_user(1, "u", a, gids, 1, &err), principal_role("u", &err),
    };
    AUTO(principal) struct principal *again = principal_user(1, "u", a, gids, 2, &err);
    assert_int_equal(all[0]->hash, again->hash);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        for (size_t j = i + 1; j < ARRAY_SIZE(all); j++)
            assert_int_not_equal(all[i]->hash, all[j]->hash);
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        principal_unref(all[i]);
}

/* Aim: every account of this machine has the name and the groups that its libraries tell. */
static void test_accounts(void **state)
{
    (void)state;
    size_t n = 0;
    setpwent();
    for (struct passwd *at; (at = getpwent()) && n < 100; n++) {
        struct err err = ERR_INIT;
        AUTO(principal) struct principal *p = NULL;
        uid_t uid = at->pw_uid;
        AUTO_FREE char *first = strdup(getpwuid(uid)->pw_name); /* of two of one uid */
        assert_int_equal(principal_resolve(uid, &p, &err), 0);
        assert_string_equal(p->user, first);
        assert_true(principal_is_user(p, slice_of(first)));
        gid_t gids[1000];
        int gids_n = ARRAY_SIZE(gids);
        assert_true(getgrouplist(first, getpwnam(first)->pw_gid, gids, &gids_n) > 0);
        assert_int_equal(p->groups_n, gids_n);
        for (int i = 0; i < gids_n; i++) {
            const struct group *group = getgrgid(gids[i]);
            assert_int_equal(p->gids[i], gids[i]);
            if (group)
                assert_true(principal_in_group(p, slice_of(group->gr_name)));
            else
                assert_null(p->groups[i]);
        }
    }
    endpwent();
    assert_true(n > 0);
}

/* Aim: a uid without an account is a principal with that uid, in no group. */
static void test_no_account(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(principal) struct principal *p = NULL;
    assert_null(getpwuid(NOBODYS_UID));
    assert_int_equal(principal_resolve(NOBODYS_UID, &p, &err), 0);
    assert_null(p->user);
    assert_int_equal(p->groups_n, 0);
    assert_true(principal_is_user(p, SLICE_LIT("3999999999")));
}

/* Aim: the first who asks waits without a thread, who comes after him does not, and NSS is asked
 * once. */
static void test_cached(void **state)
{
    struct fixture *f = *state;
    struct asking a, b;
    WITH_LOCK (&nss.lock)
        nss.hang = true;
    begin(&a, f->principals, 1);
    begin(&b, f->principals, 1);
    assert_false(is_done(&a) || is_done(&b));
    go_on();
    assert_int_equal(end(&a), 0);
    assert_int_equal(end(&b), 0);
    assert_int_equal(a.got->uid, 1);
    assert_string_equal(a.got->user, "alice");
    assert_ptr_equal(a.got, b.got);
    AUTO(principal) struct principal *again = get(f->principals, 1);
    assert_ptr_equal(again, a.got);
    assert_int_equal(calls(), 1);
    principal_unref(a.got);
    principal_unref(b.got);
}

/* Aim: who is taken out of an account is so here within 5 s: an old answer is not used. */
static void test_expiry(void **state)
{
    struct fixture *f = *state;
    AUTO(principal) struct principal *before = get(f->principals, 1);
    WITH_LOCK (&nss.lock)
        nss.user = "bob";
    clock_shift_for_test(5000);
    AUTO(principal) struct principal *after = get(f->principals, 1);
    assert_string_equal(before->user, "alice");
    assert_string_equal(after->user, "bob");
}

/* Aim: an answer that is in use is renewed before anybody has to wait for it. */
static void test_renewed(void **state)
{
    struct fixture *f = *state;
    principal_unref(get(f->principals, 1));
    WITH_LOCK (&nss.lock)
        nss.hang = true;
    clock_shift_for_test(PRINCIPAL_GOOD_MS - 500);
    principal_unref(get(f->principals, 1)); /* though NSS hangs */
    WITH_LOCK (&nss.lock)
        while (nss.calls < 2)
            cond_wait(&nss.changed, &nss.lock);
    go_on();
}

/* Aim: who NSS does not tell of has no groups by accident: he is an error, which is tried again
 * after a second. */
static void test_failure(void **state)
{
    struct fixture *f = *state;
    struct asking a;
    WITH_LOCK (&nss.lock)
        nss.fail = true;
    begin(&a, f->principals, 1);
    assert_int_equal(end(&a), -EIO);
    assert_null(a.got);
    assert_string_equal(a.err.msg, "the directory server is away");
    begin(&a, f->principals, 1);
    assert_true(is_done(&a)); /* from memory */
    assert_int_equal(end(&a), -EIO);
    assert_int_equal(calls(), 1);
    WITH_LOCK (&nss.lock)
        nss.fail = false;
    clock_shift_for_test(1500);
    principal_unref(get(f->principals, 1));
    assert_int_equal(calls(), 2);
}

/* Aim: an answer that has expired is not used though NSS fails. */
static void test_failure_after(void **state)
{
    struct fixture *f = *state;
    struct asking a;
    principal_unref(get(f->principals, 1));
    WITH_LOCK (&nss.lock)
        nss.fail = true;
    clock_shift_for_test(PRINCIPAL_GOOD_MS);
    begin(&a, f->principals, 1);
    assert_int_equal(end(&a), -EIO);
}

/* Aim: while NSS hangs, whoever waits is told so, others are served, and the mount can end. */
static void test_hanging(void **state)
{
    struct fixture *f = *state;
    struct asking a, b;
    principal_unref(get(f->principals, 2));
    WITH_LOCK (&nss.lock)
        nss.hang = true;
    begin(&a, f->principals, 1);
    WITH_LOCK (&nss.lock)
        while (nss.calls < 2)
            cond_wait(&nss.changed, &nss.lock);
    principal_unref(get(f->principals, 2));
    clock_shift_for_test(PRINCIPAL_DEADLINE_MS);
    assert_int_equal(end(&a), -EIO);
    assert_non_null(strstr(a.err.msg, "does not answer"));
    begin(&b, f->principals, 1);
    assert_true(is_done(&b));
    assert_int_equal(end(&b), -EIO);
    clock_shift_for_test(0);
    principals_free(f->principals); /* returns, though one hangs */
    go_on();
    f->principals = NULL;
}

/* Aim: a user who NSS answers for late is known then. */
static void test_late(void **state)
{
    struct fixture *f = *state;
    struct asking a;
    WITH_LOCK (&nss.lock)
        nss.hang = true;
    begin(&a, f->principals, 1);
    WITH_LOCK (&nss.lock)
        while (nss.calls < 1)
            cond_wait(&nss.changed, &nss.lock);
    clock_shift_for_test(PRINCIPAL_DEADLINE_MS);
    assert_int_equal(end(&a), -EIO);
    clock_shift_for_test(0);
    go_on();
    principal_unref(get(f->principals, 1));
}

/* Aim: however many uids come, so many are remembered, and each is told. */
static void test_bounded(void **state)
{
    struct fixture *f = *state;
    unsigned many = PRINCIPALS_MAX + 100;
    for (unsigned i = 0; i < many; i++) {
        AUTO(principal) struct principal *p = get(f->principals, i);
        assert_int_equal(p->uid, i);
    }
    assert_int_equal(calls(), many);
    principal_unref(get(f->principals, many - 1)); /* remembered */
    assert_int_equal(calls(), many);
    principal_unref(get(f->principals, 0)); /* forgotten */
    assert_int_equal(calls(), many + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_role),
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_accounts),
        cmocka_unit_test(test_no_account),
        cmocka_unit_test_setup_teardown(test_cached, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expiry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_renewed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_failure_after, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hanging, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bounded, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
