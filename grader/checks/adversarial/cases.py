"""Topic 12, on what: data over all of the range that the stubs promise.

Cases are drawn until rounding can't change what is right: no gradient has entries so
small that float32 could turn their sign, and no two scores tie.
"""

import copy

import torch

from grader.checks.adversarial.models import made
from grader.checks.adversarial.oracles import Walk, loss_gradient, walk

GREY, TALL, COLOUR, PIXEL = (1, 4, 3), (1, 5, 2), (3, 3, 4), (3, 1, 1)

# how close a gradient may come to 0, of its largest entry, and two scores to each other
CLOSE = 1e-4


def drawn(draw, fair):
    """Return the first draw that is fair."""
    for _ in range(1000):
        case = draw()
        if fair(case):
            return case
    raise RuntimeError("no fair case was found")


def images(rng, num_images, shape, dtype="float64", low=0.0, high=1.0):
    x = rng.uniform(low, high, (num_images, *shape)).clip(0, 1)
    return torch.tensor(x, dtype=getattr(torch, dtype))


def labels(rng, num_images, num_classes):
    return torch.tensor(rng.integers(num_classes, size=num_images))


def attack(rng, kind, shape, num_images, settings, **more):
    """One case of fgsm, where settings are (epsilon,), or of pgd and what builds on
    it."""
    num_classes = more.pop("num_classes", 4)
    about = {key: more.pop(key) for key in ("low", "high") if key in more}
    options, found = more.pop("options", {}), more.pop("found", [])
    change = more.pop("change", lambda case: None)
    fair = more.pop("fair", _turns_nowhere)

    def draw():
        dtype = more.get("dtype", "float64")
        case = {
            "model": made(rng, kind, shape, num_classes, **more),
            "x": images(rng, num_images, shape, dtype, **about),
            "y": labels(rng, num_images, num_classes),
            "settings": settings,
            "options": options,
            "found": found,
        }
        change(case)
        return case

    return drawn(draw, fair)


def walked(case) -> Walk:
    # one step of fgsm is one of pgd
    settings = case["settings"]
    settings = settings if len(settings) == 3 else (settings[0], settings[0], 1)
    return walk(case["model"].model, case["x"], case["y"], *settings)


def _turns_nowhere(case):
    return walked(case).closest > CLOSE and _tells_losses_apart(case)


def _tells_losses_apart(case):
    """Another softmax before the loss, or the score alone, would send some pixel the
    other way."""
    model, x = copy.deepcopy(case["model"].model).double(), case["x"].double()
    sign = loss_gradient(model, x, case["y"]).sign()
    softened = torch.nn.Sequential(model, torch.nn.Softmax(1))
    at = x.clone().requires_grad_()
    own = model(at).gather(1, case["y"][:, None])
    (score,) = torch.autograd.grad(-own.sum(), at)
    others = (loss_gradient(softened, x, case["y"]), score)
    return not sign.any() or not any(torch.equal(sign, o.sign()) for o in others)


def _blind(case):
    """Let the model not see some pixels; their gradient is 0."""
    first = next(p for p in case["model"].model.parameters() if p.dim() == 2)
    first.data[:, ::3] = 0


def _dead(case):
    """Let no unit of the hidden layer be active: all gradients are 0."""
    next(p for p in case["model"].model.parameters() if p.dim() == 1).data -= 1000


def _inside(epsilon):
    return {"low": epsilon + 0.02, "high": 0.98 - epsilon}


def fgsm(rng):
    return [
        attack(rng, "tanh", GREY, 4, (0.25,), **_inside(0.25)),
        attack(rng, "conv", TALL, 1, (0.05,), num_classes=10, **_inside(0.05)),
        attack(rng, "norm", COLOUR, 5, (0.1,), num_classes=3, **_inside(0.1)),
    ]


def fgsm_targeted(rng):
    wanted = {"options": {"targeted": True}}
    return [
        attack(rng, "tanh", COLOUR, 4, (0.1,), **wanted, **_inside(0.1)),
        attack(rng, "linear", TALL, 3, (0.3,), low=-0.5, high=1.5, **wanted),
    ]


def fgsm_borders(rng):
    """Many pixels are exactly 0 or 1, or close to that."""
    return [
        attack(rng, "conv", COLOUR, 4, (0.3,), low=-0.8, high=1.8),
        attack(rng, "linear", PIXEL, 6, (1.0,), low=-0.5, high=1.5),
    ]


