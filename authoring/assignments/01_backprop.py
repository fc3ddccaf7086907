# %% [markdown] role="locked"
# # Assignment 1: backprop by hand
#
# In this assignment you write a small neural network library, every line of it: layers that run forwards and backwards, losses, an automatic differentiator, and the loop that trains.
# At the end your own layers read handwritten digits.
#
# - You will be able to derive and code the gradient of any layer, prove it right with numbers, and say why a deep stack of sigmoids doesn't learn.
# - You need lecture 1, NumPy, and the chain rule.
# - It takes an evening or two of thinking; the whole notebook computes in under 25 seconds on a laptop CPU.
#
# Each exercise has a function to fill in, *open checks* to run as often as you like, and a graded cell.
# Hidden checks grade what the docstring promises, over all of the range that it promises, and nothing else.
# An answer may be written in any way that keeps the promise.

# %%
import matplotlib.pyplot as plt
import numpy as np

from fovea.data import load
from fovea.open_checks import expect
from fovea.personal import current_student, personal_rng
from fovea.plotting import describe, draw_graph, use_style

use_style()

# %% [markdown] role="locked"
# The open checks share two helpers.
# `expect` compares, and tells what arrived, what was expected, and what to look at.
# `expect_promises` tries the promises that *every* layer of this assignment makes: float32 in gives float32 out, nothing that was given is changed, a batch of one works, and `backward` leaves its cache alone, so that a second call agrees with the first.

# %% role="locked"
def expect_promises(forward, backward, *inputs):
    """Try one sample in float32: dtypes, inputs and cache left alone."""
    inputs = [array.astype(np.float32) for array in inputs]
    before = [array.copy() for array in inputs]
    out, cache = forward(*inputs)
    assert out.dtype == np.float32, f"forward makes {out.dtype} of float32"
    dout = np.ones_like(out)
    first = backward(dout, cache)
    first = [first.copy()] if isinstance(first, np.ndarray) else list(map(np.copy, first))
    second = backward(dout, cache)
    second = [second] if isinstance(second, np.ndarray) else second
    for grad, again in zip(first, second, strict=True):
        assert grad.dtype == np.float32, f"backward makes {grad.dtype} of float32"
        expect("backward, called a second time", again, grad, "what changes the cache")
    for now, then in zip([*inputs, dout], [*before, np.ones_like(out)], strict=True):
        expect("an input, after the calls", now, then, "what is written in place")


# %% [markdown] role="locked"
# ## The judge: numerical gradients
#
# How will you know that a gradient is right?
# The definition of a derivative is a judge that knows nothing of your formulas: move one entry of $x$ a little up and a little down, and see how far $f$ moves.
#
# $$\frac{\partial f}{\partial x_i} \approx \frac{f(x + h\,e_i) - f(x - h\,e_i)}{2h}$$
#
# Take $f(x) = x^2$ at $x = 3$ with $h = 0.1$: $(9.61 - 8.41) / 0.2 = 6$.
# The two-sided difference is off by a multiple of $h^2$, the one-sided by a multiple of $h$; for $x^3$ the first is off by exactly $h^2$.
#
# **Exercise (3 points).** Write the judge.
# Beware of two traps: adding $h$ and taking it away again does not always give back the number you started from, and flattening an array sometimes makes a copy of it.

# %% role="solution" grade_id="backprop-numerical-gradient"
def numerical_gradient(f, x, h=1e-5):
    """Estimate the gradient of f at x by central differences.

    f: takes an array like x and returns one number, which depends on its argument alone
    x: float64, any shape with at least one axis, contiguous in memory or not
       (transposed, every other row, ...)
    h: the step

    Returns a new float64 array shaped like x: (f(x + h e_i) - f(x - h e_i)) / (2 h).
    Afterwards x holds what it held before, to the last bit.
    """
    ### BEGIN SOLUTION
    grad = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[index] += h
        down[index] -= h
        grad[index] = (f(up) - f(down)) / (2 * h)
    return grad
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_numerical_gradient():
    square = numerical_gradient(lambda a: (a**2).sum(), np.array([3.0]), h=0.1)
    expect("x squared at 3", square, [6.0], "both sides of x, divided by 2h")
    cube = numerical_gradient(lambda a: (a**3).sum(), np.array([2.0]), h=0.1)
    expect("x cubed at 2 with h = 0.1", cube, [12.01], "the h that was given")
    x = np.arange(6.0).reshape(2, 3).T
    before = x.copy()
    grad = numerical_gradient(lambda a: (a**2).sum(), x)
    expect("a transposed x", grad, 2 * before, "views and copies")
    assert (x == before).all(), "x is not what it was, to the last bit"


check_numerical_gradient()

# %% role="tests" grade_id="backprop-numerical-gradient-tests" points=3
# Graded by hidden checks: the promises of the docstring, on shapes and functions of our choice.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.numerical_gradient(numerical_gradient)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## A graph by hand
#
# Backprop is the chain rule, kept in order: values flow forwards, derivatives of the last value flow backwards, and where a value was used twice, its derivatives add up.
# Do it once with a pencil, and the code of the rest will write itself.
#
# The graph below is one unit with a shortcut: $p = wx$, $q = p + b$, $r = \max(0, q)$, $s = r + x$, $e = s - t$, and the loss is $L = e^2$.
# The numbers are drawn for you alone, from your name.
# If your course gave you an id, write it in place of `current_student()`; learning alone, take any name you like.

# %%
student = current_student()


# %% role="locked"
def worksheet_numbers(student):
    """The numbers at the leaves of this student's graph."""
    rng = personal_rng(student, "backprop-worksheet")
    x, w = int(rng.integers(2, 5)), int(rng.integers(5, 10))
    b, t = -int(rng.integers(1, 4)), w * x - int(rng.integers(3, 7))
    return {"x": x, "w": w, "b": b, "t": t}


def draw_worksheet(numbers):
    """The graph, with numbers at its leaves."""
    places = {"w": (0, 2), "x": (0, 0.9), "p": (1, 1.5), "b": (1, 2.5), "q": (2, 1.5)}
    places |= {"r": (3, 1.5), "s": (4, 0.9), "t": (4, 2), "e": (5, 0.9), "L": (6, 0.9)}
    _, ax = plt.subplots()
    draw_graph(ax, places, ["wp", "xp", "pq", "bq", "qr", "rs", "xs", "se", "te", "eL"], numbers, {})
    shown = ", ".join(f"{name} = {number}" for name, number in numbers.items())
    return describe(ax, f"w and x lead to p, p and b to q, q to r, r and x to s, s and t to e, e to L. {shown}.")

# %%
# To look at: the graph with your numbers
draw_worksheet(worksheet_numbers(student))

# %% [markdown] role="locked"
# **Exercise (6 points).** Fill in the values, and the derivative of $L$ with respect to every node: `dp` stands for $\partial L / \partial p$.
# A tiny case to warm up: with $r = 1$, $x = 2$, $t = 1$ we get $s = 3$, $e = 2$, $L = 4$, and from the right $de = 2e = 4$, $ds = 4$, $dt = -4$.
# Return a dict with numbers in place of the dots, and leave `"student": student` as it is:
#
# ```python
# return {
#     "student": student,
#     "p": ..., "q": ..., "r": ..., "s": ..., "e": ..., "L": ...,
#     "de": ..., "ds": ..., "dt": ..., "dr": ..., "dq": ..., "dp": ...,
#     "db": ..., "dw": ..., "dx": ...,
# }
# ```

