/* blob.c - names, headers, presence and quarantine of blobs */
#include "store/blob.h"

#include "base/fault.h"
#include "base/msg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { VERSION = 1 };

const struct codec_ops *codec_get(uint32_t number)
{
    static const struct codec_ops *const all[] = {
#define CODEC(index, name) [index] = &codec_##name,
#include "store/codec.def"
#undef CODEC
    };

    return number < countof(all) ? all[number] : NULL;
}

static void put_le(unsigned char *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

void blob_head_put(unsigned char to[BLOB_HEAD], const struct blob_head *head)
{
    memcpy(to, "VBLB", 4);
    to[4] = VERSION;
    to[5] = (unsigned char)head->codec;
    to[6] = (unsigned char)head->element;
    to[7] = 0;
    put_le(to + 8, head->raw, 8);
    put_le(to + 16, head->stored, 8);
    put_le(to + 24, head->chunk, 4);
    put_le(to + 28, head->count, 4);
    put_le(to + 32, head->index_hash, 8);
    put_le(to + 40, hash_u64(to, 40, 0), 8);
}

bool blob_head_get(const unsigned char from[BLOB_HEAD], struct blob_head *head)
{
    const struct blob_head h = {
        .raw = bytes_le(from + 8, 8),
        .stored = bytes_le(from + 16, 8),
        .codec = from[5],
        .element = from[6],
        .chunk = (uint32_t)bytes_le(from + 24, 4),
        .count = (uint32_t)bytes_le(from + 28, 4),
        .index_hash = bytes_le(from + 32, 8),
    };
    const struct codec_ops *ops = codec_get(h.codec);

    if (memcmp(from, "VBLB", 4) != 0 || from[4] != VERSION || !ops ||
        bytes_le(from + 40, 8) != hash_u64(from, 40, 0) || h.raw > INT64_MAX / 2 ||
        h.stored > INT64_MAX / 2 || h.element < 1 || h.element > CODEC_ELEMENT_MAX)
        return false;
    if (!ops->chunk ? h.chunk || h.count || h.stored != BLOB_HEAD + h.raw
                    : h.chunk == 0 || h.chunk > CODEC_CHUNK_MAX ||
                          h.count != h.raw / h.chunk + (h.raw % h.chunk != 0) ||
                          h.stored < BLOB_HEAD + 8 * (uint64_t)h.count)
        return false;
    *head = h;
    return true;
}

void blob_name(struct digest d, char name[BLOB_NAME])
{
    char hex[DIGEST_HEX + 1];

    digest_hex(d, hex);
    snprintf(name, BLOB_NAME, "cas/%.2s/%s", hex, hex + 2);
}

bool blob_have(struct store *store, struct digest d, uint64_t size)
{
    unsigned char bytes[BLOB_HEAD];
    struct blob_head head;
    char name[BLOB_NAME];
    struct stat st;

    if (store->root < 0)
        return false;
    blob_name(d, name);
    const int fd = openat(store->root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const bool have = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                      pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
                      blob_head_get(bytes, &head) && head.raw == size &&
                      head.stored == (uint64_t)st.st_size;

    file_close(fd);
    return have;
}

bool blob_keep(struct store *store, struct digest d, uint64_t size)
{
    struct blob_reader *r;
    struct err err;

    if (blob_open(store, d, size, &r, &err)) {
        blob_close(r);
        return true;
    }
    if (err.code == ERR_CACHE)
        blob_quarantine(store, d);
    return false;
}

void blob_quarantine(struct store *store, struct digest d)
{
    char name[BLOB_NAME], hex[DIGEST_HEX + 1], to[64];

    digest_hex(d, hex);
    msg_warn("cache '%s': blob %s is damaged; its tensor is built again", store->dir, hex);
    if (store->root < 0 || store->mode != STORE_WRITE)
        return;
    blob_name(d, name);
    snprintf(to, sizeof(to), "quarantine/%s", hex);
    FAULT("blob_quarantine");
    if (mkdirat(store->root, "quarantine", 0777) != 0 && errno != EEXIST)
        msg_verbose("cache '%s': quarantine: %s", store->dir, strerror(errno));
    if (renameat(store->root, name, store->root, to) != 0)
        unlinkat(store->root, name, 0); /* to be gone is what matters */
}
