"""A class of one's own in a folder of its own: from release to feedback, with the
grades."""

import os
import shutil
import sys
from pathlib import Path

from tqdm import tqdm

from grader import executors
from grader.autograde import grade_class
from grader.course import Assignment, BadInput, Course
from grader.sample import sample_class
from grader.tables import class_table

MARK = ".fovea-demo"


def run_demo(
    course: Course, name: str, num_students: int, seed: int, folder: Path
) -> int:
    """Take a sample class through release, submission, grading and feedback; print the
    grades."""
    course.assignment(name)
    demo = _new_course(course, course.root / folder)
    os.chdir(demo.root)
    assignment = demo.assignment(name)
    _step(f"release {name} to the exchange")
    _release(assignment)
    _step(f"{num_students} students hand in")
    kinds = {m.student: m for m in sample_class(assignment, num_students, seed)}
    _step("autograde")
    with executors.local(os.cpu_count() or 1) as executor:
        grading = grade_class(assignment, [], executor)
        results = list(tqdm(grading, total=num_students))
    results.sort(key=lambda result: result.student)
    _step("write feedback")
    for result in tqdm([r for r in results if not r.problem]):
        _must(demo.nbgrader.generate_feedback(name, result.student))
    print(class_table(results))
    _where_next(assignment, results[0].student, {k: m.kind for k, m in kinds.items()})
    return 1 if any(r.problem for r in results) else 0


def _new_course(course: Course, folder: Path) -> Course:
    """Make a course with the same instructor's notebooks in ``folder``, anew each
    time."""
    if folder.exists():
        if not (folder / MARK).exists():
            raise BadInput(f"{folder} is there and is not a demo; say another --folder")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    shutil.copy(course.root / "nbgrader_config.py", folder)
    for kind in ("source", "release"):
        origin = course.folder(kind)
        shutil.copytree(origin, folder / origin.relative_to(course.root))
    return Course(folder)


def _release(assignment: Assignment) -> None:
    api = assignment.course.nbgrader
    _must(api.generate_assignment(assignment.name, force=True, create=True))
    _must(api.release_assignment(assignment.name))
    _set_due_date(assignment)


def _set_due_date(assignment: Assignment) -> None:
    from nbgrader.api import Gradebook

    coursedir = assignment.course.nbgrader.coursedir
    with Gradebook(coursedir.db_url, coursedir.course_id) as gradebook:
        gradebook.update_or_create_assignment(
            assignment.name, duedate="2030-01-15 12:00:00 UTC"
        )


def _must(outcome: dict) -> None:
    if not outcome["success"]:
        raise BadInput(
            f"nbgrader stopped: {(outcome.get('log') or outcome.get('error'))[-500:]}"
        )


def _step(text: str) -> None:
    print(f"- {text}", file=sys.stderr)


def _where_next(assignment: Assignment, student: str, kinds: dict[str, str]) -> None:
    root, name = assignment.course.root, assignment.name
    print(f"\nhow the class was made up: {_counts(kinds)}")
    print(f"submissions:  {root}/submitted/")
    print(
        f"feedback:     {root}/feedback/{student}/{name}/{assignment.notebook}.html and"
        " so on"
    )
    print(f"gradebook:    {assignment.course.gradebook_path}")
    print(f"report:       cd {root} && python -m grader report {name}")
    activate = Path(sys.executable).with_name("activate")
    print(f"look around:  cd {root} && . {activate} && jupyter lab")
    print("              then Nbgrader > Formgrader, to grade what a person grades")


def _counts(kinds: dict[str, str]) -> str:
    names = list(kinds.values())
    return ", ".join(
        f"{names.count(kind)} {kind}" for kind in dict.fromkeys(sorted(names))
    )
