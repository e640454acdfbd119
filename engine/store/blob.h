/* blob.h - the stored form of a blob, shared by its writer and its reader
 *
 *   0  "VBLB", version 1, codec, element, 0
 *   8  raw bytes u64
 *  16  bytes of the whole stored file u64
 *  24  raw bytes of a chunk u32, chunks u32 (both 0: the bytes follow as they are)
 *  32  XXH3_64 of the index u64
 *  40  XXH3_64 of bytes 0 to 39 u64
 *  48  index: the end of each chunk in the file, u64; then the chunks
 * The header is there for every codec, so that raw bytes can never be taken for a header. */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include "store/codec.h"
#include "store/inner.h"

enum { BLOB_HEAD = 48 };

struct blob_head {
    uint64_t raw, stored;
    uint32_t codec, element, chunk, count;
    uint64_t index_hash;
};

/* NULL when there is no such codec. */
const struct codec_ops *codec_get(uint32_t number);
void blob_head_put(unsigned char to[BLOB_HEAD], const struct blob_head *head);
/* All fields agree with each other: no sum of them overflows after this. */
bool blob_head_get(const unsigned char from[BLOB_HEAD], struct blob_head *head);

/* "cas/xx/REST" */
enum { BLOB_NAME = 48 };
void blob_name(struct digest d, char name[BLOB_NAME]);

#endif
