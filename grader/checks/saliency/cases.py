"""Topic 11, on what: networks and images over all of the range that the stubs promise.

Each exercise has a ``Map``: it makes cases of its own arguments from the same settings.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from grader.checks.saliency.networks import (
    build_linear,
    build_quadratic,
    build_relu,
    build_smooth,
    network,
    put,
)

NORMAL = {
    "mode": "eval",
    "frozen": False,
    "grads": False,
    "no_grad": False,
    "wants": [],
}


def normal(rng, *shape, dtype=torch.float64):
    return torch.tensor(rng.normal(size=shape)).to(dtype)


def labels(rng, num, num_classes):
    """Labels of which at least two differ, if there are two."""
    return torch.tensor(
        (rng.permutation(num) + rng.integers(num_classes)) % num_classes
    )


@dataclass(frozen=True)
class Map:
    """What an exercise is called with: ``order``, and what ``give`` and ``options`` add
    to images and labels; the names of the images and of the labels are ``names``."""

    order: tuple[str, ...]
    give: Callable = lambda rng, given: {}
    options: Callable = lambda rng: {}
    names: tuple[str, str] = ("x", "y")

    def case(self, rng, build, shape, num=1, dtype=torch.float64, **setting):
        num_classes = 4
        made = network(rng, build, shape, num_classes, dtype)
        images, y = self.names
        x = normal(rng, num, *shape, dtype=dtype)
        given = {images: x, y: labels(rng, num, num_classes)}
        return {
            "model": made,
            "order": list(self.order),
            "given": given | self.give(rng, given),
            "options": self.options(rng),
            "setting": NORMAL | setting,
        }

    def linear(self, rng):
        return [
            self.case(rng, build_linear, (3, 4, 5), 4),
            self.case(rng, build_linear, (2, 6, 3), 3),
        ]

    def nets(self, rng):
        """Smooth scores and scores with kinks; images that are not square."""
        return [
            self.case(rng, build_smooth, (3, 6, 5), 3),
            self.case(rng, build_relu, (3, 4, 7), 4),
            self.case(rng, build_smooth, (2, 5, 5), 3),
        ]

    def small(self, rng):
        """One image, one channel, one row or column; with other sizes, too."""
        return [
            self.case(rng, build_smooth, (3, 5, 4)),
            self.case(rng, build_relu, (1, 4, 4), 3),
            self.case(rng, build_smooth, (1, 6, 1), 2),
            self.case(rng, build_relu, (2, 1, 5)),
            self.case(rng, build_linear, (1, 1, 1)),
        ]

    def modes(self, rng):
        """Networks that know two modes, and are not, or not all, in evaluation."""
        return [
            self.case(rng, build_smooth, (2, 5, 4), 3, mode="train"),
            self.case(rng, build_smooth, (1, 4, 4), 2, mode="mixed"),
        ]

    def float32(self, rng):
        kinds = {"dtype": torch.float32}
        return [
            self.case(rng, build_smooth, (3, 4, 5), 3, **kinds),
            self.case(rng, build_relu, (1, 4, 4), 1, **kinds),
        ]

    def guarded(self, rng):
        """Inside torch.no_grad(), and weights that require no gradient."""
        return [
            self.case(rng, build_smooth, (2, 4, 4), 2, no_grad=True),
            self.case(rng, build_smooth, (1, 3, 5), 2, frozen=True, no_grad=True),
            self.case(rng, build_relu, (2, 4, 3), 2, frozen=True),
        ]

    def watched(self, rng):
        """Gradients that were there before, and images that ask for one."""
        images = self.names[0]
        wants = [images] + (["baseline"] if "baseline" in self.order else [])
        return [
            self.case(rng, build_smooth, (2, 4, 5), 2, grads=True, mode="train"),
            self.case(rng, build_smooth, (1, 4, 4), 2, wants=wants, mode="mixed"),
            self.case(rng, build_relu, (3, 3, 4), 1, wants=wants, grads=True),
            self.case(rng, build_smooth, (1, 3, 4), 1, frozen=True),
        ]


saliency = Map(order=("X", "y", "model"), names=("X", "y"))


# --- SmoothGrad ---

without_noise = Map(
    order=("model", "x", "y"), options=lambda rng: {"noise": 0, "samples": 3}
)
# on a linear network noise changes nothing
with_noise = Map(
    order=("model", "x", "y"), options=lambda rng: {"noise": 0.5, "samples": 4}
)


def smoothgrad_exact(rng):
    """Without noise, with an image of one colour, and for one sample, too."""
    flat = without_noise.case(rng, build_smooth, (2, 4, 4), 2)
    flat["given"]["x"][1] = 0.25
    flat["given"]["x"] = flat["given"]["x"][1:]
    flat["given"]["y"] = flat["given"]["y"][1:]
    flat["options"] = {"noise": 0.3, "samples": 2}
    one = without_noise.case(rng, build_smooth, (3, 4, 4), 2)
    one["options"] = {"noise": 0.0, "samples": 1}
    return [*without_noise.nets(rng), flat, one]


def smoothgrad_linear(rng):
    """A linear network, averaged over one copy or several."""
    cases = with_noise.linear(rng)
    cases += [with_noise.case(rng, build_linear, (1, 4, 4)) for _ in range(2)]
    cases[2]["options"] = {"noise": 2.0, "samples": 1}
    cases[3]["options"] = {"samples": 7}
    return cases


def _random(rng, options, seeds, sizes=(12, 11), dtype=torch.float64):
    """Quadratic scores of three images of different ranges, at their stationary points:
    the map of a copy is |curve · noise|."""
    case = with_noise.case(rng, build_quadratic, (2, *sizes), 3, dtype)
    x, y, model = case["given"]["x"], case["given"]["y"], case["model"].model
    # the ranges differ, and so do those of the channels, and none begins at 0
    x *= torch.tensor([1.0, 0.3, 2.0], dtype=dtype)[:, None, None, None]
    x[:, 1] *= 0.2
    # many pixels lie at the ends of the last one's range
    x[2] = 4 * (x[2] > 0)
    x += torch.tensor([5.0, -3.0, 1.0], dtype=dtype)[:, None, None, None]
    sign = rng.choice([-1, 1], size=model.curve.shape)
    put(model.curve, sign * rng.uniform(0.5, 1.5, model.curve.shape))
    for image, label in zip(x, y, strict=True):
        put(model.slope[label], (-model.curve[label] * image).detach().numpy())
    return {**case, "options": options, "seeds": seeds}


def smoothgrad_noisy(rng):
    seeds = [int(s) for s in rng.integers(2**31, size=6)]
    return [
        _random(rng, {"noise": 0.2, "samples": 2}, seeds),
        # without a generator
        _random(rng, {"noise": 0.05, "samples": 1}, [None] * 6, (10, 13)),
    ]


def smoothgrad_default(rng):
    """Nothing is said of noise and samples."""
    case = with_noise.case(rng, build_relu, (2, 3, 4), 2)
    case |= {"options": {}, "seeds": [int(rng.integers(2**31))]}
    # whoever leaves both out does the same with all of these
    others = [(0.1, 50), (0.12, 50), (0.1, 49)]
    return [{**case, "same_as": {"noise": n, "samples": s}} for n, s in others]


def smoothgrad_seeded(rng):
    first, second = (int(s) for s in rng.integers(2**31, size=2))
    options = {"noise": 0.2, "samples": 2}
    return [_random(rng, options, [first, first, second, None], (5, 4))]


# --- integrated gradients ---


def _baseline(rng, given):
    return {"baseline": normal(rng, *given["x"].shape).to(given["x"].dtype)}


integrated = Map(
    order=("model", "x", "y", "baseline"),
    give=_baseline,
    options=lambda rng: {"steps": 10},
)


def integrated_nets(rng):
    return [{**case, "options": {"steps": 16}} for case in integrated.nets(rng)]


def integrated_default(rng):
    """Fifty steps, as nothing is said of them, for a class that is not predicted."""
    case = integrated.case(rng, build_relu, (2, 3, 3))
    given = case["given"]
    given["y"] = case["model"].model(given["x"]).argmin(dim=1)
    return [{**case, "options": {}, "same_as": {"steps": 50}}]


def integrated_steps(rng):
    """Few steps and many; the more there are, the closer an answer has to be."""
    cases = integrated.nets(rng)
    steps = [2, 24, 72]
    return [
        {**case, "options": {"steps": n}} for case, n in zip(cases, steps, strict=True)
    ]


def integrated_baselines(rng):
    """Baselines of all shapes that can be broadcast to x."""
    shapes = [(3, 4, 5), (1, 3, 1, 1), (2, 1, 1, 1), ()]
    cases = []
    for i, shape in enumerate(shapes):
        build = (build_relu, build_smooth)[i % 2]
        case = integrated.case(rng, build, (3, 4, 5), 2)
        case["given"]["baseline"] = normal(rng, *shape) if shape else torch.tensor(0.5)
        case["given"]["baseline"] = case["given"]["baseline"].double()
        cases.append(case)
    return cases


# --- occlusion ---


def _block(size, stride):
    return lambda rng, given: {"size": size, "stride": stride}


def _occlusion(size, stride, **options):
    return Map(
        order=("model", "x", "y", "size", "stride"),
        give=_block(size, stride),
        options=lambda rng: options,
    )


def _settings(rng, settings):
    """Cases of (build, shape, size, stride, options)."""
    cases = []
    for i, (build, shape, size, stride, options) in enumerate(settings):
        case = _occlusion(size, stride, **options).case(rng, build, shape)
        # a class is an int, or a tensor of one
        if i % 2:
            case["given"]["y"] = int(case["given"]["y"])
        cases.append(case)
    return cases


def occlusion_apart(rng):
    """Blocks side by side."""
    settings = [
        (build_smooth, (3, 6, 8), 2, 2, {}),
        (build_relu, (3, 9, 6), 3, 3, {}),
        (build_linear, (2, 4, 6), 2, 2, {}),
    ]
    return _settings(rng, settings)


def occlusion_overlapping(rng):
    """Blocks that overlap, leave gaps, or don't reach the border."""
    settings = [
        (build_smooth, (3, 5, 7), 3, 1, {}),
        (build_relu, (2, 7, 8), 3, 2, {}),
        (build_smooth, (2, 8, 6), 2, 3, {}),
        (build_relu, (3, 6, 5), 4, 2, {}),
    ]
    return _settings(rng, settings)


