"""Topic 11: right answers that look unlike the ones in the solution."""

import copy
import heapq
import math
from functools import partial
from itertools import product

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from grader.checks.saliency import answers as right

UNUSUAL: dict[str, dict[str, tuple]] = {}


def unusual(exercise):
    def register(answer):
        UNUSUAL.setdefault(exercise, {})[answer.__name__] = (answer,)
        return answer

    return register


# --- saliency ---


@unusual("compute_saliency_maps")
def on_a_copy_of_the_network(X, y, model):
    twin = copy.deepcopy(model).eval()
    with torch.enable_grad():
        x = X.detach().clone().requires_grad_(True)
        picked = twin(x).gather(1, y.view(-1, 1)).squeeze(1)
        picked.backward(torch.ones_like(picked))
    return x.grad.abs().max(dim=1).values


@unusual("compute_saliency_maps")
def image_by_image(X, y, model):
    modes = {m: m.training for m in model.modules()}
    model.eval()
    maps = []
    try:
        for image, label in zip(X.detach(), y.tolist(), strict=True):
            with torch.set_grad_enabled(True):
                leaf = image[None].clone().requires_grad_()
                score = model(leaf)[0, label]
                grad = torch.autograd.grad(score, leaf)[0]
            maps.append(torch.maximum(grad, -grad)[0].amax(0))
    finally:
        for module, mode in modes.items():
            module.training = mode
    return torch.stack(maps)


@unusual("compute_saliency_maps")
def by_functional_calls(X, y, model):
    params = {n: p.detach() for n, p in model.named_parameters()}
    buffers = {n: b.detach().clone() for n, b in model.named_buffers()}
    modes = [m.training for m in model.modules()]
    model.eval()

    def score(image, label):
        out = torch.func.functional_call(model, (params, buffers), (image[None],))
        return out[0].gather(0, label[None])[0]

    with torch.enable_grad():
        grads = torch.func.vmap(torch.func.grad(score))(X.detach(), y)
    for module, mode in zip(model.modules(), modes, strict=True):
        module.training = mode
    return grads.detach().abs().amax(1)


@unusual("compute_saliency_maps")
def by_one_hot_upstream(X, y, model):
    modes = [(m, m.training) for m in model.modules()]
    model.train(False)
    with torch.enable_grad():
        x = torch.tensor(X.detach().numpy().copy(), requires_grad=True)
        scores = model(x)
        hot = F.one_hot(y, scores.shape[1]).to(scores.dtype)
        grads = torch.autograd.grad(scores, x, grad_outputs=hot)[0]
    for module, mode in modes:
        module.training = mode
    return torch.from_numpy(np.abs(grads.numpy()).max(axis=1))


# --- SmoothGrad ---


def _saliency(model, x, y):
    return right.compute_saliency_maps(x, y, model)


@unusual("smoothgrad")
def all_copies_in_one_batch(model, x, y, noise=0.1, samples=50, *, rng=None):
    x = x.detach()
    flat = x.flatten(1)
    sigma = noise * (flat.max(1).values - flat.min(1).values)
    shape = (samples, *x.shape)
    drawn = torch.empty(shape, dtype=x.dtype).normal_(generator=rng)
    copies = x + sigma.view(1, -1, 1, 1, 1) * drawn
    maps = _saliency(model, copies.flatten(0, 1), y.repeat(samples))
    return maps.view(samples, len(x), *x.shape[2:]).mean(dim=0)


@unusual("smoothgrad")
def running_mean(model, x, y, noise=0.1, samples=50, *, rng=None):
    mean = torch.zeros_like(x[:, 0]).detach()
    for k in range(1, samples + 1):
        copies = []
        for image in x.detach():
            sigma = float(noise * (image.max() - image.min()))
            if sigma > 0:
                at = torch.normal(0.0, sigma, image.shape, generator=rng)
                image = image + at.to(image.dtype)
            copies.append(image)
        mean += (_saliency(model, torch.stack(copies), y) - mean) / k
    return mean


