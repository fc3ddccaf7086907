"""Topic 12, compact right answers: what the mistakes are edits of."""

import torch
import torch.nn.functional as F


def linear_margin_drop(w, epsilon):
    lengths = w.abs()
    return epsilon * lengths.sum().item()


def linear_flip_epsilon(W, b, x, y):
    scores = x @ W.T + b
    smallest = []
    for row, label in zip(scores, y.tolist(), strict=True):
        others = [k for k in range(len(W)) if k != label]
        margins = row[label] - row[others]
        lengths = (W[label] - W[others]).abs().sum(dim=1)
        smallest.append((margins / lengths).min().clamp(min=0))
    return torch.stack(smallest)


def fgsm(model, x, y, epsilon, targeted=False):
    with torch.enable_grad():
        image = x.detach().clone().requires_grad_()
        loss = F.cross_entropy(model(image), y)
        (grad,) = torch.autograd.grad(loss, image)
    step = -epsilon if targeted else epsilon
    moved = x.detach() + step * grad.sign()
    return moved.clamp(0, 1)


def make_fooling_image(X, target_y, model):
    image = X.detach().clone()
    for _ in range(100):
        with torch.enable_grad():
            image.requires_grad_()
            scores = model(image)
            (grad,) = torch.autograd.grad(scores[0, target_y], image)
        image = image.detach()
        length = grad.norm()
        if scores.argmax() == target_y or length == 0:
            break
        image = image + grad / length
    return image


def pgd(model, x, y, epsilon, alpha, steps, *, rng=None):
    x = x.detach()
    low, high = x - epsilon, x + epsilon
    image = x.clone()
    if rng is not None:
        noise = torch.rand(x.shape, generator=rng, dtype=x.dtype)
        image = x + epsilon * (2 * noise - 1)
        image = image.clamp(0, 1)
    for _ in range(steps):
        with torch.enable_grad():
            image.requires_grad_()
            loss = F.cross_entropy(model(image), y)
            (grad,) = torch.autograd.grad(loss, image)
        image = image.detach() + alpha * grad.sign()
        image = image.clamp(low, high)
        image = image.clamp(0, 1)
    return image


def robust_accuracy(model, x, y, epsilon, alpha, steps):
    attacked = pgd(model, x, y, epsilon, alpha, steps)
    with torch.no_grad():
        predicted = model(attacked).argmax(dim=1)
    hits = predicted == y
    return hits.double().mean().item()


def adversarial_training_step(model, optimizer, x, y, epsilon, alpha, steps):
    attacked = pgd(model, x, y, epsilon, alpha, steps)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(attacked), y)
    loss.backward()
    optimizer.step()
    return loss.item()
