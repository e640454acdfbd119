#include "cli/merge_options.h"

#include "cli/options_table.h"
#include "cli/text.h"

#include <stdlib.h>
#include <string.h>

enum effect {
    SET,    /* the bool at the field */
    CLEAR,  /* the same, where --no-NAME sets it */
    TEXT,   /* the text at the field */
    SEED,   /* the same, a number */
    SHARD,  /* the same, bytes as mergekit writes them */
    JOBS,   /* jobs */
    COUNT,  /* verbose */
    CARD,   /* cards, when it is set */
    IDLE,   /* nothing, a switch */
    IDLING, /* nothing, with a value */
    UNSAFE, /* refused when it is off */
};

#define FIELD(name) offsetof(struct merge_options, name)
static const struct row {
    const char *name, *value; /* VALUE: its name in the help; NULL: a switch */
    enum effect effect;
    bool no; /* --no-NAME is there too */
    size_t field;
    const char *doc;
} table[] = {
    {"random-seed", "N", SEED, false, FIELD(merge.seed),
     "of methods that drop by chance (default 0)"},
    {"seed", "N", SEED, false, FIELD(merge.seed), "the same"},
    {"out-shard-size", "SIZE", SHARD, false, FIELD(merge.shard),
     "bytes of one file at most: 5B, 500m, 90k; 0: one file (default 5B, which is 5 GB)"},
    {"copy-tokenizer", NULL, CLEAR, true, FIELD(merge.no_tokenizer),
     "write the tokenizer's files (default)"},
    {"write-model-card", NULL, CARD, true, 0, "comes with a later release"},
    {"allow-crimes", NULL, SET, true, FIELD(merge.allow_mixed_arch),
     "models of different architectures merge by names"},
    {"unsafe-truncate-embeddings", NULL, SET, true, FIELD(merge.truncate_vocab),
     "vocabularies of unlike size: keep the rows that all have"},
    {"transformers-cache", "DIR", TEXT, false, FIELD(merge.model_dir), "as --model-dir"},
    {"model-dir", "DIR", TEXT, false, FIELD(merge.model_dir),
     "a folder of models: DIR/ORG/NAME, DIR/NAME, or laid out as the hub's cache"},
    {"strict", NULL, SET, false, FIELD(merge.strict), "what mergekit ignores is an error"},
    {"num-threads", "N", JOBS, false, 0, "threads; -j N is the same"},
    {"quiet", NULL, SET, true, FIELD(quiet), "print errors and warnings only"},
    {"verbose", NULL, COUNT, false, 0, "say more; -v is the same"},
    {"safe-serialization", NULL, UNSAFE, true, 0, "write safetensors files (nothing else is)"},
    {"recipe", NULL, SET, false, FIELD(recipe), "print the Lua recipe of the file, and end"},
    {"help", NULL, SET, false, FIELD(help), "print this help"},
    {"lora-merge-cache", "DIR", IDLING, false, 0, ""},
    {"lora-merge-dtype", "TYPE", IDLING, false, 0, ""},
    {"device", "NAME", IDLING, false, 0, ""},
    {"write-threads", "N", IDLING, false, 0, ""},
    {"cuda", NULL, IDLE, true, 0, ""},
    {"low-cpu-memory", NULL, IDLE, true, 0, ""},
    {"read-to-gpu", NULL, IDLE, true, 0, ""},
    {"multi-gpu", NULL, IDLE, true, 0, ""},
    {"gpu-rich", NULL, IDLE, false, 0, ""},
    {"clone-tensors", NULL, IDLE, true, 0, ""},
    {"lazy-unpickle", NULL, IDLE, true, 0, ""},
    {"trust-remote-code", NULL, IDLE, true, 0, ""},
    {"async-write", NULL, IDLE, true, 0, ""},
};
#undef FIELD

struct parse {
    struct merge_options *out;
    const char *const *word;
    uint32_t n, at;
    struct arena *arena;
};

/* ---- values ------------------------------------------------------------------------------- */

static bool all_digits(const char *text)
{
    return text[0] && !text[strspn(text, "0123456789")];
}