@unusual("smoothgrad")
def image_after_image(model, x, y, noise=0.1, samples=50, *, rng=None):
    rng = rng or torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    maps = []
    for n in range(len(x)):
        low, high = torch.aminmax(x[n].detach())
        drawn = torch.randn((samples, *x.shape[1:]), generator=rng).to(x.dtype)
        copies = x[n].detach() + noise * (high - low) * drawn
        maps.append(_saliency(model, copies, y[n].expand(samples)).sum(0) / samples)
    return torch.stack(maps)


@unusual("smoothgrad")
def by_box_and_muller(model, x, y, noise=0.1, samples=50, *, rng=None):
    x = x.detach()
    spread = (np.ptp(x.numpy(), axis=(1, 2, 3)) * noise).reshape(-1, 1, 1, 1)

    def draw():
        u = 1 - torch.rand(x.shape, generator=rng, dtype=torch.float64)
        v = torch.rand(x.shape, generator=rng, dtype=torch.float64)
        return (-2 * u.log()).sqrt() * (2 * math.pi * v).cos()

    maps = [
        _saliency(model, (x + torch.as_tensor(spread) * draw()).to(x.dtype), y)
        for _ in range(samples)
    ]
    return sum(maps) / len(maps)


# --- showing ---


@unusual("percentile_clip")
def by_numpy(saliency, q=99):
    values = saliency.detach().numpy()
    top = np.percentile(values, q)
    if not top > 0:
        return torch.from_numpy(np.zeros_like(values))
    shown = np.minimum(np.maximum(values, 0), top) / top
    return torch.from_numpy(shown.astype(values.dtype))


@unusual("percentile_clip")
def by_sorting(saliency, q=99):
    values = torch.sort(saliency.detach().reshape(-1)).values
    place = q / 100 * (len(values) - 1)
    low = min(math.floor(place), len(values) - 1)
    high = min(low + 1, len(values) - 1)
    top = values[low] + (place - low) * (values[high] - values[low])
    if float(top) <= 0:
        return 0 * saliency.detach()
    return (saliency.detach() / top).clip(0, 1)


@unusual("percentile_clip")
def with_where(saliency, q=99):
    with torch.no_grad():
        p = torch.quantile(
            saliency.flatten(), torch.tensor(q / 100, dtype=saliency.dtype)
        )
        scaled = saliency / torch.where(p > 0, p, torch.ones_like(p))
        shown = torch.where(scaled > 1, torch.ones_like(scaled), scaled.relu())
        return shown * (p > 0)


# --- integrated gradients ---


def _sum_of(shares, weights):
    def integrate(model, x, y, baseline, steps=50):
        modes = [m.training for m in model.modules()]
        model.eval()
        x, start = x.detach(), torch.broadcast_to(baseline.detach(), x.shape)
        mean = torch.zeros_like(x)
        for a, w in zip(shares(steps), weights(steps), strict=True):
            at = torch.lerp(start, x, float(a)).requires_grad_()
            with torch.enable_grad():
                score = model(at)[range(len(x)), y].sum()
                mean = mean + float(w) * torch.autograd.grad(score, at)[0]
        for module, mode in zip(model.modules(), modes, strict=True):
            module.training = mode
        return (x - start) * mean

    return integrate


def _equal(m):
    return np.full(m, 1 / m)


def _trapezoid(m):
    return np.full(m + 1, 1 / m) * np.where(np.arange(m + 1) % m, 1, 0.5)


RULES = {
    "left_sum": _sum_of(lambda m: np.arange(m) / m, _equal),
    "right_sum": _sum_of(lambda m: np.arange(1, m + 1) / m, _equal),
    "trapezoid": _sum_of(lambda m: np.linspace(0, 1, m + 1), _trapezoid),
    "linspace": _sum_of(lambda m: np.linspace(0, 1, m), _equal),
    "one_more_node": _sum_of(
        lambda m: np.linspace(0, 1, m + 1), lambda m: _equal(m + 1)
    ),
    "a_random_place_in_each_step": _sum_of(
        lambda m: (np.arange(m) + np.random.default_rng(0).random(m)) / m, _equal
    ),
    "from_the_image_to_the_baseline": _sum_of(
        lambda m: 1 - (np.arange(m) + 0.5) / m, _equal
    ),
}
for name, rule in RULES.items():
    UNUSUAL.setdefault("integrated_gradients", {})[name] = (rule,)


