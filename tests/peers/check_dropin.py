"""mergekit's files and its command line: the three ways to run one file give the same bytes, its
options do what they do there, and what it refuses or silently spoils is refused with its place.
"""

import os
import pathlib
import random
import re
import shutil

import click
import merge_compare
import merge_models
import merge_pins
import torch
import yaml
from merge_cases import PARAMETERS, Maker
from mergekit.scripts.run_yaml import main as mergekit_yaml

import peers

LLAMA, ONE, TWO, THREE = (f"checkpoints/llama-{n}" for n in ("base", "one", "two", "three"))
QWEN = "checkpoints/qwen2-base"
PAIR = f"models: [{{model: {ONE}}}, {{model: {TWO}}}]\n"
WEIGHED = "parameters: {weight: 0.5}\n"


# ---- three ways ---------------------------------------------------------------------------------

def files(folder):
    return {p.name: p.read_bytes() for p in pathlib.Path(folder).iterdir()}


def three_ways(case, text):
    """As a recipe, by the drop-in and by the Lua that it prints, each with a cache of its own."""
    name = case.name
    pathlib.Path(f"{name}.yml").write_text(text)
    runs = [peers.run(peers.VBUILD, "-q", "--cache", "c1", "--seed", case.seed, f"{name}.yml"),
            peers.run(peers.VBUILD, "-q", "--cache", "c2", "merge", f"{name}.yml", f"dropin/{name}",
                      f"--random-seed={case.seed}"),
            peers.run(peers.VBUILD, "-q", "merge", "--recipe", f"{name}.yml", "--seed", case.seed)]
    # Warnings of the file come before its Lua.
    lua = runs[2][1]
    pathlib.Path(f"{name}.lua").write_text(lua[lua.find("-- "):] if "warning: " in lua else lua)
    runs.append(peers.run(peers.VBUILD, "-q", "--cache", "c3", "-o", "printed", f"{name}.lua"))
    bad = [r for r in runs if r[0]]
    shown = f"\n{text}"
    if peers.ok(f"{name}.three_ways_run", not bad, f"{bad[:1]}{shown}"):
        want, made = files(f"outputs/{name}"), [p for p in pathlib.Path("printed").iterdir()
                                                if p.is_dir()]
        peers.ok(f"{name}.three_ways_are_the_same_bytes", len(made) == 1 and
                 want == files(f"dropin/{name}") == files(made[0]),
                 f"{sorted(want)} {[sorted(files(m)) for m in made]}{shown}")
    shutil.rmtree("printed", ignore_errors=True)


# ---- refused ------------------------------------------------------------------------------------

