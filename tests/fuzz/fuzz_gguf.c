#include "fuzz.h"

#include "base/map.h"
#include "format/gguf_read.h"

#include <string.h>

/* Every typed read of every value; -fsanitize sees what leaves the file. */
static uint64_t read_values(const struct gguf_part *part)
{
    uint64_t sum = 0, n;
    double x;

    for (size_t i = 0; i < part->nkv; i++) {
        const struct gguf_kv *kv = &part->kv[i];
        uint64_t cursor = 0, items = 0;
        const char *text = gguf_string(kv, &n);

        sum += text && n ? (unsigned char)text[n - 1] : 0;
        sum += gguf_u64(kv, &n) ? n : 0;
        sum += gguf_f64(kv, &x) && x > 0;
        while ((text = gguf_array_string(kv, &cursor, &n)) != NULL) {
            sum += n ? (unsigned char)text[n - 1] : 0;
            items++;
        }
        PROMISE(items == (kv->type == GGUF_ARRAY && kv->item == GGUF_STRING ? kv->count : 0));
        PROMISE(kv->size <= part->map.size);
    }
    return sum;
}

/* What was read can be written, and lies where the writer puts it. */
static void lay_out(const struct gguf_part *part, struct arena *arena)
{
    struct gguf_out *list = arena_array(arena, part->ntensor, sizeof(*list));
    uint64_t align = GGUF_ALIGN_DEFAULT, size;
    struct buf header = {0};
    struct err err = {0};

    gguf_u64(gguf_find(part->kv, part->nkv, "general.alignment"), &align);
    for (size_t i = 0; i < part->ntensor; i++) {
        list[i] = (struct gguf_out){part->tensor[i].name, part->tensor[i].t, 0};
        PROMISE(part->tensor[i].offset <= part->map.size);
        PROMISE(tensor_bytes(&list[i].t) <= part->map.size - part->tensor[i].offset);
    }
    PROMISE(gguf_layout(part->kv, part->nkv, list, part->ntensor, align, &header, &size, &err));
    for (size_t i = 0; i < part->ntensor; i++)
        PROMISE(list[i].offset == part->tensor[i].offset);
    PROMISE(memcmp(header.data + 8, part->map.data + 8, 16) == 0);
    buf_finish(&header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static volatile uint64_t sink;
    const struct filemap map = {.data = data, .size = size};
    struct arena *arena = arena_new();
    struct map names = {0};
    struct gguf_part part;
    struct err err = {0};

    if (gguf_read("fuzz", &map, arena, &names, &part, &err)) {
        sink = read_values(&part);
        (void)sink;
        lay_out(&part, arena);
    } else {
        PROMISE(err.code != ERR_NONE && err.text[0]);
    }
    map_finish(&names);
    arena_free(arena);
    return 0;
}
