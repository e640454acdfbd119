/* Merges as recipes write them: the nodes they ask for, what is filled in, and what is refused. */
#include "recipe_text.h"

#include <math.h>

/* The node of q_proj of layer 0 (or of NAME) in the variant a. */
static const struct node *node_of(const struct recipe *r, const char *name)
{
    const struct extent *e = extent(r, "a", name);

    CHECK_IN(e != NULL, "%s", name);
    return e ? graph_node(r->graph, e->node) : NULL;
}

static const union op_arg *arg_of(const struct node *n, const char *name)
{
    static const union op_arg none;
    const int at = n && n->call.op ? op_param(n->call.op, name) : -1;

    CHECK_IN(at >= 0, "%s", name);
    return at >= 0 ? &n->call.arg[at] : &none;
}

static const char q_proj[] = "model.layers.0.self_attn.q_proj.weight";

/* The recipe of one merge, written as a folder. */
static struct recipe merged(const char *merge)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "local prose = source 'tests/models/nano-llama-prose'\n"
             "return { a = safetensors { merge.%s } }",
             merge);
    return opens(text);
}

static void refused(const char *merge, const char *what)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "local prose = source 'tests/models/nano-llama-prose'\n"
             "return { a = safetensors { merge.%s } }",
             merge);
    fails(text, what);
}

static bool is_list(const union op_arg *a, double x, double y)
{
    return a->f64s.n == 2 && fabs(a->f64s.v[0] - x) < 1e-15 && fabs(a->f64s.v[1] - y) < 1e-15;
}

/* False: masks are not those of other implementations of specs/merge.md section 3. */
TEST(mask_keys_are_the_defined_ones)
{
    static const char *const seeds[] = {"7", "'0x7'", "'0X0007'"};
    struct recipe r;

    for (size_t i = 0; i < countof(seeds); i++) {
        char text[256];

        snprintf(text, sizeof(text),
                 "dare_ties { prose, code, base = base, weight = 1, density = 0.5, seed = %s }",
                 seeds[i]);
        r = merged(text);
        const union op_arg *masks = arg_of(node_of(&r, q_proj), "masks");

        CHECK(masks->i64s.n == 2 && (uint64_t)masks->i64s.v[0] == 0x163a4f807245a794 &&
              (uint64_t)masks->i64s.v[1] == 0x78d8405c9cb669aa);
        recipe_close(&r);
    }
    refused("dare_ties { code, base = base, weight = 1, seed = -1 }", "from 0");
    refused("dare_ties { code, base = base, weight = 1, seed = 0.5 }", "'seed' is");
    refused("dare_ties { code, base = base, weight = 1, seed = '0x10000000000000000' }",
            "16 digits");
}

/* False: moving layers, or a model that is not at hand, gives other masks. */
TEST(masks_follow_names_and_configured_places)
{
    struct recipe r = merged("dare_linear { slice(prose, 1, 2), slice(code, 1, 2), first = 0, "
                             "base = slice(base, 1, 2), weight = 1, density = 0.5, seed = 7 }");
    const union op_arg *masks = arg_of(node_of(&r, q_proj), "masks");

    CHECK((uint64_t)masks->i64s.v[0] == 0x163a4f807245a794);
    const int64_t key = masks->i64s.v[1];

    recipe_close(&r);
    r = merged("dare_linear { slice(prose, 1, 2), slice(code, 1, 2), first = 3, "
               "base = slice(base, 1, 2), weight = 1, density = 0.5, seed = 7 }");
    masks = arg_of(node_of(&r, q_proj), "masks");
    CHECK((uint64_t)masks->i64s.v[0] != 0x163a4f807245a794 && masks->i64s.v[1] != key);
    recipe_close(&r);
}

