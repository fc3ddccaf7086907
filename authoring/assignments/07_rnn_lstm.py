# %% [markdown] role="locked"
# # Assignment 7: recurrent networks
#
# An image has a fixed size, a sentence has not.
# A recurrent network reads a sequence step by step, with the same weights at each step, and carries along a state: all that it remembers.
# In this assignment you write such networks forwards and backwards, see why plain ones forget, build the LSTM that doesn't, and let networks write, look and remember.
#
# - You will be able to send gradients through time by hand, to say how long a network remembers, and to give an LSTM a start from which it learns.
# - You need lecture 7, and what you know of assignment 1: the affine layer and the softmax loss.
# - It takes an evening or two of thinking; the whole notebook computes in about 30 seconds on a laptop CPU.
#
# Each exercise has a function to fill in, *open checks* to run as often as you like, and a graded cell.
# Hidden checks grade what the docstring promises, over all of the range that it promises, and nothing else.
# Write the answers in NumPy up to the last part: PyTorch has all of this built in, and is here to judge.

# %%
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits
from torch import nn

import fovea
from fovea.open_checks import expect
from fovea.plotting import describe, use_style
from fovea.scenes import make_scenes, read_caption

use_style()
# arrays are small here: one thread is faster than several that wait for each other
threadpool_limits(1)

# %% [markdown] role="locked"
# The open checks share three helpers.
# `expect` compares, and tells what arrived, what was expected, and what to look at.
# `ask_torch` asks PyTorch for outputs and their gradients.
# `expect_promises` tries the promises that *every* pair of functions here makes: float32 in gives float32 out, nothing that was given is changed, and a second call of `backward` agrees with the first.

# %% role="locked"
def ask_torch(function, *arrays):
    """Return the outputs, a made-up gradient for each, and the gradients of the arrays."""
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    outs = function(*tensors)
    outs = outs if isinstance(outs, tuple) else (outs,)
    douts = [torch.cos(torch.arange(o.numel(), dtype=o.dtype)).reshape(o.shape) for o in outs]
    grads = torch.autograd.grad(outs, tensors, douts)
    return *([t.detach().numpy() for t in group] for group in (outs, douts)), grads


def expect_promises(forward, backward, arrays):
    """Try one case in float32: dtypes, and inputs and cache left alone."""
    arrays = [array.astype(np.float32) for array in arrays]
    before = [array.copy() for array in arrays]
    *outs, cache = forward(*arrays)
    assert all(out.dtype == np.float32 for out in outs), "forward makes float64 of float32"
    douts = [np.ones_like(out) for out in outs]
    first, second = backward(*douts, cache), backward(*douts, cache)
    for grad, again in zip(first, second, strict=True):
        assert grad.dtype == np.float32, f"backward makes {grad.dtype} of float32"
        expect("backward, called a second time", again, grad, "what changes the cache")
    for now, then in zip([*arrays, *douts], [*before, *(np.ones_like(d) for d in douts)], strict=True):
        expect("what was given, after the calls", now, then, "what is written in place")


# %% [markdown] role="locked"
# ## One step
#
# A step mixes what is new with what is remembered:
#
# $$h_t = \tanh(x_t W_x + h_{t-1} W_h + b)$$
#
# It is an affine unit with two inputs, and a tanh that keeps the state between $-1$ and $1$.
# By hand: $x = 2$, $h_{t-1} = -1$, $W_x = W_h = 1$ and $b = \frac12 \ln 3 - 1$ add up to $\frac12 \ln 3$, and $\tanh(\frac12 \ln 3) = \frac12$.
#
# Backwards, $\tanh' = 1 - \tanh^2$ is $\frac34$ there.
# If $\frac12$ gets the gradient 4, the sum gets $4 \cdot \frac34 = 3$, and from there on all is as in the affine layer: $dx = 3$, $dh_{t-1} = 3$, $dW_x = 6$, $dW_h = -3$, $db = 3$.
#
# **Exercise (5 points).** Write the step, and the way back.

# %% role="solution" grade_id="rnn-lstm-rnn-step-forward"
def rnn_step_forward(x, prev_h, Wx, Wh, b):
    """Return (next_h, cache) with next_h = tanh(x Wx + prev_h Wh + b).

    x: (N, D); prev_h: (N, H); Wx: (D, H); Wh: (H, H); b: (H,); N, D, H >= 1, all of one
    dtype, float32 or float64. What tanh gets may be as large as 1000 on either side:
    no warning, and nothing that isn't finite.

    next_h is (N, H), of x's dtype. Nothing that is given changes. cache is whatever
    rnn_step_backward needs.
    """
    ### BEGIN SOLUTION
    next_h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)
    ### END SOLUTION


# %% role="solution" grade_id="rnn-lstm-rnn-step-backward"
def rnn_step_backward(dnext_h, cache):
    """Return (dx, dprev_h, dWx, dWh, db), the gradients, shaped like what forward got.

    dnext_h: (N, H), the gradient with respect to next_h
    cache: what rnn_step_forward returned beside next_h

    float32 in gives float32 out, and so for float64. dnext_h and cache stay as they are:
    a second call returns the same, also if rnn_step_forward ran on other data meanwhile.
    """
    ### BEGIN SOLUTION
    x, prev_h, Wx, Wh, next_h = cache
    dsum = dnext_h * (1 - next_h**2)
    return dsum @ Wx.T, dsum @ Wh.T, x.T @ dsum, prev_h.T @ dsum, dsum.sum(axis=0)
    ### END SOLUTION


# %% role="locked"
# Open checks
RNG = np.random.default_rng(0)
# (N, D), (N, H), (D, H), (H, H), (H,)
STEP = [RNG.normal(size=size) for size in [(4, 3), (4, 5), (3, 5), (5, 5), (5,)]]
RNN_NAMES = ("dx", "dprev_h", "dWx", "dWh", "db")
HALF_LOG_3 = np.log(3) / 2


def by_torch(x, h, Wx, Wh, b):
    weights = {"weight_ih": Wx.T, "weight_hh": Wh.T, "bias_ih": b, "bias_hh": 0 * b}
    cell = nn.RNNCell(*Wx.shape).double()
    return torch.func.functional_call(cell, weights, (x, h))


def check_rnn_step():
    tiny = [np.array(a) for a in ([[2.0]], [[-1.0]], [[1.0]], [[1.0]], [HALF_LOG_3 - 1])]
    next_h, cache = rnn_step_forward(*tiny)
    expect("the step by hand", next_h, [[0.5]], "the sum, and its tanh")
    for name, got, wanted in zip(RNN_NAMES, rnn_step_backward(np.array([[4.0]]), cache), (3, 3, 6, -3, 3), strict=True):
        expect(f"{name} by hand", np.squeeze(got), wanted, "the slope of tanh; which factor is on the other side")
    (wanted,), (dnext_h,), grads = ask_torch(by_torch, *STEP)
    next_h, cache = rnn_step_forward(*STEP)
    expect("next_h", next_h, wanted, "which matrix belongs to which input")
    for name, got, wanted in zip(RNN_NAMES, rnn_step_backward(dnext_h, cache), grads, strict=True):
        expect(name, got, wanted, "transposed or not; what is summed over the batch")
    expect_promises(rnn_step_forward, rnn_step_backward, STEP)


check_rnn_step()

# %% role="tests" grade_id="rnn-lstm-rnn-step-forward-tests" points=2
# Graded by hidden checks: values, one sample, one unit, saturated units, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.rnn_step_forward(rnn_step_forward)
### END HIDDEN TESTS

