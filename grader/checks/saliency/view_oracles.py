"""Topic 11, what is right: clipped maps, patches and neighbours, in NumPy.

Where ties leave a choice, an oracle returns what is to be known to judge the answer.
"""

from dataclasses import dataclass

import numpy as np
import torch

from grader.checks.saliency.oracles import UNTOUCHED
from grader.comparing import disagreement


def percentile_clip(given, options):
    saliency = given["saliency"].detach()
    values = saliency.double().numpy()
    top = np.percentile(values, options.get("q", 99))
    shown = np.clip(values, 0, top) / top if top > 0 else np.zeros_like(values)
    return {"result": torch.tensor(shown).to(saliency.dtype), **UNTOUCHED}


@dataclass(frozen=True)
class Patches:
    """All patches of a unit, each with its activation, and how many are asked for."""

    activations: np.ndarray
    patches: list[torch.Tensor]
    number: int


def top_patches(given, options):
    activations, images = given["activations"].detach(), given["images"].detach()
    N, _, h, w = activations.shape
    high, wide = images.shape[2] // h, images.shape[3] // w
    rows = images.unfold(2, high, high).unfold(3, wide, wide)
    patches = [rows[n, :, i, j] for n, i, j in np.ndindex(N, h, w)]
    values = activations[:, given["unit"]].numpy().reshape(-1)
    number = min(options.get("k", 9), len(values))
    return {"result": Patches(values, patches, number), **UNTOUCHED}


def compare_patches(key, seen, expected):
    """Return in words how patches are not the most exciting ones, or an empty text."""
    if not isinstance(expected, Patches):
        return _otherwise(key, seen, expected)
    wanted = torch.stack(expected.patches[: expected.number])
    if words := disagreement(key, 0 * seen, 0 * wanted):
        return words
    best = np.sort(expected.activations)[::-1][: expected.number]
    free = set(range(len(expected.activations)))
    for patch, value in zip(seen, best, strict=True):
        cells = (
            cell
            for cell in free
            if expected.activations[cell] == value
            and torch.equal(expected.patches[cell], patch)
        )
        found = next(cells, None)
        if found is None:
            return _wrong_patch(patch, expected)
        free.remove(found)
    return ""


def _wrong_patch(patch, expected: Patches) -> str:
    if any(torch.equal(patch, one) for one in expected.patches):
        return "other patches than these, or another order, are the most exciting ones"
    return "what came back are not the blocks of the images that lie under cells"


@dataclass(frozen=True)
class Neighbours:
    """The distances of all features from the query, and how many are asked for."""

    distances: np.ndarray
    number: int


def nearest_in_feature_space(given, options):
    features, query = (t.detach().double().numpy() for t in given.values())
    distances = np.sqrt(((features - query) ** 2).sum(axis=1))
    number = min(options.get("k", 5), len(distances))
    return {"result": Neighbours(distances, number), **UNTOUCHED}


def compare_neighbours(key, seen, expected):
    """Return in words how indices are not those of the nearest, or an empty text."""
    if not isinstance(expected, Neighbours):
        return _otherwise(key, seen, expected)
    wanted = torch.zeros(expected.number, dtype=torch.int64)
    if words := disagreement(key, 0 * seen, wanted):
        return words
    places = seen.numpy()
    if len(np.unique(places)) < len(places):
        return "an index stands twice"
    if not ((places >= 0) & (places < len(expected.distances))).all():
        return "an index is not that of a feature"
    best = np.sort(expected.distances)[: expected.number]
    close = np.isclose(expected.distances[places], best, rtol=1e-4, atol=1e-6)
    return "" if close.all() else "other features, or another order, are the nearest"


def _otherwise(key, seen, expected) -> str:
    if key == "changed" and seen:
        names = ", ".join(f"`{name}`" for name in seen)
        return f"your code changes what it was given: {names}"
    return disagreement(key, seen, expected)
