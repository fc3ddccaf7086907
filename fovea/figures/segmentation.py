"""Drawings of the lecture on segmentation: label maps, copies of kernels, matrices."""

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch, Rectangle

from fovea.figures import COLORS
from fovea.figures.cnn import draw_numbers

# Background, then Okabe and Ito (2008)
LABEL_COLORS = ("#F2F2F2", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
# What a predicted mask and the true one say together
AGREEMENT = {
    "neither": "#F2F2F2",
    "predicted only": COLORS["grad"],
    "target only": "#000000",
    "both": "#56B4E9",
}


def draw_images(axes, images: dict):
    """Draw named images, ``(H, W)`` or ``(H, W, 3)``, all on one scale.

    It goes from black (0) to white, or, if any value is negative, from blue over white
    (0) to red.
    """
    images = {name: np.asarray(image) for name, image in images.items()}
    high = max(np.abs(image).max() for image in images.values())
    signed = min(image.min() for image in images.values()) < 0
    style = {"cmap": "RdBu_r" if signed else "gray", "vmin": -high if signed else 0}
    for ax, (name, image) in zip(axes, images.items(), strict=True):
        ax.imshow(image, vmax=high, **style)
        _bare(ax, name)
    return axes


def draw_labels(ax, labels, title: str = ""):
    """Draw a map ``(H, W)`` of labels, 0 (background) to 5, one colour each."""
    style = {"cmap": ListedColormap(LABEL_COLORS), "vmin": 0, "vmax": 5}
    ax.imshow(labels, interpolation="nearest", **style)
    return _bare(ax, title)


def draw_pieces(ax, pieces, title: str = ""):
    """Draw a map ``(H, W)`` of numbered pieces, 0 being none, and write the numbers."""
    pieces = np.asarray(pieces)
    ax.imshow(pieces, cmap="Blues", vmin=0, vmax=2 * pieces.max() + 1)
    for number in range(1, pieces.max() + 1):
        rows, columns = np.nonzero(pieces == number)
        # On the piece itself, however it is bent
        off = np.hypot(rows - rows.mean(), columns - columns.mean()).argmin()
        place = columns[off], rows[off]
        ax.text(*place, number, ha="center", va="center", fontsize=11)
    return _bare(ax, title)


def draw_scenes(axes, images, maps: dict):
    """Draw images ``(N, C, H, W)`` in the first row, and below it named maps of labels,
    ``(N, H, W)`` each, a row for each name."""
    for ax, image in zip(axes[0], images, strict=True):
        ax.imshow(np.moveaxis(np.asarray(image), 0, -1), vmin=0, vmax=1)
        _bare(ax)
    for row, labels in zip(axes[1:], maps.values(), strict=True):
        for ax, one in zip(row, labels, strict=True):
            draw_labels(ax, one)
    for ax, name in zip(axes[:, 0], ("image", *maps), strict=True):
        place = {"ha": "right", "va": "center", "transform": ax.transAxes}
        ax.text(-0.08, 0.5, name, **place)
    return axes


def add_label_legend(fig, names):
    """Write below the figure which colour is which label."""
    return _add_legend(fig, dict(zip(names, LABEL_COLORS, strict=False)))


def add_agreement_legend(fig):
    """Write below the figure what the colours of `draw_agreement` mean."""
    return _add_legend(fig, AGREEMENT)


def _add_legend(fig, colors: dict[str, str]):
    fig.legend(handles=_patches(colors), loc="outside lower center", ncols=len(colors))
    return fig


def _patches(colors: dict[str, str]) -> list[Patch]:
    edge = COLORS["muted"]
    return [Patch(fc=color, ec=edge, label=name) for name, color in colors.items()]


def draw_agreement(ax, predicted, target, title: str = "", legend: bool = True):
    """Draw where two masks ``(H, W)`` hold both, one alone, or neither."""
    # In the order of AGREEMENT
    both = np.asarray(predicted, bool) + 2 * np.asarray(target, bool)
    ax.imshow(both, cmap=ListedColormap(list(AGREEMENT.values())), vmin=0, vmax=3)
    if legend:
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, 0), "ncols": 2}
        ax.legend(handles=_patches(AGREEMENT), fontsize=8, **place)
    return _bare(ax, title)


