"""mergekit-yaml run on small models against the Lua twin of each configuration, mergekit as it is:
none of these methods leaves anything to chance. (check_methods.py: every method; check_dropin.py:
the command line; check_refused.py: bad files; check_merged.py: what merges become runs.)

Tolerances are those of tests/golden/merge (merge_compare.py): the share of equal bits over the
case, then units in the last place or a part of the tensor's largest magnitude for every element
that differs.
"""

import pathlib

import merge_compare
import torch
from mergekit.scripts.run_yaml import main as mergekit_yaml
from transformers import AutoConfig

import peers

BASE, PROSE, PYTHON = ("models/nano-llama-" + n for n in ("base", "prose", "python"))
PAIR = """models:
  - model: {0}
    parameters: {{weight: {2}}}
  - model: {1}
    parameters: {{weight: {3}}}
merge_method: linear
"""
LUA_PAIR = ('merge.linear {{ {{ source "{0}", weight = {2} }}, '
            '{{ source "{1}", weight = {3} }}, {4} }}')
SLERP = """slices:
  - sources:
      - {{model: {0}, layer_range: [0, {2}]}}
      - {{model: {1}, layer_range: [0, {2}]}}
merge_method: slerp
base_model: {0}
parameters:
  t: {3}
dtype: {4}
"""
LUA_SLERP = 'merge.slerp {{ source "{0}", source "{1}", t = {2}, dtype = "{3}" }}'

