"""llama.cpp loads vbuild's GGUF files and generates; unquantized, it says what transformers says.

-nr: without it, repacked weights of small models crash on some CPUs, whoever wrote the file.
"""

import re
import shutil
import subprocess

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import peers

BINARY = peers.BIN / "llama-completion"
PROMPT = "def main(self):"
BLOCKS = ("q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k q5_k q6_k iq4_nl iq4_xs tq1_0 tq2_0 mxfp4 nvfp4 "
          "q1_0 q2_0").split()
LLAMAS = ("nano-llama-base", "nano-llama-prose", "nano-llama-python", "nano-qwen2")


def complete(path, *more):
    """Exit code, continuation, and how many tokens followed the first.

    The program leaves its log unflushed at exit, text and figures alike, and so loses the end of
    it now and then: a run whose last figures are missing is run again.
    """
    for _ in range(20):
        done = subprocess.run([str(w) for w in (BINARY, "-m", path, "-no-cnv", "-nr", "--temp", 0,
                                                "-t", 1, "-p", PROMPT, *more)],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=300, check=False)
        said = done.stderr.decode("utf-8", "replace")
        if done.returncode != 0:
            return done.returncode, said[-400:], 0
        if "graphs reused" in said:
            runs = int(re.search(r"perf_print: +eval time =.*?/ *(\d+) runs", said).group(1))
            text = done.stdout.decode("utf-8", "replace")
            return 0, text.replace("[end of text]", "").strip(), runs
    return 0, "its log was lost twenty times", 0


def generate(name, path, tokens=4):
    """A file is loaded and generates that many tokens, none of which ends the text."""
    code, said, runs = complete(path, "-n", tokens, "--ignore-eos")
    peers.ok(f"{name}.generates", code == 0 and runs == tokens - 1,
             f"exit {code}, {runs} runs: {said}")


def expected(folder):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    words = tokenizer(PROMPT, return_tensors="pt")
    out = model.generate(**words, max_new_tokens=12, do_sample=False, pad_token_id=0)
    return tokenizer.decode(out[0], skip_special_tokens=True).strip()


def main():
    scratch = peers.workspace()
    (scratch / "tests").symlink_to(peers.ROOT / "tests")
    (scratch / "recipes").symlink_to(peers.ROOT / "recipes")
    code, said = peers.run(peers.VBUILD, "recipes/demo.lua")
    peers.ok("demo_builds", code == 0, said)
    for size in "SML":
        generate(f"demo-{size}", f"outputs/demo-{size}.gguf")
    peers.synthetic_folders()
    recipe = ["local out = {}", "local six = stack { slice(source 'models/nano-llama-base', 0, 3), "
              "slice(source 'models/nano-llama-python', 1, 4) }", "out.six = gguf { six }",
              "out.demo = gguf { source 'outputs/demo', outtype = 'f32' }"]
    names = ["six", "demo"]
    for folder in [f"models/{n}" for n in LLAMAS] + [f"made/{s}-1" for s in peers.SHAPES]:
        for outtype in ("f32", "f16", "bf16", "q8_0"):
            names.append(f"{folder.split('/')[1]}.{outtype}")
            recipe.append(f"out['{names[-1]}'] = gguf {{ source '{folder}', "
                          f"outtype = '{outtype}' }}")
    for model in ("nano-llama-base", "nano-qwen2"):
        for kind in BLOCKS:
            names.append(f"{model}.all-{kind}")
            recipe.append(f"out['{names[-1]}'] = gguf {{ quantize {{ source 'models/{model}', "
                          f"default = '{kind}', embed = '{kind}' }} }}")
    peers.ok("files_build", peers.build("\n".join(recipe) + "\nreturn out\n"))
    for name in names:
        generate(name, f"outputs/{name}.gguf")
    # The same words from both programs: heads, row order and tokenizer arrive as they were.
    for model in LLAMAS:
        want, got = expected(f"models/{model}"), \
            complete(f"outputs/{model}.f32.gguf", "-n", 12)[1]
        peers.ok(f"{model}.says_what_transformers_says", want == got and len(got) > len(PROMPT),
                 f"{got!r} against {want!r}")
    want, got = expected("outputs/demo"), complete("outputs/demo.gguf", "-n", 12)[1]
    peers.ok("demo.says_what_transformers_says", want == got, f"{got!r} against {want!r}")
    # A damaged file is not loaded: the check can fail.
    shutil.copy("outputs/nano-qwen2.f16.gguf", "cut.gguf")
    with open("cut.gguf", "r+b") as file:
        file.truncate(1_000_000)
    peers.ok("a_cut_file_is_not_loaded", complete("cut.gguf", "-n", 4)[0] != 0)
    peers.finish()


if __name__ == "__main__":
    main()
