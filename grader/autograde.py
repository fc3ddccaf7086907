"""Grade a class: run submissions in parallel, write the gradebook in one process,
report."""

import re
import sqlite3
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import nbformat

from grader.course import Assignment, BadInput
from grader.execution import Task, run
from grader.reading import Damaged
from grader.verdicts import Verdict, read_verdicts

GRADEBOOK_WAIT_S = 15

# the last line of a traceback; nbgrader ends with one that only points to those above
_ERROR = re.compile(r"(?!.*Please see the)[\w.]+(Error|Exception|Damaged)\b")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one submission; ``problem`` is one line if it could not be
    graded."""

    student: str
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""
    late_s: float = 0

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
            "cells": [v.to_dict() for v in self.verdicts],
        }


@dataclass
class ClassRun:
    """The grading of one assignment for some students."""

    assignment: Assignment
    students: Sequence[str]
    jobs: int
    tasks: dict[str, Task] = field(default_factory=dict)
    futures: dict[str, Future] = field(default_factory=dict)

    def results(self) -> Iterator[Result]:
        """Grade the students one after the other and yield each result as it is there.

        Raises ``BadInput`` if there is no gradebook to write into.
        """
        api = self.assignment.course.nbgrader
        check_gradebook(self.assignment.course.gradebook_path)
        register(self.assignment)
        # spawned, not forked: nbgrader's database connections must not be shared
        with ProcessPoolExecutor(self.jobs, mp_context=get_context("spawn")) as pool:
            problems = {s: self._prepare(s, pool) for s in self.students}
            with _executor(self._finished):
                for student in self.students:
                    problem = problems[student] or self._write(api, student)
                    yield self._result(student, problem)

    def _prepare(self, student: str, pool: ProcessPoolExecutor) -> str:
        """Start running a student's notebook; return the problem if it cannot be
        read."""
        from grader.nbgrader_hooks import rebuild_file

        folder = self.assignment.submission_folder(student)
        try:
            _read_timestamp(folder)
            path = folder / self.assignment.source_path.name
            notebook = rebuild_file(path, self.assignment).notebook
        except Damaged as error:
            return str(error)
        secret = self.assignment.course.secret()
        task = Task(notebook=nbformat.writes(notebook), student=student, secret=secret)
        self.tasks[student] = task
        self.futures[student] = pool.submit(run, task)
        return ""

    def _finished(self, task: Task) -> str:
        """Return the run of ``task`` that the pool has done or is doing."""
        from grader.nbgrader_hooks import run_in_thread

        prepared = self.tasks.get(task.student or "")
        if prepared is None or _sources(prepared.notebook) != _sources(task.notebook):
            return run_in_thread(task)
        return self.futures[task.student].result()

    def _write(self, api: Any, student: str) -> str:
        """Have nbgrader write a student's points; return the problem if it could
        not."""
        # wait for the run here, so that a broken pool is told from a broken gradebook
        error = self.futures[student].exception()
        if error is not None:
            return (
                f"the run broke off ({type(error).__name__}: {error}); grade this"
                " student again"
            )
        outcome = api.autograde(self.assignment.name, student, force=True, create=True)
        if outcome["success"]:
            return ""
        reason = _reason(outcome)
        if "database is locked" in reason:
            return (
                "the gradebook is locked by another program; close it and grade this"
                " student again"
            )
        return f"nbgrader could not grade it: {reason}"

    def _result(self, student: str, problem: str) -> Result:
        if problem:
            return Result(student=student, problem=problem)
        path = (
            self.assignment.course.folder("autograded") / student / self.assignment.name
        )
        notebook = nbformat.read(path / self.assignment.source_path.name, as_version=4)
        return Result(
            student=student,
            verdicts=tuple(read_verdicts(notebook)),
            notes=tuple(notebook.metadata.get("fovea", {}).get("notes", ())),
            late_s=_late_s(self.assignment, student),
        )


def grade_class(
    assignment: Assignment, students: Sequence[str], jobs: int = 2
) -> Iterator[Result]:
    """Yield the result of each student's submission; an empty ``students`` means
    all."""
    known = assignment.students()
    if not known:
        folder = assignment.course.folder("submitted")
        raise BadInput(
            f"no submissions of {assignment.name}: expected"
            f" {folder}/STUDENT/{assignment.name}; collect them with `nbgrader collect"
            f" {assignment.name}`, or make a class to try things on with `python -m"
            f" grader sample {assignment.name} --students 20`"
        )
    for student in students:
        if "/" in student or student in ("", ".", ".."):
            raise BadInput(
                f"{student!r} is no student's id: it names a folder, so it has no slash"
            )
    unknown = [s for s in students if s not in known]
    if unknown:
        raise BadInput(
            f"no submission of {assignment.name} from: {', '.join(unknown)}; there are"
            f" {len(known)}: {', '.join(known[:10])}{' …' if len(known) > 10 else ''}"
        )
    yield from ClassRun(assignment, list(students) or known, jobs).results()


def class_to_dict(assignment: Assignment, results: Sequence[Result]) -> dict[str, Any]:
    """Return the results of a class as data that JSON can hold."""
    return {
        "assignment": assignment.name,
        "graded": sum(not r.problem for r in results),
        "not_graded": sum(bool(r.problem) for r in results),
        "submissions": [r.to_dict() for r in results],
    }


def check_gradebook(path: Path, wait_s: float = GRADEBOOK_WAIT_S) -> None:
    """Raise ``BadInput`` if the gradebook cannot be written to, before anything is
    run."""
    try:
        connection = sqlite3.connect(path, timeout=wait_s)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        what = (
            "is locked by another program"
            if "locked" in str(error)
            else f"fails: {error}"
        )
        raise BadInput(
            f"the gradebook {path} {what}; close what uses it and run the command"
            " again. Nothing was changed"
        ) from None
    except sqlite3.DatabaseError:
        raise BadInput(
            f"{path} is not a gradebook (no SQLite database); move it away, or put a"
            " backup back. Nothing was changed"
        ) from None


def register(assignment: Assignment) -> None:
    """Write the assignment's cells and points into the gradebook, leaving the release
    alone."""
    import tempfile

    from nbgrader.utils import temp_attrs

    api = assignment.course.nbgrader
    with tempfile.TemporaryDirectory() as folder:
        with temp_attrs(api.coursedir, release_directory=folder):
            outcome = api.generate_assignment(assignment.name, force=True, create=True)
    if not outcome["success"]:
        reason = _reason(outcome)
        raise BadInput(f"nbgrader cannot read {assignment.source_path}: {reason}")


def _reason(outcome: dict) -> str:
    """Return the line of nbgrader's log that says why it failed."""
    log = f"{outcome.get('log', '')}\n{outcome.get('error', '')}".splitlines()
    lines = [line.strip() for line in log if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or ["no reason given"])[-1]


@contextmanager
def _executor(executor: Any) -> Iterator[None]:
    from grader.nbgrader_hooks import RunSubmission

    before = RunSubmission.executor
    RunSubmission.executor = staticmethod(executor)
    try:
        yield
    finally:
        RunSubmission.executor = staticmethod(before)


def _sources(notebook: str) -> list[str]:
    return [cell.source for cell in nbformat.reads(notebook, as_version=4).cells]


def _read_timestamp(folder: Path) -> None:
    from nbgrader.utils import parse_utc

    path = folder / "timestamp.txt"
    if not path.exists():
        return
    try:
        text = path.read_text(encoding="utf-8").strip()
        if text:
            parse_utc(text)
    except (ValueError, OverflowError, OSError):
        raise Damaged(
            "timestamp.txt holds no time such as '2026-01-31 23:59:00 UTC'; mend or"
            f" delete {path}"
        ) from None


def _late_s(assignment: Assignment, student: str) -> float:
    from nbgrader.api import Gradebook

    coursedir = assignment.course.nbgrader.coursedir
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        return gradebook.find_submission(assignment.name, student).total_seconds_late
