"""Topic 12, on what: linear models."""

import torch

from grader.checks.adversarial.cases import drawn


def _weights(rng, *shape, dtype="float64"):
    return torch.tensor(rng.normal(size=shape), dtype=getattr(torch, dtype))


def drops(rng):
    shapes = [((6,), 0.25), ((1, 4, 5), 0.1), ((3, 2, 7), 0.0), ((1,), 2.0)]
    return [{"w": _weights(rng, *s), "epsilon": epsilon} for s, epsilon in shapes]


def drops_large(rng):
    """In high dimension: every entry counts."""
    return [{"w": _weights(rng, 3, 40, 50) / 10, "epsilon": 1 / 255}]


def drops_float32(rng):
    sizes = [(7,), (1, 3, 3)]
    return [{"w": _weights(rng, *s, dtype="float32"), "epsilon": 0.125} for s in sizes]


def _lines(rng, num_classes, num_pixels, num_images, dtype="float64", ahead=True):
    """A linear model; its own predictions are the labels if they are ``ahead``."""

    def draw():
        W, b = _weights(rng, num_classes, num_pixels), _weights(rng, num_classes)
        # some classes lie much closer together than others
        W = W * torch.tensor(rng.uniform(0.2, 3, (num_classes, 1)))
        x = _weights(rng, num_images, num_pixels)
        order = (x @ W.T + 2 * b).argsort(dim=1, descending=True)
        place = 0 if ahead else rng.integers(num_classes, size=num_images)
        y = order[range(num_images), place].contiguous()
        W, b, x = (v.to(getattr(torch, dtype)) for v in (W, 2 * b, x))
        return {"W": W, "b": b, "x": x, "y": y}

    def fair(case):
        W, y = case["W"], case["y"]
        scores = case["x"] @ W.T + case["b"]
        if (scores.sort(dim=1).values.diff(dim=1) <= 0.02).any():
            return False
        leads = scores.gather(1, y[:, None]) - scores
        falls = (W[y][:, None] - W).abs().sum(2)
        leads[falls == 0] = torch.inf
        soonest, nearest = (leads / falls).argmin(1), leads.argmin(1)
        # of three classes and more, the nearest is not always the first to catch up
        return num_classes == 2 or bool(
            ((soonest != nearest) & (leads.amin(1) > 0)).any()
        )

    return drawn(draw, fair)


def flips_of_two(rng):
    return [_lines(rng, 2, 6, 4), _lines(rng, 2, 1, 1), _lines(rng, 2, 30, 3)]


def flips(rng):
    return [_lines(rng, 5, 6, 8), _lines(rng, 3, 4, 6), _lines(rng, 4, 9, 1)]


def flips_behind(rng):
    """Some images that are named wrong without any change."""
    return [_lines(rng, 4, 6, 12, ahead=False), _lines(rng, 2, 3, 6, ahead=False)]


def flips_float32(rng):
    return [_lines(rng, 4, 6, 4, "float32"), _lines(rng, 3, 5, 5, "float32", False)]
