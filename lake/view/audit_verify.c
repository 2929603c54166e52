/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/view/audit_verify.h"

void audit_verify_init(struct audit_verify *v)
{
    *v = (struct audit_verify){.first = 0};
    audit_chain_init(&v->at);
}

static int follow(const struct audit_verify *v, const struct audit_line *l, struct err *err)
{
    unsigned long long at = v->at.line, next = l->at.line;
    if (v->first == 0 && l->at.line > 1) /* older files were not given */
        return 0;
    if (next > at + 2)
        return err_set(err, EIO, "lines %llu to %llu are missing before it", at + 1, next - 1);
    if (next == at + 2)
        return err_set(err, EIO, "line %llu is missing before it", at + 1);
    if (next <= at)
        return err_set(err, EIO, "is line %llu, and stands behind line %llu", next, at);
    if (memcmp(l->prev, v->at.hash, sizeof l->prev) != 0)
        return err_set(err, EIO, "does not belong to the line before, which is another one");
    return 0;
}

int audit_verify_line(struct audit_verify *v, struct slice line, bool *before, struct err *err)
{
    struct audit_line l;
    struct err why = ERR_INIT;
    *before = v->torn;
    int rc = audit_line_parse(line, &l, &why);
    if (v->torn && (rc < 0 || l.torn != v->torn_bytes))
        return err_copy(err, &v->torn_reason);
    if (rc < 0) {
        v->torn = true;
        v->torn_bytes = line.n;
        v->torn_reason = why;
        return 0;
    }
    *before = false;
    rc = follow(v, &l, err);
    if (rc < 0)
        return rc;
    if (v->first == 0)
        v->first = l.at.line;
    v->at = l.at;
    v->ended = l.end;
    v->torn = false;
    return 0;
}

int audit_verify_end(struct audit_verify *v, const struct audit_verify_end *end, bool *before,
                     struct err *err)
{
    const struct audit_chain *chain = end->chain;
    unsigned long long at = v->at.line, written = chain ? chain->line : 0;
    *before = v->torn;
    if (v->torn)
        return err_copy(err, &v->torn_reason);
    if (written > at)
        return err_set(err, EIO, "the log ends with line %llu, and %llu were written", at, written);
    if (chain && written == at && memcmp(chain->hash, v->at.hash, sizeof v->at.hash) != 0) {
        *before = true;
        return err_set(err, EIO, "is another one than was written");
    }
    if (!chain && end->fragment && !end->open)
        return err_set(err, EIO, "the log ends in the middle of line %llu", at + 1);
    if (!chain && !v->ended && !end->open)
        return err_set(err, EIO,
                       "lines may be missing behind line %llu: the file that follows would tell, "
                       "give that too",
                       at);
    return 0;
}
