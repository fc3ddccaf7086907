# %% [markdown] role="locked"
# # Assignment 12: adversarial images
#
# A network reads nearly all digits right.
# Change each pixel by a tenth of the way from black to white, each in the right direction, and it reads about half of them wrong, though to your eye little has changed.
# In this assignment you find those directions, measure what a network withstands, and train one that withstands more.
#
# - You will be able to attack a network by its own gradient, to say why so little is enough, to make it robust, and to tell whether it is.
# - You need lecture 12, and the cross-entropy loss.
# - It takes an evening of thinking; the whole notebook computes in about half a minute on a laptop CPU.
#
# Each exercise has a function to fill in, *open checks* to run as often as you like, and a graded cell.
# Hidden checks grade what the docstring promises, over all of the range that it promises, and nothing else.

# %%
from copy import deepcopy
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import fovea
from fovea.data import load
from fovea.open_checks import expect
from fovea.plotting import describe, draw_curves, image_grid, use_style

use_style()
device = fovea.choose_device()
digits = load("digits")

# %% [markdown] role="locked"
# Images lie in $[0, 1]$, models return scores, and the loss is the cross-entropy of the scores.
# Here are a network for the whole assignment, and a linear one whose weights we choose, for the open checks.

# %% role="locked"
def make_net(num_pixels=64, num_classes=10):
    """Return three affine layers with ReLUs between them; the weights are random."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(num_pixels, 128),
        nn.ReLU(),
        nn.Linear(128, 128),
        nn.ReLU(),
        nn.Linear(128, num_classes),
    )


def linear_model(W, b):
    """Return a model of images whose scores are W x + b, in float64."""
    W, b = torch.tensor(W).double(), torch.tensor(b).double()
    layer = nn.Linear(*W.T.shape).double()
    layer.load_state_dict({"weight": W, "bias": b})
    return nn.Sequential(nn.Flatten(), layer)


# two classes, and one image of 1x2 pixels that is of class 0
PAIR = linear_model([[1, -1], [-1, 1]], [0, 0])
POINT, ZERO = torch.tensor([[[[0.8, 0.3]]]]).double(), torch.tensor([0])

# %% [markdown] role="locked"
# **Rules of the house.** An attack is a guest in somebody else's program.
# These rules hold for every function below that gets a model (the one that trains it changes its weights, of course), and the hidden checks try them:
#
# 1. A tensor that comes back is *detached*, and has the dtype of the images: float32 or float64.
# 2. Everything else is left as it was found: the images and labels; `requires_grad` and `.grad` of the images and of the model's parameters; the model's mode, train or eval.
# 3. It works where gradients are switched off: under `torch.no_grad()`, and for a model whose parameters are frozen.
#
# `loss.backward()` breaks the second rule: it adds to the `.grad` of every parameter.
# `torch.autograd.grad(loss, image)` returns the gradient of the image, and touches nothing; inside `with torch.enable_grad():` it works everywhere.
# Call the model in the mode that it has: where the mode makes a difference to an attack you get a model in eval mode.

# %% role="locked"
def expect_house_rules(attack):
    """Try the rules on attack(model, x); the model is PAIR's twin, with a twist."""
    model, x = linear_model([[1, -1], [-1, 1]], [0, 0]), POINT.clone()
    model[1].bias.grad = torch.ones(2).double()
    usual = attack(model, x)
    assert not getattr(usual, "requires_grad", False), "rule 1: what comes back is on a graph"
    expect("rule 2: x, after the call", x, POINT, "what is written in place")
    assert not x.requires_grad, "rule 2: x requires a gradient, and did not before"
    assert model[1].weight.grad is None, "rule 2: a parameter has a .grad, and had none before"
    expect("rule 2: a parameter's .grad", model[1].bias.grad, [1, 1], "`backward()`, `zero_grad()`")
    assert model.training, "rule 2: the model was in train mode, and is in eval mode"
    with torch.no_grad():
        expect("rule 3: under no_grad", attack(model.requires_grad_(False), x), usual, "enable_grad")
    assert not model[1].weight.requires_grad, "rule 2: the model was frozen, and is not any more"


