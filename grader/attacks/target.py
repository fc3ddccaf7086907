"""The small assignment that cheats are tried on: six exercises, and a question.

``affine``, ``lucky`` and ``slope`` are judged by ``Exercise``s, the others by plain
asserts, as nbgrader's own cells are.
"""

from dataclasses import dataclass, replace
from typing import Any

import nbformat
import numpy as np
from nbformat import NotebookNode

from fovea.personal import personal_rng
from grader.cells import grade_id
from grader.checking import Exercise, Mistake, Property, Report, student

NAME = "target"
ASSIGNMENT = f"01_{NAME}"

# --- the exercises ---


def run_affine(affine, x, w, b):
    """One call, watched."""
    from grader.alongside import watch

    out, seen = watch(affine, x=x, w=w, b=b)
    return {"out": out, **seen}


def run_lucky(lucky):
    """One call."""
    return dict(lucky())


def run_slope(Slope, a, b, x):
    """A module forwards and backwards."""
    import torch

    net = Slope(a, b)
    out = net(torch.tensor(x))
    (out**2).sum().backward()
    return {"out": out.detach(), "grad": [net.a.grad, net.b.grad]}


def right_affine(x, w, b):
    return {"out": x @ w + b, "changed": [], "warnings": []}


def right_slope(a, b, x):
    out = np.float32(a) * x + np.float32(b)
    return {"out": out, "grad": [(2 * out * x).sum(), (2 * out).sum()]}


def lucky_number(who: str) -> int:
    return 7 * int(personal_rng(who, "lucky").integers(10**6))


def _layers(dtype: str):
    def cases(rng: np.random.Generator) -> list[dict[str, Any]]:
        shapes = {"x": (5, 3), "w": (3, 4), "b": (4,)}
        return [{k: rng.normal(size=s).astype(dtype) for k, s in shapes.items()}] * 2

    return cases


def _lines(rng: np.random.Generator) -> list[dict[str, Any]]:
    x = rng.normal(size=6).astype("float32")
    return [{"a": float(rng.normal()), "b": float(rng.normal()), "x": x}]


def _once(rng: np.random.Generator) -> list[dict[str, Any]]:
    return [{}]


@dataclass(frozen=True, kw_only=True)
class Personal(Exercise):
    """An exercise whose number belongs to one student."""

    def __call__(self, *functions: Any) -> Report:
        number = lucky_number(student() or "me")
        own = replace(self, oracle=lambda: {"number": number})
        return super(Personal, own).__call__(*functions)


affine = Exercise(
    name="affine",
    run=run_affine,
    oracle=right_affine,
    properties=(
        Property(name="is right", points=1, cases=_layers("float64"), keys=("out",)),
        Property(
            name="keeps float32 and what it is given",
            points=1,
            cases=_layers("float32"),
            keys=("out", "changed"),
        ),
    ),
    mistakes=(
        Mistake(
            name="no bias",
            message="the bias is not added",
            functions=(lambda x, w, b: x @ w,),
        ),
    ),
)

lucky = Personal(
    name="lucky",
    run=run_lucky,
    oracle=dict,
    properties=(Property(name="is yours", points=1, cases=_once, keys=("number",)),),
)

slope = Exercise(
    name="slope",
    run=run_slope,
    oracle=right_slope,
    properties=(
        Property(name="is right", points=1, cases=_lines, keys=("out",), rtol=1e-4),
        Property(name="learns", points=1, cases=_lines, keys=("grad",), rtol=1e-4),
    ),
)

# --- the notebook ---

SETUP = """import os

import numpy as np
import torch

from fovea.personal import current_student, personal_rng

student = current_student()"""

RIGHT = {
    "affine": "def affine(x, w, b):\n    return x @ w + b",
    "lucky": """def lucky():
    return {"number": 7 * int(personal_rng(student, "lucky").integers(10**6))}""",
    "slope": """class Slope(torch.nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.a = torch.nn.Parameter(torch.tensor(a))
        self.b = torch.nn.Parameter(torch.tensor(b))

    def forward(self, x):
        return self.a * x + self.b""",
    "cumulate": "def cumulate(x):\n    return np.cumsum(x, axis=0)",
    "soften": "def soften(t):\n    return torch.softmax(t, dim=-1)",
    "counter": """class Counter:
    def __init__(self):
        self.seen = []

    def add(self, number):
        self.seen.append(number)

    def mean(self):
        return sum(self.seen) / len(self.seen)""",
    "why": "It adds up.",
}

_HIDDEN = {
    "affine": "target.affine(affine)",
    "lucky": "target.lucky(lucky)",
    "slope": "target.slope(Slope)",
    "cumulate": """x = np.random.default_rng(5).normal(size=(4, 3))
np.testing.assert_allclose(cumulate(x), np.cumsum(x, axis=0))
x = x + 1
np.testing.assert_allclose(cumulate(x), np.cumsum(x, axis=0))""",
    "soften": """t = torch.tensor([[1.0, 2.0, 4.0]])
torch.testing.assert_close(soften(t), torch.exp(t) / torch.exp(t).sum())
assert torch.allclose(soften(t + 1), torch.exp(t) / torch.exp(t).sum())""",
    "counter": """counter = Counter()
counter.add(3)
counter.add(4)
assert counter.mean() == 3.5
assert abs(counter.mean() - 3.5) < 1e-9
counter.add(5)""",
}

POINTS = {
    "affine": 2,
    "lucky": 1,
    "slope": 2,
    "cumulate": 2,
    "soften": 1,
    "counter": 1,
}


def source(canary: str) -> NotebookNode:
    """Return the instructor's notebook; its hidden tests hold the word ``canary``."""
    cells = [nbformat.v4.new_code_cell(SETUP, id="setup")]
    for name, points in POINTS.items():
        head, body = RIGHT[name].split("\n", 1)
        text = f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"
        cells.append(_cell("code", text, name, solution=True))
        hidden = f"# {canary}\nfrom grader.attacks import target\n{_HIDDEN[name]}"
        hidden = f"### BEGIN HIDDEN TESTS\n{hidden}\n### END HIDDEN TESTS"
        tags = {"grade": True, "locked": True, "points": points}
        cells.append(_cell("code", hidden, f"{name}-tests", **tags))
    why = f"### BEGIN SOLUTION\n{RIGHT['why']}\n### END SOLUTION"
    cells.append(_cell("markdown", why, "why", solution=True, grade=True, points=3))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


def _cell(kind: str, text: str, name: str, **tags: Any) -> NotebookNode:
    cell = getattr(nbformat.v4, f"new_{kind}_cell")(text, id=name)
    cell.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade_id": f"{NAME}-{name}",
        "cell_type": kind,
        "grade": False,
        "solution": False,
        "locked": False,
        "task": False,
        **tags,
    }
    return cell


def answered(release: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """Put answers into the cells of a released notebook, called by name; one called
    ``end`` is added after the last."""
    for cell in release.cells:
        name = (grade_id(cell) or f"{NAME}-setup").removeprefix(f"{NAME}-")
        cell.source = answers.get(name, cell.source)
    if "end" in answers:
        release.cells.append(nbformat.v4.new_code_cell(answers["end"], id="end"))
    return release
