/* test.h - the whole test framework: CHECK counts, TEST names, a line of totals at the end
 *
 *     TEST(scale_rounds_once) { CHECK(1 + 1 == 2); }
 *     TEST_MAIN(RUN(scale_rounds_once))
 *
 * The last line of a program is "N passed, N failed", counted in tests. */
#ifndef TEST_H
#define TEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int test_bad, test_passed, test_failed;

#define CHECK(that)                                                                                \
    do {                                                                                           \
        if (!(that)) {                                                                             \
            test_bad++;                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #that);                     \
        }                                                                                          \
    } while (0)

/* As CHECK, with a line that says which case. */
#define CHECK_IN(that, ...)                                                                        \
    do {                                                                                           \
        if (!(that)) {                                                                             \
            test_bad++;                                                                            \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #that);                     \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
        }                                                                                          \
    } while (0)

#define TEST(name) static void name(void)
#define RUN(name) test_run(#name, name);

static void test_run(const char *name, void (*body)(void))
{
    test_bad = 0;
    body();
    if (test_bad) {
        test_failed++;
        printf("FAIL %s (%d checks)\n", name, test_bad);
    } else {
        test_passed++;
    }
}

#define TEST_MAIN(runs)                                                                            \
    int main(void)                                                                                 \
    {                                                                                              \
        runs printf("%d passed, %d failed\n", test_passed, test_failed);                           \
        return test_failed != 0;                                                                   \
    }

#endif
