/* sources.h - the digests of sources that a build makes, put into the log as it goes
 *
 * So that a build which is killed need not read them again. Private to graph; one call at a
 * time. */
#ifndef GRAPH_SOURCES_H
#define GRAPH_SOURCES_H

#include "graph/settle.h"

struct sources;

/* Before any source is read: the clock of the stat rule starts (store.h). */
struct sources *sources_new(const struct settling *s, struct arena *arena);
/* The digest of source node I was made; it will not change. */
void sources_note(struct sources *sources, uint32_t i);
/* Record what was noted; unless NOW, only when the last time is a while ago. */
bool sources_flush(struct sources *sources, bool now, struct err *err) MUST_USE;
/* At the end: whatever is known and was never noted, and all of it recorded. */
bool sources_finish(struct sources *sources, struct err *err) MUST_USE;

#endif
