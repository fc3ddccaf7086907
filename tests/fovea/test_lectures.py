"""Every widget of every lecture draws, at both ends of each of its sliders."""

import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

from fovea import widgets

LECTURES = sorted(Path(__file__).parents[2].glob("authoring/lectures/*.py"))


@pytest.fixture(autouse=True)
def figures_in_memory():
    with plt.style.context("default"):
        matplotlib.use("agg")
        yield
    plt.close("all")


def explorers(lecture, monkeypatch):
    """Run the code cells in one namespace; return the widgets they made."""
    made = []
    explore = widgets.explore

    def record(*args, **ranges):
        made.append(explore(*args, **ranges))
        return made[-1]

    monkeypatch.setattr(widgets, "explore", record)
    cells = re.split(r"^# %%", lecture.read_text(), flags=re.MULTILINE)
    code = "\n".join(cell for cell in cells if not cell.startswith(" [markdown]"))
    exec(compile(code, str(lecture), "exec"), {"__name__": "__main__"})
    return made


def ends(control):
    if hasattr(control, "min"):
        return control.min, control.max
    return getattr(control, "options", (False, True))


@pytest.mark.slow
@pytest.mark.parametrize("lecture", LECTURES, ids=lambda path: path.stem)
def test_widgets_draw_at_both_ends_of_each_slider(lecture, monkeypatch):
    for explorer in explorers(lecture, monkeypatch):
        for name, control in explorer.controls.items():
            pictures = [
                explorer.render(**explorer.values() | {name: value}).png
                for value in ends(control)
            ]
            assert len(set(pictures)) == len(pictures), (explorer.draw, name)
