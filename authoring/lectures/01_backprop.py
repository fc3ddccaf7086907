# %% [markdown]
# # Backprop: which numbers to change, and by how much
#
# A network is a function with many adjustable numbers; learning finds out which way to change each.
# By the end you can
#
# - score images with a linear function, and nest such functions into a network;
# - choose an activation and a loss, and say what each does to derivatives;
# - push derivatives through a graph, by hand and by machine;
# - train a network with derivatives of your own, and prove them right.
#
# You need NumPy, matrix products and derivatives.
# Running takes fifteen seconds, reading ninety minutes.
# At **Guess**, settle on an answer before you run the cell.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

from fovea import plotting
from fovea.data import load
from fovea.figures.backprop import draw_cut, draw_tangent
from fovea.plotting import describe
from fovea.widgets import explore, quiz

plotting.use_style()
rng = np.random.default_rng(0)
digits = load("digits")

# %% [markdown]
# ## A linear score is a template for every class
#
# **Supervised learning** looks for a function from inputs to outputs, given examples of both:
# **classification** if the output is one of a few labels, **regression** if it is a continuous number.
#
# Take digits of 8×8 pixels, flattened to vectors $x$ of 64 numbers.
# A **linear score function** $f(x) = Wx + b$ gives each class a **score**; the largest wins.
# The **weights** $W$ are 10×64; the **bias** $b$ is a head start per class.
#
# Row $k$ of $W$ meets the image pixel by pixel: it is a template.
# For now, take the average image of digit $k$.
#
# **Guess:** chance gets 10 % of new digits right. What do ten averages get?

# %%
X, y = digits.train.X.reshape(-1, 64), digits.train.y
X_val, y_val = digits.val.X.reshape(-1, 64), digits.val.y
W = np.stack([X[y == k].mean(axis=0) for k in range(10)])
b = -0.5 * (W**2).sum(axis=1)
scores = X_val @ W.T + b
assert np.allclose(scores[0], W @ X_val[0] + b, atol=1e-5)
right = (scores.argmax(axis=1) == y_val).mean()
title = f"Ten rows of W are ten templates, right for {right:.0%} of new digits"
axes = plotting.image_grid(W.reshape(-1, 8, 8), names=range(10), title=title)
describe(axes, "Ten blurred images; row k of W looks like the digit k.")

# %% [markdown]
# Nearly nine in ten, with ten dot products and no learning.
# (The bias $-\tfrac12\|w_k\|^2$ keeps templates with much ink from winning too often.)
#
# What can weights and a bias do, geometrically?
# Describe zeros and nines by two numbers each, the ink in the left half and in the top half, both standardized (mean 0, standard deviation 1), and let a positive score mean "nine".
# This is the **perceptron** of about 1960: the sign of a weighted sum plus a bias.
#
# **Guess** the sign of each weight, then drag the sliders until more than 95 % lie on their own side.

# %%
some = (y == 0) | (y == 9)
images, is_nine = digits.train.X[some, 0], y[some] == 9
halves = images[:, :, :4], images[:, :4]
ink = np.stack([half.sum(axis=(1, 2)) for half in halves], axis=1)
ink = (ink - ink.mean(axis=0)) / ink.std(axis=0)


def draw_score(ax, w_left=0.0, w_top=1.0, bias=0.0):
    """Zeros and nines as points in a plane that a straight line cuts in two."""
    right = ((ink @ [w_left, w_top] + bias > 0) == is_nine).mean()
    draw_cut(ax, ink, is_nine, [w_left, w_top], bias, names=("zero", "nine"))
    ax.set(title=f"{right:.0%} of zeros and nines lie on their own side")
    ax.set(xlabel="ink in the left half (standardized)", ylabel="ink in the top half")


limits = (-2.0, 2.0, 0.1)
explore(draw_score, w_left=limits, w_top=limits, bias=limits)

# %% [markdown]
# A score is one straight cut: the weights turn it, the bias shifts it, and doubling all three changes nothing.
# `w_left = -1.5`, `w_top = 1.6` is one good answer.
#
# ## A network is a nest of functions
#
# A second matrix on top gains nothing: $W_2(W_1x) = (W_2W_1)x$ is one matrix again.
# Between them, a non-linear function has to act on each number, such as $\max(0, z)$, $\tanh(z)$ or the sigmoid $\sigma(z) = 1/(1+e^{-z})$.
# Then nests get as deep as we like, and we count their matrices:
#
# - 1 layer: $W_1 x$
# - 2 layers: $W_2 \max(0, W_1 x)$
# - 3 layers: $W_3 \max(0, W_2 \max(0, W_1 x))$

# %%
def relu(z):
    return np.maximum(0, z)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


