#include "graph/cluster.h"

#include "base/sum.h"
#include "kernel/kernel.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- forming ---------------------------------------------------------------------------- */

/* Union-find over node ids; MEMBER_NONE: nobody wants the node. */
static uint32_t root(uint32_t *up, uint32_t i)
{
    while (up[i] != i)
        i = up[i] = up[up[i]];
    return i;
}

static bool wanted(const struct exec *x, uint32_t node)
{
    const struct settled *n = &x->s->node[node];

    for (uint32_t u = n->use_at; x->outputs && u < n->use_at + n->uses; u++)
        if (outputs_wants(x->outputs, x->s->use[u]))
            return true;
    return false;
}

static bool has_blob(const struct exec *x, uint32_t node)
{
    const struct settled *n = &x->s->node[node];
    const struct node *of = graph_node(x->s->graph, (struct node_id){node});

    return of->call.op && n->d_known && n->state != NODE_RUN && !x->options->force &&
           blob_keep(x->s->store, n->d, tensor_bytes(&of->call.out));
}

/* Mark what the wanted extents need: UP[i] = i for members; BLOB for those the store holds. */
static void demand(const struct exec *x, uint32_t *up, bool *blob)
{
    for (uint32_t i = 0; i < x->s->nnode; i++)
        up[i] = MEMBER_NONE;
    for (uint32_t i = x->s->nnode; i-- > 0;) {
        const struct node *node = graph_node(x->s->graph, (struct node_id){i});

        if (up[i] == MEMBER_NONE && !wanted(x, i))
            continue;
        up[i] = i;
        blob[i] = has_blob(x, i);
        for (uint32_t k = 0; !blob[i] && k < node->call.nin; k++)
            up[node->in[k].i] = node->in[k].i;
    }
    for (uint32_t i = 0; i < x->s->nnode; i++) {
        const struct node *node = graph_node(x->s->graph, (struct node_id){i});

        if (up[i] != MEMBER_NONE && !blob[i])
            for (uint32_t k = 0; k < node->call.nin; k++)
                up[root(up, node->in[k].i)] = root(up, i);
    }
}

static int by_place(const void *a, const void *b)
{
    const struct cluster *p = a, *q = b;

    if (p->file != q->file)
        return p->file < q->file ? -1 : 1;
    if (p->offset != q->offset)
        return p->offset < q->offset ? -1 : 1;
    return p->member[0].node < q->member[0].node ? -1 : 1;
}

static void add_member(struct exec *x, struct cluster *c, uint32_t i, bool blob,
                       const uint32_t *member_of)
{
    const struct node *node = graph_node(x->s->graph, (struct node_id){i});
    struct member *m = &c->member[c->count++];

    *m = (struct member){.node = i, .call = &node->call, .blob = blob, .bad = -1};
    m->reduced = node->call.op && !op_reduces(&node->call);
    m->granule = node->call.op ? op_granule(&node->call)
                               : (int64_t)dtype_info(node->call.out.dtype)->elements;
    if (node->call.op && !blob) {
        m->in = arena_array(c->arena, node->call.nin, sizeof(*m->in));
        for (uint32_t k = 0; k < node->call.nin; k++)
            m->in[k] = member_of[node->in[k].i];
    }
    if (!node->call.op &&
        (node->file < c->file || (node->file == c->file && node->offset < c->offset))) {
        c->file = node->file;
        c->offset = node->offset;
    }
    c->elements = tensor_elements(&node->call.out);
    c->before |= settled_before(x->s, i);
}

struct cluster *clusters_form(struct exec *x, struct arena *arena, uint32_t *count)
{
    const uint32_t n = x->s->nnode;
    uint32_t *up = arena_array(arena, n, sizeof(*up));
    uint32_t *cluster_of = arena_array(arena, n, sizeof(*cluster_of));
    uint32_t *member_of = arena_array(arena, n, sizeof(*member_of));
    uint32_t *size = arena_array(arena, n, sizeof(*size));
    bool *blob = arena_array(arena, n, sizeof(*blob));
    uint32_t nc = 0;

