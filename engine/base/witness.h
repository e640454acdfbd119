/* witness.h - what was looked at on the disk, so that a later look can tell that all of it stands
 *
 * While a witness watches, the functions of file.h that look at a path tell it so before they
 * look: what it notes is never newer than what the caller sees. Files and folders that were not
 * there count too. */
#ifndef BASE_WITNESS_H
#define BASE_WITNESS_H

#include "base/arena.h"
#include "base/file.h"

enum sight_kind {
    SIGHT_ABSENT,
    SIGHT_FOLDER, /* it is one; what is in it was not asked */
    SIGHT_LISTED, /* a folder, and the names in it: its stamp */
    SIGHT_FILE,   /* anything else: its stamp */
    SIGHT_KINDS
};

struct sight {
    const char *path;
    enum sight_kind kind;
    struct stamp stamp; /* zero where the kind has none */
};

/* PATH as it is now; LISTED: of a folder, the names in it too. */
struct sight sight_take(const char *path, bool listed);
/* Does a look at its path show the same now? */
bool sight_stands(const struct sight *sight);

struct witness;
/* From now on, in this process; one at a time, and only while one thread looks at files. */
struct witness *witness_begin(struct arena *arena);
/* It ends; what it saw, each path once as it was when first seen, in ARENA. */
const struct sight *witness_end(struct witness *witness, uint32_t *n);

/* For file.c: PATH is about to be looked at. */
void witness_tell(const char *path, bool listed);

#endif
