/* driver.c - replays files into a fuzz target where there is no libFuzzer
 *
 *     fuzz_gguf [-m N SEED] FILE_OR_FOLDER...
 *
 * With -m each file is also changed N times: bytes flipped, ends cut off, boundary numbers and
 * pieces of the file itself written over it. The same seed gives the same inputs. */
#include "fuzz.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state;
static unsigned long rounds, inputs;

static size_t dice(size_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (size_t)(state % sides);
}

static size_t change(unsigned char *bytes, size_t n)
{
    static const uint64_t edges[] = {0,
                                     1,
                                     31,
                                     32,
                                     63,
                                     64,
                                     255,
                                     65535,
                                     INT32_MAX,
                                     UINT32_MAX,
                                     UINT64_MAX,
                                     INT64_MAX,
                                     1ull << 30,
                                     1ull << 40,
                                     1ull << 62,
                                     1ull << 63,
                                     UINT64_MAX - 7,
                                     UINT64_MAX - 31,
                                     0x3030303030303030,
                                     0x5b5b5b5b7b7b7b7b};
    const size_t at = dice(n), room = n - at;
    const size_t wide = dice(2) ? 8 : 4, piece = 1 + dice(room < 32 ? room : 32);
    uint64_t near;

    switch (dice(6)) {
    case 0:
        bytes[at] ^= (unsigned char)(1u << dice(8));
        return n;
    case 1:
        bytes[at] = (unsigned char)dice(256);
        return n;
    case 2:
        memmove(bytes + at, bytes + dice(n - piece + 1), piece);
        return n;
    case 3:
        return dice(8) ? n : at; /* a short file says little: cut seldom */
    case 4:                      /* a number a little off */
        if (room < 8)
            return n;
        memcpy(&near, bytes + at, 8);
        near += dice(5) - 2;
        memcpy(bytes + at, &near, wide);
        return n;
    default:
        memcpy(bytes + at, &edges[dice(sizeof(edges) / sizeof(*edges))], room < wide ? room : wide);
        return n;
    }
}

/* The input in memory that ends with it, so that a read past it is seen. */
static void run(const void *bytes, size_t n)
{
    unsigned char *copy = mem_grow(NULL, n ? n : 1);

    memcpy(copy, bytes, n);
    LLVMFuzzerTestOneInput(copy, n);
    mem_free(copy);
    inputs++;
}

static void replay(const char *path)
{
    struct arena *arena = arena_new();
    struct err err = {0};
    char **names, *text;
    size_t n;

    if (file_is_dir(path)) {
        if (dir_list(path, arena, &names, &n, &err))
            for (size_t i = 0; i < n; i++)
                replay(path_join(arena, path, names[i]));
    } else if (file_read(path, 64 << 20, arena, &text, &n, &err)) {
        run(text, n);
        for (unsigned long i = 0; n && i < rounds; i++) {
            unsigned char *copy = mem_grow(NULL, n);
            size_t size = n;

            memcpy(copy, text, n);
            for (size_t k = dice(4) + 1; k > 0 && size > 0; k--)
                size = change(copy, size);
            run(copy, size);
            mem_free(copy);
        }
    }
    if (err.code != ERR_NONE) {
        fprintf(stderr, "%s\n", err.text);
        exit(2);
    }
    arena_free(arena);
}

int main(int argc, char **argv)
{
    int i = 1;

    if (argc > 3 && strcmp(argv[1], "-m") == 0) {
        rounds = strtoul(argv[2], NULL, 10);
        state = strtoul(argv[3], NULL, 10) * 2 + 0x9e3779b97f4a7c15;
        i = 4;
    }
    for (; i < argc; i++)
        replay(argv[i]);
    printf("%lu inputs\n", inputs);
    return inputs == 0;
}
