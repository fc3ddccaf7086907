# %% [markdown]
# # Seeing inside a network: is it right for the right reason?
#
# A network gives an answer, and it is right. But what did it look at?
# By the end you can
#
# - show what excites a unit, and which part of an image a decision hangs on;
# - draw saliency maps three ways, and measure whether they find the object;
# - test whether a map says anything about the network at all;
# - read neighbours and t-SNE of features, and know when t-SNE misleads;
# - catch a network that learned the wrong thing.
#
# You need topics 1 (backprop) and 4 (convolution).
# Running takes a minute, reading ninety.
# At **Guess**, settle on an answer before you run the cell.

# %%
import copy

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib import pyplot as plt
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from torch import nn

import fovea
from fovea import models, plotting
from fovea.figures import saliency as drawings
from fovea.plotting import describe, image_grid
from fovea.scenes import make_scenes
from fovea.widgets import explore, quiz

plotting.use_style()

# %% [markdown]
# ## Two networks, one choice
#
# Our images are drawings of circles, squares, triangles, stars and people on patterned ground.
# There are two collections of the same scenes.
# In the second, some machine has put a small coloured **stamp** into the upper left corner of every image, and nobody gave it a thought.
# (`shortcut` orders these; what 0.95 stands for comes later.)

# %%
collections = {
    "plain": fovea.load("shapes", size=32),
    "stamped": fovea.load("shapes", size=32, shortcut=0.95),
}
names = collections["plain"].class_names
some = np.concatenate([c.val.X[:10] for c in collections.values()])
titles = [names[k] for k in collections["plain"].val.y[:10]]
axes = image_grid(some, names=titles, title="Ten scenes, without and with the stamp")
describe(axes, "Ten scenes in two rows; those below have a small square in a corner.")

# %% [markdown]
# We train a network on each: four stages of convolution and pooling, and a linear layer on top.
# As always, data for validation are kept apart.
#
# **Guess:** which of both does better on its validation images?

# %%
def small_net():
    """Images (N, 3, 32, 32) to five scores; 64 features before the last layer."""
    layers = []
    for c_in, c_out in [(3, 16), (16, 32), (32, 64), (64, 64)]:
        conv = nn.Conv2d(c_in, c_out, 3, padding=1)
        layers += [conv, nn.BatchNorm2d(c_out), nn.ReLU(), nn.MaxPool2d(2)]
    layers[-1] = nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, len(names)))

# %%
# For networks this small, one thread is faster than several.
fovea.choose_device(seed=0, num_threads=1)
options = {"num_epochs": 10, "batch_size": 64, "lr": 5e-3, "schedule": "one_cycle"}
networks, val_accuracy = {}, {}
for name, data in collections.items():
    model = small_net()
    history = fovea.fit(model, data, show=False, **options)
    # From now on we only ask.
    networks[name] = model.cpu().requires_grad_(False)
    val_accuracy[name] = history.val_metric[-1]
    print(f"{name:8} {val_accuracy[name]:.1%} of validation right")
assert val_accuracy["stamped"] > 0.93
assert val_accuracy["plain"] > 0.82

# %% [markdown]
# The network of the stamped collection wins.
# Validation was done by the book: no image was used twice.
#
# **Guess:** which of the two would you hand to a customer?
# Write it down. We leave the test sets closed, and look inside first.
#
# For the figures we take scenes that *both* networks get right: there, accuracy can't tell them apart.

# %%
y = torch.tensor(collections["plain"].val.y)
X = {name: torch.tensor(c.val.X) for name, c in collections.items()}
answers = {name: networks[name](X[name]).argmax(1) for name in networks}
both = (answers["plain"] == y) & (answers["stamped"] == y)
X, y = {name: images[both] for name, images in X.items()}, y[both]
on_object = torch.tensor(collections["plain"].val.masks)[both] > 0
on_stamp = torch.zeros(32, 32, dtype=bool)
on_stamp[:4, :4] = True
print(f"{len(y)} scenes that both get right")
print(f"the object covers {on_object.float().mean():.1%}, the stamp {on_stamp.float().mean():.1%}")

# %% [markdown]
# ## Tool 1: the nine patches that excite a unit most
#
# A **unit** here is a channel: one filter, asked at every place.
# To learn what it looks for, show it all images, and keep the nine that excite it most, cut to what the unit saw: its receptive field (topic 4).
# So did Zeiler and Fergus (2014).
#
# **Guess:** what will the patches of a unit have in common in layer 1, and what in layer 4?

# %%
# Pixels that a unit of each layer sees, and pixels between neighbours
FIELDS, STEPS = (3, 8, 18, 38), (1, 2, 4, 8)


def strongest(model, images, layer):
    """Images, rows and columns (9, units) where each unit is excited most."""
    maps = model[: 4 * layer - 1](images)
    peaks, places = maps.flatten(2).max(dim=2)
    # One place per image, or nine neighbours would win
    winners = peaks.topk(9, dim=0).indices
    places = places.gather(0, winners)
    return winners, places // maps.shape[3], places % maps.shape[3]


def patches(found, name, layer, unit):
    """The nine patches of a unit, as the layer sees them."""
    cells = [part[:, unit] for part in found[name, layer]]
    sizes = FIELDS[layer - 1], STEPS[layer - 1]
    return drawings.cut_patches(X[name], *cells, *sizes)

# %%
found = {}
for layer in (1, 2, 3, 4):
    for name, model in networks.items():
        found[name, layer] = strongest(model, X[name], layer)
    kinds = y[found["plain", layer][0]]
    same = (kinds == kinds.mode(dim=0).values).float().mean()
    print(f"plain network, layer {layer}: {same:.0%} of the nine are of one class")
