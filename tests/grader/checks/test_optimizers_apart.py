"""The checks of topic 02 say the same across two processes as in one."""

from pathlib import Path

import nbformat
import pytest

from grader.checking import Exercise
from grader.checks import optimizers
from grader.mistakes import source_of
from grader.rebuild import is_manual, is_solution
from grader.student import Server
from grader.verdicts import read_verdict
from tests.grader.checks.test_optimizers import ARGUMENTS, OTHERS
from tests.grader.running import execute, graded, solution

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

ROOT = Path(__file__).parents[3]
EXERCISES = {n: e for n, e in vars(optimizers).items() if isinstance(e, Exercise)}


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def answers() -> str:
    """All right answers, so that those of one exercise can call those of others."""
    path = ROOT / "solutions/02_optimizers/optimizers.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    code = [c for c in cells if c.cell_type == "code" and is_solution(c)]
    return "\n".join(
        ["import numpy as np", *(c.source for c in code if not is_manual(c))]
    )


def judged(server, answers, name, variants):
    """Return the verdict of an exercise on each of several answers."""
    cells = []
    for source in variants:
        cells.append(solution(f"{answers}\n{source}"))
        call = f"optimizers.{name}({', '.join(ARGUMENTS[name])})"
        import_ = "from grader.checks import optimizers\n"
        cells.append(graded(import_ + call, points=EXERCISES[name].points))
    done = execute(server, *cells, call_s=60, cell_s=120, notebook_s=600)
    return [read_verdict(cell) for cell in done.cells[1::2]]


@pytest.mark.parametrize("name", OTHERS)
def test_mistakes_lose_the_same_points_and_bear_the_same_names(
    server, answers, name, monkeypatch
):
    monkeypatch.setenv("FOVEA_SECRET", "between us")
    monkeypatch.setenv("FOVEA_STUDENT", "ada")
    exercise = EXERCISES[name]
    # some of them: in one process, all are judged
    mistakes = exercise.mistakes[::8]
    sources = ["", *(source_of(m.functions[0]) for m in mistakes)]
    right, *verdicts = judged(server, answers, name, sources)
    assert right.score == exercise.points, right.message
    for mistake, verdict in zip(mistakes, verdicts, strict=True):
        report = exercise(*mistake.functions)
        named = dict.fromkeys(n for f in report.findings for n in f.mistakes)
        expected = report.score, ", ".join(named)
        assert (verdict.score, verdict.mistake) == expected, mistake.name
