# %% [markdown] role="locked"
# # Assignment 2: optimizers
#
# Backprop says which way is down; an optimizer decides how to walk.
# In this assignment you write the optimizers that the field uses, the schedules that slow them down, and the loop that trains with them.
# At the end they teach a network to read digits.
#
# - You will be able to write SGD, momentum, Nesterov, Adagrad, RMSProp and Adam from their formulas, translate between the notations of papers and libraries, and choose a learning rate by measurement.
# - You need lecture 2, NumPy, and a network's `loss(X, y)` from assignment 1 (it is given here).
# - It takes an evening or two of thinking; the whole notebook computes in under 10 seconds on a laptop CPU.
#
# Each exercise has a function to fill in, *open checks* to run as often as you like, and a graded cell.
# The open checks compare with `expect`, which tells what arrived, what was expected, and what to look at.
# Hidden checks grade what the docstring promises, over all of the range that it promises, and nothing else.
# An answer may be written in any way that keeps the promise.

# %%
import matplotlib.pyplot as plt
import numpy as np

from fovea.data import load
from fovea.open_checks import expect
from fovea.plotting import describe, use_style

use_style()

# %% [markdown] role="locked"
# ## Minibatches
#
# Gradient descent looks at all samples before it takes one step.
# *Stochastic* gradient descent looks at a few of them, a **minibatch**, and steps at once.
# One step is an *iteration*; one pass over all samples is an *epoch*.
# Ten samples in batches of four make three iterations per epoch: four, four, and the two that are left.
# Those two count: whoever drops them never learns from some of the data in that epoch.
#
# **Exercise (4 points).** Cut a data set into minibatches.
# Draw the order from the generator that you are given, and from nowhere else: then the same seed gives the same training again.

# %% role="solution" grade_id="optimizers-minibatches"
def minibatches(X, y, batch_size, rng):
    """Go once over the samples, in random order, in batches (X_batch, y_batch).

    X: (N, ...) and y: (N, ...), arrays of N >= 1 samples; they are not changed
    batch_size: an int >= 1, also one that is larger than N
    rng: a numpy.random.Generator. It alone decides the order, every order is possible,
         and the next call with the same generator gives another order.

    Returns an iterator (or a list). Each sample comes once, in X_batch and at the same
    place in y_batch. All batches have batch_size samples; what is left over makes the
    last batch. Dtypes stay as they are.
    """
    ### BEGIN SOLUTION
    order = rng.permutation(len(X))
    for start in range(0, len(X), batch_size):
        chosen = order[start : start + batch_size]
        yield X[chosen], y[chosen]
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_minibatches():
    X, y = np.arange(20.0).reshape(10, 2), np.arange(10)
    rng = np.random.default_rng(0)
    batches = list(minibatches(X, y, 4, rng))
    sizes = [len(y_batch) for _, y_batch in batches]
    assert sizes == [4, 4, 2], f"10 samples in batches of 4 gave sizes {sizes}"
    labels = np.concatenate([y_batch for _, y_batch in batches])
    expect("all labels, sorted", np.sort(labels), y, "is a sample lost, or there twice?")
    for X_batch, y_batch in batches:
        expect("X beside y", X_batch, X[y_batch], "X and y in one and the same order")
    assert (labels != y).any(), "the samples come in the order in which they lie"
    again = np.concatenate([y_batch for _, y_batch in minibatches(X, y, 4, rng)])
    assert (labels != again).any(), "the second epoch has the order of the first"
    rng = np.random.default_rng(0)
    same = np.concatenate([y_batch for _, y_batch in minibatches(X, y, 4, rng)])
    expect("the same seed once more", same, labels, "what you draw from besides rng")


check_minibatches()

# %% role="tests" grade_id="optimizers-minibatches-tests" points=4
# Graded by hidden checks: every sample once and paired, sizes of batches, their order, one to thirty samples.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.minibatches(minibatches)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## One step: what all update rules share
#
# Each optimizer below is a function `rule(w, dw, config=None) -> next_w, config` that takes one step for one parameter array.
# What it has to remember until the next step travels in `config`, a dict, beside the learning rate and its like.
# These promises hold for all of them:
#
# - `w` and `dw` have the same shape, any with at least one axis, and the same dtype, float32 or float64. `next_w` has that shape and dtype. `w` and `dw` are not changed.
# - `config` is `None` or a dict. A key that is missing has its default: `learning_rate` 1e-2 (for Adam 1e-3), `momentum` 0.9, `decay_rate` 0.99, `epsilon` 1e-8, `beta1` 0.9, `beta2` 0.999. State that is missing starts as zeros like `w`, and the step count `t` at 0.
# - The `config` that comes back holds the state under its key (`velocity`, `cache`, `m`, `v`, `t`) and all settings that were in the dict. It goes into the next call. You may change the one that you were given, or make a new one.
# - All that is remembered lies in `config`: two parameters with a config each don't disturb each other, and `config=None` starts afresh every time. Between two steps the learning rate may change.
# - Settings are Python numbers; `momentum`, `decay_rate`, `beta1` and `beta2` lie in [0, 1), and 0 is a possible value.
# - An entry of `dw` may be exactly 0, also in every step: then, as long as no state pushes it, that entry of `w` stays as it is, and NumPy does not warn.
#
# The helper tries some of these promises; each rule's open check calls it.

# %% role="locked"
def expect_promises(rule):
    """Try the promises that all update rules make."""
    w, dw = np.float32([[1.0, -2.0, 3.0]]), np.float32([[0.5, 0.0, -4.0]])
    before = w.copy(), dw.copy()
    with np.errstate(all="raise", under="ignore"):
        first, config = rule(w, dw)
        assert isinstance(config, dict), f"the second result is {config!r}, not a dict"
        assert first.dtype == np.float32, f"float32 became {first.dtype}"
        expect("where dw is 0", first[0, 1], -2.0, "0 / 0: where does epsilon stand?")
        second, _ = rule(first, dw, config)
    assert (np.sign(second - first) == np.sign(-dw)).all(), "the step goes uphill"
    expect("w, after the calls", w, before[0], "what is written in place", 0)
    expect("dw, after the calls", dw, before[1], "what is written in place", 0)
    fresh, _ = rule(w, dw)
    expect("config=None, later", fresh, first, "what is remembered outside config", 0)
    still, _ = rule(w, dw, {"learning_rate": 0.0})
    expect("a learning rate of 0", still, w, "the learning rate in config", 0)


