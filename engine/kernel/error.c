/* error.c - sums of squared differences, in the order of reduce.h */
#include "kernel/error.h"

#include "base/exact.h"
#include "base/sum.h"
#include "kernel/reduce.h"

#include <math.h>

enum { LANES = 8 };

static double combine(const double l[LANES])
{
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
}

void error_tile(const double *x, const double *y, const double *w, int64_t n, int64_t first,
                struct error_sums *out)
{
    double e[LANES] = {0}, ww[LANES] = {0}, xx[LANES] = {0};

    *out = ERROR_NONE;
    for (int64_t i = 0; i < n; i++) {
        const double weight = w ? w[i] : 1, d = x[i] - y[i], gap = fabs(d);

        if (!isfinite(x[i]) || !isfinite(y[i])) {
            out->skipped++;
            continue;
        }
        if (gap > out->max) {
            out->max = gap;
            out->max_at = first + i;
        }
        e[i % LANES] += weight * (d * d);
        ww[i % LANES] += weight;
        xx[i % LANES] += weight * (x[i] * x[i]);
    }
    out->e = combine(e);
    out->w = combine(ww);
    out->x = combine(xx);
}

void error_add(struct error_sums *sum, const struct error_sums *tile)
{
    sum->e += tile->e;
    sum->w += tile->w;
    sum->x += tile->x;
    sum->skipped += tile->skipped;
    if (tile->max > sum->max) {
        sum->max = tile->max;
        sum->max_at = tile->max_at;
    }
}

void error_weights(const float *value, int64_t cols, double *w)
{
    double sum = 0;

    for (int64_t first = 0; first < cols; first += REDUCE_TILE) {
        const int64_t n = min_i64(REDUCE_TILE, cols - first);
        double lane[LANES] = {0};

        for (int64_t i = 0; i < n; i++)
            lane[i % LANES] += (double)value[first + i];
        sum += combine(lane);
    }
    const double mean = sum / (double)cols;

    for (int64_t i = 0; i < cols; i++)
        w[i] = mean > 0 ? (double)value[i] / mean : 1;
}

double error_rmse(const struct error_sums *sums)
{
    return sums->w > 0 ? sqrt(sums->e / sums->w) : 0;
}