    demand(x, up, blob);
    for (uint32_t i = 0; i < n; i++)
        if (up[i] != MEMBER_NONE && size[root(up, i)]++ == 0)
            cluster_of[root(up, i)] = nc++;
    struct cluster *list = arena_array(arena, nc, sizeof(*list));

    for (uint32_t i = 0; i < n; i++) {
        if (up[i] == MEMBER_NONE)
            continue;
        struct cluster *c = &list[cluster_of[root(up, i)]];

        if (!c->member) {
            c->arena = arena;
            c->member = arena_array(arena, size[root(up, i)], sizeof(*c->member));
            c->file = UINT32_MAX;
        }
        member_of[i] = c->count;
        add_member(x, c, i, blob[i], member_of);
    }
    qsort(list, nc, sizeof(*list), by_place);
    *count = nc;
    return list;
}

struct cluster *clusters_of_stale(struct exec *x, struct arena *arena, uint32_t *count)
{
    struct cluster *list = arena_array(arena, x->s->nnode, sizeof(*list));
    uint32_t nc = 0;

    for (uint32_t i = 0; i < x->s->nnode; i++) {
        const struct node *node = graph_node(x->s->graph, (struct node_id){i});

        if (node->call.op || !x->s->node[i].needed || x->s->node[i].d_known ||
            x->s->trust[node->file] != SOURCE_STALE)
            continue;
        list[nc] = (struct cluster){.arena = arena,
                                    .member = arena_alloc(arena, sizeof(struct member)),
                                    .file = UINT32_MAX,
                                    .digests = true};
        add_member(x, &list[nc++], i, false, NULL);
    }
    qsort(list, nc, sizeof(*list), by_place);
    *count = nc;
    return list;
}

/* ---- choosing --------------------------------------------------------------------------- */

static struct settled *of(const struct exec *x, const struct member *m)
{
    return &x->s->node[m->node];
}

static uint64_t member_bytes(const struct member *m)
{
    return tensor_bytes(&m->call->out);
}

static void release(struct exec *x, struct member *m)
{
    pool_give(x->pool, m->held);
    m->held = NULL;
}

/* Can M's bytes be had without computing it? */
static bool at_hand(const struct member *m)
{
    return !m->call->op || m->held || m->blob;
}

/* From inputs to users, so that a node with the bytes it once had settles its users in turn. */
static bool look_up(struct exec *x, struct cluster *c, struct err *err)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->member[i];

        m->need = m->run = m->rows = m->usable = m->commit = m->emit = m->reduce = m->made =
            m->hold = m->feeds = m->feeds_passes = false;
        for (uint32_t k = 0; m->in && k < m->call->nin; k++)
            m->failed |= c->member[m->in[k]].failed;
        if (!settle_deep(x->s, m->node))
            settle_shallow(x->s, m->node, err);
        if (err->code)
            return false;
    }
    return true;
}

/* A blob may have been lost or moved aside since it was seen: then its node is made again. */
static void open_blob(struct exec *x, struct member *m)
{
    struct err err;

    if (blob_open(x->s->store, of(x, m)->d, member_bytes(m), &m->reader, &err))
        return;
    m->reader = NULL;
    m->blob = false;
    of(x, m)->state = NODE_RUN;
    if (err.code == ERR_CACHE)
        blob_quarantine(x->s->store, of(x, m)->d);
}

/* Where a build before left bytes whose digest became known in the last sweep, they are taken
 * from there. */
static bool take_old(struct exec *x, const struct member *m, struct err *err)
{
    const struct settled *n = of(x, m);

    if (!n->d_known || m->emitted || m->failed || !x->outputs || x->options->force)
        return true;
    for (uint32_t u = n->use_at; u < n->use_at + n->uses; u++)
        if (outputs_wants(x->outputs, x->s->use[u]) &&
            !outputs_reuse(x->outputs, x->s->use[u], err))
            return false;
    return true;
}

