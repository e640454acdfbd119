/* manifest.h - NAME.manifest.json: what each tensor of an artifact is made of. Private to graph.
 *
 * Per tensor: type, bytes, D, and the steps that made it with their resolved values and K,
 * down to the source tensors by name and D; "requantized_from" names the block type that a
 * quantized tensor had before. No recipe digest, path or date (ruling 34). */
#ifndef GRAPH_MANIFEST_H
#define GRAPH_MANIFEST_H

#include "base/buf.h"
#include "graph/settle.h"

void manifest_text(const struct settling *s, uint32_t a, struct digest digest, struct buf *out);
/* The shallow key of node I, from its inputs or from the log; zero for a source. */
struct digest node_shallow(const struct settling *s, uint32_t i);

#endif
