# %% [markdown]
# # Convolution: look everywhere with the same eyes
#
# A network that reads images should find a nose wherever it is.
# By the end you can
#
# - filter a photograph by hand, and say what a kernel looks for;
# - predict size, weights, operations and receptive field of a stack of layers;
# - push gradients back through convolution and pooling;
# - turn a convolution into one matrix product;
# - train a ConvNet, look at what it learned, and test what it can't do.
#
# You need topic 1 (backprop).
# Running takes half a minute, reading ninety minutes.
# At **Guess**, settle on an answer before you run the cell.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_sample_image
from torch import nn

import fovea
from fovea import plotting
from fovea.figures import cnn as drawings
from fovea.plotting import describe, image_grid
from fovea.widgets import explore, quiz

plotting.use_style()
rng = np.random.default_rng(0)

# %% [markdown]
# ## A filter asks the same question at every pixel
#
# Here is a photograph of a temple, in grey: a matrix of numbers between 0 (black) and 1 (white).
#
# A **filter** lays a small matrix, the **kernel**, over the image, multiplies what lies on top of each other, and adds up.
# Then it moves on by one pixel.
# Each sum becomes a pixel of the output:
#
# $$\text{out}_{ij} = \sum_{u,v} \text{image}_{i+u,\,j+v}\;\text{kernel}_{uv}$$

# %%
photo = load_sample_image("china.jpg")[20:420:2, :600:2] / 255
grey = photo.mean(axis=2)


def correlate(image, kernel):
    """Filter an image by a kernel, at every place where the kernel fits in."""
    windows = np.lib.stride_tricks.sliding_window_view(image, kernel.shape)
    return (windows * kernel).sum(axis=(2, 3))


describe(image_grid(grey[None], columns=1), "A Chinese temple with curved roofs, in grey.")

# %% [markdown]
# Three kernels of 3×3 follow.
# The first averages nine neighbours; the second subtracts the row above from the row below; the third does so with columns.
#
# **Guess:** which output is dark where the photograph is smooth, and which one finds the edges of the roofs?

# %%
kernels = {
    "blur": np.full((3, 3), 1 / 9),
    "below minus above": np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]]) / 3,
    "right minus left": np.array([[-1, 0, 1]] * 3) / 3,
}
filtered = {name: np.abs(correlate(grey, kernel)) for name, kernel in kernels.items()}
assert filtered["blur"].shape == (198, 298)
fig, axes = plt.subplots(1, 3, figsize=(9, 2.4))
for ax, (name, image) in zip(axes, filtered.items(), strict=True):
    ax.imshow(image, cmap="gray", vmax=image.max() if name == "blur" else 0.4)
    ax.set_title(name, loc="center")
    ax.axis("off")
describe(fig, "Three filtered photographs: blurred; roof edges bright; pillars bright.")

# %% [markdown]
# Kernels with sum 0 answer nothing to a smooth wall: what is equal cancels.
# One finds what changes downwards (roofs), the other what changes to the right (pillars).
# So a kernel is a question, asked at every pixel: "is it brighter below than above?"
#
# Two remarks.
# The output lost a pixel on each side, from 200×300 to 198×298, as no window may stick out.
# And mathematicians would call this a cross-correlation, as their convolution flips the kernel first.
# Everybody in deep learning says **convolution** anyway; learned kernels come out flipped, that is all.
#
# ## What a fully connected layer would cost
#
# Photo editors choose their kernels by hand; a network learns them, as weights.
# But why should it use kernels at all, and not the affine layer of topic 1?
# Take a colour image of 200×200, and 1000 units.
#
# **Guess:** how many weights?

# %%
numbers = 200 * 200 * 3
dense, local = numbers * 1000, 5 * 5 * 3
print(f"fully connected: {numbers:,} x 1000 = {dense:,} weights")
print(f"in float32: {dense * 4 / 1e6:.0f} MB")
print(f"one filter of 5 x 5 x 3: {local} weights and a bias")

# %% [markdown]
# 120,000 numbers times 1000 units make 120 million weights, in one layer.
# Besides, what such a unit learns about a corner of the image, it knows in that corner only.
#
# A **convolutional layer** saves twice.
# It is *local*: a unit sees a small window, here 5×5, with all its channels.
# And it *shares*: units at all places use the same weights.
# A hundred filters make a hundred output images, called **maps** or **channels**, for 7,600 numbers, however large the image is.

