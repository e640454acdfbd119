/* fault.h - named places where a debug build can be made to die or fail
 *
 * VBUILD_FAULT=name:n kills the process (SIGKILL) at the n-th passage of FAULT("name"), n from
 * 1; VBUILD_FAULT=fail:name:n makes FAULT_FAILS("name") true once instead, with errno EIO; and
 * VBUILD_FAULT=list prints each name when it is passed first. Release builds hold none of it. */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/cc.h"

#ifdef VBUILD_FAULTS
bool fault_pass(const char *name);
#define FAULT(name) ((void)fault_pass(name))
#define FAULT_FAILS(name) fault_pass(name)
#else
#define FAULT(name) ((void)0)
#define FAULT_FAILS(name) false
#endif

#endif
