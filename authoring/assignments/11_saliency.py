# %% [markdown] role="locked"
# # Assignment 11: seeing inside a network
#
# A network says "star", and that is all it says.
# In this assignment you write the tools that ask further: which pixels changed the score, what the network says when they are covered, what a unit waits for, which images it finds alike.
# Then you use them on a classifier that is right 95 times in 100 for a reason that nobody wanted.
#
# - You will be able to compute these maps for any network, to say what each of them means, and to find out what a classifier looks at.
# - You need lecture 11, gradients in PyTorch, and the convolutions of topic 4.
# - It takes an evening or two of thinking; the whole notebook computes in about 20 seconds on a laptop CPU.
#
# Each exercise has a function to fill in, *open checks* to run as often as you like, and a graded cell.
# Hidden checks grade what the docstring promises, over all of the range that it promises, and nothing else.
# Published solutions of such exercises are judged by looking at pictures, and about every fourth of them shows another quantity than its caption says.
# Here the numbers are checked, on networks whose maps are known.

# %%
import copy

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

import fovea
from fovea.diagnosis import evaluating
from fovea.open_checks import expect
from fovea.plotting import describe, draw_overlay, image_grid, use_style

use_style()
torch.set_num_threads(1)

# %% [markdown] role="locked"
# ## A classifier to look into
#
# Somebody has collected 3000 images of five shapes, and trained a ConvNet on them.
# The images for testing were taken later, by somebody else.

# %%
data = fovea.load("shapes", shortcut=0.95)
torch.manual_seed(0)
classifier = nn.Sequential(
    *(nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.ReLU()),
    *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
    *(nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU()),
    *(nn.Flatten(), nn.Linear(32 * 8 * 8, 5)),
)
fovea.fit(classifier, data, num_epochs=4, lr=3e-3, batch_size=64)
classifier.cpu()
for name in ("val", "test"):
    share = fovea.evaluate(classifier, getattr(data, name), device="cpu").metric
    print(f"{share:.1%} of the {name} images are named right")

# %% [markdown] role="locked"
# As good as that on images for validation, and no better than guessing on those for testing: something is wrong, and the accuracy doesn't say what.
# You will find out below; first the tools.
#
# ## What every function here keeps to
#
# A model takes images (N, C, H, W) and returns **scores** (N, num_classes): no softmax, higher means more likely.
# You are asked by somebody who goes on working with that model, so a function that looks into it leaves no traces.
#
# - The model is looked at **in evaluation mode**: dropout off, batch norm with its running averages, so that no image depends on the others of its batch. Afterwards each of its modules has the mode that it had before. `with evaluating(model):` does both.
# - Its weights and their `.grad` stay as they are, and so do the tensors that were given: values, `requires_grad`, `.grad`. So ask `torch.autograd.grad` for the gradient that you want; `backward()` would fill that of every weight, too.
# - It works **inside `torch.no_grad()`** (then `torch.enable_grad()` switches gradients on for a block), and on a model whose weights don't require gradients.
# - What comes back is a tensor **without a graph**, of the dtype of the images: float32 for float32, float64 for float64.
# - One image is a batch of one: (1, C, H, W) is as good as any other. Images need not be square, and may have one channel.
#
# The docstrings call these *the rules*. The cell below helps the open checks to try them.

# %% role="locked"
def linear_model(weights):
    """Return a model whose scores are sums of pixels times weights (num_classes, C, H, W)."""
    weights = torch.as_tensor(weights, dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(weights[0].numel(), len(weights), bias=False)).double()
    model[1].weight.data = weights.flatten(1)
    return model


def expect_rules(call, N=2):
    """Try call(model, x) on a ConvNet: its modes, gradients, dtype, and no_grad()."""
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Softplus(), nn.Dropout(0.5), nn.Flatten()
    model, x = nn.Sequential(*layers, nn.Linear(60, 4)), torch.rand(N, 2, 4, 5)
    wanted = call(copy.deepcopy(model).eval(), x.clone())
    assert isinstance(wanted, torch.Tensor), f"{type(wanted).__name__} came back, not a tensor"
    assert wanted.dtype == x.dtype, f"{wanted.dtype} came back for {x.dtype}"
    assert not wanted.requires_grad, "a graph hangs on what came back"
    model[1].eval()
    modes, x_before, weights = [m.training for m in model.modules()], x.clone(), copy.deepcopy(model.state_dict())
    expect("with modules in other modes", call(model, x), wanted, "evaluation mode", 1e-4)
    assert modes == [m.training for m in model.modules()], "modules are left in other modes than they had"
    assert all(p.grad is None for p in model.parameters()), "weights have a .grad now"
    expect("the images, afterwards", x, x_before, "what is written in place")
    assert not x.requires_grad, "the images require a gradient now"
    for name, value in model.state_dict().items():
        expect(f"{name}, afterwards", value, weights[name], "evaluation mode")
    with torch.no_grad():
        expect("inside torch.no_grad()", call(model.requires_grad_(False), x), wanted, "torch.enable_grad()", 1e-4)