# %% role="tests" grade_id="rnn-lstm-rnn-step-backward-tests" points=3
# Graded by hidden checks: each gradient, saturated units, float32, dnext_h and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.rnn_step_backward(rnn_step_forward, rnn_step_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Through time
#
# A sequence of $T$ steps is a network of $T$ layers that share their weights.
# Two rules are all that is new on the way back:
#
# - a state is used twice, by whoever reads $h_t$ and by the next step, so both gradients add up;
# - a weight is used $T$ times, so its $T$ gradients add up.
#
# By hand: $h_0 = 0$, $W_x = 1$, $W_h = 2$, $b = 0$ and $x = (\frac12 \ln 3,\; \frac12 \ln 3 - 1)$ give $h = (\frac12, \frac12)$.
# With $dh = (1, 4)$, the sum of step 2 gets $3$; $h_1$ gets $1 + 3 \cdot 2 = 7$, and the sum of step 1 gets $\frac{21}{4}$.
# So $dx = (\frac{21}{4}, 3)$, $dh_0 = \frac{21}{2}$, $dW_h = 0 \cdot \frac{21}{4} + \frac12 \cdot 3 = \frac32$ and $db = \frac{33}{4}$.
#
# **Exercise (6 points).** Unroll the step, and go back through all of time.

# %% role="solution" grade_id="rnn-lstm-rnn-forward"
def rnn_forward(x, h0, Wx, Wh, b):
    """Return (h, cache): the states after each step of an RNN that starts from h0.

    x: (N, T, D); h0: (N, H); N, T, D, H >= 1; Wx, Wh, b and dtypes as in rnn_step_forward

    h is (N, T, H), of x's dtype; h0 is not in it. Nothing that is given changes. cache is
    whatever rnn_backward needs.
    """
    ### BEGIN SOLUTION
    h, caches, prev_h = [], [], h0
    for t in range(x.shape[1]):
        prev_h, cache = rnn_step_forward(x[:, t], prev_h, Wx, Wh, b)
        h.append(prev_h)
        caches.append(cache)
    return np.stack(h, axis=1), caches
    ### END SOLUTION


# %% role="solution" grade_id="rnn-lstm-rnn-backward"
def rnn_backward(dh, cache):
    """Return (dx, dh0, dWx, dWh, db), shaped like what rnn_forward got.

    dh: (N, T, H), the gradient that arrives at each state from outside, not from later
    steps; cache: what rnn_forward returned beside h

    float32 in gives float32 out, and so for float64. dh and cache stay as they are: a
    second call returns the same, also if rnn_forward ran on other data meanwhile.
    """
    ### BEGIN SOLUTION
    dx, total = [], [0, 0, 0]
    dprev_h = np.zeros_like(dh[:, 0])
    for t in reversed(range(dh.shape[1])):
        dx_t, dprev_h, *grads = rnn_step_backward(dh[:, t] + dprev_h, cache[t])
        dx.append(dx_t)
        total = [a + b for a, b in zip(total, grads, strict=True)]
    return np.stack(dx[::-1], axis=1), dprev_h, *total
    ### END SOLUTION


# %% role="locked"
# Open checks
SEQUENCE = [RNG.normal(size=(4, 6, 3)), *STEP[1:]]
SEQUENCE_NAMES = ("dx", "dh0", "dWx", "dWh", "db")


def unrolled(x, h, *weights):
    states = []
    for x_t in x.unbind(1):
        h = by_torch(x_t, h, *weights)
        states.append(h)
    return torch.stack(states, dim=1)


def check_rnn():
    x = np.array([[[HALF_LOG_3], [HALF_LOG_3 - 1]]])
    tiny = [x, np.zeros((1, 1)), np.ones((1, 1)), np.full((1, 1), 2.0), np.zeros(1)]
    h, cache = rnn_forward(*tiny)
    expect("the states by hand", h, [[[0.5], [0.5]]], "what goes into step 2")
    grads = rnn_backward(np.array([[[1.0], [4.0]]]), cache)
    for name, got, wanted in zip(SEQUENCE_NAMES, grads, ((5.25, 3), 10.5, None, 1.5, 8.25), strict=True):
        if wanted is not None:
            expect(f"{name} by hand", np.squeeze(got), wanted, "the two rules above")
    (wanted,), (dh,), grads = ask_torch(unrolled, *SEQUENCE)
    h, cache = rnn_forward(*SEQUENCE)
    expect("h", h, wanted, "what goes from step to step; which axis is time")
    for name, got, wanted in zip(SEQUENCE_NAMES, rnn_backward(dh, cache), grads, strict=True):
        expect(name, got, wanted, "what adds up over the steps, and their order")
    expect_promises(rnn_forward, rnn_backward, [SEQUENCE[0][:, :1], *SEQUENCE[1:]])


check_rnn()

# %% role="tests" grade_id="rnn-lstm-rnn-forward-tests" points=2
# Graded by hidden checks: sequences of 1 to 250 steps, one sample, one unit, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.rnn_forward(rnn_forward)
### END HIDDEN TESTS

# %% role="tests" grade_id="rnn-lstm-rnn-backward-tests" points=4
# Graded by hidden checks: each gradient, sequences of 1 to 250 steps, float32, dh and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.rnn_backward(rnn_forward, rnn_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Why it forgets
#
# Leave away inputs and tanh for a moment: $h_t = h_{t-1} W_h$, so $h_t = h_0 W_h^t$.
# Going back $t$ steps multiplies a gradient by $W_h^\top$, $t$ times.
# Along an eigenvector that is a power of its eigenvalue: $0.9^{100} \approx 3 \cdot 10^{-5}$, and $1.1^{100} \approx 14\,000$.
# In the long run the largest absolute value of an eigenvalue decides, the **spectral radius** $\rho$: gradients vanish if $\rho < 1$, and explode if $\rho > 1$ (the tanh, whose slope is at most 1, makes them smaller still).
#
# Eigenvalues may be complex: $\begin{pmatrix} 0 & -2 \\ 2 & 0 \end{pmatrix}$ turns and doubles, its eigenvalues are $\pm 2i$, and $\rho = 2$.
# It takes the gradient $(3\;4)$ to norms $5, 10, 20, \dots$
#
# **Exercise (3 points).** Write both views: what the eigenvalues foretell, and what happens step by step.

# %% role="solution" grade_id="rnn-lstm-spectral-radius"
def spectral_radius(Wh):
    """Return the largest absolute value of Wh's eigenvalues, a number.

    Wh: (H, H), H >= 1, float32 or float64, real, not symmetric in general; not changed
    """
    ### BEGIN SOLUTION
    return np.abs(np.linalg.eigvals(Wh)).max()
    ### END SOLUTION


# %% role="solution" grade_id="rnn-lstm-gradient-norms"
def gradient_norms(Wh, dh, T):
    """Return the norms (T + 1,) of a gradient that goes back through h_t = h_(t-1) Wh.

    Wh: (H, H); dh: (H,), the gradient with respect to the last state; one dtype, float32
    or float64, and neither is changed; T >= 0: how many steps to go back

    Entry t is the Euclidean norm of the gradient t steps before the last state; entry 0
    is that of dh. The result has dh's dtype.
    """
    ### BEGIN SOLUTION
    norms = [np.linalg.norm(dh)]
    for _ in range(T):
        dh = dh @ Wh.T
        norms.append(np.linalg.norm(dh))
    return np.array(norms, dh.dtype)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_recurrence():
    turn = np.array([[0.0, -2.0], [2.0, 0.0]])
    expect("turned and doubled", spectral_radius(turn), 2, "complex eigenvalues have an absolute value, too")
    expect("one negative eigenvalue", spectral_radius(np.diag([0.5, -3.0])), 3, "the sign does not count")
    expect("its norms", gradient_norms(turn, np.array([3.0, 4.0]), 3), [5, 10, 20, 40], "T + 1 norms, dh's own first")
    shift = np.array([[0.0, 3.0], [0.0, 0.0]])
    expect("one way only", gradient_norms(shift, np.array([1.0, 1.0]), 2), [np.sqrt(2), 3, 0], "times Wh transposed")
    expect("in the other direction", gradient_norms(shift, np.array([1.0, 0.0]), 1), [1, 0], "times Wh transposed")


