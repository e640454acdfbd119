/* ram.h - what a model alone changed, and what several changed (specs/merge.md 2.13)
 *
 * T_j = x_j - b in W. Model j changed an element where |T_j| is above epsilon (rounded to W; NaN
 * is not). An element that one model changed is its own; one that several changed is shared. */
#ifndef OP_RAM_H
#define OP_RAM_H

#include "op/share.h"

/* A run of at most OP_CHUNK elements of a range; 8-byte cells hold numbers of either size. */
struct ram {
    const struct op_call *call;
    const struct steps *steps;
    const struct op_range *range;
    double epsilon; /* rounded to W */
    int64_t at, n;
    uint8_t changers[OP_CHUNK]; /* of each element */
    double divisor[OP_CHUNK];   /* max(changers, 1), as numbers of W */
    double t[OP_CHUNK];         /* T_j after ram_changed */
    uint8_t changed[OP_CHUNK];  /* by j, after ram_changed: 0 or 1 */
};

/* EPSILON as the recipe has it. */
void ram_open(struct ram *r, const struct op_call *call, const struct op_range *range,
              double epsilon);
/* The elements [AT, AT + result) of the range: who changed them. 0 at the range's end. */
int64_t ram_next(struct ram *r, int64_t at);
/* What input J (from 1 on) changed among them. */
void ram_changed(struct ram *r, uint32_t j);
/* OWN = T_j where j alone changed it, SHARED = T_j / changers where others did, too; else T_j * 0.
 * Both in W. */
void ram_parts(struct ram *r, uint32_t j, void *own, void *shared);
/* As many elements are shared and j's own: added to COUNT[0] and COUNT[1]. */
void ram_tally(struct ram *r, uint32_t j, uint64_t *count);

#endif
