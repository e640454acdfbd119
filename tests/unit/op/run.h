/* run.h - an op over a whole tensor, as the executor would, with ranges of a chosen length
 *
 *     struct run r = {.op = op_find("cast"), .nin = 1, .in = {...}, .data = {...}, .arg = {...}};
 *     CHECK(run_infer(&r) && run_split(&r, 1000));   // r.out, tensor_bytes(&r.call.out) of it
 *     run_free(&r);
 *
 * Every range lies in memory of exactly its length, so that the sanitizers see a step outside. */
#ifndef RUN_H
#define RUN_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/sum.h"
#include "kernel/kernel.h"
#include "kernel/philox.h"
#include "op/op.h"

#include <string.h>

enum { RUN_INPUTS = OP_INPUTS_MAX, RUN_ARGS = OP_PARAMS_MAX };

struct run {
    const struct op *op;
    uint32_t nin;
    struct tensor in[RUN_INPUTS];
    const void *data[RUN_INPUTS];
    union op_arg arg[RUN_ARGS];
    struct op_call call;
    uint64_t *counts; /* of the worker, in a reduce pass */
    uint8_t *keep;    /* of the whole tensor, while it is computed */
    uint8_t *out;
    struct err err;
};

static inline struct tensor run_tensor(enum dtype dtype, int64_t rows, int64_t cols)
{
    return (struct tensor){.dtype = dtype, .rank = 2, .dim = {rows, cols}};
}

static inline bool run_infer(struct run *r)
{
    r->call = (struct op_call){.op = r->op, .in = r->in, .nin = r->nin, .arg = r->arg};
    return r->op->infer(&r->call, &r->err);
}

/* Elements [first, first + n) of input J in the op's form, in fresh memory. */
static inline void *run_input(const struct run *r, uint32_t j, int64_t first, int64_t n)
{
    const struct tensor *t = &r->in[j];
    const uint8_t *from = (const uint8_t *)r->data[j] + tensor_span(t, first);
    const enum op_form form = op_form_of(&r->call);
    const size_t raw = (size_t)tensor_span(t, n);
    void *to = mem_grow(NULL, form == OP_RAW ? raw + 1 : (size_t)n * 8 + 8);

    if (n == 0)
        return to;
    if (form == OP_RAW)
        to = mem_grow(to, raw);
    else
        to = mem_grow(to, (size_t)n * (form == OP_F64 ? sizeof(double) : sizeof(float)));
    if (form == OP_RAW)
        memcpy(to, from, raw);
    else if (form == OP_F64)
        decode_f64(t->dtype, from, to, n);
    else
        kernel_of(t->dtype)->decode(from, to, n);
    return to;
}

/* Memory of a worker, which holds what an earlier range left there; to be freed: *WHOLE. */
static inline void *run_scratch(size_t size, void **whole)
{
    uint8_t *to = mem_grow(NULL, size + 64);

    *whole = to;
    to += (64 - (uintptr_t)to % 64) % 64;
    memset(to, 0xa5, size);
    return to;
}

/* Run REDUCE (state NULL: rows into OUT) on one range. */
static inline bool run_range(struct run *r, int64_t first, int64_t n, const void *state,
                             uint32_t pass, void *partial, void *out)
{
    void *in[RUN_INPUTS] = {0}, *scratch = NULL;
    struct op_range range = {.first = first, .n = n, .in = (const void *const *)in, .out = out};
    bool ok = true;

    for (uint32_t j = 0; j < r->nin; j++)
        in[j] = run_input(r, j, first, n);
    range.keep = r->keep;
    if (r->op->scratch_bytes)
        range.scratch = run_scratch(r->op->scratch_bytes(&r->call), &scratch);
    if (partial)
        r->op->reduce(&r->call, pass, state, &range, partial, r->counts);
    else
        ok = r->op->rows(&r->call, state, &range, &r->err);
    for (uint32_t j = 0; j < r->nin; j++)
        mem_free(in[j]);
    mem_free(scratch);
    return ok;
}

/* The zeroed counts of the one worker, or NULL. */
static inline uint64_t *run_counts(const struct run *r, uint32_t pass)
{
    const size_t size = r->op->worker_bytes ? r->op->worker_bytes(&r->call, pass) : 0;
    uint64_t *counts = size ? mem_grow(NULL, size) : NULL;

    if (counts)
        memset(counts, 0, size);
    return counts;
}

/* What the op keeps from pass to pass, holding anything; or NULL. An op that can do without does so
 * where SPLIT is odd: the bytes must be the same. */
