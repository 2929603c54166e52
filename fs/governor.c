/* SPDX-License-Identifier: Apache-2.0 */
/* The policy in force, and the thread that puts another in its place. */
#include <sys/random.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "base/vec.h"
#include "fs/govern_private.h"
#include "fs/request.h"

/* Of mounts without a policy, who asks is nobody's name. */
#define NO_ROLE "mount"
/* Of files whose pages the kernel is told to drop at once. */
#define HANDLES_MAX ((size_t)1 << 24)

struct ruling *governor_ruling(struct governor *g)
{
    struct ruling *r;
    WITH_LOCK (&g->lock)
        r = ruling_ref(g->ruling);
    return r;
}

static void put_in_force(struct governor *g, struct ruling *ruling)
{
    struct ruling *before;
    WITH_LOCK (&g->lock) {
        before = g->ruling;
        g->ruling = ruling;
        atomic_store(&g->generation, ruling->generation);
    }
    ruling_unref(before);
}

/* The same failure as before is no news. */
static bool is_known(struct governor *g, const struct policy *policy, const struct err *err)
{
    bool known;
    WITH_LOCK (&g->lock)
        known =
            !policy && g->ruling && !g->ruling->policy && strcmp(g->ruling->why.msg, err->msg) == 0;
    return known;
}

static void tell(struct governor *g, struct slice text, const struct err *err)
{
    char hex[2 * SHA256_BYTES + 1];
    sha256_hex(text, hex);
    if (err->code)
        log_error("%s: no policy is in force, everything is denied: %s", g->mountpoint, err->msg);
    else
        log_info("%s: policy %s is in force", g->mountpoint, g->file.path);
    const struct audit_event e = {.kind = AUDIT_POLICY,
                                  .path = slice_of(g->file.path),
                                  .version = text.n ? slice_of(hex) : SLICE_NONE,
                                  .reason = slice_of(err->msg)};
    if (g->audit && audit_add(g->audit, &e, NULL, NULL) < 0)
        log_error("%s: the audit log takes no lines", g->mountpoint);
}

/* Reads the file; what does not hold denies. False: out of memory, the one before stays in force.
 */
static bool load(struct governor *g, bool *news)
{
    AUTO(buf) struct buf text = {0};
    struct err err = ERR_INIT;
    struct policy *policy = NULL;
    buf_init(&text, POLICY_BYTES_MAX);
    int rc = policy_file_read(&g->file, &text, &err);
    if (rc == 0)
        rc = policy_parse(buf_slice(&text), g->file.path, &policy, &err);
    *news = !is_known(g, policy, &err);
    if (!*news)
        return true;
    struct ruling *ruling = ruling_new(policy, atomic_load(&g->generation) + 1, &err);
    if (!ruling) {
        policy_file_forget(&g->file); /* it is read again */
        return false;
    }
    put_in_force(g, ruling);
    if (rc == 0)
        policy_file_keep(&g->file, &text);
    tell(g, buf_slice(&text), &err);
    return true;
}

/* Without a policy everybody is granted everything, and catalogs keep back what they do. */
static int grant_all(struct governor *g, struct err *err)
{
    static const char text[] = "grants: [{to: [everyone], tables: [\"**\"]}]\n";
    struct policy *policy = NULL;
    struct err why = ERR_INIT;
    int rc = policy_parse(slice_of(text), "(no policy)", &policy, err);
    if (rc < 0)
        return rc;
    struct ruling *ruling = ruling_new(policy, 1, &why);
    if (!ruling)
        return err_set(err, ENOMEM, "out of memory");
    put_in_force(g, ruling);
    return 0;
}

/* The governor's thread */

struct handles {
    VEC(struct handle *) at;
};

/* All that is open and governed, as references. What does not fit is looked at when it is used. */
static void collect(struct session *s, struct handles *out)
{
    WITH_LOCK (&s->lock)
        for (struct handle *h = s->handles; h; h = h->next)
            if (h->held && vec_push(&out->at, h) == 0)
                (void)handle_ref(h); /* its owner keeps it until it is closed */
}

/* Whoever has a page of it mapped asks for it again, and is told ESTALE. */
static void drop_pages(struct governor *g, const struct held *h)
{
    int rc = h->is_dir ? 0 : fuse_lowlevel_notify_inval_inode(g->session->fuse, h->node, 0, 0);
    if (rc < 0 && rc != -ENOENT && rc != -ENODEV)
        log_warn("%s: pages of a revoked file stay: %s", g->mountpoint, strerror(-rc));
}

/* Looks at all that is open; whose pages have to go is another thread's matter: the kernel waits
 * there for reads that are under way, and they for the store. */
static void revoke_open(struct governor *g)
{
    struct handles open = {.at = VEC_MAX(HANDLES_MAX)};
    AUTO(ruling) struct ruling *ruling = governor_ruling(g);
    collect(g->session, &open);
    for (size_t i = 0; i < open.at.n; i++) {
        held_look_again(open.at.at[i]->held, ruling);
        handle_unref(open.at.at[i]);
    }
    vec_done(&open.at);
    WITH_LOCK (&g->lock) {
        g->drops = true;
        cond_broadcast(&g->changed);
    }
}

static void drop_revoked(struct governor *g)
{
    struct handles open = {.at = VEC_MAX(HANDLES_MAX)};
    collect(g->session, &open);
    for (size_t i = 0; i < open.at.n; i++) {
        struct held *h = open.at.at[i]->held;
        if (atomic_load(&h->revoked) && !atomic_exchange(&h->dropped, true))
            drop_pages(g, h);
        handle_unref(open.at.at[i]);
    }
    vec_done(&open.at);
}

