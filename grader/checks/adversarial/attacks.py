"""Topic 12, how robust a trained network is: the judge's attacks on its own copy.

A network can look robust because its gradient shows no way (A. Athalye et al., 2018).
So an image counts as right only if it survives all of these: gradients of two losses,
from its own place and from random ones, images that fool other networks, and a search
that uses no gradient at all; and only if its scores change as their gradient says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import nn

from grader.checks.digits import digits_data

EPSILON, ALPHA, STEPS = 0.1, 0.025, 20


def make_net() -> nn.Sequential:
    """Return the network of the notebook, untrained."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


@dataclass(frozen=True)
class Robustness:
    """Shares of held-out digits that are named right: without an attack, under plain
    PGD alone, and whatever is tried."""

    clean: float
    pgd: float
    robust: float


def robustness(weights: dict[str, np.ndarray], names: np.ndarray) -> Robustness:
    """Attack a network with these weights on the held-out digits; ``names`` are what it
    calls the ten classes."""
    packed = tuple((name, np.float64(w).tobytes()) for name, w in weights.items())
    return _robustness(packed, tuple(names.tolist()))


@lru_cache(maxsize=8)
def _robustness(packed: tuple[tuple[str, bytes], ...], names: tuple) -> Robustness:
    X, y, X_new, y_new = digits_data()
    x, labels = (torch.tensor(v) for v in (np.float64(X_new), np.array(names)[y_new]))
    others = _surrogates(np.float64(X), np.array(names)[y])
    model = _loaded(dict(packed))
    attacks = (
        _plain,
        _agrees,
        _margins,
        lambda *data: _transferred(others, *data),
        _without_gradients,
    )
    with torch.no_grad():
        shares, up = [], _survives(model, x, labels)
        for attack in attacks:
            shares.append(float(up.double().mean()))
            # those that fell stay down, and cost no time
            up[up.clone()] = attack(model, x[up], labels[up])
    return Robustness(shares[0], shares[1], float(up.double().mean()))


def _loaded(packed: dict[str, bytes]) -> nn.Module:
    model, state = make_net(), {}
    for name, value in model.state_dict().items():
        array = np.frombuffer(packed[name]).reshape(tuple(value.shape))
        state[name] = torch.tensor(array)
    model = model.double().requires_grad_(False)
    model.load_state_dict(state)
    return model


def _surrogates(X: np.ndarray, y: np.ndarray) -> list[Callable]:
    """Return two classifiers fitted in closed form: by pixels, by random features."""
    x = torch.tensor(X).flatten(1)
    mixing = np.random.default_rng(0).normal(size=(x.shape[1], 300))
    mixing = torch.tensor(mixing / np.sqrt(x.shape[1]))
    wanted = nn.functional.one_hot(torch.tensor(y), 10).double()

    def fit(features):
        A = features(x)
        A = A.T @ A + 0.1 * torch.eye(A.shape[1], dtype=A.dtype), A.T @ wanted
        weights = torch.linalg.solve(*A)
        return lambda images: features(images.flatten(1)) @ weights

    def by_pixels(flat):
        return torch.cat([flat, torch.ones_like(flat[:, :1])], dim=1)

    return [fit(by_pixels), fit(lambda flat: torch.relu(flat @ mixing))]


def margins(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return by how much each right class leads."""
    own = scores.gather(1, y[:, None])[:, 0]
    others = scores.scatter(1, y[:, None], -torch.inf)
    return own - others.amax(1)


def _survives(model, x, y):
    # a score that is no number leads nowhere
    return margins(model(x), y) > 0


def _project(image, x):
    return torch.maximum(x - EPSILON, torch.minimum(x + EPSILON, image)).clamp(0, 1)


def _follow(model, x, y, loss: Callable, alpha, steps, start=None):
    """Return where steps uphill of the loss lead."""
    image = x if start is None else _project(start, x)
    for _ in range(steps):
        with torch.enable_grad():
            at = image.clone().requires_grad_()
            (grad,) = torch.autograd.grad(loss(model(at), y).sum(), at)
        image = _project(image + alpha * grad.sign(), x)
    return image


def _cross_entropy(scores, y):
    return nn.functional.cross_entropy(scores, y, reduction="none")


def _behind(scores, y):
    # unlike the cross-entropy, it is never flat where scores are large
    return -margins(scores, y)


def _plain(model, x, y):
    end = _follow(model, x, y, _cross_entropy, ALPHA, STEPS)
    return _survives(model, end, y)


def _agrees(model, x, y):
    """Tell where the scores change by small steps as their gradient says: next to huge
    numbers they lose in rounding what the gradient still holds."""
    ways, step = torch.Generator().manual_seed(2), 1e-4
    agree = torch.ones(len(y), dtype=torch.bool)
    for _ in range(4):
        place, way = (2 * torch.rand(x.shape, generator=ways) - 1 for _ in range(2))
        place, way = _project(x + EPSILON * place, x), way.sign().to(x.dtype)
        mix = torch.randn(len(y), 10, generator=ways, dtype=x.dtype)
        with torch.enable_grad():
            at = place.clone().requires_grad_()
            (grad,) = torch.autograd.grad((mix * model(at)).sum(), at)
        change = mix * (model(place + step * way) - model(place - step * way))
        off = change.sum(1) / (2 * step) - (grad * way).flatten(1).sum(1)
        agree &= off.abs() <= 0.2 * grad.flatten(1).norm(dim=1)
    return agree


def _margins(model, x, y):
    """From the image itself, and from two random corners of its ball."""
    corners, up = torch.Generator().manual_seed(0), torch.ones(len(y), dtype=bool)
    for i in range(3):
        signs = torch.rand(x.shape, generator=corners).sub(0.5).sign()
        start = x + EPSILON * signs if i else None
        end = _follow(model, x, y, _behind, ALPHA, STEPS, start)
        up &= _survives(model, end, y)
    return up


def _transferred(others, model, x, y):
    """Images that fool classifiers of other kinds."""
    ends = [_follow(other, x, y, _behind, ALPHA, STEPS) for other in others]
    return torch.stack([_survives(model, end, y) for end in ends]).all(0)


def _without_gradients(model, x, y):
    """Move each pixel alone both ways, then all of them the way that helped."""
    image = x
    for _ in range(2):
        gains = torch.zeros_like(x)
        for pixel in np.ndindex(x.shape[1:]):
            moved = []
            for step in (EPSILON, -EPSILON):
                at = image.clone()
                at[:, *pixel] += step
                moved.append(margins(model(_project(at, x)), y))
            gains[:, *pixel] = moved[1] - moved[0]
        image = _project(image + EPSILON * gains.sign(), x)
    return _survives(model, image, y)
