/* verify.h - read an artifact back and hash its tensors. Private to graph. */
#ifndef GRAPH_VERIFY_H
#define GRAPH_VERIFY_H

#include "graph/settle.h"

/* True when the files of artifact A hold its header and its nodes' bytes; the record in the
 * store then gets the boot id BOOT (ruling 42). False, with a warning, when they do not. */
bool verify_artifact(struct settling *s, uint32_t a, const unsigned char boot[16]);

#endif
