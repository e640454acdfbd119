"""llama-quantize --keep-split run on split GGUF files: vbuild's shards are equal byte for byte."""

import pathlib

import peers

# How a source of thirteen layers is split, the preset, llama-quantize's options, and the same in
# words. The order of names in the source (1, 10, 11, 12, 2, ...) is not that of layers.
KEPT = (
    ("tensors", "Q4_K_M", (), ""),
    ("tensors", "Q3_K_L", (), ""),
    ("tensors", "Q5_K_M", ("--output-tensor-type", "q8_0"), "output = 'q8_0'"),
    ("tensors", "Q4_K_S", ("--prune-layers", "0,3,7"), "prune = { 0, 3, 7 }"),
    ("tensors", "COPY", (), ""),
    ("sized", "Q3_K_M", (), ""),
    ("sized", "Q4_K_M", ("--pure",), "pure = true"),
    ("empty", "Q6_K", (), ""),
    ("empty", "Q2_K", ("--prune-layers", "2"), "prune = { 2 }"),
)
SPLITS = {"tensors": ("--split-max-tensors", 40), "sized": ("--split-max-size", "1M"),
          "empty": ("--no-tensor-first-split", "--split-max-tensors", 50)}
CHANGES = {"num_hidden_layers = 2": "num_hidden_layers = 13",
           "num_hidden_layers = 3": "num_hidden_layers = 13",
           "hidden_size = 96": "hidden_size = 256",
           "intermediate_size = 160": "intermediate_size = 256",
           "head_dim = 32": "head_dim = 64", "num_attention_heads = 3": "num_attention_heads = 4"}
NAMES = ("long-llama", "long-qwen3")


def sources():
    """Thirteen layers of two architectures, split in each way: (name, way) -> first shard."""
    recipe = ["local out = {}"]
    for shape in ("llama-narrow", "qwen3-norms"):
        kind, config = peers.SHAPES[shape]
        for was, now in CHANGES.items():
            config = config.replace(was, now)
        recipe.append(f"out['long-{kind}'] = gguf {{ synthetic {{ seed = 3, config = {{ "
                      f"model_type = '{kind}', {config} }} }} }}")
    peers.ok("sources_build", peers.build("\n".join(recipe) + "\nreturn out\n", "-o", "src"))
    firsts = {}
    for name in NAMES:
        for way, options in SPLITS.items():
            code, said = peers.run(peers.BIN / "llama-gguf-split", "--split", *options,
                                   f"src/{name}.gguf", f"src/{name}-{way}")
            found = sorted(pathlib.Path("src").glob(f"{name}-{way}-00001-of-*.gguf"))
            if peers.ok(f"{name}-{way}.gguf_split_runs", code == 0 and len(found) == 1,
                        said[-300:]):
                firsts[name, way] = found[0]
    return firsts


def cases(firsts):
    """Builds all cases; (case, source, preset, llama-quantize's options) of each."""
    found, recipe = [], ["local out, m = {}"]
    for (name, way), first in firsts.items():
        recipe.append(f"m = source '{first}'")
        recipe.append(f"out['{name}-{way}.same'] = gguf {{ m, keep_split = true }}")
        for at, (how, preset, options, words) in enumerate(KEPT):
            if how == way:
                case = f"{name}-{way}.{at}.{preset}"
                found.append((case, first, preset, options))
                recipe.append(f"out['{case}'] = gguf {{ quantize {{ m, '{preset}'"
                              f"{words and ', ' + words} }}, keep_split = true }}")
    for name in NAMES:  # a file that is not split becomes one shard
        found.append((f"{name}.whole", f"src/{name}.gguf", "Q4_K_M", ()))
        recipe.append(f"out['{name}.whole'] = gguf {{ quantize {{ source 'src/{name}.gguf', "
                      "'Q4_K_M', as = 'llama-quantize' }, keep_split = true }")
    peers.ok("kept_shards_build", peers.build("\n".join(recipe) + "\nreturn out\n"))
    return found


def main():
    peers.workspace()
    pathlib.Path("theirs").mkdir()
    firsts = sources()
    for case, first, preset, options in cases(firsts):
        code, said = peers.run(peers.BIN / "llama-quantize", "--keep-split", *options, first,
                               f"theirs/{case}", preset, 1)
        shards = sorted(pathlib.Path("theirs").glob(f"{case}-*.gguf"))
        if peers.ok(f"{case}.llama_quantize_runs", code == 0 and shards, said[-400:]):
            mine = sorted(path.name for path in pathlib.Path("outputs").glob(f"{case}-*.gguf"))
            peers.ok(f"{case}.has_these_shards", mine == [path.name for path in shards], mine)
            for shard in shards:
                peers.same_file(shard.stem, shard, f"outputs/{shard.name}")
    # Not quantized, a shard is what llama-gguf-split wrote.
    for name, way in firsts:
        for shard in sorted(pathlib.Path("src").glob(f"{name}-{way}-*.gguf")):
            which = shard.name[len(f"{name}-{way}"):]
            peers.same_file(f"{shard.stem}.is_itself", shard, f"outputs/{name}-{way}.same{which}")
    # The peer reads vbuild's shards as one model again.
    for name in NAMES:
        first = next(pathlib.Path("outputs").glob(f"{name}-sized.5.*-00001-of-*.gguf"))
        code, said = peers.run(peers.BIN / "llama-gguf-split", "--merge", first,
                               f"theirs/{name}.merged.gguf")
        peers.ok(f"{name}.gguf_split_merges_them", code == 0, said[-300:])
    peers.finish()


main()
