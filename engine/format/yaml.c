#include "format/yaml.h"

#include "base/file.h"
#include "base/map.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { OPEN = INT32_MAX };

struct list { /* of node numbers */
    uint32_t *at;
    size_t n, room;
};

struct reader {
    const char *path, *text;
    size_t size;
    struct arena *arena;
    struct err *err;
    yaml_parser_t lib;
    struct yaml_node *node; /* node.unfolded is OPEN while what it holds is still read */
    size_t nnode, room;
    struct list item, root;
    struct list pending; /* children of the collections that are open */
    uint64_t merged;     /* pairs that merge keys were asked for */
    struct {
        uint32_t node;
        size_t pending; /* where its children begin */
    } frame[YAML_DEPTH_MAX];
    uint32_t depth;
    struct map anchor; /* of this document: name to node */
};

static void push(struct list *list, uint32_t v)
{
    if (list->n == list->room) {
        list->room = list->room ? 2 * list->room : 256;
        list->at = mem_grow(list->at, list->room * sizeof(*list->at));
    }
    list->at[list->n++] = v;
}

/* ---- failures ------------------------------------------------------------------------------- */

static bool fail_at(struct reader *r, size_t line, size_t column, const char *text)
{
    return err_set(r->err, ERR_RECIPE, "%s:%zu:%zu: %s", r->path, line, column, text);
}

static bool fail_node(struct reader *r, uint32_t i, const char *text)
{
    return fail_at(r, r->node[i].line, r->node[i].column, text);
}

static bool fail_event(struct reader *r, const yaml_event_t *event, const char *text)
{
    return fail_at(r, event->start_mark.line + 1, event->start_mark.column + 1, text);
}

/* The byte at a line and column (from 0, in characters), or 0. */
static char byte_at(const struct reader *r, size_t line, size_t column)
{
    const char *p = r->text, *end = r->text + r->size;

    for (; line > 0; line--) {
        p = memchr(p, '\n', (size_t)(end - p));
        if (!p++)
            return 0;
    }
    while (p < end && column > 0) {
        do
            p++;
        while (p < end && ((unsigned char)*p & 0xc0) == 0x80);
        column--;
    }
    return p < end ? *p : (char)0;
}

/* Bytes that are no text: libyaml knows the offset alone. */
static bool fail_byte(struct reader *r)
{
    const size_t at = r->lib.problem_offset < r->size ? r->lib.problem_offset : r->size;
    size_t line = 1, column = 1;

    for (size_t i = 0; i < at; i++) {
        const unsigned char c = (unsigned char)r->text[i];

        line += c == '\n';
        column = c == '\n' ? 1 : column + ((c & 0xc0) != 0x80);
    }
    return fail_at(r, line, column, arena_printf(r->arena, "%s", r->lib.problem));
}

