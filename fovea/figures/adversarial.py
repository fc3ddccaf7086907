"""Drawings of the lecture on adversarial examples: images, changes, paths, scores."""

import numpy as np
from matplotlib.patches import Rectangle

from fovea.figures import COLORS
from fovea.plotting import draw_curves


def draw_image(ax, image, title: str = ""):
    """Draw an image ``(1, H, W)`` or ``(3, H, W)`` with values in [0, 1]."""
    shown = np.moveaxis(np.asarray(image, dtype=float), 0, -1)
    ax.imshow(shown, cmap="gray", vmin=0, vmax=1)
    ax.set_title(title, fontsize=10, loc="center")
    ax.axis("off")
    return ax


def draw_change(ax, change):
    """Draw a change of an image, mid-grey where there is none, as large as it fits."""
    change = np.asarray(change, dtype=float)
    high = np.abs(change).max()
    factor = 0.5 / high if high else 1
    title = f"change × {factor:.0f}" if high else "no change"
    return draw_image(ax, 0.5 + factor * change, title)


def draw_probs(ax, probs, names, label: int, title: str = ""):
    """Draw the probabilities of classes as bars; that of ``label`` is blue."""
    colors = [COLORS["value" if k == label else "grad"] for k in range(len(names))]
    # Pale, so that the names on them can be read
    ax.barh(range(len(names)), probs, color=colors, alpha=0.5)
    for k, name in enumerate(names):
        ax.text(0.02, k, name, va="center", fontsize=9)
    ax.invert_yaxis()
    ax.spines["left"].set_visible(False)
    ax.set(xlim=(0, 1), xticks=[0, 0.5, 1], yticks=[])
    ax.set_title(title, fontsize=10, loc="center")
    return ax


def draw_attack(axes, image, changed, probs, names, label: int):
    """Draw an image, a magnified change, their sum, and what a network says of it.

    ``image`` and ``changed`` are ``(C, H, W)`` in [0, 1]; ``probs`` are those of
    ``changed``, and ``label`` is the class it should be taken for.
    """
    image, changed = np.asarray(image), np.asarray(changed)
    draw_image(axes[0], image, f"image: {names[label]}")
    draw_change(axes[1], changed - image)
    draw_image(axes[2], changed, "both together")
    answer = int(np.argmax(probs))
    draw_probs(axes[3], probs, names, label, f"{names[answer]}, {probs[answer]:.0%}")
    return axes


def height(a, b):
    """Return a made-up loss of two pixels: a ridge at the right, a hill at the left."""
    ridge = np.exp(-(((a - 1.15) / 0.45) ** 2) - ((b - 0.68) / 0.2) ** 2)
    return ridge + 1.2 * np.exp(-(((a - 0.62) / 0.18) ** 2) - ((b - 0.2) / 0.16) ** 2)


def slope(point, h: float = 1e-5) -> np.ndarray:
    """Return the gradient ``(2,)`` of ``height`` at a point ``(2,)``."""
    ahead, behind = point + h * np.eye(2), point - h * np.eye(2)
    return (height(*ahead.T) - height(*behind.T)) / (2 * h)


def draw_ascent(ax, x, epsilon: float, path, proposals):
    """Draw steps up ``height``, and what is cut off at each of them.

    ``path (K + 1, 2)`` are the points that were kept, ``proposals (K, 2)`` the ends of
    the steps before they were projected onto the square of ``epsilon`` around ``x`` and
    onto [0, 1].
    """
    xs, ys = np.linspace(0.35, 1.3, 96), np.linspace(0, 1.1, 111)
    ax.contourf(xs, ys, height(*np.meshgrid(xs, ys)), levels=12, cmap="Greys", vmax=1.6)
    _add_square(ax, 0, 1, color="black", linestyle="-")
    _add_square(ax, x - epsilon, 2 * epsilon, color=COLORS["value"], linestyle="--")
    for start, end in zip(path[:-1], proposals, strict=True):
        line = {"color": "black", "linewidth": 1, "linestyle": ":"}
        ax.plot(*np.transpose([start, end]), "x", markevery=[1], **line)
    ax.plot(*np.transpose(path), "o-", color=COLORS["grad"], markersize=4)
    ax.plot(*x, "s", color=COLORS["value"], markersize=8)
    ax.text(1.02, 0.02, "no images", fontsize=9)
    corner = np.maximum(x - epsilon, 0) + 0.015
    ax.text(*corner, "ε-ball", fontsize=9, color=COLORS["value"])
    ax.set(xlabel="first pixel", ylabel="second pixel", aspect="equal")
    ax.set(xlim=(0.35, 1.3), ylim=(0, 1.1), xticks=[0.5, 1], yticks=[0, 0.5, 1])
    return ax


def _add_square(ax, corner, side: float, **style) -> None:
    corner = tuple(np.broadcast_to(corner, 2))
    ax.add_patch(Rectangle(corner, side, side, fill=False, linewidth=2, **style))


def draw_table(ax, shares, rows, columns):
    """Draw a table of shares in [0, 1] as percentages, the lower the darker."""
    shares = np.asarray(shares)
    ax.imshow(1 - shares, cmap="Oranges", vmin=0, vmax=1.5, aspect="auto")
    for (i, j), share in np.ndenumerate(shares):
        ax.text(j, i, f"{share:.0%}", ha="center", va="center")
    ax.set_yticks(range(len(rows)), rows)
    ax.set_xticks(range(len(columns)), columns)
    ax.tick_params(length=0)
    return ax


def draw_accuracy(ax, epsilons, shares: dict, title: str, unit: str = ""):
    """Draw named curves: the share that is right, in [0, 1], against ε."""
    percent = {name: 100 * np.asarray(values) for name, values in shares.items()}
    draw_curves(ax, epsilons, percent)
    ax.set(xlabel=f"ε {unit}", ylabel="right (%)", ylim=(-2, 102), title=title)
    return ax


def draw_gradients(axes, images, gradients: dict):
    """Draw images in the first row of axes, and below them signed gradients by name.

    Each gradient has a scale of its own, from blue over white (0) to red.
    """
    rows = [("images", images), *gradients.items()]
    for row, (name, arrays) in zip(axes, rows, strict=True):
        row[0].set_title(name, fontsize=10, loc="left")
        for ax, array in zip(row, np.asarray(arrays, dtype=float), strict=True):
            style = {"cmap": "gray", "vmin": 0, "vmax": 1}
            if name in gradients:
                high = np.abs(array).max() or 1
                style = {"cmap": "RdBu_r", "vmin": -high, "vmax": high}
            ax.imshow(array.squeeze(), **style)
            ax.axis("off")
    return axes
