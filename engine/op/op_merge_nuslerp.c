/*
 * merge_nuslerp - go from one tensor towards another along the arc, as one vector or row by row
 *
 *     v0, v1 are the two inputs, or with a base b: R(x - b); for each pair of vectors
 *     unit(v) = R(v / max(R(||v||), 1e-7)), c = R(sum R(unit(v0)*unit(v1))) kept in [-1, 1]
 *     R(1 - R(c*c)) <= 1e-16:  y = R(R((1-t)*v0) + R(t*v1))
 *     else  th = R(acos(c)), y = R(R(R(A*v0) + R(B*v1)) / R(sin(th))),
 *           A = R(sin(R((1-t)*th))), B = R(sin(R(t*th)))
 *     with a base R(b + y); at the end once into the output's type
 *
 * axis    flat: the whole tensor is one vector; last: vectors along the last axis (rows of a
 *         matrix); first: along axis 0 (its columns). One axis: always one vector
 * shapes  b (if base), then two others, all alike; y as they
 * types   float inputs, promoted: equal ones give the same, any f64 gives f64, all else f32;
 *         integers: bit-equal inputs, copied
 * rounds  R is to the work dtype W of `math`, after every step in f32 (f64 for W = f64); 1-t and t
 *         to f32; sums in f64, of tiles of 65,536 along the vector (DESIGN section 2), down a
 *         column of blocks of 1,024 rows, then to f32, then R; acos and sin in f64 of the f32
 * argument, then to f32, then R errors  SHAPE, TYPE: inputs; NaN or infinity in a vector, which
 * would reach all of it (the vector's place); finite inputs give a y that is not (row and column)
 * source  specs/merge.md 2.3 (mergekit 0.1.5, nuslerp), rulings 5 and 6, qm 1, 18 and 46
 */
#include "base/exact.h"
#include "base/fmath.h"
#include "base/sum.h"
#include "op/sphere.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum { MATH, BASE, FAR, AXIS };
enum { PASS_NORMS, PASS_DOT };
/* Sums of a column while a pass runs: of its block of rows, in order, and of the blocks before. */
enum { BLOCK, TOTAL, SUMS };
enum { BLOCK_ROWS = 1024 };

/* y = R(R(R(ka*a) + R(kb*b)) / over) */
struct arc {
    double ka, kb, over;
};

struct flat {
    double least[2]; /* max(R(||v||), 1e-7) */
    struct arc arc;
};

static const char *const axes[] = {"flat", "last", "first", NULL};

static struct sphere pair_of(const struct op_call *call)
{
    return sphere_of(call, call->arg[BASE].flag, "nuslerp");
}

/* Elements beside each other on axis 0, where the vectors lie along it; else 0. */
static int64_t columns(const struct op_call *call)
{
    const struct tensor *t = &call->out;

    if (strcmp(call->arg[AXIS].word, "first") != 0 || t->rank < 2 || t->dim[0] == 0)
        return 0;
    return max_i64(1, tensor_elements(t) / t->dim[0]);
}

static bool by_rows(const struct op_call *call)
{
    return strcmp(call->arg[AXIS].word, "last") == 0 && call->out.rank > 1;
}

static bool nuslerp_infer(struct op_call *call, struct err *err)
{
    const uint32_t want = call->arg[BASE].flag ? 3 : 2;

    if (call->nin != want)
        return err_set(err, ERR_RECIPE, "%" PRIu32 " inputs, nuslerp takes two%s", call->nin,
                       want == 3 ? " and a base" : ", and base = true with a base before them");
    return op_infer_merge(call, err);
}

static int64_t nuslerp_granule(const struct op_call *call)
{
    return by_rows(call) ? max_i64(1, tensor_cols(&call->out)) : 1;
}

/* ---- scalars of one pair of vectors ---------------------------------------------------------- */

static double least_of(const struct steps *s, double sum)
{
    const double norm = s->scalar(sqrt(sum)), least = s->scalar(1e-7);

    return norm < least ? least : norm;
}

static struct arc arc_of(const struct steps *s, double t, double dot)
{
    const double here = sphere_single(s, 1.0 - t), there = sphere_single(s, t);
    double c = s->scalar(dot), th;

