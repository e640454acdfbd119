#include "test.h"

#include "base/hash.h"
#include "files.h"
#include "format/gguf.h"
#include "format/imatrix.h"

#include <math.h>

static const char dir[] = "tests/golden/imatrix";

/* The line's entry is in M with those numbers. */
static void check_entry(const struct imatrix *m, const char *file, char *line)
{
    char name[128], hex[64];
    long long n, matrices;
    struct digest want;

    if (sscanf(line, "entry %127s %lld %lld %63s", name, &n, &matrices, hex) != 4) {
        CHECK_IN(false, "%s", line);
        return;
    }
    const struct imatrix_entry *e = imatrix_find(m, name);

    CHECK_IN(e && e->n == n && e->matrices == matrices, "%s: %s", file, name);
    CHECK(digest_parse(hex, &want));
    if (e && e->n == n)
        CHECK_IN(digest_eq(hash_bytes(e->value, (size_t)n * sizeof(float)), want), "%s: %s", file,
                 name);
}

/* Vectors are what numpy makes of the same files by the definition (make.py), in both formats:
 * else every block of a quantized model would differ from llama-quantize's. */
TEST(vectors_are_the_definitions)
{
    struct arena *arena = arena_new();
    struct imatrix m = {0};
    struct err err = {0};
    char file[64] = "", dataset[64], *rest = NULL;
    unsigned chunks, entries = 0, files = 0;
    size_t n;
    char *text = get_file(arena, PATH("%s/expect.txt", dir), &n);

    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "file %63s %u %63s", file, &chunks, dataset) == 3) {
            CHECK(!files || m.nentry == entries);
            entries = 0;
            files++;
            CHECK_IN(imatrix_open(&m, PATH("%s/%s", dir, file), arena, &err), "%s", err.text);
            CHECK(m.chunks == chunks && m.dataset && strcmp(m.dataset, dataset) == 0);
            CHECK(m.legacy == (strstr(file, ".dat") != NULL));
        } else {
            entries++;
            check_entry(&m, file, line);
        }
    }
    CHECK(files == 3 && m.nentry == entries && entries == 2);
    arena_free(arena);
}

/* An expert that no token reached weighs all columns alike; a count is a whole number of tokens. */
TEST(counts_divide_by_expert)
{
    struct arena *arena = arena_new();
    struct imatrix m;
    struct err err = {0};

    CHECK_IN(imatrix_open(&m, PATH("%s/experts.gguf", dir), arena, &err), "%s", err.text);
    const struct imatrix_entry *e = imatrix_find(&m, "blk.0.ffn_down_exps.weight");

    CHECK(e && e->matrices == 3 && e->n == 24);
    for (int i = 8; e && i < 16; i++)
        CHECK(e->value[i] == 1.0f);
    CHECK(e && e->value[0] != 1.0f && e->value[16] != 1.0f);
    arena_free(arena);
}

/* ---- files made here ------------------------------------------------------------------------ */

static void put_entry(struct buf *out, const char *name, int32_t calls, const float *v, int32_t n)
{
    buf_u32(out, (uint32_t)strlen(name));
    buf_text(out, name);
    buf_u32(out, (uint32_t)calls);
    buf_u32(out, (uint32_t)n);
    for (int32_t i = 0; i < n; i++)
        buf_f32(out, v[i]);
}

static void put_tail(struct buf *out, int32_t chunks, const char *dataset)
{
    buf_u32(out, (uint32_t)chunks);
    buf_u32(out, (uint32_t)strlen(dataset));
    buf_text(out, dataset);
}

/* Read FILE in memory of exactly its length, then empty it. ERR.text is "" on success. */
static bool read_buf(struct buf *file, struct imatrix *m, struct arena *arena, struct err *err)
{
    unsigned char *copy = mem_grow(NULL, file->size + 1);

    if (file->size)
        memcpy(copy, file->data, file->size);
    copy = mem_grow(copy, file->size ? file->size : 1);
    *err = (struct err){0};
    const bool ok = imatrix_read(m, "x.dat", copy, file->size, arena, err);

    mem_free(copy);
    file->size = 0;
    CHECK(ok || (err->code != ERR_NONE && strstr(err->text, "x.dat: ") == err->text));
    return ok;
}

