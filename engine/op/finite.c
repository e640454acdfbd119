/* finite.c - results are rounded into the output, and must be finite where their inputs are
 *
 * Nearly always they are, which one look over them shows; only where one is not are rounded
 * results and inputs compared one by one. */
#include "base/exact.h"
#include "base/sum.h"
#include "kernel/kernel.h"
#include "kernel/vector.h"
#include "op/share.h"

#include <math.h>

static bool not_finite(const struct op_call *call, int64_t at, bool nan, struct err *err)
{
    char place[OP_PLACE];

    return err_set(err, ERR_TYPE, "finite inputs give %s in %s at %s; use a wider type",
                   nan ? "NaN" : "infinity", dtype_name(call->out.dtype),
                   op_place(&call->out, at, place));
}

bool op_check_finite(const struct op_call *call, const float *const *in, uint32_t nin,
                     const float *out, int64_t first, int64_t n, struct err *err)
{
    for (int64_t i = f32_invalid(out, n); i >= 0 && i < n; i++) {
        bool finite = !isfinite(out[i]);

        for (uint32_t j = 0; finite && j < nin; j++)
            finite = isfinite(in[j][i]);
        if (finite)
            return not_finite(call, first + i, isnan(out[i]), err);
    }
    return true;
}

/* The same for inputs and outputs in f64. */
static bool check_finite_f64(const struct op_call *call, const double *const *in, uint32_t nin,
                             const double *out, int64_t first, int64_t n, struct err *err)
{
    for (int64_t i = 0; i < n; i++) {
        bool finite = !isfinite(out[i]);

        for (uint32_t j = 0; finite && j < nin; j++)
            finite = isfinite(in[j][i]);
        if (finite)
            return not_finite(call, first + i, isnan(out[i]), err);
    }
    return true;
}

enum { CHUNK = 1024 };

/* The bits of the least f32 that DTYPE rounds to infinity. */
static uint32_t least_infinite(enum dtype dtype)
{
    if (dtype == DTYPE_f16)
        return 0x477ff000; /* 65520 */
    return dtype == DTYPE_bf16 ? 0x7f7f8000 : 0x7f800000;
}

bool op_put_f32(const struct op_call *call, const struct op_range *range, int64_t at,
                const float *y, int64_t n, struct err *err)
{
    const enum dtype dtype = call->out.dtype;
    const struct kernel *kernel = kernel_of(dtype);
    const int64_t size = dtype_info(dtype)->bytes;
    uint8_t *out = (uint8_t *)range->out + at * size;
    const float *in[OP_INPUTS_MAX];
    float back[CHUNK];

    kernel->encode(y, 1, n, NULL, out);
    if (!vector_reaches(y, least_infinite(dtype), n))
        return true;
    for (int64_t first = 0; first < n; first += CHUNK) {
        const int64_t count = min_i64(CHUNK, n - first);

        kernel->decode(out + first * size, back, count);
        for (uint32_t j = 0; j < call->nin; j++)
            in[j] = (const float *)range->in[j] + at + first;
        if (!op_check_finite(call, in, call->nin, back, range->first + at + first, count, err))
            return false;
    }
    return true;
}

bool op_put_f64(const struct op_call *call, const struct op_range *range, int64_t at,
                const double *y, int64_t n, struct err *err)
{
    const enum dtype dtype = call->out.dtype;
    const int64_t size = dtype_info(dtype)->bytes;
    uint8_t *out = (uint8_t *)range->out + at * size;
    const double *in[OP_INPUTS_MAX];
    double back[CHUNK];
    int64_t bad;

    encode_f64(dtype, y, out, n);
    bad = kernel_of(dtype)->invalid(out, n);
    for (; bad >= 0 && bad < n; bad += CHUNK) {
        const int64_t count = min_i64(CHUNK, n - bad);

        decode_f64(dtype, out + bad * size, back, count);
        for (uint32_t j = 0; j < call->nin; j++)
            in[j] = (const double *)range->in[j] + at + bad;
        if (!check_finite_f64(call, in, call->nin, back, range->first + at + bad, count, err))
            return false;
    }
    return true;
}
