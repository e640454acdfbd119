/* snapshot.h - a build with nothing to do that runs no recipe (specs/build-engine.md section 3.9)
 *
 * A build that succeeds leaves a note of everything that decided what it did: the words of the
 * command line, the program, the boot, the log of the cache, every path that the recipe's
 * evaluation looked at (found by base/witness.h, not by a list of what rules do), and the files of
 * the artifacts. The next build of the same words that finds all of it as it was says what a build
 * with nothing to do says, without Lua and without the store. Anything else is an ordinary build.
 *
 * Never weaker than an ordinary build: stamps count as the stat rule has them (store_clear), and a
 * snapshot that cannot be made, read or believed is none. */
#ifndef CLI_SNAPSHOT_H
#define CLI_SNAPSHOT_H

#include "base/hash.h"
#include "base/witness.h"

struct session;

struct said { /* while the recipe was evaluated */
    bool warning;
    const char *text;
};

struct snapshot {
    bool wanted; /* this is a build that may leave one */
    struct digest key;
    int64_t started; /* wall clock, before the recipe was looked at */
    struct witness *witness;
    const struct sight *seen;
    uint32_t nseen;
    struct said *said;
    uint32_t nsaid;
    struct arena *arena;
};

/* Of a session that has begun: would it find nothing to do? Then its summary is filled, and what
 * the recipe had to say is said. */
bool snapshot_stands(struct session *s);
/* Before and after the recipe is evaluated; nothing unless snapshot_stands was asked. */
void snapshot_watch(struct session *s);
void snapshot_watched(struct session *s);
/* After a build that succeeded, its summary filled: leave a snapshot, if its inputs are older
 * than the margin in which a change could hide. */
void snapshot_save(struct session *s);

#endif
