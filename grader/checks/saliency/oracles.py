"""Topic 11, what is right of the maps of a network: autograd in float64 on the judge's
own copy, one image at a time, and closed forms.

An oracle takes the data of one case and returns what ``run`` has to return.
"""

import numpy as np
import torch

from grader.checks.saliency.comparing import Statistic, Within

UNTOUCHED = {"detached": True, "changed": [], "alike": True}
# of a path, where to look at its gradient, at least
NODES = 1500
# how much wider than those of Riemann sums the bounds of an integral are
WIDER = 1.6
# share of the widest bounds by which all are wider
UNSEEN = 0.005


def _own(model):
    """The judge's copy, in float64, in evaluation mode, without gradients."""
    return model.double().eval().requires_grad_(False)


def _gradient(model, X, label):
    """Return the gradients of the label's score at images (N, C, H, W), in float64."""
    inputs = X.detach().double().requires_grad_()
    with torch.enable_grad():
        scores = model(inputs)[:, int(label)]
        return torch.autograd.grad(scores.sum(), inputs)[0]


def _one_by_one(X, y):
    return [(X[n : n + 1], y[n]) for n in range(len(X))]


def saliency_maps(model, X, y):
    model = _own(model)
    grads = [_gradient(model, x, label) for x, label in _one_by_one(X, y)]
    return torch.cat(grads).abs().amax(dim=1)


def compute_saliency_maps(model, order, given, options, setting):
    X, y = given["X"], given["y"]
    return {"map": saliency_maps(model, X, y).to(X.dtype), **UNTOUCHED}


# --- SmoothGrad ---


def smoothgrad(model, order, given, options, setting, seeds=(), same_as=None):
    """Without noise, or where the gradient is the same everywhere, the map; else what
    is known of its mean and variance on a network of quadratic scores."""
    x, y = given["x"], given["y"]
    noise, samples = options.get("noise", 0.1), options.get("samples", 50)
    expected = {"map": saliency_maps(model, x, y).to(x.dtype), **UNTOUCHED}
    if same_as:
        expected["alike"] = same_as == {"noise": 0.1, "samples": 50}
    if len(seeds) < 2:
        return expected
    # the same seed twice, then another one, and then the same generator goes on
    expected["agreement"] = [True, False, False]
    ranges = x.amax(dim=(1, 2, 3)) - x.amin(dim=(1, 2, 3))
    moments = [
        _folded(model.curve[label] * x[n] + model.slope[label], scale)
        for n, label in enumerate(y)
        for scale in [model.curve[label].abs() * noise * ranges[n]]
    ]
    means, variances = (torch.stack(m) for m in zip(*moments, strict=True))
    pixels = means[0].numel()
    error = (variances.mean(dim=(1, 2)) / (samples * len(seeds) * pixels)).sqrt()
    expected["level"] = Statistic(means.mean(dim=(1, 2)), error)
    spread = variances.mean(dim=(1, 2)) / samples
    # of a variance from that many normal numbers, and half as much again
    share = 1.5 * (2 / (pixels * (len(seeds) - 1))) ** 0.5
    expected["spread"] = Statistic(spread, share * spread)
    nothing = torch.zeros(2, dtype=torch.float64)
    expected["together"] = Statistic(nothing, nothing + share)
    return expected


def _folded(mean, scale):
    """Return mean and variance, per pixel, of the maximum over channels of |normal|.

    E[max] = ∫ P(max > t) dt, and E[max²] = ∫ 2t P(max > t) dt.
    """
    mean, scale = mean.detach().double(), scale.detach().double()
    top = float((mean.abs() + 8 * scale).max())
    t = torch.linspace(0, top, 120, dtype=torch.float64)[:, None, None, None]
    below = torch.special.ndtr((t - mean) / scale) - torch.special.ndtr(
        (-t - mean) / scale
    )
    above = 1 - below.prod(dim=1)
    t = t[:, 0]
    first = torch.trapezoid(above, t, dim=0)
    return first, torch.trapezoid(2 * t * above, t, dim=0) - first**2


# --- integrated gradients ---


def integrated_gradients(model, order, given, options, setting, same_as=None):
    """Between what bounds every Riemann sum lies, entry by entry and added up.

    A sum takes, in each step, a gradient from somewhere in that step: so it lies
    between the sums of the lowest and of the highest ones. Other rules, such as that of
    Gauss, come as close as to lie between bounds that are a little wider.
    """
    model = _own(model)
    x, y, steps = given["x"], given["y"], options.get("steps", 50)
    start = given["baseline"].detach().expand_as(x).double()
    way = x.detach().double() - start
    shares = torch.linspace(0, 1, steps * _within(steps) + 1, dtype=torch.float64)
    shares = shares[:, None, None, None]
    entries, totals = [], []
    for n, label in enumerate(y):
        slopes = _gradient(model, start[n] + shares * way[n], label) * way[n]
        entries.append(_bounds(slopes, steps))
        totals.append(_bounds(slopes.sum(dim=(1, 2, 3)), steps))
    lows, highs = (torch.stack(bounds) for bounds in zip(*entries, strict=True))
    # kinks that lie closer together than the places looked at
    unseen = UNSEEN * (highs - lows).amax(dim=(1, 2, 3), keepdim=True)
    lows, highs = lows - unseen, highs + unseen
    return {"map": Within(lows, highs, totals, x.dtype), **UNTOUCHED}


def _within(steps) -> int:
    """Return in how many places to look within each step."""
    return max(4, NODES // steps)


def _bounds(slopes, steps):
    """Return bounds around the integral: those of Riemann sums, wider by the ratio of
    the largest weight of Gauss's rule to theirs, π / 2."""
    inner = slopes[:-1].unflatten(0, (steps, -1))
    ends = slopes[:: _within(steps)][1:, None]
    both = torch.cat([inner, ends], dim=1)
    whole = (slopes[1:] + slopes[:-1]).mean(dim=0) / 2
    low, high = both.amin(dim=1).mean(dim=0), both.amax(dim=1).mean(dim=0)
    # a step that Riemann sums meet exactly may lie anywhere between Gauss's nodes
    half = slopes.diff(dim=0).abs().sum(dim=0) / (2 * steps)
    low, high = torch.minimum(low, whole - half), torch.maximum(high, whole + half)
    return whole + WIDER * (low - whole), whole + WIDER * (high - whole)


# --- occlusion ---


def occlusion_map(model, order, given, options, setting):
    model = _own(model)
    x, y, size, stride = (given[name] for name in ("x", "y", "size", "stride"))
    H, W = x.shape[2:]
    tops, lefts = range(0, H - size + 1, stride), range(0, W - size + 1, stride)
    probs = np.zeros((len(tops), len(lefts)))
    for i, j in np.ndindex(probs.shape):
        covered = x.detach().double().clone()
        rows, columns = slice(tops[i], tops[i] + size), slice(lefts[j], lefts[j] + size)
        covered[:, :, rows, columns] = options.get("value", 0.0)
        scores = model(covered)[0].numpy()
        weights = np.exp(scores - scores.max())
        probs[i, j] = weights[int(y)] / weights.sum()
    return {"map": torch.tensor(probs).to(x.dtype), **UNTOUCHED}
