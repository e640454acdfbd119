/* dtype.c - the table made of dtype.def, and questions asked of it */
#include "tensor/dtype.h"

#include "base/sum.h"

#include <string.h>
#include <strings.h>

static const struct dtype_info infos[DTYPE_COUNT] = {
#define DTYPE(name, st, gguf, elements, bytes, kind, version, weighted, dear)                      \
    [DTYPE_##name] = {#name, st, gguf, elements, bytes, DTYPE_KIND_##kind, version, weighted, dear},
#include "tensor/dtype.def"
#undef DTYPE
};

enum { WORD_MAX = 31, NEAR_EDITS = 2 };

const struct dtype_info *dtype_info(enum dtype dtype)
{
    return &infos[dtype];
}

const char *dtype_name(enum dtype dtype)
{
    return infos[dtype].name;
}

bool dtype_is_block(enum dtype dtype)
{
    return infos[dtype].elements > 1 && infos[dtype].gguf >= 0;
}

bool dtype_is_float(enum dtype dtype)
{
    return infos[dtype].kind == DTYPE_KIND_FLOAT;
}

bool dtype_find(const char *name, enum dtype *out)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (strcasecmp(infos[i].name, name) == 0) {
            *out = (enum dtype)i;
            return true;
        }
    return false;
}

bool dtype_from_safetensors(const char *name, size_t n, enum dtype *out)
{
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const char *word = infos[i].safetensors;

        if (word && strlen(word) == n && memcmp(word, name, n) == 0) {
            *out = (enum dtype)i;
            return true;
        }
    }
    return false;
}

bool dtype_from_gguf(uint32_t number, enum dtype *out)
{
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (infos[i].gguf >= 0 && (uint32_t)infos[i].gguf == number) {
            *out = (enum dtype)i;
            return true;
        }
    return false;
}

bool dtype_bytes(enum dtype dtype, uint64_t n, uint64_t *bytes)
{
    const struct dtype_info *info = &infos[dtype];
    uint64_t size;

    if (n % info->elements != 0 || !sum_mul(n / info->elements, info->bytes, &size))
        return false;
    *bytes = size;
    return true;
}

double dtype_bits(enum dtype dtype)
{
    return 8.0 * infos[dtype].bytes / infos[dtype].elements;
}

/* ASCII only: dtype names are, and the locale must not matter. */
static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Edits (insert, drop, replace) that turn A of LEN_A <= WORD_MAX characters into B. */
static int distance(const char *a, size_t len_a, const char *b)
{
    int row[WORD_MAX + 1];

    for (size_t i = 0; i <= len_a; i++)
        row[i] = (int)i;
    for (size_t j = 0; b[j]; j++) {
        int diagonal = row[0];

        row[0] = (int)j + 1;
        for (size_t i = 1; i <= len_a; i++) {
            const int above = row[i];
            const int replace = diagonal + (lower(a[i - 1]) != lower(b[j]));

            row[i] = least(replace, 1 + least(above, row[i - 1]));
            diagonal = above;
        }
    }
    return row[len_a];
}

const char *dtype_nearest(const char *word)
{
    const size_t len = strnlen(word, WORD_MAX + 1);
    const char *best = NULL;
    int best_edits = NEAR_EDITS + 1;

    if (len == 0 || len > WORD_MAX)
        return NULL;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const int edits = distance(word, len, infos[i].name);

        /* A word that must change in every letter is not near to anything. */
        if (edits < best_edits && (size_t)edits < len) {
            best = infos[i].name;
            best_edits = edits;
        }
    }
    return best;
}
