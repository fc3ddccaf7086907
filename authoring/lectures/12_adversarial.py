# %% [markdown]
# # Adversarial examples: a small step in the wrong direction
#
# A network that is right on nearly every image of a test set can be wrong on nearly every one of them after a change that nobody sees.
# By the end you can
#
# - compute such a change in one step, or in several, towards any answer you like;
# - explain, with numbers, why many dimensions make it possible;
# - make noise that a network is sure about, and attack a network that you can't look into;
# - train a network that withstands, and say what that costs;
# - tell a defence from one that only hides.
#
# You need topics 1 (backprop) and 4 (convolution); topic 11 (saliency) helps.
# Running takes half a minute, reading ninety minutes.
# At **Guess**, settle on an answer before you run the cell.

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import fovea
from fovea import plotting
from fovea.figures import adversarial as drawings
from fovea.figures.adversarial import height, slope
from fovea.plotting import describe, image_grid
from fovea.widgets import explore, quiz

plotting.use_style()
# For networks this small, one thread is faster than several.
device = fovea.choose_device(seed=0, num_threads=1)

# %% [markdown]
# ## A network that is nearly always right
#
# Our images have 32×32 pixels in colour and show one object on a textured ground: a circle, a square, a triangle, a star, or a person.
# Colours are numbers from 0 to 1.
# A small ConvNet learns the five classes in a few seconds.

# %%
shapes = fovea.load("shapes", target="label", size=32)
names = shapes.class_names


def stage(c_in, c_out):
    conv = nn.Conv2d(c_in, c_out, 3, padding=1)
    return [conv, nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2)]


layers = [*stage(3, 16), *stage(16, 32), *stage(32, 64), nn.AdaptiveMaxPool2d(1)]
net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 5))
options = {"batch_size": 64, "schedule": "one_cycle", "lr": 2e-2, "show": False}
fovea.fit(net, shapes, num_epochs=12, augment=fovea.random_flip, **options)
score = fovea.evaluate(net, shapes.test)
print(f"{score.metric:.1%} of {len(shapes.test)} test images are right")
assert score.metric > 0.95

# %% [markdown]
# ## One step in the right direction
#
# Training asks: in which direction should the *weights* go, so that the loss falls?
# Now we hold the weights fixed and ask: in which direction should the *pixels* go, so that the loss **rises**?
# Backprop answers both; the gradient with respect to the image $x$ is the one that topic 11 draws.
#
# Suppose no number may change by more than $\varepsilon$.
# Then, for a gradient that stays the same, the best one can do is to change *each* number by $\varepsilon$, up or down as the gradient says.
# This is the **fast gradient sign method** (FGSM; Goodfellow, Shlens and Szegedy, 2015), where the loss $L$ is the cross-entropy of the scores $f(x)$ and the true label $y$:
#
# $$x' = \text{clip}\big(x + \varepsilon \cdot \text{sign}\, \nabla_x L(f(x), y),\; 0,\; 1\big)$$
#
# First a helper for gradients with respect to images, which will serve to the end.
# It takes any **objective**, a function that turns a batch of images into a single number; the loss is one.
# (`fit` has left the network in evaluation mode, so batch normalization is a fixed map, and images of a batch don't influence each other.)

# %%
def gradient_of(objective, x):
    """The gradient of objective(images), a single number, for a batch of images."""
    x = x.detach().requires_grad_()
    return torch.autograd.grad(objective(x), x)[0]


def loss_of(model, y):
    """The loss of a batch against the labels y, as a function of the images."""
    return lambda images: F.cross_entropy(model(images), y, reduction="sum")


def right(model, images, labels):
    """The share of images that the model gets right."""
    return (model(images).argmax(dim=1) == labels).float().mean().item()

# %% [markdown]
# We attack a hundred test images, and keep two directions for each: the gradient's signs, and as a control random signs, a coin toss for each number.
# To look at, we pick a star of which the network is sure, and that falls.
# The unit of $\varepsilon$ in the figure is 1/255, the smallest step that an image file can store.
#
# **Guess:** how many such steps does it take until *you* see the change? And until the network falls?

# %%
X, y = (torch.tensor(a[:100], device=device) for a in (shapes.test.X, shapes.test.y))
signs = gradient_of(loss_of(net, y), X).sign()
generator = torch.Generator().manual_seed(0)
coins = 2.0 * torch.randint(2, X.shape, generator=generator).to(device) - 1


def probs_of(model, images):
    with torch.no_grad():
        return model(images).softmax(dim=1)


