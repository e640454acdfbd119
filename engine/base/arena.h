/* arena.h - memory by lifetime
 *
 * A parameter `struct arena *` means the result lives there, until arena_free or arena_reset.
 * Small memory never fails: the program dies in one place (arena.c) with a message. Bulk
 * memory (tensor bytes) comes from bulk_alloc, which may fail and is freed by bulk_free. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/cc.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena);  /* NULL is fine */
void arena_reset(struct arena *arena); /* gives everything back, keeps one block */
size_t arena_bytes(const struct arena *arena);

/* Zeroed, aligned to 16. Size 0 gives a valid pointer. */
void *arena_alloc(struct arena *arena, size_t size_bytes) __attribute__((returns_nonnull));
/* An array of COUNT elements of SIZE bytes; dies on overflow, so check hostile counts before. */
void *arena_array(struct arena *arena, size_t count, size_t size_bytes)
    __attribute__((returns_nonnull));
char *arena_strdup(struct arena *arena, const char *text) __attribute__((returns_nonnull));
/* N bytes and a NUL after them. */
char *arena_strndup(struct arena *arena, const char *text, size_t n)
    __attribute__((returns_nonnull));
char *arena_printf(struct arena *arena, const char *fmt, ...) PRINTF(2, 3)
    __attribute__((returns_nonnull));

/* Heap for what must grow: like realloc, but dies instead of failing; size 0 frees. */
void *mem_grow(void *old, size_t size_bytes);
void mem_free(void *p);

/* Page-aligned bulk bytes, or NULL when there is no memory; never zeroed on purpose. */
void *bulk_alloc(size_t size_bytes) MUST_USE;
void bulk_free(void *p, size_t size_bytes); /* NULL is fine */

#endif
