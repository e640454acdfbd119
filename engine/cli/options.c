#include "cli/options.h"

#include "cli/options_table.h"
#include "cli/text.h"

#include <stdlib.h>
#include <string.h>

enum { LONG_MAX_BYTES = 40 };

/* ---- looking up --------------------------------------------------------------------------- */

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

const char *command_near(const char *word)
{
    const char *names[COMMANDS_COUNT];

    for (size_t i = 0; i < COMMANDS_COUNT; i++)
        names[i] = commands[i].name;
    return near_word(word, names, COMMANDS_COUNT);
}

static const struct option *by_name(const char *name, size_t n)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (strlen(option_table[i].name) == n && memcmp(option_table[i].name, name, n) == 0)
            return &option_table[i];
    return NULL;
}

static const struct option *by_letter(char letter)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (letter && option_table[i].letter == letter)
            return &option_table[i];
    return NULL;
}

bool options_has(const char *word)
{
    return strncmp(word, "--", 2) == 0 && by_name(word + 2, strcspn(word + 2, "="));
}

static bool unknown_name(const char *name, size_t n, struct err *err)
{
    const char *names[OPTIONS_COUNT];
    char word[LONG_MAX_BYTES + 1];
    const size_t keep = n < LONG_MAX_BYTES ? n : LONG_MAX_BYTES;

    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        names[i] = option_table[i].name;
    memcpy(word, name, keep);
    word[keep] = 0;
    const char *near = near_word(word, names, OPTIONS_COUNT);

    if (near)
        return err_set(err, ERR_RECIPE, "unknown option '--%s'; did you mean '--%s'?", word, near);
    return err_set(err, ERR_RECIPE, "unknown option '--%s'; vbuild --help lists them", word);
}

/* ---- values ------------------------------------------------------------------------------- */

static bool set_choice(uint64_t *to, const struct option *row, const char *text, const char *shown,
                       struct err *err)
{
    const size_t size = strlen(text);
    const char *word = row->value;

    for (uint64_t i = 0; word; i++) {
        const size_t n = strcspn(word, "|");

        if (n == size && memcmp(word, text, n) == 0) {
            *to = i;
            return true;
        }
        word = word[n] ? word + n + 1 : NULL;
    }
    return err_set(err, ERR_RECIPE, "%s is '%s'; it takes one of %s", shown, text, row->value);
}

static bool set_jobs(uint64_t *to, const char *text, const char *shown, struct err *err)
{
    const size_t digits = strspn(text, "0123456789");
    const unsigned long long n = strtoull(text, NULL, 10);

    if (digits == 0 || digits > 6 || text[digits] || n < 1 || n > OPTIONS_JOBS_MAX)
        return err_set(err, ERR_RECIPE, "%s is '%s'; it takes a number of threads from 1 to %d",
                       shown, text, OPTIONS_JOBS_MAX);
    *to = n;
    return true;
}

static bool set_size(uint64_t *to, const char *text, const char *shown, struct err *err)
{
    if (!size_parse(text, to))
        return err_set(err, ERR_RECIPE, "%s is '%s'; it takes a size as 64M, 2G or 1.5GiB", shown,
                       text);
    if (*to < OPTIONS_MEM_MIN)
        return err_set(err, ERR_RECIPE, "%s is '%s'; it takes at least 1M", shown, text);
    return true;
}

static bool set_define(struct options *out, const char *text, struct arena *arena, struct err *err)
{
    const char *equals = strchr(text, '=');

    if (!equals || equals == text)
        return err_set(err, ERR_RECIPE, "-D is '%s'; it takes NAME=VALUE", text);
    const char **list = arena_array(arena, out->ndefine + 1, sizeof(*list));

    for (uint32_t i = 0; i < out->ndefine; i++)
        list[i] = out->define[i];
    list[out->ndefine++] = text;
    out->define = list;
    return true;
}

/* TEXT: its value, NULL when the option takes none. SHOWN: as the user wrote the option. */
static bool set_option(struct options *out, const struct option *row, const char *text,
                       const char *shown, struct arena *arena, struct err *err)
{
    void *field = (unsigned char *)out + row->field;

    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return true;
    case OPTION_COUNT:
        *(uint64_t *)field += 1;
        return true;
    case OPTION_JOBS:
        return set_jobs(field, text, shown, err);
    case OPTION_SIZE:
        return set_size(field, text, shown, err);
    case OPTION_CHOICE:
        return set_choice(field, row, text, shown, err);
    case OPTION_DEFINE:
        return set_define(out, text, arena, err);
    case OPTION_OUTPUT:
    case OPTION_TEXT:
        break;
    }
    if (text && !text[0])
        return err_set(err, ERR_RECIPE, "%s is empty; it takes %s", shown, row->value);
    *(const char **)field = text ? text : "-";
    return true;
}