/* False: a parameter that changes nothing makes tensors anew. */
TEST(parameters_that_do_not_matter_leave_the_key)
{
    static const char *const same[][2] = {
        {"dare_ties { prose, code, base = base, weight = 1, density = 1, seed = 1 }",
         "dare_ties { prose, code, base = base, weight = 1, density = 1.0, seed = 2, rescale = "
         "false }"},
        {"ties { prose, code, base = base, weight = 1, int8_mask = true }",
         "ties { code, { prose, weight = 1.0 }, weight = 1, base = base, int8_mask = false }"},
        {"breadcrumbs { code, base = base, weight = 1, density = 1, gamma = 0.3 }",
         "breadcrumbs { code, base = base, weight = 1, gamma = 0.1 }"},
        {"della { code, base = base, weight = 1, density = 1, epsilon = 0.3 }",
         "della { code, base = base, weight = 1, seed = 5 }"},
        {"task_arithmetic { code, base = base, weight = 1, density = 0.5 }",
         "task_arithmetic { { code, weight = 1 }, base = base, rescale = true }"},
        {"sce { code, prose, base = base, select_topk = 2 }", "sce { code, prose, base = base }"},
        {"nuslerp { { code, weight = 0.25 }, { prose, weight = 0.75 } }",
         "nuslerp { { code, weight = 1 }, { prose, weight = 3 }, nuslerp_row_wise = true }"},
        {"model_stock { code, prose, base = base, dtype = 'inputs' }",
         "model_stock { code, prose, base = base, dtype = 'bf16' }"},
        {"slerp { base, code, t = 0.5, dtype = 'bf16' }", "slerp { code, base = base, t = 0.5 }"},
        {"linear { base, code, weight = 1, dtype = 'f32' }",
         "linear { base, code, weight = 1, dtype = 'f32', first = 7, as = 'mergekit' }"},
    };

    for (size_t i = 0; i < countof(same); i++) {
        char text[1024];

        snprintf(text, sizeof(text),
                 "local prose = source 'tests/models/nano-llama-prose'\n"
                 "return { a = safetensors { merge.%s }, b = safetensors { merge.%s } }",
                 same[i][0], same[i][1]);
        struct recipe r = opens(text);
        const struct extent *a = extent(&r, "a", q_proj), *b = extent(&r, "b", q_proj);
        const bool swapped = i == 1; /* other order of models: other nodes, by definition */

        CHECK_IN(a && b && (a->node.i == b->node.i) == !swapped, "%s", same[i][0]);
        recipe_close(&r);
    }
}

/* False: the work type is another than dtype says, or is in keys that it does not concern. */
TEST(the_work_type_is_said_where_it_matters)
{
    static const struct {
        const char *options, *math, *dtype;
    } cases[] = {
        {"", "f32", "bf16"},
        {", dtype = 'bf16'", "inputs", "bf16"},
        {", dtype = 'inputs'", "inputs", "bf16"},
        {", dtype = 'f16'", "inputs", "f16"},
        {", dtype = 'f32'", "f32", "f32"},
    };

    for (size_t i = 0; i < countof(cases); i++) {
        char text[256];

        snprintf(text, sizeof(text), "nuslerp { code, prose, weight = 1%s }", cases[i].options);
        struct recipe r = merged(text);
        const struct node *n = node_of(&r, q_proj);

        CHECK_IN(strcmp(arg_of(n, "math")->word, cases[i].math) == 0, "%s", text);
        CHECK_IN(n && strcmp(dtype_name(n->call.out.dtype), cases[i].dtype) == 0, "%s", text);
        recipe_close(&r);
    }
    struct recipe r =
        merged("nuslerp { code, prose, weight = 1, dtype = 'f32', out_dtype = 'f16' }");

    is_made(&r, "a", q_proj, "cast f16");
    recipe_close(&r);
    refused("ram { code, base = base, dtype = 'q8_0' }", "expected a float type");
    refused("ram { code, base = base, out_dtype = 'bf61' }", "unknown type 'bf61'");
}

/* False: base = means another model, or a model's parameters go to another one. */
TEST(base_comes_first_wherever_it_is_named)
{
    static const char *const ways[] = {
        "task_arithmetic { { prose, weight = 2 }, { code, weight = 3 }, base = base }",
        "task_arithmetic { base, { prose, weight = 2 }, { code, weight = 3 }, base = base }",
        "task_arithmetic { { prose, weight = 2 }, base, { code, weight = 3 }, base = base }",
        "task_arithmetic { { prose, weight = 2 }, { code }, base = base, weight = 3 }",
    };

    for (size_t i = 0; i < countof(ways); i++) {
        struct recipe r = merged(ways[i]);
        const struct node *n = node_of(&r, q_proj);

        CHECK_IN(n && n->call.nin == 3 && is_list(arg_of(n, "weights"), 2, 3), "%s", ways[i]);
        CHECK(n && strstr(graph_file(r.graph, graph_node(r.graph, n->in[0])->file)->path, "base"));
        CHECK(n && strstr(graph_file(r.graph, graph_node(r.graph, n->in[1])->file)->path, "prose"));
        recipe_close(&r);
    }
    struct recipe r = merged("nuslerp { prose, code, base = base, weight = 1 }");

    CHECK(arg_of(node_of(&r, q_proj), "base")->flag && node_of(&r, q_proj)->call.nin == 3);
    recipe_close(&r);
    r = merged("karcher { prose, code, base = base }");
    CHECK(node_of(&r, q_proj)->call.nin == 2); /* of karcher it is the donor alone */
    recipe_close(&r);
    r = merged("ties { base, base = base, weight = 1 }");
    is_made(&r, "a", q_proj, "source bf16");
    recipe_close(&r);
    refused("ties { { base, weight = 1 }, { code, weight = 1 }, base = base }",
            "is the base, which takes no 'weight'");
}

