#include "cli/quantize_options.h"

#include "base/file.h"
#include "base/msg.h"
#include "cli/options.h"
#include "cli/quantize_types.h"
#include "cli/text.h"
#include "tensor/dtype.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_MAX = 127, STRING_MAX = 127, TYPE_FILE_MAX = 16 << 20 };

/* ---- tensor types ------------------------------------------------------------------------- */

static bool misused(struct quantize *q)
{
    q->usage = true;
    return false;
}

/* A tensor type as ggml names them, in any case. */
static bool element_type(struct quantize *q, const char *shown, const char *text, const char **out,
                         struct err *err)
{
    enum dtype dtype;

    if (dtype_find(text, &dtype) && dtype_info(dtype)->gguf >= 0) {
        *out = dtype_name(dtype);
        return true;
    }
    const char *near = dtype_nearest(text);

    err_set(err, ERR_RECIPE, "%s: '%s' is no tensor type%s%s%s; types are q8_0, q4_k, f16, ...",
            shown, text, near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    return misused(q);
}

/* ---- options ------------------------------------------------------------------------------ */

static void add_text(struct quantize *q, const char ***list, uint32_t *n, const char *text)
{
    const char **more = arena_array(q->arena, *n + 1, sizeof(*more));

    for (uint32_t i = 0; i < *n; i++)
        more[i] = (*list)[i];
    more[(*n)++] = text;
    *list = more;
}

static bool take_imatrix(struct quantize *q, const char *text, struct err *err)
{
    (void)err;
    q->imatrix = text[0] ? text : NULL; /* an empty path is none */
    return true;
}

static bool take_include(struct quantize *q, const char *text, struct err *err)
{
    (void)err;
    add_text(q, &q->include, &q->ninclude, text);
    return true;
}

static bool take_exclude(struct quantize *q, const char *text, struct err *err)
{
    (void)err;
    add_text(q, &q->exclude, &q->nexclude, text);
    return true;
}

static bool take_output(struct quantize *q, const char *text, struct err *err)
{
    return element_type(q, "--output-tensor-type", text, &q->output_type, err);
}

static bool take_embedding(struct quantize *q, const char *text, struct err *err)
{
    return element_type(q, "--token-embedding-type", text, &q->embd_type, err);
}

/* PATTERN=TYPE; the pattern is made lower case where it is compiled. */
static bool take_pattern(struct quantize *q, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    const char *type;

    if (!equals || equals == text || !equals[1]) {
        err_set(err, ERR_RECIPE, "--tensor-type: '%s' is not PATTERN=TYPE, as in attn_v=q8_0",
                text);
        return misused(q);
    }
    if (!element_type(q, "--tensor-type", equals + 1, &type, err))
        return false;
    if ((q->npattern & (q->npattern - 1)) == 0) { /* room for twice as many */
        struct quantize_pattern *more =
            arena_array(q->arena, q->npattern ? 2 * (size_t)q->npattern : 1, sizeof(*more));

        for (uint32_t i = 0; i < q->npattern; i++)
            more[i] = q->pattern[i];
        q->pattern = more;
    }
    q->pattern[q->npattern++] =
        (struct quantize_pattern){arena_strndup(q->arena, text, (size_t)(equals - text)), type};
    return true;
}

static bool take_patterns(struct quantize *q, const char *path, struct err *err)
{
    static const char blanks[] = " \t\n\v\f\r";
    char *text;
    size_t size;

    if (!file_read(path, TYPE_FILE_MAX, q->arena, &text, &size, err)) {
        err_in(err, "--tensor-type-file");
        return misused(q);
    }
    for (char *at = text + strspn(text, blanks); *at; at += strspn(at, blanks)) {
        const size_t n = strcspn(at, blanks);

        if (!take_pattern(q, arena_strndup(q->arena, at, n), err))
            return err_in(err, "%s", path);
        at += n;
    }
    return true;
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static bool take_prune(struct quantize *q, const char *text, struct err *err)
{
    int64_t *list = arena_array(q->arena, q->nprune + strlen(text) + 1, sizeof(*list));
    uint32_t n = 0, kept = 0;

    for (uint32_t i = 0; i < q->nprune; i++)
        list[n++] = q->prune[i];
    for (const char *at = text; at;) {
        const size_t size = strcspn(at, ",");
        const char *word = arena_strndup(q->arena, at, size);
        int id;

        if (!quantize_stoi(word, &id) || id < 0) {
            err_set(err, ERR_RECIPE, "--prune-layers: '%s' is no layer; write 0,3,4", word);
            return misused(q);
        }
        list[n++] = id;
        at = at[size] ? at + size + 1 : NULL;
    }
    qsort(list, n, sizeof(*list), by_number);
    for (uint32_t i = 0; i < n; i++)
        if (!i || list[i] != list[i - 1])
            list[kept++] = list[i];
    q->prune = list;
    q->nprune = kept;
    return true;
}

/* "TYPE:VALUE" into *O; the numbers as atol and atof read them. */
static bool override_value(struct quantize_override *o, const char *text, struct err *err)
{
    if (strncmp(text, "int:", 4) == 0) {
        *o = (struct quantize_override){.kind = OVERRIDE_INT, .i = strtol(text + 4, NULL, 10)};
    } else if (strncmp(text, "float:", 6) == 0) {
        *o = (struct quantize_override){.kind = OVERRIDE_FLOAT, .f = strtod(text + 6, NULL)};
    } else if (strcmp(text, "bool:true") == 0 || strcmp(text, "bool:false") == 0) {
        *o = (struct quantize_override){.kind = OVERRIDE_BOOL, .i = text[5] == 't'};
    } else if (strncmp(text, "str:", 4) == 0 && strlen(text + 4) <= STRING_MAX) {
        *o = (struct quantize_override){.kind = OVERRIDE_STR, .text = text + 4};
    } else {
        return err_set(err, ERR_RECIPE,
                       "--override-kv: '%s' is not int:N, float:N, bool:true, bool:false or "
                       "str:TEXT with at most %d bytes",
                       text, STRING_MAX);
    }
    return true;
}

static bool take_override(struct quantize *q, const char *text, struct err *err)
{
    const char *equals = strchr(text, '=');
    struct quantize_override *more, one = {0};

    if (!equals || equals == text || equals - text > KEY_MAX) {
        err_set(err, ERR_RECIPE,
                "--override-kv: '%s' is not KEY=TYPE:VALUE with a key of 1 to %d "
                "bytes",
                text, KEY_MAX);
        return misused(q);
    }
    if (!override_value(&one, equals + 1, err))
        return misused(q);
    one.key = arena_strndup(q->arena, text, (size_t)(equals - text));
    more = arena_array(q->arena, q->noverride + 1, sizeof(*more));
    for (uint32_t i = 0; i < q->noverride; i++)
        more[i] = q->override[i];
    more[q->noverride++] = one;
    q->override = more;
    return true;
}

static bool take_buffer(struct quantize *q, const char *text, struct err *err)
{
    const long mib = strtol(text, NULL, 10);

    if (mib <= 0 || mib > INT_MAX)
        return err_set(err, ERR_RECIPE, "--max-buffer-size is '%s'; it takes a number of MiB",
                       text);
    q->buffer_bytes = (uint64_t)mib << 20;
    return true;
}

#define FLAG(name) offsetof(struct quantize, name)
static const struct quantize_option {
    const char *name;
    const char *value; /* its name in the help; NULL: takes none */
    bool (*take)(struct quantize *q, const char *text, struct err *err);
    size_t flag; /* TAKE NULL: the bool that it sets */
    const char *doc;
} table[] = {
    {"--allow-requantize", NULL, NULL, FLAG(allow_requantize),
     "quantize again what is quantized already"},
    {"--leave-output-tensor", NULL, NULL, FLAG(leave_output), "copy output.weight"},
    {"--pure", NULL, NULL, FLAG(pure), "one type for every matrix, no mixture"},
    {"--output-tensor-type", "T", take_output, 0, "the type of output.weight"},
    {"--token-embedding-type", "T", take_embedding, 0, "the type of token_embd.weight"},
    {"--tensor-type", "PATTERN=T", take_pattern, 0,
     "the type of tensors whose names match an ECMAScript regex (made lower case); may be given "
     "again, the first that matches counts"},
    {"--tensor-type-file", "FILE", take_patterns, 0, "such patterns, parted by blanks or lines"},
    {"--imatrix", "FILE", take_imatrix, 0,
     "importance matrix, GGUF or legacy; the path as given enters the file"},
    {"--include-weights", "TEXT", take_include, 0,
     "use its entries whose names hold TEXT; again: more"},
    {"--exclude-weights", "TEXT", take_exclude, 0, "leave out entries whose names hold TEXT"},
    {"--prune-layers", "A,B,...", take_prune, 0, "leave out these layers, number the rest anew"},
    {"--keep-split", NULL, NULL, FLAG(keep_split), "write shards as the input has them"},
    {"--override-kv", "KEY=TYPE:VALUE", take_override, 0,
     "set metadata: TYPE is int, float, bool or str; may be given again"},
    {"--dry-run", NULL, NULL, FLAG(dry_run),
     "print the size of each tensor and of all, write nothing"},
    {"--max-buffer-size", "MIB", take_buffer, 0,
     "memory for tensor bytes, where it is less than --mem"},
    {"--recipe", NULL, NULL, FLAG(recipe),
     "print the Lua recipe that these words stand for, and end"},
    {"--help", NULL, NULL, FLAG(help), "print this help"},
};
#undef FLAG

/* ---- words -------------------------------------------------------------------------------- */

static bool unknown(struct quantize *q, const char *word, struct err *err)
{
    const char *names[countof(table)];

    for (size_t i = 0; i < countof(table); i++)
        names[i] = table[i].name;
    const char *near = near_word(word, names, countof(table));

    if (options_has(word))
        err_set(err, ERR_RECIPE, "'%s' is vbuild's own option: write it before the word quantize",
                word);
    else if (near)
        err_set(err, ERR_RECIPE, "llama-quantize has no option '%s'; did you mean '%s'?", word,
                near);
    else
        err_set(err, ERR_RECIPE, "llama-quantize has no option '%s'", word);
    return misused(q);
}

/* The option at word AT and its value; *at: behind them. */
static bool take_option(struct quantize *q, const char *const *word, uint32_t n, uint32_t *at,
                        struct err *err)
{
    const char *name = word[(*at)++];

    for (size_t i = 0; i < countof(table); i++) {
        if (strcmp(table[i].name, name) != 0)
            continue;
        if (table[i].value && *at == n) {
            err_set(err, ERR_RECIPE, "%s needs a value: %s", name, table[i].value);
            return misused(q);
        }
        if (table[i].take)
            return table[i].take(q, word[(*at)++], err);
        *(bool *)((unsigned char *)q + table[i].flag) = true;
        return true;
    }
    return unknown(q, name, err);
}

/* A list of types, as none of llama-quantize's words is: "Q4_K_M,Q6_K". */
static bool take_list(struct quantize *q, const char *text, struct err *err)
{
    for (const char *at = text; at;) {
        const size_t n = strcspn(at, ",");
        const char *name = quantize_type(arena_strndup(q->arena, at, n));

        if (!name)
            return err_set(err, ERR_RECIPE,
                           "'%s': '%.*s' is no type; vbuild help quantize lists "
                           "them",
                           text, (int)n, at);
        for (uint32_t i = 0; i < q->ntype; i++)
            if (strcmp(q->type[i], name) == 0)
                return err_set(err, ERR_RECIPE, "'%s' names %s twice", text, name);
        add_text(q, &q->type, &q->ntype, name);
        at = at[n] ? at + n + 1 : NULL;
    }
    return true;
}

static bool ends_in_slash(const char *path)
{
    return path[0] && path[strlen(path) - 1] == '/';
}

/* [OUT] TYPE. *at: behind them. */
static bool take_output_and_type(struct quantize *q, const char *const *word, uint32_t n,
                                 uint32_t *at, struct err *err)
{
    const char *text = word[(*at)++];
    const char *name = quantize_type(text);

    if (name) {
        if (!quantize_type_by_name(text) && strspn(text, "0123456789") != strlen(text))
            msg_warn("'%s' is taken as the type %s, not as an output, as llama-quantize does", text,
                     name);
        add_text(q, &q->type, &q->ntype, name);
        return true;
    }
    q->out = text;
    if (*at == n)
        return err_set(err, ERR_RECIPE, "no type follows '%s'%s", text,
                       strchr(text, ',') ? "; a list of types needs a folder before it" : "");
    text = word[(*at)++];
    q->ladder = strchr(text, ',') || ends_in_slash(q->out);
    if (q->ladder)
        return take_list(q, text, err);
    name = quantize_type(text);
    if (!name)
        return err_set(err, ERR_RECIPE, "'%s' is no type; vbuild help quantize lists them", text);
    add_text(q, &q->type, &q->ntype, name);
    return true;
}

static bool take_rest(struct quantize *q, const char *const *word, uint32_t n, uint32_t at,
                      struct err *err)
{
    if (at < n && !quantize_stoi(word[at], &q->threads))
        return err_set(err, ERR_RECIPE, "'%s' is no number of threads%s", word[at],
                       strncmp(word[at], "--", 2) == 0 ? "; options go before the input" : "");
    if (at + 1 < n)
        msg_warn("'%s' and what follows it is ignored, as llama-quantize does", word[at + 1]);
    return true;
}

bool quantize_parse(struct quantize *out, const char *const *word, uint32_t n, struct arena *arena,
                    struct err *err)
{
    uint32_t at = 0;

    *out = (struct quantize){.arena = arena};
    while (n > 0 && (strcmp(word[n - 1], "--recipe") == 0)) { /* ours may also come last */
        out->recipe = true;
        n--;
    }
    while (at < n && (strncmp(word[at], "--", 2) == 0 || strcmp(word[at], "-h") == 0)) {
        if (strcmp(word[at], "-h") == 0) {
            out->help = true;
            return true;
        }
        if (!take_option(out, word, n, &at, err))
            return false;
        if (out->help)
            return true;
    }
    if (n - at < 2) {
        err_set(err, ERR_RECIPE,
                at == n ? "an input and a type are needed" : "a type is needed after the input");
        return misused(out);
    }
    if (out->ninclude && out->nexclude) {
        err_set(err, ERR_RECIPE, "--include-weights and --exclude-weights cannot both be given");
        return misused(out);
    }
    out->in = word[at++];
    return take_output_and_type(out, word, n, &at, err) && take_rest(out, word, n, at, err);
}

/* ---- help --------------------------------------------------------------------------------- */

void quantize_help(struct buf *out)
{
    buf_text(
        out,
        "Takes llama-quantize's words as they are, options first, and writes the file that it\n"
        "would, byte for byte; a second type of the same model costs only what differs.\n"
        "  vbuild quantize in.gguf Q4_K_M            writes ggml-model-Q4_K_M.gguf beside in.gguf\n"
        "  vbuild quantize in.gguf out.gguf Q4_K_M   writes out.gguf\n"
        "  vbuild quantize in.gguf DIR/ Q4_K_M,Q6_K  writes DIR/in-Q4_K_M.gguf and "
        "DIR/in-Q6_K.gguf:\n"
        "      the input's name without .gguf, its shard's number, and -F16, -BF16 or -F32\n"
        "      (also after . or _, in any case, or FP16, FP32)\n\n"
        "Options of llama-quantize, after the word quantize:\n");
    for (size_t i = 0; i < countof(table); i++) {
        struct buf left = {0};

        buf_printf(&left, "%s%s%s", table[i].name, table[i].value ? " " : "",
                   table[i].value ? table[i].value : "");
        if (left.size > 26)
            buf_printf(out, "  %s\n  %-26s", buf_cstr(&left), "");
        else
            buf_printf(out, "  %-26s", buf_cstr(&left));
        buf_printf(out, "  %s\n", table[i].doc);
        buf_finish(&left);
    }
    quantize_types_help(out);
    buf_text(
        out,
        "\nIQ1, IQ2 and IQ3 are not made yet; --dry-run tells what they would give.\n"
        "The output is written beside and renamed; a folder that is missing is an error, but\n"
        "for that of a list of types. Where llama-quantize is wrong, this is not: alignment is\n"
        "kept, lists of one value a layer follow --prune-layers. No manifest is written.\n"
        "Past work is kept in ./cache where that is vbuild's or there is a build.lua, else in\n"
        "the user's own cache (--cache and VBUILD_CACHE go before).\n");
}
