#include "cli/inspect_types.h"

#include "base/map.h"
#include "base/msg.h"
#include "cli/session.h"
#include "cli/text.h"
#include "graph/artifact.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_SHOWN = 200, ROLE_WIDTH_MAX = 40, ALONE_SHOWN = 5 };

/* Tensors of one role and type, in layers or outside; with -v each tensor has its own. */
struct line {
    uint32_t role; /* lines of equal roles stand together */
    uint32_t first;
    const struct survey_tensor *t; /* the first */
    struct allocation_sums sums;
    int64_t *layer;
    uint32_t nlayer, room;
};

struct table {
    const struct allocation *a;
    struct line *line;
    uint32_t nline, nrole;
    struct map roles, lines;
    struct allocation_sums all;
};

/* ---- the table ---------------------------------------------------------------------------- */

/* The number of KEY in MAP, which are *N so far. */
static uint32_t number(struct map *map, struct arena *arena, struct buf *key, uint32_t *n)
{
    uint64_t at = *n;

    if (!map_get(map, key->data, key->size, &at)) {
        map_add(map, arena_strndup(arena, (const char *)key->data, key->size), key->size, at, NULL);
        *n += 1;
    }
    buf_finish(key);
    return (uint32_t)at;
}

static struct line *line_of(struct table *table, const struct survey_tensor *t, uint32_t i)
{
    const bool outside = t->layer == SURVEY_OUTSIDE;
    struct buf role = {0}, key = {0};
    const uint32_t before = table->nline;

    buf_printf(&role, "%d%d%s", outside, t->bias, t->role);
    const uint32_t r = number(&table->roles, table->a->arena, &role, &table->nrole);

    if (table->a->options->verbose)
        buf_printf(&key, "%u", i);
    else
        buf_printf(&key, "%u %d", r, (int)allocation_tensor(table->a, t)->dtype);
    struct line *line = &table->line[number(&table->lines, table->a->arena, &key, &table->nline)];

    if (table->nline > before)
        *line = (struct line){.role = r, .first = i, .t = t};
    return line;
}

