/* iq4.h - what iq4_nl and iq4_xs share: 16 levels at uneven distances, and the search for the
 * scale of 32 values (specs/gguf-quant.md 2.4, 3.1.5, 3.4) */
#ifndef KERNEL_IQ4_H
#define KERNEL_IQ4_H

#include "kernel/search.h"

enum { IQ4_N = 32, IQ4_HALF = 16 };

extern const int8_t iq4_level[16];

/* The scale of 32 X with weights W, or x squared if NULL. */
float iq4_scale(const float *x, const float *w);

/* The nearest levels of ID * x as 16 bytes: element j low, element j + 16 high. */
void iq4_put(const float *x, float id, uint8_t *to);

/* Back: SCALE * level. */
void iq4_get(const uint8_t *from, float scale, float *to);

#endif
