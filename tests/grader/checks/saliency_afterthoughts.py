"""Topic 11: answers that nobody had in mind when the checks were written."""

import copy

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch.nn import functional as F

from grader.checks.saliency import answers as right

# (exercise, name): functions
WRONG: dict[tuple[str, str], tuple] = {}
RIGHT: dict[tuple[str, str], tuple] = {}


def wrong(exercise):
    return _register(WRONG, exercise)


def good(exercise):
    return _register(RIGHT, exercise)


def _register(answers, exercise):
    def register(answer):
        answers[exercise, answer.__name__.replace("_", " ")] = (answer,)
        return answer

    return register


# --- wrong ---


@wrong("compute_saliency_maps")
def always_back_to_training(X, y, model):
    model.eval()
    maps = right.compute_saliency_maps(X, y, model)
    model.train()
    return maps


@wrong("compute_saliency_maps")
def weights_frozen_and_thawed(X, y, model):
    model.requires_grad_(False)
    maps = right.compute_saliency_maps(X, y, model)
    model.requires_grad_(True)
    return maps


@wrong("compute_saliency_maps")
def channels_added_with_their_signs(X, y, model):
    gray = X.detach().clone().requires_grad_()
    with torch.enable_grad(), right.evaluating(model):
        score = model(gray).gather(1, y[:, None]).sum()
        return torch.autograd.grad(score, gray)[0].sum(dim=1).abs()


@wrong("smoothgrad")
def copies_clipped_to_the_range(model, x, y, noise=0.1, samples=50, *, rng=None):
    low, high = x.detach().aminmax(dim=-1, keepdim=True)
    low, high = low.amin((1, 2), True), high.amax((1, 2), True)
    total = 0
    for _ in range(samples):
        drawn = torch.randn(x.shape, generator=rng, dtype=x.dtype)
        copies = x.detach() + noise * (high - low) * drawn
        copies = torch.minimum(torch.maximum(copies, low), high)
        total = total + right.compute_saliency_maps(copies, y, model)
    return total / samples


@wrong("smoothgrad")
def one_noise_for_all_images(model, x, y, noise=0.1, samples=50, *, rng=None):
    sigma = noise * (
        x.detach().amax((1, 2, 3), True) - x.detach().amin((1, 2, 3), True)
    )
    total = 0
    for _ in range(samples):
        drawn = torch.randn(x.shape[1:], generator=rng, dtype=x.dtype)
        copies = x.detach() + sigma * drawn
        total = total + right.compute_saliency_maps(copies, y, model)
    return total / samples


@wrong("percentile_clip")
def the_entry_below(saliency, q=99):
    values = saliency.detach().flatten().sort().values
    top = values[int(q / 100 * (len(values) - 1))]
    return saliency.detach().clamp(0, max(top, 0)) / top if top > 0 else 0 * saliency


@wrong("integrated_gradients")
def steps_that_grow(model, x, y, baseline, steps=50):
    start = baseline.detach().expand_as(x)
    way, total = x.detach() - start, 0
    for share in np.linspace(0, 1, steps) ** 2:
        at = (start + float(share) * way).requires_grad_()
        with torch.enable_grad(), right.evaluating(model):
            score = model(at).gather(1, y[:, None]).sum()
            total = total + torch.autograd.grad(score, at)[0]
    return way * total / steps


@wrong("occlusion_map")
def covered_with_the_mean_by_default(model, x, y, size, stride, value=0.0):
    value = value or float(x.detach().mean())
    return right.occlusion_map(model, x, y, size, stride, value)


@wrong("top_patches")
def equal_activations_once(activations, images, unit, k=9):
    values, first = np.unique(-activations[:, unit].detach().numpy(), return_index=True)
    h, w = activations.shape[2:]
    high, wide = images.shape[2] // h, images.shape[3] // w
    n, i, j = np.unravel_index(first[:k], (len(images), h, w))
    blocks = images.detach().unfold(2, high, high).unfold(3, wide, wide)
    return blocks[n, :, i, j]


@wrong("nearest_in_feature_space")
def lengths_compared(features, query, k=5):
    gaps = features.detach().norm(dim=1) - query.detach().norm()
    return gaps.abs().argsort()[:k]


@wrong("find_shortcut")
def last_image(model, X, y, size):
    return right.find_shortcut(model, X[-1:], y[-1:], size)


@wrong("find_shortcut")
def upper_left(model, X, y, size):
    return 0, 0


# --- right ---


@good("compute_saliency_maps")
def by_a_jacobian(X, y, model):
    twin, maps = copy.deepcopy(model).eval(), []
    for image, label in zip(X.detach(), y, strict=True):
        with torch.enable_grad():
            rows = torch.autograd.functional.jacobian(twin, image[None])
        maps.append(rows[0, label, 0].abs().amax(dim=0))
    return torch.stack(maps)


