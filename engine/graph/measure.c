#include "graph/measure.h"

#include "base/buf.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/sum.h"
#include "graph/exec.h"
#include "graph/settle.h"
#include "kernel/kernel.h"
#include "kernel/reduce.h"

#include <string.h>

enum { TILE = REDUCE_TILE, RAW_BYTES = TILE * 8, VALUE_BYTES = TILE * sizeof(double) };

/* One measurement; workers share it and take tiles from it. */
struct job {
    const struct measure_side *made, *source;
    const double *column; /* weights of all columns of all matrices, or NULL */
    int64_t elements, rows, cols;
    int64_t next, ntile;     /* atomic; tiles */
    struct error_sums *tile; /* ntile of them */
    bool failed;             /* atomic: hand out no more */
    pthread_mutex_t lock;
    struct err err; /* of the earliest tile that failed, which is bad_tile */
    int64_t bad_tile;
};

/* What one worker holds. */
struct desk {
    int fd[2]; /* made, source */
    unsigned char *raw;
    double *value[2], *weight;
};

/* ---- one tile ----------------------------------------------------------------------------- */

static void desk_finish(struct desk *d)
{
    file_close(d->fd[0]);
    file_close(d->fd[1]);
    bulk_free(d->raw, RAW_BYTES);
    bulk_free(d->value[0], VALUE_BYTES);
    bulk_free(d->value[1], VALUE_BYTES);
    bulk_free(d->weight, VALUE_BYTES);
}

static bool desk_init(struct desk *d, const struct job *job, struct err *err)
{
    *d = (struct desk){.fd = {-1, -1}};
    if (!file_open(job->made->path, &d->fd[0], err) ||
        !file_open(job->source->path, &d->fd[1], err))
        return false;
    d->raw = bulk_alloc(RAW_BYTES);
    d->value[0] = bulk_alloc(VALUE_BYTES);
    d->value[1] = bulk_alloc(VALUE_BYTES);
    d->weight = bulk_alloc(VALUE_BYTES);
    if (!d->raw || !d->value[0] || !d->value[1] || !d->weight)
        return err_set(err, ERR_MEMORY, "no memory for tiles of %d elements", TILE);
    return true;
}

/* How many elements from flat index FIRST (of the shared order) lie on end in the file, at most
 * LEFT, and at which flat index of the file. */
static int64_t stretch(const struct measure_side *s, int64_t first, int64_t left, int64_t *at)
{
    const int64_t row = tensor_slab(s->t);

    *at = first;
    if (s->map.kind == ROWMAP_NONE)
        return left;
    *at = rowmap_from(s->map, first / row) * row + first % row;
    return min_i64(left, row - first % row);
}

/* Elements [FIRST, FIRST + N) of the shared order, decoded. */
static bool read_values(const struct measure_side *s, int fd, unsigned char *raw, int64_t first,
                        int64_t n, double *to, struct err *err)
{
    for (int64_t done = 0, at; done < n;) {
        const int64_t count = stretch(s, first + done, n - done, &at);

        if (!file_read_at(fd, s->path, raw + tensor_span(s->t, done),
                          (size_t)tensor_span(s->t, count), s->offset + tensor_span(s->t, at), err))
            return false;
        done += count;
    }
    decode_f64(s->t->dtype, raw, to, n);
    return true;
}

static const double *tile_weights(const struct job *job, int64_t first, int64_t n, double *to)
{
    const int64_t matrix = job->rows * job->cols;

    if (!job->column)
        return NULL;
    for (int64_t i = 0; i < n; i++)
        to[i] = job->column[(first + i) / matrix * job->cols + (first + i) % job->cols];
    return to;
}

static bool do_tile(struct job *job, struct desk *d, int64_t index, struct err *err)
{
    const int64_t first = index * TILE, n = min_i64(TILE, job->elements - first);

    if (!read_values(job->made, d->fd[0], d->raw, first, n, d->value[0], err) ||
        !read_values(job->source, d->fd[1], d->raw, first, n, d->value[1], err))
        return false;
    error_tile(d->value[1], d->value[0], tile_weights(job, first, n, d->weight), n, first,
               &job->tile[index]);
    return true;
}

