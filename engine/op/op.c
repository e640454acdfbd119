/* op.c - the table of ops, and what follows from an op's description */
#include "op/op.h"

#include <math.h>
#include <string.h>

#define OP(name) extern const struct op op_##name;
#include "op/ops.def"
#undef OP

const struct op *const all_ops[] = {
#define OP(name) &op_##name,
#include "op/ops.def"
#undef OP
};

const uint32_t all_ops_count = countof(all_ops);

const struct op *op_find(const char *name)
{
    for (uint32_t i = 0; i < all_ops_count; i++)
        if (strcmp(all_ops[i]->name, name) == 0)
            return all_ops[i];
    return NULL;
}

int op_param(const struct op *op, const char *name)
{
    for (uint32_t i = 0; i < op->nparam; i++)
        if (strcmp(op->param[i].name, name) == 0)
            return (int)i;
    return -1;
}

const struct op_f32s *op_f32s(const float *v, int64_t n, struct arena *arena)
{
    struct op_f32s *out = arena_alloc(arena, sizeof(*out));

    *out = (struct op_f32s){.v = v, .n = n, .digest = hash_bytes(v, (size_t)n * sizeof(*v))};
    for (int64_t i = 0; i < n; i++) {
        if (isnan(v[i])) {
            out->min = out->max = v[i];
            break;
        }
        if (i == 0 || v[i] < out->min)
            out->min = v[i];
        if (i == 0 || v[i] > out->max)
            out->max = v[i];
    }
    return out;
}

/* 0 when A is 0 or the result overflows. */
static int64_t lcm(int64_t a, int64_t b)
{
    int64_t x = a, y = b, out;

    if (a <= 0 || b <= 0)
        return 0;
    while (y != 0) {
        const int64_t rest = x % y;

        x = y;
        y = rest;
    }
    return __builtin_mul_overflow(a / x, b, &out) ? 0 : out;
}

int64_t op_granule(const struct op_call *call)
{
    int64_t granule = call->op->granule ? call->op->granule(call) : 1;

    granule = lcm(granule, dtype_info(call->out.dtype)->elements);
    for (uint32_t i = 0; i < call->nin; i++)
        granule = lcm(granule, dtype_info(call->in[i].dtype)->elements);
    return granule;
}

int64_t op_tile(const struct op_call *call)
{
    return call->op->tile ? call->op->tile(call) : OP_TILE;
}

bool op_reduces(const struct op_call *call)
{
    return call->op->reduce && call->op->state_bytes(call) > 0;
}

enum op_form op_form_of(const struct op_call *call)
{
    return call->op->form ? call->op->form(call) : OP_F32;
}
