"""mergekit's own reading of random configurations against vbuild's: the parameters that both give
to every tensor.

mergekit plans (its planner, its parameter resolver); vbuild graph prints the arguments of nodes,
numbers with twelve digits.
"""

import json
import pathlib
import random

import yaml
from mergekit.architecture import get_architecture_info
from mergekit.config import MergeConfiguration
from mergekit.io.tasks import LoaderCache
from mergekit.options import MergeOptions
from mergekit.plan import MergePlanner

import peers

BASE, PROSE, PYTHON = ("models/nano-llama-" + n for n in ("base", "prose", "python"))
LAYERS = 4
FILTERS = ["mlp", "self_attn", "q_proj", "_proj", "norm", "layers.1.", "layers.3.", "embed", "*", "",
           "up_proj.weight", "model", None]
CASES = 150


def theirs(config):
    """Output name -> (parameters of the whole, [parameters of each input]) in mergekit's plan."""
    options = MergeOptions()
    LoaderCache().setup(options)
    arch = get_architecture_info(config, options)
    first = config.base_model or config.referenced_models()[0]
    planner = MergePlanner(config, arch, options, first.config())
    planner._plan()
    return {weight.name: (task.parameters, [task.input_parameters[m] for m in task.model_order])
            for weight, task in planner._tensors}


def ours(path):
    """Output name -> the arguments of its node, or None for a tensor that is copied."""
    code, said = peers.run(peers.VBUILD, "-q", "graph", path)
    if code:
        return said
    graph = json.loads(said[said.index("{"):])
    nodes = {node["id"]: node for node in graph["nodes"]}

    def args(node):
        while node.get("op") in ("cast", "permute"):
            node = nodes[node["in"][0]]
        return node.get("args") if "op" in node else None

    return {tensor["name"]: args(nodes[tensor["node"]])
            for artifact in graph["artifacts"] for file in artifact["files"]
            for tensor in file["tensors"]}


def scalar(dice):
    value = round(dice.uniform(0.05, 2), dice.randint(1, 17))
    return dice.choice([value, value, value, str(value), f"{value:e}".replace("e+", "e"),
                        dice.randint(1, 9), True, f" {dice.randint(1, 9)} "])


def gradient(dice):
    return [scalar(dice) for _ in range(dice.randint(0, 6))]


def plain(dice):
    return gradient(dice) if dice.random() < 0.4 else scalar(dice)


def condition(dice):
    out = {"value": plain(dice)}
    if dice.random() < 0.85:
        out["filter"] = dice.choice(FILTERS)
    return out


def setting(dice):
    kind = dice.random()
    if kind < 0.35:
        return plain(dice)
    if kind < 0.45:
        return condition(dice)
    return [condition(dice) for _ in range(dice.randint(1, 4))]


def parameters(dice, names, always=()):
    out = {name: setting(dice) for name in names if dice.random() < 0.4}
    out.update((name, scalar(dice)) for name in always)
    return out


def some(dice, holder, names):
    given = parameters(dice, names)
    if given or dice.random() < 0.1:
        holder["parameters"] = given or None
    return holder


def ranges(dice, count):
    """COUNT ranges of one length, which may be 0 for the last slice."""
    length = dice.randint(1, LAYERS)
    return [[at, at + length] for at in (dice.randint(0, LAYERS - length) for _ in range(count))]


def make(dice):
    """A random configuration of linear or task_arithmetic."""
    own = ["weight"]
    task = dice.random() < 0.5
    whole = ["lambda"] if task else []
    models = dice.sample([BASE, PROSE, PYTHON], dice.randint(2, 3))
    config = {"merge_method": "task_arithmetic" if task else "linear"}
    if task:
        config["base_model"] = models[0]
    config["parameters"] = parameters(dice, whole, own + (whole if dice.random() < 0.5 else []))
    if dice.random() < 0.3:
        config["parameters"]["normalize"] = dice.choice([True, "no", [1, "off", True], 0])
    if dice.random() < 0.4:
        body = {"models": [some(dice, {"model": m}, own) for m in models]}
    else:
        body = {"slices": []}
        for _ in range(dice.randint(1, 4)):
            sources = [some(dice, {"model": m, "layer_range": r}, own)
                       for m, r in zip(models, ranges(dice, len(models)))]
            body["slices"].append(some(dice, {"sources": sources}, own + whole))
    if dice.random() < 0.3:
        body = {"modules": {"default": some(dice, body, own + whole)}}
    config.update(body)
    return config


def near(ours_, theirs_):
    return len(ours_) == len(theirs_) and all(
        abs(float(a) - float(b)) <= 1e-11 * abs(float(b)) for a, b in zip(ours_, theirs_))


def differences(path, config):
    """What the two make of one configuration, where it differs."""
    want, got = theirs(config), ours(path)
    if isinstance(got, str):
        return got
    if set(want) != set(got):
        return f"names differ: {sorted(set(want) ^ set(got))[:3]}"
    for name, (shared, inputs) in want.items():
        weights = [p["weight"] for p in inputs if "weight" in p]
        args = got[name]
        if args is None:
            return f"{name} is copied"
        if not near(args["weights"], weights):
            return f"{name}: weights {args['weights']}, mergekit's {weights}"
        for key in ("lambda", "normalize"):
            if key in args and key in shared and not near([args[key]], [shared[key]]):
                return f"{name}: {key} {args[key]}, mergekit's {shared[key]}"
    return None


def check(name, text):
    path = pathlib.Path(f"{name}.yml")
    path.write_text(text, encoding="utf-8")
    config = MergeConfiguration.model_validate(yaml.safe_load(text))
    why = differences(path, config)
    return why and f"{name}: {why}\n{text}"


def random_ones():
    dice = random.Random(20250117)
    bad = None
    for i in range(CASES):
        text = yaml.safe_dump(make(dice), sort_keys=False,
                              default_flow_style=dice.choice([None, True, False]))
        bad = bad or check(f"random{i}", text)
    peers.ok(f"{CASES}_random_configurations_mean_the_same", not bad, bad)


def main():
    peers.workspace()
    random_ones()
    peers.finish()


main()
