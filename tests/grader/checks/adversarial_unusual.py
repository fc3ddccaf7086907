"""Topic 12: right answers that look unlike the ones in the solution."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from grader.checks.adversarial import answers as right

UNUSUAL: dict[str, dict[str, tuple]] = {}


def unusual(exercise):
    """Register a function as an answer."""

    def register(answer):
        UNUSUAL.setdefault(exercise, {})[answer.__name__] = (answer,)
        return answer

    return register


# --- the linear model ---


@unusual("linear_margin_drop")
def by_the_worst_image(w, epsilon):
    return float(-(w * (-epsilon * torch.sign(w))).sum())


@unusual("linear_margin_drop")
def by_numpy(w, epsilon):
    return np.abs(w.numpy()).sum(dtype=np.float64) * epsilon


@unusual("linear_margin_drop")
def pixel_by_pixel(w, epsilon):
    drop = 0.0
    for weight in w.flatten().tolist():
        drop += epsilon * weight if weight > 0 else -epsilon * weight
    return drop


@unusual("linear_flip_epsilon")
def by_bisection(W, b, x, y):
    """Search for the ε at which the worst lead is 0."""
    rows, found = torch.arange(len(y)), []

    def worst_lead(i, epsilon):
        label = y[i]
        w = W[label] - W
        leads = w @ x[i] + b[label] - b - epsilon * w.abs().sum(1)
        return min(leads[k].item() for k in range(len(W)) if k != label)

    for i in rows.tolist():
        low, high = 0.0, 1000.0
        if worst_lead(i, 0.0) <= 0:
            high = 0.0
        for _ in range(80):
            middle = (low + high) / 2
            low, high = (middle, high) if worst_lead(i, middle) > 0 else (low, middle)
        found.append(high)
    return torch.tensor(found, dtype=x.dtype)


@unusual("linear_flip_epsilon")
def by_cdist(W, b, x, y):
    scores = F.linear(x, W, b)
    own = scores.gather(1, y.unsqueeze(1))
    distances = torch.cdist(W, W, p=1)[y]
    ratios = torch.relu(own - scores) / distances
    return ratios.masked_fill(F.one_hot(y, len(W)).bool(), torch.inf).min(1)[0]


@unusual("linear_flip_epsilon")
def in_numpy(W, b, x, y):
    W, b, X, labels = (v.numpy() for v in (W, b, x, y))
    out = np.full(len(X), np.inf)
    for k in range(len(W)):
        for i in np.flatnonzero(labels != k):
            w = W[labels[i]] - W[k]
            lead = w @ X[i] + b[labels[i]] - b[k]
            out[i] = min(out[i], max(lead, 0) / np.abs(w).sum())
    return torch.from_numpy(out).to(x.dtype)


# --- one step ---


@unusual("fgsm")
def with_functional_gradients(model, x, y, epsilon, targeted=False):
    def loss(image):
        return F.cross_entropy(model(image), y, reduction="sum")

    grad = torch.func.grad(loss)(x.detach()).detach()
    return torch.clip(
        x.detach() + (1 - 2 * targeted) * epsilon * torch.sign(grad), 0, 1
    )


@unusual("fgsm")
def by_where(model, x, y, epsilon, targeted=False):
    image = x.detach().clone()
    with torch.enable_grad():
        image.requires_grad_(True)
        scores = model(image)
        loss = torch.logsumexp(scores, 1) - scores[torch.arange(len(y)), y]
        grad = torch.autograd.grad(loss.sum(), image)[0]
    grad = -grad if targeted else grad
    moved = image.detach()
    moved = torch.where(grad > 0, moved + epsilon, moved)
    moved = torch.where(grad < 0, moved - epsilon, moved)
    moved[moved < 0] = 0
    moved[moved > 1] = 1
    return moved


@unusual("fgsm")
def frozen_and_back(model, x, y, epsilon, targeted=False):
    """Uses backward(), on parameters that it freezes for the time being."""
    flags, mode = [p.requires_grad for p in model.parameters()], model.training
    model.requires_grad_(False).eval()
    with torch.enable_grad():
        image = x.detach().clone().requires_grad_()
        F.cross_entropy(model(image), y).backward()
    for parameter, flag in zip(model.parameters(), flags, strict=True):
        parameter.requires_grad_(flag)
    model.train(mode)
    sign = image.grad.sign()
    return (image.detach() + (-epsilon if targeted else epsilon) * sign).clamp_(0, 1)


@unusual("fgsm")
def from_probabilities(model, x, y, epsilon, targeted=False):
    """The gradient of the scores, weighted by the gradient of the loss: p - one-hot."""
    with torch.enable_grad():
        image = x.detach().clone().requires_grad_()
        scores = model(image)
        probs = scores.detach().softmax(1)
        upstream = probs - F.one_hot(y, scores.shape[1]).to(probs)
        (grad,) = torch.autograd.grad(scores, image, upstream / len(y))
    step = epsilon * torch.sgn(grad)
    return (x.detach() - step if targeted else x.detach() + step).clamp(min=0, max=1)


# --- fooling images ---


@unusual("make_fooling_image")
def recursive(X, target_y, model, left=100):
    X = X.detach().clone()
    with torch.enable_grad():
        scores = model(X.requires_grad_())
        (grad,) = torch.autograd.grad(scores[0, target_y], X)
    X = X.detach()
    if left == 0 or scores.argmax().item() == target_y or grad.norm() == 0:
        return X
    return recursive(
        X + F.normalize(grad.flatten(), dim=0).view_as(X), target_y, model, left - 1
    )


@unusual("make_fooling_image")
def looks_first(X, target_y, model):
    """Predicts apart from differentiating."""
    image = X.detach().clone()

    def predicted():
        with torch.no_grad():
            return int(model(image).argmax(1))

    steps = 0
    while steps < 100 and predicted() != target_y:
        with torch.enable_grad():
            at = image.clone().requires_grad_()
            model(at)[0][target_y].backward(inputs=[at])
        if torch.count_nonzero(at.grad) == 0:
            return image
        image = image + at.grad / torch.linalg.norm(at.grad.ravel())
        steps += 1
    return image


@unusual("make_fooling_image")
def with_functional_score(X, target_y, model):
    X = X.detach()
    score = torch.func.grad_and_value(
        lambda image: (lambda s: (s[0, target_y], s))(model(image)), has_aux=True
    )
    for _ in range(100):
        grad, (_, scores) = score(X)
        grad = grad.detach()
        if scores[0].max() == scores[0, target_y] or not grad.abs().sum():
            return X.clone()
        X = X + grad / (grad * grad).sum().sqrt()
    return X


# --- projected gradient descent ---


@unusual("pgd")
def by_steps_of_fgsm(model, x, y, epsilon, alpha, steps, *, rng=None):
    low, high = (x - epsilon).clamp(min=0).detach(), (x + epsilon).clamp(max=1).detach()
    image = x.detach().clone()
    if rng is not None:
        image = low.lerp(high, torch.rand(x.shape, generator=rng).to(x))
    for _ in range(steps):
        image = right.fgsm(model, image, y, alpha).clamp(low, high)
    return image


@unusual("pgd")
def in_place_on_a_copy(model, x, y, epsilon, alpha, steps, *, rng=None):
    adv = x.detach().clone()
    if rng is not None:
        adv += torch.empty_like(adv).uniform_(-epsilon, epsilon, generator=rng)
        adv.clamp_(0, 1)
    with torch.enable_grad():
        for _ in range(steps):
            adv.requires_grad_()
            grad = torch.autograd.grad(nn.CrossEntropyLoss()(model(adv), y), adv)[0]
            adv = adv.detach()
            adv += alpha * grad.sign_()
            adv = torch.max(torch.min(adv, x + epsilon), x - epsilon).detach()
            adv.clamp_(0.0, 1.0)
    return adv


@unusual("pgd")
def image_after_image(model, x, y, epsilon, alpha, steps, *, rng=None):
    """Each image is attacked to its end before the next one begins."""
    starts = right.pgd(model, x, y, epsilon, alpha, 0, rng=rng)
    ends = []
    for clean, image, label in zip(x.detach(), starts, y, strict=True):
        clean, image = clean[None], image[None]
        for _ in range(steps):
            moved = right.fgsm(model, image, label[None], alpha)
            image = clean + (moved - clean).clamp(-epsilon, epsilon)
            image = image.clamp(0, 1)
        ends.append(image)
    return torch.cat(ends)


@unusual("pgd")
def by_an_optimizer(model, x, y, epsilon, alpha, steps, *, rng=None):
    """Plain gradient descent of PyTorch's, on the sign of the gradient."""
    x = x.detach()
    image = right.pgd(model, x, y, epsilon, alpha, 0, rng=rng).clone()
    optimizer = torch.optim.SGD([image], lr=alpha, maximize=True)
    for _ in range(steps):
        with torch.enable_grad():
            image.requires_grad_()
            loss = F.cross_entropy(model(image), y)
            (image.grad,) = torch.autograd.grad(loss, image)
        image.grad.sign_()
        optimizer.step()
        with torch.no_grad():
            image.copy_(image.clamp(x - epsilon, x + epsilon).clamp(0, 1))
    return image.detach()