/* FILE is refused with a message that holds each of WANT's parts. */
static void refused(struct buf *file, const char *want, const char *also)
{
    struct arena *arena = arena_new();
    struct imatrix m;
    struct err err;

    CHECK_IN(!read_buf(file, &m, arena, &err), "not refused: %s", want);
    CHECK_IN(strstr(err.text, want) && strstr(err.text, also), "%s, expected %s and %s", err.text,
             want, also);
    arena_free(arena);
}

/* Values of files without calls are as they are; the tail may be absent; dataset and chunks are
 * what the header of a quantized model will say. */
TEST(the_older_format_reads_without_its_tail)
{
    static const float v[] = {3, 0, -0.0f, 7.5f};
    struct arena *arena = arena_new();
    struct buf file = {0};
    struct imatrix m;
    struct err err;

    for (int32_t tail = 0; tail < 3; tail++) {
        buf_u32(&file, 2);
        put_entry(&file, "b", 0, v, 4);
        put_entry(&file, "a", 3, v, 2);
        if (tail)
            put_tail(&file, tail == 1 ? -5 : 5, tail == 1 ? "" : "set");
        CHECK_IN(read_buf(&file, &m, arena, &err), "%s", err.text);
        CHECK(m.legacy && m.nentry == 2 && strcmp(m.entry[0].name, "a") == 0);
        CHECK(m.entry[0].value[0] == 1.0f && m.entry[0].n == 2 && m.entry[0].matrices == 1);
        CHECK(m.entry[1].value[0] == 3.0f && m.entry[1].value[3] == 7.5f);
        CHECK(m.chunks == (tail == 2 ? 5 : 0));
        CHECK(tail == 2 ? m.dataset && strcmp(m.dataset, "set") == 0 : !m.dataset);
        CHECK(imatrix_find(&m, "b") == &m.entry[1] && !imatrix_find(&m, "c"));
    }
    buf_finish(&file);
    arena_free(arena);
}

/* What a stranger's file may say of itself, each with the place and the entry in the message. */
TEST(the_older_format_is_checked)
{
    static const int32_t counts[] = {0, -1, INT32_MAX, 2000};
    static const float one[] = {1}, bad[] = {-1e-30f, NAN, INFINITY, -INFINITY};
    struct buf f = {0};

    for (size_t i = 0; i < countof(counts); i++) {
        buf_u32(&f, (uint32_t)counts[i]);
        put_entry(&f, "a", 1, one, 1);
        refused(&f, "byte 0: not an imatrix", "number of entries");
    }
    for (size_t i = 0; i < countof(bad); i++) {
        buf_u32(&f, 1);
        put_entry(&f, "attn", 1, &bad[i], 1);
        refused(&f, "byte 20: entry \"attn\": value 0 is ", "from 0 on");
    }
    buf_u32(&f, 2);
    put_entry(&f, "same", 1, one, 1);
    put_entry(&f, "same", 1, one, 1);
    refused(&f, "byte 24: entry \"same\": there twice", "unique");
    for (int32_t n = -1; n <= 0; n++) {
        buf_u32(&f, 1);
        put_entry(&f, "a", 1, one, n);
        buf_fill(&f, 0, 16);
        refused(&f, "entry \"a\"", "expected at least 1");
    }
    buf_u32(&f, 1);
    put_entry(&f, "a", 1, one, 1);
    memset(f.data + 13, 0x7f, 4); /* the number of values */
    refused(&f, "byte 13: entry \"a\": 2139062143 values run past the end", "at byte 21");
    for (uint32_t size = 65536; size; size = size == 65536 ? UINT32_MAX : 0) {
        buf_u32(&f, 1);
        buf_u32(&f, size);
        buf_fill(&f, 'a', 70000);
        refused(&f, "byte 4: the name of entry 1", "expected 0 to 65535");
    }
    buf_u32(&f, 1);
    put_entry(&f, "\xff\xfe", 1, one, 1);
    refused(&f, "byte 4: the name of entry 1", "UTF-8");
    buf_u32(&f, 1);
    put_entry(&f, "a", 1, one, 1);
    put_tail(&f, 1, "set");
    buf_u8(&f, 0);
    refused(&f, "dataset's name is 3 bytes long", "4 are left");
    buf_text(&f, "version https://git-lfs.github.com/spec/v1\n");
    refused(&f, "git lfs pull", "x.dat");
    refused(&f, "empty", "x.dat");
    buf_finish(&f);
}

/* A file cut anywhere is an error, but for the older format where its tail would begin: no read
 * passes the end (the sanitizers watch), nothing half read comes out. */
