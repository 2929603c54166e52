/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/uses.h"

#include <fcntl.h>
#include <math.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/limits.h"

#define FILE_NAME "uses"
#define WAYS 8
#define CHUNK_BYTES (16 * KIB) /* what is saved at once */
#define CHUNK_SLOTS (CHUNK_BYTES / sizeof(struct slot))
#define CHUNKS_MAX (USES_SLOTS_MAX / CHUNK_SLOTS)

/* Uses that follow within this share of the budget are one. */
#define SAME_USE_SHARE 256
/* The share of the latest distance in the mean. More learns sooner and tells the objects of one
 * shuffled loop from each other, who are alike. */
#define LATEST_SHARE 0.25F
/* Shuffled epochs use an object after up to two periods. Beyond that it is overdue, and each
 * doubling counts as OVERDUE_SLOPE doublings of the period. */
#define OVERDUE_PERIODS 2
#define OVERDUE_SLOPE 2
/* Doublings of the period that the hash of a key adds at most: as much as the means within one
 * shuffled loop differ, and no more than what tells a loop from one of twice its length. */
#define TIE_WEIGHT 1
/* A request costs as much as so many bytes: what a connection carries while it waits for one. */
#define REQUEST_BYTES ((double)MIB)

/* What was used once is judged by the first and second uses of the last so much of the budget. */
#define ONCE_WINDOW_SHARE 16
/* Second uses in the mean of their distances. */
#define ONCE_MEAN 32
/* However little came back, it is taken for one in so many: less would keep a scan out of a hot
 * table still better, and a new data set out of the cache for longer. */
#define ONCE_SHARE_MIN 12
/* As long as nothing is known one in so many comes back, after as much as the budget. */
#define ONCE_SHARE_START 4

/*
 * Two words, each read and written whole. A slot whose halves come from two writers tells wrong
 * things of one key.
 *
 *   who   63..32 tag | 31..0 wall time, s; all zero: free
 *   when  63..24 virtual time of the last use, in ticks | 23..0 period in ticks: the upper three
 *         bytes of a float; 0: used once
 */
struct slot {
    _Atomic uint64_t who;
    _Atomic uint64_t when;
};
_Static_assert(sizeof(struct slot) == 16, "a slot on disk");

#define TICK_SHIFT 12 /* 4 KiB */
#define PERIOD_BITS 24
#define TICKS_MASK ((UINT64_C(1) << (64 - PERIOD_BITS)) - 1)
#define HEADER_BYTES 4096

/* What the score knows beside the slots. */
struct known {
    _Atomic uint64_t clock;         /* bytes of all uses that counted */
    _Atomic uint64_t first, second; /* bytes that were used the first and the second time, lately */
    _Atomic uint64_t again_ticks;   /* mean distance from a first use to the second */
};

struct header {
    char magic[8];
    uint64_t slots;
    uint64_t clock, first, second, again_ticks;
    uint32_t zero;
    uint32_t crc;
};
_Static_assert(sizeof(struct header) == 56, "the header on disk");

static const char magic[8] = "tarnuse1";

struct uses {
    int dirfd;
    size_t slots; /* a power of two; immutable after init, as the next two */
    uint64_t budget_bytes;
    uint64_t same_use_ticks;
    struct known known;
    struct slot *at;
    _Atomic bool changed[CHUNKS_MAX]; /* since it was saved */
};

/* A set's slots and the key's tag come from different bits of the key. */
static struct slot *set_of(const struct uses *u, uint64_t key)
{
    return u->at + (key & (u->slots / WAYS - 1)) * WAYS;
}

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static uint32_t tag_of(uint64_t key)
{
    uint32_t tag = (uint32_t)(key >> 32);
    return tag ? tag : 1;
}

static uint64_t ticks_now(const struct uses *u)
{
    return load(&u->known.clock) >> TICK_SHIFT & TICKS_MASK;
}

/*
 * The clock wraps: what was not used for 2 PiB of others looks fresh for as long. What is ahead of
 * the clock was saved after it.
 */
static uint64_t age_of(uint64_t when, uint64_t now)
{
    uint64_t age = (now - (when >> PERIOD_BITS)) & TICKS_MASK;
    return age <= TICKS_MASK / 2 ? age : 0;
}

static float period_of(uint64_t when)
{
    uint32_t bits = (uint32_t)when << 8;
    float period;
    memcpy(&period, &bits, sizeof period);
    /* a damaged file may hold any pattern */
    return isfinite(period) && period >= 1 ? period : 0;
}

static uint64_t when_make(uint64_t ticks, float period)
{
    uint32_t bits;
    memcpy(&bits, &period, sizeof bits);
    return ticks << PERIOD_BITS | bits >> 8;
}

