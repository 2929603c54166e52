/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/azure_restore.h"

#include "cache/store/remote.h"

void azure_tell_class(const struct http_answer *a, struct store_info *info)
{
    struct slice status = slice_of(a->archive_status);
    memcpy(info->class, a->storage_class, sizeof info->class);
    if (strcmp(info->class, "Archive") != 0)
        info->access = STORE_READABLE;
    else
        info->access = slice_starts(status, SLICE_LIT("rehydrate-pending-to-")) ? STORE_RESTORING
                                                                                : STORE_ARCHIVED;
}

int azure_restore(struct store *s, const char *key, const struct store_restore *how,
                  struct err *err)
{
    struct remote *r = remote_of(s);
    struct store_info info;
    AUTO(remote_request) struct remote_request *q = NULL;
    AUTO_FREE char *whole = remote_whole_key(r, key);
    if (!whole)
        return err_set(err, ENOMEM, "out of memory");
    int rc = s->ops->head(s, key, &info, err);
    if (rc < 0 || info.access == STORE_READABLE)
        return rc; /* it would be moved from where its owner put it */
    bool under_way = info.access == STORE_RESTORING;
    if (under_way && how->speed != STORE_SPEED_EXPEDITED)
        return err_set(err, EALREADY, "%s: it is on its way", key);
    const struct http_parameter tier = {"comp", "tier"};
    const struct http_field fields[] = {
        {"x-ms-access-tier", "Hot"},
        {"x-ms-rehydrate-priority", how->speed == STORE_SPEED_EXPEDITED ? "High" : "Standard"},
        {"content-type", "application/octet-stream"}};
    struct remote_parts parts = {.method = "PUT",
                                 .key = whole,
                                 .parameters = &tier,
                                 .parameters_count = 1,
                                 .keeps = true,
                                 .fields = fields,
                                 .fields_count = ARRAY_SIZE(fields),
                                 .text_max = REMOTE_ERROR_BYTES_MAX};
    rc = remote_ask(r, &parts, &q, err);
    /* EREMOTE: BlobBeingRehydrated. What is under way can be made quicker, once. */
    return rc == -EREMOTE || (rc == 0 && under_way)
               ? err_set(err, EALREADY, "%s: it is on its way", key)
               : rc;
}
