# %% [markdown] role="locked"
# # Assignment 4: convolution and pooling
#
# A fully connected layer learns each place of an image anew.
# A convolution learns a small pattern once, and looks for it everywhere.
# In this assignment you write convolution and pooling, forwards and backwards, first with plain loops, then as one matrix product, and train a ConvNet on them.
#
# - You will be able to say what size, how many weights and how much work a layer has, to derive its gradient, and to make it fast.
# - You need lecture 4, and the layers that you wrote in assignment 1.
# - It takes an evening or two of thinking; the whole notebook computes in under 20 seconds on a laptop CPU.
#
# Each exercise has a function to fill in, *open checks* to run as often as you like, and a graded cell.
# Hidden checks grade what the docstring promises, over all of the range that it promises, and nothing else.
# Write the answers in NumPy: PyTorch has all of this built in, and is here to judge.

# %%
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from threadpoolctl import threadpool_limits

import fovea
from fovea.data import load
from fovea.open_checks import expect
from fovea.plotting import describe, image_grid, use_style

use_style()
# arrays are small here: one thread is faster than several that wait for each other
threadpool_limits(1)

# %% [markdown] role="locked"
# The open checks share three helpers.
# `expect` compares, and tells what arrived, what was expected, and what to look at.
# `ask_torch` asks PyTorch for an output and its gradients.
# `expect_promises` tries the promises that *every* pair of layers here makes: float32 in gives float32 out, nothing that was given is changed, and a second call of `backward` agrees with the first.

# %% role="locked"
def ask_torch(function, *arrays):
    """Return function's output, a made-up dout, and the gradients that belong to it."""
    tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    out = function(*tensors)
    dout = torch.cos(torch.arange(out.numel(), dtype=out.dtype)).reshape(out.shape)
    grads = torch.autograd.grad((out * dout).sum(), tensors)
    return out.detach().numpy(), dout.numpy(), [grad.numpy() for grad in grads]


def expect_promises(forward, backward, arrays, param):
    """Try one sample in float32: dtypes, and inputs and cache left alone."""
    arrays = [array.astype(np.float32) for array in arrays]
    before, param_before = [array.copy() for array in arrays], dict(param)
    out, cache = forward(*arrays, param)
    assert out.dtype == np.float32, f"forward makes {out.dtype} of float32"
    first, second = backward(np.ones_like(out), cache), backward(np.ones_like(out), cache)
    pair = [[grads] if isinstance(grads, np.ndarray) else grads for grads in (first, second)]
    for grad, again in zip(*pair, strict=True):
        assert grad.dtype == np.float32, f"backward makes {grad.dtype} of float32"
        expect("backward, called a second time", again, grad, "what changes the cache")
    for now, then in zip(arrays, before, strict=True):
        expect("an input, after the calls", now, then, "what is written in place")
    assert param == param_before, f"the caller's parameters are {param} now"


# %% [markdown] role="locked"
# ## Filters
#
# Before anything learns, a person can choose the pattern.
# A **filter** lays a small **kernel** over the image, centred on a pixel, multiplies what lies on top of each other, and adds up.
#
# $$\text{out}_{ij} = \sum_{u,v} \text{image}_{i+u,\,j+v} \cdot \text{kernel}_{u,v}, \qquad u, v \text{ counted from the centre}$$
#
# Beyond the border the image counts as 0.
# Nothing is flipped: mathematicians call this a cross-correlation, and everybody in deep learning calls it a convolution.
# So the kernel $(0\;0\;1)$ picks the neighbour on the right: the row $(1\;2\;3)$ becomes $(2\;3\;0)$.
#
# **Exercise (2 points).** Write the filter.

