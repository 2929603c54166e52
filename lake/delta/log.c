/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/delta/log.h"

#include "base/buf.h"
#include "base/hash.h"
#include "base/text.h"

#define VERSION_DIGITS 20
#define PART_DIGITS 10

/* Files that a log may hold: each version with its commit, and checkpoints in parts. */
#define LOG_FILES_MAX (2 * VERSIONS_MAX)
#define UUIDS_BYTES_MAX (VERSIONS_MAX * 64)

/* Takes exactly `digits` decimal digits off the front. */
static bool take_digits(struct slice *s, size_t digits, uint64_t max, uint64_t *out)
{
    if (s->n < digits || !text_parse_u64(slice_make(s->p, digits), max, out))
        return false;
    *s = slice_from(*s, digits);
    return true;
}

static bool take(struct slice *s, struct slice text)
{
    if (!slice_starts(*s, text))
        return false;
    *s = slice_from(*s, text.n);
    return true;
}

static bool parse_parts(struct slice rest, struct delta_name *out)
{
    uint64_t part, parts;
    if (!take_digits(&rest, PART_DIGITS, UINT32_MAX, &part) || !take(&rest, SLICE_LIT(".")) ||
        !take_digits(&rest, PART_DIGITS, UINT32_MAX, &parts) || !slice_is(rest, ".parquet") ||
        part < 1 || part > parts)
        return false;
    out->part = (uint32_t)part;
    out->parts = (uint32_t)parts;
    return true;
}

static bool is_uuid_name(struct slice name)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    struct slice ending = slice_from(name, sizeof form - 1);
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (i >= name.n || (form[i] == '-' ? name.p[i] != '-' : text_hex_digit(name.p[i]) < 0))
            return false;
    return slice_is(ending, ".json") || slice_is(ending, ".parquet");
}

/* `.<last>.compacted.json` */
static bool parse_compacted(struct slice rest, struct delta_name *out)
{
    uint64_t last;
    if (!take(&rest, SLICE_LIT(".")) || !take_digits(&rest, VERSION_DIGITS, INT64_MAX, &last) ||
        !slice_is(rest, ".compacted.json") || (int64_t)last <= out->version)
        return false;
    out->last = (int64_t)last;
    return true;
}

struct delta_name delta_name_parse(struct slice name)
{
    struct delta_name out = {.kind = DELTA_NAME_OTHER};
    uint64_t version;
    if (!take_digits(&name, VERSION_DIGITS, INT64_MAX, &version))
        return out;
    out.version = out.last = (int64_t)version;
    if (slice_is(name, ".json"))
        out.kind = DELTA_NAME_COMMIT;
    else if (slice_is(name, ".crc"))
        out.kind = DELTA_NAME_CHECKSUM;
    else if (parse_compacted(name, &out))
        out.kind = DELTA_NAME_COMPACTED;
    else if (slice_is(name, ".checkpoint.parquet"))
        out.kind = DELTA_NAME_CHECKPOINT; /* NOLINT(bugprone-branch-clone): tried in this order */
    else if (!take(&name, SLICE_LIT(".checkpoint.")))
        return out;
    else if (parse_parts(name, &out))
        out.kind = DELTA_NAME_CHECKPOINT;
    else if (is_uuid_name(name)) {
        out.kind = DELTA_NAME_CHECKPOINT;
        out.uuid = name;
    }
    return out;
}

bool delta_name_is_json(const struct delta_name *name)
{
    return name->kind == DELTA_NAME_CHECKPOINT && slice_ends(name->uuid, SLICE_LIT(".json"));
}

void delta_log_init(struct delta_log *log)
{
    *log = (struct delta_log){.commits = {.max = VERSIONS_MAX},
                              .checkpoints = {.max = LOG_FILES_MAX},
                              .compacted = {.max = VERSIONS_MAX},
                              .checksums = {.max = VERSIONS_MAX}};
    arena_init(&log->uuids, UUIDS_BYTES_MAX);
}

