import copy
import json
import sqlite3
from concurrent.futures import Future

import nbformat
import pytest

from grader import __main__ as command_line
from grader.autograde import _reason, check_gradebook, grade_class, register
from grader.course import BadInput
from tests.grader.conftest import RIGHT, answer

pytestmark = pytest.mark.slow


def grade(course, *students):
    results = grade_class(course.assignment("01_toy"), students, jobs=2)
    return {result.student: result for result in results}


def scores(course):
    """The automatic points of each student in nbgrader's gradebook."""
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course.gradebook_path}") as gradebook:
        return {
            s.student.id: sum(g.auto_score or 0 for n in s.notebooks for g in n.grades)
            for s in gradebook.assignment_submissions("01_toy")
        }


def test_class_gets_points_mistakes_and_notes(course, release, submit):
    submit("right", answer(copy.deepcopy(release), **RIGHT))
    submit("untouched", release)
    halves = RIGHT | {"double": "def double(x):\n    return x / 2"}
    submit("ann lee", answer(copy.deepcopy(release), **halves))
    results = grade(course)
    assert {s: (r.score, r.max_score, r.manual_max) for s, r in results.items()} == {
        "right": (3, 3, 3),
        "untouched": (0, 3, 3),
        "ann lee": (1, 3, 3),
    }
    double = {v.grade_id: v for v in results["ann lee"].verdicts}["toy-double-tests"]
    assert double.mistake == "halves"
    assert "halves" in double.message
    assert scores(course) == {"right": 3, "untouched": 0, "ann lee": 1}


def test_damaged_submissions_are_named_and_the_others_graded(
    course, release, submit, capsys
):
    good = answer(copy.deepcopy(release), **RIGHT)
    submit("good", good)
    submit("cut", nbformat.writes(good).encode()[:300])
    submit("latin", '{"nbformat": 4, "cells": "é"}'.encode("latin-1"))
    submit("empty", b"")
    submit("renamed", good, name="my_toy")
    folder = submit("time", good).parent
    (folder / "timestamp.txt").write_text("yesterday at noon-ish")
    assert command_line.main(["autograde", "01_toy", "--json"]) == 1
    printed = capsys.readouterr()
    data = json.loads(printed.out)
    graded = {s["student"]: s["score"] for s in data["submissions"]}
    assert graded.pop("good") == 3
    assert set(graded.values()) == {None}
    for student, word in {
        "cut": "cut off",
        "latin": "UTF-8",
        "empty": "empty",
        "renamed": "missing",
        "time": "timestamp.txt",
    }.items():
        (line,) = [row for row in printed.err.splitlines() if f": {student}: " in row]
        assert word in line


def test_regrading_gives_the_same_points(course, release, submit):
    submit("right", answer(release, **RIGHT))
    first, second = grade(course)["right"], grade(course)["right"]
    assert first == second


def test_regrade_of_an_emptied_notebook_loses_yesterdays_points(
    course, release, submit
):
    stub = copy.deepcopy(release)
    submit("eve", answer(release, **RIGHT))
    grade(course)
    assert scores(course) == {"eve": 3}
    stub.cells = stub.cells[:2]
    submit("eve", stub)
    grade(course)
    assert scores(course) == {"eve": 0}


def test_only_the_named_students_are_graded(course, release, submit):
    for student in ("a", "b", "c"):
        submit(student, release)
    assert set(grade(course, "a", "c")) == {"a", "c"}


@pytest.mark.parametrize(
    ("students", "word"),
    [
        pytest.param(["nobody"], "nobody", id="unknown"),
        pytest.param(["a/b"], "slash", id="slash"),
        pytest.param([".."], "folder", id="parent"),
    ],
)
def test_students_that_are_none_are_refused(course, release, submit, students, word):
    submit("a", release)
    with pytest.raises(BadInput, match=word):
        grade(course, *students)


def test_empty_class_says_how_to_collect(course, capsys):
    assert command_line.main(["autograde", "01_toy"]) == 2
    assert "nbgrader collect 01_toy" in capsys.readouterr().err


def test_unknown_assignment_suggests_the_close_one(course, capsys):
    assert command_line.main(["autograde", "01_toi"]) == 2
    assert "did you mean '01_toy'" in capsys.readouterr().err


def test_locked_gradebook_is_refused_before_anything_runs(course, release, submit):
    submit("a", release)
    grade(course)
    lock = sqlite3.connect(course.gradebook_path)
    lock.execute("BEGIN EXCLUSIVE")
    try:
        with pytest.raises(BadInput, match="locked"):
            check_gradebook(course.gradebook_path, wait_s=0.1)
    finally:
        lock.close()
    check_gradebook(course.gradebook_path, wait_s=0.1)


def test_file_that_is_no_gradebook_is_refused_and_kept(course, release, submit):
    submit("a", release)
    course.gradebook_path.write_text("notes of mine")
    with pytest.raises(BadInput, match="not a gradebook"):
        grade(course)
    assert course.gradebook_path.read_text() == "notes of mine"


def test_nbgraders_own_command_gives_the_same_points(course, release, submit):
    halves = RIGHT | {"double": "def double(x):\n    return x / 2"}
    submit("half", answer(copy.deepcopy(release), **halves))
    submit("right", answer(release, **RIGHT))
    ours = {s: r.score for s, r in grade(course).items()}
    outcome = course.nbgrader.autograde("01_toy", "*", force=True)
    assert outcome["success"], outcome
    assert scores(course) == ours == {"half": 1, "right": 3}


def test_nbgraders_own_command_outlives_damaged_and_doubled_work(
    course, release, submit
):
    good = answer(copy.deepcopy(release), **RIGHT)
    submit("a cut one", nbformat.writes(good).encode()[:300])
    submit("b good", good)
    doubled = copy.deepcopy(good)
    doubled.cells += copy.deepcopy(good.cells)
    doubled = nbformat.from_dict(doubled)
    for number, cell in enumerate(doubled.cells):
        cell.id = f"c{number}"
    submit("c doubled", doubled)
    register(course.assignment("01_toy"))
    outcome = course.nbgrader.autograde("01_toy", "*", force=True)
    assert not outcome["success"]
    assert "cut off" in outcome["log"]
    found = scores(course)
    assert (found["b good"], found["c doubled"]) == (3, 3)


def test_the_reason_is_the_error_and_not_the_line_that_points_to_it():
    log = (
        "Traceback (most recent call last):\n  raise E()\n"
        "sqlite3.OperationalError: database is locked\n"
        "There was an error processing assignment '01_toy'\n"
    )
    error = "nbgrader.NbGraderException: Please see the the above traceback for details"
    outcome = {"success": False, "log": log, "error": error}
    assert _reason(outcome) == "sqlite3.OperationalError: database is locked"


def test_a_run_that_breaks_off_is_one_students_problem(course, release, submit):
    from grader.autograde import ClassRun

    submit("a", release)
    run = ClassRun(course.assignment("01_toy"), ["a"], jobs=1)
    run.futures["a"] = Future()
    run.futures["a"].set_exception(RuntimeError("lost"))
    assert "broke off" in run._write(course.nbgrader, "a")
