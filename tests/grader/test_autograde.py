import contextlib
import copy
import json
import re
import shutil
import sqlite3
import time
from concurrent.futures import Future, ThreadPoolExecutor

import nbformat
import pytest

from grader import __main__ as command_line
from grader import executors, nbgrader_hooks
from grader.autograde import grade_class
from grader.course import BadInput
from grader.gradebook import _reason, check_gradebook, only_run, register
from tests.grader.conftest import RIGHT, answer
from tests.grader.quick import Quick, dump, execute, known_version


@pytest.fixture(autouse=True)
def _quickly(monkeypatch):
    """Let all roads run cells right here."""

    @contextlib.contextmanager
    def local(jobs, sandbox):
        yield Quick()

    monkeypatch.setattr(executors, "local", local)
    monkeypatch.setattr(nbgrader_hooks, "run_here", lambda task, sandbox: execute(task))
    monkeypatch.setattr("nbgrader.api.get_alembic_version", known_version)


def grade(course, *students, executor=None, **options):
    assignment = course.assignment("01_toy")
    results = grade_class(assignment, students, executor or Quick(), **options)
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


def change_source(course, change):
    path = course.assignment("01_toy").source_path
    source = nbformat.read(path, as_version=4)
    change(source)
    nbformat.write(source, path)


def hand_in_three(release, submit):
    submit("right", answer(copy.deepcopy(release), **RIGHT))
    submit("untouched", release)
    wrong = {"double": "def double(x): return 0", "triple": "def triple(x): return 0"}
    submit("wrong", answer(copy.deepcopy(release), **RIGHT | wrong))


def test_cells_that_the_instructor_has_added_since_the_release_move_no_check(
    course, release, submit
):
    hand_in_three(release, submit)
    erratum = nbformat.v4.new_markdown_cell("x is a number.")
    change_source(course, lambda source: source.cells.insert(1, erratum))
    grade(course)
    assert scores(course) == {"right": 3, "untouched": 0, "wrong": 0}


def test_points_are_those_of_the_source(course, release, submit):
    def change(source):
        source.cells[-2].metadata.nbgrader.points = 5

    hand_in_three(release, submit)
    change_source(course, change)
    results = grade(course)
    assert (results["right"].score, results["right"].max_score) == (7, 7)
    assert scores(course) == {"right": 7, "untouched": 0, "wrong": 0}


def test_release_of_other_questions_is_refused(course, release, submit):
    hand_in_three(release, submit)
    change_source(course, lambda source: source.cells.pop())
    with pytest.raises(BadInput, match="generate_assignment 01_toy --force"):
        grade(course)


def test_notebooks_without_cell_ids_are_graded(course, release, submit):
    hand_in_three(release, submit)
    assignment = course.assignment("01_toy")
    for path in (assignment.source_path, assignment.release_path):
        older = json.loads(path.read_text())
        older["nbformat_minor"] = 4
        for cell in older["cells"]:
            del cell["id"]
        path.chmod(0o644)
        path.write_text(json.dumps(older))
    grade(course)
    assert scores(course) == {"right": 3, "untouched": 0, "wrong": 0}


def test_points_that_a_cell_of_asserts_ends_with_are_given(course, release, submit):
    def partial(source):
        source.cells[-2].source += "\n0.25 + 0.5 * (triple(1) == 3)"

    third = {"triple": "def triple(x): return 6"}
    submit("some", answer(copy.deepcopy(release), **RIGHT | third))
    submit("right", answer(copy.deepcopy(release), **RIGHT))
    change_source(course, partial)
    grade(course)
    assert scores(course) == {"some": 2.25, "right": 2.75}


def test_a_second_notebook_in_an_assignment_is_refused_by_name(course):
    folder = course.assignment("01_toy").source_path.parent
    (folder / "._toy.ipynb").write_bytes(b"Mac OS X")
    assert course.assignment("01_toy").notebook == "toy"
    (folder / "toy-Copy1.ipynb").write_bytes(b"{}")
    with pytest.raises(BadInput, match="holds toy-Copy1.ipynb, toy.ipynb; move"):
        course.assignment("01_toy").notebook  # noqa: B018


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
            check_gradebook(course.assignment("01_toy"), wait_s=0.1)
    finally:
        lock.close()
    check_gradebook(course.assignment("01_toy"), wait_s=0.1)


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


# --- both roads: nbgrader's converter, and ours without it -------------------------


def by_nbgrader(course):
    return course.nbgrader.autograde("01_toy", "*", force=True)


def written(course):
    """What both roads leave behind: the gradebook, and files with their rights."""
    files = {
        str(path.relative_to(course.root)): (path.stat().st_mode, path.read_bytes())
        for path in (course.root / "autograded").rglob("*")
        if path.is_file()
    }
    return dump(course.gradebook_path), files


