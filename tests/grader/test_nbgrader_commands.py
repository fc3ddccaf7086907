"""nbgrader's own commands, in a course with the configuration as shipped."""

import csv
import json
import os
import subprocess
import sys

import nbformat
import pytest

from tests.grader.conftest import RIGHT, answer

pytestmark = [pytest.mark.slow, pytest.mark.sandbox]


@pytest.fixture
def nbgrader(course, tmp_path):
    """A function that runs a command as a person would, and returns what it prints."""
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {"HOME": str(home), "USER": "ada", "LOGNAME": "ada"}

    def run(*command, program="nbgrader"):
        done = subprocess.run(
            [sys.executable, "-m", program, *command],
            cwd=course.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    return run


def test_assignment_goes_out_and_in_and_comes_back(course, nbgrader):
    root = course.root
    nbgrader("generate_assignment", "01_toy", "--force")
    nbgrader("release_assignment", "01_toy")

    nbgrader("fetch_assignment", "01_toy")
    path = root / "fetched/01_toy/toy.ipynb"
    work = nbformat.read(path, as_version=4)
    assert "HIDDEN TESTS" not in path.read_text(encoding="utf-8")
    nbformat.write(answer(work, **RIGHT), path)
    nbgrader("submit", "01_toy")
    assert "01_toy" in nbgrader("list", "--inbound")

    nbgrader("collect", "01_toy")
    [student] = [folder.name for folder in (root / "submitted").iterdir()]
    nbgrader("autograde", "01_toy")
    again = nbgrader("autograde", "01_toy", "--json", program="grader")
    data = json.loads(again.splitlines()[-1])
    assert [s["score"] for s in data["submissions"]] == [3]
    nbgrader("generate_feedback", "01_toy")
    nbgrader("release_feedback", "01_toy")
    nbgrader("fetch_feedback", "01_toy")
    [page] = (root / "fetched/01_toy/feedback").rglob("toy.html")
    html = page.read_text(encoding="utf-8")
    assert "3 of 6 points" in html
    assert "HIDDEN TESTS" not in html

    nbgrader("export")
    with (root / "grades.csv").open(encoding="utf-8", newline="") as file:
        [line] = csv.DictReader(file)
    assert (line["student_id"], float(line["score"])) == (student, 3)


def test_validation_looks_at_open_checks_and_never_shows_success_too_early(
    course, nbgrader
):
    path = course.assignment("01_toy").release_path
    notebook = nbformat.read(path, as_version=4)
    check = nbformat.v4.new_code_cell("assert triple(1) == 3, 'triple is off'")
    notebook.cells.insert(-1, check)
    right_but_one = RIGHT | {"triple": "def triple(x):\n    return x"}
    nbformat.write(answer(notebook, **right_but_one), path)
    assert "triple is off" in nbgrader("validate", str(path))
    nbformat.write(answer(notebook, **RIGHT), path)
    assert "Success" in nbgrader("validate", str(path))
