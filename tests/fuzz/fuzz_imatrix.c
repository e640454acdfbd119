#include "fuzz.h"

#include "format/imatrix.h"

#include <float.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct imatrix m;
    struct err err = {0};

    if (imatrix_read(&m, "fuzz", data, size, arena, &err)) {
        PROMISE(m.nentry > 0 && m.nentry <= size);
        for (size_t i = 0; i < m.nentry; i++) {
            const struct imatrix_entry *e = &m.entry[i];

            PROMISE(imatrix_find(&m, e->name) == e);
            PROMISE(i == 0 || strcmp(e[-1].name, e->name) < 0);
            PROMISE(e->n > 0 && (uint64_t)e->n <= size / sizeof(float));
            PROMISE(e->matrices > 0 && e->n % e->matrices == 0);
            for (int64_t k = 0; k < e->n; k++)
                PROMISE(e->value[k] >= 0 && e->value[k] <= FLT_MAX);
        }
        PROMISE(!m.dataset || strlen(m.dataset) <= size);
    } else {
        PROMISE(err.code != ERR_NONE && err.text[0]);
    }
    arena_free(arena);
    return 0;
}