# %% [markdown] role="locked"
# Plain SGD needs no memory: $w \leftarrow w - \eta\, dw$.
# With $w = 1$, $dw = 2$ and the default $\eta = 0.01$ the result is $0.98$.
#
# **Exercise (2 points).** Start with this one, and get the handling of `config` right: you will use it six times more.

# %% role="solution" grade_id="optimizers-sgd"
def sgd(w, dw, config=None):
    """Return (next_w, config) after one step of stochastic gradient descent.

    config: learning_rate (1e-2). The promises of all update rules hold.
    """
    ### BEGIN SOLUTION
    config = {"learning_rate": 1e-2} | (config or {})
    return w - config["learning_rate"] * dw, config
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_sgd():
    next_w, config = sgd(np.array([1.0, 1.0]), np.array([2.0, -2.0]))
    expect("the tiny case", next_w, [0.98, 1.02], "w - learning_rate * dw")
    next_w, _ = sgd(np.array([1.0]), np.array([2.0]), {"learning_rate": 0.5})
    expect("learning rate 0.5", next_w, [0.0], "the learning rate in config")
    expect_promises(sgd)


check_sgd()

# %% role="tests" grade_id="optimizers-sgd-tests" points=2
# Graded by hidden checks: values for any shape, defaults and settings; float32, w and dw unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.sgd(sgd)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Momentum
#
# A ball that rolls down a valley keeps some of its velocity: where gradients agree from step to step it gets faster, where they change sign they cancel.
#
# $$v \leftarrow \mu v - \eta\, dw, \qquad w \leftarrow w + v$$
#
# With $w = 1$, $dw = 2$ in every step, $\eta = 0.1$ and $\mu = 0.9$ the velocities are $-0.2$, then $-0.38$, and $w$ goes $1$, $0.8$, $0.42$.
#
# **Exercise (4 points).** Write it in this notation.

# %% role="solution" grade_id="optimizers-sgd-momentum"
def sgd_momentum(w, dw, config=None):
    """Return (next_w, config) after one step with momentum.

    config: learning_rate (1e-2), momentum (0.9), velocity (zeros like w).
    velocity is the step itself: v = momentum * v - learning_rate * dw, next_w = w + v.
    The promises of all update rules hold.
    """
    ### BEGIN SOLUTION
    defaults = {"learning_rate": 1e-2, "momentum": 0.9, "velocity": np.zeros_like(w)}
    config = defaults | (config or {})
    kept = config["momentum"] * config["velocity"]
    config["velocity"] = kept - config["learning_rate"] * dw
    return w + config["velocity"], config
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_sgd_momentum():
    w, dw, config = np.array([1.0]), np.array([2.0]), {"learning_rate": 0.1}
    w, config = sgd_momentum(w, dw, config)
    expect("the first step", w, [0.8], "it is that of sgd")
    w, config = sgd_momentum(w, dw, config)
    expect("the second step", w, [0.42], "what is kept of the velocity")
    expect("the velocity", config["velocity"], [-0.38], "is it the step that was taken?")
    w, _ = sgd_momentum(w, dw, {"learning_rate": 0.1, "velocity": np.array([1.0])})
    expect("from velocity 1", w, [0.42 + 0.7], "a velocity that is given")
    expect_promises(sgd_momentum)


check_sgd_momentum()

# %% role="tests" grade_id="optimizers-sgd-momentum-tests" points=4
# Graded by hidden checks: one step and many, given state, a learning rate that changes, several parameters, float32, w and dw unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.sgd_momentum(sgd_momentum)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Momentum is written in three ways, and each has its own idea of what a velocity is:
#
# | notation | velocity | step |
# |---|---|---|
# | `"sum"`, a sum of gradients; PyTorch | $v \leftarrow \mu v + dw$ | $w \leftarrow w - \eta v$ |
# | `"minus"`, a step to be subtracted | $v \leftarrow \mu v + \eta\, dw$ | $w \leftarrow w - v$ |
# | `"plus"`, the step itself, as above | $v \leftarrow \mu v - \eta\, dw$ | $w \leftarrow w + v$ |
#
# As long as $\eta$ stays the same, all three walk the same path, and their velocities are the same thing in other units.
# For $dw = 2$, $\eta = 0.1$, $v = 0$, after one step they are $2$, $0.2$ and $-0.2$.
#
# **Exercise (3 points).** Write the dictionary: a function that translates a velocity from one notation to another.

# %% role="solution" grade_id="optimizers-convert-velocity"
def convert_velocity(velocity, learning_rate, given, wanted):
    """Return velocity, which is in the notation `given`, in the notation `wanted`.

    velocity: any shape with at least one axis, float32 or float64; it is not changed
    learning_rate: a positive Python float, the same in all steps so far
    given, wanted: "sum", "minus" or "plus", also both the same

    Returns an array of velocity's shape and dtype.
    """
    ### BEGIN SOLUTION
    units = {"sum": 1.0, "minus": learning_rate, "plus": -learning_rate}
    return velocity * (units[wanted] / units[given])
    ### END SOLUTION


# %% role="locked"
# Open checks
def momentum_velocities(dws, learning_rate, momentum=0.9):
    """The velocity after the last step, in each of the three notations."""
    velocities = dict.fromkeys(("sum", "minus", "plus"), 0.0)
    factors = {"sum": 1.0, "minus": learning_rate, "plus": -learning_rate}
    for dw in dws:
        for name, v in velocities.items():
            velocities[name] = momentum * v + factors[name] * dw
    return velocities


def check_convert_velocity():
    dws = np.random.default_rng(0).normal(size=(5, 3))
    v = momentum_velocities(dws, 0.1)
    for given in v:
        for wanted in v:
            got = convert_velocity(v[given], 0.1, given, wanted)
            expect(f"{given!r} to {wanted!r}", got, v[wanted], "sign, and learning rate")
    got = convert_velocity(np.float32([1.0]), 0.1, "plus", "sum")
    assert got.dtype == np.float32, f"float32 became {got.dtype}"


check_convert_velocity()

# %% role="tests" grade_id="optimizers-convert-velocity-tests" points=3
# Graded by hidden checks: all pairs of notations, any shape, float32, the velocity unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.convert_velocity(convert_velocity)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# **Exercise (2 points, graded by a person).** After twenty steps you divide the learning rate by ten, and go on with the velocity that you have.
# How long is the next step, in each of the three notations, compared with the one before, if the gradient is then 0?
# Which two notations still agree, and what would you do to the velocity of the third so that it agrees, too?