    c = c < -1.0 ? -1.0 : c > 1.0 ? 1.0 : c;
    if (s->scalar(1.0 - s->scalar(c * c)) <= s->scalar(1e-16))
        return (struct arc){here, there, 1.0};
    th = s->scalar(fmath_acos(c));
    return (struct arc){s->scalar(fmath_sin(s->scalar(here * th))),
                        s->scalar(fmath_sin(s->scalar(there * th))), s->scalar(fmath_sin(th))};
}

/* ---- one vector in a range: flat, or a row --------------------------------------------------- */

static double unit_products(const struct sphere *p, const struct op_range *range, int64_t at,
                            int64_t n, const double *least)
{
    double a[OP_CHUNK], b[OP_CHUNK];
    struct tally t = {0};

    for (int64_t i = 0; i < n; i += OP_CHUNK) {
        const int64_t count = min_i64(OP_CHUNK, n - i);

        p->s->over(a, sphere_vector(p, range, 0, at + i, count, a), least[0], count);
        p->s->over(b, sphere_vector(p, range, 1, at + i, count, b), least[1], count);
        p->s->mul(a, a, b, count);
        tally_add(&t, a, p->s->size, count);
    }
    return tally_end(&t);
}

/* Y, N numbers of work dtype, is the result less the base. */
static bool put(const struct sphere *p, const struct op_range *range, int64_t at, void *y,
                int64_t n, struct err *err)
{
    double base[OP_CHUNK];

    if (p->base)
        p->s->add(y, op_in(p->call, range, 0, at, n, base), y, n);
    return op_put(p->call, range, at, y, n, err);
}

static bool along_arc(const struct sphere *p, const struct op_range *range, int64_t at, int64_t n,
                      const struct arc *arc, struct err *err)
{
    double a[OP_CHUNK], b[OP_CHUNK];

    for (int64_t i = 0; i < n; i += OP_CHUNK) {
        const int64_t count = min_i64(OP_CHUNK, n - i);

        p->s->blend(a, arc->ka, sphere_vector(p, range, 0, at + i, count, a), arc->kb,
                    sphere_vector(p, range, 1, at + i, count, b), count);
        if (arc->over != 1.0)
            p->s->over(a, a, arc->over, count);
        if (!put(p, range, at + i, a, count, err))
            return false;
    }
    return true;
}

static bool row(const struct sphere *p, const struct op_range *range, int64_t at, int64_t n,
                struct err *err)
{
    double sum[2] = {0}, dot = 0.0, least[2];
    struct arc arc;

    for (int64_t i = 0; i < n; i += OP_TILE) {
        double tile[2];

        sphere_squares(p, range, at + i, min_i64(OP_TILE, n - i), tile);
        sum[0] += tile[0];
        sum[1] += tile[1];
    }
    for (uint32_t j = 0; j < 2; j++) {
        if (!isfinite(sum[j]))
            return sphere_not_finite(p, j, range->first + at, range->first + at + n - 1, "the row",
                                     err);
        least[j] = least_of(p->s, sum[j]);
    }
    for (int64_t i = 0; i < n; i += OP_TILE)
        dot += unit_products(p, range, at + i, min_i64(OP_TILE, n - i), least);
    arc = arc_of(p->s, p->call->arg[FAR].f64, dot);
    return along_arc(p, range, at, n, &arc, err);
}

static bool rows_by_row(const struct sphere *p, const struct op_range *range, struct err *err)
{
    const int64_t cols = tensor_cols(&p->call->out);

    for (int64_t at = 0; at < range->n; at += cols)
        if (!row(p, range, at, cols, err))
            return false;
    return true;
}

/* ---- columns ---------------------------------------------------------------------------------
 *
 * The state holds three arrays, a number of W a column: before the second pass the divisors of
 * both vectors, then ka, kb and over. */

/* How many sums a pass takes: both norms, or the dot product. */
static int vectors_of(uint32_t pass)
{
    return pass == PASS_NORMS ? 2 : 1;
}

/* Array I of the state. */
static void *array(const struct sphere *p, const void *state, int64_t cols, int i)
{
    unsigned char *from;

    memcpy(&from, &state, sizeof(from)); /* const for all but combine */
    return from + (int64_t)i * cols * p->s->size;
}

static void set(const struct sphere *p, void *to, int64_t i, double x)
{
    if (p->s->size == 8)
        ((double *)to)[i] = x;
    else
        ((float *)to)[i] = (float)x;
}