static bool fail_syntax(struct reader *r)
{
    const yaml_mark_t *mark = &r->lib.problem_mark;
    const char *problem = r->lib.problem ? r->lib.problem : "not YAML";

    if (r->lib.error == YAML_READER_ERROR)
        return fail_byte(r);
    if (byte_at(r, mark->line, mark->column) == '\t')
        problem = "a tab: YAML indents with spaces";
    else if (r->lib.context)
        problem = arena_printf(r->arena, "%s %s (line %zu)", problem, r->lib.context,
                               r->lib.context_mark.line + 1);
    return fail_at(r, mark->line + 1, mark->column + 1, problem);
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* A new node where the event begins, the child of what is open. */
static bool add_node(struct reader *r, const yaml_event_t *event, uint32_t *out)
{
    if (r->nnode == YAML_NODES_MAX)
        return fail_event(r, event, "the file holds more than a million values");
    if (r->nnode == r->room) {
        r->room = r->room ? 2 * r->room : 256;
        r->node = mem_grow(r->node, r->room * sizeof(*r->node));
    }
    *out = (uint32_t)r->nnode++;
    r->node[*out] = (struct yaml_node){
        .line = (uint32_t)event->start_mark.line + 1,
        .column = (uint32_t)event->start_mark.column + 1,
        .unfolded = 1,
    };
    push(r->depth ? &r->pending : &r->root, *out);
    return true;
}

static void name_anchor(struct reader *r, const yaml_char_t *name, uint32_t node)
{
    if (!name)
        return;
    const char *kept = arena_strdup(r->arena, (const char *)name);

    map_set(&r->anchor, kept, strlen(kept), node); /* a later one of the name replaces it */
}

/* YAML's own tag of that name, "!" for a text; NULL: none is given. Others are refused. */
static bool core_tag(struct reader *r, const yaml_event_t *event, const yaml_char_t *given,
                     const char **tag)
{
    static const char own[] = "tag:yaml.org,2002:";
    static const char *const known[] = {"str", "int", "float", "bool", "null", "seq", "map"};
    const char *text = (const char *)given;

    *tag = NULL;
    if (!text)
        return true;
    if (strcmp(text, "!") == 0) {
        *tag = event->type == YAML_SCALAR_EVENT ? "str" : NULL;
        return true;
    }
    for (size_t i = 0; i < countof(known) && strncmp(text, own, sizeof(own) - 1) == 0; i++)
        if (strcmp(text + sizeof(own) - 1, known[i]) == 0) {
            *tag = known[i];
            return true;
        }
    return fail_event(r, event,
                      arena_printf(r->arena,
                                   "tag '%.80s': only YAML's own tags are read (!!str, "
                                   "!!int, !!float, !!bool, !!null, !!seq, !!map)",
                                   text));
}

/* A scalar under a tag that is not !!str: what it resolves to must be that. */
static bool forced(struct yaml_node *node, const char *tag)
{
    char *end;

    node->kind = yaml_resolve(node->text, node->size, &node->value);
    if (strcmp(tag, "float") == 0) {
        if (node->kind == YAML_INT)
            node->value.f64 = (double)node->value.i64;
        else if (node->kind == YAML_TEXT)
            node->value.f64 = strtod(node->text, &end);
        const bool ok = node->kind == YAML_INT || node->kind == YAML_FLOAT ||
                        (node->kind == YAML_TEXT && node->size > 0 && !*end);

        node->kind = YAML_FLOAT;
        return ok;
    }
    return (strcmp(tag, "int") == 0 && node->kind == YAML_INT) ||
           (strcmp(tag, "bool") == 0 && node->kind == YAML_BOOL) ||
           (strcmp(tag, "null") == 0 && node->kind == YAML_NULL);
}

static bool take_scalar(struct reader *r, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value, *tag;
    const size_t n = event->data.scalar.length;
    uint32_t i;

    if (!core_tag(r, event, event->data.scalar.tag, &tag))
        return false;
    if (memchr(text, 0, n))
        return fail_event(r, event, "a text with a NUL character");
    if (!add_node(r, event, &i))
        return false;
    struct yaml_node *node = &r->node[i];

    node->text = arena_strndup(r->arena, text, n);
    node->size = (uint32_t)n;
    node->kind = YAML_TEXT;
    if (tag && strcmp(tag, "str") != 0 && !forced(node, tag))
        return fail_event(r, event, arena_printf(r->arena, "'%.80s' is no !!%s", node->text, tag));
    if (!tag && event->data.scalar.plain_implicit) {
        node->kind = yaml_resolve(text, n, &node->value);
        if (node->kind == YAML_TEXT) /* a quoted one is a plain key */
            node->value.flag = strcmp(node->text, "<<") == 0;
    }
    name_anchor(r, event->data.scalar.anchor, i);
    return true;
}

static bool open_collection(struct reader *r, const yaml_event_t *event, bool map)
{
    const yaml_char_t *tag = map ? event->data.mapping_start.tag : event->data.sequence_start.tag;
    const yaml_char_t *anchor =
        map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
    const char *core;
    uint32_t i;

    if (!core_tag(r, event, tag, &core))
        return false;
    if (core && strcmp(core, map ? "map" : "seq") != 0)
        return fail_event(r, event,
                          arena_printf(r->arena, "a %s is no !!%s", map ? "map" : "list", core));
    if (r->depth == YAML_DEPTH_MAX)
        return fail_event(r, event, "nested more than 64 deep");
    if (!add_node(r, event, &i))
        return false;
    r->node[i].kind = map ? YAML_MAP : YAML_LIST;
    r->node[i].unfolded = OPEN;
    r->frame[r->depth].node = i;
    r->frame[r->depth++].pending = r->pending.n;
    name_anchor(r, anchor, i);
    return true;
}

static bool take_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    uint64_t i;

    if (!map_get(&r->anchor, name, strlen(name), &i))
        return fail_event(
            r, event, arena_printf(r->arena, "*%.80s: there is no &%.80s before it", name, name));
    if (r->node[i].unfolded == OPEN)
        return fail_event(
            r, event, arena_printf(r->arena, "*%.80s stands inside of what it stands for", name));
    push(r->depth ? &r->pending : &r->root, (uint32_t)i);
    return true;
}