# Name, place, what mergekit does (refuses; else it writes something), the file.
REFUSED = [
    ("range_to_minus_one", "3:", False, f"""merge_method: passthrough
slices:
  - sources: [{{model: {ONE}, layer_range: [0, -1]}}]
"""),
    ("range_reversed", "4:", False, f"""merge_method: passthrough
slices:
  - sources: [{{model: {ONE}, layer_range: [0, 2]}}]
  - sources: [{{model: {ONE}, layer_range: [3, 2]}}]
"""),
    ("range_beyond_the_model", "3:", True, f"""merge_method: passthrough
slices:
  - sources: [{{model: {ONE}, layer_range: [2, 6]}}]
"""),
    ("ranges_of_unlike_length", "5:", True, f"""merge_method: linear
slices:
  - sources:
      - {{model: {ONE}, layer_range: [0, 2]}}
      - {{model: {TWO}, layer_range: [0, 3]}}
{WEIGHED}"""),
    ("no_range", "3:", True, f"""merge_method: passthrough
slices:
  - sources: [{{model: {ONE}}}]
"""),
    ("other_shapes", "2:9", True, f"""merge_method: linear
models: [{{model: {ONE}}}, {{model: checkpoints/wide}}]
{WEIGHED}"""),
    ("other_vocabulary", "2:9", True, f"""merge_method: linear
models: [{{model: {ONE}}}, {{model: checkpoints/longer}}]
{WEIGHED}"""),
    ("other_architecture", "2:9", True, f"""merge_method: linear
models: [{{model: {ONE}}}, {{model: {QWEN}}}]
{WEIGHED}"""),
    ("fewer_layers", "2:9", True, f"""merge_method: linear
models: [{{model: {ONE}}}, {{model: checkpoints/short}}]
{WEIGHED}"""),
    ("no_base", "2:9", True, f"merge_method: ties\n{PAIR}{WEIGHED}"),
    ("base_not_in_the_slice", "3:", True, f"""merge_method: slerp
slices:
  - sources:
      - {{model: {ONE}, layer_range: [0, 4]}}
      - {{model: {TWO}, layer_range: [0, 4]}}
base_model: {LLAMA}
parameters: {{t: 0.5}}
"""),
    ("three_for_slerp", "2:9", True, f"""merge_method: slerp
models: [{{model: {ONE}}}, {{model: {TWO}}}, {{model: {THREE}}}]
base_model: {ONE}
parameters: {{t: 0.5}}
"""),
    ("one_for_model_stock", "2:9", True, f"""merge_method: model_stock
models: [{{model: {ONE}}}]
base_model: {LLAMA}
"""),
    ("two_for_passthrough", "2:9", True, f"merge_method: passthrough\n{PAIR}"),
    ("a_model_twice", "3:", True, f"""merge_method: linear
models: [{{model: {ONE}}},
  {{model: {ONE}}}]
{WEIGHED}"""),
    ("density_above_one", "2:9", False, f"""merge_method: ties
{PAIR}base_model: {LLAMA}
parameters: {{weight: 0.5, density: 1.5}}
"""),
    ("density_below_zero", "2:9", False, f"""merge_method: dare_linear
{PAIR}base_model: {LLAMA}
parameters: {{weight: 0.5, density: -0.25}}
"""),
    ("density_that_leaves_zero_to_one", "2:9", False, f"""merge_method: ties
{PAIR}base_model: {LLAMA}
parameters: {{weight: 0.5, density: [0.5, 1.25]}}
"""),
    ("gamma_above_one", "2:9", False, f"""merge_method: breadcrumbs
{PAIR}base_model: {LLAMA}
parameters: {{weight: 0.5, density: 0.5, gamma: 1.2}}
"""),
    ("epsilon_too_wide", "2:9", True, f"""merge_method: della
{PAIR}base_model: {LLAMA}
parameters: {{weight: 0.5, density: 0.2, epsilon: 0.3}}
"""),
    ("weights_that_sum_to_zero", "3:3", False, f"""merge_method: linear
models:
  - {{model: {ONE}, parameters: {{weight: 1}}}}
  - {{model: {TWO}, parameters: {{weight: -1}}}}
"""),
    ("weights_of_multislerp_that_sum_to_zero", "3:3", False, f"""merge_method: multislerp
models:
  - {{model: {ONE}, parameters: {{weight: 0.5}}}}
  - {{model: {TWO}, parameters: {{weight: -0.5}}}}
"""),
    ("weight_infinite", "3:22", False, f"""merge_method: linear
{PAIR}parameters: {{weight: .inf}}
"""),
    ("weight_not_a_number", "3:", False, f"""merge_method: linear
{PAIR}parameters: {{weight: [0.5, .nan]}}
"""),
    ("no_weight", "2:9", True, f"merge_method: linear\n{PAIR}"),
    ("weight_for_some_tensors_only", "2:9", True, f"""merge_method: linear
{PAIR}parameters: {{weight: [{{filter: mlp, value: 0.5}}]}}
"""),
    ("weight_in_words", "3:22", True, f"""merge_method: linear
{PAIR}parameters: {{weight: plenty}}
"""),
    ("steps_between_two_numbers", "2:9", True, f"""merge_method: karcher
{PAIR}parameters: {{max_iter: [1, 3]}}
"""),
    ("unknown_method", "1:15", True, f"merge_method: ties_sum\n{PAIR}{WEIGHED}"),
    ("unknown_type", "3:8", True, f"merge_method: linear\n{PAIR}dtype: bf16\n{WEIGHED}"),
    ("unknown_module", "3:", True, f"""merge_method: linear
modules:
  decoder: {{models: [{{model: {ONE}}}]}}
{WEIGHED}"""),
    ("models_and_slices", "3:1", True, f"""merge_method: passthrough
models: [{{model: {ONE}}}]
slices: [{{sources: [{{model: {ONE}, layer_range: [0, 4]}}]}}]
"""),
    ("nothing_to_merge", "1:1", True, "merge_method: linear\nmodels: []\n"),
    ("no_method", "1:1", True, f"models: [{{model: {ONE}}}]\n"),
    ("a_list", "1:1", True, f"- {{model: {ONE}}}\n"),
    ("a_key_twice", "4:1", False, f"""merge_method: linear
{PAIR}{WEIGHED}parameters: {{weight: 1}}
"""),
    ("a_tab", "3:", True, f"merge_method: linear\nmodels:\n\t- {{model: {ONE}}}\n{WEIGHED}"),
    ("a_tag", "1:15", True, f"merge_method: !method linear\n{PAIR}{WEIGHED}"),
    ("an_unknown_alias", "2:9", True, f"merge_method: linear\nmodels: *all\n{WEIGHED}"),
    ("an_open_list", "", True, f"merge_method: linear\nmodels: [{{model: {ONE}}}\n{WEIGHED}"),
    ("no_such_model", "2:18", True, f"""merge_method: passthrough
models: [{{model: checkpoints/nowhere}}]
"""),
    ("two_tokenizer_keys", "3:1", True, f"""merge_method: passthrough
models: [{{model: {ONE}}}]
tokenizer_source: base
tokenizer: {{source: base}}
"""),
    ("a_template_that_is_none", "3:1", None, f"""merge_method: passthrough
models: [{{model: {ONE}}}]
chat_template: nonsense
"""),
    ("a_model_with_two_adapters", "2:18", True, f"""merge_method: passthrough
models: [{{model: {ONE}+a+b}}]
"""),
    ("experts", "2:1", True, f"""base_model: {LLAMA}
experts: [{{source_model: {ONE}, positive_prompts: [code]}}]
"""),
]
# Results that are not finite, of inputs that are: found while it runs.
OVERFLOWS = [
    ("scale_beyond_the_type", "3:3", f"""merge_method: passthrough
models:
  - {{model: {ONE}, parameters: {{scale: 4.0e+6}}}}
dtype: float16
"""),
    ("weights_beyond_the_type", "2:9", f"""merge_method: linear
{PAIR}parameters: {{weight: 4.0e+6, normalize: false}}
dtype: float16
"""),
    ("written_beyond_the_type", "2:9", f"""merge_method: linear
{PAIR}parameters: {{weight: 4.0e+6, normalize: false}}
dtype: bfloat16
out_dtype: float16
"""),
]