void delta_log_done(struct delta_log *log)
{
    vec_done(&log->commits);
    vec_done(&log->checkpoints);
    vec_done(&log->compacted);
    vec_done(&log->checksums);
    arena_done(&log->uuids);
}

/* Of what a listing tells about a file: another one of that name is told apart. */
static uint64_t fingerprint_of(const struct store_entry *entry)
{
    int64_t numbers[2] = {(int64_t)entry->size, entry->mtime_ms};
    return hash64(hash64(1, slice_make(numbers, sizeof numbers)), entry->etag);
}

int delta_log_add(struct delta_log *log, struct slice name, const struct store_entry *entry,
                  struct err *err)
{
    struct delta_log_file file = {delta_name_parse(name), entry->size, entry->mtime_ms, 0};
    struct delta_files *to = NULL;
    switch (file.name.kind) {
    case DELTA_NAME_OTHER:
        return 0;
    case DELTA_NAME_COMMIT:
        to = &log->commits;
        break;
    case DELTA_NAME_CHECKPOINT:
        to = &log->checkpoints;
        break;
    case DELTA_NAME_COMPACTED:
        to = &log->compacted;
        break;
    case DELTA_NAME_CHECKSUM:
        to = &log->checksums;
        break;
    }
    if (file.name.uuid.n) {
        file.name.uuid = arena_slice(&log->uuids, file.name.uuid);
        if (!file.name.uuid.p)
            return arena_failed(&log->uuids, "the names of checkpoints", err);
    }
    file.fingerprint = fingerprint_of(entry);
    int rc = vec_push(to, file);
    return rc < 0 ? err_set(err, -rc, "no room for another file in a log of %zu", to->n) : 0;
}

static int compare_files(const void *a, const void *b)
{
    const struct delta_name *x = &((const struct delta_log_file *)a)->name;
    const struct delta_name *y = &((const struct delta_log_file *)b)->name;
    if (x->version != y->version)
        return x->version < y->version ? -1 : 1;
    if (x->last != y->last)
        return x->last < y->last ? -1 : 1;
    if (x->parts != y->parts)
        return x->parts < y->parts ? -1 : 1;
    if (x->part != y->part)
        return x->part < y->part ? -1 : 1;
    return slice_cmp(x->uuid, y->uuid);
}

static void sort_files(struct delta_files *files)
{
    if (files->n)
        qsort(files->at, files->n, sizeof files->at[0], compare_files);
}

/* Files from i on that belong to one checkpoint. */
static size_t group_at(const struct delta_files *files, size_t i)
{
    size_t n = 1;
    const struct delta_name *first = &files->at[i].name;
    while (first->parts && i + n < files->n && files->at[i + n].name.version == first->version &&
           files->at[i + n].name.parts == first->parts)
        n++;
    return n;
}

/* Checkpoints of which a part is missing go. */
static void keep_complete(struct delta_files *files)
{
    size_t kept = 0;
    for (size_t i = 0, n; i < files->n; i += n) {
        n = group_at(files, i);
        uint32_t parts = files->at[i].name.parts;
        bool complete = parts == 0 || n == parts;
        for (size_t k = 1; complete && k < n; k++)
            complete = files->at[i + k].name.part != files->at[i + k - 1].name.part;
        if (!complete)
            continue;
        memmove(&files->at[kept], &files->at[i], n * sizeof files->at[0]);
        kept += n;
    }
    files->n = kept;
}

void delta_log_finish(struct delta_log *log)
{
    sort_files(&log->commits);
    sort_files(&log->checkpoints);
    sort_files(&log->compacted);
    sort_files(&log->checksums);
    keep_complete(&log->checkpoints);
}

struct listing {
    struct delta_log *log;
    size_t prefix_bytes; /* of the log's directory in each key */
    struct err *err;
};

