/* Vectors in keys: an imatrix decides the tensors that use it, by its numbers alone. */
#include "format/imatrix.h"
#include "graph/key.h"
#include "scratch.h"

static char top[4096]; /* of the tree */

enum { ROWS = 64, COLS = 256, WIDE = 512, TENSORS = 4 };

/* One tensor a file: the two of the imatrix at hand that have their widths, and others. */
static const struct {
    const char *file, *entry;
    int64_t cols;
    enum dtype type;
} made[TENSORS] = {
    {"a.bin", "blk.0.attn_q.weight", COLS, DTYPE_q4_k},
    {"b.bin", "blk.0.ffn_down.weight", WIDE, DTYPE_q4_0},
    {"c.bin", "blk.0.attn_k.weight", COLS, DTYPE_q8_0}, /* has no use for it */
    {"d.bin", "no such entry", COLS, DTYPE_q6_k},
};

static struct node_id weighted(struct graph *g, struct node_id in, enum dtype type,
                               const struct op_f32s *w)
{
    return add(g, "quantize", &in, 1, (const union op_arg[]){{.dtype = type}, {.f32s = w}});
}

static int said; /* tensors of the last build that changed for their vector */

static struct build_report quantize_all(const struct imatrix *m)
{
    const struct build_options o = options_of(2, 64 << 20, 0);
    struct build_report r = {0};
    struct node_id node[TENSORS];
    struct graph *g = graph_new();
    struct err err = {0};

    for (int i = 0; i < TENSORS; i++) {
        const struct imatrix_entry *e = m ? imatrix_find(m, made[i].entry) : NULL;
        const struct op_f32s *w = e ? op_f32s(e->value, e->n, graph_arena(g)) : NULL;

        node[i] = weighted(g, source(g, made[i].file, ROWS, made[i].cols), made[i].type, w);
    }
    const struct artifact a = one_file(g, "Q", node, TENSORS);

    CHECK_IN(build(g, &a, 1, &o, &r, &err), "%s", err.text);
    said = 0;
    for (uint32_t i = 0; r.artifact[0].reason && i < r.artifact[0].nreason; i++) {
        const struct reason *why = &r.artifact[0].reason[i];

        said += why->kind == REASON_PARAM && strcmp(why->what, "imatrix") == 0 &&
                strlen(why->from) == 12 && strlen(why->to) == (m ? 12 : 4);
    }
    graph_free(g);
    return r;
}

static struct imatrix read_golden(const char *name, struct arena *arena)
{
    struct imatrix m = {0};
    struct err err = {0};

    CHECK_IN(
        imatrix_open(&m, arena_printf(arena, "%s/tests/golden/imatrix/%s", top, name), arena, &err),
        "%s", err.text);
    return m;
}

/* If it failed, saving an imatrix in its other format, or adding an entry to it, would cost a
 * whole ladder again; or a changed vector would not reach the tensors that use it. */
TEST(a_changed_vector_runs_the_tensors_that_use_it)
{
    struct arena *arena = arena_new();

    if (!getcwd(top, sizeof(top)))
        abort();
    scratch_make();
    for (uint32_t i = 0; i < TENSORS; i++)
        put_source(made[i].file, ROWS, made[i].cols, i + 1);
    struct imatrix m = read_golden("model.dat", arena);
    struct build_report r = quantize_all(&m);

    CHECK_IN(r.run == TENSORS, "run %u", r.run);
    m = read_golden("model.gguf", arena);
    r = quantize_all(&m);
    CHECK_IN(r.run == 0 && r.hit == TENSORS, "run %u", r.run);
    for (size_t i = 0; i < m.nentry; i++) { /* of another tensor, and of one of q8_0 */
        float *v = arena_array(arena, (size_t)m.entry[i].n, sizeof(*v));

        memcpy(v, m.entry[i].value, (size_t)m.entry[i].n * sizeof(*v));
        v[m.entry[i].n - 1] += 1;
        if (strcmp(m.entry[i].name, made[0].entry) != 0)
            m.entry[i].value = v;
        if (strcmp(m.entry[i].name, made[1].entry) != 0)
            continue;
        r = quantize_all(&m);
        CHECK_IN(r.run == 1 && r.hit == TENSORS - 1 && said == 1, "run %u", r.run);
    }
    r = quantize_all(&m);
    CHECK_IN(r.run == 0, "run %u", r.run);
    r = quantize_all(NULL); /* two tensors used it */
    CHECK_IN(r.run == 2 && said == 2, "run %u, said %d", r.run, said);
    if (chdir(top) != 0)
        abort();
    CHECK(dir_remove(scratch, &(struct err){0}));
    arena_free(arena);
}