# %%
layer = nn.Conv2d(in_channels=3, out_channels=100, kernel_size=5)
assert sum(p.numel() for p in layer.parameters()) == 100 * (5 * 5 * 3 + 1) == 7600
print("weights (filters, channels, height, width):", tuple(layer.weight.shape))
quiz("cnn-weights")

# %% [markdown]
# ## Step by step: stride, padding, dilation
#
# Three numbers say where windows lie.
# **Stride**: how far a window moves at a time.
# **Padding**: how many zeros are put around the image.
# **Dilation**: how far the taps of a kernel lie apart.
#
# Step through the windows, then change the others, one at a time.
#
# **Guess** before you drag: which setting keeps the output as large as the image, and what does each of the others do to its size?

# %%
small_image = rng.integers(0, 5, size=(7, 7))
cross = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


def draw_forward(axes, step=9, stride=1, pad=0, dilation=1):
    """A window on a 7×7 image, a 3×3 kernel, and the output, filled up to a step."""
    drawings.draw_forward_step(axes, small_image, cross, step, stride, pad, dilation)


sliders = {"stride": (1, 3, 1), "pad": (0, 2, 1), "dilation": (1, 3, 1)}
explore(draw_forward, figsize=(9, 3.4), subplots=(1, 3), step=(1, 49, 1), **sliders)

# %% [markdown]
# Padding 1 keeps 7×7: that is called **same** padding.
# A stride of 2 leaves out every other place, 3 two of three.
# Dilation widens the window without more weights, so fewer fit in.
#
# Along one side of $d$ pixels, $k$ taps span $\delta(k-1)+1$, and the output has
#
# $$d' = \left\lfloor \frac{d + 2p - (\delta(k-1)+1)}{s} \right\rfloor + 1$$
#
# pixels: the free way of the window, in steps of $s$, plus the first place.
# Each direction counts by itself, so the same formula serves sound (1D), images (2D) and volumes (3D).
#
# **Guess:** a volume of 32³, a kernel of 4³, padding 1, stride 2. What comes out?

# %%
def out_size(d, k, s=1, p=0, dilation=1):
    return (d + 2 * p - (dilation * (k - 1) + 1)) // s + 1


layers = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
for dims, Layer in layers.items():
    x = torch.zeros(1, 1, *[32] * dims)
    shape = tuple(Layer(1, 2, kernel_size=4, padding=1, stride=2)(x).shape)
    assert shape == (1, 2, *[out_size(32, 4, s=2, p=1)] * dims)
    print(f"{dims}D: {tuple(x.shape)} -> {shape}")
assert nn.Conv3d(1, 2, 4).weight.shape == (2, 1, 4, 4, 4)
assert out_size(7, 3, p=1) == 7
assert out_size(7, 3, dilation=3) == 1
quiz("cnn-size")

# %% [markdown]
# 32³ becomes 16³: kernel 4, padding 1 and stride 2 halve any even size.
# The layer with two filters in 3D has weights of shape 2×1×4×4×4, and two biases.
#
# When the division leaves a rest, sizes round down: the last pixels are in no window, and no one ever sees them.
#
# ## The way back
#
# Backward, a window is an affine unit, and topic 1 told its gradients.
# The pixels get `dout` times the kernel, the kernel gets `dout` times the pixels, and what was used often adds up:
# a pixel over all windows that saw it, a weight over all places (and images), the bias over all places.
#
# **Guess:** with stride 1, how many windows send something to a pixel in the middle? And with stride 2? Step, and look where numbers grow.

# %%
pattern = np.arange(1, 26) % 4


def draw_backward(axes, step=2, stride=1, pad=0):
    """dout, the kernel, and what the first windows have sent back to the image."""
    count = out_size(7, 3, stride, pad)
    dout = np.resize(pattern, (count, count))
    drawings.draw_backward_step(axes, dout, cross, 7, step, stride, pad)


sliders = {"step": (1, 49, 1), "stride": (1, 3, 1), "pad": (0, 2, 1)}
explore(draw_backward, figsize=(9, 3.4), subplots=(1, 3), **sliders)

