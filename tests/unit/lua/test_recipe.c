/* Recipes against the small models of tests/models: what graph they make, and how they fail. */
#include "recipe_text.h"

/* False: a word with a typing error does something else than it says. */
TEST(wrong_words_offer_the_right_ones)
{
    fails("return { a = gguf { quantize { base, types { atn_q = 'q4_k' } } } }",
          "types: unknown role or option 'atn_q' (did you mean 'attn_q'?)");
    fails("return { a = gguf { graft { base, organ = code } } }", "did you mean 'organs'?");
    fails("return { a = gguf { base, nmae = 'x' } }", "gguf: unknown key 'nmae' (did you mean");
    fails("return { a = gguf { merge.linear { base, { code, wieght = 1 } } } }", "'weight'?");
    fails("return { a = gguf { merge.lineer { base, code } } }", "did you mean 'linear'?");
    fails("return { a = gguff { base } }", "undeclared variable 'gguff' (did you mean 'gguf'?)");
    fails("return { a = gguf { quantize { base, default = 'q4_kk' } } }", "did you mean 'q4_k'?");
    fails("return { a = gguf { base, outtype = 'f61' } }", "did you mean 'f16'?");
    fails("return { a = gguf { base.layerz } }", "did you mean 'layers'?");
    fails("return { a = gguf { base, expect = { bwp = 4 } } }", "did you mean 'bpw'?");
}

/* False: values that belong to a later release, or to other words, pass in silence. */
TEST(what_is_not_there_says_so)
{
    fails("return { a = gguf { quantize { base, 'Q2_K_S' } } }", "requires an imatrix");
    fails("return { a = gguf { quantize { base, default = 'q4_k_m' } } }", "is a preset");
    fails("return { a = gguf { quantize { base, default = 'q8_k' } } }", "hold q8_0");
    fails("return { a = gguf { quantize { base, default = 'q8_1' } } }", "activations");
    fails("return { a = gguf { merge.yeam { base, code } } }", "later release");
    fails("return { a = gguf { merge.ram { code, base = base, tokenizer = 'union' } } }",
          "later release");
    fails("return { a = gguf { lora { base } } }", "later release");
    fails("return { a = gguf { quantize { base, budget = '5GB', default = 'q4_k' } } }",
          "later release");
    fails("return { a = gguf { cast { base, to = 'q4_k' } } }", "use quantize");
    fails("return { a = safetensors { quantize { base, default = 'q4_k' } } }", "do not hold");
}

/* False: a range, pattern or allocation that means nothing is ignored. */
TEST(dead_parameters_are_errors)
{
    fails("return { a = gguf { slice(base, 0, 5) } }", "has 4 layers");
    fails("return { a = gguf { slice(base, 2, 1) } }", "half open");
    fails("return { a = gguf { slice(base, 2, 2) } }", "no layer");
    fails("return { a = gguf { slice(base, 0.5, 2) } }", "whole numbers");
    fails("return { a = gguf { graft { base, organs = code, layers = span(2, 5) } } }",
          "which has 4");
    fails("return { a = gguf { merge.slerp { base, code, t = by { { 'mlpx', 1 }, 0.3 } } } }",
          "'mlpx' of 't' matches no tensor");
    fails("return { a = gguf { merge.slerp { base, code, t = { 0, 1 } } } }", "write ramp");
    fails("return { a = gguf { merge.slerp { base, code } } }", "needs 't'");
    fails("return { a = gguf { merge.linear { base, { code, weight = 1 } } } }", "no weight");
    fails("return { a = gguf { merge.linear { { base, weight = 1 }, { code, weight = -1 } } } }",
          "weights sum to 0");
    fails("return { a = gguf { quantize { base, attn = 'q4_k' } } }", "role 'token_embd'");
    fails("return { a = gguf { quantize { base, output = 'q6_k', default = 'q4_k' } } }",
          "no tensor of role 'output'");
    fails("return { a = gguf { quantize { base, norm = 'q4_k', default = 'q4_k' } } }",
          "no rows to quantize");
    fails("return { a = gguf { scale { base, attn_q = 2, q_proj = 3 } } }", "same role");
    fails("return { a = gguf { scale { base, ffn_up_exps = 2 } } }", "no tensor of role");
    fails("return { a = gguf { quantize { quantize { base, default = 'q8_0' }, default = 'q4_k' } "
          "} }",
          "quantized already");
    fails("return { a = gguf { stack { base, source 'tests/models/nano-qwen2' } } }",
          "two architectures");
}