@good("compute_saliency_maps")
def in_double_precision(X, y, model):
    twin = copy.deepcopy(model).double()
    return right.compute_saliency_maps(X.double(), y, twin).to(X.dtype)


@good("compute_saliency_maps")
def by_a_change_of_zero(X, y, model):
    change = torch.zeros_like(X.detach(), requires_grad=True)
    with torch.enable_grad(), right.evaluating(model):
        scores = model(X.detach() + change)
        chosen = -F.nll_loss(scores, y, reduction="sum")
    return torch.autograd.grad(chosen, change)[0].abs().amax(dim=1)


@good("smoothgrad")
def noise_drawn_in_double(model, x, y, noise=0.1, samples=50, *, rng=None):
    values = x.detach().double()
    sigma = noise * np.ptp(values.numpy(), axis=(1, 2, 3))
    maps = []
    for _ in range(samples):
        spread = torch.from_numpy(sigma)[:, None, None, None].expand_as(values)
        copies = torch.normal(values, spread, generator=rng)
        maps.append(right.compute_saliency_maps(copies.to(x.dtype), y, model))
    return torch.stack(maps).mean(0)


@good("percentile_clip")
def by_hand(saliency, q=99):
    values = sorted(saliency.detach().flatten().tolist())
    place = (len(values) - 1) * q / 100
    rest, low = place % 1, int(place)
    top = values[low] + (rest and rest * (values[low + 1] - values[low]))
    rows = [
        [min(max(v, 0), top) / top if top > 0 else 0.0 for v in r]
        for r in saliency.tolist()
    ]
    return torch.tensor(rows, dtype=saliency.dtype)


def _weighted(shares_and_weights):
    def integrate(model, x, y, baseline, steps=50):
        start = baseline.detach().expand_as(x)
        way, total = x.detach() - start, 0
        for share, weight in zip(*shares_and_weights(steps), strict=True):
            at = (start + float(share) * way).requires_grad_()
            with torch.enable_grad(), right.evaluating(model):
                score = model(at).gather(1, y[:, None]).sum()
                grads = torch.autograd.grad(score, at)[0]
            total = total + float(weight) * grads
        return way * total

    return integrate


def _gauss(steps):
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2


def _simpson(steps):
    inner = np.arange(2 * steps + 1)
    weights = np.where(inner % 2, 4, 2) - (inner % (2 * steps) == 0)
    return inner / (2 * steps), weights / (6 * steps)


RIGHT["integrated_gradients", "by Gauss and Legendre"] = (_weighted(_gauss),)
RIGHT["integrated_gradients", "by Simpson's rule"] = (_weighted(_simpson),)


@good("occlusion_map")
def row_by_row(model, x, y, size, stride, value=0.0):
    H, W = x.shape[2:]
    twin, lefts = copy.deepcopy(model).eval(), range(0, W - size + 1, stride)
    rows = []
    for top in range(H)[: H - size + 1 : stride]:
        strip = x.detach().expand(len(lefts), -1, -1, -1).clone()
        for image, left in zip(strip, lefts, strict=True):
            image.narrow(1, top, size).narrow(2, left, size).fill_(value)
        with torch.no_grad():
            scores = twin(strip)
            rows.append((scores[:, int(y)] - scores.logsumexp(dim=1)).exp())
    return torch.stack(rows)


@good("top_patches")
def by_splitting(activations, images, unit, k=9):
    h, w = activations.shape[2:]
    cells = [
        block
        for image in images.detach()
        for row in image.tensor_split(h, dim=1)
        for block in row.tensor_split(w, dim=2)
    ]
    values = activations[:, unit].detach().flatten().tolist()
    ranks = sorted(range(len(cells)), key=values.__getitem__, reverse=True)
    return torch.stack([cells[rank] for rank in ranks[:k]])


@good("nearest_in_feature_space")
def by_scipy(features, query, k=5):
    gaps = cdist(query.detach().numpy()[None], features.detach().numpy())[0]
    return torch.as_tensor(gaps.argsort()[:k])


@good("find_shortcut")
def by_integrated_gradients(model, X, y, size):
    grey = torch.tensor(0.5)
    ig = right.integrated_gradients(model, X, y, grey, steps=8).abs().sum(dim=1)
    sums = F.avg_pool2d(ig.mean(dim=0)[None], size, stride=1)[0]
    place = (sums == sums.max()).nonzero()[0]
    return place[0], place[1]


@good("find_shortcut")
def by_occlusion_of_every_image(model, X, y, size):
    maps = [
        right.occlusion_map(model, X[n : n + 1], y[n], size, 2, 0.5)
        for n in range(len(X))
    ]
    low = np.asarray(torch.stack(maps).mean(dim=0))
    row, column = np.unravel_index(low.argmin(), low.shape)
    return 2 * row, 2 * column
