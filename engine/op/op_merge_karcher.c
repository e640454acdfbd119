/*
 * merge_karcher - the mean of several directions on the sphere (Karcher, Frechet), times the mean
 *                 length
 *
 *     all of the tensor is one vector; k inputs
 *     N_j = ||x_j||, u_j = R(x_j / N_j), or 0 where N_j = 0; V = those with N_j > tol, a = 1/|V|
 *     m = 0; over V: m = R(m + R(a*u_j)); n = ||m||; n < tol: m = the first u, else R(m / n)
 *     at most max_iter times:
 *       g = 0; over V: d = R(m . u_j) kept in [-1, 1], th = R(acos(d)); th < tol: nothing, else
 *              g = R(g + R(R(a*R(th/R(sin th))) * R(u_j - R(d*m))))
 *       n = ||g||; n < tol: stop
 *       m = R(R(R(cos(n))*m) + R(R(sin(n))*R(g/n))); l = ||m||; l > tol: m = R(m/l)
 *     y = R(R(sum_j N_j/k)*m), at the end once into the output's type
 *     one input: y is it; V empty: y = 0
 *
 * shapes  all inputs alike; y as they
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied
 * rounds  R is to the work dtype W of `math`, after every step in f32 (f64 for W = f64); norms and
 *         a are f32, and so are cos(n), sin(n) and sum_j N_j/k before their R: what divides a
 *         vector is f32, what stands before one in a product is of W (mergekit's tensors of no
 *         dimension); sums along the tensor in f64 of exact products, by tiles (DESIGN section 2),
 *         then to f32; acos, sin and cos in f64 of the f32 argument, then to f32
 * memory  m and g are kept from pass to pass, in W: a round is three passes, each of one step
 * errors  SHAPE, TYPE: inputs; NaN or infinity in an input, which would reach every element;
 *         finite inputs give a y that is not (row and column)
 * source  specs/merge.md 2.5 (mergekit 0.1.5, karcher), rulings 5 and 6, qm 1, 18 and 19
 */
#include "base/exact.h"
#include "base/fmath.h"
#include "base/hash.h"
#include "base/sum.h"
#include "kernel/kernel.h"
#include "op/sphere.h"

#include <math.h>
#include <string.h>

enum { MATH, MAX_ITER, TOL };
enum { ITER_MAX = 1000 };
/* Passes: norms, the norm of the first mean, then three for each round. Each needs a scalar of
 * the one before it, of vectors rounded to W: none of them can be left out. */
enum { PASS_NORMS, PASS_MEAN, PASS_ROUNDS };
enum round_pass { ROUND_DOTS, ROUND_TANGENT, ROUND_MOVE, ROUND_PASSES };

/* What is kept: two vectors of W, one after the other. */
enum plane { PLANE_M, PLANE_G, PLANES };

/* What makes the kept m the one that is meant. */
enum rest {
    REST_NONE,
    REST_LENGTH, /* it is to be divided by length */
    REST_FIRST,  /* it is the first u of V, and not kept */
};

struct karcher {
    uint32_t valid;
    uint32_t of[OP_INPUTS_MAX]; /* V: which inputs */
    double norm[OP_INPUTS_MAX]; /* N_j of V */
    double share;               /* a */
    double scale;               /* sum_j N_j/k */
    enum rest rest;
    double length;
    double d[OP_INPUTS_MAX];  /* of the round, for each of V */
    double by[OP_INPUTS_MAX]; /* the factor of u - d*m; 0: left out */
    double norm_g, cos, sin;
    uint32_t rounds, rounds_max; /* complete, and how many there shall be */
    bool cycle;                  /* rounds repeat, and rounds_max is chosen by it */
    struct digest seen[];        /* of m before each round */
};

static struct sphere inputs_of(const struct op_call *call)
{
    return sphere_of(call, false, "karcher");
}

