#include "cli/quantize_recipe.h"

#include "base/file.h"
#include "format/format.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

enum { NAME_MAX_BYTES = 190 }; /* of a name in a recipe, room for the shards' numbers left */

/* ---- names -------------------------------------------------------------------------------- */

static bool cut_end(char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);

    if (n <= m || strcasecmp(name + n - m, end) != 0)
        return false;
    name[n - m] = 0;
    return true;
}

/* "-00001-of-00003" */
static void cut_shard(char *name)
{
    static const char form[] = "-ddddd-of-ddddd";
    const size_t n = strlen(name), m = sizeof(form) - 1;

    if (n <= m)
        return;
    for (size_t i = 0; i < m; i++) {
        const char c = name[n - m + i];

        if (form[i] == 'd' ? c < '0' || c > '9' : c != form[i])
            return;
    }
    name[n - m] = 0;
}

/* What a ladder's files are named after: the model without the type it is stored in. */
static const char *stem(const struct quantize *q)
{
    static const char *const types[] = {"f16", "bf16", "f32", "fp16", "fp32"};
    char *name = arena_strdup(q->arena, path_base(q->in));

    cut_end(name, ".gguf");
    cut_shard(name);
    for (const char *mark = "-._"; *mark; mark++)
        for (size_t i = 0; i < countof(types); i++)
            if (cut_end(name, arena_printf(q->arena, "%c%s", *mark, types[i])))
                return name;
    return name;
}

/* As llama-quantize names its output: beside the input, and a backslash ends a folder, too. */
static const char *default_output(const struct quantize *q)
{
    size_t n = strlen(q->in);

    while (n > 0 && q->in[n - 1] != '/' && q->in[n - 1] != '\\')
        n--;
    return arena_printf(q->arena, "%.*sggml-model-%s.gguf", (int)n, q->in, q->type[0]);
}

const char *quantize_target(const struct quantize *q)
{
    return q->out ? q->out : default_output(q);
}

/* May NAME be the name of a file in a recipe? */
static bool is_file_name(const char *name)
{
    for (const char *c = name; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || *c == '\\' || *c == '/')
            return false;
    return name[0] && name[0] != '.' && strlen(name) <= NAME_MAX_BYTES;
}

const struct dropin_out *quantize_outputs(const struct quantize *q, const char *name)
{
    struct dropin_out *out = arena_array(q->arena, q->ntype, sizeof(*out));

    for (uint32_t i = 0; i < q->ntype; i++) {
        char *file = q->ladder ? arena_printf(q->arena, "%s-%s.gguf", stem(q), q->type[i])
                               : arena_strdup(q->arena, name);
        char *variant = arena_strdup(q->arena, q->ladder ? q->type[i] : file);

        cut_end(variant, ".gguf");
        if (q->keep_split) /* what the shards' names begin with */
            cut_end(file, ".gguf");
        out[i] =
            (struct dropin_out){is_file_name(variant) ? variant : "model", file, q->keep_split};
    }
    return out;
}

/* ---- values ------------------------------------------------------------------------------- */

/* A number that Lua reads as the same integer. */
static void put_integer(struct buf *out, int64_t n)
{
    if (n == INT64_MIN)
        buf_text(out, "0x8000000000000000"); /* in decimal it would be a float */
    else
        buf_printf(out, "%" PRId64, n);
}

/* And as the same float, never as an integer. */
static void put_float(struct buf *out, double f)
{
    struct buf one = {0};

    if (f != f) {
        buf_text(out, "0/0");
        return;
    }
    buf_printf(&one, "%.17g", f);
    const char *shown = buf_cstr(&one);

    if (strchr(shown, 'n')) /* inf */
        buf_text(out, f < 0 ? "-1e999" : "1e999");
    else
        buf_printf(out, "%s%s", shown, strpbrk(shown, ".e") ? "" : ".0");
    buf_finish(&one);
}

static void put_texts(struct buf *out, const char *key, const char *const *list, uint32_t n)
{
    if (!n)
        return;
    buf_printf(out, ", %s = { ", key);
    for (uint32_t i = 0; i < n; i++) {
        buf_text(out, i ? ", " : "");
        dropin_quote(out, list[i]);
    }
    buf_text(out, " }");
}

static bool holds_empty(const char *const *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (!list[i][0])
            return true;
    return false;
}

/* The empty text is part of every name: with it all are included, or none is left. */
static void put_imatrix(const struct quantize *q, struct buf *out)
{
    const bool all = !q->ninclude || holds_empty(q->include, q->ninclude);

    if (!q->imatrix || holds_empty(q->exclude, q->nexclude))
        return;
    buf_text(out, "  imatrix = { ");
    dropin_quote(out, q->imatrix);
    if (!all)
        put_texts(out, "include", q->include, q->ninclude);
    put_texts(out, "exclude", q->exclude, q->nexclude);
    buf_text(out, " },\n");
}