W1, W2, x = rng.normal(size=(20, 64)), rng.normal(size=(10, 20)), X[0]
assert np.allclose(W2 @ (W1 @ x), (W2 @ W1) @ x)
assert ((ink @ [-1.5, 1.6] > 0) == is_nine).mean() > 0.95
quiz("layers")

# %% [markdown]
# The functions may differ from layer to layer:
#
# - 4 layers: $W_4 \tanh(W_3 \max(0, W_2 \max(0, W_1 x)))$
# - 5 layers: $W_5\,\sigma(W_4 \tanh(W_3 \max(0, W_2 \max(0, W_1 x))))$
#
# and so on, up to hundreds.
# Every layer but the last is **hidden**, and each number in it is a **unit**.
#
# The next cell draws random weights for one to five layers, with one number as input and twenty units per hidden layer.
#
# **Guess:** which of the five functions can bend?

# %%
grid = np.linspace(-3, 3, 301)
# The row of ones makes one weight of each unit a bias
hidden = np.stack([grid, np.ones(301)])
fig, axes = plt.subplots(1, 5, figsize=(9, 2.2))
for ax, activation in zip(axes, [relu, relu, np.tanh, sigmoid, None], strict=True):
    ax.plot(grid, (rng.normal(size=(1, len(hidden))) @ hidden)[0])
    if activation:
        hidden = activation(rng.normal(size=(20, len(hidden))) @ hidden)
for layers, ax in enumerate(axes, start=1):
    ax.set(title=f"{layers} layers bend" if layers > 1 else "1 layer: straight")
    ax.set(xlabel="x", yticks=[])
describe(fig, "Five curves: one layer gives a straight line, two to five layers bend.")

# %% [markdown]
# One layer is straight, whatever its weights.
# Two layers have a kink wherever a $\max$ switches, and depth bends further.
# Learning means to find weights that bend the function through the data.
#
# ## Activations decide what comes back
#
# The function between two matrices is the **activation**, its argument $z$ the **pre-activation**. Five classics:
#
# - sigmoid: $1/(1+e^{-z})$
# - tanh: $\tanh(z)$
# - **ReLU** (rectified linear unit): $\max(0, z)$
# - leaky ReLU: $\max(0.1z, z)$
# - maxout: $\max(w_1^\top x + b_1,\; w_2^\top x + b_2)$, the larger of two or more learned scores
#
# Learning will multiply by their slopes.
# Where the slope is almost zero, an activation **saturates**: nothing gets through.
#
# **Guess:** which ones saturate, and on which side?

# %%
activations = {
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "ReLU": (relu, lambda z: np.where(z > 0, 1.0, 0.0)),
    "leaky ReLU": (lambda z: np.maximum(0.1 * z, z), lambda z: np.where(z > 0, 1, 0.1)),
    "maxout": (lambda z: np.maximum(-z, z / 2), lambda z: np.where(z > 0, 0.5, -1)),
}


def draw_activation(ax, name="sigmoid", z=2.0):
    """An activation, its slope, and its tangent at one point."""
    function, slope = activations[name]
    draw_tangent(ax, function, slope, z)
    ax.set_title(f"{name}: at z = {z:.1f} the slope is {slope(z):.4f}")


explore(draw_activation, name=list(activations), z=(-6.0, 6.0, 0.1))

# %% [markdown]
# Sigmoid and tanh saturate on both sides, ReLU below zero only, leaky ReLU and maxout (here of the lines $-z$ and $z/2$) nowhere.
#
# An activation whose outputs spread around zero is called **zero-centred**.
# We feed each one standard normal numbers and print its mean output.
# We also compare each slope formula with a **finite difference**: the change of the output, $f(z+h) - f(z-h)$, divided by the change of the input, $2h$, for a small $h$.

# %%
z, h = rng.normal(size=2000), 1e-6
print(f"{'':10} mean output   slope at -10   largest slope   slope at 10")
for name, (f, slope) in activations.items():
    assert np.allclose(slope(z), (f(z + h) - f(z - h)) / (2 * h), atol=1e-8)
    slopes = slope(np.linspace(-10, 10, 1001))
    numbers = f"{slopes[0]:15.5f}{slopes.max():16.2f}{slopes[-1]:14.5f}"
    print(f"{name:10}{f(z).mean():12.1f}{numbers}")
quiz("zero-centred")

# %% [markdown]
# Only tanh is zero-centred.
# The sigmoid averages 0.5, and its slope never exceeds 0.25.
#
# Why care? A unit of the next layer computes $s = \sum_i w_i h_i$, so the loss $L$, the number we want to lower, changes by $\frac{\partial L}{\partial w_i} = \frac{\partial L}{\partial s} h_i$.
# If all $h_i$ are positive, the one factor $\frac{\partial L}{\partial s}$ sets every sign: all weights go up together, or all down.
# *Efficient BackProp* (LeCun et al., 1998) therefore preferred tanh.
# Below are 300 such pairs, with random inputs and random $\frac{\partial L}{\partial s}$.

