"""Figures of the course: one style, one colour per meaning, words for every picture."""

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# The same meaning has the same colour in every lecture.
COLORS = {
    "train": "#0072B2",
    "val": "#D55E00",
    "test": "#009E73",
    "value": "#0072B2",
    "grad": "#D55E00",
    "muted": "#8C8C8C",
}


def use_style() -> None:
    """Load the course's matplotlib style for the figures that follow."""
    plt.style.use(Path(__file__).with_name("fovea.mplstyle"))


@dataclass(frozen=True)
class Picture:
    """A finished figure: PNG bytes, width in CSS pixels, and what it shows in words."""

    png: bytes
    width: int
    alt: str

    def __repr__(self) -> str:
        return f"Picture: {self.alt}"

    def _repr_mimebundle_(self, include=None, exclude=None):
        # JupyterLab takes a description from HTML alone, other readers from metadata.
        png = base64.b64encode(self.png).decode()
        alt = html.escape(self.alt)
        img = (
            f'<img src="data:image/png;base64,{png}" width="{self.width}" alt="{alt}">'
        )
        bundle = {"image/png": png, "text/html": img, "text/plain": repr(self)}
        return bundle, {"image/png": {"alt": self.alt, "width": self.width}}


def describe(figure: Figure | Axes | np.ndarray, alt: str) -> Picture:
    """Return the finished figure with ``alt``, what it shows in words, and close it.

    ``figure`` may be any of its axes, or the array that ``plt.subplots`` returns.
    Raises ``ValueError`` if there are no words.
    """
    if not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the figure shows")
    if isinstance(figure, np.ndarray):
        figure = figure.flat[0]
    figure = figure if isinstance(figure, Figure) else figure.figure
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    plt.close(figure)
    return Picture(buffer.getvalue(), round(96 * figure.get_figwidth()), alt)


def image_grid(images: np.ndarray, names=(), title="", columns: int = 10) -> np.ndarray:
    """Return the axes ``(rows, columns)`` of a new figure with one image on each.

    Images are ``(N, H, W)`` or ``(N, 1, H, W)``. Values with both signs are shown
    from blue (negative) over white (0) to red, others in grey; the range is shared.
    """
    images = np.asarray(images)
    images = images.reshape(len(images), *images.shape[-2:])
    rows = -(-len(images) // columns)
    height = rows * (1.05 if len(names) else 0.85) + (0.3 if title else 0)
    size = (0.8 * columns, height)
    fig, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    fig.suptitle(title, fontsize=11)
    high, signed = np.abs(images).max(), images.min() < 0
    style = {"cmap": "RdBu_r" if signed else "gray", "vmin": -high if signed else 0}
    for ax in axes.flat:
        ax.axis("off")
    for ax, image in zip(axes.flat, images, strict=False):
        ax.imshow(image, vmax=high, **style)
    for ax, name in zip(axes.flat, names, strict=False):
        ax.set_title(name, loc="center", fontsize=9)
    return axes


def draw_curves(ax: Axes, x: np.ndarray, curves: dict[str, np.ndarray]) -> Axes:
    """Draw named curves over ``x``; train, val and test keep their colours."""
    for name, values in curves.items():
        ax.plot(x, values, label=name, color=COLORS.get(name))
    # Beside the axes, where it covers no curve
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


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
