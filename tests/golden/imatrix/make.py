"""Makes the files of this folder but model.dat, which llama-imatrix wrote (legacy format).

    python3 make.py        (numpy, xxhash, gguf)

model.gguf    the same vectors in the GGUF format: sums and counts whose quotients are model.dat's
experts.gguf  3 experts: one never reached (count 0), one with a count that is no integer; another
              entry whose only count serves all its columns; a tensor that is no half of an entry
expect.txt    by file: its chunks and dataset, then each entry as NAME VALUES MATRICES DIGEST,
              the XXH3-128 of the vector as f32
"""
import os
import struct

import gguf
import numpy as np
import xxhash

F = np.float32
HERE = os.path.dirname(os.path.abspath(__file__))


def legacy(path):
    data = open(path, "rb").read()
    at, entries = 4, {}
    for _ in range(struct.unpack_from("<i", data, 0)[0]):
        (size,) = struct.unpack_from("<i", data, at)
        name = data[at + 4 : at + 4 + size].decode()
        calls, n = struct.unpack_from("<ii", data, at + 4 + size)
        at += 12 + size
        entries[name] = (calls, np.frombuffer(data, "<f4", n, at).reshape(1, n))
        at += 4 * n
    chunks, size = struct.unpack_from("<ii", data, at)
    return entries, chunks, data[at + 8 : at + 8 + size].decode()


def write(name, entries, chunks, dataset, extra=()):
    out = gguf.GGUFWriter(os.path.join(HERE, name), arch="imatrix", use_temp_file=False)
    out.kv_data[0].clear()  # no architecture: it is no model
    out.add_type("imatrix")
    out.add_array("imatrix.datasets", [dataset])
    out.add_uint32("imatrix.chunk_count", chunks)
    out.add_uint32("imatrix.chunk_size", 512)
    for key, (sums, counts) in entries.items():
        out.add_tensor(key + ".in_sum2", sums.astype(F))
        out.add_tensor(key + ".counts", np.asarray(counts, F).reshape(-1, 1))
    for key, value in extra:
        out.add_tensor(key, value)
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def lines(file, vectors, chunks, dataset):
    yield f"file {file} {chunks} {dataset}"
    for name in sorted(vectors):
        v = vectors[name].astype("<f4")
        yield f"entry {name} {v.size} {v.shape[0]} {xxhash.xxh3_128(v.tobytes()).hexdigest()}"


def main():
    model, chunks, dataset = legacy(os.path.join(HERE, "model.dat"))
    write("model.gguf", {k: (v, [calls]) for k, (calls, v) in reversed(model.items())}, chunks, dataset)
    vectors = {k: v / F(calls) for k, (calls, v) in model.items()}

    draw = np.random.default_rng(4)
    down, shared = draw.random((3, 8), F) * F(1000), draw.random((2, 4), F)
    down[1] = 0
    write("experts.gguf", {
        "blk.0.ffn_down_exps.weight": (down, [1023, 0, 2.5]),
        "blk.0.attn_q.weight": (shared, [7]),
    }, 2, "wiki", [("blk.0.in_sum", np.zeros(4, F))])
    experts = {
        "blk.0.ffn_down_exps.weight": np.stack([down[0] / F(1023), np.ones(8, F), down[2] / F(3)]),
        "blk.0.attn_q.weight": (shared / F(7)).reshape(1, 8),
    }
    with open(os.path.join(HERE, "expect.txt"), "w") as f:
        for line in (*lines("model.dat", vectors, chunks, dataset), *lines("model.gguf", vectors, chunks, dataset),
                     *lines("experts.gguf", experts, 2, "wiki")):
            f.write(line + "\n")


main()
