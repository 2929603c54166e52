/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/lakefile.h"

#include <fcntl.h>
#include <strings.h>

#include "base/file.h"
#include "base/limits.h"
#include "lake/lakefile_private.h"

static struct lakefile_whole *whole_of(struct lakefile *l)
{
    return CONTAINER_OF(l, struct lakefile_whole, file);
}

void lakefile_free(struct lakefile *l)
{
    if (!l)
        return;
    arena_done(&whole_of(l)->arena);
    free(whole_of(l));
}

int lakefile_read(const char *path, struct lakefile **out, struct err *err)
{
    AUTO(buf) struct buf text = {0};
    buf_init(&text, LAKEFILE_BYTES_MAX + 1);
    int rc = file_read(AT_FDCWD, path, &text, err);
    return rc < 0 ? rc : lakefile_parse(buf_slice(&text), path, out, err);
}

bool lakefile_is_named(const char *source)
{
    struct slice name = slice_of(source);
    return !strstr(source, "://") &&
           (slice_ends(name, SLICE_LIT(".yaml")) || slice_ends(name, SLICE_LIT(".yml")));
}

const struct lakefile_layer *lakefile_layer(const struct lakefile *l, struct slice name)
{
    for (size_t i = 0; i < l->layers_n; i++)
        if (slice_is(name, l->layers[i].name))
            return &l->layers[i];
    return NULL;
}

static bool find_price(const struct lakefile_prices *prices, struct slice class, double *out)
{
    for (size_t i = 0; i < prices->n; i++)
        if (slice_is(class, prices->at[i].class)) {
            *out = prices->at[i].gb_month;
            return true;
        }
    return false;
}

bool lakefile_price(const struct lakefile *l, const struct lakefile_layer *layer,
                    struct slice class, double *gb_month)
{
    return (layer && find_price(&layer->prices, class, gb_month)) ||
           find_price(&l->prices, class, gb_month);
}
