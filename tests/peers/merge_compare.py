"""How near two merges are: the tolerance classes of specs/merge.md section 12."""

import torch

import peers

# Class -> least share of equal bits over the case, units in the last place, part of a tensor's
# largest magnitude, largest share of elements beyond both.
CLASSES = {
    "copy": (1.0, 0, 0.0, 0.0),
    "elementwise": (0.999, 1, 0.0, 0.0),
    "slerp": (0.98, 1, 2.0 ** -8, 0.0),
    "global": (0.999, 1, 2.0 ** -8, 0.0),
    "threshold": (0.998, 1, 0.0, 0.002),
    "float32": (0.99, 2, 4.8e-7, 0.0),
    # Not the specification's: what a sum over the tensor scales, written as float32. mergekit adds
    # in float32, vbuild in double, and nearly every bit shows it: no share of equal bits, the
    # distance of the class above. Where sines and arc cosines follow, more; slerp's exact value
    # decides who is nearer (check_merge.py).
    "scaled32": (0.0, 2, 4.8e-7, 0.0),
    "sphere32": (0.0, 0, 2.0 ** -18, 0.0),
}
HALVES = (torch.bfloat16, torch.float16)


def kind(method, work, out):
    """The class of a tensor, and the type it is compared in: by the type the method works in, and
    the one it is written in."""
    sphere = method in ("karcher", "multislerp", "nuslerp", "model_stock")
    masked = method.startswith(("dare", "della"))
    if method == "passthrough":
        return "copy", out
    if method == "arcee_fusion":
        return "threshold", out
    # All but ramplus_tl (and the one above) end in the work type, whatever that is written as.
    end = work if work in HALVES and out not in HALVES and method != "ramplus_tl" else out
    if method == "slerp" and end in HALVES:
        return "slerp", end
    if end not in HALVES:
        plain = method in ("linear", "task_arithmetic", "nearswap", "ram", "ramplus_tl")
        turned = sphere or method == "slerp"
        return "float32" if plain else "sphere32" if turned else "scaled32", end
    return "global" if work in HALVES and (sphere or masked) else "elementwise", end


def ordered(tensor):
    """Bits as integers that order as the values do: neighbours differ by one."""
    wide = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    bits = tensor.contiguous().view(wide).to(torch.int64)
    return torch.where(bits < 0, torch.iinfo(wide).min - bits, bits)


class Count:
    """Elements of one class: how many are equal, how many are beyond, the largest distance."""

    def __init__(self):
        self.all = self.equal = self.beyond = self.most = 0
        self.worst = ""

    def add(self, name, want, got, ulp_max, rel_max):
        apart = (ordered(want) - ordered(got)).abs()
        both_nan = want.isnan() & got.isnan()  # of truths and integers: none
        apart[both_nan] = 0
        near = (want.double() - got.double()).abs() <= rel_max * want.double().abs().max() \
            if want.numel() else apart == 0
        beyond = int(((apart > ulp_max) & ~near & ~both_nan).sum())
        self.all += want.numel()
        self.equal += int((apart == 0).sum())
        self.beyond += beyond
        most = int(apart.max()) if want.numel() else 0
        if beyond or most > self.most:
            self.worst = f"{name}: {beyond} beyond, {most} ulp"
        self.most = max(self.most, most)

    def share(self):
        return self.equal / self.all if self.all else 1.0

    def passes(self, limits):
        return self.share() >= limits[0] and self.beyond <= limits[3] * self.all

    def __str__(self):
        return f"{self.share():.6f} equal, {self.beyond} of {self.all} beyond, at most " \
               f"{self.most} ulp ({self.worst})"


def compare(want, got, kinds):
    """Class -> Count, of two folders' tensors; KINDS(name) is a tensor's class and type."""
    counts = {}
    for name, w in want.items():
        label, end = kinds(name)
        g, limits = got[name], CLASSES[label]
        if end != w.dtype and torch.equal(w.to(end).to(w.dtype), w):
            w, g = w.to(end), g.to(end) if torch.equal(g.to(end).to(g.dtype), g) else g
        counts.setdefault(label, Count()).add(name, w, g, limits[1], limits[2])
    return counts


def forms(tensors):
    return {n: (str(t.dtype), tuple(t.shape)) for n, t in tensors.items()}


def difference(want, got, kinds):
    """What two merges differ in beyond their classes, or None; and the counts."""
    a, b = forms(want), forms(got)
    if a != b:
        return f"names, types, shapes: {sorted(a.items() ^ b.items())[:4]}", {}
    counts = compare(want, got, kinds)
    wrong = [f"class {k}: {c}" for k, c in counts.items() if not c.passes(CLASSES[k])]
    return "; ".join(wrong) or None, counts


def folders_differ(theirs, ours, method="linear"):
    """What two folders of BF16 differ in beyond the class of METHOD, or None."""
    want, got = peers.folder_tensors(theirs), peers.folder_tensors(ours)
    return difference(want, got, lambda n: kind(method, torch.bfloat16, want[n].dtype))[0]