# %% [markdown] role="manual" grade_id="optimizers-momentum-notations" points=2
# ### BEGIN SOLUTION
# In `"minus"` and `"plus"` the velocity is the step, so the old learning rate is inside it: with $dw = 0$ the next step is $\mu = 0.9$ times the one before, and the new learning rate acts on new gradients only.
# In `"sum"` the learning rate stands outside: the next step is $0.1 \cdot \mu = 0.09$ times the one before, so everything slows down at once.
# `"minus"` and `"plus"` agree for any learning rates; `"sum"` agrees with them if its velocity is multiplied by old over new learning rate, here by 10, when the rate changes.
# (1 point: 0.9 and 0.09 with the reason; 1 point: which two agree, and the factor.)
# ### END SOLUTION

# %% [markdown] role="locked"
# Nesterov's momentum looks ahead: it takes the gradient not at $w$ but at $w + \mu v$, where the velocity is about to lead.
# That is awkward in code, where the gradient at the present point is at hand.
# So let the array `w` stand for the point ahead, with `dw` the gradient there, and the rule becomes
#
# $$v \leftarrow \mu v - \eta\, dw, \qquad w \leftarrow w + \mu v - \eta\, dw$$
#
# with the *new* $v$ on the right. (PyTorch's `nesterov=True` does this.)
# With $w = 1$, $dw = 2$, $\eta = 0.1$, $\mu = 0.9$: $v = -0.2$ and $w = 1 - 0.18 - 0.2 = 0.62$.
#
# **Exercise (3 points).** Write Nesterov's momentum.

# %% role="solution" grade_id="optimizers-nesterov"
def nesterov(w, dw, config=None):
    """Return (next_w, config) after one step with Nesterov's momentum.

    config: learning_rate (1e-2), momentum (0.9), velocity (zeros like w).
    v = momentum * v - learning_rate * dw, then
    next_w = w + momentum * v - learning_rate * dw, with the new v.
    The promises of all update rules hold.
    """
    ### BEGIN SOLUTION
    ahead, config = sgd_momentum(w, dw, config)
    step = config["momentum"] * config["velocity"] - config["learning_rate"] * dw
    return w + step, config
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_nesterov():
    w, dw, config = np.array([1.0]), np.array([2.0]), {"learning_rate": 0.1}
    w, config = nesterov(w, dw, config)
    expect("the first step", w, [0.62], "the new velocity, and the gradient once more")
    expect("the velocity", config["velocity"], [-0.2], "momentum * v - learning_rate * dw")
    w, config = nesterov(w, dw, config)
    expect("the second step", w, [0.62 - 0.342 - 0.2], "which velocity is used")
    expect_promises(nesterov)


check_nesterov()

# %% role="tests" grade_id="optimizers-nesterov-tests" points=3
# Graded by hidden checks: one step and many, given state, a learning rate that changes, several parameters, float32, w and dw unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.nesterov(nesterov)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## A learning rate for every entry
#
# A network's parameters have gradients of very different sizes, and one learning rate has to serve them all.
# Adagrad divides each entry's step by the size of the gradients that this entry has seen so far:
#
# $$c \leftarrow c + dw^2, \qquad w \leftarrow w - \eta\, \frac{dw}{\sqrt{c} + \varepsilon}$$
#
# All of it entry by entry. The first step has length $\eta$ in every entry, whatever the gradient: with $dw = (3, 0.01)$ and $\eta = 0.1$ both entries move by $0.1$.
# The $\varepsilon$ stands *beside* the root; its purpose is $dw = 0$, where the fraction would be $0/0$.
#
# **Exercise (3 points).** Write Adagrad.

# %% role="solution" grade_id="optimizers-adagrad"
def adagrad(w, dw, config=None):
    """Return (next_w, config) after one step of Adagrad (Duchi et al., 2011).

    config: learning_rate (1e-2), epsilon (1e-8), cache (zeros like w): the sum of the
    squared gradients, this step's included. epsilon stands beside the root.
    The promises of all update rules hold.
    """
    ### BEGIN SOLUTION
    defaults = {"learning_rate": 1e-2, "epsilon": 1e-8, "cache": np.zeros_like(w)}
    config = defaults | (config or {})
    config["cache"] = config["cache"] + dw**2
    size = np.sqrt(config["cache"]) + config["epsilon"]
    return w - config["learning_rate"] * dw / size, config
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_adagrad():
    w, config = np.array([1.0, 1.0]), {"learning_rate": 0.1}
    w, config = adagrad(w, np.array([3.0, 0.01]), config)
    expect("the first step", w, [0.9, 0.9], "dw over its own size", 1e-5)
    w, config = adagrad(w, np.array([4.0, 0.0]), config)
    expect("the second step", w, [0.9 - 0.08, 0.9], "the root of 3*3 + 4*4", 1e-5)
    expect("the cache", config["cache"], [25.0, 1e-4], "the sum of squares")
    expect_promises(adagrad)


check_adagrad()

# %% role="tests" grade_id="optimizers-adagrad-tests" points=3
# Graded by hidden checks: one step and many, given state, epsilon, several parameters, float32, w and dw unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.adagrad(adagrad)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Adagrad's cache only grows, so its steps only shrink.
# RMSProp forgets: its cache is a moving average of the squared gradients.
#
# $$c \leftarrow \rho\, c + (1 - \rho)\, dw^2, \qquad w \leftarrow w - \eta\, \frac{dw}{\sqrt{c} + \varepsilon}$$
#
# With $\rho = 0.75$, $c = 0$ and $dw = 2$ we get $c = 1$, and for $\eta = 0.1$ a step of $0.2$: twice $\eta$, since the cache is still young.
#
# **Exercise (3 points).** Write RMSProp.

