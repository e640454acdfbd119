/* reuse.h - the cost of a new artifact follows the change. Private to graph.
 *
 * Where the artifact that stands under the same name is the one that was recorded (stamps, this
 * boot), tensors that did not change are copied from it by the kernel, which shares their
 * blocks where the file system can, instead of being read and decoded from the store. */
#ifndef GRAPH_REUSE_H
#define GRAPH_REUSE_H

#include "graph/settle.h"

struct reuse;

/* The files of the artifact A that stands, open; NULL when there is none to copy from. */
struct reuse *reuse_open(const struct settling *s, uint32_t a);
void reuse_close(struct reuse *reuse); /* NULL is fine */

/* Copy into FD (file F of the new artifact, of final size) what can be copied and mark it in DONE.
 * Returns how many extents; *BYTES grows by theirs. A copy that fails is not an error: the
 * extent is then written as any other. REUSE may be NULL. */
uint32_t reuse_extents(const struct reuse *reuse, uint32_t f, int fd, bool *done, uint64_t *bytes);
/* The same for one extent, whose digest became known meanwhile. */
bool reuse_extent(const struct reuse *reuse, uint32_t f, uint32_t e, int fd);

#endif
