"""The official safetensors writer against vbuild's, over tensors of every type and odd names.

What the writer wrote, vbuild reads and writes again as all aliases; the file must come back byte
for byte, and the official reader must find every tensor in it.
"""

import pathlib

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import peers

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
OTHERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
          torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.uint16, torch.uint32,
          torch.uint64, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz, torch.float8_e8m0fnu)
SHAPES = ((), (1,), (0,), (3, 0, 2), (7,), (2, 3), (1, 1, 1), (5, 1), (2, 3, 4, 5, 2))
NAMES = ("a", "A", "é.ü", "日本", "with space", 'quo"te', "back\\slash", "slash/es", "🚀", "~", "-",
         "10", "9", "model.layers.10.w", "model.layers.9.w", "\u2028", "x" * 300)


def random(dtype, shape, seed):
    torch.manual_seed(seed)
    if dtype in (torch.bool,):
        return torch.rand(shape) > 0.5
    if dtype is torch.complex64:
        return torch.randn(shape, dtype=dtype)
    if dtype in FLOATS:
        return torch.randn(shape, dtype=torch.float64).to(dtype)
    # Bytes stand for any other type: all of its bit patterns, whatever they mean.
    size = torch.empty((), dtype=dtype).element_size()
    flat = torch.randint(0, 256, (size * torch.Size(shape).numel(),), dtype=torch.uint8)
    return flat.view(dtype).reshape(shape) if flat.numel() else torch.empty(shape, dtype=dtype)


def files():
    every = FLOATS + OTHERS
    return {
        "one": {"w": random(torch.float32, (4, 4), 1)},
        "scalars": {f"s.{str(d)[6:]}": random(d, (), i) for i, d in enumerate(every)},
        "types": {f"t{i:02}": random(d, (5, 3), i) for i, d in enumerate(every)},
        "shapes": {f"s{i}.{str(d)[6:]}": random(d, s, i) for i, s in enumerate(SHAPES)
                   for d in FLOATS},
        "names": {n: random(every[i % len(every)], (i % 5, 2), i) for i, n in enumerate(NAMES)},
        "empty-tensors": {"z": torch.zeros(0), "y": torch.zeros(2, 0, dtype=torch.float16)},
        "specials": {str(d)[6:]: torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 0.0,
                                               1e-45], dtype=torch.float64).to(d) for d in FLOATS},
        "many": {f"n{(i * 7919) % 3001}": random(every[i % 4], (i % 3,), i) for i in range(3001)},
        "padding": {"p" * n: random(torch.float16, (n,), n) for n in range(1, 9)},
    }


def main():
    peers.workspace()
    made = files()
    recipe = ["local out = {}"]
    for name, tensors in made.items():
        save_file(tensors, f"{name}.safetensors", metadata={"format": "pt"})
        recipe.append(f"out['{name}'] = safetensors {{ source '{name}.safetensors' }}")
    # Lengths of the header modulo eight: each asks for another padding.
    for n in range(8):
        save_file({"w" * (n + 1): torch.ones(2)}, f"pad{n}.safetensors", metadata={"format": "pt"})
        made[f"pad{n}"] = {"w" * (n + 1): torch.ones(2)}
        recipe.append(f"out['pad{n}'] = safetensors {{ source 'pad{n}.safetensors' }}")
    peers.ok("recipe_builds", peers.build("\n".join(recipe) + "\nreturn out\n"))
    for name, tensors in made.items():
        path = f"outputs/{name}/model.safetensors"
        peers.same_file(f"{name}.file", f"{name}.safetensors", path)
        with safe_open(path, "pt") as file:
            found = set(file.keys())
        peers.ok(f"{name}.names", found == set(tensors), sorted(found ^ set(tensors))[:4])

    # Computed tensors: the writer over what the reader finds in vbuild's own files.
    peers.synthetic_folders()
    peers.build("""return {
  slerp = safetensors { merge.slerp { source "models/nano-llama-base",
    source "models/nano-llama-prose", t = 0.5 } },
  f16 = safetensors { cast { source "models/nano-qwen2", to = "f16" } },
  f64 = safetensors { cast { source "models/nano-qwen2", to = "f64" } },
}
""")
    for folder in ("outputs/slerp", "outputs/f16", "outputs/f64",
                   *(f"made/{s}-1" for s in peers.SHAPES)):
        path = pathlib.Path(folder, "model.safetensors")
        save_file(load_file(path), "again.safetensors", metadata={"format": "pt"})
        peers.same_file(f"{folder.split('/')[1]}.written_again", "again.safetensors", path)
    # Without metadata the header is another: the comparison can fail.
    save_file(load_file(path), "bare.safetensors")
    peers.ok("another_header_is_another_file",
             pathlib.Path("bare.safetensors").read_bytes() != path.read_bytes())
    peers.finish()


main()
