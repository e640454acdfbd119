/* measure.h - the error of a tensor against the one it was made of, in bounded memory
 *
 * Both are read tile by tile, decoded to f64 and summed as kernel/error.h says; tiles go to workers
 * and are joined in order, so the figures depend on the two tensors and the weights alone. */
#ifndef GRAPH_MEASURE_H
#define GRAPH_MEASURE_H

#include "base/hash.h"
#include "kernel/error.h"
#include "kernel/rowmap.h"
#include "op/op.h"
#include "store/store.h"

struct measure_side {
    const char *path;       /* the file that holds it */
    uint64_t offset;        /* of its bytes */
    const struct tensor *t; /* checked */
    struct rowmap map;      /* from the rows of the file to the order that both sides share */
    struct digest d;        /* of its bytes, for the key */
};

/* Can they be measured? Types that nobody here decodes cannot. */
bool measure_can(const struct measure_side *made, const struct measure_side *source);
/* ERR_SHAPE, with both shapes, unless they are equal but for leading ones. */
bool measure_fits(const struct measure_side *made, const struct measure_side *source,
                  struct err *err) MUST_USE;

/* WEIGHTS: an imatrix's values for the columns (of each matrix), or NULL; their number fits the
 * shape. Both sides fit and can be measured. ERR_IO, ERR_CHANGED, ERR_MEMORY. About 3 MiB a
 * worker. */
bool measure_error(const struct measure_side *made, const struct measure_side *source,
                   const struct op_f32s *weights, uint32_t workers, struct error_sums *out,
                   struct err *err) MUST_USE;

/* What a measurement is a function of: digests, types with the versions of their coding, shapes,
 * row maps, and the weights. */
struct digest measure_key(const struct measure_side *made, const struct measure_side *source,
                          const struct op_f32s *weights);

/* The result kept under a key; false: it was never measured. */
bool measure_known(struct store *store, struct digest key, struct error_sums *out);
bool measure_keep(struct store *store, struct digest key, const struct error_sums *sums,
                  struct err *err) MUST_USE;

/* The newest measurement of a tensor against whatever it was, so that it can be shown without the
 * source. AGAINST and WEIGHTS: what people call the two, "" without weights; in ARENA. */
struct measured {
    struct error_sums sums;
    const char *against, *weights;
};
bool measure_last(struct store *store, const struct measure_side *made, struct arena *arena,
                  struct measured *out);
bool measure_keep_last(struct store *store, const struct measure_side *made,
                       const struct measured *measured, struct err *err) MUST_USE;

#endif
