"""Drawings of the lecture on optimizers."""

import numpy as np
from matplotlib.axes import Axes

from fovea.figures import COLORS

# A surface with one flat and one steep direction
CURVATURE = np.array([1.0, 20.0])


def draw_ravine(ax: Axes) -> Axes:
    """Draw contour lines of f(w) = (w₀² + 20 w₁²) / 2 around its minimum at (0, 0)."""
    x, y = np.meshgrid(np.linspace(-4.6, 2.6, 121), np.linspace(-1.7, 1.7, 81))
    height = 0.5 * (CURVATURE[0] * x**2 + CURVATURE[1] * y**2)
    levels = np.geomspace(0.05, 25, 9)
    ax.contour(x, y, height, levels=levels, colors="#CCCCCC", linewidths=1, zorder=0)
    ax.plot(0, 0, "*", color="black", markersize=9)
    ax.set(xlabel="w₀, flat", ylabel="w₁, steep", xlim=(-4.6, 2.6), ylim=(-1.7, 1.7))
    return ax


def draw_path(ax: Axes, path, label: str = "") -> Axes:
    """Draw a path ``(N, 2)``: a dot for each step, a ring around the last one."""
    path = np.asarray(path)
    (line,) = ax.plot(*path.T, ".-", linewidth=1.2, markersize=5, label=label)
    ax.plot(*path[-1], "o", fillstyle="none", markersize=10, color=line.get_color())
    return ax


def draw_parabola_steps(ax: Axes, factor: float, num_steps: int = 8) -> Axes:
    """Draw steps on w²/2 whose place is multiplied by ``factor`` each time, from 1."""
    grid = np.linspace(-1.6, 1.6, 101)
    ax.plot(grid, 0.5 * grid**2, color=COLORS["muted"], linewidth=1)
    places = factor ** np.arange(num_steps + 1.0)
    places = places[np.abs(places) < 1.6]
    ax.plot(places, 0.5 * places**2, ".-", color=COLORS["grad"], linewidth=1)
    ax.set(xlabel="w", xlim=(-1.6, 1.6), ylim=(-0.08, 1.3), yticks=[])
    return ax
