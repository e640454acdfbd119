/*
 * merge_breadcrumbs_ties - keep large changes but for the largest; where they agree, mix them
 *
 *     d_j = R(x_j - b)
 *     density_j >= 1  d_j stays
 *     else            tn = trunc(density_j * n), nt = trunc(gamma_j * n), nb = max(0, n - tn - nt);
 *                     by ascending |d_j| (NaN last), then flat index, the places nb to nb + tn - 1
 *                     stay; the others are d_j * 0
 *     rescale: before = R(sum |d_j|) of all, after = R(sum |d_j|) of what stayed; unless one is
 *              below 1e-7: d_j = R(d_j * R(before / after))
 *     d_j = R(d_j * R(w_j))
 *     majority = R(sum_j d_j) >= 0 ? + : -;  d_j counts where it has that sign, 0 nowhere
 *     mix = R(sum of the d_j that count);  div = R(sum of their R(w_j)), 1 for 0
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
 *         after and their ratio stay f32.
 * errors  SHAPE, TYPE: inputs; RECIPE: a list that is not as long as there are x_j, gamma 1; TYPE:
 *         a d_j to rescale that is NaN or infinite; TYPE: finite inputs give a y that is not (row
 *         and column).
 * source  specs/merge.md 2.6, 2.7 (mergekit 0.1.5, breadcrumbs_ties).
 */
#include "op/task.h"

static bool breadcrumbs_ties_rows(const struct op_call *call, const void *state,
                                  const struct op_range *range, struct err *err)
{
    return task_rows(call, state, range, true, err);
}

static const struct param breadcrumbs_ties_params[] = {
    OP_MATH,
    TASK_WEIGHTS,
    TASK_DENSITY,
    TASK_GAMMA,
    TASK_NORMALIZE("false"),
    TASK_RESCALE("false"),
    TASK_LAMBDA,
};

const struct op op_merge_breadcrumbs_ties = {
    .name = "merge_breadcrumbs_ties",
    .version = 1,
    .in_min = 1,
    .in_max = OP_INPUTS_MAX,
    .param = breadcrumbs_ties_params,
    .nparam = countof(breadcrumbs_ties_params),
    .infer = sparsify_infer,
    .identity = task_identity,
    .form = op_form_raw,
    .granule = sparsify_granule,
    .passes_max = SPARSIFY_PASSES,
    .state_bytes = sparsify_state,
    .partial_bytes = sparsify_partial,
    .worker_bytes = sparsify_worker,
    .reduce = sparsify_reduce,
    .combine = sparsify_combine,
    .scratch_bytes = task_scratch,
    .rows = breadcrumbs_ties_rows,
};