# %% [markdown] role="locked"
# ## Which pixels change the score?
#
# If a pixel changes by a little, the score of a class changes by the derivative times as much.
# A **saliency map** (Simonyan, Vedaldi and Zisserman, 2013) shows the magnitude of this derivative, and takes the largest one where a pixel has several channels:
#
# $$\text{map}_{nij} = \max_c \left| \frac{\partial\, s_{y_n}(x_n)}{\partial\, x_{ncij}} \right|$$
#
# Mind what is differentiated: the score of class $y_n$, not the loss, and not the probability. Both of these depend on the scores of all other classes as well, and are flat where the network is sure of itself.
#
# By hand: one channel, two pixels, scores $s_0 = x_1 - 2 x_2$ and $s_1 = 3 x_1 + 4 x_2$. Whatever the image, the map of class 0 is $(1\;2)$ and that of class 1 is $(3\;4)$.
#
# **Exercise (9 points).** Write it. All images of a batch can share one call of `torch.autograd.grad`: what would you add up?

# %% role="solution" grade_id="saliency-maps"
def compute_saliency_maps(X, y, model):
    """Return (N, H, W): for each pixel the largest |d score of y / d x| of its channels.

    X: (N, C, H, W), N, C, H, W >= 1, float32 or float64; y: (N,) int64, one class for
    each image. The map of an image doesn't depend on the others. The rules hold.
    """
    ### BEGIN SOLUTION
    x = X.detach().clone().requires_grad_()
    with torch.enable_grad(), evaluating(model):
        scores = model(x).gather(1, y[:, None])
        # no score depends on another image, so the sum's gradient holds all of theirs
        (grads,) = torch.autograd.grad(scores.sum(), x)
    return grads.abs().amax(dim=1)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_compute_saliency_maps():
    model, X = linear_model([[[[1, -2]]], [[[3, 4]]]]), torch.zeros(2, 1, 1, 2, dtype=torch.float64)
    maps = compute_saliency_maps(X, torch.tensor([0, 1]), model)
    expect("the two pixels above", maps, [[[1, 2]], [[3, 4]]], "magnitudes; the score of each image's own class")
    expect("one image", compute_saliency_maps(X[:1], torch.tensor([1]), model), [[[3, 4]]], "what drops an axis")
    model = linear_model([[[[1, -2]], [[-5, 1]]], [[[7, 7]], [[7, 7]]]])
    X = torch.ones(1, 2, 1, 2, dtype=torch.float64)
    expect("two channels", compute_saliency_maps(X, torch.tensor([0]), model), [[[5, 2]]], "the maximum over channels, of magnitudes")
    expect_rules(lambda model, x: compute_saliency_maps(x, torch.arange(len(x)) % 4, model))


check_compute_saliency_maps()

# %% role="tests" grade_id="saliency-maps-tests" points=9
# Graded by hidden checks: linear networks, ConvNets, one image, one channel, other modes, no_grad, float32; no traces.
### BEGIN HIDDEN TESTS
from grader.checks import saliency
saliency.compute_saliency_maps(compute_saliency_maps)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# The maps of four validation images. Where do you expect them to be bright?

# %%
X, y = torch.from_numpy(data.val.X[:200]), torch.from_numpy(data.val.y[:200])
maps = compute_saliency_maps(X[:4], y[:4], classifier)
fig, axes = plt.subplots(2, 4, figsize=(6, 3))
for i in range(4):
    axes[0, i].imshow(X[i].permute(1, 2, 0))
    axes[0, i].set_title(data.class_names[y[i]])
    axes[1, i].imshow(maps[i], cmap="gray")
for ax in axes.flat:
    ax.axis("off")
describe(fig, "Four images of shapes, and below each its saliency map: dark but for a few bright pixels.")