# %% role="solution" grade_id="cnn-filter2d"
def filter2d(image, kernel):
    """Return the image filtered by the kernel: cross-correlation, zeros beyond the border.

    image: (H, W); kernel: (kh, kw), both odd, square or not, also larger than the image
    image and kernel share one dtype, float32 or float64, and are not changed.

    Returns a new array of the image's shape and dtype.
    """
    ### BEGIN SOLUTION
    kh, kw = kernel.shape
    padded = np.pad(image, ((kh // 2, kh // 2), (kw // 2, kw // 2)))
    out = np.zeros_like(image)
    for u, v in np.ndindex(kh, kw):
        out += kernel[u, v] * padded[u : u + image.shape[0], v : v + image.shape[1]]
    return out
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_filter2d():
    row = np.array([[1.0, 2.0, 3.0]])
    expect("the right neighbour", filter2d(row, np.array([[0.0, 0.0, 1.0]])), [[2, 3, 0]], "what is flipped")
    ones = filter2d(np.ones((3, 4)), np.ones((3, 3)))
    expect("how many neighbours", ones, [[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]], "zeros around the image")
    image = np.arange(12.0).reshape(4, 3)
    tall = np.array([[0.0], [0.0], [0.0], [0.0], [1.0]])
    expect("two rows down", filter2d(image, tall), [[6, 7, 8], [9, 10, 11], [0, 0, 0], [0, 0, 0]], "kernels that are not square")
    assert filter2d(row.astype("float32"), np.ones((1, 1), "float32")).dtype == "float32", "float32 is lost"


check_filter2d()

# %% role="tests" grade_id="cnn-filter2d-tests" points=2
# Graded by hidden checks: values for square and other kernels, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.filter2d(filter2d)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# What do filters show? Look before you go on: which kernel answers to which edge?

# %%
digits = load("digits")
seven = digits.train.X[digits.train.y == 7][0, 0].astype(np.float64)
blur, down = np.full((3, 3), 1 / 9), np.array([[-1.0], [0.0], [1.0]])
filtered = [seven, filter2d(seven, blur), filter2d(seven, down), filter2d(seven, down.T)]
axes = image_grid(filtered, names=["image", "blur", "downwards", "rightwards"], columns=4)
describe(axes, "A seven; blurred; with its horizontal edges; with its vertical edges.")

# %% [markdown] role="locked"
# ## What size comes out?
#
# A layer may take bigger steps (**stride** $s$), see zeros beyond the border (**padding** $p$ on each side), and spread its kernel (**dilation** $\delta$: the taps lie $\delta$ pixels apart, so that $k$ of them span $\delta(k-1) + 1$ pixels).
# A window that would stick out is left away, so sizes round down:
#
# $$d' = \left\lfloor \frac{d + 2p - (\delta(k-1) + 1)}{s} \right\rfloor + 1$$
#
# With $d = 8$, $k = 3$, $s = 2$, $p = 1$: $\lfloor 7/2 \rfloor + 1 = 4$.
#
# **Exercise (3 points).** Write it for one dimension, and for any number of them: 1 for sound, 2 for images, 3 for volumes.

# %% role="solution" grade_id="cnn-conv-output-size"
def conv_output_size(size, kernel, stride=1, padding=0, dilation=1):
    """Return the size of a convolution's output: an int for an int, a tuple for a tuple.

    size: an int; or a tuple of ints with one entry per dimension, and then each of the
    others may be such a tuple as well, or one int for all dimensions
    Every kernel fits into its padded image.
    """
    ### BEGIN SOLUTION
    if isinstance(size, tuple):
        others = (kernel, stride, padding, dilation)
        spread = [o if isinstance(o, tuple) else (o,) * len(size) for o in others]
        return tuple(map(conv_output_size, size, *spread))
    span = dilation * (kernel - 1) + 1
    return (size + 2 * padding - span) // stride + 1
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_conv_output_size():
    expect("the case above", conv_output_size(8, 3, 2, 1), 4, "the formula, rounded down")
    expect("nothing but size and kernel", conv_output_size(5, 3), 3, "the defaults")
    expect("three taps, two apart", conv_output_size(7, 3, dilation=2), 3, "what a dilated kernel spans")
    expect("an image", conv_output_size((8, 5), (3, 1), (2, 1)), (4 - 1, 5), "one entry per dimension")
    volume = conv_output_size((32, 32, 32), 4, stride=2, padding=1)
    expect("a volume", volume, (16, 16, 16), "an int for all dimensions")
    assert isinstance(volume, tuple), f"a tuple was given, and a {type(volume).__name__} came back"
    assert isinstance(conv_output_size(8, 3, 2), int), "a size is an int: shapes take nothing else"


check_conv_output_size()

# %% role="tests" grade_id="cnn-conv-output-size-tests" points=3
# Graded by hidden checks: one dimension, tuples, ints beside tuples, dilation; ints and tuples come back.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.conv_output_size(conv_output_size)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Convolution with loops
#
# A convolutional layer has $F$ filters, each as deep as the image has channels.
# At each place, filter $f$ sees a window of all $C$ channels and answers with one number:
#
# $$\text{out}_{nfij} = b_f + \sum_{c,u,v} \tilde x_{n,\,c,\;si + \delta u,\;sj + \delta v} \; w_{fcuv}$$
#
# where $\tilde x$ is $x$ with $p$ zeros on each side.
# The row $(1\;2\;3\;4)$ with kernel $(10\;1)$ and bias $100$ gives $(112\;123\;134)$; with stride 2, $(112\;134)$; with dilation 2, $(113\;124)$.
#
# **Exercise (5 points).** Go forwards, with as many loops as you like.

# %% role="solution" grade_id="cnn-conv-forward-naive"
def conv_forward_naive(x, w, b, conv_param):
    """Return (out, cache): the convolution (cross-correlation) of x with w, plus b.

    x: (N, C, H, W), N, C >= 1; w: (F, C, HH, WW); b: (F,)
    x, w and b share one dtype, float32 or float64; images and kernels need not be square.
    conv_param: a dict with ints under "stride" (>= 1), "pad" (>= 0: zeros on each of the
    four sides) and, if it is there, "dilation" (>= 1; else 1). The kernel fits in.

    out is (N, F, H', W'), of x's dtype; H' and W' are as in conv_output_size, rounded
    down. Nothing that is given changes. cache is whatever conv_backward_naive needs.
    """
    ### BEGIN SOLUTION
    stride, pad = conv_param["stride"], conv_param["pad"]
    dilation = conv_param.get("dilation", 1)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    HH, WW = w.shape[2:]
    out_h, out_w = conv_output_size(x.shape[2:], (HH, WW), stride, pad, dilation)
    out = np.zeros((len(x), len(w), out_h, out_w), x.dtype)
    for i, j in np.ndindex(out_h, out_w):
        top, left = i * stride, j * stride
        rows = slice(top, top + dilation * (HH - 1) + 1, dilation)
        columns = slice(left, left + dilation * (WW - 1) + 1, dilation)
        window = padded[:, :, rows, columns]
        out[:, :, i, j] = np.einsum("nchw,fchw->nf", window, w) + b
    return out, (x, w, stride, pad, dilation)
    ### END SOLUTION


# %% role="locked"
# Open checks
IMAGES, KERNELS = np.random.default_rng(0).normal(size=(2, 3, 7, 6)), np.random.default_rng(1).normal(size=(4, 3, 3, 2))
BIASES = np.arange(4.0)
# (stride, pad, dilation)
SETTINGS = [(1, 1, 1), (1, 0, 1), (2, 1, 1), (3, 0, 1), (1, 2, 2), (2, 0, 2)]


def check_conv_forward(forward):
    x, w, b = np.array([[[[1.0, 2.0, 3.0, 4.0]]]]), np.array([[[[10.0, 1.0]]]]), np.array([100.0])
    tiny = {"stride": 1, "pad": 0}
    expect("the row", forward(x, w, b, tiny)[0], [[[[112, 123, 134]]]], "the formula")
    expect("the row, stride 2", forward(x, w, b, tiny | {"stride": 2})[0], [[[[112, 134]]]], "where windows start")
    expect("the row, dilation 2", forward(x, w, b, tiny | {"dilation": 2})[0], [[[[113, 124]]]], "how far taps lie apart")
    for s, p, d in SETTINGS:
        wanted = ask_torch(lambda *a, s=s, p=p, d=d: F.conv2d(*a, s, p, d), IMAGES, KERNELS, BIASES)[0]
        got, _ = forward(IMAGES, KERNELS, BIASES, {"stride": s, "pad": p, "dilation": d})
        expect(f"stride {s}, pad {p}, dilation {d}", got, wanted, "windows, channels, bias")


check_conv_forward(conv_forward_naive)

# %% role="tests" grade_id="cnn-conv-forward-naive-tests" points=5
# Graded by hidden checks: padding 0 to 3, stride 1 to 3, dilation, unused borders, one sample, one channel, float32.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.conv_forward_naive(conv_forward_naive)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Backwards, think of one window at a time: it is an affine unit, and you know its gradients.
# The window gets `dout` times the kernel, the kernel gets `dout` times the window, the bias gets `dout`.
# Then everything that was used more than once adds up: a pixel over all windows that saw it, a weight over all places and images.
# Padding was put around the image, so its gradient is cut off again; a pixel that no window reached gets 0.
#
# In the row $(1\;2\;3)$ with kernel $(10\;1)$ and $dout = (1\;1)$ the middle pixel was seen twice: $dx = (10\;11\;1)$, $dw = (3\;5)$, $db = 2$.
#
# **Exercise (7 points).** Go backwards.
# In published solutions of this very exercise, padding 0 is where most are wrong.

# %% role="solution" grade_id="cnn-conv-backward-naive"
def conv_backward_naive(dout, cache):
    """Return (dx, dw, db), the gradients of the loss, shaped like x, w and b.

    dout: (N, F, H', W'), the gradient with respect to conv_forward_naive's out
    cache: what conv_forward_naive returned beside out

    float32 in gives float32 out, and so for float64. dout and cache stay as they are:
    a second call returns the same, also if conv_forward_naive ran on other data meanwhile.
    """
    ### BEGIN SOLUTION
    x, w, stride, pad, dilation = cache
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dpadded, dw = np.zeros_like(padded), np.zeros_like(w)
    H, W, HH, WW = *x.shape[2:], *w.shape[2:]
    for i, j in np.ndindex(dout.shape[2:]):
        top, left = i * stride, j * stride
        rows = slice(top, top + dilation * (HH - 1) + 1, dilation)
        columns = slice(left, left + dilation * (WW - 1) + 1, dilation)
        window, upstream = padded[:, :, rows, columns], dout[:, :, i, j]
        dw += np.einsum("nf,nchw->fchw", upstream, window)
        dpadded[:, :, rows, columns] += np.einsum("nf,fchw->nchw", upstream, w)
    dx = dpadded[:, :, pad : pad + H, pad : pad + W]
    return dx, dw, dout.sum(axis=(0, 2, 3))
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_conv_backward(forward, backward):
    x, w, b = np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[10.0, 1.0]]]]), np.array([0.0])
    _, cache = forward(x, w, b, {"stride": 1, "pad": 0})
    dx, dw, db = backward(np.ones((1, 1, 1, 2)), cache)
    expect("dx of the row", dx, [[[[10, 11, 1]]]], "pixels that two windows saw; pad 0")
    expect("dw of the row", dw, [[[[3, 5]]]], "the sum over places")
    expect("db of the row", db, [2], "the sum over places")
    for s, p, d in SETTINGS:
        _, dout, grads = ask_torch(lambda *a, s=s, p=p, d=d: F.conv2d(*a, s, p, d), IMAGES, KERNELS, BIASES)
        _, cache = forward(IMAGES, KERNELS, BIASES, {"stride": s, "pad": p, "dilation": d})
        for name, got, wanted in zip(("dx", "dw", "db"), backward(dout, cache), grads, strict=True):
            expect(f"{name} at stride {s}, pad {p}, dilation {d}", got, wanted, "which window, and what adds up")
    expect_promises(forward, backward, (IMAGES[:1], KERNELS, BIASES), {"stride": 2, "pad": 1})