# %% [markdown]
# At stride 1 nine windows meet in a pixel in the middle; at stride 2 one, two or four do.
# At stride 3 windows lie side by side, each pixel hears from one, and the last row and column hear nothing: their gradient is 0.
# What arrives in the padding, outside the dashed line, is thrown away: it belongs to no pixel.
#
# In code, this is short enough to write once, for one channel and stride 1.
# PyTorch confirms it.
# Note what the gradient of the image is: `dout`, surrounded by zeros, filtered by the kernel *turned around*.

# %%
x, k = rng.normal(size=(6, 8)), rng.normal(size=(3, 2))
tensors = [torch.tensor(a[None, None], requires_grad=True) for a in (x, k)]
out = F.conv2d(*tensors)
assert np.allclose(out.detach(), correlate(x, k))
dout = rng.normal(size=(4, 7))
dx, dk = torch.autograd.grad(out, tensors, torch.tensor(dout)[None, None])
assert np.allclose(dk[0, 0], correlate(x, dout))
surrounded = np.pad(dout, ((2, 2), (1, 1)))
assert np.allclose(dx[0, 0], correlate(surrounded, k[::-1, ::-1]))
quiz("cnn-pixel")

# %% [markdown]
# So all three directions are convolutions: the output of image and kernel, the kernel's gradient of image and `dout`, the image's of `dout` and turned kernel.
#
# > **A trap.** To cut the padding off, many programs write `dx[:, :, pad:-pad, pad:-pad]`.
# > With padding 0 that is `0:-0`, and nothing is left.

# %%
padded_dx = np.ones((1, 1, 5, 5))
for pad in (1, 0):
    by_slice = padded_dx[:, :, pad:-pad, pad:-pad].shape
    by_size = padded_dx[:, :, pad : 5 - pad, pad : 5 - pad].shape
    print(f"pad {pad}: pad:-pad leaves {by_slice}, pad : pad + size leaves {by_size}")

# %% [markdown]
# ## 1×1: a small network at every pixel
#
# What could a kernel of one pixel be good for?
# On an image with one channel, it multiplies all of it by a number, and that is dull.
# On many channels it mixes them: the channels of a pixel are a vector $x$, and it computes $Wx + b$, the same at each pixel.
# Two such layers with a ReLU between are a two-layer network that visits every pixel.
#
# **Guess:** are the outputs of both programs below equal?

# %%
network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
convolutions = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1))
for mine, theirs in zip(convolutions.parameters(), network.parameters(), strict=True):
    mine.data = theirs.data.reshape(mine.shape)
image = torch.tensor(photo, dtype=torch.float32)
at_each_pixel = network(image)
maps = convolutions(image.permute(2, 0, 1)[None])
assert torch.allclose(maps[0].permute(1, 2, 0), at_each_pixel, atol=1e-5)

# %% [markdown]
# They are.
# The main use is to shrink the number of channels cheaply before an expensive layer (topic 5).
# A network of three channels in and three out can already do colours: grey is one matrix, and so is a photograph from the 1970s.

# %%
mixtures = {
    "as it was": np.eye(3),
    "grey": np.full((3, 3), 1 / 3),
    "sepia": np.outer([1.1, 0.9, 0.7], [0.3, 0.6, 0.1]),
}
fig, axes = plt.subplots(1, 3, figsize=(9, 2.4))
for ax, (name, W) in zip(axes, mixtures.items(), strict=True):
    ax.imshow((photo @ W.T).clip(0, 1))
    ax.set_title(name, loc="center")
    ax.axis("off")
describe(fig, "The temple three times: in colour, in grey, in brown tones.")

# %% [markdown]
# ## How far does a stack see?
#
# An output of one 3×3 layer depends on 3 pixels along each side.
# A second layer on top sees 3 of *those*.
# What an output depends on is its **receptive field**.
# Backprop measures it: send a gradient of 1 from one output back to the image, and look where it arrives.
#
# **Guess:** how far do three layers of 3×3 see? What does a stride of 2 in the first layer change, what a dilation of 2 in all?