static bool karcher_identity(const struct op_call *call)
{
    return call->nin == 1;
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static size_t karcher_keep(const struct op_call *call)
{
    if (op_is_plain(call) || call->nin == 1)
        return 0;
    return PLANES * dtype_info(op_steps(call)->work)->bytes;
}

/* Kept numbers from element AT of the range on. */
static void *kept(const struct sphere *p, const struct op_range *range, enum plane plane,
                  int64_t at)
{
    const int64_t before = plane == PLANE_M ? 0 : tensor_elements(&p->call->out);

    return (unsigned char *)range->keep +
           (before + range->first + at) * dtype_info(p->s->work)->bytes;
}

static void get(const struct sphere *p, const struct op_range *range, enum plane plane, int64_t at,
                int64_t n, void *to)
{
    const void *from = kept(p, range, plane, at);

    if (p->s->size == 8)
        memcpy(to, from, (size_t)n * 8);
    else
        kernel_of(p->s->work)->decode(from, to, n);
}

/* Exact: the numbers are of W. */
static void put(const struct sphere *p, const struct op_range *range, enum plane plane, int64_t at,
                int64_t n, const void *from)
{
    void *to = kept(p, range, plane, at);

    if (p->s->size == 8)
        memcpy(to, from, (size_t)n * 8);
    else
        kernel_of(p->s->work)->encode(from, 1, n, NULL, to);
}

/* u of the I-th of V. */
static void unit(const struct sphere *p, const struct karcher *k, const struct op_range *range,
                 uint32_t i, int64_t at, int64_t n, void *u)
{
    p->s->over(u, op_in(p->call, range, k->of[i], at, n, u), k->norm[i], n);
}

/* m between two rounds, or after the last. */
static void mean(const struct sphere *p, const struct karcher *k, const struct op_range *range,
                 int64_t at, int64_t n, void *m)
{
    if (k->rest == REST_FIRST) {
        unit(p, k, range, 0, at, n, m);
        return;
    }
    get(p, range, PLANE_M, at, n, m);
    if (k->rest == REST_LENGTH)
        p->s->over(m, m, k->length, n);
}

/* The first m, before it is divided by its norm. */
static void first_mean(const struct sphere *p, const struct karcher *k,
                       const struct op_range *range, int64_t at, int64_t n, struct tally *t)
{
    double m[OP_CHUNK], u[OP_CHUNK];

    memset(m, 0, (size_t)n * p->s->size);
    for (uint32_t i = 0; i < k->valid; i++) {
        unit(p, k, range, i, at, n, u);
        p->s->scale_add(m, u, k->share, n);
    }
    put(p, range, PLANE_M, at, n, m);
    tally_squares(t, m, p->s->size, n);
}

static void dots(const struct sphere *p, const struct karcher *k, const struct op_range *range,
                 int64_t at, int64_t n, struct tally *t)
{
    double m[OP_CHUNK], u[OP_CHUNK];

    mean(p, k, range, at, n, m);
    if (k->rest != REST_NONE)
        put(p, range, PLANE_M, at, n, m);
    for (uint32_t i = 0; i < k->valid; i++) {
        unit(p, k, range, i, at, n, u);
        tally_products(&t[i], m, u, p->s->size, n);
    }
}

static void tangent(const struct sphere *p, const struct karcher *k, const struct op_range *range,
                    int64_t at, int64_t n, struct tally *t)
{
    double m[OP_CHUNK], g[OP_CHUNK], u[OP_CHUNK], part[OP_CHUNK];

    get(p, range, PLANE_M, at, n, m);
    memset(g, 0, (size_t)n * p->s->size);
    for (uint32_t i = 0; i < k->valid; i++) {
        if (k->by[i] == 0.0)
            continue;
        unit(p, k, range, i, at, n, u);
        p->s->scale(part, m, k->d[i], n);
        p->s->sub(part, u, part, n);
        p->s->scale_add(g, part, k->by[i], n);
    }
    put(p, range, PLANE_G, at, n, g);
    tally_squares(t, g, p->s->size, n);
}

/* m from its g, before it is divided by its norm. */
static void move(const struct sphere *p, const struct karcher *k, const struct op_range *range,
                 int64_t at, int64_t n, struct tally *t)
{
    double m[OP_CHUNK], g[OP_CHUNK];

    get(p, range, PLANE_M, at, n, m);
    get(p, range, PLANE_G, at, n, g);
    p->s->over(g, g, k->norm_g, n);
    p->s->blend(m, k->cos, m, k->sin, g, n);
    put(p, range, PLANE_M, at, n, m);
    tally_squares(t, m, p->s->size, n);
}

/* ---- passes ---------------------------------------------------------------------------------- */

static size_t karcher_state(const struct op_call *call)
{
    if (op_is_plain(call) || call->nin == 1)
        return 0;
    return sizeof(struct karcher) + (size_t)call->arg[MAX_ITER].i64 * sizeof(struct digest);
}

static uint32_t round_pass(uint32_t pass)
{
    return (pass - PASS_ROUNDS) % ROUND_PASSES;
}

static bool is_dots(uint32_t pass)
{
    return pass >= PASS_ROUNDS && round_pass(pass) == ROUND_DOTS;
}

/* Sums of a tile; after those of dots, the digest of m there. */
static uint32_t words_of(const struct op_call *call, uint32_t pass)
{
    if (is_dots(pass))
        return call->nin + (uint32_t)(sizeof(struct digest) / sizeof(double));
    return pass == PASS_NORMS ? call->nin : 1;
}

static size_t karcher_partial(const struct op_call *call, uint32_t pass)
{
    return words_of(call, pass) * sizeof(double);
}

static void karcher_reduce(const struct op_call *call, uint32_t pass, const void *state,
                           const struct op_range *range, void *partial, void *worker)
{
    const struct sphere p = inputs_of(call);
    struct tally t[OP_INPUTS_MAX] = {0};
    double *sum = partial;

    (void)worker;
    if (pass == PASS_NORMS) {
        sphere_squares(&p, range, 0, range->n, partial);
        return;
    }
    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);

        if (pass == PASS_MEAN)
            first_mean(&p, state, range, at, n, t);
        else if (round_pass(pass) == ROUND_DOTS)
            dots(&p, state, range, at, n, t);
        else if (round_pass(pass) == ROUND_TANGENT)
            tangent(&p, state, range, at, n, t);
        else
            move(&p, state, range, at, n, t);
    }
    for (uint32_t i = 0; i < (is_dots(pass) ? call->nin : 1); i++)
        sum[i] = tally_end(&t[i]);
    if (is_dots(pass)) {
        const struct digest d = hash_bytes(kept(&p, range, PLANE_M, 0),
                                           (size_t)range->n * dtype_info(p.s->work)->bytes);

        memcpy(sum + call->nin, &d, sizeof(d));
    }
}

