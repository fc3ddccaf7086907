"""A small course to grade: one assignment, ``01_toy``, of three questions."""

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from grader.course import Course

ROOT = Path(__file__).parents[2]

DOUBLE = """def double(x):
    \"\"\"Return 2·x.\"\"\"
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""

DOUBLE_TESTS = """assert double(0) == 0
### BEGIN HIDDEN TESTS
from grader.checking import Finding, Report

good = double(21) == 42
finding = Finding(
    property="doubles", points=2, message="it halves", mistakes=("halves",)
)
Report(
    exercise="double",
    score=2.0 if good else 0.0,
    max_score=2.0,
    findings=() if good else (finding,),
)
### END HIDDEN TESTS"""

TRIPLE = """def triple(x):
    ### BEGIN SOLUTION
    return 3 * x
    ### END SOLUTION"""

TRIPLE_TESTS = """### BEGIN HIDDEN TESTS
assert triple(2) == 6
### END HIDDEN TESTS"""

WHY = "### BEGIN SOLUTION\nBecause.\n### END SOLUTION"


def _cell(kind: str, source: str, grade_id: str, **tags) -> NotebookNode:
    new = getattr(nbformat.v4, f"new_{kind}_cell")
    cell = new(source, id=grade_id)
    defaults = {"grade": False, "solution": False, "locked": False, "task": False}
    cell.metadata["nbgrader"] = {
        "schema_version": 3,
        "grade_id": grade_id,
        "cell_type": kind,
        **defaults,
        **tags,
    }
    return cell


def toy_source() -> NotebookNode:
    """The instructor's notebook of the small course."""
    plain = nbformat.v4.new_code_cell("import math", id="imports")
    tests = {"grade": True, "locked": True}
    cells = [
        nbformat.v4.new_markdown_cell("# A toy", id="title"),
        plain,
        _cell("code", DOUBLE, "toy-double", solution=True),
        _cell("code", DOUBLE_TESTS, "toy-double-tests", points=2, **tests),
        _cell("code", TRIPLE, "toy-triple", solution=True),
        _cell("code", TRIPLE_TESTS, "toy-triple-tests", points=1, **tests),
        _cell("markdown", WHY, "toy-why", solution=True, grade=True, points=3),
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="session")
def released_course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course whose toy assignment nbgrader has released."""
    root = tmp_path_factory.mktemp("released")
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "solutions/01_toy").mkdir(parents=True)
    nbformat.write(toy_source(), root / "solutions/01_toy/toy.ipynb")
    outcome = Course(root).nbgrader.generate_assignment("01_toy")
    assert outcome["success"], outcome
    (root / "gradebook.db").unlink()
    return root


@pytest.fixture
def course(
    released_course: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Course:
    """A fresh copy of the toy course, which is the working folder, too."""
    root = tmp_path / "course"
    shutil.copytree(released_course, root)
    monkeypatch.chdir(root)
    monkeypatch.setenv("FOVEA_SECRET", "toy")
    return Course(root)


@pytest.fixture
def release(course: Course) -> NotebookNode:
    """The notebook that students of the toy course are given."""
    return nbformat.read(course.assignment("01_toy").release_path, as_version=4)


@pytest.fixture
def submit(course: Course) -> Callable[..., Path]:
    """A function that hands in a notebook, or any bytes, for a student."""

    def hand_in(student: str, work: NotebookNode | bytes, name: str = "toy") -> Path:
        folder = course.assignment("01_toy").submission_folder(student)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.ipynb"
        if isinstance(work, bytes):
            path.write_bytes(work)
        else:
            nbformat.write(work, path)
        return path

    return hand_in


def answer(notebook: NotebookNode, **sources: str) -> NotebookNode:
    """Put sources into the solution cells, named without their topic."""
    for cell in notebook.cells:
        grade_id = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        key = grade_id.removeprefix("toy-").replace("-", "_")
        if key in sources:
            cell.source = sources[key]
    return notebook


RIGHT = {
    "double": "def double(x):\n    return x + x",
    "triple": "def triple(x):\n    return x + x + x",
    "why": "It adds up.",
}