check_recurrence()

# %% role="tests" grade_id="rnn-lstm-spectral-radius-tests" points=1
# Graded by hidden checks: complex and negative eigenvalues, matrices far from symmetric, float32.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.spectral_radius(spectral_radius)
### END HIDDEN TESTS

# %% role="tests" grade_id="rnn-lstm-gradient-norms-tests" points=2
# Graded by hidden checks: 0 to 100 steps that grow and shrink, one unit, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.gradient_norms(gradient_norms)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Three matrices, alike but for their size. Guess the slopes of the lines before you run the cell.

# %%
matrix = np.random.default_rng(2).normal(size=(50, 50))
matrix /= spectral_radius(matrix)
fig, ax = plt.subplots()
for radius in (0.8, 1.0, 1.2):
    ax.semilogy(gradient_norms(radius * matrix, np.ones(50), 60), label=f"spectral radius {radius}")
ax.set(title="The spectral radius decides how far a gradient gets", xlabel="steps back", ylabel="norm of the gradient")
ax.legend()
describe(ax, "Three lines on a logarithmic scale: falling for radius 0.8, level for 1, rising for 1.2.")

# %% [markdown] role="locked"
# ## The LSTM
#
# An **LSTM** (S. Hochreiter and J. Schmidhuber, 1997) carries a second state, the **cell** $c$.
# It is not multiplied by a matrix at each step, but by a number for each unit: the **forget gate** $f$, a share between 0 and 1.
#
# $$\begin{aligned} (a_i \;\; a_f \;\; a_o \;\; a_g) &= x_t W_x + h_{t-1} W_h + b \\ i, f, o = \sigma(a_i), \sigma(a_f), \sigma(a_o), &\qquad g = \tanh(a_g) \\ c_t = f \odot c_{t-1} + i \odot g, &\qquad h_t = o \odot \tanh(c_t) \end{aligned}$$
#
# One matrix makes all four: the first $H$ columns are those of $i$, then come $f$, $o$, $g$ (**PyTorch's order is $i, f, g, o$**, so take care when you compare).
#
# By hand, with weights 0 and biases $(0,\; \ln 3,\; 0,\; \frac12 \ln 3)$: $i = \frac12$, $f = \frac34$, $o = \frac12$, $g = \frac12$.
# From $c_{t-1} = 1$ comes $c_t = \frac34 + \frac14 = 1$ and $h_t = \frac12 \tanh 1 \approx 0.381$.
#
# **Exercise (3 points).** Write the step.
# A sigmoid that computes $e^{1000}$ warns, and may give NaN: think of one that doesn't.

# %% role="solution" grade_id="rnn-lstm-lstm-step-forward"
def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    """Return (next_h, next_c, cache): one step of an LSTM.

    x: (N, D); prev_h, prev_c: (N, H); Wx: (D, 4H); Wh: (H, 4H); b: (4H,), with the gates
    in the order i, f, o, g; N, D, H >= 1, all of one dtype, float32 or float64. What
    sigmoid and tanh get may be as large as 1000 on either side, cells as large as 100:
    no warning, and nothing that isn't finite.

    next_h and next_c are (N, H), of x's dtype. Nothing that is given changes. cache is
    whatever lstm_step_backward needs.
    """
    ### BEGIN SOLUTION
    gates = x @ Wx + prev_h @ Wh + b
    a_i, a_f, a_o, a_g = np.split(gates, 4, axis=1)
    # tanh never overflows
    i, f, o = (0.5 * (1 + np.tanh(a / 2)) for a in (a_i, a_f, a_o))
    g = np.tanh(a_g)
    next_c = f * prev_c + i * g
    tanh_c = np.tanh(next_c)
    return o * tanh_c, next_c, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c)
    ### END SOLUTION


# %% role="locked"
# Open checks
WIDE = [RNG.normal(size=(4, 3)), *RNG.normal(size=(2, 4, 5)), RNG.normal(size=(3, 20)), RNG.normal(size=(5, 20)), RNG.normal(size=20)]
BY_HAND = [np.array([[1.0]]), np.zeros((1, 1)), np.ones((1, 1)), np.zeros((1, 4)), np.zeros((1, 4)), np.array([0, 2, 0, 1]) * HALF_LOG_3]


def lstm_by_torch(x, h, c, Wx, Wh, b):
    def reorder(weights):
        i, f, o, g = weights.chunk(4, dim=-1)
        return torch.cat([i, f, g, o], dim=-1)

    weights = {"weight_ih": reorder(Wx).T, "weight_hh": reorder(Wh).T, "bias_ih": reorder(b), "bias_hh": 0 * b}
    cell = nn.LSTMCell(len(Wx), len(Wh)).double()
    return torch.func.functional_call(cell, weights, (x, (h, c)))


def check_lstm_step_forward():
    next_h, next_c, _ = lstm_step_forward(*BY_HAND)
    expect("the cell by hand", next_c, [[1]], "f keeps, i adds")
    expect("the state by hand", next_h, [[np.tanh(1) / 2]], "o times the tanh of the new cell")
    wanted_h, wanted_c = lstm_by_torch(*map(torch.tensor, WIDE))
    next_h, next_c, _ = lstm_step_forward(*WIDE)
    expect("next_c", next_c, wanted_c, "the order of the gates: i, f, o, g")
    expect("next_h", next_h, wanted_h, "the order of the gates: i, f, o, g")
    with np.errstate(all="raise", under="ignore"):
        next_h, _, _ = lstm_step_forward(*WIDE[:5], np.repeat([1e3, -1e3, 1e3, -1e3], 5))
    expect("saturated gates", next_h, np.full((4, 5), np.tanh(-1)), "a sigmoid that doesn't overflow")


check_lstm_step_forward()

# %% role="tests" grade_id="rnn-lstm-lstm-step-forward-tests" points=3
# Graded by hidden checks: next_h, next_c, one sample, one unit, saturated gates, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.lstm_step_forward(lstm_step_forward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Backwards, follow each arrow once.
# Two gradients arrive: `dnext_h` from whoever reads the state, and `dnext_c` from the next step.
# The cell gets both, as $h_t$ is made of it: $dc = dc_t + dh_t \odot o \odot (1 - \tanh^2 c_t)$.
# From the cell it goes on to $i$, $f$, $g$ and $c_{t-1}$; to $o$ it comes from `dnext_h` alone.
# Then each gate's slope ($\sigma' = \sigma (1 - \sigma)$, $\tanh' = 1 - \tanh^2$), all four side by side in the order $i, f, o, g$, and the affine layer.
#
# By hand, in the step above with $dh_t = 0$ and $dc_t = 1$: $dc_{t-1} = f = \frac34$, and $db = (g \cdot \frac14,\; c_{t-1} \cdot \frac{3}{16},\; 0,\; i \cdot \frac34) = (\frac18, \frac3{16}, 0, \frac38)$.
#
# **Exercise (6 points).** Write the way back.
# Few courses check this function closely, and it is easy to get a gradient that is nearly right and learns slowly; so every arrow counts here.

