/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Input: a table metadata file, perhaps compressed. Property: whatever it is, metadata that comes
 * out has its ids in order and what is current among them, a history of it keeps its positions
 * within, what is told of it is JSON, and no path of it leads out of the store that it lies in.
 */
#include <assert.h>

#include "base/json.h"
#include "base/limits.h"
#include "cache/store/store.h"
#include "lake/format/unpack.h"
#include "lake/iceberg/describe.h"
#include "lake/iceberg/find.h"
#include "lake/iceberg/former.h"
#include "lake/iceberg/history.h"

#define TEXT_MAX (4 * MIB)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_json(const struct buf *out)
{
    struct json j;
    json_init(&j, buf_slice(out));
    assert(json_skip(&j, NULL) && json_at_end(&j));
}

static void check_metadata(const struct iceberg_metadata *m)
{
    for (size_t i = 0; i < m->snapshots_n; i++) {
        const struct iceberg_snapshot *s = &m->snapshots[i];
        assert(i == 0 || m->by_id[i - 1]->id < m->by_id[i]->id);
        assert(iceberg_metadata_snapshot(m, s->id) == s);
        assert(s->manifest_list.n || s->manifests);
    }
    for (size_t i = 1; i < m->moments_n; i++)
        assert(m->moments[i - 1].timestamp_ms < m->moments[i].timestamp_ms);
    assert(iceberg_metadata_schema(m, m->current_schema_id));
    assert(m->current_snapshot == ICEBERG_NONE ||
           iceberg_metadata_snapshot(m, m->current_snapshot));
}

static void try_history(const struct iceberg_metadata *m)
{
    AUTO(history) struct history *h = NULL;
    AUTO(buf) struct buf out = {0};
    if (iceberg_history_of(m, &h, NULL) < 0)
        return;
    ptrdiff_t n = (ptrdiff_t)(h->n + h->heads_n);
    assert(h->live >= -1 && h->live < n);
    for (size_t i = 0; i < h->names_n; i++)
        assert(h->names[i].position >= 0 && h->names[i].position < n);
    for (size_t i = 0; i < h->clock_n; i++)
        assert(h->clock[i].position >= -1 && h->clock[i].position < n);
    buf_init(&out, 64 * MIB);
    if (iceberg_describe_history(m, h, 0, false, &out, NULL) == 0)
        check_json(&out);
    buf_reset(&out);
    if (iceberg_describe_refs(m, h, &out, NULL) == 0)
        check_json(&out);
}

static void try_former(const struct iceberg_metadata *m)
{
    AUTO(former) struct former *former = former_new(NULL);
    AUTO(buf) struct buf out = {0};
    buf_init(&out, 64 * MIB);
    if (former && iceberg_former_format(m, &out, NULL) == 0)
        assert(former_parse(former, buf_slice(&out), NULL) == 0);
}

/* A key of a local store never steps up, and is below the table or named below the home. */
static void try_path(const struct iceberg_root *root, struct slice path)
{
    AUTO(buf) struct buf key = {0}, scratch = {0};
    struct store *store = NULL;
    struct slice inside, component;
    buf_init(&key, KEY_BYTES_MAX);
    buf_init(&scratch, KEY_BYTES_MAX);
    if (iceberg_path_locate(root, path, &store, &key, NULL) == 0)
        for (struct slice rest = buf_slice(&key); rest.n;) {
            ptrdiff_t slash = slice_find(rest, '/');
            component = slice_make(rest.p, slash < 0 ? rest.n : (size_t)slash);
            assert(component.n && !slice_is(component, "..") && !slice_is(component, "."));
            rest = slice_from(rest, slash < 0 ? rest.n : component.n + 1);
        }
    if (iceberg_path_inside(root, path, &scratch, &inside))
        assert(inside.n && inside.p[0] != '/');
}

static void try_paths(const struct iceberg_metadata *m)
{
    struct iceberg_root root = {.home = SLICE_LIT("file:///lake"), .prefix = SLICE_LIT("a/t/")};
    iceberg_root_set(&root, m);
    for (size_t i = 0; i < m->snapshots_n; i++) {
        try_path(&root, m->snapshots[i].manifest_list);
        for (size_t k = 0; k < m->snapshots[i].manifests_n; k++)
            try_path(&root, m->snapshots[i].manifests[k]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(buf) struct buf text = {0};
    AUTO(iceberg_metadata) struct iceberg_metadata *m = NULL;
    struct slice input = slice_make(data, size), stem;
    struct err err = ERR_INIT;
    uint64_t number;
    buf_init(&text, TEXT_MAX);
    (void)iceberg_name_parse(slice_make(data, size < 256 ? size : 256), &number, &stem);
    if (unpack_is_packed(input)) {
        if (unpack(input, &text, NULL) < 0)
            return 0;
        input = buf_slice(&text);
    }
    int rc = iceberg_metadata_parse(input, SLICE_LIT("v1"), &m, &err);
    assert(rc == -err.code && (rc == 0) == (m != NULL));
    if (!m)
        return 0;
    check_metadata(m);
    try_history(m);
    try_former(m);
    try_paths(m);
    return 0;
}