/* From the users to their inputs: what is wanted, and what that in turn wants. */
static bool choose_needs(struct exec *x, struct cluster *c, struct err *err)
{
    if (!look_up(x, c, err))
        return false;
    for (uint32_t i = c->count; i-- > 0;) {
        struct member *m = &c->member[i];

        if (!take_old(x, m, err))
            return false;
        m->need |= c->digests ? !of(x, m)->d_known : !m->emitted && wanted(x, m->node);
        m->need &= !m->failed;
        if (!m->need || !m->call->op)
            continue;
        if (!m->blob) /* it may have been settled just now, by itself or for one of its users */
            m->blob = has_blob(x, m->node);
        if (m->blob && !m->held && !m->reader)
            open_blob(x, m);
        m->run = !at_hand(m);
        if (m->run && !m->in && m->call->nin) {
            c->retry = true; /* its inputs were not thought to be needed */
            m->run = m->need = false;
        }
        for (uint32_t k = 0; m->run && k < m->call->nin; k++)
            c->member[m->in[k]].need = true;
    }
    return true;
}

/* Source tensors that are larger are read again for each pass: the system has them in memory by
 * then, and to copy them from there costs no more than to touch as much memory of our own. */
enum { REREAD = 16 << 20 };

/* Keep M's bytes from this sweep on, if the budget has room for them. */
static bool try_hold(struct exec *x, struct member *m)
{
    if (m->held)
        return true;
    m->held = pool_take(x->pool, member_bytes(m));
    m->hold = m->held != NULL;
    return m->hold;
}

/* What may ops use in this sweep? Bytes whose digest is known; or, when nothing could be looked up
 * by it, or they are too many to be held and no earlier build knows what comes of them, bytes that
 * are hashed as they pass. */
static void choose_use(struct exec *x, struct cluster *c, struct member *m)
{
    if (!m->rows || !m->feeds)
        return;
    m->usable = true;
    if (m->held)
        return;
    if (!of(x, m)->d_known && !x->blind)
        m->usable = !try_hold(x, m) && !c->before;
    else if (m->feeds_passes && (m->call->op || member_bytes(m) <= REREAD))
        try_hold(x, m); /* if it fits, the passes to come need not make it again */
}

/* From inputs to users: who gives rows, commits, emits, reduces. True if there is any work. */
static bool choose_work(struct exec *x, struct cluster *c)
{
    bool any = false;

    for (uint32_t i = 0; i < c->count; i++) {
        const struct member *m = &c->member[i];

        for (uint32_t k = 0; m->run && k < m->call->nin; k++) {
            c->member[m->in[k]].feeds = true;
            c->member[m->in[k]].feeds_passes |= !m->reduced;
        }
    }
    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->member[i];
        bool inputs = true;

        for (uint32_t k = 0; m->run && k < m->call->nin; k++)
            inputs &= c->member[m->in[k]].usable;
        const bool reduces = m->run && !m->reduced;

        m->reduce = reduces && inputs;
        m->rows = m->need && (at_hand(m) || (m->run && inputs && !reduces));
        choose_use(x, c, m);
        const struct settled *n = of(x, m);

        m->commit = m->rows && (!n->d_known || (m->run && n->uses));
        m->emit = m->rows && !m->emitted && wanted(x, m->node);
        any |= m->reduce || m->commit || m->emit;
    }
    return any;
}

/* Whose rows must be made in this sweep, and drop holds that turned out to be for nothing. */
static void choose_made(struct exec *x, struct cluster *c)
{
    for (uint32_t i = c->count; i-- > 0;) {
        struct member *m = &c->member[i];

        m->made |= m->commit || m->emit;
        for (uint32_t k = 0; (m->reduce || (m->made && m->run && m->rows)) && k < m->call->nin; k++)
            c->member[m->in[k]].made = true;
        if (m->hold && !m->made) {
            release(x, m);
            m->hold = false;
        }
    }
}

