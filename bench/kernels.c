/* kernels.c - how fast block types are encoded: million weights per CPU second, one thread
 *
 *     kernels [TYPE...]      all block types if none is named
 *
 * Gaussian weights (sigma 0.02) in 16 rows of 4096, which stay in the cache: arithmetic is
 * measured, not memory. Every instruction set that this CPU runs takes its turn in each round;
 * the best round counts. */
#include "kernel/kernel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROWS = 16, COLS = 4096, CELLS = ROWS * COLS, ROUNDS = 7 };

static const double slice = 0.02; /* seconds of one measurement, at least */

static float x[CELLS], w[COLS];
static unsigned char out[CELLS * 4];

static double uniform(void)
{
    static uint64_t state = 1;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(state >> 40) + 0.5) * 0x1p-24;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double rate(const struct kernel *kernel, const float *imatrix)
{
    const double start = now();
    double took = 0;
    int runs = 0;

    while (took < slice) {
        kernel->encode(x, ROWS, COLS, imatrix, out);
        runs++;
        took = now() - start;
    }
    return (double)runs * CELLS / took * 1e-6;
}

static void line(enum dtype dtype, const float *imatrix)
{
    double best[CPU_ISAS] = {0};

    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < CPU_ISAS; i++)
            if (cpu_runs((enum cpu_isa)i)) {
                const double r = rate(kernel_in((enum cpu_isa)i, dtype), imatrix);

                best[i] = r > best[i] ? r : best[i];
            }
    printf("%-7s%-4s%9.1f", dtype_name(dtype), imatrix ? "+im" : "", best[CPU_SCALAR]);
    for (int i = CPU_SCALAR + 1; i < CPU_ISAS; i++)
        if (best[i] > 0)
            printf("%9.1f %5.2f x", best[i], best[i] / best[CPU_SCALAR]);
        else
            printf("%9s %7s", "-", "");
    putchar('\n');
    fflush(stdout);
}

static bool named(enum dtype dtype, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], dtype_name(dtype)) == 0)
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    for (int i = 0; i < CELLS; i++)
        x[i] = (float)(0.02 * sqrt(-2 * log(uniform())) * cos(6.283185307179586 * uniform()));
    for (int i = 0; i < COLS; i++)
        w[i] = (float)(0.1 - log(uniform()));
    printf("%-11s%9s%9s%17s\n", "type", "scalar", "avx2", "avx512");
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (dtype_is_block((enum dtype)i) && kernel_in(CPU_SCALAR, (enum dtype)i) &&
            named((enum dtype)i, argc, argv)) {
            line((enum dtype)i, NULL);
            if (dtype_info((enum dtype)i)->weighted)
                line((enum dtype)i, w);
        }
    return 0;
}
