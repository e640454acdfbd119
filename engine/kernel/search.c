/* search.c - the searches, as sections 3.1.1 to 3.1.4 of specs/gguf-quant.md tell them
 *
 * What does not depend on order (levels, products) is computed eight elements at a time so that
 * compilers use SIMD for it; each sum is then one serial loop. Accepted trials keep their scale
 * only, and the levels are computed once at the end: same arithmetic, less writing. */
#include "kernel/search.h"

enum { STEP = 8 };

float search_extreme(int n, const float *x, float *value)
{
    float largest = 0.0f;

    *value = 0.0f;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > largest) {
            largest = fabsf(x[i]);
            *value = x[i];
        }
    return largest;
}

float search_squares(int64_t n, const float *x)
{
    float sum = 0.0f;

    for (int64_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

float search_sum(int n, const float *x)
{
    float sum = 0.0f;

    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

void search_weights(int n, const float *x, const float *imatrix, float variance, float *w)
{
    for (int i = 0; i < n; i++)
        w[i] = imatrix[i] * sqrtf(variance + x[i] * x[i]);
}

/* level[i] = clamp(nearest(iscale * (x[i] - base))), as floats (small integers: exact). */
static void find_levels(int n, float iscale, const float *restrict x, float base, int low, int high,
                        float *restrict level)
{
    for (int i = 0; i < n; i += STEP)
        for (int j = i; j < i + STEP; j++)
            level[j] = (float)clamp_i32(nearest_int(iscale * (x[j] - base)), low, high);
}

static void store_levels(int n, const float *level, int offset, uint8_t *L)
{
    for (int i = 0; i < n; i++)
        L[i] = (uint8_t)((int)level[i] + offset);
}

static void zero_levels(int n, uint8_t *L)
{
    memset(L, 0, (size_t)n);
}

/* slx = sum (w x) l, sl2 = sum (w l) l; WX holds w x. */
static void fit_sums(int n, const float *restrict wx, const float *restrict w,
                     const float *restrict level, float *slx, float *sl2)
{
    float a[SEARCH_MAX], b[SEARCH_MAX], sum_a = 0.0f, sum_b = 0.0f;

    for (int i = 0; i < n; i += STEP)
        for (int j = i; j < i + STEP; j++) {
            a[j] = wx[j] * level[j];
            b[j] = w[j] * level[j] * level[j];
        }
    for (int i = 0; i < n; i++) {
        sum_a += a[i];
        sum_b += b[i];
    }
    *slx = sum_a;
    *sl2 = sum_b;
}

float search_signed(int n, int nmax, const float *x, const float *w, uint8_t *L)
{
    float square[SEARCH_MAX], wx[SEARCH_MAX], level[SEARCH_MAX];
    float extreme, iscale, scale, best, slx, sl2;

    if (search_extreme(n, x, &extreme) < search_tiny) {
        zero_levels(n, L);
        return 0.0f;
    }
    for (int i = 0; i < n; i++)
        square[i] = x[i] * x[i];
    w = w ? w : square;
    for (int i = 0; i < n; i++)
        wx[i] = w[i] * x[i];
    iscale = -(float)nmax / extreme;
    find_levels(n, iscale, x, 0.0f, -nmax, nmax - 1, level);
    fit_sums(n, wx, w, level, &slx, &sl2);
    /* Not "> 0": a NaN divides too. */
    scale = sl2 != 0.0f ? slx / sl2 : 0.0f;
    best = scale * slx;
    for (int trial = -9; trial <= 9; trial++) {
        const float other = -((float)nmax + 0.1f * (float)trial) / extreme;

        if (trial == 0)
            continue;
        find_levels(n, other, x, 0.0f, -nmax, nmax - 1, level);
        fit_sums(n, wx, w, level, &slx, &sl2);
        if (sl2 > 0.0f && slx * slx > best * sl2) {
            iscale = other;
            scale = slx / sl2;
            best = scale * slx;
        }
    }
    find_levels(n, iscale, x, 0.0f, -nmax, nmax - 1, level);
    store_levels(n, level, nmax, L);
    return scale;
}

/* One pass of the descent: each element may move to its own best level. True if any did. */
static bool q3_improve(const float *x, const float *w, float *level, float *slx, float *sl2)
{
    bool changed = false;

    for (int i = 0; i < 16; i++) {
        float a = *slx - w[i] * x[i] * level[i], b, to;

        if (!(a > 0.0f))
            continue;
        b = *sl2 - w[i] * level[i] * level[i];
        to = (float)clamp_i32(nearest_int(x[i] * b / a), -4, 3);
        if (to == level[i])
            continue;
        a += w[i] * x[i] * to;
        b += w[i] * to * to;
        if (b > 0.0f && a * a * *sl2 > *slx * *slx * b) {
            level[i] = to;
            *slx = a;
            *sl2 = b;
            changed = true;
        }
    }
    return changed;
}

float search_q3(const float *x, uint8_t *L)
{
    float w[16], wx[16], level[16], extreme, slx, sl2;

    if (search_extreme(16, x, &extreme) < search_tiny) {
        zero_levels(16, L);
        return 0.0f;
    }
    for (int i = 0; i < 16; i++) {
        w[i] = x[i] * x[i];
        wx[i] = w[i] * x[i];
    }
    find_levels(16, -4.0f / extreme, x, 0.0f, -4, 3, level);
    fit_sums(16, wx, w, level, &slx, &sl2);
    for (int pass = 0; pass < 5; pass++)
        if (!q3_improve(x, w, level, &slx, &sl2))
            break;
    store_levels(16, level, 4, L);
    return sl2 > 0.0f ? slx / sl2 : 0.0f;
}

/* The weighted error of scale * level + min. */
static float range_error(int n, const float *restrict x, const float *restrict w,
                         const float *restrict level, float scale, float min, bool absolute)
{
    float e[SEARCH_MAX], sum = 0.0f;

    for (int i = 0; i < n; i += STEP)
        for (int j = i; j < i + STEP; j++)
            e[j] = scale * level[j] + min - x[j];
    if (absolute)
        for (int i = 0; i < n; i++)
            e[i] = w[i] * fabsf(e[i]);
    else
        for (int i = 0; i < n; i += STEP)
            for (int j = i; j < i + STEP; j++)
                e[j] = w[j] * (e[j] * e[j]);
    for (int i = 0; i < n; i++)
        sum += e[i];
    return sum;
}

struct range_sums {
    float l, l2, xl;
};

static struct range_sums range_fit(int n, const float *restrict x, const float *restrict w,
                                   const float *restrict level)
{
    float wl[SEARCH_MAX], wl2[SEARCH_MAX], wxl[SEARCH_MAX];
    struct range_sums s = {0.0f, 0.0f, 0.0f};

    for (int i = 0; i < n; i += STEP)
        for (int j = i; j < i + STEP; j++) {
            wl[j] = w[j] * level[j];
            wl2[j] = wl[j] * level[j];
            wxl[j] = wl[j] * x[j];
        }
    for (int i = 0; i < n; i++) {
        s.l += wl[i];
        s.l2 += wl2[i];
        s.xl += wxl[i];
    }
    return s;
}

/* What the data of one range are before the trials. */
struct range {
    float min, max; /* min at most 0 */
    float sw, sx;   /* sums of w and of w x */
};

static struct range range_of(int n, const float *x, const float *w)
{
    struct range r = {x[0], x[0], w[0], w[0] * x[0]};

    for (int i = 1; i < n; i++) {
        if (x[i] < r.min)
            r.min = x[i];
        if (x[i] > r.max)
            r.max = x[i];
        r.sw += w[i];
        r.sx += w[i] * x[i];
    }
    if (r.min > 0.0f)
        r.min = 0.0f;
    return r;
}

float search_range(int n, int nmax, const float *x, const float *w,
                   const struct search_steps *steps, uint8_t *L, float *minimum)
{
    float level[SEARCH_MAX], iscale, base, scale, best;
    struct range r = range_of(n, x, w);

    *minimum = -r.min;
    /* max < min cannot be, so this is the "max == min" and the "max <= min" of the definition. */
    if (r.max <= r.min) {
        zero_levels(n, L);
        return 0.0f;
    }
    iscale = (float)nmax / (r.max - r.min);
    base = r.min;
    scale = 1.0f / iscale;
    find_levels(n, iscale, x, base, 0, nmax, level);
    best = range_error(n, x, w, level, scale, r.min, steps->absolute);
    for (int trial = 0; trial <= steps->nstep; trial++) {
        /* r.min is that of the last accepted trial here, on purpose. */
        const float other =
            (steps->rmin + steps->rdelta * (float)trial + (float)nmax) / (r.max - r.min);
        struct range_sums s;
        float det, ts, tm, error;

        find_levels(n, other, x, r.min, 0, nmax, level);
        s = range_fit(n, x, w, level);
        det = r.sw * s.l2 - s.l * s.l;
        if (!(det > 0.0f))
            continue;
        ts = (r.sw * s.xl - r.sx * s.l) / det;
        tm = (s.l2 * r.sx - s.l * s.xl) / det;
        if (tm > 0.0f) {
            tm = 0.0f;
            ts = s.xl / s.l2;
        }
        error = range_error(n, x, w, level, ts, tm, steps->absolute);
        if (error < best) {
            iscale = other;
            base = r.min;
            best = error;
            scale = ts;
            r.min = tm;
        }
    }
    find_levels(n, iscale, x, base, 0, nmax, level);
    store_levels(n, level, 0, L);
    *minimum = -r.min;
    return scale;
}

static int32_t capped(float x, int nmax)
{
    const int32_t i = nearest_int(x);

    return i < nmax ? i : nmax;
}

/* The scale whose levels leave the least weighted error. */
static float positive_iscale(int n, int nmax, const float *x, const float *w, float max)
{
    float iscale = (float)nmax / max, best = 0.0f;
    const float scale = 1.0f / iscale;

    for (int i = 0; i < n; i++) {
        const float d = x[i] - scale * (float)(uint8_t)nearest_int(iscale * x[i]);

        best += w[i] * d * d;
    }
    for (int trial = -4; trial <= 4; trial++) {
        const float other = (0.1f * (float)trial + (float)nmax) / max, s = 1.0f / other;
        float error = 0.0f;

        if (trial == 0)
            continue;
        for (int i = 0; i < n; i++) {
            const float d = x[i] - s * (float)capped(other * x[i], nmax);

            error += w[i] * d * d;
        }
        if (error < best) {
            best = error;
            iscale = other;
        }
    }
    return iscale;
}

static bool positive_improve(int n, int nmax, const float *x, const float *w, uint8_t *L,
                             float *slx, float *sl2)
{
    bool changed = false;

    for (int i = 0; i < n; i++) {
        float a = *slx - w[i] * x[i] * (float)L[i];
        float b = *sl2 - w[i] * (float)L[i] * (float)L[i];
        int32_t to;

        if (!(a > 0.0f && b > 0.0f))
            continue;
        to = capped(x[i] * b / a, nmax);
        if (to == L[i])
            continue;
        a += w[i] * x[i] * (float)to;
        b += w[i] * (float)to * (float)to;
        if (a * a * *sl2 > *slx * *slx * b) {
            L[i] = (uint8_t)to;
            *slx = a;
            *sl2 = b;
            changed = true;
        }
    }
    return changed;
}

float search_positive(int n, int nmax, const float *x, const float *w, uint8_t *L)
{
    float max = 0.0f, slx = 0.0f, sl2 = 0.0f, iscale;

    for (int i = 0; i < n; i++)
        max = max > x[i] ? max : x[i];
    if (max < search_tiny) {
        zero_levels(n, L);
        return 0.0f;
    }
    iscale = positive_iscale(n, nmax, x, w, max);
    for (int i = 0; i < n; i++) {
        const int32_t l = capped(iscale * x[i], nmax);

        L[i] = (uint8_t)l;
        slx += w[i] * x[i] * (float)l;
        sl2 += w[i] * (float)l * (float)l;
    }
    for (int pass = 0; pass < 5; pass++)
        if (!positive_improve(n, nmax, x, w, L, &slx, &sl2))
            break;
    return sl2 > 0.0f ? slx / sl2 : 0.0f;
}