static int take_entry(void *arg, const struct store_entry *entry)
{
    struct listing *listing = arg;
    if (entry->is_prefix || entry->key.n <= listing->prefix_bytes)
        return 0;
    return delta_log_add(listing->log, slice_from(entry->key, listing->prefix_bytes), entry,
                         listing->err);
}

int delta_log_read(struct delta_log *log, struct store *store, const char *prefix,
                   const int64_t *after, struct err *err)
{
    AUTO(buf) struct buf dir = {0};
    AUTO(buf) struct buf start = {0};
    buf_init(&dir, KEY_BYTES_MAX);
    buf_init(&start, KEY_BYTES_MAX);
    buf_addf(&dir, "%s_delta_log/", prefix);
    if (after) /* the digits alone stand before every name of that version */
        buf_addf(&start, "%s_delta_log/%020lld", prefix, (long long)*after);
    if (buf_check(&dir, err) < 0 || buf_check(&start, err) < 0)
        return err_wrap(err, "the log of %s", prefix);
    struct listing listing = {log, dir.len, err};
    struct store_list req = {.prefix = dir.data,
                             .start_after = after ? start.data : NULL,
                             .emit = take_entry,
                             .arg = &listing};
    int rc = store->ops->list(store, &req, err);
    if (rc < 0)
        return rc;
    delta_log_finish(log);
    return 0;
}

