# %% [markdown] role="locked"
# # Assignment 9: segmentation
#
# A classifier says that there is a star in the image.
# Segmentation says which pixels are the star.
# In this assignment you write what that takes: ways to make small maps large again, networks that go down and come back up, a loss that doesn't forget small things, and a measure that can't be fooled by a large background.
# Then you train a U-Net that outlines shapes in scenes which it has never seen.
#
# - You will be able to say what a transposed convolution does, to build SegNet and U-Net, and to tell a good segmentation from one that looks good.
# - You need lecture 9, and convolution and pooling of topic 4.
# - It takes an evening or two of thinking; the whole notebook computes in about two minutes on a laptop CPU, nearly all of it in the last part.
#
# Each exercise has a function to fill in, *open checks* to run as often as you like, and a graded cell.
# Hidden checks grade what the docstring promises, over all of the range that it promises, and nothing else.
# All data are PyTorch tensors now.

# %%
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import fovea
from fovea.open_checks import expect
from fovea.plotting import describe, image_grid, use_style

use_style()
torch.set_num_threads(1)

# %% [markdown] role="locked"
# ## What every function here keeps to
#
# It returns a *new* tensor of the dtype and on the device that it was given, and **detached**: without the graph that PyTorch keeps for gradients, even if the input has one.
# What it was given stays as it is: values, `requires_grad`, `.grad`.
# The first helper below tries this, and the open checks call it for you.
# (Networks and losses are the exception: gradients have to pass through them. The second helper is for networks.)

# %% role="locked"
def expect_hands_off(function, *arguments, **options):
    """Try the promises above on float32 tensors that require gradients."""
    tensors = [a for a in arguments if torch.is_tensor(a) and a.is_floating_point()]
    for tensor in tensors:
        tensor.requires_grad_()
        tensor.grad = torch.ones_like(tensor)
    before = [tensor.detach().clone() for tensor in tensors]
    out = function(*arguments, **options)
    assert torch.is_tensor(out), f"a {type(out).__name__} came back, not a tensor"
    assert out.dtype == torch.float32, f"float32 becomes {out.dtype}"
    assert not out.requires_grad, "the result carries a graph: detach it"
    places = [tensor.untyped_storage().data_ptr() for tensor in tensors]
    assert out.untyped_storage().data_ptr() not in places, "the result is no new tensor"
    for tensor, old in zip(tensors, before, strict=True):
        expect("an input, after the call", tensor.detach(), old, "what is written in place")
        assert tensor.requires_grad, "an input does not require gradients any more"
        expect("its .grad", tensor.grad, torch.ones_like(old), "what calls backward")


def check_network(Net, in_channels, num_classes, **options):
    """Try the promises that can be tried without looking inside."""
    torch.manual_seed(0)
    net = Net(in_channels, num_classes, **options)
    for size in [(8, 8), (16, 24), (9, 13), (31, 22)]:
        x = torch.rand(2, in_channels, *size)
        scores = net(x)
        wanted = 2, num_classes, *size
        assert scores.shape == wanted, f"{tuple(x.shape)} becomes {tuple(scores.shape)}"
    scores.square().mean().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None]
    assert not without, f"no gradient reaches {without}: are these layers used?"
    net.eval()
    with torch.no_grad():
        expect("one of two", net(x[:1]), net(x)[:1], "what depends on the batch", 1e-4)


# %% [markdown] role="locked"
# ## Making maps larger
#
# A network that labels pixels shrinks its maps to see more context, and then has to come back to full size.
# The simplest way is to repeat each number: **nearest neighbour**.
# With factor 2,
#
# $$\begin{pmatrix}1 & 2\\ 3 & 4\end{pmatrix} \to \begin{pmatrix}1 & 1 & 2 & 2\\ 1 & 1 & 2 & 2\\ 3 & 3 & 4 & 4\\ 3 & 3 & 4 & 4\end{pmatrix}$$
#
# **Exercise (2 points).** Write it without PyTorch's `interpolate` and `Upsample`, so that you have done it once.