# %% [markdown] role="locked"
# ## Why so little is enough
#
# Take a linear score, $s = w \cdot x + b$, and let each pixel move by at most $\varepsilon$.
# The worst that can happen: pixel $i$ moves by $\varepsilon$ against the sign of $w_i$, and the score falls by
#
# $$\varepsilon \sum_i |w_i| = \varepsilon\, \lVert w \rVert_1.$$
#
# With $w = (1, -2, 3)$ and $\varepsilon = 0.1$ that is $0.6$.
# Every pixel adds to it: with weights of ordinary size, an image of a hundred times as many pixels falls a hundred times as far, though each pixel moves as little as before.
#
# **Exercise (2 points).** Write it down. (Here and in the next exercise pixels may leave $[0, 1]$.)

# %% role="solution" grade_id="adversarial-linear-margin-drop"
def linear_margin_drop(w, epsilon):
    """Return how far the score (w * x).sum() falls at most, as a float >= 0, if every
    entry of x moves by at most epsilon >= 0.

    w: a tensor of any shape, float32 or float64
    """
    ### BEGIN SOLUTION
    return epsilon * w.abs().sum().item()
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_linear_margin_drop():
    expect("the case above", linear_margin_drop(torch.tensor([1.0, -2.0, 3.0]), 0.1), 0.6, "magnitudes")
    for size in (10, 100):
        w = torch.ones(1, size, size) / 10
        expect(f"{size}x{size} pixels", linear_margin_drop(w, 0.05), 0.005 * size**2, "the sum over all pixels")
    assert isinstance(linear_margin_drop(w, 0.05), float), "a float is promised"


check_linear_margin_drop()

# %% role="tests" grade_id="adversarial-linear-margin-drop-tests" points=2
# Graded by hidden checks: any shape, high dimension, float32.
### BEGIN HIDDEN TESTS
from grader.checks import adversarial
adversarial.linear_margin_drop(linear_margin_drop)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# A linear classifier has a score for each class, and what counts is by how much the right one leads: $s_y - s_k = (w_y - w_k) \cdot x + b_y - b_k$.
# That is a linear score again, with the weights $w_y - w_k$, so you know how fast it can fall.
# The image is lost as soon as the first of the other classes catches up.
#
# With $W = \begin{pmatrix} 1 & -1 \\ -1 & 1 \end{pmatrix}$, $b = 0$ and $x = (0.8, 0.3)$ the scores are $0.5$ and $-0.5$.
# Class 0 leads by $1$; its weights differ by $(2, -2)$; so $\varepsilon = 1/4$ is enough, and indeed both scores of $(0.55, 0.55)$ are 0.
#
# **Exercise (3 points).** Find the smallest $\varepsilon$ for each image.
# The class with the second largest score need not be the first to catch up.

# %% role="solution" grade_id="adversarial-linear-flip-epsilon"
def linear_flip_epsilon(W, b, x, y):
    """Return, for each image, the smallest epsilon at which the score of some other
    class can reach that of y: a tensor (N,), of x's dtype.

    The scores are x @ W.T + b. W: (K, D), K >= 2, no two rows alike; b: (K,); x: (N, D),
    any real numbers; y: (N,) int64. float32 or float64, and nothing that is given changes.
    Where another class is ahead from the start, the result is 0.
    """
    ### BEGIN SOLUTION
    scores = x @ W.T + b
    rows = torch.arange(len(y))
    leads = scores[rows, y][:, None] - scores
    falls = (W[y][:, None, :] - W).abs().sum(dim=2)
    # a class never catches up with itself
    falls[rows, y], leads[rows, y] = 1, torch.inf
    return (leads / falls).amin(dim=1).clamp(min=0)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_linear_flip_epsilon():
    W, b = PAIR[1].weight.detach(), PAIR[1].bias.detach()
    x = POINT.flatten(1)
    expect("the case above", linear_flip_epsilon(W, b, x, ZERO), [0.25], "lead / fall")
    expect("class 1 is behind", linear_flip_epsilon(W, b, x, 1 - ZERO), [0], "what is ahead already")
    W = torch.tensor([[1.0, 0.0], [0.9, 0.0], [-9.0, 0.0]]).double()
    b = torch.tensor([0.0, -0.4, 0.0]).double()
    three = linear_flip_epsilon(W, b, torch.tensor([[1.0, 0.0]]).double(), ZERO)
    expect("the third class is farther behind, but faster", three, [1.0], "the smallest over all classes")


check_linear_flip_epsilon()

