"""Drawings of the lecture on recurrent networks: unrolled in time, gates, attention."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

from fovea.figures import COLORS

# Fills of what goes in, is remembered, and comes out
FILLS = {"x": "#DCEAF3", "h": "#E4E4E4", "y": "#F8E2D3"}
# Where the parts of an LSTM step stand; a gate and what it multiplies have one x
GATES = {"f": (2.2, 1.2), "i": (4.1, 1.2), "g": (5.9, 1.2), "o": (8.4, 1.2)}
NODES = {
    "×f": (2.2, 4),
    "+": (5, 4),
    "×i": (5, 2.7),
    "tanh": (9.6, 3.1),
    "×o": (9.6, 2),
}
FUNCTIONS = {"f": "σ", "i": "σ", "g": "tanh", "o": "σ"}


def draw_kind(ax: Axes, inputs: str, outputs: str, layers: int = 1, title: str = ""):
    """Draw a recurrent network in time; ``"x"`` marks steps with input or output."""
    for t, (has_x, has_y) in enumerate(zip(inputs, outputs, strict=True)):
        column = ["x"] * (has_x == "x") + ["h"] * layers + ["y"] * (has_y == "x")
        bottom = 0 if has_x == "x" else 1
        for row, kind in enumerate(column, start=bottom):
            _box(ax, t, row, kind, FILLS[kind])
            if row > bottom:
                _arrow(ax, (t, row - 0.72), (t, row - 0.28))
        for row in range(1, 1 + layers if t else 1):
            _arrow(ax, (t - 0.7, row), (t - 0.3, row))
    ax.set(xlim=(-0.5, len(inputs) - 0.5), ylim=(-0.5, layers + 1.5), aspect="equal")
    ax.set_title(title, fontsize=10, loc="center")
    ax.axis("off")
    return ax


def draw_unrolled(ax: Axes, letters: str, states, step: int) -> Axes:
    """Draw a network unrolled over letters, with its states ``(T + 1, H)`` so far.

    ``states[0]`` is the state before the first letter; those after ``step`` are hidden.
    """
    states = np.asarray(states)
    for t, state in enumerate(states):
        for unit, value in enumerate(state):
            y = 1 + 0.5 * unit
            known = t <= step
            shade = (0, 0.45, 0.7) if value > 0 else (0.84, 0.37, 0)
            alpha = 0.6 * abs(value) if known else 0
            place = (t - 0.3, y - 0.22)
            ax.add_patch(Rectangle(place, 0.6, 0.44, fc=(*shade, alpha), ec="#999999"))
            if known:
                ax.text(t, y, f"{value:.2f}", ha="center", va="center", fontsize=8)
        if t:
            color = "black" if t <= step else "#BBBBBB"
            middle = 1 + 0.25 * (len(state) - 1)
            ax.text(t, -0.1, letters[t - 1], ha="center", fontsize=13, color=color)
            _arrow(ax, (t, 0.25), (t, 0.75), color)
            _arrow(ax, (t - 0.68, middle), (t - 0.32, middle), color)
            ax.text(t + 0.08, 0.42, "Wx", fontsize=8, color=color)
            ax.text(t - 0.5, middle + 0.1, "Wh", fontsize=8, color=color, ha="center")
        ax.text(t, 0.78 + 0.5 * len(state), f"h{t}", ha="center", fontsize=9)
    ax.set(xlim=(-0.5, len(states) - 0.5), ylim=(-0.3, 1.2 + 0.5 * len(states[0])))
    ax.set_title(f"After {step} of {len(letters)} letters: the same weights each time")
    ax.axis("off")
    return ax


def draw_lstm(ax: Axes, values: dict | None = None) -> Axes:
    """Draw one step of an LSTM from its equations, with numbers of a unit, if given.

    ``values`` may have numbers for ``f i g o``, ``c0`` and ``c1``, the cell before and
    after the step, and ``h1``, the output.
    """
    values = values or {}
    ax.plot([0.6, 11], [4, 4], color=COLORS["value"], linewidth=5, zorder=0)
    ax.plot([0.6, 8.4], [0.2, 0.2], color="black", linewidth=1)
    for name, (x, y) in GATES.items():
        _arrow(ax, (x, 0.2), (x, y - 0.47))
        number = f"\n{values[name]:.2f}" if name in values else ""
        color = "white" if name == "g" else "#F8E2D3"
        _box(ax, x, y, FUNCTIONS[name] + number, color, 1.1, 0.94)
        # Beside the wire that leads upwards
        beside = x + (0.2 if name == "g" else -0.2)
        ax.text(beside, y + 0.56, name, ha="center", fontsize=11, weight="bold")
    for start, end in _wires():
        _arrow(ax, start, end)
    for name, (x, y) in NODES.items():
        style = {"boxstyle": "circle,pad=0.25" if name != "tanh" else "round,pad=0.3"}
        box = style | {"fc": "white", "ec": "black"}
        ax.text(x, y, name[:1] if name != "tanh" else name, bbox=box, **_CENTER)
    ends = {"c0": (0.5, 4, "$c_{t-1}$"), "c1": (11.1, 4, "$c_t$")}
    ends |= {"h0": (0.5, 0.2, "$h_{t-1}, x_t$"), "h1": (11.1, 2, "$h_t$")}
    for name, (x, y, label) in ends.items():
        number = f"\n{values[name]:.2f}" if name in values else ""
        ax.text(x, y, label + number, ha="right" if x < 1 else "left", va="center")
    ax.set(xlim=(-1.2, 12.2), ylim=(-0.2, 4.6))
    ax.axis("off")
    return ax


_CENTER = {"ha": "center", "va": "center", "fontsize": 9}


def _wires() -> list[tuple]:
    """Return where arrows between the parts of an LSTM step start and end."""
    return [
        ((2.2, 1.67), (2.2, 3.78)),
        ((4.1, 1.67), (4.83, 2.55)),
        ((5.9, 1.67), (5.17, 2.55)),
        ((5, 2.9), (5, 3.78)),
        ((9.6, 4), (9.6, 3.35)),
        ((9.6, 2.85), (9.6, 2.22)),
        ((8.95, 1.4), (9.44, 1.82)),
        ((9.8, 2), (11, 2)),
    ]


def _box(ax, x, y, text, color, width=0.56, height=0.56) -> None:
    corner = (x - width / 2, y - height / 2)
    style = {"boxstyle": "round,pad=0,rounding_size=0.1", "fc": color, "ec": "#555555"}
    ax.add_patch(FancyBboxPatch(corner, width, height, **style))
    ax.text(x, y, text, **_CENTER)


def _arrow(ax, start, end, color="black") -> None:
    arrow = {"arrowstyle": "-|>", "color": color, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", xy=end, xytext=start, arrowprops=arrow)


def draw_gates(ax: Axes, gates: dict, step: int) -> Axes:
    """Draw a unit's named values over the steps of a sequence; mark one step."""
    looks = ("-", "--", ":", "-.")
    for (name, values), look in zip(gates.items(), looks, strict=False):
        ax.plot(range(1, len(values) + 1), values, look, label=name)
    ax.axvline(step, color=COLORS["muted"], linewidth=6, alpha=0.35)
    ax.set(xlabel="step", ylabel="value")
    ax.legend(frameon=True, ncols=2)
    return ax


def draw_attention(axes, image, words, maps) -> None:
    """Draw an image ``(3, H, W)``, then where attention ``(T, h, w)`` was at each word.

    A map brightens what is attended to: its largest value leaves the image as it is.
    """
    tight = {"left": 0.01, "right": 0.99, "bottom": 0.02, "top": 0.82}
    axes.flat[0].figure.subplots_adjust(**tight, wspace=0.08, hspace=0.25)
    image = np.moveaxis(np.asarray(image), 0, -1)
    for ax in axes.flat:
        ax.axis("off")
    axes.flat[0].imshow(image)
    axes.flat[0].set_title("the image", loc="center", fontsize=10)
    for ax, word, weights in zip(axes.flat[1:], words, maps, strict=False):
        weights = np.asarray(weights) / np.asarray(weights).max()
        factor = len(image) // len(weights)
        light = np.kron(weights, np.ones((factor, factor)))[..., None]
        ax.imshow(image * (0.25 + 0.75 * light))
        ax.set_title(word, loc="center", fontsize=10)
