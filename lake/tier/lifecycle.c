/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/tier/lifecycle.h"

#include <ctype.h>

#include "base/vec.h"
#include "cache/store/url.h"
#include "cache/store/xml.h"
#include "lake/lakefile.h"
#include "lake/tier/apply.h"

/* S3's and Azure's limit of a configuration. */
#define RULES_MAX 1000

/* A class to which the store's lifecycle moves objects. */
struct target {
    const char *class;
    const char *action; /* Azure's name of it */
    enum url_kind kind;
    unsigned days; /* since the object was made, at least */
};

static const struct target targets[] = {{"STANDARD_IA", NULL, URL_S3, 30},
                                        {"ONEZONE_IA", NULL, URL_S3, 30},
                                        {"INTELLIGENT_TIERING", NULL, URL_S3, 0},
                                        {"GLACIER_IR", NULL, URL_S3, 0},
                                        {"GLACIER", NULL, URL_S3, 0},
                                        {"DEEP_ARCHIVE", NULL, URL_S3, 0},
                                        {"Cool", "tierToCool", URL_AZURE, 0},
                                        {"Cold", "tierToCold", URL_AZURE, 0},
                                        {"Archive", "tierToArchive", URL_AZURE, 0}};

/* One rule of the document. */
struct rule {
    const struct lakefile_layer *layer;
    const struct target *target;
    char *prefix; /* below which it holds; owned */
};

struct rules {
    enum url_kind kind;
    const char *of;
    char *name; /* of the bucket or account; owned */
    VEC(struct rule) at;
};

static void rules_done(struct rules *r)
{
    for (size_t i = 0; i < r->at.n; i++)
        free(r->at.at[i].prefix);
    vec_done(&r->at);
    free(r->name);
}
DEFINE_AUTO_DONE(rules, struct rules, rules_done)

/* ---- which rules ---- */

static int find_target(const struct lakefile *file, const struct lakefile_rule *rule,
                       enum url_kind kind, const char *class, const struct target **out,
                       struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(targets); i++)
        if (targets[i].kind == kind && strcmp(targets[i].class, class) == 0) {
            *out = &targets[i];
            return 0;
        }
    return yaml_error(err, EINVAL, file->name, rule->place, "no lifecycle moves objects to %.40s",
                      class);
}

static int add(struct rules *r, const struct lakefile_layer *layer, const struct target *target,
               const char *prefix, struct err *err)
{
    for (size_t i = 0; i < r->at.n; i++)
        if (r->at.at[i].layer == layer && r->at.at[i].target == target)
            return 0;
    struct rule rule = {layer, target, strdup(prefix)};
    int rc = rule.prefix ? vec_push(&r->at, rule) : -ENOMEM;
    if (rc < 0)
        free(rule.prefix);
    return rc < 0 ? err_set(err, -rc, "over %d rules, or out of memory", RULES_MAX) : 0;
}

static bool reaches(const struct lakefile_rule *rule, const char *layer)
{
    for (size_t i = 0; i < rule->tables_n; i++)
        if (glob_reaches(&rule->tables[i], slice_of(layer), '/'))
            return true;
    return false;
}

/* The bucket or account that the document is for. */
static int choose(struct rules *r, const char *name, struct err *err)
{
    if (r->name && strcmp(r->name, name) != 0)
        return err_set(err, EINVAL, "the rules are about %.63s and %.63s: say which one", r->name,
                       name);
    if (!r->name && !(r->name = strdup(name)))
        return err_set(err, ENOMEM, "out of memory");
    return 0;
}

static int add_layer(struct rules *r, const struct lakefile *file,
                     const struct lakefile_layer *layer, struct err *err)
{
    AUTO(url) struct url url = {0};
    AUTO(buf) struct buf prefix = {0};
    if (!layer->store.url) /* a catalog's */
        return 0;
    int rc = url_parse(slice_of(layer->store.url), &url, err);
    if (rc < 0 || url.kind != r->kind)
        return rc;
    const char *name = r->kind == URL_AZURE ? url.account : url.bucket;
    if (r->of && strcmp(r->of, name) != 0)
        return 0;
    buf_init(&prefix, 2 * URL_BYTES_MAX);
    if (r->kind == URL_AZURE)
        buf_addf(&prefix, "%s/", url.bucket);
    buf_add_str(&prefix, url.prefix);
    rc = buf_check(&prefix, err);
    for (size_t i = 0; rc == 0 && i < file->rules_n; i++) {
        const struct lakefile_rule *rule = &file->rules[i];
        if (!reaches(rule, layer->name))
            continue;
        rc = choose(r, name, err);
        for (size_t k = 0; rc == 0 && k < rule->moves_n; k++) {
            const struct target *target = NULL;
            rc = find_target(file, rule, r->kind, rule->moves[k].to, &target, err);
            if (rc == 0)
                rc = add(r, layer, target, prefix.len ? prefix.data : "", err);
        }
    }
    return rc;
}

