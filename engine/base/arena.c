#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCK_BYTES = 64 << 10, HUGE_FROM = 4 << 20 };

struct block {
    struct block *next;
    size_t size, used;
    _Alignas(16) unsigned char data[];
};

struct arena {
    struct block *head; /* the block that is being filled */
    size_t bytes;       /* all blocks together */
};

static void die(size_t size)
{
    fprintf(stderr, "vbuild: out of memory (%zu bytes asked)\n", size);
    exit(5);
}

struct arena *arena_new(void)
{
    struct arena *arena = mem_grow(NULL, sizeof(*arena));

    *arena = (struct arena){0};
    return arena;
}

static void free_blocks(struct block *block)
{
    while (block) {
        struct block *next = block->next;

        free(block);
        block = next;
    }
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    free_blocks(arena->head);
    free(arena);
}

void arena_reset(struct arena *arena)
{
    struct block *keep = arena->head;

    if (!keep)
        return;
    free_blocks(keep->next);
    keep->next = NULL;
    keep->used = 0;
    arena->bytes = keep->size;
}

size_t arena_bytes(const struct arena *arena)
{
    return arena->bytes;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    struct block *block = arena->head;

    if (size > SIZE_MAX / 2)
        die(size);
    size = (size + 15) & ~(size_t)15;
    if (!block || block->size - block->used < size) {
        const size_t room = size > BLOCK_BYTES / 4 ? size : BLOCK_BYTES;

        block = malloc(sizeof(*block) + room);
        if (!block)
            die(room);
        block->size = room;
        block->used = 0;
        arena->bytes += room;
        if (arena->head && room != BLOCK_BYTES) { /* a large block goes behind the open one */
            block->next = arena->head->next;
            arena->head->next = block;
        } else {
            block->next = arena->head;
            arena->head = block;
        }
    }
    void *p = block->data + block->used;

    block->used += size;
    return memset(p, 0, size);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        die(SIZE_MAX);
    return arena_alloc(arena, bytes);
}

char *arena_strndup(struct arena *arena, const char *text, size_t n)
{
    char *copy = arena_alloc(arena, n + 1);

    if (n)
        memcpy(copy, text, n);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_strndup(arena, text, strlen(text));
}

char *arena_printf(struct arena *arena, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = arena_alloc(arena, (size_t)n + 1);

    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return text;
}

void *mem_grow(void *old, size_t size)
{
    if (!size) {
        free(old);
        return NULL;
    }
    void *p = realloc(old, size);

    if (!p)
        die(size);
    return p;
}

void mem_free(void *p)
{
    free(p);
}

void *bulk_alloc(size_t size)
{
    void *p =
        mmap(NULL, size ? size : 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    if (size >= HUGE_FROM) /* a fault then clears 2 MiB at a time; refused is fine */
        madvise(p, size, MADV_HUGEPAGE);
    return p;
}

void bulk_free(void *p, size_t size)
{
    if (p)
        munmap(p, size ? size : 1);
}
