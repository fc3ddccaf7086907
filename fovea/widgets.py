"""Things to try in a lecture: figures with controls, questions with instant answers."""

import html
import inspect
from collections.abc import Callable
from dataclasses import dataclass

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display

from fovea.plotting import Picture, describe
from fovea.questions import QUESTIONS


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
        # Fixed margins: finding the best ones takes as long as drawing.
        fig, ax = plt.subplots(figsize=self.figsize, layout="none")
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
class Question:
    """A question whose options open to say whether, and why, they are right."""

    text: str
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
        return "\n".join([self.text, *options, f"Answer: {self.answer}"])

    def _repr_html_(self) -> str:
        # Plain HTML opens by mouse and keyboard, in JupyterLab and without a kernel.
        rows = [
            f"<details><summary>{html.escape(option)}</summary>"
            f"<p>{html.escape(self.check(option))}</p></details>"
            for option in self.reasons
        ]
        text = html.escape(self.text)
        return f"<p><strong>Check yourself.</strong> {text}</p>" + "".join(rows)


class Quiz(list[Question]):
    """Questions to show one below the other."""

    def __repr__(self) -> str:
        return "\n\n".join(map(repr, self))

    def _repr_html_(self) -> str:
        return "".join(question._repr_html_() for question in self)


def quiz(*names: str) -> Quiz:
    """Return the course's questions of these names, with instant answers.

    Raises ``ValueError`` if there is no question of that name.
    """
    for name in names:
        if name not in QUESTIONS:
            known = ", ".join(QUESTIONS)
            raise ValueError(f"no question is called {name!r}; there are: {known}")
    return Quiz(question(*QUESTIONS[name]) for name in names)


def question(text: str, right: str, *wrong: str) -> Question:
    """Return a question, its options in alphabetical order.

    Each option is text such as ``"4: We count the matrices."``: the option, then why
    it is right or wrong. Raises ``ValueError`` if a reason is missing.
    """
    reasons = {}
    for option, colon, reason in sorted(o.partition(": ") for o in (right, *wrong)):
        if not colon:
            raise ValueError(f"{option!r} has no reason; write 'option: reason'")
        reasons[option] = reason
    return Question(text, reasons, answer=right.partition(": ")[0])
