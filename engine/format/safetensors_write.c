/* safetensors_write.c - headers and indexes, byte for byte as the official writers */
#include "format/safetensors.h"

#include "base/json.h"
#include "base/map.h"
#include "base/sum.h"
#include "format/wrong.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* From 1, low to high; files hold the highest first, which keeps each tensor aligned to its
 * element. 0: a type that safetensors files cannot hold. */
static const uint8_t rank_of[DTYPE_COUNT] = {
    [DTYPE_bool] = 1,    [DTYPE_f4] = 2,           [DTYPE_f6_e2m3] = 3,      [DTYPE_f6_e3m2] = 4,
    [DTYPE_u8] = 5,      [DTYPE_i8] = 6,           [DTYPE_f8_e5m2] = 7,      [DTYPE_f8_e4m3] = 8,
    [DTYPE_f8_e8m0] = 9, [DTYPE_f8_e4m3fnuz] = 10, [DTYPE_f8_e5m2fnuz] = 11, [DTYPE_i16] = 12,
    [DTYPE_u16] = 13,    [DTYPE_f16] = 14,         [DTYPE_bf16] = 15,        [DTYPE_i32] = 16,
    [DTYPE_u32] = 17,    [DTYPE_f32] = 18,         [DTYPE_c64] = 19,         [DTYPE_f64] = 20,
    [DTYPE_i64] = 21,    [DTYPE_u64] = 22,
};

static int by_rank(const void *a, const void *b)
{
    const struct safetensors_out *x = a, *y = b;
    const int rx = rank_of[x->t.dtype], ry = rank_of[y->t.dtype];

    return rx != ry ? (rx > ry ? -1 : 1) : strcmp(x->name, y->name);
}

static bool check_out(const struct safetensors_out *out, uint64_t *bytes, struct err *err)
{
    const size_t n = strlen(out->name);

    if (!rank_of[out->t.dtype])
        return err_set(err, ERR_TYPE, "safetensors files cannot hold %s; cast it, or write gguf",
                       dtype_name(out->t.dtype));
    if (out->t.rank > TENSOR_RANK_MAX)
        return err_set(err, ERR_SHAPE, "%u dimensions, at most %d are allowed", out->t.rank,
                       (int)TENSOR_RANK_MAX);
    for (uint32_t i = 0; i < out->t.rank; i++)
        if (out->t.dim[i] < 0)
            return err_set(err, ERR_SHAPE, "a dimension is negative");
    if (!utf8_valid(out->name, n))
        return err_set(err, ERR_FORMAT, "the name is not valid UTF-8");
    if (strcmp(out->name, "__metadata__") == 0)
        return err_set(err, ERR_FORMAT, "the name is reserved");
    return safetensors_check(out->name, n, &out->t, bytes, err);
}

static void put_entry(struct buf *header, const struct safetensors_out *out, uint64_t bytes)
{
    json_put_string(header, out->name, strlen(out->name));
    buf_printf(header, ":{\"dtype\":\"%s\",\"shape\":[", dtype_info(out->t.dtype)->safetensors);
    for (uint32_t i = 0; i < out->t.rank; i++)
        buf_printf(header, "%s%" PRId64, i ? "," : "", out->t.dim[i]);
    buf_printf(header, "],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}", out->offset,
               out->offset + bytes);
}

/* Every tensor is writable, no name is there twice (neighbours in the writer's order need not
 * have one dtype, so a map tells). */
static bool check_all(const struct safetensors_out *tensor, size_t n, struct err *err)
{
    struct map names = {0};
    struct shown shown;
    uint64_t bytes, total = 0;
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        const size_t len = strlen(tensor[i].name);

        ok = check_out(&tensor[i], &bytes, err);
        if (ok && !map_add(&names, tensor[i].name, len, i, NULL))
            ok = err_set(err, ERR_FORMAT, "two tensors have this name");
        if (ok && (!sum_add(total, bytes, &total) || total >> 62))
            ok = err_set(err, ERR_LIMIT, "the file would have more than 2^62 bytes");
        if (!ok)
            err_in(err, "tensor \"%s\"",
                   utf8_valid(tensor[i].name, len) ? name_shown(&shown, tensor[i].name, len) : "?");
    }
    map_finish(&names);
    return ok;
}