@unusual("integrated_gradients")
def the_whole_path_in_one_batch(model, x, y, baseline, steps=50):
    twin = copy.deepcopy(model).eval().requires_grad_(False)
    x, start = x.detach(), baseline.detach() + 0 * x.detach()
    shares = ((torch.arange(steps) + 0.5) / steps).to(x.dtype).view(-1, 1, 1, 1, 1)
    path = (start + shares * (x - start)).flatten(0, 1).requires_grad_()
    with torch.enable_grad():
        scores = twin(path).gather(1, y.repeat(steps)[:, None])
        scores.sum().backward()
    return (x - start) * path.grad.view(steps, *x.shape).mean(dim=0)


# --- occlusion ---


@unusual("occlusion_map")
def one_batch_by_masks(model, x, y, size, stride, value=0.0):
    H, W = x.shape[-2:]
    starts = list(
        product(range(0, H - size + 1, stride), range(0, W - size + 1, stride))
    )
    rows, cols = torch.arange(H), torch.arange(W)
    masks = torch.stack(
        [
            ((rows >= i) & (rows < i + size))[:, None]
            & ((cols >= j) & (cols < j + size))
            for i, j in starts
        ]
    )
    filled = torch.full_like(x.detach(), value)
    images = torch.where(masks[:, None], filled, x.detach())
    twin = copy.deepcopy(model).eval()
    with torch.inference_mode():
        probs = F.softmax(twin(images), dim=-1)[:, int(y)].clone()
    return probs.view(-1, len(range(0, W - size + 1, stride)))


@unusual("occlusion_map")
def by_exponentials(model, x, y, size, stride, value=0.0):
    modes = {n: m.training for n, m in model.named_modules()}
    model.eval()
    rows = []
    for top in range(0, x.shape[2] - size + 1, stride):
        row = []
        for left in range(0, x.shape[3] - size + 1, stride):
            picture = x.detach().numpy().copy()
            picture[..., top : top + size, left : left + size] = value
            s = model(torch.from_numpy(picture)).detach().double().numpy()[0]
            row.append(float(1 / np.exp(s - s[int(y)]).sum()))
        rows.append(row)
    for n, m in model.named_modules():
        m.training = modes[n]
    return torch.tensor(rows, dtype=x.dtype)


@unusual("occlusion_map")
def from_the_last_block_on(model, x, y, size, stride, value=0.0):
    label = y.item() if isinstance(y, torch.Tensor) else y
    H, W = x.shape[2:]
    high, wide = 1 + (H - size) // stride, 1 + (W - size) // stride
    out = x.detach().new_full((high, wide), math.nan)
    was = [(m, m.training) for m in model.modules()]
    model.eval()
    for i in reversed(range(high)):
        for j in reversed(range(wide)):
            patch = [size, size]
            block = torch.full([1, x.shape[1], *patch], value, dtype=x.dtype)
            top, left = i * stride, j * stride
            around = left, W - left - size, top, H - top - size
            mask = F.pad(torch.ones_like(block), around)
            image = x.detach() * (1 - mask) + F.pad(block, around)
            out[i, j] = torch.log_softmax(model(image), 1)[0, label].exp().detach()
    for m, mode in was:
        m.training = mode
    return out.detach()


# --- patches and neighbours ---


@unusual("top_patches")
def by_a_heap(activations, images, unit, k=9):
    n, _, h, w = activations.shape
    sh, sw = images.shape[2] // h, images.shape[3] // w
    values = activations[:, unit].tolist()
    places = product(range(n), range(h), range(w))
    best = heapq.nlargest(k, places, key=lambda p: values[p[0]][p[1]][p[2]])
    return torch.stack(
        [
            images[a, :, i * sh : i * sh + sh, j * sw : j * sw + sw].detach().clone()
            for a, i, j in best
        ]
    )