# %%
pairs, ds = rng.normal(size=(300, 2)), rng.normal(size=(300, 1))
fig, axes = plt.subplots(1, 2, figsize=(6, 3.2), sharex=True, sharey=True)
for ax, name in zip(axes, ["sigmoid", "tanh"], strict=True):
    dw = ds * activations[name][0](pairs)
    mixed = (dw[:, 0] * dw[:, 1] < 0).mean()
    ax.scatter(*dw.T, s=8, color=plotting.COLORS["grad"])
    ax.set(title=f"{name}: {mixed:.0%} mixed signs", xlabel="∂L/∂w₁", ylabel="∂L/∂w₂")
describe(fig, "After sigmoids, gradients lie in two of four quadrants; after tanh in all.")

# %% [markdown]
# After sigmoids no pair has mixed signs; a path that needs one weight up and the other down must zigzag.
#
# ReLU has another risk.
# If a unit's $z$ is negative for *every* input, its slope is 0 for every input, no derivative reaches its weights, and it is **dead** for good.
# We start one unit with such a low bias, and change its weight and bias in small steps towards an output of 1.
#
# **Guess:** what do ReLU and leaky ReLU give after 300 steps?

# %%
inputs = rng.uniform(0, 1, size=50)
for name in ["ReLU", "leaky ReLU"]:
    f, slope = activations[name]
    w, bias = 1.0, -3.0
    for _ in range(300):
        z = w * inputs + bias
        dz = 2 * (f(z) - 1) * slope(z)
        w, bias = w - 0.1 * (dz * inputs).mean(), bias - 0.1 * dz.mean()
    print(f"{name:11} mean output {f(w * inputs + bias).mean():.2f}")

# %% [markdown]
# ReLU stays at 0; a slope of 0.1 brought the leaky one to life.
#
# Still, ReLU is the usual first choice, made popular by AlexNet in 2012.
# It is cheap, and it doesn't saturate where it is active, so deep networks learn faster.
# Its drawbacks: it is not zero-centred; below 0 there is no derivative; at 0 none is defined (programs pick 0, which does no harm); and a unit may die, which is rarely a problem.
# Slides that say "ReLU doesn't saturate" mean its positive side.
# Maxout has neither drawback, at twice the weights or more.

# %% [markdown]
# ## Losses say how wrong the scores are
#
# A **loss** is one number, small when the scores are good.
# For classes, the **softmax** makes probabilities $p$ of the scores $s$, and the loss is minus the logarithm of what the right class $y$ gets:
#
# $$p_k = \frac{e^{s_k}}{\sum_j e^{s_j}}, \qquad L = -\log p_y = -s_y + \log \sum_j e^{s_j}.$$
#
# Differentiate by $s_k$: the logarithm of the sum gives $p_k$, and $-s_y$ gives $-1$ for the right class alone.
# So the derivative is the error itself: the probabilities, minus 1 at the right class.
#
# **Guess:** what is the loss of ten equal scores?

# %%
scores = torch.tensor([2.0, 1.0, -1.0], requires_grad=True)
probs = torch.softmax(scores, dim=0)
loss = -torch.log(probs[0])
loss.backward()
assert torch.allclose(scores.grad, probs - torch.tensor([1.0, 0.0, 0.0]))
print(f"loss {loss:.3f}, derivatives {scores.grad.numpy()}")
print(f"loss of ten equal scores {-np.log(0.1):.3f}")

# %% [markdown]
# PyTorch's derivatives match ours, and add up to zero: what one class gains, the others lose.
# Ten equal scores cost $\log 10 \approx 2.303$; expect that number when training on ten classes starts.
#
# > **A slip in some slides.** $x - \log\sum\exp(x)$ is called a stable log-softmax.
# > But $e^{10000}$ is too large for any float.
# > Subtract $m = \max x$ first, $\log\sum e^{x_j} = m + \log\sum e^{x_j - m}$, and no exponent is positive any more.
# > The same care helps the sigmoid: for $z < 0$ use $e^z/(1+e^z)$.

# %%
x = torch.tensor([1e4, 0.0, -1e4])
print("the slip:          ", (x - torch.log(torch.exp(x).sum())).tolist())
shifted = x - x.max()
stable = shifted - torch.log(torch.exp(shifted).sum())
assert torch.equal(stable, torch.log_softmax(x, dim=0))
print("maximum subtracted:", stable.tolist())
z = torch.tensor([-1000.0, -1.0])
assert torch.allclose(torch.exp(z) / (1 + torch.exp(z)), torch.sigmoid(z))