def bomb():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for i in range(1, 10):
        lines.append(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]")
    return "\n".join(lines) + "\n"


def at_place(said, name, place):
    return re.search(rf"^error: {re.escape(name)}\.yml:{place or '[0-9]+:'}[0-9:]* ?", said, re.M)


def refuse(name, place, theirs, text, code=2):
    """vbuild refuses by place and writes nothing; THEIRS: whether mergekit fails (None: not run)."""
    pathlib.Path(f"{name}.yml").write_text(text)
    got, said = peers.run(peers.VBUILD, f"{name}.yml")
    peers.ok(f"{name}.is_refused", got == code and at_place(said, name, place), f"{got} {said}")
    mine = pathlib.Path(f"mine/{name}")
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("mine")
    got, said = peers.run(peers.VBUILD, "merge", f"{name}.yml", f"dropin/{name}")
    again, _ = peers.run(peers.VBUILD, "merge", f"{name}.yml", mine)
    peers.ok(f"{name}.is_refused_by_the_dropin", (got, again) == (1, 1) and
             at_place(said, name, place), f"{got} {again} {said}")
    peers.ok(f"{name}.writes_nothing", not pathlib.Path(f"outputs/{name}").exists() and
             not pathlib.Path(f"dropin/{name}").exists() and
             {p.name: p.read_text() for p in mine.iterdir()} == {"notes.txt": "mine"})
    if theirs is not None:
        failed = merge_pins.merge(f"{name}.yml", f"theirs/{name}")
        peers.ok(f"{name}.is_what_it_is_in_mergekit", bool(failed) == theirs, failed)


