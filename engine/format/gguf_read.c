#include "format/gguf_read.h"

#include "base/bytes.h"
#include "base/json.h"
#include "base/sum.h"
#include "format/wrong.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Records cannot be smaller, so a count is checked against the file before it is believed. */
enum { KV_BYTES_MIN = 8 + 1 + 4 + 1, TENSOR_BYTES_MIN = 8 + 1 + 4 + 4 + 8 };
enum { ITEMS_MAX = 1 << 30, STRING_MAX = 1 << 30 };

struct reader {
    const char *path;
    struct bytes in;
    uint64_t size; /* of the file, which may be mapped in part */
    struct arena *arena;
    struct err *err;
    struct map *names; /* of the tensors of all files of the set */
    uint64_t align;
    uint64_t next;   /* where the next tensor must begin, from the start of the data */
    char where[240]; /* the key or tensor that is being read, for messages */
};

static PRINTF(3, 4) bool bad(struct reader *r, uint64_t at, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return err_set(r->err, ERR_FORMAT, "%s: byte %" PRIu64 ": %s%s", r->path, at, r->where, text);
}

static bool cut_inside(struct reader *r, const char *what)
{
    return bad(r, r->in.at, "the file ends at byte %" PRIu64 ", inside %s", r->size, what);
}

static void set_where(struct reader *r, const char *what, const char *name)
{
    struct shown shown;

    snprintf(r->where, sizeof(r->where), "%s \"%s\": ", what,
             name_shown(&shown, name, strlen(name)));
}

static void set_where_count(struct reader *r, const char *what, uint64_t i)
{
    snprintf(r->where, sizeof(r->where), "%s number %" PRIu64 ": ", what, i + 1);
}

/* checks 1 to 3 of section 1.2 */
static bool read_header(struct reader *r, uint64_t *ntensor, uint64_t *nkv)
{
    const unsigned char *magic = bytes_take(&r->in, 4);
    uint32_t version;

    if (!magic || memcmp(magic, "GGUF", 4) != 0)
        return bad(r, 0, "not a GGUF file: it does not begin with the bytes \"GGUF\"");
    if (!bytes_u32(&r->in, &version))
        return cut_inside(r, "the version");
    if (version == 0)
        return bad(r, 4, "version 0 does not exist, expected 2 or 3");
    if ((version & 0xffff) == 0)
        return bad(r, 4, "a big-endian file, not supported; write it again as little-endian");
    if (version == 1)
        return bad(r, 4, "version 1 is not supported, expected 2 or 3; convert the model again");
    if (version > 3)
        return bad(r, 4, "version %" PRIu32 " is newer than supported, expected 2 or 3", version);
    if (!bytes_u64(&r->in, ntensor) || !bytes_u64(&r->in, nkv))
        return cut_inside(r, "the counts of tensors and keys");
    if (*ntensor > (r->size - r->in.at) / TENSOR_BYTES_MIN)
        return bad(r, 8, "%" PRIu64 " tensors cannot fit in a file of %" PRIu64 " bytes", *ntensor,
                   r->size);
    if (*nkv > (r->size - r->in.at) / KV_BYTES_MIN)
        return bad(r, 16, "%" PRIu64 " keys cannot fit in a file of %" PRIu64 " bytes", *nkv,
                   r->size);
    return true;
}

/* A length and its bytes, in place; NULL after an error. */
static const unsigned char *take_string(struct reader *r, const char *what, uint64_t max,
                                        uint64_t *n)
{
    const uint64_t at = r->in.at;

    if (!bytes_u64(&r->in, n)) {
        cut_inside(r, "a length");
        return NULL;
    }
    if (*n > max) {
        bad(r, at, "%s is %" PRIu64 " bytes long, at most %" PRIu64 " are allowed", what, *n, max);
        return NULL;
    }
    const unsigned char *p = bytes_take(&r->in, *n);

    if (!p)
        bad(r, at, "%s of %" PRIu64 " bytes runs past the end of the file at byte %" PRIu64, what,
            *n, r->size);
    return p;
}

/* A key or the name of a tensor: checks 4 to 6 and 12 to 14. */
static bool take_name(struct reader *r, const char *what, uint64_t max, struct map *seen,
                      const char **out)
{
    const uint64_t at = r->in.at;
    uint64_t n;
    const unsigned char *p = take_string(r, "its name", max, &n);

    if (!p)
        return false;
    if (n == 0)
        return bad(r, at, "its name is empty");
    if (memchr(p, 0, n))
        return bad(r, at, "its name holds a NUL byte");
    if (!utf8_valid((const char *)p, n))
        return bad(r, at, "its name is not UTF-8");
    const char *name = arena_strndup(r->arena, (const char *)p, n);

    set_where(r, what, name);
    if (!map_add(seen, name, n, 0, NULL))
        return bad(r, at, "there twice, a name must be unique");
    *out = name;
    return true;
}