/* ---- parsing ------------------------------------------------------------------------------ */

struct parse {
    struct options *out;
    char *const *argv;
    int argc, at;
    struct arena *arena;
    bool given[OPTIONS_COUNT];
};

/* The value of ROW: what follows it in its own word, else the next word. */
static bool take(struct parse *p, const struct option *row, const char *attached, const char *shown,
                 struct err *err)
{
    const char *text = attached;

    if (!row->value && attached)
        return err_set(err, ERR_RECIPE, "%s takes no value, but '%s' was given", shown, attached);
    if (row->value && row->kind != OPTION_OUTPUT && !text) {
        if (p->at >= p->argc)
            return err_set(err, ERR_RECIPE, "%s needs a value: %s", shown, row->value);
        text = p->argv[p->at++];
    }
    p->given[row - option_table] = true;
    return set_option(p->out, row, text, shown, p->arena, err);
}

static bool parse_long(struct parse *p, const char *name, struct err *err)
{
    const size_t n = strcspn(name, "=");
    const struct option *row = by_name(name, n);

    if (!row)
        return unknown_name(name, n, err);
    return take(p, row, name[n] ? name + n + 1 : NULL, arena_printf(p->arena, "--%s", row->name),
                err);
}

/* "-kj4": letters without values, then at most one with. */
static bool parse_letters(struct parse *p, const char *letters, struct err *err)
{
    for (const char *at = letters; *at; at++) {
        const struct option *row = by_letter(*at);

        if (!row)
            return err_set(err, ERR_RECIPE, "unknown option '-%c'; vbuild --help lists them", *at);
        const bool ends = row->value != NULL;

        if (!take(p, row, ends && at[1] ? at + 1 : NULL, arena_printf(p->arena, "-%c", *at), err))
            return false;
        if (ends)
            break;
    }
    return true;
}

static bool belongs(const struct option *row, const struct command *command)
{
    return (row->commands & 1 << (command - commands)) != 0;
}

static bool fill_environment(struct parse *p, struct err *err)
{
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        const char *text = option_table[i].env ? getenv(option_table[i].env) : NULL;

        if (!text || !text[0] || p->given[i] || !belongs(&option_table[i], p->out->command))
            continue;
        if (!set_option(p->out, &option_table[i], text, option_table[i].env, p->arena, err))
            return false;
    }
    return true;
}

/* The subcommand, and whether it takes what was given. */
static bool settle(struct parse *p, struct err *err)
{
    struct options *out = p->out;

    out->command = out->nword ? command_find(out->word[0]) : NULL;
    out->named = out->command != NULL;
    if (out->named) {
        out->word++;
        out->nword--;
    } else {
        out->command = &commands[0];
    }
    if (out->help || out->version || !out->command->run)
        return true;
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        if (p->given[i] && !belongs(&option_table[i], out->command))
            return err_set(err, ERR_RECIPE, "vbuild %s takes no option --%s", out->command->name,
                           option_table[i].name);
    if (out->nword > out->command->words_max)
        return err_set(err, ERR_RECIPE, "'%s' is one word too many: vbuild %s %s",
                       out->word[out->command->words_max], out->command->name, out->command->args);
    return true;
}

static bool is_dropin(const char *word)
{
    const struct command *command = command_find(word);

    return command && command->help;
}

bool options_parse(struct options *out, int argc, char *const *argv, struct arena *arena,
                   struct err *err)
{
    const char **word = arena_array(arena, (size_t)argc + 1, sizeof(*word));
    struct options got = {.word = word};
    struct parse p = {.out = &got, .argv = argv, .argc = argc, .at = 1, .arena = arena};
    bool only_words = false;

    while (p.at < argc) {
        const char *text = argv[p.at++];
        bool ok = true;

        if (only_words || text[0] != '-' || !text[1]) {
            word[got.nword++] = text;
            only_words |= got.nword == 1 && is_dropin(text);
        } else if (strcmp(text, "--") == 0) {
            only_words = true;
        } else {
            ok = text[1] == '-' ? parse_long(&p, text + 2, err) : parse_letters(&p, text + 1, err);
        }
        if (!ok)
            return false;
    }
    got.cache_given = got.cache != NULL;
    if (!settle(&p, err))
        return false;
    if (!got.help && !got.version && !fill_environment(&p, err))
        return false;
    *out = got;
    return true;
}
