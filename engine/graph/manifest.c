#include "graph/manifest.h"

#include "base/json.h"
#include "graph/key.h"

#include <inttypes.h>
#include <string.h>

struct digest node_shallow(const struct settling *s, uint32_t i)
{
    const struct node *node = graph_node(s->graph, (struct node_id){i});
    struct digest d[OP_INPUTS_MAX];
    bool known = node->call.op != NULL;

    for (uint32_t k = 0; known && k < node->call.nin; k++) {
        d[k] = s->node[node->in[k].i].d;
        known = s->node[node->in[k].i].d_known;
    }
    if (known)
        return key_hash(node, KEY_SHALLOW, d);
    const struct action *old =
        node->call.op && s->node[i].q_known ? store_by_q(s->store, s->node[i].q) : NULL;

    return old ? old->k : (struct digest){{0}};
}

static void put_digest(struct buf *out, const char *field, struct digest d)
{
    char hex[DIGEST_HEX + 1];

    buf_printf(out, ",\"%s\":\"%s\"", field, digest_hex(d, hex));
}

/* The parameters of a key walk as a JSON object: what comes between version and type. */
static void put_params(struct buf *out, const struct node *node)
{
    static const struct digest none[OP_INPUTS_MAX];
    struct buf walk = {0};
    const char *last = "";
    bool first = true;

    key_text(node, KEY_SHALLOW, none, &walk);
    const char *at = (const char *)walk.data, *end = at + walk.size;

    buf_text(out, ",\"values\":{");
    for (; at < end;) {
        const char *field = at, *text = field + strlen(field) + 1;

        at = text + strlen(text) + 1;
        if (op_param(node->call.op, field) < 0)
            continue;
        if (strcmp(field, last) == 0) { /* the next element of a list */
            out->size -= 1;
            buf_text(out, ",");
        } else {
            buf_printf(out, "%s\"%s\":[", first ? "" : ",", field);
        }
        json_put_string(out, text, strlen(text));
        buf_text(out, "]");
        last = field;
        first = false;
        if (strcmp(at < end ? at : "", "coding") == 0)
            break; /* "type" and its coding follow the parameters */
    }
    buf_text(out, "}");
    buf_finish(&walk);
}

/* What the text is made from; the arrays have one element a node. */
struct manifest {
    const struct settling *s;
    uint32_t *step_of, *list;
    struct digest *d;
    bool *known;
};

/* Digests of the N steps of the list and their inputs, users first. Inputs of what was settled by
 * deep key were not looked at, but its record names theirs: the text must not depend on what the
 * cache held. */
static void find_digests(struct manifest *m, uint32_t n)
{
    for (uint32_t at = n; at-- > 0;) {
        const struct node *node = graph_node(m->s->graph, (struct node_id){m->list[at]});
        const struct settled *own = &m->s->node[m->list[at]];
        const struct action *old = NULL;

        if (own->d_known) {
            m->d[m->list[at]] = own->d;
            m->known[m->list[at]] = true;
        }
        for (uint32_t k = 0; k < node->call.nin; k++) {
            const uint32_t in = node->in[k].i;

            if (m->known[in] || m->s->node[in].d_known)
                continue;
            old = old || !own->q_known ? old : store_by_q(m->s->store, own->q);
            if (old && old->ninput == node->call.nin) {
                m->d[in] = old->input[k].d;
                m->known[in] = true;
            }
        }
    }
}

static struct digest step_key(const struct manifest *m, uint32_t i)
{
    const struct node *node = graph_node(m->s->graph, (struct node_id){i});
    struct digest d[OP_INPUTS_MAX];

    for (uint32_t k = 0; k < node->call.nin; k++) {
        if (!m->known[node->in[k].i])
            return node_shallow(m->s, i);
        d[k] = m->d[node->in[k].i];
    }
    return key_hash(node, KEY_SHALLOW, d);
}

static void put_step(const struct manifest *m, uint32_t i, struct buf *out)
{
    const struct node *node = graph_node(m->s->graph, (struct node_id){i});

    if (!node->call.op) {
        buf_text(out, "{\"source\":");
        json_put_string(out, node->name, strlen(node->name));
    } else {
        buf_printf(out, "{\"op\":\"%s\",\"version\":%" PRIu32, node->call.op->name,
                   node->call.op->version);
        put_params(out, node);
        buf_text(out, ",\"inputs\":[");
        for (uint32_t k = 0; k < node->call.nin; k++)
            buf_printf(out, "%s%" PRIu32, k ? "," : "", m->step_of[node->in[k].i]);
        buf_text(out, "]");
        put_digest(out, "k", step_key(m, i));
    }
    if (m->known[i])
        put_digest(out, "d", m->d[i]);
    buf_text(out, "}");
}

