/* scratch.h - a folder for files that a test makes, dice, and closing what was opened */
#ifndef SCRATCH_H
#define SCRATCH_H

#include "base/file.h"
#include "format/format.h"
#include "test.h"

static const char golden[] = "tests/golden/gguf";
static char folder[] = P_tmpdir "/vbuild-gguf-XXXXXX";
static uint64_t dice_state = 88172645463325252u;

static inline uint64_t dice(uint64_t sides)
{
    dice_state ^= dice_state << 13;
    dice_state ^= dice_state >> 7;
    dice_state ^= dice_state << 17;
    return dice_state % sides;
}

static inline void shut(struct checkpoint *ckpt)
{
    for (uint32_t i = 0; i < ckpt->nfile; i++)
        filemap_close(&ckpt->map[i]);
}

static inline const char *write_file(const char *name, const void *bytes, size_t n,
                                     struct arena *arena)
{
    struct err err = {0};
    const char *path = path_join(arena, folder, name);

    CHECK_IN(file_replace(path, bytes, n, &err), "%s", err.text);
    return path;
}

static inline void scratch_begin(void)
{
    if (!mkdtemp(folder))
        exit(2);
}

static inline void scratch_end(void)
{
    struct err err = {0};

    if (!dir_remove(folder, &err))
        fprintf(stderr, "%s\n", err.text);
}

#endif
