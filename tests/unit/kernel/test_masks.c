/* test_masks.c - bytes that say yes or no, against loops over single ones */
#include "kernel/masks.h"

#include "test.h"

enum { MOST = 20000, GUARD = 40 };

static uint8_t mask[MOST + GUARD], count[MOST + GUARD], was[MOST + GUARD];
static uint8_t alone[MOST + GUARD], with[MOST + GUARD];

static void fill(void)
{
    static uint32_t state = 1;

    for (int i = 0; i < MOST + GUARD; i++) {
        state = state * 1664525 + 1013904223;
        mask[i] = (uint8_t)(state >> 31);
        count[i] = (uint8_t)(state >> 24 & (i % 5 ? 3 : 127));
        alone[i] = with[i] = 9;
    }
    memcpy(was, count, sizeof(count));
}

/* The lengths: all short ones, and some with more than 255 vectors. */
static int next(int n)
{
    return n < 100 ? n + 1 : n * 2 + 33;
}

/* False if any byte of any length were not what its own line says, or one outside were touched. */
TEST(every_byte_is_what_a_loop_gives)
{
    for (int n = 0; n <= MOST; n = next(n))
        for (int at = 0; at < 3; at++) {
            int bad = 0;

            fill();
            masks_split(alone + at, with + at, mask + at, count + at, n);
            masks_add(count + at, mask + at, n);
            for (int i = 0; i < MOST + GUARD; i++) {
                const int in = i >= at && i < at + n;

                bad += alone[i] != (in ? mask[i] && was[i] == 1 : 9);
                bad += with[i] != (in ? mask[i] && was[i] > 1 : 9);
                bad += count[i] != was[i] + (in ? mask[i] : 0);
            }
            memcpy(was, count, sizeof(was));
            masks_at_least_one(count + at, n);
            for (int i = 0; i < MOST + GUARD; i++)
                bad += count[i] != (i >= at && i < at + n && was[i] == 0 ? 1 : was[i]);
            CHECK_IN(!bad, "%d from %d: %d wrong", n, at, bad);
        }
}

/* False if a sum ran over in its byte: more than 255 times 16 ones. */
TEST(all_that_say_yes_are_counted)
{
    for (int n = 0; n <= MOST; n = next(n)) {
        uint64_t yes = 0;

        fill();
        for (int i = 0; i < n; i++)
            yes += mask[i + 1];
        CHECK_IN(masks_yes(mask + 1, n) == yes, "%d", n);
        memset(mask, 1, sizeof(mask));
        CHECK_IN(masks_yes(mask + 1, n) == (uint64_t)n, "%d ones", n);
    }
}

TEST_MAIN(RUN(every_byte_is_what_a_loop_gives) RUN(all_that_say_yes_are_counted))
