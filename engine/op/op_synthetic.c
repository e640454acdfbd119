/*
 * synthetic - defined random weights, for tests and for planning sizes
 *
 *     name ends in "norm.weight"  y[i] = 1
 *     name ends in ".bias"        y[i] = 0
 *     else  a b c d = Philox block i under the key XXH3_64("vbuild.synthetic.v1\n" + name, seed)
 *           s = (a>>16) + (b>>16) + (c>>16) + (d>>16) - 131070
 *           y[i] = round(f32(s) * 5.2858e-7)          (mean 0, deviation 0.02)
 *
 * shapes  no input; y as the parameter says
 * types   y f32, f16, bf16 or f64
 * rounds  the product in f32, then once, to nearest even, into y
 * errors  TYPE: y is not float; SHAPE, LIMIT: the shape; RECIPE: a name too long
 * source  rulings 18; specs/merge.md 3 (Philox)
 */
#include "base/exact.h"
#include "base/hash.h"
#include "base/sum.h"
#include "kernel/philox.h"
#include "op/share.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK = 1024, NAME_MAX_BYTES = 1000, NAME = 0, SEED, SHAPE, TYPE };

static bool synthetic_infer(struct op_call *call, struct err *err)
{
    const union op_arg *arg = call->arg;
    struct tensor out = {.dtype = arg[TYPE].dtype, .rank = arg[SHAPE].i64s.n};

    if (!dtype_is_float(out.dtype))
        return err_set(err, ERR_TYPE, "synthetic makes f32, f16, bf16 or f64, not %s",
                       dtype_name(out.dtype));
    if (strlen(arg[NAME].word) > NAME_MAX_BYTES)
        return err_set(err, ERR_RECIPE, "a name of %zu bytes, expected at most %d",
                       strlen(arg[NAME].word), NAME_MAX_BYTES);
    if (out.rank > TENSOR_RANK_MAX)
        return err_set(err, ERR_SHAPE, "%" PRIu32 " dimensions, expected at most %d", out.rank,
                       TENSOR_RANK_MAX);
    for (uint32_t i = 0; i < out.rank; i++)
        out.dim[i] = arg[SHAPE].i64s.v[i];
    if (!tensor_check(&out, err))
        return false;
    call->out = out;
    return true;
}

static bool ends_in(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static uint64_t key_of(const struct op_call *call)
{
    char text[NAME_MAX_BYTES + 32];

    snprintf(text, sizeof(text), "vbuild.synthetic.v1\n%s", call->arg[NAME].word);
    return hash_u64(text, strlen(text), (uint64_t)call->arg[SEED].i64);
}

/* CHUNK elements from FIRST; whole lanes, of which the caller takes what it needs. */
static void random_chunk(uint64_t key, uint64_t first, int64_t n, float *y)
{
    uint32_t word[4][PHILOX_LANES];

    for (int64_t at = 0; at < n; at += PHILOX_LANES) {
        philox_lanes(key, first + (uint64_t)at, word);
        for (int l = 0; l < PHILOX_LANES; l++) {
            const uint32_t sum =
                (word[0][l] >> 16) + (word[1][l] >> 16) + (word[2][l] >> 16) + (word[3][l] >> 16);

            y[at + l] = (float)((int32_t)sum - 131070) * 5.2858e-7f;
        }
    }
}

static bool synthetic_rows(const struct op_call *call, const void *state,
                           const struct op_range *range, struct err *err)
{
    const char *name = call->arg[NAME].word;
    const bool norm = ends_in(name, "norm.weight"), bias = ends_in(name, ".bias");
    const uint64_t key = key_of(call);
    float y[CHUNK];

    (void)state;
    for (int64_t i = 0; i < CHUNK; i++)
        y[i] = norm ? 1.0f : 0.0f;
    for (int64_t at = 0; at < range->n; at += CHUNK) {
        const int64_t n = min_i64(CHUNK, range->n - at);

        if (!norm && !bias)
            random_chunk(key, (uint64_t)(range->first + at), n, y);
        if (!op_put_f32(call, range, at, y, n, err))
            return false;
    }
    return true;
}

static const struct param synthetic_params[] = {
    {"name", PARAM_TEXT, 0, 0, NULL, NULL, "the tensor's Hugging Face name"},
    {"seed", PARAM_I64, -0x1p63, 0x1p63, "0", NULL, "another seed, other weights"},
    {"shape", PARAM_I64S, 0, 0x1p62, NULL, NULL, "dimensions, the slowest first"},
    {"type", PARAM_DTYPE, 0, 0, "bf16", NULL, "f32, f16, bf16 or f64"},
};

const struct op op_synthetic = {
    .name = "synthetic",
    .version = 1,
    .in_min = 0,
    .in_max = 0,
    .param = synthetic_params,
    .nparam = countof(synthetic_params),
    .infer = synthetic_infer,
    .rows = synthetic_rows,
};
