#include "base/msg.h"
#include "cli/cmd.h"
#include "cli/text.h"
#include "lua/recipe.h"

#include <string.h>

int cmd_refuse(const struct err *err)
{
    msg_error("%s", err->text);
    return err_exit(err->code, false);
}

int cmd_version(const struct options *options)
{
    (void)options;
    say("vbuild " VBUILD_VERSION "\n");
    return 0;
}

int cmd_manual(const struct options *options)
{
    struct buf text = {0};

    (void)options;
    options_manual(&text);
    say_bytes(text.data, text.size);
    buf_finish(&text);
    return 0;
}

int cmd_words(const struct options *options)
{
    struct buf text = {0};
    struct err err;
    int code = 0;

    (void)options;
    if (recipe_words(&text, &err))
        say_bytes(text.data, text.size);
    else
        code = cmd_refuse(&err);
    buf_finish(&text);
    return code;
}

/* The level of a heading line of docs/words.md, 0 for any other. */
static size_t heading(const char *line)
{
    const size_t level = strspn(line, "#");

    return line[level] == ' ' ? level : 0;
}

/* Is the heading "## slice" the one of WORD? */
static bool is_about(const char *line, size_t n, const char *word)
{
    const size_t level = heading(line), size = strlen(word);

    return level && n == level + 1 + size && memcmp(line + level + 1, word, size) == 0;
}

/* The part of TEXT that explains WORD: its section with what is below it. */
static bool put_word(const char *text, const char *word, struct buf *out)
{
    size_t inside = 0; /* level of the section we are in, 0: in none */

    for (const char *line = text; *line;) {
        const size_t n = strcspn(line, "\n");
        const size_t level = heading(line);

        if (level && level <= inside)
            inside = 0;
        if (is_about(line, n, word))
            inside = level;
        if (inside) {
            buf_put(out, line, n);
            buf_text(out, "\n");
        }
        line += n + (line[n] == '\n');
    }
    return out->size > 0;
}

static bool help_word(const char *word, struct err *err)
{
    const char *near = command_near(word);
    struct buf words = {0}, text = {0};
    bool ok = recipe_words(&words, err);

    if (ok && put_word(buf_cstr(&words), word, &text))
        say_bytes(text.data, text.size);
    else if (ok && near)
        ok = err_set(err, ERR_RECIPE, "no help for '%s'; did you mean '%s'?", word, near);
    else if (ok)
        ok = err_set(err, ERR_RECIPE, "no help for '%s'; vbuild words lists the words", word);
    buf_finish(&words);
    buf_finish(&text);
    return ok;
}

/* A drop-in's name may be a word of recipes, too: then the help explains both. */
static bool add_word(const char *word, struct buf *out, struct err *err)
{
    struct buf words = {0}, text = {0};
    const bool ok = recipe_words(&words, err);

    if (ok && put_word(buf_cstr(&words), word, &text)) {
        buf_text(out, "\nAs a word of the recipe language:\n\n");
        buf_put(out, text.data, text.size);
    }
    buf_finish(&words);
    buf_finish(&text);
    return ok;
}

int cmd_help(const struct options *options)
{
    const struct command *command = options->nword ? command_find(options->word[0]) : NULL;
    struct buf text = {0};
    struct err err;

    /* a word of the recipe language that is also the name of a later subcommand is the word */
    if (options->nword && (!command || !command->run))
        return help_word(options->word[0], &err) ? 0 : cmd_refuse(&err);
    options_help(command, &text);
    if (command && command->help && !add_word(command->name, &text, &err)) {
        buf_finish(&text);
        return cmd_refuse(&err);
    }
    say_bytes(text.data, text.size);
    buf_finish(&text);
    return 0;
}
