/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tools/human.h"
#include "tools/recall.h"
#include "tools/tools.h"

static uint64_t sum(const uint64_t by_access[STORE_RESTORING + 1])
{
    return by_access[STORE_READABLE] + by_access[STORE_ARCHIVED] + by_access[STORE_RESTORING];
}

static void tell_json(const char *path, const struct recall_tally *t)
{
    AUTO(buf) struct buf name = {0};
    buf_init(&name, 8 * PATH_MAX);
    buf_add_json(&name, slice_of(path));
    printf("{\"path\":%.*s,\"files\":%llu,\"bytes\":%llu,\"archivedFiles\":%llu,"
           "\"archivedBytes\":%llu,\"restoringFiles\":%llu,\"restoringBytes\":%llu}\n",
           SLICE_FMT(buf_slice(&name)), (unsigned long long)sum(t->files),
           (unsigned long long)sum(t->bytes), (unsigned long long)t->files[STORE_ARCHIVED],
           (unsigned long long)t->bytes[STORE_ARCHIVED],
           (unsigned long long)t->files[STORE_RESTORING],
           (unsigned long long)t->bytes[STORE_RESTORING]);
}

/* Within which the slowest of what is under way should be there; 0: nobody says. */
static unsigned expected_minutes(const struct recall *c)
{
    unsigned most = 0;
    for (size_t i = 0; i < c->list.files.n; i++) {
        const struct recall_state *s = &c->states[i];
        if (s->access != STORE_RESTORING || c->list.files.at[i].again)
            continue;
        /* What was begun before may have been asked for at any speed: the usual one is taken. */
        enum store_speed speed = s->begun ? c->how.speed : STORE_SPEED_STANDARD;
        unsigned minutes = recall_minutes(slice_of(s->class), speed);
        most = minutes > most ? minutes : most;
    }
    return most;
}

static void add_expected(const struct recall *c)
{
    unsigned minutes = expected_minutes(c);
    if (minutes >= 60)
        printf("; expected within %u hour%s", minutes / 60, minutes == 60 ? "" : "s");
    else if (minutes)
        printf("; expected within %u minutes", minutes);
}

int recall_tell_check(const struct recall *c)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES], d[HUMAN_BYTES], e[HUMAN_BYTES], f[HUMAN_BYTES];
    for (unsigned i = 0; i < c->path_count; i++) {
        struct recall_tally t = recall_count(c, i);
        if (c->json)
            tell_json(c->paths[i], &t);
        else
            printf("%s: %s of %s files, %s of %s are archived; %s are being restored\n",
                   c->paths[i], human_count(t.files[STORE_ARCHIVED] + t.files[STORE_RESTORING], a),
                   human_count(sum(t.files), b),
                   human_bytes(t.bytes[STORE_ARCHIVED] + t.bytes[STORE_RESTORING], d),
                   human_bytes(sum(t.bytes), e), human_count(t.files[STORE_RESTORING], f));
    }
    struct recall_tally all = recall_count(c, -1);
    bool readable = sum(all.files) == all.files[STORE_READABLE];
    return readable && !all.failed && !c->failures && !c->refused.n ? EXIT_OK : EXIT_FAILED;
}

void recall_tell_begun(const struct recall *c)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    struct recall_tally t = recall_count(c, -1);
    uint64_t begun = 0;
    for (size_t i = 0; i < c->list.files.n; i++)
        begun += c->states[i].begun;
    if (t.files[STORE_RESTORING] == 0 && t.files[STORE_ARCHIVED] == 0) {
        printf("nothing is archived of %s files, %s\n", human_count(sum(t.files), a),
               human_bytes(sum(t.bytes), b));
        return;
    }
    printf("%s files, %s are being restored", human_count(t.files[STORE_RESTORING], a),
           human_bytes(t.bytes[STORE_RESTORING], b));
    printf(": %s asked for now", human_count(begun, a));
    printf(", %s before", human_count(t.files[STORE_RESTORING] - begun, a));
    add_expected(c);
    printf("\n");
    (void)fflush(stdout);
}

void recall_tell_end(const struct recall *c)
{
    char a[HUMAN_BYTES], b[HUMAN_BYTES];
    struct recall_tally t = recall_count(c, -1);
    if (sum(t.files) == t.files[STORE_READABLE])
        printf("%s files, %s can be read\n", human_count(sum(t.files), a),
               human_bytes(sum(t.bytes), b));
    else
        printf("%s of %s files can be read\n", human_count(t.files[STORE_READABLE], a),
               human_count(sum(t.files), b));
}