/* False: a recipe that returns nothing useful builds nothing, with exit 0. */
TEST(what_a_recipe_returns_is_checked)
{
    fails("return gguf { base }", "give it a name");
    fails("return 5", "must end with return");
    fails("local x = 1", "returns nothing");
    fails("return {}", "no variants");
    fails("return { a = base }", "expected an artifact");
    fails("return { gguf { base } }", "has no name");
    fails("return { a = gguf { base }, b = gguf { base, name = 'a' } }", "two artifacts");
    fails("return { a = gguf { base, name = '../a' } }", "no file name");
    fails("return { a = gguf { base, expect = { bytes = 1 } } }", "expect says 1");
    fails("return { a = gguf { base, expect = { bpw = 4 } } }", "expect says 4.000");
    fails("return { a = gguf { base, limit = '1MB' } }", "the limit is 1000000");
}

/* False: a recipe can change a value that another expression also holds. */
TEST(values_are_frozen)
{
    fails("base.layers = 3", "a model cannot be changed");
    fails("local S = types { attn = 'q4_k' }\nS.attn = 'q6_k'", "a types value cannot be changed");
    fails("merge.linear = nil", "merge cannot be changed");
    fails("local a = gguf { base }\na.name = 'x'", "an artifact cannot be changed");
    fails("local m = setmetatable({}, {})\nreturn { a = gguf { m } }", "expected a model");
}

/* False: the source's error hides where the recipe asked for it. */
TEST(a_missing_source_keeps_its_code_and_the_line)
{
    struct recipe r;
    struct err err = {0};

    CHECK(!open_text(&r, "\nreturn { a = gguf { source 'nowhere' } }", NULL, &err));
    CHECK(err.code == ERR_IO);
    CHECK_IN(strstr(err.text, ":4: nowhere: "), "%s", err.text);
}

/* False: `types` gives a tensor another type than the most specific word says. */
TEST(the_most_specific_word_decides)
{
    struct recipe r =
        opens("local S = types { attn = 'q5_k', attn_v = 'q3_k', default = 'q8_0',\n"
              "  ffn_down = edges('q4_k', 'q6_k'), norm = 'f16' }\n"
              "return { S = gguf { quantize { base, S } },\n"
              "  M = gguf { quantize { base, with(S, { attn = 'q6_k' }) } },\n"
              "  L = gguf { quantize { base, S, organs = 'q4_0', q_proj = 'keep' } } }");

    is_made(&r, "S", "blk.0.attn_q.weight", "quantize q5_k");
    is_made(&r, "S", "blk.0.attn_v.weight", "quantize q3_k");
    is_made(&r, "S", "token_embd.weight", "quantize q8_0");
    is_made(&r, "S", "blk.0.ffn_down.weight", "quantize q4_k"); /* 4 // 8 = 0: no first eighth */
    is_made(&r, "S", "blk.2.ffn_down.weight", "quantize q6_k");
    is_made(&r, "S", "blk.3.ffn_down.weight", "quantize q6_k");
    is_made(&r, "S", "output_norm.weight", "cast f16");
    is_made(&r, "M", "blk.0.attn_v.weight", "quantize q6_k"); /* a change goes before */
    is_made(&r, "M", "blk.0.ffn_up.weight", "quantize q8_0");
    is_made(&r, "L", "blk.0.ffn_down.weight", "quantize q4_0");
    is_made(&r, "L", "blk.0.attn_q.weight", "source bf16");
    recipe_close(&r);
}

/* False: what every tensor is made of changes what the file costs (rulings 15, 12). */
TEST(unchanged_tensors_are_copies_and_rows_are_mapped)
{
    struct recipe r = opens("local both = graft { base, organs = code, layers = span(1, 3) }\n"
                            "return { hf = safetensors { both }, gg = gguf { both } }");
    const struct extent *q = extent(&r, "gg", "blk.0.attn_q.weight");
    const struct extent *own = extent(&r, "hf", "model.layers.0.mlp.up_proj.weight");
    const struct extent *lent = extent(&r, "hf", "model.layers.1.mlp.up_proj.weight");

    is_made(&r, "hf", "model.layers.1.mlp.up_proj.weight", "source bf16");
    is_made(&r, "gg", "blk.1.ffn_up.weight", "source bf16");
    is_made(&r, "gg", "blk.1.ffn_norm.weight", "cast f32");
    CHECK(q && q->map.kind == ROWMAP_TO_GGUF && q->map.head == 64);
    CHECK(own && lent &&
          graph_node(r.graph, own->node)->file != graph_node(r.graph, lent->node)->file);
    CHECK(count_op(&r, "permute") == 0);
    recipe_close(&r);
}