static int64_t lcm(int64_t a, int64_t b, int64_t limit)
{
    int64_t x = a, y = b, out;

    while (y) {
        const int64_t t = x % y;

        x = y;
        y = t;
    }
    return __builtin_mul_overflow(a / x, b, &out) || out > limit ? limit : out;
}

/* How many elements a tile has: whole granules of what is committed, within the budget. */
static void choose_tile(const struct exec *x, struct cluster *c)
{
    const int64_t all = max_i64(c->elements, 1);
    double bytes = 1; /* per element */
    int64_t granule = 1;

    for (uint32_t i = 0; i < c->count; i++) {
        const struct member *m = &c->member[i];

        if (!m->made)
            continue;
        bytes += dtype_bits(m->call->out.dtype) / 8 + (m->call->out.dtype == DTYPE_f64 ? 8 : 4);
        if (m->commit || m->emit || (m->run && m->rows))
            granule = lcm(granule, m->granule, all);
        for (uint32_t u = of(x, m)->use_at; m->emit && u < of(x, m)->use_at + of(x, m)->uses; u++) {
            const struct use *use = &x->s->use[u];
            const struct rowmap *map =
                &x->s->artifact[use->artifact].file[use->file].extent[use->extent].map;

            if (map->kind != ROWMAP_NONE)
                granule = lcm(granule, map->head * tensor_slab(&m->call->out), all);
        }
    }
    int64_t tile = (int64_t)((double)x->worker_bytes / WORKER_TILES / bytes);

    if (x->options->tile_elements)
        tile = x->options->tile_elements;
    tile = max_i64(tile / OP_TILE, 1) * OP_TILE;
    if (granule > 1)
        tile = max_i64(tile / granule, 1) * granule;
    c->tile = min_i64(tile, all);
    c->ntile = (all + c->tile - 1) / c->tile;
}

enum cluster_next cluster_choose(struct exec *x, struct cluster *c, struct err *err)
{
    if (!choose_needs(x, c, err))
        return CLUSTER_BROKEN;
    for (uint32_t i = 0; i < c->count; i++) {
        if (!c->member[i].need)
            release(x, &c->member[i]);
        if (!c->member[i].need || !c->member[i].run)
            keep_restart(x, &c->member[i]);
    }
    if (!choose_work(x, c))
        return CLUSTER_DONE;
    choose_made(x, c);
    choose_tile(x, c);
    return CLUSTER_SWEEP;
}

const char *member_label(const struct exec *x, const struct cluster *c, uint32_t i)
{
    bool *leads = mem_grow(NULL, c->count * sizeof(*leads));
    const char *label = "a tensor";

    for (uint32_t u = i; u < c->count; u++) { /* itself, else the first that it leads to */
        const struct member *m = &c->member[u];
        const struct settled *n = of(x, m);

        leads[u] = u == i;
        for (uint32_t k = 0; m->in && k < m->call->nin; k++)
            leads[u] |= m->in[k] >= i && leads[m->in[k]];
        if (leads[u] && n->uses) {
            const struct use *use = &x->s->use[n->use_at];

            label = x->s->artifact[use->artifact].file[use->file].extent[use->extent].name;
            break;
        }
    }
    mem_free(leads);
    return label;
}

void cluster_finish(struct exec *x, struct cluster *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        struct member *m = &c->member[i];
        struct settled *n = of(x, m);

        for (uint32_t u = n->use_at; m->failed && x->outputs && u < n->use_at + n->uses; u++)
            outputs_fail(x->outputs, x->s->use[u]);
        if (m->failed)
            n->state = NODE_FAILED;
        release(x, m);
        keep_restart(x, m);
        blob_close(m->reader);
        m->reader = NULL;
        mem_free(m->state);
        m->state = NULL;
    }
}
