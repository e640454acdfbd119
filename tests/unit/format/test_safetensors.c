#include "test.h"

#include "base/msg.h"
#include "files.h"
#include "format/safetensors.h"

static struct arena *arena;
static struct err err;
static struct file_tensor *got;
static size_t ngot;

/* Read N bytes as a file; from a copy of exactly that size, so that the sanitizer sees a read
 * past the end. */
static bool read_bytes(const void *bytes, size_t n)
{
    unsigned char *copy = malloc(n ? n : 1);
    const struct filemap map = {.data = copy, .size = n};

    memcpy(copy, bytes, n);
    err = (struct err){0};
    const bool ok = safetensors_read("x.safetensors", &map, arena, &got, &ngot, &err);

    free(copy);
    return ok;
}

/* A file of this header (padded or not) and so many zero bytes of data. */
static bool read_header(const char *json, size_t data)
{
    struct buf file = {0};

    buf_u64(&file, strlen(json));
    buf_text(&file, json);
    buf_fill(&file, 0, data);
    const bool ok = read_bytes(file.data, file.size);

    buf_finish(&file);
    return ok;
}

/* False if a malformed file of the goldens opened, or for another reason than its own. */
TEST(every_malformed_file_is_refused_with_its_reason)
{
    static const struct {
        const char *file, *why;
    } reasons[] = {
        {"empty-file", "is empty"},
        {"header-beyond-eof", "header of"},
        {"header-len-2-63", "at most 100000000"},
        {"header-len-zero", "does not begin with '{'"},
        {"header-too-large", "at most 100000000"},
        {"not-utf8", "not valid UTF-8"},
        {"not-json", "does not begin with '{'"},
        {"json-array", "does not begin with '{'"},
        {"json-trailing-garbage", "the end of the text was expected"},
        {"starts-with-space", "does not begin with '{'"},
        {"nul-padding", "is 0x00 where the end of the text"},
        {"trailing-comma", "where a key was expected"},
        {"dup-key", "is there twice"},
        {"no-dtype", "no dtype"},
        {"unknown-dtype", "dtype \"F7\""},
        {"negative-dim", "dimension -"},
        {"float-dim", "dimension 2.0"},
        {"shape-overflow", "2^62 elements"},
        {"zero-times-huge", "is not an integer from 0 to 2^63 - 1"},
        {"offsets-one-element", "not two integers"},
        {"offsets-reversed", "reversed"},
        {"offsets-beyond-data", "pass the end"},
        {"size-mismatch", "needs"},
        {"hole", "begins at data byte"},
        {"overlap", "begins at data byte"},
        {"first-not-zero", "begins at data byte"},
        {"trailing-data", "bytes after the last tensor"},
        {"truncated-data", "pass the end"},
        {"metadata-not-strings", "__metadata__ holds a value that is not a string"},
        {"tensor-entry-null", "not an object"},
        {"deep-nesting", "nested deeper than 4"},
        {"name-nul", "control byte 0x00"},
        {"name-lone-surrogate", "half of a surrogate pair"},
        {"nan-literal", "where a value was expected"},
        {"f4-odd", "not a whole number of bytes"},
        {"pickle-renamed", "zip file"},
        {"gguf-renamed", "GGUF"},
    };
    const struct json doc = malformed_index(arena);
    const uint32_t list = json_get(&doc, 1, "safetensors");
    size_t known = 0, cases = 0;

    for (uint32_t k = json_first(&doc, list); k; k = json_after(&doc, list, k), cases++) {
        const char *file = text_at(&doc, k, "file", arena);
        const char *expect = text_at(&doc, k, "expect", arena);
        const char *path = PATH("tests/golden/malformed/%s", file);
        const char *why = NULL;
        struct filemap map;
        size_t n = 0;

        for (size_t i = 0; i < countof(reasons); i++)
            if (strstr(file, PATH("/%s.", reasons[i].file)))
                why = reasons[i].why;
        known += why != NULL;
        CHECK(filemap_open(&map, path, &err));
        const bool ok = safetensors_read(path, &map, arena, &got, &n, &err);

        filemap_close(&map);
        CHECK_IN(ok == !why, "%s: %s", file, ok ? "opened" : err.text);
        CHECK_IN(ok || strstr(err.text, why), "%s: %s", file, err.text);
        CHECK_IN(ok || strstr(err.text, path), "%s: %s", file, err.text);
        CHECK_IN(!ok || strcmp(expect, "reject") != 0, "%s", file);
    }
    CHECK(cases == 39 && known == countof(reasons));
}

