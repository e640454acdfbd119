#include "format/safetensors.h"

#include "base/bytes.h"
#include "base/json.h"
#include "base/msg.h"
#include "base/sum.h"
#include "format/wrong.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Limits of specs/hf-and-convert.md section 1.4; the numbers in comments are its checks. */
enum { DEPTH_MAX = 4, NAME_MAX_BYTES = 1024 };

/* What is being read, for messages. */
struct reading {
    const char *path;
    struct json doc;
    struct arena *scratch; /* of the document */
    const char *name;      /* of the tensor at hand, NUL-terminated */
    size_t name_size;
    uint64_t data_size; /* bytes after the header */
    uint32_t extra;     /* tensors with unknown fields */
    struct err *err;
};

/* Put file and tensor in front of what err_set said. */
static bool in_tensor(const struct reading *r)
{
    struct shown shown;

    return err_in(r->err, "%s: tensor \"%s\"", r->path, name_shown(&shown, r->name, r->name_size));
}

bool safetensors_map(struct filemap *map, const char *path, struct err *err)
{
    const uint64_t first = 1 << 20;

    if (!filemap_open_head(map, path, first, err))
        return false;
    const uint64_t n = map->size > 8 ? bytes_le(map->data, 8) : 0;

    if (n <= first - 8 || n > SAFETENSORS_HEADER_MAX)
        return true;
    filemap_close(map);
    return filemap_open_head(map, path, 8 + n, err);
}

/* Checks 1 to 4: where the header lies. The first bytes are a length, and some good lengths
 * look like the mark of another file (a header of 640 bytes begins like a pickle), so what else
 * the file may be is asked only of one that cannot be right. */
static bool find_header(const struct reading *r, const struct filemap *map, uint64_t *n)
{
    const char *path = r->path;

    *n = map->size > 8 ? bytes_le(map->data, 8) : 0;
    if (*n >= 2 && *n <= SAFETENSORS_HEADER_MAX && *n <= map->size - 8 && map->data[8] == '{')
        return true;
    /* as much is mapped of any file */
    if (!wrong_check(path, map->data, map->size < 512 ? (size_t)map->size : 512, r->err))
        return false;
    if (map->size >= 4 && memcmp(map->data, "GGUF", 4) == 0)
        return err_set(r->err, ERR_FORMAT, "%s: this is a GGUF file; name it .gguf", path);
    if (map->size < 8)
        return err_set(r->err, ERR_FORMAT,
                       "%s: %" PRIu64 " bytes are too short for a safetensors file", path,
                       map->size);
    if (*n > SAFETENSORS_HEADER_MAX)
        return err_set(r->err, ERR_LIMIT,
                       "%s: header of %" PRIu64 " bytes, at most %d are allowed; is this a "
                       "safetensors file?",
                       path, *n, (int)SAFETENSORS_HEADER_MAX);
    if (*n > map->size - 8)
        return err_set(r->err, ERR_FORMAT,
                       "%s: header of %" PRIu64 " bytes in a file of %" PRIu64
                       "; the file is cut short, or no safetensors file",
                       path, *n, map->size);
    return err_set(r->err, ERR_FORMAT,
                   "%s: the header does not begin with '{'; is this a safetensors file?", path);
}

/* Checks 5 to 9: the JSON, and nothing but spaces after it. */
static bool parse_header(struct reading *r, const struct filemap *map, uint64_t n)
{
    const char *text = (const char *)map->data + 8;

    if (n > filemap_bytes(map) - 8)
        return err_set(r->err, ERR_CHANGED, "%s: its header changes while it is read", r->path);
    if (!json_parse(&r->doc, text, (size_t)n, DEPTH_MAX, r->scratch, r->err))
        return err_in(r->err, "%s: header", r->path);
    for (uint64_t i = r->doc.node[1].end; i < n; i++)
        if (text[i] != ' ')
            return err_set(r->err, ERR_FORMAT,
                           "%s: byte 0x%02x after the header's JSON, only spaces are allowed",
                           r->path, (unsigned)(unsigned char)text[i]);
    r->data_size = map->size - 8 - n;
    return true;
}

/* Check 10. */
static bool check_metadata(const struct reading *r, uint32_t node)
{
    if (json_type(&r->doc, node) != JSON_OBJECT)
        return err_set(r->err, ERR_FORMAT, "%s: __metadata__ is not an object", r->path);
    for (uint32_t k = json_first(&r->doc, node); k; k = json_after(&r->doc, node, k))
        if (json_type(&r->doc, k) != JSON_STRING)
            return err_set(r->err, ERR_FORMAT,
                           "%s: __metadata__ holds a value that is not a string", r->path);
    return true;
}

/* Check 20 of one name. */
static bool check_name(const char *name, size_t n, struct err *err)
{
    if (n == 0)
        return err_set(err, ERR_FORMAT, "the name is empty");
    if (n > NAME_MAX_BYTES)
        return err_set(err, ERR_LIMIT, "the name has %zu bytes, at most %d are allowed", n,
                       (int)NAME_MAX_BYTES);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return err_set(err, ERR_FORMAT, "the name holds the control byte 0x%02x",
                           (unsigned)(unsigned char)name[i]);
    return true;
}

