#include "format/gguf.h"

#include "base/bytes.h"

#include <string.h>

enum { ARRAY_HEAD = 12 }; /* element type and count, before the elements */

const struct gguf_kv *gguf_find(const struct gguf_kv *kv, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(kv[i].key, key) == 0)
            return &kv[i];
    return NULL;
}

/* The N low bytes of a two's complement number, or false when it is negative. */
static bool not_negative(const unsigned char *value, size_t n, uint64_t *out)
{
    if (value[n - 1] & 0x80)
        return false;
    *out = bytes_le(value, n);
    return true;
}

bool gguf_u64(const struct gguf_kv *kv, uint64_t *out)
{
    if (!kv)
        return false;
    switch ((enum gguf_type)kv->type) {
    case GGUF_U8:
        *out = bytes_le(kv->value, 1);
        return true;
    case GGUF_U16:
        *out = bytes_le(kv->value, 2);
        return true;
    case GGUF_U32:
        *out = bytes_le(kv->value, 4);
        return true;
    case GGUF_U64:
        *out = bytes_le(kv->value, 8);
        return true;
    case GGUF_I8:
        return not_negative(kv->value, 1, out);
    case GGUF_I16:
        return not_negative(kv->value, 2, out);
    case GGUF_I32:
        return not_negative(kv->value, 4, out);
    case GGUF_I64:
        return not_negative(kv->value, 8, out);
    case GGUF_F32:
    case GGUF_BOOL:
    case GGUF_STRING:
    case GGUF_ARRAY:
    case GGUF_F64:
    case GGUF_TYPE_COUNT:
        break;
    }
    return false;
}

bool gguf_f64(const struct gguf_kv *kv, double *out)
{
    if (kv && kv->type == GGUF_F32) {
        const uint32_t bits = (uint32_t)bytes_le(kv->value, 4);
        float f32;

        memcpy(&f32, &bits, sizeof(f32));
        *out = (double)f32;
        return true;
    }
    if (kv && kv->type == GGUF_F64) {
        const uint64_t bits = bytes_le(kv->value, 8);

        memcpy(out, &bits, sizeof(*out));
        return true;
    }
    return false;
}

const char *gguf_string(const struct gguf_kv *kv, uint64_t *n)
{
    if (!kv || kv->type != GGUF_STRING)
        return NULL;
    *n = bytes_le(kv->value, 8);
    return (const char *)kv->value + 8;
}

const char *gguf_array_string(const struct gguf_kv *kv, uint64_t *cursor, uint64_t *n)
{
    if (!kv || kv->type != GGUF_ARRAY || kv->item != GGUF_STRING)
        return NULL;
    struct bytes in = {kv->value + ARRAY_HEAD, kv->size - ARRAY_HEAD, *cursor};
    uint64_t size;

    if (in.at >= in.size || !bytes_u64(&in, &size))
        return NULL;
    const unsigned char *text = bytes_take(&in, size);

    if (!text)
        return NULL;
    *cursor = in.at;
    *n = size;
    return (const char *)text;
}

void gguf_put_string(struct buf *out, const char *text, size_t n)
{
    buf_u64(out, n);
    buf_put(out, text, n);
}
