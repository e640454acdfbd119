/* sparsify.h - which elements of a delta a merge keeps, and by how much the rest grows for it
 *
 * The sparsifiers of the task arithmetic family (specs/merge.md 2.7). The op's parameters say
 * which: masks and epsilon: RANKED (della); masks: RANDOM (dare); gamma: BAND (breadcrumbs);
 * density alone: TOP (ties); none of them: NONE. Lists have one value for each non-base input;
 * input 0 is the base, and "delta J" belongs to input J + 1.
 *
 * TOP and BAND find their cuts without sorting: count magnitudes (W of 16 bits in one pass, f32 in
 * two, f64 in four), then find in which tile the elements equal to a cut change sides, unless all
 * of them stay together; with rescale one more pass sums. The others sum alone. A call that needs
 * none of this has no state, and makes no pass. */
#ifndef OP_SPARSIFY_H
#define OP_SPARSIFY_H

#include "kernel/tally.h"
#include "op/share.h"

enum sparsify { SPARSIFY_NONE, SPARSIFY_TOP, SPARSIFY_BAND, SPARSIFY_RANDOM, SPARSIFY_RANKED };

/* What is known of a call before its elements. */
struct sparsify_call {
    const struct op_call *call;
    enum sparsify kind;
    const struct steps *steps;
    const double *density, *gamma, *epsilon; /* NULL: the op has none */
    const int64_t *masks;
    uint32_t ndelta; /* non-base inputs */
    bool rescale;
    int64_t n;            /* elements */
    int64_t vector;       /* RANKED: elements that are ranked among each other, */
    int64_t stride, slab; /* how far apart they lie, and vector * stride */
};
struct sparsify_call sparsify_of(const struct op_call *call);

/* Is delta J kept whole, or not at all, or are some of its elements chosen? */
enum sparsify_fate { SPARSIFY_WHOLE, SPARSIFY_NOTHING, SPARSIFY_SOME };
enum sparsify_fate sparsify_fate(const struct sparsify_call *s, uint32_t j);

/* After op_infer_merge: lists of the right length, and values that have a meaning. */
bool sparsify_check(const struct op_call *call, struct err *err) MUST_USE;

/* A boundary between kept and dropped magnitudes: below it (low) or above it (high) nothing is
 * kept. Of the elements that equal KEY, in flat order, those before BOUND are on one side: kept if
 * EARLY. Element BOUND is number LOCAL among the equals of tile TILE. */
struct sparsify_cut {
    bool on, early;
    uint64_t key;   /* magnitude; while counting, the digits known so far */
    int64_t rest;   /* the position of the cut among the magnitudes with these digits */
    int64_t equals; /* elements of KEY */
    int64_t bound, tile, local;
    bool found; /* tile and local are known, or do not matter */
};

struct sparsify_delta {
    struct sparsify_cut cut[2]; /* low, high */
    bool scaled;
    double ratio;
};

/* The state of the op's passes. */
struct sparsify_state {
    uint32_t phase, level;
    uint32_t pad[2];
    struct sparsify_delta delta[];
};

/* The members of struct op. */
bool sparsify_infer(struct op_call *call, struct err *err);
int64_t sparsify_granule(const struct op_call *call);
int64_t sparsify_tile(const struct op_call *call);
size_t sparsify_state(const struct op_call *call);
size_t sparsify_partial(const struct op_call *call, uint32_t pass);
size_t sparsify_worker(const struct op_call *call, uint32_t pass);
size_t sparsify_keep(const struct op_call *call); /* with keep_spare: the random masks */
void sparsify_reduce(const struct op_call *call, uint32_t pass, const void *state,
                     const struct op_range *range, void *partial, void *worker);
enum op_more sparsify_combine(const struct op_call *call, uint32_t pass, void *state,
                              const void *partial, int64_t ntile, const void *counts,
                              struct err *err);
enum { SPARSIFY_PASSES = 6 };

/* Scratch that sparsifying takes, of range->scratch; a multiple of 64. */
size_t sparsify_scratch(const struct op_call *call);

/* One delta over a range; ranges and the parts of it are taken in order. */
struct sparsifier {
    const struct sparsify_call *call;
    uint32_t j;
    enum sparsify_fate fate;
    const struct sparsify_delta *delta; /* NULL: no state */
    int64_t tile;                       /* TOP, BAND: of the bounds below; -1: none yet */
    uint64_t low, high;                 /* magnitudes kept, both inclusive */
    const struct sparsify_cut *fix[2];  /* cuts whose equals change sides in this tile, or NULL */
    int64_t seen[2];                    /* equals of them so far */
    const uint8_t *mask;                /* RANKED: of the elements from mask_first on */
    int64_t mask_first;
    uint8_t *kept; /* random masks, by flat index: made while summing, then used; NULL: made anew */
    bool summing;
};
/* RANGE is one of reduce or of rows. */
void sparsify_begin(struct sparsifier *z, const struct sparsify_call *s, const void *state,
                    const struct op_range *range, uint32_t j);
/* The elements [AT, AT + result) of the range are the next ones to take; RANKED ranks them, with
 * the memory SCRATCH. Z is one sparsifier a delta. */
int64_t sparsify_span(struct sparsifier *z, const struct op_range *range, int64_t at,
                      unsigned char *scratch);
/* D: N <= OP_CHUNK elements from flat index FIRST on. Drops; then the rest grows. */
void sparsify_drop(struct sparsifier *z, int64_t first, void *d, int64_t n);
void sparsify_grow(const struct sparsifier *z, void *d, int64_t n);

/* ---- between the files of this module ---- */

/* D: N <= OP_CHUNK elements from AT on of delta J of the range. */
void sparsify_read(const struct sparsify_call *s, const struct op_range *range, uint32_t j,
                   int64_t at, void *d, int64_t n);
/* sparsify_cut.c: counting and finding; the tile's bounds. */
/* Does delta J have cuts that must be found? */
bool sparsify_cut_counts(const struct sparsify_call *s, uint32_t j);
size_t sparsify_cut_partial(const struct sparsify_call *s, uint32_t pass);
size_t sparsify_cut_worker(const struct sparsify_call *s, uint32_t pass);
size_t sparsify_cut_scratch(const struct sparsify_call *s);
void sparsify_cut_reduce(const struct sparsify_call *s, const struct sparsify_state *state,
                         const struct op_range *range, void *partial, void *worker);
/* True: the cuts are known. */
bool sparsify_cut_combine(const struct sparsify_call *s, struct sparsify_state *state,
                          const void *partial, int64_t ntile, const uint64_t *counts);
void sparsify_cut_drop(struct sparsifier *z, int64_t first, void *d, int64_t n);
/* sparsify_rank.c */
size_t sparsify_rank_scratch(const struct sparsify_call *s);
int64_t sparsify_rank_span(struct sparsifier *z, const struct op_range *range, int64_t at,
                           unsigned char *scratch);

#endif