/* Checks 15 and 16. Bits are counted over the whole tensor, for types below a byte too (their
 * columns may be odd); zero dimensions excuse nothing, parts of the product are used alone. */
static bool check_size(const struct tensor *t, uint64_t *bytes, struct err *err)
{
    const struct dtype_info *info = dtype_info(t->dtype);
    uint64_t n = 1, size;
    bool empty = false;
    char text[192];

    for (uint32_t i = 0; i < t->rank; i++) {
        if (t->dim[i] == 0)
            empty = true;
        else if (!sum_mul(n, (uint64_t)t->dim[i], &n) || n >> 62)
            return err_set(err, ERR_LIMIT, "shape %s has more than 2^62 elements",
                           tensor_shape(t, text, sizeof(text)));
    }
    if (!sum_mul(n / info->elements, info->bytes, &size) || size >> 62)
        return err_set(err, ERR_LIMIT, "shape %s of %s has more than 2^62 bytes",
                       tensor_shape(t, text, sizeof(text)), info->safetensors);
    if (!empty && n % info->elements)
        return err_set(err, ERR_FORMAT, "shape %s of %s is not a whole number of bytes",
                       tensor_shape(t, text, sizeof(text)), info->safetensors);
    *bytes = empty ? 0 : size;
    return true;
}

bool safetensors_check(const char *name, size_t n, const struct tensor *t, uint64_t *bytes,
                       struct err *err)
{
    return check_name(name, n, err) && check_size(t, bytes, err);
}

/* Check 12. */
static bool read_dtype(const struct reading *r, uint32_t node, struct tensor *t)
{
    struct shown shown;
    size_t n;
    const char *word = json_string(&r->doc, node, r->scratch, &n);

    if (!word)
        return err_set(r->err, ERR_FORMAT, "dtype is not a string");
    return dtype_from_safetensors(word, n, &t->dtype) ||
           err_set(r->err, ERR_TYPE, "dtype \"%s\" is not one of safetensors 0.8",
                   name_shown(&shown, word, n));
}

/* Checks 13 and 14. */
static bool read_shape(const struct reading *r, uint32_t node, struct tensor *t)
{
    if (json_type(&r->doc, node) != JSON_ARRAY)
        return err_set(r->err, ERR_FORMAT, "shape is not an array");
    if (r->doc.node[node].count > TENSOR_RANK_MAX)
        return err_set(r->err, ERR_LIMIT, "%u dimensions, at most %d are allowed",
                       r->doc.node[node].count, (int)TENSOR_RANK_MAX);
    for (uint32_t k = json_first(&r->doc, node); k; k = json_after(&r->doc, node, k)) {
        const struct json_node *dim = &r->doc.node[k];
        struct shown shown;

        if (!json_i64(&r->doc, k, &t->dim[t->rank]) || r->doc.text[dim->at] == '-')
            return err_set(r->err, ERR_FORMAT, "dimension %s is not an integer from 0 to 2^63 - 1",
                           name_shown(&shown, r->doc.text + dim->at, (size_t)(dim->end - dim->at)));
        t->rank++;
    }
    return true;
}

/* Checks 17 and 18; *out gets the offset inside the data. */
static bool read_offsets(const struct reading *r, uint32_t node, const struct tensor *t,
                         uint64_t bytes, uint64_t *out)
{
    uint64_t begin, end;
    char text[192];

    if (json_type(&r->doc, node) != JSON_ARRAY || r->doc.node[node].count != 2 ||
        !json_u64(&r->doc, json_at(&r->doc, node, 0), &begin) ||
        !json_u64(&r->doc, json_at(&r->doc, node, 1), &end))
        return err_set(r->err, ERR_FORMAT, "data_offsets are not two integers from 0");
    if (begin > end)
        return err_set(r->err, ERR_FORMAT, "data_offsets [%" PRIu64 ", %" PRIu64 "] are reversed",
                       begin, end);
    if (end > r->data_size)
        return err_set(r->err, ERR_FORMAT,
                       "data_offsets [%" PRIu64 ", %" PRIu64 "] pass the end of the data (%" PRIu64
                       " bytes); the file is cut short or damaged",
                       begin, end, r->data_size);
    if (end - begin != bytes)
        return err_set(r->err, ERR_FORMAT,
                       "data_offsets [%" PRIu64 ", %" PRIu64 "] hold %" PRIu64
                       " bytes, shape %s of %s needs %" PRIu64,
                       begin, end, end - begin, tensor_shape(t, text, sizeof(text)),
                       dtype_info(t->dtype)->safetensors, bytes);
    *out = begin;
    return true;
}

