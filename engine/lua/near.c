#include "lua/near.h"

#include <string.h>

enum { WORD_MAX = 64 };

uint32_t near_limit(const char *word)
{
    const size_t n = strlen(word);

    return n < 6 ? 1 : (uint32_t)(n / 3);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* Three rows of the usual table: a swap looks two rows back (restricted Damerau-Levenshtein). */
uint32_t near_distance(const char *a, const char *b, uint32_t limit)
{
    uint32_t row[3][WORD_MAX + 1];
    const size_t na = strlen(a), nb = strlen(b);

    if (na > WORD_MAX || nb > WORD_MAX)
        return limit + 1;
    for (uint32_t j = 0; j <= nb; j++)
        row[0][j] = j;
    for (uint32_t i = 1; i <= na; i++) {
        uint32_t *now = row[i % 3];
        const uint32_t *above = row[(i - 1) % 3], *two = row[(i + 1) % 3];

        now[0] = i;
        for (uint32_t j = 1; j <= nb; j++) {
            const bool same = a[i - 1] == b[j - 1];

            now[j] = least(least(above[j], now[j - 1]) + 1, above[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], two[j - 2] + 1);
        }
    }
    return least(row[na % 3][nb], limit + 1);
}
