/*
 * merge_ram - add to the base what each model changed; where several did, their mean
 *
 *     T_j = x_j - b, changed where |T_j| > epsilon; c[i] = how many changed element i
 *     y[i] = b[i] + sum_j T_j[i] / c[i]                  over those that changed it
 *
 * shapes  b (the base) and x_1 .. x_k alike; y as they
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied
 * rounds  every step to the work dtype (math); epsilon to f32, then to it; the sum over j in f32
 *         (f64 where an input is), in the order of the inputs; the result once into y
 * errors  SHAPE, TYPE: inputs; finite inputs give an infinite y (row and column)
 * source  specs/merge.md 2.13 (mergekit 0.1.5, ram), specs/rulings-quant-merge.md 17
 */
#include "base/exact.h"
#include "op/ram.h"

#include <string.h>

static bool ram_rows(const struct op_call *call, const void *state, const struct op_range *range,
                     struct err *err)
{
    double sum[OP_CHUNK], own[OP_CHUNK], shared[OP_CHUNK];
    struct ram r;

    (void)state;
    if (op_is_plain(call))
        return op_same(call, range, err);
    ram_open(&r, call, range, call->arg[1].f64);
    const struct steps *s = r.steps, *wide = op_steps_wide(s);

    for (int64_t at = 0, n; at < range->n; at += n) {
        n = ram_next(&r, at);
        memset(sum, 0, sizeof(sum));
        for (uint32_t j = 1; j < call->nin; j++) {
            ram_parts(&r, j, own, shared);
            s->add(own, own, shared, n);
            wide->add(sum, sum, own, n);
        }
        s->scale(sum, sum, 1, n);
        s->add(sum, op_in(call, range, 0, at, n, own), sum, n);
        if (!op_put(call, range, at, sum, n, err))
            return false;
    }
    return true;
}

static const struct param ram_params[] = {
    OP_MATH,
    {"epsilon", PARAM_F64, 0, 1e30, "1e-5", NULL,
     "an element has changed when it differs from the base by more"},
};

const struct op op_merge_ram = {
    .name = "merge_ram",
    .version = 1,
    .in_min = 2,
    .in_max = OP_INPUTS_MAX,
    .param = ram_params,
    .nparam = countof(ram_params),
    .infer = op_infer_merge,
    .form = op_form_raw,
    .rows = ram_rows,
};
