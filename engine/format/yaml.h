/* yaml.h - YAML as safe loaders read it, as a bounded tree with the place of every node
 *
 * libyaml's events, resolved as YAML 1.1: yes and no are booleans, 017 and 1:30 are numbers, 1e-5
 * is a text. Aliases share the node of their anchor; merge keys (<<) are put in place, where keys
 * of the map itself win. Duplicate keys, tags beyond YAML's own, aliases of nothing or of what they
 * stand in are errors; so is a file that unfolds to more than a million nodes. Nothing recurses.
 * Source: specs/merge.md section 10, import rules 1 to 6. */
#ifndef FORMAT_YAML_H
#define FORMAT_YAML_H

#include "base/arena.h"
#include "base/err.h"

enum { YAML_DEPTH_MAX = 64, YAML_NODES_MAX = 1000000, YAML_BYTES_MAX = 16 << 20 };

enum yaml_kind { YAML_NULL, YAML_BOOL, YAML_INT, YAML_FLOAT, YAML_TEXT, YAML_LIST, YAML_MAP };

union yaml_value {
    bool flag;
    int64_t i64;
    double f64; /* .inf and .nan, too */
};

struct yaml_node {
    enum yaml_kind kind;
    uint32_t line, column; /* from 1, in characters */
    uint32_t first;        /* of a list or map: its first child in yaml.item */
    uint32_t count;        /* values of a list, pairs of a map */
    uint32_t unfolded;     /* nodes in it when aliases are copies, itself too */
    uint32_t size;         /* bytes of the text */
    union yaml_value value;
    const char *text; /* of a scalar of any kind: no NUL in it, one after it, UTF-8 */
};

struct yaml {
    struct yaml_node *node;
    uint32_t nnode;
    const uint32_t *item; /* node numbers: values of a list; key, value, key, value of a map */
    uint32_t nitem;
    const uint32_t *root; /* one a document; an empty document is a YAML_NULL */
    uint32_t nroot;
};

/* The N bytes of TEXT, which are not kept; PATH is for messages, which begin
 * "PATH:LINE:COLUMN: ". */
bool yaml_parse(struct yaml *out, const char *path, const char *text, size_t n, struct arena *arena,
                struct err *err) MUST_USE;
/* The same of the file at PATH. */
bool yaml_read(struct yaml *out, const char *path, struct arena *arena, struct err *err) MUST_USE;

/* What a plain scalar is, and its value if that is a number or a truth. Integers beyond 64 bits
 * are floats. */
enum yaml_kind yaml_resolve(const char *text, size_t n, union yaml_value *out);

#endif
