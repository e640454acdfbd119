/* op.h - one transformation of tensors: its description, and the arithmetic of a range
 *
 * An op is one file op_NAME.c and one row of ops.def. It describes its parameters once (recipe
 * checks, defaults, keys and docs follow), infers its output's dtype and shape while planning,
 * and computes ranges of elements on demand. The executor owns tiles, threads, memory, fusion
 * and reading; an op owns arithmetic only: no files, cache, clock, environment, allocation.
 * Same inputs, parameters and version: same bytes, whatever the ranges and threads. */
#ifndef OP_OP_H
#define OP_OP_H

#include "base/arena.h"
#include "base/err.h"
#include "base/hash.h"
#include "tensor/tensor.h"

enum {
    OP_INPUTS_MAX = 65,
    OP_PARAMS_MAX = 16,
    OP_TILE = 65536 /* elements in a tile of reduce, in flat order */
};

enum param_type {
    PARAM_F64,
    PARAM_I64,
    PARAM_BOOL,
    PARAM_WORD,  /* one of param.words */
    PARAM_DTYPE, /* a type name */
    PARAM_F64S,  /* a list of numbers */
    PARAM_I64S,  /* a list of integers */
    PARAM_TEXT,  /* any string */
    PARAM_F32S,  /* a vector of many f32, or none; a key holds its digest */
};

struct param {
    const char *name;
    enum param_type type;
    double min, max;          /* of numbers, and of the numbers in a list; inclusive */
    const char *fallback;     /* the default as text ("1", "true", "f32", "[]"), NULL: required */
    const char *const *words; /* of PARAM_WORD: NULL-terminated */
    const char *doc;          /* one line: meaning and unit */
};

/* The vector of a PARAM_F32S, made by op_f32s and never copied: it must outlive the calls that
 * use it (in a graph's arena it does). */
struct op_f32s {
    const float *v;
    int64_t n;
    float min, max; /* of its values; both NaN if one of them is */
    struct digest digest;
};

union op_arg {
    double f64;
    int64_t i64;
    bool flag;
    const char *word; /* PARAM_WORD and PARAM_TEXT */
    enum dtype dtype;
    struct {
        const double *v;
        uint32_t n;
    } f64s;
    struct {
        const int64_t *v;
        uint32_t n;
    } i64s;
    const struct op_f32s *f32s; /* NULL: none */
};

struct op;

/* One use of an op: everything that decides its output but the input bytes. */
struct op_call {
    const struct op *op;
    const struct tensor *in; /* nin of them */
    uint32_t nin;
    const union op_arg *arg; /* op->nparam of them, in the order of op->param */
    struct tensor out;       /* after infer */
};

/* How the executor hands inputs over: in their own dtype, or decoded (once for all users). */
enum op_form { OP_RAW, OP_F32, OP_F64 };

/* A range of the output, flat elements [first, first + n), and the same range of each input. */
struct op_range {
    int64_t first, n;
    const void *const *in; /* nin pointers to the range's first element, in op_form */
    void *out;             /* rows only: the range in the output's dtype */
    void *scratch;         /* op->scratch_bytes of the worker, whatever they hold */
    void *keep; /* op->keep_bytes for each element of the tensor, from its first on; or NULL */
};

enum op_more { OP_DONE, OP_AGAIN, OP_FAILED };

struct op {
    const char *name;
    uint32_t version; /* rises when any output byte changes */
    uint32_t in_min, in_max;
    const struct param *param;
    uint32_t nparam;

    /* call->out from in and arg; ERR_TYPE, ERR_SHAPE or ERR_RECIPE without context. */
    bool (*infer)(struct op_call *call, struct err *err);
    /* After infer: true when the output's bytes are input 0's whatever they hold (a cast to its
     * own type, a scale by 1), so that no node is needed. NULL: never. */
    bool (*identity)(const struct op_call *call);
    /* After infer: true when argument I decides nothing here, given the others; the node is then
     * made without it, so that keys do not depend on it. Only for PARAM_F32S. NULL: never. */
    bool (*ignores)(const struct op_call *call, uint32_t i);
    /* Does making the output cost far more than reading it? It is then kept in the cache besides
     * its artifact. NULL: no. */
    bool (*dear)(const struct op_call *call);
    /* NULL: OP_F32. */
    enum op_form (*form)(const struct op_call *call);
    /* Ranges of rows begin and end at multiples of this many elements (and of the blocks of
     * every dtype involved, which the executor sees to). NULL: 1, elementwise. A row:
     * tensor_cols. The whole tensor: its elements. */
    int64_t (*granule)(const struct op_call *call);

