"""llama-quantize run on GGUF files: vbuild's files of the same types are equal byte for byte."""

import json
import os
import pathlib
import shutil
import struct

import numpy
import torch
from safetensors.torch import save_file

import peers

# Type -> the plain preset that llama-quantize makes it with.
PRESETS = {
    "q4_0": "Q4_0", "q4_1": "Q4_1", "q5_0": "Q5_0", "q5_1": "Q5_1", "q8_0": "Q8_0",
    "q2_k": "Q2_K", "q3_k": "Q3_K_S", "q4_k": "Q4_K_S", "q5_k": "Q5_K_S", "q6_k": "Q6_K",
    "iq4_nl": "IQ4_NL", "iq4_xs": "IQ4_XS", "tq1_0": "TQ1_0", "tq2_0": "TQ2_0",
    "mxfp4": "MXFP4_MOE", "q1_0": "Q1_0", "q2_0": "Q2_0",
}
NARROW = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "iq4_nl", "mxfp4")  # blocks of 32
DEMO = {
    "S": ("Q4_K_S", dict(attn="q4_k", ffn_up="q4_k", ffn_gate="q3_k", ffn_down=("q4_k", "q6_k"))),
    "M": ("Q4_K_S", dict(attn="q4_k", attn_v="q6_k", ffn_up="q4_k", ffn_gate="q4_k",
                         ffn_down=("q4_k", "q6_k"))),
    "L": ("Q6_K", dict(attn="q6_k", ffn="q6_k")),
}


def quantize(source, out, preset, *options):
    code, said = peers.run(peers.BIN / "llama-quantize", *options, source, out, preset, 1)
    return "" if code == 0 else f"exit {code}: {said[-400:]}"


def hard_model(folder):
    """An F32 llama whose rows are what quantizers find hard: nothing, one spike, ties, extremes."""
    config = json.loads(pathlib.Path("models/nano-llama-base/config.json").read_text())
    config.update(num_hidden_layers=1, torch_dtype="float32")
    torch.manual_seed(7)
    step = torch.arange(256, dtype=torch.float32)

    def tensor(rows):
        t = torch.randn(rows, 256) * torch.rand(rows, 1) * 0.1
        t[0] = 0
        t[1] = 0.25
        t[2] = -0.25
        t[3] = 0
        t[3, 100] = -3.0
        t[4] = torch.where(step % 2 == 0, 1.0, -1.0)
        t[5] = t[5] * 1e-30
        t[6] = step * 1e-42
        t[7] = t[7] * 1e5
        t[8] = (step - 128) / 127
        t[9] = (step % 16 - 8) + 0.5
        t[10, :32] = 0
        t[11] = t[11].abs()
        t[12] = -t[12].abs()
        t[13] = torch.sign(t[13]) * torch.exp(torch.randn(256) * 4)
        t[14] = -0.0
        t[15] = t[15] + 10
        return t.clamp(-5e4, 5e4)  # more would not fit the blocks' scales, which both refuse

    out = {"model.embed_tokens.weight": tensor(512), "model.norm.weight": torch.ones(256)}
    for name, rows in (("self_attn.q_proj", 256), ("self_attn.k_proj", 128),
                       ("self_attn.v_proj", 128), ("self_attn.o_proj", 256), ("mlp.gate_proj", 256),
                       ("mlp.up_proj", 256), ("mlp.down_proj", 256)):
        out[f"model.layers.0.{name}.weight"] = tensor(rows)
    for name in ("input_layernorm", "post_attention_layernorm"):
        out[f"model.layers.0.{name}.weight"] = torch.ones(256)
    os.makedirs(folder)
    save_file(out, f"{folder}/model.safetensors", metadata={"format": "pt"})
    pathlib.Path(folder, "config.json").write_text(json.dumps(config))
    for file in ("tokenizer.json", "tokenizer_config.json"):
        os.symlink(peers.ROOT / "tests/models/nano-llama-base" / file, f"{folder}/{file}")