check_conv_backward(conv_forward_naive, conv_backward_naive)

# %% role="tests" grade_id="cnn-conv-backward-naive-tests" points=7
# Graded by hidden checks: dx, dw, db over all of the range; padding 0, stride, unused borders, dilation; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.conv_backward_naive(conv_forward_naive, conv_backward_naive)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Pooling
#
# Pooling shrinks an image without any weights: it replaces each window, channel by channel, by its maximum or its average.
#
# $$\begin{pmatrix} 3&1&3&5\\6&0&7&9\\3&2&1&4\\0&2&4&3 \end{pmatrix} \;\to\; \begin{pmatrix} 6&9\\3&4 \end{pmatrix} \quad\text{(maximum, 2×2 windows, stride 2)}$$
#
# Backwards, the maximum sends everything to the winner of the window.
# If several entries tie, what they get must add up to `dout`: all to one of them, or shared among them.
# Behind a ReLU ties are everyday life, as zeros tie with zeros.
# And where windows overlap, one pixel may win in several, and gets all of what it won.
#
# **Exercise (6 points).** Write max pooling.

# %% role="solution" grade_id="cnn-max-pool-forward-naive"
def max_pool_forward_naive(x, pool_param):
    """Return (out, cache) with out the maximum of each window.

    x: (N, C, H, W), N, C >= 1, float32 or float64; not changed
    pool_param: a dict with ints "pool_height", "pool_width" and "stride", all >= 1; not
    changed. Windows fit into the image; they may overlap, or leave gaps.

    out: (N, C, H', W'), of x's dtype; sizes round down: a border that no window reaches
    is unused. cache is whatever max_pool_backward_naive needs.
    """
    ### BEGIN SOLUTION
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    stride = pool_param["stride"]
    out_h, out_w = conv_output_size(x.shape[2:], (height, width), stride)
    out = np.zeros((*x.shape[:2], out_h, out_w), x.dtype)
    for i, j in np.ndindex(out_h, out_w):
        top, left = i * stride, j * stride
        window = x[:, :, top : top + height, left : left + width]
        out[:, :, i, j] = window.max(axis=(2, 3))
    return out, (x, height, width, stride)
    ### END SOLUTION


# %% role="solution" grade_id="cnn-max-pool-backward-naive"
def max_pool_backward_naive(dout, cache):
    """Return dx (N, C, H, W), of dout's dtype; dout (N, C, H', W') and cache unchanged.

    What a window sends to the entries that tie for its maximum is not of opposite sign
    to its dout, and adds up to it. An entry adds up what it gets from all windows; an
    entry that wins nowhere gets 0.
    """
    ### BEGIN SOLUTION
    x, height, width, stride = cache
    dx = np.zeros_like(x)
    for i, j in np.ndindex(dout.shape[2:]):
        top, left = i * stride, j * stride
        rows, columns = slice(top, top + height), slice(left, left + width)
        window = x[:, :, rows, columns]
        winners = window == window.max(axis=(2, 3), keepdims=True)
        share = winners / winners.sum(axis=(2, 3), keepdims=True)
        dx[:, :, rows, columns] += share * dout[:, :, i : i + 1, j : j + 1]
    return dx
    ### END SOLUTION


# %% role="locked"
# Open checks
# (height, width, stride): apart, overlapping, not square, with gaps
WINDOWS = [(2, 2, 2), (3, 3, 1), (3, 3, 2), (2, 3, 2), (1, 2, 3)]


def check_pooling(forward, backward, by_torch):
    for height, width, stride in WINDOWS:
        wanted, dout, (dx,) = ask_torch(lambda x, h=height, w=width, s=stride: by_torch(x, (h, w), s), IMAGES)
        out, cache = forward(IMAGES, {"pool_height": height, "pool_width": width, "stride": stride})
        where = f"windows of {height} x {width}, stride {stride}"
        expect(f"out, {where}", out, wanted, "where windows start and end")
        expect(f"dx, {where}", backward(dout, cache), dx, "which entries; += where windows overlap")
    expect_promises(forward, backward, (IMAGES[:1],), {"pool_height": 2, "pool_width": 3, "stride": 2})