fig, axes = plt.subplots(4, 6, figsize=(7.5, 5.4))
for layer, row in enumerate(axes, start=1):
    for unit, ax in enumerate(row):
        drawings.draw_mosaic(ax, patches(found, "plain", layer, unit))
    row[0].set_title(f"layer {layer}: {FIELDS[layer - 1]} pixels wide", loc="left")
describe(fig, "Nine patches for six units of four layers: colours first, then edges, parts, whole objects.")

# %% [markdown]
# In layer 1 nine patches share a colour or an edge, in layers 2 and 3 a texture, a corner, a piece of an outline.
# In layer 4 most units prefer a kind of object (white is outside of the image).
# Nobody told them; they were only asked for five labels.
#
# Now look at the other network.
#
# **Guess,** then go through layers and units: do you notice something?

# %%
def draw_units(axes, network="stamped", layer=2, first_unit=0):
    """The nine strongest patches of each of six units."""
    for unit, ax in enumerate(axes.flat, start=first_unit):
        nine = patches(found, network, layer, unit)
        drawings.draw_mosaic(ax, nine, f"unit {unit}")


controls = {"network": list(networks), "layer": (1, 4, 1), "first_unit": (0, 10, 2)}
explore(draw_units, figsize=(9, 1.9), subplots=(1, 6), **controls)

