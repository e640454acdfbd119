#include "fuzz.h"

#include "base/json.h"
#include "format/safetensors.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct filemap map = {.data = data, .size = size};
    struct arena *arena = arena_new();
    struct file_tensor *tensor;
    struct err err = {0};
    size_t n;

    if (safetensors_read("fuzz", &map, arena, &tensor, &n, &err)) {
        for (size_t i = 0; i < n; i++) {
            const struct file_tensor *t = &tensor[i];
            uint64_t bytes;

            PROMISE(safetensors_check(t->name, strlen(t->name), &t->t, &bytes, &err));
            PROMISE(t->offset <= size && bytes <= size - t->offset);
            PROMISE(i == 0 || t->offset >= t[-1].offset);
            PROMISE(utf8_valid(t->name, strlen(t->name)));
        }
    } else {
        PROMISE(err.code != ERR_NONE && err.text[0]);
    }
    arena_free(arena);
    return 0;
}