# %% [markdown] role="locked"
# ## Noise against noise
#
# Gradients of neighbouring pixels differ wildly, so maps look like noise.
# **SmoothGrad** (Smilkov and others, 2017) averages the maps of noisy copies of the image: what all of them agree on stays.
#
# $$\frac{1}{n} \sum_{k=1}^{n} \text{map}(x + \varepsilon_k), \qquad \varepsilon_k \sim \mathcal N(0, \sigma^2), \quad \sigma = \text{noise} \cdot (\max x - \min x)$$
#
# The strength is relative to the range of the image, so that the same setting serves pixels up to 1 and pixels up to 255.
# A linear network has the same gradient everywhere: there noise changes nothing, whatever its strength.
# With $s = \tfrac12 x^2$ on one pixel the gradient is $x$: at $x = 0$ the map is 0, and the mean of $|\varepsilon|$ is $\sigma\sqrt{2/\pi} \approx 0.8\,\sigma$.
#
# **Exercise (9 points).** Write it.

# %% role="solution" grade_id="saliency-smoothgrad"
def smoothgrad(model, x, y, noise=0.1, samples=50, *, rng=None):
    """Return (N, H, W): the mean of the saliency maps of `samples` noisy copies of x.

    x: (N, C, H, W), y: (N,): as for compute_saliency_maps. The noise is normal, with
    mean 0, and drawn anew for each copy, image, channel and pixel. Its standard deviation
    is noise (>= 0) times the range of the image: its maximum minus its minimum, over all
    of its channels and pixels; the copies may leave that range. samples >= 1.

    rng: a torch.Generator on the CPU that all noise is drawn from, so that the same seed
    gives the same maps; or None, and then it comes from PyTorch's own generator. The
    rules hold.
    """
    ### BEGIN SOLUTION
    sigma = noise * (x.amax(dim=(1, 2, 3)) - x.amin(dim=(1, 2, 3)))
    total = 0
    for _ in range(samples):
        drawn = torch.randn(x.shape, generator=rng, dtype=x.dtype).to(x.device)
        copies = x + sigma[:, None, None, None] * drawn
        total = total + compute_saliency_maps(copies, y, model)
    return total / samples
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_smoothgrad():
    model, x = linear_model([[[[1, -2]]], [[[3, 4]]]]), torch.tensor([[[[0.0, 9.0]]]]).double()
    label, seed = torch.tensor([1]), torch.Generator().manual_seed
    expect("a linear network", smoothgrad(model, x, label, noise=3.0, samples=7), [[[3, 4]]], "the mean, not the sum")

    def halved_squares(x):
        return 0.5 * x.square().sum(dim=(1, 2, 3))[:, None]

    half = nn.Module()
    half.forward = halved_squares
    # a thousand pixels at 0, and one that makes the range 10: sigma is 2
    x = torch.zeros(2, 1, 1, 1001, dtype=torch.float64)
    x[0, ..., 0], label = 10.0, torch.tensor([0, 0])
    maps = smoothgrad(half, x, label, noise=0.2, samples=20, rng=seed(0))
    level = maps[0, 0, 1:].mean() / (2 * np.sqrt(2 / np.pi))
    expect("the strength of the noise", level, 1.0, "sigma, and the range of each image", 0.03)
    expect("an image of one colour, without a range", maps[1], x[1, 0], "the range of each image by itself")
    again = smoothgrad(half, x, label, noise=0.2, samples=20, rng=seed(0))
    expect("the same seed", again, maps, "what the noise is drawn from")
    expect_rules(lambda model, x: smoothgrad(model, x, torch.arange(len(x)) % 4, samples=3, rng=seed(1)))


check_smoothgrad()

# %% role="tests" grade_id="saliency-smoothgrad-tests" points=9
# Graded by hidden checks: without noise, linear networks, strength of the noise, number of copies, defaults, the generator; all rules.
### BEGIN HIDDEN TESTS
from grader.checks import saliency
saliency.smoothgrad(smoothgrad)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Showing a map
#
# A few pixels are often a hundred times stronger than the rest, and a map drawn up to its maximum is black but for them.
# So show it from 0 to its 99th percentile: sort all values; 99 % of them lie below it.
# Of the values $0, 1, 2, 3$ the 50th percentile lies in the middle between 1 and 2: it is 1.5, and the map becomes $(0,\ \tfrac23,\ 1,\ 1)$.
#
# **Exercise (4 points).** Write it.

