"""A run that goes on where another one stopped."""

import copy
import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest

from grader import fingerprint
from grader.autograde import grade_class
from tests.grader.conftest import RIGHT, ROOT, answer
from tests.grader.quick import Quick, dump, known_version
from tests.grader.test_recording import change


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    monkeypatch.setattr("nbgrader.api.get_alembic_version", known_version)


def graded(course, **options):
    """Grade the class; return whom it took to run."""
    executor = Quick()
    list(grade_class(course.assignment("01_toy"), [], executor, **options))
    return executor.students


@pytest.fixture
def two(course, release, submit):
    """A class of two, graded."""
    submit("a", answer(copy.deepcopy(release), **RIGHT))
    submit("b", answer(copy.deepcopy(release), **RIGHT))
    assert graded(course) == ["a", "b"]
    return course


def notebook_of(course, student):
    return course.root / f"autograded/{student}/01_toy/toy.ipynb"


def test_nobody_is_graded_twice_but_by_force(two):
    assert graded(two) == []
    assert graded(two, force=True) == ["a", "b"]


def test_changed_submission_is_graded_again(two, release, submit):
    submit("b", answer(release, double="def double(x):\n    return 2 * x"))
    assert graded(two) == ["b"]


def test_changed_timestamp_is_graded_again(two):
    folder = two.assignment("01_toy").submission_folder("a")
    (folder / "timestamp.txt").write_text("2026-01-31 23:59:00 UTC")
    assert graded(two) == ["a"]


@pytest.mark.parametrize("what", ["source", "release", "nbgrader_config.py"])
def test_changed_assignment_is_graded_again(two, what):
    assignment = two.assignment("01_toy")
    if what == "nbgrader_config.py":
        path = two.root / what
        path.write_text(path.read_text() + "\nc.RunSubmission.cell_s = 7\n")
    else:
        path = getattr(assignment, f"{what}_path")
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[0].source += " (mended)"
        path.chmod(0o644)
        nbformat.write(notebook, path)
    assert graded(two) == ["a", "b"]


def test_changed_grader_secret_or_sandbox_is_graded_again(two, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "grader_code", lambda: "another grader")
        assert graded(two) == ["a", "b"]
        assert graded(two) == []
    assert graded(two) == ["a", "b"]
    monkeypatch.setenv("FOVEA_SECRET", "other")
    assert graded(two) == ["a", "b"]
    monkeypatch.setattr(Quick, "enclosed", True)
    assert graded(two) == ["a", "b"]
    assert graded(two) == []


def test_grader_and_fovea_are_part_of_the_fingerprint(monkeypatch, tmp_path):
    fingerprint.grader_code.cache_clear()
    before = fingerprint.grader_code()
    for name in ("grader", "fovea"):
        copied = tmp_path / name
        shutil.copytree(ROOT / name, copied)
        path = next(copied.rglob("*.py"))
        path.write_text(path.read_text() + "\n")
        find = fingerprint.find_spec

        class Spec:
            origin = str(copied / "__init__.py")

        with monkeypatch.context() as patch:
            patch.setattr(
                fingerprint,
                "find_spec",
                lambda n, name=name, find=find, spec=Spec: (
                    spec if n == name else find(n)
                ),
            )
            fingerprint.grader_code.cache_clear()
            assert fingerprint.grader_code() != before
    fingerprint.grader_code.cache_clear()
    assert fingerprint.grader_code() == before


@pytest.mark.parametrize("fate", ["gone", "older", "cut", "rows", "record"])
def test_file_and_gradebook_have_to_agree(two, fate):
    path = notebook_of(two, "b")
    if fate == "gone":
        shutil.rmtree(path.parent)
    elif fate == "older":
        notebook = nbformat.read(path, as_version=4)
        notebook.metadata["fovea"]["fingerprint"] = "older"
        path.unlink()
        nbformat.write(notebook, path)
    elif fate == "cut":
        text = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(text[:300])
    elif fate == "rows":
        change(two, "update grade set auto_score = 0 where auto_score = 2")
    else:
        change(two, "delete from fovea_results where student = 'b'")
    before = dump(two.gradebook_path)
    again = graded(two)
    assert "b" in again
    assert graded(two) == []
    if fate not in ("rows", "record"):
        assert again == ["b"]
        assert dump(two.gradebook_path) == before


def test_damaged_submission_is_tried_again_when_it_has_changed(
    course, release, submit, monkeypatch
):
    submit("a", b"{")
    assignment = course.assignment("01_toy")
    (first,) = grade_class(assignment, [], Quick())
    (again,) = grade_class(assignment, [], Quick())
    assert again == first
    assert "cut off" in again.problem
    assert (first.skipped, again.skipped) == (False, True)
    submit("a", answer(release, **RIGHT))
    (mended,) = grade_class(assignment, [], Quick())
    assert mended.score == 3
    assert not mended.skipped


@pytest.mark.slow
def test_runs_that_are_killed_lose_nothing(
    course, release, submit, tmp_path, monkeypatch
):
    monkeypatch.setattr(fingerprint, "grader_code", lambda: "the code")
    answers = [RIGHT, {}, RIGHT | {"double": "def double(x):\n    return x / 2"}]
    students = [f"s{i:02}" for i in range(60)]
    for i, student in enumerate(students):
        submit(student, answer(copy.deepcopy(release), **answers[i % 3]))
    submit("s03", b"{")
    calm = tmp_path / "calm"
    shutil.copytree(course.root, calm)
    list(grade_class(type(course)(calm).assignment("01_toy"), [], Quick()))

    kills = 20
    done = subprocess.run(
        [sys.executable, "-m", "tests.grader.killed", course.root, "0", str(kills)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    *killed, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert [run["killed"] for run in [*killed, last]] == [True] * kills + [False]
    finished: set[str] = set()
    for run in [*killed, last]:
        # whoever was finished is skipped from then on, and in one run nobody runs twice
        assert not finished & set(run["started"])
        assert len(set(run["started"])) == len(run["started"])
        finished |= set(run["finished"])
    assert sorted(last["skipped"] + last["finished"]) == students

    broken = dump(course.gradebook_path)
    undisturbed = dump(calm / "gradebook.db")
    assert broken == undisturbed
    for student in students:
        one, other = (
            notebook_of(type(course)(r), student) for r in (calm, course.root)
        )
        assert one.exists() == other.exists() == (student != "s03")
        if one.exists():
            assert one.read_bytes() == other.read_bytes()
