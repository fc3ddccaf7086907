"""The instructor's answers, to be handed in or typed."""

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

ASSIGNMENT = "01_backprop"
NOTEBOOK = "backprop"
_MARKER = re.compile(r"^[ \t]*### (BEGIN|END) SOLUTION[ \t]*\n?", re.MULTILINE)


def read(course: Path, folder: str) -> NotebookNode:
    """Return the assignment's notebook in ``solutions`` or ``assignments``."""
    path = course / folder / ASSIGNMENT / f"{NOTEBOOK}.ipynb"
    return nbformat.read(path, as_version=4)


def place(cells: list[dict], grade_id: str) -> int:
    """Return the position of the cell with a grade id."""
    ids = [cell["metadata"].get("nbgrader", {}).get("grade_id") for cell in cells]
    return ids.index(grade_id)


def answer_of(course: Path, grade_id: str) -> str:
    """Return the instructor's answer, without its markers."""
    cells = read(course, "solutions").cells
    return _MARKER.sub("", cells[place(cells, grade_id)].source)


def hand_in(course: Path, student: str, answers: dict[str, str]) -> None:
    """Put a student's work into the class: ``answers`` by grade id."""
    notebook = read(course, "assignments")
    for grade_id, text in answers.items():
        notebook.cells[place(notebook.cells, grade_id)].source = text
    folder = course / "submitted" / student / ASSIGNMENT
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / f"{NOTEBOOK}.ipynb")
