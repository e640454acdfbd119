"""mergekit's files by its own command line: the three ways to run one file give the same bytes, and
every option is taken, refused and obeyed as there.
"""

import pathlib
import random
import re
import shutil

import click
import merge_models
import merge_pins
import yaml
from merge_cases import PARAMETERS, Maker
from merge_compare import folders_differ
from mergekit.scripts.run_yaml import main as mergekit_yaml

import peers

LLAMA, ONE, TWO = (f"checkpoints/llama-{n}" for n in ("base", "one", "two"))
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
    lua = [line for line in runs[2][1].splitlines() if not line.startswith("warning: ")]
    pathlib.Path(f"{name}.lua").write_text("\n".join(lua))
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


# ---- options ------------------------------------------------------------------------------------

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
        if "shard" not in name:  # shards are filled in another order there
            peers.ok(f"{name}.same_files", a == b, f"{a} {b}")
        peers.ok(f"{name}.sharded_alike", (len(a) > 3) == (len(b) > 3) and
                 ("model.safetensors.index.json" in a) == ("model.safetensors.index.json" in b))
        peers.ok(f"{name}.same_tensors", not folders_differ(f"theirs/{name}", f"dropin/{name}"))
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
             not folders_differ("theirs/longer", "dropin/longer"), f"{said} {failed}")
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
                 not folders_differ(f"theirs/{name}", f"dropin/{name}1"))


def main():
    peers.workspace()
    maker = Maker(random.Random(77), merge_models.make())
    merge_models.misfits(peers.folder_tensors(ONE))
    families = list(merge_models.FAMILIES)
    for number, method in enumerate(PARAMETERS):
        case = maker.make(0, method, families[number % len(families)])
        three_ways(case, yaml.safe_dump(case.config, sort_keys=False, default_flow_style=None))
    pathlib.Path("pair.yml").write_text(f"merge_method: linear\n{PAIR}{WEIGHED}dtype: bfloat16\n")
    every_option()
    wrong_words()
    effects()
    peers.finish()


main()
