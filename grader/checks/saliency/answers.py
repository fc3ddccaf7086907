"""Topic 11, compact right answers: what the mistakes are edits of."""

import torch

from fovea.diagnosis import evaluating


def compute_saliency_maps(X, y, model):
    inputs = X.detach().clone().requires_grad_()
    with torch.enable_grad(), evaluating(model):
        scores = model(inputs)
        chosen = scores[torch.arange(len(X)), y]
        (grads,) = torch.autograd.grad(chosen.sum(), inputs)
    return grads.abs().amax(dim=1)


def smoothgrad(model, x, y, noise=0.1, samples=50, *, rng=None):
    low, high = x.detach().amin(dim=(1, 2, 3)), x.detach().amax(dim=(1, 2, 3))
    sigma = noise * (high - low)[:, None, None, None]
    total = 0
    for _ in range(samples):
        drawn = torch.randn(x.shape, generator=rng, dtype=x.dtype)
        inputs = (x.detach() + sigma * drawn).requires_grad_()
        with torch.enable_grad(), evaluating(model):
            scores = model(inputs)
            chosen = scores[torch.arange(len(x)), y]
            (grads,) = torch.autograd.grad(chosen.sum(), inputs)
        total = total + grads.abs().amax(dim=1)
    return total / samples


def percentile_clip(saliency, q=99):
    top = torch.quantile(saliency.detach(), q / 100)
    if top <= 0:
        return torch.zeros_like(saliency)
    clipped = saliency.detach().clamp(0, top)
    return clipped / top


def integrated_gradients(model, x, y, baseline, steps=50):
    start = baseline.detach().expand_as(x)
    way = x.detach() - start
    total = torch.zeros_like(way)
    for step in range(steps):
        share = (step + 0.5) / steps
        inputs = (start + share * way).requires_grad_()
        with torch.enable_grad(), evaluating(model):
            scores = model(inputs)
            chosen = scores[torch.arange(len(x)), y]
            (grads,) = torch.autograd.grad(chosen.sum(), inputs)
        total = total + grads
    return way * total / steps


def occlusion_map(model, x, y, size, stride, value=0.0):
    H, W = x.shape[2:]
    rows, columns = (H - size) // stride + 1, (W - size) // stride + 1
    probs = torch.zeros(rows, columns, dtype=x.dtype)
    with torch.no_grad(), evaluating(model):
        for i in range(rows):
            for j in range(columns):
                covered = x.detach().clone()
                top, left = i * stride, j * stride
                covered[:, :, top : top + size, left : left + size] = value
                scores = model(covered)
                probs[i, j] = scores.softmax(dim=1)[0, int(y)]
    return probs


def top_patches(activations, images, unit, k=9):
    N, _, h, w = activations.shape
    high, wide = images.shape[2] // h, images.shape[3] // w
    values = activations.detach()[:, unit].reshape(-1)
    k = min(k, len(values))
    places = values.topk(k).indices.tolist()
    patches = []
    for place in places:
        n, i, j = place // (h * w), place // w % h, place % w
        top, left = i * high, j * wide
        patches.append(images.detach()[n, :, top : top + high, left : left + wide])
    return torch.stack(patches)


def nearest_in_feature_space(features, query, k=5):
    offsets = features.detach() - query.detach()
    distances = offsets.square().sum(dim=1)
    return distances.argsort()[:k]


def find_shortcut(model, X, y, size):
    inputs = X.detach().clone().requires_grad_()
    with torch.enable_grad(), evaluating(model):
        scores = model(inputs)
        chosen = scores[torch.arange(len(X)), y]
        (grads,) = torch.autograd.grad(chosen.sum(), inputs)
    maps = grads.abs().amax(dim=1)
    maps = maps / maps.sum(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    average = maps.mean(dim=0)[None, None]
    blocks = torch.nn.functional.avg_pool2d(average, size, stride=1)[0, 0]
    row, column = divmod(int(blocks.argmax()), blocks.shape[1])
    return row, column
