/* inspect_types.h - inspect --types: which type each role has in which layers, and at what error
 *
 * inspect_errors.c finds the errors, inspect_types.c shows the table, inspect_json.c the same as
 * JSON. */
#ifndef CLI_INSPECT_TYPES_H
#define CLI_INSPECT_TYPES_H

#include "cli/options.h"
#include "graph/measure.h"
#include "lua/survey.h"

struct allocation_error {
    bool known;
    struct measured is;
};

struct allocation {
    const struct options *options;
    const char *path;
    struct arena *arena;
    struct survey survey;
    struct allocation_error *error; /* of each tensor of the survey */
    uint32_t known;                 /* how many are */
    uint32_t measured;              /* of them, by this run */
    uint64_t read_bytes;
};

/* Find the errors: measure what was never measured when a source is given, else what the cache
 * knows. RUNNING: whether a failure is one of the measuring. */
bool allocation_errors(struct allocation *a, bool *running, struct err *err) MUST_USE;

/* Sums over tensors; errors over those of which it is known (qm 22: J is sum n rmse^2). */
struct allocation_sums {
    uint64_t tensors, elements, bytes, block_elements, block_bytes;
    uint64_t known, counted, skipped;
    double j, x; /* sum of n e / w, of n x / w */
    double max;
};

void allocation_add(struct allocation_sums *s, const struct tensor *t,
                    const struct allocation_error *error);
double allocation_bits(uint64_t bytes, uint64_t elements);   /* of each; 0 of none */
double allocation_rmse(const struct allocation_sums *s);     /* sqrt(J / sum n) */
double allocation_relative(const struct allocation_sums *s); /* of the source's rms */
const struct tensor *allocation_tensor(const struct allocation *a, const struct survey_tensor *t);

/* Every tensor, and the totals. */
void allocation_json(const struct allocation *a, struct buf *out);

/* The subcommand with --types; its exit code. */
int inspect_types(const struct options *options);

#endif
