#include "scratch.h"
#include "store/blob.h"

#include <pthread.h>

enum { MIB = 1 << 20 };

enum shape { BF16, F16, F32, NOISE, ZEROS, SHAPES };
static const char *const shape_name[] = {"bf16", "f16", "f32", "noise", "zeros"};
static const uint32_t shape_element[] = {2, 2, 4, 1, 4};

/* About normal: the sum of 12 uniform numbers, as weights are. */
static float gauss(uint64_t i)
{
    double sum = -6;

    for (uint64_t k = 0; k < 3; k++)
        for (int part = 0; part < 4; part++)
            sum += (double)(mix(3 * i + k) >> (16 * part) & 0xffff) / 65536;
    return (float)(sum * 0.02);
}

static uint16_t f16_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, 4);
    const int exponent = (int)(bits >> 23 & 255) - 112;

    if (exponent <= 0)
        return (uint16_t)(bits >> 16 & 0x8000);
    return (uint16_t)((bits >> 16 & 0x8000) | (uint32_t)exponent << 10 | (bits >> 13 & 0x3ff));
}

/* N bytes of weights of that shape, on the heap (mem_free). */
static unsigned char *weights(enum shape shape, size_t n)
{
    unsigned char *bytes = mem_grow(NULL, n + 8);

    memset(bytes, 0, n + 8);
    if (shape == ZEROS)
        return bytes;
    for (size_t i = 0, at = 0; at < n; i++, at += shape_element[shape]) {
        const float x = gauss(i);
        uint32_t bits;

        memcpy(&bits, &x, 4);
        const uint16_t half = shape == BF16 ? (uint16_t)(bits >> 16) : f16_of(x);

        if (shape == F32)
            memcpy(bytes + at, &bits, 4);
        else if (shape == NOISE)
            bytes[at] = (unsigned char)mix(i);
        else
            memcpy(bytes + at, &half, 2);
    }
    return bytes;
}

/* Put N bytes in pieces of PIECE; their digest. */
static struct digest put(struct store *store, const unsigned char *bytes, size_t n, size_t piece,
                         enum codec codec, uint32_t element)
{
    const struct digest d = hash_bytes(bytes, n);
    struct blob_writer *w = NULL;

    CHECK_IN(blob_begin(store, n, codec, element, &w, &err), "%s", err.text);
    for (size_t at = 0; at < n; at += piece)
        CHECK_IN(blob_put(w, bytes + at, n - at < piece ? n - at : piece, &err), "%s", err.text);
    CHECK_IN(blob_commit(w, d, false, &err), "%s", err.text);
    return d;
}

static const char *file_of(struct store *store, struct digest d)
{
    char name[BLOB_NAME];

    blob_name(d, name);
    return in(store_dir(store), name);
}

static bool reads_back(struct store *store, struct digest d, const unsigned char *bytes, size_t n)
{
    unsigned char *got = mem_grow(NULL, n + 1);
    struct blob_reader *r = NULL;
    const bool same = blob_open(store, d, n, &r, &err) && blob_read(r, got, 0, n, &err) &&
                      (n == 0 || memcmp(got, bytes, n) == 0);

    blob_close(r);
    mem_free(got);
    return same;
}

/* False: some size, kind of data, element size or way of putting does not come back as it was. */
TEST(blobs_come_back)
{
    static const size_t sizes[] = {0,     1,     2,           3,       4,           5,          15,
                                   65535, 65536, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 8 * MIB + 3};
    static const size_t pieces[] = {9 * MIB, 100003, 4 * MIB};
    struct store *store = open_in(scratch(), STORE_WRITE);

    for (int shape = 0; shape < SHAPES; shape++) {
        unsigned char *bytes = weights((enum shape)shape, 9 * MIB);

        for (size_t i = 0; i < countof(sizes); i++) {
            const size_t n = sizes[i];
            const uint32_t element = i % 5 == 4 ? 3 : shape_element[shape];
            const struct digest d =
                put(store, bytes, n, pieces[i % 3], i % 4 == 3 ? CODEC_raw : CODEC_planes, element);
            struct stat st;

            CHECK_IN(blob_have(store, d, n) && !blob_have(store, d, n + 1), "%s %zu",
                     shape_name[shape], n);
            CHECK_IN(reads_back(store, d, bytes, n), "%s %zu: %s", shape_name[shape], n, err.text);
            CHECK(stat(file_of(store, d), &st) == 0 && (st.st_mode & 07777 & ~0444u) == 0);
            const struct digest again = put(store, bytes, n, 70001, CODEC_planes, element);

            CHECK(digest_eq(d, again) && reads_back(store, d, bytes, n)); /* replaced */
        }
        mem_free(bytes);
    }
    char **names;
    size_t left;

    CHECK(dir_list(in(store_dir(store), "tmp"), scratch_arena, &names, &left, &err) && left == 0);
    done(store);
}