# --- accuracy under attack ---


@unusual("robust_accuracy")
def in_one_line(model, x, y, *attack):
    return float(
        (model(right.pgd(model, x, y, *attack)).argmax(-1) == y).float().mean()
    )


@unusual("robust_accuracy")
def by_sorting(model, x, y, epsilon, alpha, steps):
    attacked = right.pgd(model, x, y, epsilon, alpha, steps, rng=None)
    with torch.no_grad():
        best = model(attacked).sort(dim=1, descending=True).indices[:, 0]
    return torch.eq(best, y).sum().item() / y.numel()


@unusual("robust_accuracy")
def in_eval_mode(model, x, y, epsilon, alpha, steps):
    was_training = model.training
    model.eval()
    try:
        attacked = right.pgd(model, x, y, epsilon, alpha, steps)
        with torch.inference_mode():
            hits = model(attacked).argmax(1).cpu().numpy() == y.cpu().numpy()
    finally:
        model.train(was_training)
    return np.mean(hits)


# --- adversarial training ---


@unusual("adversarial_training_step")
def with_gradients_assigned(model, optimizer, x, y, epsilon, alpha, steps):
    images = right.pgd(model, x, y, epsilon, alpha, steps)
    parameters = list(model.parameters())
    loss = F.cross_entropy(model(images), y)
    for parameter, grad in zip(
        parameters, torch.autograd.grad(loss, parameters), strict=True
    ):
        parameter.grad = grad
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


@unusual("adversarial_training_step")
def with_a_closure(model, optimizer, x, y, epsilon, alpha, steps):
    images = right.pgd(model, x, y, epsilon, alpha, steps)

    def closure():
        optimizer.zero_grad(set_to_none=False)
        loss = F.cross_entropy(model(images), y)
        loss.backward()
        return loss

    return optimizer.step(closure).item()


@unusual("adversarial_training_step")
def image_by_image(model, optimizer, x, y, epsilon, alpha, steps):
    """Attacks in eval mode; gradients add up over the images of the batch."""
    mode = model.training
    model.eval()
    images = right.pgd(model, x, y, epsilon, alpha, steps)
    model.train(mode)
    optimizer.zero_grad()
    total = 0.0
    for image, label in zip(images, y, strict=True):
        loss = F.cross_entropy(model(image[None]), label[None]) / len(y)
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total