def sources():
    """GGUF files to quantize: name -> types that its rows divide into."""
    hard_model("hard")
    files = {}
    recipe = ["local out = {}"]
    for folder, outtypes in (("models/nano-llama-base", ("f32", "f16", "bf16")),
                             ("models/nano-qwen2", ("f16", "bf16")), ("hard", ("f32",)),
                             ("made/llama-narrow-1", ("bf16",)),
                             ("made/mistral-heads-1", ("bf16",)), ("made/qwen2-untied-1", ("f16",)),
                             ("made/qwen3-norms-1", ("bf16",))):
        for outtype in outtypes:
            name = f"{folder.split('/')[-1]}.{outtype}"
            files[name] = NARROW if "narrow" in name else tuple(PRESETS)
            recipe.append(f"out['{name}'] = gguf {{ source '{folder}', outtype = '{outtype}' }}")
    peers.ok("sources_build", peers.build("\n".join(recipe) + "\nreturn out\n", "-o", "src"))
    return files


def check_pure(files):
    recipe = ["local out = {}"]
    for name, kinds in files.items():
        for kind in kinds:
            recipe.append(f"out['{name}.{kind}'] = gguf {{ quantize {{ source 'src/{name}.gguf', "
                          f"default = '{kind}' }} }}")
    # From the folder itself the blocks are those of its file in the source's own type.
    for kind in PRESETS:
        recipe.append(f"out['folder.{kind}'] = gguf {{ quantize {{ "
                      f"source 'models/nano-llama-base', default = '{kind}' }} }}")
    peers.ok("pure_recipe_builds", peers.build("\n".join(recipe) + "\nreturn out\n"))
    for name, kinds in files.items():
        for kind in kinds:
            theirs = f"theirs/{name}.{kind}.gguf"
            said = quantize(f"src/{name}.gguf", theirs, PRESETS[kind], "--pure")
            if peers.ok(f"{name}.{kind}.llama_quantize_runs", not said, said):
                peers.same_tensors(f"{name}.{kind}.tensors", theirs, f"outputs/{name}.{kind}.gguf")
                peers.same_file(f"{name}.{kind}.file", theirs, f"outputs/{name}.{kind}.gguf")
    for kind in PRESETS:
        peers.same_file(f"folder.{kind}.file", f"theirs/nano-llama-base.bf16.{kind}.gguf",
                        f"outputs/folder.{kind}.gguf")


def check_nvfp4():
    """A type without a preset: only --tensor-type makes it, so that file_type is another."""
    peers.build("return { nvfp4 = gguf { quantize { source 'src/nano-llama-base.bf16.gguf', "
                "default = 'nvfp4' } }, hard = gguf { quantize { source 'src/hard.f32.gguf', "
                "default = 'nvfp4' } } }\n")
    for source, mine in (("nano-llama-base.bf16", "nvfp4"), ("hard.f32", "hard")):
        said = quantize(f"src/{source}.gguf", "theirs/nvfp4.gguf", "Q8_0", "--pure",
                        "--token-embedding-type", "nvfp4", "--tensor-type", ".*=nvfp4")
        if peers.ok(f"{source}.nvfp4.llama_quantize_runs", not said, said):
            peers.same_tensors(f"{source}.nvfp4.tensors", "theirs/nvfp4.gguf",
                               f"outputs/{mine}.gguf")


def patterns(roles, layers):
    """llama-quantize's options for the types of one size of the demo; first match wins."""
    out = []
    for role, kind in sorted(roles.items(), key=lambda item: item[0] in ("attn", "ffn")):
        if isinstance(kind, str):
            name = {"attn": "attn_", "ffn": "ffn_"}.get(role, role + r"\.")
            out += ["--tensor-type", f"{name}={kind}"]
            continue
        for i in range(layers):
            edge = i < layers // 8 or i >= 7 * layers // 8 or (i - layers // 8) % 3 == 2
            out += ["--tensor-type", rf"blk\.{i}\.{role}={kind[edge]}"]
    return out


