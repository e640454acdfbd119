/*
 * rope_freqs - the llama3 factors that GGUF keeps as rope_freqs.weight
 *
 *     fr = 1 / base^(2i / head_dim), w = 2*pi / fr, for i < head_dim / 2
 *     w < old/high: 1;   w > old/low: factor
 *     else s = (old/w - low) / (high - low):  1 / ((1 - s) / factor + s)
 *
 * shapes  no input; y [head_dim / 2]
 * types   y f32
 * rounds  every step to f32 in the order written below (a division by w is a product with 1/w);
 *         the power, old/low and old/high in f64, then to f32
 * errors  RECIPE: an odd head_dim, high <= low; a result that is not finite
 * source  specs/hf-and-convert.md 3.8
 */
#include "base/exact.h"
#include "base/fmath.h"
#include "op/op.h"

#include <inttypes.h>

enum { HEAD_DIM, BASE, FACTOR, LOW, HIGH, OLD };

static bool rope_infer(struct op_call *call, struct err *err)
{
    const int64_t dim = call->arg[HEAD_DIM].i64;
    const double low = call->arg[LOW].f64, high = call->arg[HIGH].f64;

    if (dim % 2 != 0)
        return err_set(err, ERR_RECIPE, "head_dim %" PRId64 " is odd", dim);
    if (!(high > low) || (float)(high - low) == 0.0f)
        return err_set(err, ERR_RECIPE, "high (%g) must exceed low (%g)", high, low);
    call->out = (struct tensor){.dtype = DTYPE_f32, .rank = 1, .dim = {dim / 2}};
    return true;
}

static const float two_pi = (float)6.283185307179586;

static float rope_factor(const union op_arg *arg, int64_t i)
{
    const float low = (float)(arg[OLD].f64 / arg[LOW].f64);
    const float high = (float)(arg[OLD].f64 / arg[HIGH].f64);
    const float e = (float)(2 * i) / (float)arg[HEAD_DIM].i64;
    const float p = (float)fmath_pow(arg[BASE].f64, (double)e);
    const float fr = 1.0f / p;
    const float w = (1.0f / fr) * two_pi;
    float s;

    if (w < high)
        return 1.0f;
    if (w > low)
        return (float)arg[FACTOR].f64;
    s = ((1.0f / w) * (float)arg[OLD].f64 - (float)arg[LOW].f64) /
        (float)(arg[HIGH].f64 - arg[LOW].f64);
    return 1.0f / ((1.0f - s) / (float)arg[FACTOR].f64 + s);
}

static bool rope_rows(const struct op_call *call, const void *state, const struct op_range *range,
                      struct err *err)
{
    float *y = range->out;

    (void)state;
    for (int64_t i = 0; i < range->n; i++) {
        const double wide = (double)(y[i] = rope_factor(call->arg, range->first + i));

        if (!op_check_finite(call, range, i, &wide, 1, err))
            return false;
    }
    return true;
}

static const struct param rope_params[] = {
    {"head_dim", PARAM_I64, 2, 1 << 20, NULL, NULL, "elements of one head, even"},
    {"base", PARAM_F64, 1, 1e30, "10000", NULL, "rope_theta"},
    {"factor", PARAM_F64, 1e-6, 1e6, "8", NULL, "what long wavelengths are stretched by"},
    {"low", PARAM_F64, 1e-6, 1e6, "1", NULL, "low_freq_factor"},
    {"high", PARAM_F64, 1e-6, 1e6, "4", NULL, "high_freq_factor"},
    {"old", PARAM_F64, 1, 1e12, "8192", NULL, "original_max_position_embeddings"},
};

const struct op op_rope_freqs = {
    .name = "rope_freqs",
    .version = 1,
    .in_min = 0,
    .in_max = 0,
    .param = rope_params,
    .nparam = countof(rope_params),
    .infer = rope_infer,
    .rows = rope_rows,
};
