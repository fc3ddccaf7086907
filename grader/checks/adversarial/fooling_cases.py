"""Topic 12, on what: images that shall be taken for something else."""

import torch

from grader.checks.adversarial.cases import CLOSE, COLOUR, GREY, attack
from grader.checks.adversarial.oracles import fooled


def _fooling(rng, kind, shape, least, most, **more):
    """One case in which so many steps are made."""
    bias = more.pop("bias", None)

    def change(case):
        case["y"] = int(rng.integers(4))
        if bias is not None:
            bias(case)

    def fair(case):
        model = case["model"].model
        way, closest = fooled(model, case["x"], case["y"], min(most + 1, 100))
        return closest > 10 * CLOSE and least <= len(way) - 1 <= most

    return attack(rng, kind, shape, 1, (), change=change, fair=fair, **more)


def fooling(rng):
    return [
        _fooling(rng, "linear", COLOUR, 3, 6, bias=_behind(4.5)),
        _fooling(rng, "tanh", GREY, 2, 8),
        _fooling(rng, "conv", COLOUR, 2, 8, scale=1),
    ]


def fooling_soon(rng):
    """The wanted class is predicted from the start, or after one step."""
    return [
        _fooling(rng, "tanh", GREY, 0, 0),
        _fooling(rng, "tanh", COLOUR, 1, 1),
    ]


def _behind(num_steps):
    """Lower the score of the wanted class of a linear model, so that it needs about so
    many steps to become the largest."""

    def lower(case):
        linear, y = case["model"].model[1], case["y"]
        w = linear.weight.data
        scores = linear(case["x"].flatten(1))[0].detach()
        # what one step changes in each score
        gains = w @ w[y] / w[y].norm()
        reached = scores[y] + num_steps * gains[y]
        others = (scores + num_steps * gains)[torch.arange(len(w)) != y].max()
        linear.bias.data[y] -= reached - others

    return lower


def fooling_limit(rng):
    return [
        _fooling(rng, "linear", GREY, 100, 100, bias=_behind(140.5)),
    ]


def fooling_flat(rng):
    """The wanted score doesn't depend on the image."""

    def flat(case):
        last = case["model"].model[-1]
        last.weight.data[case["y"]] = 0
        last.bias.data[case["y"]] = -50

    return [
        _fooling(rng, "linear", GREY, 0, 0, bias=flat),
        _fooling(rng, "relu", COLOUR, 0, 0, bias=flat),
    ]


def fooling_float32(rng):
    small = {"dtype": "float32"}
    return [
        _fooling(rng, "tanh", COLOUR, 2, 8, **small),
        _fooling(rng, "linear", GREY, 2, 8, bias=_behind(3.5), **small),
        _fooling(rng, "tanh", GREY, 0, 0, **small),
    ]


def fooling_found(rng):
    return [
        _fooling(rng, "tanh", GREY, 2, 8, found=["no_grad"]),
        _fooling(rng, "linear", COLOUR, 2, 8, bias=_behind(2.5), found=["frozen"]),
    ]


def fooling_left(rng):
    few = {"found": ["watched"]}
    more = {"found": ["watched", "gradients"]}
    return [
        _fooling(rng, "norm", COLOUR, 2, 8, scale=2, **more),
        _fooling(rng, "tanh", GREY, 2, 8, training=True, **few),
        _fooling(rng, "tanh", COLOUR, 0, 0, training=True, **more),
    ]