sure = probs_of(net, X).gather(1, y[:, None])[:, 0] > 0.99
falls = probs_of(net, (X + 4 / 255 * signs).clamp(0, 1)).argmax(1) != y
star = (sure & falls & (y == names.index("star"))).nonzero()[0].item()
one, label = X[star : star + 1], y[star : star + 1]
directions = {"gradient": signs[star], "random": coins[star]}

# %%
def draw_step(axes, levels=4, direction="gradient"):
    """A star, a magnified change, both together, and the five probabilities."""
    changed = (one + levels / 255 * directions[direction]).clamp(0, 1)
    probs = probs_of(net, changed)
    arrays = [t[0].cpu().numpy() for t in (one, changed, probs)]
    drawings.draw_attack(axes, *arrays, names, label.item())


menu = {"levels": (0, 16, 1), "direction": list(directions)}
explore(draw_step, figsize=(10, 2.6), subplots=(1, 4), **menu)

# %% [markdown]
# A few levels are enough: the two stars look the same, and the network, sure before, answers something else.
# Such an image is called an **adversarial example**.
#
# Now set `direction` to random.
# The change is of the same size, every number moves equally far, and the answer stays (at 16 levels even the noise is easy to see).
# So it isn't the size of the change that hurts, but its direction.
#
# ## Was it bad luck?
#
# One star proves little.
# We ask how many of the hundred are still right, as $\varepsilon$ grows.
#
# **Guess** both curves, for the gradient's direction and for random signs.

# %%
levels = [0, 1, 2, 3, 4, 6, 8]
shares = {
    name: [right(net, (X + e / 255 * d).clamp(0, 1), y) for e in levels]
    for name, d in {"random signs": coins, "one step (FGSM)": signs}.items()
}
assert shares["random signs"][4] > shares["one step (FGSM)"][4] + 0.4
title = "Noise does little, one step of the same size does much"
ax = plt.subplots()[1]
drawings.draw_accuracy(ax, levels, shares, title, "(levels of 255)")
describe(ax, "Accuracy against ε: random signs stay high, FGSM falls steeply from ε = 1 on.")

# %%
quiz("adversarial-direction")

# %% [markdown]
# It was no bad luck: most of them fall.
# Note that accuracy on *random* noise says nothing about the worst case: a test set is made of draws, an attacker chooses.
#
# ## Why: many small changes add up
#
# Is this a fault of deep networks?
# Look at the simplest model there is, a score $w \cdot x$ of ten pixels; above 0 means "cat".
# The best change under $\varepsilon$ follows the sign of each weight, and adds
#
# $$w \cdot (x + \varepsilon\, \text{sign}(w)) - w \cdot x = \varepsilon \sum_i |w_i| = \varepsilon \lVert w \rVert_1$$
#
# **Guess:** the score below is $-1$, and no pixel may change by more than 0.1. Can it become positive? And how many of the $2^{10}$ ways to toss ten coins would do it?

# %%
w = np.array([1, -1, 2, -2, 1, 1, -2, 1, -1, 2])
x = np.array([0.5, 0.6, 0.2, 0.4, 0.3, 0.5, 0.7, 0.2, 0.9, 0.4])
changed = x + 0.1 * np.sign(w)
print("x       ", x)
print("changed ", changed.round(1))
print(f"score {w @ x:.1f} → {w @ changed:.1f}; ε‖w‖₁ = {0.1 * np.abs(w).sum():.1f}")
tosses = np.array(list(itertools.product([-1, 1], repeat=10)))
positive = np.mean((x + 0.1 * tosses) @ w > 1e-9)
print(f"{positive:.1%} of all tosses make it positive")
assert np.isclose(w @ changed - w @ x, 0.1 * np.abs(w).sum())
assert 0 < positive < 0.05

# %% [markdown]
# Ten changes of 0.1, each harmless, agree with their weights, and together move the score by 1.4.
# Coins rarely agree with ten weights at once.
#
# An image has thousands of pixels.
# Let the weights be drawn from a normal distribution, and let the number of pixels $n$ grow, at $\varepsilon = 1/255$.
# The best change moves the score by $\varepsilon \lVert w \rVert_1$, which grows like $n$.
# In random signs most terms cancel, and the change is about $\varepsilon \lVert w \rVert_2$, which grows like $\sqrt n$.
#
# **Guess:** by what factor does the best change beat the random one, at a million pixels?

# %%
rng = np.random.default_rng(0)
sizes = [10, 100, 1000, 10_000, 100_000, 1_000_000]
best, typical = [], []
for n in sizes:
    w = rng.normal(size=n)
    best.append(np.abs(w).sum() / 255)
    by_chance = [abs(rng.choice([-1.0, 1.0], n) @ w) / 255 for _ in range(10)]
    typical.append(np.sqrt(np.mean(np.square(by_chance))))