# %%
def footprint(num_layers, stride=1, dilation=1):
    """The gradient of one output, at 41×41 pixels, through kernels of ones."""
    image = torch.zeros(1, 1, 41, 41, requires_grad=True)
    x, ones = image, torch.ones(1, 1, 3, 3)
    for i in range(num_layers):
        x = F.conv2d(x, ones, stride=stride if i == 0 else 1, dilation=dilation)
    middle = x.shape[-1] // 2
    return torch.autograd.grad(x[0, 0, middle, middle], image)[0][0, 0].numpy()


def draw_field(ax, num_layers=3, stride=1, dilation=1):
    """The pixels that one output of a stack of 3×3 layers depends on."""
    gradient = footprint(num_layers, stride, dilation)
    width = np.ptp(gradient.any(axis=0).nonzero()[0]) + 1
    drawings.draw_footprint(ax, gradient, f"{num_layers} layers see {width} pixels")


sliders = {"stride": (1, 2, 1), "dilation": (1, 2, 1)}
explore(draw_field, figsize=(4, 4), num_layers=(1, 5, 1), **sliders)

# %% [markdown]
# Each layer at stride 1 adds 2 pixels: 3, 5, 7, …
# Behind a stride of 2 a step is two pixels wide, so later layers add 4 each.
# Note the shading: pixels in the middle have many ways to the output, those in the corners a single one.
#
# So two 3×3 layers see as far as one 5×5, and three as far as one 7×7.
# What do they cost?
# We count, for one channel, weights and biases, and per output pixel two operations (product and sum) for each weight.
#
# **Guess:** which is cheaper, the stack or the large kernel?

# %%
print("                 sees  parameters  operations")
for n, k in [(2, 5), (3, 7)]:
    for count, size in [(n, 3), (1, k)]:
        sees = 1 + count * (size - 1)
        parameters, operations = count * (size**2 + 1), count * 2 * size**2
        print(f"{count} x ({size} x {size}) {sees:12} {parameters:11} {operations:11}")
assert 2 * 7**2 == 98
assert 2 * 5**2 == 50
quiz("cnn-stack")

# %% [markdown]
# > **A slip in some slides.** The operations of a 7×7 kernel are given as $2 \cdot 5^2 = 98$.
# > The result is right, the formula isn't: $2 \cdot 7^2 = 98$, and $2 \cdot 5^2 = 50$ belongs to the 5×5.
#
# The stack needs fewer of both, and has a non-linearity after each layer on top of that.
# With $C$ channels in and out everything grows by $C^2$, and the ratio stays: $27\,C^2$ weights against $49\,C^2$.
#
# Then why does ResNet begin with a layer of 7×7 and stride 2?
# Its input is no stack of 64 channels, but 224×224 pixels of three.
#
# **Guess:** to get 64 maps from it, what do three 3×3 layers cost in comparison?

# %%
def cost(c_in, c_out, k, size):
    weights = c_in * c_out * k**2
    return np.array([weights + c_out, 2 * weights * size**2])


one = cost(3, 64, 7, out_size(224, 7, s=2, p=3))
three = cost(3, 64, 3, 224) + 2 * cost(64, 64, 3, 224)
for name, (parameters, operations) in {"7x7, stride 2": one, "three 3x3": three}.items():
    print(f"{name:14} {parameters:7,} parameters, {operations / 1e9:.2f} billion operations")
print("ratios:", (three / one).round(1))

# %% [markdown]
# Eight times the parameters and over thirty times the work.
# The argument for small kernels holds where channels are many on both sides; here three come in, so a wide look is cheap, and 64 channels at full size are what costs.
# The stride leaves a quarter of the places, and each layer that follows has a quarter to do, and sees twice as far.
#
# ## Pooling
#
# Another way to shrink an image has no weights at all.
# **Max pooling** keeps the largest number of each window, **average pooling** the mean, channel by channel.
# Backward, a maximum sends everything to its winner, as in topic 1; an average shares alike.
#
# **Guess** both gradients below, if `dout` is 1, 2, 3, 4.

