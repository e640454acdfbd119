"""transformers loads vbuild's folders: the weights are those of the files, and they generate."""

import pathlib

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import peers

FOLDERS = """
local base, prose = source "models/nano-llama-base", source "models/nano-llama-prose"
local python, qwen = source "models/nano-llama-python", source "models/nano-qwen2"
local function folder(model, more)
  local out = { model }
  for k, v in pairs(more or {}) do out[k] = v end
  return safetensors(out)
end
return {
  ["linear-f32"] = folder(merge.linear {
    { base, weight = 1 }, { prose, weight = 2 }, dtype = "f32" }),
  ["slerp"]      = folder(merge.slerp { prose, python, t = ramp { 0, 1 } }),
  ["six-layers"] = folder(stack { slice(base, 0, 3), slice(python, 1, 4) }),
  ["graft"]      = folder(graft { base, ffn = prose, attn_v = python, layers = span(1, 3) }),
  ["shards"]     = folder(python, { shard = "600KB" }),
  ["qwen2-f16"]  = folder(cast { qwen, to = "f16" }),
  ["qwen2-one"]  = folder(slice(qwen, 1, 2)),
  ["from-gguf"]  = folder(source "first/llama.gguf"),
  ["from-q8_0"]  = folder(cast { source "first/llama-q8_0.gguf", to = "bf16" }),
}
"""
FIRST = """
local base = source "models/nano-llama-base"
return { ["llama"] = gguf { base }, ["llama-q8_0"] = gguf { base, outtype = "q8_0" } }
"""


def load(folder):
    model, told = AutoModelForCausalLM.from_pretrained(folder, dtype="auto",
                                                       output_loading_info=True)
    return model.eval(), {k: v for k, v in told.items() if v}


def check(folder, tokenizer_of):
    name = pathlib.Path(folder).name
    try:
        model, told = load(folder)
    except Exception as error:
        peers.ok(f"{name}.loads", False, repr(error)[:600])
        return
    peers.ok(f"{name}.nothing_missing_nothing_left_over", not told, told)
    state, want = model.state_dict(), peers.folder_tensors(folder)
    # A model is read in the type its config names; norms of a GGUF source are F32 in the file.
    wrong = [n for n, t in want.items() if n not in state or
             state[n].dtype != model.config.dtype or
             not torch.equal(state[n].view(torch.uint8), t.to(state[n].dtype).view(torch.uint8))]
    extra = [n for n in state if n not in want and n != "lm_head.weight"]
    peers.ok(f"{name}.weights_are_the_files", not wrong and not extra, (wrong[:4], extra[:4]))
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of or folder)
    words = tokenizer("def main(self):", return_tensors="pt")
    with torch.no_grad():
        logits = model(**words).logits
        out = model.generate(**words, max_new_tokens=4, do_sample=False, pad_token_id=0)
    peers.ok(f"{name}.logits_are_finite", bool(torch.isfinite(logits).all()) and
             logits.shape[-1] == model.config.vocab_size, logits.shape)
    new = out.shape[1] - words["input_ids"].shape[1]
    peers.ok(f"{name}.generates", 1 <= new <= 4, new)


def main():
    scratch = peers.workspace()
    (scratch / "tests").symlink_to(peers.ROOT / "tests")
    (scratch / "recipes").symlink_to(peers.ROOT / "recipes")
    code, said = peers.run(peers.VBUILD, "recipes/demo.lua", "folder")
    peers.ok("demo_builds", code == 0, said)
    peers.build(FIRST, "-o", "first")
    peers.ok("folders_build", peers.build(FOLDERS))
    peers.synthetic_folders()
    for folder in sorted(pathlib.Path("outputs").iterdir()):
        if folder.is_dir():
            check(folder, "models/nano-llama-base" if folder.name.startswith("from-") else None)
    for shape in peers.SHAPES:
        check(f"made/{shape}-1", None)
    # The comparison can fail: another model's weights are not these.
    state, other = load("models/nano-llama-base")[0].state_dict(), \
        peers.folder_tensors("models/nano-llama-prose")
    peers.ok("another_models_weights_differ", any(not torch.equal(state[n], t)
                                                  for n, t in other.items()))
    peers.finish()


if __name__ == "__main__":
    main()