static void work(void *self)
{
    struct job *job = self;
    struct desk desk;
    struct err err;
    int64_t index = 0;
    bool ok = desk_init(&desk, job, &err);

    while (ok && !__atomic_load_n(&job->failed, __ATOMIC_RELAXED)) {
        index = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED);
        if (index >= job->ntile)
            break;
        ok = do_tile(job, &desk, index, &err);
    }
    desk_finish(&desk);
    if (ok)
        return;
    pthread_mutex_lock(&job->lock);
    if (!job->failed || index < job->bad_tile) {
        job->bad_tile = index;
        job->err = err;
    }
    __atomic_store_n(&job->failed, true, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&job->lock);
}

/* ---- a whole tensor ----------------------------------------------------------------------- */

/* The dimensions of T that count: ones in front say nothing of how values lie. */
static uint32_t leading(const struct tensor *t)
{
    uint32_t i = 0;

    while (i < t->rank && t->dim[i] == 1)
        i++;
    return i;
}

bool measure_fits(const struct measure_side *made, const struct measure_side *source,
                  struct err *err)
{
    const uint32_t a = leading(made->t), b = leading(source->t);
    bool equal = made->t->rank - a == source->t->rank - b;
    char left[160], right[160];

    for (uint32_t i = 0; equal && a + i < made->t->rank; i++)
        equal = made->t->dim[a + i] == source->t->dim[b + i];
    if (!equal)
        return err_set(err, ERR_SHAPE, "its shape is %s, that of its source %s",
                       tensor_shape(made->t, left, sizeof(left)),
                       tensor_shape(source->t, right, sizeof(right)));
    return true;
}

/* A row map moves whole blocks only. */
static bool can_read(const struct measure_side *s)
{
    const struct tensor *t = s->t;

    if (!kernel_of(t->dtype))
        return false;
    return s->map.kind == ROWMAP_NONE ||
           (s->map.head >= 2 && s->map.head % 2 == 0 && t->rank && t->dim[0] % s->map.head == 0 &&
            tensor_slab(t) % dtype_info(t->dtype)->elements == 0);
}

bool measure_can(const struct measure_side *made, const struct measure_side *source)
{
    return can_read(made) && can_read(source);
}

static double *column_weights(const struct op_f32s *weights, int64_t cols, struct err *err)
{
    double *w = bulk_alloc((size_t)weights->n * sizeof(*w));

    if (!w) {
        err_set(err, ERR_MEMORY, "no memory for the weights of %lld columns",
                (long long)weights->n);
        return NULL;
    }
    for (int64_t first = 0; first < weights->n; first += cols)
        error_weights(weights->v + first, cols, w + first);
    return w;
}

static bool run(struct job *job, uint32_t workers, struct error_sums *out, struct err *err)
{
    struct error_sums sum = ERROR_NONE;

    job->ntile = (job->elements + TILE - 1) / TILE;
    job->tile = mem_grow(NULL, (size_t)(job->ntile + 1) * sizeof(*job->tile));
    pthread_mutex_init(&job->lock, NULL);
    exec_spread((uint32_t)min_i64(workers, max_i64(1, job->ntile)), work, job);
    pthread_mutex_destroy(&job->lock);
    for (int64_t i = 0; !job->failed && i < job->ntile; i++)
        error_add(&sum, &job->tile[i]);
    mem_free(job->tile);
    if (job->failed)
        *err = job->err;
    else
        *out = sum;
    return !job->failed;
}

bool measure_error(const struct measure_side *made, const struct measure_side *source,
                   const struct op_f32s *weights, uint32_t workers, struct error_sums *out,
                   struct err *err)
{
    const struct tensor *t = made->t;
    struct job job = {.made = made,
                      .source = source,
                      .elements = tensor_elements(t),
                      .cols = tensor_cols(t),
                      .rows = t->rank > 1 ? t->dim[t->rank - 2] : 1};
    double *column = NULL;

    if (weights && job.elements) {
        column = column_weights(weights, job.cols, err);
        if (!column)
            return false;
    }
    job.column = column;
    const bool ok = run(&job, workers, out, err);

    bulk_free(column, column ? (size_t)weights->n * sizeof(*column) : 0);
    return ok;
}

/* ---- what is kept of it ------------------------------------------------------------------- */

static void put_tensor(struct buf *out, const struct measure_side *s)
{
    buf_put(out, s->d.b, sizeof(s->d.b));
    buf_printf(out, "\n%s %u\n", dtype_name(s->t->dtype), dtype_info(s->t->dtype)->version);
    for (uint32_t i = 0; i < s->t->rank; i++)
        buf_printf(out, "%lld ", (long long)s->t->dim[i]);
}

