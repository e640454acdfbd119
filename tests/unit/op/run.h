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

enum { RUN_INPUTS = 8, RUN_ARGS = 8 };

struct run {
    const struct op *op;
    uint32_t nin;
    struct tensor in[RUN_INPUTS];
    const void *data[RUN_INPUTS];
    union op_arg arg[RUN_ARGS];
    struct op_call call;
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

/* Run REDUCE (state NULL: rows into OUT) on one range. */
static inline bool run_range(struct run *r, int64_t first, int64_t n, const void *state,
                             uint32_t pass, void *partial, void *out)
{
    void *in[RUN_INPUTS] = {0};
    struct op_range range = {.first = first, .n = n, .in = (const void *const *)in, .out = out};
    bool ok = true;

    for (uint32_t j = 0; j < r->nin; j++)
        in[j] = run_input(r, j, first, n);
    if (partial)
        r->op->reduce(&r->call, pass, state, &range, partial, NULL);
    else
        ok = r->op->rows(&r->call, state, &range, &r->err);
    for (uint32_t j = 0; j < r->nin; j++)
        mem_free(in[j]);
    return ok;
}

/* All passes, tiles from the last to the first: their order must not matter. */
static inline bool run_reduce(struct run *r, void *state)
{
    const int64_t n = tensor_elements(&r->call.out), ntile = (n + OP_TILE - 1) / OP_TILE;
    enum op_more more = OP_AGAIN;

    for (uint32_t pass = 0; more == OP_AGAIN && pass < r->op->passes_max; pass++) {
        const size_t size = r->op->partial_bytes(&r->call, pass);
        uint8_t *partial = mem_grow(NULL, size * (size_t)ntile + 1);

        for (int64_t t = ntile - 1; t >= 0; t--)
            run_range(r, t * OP_TILE, min_i64(OP_TILE, n - t * OP_TILE), state, pass,
                      partial + (size_t)t * size, NULL);
        more = r->op->combine(&r->call, pass, state, partial, ntile, NULL, &r->err);
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
    uint8_t *state = mem_grow(NULL, state_size + 1);
    bool ok = true;

    memset(state, 0, state_size + 1);
    r->out = mem_grow(r->out, (size_t)tensor_bytes(&r->call.out) + 1);
    if (r->op->reduce)
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