/* Position of the first file whose version is not below, or n. */
static size_t lower_bound(const struct delta_files *files, int64_t version)
{
    size_t low = 0, high = files->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (files->at[middle].name.version < version)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const struct delta_log_file *find_version(const struct delta_files *files, int64_t version)
{
    size_t i = lower_bound(files, version);
    bool found = i < files->n && files->at[i].name.version == version;
    return found ? &files->at[i] : NULL;
}

const struct delta_log_file *delta_log_commit(const struct delta_log *log, int64_t version)
{
    return find_version(&log->commits, version);
}

const struct delta_log_file *delta_log_checksum(const struct delta_log *log, int64_t version)
{
    return find_version(&log->checksums, version);
}

const struct delta_log_file *delta_log_checkpoint(const struct delta_log *log, int64_t version)
{
    const struct delta_files *files = &log->checkpoints;
    size_t i = version == INT64_MAX ? files->n : lower_bound(files, version + 1);
    return i ? find_version(files, files->at[i - 1].name.version) : NULL;
}

const struct delta_log_file *delta_log_checkpoint_after(const struct delta_log *log,
                                                        const struct delta_log_file *checkpoint)
{
    const struct delta_files *files = &log->checkpoints;
    size_t i = (size_t)(checkpoint - files->at);
    size_t next = i + group_at(files, i);
    if (next < files->n && files->at[next].name.version == checkpoint->name.version)
        return &files->at[next];
    return delta_log_checkpoint(log, checkpoint->name.version - 1);
}

/* A version on the cheapest way to the last one. */
struct step {
    const struct delta_log_file *file; /* that leads on from here */
    uint32_t files;                    /* from here to the end */
};

/* Fills steps[0, n) for versions from `first` on, from the last one backwards. */
static void find_way(const struct delta_log *log, int64_t first, struct step *steps, size_t n,
                     bool commits_only)
{
    const struct delta_files *compacted = &log->compacted;
    int64_t last = first + (int64_t)n - 1;
    size_t c = commits_only ? 0 : lower_bound(compacted, last);
    steps[n] = (struct step){NULL, 0};
    for (size_t i = n; i-- > 0;) {
        int64_t version = first + (int64_t)i;
        steps[i] = (struct step){delta_log_commit(log, version), steps[i + 1].files + 1};
        for (; c > 0 && compacted->at[c - 1].name.version >= version; c--) {
            const struct delta_log_file *file = &compacted->at[c - 1];
            if (file->name.version > version || file->name.last > last || version == 0 ||
                file->size > DELTA_COMPACTED_BYTES_MAX)
                continue;
            uint32_t files = steps[file->name.last - first + 1].files + 1;
            if (files < steps[i].files)
                steps[i] = (struct step){file, files};
        }
    }
}

int delta_log_plan(const struct delta_log *log, int64_t first, int64_t last, bool commits_only,
                   struct delta_plan *out, struct err *err)
{
    if (last < first)
        return 0;
    for (int64_t v = first; v <= last; v++) /* ends at the first gap, before anything is made */
        if (!delta_log_commit(log, v))
            return err_set(err, ENOENT, "the commit of version %lld is missing", (long long)v);
    size_t n = (size_t)(last - first) + 1;
    AUTO_FREE struct step *steps = reallocarray(NULL, n + 1, sizeof *steps);
    if (!steps)
        return err_set(err, ENOMEM, "out of memory for a log of %zu commits", n);
    find_way(log, first, steps, n, commits_only);
    for (size_t i = 0; i < n; i = (size_t)(steps[i].file->name.last - first) + 1) {
        int rc = vec_push(out, steps[i].file);
        if (rc < 0)
            return err_set(err, -rc, "no room for a log of %zu commits", n);
    }
    return 0;
}

/* The newest version is out of reach: why? */
static int unreachable(const struct delta_log *log, int64_t newest, struct err *err)
{
    int64_t first = newest;
    while (first > 0 && delta_log_commit(log, first - 1))
        first--;
    return err_set(err, EBADMSG, "commits before %lld are missing", (long long)first);
}

int delta_log_versions(const struct delta_log *log, struct delta_files *out, struct err *err)
{
    size_t commit = 0, checkpoint = 0;
    int64_t last = -1, newest = -1; /* the last version that can be made; the last there is */
    while (commit < log->commits.n || checkpoint < log->checkpoints.n) {
        const struct delta_log_file *c = commit < log->commits.n ? &log->commits.at[commit] : NULL;
        const struct delta_log_file *k =
            checkpoint < log->checkpoints.n ? &log->checkpoints.at[checkpoint] : NULL;
        if (c && k && c->name.version != k->name.version) {
            if (c->name.version < k->name.version)
                k = NULL;
            else
                c = NULL;
        }
        const struct delta_log_file *file = c ? c : k;
        /* cppcheck-suppress nullPointerRedundantCheck ; one of them there is: the loop's condition
         */
        newest = file->name.version;
        if (k || newest == last + 1) {
            int rc = vec_push(out, *file);
            if (rc < 0)
                return err_set(err, -rc, "no room for version %lld", (long long)newest);
            last = newest;
        }
        commit += c != NULL;
        while (checkpoint < log->checkpoints.n &&
               log->checkpoints.at[checkpoint].name.version <= newest)
            checkpoint++;
    }
    return newest != last ? unreachable(log, newest, err) : 0;
}

void delta_log_key(struct buf *out, const char *prefix, const struct delta_name *name)
{
    long long version = (long long)name->version;
    buf_reset(out);
    if (name->kind == DELTA_NAME_COMMIT)
        buf_addf(out, "%s_delta_log/%020lld.json", prefix, version);
    else if (name->kind == DELTA_NAME_CHECKSUM)
        buf_addf(out, "%s_delta_log/%020lld.crc", prefix, version);
    else if (name->kind == DELTA_NAME_COMPACTED)
        buf_addf(out, "%s_delta_log/%020lld.%020lld.compacted.json", prefix, version,
                 (long long)name->last);
    else if (name->uuid.n)
        buf_addf(out, "%s_delta_log/%020lld.checkpoint.%.*s", prefix, version,
                 SLICE_FMT(name->uuid));
    else if (name->parts == 0)
        buf_addf(out, "%s_delta_log/%020lld.checkpoint.parquet", prefix, version);
    else
        buf_addf(out, "%s_delta_log/%020lld.checkpoint.%010u.%010u.parquet", prefix, version,
                 name->part, name->parts);
}