# %% role="solution" grade_id="rnn-lstm-lstm-step-backward"
def lstm_step_backward(dnext_h, dnext_c, cache):
    """Return (dx, dprev_h, dprev_c, dWx, dWh, db), shaped like what forward got.

    dnext_h, dnext_c: (N, H), the gradients with respect to next_h and next_c. That of
    next_c does not yet hold what comes through next_h.
    cache: what lstm_step_forward returned beside next_h and next_c

    float32 in gives float32 out, and so for float64; finite, without warnings, in all of
    the range of lstm_step_forward. dnext_h, dnext_c and cache stay as they are: a second
    call returns the same, also if lstm_step_forward ran on other data meanwhile.
    """
    ### BEGIN SOLUTION
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, tanh_c = cache
    dc = dnext_c + dnext_h * o * (1 - tanh_c**2)
    da_i = dc * g * i * (1 - i)
    da_f = dc * prev_c * f * (1 - f)
    da_o = dnext_h * tanh_c * o * (1 - o)
    da_g = dc * i * (1 - g**2)
    dgates = np.concatenate([da_i, da_f, da_o, da_g], axis=1)
    dx, dprev_h, dprev_c = dgates @ Wx.T, dgates @ Wh.T, dc * f
    return dx, dprev_h, dprev_c, x.T @ dgates, prev_h.T @ dgates, dgates.sum(axis=0)
    ### END SOLUTION


# %% role="locked"
# Open checks
LSTM_NAMES = ("dx", "dprev_h", "dprev_c", "dWx", "dWh", "db")


def check_lstm_step_backward():
    *_, cache = lstm_step_forward(*BY_HAND)
    _, _, dprev_c, _, _, db = lstm_step_backward(np.zeros((1, 1)), np.ones((1, 1)), cache)
    expect("dprev_c by hand", dprev_c, [[0.75]], "the forget gate")
    expect("db by hand", db, [0.125, 0.1875, 0, 0.375], "each gate: its partner, then its slope")
    _, (dnext_h, dnext_c), grads = ask_torch(lstm_by_torch, *WIDE)
    *_, cache = lstm_step_forward(*WIDE)
    for name, got, wanted in zip(LSTM_NAMES, lstm_step_backward(dnext_h, dnext_c, cache), grads, strict=True):
        expect(name, got, wanted, "the arrows above, one by one")
    expect_promises(lstm_step_forward, lstm_step_backward, WIDE)


check_lstm_step_backward()

# %% role="tests" grade_id="rnn-lstm-lstm-step-backward-tests" points=6
# Graded by hidden checks: each gradient, one sample, one unit, saturated gates, float32, gradients and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.lstm_step_backward(lstm_step_forward, lstm_step_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Now through time: as before, with the cell and its gradient as second passengers.
# The cell starts empty ($c_0 = 0$) and stays inside: what comes out are the states, and gradients arrive at them alone.
#
# **Exercise (7 points).** Unroll the LSTM.

# %% role="solution" grade_id="rnn-lstm-lstm-forward"
def lstm_forward(x, h0, Wx, Wh, b):
    """Return (h, cache): the states after each step of an LSTM that starts from h0.

    x: (N, T, D); h0: (N, H); N, T, D, H >= 1; the first cell is 0; Wx, Wh, b and dtypes
    as in lstm_step_forward

    h is (N, T, H), of x's dtype; h0 is not in it. Nothing that is given changes. cache is
    whatever lstm_backward needs.
    """
    ### BEGIN SOLUTION
    h, caches, prev_h, prev_c = [], [], h0, np.zeros_like(h0)
    for t in range(x.shape[1]):
        prev_h, prev_c, cache = lstm_step_forward(x[:, t], prev_h, prev_c, Wx, Wh, b)
        h.append(prev_h)
        caches.append(cache)
    return np.stack(h, axis=1), caches
    ### END SOLUTION


# %% role="solution" grade_id="rnn-lstm-lstm-backward"
def lstm_backward(dh, cache):
    """Return (dx, dh0, dWx, dWh, db), shaped like what lstm_forward got.

    dh: (N, T, H), the gradient that arrives at each state from outside, not from later
    steps; cache: what lstm_forward returned beside h

    float32 in gives float32 out, and so for float64. dh and cache stay as they are: a
    second call returns the same, also if lstm_forward ran on other data meanwhile.
    """
    ### BEGIN SOLUTION
    dx, total = [], [0, 0, 0]
    dprev_h = dprev_c = np.zeros_like(dh[:, 0])
    for t in reversed(range(dh.shape[1])):
        arrived = dh[:, t] + dprev_h
        dx_t, dprev_h, dprev_c, *grads = lstm_step_backward(arrived, dprev_c, cache[t])
        dx.append(dx_t)
        total = [a + b for a, b in zip(total, grads, strict=True)]
    return np.stack(dx[::-1], axis=1), dprev_h, *total
    ### END SOLUTION


# %% role="locked"
# Open checks
LONG = [SEQUENCE[0], WIDE[1], *WIDE[3:]]


def lstm_unrolled(x, h, *weights):
    states, c = [], torch.zeros_like(h)
    for x_t in x.unbind(1):
        h, c = lstm_by_torch(x_t, h, c, *weights)
        states.append(h)
    return torch.stack(states, dim=1)


def check_lstm():
    (wanted,), (dh,), grads = ask_torch(lstm_unrolled, *LONG)
    h, cache = lstm_forward(*LONG)
    expect("h", h, wanted, "what goes from step to step: state and cell")
    for name, got, wanted in zip(SEQUENCE_NAMES, lstm_backward(dh, cache), grads, strict=True):
        expect(name, got, wanted, "the cell's gradient goes from step to step, too")
    expect_promises(lstm_forward, lstm_backward, [LONG[0][:, :1], *LONG[1:]])


check_lstm()

# %% role="tests" grade_id="rnn-lstm-lstm-forward-tests" points=2
# Graded by hidden checks: sequences of 1 to 250 steps, one sample, one unit, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.lstm_forward(lstm_forward)
### END HIDDEN TESTS

# %% role="tests" grade_id="rnn-lstm-lstm-backward-tests" points=5
# Graded by hidden checks: each gradient, sequences of 1 to 250 steps, float32, dh and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.lstm_backward(lstm_forward, lstm_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## The cell as a highway
#
# Along the cell, a gradient is multiplied by $f$ at each step, and by nothing else.
# With a bias of 0 the forget gate starts near $\sigma(0) = \frac12$, and $\left(\frac12\right)^{100} \approx 10^{-30}$: no better than a plain RNN.
# With a bias of 5 it starts near $\sigma(5) \approx 0.993$, and $0.993^{100} \approx \frac12$.
#
# **Exercise (4 points, graded by a person).** Show it with your own layers.
# Feed 100 steps of normal noise of deviation 0.1 (10 inputs, 32 units, 8 sequences) to your RNN, and to your LSTM with a forget bias of 0, 2 and 5; draw all weights normally with deviation 0.1, and let the other biases be 0.
# Let a gradient of ones arrive at the last state alone, and plot the norm of `dx` at each step, on a logarithmic scale, in one figure.
# Add a sentence, as a comment: which of the four can learn from the first input?

# %% role="manual" grade_id="rnn-lstm-highway" points=4
### BEGIN SOLUTION
rng = np.random.default_rng(0)
noise, start, last = 0.1 * rng.normal(size=(8, 100, 10)), np.zeros((8, 32)), np.zeros((8, 100, 32))
last[:, -1] = 1


def norms_through_time(forward, backward, width, bias=0.0):
    weights = [0.1 * rng.normal(size=size) for size in [(10, width), (32, width)]]
    b = np.zeros(width)
    b[32:64] = bias
    _, cache = forward(noise, start, *weights, b)
    return np.sqrt((backward(last, cache)[0] ** 2).sum(axis=(0, 2)))


