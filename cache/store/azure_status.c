/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_status.h"

#include <errno.h>

#include "base/cleanup.h"
#include "cache/store/status.h"

/* Codes whose meaning their status does not tell. */
static const struct {
    const char *code;
    int error;
    bool retryable;
} codes[] = {
    {"BlobArchived", EREMOTE, false},             /* 409: to be rehydrated first */
    {"BlobBeingRehydrated", EREMOTE, false},      /* 409 */
    {"BlobAlreadyExists", EEXIST, false},         /* 409: If-None-Match */
    {"InvalidAuthenticationInfo", EACCES, false}, /* 400, 401 */
    {"PublicAccessNotPermitted", EACCES, false},  /* 409 */
    {"AccountIsDisabled", EACCES, false},         /* 403, 409 */
    {"ContainerBeingDeleted", ENOENT, false},     /* 409 */
    {"ContainerDisabled", EACCES, false},         /* 409 */
    {"LeaseIdMissing", EEXIST, false},            /* 412: the blob is there, and leased */
    {"Md5Mismatch", EIO, true},                   /* 400: what arrived is not what was sent */
    {"InternalError", EIO, true},
    {"OperationTimedOut", EIO, true},
    {"ServerBusy", EIO, true},
    {"TooManyRequests", EIO, true},
};

int azure_status_errno(unsigned status, struct slice code)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (slice_is(code, codes[i].code))
            return codes[i].error;
    return status_errno(status, SLICE_NONE);
}

bool azure_status_retryable(unsigned status, struct slice code)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (slice_is(code, codes[i].code))
            return codes[i].retryable;
    return status_retryable(status, SLICE_NONE);
}

bool azure_status_token_refused(unsigned status, struct slice code)
{
    return status == 401 || slice_is(code, "InvalidAuthenticationInfo") ||
           slice_is(code, "AuthenticationFailed");
}