# %% role="tests" grade_id="adversarial-linear-flip-epsilon-tests" points=3
# Graded by hidden checks: two classes and more, labels that are behind, float32; nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import adversarial
adversarial.linear_flip_epsilon(linear_flip_epsilon)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## One step of the sign
#
# A network is not linear, but close to an image it nearly is: its gradient takes the place of the weights.
# The **fast gradient sign method** (I. Goodfellow et al., 2015) moves each pixel by $\varepsilon$ in the direction that makes the loss $L$ grow, and cuts off what leaves $[0, 1]$:
#
# $$x' = \operatorname{clip}_{[0,1]}\bigl(x + \varepsilon\, \operatorname{sign} \nabla_{\!x} L(x, y)\bigr)$$
#
# The **targeted** form names a class $y$ that it wants to be seen, and makes the loss of that class shrink.
# The image $(0.8, 0.3)$ of above, of class 0, goes to $(0.7, 0.4)$ at $\varepsilon = 0.1$; wanted as class 0, it goes to $(0.9, 0.2)$.
#
# **Exercise (8 points).** Write both.

# %% role="solution" grade_id="adversarial-fgsm"
def fgsm(model, x, y, epsilon, targeted=False):
    """Return the images after one step of epsilon >= 0, (N, C, H, W), within [0, 1].

    model: returns scores (N, num_classes); x: (N, C, H, W) in [0, 1], of any size;
    y: (N,) int64, the true labels, whose loss grows; with targeted=True the wanted
    ones, whose loss shrinks. All images are attacked, also those that are named wrong
    already. Where the gradient is 0 a pixel stays. The rules of the house hold.
    """
    ### BEGIN SOLUTION
    with torch.enable_grad():
        image = x.detach().clone().requires_grad_()
        loss = F.cross_entropy(model(image), y)
        grad = torch.autograd.grad(loss, image)[0]
    direction = -grad.sign() if targeted else grad.sign()
    return (x.detach() + epsilon * direction).clamp(0, 1)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_fgsm():
    expect("the case above", fgsm(PAIR, POINT, ZERO, 0.1), [[[[0.7, 0.4]]]], "the sign of the gradient")
    wanted = fgsm(PAIR, POINT, ZERO, 0.1, targeted=True)
    expect("class 0 is wanted", wanted, [[[[0.9, 0.2]]]], "which way the loss goes")
    expect("a large step", fgsm(PAIR, POINT, ZERO, 0.9), [[[[0, 1]]]], "the clipping")
    expect("epsilon = 0", fgsm(PAIR, POINT, ZERO, 0), POINT, "the length of the step")
    two = fgsm(PAIR, torch.cat([POINT, POINT]), torch.tensor([0, 1]), 0.1)
    expect("each image on its own", two.flatten(1), [[0.7, 0.4], [0.9, 0.2]], "what images share")
    blind = linear_model([[1, 0], [-1, 0]], [0, 0])
    expect("a pixel without effect", fgsm(blind, POINT, ZERO, 0.1), [[[[0.7, 0.3]]]], "the sign of 0")
    assert fgsm(make_net(2, 2), POINT.float(), ZERO, 0.1).dtype == torch.float32, "float32 is lost"
    expect_house_rules(lambda model, x: fgsm(model, x, ZERO, 0.1))


check_fgsm()

# %% role="tests" grade_id="adversarial-fgsm-tests" points=8
# Graded by hidden checks: values with and without a target, black and white pixels, zero gradients, float32, the rules of the house.
### BEGIN HIDDEN TESTS
from grader.checks import adversarial
adversarial.fgsm(fgsm)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Now a network of real size: it trains as usual, and reads nearly all test digits right.
# How many are left after your step?

# %%
fovea.set_seed(0)
plain_net = make_net()
fovea.fit(plain_net, digits, num_epochs=25, lr=2e-3, batch_size=64, device=device, show=False)
test = digits.test.to(device)


def accuracy(model, x, y):
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).double().mean().item()


stepped = fgsm(plain_net, test.X, test.y, 0.1)
print(f"clean: {accuracy(plain_net, test.X, test.y):.1%}, attacked: {accuracy(plain_net, stepped, test.y):.1%}")