CASES = [
    ("linear_two_bf16", "elementwise", PAIR.format(PROSE, PYTHON, 0.7, 0.3) + "dtype: bfloat16\n",
     LUA_PAIR.format(PROSE, PYTHON, 0.7, 0.3, 'dtype = "bf16"')),
    ("linear_weights_that_sum_to_three", "elementwise",
     PAIR.format(PROSE, PYTHON, 1, 2) + "dtype: bfloat16\n",
     LUA_PAIR.format(PROSE, PYTHON, 1, 2, 'dtype = "bf16"')),
    ("linear_three_not_normalized", "elementwise", f"""models:
  - {{model: {BASE}, parameters: {{weight: 0.5}}}}
  - {{model: {PROSE}, parameters: {{weight: 0.8}}}}
  - {{model: {PYTHON}, parameters: {{weight: -0.3}}}}
merge_method: linear
parameters: {{normalize: false}}
dtype: bfloat16
""", f"""merge.linear {{ {{ source "{BASE}", weight = 0.5 }}, {{ source "{PROSE}", weight = 0.8 }},
  {{ source "{PYTHON}", weight = -0.3 }}, normalize = false, dtype = "bf16" }}"""),
    ("linear_float32", "float32", PAIR.format(BASE, PROSE, 0.31, 0.69) + "dtype: float32\n",
     LUA_PAIR.format(BASE, PROSE, 0.31, 0.69, 'dtype = "f32"')),
    ("linear_float32_out_bfloat16", "elementwise",
     PAIR.format(BASE, PROSE, 0.31, 0.69) + "dtype: float32\nout_dtype: bfloat16\n",
     "cast { " + LUA_PAIR.format(BASE, PROSE, 0.31, 0.69, 'dtype = "f32"') + ', to = "bf16" }'),
    ("linear_without_dtype", "elementwise", PAIR.format(BASE, PYTHON, 0.25, 0.5),
     LUA_PAIR.format(BASE, PYTHON, 0.25, 0.5, "")),
    ("linear_filters_and_gradients", "elementwise", f"""models:
  - model: {PROSE}
    parameters:
      weight:
        - {{filter: self_attn, value: [0.2, 0.8]}}
        - {{filter: mlp, value: 1.0}}
        - {{value: 0.5}}
  - {{model: {PYTHON}, parameters: {{weight: [1, 0, 0.25, 1]}}}}
merge_method: linear
dtype: bfloat16
""", f"""merge.linear {{
  {{ source "{PROSE}",
    weight = by {{ {{ "self_attn", ramp {{ 0.2, 0.8 }} }}, {{ "mlp", 1.0 }}, 0.5 }} }},
  {{ source "{PYTHON}", weight = ramp {{ 1, 0, 0.25, 1 }} }}, dtype = "bf16" }}"""),
    ("slerp_half", "slerp", SLERP.format(PROSE, PYTHON, 4, "0.5", "bfloat16"),
     LUA_SLERP.format(PROSE, PYTHON, "0.5", "bf16")),
    ("slerp_gradients_and_filters", "slerp", SLERP.format(PROSE, PYTHON, 4, """
    - {filter: self_attn, value: [0, 0.5, 0.3, 0.7, 1]}
    - {filter: mlp, value: [1, 0.5, 0.7, 0.3, 0]}
    - {value: 0.5}""", "bfloat16"), LUA_SLERP.format(PROSE, PYTHON, """by {
    { "self_attn", ramp { 0, 0.5, 0.3, 0.7, 1 } }, { "mlp", ramp { 1, 0.5, 0.7, 0.3, 0 } },
    0.5 }""", "bf16")),
    ("slerp_demo_blend", "slerp", SLERP.format(PROSE, PYTHON, 4, "[0.2, 0.8]", "bfloat16"),
     f'merge.slerp {{ source "{PROSE}", source "{PYTHON}", t = ramp {{ 0.2, 0.8 }} }}'),
    ("slerp_float32", "sphere32", SLERP.format(BASE, PYTHON, 4, "0.3", "float32"),
     LUA_SLERP.format(BASE, PYTHON, "0.3", "f32")),
    ("slerp_float32_out_float16", "slerp",
     SLERP.format(BASE, PYTHON, 4, "0.3", "float32") + "out_dtype: float16\n",
     "cast { " + LUA_SLERP.format(BASE, PYTHON, "0.3", "f32") + ', to = "f16" }'),
    ("slerp_two_ranges", "slerp", f"""slices:
  - sources: [{{model: {PROSE}, layer_range: [0, 2]}}, {{model: {PYTHON}, layer_range: [1, 3]}}]
    parameters: {{t: [0.1, 0.9]}}
  - sources: [{{model: {PROSE}, layer_range: [2, 4]}}, {{model: {PYTHON}, layer_range: [2, 4]}}]
    parameters: {{t: 0.25}}
merge_method: slerp
base_model: {PROSE}
dtype: bfloat16
""", f"""stack {{
  merge.slerp {{ slice(source "{PROSE}", 0, 2), slice(source "{PYTHON}", 1, 3),
    t = ramp {{ 0.1, 0.9 }}, dtype = "bf16" }},
  merge.slerp {{ slice(source "{PROSE}", 2, 4), slice(source "{PYTHON}", 2, 4), t = 0.25,
    dtype = "bf16" }} }}"""),
    ("passthrough_slices", "copy", f"""slices:
  - sources: [{{model: {BASE}, layer_range: [0, 3]}}]
  - sources: [{{model: {PROSE}, layer_range: [1, 4]}}]
  - sources: [{{model: {PYTHON}, layer_range: [2, 4]}}]
merge_method: passthrough
dtype: bfloat16
""", f"""stack {{ slice(source "{BASE}", 0, 3), slice(source "{PROSE}", 1, 4),
  slice(source "{PYTHON}", 2, 4) }}"""),
    ("passthrough_rising_scales", "copy", f"""slices:
  - sources: [{{model: {BASE}, layer_range: [0, 2]}}]
  - sources:
      - model: {BASE}
        layer_range: [1, 3]
        parameters:
          scale:
            - {{filter: o_proj, value: 1.3}}
            - {{filter: down_proj, value: 0.7}}
            - {{value: 1.0}}
  - sources:
      - model: {BASE}
        layer_range: [2, 4]
        parameters: {{scale: [{{filter: o_proj, value: [1.1, 2.5]}}, {{value: 1.0}}]}}
merge_method: passthrough
dtype: bfloat16
""", f"""stack {{ slice(source "{BASE}", 0, 2),
  scale {{ slice(source "{BASE}", 1, 3), o_proj = 1.3, down_proj = 0.7 }},
  scale {{ slice(source "{BASE}", 2, 4), o_proj = ramp {{ 1.1, 2.5 }} }} }}"""),
    ("passthrough_float32", "copy", f"""slices:
  - sources: [{{model: {BASE}, layer_range: [1, 4], parameters: {{scale: 0.1}}}}]
merge_method: passthrough
dtype: float32
""", f'merge.passthrough {{ slice(source "{BASE}", 1, 4), scale = 0.1, dtype = "f32" }}'),
]
# Other architectures: every shape of peers.SHAPES in both methods, and the qwen2 of the tree.
for shape, layers in (("llama-narrow", 3), ("mistral-heads", 3), ("qwen2-untied", 2),
                      ("qwen3-norms", 2)):
    a, b = f"made/{shape}-1", f"made/{shape}-2"
    CASES += [
        (f"linear_{shape}", "elementwise", PAIR.format(a, b, 0.4, 0.6) + "dtype: bfloat16\n",
         LUA_PAIR.format(a, b, 0.4, 0.6, 'dtype = "bf16"')),
        (f"slerp_{shape}", "slerp", SLERP.format(a, b, layers, "[0, 1]", "bfloat16"),
         LUA_SLERP.format(a, b, "ramp { 0, 1 }", "bf16")),
    ]
QWEN = "models/nano-qwen2"
CASES.append(("passthrough_qwen2", "copy", f"""slices:
  - sources: [{{model: {QWEN}, layer_range: [1, 2]}}]
  - sources: [{{model: {QWEN}, layer_range: [0, 1], parameters: {{scale: 0.3}}}}]
merge_method: passthrough
dtype: float16
""", f"""stack {{ cast {{ slice(source "{QWEN}", 1, 2), to = "f16" }},
  merge.passthrough {{ slice(source "{QWEN}", 0, 1), scale = 0.3, dtype = "f16" }} }}"""))


