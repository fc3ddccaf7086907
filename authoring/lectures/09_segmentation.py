# %% [markdown]
# # Segmentation: a class for every pixel
#
# A classifier says that there is a tumour in the picture.
# The surgeon asks where it ends.
# By the end you can
#
# - tell semantic from instance segmentation, and say what each can't see;
# - turn a classifier into a network that labels images of any size, and say why that is fast;
# - enlarge maps by hand in five ways, a learned one among them;
# - build a U-Net, and show what its skip connections are for;
# - measure a segmentation so that the number means something.
#
# You need topics 1 (backprop) and 4 (convolution).
# Running takes a minute, reading ninety.
# At **Guess**, settle on an answer before you run the cell.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import nn

import fovea
from fovea import plotting
from fovea.figures import segmentation as drawings
from fovea.figures.cnn import draw_numbers
from fovea.plotting import describe
from fovea.scenes import CLASSES, make_scenes
from fovea.widgets import explore, quiz

plotting.use_style()

# %% [markdown]
# ## Three answers to one picture
#
# Here are four scenes with up to three objects.
# A classifier gives one label for the whole picture.
# **Semantic segmentation** gives one for each pixel: background, circle, square, and so on, as the second row shows in colours.

# %%
gallery = make_scenes(300, seed=6, target="mask", size=64)
names = ("background", *CLASSES)
chosen = [12, 2, 10, 16]
fig, axes = plt.subplots(2, 4, figsize=(8, 4.4))
drawings.draw_scenes(axes, gallery.X[chosen], {"labels": gallery.y[chosen]})
drawings.add_label_legend(fig, names)
describe(fig, "Four scenes of coloured shapes, and below each the class of its pixels.")

# %% [markdown]
# In **instance segmentation** each object gets a number besides: not "circle" here and "circle" there, but circle 1 and circle 2.
# Can't we read the numbers off the labels?
# Let us call each connected piece of one class an object (corners connect, too), and compare with how many objects can be seen.
#
# **Guess:** how can this count go wrong, upwards and downwards?

# %%
def number_pieces(labels):
    """Number the connected pieces of each class in a map of labels, from 1 on."""
    pieces, count = np.zeros(labels.shape, int), 0
    for c in range(1, 6):
        found, more = ndimage.label(labels == c, np.ones((3, 3)))
        pieces[found > 0] = found[found > 0] + count
        count += more
    return pieces


num_objects = (gallery.boxes[..., 0] >= 0).sum(axis=1)
num_pieces = np.array([number_pieces(labels).max() for labels in gallery.y])
merged, split = num_pieces < num_objects, num_pieces > num_objects
equal = num_pieces == num_objects
print(f"as many pieces as objects in {equal.mean():.0%} of the scenes")
print(f"fewer in {merged.mean():.1%}, more in {split.mean():.1%}")
assert merged.any()
assert split.any()
quiz("segmentation-kinds")

# %% [markdown]
# We look at one scene of each kind.

# %%
shown = [12, merged.argmax(), np.flatnonzero(split)[-1]]
fig, axes = plt.subplots(2, 3, figsize=(7, 4.8))
drawings.draw_scenes(axes, gallery.X[shown], {"pieces": gallery.y[shown]})
for ax, i in zip(axes[1], shown, strict=True):
    title = f"objects: {num_objects[i]}, pieces: {num_pieces[i]}"
    drawings.draw_pieces(ax, number_pieces(gallery.y[i]), title)
describe(fig, "Three scenes and their pieces: as many as objects, fewer, more.")

# %% [markdown]
# Two objects of one class that touch become one piece, and an object behind another may fall apart.
# Labels of pixels alone don't know what belongs together.
# Instance segmentation needs more: a detector that finds objects first, then a mask for each (Mask R-CNN, topic 10).
# From here on we want semantic segmentation.
#
# ## Sliding a window
#
# The first idea needs nothing new.
# Cut a window out of the image, ask a classifier what is in its middle, move on, ask again.
#
# So we train a classifier on windows of 18×18 pixels, cut out of scenes of 32×32; half of the windows are centred on an object.
# It has two stages of convolution and pooling, and two fully connected layers.
# There is no padding in it; you will see why.

# %%
fovea.choose_device(seed=0, num_threads=1)
sizes = {"num_train": 1000, "num_val": 200, "num_test": 300}
scenes = fovea.load("shapes", target="mask", size=32, **sizes)
all_windows = np.lib.stride_tricks.sliding_window_view