TEST(a_cut_file_is_an_error)
{
    static const char *const files[] = {"model.dat", "model.gguf", "experts.gguf"};
    struct arena *arena = arena_new();
    struct buf cut = {0};

    for (size_t f = 0; f < countof(files); f++) {
        size_t n;
        const char *text = get_file(arena, PATH("%s/%s", dir, files[f]), &n);
        const size_t tail = f == 0 ? n - 17 : n; /* i32, i32, "calib.txt" */
        const size_t step = n > 4096 ? 13 : 1;
        struct arena *scratch = arena_new();

        for (size_t size = 0; size < n; size += n - size < 64 || size < 2048 ? 1 : step) {
            struct imatrix m;
            struct err err;

            buf_put(&cut, text, size);
            const bool ok = read_buf(&cut, &m, scratch, &err);

            arena_reset(scratch);
            CHECK_IN(ok == (size == tail) || (f && n - size < 32), "%s cut at %zu: %s", files[f],
                     size, err.text);
        }
        arena_free(scratch);
    }
    buf_finish(&cut);
    arena_free(arena);
}

/* ---- GGUF ----------------------------------------------------------------------------------- */

struct half {
    const char *name;
    enum dtype dtype;
    int64_t rows, cols;
    float fill;
};

enum { WITHOUT_DATASETS = 1, WITHOUT_COUNT = 2, WITHOUT_SIZE = 4, OF_MODEL = 8, LONG_COUNT = 16 };

/* A file of those tensors, every value the same. */
static void put_gguf(struct buf *out, int flaws, const struct half *half, size_t n)
{
    struct buf type = {0}, sets = {0}, count = {0}, header = {0};
    struct gguf_kv kv[4];
    struct gguf_out list[8];
    struct err err;
    uint64_t size;
    size_t nkv = 0;

    gguf_put_string(&type, flaws & OF_MODEL ? "model" : "imatrix", flaws & OF_MODEL ? 5 : 7);
    buf_u32(&sets, GGUF_STRING);
    buf_u64(&sets, 1);
    gguf_put_string(&sets, "wiki", 4);
    buf_u64(&count, flaws & LONG_COUNT ? UINT32_MAX : 12);
    kv[nkv++] = (struct gguf_kv){"general.type", GGUF_STRING, 0, 1, type.data, type.size};
    if (!(flaws & WITHOUT_DATASETS))
        kv[nkv++] =
            (struct gguf_kv){"imatrix.datasets", GGUF_ARRAY, GGUF_STRING, 1, sets.data, sets.size};
    if (!(flaws & WITHOUT_COUNT))
        kv[nkv++] = (struct gguf_kv){"imatrix.chunk_count", GGUF_U32, 0, 1, count.data, 4};
    if (!(flaws & WITHOUT_SIZE))
        kv[nkv++] = (struct gguf_kv){"imatrix.chunk_size", GGUF_U32, 0, 1, count.data, 4};
    for (size_t i = 0; i < n; i++)
        list[i] = (struct gguf_out){
            half[i].name,
            {.dtype = half[i].dtype, .rank = 2, .dim = {half[i].rows, half[i].cols}},
            0};
    CHECK(gguf_layout(kv, nkv, list, n, 32, &header, &size, &err));
    buf_put(out, header.data, header.size);
    buf_fill(out, 0, size - header.size);
    for (size_t i = 0; i < n; i++)
        for (uint64_t at = 0; at + 4 <= tensor_bytes(&list[i].t); at += 4)
            memcpy(out->data + list[i].offset + at, &half[i].fill, 4);
    buf_finish(&type);
    buf_finish(&sets);
    buf_finish(&count);
    buf_finish(&header);
}

static void refused_gguf(int flaws, const struct half *half, size_t n, const char *want,
                         const char *also)
{
    struct buf file = {0};

    put_gguf(&file, flaws, half, n);
    refused(&file, want, also);
    buf_finish(&file);
}