def check_demo(scratch):
    """The sizes of the demo are what llama-quantize makes of its model with the same choices."""
    (scratch / "tests").symlink_to(peers.ROOT / "tests")
    (scratch / "recipes").symlink_to(peers.ROOT / "recipes")
    code, said = peers.run(peers.VBUILD, "recipes/demo.lua")
    peers.ok("demo_builds", code == 0, said)
    peers.build("return { demo = gguf { source 'outputs/demo', title = 'x' } }\n", "-o", "src")
    for size, (preset, roles) in DEMO.items():
        theirs = f"theirs/demo-{size}.gguf"
        said = quantize("src/demo.gguf", theirs, preset, "--token-embedding-type", "q8_0",
                        *patterns(roles, 4))
        if peers.ok(f"demo-{size}.llama_quantize_runs", not said, said):
            peers.same_tensors(f"demo-{size}.tensors", theirs, f"outputs/demo-{size}.gguf")
    # With the same source for both, the files are equal too.
    peers.build("""
local m = source "src/demo.gguf"
local S = types { embed = "q8_0", attn = "q4_k", ffn_up = "q4_k", ffn_gate = "q3_k",
  ffn_down = edges("q4_k", "q6_k") }
local M = with(S, { attn_v = "q6_k", ffn_gate = "q4_k" })
return { ["same-S"] = gguf { quantize { m, S } }, ["same-M"] = gguf { quantize { m, M } },
  ["same-L"] = gguf { quantize { m, with(M, { attn = "q6_k", ffn = "q6_k" }) } } }
""")
    for size in DEMO:
        peers.same_file(f"demo-{size}.file", f"theirs/demo-{size}.gguf",
                        f"outputs/same-{size}.gguf")


def check_split():
    """Files of gguf-split are read as the file they were made of."""
    recipe = ["local out = {}"]
    names = ("nano-llama-base.f16", "nano-qwen2.bf16", "qwen2-untied-1.f16")
    for name in names:
        for way, options in (("eight", ("--split-max-tensors", 8)),
                             ("sized", ("--split-max-size", "1M"))):
            code, said = peers.run(peers.BIN / "llama-gguf-split", "--split", *options,
                                   f"src/{name}.gguf", f"{way}-{name}")
            first = sorted(pathlib.Path(".").glob(f"{way}-{name}-00001-of-*.gguf"))
            if peers.ok(f"{way}-{name}.gguf_split_runs", code == 0 and len(first) == 1,
                        said[-300:]):
                recipe.append(f"out['{way}-{name}'] = gguf {{ source '{first[0]}' }}")
    peers.build("\n".join(recipe) + "\nreturn out\n")
    for name in names:
        for way in ("eight", "sized"):
            peers.same_file(f"{way}-{name}.is_the_file_before_the_split", f"src/{name}.gguf",
                            f"outputs/{way}-{name}.gguf")


def write_imatrix(path, seed):
    """A legacy imatrix of every matrix of nano-llama-base but two."""
    rng = numpy.random.default_rng(seed)
    entries = []
    for name, (_, shape, _) in peers.gguf_tensors("src/nano-llama-base.bf16.gguf").items():
        if len(shape) > 1 and name not in ("token_embd.weight", "blk.1.ffn_up.weight"):
            entries.append((name.encode(), rng.gamma(0.5, 4.0, shape[0]).astype("<f4")))
    with open(path, "wb") as file:
        file.write(struct.pack("<i", len(entries)))
        for name, values in entries:
            file.write(struct.pack("<i", len(name)) + name + struct.pack("<ii", 3, len(values)))
            file.write((values * 3).astype("<f4").tobytes())
        file.write(struct.pack("<ii", 11, 9) + b"calib.txt")


