#include "format/gguf.h"

#include "base/json.h"
#include "base/map.h"
#include "format/gguf_read.h"
#include "scratch.h"
#include "test.h"

#include <unistd.h>

enum { ARENA_MAX = 16 << 20 };

/* What every successful open promises. */
static void check_inside(const struct checkpoint *ckpt)
{
    struct err err = {0};
    struct map names = {0};

    for (size_t i = 0; i < ckpt->ntensor; i++) {
        const struct file_tensor *t = &ckpt->tensor[i];

        CHECK_IN(tensor_check(&t->t, &err), "%s: %s", ckpt->path, err.text);
        CHECK(t->file < ckpt->nfile);
        CHECK(t->offset <= ckpt->map[t->file].size);
        CHECK(tensor_bytes(&t->t) <= ckpt->map[t->file].size - t->offset);
        CHECK(map_add(&names, t->name, strlen(t->name), i, NULL));
        CHECK(utf8_valid(t->name, strlen(t->name)));
        CHECK(i == 0 || t->file > t[-1].file ||
              (t->file == t[-1].file && t->offset >= t[-1].offset));
    }
    for (size_t i = 0; i < ckpt->nkv; i++) {
        const struct filemap *map = ckpt->map;
        const uint64_t at = (uint64_t)(ckpt->kv[i].value - map->data);

        CHECK(at <= map->size && ckpt->kv[i].size <= map->size - at);
    }
    map_finish(&names);
}

/* Opens, checks the promises, closes; the reason of a refusal is in ERR. */
static bool opens(const char *path, struct err *err)
{
    struct arena *arena = arena_new();
    struct checkpoint ckpt = {0};

    *err = (struct err){0};
    const bool ok = format_gguf.open(&ckpt, path, arena, err);

    if (ok) {
        check_inside(&ckpt);
        shut(&ckpt);
    } else {
        CHECK_IN(err->code != ERR_NONE && err->text[0], "%s", path);
        CHECK_IN(!ckpt.map && !ckpt.tensor && !ckpt.nfile, "%s: outputs touched", path);
    }
    CHECK_IN(arena_bytes(arena) <= ARENA_MAX, "%s: %zu bytes", path, arena_bytes(arena));
    arena_free(arena);
    return ok;
}

/* As opens, of N bytes in memory that ends with them, so that no read beyond goes unseen; END
 * is what the file needs at least, when not NULL. */
static bool bytes_open(const void *bytes, size_t n, uint64_t *end, struct err *err)
{
    struct arena *arena = arena_new();
    unsigned char *copy = mem_grow(NULL, n ? n : 1);
    const struct filemap map = {.data = memcpy(copy, bytes, n), .size = n};
    struct map names = {0};
    struct gguf_part part;

    *err = (struct err){0};
    const bool ok = gguf_read("bytes", &map, arena, &names, &part, err);

    if (ok) {
        const struct file_tensor *last = part.tensor + part.ntensor - 1;
        const struct gguf_kv *kv = part.kv + part.nkv - 1;
        struct checkpoint ckpt = {.path = "bytes",
                                  .nfile = 1,
                                  .map = &part.map,
                                  .tensor = part.tensor,
                                  .ntensor = part.ntensor,
                                  .kv = part.kv,
                                  .nkv = part.nkv};

        check_inside(&ckpt);
        if (end)
            *end = part.ntensor ? last->offset + tensor_bytes(&last->t)
                   : part.nkv   ? (uint64_t)(kv->value - map.data) + kv->size
                                : 24;
    }
    CHECK(ok || (err->code != ERR_NONE && err->text[0]));
    CHECK(arena_bytes(arena) <= ARENA_MAX);
    map_finish(&names);
    mem_free(copy);
    arena_free(arena);
    return ok;
}

/* --- goldens ---------------------------------------------------------------------------- */

