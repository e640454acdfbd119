/* The new key walk is laid beside the one in the action record: the first field that differs is
 * the reason; where it is an input, the walk goes on into that input, down to the cause. */
#include "graph/explain.h"

#include "graph/key.h"
#include "graph/settle.h"

#include <inttypes.h>
#include <string.h>

enum { EXPLAIN_DEPTH = 64 }; /* ops in a chain that are looked through */

#define UNHASHED "not hashed yet" /* reason.from of a source of which nothing is known */

struct walk { /* one key walk as text: "field\0value\0" pairs */
    const char *at, *end;
};

static bool next_pair(struct walk *w, const char **field, const char **value)
{
    if (w->at >= w->end)
        return false;
    *field = w->at;
    *value = *field + strlen(*field) + 1;
    w->at = *value + strlen(*value) + 1;
    return true;
}

/* The old record ends in a NUL, or it is not used: it is a file's content. */
static bool well_formed(const struct action *old)
{
    uint32_t nuls = 0;

    for (uint32_t i = 0; i < old->text_size; i++)
        nuls += old->text[i] == 0;
    return old->text_size && old->text[old->text_size - 1] == 0 && nuls % 2 == 0;
}

static struct reason make(enum reason_kind kind, const char *what, const char *from, const char *to,
                          const char *line)
{
    return (struct reason){kind, what, from, to, line};
}

static const char *input_name(const struct graph *graph, struct node_id id, struct arena *arena)
{
    const struct node *node = graph_node(graph, id);

    if (node->call.op)
        return arena_printf(arena, "%s", node->call.op->name);
    return arena_printf(arena, "%s: %s", graph_file(graph, node->file)->shown, node->name);
}

/* A value as people see it: of a digest the first digits. */
static const char *shown_value(const char *value, struct arena *arena)
{
    struct digest d;

    return digest_parse(value, &d) ? arena_strndup(arena, value, 12) : arena_strdup(arena, value);
}

/* The first field of op, version, parameters and shapes that differs; kind NONE if none does. */
static struct reason compare_fields(const struct node *node, const struct action *old,
                                    struct arena *arena)
{
    static const struct digest none[OP_INPUTS_MAX];
    struct reason reason = {REASON_NONE, "", "", "", node->line};
    struct buf text = {0};
    const char *field, *value, *was_field, *was;

    key_text(node, KEY_SHALLOW, none, &text);
    struct walk now = {(const char *)text.data, (const char *)text.data + text.size};
    struct walk before = {old->text, old->text + old->text_size};

    while (reason.kind == REASON_NONE && next_pair(&now, &field, &value)) {
        if (!next_pair(&before, &was_field, &was)) {
            was_field = field;
            was = "nothing";
        }
        if (strcmp(field, "input") == 0 || (strcmp(field, was_field) == 0 && !strcmp(value, was)))
            continue;
        const bool op = !strcmp(field, "op") || !strcmp(field, "version") ||
                        !strcmp(field, "coding") || strcmp(field, was_field) != 0;

        reason.kind = op ? REASON_OP : REASON_PARAM;
        reason.what = arena_strdup(arena, field);
        reason.from = shown_value(was, arena);
        reason.to = shown_value(value, arena);
    }
    buf_finish(&text);
    return reason;
}

/* The input at fault: another deep key than recorded. *AT is its number, or nin if none is. */
static uint32_t changed_input(struct settling *s, const struct node *node, const struct action *old)
{
    uint32_t k = 0;

    for (; k < node->call.nin && k < old->ninput; k++) {
        const struct settled *in = &s->node[node->in[k].i];

        if (!in->q_known || !digest_eq(in->q, old->input[k].q))
            break;
    }
    return k;
}

/* The bytes of source ID changed; or, in a plan, nobody can say before its file is hashed. */
static struct reason source_reason(const struct settling *s, struct node_id id, struct arena *arena,
                                   const char *line)
{
    const struct node *node = graph_node(s->graph, id);

    if (s->node[id.i].d_known)
        return make(REASON_SOURCE, input_name(s->graph, id, arena), "", "", line);
    return make(REASON_SOURCE, graph_file(s->graph, node->file)->shown, UNHASHED, "", line);
}

/* One step down: a reason, or the input to look into next (*NODE, *OLD). */
static struct reason step(struct settling *s, uint32_t *at, const struct action **old,
                          struct arena *arena)
{
    const struct node *node = graph_node(s->graph, (struct node_id){*at});
    struct reason reason = compare_fields(node, *old, arena);

    if (reason.kind != REASON_NONE)
        return reason;
    const uint32_t k = changed_input(s, node, *old);

    if (k == node->call.nin)
        return make(REASON_EVICTED, "", "", "", node->line);
    const struct node *in = graph_node(s->graph, node->in[k]);
    const char *label = input_name(s->graph, node->in[k], arena);
    const char *was = (*old)->input[k].label;

    if (!in->call.op && strcmp(label, was) == 0)
        return source_reason(s, node->in[k], arena, node->line);
    const struct action *below = store_by_q(s->store, (*old)->input[k].q);

    if (in->call.op && below && well_formed(below)) {
        *at = node->in[k].i;
        *old = below;
        return reason; /* kind NONE: go on there */
    }
    return make(REASON_INPUT, label,
                was[0]  ? was
                : below ? "another op"
                        : "another input",
                label, node->line);
}