# %% role="solution" grade_id="backprop-worksheet"
def worksheet():
    """Return the values and the derivatives of your graph, worked out by hand."""
    ### BEGIN SOLUTION
    x, w, b, t = worksheet_numbers(student).values()
    p = w * x
    q = p + b
    r = max(0, q)
    s = r + x
    e = s - t
    de = 2 * e
    ds, dt = de, -de
    dr = ds
    dq = dr
    dp = db = dq
    dw, dx = dp * x, dp * w + ds
    values = {"p": p, "q": q, "r": r, "s": s, "e": e, "L": e**2}
    grads = {"de": de, "ds": ds, "dt": dt, "dr": dr, "dq": dq, "dp": dp}
    return {"student": student, **values, **grads, "db": db, "dw": dw, "dx": dx}
    ### END SOLUTION


# %% role="locked"
# Open check: is everything there? (Whether it is right, you decide with a pencil.)
def check_worksheet():
    names = {"student", *"pqrseL", "de", "ds", "dt", "dr", "dq", "dp", "db", "dw", "dx"}
    filled_in = worksheet()
    missing, extra = sorted(names - {*filled_in}), sorted({*filled_in} - names)
    assert not missing, f"missing: {missing}"
    assert not extra, f"not asked for: {extra}"
    for name in sorted(names - {"student"}):
        number = isinstance(filled_in[name], int | float | np.number)
        assert number, f"{name} is {filled_in[name]!r}, which is not a number"
    return f"All there, for {filled_in['student']!r}. Is that your id in the course?"


check_worksheet()

# %% role="tests" grade_id="backprop-worksheet-tests" points=6
# Graded by hidden checks: values, the derivatives along the chain, dw, and dx.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.worksheet(worksheet)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## The affine layer
#
# What does a layer need to know to run backwards?
# From the right comes `dout`, the derivative of the loss with respect to the layer's output; out go the derivatives with respect to all its inputs.
# Whatever else the formula needs, `forward` puts into a cache: that is between the two of them, and nobody else looks inside.
#
# An affine layer flattens each sample to a row and computes $Y = XW + b$.
# The shapes leave one way only to combine them:
#
# $$dX = dY\,W^\top, \qquad dW = X^\top dY, \qquad db = \textstyle\sum_n dY_n$$
#
# With $X = (1\;2)$, $W = (3\;4)^\top$, $b = 5$ the output is $3 + 8 + 5 = 16$; for $dY = 1$ we get $dX = (3\;4)$, $dW = (1\;2)^\top$, $db = 1$.
#
# **Exercise (2 points).** Go forwards.

# %% role="solution" grade_id="backprop-affine-forward"
def affine_forward(x, w, b):
    """Return (out, cache), where out is the flattened x times w, plus b.

    x: (N, d1, ..., dk) with N >= 1, k >= 1; a sample has D = d1 * ... * dk entries
    w: (D, M)
    b: (M,)

    out is (N, M). x, w and b share one dtype, float32 or float64; out has it too.
    A sample is flattened row by row, as `reshape` does. Nothing that is given changes,
    shapes included. cache is whatever affine_backward needs.
    """
    ### BEGIN SOLUTION
    out = x.reshape(len(x), -1) @ w + b
    return out, (x, w)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_affine_forward():
    x, w, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([5.0])
    out, _ = affine_forward(x, w, b)
    expect("the tiny case", out, [[16.0]], "x w + b")
    images = np.arange(12.0).reshape(2, 2, 3)
    out, _ = affine_forward(images, np.eye(6), np.zeros(6))
    expect("two images of 2 x 3", out, images.reshape(2, 6), "how x is flattened")
    assert images.shape == (2, 2, 3), "the caller's x has another shape now"
    out, _ = affine_forward(*(array.astype(np.float32) for array in (x, w, b)))
    assert out.dtype == np.float32, f"float32 became {out.dtype}"


check_affine_forward()

# %% role="tests" grade_id="backprop-affine-forward-tests" points=2
# Graded by hidden checks: values for x with two to five axes, one sample, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.affine_forward(affine_forward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# **Exercise (5 points).** Go backwards.
# The bias was added to every sample, so it was used $N$ times: its derivatives add up.

# %% role="solution" grade_id="backprop-affine-backward"
def affine_backward(dout, cache):
    """Return (dx, dw, db), the gradients of the loss.

    dout: (N, M), the gradient with respect to affine_forward's out
    cache: what affine_forward returned beside out

    dx has the shape of x, (N, d1, ..., dk); dw is (D, M); db is (M,).
    float32 in gives float32 out, and so for float64. dout and cache stay as they are:
    a second call returns the same, also if affine_forward ran on other data meanwhile.
    """
    ### BEGIN SOLUTION
    x, w = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    return dx, dw, dout.sum(axis=0)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_affine_backward():
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(3, 2, 2)), rng.normal(size=(4, 5)), rng.normal(size=5)
    dout = rng.normal(size=(3, 5))
    dx, dw, db = affine_backward(dout, affine_forward(x, w, b)[1])
    wanted = numerical_gradient(lambda a: (affine_forward(a, w, b)[0] * dout).sum(), x)
    expect("dx against the judge", dx, wanted, "dout, w, and the shape of x")
    wanted = numerical_gradient(lambda a: (affine_forward(x, a, b)[0] * dout).sum(), w)
    expect("dw against the judge", dw, wanted, "the flattened x, and dout")
    wanted = numerical_gradient(lambda a: (affine_forward(x, w, a)[0] * dout).sum(), b)
    expect("db against the judge", db, wanted, "the sum over the batch")
    expect_promises(affine_forward, affine_backward, x[:1], w, b)


check_affine_backward()

# %% role="tests" grade_id="backprop-affine-backward-tests" points=5
# Graded by hidden checks: dx, dw, db each by itself; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.affine_backward(affine_forward, affine_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Activations
#
# Without something bent between them, two affine layers are one affine layer.
# An activation works on each entry by itself, so its backward pass is short: $dx = f'(x) \cdot dout$.
# The functions below take `x` of any shape with at least one axis, float32 or float64, and return the same shape and dtype.
# Their slopes at exactly 0 are a matter of taste, and are not tested.
# All that `backward` needs travels in the cache: `forward` may run on other data before `backward` is called.
#
# ReLU, $\max(0, x)$, lets pass what is positive: for $x = (-1, 2)$ and $dout = (10, 20)$, out is $(0, 2)$ and $dx = (0, 20)$.
#
# **Exercise (2 points).** Write ReLU, and leave what you were given as it was.

# %% role="solution" grade_id="backprop-relu-forward"
def relu_forward(x):
    """Return (out, cache) with out = max(0, x), shaped like x and of its dtype.

    x: any shape with at least one axis, float32 or float64; it is not changed.
    """
    ### BEGIN SOLUTION
    return np.maximum(0, x), x
    ### END SOLUTION


