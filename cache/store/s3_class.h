/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storage classes of S3, changed by CopyObject of an object onto itself.
 *
 *   HEAD ─► would the copy be the same object? ─► who may read it ─► CopyObject ─► HEAD
 *              no: -EOPNOTSUPP, nothing was sent      (GetObjectAcl, where the     class, size,
 *                                                      bucket has ACLs at all)     ETag as wanted
 *
 *   the copy would not be the same where            because
 *   the ETag is no MD5 (multipart: `-N`)            a copy has one part
 *   it is encrypted with a key of KMS or its own    each encryption has another ETag
 *   it has over 5 GB                                CopyObject takes no more
 *   the bucket keeps versions                       the old one stays behind, and is paid for
 *   it is locked, or redirects                      a copy is not and does not
 *   others than its owner may read it               a copy is private
 *
 * The copy is conditional on the ETag of what is read and of what is replaced. Metadata and tags
 * are copied by the service, and the encryption is named.
 */
#ifndef CACHE_STORE_S3_CLASS_H
#define CACHE_STORE_S3_CLASS_H

#include "cache/store/remote.h"

/* As store_ops.set_class. */
int s3_set_class(struct store *s, const char *key, const char *class,
                 const struct store_info *if_is, struct store_info *now, struct err *err);

/* Pure: what the answers say. */

/* BucketOwnerEnforced: the bucket's objects have no ACLs of their own. */
bool s3_ownership_enforced(struct slice xml);
/* The owner may do everything and nobody else anything. -EIO for what is no ACL. */
int s3_acl_private(struct slice xml, bool *out, struct err *err);
/* The ETag that a copy has, from its answer; -EIO where that is none, with `problem` set where it
 * is an error in a success's clothes. */
int s3_copied_parse(struct slice xml, char etag[ETAG_BYTES_MAX], struct s3_problem *problem,
                    struct err *err);

#endif
