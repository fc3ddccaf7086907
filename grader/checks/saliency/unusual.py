"""Topic 11, right answers that look unlike the usual ones, to sample a class from.

``UNUSUAL`` maps a group of functions that belong together to answers, each of them the
functions of that group under the names that the notebook gives them. They need no more
than ``np``, ``torch`` and ``nn``, so that their source can stand in a notebook.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from grader.checks.unusual import collect_into

UNUSUAL: dict[str, list[tuple[Callable, ...]]] = {}
_unusual = collect_into(UNUSUAL)


@_unusual
def compute_saliency_maps__image_by_image():
    def compute_saliency_maps(X, y, model):
        modes = [m.training for m in model.modules()]
        model.eval()
        maps = []
        with torch.enable_grad():
            for image, label in zip(X.detach(), y, strict=True):
                image = image.clone().unsqueeze(0).requires_grad_()
                score = model(image)[0, label]
                (grad,) = torch.autograd.grad(score, [image])
                maps.append(grad.abs().max(dim=1)[0])
        for m, mode in zip(model.modules(), modes, strict=True):
            m.training = mode
        return torch.cat(maps)

    return (compute_saliency_maps,)


@_unusual
def smoothgrad__in_one_batch():
    def smoothgrad(model, x, y, noise=0.1, samples=50, *, rng=None):
        modes = [m.training for m in model.modules()]
        model.eval()
        x = x.detach()
        sigma = noise * (x.flatten(1).amax(1) - x.flatten(1).amin(1))
        drawn = torch.randn((samples, *x.shape), generator=rng, dtype=x.dtype)
        copies = (x + sigma.view(-1, 1, 1, 1) * drawn).flatten(0, 1).requires_grad_()
        with torch.enable_grad():
            scores = model(copies)[torch.arange(samples * len(x)), y.repeat(samples)]
            (grads,) = torch.autograd.grad(scores.sum(), copies)
        for m, mode in zip(model.modules(), modes, strict=True):
            m.training = mode
        return grads.abs().amax(1).unflatten(0, (samples, len(x))).mean(0)

    return (smoothgrad,)


@_unusual
def percentile_clip__by_numpy():
    def percentile_clip(saliency, q=99):
        values = saliency.detach().numpy()
        top = np.percentile(values, q)
        shown = values.clip(0, top) / top if top > 0 else 0 * values
        return torch.from_numpy(shown.astype(values.dtype))

    return (percentile_clip,)


@_unusual
def integrated_gradients__by_trapezoids():
    def integrated_gradients(model, x, y, baseline, steps=50):
        modes = [m.training for m in model.modules()]
        model.eval()
        x = x.detach()
        start = torch.broadcast_to(baseline.detach(), x.shape)
        grads = []
        for share in torch.linspace(0, 1, steps + 1).tolist():
            point = torch.lerp(start, x, share).requires_grad_()
            with torch.enable_grad():
                score = model(point).gather(1, y.unsqueeze(1)).sum()
                grads.append(torch.autograd.grad(score, point)[0])
        for m, mode in zip(model.modules(), modes, strict=True):
            m.training = mode
        inner = sum(grads[1:-1]) + (grads[0] + grads[-1]) / 2
        return (x - start) * inner / steps

    return (integrated_gradients,)


@_unusual
def occlusion_map__block_by_block():
    def occlusion_map(model, x, y, size, stride, value=0.0):
        modes = [m.training for m in model.modules()]
        model.eval()
        rows = []
        for top in range(0, x.shape[2] - size + 1, stride):
            rows.append([])
            for left in range(0, x.shape[3] - size + 1, stride):
                covered = x.detach().clone()
                covered[..., top : top + size, left : left + size] = value
                probs = nn.functional.softmax(model(covered), dim=1)
                rows[-1].append(probs[0, int(y)].item())
        for m, mode in zip(model.modules(), modes, strict=True):
            m.training = mode
        return torch.tensor(rows, dtype=x.dtype)

    return (occlusion_map,)


@_unusual
def top_patches__by_sorting_tuples():
    def top_patches(activations, images, unit, k=9):
        N, _, h, w = activations.shape
        high, wide = images.shape[-2] // h, images.shape[-1] // w
        cells = [
            (-activations[n, unit, i, j].item(), n, i, j)
            for n in range(N)
            for i in range(h)
            for j in range(w)
        ]
        found = [
            images[n, :, i * high : (i + 1) * high, j * wide : (j + 1) * wide]
            for _, n, i, j in sorted(cells)[:k]
        ]
        return torch.stack(found).detach()

    return (top_patches,)


@_unusual
def nearest_in_feature_space__by_numpy():
    def nearest_in_feature_space(features, query, k=5):
        gaps = (features - query).detach().numpy()
        order = np.argsort((gaps**2).sum(axis=1), kind="stable")[:k]
        return torch.from_numpy(order.astype(np.int64))

    return (nearest_in_feature_space,)


@_unusual
def find_shortcut__by_covering():
    def find_shortcut(model, X, y, size):
        modes = [m.training for m in model.modules()]
        model.eval()
        best = (2.0, 0, 0)
        with torch.no_grad():
            for row in range(X.shape[2] - size + 1):
                for column in range(X.shape[3] - size + 1):
                    covered = X.clone()
                    covered[:, :, row : row + size, column : column + size] = 0.5
                    probs = model(covered).softmax(1).gather(1, y[:, None])
                    best = min(best, (float(probs.mean()), row, column))
        for m, mode in zip(model.modules(), modes, strict=True):
            m.training = mode
        return best[1:]

    return (find_shortcut,)