# %% role="solution" grade_id="backprop-relu-backward"
def relu_backward(dout, cache):
    """Return dx, shaped like dout and of its dtype; dout and cache are not changed."""
    ### BEGIN SOLUTION
    return dout * (cache > 0)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_relu():
    out, cache = relu_forward(np.array([-1.0, 2.0]))
    expect("relu of (-1, 2)", out, [0.0, 2.0], "max(0, x)")
    dx = relu_backward(np.array([10.0, 20.0]), cache)
    expect("its gradient", dx, [0.0, 20.0], "where x, not dout, is positive")
    expect_promises(relu_forward, relu_backward, np.array([[-1.0, 2.0]]))


check_relu()

# %% role="tests" grade_id="backprop-relu-forward-tests" points=1
# Graded by hidden checks: values for any shape; float32, x unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.relu_forward(relu_forward)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-relu-backward-tests" points=1
# Graded by hidden checks: values for any shape; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.relu_backward(relu_forward, relu_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# The sigmoid, $\sigma(x) = 1 / (1 + e^{-x})$, squeezes every number into $(0, 1)$, and its slope is $\sigma(x)\,(1 - \sigma(x))$: at $x = 0$ it is $\frac12 \cdot \frac12 = \frac14$, and that is the steepest it gets.
#
# The formula as it stands overflows: $e^{1000}$ is no floating point number.
# For $x < 0$ multiply numerator and denominator by $e^{x}$, and only harmless powers are left: $\sigma(x) = e^{x} / (1 + e^{x})$.
#
# **Exercise (3 points).** Write the sigmoid so that pre-activations of $\pm 1000$ give finite values without a warning.

# %% role="solution" grade_id="backprop-sigmoid-forward"
def sigmoid_forward(x):
    """Return (out, cache) with out = 1 / (1 + exp(-x)), shaped like x and of its dtype.

    x: any shape with at least one axis, float32 or float64, entries within +-1e3;
    it is not changed, and NumPy does not warn.
    """
    ### BEGIN SOLUTION
    small = np.exp(-np.abs(x))
    out = np.where(x < 0, small, 1) / (1 + small)
    return out.astype(x.dtype), out
    ### END SOLUTION


# %% role="solution" grade_id="backprop-sigmoid-backward"
def sigmoid_backward(dout, cache):
    """Return dx, shaped like dout and of its dtype; dout and cache are not changed.

    Finite and without a warning for x within +-1e3.
    """
    ### BEGIN SOLUTION
    return (dout * cache * (1 - cache)).astype(dout.dtype)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_sigmoid():
    out, cache = sigmoid_forward(np.array([0.0, np.log(3.0)]))
    expect("sigmoid of (0, log 3)", out, [0.5, 0.75], "1 / (1 + exp(-x))")
    dx = sigmoid_backward(np.array([4.0, 16.0]), cache)
    expect("its gradient", dx, [1.0, 3.0], "dout * out * (1 - out)")
    with np.errstate(all="raise", under="ignore"):
        out, cache = sigmoid_forward(np.array([-1000.0, 1000.0]))
    expect("sigmoid of (-1000, 1000)", out, [0.0, 1.0], "exp of a large number")
    expect_promises(sigmoid_forward, sigmoid_backward, np.array([[-1.0, 2.0]]))


check_sigmoid()

# %% role="tests" grade_id="backprop-sigmoid-forward-tests" points=1
# Graded by hidden checks: values for any shape; float32, x unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.sigmoid_forward(sigmoid_forward)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-sigmoid-backward-tests" points=1
# Graded by hidden checks: values for any shape; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.sigmoid_backward(sigmoid_forward, sigmoid_backward)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-sigmoid-stability-tests" points=1
# Graded by hidden checks: both functions, for pre-activations up to 1000 on either side.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.sigmoid_stability(sigmoid_forward, sigmoid_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# The hyperbolic tangent is a sigmoid stretched to $(-1, 1)$, $\tanh x = 2\sigma(2x) - 1$, and so it is centred on zero.
# Its slope is $1 - \tanh^2 x$: at $x = 0$ that is $1$, four times the sigmoid's.
#
# The leaky ReLU keeps a slope of $0.1$ on the negative side, so that no unit is ever dead: $x = (-1, 2)$ gives $(-0.1, 2)$, and $dout = (10, 20)$ gives $dx = (1, 20)$.
#
# **Exercise (4 points).** Write both pairs.

# %% role="solution" grade_id="backprop-tanh-forward"
def tanh_forward(x):
    """Return (out, cache) with out = tanh(x), shaped like x and of its dtype.

    x: any shape with at least one axis, float32 or float64, entries within +-1e3;
    it is not changed, and NumPy does not warn.
    """
    ### BEGIN SOLUTION
    out = np.tanh(x)
    return out, out
    ### END SOLUTION


# %% role="solution" grade_id="backprop-tanh-backward"
def tanh_backward(dout, cache):
    """Return dx, shaped like dout and of its dtype; dout and cache are not changed.

    Finite and without a warning for x within +-1e3.
    """
    ### BEGIN SOLUTION
    return dout * (1 - cache**2)
    ### END SOLUTION


# %% role="solution" grade_id="backprop-leaky-relu-forward"
def leaky_relu_forward(x):
    """Return (out, cache) with out = x where x > 0, else 0.1 x; shape and dtype of x.

    x: any shape with at least one axis, float32 or float64; it is not changed.
    """
    ### BEGIN SOLUTION
    return np.where(x > 0, x, 0.1 * x), x
    ### END SOLUTION


# %% role="solution" grade_id="backprop-leaky-relu-backward"
def leaky_relu_backward(dout, cache):
    """Return dx, shaped like dout and of its dtype; dout and cache are not changed."""
    ### BEGIN SOLUTION
    return np.where(cache > 0, dout, 0.1 * dout)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_tanh_and_leaky_relu():
    out, cache = tanh_forward(np.array([0.0, np.log(3.0)]))
    expect("tanh of (0, log 3)", out, [0.0, 0.8], "(e^x - e^-x) / (e^x + e^-x)")
    dx = tanh_backward(np.array([5.0, 100.0]), cache)
    expect("its gradient", dx, [5.0, 36.0], "dout * (1 - out squared)")
    with np.errstate(all="raise", under="ignore"):
        out, _ = tanh_forward(np.array([-1000.0, 1000.0]))
    expect("tanh of (-1000, 1000)", out, [-1.0, 1.0], "exp of a large number")
    out, cache = leaky_relu_forward(np.array([-1.0, 2.0]))
    expect("leaky relu of (-1, 2)", out, [-0.1, 2.0], "the slope 0.1 where x < 0")
    dx = leaky_relu_backward(np.array([10.0, 20.0]), cache)
    expect("its gradient", dx, [1.0, 20.0], "the slope 0.1 where x < 0")
    x = np.array([[-1.0, 2.0]])
    expect_promises(tanh_forward, tanh_backward, x)
    expect_promises(leaky_relu_forward, leaky_relu_backward, x)


check_tanh_and_leaky_relu()

