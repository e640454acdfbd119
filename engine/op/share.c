/* share.c - places in messages, inputs of merges (op_put_* are in finite.c) */
#include "op/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *op_place(const struct tensor *t, int64_t at, char *text)
{
    const int64_t cols = tensor_cols(t) > 0 ? tensor_cols(t) : 1;

    snprintf(text, OP_PLACE, "row %" PRId64 ", column %" PRId64, at / cols, at % cols);
    return text;
}

static enum dtype promote(enum dtype a, enum dtype b)
{
    if (a == b)
        return a;
    return a == DTYPE_f64 || b == DTYPE_f64 ? DTYPE_f64 : DTYPE_f32;
}

bool op_is_plain(const struct op_call *call)
{
    return dtype_info(call->in[0].dtype)->kind == DTYPE_KIND_PLAIN;
}

enum op_form op_form_merge(const struct op_call *call, enum op_form otherwise)
{
    return op_is_plain(call) ? OP_RAW : otherwise;
}

bool op_infer_merge(struct op_call *call, struct err *err)
{
    char a[192], b[192];

    call->out = call->in[0];
    for (uint32_t i = 0; i < call->nin; i++) {
        const struct tensor *in = &call->in[i];

        if (dtype_is_block(in->dtype))
            return err_set(err, ERR_TYPE, "input %" PRIu32 " is %s%s", i + 1, dtype_name(in->dtype),
                           dtype_info(in->dtype)->kind == DTYPE_KIND_BLOCK
                               ? ": cast it to f32 or bf16 first"
                               : ", which cannot be decoded");
        if (in->dtype != call->in[0].dtype &&
            !(dtype_is_float(in->dtype) && dtype_is_float(call->in[0].dtype)))
            return err_set(err, ERR_TYPE,
                           "input %" PRIu32 " is %s and input 1 is %s: only float types mix", i + 1,
                           dtype_name(in->dtype), dtype_name(call->in[0].dtype));
        if (!tensor_same_shape(in, &call->in[0]))
            return err_set(err, ERR_SHAPE, "input %" PRIu32 " has shape %s, expected %s as input 1",
                           i + 1, tensor_shape(in, a, sizeof(a)),
                           tensor_shape(&call->in[0], b, sizeof(b)));
        call->out.dtype = promote(call->out.dtype, in->dtype);
    }
    return true;
}

bool op_same(const struct op_call *call, const struct op_range *range, struct err *err)
{
    const struct dtype_info *info = dtype_info(call->out.dtype);
    const uint8_t *first = range->in[0];
    const size_t size = (size_t)tensor_span(&call->out, range->n);
    char place[OP_PLACE];

    for (uint32_t j = 1; j < call->nin && size; j++) {
        const uint8_t *other = range->in[j];
        size_t at = 0;

        if (memcmp(first, other, size) == 0)
            continue;
        while (first[at] == other[at])
            at++;
        return err_set(err, ERR_TYPE,
                       "input %" PRIu32 " differs from input 1 at %s; tensors of %s merge only "
                       "when all are equal",
                       j + 1,
                       op_place(&call->out,
                                range->first + (int64_t)(at / info->bytes * info->elements), place),
                       info->name);
    }
    if (size)
        memcpy(range->out, first, size);
    return true;
}