static void put_override(const struct quantize_override *o, struct buf *out)
{
    buf_text(out, "    { ");
    dropin_quote(out, o->key);
    buf_text(out, ", ");
    switch (o->kind) {
    case OVERRIDE_INT:
        put_integer(out, o->i);
        break;
    case OVERRIDE_FLOAT:
        put_float(out, o->f);
        break;
    case OVERRIDE_BOOL:
        buf_text(out, o->i ? "true" : "false");
        break;
    case OVERRIDE_STR:
        dropin_quote(out, o->text);
        break;
    }
    buf_text(out, " },\n");
}

static void put_word(struct buf *out, const char *key, const char *value)
{
    if (!value)
        return;
    buf_printf(out, "  %s = ", key);
    dropin_quote(out, value);
    buf_text(out, ",\n");
}

/* Is there a head of its own in the model? An error will be found again when it is opened. */
static bool has_head(const char *path)
{
    struct arena *arena = arena_new();
    struct checkpoint ckpt;
    struct err ignored;
    bool found = false;

    if (checkpoint_open(&ckpt, path, arena, &ignored)) {
        for (size_t i = 0; !found && i < ckpt.ntensor; i++)
            found = strcmp(ckpt.tensor[i].name, "output.weight") == 0;
        checkpoint_close(&ckpt);
    }
    arena_free(arena);
    return found;
}

static void put_types(const struct quantize *q, struct buf *out)
{
    const char *output = q->output_type;

    /* With both, the type is for an embedding that is the head as well. */
    if (q->leave_output && (!output || has_head(q->in)))
        output = "keep";

    put_word(out, "output", output);
    put_word(out, "token_embd", q->embd_type);
    if (q->pure)
        buf_text(out, "  pure = true,\n");
    if (!q->npattern)
        return;
    buf_text(out, "  patterns = {\n");
    for (uint32_t i = 0; i < q->npattern; i++) {
        buf_text(out, "    { ");
        dropin_quote(out, q->pattern[i].regex);
        buf_printf(out, ", \"%s\" },\n", q->pattern[i].type);
    }
    buf_text(out, "  },\n");
}

static void put_options(const struct quantize *q, struct buf *out)
{
    put_types(q, out);
    put_imatrix(q, out);
    if (q->nprune) {
        buf_text(out, "  prune = {");
        for (uint32_t i = 0; i < q->nprune; i++)
            buf_printf(out, "%s%" PRId64, i ? ", " : " ", q->prune[i]);
        buf_text(out, " },\n");
    }
    if (q->noverride) {
        buf_text(out, "  override = {\n");
        for (uint32_t i = 0; i < q->noverride; i++)
            put_override(&q->override[i], out);
        buf_text(out, "  },\n");
    }
    if (q->allow_requantize || q->dry_run)
        buf_text(out, "  allow_requantize = true,\n");
    buf_text(out, "  as = \"llama-quantize\",\n");
}

/* ---- the text ----------------------------------------------------------------------------- */

static bool is_plain(const char *word)
{
    for (const char *c = word; *c; c++)
        if ((unsigned char)*c <= 0x20 || *c == 0x7f || strchr("\"'\\$`", *c))
            return false;
    return word[0] != 0;
}

/* The command line in a comment, which quoting keeps in one line. */
static void put_words(const char *const *word, uint32_t n, struct buf *out)
{
    buf_text(out, "-- vbuild quantize");
    for (uint32_t i = 0; i < n; i++) {
        buf_text(out, " ");
        if (is_plain(word[i]))
            buf_text(out, word[i]);
        else
            dropin_quote(out, word[i]);
    }
    buf_text(out, "\n");
}

static void put_source(const struct quantize *q, struct buf *out)
{
    const bool like_hub = strncmp(q->in, "hf://", 5) == 0;

    buf_text(out, "source ");
    dropin_quote(out, like_hub ? arena_printf(q->arena, "./%s", q->in) : q->in);
    buf_text(out, ",");
}

static void put_ladder(const struct quantize *q, struct buf *out)
{
    const char *name = stem(q);

    buf_text(out, "return variants { ");
    put_source(q, out);
    buf_text(out, "\n");
    if (is_file_name(name) && !strpbrk(name, "{}"))
        put_word(out, "name", arena_printf(q->arena, "%s-{variant}", name));
    buf_text(out, "  types = {");
    for (uint32_t i = 0; i < q->ntype; i++)
        buf_printf(out, "%s\"%s\"", i ? ", " : " ", q->type[i]);
    buf_text(out, " },\n");
    put_options(q, out);
    if (q->keep_split)
        buf_text(out, "  keep_split = true,\n");
    buf_text(out, "}\n");
}

void quantize_recipe(const struct quantize *q, const struct dropin_out *out,
                     const char *const *word, uint32_t nword, struct buf *text)
{
    put_words(word, nword, text);
    if (q->ladder) {
        put_ladder(q, text);
        return;
    }
    buf_text(text, "return { [");
    dropin_quote(text, out->variant);
    buf_text(text, "] = gguf { quantize { ");
    put_source(q, text);
    buf_printf(text, " \"%s\",\n", q->type[0]);
    put_options(q, text);
    buf_printf(text, "}%s } }\n", q->keep_split ? ", keep_split = true" : "");
}