# %% role="tests" grade_id="backprop-tanh-forward-tests" points=1
# Graded by hidden checks: values for any shape, x up to 1000 on either side; float32, x unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.tanh_forward(tanh_forward)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-tanh-backward-tests" points=1
# Graded by hidden checks: values for any shape, x up to 1000 on either side; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.tanh_backward(tanh_forward, tanh_backward)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-leaky-relu-forward-tests" points=1
# Graded by hidden checks: values for any shape; float32, x unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.leaky_relu_forward(leaky_relu_forward)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-leaky-relu-backward-tests" points=1
# Graded by hidden checks: values for any shape; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.leaky_relu_backward(leaky_relu_forward, leaky_relu_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# A maxout unit has no fixed shape at all: it takes the largest of $K$ affine pieces, and learns its own bend.
# The affine layer before it makes the pieces; `maxout` takes the maximum over the last axis.
#
# Backwards, the gradient goes to the piece that won: $x = (1, 5, 2)$ with $dout = 7$ gives $dx = (0, 7, 0)$.
# If several pieces tie, what they get must add up to `dout`: all to one of them, or shared among them.
# Handing the whole of it to each would invent gradient from nothing.
#
# **Exercise (3 points).** Write maxout.

# %% role="solution" grade_id="backprop-maxout-forward"
def maxout_forward(x):
    """Return (out, cache) with out the maximum over the last axis of x.

    x: (..., K), with one axis or more before the last, K >= 1, float32 or float64;
    it is not changed. out: (...), of x's dtype.
    """
    ### BEGIN SOLUTION
    return x.max(axis=-1), x
    ### END SOLUTION


# %% role="solution" grade_id="backprop-maxout-backward"
def maxout_backward(dout, cache):
    """Return dx (..., K), of dout's dtype; dout (...) and cache are not changed.

    Where entries of x tie for the maximum, their gradients are not of opposite sign
    to dout, and add up to it; all other entries get 0.
    """
    ### BEGIN SOLUTION
    winners = cache == cache.max(axis=-1, keepdims=True)
    share = winners / winners.sum(axis=-1, keepdims=True)
    return (dout[..., None] * share).astype(dout.dtype)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_maxout():
    out, cache = maxout_forward(np.array([[1.0, 5.0, 2.0], [3.0, 0.0, -1.0]]))
    expect("the larger pieces", out, [5.0, 3.0], "the maximum over the last axis")
    dx = maxout_backward(np.array([7.0, 8.0]), cache)
    expect("their gradient", dx, [[0, 7, 0], [8, 0, 0]], "which piece won")
    _, cache = maxout_forward(np.array([[4.0, 4.0, 1.0]]))
    dx = maxout_backward(np.array([6.0]), cache)
    expect("a tie, added up", dx.sum(axis=-1), [6.0], "what tied pieces get together")
    expect_promises(maxout_forward, maxout_backward, np.array([[-1.0, 2.0]]))


check_maxout()

# %% role="tests" grade_id="backprop-maxout-forward-tests" points=1
# Graded by hidden checks: values for two to four axes; float32, x unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.maxout_forward(maxout_forward)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-maxout-backward-tests" points=2
# Graded by hidden checks: values without and with ties; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.maxout_backward(maxout_forward, maxout_backward)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Losses
#
# A loss turns the network's output into one number to make small, and starts the way back.
# So each of these functions returns the loss and, at once, its gradient with respect to the output.
# All are means over the batch, and so their gradients carry a $1/N$.
#
# For regression we take the squared distance of each sample, and the mean over samples:
#
# $$L = \frac1N \sum_n \sum_d (\hat y_{nd} - y_{nd})^2$$
#
# With predictions $(1, 2)$ and $(3, 4)$ and targets $(1, 0)$ and $(0, 4)$ the two samples cost $4$ and $9$, so $L = 6.5$.
#
# **Exercise (2 points).** Note what is *not* there: no $\frac12$, and no mean over $d$.

# %% role="solution" grade_id="backprop-l2-loss"
def l2_loss(pred, target):
    """Return (loss, dpred): the mean over the batch of the summed squared differences.

    pred, target: (N, D) with N, D >= 1, both float32 or both float64; not changed.
    loss: a number (any float). dpred: (N, D), of pred's dtype.
    """
    ### BEGIN SOLUTION
    difference = pred - target
    return (difference**2).sum() / len(pred), 2 * difference / len(pred)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_l2_loss():
    pred, target = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [0.0, 4.0]])
    loss, dpred = l2_loss(pred, target)
    expect("the tiny case", loss, 6.5, "the sum over d, the mean over n, no 1/2")
    wanted = numerical_gradient(lambda a: l2_loss(a, target)[0], pred)
    expect("dpred against the judge", dpred, wanted, "the factor 2/N and the sign")
    _, dpred = l2_loss(pred[:1].astype(np.float32), target[:1].astype(np.float32))
    assert dpred.dtype == np.float32, f"float32 became {dpred.dtype}"


check_l2_loss()

# %% role="tests" grade_id="backprop-l2-loss-tests" points=2
# Graded by hidden checks: loss, dpred, one sample, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.l2_loss(l2_loss)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# The hinge loss asks that the true class beat every other by a margin of 1, and is content from there on:
#
# $$L = \frac1N \sum_n \sum_{c \neq y_n} \max(0,\; x_{nc} - x_{n y_n} + 1)$$
#
# Scores $(2, 1.5, 3)$ with true class 0 violate twice, by $0.5$ and by $2$, so $L = 2.5$.
# Each violation pushes its own class by $+1$ and the true class by $-1$: $dx = (-2, 1, 1)$.
# How many pushes the true class gets is where most first attempts go wrong.
#
# **Exercise (4 points).** Write the hinge loss.

# %% role="solution" grade_id="backprop-svm-loss"
def svm_loss(x, y):
    """Return (loss, dx): the multi-class hinge loss with margin 1, mean over the batch.

    x: (N, C) scores, N >= 1, C >= 2, float32 or float64; y: (N,) int64 labels,
    0 <= y < C. Neither is changed. loss: a number (any float). dx: (N, C), of x's dtype.
    Scores exactly at the margin are not tested.
    """
    ### BEGIN SOLUTION
    rows = np.arange(len(x))
    margins = np.maximum(0, x - x[rows, y][:, None] + 1)
    margins[rows, y] = 0
    dx = (margins > 0).astype(x.dtype)
    dx[rows, y] = -dx.sum(axis=1)
    return margins.sum() / len(x), dx / len(x)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_svm_loss():
    loss, dx = svm_loss(np.array([[2.0, 1.5, 3.0]]), np.array([0]))
    expect("the tiny case", loss, 2.5, "the margins of the other classes")
    expect("its gradient", dx, [[-2.0, 1.0, 1.0]], "one push for each violation")
    x, y = np.random.default_rng(0).normal(size=(4, 5)), np.array([1, 0, 4, 4])
    wanted = numerical_gradient(lambda a: svm_loss(a, y)[0], x)
    expect("dx against the judge", svm_loss(x, y)[1], wanted, "the mean over the batch")
    dx = svm_loss(x.astype(np.float32), y)[1]
    assert dx.dtype == np.float32, f"float32 became {dx.dtype}"
    expect("satisfied scores", svm_loss(np.array([[9.0, 1.0]]), np.array([0]))[0], 0.0, "max(0, ...)")