/* False if a header of a few bytes could ask for much memory. */
TEST(refused_files_cost_little)
{
    const struct json doc = malformed_index(arena);
    const uint32_t list = json_get(&doc, 1, "safetensors");

    for (uint32_t k = json_first(&doc, list); k; k = json_after(&doc, list, k)) {
        const char *path = PATH("tests/golden/malformed/%s", text_at(&doc, k, "file", arena));
        struct arena *own = arena_new();
        struct filemap map;

        CHECK(filemap_open(&map, path, &err));
        if (!safetensors_read(path, &map, own, &got, &ngot, &err))
            CHECK_IN(arena_bytes(own) <= 1 << 17, "%s: %zu", path, arena_bytes(own));
        filemap_close(&map);
        arena_free(own);
    }
}

/* False if one of the rules of section 1.4 is missing, or too strict. */
TEST(headers_are_judged)
{
#define ENTRY(dtype, shape, offsets)                                                               \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    static const struct {
        const char *json;
        size_t data;
        const char *why; /* NULL: good */
    } cases[] = {
        {"{}", 0, NULL},
        {"{}      ", 0, NULL},
        {"{ \"a\" : " ENTRY("F32", " [ 1 ] ", "[0, 4]") " }", 4, NULL},
        {"{}\n", 0, "only spaces are allowed"},
        {"{}\t", 0, "only spaces are allowed"},
        {"{}", 1, "bytes after the last tensor"},
        {"{\"__metadata__\":{}}", 0, NULL},
        {"{\"__metadata__\":{\"a\":\"b\",\"c\":\"\"}}", 0, NULL},
        {"{\"__metadata__\":null}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":[\"a\"]}", 0, "__metadata__ is not an object"},
        {"{\"__metadata__\":{\"a\":{}}}", 0, "not a string"},
        {"{\"\\u005f_metadata__\":{\"a\":1}}", 0, "not a string"},
        {"{\"a\":" ENTRY("F32", "[]", "[0,4]") "}", 4, NULL},
        {"{\"a\":" ENTRY("F\\u00332", "[]", "[0,4]") "}", 4, NULL},
        {"{\"a\":" ENTRY("F32", "[0]", "[0,0]") "}", 0, NULL},
        {"{\"a\":" ENTRY("F32", "[2,0,3]", "[0,0]") ",\"b\":" ENTRY("U8", "[3]", "[0,3]") "}", 3,
         NULL},
        {"{\"b\":" ENTRY("U8", "[3]", "[4,7]") ",\"a\":" ENTRY("F32", "[1]", "[0,4]") "}", 7, NULL},
        {"{\"a\":" ENTRY("U8", "[1,1,1,1,1,1,1,2]", "[0,2]") "}", 2, NULL},
        {"{\"a\":" ENTRY("U8", "[1,1,1,1,1,1,1,1,2]", "[0,2]") "}", 2, "9 dimensions"},
        {"{\"a\":" ENTRY("F4", "[2,3]", "[0,3]") "}", 3, NULL},
        {"{\"a\":" ENTRY("F6_E2M3", "[4]", "[0,3]") "}", 3, NULL},
        {"{\"a\":" ENTRY("F6_E3M2", "[2]", "[0,2]") "}", 2, "whole number of bytes"},
        {"{\"a\":" ENTRY("F4", "[1]", "[0,1]") "}", 1, "whole number of bytes"},
        {"{\"a\":" ENTRY("f32", "[1]", "[0,4]") "}", 4, "dtype \"f32\""},
        {"{\"a\":" ENTRY("F32 ", "[1]", "[0,4]") "}", 4, "dtype \"F32 \""},
        {"{\"a\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype is not a string"},
        {"{\"a\":[\"F32\",[1],[0,4]]}", 4, "the entry is not an object"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "no shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "no data_offsets"},
        {"{\"a\":" ENTRY("F32", "{}", "[0,4]") "}", 4, "shape is not an array"},
        {"{\"a\":" ENTRY("F32", "1", "[0,4]") "}", 4, "shape is not an array"},
        {"{\"a\":" ENTRY("F32", "[\"1\"]", "[0,4]") "}", 4, "dimension 1 is not"},
        {"{\"a\":" ENTRY("F32", "[1e0]", "[0,4]") "}", 4, "dimension 1e0 is not"},
        {"{\"a\":" ENTRY("F32", "[-0]", "[0,4]") "}", 4, "dimension -0 is not"},
        {"{\"a\":" ENTRY("F32", "[null]", "[0,4]") "}", 4, "dimension null is not"},
        {"{\"a\":" ENTRY("F32", "[[1]]", "[0,4]") "}", 4, "is not an integer"},
        {"{\"a\":" ENTRY("U8", "[0,9223372036854775807]", "[0,0]") "}", 0, "2^62 elements"},
        {"{\"a\":" ENTRY("U8", "[9223372036854775808]", "[0,0]") "}", 0, "is not an integer"},
        {"{\"a\":" ENTRY("U64", "[1152921504606846976]", "[0,0]") "}", 0, "2^62 bytes"},
        {"{\"a\":" ENTRY("U8", "[4294967296,4294967296]", "[0,0]") "}", 0, "2^62 elements"},
        {"{\"a\":" ENTRY("U8", "[0,4294967296,4294967296]", "[0,0]") "}", 0, "2^62 elements"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0,4,8]") "}", 4, "not two integers"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0,4.0]") "}", 4, "not two integers"},
        {"{\"a\":" ENTRY("F32", "[1]", "[-4,0]") "}", 4, "not two integers"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0,18446744073709551620]") "}", 4, "not two integers"},
        {"{\"a\":" ENTRY("F32", "[1]", "[18446744073709551612,18446744073709551615]") "}", 4,
         "pass the end"},
        {"{\"a\":" ENTRY("F32", "[1]", "{}") "}", 4, "not two integers"},
        {"{\"a\":" ENTRY("F32", "[1]", "[0,5]") "}", 5, "hold 5 bytes, shape [1] of F32 needs 4"},
        {"{\"a\":" ENTRY("U8", "[4]", "[0,4]") ",\"b\":" ENTRY("U8", "[4]", "[0,4]") "}", 4,
         "begins at data byte 0 where the tensors before it end at 4"},
        {"{\"\":" ENTRY("U8", "[1]", "[0,1]") "}", 1, "the name is empty"},
        {"{\"a\\nb\":" ENTRY("U8", "[1]", "[0,1]") "}", 1, "tensor \"a\\x0ab\": the name holds"},
        {"{\"a\x7f\":" ENTRY("U8", "[1]", "[0,1]") "}", 1, "control byte 0x7f"},
        {"{\"a\":1,\"\\u0061\":2}", 0, "is there twice"},
        {"{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
         "is there twice"},
        {"{\"a\":1}", 0, "the entry is not an object"},
        {"{\"a\":[[[[1]]]]}", 0, "nested deeper than 4"},
        {"{", 0, "does not begin with"},
        {"{ ", 0, "ends at byte 2"},
        {"\xef\xbb\xbf{}", 0, "does not begin with"},
    };

    for (size_t i = 0; i < countof(cases); i++) {
        const bool ok = read_header(cases[i].json, cases[i].data);

        CHECK_IN(ok == !cases[i].why, "%s: %s", cases[i].json, ok ? "read" : err.text);
        CHECK_IN(ok || strstr(err.text, cases[i].why), "%s: %s", cases[i].json, err.text);
        CHECK_IN(ok || strncmp(err.text, "x.safetensors: ", 15) == 0, "%s", err.text);
    }
}

