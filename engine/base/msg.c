#include "base/msg.h"

#include "base/arena.h"
#include "base/map.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    enum msg_level level;
    bool color;
    uint32_t warnings;
    char status[256];
    struct map said; /* of warnings, by text */
    struct arena *arena;
    void (*hear)(void *self, bool error, const char *text);
    void *hearer;
    void (*keep)(void *self, bool warning, const char *text);
    void *keeper;
} msg = {.lock = PTHREAD_MUTEX_INITIALIZER};

void msg_listen(void (*hear)(void *self, bool error, const char *text), void *self)
{
    pthread_mutex_lock(&msg.lock);
    msg.hear = hear;
    msg.hearer = self;
    pthread_mutex_unlock(&msg.lock);
}

void msg_keep(void (*keep)(void *self, bool warning, const char *text), void *self)
{
    pthread_mutex_lock(&msg.lock);
    msg.keep = keep;
    msg.keeper = self;
    pthread_mutex_unlock(&msg.lock);
}

void msg_setup(enum msg_level level, bool color)
{
    msg.level = level;
    msg.color = color;
}

static void put_line(const char *mark, const char *tint, const char *text)
{
    if (msg.status[0])
        fputs("\r\033[K", stderr);
    if (msg.color && tint[0])
        fprintf(stderr, "\033[%sm%s\033[0m%s\n", tint, mark, text);
    else
        fprintf(stderr, "%s%s\n", mark, text);
    if (msg.status[0])
        fputs(msg.status, stderr);
}

__attribute__((format(printf, 3, 0))) static void say(const char *mark, const char *tint,
                                                      const char *fmt, va_list ap)
{
    char text[2048];

    vsnprintf(text, sizeof(text), fmt, ap);
    pthread_mutex_lock(&msg.lock);
    put_line(mark, tint, text);
    if (msg.hear && strcmp(mark, "error: ") == 0)
        msg.hear(msg.hearer, true, text);
    pthread_mutex_unlock(&msg.lock);
}

void msg_error(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say("error: ", "31", fmt, ap);
    va_end(ap);
}

void msg_warn(const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&msg.lock);
    if (!msg.arena)
        msg.arena = arena_new();
    const char *key = arena_strdup(msg.arena, text);

    if (map_add(&msg.said, key, strlen(key), 0, NULL)) {
        msg.warnings++;
        put_line("warning: ", "33", text);
        if (msg.hear)
            msg.hear(msg.hearer, false, text);
        if (msg.keep)
            msg.keep(msg.keeper, true, text);
    }
    pthread_mutex_unlock(&msg.lock);
}

void msg_note(const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&msg.lock);
    if (msg.level >= MSG_NORMAL)
        put_line("", "", text);
    if (msg.keep)
        msg.keep(msg.keeper, false, text);
    pthread_mutex_unlock(&msg.lock);
}

void msg_moment(const char *fmt, ...)
{
    va_list ap;

    if (msg.level < MSG_NORMAL)
        return;
    va_start(ap, fmt);
    say("", "", fmt, ap);
    va_end(ap);
}

void msg_verbose(const char *fmt, ...)
{
    va_list ap;

    if (msg.level < MSG_VERBOSE)
        return;
    va_start(ap, fmt);
    say("", "", fmt, ap);
    va_end(ap);
}

uint32_t msg_warnings(void)
{
    return msg.warnings;
}

void msg_status(const char *line)
{
    pthread_mutex_lock(&msg.lock);
    if (msg.status[0] || line[0]) {
        fprintf(stderr, "\r\033[K%s", line);
        fflush(stderr);
    }
    snprintf(msg.status, sizeof(msg.status), "%s", line);
    pthread_mutex_unlock(&msg.lock);
}