static inline uint8_t *run_keep(const struct run *r, int64_t split)
{
    const bool without = !r->op->keep_bytes || (r->op->keep_spare && split % 2);
    const size_t each = without ? 0 : r->op->keep_bytes(&r->call);
    const size_t size = each * (size_t)tensor_elements(&r->call.out);
    uint8_t *keep = each ? mem_grow(NULL, size + 1) : NULL;

    if (keep)
        memset(keep, 0xa5, size);
    return keep;
}

/* All passes, tiles from the last to the first: their order must not matter, unless the op says
 * that it wants it. */
static inline bool run_reduce(struct run *r, void *state)
{
    const int64_t tile = op_tile(&r->call), n = tensor_elements(&r->call.out);
    const int64_t ntile = (n + tile - 1) / tile;
    enum op_more more = OP_AGAIN;

    for (uint32_t pass = 0; more == OP_AGAIN && pass < r->op->passes_max; pass++) {
        const bool in_order = r->op->in_order && r->op->in_order(&r->call, pass);
        const size_t size = r->op->partial_bytes(&r->call, pass);
        const size_t all = size * (size_t)(in_order ? 1 : ntile);
        uint8_t *partial = mem_grow(NULL, all + 1);

        memset(partial, in_order ? 0 : 0xa5, all);
        r->counts = run_counts(r, pass);
        for (int64_t i = 0; i < ntile; i++) {
            const int64_t t = in_order ? i : ntile - 1 - i;

            run_range(r, t * tile, min_i64(tile, n - t * tile), state, pass,
                      partial + (in_order ? 0 : (size_t)t * size), NULL);
        }
        more = r->op->combine(&r->call, pass, state, partial, in_order ? 1 : ntile, r->counts,
                              &r->err);
        mem_free(r->counts);
        r->counts = NULL;
        mem_free(partial);
    }
    return more == OP_DONE;
}

/* After run_infer: the whole output, in ranges of SPLIT elements (rounded up to the granule). */
static inline bool run_split(struct run *r, int64_t split)
{
    const int64_t n = tensor_elements(&r->call.out), granule = op_granule(&r->call);
    const int64_t step = (split + granule - 1) / granule * granule;
    const size_t state_size = r->op->reduce ? r->op->state_bytes(&r->call) : 0;
    uint8_t *state = state_size ? mem_grow(NULL, state_size) : NULL;
    bool ok = true;

    if (state)
        memset(state, 0, state_size);
    r->out = mem_grow(r->out, (size_t)tensor_bytes(&r->call.out) + 1);
    r->keep = run_keep(r, split);
    if (state)
        ok = run_reduce(r, state);
    for (int64_t at = 0; ok && at < n; at += step) {
        const int64_t count = min_i64(step, n - at);
        const size_t size = (size_t)tensor_span(&r->call.out, count);
        void *out = mem_grow(NULL, size);

        ok = run_range(r, at, count, state, 0, NULL, out);
        memcpy(r->out + tensor_span(&r->call.out, at), out, size);
        mem_free(out);
    }
    mem_free(state);
    mem_free(r->keep);
    r->keep = NULL;
    return ok;
}

static inline bool run_whole(struct run *r)
{
    return run_split(r, max_i64(1, tensor_elements(&r->call.out)));
}

static inline struct digest run_digest(const struct run *r)
{
    return hash_bytes(r->out, (size_t)tensor_bytes(&r->call.out));
}

static inline void run_free(struct run *r)
{
    mem_free(r->out);
    r->out = NULL;
}

/* The inputs of tests/golden/merge/make.py: N elements of DTYPE under KEY, in fresh memory. */
static inline void *run_random(uint64_t key, int64_t n, enum dtype dtype)
{
    const size_t size = dtype_info(dtype)->bytes;
    uint8_t *to = mem_grow(NULL, size * (size_t)n + 1);
    uint32_t word[4][PHILOX_LANES];

    for (int64_t i = 0; i < n; i++) {
        const int l = (int)(i % PHILOX_LANES);
        double x;

        if (l == 0)
            philox_lanes(key, (uint64_t)i, word);
        if (dtype == DTYPE_f64)
            x = (double)(int64_t)((uint64_t)word[0][l] << 32 | word[1][l]) * 0x1p-66;
        else
            x = (double)((int32_t)word[0][l] >> 8) * (double)(1u << word[1][l] % 8) * 0x1p-30;
        encode_f64(dtype, &x, to + (size_t)i * size, 1);
    }
    return to;
}

#endif
