"""llama-quantize's options beside the words of quantize: patterns, prune, override, COPY."""

import itertools
import pathlib
import struct

import numpy

import peers

TYPES = {"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 8}
KINDS = {"u32": (4, "<I"), "f32": (6, "<f"), "str": (8, None), "u64": (10, "<Q")}

# Found, or not, as std::regex finds them: only what both take.
REGEXES = [
    "attn_v", "attn", ".", "^blk", "^attn", "weight$", "attn$", r"blk\.1\.", "blk.1.", "attn_(k|v)",
    "ffn_(up|down)$", "ffn_(up|down).weight", "[a-c]lk", "[^a-z]1[^a-z]", r"\d", r"\d\d", r"\w+\.\w+",
    r"\s", r"blk\.\d+\.ffn", r"\battn", r"k\b", r"\Bttn", "attn_(?!q|k)",
    "blk\\.(?:1|3|5)\\.", "(t)\\1", "(.)\\1", "(a|f)(t|f)\\2", "f{2}", "f{3}", "[0-9]{2}",
    "[0-9]{1,2}\\.ffn", "a.*?n", "a.*n_v", "t+n", "x*", "blk\\x2e1", "blk\\u002e1", "[[:digit:]]{2}",
    "[[:alpha:]_]+\\.[[:digit:]]", "[.]1[.]", "[\\d]\\.attn", "[a\\-z]", "[-_]", "[_-]", "|attn_v",
    "attn_v|", "()attn", "(a)|(f)", "[]", "[^]", "[]a]", "}", "]", "1}", "(?:)", "^", "$", "^$", "a{0}",
    "(?:attn_q){1}", "(((a)))", "\\.", "\\_", "(b)?lk", "(?:b)?(z)?lk", "[\\w.]+weight",
    "^blk\\.(\\d)\\..*(k|q)\\.", "[b-b]", "token_embd|output", "Attn", "BLK",
    r"blk\.([02468]|1[0-9])\.(ffn|attn)_.*", "(a|ab)(c|bcd)?n", "[a-c-f]", "[--/]", "attn_[^qk]",
]
# Refused here and there, or here because ECMAScript lacks it.
REFUSED = ["(?<=a)t", "(?<!a)t", "a++", "a*+", "(?<n>a)", "(?P<n>a)", "(?>a)", "\\Qa\\E", "*attn", "(",
           "a)", "[a", "a**", "{2}", "a{2", "a{,3}", "a{3,2}", "\\2(a)", "(a)\\2", "[z-a]", "[\\w-z]",
           "(?i)a", "(*UTF)a", "\\", "\\x1", "[[:word:]]", "[[=a=]]", "\\p{L}", "\\k<n>", "^*", "(?=a)*"]


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def write_gguf(path, kv, tensors):
    """kv: (key, kind, value); tensors: (name, type, dims with the columns first)."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(kv))
    for key, kind, value in kv:
        number, pack = KINDS[kind]
        raw = struct.pack(pack, value) if pack else text(value)
        head += text(key) + struct.pack("<I", number) + raw
    random, body = numpy.random.default_rng(5), b""
    for name, kind, dims in tensors:
        head += text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
        head += struct.pack("<IQ", TYPES[kind], len(body))
        count = int(numpy.prod(dims))
        if kind.startswith("q"):  # whole blocks of small scales
            size = {"q4_0": 18, "q8_0": 34}[kind]
            blocks = random.integers(0, 255, (count // 32, size), dtype="u1")
            blocks[:, :2] = numpy.array([0x1c00], "<u2").view("u1")
            data = blocks.tobytes()
        else:
            data = random.standard_normal(count).astype(f"<{kind[0]}{int(kind[1:]) // 8}").tobytes()
        body += data + bytes(-len(data) % 32)
    pathlib.Path(path).write_bytes(head + bytes(-len(head) % 32) + body)


def layered(path, arch, layers, more=(), kind="f16", leave=(), width=256, name="blk.{}."):
    kv = [("general.architecture", "str", arch), (f"{arch}.context_length", "u32", 64),
          (f"{arch}.embedding_length", "u32", width), (f"{arch}.block_count", "u32", layers),
          (f"{arch}.feed_forward_length", "u32", width),
          (f"{arch}.attention.head_count", "u32", 8),
          (f"{arch}.attention.head_count_kv", "u32", 2),
          (f"{arch}.attention.layer_norm_rms_epsilon", "f32", 1e-5), *more]
    kv = [item for item in kv if item[0] not in leave]
    tensors = [("token_embd.weight", kind, (width, 32)), ("output_norm.weight", "f32", (width,))]
    if "output.weight" not in leave:
        tensors.append(("output.weight", kind, (width, 32)))
    for layer in range(layers):
        prefix = name.format(layer)
        tensors.append((prefix + "attn_norm.weight", "f32", (width,)))
        for part in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
            tensors.append((prefix + part + ".weight", kind, (width, 2)))
    write_gguf(path, kv, tensors)


def lua(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def options(patterns=(), prune=(), override=(), output=None, embedding=None, pure=False,
            requantize=False, leave=False):
    """A set of options, as llama-quantize's and as words."""
    args, words = [], ['as = "llama-quantize"']
    for regex, kind in patterns:
        args += ["--tensor-type", f"{regex}={kind}"]
    if patterns:
        words.append("patterns = { " + ", ".join(f"{{ {lua(r)}, {lua(k)} }}" for r, k in patterns)
                     + " }")
    if prune:
        args += ["--prune-layers", ",".join(map(str, prune))]
        words.append("prune = { " + ", ".join(map(str, prune)) + " }")
    names = {bool: "bool", int: "int", float: "float", str: "str"}
    for key, value in override:
        args += ["--override-kv", f"{key}={names[type(value)]}:"
                 + (str(value).lower() if isinstance(value, bool) else str(value))]
    if override:
        words.append("override = { " + ", ".join(f"{{ {lua(k)}, {lua(v)} }}" for k, v in override)
                     + " }")
    for given, option, word in ((output, "--output-tensor-type", "output"),
                                (embedding, "--token-embedding-type", "token_embd")):
        if given:
            args += [option, given]
            words.append(f"{word} = {lua(given)}")
    for given, option, word in ((pure, "--pure", "pure = true"),
                                (requantize, "--allow-requantize", "allow_requantize = true"),
                                (leave, "--leave-output-tensor", 'output = "keep"')):
        if given:
            args.append(option)
            words.append(word)
    return args, ", ".join(words)


def cases():
    """(name, source, preset, options) of whole files."""
    out = []
    for at, regex in enumerate(REGEXES):
        out.append((f"regex{at}", "twelve", "Q4_K_S", dict(patterns=[(regex, "q8_0")], pure=True)))
    many = [("attn_v", "q6_k"), ("attn", "q5_k"), (r"blk\.[0-3]\.", "q3_k"), ("nothing", "q8_0")]
    sets = {
        "order": dict(patterns=many), "reversed": dict(patterns=many[::-1]),
        "pure": dict(patterns=many, pure=True),
        "head": dict(patterns=[("output", "q4_0"), ("embd", "q5_0")], output="q8_0"),
        "embedding": dict(patterns=[("output", "q4_0"), ("embd", "q5_0")], embedding="q8_0"),
        "leave": dict(patterns=[("output", "q4_0")], leave=True),
        "float": dict(patterns=[("attn_q", "f32"), ("attn_k", "bf16"), ("ffn_up", "f16")]),
        "narrow": dict(patterns=[("attn_q", "nvfp4"), ("attn_k", "mxfp4"), ("v", "iq4_xs")]),
        "first": dict(prune=[0]), "last": dict(prune=[11]), "some": dict(prune=[3, 1, 10, 3]),
        "beyond": dict(prune=[2, 40]), "absent": dict(prune=[77]),
        "both": dict(prune=[0, 5], patterns=[(r"blk\.0\.", "q8_0"), (r"blk\.9\.", "q6_k")]),
        "experts": dict(override=[("llama.expert_count", 8), ("llama.expert_used_count", 2)]),
        "heads": dict(override=[("llama.attention.head_count_kv", 8)]),
        "layers": dict(override=[("llama.block_count", 80)]),
        "again": dict(override=[("general.file_type", 3), ("llama.context_length", 9)], prune=[4]),
        "kinds": dict(override=[("a.n", -7), ("a.f", -1e-3), ("a.t", True), ("a.u", False),
                                ("a.s", "x" * 127), ("general.name", ""), ("a.n", 3)]),
        "wrong": dict(override=[("llama.expert_count", 8.0), ("llama.block_count", "x")]),
        "split": dict(override=[("split.count", 1), ("quantize.imatrix.file", "none")]),
        "size": dict(override=[("llama.block_count", 7)], prune=[1]),
    }
    for (name, given), preset in itertools.product(sets.items(), ("Q4_K_M", "Q3_K_M", "Q2_K", "F16",
                                                                  "COPY", "MXFP4_MOE")):
        out.append((f"{name}.{preset}", "twelve", preset, given))
    for source in ("tied", "narrow", "dec", "gapped"):
        for name in ("order", "head", "embedding", "leave", "some", "both"):
            out.append((f"{name}.{source}", source, "Q4_K_M", sets[name]))
    for source in ("numbered", "unnumbered", "mixed", "q4"):
        out.append((f"copy.{source}", source, "COPY", {}))
        out.append((f"copy_pruned.{source}", source, "COPY", dict(prune=[0, 1, 2, 3, 4, 5])))
    out.append(("again.q4", "q4", "Q8_0", dict(requantize=True, patterns=[("attn_v", "q5_0")])))
    return out


def write_sources():
    layered("twelve.gguf", "llama", 12, (("llama.expert_count", "u32", 0),
                                         ("llama.expert_used_count", "u32", 0)))
    layered("tied.gguf", "qwen2", 9, leave=("output.weight",))
    layered("narrow.gguf", "llama", 9, width=96)
    layered("dec.gguf", "llama", 9, name="dec.blk.{}.")
    layered("numbered.gguf", "llama", 9, (("general.file_type", "u32", 17),))
    layered("unnumbered.gguf", "llama", 9)
    layered("q4.gguf", "llama", 9, kind="q4_0")
    kv = [("general.architecture", "str", "llama"), ("llama.block_count", "u32", 8),
          ("llama.context_length", "u32", 8), ("llama.embedding_length", "u32", 256),
          ("llama.attention.head_count", "u32", 8), ("llama.feed_forward_length", "u32", 64),
          ("llama.attention.layer_norm_rms_epsilon", "f32", 1e-5)]
    write_gguf("mixed.gguf", kv, [("blk.7.attn_q.weight", "q8_0", (256, 2)),
                                  ("blk.0.attn_norm.weight", "f32", (256,)),
                                  ("blk.6.attn_norm.weight", "f32", (256,)),
                                  ("blk.1.attn_k.weight", "q8_0", (256, 2))])
    write_gguf("gapped.gguf", kv, [(f"blk.{n}.ffn_down.weight", "f16", (256, 2))
                                   for n in (0, 2, 5, 6, 7)])


def main():
    peers.workspace()
    write_sources()
    recipe, listed = ["local out = {}"], cases()
    for name, source, preset, given in listed:
        recipe.append(f"out[{lua(name)}] = gguf {{ quantize {{ source '{source}.gguf', '{preset}', "
                      f"{options(**given)[1]} }} }}")
    peers.build("\n".join(recipe) + "\nreturn out\n")
    for name, source, preset, given in listed:
        args = options(**given)[0]
        code, said = peers.run(peers.BIN / "llama-quantize", *args, f"{source}.gguf", "theirs.gguf",
                               preset, 1)
        if peers.ok(f"{name}.llama_quantize_runs", code == 0, f"{args}: {said[-300:]}"):
            peers.same_file(f"{name}.file", "theirs.gguf", f"outputs/{name}.gguf")
    for at, regex in enumerate(REFUSED):
        pathlib.Path("refused.lua").write_text(
            f"return {{ x = gguf {{ quantize {{ source 'twelve.gguf', 'Q4_0', patterns = {{ "
            f"{{ {lua(regex)}, 'q8_0' }} }} }} }} }}\n")
        code, said = peers.run(peers.VBUILD, "refused.lua")
        peers.ok(f"refused{at}", code == 2 and "the pattern '" in said, f"{regex}: {said}")
    peers.finish()


main()