/* The period that is supposed of what was used once. */
static double once_period(const struct uses *u)
{
    double first = (double)load(&u->known.first), second = (double)load(&u->known.second);
    double share = fmax(second / (first + second + 1), 1.0 / ONCE_SHARE_MIN);
    return fmax((double)load(&u->known.again_ticks), 1) / share;
}

/*
 * Learns from a first use (age 0) or a second one. Where all that is new comes back, as in the
 * second epoch of a loop, what has yet to come back is as good as what has; where hardly anything
 * does, as in a scan, it is worth as little.
 */
static void learn_once(struct uses *u, uint64_t bytes, uint64_t age)
{
    uint64_t first = load(&u->known.first), second = load(&u->known.second);
    uint64_t mean = load(&u->known.again_ticks);
    if (age) {
        second += bytes;
        store(&u->known.again_ticks, mean - mean / ONCE_MEAN + age / ONCE_MEAN);
    } else {
        first += bytes;
    }
    bool full = first + second > u->budget_bytes / ONCE_WINDOW_SHARE;
    store(&u->known.first, full ? first / 2 : first);
    store(&u->known.second, full ? second / 2 : second);
}

/* Doublings of ticks until the next use, as far as can be told; the tie in it. */
static double distance(const struct uses *u, uint32_t tag, uint64_t when, uint64_t now)
{
    double period = (double)period_of(when), age = (double)age_of(when, now);
    if (period == 0)
        period = once_period(u);
    double d = log2(period) + TIE_WEIGHT * ((double)tag / 4294967296.0);
    double overdue = age / (period * OVERDUE_PERIODS);
    return overdue > 1 ? d + OVERDUE_SLOPE * log2(overdue) : d;
}

static struct slot *find(const struct uses *u, uint64_t key)
{
    struct slot *set = set_of(u, key);
    for (size_t i = 0; i < WAYS; i++)
        if (load(&set[i].who) >> 32 == tag_of(key))
            return &set[i];
    return NULL;
}

/* A free slot, or that of which the next use is farthest. */
static struct slot *victim(const struct uses *u, struct slot *set, uint64_t now)
{
    struct slot *worst = set;
    double farthest = -1;
    for (size_t i = 0; i < WAYS; i++) {
        uint64_t who = load(&set[i].who);
        if (who == 0)
            return &set[i];
        double d = distance(u, (uint32_t)(who >> 32), load(&set[i].when), now);
        if (d > farthest) {
            farthest = d;
            worst = &set[i];
        }
    }
    return worst;
}

static void mark_changed(struct uses *u, const struct slot *s)
{
    size_t chunk = (size_t)(s - u->at) / CHUNK_SLOTS;
    atomic_store_explicit(&u->changed[chunk], true, memory_order_relaxed);
}

/* The mean distance of a slot's uses with one more, which came after `age`. */
static float period_with(struct uses *u, uint64_t when, uint64_t age, uint64_t bytes)
{
    float period = period_of(when);
    if (period > 0)
        return period + ((float)age - period) * LATEST_SHARE;
    learn_once(u, bytes, age);
    return (float)age;
}

void uses_note(struct uses *u, uint64_t key, uint64_t bytes, int64_t now_s)
{
    uint64_t now = ticks_now(u);
    struct slot *s = find(u, key);
    bool is_new = s == NULL;
    if (is_new)
        s = victim(u, set_of(u, key), now);
    uint64_t when = load(&s->when), age = age_of(when, now);
    if (is_new || age >= u->same_use_ticks) {
        store(&s->when, when_make(now, is_new ? 0 : period_with(u, when, age, bytes)));
        (void)atomic_fetch_add_explicit(&u->known.clock, bytes, memory_order_relaxed);
    }
    if (is_new)
        learn_once(u, bytes, 0);
    store(&s->who, (uint64_t)tag_of(key) << 32 | (uint32_t)now_s);
    mark_changed(u, s);
}

/* What is not in the table: never seen, or pushed out of its set by what is better. */
static double distance_of_unknown(const struct uses *u, uint64_t key, uint64_t now)
{
    const struct slot *set = set_of(u, key);
    double d = distance(u, tag_of(key), when_make(now, 0), now);
    for (size_t i = 0; i < WAYS; i++)
        if (load(&set[i].who) == 0)
            return d;
    for (size_t i = 0; i < WAYS; i++)
        d = fmax(d, distance(u, tag_of(key), load(&set[i].when), now));
    return d;
}

double uses_score(const struct uses *u, uint64_t key, uint64_t bytes)
{
    uint64_t now = ticks_now(u);
    const struct slot *s = find(u, key);
    double d = s ? distance(u, tag_of(key), load(&s->when), now) : distance_of_unknown(u, key, now);
    double room = (double)(bytes ? bytes : 1);
    return d + log2(room / (room + REQUEST_BYTES));
}

int64_t uses_last_s(const struct uses *u, uint64_t key)
{
    const struct slot *s = find(u, key);
    return s ? (int64_t)(uint32_t)load(&s->who) : 0;
}

