/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is an audit log whole? Its files in order, line by line. Pure.
 *
 *   audit_verify_init(&v);
 *   for each line of each file: rc = audit_verify_line(&v, line without its line feed, ...);
 *   rc = audit_verify_end(&v, &end, ...);
 *
 * It finds any line that was altered, left out, put in or put elsewhere; also at the end, where
 * that is known: from FILE.chain, or from the line `end` of a rotated file. Where `first` is not 1,
 * lines before it are not there: whether on purpose it cannot tell, nor that somebody wrote all
 * hashes anew.
 */
#ifndef LAKE_VIEW_AUDIT_VERIFY_H
#define LAKE_VIEW_AUDIT_VERIFY_H

#include "lake/view/audit_line.h"

struct audit_verify {
    uint64_t first;        /* number of the first line; 0: none yet */
    struct audit_chain at; /* the last good line */
    bool ended;            /* it is an `end` */
    bool torn;             /* after it stands what is no line: allowed where the next one says so */
    uint64_t torn_bytes;   /* its length */
    struct err torn_reason; /* what is wrong with it */
};

void audit_verify_init(struct audit_verify *v);

/*
 * -EIO: this line, or one just before it, is missing or altered; says what. What was wrong with the
 * line before is told with this one, as only this one can say that it was torn: *before is set
 * then.
 */
int audit_verify_line(struct audit_verify *v, struct slice line, bool *before, struct err *err);

/* What is known of the end. */
struct audit_verify_end {
    const struct audit_chain *chain; /* of FILE.chain, read before FILE; NULL: there is none */
    bool fragment;                   /* something stands behind the last line feed */
    bool open;                       /* lines may follow of which nothing is known */
};

/*
 * Behind the last line; where the chain is not known that has to be an `end`. A fragment that the
 * chain does not know of yet is being written, or was, and is no matter. As audit_verify_line;
 * *before: the last line is what is wrong.
 */
int audit_verify_end(struct audit_verify *v, const struct audit_verify_end *end, bool *before,
                     struct err *err);

#endif