static void add_layer(struct line *line, int64_t layer)
{
    if (line->nlayer == line->room) {
        line->room = line->room ? 2 * line->room : 8;
        line->layer = mem_grow(line->layer, line->room * sizeof(*line->layer));
    }
    line->layer[line->nlayer++] = layer;
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

static int by_role(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    if (x->role != y->role)
        return x->role < y->role ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static void table_make(struct table *table, const struct allocation *a)
{
    const struct survey *s = &a->survey;

    *table = (struct table){.a = a};
    table->line = arena_array(a->arena, s->ntensor, sizeof(*table->line));
    for (uint32_t i = 0; i < s->ntensor; i++) {
        const struct tensor *t = allocation_tensor(a, &s->tensor[i]);
        struct line *line = line_of(table, &s->tensor[i], i);

        allocation_add(&line->sums, t, &a->error[i]);
        allocation_add(&table->all, t, &a->error[i]);
        if (s->tensor[i].layer != SURVEY_OUTSIDE)
            add_layer(line, s->tensor[i].layer);
    }
    if (table->nline) {
        qsort(table->line, table->nline, sizeof(*table->line), by_role);
        for (uint32_t i = 0; i < table->nline; i++)
            if (table->line[i].nlayer)
                qsort(table->line[i].layer, table->line[i].nlayer, sizeof(int64_t), by_number);
    }
}

static void table_finish(struct table *table)
{
    for (uint32_t i = 0; i < table->nline; i++)
        mem_free(table->line[i].layer);
    map_finish(&table->roles);
    map_finish(&table->lines);
}

/* ---- for people --------------------------------------------------------------------------- */

/* "0-5,8,11": sorted, some of them more than once (experts of one layer). */
static void put_layers(struct buf *out, const int64_t *layer, uint32_t n)
{
    for (uint32_t i = 0; i < n;) {
        uint32_t last = i;

        while (last + 1 < n && layer[last + 1] <= layer[last] + 1)
            last++;
        buf_printf(out, "%s%lld", i ? "," : "", (long long)layer[i]);
        if (layer[last] > layer[i])
            buf_printf(out, "-%lld", (long long)layer[last]);
        i = last + 1;
    }
    if (!n)
        buf_text(out, "-");
}

static void put_role(struct buf *out, const struct survey_tensor *t)
{
    put_safe(out, t->role, strlen(t->role), NAME_SHOWN);
    if (t->bias)
        buf_text(out, ".bias");
}

static int role_width(const struct table *table)
{
    size_t width = 5;

    for (uint32_t i = 0; i < table->nline; i++) {
        struct buf role = {0};

        put_role(&role, table->line[i].t);
        if (role.size > width)
            width = role.size < ROLE_WIDTH_MAX ? role.size : ROLE_WIDTH_MAX;
        buf_finish(&role);
    }
    return (int)width;
}

static void put_error(struct buf *out, const struct allocation_sums *s)
{
    if (s->known)
        buf_printf(out, " %12.6g %8.3f%% %12.6g", allocation_rmse(s), 100 * allocation_relative(s),
                   s->max);
    else
        buf_printf(out, " %12s %9s %12s", "-", "-", "-");
}

static void put_line(struct buf *out, const struct table *table, const struct line *line, int width)
{
    struct buf role = {0};

    put_role(&role, line->t);
    buf_printf(out, "%-*s  %-8s %7llu %8.3f %14llu", width, buf_cstr(&role),
               dtype_name(allocation_tensor(table->a, line->t)->dtype),
               (unsigned long long)line->sums.tensors,
               allocation_bits(line->sums.bytes, line->sums.elements),
               (unsigned long long)line->sums.bytes);
    buf_finish(&role);
    if (table->a->known)
        put_error(out, &line->sums);
    buf_text(out, "  ");
    put_layers(out, line->layer, line->nlayer);
    if (table->a->options->verbose) {
        buf_text(out, "  ");
        put_safe(out, line->t->name, strlen(line->t->name), NAME_SHOWN);
    }
    buf_text(out, "\n");
}

static void put_total(struct buf *out, const struct table *table, int width)
{
    const struct allocation_sums *all = &table->all;
    const struct artifact_size size = {.tensor_bytes = all->bytes,
                                       .bpw = allocation_bits(all->bytes, all->elements),
                                       .bpw_quantized =
                                           allocation_bits(all->block_bytes, all->block_elements)};

    buf_printf(out, "%-*s  %-8s %7llu %8.3f %14llu", width, "all", "",
               (unsigned long long)all->tensors, size.bpw, (unsigned long long)all->bytes);
    if (table->a->known)
        put_error(out, all);
    buf_text(out, "\n\n");
    put_bits(out, &size);
    buf_text(out, "\n");
}

/* The names of what is in one of the two only: N of them, at most ALONE_SHOWN are shown. */
static void put_alone(struct buf *out, const char *where, const char *const *name, uint32_t n)
{
    if (!n)
        return;
    buf_text(out, "only in ");
    put_safe(out, where, strlen(where), 4096);
    buf_printf(out, ": %u tensor%s (", n, n == 1 ? "" : "s");
    for (uint32_t i = 0; i < n && i < ALONE_SHOWN; i++) {
        buf_text(out, i ? ", " : "");
        put_safe(out, name[i], strlen(name[i]), NAME_SHOWN);
    }
    buf_text(out, n > ALONE_SHOWN ? ", ...)\n" : ")\n");
}

/* The tensors of which no error is known although a source was given: those that it lacks (PAIRED
 * false), those of types that nobody here decodes. */
static uint32_t without_error(const struct allocation *a, bool paired, const char **name)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < a->survey.ntensor; i++)
        if (a->survey.tensor[i].paired == paired && !a->error[i].known)
            name[n++] = a->survey.tensor[i].name;
    return n;
}

/* What the errors are against, each once: they may have been measured at several times. */
static void put_against(struct buf *out, const struct allocation *a)
{
    struct map seen = {0};

    for (uint32_t i = 0; i < a->survey.ntensor; i++) {
        const struct measured *is = &a->error[i].is;

        if (!a->error[i].known || !map_add(&seen, is->against, strlen(is->against), 0, NULL))
            continue;
        buf_text(out, seen.count > 1 ? ", " : "");
        put_safe(out, is->against, strlen(is->against), 4096);
    }
    map_finish(&seen);
    seen = (struct map){0};
    for (uint32_t i = 0; i < a->survey.ntensor; i++) {
        const struct measured *is = &a->error[i].is;

        if (!a->error[i].known || !is->weights[0] ||
            !map_add(&seen, is->weights, strlen(is->weights), 0, NULL))
            continue;
        buf_text(out, seen.count > 1 ? ", " : ", columns weighed by ");
        put_safe(out, is->weights, strlen(is->weights), 4096);
    }
    map_finish(&seen);
}

