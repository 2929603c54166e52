/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store: bytes far away, named by keys.
 *
 * One interface for S3, GCS, Azure and the local disk. Wrappers (faults, tiers) implement
 * it too. Keys are relative to the root that the store was opened with (`s3://bucket/prefix`) and
 * any bytes but zero; a store never resolves `.`, `..` or empty components in them and never leaves
 * its root: they are parts of a key, or -ENOENT where the store can have no such key.
 *
 * get() is asynchronous: it returns at once, and req->done runs exactly once, on a thread of the
 * store's or on the caller's, under no lock. It must not block. The others block: workers and
 * tools only. Deadlines bound every call.
 *
 * Errors, everywhere: -ENOENT the store says that there is no such key; -EACCES 401, 403;
 * -ESTALE the object is not the one asked for by if_match; -EREMOTE its bytes are archived, and
 * have to be restored before a get; -EIO the rest, after retries (deadline,
 * 5xx, a broken answer); never -ENOENT for a store that cannot be reached.
 */
#ifndef CACHE_STORE_STORE_H
#define CACHE_STORE_STORE_H

#include <sys/uio.h>

#include "base/buf.h"
#include "base/limits.h"

struct store;
struct vended;       /* cache/store/vended.h */
struct store_tag;    /* cache/store/class.h */
struct store_tags;   /* the same */
struct store_writer; /* cache/store/write.h */

/* Whether an object's bytes can be had now. */
enum store_access {
    STORE_READABLE,
    STORE_ARCHIVED,  /* a get is -EREMOTE until it is restored */
    STORE_RESTORING, /* likewise; that is under way */
};

/* What a store says of one object. */
struct store_info {
    uint64_t size;             /* of the whole object */
    int64_t mtime_ms;          /* 0: not told */
    char etag[ETAG_BYTES_MAX]; /* with its quotes, empty: not told; of GCS the generation */
    /* As the store names it: "STANDARD", "GLACIER", "Hot", "Archive"; of a local file "local".
     * Empty: not told. */
    char class[STORE_CLASS_BYTES_MAX];
    enum store_access access;
    int64_t
        restored_until_ms; /* of a copy that was restored for a while: its end; 0: there is none */
};

/* One ranged read. The caller owns it and everything in it until done has run. */
struct store_get {
    const char *key;
    uint64_t offset;
    size_t length;        /* bytes wanted, at least 1; fewer come only where the object ends */
    const char *if_match; /* ETag that the object must have, or NULL */
    const char *version; /* the id of the version to read, as a listing told it; NULL: the newest */
    bool ahead;          /* nobody waits for it: behind the others of its host */
    /* By which the cache names the object, SHA256_BYTES, and its size; NULL: it does not. */
    const uint8_t *identity;
    uint64_t object_size;
    char *to; /* room for length bytes */
    /*
     * Where the bytes go instead, piece after piece, of a store that knows rooms (`rooms_bytes` in
     * its ops); `to` is the first one's then. NULL: all of it goes to `to`.
     */
    const struct iovec *rooms;
    unsigned rooms_count;
    /*
     * May be NULL. Bytes [0, got) have arrived and are right unless done says otherwise
     * later (a retry starts from 0 again, and may tell another info). On the store's thread; must
     * not block. `info` is set as far as the answer has told it.
     */
    void (*progress)(struct store_get *req, size_t got);
    void (*done)(struct store_get *req);

    /* Set before done runs. */
    int rc;         /* 0 or -errno */
    struct err err; /* where rc is not 0 */
    size_t got;     /* bytes in `to` */
    struct store_info info;

    void *private; /* the store's, from get to done */
    void *waiter;  /* store_get_wait's */
};

/* One line of a listing. Borrowed for the call. */
struct store_entry {
    struct slice key; /* relative to the store's root; of a prefix with its final `/` */
    bool is_prefix;   /* a common prefix: a directory */
    uint64_t size;
    int64_t mtime_ms;
    struct slice etag;    /* with its quotes; empty: not told */
    struct slice version; /* of list_at: its id */
    struct slice class;   /* as store_info.class; empty: not told */
    bool readable;        /* objects of this class are never archived */
};

