import contextlib
import copy
import sqlite3

import nbformat
import pytest
from sqlalchemy.exc import OperationalError

from grader.execution import Limits
from grader.gradebook import register
from grader.nbgrader_hooks import make_task, rebuild_file, take_outputs
from grader.reading import Damaged
from grader.recording import Recorder, read_timestamp, results
from grader.verdicts import Result
from tests.grader.conftest import RIGHT, answer
from tests.grader.quick import dump, execute, known_version


@pytest.fixture(autouse=True)
def _registered(course, monkeypatch):
    monkeypatch.setattr("nbgrader.api.get_alembic_version", known_version)
    register(course.assignment("01_toy"))


@pytest.fixture
def assignment(course):
    return course.assignment("01_toy")


@pytest.fixture
def executed(assignment, release, submit):
    """A function that hands in some answers, and returns the executed notebook."""

    def run(student, **sources):
        path = submit(student, answer(copy.deepcopy(release), **sources))
        notebook = rebuild_file(path, assignment).notebook
        task = make_task(notebook, student, assignment, Limits())
        take_outputs(notebook, execute(task))
        return notebook

    return run


def change(course, statement):
    connection = sqlite3.connect(course.gradebook_path)
    connection.execute(statement)
    connection.commit()
    connection.close()


def grades(course):
    return {row[1]: row[2:] for row in dump(course.gradebook_path)["grades"]}


def test_points_comments_and_result_are_written(course, assignment, executed):
    with Recorder(assignment) as recorder:
        result = recorder.record("ann", executed("ann", **RIGHT), "key")
        recorder.record("bob", executed("bob"), "other")
        assert recorder.records() == {
            "ann": ("key", result),
            "bob": ("other", Result.from_dict(results(assignment)[1])),
        }
    written = dump(course.gradebook_path)
    assert [row[:3] + row[5:] for row in written["grades"]] == [
        ("ann", "toy-double-tests", 2, 0),
        ("ann", "toy-triple-tests", 1, 0),
        ("ann", "toy-why", None, 1),
        ("bob", "toy-double-tests", 0, 0),
        ("bob", "toy-triple-tests", 0, 0),
        ("bob", "toy-why", 0, 0),
    ]
    said = {row[:2]: row[2] for row in written["comments"]}
    assert {said["bob", name] for name in ("toy-double", "toy-why")} == {"No response."}
    assert {said["ann", name] for name in ("toy-double", "toy-why")} == {None}
    assert results(assignment)[0] == result.to_dict()


def test_results_of_a_gradebook_without_any(assignment):
    assert results(assignment) == []


def test_result_survives_being_written_down(assignment, executed):
    halves = RIGHT | {"double": "def double(x):\n    return x / 2"}
    notebook = executed("ann", **halves)
    notebook.metadata.fovea |= {
        "flags": ["TimeLimit"],
        "sandbox": "bubblewrap",
        "seconds": {"cells": 0.5},
    }
    with Recorder(assignment) as recorder:
        result = recorder.record("ann", notebook, "key")
    assert "halves" in result.verdicts[0].mistake
    assert (result.flags, result.sandbox) == (("TimeLimit",), "bubblewrap")
    again = Result.from_dict(result.to_dict())
    assert again == result
    assert again.seconds == {"cells": 0.5}


def test_what_a_person_wrote_stays_and_is_looked_at_again(course, assignment, executed):
    with Recorder(assignment) as recorder:
        recorder.record("ann", executed("ann", **RIGHT), "key")
        change(
            course,
            "update grade set manual_score = 1.5, extra_credit = 0.5,"
            " needs_manual_grade = 0",
        )
        change(course, "update comment set manual_comment = 'well done'")
        recorder.record("ann", executed("ann"), "new")
        assert set(grades(course).values()) == {(0, 1.5, 0.5, 1)}
        recorder.record_problem("ann", "cut off")
    assert set(grades(course).values()) == {(None, 1.5, 0.5, 1)}
    comments = dump(course.gradebook_path)["comments"]
    assert {row[3] for row in comments} == {"well done"}


def test_problem_takes_the_automatic_points_back(course, assignment, executed):
    with Recorder(assignment) as recorder:
        recorder.record("ann", executed("ann", **RIGHT), "key")
        recorder.record_problem("ann", "cut off", "new")
        assert set(grades(course).values()) == {(None, None, None, 1)}
        assert recorder.records()["ann"][0] == "new"
    (row,) = results(assignment)
    assert (row["problem"], row["score"], row["cells"]) == ("cut off", None, [])


def test_a_submission_is_written_whole_or_not_at_all(
    course, assignment, executed, monkeypatch
):
    notebook = executed("ann", **RIGHT)
    with Recorder(assignment) as recorder:
        recorder.record("ann", executed("ann"), "old")
        before = dump(course.gradebook_path)
        # the last of all that is written
        monkeypatch.setattr(recorder, "_keep", lambda *_: 1 / 0)
        for student in ("ann", "new"):
            with pytest.raises(ZeroDivisionError):
                recorder.record(student, notebook, "key")
    assert dump(course.gradebook_path) == before