def hand_in_a_class(release, submit):
    halves = RIGHT | {"double": "def double(x):\n    return x / 2"}
    fails = RIGHT | {"triple": "raise ValueError('no')"}
    submit("ann lee", answer(copy.deepcopy(release), **halves))
    submit("fails", answer(copy.deepcopy(release), **fails))
    submit("untouched", release)
    folder = submit("right", answer(copy.deepcopy(release), **RIGHT)).parent
    (folder / "timestamp.txt").write_text("2026-01-31 23:59:00 UTC")
    (folder / "data").mkdir()
    (folder / "data/points.csv").write_text("1,2")


def test_both_roads_leave_the_same_rows_and_files(course, release, submit):
    hand_in_a_class(release, submit)
    (course.assignment("01_toy").source_path.parent / "table.txt").write_text("given")
    grade(course)
    ours = written(course)
    assert {"autograded/right/01_toy/data/points.csv"} < ours[1].keys()
    (course.root / "gradebook.db").unlink()
    shutil.rmtree(course.root / "autograded")
    register(course.assignment("01_toy"))
    assert by_nbgrader(course)["success"]
    theirs = written(course)
    assert ours[0] == theirs[0]
    assert ours[1] == theirs[1]


def test_what_nbgrader_graded_is_not_graded_again(course, release, submit):
    hand_in_a_class(release, submit)
    register(course.assignment("01_toy"))
    by_nbgrader(course)
    before = written(course)
    assert all(result.skipped for result in grade(course).values())
    assert written(course) == before


def test_what_lies_beside_a_notebook_is_no_way_out(course, release, submit):
    (course.root / "secret.txt").write_text("the answers")
    folder = submit("eve", release).parent
    (folder / "notes.txt").symlink_to(course.root / "secret.txt")
    grade(course)
    assert not (course.root / "autograded/eve/01_toy/notes.txt").exists()


@pytest.mark.parametrize("road", [grade, by_nbgrader], ids=["ours", "nbgrader"])
@pytest.mark.parametrize("fate", ["emptied", "cut", "renamed", "mistimed", "broken"])
def test_no_resubmission_keeps_yesterdays_points(
    course, release, submit, monkeypatch, road, fate
):
    path = submit("eve", answer(copy.deepcopy(release), **RIGHT))
    register(course.assignment("01_toy"))
    road(course)
    assert scores(course) == {"eve": 3}
    graded = course.root / "autograded/eve/01_toy/toy.ipynb"
    assert graded.exists()
    if fate == "emptied":
        release.cells = release.cells[:2]
        submit("eve", release)
    elif fate == "cut":
        submit("eve", path.read_bytes()[:300])
    elif fate == "renamed":
        path.rename(path.with_name("mine.ipynb"))
    elif fate == "mistimed":
        (path.parent / "timestamp.txt").write_text("at noon-ish")
    else:
        submit("eve", answer(release, double="def double(x):\n    return 2 * x"))
        monkeypatch.setattr(nbgrader_hooks, "run_here", lambda task, sandbox: "{}")
        monkeypatch.setattr("tests.grader.quick.execute", lambda task: "{}")
    road(course)
    rows = dump(course.gradebook_path)["grades"]
    if fate == "emptied":
        assert [row[2] for row in rows] == [0, 0, 0]
    else:
        assert [(row[2], row[5]) for row in rows] == 3 * [(None, 1)]
        assert not graded.exists()


def test_students_do_not_see_one_another(course, release, submit):
    # the instructor's notebook is read once for all of them
    submit("a", answer(copy.deepcopy(release), **RIGHT))
    submit("b", release)
    first = grade(course)
    assert grade(course, "b", force=True)["b"] == first["b"]
    assert scores(course) == {"a": 3, "b": 0}


# --- a class: who is first, what breaks, who else writes ---------------------------


class Held(Quick):
    """Runs every task at once but those of the students that are held back."""

    def __init__(self, *held):
        super().__init__()
        self.held, self.free = dict.fromkeys(held), False

    def submit(self, task):
        if task.student not in self.held or self.free:
            return super().submit(task)
        self.held[task.student] = (Future(), task)
        return self.held[task.student][0]

    def taken(self):
        return [student for student, task in self.held.items() if task]

    def release(self, student):
        future, task = self.held[student]
        future.set_result(execute(task))

    def release_all(self):
        self.free = True
        for student in self.taken():
            if not self.held[student][0].done():
                self.release(student)


def test_slow_student_holds_up_nobody(course, release, submit):
    for student in "abcdef":
        submit(student, answer(copy.deepcopy(release), **RIGHT))
    held = Held("a")
    grading = grade_class(course.assignment("01_toy"), [], held)
    assert {next(grading).student for _ in range(5)} == set("bcdef")
    held.release("a")
    assert [result.student for result in grading] == ["a"]


def test_only_a_few_notebooks_wait_for_their_turn(course, release, submit):
    students = [f"s{i}" for i in range(9)]
    for student in students:
        submit(student, release)
    held = Held(*students)
    grading = grade_class(course.assignment("01_toy"), [], held)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: [result.student for result in grading])
        try:
            for i, student in enumerate(students):
                most = min(i + 2 * held.jobs, len(students))
                while len(held.taken()) < most:
                    assert not waiting.done()
                    time.sleep(0.001)
                # time enough to take more, if it were to
                time.sleep(0.3 if i == 0 else 0)
                assert len(held.taken()) == most
                held.release(student)
        finally:
            held.release_all()
        assert sorted(waiting.result()) == students