check_svm_loss()

# %% role="tests" grade_id="backprop-svm-loss-tests" points=4
# Graded by hidden checks: loss, dx, one sample, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.svm_loss(svm_loss)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# The softmax loss is never content.
# It turns scores into probabilities, and asks for the true class's log-probability to rise until all the others are gone:
#
# $$\log p_c = x_c - \log \sum_j e^{x_j}$$
#
# As written, it overflows: with a score of $10^4$ the sum is infinite.
# But adding a number to all scores of a row changes no probability.
# So take away the row's largest score $m$ first: then the largest power is $e^0 = 1$, and the sum lies between 1 and $C$.
#
# $$\log p_c = (x_c - m) - \log \sum_j e^{x_j - m}$$
#
# Scores $(0, \log 3)$ have probabilities $(\frac14, \frac34)$, and so have $(10^4, 10^4 + \log 3)$.
# Each row has a level of its own; what one sample scores must not touch another.
#
# **Exercise (2 points).** Write the log-softmax.

# %% role="solution" grade_id="backprop-log-softmax"
def log_softmax(x):
    """Return the logarithm of each row's softmax, (N, C), of x's dtype.

    x: (N, C) scores, N, C >= 1, float32 or float64, entries within +-1e4; not changed.
    Finite and without a warning in all of that range, also where rows differ much.
    (In float32 at 1e4, float32's own accuracy is enough.)
    """
    ### BEGIN SOLUTION
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_log_softmax():
    x = np.array([[0.0, np.log(3.0)]])
    wanted = np.log([[0.25, 0.75]])
    expect("the tiny case", log_softmax(x), wanted, "x - log of the sum of exp(x)")
    with np.errstate(all="raise", under="ignore"):
        got = log_softmax(np.concatenate([x + 1e4, x - 1e4]))
    wanted = np.concatenate([wanted, wanted])
    expect("rows at +-10000", got, wanted, "each row's own maximum")
    dtype = log_softmax(x.astype(np.float32)).dtype
    assert dtype == np.float32, f"float32 became {dtype}"


check_log_softmax()

# %% role="tests" grade_id="backprop-log-softmax-tests" points=2
# Graded by hidden checks: values, scores up to 10000 on either side, float32, x unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.log_softmax(log_softmax)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# The loss is the mean of $-\log p_{y_n}$.
# Its gradient is the most beautiful line of this assignment: the probabilities, minus 1 at the true class.
#
# $$\frac{\partial L}{\partial x_{nc}} = \frac{1}{N}\,\bigl(p_{nc} - [c = y_n]\bigr)$$
#
# For scores $(0, \log 3)$ with true class 0 the loss is $-\log \frac14 = \log 4$ and $dx = (-\frac34, \frac34)$.
#
# **Exercise (3 + 2 points).** Write the softmax loss.
# Two graded cells look at it: one at everyday scores, one at scores up to $\pm 10^4$, where a wrong answer may cost $2 \cdot 10^4$, but must not be infinite.

# %% role="solution" grade_id="backprop-softmax-loss"
def softmax_loss(x, y):
    """Return (loss, dx): the mean over the batch of -log softmax(x)[y], and its gradient.

    x: (N, C) scores, N, C >= 1, float32 or float64, entries within +-1e4;
    y: (N,) int64 labels, 0 <= y < C. Neither is changed.
    loss: a number (any float). dx: (N, C), of x's dtype.
    Finite and without a warning in all of that range, also where rows differ much.
    (In float32 at 1e4, float32's own accuracy is enough.)
    """
    ### BEGIN SOLUTION
    log_probs = log_softmax(x)
    rows = np.arange(len(x))
    dx = np.exp(log_probs)
    dx[rows, y] -= 1
    return -log_probs[rows, y].mean(), dx / len(x)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_softmax_loss():
    loss, dx = softmax_loss(np.array([[0.0, np.log(3.0)]]), np.array([0]))
    expect("the tiny case", loss, np.log(4.0), "minus the true class's log-probability")
    expect("its gradient", dx, [[-0.75, 0.75]], "p, minus 1 at the true class")
    x, y = np.random.default_rng(0).normal(size=(4, 5)), np.array([1, 0, 4, 4])
    wanted = numerical_gradient(lambda a: softmax_loss(a, y)[0], x)
    expect("dx against the judge", softmax_loss(x, y)[1], wanted, "the mean over the batch")
    with np.errstate(all="raise", under="ignore"):
        loss, dx = softmax_loss(np.array([[1e4, -1e4]]), np.array([1]))
    expect("a score of 10000 on the wrong class", loss, 2e4, "the log of a tiny number")
    expect("its gradient", dx, [[1.0, -1.0]], "p, minus 1 at the true class")
    dx = softmax_loss(x.astype(np.float32), y)[1]
    assert dx.dtype == np.float32, f"float32 became {dx.dtype}"


check_softmax_loss()

# %% role="tests" grade_id="backprop-softmax-loss-tests" points=3
# Graded by hidden checks: loss and dx at scores of a few units, one sample, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.softmax_loss(softmax_loss)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-softmax-loss-stability-tests" points=2
# Graded by hidden checks: loss and dx at scores up to 10000 on either side.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.softmax_loss_stability(softmax_loss)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## A machine that differentiates
#
# You have now written backward passes one by one.
# PyTorch never asks for them: it watches you compute, notes for each number where it came from and with what slope, and walks the notes backwards.
# You can have that in forty lines.
#
# A `Value` holds a number, its gradient, and its parents: pairs of a `Value` and the derivative of this one with respect to it.
# For $c = ab$ with $a = 2$, $b = 3$ the parents of $c$ are $(a, 3)$ and $(b, 2)$.
# `backward` starts with $\partial c / \partial c = 1$, and hands every node's gradient, times the slope, to its parents.
#
# The order matters: a node may pass on its gradient only when all who use it have delivered theirs.
# And every node passes on once: through the graph $a \to a + a \to \dots$, twenty times, there are $2^{20}$ paths, but only 21 nodes.
#
# **Exercise (8 points).** Complete the class; operators with plain numbers on either side are part of it.
# Four graded cells look at values, gradients, plain numbers, and large graphs.