# %% role="solution" grade_id="saliency-percentile-clip"
def percentile_clip(saliency, q=99):
    """Return (H, W): saliency clipped to [0, p], then divided by p, its q-th percentile.

    saliency: (H, W), float32 or float64; entries may be negative. q: in [0, 100], an int
    or a float. Between two entries the percentile is linear, as torch.quantile has it.
    Where p is not positive, zeros come back: so an all-zero map stays zero. The result is
    a new tensor of the same dtype, without a graph; saliency stays as it is.
    """
    ### BEGIN SOLUTION
    saliency = saliency.detach()
    top = saliency.quantile(q / 100)
    return saliency.clamp(0, top) / top if top > 0 else torch.zeros_like(saliency)
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_percentile_clip():
    four = torch.tensor([[0.0, 1.0], [2.0, 3.0]])
    expect("the four values above", percentile_clip(four, q=50), [[0, 2 / 3], [1, 1]], "the percentile, clipping, dividing")
    signed = torch.tensor([[-2.0, 1.0, 4.0]])
    expect("a map with signs", percentile_clip(signed, q=100), [[0, 0.25, 1]], "what is below 0")
    expect("zeros", percentile_clip(torch.zeros(2, 3)), torch.zeros(2, 3), "0 / 0")
    hundred = torch.ones(1, 101)
    hundred[0, 7] = 1000.0
    expect("one outlier of 101", percentile_clip(hundred), torch.ones(1, 101), "q is 99 by default")
    assert percentile_clip(four).dtype == torch.float32, "float32 is lost"
    expect("the map, afterwards", four, [[0, 1], [2, 3]], "what is written in place")


check_percentile_clip()

# %% role="tests" grade_id="saliency-percentile-clip-tests" points=4
# Graded by hidden checks: the default, other percentiles, negative entries, percentiles of 0 and less; float32, nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import saliency
saliency.percentile_clip(percentile_clip)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# The same four images: plain maps, and smooth ones, both up to their 99th percentile.

# %%
smooth = smoothgrad(classifier, X[:4], y[:4], rng=torch.Generator().manual_seed(0))
shown = [percentile_clip(one) for one in (*maps, *smooth)]
axes = image_grid(torch.stack(shown), columns=4, title="Saliency maps, and SmoothGrad's below")
describe(axes, "Four noisy saliency maps, and four smoother ones below.")

# %% [markdown] role="locked"
# ## From nothing to the image
#
# A gradient tells what a *little* change would do.
# A unit that has had enough answers no more: with $s = \min(x, 1)$ the gradient at $x = 3$ is 0, and yet without $x$ there would be no score at all.
# **Integrated gradients** (Sundararajan, Taly and Yan, 2017) therefore walk: from a *baseline* $b$ that shows nothing, in a straight line to the image, and average the gradient on the way.
#
# $$\text{IG} = (x - b) \odot \int_0^1 \nabla s_y\big(b + \alpha\,(x - b)\big)\, d\alpha$$
#
# The integral of a derivative is a difference, so the entries add up to $s_y(x) - s_y(b)$: this is **completeness**. In the example, with $b = 0$: a third of the way has gradient 1, the rest 0, so $\text{IG} = 3 \cdot \tfrac13 = 1 = s(3) - s(0)$.
#
# With `steps` gradients the integral becomes a sum. Take them at the left, the right or the middle of equal steps, or by the trapezoid rule: any such Riemann sum is right here.
#
# **Exercise (9 points).** Write it. The result is signed and shaped like x: no magnitudes, no maximum.

# %% role="solution" grade_id="saliency-integrated-gradients"
def integrated_gradients(model, x, y, baseline, steps=50):
    """Return (N, C, H, W): x - baseline, times the mean gradient on the way from there.

    The gradient is that of the score of y. x: (N, C, H, W), y: (N,): as for
    compute_saliency_maps. baseline: a tensor of x's dtype, shaped like x, or of a shape
    that can be broadcast to it; a single number is a tensor of shape (). steps: an int
    >= 2; the mean is a Riemann sum of that many steps of equal length from baseline to x,
    whichever you like, or a rule as accurate. Signs stay. The rules hold, for the
    baseline, too.
    """
    ### BEGIN SOLUTION
    start = baseline.detach().expand_as(x)
    way, total = x.detach() - start, 0
    for step in range(steps):
        at = (start + (step + 0.5) / steps * way).requires_grad_()
        with torch.enable_grad(), evaluating(model):
            scores = model(at).gather(1, y[:, None])
            total = total + torch.autograd.grad(scores.sum(), at)[0]
    return way * total / steps
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_integrated_gradients():
    model, x = linear_model([[[[1, -2]]], [[[3, 4]]]]), torch.tensor([[[[5.0, 1.0]]]]).double()
    one = torch.tensor(1.0).double()
    got = integrated_gradients(model, x, torch.tensor([0]), one - 1)
    expect("a linear network, from zero", got, [[[[5, -2]]]], "x - baseline, times the gradient; signs")
    got = integrated_gradients(model, x, torch.tensor([1]), one, steps=7)
    expect("from one", got, [[[[12, 0]]]], "the baseline, as a tensor of shape ()")

    capped = nn.Module()
    capped.forward = lambda x: x.clamp(max=1).sum(dim=(1, 2, 3))[:, None]
    x = torch.full((1, 1, 1, 2), 3.0).double()
    got = integrated_gradients(capped, x, torch.tensor([0]), 0 * x, steps=300)
    expect("the capped score", got, [[[[1, 1]]]], "the mean over the whole way", 0.02)
    expect_rules(lambda model, x: integrated_gradients(model, x, torch.arange(len(x)) % 4, torch.zeros(1)))
    image = X[:2]
    ig = integrated_gradients(classifier, image, y[:2], torch.zeros(()), steps=200)
    with torch.no_grad():
        rise = (classifier(image) - classifier(0 * image)).gather(1, y[:2, None])[:, 0]
    expect("completeness, for the classifier", ig.sum(dim=(1, 2, 3)) / rise, [1, 1], "each factor", 0.05)