print("factor", {n: round(b / r) for n, b, r in zip(sizes, best, typical, strict=True)})
assert best[-1] / typical[-1] > 300
fig, ax = plt.subplots()
plotting.draw_curves(ax, sizes, {"best signs": best, "random signs": typical})
ax.set(xscale="log", yscale="log", xlabel="number of pixels n")
ax.set(ylabel="change of the score", title="Chosen changes add up, random ones cancel")
describe(fig, "Two straight lines on logarithmic axes; best signs rise twice as steeply.")

# %% [markdown]
# Several hundred: on average it is $0.8 \sqrt n$ for such weights, and the draws scatter around it.
# So where there are many numbers to change, noise and attack are different worlds.
#
# Mind what the argument says, and what it doesn't.
# What counts is $\varepsilon \lVert w \rVert_1$ against the score that has to be overcome, not $n$ as such.
# If we cut every pixel into four equal ones and quarter their weights, the score stays, $\lVert w \rVert_1$ stays, and so does the $\varepsilon$ that is needed.

# %%
quiz("adversarial-linear")

# %% [markdown]
# ## Is a deep network linear?
#
# It is made of sums, ReLUs and maxima, so it is linear in pieces.
# The question is how large the pieces are.
# We take the **margin**, the score of the true class minus the best other score, of the star above.
# If the network were linear, then along the signs of the margin's gradient $g$ it would change by $\varepsilon \lVert g \rVert_1$: the dashed line.
#
# **Guess:** will the real curve follow the dashed line at first? And random signs?

# %%
def margin_of(model, y):
    """Scores of the true classes minus the best of the others; negative is wrong."""

    def margin(images):
        scores = model(images)
        true = F.one_hot(y, scores.shape[1]).bool()
        return (scores[true] - scores.masked_fill(true, -torch.inf).amax(1)).sum()

    return margin


margin = margin_of(net, label)
g = gradient_of(margin, one)
ratio = (g.abs().sum() / g.norm()).item()
print(f"‖g‖₁ / ‖g‖₂ = {ratio:.0f}, at most √n = {g.numel() ** 0.5:.0f}")

# %%
steps = np.linspace(-6, 6, 49)
along = {"gradient's signs": g.sign(), "random signs": coins[star : star + 1]}
with torch.no_grad():
    curves = {
        name: [margin(one + s / 255 * d).item() for s in steps]
        for name, d in along.items()
    }
tangent = margin(one).item() + steps / 255 * g.abs().sum().item()
fig, ax = plt.subplots()
ax.plot(steps, tangent, "--", color="black", label="if it were linear")
plotting.draw_curves(ax, steps, curves)
ax.axhline(0, color=plotting.COLORS["muted"], linewidth=1)
ax.set(xlabel="step (levels of 255)", ylabel="margin", ylim=(-20, 20))
ax.set_title("For small steps the network is close to linear")
describe(fig, "The margin along the gradient's signs crosses zero within a few levels.")

# %% [markdown]
# Near the image the curve follows the line: at the scale of $\varepsilon$ the pieces are large.
# Further out it bends away, and random signs keep the margin where it was.
# The gradient of this network has few large and many small entries, so its ratio of norms stays below $\sqrt n$, but it is dozens.
#
# That is the explanation of Goodfellow and his co-authors: networks fall not because they are so crooked, but because they are so straight.
#
# ## Several small steps
#
# As the curve bends, the signs at the start are not the best all the way.
# **Projected gradient descent** (PGD; Madry et al., 2018) makes several smaller steps of size $\alpha$, each with a new gradient.
# After each step the image is **projected**, moved to the nearest allowed point, in two respects:
#
# - no number may be further than $\varepsilon$ from the *original* one; images like that fill a cube, the **ε-ball** of the maximum norm;
# - each number stays in $[0, 1]$, or else it is no image.
#
# Both are boxes with sides along the axes, and what they have in common is a box again.
# So clipping does it.
#
# Images of two pixels can be drawn.
# Below, the loss (the darker, the higher) is a made-up function of both; blue is the original with its ε-ball, black the edge of all images.
# The path is PGD's; crosses are steps before they are projected.
#
# **Guess:** FGSM is one step with $\alpha = \varepsilon$. Find it with the sliders: does it reach the highest loss in the box? Then try smaller steps, and another start.

# %%
original = np.array([0.85, 0.55])
starts = {"original": None, "random 1": 3, "random 2": 4}
assert round(height(1.0, 0.8), 2) == 0.62