/* Check 11, then the fields. */
static bool read_entry(struct reading *r, uint32_t node, struct file_tensor *out)
{
    const uint32_t dtype = json_get(&r->doc, node, "dtype");
    const uint32_t shape = json_get(&r->doc, node, "shape");
    const uint32_t offsets = json_get(&r->doc, node, "data_offsets");
    uint64_t bytes;

    if (json_type(&r->doc, node) != JSON_OBJECT)
        return err_set(r->err, ERR_FORMAT, "the entry is not an object");
    if (!dtype || !shape || !offsets)
        return err_set(r->err, ERR_FORMAT, "the entry has no %s",
                       !dtype   ? "dtype"
                       : !shape ? "shape"
                                : "data_offsets");
    r->extra += r->doc.node[node].count > 3;
    return read_dtype(r, dtype, &out->t) && read_shape(r, shape, &out->t) &&
           safetensors_check(r->name, r->name_size, &out->t, &bytes, r->err) &&
           read_offsets(r, offsets, &out->t, bytes, &out->offset);
}

/* Bytes of a tensor that check_size has accepted. */
static uint64_t size_of(const struct file_tensor *t)
{
    return tensor_bytes(&t->t);
}

static int by_offset(const void *a, const void *b)
{
    const struct file_tensor *x = a, *y = b;

    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    if (size_of(x) != size_of(y))
        return size_of(x) < size_of(y) ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* Check 19: the tensors cover the data, each byte once. */
static bool check_cover(struct reading *r, const struct file_tensor *tensor, size_t n)
{
    uint64_t at = 0;

    for (size_t i = 0; i < n; i++) {
        r->name = tensor[i].name;
        r->name_size = strlen(r->name);
        if (tensor[i].offset != at) {
            err_set(r->err, ERR_FORMAT,
                    "begins at data byte %" PRIu64 " where the tensors before it end at %" PRIu64
                    "; holes and overlaps are not allowed",
                    tensor[i].offset, at);
            return in_tensor(r);
        }
        at += size_of(&tensor[i]);
    }
    if (at != r->data_size)
        return err_set(r->err, ERR_FORMAT,
                       "%s: the tensors end at data byte %" PRIu64 " of %" PRIu64
                       "; bytes after the last tensor are not allowed",
                       r->path, at, r->data_size);
    return true;
}

static bool read_entries(struct reading *r, uint64_t data_at, struct arena *arena,
                         struct file_tensor **out, size_t *n)
{
    const uint32_t pairs = r->doc.node[1].count;
    size_t count = 0;

    if (pairs > SAFETENSORS_TENSORS_MAX + 1)
        return err_set(r->err, ERR_LIMIT, "%s: %u tensors, at most %d are allowed", r->path, pairs,
                       (int)SAFETENSORS_TENSORS_MAX);
    struct file_tensor *tensor = arena_array(arena, pairs, sizeof(*tensor));

    for (uint32_t k = json_first(&r->doc, 1); k; k = json_after(&r->doc, 1, k + 1)) {
        if (json_is(&r->doc, k, "__metadata__")) {
            if (!check_metadata(r, k + 1))
                return false;
            continue;
        }
        const char *name = json_string(&r->doc, k, arena, &r->name_size);

        r->name = r->doc.node[k].escaped ? name : arena_strndup(arena, name, r->name_size);
        tensor[count].name = r->name;
        if (!read_entry(r, k + 1, &tensor[count++]))
            return in_tensor(r);
    }
    qsort(tensor, count, sizeof(*tensor), by_offset);
    if (!check_cover(r, tensor, count))
        return false;
    for (size_t i = 0; i < count; i++)
        tensor[i].offset += data_at;
    *out = tensor;
    *n = count;
    return true;
}

bool safetensors_read(const char *path, const struct filemap *map, struct arena *arena,
                      struct file_tensor **out, size_t *n, struct err *err)
{
    struct reading r = {.path = path, .scratch = arena_new(), .err = err};
    uint64_t size = 0;
    const bool ok = find_header(&r, map, &size) && parse_header(&r, map, size) &&
                    read_entries(&r, 8 + size, arena, out, n);

    if (ok && r.extra)
        msg_warn("%s: %u tensors have fields besides dtype, shape and data_offsets; they are "
                 "ignored",
                 path, r.extra);
    arena_free(r.scratch);
    return ok;
}

static bool sniff(const char *path, const unsigned char *head, size_t n)
{
    const size_t len = strlen(path);

    if (!head)
        return false;
    if (len > 12 && strcmp(path + len - 12, ".safetensors") == 0)
        return true;
    return n > 8 && bytes_le(head, 8) <= SAFETENSORS_HEADER_MAX && head[8] == '{';
}

static bool open_file(struct checkpoint *out, const char *path, struct arena *arena,
                      struct err *err)
{
    struct checkpoint got = {.format = &format_safetensors, .nfile = 1};

    got.path = arena_strdup(arena, path);
    got.map = arena_array(arena, 1, sizeof(*got.map));
    got.file = arena_array(arena, 1, sizeof(*got.file));
    got.file[0] = got.path;
    if (!safetensors_map(&got.map[0], path, err))
        return false;
    if (!safetensors_read(path, &got.map[0], arena, &got.tensor, &got.ntensor, err)) {
        filemap_close(&got.map[0]);
        return false;
    }
    *out = got;
    return true;
}

const struct format format_safetensors = {"safetensors", sniff, open_file};
