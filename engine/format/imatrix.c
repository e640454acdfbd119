#include "format/imatrix.h"

#include "base/bytes.h"
#include "base/exact.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "format/gguf_read.h"
#include "format/wrong.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 65535, LEGACY_ENTRY_MIN = 16 /* three numbers and a value */ };
static const uint64_t file_bytes_max = (uint64_t)8 << 30;
static const float count_max = 0x1p62f;

struct reader {
    const char *path;
    struct bytes in;
    struct arena *arena; /* of the result */
    struct err *err;
    struct shown shown;
    const char *name; /* of the entry that is read, or NULL */
    size_t name_size;
};

static PRINTF(3, 4) bool bad(struct reader *r, uint64_t at, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (!r->name)
        return err_set(r->err, ERR_FORMAT, "%s: byte %" PRIu64 ": %s", r->path, at, text);
    return err_set(r->err, ERR_FORMAT, "%s: byte %" PRIu64 ": entry \"%s\": %s", r->path, at,
                   name_shown(&r->shown, r->name, r->name_size), text);
}

/* N values at byte AT of the file, each divided by COUNT. */
static bool take_values(struct reader *r, uint64_t at, int64_t n, float count, float *to)
{
    for (int64_t i = 0; i < n; i++, at += sizeof(float)) {
        const uint32_t bits = (uint32_t)bytes_le(r->in.data + at, sizeof(float));
        float v;

        memcpy(&v, &bits, sizeof(v));
        if (!(v >= 0.0f && v <= FLT_MAX))
            return bad(r, at, "value %" PRId64 " is %g, expected a finite number from 0 on", i,
                       (double)v);
        to[i] = v / count;
    }
    return true;
}