/* False if a good header were taken for another kind of file because of its length. */
TEST(a_length_is_no_mark_of_another_file)
{
    static char json[0x600];

    for (size_t n = 8; n < sizeof(json); n += 8) { /* 0x280 to 0x580 begin like pickles */
        memset(json, ' ', n);
        memcpy(json, "{}", 2);
        json[n] = 0;
        CHECK_IN(read_header(json, 0), "%zu: %s", n, err.text);
    }
    CHECK(!read_bytes("\x80\2}q\0\0\0\0\0.", 10) && strstr(err.text, "pickle"));
}

/* False if unknown fields passed without a word, or made a file unreadable. */
TEST(unknown_fields_are_warned_of)
{
    const uint32_t before = msg_warnings();

    CHECK(read_header("{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1],\"x\":[[1]]}}",
                      1));
    CHECK(msg_warnings() == before + 1);
    CHECK(read_header("{\"a\":" ENTRY("U8", "[1]", "[0,1]") "}", 1));
    CHECK(msg_warnings() == before + 1);
}

/* False if long names were refused too early or too late, or filled a message. */
TEST(names_are_1024_bytes_at_most)
{
    char name[1100], json[1300];

    for (int n = 1020; n < 1030; n++) {
        memset(name, 'n', sizeof(name));
        name[n] = 0;
        snprintf(json, sizeof(json), "{\"%s\":%s}", name, ENTRY("U8", "[1]", "[0,1]"));
        CHECK_IN(read_header(json, 1) == (n <= 1024), "%d", n);
    }
    CHECK(strstr(err.text, "nnn...\"") && strlen(err.text) < 400);
}

