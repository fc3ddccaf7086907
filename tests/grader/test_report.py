import json
import re
import shutil
from html import unescape

import nbformat
import numpy as np
import pytest

from grader import __main__ as command_line
from grader import report as report_module
from grader.checking import UNANSWERED
from grader.course import BadInput, Course
from grader.report import load, report_page, report_table, sections, summarize
from tests.grader.conftest import ROOT, toy_source


def cell(name, score, top=1.0, mistake=None, message=None):
    return {
        "grade_id": f"toy-{name}-tests",
        "score": score,
        "max": top,
        "mistake": mistake,
        "message": message,
    }


def result(student, *cells, **more):
    scored = [c for c in cells if c["score"] is not None]
    return {
        "student": student,
        "score": sum(c["score"] for c in scored),
        "max": sum(c["max"] for c in scored),
        "manual_max": sum(c["max"] for c in cells if c["score"] is None),
        "late_s": 0,
        "problem": None,
        "notes": [],
        "flags": [],
        "sandbox": "bubblewrap",
        "seconds": {},
        "cells": list(cells),
    } | more


def damaged(student, problem="toy.ipynb is empty"):
    return result(student, problem=problem, score=None, sandbox="none")


UNTOUCHED = {"message": UNANSWERED}
SMALL = [
    result("ann", cell("a", 2.0, 2.0), cell("b", 1.0, message="a remark")),
    result(
        "ben",
        cell("a", 1.0, 2.0, "halves", "doubles: it halves; keeps: it halves"),
        cell("b", 0.0, **UNTOUCHED),
    ),
    result(
        "cem",
        cell("a", 0.0, 2.0, "halves, sign", "doubles: it halves; keeps: the sign"),
        cell("b", 1.0),
    ),
    result(
        "dee",
        cell("a", 0.0, 2.0, None, "ValueError: no\nsecond line"),
        cell("b", 0.0, **UNTOUCHED),
    ),
]


def exercise(report, name):
    found = [e for e in report["exercises"] if e["grade_id"] == f"toy-{name}-tests"]
    return found[0]


def shares(report, name):
    kinds = ("mean", "full", "part", "no", "unanswered")
    return [exercise(report, name)[f"{kind}_share"] for kind in kinds]


def test_scores_of_a_small_class():
    report = summarize("01_toy", [*SMALL, damaged("eve")])
    assert (report["graded"], report["not_graded"]) == (4, 1)
    scores = report["scores"]
    bins = scores.pop("histogram")
    # of 0, 1, 1, 3
    assert scores == {
        "max": 3,
        "mean": 1.25,
        "lowest": 0,
        "quartile_1": 0.75,
        "median": 1,
        "quartile_3": 1.5,
        "highest": 3,
    }
    assert [(b["from"], b["to"], b["students"]) for b in bins] == [
        (0, 1, 1),
        (1, 2, 2),
        (2, 3, 0),
        (3, 4, 1),
    ]


@pytest.mark.parametrize(
    ("top", "scores", "counts"),
    [
        (0, [0, 0], [2]),
        (2.5, [0, 2.5, 2.25], [1, 0, 2, 0]),
        (20, [0, 1.99, 2, 18, 20], [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]),
        (66, [0, 63, 66], [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]),
    ],
)
def test_every_score_stands_in_one_bin_of_the_histogram(top, scores, counts):
    rows = [result(str(i), score=s, max=top) for i, s in enumerate(scores)]
    bins = summarize("01_toy", rows)["scores"]["histogram"]
    assert [b["students"] for b in bins] == counts


def test_shares_of_a_small_class():
    report = summarize("01_toy", SMALL)
    assert shares(report, "a") == [0.375, 0.25, 0.25, 0.5, 0]
    assert shares(report, "b") == [0.5, 0.5, 0, 0, 0.5]


def test_failures_are_counted_by_name_and_quoted_where_little_else_is_wrong():
    report = summarize("01_toy", SMALL)
    found = [tuple(f.values()) for f in exercise(report, "a")["failures"]]
    assert found == [
        ("halves", 2, "doubles: it halves"),
        (None, 1, "ValueError: no second line"),
        ("sign", 1, "doubles: it halves; keeps: the sign"),
    ]
    assert exercise(report, "a")["unnamed"] == 1
    assert exercise(report, "b")["failures"] == []


def test_unnamed_failures_that_differ_in_numbers_are_one():
    texts = ["10.3 % of W1 are right", "9 % of W1 are right", "9 % of W2 are right"]
    rows = [result(t, cell("a", 0.0, message=t)) for t in texts]
    failures = exercise(summarize("01_toy", rows), "a")["failures"]
    assert [(f["students"], f["message"]) for f in failures] == [
        (2, "9 % of W1 are right"),
        (1, "9 % of W2 are right"),
    ]


