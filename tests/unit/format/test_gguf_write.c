#include "format/gguf.h"

#include "scratch.h"
#include "test.h"

/* The file that CKPT's key-values and tensors give, data included. */
static bool rewrite(const struct checkpoint *ckpt, struct arena *arena, struct buf *out)
{
    struct gguf_out *list = arena_array(arena, ckpt->ntensor, sizeof(*list));
    uint64_t align = GGUF_ALIGN_DEFAULT, size = 0;
    struct err err = {0};

    gguf_u64(gguf_find(ckpt->kv, ckpt->nkv, "general.alignment"), &align);
    for (size_t i = 0; i < ckpt->ntensor; i++)
        list[i] = (struct gguf_out){ckpt->tensor[i].name, ckpt->tensor[i].t, 0};
    const bool ok = gguf_layout(ckpt->kv, ckpt->nkv, list, ckpt->ntensor, align, out, &size, &err);

    CHECK_IN(ok, "%s", err.text);
    CHECK(out->size % align == 0 && size % align == 0);
    for (size_t i = 0; ok && i < ckpt->ntensor; i++) {
        const struct file_tensor *t = &ckpt->tensor[i];

        CHECK(list[i].offset >= out->size && list[i].offset % align == 0);
        buf_fill(out, 0, (size_t)list[i].offset - out->size);
        buf_put(out, ckpt->map[t->file].data + t->offset, (size_t)tensor_bytes(&t->t));
    }
    if (ok)
        buf_fill(out, 0, (size_t)size - out->size);
    return ok;
}

static bool reopens(const struct buf *file)
{
    struct arena *arena = arena_new();
    struct checkpoint ckpt = {0};
    struct err err = {0};
    const char *path = write_file("again.gguf", file->data, file->size, arena);
    const bool ok = format_gguf.open(&ckpt, path, arena, &err);

    CHECK_IN(ok, "%s", err.text);
    if (ok)
        shut(&ckpt);
    arena_free(arena);
    return ok;
}

static bool rewrites_alike(const char *name)
{
    struct arena *arena = arena_new();
    const char *path = arena_printf(arena, "%s/valid/%s", golden, name);
    struct checkpoint ckpt = {0};
    struct buf out = {0};
    struct err err = {0};
    bool ok = format_gguf.open(&ckpt, path, arena, &err);

    CHECK_IN(ok, "%s", err.text);
    if (ok) {
        ok = rewrite(&ckpt, arena, &out) && ckpt.nfile == 1 && out.size == ckpt.map->size &&
             memcmp(out.data, ckpt.map->data, out.size) == 0;
        CHECK_IN(reopens(&out), "%s", name);
        shut(&ckpt);
    }
    buf_finish(&out);
    arena_free(arena);
    return ok;
}

/* A file in canonical form is its own rewrite; one that is not (version 2, padding that is
 * absent or not zero, bytes at the end) becomes a file that opens. */
TEST(canonical_files_rewrite_byte_for_byte)
{
    static const char *const canonical[] = {"v3_one_tensor.gguf",    "v3_all_tensor_types.gguf",
                                            "v3_dims_1_to_4.gguf",   "v3_trailing_ones.gguf",
                                            "v3_scalar_ndims0.gguf", "v3_zero_elements.gguf",
                                            "v3_align64.gguf",       "v3_align8.gguf",
                                            "v3_name63.gguf",        "imatrix.gguf"};
    static const char *const other[] = {
        "v2_empty.gguf",          "v2_one_tensor.gguf",     "v3_empty.gguf",
        "v3_all_scalars.gguf",    "v3_all_arrays.gguf",     "v3_empty_arrays.gguf",
        "v3_empty_string.gguf",   "v3_nonutf8_string.gguf", "v3_nonzero_padding.gguf",
        "v3_trailing_bytes.gguf", "v3_no_final_pad.gguf"};

    for (size_t i = 0; i < countof(canonical); i++)
        CHECK_IN(rewrites_alike(canonical[i]), "%s", canonical[i]);
    for (size_t i = 0; i < countof(other); i++)
        CHECK_IN(!rewrites_alike(other[i]), "%s", other[i]);
}

