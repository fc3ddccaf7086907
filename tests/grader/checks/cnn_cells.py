"""The cells of the assignment's text: its solutions, its stubs, its graded calls."""

import re
from functools import cache
from pathlib import Path

from tests.grader.checks.backprop_cells import stub
from tools.text import Cell, read_text

TEXT = Path(__file__).parents[3] / "authoring" / "assignments" / "04_cnn.py"
CALL = re.compile(r"^cnn\.(\w+)\((.*)\)$", re.MULTILINE)


@cache
def cells() -> tuple[Cell, ...]:
    return tuple(read_text(TEXT.read_text(encoding="utf-8"), TEXT.name))


def solution_sources() -> dict[str, str]:
    """The source of each solution cell, by grade id."""
    return {c.get("grade_id"): c.source for c in cells() if c.role == "solution"}


def graded_calls() -> list[tuple[str, float, str, list[str]]]:
    """Grade id, points, exercise and arguments of each cell with hidden tests."""
    calls = []
    for cell in cells():
        if cell.role == "tests":
            (name, arguments), *_ = CALL.findall(cell.source)
            points = float(dict(cell.attributes)["points"])
            calls.append((cell.get("grade_id"), points, name, arguments.split(", ")))
    return calls


def namespace(released: bool = False) -> dict:
    """The names that all solution cells define, solved or as students get them."""
    names: dict = {"__name__": "notebook"}
    for cell in cells():
        if "import numpy" in cell.source or "class Adam" in cell.source:
            exec(cell.source, names)
        elif cell.role == "solution":
            exec(stub(cell.source) if released else cell.source, names)
    return names