def cut_windows(split, num, rng):
    """Return windows of 18×18 with the labels of their middles, half background."""
    X = all_windows(split.X, (18, 18), axis=(2, 3))
    y = split.y[:, 9:24, 9:24]
    places = [rng.choice(np.argwhere(part), num // 2) for part in (y > 0, y == 0)]
    n, i, j = np.concatenate(places).T
    return fovea.Split(X[n, :, i, j], y[n, i, j])


def stages():
    first = [nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(2)]
    return [*first, nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2)]


windows = cut_windows(scenes.train, 8000, np.random.default_rng(0))
held_out = cut_windows(scenes.val, 2000, np.random.default_rng(1))
head = [nn.Flatten(), nn.Linear(32 * 3 * 3, 64), nn.ReLU(), nn.Linear(64, 6)]
classifier = nn.Sequential(*stages(), *head)
training = {"batch_size": 64, "lr": 5e-3, "schedule": "one_cycle", "show": False}
fovea.fit(classifier, windows, num_epochs=4, **training)
score = fovea.evaluate(classifier, held_out)
classifier.cpu()
print(f"right for {score.metric:.0%} of new windows")

# %% [markdown]
# That is far from perfect, but far above chance.
# Now we slide it, in steps of 4 pixels, over a wall of twelve scenes that it has never seen.
# We do it in two ways: window by window, and with all windows in one batch.
#
# **Guess:** how many windows are there on 96×128 pixels, and in how many of them does a pixel in the middle lie?

# %%
from timeit import repeat

tiles = scenes.test.X[:12].reshape(3, 4, 3, 32, 32)
wall = torch.tensor(tiles.transpose(2, 0, 3, 1, 4).reshape(1, 3, 96, 128))
cut = wall.unfold(2, 18, 4).unfold(3, 18, 4)[0].permute(1, 2, 0, 3, 4)
batch = cut.reshape(-1, 3, 18, 18)


def milliseconds(function):
    return 1000 * min(repeat(function, number=1, repeat=3))


slow = milliseconds(lambda: [classifier(window[None]) for window in batch])
faster = milliseconds(lambda: classifier(batch))
print(f"{cut.shape[0]} x {cut.shape[1]} = {len(batch)} windows")
print(f"one by one {slow:.1f} ms, in one batch {faster:.1f} ms")

# %% [markdown]
# A window is 18 wide and moves by 4, so a pixel lies in four or five windows along each side: in 16 to 25 of them.
# Each of those runs the first layer over the very same pixels, and gets the very same answers.
# A convolution doesn't care in which window a pixel lies.
# So why not run it over the whole wall, once?
#
# ## A classifier for images of any size
#
# The convolutions and poolings are ready for that: they take any size.
# What stops us is the first fully connected layer: it wants 288 numbers, the 32 maps of 3×3 that a window leaves behind, and a larger image leaves more.
#
# Look at what one unit of that layer does: it multiplies 32 maps of 3×3 with 288 weights, and adds up.
# Lay the weights out as 32 maps of 3×3, too, and that is a convolution kernel of 32×3×3, at the only place where it fits.
# On larger maps it fits at more places: it slides, and so slides the whole classifier.
#
# The next fully connected layer reads 64 numbers *at each place*, so it is a 1×1 convolution (topic 4).
# The network has become **fully convolutional**.
#
# **Guess:** what shape comes out for one window, and for the wall? And are the numbers those of the windows?

# %%
head = [nn.Conv2d(32, 64, 3), nn.ReLU(), nn.Conv2d(64, 6, 1)]
fcn = nn.Sequential(*stages(), *head)
for mine, theirs in zip(fcn.parameters(), classifier.parameters(), strict=True):
    mine.data.copy_(theirs.data.view_as(mine))
scores = fcn(wall)[0].detach()
print("window", tuple(fcn(batch[:1]).shape), "wall", (1, *scores.shape))
assert torch.allclose(scores.flatten(1).T, classifier(batch), atol=1e-4)
fastest = milliseconds(lambda: fcn(wall))
print(f"windows {faster:.1f} ms, at once {fastest:.1f} ms")
assert fastest < faster < slow

# %% [markdown]
# The same 560 times 6 scores, in a fraction of the time (yours is above).
# How much is saved can be counted, too, without a clock.
# Each layer does a number of multiplications at each of its places: the first one 16·27 of them, at 16×16 places of each window, or at 94×126 of the wall.
#
# **Guess:** which of the four layers saves most, and which nothing?

# %%
products = np.array([16 * 27, 32 * 144, 64 * 288, 6 * 64])
in_windows = len(batch) * np.array([16 * 16, 6 * 6, 1, 1])
at_once = np.array([94 * 126, 45 * 61, 20 * 28, 20 * 28])
print("places in windows, per place at once:", (in_windows / at_once).round(1))
print(f"{in_windows @ products / 1e6:.0f} million multiplications in windows", end=", ")
print(f"{at_once @ products / 1e6:.0f} million at once")
sizes = {k: nn.Conv2d(32, 64, k).weight.numel() for k in (1, 3)}
print(f"weights: {classifier[7].weight.numel()}, as a convolution of 1 or 3: {sizes}")
quiz("segmentation-fc")

# %% [markdown]
# Most of the work in windows is done again and again, in the first layer twelve times.
# The last two layers have one place per window in either case, and share nothing.
# (Your clock may have shown more than the count: many small images suit a processor less than one large image.)
#
# Padding would have spoilt the equality.
# A padded window sees zeros around it, where the wall goes on in the other case.
#
# > **A slip in some slides.** "Fully connected layers become 1×1 convolutions."
# > The later ones do.
# > The first one, which reads maps of $k \times k$, becomes a $k \times k$ convolution: here of 64·32·3·3 weights, for which a 1×1 kernel has no room.
#
# And what does it see?
# Each score belongs to the middle of a window, and two poolings make the steps 4 pixels wide.
# We paint each label as a block of 4×4.

# %%
truth = scenes.test.y[:12].reshape(3, 4, 32, 32).transpose(0, 2, 1, 3).reshape(96, 128)
blocks = np.kron(scores.argmax(0), np.ones((4, 4), int))
coarse = np.zeros_like(truth)
coarse[7:-9, 7:-9] = blocks
fig, axes = plt.subplots(1, 3, figsize=(10, 3.2))
drawings.draw_images(axes[:1], {"the wall": wall[0].permute(1, 2, 0)})
drawings.draw_labels(axes[1], truth, "what it is")
drawings.draw_labels(axes[2], coarse, "what the classifier sees")
drawings.add_label_legend(fig, names)
describe(fig, "A wall of twelve scenes, its labels, and a blocky map of predictions.")

# %% [markdown]
# It sees where something is, often mistakes the class, and has no outlines at all: each label stands for 16 pixels.
#
# Without pooling there would be a label per pixel.
# But pooling had two good reasons.
# Each halving divides the cost of a later layer by four, and doubles how far its kernel reaches.
# (The other way to see far is dilation, of topic 4; it keeps the size, and the cost.)
#
# So the plan is: go down, to see what is there cheaply, then up again, to say where.
# Down is topic 4.
# How do we get up?
#
# ## Up, by rule
#
# Let us enlarge a map of 2×2 to 4×4, by hand.
#
# **Nearest neighbour** repeats each number in a block of 2×2.
# **Bed of nails** puts it into the upper left corner of its block, and zeros around it.
# **Max unpooling** puts it where it came from: some earlier pooling has written down which pixel of its window won.
# **Bilinear** interpolation mixes neighbours, and needs a rule for where pixels lie.
# Along a line of two, the four new pixels have their middles at $\frac14, \frac34, \frac54, \frac74$, and the old ones at $\frac12$ and $\frac32$.
# So a new pixel takes $\frac34$ of the nearer one and $\frac14$ of the other; beyond the last, the last counts alone.
#
# **Guess** all four before you look, for the numbers 1, 2, 3, 4. The earlier pooling saw the matrix on the left.

# %%
earlier = torch.tensor([[0.0, 5, 1, 2], [3, 1, 7, 0], [1, 2, 0, 1], [8, 0, 2, 9]])
small = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
pooled, indices = F.max_pool2d(earlier[None, None], 2, return_indices=True)
x = small[None, None]
nail = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
enlarged = {
    "nearest": F.interpolate(x, scale_factor=2, mode="nearest")[0, 0],
    "bed of nails": torch.kron(small, nail),
    "max unpooling": F.max_unpool2d(x, indices, 2)[0, 0],
    "bilinear": F.interpolate(x, scale_factor=2, mode="bilinear")[0, 0],
}
won = F.max_unpool2d(pooled, indices, 2)[0, 0] > 0
mix = torch.tensor([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
assert torch.equal(mix @ small @ mix.T, enlarged["bilinear"])
print("where the maxima were:", indices.flatten().tolist())
fig, axes = plt.subplots(1, 5, figsize=(11, 2.5))
draw_numbers(axes[0], earlier, "an earlier map", won, "#D55E00")
for ax, (name, values) in zip(axes[1:], enlarged.items(), strict=True):
    draw_numbers(ax, values, name)
describe(fig, "A 4×4 map with its maxima framed, and four enlargements of 1 2 3 4.")

# %% [markdown]
# The framed pixels were the largest of their windows, and that is where max unpooling puts 1 to 4.
# PyTorch keeps their places as numbers in the flattened map, printed above: row times width plus column.
# Bilinear, on an image, is a matrix product for the columns and one for the rows, as the `assert` says.
#
# Each has its price.
# Nearest is blocky.
# Nails always sit in the same corner, wherever the feature was.
# Unpooling knows the place, but needs a partner on the way down.
# Bilinear is smooth, also where there is an edge.
# And none of them has a weight to learn.
#
# ## Up, by learning: transposed convolution
#
# A convolution with stride 2 reads a window, writes one number, and moves on by 2 pixels *of the input*.
# Turn that around: read one number, write a window, move on by 2 pixels *of the output*.
# What it writes is a copy of the kernel, multiplied by the number; where copies overlap, they add up.
# That is a **transposed convolution**.
#
# **Guess** the sum for the input (1, 2), the kernel (1, 2, 3) and stride 2. And how long is it?

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 2.3))
line, kernel = np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0])
drawings.draw_copies(axes[0], line, kernel, stride=2)
drawings.draw_copies(axes[1], line, kernel, stride=2, padding=1)
tensors = [torch.tensor(a)[None, None] for a in (line, kernel)]
for padding, expected in {0: [1, 2, 5, 4, 6], 1: [2, 5, 4]}.items():
    out = F.conv_transpose1d(*tensors, stride=2, padding=padding)
    assert out.flatten().tolist() == expected