/* The part of the message that names the reason, for every malformed golden. */
static const char *const reasons[][2] = {
    {"align_array", "byte 53: key \"general.alignment\": value type 9, expected one u32"},
    {"align_huge", "2147483648, expected a power of two from 1 to 1048576"},
    {"align_not_pow2", "key \"general.alignment\": 24, expected a power of two"},
    {"align_type", "value type 10, expected one u32"},
    {"align_zero", "key \"general.alignment\": 0, expected a power of two"},
    {"arr_count_huge", "an array of 4611686018427387904 elements, at most 1073741824"},
    {"arr_count_wrap", "an array of 2305843009213693953 elements, at most 1073741824"},
    {"arr_nested", "byte 37: key \"k\": an array inside an array"},
    {"arr_past_eof", "key \"k\": its value needs 100 bytes, the file has 8 left"},
    {"arr_str_count", "an array of 1073741825 elements, at most 1073741824"},
    {"arr_str_trunc", "byte 58: key \"k\": a string of 5 bytes runs past the end"},
    {"arr_type_unknown", "key \"k\": element type 13 is unknown"},
    {"big_endian", "byte 4: a big-endian file, not supported"},
    {"bool_value", "byte 37: key \"b\": a bool is 2, expected 0 or 1"},
    {"data_missing", "tensor \"a.weight\": the file ends at byte 128, before its 32 bytes"},
    {"data_pad_missing",
     "the data begin at the next multiple of 32, but the file ends at byte 109"},
    {"data_trunc", "tensor \"a.weight\": the file ends at byte 159, before its 32 bytes"},
    {"dim_bytes", "tensor \"a\": its size, or the sum of the sizes up to it, passes 2^64"},
    {"dim_negative", "tensor \"a\": dimension 0 is 18446744073709551615"},
    {"dim_product", "more than 2^63-1 elements"},
    {"dim_product2", "more than 2^63-1 elements"},
    {"dim_zero_overflow", "byte 98: tensor \"a\": its dimensions multiply to more than"},
    {"empty", "not a GGUF file"},
    {"key_bad_utf8", "byte 24: key number 1: its name is not UTF-8"},
    {"key_dup", "byte 60: key \"a.b\": there twice"},
    {"key_empty", "byte 24: key number 1: its name is empty"},
    {"key_len_1g", "1 keys cannot fit in a file of 35 bytes"},
    {"key_len_huge", "1 keys cannot fit in a file of 35 bytes"},
    {"key_len_past_eof", "1 keys cannot fit in a file of 35 bytes"},
    {"key_nul", "key number 1: its name holds a NUL byte"},
    {"key_too_long", "its name is 65536 bytes long, at most 65535"},
    {"magic", "not a GGUF file"},
    {"magic_swapped", "not a GGUF file"},
    {"name_dup", "byte 109: tensor \"a.weight\": there twice"},
    {"name_empty", "tensor number 1: its name is empty"},
    {"name_len_huge", "tensor number 1: its name is 4294967296 bytes long, at most 63"},
    {"name_nul", "tensor number 1: its name holds a NUL byte"},
    {"name_nul_dup", "tensor number 1: its name holds a NUL byte"},
    {"name_too_long", "its name is 64 bytes long, at most 63"},
    {"ndims", "tensor \"a\": 5 dimensions, at most 4"},
    {"ndims_huge", "tensor \"a\": 4294967295 dimensions, at most 4"},
    {"nkv_huge", "byte 16: 1099511627776 keys cannot fit"},
    {"nkv_negative", "byte 16: 18446744073709551615 keys cannot fit"},
    {"nkv_one_less", "tensor \"x\": its dimensions multiply to more than"},
    {"nkv_one_more", "key number 2: the file ends at byte 69"},
    {"nt_huge", "byte 8: 1099511627776 tensors cannot fit"},
    {"nt_negative", "byte 8: 18446744073709551615 tensors cannot fit"},
    {"nt_one_more", "tensor number 2: the file ends at byte 109"},
    {"off_first", "byte 101: tensor \"a.weight\": its data are at offset 32, expected 0"},
    {"off_gap", "tensor \"b.weight\": its data are at offset 64, expected 32"},
    {"off_max", "its data are at offset 18446744073709551584, expected 32"},
    {"off_misaligned", "its data are at offset 33, expected 32"},
    {"off_order", "its data are at offset 32, expected 0"},
    {"off_overlap", "its data are at offset 0, expected 32"},
    {"off_partial_overlap", "its data are at offset 32, expected 64"},
    {"off_past_eof", "its data are at offset 1048576, expected 32"},
    {"only_padding", "not a GGUF file"},
    {"row_not_block", "rows of 255 elements are no whole number of q4_k blocks of 256"},
    {"row_not_block32", "rows of 33 elements are no whole number of q4_0 blocks of 32"},
    {"short_magic", "not a GGUF file"},
    {"size_sum", "tensor \"a\": its size, or the sum of the sizes up to it, passes 2^64"},
    {"str_len_max", "a string is 18446744073709551615 bytes long, at most 1073741824"},
    {"str_past_eof", "byte 37: key \"k\": a string of 4 bytes runs past the end"},
    {"text_file", "not a GGUF file"},
    {"trunc_dims", "the file ends at byte 90, inside the dimensions"},
    {"trunc_header", "the file ends at byte 12, inside the counts"},
    {"trunc_offset", "the file ends at byte 108, inside the tensor's offset"},
    {"trunc_value", "its value needs 8 bytes, the file has 7 left"},
    {"trunc_version", "the file ends at byte 6, inside the version"},
    {"trunc_vtype", "1 keys cannot fit in a file of 35 bytes"},
    {"type_negative", "tensor \"a\": type 4294967295 is unknown"},
    {"type_removed", "tensor \"a\": type 4 (q4_2) was removed"},
    {"type_removed2", "tensor \"a\": type 31 (q4_0_4_4) was removed"},
    {"type_unknown", "tensor \"a\": type 43 is unknown"},
    {"version0", "version 0 does not exist"},
    {"version1", "version 1 is not supported"},
    {"version_big", "version 4294967295 is newer than supported"},
    {"version_new", "version 4 is newer than supported"},
    {"vtype_negative", "value type 4294967295 is unknown"},
    {"vtype_unknown", "byte 33: key \"k\": value type 13 is unknown"},
    {"shards_missing", "shard 2 of 2: tests/golden/gguf/bad/shards_missing/m-00002-of-00002.gguf:"},
    {"shards_wrong_no", "key \"split.no\" is 0, expected 1"},
    {"shards_dup_tensor", "shard 2 of 2"},
    {"shards_count", "key \"split.tensors.count\" is 3, but the shards hold 2 tensors"},
    {"shards_name", "the name must end in \"-00001-of-00002.gguf\""},
    {"shards_no_key", "key \"split.no\" is missing"},
};