/* False: equal expressions cost twice, or a scale of 1 costs at all (ruling 15). */
TEST(equal_expressions_are_one_node)
{
    struct recipe r = opens("return { a = gguf { scale { base, attn_q = 2, ffn = 1 } },\n"
                            "  b = gguf { scale { cast { base, to = 'bf16' }, q_proj = 2.0 } } }");
    const struct extent *a = extent(&r, "a", "blk.3.attn_q.weight");
    const struct extent *b = extent(&r, "b", "blk.3.attn_q.weight");

    CHECK(count_op(&r, "scale") == 4);
    CHECK(a && b && a->node.i == b->node.i);
    recipe_close(&r);
}

/* The gain of scale on one tensor. */
static double gain(const struct recipe *r, const char *variant, const char *name)
{
    const struct extent *e = extent(r, variant, name);
    const struct node *n = e ? graph_node(r->graph, e->node) : NULL;

    return n && n->call.op && strcmp(n->call.op->name, "scale") == 0 ? n->call.arg[0].f64 : 1;
}

/* False: a parameter has another value than the field's own tool gives it (merge.md 4). */
TEST(parameters_count_layers_as_defined)
{
    struct recipe r = opens(
        "local function up(x) return safetensors { cast { x, to = 'bf16' } } end\n"
        "return { ramp = up(scale { base, ffn_up = ramp { 1, 3, 9 } }),\n"
        "  part = up(stack { scale { slice(base, 1, 3), ffn_up = ramp { 2, 4 } } }),\n"
        "  one = up(scale { slice(base, 1, 2), ffn_up = ramp { 2, 4 }, embed = ramp { 5, 6 } }),\n"
        "  call = up(scale { slice(base, 2, 4), ffn_up = function(l, n, s) return 100*l+10*n+s end "
        "}),\n"
        "  by = up(scale { slice(base, 2, 4), all = by { { 'layers.3.mlp.up', 7 } } }) }");

    CHECK(gain(&r, "ramp", "model.layers.0.mlp.up_proj.weight") == 1);
    CHECK(gain(&r, "ramp", "model.layers.1.mlp.up_proj.weight") == (1 - 2.0 / 3) * 1 + 2.0 / 3 * 3);
    CHECK(gain(&r, "ramp", "model.layers.3.mlp.up_proj.weight") == 9);
    CHECK(gain(&r, "part", "model.layers.0.mlp.up_proj.weight") == 2);
    CHECK(gain(&r, "part", "model.layers.1.mlp.up_proj.weight") == 4);
    CHECK(gain(&r, "one", "model.layers.0.mlp.up_proj.weight") == 4); /* one layer: t = 1 */
    CHECK(gain(&r, "one", "model.embed_tokens.weight") == 5);         /* outside: t = 0 */
    CHECK(gain(&r, "call", "model.layers.0.mlp.up_proj.weight") == 22);
    CHECK(gain(&r, "call", "model.layers.1.mlp.up_proj.weight") == 123);
    CHECK(gain(&r, "by", "model.layers.1.mlp.up_proj.weight") == 7); /* the source's own name */
    CHECK(gain(&r, "by", "model.layers.0.mlp.up_proj.weight") == 1);
    recipe_close(&r);
}

/* False: the choice of variants, or of options, builds something else. */
TEST(variants_and_options_are_exact)
{
    const char *const def[] = {"q=q6_k"}, *const wrong[] = {"qq=1"};
    const char *const want[] = {"b"}, *const miss[] = {"c"};
    const struct recipe_options two = {.define = def, .ndefine = 1, .variant = want, .nvariant = 1};
    const struct recipe_options bad_option = {.define = wrong, .ndefine = 1};
    const struct recipe_options bad_variant = {.variant = miss, .nvariant = 1};
    const char *text = "local t = option('q', 'q4_k')\n"
                       "return { a = gguf { base }, b = gguf { quantize { base, default = t } } }";
    struct recipe r;
    struct err err = {0};

    CHECK(open_text(&r, text, &two, &err));
    CHECK(r.nartifact == 1 && strcmp(r.artifact[0].name, "b.gguf") == 0);
    is_made(&r, "b", "blk.0.ffn_up.weight", "quantize q6_k");
    recipe_close(&r);
    CHECK(!open_text(&r, text, &bad_option, &err));
    CHECK_IN(strstr(err.text, "no option 'qq' (did you mean 'q'?)"), "%s", err.text);
    CHECK(!open_text(&r, text, &bad_variant, &err));
    CHECK_IN(strstr(err.text, "no variant 'c'"), "%s", err.text);
}

