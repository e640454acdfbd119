/* codec_planes - byte planes, each packed by Huffman coding alone where that saves
 *
 * The exponents of floats cost about 3 bits, their mantissas all 8: so the first bytes of all
 * elements are stored together, then the second ones ... Matches only get in the way of weights,
 * hence zstd at level -100 with its literals compressed (specs/build-engine.md 2e, 3.4). A chunk:
 *     element x u32 stored bytes of a plane, high bit: it is a zstd frame | planes, lowest byte
 *     first | the n mod element last bytes as they are */
#include "base/arena.h"
#include "base/bytes.h"
#include "store/codec.h"

#include <string.h>
#include <zstd.h>

enum {
    CHUNK = 4 << 20,
    PROBE = 64 << 10,
    LEVEL = -100,
    LEVEL_OTHERWISE = 1,
    LITERALS = 1002, /* ZSTD_c_experimentalParam5, hidden by zstd.h */
    LITERALS_HUFFMAN = 1
};
#define PACKED 0x80000000u

struct planes {
    ZSTD_CCtx *zstd; /* NULL when there is no memory for it: planes are then stored unpacked */
    unsigned char *plane;
    size_t room;
};

static size_t planes_bound(size_t n, uint32_t element)
{
    return n + 4 * (size_t)element;
}

static void *planes_begin(void)
{
    struct planes *s = mem_grow(NULL, sizeof(*s));

    *s = (struct planes){.zstd = ZSTD_createCCtx()};
    if (s->zstd && (ZSTD_isError(ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, LEVEL)) ||
                    ZSTD_isError(ZSTD_CCtx_setParameter(s->zstd, (ZSTD_cParameter)LITERALS,
                                                        LITERALS_HUFFMAN)))) {
        ZSTD_CCtx_reset(s->zstd, ZSTD_reset_session_and_parameters);
        ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, LEVEL_OTHERWISE);
    }
    return s;
}

static void planes_end(void *state)
{
    struct planes *s = state;

    ZSTD_freeCCtx(s->zstd);
    mem_free(s->plane);
    mem_free(s);
}

/* Stored size of the plane in TO, which has N bytes of room; 0 when packing does not save 3 %. */
static size_t pack(const struct planes *s, unsigned char *to, size_t n)
{
    const size_t probe = n < PROBE ? n : PROBE;
    size_t got;

    if (!s->zstd)
        return 0;
    if (probe < n) {
        got = ZSTD_compress2(s->zstd, to, n, s->plane, probe);
        if (ZSTD_isError(got) || got * 100 >= probe * 97)
            return 0;
    }
    got = ZSTD_compress2(s->zstd, to, n, s->plane, n);
    return ZSTD_isError(got) || got * 100 >= n * 97 ? 0 : got;
}

static void put_u32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

static void split(unsigned char *restrict plane, const unsigned char *restrict raw, size_t n,
                  size_t element)
{
    if (element == 2)
        for (size_t i = 0; i < n; i++)
            plane[i] = raw[2 * i];
    else if (element == 4)
        for (size_t i = 0; i < n; i++)
            plane[i] = raw[4 * i];
    else
        for (size_t i = 0; i < n; i++)
            plane[i] = raw[element * i];
}

static void join(unsigned char *restrict raw, const unsigned char *restrict plane, size_t n,
                 size_t element)
{
    for (size_t i = 0; i < n; i++)
        raw[element * i] = plane[i];
}

static void join_2(unsigned char *restrict raw, const unsigned char *restrict low,
                   const unsigned char *restrict high, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        raw[2 * i] = low[i];
        raw[2 * i + 1] = high[i];
    }
}

static size_t planes_encode(void *state, const unsigned char *raw, size_t n, uint32_t element,
                            unsigned char *to)
{
    struct planes *s = state;
    const size_t plane = n / element, tail = n % element;
    unsigned char *at = to + 4 * (size_t)element;

    if (s->room < plane) {
        s->plane = mem_grow(s->plane, plane);
        s->room = plane;
    }
    for (uint32_t p = 0; p < element; p++) {
        size_t got = 0;

        if (plane) {
            split(s->plane, raw + p, plane, element);
            got = pack(s, at, plane);
        }
        if (!got && plane)
            memcpy(at, s->plane, plane);
        put_u32(to + 4 * (size_t)p, got ? (uint32_t)got | PACKED : (uint32_t)plane);
        at += got ? got : plane;
    }
    memcpy(at, raw + n - tail, tail);
    return (size_t)(at - to) + tail;
}

/* Where each plane's bytes are: in the stored form, or unpacked into ROOM. */
static bool find_planes(struct bytes *b, uint32_t element, size_t plane, unsigned char *room,
                        const unsigned char **at)
{
    const unsigned char *sizes = bytes_take(b, 4 * (uint64_t)element);

    if (!sizes)
        return false;
    for (uint32_t p = 0; p < element; p++) {
        const uint32_t word = (uint32_t)bytes_le(sizes + 4 * (size_t)p, 4);
        const uint32_t n = word & ~PACKED;
        unsigned char *unpacked = room + p * plane;

        at[p] = bytes_take(b, n);
        if (!at[p])
            return false;
        if (!(word & PACKED)) {
            if (n != plane)
                return false;
            continue;
        }
        if (ZSTD_decompress(unpacked, plane, at[p], n) != plane)
            return false;
        at[p] = unpacked;
    }
    return true;
}

static bool planes_decode(const unsigned char *stored, size_t stored_n, uint32_t element,
                          unsigned char *raw, size_t n)
{
    const size_t plane = n / element, tail = n % element;
    const unsigned char *at[CODEC_ELEMENT_MAX], *rest;
    struct bytes b = {stored, stored_n, 0};
    unsigned char *room = mem_grow(NULL, n + 1);
    bool ok = find_planes(&b, element, plane, room, at) && bytes_left(&b) == tail;

    if (ok && element == 2)
        join_2(raw, at[0], at[1], plane);
    for (uint32_t p = 0; ok && element != 2 && p < element; p++)
        join(raw + p, at[p], plane, element);
    rest = ok ? bytes_take(&b, tail) : NULL;
    if (rest)
        memcpy(raw + n - tail, rest, tail);
    mem_free(room);
    return ok;
}

const struct codec_ops codec_planes = {
    .chunk = CHUNK,
    .bound = planes_bound,
    .begin = planes_begin,
    .end = planes_end,
    .encode = planes_encode,
    .decode = planes_decode,
};
