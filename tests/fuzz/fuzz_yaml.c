#include "fuzz.h"

#include "format/yaml.h"

#include <string.h>

static void check_node(const struct yaml *doc, uint32_t i, size_t size)
{
    const struct yaml_node *node = &doc->node[i];
    const uint32_t step = node->kind == YAML_MAP ? 2 : 1;
    uint64_t unfolded = 1;
    union yaml_value value;

    PROMISE(node->line > 0 && node->column > 0);
    if (node->kind < YAML_LIST) {
        PROMISE(node->text && strlen(node->text) == node->size && node->unfolded == 1);
        (void)yaml_resolve(node->text, node->size, &value);
        return;
    }
    PROMISE(node->first <= doc->nitem && node->count * step <= doc->nitem - node->first);
    PROMISE(node->count <= size);
    for (uint32_t k = 0; k < node->count * step; k++) {
        const uint32_t child = doc->item[node->first + k];

        PROMISE(child < doc->nnode);
        PROMISE(step == 1 || k % 2 || doc->node[child].kind < YAML_LIST);
        unfolded += doc->node[child].unfolded;
    }
    PROMISE(unfolded == node->unfolded && unfolded <= YAML_NODES_MAX);
}

/* Keys of one map differ. */
static void check_keys(const struct yaml *doc, const struct yaml_node *map)
{
    for (uint32_t a = 0; a < map->count; a++)
        for (uint32_t b = 0; b < a; b++)
            PROMISE(strcmp(doc->node[doc->item[map->first + 2 * a]].text,
                           doc->node[doc->item[map->first + 2 * b]].text) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct err err = {0};
    struct yaml doc;

    if (yaml_parse(&doc, "fuzz", (const char *)data, size, arena, &err)) {
        for (uint32_t i = 0; i < doc.nnode; i++) {
            check_node(&doc, i, size);
            if (doc.node[i].kind == YAML_MAP && doc.node[i].count < 100)
                check_keys(&doc, &doc.node[i]);
        }
        for (uint32_t i = 0; i < doc.nroot; i++)
            PROMISE(doc.root[i] < doc.nnode);
    } else {
        PROMISE(err.code != ERR_NONE && strncmp(err.text, "fuzz:", 5) == 0);
    }
    arena_free(arena);
    return 0;
}