fig, ax = plt.subplots()
ax.semilogy(norms_through_time(rnn_forward, rnn_backward, 32), label="RNN")
for bias in (0, 2, 5):
    norms = norms_through_time(lstm_forward, lstm_backward, 128, bias)
    ax.semilogy(norms, label=f"LSTM, forget bias {bias}")
ax.set(title="An open forget gate lets the gradient through", xlabel="step", ylabel="norm of dx")
ax.legend()
describe(ax, "From the last step back to the first, the LSTMs with bias 2 and 5 stay level or rise; the other two fall by twenty powers of ten.")
# The LSTMs with bias 2 and 5 tell their first input as much as their last one, and more: beside
# the cell, gradients also come back through the gates, so they can even grow. With bias 0, and
# in the RNN, what step 0 gets is below 1e-18 of what the last step gets: nothing to learn from.
# (1 point each: the gradient arrives at the last state alone; dx at each step, logarithmic;
# all four, with readable labels; the answer.)
### END SOLUTION

# %% [markdown] role="locked"
# ## Words
#
# A network multiplies numbers, so each word, or character, gets a vector of its own: a row of a matrix $W$ that is learned, the **embedding**.
# Forwards, rows are looked up.
# Backwards, a row gets what arrives at *each* of its words: if `x` is $(1\;1\;0)$ and $(1\;10\;100)$ arrives, then $dW = (100\;11\;0)$ for a vocabulary of three.
#
# **Exercise (3 points).** Write both. The bug that everybody writes once is in the second.

# %% role="solution" grade_id="rnn-lstm-word-embedding-forward"
def word_embedding_forward(x, W):
    """Return (out, cache): the row of W for each word of x.

    x: (N, T) int64, from 0 to V - 1; W: (V, D), float32 or float64; N, T, V, D >= 1

    out is (N, T, D), of W's dtype. Nothing that is given changes. cache is whatever
    word_embedding_backward needs.
    """
    ### BEGIN SOLUTION
    return W[x], (x, W.shape)
    ### END SOLUTION


# %% role="solution" grade_id="rnn-lstm-word-embedding-backward"
def word_embedding_backward(dout, cache):
    """Return dW (V, D), of dout's dtype; a word that does not come gets zeros.

    dout: (N, T, D); cache: what word_embedding_forward returned beside out. Both stay as
    they are: a second call returns the same, also if word_embedding_forward ran on other
    data meanwhile.
    """
    ### BEGIN SOLUTION
    x, shape = cache
    dW = np.zeros(shape, dout.dtype)
    # dW[x] += dout would add once for each row, however often it comes
    np.add.at(dW, x, dout)
    return dW
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_word_embedding():
    table = np.array([[1.0], [2.0], [3.0]])
    out, cache = word_embedding_forward(np.array([[1, 1, 0]]), table)
    expect("rows by hand", out, [[[2], [2], [1]]], "word 0 is the first row")
    dW = word_embedding_backward(np.array([[[1.0], [10.0], [100.0]]]), cache)
    expect("dW by hand", dW, [[100], [11], [0]], "a word that comes twice gets both")
    x, table = np.random.default_rng(3).integers(6, size=(4, 9)), RNG.normal(size=(8, 5))
    (wanted,), (dout,), (dW,) = ask_torch(lambda W: F.embedding(torch.tensor(x), W), table)
    out, cache = word_embedding_forward(x, table)
    expect("out", out, wanted, "the shape (N, T, D)")
    expect("dW", word_embedding_backward(dout, cache), dW, "a word that comes often")
    assert word_embedding_backward(dout.astype("float32"), cache).dtype == "float32", "float32 is lost"


check_word_embedding()

# %% role="tests" grade_id="rnn-lstm-word-embedding-forward-tests" points=1
# Graded by hidden checks: values, one word, one dimension, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.word_embedding_forward(word_embedding_forward)
### END HIDDEN TESTS

# %% role="tests" grade_id="rnn-lstm-word-embedding-backward-tests" points=2
# Graded by hidden checks: words that come once, often, never; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.word_embedding_backward(word_embedding_forward, word_embedding_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# At each step a network that writes gives scores for the next word, and pays a softmax loss for the right one.
# Sentences differ in length, so short ones are filled up, and a **mask** says which steps count.
# What a filled-up step holds, scores and label, must not matter: not for the loss, not for the gradient.
#
# With scores of 0 for two words, a step costs $\ln 2$; one sequence of three steps, the last one masked, costs $2 \ln 2$, and with labels $(0\;1\;\cdot)$ its gradient is $(-\frac12, \frac12),\; (\frac12, -\frac12),\; (0, 0)$.
#
# **Exercise (4 points).** Write the loss: added up over the steps that count, divided by the number of sequences.

