/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/location.h"

#include <strings.h>

bool location_component(struct slice *rest, struct slice *component)
{
    while (rest->n && rest->p[0] == '/')
        *rest = slice_from(*rest, 1);
    if (rest->n == 0)
        return false;
    ptrdiff_t slash = slice_find(*rest, '/');
    component->p = rest->p;
    component->n = slash < 0 ? rest->n : (size_t)slash;
    *rest = slice_from(*rest, component->n);
    return true;
}

bool location_add_normal(struct buf *out, struct slice path)
{
    size_t begin = out->len;
    struct slice component;
    while (location_component(&path, &component)) {
        if (slice_is(component, "."))
            continue;
        if (slice_is(component, "..")) {
            if (out->len == begin)
                return false;
            ptrdiff_t slash = slice_rfind(slice_make(out->data + begin, out->len - begin), '/');
            out->len = begin + (slash < 0 ? 0 : (size_t)slash);
            out->data[out->len] = '\0';
            continue;
        }
        if (out->len > begin)
            buf_add_char(out, '/');
        buf_add_slice(out, component);
    }
    return true;
}

/* Length of a scheme with its colon where a `/` follows it; 0: no URI but a path. */
static size_t scheme_length(struct slice name)
{
    size_t i = 0;
    while (i < name.n &&
           ((name.p[i] >= 'a' && name.p[i] <= 'z') || (name.p[i] >= 'A' && name.p[i] <= 'Z') ||
            (i && name.p[i] >= '0' && name.p[i] <= '9') ||
            (i && (name.p[i] == '+' || name.p[i] == '.' || name.p[i] == '-'))))
        i++;
    return i && i + 1 < name.n && name.p[i] == ':' && name.p[i + 1] == '/' ? i + 1 : 0;
}

struct location location_split(struct slice name)
{
    size_t n = scheme_length(name);
    struct location l = {n ? slice_make(name.p, n - 1) : SLICE_NONE, SLICE_NONE,
                         slice_from(name, n)};
    if (n && slice_starts(l.path, SLICE_LIT("//"))) {
        l.path = slice_from(l.path, 2);
        ptrdiff_t slash = slice_find(l.path, '/');
        l.authority = slice_make(l.path.p, slash < 0 ? l.path.n : (size_t)slash);
        l.path = slice_from(l.path, l.authority.n);
    }
    return l;
}

bool location_is_absolute(struct slice name)
{
    return (name.n && name.p[0] == '/') || scheme_length(name);
}

static void add_scheme(struct buf *out, struct slice scheme)
{
    static const struct {
        const char *name, *means;
    } others[] = {
        {"s3a", "s3"}, {"s3n", "s3"}, {"abfs", "abfss"}, {"wasb", "abfss"}, {"wasbs", "abfss"}};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        if (scheme.n == strlen(others[i].name) &&
            strncasecmp(scheme.p, others[i].name, scheme.n) == 0) {
            buf_add_str(out, others[i].means);
            return;
        }
    }
    for (size_t i = 0; i < scheme.n; i++)
        buf_add_char(out,
                     (char)(scheme.p[i] | (scheme.p[i] >= 'A' && scheme.p[i] <= 'Z' ? 32 : 0)));
}

/* A container of Azure's has one name for each of two services. */
static void add_authority(struct buf *out, const struct location *l)
{
    static const char blob[] = ".blob.";
    struct slice a = l->authority;
    bool wasb = l->scheme.n >= 4 && strncasecmp(l->scheme.p, "wasb", 4) == 0;
    const char *at = wasb && a.n ? memmem(a.p, a.n, blob, sizeof blob - 1) : NULL;
    if (!at) {
        buf_add_slice(out, a);
        return;
    }
    size_t before = (size_t)(at - a.p);
    buf_add(out, a.p, before);
    buf_add_str(out, ".dfs.");
    buf_add_slice(out, slice_from(a, before + sizeof blob - 1));
}

void location_add_root(struct buf *out, const struct location *l)
{
    if (l->scheme.n)
        add_scheme(out, l->scheme);
    else
        buf_add_str(out, "file");
    buf_add_str(out, "://");
    add_authority(out, l);
}

bool location_below(struct slice home, struct slice name, struct slice *out)
{
    while (home.n && home.p[home.n - 1] == '/')
        home.n--;
    if (!home.n || !slice_starts(name, home) || name.n < home.n + 2 || name.p[home.n] != '/')
        return false;
    *out = slice_from(name, home.n + 1);
    return true;
}