/* ---- documents ---- */

/* "tarn-tier-LAYER-CLASS", with letters, digits and hyphens only. */
static void add_name(struct buf *out, const struct rule *r)
{
    buf_addf(out, "%s-", TIER_TAG);
    for (const char *p = r->layer->name; *p; p++)
        buf_add_char(out, isalnum((unsigned char)*p) ? *p : '-');
    buf_addf(out, "-%s", r->target->class);
}

static void add_s3_json(struct buf *out, const struct rule *r)
{
    buf_add_str(out, "    {\n      \"ID\": \"");
    add_name(out, r);
    buf_add_str(out, "\",\n      \"Filter\": {");
    if (r->prefix[0]) {
        buf_add_str(out, "\"And\": {\"Prefix\": ");
        buf_add_json(out, slice_of(r->prefix));
        buf_addf(out, ", \"Tags\": [{\"Key\": \"%s\", \"Value\": \"%s\"}]}", TIER_TAG,
                 r->target->class);
    } else {
        buf_addf(out, "\"Tag\": {\"Key\": \"%s\", \"Value\": \"%s\"}", TIER_TAG, r->target->class);
    }
    buf_addf(out,
             "},\n      \"Status\": \"Enabled\",\n"
             "      \"Transitions\": [{\"Days\": %u, \"StorageClass\": \"%s\"}]\n    }",
             r->target->days, r->target->class);
}

static void add_s3_xml(struct buf *out, const struct rule *r)
{
    const char *and = r->prefix[0] ? "<And>" : "", *end = r->prefix[0] ? "</And>" : "";
    buf_add_str(out, "  <Rule><ID>");
    add_name(out, r);
    buf_addf(out, "</ID><Filter>%s", and);
    if (r->prefix[0]) {
        buf_add_str(out, "<Prefix>");
        xml_add_text(out, slice_of(r->prefix));
        buf_add_str(out, "</Prefix>");
    }
    buf_addf(out,
             "<Tag><Key>%s</Key><Value>%s</Value></Tag>%s</Filter><Status>Enabled</Status>"
             "<Transition><Days>%u</Days><StorageClass>%s</StorageClass></Transition></Rule>\n",
             TIER_TAG, r->target->class, end, r->target->days, r->target->class);
}

static void add_azure(struct buf *out, const struct rule *r)
{
    buf_add_str(out, "    {\n      \"enabled\": true,\n      \"name\": \"");
    add_name(out, r);
    buf_addf(out,
             "\",\n      \"type\": \"Lifecycle\",\n      \"definition\": {\n"
             "        \"actions\": {\"baseBlob\": {\"%s\": "
             "{\"daysAfterModificationGreaterThan\": %u}}},\n"
             "        \"filters\": {\"blobTypes\": [\"blockBlob\"], \"prefixMatch\": [",
             r->target->action, r->target->days);
    buf_add_json(out, slice_of(r->prefix));
    buf_addf(out,
             "],\n          \"blobIndexMatch\": [{\"name\": \"%s\", \"op\": \"==\", "
             "\"value\": \"%s\"}]}\n      }\n    }",
             TIER_TAG, r->target->class);
}

static const struct {
    enum url_kind kind;
    const char *store, *begin, *between, *end;
    void (*add)(struct buf *out, const struct rule *r);
} formats[] = {
    [TIER_LIFECYCLE_S3] = {URL_S3, "S3", "{\n  \"Rules\": [\n", ",\n", "\n  ]\n}\n", add_s3_json},
    [TIER_LIFECYCLE_S3_XML] = {URL_S3, "S3",
                               "<LifecycleConfiguration "
                               "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n",
                               "", "</LifecycleConfiguration>\n", add_s3_xml},
    [TIER_LIFECYCLE_AZURE] = {URL_AZURE, "Azure", "{\n  \"rules\": [\n", ",\n", "\n  ]\n}\n",
                              add_azure},
};

int tier_lifecycle(const struct lakefile *file, enum tier_lifecycle format, const char *of,
                   struct buf *out, struct err *err)
{
    AUTO(rules)
    struct rules r = {.kind = formats[format].kind, .of = of, .at = VEC_MAX(RULES_MAX)};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < file->layers_n; i++)
        rc = add_layer(&r, file, &file->layers[i], err);
    if (rc == 0 && !r.at.n)
        rc = err_set(err, EINVAL, "%s: no rule is about a layer in %s%s%s", file->name,
                     formats[format].store, of ? ", " : "", of ? of : "");
    if (rc < 0)
        return rc;
    buf_add_str(out, formats[format].begin);
    for (size_t i = 0; i < r.at.n; i++) {
        if (i)
            buf_add_str(out, formats[format].between);
        formats[format].add(out, &r.at.at[i]);
    }
    buf_add_str(out, formats[format].end);
    return buf_check(out, err);
}