# %% role="solution" grade_id="rnn-lstm-temporal-softmax-loss"
def temporal_softmax_loss(x, y, mask):
    """Return (loss, dx): the softmax losses of all unmasked steps, added up, over N.

    x: (N, T, V) scores, float32 or float64, from -10,000 to 10,000; y: (N, T) int64
    labels; mask: (N, T) bool, True where a step counts; N, T >= 1, V >= 2
    Where mask is False, the label may be any integer, also one that no word has.

    loss is a number, dx is (N, T, V), of x's dtype. N counts all sequences; if all is
    masked, loss is 0 and dx zeros. No warnings; nothing that is given changes.
    """
    ### BEGIN SOLUTION
    N, T, _ = x.shape
    rows, columns = np.arange(N)[:, None], np.arange(T)
    y = np.where(mask, y, 0)
    shifted = x - x.max(axis=2, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    dx = np.exp(log_probs)
    dx[rows, columns, y] -= 1
    dx[~mask] = 0
    return -log_probs[rows, columns, y][mask].sum() / N, dx / N
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_temporal_softmax_loss():
    y, mask = np.array([[0, 1, -1]]), np.array([[True, True, False]])
    loss, dx = temporal_softmax_loss(np.zeros((1, 3, 2)), y, mask)
    expect("the loss by hand", loss, 2 * np.log(2), "what the mask leaves out")
    expect("dx by hand", dx, [[[-0.5, 0.5], [0.5, -0.5], [0, 0]]], "1 is subtracted at the label")
    rng = np.random.default_rng(4)
    scores, labels = rng.normal(size=(3, 5, 4)), rng.integers(4, size=(3, 5))
    mask = np.arange(5) < np.array([[5], [2], [0]])
    target = torch.tensor(np.where(mask, labels, -100))
    (wanted,), (one,), (dx,) = ask_torch(lambda s: F.cross_entropy(s.flatten(0, 1), target.flatten(), reduction="sum") / 3, scores)
    loss, got = temporal_softmax_loss(scores, np.where(mask, labels, 99), mask)
    expect("the loss", loss, wanted, "labels at masked steps; divided by N alone")
    expect("dx", got, dx / float(one), "masked steps; divided by N alone")
    with np.errstate(all="raise", under="ignore"):
        loss, _ = temporal_softmax_loss(1e4 * scores.astype("float32").clip(-1, 1), labels, mask & False)
    expect("all masked", loss, 0, "an empty sum")


check_temporal_softmax_loss()

# %% role="tests" grade_id="rnn-lstm-temporal-softmax-loss-tests" points=4
# Graded by hidden checks: with and without mask, strange labels, all masked, large scores, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.temporal_softmax_loss(temporal_softmax_loss)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## A network that writes
#
# Put them together: embedding – LSTM – an affine layer at each step – loss.
# The network reads a text character by character and guesses the next one each time; so `y` is the text `x`, one character later.
#
# **Exercise (4 points).** Write the loss of the whole model, and its gradients.

# %% role="solution" grade_id="rnn-lstm-char-loss"
def char_loss(params, x, y):
    """Return (loss, grads) of a model that guesses characters.

    params: a dict of W_embed (V, D), Wx (D, 4H), Wh (H, 4H), b (4H,), W_out (H, V) and
    b_out (V,), all float32 or all float64: an embedding, an LSTM that starts from zeros,
    and scores h W_out + b_out at each step
    x, y: (N, T) int64, what is read, and what is to be guessed at each step

    loss is the softmax loss added up over the T steps, divided by N (no mask: all steps
    count). grads is a dict of gradients under the names of params, of their dtype.
    Nothing that is given changes.
    """
    ### BEGIN SOLUTION
    p = params
    embedded, embedding_cache = word_embedding_forward(x, p["W_embed"])
    h0 = np.zeros((len(x), len(p["Wh"])), p["Wh"].dtype)
    h, lstm_cache = lstm_forward(embedded, h0, p["Wx"], p["Wh"], p["b"])
    scores = h @ p["W_out"] + p["b_out"]
    loss, dscores = temporal_softmax_loss(scores, y, np.full(y.shape, True))
    dembedded, _, dWx, dWh, db = lstm_backward(dscores @ p["W_out"].T, lstm_cache)
    return loss, {
        "W_embed": word_embedding_backward(dembedded, embedding_cache),
        "Wx": dWx,
        "Wh": dWh,
        "b": db,
        "W_out": np.tensordot(h, dscores, axes=((0, 1), (0, 1))),
        "b_out": dscores.sum(axis=(0, 1)),
    }
    ### END SOLUTION


# %% role="locked"
# Open checks
def random_params(V, D, H, rng, dtype=np.float64):
    """A start for training: small weights, and forget gates that are open."""
    sizes = {"W_embed": (V, D), "Wx": (D, 4 * H), "Wh": (H, 4 * H), "b": (4 * H,), "W_out": (H, V), "b_out": (V,)}
    params = {n: (rng.normal(size=s) / np.sqrt(s[0])).astype(dtype) for n, s in sizes.items()}
    params["b"][:], params["b_out"][:] = 0, 0
    params["b"][H : 2 * H] = 1
    return params


def check_char_loss():
    rng = np.random.default_rng(5)
    params, (x, y) = random_params(6, 3, 4, rng), rng.integers(6, size=(2, 3, 5))
    loss, grads = char_loss(params, x, y)
    assert sorted(grads) == sorted(params), f"gradients of {sorted(grads)}"
    flat = {name: np.zeros_like(value) for name, value in params.items()}
    expect("the loss of equal scores", char_loss(flat, x, y)[0], 5 * np.log(6), "added up over steps, divided by N")
    # the loss must rise along a random direction as the gradients say
    for name in params:
        direction = rng.normal(size=params[name].shape)
        around = [char_loss(params | {name: params[name] + h * direction}, x, y)[0] for h in (1e-5, -1e-5)]
        expect(f"the slope along {name}", (grads[name] * direction).sum(), (around[0] - around[1]) / 2e-5, "the way back to it", 1e-5)
    small = {name: value.astype("float32") for name, value in params.items()}
    assert all(g.dtype == "float32" for g in char_loss(small, x, y)[1].values()), "float32 is lost"


check_char_loss()

# %% role="tests" grade_id="rnn-lstm-char-loss-tests" points=4
# Graded by hidden checks: loss and all gradients, one character, one sequence, float32, nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.char_loss(char_loss)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# To write, draw a character, read it as the next input, and go on.
# A **temperature** divides the scores before the softmax: below 1 the likely becomes likelier, and the text safe; above 1 all become alike, and the text wild.
# Scores of $0$ and $\ln 3$ give $\frac14$ and $\frac34$; at temperature $\frac12$ they are $0$ and $2 \ln 3$, and give $\frac1{10}$ and $\frac9{10}$.
#
# **Exercise (3 points).** Write the sampler.

# %% role="solution" grade_id="rnn-lstm-sample"
def sample(params, start, length, temperature, rng):
    """Return `length` characters (length,), integers, drawn one after the other.

    params: as in char_loss; start: the character that is read first, not part of the
    result; length >= 1; rng: a np.random.Generator, from which all that is random comes

    State and cell start from zeros. After each character read, the next one is drawn
    from softmax(scores / temperature), and read in turn. temperature: from 0.001 to 100;
    scores may be as large as 10,000 on either side; no warnings. params stay as they are.
    """
    ### BEGIN SOLUTION
    p, chars, char = params, [], start
    h = c = np.zeros((1, len(p["Wh"])), p["Wh"].dtype)
    for _ in range(length):
        h, c, _ = lstm_step_forward(p["W_embed"][[char]], h, c, p["Wx"], p["Wh"], p["b"])
        # float64, so that the probabilities add up to 1
        scores = np.float64(h[0] @ p["W_out"] + p["b_out"]) / temperature
        probs = np.exp(scores - scores.max())
        char = rng.choice(len(probs), p=probs / probs.sum())
        chars.append(char)
    return np.array(chars)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_sample():
    rng = np.random.default_rng(6)
    coin = {n: 0 * v for n, v in random_params(2, 1, 1, rng).items()} | {"b_out": np.array([0, np.log(3)])}
    for temperature, share in [(1, 0.75), (0.5, 0.9), (100, 0.503)]:
        text = sample(coin, 0, 2000, temperature, rng)
        assert text.shape == (2000,), f"a text of shape {text.shape}"
        expect(f"how often 1 comes at temperature {temperature}", text.mean(), share, "the softmax of scores / temperature", 0.05)
    params = random_params(5, 4, 6, rng)
    params["W_out"] *= 1e4
    texts = [sample(params, 2, 20, 0.001, np.random.default_rng(seed)) for seed in (0, 1)]
    expect("two cold texts", *texts, "cold enough, the likeliest comes each time")
    state, char = (torch.zeros(1, 6).double(),) * 2, 2
    for place, got in enumerate(texts[0]):
        p = {name: torch.tensor(value) for name, value in params.items()}
        state = lstm_by_torch(p["W_embed"][[char]], *state, p["Wx"], p["Wh"], p["b"])
        char = int((state[0] @ p["W_out"] + p["b_out"]).argmax())
        expect(f"cold character {place}", got, char, "what is read, and what is kept from step to step")


check_sample()

# %% role="tests" grade_id="rnn-lstm-sample-tests" points=3
# Graded by hidden checks: whether texts can have been drawn as promised, temperatures, generators; no warnings, params unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.sample(sample)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Let it learn to write.
# Its book are captions of the course's generated scenes: two thousand short lines.
# The network sees nothing but characters; words, grammar and line breaks it has to find by itself.
# The optimizer is given, or your own of topic 2: `Adam(params)` remembers the arrays, `step(grads, lr)` changes them in place.

# %% role="locked"
class Adam:
    """PyTorch's Adam, for a dict of NumPy arrays."""

    def __init__(self, params):
        # a tensor made by from_numpy shares its memory with the array
        self.tensors = {name: torch.from_numpy(array) for name, array in params.items()}
        self.optimizer = torch.optim.Adam(self.tensors.values())

    def step(self, grads, lr):
        self.optimizer.param_groups[0]["lr"] = lr
        for name, tensor in self.tensors.items():
            tensor.grad = torch.from_numpy(np.ascontiguousarray(grads[name]))
        self.optimizer.step()


# %%
captions = make_scenes(2000, seed=0, target="caption", size=16).captions
text = "\n".join(read_caption(caption) for caption in captions)
alphabet = sorted(set(text))
book = np.array([alphabet.index(char) for char in text])

rng, length, num_steps = np.random.default_rng(0), 40, 400
params = random_params(len(alphabet), 16, 64, rng, np.float32)
optimizer, losses = Adam(params), []
for step in range(num_steps):
    starts = rng.integers(len(book) - length - 1, size=32)
    pieces = book[starts[:, None] + np.arange(length + 1)]
    loss, grads = char_loss(params, pieces[:, :-1], pieces[:, 1:])
    optimizer.step(grads, lr=0.01 * (1 - step / num_steps))
    losses.append(loss / length)
print(f"loss per character: {losses[0]:.2f} at first (ln {len(alphabet)} = {np.log(len(alphabet)):.2f}), {np.mean(losses[-20:]):.2f} at last")

# %%
for temperature in (0.3, 1.0, 1.6):
    written = sample(params, alphabet.index("\n"), 120, temperature, np.random.default_rng(1))
    print(f"--- temperature {temperature}\n" + "".join(alphabet[char] for char in written))

# %% [markdown] role="locked"
# **Exercise (4 points, graded by a person).** In about a hundred words: what has the network learned of spelling, of grammar, and of the length of a line, and what not?
# Name a mistake that it makes at temperature 1.6, and say whether a longer training, a larger state or longer pieces would mend it.
# The captions obey a rule that no reader of single lines can find out: the first object is the larger one, and a relation stands only between the first two.
# Say which of the two the network could learn from this book.

# %% [markdown] role="manual" grade_id="rnn-lstm-writing" points=4
# ### BEGIN SOLUTION
# Spelling is right at temperatures 0.3 and 1: there are twenty words, and a state of 64 numbers holds the last few letters easily.
# The order article – size – colour – shape, and "of" behind "left" and "right", are learned as well; a line ends after one to three objects, as in the book.
# At temperature 1.6, a word is now and then no word, or blended from two, as an unlikely letter was drawn and the network goes on from there; a longer training makes such letters rarer, a larger state or longer pieces change little, since a word is short.
# That a relation stands only once, between the first two, can be seen from the characters, and needs a memory of some forty steps: it can be learned.
# That the first object is larger is not always visible in the words (both may be "small"), but "a small … and a large …" never comes in the book, and a network can notice that.
# (1 point each: spelling, grammar and length told apart; a mistake and its reason; what would mend it; both rules.)
# ### END SOLUTION

# %% [markdown] role="locked"
# ## Attention
#
# A network that describes an image reads features of many places, and for each word it has to know where to look.
# **Attention** lets it ask: the state makes a **query**, each place answers with a score, and a softmax turns scores into shares.
#
# $$w_k = \operatorname{softmax}_k \left( \frac{q \cdot z_k}{\sqrt D} \right), \qquad \text{context} = \sum_k w_k z_k$$
#
# Every place is in the sum, so the gradient reaches every place: looking is learned as all the rest is.
# The root of $D$ keeps scores of random vectors at a size of 1, wherever $D$ is large.
# With $D = 4$, $q = (2\;0\;0\;0)$ and places $z_1 = (0\;0\;0\;8)$, $z_2 = (\ln 3\;0\;0\;0)$, scores are $0$ and $\ln 3$, and $w = (\frac14, \frac34)$.
#
# **Exercise (3 points).** Write it.

# %% role="solution" grade_id="rnn-lstm-attend"
def attend(query, features):
    """Return (context, weights): what is seen, and where the query looks.

    query: (N, D); features: (N, K, D), one vector for each of K places; N, K, D >= 1, of
    one dtype, float32 or float64; scores may be as large as 10,000 on either side

    weights is (N, K), positive or 0, with sum 1 for each sample; context is (N, D). Both
    have query's dtype. No warnings; nothing that is given changes.
    """
    ### BEGIN SOLUTION
    scores = (features @ query[:, :, None])[:, :, 0] / np.sqrt(query.dtype.type(query.shape[1]))
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    return (weights[:, None] @ features)[:, 0], weights
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_attend():
    places = np.array([[[0.0, 0, 0, 8], [np.log(3), 0, 0, 0]]])
    context, weights = attend(np.array([[2.0, 0, 0, 0]]), places)
    expect("the weights by hand", weights, [[0.25, 0.75]], "the root of D, and the softmax over places")
    expect("the context by hand", context, [[0.75 * np.log(3), 0, 0, 2]], "the weighted sum of places")
    query, features = RNG.normal(size=(3, 6)), RNG.normal(size=(3, 5, 6))
    wanted = F.scaled_dot_product_attention(*map(torch.tensor, (query[:, None], features, features)))[:, 0]
    context, weights = attend(query, features)
    expect("the context", context, wanted, "each sample has places of its own")
    with np.errstate(all="raise", under="ignore"):
        _, weights = attend(1e3 * query.astype("float32"), features.astype("float32"))
    expect("what shares add up to", weights.sum(axis=1), [1, 1, 1], "the largest score is subtracted first", 1e-5)
    assert weights.dtype == "float32", "float32 is lost"


check_attend()

# %% role="tests" grade_id="rnn-lstm-attend-tests" points=3
# Graded by hidden checks: weights and context, one place, one dimension, large scores, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.attend(attend)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Where does a query look? In a scene of three objects, each place is a block of 4×4 pixels, and its feature is its mean colour, as it differs from that of the whole image.
# We ask for one colour after the other.

# %%
scene = make_scenes(1, seed=273, target="caption", max_objects=3)
blocks = scene.X[0].reshape(3, 16, 4, 16, 4).mean(axis=(2, 4)).reshape(3, -1).T
features = blocks - blocks.mean(axis=0)
queries = {"red": [1, -1, -1], "green": [-1, 1, -1], "blue": [-1, -1, 1]}
fig, axes = plt.subplots(1, 4, figsize=(8, 2.4))
axes[0].imshow(scene.X[0].transpose(1, 2, 0))
axes[0].set_title("the scene")
for ax, (name, query) in zip(axes[1:], queries.items(), strict=True):
    _, weights = attend(12 * np.float32([query]), features[None])
    ax.imshow(weights.reshape(16, 16), cmap="gray")
    ax.set_title(f"asked for {name}")
for ax in axes:
    ax.set_axis_off()
print(read_caption(scene.captions[0]))
describe(fig, "A scene of coloured shapes, and three maps of attention, each bright where its colour is.")

# %% [markdown] role="locked"
# ## A long memory
#
# Now to what plain networks can't do.
# In `fovea.load("memory")` the first step of a sequence shows one of ten classes; 99 steps of noise follow; then the network is asked what it was.
# A look at the first step alone would do, but a network that reads step by step has to *carry* the answer through the noise.
#
# In this part use `torch.nn`: PyTorch's LSTM is yours, with faster loops.
# An LSTM as it comes (`nn.LSTM` has forget biases around 0) gets little further than guessing: by the factor of $10^{-30}$ above, it cannot see that the first step matters.
# A good start makes all the difference:
#
# - forget gates open: a bias of 3 to 5, in one of the two biases that PyTorch adds up;
# - input gates rather shut: a bias of $-2$, say, so that 99 steps of noise don't pile up in the cell;
# - gradients clipped to norm 1, as a memory that works can also explode; a rate of 3e-3 to 1e-2 that shrinks to 0.
#
# If the loss still stays at $\ln 10$, the first input may be too quiet: weights of the inputs four times as large help.
# If it stays at $0.1 \cdot 2 \ln 2 \approx 0.14$, two classes are mixed up: the accuracy on the training sequences shows it, and another start helps.
# How to choose such biases from the length of the memory is worked out by C. Tallec and Y. Ollivier, "Can recurrent neural networks warp time?" (2018).
#
# **Exercise (6 points).** Write a function that trains a network on given sequences.
# The hidden check makes sequences for you and renames the classes, and lets your network read new ones: 50 % right earns 2 points, 99 % 5.
# The last point is for reading in pieces: state in, state out, so that a sequence cut anywhere gets the same answer.

# %% role="solution" grade_id="rnn-lstm-long-memory"
class Reader(nn.Module):
    """An LSTM that reads sequences, and scores for classes after the last step."""

    def __init__(self, num_inputs, hidden_size, num_classes):
        super().__init__()
        ### BEGIN SOLUTION
        self.lstm = nn.LSTM(num_inputs, hidden_size, batch_first=True)
        self.head = nn.Linear(hidden_size, num_classes)
        with torch.no_grad():
            # PyTorch's order is i, f, g, o, and it adds up two biases
            i, f, _, _ = self.lstm.bias_ih_l0.view(4, hidden_size)
            i -= 2
            f += 5
            self.lstm.weight_ih_l0 *= 4
        ### END SOLUTION

    def forward(self, X, state=None):
        """Return (logits, state), as long_memory's module does."""
        ### BEGIN SOLUTION
        h, state = self.lstm(X, state)
        return self.head(h[:, -1]), state
    ### END SOLUTION


def long_memory(X_train, y_train, seed):
    """Return a trained torch.nn.Module that reads sequences and remembers.

    X_train: (N, T, D) float32 and y_train: (N,) int64, 0 to 9, tensors, not changed; N is
    2000, T is 100, D is 10. seed: an int for whatever you draw at random. At most 90
    seconds on a CPU.

    The module is on the CPU. It takes X (M, T', D), any M, T' >= 1, and a state, None at
    the beginning of sequences, and returns (logits (M, 10), state): the logits after the
    last of these steps, and what is to be given with the next piece of the same
    sequences. A state is a tensor, or a tuple of tensors, of at most 256 numbers for each
    sequence. Sequences that are read in pieces, or alone, get the same logits.
    """
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    # now and then two classes stay mixed up: then another start is tried
    for _ in range(3):
        net = Reader(X_train.shape[2], 32, 10)
        optimizer, num_epochs = torch.optim.Adam(net.parameters()), 20
        for epoch in range(num_epochs):
            optimizer.param_groups[0]["lr"] = 0.006 * (1 - epoch / num_epochs)
            for batch in torch.randperm(len(X_train)).split(64):
                loss = F.cross_entropy(net(X_train[batch])[0], y_train[batch])
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1)
                optimizer.step()
        with torch.no_grad():
            accuracy = (net(X_train)[0].argmax(1) == y_train).float().mean()
        if accuracy > 0.995:
            break
    return net
    ### END SOLUTION


