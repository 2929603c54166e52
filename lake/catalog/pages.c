/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/catalog/pages.h"

#include "lake/catalog/client.h"

#define NAMES_MEMORY_MAX (4 * CATALOG_PAGE_BYTES_MAX)

void catalog_names_init(struct catalog_names *names)
{
    *names = (struct catalog_names){0};
    arena_init(&names->arena, NAMES_MEMORY_MAX);
}

void catalog_names_done(struct catalog_names *names)
{
    arena_done(&names->arena);
    free(names->at);
    *names = (struct catalog_names){0};
}

struct sums {
    size_t names, pages;
};

static int count(const struct pages *p, const struct catalog_names *names, const char *token,
                 struct sums *sums, struct err *err)
{
    sums->names += names->n;
    sums->pages++;
    if (sums->names > CATALOG_NAMES_MAX || sums->pages > CATALOG_PAGES_MAX)
        (void)err_set(err, EOVERFLOW, "more than %zu names, or %zu pages", CATALOG_NAMES_MAX,
                      CATALOG_PAGES_MAX);
    else if (names->next.n && slice_is(names->next, token))
        (void)err_set(err, EIO, "the same page is told to be the next one");
    else
        return 0;
    return client_wrap(p->client, p->what, err);
}

int pages_list(struct pages *p, catalog_emit *emit, void *arg, struct err *err)
{
    AUTO_FREE char *token = strdup("");
    struct sums sums = {0};
    while (token) {
        AUTO(catalog_names) struct catalog_names names;
        catalog_names_init(&names);
        int rc = p->ask(p, token, &names, err);
        if (rc == 0)
            rc = count(p, &names, token, &sums, err);
        for (size_t i = 0; rc == 0 && i < names.n; i++)
            rc = emit(arg, names.at[i]);
        if (rc != 0 || !names.next.n)
            return rc;
        free(token);
        token = strndup(names.next.p, names.next.n);
    }
    return err_set(err, ENOMEM, "out of memory");
}
