"""Run a rebuilt notebook: the student's cells in the sandbox, the graded ones in the
judge.

``run`` is a pure function of its task. A cell that hangs, prints without end or kills
its process costs that cell: the process is replaced, the notebook run again without the
cell, and what is left goes on. Verdicts that were given stay given.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from grader.cells import grade_id, is_judged
from grader.judge import Judge, error_output
from grader.outputs import harmless
from grader.plan import Needs
from grader.student import CellTimeUp, Gone, Limits, Server, StudentProcess

__all__ = ["NOT_GRADED", "Limits", "Task", "run"]

NOT_GRADED = "NotGraded"


@dataclass(frozen=True, kw_only=True)
class Task:
    """One notebook to run, as JSON text, what its graded cells need, which cells are
    not needed, and whose work it is (``None``: one's own).

    It runs in an empty folder of its own: an assignment is one notebook.
    """

    notebook: str
    needs: dict[str, Needs] = field(default_factory=dict)
    asides: tuple[int, ...] = ()
    student: str | None = None
    secret: str = ""
    limits: Limits = Limits()

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Task":
        data = json.loads(text)
        needs = {
            name: Needs(
                names=tuple(n["names"]), setup=tuple(n["setup"]), seconds=n["seconds"]
            )
            for name, n in data.pop("needs").items()
        }
        asides, limits = tuple(data.pop("asides")), Limits(**data.pop("limits"))
        return cls(needs=needs, asides=asides, limits=limits, **data)


def run(task: Task, server: Server, tick: Callable[[], None] = lambda: None) -> str:
    """Return the notebook's JSON text with outputs; graded cells that did not run say
    so.

    ``tick`` is called several times a second while student code runs.
    """
    return _Run(task, server, tick).run()


class _Run:
    def __init__(self, task: Task, server: Server, tick: Callable[[], None]):
        self.task, self.server, self.tick = task, server, tick
        self.limits = task.limits
        self.notebook = json.loads(task.notebook)
        self.cells = self.notebook["cells"]
        self.judge = Judge(task.needs)
        self.left_s = task.limits.notebook_s
        # cells that took their process down, and graded cells that have their outputs
        self.stopped: set[int] = set()
        self.judged: set[int] = set()
        self.asides = set(task.asides)
        self.flags: list[str] = []
        self.seconds = {"cells": 0.0, "checks": 0.0, "sandbox": 0.0}

    def run(self) -> str:
        self._fail_closed()
        start = time.monotonic()
        with _identity(self.task):
            for _ in range(self.limits.crashes + 1):
                if self._attempt():
                    break
        spent = self.seconds["cells"] + self.seconds["checks"]
        self.seconds["sandbox"] = time.monotonic() - start - spent
        self.notebook["metadata"].setdefault("fovea", {}).update(
            flags=sorted(set(self.flags)),
            sandbox="bubblewrap" if self.server.enclosed else "none",
            seconds={name: round(s, 4) for name, s in self.seconds.items()},
        )
        return json.dumps(self.notebook)

    def _fail_closed(self) -> None:
        """Let every graded cell say that it did not run, until it has."""
        for cell in self.cells:
            # files have a list of lines, where notebooks in memory have one text
            cell["source"] = "".join(cell["source"])
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
                if is_judged(cell):
                    text = "the run ended before this cell"
                    cell["outputs"] = [_error(NOT_GRADED, text)]

    def _attempt(self) -> bool:
        """Run what has not run; tell whether it got to the end."""
        environment = {"FOVEA_STUDENT": self.task.student or ""}
        # the student's cells that ran in this process, in their order
        self.ran: list[dict] = []
        with self.server.student(self.limits, environment, self.tick) as student:
            for i, cell in enumerate(self.cells):
                done = i in self.stopped | self.judged | self.asides
                if cell["cell_type"] != "code" or done or not cell["source"]:
                    continue
                if self.left_s <= 0:
                    self._time_is_up(i)
                    return True
                try:
                    self._run_cell(i, cell, student)
                except Gone as gone:
                    self._stop(i, gone.flag, str(gone))
                    return False
        return True

    def _run_cell(self, i: int, cell: dict, student: StudentProcess) -> None:
        seconds = min(max(self.limits.cell_s, self._wanted(cell)), self.left_s)
        kind = "checks" if is_judged(cell) else "cells"
        start = time.monotonic()
        try:
            if is_judged(cell):
                self._judge(i, cell, student, seconds)
            else:
                self._ask(cell, student, seconds)
        except (CellTimeUp, TimeoutError):
            self._flag(cell, "TimeLimit", f"the cell took more than {seconds:g} s")
            self.judged |= {i} if is_judged(cell) else set()
        finally:
            spent = time.monotonic() - start
            self.left_s -= spent
            self.seconds[kind] += spent

    def _wanted(self, cell: dict) -> float:
        """The seconds that the instructor's text gives this graded cell."""
        needs = self.task.needs.get(grade_id(cell)) if is_judged(cell) else None
        return needs.seconds if needs else 0

    def _judge(self, i: int, cell: dict, student: StudentProcess, seconds: float):
        # calls have their own clocks; this one is for what the judge computes itself
        with _alarm(seconds + 10):
            outputs = self.judge.grade(grade_id(cell), cell["source"], student, seconds)
        cell["outputs"], cell["execution_count"] = outputs, i + 1
        self.judged.add(i)

    def _ask(self, cell: dict, student: StudentProcess, seconds: float) -> None:
        self.ran.append(cell)
        reply = student.run_cell(cell["source"], seconds)
        cell["outputs"] = harmless(reply["outputs"], self.limits.output_bytes)
        # a display that is updated may stand below an earlier cell
        for place, outputs in reply["earlier"].items():
            if place < len(self.ran):
                earlier = harmless(outputs, self.limits.output_bytes)
                self.ran[place]["outputs"] = earlier
        count = reply.get("execution_count")
        cell["execution_count"] = count if type(count) is int else None
        if reply.get("flag") == "OutputLimit":
            self.flags.append("OutputLimit")

    def _stop(self, i: int, flag: str, text: str) -> None:
        self.stopped.add(i)
        self._flag(self.cells[i], flag, text)

    def _flag(self, cell: dict, flag: str, text: str) -> None:
        self.flags.append(flag)
        cell["outputs"], cell["execution_count"] = [_error(flag, text)], None

    def _time_is_up(self, start: int) -> None:
        text = (
            f"the notebook took more than {self.limits.notebook_s:g} s; this cell was"
            " not reached"
        )
        for i, cell in enumerate(self.cells[start:], start):
            if is_judged(cell) and i not in self.judged | self.stopped:
                self._flag(cell, "TimeLimit", text)


def _error(name: str, text: str) -> dict:
    return error_output(type(name, (Exception,), {})(text))


@contextmanager
def _identity(task: Task) -> Iterator[None]:
    """Let the checks draw this student's numbers, for as long as this runs."""
    new = {"FOVEA_STUDENT": task.student or "", "FOVEA_SECRET": task.secret}
    old = {name: os.environ.get(name) for name in new}
    os.environ.update(new)
    try:
        yield
    finally:
        for name, value in old.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise ``CellTimeUp`` in the main thread after ``seconds``."""

    def ring(*_: Any) -> None:
        raise CellTimeUp

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
