"""Topic 12, on what: accuracy under attack, and training."""

import copy

import torch

from grader.checks.adversarial.cases import (
    CLOSE,
    COLOUR,
    GREY,
    TALL,
    attack,
    drawn,
    images,
    labels,
    walked,
)
from grader.checks.adversarial.models import made
from grader.checks.adversarial.oracles import loss_gradient, walk


def _accuracy(rng, kind, shape, num_images, settings, **more):
    """Some images are named wrong before, more after the attack, but not all."""

    def change(case):
        scores = _scores(case["model"].model, case["x"])
        y = scores.argmax(1)
        wrong = torch.tensor(rng.random(num_images) < 0.25)
        case["y"] = torch.where(wrong, case["y"], y)

    def fair(case):
        model, (epsilon, _, steps) = case["model"].model, case["settings"]
        before = _scores(model, case["x"]).argmax(1)
        clean = before == case["y"]
        if num_images > 1 and clean.all():
            return False
        led = walked(case)
        scores = _scores(model, led.end)
        best = scores.topk(2, dim=1).values
        if led.closest <= CLOSE or (best[:, 0] - best[:, 1]).min() <= 10 * CLOSE:
            return False
        now = scores.argmax(1)
        right, kept = now == case["y"], before == now
        if not (epsilon and steps):
            return True
        stepped = walk(model, case["x"], case["y"], epsilon, epsilon, 1).end
        stepped = _scores(model, stepped).argmax(1) == case["y"]
        if num_images == 1:
            return bool(clean) and bool(stepped == right)
        # each of these counts is another one
        shares = (right, clean, kept, ~right, stepped)
        counts = {int(share.sum()) for share in shares}
        return len(counts | {0, num_images}) == 7

    more = {"scale": 6, **more, "change": change, "fair": fair}
    return attack(rng, kind, shape, num_images, settings, **more)


def _scores(model, x):
    with torch.no_grad():
        return copy.deepcopy(model).double()(x.double())


def accuracy(rng):
    return [
        _accuracy(rng, "tanh", GREY, 13, (0.1, 0.04, 4)),
        _accuracy(rng, "conv", COLOUR, 17, (0.05, 0.02, 3)),
        _accuracy(rng, "norm", COLOUR, 15, (0.05, 0.02, 4), scale=4),
    ]


def accuracy_clean(rng):
    return [
        _accuracy(rng, "tanh", GREY, 13, (0.1, 0.04, 0)),
        _accuracy(rng, "conv", COLOUR, 11, (0.0, 0.1, 2)),
    ]


def accuracy_one(rng):
    """One image that survives and one that doesn't, each alone."""

    def that(survives):
        while True:
            case = _accuracy(rng, "tanh", COLOUR, 1, (0.05, 0.02, 3), dtype="float32")
            scores = _scores(case["model"].model, walked(case).end)
            if bool((scores.argmax(1) == case["y"]).all()) == survives:
                return case

    return [that(True), that(False)]


def accuracy_found(rng):
    return [
        _accuracy(rng, "tanh", GREY, 13, (0.1, 0.04, 3), found=["no_grad"]),
        _accuracy(rng, "tanh", COLOUR, 11, (0.05, 0.02, 2), found=["frozen"]),
    ]


def accuracy_left(rng):
    few, attack = {"found": ["watched"]}, (0.1, 0.04, 2)
    more = {"found": ["watched", "gradients"]}
    return [
        _accuracy(rng, "norm", COLOUR, 13, attack, scale=3, **more),
        _accuracy(rng, "conv", GREY, 13, attack, training=True, **few),
    ]


# --- adversarial training ---

PLAIN = ("SGD", {"lr": 0.3})
MOMENTUM = ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01})


def _training(rng, kind, shape, sizes, settings, optimizer=PLAIN, **more):
    """One case with a batch of each size."""
    num_classes, stale = more.pop("num_classes", 4), more.pop("stale", False)
    dtype = more.get("dtype", "float64")

    def draw():
        batches = [
            (images(rng, n, shape, dtype), labels(rng, n, num_classes)) for n in sizes
        ]
        return {
            "model": made(rng, kind, shape, num_classes, **more),
            "batches": batches,
            "settings": settings,
            "optimizer": optimizer,
            "stale": stale,
        }

    def fair(case):
        (x, y), *_ = case["batches"]
        model = copy.deepcopy(case["model"].model).double()
        return (
            walk(model, x, y, *settings).closest > CLOSE
            and loss_gradient(model, x.double(), y).abs().max() > CLOSE
        )

    return drawn(draw, fair)


def training_clean(rng):
    """Without an attack."""
    return [
        _training(rng, "tanh", GREY, [5], (0.1, 0.05, 0)),
        _training(rng, "conv", COLOUR, [3], (0.0, 0.05, 2)),
        _training(rng, "linear", TALL, [1], (0.1, 0.1, 0), num_classes=2),
    ]


def training(rng):
    return [
        _training(rng, "tanh", GREY, [6], (0.1, 0.04, 4), scale=8),
        _training(rng, "conv", COLOUR, [4], (0.2, 0.08, 3)),
        _training(rng, "norm", COLOUR, [3], (0.1, 0.1, 2)),
        _training(rng, "tanh", TALL, [1], (0.3, 0.1, 3), num_classes=3),
    ]


def training_stale(rng):
    """Gradients are there already, and a step follows on another."""
    more = {"optimizer": MOMENTUM, "stale": True}
    return [
        _training(rng, "tanh", GREY, [4, 3, 1], (0.1, 0.05, 3), **more),
        _training(rng, "conv", COLOUR, [3, 3], (0.05, 0.05, 1), **more),
    ]


def training_modes(rng):
    """Networks whose scores depend on the mode, but not where attacks on them lead."""
    two = {"num_classes": 2, "scale": 1}
    return [
        _training(rng, "loud", GREY, [4], (0.1, 0.05, 3), training=True, **two),
        _training(rng, "loud", COLOUR, [4], (0.1, 0.05, 3), **two),
    ]


def training_float32(rng):
    small = {"dtype": "float32"}
    return [
        _training(rng, "tanh", GREY, [4], (0.1, 0.05, 3), **small),
        _training(rng, "norm", COLOUR, [3], (0.1, 0.05, 2), **small),
    ]


def training_left(rng):
    return [
        _training(rng, "norm", COLOUR, [3, 2], (0.1, 0.05, 2)),
        _training(rng, "conv", GREY, [2, 2], (0.1, 0.05, 2), training=True),
    ]
