/* lanes_run.h - rows of floats dealt to lanes, block by block
 *
 * Runs of LANES blocks; what is left at the end is filled up with copies of the last block, of
 * which nothing is stored. Values that are NaN or infinite (which no valid source has) go to the
 * scalar code. */
#ifndef KERNEL_LANES_RUN_H
#define KERNEL_LANES_RUN_H

#include "kernel/lanes_search.h"

#if defined(__AVX2__)

/* LANES blocks at once. */
struct lanes_batch {
    int count; /* of the lanes that are stored */
    bool weighted;
    uint8_t *block[LANES];
    const float *from[LANES], *from_imatrix[LANES];
    vf variance; /* of each lane's row; only set by lanes_run_rows */
    vf x[256], imatrix[256];
};

typedef void (*lanes_fn)(struct lanes_batch *batch);

/* What encode was asked for, in blocks of N values and BYTES bytes. */
struct lanes_job {
    const float *from, *imatrix;
    uint8_t *to;
    int64_t row_blocks, blocks;
    int n, bytes;
};

/* Blocks from AT on. Past the last one nothing is stored. */
static inline void batch_fill(struct lanes_batch *b, const struct lanes_job *job, int64_t at)
{
    const int64_t left = job->blocks - at, last = job->blocks - 1;
    int64_t k = at < last ? at : last, column = k % job->row_blocks;

    b->count = left < 0 ? 0 : left < LANES ? (int)left : LANES;
    b->weighted = job->imatrix != NULL;
    for (int l = 0; l < LANES; l++) {
        b->block[l] = job->to + k * job->bytes;
        b->from[l] = job->from + k * job->n;
        b->from_imatrix[l] = b->weighted ? job->imatrix + column * job->n : NULL;
        if (k < last) {
            k++;
            column = column + 1 < job->row_blocks ? column + 1 : 0;
        }
    }
    lanes_load(b->from, job->n, b->x);
    if (b->weighted)
        lanes_load(b->from_imatrix, job->n, b->imatrix);
}

static inline struct lanes_job lanes_job_of(enum dtype dtype, const float *from, int64_t rows,
                                            int64_t cols, const float *imatrix, void *to)
{
    const struct dtype_info *info = dtype_info(dtype);
    const int64_t row_blocks = cols / (int64_t)info->elements;

    return (struct lanes_job){
        from, imatrix, to, row_blocks, rows * row_blocks, (int)info->elements, (int)info->bytes};
}

/* encode, for types whose blocks depend on nothing else. */
static inline void lanes_run(lanes_fn one, const struct kernel *scalar, const struct lanes_job *job)
{
    struct lanes_batch b;

    for (int64_t at = 0; at < job->blocks; at += LANES) {
        batch_fill(&b, job, at);
        if (!lanes_invalid(job->n, b.x)) {
            one(&b);
            continue;
        }
        for (int l = 0; l < b.count; l++)
            scalar->encode(b.from[l], 1, job->n, b.from_imatrix[l], b.block[l]);
    }
}

/* ---- blocks weighted by the variance of their row -------------------------------------------- */

/* The mean square of each of LANES rows (the last ones again where there are no more). */
static inline vf rows_variance(const struct lanes_job *job, int rows)
{
    const int64_t cols = job->row_blocks * job->n;
    const float *at[LANES];
    vf sum = vf_all(0.0f), x[32];

    for (int l = 0; l < LANES; l++)
        at[l] = job->from + (l < rows ? l : rows - 1) * cols;
    for (int64_t i = 0; i < cols; i += 32) {
        lanes_load(at, 32, x);
        for (int j = 0; j < 32; j++)
            sum += x[j] * x[j];
        for (int l = 0; l < LANES; l++)
            at[l] += 32;
    }
    return sum / (float)cols;
}

static inline void batch_variance(struct lanes_batch *b, const struct lanes_job *job, int64_t at,
                                  vf variance)
{
    const int64_t last = job->blocks - 1;
    int64_t k = at < last ? at : last, row = k / job->row_blocks;
    int64_t column = k % job->row_blocks;

    for (int l = 0; l < LANES; l++) {
        b->variance[l] = variance[row];
        if (k < last) {
            k++;
            if (++column == job->row_blocks) {
                column = 0;
                row++;
            }
        }
    }
}

/* encode with column weights, for types of 32 values. PAIR takes two batches. JOB may have any
 * number of rows; a variance that is not finite (its row holds NaN, or is too large to square)
 * sends its rows to the scalar code. */
static inline void lanes_run_rows(lanes_fn pair, const struct kernel *scalar,
                                  const struct lanes_job *job)
{
    const int64_t cols = job->row_blocks * job->n;
    const int64_t rows = job->blocks > 0 ? job->blocks / job->row_blocks : 0;
    struct lanes_batch b[STREAMS];

    for (int64_t r = 0; r < rows; r += LANES) {
        const int count = rows - r < LANES ? (int)(rows - r) : LANES;
        struct lanes_job some = *job;
        vf variance;

        some.from += r * cols;
        some.to += r * job->row_blocks * job->bytes;
        some.blocks = count * job->row_blocks;
        variance = rows_variance(&some, count);
        if (lanes_invalid(1, &variance)) {
            scalar->encode(some.from, count, cols, some.imatrix, some.to);
            continue;
        }
        for (int64_t at = 0; at < some.blocks; at += STREAMS * LANES) {
            for (int s = 0; s < STREAMS; s++) {
                batch_fill(&b[s], &some, at + s * LANES);
                batch_variance(&b[s], &some, at + s * LANES, variance);
            }
            pair(b);
        }
    }
}

#endif
#endif