# %% [markdown]
# By the slip, even the best class has probability $e^{-\infty} = 0$; it has 1, and its logarithm is 0.
#
# The **hinge loss** of support vector machines asks for less: the right score shall exceed every other by a margin of 1.
#
# $$L = \sum_{k \ne y} \max(0,\; s_k - s_y + 1)$$
#
# With two classes, both losses depend on the lead $m = s_y - s_k$ alone: $\log(1 + e^{-m})$ and $\max(0, 1 - m)$.
# Call minus their slope the *push*.
#
# **Guess:** at $m = 2$, which of the two still pushes?

# %%
def draw_losses(ax, m=2.0):
    """Softmax loss falls for ever towards 0; hinge loss is exactly 0 from m = 1 on."""
    leads = np.linspace(-3, 6, 451)
    curves = {"softmax": np.log1p(np.exp(-leads)), "hinge": np.maximum(0, 1 - leads)}
    plotting.draw_curves(ax, leads, curves)
    ax.axvline(m, color=plotting.COLORS["muted"], linestyle=":")
    ax.legend(loc="upper right", frameon=True, framealpha=1)
    ax.set(xlabel="lead m of the right score over the other", ylabel="loss")
    push = f"softmax pushes with {sigmoid(-m):.4f}, hinge with {m < 1:d}"
    ax.set_title(f"At m = {m:.1f}, {push}")


explore(draw_losses, m=(-3.0, 6.0, 0.1))

# %% [markdown]
# Softmax pushes until its loss is zero, which it only approaches.
# Hinge stops at the margin: a class learned well enough is left alone, and the loss saturates.
#
# For regression, the **L2 loss** squares the difference of prediction $y'$ and target $y$:
# $L = (y' - y)^2$, with derivative $2(y' - y)$, so it pulls twice as hard at twice the distance.
# The loss of a data set is the mean (sometimes the sum) over its samples.

# %%
assert np.isclose((2.001**2 - 1.999**2) / 0.002, 2 * 2)
quiz("hinge", "push")

# %% [markdown]
# ## Learning is walking downhill
#
# All derivatives of the loss together are its **gradient**, the direction in which it rises fastest.
# **Gradient descent** steps the other way, again and again, with a **learning rate** $\eta$:
#
# $$w \leftarrow w - \eta\, \frac{\partial L}{\partial w}$$
#
# Finite differences could give us the derivatives, without any theory.
# How good are they? We try the one above, called central, and the one-sided $(f(x+h) - f(x))/h$, on $e^x$ at $x = 1$, whose derivative $e$ we know.
#
# **Guess:** is a smaller $h$ always better?

# %%
h = 10.0 ** np.arange(-14, 0, 0.1)
one_sided = (np.exp(1 + h) - np.exp(1)) / h
central = (np.exp(1 + h) - np.exp(1 - h)) / (2 * h)
errors = {"one-sided": one_sided / np.e - 1, "central": central / np.e - 1}
assert 1e-7 < h[np.abs(central - np.e).argmin()] < 1e-4
assert 2 * (W.size + b.size) == 1300
fig, ax = plt.subplots()
plotting.draw_curves(ax, h, {name: np.abs(error) for name, error in errors.items()})
ax.set(xscale="log", yscale="log", xlabel="h", ylabel="relative error")
ax.set_title("Central differences are best near h = 1e-5")
describe(fig, "As h shrinks both errors fall, then rise; the central one falls deeper.")

# %% [markdown]
# From right to left, the error first falls, like $h$ one-sided and like $h^2$ centrally: from close up, curves are straight.
# Then it grows like $1/h$: two nearly equal floats leave few correct digits in their difference.
# So **gradient checking** uses central differences, float64 and $h = 10^{-5}$, away from kinks, and looks at relative errors.
#
# For training it is hopeless: two evaluations of the loss per weight and step, 1300 for our 650 numbers.
# Backprop gets all of them at once, for the price of a few evaluations.

# %% [markdown]
# ## The chain rule on a graph
#
# Take $L = (a \cdot b + c) \cdot a$ with parts $u = ab$, $v = u + c$, $L = va$.
# Drawn with arrows, this is a **computational graph**.
#
# The **forward pass** fills in values.
# The **backward pass** starts from $\partial L/\partial L = 1$, against the arrows: each node multiplies what it received by its **local derivative** towards each input, and passes it on; whoever was used twice adds up.
# That is **backpropagation** (Rumelhart, Hinton and Williams, 1986).
#
# **Guess** on paper: what are the derivatives by $a = 2$, $b = -3$, $c = 4$? Then step from 0 to 9.