/* False if a tensor came out with another place, shape or name than its entry says. */
TEST(tensors_are_listed_by_offset)
{
    CHECK(read_header("{\"b\":" ENTRY("BF16", "[2,3]", "[8,20]") ",\"\\u00e9\":" ENTRY(
                          "F32", "[2]", "[0,8]") ",\"z\":" ENTRY("F32", "[0]", "[8,8]") "}",
                      20));
    const uint64_t data = got[0].offset; /* 8 and the header */

    CHECK(ngot == 3 && strcmp(got[0].name, "\xc3\xa9") == 0 && strcmp(got[1].name, "z") == 0);
    CHECK(got[1].offset == data + 8 && got[2].offset == data + 8);
    CHECK(got[2].t.dtype == DTYPE_bf16 && got[2].t.rank == 2 && got[2].t.dim[0] == 2 &&
          got[2].t.dim[1] == 3 && got[2].file == 0);
}

/* False if more than the header took addresses, or if a long header were not read to its end. */
TEST(large_files_are_mapped_by_their_header)
{
    static const size_t header[] = {200, 1 << 20, 3 << 20}, data = 8 << 20;
    char *dir = scratch_dir(arena);

    for (size_t i = 0; i < countof(header); i++) {
        const char *path = PATH("%s/large.safetensors", dir);
        struct buf b = {0};
        struct filemap map;

        buf_u64(&b, header[i]);
        buf_text(&b, "{\"w\":" ENTRY("U8", "[8388608]", "[0,8388608]") "}");
        buf_fill(&b, ' ', 8 + header[i] - b.size);
        buf_fill(&b, 0, data);
        put_file(path, b.data, b.size);
        CHECK(safetensors_map(&map, path, &err));
        CHECK(map.size == b.size && map.head >= 8 + header[i] && map.head <= header[i] + (1 << 20));
        CHECK_IN(safetensors_read(path, &map, arena, &got, &ngot, &err), "%s", err.text);
        CHECK(ngot == 1 && got[0].offset == 8 + header[i]);
        filemap_close(&map);
        buf_finish(&b);
    }
    CHECK(dir_remove(dir, &err));
}

