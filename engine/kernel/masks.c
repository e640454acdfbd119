/* masks.c - bytes that say yes or no, 16 at a time (GNU C), as the base instruction set has them */
#include "kernel/masks.h"

enum { BYTES = 16, SUMS = 255 /* ones that a byte can add up */ };

typedef uint8_t u8x16 __attribute__((vector_size(16), aligned(1), may_alias));

#define GET(x) (*(const u8x16 *)(x))
#define PUT(y, v) (*(u8x16 *)(y) = (v))

void masks_add(uint8_t *count, const uint8_t *mask, int64_t n)
{
    int64_t i = 0;

    for (; i + BYTES <= n; i += BYTES)
        PUT(count + i, GET(count + i) + GET(mask + i));
    for (; i < n; i++)
        count[i] = (uint8_t)(count[i] + mask[i]);
}

void masks_split(uint8_t *alone, uint8_t *with, const uint8_t *mask, const uint8_t *count,
                 int64_t n)
{
    int64_t i = 0;

    for (; i + BYTES <= n; i += BYTES) {
        const u8x16 yes = GET(mask + i), one = (u8x16)(GET(count + i) == 1),
                    none = (u8x16)(GET(count + i) == 0);

        PUT(alone + i, yes & one);
        PUT(with + i, yes & ~(one | none));
    }
    for (; i < n; i++) {
        const uint8_t yes = mask[i], c = count[i];

        alone[i] = c == 1 ? yes : 0;
        with[i] = c > 1 ? yes : 0;
    }
}

void masks_at_least_one(uint8_t *count, int64_t n)
{
    int64_t i = 0;

    for (; i + BYTES <= n; i += BYTES)
        PUT(count + i, GET(count + i) | ((u8x16)(GET(count + i) == 0) & 1));
    for (; i < n; i++)
        count[i] = count[i] ? count[i] : 1;
}

uint64_t masks_yes(const uint8_t *mask, int64_t n)
{
    uint64_t yes = 0;
    int64_t i = 0;

    while (i + BYTES <= n) {
        u8x16 sum = {0};

        for (int k = 0; k < SUMS && i + BYTES <= n; k++, i += BYTES)
            sum += GET(mask + i);
        for (int k = 0; k < BYTES; k++)
            yes += sum[k];
    }
    for (; i < n; i++)
        yes += mask[i];
    return yes;
}