# %% role="solution" grade_id="backprop-value"
class Value:
    """A number that remembers how it was computed.

    data: a Python float. grad: the derivative of the output with respect to this, 0.0
    before backward(). parents: pairs (Value, derivative with respect to it); how you
    keep them is up to you, the checks look at data and grad alone.

    + - * / between Values, or a Value and a plain number (int or float) on either side;
    negation; ** with a plain number; exp() tanh() relu() (slope at 0 not tested).
    Each returns a new Value. Arguments of exp and tanh are moderate, no division by 0.
    """

    def __init__(self, data, parents=()):
        self.data = float(data)
        self.grad = 0.0
        self.parents = parents

    def __add__(self, other):
        ### BEGIN SOLUTION
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, [(self, 1.0), (other, 1.0)])
        ### END SOLUTION

    def __mul__(self, other):
        ### BEGIN SOLUTION
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])
        ### END SOLUTION

    def __pow__(self, exponent):
        """exponent: a plain number, whole, negative or a fraction."""
        ### BEGIN SOLUTION
        slope = exponent * self.data ** (exponent - 1)
        return Value(self.data**exponent, [(self, slope)])
        ### END SOLUTION

    # The others follow from these. `2 - a` asks a for __rsub__, as 2 cannot answer.
    def __neg__(self):
        return self * -1.0

    def __sub__(self, other):
        ### BEGIN SOLUTION
        return self + other * -1.0
        ### END SOLUTION

    def __truediv__(self, other):
        ### BEGIN SOLUTION
        return self * (other**-1.0)
        ### END SOLUTION

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __rsub__(self, other):
        ### BEGIN SOLUTION
        return -self + other
        ### END SOLUTION

    def __rtruediv__(self, other):
        ### BEGIN SOLUTION
        return self**-1.0 * other
        ### END SOLUTION

    def exp(self):
        ### BEGIN SOLUTION
        out = float(np.exp(self.data))
        return Value(out, [(self, out)])
        ### END SOLUTION

    def tanh(self):
        ### BEGIN SOLUTION
        out = float(np.tanh(self.data))
        return Value(out, [(self, 1 - out**2)])
        ### END SOLUTION

    def relu(self):
        ### BEGIN SOLUTION
        return Value(max(0.0, self.data), [(self, float(self.data > 0))])
        ### END SOLUTION

    def backward(self):
        """Set grad of this Value to 1, and of all it was computed from to d self / d it.

        Called once, on one output. Gradients of a Value used several times add up.
        Graphs are up to 500 operations deep, and each node passes on its gradient once.
        """
        ### BEGIN SOLUTION
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            node, finished = stack.pop()
            if finished:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack += [(parent, False) for parent, _ in node.parents]
        self.grad = 1.0
        for node in reversed(order):
            for parent, slope in node.parents:
                parent.grad += slope * node.grad
        ### END SOLUTION


# %% role="locked"
# Open checks
def check_value():
    a, b = Value(2.0), Value(3.0)
    c = a * b
    c.backward()
    expect("c = ab, its data", c.data, 6.0, "the product")
    expect("c = ab, a.grad and b.grad", [a.grad, b.grad], [3.0, 2.0], "the other factor")
    a = Value(3.0)
    (a * a + a).backward()
    expect("a used three times: a.grad", a.grad, 7.0, "gradients add up")
    a = Value(2.0)
    out = (1 - a) / 4 + 8 / a - 2 * a**3
    out.backward()
    expect("plain numbers: data", out.data, -12.25, "which side the number stands on")
    expect("plain numbers: a.grad", a.grad, -26.25, "which side the number stands on")
    a, b = Value(0.0), Value(-1.0)
    (a.exp() + a.tanh() + a.relu() * 0 + b.relu()).backward()
    expect("exp and tanh at 0, relu at -1", [a.grad, b.grad], [2.0, 0.0], "slopes")


check_value()

# %% role="locked"
# Open check: a graph of 500 additions, with 2 to the power of 20 paths in its first 20
def check_value_deep():
    a = Value(1.0)
    out = a
    for step in range(500):
        out = out + (out if step < 20 else 1)
    out.backward()
    expect("a deep graph: a.grad", a.grad, 2.0**20, "the order of the walk")


check_value_deep()

# %% role="tests" grade_id="backprop-value-data-tests" points=2
# Graded by hidden checks: data, for all operations.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.value_data(Value)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-value-grad-tests" points=4
# Graded by hidden checks: gradients of each operation, of expressions, and of nodes used more than once.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.value_grad(Value)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-value-numbers-tests" points=1
# Graded by hidden checks: plain numbers on either side.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.value_numbers(Value)
### END HIDDEN TESTS

# %% role="tests" grade_id="backprop-value-deep-tests" points=1
# Graded by hidden checks: graphs 500 operations deep, with many paths.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.value_deep(Value)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Networks out of layers
#
# Now the layers click together: the `dx` of one is the `dout` of the one before it.
# A network keeps its parameters in a dict, `params`, so that whoever trains it can reach them, and `loss` returns the gradients under the same names.
#
# Our classifier is affine – ReLU – affine – softmax.
# To keep weights small, the loss also carries $\frac12 \lambda \sum W^2$ over both weight matrices, not over biases; its gradient is $\lambda W$.
# With a weight matrix $(1\;2)$, $\lambda = 0.1$, it adds $0.25$ to the loss.
#
# **Exercise (5 points).** Build it from your layers.

# %% role="solution" grade_id="backprop-two-layer-net"
class TwoLayerNet:
    """affine - ReLU - affine - softmax, for classification, in float64.

    params: W1 (input_dim, hidden_dim), b1 (hidden_dim,), W2 (hidden_dim, num_classes),
    b2 (num_classes,). Weights start normally distributed around 0 with standard
    deviation weight_scale, biases at 0. Each call of loss() works with what params
    holds then, and remembers nothing of calls before.
    """

    def __init__(self, input_dim, hidden_dim, num_classes, weight_scale=1e-3, reg=0.0):
        ### BEGIN SOLUTION
        rng = np.random.default_rng()
        self.reg = reg
        self.params = {
            "W1": weight_scale * rng.normal(size=(input_dim, hidden_dim)),
            "b1": np.zeros(hidden_dim),
            "W2": weight_scale * rng.normal(size=(hidden_dim, num_classes)),
            "b2": np.zeros(num_classes),
        }
        ### END SOLUTION

    def loss(self, X, y=None):
        """Return the scores (N, num_classes) if y is None, else (loss, grads).

        X: (N, d1, ..., dk), float64; y: (N,) int64 labels. loss is the softmax loss plus
        0.5 * reg * (sum of W1 squared + sum of W2 squared); grads is a dict of gradients
        under the names of params. X, y and params are not changed.
        """
        ### BEGIN SOLUTION
        p = self.params
        hidden, cache1 = affine_forward(X, p["W1"], p["b1"])
        active, cache2 = relu_forward(hidden)
        scores, cache3 = affine_forward(active, p["W2"], p["b2"])
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        loss += 0.5 * self.reg * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())
        dactive, dW2, db2 = affine_backward(dscores, cache3)
        _, dW1, db1 = affine_backward(relu_backward(dactive, cache2), cache1)
        dW1 += self.reg * p["W1"]
        dW2 += self.reg * p["W2"]
        return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}
        ### END SOLUTION


# %% role="locked"
# Open checks
def check_gradients(net, X, y):
    """Compare the gradients of all parameters with the judge's."""
    grads = net.loss(X, y)[1]
    assert sorted(grads) == sorted(net.params), f"gradients of {sorted(grads)}"
    for name, start in list(net.params.items()):

        def loss_at(values, name=name):
            net.params[name] = values
            return net.loss(X, y)[0]

        wanted = numerical_gradient(loss_at, start)
        net.params[name] = start
        expect(f"the gradient of {name}", grads[name], wanted, "the way back", 1e-5)


