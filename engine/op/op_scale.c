/*
 * scale - multiply every element by one number
 *
 *     y[i] = round(x[i] * gain)
 *
 * shapes  x any; y as x
 * types   x f32, f16 or bf16; y as x; or both f64
 * rounds  gain to f32; the product in f32; then once, to nearest even, into y. For f64: the product
 *         in f64
 * errors  TYPE: x is anything else; a finite x gives an infinite y (row and column)
 * source  specs/merge.md 2.12 (passthrough); gain 1 is the input itself, byte for byte
 */
#include "base/sum.h"
#include "kernel/steps.h"
#include "kernel/vector.h"
#include "op/share.h"

enum { CHUNK = 1024 };

static bool scale_infer(struct op_call *call, struct err *err)
{
    const enum dtype dtype = call->in[0].dtype;

    if (dtype != DTYPE_f64 && dtype != DTYPE_f32 && dtype != DTYPE_f16 && dtype != DTYPE_bf16)
        return err_set(err, ERR_TYPE, "scale takes f64, f32, f16 or bf16, not %s%s",
                       dtype_name(dtype),
                       dtype_is_block(dtype) ? " (scale before you quantize)" : "");
    call->out = call->in[0];
    return true;
}

static bool scale_identity(const struct op_call *call)
{
    if (call->out.dtype == DTYPE_f64)
        return call->arg[0].f64 == 1.0;
    return (float)call->arg[0].f64 == 1.0f;
}

static enum op_form scale_form(const struct op_call *call)
{
    return call->in[0].dtype == DTYPE_f64 ? OP_F64 : OP_F32;
}

static bool rows_f64(const struct op_call *call, const struct op_range *range, struct err *err)
{
    const double *x = range->in[0];
    double y[CHUNK];

    for (int64_t at = 0; at < range->n; at += CHUNK) {
        const int64_t n = min_i64(CHUNK, range->n - at);

        steps_of(DTYPE_f64)->scale(y, x + at, call->arg[0].f64, n);
        if (!op_put_f64(call, range, at, y, n, err))
            return false;
    }
    return true;
}

static bool scale_rows(const struct op_call *call, const void *state, const struct op_range *range,
                       struct err *err)
{
    const float gain = (float)call->arg[0].f64;
    const float *x = range->in[0];
    float y[CHUNK];

    (void)state;
    if (call->out.dtype == DTYPE_f64)
        return rows_f64(call, range, err);
    for (int64_t at = 0; at < range->n; at += CHUNK) {
        const int64_t n = min_i64(CHUNK, range->n - at);

        vector_scale(y, x + at, gain, n);
        if (!op_put_f32(call, range, at, y, n, err))
            return false;
    }
    return true;
}

static const struct param scale_params[] = {
    {"gain", PARAM_F64, -1e30, 1e30, NULL, NULL, "what every element is multiplied by"},
};

const struct op op_scale = {
    .name = "scale",
    .version = 1,
    .in_min = 1,
    .in_max = 1,
    .param = scale_params,
    .nparam = countof(scale_params),
    .infer = scale_infer,
    .identity = scale_identity,
    .form = scale_form,
    .rows = scale_rows,
};
