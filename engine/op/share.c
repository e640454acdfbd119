/* share.c - places in messages, inputs of merges (op_put_* are in finite.c) */
#include "op/share.h"

#include "kernel/kernel.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char *op_place(const struct tensor *t, int64_t at, char *text)
{
    const int64_t cols = tensor_cols(t) > 0 ? tensor_cols(t) : 1;

    snprintf(text, OP_PLACE, "row %" PRId64 ", column %" PRId64, at / cols, at % cols);
    return text;
}

enum { LINE = 64 };

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

const char *const op_math_words[] = {"f32", "inputs", NULL};

const struct steps *op_steps(const struct op_call *call)
{
    enum dtype work = call->in[0].dtype;

    for (uint32_t i = 1; i < call->nin; i++)
        work = promote(work, call->in[i].dtype);
    if (work != DTYPE_f64 && strcmp(call->arg[0].word, "inputs") != 0)
        work = DTYPE_f32;
    return steps_of(work);
}

const struct steps *op_steps_wide(const struct steps *steps)
{
    return steps_of(steps->work == DTYPE_f64 ? DTYPE_f64 : DTYPE_f32);
}

bool op_infer_merge_wide(struct op_call *call, struct err *err)
{
    if (!op_infer_merge(call, err))
        return false;
    if (!op_is_plain(call) && strcmp(call->arg[0].word, "inputs") == 0)
        call->out.dtype = op_steps_wide(op_steps(call))->work;
    return true;
}

/* Does it work in f64? The promotion of the inputs says so. */
static bool wide(const struct op_call *call)
{
    return call->out.dtype == DTYPE_f64;
}

const void *op_in(const struct op_call *call, const struct op_range *range, uint32_t i, int64_t at,
                  int64_t n, void *buf)
{
    const enum dtype dtype = call->in[i].dtype;
    const int64_t each = dtype_info(dtype)->bytes, size = n * each;
    const unsigned char *raw = (const unsigned char *)range->in[i] + each * at;

    if (dtype == (wide(call) ? DTYPE_f64 : DTYPE_f32))
        return raw;
    for (int64_t next = size; next < 2 * size; next += LINE)
        __builtin_prefetch(raw + next); /* the next chunk, while the op works on this one */
    if (wide(call))
        decode_f64(dtype, raw, buf, n);
    else
        kernel_of(dtype)->decode(raw, buf, n);
    return buf;
}

void op_delta(const struct op_call *call, const struct steps *s, const struct op_range *range,
              uint32_t i, int64_t at, int64_t n, void *d)
{
    double base[OP_CHUNK];

    s->sub(d, op_in(call, range, i, at, n, d), op_in(call, range, 0, at, n, base), n);
}

enum op_form op_form_raw(const struct op_call *call)
{
    (void)call;
    return OP_RAW;
}

bool op_put(const struct op_call *call, const struct op_range *range, int64_t at, const void *y,
            int64_t n, struct err *err)
{
    if (wide(call))
        return op_put_f64(call, range, at, y, n, err);
    return op_put_f32(call, range, at, y, n, err);
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