describe(fig, "Two copies of the kernel, 1 2 3 and 2 4 6, two apart, and their sum.")

# %% [markdown]
# Two copies of three, shifted by two, span five: $(n-1)\,s + k$ numbers.
# Padding, which *adds* zeros to the input of a convolution, *cuts off* as many numbers at both ends of the output here, since it is the way back:
#
# $$n' = (n-1)\,s + k - 2p$$
#
# In 2D it is the same with matrices.
# Step through the four inputs, then change the others.
#
# **Guess** before you drag: which kernel, stride and padding turn 2×2 into exactly 4×4?

# %%
KERNELS = {2: [1, 1], 3: [1, 2, 1], 4: [1, 3, 3, 1]}


def draw_transposed(axes, step=2, kernel=3, stride=2, padding=0):
    """An input, a weighted copy of the kernel, and the sum of the copies so far."""
    values = np.outer(KERNELS[kernel], KERNELS[kernel])
    inputs = np.array([[1, 2], [3, 4]])
    drawings.draw_transposed_step(axes, inputs, values, step, stride, padding)


sliders = {"kernel": (2, 4, 1), "stride": (1, 3, 1), "padding": (0, 1, 1)}
explore(draw_transposed, figsize=(9, 3.4), subplots=(1, 3), step=(1, 4, 1), **sliders)

