/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/iceberg/former.h"

#include "base/json.h"
#include "base/limits.h"

static int walk(struct json *j, struct former *former, struct err *err);

static int walk_object(struct json *j, struct former *former, struct err *err)
{
    AUTO(buf) struct buf scratch = {0};
    struct slice key, name = SLICE_NONE;
    int64_t id = -1;
    int rc = 0;
    buf_init(&scratch, SCHEMA_BYTES_MAX);
    (void)json_enter_object(j);
    while (rc == 0 && json_next_key(j, &key)) {
        if (slice_is(key, "id") && json_peek(j) == JSON_NUMBER)
            (void)json_int64(j, &id);
        else if (slice_is(key, "name") && json_peek(j) == JSON_STRING)
            (void)json_string(j, &scratch, &name);
        else if (slice_is(key, "type") || slice_is(key, "fields") || slice_is(key, "element") ||
                 slice_is(key, "key") || slice_is(key, "value"))
            rc = walk(j, former, err);
        else
            (void)json_skip(j, NULL);
    }
    if (rc == 0 && name.n && id >= 0 && id <= INT32_MAX)
        rc = former_add(former, (int32_t)id, name, err);
    return rc;
}

/* Fields are objects with an id and a name, at whatever depth of types (JSON_DEPTH_MAX). */
static int walk(struct json *j, struct former *former, struct err *err)
{
    int rc = 0;
    if (json_peek(j) == JSON_OBJECT)
        return walk_object(j, former, err);
    if (json_peek(j) != JSON_ARRAY)
        return json_skip(j, NULL) ? 0 : json_error(j, err);
    (void)json_enter_array(j);
    while (rc == 0 && json_next_element(j))
        rc = walk(j, former, err);
    return rc;
}

int iceberg_former_format(const struct iceberg_metadata *m, struct buf *out, struct err *err)
{
    AUTO(former) struct former *former = former_new(err);
    if (!former)
        return -ENOMEM;
    for (size_t i = 0; i < m->schemas_n; i++) {
        struct json j;
        json_init(&j, m->schemas[i].json);
        int rc = walk(&j, former, err);
        if (rc == 0 && json_failed(&j))
            rc = json_error(&j, err);
        if (rc < 0)
            return err_wrap(err, "schema %d", m->schemas[i].id);
    }
    former_format(former, out);
    return buf_check(out, err);
}