def draw_path(ax, epsilon=0.25, alpha=0.05, steps=8, start="original"):
    """The path of PGD on a loss of two pixels, in the ε-ball and in [0, 1]."""
    low, high = np.maximum(original - epsilon, 0), np.minimum(original + epsilon, 1)
    rng = np.random.default_rng(starts[start])
    path, proposals = [rng.uniform(low, high) if starts[start] else original], []
    for _ in range(steps):
        proposals.append(path[-1] + alpha * np.sign(slope(path[-1])))
        path.append(np.clip(proposals[-1], low, high))
    drawings.draw_ascent(ax, original, epsilon, path, proposals)
    ax.set_title(f"loss {height(*original):.2f} → {height(*path[-1]):.2f}")


sliders = {"epsilon": (0.05, 0.4, 0.01), "alpha": (0.02, 0.4, 0.01), "steps": (0, 12, 1)}
explore(draw_path, figsize=(4.6, 4.8), **sliders, start=list(starts))

# %% [markdown]
# At $\varepsilon = 0.25$, one step of that length goes to the corner of what is allowed, and that is too far up: the loss rises to 0.62 only.
# Small steps turn where the slope turns, slide along the edge at 1, and reach 0.87.
#
# From a random start in the ball PGD may find another hill, lower or higher.
# So it is a search, and what it finds is a lower bound of the highest loss: that we found no bad point doesn't mean that there is none.

# %%
quiz("adversarial-projection")

# %% [markdown]
# ## FGSM against PGD
#
# Now in 3072 dimensions.
# Our attack climbs any objective, from any start.
#
# **Guess:** what share of images survives ten small steps at $\varepsilon = 4/255$?

# %%
def climb(objective, x, epsilon, steps, alpha=None, start=None):
    """Images of a higher objective, no number further than epsilon from x."""
    low, high = (x - epsilon).clamp(min=0), (x + epsilon).clamp(max=1)
    alpha = alpha or 2.5 * epsilon / steps
    images = x if start is None else start
    for _ in range(steps):
        step = alpha * gradient_of(objective, images).sign()
        images = torch.clamp(images + step, low, high)
    return images

# %% [markdown]
# FGSM is `climb` with a single step, as long as the ball's radius or longer.
# For PGD we take a common step size: together, all steps could go 2.5 times as far as the ball reaches, which leaves room to turn.

# %%
loss = loss_of(net, y)
assert torch.equal(climb(loss, X, 4 / 255, 1, alpha=1), (X + 4 / 255 * signs).clamp(0, 1))
found = {e: climb(loss, X, e / 255, steps=10) for e in levels}
assert (found[4] - X).abs().max() < 4.01 / 255
shares["PGD, ten steps"] = [right(net, found[e], y) for e in levels]
assert shares["PGD, ten steps"][4] <= shares["one step (FGSM)"][4]
title = "Several small steps find what one step misses"
ax = plt.subplots()[1]
drawings.draw_accuracy(ax, levels, shares, title, "(levels of 255)")
describe(ax, "Accuracy against ε: noise near 100, FGSM falls, PGD falls faster, to near 0.")

# %% [markdown]
# Ten steps bring nearly all images down, at an $\varepsilon$ that we didn't see in the star.
# The gap to FGSM is what the bending costs: where the network is straight, one step is as good as ten.
#
# ## Any answer you like
#
# So far the true class should lose, whoever wins; that is an **untargeted** attack.
# A **targeted** one wants a certain answer $t$, and so goes *down* the loss of $t$:
#
# $$x' = \text{clip}\big(x - \varepsilon \cdot \text{sign}\, \nabla_x L(f(x), t)\big)$$
#
# We take an image of each class, and ask for each class.
#
# **Guess:** in the figure below, can you tell the columns apart?

# %%
rows = torch.stack([X[(y == k).nonzero()[0, 0]] for k in range(5)])
wanted = torch.arange(5, device=device).repeat(5)


def down(model, target):
    """The objective of a targeted attack: the loss of the target, to be lowered."""
    return lambda images: -loss_of(model, target)(images)


grid = climb(down(net, wanted), rows.repeat_interleave(5, 0), 8 / 255, steps=20)
answers = net(grid).argmax(1)
print(f"{(answers == wanted).sum()} of 25 answers are the wanted ones")
assert (answers == wanted).sum() >= 20
titles = [f'"{names[k]}"' for k in answers]
axes = image_grid(grid, names=titles, columns=5)
describe(axes, "Five objects, each five times, which look alike; five answers in each row.")

# %% [markdown]
# Above each image stands what the network answers.
# Each row shows the same object; only the diagonal was asked for what it is.
#
# How much harder is it than an untargeted attack?
# We ask each of the hundred for the class after its own, once in one step and once in twenty.
#
# **Guess:** which of the two suffers more from having only one step, the targeted or the untargeted attack?