# %% [markdown]
# Kernel 2 with stride 2 does, and so does kernel 4 with stride 2 and padding 1.
# Kernel 3 gives 5×5, or 3×3 with padding 1.
#
# > **A slip in some slides.** "3×3, stride 2, padding 1: from 2×2 to 4×4."
# > It gives 3×3.
# > One may cut off 5×5 on one side only, and that is what an *output padding* of 1 does: it gives a row and a column back.

# %%
inputs, weights = small[None, None], torch.ones(1, 1, 3, 3)
for p, extra in [(0, 0), (1, 0), (1, 1)]:
    out = F.conv_transpose2d(inputs, weights, stride=2, padding=p, output_padding=extra)
    print(f"padding {p}, output padding {extra}: {tuple(out.shape[2:])}")
for size in (3, 4):
    there = F.conv2d(torch.zeros(1, 1, size, size), weights, stride=2, padding=1)
    print(f"the convolution makes {tuple(there.shape[2:])} of {size} x {size}")
quiz("segmentation-transposed-size")

# %% [markdown]
# The last lines tell why one has to choose: the convolution turns 3×3 as well as 4×4 into 2×2, as sizes round down.
# The way back can't know which it was.
#
# ## Why "transposed"
#
# A convolution is linear, so it is a matrix $A$.
# For the kernel $(1, 2, 3)$, four inputs, and padding 1, each row holds the kernel at one place; at both ends a weight falls off, as it meets a padded zero.
# With stride 2 every other row remains.
#
# **Guess:** what do the *columns* of the second matrix remind you of?

# %%
A = torch.tensor([[2.0, 3, 0, 0], [1, 2, 3, 0], [0, 1, 2, 3], [0, 0, 1, 2]])
B = A[::2]
kernel = torch.tensor([[[1.0, 2.0, 3.0]]])
a = torch.tensor([5.0, 1, 0, 2])
for matrix, stride in [(A, 1), (B, 2)]:
    out = F.conv1d(a[None, None], kernel, stride=stride, padding=1)
    assert torch.equal(matrix @ a, out[0, 0])
b = torch.tensor([1.0, 2.0])
out = F.conv_transpose1d(b[None, None], kernel, stride=2, padding=1, output_padding=1)
assert torch.equal(B.T @ b, out[0, 0])
print("B.T @ b:", (B.T @ b).tolist())
back = F.conv_transpose1d(a[None, None], kernel, padding=1)
assert torch.equal(back, F.conv1d(a[None, None], kernel.flip(2), padding=1))
fig, axes = plt.subplots(1, 3, figsize=(8, 2.4))
drawings.draw_matrix(axes[0], A, "stride 1")
drawings.draw_matrix(axes[1], B, "stride 2")
drawings.draw_matrix(axes[2], B.T, "stride 2, transposed")
describe(fig, "A band matrix with 1 2 3 in each row; every other row; and that turned.")

# %% [markdown]
# Transposed, the rows have become columns: each column is a copy of the kernel, two further down than the one before.
# Times a vector, that is a weighted sum of copies, our transposed convolution!
# The 1 of the first copy is what the padding has cut off.
# Printed are the numbers of the picture above, 2, 5, 4, and the 6 that output padding gives back.
#
# The last `assert` is of a special case: at stride 1 the transposed convolution is a convolution with the kernel turned around.
# At stride 2 it isn't, unless we drive the nails in first: a bed of nails, then that convolution (an `assert` below).
#
# Topic 4 has met all this under another name.
# Backward through $y = Ax$, the gradient is $A^\top$ times what arrives, so a transposed convolution forward does what a convolution does backward.
#
# In 2D the image is read row by row into a vector, and the matrix gets blocks.
# We check the smallest case, 2×2 on 3×3, by hand; then look at 4×4, for both strides and both ways.
#
# **Guess:** does convolving there and back again restore an image?

# %%
rows = [[1, 2, 0, 3, 4, 0, 0, 0, 0], [0, 1, 2, 0, 3, 4, 0, 0, 0]]
rows += [[0, 0, 0, 1, 2, 0, 3, 4, 0], [0, 0, 0, 0, 1, 2, 0, 3, 4]]
C, kernel = torch.tensor(rows) * 1.0, torch.tensor([[[[1.0, 2], [3, 4]]]])
image = torch.arange(9.0).reshape(1, 1, 3, 3)
assert torch.equal(C @ image.flatten(), F.conv2d(image, kernel).flatten())
assert torch.equal(C.T @ small.flatten(), F.conv_transpose2d(inputs, kernel).flatten())
nails = torch.kron(small, nail)[None, None, :-1, :-1]
spread = F.conv2d(nails, kernel.flip(2, 3), padding=1)
assert torch.equal(F.conv_transpose2d(inputs, kernel, stride=2), spread)
print("before:", image.flatten().tolist())
print("there and back:", (C.T @ C @ image.flatten()).tolist())


def draw_2d(ax, stride=1, transposed=False):
    """The matrix of a 2×2 kernel, with weights 1 to 4, on an image of 4×4."""
    kernel = np.array([[1, 2], [3, 4]])
    drawings.draw_conv_matrix(ax, kernel, (4, 4), stride, transposed)