def check_max_pool():
    slide = np.array([[[[3.0, 1, 3, 5], [6, 0, 7, 9], [3, 2, 1, 4], [0, 2, 4, 3]]]])
    two = {"pool_height": 2, "pool_width": 2, "stride": 2}
    expect("the case above", max_pool_forward_naive(slide, two)[0], [[[[6, 9], [3, 4]]]], "the maximum of each window")
    check_pooling(max_pool_forward_naive, max_pool_backward_naive, F.max_pool2d)
    _, cache = max_pool_forward_naive(np.zeros((1, 1, 2, 2)), two)
    dx = max_pool_backward_naive(np.full((1, 1, 1, 1), 6.0), cache)
    expect("four that tie, together", dx.sum(), 6.0, "what tied entries get together")


check_max_pool()

# %% role="tests" grade_id="cnn-max-pool-forward-naive-tests" points=2
# Graded by hidden checks: windows that are square or not, overlap or leave gaps; float32, x and pool_param unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.max_pool_forward_naive(max_pool_forward_naive)
### END HIDDEN TESTS

# %% role="tests" grade_id="cnn-max-pool-backward-naive-tests" points=4
# Graded by hidden checks: windows that are apart, that overlap, that tie; unused borders; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.max_pool_backward_naive(max_pool_forward_naive, max_pool_backward_naive)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# The average treats all entries of a window alike, forwards and backwards.
# The window $(1\;2\;3\;6)$ averages to 3, and with $dout = 8$ each of its four entries gets 2.
#
# **Exercise (3 points).** Write average pooling.

# %% role="solution" grade_id="cnn-avg-pool-forward-naive"
def avg_pool_forward_naive(x, pool_param):
    """Return (out, cache) with out the average of each window.

    x, pool_param, out's shape and dtype: as for max_pool_forward_naive
    """
    ### BEGIN SOLUTION
    height, width = pool_param["pool_height"], pool_param["pool_width"]
    stride = pool_param["stride"]
    out_h, out_w = conv_output_size(x.shape[2:], (height, width), stride)
    out = np.zeros((*x.shape[:2], out_h, out_w), x.dtype)
    for i, j in np.ndindex(out_h, out_w):
        top, left = i * stride, j * stride
        window = x[:, :, top : top + height, left : left + width]
        out[:, :, i, j] = window.mean(axis=(2, 3))
    return out, (x.shape, height, width, stride)
    ### END SOLUTION


# %% role="solution" grade_id="cnn-avg-pool-backward-naive"
def avg_pool_backward_naive(dout, cache):
    """Return dx (N, C, H, W), of dout's dtype; dout (N, C, H', W') and cache unchanged.

    An entry adds up what it gets from all windows that hold it; without one it gets 0.
    """
    ### BEGIN SOLUTION
    shape, height, width, stride = cache
    dx = np.zeros(shape, dout.dtype)
    for i, j in np.ndindex(dout.shape[2:]):
        top, left = i * stride, j * stride
        share = dout[:, :, i : i + 1, j : j + 1] / (height * width)
        dx[:, :, top : top + height, left : left + width] += share
    return dx
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_avg_pool():
    x, all_of_it = np.array([[[[1.0, 2.0, 3.0, 6.0]]]]), {"pool_height": 1, "pool_width": 4, "stride": 1}
    out, cache = avg_pool_forward_naive(x, all_of_it)
    expect("the case above", out, [[[[3]]]], "the average of each window")
    dx = avg_pool_backward_naive(np.array([[[[8.0]]]]), cache)
    expect("its gradient", dx, [[[[2, 2, 2, 2]]]], "dout, shared by all entries of the window")
    check_pooling(avg_pool_forward_naive, avg_pool_backward_naive, F.avg_pool2d)


check_avg_pool()

# %% role="tests" grade_id="cnn-avg-pool-forward-naive-tests" points=1
# Graded by hidden checks: windows that are square or not, overlap or leave gaps; float32, x and pool_param unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.avg_pool_forward_naive(avg_pool_forward_naive)
### END HIDDEN TESTS

# %% role="tests" grade_id="cnn-avg-pool-backward-naive-tests" points=2
# Graded by hidden checks: windows that are apart, that overlap; unused borders; float32, dout and cache unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.avg_pool_backward_naive(avg_pool_forward_naive, avg_pool_backward_naive)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## One matrix product
#
# Your loops are right, and slow: Python takes longer to get to a window than to multiply it.
# The trick that made ConvNets practical is called **im2col**: write each window as a row of a matrix.
# With one row per place and image, and one column per weight of a filter, the convolution is the affine layer of topic 1:
#
# $$\underbrace{\text{out}}_{N H' W' \times F} = \underbrace{\text{columns}}_{N H' W' \times C\,HH\,WW} \; \underbrace{w^\top}_{C\,HH\,WW \times F} + \; b$$
#
# Its gradients are those of the affine layer, too.
# What remains is to make the matrix (look at `np.lib.stride_tricks.sliding_window_view`, or collect it in a loop over the few places of the kernel), and to add up its gradient back into an image, where windows overlap.
#
# **Exercise (7 points).** Keep every promise of the naive pair, and be fast: a Python loop over the kernel is fine, one over images, filters or places is not.

# %% role="solution" grade_id="cnn-conv-forward-im2col"
def conv_forward_im2col(x, w, b, conv_param):
    """Return (out, cache), as conv_forward_naive does, by one matrix product.

    At most 0.75 seconds for one grey image of 512 x 512 and two filters of 3 x 3 on one
    CPU core (one matrix product takes less than a tenth of that).
    """
    ### BEGIN SOLUTION
    stride, pad = conv_param["stride"], conv_param["pad"]
    dilation = conv_param.get("dilation", 1)
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    spans = [dilation * (k - 1) + 1 for k in w.shape[2:]]
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=(2, 3))
    # (N, H', W', C, HH, WW)
    windows = windows[:, :, ::stride, ::stride, ::dilation, ::dilation]
    windows = windows.transpose(0, 2, 3, 1, 4, 5)
    columns = windows.reshape(-1, w[0].size)
    out = (columns @ w.reshape(len(w), -1).T + b).reshape(*windows.shape[:3], len(w))
    return out.transpose(0, 3, 1, 2), (x.shape, w, columns, stride, pad, dilation)
    ### END SOLUTION