struct store_list {
    const char *prefix;      /* "" or ends in `/` (checked: a prefix is a directory here) */
    const char *start_after; /* whole key, or NULL: only keys after it in byte order */
    bool recursive;          /* all keys below; else one level, deeper ones as prefixes */
    /* Of one level: keys for which this is false need not be told. A store in a directory asks
     * for the size of each other one. NULL: all are wanted. */
    bool (*wanted)(struct slice key);
    /* Called for each entry, on the calling thread. Other than 0 stops the listing and is returned.
     */
    int (*emit)(void *arg, const struct store_entry *entry);
    void *arg;
};

/* How soon archived bytes shall be back; what is quicker costs more. */
enum store_speed {
    STORE_SPEED_STANDARD,
    STORE_SPEED_BULK, /* Azure has none, and takes it for standard */
    STORE_SPEED_EXPEDITED,
};

struct store_restore {
    const char *class;   /* of the object, as store_info tells it; NULL or empty: it is asked for */
    const char *version; /* the id of the version, as store_get.version; NULL: the newest */
    unsigned days;       /* for how long the copy stays, of stores that make one (S3); at least 1 */
    enum store_speed speed;
};

/* A regular file that is an object, and its size when it was opened. */
struct store_file {
    /* Set by the caller: the ETag that the object should have, where it is known; NULL. A store
     * that has it elsewhere too (a wrapper) then gives that one. */
    const char *if_match;
    int fd;
    uint64_t size;
};

/* What shall be written: store_put_begin in cache/store/write.h. */
struct store_put {
    uint64_t size;  /* exact */
    bool if_absent; /* -EEXIST where the key is there, now or when it ends; else it is replaced */
    const char *class; /* storage class as the store names it; NULL: the store's default */
};

struct store_ops {
    const char *scheme; /* "s3", "gs", "abfss", "file" */
    /* So much is worth asking for at once into several rooms; 0: the store knows none. */
    size_t rooms_bytes;
    /* Of a wrapper: what is not where the others are may be had all the same, from elsewhere. Where
     * objects are files of this machine head tells which those are. */
    bool has_elsewhere;

    void (*get)(struct store *s, struct store_get *req);

    /* -ENOENT where the key does not exist. */
    int (*head)(struct store *s, const char *key, struct store_info *out, struct err *err);

    /*
     * In no promised order, and an entry may come more than once. A prefix that does not exist is
     * an empty listing. Empty keys that end in `/`, which tools make to mark directories, are left
     * out. Whether a one-level listing names the directory that start_after lies in is the store's
     * to choose. Keys with a zero byte are listed, though no request can name them.
     */
    int (*list)(struct store *s, const struct store_list *req, struct err *err);

    /*
     * The same of what was there at a moment: of each key the newest version that is not later,
     * where that is no deletion. -ENOENT, with the reason, where the store keeps no versions or did
     * not then. NULL: it keeps none ever.
     */
    int (*list_at)(struct store *s, const struct store_list *req, int64_t time_ms, struct err *err);

    /*
     * Of a wrapper, NULL: there are none: the versions of a table that it keeps whatever home
     * loses, in no promised order; and the files of the log by which one of them is made (-ENOENT:
     * it keeps that no more). prefix: the table's, "" or ends in `/`. What emit returns other than
     * 0 ends it, and is returned.
     */
    int (*kept)(struct store *s, const char *prefix, int (*emit)(void *arg, int64_t version),
                void *arg, struct err *err);
    int (*kept_log)(struct store *s, const char *prefix, int64_t version,
                    int (*emit)(void *arg, const struct store_entry *entry), void *arg,
                    struct err *err);

    /* Creates the key; -EEXIST where it is there already. */
    int (*put_if_absent)(struct store *s, const char *key, struct slice data, struct err *err);

