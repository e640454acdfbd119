/* codec_raw - the bytes themselves, right after the header of the blob */
#include "store/codec.h"

const struct codec_ops codec_raw = {.chunk = 0};