# %% role="locked"
# Open check
def check_long_memory():
    data, start = fovea.load("memory", num_classes=10), perf_counter()
    net = long_memory(torch.tensor(data.train.X), torch.tensor(data.train.y), seed=0)
    seconds, X = perf_counter() - start, torch.tensor(data.val.X)
    with torch.no_grad():
        logits, _ = net(X, None)
        _, state = net(X[:, :40], None)
        in_pieces, _ = net(X[:, 40:], state)
    expect("logits of sequences read in two pieces", in_pieces, logits, "the state that comes in and goes out", 1e-3)
    accuracy = (logits.argmax(1).numpy() == data.val.y).mean()
    assert accuracy >= 0.99, f"{accuracy:.1%} of the validation sequences are right, not 99 %"
    return f"{accuracy:.1%} of the validation sequences are right, after {seconds:.1f} s"


check_long_memory()

# %% role="tests" grade_id="rnn-lstm-long-memory-tests" points=6
# Graded by hidden checks: the share of new sequences named right; sequences read in pieces and alone. Training is stopped after 240 seconds.
### BEGIN HIDDEN TESTS
from grader.checks import rnn_lstm
rnn_lstm.long_memory(long_memory)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# How far does it carry? The cell below trains a network for longer sequences with `fovea.fit`, which moves it to a GPU where there is one: there 400 steps and more units, here 40.

