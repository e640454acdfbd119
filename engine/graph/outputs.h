/* outputs.h - artifacts that are being written: temporaries of final size, then a rename
 *
 * Private to graph. Extents may be written in any order and from any worker; an artifact gets
 * its name when its last extent is done, and not before. */
#ifndef GRAPH_OUTPUTS_H
#define GRAPH_OUTPUTS_H

#include "graph/settle.h"

struct outputs;

/* Temporaries for every artifact that is not fresh: new ones, or those of a killed build. ERR_SPACE
 * if the disk cannot hold them. */
bool outputs_open(struct outputs **out, struct settling *s, const struct build_events *events,
                  struct build_report *report, struct err *err) MUST_USE;
/* Is that extent still to be written, into an artifact of which nothing failed? */
bool outputs_wants(const struct outputs *o, struct use use);
/* N elements from flat index FIRST of the node, in its own row order. */
bool outputs_write(struct outputs *o, struct use use, int64_t first, int64_t n, const void *bytes,
                   struct err *err) MUST_USE;
/* The digest of that wanted extent became known: is it where a build before left it? */
bool outputs_reuse(struct outputs *o, struct use use, struct err *err) MUST_USE;
/* All bytes of that extent were written and are right; the last one finishes the artifact. */
bool outputs_done(struct outputs *o, struct use use, struct err *err) MUST_USE;
/* That extent cannot be had: its artifact keeps what stood under its name before. */
void outputs_fail(struct outputs *o, struct use use);
/* Artifacts without any extent still to come (none, or all done before). */
bool outputs_settle(struct outputs *o, struct err *err) MUST_USE;
bool outputs_finished(const struct outputs *o, uint32_t a); /* it has its final name */
uint64_t outputs_bytes(const struct outputs *o);            /* written so far */
/* Remove what is unfinished, or KEEP it for the next build to adopt. */
void outputs_close(struct outputs *o, bool keep); /* NULL is fine */

#endif