# %% role="solution" grade_id="cnn-conv-backward-im2col"
def conv_backward_im2col(dout, cache):
    """Return (dx, dw, db), as conv_backward_naive does, by matrix products.

    At most 0.75 seconds where conv_forward_im2col has as much.
    """
    ### BEGIN SOLUTION
    (N, C, H, W), w, columns, stride, pad, dilation = cache
    HH, WW = w.shape[2:]
    out_h, out_w = dout.shape[2:]
    rows = dout.transpose(0, 2, 3, 1).reshape(-1, len(w))
    dw = (rows.T @ columns).reshape(w.shape)
    dwindows = (rows @ w.reshape(len(w), -1)).reshape(N, out_h, out_w, C, HH, WW)
    dwindows = dwindows.transpose(0, 3, 1, 2, 4, 5)
    dpadded = np.zeros((N, C, H + 2 * pad, W + 2 * pad), dout.dtype)
    for u, v in np.ndindex(HH, WW):
        top, left = u * dilation, v * dilation
        down = slice(top, top + stride * (out_h - 1) + 1, stride)
        across = slice(left, left + stride * (out_w - 1) + 1, stride)
        dpadded[:, :, down, across] += dwindows[..., u, v]
    return dpadded[:, :, pad : pad + H, pad : pad + W], dw, rows.sum(axis=0)
    ### END SOLUTION


# %% role="locked"
# Open checks: the same as for the loops
check_conv_forward(conv_forward_im2col)
check_conv_backward(conv_forward_im2col, conv_backward_im2col)

# %% [markdown] role="locked"
# Both at work: one grey image of 128×128, four filters of 3×3. Guess the factor before you run it.

# %%
rng = np.random.default_rng(0)
picture, filters = rng.normal(size=(1, 1, 128, 128)), rng.normal(size=(4, 1, 3, 3))
for convolve in (conv_forward_naive, conv_forward_im2col):
    start = perf_counter()
    convolve(picture, filters, np.zeros(4), {"stride": 1, "pad": 1})
    print(f"{convolve.__name__}: {1000 * (perf_counter() - start):.1f} ms")

# %% role="tests" grade_id="cnn-conv-forward-im2col-tests" points=3
# Graded by hidden checks: all that the loops promise, and the time.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.conv_forward_im2col(conv_forward_im2col)
### END HIDDEN TESTS

# %% role="tests" grade_id="cnn-conv-backward-im2col-tests" points=4
# Graded by hidden checks: all that the loops promise, and the time.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.conv_backward_im2col(conv_forward_im2col, conv_backward_im2col)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## A network at every pixel
#
# A kernel of 1×1 sees no neighbours.
# It takes the $C$ channels of a pixel as a vector, and gives it $F$ new ones: one affine layer, the same at every pixel.
# No windows are needed, one matrix product does it.
# At a pixel with channels $(1\;2)$, weights $(3\;4)$ and bias $5$ give $3 + 8 + 5 = 16$.
#
# **Exercise (2 points).** Write it without any loop.

# %% role="solution" grade_id="cnn-conv1x1"
def conv1x1(x, w, b):
    """Return out (N, F, H, W): an affine map of the channels, the same at every pixel.

    x: (N, C, H, W), N, C >= 1; w: (F, C); b: (F,), of one dtype, float32 or float64;
    none is changed. out has x's dtype.
    """
    ### BEGIN SOLUTION
    pixels = x.transpose(0, 2, 3, 1)
    return (pixels @ w.T + b).transpose(0, 3, 1, 2)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_conv1x1():
    pixel = np.array([1.0, 2.0]).reshape(1, 2, 1, 1)
    expect("the pixel above", conv1x1(pixel, np.array([[3.0, 4.0]]), np.array([5.0])), [[[[16]]]], "the channels")
    w = KERNELS[:, :, 0, 0]
    wanted = conv_forward_naive(IMAGES, w[:, :, None, None], BIASES, {"stride": 1, "pad": 0})[0]
    expect("against your convolution", conv1x1(IMAGES, w, BIASES), wanted, "which axis holds the channels")


check_conv1x1()

# %% role="tests" grade_id="cnn-conv1x1-tests" points=2
# Graded by hidden checks: values, one sample, one channel, float32, inputs unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.conv1x1(conv1x1)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## What does a stack cost, and how far does it see?
#
# The **receptive field** of an output is how far it sees: the pixels, along one side of the image, from the first that it depends on to the last.
# Each layer adds its span minus one, counted in steps of the layers before it: behind a stride of 2, a step is two input pixels wide.
# Two 3×3 layers see 5 pixels, as one 5×5 does; with stride 2 in the first of them, $1 + 2 + 2 \cdot 2 = 7$.
#
# A layer has one weight per tap, input channel and filter, and one bias per filter.
# We count two **operations** (a product and a sum) per weight and output, and leave the bias away: one 3×3 filter on one channel takes 18 for each pixel.
#
# **Exercise (4 points).** Count.

# %% role="solution" grade_id="cnn-receptive-field"
def receptive_field(layers):
    """Return the receptive field of an output, in input pixels along one side, an int.

    layers: a list, from input to output, of (kernel, stride) or (kernel, stride,
    dilation), all ints >= 1; it may mix them, and is not changed. No layer sees 1 pixel.
    Borders don't matter here.
    """
    ### BEGIN SOLUTION
    field, step = 1, 1
    for kernel, stride, *rest in layers:
        dilation = rest[0] if rest else 1
        field += step * dilation * (kernel - 1)
        step *= stride
    return field
    ### END SOLUTION


# %% role="solution" grade_id="cnn-count-parameters"
def count_parameters(c_in, c_out, kernel, bias=True):
    """Return the number of weights and biases of a convolutional layer, an int.

    c_in, c_out: channels in and out; kernel: an int (square) or a tuple (height, width)
    """
    ### BEGIN SOLUTION
    height, width = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    return c_out * (c_in * height * width + bool(bias))
    ### END SOLUTION


# %% role="solution" grade_id="cnn-count-operations"
def count_operations(c_in, c_out, kernel, out_h, out_w):
    """Return the operations of a convolutional layer on one image, an int.

    Two per weight and output pixel, biases not counted. kernel as in count_parameters;
    out_h, out_w: the size of the output
    """
    ### BEGIN SOLUTION
    return 2 * count_parameters(c_in, c_out, kernel, bias=False) * out_h * out_w
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_counting():
    expect("two layers of 3x3", receptive_field([(3, 1), (3, 1)]), 5, "what each layer adds")
    expect("stride 2 first", receptive_field([(3, 2), (3, 1)]), 7, "how wide a step is")
    expect("dilation 2", receptive_field([(3, 1, 2)]), 5, "what a dilated kernel spans")
    expect("one filter of 3x3", count_parameters(1, 1, 3), 10, "the bias")
    expect("a wide kernel", count_parameters(2, 4, (1, 5), bias=False), 40, "height and width")
    expect("3x3 at one pixel", count_operations(1, 1, 3, 1, 1), 18, "two per weight")
    expect("a layer", count_operations(3, 8, 3, 10, 10), 43200, "every output pixel and channel")