static void put_random_value(struct buf *b, uint32_t type)
{
    static const unsigned char size[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

    if (type == GGUF_BOOL) {
        buf_u8(b, (uint8_t)dice(2));
    } else if (type == GGUF_STRING) {
        buf_u64(b, dice(40));
        const size_t n = b->data[b->size - 8];

        for (size_t i = 0; i < n; i++)
            buf_u8(b, (uint8_t)dice(256));
    } else {
        for (size_t i = 0; i < size[type]; i++)
            buf_u8(b, (uint8_t)dice(256));
    }
}

static struct gguf_kv random_kv(size_t i, struct arena *arena)
{
    struct gguf_kv kv = {.key = arena_printf(arena, "key.%zu", i), .count = 1};
    struct buf b = {0};

    kv.type = kv.item = (uint32_t)dice(GGUF_TYPE_COUNT);
    if (kv.type == GGUF_ARRAY) {
        kv.item = (uint32_t)dice(GGUF_ARRAY);
        kv.count = dice(20);
        buf_u32(&b, kv.item);
        buf_u64(&b, kv.count);
    }
    for (uint64_t k = 0; k < kv.count; k++)
        put_random_value(&b, kv.item);
    kv.value = (unsigned char *)arena_strndup(arena, (const char *)b.data, b.size);
    kv.size = b.size;
    buf_finish(&b);
    return kv;
}

static struct gguf_out random_tensor(size_t i, struct arena *arena)
{
    struct gguf_out out = {.name = arena_printf(arena, "blk.%zu.w", i)};
    struct tensor *t = &out.t;

    do
        t->dtype = (enum dtype)dice(DTYPE_COUNT);
    while (dtype_info(t->dtype)->gguf < 0);
    t->rank = (uint32_t)dice(5);
    if (t->rank == 0)
        t->dtype = DTYPE_f32;
    for (uint32_t k = 0; k < t->rank; k++)
        t->dim[k] = (int64_t)dice(5);
    if (t->rank)
        t->dim[t->rank - 1] *= dtype_info(t->dtype)->elements;
    return out;
}

/* A random model, its file, and what the reader makes of it. */
static void check_round_trip(uint32_t align)
{
    struct arena *arena = arena_new();
    unsigned char align_le[4] = {(unsigned char)align, (unsigned char)(align >> 8),
                                 (unsigned char)(align >> 16), 0};
    struct gguf_kv kv[12] = {{"general.alignment", GGUF_U32, GGUF_U32, 1, align_le, 4}};
    struct gguf_out tensor[10];
    const size_t nkv = 1 + dice(11), n = dice(11);
    struct buf b = {0}, again = {0};
    struct checkpoint ckpt = {0};
    struct err err = {0};
    uint64_t size = 0;

    for (size_t i = 1; i < nkv; i++)
        kv[i] = random_kv(i, arena);
    for (size_t i = 0; i < n; i++)
        tensor[i] = random_tensor(i, arena);
    CHECK_IN(gguf_layout(kv, nkv, tensor, n, align, &b, &size, &err), "%s", err.text);
    CHECK(size >= b.size && b.size % align == 0 && size % align == 0);
    while (b.size < size)
        buf_u8(&b, 0);
    const char *path = write_file("round.gguf", b.data, b.size, arena);

    if (!format_gguf.open(&ckpt, path, arena, &err)) {
        CHECK_IN(false, "%s", err.text);
    } else {
        CHECK(ckpt.nkv == nkv && ckpt.ntensor == n);
        for (size_t i = 0; i < nkv; i++)
            CHECK(strcmp(ckpt.kv[i].key, kv[i].key) == 0 && ckpt.kv[i].type == kv[i].type &&
                  ckpt.kv[i].item == kv[i].item && ckpt.kv[i].count == kv[i].count &&
                  ckpt.kv[i].size == kv[i].size &&
                  memcmp(ckpt.kv[i].value, kv[i].value, kv[i].size) == 0);
        for (size_t i = 0; i < n; i++)
            CHECK(strcmp(ckpt.tensor[i].name, tensor[i].name) == 0 &&
                  ckpt.tensor[i].t.dtype == tensor[i].t.dtype &&
                  tensor_same_shape(&ckpt.tensor[i].t, &tensor[i].t) &&
                  ckpt.tensor[i].offset == tensor[i].offset);
        CHECK(rewrite(&ckpt, arena, &again) && again.size == b.size &&
              memcmp(again.data, b.data, b.size) == 0);
        shut(&ckpt);
    }
    buf_finish(&b);
    buf_finish(&again);
    arena_free(arena);
}

/* What is laid out is what is read back, rank and all, at every alignment. */
TEST(layout_reads_back)
{
    static const uint32_t aligns[] = {1, 8, 32, 64, 4096};

    for (size_t i = 0; i < countof(aligns); i++)
        for (int round = 0; round < 40; round++)
            check_round_trip(aligns[i]);
}

/* The bytes of a small file, written out by hand: [1, 2] stays two-dimensional. */
TEST(layout_is_exact)
{
    static const unsigned char want[96] =
        "GGUF\3\0\0\0\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
        "\1\0\0\0\0\0\0\0a\2\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"
        "\1\0\0\0\0\0\0\0b\0\0\0\0\36\0\0\0\40\0\0\0\0\0\0";
    struct gguf_out tensor[] = {{"a", {DTYPE_f16, 2, {1, 2}}, 0}, {"b", {DTYPE_bf16, 0, {0}}, 0}};
    struct buf b = {0};
    struct err err = {0};
    uint64_t size = 0;

    CHECK(gguf_layout(NULL, 0, tensor, 2, 32, &b, &size, &err));
    CHECK(b.size == 96 && memcmp(b.data, want, 96) == 0);
    CHECK(tensor[0].offset == 96 && tensor[1].offset == 128 && size == 160);
    buf_finish(&b);
}

static void not_laid_out(const struct gguf_kv *kv, size_t nkv, struct gguf_out tensor, size_t n,
                         uint64_t align, const char *why)
{
    struct gguf_out list[2] = {tensor, tensor};
    struct buf b = {0};
    struct err err = {0};
    uint64_t size = 77;

    list[0].offset = 55;
    CHECK_IN(!gguf_layout(kv, nkv, list, n, align, &b, &size, &err), "%s", why);
    CHECK_IN(strstr(err.text, why), "\"%s\" does not say \"%s\"", err.text, why);
    CHECK(!b.data && size == 77 && list[0].offset == 55);
}

/* What the reader would refuse is not written, and the outputs stay as they were. */
TEST(layout_refuses_what_no_reader_takes)
{
    static const unsigned char align64[] = {64, 0, 0, 0};
    static const struct gguf_kv kv[] = {{"general.alignment", GGUF_U32, GGUF_U32, 1, align64, 4},
                                        {"general.alignment", GGUF_U32, GGUF_U32, 1, align64, 4},
                                        {"", GGUF_U32, GGUF_U32, 1, align64, 4}};
    const struct tensor t = {DTYPE_f32, 1, {8}}, u8 = {DTYPE_u8, 1, {8}},
                        deep = {DTYPE_f32, 5, {1, 1, 1, 1, 1}}, odd = {DTYPE_q8_0, 2, {2, 33}};
    const struct gguf_out good = {"t", t, 0};
    char name[65] = "";

    memset(name, 'n', 64);
    not_laid_out(NULL, 0, (struct gguf_out){name, t, 0}, 1, 32, "a name of 64 bytes");
    not_laid_out(NULL, 0, (struct gguf_out){"", t, 0}, 1, 32, "a name of 0 bytes");
    not_laid_out(NULL, 0, (struct gguf_out){"\xc0\x80", t, 0}, 1, 32, "not UTF-8");
    not_laid_out(NULL, 0, (struct gguf_out){"t", u8, 0}, 1, 32, "GGUF has no type u8");
    not_laid_out(NULL, 0, (struct gguf_out){"t", deep, 0}, 1, 32, "5 dimensions");
    not_laid_out(NULL, 0, (struct gguf_out){"t", odd, 0}, 1, 32, "tensor \"t\": shape [2, 33]");
    not_laid_out(NULL, 0, good, 2, 32, "tensor \"t\": there twice");
    not_laid_out(kv, 2, good, 1, 64, "key \"general.alignment\": there twice");
    not_laid_out(kv, 1, good, 1, 32, "alignment 32, expected");
    not_laid_out(NULL, 0, good, 1, 64, "alignment 64, expected");
    not_laid_out(kv + 2, 1, good, 1, 32, "key \"\": a name of 0 bytes");
}

/* clang-format off */
TEST_MAIN(
    scratch_begin();
    RUN(canonical_files_rewrite_byte_for_byte)
    RUN(layout_reads_back)
    RUN(layout_is_exact)
    RUN(layout_refuses_what_no_reader_takes)
    scratch_end();
)