/* False: the codec is not worth its while on the data it is made for, or grows what it cannot
 * pack by more than its table of sizes. */
TEST(planes_pack_weights)
{
    const size_t n = 32 * MIB;
    struct store *store = open_in(scratch(), STORE_WRITE);

    for (int shape = 0; shape < SHAPES; shape++) {
        unsigned char *bytes = weights((enum shape)shape, n), *got = mem_grow(NULL, n);
        struct blob_reader *r = NULL;
        int64_t t = cpu_ns();
        struct blob_writer *w = NULL;
        const struct digest d = digest_of("speed", (uint64_t)shape);

        CHECK(blob_begin(store, n, CODEC_planes, shape_element[shape], &w, &err) &&
              blob_put(w, bytes, n, &err) && blob_commit(w, d, false, &err));
        const double out = (double)n * 1e3 / (double)(cpu_ns() - t);

        t = cpu_ns();
        CHECK(blob_open(store, d, n, &r, &err));
        for (size_t at = 0; at < n; at += MIB / 4)
            CHECK(blob_read(r, got + at, at, MIB / 4, &err));
        const double in_speed = (double)n * 1e3 / (double)(cpu_ns() - t);
        const double ratio = (double)file_size(file_of(store, d)) / (double)n;

        printf("planes %-5s ratio %.3f, write %.0f MB/s, read %.0f MB/s\n", shape_name[shape],
               ratio, out, in_speed);
        CHECK(memcmp(got, bytes, n) == 0);
        CHECK(shape != BF16 || ratio <= 0.70);
        CHECK(shape != ZEROS || ratio <= 0.01);
        CHECK(ratio < 1.0001);
        blob_close(r);
        mem_free(bytes);
        mem_free(got);
    }
    done(store);
}

/* False: a read that begins or ends inside chunks gives other bytes than the blob has there. */
TEST(reads_at_any_offset)
{
    const size_t n = 13 * MIB + 5;
    struct store *store = open_in(scratch(), STORE_WRITE);
    unsigned char *bytes = weights(BF16, n), *got = mem_grow(NULL, n);

    for (int codec = 0; codec < 2; codec++) {
        const struct digest d = put(store, bytes, n, n, codec ? CODEC_planes : CODEC_raw, 2);
        struct blob_reader *r = NULL;

        CHECK(blob_open(store, d, n, &r, &err));
        for (uint64_t i = 0; i < 60; i++) {
            const size_t at = (size_t)(mix(i) % (n + 1));
            const size_t want = (size_t)(mix(i + 99) % (i % 3 ? 5000 : n));
            const size_t some = want < n - at ? want : n - at;

            CHECK_IN(blob_read(r, got, at, some, &err) && memcmp(got, bytes + at, some) == 0,
                     "%zu bytes at %zu", some, at);
        }
        blob_close(r);
    }
    mem_free(bytes);
    mem_free(got);
    done(store);
}

struct tile_worker {
    struct blob_reader *r;
    const unsigned char *bytes;
    size_t n;
    uint64_t seed;
    int bad;
};

static void *read_tiles(void *user)
{
    struct tile_worker *w = user;
    static const size_t tile = 128 << 10;
    unsigned char *got = mem_grow(NULL, tile);
    struct err mine;

    for (uint64_t i = 0; i < 400; i++) {
        /* Half of them walk on together, half jump: more chunks are wanted than are kept. */
        const size_t at = (w->seed % 2 ? mix(i * 8 + w->seed) : i) % (w->n / tile) * tile;

        w->bad += !blob_read(w->r, got, at, tile, &mine) || memcmp(got, w->bytes + at, tile) != 0;
    }
    mem_free(got);
    return NULL;
}

/* False: workers that read one blob at once get bytes of another chunk, or wait for ever. */
TEST(workers_share_a_reader)
{
    const size_t n = 24 * MIB;
    struct store *store = open_in(scratch(), STORE_WRITE);
    unsigned char *bytes = weights(BF16, n);
    const struct digest d = put(store, bytes, n, n, CODEC_planes, 2);
    struct tile_worker worker[5];
    pthread_t thread[5];
    struct blob_reader *r = NULL;

    CHECK(blob_open(store, d, n, &r, &err));
    for (uint64_t i = 0; i < 5; i++) {
        worker[i] = (struct tile_worker){r, bytes, n, i, 0};
        CHECK(pthread_create(&thread[i], NULL, read_tiles, &worker[i]) == 0);
    }
    for (int i = 0; i < 5; i++) {
        pthread_join(thread[i], NULL);
        CHECK_IN(worker[i].bad == 0, "worker %d: %d", i, worker[i].bad);
    }
    blob_close(r);
    mem_free(bytes);
    done(store);
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    CHECK(chmod(path, 0644) == 0);
    spill(path, bytes, n);
}

