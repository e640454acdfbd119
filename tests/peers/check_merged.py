"""What mergekit's files become runs: transformers and llama.cpp load the merges, generate, and say
the same words.
"""

import json
import pathlib
import shutil

import torch
from check_llama import PROMPT, complete, generate
from check_load import load
from transformers import AutoTokenizer

import peers

BASE, PROSE, PYTHON = ("models/nano-llama-" + n for n in ("base", "prose", "python"))
QWEN, TOKENS = "models/nano-qwen2", 8
TUNES = f"models: [{{model: {PROSE}}}, {{model: {PYTHON}}}]\nbase_model: {BASE}\n"
MERGES = {
    "ties": f"merge_method: ties\n{TUNES}parameters: {{weight: 0.5, density: 0.6}}\n"
            "dtype: bfloat16\n",
    "dare-f16": f"merge_method: dare_ties\n{TUNES}parameters: {{weight: 0.5, density: 0.7}}\n"
                "dtype: float32\nout_dtype: float16\n",
    "della-f32": f"merge_method: della\n{TUNES}parameters: {{weight: 0.5, density: 0.6}}\n"
                 "dtype: float32\n",
    "stock": f"merge_method: model_stock\n{TUNES}dtype: bfloat16\n",
    "fusion": f"merge_method: arcee_fusion\nmodels: [{{model: {PYTHON}}}]\nbase_model: {BASE}\n"
              "dtype: bfloat16\n",
    "stacked": f"""slices:
  - sources: [{{model: {PROSE}, layer_range: [0, 3]}}]
  - sources: [{{model: {PYTHON}, layer_range: [1, 4], parameters: {{scale: [{{filter: o_proj,
      value: 0.8}}]}}}}]
  - sources: [{{model: {BASE}, layer_range: [2, 4]}}]
merge_method: passthrough
""",
    "head-of-another": f"""slices:
  - sources: [{{model: {PROSE}, layer_range: [0, 4]}}]
  - sources: [{{model: {PYTHON}, layer_range: [4, 4]}}]
merge_method: passthrough
dtype: bfloat16
""",
    "tied": f"""slices:
  - sources: [{{model: {QWEN}, layer_range: [1, 2]}}]
  - sources: [{{model: {QWEN}, layer_range: [0, 2]}}]
merge_method: passthrough
dtype: float16
""",
    "tied-norms": """models:
  - {model: made/qwen3-norms-1, parameters: {weight: 0.7}}
  - {model: made/qwen3-norms-2, parameters: {weight: [0.1, 0.6]}}
merge_method: nuslerp
dtype: bfloat16
""",
    # mergekit leaves the list of layer types as it was, and its config cannot be read.
    "listed-layers": """slices:
  - sources: [{model: listed, layer_range: [0, 2]}]
  - sources: [{model: listed, layer_range: [0, 1]}]
merge_method: passthrough
""",
}


def listed():
    """A checkpoint whose config has a list with an entry for each layer."""
    shutil.copytree("made/qwen2-untied-1", "listed")
    path = pathlib.Path("listed/config.json")
    config = json.loads(path.read_text())
    config["layer_types"] = ["full_attention"] * config["num_hidden_layers"]
    path.write_text(json.dumps(config, indent=2))


def check(name):
    folder = f"outputs/{name}"
    try:
        model, told = load(folder)
    except Exception as error:
        peers.ok(f"{name}.loads", False, repr(error)[:600])
        return
    state, files = model.state_dict(), peers.folder_tensors(folder)
    wrong = [n for n, t in files.items() if n not in state or not torch.equal(state[n], t)]
    peers.ok(f"{name}.weights_are_the_files", not wrong and not told, (wrong[:4], told))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = tokenizer(PROMPT, return_tensors="pt")
    with torch.no_grad():
        finite = bool(torch.isfinite(model(**words).logits).all())
    # In float32, as the file of the other program: its words are these.
    out = model.float().generate(**words, min_new_tokens=TOKENS, max_new_tokens=TOKENS,
                                 do_sample=False, pad_token_id=0)
    peers.ok(f"{name}.generates_with_transformers", finite and
             out.shape[1] == words["input_ids"].shape[1] + TOKENS, out.shape)
    generate(f"{name}.as_merged", f"{folder}-same.gguf", TOKENS)
    free = model.generate(**words, max_new_tokens=TOKENS, do_sample=False, pad_token_id=0)
    want = tokenizer.decode(free[0], skip_special_tokens=True).strip()
    got = complete(f"{folder}-f32.gguf", "-n", TOKENS)[1]
    peers.ok(f"{name}.both_say_the_same", want == got and len(got) > len(PROMPT),
             f"{got!r} against {want!r}")


def main():
    peers.workspace()
    peers.synthetic_folders()
    listed()
    recipe = ["local out = {}"]
    for name, text in MERGES.items():
        pathlib.Path(f"{name}.yml").write_text(text)
        code, said = peers.run(peers.VBUILD, "-q", "--seed", "5", f"{name}.yml")
        peers.ok(f"{name}.builds", code == 0, said)
        for kind, given in (("same", ""), ("f32", ", outtype = 'f32'")):
            recipe.append(f"out['{name}-{kind}'] = gguf {{ merge.yaml {{ '{name}.yml', seed = 5 }}"
                          f"{given} }}")
    peers.ok("ggufs_build", peers.build("\n".join(recipe) + "\nreturn out\n"))
    for name in MERGES:
        check(name)
    peers.finish()


main()