/* False if a file cut anywhere were taken. */
TEST(every_truncation_is_refused)
{
    static const char *const files[] = {"types", "shapes", "names", "one", "none"};

    for (size_t i = 0; i < countof(files); i++) {
        size_t n;
        const char *bytes =
            get_file(arena, PATH("tests/golden/safetensors/%s.safetensors", files[i]), &n);

        CHECK_IN(read_bytes(bytes, n), "%s: %s", files[i], err.text);
        for (size_t cut = 0; cut < n; cut++)
            CHECK_IN(!read_bytes(bytes, cut) && err.text[0], "%s cut at %zu", files[i], cut);
    }
}

/* After a successful read every tensor lies inside the file. */
static bool all_inside(size_t size)
{
    for (size_t i = 0; i < ngot; i++)
        if (got[i].offset > size || tensor_bytes(&got[i].t) > size - got[i].offset)
            return false;
    return true;
}

/* False if a damaged header could crash the reader or make it point outside the file. */
TEST(damaged_headers_are_survived)
{
    size_t n, taken = 0;
    char *bytes = get_file(arena, "tests/golden/safetensors/shapes.safetensors", &n);
    uint32_t random = 12345;

    for (size_t i = 0; i < n; i++)
        for (int bit = 0; bit < 8; bit++) {
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
            if (read_bytes(bytes, n))
                CHECK(all_inside(n) && ++taken);
            bytes[i] = (char)(bytes[i] ^ 1 << bit);
        }
    for (int i = 0; i < 20000; i++) {
        random = random * 1664525 + 1013904223;
        const size_t at = 8 + (random >> 8) % 500;
        const char old = bytes[at];

        bytes[at] = "0123456789[]{},:\"\\ex-"[(random >> 3) % 21];
        if (read_bytes(bytes, n))
            CHECK(all_inside(n) && ++taken);
        if (i % 4) /* the damage piles up, then heals */
            bytes[at] = old;
    }
    CHECK(taken > 0); /* the data and some letters of names do not matter */
}

static int shuffled(const void *a, const void *b)
{
    const struct safetensors_out *x = a, *y = b;

    return strcmp(x->name + strlen(x->name) / 2, y->name + strlen(y->name) / 2);
}

/* Read PATH, lay its tensors out in another order, put the data at the offsets: same bytes. */
static void check_rewrite(const char *path)
{
    struct buf header = {0};
    uint64_t size = 0;
    size_t n;
    const char *bytes = get_file(arena, path, &n);

    CHECK_IN(read_bytes(bytes, n), "%s: %s", path, err.text);
    struct safetensors_out *out = arena_array(arena, ngot, sizeof(*out));

    for (size_t i = 0; i < ngot; i++)
        out[i] = (struct safetensors_out){.name = got[i].name, .t = got[i].t};
    qsort(out, ngot, sizeof(*out), shuffled);
    CHECK_IN(safetensors_layout(out, ngot, &header, &size, &err), "%s: %s", path, err.text);
    CHECK_IN(size == n, "%s: %zu bytes, not %zu", path, (size_t)size, n);
    CHECK_IN(header.size <= n && memcmp(header.data, bytes, header.size) == 0, "%s", path);
    for (size_t i = 0; i < ngot; i++) {
        for (size_t k = 0; k < ngot; k++)
            if (strcmp(out[i].name, got[k].name) == 0)
                CHECK_IN(out[i].offset == got[k].offset, "%s: %s", path, out[i].name);
    }
    buf_finish(&header);
}

/* False if a header differed from the official writer's in one byte. */
TEST(rewritten_files_are_the_official_writers)
{
    static const char *const files[] = {
        "types",
        "names",
        "shapes",
        "one",
        "none",
        "sharded/model-00001-of-00002",
        "sharded/model-00002-of-00002",
    };

    for (size_t i = 0; i < countof(files); i++)
        check_rewrite(PATH("tests/golden/safetensors/%s.safetensors", files[i]));
}

