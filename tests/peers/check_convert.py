"""convert_hf_to_gguf run on small models: vbuild's files are equal byte for byte.

The reference knows a tokenizer's pre-tokenizer by a hash of published vocabularies; those of the
small models are in no table, so the name is given here while it runs. All else is its own code.
"""

import contextlib
import io
import logging
import pathlib
import shutil
import sys

import peers

sys.path.insert(1, str(peers.SOURCE))
sys.argv = ["convert_hf_to_gguf.py"]
import convert_hf_to_gguf as reference  # noqa: E402
from conversion import base  # noqa: E402

TYPES = ("f32", "f16", "bf16", "q8_0", "auto")
PRE = "gpt-2"  # of both tokenizers in tests/models


def convert(folder, outtype, file):
    """The reference's own main() on one folder; what it raised, or nothing."""
    said = io.StringIO()
    sys.argv = ["convert_hf_to_gguf.py", str(folder), "--outtype", outtype, "--outfile", str(file)]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            reference.main()
    except (Exception, SystemExit) as error:
        return f"{error!r} {said.getvalue()[-300:]}"
    return ""


def as_type(name, to):
    return f"cast {{ source 'models/{name}', to = '{to}' }}"


# Folders that vbuild writes first: other source types, layers moved about, shards, a title.
MADE = {
    "float32-source": f"safetensors {{ {as_type('nano-llama-prose', 'f32')} }}",
    "float16-source": f"safetensors {{ {as_type('nano-qwen2', 'f16')} }}",
    "Six-Layers-3B-Instruct-v2":
        "safetensors { stack { slice(source 'models/nano-llama-base', 0, 3), "
        "slice(source 'models/nano-llama-python', 1, 4) } }",
    "shards": "safetensors { source 'models/nano-llama-python', shard = '700KB' }",
}


def main():
    scratch = peers.workspace()
    logging.disable(logging.WARNING)
    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: PRE
    peers.synthetic_folders()
    peers.build("return {\n" + "".join(f"  ['{n}'] = {e},\n" for n, e in MADE.items()) + "}\n",
                "-o", "made")
    folders = sorted(p for p in pathlib.Path("made").iterdir() if p.is_dir() and
                     not p.name.endswith("-2"))
    folders += sorted(pathlib.Path("models").iterdir())
    recipe = ["local out = {}"]
    for folder in folders:
        for outtype in TYPES:
            recipe.append(f"out['{folder.name}.{outtype}'] = gguf {{ source '{folder}', "
                          f"outtype = '{outtype}' }}")
    peers.ok("recipe_builds", peers.build("\n".join(recipe) + "\nreturn out\n"))
    theirs = scratch / "theirs"
    theirs.mkdir()
    for folder in folders:
        for outtype in TYPES:
            name = f"{folder.name}.{outtype}"
            said = convert(folder, outtype, theirs / f"{name}.gguf")
            if peers.ok(f"{name}.reference_runs", not said, said):
                peers.same_file(f"{name}.file", theirs / f"{name}.gguf", f"outputs/{name}.gguf")
    # A pre-tokenizer of another name would be another file: the comparison can fail.
    base.TextModel.get_vocab_base_pre = lambda self, tokenizer: "llama-bpe"
    said = convert("models/nano-qwen2", "f16", theirs / "other.gguf")
    other = pathlib.Path(theirs / "other.gguf")
    peers.ok("another_name_is_another_file", not said and other.read_bytes() !=
             pathlib.Path("outputs/nano-qwen2.f16.gguf").read_bytes(), said)
    shutil.rmtree(theirs)
    peers.finish()


main()
