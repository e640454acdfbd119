#include "test.h"

#include "op/task_case.h"

/* An independent program's bytes for every method: work types, densities, ties, several tiles,
 * wide rows, NaN and infinities, one to eight inputs; whatever the ranges. */
TEST(task_equals_the_goldens)
{
    static struct task_file f;
    int count = 0;

    if (!task_open(&f, "tests/golden/merge/task.txt"))
        return;
    for (struct task_case c; task_next(&f, &c); count++)
        task_check(&c);
    CHECK_IN(count == f.lines && count > 500, "%d cases", count);
}

TEST_MAIN(RUN(task_equals_the_goldens))
