/* lanes_search.h - the searches of search.h, in lanes
 *
 * Two searches stand side by side in each (STREAMS): their sums are chains of additions, and one
 * chain alone would leave the CPU waiting. Levels are not kept: the scale that finds them is. */
#ifndef KERNEL_LANES_SEARCH_H
#define KERNEL_LANES_SEARCH_H

#include "kernel/lanes.h"

#if defined(__AVX2__)

enum { STREAMS = 2 };

LANE vf lanes_squares(int n, const vf *x)
{
    vf sum = vf_all(0.0f);

    for (int i = 0; i < n; i++)
        sum += x[i] * x[i];
    return sum;
}

LANE vf lanes_sum(int n, const vf *x)
{
    vf sum = vf_all(0.0f);

    for (int i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

LANE vf lanes_extreme(int n, const vf *x, vf *value)
{
    vf largest = vf_all(0.0f);

    *value = largest;
    for (int i = 0; i < n; i++) {
        const vf size = vf_abs(x[i]);

        *value = vf_pick(vf_gt(size, largest), x[i], *value);
        largest = vf_max(size, largest);
    }
    return largest;
}

LANE void lanes_weights(int n, const vf *x, const vf *imatrix, vf variance, vf *w)
{
    for (int i = 0; i < n; i++)
        w[i] = imatrix[i] * vf_sqrt(variance + x[i] * x[i]);
}

/* ---- search_signed ------------------------------------------------------------------------- */

struct lanes_signed {
    vf iscale, scale; /* what was found; SCALE is 0 where not alive */
    vf best, extreme;
    vm alive;
};

struct lanes_fit {
    vf slx, sl2;
};

LANE vf signed_level(vf iscale, vf x, int nmax, bool wild)
{
    const vf v = iscale * x;

    if (wild)
        return vf_of(vi_clamp(vi_nearest(v), -nmax, nmax - 1));
    return vf_level(v, vf_all((float)-nmax), vf_all((float)(nmax - 1)));
}

LANE void signed_add(struct lanes_fit *fit, vf level, vf wx, vf w)
{
    fit->slx += wx * level;
    fit->sl2 += w * level * level;
}

LANE void signed_begin(struct lanes_signed *s, int n, const vf *x, const vf *w, vf *wx)
{
    s->alive = vm_not(vf_lt(lanes_extreme(n, x, &s->extreme), vf_all(search_tiny)));
    for (int i = 0; i < n; i++)
        wx[i] = w[i] * x[i];
}

LANE void signed_first(struct lanes_signed *s, const struct lanes_fit *fit, vf iscale)
{
    s->iscale = iscale;
    s->scale = vf_over(fit->slx, fit->sl2);
    s->best = s->scale * fit->slx;
}

LANE void signed_try(struct lanes_signed *s, const struct lanes_fit *fit, vf iscale)
{
    const vm better =
        vm_and(vf_gt(fit->sl2, vf_all(0.0f)), vf_gt(fit->slx * fit->slx, s->best * fit->sl2));
    const vf scale = fit->slx / fit->sl2;

    s->iscale = vf_pick(better, iscale, s->iscale);
    s->scale = vf_pick(better, scale, s->scale);
    s->best = vf_pick(better, scale * fit->slx, s->best);
}

/* WILD: x may be anything. Else it is finite: what is at least search_tiny then has iscales that
 * take nothing beyond nmax + 1, so that vf_level serves. */
LANE void lanes_search_signed(int n, int nmax, const vf *x0, const vf *w0, const vf *x1,
                              const vf *w1, bool wild, struct lanes_signed found[STREAMS])
{
    struct lanes_signed a, b;
    vf wx0[SEARCH_MAX], wx1[SEARCH_MAX];

    signed_begin(&a, n, x0, w0, wx0);
    signed_begin(&b, n, x1, w1, wx1);
    for (int step = 0; step <= 19; step++) {
        /* Step 0 is the scale to begin with; the trials -9 to 9 follow, without 0. */
        const int trial = step == 0 ? 0 : step - 10;
        const vf k = vf_all(-((float)nmax + 0.1f * (float)trial));
        const vf ia = k / a.extreme, ib = k / b.extreme;
        struct lanes_fit fa = {vf_all(0.0f), vf_all(0.0f)}, fb = fa;

        if (step == 10)
            continue;
        for (int i = 0; i < n; i++) {
            signed_add(&fa, signed_level(ia, x0[i], nmax, wild), wx0[i], w0[i]);
            signed_add(&fb, signed_level(ib, x1[i], nmax, wild), wx1[i], w1[i]);
        }
        if (step == 0) {
            signed_first(&a, &fa, ia);
            signed_first(&b, &fb, ib);
        } else {
            signed_try(&a, &fa, ia);
            signed_try(&b, &fb, ib);
        }
    }
    a.scale = vf_pick(a.alive, a.scale, vf_all(0.0f));
    b.scale = vf_pick(b.alive, b.scale, vf_all(0.0f));
    found[0] = a;
    found[1] = b;
}

/* The level of X, stored as search_signed stores it. */
LANE vi lanes_signed_level(const struct lanes_signed *s, vf x, int nmax, bool wild)
{
    return vi_pick(s->alive, vi_trunc(signed_level(s->iscale, x, nmax, wild)) + nmax, vi_all(0));
}

/* ---- search_q3 ------------------------------------------------------------------------------ */

struct lanes_q3 {
    vf slx, sl2;
    vm alive, changed;
    vf w[16], wx[16], level[16];
};

LANE void q3_begin(struct lanes_q3 *s, const vf *x)
{
    struct lanes_fit fit = {vf_all(0.0f), vf_all(0.0f)};
    vf extreme, iscale;

    s->alive = vm_not(vf_lt(lanes_extreme(16, x, &extreme), vf_all(search_tiny)));
    iscale = -4.0f / extreme;
    for (int i = 0; i < 16; i++) {
        s->w[i] = x[i] * x[i];
        s->wx[i] = s->w[i] * x[i];
        s->level[i] = signed_level(iscale, x[i], 4, false);
        signed_add(&fit, s->level[i], s->wx[i], s->w[i]);
    }
    s->slx = fit.slx;
    s->sl2 = fit.sl2;
}

LANE void q3_step(struct lanes_q3 *s, int i, vf x)
{
    const vf level = s->level[i], w = s->w[i], wx = s->wx[i];
    const vf a = s->slx - wx * level, b = s->sl2 - w * level * level;
    const vf to = vf_of(vi_clamp(vi_nearest(x * b / a), -4, 3));
    const vf a2 = a + wx * to, b2 = b + w * to * to;
    const vm moves = vm_and(vf_gt(a, vf_all(0.0f)), vf_ne(to, level));
    const vm better =
        vm_and(vf_gt(b2, vf_all(0.0f)), vf_gt(a2 * a2 * s->sl2, s->slx * s->slx * b2));
    const vm change = vm_and(moves, better);

    s->level[i] = vf_pick(change, to, level);
    s->slx = vf_pick(change, a2, s->slx);
    s->sl2 = vf_pick(change, b2, s->sl2);
    s->changed |= change;
}

enum { Q3_STREAMS = 4 };

/* Four runs of 16 values from X on. A lane that a pass leaves as it is stays so in the next: the
 * state decides, and is the same. So none needs to be stopped while others go on. */
LANE void lanes_search_q3(const vf *x, struct lanes_q3 found[Q3_STREAMS])
{
    struct lanes_q3 *s = found;

    for (int k = 0; k < Q3_STREAMS; k++)
        q3_begin(&s[k], x + 16 * k);
    for (int pass = 0; pass < 5; pass++) {
        s[0].changed = s[1].changed = s[2].changed = s[3].changed = vm_none();
        for (int i = 0; i < 16; i++) {
            q3_step(&s[0], i, x[i]);
            q3_step(&s[1], i, x[i + 16]);
            q3_step(&s[2], i, x[i + 32]);
            q3_step(&s[3], i, x[i + 48]);
        }
        if (!vm_any(s[0].changed | s[1].changed | s[2].changed | s[3].changed))
            break;
    }
}

LANE vf lanes_q3_scale(const struct lanes_q3 *s)
{
    const vf scale = s->slx / s->sl2;

    return vf_pick(vm_and(s->alive, vf_gt(s->sl2, vf_all(0.0f))), scale, vf_all(0.0f));
}

LANE vi lanes_q3_level(const struct lanes_q3 *s, int i)
{
    return vi_pick(s->alive, vi_trunc(s->level[i]) + 4, vi_all(0));
}

/* ---- search_range --------------------------------------------------------------------------- */

struct lanes_range {
    vf iscale, base, scale, min; /* what was found; SCALE is 0 where not alive */
    vf low, high;                /* the least and the largest value */
    vf sw, sx, best;
    vm alive;
};

LANE void range_begin(struct lanes_range *r, int n, int nmax, const vf *x, const vf *w)
{
    r->low = r->high = x[0];
    r->sw = w[0];
    r->sx = w[0] * x[0];
    for (int i = 1; i < n; i++) {
        r->low = vf_min(x[i], r->low);
        r->high = vf_max(x[i], r->high);
        r->sw += w[i];
        r->sx += w[i] * x[i];
    }
    r->min = vf_pick(vf_gt(r->low, vf_all(0.0f)), vf_all(0.0f), r->low);
    r->alive = vm_not(vf_le(r->high, r->min));
    r->iscale = (float)nmax / (r->high - r->min);
    r->base = r->min;
    r->scale = 1.0f / r->iscale;
}

/* May ISCALE take a value of R further than vf_level goes? Differences and products round
 * monotonically, so none lies outside those of the least and the largest. */
LANE vm range_wild(const struct lanes_range *r, vf iscale)
{
    const vf at_low = vf_abs(iscale * (r->low - r->min));
    const vf at_high = vf_abs(iscale * (r->high - r->min));
    const vm tame = vm_and(vf_le(at_low, vf_all(0x1p22f)), vf_le(at_high, vf_all(0x1p22f)));

    return vm_and(r->alive, vm_not(tame));
}

LANE vf range_level(vf iscale, vf x, vf min, int nmax, bool wild)
{
    const vf v = iscale * (x - min);

    if (wild)
        return vf_of(vi_clamp(vi_nearest(v), 0, nmax));
    return vf_level(v, vf_all(0.0f), vf_all((float)nmax));
}

struct lanes_sums {
    vf l, l2, xl;
};

LANE void range_add(struct lanes_sums *s, vf level, vf x, vf w)
{
    const vf wl = w * level;

    s->l += wl;
    s->l2 += wl * level;
    s->xl += wl * x;
}

/* The two runs of values of one search. */
struct lanes_pair {
    const vf *x[STREAMS], *w[STREAMS];
    vf level[STREAMS][SEARCH_MAX]; /* of the last trial */
};

LANE void range_pass(struct lanes_pair *p, int n, int nmax, const struct lanes_range *a,
                     const struct lanes_range *b, vf ia, vf ib, bool wild,
                     struct lanes_sums sums[STREAMS])
{
    const vf *x0 = p->x[0], *x1 = p->x[1], *w0 = p->w[0], *w1 = p->w[1], zero = vf_all(0.0f);
    struct lanes_sums sa = {zero, zero, zero}, sb = sa;

    for (int i = 0; i < n; i++) {
        const vf la = range_level(ia, x0[i], a->min, nmax, wild);
        const vf lb = range_level(ib, x1[i], b->min, nmax, wild);

        p->level[0][i] = la;
        p->level[1][i] = lb;
        range_add(&sa, la, x0[i], w0[i]);
        range_add(&sb, lb, x1[i], w1[i]);
    }
    sums[0] = sa;
    sums[1] = sb;
}

LANE vf range_distance(vf level, vf x, vf w, vf scale, vf min, bool absolute)
{
    const vf e = scale * level + min - x;

    return absolute ? w * vf_abs(e) : w * (e * e);
}

LANE void range_errors(const struct lanes_pair *p, int n, vf sa, vf ma, vf sb, vf mb, bool absolute,
                       vf error[STREAMS])
{
    const vf *x0 = p->x[0], *x1 = p->x[1], *w0 = p->w[0], *w1 = p->w[1];
    vf ea = vf_all(0.0f), eb = ea;

    for (int i = 0; i < n; i++) {
        ea += range_distance(p->level[0][i], x0[i], w0[i], sa, ma, absolute);
        eb += range_distance(p->level[1][i], x1[i], w1[i], sb, mb, absolute);
    }
    error[0] = ea;
    error[1] = eb;
}

/* The scale and minimum that fit the levels best. */
struct lanes_line {
    vf scale, min;
    vm some; /* there is one */
};

LANE struct lanes_line range_fit(const struct lanes_range *r, const struct lanes_sums *s)
{
    const vf det = r->sw * s->l2 - s->l * s->l, zero = vf_all(0.0f);
    struct lanes_line line = {(r->sw * s->xl - r->sx * s->l) / det,
                              (s->l2 * r->sx - s->l * s->xl) / det,
                              vm_and(r->alive, vf_gt(det, zero))};
    const vm above = vf_gt(line.min, zero);

    if (vm_any(above)) {
        line.scale = vf_pick(above, s->xl / s->l2, line.scale);
        line.min = vf_pick(above, zero, line.min);
    }
    return line;
}

LANE void range_try(struct lanes_range *r, vf iscale, const struct lanes_line *line, vf error)
{
    const vm better = vm_and(line->some, vf_lt(error, r->best));

    r->iscale = vf_pick(better, iscale, r->iscale);
    r->base = vf_pick(better, r->min, r->base);
    r->best = vf_pick(better, error, r->best);
    r->scale = vf_pick(better, line->scale, r->scale);
    r->min = vf_pick(better, line->min, r->min);
}

LANE void range_sums(struct lanes_pair *p, int n, int nmax, const struct lanes_range *a,
                     const struct lanes_range *b, vf ia, vf ib, struct lanes_sums sums[STREAMS])
{
    if (__builtin_expect(vm_any(range_wild(a, ia) | range_wild(b, ib)), 0))
        range_pass(p, n, nmax, a, b, ia, ib, true, sums);
    else
        range_pass(p, n, nmax, a, b, ia, ib, false, sums);
}

LANE void range_search(int n, int nmax, struct lanes_pair *p, const struct search_steps *steps,
                       bool absolute, struct lanes_range found[STREAMS])
{
    struct lanes_range a, b;
    struct lanes_sums sums[STREAMS];
    vf error[STREAMS];

    range_begin(&a, n, nmax, p->x[0], p->w[0]);
    range_begin(&b, n, nmax, p->x[1], p->w[1]);
    range_sums(p, n, nmax, &a, &b, a.iscale, b.iscale, sums);
    range_errors(p, n, a.scale, a.min, b.scale, b.min, absolute, error);
    a.best = error[0];
    b.best = error[1];
    for (int trial = 0; trial <= steps->nstep; trial++) {
        const vf k = vf_all(steps->rmin + steps->rdelta * (float)trial + (float)nmax);
        const vf ia = k / (a.high - a.min), ib = k / (b.high - b.min);
        struct lanes_line la, lb;

        range_sums(p, n, nmax, &a, &b, ia, ib, sums);
        la = range_fit(&a, &sums[0]);
        lb = range_fit(&b, &sums[1]);
        range_errors(p, n, la.scale, la.min, lb.scale, lb.min, absolute, error);
        range_try(&a, ia, &la, error[0]);
        range_try(&b, ib, &lb, error[1]);
    }
    a.scale = vf_pick(a.alive, a.scale, vf_all(0.0f));
    b.scale = vf_pick(b.alive, b.scale, vf_all(0.0f));
    found[0] = a;
    found[1] = b;
}

static void lanes_search_range(int n, int nmax, const vf *x0, const vf *w0, const vf *x1,
                               const vf *w1, const struct search_steps *steps,
                               struct lanes_range found[STREAMS])
{
    struct lanes_pair p;

    p.x[0] = x0;
    p.w[0] = w0;
    p.x[1] = x1;
    p.w[1] = w1;
    if (steps->absolute)
        range_search(n, nmax, &p, steps, true, found);
    else
        range_search(n, nmax, &p, steps, false, found);
}

/* The level of X, as search_range stores it. */
LANE vi lanes_range_level(const struct lanes_range *r, vf x, int nmax)
{
    const vi level = vi_clamp(vi_nearest(r->iscale * (x - r->base)), 0, nmax);

    return vi_pick(r->alive, level, vi_all(0));
}

/* ---- search_positive ------------------------------------------------------------------------ */

struct lanes_positive {
    vf scale;
    vi level[16]; /* of 8 bits */
    vf slx, sl2;
    vm alive, changed;
};

LANE vi positive_capped(vf x, int nmax)
{
    return vi_min(vi_nearest(x), vi_all(nmax));
}

LANE vf positive_iscale_lanes(int n, int nmax, const vf *x, const vf *w, vf max)
{
    vf iscale = (float)nmax / max, best = vf_all(0.0f);
    const vf scale = 1.0f / iscale;

    for (int i = 0; i < n; i++) {
        const vf d = x[i] - scale * vf_of(vi_nearest(iscale * x[i]) & 255);

        best += w[i] * d * d;
    }
    for (int trial = -4; trial <= 4; trial++) {
        const vf other = vf_all(0.1f * (float)trial + (float)nmax) / max, s = 1.0f / other;
        vf error = vf_all(0.0f);
        vm better;

        if (trial == 0)
            continue;
        for (int i = 0; i < n; i++) {
            const vf d = x[i] - s * vf_of(positive_capped(other * x[i], nmax));

            error += w[i] * d * d;
        }
        better = vf_lt(error, best);
        best = vf_pick(better, error, best);
        iscale = vf_pick(better, other, iscale);
    }
    return iscale;
}

LANE void positive_begin(struct lanes_positive *p, int n, int nmax, const vf *x, const vf *w)
{
    vf max = vf_all(0.0f), iscale;

    for (int i = 0; i < n; i++)
        max = vf_max(max, x[i]);
    p->alive = vm_not(vf_lt(max, vf_all(search_tiny)));
    iscale = positive_iscale_lanes(n, nmax, x, w, max);
    p->slx = p->sl2 = vf_all(0.0f);
    for (int i = 0; i < n; i++) {
        const vi l = positive_capped(iscale * x[i], nmax);

        p->level[i] = l & 255;
        p->slx += w[i] * x[i] * vf_of(l);
        p->sl2 += w[i] * vf_of(l) * vf_of(l);
    }
}

LANE void positive_step(struct lanes_positive *p, int i, vf x, vf w, int nmax)
{
    const vi level = p->level[i];
    const vf l = vf_of(level), wx = w * x;
    const vf a = p->slx - wx * l, b = p->sl2 - w * l * l;
    const vi to = positive_capped(x * b / a, nmax);
    const vf t = vf_of(to), a2 = a + wx * t, b2 = b + w * t * t;
    const vm moves = vm_and(vm_and(vf_gt(a, vf_all(0.0f)), vf_gt(b, vf_all(0.0f))), vf_ne(t, l));
    const vm change = vm_and(moves, vf_gt(a2 * a2 * p->sl2, p->slx * p->slx * b2));

    p->level[i] = vi_pick(change, to & 255, level);
    p->slx = vf_pick(change, a2, p->slx);
    p->sl2 = vf_pick(change, b2, p->sl2);
    p->changed |= change;
}

LANE void positive_end(struct lanes_positive *p, int n)
{
    const vm some = vm_and(p->alive, vf_gt(p->sl2, vf_all(0.0f)));

    p->scale = vf_pick(some, p->slx / p->sl2, vf_all(0.0f));
    for (int i = 0; i < n; i++)
        p->level[i] = vi_pick(p->alive, p->level[i], vi_all(0));
}

/* The plain way: X as levels of 8 bits that count in the NMAX-th part of the largest (as f16), or
 * zeros if none is above 0. CAPPED: at most NMAX. */
LANE vu lanes_by_largest(int n, int nmax, bool capped, const vf *x, vi *level)
{
    vf max = vf_all(0.0f), inverse;

    for (int j = 0; j < n; j++)
        max = vf_max(x[j], max);
    inverse = vf_pick(vf_gt(max, vf_all(0.0f)), (float)nmax / max, vf_all(0.0f));
    for (int j = 0; j < n; j++) {
        const vi l = vi_nearest(inverse * x[j]) & 255;

        level[j] = capped ? vi_min(l, vi_all(nmax)) : l;
    }
    return vu_f16(max / (float)nmax);
}

/* N (at most 16) values of X and of Y, with the same weights. */
static void lanes_search_positive(int n, int nmax, const vf *x, const vf *y, const vf *w,
                                  struct lanes_positive found[STREAMS])
{
    struct lanes_positive *a = &found[0], *b = &found[1];

    positive_begin(a, n, nmax, x, w);
    positive_begin(b, n, nmax, y, w);
    for (int pass = 0; pass < 5; pass++) {
        a->changed = b->changed = vm_none();
        for (int i = 0; i < n; i++) {
            positive_step(a, i, x[i], w[i], nmax);
            positive_step(b, i, y[i], w[i], nmax);
        }
        if (!vm_any(a->changed | b->changed))
            break;
    }
    positive_end(a, n);
    positive_end(b, n);
}

#endif
#endif
