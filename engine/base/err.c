#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void mark_cut(char *text, size_t size, int wanted)
{
    if (wanted >= (int)size)
        memcpy(text + size - 4, "...", 4);
}

bool err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
    va_list ap;

    err->code = code;
    va_start(ap, fmt);
    mark_cut(err->text, sizeof(err->text), vsnprintf(err->text, sizeof(err->text), fmt, ap));
    va_end(ap);
    return false;
}

bool err_sys(struct err *err, const char *fmt, ...)
{
    const int number = errno;
    char what[800];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    return err_set(err, number == ENOSPC || number == EDQUOT ? ERR_SPACE : ERR_IO, "%s: %s", what,
                   strerror(number));
}

bool err_in(struct err *err, const char *fmt, ...)
{
    char text[sizeof(err->text)];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < sizeof(text))
        n += snprintf(text + n, sizeof(text) - (size_t)n, ": %s", err->text);
    mark_cut(text, sizeof(text), n);
    memcpy(err->text, text, sizeof(text));
    return false;
}

int err_exit(enum err_code code, bool running)
{
    switch (code) {
    case ERR_NONE:
        return 0;
    case ERR_VERIFY:
        return 3;
    case ERR_CACHE:
        return 4;
    case ERR_SPACE:
    case ERR_MEMORY:
        return 5;
    case ERR_STOPPED:
        return 130;
    case ERR_CHANGED:
        return 1;
    case ERR_RECIPE:
        return 2;
    case ERR_IO:
    case ERR_FORMAT:
    case ERR_LIMIT:
    case ERR_TYPE:
    case ERR_SHAPE:
        break;
    }
    return running ? 1 : 2;
}