explore(draw_2d, figsize=(6.4, 4.6), stride=(1, 2, 1), transposed=False)

# %% [markdown]
# At stride 1 the nine rows are the nine places of the kernel; its second row, 3 and 4, stands a whole image row (four columns) later.
# At stride 2 four places remain, and every pixel is in one of them.
#
# The printed lines show why the name *deconvolution* is a bad one, though many papers use it: there and back doesn't give the image again.
# $A^\top$ has the shape of an inverse, and is none.
#
# ## Checkerboards
#
# With kernel 3 and stride 2, copies overlap by one pixel.
# So some output pixels get more copies than others, whatever the image.
#
# **Guess:** for which kernels and strides is the coverage even inside?

# %%
def draw_coverage(ax, kernel=3, stride=2):
    """How many copies of a kernel add up in each pixel of a transposed convolution."""
    drawings.draw_coverage(ax, kernel, stride)


explore(draw_coverage, figsize=(4.4, 4.4), kernel=(2, 6, 1), stride=(1, 3, 1))

# %% [markdown]
# It is even where the stride divides the kernel; else the pattern is there before the network has learned anything.
#
# We send a constant through two layers in three ways, with all weights alike, and with random weights from 0 to 0.2.
# The third way enlarges by nearest neighbour, and convolves afterwards.

# %%
def enlarge(kind, alike):
    """Return how far two layers, that enlarge a constant, are off their mean inside."""
    torch.manual_seed(0)
    x = torch.ones(1, 8, 10, 10)
    for channels in (8, 1):
        if kind == "nearest + 3×3":
            x, layer = F.interpolate(x, scale_factor=2), nn.Conv2d(8, channels, 3)
        else:
            layer = nn.ConvTranspose2d(8, channels, int(kind[-1]), stride=2)
        nn.init.uniform_(layer.weight, 0.1 * alike, 0.2 - 0.1 * alike)
        x = layer(x).detach()
    inside = x[0, 0, 12:28, 12:28]
    return inside / inside.mean() - 1


kinds = ["kernel 3", "kernel 4", "nearest + 3×3"]
fig, axes = plt.subplots(2, 3, figsize=(7.2, 5.2))
for row, alike in zip(axes, (True, False), strict=True):
    images = [enlarge(kind, alike) for kind in kinds]
    word = "alike" if alike else "random"
    pairs = zip(kinds, images, strict=True)
    drawings.draw_images(row, {f"{k}, {word}: ±{i.std():.0%}": i for k, i in pairs})
describe(fig, "Six images: strong checkerboards for kernel 3, weak or none otherwise.")

# %% [markdown]
# Kernel 3 makes a checkerboard of a constant in both cases.
# Kernel 4 covers evenly, so with equal weights nothing is left; with random ones, neighbours still meet different weights, and training has to make them agree.
# Enlarging first and convolving afterwards can't draw a pattern on a constant.
#
# ## SegNet: remember where the maximum was
#
# Back to the plan, down and up again.
# An **encoder** of convolutions and poolings goes down, a **decoder** of enlargements and convolutions goes up.
# What gets lost on the way is *where* things were.
#
# SegNet's decoder therefore uses max unpooling, each with the indices of its partner in the encoder.
# We look at what that does, without any weights: a map that answers to edges is pooled twice and enlarged twice.
#
# **Guess:** which of the three enlargements shows outlines best?

# %%
grey = ndimage.gaussian_gradient_magnitude(gallery.X[16].mean(axis=0), 1.5)
edges = torch.tensor(grey)[None, None]
half, first = F.max_pool2d(edges, 2, return_indices=True)
quarter, second = F.max_pool2d(half, 2, return_indices=True)
one = torch.kron(nail, nail).double()
ways = {
    "before": edges[0, 0],
    "nearest": F.interpolate(quarter, scale_factor=4)[0, 0],
    "bed of nails": torch.kron(quarter[0, 0], one),
    "max unpooling": F.max_unpool2d(F.max_unpool2d(quarter, second, 2), first, 2)[0, 0],
}
for name, image in ways.items():
    same = (image == edges[0, 0])[image > 0].float().mean()
    print(f"{name:14} fills {(image > 0).float().mean():.0%}, {same:.0%} as before")
assert same == 1
fig, axes = plt.subplots(1, 4, figsize=(9, 2.6))
drawings.draw_images(axes, ways)
describe(fig, "Outlines of a person; blocks; a grid of dots; dots on the outlines.")

# %% [markdown]
# Nearest fills everything, mostly with wrong numbers.
# Both others fill one pixel in sixteen; but nails stand in a regular grid, and unpooled numbers exactly where they were.
# SegNet's convolutions then spread them.
# Its indices are cheap to keep: one of four places per number, two bits.
#
# ## U-Net: hand the whole map over
#
# U-Net is more generous.
# At each level the encoder's map itself crosses over to the decoder, where it is **concatenated** to what comes up from below.
# These crossings are the **skip connections**.
# (The first fully convolutional network had some, too, and added scores there.)
# From below comes *what* it is, from the side *where* exactly.
#
# Drawn, it is a U of nested levels, and so we write it: a level goes down, calls the level inside it, comes up, and merges.
# (Sizes must be divisible by 8 here; to lift that is left to you.)

