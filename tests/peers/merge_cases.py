"""Random, seeded configurations of every merge method, as mergekit reads them."""

import dataclasses

import yaml
from merge_models import FAMILIES


def _number(low, high):
    def draw(dice):
        value = round(dice.uniform(low, high), dice.randint(2, 6))
        return dice.choice([value, value, value, value, str(value)])
    return draw


def _one_of(*values):
    return lambda dice: dice.choice(values)


_switch = _one_of(True, False, True, False, "yes", "off", 1, 0)
_weight = _number(0.1, 1.3)


def _signed(dice):
    return _weight(dice) if dice.random() < 0.8 else round(dice.uniform(-0.6, -0.05), 3)


def _density(dice):
    return dice.choice([1, 1.0, 0.003]) if dice.random() < 0.2 else _number(0.05, 0.99)(dice)


_family = {"weight": _signed, "normalize": _switch, "rescale": _switch, "int8_mask": _switch,
           "lambda": _number(0.4, 1.6), "density": _density}
# Method -> parameter -> a draw of it; those of NEEDED are always given, those of EACH may stand
# beside a model, those of FIXED are no gradients (a fraction of them is an error).
PARAMETERS = {
    "linear": {"weight": _signed, "normalize": _switch},
    "slerp": {"t": _number(-0.1, 1.1)},
    "nuslerp": {"weight": _weight, "nuslerp_flatten": _switch, "nuslerp_row_wise": _switch},
    "multislerp": {"weight": _weight, "normalize_weights": _switch,
                   "eps": _one_of(1e-8, "1e-6", 1e-4)},
    "karcher": {"max_iter": _one_of(1, 3, 10, "25"), "tol": _one_of(1e-5, "1e-7", 1e-3)},
    "task_arithmetic": _family,
    "ties": _family,
    "dare_linear": _family,
    "dare_ties": _family,
    "breadcrumbs": _family | {"gamma": _number(0.0, 0.3)},
    "breadcrumbs_ties": _family | {"gamma": _number(0.0, 0.3)},
    "della": _family | {"density": _number(0.35, 0.65), "epsilon": _number(0.01, 0.3)},
    "della_linear": _family | {"density": _number(0.35, 0.65), "epsilon": _number(0.01, 0.3)},
    "model_stock": {"filter_wise": _switch},
    "sce": {"select_topk": _one_of(0.1, 0.37, 0.5, 0.8, 1, 0, 1.0), "int8_mask": _switch},
    "arcee_fusion": {},
    "nearswap": {"t": _number(0.0005, 0.05)},
    "passthrough": {"scale": _number(0.3, 2.5)},
    "ram": {"epsilon": _one_of(1e-5, "1e-3", 0.004, 0.02)},
    "ramplus_tl": {"r": _number(0.0, 0.5), "alpha": _number(0.05, 0.6),
                   "epsilon": _one_of(1e-5, "1e-3", 0.004, 0.02)},
}
NEEDED = {"weight", "t"}
EACH = {"weight", "density", "gamma", "scale"}
DELLA_EACH = EACH | {"epsilon"}
FIXED = {"max_iter", "tol", "eps", "select_topk"}
BASELESS = {"linear", "karcher", "passthrough"}
OPTIONAL = {"nuslerp", "multislerp"}
# Fine-tunes that are nearly the base would show float32's rounding alone (specs/merge.md 2.10).
NEAR = {"arcee_fusion"}
COUNTS = {"slerp": (2, 2), "arcee_fusion": (2, 2), "nearswap": (2, 2), "passthrough": (1, 1),
          "model_stock": (3, 4), "linear": (1, 4), "karcher": (1, 4)}
FILTERS = {
    "gpt_neox": ["attention", "mlp", "dense", "norm", "bias", "layers.1.", "embed"],
    "gpt2": ["attn", "mlp", "c_proj", "ln_", "bias", "h.1.", "wte"],
    "phi3": ["qkv_proj", "mlp", "gate_up", "norm", "layers.1.", "lm_head"],
}
PLAIN_FILTERS = ["self_attn", "mlp", "o_proj", "down_proj.weight", "layernorm", "layers.1.",
                 "embed_tokens", "q_proj"]
TYPES = ["bfloat16", "bfloat16", "torch.bfloat16", "float32", "float16", "float64"]


@dataclasses.dataclass
class Case:
    name: str
    method: str
    family: str
    models: list
    config: dict
    seed: int

    def text(self, dice):
        style = dice.choice([None, False, False])
        return yaml.safe_dump(self.config, sort_keys=False, default_flow_style=style)


