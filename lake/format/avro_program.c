/* SPDX-License-Identifier: Apache-2.0 */
#include "lake/format/avro_program.h"

#include "base/limits.h"

/* A type has two steps at most, and the items of what is chosen are there twice. */
#define STEPS_MAX (4 * AVRO_NODES_MAX)

enum avro_what {
    PASS_VARINT,
    PASS_BYTES, /* and their length */
    PASS_FIXED,
    TAKE_BOOLEAN,
    TAKE_INT,
    TAKE_LONG,
    TAKE_FLOAT,
    TAKE_DOUBLE,
    TAKE_BYTES,
    TAKE_FIXED,
    TAKE_ENUM,
    TAKE_HERE, /* that it is there */
    OPTIONAL,
    CASES, /* as many steps follow, with the place of each branch in `go` */
    GO,
    ITEMS,
};

struct compiler {
    struct avro_program *program;
    const struct avro_schema *schema;
    bool item;                         /* of an array, as it is taken */
    uint32_t places[AVRO_ITEM_VALUES]; /* the nodes that are taken of it; 0: none */
};

static int compile(struct compiler *c, uint32_t at, uint64_t *least, struct err *err);

static int add(struct compiler *c, struct avro_step step, struct err *err)
{
    int rc = vec_push(&c->program->steps, step);
    return rc < 0 ? err_set(err, -rc, "an Avro schema of more than %zu steps", STEPS_MAX) : 0;
}

/* The value to which a node is taken. */
static uint32_t place_of(const struct compiler *c, uint32_t at)
{
    if (!c->item)
        return c->schema->nodes.at[at].value - 1;
    for (uint32_t i = 0; i < AVRO_ITEM_VALUES; i++)
        if (c->places[i] == at)
            return i;
    return AVRO_PASSED;
}

/* A type without others in it. */
static int compile_plain(struct compiler *c, const struct avro_node *node, uint32_t value,
                         uint64_t *least, struct err *err)
{
    static const struct {
        uint8_t pass, take;
        uint8_t bytes; /* of the encoding, at least */
    } plain[] = {
        [AVRO_BOOLEAN] = {PASS_FIXED, TAKE_BOOLEAN, 1}, [AVRO_INT] = {PASS_VARINT, TAKE_INT, 1},
        [AVRO_LONG] = {PASS_VARINT, TAKE_LONG, 1},      [AVRO_FLOAT] = {PASS_FIXED, TAKE_FLOAT, 4},
        [AVRO_DOUBLE] = {PASS_FIXED, TAKE_DOUBLE, 8},   [AVRO_BYTES] = {PASS_BYTES, TAKE_BYTES, 1},
        [AVRO_STRING] = {PASS_BYTES, TAKE_BYTES, 1},    [AVRO_FIXED] = {PASS_FIXED, TAKE_FIXED, 0},
        [AVRO_ENUM] = {PASS_VARINT, TAKE_ENUM, 1},
    };
    bool passed = value == AVRO_PASSED;
    uint32_t bytes = node->type == AVRO_FIXED ? node->size : plain[node->type].bytes;
    struct avro_step step = {.what = passed ? plain[node->type].pass : plain[node->type].take,
                             .value = value,
                             .n = node->type == AVRO_ENUM ? node->size : bytes};
    *least = bytes;
    return passed && bytes == 0 ? 0 : add(c, step, err);
}

static int compile_record(struct compiler *c, const struct avro_node *node, uint32_t value,
                          uint64_t *least, struct err *err)
{
    struct avro_step here = {.what = TAKE_HERE, .value = value};
    int rc = value == AVRO_PASSED ? 0 : add(c, here, err);
    *least = 0;
    for (uint32_t i = node->first; i && rc == 0; i = c->schema->nodes.at[i].next) {
        uint64_t n;
        rc = compile(c, i, &n, err);
        if (rc == 0)
            *least += n; /* nodes are bounded, and so are their sizes: it does not overflow */
    }
    return rc;
}

static int compile_union(struct compiler *c, const struct avro_node *node, uint64_t *least,
                         struct err *err)
{
    struct avro_program *p = c->program;
    size_t cases = p->steps.n;
    struct avro_step step = {.what = CASES, .value = AVRO_PASSED, .n = node->children};
    uint64_t n;
    int rc = add(c, step, err);
    step.what = GO;
    for (uint32_t i = 0; i < node->children && rc == 0; i++)
        rc = add(c, step, err);
    uint32_t branch = node->first;
    for (uint32_t i = 0; i < node->children && rc == 0; i++) {
        p->steps.at[cases + 1 + i].go = (uint32_t)p->steps.n;
        rc = compile(c, branch, &n, err);
        step.go = UINT32_MAX; /* known when all are there */
        if (rc == 0)
            rc = add(c, step, err);
        branch = c->schema->nodes.at[branch].next;
    }
    for (size_t i = cases + 1 + node->children; i < p->steps.n && rc == 0; i++)
        if (p->steps.at[i].what == GO && p->steps.at[i].go == UINT32_MAX)
            p->steps.at[i].go = (uint32_t)p->steps.n;
    *least = 1;
    return rc;
}

