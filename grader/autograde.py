"""Grade a class: run submissions side by side, write the gradebook in one process.

A run that was stopped, however hard, goes on where it stopped. A submission's points
are written first, in one transaction, then its file, in one move; both bear the
fingerprint of what they came from (``grader.fingerprint``). Who has both, and the same
points in the gradebook, is skipped; so a run that ended between the two does it again.
A problem is tried again if it may be gone with the same files: a run that broke off, a
locked gradebook, a full disk. A damaged submission has to change first.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbgrader.converters import Autograde
from nbgrader.utils import find_all_files
from sqlalchemy.exc import OperationalError

from grader.course import Assignment, BadInput
from grader.executors import Executor
from grader.fingerprint import class_fingerprint, fingerprint
from grader.gradebook import check_gradebook, only_run, register
from grader.nbgrader_hooks import (
    RunSubmission,
    make_task,
    rebuild_file,
    take_outputs,
)
from grader.reading import Damaged
from grader.recording import Recorder, read_timestamp
from grader.verdicts import Result


def grade_class(
    assignment: Assignment,
    students: Sequence[str],
    executor: Executor,
    *,
    force: bool = False,
) -> Iterator[Result]:
    """Yield the result of each student's submission as it is there; no ``students``
    means all.

    Who was graded before, from the same files by the same grader, is not graded again,
    but with ``force``. Raises ``BadInput`` if there is no such student, no gradebook to
    write into, or another run of the kind.
    """
    chosen = choose_students(assignment, students)
    with only_run(assignment):
        check_gradebook(assignment)
        register(assignment)
        yield from _ClassRun(assignment, executor, force).results(chosen)


def choose_students(assignment: Assignment, students: Sequence[str]) -> list[str]:
    """Return the ids of the students to grade: the given ones, or all who submitted.

    Raises ``BadInput`` if one of them did not submit, or nobody did.
    """
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
    return list(dict.fromkeys(students)) or known


def class_to_dict(assignment: Assignment, results: Sequence[Result]) -> dict[str, Any]:
    """Return the results of a class as data that JSON can hold."""
    return {
        "assignment": assignment.name,
        "graded": sum(not r.problem for r in results),
        "not_graded": sum(bool(r.problem) for r in results),
        "submissions": [r.to_dict() for r in results],
    }


@dataclass(frozen=True)
class _Started:
    """A submission that runs: whose, the rebuilt notebook, and what it came from."""

    student: str
    notebook: NotebookNode
    key: str


class _ClassRun:
    """The grading of one assignment, with the gradebook held open."""

    def __init__(self, assignment: Assignment, executor: Executor, force: bool):
        self.assignment, self.executor, self.force = assignment, executor, force
        self.limits = RunSubmission(config=assignment.course.nbgrader.config).limits
        self.common = class_fingerprint(assignment, self.limits, executor.enclosed)
        # rebuilt notebooks take memory: only a few wait for their turn
        self.window = 2 * executor.jobs

    def results(self, students: Sequence[str]) -> Iterator[Result]:
        running: dict[Future, _Started] = {}
        with Recorder(self.assignment) as self.recorder:
            earlier = {} if self.force else self.recorder.records()
            try:
                for student in students:
                    key = fingerprint(self.common, self.assignment, student)
                    result = self._skip(key, *earlier.pop(student, ("", None)))
                    result = result or self._start(student, key, running)
                    if result:
                        yield result
                    while len(running) >= self.window:
                        yield from self._finished(running)
                while running:
                    yield from self._finished(running)
            finally:
                for future in running:
                    future.cancel()

    def _skip(self, key: str, kept_key: str, result: Result | None) -> Result | None:
        """Return an earlier result if it still stands: its file is there, too."""
        if result is None or kept_key != key:
            return None
        path = self._folder(result.student) / self.assignment.source_path.name
        written = path.read_bytes() if path.is_file() else b""
        stands = not written if result.problem else key.encode() in written
        return replace(result, skipped=True) if stands else None

    def _start(
        self, student: str, key: str, running: dict[Future, _Started]
    ) -> Result | None:
        """Start running a student's notebook; return the result if that cannot be."""
        folder = self.assignment.submission_folder(student)
        try:
            read_timestamp(folder)
            path = folder / self.assignment.source_path.name
            notebook = rebuild_file(path, self.assignment).notebook
        except Damaged as error:
            return self._problem(student, str(error), key)
        task = make_task(notebook, student, self.assignment, self.limits)
        try:
            future = self.executor.submit(task)
        # whatever a pool or a cluster that is gone raises
        except Exception as error:
            return self._broke_off(student, error)
        running[future] = _Started(student, notebook, key)
        return None

    def _finished(self, running: dict[Future, _Started]) -> Iterator[Result]:
        """Wait until a run has finished, and write what it came to."""
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            yield self._finish(future, running.pop(future))

    def _finish(self, future: Future, started: _Started) -> Result:
        student, notebook = started.student, started.notebook
        try:
            take_outputs(notebook, future.result())
        # what comes back from elsewhere is a notebook, or a reason
        except Exception as error:
            return self._broke_off(student, error)
        try:
            result = self.recorder.record(student, notebook, started.key)
            self._write_files(student, notebook)
            return result
        except OperationalError as error:
            return Result(student=student, problem=_what_failed(error))
        # a full disk, a plugin for late work
        except Exception as error:
            return self._problem(student, _what_failed(error))

    def _broke_off(self, student: str, error: Exception) -> Result:
        reason = f"{type(error).__name__}: {error}"
        text = f"the run broke off ({reason}); grade this student again"
        return self._problem(student, text)

    def _problem(self, student: str, problem: str, key: str = "") -> Result:
        """Write down why a submission is not graded; what it had before goes away."""
        try:
            result = self.recorder.record_problem(student, problem, key)
            shutil.rmtree(self._folder(student), ignore_errors=True)
            return result
        # not even that could be written; the next run tries again
        except Exception as error:
            return Result(student=student, problem=_what_failed(error))

    def _folder(self, student: str) -> Path:
        autograded = self.assignment.course.folder("autograded")
        return autograded / student / self.assignment.name

    def _write_files(self, student: str, notebook: NotebookNode) -> None:
        """Write the folder that nbgrader would, the notebook last and in one move."""
        name, folder = self.assignment.source_path.name, self._folder(student)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _copy_files(self.assignment.submission_folder(student), folder, self._nbgrader)
        _copy_files(self.assignment.source_path.parent, folder, self._nbgrader)
        new = folder / f".{name}.new"
        with new.open("w", encoding="utf-8") as file:
            file.write(nbformat.v4.writes(notebook) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._nbgrader.set_permissions(self.assignment.name, student)
        new.replace(folder / name)

    @cached_property
    def _nbgrader(self) -> Autograde:
        course = self.assignment.course.nbgrader
        return Autograde(coursedir=course.coursedir, parent=course)


def _copy_files(origin: Path, folder: Path, nbgrader: Autograde) -> None:
    """Copy what lies beside a notebook; no links, which could lead anywhere."""
    ignored = [*nbgrader.coursedir.ignore, "*.ipynb"]
    for path in map(Path, find_all_files(str(origin), ignored)):
        if not path.is_symlink():
            copy = folder / path.relative_to(origin)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.unlink(missing_ok=True)
            shutil.copy(path, copy)


def _what_failed(error: Exception) -> str:
    if "database is locked" in str(error):
        return (
            "the gradebook is locked by another program; close it and grade this"
            " student again"
        )
    reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return f"its grade could not be written ({reason}); grade this student again"
