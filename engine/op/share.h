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
 * once, then fail where one is not finite although every input is. */
bool op_put_f32(const struct op_call *call, const struct op_range *range, int64_t at,
                const float *y, int64_t n, struct err *err) MUST_USE;
bool op_put_f64(const struct op_call *call, const struct op_range *range, int64_t at,
                const double *y, int64_t n, struct err *err) MUST_USE;

/* The check of the same where elements [AT, AT + N) of the output were put otherwise. */
bool op_check_output(const struct op_call *call, const struct op_range *range, int64_t at,
                     int64_t n, struct err *err) MUST_USE;

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
/* op_put_f32 or op_put_f64, as op_steps has it. */
bool op_put(const struct op_call *call, const struct op_range *range, int64_t at, const void *y,
            int64_t n, struct err *err) MUST_USE;
/* Their inputs come as they are (op_form_raw). Numbers [AT, AT + N) of input I, N at most OP_CHUNK,
 * as op_steps wants them: where they lie, or in BUF. A whole tile decoded at once would leave the
 * second cache before it is used. */
const void *op_in(const struct op_call *call, const struct op_range *range, uint32_t i, int64_t at,
                  int64_t n, void *buf);
/* D = R(input I - input 0) */
void op_delta(const struct op_call *call, const struct steps *s, const struct op_range *range,
              uint32_t i, int64_t at, int64_t n, void *d);
enum op_form op_form_raw(const struct op_call *call); /* OP_RAW */

#endif
