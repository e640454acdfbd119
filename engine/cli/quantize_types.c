#include "cli/quantize_types.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* In llama-quantize's order: of a number the first row is the name, so that 15 is Q4_K. */
static const struct ftype {
    const char *name;
    int number;
} ftypes[] = {
    {"Q1_0", 40},   {"Q2_0", 41},   {"Q4_0", 2},     {"Q4_1", 3},    {"MXFP4_MOE", 38},
    {"Q5_0", 8},    {"Q5_1", 9},    {"IQ2_XXS", 19}, {"IQ2_XS", 20}, {"IQ2_S", 28},
    {"IQ2_M", 29},  {"IQ1_S", 24},  {"IQ1_M", 31},   {"TQ1_0", 36},  {"TQ2_0", 37},
    {"Q2_K", 10},   {"Q2_K_S", 21}, {"IQ3_XXS", 23}, {"IQ3_S", 26},  {"IQ3_M", 27},
    {"Q3_K", 12},   {"IQ3_XS", 22}, {"Q3_K_S", 11},  {"Q3_K_M", 12}, {"Q3_K_L", 13},
    {"IQ4_NL", 25}, {"IQ4_XS", 30}, {"Q4_K", 15},    {"Q4_K_S", 14}, {"Q4_K_M", 15},
    {"Q5_K", 17},   {"Q5_K_S", 16}, {"Q5_K_M", 17},  {"Q6_K", 18},   {"Q8_0", 7},
    {"F16", 1},     {"BF16", 32},   {"F32", 0},      {"COPY", 0},
};

bool quantize_stoi(const char *text, int *out)
{
    char *end;

    errno = 0;
    const long n = strtol(text, &end, 10);

    if (end == text || errno == ERANGE || n < INT_MIN || n > INT_MAX)
        return false;
    *out = (int)n;
    return true;
}

const char *quantize_type_by_name(const char *word)
{
    for (size_t i = 0; i < countof(ftypes); i++)
        if (strcasecmp(ftypes[i].name, word) == 0)
            return ftypes[i].name;
    return NULL;
}

const char *quantize_type(const char *word)
{
    const char *name = quantize_type_by_name(word);
    int number;

    if (name || !quantize_stoi(word, &number))
        return name;
    for (size_t i = 0; i < countof(ftypes); i++)
        if (ftypes[i].number == number)
            return ftypes[i].name;
    return NULL;
}

void quantize_types_help(struct buf *out)
{
    size_t column = 0;

    buf_text(out, "\nTypes (a number may stand for the name; any case):\n");
    for (size_t i = 0; i < countof(ftypes); i++) {
        struct buf one = {0};

        buf_text(&one, ftypes[i].name);
        if (strcmp(ftypes[i].name, "COPY") != 0)
            buf_printf(&one, " (%d)", ftypes[i].number);
        if (column + one.size + 2 > 78 || !column) {
            buf_text(out, column ? ",\n  " : "  ");
            column = 2;
        } else {
            buf_text(out, ", ");
            column += 2;
        }
        column += one.size;
        buf_put(out, one.data, one.size);
        buf_finish(&one);
    }
    buf_text(out, "\n");
}
