/* rowmap.h - the q/k row permutation between Hugging Face and GGUF order (llama family)
 *
 * Inside each head of HEAD rows (even), pair i < head/2, j in {0, 1}:
 *     gguf_row[h*head + 2*i + j] = hf_row[h*head + j*(head/2) + i]
 * Whole rows move, so it commutes with everything row-local, quantization above all. Source:
 * specs/hf-and-convert.md section 3.8. */
#ifndef KERNEL_ROWMAP_H
#define KERNEL_ROWMAP_H

#include "base/cc.h"

enum rowmap_kind { ROWMAP_NONE, ROWMAP_TO_GGUF, ROWMAP_TO_HF };

struct rowmap {
    enum rowmap_kind kind;
    int64_t head; /* rows of one head; 0 for ROWMAP_NONE */
};

/* ROWS rows (a multiple of head) of ROW_BYTES from FROM to TO, which do not overlap. */
void rowmap_apply(struct rowmap map, const void *from, void *to, int64_t rows, size_t row_bytes);
struct rowmap rowmap_inverse(struct rowmap map);
/* The row of FROM that becomes row ROW of TO. */
int64_t rowmap_from(struct rowmap map, int64_t row);

#endif
