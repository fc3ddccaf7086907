"""Things to try in a lecture: figures with controls, questions with instant answers."""

import html
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display

from fovea.plotting import Picture, describe


class Explorer:
    """A figure and its controls; ``picture`` is what it shows at first."""

    def __init__(self, draw: Callable, figsize, controls: dict) -> None:
        self.draw = draw
        self.figsize = figsize
        self.controls = controls
        # Drawn now, so that a mistake in `draw` stops the cell that made it.
        self.picture = self.render(**self.values())

    def values(self) -> dict:
        """Return what each control is set to."""
        return {name: control.value for name, control in self.controls.items()}

    def render(self, **params) -> Picture:
        """Return the picture for these parameters."""
        fig, ax = plt.subplots(figsize=self.figsize)
        try:
            self.draw(ax, **params)
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
                handle.update(self.render(**self.values()))

        for control in self.controls.values():
            control.observe(redraw, names="value")


def _short(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def explore(draw: Callable, figsize=None, **ranges) -> Explorer:
    """Return a figure drawn by ``draw(ax, **params)``, with one control per parameter.

    A range ``(low, high, step)`` becomes a slider, a list becomes a menu; each starts
    at the default that ``draw`` gives its parameter. The docstring of ``draw`` says
    what is shown, for those who can't see it. Without a kernel the first picture
    stays. Errors of ``draw`` are never hidden.

    Raises ``ValueError`` if there is no docstring, or a range for no parameter.
    """
    if not inspect.getdoc(draw):
        raise ValueError(f"{draw.__name__} needs a docstring that says what it shows")
    parameters = inspect.signature(draw).parameters
    controls = {}
    for name, choices in ranges.items():
        if name not in parameters:
            known = ", ".join(list(parameters)[1:])
            raise ValueError(f"draw has no parameter {name!r}; it has: {known}")
        default = parameters[name].default
        control = ipywidgets.interactive.widget_from_abbrev(choices, default)
        control.description = name.replace("_", " ")
        control.style.description_width = "8em"
        controls[name] = control
    return Explorer(draw, figsize, controls)


@dataclass(frozen=True)
class Quiz:
    """A question whose options open to say whether, and why, they are right."""

    question: str
    reasons: dict[str, str]
    answer: str

    def check(self, option: str) -> str:
        """Return the feedback on ``option``; raise ``ValueError`` if it isn't one."""
        if option not in self.reasons:
            known = ", ".join(map(repr, self.reasons))
            raise ValueError(f"{option!r} is not an option; there are: {known}")
        verdict = "Right." if option == self.answer else "Not quite."
        return f"{verdict} {self.reasons[option]}"

    def __repr__(self) -> str:
        options = [f"- {option}" for option in self.reasons]
        return "\n".join([self.question, *options, f"Answer: {self.answer}"])

    def _repr_html_(self) -> str:
        # Plain HTML opens by mouse and keyboard, in JupyterLab and without a kernel.
        rows = [
            f"<details><summary>{html.escape(option)}</summary>"
            f"<p>{html.escape(self.check(option))}</p></details>"
            for option in self.reasons
        ]
        question = html.escape(self.question)
        return f"<p><strong>Check yourself.</strong> {question}</p>" + "".join(rows)


def quiz(question: str, right: str, *wrong: str) -> Quiz:
    """Return a question with instant answers, its options in alphabetical order.

    Each option is text such as ``"4: we count the matrices"``: the option, then why
    it is right or wrong. Raises ``ValueError`` if a reason is missing.
    """
    reasons = {}
    for option, colon, reason in sorted(
        text.partition(": ") for text in (right, *wrong)
    ):
        if not colon:
            raise ValueError(f"{option!r} has no reason; write 'option: reason'")
        reasons[option] = reason
    return Quiz(question, reasons, answer=right.partition(": ")[0])
