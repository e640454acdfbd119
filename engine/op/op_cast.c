/*
 * cast - change the element type
 *
 *     y[i] = round(x[i])
 *
 * shapes  x any; y as x
 * types   x float or quantized (then decoded); y f32, f16, bf16 or f64; equal types: no node
 * rounds  once, to nearest even; a NaN stays one
 * errors  TYPE: x cannot be decoded; a finite x is too large for y's type (row and column)
 * source  specs/merge.md 1.1, specs/hf-and-convert.md 3.4
 */
#include "base/sum.h"
#include "kernel/kernel.h"
#include "op/share.h"

#include <string.h>

static bool cast_infer(struct op_call *call, struct err *err)
{
    const enum dtype from = call->in[0].dtype, to = call->arg[0].dtype;

    if (from != to && !dtype_is_float(to))
        return err_set(err, ERR_TYPE, "cast makes f32, f16, bf16 or f64, not %s%s", dtype_name(to),
                       dtype_info(to)->kind == DTYPE_KIND_BLOCK ? "; use quantize" : "");
    if (from != to && dtype_info(from)->kind == DTYPE_KIND_PLAIN)
        return err_set(err, ERR_TYPE, "cast takes float and quantized types, not %s",
                       dtype_name(from));
    call->out = call->in[0];
    call->out.dtype = to;
    return true;
}

static bool cast_identity(const struct op_call *call)
{
    return call->in[0].dtype == call->out.dtype;
}

/* To f32 the output itself is where the input is decoded to, and nothing overflows (f64 apart). */
static enum op_form cast_form(const struct op_call *call)
{
    if (cast_identity(call))
        return OP_RAW;
    if (call->in[0].dtype == DTYPE_f64)
        return OP_F64;
    return call->out.dtype == DTYPE_f32 ? OP_RAW : OP_F32;
}

static bool cast_rows(const struct op_call *call, const void *state, const struct op_range *range,
                      struct err *err)
{
    const enum dtype from = call->in[0].dtype;

    (void)state;
    if (range->n == 0)
        return true;
    if (cast_identity(call))
        memcpy(range->out, range->in[0], (size_t)tensor_span(&call->out, range->n));
    else if (from == DTYPE_f64)
        return op_put_f64(call, range, 0, range->in[0], range->n, err);
    else if (call->out.dtype == DTYPE_f32)
        kernel_of(from)->decode(range->in[0], range->out, range->n);
    else
        return op_put_f32(call, range, 0, range->in[0], range->n, err);
    return true;
}

static const struct param cast_params[] = {
    {"to", PARAM_DTYPE, 0, 0, NULL, NULL, "the type to make: f32, f16, bf16 or f64"},
};

const struct op op_cast = {
    .name = "cast",
    .version = 1,
    .in_min = 1,
    .in_max = 1,
    .param = cast_params,
    .nparam = countof(cast_params),
    .infer = cast_infer,
    .identity = cast_identity,
    .form = cast_form,
    .rows = cast_rows,
};