# %% role="solution" grade_id="optimizers-rmsprop"
def rmsprop(w, dw, config=None):
    """Return (next_w, config) after one step of RMSProp (Tieleman and Hinton, 2012).

    config: learning_rate (1e-2), decay_rate (0.99), epsilon (1e-8), cache (zeros like
    w): the moving average of the squared gradients, this step's included. epsilon
    stands beside the root. The promises of all update rules hold.
    """
    ### BEGIN SOLUTION
    defaults = {"learning_rate": 1e-2, "decay_rate": 0.99, "epsilon": 1e-8}
    config = defaults | {"cache": np.zeros_like(w)} | (config or {})
    rho = config["decay_rate"]
    config["cache"] = rho * config["cache"] + (1 - rho) * dw**2
    size = np.sqrt(config["cache"]) + config["epsilon"]
    return w - config["learning_rate"] * dw / size, config
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_rmsprop():
    w, config = np.array([1.0]), {"learning_rate": 0.1, "decay_rate": 0.75}
    w, config = rmsprop(w, np.array([2.0]), config)
    expect("the first step", w, [0.8], "(1 - decay_rate) times the square", 1e-5)
    w, config = rmsprop(w, np.array([1.0]), config)
    expect("the cache", config["cache"], [1.0], "0.75 * 1 + 0.25 * 1")
    expect("the second step", w, [0.7], "dw over the root of the cache", 1e-5)
    expect_promises(rmsprop)


check_rmsprop()

# %% role="tests" grade_id="optimizers-rmsprop-tests" points=3
# Graded by hidden checks: one step and many, given state, epsilon, several parameters, float32, w and dw unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.rmsprop(rmsprop)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Adam, and why young averages lie
#
# Adam keeps two moving averages: $m$ of the gradients, as momentum does, and $v$ of their squares, as RMSProp does.
# Both start at 0, and so are too small at first.
# After $t$ steps the weights in such an average add up to $1 - \beta^t$ instead of 1, and dividing by that corrects it:
#
# $$m \leftarrow \beta_1 m + (1 - \beta_1)\, dw, \qquad v \leftarrow \beta_2 v + (1 - \beta_2)\, dw^2$$
# $$\hat m = \frac{m}{1 - \beta_1^t}, \qquad \hat v = \frac{v}{1 - \beta_2^t}, \qquad w \leftarrow w - \eta\, \frac{\hat m}{\sqrt{\hat v} + \varepsilon}$$
#
# The count $t$ is 0 in a new config and is raised *before* it is used, so the first step divides by $1 - \beta_1$ and $1 - \beta_2$.
# With $dw = 2$ the first step gives $m = 0.2$, $v = 0.004$, $\hat m = 2$, $\hat v = 4$: a step of length $\eta$.
#
# **Exercise (5 points).** Write Adam.

# %% role="solution" grade_id="optimizers-adam"
def adam(w, dw, config=None):
    """Return (next_w, config) after one step of Adam (Kingma and Ba, 2015).

    config: learning_rate (1e-3), beta1 (0.9), beta2 (0.999), epsilon (1e-8), m and v
    (zeros like w), t (0): the number of steps taken so far. t is raised before it is
    used. epsilon stands beside the root, after the bias correction.
    The promises of all update rules hold.
    """
    ### BEGIN SOLUTION
    config = adam_defaults(w) | (config or {})
    update_moments(config, dw)
    m_hat = config["m"] / (1 - config["beta1"] ** config["t"])
    v_hat = config["v"] / (1 - config["beta2"] ** config["t"])
    step = config["learning_rate"] * m_hat / (np.sqrt(v_hat) + config["epsilon"])
    return w - step, config


def adam_defaults(w):
    """What a config holds at first."""
    defaults = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
    return defaults | {"m": np.zeros_like(w), "v": np.zeros_like(w), "t": 0}


def update_moments(config, dw):
    """Let both averages, and the count, take in one gradient."""
    beta1, beta2 = config["beta1"], config["beta2"]
    config["t"] += 1
    config["m"] = beta1 * config["m"] + (1 - beta1) * dw
    config["v"] = beta2 * config["v"] + (1 - beta2) * dw**2
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_adam():
    w, config = np.array([1.0]), {"learning_rate": 0.1}
    w, config = adam(w, np.array([2.0]), config)
    expect("the first step", w, [0.9], "both corrections, and t before it is used", 1e-5)
    assert config["t"] == 1, f"after one step t is {config['t']}"
    expect("m", config["m"], [0.2], "0.9 * 0 + 0.1 * 2")
    expect("v", config["v"], [0.004], "0.999 * 0 + 0.001 * 4")
    w, config = adam(w, np.array([2.0]), config)
    expect("the same gradient again", w, [0.8], "the exponent of the correction", 1e-5)
    expect_promises(adam)


check_adam()

# %% role="tests" grade_id="optimizers-adam-tests" points=5
# Graded by hidden checks: the first step, many steps, given state, epsilon, several parameters, float32, w and dw unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.adam(adam)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# What would happen without the correction? Some slides leave it out.
#
# **Exercise (2 points).** Write that variant, $w \leftarrow w - \eta\, m / (\sqrt v + \varepsilon)$, to compare.

# %% role="solution" grade_id="optimizers-adam-uncorrected"
def adam_uncorrected(w, dw, config=None):
    """Return (next_w, config) after one step of Adam without bias correction.

    config: as in adam, t included; m and v are used as they are.
    The promises of all update rules hold.
    """
    ### BEGIN SOLUTION
    config = adam_defaults(w) | (config or {})
    update_moments(config, dw)
    step = config["m"] / (np.sqrt(config["v"]) + config["epsilon"])
    return w - config["learning_rate"] * step, config
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_adam_uncorrected():
    w, config = adam_uncorrected(np.array([1.0]), np.array([2.0]), {"learning_rate": 0.1})
    expect("the first step", w, [1 - 0.1 * 0.2 / 0.004**0.5], "m over the root of v", 1e-5)
    assert config["t"] == 1, f"after one step t is {config['t']}"
    expect_promises(adam_uncorrected)


check_adam_uncorrected()

# %% role="tests" grade_id="optimizers-adam-uncorrected-tests" points=2
# Graded by hidden checks: the first step, many steps, given state; float32, w and dw unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.adam_uncorrected(adam_uncorrected)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# **Exercise (2 points, graded by a person).** Let both variants take 3000 steps with the constant gradient 1 and $\eta = 0.001$.
# Plot the length of each step against its number, both variants in one figure that a reader understands by itself.

# %% role="manual" grade_id="optimizers-bias-plot" points=2
### BEGIN SOLUTION
lengths = {"with correction": [], "without": []}
for rule, name in ((adam, "with correction"), (adam_uncorrected, "without")):
    w, config = np.zeros(1), None
    for _ in range(3000):
        next_w, config = rule(w, np.ones(1), config)
        lengths[name].append(abs(next_w - w)[0])
        w = next_w

_, ax = plt.subplots()
for name, values in lengths.items():
    ax.semilogx(range(1, 3001), values, label=name)
