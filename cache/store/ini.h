/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The profile files of the AWS tools (~/.aws/config, ~/.aws/credentials). Pure.
 *
 *   [profile work]              a section; its name as written, blanks around it cut
 *   region = eu-west-1          a setting: what follows the first `=` or `:`, blanks around it cut
 *   s3 =
 *     addressing_style = path   settings below a setting (more indented): passed over
 *   # or ;                      begin a comment, at the beginning of a line only
 *
 * A whole section may be indented, and names of settings have no case. Lines that are nothing of
 * this are passed over, as others may know what they are. Where a setting stands twice, the later
 * one counts. All as in the AWS tools' own reader.
 */
#ifndef CACHE_STORE_INI_H
#define CACHE_STORE_INI_H

#include "base/slice.h"

/*
 * A setting of the section `kind NAME` (kind "profile", name "work"), or of the section NAME where
 * kind is empty; quotes around a name do not count. False where there is none. *value points into
 * the text.
 */
bool ini_find(struct slice text, const char *kind, const char *name, const char *key,
              struct slice *value);

/* There is such a section, be it empty. */
bool ini_has_section(struct slice text, const char *kind, const char *name);

#endif
