#include "graph/pool.h"

#include "test.h"

#include <string.h>

/* If it failed, two tensors that are held would share bytes. */
TEST(regions_do_not_overlap)
{
    struct pool *pool = pool_new(1 << 20);
    unsigned char *p[40] = {0};
    uint32_t seed = 7;

    for (int step = 0; step < 4000; step++) {
        seed = seed * 1664525 + 1013904223;
        const uint32_t i = (seed >> 8) % 40, size = (seed >> 4) % 60000;

        if (p[i]) {
            const unsigned char mark = (unsigned char)i;

            CHECK(p[i][0] == mark);
            pool_give(pool, p[i]);
            p[i] = NULL;
        } else if ((p[i] = pool_take(pool, size)) != NULL) {
            memset(p[i], (int)i, size ? size : 1);
        }
    }
    for (int i = 0; i < 40; i++)
        pool_give(pool, p[i]);
    CHECK(pool_take(pool, (1 << 20) - 4096) != NULL);
    pool_free(pool);
}

/* If it failed, a build would use more memory than --mem. */
TEST(no_more_than_the_room_is_given)
{
    struct pool *pool = pool_new(100000);
    void *a = pool_take(pool, 60000);

    CHECK(a && !pool_take(pool, 60000));
    CHECK(!pool_take(pool, UINT64_MAX) && !pool_take(pool, UINT64_MAX - 4096));
    pool_give(pool, a);
    CHECK(pool_take(pool, 60000) == a); /* the pages that were touched serve again */
    pool_free(pool);
}

/* If it failed, a budget of nothing, or an empty tensor, would end the build. */
TEST(nothing_of_nothing)
{
    struct pool *pool = pool_new(0);

    CHECK(!pool_take(pool, 1));
    pool_give(pool, NULL);
    pool_free(pool);
    pool_free(NULL);
    pool = pool_new(1 << 16);
    void *a = pool_take(pool, 0), *b = pool_take(pool, 0);

    CHECK(a && b && a != b);
    pool_give(pool, a);
    pool_give(pool, b);
    pool_free(pool);
}

TEST_MAIN(RUN(regions_do_not_overlap) RUN(no_more_than_the_room_is_given) RUN(nothing_of_nothing))
