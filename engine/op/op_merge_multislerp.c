/*
 * merge_multislerp - the weighted mean of several directions on the sphere, with a mean length
 *
 *     X_j = x_j, or with a base b: R(x_j - b); all of the tensor is one vector
 *     w = R(weights); with normalize: R(w / R(sum w)); e = eps
 *     N_j = R(||X_j||), U_j = R(X_j / R(N_j + e))
 *     M = R(sum R(U_j*w_j)), m = R(||M||)
 *     m < R(e) or m = 0: two inputs: y = R(R(X_1*w_1) + R(X_2*w_2)); more: an error
 *     else  M = R(M/m), d_j = R(sum R(U_j*M)), T = R(sum R(R(U_j - R(d_j*M))*w_j))
 *           n = R(R(||T||) + e), y = R(R(M*R(cos n)) + R(T*R(R(sin n)/n)))
 *           y = R(y * R(sum R(N_j*w_j)))
 *     with a base R(y + b); at the end once into the output's type
 *     one input: y is it; every X_j zero: y is b, or zeros without a base
 *
 * shapes  b (if base), then one or more others, all alike; y as they
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied
 * rounds  R is to the work dtype W of `math`, after every step in f32 (f64 for W = f64); eps is
 *         f32 where it is added; sums over j in f32 in the order of inputs, from 0, then R; other
 *         sums in f64 by tiles (DESIGN section 2), then to f32, then R; cos and sin in f64 of the
 *         f32 argument, then to f32, then R
 * errors  SHAPE, TYPE: inputs; RECIPE: weights; NaN or infinity in an input, which would reach
 *         every element; directions that cancel out; finite inputs give a y that is not
 * source  specs/merge.md 2.4 (mergekit 0.1.5, multislerp), rulings 5 and 6, qm 1, 4, 17 and 18
 */
#include "base/exact.h"
#include "base/fmath.h"
#include "base/sum.h"
#include "op/sphere.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MATH, BASE, WEIGHTS, NORMALIZE, EPS };
enum { PASS_NORMS, PASS_MEAN, PASS_DOTS, PASS_TANGENT };
enum multi_how {
    MULTI_ARC,
    MULTI_LINEAR, /* two opposite directions */
    MULTI_BASE    /* nothing differs from the base */
};

struct multi {
    enum multi_how how;
    double mean;           /* m: ||M|| before M is divided by it */
    double along, tangent; /* R(cos n), R(R(sin n)/n) */
    double length;         /* R(sum R(N_j*w_j)) */
    double w[OP_INPUTS_MAX];
    double unit[OP_INPUTS_MAX]; /* R(N_j + e) */
    double dot[OP_INPUTS_MAX];
};

static struct sphere inputs_of(const struct op_call *call)
{
    return sphere_of(call, call->arg[BASE].flag, "multislerp");
}

static uint32_t vectors(const struct op_call *call)
{
    return call->nin - (call->arg[BASE].flag ? 1 : 0);
}

/* One input, which is the result. */
static bool alone(const struct op_call *call)
{
    return vectors(call) == 1;
}

/* The sum of N numbers as steps of W take it: in f32 (f64), from 0, then R. */
static double sum_of(const struct steps *s, const double *x, uint32_t n)
{
    double sum = 0.0;

    for (uint32_t i = 0; i < n; i++)
        sum = sphere_single(s, sum + x[i]);
    return s->scalar(sum);
}

static bool weights_of(const struct op_call *call, double *w, struct err *err)
{
    const struct steps *s = op_steps(call);
    const uint32_t k = vectors(call);
    double sum;

    for (uint32_t j = 0; j < k; j++) {
        w[j] = s->scalar(call->arg[WEIGHTS].f64s.v[j]);
        if (!isfinite(w[j]))
            return err_set(err, ERR_RECIPE, "weight %g is too large for %s",
                           call->arg[WEIGHTS].f64s.v[j], dtype_name(s->work));
    }
    if (!call->arg[NORMALIZE].flag)
        return true;
    sum = sum_of(s, w, k);
    if (sum == 0.0 || !isfinite(sum))
        return err_set(err, ERR_RECIPE,
                       "the weights sum to %g in %s, which cannot be normalized; set normalize to "
                       "false, or change them",
                       sum, dtype_name(s->work));
    for (uint32_t j = 0; j < k; j++)
        w[j] = s->scalar(w[j] / sum);
    return true;
}

