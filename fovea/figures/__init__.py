"""What all figures share, one colour per meaning and words for every picture.

The modules beside hold drawings that belong to one topic only.
"""

import base64
import html
import io
import re
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
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

# It remembers what it has parsed; matplotlib makes one for each figure, and then each
# label of a logarithmic axis takes 6 ms.
_FORMULAS = FigureCanvasAgg(Figure()).get_renderer().mathtext_parser


def use_style() -> None:
    """Load the course's matplotlib style for the figures that follow."""
    plt.style.use(Path(__file__).parents[1] / "fovea.mplstyle")


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
    # savefig gives the same bytes, but draws twice where a layout is computed
    dpi = plt.rcParams["savefig.dpi"]
    figure.set_dpi(figure.dpi if dpi == "figure" else dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.get_renderer().mathtext_parser = _FORMULAS
    canvas.print_png(buffer)
    plt.close(figure)
    return Picture(buffer.getvalue(), round(96 * figure.get_figwidth()), alt)


def as_numbers(values, name: str, *shapes: str, finite: bool = True) -> np.ndarray:
    """Return an array of one of the shapes, such as ``"(N, 2)"``, letters being sizes.

    ``values`` may be a tensor on any device. Raises ``ValueError`` for another shape,
    no value at all, and, if ``finite``, values that are nan or infinite.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().double()
    array = np.asarray(values, dtype=float)
    patterns = [re.sub("[A-Z]", r"[1-9]\\d*", re.escape(shape)) for shape in shapes]
    if not any(re.fullmatch(pattern, str(array.shape)) for pattern in patterns):
        known = " or ".join(shapes)
        raise ValueError(f"{name} has shape {array.shape}, expected {known}, not empty")
    if finite and (wrong := np.count_nonzero(~np.isfinite(array))):
        raise ValueError(f"{name} has {wrong} values that are nan or infinite")
    return array


def as_labels(values, name: str, num_classes: int, shape: str = "(N,)") -> np.ndarray:
    """Return an integer array; raise ``ValueError`` if one isn't such a label."""
    labels = as_numbers(values, name, shape)
    if wrong := set(labels.tolist()) - set(range(num_classes)):
        known = f"whole numbers from 0 to {num_classes - 1}"
        raise ValueError(f"{name} has the label {min(wrong):g}, expected {known}")
    return labels.astype(int)
