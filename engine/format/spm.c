#include "format/spm.h"

#include "base/bytes.h"
#include "base/json.h"
#include "base/map.h"

#include <inttypes.h>

enum wire { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_START, WIRE_END, WIRE_32 };

struct field {
    uint64_t number;
    uint32_t wire;
    uint64_t at;               /* of its tag, in the whole file */
    uint64_t value;            /* of a varint */
    const unsigned char *data; /* of the other kinds: SIZE bytes */
    uint64_t size;
};

/* A message inside the file: errors name bytes of the whole. */
struct message {
    struct bytes in;
    uint64_t base;
    struct err *err;
};

static bool varint(struct bytes *in, uint64_t *out)
{
    uint64_t v = 0;
    uint8_t byte;

    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (!bytes_u8(in, &byte))
            return false;
        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 127) << shift;
        if (!(byte & 128)) {
            *out = v;
            return true;
        }
    }
    return false;
}

/* The next field of M; its bytes lie inside M afterwards. */
static bool next_field(struct message *m, struct field *out)
{
    struct field f = {.at = m->base + m->in.at};
    uint64_t tag;
    bool ok = varint(&m->in, &tag);

    if (ok) {
        f.number = tag >> 3;
        f.wire = (uint32_t)(tag & 7);
        if (f.number == 0 || f.number > 0x1fffffff)
            return err_set(m->err, ERR_FORMAT, "byte %" PRIu64 ": no protobuf field there", f.at);
        if (f.wire == WIRE_VARINT)
            ok = varint(&m->in, &f.value);
        else if (f.wire == WIRE_BYTES)
            ok = varint(&m->in, &f.size);
        else if (f.wire == WIRE_64 || f.wire == WIRE_32)
            f.size = f.wire == WIRE_64 ? 8 : 4;
        else
            return err_set(m->err, ERR_FORMAT,
                           "byte %" PRIu64 ": field %" PRIu64 " has wire type %u", f.at, f.number,
                           f.wire);
    }
    if (ok && f.wire != WIRE_VARINT) {
        f.data = bytes_take(&m->in, f.size);
        ok = f.data != NULL;
    }
    if (!ok)
        return err_set(m->err, ERR_FORMAT, "byte %" PRIu64 ": a field ends beyond its message",
                       f.at);
    *out = f;
    return true;
}

static bool wrong_wire(const struct message *m, const struct field *f, const char *what)
{
    return err_set(m->err, ERR_FORMAT, "byte %" PRIu64 ": %s with wire type %u", f->at, what,
                   f->wire);
}

/* One message of field 1: {1 text, 2 score, 3 type}. */
static bool read_piece(struct message *m, uint64_t at, struct spm_piece *out)
{
    struct spm_piece piece = {.type = SPM_NORMAL};
    struct field f;

    while (bytes_left(&m->in)) {
        if (!next_field(m, &f))
            return false;
        if (f.number == 1) {
            if (f.wire != WIRE_BYTES || f.size > UINT32_MAX)
                return wrong_wire(m, &f, "the text of a piece");
            piece.text = (const char *)f.data;
            piece.n = (uint32_t)f.size;
        } else if (f.number == 2) {
            if (f.wire != WIRE_32)
                return wrong_wire(m, &f, "the score of a piece");
            const uint32_t bits = (uint32_t)bytes_le(f.data, 4);

            memcpy(&piece.score, &bits, sizeof(bits));
        } else if (f.number == 3) {
            if (f.wire != WIRE_VARINT)
                return wrong_wire(m, &f, "the type of a piece");
            if (f.value < SPM_NORMAL || f.value > SPM_BYTE)
                return err_set(m->err, ERR_FORMAT,
                               "byte %" PRIu64 ": piece type %" PRIu64 " is not 1 to 6", f.at,
                               f.value);
            piece.type = (enum spm_type)f.value;
        }
    }
    if (!piece.n)
        return err_set(m->err, ERR_FORMAT, "byte %" PRIu64 ": a piece without text", at);
    if (!utf8_valid(piece.text, piece.n))
        return err_set(m->err, ERR_FORMAT, "byte %" PRIu64 ": a piece that is not UTF-8", at);
    *out = piece;
    return true;
}

/* Walk the file: count the pieces (OUT NULL) or fill OUT. */
static bool walk(const void *data, size_t size, struct spm_piece *out, uint32_t *count,
                 struct err *err)
{
    struct message m = {.in = {.data = data, .size = size}, .err = err};
    struct field f;
    uint32_t n = 0;

    while (bytes_left(&m.in)) {
        if (!next_field(&m, &f))
            return false;
        if (f.number >= 1 && f.number <= 5 && f.wire != WIRE_BYTES)
            return wrong_wire(&m, &f, "a part of the model");
        if (f.number != 1)
            continue;
        if (n == SPM_PIECES_MAX)
            return err_set(err, ERR_LIMIT, "more than %d pieces", SPM_PIECES_MAX);
        if (out) {
            struct message piece = {.in = {.data = f.data, .size = f.size}, .err = err};

            piece.base = (uint64_t)(f.data - (const unsigned char *)data);
            if (!read_piece(&piece, f.at, &out[n]))
                return false;
        }
        n++;
    }
    *count = n;
    return true;
}

static bool check_unique(const struct spm_piece *piece, uint32_t count, struct err *err)
{
    struct map seen = {0};
    uint64_t old = 0;
    bool ok = true;

    for (uint32_t i = 0; ok && i < count; i++)
        if (!map_add(&seen, piece[i].text, piece[i].n, i, &old))
            ok = err_set(err, ERR_FORMAT, "pieces %" PRIu64 " and %u are both \"%.*s\"", old, i,
                         piece[i].n > 100 ? 100 : (int)piece[i].n, piece[i].text);
    map_finish(&seen);
    return ok;
}

bool spm_parse(const void *data, size_t size, struct arena *arena, struct spm_piece **out,
               uint32_t *count, struct err *err)
{
    struct spm_piece *piece;
    uint32_t n;

    if (!walk(data, size, NULL, &n, err))
        return false;
    if (n == 0)
        return err_set(err, ERR_FORMAT, "no pieces: this is no SentencePiece model");
    piece = arena_array(arena, n, sizeof(*piece));
    if (!walk(data, size, piece, &n, err) || !check_unique(piece, n, err))
        return false;
    *out = piece;
    *count = n;
    return true;
}