# %%
read_as = plain_net(stepped).argmax(dim=1)
shown = (read_as != test.y).nonzero().flatten()[:6]
names = [f"{test.y[i]}" for i in shown] + [f"read as {read_as[i]}" for i in shown]
axes = image_grid([*test.X[shown, 0].cpu(), *stepped[shown, 0].cpu()], names=names, columns=6)
describe(axes, "Six digits, and below them the same after one step: much alike, but misread.")

# %% [markdown] role="locked"
# ## Fooling images
#
# An attack may also ask for a class and take its time.
# Follow the gradient of that class's *score*: not of the loss, which also counts how the others fare.
# Divide it by its Euclidean length, so that every step is equally long, and stop as soon as the class is the predicted one.
#
# On $(0.8, 0.3)$ the score of class 1 grows in the direction $(-1, 1)$; one step of length 1 leads to $(0.8 - 0.707,\; 0.3 + 0.707)$, and class 1 it is.
#
# **Exercise (7 points).** Fool a network. The image isn't clipped here.

# %% role="solution" grade_id="adversarial-make-fooling-image"
def make_fooling_image(X, target_y, model):
    """Return an image (1, C, H, W) that the model takes for class target_y.

    X: (1, C, H, W); target_y: an int. Starts from X; each step has Euclidean length 1 and
    goes along the gradient of the score of target_y. Ends as soon as target_y is the
    predicted class (without any step if it is for X), after 100 steps, or where that
    gradient is exactly 0. Values may leave [0, 1]. The rules of the house hold.
    """
    ### BEGIN SOLUTION
    fooling = X.detach().clone()
    for _ in range(100):
        with torch.enable_grad():
            fooling.requires_grad_()
            scores = model(fooling)
            grad = torch.autograd.grad(scores[0, target_y], fooling)[0]
        fooling = fooling.detach()
        if scores.argmax() == target_y or not grad.any():
            break
        fooling = fooling + grad / grad.norm()
    return fooling
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_make_fooling_image():
    fooled = make_fooling_image(POINT, 1, PAIR)
    expect("the case above", fooled, POINT + torch.tensor([-1, 1]) / 2**0.5, "a step of length 1")
    expect("class 0 is predicted already", make_fooling_image(POINT, 0, PAIR), POINT, "when to stop")
    far = linear_model([[0, 0], [0, 1]], [0, -50.8])
    expect("fifty-one steps", make_fooling_image(POINT, 1, far), [[[[0.8, 51.3]]]], "when to stop")
    too_far = linear_model([[0, 0], [0, 1]], [0, -500])
    expect("too far away", make_fooling_image(POINT, 1, too_far), [[[[0.8, 100.3]]]], "100 steps at most")
    flat = linear_model([[0, 1], [0, 0]], [0, 0])
    expect("a score that never changes", make_fooling_image(POINT, 1, flat), POINT, "0 / 0")
    expect_house_rules(lambda model, x: make_fooling_image(x, 1, model))


check_make_fooling_image()

# %% role="tests" grade_id="adversarial-make-fooling-image-tests" points=7
# Graded by hidden checks: linear and other models, no step, one and 100, zero gradients, float32, the rules of the house.
### BEGIN HIDDEN TESTS
from grader.checks import adversarial
adversarial.make_fooling_image(make_fooling_image)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Here a zero sets out to become each of the ten digits.
# What do you see of the class that the network names?

# %%
nought = test.X[test.y == 0][:1]
fooling = [make_fooling_image(nought, k, plain_net)[0, 0].cpu() for k in range(10)]
axes = image_grid(fooling, names=[f"read as {k}" for k in range(10)], columns=5)
describe(axes, "A zero, changed in ten ways all over (red above 0, blue below), each read as another digit.")

# %% [markdown] role="locked"
# ## Projected gradient descent
#
# A step of full length trusts the gradient too far: on the way, it turns.
# **Projected gradient descent** (A. Madry et al., 2018) takes many small steps of length $\alpha$, asks for the gradient anew each time, and puts the image back where it may be: into the ball of all images whose pixels differ by at most $\varepsilon$ from those of $x$, and into $[0, 1]$.
#
# $$x_{t+1} = \Pi\bigl(x_t + \alpha\, \operatorname{sign} \nabla_{\!x} L(x_t, y)\bigr), \qquad \Pi:\; |x_{t+1} - x| \le \varepsilon \text{ and } 0 \le x_{t+1} \le 1 \text{ in every pixel}$$
#
# In this "ball", which is a cube, projecting is clipping.
# Its centre is $x$, always, wherever the attack has come to or has started: it starts at $x$, or, so that several attempts differ, at a random point of the ball.
# $(0.8, 0.3)$ of class 0 with $\varepsilon = 0.1$, $\alpha = 0.06$ goes to $(0.74, 0.36)$, and then to $(0.7, 0.4)$, where it stays.
#
# **Exercise (12 points).** Write the attack that all others are measured by.
# `torch.rand(..., generator=rng)` draws numbers between 0 and 1.

