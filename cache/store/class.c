/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/class.h"

int store_set_class(struct store *s, const char *key, const char *class,
                    const struct store_info *if_is, struct store_info *now, struct err *err)
{
    struct store_info after = {0};
    if (!s->ops->set_class)
        return err_set(err, EOPNOTSUPP, "%s: objects there have no class that can be changed",
                       s->url);
    if (!class[0] || strlen(class) >= STORE_CLASS_BYTES_MAX)
        return err_set(err, EINVAL, "%.60s is no storage class", class);
    int rc = s->ops->set_class(s, key, class, if_is, &after, err);
    if (rc == 0 && now)
        *now = after;
    return rc;
}

int store_tags(struct store *s, const char *key, struct store_tags *out, struct err *err)
{
    if (!s->ops->tags)
        return err_set(err, EOPNOTSUPP, "%s: objects there have no tags", s->url);
    return s->ops->tags(s, key, out, err);
}

int store_set_tag(struct store *s, const char *key, const struct store_tag *tag,
                  const struct store_info *if_is, bool *changed, struct err *err)
{
    if (!s->ops->set_tag)
        return err_set(err, EOPNOTSUPP, "%s: objects there have no tags", s->url);
    bool set = false;
    int rc = s->ops->set_tag(s, key, tag, if_is, &set, err);
    if (rc == 0 && changed)
        *changed = set;
    return rc;
}
