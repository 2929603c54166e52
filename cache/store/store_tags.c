/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/store_tags.h"

#include "cache/store/xml.h"

/* What is being read. */
struct reading {
    struct store_tags tags;
    struct store_tag now;
    bool named, is_tagging;
};

static int copy_text(char *to, size_t room, struct slice text, struct err *err)
{
    if (text.n >= room || memchr(text.p, '\0', text.n))
        return err_set(err, EOVERFLOW, "a tag of %zu bytes", text.n);
    memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return 0;
}

static int add(struct reading *r, struct err *err)
{
    if (!r->named)
        return err_set(err, EIO, "a tag without a name");
    if (r->tags.count == STORE_TAGS_MAX)
        return err_set(err, EOVERFLOW, "more than %d tags", STORE_TAGS_MAX);
    r->tags.at[r->tags.count++] = r->now;
    r->now = (struct store_tag){.name = ""};
    r->named = false;
    return 0;
}

static int on_element(void *arg, const struct xml_element *e, struct err *err)
{
    struct reading *r = arg;
    r->is_tagging |= e->depth == 1 && (slice_is(e->name, "Tagging") || slice_is(e->name, "Tags"));
    if (e->depth == 3 && slice_is(e->name, "Tag") && slice_is(e->parent, "TagSet"))
        return add(r, err);
    if (e->depth != 4 || !slice_is(e->parent, "Tag"))
        return 0;
    if (slice_is(e->name, "Key")) {
        r->named = true;
        return copy_text(r->now.name, sizeof r->now.name, e->text, err);
    }
    if (slice_is(e->name, "Value"))
        return copy_text(r->now.value, sizeof r->now.value, e->text, err);
    return 0;
}

int store_tags_parse(struct slice xml, struct store_tags *out, struct err *err)
{
    AUTO_FREE struct reading *r = calloc(1, sizeof *r);
    if (!r)
        return err_set(err, ENOMEM, "out of memory");
    int rc = xml_walk(xml, STORE_TAG_VALUE_BYTES, on_element, r, err);
    if (rc == 0 && !r->is_tagging)
        return err_set(err, EIO, "the answer is no set of tags");
    if (rc == 0)
        *out = r->tags;
    return rc;
}

void store_tags_format(const struct store_tags *tags, const char *root, struct buf *out)
{
    buf_addf(out, "<%s><TagSet>", root);
    for (unsigned i = 0; i < tags->count; i++) {
        buf_add_str(out, "<Tag><Key>");
        xml_add_text(out, slice_of(tags->at[i].name));
        buf_add_str(out, "</Key><Value>");
        xml_add_text(out, slice_of(tags->at[i].value));
        buf_add_str(out, "</Value></Tag>");
    }
    buf_addf(out, "</TagSet></%s>", root);
}

static unsigned place(const struct store_tags *tags, const char *name)
{
    unsigned i = 0;
    while (i < tags->count && strcmp(tags->at[i].name, name) != 0)
        i++;
    return i;
}

const struct store_tag *store_tags_find(const struct store_tags *tags, const char *name)
{
    unsigned i = place(tags, name);
    return i < tags->count ? &tags->at[i] : NULL;
}

bool store_tags_set(struct store_tags *tags, const struct store_tag *tag, int *rc)
{
    unsigned i = place(tags, tag->name);
    bool there = i < tags->count;
    *rc = 0;
    if (there ? strcmp(tags->at[i].value, tag->value) == 0 : !tag->value[0])
        return false;
    if (!tag->value[0]) {
        tags->at[i] = tags->at[--tags->count];
        return true;
    }
    if (i == STORE_TAGS_MAX) {
        *rc = -EOVERFLOW;
        return false;
    }
    tags->at[i] = *tag;
    tags->count += !there;
    return true;
}