# %%
target, e = (y + 1) % 5, 8 / 255
for steps in (1, 20):
    wrong = 1 - right(net, climb(loss, X, e, steps), y)
    hit = right(net, climb(down(net, target), X, e, steps), target)
    print(f"{steps:2} steps: {wrong:.0%} wrong at all; {hit:.0%} take the wanted class")
assert hit > 0.9
quiz("adversarial-targeted")

# %% [markdown]
# The targeted one suffers more.
# It needs one certain class; the untargeted one is content with any of four.
#
# ## Images of nothing
#
# If pixels may go where they like, one doesn't need an image to begin with.
# We start from grey noise, and climb the **score** of a class, with steps along the gradient $g$ itself, each of Euclidean length 1: $x \leftarrow x + g / \lVert g \rVert_2$.
# (On 3072 numbers such a step is small: 0.018 each, on average.)
# The result is called a **fooling image**.
#
# **Guess:** after twenty steps towards "star", will one see a star?

# %%
noise = 0.5 + 0.05 * torch.randn(1, 3, 32, 32, generator=generator).to(device)
film = [noise.repeat(5, 1, 1, 1)]
for _ in range(60):
    # One image for each class: the gradient of each one's own score
    g = gradient_of(lambda images: net(images).diagonal().sum(), film[-1])
    length = g.flatten(1).norm(dim=1)[:, None, None, None]
    film.append((film[-1] + g / length).clamp(0, 1))


def draw_fooling(axes, step=20, target="star"):
    """An image that began as noise, and the probabilities of five classes."""
    k = names.index(target)
    image = film[step][k].cpu().numpy()
    probs = probs_of(net, film[step][k][None])[0].cpu().numpy()
    drawings.draw_image(axes[0], image, f"step {step} towards {target}")
    answer = int(probs.argmax())
    drawings.draw_probs(axes[1], probs, names, k, f"{names[answer]}, {probs[answer]:.0%}")


menu = {"step": (0, 60, 1), "target": list(names)}
explore(draw_fooling, figsize=(7, 2.8), subplots=(1, 2), **menu)

# %%
sure = probs_of(net, film[-1]).diagonal().cpu().numpy()
assert (sure > 0.9).sum() >= 4
fig, axes = plt.subplots(1, 5, figsize=(9, 2))
for k, ax in enumerate(axes):
    drawings.draw_image(ax, film[-1][k].cpu(), f"{names[k]}, {sure[k]:.1%}")
describe(fig, "Five images of coloured specks, each with a class and a probability.")

# %% [markdown]
# The first steps are slow, as what raises one score may raise another with it; then the network is sure.
# What we see are coloured patterns, with here and there a trace of what the network looks for, such as a ring for the circle.
# As pictures of a star or a person they would convince nobody; the network they convince.
# A network can say which of five classes fits best; that none does, it was never asked.
# So a high probability doesn't mean that the network knows what it sees.
#
# ## Attacking a network that you can't see
#
# All attacks used the gradient, which needs the weights.
# Is one safe who keeps them secret?
#
# From here on we use the handwritten digits, as networks for them train in a second.
# They have 64 pixels only, so larger $\varepsilon$ are needed, and one sees them: at 0.15, grey specks on black ground.
# Three networks as different as can be: a linear one, a dense one, and a ConvNet.
# We attack each, and show the result to the others.
#
# **Guess:** do images made against one network fool another?

# %%
digits = fovea.load("digits")
X, y = (torch.tensor(a, device=device) for a in (digits.test.X, digits.test.y))


def dense_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))


conv = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU()]
nets = {
    "linear": nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
    "dense": dense_net(),
    "ConvNet": nn.Sequential(*conv, nn.Flatten(), nn.Linear(256, 10)),
}
options = {"lr": 1e-2, "batch_size": 64, "schedule": "cosine", "show": False}
for model in nets.values():
    fovea.fit(model, digits, num_epochs=20, **options)

# %%
coins = 2.0 * torch.randint(2, X.shape, generator=generator).to(device) - 1
images = {"no change": X, "random signs": (X + 0.15 * coins).clamp(0, 1)}
for name, model in nets.items():
    images[f"against {name}"] = climb(loss_of(model, y), X, 0.15, steps=20)
ten = torch.cat([some[:10] for some in list(images.values())[:3]])
answers = nets["linear"](ten).argmax(1).tolist()
axes = image_grid(ten, names=answers)
describe(axes, "Ten digits: clean, with noise, and attacked; as readable in all three rows.")

# %% [markdown]
# Above are clean digits, then random signs, then the attack on the linear network, with its answers.
# We read the last row about as well as the first; the network doesn't.
# And the other networks?

