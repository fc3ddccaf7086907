"""A believable class to try a course on: right, wrong, unusual, half-done, late and
broken work."""

import ast
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import nbformat
import numpy as np
from nbformat import NotebookNode

from grader.cells import is_solution
from grader.checking import Exercise
from grader.course import Assignment, BadInput
from grader.mistakes import source_of

NAMES = (
    "ada grace alan emmy kurt sofia david hedy noam mary yann barbara carl maryam"
    " george katherine leon dorothy paul rosalind"
).split()

# how a class is made up, in shares
KINDS = {
    "right": 4,
    "mistaken": 7,
    "unusual": 2,
    "half": 3,
    "untouched": 1,
    "late": 1,
    "crashing": 2,
}

_SOLUTION = re.compile(r"^[ \t]*### (BEGIN|END) SOLUTION[ \t]*\n?", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Made:
    """One sampled submission: whose, of which kind, and the mistakes that went into
    it."""

    student: str
    kind: str
    mistakes: tuple[str, ...] = ()


def sample_class(
    assignment: Assignment, num_students: int, seed: int, force: bool = False
) -> list[Made]:
    """Write ``num_students`` submissions into the course's submitted folder; return
    what they are.

    The same seed writes the same class. Raises ``BadInput`` rather than overwrite a
    submission, unless ``force`` is given.
    """
    if num_students < 1:
        raise BadInput(
            f"a class has at least one student, but --students is {num_students}"
        )
    rng = np.random.default_rng(seed)
    students = [_name(i) for i in range(num_students)]
    there = [s for s in students if assignment.submission_folder(s).exists()]
    if there and not force:
        raise BadInput(
            f"{len(there)} of these students have submitted already ({there[0]} …) in"
            f" {assignment.course.folder('submitted')}; move them away, or say --force"
            " to overwrite"
        )
    kinds = _kinds(num_students, rng)
    return [
        _Writer(assignment, rng).write(*pair)
        for pair in zip(students, kinds, strict=True)
    ]


def _name(i: int) -> str:
    round_, i = divmod(i, len(NAMES))
    return NAMES[i] + (f"{round_ + 1}" if round_ else "")


def _kinds(num_students: int, rng: np.random.Generator) -> list[str]:
    """Return a kind for each student: shares as in ``KINDS``, in random order."""
    shares = np.array(list(KINDS.values()))
    exact = shares / shares.sum() * num_students
    counts = np.floor(exact).astype(int)
    for i in np.argsort(counts - exact, kind="stable")[: num_students - counts.sum()]:
        counts[i] += 1
    kinds = np.repeat(list(KINDS), counts)
    return [str(kind) for kind in rng.permutation(kinds)]


class _Writer:
    """Writes submissions of one assignment."""

    def __init__(self, assignment: Assignment, rng: np.random.Generator):
        self.assignment = assignment
        self.rng = rng
        self.checks = importlib.import_module(f"grader.checks.{assignment.notebook}")

    def write(self, student: str, kind: str) -> Made:
        notebook = nbformat.read(self.assignment.release_path, as_version=4)
        mistakes = getattr(self, f"_{kind}")(notebook)
        folder = self.assignment.submission_folder(student)
        folder.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, folder / self.assignment.source_path.name)
        (folder / "timestamp.txt").write_text(self._timestamp(kind), encoding="utf-8")
        return Made(student=student, kind=kind, mistakes=tuple(mistakes))

    def _timestamp(self, kind: str) -> str:
        due = datetime(2030, 1, 15, 12, tzinfo=UTC)
        hours = self.rng.uniform(2, 60)
        moment = (
            due + timedelta(hours=hours)
            if kind == "late"
            else due - timedelta(hours=hours)
        )
        return f"{moment:%Y-%m-%d %H:%M:%S} UTC\n"

    # --- the kinds of work ---

    def _right(self, notebook: NotebookNode) -> list[str]:
        self._solve(notebook, share=1.0)
        return []

    _late = _right

    def _half(self, notebook: NotebookNode) -> list[str]:
        self._solve(notebook, share=float(self.rng.uniform(0.3, 0.8)))
        return []

    def _untouched(self, notebook: NotebookNode) -> list[str]:
        return []

    def _mistaken(self, notebook: NotebookNode) -> list[str]:
        self._solve(notebook, share=1.0)
        exercises = [
            exercise
            for exercise in vars(self.checks).values()
            if isinstance(exercise, Exercise) and exercise.mistakes
        ]
        made: list[str] = []
        touched: set[str] = set()
        for i in self.rng.permutation(len(exercises))[: self.rng.integers(1, 5)]:
            mistakes = exercises[i].mistakes
            mistake = mistakes[self.rng.integers(len(mistakes))]
            names = {function.__name__ for function in mistake.functions}
            # a second mistake in the same function would wipe out the first
            if touched.isdisjoint(names) and self._put(notebook, mistake.functions):
                made.append(mistake.name)
                touched |= names
        return made

    def _unusual(self, notebook: NotebookNode) -> list[str]:
        self._solve(notebook, share=1.0)
        module = importlib.import_module(f"{self.checks.__name__}.unusual")
        for answers in module.UNUSUAL.values():
            self._put(notebook, answers[self.rng.integers(len(answers))])
        return []

    def _crashing(self, notebook: NotebookNode) -> list[str]:
        self._solve(notebook, share=1.0)
        cells = [c for c in notebook.cells if is_solution(c) and c.cell_type == "code"]
        cell = cells[self.rng.integers(len(cells))]
        how = ("syntax", "raise", "exit")[self.rng.integers(3)]
        broken = {
            "syntax": f"{cell.source}\n)",
            "raise": f"{cell.source}\nraise RuntimeError('I was still at it')",
            "exit": f"import os\nos._exit(1)\n{cell.source}",
        }
        cell.source = broken[how]
        return []

    # --- putting answers in ---

    def _solve(self, notebook: NotebookNode, share: float) -> None:
        """Put the instructor's answers into the first ``share`` of the solution
        cells."""
        source = nbformat.read(self.assignment.source_path, as_version=4)
        places = [i for i, cell in enumerate(notebook.cells) if is_solution(cell)]
        for i in places[: round(share * len(places))]:
            notebook.cells[i].source = _SOLUTION.sub("", source.cells[i].source)

    def _put(self, notebook: NotebookNode, definitions: tuple[Callable, ...]) -> bool:
        """Write definitions over those of the same names; tell whether each found its
        place."""
        found = [_replace(notebook, definition) for definition in definitions]
        return all(found)


def _replace(notebook: NotebookNode, definition: Callable) -> bool:
    source = source_of(definition).strip()
    for cell in notebook.cells:
        if is_solution(cell) and cell.cell_type == "code":
            span = _span(cell.source, definition.__name__)
            if span:
                lines = cell.source.splitlines()
                cell.source = "\n".join([*lines[: span[0]], source, *lines[span[1] :]])
                return True
    return False


def _span(source: str, name: str) -> tuple[int, int] | None:
    """Return the lines, from and up to, that define ``name`` in ``source``."""
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return node.lineno - 1, node.end_lineno or node.lineno
    return None