/* Each key must be there, each entry whole, each number a number of its kind. */
TEST(the_gguf_format_is_checked)
{
    static const struct half good[] = {{"a.in_sum2", DTYPE_f32, 2, 8, 6},
                                       {"a.counts", DTYPE_f32, 2, 1, 3}};
    static const float bad_sums[] = {-1, NAN, INFINITY}, bad_counts[] = {NAN, INFINITY, 1e30f};
    struct half h[2];

    refused_gguf(WITHOUT_DATASETS, good, 2, "not an imatrix", "imatrix.datasets");
    refused_gguf(WITHOUT_COUNT, good, 2, "not an imatrix", "imatrix.chunk_count");
    refused_gguf(WITHOUT_SIZE, good, 2, "not an imatrix", "imatrix.chunk_size");
    refused_gguf(OF_MODEL, good, 2, "general.type", "says \"model\"");
    refused_gguf(LONG_COUNT, good, 2, "imatrix.chunk_count", "2^31-1");
    refused_gguf(0, good, 0, "without entries", "imatrix");
    refused_gguf(0, good, 1, "entry \"a\": its counts are missing", "byte ");
    refused_gguf(0, good + 1, 1, "entry \"a\": its sums (in_sum2) are missing", "byte ");
    for (size_t i = 0; i < countof(bad_sums); i++) {
        memcpy(h, good, sizeof(h));
        h[0].fill = bad_sums[i];
        refused_gguf(0, h, 2, "entry \"a\": value 0 is ", "from 0 on");
        memcpy(h, good, sizeof(h));
        h[1].fill = bad_counts[i];
        refused_gguf(0, h, 2, "entry \"a\": count 0 is ", "number of tokens");
    }
    memcpy(h, good, sizeof(h));
    h[0].dtype = DTYPE_f16;
    refused_gguf(0, h, 2, "its sums are f16", "expected f32");
    memcpy(h, good, sizeof(h));
    h[1].dtype = DTYPE_i32;
    refused_gguf(0, h, 2, "its counts are i32", "expected f32");
    memcpy(h, good, sizeof(h));
    h[1].rows = 3;
    refused_gguf(0, h, 2, "16 values cannot be shared out over 3 counts", "entry \"a\"");
    h[1].rows = 0;
    refused_gguf(0, h, 2, "it has no counts", "entry \"a\"");
    memcpy(h, good, sizeof(h));
    h[0].rows = 0;
    refused_gguf(0, h, 2, "it has no sums", "entry \"a\"");
}

/* Counts that are not above zero give ones; halves in any order, other tensors left alone. */
TEST(the_gguf_format_reads_what_it_may)
{
    static const struct half list[] = {{"z.counts", DTYPE_f32, 1, 1, 0.4f},
                                       {"other", DTYPE_f32, 1, 4, NAN},
                                       {"a.in_sum2", DTYPE_f32, 2, 8, 6},
                                       {"z.in_sum2", DTYPE_f32, 1, 4, 9},
                                       {"a.counts", DTYPE_f32, 2, 1, 1.5f}};
    struct arena *arena = arena_new();
    struct buf file = {0};
    struct imatrix m = {0};
    struct err err;

    put_gguf(&file, 0, list, countof(list));
    CHECK_IN(read_buf(&file, &m, arena, &err), "%s", err.text);
    CHECK(m.nentry == 2 && m.chunks == 12 && strcmp(m.dataset, "wiki") == 0 && !m.legacy);
    CHECK(m.entry[0].n == 16 && m.entry[0].matrices == 2 && m.entry[0].value[15] == 3.0f);
    CHECK(m.entry[1].n == 4 && m.entry[1].value[0] == 1.0f && m.entry[1].value[3] == 1.0f);
    buf_finish(&file);
    arena_free(arena);
}

/* As --include-weights and --exclude-weights: parts of names, any of them. */
TEST(filters_are_parts_of_names)
{
    static const char *const ffn[] = {"ffn_", "output"}, *const up[] = {"up"};
    const struct imatrix_filter none = {0}, with = {.include = ffn, .ninclude = 2},
                                without = {.exclude = up, .nexclude = 1}, both = {ffn, up, 2, 1};

    CHECK(imatrix_keeps(&none, "a") && imatrix_keeps(&with, "blk.0.ffn_up.weight"));
    CHECK(imatrix_keeps(&with, "output.weight") && !imatrix_keeps(&with, "blk.0.attn_q.weight"));
    CHECK(!imatrix_keeps(&without, "blk.0.ffn_up.weight") && imatrix_keeps(&without, "output"));
    CHECK(imatrix_keeps(&both, "ffn_down") && !imatrix_keeps(&both, "ffn_up"));
}

TEST_MAIN(RUN(vectors_are_the_definitions) RUN(counts_divide_by_expert)
              RUN(the_older_format_reads_without_its_tail) RUN(the_older_format_is_checked)
                  RUN(a_cut_file_is_an_error) RUN(the_gguf_format_is_checked)
                      RUN(the_gguf_format_reads_what_it_may) RUN(filters_are_parts_of_names))