# %% role="solution" grade_id="segmentation-unpool-nearest"
def unpool_nearest(x, factor):
    """Return x enlarged, each number repeated over a block of factor × factor.

    x: (N, C, H, W), float32 or float64; factor: an int >= 1, also 1 gives a new tensor

    Returns (N, C, factor H, factor W), detached, of x's dtype; x stays as it is.
    """
    ### BEGIN SOLUTION
    N, C, H, W = x.shape
    blocks = x.detach()[:, :, :, None, :, None].expand(N, C, H, factor, W, factor)
    return blocks.reshape(N, C, factor * H, factor * W).clone()
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_unpool_nearest():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    wanted = [[[[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]]]
    expect("the map above", unpool_nearest(x, 2), wanted, "both directions")
    row = torch.tensor([[[[1.0, 2.0]]]])
    expect("a row, by 3", unpool_nearest(row, 3), [[3 * [[1, 1, 1, 2, 2, 2]]]], "the factor")
    expect_hands_off(unpool_nearest, torch.rand(2, 3, 2, 4), 1)


check_unpool_nearest()

# %% role="tests" grade_id="segmentation-unpool-nearest-tests" points=2
# Graded by hidden checks: values for several shapes and factors; dtype, detached, nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.unpool_nearest(unpool_nearest)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Or we leave the new places empty, like a **bed of nails**, and let the next convolution fill the gaps.
# The nail stands in the upper left corner of its block:
#
# $$\begin{pmatrix}1 & 2\\ 3 & 4\end{pmatrix} \to \begin{pmatrix}1 & 0 & 2 & 0\\ 0 & 0 & 0 & 0\\ 3 & 0 & 4 & 0\\ 0 & 0 & 0 & 0\end{pmatrix}$$
#
# **Exercise (2 points).** Write it.

# %% role="solution" grade_id="segmentation-bed-of-nails"
def bed_of_nails(x, factor):
    """Return x enlarged: each number in the upper left corner of a block of zeros.

    x: (N, C, H, W), float32 or float64; factor: an int >= 1, also 1 gives a new tensor

    Returns (N, C, factor H, factor W), detached, of x's dtype; x stays as it is.
    """
    ### BEGIN SOLUTION
    N, C, H, W = x.shape
    out = torch.zeros(N, C, factor * H, factor * W, dtype=x.dtype, device=x.device)
    out[:, :, ::factor, ::factor] = x.detach()
    return out
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_bed_of_nails():
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    wanted = [[[[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]]]
    expect("the map above", bed_of_nails(x, 2), wanted, "the upper left corner")
    row = torch.tensor([[[[1.0, 2.0]]]])
    expect("a row, by 3", bed_of_nails(row, 3)[0, 0, 0], [1, 0, 0, 2, 0, 0], "the factor")
    expect_hands_off(bed_of_nails, torch.rand(2, 3, 2, 4), 1)


check_bed_of_nails()

# %% role="tests" grade_id="segmentation-bed-of-nails-tests" points=2
# Graded by hidden checks: values for several shapes and factors; dtype, detached, nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.bed_of_nails(bed_of_nails)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Always the upper left corner is wrong three times out of four: the maximum of a window lay somewhere, and pooling threw away where.
# **Max unpooling** remembers.
# `F.max_pool2d(x, 2, return_indices=True)` returns, beside the maxima, the place of each one in its map, counted row by row: in a map of width 4, the pixel in row 2 and column 1 has index $2 \cdot 4 + 1 = 9$.
#
# **Exercise (3 points).** Put each maximum back into its place, and zeros everywhere else.
# The size of the large map has to be given: pooling makes 2×2 of 4×4, and of 5×5, too.

# %% role="solution" grade_id="segmentation-max-unpool"
def max_unpool(x, indices, size):
    """Return a large map with each number of x at its index, and zeros elsewhere.

    x: (N, C, h, w), float32 or float64
    indices: (N, C, h, w) int64, places in the large map of the same image and channel,
        row by row, as max_pool2d returns them; the windows did not overlap
    size: (H, W) of the large map, h <= H and w <= W, also with borders that no window
        reached

    Returns (N, C, H, W), detached, of x's dtype; x and indices stay as they are.
    """
    ### BEGIN SOLUTION
    N, C = x.shape[:2]
    H, W = size
    flat = torch.zeros(N, C, H * W, dtype=x.dtype, device=x.device)
    flat.scatter_(2, indices.reshape(N, C, -1), x.detach().reshape(N, C, -1))
    return flat.reshape(N, C, H, W)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_max_unpool():
    x = torch.tensor([[[[5.0, 7.0]]]])
    places = torch.tensor([[[[4, 3]]]])
    wanted = [[[[0, 0, 0, 7], [5, 0, 0, 0]]]]
    expect("5 at place 4, 7 at 3, in 2×4", max_unpool(x, places, (2, 4)), wanted, "rows first")
    maps = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    pooled, places = F.max_pool2d(maps, 2, return_indices=True)
    wanted = F.max_unpool2d(pooled, places, 2, output_size=(5, 7))
    expect("an odd size", max_unpool(pooled, places, (5, 7)), wanted, "images and channels")
    expect_hands_off(max_unpool, pooled, places, (5, 7))


check_max_unpool()

# %% role="tests" grade_id="segmentation-max-unpool-tests" points=3
# Graded by hidden checks: several windows, borders that no window reached; dtype, detached, nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.max_unpool(max_unpool)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## A convolution is a matrix
#
# None of the three has anything to learn.
# To find the enlargement that has, look at a convolution as what it is: a linear map, so a matrix $M$ with $\text{out} = M x$.
# In one dimension, the kernel $(a\;b\;c)$ on five pixels is
#
# $$M = \begin{pmatrix} a & b & c & 0 & 0\\ 0 & a & b & c & 0\\ 0 & 0 & a & b & c\end{pmatrix}$$
#
# Stride 2 keeps every other row.
# Padding 1 adds a row above and below, in which a part of the kernel hangs over the border and is cut off: $(b\;c\;0\;0\;0)$ above.
# In two dimensions, image and output are read row by row into long vectors, and each row of $M$ is the kernel laid on one place of an empty image.
#
# **Exercise (6 points).** Build the matrix, for one dimension and for two.

# %% role="solution" grade_id="segmentation-conv-matrix"
def conv_matrix(kernel, size, stride=1, padding=0):
    """Return the matrix of a convolution (cross-correlation, one channel, no bias).

    kernel: (k,), and size an int; or (kh, kw), and size a tuple (H, W). float32 or
        float64; sizes need not be square; the kernel fits into the padded image.
    stride: an int >= 1; padding: an int >= 0, zeros on each side; both hold for all
        dimensions. Sizes round down, as always.

    Returns (out, size), or (out_h out_w, H W) with pixels and outputs counted row by row.
    It is new, detached and of the kernel's dtype; the kernel stays as it is.
    """
    ### BEGIN SOLUTION
    image = kernel.ndim == 2
    kernel = kernel.detach() if image else kernel.detach()[None]
    H, W = size if image else (1, size)
    pad_h, step_h = (padding, stride) if image else (0, 1)
    kh, kw = kernel.shape
    rows = range(0, H + 2 * pad_h - kh + 1, step_h)
    columns = range(0, W + 2 * padding - kw + 1, stride)
    matrix = []
    for i in rows:
        for j in columns:
            empty = kernel.new_zeros(H + 2 * pad_h, W + 2 * padding)
            empty[i : i + kh, j : j + kw] = kernel
            matrix.append(empty[pad_h : pad_h + H, padding : padding + W].flatten())
    return torch.stack(matrix)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_conv_matrix():
    abc = torch.tensor([1.0, 2.0, 3.0])
    three = [[1, 2, 3, 0, 0], [0, 1, 2, 3, 0], [0, 0, 1, 2, 3]]
    expect("the matrix above", conv_matrix(abc, 5), three, "nothing is flipped")
    expect("stride 2", conv_matrix(abc, 5, stride=2), three[::2], "every other row")
    padded = [[2, 3, 0, 0, 0], *three, [0, 0, 0, 1, 2]]
    expect("padding 1", conv_matrix(abc, 5, padding=1), padded, "what hangs over the border")
    square = conv_matrix(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), (2, 3))
    expect("2×2 on 2×3", square, [[1, 2, 0, 3, 4, 0], [0, 1, 2, 0, 3, 4]], "row by row")
    kernel = torch.arange(6.0).reshape(2, 3)
    image = torch.rand(4, 5, generator=torch.Generator().manual_seed(0))
    wanted = F.conv2d(image[None, None], kernel[None, None], stride=2, padding=1).flatten()
    got = conv_matrix(kernel, (4, 5), 2, 1) @ image.flatten()
    expect("M x, and PyTorch", got, wanted, "strides and padding in two dimensions", 1e-5)
    expect_hands_off(conv_matrix, torch.rand(2, 3), (4, 5))


check_conv_matrix()

# %% role="tests" grade_id="segmentation-conv-matrix-tests" points=6
# Graded by hidden checks: one and two dimensions, each without and with stride and padding; dtype, detached.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.conv_matrix(conv_matrix)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Back up: transposed convolution
#
# $M$ has fewer rows than columns: it makes small outputs of large images.
# Its transpose goes the other way, and has the same kernel to learn.
# Read $M^\top y$ column by column of $M^\top$: each number $y_i$ multiplies a copy of the kernel, and where copies overlap they add up.
# So a **transposed convolution** is a stamp.
# Each pixel of the small map presses the kernel, as strong as its value, into the large map, `stride` pixels further each time; `padding` finally crops that many pixels from each side.
#
# $$\text{size} = (H - 1) \cdot \text{stride} + k_h - 2 \cdot \text{padding}$$
#
# By hand, with the kernel $(1\;2\;3)$: the row $(1\;10)$ becomes $(1\;\;12\;\;23\;\;30)$ with stride 1, $(1\;\;2\;\;13\;\;20\;\;30)$ with stride 2, and $(2\;\;13\;\;20)$ with stride 2 and padding 1.
#
# **Exercise (5 points).** Write it with loops.

# %% role="solution" grade_id="segmentation-conv-transpose"
def conv_transpose2d_naive(x, w, b, stride=1, padding=0):
    """Return the transposed convolution of x with w, plus b, as PyTorch defines it.

    x: (N, Ci, H, W); w: (Ci, Co, kh, kw), input channels first; b: (Co,)
    All share one dtype, float32 or float64; maps and kernels need not be square.
    stride: an int >= 1; padding: an int >= 0, what is cropped from each side; both hold
        for both dimensions, and something is left

    Returns (N, Co, (H - 1) stride + kh - 2 padding, (W - 1) stride + kw - 2 padding),
    new, detached, of x's dtype; x, w and b stay as they are.
    """
    ### BEGIN SOLUTION
    x, w, b = x.detach(), w.detach(), b.detach()
    H, W = x.shape[2:]
    kh, kw = w.shape[2:]
    height, width = (H - 1) * stride + kh, (W - 1) * stride + kw
    out = torch.zeros(len(x), w.shape[1], height, width, dtype=x.dtype, device=x.device)
    # one tap of the kernel at a time: its stamps never overlap each other
    for u in range(kh):
        for v in range(kw):
            stamped = torch.einsum("ncij,cd->ndij", x, w[:, :, u, v])
            rows = slice(u, u + (H - 1) * stride + 1, stride)
            columns = slice(v, v + (W - 1) * stride + 1, stride)
            out[:, :, rows, columns] += stamped
    cropped = out[:, :, padding : height - padding, padding : width - padding]
    return cropped + b[:, None, None]
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_conv_transpose2d_naive():
    x, w = torch.tensor([[[[1.0, 10.0]]]]), torch.tensor([[[[1.0, 2.0, 3.0]]]])
    none = torch.zeros(1)
    one = conv_transpose2d_naive(x, w, none)
    expect("stride 1", one, [[[[1, 12, 23, 30]]]], "stamps that overlap add up")
    two = conv_transpose2d_naive(x, w, none, stride=2)
    expect("stride 2", two, [[[[1, 2, 13, 20, 30]]]], "how far apart stamps lie")
    tall = conv_transpose2d_naive(x.mT, w.mT, none + 100, stride=2, padding=0)[0, 0, :, 0]
    expect("a column, bias 100", tall, [101, 102, 113, 120, 130], "bias once for each pixel")
    generator = torch.Generator().manual_seed(0)
    shapes = (2, 3, 4, 3), (3, 2, 3, 4), (2,)
    given = [torch.rand(shape, generator=generator) for shape in shapes]
    wanted = F.conv_transpose2d(*given, stride=2, padding=1)
    got = conv_transpose2d_naive(*given, stride=2, padding=1)
    expect("PyTorch's", got, wanted, "channels, and cropping all four sides", 1e-5)
    expect_hands_off(conv_transpose2d_naive, *given)


check_conv_transpose2d_naive()

# %% role="tests" grade_id="segmentation-conv-transpose-tests" points=5
# Graded by hidden checks: stride 1, strides 2 and 3, padding; maps and kernels that are not square; dtype, detached.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.conv_transpose2d_naive(conv_transpose2d_naive)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# **Exercise (3 points, graded by a person).** A well-known slide says that a transposed convolution with a 3×3 kernel, stride 2 and padding 1 makes a map of 4×4 out of one of 2×2.
#
# 1. Which size does it make? Show it with the formula.
# 2. Why is a 4×4 image that goes through the *forward* convolution (3×3, stride 2, padding 1) no proof for the slide?
# 3. PyTorch's `output_padding=1` gives 4×4. What does it do, and why is it not like padding the result with zeros?

# %% [markdown] role="manual" grade_id="segmentation-slide" points=3
# ### BEGIN SOLUTION
# 1. $(2 - 1) \cdot 2 + 3 - 2 \cdot 1 = 3$: it makes 3×3.
# 2. The forward convolution makes 2×2 of 4×4, but of 3×3 as well, since sizes round down: ⌊(4 + 2 − 3)/2⌋ + 1 = ⌊(3 + 2 − 3)/2⌋ + 1 = 2. So the way back is ambiguous, and without being told otherwise, the transpose takes the smaller size.
# 3. It says that the large map has a row and a column more, at the lower right. These are cropped one pixel less, so they hold what the stamps press there (and the bias), not zeros. In terms of matrices: it takes the transpose of the matrix for 4×4 instead of that for 3×3.
# (1 point each.)
# ### END SOLUTION

# %% [markdown] role="locked"
# ## From a classifier to a map of answers
#
# A network that ends with fully connected layers takes images of one size.
# But the first of these layers, on a map of C×H×W, is nothing else than a convolution with kernels of H×W that happens to have a single place to go.
# (The layers after it see 1×1 maps, so they become 1×1 convolutions.)
# Written as a convolution, it takes larger images, too, and answers for each place: a classifier that slides over the image, without computing anything twice.
#
# **Exercise (4 points).** Turn a linear layer into that convolution.

# %% role="solution" grade_id="segmentation-fc-to-conv"
def fc_to_conv(linear, in_shape):
    """Return the nn.Conv2d that does what a linear layer does to a flattened map.

    linear: an nn.Linear with C H W inputs, with or without bias, float32 or float64
    in_shape: (C, H, W) of the map that `torch.flatten(x, 1)` makes its input of

    On maps (N, C, H, W) the convolution returns linear's outputs as (N, out, 1, 1); on
    larger ones it slides by 1, without padding. It has a bias if linear has one, linear's
    dtype, and its own copy of the weights, which can be trained. linear stays as it is.
    """
    ### BEGIN SOLUTION
    C, H, W = in_shape
    conv = nn.Conv2d(
        C,
        linear.out_features,
        kernel_size=(H, W),
        bias=linear.bias is not None,
        device=linear.weight.device,
        dtype=linear.weight.dtype,
    )
    state = {"weight": linear.weight.reshape(conv.weight.shape)}
    if linear.bias is not None:
        state["bias"] = linear.bias
    conv.load_state_dict(state)
    return conv
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_fc_to_conv():
    torch.manual_seed(0)
    linear, x = nn.Linear(2 * 3 * 4, 5), torch.rand(2, 2, 3, 4)
    conv = fc_to_conv(linear, (2, 3, 4))
    assert isinstance(conv, nn.Conv2d), f"a {type(conv).__name__} came back"
    wanted = linear(x.flatten(1)).detach()[:, :, None, None]
    expect("one place", conv(x).detach(), wanted, "channels first, then rows", 1e-5)
    large = torch.cat([x, x.flip(0)], dim=3)
    assert conv(large).shape == (2, 5, 1, 5), f"on 3×8 it returns {tuple(conv(large).shape)}"
    expect("the last place", conv(large)[..., 4:].detach(), wanted.flip(0), "sliding", 1e-5)
    assert fc_to_conv(nn.Linear(24, 5, bias=False), (2, 3, 4)).bias is None, "a bias appeared"
    assert fc_to_conv(linear.double(), (2, 3, 4)).weight.dtype == torch.float64, "the dtype"


check_fc_to_conv()

# %% role="tests" grade_id="segmentation-fc-to-conv-tests" points=4
# Graded by hidden checks: one place and many, maps that are not square, without bias, float32; memory of its own.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.fc_to_conv(fc_to_conv)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Down and up again: SegNet
#
# Sliding a classifier answers once for each stride of its layers: 32 pixels, in a usual network.
# An **encoder–decoder** comes back to full size.
# SegNet (V. Badrinarayanan, A. Kendall and R. Cipolla, 2015) keeps the indices of each max pooling on the way down.
# On the way up it unpools with them, the last pooling first, and convolves each time, which fills the zeros.
#
# The classes of this part have to work for images of any size from 8×8 on.
# Rounding down makes 4 of 9, and doubling gives 8: the decoder has to come back to 9.
# `F.max_unpool2d(…, output_size=size)` takes the size that it should return.
# (Your own `max_unpool` is detached by contract, so gradients would end there: use PyTorch's in networks.)
#
# **Exercise (6 points).** Write SegNet.
# How many levels, convolutions and channels it has is up to you, with batch normalization or without; small is fine, and quick to check.

# %% role="solution" grade_id="segmentation-segnet"
class SegNet(nn.Module):
    """An encoder-decoder whose decoder unpools with the indices of the encoder.

    SegNet(in_channels, num_classes) maps images (N, in_channels, H, W), float32, to
    scores (N, num_classes, H, W), of either sign: no softmax, no ReLU at the end.

    - H, W >= 8, even or odd; in_channels, num_classes >= 1; in training mode N >= 2,
      in evaluation mode also N = 1
    - the encoder halves height and width (rounding down) at least twice, by max pooling;
      every pooling's indices are used by the decoder, and nothing else gets from the
      encoder to the decoder than these and the smallest map
    - gradients reach every parameter, and state_dict() holds all that can be learned
    - in evaluation mode, the scores of an image depend on this image alone, and a call
      changes nothing; calls leave the mode and the images as they are
    """

    def __init__(self, in_channels, num_classes):
        ### BEGIN SOLUTION
        super().__init__()

        def layer(num_in, num_out):
            conv = nn.Conv2d(num_in, num_out, kernel_size=3, padding=1, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(num_out), nn.ReLU())

        self.encoder = nn.ModuleList(map(layer, (in_channels, 16, 32), (16, 32, 64)))
        self.decoder = nn.ModuleList(map(layer, (64, 32, 16), (32, 16, 16)))
        self.head = nn.Conv2d(16, num_classes, kernel_size=1)
        ### END SOLUTION

    def forward(self, x):
        """Return the scores of images x."""
        ### BEGIN SOLUTION
        kept = []
        for layer in self.encoder:
            x = layer(x)
            size = x.shape[2:]
            x, indices = F.max_pool2d(x, 2, return_indices=True)
            kept.append((indices, size))
        for layer in self.decoder:
            indices, size = kept.pop()
            x = layer(F.max_unpool2d(x, indices, 2, output_size=size))
        return self.head(x)
        ### END SOLUTION


# %% role="locked"
# Open checks
def check_segnet():
    check_network(SegNet, 3, 4)
    check_network(SegNet, 1, 2)


check_segnet()

# %% role="tests" grade_id="segmentation-segnet-tests" points=6
# Graded by hidden checks: sizes, channels, classes; indices used at every level, and nothing but them; training and evaluation.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.segnet(SegNet)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Skip connections: U-Net
#
# Indices say where a maximum was, but not what was around it.
# U-Net (O. Ronneberger, P. Fischer and T. Brox, 2015) hands over all there is.
# At each level, the decoder enlarges the map from below, by interpolation or by a transposed convolution, and **joins** it, channel beside channel, with the map that the encoder had at this level before pooling.
# So the deep levels tell what something is, and the shallow ones where exactly it ends.
#
# At odd sizes the two maps differ by a row or a column: enlarge to the size of the encoder's map.
#
# **Exercise (8 points).** Write U-Net, and let `skips=False` switch the skips off (the decoder then gets nothing but the map from below), so that we can see what they are good for.
# You will train it below, so give it some width, such as 16 channels at full size and twice as many at each level.

# %% role="solution" grade_id="segmentation-unet"
class UNet(nn.Module):
    """An encoder-decoder whose decoder sees the encoder's maps, level by level.

    UNet(in_channels, num_classes, skips=True) maps images (N, in_channels, H, W),
    float32, to scores (N, num_classes, H, W), of either sign: no softmax at the end.

    - H, W >= 8, even or odd; in_channels, num_classes >= 1; in training mode N >= 2,
      in evaluation mode also N = 1
    - the encoder halves height and width at least twice, one level after the other; at
      full size and at each level above the smallest map, the decoder joins the
      encoder's map with the one from below along the channels, with torch.cat
    - skips=False: nothing but the smallest map gets from the encoder to the decoder
    - gradients reach every parameter, and state_dict() holds all that can be learned
    - in evaluation mode, the scores of an image depend on this image alone, and a call
      changes nothing; calls leave the mode and the images as they are
    """

    def __init__(self, in_channels, num_classes, skips=True):
        ### BEGIN SOLUTION
        super().__init__()

        def layer(num_in, num_out):
            conv = nn.Conv2d(num_in, num_out, kernel_size=3, padding=1, bias=False)
            return nn.Sequential(conv, nn.BatchNorm2d(num_out), nn.ReLU())

        def pair(num_in, num_out):
            return nn.Sequential(layer(num_in, num_out), layer(num_out, num_out))

        self.skips = skips
        down = [layer(in_channels, 8), pair(8, 16), pair(16, 32), pair(32, 64), layer(64, 64)]
        self.encoder = nn.ModuleList(down)
        # what comes from below, and beside it what the encoder had at this level
        ins = [64 + 64 * skips, 64 + 32 * skips, 32 + 16 * skips, 16 + 8 * skips]
        self.decoder = nn.ModuleList(map(layer, ins, (64, 32, 16, 8)))
        self.head = nn.Conv2d(8, num_classes, kernel_size=1)
        ### END SOLUTION

    def forward(self, x):
        """Return the scores of images x."""
        ### BEGIN SOLUTION
        height, width = x.shape[2:]
        # images down to 8×8 are repeated at the border, so that the smallest map isn't empty
        x = F.pad(x, (0, max(0, 16 - width), 0, max(0, 16 - height)), mode="replicate")
        maps = []
        for block in self.encoder:
            x = block(F.max_pool2d(x, 2) if maps else x)
            maps.append(x)
        maps.pop()
        for block in self.decoder:
            skip = maps.pop()
            x = F.interpolate(x, skip.shape[2:])
            x = block(torch.cat([skip, x], dim=1) if self.skips else x)
        return self.head(x)[:, :, :height, :width]
        ### END SOLUTION


# %% role="locked"
# Open checks
def check_unet():
    for skips in (True, False):
        check_network(UNet, 3, 4, skips=skips)
    check_network(UNet, 1, 2)
    with_skips, without = UNet(3, 2), UNet(3, 2, skips=False)
    wider = [fovea.count_parameters(net) for net in (with_skips, without)]
    assert wider[0] > wider[1], "joined maps have more channels, so more weights"


check_unet()

# %% role="tests" grade_id="segmentation-unet-tests" points=8
# Graded by hidden checks: sizes, channels, classes; skips used and joined at every level; none without; training and evaluation.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.unet(UNet)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## How good is a segmentation?
#
# Most of a scene is background: nearly nine tenths, in those below.
# So calling everything background is nearly 90 % right.
# **Intersection over union** isn't impressed: of the pixels that are of a class *or* are called so, which share is both?
#
# $$\text{IoU}_k = \frac{|\text{pred}_k \cap \text{target}_k|}{|\text{pred}_k \cup \text{target}_k|}, \qquad \text{mean IoU} = \text{mean over the classes}$$
#
# With target $(0\;0\;1\;1\;2)$ and prediction $(0\;1\;1\;1\;0)$: $\text{IoU}_0 = 1/3$, $\text{IoU}_1 = 2/3$, $\text{IoU}_2 = 0$, and the mean is $1/3$.
# Two questions decide whether numbers of two people can be compared:
#
# - Counts are *pooled* over all images of the batch, and divided once. Averaging over images is another measure.
# - A class that is in neither map has $0/0$: it is left out of the mean. One that is only predicted has $0/n = 0$, and counts.
#
# People who draw masks leave out what they can't tell, such as borders; such pixels get a mark, often 255, and don't count whatever is predicted there.
#
# **Exercise (4 points).** Write it.

# %% role="solution" grade_id="segmentation-mean-iou"
def mean_iou(pred, target, num_classes, ignore_index=None):
    """Return the mean over the classes of intersection over union, a float.

    pred, target: int64 of the same shape, (N, H, W) or any other; pred holds classes
        from 0 to num_classes - 1, target too, or ignore_index
    ignore_index: None, or an int, also one of the classes: where the *target* is
        ignore_index, a pixel doesn't count

    Counts are pooled over all pixels. Classes in neither map are left out of the mean,
    those in only one count 0; if no pixel is left, nan. pred and target stay as they are.
    """
    ### BEGIN SOLUTION
    pred, target = pred.flatten(), target.flatten()
    if ignore_index is not None:
        counted = target != ignore_index
        pred, target = pred[counted], target[counted]
    counts = torch.bincount(num_classes * target + pred, minlength=num_classes**2)
    counts = counts.reshape(num_classes, num_classes)
    both = counts.diagonal()
    either = counts.sum(dim=0) + counts.sum(dim=1) - both
    seen = either > 0
    # the mean of nothing is nan
    return (both[seen] / either[seen]).double().mean().item()
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_mean_iou():
    target, pred = torch.tensor([0, 0, 1, 1, 2]), torch.tensor([0, 1, 1, 1, 0])
    expect("the case above", mean_iou(pred, target, 3), 1 / 3, "the union")
    expect("classes 3 to 9 are absent", mean_iou(pred, target, 10), 1 / 3, "0/0 is left out")
    pair = torch.stack([pred, target]), torch.stack([target, target])
    wanted = np.mean([3 / 5, 4 / 5, 1 / 2])
    expect("two images at once", mean_iou(*pair, 3), wanted, "counts are pooled")
    marked = torch.tensor([0, 255, 1, 1, 255])
    got = mean_iou(pred, marked, 3, ignore_index=255)
    expect("two pixels ignored", got, 1.0, "what is predicted there, too")
    nothing = torch.full((2, 3), 255)
    assert np.isnan(mean_iou(0 * nothing, nothing, 3, ignore_index=255)), "nothing gives nan"


check_mean_iou()

# %% role="tests" grade_id="segmentation-mean-iou-tests" points=4
# Graded by hidden checks: all classes there, absent classes, ignored pixels, nothing left.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.mean_iou(mean_iou)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## A loss that sees small things
#
# The mean loss over pixels has the same weakness as accuracy: a class with one pixel in a thousand is a thousandth of it.
# So pixels are weighted by their class, each class as much as all others:
#
# $$w_k = \frac{n}{m \cdot n_k}$$
#
# where $n$ pixels count, $n_k$ of them are of class $k$, and $m$ classes are there at all.
# Then a pixel weighs 1 on average.
# Labels $(0\;0\;0\;1)$ give $w_0 = 4/(2 \cdot 3) = 2/3$ and $w_1 = 4/(2 \cdot 1) = 2$.
#
# **Exercise (2 points).** Write the weights.

# %% role="solution" grade_id="segmentation-class-weights"
def class_weights(target, num_classes, ignore_index=None):
    """Return weights (num_classes,), float32, under which all classes count the same.

    target: int64 labels of any shape, 0 to num_classes - 1, or ignore_index
    ignore_index: None, or an int outside the classes: these pixels don't count. At least
        one pixel counts.

    The weight of class k is n / (m n_k), as above; that of a class that is not there is 0.
    target stays as it is.
    """
    ### BEGIN SOLUTION
    labels = target.flatten()
    if ignore_index is not None:
        labels = labels[labels != ignore_index]
    counts = torch.bincount(labels, minlength=num_classes)
    there = counts > 0
    weights = torch.zeros(num_classes, device=target.device)
    weights[there] = len(labels) / (there.sum() * counts[there])
    return weights
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_class_weights():
    labels = torch.tensor([[0, 0], [0, 1]])
    expect("the case above", class_weights(labels, 2), [2 / 3, 2], "the formula")
    expect("class 2 is absent", class_weights(labels, 3), [2 / 3, 2, 0], "classes that are there")
    marked = torch.tensor([0, 255, 0, 1, 0, 255])
    got = class_weights(marked, 2, ignore_index=255)
    expect("two pixels ignored", got, [2 / 3, 2], "what counts")
    assert got.dtype == torch.float32, f"weights are {got.dtype}"


check_class_weights()

# %% role="tests" grade_id="segmentation-class-weights-tests" points=2
# Graded by hidden checks: several shapes, absent classes, ignored pixels.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.class_weights(class_weights)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# The loss itself is topic 1's softmax loss, for each pixel, with weights: with $i$ over all pixels that count,
#
# $$L = \frac{\sum_i w_{y_i} \ell_i}{\sum_i w_{y_i}}, \qquad \ell_i = -\log \text{softmax}(s_i)_{y_i}$$
#
# It divides by the sum of the *weights*, not by the number of pixels.
# With scores of zero everywhere, each $\ell_i$ is $\log C$, and so is $L$, whatever the weights.
#
# **Exercise (3 points).** Write it with your own softmax: `F.cross_entropy`, `log_softmax` and `nll_loss` are for comparing.

# %% role="solution" grade_id="segmentation-pixel-loss"
def pixel_loss(scores, target, weights=None, ignore_index=None):
    """Return the weighted mean of the pixels' softmax losses, with its graph.

    scores: (N, C, H, W), float32 or float64, up to ±1e4; target: (N, H, W) int64, classes
        or ignore_index
    weights: (C,) of the scores' dtype, positive; None: all are 1
    ignore_index: None, or an int, also one of the classes: these pixels don't count, but
        at least one does

    Returns a scalar tensor of the scores' dtype; its gradients reach the scores, and are
    finite, too. What was given stays as it is.
    """
    ### BEGIN SOLUTION
    log_probs = scores - scores.logsumexp(dim=1, keepdim=True)
    counted = torch.ones_like(target) if ignore_index is None else target != ignore_index
    # ignored pixels may hold what is no class: any will do, as they get the weight 0
    labels = target * counted
    losses = -log_probs.gather(1, labels[:, None])[:, 0]
    pixel_weights = counted.to(scores.dtype)
    if weights is not None:
        pixel_weights = pixel_weights * weights[labels]
    return (pixel_weights * losses).sum() / pixel_weights.sum()
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_pixel_loss():
    zeros, target = torch.zeros(1, 4, 2, 2), torch.tensor([[[0, 1], [3, 3]]])
    expect("scores of zero", pixel_loss(zeros, target).item(), np.log(4), "the mean", 1e-5)
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, 3, 4, 5, generator=generator).requires_grad_()
    target = torch.randint(3, (2, 4, 5), generator=generator)
    weights = torch.tensor([0.5, 1.0, 4.0])
    target[:, 1:3, 1:3] = 255
    loss = pixel_loss(scores, target, weights, ignore_index=255)
    wanted = F.cross_entropy(scores, target, weights, ignore_index=255)
    expect("PyTorch's", loss.detach(), wanted.detach(), "weights, and pixels ignored", 1e-5)
    grads = [torch.autograd.grad(value, scores)[0] for value in (loss, wanted)]
    expect("its gradient", *grads, "what is detached on the way", 1e-5)
    large = pixel_loss(1e4 * scores.detach(), target, ignore_index=255)
    assert torch.isfinite(large), "for large scores exp overflows: see topic 1"