/* False: a damaged stored form makes the reader crash or read outside its memory. It may give
 * wrong bytes (they are hashed by whoever uses them), but then as many as were asked for. */
TEST(damaged_forms_are_survived)
{
    const size_t n = 300001;
    struct store *store = open_in(scratch(), STORE_WRITE);
    unsigned char *bytes = weights(BF16, n), *got = mem_grow(NULL, n);
    const struct digest d = put(store, bytes, n, n, CODEC_planes, 2);
    const char *path = file_of(store, d);
    size_t size;
    char *form = slurp(path, &size);
    int refused = 0, wrong = 0;

    for (uint64_t i = 0; i < 600; i++) {
        /* a third in the header and index, a third in the first table and frame, the rest anywhere
         */
        const size_t at = (size_t)(mix(i) % (i % 3 == 0 ? 56 : i % 3 == 1 ? 90 : size));
        const char old = form[at];
        struct blob_reader *r = NULL;

        form[at] = (char)(i % 2 ? mix(i + 7) : (uint64_t)(old ^ 1 << mix(i + 8) % 8));
        write_file(path, form, size);
        if (!blob_open(store, d, n, &r, &err) || !blob_read(r, got, 0, n, &err)) {
            CHECK_IN(err.code == ERR_CACHE, "byte %zu: %s", at, err.text);
            refused++;
        } else {
            wrong += memcmp(got, bytes, n) != 0;
        }
        blob_close(r);
        form[at] = old;
    }
    CHECK(refused > 200);
    for (size_t cut = 0; cut < size; cut += cut < 100 ? 1 : 7919) {
        struct blob_reader *r = NULL;

        write_file(path, form, cut);
        CHECK_IN(!blob_open(store, d, n, &r, &err) && err.code == ERR_CACHE, "cut at %zu", cut);
        CHECK(!blob_have(store, d, n));
    }
    write_file(path, form, size);
    CHECK(reads_back(store, d, bytes, n));
    printf("of 600 damaged forms %d were refused, %d gave other bytes\n", refused, wrong);
    mem_free(bytes);
    mem_free(got);
    done(store);
}

/* False: the decoder believes what a stored chunk says of itself. Bytes right behind and before
 * what it may write are watched; under the sanitizers, reads too. */
TEST(decoder_takes_any_bytes)
{
    enum { RAW = 5000, GUARD = 64 };
    unsigned char *raw = mem_grow(NULL, RAW), *from = weights(BF16, RAW);
    size_t right = 0;

    for (uint64_t i = 0; i < 4000; i++) {
        const uint32_t element = (uint32_t)(1 + mix(i) % CODEC_ELEMENT_MAX);
        const size_t n = 1 + (size_t)(mix(i + 1) % RAW), room = codec_planes.bound(n, element);
        unsigned char *to = mem_grow(NULL, room);
        void *state = codec_planes.begin();
        size_t stored = codec_planes.encode(state, from, n, element, to);

        codec_planes.end(state);
        CHECK(stored <= room);
        for (uint64_t flips = mix(i + 2) % 4; flips; flips--)
            to[mix(i + 10 * flips) % (flips % 2 ? 4 * element : stored)] ^=
                (unsigned char)(1 << mix(i + flips) % 8);
        if (i % 5 == 0)
            stored = (size_t)(mix(i + 3) % (stored + 1));
        unsigned char *exact = mem_grow(NULL, stored + 1); /* so that reads past it are seen */
        unsigned char *out = mem_grow(NULL, n + GUARD);

        memcpy(exact, to, stored);
        exact = mem_grow(exact, stored ? stored : 1);
        memset(out, 0xa5, n + GUARD);
        if (codec_planes.decode(exact, stored, element, out, n))
            right += memcmp(out, from, n) == 0;
        for (size_t k = n; k < n + GUARD; k++)
            CHECK(out[k] == 0xa5);
        mem_free(out);
        mem_free(exact);
        mem_free(to);
    }
    CHECK_IN(right > 700, "%zu", right);
    mem_free(raw);
    mem_free(from);
}