static bool multislerp_infer(struct op_call *call, struct err *err)
{
    const uint32_t n = call->arg[WEIGHTS].f64s.n, base = call->arg[BASE].flag ? 1 : 0;
    double w[OP_INPUTS_MAX];

    if (call->nin < 1 + base || call->nin - base != n)
        return err_set(err, ERR_RECIPE, "%" PRIu32 " inputs%s and %" PRIu32 " weights: one each",
                       call->nin < base ? 0 : call->nin - base, base ? " beside the base" : "", n);
    if (!op_infer_merge(call, err))
        return false;
    return op_is_plain(call) || alone(call) || weights_of(call, w, err);
}

static bool multislerp_identity(const struct op_call *call)
{
    return call->nin == 1;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static const void *unit(const struct sphere *p, const struct multi *m, const struct op_range *range,
                        uint32_t j, int64_t at, int64_t n, void *buf)
{
    p->s->over(buf, sphere_vector(p, range, j, at, n, buf), m->unit[j], n);
    return buf;
}

/* M before it is divided by its norm. */
static void mean(const struct sphere *p, const struct multi *m, const struct op_range *range,
                 int64_t at, int64_t n, void *y)
{
    const struct steps *wide = op_steps_wide(p->s);
    double buf[OP_CHUNK];

    memset(y, 0, (size_t)n * p->s->size);
    for (uint32_t j = 0; j < p->k; j++) {
        p->s->scale(buf, unit(p, m, range, j, at, n, buf), m->w[j], n);
        wide->add(y, y, buf, n);
    }
    if (p->s != wide)
        p->s->scale(y, y, 1.0, n);
}

static void direction(const struct sphere *p, const struct multi *m, const struct op_range *range,
                      int64_t at, int64_t n, void *y)
{
    mean(p, m, range, at, n, y);
    p->s->over(y, y, m->mean, n);
}

/* T, of M as direction gives it. */
static void tangent(const struct sphere *p, const struct multi *m, const struct op_range *range,
                    int64_t at, int64_t n, const void *along, void *y)
{
    const struct steps *s = p->s, *wide = op_steps_wide(s);
    double buf[OP_CHUNK], part[OP_CHUNK];

    memset(y, 0, (size_t)n * s->size);
    for (uint32_t j = 0; j < p->k; j++) {
        s->scale(part, along, m->dot[j], n);
        s->sub(buf, unit(p, m, range, j, at, n, buf), part, n);
        s->scale(buf, buf, m->w[j], n);
        wide->add(y, y, buf, n);
    }
    if (s != wide)
        s->scale(y, y, 1.0, n);
}

/* ---- passes ---------------------------------------------------------------------------------- */

static size_t multislerp_state(const struct op_call *call)
{
    return op_is_plain(call) || alone(call) ? 0 : sizeof(struct multi);
}

static uint32_t words(const struct op_call *call, uint32_t pass)
{
    return pass == PASS_NORMS || pass == PASS_DOTS ? vectors(call) : 1;
}

static size_t multislerp_partial(const struct op_call *call, uint32_t pass)
{
    return words(call, pass) * sizeof(double);
}

static void multislerp_reduce(const struct op_call *call, uint32_t pass, const void *state,
                              const struct op_range *range, void *partial, void *worker)
{
    const struct sphere p = inputs_of(call);
    const struct multi *m = state;
    struct tally t[OP_INPUTS_MAX] = {0};
    double y[OP_CHUNK], buf[OP_CHUNK], *sum = partial;

    (void)worker;
    if (pass == PASS_NORMS) {
        sphere_squares(&p, range, 0, range->n, partial);
        return;
    }
    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);

        if (pass == PASS_MEAN) {
            mean(&p, m, range, at, n, y);
            tally_squares(&t[0], y, p.s->size, n);
            continue;
        }
        direction(&p, m, range, at, n, y);
        if (pass == PASS_TANGENT) {
            tangent(&p, m, range, at, n, y, buf);
            tally_squares(&t[0], buf, p.s->size, n);
            continue;
        }
        for (uint32_t j = 0; j < p.k; j++) {
            p.s->mul(buf, unit(&p, m, range, j, at, n, buf), y, n);
            tally_add(&t[j], buf, p.s->size, n);
        }
    }
    for (uint32_t j = 0; j < words(call, pass); j++)
        sum[j] = tally_end(&t[j]);
}

static enum op_more combine_norms(const struct sphere *p, struct multi *m, const double *partial,
                                  int64_t ntile, struct err *err)
{
    const double eps = sphere_single(p->s, p->call->arg[EPS].f64);
    double total[OP_INPUTS_MAX], part[OP_INPUTS_MAX];
    bool zero = true;

    if (!sphere_totals(p, partial, p->k, ntile, total, err) || !weights_of(p->call, m->w, err))
        return OP_FAILED;
    for (uint32_t j = 0; j < p->k; j++) {
        const double norm = p->s->scalar(sqrt(total[j]));

        zero &= total[j] == 0.0;
        part[j] = p->s->scalar(norm * m->w[j]);
        m->unit[j] = p->s->scalar(norm + eps);
    }
    m->length = sum_of(p->s, part, p->k);
    m->how = zero ? MULTI_BASE : MULTI_ARC;
    return zero ? OP_DONE : OP_AGAIN;
}

