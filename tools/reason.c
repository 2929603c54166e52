/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/reason.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "tools/ask.h"

#define REASON_BYTES 4096

/* The attribute as a text with its zero. */
static bool attribute(const char *path, const char *name, char out[REASON_BYTES])
{
    ssize_t n = getxattr(path, name, out, REASON_BYTES - 1);
    if (n <= 0)
        return false;
    out[n] = '\0';
    return true;
}

/* The directory above, in place; false where there is none. */
static bool go_up(char *path)
{
    struct slice above = text_dirname(slice_of(path));
    if (above.n == 0 && path[0] == '/')
        above = slice_make(path, 1);
    if (above.n == strlen(path))
        return false;
    if (above.n)
        path[above.n] = '\0';
    else
        (void)memcpy(path, ".", 2); /* of a name alone */
    return true;
}

int reason_set(struct err *err, int code, const char *path)
{
    char text[REASON_BYTES], dir[PATH_MAX], at[PATH_MAX];
    size_t n = strlen(path);
    bool refused = code == EIO || code == EOPNOTSUPP || code == ESTALE;
    if (!refused || n == 0 || n >= sizeof at)
        return err_set(err, code, "%s: %s", path, strerror(code));
    memcpy(at, path, n + 1);
    do {
        if (attribute(at, "user.tarn.error", text))
            return err_set(err, code, "%s: refused: %s", path, text);
        if (ask_directory(at, dir, NULL) == 0)
            return err_set(err, code, "%s: %s (why is in %s/tarn.log)", path, strerror(code), dir);
    } while (strcmp(at, ".") != 0 && go_up(at));
    return err_set(err, code, "%s: %s", path, strerror(code));
}
