/* task.h - the task arithmetic family: deltas, sparsified, weighed, mixed, added to the base
 *
 * specs/merge.md 2.6. Input 0 is the base. An op of the family has parameters math (OP_MATH),
 * weights, normalize, lambda, and those of its sparsifier (op/sparsify.h), whose functions it
 * takes over; its rows are task_rows. */
#ifndef OP_TASK_H
#define OP_TASK_H

#include "op/sparsify.h"

/* CONSENSUS: at each place only deltas with the sign of the sum count. */
bool task_rows(const struct op_call *call, const void *state, const struct op_range *range,
               bool consensus, struct err *err) MUST_USE;
/* The base alone. */
bool task_identity(const struct op_call *call);
size_t task_scratch(const struct op_call *call);

#define TASK_WEIGHTS                                                                               \
    {                                                                                              \
        "weights", PARAM_F64S, -1e30, 1e30, NULL, NULL, "a factor for each input but the base"     \
    }
#define TASK_DENSITY                                                                               \
    {                                                                                              \
        "density", PARAM_F64S, 0, 1, NULL, NULL, "the share of each delta that is kept"            \
    }
#define TASK_MASKS                                                                                 \
    {                                                                                              \
        "masks", PARAM_I64S, -0x1p63, 0x1p63, NULL, NULL,                                          \
            "the Philox key of each mask: specs/merge.md section 3"                                \
    }
#define TASK_EPSILON                                                                               \
    {                                                                                              \
        "epsilon", PARAM_F64S, 0, 1, NULL, NULL,                                                   \
            "how far chances leave density: the least of a row has density - epsilon"              \
    }
#define TASK_GAMMA                                                                                 \
    {                                                                                              \
        "gamma", PARAM_F64S, 0, 1, NULL, NULL,                                                     \
            "the share of each delta that is cut off at the top, as outliers"                      \
    }
#define TASK_NORMALIZE(fallback)                                                                   \
    {                                                                                              \
        "normalize", PARAM_BOOL, 0, 0, fallback, NULL, "divide by the sum of the weights"          \
    }
#define TASK_RESCALE(fallback)                                                                     \
    {                                                                                              \
        "rescale", PARAM_BOOL, 0, 0, fallback, NULL,                                               \
            "what is kept of a delta grows until it has the L1 norm of all"                        \
    }
#define TASK_LAMBDA                                                                                \
    {                                                                                              \
        "lambda", PARAM_F64, -1e30, 1e30, "1", NULL, "a factor for the mixed delta"                \
    }

#endif
