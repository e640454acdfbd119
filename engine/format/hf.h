/* hf.h - a Hugging Face model folder: shards, their index, and the hub's cache on disk
 *
 * Source: specs/hf-and-convert.md sections 1.5 and 2. The tokenizer and config files are
 * parsed by format/tokenizer.h and by rules/, not here. */
#ifndef FORMAT_HF_H
#define FORMAT_HF_H

#include "format/format.h"

extern const struct format format_hf;

#endif