static int compile_items(struct compiler *c, const struct avro_node *node, uint32_t value,
                         struct err *err)
{
    struct avro_program *p = c->program;
    size_t at = p->steps.n;
    bool keyed = node->type == AVRO_MAP;
    uint64_t n = 0;
    struct avro_step key = {.what = PASS_BYTES, .value = AVRO_PASSED};
    struct avro_step step = {.what = ITEMS, .flag = true, .value = value};
    int rc = add(c, step, err);
    if (rc == 0 && keyed)
        rc = add(c, key, err);
    if (rc == 0)
        rc = compile(c, node->first, &n, err);
    if (rc < 0)
        return rc;
    n += keyed;
    for (size_t i = at + 1; i < p->steps.n; i++)
        p->steps.at[at].flag &= p->steps.at[i].what <= PASS_FIXED;
    p->steps.at[at].n = n > UINT32_MAX ? UINT32_MAX : (uint32_t)n;
    p->steps.at[at].go = (uint32_t)p->steps.n;
    return 0;
}

/* Appends the steps of a node; *least: the bytes that it takes at least. */
static int compile(struct compiler *c, uint32_t at, uint64_t *least, struct err *err)
{
    const struct avro_node *node = &c->schema->nodes.at[at];
    struct avro_program *p = c->program;
    uint32_t value = place_of(c, at);
    size_t optional = p->steps.n;
    struct avro_step step = {.what = OPTIONAL, .flag = node->null_second, .value = AVRO_PASSED};
    int rc = node->optional ? add(c, step, err) : 0;
    *least = 1; /* of arrays and maps */
    switch (node->type) {
    case AVRO_NULL:
        *least = 0;
        break;
    case AVRO_BOOLEAN:
    case AVRO_INT:
    case AVRO_LONG:
    case AVRO_FLOAT:
    case AVRO_DOUBLE:
    case AVRO_BYTES:
    case AVRO_STRING:
    case AVRO_FIXED:
    case AVRO_ENUM:
        rc = rc < 0 ? rc : compile_plain(c, node, value, least, err);
        break;
    case AVRO_RECORD:
        rc = rc < 0 ? rc : compile_record(c, node, value, least, err);
        break;
    case AVRO_ARRAY:
    case AVRO_MAP:
        rc = rc < 0 ? rc : compile_items(c, node, value, err);
        break;
    case AVRO_UNION:
        rc = rc < 0 ? rc : compile_union(c, node, least, err);
        break;
    }
    if (rc == 0 && node->optional) {
        p->steps.at[optional].go = (uint32_t)p->steps.n;
        *least = 1;
    }
    return rc;
}

/* The steps of one item of a chosen array or map, as it is taken. */
static int compile_taken(struct avro_program *p, const struct avro_schema *s, uint32_t at,
                         struct avro_item_program *out, struct err *err)
{
    struct compiler c = {.program = p, .schema = s, .item = true};
    const struct avro_node *node = &s->nodes.at[at], *item = &s->nodes.at[node->first];
    struct avro_step key = {.what = TAKE_BYTES, .value = 0};
    uint32_t i = 0;
    bool keyed = node->type == AVRO_MAP;
    out->from = (uint32_t)p->steps.n;
    if (keyed)
        c.places[1] = node->first;
    else if (item->type != AVRO_RECORD || item->optional)
        c.places[0] = node->first;
    else
        for (uint32_t f = item->first; f && i < AVRO_ITEM_VALUES; f = s->nodes.at[f].next)
            c.places[i++] = f;
    int rc = keyed ? add(&c, key, err) : 0;
    if (rc == 0)
        rc = compile(&c, node->first, &out->least_bytes, err);
    out->least_bytes += keyed;
    out->to = (uint32_t)p->steps.n;
    return rc;
}

int avro_program_make(struct avro_program *p, const struct avro_schema *s, size_t values,
                      struct err *err)
{
    struct compiler c = {.program = p, .schema = s};
    p->steps.max = STEPS_MAX;
    p->items = calloc(values + 1, sizeof *p->items);
    if (!p->items)
        return err_set(err, ENOMEM, "out of memory");
    int rc = compile(&c, 0, &p->least_bytes, err);
    p->record_end = (uint32_t)p->steps.n;
    for (uint32_t i = 0; i < s->nodes.n && rc == 0; i++) {
        const struct avro_node *node = &s->nodes.at[i];
        if (node->value && (node->type == AVRO_ARRAY || node->type == AVRO_MAP))
            rc = compile_taken(p, s, i, &p->items[node->value - 1], err);
    }
    return rc;
}

void avro_program_done(struct avro_program *p)
{
    vec_done(&p->steps);
    free(p->items);
    p->items = NULL;
}

/* The bytes behind their length. */
static inline struct slice take_bytes(struct bytes *in)
{
    int64_t n = bytes_zigzag(in);
    if (n < 0) {
        in->bad = true;
        return SLICE_NONE;
    }
    return bytes_slice(in, (size_t)n);
}

