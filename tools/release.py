"""What students get: nbgrader's release of a notebook, and the gate it must pass."""

import ast
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode

from tools.rules import (
    Source,
    parse_code,
    regions,
    resembles_marker,
    secret_lines,
    visible_lines,
)
from tools.text import Cell, Problem, Rejected

CODE_STUB = ("# YOUR CODE HERE", "raise NotImplementedError()")
TEXT_STUB = ("YOUR ANSWER HERE",)
# A shorter line, such as `return out`, says nothing about a solution.
TELLING_LENGTH = 12
NOTEBOOK_METADATA = {"kernelspec", "language_info"}
CELL_METADATA = {"nbgrader", "deletable", "editable"}
CELL_FIELDS = {"id", "cell_type", "metadata", "source", "outputs", "execution_count"}


class _Errors(logging.Handler):
    """Keeps the errors that nbgrader logs, and drops the rest."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage().strip().split("\n")[-1])


def release_text(solution: str, assignment: str, notebook: str) -> str:
    """What `nbgrader generate_assignment` makes of a solution, as a file's text.

    nbgrader's own converter runs, with its defaults and no database, in a temporary
    course.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import Config

    errors = _Errors()
    log = logging.Logger("release")
    log.addHandler(errors)
    config = Config()
    config.SaveCells.enabled = False
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        source = root / "source" / assignment / f"{notebook}.ipynb"
        source.parent.mkdir(parents=True)
        source.write_text(solution, encoding="utf-8")
        names = {"root": str(root), "assignment_id": assignment}
        course = CourseDirectory(**names, config=config, log=log)
        converter = GenerateAssignment(
            coursedir=course, no_database=True, config=config, log=log
        )
        try:
            converter.start()
        except NbGraderException:
            found = "nbgrader's error: " + "; ".join(errors.lines)
            expected = "a notebook that nbgrader releases"
            todo = "correct the text"
            raise Rejected([Problem(assignment, found, expected, todo)]) from None
        released = root / "release" / assignment / source.name
        return released.read_text(encoding="utf-8")


def gate_problems(source: Source, release: NotebookNode) -> Iterator[Problem]:
    """What reaches students and must not, or must and doesn't, in one release."""
    if len(release.cells) != len(source.cells):
        found = f"{len(release.cells)} cells in the release"
        expected = f"the {len(source.cells)} of the text"
        yield Problem(source.path, found, expected, "find out what nbgrader did")
        return
    if extra := set(release.metadata) - NOTEBOOK_METADATA:
        found = f"metadata {sorted(extra)} in the release"
        yield Problem(source.path, found, "the kernel alone", "delete it")
    visible = {s.strip() for cell in source.cells for s in visible_lines(cell)}
    secret = {s.strip() for cell in source.cells for s in secret_lines(cell)} - visible
    for cell, released in zip(source.cells, release.cells, strict=True):
        for found in _leaks(cell, released, secret):
            todo = "look at this cell and its markers"
            found = f"{found} in the release"
            yield source.problem(cell, found, "nothing of the kind", todo)
        if cell.kind == "code":
            yield from _stub_problems(source, cell, released)


def _leaks(cell: Cell, released: NotebookNode, secret: set[str]) -> Iterator[str]:
    """What a released cell shows and must not."""
    if released.get("outputs") or released.get("execution_count"):
        yield "an output"
    if extra := set(released.metadata) - CELL_METADATA:
        yield f"metadata {sorted(extra)}"
    if extra := set(released) - CELL_FIELDS:
        yield f"{sorted(extra)}"
    for line in map(str.strip, released.source.split("\n")):
        if resembles_marker(line, released.cell_type):
            yield f"the marker {line!r}"
        if line in secret and len("".join(line.split())) >= TELLING_LENGTH:
            yield f"the hidden line {line!r}"
    if released.source.strip() != "\n".join(_expected_lines(cell)).strip():
        yield f"the unexpected text {released.source!r}"


def _expected_lines(cell: Cell) -> Iterator[str]:
    """The lines of a released cell, found without nbgrader."""
    stub = CODE_STUB if cell.kind == "code" else TEXT_STUB
    begins = {region[0] for region in regions(cell)}
    marked = {i for region in regions(cell) for i in region}
    for i, line in enumerate(cell.lines):
        if i in begins and cell.role != "tests":
            indent = line[: len(line) - len(line.lstrip())]
            yield from (indent + text for text in stub)
        elif i not in marked:
            yield line


def _stub_problems(
    source: Source, cell: Cell, released: NotebookNode
) -> Iterator[Problem]:
    """A released code cell that doesn't parse, or whose marked lines are no code."""
    try:
        tree = parse_code(released.source)
    except SyntaxError as error:
        found = f"{error.msg}, in the release"
        expected = "Python, once the marked regions are replaced"
        yield source.problem(cell, found, expected, "move the markers")
        return
    raises = {node.lineno for node in ast.walk(tree) if isinstance(node, ast.Raise)}
    lines = enumerate(released.source.split("\n"), 1)
    stubs = {number for number, line in lines if line.strip() == CODE_STUB[-1]}
    todo = "move the markers out of the string, or the magic, that swallows them"
    if stubs - raises:
        expected = f"{CODE_STUB[-1]} as a statement"
        yield source.problem(cell, "a stub that never raises", expected, todo)
    if cell.role == "tests" and _size(tree) == _size(parse_code(cell.source)):
        expected = "statements between the markers"
        yield source.problem(cell, "hidden tests that never run", expected, todo)


def _size(tree: ast.Module) -> int:
    return sum(isinstance(node, ast.stmt) for node in ast.walk(tree))