# %%
def convolve(num_in, num_out):
    conv = nn.Conv2d(num_in, num_out, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(num_out), nn.ReLU())


class Level(nn.Module):
    """A level of a U-Net around the levels below it, with or without its skip."""

    def __init__(self, num_in, width, below, skip):
        super().__init__()
        self.down, self.below, self.skip = convolve(num_in, width), below, skip
        self.up = nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2)
        self.merge = convolve(2 * width if skip else width, width)

    def forward(self, x):
        here = self.down(x)
        below = self.up(self.below(F.max_pool2d(here, 2)))
        return self.merge(torch.cat([here, below], 1) if self.skip else below)


def u_net(skips, num_in=3, num_classes=6, width=12):
    net = convolve(4 * width, 8 * width)
    for num, out in [(2 * width, 4 * width), (width, 2 * width), (num_in, width)]:
        net = Level(num, out, net, skips)
    return nn.Sequential(net, nn.Conv2d(width, num_classes, 1))

# %% [markdown]
# Scores come out for each pixel: $(N, 6, H, W)$.
# What is the loss of that?
# Each pixel is a sample of its own, classified by cross-entropy as in topic 1, and all pixels of all images are averaged.
# Nothing new is needed.

# %%
torch.manual_seed(0)
X, y = (torch.tensor(a[:4]) for a in (scenes.train.X, scenes.train.y))
logits = u_net(skips=True)(X)
print("images", tuple(X.shape), "scores", tuple(logits.shape), "labels", tuple(y.shape))
loss = F.cross_entropy(logits, y)
as_samples = F.cross_entropy(logits.permute(0, 2, 3, 1).reshape(-1, 6), y.flatten())
assert torch.isclose(loss, as_samples)
print(f"loss {loss:.2f}, a blind guess has {np.log(6):.2f}")
quiz("segmentation-skips")

# %% [markdown]
# Now the experiment: the same network, the same data, ten epochs, with skips and without.
#
# **Guess:** what will the one without skips do wrong?

# %%
training |= {"num_epochs": 10, "batch_size": 16, "lr": 1e-2}
torch.manual_seed(0)
models = {"with skips": u_net(skips=True), "without": u_net(skips=False)}
fovea.fit(models["with skips"], scenes, **training)
for name, model in models.items():
    print(f"{name}: {fovea.count_parameters(model):,} parameters")

# %% [markdown]
# The one without has fewer parameters, as each `merge` reads half as many maps.
# Now it trains, and both label six scenes.

# %%
fovea.fit(models["without"], scenes, **training)
X, y = scenes.test.X, scenes.test.y
probs = {n: fovea.predict(m, X).softmax(1).numpy() for n, m in models.items()}
predicted = {name: p.argmax(1) for name, p in probs.items()}
some = [0, 1, 2, 4, 5, 6]
shown = {"labels": y[some]} | {name: p[some] for name, p in predicted.items()}
fig, axes = plt.subplots(4, 6, figsize=(8.5, 6))
drawings.draw_scenes(axes, X[some], shown)
drawings.add_label_legend(fig, names)
describe(fig, "Six scenes, labels, two predictions; without skips, shapes are blobs.")

# %% [markdown]
# Without skips, objects are found, and their outlines melt: limbs and tips are gone, and with them the clue to the class.
# What was pooled three times is known to the nearest 8 pixels or so.
# With skips the outlines are sharp, and more of the classes are right.
#
# How much better is it?
#
# ## A number that means something
#
# The obvious measure is **pixel accuracy**: how many pixels are right?
# **Guess** the accuracy of a program that calls everything background.

# %%
answers = {"all background": np.zeros_like(y), **predicted}
for name, answer in answers.items():
    print(f"{name:15} {np.mean(answer == y):.1%} of pixels right")
shares = np.bincount(y.flatten()) / y.size
print("share of each label:", dict(zip(names, shares.round(3).tolist(), strict=True)))

# %% [markdown]
# Doing nothing is worth almost nine tenths, since that much is background.
# Accuracy hardly notices the objects, for whose sake we do all this.
#
# **Intersection over union** (IoU) does.
# For one class, take the pixels where it is predicted, and those where it is true:
#
# $$\text{IoU} = \frac{\text{pixels in both}}{\text{pixels in at least one}}$$
#
# Background that is right in both counts nowhere.
# Move the prediction away from its target.
#
# **Guess** before you drag: how far must a square of side 8 move until its IoU is below one half? What does accuracy say then?

# %%
def draw_squares(ax, shift=2, side=8):
    """A square, and the same square moved to the right, with IoU and accuracy."""
    masks = np.zeros((2, 32, 32), bool)
    for mask, left in zip(masks, (6, 6 + shift), strict=True):
        mask[10 : 10 + side, left : left + side] = True
    iou = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
    right = (masks[0] == masks[1]).mean()
    title = f"IoU {iou:.2f}, {right:.0%} of pixels right"
    drawings.draw_agreement(ax, masks[1], masks[0], title)


explore(draw_squares, figsize=(4.2, 4.4), shift=(0, 12, 1), side=(2, 12, 1))

# %% [markdown]
# By 3 pixels: 5 columns are in both, 11 in at least one.
# Accuracy still says 95 %, and for a smaller square more.
#
# The **mean IoU** is the average over classes, background included.
# Two conventions matter.
# Pixels are counted over *all* images before dividing, as a class is missing from most images; one that neither prediction nor target has anywhere is left out of the mean.
# And some data sets mark pixels to be left out (an outline nobody could label): an *ignore* label, which takes part in nothing.
# scikit-learn knows IoU as Jaccard's index.
#
# **Guess:** what is the mean IoU of "all background"?

