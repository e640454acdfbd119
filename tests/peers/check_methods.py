"""Every merge method by random configurations: mergekit's files against those of the same YAML by
vbuild, and what both say of the result in config.json.
"""

import json
import os
import pathlib
import random
import re
import shutil
import sys

import merge_compare
import merge_models
import merge_pins
import torch
from merge_cases import PARAMETERS, Maker

import peers

EACH = 10  # configurations of every method: five on llama's shape, two on qwen2's, three others
SEED = 20250118
KEYS = ("architectures", "model_type", "vocab_size", "hidden_size", "intermediate_size", "n_embd",
        "num_attention_heads", "num_key_value_heads")


def cases(dice, paths):
    maker = Maker(dice, paths)
    others = [f for f in merge_models.FAMILIES if f not in ("llama", "qwen2")]
    for at, method in enumerate(PARAMETERS):
        for number in range(EACH):
            family = "llama" if number < 5 else "qwen2" if number < 7 else \
                others[(3 * at + number) % len(others)]
            yield maker.make(number, method, family)


def kinds(case):
    """A tensor's class, by the types that go into the merge and come out of it."""
    work = None
    for model in case.models:
        for tensor in peers.folder_tensors(model).values():
            if tensor.is_floating_point():
                work = tensor.dtype if work is None else torch.promote_types(work, tensor.dtype)
                break
    if "dtype" in case.config:
        work = getattr(torch, case.config["dtype"].removeprefix("torch."))

    def of(want):
        return lambda name: merge_compare.kind(case.method, work, want[name].dtype) \
            if want[name].is_floating_point() else ("copy", want[name].dtype)
    return of


def says(folder, family):
    """What a config says of the tensors beside it, the types apart."""
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    layers = merge_models.FAMILIES[family].layers_key
    return {k: config.get(k) for k in (*KEYS, layers)}, config


def layers_of(config):
    """How many layers a configuration's slices have."""
    holder = config.get("modules", {}).get("default", config)
    return sum(s["sources"][0]["layer_range"][1] - s["sources"][0]["layer_range"][0]
               for s in holder["slices"])


def config_differs(case, want, refused):
    """Theirs against ours; REFUSED: mergekit wrote the weights and no config."""
    theirs = "doubles" if pathlib.Path(f"doubles/{case.name}").exists() else "theirs"
    mine, config = says(f"outputs/{case.name}", case.family)
    family = merge_models.FAMILIES[case.family]
    if refused:
        wanted = {k: family.config.get(k) for k in mine}
        wanted[family.layers_key] = layers_of(case.config)
    else:
        wanted = says(f"{theirs}/{case.name}", case.family)[0]
    # mergekit leaves the donor's word for both, whatever the tensors are.
    sizes = {}
    for tensor in want.values():
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.nbytes
    wanted["dtype"] = str(max(sizes, key=sizes.get)).removeprefix("torch.")
    wanted["tied"] = family.tied and "lm_head.weight" not in want
    mine["dtype"] = config.get("dtype", config.get("torch_dtype"))
    mine["tied"] = config.get("tie_word_embeddings")
    return {k: (wanted[k], mine[k]) for k in mine if wanted[k] != mine[k]}


def nearness(case, path, out, worst):
    """What vbuild's tensors differ in from mergekit's, or None; whether mergekit could write a
    config; its tensors."""
    options = {"seed": case.seed, "doubles": out == "doubles"}
    failed = merge_pins.merge(path, f"{out}/{case.name}", "--no-copy-tokenizer", **options)
    # transformers refuses a config whose number of layers is not that of its list of layer types,
    # which mergekit leaves as it was; the weights are written by then.
    refused = failed and "must be equal to the number of `layer_types`" in failed
    if failed and not refused:
        return f"mergekit: {failed}", False, {}
    want = peers.folder_tensors(f"{out}/{case.name}")
    got = peers.folder_tensors(f"outputs/{case.name}")
    why, counts = merge_compare.difference(want, got, kinds(case)(want))
    for kind, count in counts.items() if not why else ():
        if count.share() <= worst.get(kind, (2, ""))[0]:
            worst[kind] = (count.share(), f"{case.name}: {count}")
    return why, refused, want


def check(case, dice, worst, summed):
    path = pathlib.Path(f"{case.name}.yml")
    path.write_text(case.text(dice))
    code, said = peers.run(peers.VBUILD, "-q", "--seed", case.seed, path)
    shown = f"\n{path.read_text()}"
    overflow = re.search(r":[0-9]+:[0-9]+: (\S+): finite inputs give ", said)
    if code == 1 and overflow:  # refused where mergekit fails, or writes NaN or infinity
        merge_pins.merge(path, f"theirs/{case.name}", "--no-copy-tokenizer", seed=case.seed)
        theirs = peers.folder_tensors(f"theirs/{case.name}").get(overflow.group(1))
        peers.ok(f"{case.name}.refused_as_not_finite", not pathlib.Path(
            f"outputs/{case.name}").exists() and (theirs is None or not theirs.isfinite().all()),
                 f"{said[-400:]}{shown}")
        return
    if code:
        peers.ok(case.name, False, f"vbuild: {code} {said[-600:]}{shown}")
        return
    why, refused, want = nearness(case, path, "theirs", worst)
    if why and want:
        # Where a sum that falls on the other side of a rounding turns a whole tensor, mergekit
        # itself says so: with its sums in double, it must be as near.
        summed.append(f"{case.name}: {why}")
        why, refused, want = nearness(case, path, "doubles", worst)
    why = why or config_differs(case, want, refused)
    peers.ok(case.name, not why, f"{why}{shown}")
    for folder in ("theirs", "doubles", "outputs"):
        shutil.rmtree(f"{folder}/{case.name}", ignore_errors=True)


def other_results_are_seen(paths):
    """The comparison can fail: another seed, another density, another model are not within it."""
    text = {name: f"""merge_method: dare_ties
base_model: {paths['llama'][0]}
models: [{{model: {paths['llama'][1]}}}, {{model: {paths['llama'][tune]}}}]
parameters: {{weight: 0.5, density: {density}}}
dtype: bfloat16
""" for name, tune, density in (("right", 2, 0.5), ("denser", 2, 0.505), ("another", 3, 0.5))}
    for name, yaml in text.items():
        pathlib.Path(f"{name}.yml").write_text(yaml)
    peers.run(peers.VBUILD, "-q", "--seed", "9", "right.yml")
    got = peers.folder_tensors("outputs/right")
    for name, seed, same in (("right", 9, True), ("right", 10, False), ("denser", 9, False),
                             ("another", 9, False)):
        shutil.rmtree("theirs/seen", ignore_errors=True)
        merge_pins.merge(f"{name}.yml", "theirs/seen", seed=seed)
        why, _ = merge_compare.difference(peers.folder_tensors("theirs/seen"), got, lambda n: (
            "global", torch.bfloat16))
        peers.ok(f"seen.{name}.{seed}", (why is None) == same, why)


def main():
    peers.workspace()
    wanted = sys.argv[1:]  # names, or parts of them: of these alone
    summed = []
    dice, worst = random.Random(int(os.environ.get("MERGE_SEED", SEED))), {}
    paths = merge_models.make()
    other_results_are_seen(paths)
    for case in cases(dice, paths):
        text_dice = random.Random(case.seed)
        if not wanted or any(w in case.name for w in wanted):
            check(case, text_dice, worst, summed)
    for said in summed:
        peers.note(f"within its class only of mergekit with sums in double: {said}")
    for kind, (_, said) in sorted(worst.items()):
        peers.note(f"worst of {kind}: {said}")
    peers.finish()


main()