static enum dtype dtype_at(const struct manifest *m, uint32_t i)
{
    return graph_tensor(m->s->graph, (struct node_id){i})->dtype;
}

/* What a tensor of blocks was quantized to before: the type of the first blocks among the N steps
 * of its list that a step decoded. NULL: of none, or they were only moved. */
static const char *requantized_from(const struct manifest *m, uint32_t tensor, uint32_t n)
{
    if (!dtype_is_block(dtype_at(m, tensor)))
        return NULL;
    for (uint32_t at = 0; at < n; at++) {
        const struct node *node = graph_node(m->s->graph, (struct node_id){m->list[at]});

        for (uint32_t k = 0; k < node->call.nin; k++) {
            const enum dtype from = dtype_at(m, node->in[k].i);

            if (dtype_is_block(from) && from != node->call.out.dtype)
                return dtype_name(from);
        }
    }
    return NULL;
}

/* The steps of one tensor: its ancestors in id order, itself last; inputs are step numbers. */
static void put_steps(struct manifest *m, uint32_t node, struct buf *out)
{
    uint32_t *step_of = m->step_of, *list = m->list, n = 0;

    list[n++] = node;
    step_of[node] = 1;
    for (uint32_t at = 0; at < n; at++) {
        const struct node *of = graph_node(m->s->graph, (struct node_id){list[at]});

        for (uint32_t k = 0; k < of->call.nin; k++)
            if (!step_of[of->in[k].i]) {
                step_of[of->in[k].i] = 1;
                list[n++] = of->in[k].i;
            }
    }
    for (uint32_t i = 1; i < n; i++) /* few: insertion sort by id */
        for (uint32_t k = i; k > 0 && list[k] < list[k - 1]; k--) {
            const uint32_t swap = list[k];

            list[k] = list[k - 1];
            list[k - 1] = swap;
        }
    for (uint32_t i = 0; i < n; i++)
        step_of[list[i]] = i;
    find_digests(m, n);
    const char *before = requantized_from(m, node, n);

    if (before)
        buf_printf(out, ",\"requantized_from\":\"%s\"", before);
    buf_text(out, ",\"steps\":[");
    for (uint32_t i = 0; i < n; i++) {
        buf_text(out, i ? "," : "");
        put_step(m, list[i], out);
    }
    buf_text(out, "]");
    for (uint32_t i = 0; i < n; i++)
        step_of[list[i]] = 0;
}

void manifest_text(const struct settling *s, uint32_t a, struct digest digest, struct buf *out)
{
    const struct artifact *art = &s->artifact[a];
    struct arena *arena = arena_new();
    struct manifest m = {.s = s,
                         .step_of = arena_array(arena, s->nnode, sizeof(*m.step_of)),
                         .list = arena_array(arena, s->nnode, sizeof(*m.list)),
                         .d = arena_array(arena, s->nnode, sizeof(*m.d)),
                         .known = arena_array(arena, s->nnode, sizeof(*m.known))};
    bool first = true;

    buf_text(out, "{\"vbuild_manifest\":1,\"kind\":");
    json_put_string(out, art->kind, strlen(art->kind));
    put_digest(out, "digest", digest);
    buf_text(out, ",\"tensors\":[");
    for (uint32_t f = 0; f < art->nfile; f++)
        for (uint32_t e = 0; e < art->file[f].nextent; e++) {
            const struct extent *x = &art->file[f].extent[e];

            buf_text(out, first ? "\n{\"name\":" : ",\n{\"name\":");
            first = false;
            json_put_string(out, x->name, strlen(x->name));
            buf_printf(out, ",\"type\":\"%s\",\"bytes\":%" PRIu64,
                       dtype_name(graph_tensor(s->graph, x->node)->dtype), x->size);
            put_digest(out, "d", s->node[x->node.i].d);
            put_steps(&m, x->node.i, out);
            buf_text(out, "}");
        }
    buf_text(out, "\n]}\n");
    arena_free(arena);
}