# %%
table = np.array([[right(m, x, y) for m in nets.values()] for x in images.values()])
assert table[:2].min() > 0.85
assert table[2:].max() < table[:2].min()
assert table[2:].argmin(axis=0).tolist() == [0, 1, 2]
fig, ax = plt.subplots(figsize=(5, 2.8))
drawings.draw_table(ax, table, images, nets)
ax.set(xlabel="shown to", title="Right, at ε = 0.15: the images fool others, too")
describe(fig, "Accuracy of three networks on five kinds of images; lowest where known.")

# %% [markdown]
# The diagonal, where the attacker knows the network, is lowest.
# But the others suffer as well, far more than from random signs: the images **transfer**.
# One explanation is that the three learned from the same digits, and take the same things for evidence.
# So attackers train a network of their own, attack that, and send the result (Papernot et al., 2017).
# Secrecy helps little.
#
# ## Training on the worst case
#
# What a network has to bear, one has to show it.
# Shifted copies taught it to bear shifts (topic 3); adversarial copies should teach it to bear attacks.
# **Adversarial training** lowers, at each step, the loss of the *worst* images in the ball:
#
# $$\min_\theta \; \frac1N \sum_i \; \max_{\lVert x_i' - x_i \rVert_\infty \le \varepsilon} L\big(f_\theta(x_i'), y_i\big)$$
#
# PGD does the inner maximum, a few steps against the network *as it is now*; then comes one step of the optimizer.
# For `fovea.fit` this is a matter of data: a loader that makes its batches when they are asked for.