def draw_copies(ax, x, kernel, stride=1, padding=0):
    """Draw the copies of a kernel ``(k,)`` that a 1D input makes, and their sum.

    What a padding cuts off stands outside the dashed lines.
    """
    x, kernel = np.asarray(x), np.asarray(kernel)
    length = (len(x) - 1) * stride + len(kernel)
    rows = np.full((len(x) + 1, length), np.nan)
    for i, value in enumerate(x):
        rows[i, i * stride : i * stride + len(kernel)] = value * kernel
    rows[-1] = np.nansum(rows[:-1], axis=0)
    draw_numbers(ax, rows)
    names = [f"{value:g} · kernel" for value in x] + ["sum"]
    for i, name in enumerate(names):
        ax.text(-0.7, i, name, ha="right", va="center", fontsize=10)
    ax.axhline(len(x) - 0.5, color="black", linewidth=1)
    for edge in (padding - 0.5, length - padding - 0.5) if padding else ():
        ax.axvline(edge, color=COLORS["muted"], linestyle="--")
    size = f"{len(x)} numbers become {length - 2 * padding}"
    ax.set_title(f"stride {stride}, padding {padding}: {size}", fontsize=10)
    return ax


def draw_transposed_step(axes, x, kernel, step, stride, padding):
    """Draw the input, the current copy of the kernel, and the sum of the first copies.

    ``step`` counts inputs from 1, row by row. Outside the dashed line is what the
    padding cuts off.
    """
    count, k = len(x), len(kernel)
    full = (count - 1) * stride + k
    # nan: no copy has reached it yet
    total = np.full((full, full), np.nan)
    for n in range(step):
        i, j = np.unravel_index(n, x.shape)
        taps = np.zeros(total.shape, bool)
        taps[i * stride : i * stride + k, j * stride : j * stride + k] = True
        total[taps] = np.nan_to_num(total[taps]) + x[i, j] * kernel.ravel()
    current = np.arange(x.size).reshape(x.shape) == step - 1
    color = COLORS["value"]
    draw_numbers(axes[0], x, f"input {count}×{count}", current, color)
    draw_numbers(axes[1], x[i, j] * kernel, f"{x[i, j]:g} times the kernel")
    size = full - 2 * padding
    draw_numbers(axes[2], total, f"output {size}×{size}", taps, color)
    frame = {"fill": False, "edgecolor": COLORS["grad"], "linestyle": "--"}
    corner = (padding - 0.5, padding - 0.5)
    axes[2].add_patch(Rectangle(corner, size, size, linewidth=2, **frame))
    return axes


def draw_matrix(ax, matrix, title: str = ""):
    """Draw a matrix, with numbers where it isn't 0."""
    matrix = np.asarray(matrix, dtype=float)
    high = np.abs(matrix).max()
    ax.imshow(matrix, cmap="RdBu", vmin=-2 * high, vmax=2 * high)
    for (i, j), value in np.ndenumerate(matrix):
        if value:
            ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=8)
    return _bare(ax, title)


def draw_conv_matrix(ax, kernel, size, stride: int = 1, transposed: bool = False):
    """Draw the matrix of a 2D convolution of an image of a size, without padding.

    Lines part the rows of the image, which is read row by row.
    """
    height, width = size
    places = [
        (i, j)
        for i in range(0, height - len(kernel) + 1, stride)
        for j in range(0, width - len(kernel[0]) + 1, stride)
    ]
    matrix = np.zeros((len(places), height, width))
    for row, (i, j) in zip(matrix, places, strict=True):
        row[i : i + len(kernel), j : j + len(kernel[0])] = kernel
    matrix = matrix.reshape(len(places), -1)
    shown = matrix.T if transposed else matrix
    draw_matrix(ax, shown, " × ".join(map(str, shown.shape)) + f", stride {stride}")
    for edge in range(width, height * width, width):
        line = ax.axhline if transposed else ax.axvline
        line(edge - 0.5, color=COLORS["muted"], linewidth=1)
    return ax


def draw_coverage(ax, kernel: int, stride: int, count: int = 6):
    """Draw how many copies of a ``kernel × kernel`` kernel reach each output pixel."""
    line = np.zeros((count - 1) * stride + kernel)
    for i in range(count):
        line[i * stride : i * stride + kernel] += 1
    times = np.outer(line, line)
    ax.imshow(times, cmap="Blues", vmin=0, vmax=1.5 * times.max())
    if len(line) < 18:
        for (i, j), value in np.ndenumerate(times):
            ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=8)
    inner = line[kernel - 1 : len(line) - kernel + 1]
    even = len(set(inner)) <= 1
    verdict = "even" if even else "uneven"
    title = f"kernel {kernel}, stride {stride}: {verdict} inside"
    return _bare(ax, title)


def _bare(ax, title: str = ""):
    ax.set_title(title, fontsize=10, loc="center")
    ax.axis("off")
    return ax
