/* survey.h - the tensors of a model with their roles and layers, and those of another beside them
 *
 * What inspect --types looks at; rules/survey.lua decides what a tensor is and which one of the
 * other model stands in its place. Headers are read, no weights. */
#ifndef LUA_SURVEY_H
#define LUA_SURVEY_H

#include "graph/node.h"

enum { SURVEY_OUTSIDE = -1 }; /* the layer of what lies outside layers */

struct survey_tensor {
    const char *name; /* as in its file: a stranger's */
    const char *role; /* of our recipes, or what its name says */
    bool bias;
    int64_t layer;
    struct node_id node;
    struct rowmap map; /* from its file's rows to the order that both share */
    bool paired;       /* the rest is there */
    const char *ref_name;
    struct node_id ref;
    struct rowmap ref_map;
    const struct op_f32s *weights; /* of the imatrix; NULL: none */
};

struct survey {
    struct graph *graph; /* owns everything */
    const char *arch;    /* "" when nothing names it */
    int64_t layers;
    struct survey_tensor *tensor; /* in the model's order */
    uint32_t ntensor;
    const char **alone; /* names of what only the other model has */
    uint32_t nalone;
};

/* AGAINST and IMATRIX may be NULL. Errors are ERR_RECIPE, or those of the files. */
bool survey_open(struct survey *out, const char *path, const char *against, const char *imatrix,
                 struct err *err) MUST_USE;
void survey_close(struct survey *survey);

#endif
