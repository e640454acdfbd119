"""mergekit in this process, with three things pinned (specs/merge.md section 12).

Where mergekit leaves a result to chance, vbuild defines it: equal magnitudes go by their place
(mergekit's sorts are unstable), random masks are Philox words of the tensor's name (torch's are
drawn in the order of execution), and models stand in the order of the file (mergekit walks a set).
DELLA's chances are float32 in both, and so is the factor that makes up for dropped float16
elements, whose sum mergekit lets overflow. Nothing else of its arithmetic is touched.
"""

import contextlib
import os

import numpy
import torch
import xxhash
from mergekit import sparsify
from mergekit.config import MergeConfiguration
from mergekit.merge_methods import generalized_task_arithmetic, task_adapter
from mergekit.scripts.run_yaml import main as mergekit_yaml

M0, M1, W0, W1 = 0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85
LOW = numpy.uint64(0xFFFFFFFF)


def _philox(key, blocks):
    """The first 4 * BLOCKS words of Philox4x32-10."""
    count = numpy.arange(blocks, dtype=numpy.uint64)
    c = [count & LOW, count >> numpy.uint64(32), count * 0, count * 0]
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        a, b = c[0] * numpy.uint64(M0), c[2] * numpy.uint64(M1)
        c = [(b >> numpy.uint64(32)) ^ c[1] ^ numpy.uint64(k0), b & LOW,
             (a >> numpy.uint64(32)) ^ c[3] ^ numpy.uint64(k1), a & LOW]
        k0, k1 = (k0 + W0) & 0xFFFFFFFF, (k1 + W1) & 0xFFFFFFFF
    return numpy.stack(c, axis=1).reshape(-1)


class _Draw:
    """Which mask is drawn: the tensor of the result, and the model's place among the others."""

    seed, name, place, density, epsilon, ranks = 0, "", 0, 1.0, None, None
    places = ()

    def mask(self, like):
        tag = f"vbuild.mask.v1\n{self.name}\n{self.place}"
        key = xxhash.xxh3_64_intdigest(tag.encode(), seed=self.seed)
        words = _philox(key, (like.numel() + 3) // 4)[:like.numel()]
        chance = torch.from_numpy((words >> numpy.uint64(8)).astype("f4") * numpy.float32(2 ** -24))
        return (chance.reshape(like.shape) < self.limit(like)).to(like.dtype)

    def limit(self, like):
        """The chance to be kept: one for all (DARE), or by an element's rank in its row (DELLA)."""
        if self.epsilon is None:
            return numpy.float32(self.density)
        density, epsilon = numpy.float32(self.density), numpy.float32(self.epsilon)
        rank = self.ranks.numpy().astype("f4") / numpy.float32(max(like.shape[1] - 1, 1))
        return torch.from_numpy((density - epsilon) + rank * numpy.float32(2) * epsilon)


def _rescaled(tensor, mask, norm, eps=1e-7):
    """mergekit's factor for float16, its two sums in float32."""
    masked = tensor * mask
    if norm is None:
        return masked
    before, after = tensor.float().abs().sum(), masked.float().abs().sum()
    return masked if before < eps or after < eps else masked * (before / after)


def _patches(draw):
    sort, argsort = torch.sort, torch.argsort
    own_argsort, own_sparsify, rescaled = (torch.Tensor.argsort, sparsify.sparsify,
                                           sparsify.rescaled_masked_tensor)
    execute = task_adapter.ExecuteMergeMethodTask.execute

    def ranks(tensor, dim=-1, descending=False):
        draw.ranks = own_argsort(tensor, dim=dim, descending=descending, stable=True)
        return draw.ranks

    def first_topk(tensor, k, largest=True):
        assert largest
        got = sort(tensor, descending=True, stable=True)
        return got.values[:k], got.indices[:k]

    def drawn(tensor, density, method, **more):
        draw.place = draw.places.pop(0)
        draw.density, draw.epsilon = density, None
        if method == sparsify.SparsificationMethod.della_magprune:
            draw.epsilon = more["epsilon"]
        return own_sparsify(tensor, density, method, **more)

    def named(task, tensors, **more):
        draw.name = task.output_weight.name
        others = [m for m in task.model_order if m != task.base_model]
        draw.places = [i for i, m in enumerate(others) if m in tensors]
        return execute(task, tensors, **more)

    def in_order(config):
        found = [config.base_model] if config.base_model else []
        holders = [config] + list((config.modules or {}).values())
        for holder in holders:
            for part in list(holder.models or []) + [s for one in holder.slices or []
                                                     for s in one.sources]:
                found.append(part.model)
        return list(dict.fromkeys(found))

    return [
        (torch, "sort", lambda t, dim=-1, descending=False, **_:
         sort(t, dim=dim, descending=descending, stable=True)),
        (torch, "argsort", lambda t, dim=-1, descending=False, **_:
         argsort(t, dim=dim, descending=descending, stable=True)),
        (torch, "topk", first_topk),
        (torch, "bernoulli", draw.mask),
        (torch.Tensor, "argsort", ranks),
        (sparsify, "rescaled_masked_tensor", lambda t, *a, **k:
         (_rescaled if t.dtype == torch.float16 else rescaled)(t, *a, **k)),
        (generalized_task_arithmetic, "sparsify", drawn),
        (task_adapter.ExecuteMergeMethodTask, "execute", named),
        (MergeConfiguration, "referenced_models", in_order),
    ]


def _double_sums():
    """Sums along a tensor in double, once rounded (specs/merge.md 1.3); those over a handful of
    models stay mergekit's."""
    few = 8
    own_sum, own_mean = torch.Tensor.sum, torch.Tensor.mean
    norm = torch.linalg.vector_norm

    def wide(own):
        def reduced(tensor, *args, **more):
            dim = args[0] if args else more.get("dim")
            if not tensor.is_floating_point() or tensor.numel() <= few or dim == 0:
                return own(tensor, *args, **more)
            return own(tensor.double(), *args, **more).to(tensor.dtype)
        return reduced

    def length(tensor, *args, **more):
        return norm(tensor.double(), *args, **more).to(tensor.dtype)

    return [
        (torch.Tensor, "sum", wide(own_sum)), (torch, "sum", wide(own_sum)),
        (torch.Tensor, "mean", wide(own_mean)), (torch, "norm", length),
        (torch.linalg, "vector_norm", length),
        (torch, "dot", lambda a, b: (a.double() * b.double()).sum().to(a.dtype)),
    ]


@contextlib.contextmanager
def pinned(seed, doubles=False):
    draw = _Draw()
    draw.seed = seed
    saved = []
    try:
        for holder, name, value in _patches(draw) + (_double_sums() if doubles else []):
            saved.append((holder, name, getattr(holder, name)))
            setattr(holder, name, value)
        yield
    finally:
        for holder, name, value in reversed(saved):
            setattr(holder, name, value)


def merge(path, out, *options, seed=0, doubles=False):
    """mergekit-yaml PATH OUT; what it raised, or None. DOUBLES: its sums along a tensor, too."""
    words = [str(path), str(out), "--quiet", "--no-write-model-card", *options]
    try:
        with pinned(seed, doubles), open(os.devnull, "w", encoding="utf-8") as nowhere, \
                contextlib.redirect_stderr(nowhere):
            mergekit_yaml(words, standalone_mode=False)
    except Exception as error:  # its own failure is what the caller asks for
        return repr(error)
    return None