# %%
class AdversarialBatches:
    """Batches of a split, attacked by five steps of PGD from random starts."""

    def __init__(self, split, model, epsilon):
        self.split, self.model, self.epsilon = split.to(device), model, epsilon
        self.generator = torch.Generator().manual_seed(0)

    def __len__(self):
        return -(-len(self.split) // 64)

    def __iter__(self):
        for X, y in self.split.batches(64, self.generator):
            noise = 2 * torch.rand(X.shape, generator=self.generator) - 1
            start = (X + self.epsilon * noise.to(X.device)).clamp(0, 1)
            yield climb(loss_of(self.model, y), X, self.epsilon, 5, start=start), y

# %% [markdown]
# We train the dense network once more, on attacks of $\varepsilon = 0.1$.
# Each step costs six passes through the network, five for the attack and one to learn.
#
# **Guess:** under attack at 0.1, the usual network has about half of the digits right. How many will the new one have?

# %%
def train_against(epsilon):
    torch.manual_seed(0)
    model = dense_net().to(device)
    batches = AdversarialBatches(digits.train, model, epsilon)
    fovea.fit(model, batches, num_epochs=20, **options)
    return model


def under_pgd(model, epsilon, steps=20):
    return right(model, climb(loss_of(model, y), X, epsilon, steps), y)

# %%
standard, robust = nets["dense"], train_against(0.1)
epsilons = np.linspace(0, 0.3, 7)
both = {"usual training": standard, "adversarial training": robust}
curves = {name: [under_pgd(m, e) for e in epsilons] for name, m in both.items()}
for name, shares in curves.items():
    print(f"{name:20} {shares[0]:.1%} right, under PGD at 0.1: {shares[2]:.1%}")
assert curves["adversarial training"][0] > 0.9
assert curves["adversarial training"][2] > 0.6 > curves["usual training"][2]
title = "A network trained on attacks withstands more"
ax = drawings.draw_accuracy(plt.subplots()[1], epsilons, curves, title)
describe(ax, "Accuracy under PGD against ε: adversarial training falls much later.")

# %% [markdown]
# Under attack at 0.1 it has many more right than the other.
# It wasn't made invulnerable: further out its curve falls, too.
#
# ## What it costs
#
# Time, as we said.
# And on images that nobody attacked?
# At $\varepsilon = 0.1$ the curves above begin at nearly the same height, perhaps because attacked copies of only 1,078 digits serve as more data.
# So we train on stronger attacks as well.
#
# **Guess:** in the table below, which training is best in the first column, which in the last?

# %%
trained = {"none": standard, "ε = 0.1": robust}
trained |= {f"ε = {e}": train_against(e) for e in (0.2, 0.3)}
table = [[under_pgd(m, e) for e in (0, 0.1, 0.2)] for m in trained.values()]
assert table[0][0] > table[3][0] + 0.1
assert np.argmax(table, axis=0)[2] == 2
fig, ax = plt.subplots(figsize=(5, 2.4))
drawings.draw_table(ax, table, trained, ["no attack", "ε = 0.1", "ε = 0.2"])
ax.set(ylabel="trained on", xlabel="tested on", title="Right: strength costs clean digits")
describe(fig, "Accuracy by training and test; training at 0.3 loses many clean digits.")

# %% [markdown]
# A network that has to withstand 0.3 gives up clean digits: within 0.3 of each number a 3 can nearly become an 8, and it may not use what tells them apart.
# Nor is the strongest training the best against every attack: at 0.2, the network trained on 0.2 is.
# On photographs the price is paid earlier: Madry et al. (2018) report 87 % instead of 95 % on clean images of CIFAR-10, after training on $\varepsilon = 8/255$.
# Tsipras et al. (2019) give an example in which no training avoids it: features that help, but that a small change destroys, have to be ignored.
#
# ## Gradients one can read
#
# Topic 11 draws the gradient of a score with respect to the image, and one is often disappointed: it looks like noise.
# An attack follows just that gradient.
# So what do gradients look like in a network that withstands attacks?
#
# **Guess:** where will they be large? (Below they are those of the margin, each drawn on a scale of its own.)

# %%
few, labels = X[:10], y[:10]
gradients = {
    name: gradient_of(margin_of(m, labels), few).cpu() for name, m in both.items()
}
fig, axes = plt.subplots(3, 10, figsize=(8, 3))
drawings.draw_gradients(axes, few.cpu(), gradients)
describe(fig, "Ten digits, and their gradients: speckled everywhere, or on few pixels.")

# %%
for name, model in both.items():
    margin = margin_of(model, y)
    lengths = gradient_of(margin, X).abs().flatten(1).sum(1)
    pairs = zip(X.split(1), y.split(1), strict=True)
    margins = torch.stack([margin_of(model, c)(x).detach() for x, c in pairs])
    print(f"{name:20} median margin / ‖g‖₁: {(margins / lengths).median():.3f}")

# %% [markdown]
# Red pixels should be brighter, for the network to be more sure of the right answer, blue ones darker.
# The usual network spreads over the whole image, corners included, where there is hardly ever any ink.
# The robust one looks at few pixels, and often one can see why: for a 5, that the upper right stays dark, or else it would be a 9.
#
# The numbers close the circle.
# If a network were linear, it would fall at $\varepsilon = \text{margin} / \lVert g \rVert_1$.
# The median of that is printed above, and the curves of accuracy pass 50 % not far from there.
# Adversarial training has made $\lVert g \rVert_1$ about half as large, against the margin.
# Many small entries that agree are what an attacker lives on, and most of those are gone.
#
# ## A defence that only hides
#
# Here is a defence that costs nothing: multiply all scores by 1000.
# Each answer stays exactly what it was.
#
# **Guess:** what will PGD make of it?

# %%
def loud(images):
    return 1000 * standard(images)


e = 0.15
print(f"usual network, PGD: {under_pgd(standard, e):.1%} right")
print(f"times 1000, PGD:    {under_pgd(loud, e):.1%} right")
assert torch.equal(loud(X).argmax(1), standard(X).argmax(1))
assert under_pgd(loud, e) > under_pgd(standard, e) + 0.3
zeros = (gradient_of(loss_of(loud, y), X) == 0).flatten(1).all(1).float().mean()
print(f"{zeros:.1%} of the images get a gradient of exactly 0")

# %% [markdown]
# Wonderful, a robust network!
# Of course it isn't: it gives the same answers as the one that fell, so all images that fooled that one fool this one.
# With scores a thousand times as large, the probability of the true class is 1 up to rounding for nearly every image, the loss is exactly 0, and so is its gradient.
# The attack has nothing to climb.
# That is **gradient masking**: the weakness is still there, only its gradient is not.
#
# An attacker who thinks chooses another objective, such as the margin, which has no such plateau.
# We try both, from three random starts each; an image counts as right only if it survives all six.

# %%
def worst(model, epsilon, steps=50, num_starts=3):
    """The share that survives PGD on loss and margin, from several random starts."""
    alive = model(X).argmax(1) == y
    low = margin_of(model, y)
    for objective in (loss_of(model, y), lambda images: -low(images)):
        for _ in range(num_starts):
            noise = 2 * torch.rand(X.shape, generator=generator).to(device) - 1
            start = (X + epsilon * noise).clamp(0, 1)
            found = climb(objective, X, epsilon, steps, start=start)
            alive &= model(found).argmax(1) == y
    return alive.float().mean().item()


print(f"times 1000, at {e}: {worst(loud, e):.1%} right")
for name, model in both.items():
    print(f"{name}, at 0.1: PGD {under_pgd(model, 0.1):.1%}, worst {worst(model, 0.1):.1%}")
assert worst(loud, e) < under_pgd(standard, e) + 0.05
assert worst(robust, 0.1) > 0.6
quiz("adversarial-masking")

# %% [markdown]
# The defence is gone.
# The adversarially trained network loses a little under the stronger attack, and stands.
#
# Many published defences were of the hiding kind: of nine at one conference, seven relied on it, and six of these fell completely, one in part (Athalye, Carlini and Wagner, 2018).
# So whoever reports an accuracy under attack reports what *their* attack found, and the truth is at most that.
# Signs that something hides:
#
# - one step does more harm than many;
# - a larger $\varepsilon$ doesn't bring the accuracy down to 0 in the end;
# - random search, or images made against another network, find what the gradient doesn't.
#
# ## A real photograph
#
# Is all of this a matter of small images and small networks?
# SqueezeNet knows a thousand classes of photographs, and sees 227×227 pixels, which are 154,587 numbers.
# The next cell needs its weights (a download of 1.8 MB, once), and says so if they aren't here.
#
# **Guess:** ten steps of PGD shall make the temple of topic 4 a goldfish. Are two levels of 255 enough?

# %%
from sklearn.datasets import load_sample_image

from fovea import models

if here := fovea.is_local("weights"):
    photo = torch.tensor(load_sample_image("china.jpg"), device=device)
    photo = photo.permute(2, 0, 1)[None].float() / 255
    photo = F.interpolate(photo, (227, 340), mode="bilinear", antialias=True)
    photo = photo[..., :227].clamp(0, 1)
    big, classes = models.squeezenet().to(device), models.imagenet_classes()
    goldfish = torch.tensor([classes.index("goldfish")], device=device)
    changed = climb(down(big, goldfish), photo, 2 / 255, steps=10)

# %%
if here:
    before, after = (probs_of(big, image)[0].cpu() for image in (photo, changed))
    shown = [*before.topk(4).indices.tolist(), goldfish.item()]
    some = [classes[k] for k in shown]
    fig, axes = plt.subplots(1, 4, figsize=(10, 2.8))
    arrays = [t.cpu().numpy() for t in (photo[0], changed[0], after[shown])]
    drawings.draw_attack(axes, *arrays, some, 0)
    print(f"{some[0]} {before.max():.0%} → {classes[after.argmax()]} {after.max():.0%}")
    picture = describe(fig, "A temple, a magnified change, a temple: now a goldfish.")
else:
    picture = None
    print("The weights aren't here. To fetch them, run once: models.squeezenet(),")
    print("models.resnet20(), models.imagenet_classes()")
picture

# %% [markdown]
# With the weights here, two levels of 255 turn the roofs into a goldfish, and the network is surer of it than it was of the temple (it says bell cote, a small roof for a bell).
# So it was no matter of small networks.
# From digits of 64 numbers over shapes of 3,072 to a photograph of 154,587, less and less was needed.
#
# ## What we learned
#
# - The gradient with respect to the image tells how to change it; a change of $\varepsilon$ in each number, with the gradient's signs, is FGSM, and several projected steps are PGD.
# - Changes that agree with the weights add up to $\varepsilon \lVert w \rVert_1$; random ones cancel. Many dimensions, and a network that is nearly linear, make small changes strong.
# - A targeted attack picks the answer; climbing a score makes images of nothing; what fools one network fools others.
# - Adversarial training helps, costs time and, if strong, clean accuracy, and makes gradients readable.
# - Accuracy under attack is an upper bound: attack your own defence as hard as you can.
#
# ## Exercises
#
# In the assignment you work out a linear model (`linear_margin_drop`, `linear_flip_epsilon`), write the attacks (`fgsm`, `pgd`, `make_fooling_image`) and the defence (`adversarial_training_step`), and measure it (`robust_accuracy`).
# Before that, test yourself:
#
# 1. A linear score has $w = (3, -1, 0, 2)$, and it is 0.5. Which $\varepsilon$ makes it negative, and what should happen to the third pixel?
# 2. The pixels of $x$ are 0 or 1 only. Why does clipping to $[0, 1]$ weaken FGSM, by half on average? What about our digits?
# 3. Train the robust digit network with one step of attack instead of five. How does it fare under PGD?
# 4. Attack a batch of images by *one* common change. How many does it fool? (Such a change is called universal.)
#
# Read on: Szegedy et al., *Intriguing properties of neural networks* (2014); Goodfellow, Shlens and Szegedy, *Explaining and harnessing adversarial examples* (2015); Nguyen, Yosinski and Clune, *Deep neural networks are easily fooled* (2015); Papernot et al., *Practical black-box attacks against machine learning* (2017); Madry et al., *Towards deep learning models resistant to adversarial attacks* (2018); Athalye, Carlini and Wagner, *Obfuscated gradients give a false sense of security* (2018); Tsipras et al., *Robustness may be at odds with accuracy* (2019).
