/* ram.c - who changed what, a chunk at a time */
#include "op/ram.h"

#include "base/exact.h"
#include "base/sum.h"
#include "kernel/masks.h"

#include <string.h>

void ram_open(struct ram *r, const struct op_call *call, const struct op_range *range,
              double epsilon)
{
    r->call = call;
    r->steps = op_steps(call);
    r->range = range;
    r->epsilon = r->steps->scalar(epsilon);
}

void ram_changed(struct ram *r, uint32_t j)
{
    op_delta(r->call, r->steps, r->range, j, r->at, r->n, r->t);
    r->steps->beyond(r->changed, r->t, r->epsilon, r->n);
}

int64_t ram_next(struct ram *r, int64_t at)
{
    uint8_t some[OP_CHUNK];

    r->at = at;
    r->n = min_i64(OP_CHUNK, r->range->n - at);
    memset(r->changers, 0, sizeof(r->changers));
    for (uint32_t j = 1; j < r->call->nin; j++) {
        ram_changed(r, j);
        masks_add(r->changers, r->changed, r->n);
    }
    memcpy(some, r->changers, sizeof(some));
    masks_at_least_one(some, r->n);
    r->steps->numbers(r->divisor, some, r->n);
    return r->n;
}

void ram_parts(struct ram *r, uint32_t j, void *own, void *shared)
{
    uint8_t alone[OP_CHUNK], with[OP_CHUNK];

    ram_changed(r, j);
    masks_split(alone, with, r->changed, r->changers, r->n);
    r->steps->mask(own, r->t, alone, r->n);
    r->steps->mask(shared, r->t, with, r->n);
    r->steps->div(shared, shared, r->divisor, r->n);
}

void ram_tally(struct ram *r, uint32_t j, uint64_t *count)
{
    uint8_t alone[OP_CHUNK], with[OP_CHUNK];

    ram_changed(r, j);
    masks_split(alone, with, r->changed, r->changers, r->n);
    count[0] += masks_yes(with, r->n);
    count[1] += masks_yes(alone, r->n);
}
