#!/usr/bin/env python3
"""Makes the files beside it with the official writer: pip install safetensors==0.8.0; make.py [FOLDER]

Each is what save_file(..., metadata={"format": "pt"}) writes. Element bytes count up from 0, so that
a tensor that came out at a wrong offset is seen. Types that no array library holds go in through
safetensors.serialize, which save_file itself calls."""
import ctypes
import json
import sys
from pathlib import Path

from safetensors import TensorSpec, serialize

# serialize's words, and bits of one element
WORDS = {
    "bool": 8, "uint8": 8, "int8": 8, "float8_e5m2": 8, "float8_e4m3fn": 8, "float8_e8m0fnu": 8,
    "float8_e4m3fnuz": 8, "float8_e5m2fnuz": 8, "int16": 16, "uint16": 16, "float16": 16, "bfloat16": 16,
    "int32": 32, "uint32": 32, "float32": 32, "complex64": 64, "float64": 64, "int64": 64, "uint64": 64,
    "float4_e2m1fn_x2": 8,
}
counter = 0
kept = []


def tensor(word, shape):
    global counter
    n = WORDS[word] // 8
    for d in shape:
        n *= d
    data = bytes((counter + i) & 0xFF if word != "bool" else i & 1 for i in range(n))
    counter += n
    buffer = ctypes.create_string_buffer(data, max(n, 1))
    kept.append(buffer)  # TensorSpec holds an address only
    return TensorSpec(dtype=word, shape=list(shape), data_ptr=ctypes.addressof(buffer), data_len=n)


FILES = {
    # one of every type, in no order at all; two of some, so that names decide
    "types": {f"{i % 3}.{w}": tensor(w, (2, i % 4 + 1)) for i, w in enumerate(sorted(WORDS))}
    | {"z.bfloat16": tensor("bfloat16", (3,)), "A.bfloat16": tensor("bfloat16", (3,))},
    # names that need escapes, or sort otherwise by code point, by byte or by locale
    "names": {n: tensor("float32", (1,)) for n in (
        'quote"', "back\\slash", "a/b", "é", "z", "Z", "a.10", "a.9", "a", "a b", " lead", "\u2028", "😀",
        "\uffff", "ß", "x" * 1024)},
    # scalars, empty tensors of several ranks among others
    "shapes": {"s": tensor("float64", ()), "e": tensor("float32", (0,)), "e2": tensor("float32", (3, 0, 2)),
               "e3": tensor("int64", (0, 0)), "m": tensor("float32", (1, 2, 3, 1, 2)), "h": tensor("float16", ()),
               "b": tensor("int8", (3,)), "r8": tensor("uint8", (1, 1, 1, 1, 1, 1, 1, 5))},
    "one": {"w": tensor("bfloat16", (4, 4))},
    "none": {},
}

if __name__ == "__main__":
    to = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    for name, tensors in FILES.items():
        (to / f"{name}.safetensors").write_bytes(serialize(tensors, {"format": "pt"}))
    names = sorted(FILES["names"], key=len)
    index = {"weight_map": {n: f"model-0000{i % 3 + 1}-of-00003.safetensors" for i, n in enumerate(names)},
             "metadata": {"total_size": 5000000000}}
    (to / "index.json").write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
