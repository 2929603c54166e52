/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/proxy.h"

#include <strings.h>

/* The host, without its port and brackets. */
static struct slice host_of(const char *url)
{
    const char *begin = strstr(url, "://");
    struct slice s = slice_of(begin ? begin + 3 : url);
    bool six = s.n && s.p[0] == '[';
    s.n = strcspn(s.p, six ? "]" : ":/?#");
    return six ? slice_from(s, 1) : s;
}

/* The host is that name, or one below it. */
static bool is_below(struct slice host, struct slice name)
{
    if (slice_starts(name, SLICE_LIT("*."))) /* as many write it */
        name = slice_from(name, 1);
    while (name.n && name.p[0] == '.')
        name = slice_from(name, 1);
    if (name.n == 0 || host.n < name.n)
        return false;
    struct slice end = slice_from(host, host.n - name.n);
    bool at_dot = host.n == name.n || end.p[-1] == '.';
    return at_dot && strncasecmp(end.p, name.p, name.n) == 0;
}

static bool is_listed(struct slice list, struct slice host)
{
    while (list.n) {
        size_t n = 0;
        while (n < list.n && list.p[n] != ',' && list.p[n] != ' ')
            n++;
        struct slice name = slice_make(list.p, n);
        if (slice_is(name, "*") || is_below(host, name))
            return true;
        list = slice_from(list, n < list.n ? n + 1 : n);
    }
    return false;
}

const char *proxy_for(const struct store_options *o, const char *url)
{
    bool tls = strncmp(url, "https://", 8) == 0;
    if (o->proxy_url)
        return strcmp(o->proxy_url, "off") == 0 ? NULL : o->proxy_url;
    const char *proxy = tls ? o->https_proxy : o->http_proxy;
    return proxy && !is_listed(slice_of(o->no_proxy), host_of(url)) ? proxy : NULL;
}