@pytest.mark.parametrize("where", ["submit", "run", "answer"])
def test_broken_executor_costs_one_student(course, release, submit, where):
    class Broken(Quick):
        def submit(self, task):
            if task.student != "b":
                return super().submit(task)
            if where == "submit":
                raise RuntimeError("lost")
            future = Future()
            if where == "run":
                future.set_exception(RuntimeError("lost"))
            else:
                future.set_result('{"cells": []}')
            return future

    for student in "abc":
        submit(student, answer(copy.deepcopy(release), **RIGHT))
    results = grade(course, executor=Broken())
    assert [results[s].score for s in "ac"] == [3, 3]
    assert "broke off" in results["b"].problem
    # the cause may be gone: it is tried again, the others are not
    again = Quick()
    assert grade(course, executor=again)["b"].score == 3
    assert again.students == ["b"]


def test_gradebook_locked_in_between_loses_nothing(
    course, release, submit, monkeypatch
):
    monkeypatch.setattr("grader.recording.GRADEBOOK_WAIT_S", 0.1)
    for student in "abc":
        submit(student, answer(copy.deepcopy(release), **RIGHT))
    grade(course, "a")
    before = written(course)
    lock = sqlite3.connect(course.gradebook_path)
    grading = grade_class(course.assignment("01_toy"), ["b", "c"], Quick())
    assert next(grading).score == 3
    lock.execute("BEGIN IMMEDIATE")
    stopped = next(grading)
    lock.close()
    assert "locked" in stopped.problem
    assert list(grading) == []
    rows = dump(course.gradebook_path)["grades"]
    assert stopped.student not in {row[0] for row in rows}
    assert set(before[0]["grades"]) < set(rows)
    assert {r.score for r in grade(course).values()} == {3}


def test_formgrader_may_write_at_the_same_time(course, release, submit):
    for student in "ab":
        submit(student, answer(copy.deepcopy(release), **RIGHT))
    grading = grade_class(course.assignment("01_toy"), [], Quick())
    first = next(grading).student
    with contextlib.closing(sqlite3.connect(course.gradebook_path)) as formgrader:
        formgrader.execute("update grade set manual_score = 2.5, extra_credit = 1")
        formgrader.commit()
    assert [r.student for r in grading] == [({"a", "b"} - {first}).pop()]
    rows = [r for r in dump(course.gradebook_path)["grades"] if r[0] == first]
    assert {row[3:5] for row in rows} == {(2.5, 1)}


def test_a_course_that_cannot_be_written_to_is_named(course, release, submit):
    submit("right", release)
    # in the way, for root, too
    (course.root / "gradebook.db.lock").mkdir()
    with (
        pytest.raises(BadInput, match="gradebook.db.lock cannot be written"),
        only_run(course.assignment("01_toy")),
    ):
        pass


def test_second_run_at_once_is_refused(course, release, submit):
    submit("a", release)
    submit("b", release)
    grading = grade_class(course.assignment("01_toy"), [], Quick())
    next(grading)
    with pytest.raises(BadInput, match="another run"):
        grade(course)
    assert len(list(grading)) == 1
    assert set(grade(course)) == {"a", "b"}


# --- the command -------------------------------------------------------------------


def test_events_are_a_line_for_each_student_and_an_end(course, release, submit, capsys):
    submit("a", answer(copy.deepcopy(release), **RIGHT))
    submit("b", b"{")
    assert command_line.main(["autograde", "01_toy", "--events"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line.get("done") for line in lines] == [1, 2, None]
    by_student = {line.pop("student"): line for line in lines[:2]}
    assert by_student["a"] | {"done": 0} == {
        "done": 0,
        "total": 2,
        "score": 3,
        "max": 3,
        "problem": None,
        "skipped": False,
    }
    assert "cut off" in by_student["b"]["problem"]
    assert lines[2] == {"finished": True, "problems": 1}


def test_second_run_prints_the_same_but_grades_nobody(course, release, submit, capsys):
    submit("b", answer(copy.deepcopy(release), **RIGHT))
    submit("a", release)
    submit("c", b"{")
    printed = []
    for _ in range(2):
        assert command_line.main(["autograde", "01_toy", "--json"]) == 1
        printed.append(capsys.readouterr())
    assert printed[0].out == printed[1].out
    table = [command_line.main(["autograde", "01_toy"]), capsys.readouterr().out][1]
    rows = [line.split()[0] for line in table.splitlines()[2:] if line[0] != " "]
    assert rows == ["a", "b", "c"]
    problems = [re.findall("not graded.*", p.err) for p in printed]
    assert len(problems[0]) == 1
    assert problems[0] == problems[1]