static uint64_t item_bytes(uint32_t type)
{
    static const unsigned char size[GGUF_TYPE_COUNT] = {
        [GGUF_U8] = 1,  [GGUF_I8] = 1,    [GGUF_U16] = 2,  [GGUF_I16] = 2, [GGUF_U32] = 4,
        [GGUF_I32] = 4, [GGUF_F32] = 4,   [GGUF_BOOL] = 1, [GGUF_U64] = 8, [GGUF_I64] = 8,
        [GGUF_F64] = 8, [GGUF_STRING] = 8 /* at least: its length */};

    return size[type];
}

/* checks 9 and 10, and the bytes of 8 */
static bool skip_items(struct reader *r, uint32_t type, uint64_t count)
{
    const uint64_t at = r->in.at, size = count * item_bytes(type); /* count <= 2^30 */
    uint64_t n;

    if (size > bytes_left(&r->in))
        return bad(r, at, "its value needs %" PRIu64 " bytes, the file has %" PRIu64 " left", size,
                   bytes_left(&r->in));
    if (type == GGUF_STRING) {
        for (uint64_t i = 0; i < count; i++)
            if (!take_string(r, "a string", STRING_MAX, &n))
                return false;
        return true;
    }
    const unsigned char *p = r->in.data + at;

    for (uint64_t i = 0; type == GGUF_BOOL && i < count; i++)
        if (p[i] > 1)
            return bad(r, at + i, "a bool is %u, expected 0 or 1", p[i]);
    r->in.at += size;
    return true;
}

/* checks 7 to 10 */
static bool read_value(struct reader *r, struct gguf_kv *kv)
{
    uint64_t at = r->in.at;

    if (!bytes_u32(&r->in, &kv->type))
        return cut_inside(r, "a value type");
    if (kv->type >= GGUF_TYPE_COUNT)
        return bad(r, at, "value type %" PRIu32 " is unknown, expected 0 to 12", kv->type);
    at = r->in.at;
    kv->value = r->in.data + at;
    kv->item = kv->type;
    kv->count = 1;
    if (kv->type == GGUF_ARRAY) {
        if (!bytes_u32(&r->in, &kv->item) || !bytes_u64(&r->in, &kv->count))
            return cut_inside(r, "the head of an array");
        if (kv->item == GGUF_ARRAY)
            return bad(r, at, "an array inside an array, which GGUF does not allow");
        if (kv->item >= GGUF_TYPE_COUNT)
            return bad(r, at, "element type %" PRIu32 " is unknown, expected 0 to 12", kv->item);
        if (kv->count > ITEMS_MAX)
            return bad(r, at + 4, "an array of %" PRIu64 " elements, at most %d are allowed",
                       kv->count, ITEMS_MAX);
    }
    if (!skip_items(r, kv->item, kv->count))
        return false;
    kv->size = r->in.at - at;
    return true;
}

/* The key-values grow as they are read: what the file says of their number costs nothing. */
static bool read_kvs(struct reader *r, uint64_t count, struct gguf_part *part)
{
    struct map seen = {0};
    struct buf list = {0};
    bool ok = true;

    for (uint64_t i = 0; ok && i < count; i++) {
        struct gguf_kv kv = {0};

        set_where_count(r, "key", i);
        ok = take_name(r, "key", GGUF_KEY_MAX, &seen, &kv.key) && read_value(r, &kv);
        buf_put(&list, &kv, sizeof(kv));
    }
    if (ok) {
        part->nkv = (size_t)count;
        part->kv = arena_array(r->arena, part->nkv, sizeof(*part->kv));
        if (count)
            memcpy(part->kv, list.data, list.size);
    }
    buf_finish(&list);
    map_finish(&seen);
    return ok;
}

