# %% [markdown]
# # Optimizers: how to walk downhill
#
# Backprop says which way is down. How far to go, and what to remember of earlier steps, is the optimizer's part.
# By the end you can
#
# - say why we step after a few samples instead of all, and count iterations and epochs;
# - write momentum, Adagrad, RMSProp and Adam, and translate between the notations in use;
# - explain what each of them changes in a ravine, and why Adam corrects its averages;
# - choose a learning rate by measurement, and lower it at the right time.
#
# You need topic 01.
# Running takes twenty seconds, reading ninety minutes.
# At **Guess**, settle on an answer before you run the cell.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import fovea
from fovea import plotting
from fovea.figures.optimizers import draw_parabola_steps, draw_path, draw_ravine
from fovea.plotting import describe
from fovea.widgets import explore, quiz

plotting.use_style()
# Nets as small as ours are fastest with one thread
torch.set_num_threads(1)
digits = fovea.load("digits")
center = digits.train.X.mean(axis=0)
X, X_val = (torch.tensor(s.X - center).flatten(1) for s in (digits.train, digits.val))
y, y_val = torch.tensor(digits.train.y), torch.tensor(digits.val.y)

# %% [markdown]
# ## A few samples are enough for a step
#
# **Gradient descent** takes the gradient of the mean loss over *all* samples, then one step.
# **Stochastic gradient descent** (SGD) takes it over $m$ samples, a **minibatch**:
#
# $$\theta^{k+1} = \theta^k - \eta\, \nabla_\theta L(\theta^k, x_{1..m}, y_{1..m}), \qquad \nabla_\theta L = \frac1m \sum_{i=1}^m \nabla_\theta L_i$$
#
# Here $\theta$ are all weights, $k$ counts steps, and $\eta$ is the **learning rate** (`lr`).
# The minibatch gradient is an estimate, right on average, and off each time.
#
# **Guess:** a batch of 8 out of 1078 digits. Does its gradient point anywhere near that of all?

# %%
def make_net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def gradient(net, chosen):
    loss = nn.functional.cross_entropy(net(X[chosen]), y[chosen])
    grads = torch.autograd.grad(loss, list(net.parameters()))
    return torch.cat([grad.flatten() for grad in grads])


net, generator = make_net(), torch.Generator().manual_seed(0)
whole, angles = gradient(net, slice(None)), {}
for size in (1, 8, 64, 512):
    batches = [torch.randperm(1078, generator=generator)[:size] for _ in range(100)]
    grads = torch.stack([gradient(net, batch) for batch in batches])
    cosines = nn.functional.cosine_similarity(grads, whole[None])
    angles[size] = torch.rad2deg(torch.arccos(cosines)).numpy()
fig, ax = plt.subplots()
ax.boxplot(angles.values(), tick_labels=list(angles), showfliers=False)
ax.set(xlabel="samples in the batch", ylabel="angle to the full gradient (degrees)")
ax.set_title("Even eight samples point roughly downhill")
ax.axhline(90, color=plotting.COLORS["muted"], linestyle=":")
print({size: f"{np.median(angle):.0f}°" for size, angle in angles.items()})
describe(fig, "Angles shrink as batches grow: about 80 degrees for one sample, 13 for 512.")

# %% [markdown]
# Everything below the dotted line leads downhill, at least for a short step.
# Half of the batches of 64 lie within some forty degrees of the full gradient, at a seventeenth of its cost.
#
# Two words for counting: one step is an **iteration**; one pass over all samples is an **epoch**.
# Below both methods look at each digit ten times.
# Gradient descent makes 10 iterations of it, SGD with batches of 64 makes 170.
#
# **Guess** both losses. Guessing a digit blindly costs $\log 10 \approx 2.3$.

