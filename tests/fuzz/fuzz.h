/* fuzz.h - what a fuzz target is: libFuzzer calls it (clang), or driver.c does
 *
 * It reads DATA as its reader would read a file, and traps where a promise of the reader's
 * header does not hold. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include "base/cc.h"

#define PROMISE(that) ((that) ? (void)0 : __builtin_trap())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