static struct reason explain_alias(const struct settling *s, const struct extent *x,
                                   const struct artifact_entry *was, struct arena *arena)
{
    static const struct digest zero;
    const struct settled *n = &s->node[x->node.i];
    const char *label = input_name(s->graph, x->node, arena);

    if (n->d_known && digest_eq(n->d, was->d))
        return make(REASON_NONE, "", "", "", "");
    if (!digest_eq(was->k, zero))
        return make(REASON_INPUT, label, "a computed tensor", label, "");
    return source_reason(s, x->node, arena, "");
}

struct reason explain_extent(struct settling *s, uint32_t a, const struct extent *x,
                             struct arena *arena)
{
    const struct artifact_entry *was = record_entry(s->record[a], x->name);
    const struct node *node = graph_node(s->graph, x->node);
    const struct settled *n = &s->node[x->node.i];
    uint32_t at = x->node.i;

    if (!was)
        return make(REASON_NEW, "", "", "", node->line);
    if (!node->call.op)
        return explain_alias(s, x, was, arena);
    if (s->options->force)
        return make(REASON_FORCED, "", "", "", node->line);
    if (n->q_known && digest_eq(n->q, was->q))
        return make(n->state == NODE_RUN ? REASON_EVICTED : REASON_NONE, "", "", "", node->line);
    const struct action *old = store_by_q(s->store, was->q);

    if (!old)
        return make(REASON_INPUT, input_name(s->graph, x->node, arena), "a source tensor",
                    node->call.op->name, node->line);
    for (int depth = 0; depth < EXPLAIN_DEPTH && well_formed(old); depth++) {
        const struct reason reason = step(s, &at, &old, arena);

        if (reason.kind != REASON_NONE)
            return reason;
    }
    return make(REASON_INPUT, node->call.op->name, "its inputs", "others", node->line);
}

static bool same_reason(const struct reason *a, const struct reason *b)
{
    return a->kind == b->kind && !strcmp(a->what, b->what) && !strcmp(a->from, b->from) &&
           !strcmp(a->to, b->to) && !strcmp(a->line, b->line);
}

void explain_reason(const struct reason *r, enum node_state state, struct buf *out)
{
    switch (r->kind) {
    case REASON_NONE:
        buf_text(out, "unchanged");
        break;
    case REASON_NEW:
        buf_text(out, "new in this artifact");
        break;
    case REASON_PARAM:
        buf_printf(out, "param %s: %s -> %s", r->what, r->from, r->to);
        break;
    case REASON_OP:
        buf_printf(out, "%s: %s -> %s", r->what, r->from, r->to);
        break;
    case REASON_SOURCE:
        if (r->from[0])
            buf_printf(out, "source may have changed, it is %s: %s", r->from, r->what);
        else
            buf_printf(out, "source changed: %s", r->what);
        break;
    case REASON_INPUT:
        buf_printf(out, "input: %s -> %s", r->from, r->to);
        break;
    case REASON_EVICTED:
        buf_text(out, "its bytes are no longer in the cache");
        break;
    case REASON_FORCED:
        buf_text(out, "--force");
        break;
    }
    if (state == NODE_CUTOFF)
        buf_text(out, "; same bytes, not run (cutoff)");
    if (r->line[0])
        buf_printf(out, " (%s)", r->line);
}

static bool interesting(enum node_state state, const struct reason *r)
{
    return state == NODE_RUN || state == NODE_CUTOFF || state == NODE_FAILED ||
           state == NODE_UNKNOWN || (state == NODE_ALIAS && r->kind != REASON_NONE);
}

struct group { /* extents with one reason and one state */
    const struct reason *reason;
    enum node_state state;
    const char *first;
    uint32_t count;
};

static void add_to_group(struct group **group, uint32_t *n, const struct reason *reason,
                         enum node_state state, const char *name)
{
    uint32_t g = 0;

    while (g < *n && !((*group)[g].state == state && same_reason((*group)[g].reason, reason)))
        g++;
    if (g == *n) {
        if ((*n & (*n - 1)) == 0)
            *group = mem_grow(*group, (*n ? 2 * *n : 1) * sizeof(**group));
        (*group)[(*n)++] = (struct group){reason, state, name, 0};
    }
    (*group)[g].count++;
}

void explain_artifact(const struct artifact *art, const struct build_artifact *report,
                      const enum node_state *states, bool all, struct buf *out)
{
    struct group *group = NULL;
    uint32_t n = 0, at = 0;

    for (uint32_t f = 0; report->reason && f < art->nfile; f++)
        for (uint32_t e = 0; e < art->file[f].nextent; e++, at++) {
            const struct extent *x = &art->file[f].extent[e];
            const enum node_state state = states[x->node.i];

            if (all || interesting(state, &report->reason[at]))
                add_to_group(&group, &n, &report->reason[at], state, x->name);
        }
    for (uint32_t g = 0; g < n; g++) {
        buf_text(out, group[g].first);
        if (group[g].count > 1)
            buf_printf(out, " (and %" PRIu32 " more)", group[g].count - 1);
        buf_text(out, ": ");
        explain_reason(group[g].reason, group[g].state, out);
        buf_text(out, "\n");
    }
    mem_free(group);
}