# %%
x = np.array([[3, 1, 3, 5], [6, 0, 7, 9], [3, 2, 1, 4], [0, 2, 4, 3.0]])
dout = np.array([[1.0, 2.0], [3.0, 4.0]])
fig, axes = plt.subplots(1, 5, figsize=(9.5, 2.2))
drawings.draw_numbers(axes[0], x, "x")
for i, pool in enumerate([F.max_pool2d, F.avg_pool2d]):
    name = ["max", "average"][i]
    tensor = torch.tensor(x[None, None], requires_grad=True)
    out = pool(tensor, 2)
    (dx,) = torch.autograd.grad(out, tensor, torch.tensor(dout[None, None]))
    drawings.draw_numbers(axes[1 + 2 * i], out.detach()[0, 0], name)
    drawings.draw_numbers(axes[2 + 2 * i], dx[0, 0], f"dx of {name}")
    assert dx.sum() == dout.sum()
describe(fig, "A 4×4 matrix; max pooling gives 6 9 3 4, and four pixels get gradient.")

# %% [markdown]
# The largest of each window wins all, with 6, 9, 3 and 4; behind the average, every pixel gets a quarter.
# In both cases what arrives adds up to what was sent, 10.
#
# What if two entries tie?
# Behind a ReLU zeros tie with zeros all the time.
# PyTorch picks one of them; sharing would do as well.
# To give the whole gradient to each would invent gradient, and many published solutions do.

# %%
zeros = torch.zeros(1, 1, 2, 2, requires_grad=True)
(dx,) = torch.autograd.grad(F.max_pool2d(zeros, 2).sum(), zeros)
assert dx.sum() == 1
print(dx[0, 0])
quiz("cnn-tie")

# %% [markdown]
# ## Pool, or take larger steps?
#
# A convolution with stride 2 shrinks as well, and has been replacing pooling.
# Both below give 16 maps of half the size.
# The first computes all places, and lets the window's strongest answer through; the second computes a quarter of the places, and learns what to do with them.

# %%
pooled = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.MaxPool2d(2))
strided = nn.Conv2d(16, 16, 3, stride=2, padding=1)
x = torch.zeros(1, 16, 32, 32)
assert pooled(x).shape == strided(x).shape == (1, 16, 16, 16)
count = fovea.count_parameters
assert count(pooled) == count(strided) == 16 * (16 * 9 + 1)
for name, size in {"pooled": 32, "strided": 16}.items():
    print(f"{name}: {2 * 16 * 16 * 9 * size**2:,} operations in the convolution")

# %% [markdown]
# The same number of weights, a quarter of the operations.
# Which one learns better depends on the task; we will try it on digits.
#
# ## One matrix product
#
# As loops, a convolution is slow in Python.
# The trick that makes it fast is called **im2col**: copy each window into a row of a matrix.
# Pixels that lie in nine windows are copied nine times, and in return all windows meet all filters in one matrix product, which is what computers are best at.
#
# **Guess** the factor in time between both functions.

# %%
def conv_loops(x, w):
    """Convolve (N, C, H, W) with (F, C, k, k), without padding, one place at a time."""
    size = [out_size(d, w.shape[-1]) for d in x.shape[2:]]
    out = np.zeros((len(x), len(w), *size))
    for n, f, i, j in np.ndindex(*out.shape):
        window = x[n, :, i : i + w.shape[2], j : j + w.shape[3]]
        out[n, f, i, j] = (window * w[f]).sum()
    return out


def conv_im2col(x, w):
    """The same, as one matrix product."""
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], axis=(2, 3))
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, w[0].size)
    out = columns @ w.reshape(len(w), -1).T
    return out.reshape(len(x), *windows.shape[2:4], len(w)).transpose(0, 3, 1, 2)

# %%
from time import perf_counter

images, filters = rng.normal(size=(4, 3, 32, 32)), rng.normal(size=(8, 3, 5, 5))
times, outs = {}, []
for convolve in (conv_loops, conv_im2col):
    start = perf_counter()
    outs.append(convolve(images, filters))
    times[convolve.__name__] = perf_counter() - start
assert np.allclose(*outs)
for name, seconds in times.items():
    print(f"{name}: {1000 * seconds:.1f} ms")
print(f"factor {times['conv_loops'] / times['conv_im2col']:.0f}")
assert times["conv_loops"] > 5 * times["conv_im2col"]

