"""Drawings of the lecture and the assignment on backprop."""

import numpy as np
from matplotlib.axes import Axes

from fovea.figures import COLORS


def draw_tangent(ax: Axes, function, slope, z: float) -> Axes:
    """Draw ``function`` and its ``slope`` on [-6, 6], and the tangent at ``z``."""
    grid = np.linspace(-6, 6, 601)
    ax.plot(grid, function(grid), color=COLORS["value"], label="value")
    ax.plot(grid, slope(grid), "--", color=COLORS["grad"], label="slope")
    near = np.array([z - 1.5, z + 1.5])
    tangent = function(z) + slope(z) * (near - z)
    ax.plot(near, tangent, color="black", label=f"tangent at z = {z:.1f}")
    ax.plot(z, function(z), "o", color="black")
    ax.legend(loc="upper left")
    ax.set(xlabel="z", xlim=(-6, 6), ylim=(-1.5, 2.5))
    return ax


def draw_cut(
    ax: Axes, points, positive, weights, bias, names=("negative", "positive")
) -> Axes:
    """Draw points ``(N, 2)`` of two classes, and the sides of ``w·x + b = 0``.

    ``positive (N,)`` is true for the class that should have a positive score.
    """
    grid = np.linspace(-3.5, 3.5, 141)
    score = weights[0] * grid + weights[1] * grid[:, None] + bias
    ax.contourf(grid, grid, score > 0, [-1, 0.5, 2], colors=["#DCEAF3", "#F8E2D3"])
    styles = (
        {"marker": "o", "color": COLORS["train"]},
        {"marker": "x", "color": COLORS["val"]},
    )
    for name, chosen, style in zip(names, (~positive, positive), styles, strict=True):
        ax.scatter(*points[chosen].T, s=18, label=name, **style)
    ax.legend(loc="lower right", frameon=True)
    return ax


def draw_graph(ax: Axes, places: dict, edges, values: dict, grads: dict) -> Axes:
    """Draw a computational graph, with values above the nodes and gradients below.

    ``places`` maps a node's label to its (x, y); ``edges`` are pairs of labels;
    ``values`` and ``grads`` hold numbers for the nodes that have one already.
    """
    text = {"ha": "center", "va": "center", "fontsize": 12}
    box = {"boxstyle": "round,pad=0.4", "fc": "white", "ec": "black"}
    boxes = {}
    for label, (x, y) in places.items():
        boxes[label] = ax.text(x, y, label, bbox=box, **text).get_bbox_patch()
        if label in values:
            number = f"{values[label]:g}"
            ax.text(x, y + 0.36, number, color=COLORS["value"], weight="bold", **text)
        if label in grads:
            number = f"{grads[label]:g}"
            ax.text(x, y - 0.36, number, color=COLORS["grad"], weight="bold", **text)
    for start, end in edges:
        arrow = {"arrowstyle": "-|>", "color": COLORS["muted"]}
        arrow |= {"patchA": boxes[start], "patchB": boxes[end]}
        ax.annotate("", xy=places[end], xytext=places[start], arrowprops=arrow)
    xs, ys = zip(*places.values(), strict=True)
    ax.set(xlim=(min(xs) - 0.4, max(xs) + 0.4), ylim=(min(ys) - 0.6, max(ys) + 0.6))
    ax.axis("off")
    return ax