/* False: the figures of the issue do not come out. */
TEST(the_recipes_give_their_figures)
{
    static const char *const files[] = {"build.lua", "recipes/chimera.lua", "recipes/demo.lua",
                                        "recipes/fimbulvetr.lua", "recipes/vikras-mixp.lua"};
    const struct recipe_options none = {0};

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct recipe r;
        struct err err = {0};
        const bool ok = recipe_open(&r, files[i], &none, &err);

        CHECK_IN(ok, "%s", err.text);
        if (!ok)
            continue;
        if (i == 3) {
            CHECK(find(&r, "deep") && artifact_size(r.graph, find(&r, "deep")).tensors == 426);
            CHECK(count_op(&r, "scale") == 86);
            CHECK(r.nnote == 1 && strstr(r.note[0], "layers 47..47 of Fimbulvetr-11B"));
        } else if (i == 4) {
            const struct artifact_size s = artifact_size(r.graph, find(&r, "S"));

            CHECK_IN(s.bpw > 6.1115 && s.bpw < 6.1125, "%f", s.bpw);
            CHECK_IN(s.bpw_quantized > 4.8935 && s.bpw_quantized < 4.8945, "%f", s.bpw_quantized);
            CHECK((s.tensor_bytes * 10000 / 1073741824 + 5) / 10 == 8715); /* GiB / 1000 */
            CHECK(count_op(&r, "quantize") + count_op(&r, "cast") == 581);
        }
        recipe_close(&r);
    }
}

/* False: the page of words does not match what the words do. */
TEST(the_page_of_words_has_runnable_examples)
{
    struct buf page = {0};
    struct err err = {0};
    uint32_t examples = 0;

    CHECK_IN(recipe_words(&page, &err), "%s", err.text);
    const char *at = buf_cstr(&page);

    while ((at = strstr(at, "```lua\n"))) {
        const char *end = strstr(at += 7, "```");
        const struct recipe_options none = {0};
        struct recipe r;

        snprintf(path, sizeof(path), "/tmp/vbuild-words-%d.lua", (int)getpid());
        CHECK(file_replace(path, at, (size_t)(end - at), &err));
        const bool ok = recipe_open(&r, path, &none, &err);

        CHECK_IN(ok, "%.*s%s", (int)(end - at), at, err.text);
        if (ok)
            recipe_close(&r);
        remove(path);
        at = end + 3;
        examples++;
    }
    CHECK(examples >= 36);
    buf_finish(&page);
}

/* False: a second process plans other bytes (law 1: Lua's own order of keys differs). */
TEST(two_evaluations_are_one)
{
    const char *text =
        "return { b = gguf { quantize { base, attn = 'q4_k', ffn = 'q5_k', embed =\n"
        "'q8_0' } }, a = safetensors { graft { base, attn = code, embed = code } } }";
    struct recipe x = opens(text), y = opens(text);

    CHECK(x.nartifact == 2 && y.nartifact == 2);
    CHECK(graph_nodes(x.graph) == graph_nodes(y.graph));
    for (uint32_t i = 0; i < x.nartifact; i++)
        for (uint32_t f = 0; f < x.artifact[i].nfile; f++) {
            const struct out_file *p = &x.artifact[i].file[f], *q = &y.artifact[i].file[f];

            CHECK(strcmp(p->path, q->path) == 0 && p->head_size == q->head_size &&
                  memcmp(p->head, q->head, p->head_size) == 0 && p->nextent == q->nextent);
            for (uint32_t e = 0; e < p->nextent; e++)
                CHECK(p->extent[e].node.i == q->extent[e].node.i);
        }
    recipe_close(&x);
    recipe_close(&y);
}

TEST_MAIN(RUN(wrong_words_offer_the_right_ones) RUN(what_is_not_there_says_so)
              RUN(dead_parameters_are_errors) RUN(what_a_recipe_returns_is_checked)
                  RUN(values_are_frozen) RUN(a_missing_source_keeps_its_code_and_the_line)
                      RUN(the_most_specific_word_decides)
                          RUN(unchanged_tensors_are_copies_and_rows_are_mapped)
                              RUN(equal_expressions_are_one_node)
                                  RUN(parameters_count_layers_as_defined)
                                      RUN(variants_and_options_are_exact)
                                          RUN(the_recipes_give_their_figures)
                                              RUN(the_page_of_words_has_runnable_examples)
                                                  RUN(two_evaluations_are_one))