    /* A multi-pass op first reduces: passes over tiles of OP_TILE elements (the last may be
     * shorter), until combine says OP_DONE, at most passes_max times. STATE is state_bytes,
     * zeroed before pass 0, written by combine alone. NULL reduce, or no state: none of this,
     * and rows gets NULL. */
    uint32_t passes_max;
    /* Elements of a reduce tile, at least 1. NULL: OP_TILE. An op whose sums run along rows has
     * whole rows in a tile. */
    int64_t (*tile)(const struct op_call *call);
    /* True when pass PASS must see its tiles one after another, from the first: PARTIAL is then
     * one block for all of them, zeroed before the first, and NTILE 1. NULL: never. For sums that
     * run across tiles (columns); everything else reduces in any order. */
    bool (*in_order)(const struct op_call *call, uint32_t pass);
    size_t (*state_bytes)(const struct op_call *call);
    size_t (*partial_bytes)(const struct op_call *call, uint32_t pass); /* f64 sums, per tile */
    size_t (*worker_bytes)(const struct op_call *call, uint32_t pass);  /* u64 counts; NULL: 0 */
    void (*reduce)(const struct op_call *call, uint32_t pass, const void *state,
                   const struct op_range *range, void *partial, void *worker);
    /* PARTIAL: all tiles in order. COUNTS: the u64 words of all workers, summed. */
    enum op_more (*combine)(const struct op_call *call, uint32_t pass, void *state,
                            const void *partial, int64_t ntile, const void *counts,
                            struct err *err);

    /* Memory that reduce and rows find in range->scratch, aligned to 64: one block a worker, with
     * contents of an earlier range. NULL: 0. */
    size_t (*scratch_bytes)(const struct op_call *call);

    /* Bytes for each element of the tensor that stay from pass to pass, and for the rows: in
     * memory, or in a file if they are many. Pass 0 finds anything in them. The op lays them out:
     * in a pass reduce may touch those of its range alone, rows may read them. A pass that gave
     * nothing is not repeated over what it left: the op begins again at pass 0, with a new state.
     * NULL: 0. */
    size_t (*keep_bytes)(const struct op_call *call);
    /* What it keeps only spares it work: range->keep is NULL, in all passes and rows, where memory
     * has no room. */
    bool keep_spare;

    /* Compute a range. A failure names row and column of the first offender in the range. */
    bool (*rows)(const struct op_call *call, const void *state, const struct op_range *range,
                 struct err *err);
};

/* All ops, in the order of ops.def. */
extern const struct op *const all_ops[];
extern const uint32_t all_ops_count;
const struct op *op_find(const char *name); /* or NULL */

/* The index of a parameter by name, or -1. */
int op_param(const struct op *op, const char *name);

/* The vector of the N floats V, which stay where they are. */
const struct op_f32s *op_f32s(const float *v, int64_t n, struct arena *arena);

/* Whole-range granule: lcm of the op's own and the blocks of its dtypes. 0 when it overflows. */
int64_t op_granule(const struct op_call *call);
/* Elements of a reduce tile. */
int64_t op_tile(const struct op_call *call);
/* Must it reduce before it has rows? */
bool op_reduces(const struct op_call *call);
enum op_form op_form_of(const struct op_call *call);

/* The shared check of DESIGN section 2: a non-finite OUT[i] while element AT + i of every input is
 * finite is an error that names row and column. N elements, AT of the range. */
bool op_check_finite(const struct op_call *call, const struct op_range *range, int64_t at,
                     const double *out, int64_t n, struct err *err) MUST_USE;

#endif
