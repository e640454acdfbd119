/* pool.h - memory for tensors that are held from sweep to sweep. Private to graph.
 *
 * One block of address space, handed out from its low end: pages that were touched serve again,
 * because clearing fresh ones costs more than the merge that fills them. Any thread may call. */
#ifndef GRAPH_POOL_H
#define GRAPH_POOL_H

#include "base/cc.h"

struct pool;

/* ROOM bytes at most. No memory for that: a pool that gives nothing. */
struct pool *pool_new(uint64_t room);
void pool_free(struct pool *pool); /* NULL is fine */
/* SIZE bytes of any content, or NULL when there is no room for them. */
void *pool_take(struct pool *pool, uint64_t size);
void pool_give(struct pool *pool, void *data); /* NULL is fine */

#endif
