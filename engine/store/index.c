#include "store/index.h"

#include "base/arena.h"
#include "base/bytes.h"

struct index_slot {
    uint32_t tag; /* the first bytes of the digest: XXH3 spreads them evenly */
    uint32_t number;
};

static struct index_slot *find(const struct index *index, const unsigned char *digest)
{
    const uint32_t tag = (uint32_t)bytes_le(digest, 4);

    for (uint32_t i = tag & (index->room - 1);; i = (i + 1) & (index->room - 1)) {
        struct index_slot *s = &index->slot[i];

        if (s->number == INDEX_NONE)
            return s;
        if (s->tag == tag &&
            memcmp(index->key(index->user, s->number), digest, sizeof(struct digest)) == 0)
            return s;
    }
}

static void grow(struct index *index)
{
    const struct index old = *index;

    index->room = old.room ? old.room * 2 : 1024;
    index->slot = mem_grow(NULL, (size_t)index->room * sizeof(*index->slot));
    memset(index->slot, 0xff, (size_t)index->room * sizeof(*index->slot));
    for (uint32_t k = 0; k < old.room; k++) {
        uint32_t i = old.slot[k].tag & (index->room - 1);

        if (old.slot[k].number == INDEX_NONE)
            continue;
        while (index->slot[i].number != INDEX_NONE)
            i = (i + 1) & (index->room - 1);
        index->slot[i] = old.slot[k];
    }
    mem_free(old.slot);
}

uint32_t index_get(const struct index *index, const unsigned char *digest)
{
    return index->room ? find(index, digest)->number : INDEX_NONE;
}

uint32_t index_set(struct index *index, const unsigned char *digest, uint32_t number)
{
    if (index->count >= index->room / 2)
        grow(index);
    struct index_slot *s = find(index, digest);
    const uint32_t old = s->number;

    index->count += old == INDEX_NONE;
    *s = (struct index_slot){(uint32_t)bytes_le(digest, 4), number};
    return old;
}

void index_finish(struct index *index)
{
    mem_free(index->slot);
    index->slot = NULL;
    index->room = index->count = 0;
}