class Maker:
    """One configuration at a time; PATHS is what merge_models.make gave."""

    def __init__(self, dice, paths):
        self.dice, self.paths = dice, paths
        self.method = self.family = None

    # ---- parameters -----------------------------------------------------------------------------

    def plain(self, name):
        draw = PARAMETERS[self.method][name]
        if name in FIXED or self.dice.random() < 0.6:
            return draw(self.dice)
        return [draw(self.dice) for _ in range(self.dice.randint(1, 6))]

    def setting(self, name, total=True):
        """A value, a gradient, or conditions; TOTAL: every tensor gets one."""
        if self.dice.random() < 0.6:
            return self.plain(name)
        filters = FILTERS.get(self.family, PLAIN_FILTERS)
        chosen = self.dice.sample(filters, self.dice.randint(1, 3))
        out = [{"filter": f, "value": self.plain(name)} for f in chosen]
        if total or self.dice.random() < 0.5:
            out.append(self.dice.choice([{"value": self.plain(name)},
                                         {"filter": "*", "value": self.plain(name)},
                                         {"filter": None, "value": self.plain(name)}]))
        return out

    def scopes(self):
        """Parameters for the top, for the others (None: nowhere) and for what stands by a model."""
        own = DELLA_EACH if self.method.startswith("della") else EACH
        top, beside = {}, []
        for name in PARAMETERS[self.method]:
            by_model = name in own and self.dice.random() < 0.7
            if by_model:
                beside.append(name)
            if not by_model and (name in NEEDED or self.dice.random() < 0.6):
                top[name] = self.setting(name)
        return top, beside

    def beside(self, names, holder):
        given = {n: self.setting(n) for n in names if n in NEEDED or self.dice.random() < 0.7}
        if given:
            holder["parameters"] = given
        return holder

    # ---- structure ------------------------------------------------------------------------------

    def sources(self, models, names, base, ranges=None):
        out = []
        for i, model in enumerate(models):
            source = {"model": model}
            if ranges:
                source["layer_range"] = ranges[i]
            takes_none = model == base and self.method not in BASELESS
            out.append(source if takes_none else self.beside(names, source))
        return out

    def part(self, models, base, number):
        """The models of a slice: all, or some; never more than the first slice has, as mergekit
        then drops the surplus of what comes after the layers."""
        if self.method == "passthrough":
            return [self.dice.choice(models)]
        if number == 0 or self.dice.random() < 0.5:
            return models
        low = COUNTS.get(self.method, (2, 0))[0] if base else 1
        low = 3 if self.method in OPTIONAL and base else 2 if self.method in OPTIONAL else low
        if self.method == "nuslerp" or low >= len(models):
            return models
        others = [m for m in models if m != base]
        count = self.dice.randint(low, len(models)) - len(models) + len(others)
        chosen = self.dice.sample(others, max(1, count)) + ([base] if base in models else [])
        self.dice.shuffle(chosen)
        return chosen

    def slices(self, models, names, base):
        layers, count = FAMILIES[self.family].layers, self.dice.randint(1, 3)
        out = []
        for number in range(count):
            length = self.dice.randint(1, layers)
            if number and number == count - 1 and self.dice.random() < 0.3:
                length = 0
            some = self.part(models, base, number)
            starts = [self.dice.randint(0, layers - length) for _ in some]
            ranges = [[s, s + length] for s in starts]
            out.append({"sources": self.sources(some, names, base, ranges)})
        return out

    def choose_models(self, whole):
        low, high = COUNTS.get(self.method, (2, 4))
        if self.method == "passthrough" and not whole:
            high = 3
        if self.method in OPTIONAL:
            low = 3
        plain = self.paths[self.family]
        others = plain[1:] + sum((self.paths.get(self.family + more, [])
                                  for more in ("-f32", "-f16", "-head")), [])
        some = plain[1:] if self.dice.random() < 0.65 or self.method in NEAR else others
        count = min(self.dice.randint(low, high), 1 + len(some))
        return [plain[0]] + self.dice.sample(some, count - 1)

    def body(self, models, base, inferred, whole):
        top, names = self.scopes()
        config = {}
        if whole:
            given = models
            if base and self.method not in BASELESS and self.dice.random() < 0.5:
                given = [m for m in models if m != base]
            config["models"] = self.sources(given, names, base)
        else:
            config["slices"] = self.slices(models, names, base)
        if not inferred and self.dice.random() < 0.2:
            module = dict(config)
            if top and self.dice.random() < 0.5:
                module["parameters"], top = top, {}
            config = {"modules": {"default": module}}
        elif "slices" in config and top and self.dice.random() < 0.4:
            for part in config["slices"]:
                part["parameters"] = {n: self.setting(n) for n in top}
            top = {n: v for n, v in top.items() if self.dice.random() < 0.5}
        if top:
            config["parameters"] = top
        return config

    def make(self, number, method, family):
        self.method, self.family = method, family
        inferred = family == "olmo"  # mergekit takes its head from the first slice
        whole = inferred or self.dice.random() < 0.45
        models = self.choose_models(whole)
        base = None
        if method in OPTIONAL:
            base = models[0] if self.dice.random() < 0.6 else None
            models = models if base else models[1:]
            if method == "nuslerp":
                models = models[:3] if base else models[:2]
        elif method not in BASELESS or self.dice.random() < 0.3:
            base = models[0]
        self.dice.shuffle(models)
        config = {"merge_method": method}
        body = self.body(models, base, inferred, whole)
        if base and "slices" in body and self.dice.random() < 0.25:
            for part in body["slices"]:
                part["base_model"] = base
        elif base:
            config["base_model"] = base
        config |= body
        # mergekit makes numbers of buffers where a type is named (vbuild never does).
        typed = family != "gpt_neox"
        if typed and self.dice.random() < 0.8:
            config["dtype"] = self.dice.choice(TYPES)
        if typed and self.dice.random() < 0.35:
            config["out_dtype"] = self.dice.choice(TYPES)
        return Case(f"{method}-{number}-{family}", method, family, models, config,
                    self.dice.randrange(1 << 32))