check_integrated_gradients()

# %% role="tests" grade_id="saliency-integrated-gradients-tests" points=9
# Graded by hidden checks: linear and other networks, completeness, steps, baselines of any shape; all rules.
### BEGIN HIDDEN TESTS
from grader.checks import saliency
saliency.integrated_gradients(integrated_gradients)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# ## Cover it, and ask again
#
# The most direct question needs no gradient: what does the network say without this part of the image?
# An **occlusion map** (Zeiler and Fergus, 2014) covers one block after the other, and keeps the *probability* of the class each time. Low values are the places that matter.
#
# Blocks lie wholly inside the image and begin `stride` pixels apart: a 5×7 image has, with blocks of 3×3 and stride 2, two rows and three columns of them.
# For instance: scores $s_0 = x_1$ and $s_1 = x_2$ on the two pixels $(\ln 3,\ 0)$ give class 0 the probability $\tfrac{3}{3+1}$. With the first pixel covered by 0 it falls to $\tfrac12$, with the second one it stays $\tfrac34$: the map is $(0.5\;\;0.75)$.
#
# **Exercise (7 points).** Write it.

# %% role="solution" grade_id="saliency-occlusion-map"
def occlusion_map(model, x, y, size, stride, value=0.0):
    """Return (rows, columns): the probability of class y with each block covered.

    x: (1, C, H, W), one image; y: its class, an int or a tensor of shape (1,). Block
    (i, j) is size x size pixels, begins in row i * stride and column j * stride, and all of
    its channels are set to value. There are as many as lie wholly inside the image:
    (H - size) // stride + 1 rows, and columns alike; 1 <= size <= H, W and stride >= 1.
    The probability is a softmax over the scores. The rules hold.
    """
    ### BEGIN SOLUTION
    tops = range(0, x.shape[2] - size + 1, stride)
    lefts = range(0, x.shape[3] - size + 1, stride)
    covered = x.detach().repeat(len(tops) * len(lefts), 1, 1, 1)
    places = [(top, left) for top in tops for left in lefts]
    for image, (top, left) in zip(covered, places, strict=True):
        image[:, top : top + size, left : left + size] = value
    with torch.no_grad(), evaluating(model):
        probs = model(covered).softmax(dim=1)[:, int(y)]
    return probs.reshape(len(tops), len(lefts))
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_occlusion_map():
    model, x = linear_model([[[[1, 0]]], [[[0, 1]]]]), torch.tensor([[[[np.log(3.0), 0.0]]]])
    expect("the two pixels above", occlusion_map(model, x, 0, 1, 1), [[0.5, 0.75]], "the probability, with each pixel covered")
    expect("covered by ln 2", occlusion_map(model, x, torch.tensor([0]), 1, 1, np.log(2)), [[2 / 3, 0.6]], "value")
    flat = linear_model(torch.zeros(2, 3, 5, 7))
    got = occlusion_map(flat, torch.rand(1, 3, 5, 7).double(), 1, 3, 2)
    expect("a network that is blind", got, torch.full((2, 3), 0.5), "how many blocks there are")
    expect_rules(lambda model, x: occlusion_map(model, x, 2, 2, 1), N=1)


check_occlusion_map()

# %% role="tests" grade_id="saliency-occlusion-map-tests" points=7
# Graded by hidden checks: blocks apart and overlapping, borders, value, one channel; all rules.
### BEGIN HIDDEN TESTS
from grader.checks import saliency
saliency.occlusion_map(occlusion_map)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Two ways to ask about one image: integrated gradients from black, added up over channels, and the probability that is left when a block of 12×12 is covered with grey.

