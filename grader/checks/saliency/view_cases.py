"""Topic 11, on what: maps to be clipped, activations with their images, features."""

import numpy as np
import torch

from grader.checks.saliency.cases import normal


def _clip(saliency, **options):
    return {"given": {"saliency": saliency}, "options": options}


def clip_default(rng):
    """Maps with outliers, of shapes for which the percentile is an entry or not."""
    maps = [normal(rng, *shape).abs() for shape in [(8, 9), (1, 101), (12, 5), (3, 1)]]
    maps[0][2, 3] = 50.0
    maps[2] = maps[2] ** 3
    return [_clip(m) for m in maps]


def clip_percentiles(rng):
    shapes = [(6, 7), (5, 5), (1, 4), (9, 4), (4, 4), (10, 10)]
    percentiles = [90, 50, 75.5, 99.9, 100, 12]
    maps = [normal(rng, *shape).abs() + 0.1 for shape in shapes]
    return [_clip(m, q=q) for m, q in zip(maps, percentiles, strict=True)]


def clip_signed(rng):
    """Maps with negative entries, too, the largest among them."""
    maps = [normal(rng, 6, 7), normal(rng, 5, 4)]
    for signed in maps:
        signed[2, 1] = -9.0
    return [_clip(maps[0]), _clip(maps[1], q=80)]


def clip_flat(rng):
    """Maps of which the percentile is zero, or less, beside one that is flat."""
    spike = torch.zeros(15, 20, dtype=torch.float64)
    spike[3, 4] = 2.0
    negative = -normal(rng, 5, 5).abs()
    flat = torch.full((3, 4), 0.7, dtype=torch.float64)
    zero = torch.zeros(4, 5)
    return [_clip(m) for m in (zero, zero.double(), spike, negative, flat)]


def clip_float32(rng):
    wanted = normal(rng, 7, 8).abs().requires_grad_()
    single = normal(rng, 6, 5, dtype=torch.float32)
    single[1, 3] = -9.0
    return [_clip(single), _clip(wanted, q=95), _clip(single.abs().requires_grad_())]


# --- patches ---


def _patches(rng, N, U, cells, block, C=3, unit=0, dtype=torch.float64, **options):
    h, w = cells
    high, wide = block
    given = {
        "activations": normal(rng, N, U, h, w, dtype=dtype),
        "images": torch.tensor(rng.random((N, C, h * high, w * wide))).to(dtype),
        "unit": unit,
    }
    return {"given": given, "options": options}


def patches(rng):
    return [
        _patches(rng, 4, 3, (4, 4), (2, 2), unit=1),
        _patches(rng, 3, 2, (5, 5), (3, 3), C=1, unit=1, k=4),
        _patches(rng, 5, 4, (3, 3), (1, 1), unit=3),
    ]


def patches_wide(rng):
    """Maps and blocks that are not square."""
    return [
        _patches(rng, 3, 2, (3, 6), (2, 2), unit=1),
        _patches(rng, 4, 3, (5, 2), (2, 3), unit=2, k=6),
        _patches(rng, 3, 1, (2, 7), (4, 1)),
    ]


def patches_number(rng):
    """One patch, more than there are, one image, one cell."""
    more = _patches(rng, 2, 2, (2, 2), (2, 3), unit=1, k=20)
    # the two best are in one image
    more["given"]["activations"][1, 1] += 9
    return [
        _patches(rng, 2, 2, (3, 2), (2, 2), unit=1, k=1),
        more,
        _patches(rng, 1, 3, (4, 3), (2, 2), unit=2),
        _patches(rng, 4, 2, (1, 1), (3, 4), unit=1, k=3),
        _patches(rng, 1, 1, (1, 1), (2, 2)),
    ]


def patches_tied(rng):
    """Activations that are all negative, and some of which tie."""
    negative = _patches(rng, 3, 2, (3, 3), (2, 2), unit=1)
    negative["given"]["activations"] -= 20
    # the best of them are in one image
    negative["given"]["activations"][1] += 9
    tied = _patches(rng, 3, 2, (3, 4), (2, 2), unit=1, k=7)
    levels = torch.tensor(rng.integers(0, 3, tied["given"]["activations"].shape))
    tied["given"]["activations"] = levels.double()
    zero = _patches(rng, 2, 2, (3, 3), (2, 2), k=5)
    zero["given"]["activations"][:, 0] = 0
    return [negative, tied, zero]


def patches_float32(rng):
    """float32, and tensors that ask for gradients."""
    single = _patches(rng, 3, 2, (3, 4), (2, 2), dtype=torch.float32)
    wanted = _patches(rng, 2, 2, (3, 3), (2, 1), unit=1)
    for name in ("activations", "images"):
        wanted["given"][name].requires_grad_()
    return [single, wanted]


# --- neighbours ---


def _neighbours(rng, N, D, dtype=torch.float64, **options):
    """Features of very different lengths, so that angles and distances disagree."""
    lengths = torch.tensor(rng.uniform(0.1, 6, (N, 1)))
    features = (normal(rng, N, D) * lengths).to(dtype)
    given = {"features": features, "query": normal(rng, D, dtype=dtype) * 2}
    return {"given": given, "options": options}


def neighbours(rng):
    return [_neighbours(rng, 60, 4), _neighbours(rng, 40, 12), _neighbours(rng, 30, 1)]


def neighbours_number(rng):
    """As many as there are, more than there are, one."""
    numbers = [(30, 3, 12), (6, 5, 6), (4, 3, 9), (20, 4, 1), (1, 2, 5)]
    return [_neighbours(rng, N, D, k=k) for N, D, k in numbers]


def neighbours_own(rng):
    """A query that is among the features, and features that tie."""
    own = _neighbours(rng, 25, 6, k=3)
    query = own["given"]["query"] = own["given"]["features"][11].clone()
    # close ones, in an order that no other distance gives
    close = torch.zeros(4, 6, dtype=torch.float64)
    close[0, :2], close[1, 0], close[2, 0], close[3, :2] = 0.008, 0.012, 0.014, 0.011
    own["given"]["features"][[20, 3, 15, 7]] = query + close
    tied = _neighbours(rng, 24, 2, k=8)
    tied["given"]["features"] = torch.tensor(np.round(rng.normal(size=(24, 2))))
    tied["given"]["query"] = torch.zeros(2, dtype=torch.float64)
    return [own, tied]


def neighbours_float32(rng):
    single = _neighbours(rng, 30, 8, torch.float32)
    wanted = _neighbours(rng, 20, 3)
    for tensor in wanted["given"].values():
        tensor.requires_grad_()
    return [single, wanted]
