#include "graph/sources.h"

#include <stdlib.h>
#include <string.h>

enum { FLUSH_NS = 500 * 1000 * 1000 };

struct sources {
    const struct settling *s;
    int64_t started; /* wall clock */
    int64_t flushed; /* monotonic */
    bool *told;      /* one a node: the log has it, or will have it */
    uint32_t *node;  /* noted since the last flush */
    uint32_t count;
    struct source_digest *list; /* scratch, one a node */
};

static bool is_source(const struct settling *s, uint32_t i)
{
    return !graph_node(s->graph, (struct node_id){i})->call.op;
}

struct sources *sources_new(const struct settling *s, struct arena *arena)
{
    struct sources *out = arena_alloc(arena, sizeof(*out));

    *out = (struct sources){.s = s, .started = wall_ns(), .flushed = clock_ns()};
    out->told = arena_array(arena, s->nnode, sizeof(*out->told));
    out->node = arena_array(arena, s->nnode, sizeof(*out->node));
    out->list = arena_array(arena, s->nnode, sizeof(*out->list));
    for (uint32_t i = 0; i < s->nnode; i++)
        out->told[i] = is_source(s, i) && s->node[i].d_known;
    return out;
}

void sources_note(struct sources *sources, uint32_t i)
{
    if (sources->told[i] || !is_source(sources->s, i) || !sources->s->node[i].d_known)
        return;
    sources->told[i] = true;
    sources->node[sources->count++] = i;
}

static uint32_t file_of(const struct sources *sources, uint32_t at)
{
    return graph_node(sources->s->graph, (struct node_id){sources->node[at]})->file;
}

/* The noted tensors of file F; what was noted of other files stays. */
static bool record_file(struct sources *sources, uint32_t f, struct err *err)
{
    const struct settling *s = sources->s;
    const struct graph_file *file = graph_file(s->graph, f);
    struct stamp now;
    uint32_t kept = 0;
    size_t n = 0;

    for (uint32_t k = 0; k < sources->count; k++) {
        const uint32_t i = sources->node[k];
        const struct node *node = graph_node(s->graph, (struct node_id){i});

        if (node->file == f)
            sources->list[n++] =
                (struct source_digest){node->offset, tensor_bytes(&node->call.out), s->node[i].d};
        else
            sources->node[kept++] = i;
    }
    sources->count = kept;
    if (!file_stamp(file->path, &now, err))
        return false;
    if (!stamp_eq(now, file->stamp))
        return err_set(err, ERR_CHANGED, "%s: the source changed while it was read; build again",
                       file->shown);
    return store_put_source(s->store, file->path, file->stamp, sources->started, sources->list, n,
                            err) ||
           cache_failed(err);
}

bool sources_flush(struct sources *sources, bool now, struct err *err)
{
    if (!now && clock_ns() - sources->flushed < FLUSH_NS)
        return true;
    while (sources->count)
        if (!record_file(sources, file_of(sources, 0), err))
            return false;
    sources->flushed = clock_ns();
    return true;
}

bool sources_finish(struct sources *sources, struct err *err)
{
    for (uint32_t i = 0; i < sources->s->nnode; i++)
        sources_note(sources, i);
    return sources_flush(sources, true, err);
}
