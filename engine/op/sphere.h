/* sphere.h - what merges along spheres share: vectors, their norms, scalars in the work dtype
 *
 * Their vectors are the inputs, or, where input 0 is a base, what the others differ from it by:
 * X_j = R(x_j - b) (specs/merge.md 2.3, 2.4, 2.8). */
#ifndef OP_SPHERE_H
#define OP_SPHERE_H

#include "kernel/tally.h"
#include "op/share.h"

struct sphere {
    const struct op_call *call;
    const struct steps *s;
    bool base;
    uint32_t k; /* vectors */
    const char *name;
};

/* After infer, for FLOAT inputs. NAME is the method's, for messages. */
struct sphere sphere_of(const struct op_call *call, bool base, const char *name);

/* Elements [AT, AT + N) of vector J of the range: in BUF (N numbers), or where the input lies. */
const void *sphere_vector(const struct sphere *p, const struct op_range *range, uint32_t j,
                          int64_t at, int64_t n, void *buf);

/* What a step sees of a scalar parameter: its f32, or all of it where W is f64. R of a scalar is
 * steps->scalar, which rounds to f32 first. */
static inline double sphere_single(const struct steps *s, double x)
{
    return s->size == 8 ? x : (double)(float)x;
}

/* The square roots of the sums of squares, in f32 (f64 for W = f64); SUM is not yet rounded. */
double sphere_norm(const struct steps *s, double sum);

/* SUM[j] = the sum of squares of elements [AT, AT + N) of vector J, N at most a reduce tile. */
void sphere_squares(const struct sphere *p, const struct op_range *range, int64_t at, int64_t n,
                    double *sum);

/* The total of word J of each of NTILE partials of WORDS f64. */
double sphere_total(const double *partial, uint32_t words, uint32_t j, int64_t ntile);

/* TOTAL[j] of the first k words of the partials, which are sums of squares; fails where one is
 * not finite, naming vector and place: it would reach all of the output. */
bool sphere_totals(const struct sphere *p, const double *partial, uint32_t words, int64_t ntile,
                   double *total, struct err *err) MUST_USE;
/* That failure: vector J is not finite, or too large to square, from element FIRST to LAST;
 * OVER is what it would reach ("the tensor", "the row"). Returns false. */
bool sphere_not_finite(const struct sphere *p, uint32_t j, int64_t first, int64_t last,
                       const char *over, struct err *err);

#endif
