/* recipe_text.h - recipes as text against the small models of tests/models: what they make */
#ifndef RECIPE_TEXT_H
#define RECIPE_TEXT_H

#include "test.h"

#include "base/file.h"
#include "lua/recipe.h"

#include <unistd.h>

static char path[64];

static const char prelude[] = "local base = source 'tests/models/nano-llama-base'\n"
                              "local code = source 'tests/models/nano-llama-python'\n";

static inline bool open_text(struct recipe *r, const char *text,
                             const struct recipe_options *options, struct err *err)
{
    const struct recipe_options none = {0};
    char whole[8192];

    snprintf(path, sizeof(path), "/tmp/vbuild-recipe-%d.lua", (int)getpid());
    snprintf(whole, sizeof(whole), "%s%s", prelude, text);
    const bool ok = file_replace(path, whole, strlen(whole), err) &&
                    recipe_open(r, path, options ? options : &none, err);

    remove(path);
    return ok;
}

static inline void fails(const char *text, const char *what)
{
    struct recipe r;
    struct err err = {0};

    const bool ok = open_text(&r, text, NULL, &err);

    CHECK_IN(!ok, "%s", text);
    if (ok) {
        recipe_close(&r);
        return;
    }
    CHECK_IN(strstr(err.text, what), "%s: %s", text, err.text);
    CHECK_IN(strncmp(err.text, path, strlen(path)) == 0, "%s", err.text);
    CHECK_IN(err.code == ERR_RECIPE, "%s", err.text);
}

static inline struct recipe opens(const char *text)
{
    struct recipe r = {0};
    struct err err = {0};
    const bool ok = open_text(&r, text, NULL, &err);

    CHECK_IN(ok, "%s: %s", text, err.text);
    return r;
}

static inline const struct artifact *find(const struct recipe *r, const char *variant)
{
    for (uint32_t i = 0; i < r->nartifact; i++)
        if (strcmp(r->artifact[i].variant, variant) == 0)
            return &r->artifact[i];
    return NULL;
}

/* The extent of a tensor in the artifact of a variant, or NULL. */
static inline const struct extent *extent(const struct recipe *r, const char *variant,
                                          const char *name)
{
    const struct artifact *a = find(r, variant);

    for (uint32_t f = 0; a && f < a->nfile; f++)
        for (uint32_t i = 0; i < a->file[f].nextent; i++)
            if (strcmp(a->file[f].extent[i].name, name) == 0)
                return &a->file[f].extent[i];
    return NULL;
}

/* "op type" of what a tensor of an artifact is made by; "source type" for a copy. */
static inline const char *made(const struct recipe *r, const char *variant, const char *name)
{
    static char text[64];
    const struct extent *e = extent(r, variant, name);

    if (!e)
        return "absent";
    const struct node *n = graph_node(r->graph, e->node);

    snprintf(text, sizeof(text), "%s %s", n->call.op ? n->call.op->name : "source",
             dtype_name(n->call.out.dtype));
    return text;
}

static inline void is_made(const struct recipe *r, const char *variant, const char *name,
                           const char *expected)
{
    const char *got = made(r, variant, name);

    CHECK_IN(strcmp(got, expected) == 0, "%s: %s is %s, expected %s", variant, name, got, expected);
}

static inline uint32_t count_op(const struct recipe *r, const char *op)
{
    uint32_t n = 0;

    for (uint32_t i = 0; r->graph && i < graph_nodes(r->graph); i++) {
        const struct node *node = graph_node(r->graph, (struct node_id){i});

        n += node->call.op && strcmp(node->call.op->name, op) == 0;
    }
    return n;
}

#endif