def check_two_layer_net():
    net = TwoLayerNet(4, 3, 5, weight_scale=0.5, reg=0.1)
    X, y = np.random.default_rng(0).normal(size=(6, 2, 2)), np.array([0, 1, 2, 3, 4, 4])
    shapes = {name: value.shape for name, value in net.params.items()}
    assert shapes == {"W1": (4, 3), "b1": (3,), "W2": (3, 5), "b2": (5,)}, shapes
    assert net.loss(X).shape == (6, 5), "scores are (N, num_classes)"
    net.params["b1"] += 0.1
    check_gradients(net, X, y)
    net.params = {name: 0 * value for name, value in net.params.items()}
    expect("all scores equal", net.loss(X, y)[0], np.log(5.0), "the softmax loss")
    net.params["W2"][0] = [1, 2, 0, 0, 0]
    expect("weights 1 and 2, reg 0.1", net.loss(X, y)[0], np.log(5.0) + 0.25, "0.5 reg W^2")


check_two_layer_net()

# %% role="tests" grade_id="backprop-two-layer-net-tests" points=5
# Graded by hidden checks: how it starts, scores, loss with regularization, gradients; nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.two_layer_net(TwoLayerNet)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# A network that returns its loss and its gradients can be trained by a loop that knows nothing else of it: gradient descent takes every parameter a small step against its gradient, again and again.
#
# $$\theta \leftarrow \theta - \eta \, \frac{\partial L}{\partial \theta}$$
#
# For $L = \theta^2$ from $\theta = 1$ with $\eta = 0.1$ the steps lead to $0.8$, $0.64$, $0.512$.
#
# **Exercise (2 points).** Write the loop.

# %% role="solution" grade_id="backprop-gradient-descent"
def gradient_descent(net, X, y, learning_rate, num_steps):
    """Train net on all of X and y at once; return the list of its num_steps losses.

    net: has a dict params, and loss(X, y) -> (loss, grads) as the networks here. Each
    step changes every entry of net.params by -learning_rate times its gradient at that
    moment. The loss in the list is the one before the step. X and y are not changed.
    """
    ### BEGIN SOLUTION
    losses = []
    for _ in range(num_steps):
        loss, grads = net.loss(X, y)
        losses.append(loss)
        for name in net.params:
            net.params[name] = net.params[name] - learning_rate * grads[name]
    return losses
    ### END SOLUTION


# %% role="locked"
# Open checks
class Parabola:
    """A net with one parameter, whose loss is its square."""

    def __init__(self):
        self.params = {"theta": np.array([1.0])}

    def loss(self, X, y):
        theta = self.params["theta"]
        return float((theta**2).sum()), {"theta": 2 * theta}


def check_gradient_descent():
    net = Parabola()
    losses = gradient_descent(net, None, None, learning_rate=0.1, num_steps=3)
    expect("theta after three steps", net.params["theta"], [0.512], "the step")
    expect("the losses", losses, [1.0, 0.64, 0.4096], "the loss before each step")


check_gradient_descent()

# %% role="tests" grade_id="backprop-gradient-descent-tests" points=2
# Graded by hidden checks: the losses, and the parameters afterwards, on nets of our own.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.gradient_descent(gradient_descent)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Where will Mario be in the next frame?
# We see his horizontal position in the last three frames, and predict the fourth: a regression, with two hidden layers of sigmoids in between.
#
# **Exercise (4 points).** Build the Mario network: affine 3 → hidden, sigmoid, affine hidden → hidden, sigmoid, affine hidden → 1, with `l2_loss`.
# Weights must differ from unit to unit at the start: two units with equal weights get equal gradients, and stay twins for ever.

# %% role="solution" grade_id="backprop-mario-net"
class MarioNet:
    """3 - hidden - hidden - 1 with sigmoids between, for regression, in float64.

    params: W1 (3, hidden_dim), b1 (hidden_dim,), W2 (hidden_dim, hidden_dim),
    b2 (hidden_dim,), W3 (hidden_dim, 1), b3 (1,). Weights start at random, drawn from a
    continuous distribution of your choice by seed: the same seed gives the same weights,
    another seed others. Biases start at 0. Each call of loss() works with what params
    holds then, and remembers nothing of calls before.
    """

    def __init__(self, hidden_dim, seed):
        ### BEGIN SOLUTION
        rng = np.random.default_rng(seed)
        sizes = [3, hidden_dim, hidden_dim, 1]
        self.params = {}
        for i in range(3):
            weights = rng.normal(size=(sizes[i], sizes[i + 1]))
            self.params[f"W{i + 1}"] = weights / np.sqrt(sizes[i])
            self.params[f"b{i + 1}"] = np.zeros(sizes[i + 1])
        ### END SOLUTION

    def loss(self, X, y=None):
        """Return the predictions (N, 1) if y is None, else (loss, grads).

        X: (N, 3) and y: (N, 1), float64. loss is l2_loss; grads is a dict of gradients
        under the names of params. X, y and params are not changed.
        """
        ### BEGIN SOLUTION
        p = self.params
        hidden1, cache1 = affine_forward(X, p["W1"], p["b1"])
        active1, cache2 = sigmoid_forward(hidden1)
        hidden2, cache3 = affine_forward(active1, p["W2"], p["b2"])
        active2, cache4 = sigmoid_forward(hidden2)
        pred, cache5 = affine_forward(active2, p["W3"], p["b3"])
        if y is None:
            return pred
        loss, dpred = l2_loss(pred, y)
        dactive2, dW3, db3 = affine_backward(dpred, cache5)
        dactive1, dW2, db2 = affine_backward(sigmoid_backward(dactive2, cache4), cache3)
        _, dW1, db1 = affine_backward(sigmoid_backward(dactive1, cache2), cache1)
        return loss, {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2, "W3": dW3, "b3": db3}
        ### END SOLUTION


# %% role="locked"
# Open checks
def mario_frames(num, rng):
    """Positions X (num, 3) in three frames, and y (num, 1) in the next."""
    start, speed = rng.uniform(0, 1, (num, 1)), rng.uniform(-0.3, 0.3, (num, 1))
    positions = start + speed * np.arange(4)
    return positions[:, :3], positions[:, 3:]


def check_mario_net():
    X, y = mario_frames(5, np.random.default_rng(0))
    net = MarioNet(4, seed=0)
    assert net.loss(X).shape == (5, 1), "predictions are (N, 1)"
    check_gradients(net, X, y)
    same = (net.params["W2"] == MarioNet(4, seed=0).params["W2"]).all()
    assert same, "the same seed gives other weights"
    expect("b3 at the start", net.params["b3"], [0.0], "biases start at 0")


check_mario_net()

# %% role="tests" grade_id="backprop-mario-net-tests" points=4
# Graded by hidden checks: how it starts, predictions, loss, gradients; nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.mario_net(MarioNet)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Let it learn.
# Standing still is a strong opponent: whoever predicts that Mario stays where he is has the error that is printed first.

# %%
# To look at
frames, next_frame = mario_frames(200, np.random.default_rng(1))
mario = MarioNet(16, seed=0)
mario_losses = gradient_descent(mario, frames, next_frame, learning_rate=0.3, num_steps=2000)
stay = l2_loss(frames[:, 2:], next_frame)[0]
print(f"Mario stays: {stay:.4f}   before: {mario_losses[0]:.4f}   after: {mario_losses[-1]:.4f}")

