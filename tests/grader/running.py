"""Notebooks of a few cells, run as submissions are."""

import json

import nbformat
from nbformat import NotebookNode

from grader.execution import Limits, Task, run
from grader.plan import plan
from grader.student import Server
from grader.verdicts import Verdict, read_verdicts


def solution(source: str) -> NotebookNode:
    return _cell(source, solution=True)


def graded(source: str, points: float = 1) -> NotebookNode:
    return _cell(source, grade=True, locked=True, points=points)


def plain(source: str) -> NotebookNode:
    return nbformat.v4.new_code_cell(source)


def _cell(source: str, **tags) -> NotebookNode:
    cell = nbformat.v4.new_code_cell(source)
    kinds = {"grade": False, "solution": False, "task": False}
    cell.metadata["nbgrader"] = kinds | tags
    return cell


def task_of(*cells: NotebookNode, student: str | None = "ada", **limits: float) -> Task:
    """Return the task that has these cells run."""
    for i, cell in enumerate(cells):
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader["grade_id"] = f"t-{i}"
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    defaults = {"call_s": 3, "cell_s": 4, "notebook_s": 60}
    return Task(
        notebook=json.dumps(notebook),
        needs=plan(notebook),
        student=student,
        secret="between us",
        limits=Limits(**defaults | limits),
    )


def execute(
    server: Server, *cells: NotebookNode, student: str | None = "ada", **limits: float
) -> NotebookNode:
    """Return the executed notebook."""
    task = task_of(*cells, student=student, **limits)
    return nbformat.reads(run(Task.from_json(task.to_json()), server), as_version=4)


def verdicts(server: Server, *cells: NotebookNode, **limits: float) -> list[Verdict]:
    return read_verdicts(execute(server, *cells, **limits))


def printed(notebook: NotebookNode, i: int) -> str:
    """Return what cell ``i`` printed, or its error's name and text."""
    parts = []
    for output in notebook.cells[i].outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type == "error":
            parts.append(f"{output.ename}: {output.evalue}")
    return "".join(parts).strip()