static bool is_seed(const char *text)
{
    const bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');

    return hex ? text[2] && !text[2 + strspn(text + 2, "0123456789abcdefABCDEF")] &&
                     strlen(text) <= 18
               : all_digits(text);
}

/* "5B", "500m", "90k", "123": decimal, as mergekit counts; NULL: none of it. */
static const char *shard_bytes(const char *text, struct arena *arena)
{
    static const char units[] = "kmb";
    const size_t n = strspn(text, "0123456789");
    uint64_t bytes = n && n < 18 ? strtoull(text, NULL, 10) : UINT64_MAX;

    if (!n || (text[n] && text[n + 1]))
        return NULL;
    const char lower = (char)(text[n] >= 'A' && text[n] <= 'Z' ? text[n] - 'A' + 'a' : text[n]);
    const char *unit = lower ? strchr(units, lower) : NULL;

    if (text[n] && !unit)
        return NULL;
    for (const char *u = units; unit && u <= unit; u++)
        bytes = bytes <= INT64_MAX / 1000 ? bytes * 1000 : INT64_MAX;
    if (bytes == 0 || bytes > INT64_MAX)
        bytes = INT64_MAX; /* never */
    return arena_printf(arena, "%llu", (unsigned long long)bytes);
}

static bool bad(struct err *err, const char *name, const char *text, const char *want)
{
    return err_set(err, ERR_RECIPE, "--%s is '%s'; it takes %s", name, text, want);
}

static bool set_jobs(struct merge_options *m, const struct row *row, const char *text,
                     struct err *err)
{
    const uint64_t n = all_digits(text) && strlen(text) < 9 ? strtoull(text, NULL, 10) : 0;

    if (n == 0)
        return bad(err, row->name, text, "a number of threads");
    m->jobs = n < OPTIONS_JOBS_MAX ? n : OPTIONS_JOBS_MAX;
    return true;
}

static void add_idle(struct parse *p, const struct row *row)
{
    const char *had = p->out->idle;

    p->out->idle = arena_printf(p->arena, "%s%s--%s", had ? had : "", had ? ", " : "", row->name);
}

/* ON: not --no-NAME. TEXT: its value, NULL for a switch. */
static bool apply(struct parse *p, const struct row *row, bool on, const char *text,
                  struct err *err)
{
    void *field = (unsigned char *)p->out + row->field;

    switch (row->effect) {
    case SET:
        *(bool *)field = on;
        return true;
    case CLEAR:
        *(bool *)field = !on;
        return true;
    case SEED:
        if (!is_seed(text))
            return bad(err, row->name, text, "a whole number from 0");
        break;
    case SHARD:
        *(const char **)field = shard_bytes(text, p->arena);
        return *(const char **)field ||
               bad(err, row->name, text, "bytes: a number with k, m or b behind it, or none");
    case JOBS:
        return set_jobs(p->out, row, text, err);
    case COUNT:
        p->out->verbose++;
        return true;
    case CARD:
        p->out->cards = on ? "--write-model-card" : NULL;
        return true;
    case UNSAFE:
        return on || err_set(err, ERR_RECIPE, "--no-safe-serialization: pickles are never written");
    case IDLE:
    case IDLING:
        if (on)
            add_idle(p, row);
        return true;
    case TEXT:
        break;
    }
    if (!text[0])
        return bad(err, row->name, text, row->value);
    *(const char **)field = text;
    return true;
}

/* ---- words -------------------------------------------------------------------------------- */

static const struct row *find(const char *name, size_t n, bool *on)
{
    *on = true;
    for (size_t i = 0; i < countof(table); i++)
        if (strlen(table[i].name) == n && memcmp(table[i].name, name, n) == 0)
            return &table[i];
    if (n <= 3 || memcmp(name, "no-", 3) != 0)
        return NULL;
    *on = false;
    for (size_t i = 0; i < countof(table); i++)
        if (table[i].no && strlen(table[i].name) == n - 3 &&
            memcmp(table[i].name, name + 3, n - 3) == 0)
            return &table[i];
    return NULL;
}