static enum op_more combine_mean(const struct sphere *p, struct multi *m, double total,
                                 struct err *err)
{
    m->mean = p->s->scalar(sqrt(total));
    if (!(m->mean < p->s->scalar(p->call->arg[EPS].f64)) && m->mean != 0.0)
        return OP_AGAIN;
    if (p->k == 2) {
        m->how = MULTI_LINEAR;
        return OP_DONE;
    }
    err_set(err, ERR_TYPE,
            "the weighted sum of the %" PRIu32 " directions is zero, so multislerp has none to "
            "go along; change the weights, or leave out an input",
            p->k);
    return OP_FAILED;
}

static enum op_more multislerp_combine(const struct op_call *call, uint32_t pass, void *state,
                                       const void *partial, int64_t ntile, const void *counts,
                                       struct err *err)
{
    const struct sphere p = inputs_of(call);
    const struct steps *s = p.s;
    struct multi *m = state;
    double n;

    (void)counts;
    if (pass == PASS_NORMS)
        return combine_norms(&p, m, partial, ntile, err);
    if (pass == PASS_MEAN)
        return combine_mean(&p, m, sphere_total(partial, 1, 0, ntile), err);
    if (pass == PASS_DOTS) {
        for (uint32_t j = 0; j < p.k; j++)
            m->dot[j] = s->scalar(sphere_total(partial, p.k, j, ntile));
        return OP_AGAIN;
    }
    n = s->scalar(s->scalar(sqrt(sphere_total(partial, 1, 0, ntile))) +
                  sphere_single(s, call->arg[EPS].f64));
    m->along = s->scalar(fmath_cos(n));
    m->tangent = s->scalar(s->scalar(fmath_sin(n)) / n);
    return OP_DONE;
}

/* ---- rows ------------------------------------------------------------------------------------ */

static void chunk(const struct sphere *p, const struct multi *m, const struct op_range *range,
                  int64_t at, int64_t n, void *y)
{
    double buf[OP_CHUNK];

    if (m->how == MULTI_LINEAR) {
        p->s->blend(y, m->w[0], sphere_vector(p, range, 0, at, n, y), m->w[1],
                    sphere_vector(p, range, 1, at, n, buf), n);
    } else {
        direction(p, m, range, at, n, y);
        tangent(p, m, range, at, n, y, buf);
        p->s->blend(y, m->along, y, m->tangent, buf, n);
        p->s->scale(y, y, m->length, n);
    }
    if (p->base)
        p->s->add(y, y, op_in(p->call, range, 0, at, n, buf), n);
}

static bool multislerp_rows(const struct op_call *call, const void *state,
                            const struct op_range *range, struct err *err)
{
    const struct multi *m = state;
    double y[OP_CHUNK] = {0};
    struct sphere p;

    if (op_is_plain(call))
        return op_same(call, range, err);
    p = inputs_of(call);
    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);
        const void *from = y;

        if (alone(call) || m->how == MULTI_BASE) {
            if (alone(call) || p.base)
                from = op_in(call, range, alone(call) && p.base ? 1 : 0, at, n, y);
        } else {
            chunk(&p, m, range, at, n, y);
        }
        if (!op_put(call, range, at, from, n, err))
            return false;
    }
    return true;
}

static const struct param multislerp_params[] = {
    OP_MATH,
    {"base", PARAM_BOOL, 0, 0, "false", NULL,
     "input 1 is a base: what the others differ from it by is merged, and added to it"},
    {"weights", PARAM_F64S, -1e30, 1e30, NULL, NULL, "one a tensor but the base, in their order"},
    {"normalize", PARAM_BOOL, 0, 0, "true", NULL, "divide the weights by their sum"},
    {"eps", PARAM_F64, 0, 1e30, "1e-8", NULL,
     "added to lengths that divide; a mean direction shorter than this is none"},
};

const struct op op_merge_multislerp = {
    .name = "merge_multislerp",
    .version = 1,
    .in_min = 1,
    .in_max = OP_INPUTS_MAX,
    .param = multislerp_params,
    .nparam = countof(multislerp_params),
    .infer = multislerp_infer,
    .identity = multislerp_identity,
    .form = op_form_raw,
    .passes_max = 4,
    .state_bytes = multislerp_state,
    .partial_bytes = multislerp_partial,
    .reduce = multislerp_reduce,
    .combine = multislerp_combine,
    .rows = multislerp_rows,
};