# %% role="solution" grade_id="adversarial-pgd"
def pgd(model, x, y, epsilon, alpha, steps, *, rng=None):
    """Return the attacked images (N, C, H, W), within epsilon of x and within [0, 1].

    model, x, y: as for fgsm, without a target. Takes exactly `steps` steps of alpha in
    the sign of the gradient, also for images that are named wrong already; epsilon >= 0,
    alpha > 0 (it may be larger than epsilon). After every step the images are projected
    on the ball around x, and on [0, 1].
    rng: None to start at x, or a torch.Generator to draw the start from: a point of the
    ball, every pixel of every image uniformly and by itself, clipped to [0, 1]. steps=0
    returns the start. The rules of the house hold.
    """
    ### BEGIN SOLUTION
    x = x.detach()
    image = x.clone()
    if rng is not None:
        noise = torch.rand(x.shape, generator=rng, dtype=x.dtype, device=rng.device)
        image = (x + epsilon * (2 * noise.to(x.device) - 1)).clamp(0, 1)
    for _ in range(steps):
        with torch.enable_grad():
            image.requires_grad_()
            loss = F.cross_entropy(model(image), y)
            grad = torch.autograd.grad(loss, image)[0]
        image = image.detach() + alpha * grad.sign()
        image = image.clamp(x - epsilon, x + epsilon).clamp(0, 1)
    return image
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_pgd():
    for steps, wanted in enumerate([[0.8, 0.3], [0.74, 0.36], [0.7, 0.4], [0.7, 0.4]]):
        got = pgd(PAIR, POINT, ZERO, 0.1, 0.06, steps)
        expect(f"{steps} steps", got.flatten(), wanted, "the sign, alpha, the ball around x")
    got = pgd(PAIR, POINT, ZERO, 0.9, 0.5, 3)
    expect("black and white", got.flatten(), [0, 1], "the projection on [0, 1]")
    torch.manual_seed(0)
    curved, y = make_net(30, 3).double(), torch.tensor([0, 1, 2, 1])
    x = torch.rand(4, 1, 5, 6).double()
    one_by_one = x
    for _ in range(5):
        one_by_one = fgsm(curved, one_by_one, y, 0.04).clamp(x - 0.1, x + 0.1)
    expect("five steps of fgsm, projected", pgd(curved, x, y, 0.1, 0.04, 5), one_by_one, "the gradient of each step")
    starts = [pgd(curved, x, y, 0.1, 0.04, 0, rng=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    expect("the same seed twice", starts[0], starts[1], "where random numbers come from")
    assert not starts[0].equal(starts[2]), "two seeds lead to the same start"
    assert not starts[0].equal(x), "with rng, the attack starts at a random point"
    for start in starts:
        assert ((start - x).abs() <= 0.1 + 1e-9).all(), "the start leaves the ball"
        spread = (start - x).min() < -0.05 < 0.05 < (start - x).max()
        assert spread, "the start is not spread over the ball"
        assert ((start >= 0) & (start <= 1)).all(), "the start leaves [0, 1]"
    expect_house_rules(lambda model, x: pgd(model, x, ZERO, 0.1, 0.06, 2))


check_pgd()

# %% role="tests" grade_id="adversarial-pgd-tests" points=12
# Graded by hidden checks: values over all of the range, both projections after each step, random starts, zero gradients, float32, the rules of the house.
### BEGIN HIDDEN TESTS
from grader.checks import adversarial
adversarial.pgd(pgd)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# How robust is a network? As robust as the share of images that it names right after the attack.
# An image that was named wrong before counts as wrong.
#
# **Exercise (4 points).** Measure it, with your `pgd` and without a random start.

# %% role="solution" grade_id="adversarial-robust-accuracy"
def robust_accuracy(model, x, y, epsilon, alpha, steps):
    """Return the share of images, a float from 0 to 1, that the model names y after
    pgd(model, x, y, epsilon, alpha, steps).

    Arguments as for pgd. The rules of the house hold.
    """
    ### BEGIN SOLUTION
    attacked = pgd(model, x, y, epsilon, alpha, steps)
    with torch.no_grad():
        return (model(attacked).argmax(dim=1) == y).double().mean().item()
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_robust_accuracy():
    x = torch.tensor([[0.8, 0.3], [0.6, 0.5], [0.5, 0.45], [0.9, 0.1]]).double()[:, None, None, :]
    y = torch.tensor([0, 0, 0, 1])
    expect("clean", robust_accuracy(PAIR, x, y, 0.1, 0.05, 0), 3 / 4, "steps=0 is no attack")
    expect("at 0.1", robust_accuracy(PAIR, x, y, 0.1, 0.05, 3), 1 / 4, "the share, of all images")
    one = robust_accuracy(PAIR, POINT, ZERO, 0.1, 0.05, 3)
    assert isinstance(one, float), f"a float is promised, not a {type(one).__name__}"
    expect_house_rules(lambda model, x: robust_accuracy(model, x, ZERO, 0.1, 0.05, 3))


check_robust_accuracy()

# %% role="tests" grade_id="adversarial-robust-accuracy-tests" points=4
# Graded by hidden checks: networks that withstand in part, no attack, one image, the rules of the house.
### BEGIN HIDDEN TESTS
from grader.checks import adversarial
adversarial.robust_accuracy(robust_accuracy)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# With it, one network has a whole curve. Compare many small steps with a single one.

# %%
epsilons = np.linspace(0, 0.2, 9)
curves = {
    "one step": [robust_accuracy(plain_net, test.X, test.y, e, e + 1e-6, 1) for e in epsilons],
    "20 steps": [robust_accuracy(plain_net, test.X, test.y, e, e / 4 + 1e-6, 20) for e in epsilons],
}
ax = draw_curves(plt.figure().gca(), epsilons, curves)
ax.set(title="Twenty steps find what one misses", xlabel="ε", ylabel="accuracy", ylim=(0, 1))
describe(ax, "Accuracy falls with epsilon, faster for twenty steps than for one.")

# %% [markdown] role="locked"
# ## Adversarial training
#
# The defence that has lasted is the plainest: train on attacked images, each attacked anew with the weights of the moment.
#
# One step of it is an attack, then a step of training as always: clear the gradients of the step before, compute the mean loss of the attacked images (and of no others), go backwards, let the optimizer take its step.
#
# **Exercise (8 points).** Write this step.

# %% role="solution" grade_id="adversarial-adversarial-training-step"
def adversarial_training_step(model, optimizer, x, y, epsilon, alpha, steps):
    """Take one step of the optimizer on the mean cross-entropy of attacked images; return
    this loss, as it was before the step, as a float.

    The images are pgd(model, x, y, epsilon, alpha, steps). optimizer: one of torch.optim
    over all of the model's parameters; gradients that are there from before don't count.
    The step is taken in the mode that the model is in. x, y and the mode stay as they
    were found.
    """
    ### BEGIN SOLUTION
    attacked = pgd(model, x, y, epsilon, alpha, steps)
    optimizer.zero_grad()
    loss = F.cross_entropy(model(attacked), y)
    loss.backward()
    optimizer.step()
    return loss.item()
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_adversarial_training_step():
    model = linear_model([[1, -1], [-1, 1]], [0, 0])
    model[1].bias.grad = torch.ones(2).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    # attacked, the image is (0.7, 0.4): class 0 leads by 0.6
    loss = adversarial_training_step(model, optimizer, POINT, ZERO, 0.1, 0.06, 2)
    assert isinstance(loss, float), f"a float is promised, not a {type(loss).__name__}"
    expect("the loss", loss, np.log(1 + np.exp(-0.6)), "which images, and before the step")
    share = 1 / (1 + np.exp(0.6))
    expect("the bias", model[1].bias.detach(), [share, -share], "one step, and no gradients from before")
    wanted = np.array([[1, -1], [-1, 1]]) + share * np.outer([1, -1], [0.7, 0.4])
    expect("the weights", model[1].weight.detach(), wanted, "attacked images alone")
    assert model.training, "the model was in train mode, and is in eval mode"


check_adversarial_training_step()

# %% role="tests" grade_id="adversarial-adversarial-training-step-tests" points=8
# Graded by hidden checks: the loss, the parameters after one step and several, with and without an attack, both modes, float32; x, y and mode unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import adversarial
adversarial.adversarial_training_step(adversarial_training_step)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## All together: a network that withstands
#
# Train a network of `make_net()` so that at $\varepsilon = 0.1$ it still names 60 % of new digits right, and 90 % of them without an attack.
# Trained as usual it falls below 50 %.
#
# What you hand in is a network, and it is judged by its weights alone: they are put into a fresh `make_net()`, and attacked on digits that never leave the hidden check.
# It attacks as your `pgd` does, with $\alpha = 0.025$ and 20 steps; and then in other ways: with another loss, from random starts, with images made against other networks, and without any gradient.
# A digit counts only if it survives all of that, so hiding the gradient does not help.
# The classes are renamed, too, so that what you call a seven may be its three; whoever learns from `y_train` won't notice.
#
# **Exercise (8 points).** 90 % right without an attack earn 2 points; 85 %, and 50 % under attack, 2 more; 90 % and 60 % all 8.
#
# Few steps of attack are enough while training: try 3 of $\varepsilon / 2$, on batches of 64, for a dozen epochs of Adam with steps that shrink towards the end.

# %% role="solution" grade_id="adversarial-robust-digits"
def train_robust(X_train, y_train, seed):
    """Return a network of make_net(), trained on (X_train, y_train) to withstand attacks
    with epsilon = 0.1.

    X_train: an array (N, 1, 8, 8), float32 in [0, 1]; y_train: (N,) int64, 0 to 9. N is
    about 1400. seed: an int for whatever you draw at random. At most 120 seconds on a CPU.
    """
    ### BEGIN SOLUTION
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net, X, y = make_net(), torch.tensor(X_train), torch.tensor(y_train)
    num_epochs, batch_size = 15, 64
    num_steps = num_epochs * -(-len(X) // batch_size)
    optimizer = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, num_steps)
    for _ in range(num_epochs):
        for batch in torch.randperm(len(X), generator=generator).split(batch_size):
            adversarial_training_step(net, optimizer, X[batch], y[batch], 0.1, 0.05, 3)
            schedule.step()
    return net
    ### END SOLUTION


# %% role="locked"
# Open check
def check_train_robust():
    start = perf_counter()
    net = train_robust(digits.train.X, digits.train.y, seed=0)
    seconds = perf_counter() - start
    X, y = torch.tensor(digits.val.X), torch.tensor(digits.val.y)
    net = net.cpu()
    clean, robust = (robust_accuracy(net, X, y, 0.1, 0.025, steps) for steps in (0, 20))
    assert clean >= 0.9, f"{clean:.1%} of the validation digits are right, not 90 %"
    assert robust >= 0.6, f"{robust:.1%} of the attacked validation digits are right, not 60 %"
    print(f"{clean:.1%} of the validation digits are right, {robust:.1%} under attack, after {seconds:.1f} s")
    return net


robust_net = check_train_robust().to(device)

# %% role="tests" grade_id="adversarial-robust-digits-tests" points=8
# Graded by hidden checks: the share of held-out digits that are named right, and that stay right whatever is tried. Training is stopped after 240 seconds.
### BEGIN HIDDEN TESTS
from grader.checks import adversarial
adversarial.robust_digits(train_robust)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Images made against one network often fool another one: attacks **transfer**, so that keeping a network secret protects it little.
#
# **Exercise (4 points, graded by a person).** Plot accuracy on the test digits against $\varepsilon$ from 0 to 0.2, under attacks of 20 steps, for three things in one figure: the plain network attacked by its own gradient, your robust network attacked by its own, and the robust network on the images that were made against the plain one.
# Add two sentences, as comments: what robustness costs on clean images, and which of the two attacks on your network is stronger, and why.

# %% role="manual" grade_id="adversarial-transfer" points=4
### BEGIN SOLUTION
def transferred(epsilon):
    attacked = pgd(plain_net, test.X, test.y, epsilon, epsilon / 4 + 1e-6, 20)
    return accuracy(robust_net, attacked, test.y)


attack_of = {"plain": plain_net, "robust": robust_net}
curves = {
    name: [robust_accuracy(net, test.X, test.y, e, e / 4 + 1e-6, 20) for e in epsilons]
    for name, net in attack_of.items()
}
curves["robust, transferred"] = [transferred(e) for e in epsilons]
ax = draw_curves(plt.figure().gca(), epsilons, curves)
ax.set(title="The robust network falls later", xlabel="ε", ylabel="accuracy", ylim=(0, 1))
describe(ax, "Three falling curves: plain lowest, robust above it, robust under transferred images highest.")
# On clean digits both networks are about equally good: here robustness costs a percent or less.
# Its own gradient hurts the robust network more than images made for another one, whose
# worst directions are only in part its own.
# (2 points for the figure, 1 for each sentence that agrees with it.)
### END SOLUTION

# %% [markdown] role="locked"
# The next cell makes a network robust without any training.
# It multiplies the scores of the plain network by a million, which changes no prediction, and attacks the result by PGD.

# %%
loud_net = deepcopy(plain_net)
with torch.no_grad():
    for parameter in loud_net[-1].parameters():
        parameter *= 1e6
for name, net in {"plain": plain_net, "loud": loud_net}.items():
    print(f"{name}: {robust_accuracy(net, test.X, test.y, 0.1, 0.025, 20):.1%} under PGD")

# %% [markdown] role="locked"
# **Exercise (4 points, graded by a person).** Is the loud network robust? Say what happens to the gradient of its loss, and why; and propose two ways to attack it that tell the truth, one of them without touching the loud network's gradient.

# %% [markdown] role="manual" grade_id="adversarial-masked-gradient" points=4
# ### BEGIN SOLUTION
# No: it predicts what the plain network predicts, for every image, so the images that fool that one fool it, too. (1 point)
# Its scores lie so far apart that softmax rounds to exactly 1 for the predicted class: the loss is 0, its gradient $p - \text{onehot}$ is exactly 0, its sign is 0, and PGD stays at $x$. The gradient is masked, not the weakness gone. (1 point)
# With the gradient: use a loss that does not saturate, such as the difference of the right score to the largest other one, or divide the scores by a million first, or compute in higher precision. (1 point)
# Without it: images made against the plain network, or another one, transfer; or a search that only looks at predictions and scores, such as trying random corners of the ball, or moving pixels one by one. (1 point)
# ### END SOLUTION

# %% [markdown] role="locked"
# ## Larger, where there is a GPU
#
# The same functions work on every device, for a tensor stays where it is.
# The cell below trains against attacks on Fashion-MNIST (70,000 clothes of 28×28 pixels) if it is on this computer, and on the digits otherwise; `load("fashion_mnist")` downloads it (31 MB).
# Clothes are harder to tell apart than digits: here $\varepsilon$ is half of what it was.

# %%
# To look at
if fovea.is_local("fashion_mnist"):
    large = load("fashion_mnist", num_train=2_000 if device.type == "cpu" else 50_000)
else:
    large = digits
train, new = large.train.to(device), large.test.head(500).to(device)
fovea.set_seed(0)
net = make_net(train.X[0].numel()).to(device)
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
generator = torch.Generator().manual_seed(0)
for epoch in range(6):
    losses = [
        adversarial_training_step(net, optimizer, X, y, 0.05, 0.02, 5)
        for X, y in train.batches(128, generator)
    ]
    print(f"epoch {epoch}: loss under attack {np.mean(losses):.2f}")
clean, robust = (robust_accuracy(net, new.X, new.y, 0.05, 0.0125, steps) for steps in (0, 20))
print(f"{large.name}: {clean:.1%} right, {robust:.1%} under attack")

# %% [markdown] role="locked"
# ## What we learned
#
# A score of many pixels can fall far though each pixel moves little, for all of them can move against it at once.
# The gradient says where to; its sign, taken often and put back into the ball each time, is the attack to measure by.
# Training against the attack buys robustness; a number for it is worth as much as the attacks behind it.
#
# To go on:
#
# 1. Write the targeted form of `pgd`. Which digit is easiest to turn into which?
# 2. Train with $\varepsilon = 0.2$. What does it cost on clean digits?
# 3. Train with one step of `fgsm` alone, for long. Is it robust against `pgd`?
