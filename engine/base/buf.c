#include "base/buf.h"

#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void *buf_more(struct buf *buf, size_t n)
{
    if (buf->room - buf->size < n) {
        size_t room = buf->room ? buf->room : 256;

        while (room - buf->size < n)
            room *= 2;
        buf->data = mem_grow(buf->data, room);
        buf->room = room;
    }
    buf->size += n;
    return buf->data + buf->size - n;
}

void buf_put(struct buf *buf, const void *bytes, size_t n)
{
    if (n)
        memcpy(buf_more(buf, n), bytes, n);
}

void buf_text(struct buf *buf, const char *text)
{
    buf_put(buf, text, strlen(text));
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    const size_t room = buf->room - buf->size;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(room ? (char *)buf->data + buf->size : NULL, room, fmt, ap);
    va_end(ap);
    if ((size_t)n < room) { /* it fitted, as it mostly does */
        buf->size += (size_t)n;
        return;
    }
    char *to = buf_more(buf, (size_t)n + 1);

    va_start(ap, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf->size--;
}

void buf_fill(struct buf *buf, int byte, size_t n)
{
    if (n)
        memset(buf_more(buf, n), byte, n);
}

void buf_u8(struct buf *buf, uint8_t v)
{
    buf_put(buf, &v, 1);
}

static void put_le(struct buf *buf, uint64_t v, size_t n)
{
    unsigned char *to = buf_more(buf, n);

    for (size_t i = 0; i < n; i++)
        to[i] = (unsigned char)(v >> (8 * i));
}

void buf_u16(struct buf *buf, uint16_t v)
{
    put_le(buf, v, 2);
}

void buf_u32(struct buf *buf, uint32_t v)
{
    put_le(buf, v, 4);
}

void buf_u64(struct buf *buf, uint64_t v)
{
    put_le(buf, v, 8);
}

void buf_f32(struct buf *buf, float v)
{
    uint32_t bits;

    memcpy(&bits, &v, 4);
    buf_u32(buf, bits);
}

void buf_f64(struct buf *buf, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, 8);
    buf_u64(buf, bits);
}

const char *buf_cstr(struct buf *buf)
{
    buf_u8(buf, 0);
    buf->size--;
    return (const char *)buf->data;
}

void buf_finish(struct buf *buf)
{
    mem_free(buf->data);
    *buf = (struct buf){0};
}