def test_cells_that_the_gradebook_lacks_are_refused(course, assignment, executed):
    notebook = executed("ann", **RIGHT)
    notebook.cells[3].metadata.nbgrader["grade_id"] = "other"
    with Recorder(assignment) as recorder, pytest.raises(LookupError, match="other"):
        recorder.record("ann", notebook, "key")
    assert dump(course.gradebook_path)["grades"] == []


def test_locked_gradebook_is_waited_for_and_then_left_alone(
    course, assignment, executed, monkeypatch
):
    monkeypatch.setattr("grader.recording.GRADEBOOK_WAIT_S", 0.1)
    with Recorder(assignment) as recorder:
        lock = sqlite3.connect(course.gradebook_path)
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="locked"):
            recorder.record("ann", executed("ann"), "key")
        lock.close()
        assert recorder.records() == {}
        recorder.record("ann", executed("ann"), "key")
        assert set(recorder.records()) == {"ann"}


def test_nobody_writes_between_what_is_read_and_written(
    course, assignment, executed, monkeypatch
):
    def read(*arguments):
        other = sqlite3.connect(course.gradebook_path, timeout=0)
        with contextlib.closing(other), pytest.raises(sqlite3.OperationalError):
            other.execute("update grade set manual_score = 1")
        return find(*arguments)

    with Recorder(assignment) as recorder:
        recorder.record("ann", executed("ann", **RIGHT), "key")
        find = recorder._submission
        monkeypatch.setattr(recorder, "_submission", read)
        recorder.record("ann", executed("ann"), "new")
    assert grades(course)["toy-why"] == (0, None, None, 0)


LATE = "update assignment set duedate = '2026-01-31 12:00:00.000000'"


def hand_in_at(assignment, student, time):
    folder = assignment.submission_folder(student)
    (folder / "timestamp.txt").write_text(time)


@pytest.mark.parametrize("method", ["none", "zero"])
def test_late_work_costs_what_the_course_says(course, assignment, executed, method):
    course.nbgrader.config.LateSubmissionPlugin.penalty_method = method
    change(course, LATE)
    with Recorder(assignment) as recorder:
        for student, hour in {"early": 11, "late": 13}.items():
            notebook = executed(student, **RIGHT)
            hand_in_at(assignment, student, f"2026-01-31 {hour}:00:00 UTC")
            result = recorder.record(student, notebook, "key")
            assert result.late_s == {"early": 0, "late": 3600}[student]
    written = dump(course.gradebook_path)
    penalties = dict(written["notebooks"])
    assert penalties == {"early": None, "late": 3 if method == "zero" else None}
    assert written["submissions"][1][1].startswith("2026-01-31 13:00")
    change(course, LATE.replace("12:00", "14:00"))
    with Recorder(assignment) as recorder:
        assert recorder.record("late", executed("late", **RIGHT), "key").late_s == 0
    penalties = dict(dump(course.gradebook_path)["notebooks"])
    assert penalties == {"early": None, "late": None}


def test_record_no_longer_holds_when_the_gradebook_changed(
    course, assignment, executed
):
    change(course, LATE)
    notebook = executed("ann", **RIGHT)
    hand_in_at(assignment, "ann", "2026-01-31 13:00:00 UTC")
    with Recorder(assignment) as recorder:
        for statement in (
            "update grade set auto_score = 0 where auto_score = 2",
            "update submitted_assignment set extension = '1970-01-02 00:00:00.000000'",
            "update assignment set duedate = '2026-01-30 12:00:00.000000'",
        ):
            recorder.record("ann", notebook, "key")
            assert set(recorder.records()) == {"ann"}
            change(course, statement)
            assert recorder.records() == {}
        recorder.record_problem("ann", "cut off", "key")
        assert set(recorder.records()) == {"ann"}
        change(course, "update grade set auto_score = 3")
        assert recorder.records() == {}


def test_notebook_is_given_the_fingerprint(assignment, executed):
    notebook = executed("ann")
    with Recorder(assignment) as recorder:
        recorder.record("ann", notebook, "key")
    assert notebook.metadata.fovea.fingerprint == "key"
    nbformat.validate(notebook)


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-01-31 23:59:00 UTC", 23), ("2026-01-31 23:59:00 CET", 22), ("\n", None)],
)
def test_timestamps_are_in_utc(tmp_path, text, hour):
    (tmp_path / "timestamp.txt").write_text(text)
    time = read_timestamp(tmp_path)
    assert (time and time.hour) == hour


@pytest.mark.parametrize("text", [b"noon", b"\xff\xff", b"99999-01-01"])
def test_timestamps_that_are_none(tmp_path, text):
    assert read_timestamp(tmp_path) is None
    (tmp_path / "timestamp.txt").write_bytes(text)
    with pytest.raises(Damaged, match="mend or"):
        read_timestamp(tmp_path)
