"""Topic 12, right answers that look unlike the usual ones, to sample a class from.

``UNUSUAL`` maps a group of functions that belong together to answers, each of them the
functions of that group under the names that the notebook gives them. They need no more
than the notebook imports.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from grader.checks.unusual import collect_into

UNUSUAL: dict[str, list[tuple[Callable, ...]]] = {}
_unusual = collect_into(UNUSUAL)


@_unusual
def linear__by_norms():
    def linear_margin_drop(w, epsilon):
        return float(epsilon * torch.linalg.vector_norm(w, ord=1))

    def linear_flip_epsilon(W, b, x, y):
        out = torch.empty(len(y), dtype=x.dtype)
        for i in range(len(y)):
            label, found = int(y[i]), []
            for k in range(len(W)):
                if k != label:
                    w = W[label] - W[k]
                    lead = torch.dot(w, x[i]) + b[label] - b[k]
                    found.append(float(lead) / float(w.abs().sum()))
            out[i] = max(0.0, min(found))
        return out

    return linear_margin_drop, linear_flip_epsilon


@_unusual
def fgsm__image_by_image():
    def fgsm(model, x, y, epsilon, targeted=False):
        moved = []
        for image, label in zip(x.detach(), y, strict=True):
            with torch.enable_grad():
                image = image.clone()[None].requires_grad_(True)
                log_probs = torch.log_softmax(model(image), dim=1)
                grad = torch.autograd.grad(log_probs[0, label], [image])[0]
            way = grad if targeted else -grad
            at = image.detach() + torch.sign(way) * epsilon
            moved.append(torch.minimum(torch.maximum(at, at * 0), at * 0 + 1))
        return torch.cat(moved)

    return (fgsm,)


@_unusual
def make_fooling_image__while():
    def make_fooling_image(X, target_y, model):
        fooling, steps_left = X.detach().clone(), 100
        with torch.enable_grad():
            while steps_left > 0:
                fooling = fooling.detach().requires_grad_(True)
                scores = model(fooling)
                if int(torch.max(scores, dim=1).indices) == target_y:
                    break
                (way,) = torch.autograd.grad(scores[:, target_y].sum(), fooling)
                length = (way**2).sum() ** 0.5
                if length.item() == 0.0:
                    break
                fooling = fooling + way.div(length)
                steps_left -= 1
        return fooling.detach()

    return (make_fooling_image,)


@_unusual
def pgd__as_a_change_of_x():
    def pgd(model, x, y, epsilon, alpha, steps, *, rng=None):
        x = x.detach()
        delta = torch.zeros_like(x)
        if rng is not None:
            delta.uniform_(-epsilon, epsilon, generator=rng)
        delta = (x + delta).clip(0, 1) - x
        criterion = nn.CrossEntropyLoss(reduction="sum")
        for _ in range(steps):
            with torch.enable_grad():
                delta.requires_grad = True
                (grad,) = torch.autograd.grad(criterion(model(x + delta), y), delta)
            with torch.no_grad():
                delta = delta + alpha * torch.sign(grad)
                delta = delta.clip(-epsilon, epsilon)
                delta = (x + delta).clip(0, 1) - x
        return (x + delta).detach()

    def robust_accuracy(model, x, y, epsilon, alpha, steps):
        count = 0
        for images, labels in zip(x.split(50), y.split(50), strict=True):
            attacked = pgd(model, images, labels, epsilon, alpha, steps)
            with torch.no_grad():
                named = np.argmax(model(attacked).cpu().numpy(), axis=1)
            count += int((named == labels.cpu().numpy()).sum())
        return count / len(x)

    def adversarial_training_step(model, optimizer, x, y, epsilon, alpha, steps):
        x_adv = pgd(model, x, y, epsilon, alpha, steps)
        model.zero_grad()
        log_probs = nn.functional.log_softmax(model(x_adv), dim=-1)
        loss = nn.NLLLoss()(log_probs, y)
        value = float(loss.detach())
        loss.backward()
        optimizer.step()
        return value

    return pgd, robust_accuracy, adversarial_training_step
