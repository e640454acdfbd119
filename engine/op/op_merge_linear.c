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
#include "base/sum.h"
#include "kernel/vector.h"
#include "op/share.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { CHUNK = 1024 };

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

static enum op_form linear_form(const struct op_call *call)
{
    return op_form_merge(call, call->out.dtype == DTYPE_f64 ? OP_F64 : OP_F32);
}

static bool rows_f32(const struct op_call *call, const struct op_range *range, struct err *err)
{
    const bool normalize = call->arg[1].flag;
    const float sum = sum_f32(call);
    float acc[CHUNK];

    for (int64_t at = 0; at < range->n; at += CHUNK) {
        const int64_t n = min_i64(CHUNK, range->n - at);

        memset(acc, 0, sizeof(acc));
        for (uint32_t j = 0; j < call->nin; j++)
            vector_fma(acc, (const float *)range->in[j] + at, (float)call->arg[0].f64s.v[j], n);
        if (normalize && sum != 1.0f) /* dividing by 1 changes no bit */
            vector_divide(acc, sum, n);
        if (!op_put_f32(call, range, at, acc, n, err))
            return false;
    }
    return true;
}

static bool rows_f64(const struct op_call *call, const struct op_range *range, struct err *err)
{
    const bool normalize = call->arg[1].flag;
    const double sum = sum_f64(call);
    double acc[CHUNK];

    for (int64_t at = 0; at < range->n; at += CHUNK) {
        const int64_t n = min_i64(CHUNK, range->n - at);

        memset(acc, 0, sizeof(acc));
        for (uint32_t j = 0; j < call->nin; j++)
            vector_fma_f64(acc, (const double *)range->in[j] + at, call->arg[0].f64s.v[j], n);
        for (int64_t i = 0; normalize && i < n; i++)
            acc[i] = acc[i] / sum;
        if (!op_put_f64(call, range, at, acc, n, err))
            return false;
    }
    return true;
}

static bool linear_rows(const struct op_call *call, const void *state, const struct op_range *range,
                        struct err *err)
{
    (void)state;
    if (op_is_plain(call))
        return op_same(call, range, err);
    return call->out.dtype == DTYPE_f64 ? rows_f64(call, range, err) : rows_f32(call, range, err);
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
