"""From an executed notebook to typed verdicts, one for each graded cell, and to the
result of the whole."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode

from grader.cells import is_graded, is_manual
from grader.checking import VERDICT_MIME
from grader.execution import NOT_GRADED

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_UNDEFINED = re.compile(r"name '(\w+)' is not defined")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The points of one graded cell; ``score`` is ``None`` where a person gives them.

    ``mistake`` holds the names of the mistakes that were recognised, ``message`` what
    the student reads; both are empty where all is well.
    """

    grade_id: str
    score: float | None
    max_score: float
    mistake: str = ""
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as data that JSON can hold."""
        return {
            "grade_id": self.grade_id,
            "score": self.score,
            "max": self.max_score,
            "mistake": self.mistake or None,
            "message": self.message or None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Verdict":
        """Return the verdict that ``to_dict`` wrote down."""
        return cls(
            grade_id=data["grade_id"],
            score=data["score"],
            max_score=data["max"],
            mistake=data["mistake"] or "",
            message=data["message"] or "",
        )


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one submission; ``problem`` is one line if it could not be
    graded.

    ``flags`` name what the student's side did wrong, ``sandbox`` says what kept it in,
    ``seconds`` how long each part took; ``skipped`` tells that an earlier run graded
    it.
    """

    student: str
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    sandbox: str = "none"
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    problem: str = ""
    late_s: float = 0
    skipped: bool = field(default=False, compare=False)

    @property
    def score(self) -> float:
        return round(sum(v.score for v in self.verdicts if v.score is not None), 6)

    @property
    def max_score(self) -> float:
        return round(sum(v.max_score for v in self.verdicts if v.score is not None), 6)

    @property
    def manual_max(self) -> float:
        return round(sum(v.max_score for v in self.verdicts if v.score is None), 6)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as data that JSON can hold; points are those of automatic
        cells."""
        return {
            "student": self.student,
            "score": None if self.problem else self.score,
            "max": self.max_score,
            "manual_max": self.manual_max,
            "late_s": self.late_s,
            "problem": self.problem or None,
            "notes": list(self.notes),
            "flags": list(self.flags),
            "sandbox": self.sandbox,
            "seconds": dict(self.seconds),
            "cells": [v.to_dict() for v in self.verdicts],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Result":
        """Return the result that ``to_dict`` wrote down."""
        return cls(
            student=data["student"],
            verdicts=tuple(Verdict.from_dict(cell) for cell in data["cells"]),
            notes=tuple(data["notes"]),
            flags=tuple(data["flags"]),
            sandbox=data["sandbox"],
            seconds=data["seconds"],
            problem=data["problem"] or "",
            late_s=data["late_s"],
        )


def read_result(student: str, notebook: NotebookNode, late_s: float) -> Result:
    """Return the result of an executed notebook that was ``late_s`` seconds late."""
    about = notebook.metadata.get("fovea", {})
    return Result(
        student=student,
        verdicts=tuple(read_verdicts(notebook)),
        notes=tuple(about.get("notes", ())),
        flags=tuple(about.get("flags", ())),
        sandbox=about.get("sandbox", "none"),
        seconds=dict(about.get("seconds", {})),
        late_s=late_s,
    )


def read_verdicts(notebook: NotebookNode) -> list[Verdict]:
    """Return the verdict of each graded cell of an executed notebook, in its order."""
    return [read_verdict(cell) for cell in notebook.cells if is_graded(cell)]


def read_verdict(cell: NotebookNode) -> Verdict:
    """Return the verdict of one graded cell.

    A ``Report`` among the outputs decides. A cell without one passes if it ran to its
    end without an error, as nbgrader's own cells do. What did not run scores 0.
    """
    grade_id, points = (
        cell.metadata.nbgrader["grade_id"],
        float(cell.metadata.nbgrader["points"]),
    )
    if is_manual(cell):
        return Verdict(
            grade_id=grade_id,
            score=None,
            max_score=points,
            message="graded by a person",
        )
    score, mistake, message = _judge(cell, points)
    return Verdict(
        grade_id=grade_id,
        score=score,
        max_score=points,
        mistake=mistake,
        message=message,
    )


def _judge(cell: NotebookNode, points: float) -> tuple[float, str, str]:
    errors = [o for o in cell.outputs if o.output_type == "error"]
    if errors:
        return 0.0, "", _error_message(errors[-1])
    reports = [
        output.data[VERDICT_MIME]
        for output in cell.outputs
        if output.output_type == "execute_result" and VERDICT_MIME in output.data
    ]
    if reports:
        return _read_report(reports[-1], points)
    if cell.execution_count is None:
        return 0.0, "", "not run"
    results = [o for o in cell.outputs if o.output_type == "execute_result"]
    return _partial(results[0], points) if results else (points, "", "")


def _partial(result: NotebookNode, points: float) -> tuple[float, str, str]:
    """Read the number that a cell of plain asserts ends with, as nbgrader does."""
    try:
        score = float(result.data.get("text/plain", ""))
    except ValueError:
        return points, "", ""
    if score > points:
        return 0.0, "", _too_many(score, score, points)
    return (score if score >= 0 else points), "", ""


def _read_report(report: dict, points: float) -> tuple[float, str, str]:
    score, findings = float(report["score"]), report["findings"]
    if not 0 <= score <= points or float(report["max"]) != points:
        return 0.0, "", _too_many(score, report["max"], points)
    mistakes = [name for finding in findings for name in finding["mistakes"]]
    messages = [f"{finding['property']}: {finding['message']}" for finding in findings]
    if not score and len({finding["message"] for finding in findings}) == 1:
        messages = [findings[0]["message"]]
    return score, ", ".join(dict.fromkeys(mistakes)), "; ".join(messages)


def _too_many(score: float, most: float, points: float) -> str:
    return (
        f"the check gives {score:g} of {most:g}, but the cell has {points:g} points;"
        " tell the instructor"
    )


def _error_message(error: NotebookNode) -> str:
    """Return one line for an error, in the student's words where the cause is known."""
    text = " ".join(_ANSI.sub("", error.evalue).split())[:300]
    undefined = _UNDEFINED.search(text)
    if error.ename == "NameError" and undefined:
        return (
            f"`{undefined[1]}` is not defined: the cell that defines it failed or is"
            " missing"
        )
    if error.ename == NOT_GRADED:
        return text
    if error.ename == "NotImplementedError":
        return "not answered yet"
    return f"{error.ename}: {text}" if text else error.ename
