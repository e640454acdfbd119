/* The hashed encoding is C(v) of specs/build-engine.md section 3.2: a tag byte, then the value,
 * little endian; -0.0 keeps its sign (ruling 2). Whoever adds a field rebuilds the world. */
#include "graph/key.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum value_tag { V_FALSE, V_TRUE, V_INT, V_FLOAT, V_TEXT, V_LIST, V_MAP, V_DIGEST };

struct value {
    enum value_tag tag;
    int64_t i; /* V_INT; the count of V_LIST and V_MAP */
    double f;
    const char *text;
    struct digest d;
};

/* Where a walk goes. FIELD names the value; elements of a list have the list's field. */
struct sink {
    void (*put)(struct sink *sink, const char *field, struct value v);
    struct buf *out;
};

static void put_hashed(struct sink *sink, const char *field, struct value v)
{
    (void)field; /* a map's keys are put as texts of their own */
    buf_u8(sink->out, (uint8_t)v.tag);
    switch (v.tag) {
    case V_FALSE:
    case V_TRUE:
        break;
    case V_INT:
        buf_u64(sink->out, (uint64_t)v.i);
        break;
    case V_FLOAT:
        buf_f64(sink->out, v.f);
        break;
    case V_TEXT:
        buf_u32(sink->out, (uint32_t)strlen(v.text));
        buf_text(sink->out, v.text);
        break;
    case V_LIST:
    case V_MAP:
        buf_u32(sink->out, (uint32_t)v.i);
        break;
    case V_DIGEST:
        buf_put(sink->out, v.d.b, sizeof(v.d.b));
        break;
    }
}

/* The shortest decimal that reads back as V. */
static void put_number(struct buf *out, double v)
{
    char text[32];

    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    buf_text(out, text);
}

static void put_text(struct sink *sink, const char *field, struct value v)
{
    char hex[DIGEST_HEX + 1];

    if (v.tag == V_LIST || v.tag == V_MAP)
        return; /* its elements follow, each with a field */
    buf_put(sink->out, field, strlen(field) + 1);
    switch (v.tag) {
    case V_FALSE:
    case V_TRUE:
        buf_text(sink->out, v.tag == V_TRUE ? "true" : "false");
        break;
    case V_INT:
        buf_printf(sink->out, "%" PRId64, v.i);
        break;
    case V_FLOAT:
        put_number(sink->out, v.f);
        break;
    case V_TEXT:
        buf_text(sink->out, v.text);
        break;
    case V_DIGEST:
        buf_text(sink->out, digest_hex(v.d, hex));
        break;
    case V_LIST:
    case V_MAP:
        break;
    }
    buf_u8(sink->out, 0);
}

static void walk_text(struct sink *to, const char *field, const char *text)
{
    to->put(to, field, (struct value){.tag = V_TEXT, .text = text});
}

static void walk_int(struct sink *to, const char *field, int64_t i)
{
    to->put(to, field, (struct value){.tag = V_INT, .i = i});
}

static void walk_count(struct sink *to, const char *field, enum value_tag tag, uint32_t count)
{
    to->put(to, field, (struct value){.tag = tag, .i = count});
}

static void walk_arg(struct sink *to, const struct param *p, const union op_arg *a)
{
    switch (p->type) {
    case PARAM_F64:
        to->put(to, p->name, (struct value){.tag = V_FLOAT, .f = a->f64});
        break;
    case PARAM_I64:
        walk_int(to, p->name, a->i64);
        break;
    case PARAM_BOOL:
        to->put(to, p->name, (struct value){.tag = a->flag ? V_TRUE : V_FALSE});
        break;
    case PARAM_WORD:
    case PARAM_TEXT:
        walk_text(to, p->name, a->word);
        break;
    case PARAM_DTYPE:
        walk_text(to, p->name, dtype_name(a->dtype));
        break;
    case PARAM_F64S:
        walk_count(to, p->name, V_LIST, a->f64s.n);
        for (uint32_t i = 0; i < a->f64s.n; i++)
            to->put(to, p->name, (struct value){.tag = V_FLOAT, .f = a->f64s.v[i]});
        break;
    case PARAM_I64S:
        walk_count(to, p->name, V_LIST, a->i64s.n);
        for (uint32_t i = 0; i < a->i64s.n; i++)
            walk_int(to, p->name, a->i64s.v[i]);
        break;
    case PARAM_F32S:
        if (a->f32s)
            to->put(to, p->name, (struct value){.tag = V_DIGEST, .d = a->f32s->digest});
        else
            walk_text(to, p->name, "none");
        break;
    }
}

/* Parameters in byte order of their names, so that the order of the op's table is free. */
static void walk_params(struct sink *to, const struct op *op, const union op_arg *arg)
{
    walk_count(to, "params", V_MAP, op->nparam);
    for (uint32_t done = 0, last = 0; done < op->nparam; done++) {
        uint32_t best = UINT32_MAX;

        for (uint32_t i = 0; i < op->nparam; i++) {
            const char *name = op->param[i].name;

            if (done && strcmp(name, op->param[last].name) <= 0)
                continue;
            if (best == UINT32_MAX || strcmp(name, op->param[best].name) < 0)
                best = i;
        }
        to->put(to, "", (struct value){.tag = V_TEXT, .text = op->param[best].name});
        walk_arg(to, &op->param[best], &arg[best]);
        last = best;
    }
}

static void walk_dtype(struct sink *to, const char *field, enum dtype dtype)
{
    walk_text(to, field, dtype_name(dtype));
    walk_int(to, "coding", dtype_info(dtype)->version);
}

/* Everything that decides a node's bytes, and nothing else. */
static void walk_node(struct sink *to, const struct node *node, enum key_kind kind,
                      const struct digest *content)
{
    const struct op_call *call = &node->call;

    walk_text(to, "op", call->op->name);
    walk_int(to, "version", call->op->version);
    walk_params(to, call->op, call->arg);
    walk_dtype(to, "type", call->out.dtype);
    walk_count(to, "inputs", V_LIST, call->nin);
    for (uint32_t i = 0; i < call->nin; i++) {
        const struct tensor *t = &call->in[i];

        walk_dtype(to, "input type", t->dtype);
        walk_count(to, "input shape", V_LIST, t->rank);
        for (uint32_t k = 0; k < t->rank; k++)
            walk_int(to, "input shape", t->dim[k]);
        to->put(to, kind == KEY_DEEP ? "input key" : "input",
                (struct value){.tag = V_DIGEST, .d = content[i]});
    }
}

struct digest key_hash(const struct node *node, enum key_kind kind, const struct digest *content)
{
    struct buf buf = {0};
    struct sink sink = {put_hashed, &buf};

    buf_put(&buf, kind == KEY_DEEP ? "VBQ1" : "VBK1", 4);
    walk_node(&sink, node, kind, content);
    const struct digest key = hash_bytes(buf.data, buf.size);

    buf_finish(&buf);
    return key;
}

static void put_named(struct sink *sink, const char *field, struct value v)
{
    if (field[0]) /* the key texts of a map are the fields here */
        put_text(sink, field, v);
}

void key_text(const struct node *node, enum key_kind kind, const struct digest *content,
              struct buf *out)
{
    struct sink sink = {put_named, out};

    walk_node(&sink, node, kind, content);
}

void key_params(const struct op *op, const union op_arg *arg, struct buf *out)
{
    struct sink sink = {put_hashed, out};

    walk_text(&sink, "op", op->name);
    walk_params(&sink, op, arg);
}
