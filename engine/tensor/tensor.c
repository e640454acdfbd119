/* tensor.c - sizes of tensors whose shape a stranger may have chosen */
#include "tensor/tensor.h"

#include "base/sum.h"

#include <inttypes.h>
#include <stdio.h>

static const uint64_t size_limit = (uint64_t)1 << 62;

/* The product of the dims that are not zero must fit too: parts of it (rows, columns) are
 * computed where another dim is zero. */
static bool check_size(const struct tensor *t, char *text, size_t size, struct err *err)
{
    const struct dtype_info *info = dtype_info(t->dtype);
    uint64_t n = 1, bytes;

    for (uint32_t i = 0; i < t->rank; i++)
        if (t->dim[i] != 0 && (!sum_mul(n, (uint64_t)t->dim[i], &n) || n >= size_limit))
            return err_set(err, ERR_LIMIT, "shape %s has more than 2^62 elements",
                           tensor_shape(t, text, size));
    if (!sum_mul(n / info->elements + 1, info->bytes, &bytes) || bytes >= size_limit)
        return err_set(err, ERR_LIMIT, "shape %s of %s has more than 2^62 bytes",
                       tensor_shape(t, text, size), info->name);
    return true;
}

bool tensor_check(const struct tensor *t, struct err *err)
{
    const struct dtype_info *info;
    char text[192];

    if ((unsigned)t->dtype >= DTYPE_COUNT)
        return err_set(err, ERR_TYPE, "dtype number %u is not one of the table",
                       (unsigned)t->dtype);
    if (t->rank > TENSOR_RANK_MAX)
        return err_set(err, ERR_SHAPE, "%" PRIu32 " dimensions, expected at most %d", t->rank,
                       TENSOR_RANK_MAX);
    for (uint32_t i = 0; i < t->rank; i++)
        if (t->dim[i] < 0)
            return err_set(err, ERR_SHAPE, "shape %s has a negative dimension",
                           tensor_shape(t, text, sizeof(text)));
    info = dtype_info(t->dtype);
    if (tensor_cols(t) % info->elements != 0)
        return err_set(
            err, ERR_SHAPE, "shape %s has %" PRId64 " columns, %s takes multiples of %" PRIu32,
            tensor_shape(t, text, sizeof(text)), tensor_cols(t), info->name, info->elements);
    return check_size(t, text, sizeof(text), err);
}

int64_t tensor_elements(const struct tensor *t)
{
    int64_t n = 1;

    for (uint32_t i = 0; i < t->rank; i++)
        if (t->dim[i] == 0)
            return 0;
    for (uint32_t i = 0; i < t->rank; i++)
        n *= t->dim[i];
    return n;
}

int64_t tensor_cols(const struct tensor *t)
{
    return t->rank ? t->dim[t->rank - 1] : 1;
}

int64_t tensor_rows(const struct tensor *t)
{
    const int64_t n = tensor_elements(t);

    return n ? n / tensor_cols(t) : 0;
}

int64_t tensor_slab(const struct tensor *t)
{
    const int64_t n = tensor_elements(t);

    return n && t->rank ? n / t->dim[0] : n;
}

uint64_t tensor_bytes(const struct tensor *t)
{
    return tensor_span(t, tensor_elements(t));
}

uint64_t tensor_span(const struct tensor *t, int64_t n)
{
    const struct dtype_info *info = dtype_info(t->dtype);

    return (uint64_t)n / info->elements * info->bytes;
}

bool tensor_same_shape(const struct tensor *a, const struct tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (uint32_t i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

const char *tensor_shape(const struct tensor *t, char *text, size_t size)
{
    size_t at = 0;

    if (size == 0)
        return "";
    text[0] = '\0';
    for (uint32_t i = 0; i <= t->rank && at < size; i++) {
        int n;

        if (i == t->rank)
            n = snprintf(text + at, size - at, i ? "]" : "[]");
        else
            n = snprintf(text + at, size - at, "%s%" PRId64, i ? ", " : "[", t->dim[i]);
        at += n > 0 ? (size_t)n : 0;
    }
    return text;
}