static enum op_more combine_norms(const struct sphere *p, struct karcher *k, const double *partial,
                                  int64_t ntile, struct err *err)
{
    const double alpha = sphere_single(p->s, 1.0 / p->k);
    double total[OP_INPUTS_MAX];

    if (!sphere_totals(p, partial, p->k, ntile, total, err))
        return OP_FAILED;
    for (uint32_t j = 0; j < p->k; j++) {
        const double norm = sphere_norm(p->s, total[j]);

        k->scale = sphere_single(p->s, k->scale + sphere_single(p->s, alpha * norm));
        if (norm > p->call->arg[TOL].f64) {
            k->of[k->valid] = j;
            k->norm[k->valid++] = norm;
        }
    }
    if (k->valid == 0)
        return OP_DONE;
    k->share = sphere_single(p->s, 1.0 / k->valid);
    return OP_AGAIN;
}

static enum op_more combine_mean(const struct sphere *p, struct karcher *k, double sum)
{
    k->length = sphere_norm(p->s, sum);
    k->rest = k->length < p->call->arg[TOL].f64 ? REST_FIRST : REST_LENGTH;
    k->rounds_max = (uint32_t)p->call->arg[MAX_ITER].i64;
    return k->rounds_max == 0 ? OP_DONE : OP_AGAIN;
}

/* A round depends on m alone. Where m is what it was before an earlier round, as rounding to 16
 * bits brings about, what follows is known: whole cycles are left out. */
static void find_cycle(struct karcher *k, struct digest d)
{
    for (uint32_t r = 0; r < k->rounds && !k->cycle; r++) {
        if (!digest_eq(k->seen[r], d))
            continue;
        k->cycle = true;
        k->rounds_max = k->rounds + (k->rounds_max - k->rounds) % (k->rounds - r);
    }
    k->seen[k->rounds] = d;
}

static struct digest digest_of_tiles(const double *partial, uint32_t words, uint32_t at,
                                     int64_t ntile)
{
    struct digest d[2] = {0};

    for (int64_t i = 0; i < ntile; i++) {
        memcpy(&d[1], partial + i * words + at, sizeof(d[1]));
        d[0] = hash_bytes(d, sizeof(d));
    }
    return d[0];
}

