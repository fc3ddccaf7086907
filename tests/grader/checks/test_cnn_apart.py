"""The checks of topic 04 say the same across two processes as in one."""

from pathlib import Path

import nbformat
import pytest

from grader.checks import cnn
from grader.checks.cnn.unusual import UNUSUAL
from grader.mistakes import source_of
from grader.rebuild import is_manual, is_solution
from grader.student import Server
from grader.verdicts import read_verdict
from tests.grader.checks.cells import CNN as cells
from tests.grader.running import execute, graded, solution

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]

ROOT = Path(__file__).parents[3]
CALLS = {name: arguments for _, _, name, arguments in cells.graded_calls()}


@pytest.fixture(scope="module")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="module")
def answers() -> str:
    """All right answers, so that those of one exercise can call those of others."""
    path = ROOT / "solutions/04_cnn/cnn.ipynb"
    found = nbformat.read(path, as_version=4).cells
    code = [c for c in found if c.cell_type == "code" and is_solution(c)]
    imports = "import numpy as np\nimport torch\nfrom fovea.data import load"
    return "\n".join([imports, *(c.source for c in code if not is_manual(c))])


def judged(server, answers, name, variants):
    """Return the verdict of an exercise on each of several tuples of functions."""
    notebook = []
    for functions in variants:
        notebook.append(solution("\n".join([answers, *map(source_of, functions)])))
        names = ", ".join(f.__name__ for f in functions)
        call = f"from grader.checks import cnn\ncnn.{name}({names})"
        notebook.append(graded(call, points=getattr(cnn, name).points))
    done = execute(server, *notebook, call_s=60, cell_s=120, notebook_s=600)
    return [read_verdict(cell) for cell in done.cells[1::2]]


# twenty mistakes each, of which the checks in one process tell enough apart
EVERY = {"conv_forward_naive": 5, "conv_backward_naive": 5, "three_layer_convnet": 4}
EVERY |= {"conv_forward_im2col": 6, "conv_backward_im2col": 6, "conv_output_size": 3}

# its gradient depends on who gets it at ties, where two right poolings may differ
AT_TIES = "first relu forgotten on the way back"


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"digits"}))
def test_mistakes_lose_the_same_points_and_bear_the_same_names(
    server, answers, name, monkeypatch
):
    monkeypatch.setenv("FOVEA_SECRET", "between us")
    monkeypatch.setenv("FOVEA_STUDENT", "ada")
    exercise = getattr(cnn, name)
    mistakes = [m for m in exercise.mistakes if m.name != AT_TIES]
    mistakes = mistakes[:: EVERY.get(name, 2)]
    verdicts = judged(server, answers, name, [m.functions for m in mistakes])
    for mistake, verdict in zip(mistakes, verdicts, strict=True):
        report = exercise(*mistake.functions)
        named = dict.fromkeys(n for f in report.findings for n in f.mistakes)
        expected = report.score, ", ".join(named)
        assert (verdict.score, verdict.mistake) == expected, mistake.name


def test_unusual_right_answers_keep_all_points(server, answers):
    """Each group of answers, by the exercises whose functions it holds."""
    wrong = []
    for (functions,) in UNUSUAL.values():
        names = {f.__name__ for f in functions}
        for name, arguments in CALLS.items():
            if names & set(arguments):
                source = "\n".join([answers, *map(source_of, functions)])
                call = f"cnn.{name}({', '.join(arguments)})"
                call = f"from grader.checks import cnn\n{call}"
                points = getattr(cnn, name).points
                notebook = solution(source), graded(call, points=points)
                done = execute(server, *notebook, call_s=60, cell_s=120)
                verdict = read_verdict(done.cells[1])
                if verdict.score != verdict.max_score:
                    wrong.append((name, names, verdict.message))
    assert not wrong