def fgsm_still(rng):
    return [
        attack(rng, "tanh", GREY, 3, (0.2,), change=_blind, **_inside(0.2)),
        attack(rng, "relu", COLOUR, 2, (0.2,), change=_dead, **_inside(0.2)),
        attack(rng, "conv", TALL, 2, (0.0,)),
    ]


def fgsm_float32(rng):
    small = {"dtype": "float32"}
    return [
        attack(rng, "tanh", COLOUR, 3, (0.1,), **small),
        attack(rng, "conv", GREY, 1, (0.25,), low=-0.5, high=1.5, **small),
    ]


def _found(rng, settings):
    """Under no_grad, and with frozen parameters, too."""
    return [
        attack(rng, "tanh", GREY, 3, settings, found=["no_grad"]),
        attack(rng, "conv", COLOUR, 2, settings, found=["frozen"]),
    ]


def _left(rng, settings):
    """In both modes, with and without gradients that are there already."""
    few = {"found": ["watched"], **_inside(0.1)}
    more = {"found": ["watched", "gradients"], **_inside(0.1)}
    return [
        attack(rng, "norm", COLOUR, 2, settings, **more),
        attack(rng, "conv", GREY, 2, settings, training=True, **more),
        attack(rng, "tanh", TALL, 3, settings, training=True, **few),
    ]


def fgsm_found(rng):
    return _found(rng, (0.1,))


def fgsm_left(rng):
    return _left(rng, (0.1,))


def pgd_steps(rng):
    """No border is met on the way."""
    return [
        attack(rng, "conv", COLOUR, 3, (0.4, 0.05, 5), low=0.3, high=0.7, scale=8),
        attack(rng, "tanh", TALL, 1, (0.4, 0.1, 3), low=0.4, high=0.6, scale=8),
        attack(rng, "norm", COLOUR, 2, (0.4, 0.1, 2), low=0.3, high=0.7),
    ]


def pgd_ball(rng):
    """The ball ends within a few steps, or within the first."""
    return [
        attack(rng, "tanh", GREY, 6, (0.15, 0.1, 6), low=0.2, high=0.8, scale=16),
        attack(rng, "conv", COLOUR, 3, (0.1, 0.25, 4), low=0.2, high=0.8, scale=12),
        attack(rng, "linear", GREY, 1, (0.05, 0.02, 4), low=0.2, high=0.8),
    ]


def pgd_box(rng):
    """Black and white end the way before the ball does."""
    wide = {"low": -0.5, "high": 1.5}
    return [
        attack(rng, "tanh", GREY, 5, (0.4, 0.15, 6), scale=12, **wide),
        attack(rng, "tanh", COLOUR, 4, (1.0, 0.3, 5), scale=8),
        attack(rng, "linear", PIXEL, 4, (0.6, 0.4, 3), **wide),
    ]


def pgd_still(rng):
    return [
        attack(rng, "tanh", GREY, 3, (0.2, 0.05, 0)),
        attack(rng, "conv", COLOUR, 2, (0.0, 0.1, 3)),
        attack(rng, "tanh", COLOUR, 2, (0.3, 0.1, 4), change=_blind),
        attack(rng, "relu", GREY, 3, (0.1, 0.05, 3), change=_dead),
    ]


def pgd_float32(rng):
    small = {"dtype": "float32", "scale": 8}
    return [
        attack(rng, "tanh", GREY, 3, (0.1, 0.04, 4), **small),
        attack(rng, "conv", COLOUR, 1, (0.3, 0.1, 3), low=-0.5, high=1.5, **small),
        attack(rng, "tanh", COLOUR, 2, (0.3, 0.1, 0), **small),
    ]


def pgd_found(rng):
    return _found(rng, (0.1, 0.04, 3))


def pgd_left(rng):
    return [*_left(rng, (0.1, 0.04, 1)), *_left(rng, (0.1, 0.04, 0))[:1]]


def starts(rng):
    """Images of grey 0.5 among others; the attack goes on for a few steps."""
    cases = []
    for kind, shape, epsilon in [("tanh", (1, 9, 12), 0.2), ("conv", (3, 6, 5), 0.3)]:
        x = images(rng, 5, shape, low=-0.5, high=1.5)
        x[::2] = 0.5
        case = {
            "model": made(rng, kind, shape, 4, scale=16),
            "x": x,
            "y": labels(rng, 5, 4),
            "settings": (epsilon, epsilon / 2, 4),
            "options": {},
            "found": [],
            "seeds": [int(seed) for seed in rng.integers(10**6, size=4)],
        }
        cases.append(case)
    return cases
