/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/status.h"

#include <errno.h>

#include "base/cleanup.h"

/* Codes whose meaning their status does not tell. */
static const struct {
    const char *code;
    int error;
    bool retryable;
} codes[] = {
    {"InvalidObjectState", EREMOTE, false}, /* 403: archived, to be restored first */
    {"ExpiredToken", EACCES, false},        /* 400 */
    {"InvalidToken", EACCES, false},        /* 400 */
    {"TokenRefreshRequired", EACCES, false},
    {"UserProjectMissing", EACCES, false},     /* 400, GCS: who asks has to pay, and says not who */
    {"RequestTimeout", EIO, true},             /* 400: our bytes came too slowly */
    {"ConditionalRequestConflict", EIO, true}, /* 409: two conditional writes met */
    {"OperationAborted", EIO, true},           /* 409 */
    {"SlowDown", EIO, true},
    {"InternalError", EIO, true},
    {"ServiceUnavailable", EIO, true},
};

static const struct {
    unsigned status;
    int error;
    bool retryable;
} statuses[] = {
    {401, EACCES, false}, {403, EACCES, false}, {404, ENOENT, false}, {408, EIO, true},
    {412, ESTALE, false}, {429, EIO, true},     {500, EIO, true},     {502, EIO, true},
    {503, EIO, true},     {504, EIO, true},
};

int status_errno(unsigned status, struct slice code)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (slice_is(code, codes[i].code))
            return codes[i].error;
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].error;
    return EIO;
}

bool status_retryable(unsigned status, struct slice code)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (slice_is(code, codes[i].code))
            return codes[i].retryable;
    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        if (statuses[i].status == status)
            return statuses[i].retryable;
    return false;
}
