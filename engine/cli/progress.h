/* progress.h - how a running build shows itself on standard error
 *
 * A bar on a terminal (one line, drawn again in place). Elsewhere plain lines without escapes:
 * each artifact as it is finished and a heartbeat every 30 s; a build that is over in a few
 * seconds prints none unless --progress=plain asks for them. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/options.h"
#include "graph/build.h"

struct progress {
    enum progress_mode mode; /* AUTO here: plain, once the build has lasted some seconds */
    int64_t started_ns, spoke_ns;
    int64_t sample_ns; /* of the rate below */
    uint64_t sample_bytes;
    double rate; /* bytes per second, smoothed; 0: not known yet */
};

void progress_init(struct progress *p, enum progress_mode mode);
void progress_show(struct progress *p, const struct build_progress *now);
void progress_artifact(struct progress *p, const char *path, bool written);
void progress_finish(struct progress *p); /* clears the bar */

/* The text of the bar, at most COLUMNS wide, for what is NOW after SECONDS at RATE. */
void progress_line(char *text, size_t room, uint32_t columns, const struct build_progress *now,
                   double seconds, double rate);

#endif