static bool unknown(const char *word, struct err *err)
{
    const char *names[countof(table)];

    for (size_t i = 0; i < countof(table); i++)
        names[i] = table[i].name;
    const char *near = near_word(word + 2, names, countof(table));

    if (options_has(word))
        return err_set(err, ERR_RECIPE,
                       "'%s' is vbuild's own option: write it before the word merge", word);
    if (near)
        return err_set(err, ERR_RECIPE, "mergekit-yaml has no option '%s'; did you mean '--%s'?",
                       word, near);
    return err_set(err, ERR_RECIPE, "mergekit-yaml has no option '%s'", word);
}

/* Its value: attached, or the next word. */
static bool value_of(struct parse *p, const char *shown, const char *attached, const char **out,
                     struct err *err)
{
    *out = attached;
    if (!attached && p->at == p->n)
        return err_set(err, ERR_RECIPE, "%s needs a value", shown);
    if (!attached)
        *out = p->word[p->at++];
    return true;
}

static bool take_long(struct parse *p, const char *word, struct err *err)
{
    const size_t n = strcspn(word + 2, "=");
    const char *text = NULL, *attached = word[2 + n] ? word + 2 + n + 1 : NULL;
    bool on;
    const struct row *row = find(word + 2, n, &on);

    if (!row)
        return unknown(word, err);
    if (!row->value && attached)
        return err_set(err, ERR_RECIPE, "--%s takes no value", row->name);
    if (row->value && !value_of(p, word, attached, &text, err))
        return false;
    return apply(p, row, on, text, err);
}

/* -v, -vv, -j 4, -j4, -vj4 */
static bool take_short(struct parse *p, const char *word, struct err *err)
{
    for (const char *c = word + 1; *c; c++) {
        const char *text;
        bool on;

        if (*c == 'v') {
            p->out->verbose++;
            continue;
        }
        if (*c != 'j')
            return err_set(err, ERR_RECIPE, "mergekit-yaml has no option '-%c'", *c);
        return value_of(p, "-j", c[1] ? c + 1 : NULL, &text, err) &&
               apply(p, find("num-threads", strlen("num-threads"), &on), true, text, err);
    }
    return true;
}

static bool take_argument(struct merge_options *m, const char *word, struct err *err)
{
    const char **to = !m->yaml ? &m->yaml : !m->out ? &m->out : NULL;

    if (!to)
        return err_set(err, ERR_RECIPE,
                       "'%s' is a third argument; there are CONFIG_FILE and "
                       "OUT_PATH",
                       word);
    if (!word[0])
        return err_set(err, ERR_RECIPE, "an empty argument, expected %s",
                       to == &m->yaml ? "CONFIG_FILE" : "OUT_PATH");
    *to = word;
    return true;
}

bool merge_parse(struct merge_options *out, const char *const *word, uint32_t n,
                 struct arena *arena, struct err *err)
{
    struct parse p = {out, word, n, 0, arena};
    bool only_words = false, ok = true;

    *out = (struct merge_options){0};
    while (ok && p.at < n && !out->help) {
        const char *text = word[p.at++];

        if (only_words || text[0] != '-' || !text[1])
            ok = take_argument(out, text, err);
        else if (strcmp(text, "--") == 0)
            only_words = true;
        else
            ok = text[1] == '-' ? take_long(&p, text, err) : take_short(&p, text, err);
    }
    return ok;
}

/* ---- help --------------------------------------------------------------------------------- */

void merge_help(struct buf *out)
{
    const char *gap = "";

    for (size_t i = 0; i < countof(table); i++) {
        const struct row *row = &table[i];
        struct buf left = {0};

        if (!row->doc[0])
            continue;
        buf_printf(&left, "  --%s%s%s%s%s", row->name, row->no ? "/--no-" : "",
                   row->no ? row->name : "", row->value ? " " : "", row->value ? row->value : "");
        buf_printf(out, left.size > 26 ? "%s\n  %-26s%s\n" : "%-28s%s%s\n", buf_cstr(&left), "",
                   row->doc);
        buf_finish(&left);
    }
    buf_text(out, "Accepted, without effect here: ");
    for (size_t i = 0; i < countof(table); i++)
        if (!table[i].doc[0]) {
            buf_printf(out, "%s--%s", gap, table[i].name);
            gap = ", ";
        }
    buf_text(out, ".\nA command line that is wrong ends with 2.\n");
}