static const char *reason_of(const char *path)
{
    const char *name = path_base(path), *dot = strchr(name, '.');
    const size_t n = dot ? (size_t)(dot - name) : strlen(name);

    for (size_t i = 0; i < countof(reasons); i++)
        if (strlen(reasons[i][0]) == n && strncmp(reasons[i][0], name, n) == 0)
            return reasons[i][1];
    return NULL;
}

/* One entry of the index: the file as written there, opened as its verdict wants it. */
static void check_entry(const struct json *doc, uint32_t entry, uint32_t count[2],
                        struct arena *arena)
{
    const uint32_t shards = json_get(doc, entry, "shards");
    const bool want = json_is(doc, json_get(doc, entry, "expect"), "accept") &&
                      json_is(doc, json_get(doc, entry, "reader"), "gguf");
    struct err err;
    size_t n;
    const char *file = json_string(doc, json_get(doc, entry, "file"), arena, &n);
    const char *path = arena_printf(arena, "%s/%.*s", golden, (int)n, file);

    if (shards) { /* the first shard is the one to open; in shards_name its name is model.gguf */
        const char *name = json_string(doc, json_at(doc, shards, 0), arena, &n);
        const char *model = arena_printf(arena, "%s/model.gguf", path);

        path = file_exists(model) ? model : arena_printf(arena, "%s/%.*s", path, (int)n, name);
    }
    const bool got = opens(path, &err);

    CHECK_IN(got == want, "%s: %s", path, err.text);
    count[want]++;
    if (want)
        return;
    const char *why = strstr(path, "imatrix_legacy") ? "not a GGUF file"
                      : shards                       ? reason_of(path_dir(arena, path))
                                                     : reason_of(path);

