/*
 * quantize - code as blocks
 *
 *     y = blocks of x, each coded alone as the type's reference does; with an imatrix, and for
 *         the types that weigh columns by it, row by row
 *
 * shapes  x any whose columns are a multiple of the block; y as x
 *         imatrix: as many values as columns, for each matrix (expert) of x in turn
 * types   x float, or quantized (then decoded); y a block type (one without a kernel has a shape
 *         and a size, for who asks only for these: rules/maps.lua)
 * rounds  x to f32 (f64 alone is rounded); then as kernel/TYPE.c says
 * errors  SHAPE: the columns, the length of the imatrix; TYPE: y is no block type or has no kernel,
 *         x cannot be decoded; x holds NaN or Inf; a block's scale does not fit f16 (row and
 * columns of the first) source  specs/gguf-quant.md sections 3, and 4.5 for experts; bit-identical
 * to llama-quantize
 */
#include "base/sum.h"
#include "kernel/kernel.h"
#include "op/share.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>

enum { TYPE, IMATRIX };

/* The vector that decides bytes of this call, or NULL. */
static const struct op_f32s *weights_of(const struct op_call *call)
{
    return dtype_info(call->arg[TYPE].dtype)->weighted ? call->arg[IMATRIX].f32s : NULL;
}

static bool quantize_ignores(const struct op_call *call, uint32_t i)
{
    return i == IMATRIX && !weights_of(call);
}

/* Dimension I of GGUF: the columns are 0, rows of a matrix 1, matrices 2. */
static int64_t dim_of(const struct tensor *t, uint32_t i)
{
    return i < t->rank ? t->dim[t->rank - 1 - i] : 1;
}

static bool check_imatrix(const struct op_call *call, struct err *err)
{
    const struct op_f32s *w = call->arg[IMATRIX].f32s;
    const int64_t cols = dim_of(&call->in[0], 0), matrices = dim_of(&call->in[0], 2);
    int64_t want;

    if (!w || (!__builtin_mul_overflow(cols, matrices, &want) && w->n == want))
        return true;
    return err_set(err, ERR_SHAPE,
                   "the imatrix has %" PRId64 " values, expected %" PRId64 " columns x %" PRId64
                   " %s; is it of another model?",
                   w->n, cols, matrices, matrices == 1 ? "matrix" : "matrices");
}

static bool quantize_infer(struct op_call *call, struct err *err)
{
    const enum dtype from = call->in[0].dtype, to = call->arg[TYPE].dtype;
    const struct dtype_info *info = dtype_info(to);
    const int64_t cols = tensor_cols(&call->in[0]);

    if (!dtype_is_block(to))
        return err_set(err, ERR_TYPE, "quantize cannot make %s%s", info->name,
                       info->kind == DTYPE_KIND_FLOAT ? "; use cast" : "");
    if (dtype_info(from)->kind == DTYPE_KIND_PLAIN)
        return err_set(err, ERR_TYPE, "quantize takes float and quantized types, not %s",
                       dtype_name(from));
    if (cols % info->elements != 0)
        return err_set(err, ERR_SHAPE, "%" PRId64 " columns, %s takes multiples of %" PRIu32, cols,
                       info->name, info->elements);
    if (!check_imatrix(call, err))
        return false;
    call->out = call->in[0];
    call->out.dtype = to;
    return true;
}

/* With weights every type is searched for. */
static bool quantize_dear(const struct op_call *call)
{
    return dtype_info(call->arg[TYPE].dtype)->dear || weights_of(call);
}

/* Whole rows where columns have weights: these go by column, and some types look at the whole row
 * (the mean of its squares). */
static int64_t quantize_granule(const struct op_call *call)
{
    return weights_of(call) ? max_i64(1, tensor_cols(&call->in[0])) : 1;
}

/* Whole rows, in runs that share a matrix. */
static void encode_weighted(const struct op_call *call, const struct op_range *range,
                            const struct op_f32s *weights)
{
    const struct tensor *out = &call->out;
    const struct kernel *kernel = kernel_of(out->dtype);
    const int64_t cols = tensor_cols(out), rows = dim_of(out, 1), matrices = dim_of(out, 2);
    const float *x = range->in[0];
    uint8_t *to = range->out;
    int64_t row = range->first / cols;

    for (int64_t left = range->n / cols, n; left > 0; left -= n, row += n) {
        n = min_i64(left, rows - row % rows);
        kernel->encode(x, n, cols, weights->v + row / rows % matrices * cols, to);
        x += n * cols;
        to += tensor_span(out, n * cols);
    }
}

static bool quantize_rows(const struct op_call *call, const void *state,
                          const struct op_range *range, struct err *err)
{
    const struct tensor *out = &call->out;
    const struct kernel *kernel = kernel_of(out->dtype);
    const struct dtype_info *info = dtype_info(out->dtype);
    const struct op_f32s *weights = weights_of(call);
    const float *x = range->in[0];
    int64_t bad = f32_invalid(x, range->n);
    char place[OP_PLACE];

    (void)state;
    if (range->n == 0)
        return true;
    if (info->kind != DTYPE_KIND_BLOCK)
        return err_set(err, ERR_TYPE, "%s blocks are not made in this release", info->name);
    if (bad >= 0)
        return err_set(err, ERR_TYPE, "%s at %s: %s blocks hold finite values only",
                       isnan(x[bad]) ? "NaN" : "infinity", op_place(out, range->first + bad, place),
                       info->name);
    if (weights)
        encode_weighted(call, range, weights);
    else /* a block depends on nothing outside it: any run of them is a row */
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
    {"imatrix", PARAM_F32S, 0, (double)FLT_MAX, "none", NULL,
     "how much each column matters, for the types that use it"},
};

const struct op op_quantize = {
    .name = "quantize",
    .version = 1,
    .in_min = 1,
    .in_max = 1,
    .param = quantize_params,
    .nparam = countof(quantize_params),
    .infer = quantize_infer,
    .ignores = quantize_ignores,
    .dear = quantize_dear,
    .granule = quantize_granule,
    .rows = quantize_rows,
};
