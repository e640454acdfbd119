/*
 * merge_ramplus_tl - as merge_ram, with what a model alone changed made stronger
 *
 *     T_j = x_j - b, changed where |T_j| > epsilon; c[i] = how many changed element i
 *     rho_j = (elements that j and others changed) / max(elements that j alone changed, epsilon)
 *     lam_j = 1 + r * (rho_j kept in [0, alpha])
 *     y[i] = b[i] + sum_j (c[i] = 1: T_j[i] * lam_j; else T_j[i] / c[i])   where j changed it
 *
 * shapes  b (the base) and x_1 .. x_k alike; y as they. Counts run over the whole tensor
 * types   float inputs; y f32 with math = inputs, else promoted as usual; f64 where an input is
 *         f64; integers: bit-equal inputs, copied
 * rounds  T_j and T_j / c to the work dtype (math); epsilon, r, alpha, rho_j, lam_j to f32, after
 *         every step; from the product with lam_j on all is in f32 (f64 where an input is), summed
 *         in the order of the inputs; the result once into y
 * errors  SHAPE, TYPE: inputs; finite inputs give an infinite y (row and column)
 * source  specs/merge.md 2.13 (mergekit 0.1.5, ramplus_tl), specs/rulings-quant-merge.md 3, 17
 */
#include "base/exact.h"
#include "op/ram.h"

#include <string.h>

struct ramplus {
    float factor[OP_INPUTS_MAX]; /* lam, by input */
};

static size_t ramplus_state(const struct op_call *call)
{
    return op_is_plain(call) ? 0 : sizeof(struct ramplus);
}

static size_t ramplus_partial(const struct op_call *call, uint32_t pass)
{
    (void)call;
    (void)pass;
    return 0;
}

/* Of each input: elements it shares, elements of its own. */
static size_t ramplus_worker(const struct op_call *call, uint32_t pass)
{
    (void)pass;
    return 2 * sizeof(uint64_t) * call->nin;
}

static void ramplus_reduce(const struct op_call *call, uint32_t pass, const void *state,
                           const struct op_range *range, void *partial, void *worker)
{
    uint64_t *count = worker;
    struct ram r;

    (void)pass;
    (void)state;
    (void)partial;
    ram_open(&r, call, range, call->arg[3].f64);
    for (int64_t at = 0; at < range->n;) {
        at += ram_next(&r, at);
        for (uint32_t j = 1; j < call->nin; j++)
            ram_tally(&r, j, count + 2 * j);
    }
}

static enum op_more ramplus_combine(const struct op_call *call, uint32_t pass, void *state,
                                    const void *partial, int64_t ntile, const void *counts,
                                    struct err *err)
{
    const float r = (float)call->arg[1].f64, alpha = (float)call->arg[2].f64;
    const float epsilon = (float)call->arg[3].f64;
    const uint64_t *count = counts;
    struct ramplus *s = state;

    (void)pass;
    (void)partial;
    (void)ntile;
    (void)err;
    for (uint32_t j = 1; j < call->nin; j++) {
        const float shared = (float)count[2 * j], own = (float)count[2 * j + 1];
        const float rho = shared / (own > epsilon ? own : epsilon);

        s->factor[j] = 1.0f + r * (rho < 0.0f ? 0.0f : rho > alpha ? alpha : rho);
    }
    return OP_DONE;
}

static bool ramplus_rows(const struct op_call *call, const void *state,
                         const struct op_range *range, struct err *err)
{
    const struct ramplus *p = state;
    double sum[OP_CHUNK], own[OP_CHUNK], shared[OP_CHUNK];
    struct ram r;

    if (op_is_plain(call))
        return op_same(call, range, err);
    ram_open(&r, call, range, call->arg[3].f64);
    const struct steps *wide = op_steps_wide(r.steps);

    for (int64_t at = 0, n; at < range->n; at += n) {
        n = ram_next(&r, at);
        memset(sum, 0, sizeof(sum));
        for (uint32_t j = 1; j < call->nin; j++) {
            ram_parts(&r, j, own, shared);
            wide->scale(own, own, (double)p->factor[j], n);
            wide->add(own, own, shared, n);
            wide->add(sum, sum, own, n);
        }
        wide->add(sum, op_in(call, range, 0, at, n, own), sum, n);
        if (!op_put(call, range, at, sum, n, err))
            return false;
    }
    return true;
}

static const struct param ramplus_params[] = {
    OP_MATH,
    {"r", PARAM_F64, -1e30, 1e30, "0.1", NULL,
     "how much stronger, for each shared element there is beside an own one"},
    {"alpha", PARAM_F64, 0, 1e30, "0.2", NULL, "as if there were no more shared ones than this"},
    {"epsilon", PARAM_F64, 0, 1e30, "1e-5", NULL,
     "an element has changed when it differs from the base by more"},
};

const struct op op_merge_ramplus_tl = {
    .name = "merge_ramplus_tl",
    .version = 1,
    .in_min = 2,
    .in_max = OP_INPUTS_MAX,
    .param = ramplus_params,
    .nparam = countof(ramplus_params),
    .infer = op_infer_merge_wide,
    .form = op_form_raw,
    .passes_max = 1,
    .state_bytes = ramplus_state,
    .partial_bytes = ramplus_partial,
    .worker_bytes = ramplus_worker,
    .reduce = ramplus_reduce,
    .combine = ramplus_combine,
    .rows = ramplus_rows,
};
