/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/make.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/limits.h"
#include "lake/iceberg/make_private.h"
#include "lake/iceberg/runs.h"

int iceberg_make_init(struct iceberg_make *m, const struct iceberg_view *view,
                      const struct iceberg_snapshot *snapshot,
                      const struct iceberg_identity *identity, struct err *err)
{
    *m = (struct iceberg_make){.view = view, .snapshot = snapshot, .identity = *identity};
    iceberg_manifest_list_init(&m->list);
    iceberg_elsewhere_init(&m->elsewhere);
    return iceberg_manifests_list(view, snapshot, &m->list, err);
}

void iceberg_make_done(struct iceberg_make *m)
{
    iceberg_manifest_list_done(&m->list);
    iceberg_elsewhere_done(&m->elsewhere);
}

/* Walking manifests --------------------------------------------------------------------------- */

int iceberg_walk_manifest(struct iceberg_place *p, const struct iceberg_manifest *manifest,
                          iceberg_walk_file *file, void *arg, struct err *err)
{
    AUTO(iceberg_decoded) struct iceberg_decoded decoded = {.fd = -1};
    struct iceberg_entry f;
    if (manifest->live == 0)
        return 0;
    int rc = iceberg_manifests_open(p->view, manifest, &decoded, err);
    if (rc == 0)
        rc = iceberg_place_manifest(p, manifest, &decoded.head, err);
    while (rc == 0 && (rc = iceberg_decoded_next(&decoded, &f, err)) > 0) {
        rc = iceberg_entry_inherit(&f, manifest, err);
        if (rc == 0 && f.encrypted)
            rc = err_set(err, EOPNOTSUPP, "files of this table are encrypted");
        if (rc == 0 && f.status != ICEBERG_DELETED)
            rc = file(arg, &decoded, &f, err);
    }
    if (rc == -EUCLEAN)
        iceberg_manifests_drop(p->view, manifest);
    return rc < 0 && rc != -EUCLEAN
               ? err_wrap(err, "manifest '%.*s'",
                          (int)(manifest->path.n < 200 ? manifest->path.n : 200), manifest->path.p)
               : rc;
}

int iceberg_walk_failed(struct err *err, const struct err *why)
{
    struct err e = *why;
    if (e.code == EUCLEAN)
        e.code = EIO;
    return err_copy(err, &e);
}

/* Deletes ------------------------------------------------------------------------------------- */

struct deleting {
    struct iceberg_place *place;
    struct iceberg_deletes *deletes;
};

static int take_delete(void *arg, const struct iceberg_decoded *decoded,
                       const struct iceberg_entry *f, struct err *err)
{
    struct deleting *d = arg;
    uint32_t partition;
    if (f->content == ICEBERG_DATA)
        return err_set(err, EIO, "a data file among delete files");
    int rc = iceberg_place_partition(d->place, decoded, f, d->deletes, &partition, err);
    return rc < 0 ? rc
                  : iceberg_deletes_add(d->deletes, f, partition, d->place->spec->unpartitioned,
                                        iceberg_place_time(d->place, f), err);
}

int iceberg_make_deletes(struct iceberg_place *place, const struct iceberg_manifest_list *list,
                         struct iceberg_deletes **out, struct err *err)
{
    AUTO(iceberg_deletes) struct iceberg_deletes *deletes = iceberg_deletes_new(err);
    struct deleting d = {place, deletes};
    if (!deletes)
        return -err->code;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        if (list->at[i].deletes)
            rc = iceberg_walk_manifest(place, &list->at[i], take_delete, &d, err);
    if (rc == 0)
        rc = iceberg_deletes_finish(deletes, err);
    if (rc < 0)
        return rc;
    *out = iceberg_deletes_count(deletes) ? STEAL(deletes) : NULL;
    return 0;
}

/* Writing ------------------------------------------------------------------------------------- */

