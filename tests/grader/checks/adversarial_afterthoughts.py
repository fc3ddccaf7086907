"""Topic 12: answers that nobody had in mind when the checks were written."""

import copy

import numpy as np
import scipy.optimize
import torch
import torch.nn.functional as F

from grader.checks.adversarial import answers as right

# (exercise, name): functions
WRONG: dict[tuple[str, str], tuple] = {}
RIGHT: dict[tuple[str, str], tuple] = {}


def _gradient(model, x, y):
    with torch.enable_grad():
        image = x.detach().clone().requires_grad_()
        loss = F.cross_entropy(model(image), y, reduction="sum")
        return torch.autograd.grad(loss, image)[0]


# --- wrong ---


def small_gradients_ignored(model, x, y, epsilon, targeted=False):
    grad = _gradient(model, x, y)
    sign = grad.sign() * (grad.abs() > 0.1 * grad.abs().max())
    return (x.detach() + (-epsilon if targeted else epsilon) * sign).clamp(0, 1)


WRONG["fgsm", "small gradients ignored"] = (small_gradients_ignored,)


def centred_images(model, x, y, epsilon, targeted=False):
    """Gives the model images in [-1, 1], as other courses do."""
    grad = _gradient(model, 2 * x.detach() - 1, y)
    sign = (-epsilon if targeted else epsilon) * grad.sign()
    return (x.detach() + sign).clamp(0, 1)


WRONG["fgsm", "images of other courses"] = (centred_images,)


def gradients_none_afterwards(model, x, y, epsilon, targeted=False):
    """Puts back None, whatever was there."""
    out = right.fgsm(model, x, y, epsilon, targeted)
    for parameter in model.parameters():
        parameter.grad = None
    return out


WRONG["fgsm", "gradients are None afterwards"] = (gradients_none_afterwards,)


def best_of_the_way(model, x, y, epsilon, alpha, steps, *, rng=None):
    """Returns, of all images on the way, those of the largest loss."""
    image = right.pgd(model, x, y, epsilon, alpha, 0, rng=rng)
    best, most = image, torch.full((len(y),), -torch.inf).to(x.dtype)
    for step in range(steps + 1):
        with torch.no_grad():
            losses = F.cross_entropy(model(image), y, reduction="none")
        better = losses > most
        best = torch.where(better[:, None, None, None], image, best)
        most = torch.maximum(losses, most)
        if step < steps:
            moved = right.fgsm(model, image, y, alpha)
            image = (x + (moved - x).clamp(-epsilon, epsilon)).clamp(0, 1).detach()
    return best.detach()


WRONG["pgd", "best of the way"] = (best_of_the_way,)


def with_momentum(model, x, y, epsilon, alpha, steps, *, rng=None):
    image = right.pgd(model, x, y, epsilon, alpha, 0, rng=rng)
    x, velocity = x.detach(), 0
    for _ in range(steps):
        grad = _gradient(model, image, y)
        velocity = velocity + grad / (grad.abs().sum((1, 2, 3), keepdim=True) + 1e-12)
        image = image + alpha * velocity.sign()
        image = image.clamp(x - epsilon, x + epsilon).clamp(0, 1)
    return image


WRONG["pgd", "momentum"] = (with_momentum,)


def triangular_start(model, x, y, epsilon, alpha, steps, *, rng=None):
    """The sum of two draws lies in the ball, but mostly in its middle."""
    start, origin = x.detach(), x.detach()
    if rng is not None:
        halves = [torch.rand(x.shape, generator=rng).to(x) for _ in range(2)]
        start = (start + epsilon * (sum(halves) - 1)).clamp(0, 1)
    for _ in range(steps):
        start = start + alpha * _gradient(model, start, y).sign()
        start = start.clamp(origin - epsilon, origin + epsilon).clamp(0, 1)
    return start.clone()


WRONG["pgd", "triangular start"] = (triangular_start,)


def away_from_the_others(X, target_y, model):
    """Follows the lead of the target, not its score."""
    image = X.detach().clone()
    for _ in range(100):
        with torch.enable_grad():
            image.requires_grad_()
            scores = model(image)
            lead = scores[0, target_y] - scores[0].mean()
            (grad,) = torch.autograd.grad(lead, image)
        image = image.detach()
        if scores.argmax() == target_y or not grad.any():
            break
        image = image + grad / grad.norm()
    return image


WRONG["make_fooling_image", "lead in place of score"] = (away_from_the_others,)


def against_its_own_names(model, x, y, epsilon, alpha, steps):
    """Attacks the predicted classes."""
    with torch.no_grad():
        named = model(x).argmax(1)
        attacked = right.pgd(model, x, named, epsilon, alpha, steps)
        return (model(attacked).argmax(1) == y).double().mean().item()


