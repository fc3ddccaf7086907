"""Topic 12, comparisons that ask for something else than equality: of types, of random
starts, and of what led on from them."""

import numpy as np
import torch

from grader.comparing import disagreement

_PROMISED = {
    "float": (("float", "float64", "float32", "int"), "a float"),
    "Tensor": (("Tensor", "Parameter"), "a tensor"),
}

_ON_A_GRAPH = "what came back is still part of a graph that autograd keeps: detach it"


def compare_kind(key, seen, expected):
    """Compare as usual; say in words what is wrong with a type or a graph."""
    if key == "type":
        kinds, promised = _PROMISED[expected]
        return "" if seen in kinds else f"a {seen} came back, {promised} is promised"
    if key == "is on a graph":
        return _ON_A_GRAPH if seen else ""
    # floats that were computed in float32 are no more exact than that
    floats = key == "losses" or isinstance(expected, float)
    return disagreement(key, seen, expected, 1e-4 if floats else None)


def _points(values, like) -> list[torch.Tensor] | str:
    """Return images as tensors, or in words why one of them is none."""
    if not isinstance(values, list):
        return "what came back is not what the contract promises"
    for value in values:
        # whatever their values are
        if words := disagreement("the start", value, like, rtol=1e9):
            return words
    return [torch.as_tensor(np.asarray(value)) for value in values]


def compare_starts(key, seen, expected):
    """Starts lie in the ball and in [0, 1], and are uniform where the ball ends
    first."""
    x, epsilon = expected["x"], expected["epsilon"]
    starts = _points(seen, x)
    if isinstance(starts, str):
        return starts
    for start in starts:
        if not ((start >= 0) & (start <= 1)).all():
            return "the start leaves [0, 1]"
        if ((start - x).abs() > epsilon * (1 + 1e-5)).any():
            return "the start lies outside of the ball around x"
    free = (x >= epsilon) & (x <= 1 - epsilon)
    ways = [((start - x)[free] / epsilon).numpy() for start in starts]
    if not np.any(ways):
        return "with a generator the attack still starts at x"
    shares = np.histogram(ways, bins=8, range=(-1, 1))[0] / np.size(ways)
    # each is an eighth, give or take 0.01 or so, of over a thousand pixels
    if shares.min() < 0.06 or shares.max() > 0.19:
        return "starts are not uniformly distributed over the ball"
    if any(len(np.unique(way)) < 0.9 * len(way) for way in ways):
        return "pixels or images share what is drawn for them"
    return ""


def compare_draws(key, seen, expected):
    """What is drawn depends on the generator that is given, and on nothing else."""
    drawn = _points(seen, expected["x"])
    if isinstance(drawn, str):
        return drawn
    *starts, again, first, second = drawn
    if not torch.equal(again, starts[0]):
        return "a generator of the same seed leads to another start: draw from `rng`"
    pairs = zip(starts, starts[1:], strict=False)
    if any(torch.equal(one, other) for one, other in pairs):
        return "generators of different seeds lead to the same start: draw from `rng`"
    if not torch.equal(first, starts[0]) or torch.equal(first, second):
        return "a second attack with the same generator starts where the first did"
    return ""


def compare_attack(key, seen, expected):
    """The attack went on from its start; ``expected`` tells where that leads."""
    points = _points(seen, expected["x"])
    if isinstance(points, str):
        return points
    start, end = points
    return disagreement("the attacked image", end, expected["leads to"](start))