def error(got, x, y, t):
    """The largest error of a slerp against one made in double, over its largest magnitude."""
    a, b = x.double().flatten(), y.double().flatten()
    turn = torch.acos((a / a.norm() * (b / b.norm())).sum())
    if torch.cos(turn) > 0.9995:
        want = (1 - t) * a + t * b
    else:
        want = (torch.sin((1 - t) * turn) * a + torch.sin(t * turn) * b) / torch.sin(turn)
    return float((got.double().flatten() - want).abs().max() / want.abs().max())


def nearer_than_mergekit():
    a, b = peers.folder_tensors(BASE), peers.folder_tensors(PYTHON)
    ours = peers.folder_tensors("outputs/slerp_float32")
    theirs = peers.folder_tensors("theirs/slerp_float32")
    errors = {n: (error(ours[n], a[n], b[n], 0.3), error(theirs[n], a[n], b[n], 0.3)) for n in a}
    far = {n: e for n, e in errors.items() if e[0] > max(e[1], 2.0 ** -23)}
    peers.ok("slerp_float32.nearer_to_the_exact_value_than_mergekit", not far, far)
    peers.note("slerp_float32 against the exact value: vbuild at most "
               f"{max(e[0] for e in errors.values()):.1e}, mergekit "
               f"{max(e[1] for e in errors.values()):.1e}")


def settings(folder):
    """What a config says once transformers has read it; what names the writer is left out."""
    out = AutoConfig.from_pretrained(folder).to_dict()
    for key in ("_name_or_path", "transformers_version"):
        out.pop(key, None)
    return {key: str(value) for key, value in out.items()}


def check(name, kind, yaml, worst):
    pathlib.Path(f"{name}.yml").write_text(yaml)
    code, said = 0, ""
    try:
        mergekit_yaml([f"{name}.yml", f"theirs/{name}", "--quiet", "--no-write-model-card"],
                      standalone_mode=False)
    except Exception as error:  # mergekit's own failure is a failed case, not the end of the run
        code, said = 1, repr(error)
    if not peers.ok(f"{name}.mergekit_runs", code == 0, said):
        return
    want, got = peers.folder_tensors(f"theirs/{name}"), peers.folder_tensors(f"outputs/{name}")
    form, mine = merge_compare.forms(want), merge_compare.forms(got)
    if not peers.ok(f"{name}.names_types_shapes", form == mine,
                    sorted(form.items() ^ mine.items())[:4]):
        return
    count = merge_compare.compare(want, got, lambda n: (kind, want[n].dtype))[kind]
    said = f"{count.share():.6f} equal, {count.beyond} beyond, at most {count.most} ulp"
    peers.ok(f"{name}.elements ({said})", count.passes(merge_compare.CLASSES[kind]),
             f"class {kind}")
    worst[kind] = min(worst.get(kind, (2.0, "")), (count.share(), f"{name}: {said}"))
    if kind == "copy":
        peers.same_file(f"{name}.file", f"theirs/{name}/model.safetensors",
                        f"outputs/{name}/model.safetensors")
    a, b = settings(f"theirs/{name}"), settings(f"outputs/{name}")
    parts = {k: (a.get(k), b.get(k)) for k in a.keys() | b.keys() if a.get(k) != b.get(k)}
    peers.ok(f"{name}.config", not parts, parts)


def main():
    peers.workspace()
    peers.synthetic_folders()
    recipe = ["local out = {}"]
    for name, _, _, lua in CASES:
        recipe.append(f"out['{name}'] = safetensors {{ {lua}, name = '{name}' }}")
    peers.ok("twins_build", peers.build("\n".join(recipe) + "\nreturn out\n"))
    # The program itself once, as people call it; the others by its own entry point, which spares
    # five seconds of imports each.
    pathlib.Path("once.yml").write_text(CASES[0][2])
    code, said = peers.run(peers.VENV / "bin/mergekit-yaml", "once.yml", "theirs/once", "--quiet",
                           "--no-write-model-card")
    peers.ok("mergekit_yaml_runs", code == 0, said[-400:])
    worst = {}
    for name, kind, yaml, _ in CASES:
        check(name, kind, yaml, worst)
    peers.same_file("mergekit_yaml_is_its_entry_point", "theirs/once/model.safetensors",
                    f"theirs/{CASES[0][0]}/model.safetensors")
    nearer_than_mergekit()
    # The comparison itself can fail: another model is not within any class.
    prose = peers.folder_tensors(PROSE)
    far = merge_compare.compare(prose, peers.folder_tensors(PYTHON),
                                lambda n: ("slerp", prose[n].dtype))["slerp"]
    peers.ok("another_model_is_not_the_merge", far.share() < 0.98 and far.beyond > 0, far)
    for kind, (_, said) in sorted(worst.items()):
        peers.note(f"worst of {kind}: {said}")
    peers.finish()


main()