    CHECK_IN(why && strstr(err.text, why), "%s: \"%s\" does not say \"%s\"", path, err.text, why);
    CHECK_IN(strstr(err.text, shards ? path_dir(arena, path) : path), "%s: %s", path, err.text);
}

/* Every valid golden opens with each tensor inside its file; every malformed one is refused
 * with its reason and the file's name; none costs more than 16 MiB. */
TEST(goldens_get_their_verdicts)
{
    struct arena *arena = arena_new();
    struct err err = {0};
    struct json doc;
    char *text;
    size_t size;
    uint32_t count[2] = {0, 0};
    const char *path = arena_printf(arena, "%s/index.json", golden);
    const bool ok = file_read(path, 1 << 20, arena, &text, &size, &err) &&
                    json_parse(&doc, text, size, 8, arena, &err);

    CHECK_IN(ok, "%s", err.text);
    for (uint32_t k = ok ? json_first(&doc, 1) : 0; k; k = json_after(&doc, 1, k))
        check_entry(&doc, k, count, arena);
    CHECK_IN(count[1] == 23 && count[0] == 87, "%u, %u", count[1], count[0]);
    arena_free(arena);
}

/* Every prefix of every valid file: refused while bytes of a tensor or of the header are
 * missing, accepted without the padding at the end, never a crash. */
TEST(truncations_are_refused)
{
    struct arena *arena = arena_new();
    const char *dir = arena_printf(arena, "%s/valid", golden);
    struct err err = {0};
    char **names;
    size_t n;

    CHECK(dir_list(dir, arena, &names, &n, &err));
    for (size_t i = 0; i < n; i++) {
        uint64_t end = 0;
        char *text;
        size_t full;

        CHECK(file_read(path_join(arena, dir, names[i]), 1 << 20, arena, &text, &full, &err));
        const bool ok = bytes_open(text, full, &end, &err);

        for (size_t size = 0; size <= full; size++)
            CHECK_IN(bytes_open(text, size, NULL, &err) == (ok && size >= end),
                     "%s cut at %zu of %zu: %s", names[i], size, full, err.text);
    }
    arena_free(arena);
}

/* Random damage: opened or refused with a message, never a crash or a tensor outside. */
TEST(damaged_files_do_not_crash)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     0x7fffffff,
                                     0xffffffff,
                                     UINT64_MAX,
                                     INT64_MAX,
                                     (uint64_t)1 << 62,
                                     (uint64_t)1 << 40,
                                     31,
                                     UINT64_MAX - 31};
    struct arena *arena = arena_new();
    const char *dir = arena_printf(arena, "%s/valid", golden);
    struct err err = {0};
    char **names;
    size_t n;
    uint32_t opened = 0, refused = 0;

    CHECK(dir_list(dir, arena, &names, &n, &err));
    for (size_t i = 0; i < n; i++) {
        char *text;
        size_t size;

        CHECK(file_read(path_join(arena, dir, names[i]), 1 << 20, arena, &text, &size, &err));
        for (uint32_t round = 0; round < 150; round++) {
            char *copy = arena_strndup(arena, text, size);
            const size_t at = dice(size);

            copy[at] = (char)dice(256);
            if (round % 2 && at + 8 <= size)
                memcpy(copy + at, &edges[dice(countof(edges))], 8);
            if (bytes_open(copy, size, NULL, &err))
                opened++;
            else
                refused++;
        }
    }
    CHECK_IN(opened > 100 && refused > 1000, "%u opened, %u refused", opened, refused);
    arena_free(arena);
}

/* --- beyond the goldens ------------------------------------------------------------------ */

static void put_head(struct buf *b, uint64_t ntensor, uint64_t nkv)
{
    buf_put(b, "GGUF\3\0\0\0", 8);
    buf_u64(b, ntensor);
    buf_u64(b, nkv);
}

static void put_text(struct buf *b, const char *text)
{
    gguf_put_string(b, text, strlen(text));
}