/* Numbers from AT on that lie in one row of COLS and one chunk. */
static int64_t segment(const struct op_range *range, int64_t at, int64_t cols)
{
    const int64_t left = cols - (range->first + at) % cols;

    return min_i64(min_i64(OP_CHUNK, range->n - at), left);
}

/* Sum L of vector J at column C: SUMS arrays of COLS for each vector. */
static double *sums(double *partial, int64_t cols, int l, int j, int64_t c)
{
    return partial + (j * SUMS + l) * cols + c;
}

/* A block of N columns from C on has ended. */
static void end_block(double *partial, int64_t cols, int vectors, int64_t c, int64_t n)
{
    for (int j = 0; j < vectors; j++) {
        double *block = sums(partial, cols, BLOCK, j, c), *total = sums(partial, cols, TOTAL, j, c);

        for (int64_t i = 0; i < n; i++) {
            total[i] += block[i];
            block[i] = 0.0;
        }
    }
}

static void reduce_columns(const struct sphere *p, uint32_t pass, const void *state,
                           const struct op_range *range, double *partial, int64_t cols)
{
    const struct steps *s = p->s;
    double a[OP_CHUNK], b[OP_CHUNK];
    int64_t n;

    for (int64_t at = 0; at < range->n; at += n) {
        const int64_t r = (range->first + at) / cols, c = (range->first + at) % cols;
        const void *x, *y;

        n = segment(range, at, cols);
        x = sphere_vector(p, range, 0, at, n, a);
        y = sphere_vector(p, range, 1, at, n, b);
        if (r > 0 && r % BLOCK_ROWS == 0)
            end_block(partial, cols, vectors_of(pass), c, n);
        if (pass == PASS_NORMS) {
            tally_column_squares(sums(partial, cols, BLOCK, 0, c), x, s->size, n);
            tally_column_squares(sums(partial, cols, BLOCK, 1, c), y, s->size, n);
            continue;
        }
        s->div(a, x, (unsigned char *)array(p, state, cols, 0) + c * s->size, n);
        s->div(b, y, (unsigned char *)array(p, state, cols, 1) + c * s->size, n);
        s->mul(a, a, b, n);
        tally_columns(sums(partial, cols, BLOCK, 0, c), a, s->size, n);
    }
}

/* The blocks before, and the last one. */
static double column_total(const double *partial, int64_t cols, int j, int64_t c)
{
    const double *of = partial + j * SUMS * cols + c;

    return of[TOTAL * cols] + of[BLOCK * cols];
}

static bool column_not_finite(const struct sphere *p, int j, int64_t c, struct err *err)
{
    return err_set(err, ERR_TYPE,
                   "input %d%s holds NaN, infinity or too large a number in column %" PRId64
                   ", which nuslerp would spread over the column",
                   j + (p->base ? 2 : 1), p->base ? " (or the base, input 1)" : "", c);
}

static enum op_more combine_columns(const struct sphere *p, uint32_t pass, void *state,
                                    const double *partial, int64_t cols, struct err *err)
{
    void *out[3];

    for (int i = 0; i < 3; i++)
        out[i] = array(p, state, cols, i);
    for (int64_t c = 0; pass == PASS_NORMS && c < cols; c++) {
        for (int j = 0; j < 2; j++) {
            const double sum = column_total(partial, cols, j, c);

            if (!isfinite(sum)) {
                column_not_finite(p, j, c, err);
                return OP_FAILED;
            }
            set(p, out[j], c, least_of(p->s, sum));
        }
    }
    for (int64_t c = 0; pass == PASS_DOT && c < cols; c++) {
        const double dot = column_total(partial, cols, 0, c);
        const struct arc arc = arc_of(p->s, p->call->arg[FAR].f64, dot);

        set(p, out[0], c, arc.ka);
        set(p, out[1], c, arc.kb);
        set(p, out[2], c, arc.over);
    }
    return pass == PASS_NORMS ? OP_AGAIN : OP_DONE;
}

