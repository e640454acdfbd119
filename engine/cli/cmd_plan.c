#include "base/msg.h"
#include "cli/account.h"
#include "cli/cmd.h"
#include "cli/text.h"

static void put_counts(const struct build_report *r, struct buf *out)
{
    buf_printf(out, "plan: %u to run, %u hit, %u cutoff, %u alias", r->run, r->hit, r->cutoff,
               r->alias);
    if (r->unknown)
        buf_printf(out, ", %u unknown until their sources are hashed (a build does that)",
                   r->unknown);
    buf_text(out, "\n");
}

static void put_plan(struct session *s, struct buf *out)
{
    char text[32];

    put_counts(&s->report, out);
    for (uint32_t i = 0; i < s->summary.nartifact; i++) {
        const struct summary_artifact *a = &s->summary.artifact[i];

        buf_printf(out, "%s: %llu bytes, %u tensors; ", a->path,
                   (unsigned long long)a->size.file_bytes, a->size.tensors);
        put_bits(out, &a->size);
        buf_text(out, "\n");
    }
    buf_printf(out, "memory: at most %s of tensor bytes at a time (--mem)\n",
               size_text(s->build.mem_bytes, text, sizeof(text)));
    if (s->options->explain)
        account_reasons(s, false, out);
}

int cmd_plan(const struct options *options)
{
    struct session s;
    struct buf text = {0};
    struct err err;
    int code = 0;

    if (session_open(&s, options, &err) &&
        build_plan(s.recipe.graph, s.recipe.artifact, s.recipe.nartifact, s.store, &s.build,
                   &s.report, &err)) {
        session_reported(&s);
        put_plan(&s, &text);
        say_bytes(text.data, text.size);
        events_end(&s.events, "planned", &s.summary);
    } else {
        code = session_fail(&s, &err, false);
    }
    buf_finish(&text);
    return session_finish(&s, code);
}