/* check 11 */
static bool read_alignment(struct reader *r, const struct gguf_part *part)
{
    const struct gguf_kv *kv = gguf_find(part->kv, part->nkv, "general.alignment");

    r->align = GGUF_ALIGN_DEFAULT;
    if (!kv)
        return true;
    const uint64_t at = (uint64_t)(kv->value - r->in.data);

    set_where(r, "key", kv->key);
    if (kv->type != GGUF_U32 || !gguf_u64(kv, &r->align))
        return bad(r, at, "value type %" PRIu32 ", expected one u32 (type 4)", kv->type);
    if (r->align == 0 || (r->align & (r->align - 1)) != 0 || r->align > GGUF_ALIGN_MAX)
        return bad(r, at, "%" PRIu64 ", expected a power of two from 1 to %d", r->align,
                   GGUF_ALIGN_MAX);
    return true;
}

/* checks 15 and 16; ne[] of the file is in the other order */
static bool read_dims(struct reader *r, struct tensor *t, uint64_t *elements)
{
    uint64_t product = 1;
    bool empty = false;

    if (!bytes_u32(&r->in, &t->rank))
        return cut_inside(r, "the number of dimensions");
    if (t->rank > GGUF_DIMS_MAX)
        return bad(r, r->in.at - 4, "%" PRIu32 " dimensions, at most %d are allowed", t->rank,
                   GGUF_DIMS_MAX);
    for (uint32_t i = 0; i < t->rank; i++) {
        const uint64_t at = r->in.at;
        uint64_t ne;

        if (!bytes_u64(&r->in, &ne))
            return cut_inside(r, "the dimensions");
        if (ne > INT64_MAX)
            return bad(r, at, "dimension %" PRIu32 " is %" PRIu64 ", at most 2^63-1 is allowed", i,
                       ne);
        if (ne && (!sum_mul(product, ne, &product) || product > INT64_MAX))
            return bad(r, at, "its dimensions multiply to more than 2^63-1 elements");
        empty |= ne == 0;
        t->dim[t->rank - 1 - i] = (int64_t)ne;
    }
    *elements = empty ? 0 : product;
    return true;
}

/* check 17 */
static bool read_type(struct reader *r, enum dtype *out)
{
    static const char *const removed[] = {
        [4] = "q4_2",      [5] = "q4_3",        [31] = "q4_0_4_4",   [32] = "q4_0_4_8",
        [33] = "q4_0_8_8", [36] = "iq4_nl_4_4", [37] = "iq4_nl_4_8", [38] = "iq4_nl_8_8"};
    uint32_t type;

    if (!bytes_u32(&r->in, &type))
        return cut_inside(r, "the tensor's type");
    if (type < countof(removed) && removed[type])
        return bad(r, r->in.at - 4,
                   "type %" PRIu32 " (%s) was removed from GGUF; quantize the model again", type,
                   removed[type]);
    if (!dtype_from_gguf(type, out))
        return bad(r, r->in.at - 4, "type %" PRIu32 " is unknown", type);
    return true;
}

/* checks 12 to 20 of one tensor; its offset still counts from the start of the data */
static bool read_tensor(struct reader *r, struct file_tensor *out)
{
    const uint64_t at = r->in.at;
    struct tensor *t = &out->t;
    uint64_t elements = 0, bytes, padded, next;

    if (!take_name(r, "tensor", GGUF_NAME_MAX, r->names, &out->name) ||
        !read_dims(r, t, &elements) || !read_type(r, &t->dtype))
        return false;
    const struct dtype_info *info = dtype_info(t->dtype);
    const int64_t cols = t->rank ? t->dim[t->rank - 1] : 1;

    if (cols % info->elements != 0)
        return bad(r, at,
                   "rows of %" PRId64 " elements are no whole number of %s blocks of %" PRIu32,
                   cols, info->name, info->elements);
    if (!bytes_u64(&r->in, &out->offset))
        return cut_inside(r, "the tensor's offset");
    if (!dtype_bytes(t->dtype, elements, &bytes) || !sum_align(bytes, r->align, &padded) ||
        !sum_add(r->next, padded, &next))
        return bad(r, at, "its size, or the sum of the sizes up to it, passes 2^64 bytes");
    if (out->offset != r->next)
        return bad(r, r->in.at - 8,
                   "its data are at offset %" PRIu64 ", expected %" PRIu64
                   ": tensors follow each other, padded to %" PRIu64 " bytes",
                   out->offset, r->next, r->align);
    r->next = next;
    return true;
}

