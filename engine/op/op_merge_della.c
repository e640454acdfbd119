/*
 * merge_della - keep changes by chances that rise with their size; where they agree, mix them
 *
 *     d_j = R(x_j - b)
 *     density_j >= 1  d_j stays;  <= 0  d_j = 0
 *     else            r = place of i in its row by ascending |d_j| (NaN last), then index;
 *                     m = length of a row;
 *                     p = (density_j - epsilon_j) + ((r / max(m - 1, 1)) * 2) * epsilon_j
 *                     d_j[i] stays where u_j(i) < p, else d_j[i] * 0; u_j(i) is made of Philox word
 *                     i under masks_j (kernel/chance.h)
 *     rescale: before = R(sum |d_j|) of all, after = R(sum |d_j|) of what stayed; unless one is
 *              below 1e-7: d_j = R(d_j * R(before / after))
 *     d_j = R(d_j * R(w_j))
 *     majority = R(sum_j d_j) >= 0 ? + : -;  d_j counts where it has that sign, 0 nowhere
 *     mix = R(sum of the d_j that count);  div = R(sum of their R(w_j)), 1 for 0
 *     normalize: mix = R(mix / div);  lambda != 1: mix = R(mix * lambda)
 *     y = R(b + mix);  b where there is no x_j
 *
 * shapes  b (the base, input 0) and all x_j alike; y as they. A row lies along axis 1, or is the
 *         whole of a tensor with one axis.
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied.
 * rounds  R is to W, after one f32 operation (f64 where W is). W is the promoted dtype of the
 *         inputs with math = inputs; with math = f32 it is f32 (f64 where an input is), and then y
 *         is rounded once more. Sums over j: f32 (f64) in their order from 0, then R. lambda as
 *         f32. Sums over elements: f64 by tiles of whole rows (of slabs of axis 0 where there are
 *         more than two axes), as many as 65,536 elements hold but at least one; eight lanes in a
 *         tile, tiles in their order; then f32, R. p and the comparison are f32. W = f16: before,
 *         after and their ratio stay f32. W = f64: so do they, and what is multiplied by the mask
 *         and the ratio.
 * errors  SHAPE, TYPE: inputs; RECIPE: a list that is not as long as there are x_j, density and
 *         epsilon that leave (0, 1); TYPE: a d_j to rescale that is NaN or infinite; TYPE: finite
 *         inputs give a y that is not (row and column).
 * source  specs/merge.md 2.6, 2.7, 3 (mergekit 0.1.5, della); p is f32 where mergekit has W.
 */
#include "op/task.h"

static bool della_rows(const struct op_call *call, const void *state, const struct op_range *range,
                       struct err *err)
{
    return task_rows(call, state, range, true, err);
}

static const struct param della_params[] = {
    OP_MATH,    TASK_WEIGHTS,           TASK_DENSITY,         TASK_EPSILON,
    TASK_MASKS, TASK_NORMALIZE("true"), TASK_RESCALE("true"), TASK_LAMBDA,
};

const struct op op_merge_della = {
    .name = "merge_della",
    .version = 1,
    .in_min = 1,
    .in_max = OP_INPUTS_MAX,
    .param = della_params,
    .nparam = countof(della_params),
    .infer = sparsify_infer,
    .identity = task_identity,
    .form = op_form_raw,
    .granule = sparsify_granule,
    .passes_max = SPARSIFY_PASSES,
    .tile = sparsify_tile,
    .state_bytes = sparsify_state,
    .partial_bytes = sparsify_partial,
    .reduce = sparsify_reduce,
    .combine = sparsify_combine,
    .scratch_bytes = task_scratch,
    .keep_bytes = sparsify_keep,
    .keep_spare = true,
    .rows = della_rows,
};
