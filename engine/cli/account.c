#include "cli/account.h"

#include "cli/text.h"

#include <string.h>

enum { REASONS_SHOWN = 2, GROUPS_MAX = 256, NAMES_MAX = 120 };

/* Tensors that were rebuilt for one reason. */
struct group {
    struct reason reason;
    uint32_t count;
};

const char *reason_word(enum reason_kind kind)
{
    static const char *const words[] = {
        [REASON_NONE] = "none",       [REASON_NEW] = "new",       [REASON_PARAM] = "param",
        [REASON_OP] = "op",           [REASON_SOURCE] = "source", [REASON_INPUT] = "input",
        [REASON_EVICTED] = "evicted", [REASON_FORCED] = "forced",
    };

    return words[kind];
}

/* One cause? What the source tensors and inputs are called does not part them. */
static bool same_cause(const struct reason *a, const struct reason *b)
{
    if (a->kind != b->kind || strcmp(a->line, b->line) != 0)
        return false;
    if (a->kind != REASON_PARAM && a->kind != REASON_OP)
        return true;
    return strcmp(a->what, b->what) == 0 && strcmp(a->from, b->from) == 0 &&
           strcmp(a->to, b->to) == 0;
}

static void add_reason(struct group *group, uint32_t *n, const struct reason *reason)
{
    uint32_t i = 0;

    while (i < *n && !same_cause(&group[i].reason, reason))
        i++;
    if (i == GROUPS_MAX)
        return;
    if (i == *n)
        group[(*n)++] = (struct group){.reason = *reason};
    group[i].count++;
}

/* The causes of what ran, each node once, in the order of the artifacts. */
static uint32_t collect(struct session *s, struct group *group)
{
    bool *seen = arena_array(s->arena, graph_nodes(s->recipe.graph), sizeof(*seen));
    uint32_t n = 0;

    for (uint32_t a = 0; a < s->recipe.nartifact; a++) {
        const struct artifact *artifact = &s->recipe.artifact[a];
        const struct build_artifact *built = &s->report.artifact[a];
        uint32_t at = 0; /* in built->reason: extents of all files in order */

        for (uint32_t f = 0; built->reason && f < artifact->nfile; f++)
            for (uint32_t e = 0; e < artifact->file[f].nextent; e++, at++) {
                const uint32_t node = artifact->file[f].extent[e].node.i;

                if (s->report.state[node] != NODE_RUN || seen[node])
                    continue;
                seen[node] = true;
                if (at < built->nreason && built->reason[at].kind != REASON_NONE)
                    add_reason(group, &n, &built->reason[at]);
            }
    }
    return n;
}

static void put_group(struct buf *out, const struct group *g, struct arena *arena)
{
    struct reason r = g->reason;
    const char *colon = strstr(r.what, ": ");

    if (r.kind == REASON_SOURCE && g->count > 1 && colon) /* of several tensors: the file */
        r.what = arena_strndup(arena, r.what, (size_t)(colon - r.what));
    buf_printf(out, "%u tensor%s: ", g->count, g->count == 1 ? "" : "s");
    explain_reason(&r, NODE_RUN, out);
}

/* "why: 11 tensors: param type: q4_k -> q5_k (r.lua:41); ...": the largest groups first. */
static uint32_t put_why(struct session *s, struct buf *out)
{
    struct group *group = arena_array(s->arena, GROUPS_MAX, sizeof(*group));
    const uint32_t n = collect(s, group);
    const uint32_t shown = n < REASONS_SHOWN ? n : REASONS_SHOWN;

    if (!n)
        return 0;
    buf_text(out, "why: ");
    for (uint32_t k = 0; k < shown; k++) {
        uint32_t best = 0;

        for (uint32_t i = 1; i < n; i++)
            if (group[i].count > group[best].count)
                best = i;
        buf_text(out, k ? "; " : "");
        put_group(out, &group[best], s->arena);
        group[best].count = 0;
    }
    if (n > shown)
        buf_printf(out, "; and %u more reason%s (--explain)", n - shown, n - shown == 1 ? "" : "s");
    buf_text(out, "\n");
    return 1;
}

static void put_count(struct buf *out, uint32_t n, const char *word, bool *any)
{
    if (!n)
        return;
    buf_printf(out, "%s%u %s", *any ? ", " : ": ", n, word);
    *any = true;
}

/* What ran, what was kept, what moved. */
static void put_counts(const struct summary *r, int64_t wall_ns, struct buf *out)
{
    char took[32], read[32], written[32];
    bool any = false;

    buf_printf(out, "ran %u of %u nodes in %s; kept %u", r->run, r->nodes,
               duration_text(wall_ns, took, sizeof(took)), r->hit + r->cutoff + r->alias);
    put_count(out, r->hit, "hit", &any);
    put_count(out, r->cutoff, "cutoff", &any);
    put_count(out, r->alias, "alias", &any);
    if (r->failed)
        buf_printf(out, "; %u failed", r->failed);
    buf_printf(out, "; read %s, wrote %s\n", size_text(r->read_bytes, read, sizeof(read)),
               size_text(r->written_bytes, written, sizeof(written)));
}

static void put_artifact(const struct summary_artifact *a, struct buf *out)
{
    char text[32];

    if (a->failed) {
        buf_printf(out, "not written: %s\n", a->path);
        return;
    }
    buf_printf(out, "%s %s: %s, ", a->written ? "wrote" : "kept", a->path,
               size_text(a->size.file_bytes, text, sizeof(text)));
    put_bits(out, &a->size);
    buf_text(out, "\n");
}

/* The artifacts from FIRST on in one line, as many as fit. */
static void put_rest(const struct summary *s, uint32_t first, struct buf *out)
{
    const uint32_t n = s->nartifact;
    size_t start = out->size;

    buf_printf(out, "and %u more:", n - first);
    for (uint32_t i = first; i < n; i++) {
        const struct summary_artifact *a = &s->artifact[i];

        if (out->size - start > NAMES_MAX) {
            buf_text(out, " ...");
            break;
        }
        buf_printf(out, "%s%s %s", i > first ? ", " : " ",
                   a->failed    ? "not written"
                   : a->written ? "wrote"
                                : "kept",
                   a->path);
    }
    buf_text(out, "\n");
}

void account_put(struct session *s, int64_t wall_ns, struct buf *out)
{
    const struct summary *r = &s->summary;
    const uint32_t n = r->nartifact;
    uint32_t changed = 0, lines = 1;
    char took[32];

    for (uint32_t i = 0; i < n; i++)
        changed += r->artifact[i].written || r->artifact[i].failed;
    if (!r->run && !r->failed && !changed) {
        buf_printf(out, "nothing to do: %u artifact%s in %s %s up to date, %u nodes known (%s)\n",
                   n, n == 1 ? "" : "s", s->ws.out_dir, n == 1 ? "is" : "are", r->nodes,
                   duration_text(wall_ns, took, sizeof(took)));
        return;
    }
    put_counts(r, wall_ns, out);
    lines += put_why(s, out);
    const uint32_t room = ACCOUNT_LINES - lines;
    const uint32_t whole = n <= room ? n : room - 1;

    for (uint32_t i = 0; i < whole; i++)
        put_artifact(&r->artifact[i], out);
    if (whole < n)
        put_rest(r, whole, out);
}

void account_reasons(const struct session *s, bool all, struct buf *out)
{
    for (uint32_t a = 0; a < s->recipe.nartifact; a++)
        explain_artifact(&s->recipe.artifact[a], &s->report.artifact[a], s->report.state, all, out);
}