# %% [markdown]
# The same numbers, many times faster (how many depends on your machine: look above).
# The price is memory: the matrix of columns holds each pixel up to 25 times here.
#
# ## A ConvNet learns to read
#
# Now we stack: convolution, ReLU, pooling, twice, and a linear layer on top.
# As depth grows, maps shrink and become more.
# The rivals are the same network with strides in place of pooling, and a network without convolutions that has *more* weights.
#
# **Guess** the order in which they finish on handwritten digits of 8×8 pixels.

# %%
def convnet(shrink):
    """Two stages of convolution, 8×8 to 4×4 to 2×2, by "pooling" or by "strides"."""
    stride = 2 if shrink == "strides" else 1
    halve = nn.Identity() if shrink == "strides" else nn.MaxPool2d(2)
    first = nn.Conv2d(1, 16, 3, stride=stride, padding=1)
    second = nn.Conv2d(16, 32, 3, stride=stride, padding=1)
    layers = [first, nn.ReLU(), halve, second, nn.ReLU(), halve]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 10))


def dense_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 10))

# %%
# For networks this small, one thread is faster than several.
fovea.choose_device(seed=0, num_threads=1)
digits = fovea.load("digits")
models = {"pooling": convnet("pooling"), "strides": convnet("strides"), "dense": dense_net()}
first_filters = models["pooling"][0].weight.detach().clone()
options = {"num_epochs": 30, "lr": 5e-3, "batch_size": 64, "schedule": "cosine", "show": False}
histories = {name: fovea.fit(model, digits, **options) for name, model in models.items()}
scores = {n: fovea.evaluate(model, digits.test) for n, model in models.items()}
for name, model in models.items():
    loss, right = scores[name]
    print(f"{name:8} {count(model)} parameters, test loss {loss:.3f}, {right:.1%} right")
assert min(scores, key=lambda name: scores[name].loss) == "pooling"
fig, ax = plt.subplots()
curves = {name: history.val_loss for name, history in histories.items()}
plotting.draw_curves(ax, range(1, 31), curves)
ax.set(xlabel="epoch", ylabel="validation loss", yscale="log")
ax.set_title("With convolution and pooling the loss falls lowest")
describe(fig, "Validation loss of three networks over 30 epochs; pooling ends lowest.")

# %% [markdown]
# The ConvNet with pooling ends with the lowest loss, and with fewer weights than the dense network.
# Strides alone do worse here: in each of two layers they skip three quarters of the places, of 64 in all.
# (One percent of accuracy is four of the 360 test digits; the loss tells such networks apart more reliably.)
#
# ## What did it learn to look for?
#
# Before training, the first filters are noise.
#
# **Guess:** what will nine numbers become that have to tell digits apart?

# %%
learned = models["pooling"][0].weight.detach()
change = (learned - first_filters).norm() / first_filters.norm()
title = f"Sixteen filters before and after training (they moved by {change:.0%})"
axes = image_grid(torch.cat([first_filters, learned]), columns=16, title=title)
describe(axes, "Two rows of 3×3 filters: noise above; below, many with a bright and a dark side.")

# %% [markdown]
# Red is positive, blue negative.
# Many have a red and a blue side: edges in various directions, such as we made by hand for the temple.
# Nobody told the network about edges.
#
# Now a test of what convolution assumes: that neighbours belong together.
# We shuffle the 64 pixels of every digit, all in the same way, so that no information is lost.
#
# **Guess:** which of both networks suffers?

# %%
order = rng.permutation(64)


def shuffled(split):
    X = split.X.reshape(-1, 64)[:, order].reshape(-1, 1, 8, 8)
    return fovea.Split(X, split.y)


for name, model in {"pooling": convnet("pooling"), "dense": dense_net()}.items():
    fovea.fit(model, shuffled(digits.train), **options)
    loss = fovea.evaluate(model, shuffled(digits.test)).loss
    print(f"{name:8} test loss {scores[name].loss:.3f}, on shuffled digits {loss:.3f}")
    assert name == "dense" or loss > scores[name].loss

# %% [markdown]
# To the dense network a shuffled digit is as good as any (its loss moves a little, as training is random).
# The ConvNet's loss rises, and little or nothing of its lead is left: its windows hold pixels that have nothing to do with each other.
# A convolution is a bet on how images are made, and for photographs the bet is good.
#
# ## Equivariance: shift in, shift out?
#
# It is said that a convolution is **equivariant**: shift the image, and the output shifts along.
# Let us not believe it, but try: we shift the temple to the right by one pixel or two, filter, and compare with the shifted output.
#
# **Guess** which of the five comparisons fail.

