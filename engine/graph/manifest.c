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

static void put_step(const struct settling *s, uint32_t i, const uint32_t *step_of, struct buf *out)
{
    const struct node *node = graph_node(s->graph, (struct node_id){i});

    if (!node->call.op) {
        buf_text(out, "{\"source\":");
        json_put_string(out, node->name, strlen(node->name));
    } else {
        buf_printf(out, "{\"op\":\"%s\",\"version\":%" PRIu32, node->call.op->name,
                   node->call.op->version);
        put_params(out, node);
        buf_text(out, ",\"inputs\":[");
        for (uint32_t k = 0; k < node->call.nin; k++)
            buf_printf(out, "%s%" PRIu32, k ? "," : "", step_of[node->in[k].i]);
        buf_text(out, "]");
        put_digest(out, "k", node_shallow(s, i));
    }
    if (s->node[i].d_known)
        put_digest(out, "d", s->node[i].d);
    buf_text(out, "}");
}

/* The steps of one tensor: its ancestors in id order, itself last; inputs are step numbers. */
static void put_steps(const struct settling *s, uint32_t node, uint32_t *step_of, uint32_t *list,
                      struct buf *out)
{
    uint32_t n = 0;

    list[n++] = node;
    step_of[node] = 1;
    for (uint32_t at = 0; at < n; at++) {
        const struct node *of = graph_node(s->graph, (struct node_id){list[at]});

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
    for (uint32_t i = 0; i < n; i++) {
        buf_text(out, i ? "," : "");
        put_step(s, list[i], step_of, out);
    }
    for (uint32_t i = 0; i < n; i++)
        step_of[list[i]] = 0;
}

void manifest_text(const struct settling *s, uint32_t a, struct digest digest, struct buf *out)
{
    const struct artifact *art = &s->artifact[a];
    uint32_t *step_of = mem_grow(NULL, (s->nnode + 1) * sizeof(*step_of));
    uint32_t *list = mem_grow(NULL, (s->nnode + 1) * sizeof(*list));
    bool first = true;

    memset(step_of, 0, s->nnode * sizeof(*step_of));
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
            buf_text(out, ",\"steps\":[");
            put_steps(s, x->node.i, step_of, list, out);
            buf_text(out, "]}");
        }
    buf_text(out, "\n]}\n");
    mem_free(step_of);
    mem_free(list);
}
