"""Grade one notebook: for a person learning alone, and for anyone before handing in."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from grader.course import Assignment, BadInput, Course
from grader.execution import Limits
from grader.reading import Damaged, read_cells
from grader.verdicts import Verdict, read_verdicts
from grader.worker import WorkerFailed


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The verdicts on one notebook, and notes on what was out of place in it."""

    assignment: str
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]

    @property
    def automatic(self) -> list[Verdict]:
        return [v for v in self.verdicts if v.score is not None]

    @property
    def score(self) -> float:
        return round(sum(v.score for v in self.automatic), 6)

    @property
    def max_score(self) -> float:
        return round(sum(v.max_score for v in self.automatic), 6)

    def to_dict(self) -> dict[str, Any]:
        """Return the verdicts as data that JSON can hold; ``score`` counts automatic
        cells."""
        return {
            "assignment": self.assignment,
            "score": self.score,
            "max": self.max_score,
            "manual_max": round(
                sum(v.max_score for v in self.verdicts if v.score is None), 6
            ),
            "cells": [v.to_dict() for v in self.verdicts],
            "notes": list(self.notes),
        }


def check_notebook(
    path: Path,
    *,
    assignment: str | None = None,
    student: str | None = None,
    limits: Limits,
    sandbox: bool = True,
) -> Checked:
    """Return the verdicts on the notebook at ``path``.

    The assignment is told from the file's name or cells unless it is given. Numbers
    that differ for each student are those of ``student``, or of the name that the
    notebook itself uses.
    """
    from grader.nbgrader_hooks import make_task, rebuild_file, run_here

    if not path.exists():
        raise BadInput(
            f"there is no {path}; expected the path of a notebook, such as"
            " assignments/01_backprop/backprop.ipynb"
        )
    if path.is_dir():
        raise BadInput(f"{path} is a folder; expected the notebook in it")
    course = Course.find()
    try:
        found = _find(course, path, assignment)
        rebuilt = rebuild_file(path, found)
    except Damaged as error:
        raise BadInput(f"{path} cannot be graded: {error}") from None
    # one's own numbers are drawn from the name alone
    task = make_task(rebuilt.notebook, student, found, limits, secret="")
    try:
        executed = nbformat.reads(run_here(task, sandbox), as_version=4)
    except WorkerFailed as error:
        raise BadInput(f"{path} could not be graded: {error}") from None
    return Checked(
        assignment=found.name,
        verdicts=tuple(read_verdicts(executed)),
        notes=tuple(rebuilt.notes),
    )


def _find(course: Course, path: Path, name: str | None) -> Assignment:
    if name:
        return course.assignment(name)
    grade_ids = (cell["nbgrader"].get("grade_id") for cell in read_cells(path))
    return course.assignment_of(path, {g for g in grade_ids if isinstance(g, str)})