/* A tensor record; NE ends with 0 as UINT64_MAX. */
static void put_record(struct buf *b, const char *name, uint32_t rank, const uint64_t *ne,
                       uint32_t type, uint64_t offset)
{
    put_text(b, name);
    buf_u32(b, rank);
    for (uint32_t i = 0; i < rank; i++)
        buf_u64(b, ne[i]);
    buf_u32(b, type);
    buf_u64(b, offset);
}

/* The bytes of B with 256 zero bytes after them are refused because of WHY; B is emptied. */
static void refused(struct buf *b, const char *why)
{
    struct err err;

    buf_fill(b, 0, 256);
    CHECK_IN(!bytes_open(b->data, b->size, NULL, &err), "%s", why);
    CHECK_IN(strstr(err.text, why), "\"%s\" does not say \"%s\"", err.text, why);
    buf_finish(b);
    *b = (struct buf){0};
}

/* Lengths of keys, values and names that no file of this size can hold. */
TEST(lengths_past_the_end_are_refused)
{
    static const uint64_t keys[] = {65536, (uint64_t)1 << 30, UINT64_MAX - 7};
    struct buf b = {0};

    for (size_t i = 0; i < countof(keys); i++) {
        put_head(&b, 0, 1);
        buf_u64(&b, keys[i]);
        refused(&b, "at most 65535 are allowed");
    }
    put_head(&b, 0, 1);
    buf_u64(&b, 65535);
    refused(&b, "key number 1: its name of 65535 bytes runs past the end of the file");
    put_head(&b, 0, 1);
    put_text(&b, "k");
    buf_u32(&b, GGUF_STRING);
    buf_u64(&b, (uint64_t)1 << 30);
    refused(&b, "key \"k\": a string of 1073741824 bytes runs past the end");
    put_head(&b, 0, 1);
    put_text(&b, "k");
    buf_u32(&b, GGUF_ARRAY);
    buf_u32(&b, GGUF_STRING);
    buf_u64(&b, 1000);
    refused(&b, "its value needs 8000 bytes");
    put_head(&b, 0, 1);
    put_text(&b, "k");
    buf_u32(&b, GGUF_ARRAY);
    buf_u32(&b, GGUF_BOOL);
    buf_u64(&b, 3);
    buf_put(&b, "\0\1\377", 3);
    refused(&b, "byte 51: key \"k\": a bool is 255");
}

/* Of 25 bytes a tensor and 14 a key, one more than the file has room for is one too many. */
TEST(counts_are_held_against_the_file)
{
    struct buf b = {0};

    put_head(&b, 11, 0); /* 256 bytes follow: room for 10 tensors and 18 keys */
    refused(&b, "byte 8: 11 tensors cannot fit in a file of 280 bytes");
    put_head(&b, 10, 0);
    refused(&b, "tensor number 1: its name is empty");
    put_head(&b, 0, 19);
    refused(&b, "byte 16: 19 keys cannot fit in a file of 280 bytes");
    put_head(&b, 0, 18);
    refused(&b, "key number 1: its name is empty");
}

/* Shapes and types of a tensor, one wrong each. */
TEST(tensor_records_are_checked)
{
    static const uint64_t square[] = {UINT32_MAX, UINT32_MAX, UINT32_MAX, 1};
    static const uint64_t high[] = {(uint64_t)INT64_MAX + 1, 0};
    static const uint64_t two[] = {256, 2};
    static const uint32_t gone[] = {5, 32, 33, 36, 37, 38};
    struct buf b = {0};

    put_head(&b, 1, 0);
    put_record(&b, "t", 3, square, 0, 0);
    refused(&b, "more than 2^63-1 elements");
    put_head(&b, 1, 0);
    put_record(&b, "t", 2, high, 0, 0);
    refused(&b, "dimension 0 is 9223372036854775808");
    for (size_t i = 0; i < countof(gone); i++) {
        put_head(&b, 1, 0);
        put_record(&b, "t", 2, two, gone[i], 0);
        refused(&b, "was removed from GGUF");
    }
    put_head(&b, 1, 0);
    put_record(&b, "t", 0, NULL, 8, 0); /* one element is no block of q8_0 */
    refused(&b, "rows of 1 elements are no whole number of q8_0 blocks");
    put_head(&b, 1, 0);
    put_record(&b, "\xff", 2, two, 0, 0);
    refused(&b, "tensor number 1: its name is not UTF-8");
    put_head(&b, 1, 0);
    put_record(&b, "t", 2, two, 0, 0);
    refused(&b, "is the download complete?");
}

