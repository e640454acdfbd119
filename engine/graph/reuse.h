/* reuse.h - the cost of a new artifact follows the change. Private to graph.
 *
 * Where the artifact that stands under the same name is the one that was recorded (stamps, this
 * boot), tensors that did not change are copied from it by the kernel, which shares their
 * blocks where the file system can, instead of being read and decoded from the store. */
#ifndef GRAPH_REUSE_H
#define GRAPH_REUSE_H

#include "graph/settle.h"

/* Copy into FD (file F of artifact A, of final size) what can be copied and mark it in DONE.
 * Returns how many extents; *BYTES grows by theirs. A copy that fails is not an error: the
 * extent is then written as any other. */
uint32_t reuse_extents(const struct settling *s, uint32_t a, uint32_t f, int fd, bool *done,
                       uint64_t *bytes);

#endif