    /*
     * Of a wrapper: the cache has all of an object that was opened with it, by this identity.
     * Any thread, under the cache's lock; must not block. NULL: nobody wants to know.
     */
    void (*sealed)(struct store *s, const uint8_t *identity, uint64_t size);

    /* As store_set_class, store_tags and store_set_tag, which are the callers. NULL: there are
     * none.
     */
    int (*set_class)(struct store *s, const char *key, const char *class,
                     const struct store_info *if_is, struct store_info *now, struct err *err);
    int (*tags)(struct store *s, const char *key, struct store_tags *out, struct err *err);
    int (*set_tag)(struct store *s, const char *key, const struct store_tag *tag,
                   const struct store_info *if_is, bool *changed, struct err *err);
    /* As store_put_begin and store_remove, which are the callers. NULL: nothing is written. */
    int (*put_begin)(struct store *s, const char *key, const struct store_put *how,
                     struct store_writer **out, struct err *err);
    int (*remove)(struct store *s, const char *key, struct err *err);

    /*
     * Asks for an archived object's bytes: 0 where the store has begun to bring them, or has them
     * already; -EALREADY where that is under way. Only what is archived may be named. NULL: every
     * object of such a store can be read at once, whatever its class.
     */
    int (*restore)(struct store *s, const char *key, const struct store_restore *how,
                   struct err *err);

    /*
     * Opens the object in place, for stores whose objects are files of this machine: out->fd is the
     * caller's. NULL for other stores. Blocks on the disk; with `wait` false it does not, and is
     * -EAGAIN where the kernel does not have the path in its caches.
     */
    int (*open_in_place)(struct store *s, const char *key, bool wait, struct store_file *out,
                         struct err *err);

    void (*free)(struct store *s);
};

/* Embedded first in every store. */
struct store {
    const struct store_ops *ops;
    char *url; /* canonical, without secrets: the store's identity, and its name in messages */
    /*
     * The root as a table's metadata names objects below it, not percent-encoded and without a
     * final slash: `s3://bucket/prefix`, `file:///dir`. NULL: absolute paths are never below it.
     */
    char *home;
    struct store_share *share; /* NULL: it has one owner (cache/store/share.h) */
};

/*
 * What a mount says of its store; strings are borrowed for the call of store_open and copied.
 * Secrets come from here and never from the process's own environment, because one daemon serves
 * mounts of several people.
 */
struct store_options {
    const char *endpoint_url; /* NULL: AWS's own for the region */
    const char *region;       /* NULL: us-east-1 */
    bool no_sign_request;
    const char *access_key_id, *secret_access_key, *session_token; /* NULL where not given */
    const char *ca_bundle; /* file of PEM certificates, NULL: the system's */
    const char *proxy_url; /* "off": none; NULL: that of the mount's environment, if any */
    const char *https_proxy, *http_proxy, *no_proxy;
    int64_t deadline_ms; /* of one request with its retries; 0: STORE_DEADLINE_MS */

    /* Where AWS credentials are found if none are given: cache/store/credentials.h. */
    const char *home, *path; /* HOME; PATH, for credential_process */
    const char *aws_profile, *aws_config_file, *aws_credentials_file;
    const char *aws_role_arn, *aws_role_session_name, *aws_token_file;
    const char *aws_container_path, *aws_container_url;
    const char *aws_container_token, *aws_container_token_file;
    const char *aws_metadata_disabled, *aws_metadata_url, *aws_metadata_mode;
    const char *aws_sts_url, *aws_sso_url, *aws_sso_oidc_url;
    /* S3's special cases. */
    const char *addressing;           /* "auto", "path", "virtual"; NULL: auto */
    const char *sse, *sse_kms_key_id; /* encryption by the service of what is written */
    const char *sse_c_key;            /* 64 hex digits: the key that objects are encrypted with */
    bool requester_pays;
    const char *aws_dualstack; /* "true": AWS's own hosts that have IPv6 addresses too */
    bool aws_profile_chosen;   /* by an option: credentials of the environment do not count */
    uint32_t uid, gid;         /* whose; what credential_process runs as */

    /* Of Google's environment (cache/store/gcs_auth.h). */
    const char *gcs_access_key_id, *gcs_secret_access_key; /* an HMAC key */
    const char *gcs_access_token;                          /* a bearer token as it is */
    const char *gcs_credentials_file;                      /* absolute */
    const char *gcs_config_dir;    /* gcloud's; NULL: .config/gcloud below home */
    const char *gcs_metadata_host; /* host or host:port; NULL: Google's own */
    const char *gcs_no_metadata;   /* "true": nothing is asked there */
    const char *gcs_user_project;  /* who pays; NULL: the bucket's owner */
    const char *gcs_endpoint_url;  /* as endpoint_url, where that is NULL; `http://` may lack */

    /* Azure's, NULL where not given: cache/store/azure_auth.h. */
    const char *azure_connection_string, *azure_account_key, *azure_sas_token, *azure_token;
    const char *azure_tenant_id, *azure_client_id, *azure_client_secret, *azure_token_file;
    const char *azure_authority_host;
    const char *azure_identity_endpoint, *azure_identity_header, *azure_metadata_url;

    struct vended *vended; /* credentials of this store alone (cache/store/vended.h); NULL: none */

    /* Of catalogs, where the lake file names no file (lake/catalog/catalog.h). */
    const char *catalog_token, *catalog_credential, *pg_password, *pg_passfile;
};

/* Threads shared by all stores of a process. */
struct store_runtime {
    struct http *http;           /* the engine: cache/store/http.h */
    struct workers *workers;     /* what blocks on the local disk */
    struct store_shares *shares; /* NULL: every store is its opener's own */
    /* Fetch credentials (cache/store/renewed.h). Nothing that waits for one may run on them. */
    struct workers *secrets;
    /*
     * What is put around each store that is opened, before it is shared: takes the store, also
     * where it fails (NULL and err). `wrapped` tells what it is apart: who opens the same URL with
     * another one is refused. NULL: nothing.
     */
    struct store *(*wrap)(void *arg, struct store *opened, struct err *err);
    void *wrap_arg;
    const char *wrapped;
};

/*
 * Opens the store of a URL (cache/store/url.h), or of a directory's path. It is not asked for
 * anything yet, but a local directory must exist. NULL and err for a URL that is not
 * understood (-EINVAL) or a missing directory (-ENOENT).
 */
struct store *store_open(const char *url, const struct store_options *options,
                         const struct store_runtime *runtime, struct err *err);

/*
 * The whole name of an object, appended: the same below whatever root of one store it is named.
 * For identities, not for requests: nothing in it is encoded.
 */
void store_object_url(const struct store *s, struct slice key, struct buf *out);

/*
 * The caller uses the store no more, but for store_free. True where nobody else does either: what
 * is under way has to end before store_free.
 */
bool store_leave(struct store *s);

/* Who share it now; a store that was left may be shared again. 0: nobody else can have it. */
unsigned store_owners(const struct store *s);

/* After store_leave. No request may be under way; a store that others use stays. */
void store_free(struct store *s);
DEFINE_AUTO(store, struct store *, store_free)

/* get() and a wait: workers and tools only. req->done is set here. Returns req->rc. */
int store_get_wait(struct store *s, struct store_get *req, struct err *err);

/*
 * The whole object appended to out, whose maximum bounds it (-EOVERFLOW); info may be NULL. Every
 * part but the first asks for the first one's ETag, so generations never mix.
 */
int store_read(struct store *s, const char *key, struct buf *out, struct store_info *info,
               struct err *err);

/* The key is there and has these bytes; false also where that cannot be seen. Blocks likewise. */
bool store_holds(struct store *s, const char *key, struct slice data);

#endif