ax.set(xlabel="step", ylabel="length of the step", title="Without correction, Adam starts several times too fast")
ax.legend()
describe(ax, "With correction every step has length 0.001. Without, the first is 3.2 times as long, the longest comes soon after, and after 3000 steps the two are nearly equal.")
### END SOLUTION

# %% [markdown] role="locked"
# **Exercise (3 points, graded by a person).** Explain the figure in about eighty words.
# How long is the first step without correction, as a formula in $\beta_1$ and $\beta_2$, and why is it longer than $\eta$ although *both* averages start too small?
# Which of the two betas decides how long the trouble lasts?
# For which choice of betas would the correction make no difference to the first step?

# %% [markdown] role="manual" grade_id="optimizers-bias-why" points=3
# ### BEGIN SOLUTION
# For a constant gradient $g$, $m = (1 - \beta_1^t)\,g$ and $v = (1 - \beta_2^t)\,g^2$, so the step is $\eta\,(1 - \beta_1^t)/\sqrt{1 - \beta_2^t}$; the first is $\eta\,(1-\beta_1)/\sqrt{1-\beta_2} = 0.1/\sqrt{0.001} \approx 3.2\,\eta$.
# Both averages are too small, but $v$ by a factor of 1000 and under a root, that is 32, and $m$ by a factor of 10 only.
# $\beta_2$ forgets more slowly, over about $1/(1-\beta_2) = 1000$ steps, so it decides how long the steps stay too long.
# With $1 - \beta_1 = \sqrt{1-\beta_2}$ the first step is $\eta$ with and without.
# (1 point each: formula and reason; $\beta_2$ and the time; the condition.)
# ### END SOLUTION

# %% [markdown] role="locked"
# ## The ravine
#
# Here is a surface with one steep and one flat direction, $f(w) = \frac12 (w_0^2 + 20\, w_1^2)$, and its gradient.
# Plain gradient descent has a hard time here: a learning rate above $2/20$ diverges in the steep direction, and one below crawls along the flat one.

# %% role="locked"
def ravine(w):
    """The height at w, whose last axis has two entries."""
    return 0.5 * (w[..., 0] ** 2 + 20 * w[..., 1] ** 2)


def ravine_gradient(w):
    """The gradient at w, shape (2,)."""
    return np.array([w[0], 20 * w[1]])


# %% [markdown] role="locked"
# **Exercise (2 points).** Walk, with any update rule on any surface, and keep a record of the way.

# %% role="solution" grade_id="optimizers-descend"
def descend(rule, gradient, w, num_steps, config=None):
    """Return the path (num_steps + 1, ...) that a rule takes from w, w first.

    rule: an update rule as above. It may change the config that it is given, or return
          a new one; either way, the one it returns goes into its next step.
    gradient: takes an array like w and returns the gradient there, an array like w
    w: an array of any shape with at least one axis; it is not changed
    num_steps: an int >= 0
    config: None, or a dict of settings without state (for the first step); it is not
            changed, so it can be used for another walk
    """
    ### BEGIN SOLUTION
    path, config = [w], dict(config or {})
    for _ in range(num_steps):
        next_w, config = rule(path[-1], gradient(path[-1]), config)
        path.append(next_w)
    return np.array(path)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_descend():
    start, settings = np.array([1.0, 1.0]), {"learning_rate": 0.1}
    path = descend(sgd, ravine_gradient, start, 2, settings)
    expect("two steps of sgd", path, [[1, 1], [0.9, -1], [0.81, 1]], "start, then each step")
    path = descend(sgd_momentum, lambda w: np.ones(2), start, 2, settings)
    expect("two steps with momentum", path[-1], [0.71, 0.71], "the config between steps")
    assert settings == {"learning_rate": 0.1}, f"the caller's config is now {settings}"
    assert (start == 1).all(), "the caller's w has changed"
    path = descend(sgd, ravine_gradient, start, 0)
    expect("no step", path, [[1.0, 1.0]], "the start is part of the path")


check_descend()

# %% role="tests" grade_id="optimizers-descend-tests" points=2
# Graded by hidden checks: paths with rules and surfaces of our own; w and config unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.descend(descend)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# **Exercise (3 points, graded by a person).** Draw the paths of all six optimizers on the ravine from $(-4, 1)$, each with a learning rate that suits it, over the surface's contour lines.
# Then say in two or three sentences, in a comment or below the figure, which of them zigzags, which overshoots, and which turns towards the diagonal, and why.

# %% role="manual" grade_id="optimizers-ravine-plot" points=3
### BEGIN SOLUTION
rates = {sgd: 0.09, sgd_momentum: 0.01, nesterov: 0.01, adagrad: 0.8, rmsprop: 0.08, adam: 0.3}
x, y = np.meshgrid(np.linspace(-4.5, 2, 100), np.linspace(-1.5, 1.5, 100))
height = ravine(np.stack([x, y], axis=-1))

_, axes = plt.subplots(2, 3, figsize=(9, 4.5), sharex=True, sharey=True)
for ax, (rule, rate) in zip(axes.flat, rates.items(), strict=True):
    path = descend(rule, ravine_gradient, np.array([-4.0, 1.0]), 60, {"learning_rate": rate})
    ax.contour(x, y, height, levels=np.geomspace(0.05, 25, 8), colors="lightgray", linewidths=1)
    ax.plot(*path.T, marker=".")
    ax.set(title=f"{rule.__name__}, lr {rate}", xlabel="flat", ylabel="steep")
    ax.plot(0, 0, "k*")
describe(axes, "Six paths from (-4, 1) to the minimum at (0, 0): sgd zigzags across the ravine, momentum swings past the minimum, Nesterov less so, and the adaptive three head along the diagonal first.")
# Sgd zigzags: near 2/20 each step in the steep direction overshoots, while the flat one crawls.
# Momentum builds up speed in the flat direction and overshoots the minimum; Nesterov brakes earlier.
# Adagrad, RMSProp and Adam divide by each entry's own size, so both move alike at first: diagonally.
# (1 point: six paths, readable; 1 point: rates that suit; 1 point: the reasons.)
### END SOLUTION

# %% [markdown] role="locked"
# ## Slowing down
#
# Far from a minimum we want large steps, near it small ones.
# Step decay multiplies the rate by `drop` every few epochs: with $\eta_0 = 1$, `drop=0.5`, `every=10` it is 1 in epochs 0 to 9, 0.5 in epochs 10 to 19, and so on.
# Exponential decay shrinks it a little all the time, $\eta_0 e^{-kt}$.
#
# **Exercise (2 points).** Write both.