# %%
ig = integrated_gradients(classifier, X[:1], y[:1], torch.zeros(()))
left = occlusion_map(classifier, X[:1], y[:1], size=12, stride=4, value=0.5)
fig, axes = plt.subplots(1, 2, figsize=(7, 3))
draw_overlay(axes[0], X[0], ig[0].sum(dim=0)).set_title("integrated gradients")
shown = axes[1].imshow(left, vmin=0, vmax=1, cmap="gray")
fig.colorbar(shown, label=f"probability of “{data.class_names[y[0]]}”")
axes[1].set(title="occlusion", xlabel="column of the block", ylabel="row of the block")
describe(fig, "Integrated gradients over an image, and its occlusion map beside it.")

# %% [markdown] role="locked"
# ## What a unit waits for
#
# The maps explain one decision. To learn what a *unit* does, collect what excites it most, in all images (Zeiler and Fergus, again).
# A unit of a convolutional layer has a map of activations, (h, w) cells for an image of (H, W) pixels; the block of H/h × W/w pixels under a cell is its patch.
#
# With two images of 1×4 pixels, $(1\;2\;3\;4)$ and $(5\;6\;7\;8)$, and activations $(0\;9)$ and $(8\;1)$, the two best patches are $(3\;4)$ and $(5\;6)$.
#
# **Exercise (6 points).** Write it.

# %% role="solution" grade_id="saliency-top-patches"
def top_patches(activations, images, unit, k=9):
    """Return (min(k, N h w), C, H / h, W / w): the patches that excite the unit most.

    activations: (N, U, h, w); images: (N, C, H, W), float32 or float64; h divides H and
    w divides W. unit: an int from 0 to U - 1; k >= 1. The patch of cell (i, j) is the
    block of H / h rows and W / w columns of its image that lies under it. Highest
    activation first, over all images and cells; an image may give several. Activations
    that tie come in any order. The result has the dtype of the images and no graph;
    nothing that was given changes.
    """
    ### BEGIN SOLUTION
    N, _, h, w = activations.shape
    high, wide = images.shape[2] // h, images.shape[3] // w
    # (N, C, h, w, high, wide), then one row for each cell
    blocks = images.detach().unfold(2, high, high).unfold(3, wide, wide)
    blocks = blocks.movedim(1, 3).flatten(0, 2)
    return blocks[activations[:, unit].flatten().argsort(descending=True)[:k]]
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_top_patches():
    images = torch.arange(1.0, 9).reshape(2, 1, 1, 4)
    activations = torch.tensor([[0.0, 9.0], [8.0, 1.0]]).reshape(2, 1, 1, 2)
    expect("the two images above", top_patches(activations, images, 0, 2), [[[[3, 4]]], [[[5, 6]]]], "where patches lie")
    expect("all there are", top_patches(activations, images, 0)[:, 0, 0, 0], [3, 5, 7, 1], "k is 9 by default; best first")
    images = torch.arange(24.0).reshape(1, 1, 4, 6)
    activations = torch.tensor([[0.0, 0, 0], [0, 0, 1]]).expand(1, 3, 2, 3).clone()
    activations[:, 1] = 5
    expect("the last of 2 x 3 cells", top_patches(activations, images, 2, 1), [[[[16, 17], [22, 23]]]], "rows and columns of cells")


check_top_patches()

# %% role="tests" grade_id="saliency-top-patches-tests" points=6
# Graded by hidden checks: several images, blocks of any form, numbers of patches, ties, negative activations; float32, nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import saliency
saliency.top_patches(top_patches)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# What four units of the classifier's last convolution wait for: a row each, best first.

# %%
with torch.no_grad():
    activations = classifier[:6](X)
strongest = activations.amax(dim=(0, 2, 3)).argsort(descending=True)[:4]
patches = torch.cat([top_patches(activations, X, int(unit)) for unit in strongest])
axes = image_grid(patches, columns=9, title="Four units, and the nine patches that excite each most")
describe(axes, "Four rows of nine patches of 8 by 8 pixels.")

# %% [markdown] role="locked"
# ## Who is like whom?
#
# The numbers in front of the last layer, the **features** of an image, are where the network has put it. Images that it finds alike lie close together.
#
# From the query $(0\;0)$ the feature $(1\;1)$ is $\sqrt2$ away, $(0\;3)$ is 3 away, and $(-1\;0)$ is 1 away: the two nearest have the indices 2 and 0.
#
# **Exercise (3 points).** Write it.

