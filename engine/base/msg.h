/* msg.h - what a person reads while vbuild works: errors, warnings, notes, on stderr
 *
 * Warnings are said once each, and counted. A progress line, when one is shown, is cleared
 * before a message and drawn again after it. Safe from any thread. */
#ifndef BASE_MSG_H
#define BASE_MSG_H

#include "base/cc.h"

enum msg_level { MSG_QUIET = -1, MSG_NORMAL, MSG_VERBOSE, MSG_DEBUG };

void msg_setup(enum msg_level level, bool color);
void msg_error(const char *fmt, ...) PRINTF(1, 2);
void msg_warn(const char *fmt, ...) PRINTF(1, 2); /* the same text is printed once */
void msg_note(const char *fmt, ...) PRINTF(1, 2); /* not under -q */
void msg_verbose(const char *fmt, ...) PRINTF(1, 2);
uint32_t msg_warnings(void);

/* Give each error and warning that is printed to HEAR as well (--json); NULL ends it. HEAR must
 * not print messages itself. */
void msg_listen(void (*hear)(void *self, bool error, const char *text), void *self);

/* Give each warning and note to KEEP as well, also one that is not printed, so that it can be said
 * again without what led to it; NULL ends it. KEEP must not print messages itself. */
void msg_keep(void (*keep)(void *self, bool warning, const char *text), void *self);
/* A note of the moment (something takes long): never kept. */
void msg_moment(const char *fmt, ...) PRINTF(1, 2);

/* The one line at the bottom of a terminal; "" clears it. */
void msg_status(const char *line);

#endif