static void put_errors(struct buf *out, const struct table *table)
{
    const struct allocation *a = table->a;
    const char **name = arena_array(a->arena, a->survey.ntensor, sizeof(*name));

    if (a->known) {
        buf_printf(out, "rmse of %llu tensors is %.6g, %.3f%% of the source's rms; against ",
                   (unsigned long long)table->all.known, allocation_rmse(&table->all),
                   100 * allocation_relative(&table->all));
        put_against(out, a);
        buf_text(out, "\n");
    } else if (!a->options->against) {
        buf_text(out,
                 "errors are not known; --against SOURCE measures them, SOURCE being the model "
                 "that this one was quantized from\n");
    }
    if (table->all.skipped)
        buf_printf(out, "%llu values are not finite: they are in no error\n",
                   (unsigned long long)table->all.skipped);
    if (!a->options->against)
        return;
    put_alone(out, a->path, name, without_error(a, false, name));
    put_alone(out, a->options->against, a->survey.alone, a->survey.nalone);
    const uint32_t n = without_error(a, true, name);

    if (n) {
        buf_printf(out, "%u tensor%s cannot be measured, nobody here decodes the type (", n,
                   n == 1 ? "" : "s");
        put_safe(out, name[0], strlen(name[0]), NAME_SHOWN);
        buf_text(out, n > 1 ? ", ...)\n" : ")\n");
    }
}

static void put_table(const struct allocation *a, struct buf *out)
{
    struct table table;

    table_make(&table, a);
    const int width = role_width(&table);

    put_safe(out, a->path, strlen(a->path), 4096);
    buf_text(out, ": ");
    put_safe(out, a->survey.arch, strlen(a->survey.arch), NAME_SHOWN);
    buf_printf(out, "%s%lld layer%s, %u tensor%s\n\n", a->survey.arch[0] ? ", " : "",
               (long long)a->survey.layers, a->survey.layers == 1 ? "" : "s", a->survey.ntensor,
               a->survey.ntensor == 1 ? "" : "s");
    buf_printf(out, "%-*s  %-8s %7s %8s %14s", width, "role", "type", "tensors", "bits", "bytes");
    if (a->known)
        buf_printf(out, " %12s %9s %12s", "rmse", "of rms", "max");
    buf_printf(out, "  layers%s\n", a->options->verbose ? ", tensor" : "");
    for (uint32_t i = 0; i < table.nline; i++)
        put_line(out, &table, &table.line[i], width);
    put_total(out, &table, width);
    put_errors(out, &table);
    table_finish(&table);
}

/* ---- the command -------------------------------------------------------------------------- */

static bool check_words(const struct options *options, struct err *err)
{
    if (options->nword != 1)
        return err_set(err, ERR_RECIPE, "vbuild inspect --types needs one file or folder");
    if (options->imatrix && !options->against)
        return err_set(err, ERR_RECIPE,
                       "--imatrix weighs the error that --against SOURCE measures; "
                       "name the source, too");
    return true;
}

static bool run(struct allocation *a, bool *running, struct err *err)
{
    const struct options *o = a->options;
    struct buf text = {0};
    bool ok;

    if (!check_words(o, err) || !survey_open(&a->survey, a->path, o->against, o->imatrix, err))
        return false;
    ok = allocation_errors(a, running, err);
    if (ok && o->json) {
        allocation_json(a, &text);
        ok = say_json(o->json, &text, err);
    } else if (ok) {
        put_table(a, &text);
        say_bytes(text.data, text.size);
    }
    buf_finish(&text);
    survey_close(&a->survey);
    return ok;
}

int inspect_types(const struct options *options)
{
    struct allocation a = {.options = options, .arena = arena_new()};
    bool running = false;
    struct err err;
    int code = 0;

    a.path = options->nword ? options->word[0] : "";
    if (!run(&a, &running, &err)) {
        msg_error("%s", err.text);
        code = err_exit(err.code, running);
    }
    arena_free(a.arena);
    return code;
}