check_counting()

# %% role="tests" grade_id="cnn-receptive-field-tests" points=2
# Graded by hidden checks: stacks with stride and dilation of any kind.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.receptive_field(receptive_field)
### END HIDDEN TESTS

# %% role="tests" grade_id="cnn-count-parameters-tests" points=1
# Graded by hidden checks: square and other kernels, with bias and without.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.count_parameters(count_parameters)
### END HIDDEN TESTS

# %% role="tests" grade_id="cnn-count-operations-tests" points=1
# Graded by hidden checks: square and other kernels, outputs of any size.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.count_operations(count_operations)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Your counts at work: three layers of 3×3 against one of 7×7, from 64 channels to 64, on an image of 56×56.

# %%
stacks = {"three 3x3": [(3, 1)] * 3, "one 7x7": [(7, 1)]}
for name, layers in stacks.items():
    parameters = sum(count_parameters(64, 64, k) for k, _ in layers)
    operations = sum(count_operations(64, 64, k, 56, 56) for k, _ in layers)
    print(f"{name}: sees {receptive_field(layers)}, {parameters:,} parameters, {operations:,} operations")

# %% [markdown] role="locked"
# **Exercise (4 points, graded by a person).** By these numbers nobody should use a 7×7 kernel, and yet the first layer of ResNet is one, with stride 2, 3 channels in and 64 out, on images of 224×224.
# In about a hundred words: compare its parameters and operations with those of three 3×3 layers (3 to 64 channels, then 64 to 64, all at full resolution), say why the argument for small kernels fails at the input, and what the stride buys for all that follows.
# Max pooling with stride 2 would shrink the image as well: name one difference that matters.

# %% [markdown] role="manual" grade_id="cnn-first-layer" points=4
# ### BEGIN SOLUTION
# The 7×7 layer has $64\,(3 \cdot 49 + 1) = 9472$ parameters and, with 112×112 outputs, $2 \cdot 64 \cdot 147 \cdot 112^2 \approx 0.24$ billion operations.
# Three 3×3 layers have $1792 + 2 \cdot 36928 = 75648$ parameters and, at 224×224, $2 \cdot 224^2 \cdot (1728 + 2 \cdot 36864) \approx 7.6$ billion operations.
# Small kernels win where there are as many channels in as out: then each layer costs $9C^2$ against $49C^2$. At the input there are 3 channels, so a wide look is cheap, and it is the 64-channel layers at full resolution that cost.
# The stride leaves a quarter of the places, so every later layer costs a quarter, and the receptive field of all that follows doubles.
# Max pooling has no weights, needs the full-resolution layer before it to be computed, and passes on only the strongest answer; a strided convolution learns what to keep and computes only what it keeps.
# (1 point each: the two parameter counts; the two operation counts; why the argument fails with few channels, and the stride's saving; a difference to pooling.)
# ### END SOLUTION

# %% [markdown] role="locked"
# ## A small ConvNet
#
# Now put your layers together: convolution, ReLU, pooling, then the two affine layers that you know.
#
# The layers of topic 1 are yours already.
# **Bring them**: paste your own into the cell below (it is not graded by itself, but the network stands on it).

# %% role="solution" grade_id="cnn-layers-of-topic-1"
def affine_forward(x, w, b):
    """Return (out, cache): x (N, ...), flattened to (N, D), times w (D, M), plus b (M,)."""
    ### BEGIN SOLUTION
    return x.reshape(len(x), -1) @ w + b, (x, w)
    ### END SOLUTION


def affine_backward(dout, cache):
    """Return (dx, dw, db), shaped like x, w and b."""
    ### BEGIN SOLUTION
    x, w = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)
    ### END SOLUTION


def relu_forward(x):
    """Return (out, cache) with out = max(0, x)."""
    ### BEGIN SOLUTION
    return np.maximum(0, x), x
    ### END SOLUTION


def relu_backward(dout, cache):
    """Return dx."""
    ### BEGIN SOLUTION
    return dout * (cache > 0)
    ### END SOLUTION


def softmax_loss(x, y):
    """Return (loss, dx): the mean softmax loss of scores x (N, C) and labels y (N,)."""
    ### BEGIN SOLUTION
    rows = np.arange(len(x))
    shifted = x - x.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    dx = np.exp(log_probs)
    dx[rows, y] -= 1
    return -log_probs[rows, y].mean(), dx / len(x)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_layers_of_topic_1():
    rng = np.random.default_rng(0)
    x, w, b = rng.normal(size=(3, 2, 2)), rng.normal(size=(4, 5)), rng.normal(size=5)
    wanted, dout, grads = ask_torch(lambda x, w, b: x.flatten(1) @ w + b, x, w, b)
    out, cache = affine_forward(x, w, b)
    expect("affine_forward", out, wanted, "your assignment 1")
    for got, wanted in zip(affine_backward(dout, cache), grads, strict=True):
        expect("affine_backward", got, wanted, "your assignment 1")
    wanted, dout, (dx,) = ask_torch(torch.relu, x)
    out, cache = relu_forward(x)
    expect("relu_forward", out, wanted, "your assignment 1")
    expect("relu_backward", relu_backward(dout, cache), dx, "your assignment 1")
    labels = np.array([1, 4, 1])
    wanted, one, (dx,) = ask_torch(lambda s: F.cross_entropy(s, torch.tensor(labels)), out := w[:3])
    loss, got = softmax_loss(out, labels)
    expect("softmax_loss", loss, wanted, "your assignment 1")
    expect("its gradient", got, dx / one, "your assignment 1")


check_layers_of_topic_1()

# %% [markdown] role="locked"
# **Exercise (6 points).** Build the network: conv – ReLU – 2×2 max pool with stride 2 – affine – ReLU – affine – softmax.
# The convolution keeps the size of the image (stride 1, and just as much padding as that takes).
# Use your fast convolution and your pooling; for a network that trains in seconds, max pooling deserves fewer loops, too, but that is up to you.