check_pixel_loss()

# %% role="tests" grade_id="segmentation-pixel-loss-tests" points=3
# Graded by hidden checks: loss and gradients; with weights; with ignored pixels; for large scores; in float32.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.pixel_loss(pixel_loss)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## All together: outlines of shapes
#
# `fovea.load("shapes", target="mask")` makes scenes with one to three objects of five classes, and a mask that says for each pixel what is seen there; 0 is background.

# %% role="locked"
# To look at
def show_some_scenes():
    some = fovea.load("shapes", target="mask", num_train=300, num_val=1, num_test=1)
    print(f"{(some.train.y == 0).mean():.0%} of the pixels are background")
    axes = image_grid(some.train.X[:5], columns=5)
    for ax, mask in zip(axes[0], some.train.y, strict=False):
        ax.contour(mask, levels=np.arange(6) + 0.5, colors="white", linewidths=1)
    describe(axes, "Five scenes of shapes; a white line runs around what the mask shows.")


show_some_scenes()

# %% [markdown] role="locked"
# **Exercise (6 points).** Write a function that trains a network on scenes with masks, and labels the pixels of new scenes.
# The hidden check makes scenes of its own, and keeps the masks of the new ones: a mean IoU of 0.60 earns 2 points, 0.75 earns 4, and 0.85 all 6.
# It also renames the classes (background need not be 0), so that only what you learn from `masks_train` counts.
#
# Some things that pay, roughly in this order:
#
# - Many steps: small batches (8 scenes, say), and a rate that rises and falls again, `fovea.fit(…, schedule="one_cycle")`.
# - Time goes into the levels at full size; what something *is* gets decided in the small ones. Few channels above, many below.
# - A scene in a mirror is a scene: flip images and masks together, for more training data; and average the scores of a new scene and its mirror image. (Upside down it is none: people stand.)