/* Interning goes by numbers, too: words that read the same file make the same nodes. A vector
 * where the type has no use for it is no part of the node; one of wrong values makes none. */
TEST(equal_vectors_make_one_node)
{
    static float v[2][COLS], bad[COLS];
    struct graph *g = graph_new();
    struct err err;

    scratch_make();
    put_source("a.bin", ROWS, COLS, 1);
    const struct node_id s = source(g, "a.bin", ROWS, COLS);

    for (int i = 0; i < COLS; i++)
        v[0][i] = v[1][i] = (float)i;
    const struct op_f32s *w = op_f32s(v[0], COLS, graph_arena(g));
    const struct op_f32s *same = op_f32s(v[1], COLS, graph_arena(g));
    const struct node_id a = weighted(g, s, DTYPE_q4_k, w), none = quantized(g, s, DTYPE_q4_k);
    const struct node_id b = quantized(g, s, DTYPE_q8_0);

    CHECK(weighted(g, s, DTYPE_q4_k, same).i == a.i && a.i != none.i);
    CHECK(graph_node(g, a)->call.arg[1].f32s == w && !graph_node(g, none)->call.arg[1].f32s);
    CHECK(weighted(g, s, DTYPE_q8_0, w).i == b.i && !graph_node(g, b)->call.arg[1].f32s);
    v[1][3] += 1;
    CHECK(weighted(g, s, DTYPE_q4_k, op_f32s(v[1], COLS, graph_arena(g))).i != a.i);
    for (int i = 0; i < 2; i++) {
        const union op_arg arg[] = {{.dtype = DTYPE_q4_k},
                                    {.f32s = op_f32s(bad, COLS, graph_arena(g))}};
        struct node_id out;

        bad[7] = i ? -1 : 1.0f / bad[0];
        const union op_arg then[] = {arg[0], {.f32s = op_f32s(bad, COLS, graph_arena(g))}};

        CHECK(!graph_add_op(g, op_find("quantize"), &s, 1, then, "", &out, &err));
        CHECK_IN(strstr(err.text, "imatrix: "), "%s", err.text);
    }
    graph_free(g);
    scratch_remove();
}

/* Explain shows the vector's digest, and "none" where there is none: what is hashed is printed. */
TEST(the_walk_names_the_vector)
{
    static const float v[COLS] = {1, 2, 3};
    const struct digest zero = {{0}};
    struct graph *g = graph_new();
    struct buf text = {0};
    char hex[DIGEST_HEX + 1];

    scratch_make();
    put_source("a.bin", ROWS, COLS, 1);
    const struct node_id s = source(g, "a.bin", ROWS, COLS);
    const struct op_f32s *w = op_f32s(v, COLS, graph_arena(g));

    for (int i = 0; i < 2; i++) {
        text.size = 0;
        key_text(graph_node(g, weighted(g, s, DTYPE_q4_k, i ? w : NULL)), KEY_SHALLOW, &zero,
                 &text);
        const char *at = memmem(text.data, text.size, "imatrix", 8);

        CHECK(at && strcmp(at + 8, i ? digest_hex(w->digest, hex) : "none") == 0);
    }
    buf_finish(&text);
    graph_free(g);
    scratch_remove();
}

TEST_MAIN(RUN(a_changed_vector_runs_the_tensors_that_use_it) RUN(equal_vectors_make_one_node)
              RUN(the_walk_names_the_vector))
