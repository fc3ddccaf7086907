"""Every lecture, run as its readers do; ``--durations`` prints times."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

LECTURES = sorted((Path(__file__).parents[1] / "lectures").glob("*.ipynb"))

# Runs before a lecture, and after it.
RECORD = """
import fovea.widgets
_explorers, _explore = [], fovea.widgets.explore
def _record(*arguments, **ranges):
    _explorers.append(_explore(*arguments, **ranges))
    return _explorers[-1]
fovea.widgets.explore = _record
"""
DRAW = """
def _ends(control):
    if hasattr(control, "min"):
        return control.min, control.max
    return getattr(control, "options", (False, True))

for _explorer in _explorers:
    for _name, _control in _explorer.controls.items():
        _all = [_explorer.values() | {_name: _end} for _end in _ends(_control)]
        _pictures = {_explorer.render(**_values).png for _values in _all}
        assert len(_pictures) == len(_all), (_explorer.draw, _name)
"""

pytestmark = pytest.mark.slow


def test_there_is_something_to_run():
    assert LECTURES


@pytest.mark.parametrize("path", LECTURES, ids=lambda path: path.stem)
def test_lecture_runs_and_its_widgets_draw_at_both_ends_of_each_slider(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(RECORD))
    notebook.cells.append(nbformat.v4.new_code_cell(DRAW))
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=300, resources=resources).execute()
    outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
    stderr = [o.text for o in outputs if o.get("name") == "stderr"]
    assert stderr == []