bool safetensors_layout(struct safetensors_out *tensor, size_t n, struct buf *header,
                        uint64_t *size, struct err *err)
{
    const size_t start = header->size;
    uint64_t at = 0;

    if (!check_all(tensor, n, err))
        return false;
    if (n)
        qsort(tensor, n, sizeof(*tensor), by_rank);
    buf_u64(header, 0);
    buf_text(header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; i++) {
        uint64_t bytes = tensor_bytes(&tensor[i].t);

        tensor[i].offset = at;
        buf_u8(header, ',');
        put_entry(header, &tensor[i], bytes);
        at += bytes;
    }
    buf_u8(header, '}');
    buf_fill(header, ' ', (0 - (header->size - start)) & 7);

    const uint64_t text = header->size - start - 8;

    if (text > SAFETENSORS_HEADER_MAX) {
        header->size = start;
        return err_set(err, ERR_LIMIT,
                       "%zu tensors need a header of %" PRIu64 " bytes, %d are "
                       "allowed; write shards",
                       n, text, (int)SAFETENSORS_HEADER_MAX);
    }
    for (int i = 0; i < 8; i++)
        header->data[start + (size_t)i] = (unsigned char)(text >> (8 * i));
    for (size_t i = 0; i < n; i++)
        tensor[i].offset += 8 + text;
    *size = 8 + text + at;
    return true;
}

/* ---- the index of shards (section 1.5) ---- */

/* The code point of the valid UTF-8 sequence at *S; moves *S past it. */
static uint32_t next_code(const unsigned char **s)
{
    const unsigned char c = *(*s)++;
    const int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    uint32_t code = more ? c & (0x3fu >> more) : c;

    for (int i = 0; i < more; i++)
        code = code << 6 | (*(*s)++ & 0x3f);
    return code;
}

/* As json.dumps: everything outside printable ASCII becomes an escape. */
static void put_ascii(struct buf *out, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;

    buf_u8(out, '"');
    while (*s) {
        static const char plain[] = "\"\\\b\t\n\f\r", letter[] = "\"\\btnfr";
        const uint32_t code = next_code(&s);
        const char *known = code < 0x80 ? strchr(plain, (int)code) : NULL;

        if (known)
            buf_printf(out, "\\%c", letter[known - plain]);
        else if (code >= 0x20 && code < 0x7f)
            buf_u8(out, (uint8_t)code);
        else if (code < 0x10000)
            buf_printf(out, "\\u%04x", code);
        else
            buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                       0xdc00 + (code & 0x3ff));
    }
    buf_u8(out, '"');
}

struct row {
    const char *name, *shard;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

void safetensors_index(const char *const *name, const char *const *shard, size_t n,
                       uint64_t total_size, struct buf *out)
{
    struct row *row = mem_grow(NULL, (n + 1) * sizeof(*row));

    for (size_t i = 0; i < n; i++)
        row[i] = (struct row){name[i], shard[i]};
    qsort(row, n, sizeof(*row), by_name);
    buf_printf(out, "{\n  \"metadata\": {\n    \"total_size\": %" PRIu64 "\n  },\n", total_size);
    buf_text(out, "  \"weight_map\": {");
    for (size_t i = 0; i < n; i++) {
        buf_text(out, i ? ",\n    " : "\n    ");
        put_ascii(out, row[i].name);
        buf_text(out, ": ");
        put_ascii(out, row[i].shard);
    }
    buf_text(out, n ? "\n  }\n}\n" : "}\n}\n");
    mem_free(row);
}
