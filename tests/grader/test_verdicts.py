import nbformat
import pytest

from grader.checking import VERDICT_MIME, Finding, Report
from grader.verdicts import read_verdict


def cell(*outputs, points=3, ran=True, **tags):
    node = nbformat.v4.new_code_cell("check()", outputs=list(outputs))
    node.execution_count = 1 if ran else None
    defaults = {"grade_id": "t-q", "points": points, "grade": True, "solution": False}
    node.metadata["nbgrader"] = defaults | tags
    return node


def report(score, max_score=3, **findings):
    found = tuple(
        Finding(property=name, points=1, message=text, mistakes=(name.upper(),))
        for name, text in findings.items()
    )
    made = Report(exercise="q", score=score, max_score=max_score, findings=found)
    return result(made._repr_mimebundle_())


def result(data):
    return nbformat.v4.new_output("execute_result", data=data)


def error(name, text=""):
    return nbformat.v4.new_output("error", ename=name, evalue=text, traceback=[])


STDERR = nbformat.v4.new_output("stream", name="stderr", text="careful!")

CASES = {
    "full report": (cell(report(3)), 3),
    "part of the points": (cell(report(1.5, a="no")), 1.5),
    "nothing right": (cell(report(0, a="no")), 0),
    "report after a warning": (cell(STDERR, report(2, a="no")), 2),
    "plain asserts that pass": (cell(), 3),
    "plain asserts that warn": (cell(STDERR), 3),
    "error": (cell(error("AssertionError")), 0),
    "error beside a report": (cell(report(3), error("TimeLimit")), 0),
    "not run": (cell(ran=False), 0),
    "more points than there are": (cell(report(5, 5)), 0),
    "negative points": (cell(report(-1)), 0),
    "points of another cell": (cell(report(2, 2)), 0),
}


@pytest.mark.parametrize(("graded", "score"), CASES.values(), ids=CASES.keys())
def test_points_of_a_cell(graded, score):
    assert read_verdict(graded).score == score


@pytest.mark.parametrize(
    ("text", "score"),
    [("0.0", 0), ("1", 1), ("2.5", 2.5), ("3", 3), ("-1", 3), ("'2'", 3), ("nan", 3)],
)
def test_the_number_that_a_cell_of_asserts_ends_with_is_its_points(text, score):
    assert read_verdict(cell(result({"text/plain": text}))).score == score


def test_more_points_than_there_are_count_for_nothing():
    verdict = read_verdict(cell(result({"text/plain": "4"})))
    assert verdict.score == 0
    assert "4 of 4, but the cell has 3 points; tell the instructor" in verdict.message


def test_printed_numbers_are_not_points():
    printed = nbformat.v4.new_output("stream", name="stdout", text="0.0")
    assert read_verdict(cell(printed)).score == 3


def test_manual_cell_has_no_automatic_points():
    verdict = read_verdict(cell(solution=True))
    assert verdict.score is None
    assert verdict.max_score == 3


def test_mistakes_and_messages_are_carried_over():
    verdict = read_verdict(cell(report(1, a="first", b="second")))
    assert verdict.mistake == "A, B"
    assert verdict.message == "a: first; b: second"


def test_verdict_is_data_for_json():
    data = read_verdict(cell(report(3))).to_dict()
    assert data == {
        "grade_id": "t-q",
        "score": 3,
        "max": 3,
        "mistake": None,
        "message": None,
    }


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (error("NameError", "name 'f' is not defined"), "`f` is not defined: the cell"),
        (error("NotImplementedError"), "not answered yet"),
        (error("ValueError", "\x1b[31mbad\x1b[0m\nshape"), "ValueError: bad shape"),
    ],
    ids=["undefined", "stub", "coloured"],
)
def test_errors_are_one_line_in_the_students_words(fault, words):
    assert read_verdict(cell(fault)).message.startswith(words)


def test_report_shows_points_to_nbgrader_and_words_to_people():
    data = report(1.5, shape="wrong shape")["data"]
    assert data["text/plain"] == "1.5"
    assert "wrong shape" in data["text/markdown"]
    assert data[VERDICT_MIME]["score"] == 1.5