# %% role="solution" grade_id="segmentation-segment"
def segment(X_train, masks_train, X_new, num_classes, seed):
    """Train on (X_train, masks_train); return the masks of X_new, (M, H, W) int64.

    X_train: (N, 3, H, W) and X_new: (M, 3, H, W), float32 in [0, 1]; masks_train:
    (N, H, W) int64, 0 to num_classes - 1. Scenes as above, of 48×48 pixels; N is 2000, M 200.
    seed: an int for whatever you draw at random. The result is on the CPU. At most 120
    seconds.
    """
    ### BEGIN SOLUTION
    torch.manual_seed(seed)
    net = UNet(3, num_classes)
    X = torch.cat([X_train, X_train.flip(3)])
    masks = torch.cat([masks_train, masks_train.flip(2)])
    settings = {"lr": 1e-2, "schedule": "one_cycle", "show": False, "seed": seed}
    fovea.fit(net, (X, masks), num_epochs=2, batch_size=8, **settings)
    mirrored = fovea.predict(net, X_new.flip(3)).flip(3)
    return (fovea.predict(net, X_new) + mirrored).argmax(dim=1)
    ### END SOLUTION


# %% role="locked"
# Open check
def check_segment():
    sizes = {"size": 48, "num_train": 2000, "num_val": 200, "num_test": 200}
    scenes = fovea.load("shapes", target="mask", **sizes).to("cpu")
    start = perf_counter()
    masks = segment(scenes.train.X, scenes.train.y, scenes.val.X, 6, seed=0)
    assert masks.shape == scenes.val.y.shape, f"masks of shape {tuple(masks.shape)}"
    value = mean_iou(masks, scenes.val.y, 6)
    assert value >= 0.85, f"the mean IoU of the validation scenes is {value:.3f}, not 0.85"
    return f"mean IoU {value:.3f} on validation scenes, after {perf_counter() - start:.0f} s"