# %%
places = {"a": (0, 2.6), "b": (0, 1.3), "c": (1, 0), "u = a·b": (1, 1.3)}
places |= {"v = u + c": (2, 1.3), "L = v·a": (3, 2.6)}
edges = [("a", "u = a·b"), ("b", "u = a·b"), ("u = a·b", "v = u + c")]
edges += [("c", "v = u + c"), ("v = u + c", "L = v·a"), ("a", "L = v·a")]
values = {"a": 2, "b": -3, "c": 4, "u = a·b": -6, "v = u + c": -2, "L = v·a": -4}
grads = {"L = v·a": 1, "v = u + c": 2, "u = a·b": 2, "c": 2, "b": 4, "a": -8}
why = ["start with 1", "1·a = 2", "copy 2", "copy 2", "2·a = 4", "v + 2·b = -2 - 6"]


def draw_steps(ax, step=9):
    """The graph of L = (a·b + c)·a: values above its nodes, derivatives of L below."""
    known, received = list(values)[: 3 + step], list(grads)[: max(0, step - 3)]
    value, grad = {n: values[n] for n in known}, {n: grads[n] for n in received}
    plotting.draw_graph(ax, places, edges, value, grad)
    rule = f"backward to {received[-1]}: {why[step - 4]}" if received else "forward"
    ax.set_title(f"Step {step}, {rule} (values above, derivatives below)")


explore(draw_steps, figsize=(7, 4), step=(0, 9, 1))

# %% [markdown]
# Three habits make this quick by hand.
# A sum copies the derivative to its inputs.
# A product swaps: each factor gets the derivative times the *other* factor.
# A maximum sends everything to the winner.
#
# And reuse adds: $a$ gets $v = -2$ from the last product and $2b = -6$ from the first, together $-8$.
# Multiplied out, $L = a^2b + ac$, and school calculus confirms all three.

# %%
a, b, c = 2, -3, 4
assert (2 * a * b + c, a**2, a) == (grads["a"], grads["b"], grads["c"])
quiz("maximum", "reuse")

# %% [markdown]
# ## A machine that does it for us
#
# Nothing in these steps needed a human.
# Let each number remember which numbers made it, its parents, and the local derivative towards each of them.
# Python lets us redefine `+` and `*`, so all of this is noted down while the forward pass computes.
# The method is called **reverse-mode automatic differentiation** (survey: Baydin et al., 2018); PyTorch is built on it.