# %%
from sklearn.metrics import jaccard_score

ious = {
    name: jaccard_score(y.flatten(), answer.flatten(), average=None)
    for name, answer in answers.items()
}
for name, values in ious.items():
    print(f"{name:15} mean IoU {values.mean():.3f}; {values.round(2)}")
assert np.isclose(ious["all background"].mean(), shares[0] / 6)
assert ious["with skips"].mean() > ious["without"].mean() + 0.05
quiz("segmentation-iou", "segmentation-accuracy")

# %% [markdown]
# Doing nothing gets its accuracy divided by six: background has an IoU of 0.88, the five others 0.
# And the skips, which looked like a matter of few percent, are seen in every class.
#
# ## Where are the errors?
#
# We suspected outlines.
# To test it, we measure for each pixel how far the nearest pixel of another label is, and count errors by that distance.
#
# **Guess:** at which distance will the two networks differ most?

# %%
def distance_to_boundary(labels):
    """Return for each pixel how far the nearest pixel of another label is."""
    distance = np.zeros(labels.shape)
    for label in np.unique(labels):
        same = labels == label
        distance[same] = ndimage.distance_transform_edt(same)[same]
    return distance


distance = np.stack([distance_to_boundary(labels) for labels in y]).round().astype(int)
steps = range(1, 9)
wrong = {
    name: [100 * np.mean((answer != y)[distance == d]) for d in steps]
    for name, answer in predicted.items()
}
assert wrong["without"][0] > wrong["with skips"][0] > 2 * wrong["without"][4]
large = np.stack([distance_to_boundary(labels) for labels in gallery.y])
near = {32: np.mean(distance < 2), 64: np.mean(large < 1.5)}
print("share of pixels at a boundary:", {size: f"{n:.1%}" for size, n in near.items()})
fig, ax = plt.subplots()
plotting.draw_curves(ax, steps, wrong)
ax.set(xlabel="distance to the nearest other label (pixels)", ylabel="wrong pixels (%)")
ax.set_title("Most errors sit at the boundaries, most of all without skips")
describe(fig, "Error rate falls with distance; without skips it starts far higher.")

# %% [markdown]
# At the boundary itself both err most, and there skips help most.
# Five pixels off, next to nothing is wrong: the inside of large areas is easy.
#
# A remark on counting: in scenes of twice the size, printed above, only about half as large a share of the pixels lies at a boundary.
# So accuracy rises with resolution, though no outline got better.
# Compare numbers on the same images only.
#
# ## Where to draw the line
#
# A network gives probabilities.
# Let us ask the network without skips for object or background alone, and call a pixel object where that has a probability above a threshold $t$.
#
# **Guess:** what happens to IoU near 0 and near 1?

# %%
objectness = 1 - probs["without"][:, 0]
thresholds = np.linspace(0.02, 0.98, 49)
is_object = y > 0
cuts = [objectness > t for t in thresholds]
curves = {
    "IoU": [(c & is_object).sum() / (c | is_object).sum() for c in cuts],
    "accuracy": [(c == is_object).mean() for c in cuts],
}


def draw_threshold(axes, threshold=0.5, scene=13):
    """A scene's object pixels at a threshold, and IoU and accuracy over all of test."""
    mask = objectness[scene] > threshold
    drawings.draw_agreement(axes[0], mask, is_object[scene], "one scene")
    plotting.draw_curves(axes[1], thresholds, curves)
    axes[1].axvline(threshold, color="black", linestyle=":")
    axes[1].set(xlabel="threshold", ylim=(0, 1.02), title="all test scenes")


sliders = {"threshold": (0.02, 0.98, 0.06), "scene": (10, 20, 1)}
explore(draw_threshold, figsize=(8, 3.8), subplots=(1, 2), **sliders)

# %% [markdown]
# A low threshold draws a rim around each object, a high one eats into it; both lower the IoU.
# Accuracy stays high at almost any threshold.
# Where misses cost more than false alarms, as with tumours, choose a lower one than the best (and choose it on validation data; we are only looking here).
#
# ## Rare classes: weights in the loss
#
# The loss has accuracy's blind spot: nine tenths of its terms are background.
# Early in training a network therefore learns to say "background" before anything else.
#
# **Class weights** multiply each pixel's loss by a weight of its label, such as the inverse of the label's share, or, milder, of its square root.
# The sum is divided by the weights used, not by the number of pixels, so that the loss stays a mean.
#
# We train the U-Net for a single epoch, with three kinds of weights.
# We count how many object pixels it calls object (whichever), and how many background pixels it calls so, too.
#
# **Guess** how both numbers move from none to the strongest weights.

# %%
kinds = {"none": 0.0, "inverse root": -0.5, "inverse": -1.0}
frequency = np.bincount(scenes.train.y.flatten()) / scenes.train.y.size
found, false_alarms = [], []
for name, power in kinds.items():
    weight = torch.tensor(frequency**power, dtype=torch.float32)
    torch.manual_seed(0)
    model = u_net(skips=True)

    def loss(out, y, weight=weight):
        w = weight.to(out.device)[y]
        return (w * F.cross_entropy(out, y, reduction="none")).sum() / w.sum()

    fovea.fit(model, scenes.train, loss=loss, **training | {"num_epochs": 1})
    answer = fovea.predict(model, scenes.test.X).argmax(1).numpy()
    found.append(np.mean(answer[y > 0] > 0))
    false_alarms.append(np.mean(answer[y == 0] > 0))
    accuracy = np.mean(answer == y)
    print(f"{name:13} {found[-1]:.0%} of object pixels found,", end=" ")
    print(f"{false_alarms[-1]:.1%} of background lost, accuracy {accuracy:.1%}")