/* False: a count of models, or a model that is there twice, passes. */
TEST(inputs_are_counted)
{
    refused("ties { code, weight = 1 }", "merge.ties needs 'base'");
    refused("linear { { code, weight = 1 }, { code, weight = 2 } }", "are the same model");
    refused("slerp { base, code, prose, t = 0.5 }", "takes 2 models with the base, not 3");
    refused("slerp { base, t = 0.5 }", "takes 2 models with the base, not 1");
    refused("nuslerp { code, weight = 1, base = base }", "takes 2 models besides the base, not 1");
    refused("model_stock { code, base = base }", "takes at least 3 models with the base, not 2");
    refused("arcee_fusion { code, prose, base = base }", "takes 2 models with the base, not 3");
    refused("passthrough { code, prose }", "put layers on layers with stack");
    refused("karcher {}", "needs at least one model");
    refused("ties { slice(code, 0, 2), base = base, weight = 1 }", "slice them to equal ranges");
    refused("linear { code, source 'tests/models/nano-qwen2', weight = 1 }", "allow_mixed_arch");
}

/* False: a number that no method can use gets as far as the weights. */
TEST(values_out_of_range_are_refused)
{
    refused("ties { code, base = base, weight = 1, density = 1.5 }", "density is 1.5");
    refused("ties { code, base = base, weight = 1, density = -0.1 }", "density is -0.1");
    refused("breadcrumbs { code, base = base, weight = 1, gamma = 1 }", "gamma is 1");
    refused("della { code, base = base, weight = 1, density = 0.5, epsilon = 0.5 }", "epsilon");
    refused("linear { base, code, weight = 1/0 }", "'weight' is the number inf");
    refused("linear { base, code, weight = 0/0 }", "'weight' is nan");
    refused("slerp { base, code, t = ramp { 0, 1/0 } }", "point 2");
    refused("multislerp { { code, weight = 1 }, { prose, weight = -1 } }", "weights sum to 0");
    refused("karcher { code, prose, max_iter = 2.5 }", "expected a whole number");
    refused("karcher { code, prose, max_iter = ramp { 1, 2 } }", "gave the number 1.3333");
    refused("ties { code, base = base, weight = 1, normalize = 1 }", "expected true or false");
    refused("ties { code, base = base, weight = ramp { true, false } }", "ramp of switches");
    refused("ties { code, base = base, weight = 1, missing = 'onion' }", "did you mean 'union'?");
    refused("ties { code, base = base, weight = 1, as = 'mergkit' }", "did you mean 'mergekit'?");
    refused("ties { code, base = base }", "has no weight for");
    refused("nearswap { code, base = base }", "needs 't'");
    refused("ties { code, base = base, weight = 1, max_iter = 3 }", "unknown key 'max_iter'");
}

/* False: switches over layers, or values by role, reach other layers or tensors than they say. */
TEST(switches_and_roles_choose_tensors)
{
    struct recipe r = merged("model_stock { code, prose, base = base, "
                             "filter_wise = ramp { true, false } }");

    CHECK(arg_of(node_of(&r, q_proj), "filter_wise")->flag); /* element trunc(t * 1) */
    CHECK(arg_of(node_of(&r, "model.layers.2.self_attn.q_proj.weight"), "filter_wise")->flag);
    CHECK(!arg_of(node_of(&r, "model.layers.3.self_attn.q_proj.weight"), "filter_wise")->flag);
    CHECK(!arg_of(node_of(&r, "model.layers.0.input_layernorm.weight"), "filter_wise")->flag);
    recipe_close(&r);
    r = merged("linear { { base, weight = { attn_q = 5, default = 2 } }, "
               "{ code, weight = by { { 'q_proj', 4 } } }, weight = 3 }");
    CHECK(is_list(arg_of(node_of(&r, q_proj), "weights"), 5, 4));
    CHECK(is_list(arg_of(node_of(&r, "model.norm.weight"), "weights"), 2, 3));
    recipe_close(&r);
    refused("linear { base, code, weight = { attn_qkv = 1, default = 2 } }", "no tensor of role");
    refused("linear { base, { code, weight = by { { 'q_prj', 4 }, 1 } }, weight = 3 }",
            "'q_prj' of 'weight' matches no tensor");
    r = merged("linear { base, { code, weight = by { { 'q_prj', 4 }, 1 } }, weight = 3, "
               "as = 'mergekit' }");
    CHECK(is_list(arg_of(node_of(&r, q_proj), "weights"), 3, 1));
    recipe_close(&r);
}

TEST_MAIN(RUN(mask_keys_are_the_defined_ones) RUN(masks_follow_names_and_configured_places)
              RUN(parameters_that_do_not_matter_leave_the_key)
                  RUN(the_work_type_is_said_where_it_matters)
                      RUN(base_comes_first_wherever_it_is_named) RUN(inputs_are_counted)
                          RUN(values_out_of_range_are_refused)
                              RUN(switches_and_roles_choose_tensors))