# %%
# To look at
class LastLogits(nn.Module):
    """A reader for `fovea.fit`: logits alone, whole sequences."""

    def __init__(self, reader):
        super().__init__()
        self.reader = reader

    def forward(self, X):
        return self.reader(X)[0]


device = fovea.choose_device()
length, hidden_size, num_epochs = (40, 32, 6) if device.type == "cpu" else (400, 128, 60)
data = fovea.load("memory", num_classes=10, length=length, num_train=2_000 if device.type == "cpu" else 10_000)
net = LastLogits(Reader(10, hidden_size, 10))
history = fovea.fit(net, data, num_epochs=num_epochs, batch_size=64, lr=0.006, schedule="cosine", clip_norm=1, device=device, show=False)
print(f"{length} steps on {device}: {fovea.evaluate(net, data.test).metric:.1%} of the test sequences are right")

# %% [markdown] role="locked"
# **Exercise (3 points, graded by a person).** Do the same with a plain `nn.RNN` of as many units, and with the LSTM as PyTorch starts it, on 100 steps, with your training otherwise unchanged.
# Plot the loss of all three against the epoch in one figure, with $\ln 10$, the loss of guessing, as a line.
# Add a sentence, as a comment, that explains the two that fail with the section on forgetting.

# %% role="manual" grade_id="rnn-lstm-against-rnn" points=3
### BEGIN SOLUTION
class PlainRNN(Reader):
    def __init__(self):
        super().__init__(10, 32, 10)
        self.lstm = nn.RNN(10, 32, batch_first=True)


class PlainLSTM(Reader):
    def __init__(self):
        super().__init__(10, 32, 10)
        self.lstm = nn.LSTM(10, 32, batch_first=True)


data = fovea.load("memory", num_classes=10, num_train=1000)
fig, ax = plt.subplots()
for name, reader in {"RNN": PlainRNN(), "LSTM as it comes": PlainLSTM(), "LSTM, good start": Reader(10, 32, 10)}.items():
    history = fovea.fit(LastLogits(reader), data.train, num_epochs=15, batch_size=32, lr=0.006, schedule="cosine", clip_norm=1, show=False)
    ax.plot(history.train_loss, label=name)
ax.axhline(np.log(10), color="grey", linestyle=":", label="guessing")
ax.set(title="Only the LSTM with open forget gates learns all", xlabel="epoch", ylabel="train loss")
ax.legend()
describe(ax, "The loss of the LSTM with open gates falls to 0; those of the RNN and of the usual LSTM stay high.")
# From the last step to the first, the RNN's gradient is multiplied by W_h and a slope below 1 a
# hundred times, that of the usual LSTM by forget gates near 1/2: both vanish, so neither finds
# out what the first step tells. (The RNN may get below ln 10: units that saturate can hold a
# sign, and so tell two groups of classes apart. Then it is stuck.)
# (1 point each: the three curves; the line; the reason.)
### END SOLUTION

# %% [markdown] role="locked"
# ## What we learned
#
# A recurrent network is a deep one whose layers share their weights: gradients add up where a state or a weight is used again, and shrink or grow by the same factor at each step.
# The LSTM's cell is multiplied by a gate instead of a matrix, so its start decides how far it remembers.
# With words as vectors, a loss for each step and a temperature, it writes; with attention, it looks.
#
# To go on:
#
# 1. Add the GRU (K. Cho and others, 2014), forwards and backwards: two gates, no cell. Does it pass the memory test?
# 2. Feed the writer `fovea.load("shakespeare")`, with longer pieces and more units, and `torch.nn` for speed.
# 3. Put `attend` behind a small ConvNet and in front of an LSTM, and let it learn the captions from the images. Do its maps show what the word names?
