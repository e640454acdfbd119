#include "format/format.h"

#include "format/gguf.h"
#include "format/hf.h"
#include "format/hub.h"
#include "format/safetensors.h"
#include "format/wrong.h"

#include <inttypes.h>
#include <string.h>

enum { HEAD_MAX = 512 };

static const struct format *const formats[] = {
#define FORMAT(name) &format_##name,
#include "format/format.def"
#undef FORMAT
};

/* The name of a hub model where a file was expected is a common slip. */
static bool refuse_missing(const char *path, struct err *err)
{
    if (hub_is_id(path) && !file_exists(path))
        return err_set(err, ERR_IO,
                       "%s: no such file or folder; a model of the Hugging Face hub is written "
                       "\"hf://%s\"",
                       path, path);
    return false; /* as the system says it */
}

static bool read_head(const char *path, unsigned char *head, size_t *n, struct err *err)
{
    struct stamp stamp;
    int fd;

    if (!file_open(path, &fd, err))
        return false;
    bool ok = file_stamp_fd(fd, path, &stamp, err);

    if (ok) {
        *n = stamp.size < HEAD_MAX ? (size_t)stamp.size : HEAD_MAX;
        ok = file_read_at(fd, path, head, *n, 0, err);
    }
    file_close(fd);
    return ok;
}

bool checkpoint_open(struct checkpoint *out, const char *path, struct arena *arena, struct err *err)
{
    unsigned char head[HEAD_MAX];
    const bool dir = file_is_dir(path);
    struct stamp stamp;
    size_t n = 0;

    if (!file_stamp(path, &stamp, err))
        return refuse_missing(path, err);
    if (!dir && !read_head(path, head, &n, err))
        return false;
    for (size_t i = 0; i < countof(formats); i++)
        if (formats[i]->sniff(path, dir ? NULL : head, n))
            return formats[i]->open(out, path, arena, err);
    if (!dir && !wrong_check(path, head, n, err))
        return false;
    return err_set(err, ERR_FORMAT,
                   "%s: not a checkpoint that vbuild reads; expected a model folder, a .gguf or a "
                   ".safetensors file",
                   path);
}

void checkpoint_close(struct checkpoint *ckpt)
{
    for (uint32_t i = 0; ckpt->map && i < ckpt->nfile; i++)
        filemap_close(&ckpt->map[i]);
    ckpt->map = NULL;
}