WRONG["robust_accuracy", "attacks predicted classes"] = (against_its_own_names,)


def smoothed_labels(model, optimizer, x, y, epsilon, alpha, steps):
    attacked = right.pgd(model, x, y, epsilon, alpha, steps)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(attacked), y, label_smoothing=0.05)
    loss.backward()
    optimizer.step()
    return loss.item()


WRONG["adversarial_training_step", "smoothed labels"] = (smoothed_labels,)


def clipped_gradients(model, optimizer, x, y, epsilon, alpha, steps):
    attacked = right.pgd(model, x, y, epsilon, alpha, steps)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(attacked), y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
    optimizer.step()
    return loss.item()


WRONG["adversarial_training_step", "clipped gradients"] = (clipped_gradients,)


def half_precision(w, epsilon):
    return epsilon * w.abs().half().sum().item()


WRONG["linear_margin_drop", "half precision"] = (half_precision,)


def within_the_box(W, b, x, y):
    """Assumes that pixels below 0 and above 1 can't move."""
    out = right.linear_flip_epsilon(W, b, x.clamp(0, 1), y)
    return out


WRONG["linear_flip_epsilon", "pixels in [0, 1]"] = (within_the_box,)


# --- right ---


def by_jacobian(model, x, y, epsilon, targeted=False):
    def losses(images):
        return F.cross_entropy(model(images), y, reduction="none")

    with torch.enable_grad():
        jacobian = torch.autograd.functional.jacobian(losses, x.detach().clone())
    grad = jacobian[range(len(y)), range(len(y))]
    sign = -grad.sign() if targeted else grad.sign()
    return x.detach().add(sign, alpha=epsilon).clamp(0, 1)


RIGHT["fgsm", "Jacobian"] = (by_jacobian,)


def by_differences(model, x, y, epsilon, targeted=False):
    """Central differences, in float64 on a copy of the model."""
    twin, image = copy.deepcopy(model).double(), x.detach().double()
    sign = torch.zeros_like(image)
    with torch.no_grad():
        for pixel in np.ndindex(tuple(image.shape[1:])):
            losses = []
            for h in (1e-6, -1e-6):
                moved = image.clone()
                moved[:, *pixel] += h
                losses.append(F.cross_entropy(twin(moved), y, reduction="none"))
            slope = losses[0] - losses[1]
            sign[:, *pixel] = slope.sign() * (slope.abs() > 1e-13)
    sign = -sign if targeted else sign
    return (image + epsilon * sign).clamp(0, 1).to(x.dtype)


RIGHT["fgsm", "differences"] = (by_differences,)


def on_a_copy(model, x, y, epsilon, targeted=False):
    """backward() pollutes a copy of the model."""
    twin = copy.deepcopy(model)
    with torch.enable_grad():
        image = torch.nn.Parameter(x.detach().clone())
        loss = torch.nn.NLLLoss()(twin(image).log_softmax(-1), y)
        (-loss if targeted else loss).backward()
    with torch.no_grad():
        return (image + epsilon * torch.sign(image.grad)).clip(0.0, 1.0)


RIGHT["fgsm", "backward on a copy"] = (on_a_copy,)


class Attack:
    """An object that is called like a function."""

    def __call__(self, model, x, y, epsilon, alpha, steps, *, rng=None):
        self.low, self.high = x.detach() - epsilon, x.detach() + epsilon
        image = self.put_back(x.detach() * 1)
        if rng is not None:
            noise = torch.rand(x.shape, generator=rng, dtype=torch.float64)
            span = (self.high - self.low).double()
            image = self.put_back((self.low + span * noise).to(x.dtype))
        for _ in range(steps):
            image = self.put_back(image + alpha * _gradient(model, image, y).sgn())
        return image

    def put_back(self, image):
        image = torch.where(image < self.low, self.low, image)
        image = torch.where(image > self.high, self.high, image)
        return F.hardtanh(image, 0, 1)


RIGHT["pgd", "an object"] = (Attack(),)


def by_numpys_generator(model, x, y, epsilon, alpha, steps, *, rng=None):
    """Seeds NumPy's generator by a number that the given one draws."""
    start = x.detach().clone()
    if rng is not None:
        seed = torch.randint(2**31, (1,), generator=rng).item()
        noise = np.random.default_rng(seed).uniform(-epsilon, epsilon, x.shape)
        start = (start + torch.from_numpy(noise).to(x.dtype)).clamp(0, 1)
    for _ in range(steps):
        ball = (start + alpha * _gradient(model, start, y).sign() - x.detach()).clamp(
            -epsilon, epsilon
        )
        start = (x.detach() + ball).clamp(0, 1)
    return start