# Command lines of llama-quantize: options, model, the words after the output.
LLAMA, QWEN = "src/nano-llama-base.bf16.gguf", "src/nano-qwen2.f16.gguf"
LINES = {
    "plain": ([], LLAMA, ["q4_k_m"]),
    "number": ([], LLAMA, ["17", "2"]),
    "alias": ([], QWEN, ["Q3_k", "0"]),
    "copy": ([], LLAMA, ["copy", "-3"]),
    "f32": (["--pure"], QWEN, ["F32"]),
    "bf16_patterns": (["--tensor-type", "attn_v=q8_0"], LLAMA, ["BF16"]),
    "pure_patterns": (["--pure", "--tensor-type", "attn_[qk]=q5_1", "--tensor-type", "attn_=q6_K"],
                      LLAMA, ["Q4_K_S"]),
    "upper_pattern": (["--tensor-type", "ATTN_V=Q8_0", "--tensor-type", r"blk\.\D\.ffn_up=f16"],
                      LLAMA, ["Q5_K_M"]),
    "dead_pattern": (["--tensor-type", "nothing=q8_0"], QWEN, ["IQ4_NL"]),
    "head": (["--output-tensor-type", "Q5_0", "--token-embedding-type", "iq4_nl"], QWEN,
             ["Q4_K_M"]),
    "leave": (["--leave-output-tensor"], LLAMA, ["Q6_K"]),
    "leave_tied": (["--leave-output-tensor"], QWEN, ["Q6_K"]),
    "leave_and_type": (["--output-tensor-type", "q8_0", "--leave-output-tensor"], LLAMA,
                       ["Q4_K_M"]),
    "head_of_copy": (["--output-tensor-type", "q8_0", "--pure"], LLAMA, ["COPY"]),
    "file": (["--tensor-type-file", "types.txt"], LLAMA, ["Q4_K_M"]),
    "prune": (["--prune-layers", "2,0", "--tensor-type", r"blk\.1\.=q8_0"], LLAMA, ["Q4_K_M"]),
    "prune_again": (["--prune-layers", "1", "--prune-layers", " 3x,1"], LLAMA, ["Q3_K_L"]),
    "prune_none": (["--prune-layers", "77"], QWEN, ["Q5_K_S"]),
    "kv": (["--override-kv", "general.name=str:a \"b\" \\ c", "--override-kv", "x.i=int:-9",
            "--override-kv", "x.f=float:1e-3", "--override-kv", "x.g=float:7", "--override-kv",
            "x.b=bool:true", "--override-kv", "x.i=int: 12cm"], LLAMA, ["Q4_0"]),
    "kv_heads": (["--override-kv", "llama.attention.head_count_kv=int:1"], LLAMA, ["Q2_K"]),
    "leave_and_type_untied": (["--output-tensor-type", "q8_0", "--leave-output-tensor"],
                              "src/made.gguf", ["Q4_K_M"]),
    "imatrix": (["--imatrix", "im.dat"], LLAMA, ["Q4_K_M"]),
    "imatrix_path": (["--imatrix", "./deep/../im.dat"], LLAMA, ["IQ4_XS"]),
    "imatrix_include": (["--imatrix", "im.dat", "--include-weights", "attn_", "--include-weights",
                         "output"], LLAMA, ["Q3_K_M"]),
    "imatrix_exclude": (["--imatrix", "im.dat", "--exclude-weights", "ffn", "--exclude-weights",
                         "blk.0"], LLAMA, ["Q2_K"]),
    "imatrix_none_left": (["--imatrix", "im.dat", "--include-weights", "zzz"], LLAMA, ["Q4_K_M"]),
    "imatrix_all": (["--imatrix", "im.dat", "--include-weights", ""], LLAMA, ["Q5_K_M"]),
    "imatrix_prune": (["--imatrix", "im.dat", "--prune-layers", "0"], LLAMA, ["Q4_K_M"]),
    "imatrix_small": (["--imatrix", "im.dat"], LLAMA, ["Q8_0"]),
    "filters_alone": (["--include-weights", "attn_"], QWEN, ["Q4_1"]),
    "buffer": (["--max-buffer-size", "1"], LLAMA, ["Q4_K_M"]),
    "ignored_words": ([], QWEN, ["Q4_K_M", "2", "what", "--pure"]),
    "moe": (["--pure"], "src/made.gguf", ["MXFP4_MOE"]),
}
# Command lines that llama-quantize refuses, or that it may not.
MISUSE = (
    (), ("IN",), ("--pure",), ("IN", "out.gguf"), ("IN", "out.gguf", "Q4_Z"),
    ("IN", "out.gguf", "Q4_K_M", "x"), ("IN", "out.gguf", "Q4_K_M", "99999999999"),
    ("IN", "out.gguf", "Q4_K_M", "--pure"), ("--nothing", "IN", "out.gguf", "Q4_K_M"),
    ("--imatrix",), ("--imatrix", "nowhere", "IN", "out.gguf", "Q4_K_M"),
    ("--tensor-type", "a", "IN", "out.gguf", "Q4_K_M"),
    ("--tensor-type", "a=q9", "IN", "out.gguf", "Q4_K_M"),
    ("--tensor-type", "a=", "IN", "out.gguf", "Q4_K_M"),
    ("--tensor-type-file", "nowhere", "IN", "out.gguf", "Q4_K_M"),
    ("--output-tensor-type", "q9", "IN", "out.gguf", "Q4_K_M"),
    ("--prune-layers", "x", "IN", "out.gguf", "Q4_K_M"),
    ("--prune-layers", "1,", "IN", "out.gguf", "Q4_K_M"),
    ("--override-kv", "a", "IN", "out.gguf", "Q4_K_M"),
    ("--override-kv", "a=bool:no", "IN", "out.gguf", "Q4_K_M"),
    ("--include-weights", "a", "--exclude-weights", "b", "IN", "out.gguf", "Q4_K_M"),
    ("--max-buffer-size", "0", "IN", "out.gguf", "Q4_K_M"),
    ("nowhere.gguf", "out.gguf", "Q4_K_M"), ("im.dat", "out.gguf", "Q4_K_M"),
    ("IN", "IN", "Q4_K_M"), ("IN", "link.gguf", "Q4_K_M"), ("IN", "no/where.gguf", "Q4_K_M"),
    ("IN", "out.gguf", "Q2_K_S"), ("quantized.gguf", "out.gguf", "Q5_K_M"),
    ("--dry-run", "IN", "Q2_K_S"), ("--dry-run", "quantized.gguf", "Q5_K_M"),
    ("--dry-run", "IN", "IN", "Q4_K_M"), ("--allow-requantize", "quantized.gguf", "o.gguf", "15"),
    ("--", "IN", "out.gguf", "Q4_K_M"), ("IN", "7b.gguf", "Q4_K_M"),
)