@unusual("top_patches")
def by_unfolding(activations, images, unit, k=9):
    N, _, h, w = activations.shape
    C, H, W = images.shape[1:]
    size = H // h, W // w
    columns = F.unfold(images.detach(), size, stride=size)
    patches = columns.transpose(1, 2).reshape(N * h * w, C, *size)
    order = np.argsort(-activations[:, unit].detach().numpy().ravel(), kind="stable")
    return patches[torch.from_numpy(order[:k].copy())]


@unusual("top_patches")
def by_reshaping(activations, images, unit, k=9):
    N, _, h, w = activations.shape
    C = images.shape[1]
    grid = images.detach().reshape(N, C, h, -1, w, images.shape[3] // w)
    grid = grid.permute(0, 2, 4, 1, 3, 5)
    values, flat = activations.select(1, unit).detach().flatten().sort(descending=True)
    n, i, j = np.unravel_index(flat[:k].numpy(), (N, h, w))
    return grid[n, i, j]


@unusual("nearest_in_feature_space")
def by_cdist(features, query, k=5):
    apart = torch.cdist(
        features.detach(),
        query.detach()[None],
        compute_mode="donot_use_mm_for_euclid_dist",
    )
    number = min(k, features.shape[0])
    return apart[:, 0].topk(number, largest=False, sorted=True).indices


@unusual("nearest_in_feature_space")
def by_a_heap_of_distances(features, query, k=5):
    rows, point = features.tolist(), query.tolist()
    order = heapq.nsmallest(
        k, range(len(rows)), key=lambda i: math.dist(rows[i], point)
    )
    return torch.tensor(order)


@unusual("nearest_in_feature_space")
def by_expanding_the_square(features, query, k=5):
    features, query = features.detach().double(), query.detach().double()
    squares = features.square().sum(1) - 2 * features @ query
    return torch.sort(squares, stable=True)[1][:k]


@unusual("nearest_in_feature_space")
def by_numpy_s_norm(features, query, k=5):
    gaps = np.linalg.norm((features - query).detach().numpy(), axis=-1)
    return torch.from_numpy(np.lexsort((np.arange(len(gaps)), gaps))[:k].copy())


# --- the shortcut ---


def _by_covering(model, X, y, size, value, stride=1):
    was = [(m, m.training) for m in model.modules()]
    model.eval()
    probs = {}
    with torch.no_grad():
        for i in range(0, X.shape[2] - size + 1, stride):
            for j in range(0, X.shape[3] - size + 1, stride):
                covered = X.clone()
                covered[:, :, i : i + size, j : j + size] = value
                out = model(covered).softmax(1)
                probs[i, j] = float(out[torch.arange(len(X)), y].mean())
    for m, mode in was:
        m.training = mode
    return min(probs, key=probs.get)


UNUSUAL["find_shortcut"] = {
    "covered with black": (partial(_by_covering, value=0.0, stride=2),),
    "covered with grey": (partial(_by_covering, value=0.5),),
}


@unusual("find_shortcut")
def by_median_of_maps(model, X, y, size):
    maps = right.compute_saliency_maps(X, y, model)
    middle = maps.median(dim=0).values
    sums = nn.functional.conv2d(middle[None, None], torch.ones(1, 1, size, size))[0, 0]
    row, column = np.unravel_index(int(sums.argmax()), sums.shape)
    return int(row), int(column)


@unusual("find_shortcut")
def by_swapping_blocks(model, X, y, size):
    """Whose block makes the network change its mind?"""
    was = [(m, m.training) for m in model.modules()]
    model.eval()
    other = X.roll(1, dims=0)
    best = (-1.0, 0, 0)
    with torch.no_grad():
        usual = model(X).softmax(1)
        for i in range(X.shape[2] - size + 1):
            for j in range(X.shape[3] - size + 1):
                mixed = X.clone()
                block = np.s_[:, :, i : i + size, j : j + size]
                mixed[block] = other[block]
                change = float((model(mixed).softmax(1) - usual).abs().mean())
                best = max(best, (change, i, j))
    for m, mode in was:
        m.training = mode
    return best[1:]
