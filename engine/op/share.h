/* share.h - what several ops do alike: places in messages, results put away, merge inputs */
#ifndef OP_SHARE_H
#define OP_SHARE_H

#include "op/op.h"

enum { OP_PLACE = 80 };

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
/* OP_RAW for PLAIN; else FLOAT. */
enum op_form op_form_merge(const struct op_call *call, enum op_form otherwise);

#endif