/* Names go into messages cut and without control characters: a terminal obeys those. */
TEST(messages_hold_no_control_characters)
{
    static const uint64_t one[] = {1};
    struct buf b = {0};

    put_head(&b, 1, 0);
    put_record(&b, "a\033[2J\nb\303\251", 1, one, 99, 0);
    refused(&b, "tensor \"a\\x1b[2J\\x0ab\303\251\": type 99 is unknown");
    put_head(&b, 0, 1);
    buf_u64(&b, 301);
    buf_text(&b, "k");
    for (int i = 0; i < 150; i++)
        buf_text(&b, "\303\251");
    buf_u32(&b, 77);
    refused(&b, "\303\251...\": value type 77 is unknown");
}

/* Counts in the billions cost nothing, even in a file that is large enough for them. */
TEST(counts_cost_no_memory)
{
    struct arena *arena = arena_new();
    struct buf b = {0};
    struct err err = {0};

    put_head(&b, (uint64_t)1 << 30, (uint64_t)1 << 31);
    const char *path = write_file("sparse.gguf", b.data, b.size, arena);

    CHECK(truncate(path, (off_t)1 << 36) == 0);
    CHECK(!opens(path, &err));
    CHECK_IN(strstr(err.text, "key number 1: its name is empty"), "%s", err.text);
    unlink(path);
    buf_finish(&b);
    arena_free(arena);
}