def class_of(count, **scores):
    return [
        result(f"s{i}", *(cell(name, float(f(i))) for name, f in scores.items()))
        for i in range(count)
    ]


def test_correlation_with_the_rest():
    rows = class_of(10, a=lambda i: i % 2, b=lambda i: i % 2, c=lambda i: 1)
    report = summarize("01_toy", rows)
    found = {e["grade_id"]: e["correlation_with_rest"] for e in report["exercises"]}
    assert found["toy-a-tests"] == pytest.approx(1)
    assert found["toy-c-tests"] is None
    opposite = class_of(10, a=lambda i: i % 2, b=lambda i: 1 - i % 2)
    report = summarize("01_toy", opposite)
    assert exercise(report, "a")["correlation_with_rest"] == pytest.approx(-1)


def test_correlation_is_that_of_numpy():
    rng = np.random.default_rng(0)
    points = rng.integers(0, 5, (30, 3)) / 4
    rows = [
        result(f"s{i}", *(cell(k, p) for k, p in zip("abc", row, strict=True)))
        for i, row in enumerate(points.tolist())
    ]
    found = exercise(summarize("01_toy", rows), "b")["correlation_with_rest"]
    expected = np.corrcoef(points[:, 1], points[:, [0, 2]].sum(1))[0, 1]
    assert found == pytest.approx(expected, rel=1e-12)


def test_correlation_is_left_out_in_a_small_class():
    rows = class_of(9, a=lambda i: i % 2, b=lambda i: i % 2)
    report = summarize("01_toy", rows)
    assert exercise(report, "a")["correlation_with_rest"] is None
    assert "with the rest" not in report_table(report)
    assert "with the rest" in report_table(
        summarize("01_toy", class_of(10, a=lambda i: i % 2, b=lambda i: i % 2))
    )


def test_submissions_to_look_at_come_the_most_urgent_first():
    full = cell("a", 1.0)
    rows = [
        result("fine", full),
        result("late", full, late_s=5400),
        result("noted", full, notes=["toy-a is missing", "toy-b stands 2 times"]),
        result("slow", full, flags=["TimeLimit", "TimeLimit"], late_s=3600),
        result("cheat", full, flags=["Protocol"]),
        result("new", full, flags=["SomethingElse"]),
        result("open", full, sandbox="none"),
        damaged("cut"),
    ]
    attention = summarize("01_toy", rows)["attention"]
    order = [row["student"] for row in attention["submissions"]]
    assert order == ["new", "cut", "cheat", "slow", "open", "noted", "late"]
    assert attention["kinds"] == {
        "SomethingElse": 1,
        "not graded": 1,
        "Protocol": 1,
        "TimeLimit": 1,
        "no sandbox": 1,
        "note": 1,
        "late": 2,
    }
    texts = {row["student"]: row["text"] for row in attention["submissions"]}
    assert "toy.ipynb is empty" in texts["cut"]
    assert texts["noted"] == "toy-a is missing; toy-b stands 2 times"
    assert texts["late"] == "1.5 h late"


def test_a_class_without_a_sandbox_is_told_once():
    rows = [result(s, cell("a", 1.0), sandbox="none") for s in "xyz"]
    attention = summarize("01_toy", [*rows, damaged("cut")])["attention"]
    assert attention["kinds"]["no sandbox"] == 3
    assert [row["student"] for row in attention["submissions"]] == ["cut"]


def test_what_a_person_grades_is_counted_and_no_exercise():
    why = cell("why", None, 3.0, message="graded by a person")
    done = why | {"waiting": False}
    rows = [result(str(i), cell("a", 1.0), c) for i, c in enumerate([why, why, done])]
    report = summarize("01_toy", rows)
    assert [e["grade_id"] for e in report["exercises"]] == ["toy-a-tests"]
    assert report["to_grade"] == [
        {"grade_id": "toy-why-tests", "max": 3.0, "students": 2}
    ]


EDGES = {
    "one student": SMALL[:1],
    "one damaged": [damaged("eve")],
    "nobody answered": [
        result(s, cell("a", 0.0, **UNTOUCHED), cell("b", 0.0, **UNTOUCHED))
        for s in "abcdefghijk"
    ],
    "no checks": [result(s, cell("why", None, 3.0)) for s in "abcdef"],
    "no cells": [result(s) for s in "abcdef"],
    "cells without points": [result(s, cell("a", 0.0, 0.0)) for s in "abcdef"],
    "cells that came later": [*SMALL, result("new", cell("c", 1.0))],
    "all alike": class_of(12, a=lambda i: 1, b=lambda i: 1),
    "many": class_of(300, **{f"e{k}": lambda i, k=k: i % k < 2 for k in range(2, 32)}),
}