/* Writes the run aside, opens it, and names it where it holds as many files as were put in. */
int iceberg_make_run(struct iceberg_make *m, const struct iceberg_filling *f, struct run *base,
                     const char *name, struct run **out, struct err *err)
{
    char aside[RUN_NAME_BYTES];
    AUTO(buf) struct buf meta = {0};
    AUTO(run) struct run *run = NULL;
    int dirfd = m->view->table->dirfd;
    buf_init(&meta, ICEBERG_METADATA_BYTES_MAX);
    int rc = iceberg_elsewhere_add(&m->elsewhere, m->view, m->snapshot, &m->list, err);
    struct iceberg_state_manifests manifests = {m->snapshot->manifest_list, m->elsewhere.at,
                                                m->elsewhere.n};
    if (rc == 0)
        rc = iceberg_state_format(m->view->metadata, &m->identity, &manifests, &meta, err);
    if (rc < 0)
        return rc;
    run_unchecked_name(aside);
    rc = base ? index_build_patch(f->build, base, aside, buf_slice(&meta), err)
              : index_build_base(f->build, aside, buf_slice(&meta), err);
    if (rc < 0)
        return rc;
    rc = run_open(dirfd, aside, &run, err);
    if (rc == 0 && !f->any && run_files(run) != f->files)
        rc = err_set(err, base ? EAGAIN : EIO,
                     "%llu of the snapshot's files are named twice: their rows would count twice",
                     (unsigned long long)(f->files - run_files(run)));
    if (rc == 0 && f->check)
        rc = f->check(f->arg, run, err);
    if (rc == 0 && renameat(dirfd, aside, dirfd, name) < 0)
        rc = err_set(err, errno, "%s: %s", name, strerror(errno));
    if (rc < 0) {
        (void)unlinkat(dirfd, aside, 0); /* a leftover is never opened */
        return rc;
    }
    return run_open(dirfd, name, out, err); /* again: a run knows its name */
}

int iceberg_make_add(struct iceberg_filling *filling, const struct iceberg_decoded *decoded,
                     const struct iceberg_entry *f, struct err *err)
{
    struct index_action action = {.key = f->path, .seq = filling->seq};
    if (f->content != ICEBERG_DATA)
        return err_set(err, EIO, "a delete file among data files");
    filling->files++;
    int rc = iceberg_place_file(filling->place, decoded, f, &action.entry, err);
    return rc < 0 ? rc : index_build_add(filling->build, &action, err);
}

/* Bases --------------------------------------------------------------------------------------- */

static int take_file(void *arg, const struct iceberg_decoded *decoded,
                     const struct iceberg_entry *f, struct err *err)
{
    return iceberg_make_add(arg, decoded, f, err);
}

static int decode_all(const struct iceberg_make *m, struct err *err)
{
    size_t n = m->list.n;
    const struct iceberg_manifest **all = calloc(n ? n : 1, sizeof all[0]);
    if (!all)
        return err_set(err, ENOMEM, "out of memory for %zu manifests", n);
    for (size_t i = 0; i < n; i++)
        all[i] = &m->list.at[i];
    int rc = iceberg_manifests_decode(m->view, all, n, err);
    free(all);
    return rc;
}

static int try_base(struct iceberg_make *m, struct run **out, struct err *err)
{
    char name[RUN_NAME_BYTES];
    AUTO(iceberg_place) struct iceberg_place place = {0};
    AUTO(iceberg_deletes) struct iceberg_deletes *deletes = NULL;
    AUTO(index_build) struct index_build *build = NULL;
    int rc = decode_all(m, err);
    if (rc == 0)
        rc = iceberg_place_init(&place, m->view, m->identity.schema, err);
    if (rc == 0)
        rc = iceberg_make_deletes(&place, &m->list, &deletes, err);
    if (rc < 0)
        return rc;
    place.deletes = deletes;
    build = index_build_new(m->view->table->dirfd, err);
    if (!build)
        return -err->code;
    struct iceberg_filling filling = {.place = &place, .build = build, .seq = 1};
    for (size_t i = 0; rc == 0 && i < m->list.n; i++)
        if (!m->list.at[i].deletes)
            rc = iceberg_walk_manifest(&place, &m->list.at[i], take_file, &filling, err);
    iceberg_base_name(name, m->identity.snapshot, m->identity.schema);
    return rc < 0 ? rc : iceberg_make_run(m, &filling, NULL, name, out, err);
}

int iceberg_make_base(struct iceberg_make *m, struct run **out, struct err *err)
{
    struct err e = ERR_INIT;
    int rc = try_base(m, out, &e);
    if (rc == -EUCLEAN) { /* a manifest was damaged where it was kept: it is fetched again */
        e = (struct err)ERR_INIT;
        rc = try_base(m, out, &e);
    }
    return rc < 0 ? err_copy(err, &e) : 0;
}
