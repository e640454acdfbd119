/*
 * merge_task_arithmetic - add what fine-tunes changed of a base
 *
 *     d_j = R(x_j - b)
 *     d_j = R(d_j * R(w_j))
 *     mix = R(sum_j d_j);  div = R(sum_j R(w_j)), 1 where |div| < 1e-8
 *     normalize: mix = R(mix / div);  lambda != 1: mix = R(mix * lambda)
 *     y = R(b + mix);  b where there is no x_j
 *
 * shapes  b (the base, input 0) and all x_j alike; y as they.
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied.
 * rounds  R is to W, after one f32 operation (f64 where W is). W is the promoted dtype of the
 *         inputs with math = inputs; with math = f32 it is f32 (f64 where an input is), and then y
 *         is rounded once more. Sums over j: f32 (f64) in their order from 0, then R. lambda as
 *         f32.
 * errors  SHAPE, TYPE: inputs; RECIPE: a list that is not as long as there are x_j; TYPE: finite
 *         inputs give a y that is not (row and column).
 * source  specs/merge.md 2.6 (mergekit 0.1.5, task_arithmetic); |div| is compared as f32, so that
 *         W = f16 with weights of sum 0 gives b, not NaN.
 */
#include "op/task.h"

static bool task_arithmetic_rows(const struct op_call *call, const void *state,
                                 const struct op_range *range, struct err *err)
{
    return task_rows(call, state, range, false, err);
}

static const struct param task_arithmetic_params[] = {
    OP_MATH,
    TASK_WEIGHTS,
    TASK_NORMALIZE("false"),
    TASK_LAMBDA,
};

const struct op op_merge_task_arithmetic = {
    .name = "merge_task_arithmetic",
    .version = 1,
    .in_min = 1,
    .in_max = OP_INPUTS_MAX,
    .param = task_arithmetic_params,
    .nparam = countof(task_arithmetic_params),
    .infer = sparsify_infer,
    .identity = task_identity,
    .form = op_form_raw,
    .scratch_bytes = task_scratch,
    .rows = task_arithmetic_rows,
};