@pytest.mark.parametrize("rows", EDGES.values(), ids=EDGES)
def test_unusual_classes_are_shown(rows):
    report = summarize("01_toy", rows)
    json.dumps(report, allow_nan=False)
    count = sum(not r["problem"] for r in rows)
    headline = f"01_toy: {count} graded, {len(rows) - count} not graded"
    assert report_table(report).startswith(headline)
    page = report_page(report)
    assert headline in page
    assert page.count("<img") == (0 if count < 5 else 2 if report["exercises"] else 1)


def test_exercise_that_nobody_answered():
    report = summarize("01_toy", EDGES["nobody answered"])
    assert shares(report, "a") == [0, 0, 0, 0, 1]
    assert exercise(report, "a")["correlation_with_rest"] is None
    assert report["scores"]["highest"] == 0


def test_table_fits_100_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    name = "a-name-of-an-exercise-that-goes-on-and-on-and-on-as-names-may-do-"
    rows = [
        result(
            f"{i}-" + 50 * "x",
            *(cell(f"{name}{k}", 0.0, message=90 * "word ") for k in (1, 2)),
            cell("a", float(i % 2)),
            notes=[300 * "n"],
        )
        for i in range(12)
    ]
    report = summarize("01_toy", rows)
    lines = report_table(report).splitlines()
    assert max(map(len, lines)) <= 100
    # 12 students, 3 exercises, 4 bins: long names can be told apart all the same
    assert len({row[0] for s in sections(report) for row in s.rows}) == 12 + 3 + 4


TAGS = '<script>alert("1")</script><img src=x onerror=alert(2)>&amp;'
HOSTILE = f"{TAGS}\x1b[2J\u202e\ud800"


def hostile_report():
    bad = cell("a", 0.0, mistake="halves", message=HOSTILE)
    rows = [
        result(f"Żółć 名前 {i} {HOSTILE}", bad, cell("b", 0.0, message=f"{HOSTILE}{i}"))
        for i in range(6)
    ]
    rows[0] |= {"notes": [HOSTILE], "flags": ["Protocol"]}
    return summarize("01_toy", [*rows, damaged("eve", HOSTILE)])


def test_page_escapes_what_students_wrote_and_fetches_nothing():
    page = report_page(hostile_report())
    page.encode()
    assert "<script" not in page
    assert "onerror=alert(2)&gt;" in page
    assert "Żółć 名前 0" in page
    assert not set(page) & set("\x1b\u202e")
    addresses = re.findall(r'(?:src|href|action|data)\s*=\s*"([^"]*)"', page)
    assert addresses
    assert all(a.startswith(("data:image/png;base64,", "#")) for a in addresses)
    text = re.sub(r"base64,[^\"]*", "", page)
    assert not re.search(r"https?:|//|url\(|@import", text)
    assert "default-src 'none'" in page
    for alt in re.findall(r'<img[^>]* alt="([^"]*)"', page):
        assert len(unescape(alt)) > 40


def test_terminal_gets_no_control_characters():
    text = report_table(hostile_report())
    text.encode()
    assert all(c.isprintable() or c == "\n" for c in text)


def test_anonymous_report_names_nobody():
    bad = {"mistake": "halves", "message": "it halves"}
    rows = [
        result(f"Ada{i}", cell("a", 0.0, **bad), cell("b", 0.0, message=f"by Ada{i}"))
        for i in range(12)
    ]
    # of a mistake, too: the message may say more than the check does
    rows[0]["cells"][0] |= {"message": "ValueError: Ada"}
    rows[1] |= {"notes": ["of Ada1"], "flags": ["TimeLimit"]}
    rows.append(damaged("Ada12", "mend submitted/Ada12/toy.ipynb"))
    named = summarize("01_toy", rows)
    assert "Ada1" in json.dumps(named)
    report = summarize("01_toy", rows, anonymous=True)
    assert report["attention"]["kinds"] == {"not graded": 1, "TimeLimit": 1, "note": 1}
    assert "it halves" in report_table(report)
    for text in (json.dumps(report), report_table(report), report_page(report)):
        assert "Ada" not in text


def shape(value):
    if isinstance(value, dict):
        return {key: shape(entry) for key, entry in value.items()}
    return [shape(value[0])] if isinstance(value, list) else type(value).__name__


