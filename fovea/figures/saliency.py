"""Drawings of the lecture on seeing inside a network: maps, patches, points."""

import os
from pathlib import Path

import numpy as np
from PIL import Image

from fovea.figures import COLORS
from fovea.plotting import CLASS_COLORS, MARKERS

PHOTOGRAPHS = ("chelsea.png", "coffee.png", "swan-3299528_1280.jpg")


def load_photographs() -> np.ndarray:
    """Return the middle 227×227 pixels of photographs, ``(N, 3, 227, 227)`` in [0, 1].

    They come from the folder ``images`` in FOVEA_DATA or, if there are none, from
    scikit-learn; before they are cut, their short side is scaled to 256 pixels.
    """
    folder = Path(os.environ.get("FOVEA_DATA", ""), "images")
    files = [folder / name for name in PHOTOGRAPHS]
    photos = [Image.open(file) for file in files if file.exists()]
    if not photos:
        from sklearn.datasets import load_sample_images

        photos = [Image.fromarray(photo) for photo in load_sample_images().images]
    return np.stack([_cut_square(photo.convert("RGB")) for photo in photos])


def _cut_square(photo: Image.Image, side: int = 227, short: int = 256) -> np.ndarray:
    scale = short / min(photo.size)
    photo = photo.resize([round(scale * length) for length in photo.size])
    left, top = ((length - side) // 2 for length in photo.size)
    square = photo.crop((left, top, left + side, top + side))
    return (np.asarray(square) / np.float32(255)).transpose(2, 0, 1)


def cut_patches(images, chosen, rows, columns, field: int, step: int) -> np.ndarray:
    """Return what cells of a layer see, ``(K, C, field, field)``; white is outside.

    Cell k lies in image ``chosen[k]`` at ``rows[k]``, ``columns[k]`` of its map; cells
    lie ``step`` pixels apart and see ``field`` pixels along each side.
    """
    images = np.asarray(images)
    edges = ((0, 0), (0, 0), (field, field), (field, field))
    padded = np.pad(images, edges, constant_values=1)
    # Cell 0 covers the first `step` pixels, its field as much on either side of them.
    first = field - (field - step) // 2
    corners = zip(np.asarray(rows), np.asarray(columns), strict=True)
    starts = [(first + step * row, first + step * column) for row, column in corners]
    cuts = [
        padded[image, :, top : top + field, left : left + field]
        for image, (top, left) in zip(np.asarray(chosen), starts, strict=True)
    ]
    return np.stack(cuts)


def draw_mosaic(ax, patches, title: str = ""):
    """Draw nine patches ``(9, C, h, w)``, the first in the upper left corner."""
    patches = np.asarray(patches)
    side = patches.shape[-1]
    # Whatever their size, the gaps between patches look alike.
    zoom, gap = -(-60 // side), 4
    step = zoom * side + gap
    canvas = np.ones((3 * step - gap, 3 * step - gap, 3))
    for k, patch in enumerate(patches):
        large = patch.transpose(1, 2, 0).repeat(zoom, 0).repeat(zoom, 1)
        top, left = step * (k // 3), step * (k % 3)
        canvas[top : top + len(large), left : left + len(large)] = large
    ax.imshow(canvas)
    ax.set_title(title, fontsize=9, loc="center")
    ax.axis("off")
    return ax


def draw_image(ax, image, title: str = ""):
    """Draw a colour image ``(3, H, W)`` in [0, 1]; beyond that it is cut off."""
    ax.imshow(np.asarray(image).transpose(1, 2, 0).clip(0, 1))
    ax.set_title(title, fontsize=10, loc="center")
    ax.axis("off")
    return ax


def draw_map(ax, saliency, title: str = "", outline=None, high: float | None = None):
    """Draw a map ``(H, W)`` from 0, dark, to ``high``, yellow; left out: its largest.

    If a value is negative, it goes from blue over white, 0, to red. A line goes around
    the object, where ``outline (H, W)`` is true.
    """
    saliency = np.asarray(saliency)
    signed = saliency.min() < 0
    high = high or np.abs(saliency).max() or 1
    style = {"cmap": "RdBu_r" if signed else "inferno", "vmax": high}
    ax.imshow(saliency, vmin=-high if signed else 0, **style)
    _draw_outline(ax, outline, "black" if signed else "white")
    ax.set_title(title, fontsize=10, loc="center")
    ax.axis("off")
    return ax


def draw_maps(axes, image, title: str, maps: dict, outline=None, percentile=99):
    """Draw an image, and beside it maps by name, each up to a percentile of its own."""
    draw_image(axes[0], image, title)
    for ax, (name, saliency) in zip(axes[1:], maps.items(), strict=True):
        high = float(np.percentile(np.abs(np.asarray(saliency)), percentile))
        draw_map(ax, saliency, name, outline, high)
    return axes


def draw_probs(
    ax, probs, side: int, size: int, stride: int, title="", outline=None, high=None
):
    """Draw probabilities ``(h, w)`` where the middle of each block lies in the image.

    The image has ``side`` rows and columns, the blocks ``size``, ``stride`` apart.
    Colours go up to ``high``; left out, up to 1, with a scale that says so.
    """
    probs = np.asarray(probs)
    start = (size - stride) / 2 - 0.5
    ends = [start + stride * count for count in probs.shape]
    extent = (start, ends[1], ends[0], start)
    shown = ax.imshow(probs, cmap="cividis", vmin=0, vmax=high or 1, extent=extent)
    _draw_outline(ax, outline, "white")
    frame = (-0.5, side - 0.5)
    ax.set(xlim=frame, ylim=frame[::-1], xticks=[], yticks=[], facecolor="0.85")
    ax.set_title(title, fontsize=10, loc="center")
    style = {"orientation": "horizontal", "fraction": 0.05, "pad": 0.04}
    if high is None:
        ax.figure.colorbar(shown, ax=ax, label="probability", **style)
    return ax


def _draw_outline(ax, outline, color: str) -> None:
    mask = np.zeros(1) if outline is None else np.asarray(outline, dtype=float)
    if mask.any():
        ax.contour(mask, levels=[0.5], colors=color, linewidths=1)


def draw_shares(ax, shares: dict):
    """Draw how much of each named map lies on object and stamp, ``(object, stamp)``."""
    names = list(shares)
    on_object, on_stamp = 100 * np.array(list(shares.values())).T
    ax.barh(names, on_object, color=COLORS["test"], label="object")
    ax.barh(names, on_stamp, left=on_object, color=COLORS["grad"], label="stamp")
    for row, values in enumerate(zip(on_object, on_stamp, strict=True)):
        text = " + ".join(f"{value:.0f}" for value in values)
        ax.text(sum(values) + 1, row, text, va="center", fontsize=9)
    # The first on top, also where two axes share their rows
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set(xlabel="share of the map (%): object + stamp", xlim=(0, 100))
    ax.legend(loc="lower right")
    return ax


def draw_points(ax, points, labels, names, title: str = "", legend: bool = False):
    """Draw points ``(N, 2)`` of a t-SNE, a colour and a marker for each label."""
    points, labels = np.asarray(points), np.asarray(labels)
    for k, name in enumerate(names):
        look = {"color": CLASS_COLORS[k], "marker": MARKERS[k], "label": name}
        ax.scatter(*points[labels == k].T, s=12, linewidths=0, **look)
    # Neither directions nor units mean anything; relations might.
    ax.set(xticks=[], yticks=[])
    ax.set_aspect("equal", "datalim")
    ax.set_title(title, fontsize=10, loc="center")
    if legend:
        style = {"ncols": len(names), "handletextpad": 0, "columnspacing": 1}
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0)}
        ax.legend(markerscale=2, **place, **style)
    return ax
