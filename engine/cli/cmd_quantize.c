#include "base/file.h"
#include "base/msg.h"
#include "cli/cmd.h"
#include "cli/machine.h"
#include "cli/options_table.h"
#include "cli/quantize_recipe.h"
#include "cli/text.h"

#include <string.h>

static const char me[] = "quantize";

/* ---- what is asked for -------------------------------------------------------------------- */

/* llama-quantize reads nothing else, and a recipe would. */
static bool check_input(const char *path, struct err *err)
{
    char head[4];
    int fd;
    bool ok = false;

    if (!file_is_dir(path)) {
        if (!file_open(path, &fd, err))
            return false;
        ok = file_read_at(fd, path, head, sizeof(head), 0, err) && memcmp(head, "GGUF", 4) == 0;
        file_close(fd);
    }
    return ok || err_set(err, ERR_RECIPE,
                         "%s is no GGUF file; other models are quantized by a recipe "
                         "(vbuild help source)",
                         path);
}

/* Where the outputs go; that of a ladder is a folder, which need not be there. */
static bool find_target(const struct quantize *q, struct dropin *d, const char **name,
                        struct err *err)
{
    const char *target = quantize_target(q), *last;

    if (!dropin_target(target, q->ladder, q->arena, &d->out_dir, name, err))
        return false;
    if (!q->ladder)
        return true;
    last = path_join(q->arena, d->out_dir, *name);
    d->out_dir = last;
    return true;
}

/* The words of llama-quantize go before vbuild's own. */
static struct options settings(const struct options *options, const struct quantize *q)
{
    struct options out = *options;
    const uint64_t mem = out.mem_bytes ? out.mem_bytes : machine_memory();

    if (q->threads > 0)
        out.jobs = q->threads < OPTIONS_JOBS_MAX ? (uint64_t)q->threads : OPTIONS_JOBS_MAX;
    if (q->buffer_bytes && q->buffer_bytes < mem)
        out.mem_bytes = q->buffer_bytes;
    return out;
}

/* ---- dry run ------------------------------------------------------------------------------ */

/* The source tensor that node I is made of: everything here has one. */
static const struct node *origin(const struct graph *graph, struct node_id id)
{
    const struct node *node = graph_node(graph, id);

    while (node->call.op && node->call.nin)
        node = graph_node(graph, node->in[0]);
    return node;
}

static void put_shape(struct buf *out, const struct tensor *t)
{
    for (uint32_t i = t->rank; i-- > 0;) /* as GGUF writes it, columns first */
        buf_printf(out, "%s%lld", i + 1 < t->rank ? ", " : "", (long long)t->dim[i]);
}

static void put_tensor(struct buf *out, const struct graph *graph, const struct extent *x,
                       uint64_t *before)
{
    const struct tensor *from = &origin(graph, x->node)->call.out;
    const struct tensor *to = graph_tensor(graph, x->node);
    const double mib = 0x1p20;
    struct buf shape = {0};

    put_shape(&shape, from);
    buf_printf(out, "%-40s [%s]%*s %-7s %10.3f MiB", x->name, buf_cstr(&shape),
               shape.size < 18 ? (int)(18 - shape.size) : 0, "", dtype_name(from->dtype),
               (double)tensor_bytes(from) / mib);
    if (to->dtype != from->dtype)
        buf_printf(out, " -> %-7s %10.3f MiB", dtype_name(to->dtype), (double)x->size / mib);
    buf_text(out, "\n");
    *before += tensor_bytes(from);
    buf_finish(&shape);
}

static void put_total(struct buf *out, const char *name, uint64_t bytes, uint64_t weights)
{
    char text[32];

    buf_printf(out, "%s: %s", name, size_text(bytes, text, sizeof(text)));
    if (weights)
        buf_printf(out, " of tensors, %.3f bits per weight", 8.0 * (double)bytes / (double)weights);
    buf_text(out, "\n");
}

static void put_dry(const struct recipe *recipe, const struct artifact *a, const char *in,
                    const char *type, struct buf *out)
{
    uint64_t before = 0, weights = 0;

    for (uint32_t f = 0; f < a->nfile; f++)
        for (uint32_t e = 0; e < a->file[f].nextent; e++) {
            put_tensor(out, recipe->graph, &a->file[f].extent[e], &before);
            weights +=
                (uint64_t)tensor_elements(graph_tensor(recipe->graph, a->file[f].extent[e].node));
        }
    const struct artifact_size size = artifact_size(recipe->graph, a);

    put_total(out, in, before, weights);
    put_total(out, type, size.tensor_bytes, weights);
    buf_printf(out, "file: %llu bytes\n", (unsigned long long)size.file_bytes);
}

static int dry_run(const struct quantize *q, const char *text)
{
    const struct recipe_options want = {.text = text, .sizes_only = true};
    struct recipe recipe;
    struct buf out = {0};
    struct err err;

    if (!recipe_open(&recipe, me, &want, &err)) {
        msg_error("%s", err.text);
        return 1;
    }
    for (uint32_t i = 0; i < recipe.nnote; i++)
        msg_note("%s", recipe.note[i]);
    for (uint32_t i = 0; i < recipe.nartifact && i < q->ntype; i++)
        put_dry(&recipe, &recipe.artifact[i], q->in, q->type[i], &out);
    say_bytes(out.data, out.size);
    buf_finish(&out);
    recipe_close(&recipe);
    return 0;
}

/* ---- the subcommand ----------------------------------------------------------------------- */

static int help(void)
{
    const char *const word[] = {me};
    const struct options options = {.word = word, .nword = 1};

    return cmd_help(&options);
}

/* Nothing is asked for: how to ask. */
static int usage(void)
{
    struct buf text = {0};

    options_help(command_find(me), &text);
    say_bytes(text.data, text.size);
    buf_finish(&text);
    return 1;
}

static int build(const struct options *options, const struct quantize *q, struct buf *text)
{
    const struct options set = settings(options, q);
    struct dropin d = {.name = me, .nout = q->ntype};
    const char *name;
    struct err err;

    if (!check_input(q->in, &err) || !find_target(q, &d, &name, &err))
        return dropin_refuse(me, &err, false);
    d.out = quantize_outputs(q, name);
    quantize_recipe(q, d.out, options->word, options->nword, text);
    d.text = buf_cstr(text);
    return dropin_build(&set, &d);
}

static int run(const struct options *options, struct quantize *q)
{
    struct buf text = {0};
    struct err err;
    int code = 0;

    q->recipe |= options->recipe;
    q->dry_run |= options->dry_run;
    if (!q->recipe && !q->dry_run) {
        code = build(options, q, &text);
        buf_finish(&text);
        return code;
    }
    const char *name = path_base(quantize_target(q));

    quantize_recipe(q, quantize_outputs(q, name), options->word, options->nword, &text);
    if (q->recipe)
        dropin_print(&text);
    else if (!check_input(q->in, &err))
        code = dropin_refuse(me, &err, false);
    else
        code = dry_run(q, buf_cstr(&text));
    buf_finish(&text);
    return code;
}

int cmd_quantize(const struct options *options)
{
    struct arena *arena = arena_new();
    struct quantize q;
    struct err err;
    int code;

    if (!options->nword)
        code = usage();
    else if (!quantize_parse(&q, options->word, options->nword, arena, &err))
        code = dropin_refuse(me, &err, q.usage);
    else if (q.help)
        code = help();
    else
        code = run(options, &q);
    arena_free(arena);
    return code;
}
