"""The cells of the assignment's text: its solutions, its stubs, its graded calls."""

import re
from functools import cache
from pathlib import Path

from tools.text import Cell, read_text

TEXT = Path(__file__).parents[3] / "authoring" / "assignments" / "01_backprop.py"
REGION = re.compile(r"( *)### BEGIN SOLUTION\n.*?### END SOLUTION", re.DOTALL)
CALL = re.compile(r"^backprop\.(\w+)\((.*)\)$", re.MULTILINE)


@cache
def cells() -> tuple[Cell, ...]:
    return tuple(read_text(TEXT.read_text(encoding="utf-8"), TEXT.name))


def solution_sources() -> dict[str, str]:
    """The source of each solution cell, by grade id."""
    return {c.get("grade_id"): c.source for c in cells() if c.role == "solution"}


def stub(source: str) -> str:
    """What students get in place of a solution."""
    return REGION.sub(r"\1raise NotImplementedError()", source)


def graded_calls() -> list[tuple[str, float, str, list[str]]]:
    """Grade id, points, exercise and arguments of each cell with hidden tests."""
    calls = []
    for cell in cells():
        if cell.role == "tests":
            (name, arguments), *_ = CALL.findall(cell.source)
            points = float(dict(cell.attributes)["points"])
            calls.append((cell.get("grade_id"), points, name, arguments.split(", ")))
    return calls


def setup_namespace() -> dict:
    """What solution cells stand on: imports, and the numbers of the worksheet."""
    namespace: dict = {"__name__": "notebook"}
    for cell in cells():
        if cell.kind == "code" and cell.role in (None, "locked"):
            if "import numpy" in cell.source or "student =" in cell.source:
                exec(cell.source, namespace)
            if "def worksheet_numbers" in cell.source:
                exec(cell.source.split("\n\n\n")[0], namespace)
    return namespace


def namespace(released: bool = False) -> dict:
    """The names that all solution cells define, solved or as students get them."""
    names = setup_namespace()
    for source in solution_sources().values():
        exec(stub(source) if released else source, names)
    return names
