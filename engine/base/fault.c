#include "base/fault.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef VBUILD_FAULTS
bool fault_pass(const char *name)
{
    static long passed; /* of the one name that is asked for; tests run it on one worker */
    const char *spec = getenv("VBUILD_FAULT");
    const size_t n = strlen(name);

    if (!spec)
        return false;
    if (strcmp(spec, "list") == 0) {
        fprintf(stderr, "fault: %s\n", name);
        return false;
    }
    const bool fails = strncmp(spec, "fail:", 5) == 0;

    spec += fails ? 5 : 0;
    if (strncmp(spec, name, n) != 0 || (spec[n] != ':' && spec[n] != 0))
        return false;
    const long when = spec[n] ? strtol(spec + n + 1, NULL, 10) : 1;

    if (__atomic_add_fetch(&passed, 1, __ATOMIC_RELAXED) != when)
        return false;
    if (!fails)
        raise(SIGKILL);
    errno = EIO;
    return true;
}
#endif

typedef int fault_file_is_not_empty; /* ISO C wants a declaration in a release build too */