def strict():
    """What mergekit passes over is a warning with its place, and an error when asked for."""
    text = f"""merge_method: slerp
{PAIR}base_model: {ONE}
parameters: {{t: 0.5, tt: 1}}
dtype: bfloat16
dtipe: float16
"""
    pathlib.Path("lax.yml").write_text(text)
    code, said = peers.run(peers.VBUILD, "lax.yml")
    places = re.findall(r"^warning: lax\.yml:(\d+:\d+): ", said, re.M)
    peers.ok("unknown_keys_are_warned_of", code == 0 and places == ["6:1", "4:22"] or
             places == ["4:22", "6:1"], said)
    peers.ok("and_are_mergekits_result", merge_pins.merge("lax.yml", "theirs/lax") is None and
             not difference("theirs/lax", "outputs/lax", "slerp"))
    peers.ok("and_refused_under_strict",
             (peers.run(peers.VBUILD, "--strict", "lax.yml")[0],
              peers.run(peers.VBUILD, "merge", "--strict", "lax.yml", "dropin/strict")[0]) ==
             (2, 1) and not pathlib.Path("dropin/strict").exists())


# ---- options ------------------------------------------------------------------------------------

def difference(theirs, ours, method="linear"):
    want, got = peers.folder_tensors(theirs), peers.folder_tensors(ours)
    return merge_compare.difference(want, got, lambda n: merge_compare.kind(
        method, torch.bfloat16, want[n].dtype))[0]


def dropin(name, *words):
    return peers.run(peers.VBUILD, "merge", *words, "pair.yml", f"dropin/{name}")


def every_option():
    """Each option of mergekit-yaml is taken, in both of its forms, after the arguments too."""
    refused = {"--no-safe-serialization"}
    values = {"--out-shard-size": "5B", "--device": "cpu", "--random-seed": "7", "-v": None,
              "--lora-merge-dtype": "float32", "--num-threads": "1", "--write-threads": "2",
              "--transformers-cache": "hub", "--lora-merge-cache": "loras"}
    for param in mergekit_yaml.params:
        if isinstance(param, click.Argument):
            continue
        for word in [*param.opts, *param.secondary_opts]:
            value = values.get(param.opts[0])
            words = [word] if param.is_flag or value is None else [word, value]
            code, said = peers.run(peers.VBUILD, "merge", "pair.yml", "dropin/each", *words)
            peers.ok(f"option {word}", code == (2 if word in refused else 0), f"{code} {said}")


def wrong_words():
    """What click refuses is refused with its exit code."""
    for number, words in enumerate((
            ["--allow-crime"], ["--frobnicate"], ["-q"], ["--out-shard-size", "5Q"], ["third"],
            ["--out-shard-size", "-"], ["--num-threads", "x"], ["--random-seed", "1.5"],
            ["--cuda=1"], ["--device"], ["-x"], ["--no-random-seed"], ["--no-gpu-rich"])):
        try:
            mergekit_yaml.make_context("mergekit-yaml", ["pair.yml", "out", *words])
            theirs = 0
        except (click.UsageError, ValueError):
            theirs = 2
        code, said = peers.run(peers.VBUILD, "merge", "pair.yml", f"dropin/wrong{number}", *words)
        peers.ok(f"words {' '.join(words)}", (code, theirs) == (2, 2) and "merge" in said and
                 not pathlib.Path(f"dropin/wrong{number}").exists(), f"{code} {theirs} {said}")
    for words in ([], ["pair.yml"]):
        peers.ok(f"words_missing_after {words}", peers.run(peers.VBUILD, "merge", *words)[0] == 2)


def names_in(folder):
    return sorted(p.name for p in pathlib.Path(folder).iterdir())