RIGHT["pgd", "NumPy's generator"] = (by_numpys_generator,)


def functional(model, x, y, epsilon, alpha, steps, *, rng=None):
    """The model as a function of detached weights."""
    weights = {n: v.detach() for n, v in model.state_dict().items()}

    def loss(images):
        scores = torch.func.functional_call(model, weights, (images,))
        return F.nll_loss(scores.log_softmax(1), y)

    image = right.pgd(model, x, y, epsilon, alpha, 0, rng=rng)
    for _ in range(steps):
        image = image + alpha * torch.func.grad(loss)(image).sign()
        image = x.detach() + torch.clip(image - x.detach(), -epsilon, epsilon)
        image = torch.clip(image, 0, 1)
    return image


RIGHT["pgd", "functional call"] = (functional,)


def largest_score_by_topk(X, target_y, model):
    X = X.detach()
    way = torch.zeros_like(X)
    with torch.enable_grad():
        for steps in range(101):
            at = (X + way).requires_grad_(True)
            scores = model(at)
            if scores.topk(1).indices.item() == target_y or steps == 100:
                break
            (grad,) = torch.autograd.grad(
                scores,
                at,
                F.one_hot(torch.tensor([target_y]), scores.shape[1]).to(scores),
            )
            size = torch.sqrt(torch.einsum("nchw,nchw->", grad, grad))
            if size == 0:
                break
            way = way + grad / size
    return X + way


RIGHT["make_fooling_image", "top of scores"] = (largest_score_by_topk,)


def in_batches(model, x, y, epsilon, alpha, steps):
    right_ones = []
    for part, labels in zip(x.split(4), y.split(4), strict=True):
        attacked = right.pgd(model, part, labels, epsilon, alpha, steps)
        with torch.no_grad():
            scores = model(attacked)
        right_ones += (scores.max(1).indices == labels).tolist()
    return sum(right_ones) / len(right_ones)


RIGHT["robust_accuracy", "in batches"] = (in_batches,)


def by_the_leads(model, x, y, epsilon, alpha, steps):
    with torch.no_grad():
        scores = model(right.pgd(model, x, y, epsilon, alpha, steps))
    own = scores[torch.arange(len(y)), y]
    return (scores > own[:, None]).any(1).logical_not().double().mean().item()


RIGHT["robust_accuracy", "leads"] = (by_the_leads,)


def own_zeroing(model, optimizer, x, y, epsilon, alpha, steps):
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None
    attacked = right.pgd(model, x, y, epsilon, alpha, steps)
    losses = F.cross_entropy(model(attacked), y, reduction="none")
    losses.mean().backward()
    optimizer.step()
    return np.float64(losses.detach().numpy().mean())


RIGHT["adversarial_training_step", "own zeroing"] = (own_zeroing,)


def polluting_but_cleared(model, optimizer, x, y, epsilon, alpha, steps):
    """An attack that pollutes the gradients, cleared before they count."""
    image = x.clone()
    for _ in range(steps):
        image.requires_grad_()
        F.cross_entropy(model(image), y).backward()
        image = image.detach() + alpha * image.grad.sign()
        image = image.clamp(x - epsilon, x + epsilon).clamp(0, 1)
    model.zero_grad()
    loss = F.cross_entropy(model(image), y)
    loss.backward()
    optimizer.step()
    return loss.item()


RIGHT["adversarial_training_step", "polluted, but cleared"] = (polluting_but_cleared,)


def linear_program(W, b, x, y):
    """Minimise ε over changes |d| <= ε that bring another class level, by a solver."""
    found = []
    for image, label in zip(x.double().numpy(), y.tolist(), strict=True):
        best, D = np.inf, len(image)
        for k in set(range(len(W))) - {label}:
            w = (W[label] - W[k]).double().numpy()
            lead = w @ image + float(b[label]) - float(b[k])
            rows = np.vstack(
                [np.hstack([s * np.eye(D), -np.ones((D, 1))]) for s in (1, -1)]
            )
            rows = np.vstack([rows, np.append(w, 0)])
            limits = np.append(np.zeros(2 * D), -lead)
            cost = np.append(np.zeros(D), 1)
            bounds = [(None, None)] * D + [(0, None)]
            best = min(
                best, scipy.optimize.linprog(cost, rows, limits, bounds=bounds).fun
            )
        found.append(best)
    return torch.tensor(found).to(x.dtype)


RIGHT["linear_flip_epsilon", "linear program"] = (linear_program,)


def by_distance(w, epsilon):
    return F.l1_loss(w, w - w, reduction="sum").item() * epsilon


RIGHT["linear_margin_drop", "distance from 0"] = (by_distance,)
