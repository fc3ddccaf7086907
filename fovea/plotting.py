"""Figures of the course: helpers that draw on axes, one style, words for every picture.

Numbers may be lists, arrays or tensors on any device. Those of another shape, without
any value, or with values that aren't finite, raise ``ValueError``.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

# Notebooks import all drawing from here.
from fovea.figures import COLORS, Picture, as_labels, as_numbers, describe, use_style  # noqa: F401
from fovea.figures.backprop import draw_graph  # noqa: F401

# Of classes: Okabe and Ito (2008), with a marker each for those who see no colours
CLASS_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
MARKERS = "os^DXP"


def image_grid(images, names=(), title="", columns: int = 10) -> np.ndarray:
    """Return the axes ``(rows, columns)`` of a new figure with one image on each.

    Images are ``(N, H, W)``, ``(N, 1, H, W)`` or ``(N, 3, H, W)``, all on one scale.
    One channel is grey from 0 on, or, if any value is negative, from blue over white
    (0) to red. Three channels are colours in [0, 1], or, if any value is negative,
    filters: 0 is mid-grey, and the largest absolute value is an end of its channel.
    """
    images = as_numbers(images, "images", "(N, H, W)", "(N, 1, H, W)", "(N, 3, H, W)")
    images = images.reshape(len(images), -1, *images.shape[-2:])
    signed, high = images.min() < 0, np.abs(images).max()
    if images.shape[1] == 3 and signed:
        images = 0.5 + images / (2 * high)
    elif images.shape[1] == 3 and high > 1:
        raise ValueError(f"images have colours up to {high:g}, expected [0, 1]")
    rows = -(-len(images) // columns)
    # Fewer images in a row are larger, which leaves room for the title.
    side = max(0.8, 4 / columns)
    height = side * images.shape[2] / images.shape[3] + (0.25 if len(names) else 0.05)
    size = (side * columns, rows * height + (0.3 if title else 0))
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    fig.suptitle(title, fontsize=11)
    style = {"cmap": "RdBu_r" if signed else "gray", "vmin": -high if signed else 0}
    for ax in axes.flat:
        ax.axis("off")
    for ax, image in zip(axes.flat, images, strict=False):
        ax.imshow(np.moveaxis(image, 0, -1), vmax=high, **style)
    for ax, name in zip(axes.flat, names, strict=False):
        ax.set_title(name, loc="center", fontsize=9)
    return axes


def draw_curves(ax: Axes, x, curves: dict) -> Axes:
    """Draw named curves over ``x``; train, val and test keep their colours.

    Where a value is nan the curve has a gap; a value between gaps gets a marker.
    """
    x = as_numbers(x, "x", "(N,)")
    for name, values in curves.items():
        values = as_numbers(values, name, f"({len(x)},)", finite=False)
        known = np.pad(np.isfinite(values), 1)
        alone = known[1:-1] & ~known[:-2] & ~known[2:]
        style = {"marker": "o", "markevery": alone} if alone.any() else {}
        ax.plot(x, values, label=name, color=COLORS.get(name), **style)
    _add_legend(ax)
    return ax


def _add_legend(ax: Axes) -> None:
    # Beside the axes it covers nothing, but fixed margins have no room there.
    beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
    ax.legend(**beside if ax.figure.get_layout_engine() else {"frameon": True})


def draw_regions(ax: Axes, predict, X, y, names=()) -> Axes:
    """Draw where in the plane a classifier sees which class, with points on top.

    ``predict`` maps float32 points ``(M, 2)`` to scores ``(M, C)`` or labels ``(M,)``.
    Points ``X (N, 2)`` have labels ``y (N,)``. Labels are 0 to 5, called ``names``.
    """
    X, y = as_numbers(X, "X", "(N, 2)"), as_labels(y, "y", 6, f"({len(X)},)")
    low, high = X.min(axis=0), X.max(axis=0)
    edge = 0.1 * (high - low) + 1e-6
    xs, ys = np.linspace(low - edge, high + edge, 200).T
    grid = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    scores = predict(grid.astype(np.float32))
    scores = as_numbers(scores, "predict(points)", "(40000, C)", "(40000,)")
    if scores.shape == (40000, 1):
        raise ValueError("predict(points) has one score each, expected labels instead")
    labels = scores.argmax(axis=1) if scores.ndim == 2 else scores
    labels = as_labels(labels, "predict(points)", 6)
    style = {"cmap": ListedColormap(CLASS_COLORS), "vmin": 0, "vmax": 5, "alpha": 0.2}
    extent = (xs[0], xs[-1], ys[0], ys[-1])
    ax.imshow(labels.reshape(200, 200)[::-1], extent=extent, aspect="auto", **style)
    for k in np.unique(y):
        look = {"color": CLASS_COLORS[k], "marker": MARKERS[k], "ec": "white"}
        ax.scatter(*X[y == k].T, s=36, label=names[k] if len(names) else k, **look)
    _add_legend(ax)
    return ax


def draw_overlay(ax: Axes, image, saliency, alpha: float = 0.6) -> Axes:
    """Draw a saliency map over its image, stretched to the same extent, with a scale.

    ``image`` is ``(H, W)``, ``(1, H, W)`` or ``(3, H, W)`` in [0, 1], ``saliency`` is
    ``(H, W)`` or smaller: yellow where it is large, or, if any value is negative, from
    blue over white (0) to red.
    """
    image = as_numbers(image, "image", "(H, W)", "(1, H, W)", "(3, H, W)")
    if image.min() < 0 or image.max() > 1:
        span = f"[{image.min():g}, {image.max():g}]"
        raise ValueError(f"image has values in {span}, expected [0, 1]")
    saliency = as_numbers(saliency, "saliency", "(H, W)")
    signed, high = saliency.min() < 0, np.abs(saliency).max() or 1
    style = {"cmap": "RdBu_r" if signed else "inferno", "alpha": alpha}
    image = np.moveaxis(image.reshape(-1, *image.shape[-2:]), 0, -1)
    extent = ax.imshow(image, cmap="gray", vmin=0, vmax=1).get_extent()
    style |= {"vmin": -high if signed else 0, "vmax": high, "extent": extent}
    shown = ax.imshow(saliency, interpolation="bilinear", **style)
    ax.figure.colorbar(shown, ax=ax, label="saliency")
    ax.axis("off")
    return ax


def draw_confusion(ax: Axes, labels, predicted, class_names) -> Axes:
    """Draw how often samples of each class (rows) were taken for which (columns).

    ``labels`` and ``predicted`` are ``(N,)``, whole numbers from 0 to C - 1 for the C
    ``class_names``. A cell is as dark as its share of the row.
    """
    num_classes = len(class_names)
    labels = as_labels(labels, "labels", num_classes)
    predicted = as_labels(predicted, "predicted", num_classes, f"({len(labels)},)")
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    counts = cells.reshape(num_classes, num_classes)
    # A class without samples has a row of zeros.
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    ax.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        # Either side of 0.72 the number stands out by a contrast of 4.5 or more.
        color = "white" if share[row, column] > 0.72 else "black"
        ax.text(column, row, count, color=color, ha="center", va="center", fontsize=9)
    long = any(len(str(name)) > 3 for name in class_names)
    turn = {"rotation": 45, "ha": "right"} if long else {}
    ax.set_xticks(range(num_classes), class_names, **turn)
    ax.set_yticks(range(num_classes), class_names)
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax
