/* SPDX-License-Identifier: Apache-2.0 */
/* The head of an HTTP answer: the few fields that a store needs. Pure. */
#ifndef CACHE_STORE_HTTP_ANSWER_H
#define CACHE_STORE_HTTP_ANSWER_H

#include "base/limits.h"
#include "base/slice.h"

/* Google's addresses of sessions have some 400. */
#define HTTP_LOCATION_BYTES 2048

/* Texts are empty, numbers zero where not told. */
struct http_answer {
    unsigned status; /* 0: none came */
    bool has_length;
    uint64_t content_length;
    int64_t last_modified_ms;
    char etag[ETAG_BYTES_MAX];
    char content_range[96];
    char request_id[96];    /* x-amz-request-id, x-guploader-uploadid, x-ms-request-id */
    char generation[24];    /* x-goog-generation */
    char bucket_region[48]; /* x-amz-bucket-region */
    char error_code[64];    /* x-ms-error-code */
    char location[HTTP_LOCATION_BYTES];        /* of a session that was begun */
    char range[64];                            /* what of it has come */
    char hash[96];                             /* x-goog-hash, all of them */
    char storage_class[STORE_CLASS_BYTES_MAX]; /* x-{amz,goog}-storage-class, x-ms-access-tier */
    char archive_status[40];                   /* x-{amz,ms}-archive-status */
    char restore[96];                          /* x-amz-restore */
    char version_id[VERSION_ID_BYTES_MAX];     /* x-{amz,ms}-version-id */
    char encryption[24];                       /* x-amz-server-side-encryption */
    char blob_type[16];                        /* x-ms-blob-type */
    bool has_customer_key; /* S3: encrypted with a key that the service does not keep */
    bool is_locked;        /* S3: by object lock */
    bool is_redirect;      /* S3: of a website */
    bool is_directory;     /* Azure: the blob stands for a directory */
};

/*
 * Takes one line of the head, with or without its line end. A status line begins an answer anew
 * and is not looked into: the status is the engine's to set. A value too long for its field is
 * dropped, because half of an ETag would match nothing.
 */
void http_answer_read(struct http_answer *a, struct slice line);

#endif