# %%
def mismatch(layer, shift, stride=1, margin=0):
    """The largest difference between layer(shifted) and shifted layer(image)."""
    image = torch.tensor(grey, dtype=torch.float32)[None, None]
    shifted = layer(torch.roll(image, shift, dims=3))
    expected = torch.roll(layer(image), shift // stride, dims=3)
    width = expected.shape[3]
    return (shifted - expected)[..., margin : width - margin].abs().max().item()


same, half = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(1, 4, 3, stride=2, padding=1)
results = {
    "stride 1, shift 1, inside": mismatch(same, 1, margin=3),
    "stride 1, shift 1, with borders": mismatch(same, 1),
    "stride 2, shift 2, inside": mismatch(half, 2, stride=2, margin=3),
    "stride 2, shift 1, inside": mismatch(half, 1, stride=2, margin=3),
    "max pooling, shift 1, inside": mismatch(nn.MaxPool2d(2), 1, stride=2, margin=3),
}
for name, difference in results.items():
    print(f"{name:32} {difference:.6f}")
fails = [difference > 1e-3 for difference in results.values()]
assert fails == [False, True, False, True, True]

# %% [markdown]
# Inside, at stride 1, the promise holds.
# At the borders it breaks, as zeros take the place of what was shifted out.
# With stride 2, a shift by 2 is a shift of the output by 1, and all is well; after a shift by 1 the windows see other pixels, and there is no output to compare with.
# Pooling with stride 2 does the same.
#
# So is a ConvNet, as a whole, indifferent to small shifts? We shift the test digits sideways.
#
# **Guess:** how many are still right after one pixel, and after two?

# %%
shifts = range(-2, 3)
right = {name: [] for name in models}
for name, model in models.items():
    for shift in shifts:
        X = np.roll(digits.test.X, shift, axis=3)
        score = fovea.evaluate(model, fovea.Split(X, digits.test.y))
        right[name].append(100 * score.metric)
assert all(r[2] > max(r[0], r[4]) + 20 for r in right.values())
assert all(right["pooling"][i] > right["dense"][i] + 5 for i in (1, 3))
fig, ax = plt.subplots()
plotting.draw_curves(ax, shifts, right)
ax.set(xlabel="shift to the right (pixels)", ylabel="right (%)", xticks=list(shifts))
ax.set_title("A shift of two pixels is too much for all")
describe(fig, "Accuracy against shift: high at 0, low at 2; pooling loses least at 1.")

# %% [markdown]
# No: equivariant layers make no **invariant** network, one whose answer stays.
# Pooling keeps most, as a maximum doesn't care where in its window it lies; strides fare no better than the dense network.
# The linear layer on top knows its 2×2 places apart, and it was shown centred digits only.
# What one wants a network to ignore, one has to show it: shifted copies in training do more than any architecture (augmentation, topic 3).
#
# ## What we learned
#
# - A convolution asks one question at every place: local, shared, whatever the size of the image.
# - Stride, padding and dilation say where windows lie; $\lfloor (d + 2p - \delta(k-1) - 1)/s \rfloor + 1$ counts them.
# - Backward, gradients add up over windows; maximum sends to its winner, average shares.
# - Small kernels in stacks see far for little; at the input a large one is cheap.
# - Windows as rows of a matrix make it one product.
#
# ## Exercises
#
# 1. Write a kernel that answers to diagonal edges of the temple's roofs. Check it by eye.
# 2. By hand: $x = (1, 2, 3, 4, 5)$, kernel $(1, 0, -1)$, stride 2, `dout` $= (1, 2)$. What are output, `dx` and the kernel's gradient? Check with `F.conv1d`.
# 3. How many 3×3 layers with dilations 1, 2, 4, 8, … does it take to see 100 pixels? How many without?
# 4. Train the ConvNet on digits that are shifted at random by up to two pixels. What happens to the last figure?
#
# Read on: LeCun et al., *Gradient-Based Learning Applied to Document Recognition* (1998); Dumoulin and Visin, *A guide to convolution arithmetic for deep learning* (2016).