# %%
def train(rule, num_epochs=10, batch_size=64, schedule=None, **settings):
    """Train a net; return it, and the loss of each step."""
    net, generator = make_net(), torch.Generator().manual_seed(1)
    optimizer, losses = rule(net.parameters(), **settings), []
    for epoch in range(num_epochs):
        if schedule:
            optimizer.param_groups[0]["lr"] = schedule(epoch)
        for batch in torch.randperm(len(X), generator=generator).split(batch_size):
            loss = nn.functional.cross_entropy(net(X[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return net, losses


optim, SGD = torch.optim, torch.optim.SGD
for name, size in {"gradient descent": 1078, "SGD": 64}.items():
    net, losses = train(SGD, batch_size=size, lr=1.0)
    print(f"{name:16} {len(losses):3} iterations, loss {losses[0]:.2f} → {losses[-1]:.2f}")
assert len(losses) == 10 * 17

# %% [markdown]
# Same work, same learning rate: ten exact steps have hardly started, 170 rough ones have nearly finished.
# Many rough steps beat few exact ones.
#
# ## The last batch is short, and it counts
#
# 1078 digits in batches of 64 make 16 full batches, and 54 samples are left.
# People often get this batch wrong, in two ways.
# They drop it, and train on less than they think.
# Or they average the losses *of batches*, as if all were equally large.
#
# **Guess:** with batches of 359, three are full and one sample is left. It is misread. How far off is the average of the four losses?

# %%
for size in (64, 600, 1000):
    print(f"batches of {size}: dropping the last loses {1078 % size / 1078:.0%} of an epoch")
with torch.no_grad():
    sample_losses = nn.functional.cross_entropy(net(X), y, reduction="none")
order = sample_losses.argsort()
means = [batch.mean() for batch in sample_losses[order].split(359)]
assert net(X[order[-1]]).argmax() != y[order[-1]]
print("mean over samples:", round(sample_losses.mean().item(), 3))
print("mean over batches:", round(torch.stack(means).mean().item(), 3))
quiz("epoch-iterations", "short-batch")

# %% [markdown]
# The one hard sample got a quarter of the say.
# Weigh each batch by its size, in whatever you report, and shuffle anew in each epoch, so that it is never the same few samples that come last.
#
# ## In a ravine one learning rate is too large and too small
#
# How far should a step go? Start in one dimension, on $f(w) = \tfrac12 c\,w^2$.
# The gradient is $c\,w$, so a step multiplies $w$ by $1 - \eta c$.
# That number tells all:

# %%
factors = {0.7: "slow", 0.0: "one step", -0.7: "zigzag", -1.1: "diverges"}
fig, axes = plt.subplots(1, 4, figsize=(9, 2.2), sharey=True)
for ax, (factor, name) in zip(axes, factors.items(), strict=True):
    draw_parabola_steps(ax, factor)
    ax.set_title(f"ηc = {1 - factor:.1f}: {name}")
describe(fig, "Steps on a parabola: from one side, in one step, zigzag, and outwards.")

# %% [markdown]
# The best rate is $1/c$; beyond $2/c$ the steps lead outwards (after LeCun et al., *Efficient BackProp*, 1998).
#
# Networks have many directions, some steep and some flat, all with the same $\eta$.
# Here are two: $f(w) = \tfrac12(w_0^2 + 20\,w_1^2)$, a **ravine**.
# We write a walk once, for any optimizer of PyTorch's, and use it to the end of the lecture.
#
# **Guess:** which learning rate reaches the star soonest, and where does it break?

# %%
curvature = torch.tensor([1.0, 20.0], dtype=torch.float64)


def walk(rule, num_steps=40, **settings):
    """The path of an optimizer in the ravine, from (-4, 1)."""
    w = torch.tensor([-4.0, 1.0], dtype=torch.float64, requires_grad=True)
    optimizer, path = rule([w], **settings), [w.tolist()]
    for _ in range(num_steps):
        w.grad = curvature * w.detach()
        optimizer.step()
        path.append(w.tolist())
        if w.abs().max() > 1e30:
            break
    return np.array(path)


factor = 1 - 0.09 * curvature.numpy()
assert np.allclose(walk(SGD, lr=0.09)[-1], factor**40 * [-4, 1], atol=1e-5)
print("factors per step at 0.09:", factor.round(2))

# %% [markdown]
# Forty steps end where the two factors, to the power of forty, say they should.
# Now drag the rate.

# %%
def draw_sgd(ax, lr=0.03):
    """The path of gradient descent over the contour lines of a ravine."""
    path = walk(SGD, lr=lr)
    draw_path(draw_ravine(ax), path)
    left = np.linalg.norm(path[-1])
    ax.set_title(f"lr {lr:.3f}: after 40 steps {left:.2g} from the minimum")


explore(draw_sgd, lr=(0.005, 0.105, 0.005))

# %% [markdown]
# The steep direction breaks at $2/20 = 0.1$. A little below, it zigzags with factor $-0.8$, while the flat one creeps with $0.91$.
# No single rate suits both.
#
# ## Momentum keeps what gradients agree on
#
# A ball rolling downhill isn't turned around by every bump: it has a **velocity**, and gradients change that.
# With $dw$ for the gradient at $w$, as in code, and $\mu$, usually 0.9, for the share of velocity that is kept:
#
# $$v \leftarrow \mu v - \eta\, dw, \qquad w \leftarrow w + v$$
#
# Across the ravine gradients change sign and cancel; along it they agree, and add up.
#
# **Guess:** if the gradient stays $g$ for ever, how long do the steps become?

# %%
v, mu, lr = 0.0, 0.9, 0.01
for step in range(1, 51):
    v = mu * v - lr * 1.0
    if step in (1, 2, 3, 10, 50):
        print(f"step {step:2}: {-v / lr:5.2f} times lr")
assert np.isclose(-v / lr, (1 - mu**50) / (1 - mu))
quiz("momentum-limit")

# %% [markdown]
# The sum $1 + \mu + \mu^2 + \dots$ goes to $1/(1 - \mu)$: ten times the step of SGD, for free, wherever gradients agree.
# The velocity is a vector: each direction has its own.
#
# **Guess:** find a learning rate and a momentum that bring the ball to rest at the star within 40 steps. What does too much momentum do?

# %%
def draw_momentum(ax, lr=0.02, momentum=0.9):
    """The path of SGD with momentum in the ravine: it swings where momentum is high."""
    path = walk(SGD, lr=lr, momentum=momentum)
    draw_path(draw_ravine(ax), path)
    left = np.linalg.norm(path[-1])
    ax.set_title(f"after 40 steps {left:.2g} from the minimum")


explore(draw_momentum, lr=(0.005, 0.1, 0.005), momentum=(0.0, 0.95, 0.05))

# %% [markdown]
# A loop drags faster than a hand: here is every pair of the two sliders.

# %%
distances = {}
for mu in np.arange(0, 0.96, 0.05).round(2):
    for lr in np.arange(0.005, 0.106, 0.005).round(3):
        path = walk(SGD, lr=float(lr), momentum=float(mu))
        distances[float(lr), float(mu)] = np.linalg.norm(path[-1])
best = min(distances, key=distances.get)
plain = min((key for key in distances if key[1] == 0), key=distances.get)
print(f"best without: lr {plain[0]}, {distances[plain]:.1e} from the minimum")
print(f"best of all: lr {best[0]}, momentum {best[1]}, {distances[best]:.1e}")

# %% [markdown]
# A moderate momentum comes thousands of times closer than the best plain SGD in the same 40 steps.
# Much more of it swings past the star and comes back late.
#
# ## Three notations, one method
#
# Momentum is written in three ways, and "velocity" means something else in each:
#
# - a sum of gradients: $v \leftarrow \mu v + dw$, then $w \leftarrow w - \eta v$ (PyTorch);
# - a step to subtract: $v \leftarrow \mu v + \eta\,dw$, then $w \leftarrow w - v$;
# - the step itself: $v \leftarrow \mu v - \eta\,dw$, then $w \leftarrow w + v$ (ours).
#
# We run all three on the same gradients.
#
# **Guess:** do the paths agree? Do the velocities?

# %%
def three_notations(dws, rates, mu=0.9):
    """The places and the velocities, of each notation, after each step."""
    w, v, rows = np.zeros(3), np.zeros(3), []
    for dw, lr in zip(dws, rates, strict=True):
        v = mu * v + np.array([1, lr, -lr]) * dw
        w = w + np.array([-lr, -1, 1]) * v
        rows.append((w, v))
    return map(np.array, zip(*rows, strict=True))


dws = np.random.default_rng(0).normal(1, 1, size=40)
places, velocities = three_notations(dws, [0.1] * 40)
assert np.allclose(places, places[:, :1])
assert np.allclose(velocities / velocities[:, :1], [1, 0.1, -0.1])
print("velocities after 40 steps:", velocities[-1].round(3))
average, w = 0.0, 0.0
for dw in dws:
    average = 0.9 * average + 0.1 * dw
    w -= 1.0 * average
assert np.isclose(w, places[-1, 0])
quiz("notations")

# %% [markdown]
# One path, three units: $v_\text{step} = -v_\text{subtract} = -\eta\, v_\text{sum}$.
# Some texts average instead, $v \leftarrow \mu v + (1 - \mu)\,dw$; that is the sum times $1 - \mu$, so at $\mu = 0.9$ it needs a learning rate ten times as large, here 1.0, and then walks the same path, too.
#
# All that holds while $\eta$ stays the same.
#
# **Guess:** after step 20 we divide it by ten. Which two stay together?

# %%
places, _ = three_notations(dws, [0.1] * 20 + [0.01] * 20)
fig, ax = plt.subplots()
for name, place in zip(["sum", "subtract", "step"], places.T, strict=True):
    ax.plot(place, "--" if name == "step" else "-", label=name)
ax.legend()
ax.set(xlabel="step", ylabel="w", title="A change of the rate tells the notations apart")
assert np.allclose(places[:, 1], places[:, 2])
assert abs(places[-1, 0] - places[-1, 1]) > 1
describe(fig, "Until step 20 one curve; then the sum turns flat at once, the others coast.")

# %% [markdown]
# Where the rate is inside the velocity, old steps keep their old rate and fade out slowly.
# In PyTorch's notation everything slows down at once.
# So a schedule tuned with one library may behave differently in another.
#
# **Nesterov's momentum** asks for the gradient where the velocity is about to lead, at $w + \mu v$, and so it brakes earlier.
#
# **Guess:** which of the two swings less?

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
overshoot = {}
for ax, name in zip(axes, ["momentum", "Nesterov"], strict=True):
    path = walk(SGD, lr=0.02, momentum=0.9, nesterov=name == "Nesterov")
    draw_path(draw_ravine(ax), path)
    overshoot[name] = path[:, 0].max()
    ax.set_title(f"{name} passes the minimum by {overshoot[name]:.2f}")
assert overshoot["Nesterov"] < overshoot["momentum"]
describe(fig, "Two paths from the same start: momentum swings wide, Nesterov's far less.")

# %% [markdown]
# Across the ravine Nesterov's path has nearly stopped swinging after one turn.
#
# ## Every entry gets a rate of its own
#
# Momentum still has one $\eta$ for steep and flat.
# **Adagrad** (Duchi et al., 2011) keeps a cache $c$ for each entry, the sum of its squared gradients, and divides:
#
# $$c \leftarrow c + dw^2, \qquad w \leftarrow w - \eta\, \frac{dw}{\sqrt c + \varepsilon}$$
#
# Entries with large gradients get small rates, all others large ones.
# But the sum never shrinks. **RMSProp** (Tieleman and Hinton, 2012) forgets, by a moving average:
#
# $$c \leftarrow \rho\, c + (1 - \rho)\, dw^2$$
#
# **Guess:** with a constant gradient of 1, what becomes of the factor $1/\sqrt c$ in each?

# %%
steps, rho = np.arange(1, 501), 0.99
caches = {"Adagrad": np.cumsum(np.ones(500)), "RMSProp": 1 - rho**steps}
c = 0.0
for _ in range(500):
    c = rho * c + (1 - rho) * 1.0
assert np.isclose(c, caches["RMSProp"][-1])
fig, ax = plt.subplots()
plotting.draw_curves(ax, steps, {name: 1 / np.sqrt(c) for name, c in caches.items()})
ax.set(xscale="log", yscale="log", xlabel="step", ylabel="1 / √c")
ax.set_title("Adagrad's rate dies out, RMSProp's levels off at 1")
describe(fig, "Adagrad falls as one over the root of the step; RMSProp falls from 10 to 1.")

# %% [markdown]
# RMSProp starts at $1/\sqrt{1 - \rho} = 10$: the young cache is too small. Keep that in mind for Adam.
#
# > **A slip in some slides.** RMSProp appears there as $dw/\sqrt{c}$, without $\varepsilon$.
# > An entry whose gradient has always been exactly 0 then gets $0/0$.
# > Is that rare? A corner pixel that is 0 in every image has weights like that.

# %%
dead = (digits.train.X == 0).all(axis=0).sum()
dw = gradient(make_net(), slice(None))[: 64 * 64]
with_slip = dw / torch.sqrt(0.01 * dw**2)
right = dw / (torch.sqrt(0.01 * dw**2) + 1e-8)
print(f"{dead} of 64 pixels are 0 in all training digits")
print(f"first layer: {with_slip.isnan().sum()} of 4096 steps are nan without ε")
assert not right.isnan().any()
weights = make_net()[0].weight.detach() - 0.01 * with_slip.reshape(64, 64)
assert (X @ weights.T).isnan().all()

# %% [markdown]
# A pixel of 0 times nan is nan, so after one such step every unit of the layer is lost, for every image.
# The $\varepsilon$, usually $10^{-8}$, stands beside the root and matters only where gradients are about as small.
#
# ## Adam does both, and corrects its averages
#
# **Adam** (Kingma and Ba, 2015) averages gradients, like momentum, and squares, like RMSProp:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\,dw, \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\,dw^2$$
#
# Both start at 0, so after $t$ steps their weights add up to $1 - \beta^t$ only. Dividing by that is the **bias correction**:
#
# $$\hat m = \frac{m}{1 - \beta_1^t}, \qquad \hat v = \frac{v}{1 - \beta_2^t}, \qquad w \leftarrow w - \eta\,\frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$
#
# First the averages. We average numbers around 1, with $\beta = 0.99$.
#
# **Guess:** where is the raw average after 50 numbers?

# %%
numbers, average, raw = np.random.default_rng(0).normal(1, 0.3, size=400), 0.0, []
for number in numbers:
    average = 0.99 * average + 0.01 * number
    raw.append(average)
corrected = np.array(raw) / (1 - 0.99 ** np.arange(1, 401))
fig, ax = plt.subplots()
plotting.draw_curves(ax, np.arange(1, 401), {"raw": raw, "corrected": corrected})
ax.set(xlabel="numbers seen", ylabel="average", title="A young average is too small")
print(f"after 50: raw {raw[49]:.2f}, corrected {corrected[49]:.2f}")
describe(fig, "The raw average climbs slowly from 0 to 1; the corrected one is near 1 at once.")

# %% [markdown]
# In Adam both averages are too small at first, but not equally, and one stands under a root.
# For a constant gradient the step without correction is $\eta\,(1 - \beta_1^t)/\sqrt{1 - \beta_2^t}$.
#
# **Guess:** are the first steps without correction too short or too long? Which beta decides for how long?

# %%
def draw_bias(ax, beta1=0.9, beta2=0.999):
    """Length of Adam's steps for a constant gradient, with and without correction."""
    t = np.arange(1, 3001)
    ratio = (1 - beta1**t) / np.sqrt(1 - beta2**t)
    plotting.draw_curves(ax, t, {"corrected": np.ones(3000), "uncorrected": ratio})
    ax.set(xscale="log", ylim=(0, 11), xlabel="step", ylabel="length of the step / lr")
    ax.set_title(f"first step {ratio[0]:.2f} lr, longest {ratio.max():.2f} lr")


explore(draw_bias, beta1=(0.0, 0.98, 0.02), beta2=(0.9, 0.999, 0.001))

# %% [markdown]
# With the usual betas the first step is $0.1/\sqrt{0.001} \approx 3.16$ times too long, and it gets worse before it gets better.
# $\beta_2$ decides how long the trouble lasts: about $1/(1 - \beta_2) = 1000$ steps.
#
# > **Slips in some slides.** Three versions of Adam circulate that differ from the paper: no correction at all; corrections computed, but the raw moments used in the step; and a division by $1 - \beta$ in every step, where $1 - \beta^t$ is right.
# > One also divides the moments of the step *before*, which are 0 at first.
#
# Five steps on a constant gradient show what each does:

# %%
beta1, beta2, m, v = 0.9, 0.999, 0.0, 0.0
print("step  right  uncorrected  by 1 - β  moments before")
for t in range(1, 6):
    before = m, v
    m, v = beta1 * m + (1 - beta1), beta2 * v + (1 - beta2)
    right = m / (1 - beta1**t) / np.sqrt(v / (1 - beta2**t))
    fixed = m / (1 - beta1) / np.sqrt(v / (1 - beta2))
    late = before[0] / (1 - beta1**t) / (np.sqrt(before[1] / (1 - beta2**t)) + 1e-8)
    print(f"{t:4} {right:6.2f} {m / np.sqrt(v):12.2f} {fixed:9.2f} {late:15.2f}")

# %% [markdown]
# Only the right one takes steps of $\eta$ from the start.
# Dividing by $1 - \beta$ starts well and then grows; with the moments before, the first step is no step.
#
# ## All of them in one ravine
#
# Choose an optimizer and drag `num_steps` to watch it walk.
# `beta1` is the momentum of SGD, Nesterov and Adam; `beta2` the decay of RMSProp and Adam.
#
# **Guess:** which ones can take the learning rate $0.3$, far above SGD's limit of $0.1$, and why?

# %%
def draw_rule(ax, name="Adam", log_lr=-0.5, beta1=0.9, beta2=0.99, num_steps=40):
    """The path of one optimizer in the ravine, with its learning rate and betas."""
    sgd = {"momentum": 0.0 if name == "SGD" else beta1, "nesterov": name == "Nesterov"}
    rule, settings = {
        "Adagrad": (optim.Adagrad, {}),
        "RMSProp": (optim.RMSprop, {"alpha": beta2}),
        "Adam": (optim.Adam, {"betas": (beta1, beta2)}),
    }.get(name, (SGD, sgd))
    path = walk(rule, num_steps, lr=10**log_lr, **settings)
    draw_path(draw_ravine(ax), path)
    left = np.linalg.norm(path[-1])
    ax.set_title(f"{name}, lr {10**log_lr:.3f}: {left:.2g} from the minimum")


names = ["SGD", "momentum", "Nesterov", "Adagrad", "RMSProp", "Adam"]
betas = {"beta1": (0.1, 0.95, 0.05), "beta2": (0.5, 0.995, 0.005)}
explore(draw_rule, name=names, log_lr=(-3.0, 0.0, 0.1), **betas, num_steps=(1, 100, 1))

# %% [markdown]
# And in numbers, 40 steps at 0.3, with PyTorch's defaults for the rest:

# %%
ends = {}
for rule in (SGD, optim.Adagrad, optim.RMSprop, optim.Adam):
    ends[rule] = np.linalg.norm(walk(rule, lr=0.3)[-1])
    print(f"{rule.__name__:8} at lr 0.3: {ends[rule]:.1e} from the minimum")
assert ends[SGD] > 1e9
assert ends[optim.Adam] < 1
for rule in (optim.Adagrad, optim.RMSprop, optim.Adam):
    assert np.allclose(*np.abs(np.diff(walk(rule, 1, lr=0.3), axis=0))[0], rtol=1e-4)
quiz("adam-first-step", "scaled-loss")

# %% [markdown]
# Rules that divide by the size of the gradient see no steep and no flat direction: their first step moves both entries alike, diagonally, which the cell asserts.
# So their learning rate is, about, the length of a step per entry, and one default, $0.001$ for Adam, fits many networks.
#
# ## Side by side on real digits
#
# A ravine is a picture; does the order hold for a network?
# Each optimizer gets four learning rates, and we keep the run with the lowest validation loss: at one common rate we would compare rates, not optimizers.
#
# **Guess:** which one is ahead after 100 iterations? And after the same number of seconds?

# %%
grids = {
    "SGD": (SGD, [0.3, 1.0, 3.0, 10.0], {}),
    "momentum": (SGD, [0.03, 0.1, 0.3, 1.0], {"momentum": 0.9}),
    "Adagrad": (optim.Adagrad, [0.03, 0.1, 0.3, 1.0], {}),
    "RMSProp": (optim.RMSprop, [0.003, 0.01, 0.03, 0.1], {}),
    "Adam": (optim.Adam, [0.003, 0.01, 0.03, 0.1], {}),
}
runs = {}
for name, (rule, rates, settings) in grids.items():
    for lr in rates:
        start = time.perf_counter()
        net, losses = train(rule, lr=lr, **settings)
        run = {"lr": lr, "losses": losses, "s": time.perf_counter() - start}
        scores = net(X_val).detach()
        run["val"] = nn.functional.cross_entropy(scores, y_val).item()
        run["right"] = (scores.argmax(dim=1) == y_val).float().mean().item()
        runs[name] = min(run, runs.get(name, run), key=lambda r: r["val"])
    assert rates[0] < runs[name]["lr"] < rates[-1]
assert runs["SGD"]["lr"] / runs["RMSProp"]["lr"] > 99
for name, run in runs.items():
    words = f"validation loss {run['val']:.3f}, {run['right']:.1%} right"
    print(f"{name:9} lr {run['lr']:<5} {words}, {1000 * run['s'] / 170:.2f} ms per step")

# %% [markdown]
# The best rate lies inside each grid, which the cell asserts; at an edge we would have to look further.
# And it is a hundred times as large for SGD as for RMSProp: a rate means something else to each.
# Now the training losses of these five runs, smoothed over an epoch:

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True)
for name, run in runs.items():
    smooth = np.convolve(run["losses"], np.ones(17) / 17, mode="valid")
    iterations = np.arange(17, 171)
    axes[0].semilogy(iterations, smooth, label=name)
    axes[1].semilogy(iterations / 170 * run["s"], smooth, label=name)
axes[0].set(xlabel="iteration", ylabel="loss (mean of an epoch)", title="By iterations")
axes[1].set(xlabel="seconds", title="By seconds, on this computer")
axes[1].legend()
describe(fig, "Five falling curves of training loss, against iterations and against seconds.")

# %% [markdown]
# With a good rate for each, plain SGD holds its own on this small net, and Adam, for all its fame, is last here; RMSProp and Adagrad are ahead almost from the start.
# By seconds the curves stretch: Adam computes more per step than SGD, which counts in a net as small as ours.
# In large ones backprop takes nearly all the time, and the two views agree.
#
# On validation digits all five lie within two percent: how fast the training loss falls is one question, how well new digits are read another.
# Elsewhere the order may differ. As a rule Adam works well enough with little tuning; SGD with momentum can generalize better, but takes longer.
#
# ## Which learning rate?
#
# Of all settings, this one matters most.
# We train with four rates, each ten times the one before.
#
# **Guess** the shape of each curve.

# %%
fig, ax = plt.subplots()
curves = {}
for lr in (0.03, 0.3, 3.0, 30.0):
    _, losses = train(SGD, lr=lr)
    epochs = np.reshape(losses, (10, 17)).mean(axis=1)
    curves[f"lr {lr:g}"] = np.minimum(epochs, 4)
    print(f"lr {lr:5}: first epoch {epochs[0]:.2f}, last {epochs[-1]:.2f}")
plotting.draw_curves(ax, np.arange(1, 11), curves)
ax.set(xlabel="epoch", ylabel="training loss", title="Too low creeps, too high never lands")
describe(fig, "At 0.03 the loss hardly falls, at 0.3 slowly, at 3 fast, at 30 it stays high.")

# %% [markdown]
# (Losses above 4 are drawn at 4.) A rate that is too low looks like a network that can't learn; one that is too high, too.
# When you search, change it by factors of ten.
#
# Quicker is a **range test** (Smith, 2017): raise the rate a little after every step, from tiny to huge, and look where the loss starts to fall, and where it explodes.
#
# **Guess** both places, from the curves above.

# %%
limits = {"low": 1e-3, "high": 100.0, "num_steps": 120, "batch_size": 64}
test = fovea.find_learning_rate(make_net(), (X, y), optimizer=SGD, **limits)
fig, ax = plt.subplots()
ax.semilogx(test.lr, test.loss)
ax.axvline(test.suggestion, color=plotting.COLORS["muted"], linestyle=":")
ax.set(xlabel="learning rate", ylabel="loss", ylim=(0, 5))
ax.set_title(f"Steepest at {test.suggestion:.1f}, exploded by {test.lr[-1]:.0f}")
assert 0.1 < test.suggestion < 10
describe(fig, "Flat up to about 0.1, then a steep fall, a minimum, and an explosion.")

# %% [markdown]
# One run of 120 steps says what four trainings said.
# A good choice is where the loss falls steeply, some way below the explosion.
#
# ## Slowing down, but not too soon
#
# With a rate that is too large for the end, we bounce around the minimum; with a small one, we take for ever to get there.
# So it starts large and is lowered, which is called **annealing**:
#
# - **step decay**: times some factor every few epochs, $\eta_0 \cdot 0.5^{\lfloor t/10 \rfloor}$;
# - **exponential decay**: $\eta_0\, e^{-kt}$;
# - **on a plateau**: times 0.1 once the validation loss has stopped improving.

# %%
epochs = np.arange(60)
validation_loss = np.maximum(1.0 - 0.04 * epochs, 0.2)
w = torch.zeros(1, requires_grad=True)
plateau = optim.lr_scheduler.ReduceLROnPlateau(SGD([w], lr=1.0), patience=10)
rates = []
for value in validation_loss:
    plateau.step(value)
    rates.append(plateau.get_last_lr()[0])
curves = {"step decay": 0.5 ** (epochs // 10), "exponential": np.exp(-0.07 * epochs)}
fig, ax = plt.subplots()
plotting.draw_curves(ax, epochs, curves | {"on a plateau": rates})
ax.set(xlabel="epoch", ylabel="learning rate", title="Two fixed plans, one that watches")
print("the loss stops improving in epoch 20, the rate drops in epoch", rates.index(0.1))
describe(fig, "Stairs, a smooth fall, and a line at 1 that drops tenfold in epoch 31, then again.")

# %% [markdown]
# Where does it pay? Back to the ravine, with noise of standard deviation 3 on each gradient, as minibatches have it.
# One hundred walks each, for four plans.
#
# **Guess** the order at the end.

# %%
def noisy_walks(schedule, num_steps=400):
    """Mean distance from the minimum after each step, over 100 noisy walks."""
    rng, w, distances = np.random.default_rng(0), np.tile([-4.0, 1.0], (100, 1)), []
    for step in range(num_steps):
        dw = w * [1, 20] + 3 * rng.normal(size=w.shape)
        w = w - schedule(step) * dw
        distances.append(np.linalg.norm(w, axis=1).mean())
    return np.array(distances)


plans = {
    "always 0.05": lambda step: 0.05,
    "always 0.001": lambda step: 0.001,
    "lowered at 20": lambda step: 0.05 if step < 20 else 0.001,
    "lowered at 150": lambda step: 0.05 if step < 150 else 0.001,
}
ends = {name: noisy_walks(schedule) for name, schedule in plans.items()}
fig, ax = plt.subplots()
plotting.draw_curves(ax, np.arange(1, 401), ends)
ax.set(xlabel="step", ylabel="distance from the minimum", yscale="log")
ax.set_title("High first, then low; but not too soon")
assert min(ends, key=lambda name: ends[name][-1]) == "lowered at 150"
describe(fig, "The high rate levels off; lowered late it falls further, too soon it creeps.")

# %% [markdown]
# The high rate arrives quickly and then bounces on a level set by the noise.
# Lowered once it bounces, it averages the noise out, and ends nearest.
# Lowered too soon, it creeps like the low rate: what was not walked at high speed is walked at low speed.
#
# The digits agree. Momentum, batches of 16, the rate divided by 100 after 2, after 20, or never in 30 epochs:

# %%
for when in (2, 20, 30):
    plan = {epoch: 0.3 if epoch < when else 0.003 for epoch in range(30)}
    net, losses = train(SGD, 30, 16, plan.get, lr=0.3, momentum=0.9)
    end = np.mean(losses[-68:])
    val_loss = nn.functional.cross_entropy(net(X_val), y_val).item()
    print(f"lowered after {when:2}: loss {end:.5f}, validation loss {val_loss:.3f}")
quiz("too-soon", "plateau")

# %% [markdown]
# Lowered too soon, the net ends with over a hundred times the training loss and more than twice the validation loss.
# Lowering late changed little here: so small a loss bounces no more.
#
# ## Four relatives, in two sentences each
#
# **AdamW** (Loshchilov and Hutter, 2019) takes weight decay out of the gradient: it shrinks $w$ by $\eta\lambda w$ beside Adam's step. Inside the gradient the decay would be divided by $\sqrt{\hat v}$ like everything else, and weights with large gradients would hardly decay.
#
# To see it: two weights start at 1 with nothing but noise for gradients, of size 0.1 and 10.
#
# **Guess:** which decays, with Adam and with AdamW?

# %%
def decay(rule, num_steps=600):
    """The mean of 500 weights with small, and 500 with large, noise for gradients."""
    generator = torch.Generator().manual_seed(0)
    w = torch.ones(2, 500, requires_grad=True)
    optimizer, means = rule([w], lr=0.005, weight_decay=0.3), []
    for _ in range(num_steps):
        noise = torch.randn(2, 500, generator=generator)
        w.grad = noise * torch.tensor([[0.1], [10.0]])
        optimizer.step()
        means.append(w.detach().mean(dim=1).tolist())
    return np.array(means)


fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
for ax, rule in zip(axes, [optim.Adam, optim.AdamW], strict=True):
    means = decay(rule)
    ax.plot(means, label=["small gradients", "large gradients"])
    ax.set(xlabel="step", ylabel="mean weight", ylim=(-0.1, 1.1))
    small, large = means[-1]
    ax.set_title(f"{rule.__name__}: after 600 steps {small:.2f} and {large:.2f}")
axes[0].legend()
describe(fig, "Adam: small-gradient weights decay fast, the others stay near 1. AdamW: alike.")

# %% [markdown]
# **RAdam** (Liu et al., 2020) notes that in the first steps $\hat v$ comes from too few samples to be trusted. It starts without the division, as plain momentum, and lets it in by a factor that grows to 1 as the average gets older.
#
# **AdaBelief** (Zhuang et al., 2020) divides not by the size of gradients but by how far they stray from their average $m$. Where the gradient is as expected it takes large steps, where it surprises small ones.
#
# **LARS** (You et al., 2017) gives each *layer* a rate of its own, in proportion to $\|w\|/\|dw\|$, so that no layer moves by more than a small share of its length. It adapts per layer, not per entry, and is built on SGD with momentum for huge batches: no variant of Adam, though some lists call it one.
#
# **Guess:** what do Adam and AdaBelief divide by when all gradients are 1, and when they flip between 1 and -1?

# %%
def last_divisors(dws, beta1=0.9, beta2=0.999):
    """What Adam and AdaBelief divide by after all these gradients."""
    m = v = s = 0.0
    for dw in dws:
        m = beta1 * m + (1 - beta1) * dw
        v = beta2 * v + (1 - beta2) * dw**2
        s = beta2 * s + (1 - beta2) * (dw - m) ** 2
    return np.sqrt([v, s]) / np.sqrt(1 - beta2 ** len(dws))


for name, dws in {"steady": np.ones(2000), "flipping": (-1.0) ** np.arange(2000)}.items():
    print(f"{name:9} Adam {last_divisors(dws)[0]:.2f}, AdaBelief {last_divisors(dws)[1]:.2f}")
net = make_net()
nn.functional.cross_entropy(net(X), y).backward()
for name, w in net.named_parameters():
    print(f"{name:9} ‖w‖/‖dw‖ = {(w.norm() / w.grad.norm()).item():6.1f}")

# %% [markdown]
# Adam sees no difference; AdaBelief divides by far less, and so steps more boldly, where the gradient holds steady.
#
# The lower four lines are for LARS, layer by layer.
# Even in this small net the ratios differ by a factor of almost three: at a common rate the smallest one sets the limit for all.
#
# ## What we learned
#
# - Many rough steps beat few exact ones; an epoch has as many iterations as batches, the short one included.
# - In a ravine momentum adds up what agrees; Adagrad and RMSProp divide each entry by its own size; Adam does both, and corrects young averages.
# - Momentum's notations agree until the rate changes.
# - Try rates by factors of ten or by a range test; lower the rate once the loss bounces, not before.
# - A default that works: Adam or AdamW, then a lower rate at the end. Well-tuned momentum may generalize better.
#
# ## Exercises
#
# 1. By hand: momentum 0.9, rate 0.1, gradients 1, 1, -1. All three velocities? Check with `three_notations`.
# 2. Set `curvature` to 1 and 100. Which optimizers notice, and how do their best rates change?
# 3. Start RMSProp's cache at 1 instead of 0. What happens to the first step in the ravine, and why doesn't everybody do so?
# 4. In the noisy ravine, find a schedule that ends nearer than "lowered at 150".
#
# Read on: Bottou et al., *Optimization Methods for Large-Scale Machine Learning* (2018); Kingma and Ba, *Adam* (2015).
