/*
 * merge_dare_linear - keep changes by chance, make up for the rest, add them
 *
 *     d_j = R(x_j - b)
 *     density_j >= 1  d_j stays;  <= 0  d_j = 0
 *     else            d_j[i] stays where u_j(i) < density_j, else d_j[i] * 0; u_j(i) is made of
 *                     Philox word i under masks_j (kernel/chance.h)
 *     rescale: before = R(sum |d_j|) of all, after = R(sum |d_j|) of what stayed; unless one is
 *              below 1e-7: d_j = R(d_j * R(before / after))
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
 *         f32. Sums over elements: f64 by tiles (DESIGN section 2), then f32, R. W = f16: before,
 *         after and their ratio stay f32. W = f64: so do they, and what is multiplied by the mask
 *         and the ratio.
 * errors  SHAPE, TYPE: inputs; RECIPE: a list that is not as long as there are x_j; TYPE: a d_j to
 *         rescale that is NaN or infinite; TYPE: finite inputs give a y that is not (row and
 *         column).
 * source  specs/merge.md 2.6, 2.7, 3 (mergekit 0.1.5, dare_linear); |div| is compared as f32, so
 *         that W = f16 with weights of sum 0 gives b, not NaN.
 */
#include "op/task.h"

static bool dare_linear_rows(const struct op_call *call, const void *state,
                             const struct op_range *range, struct err *err)
{
    return task_rows(call, state, range, false, err);
}

static const struct param dare_linear_params[] = {
    OP_MATH,
    TASK_WEIGHTS,
    TASK_DENSITY,
    TASK_MASKS,
    TASK_NORMALIZE("false"),
    TASK_RESCALE("true"),
    TASK_LAMBDA,
};

const struct op op_merge_dare_linear = {
    .name = "merge_dare_linear",
    .version = 1,
    .in_min = 1,
    .in_max = OP_INPUTS_MAX,
    .param = dare_linear_params,
    .nparam = countof(dare_linear_params),
    .infer = sparsify_infer,
    .identity = task_identity,
    .form = op_form_raw,
    .passes_max = SPARSIFY_PASSES,
    .state_bytes = sparsify_state,
    .partial_bytes = sparsify_partial,
    .reduce = sparsify_reduce,
    .combine = sparsify_combine,
    .scratch_bytes = task_scratch,
    .keep_bytes = sparsify_keep,
    .keep_spare = true,
    .rows = dare_linear_rows,
};
