/* finite.c - results are rounded into the output, and must be finite where their inputs are
 *
 * Nearly always they are, which one look over them shows; only where one is not are rounded
 * results and inputs compared one by one. */
#include "base/sum.h"
#include "kernel/kernel.h"
#include "op/share.h"

#include <math.h>

static bool not_finite(const struct op_call *call, int64_t at, bool nan, struct err *err)
{
    char place[OP_PLACE];

    return err_set(err, ERR_TYPE, "finite inputs give %s in %s at %s; use a wider type",
                   nan ? "NaN" : "infinity", dtype_name(call->out.dtype),
                   op_place(&call->out, at, place));
}

/* Is element I of the range finite in input J, in whatever form it comes? */
static bool finite_input(const struct op_call *call, const struct op_range *range, uint32_t j,
                         int64_t i)
{
    const enum op_form form = op_form_of(call);
    const enum dtype dtype = form == OP_F32   ? DTYPE_f32
                             : form == OP_F64 ? DTYPE_f64
                                              : call->in[j].dtype;
    double x;

    decode_f64(dtype, (const uint8_t *)range->in[j] + i * dtype_info(dtype)->bytes, &x, 1);
    return isfinite(x);
}

bool op_check_finite(const struct op_call *call, const struct op_range *range, int64_t at,
                     const double *out, int64_t n, struct err *err)
{
    for (int64_t i = 0; i < n; i++) {
        bool finite = !isfinite(out[i]);

        for (uint32_t j = 0; finite && j < call->nin; j++)
            finite = finite_input(call, range, j, at + i);
        if (finite)
            return not_finite(call, range->first + at + i, isnan(out[i]), err);
    }
    return true;
}

bool op_check_output(const struct op_call *call, const struct op_range *range, int64_t at,
                     int64_t n, struct err *err)
{
    const enum dtype dtype = call->out.dtype;
    const int64_t size = dtype_info(dtype)->bytes;
    const uint8_t *out = (const uint8_t *)range->out + at * size;
    int64_t bad = kernel_of(dtype)->invalid(out, n);
    double back[OP_CHUNK];

    for (; bad >= 0 && bad < n; bad += OP_CHUNK) {
        const int64_t count = min_i64(OP_CHUNK, n - bad);

        decode_f64(dtype, out + bad * size, back, count);
        if (!op_check_finite(call, range, at + bad, back, count, err))
            return false;
    }
    return true;
}

bool op_put_f32(const struct op_call *call, const struct op_range *range, int64_t at,
                const float *y, int64_t n, struct err *err)
{
    const enum dtype dtype = call->out.dtype;

    kernel_of(dtype)->encode(y, 1, n, NULL, (uint8_t *)range->out + at * dtype_info(dtype)->bytes);
    return op_check_output(call, range, at, n, err);
}

bool op_put_f64(const struct op_call *call, const struct op_range *range, int64_t at,
                const double *y, int64_t n, struct err *err)
{
    const enum dtype dtype = call->out.dtype;

    encode_f64(dtype, y, (uint8_t *)range->out + at * dtype_info(dtype)->bytes, n);
    return op_check_output(call, range, at, n, err);
}