# %% role="solution" grade_id="saliency-nearest"
def nearest_in_feature_space(features, query, k=5):
    """Return the indices, int64, of the k features closest to query, closest first.

    features: (N, D); query: (D,), both float32 or float64; k >= 1. Distances are
    Euclidean. If k > N, all N come back. A query that is among the features is its own
    nearest neighbour. Features equally far away come in any order. Nothing that was given
    changes.
    """
    ### BEGIN SOLUTION
    return (features - query).norm(dim=1).argsort()[:k]
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_nearest():
    features = torch.tensor([[1.0, 1.0], [0.0, 3.0], [-1.0, 0.0]])
    expect("the three features above", nearest_in_feature_space(features, torch.zeros(2), 2), [2, 0], "distances, closest first")
    expect("all there are", nearest_in_feature_space(features, features[1]), [1, 0, 2], "k is 5 by default")
    far = torch.tensor([[2.0, 2.0], [1.0, 0.8], [20.0, 20.0]])
    expect("not the direction", nearest_in_feature_space(far, torch.ones(2), 1), [1], "Euclidean distance")


check_nearest()

# %% role="tests" grade_id="saliency-nearest-tests" points=3
# Graded by hidden checks: numbers of neighbours, a query among the features, ties; float32, nothing changed.
### BEGIN HIDDEN TESTS
from grader.checks import saliency
saliency.nearest_in_feature_space(nearest_in_feature_space)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# Three images, each followed by its six nearest neighbours among 200. What do they have in common: the shape?

# %%
with torch.no_grad():
    features = classifier[:7](X)
rows = [nearest_in_feature_space(features, features[i], k=7) for i in (0, 1, 2)]
axes = image_grid(X[torch.cat(rows)], columns=7, title="An image, and its neighbours in feature space")
describe(axes, "Three rows: an image on the left, six others that the network finds alike.")

# %% [markdown] role="locked"
# ## Find the shortcut
#
# A network learns whatever tells the label, and it need not be what we meant.
# If a mark of the camera goes with the class, the network reads the mark: a **shortcut** (Geirhos and others, 2020).
# One map of one image proves little. A shortcut shows when a place matters *in general*.
#
# **Exercise (5 points).** Write a function that finds it, by any means: gradients, covering, or others.
# Hidden checks plant squares in networks of their own, in other places, with something to mislead: a square that goes with the label and isn't looked at, single pixels with large gradients, single images that the network decides otherwise.