# %% [markdown] role="locked"
# A small loss says that the network continues a straight run; it has seen no wall and no jump.
#
# ## Why stacked sigmoids stop learning
#
# You trained through two sigmoids. Would it work through ten?
# Guess first: by what factor does the gradient shrink from layer to layer?
# The function below sends a batch through a stack of affine layers and activations, sends a random gradient back, and returns its size (the root of its mean square) as it arrives at each layer, the first layer first.

# %% role="locked"
def gradient_sizes(forward, backward, depth=10, width=100, weight_scale=0.1, seed=0):
    """The size of the gradient at the input of each layer, from the first to the last."""
    rng = np.random.default_rng(seed)
    x, caches = rng.normal(size=(50, width)), []
    for _ in range(depth):
        weights = weight_scale * rng.normal(size=(width, width))
        hidden, affine_cache = affine_forward(x, weights, np.zeros(width))
        x, cache = forward(hidden)
        caches.append((affine_cache, cache))
    grad, sizes = rng.normal(size=x.shape), []
    for affine_cache, cache in reversed(caches):
        grad, _, _ = affine_backward(backward(grad, cache), affine_cache)
        sizes.append(np.sqrt((grad**2).mean()))
    return sizes[::-1]


# %% [markdown] role="locked"
# **Exercise (2 points, graded by a person).** Plot the sizes against the layer for sigmoid, tanh and ReLU, in one figure that a reader understands by itself: a scale on which all three can be read, named axes, and curves that one can tell apart.

# %% role="manual" grade_id="backprop-vanishing-plot" points=2
### BEGIN SOLUTION
pairs = {
    "sigmoid": (sigmoid_forward, sigmoid_backward),
    "tanh": (tanh_forward, tanh_backward),
    "ReLU": (relu_forward, relu_backward),
}
_, ax = plt.subplots()
for name, (forward, backward) in pairs.items():
    ax.semilogy(range(1, 11), gradient_sizes(forward, backward), marker="o", label=name)
ax.set(xlabel="layer", ylabel="size of the gradient", title="Ten sigmoids leave next to nothing")
ax.minorticks_off()
ax.legend()
describe(ax, "On a logarithmic axis the sigmoid's gradient falls by a constant factor from layer 10 to layer 1, by about six orders of magnitude; tanh and ReLU lose far less.")
### END SOLUTION

# %% [markdown] role="locked"
# **Exercise (4 points, graded by a person).** Explain the figure in about a hundred words.
# From which property of the sigmoid does the slope of its curve follow, and what bound per layer can you derive?
# Why do tanh and ReLU fare better?
# What happens to the first layers' weights during training, and would larger initial weights cure it?

# %% [markdown] role="manual" grade_id="backprop-vanishing-why" points=4
# ### BEGIN SOLUTION
# Going back through a layer multiplies the gradient by $\sigma'(q)$ at each unit and by the weights.
# The slope $\sigma(1 - \sigma)$ is at most $\frac14$, so with weights of norm about 1 each layer keeps at most a quarter: a straight line on the logarithmic axis, and after ten layers at most $4^{-10} \approx 10^{-6}$ of the gradient.
# Tanh has slope up to 1 near 0, where it is centred; ReLU has slope 1 wherever it is active, and loses only the half of its units that are silent.
# The first layers hardly move, so the network trains only its last layers on top of random features.
# Larger weights undo the factor at first, but they also push units into saturation, where the slope is near 0, so the cure lies in other activations, initialization and normalization.
# (1 point each: the bound of a quarter; product over layers, hence a line; tanh and ReLU; consequence and why larger weights saturate.)
# ### END SOLUTION

# %% [markdown] role="locked"
# ## All together: reading digits
#
# Everything is in place: layers, a loss, a network, a loop.
# Here are 8×8 images that people wrote by hand.

# %%
digits = load("digits")
digits.train.X.shape, digits.train.X.dtype, digits.train.y[:10]

# %% [markdown] role="locked"
# **Exercise (6 points).** Write a function that trains a network on labelled digits and names new ones.
# Use your own layers and your own gradient descent: NumPy, no library that learns.
# The hidden check trains it on digits with labels, and asks for the labels of others, which never leave the check: 80 % right earns 2 points, 95 % all 6.
# It also renames the classes, so that what you call a seven may be its three; whoever learns from `y_train` won't notice.
#
# Small starting weights make small gradients: if the loss sits still at $\log 10 \approx 2.3$, look there first.
# And pixels between 0 and 1 all pull the same way: take their mean away, and far fewer steps will do.

# %% role="solution" grade_id="backprop-digits"
def classify_digits(X_train, y_train, X_new, seed):
    """Train on (X_train, y_train) and return the labels of X_new, (M,) integers.

    X_train: (N, 1, 8, 8) and X_new: (M, 1, 8, 8), float32 in [0, 1]; y_train: (N,)
    int64, 0 to 9. N is about 1400. seed: an int for whatever you draw at random.
    At most 20 seconds on a CPU.
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    net = TwoLayerNet(64, 64, 10)
    for name in ("W1", "W2"):
        net.params[name] = rng.normal(size=net.params[name].shape) * np.sqrt(2 / 64)
    # in float32, as the images are, steps are several times faster
    net.params = {name: p.astype(np.float32) for name, p in net.params.items()}
    # centred inputs of about unit size: far fewer steps do
    center = X_train.mean(axis=0)
    X = 2.0 * (X_train - center)
    gradient_descent(net, X, y_train, learning_rate=2.0, num_steps=60)
    return net.loss(2.0 * (X_new - center)).argmax(axis=1)
    ### END SOLUTION


# %% role="locked"
# Open check
def check_classify_digits():
    names = classify_digits(digits.train.X, digits.train.y, digits.val.X, seed=0)
    assert names.shape == digits.val.y.shape, f"labels of shape {names.shape}"
    accuracy = (names == digits.val.y).mean()
    assert accuracy >= 0.95, f"{accuracy:.1%} of the validation digits are right, not 95 %"
    return f"{accuracy:.1%} of the validation digits are right"


check_classify_digits()

# %% role="tests" grade_id="backprop-digits-tests" points=6
# Graded by hidden checks: the share of held-out digits that are named right.
### BEGIN HIDDEN TESTS
from grader.checks import backprop
backprop.digits(classify_digits)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## What we learned
#
# A layer is a pair of functions, and its gradient is what its neighbours need: `dout` in, `dx` out.
# A gradient is right when the numerical judge agrees, not when training seems to work.
# Whatever uses a value twice adds to its gradient twice; whatever computes with exponentials needs a look at its range.
#
# To go on:
#
# 1. Train a small network made of `Value`s on five digits. How much slower is it than your layers, per step, and why?
# 2. Swap `softmax_loss` for `svm_loss` in `TwoLayerNet`. Does the accuracy change? Does the loss reach zero?
# 3. Put `maxout` with $K = 2$ in place of ReLU. How many weights does it cost, and what does it buy?
