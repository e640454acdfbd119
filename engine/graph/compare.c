#include "graph/compare.h"

#include "base/arena.h"
#include "base/file.h"
#include "base/sum.h"
#include "kernel/kernel.h"

#include <math.h>
#include <string.h>

enum { TILE = 65536, LANES = 8, RAW_BYTES = TILE * 8 };

/* Of A and B as vectors: the squares, the product, and the square of the difference. */
struct sums {
    double aa, bb, ab, dd;
};

struct side {
    const struct compare_side *is;
    int fd;
    unsigned char *raw;
    double *value;
};

static void side_finish(struct side *s)
{
    file_close(s->fd);
    bulk_free(s->raw, RAW_BYTES);
    bulk_free(s->value, TILE * sizeof(double));
}

static bool side_init(struct side *s, const struct compare_side *is, struct err *err)
{
    *s = (struct side){.is = is, .fd = -1};
    if (!file_open(is->path, &s->fd, err))
        return false;
    s->raw = bulk_alloc(RAW_BYTES);
    s->value = bulk_alloc(TILE * sizeof(double));
    if (!s->raw || !s->value)
        return err_set(err, ERR_MEMORY, "no memory for two tiles of %d elements", TILE);
    return true;
}

static bool read_bytes(const struct side *s, uint64_t at, size_t n, struct err *err)
{
    return file_read_at(s->fd, s->is->path, s->raw, n, s->is->offset + at, err);
}

/* Are the BYTES of both sides equal? */
static bool bytes_equal(const struct side *a, const struct side *b, uint64_t bytes, bool *equal,
                        struct err *err)
{
    *equal = true;
    for (uint64_t at = 0; at < bytes && *equal; at += RAW_BYTES) {
        const size_t n = (size_t)(bytes - at < RAW_BYTES ? bytes - at : RAW_BYTES);

        if (!read_bytes(a, at, n, err) || !read_bytes(b, at, n, err))
            return false;
        *equal = memcmp(a->raw, b->raw, n) == 0;
    }
    return true;
}

/* Elements [FIRST, FIRST + N) of a side, decoded. TILE is a multiple of every block. */
static bool read_values(const struct side *s, int64_t first, int64_t n, struct err *err)
{
    const size_t size = (size_t)tensor_span(s->is->t, n);

    if (!read_bytes(s, tensor_span(s->is->t, first), size, err))
        return false;
    decode_f64(s->is->t->dtype, s->raw, s->value, n);
    return true;
}

static double lanes_sum(const double *l)
{
    return ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]));
}

/* One element into the counts; true when it belongs into the sums. */
static bool count_element(struct compare *out, double a, double b, int64_t at)
{
    const bool same = a == b || (isnan(a) && isnan(b));
    const double gap = fabs(a - b);

    out->differ += !same;
    if (!isfinite(a) || !isfinite(b)) {
        out->skipped++;
        return false;
    }
    if (gap > out->max_abs) {
        out->max_abs = gap;
        out->max_at = at;
    }
    return true;
}

static void measure_tile(const double *a, const double *b, int64_t first, int64_t n,
                         struct sums *sums, struct compare *out)
{
    double aa[LANES] = {0}, bb[LANES] = {0}, ab[LANES] = {0}, dd[LANES] = {0};

    for (int64_t i = 0; i < n; i++) {
        const int64_t l = i % LANES;
        const double d = a[i] - b[i];

        if (!count_element(out, a[i], b[i], first + i))
            continue;
        aa[l] += a[i] * a[i];
        bb[l] += b[i] * b[i];
        ab[l] += a[i] * b[i];
        dd[l] += d * d;
    }
    sums->aa += lanes_sum(aa);
    sums->bb += lanes_sum(bb);
    sums->ab += lanes_sum(ab);
    sums->dd += lanes_sum(dd);
}

static double cosine(const struct sums *s)
{
    if (s->aa <= 0 || s->bb <= 0)
        return s->aa <= 0 && s->bb <= 0 ? 1 : 0;
    const double c = s->ab / (sqrt(s->aa) * sqrt(s->bb));

    return c > 1 ? 1 : c < -1 ? -1 : c;
}

static bool measure(const struct side *a, const struct side *b, struct compare *out,
                    struct err *err)
{
    const int64_t all = tensor_elements(a->is->t);
    struct sums sums = {0};

    for (int64_t first = 0; first < all; first += TILE) {
        const int64_t n = min_i64(TILE, all - first);

        if (!read_values(a, first, n, err) || !read_values(b, first, n, err))
            return false;
        measure_tile(a->value, b->value, first, n, &sums, out);
    }
    const double counted = (double)all - (double)out->skipped;

    out->measured = true;
    out->rmse = counted > 0 ? sqrt(sums.dd / counted) : 0;
    out->cosine = out->differ ? cosine(&sums) : 1; /* equal vectors: no rounding of the roots */
    return true;
}

bool compare_tensors(const struct compare_side *a, const struct compare_side *b,
                     struct compare *out, struct err *err)
{
    struct compare got = {.max_at = -1, .cosine = 1};
    struct side left = {.fd = -1}, right = {.fd = -1};
    const bool computable = kernel_of(a->t->dtype) && kernel_of(b->t->dtype);

    got.same_dtype = a->t->dtype == b->t->dtype;
    got.same_shape = tensor_same_shape(a->t, b->t);
    bool ok = side_init(&left, a, err) && side_init(&right, b, err);

    if (ok && got.same_dtype && got.same_shape)
        ok = bytes_equal(&left, &right, tensor_bytes(a->t), &got.same_bytes, err);
    if (ok && got.same_bytes)
        got.measured = computable;
    else if (ok && computable && tensor_elements(a->t) == tensor_elements(b->t))
        ok = measure(&left, &right, &got, err);
    side_finish(&left);
    side_finish(&right);
    if (ok)
        *out = got;
    return ok;
}