/* False if something went into a file that a reader must refuse. */
TEST(unwritable_tensors_are_refused)
{
    static const struct {
        struct safetensors_out a;
        const char *why;
    } cases[] = {
        {{"a", {DTYPE_q4_k, 1, {256}}, 0}, "cannot hold q4_k"},
        {{"a", {DTYPE_f32, 9, {1}}, 0}, "9 dimensions"},
        {{"a", {DTYPE_f32, 1, {-1}}, 0}, "negative"},
        {{"a", {DTYPE_f4, 1, {3}}, 0}, "whole number of bytes"},
        {{"a", {DTYPE_f64, 2, {1LL << 40, 1LL << 40}}, 0}, "2^62"},
        {{"", {DTYPE_f32, 1, {1}}, 0}, "empty"},
        {{"a\nb", {DTYPE_f32, 1, {1}}, 0}, "a\\x0ab"},
        {{"a\xff", {DTYPE_f32, 1, {1}}, 0}, "UTF-8"},
        {{"__metadata__", {DTYPE_f32, 1, {1}}, 0}, "reserved"},
        {{"twin", {DTYPE_f64, 1, {1}}, 0}, "two tensors"},
    };

    for (size_t i = 0; i < countof(cases); i++) {
        struct safetensors_out out[3] = {{"twin", {DTYPE_f32, 1, {1}}, 0}, cases[i].a};
        struct buf header = {0};
        uint64_t size;

        CHECK_IN(!safetensors_layout(out, 2, &header, &size, &err), "%s", cases[i].why);
        CHECK_IN(strstr(err.text, cases[i].why), "%s: %s", cases[i].why, err.text);
        CHECK(header.size == 0);
        buf_finish(&header);
    }
}

/* False if an index differed from json.dumps(indent=2, sort_keys=True) in one byte. */
TEST(the_index_is_as_python_dumps_it)
{
    struct buf out = {0};
    struct json doc;
    size_t n;
    const char *text = get_file(arena, "tests/golden/safetensors/index.json", &n);

    CHECK(json_parse(&doc, text, n, 4, arena, &err));
    const uint32_t map = json_get(&doc, 1, "weight_map"), count = doc.node[map].count;
    const char **name = arena_array(arena, count, sizeof(*name));
    const char **shard = arena_array(arena, count, sizeof(*shard));
    uint32_t at = count;

    for (uint32_t k = json_first(&doc, map); k; k = json_after(&doc, map, k + 1)) {
        size_t len;
        const char *key = json_string(&doc, k, arena, &len);

        name[--at] = arena_strndup(arena, key, len); /* backwards: it must sort */
        key = json_string(&doc, k + 1, arena, &len);
        shard[at] = arena_strndup(arena, key, len);
    }
    safetensors_index(name, shard, count, 5000000000, &out);
    CHECK(out.size == n && memcmp(out.data, text, n) == 0);
    buf_finish(&out);
    safetensors_index(NULL, NULL, 0, 0, &out);
    CHECK(strcmp(buf_cstr(&out),
                 "{\n  \"metadata\": {\n    \"total_size\": 0\n  },\n  \"weight_map\": {}\n}\n") ==
          0);
    buf_finish(&out);
}

static void all(void)
{
    arena = arena_new();
    RUN(every_malformed_file_is_refused_with_its_reason)
    RUN(refused_files_cost_little)
    RUN(headers_are_judged)
    RUN(a_length_is_no_mark_of_another_file)
    RUN(unknown_fields_are_warned_of)
    RUN(names_are_1024_bytes_at_most)
    RUN(tensors_are_listed_by_offset)
    RUN(large_files_are_mapped_by_their_header)
    RUN(every_truncation_is_refused)
    RUN(damaged_headers_are_survived)
    RUN(rewritten_files_are_the_official_writers)
    RUN(unwritable_tensors_are_refused)
    RUN(the_index_is_as_python_dumps_it)
    arena_free(arena);
}

TEST_MAIN(all();)