/* False: a raw blob whose bytes look like a stored form is decoded as one. */
TEST(raw_bytes_are_never_a_header)
{
    struct store *store = open_in(scratch(), STORE_WRITE);
    unsigned char *bytes = weights(BF16, MIB);
    const struct digest inner = put(store, bytes, MIB, MIB, CODEC_planes, 2);
    size_t n;
    const unsigned char *form = (const unsigned char *)slurp(file_of(store, inner), &n);
    const struct digest outer = put(store, form, n, n, CODEC_raw, 1);

    CHECK(reads_back(store, outer, form, n) && reads_back(store, inner, bytes, MIB));
    mem_free(bytes);
    done(store);
}

/* False: a damaged blob stays where it is found again, or cannot be written anew. */
TEST(quarantine_makes_room_for_a_new_one)
{
    struct store *store = open_in(scratch(), STORE_WRITE);
    const unsigned char bytes[] = "some bytes";
    const struct digest d = put(store, bytes, sizeof(bytes), 3, CODEC_raw, 1);
    struct blob_reader *r;
    char hex[DIGEST_HEX + 1];
    const uint32_t warned = msg_warnings();

    for (int i = 0; i < 2; i++) {
        const int kept = hush();

        blob_quarantine(store, d);
        unhush(kept);
        CHECK(msg_warnings() == warned + 1 && !blob_have(store, d, sizeof(bytes)));
        CHECK(!blob_open(store, d, sizeof(bytes), &r, &err) && err.code == ERR_IO);
        CHECK(file_exists(in(store_dir(store),
                             arena_printf(scratch_arena, "quarantine/%s", digest_hex(d, hex)))));
        put(store, bytes, sizeof(bytes), 100, CODEC_raw, 1);
        CHECK(reads_back(store, d, bytes, sizeof(bytes)));
    }
    done(store);
}

/* False: what was begun and not committed leaves something behind, or gets a name. */
TEST(aborted_blob_is_gone)
{
    struct store *store = open_in(scratch(), STORE_WRITE);
    struct blob_writer *w = NULL;
    char **names;
    size_t n;

    CHECK(blob_begin(store, 10 * MIB, CODEC_planes, 2, &w, &err));
    CHECK(blob_put(w, "abc", 3, &err));
    blob_abort(w);
    blob_abort(NULL);
    blob_close(NULL);
    CHECK(dir_list(in(store_dir(store), "tmp"), scratch_arena, &names, &n, &err) && n == 0);
    CHECK(dir_list(in(store_dir(store), "cas"), scratch_arena, &names, &n, &err) && n == 0);
    done(store);
}

/* False: a write that the disk refuses is an error without a leftover in name only. */
TEST(refused_writes_leave_nothing)
{
    static const char *const point[] = {"fail:blob_reserve:1", "fail:blob_write:1",
                                        "fail:blob_write:2", "fail:blob_write:3"};

    for (size_t i = 0; faults && i < countof(point); i++) {
        const char *dir = scratch();
        struct store *store = open_in(dir, STORE_WRITE);
        const pid_t child = fork();
        int status;

        if (child == 0) {
            unsigned char *bytes = weights(BF16, 6 * MIB);
            struct blob_writer *w = NULL;

            setenv("VBUILD_FAULT", point[i], 1);
            bool ok = blob_begin(store, 6 * MIB, CODEC_planes, 2, &w, &err);

            if (ok && !blob_put(w, bytes, 6 * MIB, &err)) {
                blob_abort(w);
                ok = false;
            }
            if (ok)
                ok = blob_commit(w, hash_bytes(bytes, 6 * MIB), false, &err);
            _exit(!ok && err.code == ERR_IO ? 0 : 1);
        }
        char **names;
        size_t n;

        CHECK_IN(waitpid(child, &status, 0) == child && status == 0, "%s", point[i]);
        CHECK_IN(dir_list(in(dir, "tmp"), scratch_arena, &names, &n, &err) && n == 0, "%s",
                 point[i]);
        CHECK_IN(dir_list(in(dir, "cas"), scratch_arena, &names, &n, &err) && n == 0, "%s",
                 point[i]);
        done(store);
    }
}

TEST_MAIN(RUN(blobs_come_back) RUN(planes_pack_weights) RUN(reads_at_any_offset)
              RUN(workers_share_a_reader) RUN(damaged_forms_are_survived)
                  RUN(decoder_takes_any_bytes) RUN(raw_bytes_are_never_a_header)
                      RUN(quarantine_makes_room_for_a_new_one) RUN(aborted_blob_is_gone)
                          RUN(refused_writes_leave_nothing) scratch_done();)
