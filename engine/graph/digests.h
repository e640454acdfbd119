/* digests.h - digests of source tensors outside a build: from the log, else by hashing
 *
 * The log is believed by the stat rule (store.h); what is hashed here is put into it, so that
 * neither this nor a build hashes it again. */
#ifndef GRAPH_DIGESTS_H
#define GRAPH_DIGESTS_H

#include "graph/node.h"
#include "store/store.h"

struct digest_of {
    struct node_id node; /* a source */
    struct digest d;
    bool known;
};

/* What the log knows of LIST; the rest stays unknown. STORE may be NULL: nothing is known. */
void digests_look(const struct graph *graph, struct store *store, struct digest_of *list,
                  uint32_t n);
/* Hash what is not known and record it, with WORKERS; READ_BYTES grows by what was read.
 * ERR_CHANGED when a file changed since its header was read. */
bool digests_make(const struct graph *graph, struct store *store, struct digest_of *list,
                  uint32_t n, uint32_t workers, uint64_t *read_bytes, struct err *err) MUST_USE;
/* ERR_CHANGED when a file of the graph is not the one whose header was read. */
bool digests_stand(const struct graph *graph, struct err *err) MUST_USE;

#endif
