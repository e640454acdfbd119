/* quantize_options.h - llama-quantize's command line (specs/gguf-quant.md section 4.1)
 *
 * One table of options drives parsing, the help and docs/command.md. What is accepted is what
 * llama-quantize accepts, to the way its numbers are read; what goes beyond it is --recipe, --help,
 * and lists of types. */
#ifndef CLI_QUANTIZE_OPTIONS_H
#define CLI_QUANTIZE_OPTIONS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct quantize_pattern {
    const char *regex, *type;
};

enum override_kind { OVERRIDE_INT, OVERRIDE_FLOAT, OVERRIDE_BOOL, OVERRIDE_STR };
struct quantize_override {
    const char *key;
    enum override_kind kind;
    int64_t i; /* of bool: 0 or 1 */
    double f;
    const char *text;
};

struct quantize {
    bool allow_requantize, leave_output, pure, keep_split, dry_run;
    bool recipe, help;
    bool usage;                          /* of a refusal: the words are not llama-quantize's */
    const char *output_type, *embd_type; /* or NULL */
    const char *imatrix;                 /* as given, since the path enters the file; or NULL */
    const char **include, **exclude;
    uint32_t ninclude, nexclude;
    struct quantize_pattern *pattern; /* in order: the first that matches counts */
    uint32_t npattern;
    int64_t *prune; /* ascending, each once */
    uint32_t nprune;
    struct quantize_override *override;
    uint32_t noverride;
    uint64_t buffer_bytes; /* of --max-buffer-size; 0: not given */
    const char *in, *out;  /* OUT NULL: the default name */
    const char **type;     /* as llama-quantize spells it; more than one: a ladder */
    uint32_t ntype;
    bool ladder; /* OUT is a folder */
    int threads; /* at most 0: all */
    struct arena *arena;
};

/* The words after "quantize". On a refusal out->usage says whether the help would help. */
bool quantize_parse(struct quantize *out, const char *const *word, uint32_t n, struct arena *arena,
                    struct err *err) MUST_USE;

/* What is said of the options: for vbuild help quantize and docs/command.md. */
void quantize_help(struct buf *out);

#endif