# %%
for layer in (1, 2, 3):
    cells = max(4 // STEPS[layer - 1], 1)
    in_corner = {}
    for name in networks:
        _, rows, columns = found[name, layer]
        all_nine = ((rows < cells) & (columns < cells)).all(dim=0)
        in_corner[name] = all_nine.float().mean().item()
    texts = [f"{name} {value:.0%}" for name, value in in_corner.items()]
    print(f"layer {layer}: units with all nine patches in the corner:", ", ".join(texts))
    assert in_corner["stamped"] > in_corner["plain"]
quiz("saliency-patches")

# %% [markdown]
# Many units of the stamped network are excited most by one corner of nine different scenes.
# That is a suspicion, no more: strong colours excite a colour filter, whatever comes of it later.
# We have to ask what the *decision* hangs on.
#
# ## Tool 2: cover a part, and see what happens
#
# An **occlusion map** covers a block of the image, asks the network for the probability of the class, and moves the block on.
# Where the probability falls, something mattered.
# It needs no gradient and no look inside: any model will do.
#
# All covered copies go through the network as one batch.
# A trick makes the covers: a transposed convolution with ones turns a single 1 into a block.

# %%
def occlude(model, image, label, size=4, stride=2, fill=0.5):
    """The class's probability for each place of a block of size×size pixels."""
    side = image.shape[-1]
    count = (side - size) // stride + 1
    places = torch.eye(count**2).reshape(-1, 1, count, count)
    covers = F.conv_transpose2d(places, torch.ones(1, 1, size, size), stride=stride)
    rest = side - covers.shape[-1]
    covers = F.pad(covers, (0, rest, 0, rest))
    covered = torch.where(covers > 0, fill, image)
    probs = model(covered).softmax(dim=1)[:, label]
    return probs.reshape(count, count)

# %% [markdown]
# **Guess:** where will the map of each network be dark?
# And what goes wrong if blocks are tiny, or large? Does their colour matter?

# %%
def draw_occlusion(axes, scene=6, size=6, stride=2, fill=0.5):
    """A scene, and the class's probability by place of the block, for both networks."""
    image = X["stamped"][scene]
    drawings.draw_image(axes[0], image, f"{names[y[scene]]}, a block of {size}")
    axes[0].add_patch(plt.Rectangle((-0.5, -0.5), size, size, color=[fill] * 3))
    for ax, name in zip(axes[1:], collections, strict=True):
        probs = occlude(networks[name], X[name][scene], y[scene], size, stride, fill)
        places = 32, size, stride
        drawings.draw_probs(ax, probs, *places, f"{name} network", on_object[scene])


controls = {"size": (2, 14, 2), "stride": (1, 6, 1), "fill": (0.0, 1.0, 0.25)}
explore(draw_occlusion, figsize=(9, 3), subplots=(1, 3), scene=(0, 30, 1), **controls)

# %% [markdown]
# The plain network loses its probability where the block lies on the object (white line).
# The stamped network hardly cares about the object: cover what you like, only the corner counts.
#
# A block that is too small may not matter: at size 2 the stamped network's map stays bright, as the rest of the stamp is still there.
# A large one covers much at once, and the map gets blurred.
# The stride only sets how finely we look.
# And a block is itself something to see: it has edges and a colour. So try several colours.
#
# ## Tool 3: the gradient of the score
#
# Covering takes hundreds of forward passes.
# Backprop tells in one pass how the score of a class would change with *each* number of the image, if only by a little (Simonyan et al., 2013).
# In topic 1 we stopped at the weights; the first layer's `dx` goes on to the pixels.
#
# $$\text{saliency}_{ij} = \max_c \left| \frac{\partial\,\text{score}_y}{\partial x_{cij}} \right|$$
#
# Magnitudes, as a pixel matters whether the score rises or falls; the maximum over the colours $c$, to get one number per pixel.
#
# Scores of different images in a batch don't touch each other, so the gradient of their sum holds the gradient of each.
# At the end of the cell we change one pixel of one image by hand, and compare.

# %%
def gradient(model, images, labels):
    """How the score of each image's class changes with each of its numbers."""

    def total_score(images):
        return model(images)[range(len(images)), labels].sum()

    return torch.func.grad(total_score)(images)


def magnitude(gradients):
    """(N, C, H, W) to one number per pixel (N, H, W): the largest of its colours."""
    return gradients.abs().amax(dim=1)


image, label = X["plain"][6:7].double(), y[6:7]
precise = copy.deepcopy(networks["plain"]).double()
slope = gradient(precise, image, label)[0, 0, 16, 16]
changed = image.clone()
changed[0, 0, 16, 16] += 1e-6
difference = (precise(changed) - precise(image))[0, label.item()] / 1e-6
print(f"gradient {slope:.5f}, difference {difference:.5f}")
assert torch.isclose(slope, difference, rtol=1e-3, atol=1e-5)

# %% [markdown]
# Backprop and the change by hand agree.
#
# Why the *score*, and neither the probability nor the loss?
# We compare the size of three gradients, for scenes of which the network is more and less sure.
#
# **Guess:** which gradients vanish when it is sure?

# %%
model = networks["plain"]
outputs = {
    "score": model,
    "probability": lambda images: model(images).softmax(dim=1),
    "loss": lambda images: -model(images).log_softmax(dim=1),
}
probs = outputs["probability"](X["plain"]).amax(dim=1)
sure, unsure, means = probs > 0.99, probs < 0.7, {}
print(f"{sure.sum()} scenes above 0.99, {unsure.sum()} below 0.7")
for name, output in outputs.items():
    slopes = gradient(output, X["plain"], y).abs().mean(dim=(1, 2, 3))
    means[name] = slopes[sure].mean().item()
    print(f"{name:12} sure {means[name]:.4f}, unsure {slopes[unsure].mean():.4f}")
assert means["score"] > 10 * means["probability"]
quiz("saliency-occlusion", "saliency-score")

# %% [markdown]
# Where the network is sure, probability and loss are flat: their gradients shrink to almost nothing, and what is left mixes in why it is *not* another class.
# The score's gradient stays as it is.
#
# Now the maps.
#
# **Guess:** will the plain network's map be a neat star, circle or person?

# %%
scenes = [6, 12, 17]
fig, axes = plt.subplots(3, 4, figsize=(7.5, 5.9))
for row, i in zip(axes, scenes, strict=True):
    for ax, (name, model) in zip(row.reshape(2, 2), networks.items(), strict=True):
        drawings.draw_image(ax[0], X[name][i], f"{names[y[i]]}, {name}")
        raw = magnitude(gradient(model, X[name][[i]], y[[i]]))[0]
        drawings.draw_map(ax[1], raw, "gradient", outline=on_object[i])
describe(fig, "Three scenes with gradient maps: noisy for the plain network; for the stamped one bright in the corner.")

# %% [markdown]
# The maps are noisy: bright specks, on the object and beside it, in no form that we would call a star.
# Those of the stamped network have their brightest specks in the corner.
#
# Where does the noise come from? Add very little to an image, and follow the gradient of a few pixels on the way.

# %%
generator = torch.Generator().manual_seed(0)
image, label = X["plain"][6], y[6]
noise = 0.05 * torch.randn(image.shape, generator=generator)
shares = torch.linspace(0, 1, 101)
path = image + shares.reshape(-1, 1, 1, 1) * noise
slopes = gradient(networks["plain"], path, [label.item()] * 101)
middle = on_object[6].nonzero().float().mean(dim=0).long().tolist()
curves = {f"pixel {k + 1}": slopes[:, 0, middle[0], middle[1] + k] for k in range(3)}
fig, ax = plt.subplots()
plotting.draw_curves(ax, 0.05 * shares, curves)
ax.set(xlabel="noise (standard deviation)", ylabel="gradient of the score")
ax.set_title("Little noise, and the gradient jumps")
describe(fig, "Gradients of three pixels jump up and down while noise grows from 0 to 0.05.")

# %% [markdown]
# The score, as a function of the image, is made of straight pieces, joined at the kinks of ReLU and max pooling.
# At every kink the gradient jumps.
# So it tells what the score does in the next instant only, and neighbours on the way disagree.
#
# ## SmoothGrad: remove noise by adding noise
#
# If the gradient depends on accidents, average over accidents (Smilkov et al., 2017):
# draw copies of the image with Gaussian noise, and take the mean of their maps.
# The authors advise a standard deviation of 10 % of the image's range, and 50 copies.
#
# Does that calm a map? We draw each map twice, for two copies of a scene that differ by noise that one hardly sees, and correlate the two.

# %%
def smooth(model, image, label, noise=0.1, samples=50):
    """The mean map of noisy copies of one image."""
    generator = torch.Generator().manual_seed(0)
    sigma = noise * (image.max() - image.min())
    copies = image + sigma * torch.randn(samples, *image.shape, generator=generator)
    return magnitude(gradient(model, copies, [label] * samples)).mean(dim=0)


def raw_map(model, image, label):
    """The gradient's magnitude for one image."""
    return magnitude(gradient(model, image[None], [label]))[0]


methods = {"gradient": raw_map, "SmoothGrad": smooth}
faint = X["plain"] + 0.02 * torch.randn(X["plain"].shape, generator=generator)
for name, method in methods.items():
    same = []
    for pair in zip(X["plain"][:30], faint[:30], y.tolist(), strict=False):
        maps = [method(networks["plain"], x, pair[2]).ravel() for x in pair[:2]]
        same.append(torch.stack(maps).corrcoef()[0, 1])
    print(f"{name:10} correlation of two maps of the same scene: {np.mean(same):.2f}")
quiz("saliency-smooth")

# %% [markdown]
# It does, very much so.
#
# **Guess** before you drag: what does the map show with noise but a single sample? With 50 samples and no noise? With very much noise?

# %%
def draw_smooth(axes, noise=0.1, samples=50, scene=6, network="plain"):
    """A noisy copy, the gradient map of the scene, and SmoothGrad."""
    model, image, label = networks[network], X[network][scene], y[scene].item()
    generator = torch.Generator().manual_seed(1)
    sigma = noise * (image.max() - image.min())
    copied = image + sigma * torch.randn(image.shape, generator=generator)
    maps = {
        "gradient": raw_map(model, image, label),
        "SmoothGrad": smooth(model, image, label, noise, samples),
    }
    title = f"{names[label]}: one of {samples} copies"
    drawings.draw_maps(axes, copied, title, maps, on_object[scene])


controls = {"noise": (0.0, 0.5, 0.05), "samples": [1, 5, 20, 50]}
controls |= {"scene": (0, 30, 1), "network": list(networks)}
explore(draw_smooth, figsize=(9, 2.7), subplots=(1, 3), **controls)

# %% [markdown]
# One noisy sample is no better than the raw gradient, and without noise all samples are the same one.
# Together they calm the map.
# With too much noise the network sees little more than noise, and so do we.
# (The dark rim is padding: pixels there have fewer ways to the output, topic 4.)
#
# ## A few pixels take all the brightness
#
# Maps have outliers: a few pixels with huge values.
# A picture that runs from 0 to the largest value spends its brightness on them, and the rest is dark.
# So one shows maps from 0 to their 99th **percentile**, the value that one pixel of a hundred exceeds; those become as bright as can be.
#
# **Guess:** 99 % keeps 10 pixels of 1024 out. How much does it change?

# %%
ratios = {}
for name, model in networks.items():
    raw = magnitude(gradient(model, X[name], y)).flatten(1)
    ratios[name] = raw.amax(dim=1) / raw.quantile(0.99, dim=1)
    low, middle, high = ratios[name].quantile(torch.tensor([0, 0.5, 1]))
    print(f"{name:8} largest / 99th percentile: {low:.1f} to {high:.1f}, mostly {middle:.1f}")
worst = ratios["stamped"].argmax().item()
assert ratios["stamped"][worst] > 2


def draw_clipped(axes, percentile=99.0, network="stamped", scene=worst):
    """A gradient map, shown up to its largest value and up to a percentile."""
    raw = raw_map(networks[network], X[network][scene], y[scene].item())
    image, title = X[network][scene], f"{names[y[scene]]}, {network}"
    full = {"up to the largest value": raw}
    drawings.draw_maps(axes[:2], image, title, full, on_object[scene], 100)
    clipped = {f"up to percentile {percentile:g}": raw}
    drawings.draw_maps(axes[::2], image, title, clipped, on_object[scene], percentile)


controls = {"percentile": (80.0, 100.0, 0.5), "network": list(networks)}
controls["scene"] = (0, len(y) - 1, 1)
explore(draw_clipped, figsize=(9, 2.7), subplots=(1, 3), **controls)

# %% [markdown]
# In the worst case one pixel makes all others look several times darker than they are, and a reader would believe that nothing else matters.
# Clipped at 99 %, the rest can be seen.
# Clip at 80 %, and everything seems to matter: the choice of a scale is an opinion, so say which you took.
#
# ## Integrated gradients: an account that adds up
#
# A gradient answers "what if this pixel changed a little?", not "what did this pixel contribute?".
# **Integrated gradients** (Sundararajan et al., 2017) start at an image with nothing on it, the **baseline** $x'$, and go in a straight line to the image $x$.
# What each pixel added to the score on the way is its contribution:
#
# $$\text{IG}_i = (x_i - x'_i) \int_0^1 \frac{\partial\,\text{score}\,(x' + a(x - x'))}{\partial x_i}\; da$$
#
# Its promise is **completeness**: all contributions add up to $\text{score}(x) - \text{score}(x')$, as for any integral of a slope.
# So here is a method that can be checked by a number.

# %%
def integrate(model, image, label, baseline, steps=32):
    """The signed contribution of each number of the image, by the trapezoid rule."""
    a = torch.linspace(0, 1, steps + 1)
    path = baseline + a.reshape(-1, 1, 1, 1) * (image - baseline)
    slopes = gradient(model, path, [label] * len(a))
    return (image - baseline) * torch.trapezoid(slopes, a, dim=0)


def make_baseline(image, kind):
    """An image of one colour: black, grey, or the image's mean colour."""
    level = {"black": 0.0, "grey": 0.5, "mean": image.mean(dim=(1, 2), keepdim=True)}
    return torch.zeros_like(image) + level[kind]


model, image, label = networks["plain"], X["plain"][6], y[6].item()
baseline = make_baseline(image, "mean")
scores = model(torch.stack([image, baseline]))[:, label]
wanted = (scores[0] - scores[1]).item()
print(f"score {scores[0]:.3f}, of the baseline {scores[1]:.3f}: difference {wanted:.3f}")
errors = {}
for steps in (1, 4, 16, 64, 256):
    total = integrate(model, image, label, baseline, steps).sum().item()
    errors[steps] = abs(total - wanted)
    print(f"{steps:3} steps: contributions add up to {total:.3f}, off by {errors[steps]:.3f}")
by_product = (gradient(model, image[None], [label])[0] * (image - baseline)).sum()
print(f"gradient times difference: {by_product:.3f}")
assert errors[256] < 0.01 * abs(wanted) < errors[1]
quiz("saliency-completeness")

# %% [markdown]
# With enough steps the account adds up.
# A single gradient, times the difference, doesn't.
# If your integral doesn't add up, take more steps; if that doesn't help, look for a mistake.
#
# The map is signed: red speaks for the class, blue against it (the three colours of a pixel are added).
#
# **Guess:** pixels that are black in the image, and a black baseline. What can they contribute?

# %%
def draw_integrated(axes, baseline="mean", steps=32, scene=6):
    """Contributions of pixels to the score of both networks, red for and blue against."""
    maps, label = {}, y[scene].item()
    for name in collections:
        model, image = networks[name], X[name][scene]
        start = make_baseline(image, baseline)
        parts = integrate(model, image, label, start, steps)
        ends = model(torch.stack([image, start]))[:, label]
        title = f"{name}: sum {parts.sum():.2f} of {ends[0] - ends[1]:.2f}"
        maps[title] = parts.sum(dim=0)
    drawings.draw_maps(axes, image, names[label], maps, on_object[scene])


controls = {"baseline": ["black", "grey", "mean"], "steps": (1, 64, 1)}
explore(draw_integrated, figsize=(9, 2.7), subplots=(1, 3), scene=(0, 30, 1), **controls)

# %% [markdown]
# The factor $x_i - x'_i$ makes a pixel that equals its baseline contribute nothing, whatever the network thinks.
# So a black baseline is blind to black objects; the mean colour of the image is a fair start here, but it is a choice, too.
#
# ## How much of a map lies on the object?
#
# Pretty maps persuade. We want a number.
# For generated scenes we know which pixels belong to the object, so we can ask which share of a map's total lies on it, and which on the stamp.
# A map that knows nothing would put there their shares of the area.
#
# **Guess** the order of the four methods.

# %%
def fallen(model, image, label):
    """How far the probability falls under blocks of 4×4 side by side, per pixel."""
    whole = model(image[None]).softmax(dim=1)[0, label]
    fall = (whole - occlude(model, image, label, size=4, stride=4)).clamp(min=0)
    return fall.repeat_interleave(4, 0).repeat_interleave(4, 1)


def contribution(model, image, label):
    """Integrated gradients from the mean colour, as one magnitude per pixel."""
    return integrate(model, image, label, make_baseline(image, "mean")).sum(0).abs()


def share(name, method, num_scenes=40):
    """The mean share of a method's maps that lies on the object, and on the stamp."""
    shares = []
    for i in range(num_scenes):
        saliency = method(networks[name], X[name][i], y[i].item())
        parts = [saliency[area].sum() for area in (on_object[i], on_stamp)]
        shares.append(torch.stack(parts) / saliency.sum())
    return torch.stack(shares).mean(dim=0).tolist()

# %%
methods |= {"integrated": contribution, "occlusion": fallen}
areas = on_object[:40].float().mean().item(), on_stamp.float().mean().item()
shares = {name: {"area alone": areas} for name in networks}
for name in networks:
    for method, function in methods.items():
        shares[name][method] = share(name, function)
fig, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for ax, name in zip(axes, networks, strict=True):
    drawings.draw_shares(ax, shares[name])
    ax.set_title(f"{name} network")
axes[1].legend().remove()
for method in methods:
    assert shares["plain"][method][0] > 1.3 * areas[0]
    assert shares["plain"][method][1] < 0.03
    assert shares["stamped"][method][1] > 2 * areas[1]
describe(fig, "Bars: maps of the plain network lie on the object, those of the stamped one on the stamp.")

# %% [markdown]
# Three things to note.
#
# All methods agree about the networks: the plain one's maps gather on the object, the stamped one's on the stamp, which covers 1.6 % of the image.
#
# Methods differ in how clearly they say so: gradients, smoothed or not, leave most of their total in the background; integrated gradients and occlusion are far more concentrated.
# SmoothGrad looks better, but by this measure it isn't: what is calm need not be in place.
#
# And a low share is no proof that a *method* is bad: the network may look at the background. Method and network are judged together, which is why the next section is needed.
#
# ## Sanity check: does the map depend on what was learned?
#
# Eyes are easily pleased: a map that shows outlines looks like an explanation.
# Adebayo et al. (2018) proposed a test that any map should pass: replace the weights by random ones, from the last layer down, and draw again.
# If the map stays, it shows the image, not the network.
#
# For comparison we add a "method" that never asks the network: an edge detector.
#
# **Guess** its curve, and those of the others.

# %%
def randomised(model, num_stages):
    """A copy whose last stages start anew: the linear layer first, then convolutions."""
    torch.manual_seed(0)
    model = copy.deepcopy(model)
    for first in [17, 12, 8, 4, 0][:num_stages]:
        for layer in model[first : first + 2]:
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    return model


def edges(model, image, label):
    """How much the image changes from pixel to pixel; the network is not asked."""
    down, right = image.diff(dim=1)[:, :, :-1], image.diff(dim=2)[:, :-1]
    change = (down.abs() + right.abs()).sum(dim=0)
    return F.pad(change, (0, 1, 0, 1))


def ranks(*maps):
    """The rank correlation of two maps: 1 if they put pixels in the same order."""
    order = [saliency.flatten().argsort().argsort().double() for saliency in maps]
    return torch.stack(order).corrcoef()[0, 1]

# %%
checked = methods | {"edge detector": edges}
rows = [randomised(networks["plain"], n) for n in range(6)]
agreement = {name: [] for name in checked}
for name, method in checked.items():
    maps = [[method(m, X["plain"][i], y[i].item()) for i in range(12)] for m in rows]
    for changed in maps:
        same = [ranks(a, b) for a, b in zip(maps[0], changed, strict=True)]
        agreement[name].append(np.mean(same))
fig, ax = plt.subplots(figsize=(7.5, 3.5))
plotting.draw_curves(ax, range(6), agreement)
stages = ["none", "linear", "conv 4", "conv 3", "conv 2", "all"]
ax.set_xticks(range(6), stages)
ax.set(xlabel="randomised down to", ylabel="rank correlation with the first map")
ax.set_title("The edge detector doesn't notice that the network is gone")
for name, curve in agreement.items():
    assert name == "edge detector" or curve[-1] < 0.8
assert agreement["edge detector"][-1] > 0.999
describe(fig, "Rank correlation falls for all methods but the edge detector, which stays at 1.")

# %% [markdown]
# The edge detector stays at 1, and fails: it draws pretty outlines of any image for any network.
# (Adebayo et al. found the same of guided backprop, a method that many used.)
# Occlusion and gradients lose most of their order.
# SmoothGrad keeps more than half of it: part of what it shows, such as the dark rim, comes from the image and the architecture, not from learning.
#
# ## The verdict
#
# All tools accuse the stamped network of looking at the stamp. Now we open the test sets, where the colour of a stamp is drawn by lot.
# And as maps are hints and no proof, we make an experiment on the validation images:
# cut the stamp out, or exchange the stamps of different scenes, and leave everything else as it was.
#
# **Guess** what is left of 95 %.

# %%
def exchange(X, generator):
    """The batch with its stamps dealt out anew."""
    lot = torch.randperm(len(X), generator=generator, device=generator.device)
    X, stamps = X.clone(), X[lot.to(X.device), :, :4, :4]
    X[:, :, :4, :4] = stamps
    return X


def accuracy(name, X, y):
    answers = networks[name](torch.as_tensor(X)).argmax(dim=1)
    return (answers.numpy() == y).mean()


stamped = collections["stamped"]
whole = torch.tensor(stamped.val.X)
cut, exchanged = whole.clone(), exchange(whole, torch.Generator().manual_seed(0))
cut[:, :, :4, :4] = whole.mean(dim=(2, 3), keepdim=True)
trials = {"as it was": whole, "stamps cut out": cut, "stamps exchanged": exchanged}
right = {}
for name, images in trials.items():
    right[name] = accuracy("stamped", images, stamped.val.y)
    print(f"stamped network, validation, {name:17} {right[name]:.1%}")
for name, data in collections.items():
    right[name] = accuracy(name, data.test.X, data.test.y)
    print(f"{name} network, test: {right[name]:.1%}")
assert right["stamps exchanged"] < 0.4
assert right["stamped"] < 0.4
assert right["plain"] > 0.82

# %% [markdown]
# One in five is what lots give.
# The network that won by validation has learned to read stamps, and hardly anything of shapes: that was easier, and in training it nearly always paid.
# (`shortcut=0.95`: in 95 % of the images for training and validation the colour tells the class, in the others it is drawn by lot.)
# Validation could not tell, as validation images came from the same machine.
# Whether you handed that network to the customer: look at your note.
#
# This happens.
# A network that told horses by a photographer's name in the corner (Lapuschkin et al., 2019), one that found pneumonia by the hospital's mark on the X-ray (Zech et al., 2018).
#
# The cure follows from the finding: make the stamp useless in training.
# We exchange stamps at random in every batch (augmentation), and train once more.
#
# **Guess** accuracy in validation and test, and what the maps say.

# %%
cured = small_net()
history = fovea.fit(cured, stamped, augment=exchange, show=False, **options)
networks["cured"], X["cured"] = cured.cpu().requires_grad_(False), X["stamped"]
test_accuracy = accuracy("cured", stamped.test.X, stamped.test.y)
print(f"cured: validation {history.val_metric[-1]:.1%}, test {test_accuracy:.1%}")
for method in ("integrated", "occlusion"):
    parts = share("cured", methods[method])
    print(f"{method}: {parts[0]:.0%} on the object, {parts[1]:.0%} on the stamp")
    assert parts[1] < 0.15
assert test_accuracy > 0.8
quiz("saliency-sanity")

# %% [markdown]
# On the same images, with the same stamps, it does about as well as the plain network does on images without, and its maps have moved to the objects.
#
# > **Two more names you will meet.**
# > **LIME** (Ribeiro et al., 2016) switches regions of the image on and off at random, and fits a small linear model to the network's answers. Its weights say which regions spoke for the class, near this image.
# >
# > **SHAP** (Lundberg and Lee, 2017) shares a score out among regions as game theory shares a win among players: each gets its mean contribution over all orders in which they could have joined. The shares add up, as those of integrated gradients do, and as there are too many orders, one samples.
#
# ## What does the network find similar?
#
# So far we asked what one decision hangs on.
# Another look inside takes the **features**, the 64 numbers before the last layer, as a point in space:
# what lies close together is the same to the network, whatever it looks like to us.
# So we ask for **nearest neighbours**, among the test images.
#
# **Guess:** by what will neighbours agree, for raw pixels and for each network?

# %%
test = torch.tensor(stamped.test.X)
features = {name: model[:-1](test).numpy() for name, model in networks.items()}
spaces = {"pixels": test.flatten(1).numpy()} | features
# A stamp claims the class that it stands for in most training images.
corners, classes = stamped.train.X[:, :, 0, 0], stamped.train.y
colors = np.stack([np.median(corners[classes == k], axis=0) for k in range(5)])
claimed = abs(test[:, None, :, 0, 0].numpy() - colors).sum(axis=2).argmin(axis=1)
neighbours = {}
for name, space in spaces.items():
    finder = NearestNeighbors(n_neighbors=6).fit(space)
    neighbours[name] = finder.kneighbors(space, return_distance=False)[:, 1:]
    same = [(k[neighbours[name]] == k[:, None]).mean() for k in (stamped.test.y, claimed)]
    print(f"{name:8} of 5 neighbours {same[0]:.0%} share the class, {same[1]:.0%} the stamp")
assert same[0] > 0.7
query = (claimed != stamped.test.y).argmax()
order = np.concatenate([[query, *neighbours[name][query]] for name in spaces])
axes = image_grid(test[order], columns=6, names=["query", *"12345"])
for row, name in zip(axes, spaces, strict=True):
    row[0].set_title(name, fontsize=9, loc="center")
describe(axes, "An image and its five neighbours in four spaces; the stamped network's share the stamp.")

# %% [markdown]
# In pixels, neighbours share background, brightness, and the stamp; what is drawn hardly counts.
# To the stamped network a scene *is* its stamp.
# To the other two, what shares a class lies close together, in any colour and place.
#
# ## t-SNE: a map of a space we can't see
#
# 64 dimensions don't fit on paper.
# **t-SNE** (van der Maaten and Hinton, 2008) places points in the plane such that those close to each other in feature space stay close.
# Its main setting, the **perplexity**, says roughly how many neighbours a point should care for.
#
# **Guess:** how will the figure of the stamped network look, coloured by class, and by what the stamp claims?

# %%
def embed(points, perplexity):
    """Places in the plane (N, 2)."""
    return TSNE(perplexity=perplexity, random_state=0).fit_transform(points)


perplexities = [5, 30, 90]
places = {n: {p: embed(features[n][:300], p) for p in perplexities} for n in collections}


def draw_features(axes, network="stamped", perplexity=30):
    """t-SNE of features of 300 test images, by class, and by what the stamp claims."""
    points = places[network][perplexity]
    colourings = {"by class": stamped.test.y, "by what the stamp claims": claimed}
    for ax, (title, labels) in zip(axes, colourings.items(), strict=True):
        title = f"{network} network, {title}"
        drawings.draw_points(ax, points, labels[:300], names, title, ax is axes[0])


controls = {"network": list(collections), "perplexity": perplexities}
explore(draw_features, figsize=(8, 3.4), subplots=(1, 2), **controls)

# %% [markdown]
# Five islands, each of one stamp, and classes mixed at random: no debugging session shows it faster.
# The plain network has a region for each class, and they touch: what lies at such a border is easily confused. Its colours by stamp are mixed.
#
# Perplexity changes the look: at 5 islands crumble into strings, and with every setting they lie elsewhere.
# What stays at all settings may be believed: five groups, one for each stamp.
#
# When does t-SNE mislead?
# We take points that are in the plane already, so that we know the truth: two groups close together, of which one is ten times as wide, and a third far away. And points without any groups.
#
# **Guess** what becomes of widths and distances.

# %%
rng = np.random.default_rng(0)
centres, widths = [(0, 0), (12, 0), (60, 0)], [0.3, 3, 3]
labels = np.repeat([0, 1, 2], 50)
groups = rng.normal(size=(150, 2)) * np.take(widths, labels)[:, None]
groups += np.take(centres, labels, axis=0)
noise = rng.normal(size=(150, 2))
placed = {p: (embed(groups, p), embed(noise, p)) for p in (2, 10, 30, 49)}
for name, points in {"truth": groups, "t-SNE": placed[30][0]}.items():
    a, b, c = (points[labels == k] for k in range(3))
    near, far = (np.hypot(*(b.mean(axis=0) - g.mean(axis=0))) for g in (a, c))
    wide = b.std(axis=0).mean() / a.std(axis=0).mean()
    print(f"{name}: from B, C is {far / near:.1f} times as far as A; B {wide:.1f} as wide")
quiz("saliency-tsne")

# %%
def draw_misleading(axes, perplexity=30):
    """Three groups of points, their t-SNE, and the t-SNE of points without groups."""
    truth, many = ("A", "B", "C"), np.zeros(150, dtype=int)
    drawings.draw_points(axes[0], groups, labels, truth, "the truth", legend=True)
    drawings.draw_points(axes[1], placed[perplexity][0], labels, truth, "its t-SNE")
    drawings.draw_points(axes[2], placed[perplexity][1], many, "-", "t-SNE of noise")


explore(draw_misleading, figsize=(9, 3), subplots=(1, 3), perplexity=list(placed))

# %% [markdown]
# In truth C is four times as far from B as A is, and B ten times as wide as A; in the picture all are equally wide, and C has moved closer.
# At perplexity 2 groups fall to pieces, and noise falls into clumps that look like groups.
#
# > **A slip in some slides.** t-SNE is said to preserve pairwise distances. It preserves *neighbourhoods*.
# > Sizes of islands, and distances between them, mean little; that two points are neighbours means something.
#
# ## Ask for another class
#
# Saliency belongs to a score, and every class has one.
# Below are scenes with two objects, chosen so that the plain network, which never saw two at once, gives their classes its two highest scores.
#
# **Guess:** do maps move from one object to the other when we ask for its class? For integrated gradients, and for magnitudes of the raw gradient?

# %%
scenes = make_scenes(600, seed=5, size=32, max_objects=2)
pairs, pair_images = torch.tensor(scenes.box_labels), torch.tensor(scenes.X)
best = networks["plain"](pair_images).topk(2, dim=1).indices
seen = (best.sort(dim=1).values == pairs.sort(dim=1).values).all(dim=1)
seen = (seen & (pairs[:, 0] != pairs[:, 1])).nonzero().flatten()[:60]
masks = torch.tensor(scenes.masks)[:, None] == pairs[:, :, None, None] + 1


def supporting(model, image, label):
    """What speaks for the class, by integrated gradients."""
    parts = integrate(model, image, label, make_baseline(image, "mean"))
    return parts.sum(dim=0).clamp(min=0)


fig, axes = plt.subplots(3, 3, figsize=(6, 6.2))
for row, i in zip(axes, seen[:3], strict=True):
    image, maps = pair_images[i], {}
    for k in pairs[i].tolist():
        maps[f"for the {names[k]}"] = supporting(networks["plain"], image, k)
    drawings.draw_maps(row, image, " and ".join(names[k] for k in pairs[i]), maps)
for name, method in {"gradient": raw_map, "integrated": supporting}.items():
    for asked, word in enumerate(["first", "second"]):
        areas = []
        for i in seen:
            saliency = method(networks["plain"], pair_images[i], pairs[i, asked].item())
            areas.append((saliency * masks[i]).sum(dim=(1, 2)) / saliency.sum())
        on = " and ".join(f"{area:.0%}" for area in torch.stack(areas).mean(dim=0))
        print(f"{name:10} for the class of the {word:6}: {on} on the first, the second")
describe(fig, "Three scenes with two objects; maps for each of their classes light up on both objects.")

# %% [markdown]
# They move, but not cleanly.
# Magnitudes of the raw gradient hardly notice which class we ask for.
# Integrated gradients shift towards its object, and still leave much on the other; some maps lie mostly on the wrong one.
# (A second object may also speak *for* a class by speaking against all others, and two at once are nothing that this network was trained on.)
#
# ## Photographs
#
# Everything above works for any network that turns images into scores.
# If its weights lie on this computer, we now ask SqueezeNet (Iandola et al., 2016), which knows 1,000 classes of photographs.
# If not, we look at the cured network and test scenes: its maps we have not seen yet. The printed line says which, and how to get the weights.
#
# **Guess:** which part of a cat makes it a cat?

# %%
if fovea.is_local("weights"):
    looker = models.squeezenet().requires_grad_(False)
    kinds, samples, steps = models.imagenet_classes(), 6, 6
    images = torch.tensor(drawings.load_photographs())
    print("SqueezeNet looks at photographs.")
else:
    looker, images = networks["cured"], test[:3]
    kinds, samples, steps = names, 50, 32
    print("The cured network looks at test scenes. For photographs, run once, online:")
    print("models.squeezenet(), models.imagenet_classes(), models.resnet20()")
    print("It downloads 2 MB. Then run this cell again.")

# %%
side = images.shape[-1]
size, stride = side // 5, side // 8
fig, axes = plt.subplots(len(images), 4, figsize=(8, 2.2 * len(images)), squeeze=False)
for row, image in zip(axes, images, strict=True):
    probs = looker(image[None]).softmax(dim=1)[0]
    k = probs.argmax().item()
    covered = occlude(looker, image, k, size, stride)
    high = covered.max().item()
    drawings.draw_probs(row[1], covered, side, size, stride, "occlusion", high=high)
    parts = integrate(looker, image, k, make_baseline(image, "mean"), steps)
    maps = {
        "SmoothGrad": smooth(looker, image, k, samples=samples),
        "integrated gradients": parts.sum(dim=0),
    }
    title = f"{kinds[k]}, {probs[k]:.0%}"
    drawings.draw_maps(row[[0, 2, 3]], image, title, maps)
words = "Images with the network's answer, and three maps of each: occlusion, SmoothGrad, integrated gradients."
describe(fig, words)

# %% [markdown]
# Dark in the occlusion map, bright with SmoothGrad, coloured with integrated gradients: look whether all three name the same place.
# Where they agree you have a hypothesis about the network. An experiment, such as exchanging stamps, makes it knowledge.
#
# ## What we learned
#
# - Validation from the same source shares its flaws: a network can be right for the wrong reason.
# - Top patches show what excites a unit; occlusion, gradients and integrated gradients what a decision hangs on.
# - SmoothGrad calms a map, the 99th percentile makes it readable, completeness makes integrated gradients checkable.
# - Before you believe a map: randomise the weights, measure, and change the image.
# - Neighbours in feature space show what is alike to the network; t-SNE keeps neighbours, not sizes and distances.
#
# ## Exercises
#
# In the assignment you write these tools yourself, for batches, with their contracts: `top_patches` (all places of all images count, and the patch is the block under a cell), `occlusion_map`, `compute_saliency_maps`, `smoothgrad`, `percentile_clip`, `integrated_gradients`, `nearest_in_feature_space`. Before that:
#
# 1. By hand: score $= 3 x_1 - 2 x_2$, $x = (1, 2)$, baseline $(0, 0)$. What are saliency and integrated gradients, and do they add up? Why did one step suffice?
# 2. Train with `shortcut=0.5`. Does the network still look at the stamp? From which value on?
# 3. Ask the *plain* network about stamped scenes. It never saw a stamp, so why does it err more often? Which tool shows it?
# 4. Cure the network by training on scenes with the stamp cut out. On which images would you use it then?
#
# Read on: Zeiler and Fergus, *Visualizing and Understanding Convolutional Networks* (2014); Simonyan et al., *Deep Inside Convolutional Networks* (2013); Smilkov et al., *SmoothGrad* (2017); Sundararajan et al., *Axiomatic Attribution for Deep Networks* (2017); Adebayo et al., *Sanity Checks for Saliency Maps* (2018); van der Maaten and Hinton, *Visualizing Data using t-SNE* (2008); Lapuschkin et al., *Unmasking Clever Hans Predictors* (2019); Zech et al., *Variable generalization performance of a deep learning model to detect pneumonia in chest radiographs* (2018); Ribeiro et al., *"Why Should I Trust You?"* (2016); Lundberg and Lee, *A Unified Approach to Interpreting Model Predictions* (2017).
