"""Drawings of the lecture on convolution: windows that step over small images."""

import numpy as np
from matplotlib.patches import Rectangle

from fovea.figures import COLORS


def draw_numbers(ax, values, title: str = "", marked=None, color: str = "black"):
    """Draw a small matrix as a grid of numbers, with frames around those marked.

    ``values (H, W)``: nan leaves a place empty. ``marked (H, W)``: true gets a frame.
    """
    values = np.asarray(values, dtype=float)
    shown = np.abs(np.nan_to_num(values))
    ax.imshow(shown, cmap="Blues", vmin=0, vmax=2.5 * max(shown.max(), 1e-9))
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            ax.text(j, i, f"{value:g}", ha="center", va="center", fontsize=9)
        if marked is not None and marked[i, j]:
            frame = {"fill": False, "edgecolor": color, "linewidth": 2}
            ax.add_patch(Rectangle((j - 0.44, i - 0.44), 0.88, 0.88, **frame))
    ax.set_title(title, fontsize=10, loc="center")
    ax.axis("off")
    return ax


def draw_forward_step(axes, image, kernel, step, stride, pad, dilation):
    """Draw the padded image with a window, the kernel, and the output so far.

    ``step`` counts windows from 1, row by row, and stops at the last one.
    """
    padded = np.pad(image, pad)
    outputs = _outputs(padded, kernel, stride, dilation)
    step = min(step, outputs.size)
    here = np.unravel_index(step - 1, outputs.shape)
    taps = _taps(padded.shape, kernel.shape, here, stride, dilation)
    known = np.where(np.arange(outputs.size) < step, outputs.ravel(), np.nan)
    current = np.arange(outputs.size).reshape(outputs.shape) == step - 1
    color = COLORS["value"]
    size = f"{len(image)}×{len(image)}" + f", {pad} zeros around" * bool(pad)
    draw_numbers(axes[0], padded, f"image {size}", taps, color)
    _outline(axes[0], pad, len(image))
    draw_numbers(axes[1], kernel, "kernel")
    title = f"output {outputs.shape[0]}×{outputs.shape[1]}: {outputs[here]:g}"
    draw_numbers(axes[2], known.reshape(outputs.shape), title, current, color)
    return axes


def draw_backward_step(axes, dout, kernel, size, step, stride, pad):
    """Draw dout, the kernel, and what the first windows have sent to the image.

    The image has ``size`` rows and columns; its padding is shown outside the dashed
    line, and framed is what the current window adds to.
    """
    step = min(step, dout.size)
    shape = (size + 2 * pad,) * 2
    # nan: no window has sent anything yet
    received = np.full(shape, np.nan)
    for k in range(step):
        here = np.unravel_index(k, dout.shape)
        taps = _taps(shape, kernel.shape, here, stride, 1)
        received[taps] = np.nan_to_num(received[taps]) + dout[here] * kernel.ravel()
    current = np.arange(dout.size).reshape(dout.shape) == step - 1
    color = COLORS["grad"]
    draw_numbers(
        axes[0], dout, f"dout: window {step} sends {dout[here]:g}", current, color
    )
    draw_numbers(axes[1], kernel, "times the kernel")
    draw_numbers(axes[2], received, "into dx, where it adds up", taps, color)
    _outline(axes[2], pad, size)
    return axes


def _outline(ax, pad: int, size: int) -> None:
    """Show where the image ends and its padding begins."""
    frame = {"fill": False, "edgecolor": COLORS["muted"], "linestyle": "--"}
    if pad:
        ax.add_patch(Rectangle((pad - 0.5, pad - 0.5), size, size, **frame))


def _taps(shape, kernel_shape, place, stride, dilation) -> np.ndarray:
    """Return where the window of an output lies, as a mask."""
    rows, columns = (
        stride * start + dilation * np.arange(count)
        for start, count in zip(place, kernel_shape, strict=True)
    )
    taps = np.zeros(shape, dtype=bool)
    taps[np.ix_(rows, columns)] = True
    return taps


def _outputs(padded, kernel, stride, dilation) -> np.ndarray:
    spans = [dilation * (k - 1) + 1 for k in kernel.shape]
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans)
    windows = windows[::stride, ::stride, ::dilation, ::dilation]
    return (windows * kernel).sum(axis=(2, 3))


def draw_footprint(ax, gradient, title: str = ""):
    """Draw which pixels of an image an output depends on, strongest darkest."""
    ax.imshow(np.abs(gradient), cmap="Blues")
    rows, columns = np.nonzero(gradient)
    corner = columns.min() - 0.5, rows.min() - 0.5
    sides = np.ptp(columns) + 1, np.ptp(rows) + 1
    frame = {"fill": False, "edgecolor": COLORS["grad"], "linewidth": 2}
    ax.add_patch(Rectangle(corner, *sides, **frame))
    ax.set_title(title, fontsize=10, loc="center")
    ax.axis("off")
    return ax