static uint32_t header_crc(const struct header *h)
{
    return crc32c(0, h, offsetof(struct header, crc));
}

/* True where the file is ours, and of this size. */
static bool header_read(int fd, struct uses *u)
{
    struct header h;
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
        file_pread_full(fd, &h, sizeof h, 0, NULL) < 0)
        return false;
    if (memcmp(h.magic, magic, sizeof magic) != 0 || h.slots != u->slots || h.zero != 0 ||
        h.crc != header_crc(&h))
        return false;
    store(&u->known.clock, h.clock);
    store(&u->known.first, h.first);
    store(&u->known.second, h.second);
    store(&u->known.again_ticks, h.again_ticks);
    return true;
}

/* What the file lacks stays zero, which is free. */
static void read_slots(int fd, struct uses *u)
{
    for (size_t i = 0; i < u->slots / CHUNK_SLOTS; i++) {
        off_t at = (off_t)(HEADER_BYTES + i * CHUNK_BYTES);
        if (file_pread_full(fd, u->at + i * CHUNK_SLOTS, CHUNK_BYTES, at, NULL) < 0)
            return;
        atomic_store_explicit(&u->changed[i], false, memory_order_relaxed);
    }
}

static size_t slots_for(uint64_t budget_bytes)
{
    size_t slots = CHUNK_SLOTS;
    while (slots < USES_SLOTS_MAX && slots * USES_BUDGET_BYTES_EACH < budget_bytes)
        slots *= 2;
    return slots;
}

static void begin(struct uses *u, uint64_t budget_bytes)
{
    uint64_t budget_ticks = budget_bytes >> TICK_SHIFT, window = budget_bytes / ONCE_WINDOW_SHARE;
    u->budget_bytes = budget_bytes;
    u->same_use_ticks = budget_ticks / SAME_USE_SHARE ? budget_ticks / SAME_USE_SHARE : 1;
    store(&u->known.again_ticks, budget_ticks);
    store(&u->known.second, window / ONCE_SHARE_START);
    store(&u->known.first, window - window / ONCE_SHARE_START);
    memset((void *)u->changed, true, sizeof u->changed);
}

int uses_open(int dirfd, uint64_t budget_bytes, struct uses **out, struct err *err)
{
    size_t slots = slots_for(budget_bytes);
    AUTO_FREE struct slot *at = calloc(slots, sizeof *at);
    AUTO(uses) struct uses *u = calloc(1, sizeof *u);
    if (!at || !u)
        return err_set(err, ENOMEM, "out of memory");
    u->dirfd = dirfd;
    u->slots = slots;
    u->at = STEAL(at);
    begin(u, budget_bytes);
    AUTO_FD int fd = openat(dirfd, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd >= 0 && header_read(fd, u))
        read_slots(fd, u);
    *out = STEAL(u);
    return 0;
}

void uses_close(struct uses *u)
{
    if (!u)
        return;
    free(u->at);
    free(u);
}

static int header_write(int fd, const struct uses *u, struct err *err)
{
    struct header h = {.slots = u->slots,
                       .clock = load(&u->known.clock),
                       .first = load(&u->known.first),
                       .second = load(&u->known.second),
                       .again_ticks = load(&u->known.again_ticks)};
    memcpy(h.magic, magic, sizeof magic);
    h.crc = header_crc(&h);
    return file_pwrite_full(fd, &h, sizeof h, 0, err);
}

static int chunk_write(int fd, const struct uses *u, size_t chunk, struct err *err)
{
    uint64_t words[CHUNK_SLOTS * 2];
    const struct slot *s = u->at + chunk * CHUNK_SLOTS;
    for (size_t i = 0; i < CHUNK_SLOTS; i++) {
        words[2 * i] = load(&s[i].who);
        words[2 * i + 1] = load(&s[i].when);
    }
    return file_pwrite_full(fd, words, sizeof words, (off_t)(HEADER_BYTES + chunk * CHUNK_BYTES),
                            err);
}

/* What is written while uses go on is a mixture of before and after, which is as good. */
int uses_save(struct uses *u, struct err *err)
{
    AUTO_FD int fd =
        openat(u->dirfd, FILE_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    int rc = fd < 0 ? err_set(err, errno, "open %s", FILE_NAME) : header_write(fd, u, err);
    for (size_t i = 0; rc == 0 && i < u->slots / CHUNK_SLOTS; i++) {
        if (!atomic_exchange_explicit(&u->changed[i], false, memory_order_relaxed))
            continue;
        rc = chunk_write(fd, u, i, err);
        if (rc < 0)
            atomic_store_explicit(&u->changed[i], true, memory_order_relaxed);
    }
    if (rc < 0)
        (void)err_wrap(err, "uses of objects"); /* rc is the code where err is NULL, too */
    return rc;
}
