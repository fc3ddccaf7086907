"""Topic 12, what is right: the judge's own attack on its own copy of the model, and
closed forms.

An oracle takes the data of one case and returns what ``run`` has to return. Attacks are
computed in float64; results have the dtype of the case's images.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch

from grader.checks.promises import NO_SIDE_EFFECTS


def linear_margin_drop(w, epsilon):
    worst = -epsilon * np.sign(np.float64(w))
    drop = -(np.float64(w) * worst).sum()
    return {"result": float(drop), "type": "float", **NO_SIDE_EFFECTS}


def linear_flip_epsilon(W, b, x, y):
    """For each image, the smallest of the ε at which one of the lines of two classes'
    scores, both moving their worst, meet."""
    W, b, x64, labels = (a.double().numpy() for a in (W, b, x, y))
    found = []
    for image, label in zip(x64, labels.astype(int), strict=True):
        meets = []
        for other in set(range(len(W))) - {label}:
            w = W[label] - W[other]
            ahead = w @ image + b[label] - b[other]
            meets.append(max(ahead, 0.0) / np.linalg.norm(w, ord=1))
        found.append(min(meets))
    result = torch.tensor(found, dtype=x.dtype)
    return {"result": result, "type": "Tensor", **NO_SIDE_EFFECTS}


# --- attacks ---


@dataclass(frozen=True)
class Walk:
    """Where an attack ends, and how close it came to a gradient whose sign rounding
    could turn: relative to the largest of the image, and in float32 to where the right
    class's probability is 1."""

    end: torch.Tensor
    closest: float


def loss_gradient(model, image, y):
    """Return the gradient of each image's cross-entropy."""
    with torch.enable_grad():
        image = image.detach().clone().requires_grad_()
        scores = model(image)
        own = scores.gather(1, y[:, None])[:, 0]
        return torch.autograd.grad((scores.logsumexp(1) - own).sum(), image)[0]


def walk(model, x, y, epsilon, alpha, steps, start=None) -> Walk:
    """Attack a copy of the model in float64 by steps of alpha in sign, each projected
    on the ball around x and on [0, 1]."""
    model, dtype, x = copy.deepcopy(model).double(), x.dtype, x.detach().double()
    low, high = (x - epsilon).clamp(min=0), (x + epsilon).clamp(max=1)
    image = x if start is None else start.double()
    closest = 1.0
    for _ in range(steps):
        grad = loss_gradient(model, image, y)
        closest = min(closest, _closest(grad))
        if dtype == torch.float32:
            with torch.no_grad():
                own = model(image).softmax(1).gather(1, y[:, None])
            closest = min(closest, float((1 - own).min()) / 20)
        image = torch.maximum(
            low, torch.minimum(high, image + alpha * torch.sign(grad))
        )
    return Walk(image, closest)


def _closest(grad):
    sizes = grad.abs().flatten(1)
    sizes = sizes / sizes.amax(1, keepdim=True).clamp(min=1e-300)
    # where nothing matters to the scores the gradient is 0, however it is computed
    return min(sizes[sizes > 0].tolist(), default=1.0)


def _returned(result, dtype):
    found = {"result": result.to(dtype), "type": "Tensor", "is on a graph": False}
    return {**found, "changed": []}


def fgsm(model, x, y, settings, options, found):
    (epsilon,) = settings
    step = -epsilon if options.get("targeted") else epsilon
    grad = loss_gradient(copy.deepcopy(model).double(), x.double(), y)
    return _returned((x.double() + step * grad.sign()).clamp(0, 1), x.dtype)


def pgd(model, x, y, settings, options, found, seeds=None):
    """Where the attack ends; of random starts, what is to be known to judge them."""
    if not seeds:
        return _returned(walk(model, x, y, *settings).end, x.dtype)

    def leads_to(start):
        return walk(model, x, y, *settings, start).end

    known = {"x": x, "epsilon": settings[0], "leads to": leads_to}
    return {"starts": known, "draws": known, "attack": known}


def fooled(model, X, target, most=100):
    """Return the images on the way to the target's class, in float64, of ``most`` steps
    at most, and how close the way came to a tie of classes or a gradient of zero."""
    model, image = copy.deepcopy(model).double(), X.detach().double()
    way, closest = [image], 1.0
    while len(way) <= most:
        with torch.enable_grad():
            at = image.clone().requires_grad_()
            scores = model(at)[0]
            (grad,) = torch.autograd.grad(scores[target], at)
        best, second = scores.detach().topk(2).values
        closest = min(closest, float(best - second))
        length = float(grad.square().sum().sqrt())
        if int(scores.argmax()) == target or length == 0:
            break
        closest = min(closest, length)
        image = image + grad / length
        way.append(image)
    return way, closest


def make_fooling_image(model, x, y, settings, options, found):
    return _returned(fooled(model, x, y)[0][-1], x.dtype)


def robust_accuracy(model, x, y, settings, options, found):
    end = walk(model, x, y, *settings).end
    right = copy.deepcopy(model).double()(end).argmax(1) == y
    share = float(right.sum()) / len(y)
    return {"result": share, "type": "float", "is on a graph": False, "changed": []}


def training(model, batches, settings, optimizer, stale):
    dtype, model = batches[0][0].dtype, copy.deepcopy(model).double()
    name, options = optimizer
    optimizer = getattr(torch.optim, name)(model.parameters(), **options)
    losses = []
    for x, y in batches:
        images = walk(model, x, y, *settings).end
        logs = model(images).log_softmax(1)
        loss = -logs[range(len(y)), y].mean()
        grads = torch.autograd.grad(loss, list(model.parameters()))
        for parameter, grad in zip(model.parameters(), grads, strict=True):
            parameter.grad = grad
        optimizer.step()
        losses.append(loss.item())
    weights = {n: p.detach().to(dtype).numpy() for n, p in model.named_parameters()}
    told = {"losses": losses, "type": "float", "parameters": weights}
    return {**told, "changed": []}
