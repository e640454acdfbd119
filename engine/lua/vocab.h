/* vocab.h - the table `engine`: what the rules can ask of C
 *
 * Tensors are integers there: ids of the graph's nodes, of sources and of computed tensors
 * alike. Nothing is computed and no weight is read; a call only adds nodes to the graph or lays
 * out files. Arguments come from the rules, which have checked what a recipe wrote; what they
 * hand through (names, paths, numbers) is checked here again where it could do harm. */
#ifndef LUA_VOCAB_H
#define LUA_VOCAB_H

#include "lua/recipe.h"

#include <lua.h>

struct opened;  /* a checkpoint that is still mapped */
struct weights; /* an imatrix that was read */

struct vocab { /* the owner of a sandbox */
    struct graph *graph;
    const struct recipe_options *options;
    const char *path; /* of the recipe */
    struct opened *opened;
    struct weights *weights;
    struct artifact **layout; /* by handle - 1 */
    uint32_t nlayout;
    const char **note;
    uint32_t nnote;
    bool *option_used; /* one for each -D */
    bool *reached;     /* by engine.reach: one for each node then there */
    uint32_t nreached;
    struct recipe *out;
};

/* Add everything to the table on top of the stack. */
void vocab_register(lua_State *L);
void layout_register(lua_State *L); /* layout.c: the part that lays out files */
void yaml_register(lua_State *L);   /* yaml_lua.c: yaml, place, find, hub */
int vocab_op(lua_State *L);         /* vocab_op.c: engine.op */
void vocab_finish(struct vocab *v);

/* vocab_imatrix.c: engine.imatrix; and the vector at IDX of the stack that it gave out, or false
 * and nothing. */
int vocab_imatrix(lua_State *L);
bool vocab_vector(lua_State *L, int idx, const struct op_f32s **out);

/* vocab_merge.c: engine.mask_key, engine.rows, engine.tokens_differ */
int vocab_mask_key(lua_State *L);
int vocab_rows(lua_State *L);
int vocab_tokens_differ(lua_State *L);

int vocab_regex(lua_State *L); /* vocab_regex.c: engine.regex */

struct vocab *vocab_of(lua_State *L);
/* The node id at IDX of the stack; an error if there is none. */
struct node_id vocab_node(lua_State *L, int idx);

#endif
