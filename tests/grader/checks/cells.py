"""The cells of an assignment's text: its solutions, its stubs, its graded calls."""

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from tools.text import Cell, read_text

TEXTS = Path(__file__).parents[3] / "authoring" / "assignments"
REGION = re.compile(r"( *)### BEGIN SOLUTION\n.*?### END SOLUTION", re.DOTALL)


class Cells:
    """The text of one assignment, such as ``"04_cnn"``.

    Solution cells stand on the ungraded cells that hold one of the words ``needs``; of
    a cell in ``beginnings``, on its first definition alone.
    """

    def __init__(self, name: str, *needs: str, beginnings: tuple[str, ...] = ()):
        self.path, self.topic = TEXTS / f"{name}.py", name[3:]
        self.call = re.compile(rf"^{self.topic}\.(\w+)\((.*)\)$", re.MULTILINE)
        self.needs, self.beginnings = needs, beginnings

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        text = self.path.read_text(encoding="utf-8")
        return tuple(read_text(text, self.path.name))

    def solution_sources(self) -> dict[str, str]:
        """The source of each solution cell, by grade id."""
        solutions = (c for c in self.cells if c.role == "solution")
        return {c.get("grade_id"): c.source for c in solutions}

    def graded_calls(self) -> list[tuple[str, float, str, list[str]]]:
        """Grade id, points, exercise and arguments of each cell with hidden tests."""
        calls = []
        for cell in self.cells:
            if cell.role == "tests":
                (name, arguments), *_ = self.call.findall(cell.source)
                points = float(dict(cell.attributes)["points"])
                arguments = arguments.split(", ")
                calls.append((cell.get("grade_id"), points, name, arguments))
        return calls

    def sources(self, released: bool = False) -> Iterator[str]:
        """The code that defines all solutions, or the stubs that students get."""
        for cell in self.cells:
            if cell.role == "solution":
                yield stub(cell.source) if released else cell.source
            elif cell.kind == "code" and cell.role in (None, "locked"):
                if any(word in cell.source for word in self.needs):
                    yield cell.source
                elif any(word in cell.source for word in self.beginnings):
                    yield cell.source.split("\n\n\n")[0]

    def namespace(self, released: bool = False) -> dict:
        """The names that all solution cells define, solved or as students get them."""
        names: dict = {"__name__": "notebook"}
        for source in self.sources(released):
            exec(source, names)
        return names


def stub(source: str) -> str:
    """What students get in place of a solution."""
    return REGION.sub(r"\1raise NotImplementedError()", source)


BACKPROP = Cells(
    "01_backprop",
    "import numpy",
    "student =",
    beginnings=("def worksheet_numbers",),
)
OPTIMIZERS = Cells("02_optimizers", "import numpy", "class TwoLayerNet")
CNN = Cells("04_cnn", "import numpy", "class Adam")
