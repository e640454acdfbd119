/* iq4.c - the levels of iq4_nl and iq4_xs, and their search */
#include "kernel/iq4.h"

enum { N = IQ4_N, HALF = IQ4_HALF, TRIALS = 16 };

const int8_t iq4_level[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                              1,    13,   25,  38,  53,  69,  89,  113};

/* Half way between neighbours, where the upper one begins. The definition compares the distances
 * to both, rounded; they are exact wherever they are close, so this is the same test. */
static const float border[15] = {-115.5f, -93.5f, -74.0f, -57.0f, -42.0f, -28.5f, -16.0f, -4.5f,
                                 7.0f,    19.0f,  31.5f,  45.5f,  61.0f,  79.0f,  101.0f};
static const float gap[15] = {23, 21, 18, 16, 14, 13, 12, 11, 12, 12, 13, 15, 16, 20, 24};

/* Each trial keeps its own sums, in the order of the elements, so that trials are lanes. */
struct trials {
    float id[TRIALS], wxq[TRIALS], wqq[TRIALS];
};

static void add_element(struct trials *restrict t, float x, float w)
{
    float v[TRIALS], q[TRIALS];

    for (int k = 0; k < TRIALS; k++) {
        v[k] = t->id[k] * x;
        q[k] = -127.0f;
    }
    /* Not ">=": a NaN takes the last level. */
    for (int i = 0; i < 15; i++)
        for (int k = 0; k < TRIALS; k++)
            q[k] += v[k] < border[i] ? 0.0f : gap[i];
    for (int k = 0; k < TRIALS; k++) {
        const float wq = w * q[k];

        t->wxq[k] += wq * x;
        t->wqq[k] += wq * q[k];
    }
}

float iq4_scale(const float *x, const float *w)
{
    struct trials t = {{0}, {0}, {0}};
    float extreme, d, best;

    if (search_extreme(N, x, &extreme) < search_tiny)
        return 0.0f;
    t.id[0] = 1.0f / (-extreme / -127.0f);
    for (int k = 1; k < TRIALS; k++)
        t.id[k] = (float)(k - 8 - 127) / extreme; /* -7 .. 7 */
    for (int j = 0; j < N; j++)
        add_element(&t, x[j], w ? w[j] : x[j] * x[j]);
    d = t.wqq[0] > 0.0f ? t.wxq[0] / t.wqq[0] : 0.0f;
    best = d * t.wxq[0];
    for (int k = 1; k < TRIALS; k++)
        if (t.wqq[k] > 0.0f && t.wxq[k] * t.wxq[k] > best * t.wqq[k]) {
            d = t.wxq[k] / t.wqq[k];
            best = d * t.wxq[k];
        }
    return d;
}

void iq4_put(const float *x, float id, uint8_t *to)
{
    int32_t index[N] = {0};

    for (int i = 0; i < 15; i++)
        for (int j = 0; j < N; j++)
            index[j] += !(id * x[j] < border[i]);
    for (int j = 0; j < HALF; j++)
        to[j] = (uint8_t)(index[j] | index[j + HALF] << 4);
}

void iq4_get(const uint8_t *from, float scale, float *to)
{
    for (int j = 0; j < HALF; j++) {
        to[j] = scale * (float)iq4_level[from[j] & 15];
        to[j + HALF] = scale * (float)iq4_level[from[j] >> 4];
    }
}
