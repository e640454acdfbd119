/* What holds for every row of ops.def, with parameters drawn from their own ranges. */
#include "test.h"

#include "op/run.h"

#include <math.h>

static uint64_t drawn;

static uint32_t draw(uint32_t below)
{
    uint32_t word[4][PHILOX_LANES];

    philox_lanes(42, drawn++, word);
    return word[0][0] % below;
}

/* Mostly tame, now and then an end of the range. */
static double draw_number(const struct param *p, bool whole)
{
    const double span = fmin(p->max, 9) - fmax(p->min, -3);
    double x = fmax(p->min, -3) + span * draw(1000) / 1000;

    if (draw(16) == 0)
        x = draw(2) ? fmin(p->max, 1e6) : fmax(p->min, -1e6);
    return whole ? floor(x) : x;
}

/* What drawn lists lie in. */
struct lists {
    double f64[OP_PARAMS_MAX][RUN_INPUTS];
    int64_t i64[OP_PARAMS_MAX][RUN_INPUTS];
    float f32[1024];
    struct op_f32s vector;
};

/* Parameter I; lists that have a value for each input have LISTED. */
static void draw_arg(const struct param *p, uint32_t i, uint32_t listed, int64_t cols,
                     union op_arg *arg, struct lists *to)
{
    static const char *const names[] = {"a.weight", "model.norm.weight", "q.bias"};
    uint32_t words = 0;

    switch (p->type) {
    case PARAM_F64:
        arg->f64 = draw_number(p, false);
        break;
    case PARAM_I64:
        arg->i64 = (int64_t)draw_number(p, true);
        break;
    case PARAM_BOOL:
        arg->flag = draw(2);
        break;
    case PARAM_WORD:
        while (p->words[words])
            words++;
        arg->word = p->words[draw(words)];
        break;
    case PARAM_DTYPE:
        arg->dtype = (enum dtype)draw(draw(2) ? DTYPE_q6_k + 1 : DTYPE_COUNT);
        break;
    case PARAM_F64S:
        for (uint32_t k = 0; k < listed; k++)
            to->f64[i][k] = draw_number(p, false);
        arg->f64s.n = listed;
        arg->f64s.v = to->f64[i];
        break;
    case PARAM_I64S:
        for (uint32_t k = 0; k < RUN_INPUTS; k++)
            to->i64[i][k] = draw(300);
        arg->i64s.n = draw(2) ? listed : draw(3);
        arg->i64s.v = to->i64[i];
        break;
    case PARAM_TEXT:
        arg->word = names[draw(countof(names))];
        break;
    case PARAM_F32S:
        for (int64_t k = 0; k < cols; k++)
            to->f32[k] = (float)draw_number(p, true);
        to->vector = (struct op_f32s){.v = to->f32, .n = cols};
        arg->f32s = draw(2) ? &to->vector : NULL;
        break;
    }
}

/* Random values of any dtype that has a kernel; any bytes for the rest. */
static void *draw_data(const struct tensor *t)
{
    const int64_t n = tensor_elements(t);
    uint8_t *to;
    float *x;

    if (dtype_is_float(t->dtype))
        return run_random(drawn++, n, t->dtype);
    to = mem_grow(NULL, (size_t)tensor_bytes(t) + 1);
    memset(to, 0x17, (size_t)tensor_bytes(t));
    if (dtype_info(t->dtype)->kind == DTYPE_KIND_PLAIN)
        return to;
    x = run_random(drawn++, n, DTYPE_f32);
    kernel_of(t->dtype)->encode(x, 1, n, NULL, to);
    mem_free(x);
    return to;
}