# %%
class Node:
    """A number that knows its parents, and its local derivative towards each."""

    def __init__(self, data, parents=()):
        self.data, self.parents, self.grad = data, parents, 0.0

    def __add__(self, other):
        return Node(self.data + other.data, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        return Node(self.data * other.data, [(self, other.data), (other, self.data)])

# %% [markdown]
# Backward, order matters: a node may pass on its derivative only after *everyone who used it* has delivered.
# A **topological order** lists each node after its parents, and we walk through it in reverse.
# To get one, visit the parents first and append the node on the way back.
#
# Note the `+=`: it is what adds up the contributions when a node was used more than once.

# %%
def topological_order(node, order):
    if node not in order:
        for parent, _ in node.parents:
            topological_order(parent, order)
        order.append(node)
    return order


def backward(order):
    order[-1].grad = 1.0
    for node in reversed(order):
        for parent, local in node.parents:
            parent.grad += local * node.grad


a, b, c = Node(2.0), Node(-3.0), Node(4.0)
backward(topological_order((a * b + c) * a, []))
assert (a.grad, b.grad, c.grad) == (-8, 4, 2)

# %% [markdown]
# The machine finds our $-8$, $4$ and $2$, knowing of calculus only `+` and `*`.
# (It is slow and shallow: it searches a list, and Python allows about a thousand nested calls. The exercise does better.)
#
# Does order really matter? In $L = st$ with $s = ab$ and $t = s + c$, node $s$ is used by $L$ and by $t$.
# We walk through the list $a, b, c, t, s, L$ backwards, so $s$ passes on before $t$ has delivered.
#
# **Guess:** which part of $\partial L/\partial a$ is lost?

# %%
a, b, c = Node(2.0), Node(-3.0), Node(4.0)
s = a * b
t = s + c
backward([a, b, c, t, s, s * t])
by_calculus = 2 * a.data * b.data**2 + b.data * c.data
assert (a.grad, by_calculus) == (6, 24)
print("s too early:", a.grad, " by calculus:", by_calculus)

# %% [markdown]
# What came through $t$ is lost: 6 instead of the 24 of $\frac{\partial}{\partial a}(a^2b^2 + abc) = 2ab^2 + bc$.
#
# ## From numbers to arrays
#
# A node per number is slow, so we use arrays.
# From here on samples are rows: $X$ is $(N, D)$, $W$ now $(D, M)$, and an **affine** or **fully connected layer** computes $XW + b$.
#
# For one sample, $\text{out}_m = \sum_d x_d W_{dm} + b_m$. With $g_m = \partial L/\partial\text{out}_m$ given, the chain rule says
#
# $$\frac{\partial L}{\partial W_{dm}} = x_d\, g_m, \qquad \frac{\partial L}{\partial x_d} = \sum_m W_{dm}\, g_m, \qquad \frac{\partial L}{\partial b_m} = g_m.$$
#
# So $W$ gets an outer product, and $x_d$, which every output used, adds up.

# %% [markdown]
# In a batch of $N$ samples, all share $W$ and $b$. That is reuse, so their contributions add:
# the sum of outer products is the matrix product $X^\top G$, and $b$ gets the sum of the rows of $G$.
# Each row of $X$ belongs to one sample only and gets its own row of $GW^\top$.
# A gradient always has the shape of its variable, which is a good way to remember all three.
#
# An activation works on each number alone, so its backward pass multiplies $G$ elementwise by the slope at $z$.

# %%
shapes = {"X": (5, 4), "W": (4, 3), "b": (3,), "G": (5, 3)}
X5, W, b, G = (torch.tensor(rng.normal(size=s)) for s in shapes.values())
inputs = [v.requires_grad_() for v in (X5, W, b)]
dX, dW, db = torch.autograd.grad(X5 @ W + b, inputs, grad_outputs=G)
outer_products = [torch.outer(x, g) for x, g in zip(X5, G, strict=True)]
assert torch.allclose(dW, sum(outer_products))
assert torch.allclose(dW, X5.T @ G)
assert torch.allclose(dX, G @ W.T)
assert torch.allclose(db, G.sum(dim=0))

# %% [markdown]
# PyTorch agrees with all of it.
# Together with the softmax derivative, probabilities minus **one-hot** rows (a 1 at the right class, else 0), divided by $N$, this trains the linear scores of the first section.
#
# **Guess:** the averages had 88 % of new digits right. What do learned templates get, and will they look like digits?

# %%
W, b, one_hot, losses = np.zeros((64, 10)), np.zeros(10), np.eye(10)[y], []
for _ in range(300):
    scores = X @ W + b
    exps = np.exp(scores - scores.max(axis=1, keepdims=True))
    probs = exps / exps.sum(axis=1, keepdims=True)
    losses.append(-np.log(probs[one_hot == 1]).mean())
    G = (probs - one_hot) / len(X)
    W, b = W - 1.0 * X.T @ G, b - 1.0 * G.sum(axis=0)
right = ((X_val @ W + b).argmax(axis=1) == y_val).mean()
assert np.isclose(losses[0], np.log(10))
assert right > 0.95
title = f"Learned templates: {right:.0%} right, loss {losses[0]:.2f} → {losses[-1]:.2f}"
axes = plotting.image_grid(W.T.reshape(-1, 8, 8), names=range(10), title=title)
describe(axes, "Ten images of positive and negative weights; few look like digits.")

# %% [markdown]
# Better, and stranger: red pixels speak for a class, blue ones against it.
# Learning looks for what tells digits apart, not for what they look like.
# The first loss was $\log 10$, as it should.
#
# ## The Mario network
#
# Now regression, with hidden layers: from Mario's last three horizontal positions, predict the next.
# Our Mario paces a platform from 20 to 30 at constant speed and turns around at its edges.
# One position hides his speed, two may hide a turn between them; three tell all.
# Every four positions in a row make a sample, three in and one out.
# We scale them to $[-1, 1]$, and test on walks never seen in training.

# %%
rng = np.random.default_rng(1)
start, speed = rng.uniform(0, 20, size=(40, 1)), rng.uniform(1, 3, size=(40, 1))
walks = 30 - np.abs((start + speed * np.arange(24)) % 20 - 10)
windows = np.lib.stride_tricks.sliding_window_view((walks - 25) / 5, 4, axis=1)
train, test = windows[:30].reshape(-1, 4), windows[30:].reshape(-1, 4)
print(train.shape, test.shape, "first walk:", walks[0, :6].round(1))

# %% [markdown]
# The network is a **multi-layer perceptron**, affine layers with an activation between them: here two hidden layers with sigmoids $f$.
#
# $$y' = W_3\, f(W_2\, f(W_1 x + b_1) + b_2) + b_3$$
#
# The output has no activation, since a position need not lie between 0 and 1.
# To be learned, with the L2 loss: $W_1, b_1, W_2, b_2, W_3, b_3$, which makes 353 numbers for hidden layers of 16.
# We start from random weights, since units that start equal would stay equal.
#
# What does the network say to 22.5, 24.7, 25.3, before it has learned anything?

# %%
def predict(params, x):
    W1, b1, W2, b2, W3, b3 = params
    h1 = sigmoid(x @ W1 + b1)
    h2 = sigmoid(h1 @ W2 + b2)
    return h1, h2, h2 @ W3 + b3


def random_layer(n, m):
    return rng.normal(0, 4 / np.sqrt(n), size=(n, m)), np.zeros(m)


params = [*random_layer(3, 16), *random_layer(16, 16), *random_layer(16, 1)]
assert sum(p.size for p in params) == 353
predict(params, np.array([[22.5, 24.7, 25.3]]) / 5 - 5)[2] * 5 + 25

# %% [markdown]
# Backward, we start from the loss and undo the layers one by one.
# With $z_l = \sum_k w_{kl}\, y_k$ and $y_k = f(z_k)$, textbooks write the two rules, through weights and through activation, as
#
# $$\frac{\partial E}{\partial y_k} = \sum_l w_{kl} \frac{\partial E}{\partial z_l}, \qquad \frac{\partial E}{\partial z_k} = \frac{\partial E}{\partial y_k}\, f'(z_k),$$
#
# and for the sigmoid $f' = h(1 - h)$ with $h = f(z)$ from the forward pass.
#
# Never train with unchecked derivatives.
# Two losses check all 353 at once: along a random direction $v$, the loss must rise with slope $\nabla L \cdot v$, and a mistake anywhere would show.

# %%
def loss_and_grads(params, x, y):
    W1, b1, W2, b2, W3, b3 = params
    h1, h2, y_hat = predict(params, x)
    dy = 2 * (y_hat - y) / len(x)
    dz2 = (dy @ W3.T) * h2 * (1 - h2)
    dz1 = (dz2 @ W2.T) * h1 * (1 - h1)
    dW = [x.T @ dz1, dz1.sum(0), h1.T @ dz2, dz2.sum(0), h2.T @ dy, dy.sum(0)]
    return ((y_hat - y) ** 2).mean(), dW


x_train, y_train = train[:, :3], train[:, 3:]
v = [rng.normal(size=p.shape) for p in params]
up, down = ([p + h * d for p, d in zip(params, v, strict=True)] for h in (1e-5, -1e-5))
losses = [loss_and_grads(p, x_train, y_train)[0] for p in (up, down)]
numeric = (losses[0] - losses[1]) / 2e-5
grads_now = loss_and_grads(params, x_train, y_train)[1]
ours = sum((g * d).sum() for g, d in zip(grads_now, v, strict=True))
assert np.isclose(numeric, ours, rtol=1e-6)
print(f"numeric {numeric:.10f}, ours {ours:.10f}")

# %% [markdown]
# The digits agree, so the derivatives are right.
# Now we may train: 10,000 steps of gradient descent with $\eta = 0.1$.
# Each step looks at all training samples; the next topic takes a few at a time, which is called *stochastic* gradient descent.
#
# **Guess:** will the loss fall evenly?

# %%
x_test, y_test, history = test[:, :3], test[:, 3:], {"train": [], "test": []}
for _ in range(10_000):
    loss, param_grads = loss_and_grads(params, x_train, y_train)
    history["train"].append(loss)
    history["test"].append(((predict(params, x_test)[2] - y_test) ** 2).mean())
    params = [p - 0.1 * g for p, g in zip(params, param_grads, strict=True)]
fig, ax = plt.subplots()
plotting.draw_curves(ax, np.arange(1, 10_001), history)
ax.set(xscale="log", yscale="log", xlabel="step", ylabel="L2 loss (scaled positions)")
ax.set_title("The loss falls in stages, on new walks too")
describe(fig, "Training and test loss over 10,000 steps, both falling in stages.")

# %% [markdown]
# Fast, slow, faster again: such plateaus are common.
#
# A loss says little without rivals.
# Here are three: Mario stays where he is, Mario keeps his speed, and the best *linear* function of the three positions.
# We print their errors (root of the mean square, in Mario's units) and draw the last test walk.
#
# **Guess:** at which steps do the rivals fail?

# %%
last, before = x_test[:, 2:], x_test[:, 1:2]
best = np.linalg.lstsq(np.c_[x_train, np.ones(630)], y_train)[0]
guesses = {"stays": last, "best linear": np.c_[x_test, np.ones(210)] @ best}
guesses |= {"keeps his speed": 2 * last - before, "network": predict(params, x_test)[2]}
for name, guess in guesses.items():
    print(f"{name:16} error {5 * np.sqrt(((guess - y_test) ** 2).mean()):.2f}")
curves = {"truth": y_test} | guesses
walk = {name: 25 + 5 * curve[-21:, 0] for name, curve in curves.items()}
del walk["stays"], walk["best linear"]
fig, ax = plt.subplots()
plotting.draw_curves(ax, range(3, 24), walk)
ax.set(title="The network has learned to turn around", xlabel="step", ylabel="position")
ax.set_xticks(range(3, 24, 4))
describe(fig, "One walk: the network follows the turns, constant speed overshoots.")

# %% [markdown]
# The turns are what no linear function can follow.
# (For a Mario who slows down, as in 22.5, 24.7, 25.3, the network would give an answer too, but it never saw one.)
#
# Is this the only solution? Swap two hidden units together with all their weights, and the function stays the same.
# If the loss were **convex**, shaped like a bowl, a point halfway between two solutions could not be worse than both.
#
# **Guess:** what is the loss halfway?

# %%
swap = [1, 0, *range(2, 16)]
W1, b1, W2, b2, W3, b3 = params
twin = [W1[:, swap], b1[swap], W2[swap], b2, W3, b3]
middle = [(p + q) / 2 for p, q in zip(params, twin, strict=True)]
losses = [loss_and_grads(p, x_train, y_train)[0] for p in (params, middle, twin)]
assert np.isclose(losses[0], losses[2])
assert losses[1] > 2 * losses[0]
print("one solution, halfway, its twin:", np.round(losses, 4))

# %% [markdown]
# So the loss is not convex: there are many valleys with hills between them, and gradient descent finds one of them, not always the best.
#
# ## Vanishing gradients
#
# Every sigmoid multiplies the derivative by its slope, at most $\tfrac14$.
# Ten in a row leave at most $(\tfrac14)^{10}$ of it, less than a millionth, unless large weights make up for it.
# Early layers get almost nothing and learn slowest: the gradient **vanishes**.
# With large weights it can **explode** instead.
#
# We send a gradient of length 1 down a stack of layers of 50 units and random weights.
#
# **Guess**, then try: which activation keeps it longest, and which `weight_scale` lets it pass thirty ReLU layers?

# %%
def gradient_lengths(name, depth, weight_scale):
    rng, (f, slope) = np.random.default_rng(0), activations[name]
    weights = weight_scale * rng.normal(size=(depth, 50, 50)) / np.sqrt(50)
    h, factors, g = rng.normal(size=50), [], [np.full(50, 1 / np.sqrt(50))]
    for W in weights:
        factors.append(W * slope(h @ W))
        h = f(h @ W)
    for factor in reversed(factors):
        g.append(factor @ g[-1])
    return [np.linalg.norm(d) for d in reversed(g[1:])]


def draw_vanishing(ax, name="sigmoid", depth=10, weight_scale=1.0):
    """Bars for the logarithm of the length of the gradient that each layer gets."""
    lengths = gradient_lengths(name, depth, weight_scale)
    ax.bar(range(1, depth + 1), np.log10(lengths), color=plotting.COLORS["grad"])
    ax.set(title=f"{name}: layer 1 of {depth} gets {lengths[0]:.0e} of the gradient")
    ax.set(xlabel="layer, from the input", ylabel="log₁₀ of length")
    ax.set(xlim=(0, 31), ylim=(-25, 10))


assert 0.25**10 < 1e-6
assert 0.1 < gradient_lengths("ReLU", 30, 1.4)[0] < 10
sliders = {"depth": (2, 30, 1), "weight_scale": (0.5, 4.0, 0.1)}
explore(draw_vanishing, name=["sigmoid", "tanh", "ReLU", "leaky ReLU"], **sliders)

# %% [markdown]
# Sigmoids lose a factor of about four per layer; ReLU with a scale near 1.4 keeps its gradient through thirty.
# That is one reason why deep networks use ReLU, and why initial weights matter (Glorot and Bengio, 2010; topic 03).
#
# ## What we learned
#
# - Scores compare an input with templates; networks nest them, with activations between.
# - Softmax never stops pushing, hinge stops at the margin.
# - Backprop is the chain rule in reverse topological order: multiply along edges, add where paths meet.
# - Check derivatives with central differences, then walk downhill.
#
# ## Exercises
#
# 1. By hand: $L = (p + q) \cdot \max(q, r)$ at $p = 1$, $q = 2$, $r = -4$. All three derivatives? Check with `Node`, after adding a maximum.
# 2. Show Mario's network only the last two positions. How far does the test error rise, and at which steps?
# 3. Use tanh in the Mario network. Which lines of `loss_and_grads` change? Does the check notice if you forget one?
# 4. At which depth does a sigmoid stack of scale 1 fall below $10^{-16}$, the precision of a float64?
#
# Read on: Rumelhart et al. (*Nature*, 1986); Baydin et al., *Automatic Differentiation in Machine Learning* (2018).
