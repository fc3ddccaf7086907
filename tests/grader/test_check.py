import copy
import json

import nbformat
import pytest

from grader import __main__ as command_line
from tests.grader.conftest import RIGHT, answer

pytestmark = pytest.mark.sandbox


def check(capsys, *arguments):
    """Run the command; return its exit code, its standard output and its errors."""
    code = command_line.main(["check", *map(str, arguments)])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_json_is_all_that_is_printed(course, release, submit, capsys):
    halves = RIGHT | {"double": "def double(x):\n    return x / 2\nprint('noise')"}
    path = submit("me", answer(release, **halves))
    code, out, _ = check(capsys, path, "--json")
    data = json.loads(out)
    assert code == 0
    assert (data["score"], data["max"], data["manual_max"]) == (1, 3, 3)
    double = data["cells"][0]
    assert double == {
        "grade_id": "toy-double-tests",
        "score": 0,
        "max": 2,
        "mistake": "halves",
        "message": "it halves",
    }


def test_table_names_exercises_points_and_what_to_mend(course, release, submit, capsys):
    path = submit("me", answer(release, **RIGHT | {"triple": "def triple(x):\n  )"}))
    code, out, _ = check(capsys, path)
    assert code == 0
    rows = {row.split()[0]: row for row in out.splitlines() if row.strip()}
    assert "2 / 2" in rows["toy-double"]
    assert "0 / 1" in rows["toy-triple"]
    assert "`triple` is not defined" in rows["toy-triple"]
    assert "2 of 3 points" in out


def test_untouched_release_scores_nothing(course, capsys):
    path = course.assignment("01_toy").release_path
    _, out, _ = check(capsys, path, "--json")
    data = json.loads(out)
    assert (data["score"], data["max"]) == (0, 3)
    assert {c["message"] for c in data["cells"]} >= {"not answered yet"}


def test_instructors_notebook_scores_everything(course, capsys):
    path = course.assignment("01_toy").source_path
    _, out, _ = check(capsys, path, "--json")
    data = json.loads(out)
    assert data["score"] == data["max"] == 3


def test_checking_leaves_the_notebook_as_it_was(course, release, submit, capsys):
    path = submit("me", answer(release, **RIGHT))
    before = path.read_bytes()
    check(capsys, path)
    assert path.read_bytes() == before


def test_endless_loop_costs_its_cell(course, release, submit, capsys):
    loop = RIGHT | {"double": "def double(x):\n    while True: pass"}
    path = submit("me", answer(release, **loop))
    code, out, _ = check(capsys, path, "--json", "--cell-limit", 3)
    cells = {c["grade_id"]: c for c in json.loads(out)["cells"]}
    assert code == 0
    assert "3 s" in cells["toy-double-tests"]["message"]
    assert cells["toy-triple-tests"]["score"] == 1


def test_a_copy_under_another_name_is_known_by_its_cells(
    course, release, submit, capsys
):
    path = submit("me", answer(release, **RIGHT), name="toy-Copy1")
    code, out, _ = check(capsys, path, "--json")
    assert code == 0
    assert json.loads(out)["score"] == 3


STRANGER = b'{"nbformat": 4, "cells": [{"cell_type": "code", "source": "1"}]}'


def bad_inputs(course, release, submit, tmp_path):
    good = nbformat.writes(answer(copy.deepcopy(release), **RIGHT)).encode()
    return {
        "no such file": (tmp_path / "none.ipynb", "there is no"),
        "a folder": (tmp_path, "folder"),
        "cut off": (submit("a", good[:500]), "cut off"),
        "not UTF-8": (submit("b", b"\xe9" + good), "UTF-8"),
        "empty": (submit("c", b""), "empty"),
        "of no assignment": (submit("d", STRANGER, name="other"), "toy.ipynb"),
    }


def test_bad_input_is_one_line_and_exit_code_2(
    course, release, submit, tmp_path, capsys
):
    for path, word in bad_inputs(course, release, submit, tmp_path).values():
        code, out, err = check(capsys, path, "--json")
        assert (code, out) == (2, ""), path
        assert word in err
        assert len(err.strip().splitlines()) == 1


def test_outside_a_course_says_so(course, tmp_path, monkeypatch, capsys):
    path = course.assignment("01_toy").release_path
    monkeypatch.chdir(tmp_path)
    code, _, err = check(capsys, path)
    assert code == 2
    assert "nbgrader_config.py" in err


@pytest.mark.parametrize(
    "arguments",
    [["autograde", "01_toy", "--jobs", "0"], ["sample", "01_toy", "--students", "0"]],
    ids=["no jobs", "no students"],
)
def test_numbers_out_of_range_are_refused(course, arguments, capsys):
    assert command_line.main(arguments) == 2
    assert " 0" in capsys.readouterr().err
