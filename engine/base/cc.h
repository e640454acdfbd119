/* cc.h - the few words that every file may use */
#ifndef BASE_CC_H
#define BASE_CC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
/* Before a loop of at most 16 turns whose number is known. */
#if defined(__clang__)
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif
#define countof(array) (sizeof(array) / sizeof((array)[0]))

#endif
