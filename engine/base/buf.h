/* buf.h - bytes that grow, formatted appends; finish with buf_finish */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/cc.h"

struct buf {
    unsigned char *data; /* NULL while empty */
    size_t size, room;
};

void buf_put(struct buf *buf, const void *bytes, size_t n);
void buf_text(struct buf *buf, const char *text); /* without its NUL */
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF(2, 3);
void buf_fill(struct buf *buf, int byte, size_t n);
void buf_u8(struct buf *buf, uint8_t v);
void buf_u16(struct buf *buf, uint16_t v); /* little endian, as all that follow */
void buf_u32(struct buf *buf, uint32_t v);
void buf_u64(struct buf *buf, uint64_t v);
void buf_f32(struct buf *buf, float v);
void buf_f64(struct buf *buf, double v);
/* Room for N more bytes; returns where they go and counts them as written. */
void *buf_more(struct buf *buf, size_t n);
/* A NUL after the last byte (not counted) and the text; "" when empty. */
const char *buf_cstr(struct buf *buf);
void buf_finish(struct buf *buf);

#endif