# %% role="solution" grade_id="cnn-three-layer-convnet"
class ThreeLayerConvNet:
    """conv - relu - 2x2 max pool - affine - relu - affine - softmax.

    input_dim: (C, H, W) with H, W >= 2; filter_size: odd
    params: W1 (F, C, filter_size, filter_size), b1 (F,), W2 (F (H // 2) (W // 2),
    hidden_dim), b2, W3 (hidden_dim, num_classes), b3, all of dtype. Weights start normally
    distributed around 0 with standard deviation weight_scale, biases at 0. Each call of
    loss() works with what params holds then, and remembers nothing of calls before.
    """

    def __init__(self, input_dim=(3, 32, 32), num_filters=32, filter_size=7, hidden_dim=100,
                 num_classes=10, weight_scale=1e-3, reg=0.0, dtype=np.float32):
        ### BEGIN SOLUTION
        C, H, W = input_dim
        self.reg = reg
        shapes = {
            "1": (num_filters, C, filter_size, filter_size),
            "2": (num_filters * (H // 2) * (W // 2), hidden_dim),
            "3": (hidden_dim, num_classes),
        }
        rng = np.random.default_rng()
        self.params = {}
        for layer, shape in shapes.items():
            num_out = num_filters if layer == "1" else shape[1]
            self.params["W" + layer] = (weight_scale * rng.normal(size=shape)).astype(dtype)
            self.params["b" + layer] = np.zeros(num_out, dtype)
        ### END SOLUTION

    def loss(self, X, y=None):
        """Return the scores (N, num_classes) if y is None, else (loss, grads).

        X: (N, C, H, W), of the net's dtype; y: (N,) labels. loss is the mean softmax loss
        plus 0.5 reg times the sum of all squared weights (not biases); grads is a dict of
        gradients under the names of params, of their dtype. X, y and params stay as they
        are.
        """
        ### BEGIN SOLUTION
        p = self.params
        same = {"stride": 1, "pad": p["W1"].shape[2] // 2}
        halves = {"pool_height": 2, "pool_width": 2, "stride": 2}
        maps, conv_cache = conv_forward_im2col(X, p["W1"], p["b1"], same)
        active, relu_cache = relu_forward(maps)
        pooled, pool_cache = max_pool_forward_naive(active, halves)
        hidden, affine_cache = affine_forward(pooled, p["W2"], p["b2"])
        active2, relu_cache2 = relu_forward(hidden)
        scores, affine_cache2 = affine_forward(active2, p["W3"], p["b3"])
        if y is None:
            return scores
        loss, dscores = softmax_loss(scores, y)
        grads = {}
        dactive2, grads["W3"], grads["b3"] = affine_backward(dscores, affine_cache2)
        dhidden = relu_backward(dactive2, relu_cache2)
        dpooled, grads["W2"], grads["b2"] = affine_backward(dhidden, affine_cache)
        dactive = max_pool_backward_naive(dpooled, pool_cache)
        dmaps = relu_backward(dactive, relu_cache)
        _, grads["W1"], grads["b1"] = conv_backward_im2col(dmaps, conv_cache)
        for name in ("W1", "W2", "W3"):
            loss += 0.5 * self.reg * (p[name] ** 2).sum()
            grads[name] = grads[name] + self.reg * p[name]
        return loss, grads
        ### END SOLUTION


# %% role="locked"
# Open checks
def check_three_layer_convnet():
    net = ThreeLayerConvNet((2, 5, 4), 3, 3, 6, 4, weight_scale=0.5, reg=0.1, dtype=np.float64)
    shapes = {name: value.shape for name, value in net.params.items()}
    wanted = {"W1": (3, 2, 3, 3), "b1": (3,), "W2": (12, 6), "b2": (6,), "W3": (6, 4), "b3": (4,)}
    assert shapes == wanted, f"params have the shapes {shapes}"
    X, y = np.random.default_rng(0).normal(size=(5, 2, 5, 4)), np.array([0, 1, 2, 3, 3])
    assert net.loss(X).shape == (5, 4), "scores are (N, num_classes)"
    loss, grads = net.loss(X, y)
    assert sorted(grads) == sorted(wanted), f"gradients of {sorted(grads)}"
    # the loss must rise along a random direction as the gradients say
    direction = {name: np.random.default_rng(1).normal(size=v.shape) for name, v in net.params.items()}
    for name, start in list(net.params.items()):
        around = []
        for h in (1e-6, -1e-6):
            net.params[name] = start + h * direction[name]
            around.append(net.loss(X, y)[0])
        net.params[name] = start
        slope = (around[0] - around[1]) / 2e-6
        expect(f"the slope along {name}", (grads[name] * direction[name]).sum(), slope, "the way back, and reg", 1e-4)
    small = ThreeLayerConvNet((1, 4, 4), 2, 3, 5, 10)
    assert all(v.dtype == np.float32 for v in small.params.values()), "float32 is the default"
    expect("the loss at the start", small.loss(np.ones((3, 1, 4, 4), "float32"), y[:3])[0], np.log(10), "small weights", 1e-3)


check_three_layer_convnet()

# %% role="tests" grade_id="cnn-three-layer-convnet-tests" points=6
# Graded by hidden checks: how it starts, scores, loss with regularization, gradients; odd sizes, float32; nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.three_layer_convnet(ThreeLayerConvNet)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## All together: reading digits, better
#
# In assignment 1 a network without convolutions had to get 95 % of new digits right.
# Yours shall do better: 97 %.
#
# The optimizer is given, or your own of topic 2: the class below lets PyTorch's Adam change NumPy arrays.
# `Adam(net.params)` remembers the arrays, `step(grads, lr)` changes them in place.

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


# %% [markdown] role="locked"
# **Exercise (6 points).** Write a function that trains your network on labelled digits and names new ones.
# The hidden check asks for the labels of digits that never leave it: 90 % right earns 2 points, 97 % all 6.
# It also renames the classes, so that what you call a seven may be its three; whoever learns from `y_train` won't notice.
#
# Go through the data in shuffled batches; look at the loss of a few epochs before you let it run.
# Weights of scale $10^{-3}$ are a slow start, $\sqrt{2 / \text{inputs of a unit}}$ is a good one; and steps that shrink towards the end are worth a percent.

# %% role="solution" grade_id="cnn-digits"
def classify_digits(X_train, y_train, X_new, seed):
    """Train a ThreeLayerConvNet on (X_train, y_train); return the labels of X_new, (M,).

    X_train: (N, 1, 8, 8) and X_new: (M, 1, 8, 8), float32 in [0, 1]; y_train: (N,)
    int64, 0 to 9. N is about 1400. The labels are integers. seed: an int for whatever you
    draw at random. At most 20 seconds on a CPU.
    """
    ### BEGIN SOLUTION
    rng = np.random.default_rng(seed)
    net = ThreeLayerConvNet((1, 8, 8), num_filters=32, filter_size=3, hidden_dim=64)
    for name, num_in in {"W1": 9, "W2": 512, "W3": 64}.items():
        weights = rng.normal(size=net.params[name].shape) * np.sqrt(2 / num_in)
        net.params[name] = weights.astype(np.float32)
    optimizer, num_epochs = Adam(net.params), 25
    for epoch in range(num_epochs):
        order = rng.permutation(len(X_train))
        # smaller and smaller steps, so that the weights come to rest
        lr = 3e-3 * (1 - epoch / num_epochs)
        for start in range(0, len(order), 32):
            batch = order[start : start + 32]
            _, grads = net.loss(X_train[batch], y_train[batch])
            optimizer.step(grads, lr)
    return net.loss(X_new).argmax(axis=1)
    ### END SOLUTION


# %% role="locked"
# Open check
def check_classify_digits():
    start = perf_counter()
    labels = classify_digits(digits.train.X, digits.train.y, digits.val.X, seed=0)
    assert labels.shape == digits.val.y.shape, f"labels of shape {labels.shape}"
    accuracy = (labels == digits.val.y).mean()
    assert accuracy >= 0.97, f"{accuracy:.1%} of the validation digits are right, not 97 %"
    return f"{accuracy:.1%} of the validation digits are right, after {perf_counter() - start:.1f} s"


check_classify_digits()

# %% role="tests" grade_id="cnn-digits-tests" points=6
# Graded by hidden checks: the share of held-out digits that are named right.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.digits(classify_digits)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## The same network, on a GPU
#
# Your network is a handful of matrix products, and libraries have fast ones for every device.
# Translate it: the same layers, as a PyTorch module, with the same weights.
# (`nn.Linear` keeps its weights as (out, in), so one thing has to be turned around.)
#
# **Exercise (3 points).** Write the twin.

# %% role="solution" grade_id="cnn-torch-twin"
def torch_twin(params):
    """Return a torch.nn.Module that computes the scores of a ThreeLayerConvNet.

    params: those of a ThreeLayerConvNet with an odd filter size, float32 or float64

    The module takes X (N, C, H, W), a tensor of the same dtype, and returns the scores
    (N, num_classes). It has as many trainable numbers as params, and starts with copies
    of them: training it doesn't change params.
    """
    ### BEGIN SOLUTION
    p = {name: torch.tensor(value) for name, value in params.items()}
    num_filters, C, size, _ = p["W1"].shape
    twin = torch.nn.Sequential(
        torch.nn.Conv2d(C, num_filters, size, padding=size // 2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(*p["W2"].shape),
        torch.nn.ReLU(),
        torch.nn.Linear(*p["W3"].shape),
    )
    values = [p["W1"], p["b1"], p["W2"].T, p["b2"], p["W3"].T, p["b3"]]
    for parameter, value in zip(twin.parameters(), values, strict=True):
        parameter.data = value
    return twin
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_torch_twin():
    net = ThreeLayerConvNet((2, 6, 5), 3, 3, 4, 5, weight_scale=0.5)
    X = np.random.default_rng(0).normal(size=(3, 2, 6, 5)).astype("float32")
    wanted, before = net.loss(X), {name: value.copy() for name, value in net.params.items()}
    twin = torch_twin(net.params)
    got = twin(torch.from_numpy(X))
    expect("the scores", got.detach(), wanted, "order of layers, padding, transposed weights", 1e-4)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter += 1
    for name, value in net.params.items():
        expect(f"{name}, after the twin changed", value, before[name], "memory that both share")


check_torch_twin()

# %% role="tests" grade_id="cnn-torch-twin-tests" points=3
# Graded by hidden checks: scores, trainable parameters, a step of training, params unchanged.
### BEGIN HIDDEN TESTS
from grader.checks import cnn
cnn.torch_twin(torch_twin)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Now let the machine at hand do what it can.
# The cell below trains the twin on Fashion-MNIST (70,000 clothes of 28×28 pixels) if it is on this computer, and on the digits otherwise; `load("fashion_mnist")` downloads it (31 MB).
# `fovea.fit` moves model and data to a GPU where there is one; the code stays the same.

# %%
device = fovea.choose_device()
if fovea.is_local("fashion_mnist"):
    data = load("fashion_mnist", num_train=2_000 if device.type == "cpu" else 50_000)
else:
    data = digits
small_net = ThreeLayerConvNet(data.train.X.shape[1:], filter_size=5, weight_scale=0.05)
twin, val = torch_twin(small_net.params), data.val.head(1_000)
history = fovea.fit(twin, data.train, val=val, num_epochs=15, lr=3e-3, batch_size=64, device=device)
score = fovea.evaluate(twin, data.test)
print(f"{data.name}: {score.metric:.1%} of the test images are named right")

# %% [markdown] role="locked"
# **Exercise (3 points, graded by a person).** What did the first layer learn to look for?
# Plot its 32 filters before training (they are still in `small_net.params`) and after (the first of `twin.parameters()`), in one figure or two, so that both can be compared.
# Add a sentence, as a comment, on what has changed and which filters you recognise.

# %% role="manual" grade_id="cnn-learned-filters" points=3
### BEGIN SOLUTION
before = small_net.params["W1"]
after = next(twin.parameters()).detach().cpu().numpy()
axes = image_grid(np.concatenate([before, after]), columns=16, title="Two rows before, two rows after training")
describe(axes, "32 random filters; below them the same ones after training, smoother and stronger.")
# Before, neighbouring weights have nothing to do with each other. After, many filters have a
# bright and a dark side (edges of a direction) or a bright stripe (strokes); some hardly moved.
# (1 point each: both on one scale of grey or colour; signs can be told apart; edges named.)
### END SOLUTION

# %% [markdown] role="locked"
# ## What we learned
#
# A convolution is an affine unit that looks at one window, used at every place: so gradients add up over places, and padding, stride and dilation only say which pixels a window holds.
# Pooling has no weights, and its gradient goes where the value came from.
# What is slow with loops becomes one matrix product; what a layer costs and sees, you can count before you build it.
#
# To go on:
#
# 1. Make max pooling fast, with one `sliding_window_view`. How much of an epoch does it save?
# 2. Replace the pooling of your network by a stride of 2 in the convolution. What happens to time and accuracy?
# 3. Shift all test digits by one pixel. How much accuracy does your network lose, and how much does the one of assignment 1?
