#include "format/gguf.h"

#include "base/json.h"
#include "base/map.h"
#include "base/sum.h"
#include "format/wrong.h"

#include <inttypes.h>
#include <string.h>

enum { VERSION = 3 };

/* What the reader would refuse is not written. */
static bool check_name(const char *what, const char *name, size_t max, struct map *seen,
                       struct err *err)
{
    const size_t n = strlen(name);
    struct shown shown;

    if (n == 0 || n > max)
        return err_set(err, ERR_LIMIT, "%s \"%s\": a name of %zu bytes, GGUF takes 1 to %zu", what,
                       name_shown(&shown, name, n), n, max);
    if (!utf8_valid(name, n))
        return err_set(err, ERR_FORMAT, "%s: its name is not UTF-8", what);
    if (!map_add(seen, name, n, 0, NULL))
        return err_set(err, ERR_FORMAT, "%s \"%s\": there twice, a name must be unique", what,
                       name_shown(&shown, name, n));
    return true;
}

static bool check_align(const struct gguf_kv *kv, size_t nkv, uint64_t align, struct err *err)
{
    const struct gguf_kv *said = gguf_find(kv, nkv, "general.alignment");
    uint64_t want = GGUF_ALIGN_DEFAULT;

    if (said && (said->type != GGUF_U32 || !gguf_u64(said, &want)))
        return err_set(err, ERR_FORMAT, "key \"general.alignment\": expected a u32");
    if (align != want || align == 0 || (align & (align - 1)) != 0 || align > GGUF_ALIGN_MAX)
        return err_set(err, ERR_FORMAT,
                       "alignment %" PRIu64 ", expected the power of two in \"general.alignment\" "
                       "(%" PRIu64 ")",
                       align, want);
    return true;
}

static bool put_kvs(const struct gguf_kv *kv, size_t n, struct buf *out, struct err *err)
{
    struct map seen = {0};
    bool ok = true;

    for (size_t i = 0; ok && i < n; i++) {
        ok = check_name("key", kv[i].key, GGUF_KEY_MAX, &seen, err);
        gguf_put_string(out, kv[i].key, strlen(kv[i].key));
        buf_u32(out, kv[i].type);
        buf_put(out, kv[i].value, kv[i].size);
    }
    map_finish(&seen);
    return ok;
}

/* One record of the table; *NEXT is where its data go, and then where those of the next go. */
static bool put_tensor(const struct gguf_out *tensor, uint64_t align, uint64_t *next,
                       struct buf *out, struct err *err)
{
    const struct tensor *t = &tensor->t;
    const int number = dtype_info(t->dtype)->gguf;
    uint64_t padded;

    if (number < 0)
        return err_set(err, ERR_TYPE, "tensor \"%s\": GGUF has no type %s; cast it first",
                       tensor->name, dtype_name(t->dtype));
    if (t->rank > GGUF_DIMS_MAX)
        return err_set(err, ERR_SHAPE, "tensor \"%s\": %" PRIu32 " dimensions, GGUF takes %d",
                       tensor->name, t->rank, GGUF_DIMS_MAX);
    if (!tensor_check(t, err))
        return err_in(err, "tensor \"%s\"", tensor->name);
    gguf_put_string(out, tensor->name, strlen(tensor->name));
    buf_u32(out, t->rank);
    for (uint32_t i = t->rank; i-- > 0;)
        buf_u64(out, (uint64_t)t->dim[i]);
    buf_u32(out, (uint32_t)number);
    buf_u64(out, *next);
    if (!sum_align(tensor_bytes(t), align, &padded) || !sum_add(*next, padded, next))
        return err_set(err, ERR_LIMIT, "tensor \"%s\": the file would pass 2^64 bytes",
                       tensor->name);
    return true;
}

bool gguf_layout(const struct gguf_kv *kv, size_t nkv, struct gguf_out *tensor, size_t n,
                 uint64_t align, struct buf *header, uint64_t *size, struct err *err)
{
    struct buf out = {0};
    struct map seen = {0};
    uint64_t next = 0, start = 0;
    bool ok = check_align(kv, nkv, align, err);

    buf_put(&out, "GGUF", 4);
    buf_u32(&out, VERSION);
    buf_u64(&out, n);
    buf_u64(&out, nkv);
    ok = ok && put_kvs(kv, nkv, &out, err);
    for (size_t i = 0; ok && i < n; i++)
        ok = check_name("tensor", tensor[i].name, GGUF_NAME_MAX, &seen, err) &&
             put_tensor(&tensor[i], align, &next, &out, err);
    map_finish(&seen);
    if (ok && !(sum_align(out.size, align, &start) && sum_add(start, next, &next)))
        ok = err_set(err, ERR_LIMIT, "the file would pass 2^64 bytes");
    if (ok) {
        buf_fill(&out, 0, (size_t)start - out.size);
        buf_put(header, out.data, out.size);
        for (size_t i = 0; i < n; i++) {
            tensor[i].offset = start;
            start += (tensor_bytes(&tensor[i].t) + align - 1) & ~(align - 1);
        }
        *size = start;
    }
    buf_finish(&out);
    return ok;
}