/* Items that are only passed over, where none of their steps chooses another: the usual ones. */
static void pass_straight(const struct avro_step *steps, size_t n, uint64_t count, struct bytes *in)
{
    struct bytes b = *in;
    for (; count && !b.bad; count--)
        for (size_t i = 0; i < n; i++)
            if (steps[i].what == PASS_VARINT)
                (void)bytes_varint(&b);
            else if (steps[i].what == PASS_BYTES)
                (void)take_bytes(&b);
            else
                (void)bytes_take(&b, steps[i].n);
    *in = b;
}

/* Passes over the blocks of the array or map of that step. */
static bool pass_items(const struct avro_program *p, uint32_t at, struct bytes *in)
{
    const struct avro_step *step = &p->steps.at[at];
    for (;;) {
        int64_t count = bytes_zigzag(in);
        if (count == 0 || in->bad)
            return !in->bad;
        if (count < 0) { /* its bytes follow */
            (void)take_bytes(in);
            continue;
        }
        if (step->n == 0) /* items of no bytes */
            continue;
        if ((uint64_t)count > bytes_left(in) / step->n)
            return false;
        if (step->flag)
            pass_straight(step + 1, step->go - at - 1, (uint64_t)count, in);
        else
            for (; count; count--)
                if (!avro_program_run(p, at + 1, step->go, in, NULL))
                    return false;
    }
}

/* Takes what a step of a type without others in it says. False: it cannot be. */
static inline bool take(const struct avro_step *step, struct bytes *in, struct avro_value *v)
{
    const uint8_t *at;
    float real;
    v->present = true;
    switch ((enum avro_what)step->what) {
    case TAKE_BOOLEAN:
        v->number = bytes_u8(in);
        return v->number <= 1;
    case TAKE_INT:
        v->number = bytes_zigzag(in);
        return v->number >= INT32_MIN && v->number <= INT32_MAX;
    case TAKE_LONG:
        v->number = bytes_zigzag(in);
        return true;
    case TAKE_FLOAT:
        at = bytes_take(in, sizeof real);
        if (at) {
            memcpy(&real, at, sizeof real);
            v->real = (double)real;
        }
        return true;
    case TAKE_DOUBLE:
        at = bytes_take(in, sizeof v->real);
        if (at)
            memcpy(&v->real, at, sizeof v->real);
        return true;
    case TAKE_BYTES:
        v->bytes = take_bytes(in);
        return true;
    case TAKE_FIXED:
        v->bytes = bytes_slice(in, step->n);
        return true;
    case TAKE_ENUM:
        v->number = bytes_zigzag(in);
        return v->number >= 0 && v->number < (int64_t)step->n;
    case TAKE_HERE:
        return true;
    case PASS_VARINT:
    case PASS_BYTES:
    case PASS_FIXED:
    case OPTIONAL:
    case CASES:
    case GO:
    case ITEMS:
        break;
    }
    return false;
}

/* Which step follows the one at `at`, where that is not the next one; its bytes are read. */
static bool choose_next(const struct avro_program *p, uint32_t *at, struct bytes *in,
                        struct avro_value *values)
{
    const struct avro_step *step = &p->steps.at[*at];
    const uint8_t *begin = in->p;
    uint64_t branch;
    switch ((enum avro_what)step->what) {
    case OPTIONAL:
        branch = bytes_varint(in); /* zigzag: 0 and 2 */
        *at = branch == (step->flag ? 2 : 0) ? step->go : *at + 1;
        return branch == 0 || branch == 2;
    case CASES:
        branch = bytes_varint(in);
        if (branch % 2 || branch / 2 >= step->n)
            return false;
        *at = p->steps.at[*at + 1 + branch / 2].go;
        return true;
    case GO:
        *at = step->go;
        return true;
    case ITEMS:
        if (!pass_items(p, *at, in))
            return false;
        *at = step->go;
        if (step->value != AVRO_PASSED && values) {
            values[step->value].present = true;
            values[step->value].bytes = slice_make(begin, (size_t)(in->p - begin));
        }
        return true;
    default: /* the others are one behind the other */
        return false;
    }
}

bool avro_program_run(const struct avro_program *p, uint32_t from, uint32_t to, struct bytes *in,
                      struct avro_value *values)
{
    const struct avro_step *steps = p->steps.at;
    struct bytes b = *in;
    bool good = true;
    for (uint32_t at = from; at < to && good && !b.bad;) {
        const struct avro_step *step = &steps[at];
        if (step->what >= OPTIONAL) {
            good = choose_next(p, &at, &b, values);
            continue;
        }
        if (step->what == PASS_VARINT)
            (void)bytes_varint(&b);
        else if (step->what == PASS_BYTES)
            (void)take_bytes(&b);
        else if (step->what == PASS_FIXED)
            (void)bytes_take(&b, step->n);
        else
            good = take(step, &b, &values[step->value]);
        at++;
    }
    *in = b;
    return good && !b.bad;
}
