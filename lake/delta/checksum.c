/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/checksum.h"

#include "base/json.h"

static void read_id(struct json *j, struct buf *scratch, struct delta_checksum *out)
{
    struct slice key, id;
    if (json_peek(j) != JSON_OBJECT) {
        (void)json_skip(j, NULL);
        return;
    }
    (void)json_enter_object(j);
    while (json_next_key(j, &key)) {
        if (!slice_is(key, "id") || json_peek(j) != JSON_STRING)
            (void)json_skip(j, NULL);
        else if (json_string(j, scratch, &id) && id.n < sizeof out->table_id) {
            memcpy(out->table_id, id.p, id.n);
            out->table_id[id.n] = '\0';
        }
    }
}

int delta_checksum_parse(struct slice text, struct delta_checksum *out, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct delta_checksum sum = {.files = -1, .bytes = -1};
    struct json j;
    struct slice key;
    buf_init(&scratch, KIB);
    json_init(&j, text);
    if (json_enter_object(&j))
        while (json_next_key(&j, &key)) {
            if (slice_is(key, "numFiles"))
                (void)json_int64(&j, &sum.files);
            else if (slice_is(key, "tableSizeBytes"))
                (void)json_int64(&j, &sum.bytes);
            else if (slice_is(key, "metadata"))
                read_id(&j, &scratch, &sum);
            else
                (void)json_skip(&j, NULL);
        }
    if (json_failed(&j) || !json_at_end(&j))
        return json_error(&j, err);
    if (sum.files < 0 || sum.bytes < 0)
        return err_set(err, EIO, "%s is missing", sum.files < 0 ? "numFiles" : "tableSizeBytes");
    *out = sum;
    return 0;
}

static void ended(struct store_get *get)
{
    event_set(get->waiter);
}

void delta_checksum_start(struct delta_checksum_get *g, struct store *store, const char *prefix,
                          const struct delta_log_file *file)
{
    if (!file || file->size == 0 || file->size > DELTA_CHECKSUM_BYTES_MAX)
        return;
    buf_init(&g->key, KEY_BYTES_MAX);
    delta_log_key(&g->key, prefix, &file->name);
    char *to = malloc(file->size);
    if (g->key.failed || !to) {
        free(to);
        return;
    }
    event_init(&g->ended);
    g->started = true;
    g->size = file->size;
    g->get = (struct store_get){
        .key = g->key.data, .length = file->size, .to = to, .done = ended, .waiter = &g->ended};
    store->ops->get(store, &g->get);
}

bool delta_checksum_wait(struct delta_checksum_get *g, struct delta_checksum *out)
{
    if (!g->started)
        return false;
    event_wait(&g->ended);
    return g->get.rc == 0 && g->get.got == g->size && g->get.info.size == g->size &&
           delta_checksum_parse(slice_make(g->get.to, g->get.got), out, NULL) == 0;
}

void delta_checksum_done(struct delta_checksum_get *g)
{
    if (g->started) {
        event_wait(&g->ended);
        event_done(&g->ended);
        free(g->get.to);
    }
    buf_done(&g->key);
}