# %% role="solution" grade_id="optimizers-step-decay"
def step_decay(lr0, epoch, drop=0.5, every=10):
    """Return the learning rate lr0 * drop ** floor(epoch / every).

    lr0: a positive float; epoch: an int >= 0; drop: a float in (0, 1]; every: an int >= 1
    """
    ### BEGIN SOLUTION
    return lr0 * drop ** (epoch // every)
    ### END SOLUTION


# %% role="solution" grade_id="optimizers-exponential-decay"
def exponential_decay(lr0, k, t):
    """Return the learning rate lr0 * exp(-k t).

    lr0: a positive float; k: a float >= 0; t: an int or a float >= 0
    """
    ### BEGIN SOLUTION
    return lr0 * np.exp(-k * t)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_decays():
    rates = [step_decay(1.0, epoch) for epoch in (0, 9, 10, 19, 20)]
    expect("step_decay of 0, 9, 10, 19, 20", rates, [1, 1, 0.5, 0.5, 0.25], "epoch // every")
    expect("drop 0.1 every 3", step_decay(2.0, 7, drop=0.1, every=3), 0.02, "drop, every")
    rates = [exponential_decay(2.0, np.log(2.0), t) for t in (0, 1, 2.5)]
    expect("exponential_decay, k = log 2", rates, [2, 1, 2 * 2**-2.5], "lr0 exp(-k t)")


check_decays()

# %% role="tests" grade_id="optimizers-step-decay-tests" points=1
# Graded by hidden checks: rates over many epochs, defaults and settings.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.step_decay(step_decay)
### END HIDDEN TESTS

# %% role="tests" grade_id="optimizers-exponential-decay-tests" points=1
# Graded by hidden checks: rates over the whole range of k and t.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.exponential_decay(exponential_decay)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Both have to be told in advance when to slow down.
# A plateau schedule watches: after each epoch it is shown the validation loss, and it reduces the rate when the loss has not improved for a while.
# *Improved* means: smaller than the smallest value seen so far.
#
# With `lr=1.0`, `factor=0.1`, `patience=2` and the values 5, 4, 4, 4.5, 6, 3 it returns 1, 1, 1, 1, 0.1, 0.1: the third value in a row without improvement is one too many.
#
# **Exercise (4 points).** Write the schedule. Beware: lowering the rate too soon can't be made good.

# %% role="solution" grade_id="optimizers-reduce-on-plateau"
class ReduceOnPlateau:
    """A learning rate that is multiplied by factor when values stop improving.

    lr: a positive float, the rate at first
    factor: a float in (0, 1)
    patience: an int >= 0: so many values in a row without improvement are forgiven
    min_lr: a float >= 0: the rate is never reduced below it (an lr that starts below
            it stays)
    """

    def __init__(self, lr, factor=0.1, patience=10, min_lr=0.0):
        ### BEGIN SOLUTION
        self.lr, self.factor = lr, factor
        self.patience, self.min_lr = patience, min_lr
        self.best, self.num_bad = np.inf, 0
        ### END SOLUTION

    def step(self, value):
        """Take in the next value, any finite float, and return the learning rate.

        A value improves if it is smaller than all values before; the first one does.
        When more than patience values in a row did not improve, the rate is reduced,
        and the count starts anew. The smallest value so far is remembered for ever.
        """
        ### BEGIN SOLUTION
        self.num_bad = 0 if value < self.best else self.num_bad + 1
        self.best = min(self.best, value)
        if self.num_bad > self.patience:
            self.lr = min(self.lr, max(self.lr * self.factor, self.min_lr))
            self.num_bad = 0
        return self.lr
        ### END SOLUTION


# %% role="locked"
# Open checks
def check_reduce_on_plateau():
    plateau = ReduceOnPlateau(1.0, patience=2)
    rates = [plateau.step(value) for value in (5, 4, 4, 4.5, 6, 3)]
    expect("the worked case", rates, [1, 1, 1, 1, 0.1, 0.1], "when, and how often")
    plateau = ReduceOnPlateau(1.0, factor=0.5, patience=0, min_lr=0.3)
    rates = [plateau.step(value) for value in (1, 2, 2, 0.5)]
    expect("patience 0, min_lr 0.3", rates, [1, 0.5, 0.3, 0.3], "min_lr")
    plateau = ReduceOnPlateau(1.0, patience=1)
    rates = [plateau.step(value) for value in (5, 6, 4, 6, 5)]
    expect("improved in between", rates, [1, 1, 1, 1, 0.1], "values in a row; the best")


check_reduce_on_plateau()

# %% role="tests" grade_id="optimizers-reduce-on-plateau-tests" points=4
# Graded by hidden checks: when it reduces and by how much, min_lr, defaults, long sequences, two schedules at a time.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.reduce_on_plateau(ReduceOnPlateau)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## A loop that trains
#
# Here is a network as you wrote it in assignment 1: affine, ReLU, affine, softmax loss.

# %% role="locked"
class TwoLayerNet:
    """Affine - ReLU - affine - softmax, with parameters W1, b1, W2, b2 in params."""

    def __init__(self, input_dim, hidden_dim, num_classes, rng):
        W1 = rng.normal(size=(input_dim, hidden_dim)) * np.sqrt(2 / input_dim)
        W2 = rng.normal(size=(hidden_dim, num_classes)) * np.sqrt(1 / hidden_dim)
        self.params = {"W1": W1, "b1": np.zeros(hidden_dim)}
        self.params |= {"W2": W2, "b2": np.zeros(num_classes)}

    def scores(self, X):
        """The hidden layer and the scores of the samples X (N, input_dim)."""
        hidden = np.maximum(0, X @ self.params["W1"] + self.params["b1"])
        return hidden, hidden @ self.params["W2"] + self.params["b2"]

    def loss(self, X, y):
        """The mean softmax loss, and its gradients under the names of params."""
        rows = np.arange(len(X))
        hidden, scores = self.scores(X)
        scores = scores - scores.max(axis=1, keepdims=True)
        log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        dscores = np.exp(log_probs)
        dscores[rows, y] -= 1
        dscores /= len(X)
        dhidden = (dscores @ self.params["W2"].T) * (hidden > 0)
        grads = {"W1": X.T @ dhidden, "b1": dhidden.sum(axis=0)}
        grads |= {"W2": hidden.T @ dscores, "b2": dscores.sum(axis=0)}
        return -log_probs[rows, y].mean(), grads

    def predict(self, X):
        """The labels (N,) of the samples."""
        return self.scores(X)[1].argmax(axis=1)


# %% [markdown] role="locked"
# A training loop knows nothing of the network but `params` and `loss(X, y)`, and nothing of the optimizer but its signature.
# The one thing to keep in mind: each parameter has a state of its own, so each needs a config of its own.
#
# **Exercise (4 points).** Write the loop.

# %% role="solution" grade_id="optimizers-train"
def train(net, X, y, rule, config, num_epochs, batch_size, rng, schedule=None):
    """Train net; return the list of losses, one for each step, before the step.

    net: has a dict params, and loss(X, y) -> (loss, grads), where grads has the keys
         of params. Afterwards params holds what was learned, under the same keys.
    X, y, batch_size, rng: as in minibatches; each of num_epochs epochs is one pass
    rule: an update rule as above; each entry of params has a config of its own
    config: a dict of settings without state, with which each entry of params starts;
            it is not changed
    schedule: None, or a function: schedule(epoch), for epochs from 0 on, is the
              learning rate of all steps of that epoch
    """
    ### BEGIN SOLUTION
    configs = {name: dict(config) for name in net.params}
    losses = []
    for epoch in range(num_epochs):
        if schedule is not None:
            for settings in configs.values():
                settings["learning_rate"] = schedule(epoch)
        for X_batch, y_batch in minibatches(X, y, batch_size, rng):
            loss, grads = net.loss(X_batch, y_batch)
            losses.append(loss)
            for name, w in net.params.items():
                step = rule(w, grads[name], configs[name])
                net.params[name], configs[name] = step
    return losses
    ### END SOLUTION


# %% role="locked"
# Open checks
class Parabolas:
    """A net with two parameters: its loss pulls each towards the mean of y."""

    def __init__(self):
        self.params = {"a": np.array([1.0]), "b": np.array([3.0])}

    def loss(self, X, y):
        off = {name: w - y.mean() for name, w in self.params.items()}
        return float(sum(0.5 * (d**2).sum() for d in off.values())), off


def check_train():
    X, y, rng = np.zeros((5, 1)), np.zeros(5), np.random.default_rng(0)
    net, settings = Parabolas(), {"learning_rate": 0.5}
    losses = train(net, X, y, sgd, settings, 2, 5, rng)
    expect("two full batches", losses, [5.0, 1.25], "the loss before each step")
    expect("a afterwards", net.params["a"], [0.25], "net.params")
    assert settings == {"learning_rate": 0.5}, f"the caller's config is now {settings}"
    losses = train(Parabolas(), X, y, sgd, settings, 3, 2, rng)
    assert len(losses) == 9, f"5 samples, batches of 2, 3 epochs: {len(losses)} steps"
    net = Parabolas()
    train(net, X, y, sgd_momentum, {"learning_rate": 0.1}, 2, 5, rng)
    expect("momentum", net.params["b"], [2.16], "a velocity for each parameter")
    net = Parabolas()
    train(net, X, y, sgd, {}, 2, 5, rng, schedule=lambda epoch: [1.0, 0.0][epoch])
    expect("rates 1, then 0", net.params["b"], [0.0], "the schedule's learning rate")


check_train()

# %% role="tests" grade_id="optimizers-train-tests" points=4
# Graded by hidden checks: losses and parameters, all samples in each epoch, a state for each parameter, schedules; X, y and config unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.train(train)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Which learning rate?
#
# A range test finds out in one short run: start with a tiny rate, raise it by the same factor after every step, and watch the loss.
# At first nothing happens, then the loss falls, then it explodes; a good rate lies well below the explosion, where the loss falls fastest.
#
# **Exercise (3 points).** Write the range test for plain SGD, and leave the network as you found it.

# %% role="solution" grade_id="optimizers-range-test"
def range_test(net, batches, low=1e-4, high=10.0):
    """Return (rates, losses), two lists of equal length, of one step for each batch.

    net: as in train; afterwards its params hold what they held before
    batches: a list of two or more pairs (X, y); none is changed
    low, high: 0 < low < high. The first batch's rate is low, the last one's high, and
               each is the same multiple of the one before.

    losses[i] is the loss of batch i, before the step that w <- w - rates[i] * dw takes
    for all parameters. The test ends early, with the first loss that is not finite or
    is more than 4 times the smallest loss before it: that loss is the last in the list.
    """
    ### BEGIN SOLUTION
    before, losses = dict(net.params), []
    rates = [float(rate) for rate in np.geomspace(low, high, len(batches))]
    for rate, (X, y) in zip(rates, batches, strict=True):
        loss, grads = net.loss(X, y)
        losses.append(loss)
        if not np.isfinite(loss) or loss > 4 * min(losses):
            break
        for name, w in net.params.items():
            net.params[name] = w - rate * grads[name]
    net.params.update(before)
    return rates[: len(losses)], losses
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_range_test():
    net, batch = Parabolas(), (np.zeros((1, 1)), np.zeros(1))
    rates, losses = range_test(net, [batch] * 3, 0.25, 1.0)
    expect("the rates", rates, [0.25, 0.5, 1.0], "the same factor from step to step")
    wanted = [5.0, 5 * 0.75**2, 5 * 0.375**2]
    expect("the losses", losses, wanted, "the loss before the step")
    expect("a afterwards", net.params["a"], [1.0], "what the net held before", 0)
    rates, losses = range_test(net, [batch] * 4, 1.0, 1000.0)
    expect("all the way down", losses, [5, 0, 0, 0], "steps at rates 1, 10, 100")
    rates, losses = range_test(net, [batch] * 4, 10.0, 80.0)
    expect("an explosion", losses, [5.0, 405.0], "the end of the test")
    assert len(rates) == 2, f"{len(rates)} rates for 2 losses"


check_range_test()

# %% role="tests" grade_id="optimizers-range-test-tests" points=3
# Graded by hidden checks: rates, losses, the early end, the net unchanged; nets and batches of our own.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.range_test(range_test)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Now try it on real data: 8×8 images that people wrote by hand.

# %%
digits = load("digits")
center = digits.train.X.mean(axis=0)
X_train = (digits.train.X - center).reshape(-1, 64).astype(np.float64)
X_val = (digits.val.X - center).reshape(-1, 64).astype(np.float64)
X_train.shape, X_val.shape

# %% [markdown] role="locked"
# **Exercise (3 points, graded by a person).** Run the range test on a `TwoLayerNet(64, 64, 10, rng)` with minibatches of these digits, and plot the losses against the rates.
# Choose a learning rate from the plot, then train with it, with a tenth of it and with ten times it, for a few epochs each, and print the three validation accuracies.
# Was the choice a good one?

# %% role="manual" grade_id="optimizers-range-plot" points=3
### BEGIN SOLUTION
rng = np.random.default_rng(0)
batches = [b for _ in range(6) for b in minibatches(X_train, digits.train.y, 64, rng)]
with np.errstate(all="ignore"):
    rates, losses = range_test(TwoLayerNet(64, 64, 10, rng), batches, 1e-3, 100.0)

for rate in (0.1, 1.0, 10.0):
    net, rng = TwoLayerNet(64, 64, 10, np.random.default_rng(0)), np.random.default_rng(1)
    with np.errstate(all="ignore"):
        train(net, X_train, digits.train.y, sgd, {"learning_rate": rate}, 5, 64, rng)
    accuracy = (net.predict(X_val) == digits.val.y).mean()
    print(f"learning rate {rate}: {accuracy:.1%} of validation digits after 5 epochs")

_, ax = plt.subplots()
ax.semilogx(rates, losses)
ax.axvline(1.0, color="gray", linestyle=":")
ax.set(xlabel="learning rate", ylabel="loss", title="The loss falls up to a rate of about 3, then explodes")
describe(ax, "The loss stays near 2.3 at small rates, falls steeply between 0.1 and 3, and shoots up beyond; 1 is marked.")
# 1 lies a few times below the explosion, in the steep part; a tenth is far slower, ten times lies beyond it and ends lower.
# (1 point: a plot with a logarithmic axis; 1 point: a choice with a reason; 1 point: the comparison.)
### END SOLUTION

# %% [markdown] role="locked"
# ## All together: reading digits
#
# **Exercise (6 points).** Write a function that trains a network on labelled digits and names new ones, with your own optimizers: NumPy, no library that learns.
# The hidden check trains it on digits with labels, and asks for the labels of others, which never leave the check: 90 % right earns 2 points, 97 % all 6.
# It also renames the classes, so that what you call a seven may be its three; whoever learns from `y_train` won't notice.

# %% role="solution" grade_id="optimizers-digits"
def classify_digits(X_train, y_train, X_new, seed):
    """Train on (X_train, y_train) and return the labels of X_new, (M,) integers.

    X_train: (N, 1, 8, 8) and X_new: (M, 1, 8, 8), float32 in [0, 1]; y_train: (N,)
    int64, 0 to 9. N is about 1400. seed: an int for whatever you draw at random.
    At most 20 seconds on a CPU.
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    center, num_epochs = X_train.mean(axis=0), 20
    X = (X_train - center).reshape(-1, 64).astype(np.float64)
    net = TwoLayerNet(64, 128, 10, rng)

    def schedule(epoch):
        return 3e-3 * (1 - epoch / num_epochs)

    train(net, X, y_train, adam, {}, num_epochs, 32, rng, schedule)
    return net.predict((X_new - center).reshape(-1, 64))
    ### END SOLUTION


# %% role="locked"
# Open check
def check_classify_digits():
    names = classify_digits(digits.train.X, digits.train.y, digits.val.X, seed=0)
    assert names.shape == digits.val.y.shape, f"labels of shape {names.shape}"
    accuracy = (names == digits.val.y).mean()
    assert accuracy >= 0.97, f"{accuracy:.1%} of the validation digits are right, not 97 %"
    return f"{accuracy:.1%} of the validation digits are right"


check_classify_digits()

# %% role="tests" grade_id="optimizers-digits-tests" points=6
# Graded by hidden checks: the share of held-out digits that are named right.
### BEGIN HIDDEN TESTS
from grader.checks import optimizers
optimizers.digits(classify_digits)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## The same in PyTorch
#
# Libraries bring all of this along, and run it on a GPU if there is one.
# Here the same kind of network learns with three of PyTorch's optimizers, by the training loop of the package `fovea`; nothing of it is graded.
# Where Fashion-MNIST, small pictures of clothes, lies on this machine already, they are the data; otherwise it is the digits again.
# (To fetch them, 30 MB, run `load("fashion_mnist")` once.)

# %%
from functools import partial

import torch
from torch import nn

import fovea

device = fovea.choose_device()
has_fashion = fovea.is_local("fashion_mnist")
pictures = load("fashion_mnist") if has_fashion else digits
num_inputs = pictures.train.X[0].size
# two epochs of 50,000 pictures are enough for a laptop
num_epochs = 2 if device.type == "cpu" and has_fashion else 20
choices = {
    "SGD, momentum 0.9": (partial(torch.optim.SGD, momentum=0.9), 0.1),
    "RMSprop": (torch.optim.RMSprop, 1e-3),
    "AdamW": (torch.optim.AdamW, 1e-3),
}
for name, (optimizer, lr) in choices.items():
    fovea.set_seed(0)
    twin = nn.Sequential(
        nn.Flatten(), nn.Linear(num_inputs, 128), nn.ReLU(), nn.Linear(128, 10)
    )
    settings = {"optimizer": optimizer, "lr": lr, "num_epochs": num_epochs}
    history = fovea.fit(twin, pictures, **settings, device=device, show=False)
    accuracy = history.val_metric[-1]
    print(f"{name:18} {accuracy:.1%} of the validation images of {pictures.name}")

# %% [markdown] role="locked"
# ## What we learned
#
# An optimizer is one formula and a little state; most mistakes are about the state: shared, forgotten, started afresh, or written over.
# Momentum adds up what gradients agree on; the adaptive rules divide by how large gradients have been; Adam does both, and corrects its averages while they are young.
# The learning rate is the setting that matters most. A range test finds its order of magnitude; schedules lower it, but not too soon.
#
# To go on:
#
# 1. Write AdamW: subtract $\eta \lambda w$ from $w$ beside Adam's step, instead of adding $\lambda w$ to the gradient. When do the two differ?
# 2. Drop the last short batch in `minibatches`. With 1078 training digits and batches of 1000, how many samples does an epoch miss, and does the accuracy suffer?
# 3. Start Adam's $v$ at 1 instead of 0, without correction. What happens to the first hundred steps?