out, labels = torch.randn(9, 6), torch.arange(9) % 6
assert torch.isclose(loss(out, labels), F.cross_entropy(out, labels, weight=weight))
assert found[0] < found[2]
assert false_alarms[0] < false_alarms[2]

# %% [markdown]
# (The first `assert` tells how to say it in PyTorch: `weight=`.)
#
# Weights buy found objects with lost background; stronger weights buy more, at a higher price.
# They act like a lower threshold, but during training already.
# With the inverse share, one object pixel counts as much as dozens of background pixels, and halos around objects come cheap.
# Which mixture is right depends on what errors cost, not on the network.
#
# ## Real cells
#
# U-Net was made for microscope images.
# If the nuclei data set is on your computer (`fovea.load("nuclei")` downloads it), we train for a short time on a quarter of each image, at half the resolution.

# %%
picture = None
if fovea.is_local("nuclei"):
    nuclei = fovea.load("nuclei")
    train, test = (
        fovea.Split(split.X[:, :, :128:2, :128:2], split.y[:, :128:2, :128:2])
        for split in (nuclei.train, nuclei.test)
    )
    torch.manual_seed(0)
    cell_net = u_net(skips=True, num_in=1, num_classes=2, width=8)
    cell_data = fovea.Split(train.X, (train.y > 0).astype(int))
    fovea.fit(cell_net, cell_data, **training | {"num_epochs": 5})
    cells, is_cell = fovea.predict(cell_net, test.X).argmax(1).numpy(), test.y > 0
    iou = ((cells > 0) & is_cell).sum() / ((cells > 0) | is_cell).sum()
    print(f"IoU {iou:.2f}, accuracy {np.mean((cells > 0) == is_cell):.1%}")
    counts = np.array([len(np.unique(numbers)) - 1 for numbers in test.y])
    pieces = np.array([ndimage.label(mask)[1] for mask in cells])
    print(f"{counts.sum()} nuclei, {pieces.sum()} connected pieces predicted")
    fig, axes = plt.subplots(2, 4, figsize=(8.5, 5))
    for column, i in zip(axes.T, counts.argsort()[-4:], strict=True):
        drawings.draw_images(column[:1], {"": test.X[i, 0]})
        title = f"{counts[i]} nuclei, {pieces[i]} pieces"
        drawings.draw_agreement(column[1], cells[i], is_cell[i], title, legend=False)
    drawings.add_agreement_legend(fig)
    picture = describe(fig, "Nuclei and masks; they agree but for a rim.")
else:
    print("The nuclei are not on this computer; nothing below depends on them.")
picture

# %% [markdown]
# With the nuclei you see both halves of this lecture again: masks agree but for a rim, nuclei that touch count as one piece, and some small ones are missed.
# Biologists want counts, so the U-Net paper weights the pixels *between* touching cells higher in the loss.
# It is class weighting with a weight per pixel.
#
# ## What we learned
#
# - Semantic segmentation labels pixels and merges what touches; instances need more than labels.
# - A fully connected layer is a convolution at its only place: the first one $k \times k$, later ones 1×1. So a classifier slides for little.
# - Enlarge by rule (nearest, nails, unpooling, bilinear), or by a transposed convolution: weighted copies of the kernel, $A^\top$ of the convolution's matrix, $(n-1)s + k - 2p$ long.
# - Down to see what, up to say where; skips carry over where exactly, and errors sit at the boundaries.
# - Accuracy flatters on unbalanced classes: use IoU; weights in the loss trade misses for false alarms.
#
# ## Exercises
#
# 1. By hand: `F.conv_transpose1d` of (1, 0, 2) with kernel (1, 1, 1), stride 2, padding 1? Draw the copies.
# 2. A classifier reads 64×64, and pools three times by 2, with padded convolutions between. Its first fully connected layer has 256 units on 32 maps. What convolution does it become? What comes out for 96×64?
# 3. Train the U-Net with skips at two of three levels. Which one matters most to the last figure of errors by distance?
# 4. Give half of the IoU slider's square away: keep the left half only. Which IoU? And twice the square?
#
# In the assignment you write what PyTorch did for us here: `fc_to_conv`, `unpool_nearest`, `bed_of_nails`, `max_unpool`, `conv_matrix`, `conv_transpose2d_naive`, `mean_iou`, and two networks for images of any size, `SegNet` and `UNet`.
#
# Read on: Long, Shelhamer and Darrell, *Fully Convolutional Networks for Semantic Segmentation* (2015); Ronneberger, Fischer and Brox, *U-Net: Convolutional Networks for Biomedical Image Segmentation* (2015); Badrinarayanan, Kendall and Cipolla, *SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image Segmentation* (2017); Odena, Dumoulin and Olah, *Deconvolution and Checkerboard Artifacts* (2016); Dumoulin and Visin, *A Guide to Convolution Arithmetic for Deep Learning* (2016).
