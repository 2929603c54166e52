/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/status.h"

#include <errno.h>

#include "base/cleanup.h"

#define CODE(name, e, again)                                                                       \
    {                                                                                              \
        .code = (name), .error = (e), .retryable = (again)                                         \
    }
#define STATUS(number, e, again)                                                                   \
    {                                                                                              \
        .status = (number), .error = (e), .retryable = (again)                                     \
    }

const struct status_row status_table[] = {
    /* Codes whose meaning their status does not tell. */
    CODE("InvalidObjectState", EREMOTE, false), /* 403: archived, to be restored first */
    CODE("BlobArchived", EREMOTE, false),       /* 409: the same */
    CODE("ExpiredToken", EACCES, false),        /* 400 */
    CODE("InvalidToken", EACCES, false),        /* 400 */
    CODE("TokenRefreshRequired", EACCES, false),
    CODE("XAdminUserNotFound", EACCES, false), /* 404, versitygw: the access key */
    CODE("UserProjectMissing", EACCES, false), /* 400, GCS: who asks has to pay, and says not who */
    CODE("KMS.DisabledException", EACCES, false), /* 400, as those below: the object's key */
    CODE("KMS.NotFoundException", EACCES, false),
    CODE("KMS.KMSInvalidStateException", EACCES, false),
    CODE("GlacierExpeditedRetrievalNotAvailable", EBUSY, false), /* 503: not at this speed now */
    CODE("RestoreAlreadyInProgress", EALREADY, false),           /* 409 */
    CODE("RequestTimeout", EIO, true),             /* 400: our bytes came too slowly */
    CODE("ConditionalRequestConflict", EIO, true), /* 409: two conditional writes met */
    CODE("OperationAborted", EIO, true),           /* 409 */
    CODE("SlowDown", EIO, true),
    CODE("ServerBusy", EIO, true),
    CODE("InternalError", EIO, true),
    CODE("OperationTimedOut", EIO, true),
    CODE("ServiceUnavailable", EIO, true),
    CODE("Throttling", EIO, true), /* 400, as those below, of servers like S3 */
    CODE("ThrottlingException", EIO, true),
    CODE("RequestLimitExceeded", EIO, true),
    CODE("KMS.ThrottlingException", EIO, true),
    CODE("BandwidthLimitExceeded", EIO, true),

    CODE("BadDigest", EIO, true), /* 400, as those below: what arrived is not what was sent */
    CODE("XAmzContentSHA256Mismatch", EIO, true),
    CODE("XAmzContentChecksumMismatch", EIO, true),
    CODE("PreconditionFailed", ESTALE, false), /* 412; also behind an answer that began as 200 */

    STATUS(401, EACCES, false),
    STATUS(403, EACCES, false),
    STATUS(404, ENOENT, false),
    STATUS(407, EACCES, false), /* a proxy's */
    STATUS(408, EIO, true),
    STATUS(412, ESTALE, false),
    STATUS(429, EIO, true),
    STATUS(500, EIO, true),
    STATUS(502, EIO, true),
    STATUS(503, EIO, true),
    STATUS(504, EIO, true),
    STATUS(509, EIO, true),
};

_Static_assert(ARRAY_SIZE(status_table) == STATUS_ROWS, "all of its lines");

/* NULL: none says anything of it. */
static const struct status_row *find(unsigned status, struct slice code)
{
    const struct status_row *found = NULL;
    for (size_t i = 0; i < STATUS_ROWS; i++) {
        if (status_table[i].code && slice_is(code, status_table[i].code))
            return &status_table[i];
        if (!status_table[i].code && status_table[i].status == status)
            found = &status_table[i];
    }
    return found;
}

int status_errno(unsigned status, struct slice code)
{
    const struct status_row *row = find(status, code);
    return row ? row->error : EIO;
}

bool status_retryable(unsigned status, struct slice code)
{
    const struct status_row *row = find(status, code);
    return row && row->retryable;
}
