/* sphere.c - vectors of merges along spheres, and the sums of their squares */
#include "op/sphere.h"

#include "base/exact.h"
#include "base/sum.h"

#include <inttypes.h>
#include <math.h>

struct sphere sphere_of(const struct op_call *call, bool base, const char *name)
{
    return (struct sphere){call, op_steps(call), base, call->nin - (base ? 1 : 0), name};
}

const void *sphere_vector(const struct sphere *p, const struct op_range *range, uint32_t j,
                          int64_t at, int64_t n, void *buf)
{
    if (!p->base)
        return op_in(p->call, range, j, at, n, buf);
    op_delta(p->call, p->s, range, j + 1, at, n, buf);
    return buf;
}

double sphere_norm(const struct steps *s, double sum)
{
    return sphere_single(s, sqrt(sum));
}

void sphere_squares(const struct sphere *p, const struct op_range *range, int64_t at, int64_t n,
                    double *sum)
{
    double buf[OP_CHUNK];

    for (uint32_t j = 0; j < p->k; j++) {
        struct tally t = {0};

        for (int64_t i = 0; i < n; i += OP_CHUNK) {
            const int64_t count = min_i64(OP_CHUNK, n - i);

            tally_squares(&t, sphere_vector(p, range, j, at + i, count, buf), p->s->size, count);
        }
        sum[j] = tally_end(&t);
    }
}

double sphere_total(const double *partial, uint32_t words, uint32_t j, int64_t ntile)
{
    double total = 0.0;

    for (int64_t i = 0; i < ntile; i++)
        total += partial[i * words + j];
    return total;
}

bool sphere_not_finite(const struct sphere *p, uint32_t j, int64_t first, int64_t last,
                       const char *over, struct err *err)
{
    char from[OP_PLACE], to[OP_PLACE];

    return err_set(err, ERR_TYPE,
                   "input %" PRIu32 "%s holds NaN, infinity or too large a number between %s and "
                   "%s, which %s would spread over %s",
                   j + (p->base ? 2 : 1), p->base ? " (or the base, input 1)" : "",
                   op_place(&p->call->out, first, from), op_place(&p->call->out, last, to), p->name,
                   over);
}

bool sphere_totals(const struct sphere *p, const double *partial, uint32_t words, int64_t ntile,
                   double *total, struct err *err)
{
    const int64_t elements = tensor_elements(&p->call->out);

    for (int64_t i = 0; i < ntile; i++)
        for (uint32_t j = 0; j < p->k; j++)
            if (!isfinite(partial[i * words + j]))
                return sphere_not_finite(
                    p, j, i * OP_TILE, min_i64((i + 1) * OP_TILE, elements) - 1, "the tensor", err);
    for (uint32_t j = 0; j < p->k; j++) {
        total[j] = sphere_total(partial, words, j, ntile);
        if (!isfinite(total[j]))
            return sphere_not_finite(p, j, 0, elements - 1, "the tensor", err);
    }
    return true;
}
