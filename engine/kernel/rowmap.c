/* rowmap.c - the q/k row permutation, whole rows at a time */
#include "kernel/rowmap.h"

#include <string.h>

void rowmap_apply(struct rowmap map, const void *from, void *to, int64_t rows, size_t row_bytes)
{
    const uint8_t *source = from;
    uint8_t *target = to;
    const int64_t half = map.head / 2;

    if (rows == 0 || row_bytes == 0)
        return;
    if (map.kind == ROWMAP_NONE) {
        memcpy(to, from, (size_t)rows * row_bytes);
        return;
    }
    for (int64_t first = 0; first < rows; first += map.head)
        for (int64_t i = 0; i < half; i++)
            for (int64_t j = 0; j < 2; j++) {
                const size_t gguf = (size_t)(first + 2 * i + j) * row_bytes;
                const size_t hf = (size_t)(first + j * half + i) * row_bytes;

                if (map.kind == ROWMAP_TO_GGUF)
                    memcpy(target + gguf, source + hf, row_bytes);
                else
                    memcpy(target + hf, source + gguf, row_bytes);
            }
}

struct rowmap rowmap_inverse(struct rowmap map)
{
    if (map.kind == ROWMAP_TO_GGUF)
        map.kind = ROWMAP_TO_HF;
    else if (map.kind == ROWMAP_TO_HF)
        map.kind = ROWMAP_TO_GGUF;
    return map;
}

int64_t rowmap_from(struct rowmap map, int64_t row)
{
    if (map.kind == ROWMAP_NONE)
        return row;
    const int64_t k = row % map.head, half = map.head / 2;

    if (map.kind == ROWMAP_TO_GGUF)
        return row - k + k % 2 * half + k / 2;
    return row - k + 2 * (k % half) + k / half;
}