static void put_side(struct buf *out, const struct measure_side *s)
{
    put_tensor(out, s);
    buf_printf(out, "\n%d %lld\n", (int)s->map.kind, (long long)s->map.head);
}

static struct digest digest_of(struct buf *text)
{
    const struct digest d = hash_bytes(text->data, text->size);

    buf_finish(text);
    return d;
}

struct digest measure_key(const struct measure_side *made, const struct measure_side *source,
                          const struct op_f32s *weights)
{
    struct buf text = {0};

    buf_text(&text, "vbuild.error 1\n");
    put_side(&text, made);
    put_side(&text, source);
    if (weights)
        buf_put(&text, weights->digest.b, sizeof(weights->digest.b));
    return digest_of(&text);
}

static struct digest last_key(const struct measure_side *made)
{
    struct buf text = {0};

    buf_text(&text, "vbuild.error.last 1\n");
    put_tensor(&text, made);
    return digest_of(&text);
}

static void put_sums(struct buf *out, const struct error_sums *s)
{
    buf_f64(out, s->e);
    buf_f64(out, s->w);
    buf_f64(out, s->x);
    buf_f64(out, s->max);
    buf_u64(out, (uint64_t)s->max_at);
    buf_u64(out, (uint64_t)s->skipped);
}

static bool get_f64(struct bytes *b, double *out)
{
    uint64_t u;

    if (!bytes_u64(b, &u))
        return false;
    memcpy(out, &u, sizeof(*out));
    return true;
}

static bool get_sums(struct bytes *b, struct error_sums *s)
{
    uint64_t at, skipped;

    if (!get_f64(b, &s->e) || !get_f64(b, &s->w) || !get_f64(b, &s->x) || !get_f64(b, &s->max) ||
        !bytes_u64(b, &at) || !bytes_u64(b, &skipped))
        return false;
    s->max_at = (int64_t)at;
    s->skipped = (int64_t)skipped;
    return true;
}

static bool fetch(struct store *store, struct digest key, struct arena *arena, struct bytes *out)
{
    char *bytes;
    size_t n;

    if (!store || !store_fact(store, key, arena, &bytes, &n))
        return false;
    *out = (struct bytes){(const unsigned char *)bytes, n, 0};
    return true;
}

bool measure_known(struct store *store, struct digest key, struct error_sums *out)
{
    struct arena *arena = arena_new();
    struct error_sums sums;
    struct bytes b;
    const bool ok = fetch(store, key, arena, &b) && get_sums(&b, &sums) && !bytes_left(&b);

    arena_free(arena);
    if (ok)
        *out = sums;
    return ok;
}

bool measure_keep(struct store *store, struct digest key, const struct error_sums *sums,
                  struct err *err)
{
    struct buf value = {0};

    put_sums(&value, sums);
    const bool ok = store_put_fact(store, key, value.data, value.size, err) || cache_failed(err);

    buf_finish(&value);
    return ok;
}

/* A text that ends with a NUL, as people see it; NULL when there is none. */
static const char *get_text(struct bytes *b)
{
    const unsigned char *at = b->data + b->at;
    const unsigned char *end = memchr(at, 0, (size_t)bytes_left(b));

    if (!end || !bytes_take(b, (uint64_t)(end - at) + 1))
        return NULL;
    return (const char *)at;
}

bool measure_last(struct store *store, const struct measure_side *made, struct arena *arena,
                  struct measured *out)
{
    struct measured got;
    struct bytes b;

    if (!fetch(store, last_key(made), arena, &b) || !get_sums(&b, &got.sums))
        return false;
    got.against = get_text(&b);
    got.weights = got.against ? get_text(&b) : NULL;
    if (!got.weights)
        return false;
    *out = got;
    return true;
}

bool measure_keep_last(struct store *store, const struct measure_side *made,
                       const struct measured *measured, struct err *err)
{
    struct buf value = {0};

    put_sums(&value, &measured->sums);
    buf_put(&value, measured->against, strlen(measured->against) + 1);
    buf_put(&value, measured->weights, strlen(measured->weights) + 1);
    const bool ok =
        store_put_fact(store, last_key(made), value.data, value.size, err) || cache_failed(err);

    buf_finish(&value);
    return ok;
}
