/*
 * permute - move whole rows between Hugging Face and GGUF order (q and k of the llama family)
 *
 *     to_gguf  y[h*head + 2*i + j] = x[h*head + j*(head/2) + i],  i < head/2, j in {0, 1}
 *     to_hf    the inverse
 *
 * shapes  x of rank 1 or more whose first dimension is a multiple of head; y as x. A row is all
 *         elements of one index of the first dimension (one element, of a bias)
 * types   any whose row is whole bytes and blocks; y as x
 * rounds  nothing: bytes are copied
 * errors  SHAPE: the first dimension, an odd head; TYPE: blocks across rows
 * source  specs/hf-and-convert.md 3.8
 */
#include "base/sum.h"
#include "kernel/rowmap.h"
#include "op/op.h"

#include <inttypes.h>
#include <string.h>

static int64_t row_elements(const struct op_call *call)
{
    const struct tensor *x = &call->in[0];

    return x->dim[0] ? tensor_elements(x) / x->dim[0] : 0;
}

static bool permute_infer(struct op_call *call, struct err *err)
{
    const struct tensor *x = &call->in[0];
    const int64_t head = call->arg[1].i64;

    if (x->rank == 0)
        return err_set(err, ERR_SHAPE, "a single value has no rows to permute");
    if (head % 2 != 0)
        return err_set(err, ERR_SHAPE, "a head of %" PRId64 " rows cannot be halved", head);
    if (x->dim[0] % head != 0)
        return err_set(err, ERR_SHAPE, "%" PRId64 " rows are no multiple of a head of %" PRId64,
                       x->dim[0], head);
    if (row_elements(call) % dtype_info(x->dtype)->elements != 0)
        return err_set(err, ERR_TYPE, "a block of %s spans several rows of %" PRId64 " elements",
                       dtype_name(x->dtype), row_elements(call));
    call->out = *x;
    return true;
}

/* A head of two rows, or of none, has nothing to exchange. */
static bool permute_identity(const struct op_call *call)
{
    return call->arg[1].i64 <= 2;
}

static enum op_form permute_form(const struct op_call *call)
{
    (void)call;
    return OP_RAW;
}

static int64_t permute_granule(const struct op_call *call)
{
    return max_i64(1, call->arg[1].i64 * row_elements(call));
}

static bool permute_rows(const struct op_call *call, const void *state,
                         const struct op_range *range, struct err *err)
{
    const bool to_gguf = strcmp(call->arg[0].word, "to_gguf") == 0;
    const struct rowmap map = {to_gguf ? ROWMAP_TO_GGUF : ROWMAP_TO_HF, call->arg[1].i64};
    const int64_t row = row_elements(call);

    (void)state;
    (void)err;
    if (range->n > 0)
        rowmap_apply(map, range->in[0], range->out, range->n / row,
                     (size_t)tensor_span(&call->out, row));
    return true;
}

static const char *const permute_kinds[] = {"to_gguf", "to_hf", NULL};

static const struct param permute_params[] = {
    {"kind", PARAM_WORD, 0, 0, NULL, permute_kinds, "which order to make"},
    {"head", PARAM_I64, 2, 1 << 20, NULL, NULL, "rows of one head, even"},
};

const struct op op_permute = {
    .name = "permute",
    .version = 1,
    .in_min = 1,
    .in_max = 1,
    .param = permute_params,
    .nparam = countof(permute_params),
    .infer = permute_infer,
    .identity = permute_identity,
    .form = permute_form,
    .granule = permute_granule,
    .rows = permute_rows,
};
