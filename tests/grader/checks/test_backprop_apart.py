"""The checks of topic 01 say the same across two processes as in one."""

from pathlib import Path

import nbformat
import pytest

from grader.checking import Exercise
from grader.checks import backprop
from grader.checks.backprop.unusual import UNUSUAL
from grader.mistakes import source_of
from grader.rebuild import is_manual, is_solution
from grader.student import Server
from grader.verdicts import read_verdict
from tests.grader.running import execute, graded, solution

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

ROOT = Path(__file__).parents[3]
EXERCISES = {n: e for n, e in vars(backprop).items() if isinstance(e, Exercise)}


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def answers() -> str:
    """All right answers, so that those of one exercise can call those of others."""
    path = ROOT / "solutions/01_backprop/backprop.ipynb"
    cells = nbformat.read(path, as_version=4).cells
    code = [c for c in cells if c.cell_type == "code" and is_solution(c)]
    imports = "import numpy as np\nimport torch\nfrom fovea.data import load"
    return "\n".join([imports, *(c.source for c in code if not is_manual(c))])


def judged(server, answers, name, variants):
    """Return the verdict of an exercise on each of several tuples of functions."""
    cells = []
    for functions in variants:
        names = ", ".join(f.__name__ for f in functions)
        sources = [source_of(f) for f in functions]
        cells.append(solution("\n".join([answers, *sources])))
        call = f"from grader.checks import backprop\nbackprop.{name}({names})"
        cells.append(graded(call, points=EXERCISES[name].points))
    done = execute(server, *cells, call_s=60, cell_s=120, notebook_s=600)
    return [read_verdict(cell) for cell in done.cells[1::2]]


@pytest.mark.parametrize("name", EXERCISES)
def test_mistakes_lose_the_same_points_and_bear_the_same_names(
    server, answers, name, monkeypatch
):
    monkeypatch.setenv("FOVEA_SECRET", "between us")
    monkeypatch.setenv("FOVEA_STUDENT", "ada")
    exercise = EXERCISES[name]
    functions = [mistake.functions for mistake in exercise.mistakes]
    verdicts = judged(server, answers, name, functions)
    for mistake, verdict in zip(exercise.mistakes, verdicts, strict=True):
        report = exercise(*mistake.functions)
        named = dict.fromkeys(n for f in report.findings for n in f.mistakes)
        expected = report.score, ", ".join(named)
        assert (verdict.score, verdict.mistake) == expected, mistake.name


def test_unusual_right_answers_keep_all_points(server, answers):
    """Each group of answers, by the exercises whose functions it holds."""
    calls = _calls()
    wrong = []
    for unusual in UNUSUAL.values():
        names = {f.__name__ for f in unusual[0]}
        fitting = {n: c for n, c in calls.items() if names & set(c)}
        assert fitting, names
        for name, called in fitting.items():
            for functions in unusual:
                (verdict,) = judged_call(server, answers, name, called, functions)
                if verdict.score != verdict.max_score:
                    wrong.append((name, source_of(functions[0]), verdict.message))
    assert not wrong


def _calls() -> dict[str, list[str]]:
    """Return the functions that each exercise is called with in the notebook."""
    path = ROOT / "solutions/01_backprop/backprop.ipynb"
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for line in cell.source.splitlines():
            if line.startswith("backprop."):
                name, _, rest = line.removeprefix("backprop.").partition("(")
                found[name] = rest.rstrip(")").split(", ")
    return found


def judged_call(server, answers, name, called, functions):
    source = "\n".join([answers, *map(source_of, functions)])
    call = f"from grader.checks import backprop\nbackprop.{name}({', '.join(called)})"
    cells = solution(source), graded(call, points=EXERCISES[name].points)
    done = execute(server, *cells, call_s=60, cell_s=120)
    return [read_verdict(done.cells[1])]
