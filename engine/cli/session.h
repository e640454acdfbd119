/* session.h - what build, plan, explain and graph share: workspace, events, store, recipe
 *
 * The recipe runs against a store that is only read, so that a wrong recipe leaves no trace:
 * session_write opens it for writing once there is something to build. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "cli/dropin.h"
#include "cli/events_json.h"
#include "cli/snapshot.h"
#include "cli/workspace.h"

struct session {
    const struct options *options;
    const struct dropin *dropin; /* whose recipe it is; NULL: a file's */
    struct arena *arena;
    struct workspace ws;
    struct events_json events;
    struct store *store;
    struct recipe recipe;
    bool evaluated; /* recipe is there */
    struct build_options build;
    struct build_report report;
    struct summary summary; /* of the report, or of a snapshot; empty before */
    struct snapshot snapshot;
};

/* Events and workspace; then the store and the recipe, whose notes are said; or both at once. On
 * failure call session_fail, then finish. DROPIN: instead of a workspace; may be NULL. */
bool session_begin(struct session *s, const struct options *options, const struct dropin *dropin,
                   struct err *err) MUST_USE;
bool session_evaluate(struct session *s, struct err *err) MUST_USE;
bool session_open(struct session *s, const struct options *options, struct err *err) MUST_USE;
bool session_write(struct session *s, struct err *err) MUST_USE;

/* The report is filled: sum it up. */
void session_reported(struct session *s);
/* Say that it failed, end the events, and the exit code; RUNNING as err_exit. */
int session_fail(struct session *s, const struct err *err, bool running);
/* Close everything; CODE, or what writing the last bytes made of it. */
int session_finish(struct session *s, int code);

/* Build the recipe of OPTIONS, or of a drop-in; the exit code (cmd_build.c). */
int build_of(const struct options *options, const struct dropin *dropin);

/* "4.894 bits per weight over quantized tensors, 6.112 over all, 8.715 GiB of tensors" */
void put_bits(struct buf *out, const struct artifact_size *size);

#endif
