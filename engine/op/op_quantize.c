/*
 * quantize - code as blocks
 *
 *     y = blocks of x, each coded alone as the type's reference does
 *
 * shapes  x any whose columns are a multiple of the block; y as x
 * types   x float, or quantized (then decoded); y a block type
 * rounds  x to f32 (f64 alone is rounded); then as kernel/TYPE.c says
 * errors  SHAPE: the columns; TYPE: y is no block type, x cannot be decoded; x holds NaN or Inf;
 *         a block's scale does not fit f16 (row and columns of the first)
 * source  specs/gguf-quant.md section 3, bit-identical to llama-quantize
 */
#include "kernel/kernel.h"
#include "op/share.h"

#include <inttypes.h>
#include <math.h>

static bool quantize_infer(struct op_call *call, struct err *err)
{
    const enum dtype from = call->in[0].dtype, to = call->arg[0].dtype;
    const struct dtype_info *info = dtype_info(to);
    const int64_t cols = tensor_cols(&call->in[0]);

    if (info->kind != DTYPE_KIND_BLOCK)
        return err_set(err, ERR_TYPE, "quantize cannot make %s%s", info->name,
                       info->kind == DTYPE_KIND_FLOAT ? "; use cast" : "");
    if (dtype_info(from)->kind == DTYPE_KIND_PLAIN)
        return err_set(err, ERR_TYPE, "quantize takes float and quantized types, not %s",
                       dtype_name(from));
    if (cols % info->elements != 0)
        return err_set(err, ERR_SHAPE, "%" PRId64 " columns, %s takes multiples of %" PRIu32, cols,
                       info->name, info->elements);
    call->out = call->in[0];
    call->out.dtype = to;
    return true;
}

static bool quantize_rows(const struct op_call *call, const void *state,
                          const struct op_range *range, struct err *err)
{
    const struct tensor *out = &call->out;
    const struct kernel *kernel = kernel_of(out->dtype);
    const struct dtype_info *info = dtype_info(out->dtype);
    const float *x = range->in[0];
    int64_t bad = f32_invalid(x, range->n);
    char place[OP_PLACE];

    (void)state;
    if (range->n == 0)
        return true;
    if (bad >= 0)
        return err_set(err, ERR_TYPE, "%s at %s: %s blocks hold finite values only",
                       isnan(x[bad]) ? "NaN" : "infinity", op_place(out, range->first + bad, place),
                       info->name);
    /* Without column weights a block depends on nothing outside it: any run of them is a row. */
    kernel->encode(x, 1, range->n, NULL, range->out);
    bad = kernel->invalid(range->out, range->n);
    if (bad < 0)
        return true;
    bad -= bad % info->elements;
    return err_set(err, ERR_TYPE, "value too large for %s at %s to %" PRId64 "; use bf16 or f32",
                   info->name, op_place(out, range->first + bad, place),
                   (range->first + bad) % tensor_cols(out) + (int64_t)info->elements - 1);
}

static const struct param quantize_params[] = {
    {"type", PARAM_DTYPE, 0, 0, NULL, NULL, "the block type to make, as q4_k"},
};

const struct op op_quantize = {
    .name = "quantize",
    .version = 1,
    .in_min = 1,
    .in_max = 1,
    .param = quantize_params,
    .nparam = countof(quantize_params),
    .infer = quantize_infer,
    .rows = quantize_rows,
};
