#include "base/file.h"
#include "base/msg.h"
#include "cli/cmd.h"
#include "cli/dropin.h"
#include "cli/machine.h"
#include "cli/merge_options.h"

#include <string.h>

static const char me[] = "merge";
enum { USAGE_EXIT = 2 }; /* the peer's, for words it does not know */

static int help(void)
{
    const char *const word[] = {me};
    const struct options options = {.word = word, .nword = 1};

    return cmd_help(&options);
}

static int refuse_usage(const struct err *err)
{
    (void)dropin_refuse(me, err, true);
    return USAGE_EXIT;
}

/* ---- the recipe --------------------------------------------------------------------------- */

static void put_key(struct buf *out, const char *key, const char *text)
{
    if (!text)
        return;
    buf_printf(out, ", %s = ", key);
    dropin_quote(out, text);
}

static void put_flag(struct buf *out, const char *key, bool flag)
{
    if (flag)
        buf_printf(out, ", %s = true", key);
}

/* What runs. The file itself is read by the word, so messages carry its lines; --recipe prints
 * what the word makes of it. */
static void put_recipe(const struct merge_options *m, struct buf *out)
{
    const struct recipe_merge *o = &m->merge;

    buf_text(out, "return { merge = safetensors { merge.yaml { ");
    dropin_quote(out, m->yaml);
    put_flag(out, "strict", o->strict);
    put_key(out, "model_dir", o->model_dir);
    put_key(out, "seed", o->seed);
    put_flag(out, "truncate_vocab", o->truncate_vocab);
    put_flag(out, "allow_mixed_arch", o->allow_mixed_arch);
    buf_text(out, " }");
    put_key(out, "shard", o->shard);
    if (o->no_tokenizer)
        buf_text(out, ", tokenizer = false");
    buf_text(out, " } }\n");
}

static const char *last_part(const char *path, struct arena *arena)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    const char *name = path_base(arena_strndup(arena, path, n));

    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || !name[0] ? NULL : name;
}

static int print_recipe(struct merge_options *m, struct arena *arena)
{
    struct buf text = {0};
    struct err err;
    int code = 0;

    m->merge.name = m->out ? last_part(m->out, arena) : NULL;
    if (recipe_of_yaml(&text, m->yaml, &m->merge, &err))
        dropin_print(&text);
    else
        code = dropin_refuse(me, &err, false);
    buf_finish(&text);
    return code;
}

/* ---- running ------------------------------------------------------------------------------ */

static struct options settings(const struct options *options, const struct merge_options *m)
{
    struct options out = *options;

    if (m->jobs)
        out.jobs = m->jobs;
    out.quiet |= m->quiet;
    out.verbose += m->verbose;
    if (m->quiet || m->verbose)
        msg_setup(out.quiet         ? MSG_QUIET
                  : out.verbose > 1 ? MSG_DEBUG
                                    : MSG_VERBOSE,
                  machine_color((enum when)out.color));
    return out;
}

static void say_idle(const struct merge_options *m)
{
    if (m->idle)
        msg_note("without effect here: %s", m->idle);
    if (m->cards)
        msg_note("%s comes with a later release: no card is written", m->cards);
}

static int build(const struct options *options, const struct merge_options *m, struct arena *arena)
{
    const struct options set = settings(options, m);
    struct dropin_out out = {.variant = me};
    struct dropin d = {.name = me, .out = &out, .nout = 1};
    struct buf text = {0};
    struct err err;

    say_idle(m);
    if (!file_exists(m->yaml)) {
        err_set(&err, ERR_IO, "%s: there is no such file", m->yaml);
        return dropin_refuse(me, &err, false);
    }
    if (!dropin_target(m->out, true, arena, &d.out_dir, &out.name, &err))
        return dropin_refuse(me, &err, false);
    put_recipe(m, &text);
    d.text = buf_cstr(&text);
    const int code = dropin_build(&set, &d);

    buf_finish(&text);
    return code;
}

static int run(const struct options *options, struct merge_options *m, struct arena *arena)
{
    const bool print = m->recipe || options->recipe;
    struct err err;

    if (m->help)
        return help();
    if (!m->yaml || (!m->out && !print)) {
        err_set(&err, ERR_RECIPE, "there is no %s", m->yaml ? "OUT_PATH" : "CONFIG_FILE");
        return refuse_usage(&err);
    }
    return print ? print_recipe(m, arena) : build(options, m, arena);
}

int cmd_merge(const struct options *options)
{
    struct arena *arena = arena_new();
    struct merge_options m;
    struct err err;
    const int code = merge_parse(&m, options->word, options->nword, arena, &err)
                         ? run(options, &m, arena)
                         : refuse_usage(&err);

    arena_free(arena);
    return code;
}