static bool rows_by_column(const struct sphere *p, const void *state, const struct op_range *range,
                           int64_t cols, struct err *err)
{
    const struct steps *s = p->s;
    double a[OP_CHUNK], b[OP_CHUNK];
    int64_t n;

    for (int64_t at = 0; at < range->n; at += n) {
        const int64_t c = (range->first + at) % cols;
        const unsigned char *k[3];

        for (int i = 0; i < 3; i++)
            k[i] = (const unsigned char *)array(p, state, cols, i) + c * s->size;
        n = segment(range, at, cols);
        s->mul(a, sphere_vector(p, range, 0, at, n, a), k[0], n);
        s->mul(b, sphere_vector(p, range, 1, at, n, b), k[1], n);
        s->add(a, a, b, n);
        s->div(a, a, k[2], n);
        if (!put(p, range, at, a, n, err))
            return false;
    }
    return true;
}

/* ---- the op ---------------------------------------------------------------------------------- */

static size_t nuslerp_state(const struct op_call *call)
{
    const int64_t cols = columns(call);

    if (op_is_plain(call) || by_rows(call))
        return 0;
    return cols > 0 ? (size_t)cols * 3 * op_steps(call)->size : sizeof(struct flat);
}

static bool nuslerp_in_order(const struct op_call *call, uint32_t pass)
{
    (void)pass;
    return columns(call) > 0;
}

static size_t nuslerp_partial(const struct op_call *call, uint32_t pass)
{
    const int64_t cols = columns(call);

    return (cols > 0 ? (size_t)cols * SUMS : 1) * (size_t)vectors_of(pass) * sizeof(double);
}

static void nuslerp_reduce(const struct op_call *call, uint32_t pass, const void *state,
                           const struct op_range *range, void *partial, void *worker)
{
    const struct sphere p = pair_of(call);
    const int64_t cols = columns(call);
    const struct flat *flat = state;

    (void)worker;
    if (cols > 0)
        reduce_columns(&p, pass, state, range, partial, cols);
    else if (pass == PASS_NORMS)
        sphere_squares(&p, range, 0, range->n, partial);
    else
        *(double *)partial = unit_products(&p, range, 0, range->n, flat->least);
}

static enum op_more nuslerp_combine(const struct op_call *call, uint32_t pass, void *state,
                                    const void *partial, int64_t ntile, const void *counts,
                                    struct err *err)
{
    const struct sphere p = pair_of(call);
    const int64_t cols = columns(call);
    struct flat *flat = state;
    double total[2];

    (void)counts;
    if (cols > 0)
        return combine_columns(&p, pass, state, partial, cols, err);
    if (pass == PASS_NORMS) {
        if (!sphere_totals(&p, partial, 2, ntile, total, err))
            return OP_FAILED;
        flat->least[0] = least_of(p.s, total[0]);
        flat->least[1] = least_of(p.s, total[1]);
        return OP_AGAIN;
    }
    flat->arc = arc_of(p.s, call->arg[FAR].f64, sphere_total(partial, 1, 0, ntile));
    return OP_DONE;
}

static bool nuslerp_rows(const struct op_call *call, const void *state,
                         const struct op_range *range, struct err *err)
{
    const int64_t cols = columns(call);
    const struct flat *flat = state;
    struct sphere p;

    if (op_is_plain(call))
        return op_same(call, range, err);
    p = pair_of(call);
    if (by_rows(call))
        return rows_by_row(&p, range, err);
    if (cols > 0)
        return rows_by_column(&p, state, range, cols, err);
    return along_arc(&p, range, 0, range->n, &flat->arc, err);
}

static const struct param nuslerp_params[] = {
    OP_MATH,
    {"base", PARAM_BOOL, 0, 0, "false", NULL,
     "input 1 is a base: what the others differ from it by is merged, and added to it"},
    {"t", PARAM_F64, -300000, 300000, NULL, NULL,
     "how far: 0 is the first, 1 the second; beyond is allowed"},
    {"axis", PARAM_WORD, 0, 0, "flat", axes,
     "flat: one vector; last: vectors along the last axis; first: along the first"},
};

const struct op op_merge_nuslerp = {
    .name = "merge_nuslerp",
    .version = 1,
    .in_min = 2,
    .in_max = 3,
    .param = nuslerp_params,
    .nparam = countof(nuslerp_params),
    .infer = nuslerp_infer,
    .form = op_form_raw,
    .granule = nuslerp_granule,
    .passes_max = 2,
    .in_order = nuslerp_in_order,
    .state_bytes = nuslerp_state,
    .partial_bytes = nuslerp_partial,
    .reduce = nuslerp_reduce,
    .combine = nuslerp_combine,
    .rows = nuslerp_rows,
};
