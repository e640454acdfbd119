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

/* Blocks from AT on. */
static inline void batch_fill(struct lanes_batch *b, const struct lanes_job *job, int64_t at)
{
    const int64_t left = job->blocks - at;

    b->count = left < LANES ? (int)left : LANES;
    b->weighted = job->imatrix != NULL;
    for (int l = 0; l < LANES; l++) {
        const int64_t k = at + (l < b->count ? l : b->count - 1);

        b->block[l] = job->to + k * job->bytes;
        b->from[l] = job->from + k * job->n;
        b->from_imatrix[l] = b->weighted ? job->imatrix + k % job->row_blocks * job->n : NULL;
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

#endif
#endif
