#include "cli/account.h"
#include "cli/cmd.h"
#include "cli/text.h"

static const char *state_word(enum node_state state)
{
    static const char *const words[] = {
        [NODE_IDLE] = "idle",       [NODE_HIT] = "hit",     [NODE_CUTOFF] = "cutoff",
        [NODE_RUN] = "run",         [NODE_ALIAS] = "alias", [NODE_FAILED] = "failed",
        [NODE_UNKNOWN] = "unknown",
    };

    return words[state];
}

static void put_json(const struct session *s, const struct artifact *a, const struct extent *extent,
                     const struct reason *r, struct buf *out)
{
    buf_text(out, "{");
    json_u64_put(out, "v", 1);
    json_word(out, "e", "reason");
    json_word(out, "artifact", a->name);
    json_word(out, "tensor", extent->name);
    json_word(out, "state", state_word(s->report.state[extent->node.i]));
    json_word(out, "reason", reason_word(r->kind));
    json_word(out, "what", r->what);
    json_word(out, "from", r->from);
    json_word(out, "to", r->to);
    json_word(out, "line", r->line);
    buf_text(out, "}\n");
}

/* One line a tensor of every artifact. */
static void put_all_json(const struct session *s, struct buf *out)
{
    static const struct reason none = {REASON_NONE, "", "", "", ""};

    for (uint32_t a = 0; a < s->recipe.nartifact; a++) {
        const struct artifact *artifact = &s->recipe.artifact[a];
        const struct build_artifact *built = &s->report.artifact[a];
        uint32_t at = 0;

        for (uint32_t f = 0; f < artifact->nfile; f++)
            for (uint32_t e = 0; e < artifact->file[f].nextent; e++, at++)
                put_json(s, artifact, &artifact->file[f].extent[e],
                         built->reason && at < built->nreason ? &built->reason[at] : &none, out);
    }
}

static void put_text(struct session *s, struct buf *out)
{
    const struct build_report *r = &s->report;

    account_reasons(s, s->options->verbose > 0, out);
    if (r->unknown)
        buf_printf(
            out, "%u nodes are unknown until their sources are hashed; vbuild build hashes them\n",
            r->unknown);
    else if (!out->size)
        buf_printf(out, "nothing would be rebuilt: %u nodes known\n", r->nodes);
}

int cmd_explain(const struct options *options)
{
    struct session s;
    struct buf text = {0};
    struct err err;
    int code = 0;

    if (session_open(&s, options, &err) &&
        build_plan(s.recipe.graph, s.recipe.artifact, s.recipe.nartifact, s.store, &s.build,
                   &s.report, &err)) {
        session_reported(&s);
        if (s.events.to) {
            put_all_json(&s, &text);
            fwrite(text.data, 1, text.size, s.events.to);
        } else {
            put_text(&s, &text);
            say_bytes(text.data, text.size);
        }
        events_end(&s.events, "planned", &s.summary);
    } else {
        code = session_fail(&s, &err, false);
    }
    buf_finish(&text);
    return session_finish(&s, code);
}