def check_command_lines():
    """vbuild quantize takes llama-quantize's words: the same files, the same exit codes."""
    write_imatrix("im.dat", 5)
    os.makedirs("deep")
    pathlib.Path("types.txt").write_text("attn_v=q8_0\n\tffn_(up|gate)=q5_K  token=q4_0\n")
    pathlib.Path("link.gguf").symlink_to(LLAMA)
    peers.build("return { made = gguf { source 'made/mistral-heads-1', outtype = 'bf16' } }\n",
                "-o", "src")
    for name, (options, source, words) in LINES.items():
        theirs, _ = peers.run(peers.BIN / "llama-quantize", *options, source,
                              f"theirs/{name}.gguf", *words)
        code, said = peers.run(peers.VBUILD, "quantize", *options, source, f"deep/{name}.gguf",
                               *words)
        peers.ok(f"line.{name}.exit", theirs == 0 == code, f"{theirs} and {code}: {said[-400:]}")
        peers.same_file(f"line.{name}.file", f"theirs/{name}.gguf", f"deep/{name}.gguf")
    quantize(LLAMA, "quantized.gguf", "Q4_K_M")
    for line in MISUSE:
        words = [LLAMA if word == "IN" else word for word in line]
        theirs, _ = peers.run(peers.BIN / "llama-quantize", *words)
        pathlib.Path("out.gguf").unlink(missing_ok=True)
        code, said = peers.run(peers.VBUILD, "quantize", *words)
        peers.ok(f"misuse.{' '.join(line) or 'nothing'}", theirs == code,
                 f"{theirs} and {code}: {said[-300:]}")
    # Where it writes unasked.
    for word in ("q5_k_m", "15", "Q3_K", "0", "32"):
        mine, out = pathlib.Path("mine"), pathlib.Path("yours")
        for folder in (mine, out):
            folder.mkdir()
            (folder / "in.gguf").symlink_to(pathlib.Path(LLAMA).resolve())
        peers.run(peers.BIN / "llama-quantize", "yours/in.gguf", word)
        peers.run(peers.VBUILD, "quantize", "mine/in.gguf", word)
        names = sorted(os.listdir(mine)), sorted(os.listdir(out))
        peers.ok(f"default_output.{word}", names[0] == names[1] and len(names[0]) == 2, names)
        for folder in (mine, out):
            shutil.rmtree(folder)


def main():
    scratch = peers.workspace()
    pathlib.Path("theirs").mkdir()
    peers.synthetic_folders()
    files = sources()
    check_pure(files)
    check_nvfp4()
    check_demo(scratch)
    check_split()
    check_command_lines()
    # One flipped bit in a block is found: the comparison can fail.
    path = pathlib.Path("outputs/nano-llama-base.f16.q4_k.gguf")
    flipped = bytearray(path.read_bytes())
    flipped[-200] ^= 1
    pathlib.Path("flipped.gguf").write_bytes(flipped)
    peers.ok("a_flipped_bit_is_found",
             peers.gguf_tensors(path) != peers.gguf_tensors("flipped.gguf"))
    peers.finish()


main()