/* ---- maps ----------------------------------------------------------------------------------- */

static bool is_merge_key(const struct yaml_node *key)
{
    return key->kind == YAML_TEXT && key->value.flag;
}

/* Put a pair after the others unless its key is there already; *there: the pair that has it. */
static bool put_pair(struct reader *r, struct map *seen, uint32_t key, uint32_t value,
                     uint64_t *there)
{
    const struct yaml_node *k = &r->node[key];

    if (!map_add(seen, k->text, k->size, key, there))
        return false;
    push(&r->item, key);
    push(&r->item, value);
    return true;
}

/* The pairs of one map under a merge key. */
static bool merge_map(struct reader *r, struct map *seen, uint32_t from)
{
    const struct yaml_node *node = &r->node[from];
    uint64_t there;

    if (node->kind != YAML_MAP)
        return fail_node(r, from, "<< takes a map or a list of maps");
    r->merged += node->count; /* those that are there already cost time, too */
    if (r->merged > YAML_NODES_MAX)
        return fail_node(r, from, "more than a million keys by <<");
    for (uint32_t k = 0; k < node->count; k++)
        (void)put_pair(r, seen, r->item.at[node->first + 2 * k],
                       r->item.at[node->first + 2 * k + 1], &there);
    return true;
}

static bool merge_value(struct reader *r, struct map *seen, uint32_t value)
{
    const struct yaml_node *node = &r->node[value];

    if (node->kind != YAML_LIST)
        return merge_map(r, seen, value);
    for (uint32_t k = 0; k < node->count; k++)
        if (!merge_map(r, seen, r->item.at[node->first + k]))
            return false;
    return true;
}

/* The pairs PENDING[0 .. N-1] of a map into r->item: its own, then those of its merge keys, the
 * last merge key first, as loaders that overwrite do. */
static bool close_map(struct reader *r, const uint32_t *pending, size_t n, struct map *seen)
{
    uint64_t there;

    for (size_t i = 0; i < n; i += 2) {
        const struct yaml_node *key = &r->node[pending[i]];

        if (key->kind >= YAML_LIST)
            return fail_node(r, pending[i], "a key that is a list or a map");
        if (is_merge_key(key))
            continue;
        if (!put_pair(r, seen, pending[i], pending[i + 1], &there))
            return fail_node(r, pending[i],
                             arena_printf(r->arena, "'%.80s' is there already, in line %u",
                                          key->text, (unsigned)r->node[there].line));
    }
    for (size_t i = n; i > 0; i -= 2)
        if (is_merge_key(&r->node[pending[i - 2]]) && !merge_value(r, seen, pending[i - 1]))
            return false;
    return true;
}

