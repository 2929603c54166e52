/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/partition_path.h"

#include "base/limits.h"
#include "base/text.h"

/* Characters that Hive and Spark write as %XX in partition directories, besides control ones. */
#define HIVE_SPECIAL "\"#%'*/:=?\\{[]^\x7f"

/* Is this the text, with or without escapes? */
static bool spells(struct slice escaped, struct slice text)
{
    AUTO(buf) struct buf decoded = {0};
    if (!escaped.n || !memchr(escaped.p, '%', escaped.n))
        return slice_eq(escaped, text);
    buf_init(&decoded, ACTION_BYTES_MAX);
    text_percent_decode(&decoded, escaped);
    return !decoded.failed && slice_eq(buf_slice(&decoded), text);
}

bool partition_path_says(struct slice component, struct slice column, struct slice value,
                         bool loose)
{
    ptrdiff_t equals = slice_find(component, '=');
    if (equals < 0 || !spells(slice_make(component.p, (size_t)equals), column))
        return false;
    struct slice said = slice_from(component, (size_t)equals + 1);
    if (!value.p)
        return spells(said, SLICE_LIT(PARTITION_NULL));
    return loose || spells(said, value);
}

static void add_escaped(struct buf *out, struct slice s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || strchr(HIVE_SPECIAL, c)) {
            buf_add_char(out, '%');
            buf_add_char(out, hex[c >> 4]);
            buf_add_char(out, hex[c & 15]);
        } else {
            buf_add_char(out, (char)c);
        }
    }
}

void partition_path_add(struct buf *out, struct slice column, struct slice value)
{
    add_escaped(out, column);
    buf_add_char(out, '=');
    add_escaped(out, value.p ? value : SLICE_LIT(PARTITION_NULL));
    buf_add_char(out, '/');
}

void partition_values_init(struct partition_values *v)
{
    v->n = 0;
    buf_init(&v->text, ACTION_BYTES_MAX);
}

void partition_values_done(struct partition_values *v)
{
    buf_done(&v->text);
}

/* The metadata and a path may spell the same value in two ways. */
bool partition_path_is_loose(const struct shape_field *f)
{
    switch ((enum shape_type)f->type) {
    case SHAPE_BOOLEAN:
    case SHAPE_INT8:
    case SHAPE_INT16:
    case SHAPE_INT32:
    case SHAPE_INT64:
    case SHAPE_STRING:
    case SHAPE_DATE:
        return false;
    case SHAPE_FLOAT:
    case SHAPE_DOUBLE:
    case SHAPE_DECIMAL:
    case SHAPE_BINARY:
    case SHAPE_FIXED:
    case SHAPE_UUID:
    case SHAPE_TIME:
    case SHAPE_TIMESTAMP:
    case SHAPE_TIMESTAMP_LOCAL:
    case SHAPE_TIMESTAMP_NS:
    case SHAPE_TIMESTAMP_LOCAL_NS:
    case SHAPE_VARIANT:
    case SHAPE_UNKNOWN:
    case SHAPE_STORED:
    case SHAPE_GEOMETRY:
    case SHAPE_GEOGRAPHY:
        break;
    }
    return true;
}

/* The partition column that a directory's name is of, and where its value begins. */
static size_t column_of(const struct shape *partitions, size_t n, struct slice component,
                        struct slice *value)
{
    AUTO(buf) struct buf name = {0};
    ptrdiff_t equals = slice_find(component, '=');
    buf_init(&name, NAME_BYTES_MAX + 1);
    if (equals < 0)
        return n;
    text_percent_decode(&name, slice_make(component.p, (size_t)equals));
    *value = slice_from(component, (size_t)equals + 1);
    size_t i = 0;
    while (i < n && !slice_eq(partitions->fields[i + 1].name, buf_slice(&name)))
        i++;
    return name.failed ? n : i;
}

int partition_path_values(const struct shape *partitions, struct slice path, bool built,
                          struct partition_values *out, struct err *err)
{
    size_t from[PARTITION_COLUMNS_MAX] = {0}, length[PARTITION_COLUMNS_MAX] = {0};
    out->n = partitions ? partitions->fields_n - 1 : 0;
    buf_reset(&out->text);
    if (out->n > PARTITION_COLUMNS_MAX)
        return err_set(err, EOVERFLOW, "%zu partition columns, at most %d are decided by", out->n,
                       PARTITION_COLUMNS_MAX);
    for (size_t i = 0; i < out->n; i++)
        out->known[i] = false;
    for (ptrdiff_t slash; (slash = slice_find(path, '/')) >= 0;) {
        struct slice value, component = slice_make(path.p, (size_t)slash);
        path = slice_from(path, (size_t)slash + 1);
        size_t i = column_of(partitions, out->n, component, &value);
        if (i == out->n)
            continue;
        if (out->known[i])
            return err_set(err, EINVAL, "two directories say %.*s",
                           SLICE_FMT(partitions->fields[i + 1].name));
        out->known[i] = true;
        from[i] = out->text.len;
        if (!built && partition_path_is_loose(&partitions->fields[i + 1]))
            buf_add_str(&out->text, PARTITION_UNCERTAIN);
        else
            text_percent_decode(&out->text, value);
        length[i] = out->text.len - from[i];
    }
    for (size_t i = 0; i < out->n; i++) /* the text may have moved before */
        out->at[i] = out->known[i] ? slice_make(out->text.data + from[i], length[i]) : SLICE_NONE;
    return buf_check(&out->text, err);
}
