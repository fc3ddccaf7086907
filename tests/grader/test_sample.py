import ast
import json
import shutil
from pathlib import Path

import nbformat
import numpy as np
import pytest

from grader import __main__ as command_line
from grader import sample
from grader.checking import Exercise
from grader.checks import backprop
from grader.course import BadInput, Course

ROOT = Path(__file__).parents[2]
EXERCISES = {e.name: e for e in vars(backprop).values() if isinstance(e, Exercise)}


@pytest.fixture
def real_course(tmp_path, monkeypatch):
    """A copy of the course itself, without any submissions."""
    root = tmp_path / "course"
    root.mkdir()
    shutil.copy(ROOT / "nbgrader_config.py", root)
    for folder in ("solutions", "assignments"):
        shutil.copytree(ROOT / folder, root / folder)
    monkeypatch.chdir(root)
    return Course(root)


def written(course):
    files = course.folder("submitted").rglob("*.*")
    return {path.relative_to(course.root): path.read_bytes() for path in files}


def test_same_seed_writes_the_same_class(real_course):
    assignment = real_course.assignment("01_backprop")
    made = sample.sample_class(assignment, 20, seed=3)
    files = written(real_course)
    assert sample.sample_class(assignment, 20, seed=3, force=True) == made
    assert written(real_course) == files
    assert {m.kind for m in made} == set(sample.KINDS)
    assert sample.sample_class(assignment, 20, seed=4, force=True) != made


def test_submissions_are_not_overwritten_unasked(real_course):
    assignment = real_course.assignment("01_backprop")
    sample.sample_class(assignment, 3, seed=0)
    files = written(real_course)
    with pytest.raises(BadInput, match="--force"):
        sample.sample_class(assignment, 3, seed=1)
    assert written(real_course) == files


def test_any_number_of_students_has_names_of_its_own(real_course):
    made = sample.sample_class(real_course.assignment("01_backprop"), 50, seed=0)
    assert len({m.student for m in made}) == 50


@pytest.mark.parametrize("name", EXERCISES)
def test_every_mistake_can_be_written_into_a_notebook(real_course, name):
    assignment = real_course.assignment("01_backprop")
    writer = sample._Writer(assignment, np.random.default_rng(0))
    for mistake in EXERCISES[name].mistakes:
        notebook = nbformat.read(assignment.release_path, as_version=4)
        writer._solve(notebook, share=1.0)
        assert writer._put(notebook, mistake.functions), mistake.name
        for cell in notebook.cells:
            if cell.cell_type == "code":
                ast.parse(cell.source)


@pytest.mark.slow
@pytest.mark.sandbox
def test_sampled_work_gets_the_grade_it_deserves(real_course, capsys):
    """Right and unusual work scores everything; each mistake made is named."""
    assignment = real_course.assignment("01_backprop")
    made = {m.student: m for m in sample.sample_class(assignment, 12, seed=1)}
    assert command_line.main(["autograde", "01_backprop", "--json"]) == 0
    submissions = json.loads(capsys.readouterr().out)["submissions"]
    assert {s["student"] for s in submissions} == made.keys()
    for submission in submissions:
        work, points = made[submission["student"]], submission["score"]
        if work.kind in ("right", "unusual", "late"):
            assert points == submission["max"], submission
        if work.kind == "untouched":
            assert points == 0
        named = " ".join(cell["mistake"] or "" for cell in submission["cells"])
        assert all(name in named for name in work.mistakes), (work, submission)


@pytest.mark.slow
@pytest.mark.sandbox
def test_demo_takes_a_class_from_release_to_feedback(real_course, capsys):
    assert command_line.main(["demo", "--students", "6", "--seed", "2"]) == 0
    printed = capsys.readouterr().out
    demo = real_course.root / "build/demo"
    pages = list(demo.glob("feedback/*/01_backprop/backprop.html"))
    assert len(pages) == 6
    assert (demo / "gradebook.db").exists()
    assert printed.count(" / 66") == 6
    assert not real_course.folder("submitted").exists()


def test_demo_keeps_its_hands_off_other_folders(real_course, tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    assert command_line.main(["demo", "--folder", str(mine)]) == 2
    assert (mine / "thesis.txt").read_text() == "years of work"
    assert "not a demo" in capsys.readouterr().err