def test_json_keeps_its_shape():
    rows = class_of(10, a=lambda i: i % 2, b=lambda i: i % 2)
    rows[0]["cells"][0] |= {"mistake": "halves", "message": "it halves"}
    rows[0]["cells"].append(cell("why", None, 3.0))
    rows[0]["late_s"] = 60
    data = json.loads(json.dumps(summarize("01_toy", rows)))
    data["attention"]["kinds"] = {}
    points = {"grade_id": "str", "max": "float"}
    assert shape(data) == {
        "assignment": "str",
        "graded": "int",
        "not_graded": "int",
        "scores": {
            "max": "float",
            "mean": "float",
            "lowest": "float",
            "quartile_1": "float",
            "median": "float",
            "quartile_3": "float",
            "highest": "float",
            "histogram": [{"from": "int", "to": "int", "students": "int"}],
        },
        "exercises": [
            points
            | {
                "students": "int",
                "mean_share": "float",
                "full_share": "float",
                "part_share": "float",
                "no_share": "float",
                "unanswered_share": "float",
                "correlation_with_rest": "float",
                "unnamed": "int",
                "failures": [{"mistake": "str", "students": "int", "message": "str"}],
            }
        ],
        "to_grade": [points | {"students": "int"}],
        "attention": {
            "kinds": {},
            "submissions": [{"student": "str", "kinds": ["str"], "text": "str"}],
        },
    }


# --- the command ----------------------------------------------------------------------


@pytest.fixture
def small_course(tmp_path, monkeypatch):
    """A course that nothing was done in."""
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    (tmp_path / "solutions/01_toy").mkdir(parents=True)
    nbformat.write(toy_source(), tmp_path / "solutions/01_toy/toy.ipynb")
    monkeypatch.chdir(tmp_path)
    return Course(tmp_path)


def test_command_prints_the_table_and_writes_the_page(
    small_course, monkeypatch, capsys
):
    monkeypatch.setattr(report_module, "load", lambda assignment: SMALL)
    assert command_line.main(["report", "01_toy"]) == 0
    assert capsys.readouterr().out.startswith("01_toy: 4 graded, 0 not graded")
    page = small_course.root / "build/report-01_toy.html"
    assert "it halves" in page.read_text(encoding="utf-8")


def test_command_prints_json_and_nothing_else(small_course, monkeypatch, capsys):
    monkeypatch.setattr(report_module, "load", lambda assignment: SMALL)
    assert command_line.main(["report", "01_toy", "--json", "--anonymous"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == summarize("01_toy", SMALL, anonymous=True)
    assert not (small_course.root / "build").exists()
    page = small_course.root / "here" / "a.html"
    command_line.main(["report", "01_toy", "--json", "--html", str(page)])
    assert json.loads(capsys.readouterr().out) == summarize("01_toy", SMALL)
    assert page.exists()


def test_page_that_cannot_be_written_is_named(small_course, monkeypatch, capsys):
    monkeypatch.setattr(report_module, "load", lambda assignment: SMALL)
    arguments = ["report", "01_toy", "--html", str(small_course.root)]
    assert command_line.main(arguments) == 2
    assert str(small_course.root) in capsys.readouterr().err


def test_without_results_the_command_says_what_to_run(small_course, capsys):
    assert command_line.main(["report", "01_toy"]) == 2
    assert "python -m grader autograde 01_toy" in capsys.readouterr().err


@pytest.mark.slow
def test_results_come_from_the_gradebook(course, release, submit):
    from nbgrader.api import Gradebook

    from grader.autograde import register
    from grader.recording import Recorder

    assignment = course.assignment("01_toy")
    for student in ("ann", "ben", "new"):
        submit(student, release)
    register(assignment)
    with pytest.raises(BadInput):
        load(assignment)
    with Recorder(assignment) as recorder:
        recorder.record("ann", toy_source(), "1")
        recorder.record("ben", toy_source(), "2")
    report = summarize("01_toy", load(assignment))
    assert (report["graded"], report["not_graded"]) == (2, 1)
    assert report["attention"]["submissions"][0]["student"] == "new"
    assert report["to_grade"] == [{"grade_id": "toy-why", "max": 3.0, "students": 2}]
    with Gradebook(f"sqlite:///{course.gradebook_path}") as gradebook:
        grade = gradebook.find_grade("toy-why", "toy", "01_toy", "ann")
        grade.manual_score, grade.needs_manual_grade = 2, False
        gradebook.db.commit()
    assert summarize("01_toy", load(assignment))["to_grade"][0]["students"] == 1
