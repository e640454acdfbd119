#include "format/hf.h"

#include "base/json.h"
#include "base/map.h"
#include "base/msg.h"
#include "format/safetensors.h"
#include "format/wrong.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Every shard stays mapped, so their number is bounded; an index of a million tensors is far
 * below the bytes allowed. */
enum { SHARDS_MAX = 10000, INDEX_DEPTH = 8, INDEX_MAX = 256 << 20 };

static const char index_name[] = "model.safetensors.index.json", whole_name[] = "model.safetensors";

/* One line of weight_map. */
struct entry {
    const char *name;
    size_t shard; /* index into checkpoint.file */
    bool found;
};

struct folder {
    struct checkpoint got;
    struct arena *arena, *scratch;
    char **name; /* what is in the folder, sorted */
    size_t nname;
    const char *index_path;
    struct json doc;
    struct entry *entry;
    size_t nentry;
    struct map by_name; /* tensor name to entry */
    struct err *err;
};

/* ---- folders that hold no checkpoint we read ---- */

static bool has(const struct folder *f, const char *name)
{
    for (size_t i = 0; i < f->nname; i++)
        if (strcmp(f->name[i], name) == 0)
            return true;
    return false;
}

static const char *has_like(const struct folder *f, const char *begin, const char *end)
{
    const size_t b = strlen(begin), e = strlen(end);

    for (size_t i = 0; i < f->nname; i++) {
        const size_t n = strlen(f->name[i]);

        if (n >= b + e && strncmp(f->name[i], begin, b) == 0 &&
            strcmp(f->name[i] + n - e, end) == 0)
            return f->name[i];
    }
    return NULL;
}

/* Neither index nor model.safetensors: say what is there instead. */
static bool refuse_folder(const struct folder *f)
{
    static const struct {
        const char *begin, *end, *why;
    } others[] = {
        {"pytorch_model", "", "PyTorch pickles are never read; convert them to safetensors"},
        {"consolidated", "",
         "Mistral's own layout is not read; get the Hugging Face layout of "
         "this model (config.json, model.safetensors)"},
        {"params.json", "",
         "Mistral's own layout is not read; get the Hugging Face layout of "
         "this model (config.json, model.safetensors)"},
        {"", ".gguf", "name that file itself as the source"},
        {"adapter_model", "", "this is an adapter, not a model; name it in lora { }"},
        {"model-", ".safetensors",
         "shards without their model.safetensors.index.json; fetch it "
         "too"},
        {"", ".safetensors", "name that file itself as the source, or call it model.safetensors"},
        {"tf_model", "", "TensorFlow weights are not read; convert them to safetensors"},
        {"flax_model", "", "Flax weights are not read; convert them to safetensors"},
        {"", ".bin", "pickles are never read; convert them to safetensors"},
    };

    for (size_t i = 0; i < countof(others); i++) {
        const char *name = has_like(f, others[i].begin, others[i].end);

        if (name)
            return err_set(f->err, ERR_FORMAT, "%s: no model.safetensors nor its index, but %s: %s",
                           f->got.path, name, others[i].why);
    }
    return err_set(f->err, ERR_FORMAT,
                   "%s: the folder holds no weights; expected model.safetensors, or "
                   "model.safetensors.index.json with its shards",
                   f->got.path);
}

/* ---- the index ---- */

static bool read_index(struct folder *f)
{
    char *text;
    size_t size;

    f->index_path = path_join(f->scratch, f->got.path, index_name);
    if (!file_read(f->index_path, INDEX_MAX, f->scratch, &text, &size, f->err) ||
        !wrong_check(f->index_path, (unsigned char *)text, size < 512 ? size : 512, f->err))
        return false;
    if (!json_parse(&f->doc, text, size, INDEX_DEPTH, f->scratch, f->err))
        return err_in(f->err, "%s", f->index_path);
    return true;
}

/* A shard is a file of this folder: its name must not lead anywhere else. */
static bool check_shard(const struct folder *f, const char *name, size_t n)
{
    struct shown shown;
    bool bare = n > 0 && n < 256 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;

    for (size_t i = 0; bare && i < n; i++)
        bare =
            (unsigned char)name[i] >= 0x20 && name[i] != 0x7f && name[i] != '/' && name[i] != '\\';
    if (bare)
        return true;
    return err_set(f->err, ERR_FORMAT,
                   "%s: shard name \"%s\" is not a bare file name; a shard lies beside its index",
                   f->index_path, name_shown(&shown, name, n));
}