static void *drop_pages_run(void *arg)
{
    struct governor *g = arg;
    for (bool goes_on = true; goes_on;) {
        WITH_LOCK (&g->lock) {
            while (!g->ended && !g->drops)
                cond_wait(&g->changed, &g->lock);
            goes_on = !g->ended;
            g->drops = false;
        }
        if (goes_on)
            drop_revoked(g);
    }
    return NULL;
}

/* Sleeps until the next look. False: it is over. */
static bool rest(struct governor *g, bool *kicked)
{
    bool goes_on;
    int64_t until_ms = clock_mono_ms() + POLICY_LOOK_MS;
    WITH_LOCK (&g->lock) {
        while (!g->ended && !g->kicked && cond_wait_until(&g->changed, &g->lock, until_ms))
            continue;
        goes_on = !g->ended;
        *kicked = g->kicked;
        g->kicked = false;
    }
    return goes_on;
}

static void *watch_policy(void *arg)
{
    struct governor *g = arg;
    for (bool kicked; rest(g, &kicked);) {
        bool news = false;
        if (kicked)
            policy_file_forget(&g->file);
        if (kicked && g->audit)
            audit_reopen(g->audit);
        if (!policy_file_due(&g->file, clock_mono_ms()))
            continue;
        if (!load(g, &news))
            log_error("%s: policy: out of memory", g->mountpoint);
        if (news)
            revoke_open(g);
    }
    return NULL;
}

static int start(struct governor *g, pthread_t *thread, void *(*run)(void *), const char *name,
                 struct err *err)
{
    int rc = pthread_create(thread, NULL, run, g);
    if (rc)
        return err_set(err, rc, "thread: %s", strerror(rc));
    (void)pthread_setname_np(*thread, name); /* a help to debuggers */
    return 0;
}

int governor_start(struct governor *g, struct err *err)
{
    if (g->fixed_policy) /* nothing to watch */
        return 0;
    int rc = start(g, &g->thread, watch_policy, "tarn-policy", err);
    g->started = rc == 0;
    if (rc == 0)
        rc = start(g, &g->dropper, drop_pages_run, "tarn-revoke", err);
    g->drops_started = rc == 0;
    return rc;
}

void governor_end(struct governor *g)
{
    if (!g || !g->started)
        return;
    WITH_LOCK (&g->lock) {
        g->ended = true;
        cond_broadcast(&g->changed);
    }
    (void)pthread_join(g->thread, NULL); /* our own, joined once, as the next one */
    if (g->drops_started)
        (void)pthread_join(g->dropper, NULL);
    g->started = g->drops_started = false;
}

void governor_reload(struct governor *g)
{
    WITH_LOCK (&g->lock) {
        g->kicked = true;
        cond_broadcast(&g->changed);
    }
}

/* Life */

static int set_principal(struct governor *g, const struct governor_config *config, struct err *err)
{
    if (config->role || !config->policy)
        g->fixed = principal_role(config->role ? config->role : NO_ROLE, err);
    else
        g->principals = principals_new(config->workers, NULL, err);
    return g->fixed || g->principals ? 0 : -1;
}

static int open_audit(struct governor *g, const struct governor_config *config, struct err *err)
{
    const struct audit_config audit = {
        .target = config->audit, .mount = config->mountpoint, .strict = config->audit_strict};
    return config->audit ? audit_open(config->audits, &audit, &g->audit, err) : 0;
}

struct governor *governor_new(const struct governor_config *config, struct err *err)
{
    AUTO(governor) struct governor *g = calloc(1, sizeof *g);
    bool news;
    if (!g) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    lock_init(&g->lock);
    cond_init(&g->changed);
    slots_init(&g->slots);
    g->per_uid = config->per_uid;
    g->revocable = config->revocable;
    g->uid = config->uid;
    g->session = config->session;
    g->mountpoint = strdup(config->mountpoint);
    int rc = config->policy ? policy_file_init(&g->file, config->policy, err) : 0;
    if (rc == 0 && getrandom(g->salt, sizeof g->salt, 0) != (ssize_t)sizeof g->salt)
        rc = err_set(err, EIO, "no random numbers for the salt");
    if (rc == 0)
        rc = set_principal(g, config, err);
    if (rc == 0)
        rc = open_audit(g, config, err);
    if (rc < 0)
        return NULL;
    if (!config->policy && grant_all(g, err) < 0)
        return NULL;
    g->fixed_policy = !config->policy;
    if (!g->mountpoint || (config->policy && !load(g, &news))) {
        (void)err_set(err, ENOMEM, "out of memory");
        return NULL;
    }
    return STEAL(g);
}

void governor_free(struct governor *g)
{
    if (!g)
        return;
    ruling_unref(g->ruling);
    slots_done(&g->slots);
    principal_unref(g->fixed);
    if (g->principals)
        principals_free(g->principals);
    if (g->audit)
        audit_close(g->audit);
    policy_file_done(&g->file);
    cond_done(&g->changed);
    lock_done(&g->lock);
    free(g->mountpoint);
    free(g);
}

bool governor_denies(struct governor *g, struct err *why)
{
    AUTO(ruling) struct ruling *r = governor_ruling(g);
    if (!r->policy)
        *why = r->why;
    return !r->policy;
}

bool governor_passes(const struct governor *g)
{
    return !g || !g->revocable;
}

double governor_name_timeout(const struct governor *g, double timeout_s)
{
    if (!g)
        return timeout_s;
    return g->per_uid ? 0 : timeout_s < GOVERN_NAMES_S ? timeout_s : GOVERN_NAMES_S;
}

bool governor_is_owner(const struct governor *g, uid_t uid)
{
    return !g || uid == g->uid || uid == 0;
}
