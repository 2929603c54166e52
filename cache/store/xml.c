/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/store/xml.h"

#include <expat.h>
#include <limits.h>

#define DEPTH_MAX 16
#define ELEMENT_NAME_MAX 64

struct walk {
    XML_Parser parser;
    int (*end)(void *arg, const struct xml_element *element, struct err *err);
    void *arg;
    struct err *err;
    int rc;
    unsigned depth;
    char names[DEPTH_MAX][ELEMENT_NAME_MAX];
    struct buf text; /* of the innermost element */
    bool encoded;    /* likewise */
};

static void stop(struct walk *w, int rc)
{
    w->rc = rc;
    (void)XML_StopParser(w->parser, XML_FALSE); /* fails only where it is stopped already */
}

static void XMLCALL on_start(void *arg, const XML_Char *name, const XML_Char **attributes)
{
    struct walk *w = arg;
    if (w->depth == DEPTH_MAX) {
        stop(w, err_set(w->err, EIO, "XML: more than %d levels", DEPTH_MAX));
        return;
    }
    const char *colon = strrchr(name, ':');
    struct slice local = slice_of(colon ? colon + 1 : name);
    size_t n = local.n < ELEMENT_NAME_MAX ? local.n : ELEMENT_NAME_MAX - 1;
    memcpy(w->names[w->depth], local.p, n);
    w->names[w->depth++][n] = '\0';
    buf_reset(&w->text);
    w->encoded = false;
    for (; attributes[0]; attributes += 2)
        if (strcmp(attributes[0], "Encoded") == 0)
            w->encoded = strcmp(attributes[1], "true") == 0;
}

static void XMLCALL on_end(void *arg, const XML_Char *name)
{
    (void)name;
    struct walk *w = arg;
    struct xml_element element = {
        .depth = w->depth,
        .name = slice_of(w->names[w->depth - 1]),
        .parent = w->depth > 1 ? slice_of(w->names[w->depth - 2]) : SLICE_NONE,
        .root = slice_of(w->names[0]),
        .text = w->text.len ? buf_slice(&w->text) : SLICE_LIT(""),
        .encoded = w->encoded,
    };
    int rc = w->end(w->arg, &element, w->err);
    w->depth--;
    w->encoded = false;
    buf_reset(&w->text);
    if (rc)
        stop(w, rc);
}

static void XMLCALL on_text(void *arg, const XML_Char *text, int n)
{
    struct walk *w = arg;
    buf_add(&w->text, text, (size_t)n);
    if (w->text.failed)
        stop(w, err_set(w->err, EIO, "XML: an element of more than %zu bytes", w->text.max));
}

static void XMLCALL on_doctype(void *arg, const XML_Char *name, const XML_Char *system_id,
                               const XML_Char *public_id, int has_internal)
{
    (void)name, (void)system_id, (void)public_id, (void)has_internal;
    struct walk *w = arg;
    stop(w, err_set(w->err, EIO, "XML: a document type is not taken"));
}

int xml_walk(struct slice document, size_t text_max,
             int (*end)(void *arg, const struct xml_element *element, struct err *err), void *arg,
             struct err *err)
{
    if (document.n > INT_MAX)
        return err_set(err, EIO, "XML: %zu bytes are too many", document.n);
    struct walk w = {.end = end, .arg = arg, .err = err, .parser = XML_ParserCreate(NULL)};
    if (!w.parser)
        return err_set(err, ENOMEM, "out of memory");
    buf_init(&w.text, text_max);
    XML_SetUserData(w.parser, &w);
    XML_SetElementHandler(w.parser, on_start, on_end);
    XML_SetCharacterDataHandler(w.parser, on_text);
    XML_SetStartDoctypeDeclHandler(w.parser, on_doctype);
    enum XML_Status status =
        XML_Parse(w.parser, document.n ? document.p : "", (int)document.n, XML_TRUE);
    if (status != XML_STATUS_OK && w.rc == 0)
        w.rc = err_set(err, EIO, "XML: %s in line %lu", XML_ErrorString(XML_GetErrorCode(w.parser)),
                       (unsigned long)XML_GetCurrentLineNumber(w.parser));
    XML_ParserFree(w.parser);
    buf_done(&w.text);
    return w.rc;
}

void xml_add_text(struct buf *out, struct slice text)
{
    for (size_t i = 0; i < text.n; i++)
        switch (text.p[i]) {
        case '&':
            buf_add_str(out, "&amp;");
            break;
        case '<':
            buf_add_str(out, "&lt;");
            break;
        case '>':
            buf_add_str(out, "&gt;");
            break;
        case '\r': /* a parser would make a line feed of it */
            buf_add_str(out, "&#13;");
            break;
        default:
            buf_add_char(out, text.p[i]);
        }
}