check_segment()

# %% role="tests" grade_id="segmentation-segment-tests" points=6
# Graded by hidden checks: the mean IoU on held-out scenes. Training is stopped after 240 seconds.
### BEGIN HIDDEN TESTS
from grader.checks import segmentation
segmentation.segment(segment)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## What are skips good for?
#
# **Exercise (4 points, graded by a person).** Train two U-Nets in the same way, one with skips and one with `skips=False`, for as long as you have patience.
# Show for at least three validation scenes: the scene, its mask, and what each of the two says.
# Below, as a comment: both mean IoUs; where the two differ most; and why there.

# %% role="manual" grade_id="segmentation-skips" points=4
### BEGIN SOLUTION
scenes = fovea.load("shapes", target="mask", size=32, num_train=1500, num_val=200)
rows, values = [scenes.val.X[:4], scenes.val.y[:4]], {}
for skips in (True, False):
    torch.manual_seed(0)
    net = UNet(3, 6, skips=skips)
    settings = {"lr": 1e-2, "schedule": "one_cycle", "show": False}
    fovea.fit(net, scenes.train, num_epochs=4, batch_size=8, **settings)
    masks = fovea.predict(net, scenes.val.X).argmax(dim=1)
    values[skips] = mean_iou(masks, torch.tensor(scenes.val.y), 6)
    rows.append(masks[:4])
