/* err.h - a failure and the chain of contexts it passed through
 *
 * A function that can fail returns bool and takes `struct err *` last: true is success; on
 * false *err is set and the outputs are untouched. err_set records the cause, err_in puts a
 * context in front ("blk.3.ffn_down: scale takes f32 or bf16, not q4_k"); both return false,
 * so that a failure is one line. Messages are lower case, without full stop, and say what,
 * where and what to do. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/cc.h"

/* A code exists where a caller acts on it; err_exit gives the command's exit code. */
enum err_code {
    ERR_NONE,
    ERR_IO,      /* the system refused: missing file, permission */
    ERR_FORMAT,  /* a file is not what it says it is */
    ERR_LIMIT,   /* a hostile or absurd size */
    ERR_TYPE,    /* a dtype that an operation does not take */
    ERR_SHAPE,   /* shapes that do not fit */
    ERR_RECIPE,  /* the recipe or the command line is wrong */
    ERR_MEMORY,  /* a tensor does not fit the memory there is */
    ERR_SPACE,   /* no room on disk */
    ERR_CACHE,   /* cache damaged beyond repair, or of a newer format */
    ERR_VERIFY,  /* two results for one key; a digest that should be another */
    ERR_CHANGED, /* a source changed while it was used */
    ERR_STOPPED, /* interrupted by the user */
};

struct err {
    enum err_code code;
    char text[1024]; /* longer messages are cut with "..." */
};

bool err_set(struct err *err, enum err_code code, const char *fmt, ...) PRINTF(3, 4);
/* As err_set, with ": " and the text of errno after it; ENOSPC and EDQUOT become ERR_SPACE. */
bool err_sys(struct err *err, const char *fmt, ...) PRINTF(2, 3);
/* Put "CONTEXT: " before the text that is there. */
bool err_in(struct err *err, const char *fmt, ...) PRINTF(2, 3);

/* The exit code of a failure that was found while RUNNING nodes (true) or before (false). */
int err_exit(enum err_code code, bool running);

#endif
