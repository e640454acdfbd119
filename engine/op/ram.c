/* ram.c - who changed what, a chunk at a time */
#include "op/ram.h"

#include "base/exact.h"
#include "base/sum.h"

#include <math.h>
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
    const uint32_t size = r->steps->size;
    const float *f = (const float *)(const void *)r->t, epsilon = (float)r->epsilon;

    r->steps->sub(r->t, op_in(r->range, j, r->at, size), op_in(r->range, 0, r->at, size), r->n);
    for (int64_t i = 0; i < r->n && size == sizeof(float); i++)
        r->changed[i] = fabsf(f[i]) > epsilon;
    for (int64_t i = 0; i < r->n && size == sizeof(double); i++)
        r->changed[i] = fabs(r->t[i]) > r->epsilon;
}

int64_t ram_next(struct ram *r, int64_t at)
{
    float *f = (float *)(void *)r->divisor;

    r->at = at;
    r->n = min_i64(OP_CHUNK, r->range->n - at);
    memset(r->changers, 0, sizeof(r->changers));
    for (uint32_t j = 1; j < r->call->nin; j++) {
        ram_changed(r, j);
        for (int64_t i = 0; i < r->n; i++)
            r->changers[i] = (uint8_t)(r->changers[i] + r->changed[i]);
    }
    for (int64_t i = 0; i < r->n; i++) {
        const uint8_t c = r->changers[i] ? r->changers[i] : 1;

        if (r->steps->size == sizeof(float))
            f[i] = (float)c;
        else
            r->divisor[i] = (double)c;
    }
    return r->n;
}

void ram_parts(struct ram *r, uint32_t j, void *own, void *shared)
{
    uint8_t alone[OP_CHUNK], with[OP_CHUNK];

    ram_changed(r, j);
    for (int64_t i = 0; i < r->n; i++) {
        alone[i] = r->changed[i] & (r->changers[i] == 1);
        with[i] = r->changed[i] & (r->changers[i] > 1);
    }
    r->steps->mask(own, r->t, alone, r->n);
    r->steps->mask(shared, r->t, with, r->n);
    r->steps->div(shared, shared, r->divisor, r->n);
}

void ram_tally(struct ram *r, uint32_t j, uint64_t *count)
{
    ram_changed(r, j);
    for (int64_t i = 0; i < r->n; i++) {
        count[0] += r->changed[i] & (r->changers[i] > 1);
        count[1] += r->changed[i] & (r->changers[i] == 1);
    }
}
