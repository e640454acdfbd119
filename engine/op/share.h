/* share.h - what several ops do alike: places in messages, results put away, merge inputs */
#ifndef OP_SHARE_H
#define OP_SHARE_H

#include "kernel/steps.h"
#include "op/op.h"

enum {
    OP_PLACE = 80,
    OP_CHUNK = 1024 /* numbers that ops work on at a time: a few buffers stay in the first cache */
};

/* "row 3, column 17" of flat element AT, from 0; the result is TEXT of OP_PLACE bytes. */
const char *op_place(const struct tensor *t, int64_t at, char *text);

/* Round the N results Y into elements [AT, AT + N) of the range's output (a FLOAT dtype), each
 * once, then fail where one is not finite although every input is. The inputs of RANGE are f32
 * (put_f32) or f64 (put_f64); their number is call->nin. */
bool op_put_f32(const struct op_call *call, const struct op_range *range, int64_t at,
                const float *y, int64_t n, struct err *err) MUST_USE;
bool op_put_f64(const struct op_call *call, const struct op_range *range, int64_t at,
                const double *y, int64_t n, struct err *err) MUST_USE;

/* The output of a merge (specs/merge.md 1.2): all inputs of one shape; FLOAT dtypes are promoted
 * (equal: the same; any f64: f64; else f32). PLAIN inputs must be of one dtype: see op_same. */
bool op_infer_merge(struct op_call *call, struct err *err) MUST_USE;
/* A merge whose tensors are PLAIN (integers): inputs, raw, must be bit-equal and are copied. */
bool op_is_plain(const struct op_call *call);
bool op_same(const struct op_call *call, const struct op_range *range, struct err *err) MUST_USE;
/* ---- merges that round to a work dtype after every step (specs/merge.md 1.1, 1.2) ----
 *
 * Such an op has, as its parameter 0, OP_MATH: math = "inputs" works in the promoted dtype of its
 * inputs, as mergekit does; "f32" works in f32 and rounds once at the end (in f64 where an input
 * is f64, in either). */
#define OP_MATH                                                                                    \
    {                                                                                              \
        "math", PARAM_WORD, 0, 0, "f32", op_math_words,                                            \
            "f32 rounds once, at the end; inputs rounds every step to the inputs' dtype"           \
    }
extern const char *const op_math_words[];
/* W of the call: bf16, f16, f32 or f64. Only after infer, for FLOAT inputs. */
const struct steps *op_steps(const struct op_call *call);
/* What such an op sums over its inputs in, and works in where it does not round: f64 for f64, else
 * f32, with numbers of the same size. */
const struct steps *op_steps_wide(const struct steps *steps);
/* As op_infer_merge; where math = "inputs", f32 and not a 16-bit dtype (arcee_fusion and
 * ramplus_tl: specs/rulings-quant-merge.md 3). */
bool op_infer_merge_wide(struct op_call *call, struct err *err) MUST_USE;
/* The form of its inputs: RAW for PLAIN, else as op_steps wants them: F64 or F32. */
enum op_form op_form_steps(const struct op_call *call);
/* op_put_f32 or op_put_f64, as op_steps has it. */
bool op_put(const struct op_call *call, const struct op_range *range, int64_t at, const void *y,
            int64_t n, struct err *err) MUST_USE;
/* Input I of the range from element AT on, of a number of SIZE bytes. */
static inline const void *op_in(const struct op_range *range, uint32_t i, int64_t at, uint32_t size)
{
    return (const unsigned char *)range->in[i] + at * size;
}

/* OP_RAW for PLAIN; else FLOAT. */
enum op_form op_form_merge(const struct op_call *call, enum op_form otherwise);

#endif
