/*
 * merge_linear - the weighted sum, or mean, of tensors
 *
 *     acc = 0;  acc = fma(x_j[i], w_j, acc) for each input j in order
 *     y[i] = round(normalize ? acc / S : acc),   S = ((0 + w_1) + w_2) + ...
 *
 * shapes  all inputs alike; y as they
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied
 * rounds  weights, S and every step to f32 (f64 when y is f64), each term once (fused); then
 *         once, to nearest even, into y
 * errors  SHAPE, TYPE: inputs; RECIPE: a weight too many or few, |S| < 1e-12 with normalize;
 *         TYPE: finite inputs give an infinite y (row and column)
 * source  specs/merge.md 2.1 (mergekit 0.1.5, linear); rulings 10: inputs are cast before, so
 *         that the promotion is the work type
 */
#include "base/exact.h"
#include "kernel/fused.h"
#include "op/share.h"

#include <inttypes.h>
#include <math.h>

static float sum_f32(const struct op_call *call)
{
    float sum = 0.0f;

    for (uint32_t j = 0; j < call->nin; j++)
        sum += (float)call->arg[0].f64s.v[j];
    return sum;
}

static double sum_f64(const struct op_call *call)
{
    double sum = 0.0;

    for (uint32_t j = 0; j < call->nin; j++)
        sum += call->arg[0].f64s.v[j];
    return sum;
}

static bool linear_infer(struct op_call *call, struct err *err)
{
    double sum;

    if (!op_infer_merge(call, err))
        return false;
    if (call->arg[0].f64s.n != call->nin)
        return err_set(err, ERR_RECIPE, "%" PRIu32 " weights for %" PRIu32 " inputs",
                       call->arg[0].f64s.n, call->nin);
    sum = call->out.dtype == DTYPE_f64 ? sum_f64(call) : (double)sum_f32(call);
    if (call->arg[1].flag && fabs(sum) < 1e-12)
        return err_set(err, ERR_RECIPE,
                       "the weights sum to %g: give other weights or normalize = false", sum);
    return true;
}

/* Inputs of one dtype are summed as they are; mixed ones the executor makes f32 or f64. */
static enum op_form linear_form(const struct op_call *call)
{
    bool mixed = false;

    for (uint32_t j = 1; j < call->nin; j++)
        mixed |= call->in[j].dtype != call->in[0].dtype;
    return !mixed ? OP_RAW : call->out.dtype == DTYPE_f64 ? OP_F64 : OP_F32;
}

static bool linear_rows(const struct op_call *call, const void *state, const struct op_range *range,
                        struct err *err)
{
    const enum dtype dtype = call->out.dtype; /* of the inputs, as they come here, too */
    double by = 1.0;

    (void)state;
    if (op_is_plain(call))
        return op_same(call, range, err);
    if (call->arg[1].flag)
        by = dtype == DTYPE_f64 ? sum_f64(call) : (double)sum_f32(call);
    fused_sum(dtype, range->out, range->in, call->arg[0].f64s.v, call->nin, by, 0, range->n);
    return op_check_output(call, range, 0, range->n, err);
}

static const struct param linear_params[] = {
    {"weights", PARAM_F64S, -1e30, 1e30, NULL, NULL, "a factor for each input, in their order"},
    {"normalize", PARAM_BOOL, 0, 0, "true", NULL, "divide by the sum of the weights"},
};

const struct op op_merge_linear = {
    .name = "merge_linear",
    .version = 1,
    .in_min = 1,
    .in_max = OP_INPUTS_MAX,
    .param = linear_params,
    .nparam = countof(linear_params),
    .infer = linear_infer,
    .form = linear_form,
    .rows = linear_rows,
};
