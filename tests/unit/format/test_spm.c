#include "test.h"

#include "base/buf.h"
#include "base/file.h"
#include "format/spm.h"

static const char model[] = "tests/golden/convert/llama2-spm-kq/tiny-llama2-spm/tokenizer.model";

static struct arena *arena;
static struct err err;
static struct spm_piece *piece;
static uint32_t count;

/* Parse a copy of exactly N bytes, so that the sanitizer sees a read past the end. */
static bool parse(const void *bytes, size_t n)
{
    static void *copy;

    free(copy);
    copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    arena_reset(arena);
    err = (struct err){0};
    piece = NULL;
    count = 0;
    return spm_parse(copy, n, arena, &piece, &count, &err);
}

static bool refused(const char *bytes, size_t n, const char *why)
{
    const bool ok = parse(bytes, n);

    if (!ok && !strstr(err.text, why))
        fprintf(stderr, "said: %s\n", err.text);
    return !ok && strstr(err.text, why);
}

/* False if a real model lost pieces, their types, or the sign of a zero score. */
TEST(reads_a_real_model)
{
    struct arena *file = arena_new();
    static const unsigned char minus_zero[4] = {0, 0, 0, 0x80};
    char *bytes;
    size_t n, zeros = 0;

    CHECK(file_read(model, 1 << 20, file, &bytes, &n, &err));
    CHECK(parse(bytes, n));
    CHECK(count == 384);
    CHECK(piece[0].type == SPM_UNKNOWN && piece[0].n == 5 && !memcmp(piece[0].text, "<unk>", 5));
    CHECK(piece[1].type == SPM_CONTROL && piece[3].type == SPM_BYTE);
    for (uint32_t i = 0; i < count; i++)
        zeros += memcmp(&piece[i].score, minus_zero, 4) == 0;
    CHECK(zeros == 1);
    arena_free(file);
}

/* False if a cut model was read past its end, or taken although a piece was cut. */
TEST(every_truncation_is_safe)
{
    struct arena *file = arena_new();
    char *bytes;
    size_t n, taken = 0;

    CHECK(file_read(model, 1 << 20, file, &bytes, &n, &err));
    for (size_t cut = 0; cut < n; cut++)
        taken += parse(bytes, cut);
    /* cuts between two top-level fields leave a shorter, whole message */
    CHECK_IN(taken > 300 && taken < 400, "%zu", taken);
    for (size_t i = 0; i < n; i++) {
        const char old = bytes[i];

        bytes[i] = (char)(old ^ (1 << (i % 8)));
        (void)!parse(bytes, n);
        bytes[i] = (char)0xff;
        (void)!parse(bytes, n);
        bytes[i] = old;
    }
    arena_free(file);
}

/* False if a file that is no SentencePiece model became a vocabulary. */
TEST(refuses_what_is_no_model)
{
    CHECK(refused("", 0, "no pieces"));
    CHECK(refused("\x12\x00", 2, "no pieces"));
    CHECK(refused("\x08\x01", 2, "wire type 0"));       /* field 1 as a varint */
    CHECK(refused("\x0b", 1, "wire type 3"));           /* a group */
    CHECK(refused("\x00\x00", 2, "no protobuf field")); /* field 0 */
    CHECK(refused("\x0a\x05\x0a\x01", 4, "beyond"));    /* cut message */
    CHECK(refused("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "beyond"));
    CHECK(refused("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 11, "beyond")); /* > 64 bits */
    CHECK(refused("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11, "beyond"));
    CHECK(refused("\x0a\x00", 2, "without text"));
    CHECK(refused("\x0a\x02\x0a\x00", 4, "without text"));
    CHECK(refused("\x0a\x03\x0a\x01\xff", 5, "UTF-8"));
    CHECK(refused("\x0a\x04\x0a\x02\x41", 5, "beyond")); /* text longer than piece */
    CHECK(refused("\x0a\x05\x0a\x01\x41\x18\x07", 7, "piece type 7"));
    CHECK(refused("\x0a\x05\x0a\x01\x41\x10\x01", 7, "score")); /* score as a varint */
    CHECK(refused("\x0a\x03\x0a\x01\x41\x0a\x03\x0a\x01\x41", 10, "pieces 0 and 1"));
    CHECK(refused("\x0a\x05\x12\x01\x41\x18\x01", 7, "score"));
}

/* False if defaults of absent fields were wrong, or unknown fields an error. */
TEST(absent_fields_have_defaults)
{
    CHECK(parse("\x0a\x03\x0a\x01\x41", 5));
    CHECK(count == 1 && piece[0].type == SPM_NORMAL && !(piece[0].score < 0 || piece[0].score > 0));
    CHECK(parse("\x0a\x05\x0a\x01\x41\x20\x07\x1a\x01x\xaa\x06\x00", 13));
    CHECK(count == 1);
}

TEST_MAIN(arena = arena_new(); RUN(reads_a_real_model) RUN(every_truncation_is_safe)
              RUN(refuses_what_is_no_model) RUN(absent_fields_have_defaults) arena_free(arena);)
