/* wrong.h - what the usual wrong files are, and how names of strangers are shown
 *
 * Source: specs/hf-and-convert.md section 1.4, last paragraph. */
#ifndef FORMAT_WRONG_H
#define FORMAT_WRONG_H

#include "base/err.h"

/* False, with a message, when the first N bytes of PATH are those of a file that people often
 * have in place of a checkpoint: empty, Git LFS pointer, torch zip, pickle, HTML page. */
bool wrong_check(const char *path, const unsigned char *head, size_t n, struct err *err) MUST_USE;

/* NAME as messages show it: at most 200 bytes, whole characters, control bytes, quotes and
 * backslashes escaped, "..." when it was cut. NAME is valid UTF-8; the result is in SHOWN. */
struct shown {
    char text[208];
};
const char *name_shown(struct shown *shown, const char *name, size_t n);

#endif
