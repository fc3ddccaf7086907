"""Things to try in a lecture: figures with controls, questions with instant answers."""

import inspect
from collections.abc import Callable

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display

from fovea.plotting import Picture, describe

# Lectures import both kinds of widgets from here.
from fovea.questions import quiz  # noqa: F401


class Explorer:
    """A figure and its controls; ``picture`` is what it shows."""

    def __init__(self, draw: Callable, figsize, subplots, controls: dict) -> None:
        self.draw, self.controls = draw, controls
        self.figsize, self.subplots = figsize, subplots
        # Drawn now, so that a mistake in `draw` stops the cell that made it.
        self.picture = self.render(**self.values())

    def values(self) -> dict:
        """Return what each control is set to."""
        return {name: control.value for name, control in self.controls.items()}

    def render(self, **params) -> Picture:
        """Return the picture for these parameters."""
        # Fixed margins: finding the best ones takes as long as drawing.
        options = {"layout": "none", "gridspec_kw": {"wspace": 0.35, "hspace": 0.5}}
        fig, axes = plt.subplots(*self.subplots, figsize=self.figsize, **options)
        try:
            self.draw(axes, **params)
            shown = [f"{name} = {_short(value)}" for name, value in params.items()]
            words = inspect.getdoc(self.draw)
            return describe(fig, f"{words} Shown for {', '.join(shown)}.")
        finally:
            plt.close(fig)

    def _ipython_display_(self) -> None:
        errors = ipywidgets.Output()
        box = ipywidgets.VBox([*self.controls.values(), errors])
        bundle = box._repr_mimebundle_()
        names = ", ".join(self.controls)
        bundle["text/plain"] = f"Run this cell in Jupyter to change: {names}."
        display(bundle, raw=True)
        # The figure is an output of its own: it stays when no kernel is there.
        handle = display(self.picture, display_id=True)

        def redraw(change) -> None:
            errors.clear_output()
            with errors:
                self.picture = self.render(**self.values())
                handle.update(self.picture)

        for control in self.controls.values():
            control.observe(redraw, names="value")


def _short(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def explore(draw: Callable, figsize=None, subplots=(1, 1), **ranges) -> Explorer:
    """Return a figure drawn by ``draw(ax, **params)``, with one control per parameter.

    A range ``(low, high, step)`` becomes a slider, a list a menu, True or False a
    checkbox; each starts at the default that ``draw`` gives its parameter. With
    ``subplots``, rows and columns, ``draw`` gets the array of axes, side by side as
    ``plt.subplots`` makes them. The docstring of ``draw`` says what is shown, for those
    who can't see it. Without a kernel the first picture stays. Errors of ``draw`` are
    never hidden.

    Raises ``ValueError`` if there is no docstring, a range for no parameter, or a
    default outside its range.
    """
    if not inspect.getdoc(draw):
        raise ValueError(f"{draw.__name__} needs a docstring that says what it shows")
    parameters = inspect.signature(draw).parameters
    controls = {}
    for name, choices in ranges.items():
        if name not in parameters:
            known = ", ".join(list(parameters)[1:])
            raise ValueError(f"draw has no parameter {name!r}; it has: {known}")
        controls[name] = _control(name, choices, parameters[name].default)
    return Explorer(draw, figsize, subplots, controls)


def _control(name: str, choices, default):
    """Return the control of a range, set to the default of ``draw``."""
    control = ipywidgets.interactive.widget_from_abbrev(choices, default)
    needed = default is not inspect.Parameter.empty
    if control is None or needed and control.value != default:
        raise ValueError(f"{name}: no control of {choices!r} can start at {default!r}")
    control.description = name.replace("_", " ")
    control.style.description_width = "8em"
    control.layout.width, control.layout.max_width = "36em", "100%"
    if isinstance(control, ipywidgets.FloatSlider):
        # As many decimals as a step has, where the usual two would hide it
        decimals = len(f"{control.step:.9f}".rstrip("0").partition(".")[2])
        control.readout_format = f".{max(2, decimals)}f"
    return control
