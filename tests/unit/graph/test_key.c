#include "scratch.h"

#include "graph/key.h"

/* Two walks of one node: what the hash sink and the text sink make of it. */
struct walked {
    struct digest k, q;
    struct buf text;
};

static struct walked walk(const struct graph *g, struct node_id id, const struct digest *content)
{
    const struct node *node = graph_node(g, id);
    struct walked w = {
        key_hash(node, KEY_SHALLOW, content), key_hash(node, KEY_DEEP, content), {0}};

    key_text(node, KEY_SHALLOW, content, &w.text);
    return w;
}

static bool same_text(const struct walked *a, const struct walked *b)
{
    return a->text.size == b->text.size && memcmp(a->text.data, b->text.data, a->text.size) == 0;
}

/* Nodes that differ in one thing each, and two pairs that differ in nothing a key may hold. */
static uint32_t make_nodes(struct graph *g, struct node_id *out)
{
    const struct node_id a = source(g, "a.bin", 64, 256), b = source(g, "b.bin", 64, 256);
    const struct node_id wide = source(g, "w.bin", 32, 512);
    const struct node_id two[2] = {a, b};
    const double half[2] = {0.5, 0.5}, other[2] = {0.5, 0.25}, minus[2] = {0.5, -0.0},
                 plus[2] = {0.5, 0.0};
    uint32_t n = 0;

    out[n++] = scaled(g, a, 1.5);
    out[n++] = scaled(g, b, 1.5); /* another file: the key does not know */
    out[n++] = scaled(g, a, 1.5000000000000002);
    out[n++] = scaled(g, wide, 1.5);
    out[n++] = add(g, "cast", &a, 1, &(union op_arg){.dtype = DTYPE_f32});
    out[n++] = add(g, "cast", &a, 1, &(union op_arg){.dtype = DTYPE_f16});
    out[n++] = quantized(g, a, DTYPE_q4_k);
    out[n++] = quantized(g, a, DTYPE_q5_k);
    for (int i = 0; i < 4; i++) {
        const double *w = i == 0 ? half : i == 1 ? other : i == 2 ? minus : plus;
        const union op_arg arg[2] = {{.f64s = {w, 2}}, {.flag = true}};

        out[n++] = add(g, "merge_linear", two, 2, arg);
    }
    out[n++] = add(g, "merge_linear", two, 2,
                   (const union op_arg[]){{.f64s = {half, 2}}, {.flag = false}});
    out[n++] = slerped(g, a, b, 0.5);
    out[n++] = slerped(g, b, a, 0.5); /* the key knows contents, not names */
    return n;
}

/* If it failed, explain could call two nodes equal that are looked up apart, or tell a
 * difference that no key holds. */
TEST(what_is_hashed_is_what_is_told)
{
    static const struct digest content[2] = {{{1}}, {{2}}};
    struct node_id id[32];
    struct walked w[32];

    scratch_make();
    put_source("a.bin", 64, 256, 1);
    put_source("b.bin", 64, 256, 2);
    put_source("w.bin", 32, 512, 3);
    struct graph *g = graph_new();
    const uint32_t n = make_nodes(g, id);
    uint32_t equal = 0;

    for (uint32_t i = 0; i < n; i++)
        w[i] = walk(g, id[i], content);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < i; k++) {
            CHECK_IN(digest_eq(w[i].k, w[k].k) == same_text(&w[i], &w[k]), "nodes %u and %u", i, k);
            CHECK_IN(digest_eq(w[i].k, w[k].k) == digest_eq(w[i].q, w[k].q), "%u and %u", i, k);
            CHECK(!digest_eq(w[i].k, w[k].q)); /* the two kinds never meet */
            equal += digest_eq(w[i].k, w[k].k);
        }
    CHECK_IN(equal == 2, "%u pairs are equal", equal);
    for (uint32_t i = 0; i < n; i++)
        buf_finish(&w[i].text);
    graph_free(g);
    scratch_remove();
}

/* If it failed, an input's bytes could change without a new key. */
TEST(every_bit_of_every_input_counts)
{
    struct digest content[2] = {{{1}}, {{2}}};

    scratch_make();
    put_source("a.bin", 64, 256, 1);
    put_source("b.bin", 64, 256, 2);
    struct graph *g = graph_new();
    const struct node_id a = source(g, "a.bin", 64, 256), b = source(g, "b.bin", 64, 256);
    const struct node_id id = slerped(g, a, b, 0.5);
    struct walked first = walk(g, id, content);

    for (int in = 0; in < 2; in++)
        for (int bit = 0; bit < 128; bit++) {
            content[in].b[bit / 8] ^= (unsigned char)(1 << bit % 8);
            struct walked other = walk(g, id, content);

            CHECK(!digest_eq(first.k, other.k) && !digest_eq(first.q, other.q));
            CHECK(!same_text(&first, &other));
            buf_finish(&other.text);
            content[in].b[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
    buf_finish(&first.text);
    graph_free(g);
    scratch_remove();
}

TEST_MAIN(RUN(what_is_hashed_is_what_is_told) RUN(every_bit_of_every_input_counts))