/* One drawn use of OP: true when its parameters made sense. */
static bool split_invariant(const struct op *op)
{
    const uint32_t some = draw(4) ? op->in_min + 1 + draw(2) : RUN_INPUTS;
    const uint32_t most = op->in_max < some ? op->in_max : some;
    struct run r = {.op = op, .nin = op->in_min + draw(most - op->in_min + 1)};
    const enum dtype dtype = (enum dtype)draw(draw(2) ? 4 : DTYPE_COUNT);
    const int64_t rows = draw(8) * 12, cols = draw(4) ? 256 * draw(4) : draw(400);
    const uint32_t listed = r.nin - (r.nin && draw(2)); /* the base may have no weight */
    static struct lists lists;
    struct digest whole = {{0}};
    bool taken, ok = true;

    for (uint32_t j = 0; j < r.nin; j++)
        r.in[j] = run_tensor(j && draw(4) == 0 ? (enum dtype)draw(4) : dtype, rows, cols);
    for (uint32_t i = 0; i < op->nparam; i++)
        draw_arg(&op->param[i], i, listed, cols, &r.arg[i], &lists);
    for (uint32_t j = 0; j < r.nin; j++)
        if (!tensor_check(&r.in[j], &r.err))
            return false;
    taken = run_infer(&r);
    if (!taken) {
        CHECK_IN(r.err.code == ERR_TYPE || r.err.code == ERR_SHAPE || r.err.code == ERR_RECIPE ||
                     r.err.code == ERR_LIMIT,
                 "%s: %s", op->name, r.err.text);
        return false;
    }
    for (uint32_t j = 0; j < r.nin; j++)
        r.data[j] = draw_data(&r.in[j]);
    CHECK(tensor_check(&r.call.out, &r.err) && op_granule(&r.call) > 0);
    for (int64_t split = INT32_MAX; split > 0; split /= 37) {
        const bool first = split == INT32_MAX, now = run_split(&r, split);

        if (first) {
            ok = now;
            whole = now ? run_digest(&r) : whole;
        }
        CHECK_IN(now == ok, "%s at %lld: %s", op->name, (long long)split, r.err.text);
        if (now && ok)
            CHECK_IN(digest_eq(run_digest(&r), whole), "%s at %lld", op->name, (long long)split);
        if (now && op->identity && op->identity(&r.call) && tensor_bytes(&r.call.out))
            CHECK_IN(memcmp(r.out, r.data[0], (size_t)tensor_bytes(&r.call.out)) == 0, "%s",
                     op->name);
    }
    for (uint32_t j = 0; j < r.nin; j++) {
        void *p;

        memcpy(&p, &r.data[j], sizeof(p));
        mem_free(p);
    }
    run_free(&r);
    return true;
}

/* If an op's bytes depended on where ranges begin, threads and --mem would change outputs. */
TEST(every_op_is_the_same_in_any_ranges)
{
    for (uint32_t i = 0; i < all_ops_count; i++) {
        int taken = 0;

        for (int k = 0; k < 150; k++)
            taken += split_invariant(all_ops[i]);
        CHECK_IN(taken > 10, "%s: only %d of 150 draws made sense", all_ops[i]->name, taken);
    }
}

/* The table serves recipe checks, keys and docs: each row must be complete. */
TEST(every_op_describes_itself)
{
    for (uint32_t i = 0; i < all_ops_count; i++) {
        const struct op *op = all_ops[i];

        CHECK(op_find(op->name) == op && op->version >= 1 && op->infer && op->rows);
        CHECK(op->in_min <= op->in_max && op->in_max <= OP_INPUTS_MAX);
        CHECK(i == 0 || strcmp(all_ops[i - 1]->name, op->name) < 0);
        CHECK(!op->reduce == !op->combine && !op->reduce == !op->passes_max);
        CHECK(!op->reduce || (op->state_bytes && op->partial_bytes));
        CHECK(op->nparam <= OP_PARAMS_MAX);
        for (uint32_t p = 0; p < op->nparam; p++) {
            const struct param *param = &op->param[p];

            CHECK(op_param(op, param->name) == (int)p && param->doc && param->doc[0]);
            CHECK((param->type == PARAM_WORD) == (param->words != NULL));
            if (param->type == PARAM_F64 || param->type == PARAM_I64 || param->type == PARAM_F64S ||
                param->type == PARAM_I64S || param->type == PARAM_F32S)
                CHECK_IN(param->min < param->max, "%s %s", op->name, param->name);
        }
    }
    CHECK(op_find("no such op") == NULL && op_param(all_ops[0], "no such") == -1);
}

/* Ranges must be whole heads and whole blocks of every dtype; an overflow is 0, not a wrap. */
TEST(granules_are_common_multiples)
{
    struct run r = {.op = op_find("permute"), .nin = 1, .in = {run_tensor(DTYPE_q4_k, 12, 768)}};

    r.arg[0].word = "to_hf";
    r.arg[1].i64 = 6;
    CHECK(run_infer(&r) && op_granule(&r.call) == 6 * 768);
    r.in[0] = run_tensor(DTYPE_q8_0, 4, 256);
    r.op = op_find("quantize");
    r.arg[0].dtype = DTYPE_q6_k;
    r.arg[1].f32s = NULL;
    CHECK(run_infer(&r) && op_granule(&r.call) == 256);
    r.op = op_find("permute");
    r.in[0] = (struct tensor){.dtype = DTYPE_f6_e3m2, .rank = 1, .dim = {((int64_t)1 << 62) - 1}};
    r.call = (struct op_call){.op = r.op, .in = r.in, .nin = 1, .arg = r.arg, .out = r.in[0]};
    r.in[0].rank = 2;
    r.in[0].dim[0] = 1;
    r.in[0].dim[1] = ((int64_t)1 << 62) - 1;
    r.arg[1].i64 = 1;
    CHECK(op_granule(&r.call) == 0);
}

TEST_MAIN(RUN(every_op_is_the_same_in_any_ranges) RUN(every_op_describes_itself)
              RUN(granules_are_common_multiples))