/* A name of the document, NUL-terminated in the scratch arena. */
static const char *text_of(struct folder *f, uint32_t node, size_t *n)
{
    const char *text = json_string(&f->doc, node, f->scratch, n);

    if (!text || f->doc.node[node].escaped)
        return text;
    return arena_strndup(f->scratch, text, *n);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The distinct shard names of weight_map, sorted, become checkpoint.file (names for now). */
static bool list_shards(struct folder *f, uint32_t map)
{
    struct map seen = {0};
    const char **list = NULL;
    size_t count = 0, n;
    bool ok = true;

    for (uint32_t k = json_first(&f->doc, map); ok && k; k = json_after(&f->doc, map, k + 1)) {
        const struct json_node *node = &f->doc.node[k + 1];
        const bool raw = node->type == JSON_STRING && !node->escaped;

        if (raw && map_get(&seen, f->doc.text + node->at, (size_t)(node->end - node->at), NULL))
            continue;
        const char *shard = text_of(f, k + 1, &n);

        if (!shard)
            ok = err_set(f->err, ERR_FORMAT, "%s: a shard name is not a string", f->index_path);
        ok = ok && check_shard(f, shard, n);
        if (!ok || !map_add(&seen, shard, n, 0, NULL))
            continue;
        if (count == SHARDS_MAX)
            ok = err_set(f->err, ERR_LIMIT, "%s: more than %d shards", f->index_path,
                         (int)SHARDS_MAX);
        if ((count & (count - 1)) == 0)
            list = mem_grow(list, (count ? 2 * count : 1) * sizeof(*list));
        list[count++] = shard;
    }
    map_finish(&seen);
    if (ok) {
        qsort(list, count, sizeof(*list), by_bytes);
        f->got.file = arena_array(f->arena, count, sizeof(*list));
        memcpy(f->got.file, list, count * sizeof(*list));
        f->got.nfile = (uint32_t)count;
    }
    mem_free(list);
    return ok;
}

static void list_entries(struct folder *f, uint32_t map)
{
    struct map shards = {0};
    size_t n;

    f->nentry = f->doc.node[map].count;
    f->entry = arena_array(f->scratch, f->nentry, sizeof(*f->entry));
    for (uint32_t i = 0; i < f->got.nfile; i++)
        map_set(&shards, f->got.file[i], strlen(f->got.file[i]), i);
    f->nentry = 0;
    for (uint32_t k = json_first(&f->doc, map); k; k = json_after(&f->doc, map, k + 1)) {
        struct entry *entry = &f->entry[f->nentry];
        uint64_t shard = 0;

        entry->name = text_of(f, k, &n);
        map_set(&f->by_name, entry->name, n, f->nentry++);
        const char *file = json_string(&f->doc, k + 1, f->scratch, &n);

        map_get(&shards, file, n, &shard);
        entry->shard = (size_t)shard;
    }
    map_finish(&shards);
}

static bool read_weight_map(struct folder *f)
{
    const uint32_t map = json_get(&f->doc, 1, "weight_map");

    if (json_type(&f->doc, map) != JSON_OBJECT || f->doc.node[map].count == 0)
        return err_set(f->err, ERR_FORMAT,
                       "%s: weight_map is %s; expected an object of tensor names and shard files",
                       f->index_path, !map ? "missing" : "empty or no object");
    if (f->doc.node[map].count > SAFETENSORS_TENSORS_MAX)
        return err_set(f->err, ERR_LIMIT, "%s: %u tensors, at most %d are allowed", f->index_path,
                       f->doc.node[map].count, (int)SAFETENSORS_TENSORS_MAX);
    if (!list_shards(f, map))
        return false;
    list_entries(f, map);
    return true;
}

/* ---- the shards ---- */

/* Every tensor of shard I is sent there by the index, and nowhere else. */
static bool match_shard(struct folder *f, uint32_t i, const struct file_tensor *tensor, size_t n)
{
    struct shown shown;

    for (size_t k = 0; f->index_path && k < n; k++) {
        const size_t len = strlen(tensor[k].name);
        uint64_t at;

        if (!map_get(&f->by_name, tensor[k].name, len, &at))
            return err_set(f->err, ERR_FORMAT,
                           "%s: tensor \"%s\" is not in %s; index and shards do not belong "
                           "together",
                           f->got.file[i], name_shown(&shown, tensor[k].name, len), index_name);
        if (f->entry[at].shard != i)
            return err_set(f->err, ERR_FORMAT, "%s: tensor \"%s\" is sent to %s, but lies in %s",
                           f->index_path, name_shown(&shown, tensor[k].name, len),
                           path_base(f->got.file[f->entry[at].shard]), path_base(f->got.file[i]));
        f->entry[at].found = true;
    }
    return true;
}

/* Headers of all shards, then one list of tensors in file order. */
static bool read_shards(struct folder *f)
{
    struct checkpoint *got = &f->got;
    struct file_tensor **part = arena_array(f->scratch, got->nfile, sizeof(struct file_tensor *));
    size_t *count = arena_array(f->scratch, got->nfile, sizeof(*count));

    got->map = arena_array(f->arena, got->nfile, sizeof(*got->map));
    for (uint32_t i = 0; i < got->nfile; i++)
        got->file[i] = path_join(f->arena, got->path, got->file[i]);
    for (uint32_t i = 0; i < got->nfile; i++) {
        if (!safetensors_map(&got->map[i], got->file[i], f->err))
            return f->index_path
                       ? err_in(f->err, "%s names a shard that does not open", f->index_path)
                       : false;
        if (!safetensors_read(got->file[i], &got->map[i], f->arena, &part[i], &count[i], f->err) ||
            !match_shard(f, i, part[i], count[i]))
            return false;
        got->ntensor += count[i];
    }
    if (got->nfile == 1) {
        got->tensor = part[0];
        return true;
    }
    got->tensor = arena_array(f->arena, got->ntensor, sizeof(*got->tensor));
    for (size_t i = 0, at = 0; i < got->nfile; i++)
        for (size_t k = 0; k < count[i]; k++, at++) {
            got->tensor[at] = part[i][k];
            got->tensor[at].file = (uint32_t)i;
        }
    return true;
}

/* Every line of the index was found; total_size is often wrong and only ever warned of. */
static bool check_index(const struct folder *f)
{
    const uint32_t size = json_get(&f->doc, json_get(&f->doc, 1, "metadata"), "total_size");
    struct shown shown;
    uint64_t total = 0;
    double said;

    for (size_t i = 0; i < f->nentry; i++)
        if (!f->entry[i].found)
            return err_set(f->err, ERR_FORMAT, "%s: tensor \"%s\" is not in its shard %s",
                           f->index_path,
                           name_shown(&shown, f->entry[i].name, strlen(f->entry[i].name)),
                           path_base(f->got.file[f->entry[i].shard]));
    for (size_t i = 0; i < f->got.ntensor; i++)
        total += tensor_bytes(&f->got.tensor[i].t);
    if (size && (!json_f64(&f->doc, size, &said) || said != (double)total))
        msg_warn("%s: total_size is not %" PRIu64 ", the bytes of all tensors; it is ignored",
                 f->index_path, total);
    return true;
}

static bool is_shard(const struct folder *f, const char *name)
{
    for (uint32_t i = 0; i < f->got.nfile; i++)
        if (strcmp(path_base(f->got.file[i]), name) == 0)
            return true;
    return false;
}

static bool open_indexed(struct folder *f)
{
    if (!read_index(f) || !read_weight_map(f) || !read_shards(f) || !check_index(f))
        return false;
    if (has(f, whole_name) && !is_shard(f, whole_name))
        msg_warn("%s: model.safetensors is not read, the index names other files", f->got.path);
    return true;
}

static bool open_single(struct folder *f)
{
    f->got.file = arena_array(f->arena, 1, sizeof(*f->got.file));
    f->got.file[0] = whole_name;
    f->got.nfile = 1;
    return read_shards(f);
}

static bool open_folder(struct checkpoint *out, const char *path, struct arena *arena,
                        struct err *err)
{
    struct folder f = {.arena = arena, .scratch = arena_new(), .err = err};

    f.got = (struct checkpoint){.format = &format_hf};
    f.got.path = f.got.dir = arena_strdup(arena, path);
    bool ok = dir_list(path, f.scratch, &f.name, &f.nname, err);

    /* The index wins. A dangling link counts as there: a half-evicted download is an error. */
    if (ok)
        ok = has(&f, index_name)   ? open_indexed(&f)
             : has(&f, whole_name) ? open_single(&f)
                                   : refuse_folder(&f);
    if (ok)
        *out = f.got;
    else
        checkpoint_close(&f.got);
    map_finish(&f.by_name);
    arena_free(f.scratch);
    return ok;
}

/* Every folder: open_folder says what is missing. */
static bool sniff(const char *path, const unsigned char *head, size_t n)
{
    (void)path;
    (void)n;
    return !head;
}

const struct format format_hf = {"hf", sniff, open_folder};
