/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/lake_source.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/limits.h"

void lake_source_done(struct lake_source *s)
{
    buf_done(&s->text);
    lakefile_free(s->file);
    s->file = NULL;
}

/* What a lake file says of each store, and an option of one. */
static int check_options(const struct options *o, struct err *err)
{
    return o->outside ? err_set(err, EINVAL, "option outside: a lake file names it with each layer")
                      : 0;
}

int lake_source_read(const char *source, const struct options *o, struct lake_source *out,
                     struct err *err)
{
    struct stat st;
    if (!lakefile_is_named(source) || (stat(source, &st) == 0 && !S_ISREG(st.st_mode)))
        return 0;
    int rc = check_options(o, err);
    buf_init(&out->text, LAKEFILE_BYTES_MAX + 1);
    if (rc == 0)
        rc = file_read(AT_FDCWD, source, &out->text, err);
    return rc < 0 ? rc : lakefile_parse(buf_slice(&out->text), source, &out->file, err);
}

static bool is_s3(const char *url)
{
    return url && strncmp(url, "s3", 2) == 0;
}

static bool layer_is_s3(const struct lakefile_layer *layer)
{
    bool is = is_s3(layer->store.url) || is_s3(layer->near.url);
    for (size_t i = 0; i < layer->outside_n; i++)
        is = is || is_s3(layer->outside[i].url);
    return is;
}

bool lake_source_is_s3(const struct lake_source *s, const char *source, const struct options *o)
{
    if (!s->file)
        return is_s3(source) || (o->outside && strstr(o->outside, "s3"));
    for (size_t i = 0; i < s->file->layers_n; i++)
        if (layer_is_s3(&s->file->layers[i]))
            return true;
    return is_s3(s->file->archive.url);
}