static int by_name(const void *a, const void *b)
{
    const struct imatrix_entry *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* ---- the older format ----------------------------------------------------------------------- */

static bool take_i32(struct reader *r, const char *what, int32_t *out)
{
    uint32_t u;

    if (!bytes_u32(&r->in, &u))
        return bad(r, r->in.at, "the file ends at byte %" PRIu64 ", inside %s", r->in.size, what);
    *out = (int32_t)u;
    return true;
}

static bool take_name(struct reader *r, struct map *seen, uint32_t i, const char **out)
{
    const uint64_t at = r->in.at;
    int32_t size;

    r->name = NULL;
    if (!take_i32(r, "the length of a name", &size))
        return false;
    if (size < 0 || size > NAME_MAX_BYTES)
        return bad(r, at,
                   "the name of entry %" PRIu32 " is %" PRId32 " bytes long, expected 0 to %d",
                   i + 1, size, NAME_MAX_BYTES);
    const char *text = (const char *)bytes_take(&r->in, (uint64_t)size);

    if (!text)
        return bad(r, at,
                   "the name of entry %" PRIu32 ", %" PRId32
                   " bytes, runs past the end of the file at byte %" PRIu64,
                   i + 1, size, r->in.size);
    if (memchr(text, 0, (size_t)size) || !utf8_valid(text, (size_t)size))
        return bad(r, at, "the name of entry %" PRIu32 " is not text (UTF-8)", i + 1);
    *out = arena_strndup(r->arena, text, (size_t)size);
    r->name = *out;
    r->name_size = (size_t)size;
    return map_add(seen, *out, (size_t)size, 0, NULL) ||
           bad(r, at, "there twice, a name must be unique");
}

static bool take_entry(struct reader *r, struct map *seen, uint32_t i, struct imatrix_entry *out)
{
    int32_t calls, n;

    if (!take_name(r, seen, i, &out->name) || !take_i32(r, "the number of calls", &calls) ||
        !take_i32(r, "the number of values", &n))
        return false;
    if (n < 1)
        return bad(r, r->in.at - 4, "%" PRId32 " values, expected at least 1", n);
    if ((uint64_t)n > bytes_left(&r->in) / sizeof(float))
        return bad(r, r->in.at - 4,
                   "%" PRId32 " values run past the end of the file at byte %" PRIu64, n,
                   r->in.size);
    float *value = arena_array(r->arena, (size_t)n, sizeof(*value));

    if (!take_values(r, r->in.at, n, calls > 0 ? (float)calls : 1.0f, value))
        return false;
    r->in.at += (uint64_t)n * sizeof(float);
    out->value = value;
    out->n = n;
    out->matrices = 1;
    return true;
}

/* Chunks and dataset: files of the first versions end before them. */
static bool take_tail(struct reader *r, struct imatrix *out)
{
    int32_t chunks, size;

    r->name = NULL;
    if (bytes_left(&r->in) == 0)
        return true;
    if (!take_i32(r, "the number of chunks", &chunks) ||
        !take_i32(r, "the length of the dataset's name", &size))
        return false;
    if (size < 0 || (uint64_t)size != bytes_left(&r->in))
        return bad(r, r->in.at - 4,
                   "the dataset's name is %" PRId32 " bytes long, but %" PRIu64
                   " are left in the file",
                   size, bytes_left(&r->in));
    out->chunks = chunks > 0 ? (uint32_t)chunks : 0;
    if (size > 0)
        out->dataset = arena_strndup(r->arena, (const char *)r->in.data + r->in.at, (size_t)size);
    return true;
}

static bool read_legacy(struct reader *r, struct imatrix *out)
{
    struct map seen = {0};
    int32_t count;
    bool ok = true;

    if (!take_i32(r, "the number of entries", &count))
        return false;
    if (count < 1 || (uint64_t)count > bytes_left(&r->in) / LEGACY_ENTRY_MIN)
        return bad(r, 0,
                   "not an imatrix: neither a GGUF file nor one of the older format, which begins "
                   "with its number of entries (%" PRId32 " cannot be, in %" PRIu64 " bytes)",
                   count, r->in.size);
    out->legacy = true;
    out->entry = arena_array(r->arena, (size_t)count, sizeof(*out->entry));
    out->nentry = (size_t)count;
    for (uint32_t i = 0; ok && i < (uint32_t)count; i++)
        ok = take_entry(r, &seen, i, &out->entry[i]);
    map_finish(&seen);
    return ok && take_tail(r, out);
}

/* ---- GGUF ----------------------------------------------------------------------------------- */

struct pair {
    const char *name; /* without its ending */
    size_t name_size;
    const struct file_tensor *sums, *counts;
};

static bool check_keys(struct reader *r, const struct gguf_part *part, struct imatrix *out)
{
    static const char *const keys[] = {"imatrix.datasets", "imatrix.chunk_count",
                                       "imatrix.chunk_size"};
    const struct gguf_kv *type = gguf_find(part->kv, part->nkv, "general.type");
    uint64_t n, chunks, cursor = 0;
    const char *text = gguf_string(type, &n);

    if (text && (n != 7 || memcmp(text, "imatrix", 7) != 0))
        return bad(r, (uint64_t)(type->value - r->in.data),
                   "not an imatrix: key \"general.type\" says \"%s\"",
                   utf8_valid(text, n) ? name_shown(&r->shown, text, n) : "?");
    for (size_t i = 0; i < countof(keys); i++)
        if (!gguf_find(part->kv, part->nkv, keys[i]))
            return bad(r, 0, "not an imatrix: key \"%s\" is missing; llama-imatrix writes it",
                       keys[i]);
    const struct gguf_kv *count = gguf_find(part->kv, part->nkv, keys[1]);

    if (!gguf_u64(count, &chunks) || chunks > INT32_MAX)
        return bad(r, (uint64_t)(count->value - r->in.data),
                   "key \"%s\" is no number from 0 to 2^31-1", keys[1]);
    out->chunks = (uint32_t)chunks;
    text = gguf_array_string(gguf_find(part->kv, part->nkv, keys[0]), &cursor, &n);
    if (text)
        out->dataset = arena_strndup(r->arena, text, n);
    return true;
}

static bool ends_with(const char *name, const char *suffix, size_t *left)
{
    const size_t n = strlen(name), k = strlen(suffix);

    *left = n - k;
    return n >= k && strcmp(name + n - k, suffix) == 0;
}

/* Tensors by what they are halves of. Others are not ours: a later version may add some. */
static size_t find_pairs(const struct gguf_part *part, struct map *names, struct pair *pair)
{
    size_t count = 0;

    for (size_t i = 0; i < part->ntensor; i++) {
        const struct file_tensor *t = &part->tensor[i];
        uint64_t at = count;
        size_t n;
        const bool sums = ends_with(t->name, ".in_sum2", &n);

        if (!sums && !ends_with(t->name, ".counts", &n))
            continue;
        if (map_add(names, t->name, n, at, &at))
            pair[count++] = (struct pair){.name = t->name, .name_size = n};
        if (sums)
            pair[at].sums = t;
        else
            pair[at].counts = t;
    }
    return count;
}

static bool check_pair(struct reader *r, const struct pair *p)
{
    const struct file_tensor *half[] = {p->sums, p->counts};

    r->name = p->name;
    r->name_size = p->name_size;
    if (!p->sums || !p->counts)
        return bad(r, (p->sums ? p->sums : p->counts)->offset, "its %s are missing",
                   p->sums ? "counts" : "sums (in_sum2)");
    for (size_t i = 0; i < countof(half); i++) {
        if (half[i]->t.dtype != DTYPE_f32)
            return bad(r, half[i]->offset, "its %s are %s, expected f32", i ? "counts" : "sums",
                       dtype_name(half[i]->t.dtype));
        if (tensor_elements(&half[i]->t) == 0)
            return bad(r, half[i]->offset, "it has no %s", i ? "counts" : "sums");
    }
    if (tensor_elements(&p->sums->t) % tensor_elements(&p->counts->t) != 0)
        return bad(r, p->sums->offset,
                   "%" PRId64 " values cannot be shared out over %" PRId64 " counts",
                   tensor_elements(&p->sums->t), tensor_elements(&p->counts->t));
    return true;
}

/* The I-th count, to the nearest integer, halves up: what llama-imatrix counted are tokens. */
static bool take_count(struct reader *r, const struct file_tensor *counts, int64_t i, float *out)
{
    const uint64_t at = counts->offset + (uint64_t)i * sizeof(float);
    const uint32_t bits = (uint32_t)bytes_le(r->in.data + at, sizeof(float));
    float v;

    memcpy(&v, &bits, sizeof(v));
    if (!(v >= -count_max && v <= count_max))
        return bad(r, at, "count %" PRId64 " is %g, expected the number of tokens", i, (double)v);
    *out = v <= 0.0f ? 0.0f : (float)(int64_t)((double)v + 0.5);
    return true;
}

static bool take_pair(struct reader *r, const struct pair *p, struct imatrix_entry *out)
{
    if (!check_pair(r, p))
        return false;
    const int64_t n = tensor_elements(&p->sums->t), matrices = tensor_elements(&p->counts->t);
    const int64_t cols = n / matrices;
    float *value = arena_array(r->arena, (size_t)n, sizeof(*value));

    for (int64_t m = 0; m < matrices; m++) {
        float *to = value + m * cols, count = 0.0f;

        if (!take_count(r, p->counts, m, &count) ||
            !take_values(r, p->sums->offset + (uint64_t)(m * cols) * sizeof(float), cols,
                         count > 0.0f ? count : 1.0f, to))
            return false;
        for (int64_t i = 0; count <= 0.0f && i < cols; i++)
            to[i] = 1.0f;
    }
    *out =
        (struct imatrix_entry){arena_strndup(r->arena, p->name, p->name_size), value, n, matrices};
    return true;
}

static bool read_pairs(struct reader *r, const struct gguf_part *part, struct arena *scratch,
                       struct imatrix *out)
{
    struct pair *pair = arena_array(scratch, part->ntensor, sizeof(*pair));
    struct map names = {0};
    const size_t count = find_pairs(part, &names, pair);

    map_finish(&names);
    if (!count)
        return bad(r, 0, "an imatrix without entries");
    out->entry = arena_array(r->arena, count, sizeof(*out->entry));
    out->nentry = count;
    for (size_t i = 0; i < count; i++)
        if (!take_pair(r, &pair[i], &out->entry[i]))
            return false;
    return true;
}

static bool read_gguf(struct reader *r, struct imatrix *out)
{
    const struct filemap map = {.data = r->in.data, .size = r->in.size};
    struct arena *scratch = arena_new();
    struct map names = {0};
    struct gguf_part part;
    const bool ok = gguf_read(r->path, &map, scratch, &names, &part, r->err) &&
                    check_keys(r, &part, out) && read_pairs(r, &part, scratch, out);

    map_finish(&names);
    arena_free(scratch);
    return ok;
}

/* ---- either --------------------------------------------------------------------------------- */

bool imatrix_read(struct imatrix *out, const char *path, const void *bytes, size_t n,
                  struct arena *arena, struct err *err)
{
    struct reader r = {.path = path, .in = {bytes, n, 0}, .arena = arena, .err = err};
    struct imatrix m = {0};

    if (!wrong_check(path, bytes, n, err))
        return false;
    if (n >= 4 && memcmp(bytes, "GGUF", 4) == 0 ? !read_gguf(&r, &m) : !read_legacy(&r, &m))
        return false;
    qsort(m.entry, m.nentry, sizeof(*m.entry), by_name);
    *out = m;
    return true;
}

bool imatrix_open(struct imatrix *out, const char *path, struct arena *arena, struct err *err)
{
    struct arena *scratch = arena_new();
    char *text;
    size_t n;
    const bool ok = file_read(path, file_bytes_max, scratch, &text, &n, err) &&
                    imatrix_read(out, path, text, n, arena, err);

    arena_free(scratch);
    return ok;
}

const struct imatrix_entry *imatrix_find(const struct imatrix *m, const char *name)
{
    const struct imatrix_entry key = {.name = name};

    return bsearch(&key, m->entry, m->nentry, sizeof(*m->entry), by_name);
}

static bool holds_one(const char *name, const char *const *part, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strstr(name, part[i]))
            return true;
    return false;
}

bool imatrix_keeps(const struct imatrix_filter *filter, const char *name)
{
    return !holds_one(name, filter->exclude, filter->nexclude) &&
           (filter->ninclude == 0 || holds_one(name, filter->include, filter->ninclude));
}