def effects():
    """Options that change the result, against mergekit's."""
    for folder in (LLAMA, ONE):
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(f"models/nano-llama-base/{file}", f"{folder}/{file}")
        pathlib.Path(folder, "generation_config.json").write_text('{"max_length": 9}\n')
    for name, words in (("plain", []), ("bare", ["--no-copy-tokenizer"]),
                        ("shards", ["--out-shard-size", "100k"]),
                        ("shards-upper", ["--out-shard-size", "1M"]),
                        ("whole", ["--out-shard-size", "0"])):
        code, said = dropin(name, *words)
        failed = merge_pins.merge("pair.yml", f"theirs/{name}", *words)
        if not peers.ok(f"{name}.runs", code == 0 and failed is None, f"{said} {failed}"):
            continue
        a, b = names_in(f"theirs/{name}"), names_in(f"dropin/{name}")
        peers.ok(f"{name}.same_files", [re.sub(r"-of-\d+|\d{5}", "", n) for n in a if "shard" not in
                                        name] == [re.sub(r"-of-\d+|\d{5}", "", n) for n in b
                                                  if "shard" not in name], f"{a} {b}")
        peers.ok(f"{name}.sharded_alike", (len(a) > 3) == (len(b) > 3) and
                 ("model.safetensors.index.json" in a) == ("model.safetensors.index.json" in b))
        peers.ok(f"{name}.same_tensors", not difference(f"theirs/{name}", f"dropin/{name}"))
    largest = max(p.stat().st_size for p in pathlib.Path("dropin/shards").glob("*.safetensors"))
    peers.ok("shards_are_small", largest < 100_000 + 2 * merge_models.VOCAB * merge_models.HIDDEN)
    for file in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        peers.same_file(f"plain.{file}", f"theirs/plain/{file}", f"dropin/plain/{file}")
    pathlib.Path("longer.yml").write_text(f"""merge_method: linear
models: [{{model: {ONE}}}, {{model: checkpoints/longer}}]
{WEIGHED}""")
    flag = "--unsafe-truncate-embeddings"
    code, said = peers.run(peers.VBUILD, "merge", "longer.yml", "dropin/longer", flag)
    failed = merge_pins.merge("longer.yml", "theirs/longer", flag)
    peers.ok("cut_vocabularies", code == 0 and failed is None and
             not difference("theirs/longer", "dropin/longer"), f"{said} {failed}")
    mixed_architectures()


def mixed_architectures():
    """Only under --allow-crimes, then by the names of the first. Llama and Mistral, which mergekit
    keeps apart, are one architecture here."""
    source = "{{model: {}, layer_range: [0, 3]}}".format
    for name, other, refused in (("qwen2", QWEN, True), ("mistral", "checkpoints/mistral", False)):
        pathlib.Path(f"{name}.yml").write_text(f"""merge_method: linear
slices: [{{sources: [{source(ONE)}, {source(other)}]}}]
{WEIGHED}""")
        for words, right in (([], not refused), (["--allow-crimes"], True)):
            out = f"dropin/{name}{len(words)}"
            code, said = peers.run(peers.VBUILD, "merge", f"{name}.yml", out, *words)
            failed = merge_pins.merge(f"{name}.yml", f"theirs/{name}", *words)
            peers.ok(f"mixed_with_{name} {words}", (code == 0, failed is None) ==
                     (right, bool(words)), f"{said} {failed}")
        peers.ok(f"mixed_with_{name}_alike",
                 not difference(f"theirs/{name}", f"dropin/{name}1"))


# ---- the checkpoints besides --------------------------------------------------------------------

def more_checkpoints():
    """Others that do not fit llama's: a wider one, more rows, fewer layers, mistral by name."""
    family = merge_models.FAMILIES["llama"]
    tensors = peers.folder_tensors(ONE)
    wide = {n: torch.cat([t, t], dim=-1) for n, t in tensors.items()}
    merge_models.write("checkpoints/wide", family, wide, hidden_size=2 * merge_models.HIDDEN)
    rows = {n: torch.cat([t, t[:8]]) if t.shape[0] == merge_models.VOCAB else t
            for n, t in tensors.items()}
    merge_models.write("checkpoints/longer", family, rows, vocab_size=merge_models.VOCAB + 8)
    short = {n: t for n, t in tensors.items() if ".layers.3." not in n}
    merge_models.write("checkpoints/short", family, short, num_hidden_layers=3)
    other = {n: (t.float() * 1.25).to(t.dtype) for n, t in tensors.items()}
    merge_models.write("checkpoints/mistral", family, other, model_type="mistral",
                       architectures=["MistralForCausalLM"])


def main():
    peers.workspace()
    maker = Maker(random.Random(77), merge_models.make())
    more_checkpoints()
    for number, method in enumerate(PARAMETERS):
        families = list(merge_models.FAMILIES)
        case = maker.make(0, method, families[number % len(families)])
        three_ways(case, yaml.safe_dump(case.config, sort_keys=False, default_flow_style=None))
    for name, place, theirs, text in REFUSED:
        refuse(name, place, theirs, text)
    refuse("an_alias_bomb", "", None, bomb())
    for name, place, text in OVERFLOWS:
        refuse(name, place, False, text, code=1)
    strict()
    pathlib.Path("pair.yml").write_text(f"merge_method: linear\n{PAIR}{WEIGHED}dtype: bfloat16\n")
    every_option()
    wrong_words()
    effects()
    os.chdir("/")
    peers.finish()


main()