/* checks 21 and 22: from here on every tensor lies inside the file */
static bool place_tensors(struct reader *r, struct gguf_part *part)
{
    uint64_t start, at, end;

    r->where[0] = 0;
    if (!part->ntensor)
        return true;
    if (!sum_align(r->in.at, r->align, &start) || start > r->size)
        return bad(r, r->in.at,
                   "the data begin at the next multiple of %" PRIu64
                   ", but the file ends at byte %" PRIu64,
                   r->align, r->size);
    for (size_t i = 0; i < part->ntensor; i++) {
        struct file_tensor *t = &part->tensor[i];

        set_where(r, "tensor", t->name);
        if (!tensor_check(&t->t, r->err))
            return err_in(r->err, "%s: %.*s", r->path, (int)strlen(r->where) - 2, r->where);
        if (!sum_add(start, t->offset, &at) || !sum_add(at, tensor_bytes(&t->t), &end) ||
            end > r->size)
            return bad(r, start,
                       "the file ends at byte %" PRIu64 ", before its %" PRIu64
                       " bytes of data at offset %" PRIu64 "; is the download complete?",
                       r->size, tensor_bytes(&t->t), t->offset);
        t->offset = at;
    }
    return true;
}

static bool read_tensors(struct reader *r, uint64_t count, struct gguf_part *part)
{
    struct buf list = {0};
    bool ok = true;

    for (uint64_t i = 0; ok && i < count; i++) {
        struct file_tensor tensor = {0};

        set_where_count(r, "tensor", i);
        ok = read_tensor(r, &tensor);
        buf_put(&list, &tensor, sizeof(tensor));
    }
    if (ok) {
        part->ntensor = (size_t)count;
        part->tensor = arena_array(r->arena, part->ntensor, sizeof(*part->tensor));
        if (count)
            memcpy(part->tensor, list.data, list.size);
    }
    buf_finish(&list);
    return ok && place_tensors(r, part);
}

/* ---- how much of a file is its header ------------------------------------------------------- */

static bool skip_string(struct bytes *in)
{
    uint64_t n;

    return bytes_u64(in, &n) && bytes_take(in, n) != NULL;
}

/* N values of TYPE; a type that cannot be is left to the reader to refuse. */
static bool skip_values(struct bytes *in, uint32_t type, uint64_t n)
{
    uint64_t bytes;

    if (type >= GGUF_TYPE_COUNT || type == GGUF_ARRAY)
        return true;
    for (; type == GGUF_STRING && n; n--)
        if (!skip_string(in))
            return false;
    return sum_mul(n, item_bytes(type), &bytes) && bytes_take(in, bytes) != NULL;
}

/* A name; *WRONG: it is empty, and there is no use in looking for the end of such a header. */
static bool skip_name(struct bytes *in, bool *wrong)
{
    uint64_t n;

    if (!bytes_u64(in, &n))
        return false;
    *wrong = n == 0;
    return n && bytes_take(in, n) != NULL;
}

static bool skip_kv(struct bytes *in, bool *wrong)
{
    uint32_t type;
    uint64_t n = 1;

    return skip_name(in, wrong) && bytes_u32(in, &type) &&
           (type != GGUF_ARRAY || (bytes_u32(in, &type) && bytes_u64(in, &n))) &&
           skip_values(in, type, n);
}

static bool skip_tensor(struct bytes *in, bool *wrong)
{
    uint32_t rank;

    return skip_name(in, wrong) && bytes_u32(in, &rank) &&
           bytes_take(in, (uint64_t)rank * 8 + 4 + 8) != NULL;
}

bool gguf_in_head(const struct filemap *map)
{
    struct bytes in = {map->data, filemap_bytes(map), 0};
    uint64_t ntensor = 0, nkv = 0;
    bool ok = bytes_take(&in, 8) && bytes_u64(&in, &ntensor) && bytes_u64(&in, &nkv);

    bool wrong = false;

    for (; ok && nkv; nkv--)
        ok = skip_kv(&in, &wrong);
    for (; ok && ntensor; ntensor--)
        ok = skip_tensor(&in, &wrong);
    return ok || wrong;
}

bool gguf_read(const char *path, const struct filemap *map, struct arena *arena, struct map *names,
               struct gguf_part *out, struct err *err)
{
    struct gguf_part part = {.path = path, .map = *map};
    struct reader r = {.path = path,
                       .in = {map->data, filemap_bytes(map), 0},
                       .size = map->size,
                       .arena = arena,
                       .err = err,
                       .names = names};
    uint64_t ntensor = 0, nkv = 0;

    if (!read_header(&r, &ntensor, &nkv) || !read_kvs(&r, nkv, &part) ||
        !read_alignment(&r, &part) || !read_tensors(&r, ntensor, &part))
        return false;
    *out = part;
    return true;
}
