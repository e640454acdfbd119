"""What mergekit refuses, and what it silently spoils, is refused with file, line and column;
nothing is written, and a folder that is there stays as it was.
"""

import pathlib
import re

import merge_models
import merge_pins
from merge_compare import folders_differ

import peers

LLAMA, ONE, TWO, THREE = (f"checkpoints/llama-{n}" for n in ("base", "one", "two", "three"))
QWEN = "checkpoints/qwen2-base"
PAIR = f"models: [{{model: {ONE}}}, {{model: {TWO}}}]\n"
WEIGHED = "parameters: {weight: 0.5}\n"

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
    """An error of the file at "LINE:COLUMN", at "LINE:" and any column, or anywhere in it ("")."""
    line, _, column = place.partition(":")
    where = f"{line or '[0-9]+'}:{column or '[0-9]+'}: "
    return re.search(rf"^error: {re.escape(name)}\.yml:{where}", said, re.M)


def refuse(name, place, theirs, text, code=2):
    """vbuild refuses by place, writes nothing; THEIRS: whether mergekit fails (None: not run)."""
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
    peers.ok("unknown_keys_are_warned_of", code == 0 and sorted(places) == ["4:22", "6:1"], said)
    peers.ok("and_are_mergekits_result", merge_pins.merge("lax.yml", "theirs/lax") is None and
             not folders_differ("theirs/lax", "outputs/lax", "slerp"))
    peers.ok("and_refused_under_strict",
             (peers.run(peers.VBUILD, "--strict", "lax.yml")[0],
              peers.run(peers.VBUILD, "merge", "--strict", "lax.yml", "dropin/strict")[0]) ==
             (2, 1) and not pathlib.Path("dropin/strict").exists())


def main():
    peers.workspace()
    merge_models.make()
    merge_models.misfits(peers.folder_tensors(ONE))
    for name, place, theirs, text in REFUSED:
        refuse(name, place, theirs, text)
    refuse("an_alias_bomb", "", None, bomb())
    for name, place, text in OVERFLOWS:
        refuse(name, place, False, text, code=1)
    strict()
    peers.finish()


main()