fig, axes = plt.subplots(4, 4, figsize=(6, 6))
names = ["scene", "mask", "with skips", "without"]
for axes_of_one, name, images in zip(axes, names, rows, strict=True):
    for ax, image in zip(axes_of_one, images, strict=True):
        picture = np.moveaxis(image, 0, -1) if image.ndim == 3 else image
        ax.imshow(picture, cmap="tab10", vmin=0, vmax=9, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
    axes_of_one[0].set_ylabel(name)
describe(fig, "Four scenes, their masks, and the masks of a U-Net with skips and one without.")
print(f"mean IoU with skips {values[True]:.2f}, without {values[False]:.2f}")
# With skips the outlines are right, and nearly all classes (a triangle is taken for a star).
# Without, after as many steps, all is called background, which alone gives 0.89 / 6 = 0.15:
# what the decoder gets is 2×2 places, of 16×16 pixels each, and all that is finer has to be
# told by their 64 channels; with skips, the edges come from the encoder's map at full size.
# (1 point for the picture, 1 for both numbers, 1 for where they differ, 1 for why.)
### END SOLUTION

# %% [markdown] role="locked"
# ## The same on a GPU, larger
#
# `fovea.fit` takes a GPU where there is one.
# Then there is time for scenes of 128×128 pixels, and more of them; on a CPU the cell trains on a few small ones, which is enough to see that it runs.
# The code is the same.

# %%
# To look at
def train_larger():
    device = fovea.choose_device()
    size, num_train, num_epochs = (48, 300, 2) if device.type == "cpu" else (128, 8000, 12)
    scenes = fovea.load("shapes", target="mask", size=size, num_train=num_train)
    net = UNet(3, 6)
    settings = {"batch_size": 16, "lr": 5e-3, "schedule": "one_cycle"}
    history = fovea.fit(net, scenes.train, num_epochs=num_epochs, device=device, **settings)
    masks = fovea.predict(net, scenes.test.X).argmax(dim=1)
    value = mean_iou(masks, torch.tensor(scenes.test.y), 6)
    print(f"mean IoU {value:.3f} on {len(masks)} test scenes of {size}×{size} pixels")
    history.plot()


train_larger()

# %% [markdown] role="locked"
# **Exercise (3 points, graded by a person).** Somebody reports a mean IoU of 0.91 on photographs of streets; you get 0.74 with the same network on the same photographs.
# Name three differences in how the two of you *measure* that could explain it, without anybody having made a mistake in the network.
# Say of each one which way it moves the number.

# %% [markdown] role="manual" grade_id="segmentation-measures" points=3
# ### BEGIN SOLUTION
# Three of these, or others that hold (1 point each, half without the direction):
#
# - Classes: leaving out rare and difficult ones, or merging them, raises the mean; so does counting the background as a class if it is easy.
# - Absent classes: counting a class that is in neither map as 1 raises it, counting it as 0 lowers it.
# - Averaging over images instead of pooling counts: it raises the number if a class is easy in most images and hard in a few large ones, and lowers it if small regions in many images fail.
# - Ignored pixels: not counting borders and unclear regions raises it.
# - Size: masks compared at a lower resolution lose thin things, where most errors are, and raise it.
# - Which images: those used for training or for choosing the epoch raise it.
# ### END SOLUTION

# %% [markdown] role="locked"
# ## What we learned
#
# A small map becomes large again by repeating, by remembering where maxima were, or by stamps that learn: the transposed convolution, which is the transpose of a convolution's matrix and nothing else.
# A decoder alone knows *what* and forgets *where*; indices bring back a little of it, and skips all that there was.
# And a number is worth as much as the way in which it was counted.
#
# To go on:
#
# 1. Train your network with `class_weights` and `pixel_loss`. Which classes gain, which lose, and what does the mean IoU say?
# 2. Replace the interpolation in your U-Net by `nn.ConvTranspose2d(…, 2, stride=2)`, then with kernel 3. Can you see the checkerboard that overlapping stamps leave?
# 3. Take the U-Net to photographs: `fovea.load("nuclei")` has cells under a microscope, a download of a few megabytes.