/* d and factor of each of V; OP_DONE where none is far enough to move m. */
static enum op_more combine_dots(const struct sphere *p, struct karcher *k, const double *partial,
                                 uint32_t words, int64_t ntile)
{
    const struct steps *s = p->s;
    bool moves = false;

    k->rest = REST_NONE;
    find_cycle(k, digest_of_tiles(partial, words, p->k, ntile));
    if (k->rounds == k->rounds_max)
        return OP_DONE;
    for (uint32_t i = 0; i < k->valid; i++) {
        double d = s->scalar(sphere_total(partial, words, i, ntile)), th;

        d = d < -1.0 ? -1.0 : d > 1.0 ? 1.0 : d;
        th = s->scalar(fmath_acos(d));
        k->d[i] = d;
        k->by[i] = 0.0;
        if (th < p->call->arg[TOL].f64 || th == 0.0)
            continue;
        k->by[i] = s->scalar(k->share * s->scalar(th / s->scalar(fmath_sin(th))));
        moves = true;
    }
    return moves ? OP_AGAIN : OP_DONE;
}

static enum op_more combine_tangent(const struct sphere *p, struct karcher *k, double sum)
{
    k->norm_g = sphere_norm(p->s, sum);
    k->cos = p->s->scalar(fmath_cos(k->norm_g));
    k->sin = p->s->scalar(fmath_sin(k->norm_g));
    return k->norm_g < p->call->arg[TOL].f64 || k->norm_g == 0.0 ? OP_DONE : OP_AGAIN;
}

static enum op_more combine_move(const struct sphere *p, struct karcher *k, double sum)
{
    k->length = sphere_norm(p->s, sum);
    k->rest = k->length > p->call->arg[TOL].f64 ? REST_LENGTH : REST_NONE;
    k->rounds++;
    return k->rounds == k->rounds_max ? OP_DONE : OP_AGAIN;
}

static enum op_more karcher_combine(const struct op_call *call, uint32_t pass, void *state,
                                    const void *partial, int64_t ntile, const void *counts,
                                    struct err *err)
{
    const struct sphere p = inputs_of(call);

    (void)counts;
    if (pass == PASS_NORMS)
        return combine_norms(&p, state, partial, ntile, err);
    if (is_dots(pass))
        return combine_dots(&p, state, partial, words_of(call, pass), ntile);
    const double sum = sphere_total(partial, 1, 0, ntile);

    if (pass == PASS_MEAN)
        return combine_mean(&p, state, sum);
    return round_pass(pass) == ROUND_TANGENT ? combine_tangent(&p, state, sum)
                                             : combine_move(&p, state, sum);
}

static bool karcher_rows(const struct op_call *call, const void *state,
                         const struct op_range *range, struct err *err)
{
    const struct karcher *k = state;
    double m[OP_CHUNK] = {0};
    struct sphere p;

    if (op_is_plain(call))
        return op_same(call, range, err);
    p = inputs_of(call);
    for (int64_t at = 0; at < range->n; at += OP_CHUNK) {
        const int64_t n = min_i64(OP_CHUNK, range->n - at);
        const void *y = call->nin == 1 ? op_in(call, range, 0, at, n, m) : m;

        if (call->nin > 1 && k->valid > 0) {
            mean(&p, k, range, at, n, m);
            p.s->scale(m, m, p.s->scalar(k->scale), n);
        }
        if (!op_put(call, range, at, y, n, err))
            return false;
    }
    return true;
}

static const struct param karcher_params[] = {
    OP_MATH,
    {"max_iter", PARAM_I64, 0, ITER_MAX, "10", NULL, "rounds at most"},
    {"tol", PARAM_F64, 0, 1e30, "1e-5", NULL,
     "angles, moves and lengths below this count as none; a move below it ends the rounds"},
};

const struct op op_merge_karcher = {
    .name = "merge_karcher",
    .version = 1,
    .in_min = 1,
    .in_max = OP_INPUTS_MAX,
    .param = karcher_params,
    .nparam = countof(karcher_params),
    .infer = op_infer_merge,
    .identity = karcher_identity,
    .form = op_form_raw,
    .passes_max = PASS_ROUNDS + ROUND_PASSES * ITER_MAX,
    .state_bytes = karcher_state,
    .partial_bytes = karcher_partial,
    .keep_bytes = karcher_keep,
    .reduce = karcher_reduce,
    .combine = karcher_combine,
    .rows = karcher_rows,
};
