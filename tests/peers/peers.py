"""What the checks against real peers share: a workspace, vbuild, tensors of files, and totals."""

import atexit
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
VBUILD = os.environ["VBUILD"]
BIN = pathlib.Path(os.environ["PEER_BIN"])
SOURCE = pathlib.Path(os.environ["PEER_SOURCE"])
VENV = pathlib.Path(os.environ["PEER_VENV"])
WEIGHTS = pathlib.Path(os.environ["PEER_WEIGHTS"])

_counts = {True: 0, False: 0}


def workspace():
    """A scratch folder that is the present one, with the trained models as models/."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="vbuild-peers-"))
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    os.environ["HOME"] = str(scratch / "home")
    for name in ("VBUILD_CACHE", "VBUILD_ISA", "VBUILD_MEM", "VBUILD_JOBS"):
        os.environ.pop(name, None)
    os.chdir(scratch)
    pathlib.Path("build.lua").write_text("return {}\n")
    pathlib.Path("models").symlink_to(ROOT / "tests/models")
    return scratch


def ok(name, passed, why=""):
    """One line of the report; `why` is shown when the check failed."""
    passed = bool(passed)
    _counts[passed] += 1
    print(f"ok {name}" if passed else f"FAIL {name}: {why}", flush=True)
    return passed


def note(text):
    print(f"note: {text}", flush=True)


def finish():
    print(f"{_counts[True]} passed, {_counts[False]} failed")
    sys.exit(1 if _counts[False] else 0)


def run(*words, **more):
    """A program's exit code and what it said; one that hangs counts as failed."""
    done = subprocess.run([str(w) for w in words], stdin=subprocess.DEVNULL, timeout=600,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def build(recipe, *options):
    """Builds a recipe given as text; a recipe that fails is a failed check."""
    pathlib.Path("recipe.lua").write_text(recipe)
    code, said = run(VBUILD, *options, "recipe.lua")
    if code != 0:
        ok("vbuild builds the recipe", False, f"exit {code}: {said[-800:]}")
    return code == 0


def same_file(name, want, got):
    """Two files are equal byte for byte; else says where they part."""
    try:
        a, b = pathlib.Path(want).read_bytes(), pathlib.Path(got).read_bytes()
    except OSError as error:
        return ok(name, False, error)
    if a == b:
        return ok(name, True)
    short = min(len(a), len(b))
    x, y = numpy.frombuffer(a[:short], "u1"), numpy.frombuffer(b[:short], "u1")
    parts = numpy.nonzero(x != y)[0]
    where = int(parts[0]) if len(parts) else short
    return ok(name, False, f"{len(a)} and {len(b)} bytes, from byte {where}: "
              f"{a[where - 16:where + 24]!r} against {b[where - 16:where + 24]!r}")


def folder_tensors(folder):
    """Name -> torch tensor of a Hugging Face folder, by the official reader."""
    from safetensors.torch import load_file
    out = {}
    for path in sorted(pathlib.Path(folder).glob("*.safetensors")):
        out.update(load_file(path))
    return out


def gguf_tensors(path):
    """Name -> (type name, shape, bytes) of a GGUF file, by llama.cpp's own reader."""
    if str(SOURCE / "gguf-py") not in sys.path:
        sys.path.insert(1, str(SOURCE / "gguf-py"))  # it knows types that the package lacks
    from gguf import GGUFReader
    return {t.name: (t.tensor_type.name, tuple(int(n) for n in t.shape), t.data.tobytes())
            for t in GGUFReader(path).tensors}


def same_tensors(name, want, got):
    """Two GGUF files hold the same tensors in the same order; else names the first others."""
    a, b = gguf_tensors(want), gguf_tensors(got)
    wrong = [n for n in sorted(a.keys() | b.keys()) if a.get(n) != b.get(n)]
    if not wrong and list(a) == list(b):
        return ok(name, True)
    said = []
    for n in wrong[:4]:
        x, y = a.get(n), b.get(n)
        if x is None or y is None or x[:2] != y[:2]:
            said.append(f"{n}: {x and x[:2]} against {y and y[:2]}")
        else:
            p, q = numpy.frombuffer(x[2], "u1"), numpy.frombuffer(y[2], "u1")
            said.append(f"{n} {x[0]}: {int((p != q).sum())} of {len(p)} bytes differ")
    return ok(name, False, f"{len(wrong)} of {len(a)} tensors: {'; '.join(said) or 'order'}")


# Shapes beside the trained models: name -> (architecture, config), made by `synthetic`.
_common = ("torch_dtype = 'bfloat16', max_position_embeddings = 512, rms_norm_eps = 1e-5, "
           "hidden_act = 'silu', bos_token_id = 0, eos_token_id = 0, ")
SHAPES = {
    "llama-narrow": ("llama", _common + "architectures = { 'LlamaForCausalLM' }, vocab_size = 512, "
                     "hidden_size = 96, intermediate_size = 160, num_hidden_layers = 3, "
                     "num_attention_heads = 3, num_key_value_heads = 1, head_dim = 32, "
                     "rope_theta = 500000.0, tie_word_embeddings = false"),
    "mistral-heads": ("mistral", _common + "architectures = { 'MistralForCausalLM' }, "
                      "vocab_size = 512, hidden_size = 256, intermediate_size = 512, "
                      "num_hidden_layers = 3, num_attention_heads = 4, num_key_value_heads = 2, "
                      "head_dim = 128, rope_theta = 1000000.0, tie_word_embeddings = false"),
    "qwen2-untied": ("qwen2", _common + "architectures = { 'Qwen2ForCausalLM' }, "
                     "vocab_size = 512, hidden_size = 256, intermediate_size = 768, "
                     "num_hidden_layers = 2, num_attention_heads = 4, num_key_value_heads = 1, "
                     "rope_theta = 10000.0, tie_word_embeddings = false"),
    "qwen3-norms": ("qwen3", _common + "architectures = { 'Qwen3ForCausalLM' }, "
                    "vocab_size = 512, hidden_size = 256, intermediate_size = 256, "
                    "num_hidden_layers = 2, num_attention_heads = 4, num_key_value_heads = 2, "
                    "head_dim = 64, rope_theta = 1000000.0, tie_word_embeddings = true"),
}


def synthetic_folders():
    """Two seeds of each shape as folders made/NAME-1 and made/NAME-2, with a tokenizer."""
    lines = ["local out = {}"]
    for name, (kind, config) in SHAPES.items():
        for seed in (1, 2):
            lines.append(f"out['{name}-{seed}'] = safetensors {{ synthetic {{ seed = {seed}, "
                         f"config = {{ model_type = '{kind}', {config} }} }}, "
                         f"name = '{name}-{seed}' }}")
    lines.append("return out")
    build("\n".join(lines) + "\n", "-o", "made")
    for name in SHAPES:
        for seed in (1, 2):
            for file in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(f"models/nano-llama-base/{file}", f"made/{name}-{seed}/{file}")
