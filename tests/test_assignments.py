"""Every assignment, graded as its users do; ``--durations`` prints times."""

from pathlib import Path

import pytest

from grader.check import check_notebook
from grader.course import Course
from grader.execution import Limits

ROOT = Path(__file__).parents[1]
ASSIGNMENTS = Course(ROOT).assignments()
# those with numbers that are drawn for each student
PERSONAL = [
    name
    for name in ASSIGNMENTS
    if "current_student" in Course(ROOT).assignment(name).source_path.read_text()
]

pytestmark = pytest.mark.slow


def test_there_is_something_to_run():
    assert ASSIGNMENTS
    assert PERSONAL


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_solution_scores_everything(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = Course(ROOT).assignment(name).source_path
    checked = check_notebook(path, limits=Limits())
    lost = [v for v in checked.automatic if v.score != v.max_score]
    assert lost == []
    assert checked.score == checked.max_score > 0


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_untouched_release_scores_nothing(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = Course(ROOT).assignment(name).release_path
    checked = check_notebook(path, limits=Limits())
    assert [v for v in checked.automatic if v.score != 0] == []
    assert checked.notes == ()


@pytest.mark.parametrize("name", PERSONAL)
def test_worked_numbers_are_any_students_own(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    path = Course(ROOT).assignment(name).source_path
    checked = check_notebook(path, student="someone else", limits=Limits())
    assert checked.score == checked.max_score