def occlusion_values(rng):
    settings = [
        (build_smooth, (3, 5, 6), 2, 2, {"value": 1.5}),
        (build_relu, (3, 6, 5), 3, 1, {"value": -0.7}),
    ]
    return _settings(rng, settings)


def occlusion_small(rng):
    """One channel, one column, one pixel, and one block that covers it all."""
    settings = [
        (build_smooth, (1, 5, 4), 2, 1, {}),
        (build_relu, (1, 4, 4), 4, 1, {}),
        (build_linear, (1, 6, 1), 1, 2, {"value": 2.0}),
        (build_smooth, (3, 3, 5), 3, 2, {}),
    ]
    return _settings(rng, settings)


_occluded = _occlusion(2, 1)


def occlusion_float32(rng):
    return [
        _occluded.case(rng, build_smooth, (3, 4, 5), dtype=torch.float32),
        _occluded.case(rng, build_relu, (1, 4, 4), dtype=torch.float32),
        _occluded.case(rng, build_linear, (2, 5, 4), dtype=torch.float32),
    ]


def occlusion_modes(rng):
    return [
        _occluded.case(rng, build_smooth, (2, 5, 4), mode="train"),
        _occluded.case(rng, build_smooth, (1, 4, 4), mode="mixed", frozen=True),
    ]


def occlusion_watched(rng):
    wants = {"wants": ["x"]}
    return [
        _occluded.case(rng, build_smooth, (2, 4, 5), grads=True, mode="train"),
        _occluded.case(rng, build_smooth, (1, 4, 4), mode="mixed", **wants),
        _occluded.case(rng, build_relu, (3, 3, 4), grads=True, **wants),
        _occluded.case(rng, build_smooth, (1, 3, 4), frozen=True),
    ]
