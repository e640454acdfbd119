#include "format/gguf.h"

#include "format/gguf_read.h"

#include <inttypes.h>
#include <string.h>

/* Map the header of one file, which does not say how long it is; all of one that is bad. */
static bool map_header(struct filemap *map, const char *path, struct err *err)
{
    for (uint64_t head = 1 << 20;; head *= 4) {
        if (!filemap_open_head(map, path, head, err))
            return false;
        if (!map->head || gguf_in_head(map))
            return true;
        filemap_close(map);
    }
}

/* Map and check one file; on failure nothing stays mapped. */
static bool open_part(struct gguf_part *out, const char *path, struct arena *arena,
                      struct map *names, struct err *err)
{
    struct filemap map;

    if (!map_header(&map, path, err))
        return false;
    if (gguf_read(path, &map, arena, names, out, err))
        return true;
    filemap_close(&map);
    return false;
}

/* split.no or split.count of a shard. */
static bool split_number(const struct gguf_part *part, const char *key, uint64_t *out,
                         struct err *err)
{
    const struct gguf_kv *kv = gguf_find(part->kv, part->nkv, key);

    if (!kv)
        return err_set(err, ERR_FORMAT, "%s: key \"%s\" is missing, every shard has it", part->path,
                       key);
    if (kv->type != GGUF_U16 || !gguf_u64(kv, out))
        return err_set(err, ERR_FORMAT, "%s: key \"%s\" has value type %" PRIu32 ", expected a u16",
                       part->path, key, kv->type);
    return true;
}

/* The path without "-00001-of-00003.gguf", which must be what the keys of the file say. */
static bool split_prefix(const char *path, uint64_t no, uint64_t count, struct arena *arena,
                         const char **prefix, struct err *err)
{
    const char *suffix = arena_printf(arena, "-%05" PRIu64 "-of-%05" PRIu64 ".gguf", no + 1, count);
    const size_t n = strlen(path), nsuffix = strlen(suffix);

    if (n <= nsuffix || strcmp(path + n - nsuffix, suffix) != 0)
        return err_set(err, ERR_FORMAT,
                       "%s: key \"split.count\" says shard %" PRIu64 " of %" PRIu64
                       ", so the name must end in \"%s\"; give it back its name",
                       path, no + 1, count, suffix);
    *prefix = arena_strndup(arena, path, n - nsuffix);
    return true;
}

static bool check_shard(const struct gguf_part *part, uint64_t i, uint64_t count, struct err *err)
{
    uint64_t no, of;

    if (!split_number(part, "split.no", &no, err) || !split_number(part, "split.count", &of, err))
        return false;
    if (no != i)
        return err_set(err, ERR_FORMAT,
                       "%s: key \"split.no\" is %" PRIu64 ", expected %" PRIu64 " in this place",
                       part->path, no, i);
    if (of != count)
        return err_set(err, ERR_FORMAT,
                       "%s: key \"split.count\" is %" PRIu64 ", the set has %" PRIu64, part->path,
                       of, count);
    return true;
}

static bool check_total(const struct gguf_part *part, uint64_t count, struct err *err)
{
    const struct gguf_kv *kv = gguf_find(part->kv, part->nkv, "split.tensors.count");
    uint64_t total = 0, said;

    for (uint64_t i = 0; i < count; i++)
        total += part[i].ntensor;
    if (!kv || !gguf_u64(kv, &said))
        return err_set(err, ERR_FORMAT,
                       "%s: key \"split.tensors.count\" is missing or no count, expected %" PRIu64,
                       part->path, total);
    if (said != total)
        return err_set(err, ERR_FORMAT,
                       "%s: key \"split.tensors.count\" is %" PRIu64
                       ", but the shards hold %" PRIu64 " tensors",
                       part->path, said, total);
    return true;
}

/* Every shard of the set that FIRST belongs to, in order; shards that are open stay in PART. */
static bool open_shards(struct gguf_part *part, const struct gguf_part *first, uint64_t no,
                        uint64_t count, struct arena *arena, struct map *names, struct err *err)
{
    const char *prefix = NULL;

    part[no] = *first;
    if (!split_prefix(first->path, no, count, arena, &prefix, err))
        return false;
    for (uint64_t i = 0; i < count; i++) {
        const char *path =
            arena_printf(arena, "%s-%05" PRIu64 "-of-%05" PRIu64 ".gguf", prefix, i + 1, count);

        if (i != no && !open_part(&part[i], path, arena, names, err))
            return err_in(err, "shard %" PRIu64 " of %" PRIu64, i + 1, count);
        if (!check_shard(&part[i], i, count, err))
            return false;
    }
    return check_total(part, count, err);
}

/* The files of a set as one checkpoint; the key-values are those of the first. */
static void join(struct checkpoint *out, const char *path, const struct gguf_part *part, size_t n,
                 struct arena *arena)
{
    struct checkpoint ckpt = {.format = &format_gguf,
                              .path = arena_strdup(arena, path),
                              .nfile = (uint32_t)n,
                              .kv = part->kv,
                              .nkv = part->nkv};
    size_t at = 0;

    for (size_t i = 0; i < n; i++)
        ckpt.ntensor += part[i].ntensor;
    ckpt.file = arena_array(arena, n, sizeof(*ckpt.file));
    ckpt.map = arena_array(arena, n, sizeof(*ckpt.map));
    ckpt.tensor = arena_array(arena, ckpt.ntensor, sizeof(*ckpt.tensor));
    for (size_t i = 0; i < n; i++) {
        ckpt.file[i] = part[i].path;
        ckpt.map[i] = part[i].map;
        for (size_t k = 0; k < part[i].ntensor; k++, at++) {
            ckpt.tensor[at] = part[i].tensor[k];
            ckpt.tensor[at].file = (uint32_t)i;
        }
    }
    *out = ckpt;
}

static bool open_gguf(struct checkpoint *out, const char *path, struct arena *arena,
                      struct err *err)
{
    struct map names = {0};
    struct gguf_part first = {0}, *part = &first;
    uint64_t no = 0, count = 0, opened = 1;
    bool ok = open_part(&first, arena_strdup(arena, path), arena, &names, err);

    if (ok && gguf_find(first.kv, first.nkv, "split.count"))
        ok = split_number(&first, "split.count", &count, err);
    if (ok && count > 1) { /* 0 and 1 say that the file is whole */
        ok = split_number(&first, "split.no", &no, err);
        if (ok && no >= count)
            ok = err_set(err, ERR_FORMAT,
                         "%s: key \"split.no\" is %" PRIu64 ", but the set has %" PRIu64 " files",
                         path, no, count);
        if (ok) {
            opened = count;
            part = arena_array(arena, count, sizeof(*part));
            ok = open_shards(part, &first, no, count, arena, &names, err);
        }
    }
    map_finish(&names);
    if (ok)
        join(out, path, part, opened, arena);
    for (uint64_t i = 0; !ok && i < opened; i++)
        filemap_close(&part[i].map);
    return ok;
}

static bool sniff_gguf(const char *path, const unsigned char *head, size_t n)
{
    (void)path;
    return head && n >= 4 && memcmp(head, "GGUF", 4) == 0;
}

const struct format format_gguf = {.name = "gguf", .sniff = sniff_gguf, .open = open_gguf};