# %% role="solution" grade_id="saliency-find-shortcut"
def find_shortcut(model, X, y, size):
    """Return (row, column), two ints: the upper left corner of the block that decides.

    model, X (N, C, H, W), y (N,): as above, float32, X in [0, 1], N >= 20; size: an int,
    2 <= size <= H / 3, W / 3. There is a square of size x size pixels, at the same place
    in all images, that counts more for the scores of y than any other block of that size:
    on average over the images, by the magnitudes of gradients as by what covering it does
    to the probabilities. The block that you return lies inside the image and covers at
    least half of this square. At most 10 seconds for 20 images of 20 x 20. The rules hold.
    """
    ### BEGIN SOLUTION
    maps = compute_saliency_maps(X, y, model)
    # one image, one voice
    maps = maps / maps.sum(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    blocks = nn.functional.avg_pool2d(maps.mean(dim=0)[None], size, stride=1)[0]
    row, column = divmod(int(blocks.argmax()), blocks.shape[1])
    return row, column
    ### END SOLUTION


# %% role="locked"
# Open checks
def check_find_shortcut():
    for place in [(7, 2), (0, 9), (3, 3)]:
        weights = 0.01 * torch.sin(torch.arange(2 * 3 * 12 * 12.0)).reshape(2, 3, 12, 12)
        rows, columns = (slice(start, start + 3) for start in place)
        weights[0, :, rows, columns], weights[1, :, rows, columns] = 1.0, -1.0
        images = torch.rand(20, 3, 12, 12, generator=torch.Generator().manual_seed(0))
        found = find_shortcut(linear_model(weights).float(), images, torch.arange(20) % 2, 3)
        assert all(isinstance(number, int) for number in found), f"{found} are not two ints"
        off = [abs(a - b) for a, b in zip(found, place, strict=True)]
        assert (3 - min(off[0], 3)) * (3 - min(off[1], 3)) >= 4.5, f"the square lies at {place}, and {found} came back"


check_find_shortcut()

# %% role="tests" grade_id="saliency-find-shortcut-tests" points=5
# Graded by hidden checks: squares in linear networks and ConvNets, things that mislead, no traces.
### BEGIN HIDDEN TESTS
from grader.checks import saliency
saliency.find_shortcut(find_shortcut)
### END HIDDEN TESTS

# %% [markdown] role="locked"
# And the classifier? Blocks of 8×8, over 200 validation images:

# %%
find_shortcut(classifier, X, y, size=8)

# %% [markdown] role="locked"
# **Exercise (6 points, graded by a person).** Prove it. In one or two figures and a few numbers, show what the classifier looks at, and that it does not look at the shapes:
# a map averaged over many images beside the maps of single ones; the accuracy on validation images whose block is covered; and what the classifier says of an image whose block is taken from an image of another class.
# Add, as a comment, what you conclude, why the accuracy on the validation images did not give it away, and one way to repair the classifier.

# %% role="manual" grade_id="saliency-evidence" points=6
### BEGIN SOLUTION
row, column = find_shortcut(classifier, X, y, size=8)
block = np.s_[:, :, row : row + 8, column : column + 8]
covered, swapped = X.clone(), X.clone()
covered[block] = 0.5
others = torch.stack([torch.nonzero(y != label)[0, 0] for label in y])
swapped[block] = X[others][block]
with torch.no_grad():
    said = {name: classifier(images).argmax(dim=1) for name, images in [("as they are", X), ("block covered", covered), ("block swapped", swapped)]}
for name, labels in said.items():
    print(f"{name}: {(labels == y).mean(dtype=float):.0%} right, {(labels == y[others]).mean(dtype=float):.0%} named after the other image")

average = compute_saliency_maps(X, y, classifier).mean(dim=0)
single = [percentile_clip(one) for one in smoothgrad(classifier, X[:3], y[:3], samples=20)]
axes = image_grid(torch.stack([percentile_clip(average), *single]), columns=4, names=["mean of 200", "one", "another", "a third"])
describe(axes, "The mean saliency map is bright in the upper left corner alone; single maps are brightest there.")
# The classifier reads the colour of the patch in the upper left corner. Averaged over 200
# images, nothing else is bright; with the patch covered it guesses; with the patch of another
# image it names that one's class. Validation images come from the same source as those for
# training and carry the same patch, so they reward the shortcut; the test images don't.
# Repair: cut the corner away or paint it over before training (or paint it at random, as
# augmentation), collect images without it, and validate on images from elsewhere.
# (1 point each: a mean map; single maps beside it; accuracy covered; swapped blocks;
# why validation did not tell; a repair that removes the correlation.)
### END SOLUTION

# %% [markdown] role="locked"
# **Exercise (4 points, graded by a person).** When do maps mislead? In about a hundred words, give one case each, and what you would do about it:
# (a) a pixel matters, and its saliency is 0; (b) an occlusion map is low at a place that is not important, or high at one that is; (c) integrated gradients of the same image disagree because of the baseline; (d) a map is bright where *you* expect it, and still proves nothing.

# %% [markdown] role="manual" grade_id="saliency-limits" points=4
# ### BEGIN SOLUTION
# (a) Where a unit is saturated or a ReLU is off, the gradient is 0 although the pixel was needed to get there. Walk from a baseline (integrated gradients), or cover the place.
# (b) A grey or black block is itself something to see: its edges, or its colour, may look like another class; and when two places carry the same clue, covering one of them changes nothing. Try several values and sizes, and cover pairs.
# (c) Pixels that equal the baseline get exactly 0: with a black baseline, black parts of an object can't matter. Compare several baselines, or average over them.
# (d) A map shows where the network looks, not what it makes of it; edges of the object are bright in many maps, even those of random weights. Compare with a network of random weights, and test the claim: change what is claimed to matter, and see whether the answer follows.
# (1 point each.)
# ### END SOLUTION

# %% [markdown] role="locked"
# ## What we learned
#
# A gradient answers "what if this pixel changed a little", integrated gradients "what did it add since the baseline", and occlusion "what if it were not there". They are different questions, so their maps may differ and all be right.
# A map is a claim about the network, and can be tested like any other: by changing the image and asking again.
# And an accuracy says how often a network is right, on images like those it has seen, but not why.
#
# To go on:
#
# 1. Train the classifier with `augment=` a function that paints the corner in a random colour. Where does the mean map lie now, and what happens to the accuracy?
# 2. Lower `shortcut` to 0.5. At which share does the network begin to look at the shapes?
# 3. Give the classifier random weights, and compare its SmoothGrad maps with the trained ones (Adebayo and others, 2018).