static bool close_collection(struct reader *r)
{
    const size_t begin = r->frame[--r->depth].pending, n = r->pending.n - begin;
    const uint32_t i = r->frame[r->depth].node;
    const size_t first = r->item.n;
    uint64_t unfolded = 1;
    bool ok = true;

    if (r->node[i].kind == YAML_MAP) {
        struct map seen = {0};

        ok = close_map(r, r->pending.at + begin, n, &seen);
        map_finish(&seen);
    } else {
        for (size_t k = 0; k < n; k++)
            push(&r->item, r->pending.at[begin + k]);
    }
    if (!ok)
        return false;
    for (size_t k = first; k < r->item.n; k++)
        unfolded += r->node[r->item.at[k]].unfolded;
    if (unfolded > YAML_NODES_MAX)
        return fail_node(r, i, "this unfolds to more than a million values: an alias bomb");
    r->pending.n = begin;
    r->node[i].first = (uint32_t)first;
    r->node[i].count = (uint32_t)(r->item.n - first) / (r->node[i].kind == YAML_MAP ? 2 : 1);
    r->node[i].unfolded = (uint32_t)unfolded;
    return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool take_event(struct reader *r, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(r, event);
    case YAML_ALIAS_EVENT:
        return take_alias(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return open_collection(r, event, false);
    case YAML_MAPPING_START_EVENT:
        return open_collection(r, event, true);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return close_collection(r);
    case YAML_DOCUMENT_START_EVENT:
        map_finish(&r->anchor);
        r->anchor = (struct map){0};
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
}

static bool read_events(struct reader *r)
{
    for (bool more = true; more;) {
        yaml_event_t event;

        if (!yaml_parser_parse(&r->lib, &event))
            return fail_syntax(r);
        more = event.type != YAML_STREAM_END_EVENT;
        const bool ok = take_event(r, &event);

        yaml_event_delete(&event);
        if (!ok)
            return false;
    }
    return true;
}

static const uint32_t *keep(struct arena *arena, const struct list *list)
{
    uint32_t *out = arena_array(arena, list->n + 1, sizeof(*out));

    if (list->n)
        memcpy(out, list->at, list->n * sizeof(*out));
    return out;
}

static bool check_total(struct reader *r)
{
    uint64_t total = 0;

    for (size_t i = 0; i < r->root.n; i++) {
        total += r->node[r->root.at[i]].unfolded;
        if (total > YAML_NODES_MAX)
            return fail_node(r, r->root.at[i],
                             "the documents unfold to more than a million values");
    }
    return true;
}

bool yaml_parse(struct yaml *out, const char *path, const char *text, size_t n, struct arena *arena,
                struct err *err)
{
    struct reader r = {.path = path, .text = text, .size = n, .arena = arena, .err = err};

    if (n > YAML_BYTES_MAX)
        return err_set(err, ERR_LIMIT, "%s: more than %d MiB of YAML", path, YAML_BYTES_MAX >> 20);
    if (!yaml_parser_initialize(&r.lib))
        return err_set(err, ERR_MEMORY, "%s: no memory for a YAML parser", path);
    yaml_parser_set_input_string(&r.lib, (const unsigned char *)text, n);
    const bool ok = read_events(&r) && check_total(&r);

    if (ok) {
        struct yaml_node *node = arena_array(arena, r.nnode + 1, sizeof(*node));

        if (r.nnode)
            memcpy(node, r.node, r.nnode * sizeof(*node));
        *out = (struct yaml){node,
                             (uint32_t)r.nnode,
                             keep(arena, &r.item),
                             (uint32_t)r.item.n,
                             keep(arena, &r.root),
                             (uint32_t)r.root.n};
    }
    yaml_parser_delete(&r.lib);
    map_finish(&r.anchor);
    mem_free(r.node);
    mem_free(r.item.at);
    mem_free(r.pending.at);
    mem_free(r.root.at);
    return ok;
}

bool yaml_read(struct yaml *out, const char *path, struct arena *arena, struct err *err)
{
    char *text;
    size_t n;

    return file_read(path, YAML_BYTES_MAX, arena, &text, &n, err) &&
           yaml_parse(out, path, text, n, arena, err);
}