/* Integers of any type that fit; nothing else; no value where there is none. */
TEST(values_are_read_by_type)
{
    static const unsigned char bytes[8] = {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const unsigned char f32[4] = {0, 0, 0xc0, 0x3f}, f64[8] = {0, 0, 0, 0, 0, 0, 0xf8, 0xbf};
    static const struct {
        uint32_t type;
        bool ok;
        uint64_t want;
    } cases[] = {{GGUF_U8, true, 0xfe},        {GGUF_U16, true, 0xfffe},
                 {GGUF_U32, true, 0xfffffffe}, {GGUF_U64, true, UINT64_MAX - 1},
                 {GGUF_I8, false, 0},          {GGUF_I16, false, 0},
                 {GGUF_I32, false, 0},         {GGUF_I64, false, 0},
                 {GGUF_F32, false, 0},         {GGUF_BOOL, false, 0},
                 {GGUF_STRING, false, 0},      {GGUF_ARRAY, false, 0},
                 {GGUF_F64, false, 0}};
    uint64_t n, cursor = 0;
    double x;

    for (size_t i = 0; i < countof(cases); i++) {
        const struct gguf_kv kv = {"k", cases[i].type, cases[i].type, 1, bytes, 8};

        n = 0;
        CHECK_IN(gguf_u64(&kv, &n) == cases[i].ok && n == cases[i].want, "type %zu", i);
    }
    const struct gguf_kv i32 = {"k", GGUF_I32, GGUF_I32, 1, (const unsigned char *)"\1\2\0\0", 4};

    CHECK(gguf_u64(&i32, &n) && n == 513);
    CHECK(!gguf_u64(NULL, &n) && !gguf_f64(NULL, &x) && !gguf_string(NULL, &n));
    CHECK(gguf_f64(&(struct gguf_kv){"k", GGUF_F32, GGUF_F32, 1, f32, 4}, &x) && x == 1.5);
    CHECK(gguf_f64(&(struct gguf_kv){"k", GGUF_F64, GGUF_F64, 1, f64, 8}, &x) && x == -1.5);
    CHECK(!gguf_f64(&i32, &x) && !gguf_string(&i32, &n) && !gguf_array_string(&i32, &cursor, &n));
}

/* An array of strings is walked to its end and no further, raw bytes and empty ones too. */
TEST(string_arrays_are_walked_in_place)
{
    static const char *const items[] = {"", "a", "\xff\xfe", "longer than the others", ""};
    struct buf b = {0};
    uint64_t cursor = 0, n;

    buf_u32(&b, GGUF_STRING);
    buf_u64(&b, countof(items));
    for (size_t i = 0; i < countof(items); i++)
        put_text(&b, items[i]);
    const struct gguf_kv kv = {"k", GGUF_ARRAY, GGUF_STRING, countof(items), b.data, b.size};

    for (size_t i = 0; i < countof(items); i++) {
        const char *text = gguf_array_string(&kv, &cursor, &n);

        CHECK_IN(text && n == strlen(items[i]) && memcmp(text, items[i], n) == 0, "item %zu", i);
    }
    CHECK(!gguf_array_string(&kv, &cursor, &n));
    buf_finish(&b);
}

/* Of a large file the header alone is mapped, however long that is; a value that only the whole
 * file could hold is refused as ever. */
TEST(large_files_are_mapped_by_their_header)
{
    enum { DATA = 24 << 20 };
    static const uint64_t ne[] = {DATA / 4};
    static const uint64_t texts[] = {1, 300000, 600000};
    struct arena *arena = arena_new();

    for (size_t i = 0; i < countof(texts); i++) {
        struct buf b = {0};
        struct checkpoint ckpt = {0};
        struct err err = {0};

        put_head(&b, 1, 2);
        put_text(&b, "texts");
        buf_u32(&b, GGUF_ARRAY);
        buf_u32(&b, GGUF_STRING);
        buf_u64(&b, texts[i]);
        for (uint64_t k = 0; k < texts[i]; k++)
            put_text(&b, "text");
        put_text(&b, "last");
        buf_u32(&b, GGUF_F64);
        buf_u64(&b, 0);
        put_record(&b, "w", 1, ne, 0, 0);
        buf_fill(&b, 0, (32 - b.size % 32) % 32);
        const size_t head = b.size;

        buf_fill(&b, 0, DATA);
        const char *path = write_file("large.gguf", b.data, b.size, arena);

        CHECK_IN(format_gguf.open(&ckpt, path, arena, &err), "%s", err.text);
        CHECK(ckpt.ntensor == 1 && ckpt.tensor[0].offset == head && ckpt.nkv == 2);
        CHECK(ckpt.map[0].size == b.size && ckpt.map[0].head >= head - 32);
        CHECK(ckpt.map[0].head < 4 * (head + (1 << 20)));
        check_inside(&ckpt);
        shut(&ckpt);
        b.size--;
        CHECK(!opens(write_file("large.gguf", b.data, b.size, arena), &err));
        CHECK_IN(strstr(err.text, "is the download complete?"), "%s", err.text);
        buf_finish(&b);
    }
    arena_free(arena);
}

/* --- split models ------------------------------------------------------------------------ */

static void put_u16(struct buf *b, const char *key, uint16_t value)
{
    put_text(b, key);
    buf_u32(b, GGUF_U16);
    buf_u16(b, value);
}

/* Shard NO of COUNT with one f32 tensor "blk.NO.w" and a set of TOTAL tensors. */
static const char *put_shard(const char *prefix, uint16_t no, uint16_t count, int32_t total,
                             struct arena *arena)
{
    static const uint64_t ne[] = {8};
    struct buf b = {0};

    put_head(&b, 1, 3);
    put_u16(&b, "split.no", no);
    put_u16(&b, "split.count", count);
    put_text(&b, "split.tensors.count");
    buf_u32(&b, GGUF_I32);
    buf_u32(&b, (uint32_t)total);
    put_record(&b, arena_printf(arena, "blk.%u.w", no), 1, ne, 0, 0);
    buf_fill(&b, 0, (32 - b.size % 32) % 32 + 32);
    const char *path = write_file(
        arena_printf(arena, "%s-%05u-of-%05u.gguf", prefix, no + 1, count), b.data, b.size, arena);

    buf_finish(&b);
    return path;
}

/* Any shard opens the whole set, in the set's order; the key-values are the first shard's. */
TEST(a_shard_opens_the_set)
{
    struct arena *arena = arena_new();
    struct err err = {0};
    const char *path[3];

    for (uint16_t i = 0; i < 3; i++)
        path[i] = put_shard("set", i, 3, 3, arena);
    for (uint32_t i = 0; i < 3; i++) {
        struct checkpoint ckpt = {0};
        uint64_t no = 9;
        const bool ok = format_gguf.open(&ckpt, path[i], arena, &err);

        CHECK_IN(ok && ckpt.nfile == 3 && ckpt.ntensor == 3, "%s", err.text);
        if (!ok)
            continue;
        CHECK(strcmp(ckpt.path, path[i]) == 0 && ckpt.format == &format_gguf && !ckpt.dir);
        CHECK(gguf_u64(gguf_find(ckpt.kv, ckpt.nkv, "split.no"), &no) && no == 0);
        for (uint32_t k = 0; k < 3; k++) {
            CHECK(ckpt.tensor[k].file == k && strcmp(ckpt.file[k], path[k]) == 0);
            CHECK(strcmp(ckpt.tensor[k].name, arena_printf(arena, "blk.%u.w", k)) == 0);
        }
        check_inside(&ckpt);
        shut(&ckpt);
    }
    unlink(path[1]);
    CHECK(!opens(path[0], &err) && strstr(err.text, "shard 2 of 3"));
    CHECK(!opens(path[2], &err) && strstr(err.text, "shard 2 of 3"));
    arena_free(arena);
}

/* Shards of other sets, wrong totals, numbers out of range; counts 0 and 1 are whole files. */
TEST(split_keys_are_checked)
{
    struct arena *arena = arena_new();
    struct err err = {0};
    const char *a = put_shard("mix", 0, 2, 2, arena), *b = put_shard("mix", 1, 2, 2, arena);
    char *text;
    size_t size;

    CHECK(opens(a, &err));
    CHECK(file_read(put_shard("old", 1, 3, 3, arena), 4096, arena, &text, &size, &err));
    write_file(path_base(b), text, size, arena);
    CHECK(!opens(a, &err) && strstr(err.text, "key \"split.count\" is 3, the set has 2"));
    put_shard("mix", 1, 2, 2, arena);
    put_shard("mix", 0, 2, 3, arena);
    CHECK(!opens(a, &err) && strstr(err.text, "is 3, but the shards hold 2 tensors"));
    put_shard("mix", 0, 2, -1, arena);
    CHECK(!opens(a, &err) && strstr(err.text, "is missing or no count"));
    CHECK(!opens(put_shard("far", 2, 2, 2, arena), &err) && strstr(err.text, "has 2 files"));
    CHECK(opens(put_shard("one", 0, 1, 9, arena), &err));
    text[24 + 8 + strlen("split.no")] = GGUF_I16;
    write_file("old-00002-of-00003.gguf", text, size, arena);
    CHECK(!opens(path_join(arena, folder, "old-00002-of-00003.gguf"), &err) &&
          strstr(err.text, "key \"split.no\" has value type 3, expected a u16"));
    CHECK(opens(put_shard("none", 5, 0, 9, arena), &err));
    arena_free(arena);
}

/* Only the magic makes a GGUF file. */
TEST(sniff_looks_at_the_magic)
{
    CHECK(format_gguf.sniff("x", (const unsigned char *)"GGUF\3", 5));
    CHECK(!format_gguf.sniff("x.gguf", (const unsigned char *)"GGU", 3));
    CHECK(!format_gguf.sniff("x.gguf", (const unsigned char *)"FUGG\3", 5));
    CHECK(!format_gguf.sniff("x.gguf", NULL, 0));
}

/* clang-format off */
TEST_MAIN(
    scratch_begin();
    RUN(goldens_get_their_verdicts)
    RUN(truncations_are_refused)
    RUN(damaged_files_do_not_crash)
    RUN(lengths_past_the_end_are_refused)
    RUN(counts_are_held_against_the_file)
    RUN(tensor_records_are_checked)
    RUN(messages_hold_no_control_characters)
    RUN(counts_cost_no_memory)
    RUN(values_are_read_by_type)
    RUN(string_arrays_are_walked_in_place)
    RUN(large_files_are_mapped_by_their_header)
    RUN(a_shard_opens_the_set)
    RUN(split_keys_are_checked)
    RUN(sniff_looks_at_the_magic)
    scratch_end();
)
