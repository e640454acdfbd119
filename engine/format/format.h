/* format.h - checkpoints: files that others wrote, as a directory of tensors
 *
 * checkpoint_open reads and checks headers only; no weight is touched. Every length, count,
 * offset and name of the files is hostile until checked; after a successful open each tensor
 * lies inside its file. All memory lives in the arena; headers stay mapped until
 * checkpoint_close. */
#ifndef FORMAT_FORMAT_H
#define FORMAT_FORMAT_H

#include "base/arena.h"
#include "base/err.h"
#include "base/file.h"
#include "tensor/tensor.h"

struct gguf_kv; /* format/gguf.h */
struct checkpoint;

struct file_tensor {
    const char *name; /* unique in the checkpoint, NUL-terminated valid UTF-8 */
    struct tensor t;  /* dims in Hugging Face order, whatever the file says */
    uint32_t file;    /* index into checkpoint.file */
    uint64_t offset;  /* of its bytes in that file */
};

struct format {
    const char *name;
    /* PATH is a folder (HEAD NULL) or a file that begins with the N bytes of HEAD (n <= 512). */
    bool (*sniff)(const char *path, const unsigned char *head, size_t n);
    bool (*open)(struct checkpoint *out, const char *path, struct arena *arena, struct err *err);
};

struct checkpoint {
    const struct format *format;
    const char *path;  /* as given */
    const char **file; /* the files that hold tensors, in order */
    uint32_t nfile;
    struct file_tensor *tensor; /* in file order: files in order, inside one by offset */
    size_t ntensor;
    const char *dir;          /* hf: the folder of config.json and the tokenizer; else NULL */
    const struct gguf_kv *kv; /* gguf: the key-values of the first file, in order; else NULL */
    size_t nkv;
    struct filemap *map; /* one a file, at least of its header; data is read with pread */
};

/* Sniff and open PATH (a file or a folder). The usual wrong files (torch zip, pickle, LFS
 * pointer, HTML) are refused by what they are, with what to do. */
bool checkpoint_open(struct checkpoint *out, const char *path, struct arena *arena,
                     struct err *err) MUST_USE;
void checkpoint_close(struct checkpoint *ckpt);

/* Where "hf://ORG/NAME[@REV]" lies on this disk: a snapshot folder of the hub cache
 * (specs/hf-and-convert.md section 2). A miss is ERR_IO: lists where it looked and gives the
 * one line that downloads it. */
bool hub_resolve(const char *uri, struct arena *arena, char **dir, struct err *err) MUST_USE;

#endif
