"""Write what became of a submission into nbgrader's gradebook: all of it, or nothing.

Beside nbgrader's own rows stands one of ours for each submission, in the table
``fovea_results``: the whole result, and the fingerprint of what it came from.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from nbformat import NotebookNode
from nbgrader import api, utils
from nbgrader.preprocessors import AssignLatePenalties
from sqlalchemy.orm import Session

from grader.cells import grade_id
from grader.course import Assignment
from grader.reading import Damaged
from grader.verdicts import Result, read_result, read_verdict

GRADEBOOK_WAIT_S = 15

_RESULTS = sql.Table(
    "fovea_results",
    sql.MetaData(),
    sql.Column("assignment", sql.String(128), primary_key=True),
    sql.Column("student", sql.String(128), primary_key=True),
    sql.Column("fingerprint", sql.String(64), nullable=False),
    sql.Column("result", sql.Text, nullable=False),
)


def results(assignment: Assignment) -> list[dict[str, Any]]:
    """Return what ``Result.to_dict`` gave for each recorded submission, by student."""
    url = assignment.course.nbgrader.coursedir.db_url
    if url.startswith("sqlite") and not assignment.course.gradebook_path.exists():
        return []
    engine = _engine(url)
    try:
        if not sql.inspect(engine).has_table(_RESULTS.name):
            return []
        with engine.connect() as connection:
            return [
                json.loads(row.result) for row in connection.execute(_of(assignment))
            ]
    finally:
        engine.dispose()


def read_timestamp(folder: Path) -> datetime | None:
    """Return when the submission in ``folder`` was handed in, in UTC, if it says so.

    Raises ``Damaged`` if ``timestamp.txt`` holds no time.
    """
    path = folder / "timestamp.txt"
    if not path.exists():
        return None
    try:
        written = path.read_text(encoding="utf-8").strip()
        return utils.parse_utc(written) if written else None
    except (ValueError, OverflowError, OSError):
        raise Damaged(
            "timestamp.txt holds no time such as '2026-01-31 23:59:00 UTC'; mend or"
            f" delete {path}"
        ) from None


class Recorder:
    """One assignment's part of the gradebook, held open to write many submissions.

    nbgrader must have made the gradebook, and know the assignment. A gradebook that
    another program locks for ``GRADEBOOK_WAIT_S`` seconds, or that cannot be written
    for another reason, raises ``sqlalchemy.exc.OperationalError``.
    """

    def __init__(self, assignment: Assignment, db_url: str | None = None):
        self.assignment = assignment
        course = assignment.course.nbgrader
        self.engine = _engine(db_url or course.coursedir.db_url)
        self.penalties = AssignLatePenalties(config=course.config)
        self.penalties.init_plugin()
        _RESULTS.create(self.engine, checkfirst=True)

    def __enter__(self) -> "Recorder":
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.dispose()

    def record(self, student: str, notebook: NotebookNode, fingerprint: str) -> Result:
        """Write the points, comments and result of an executed notebook, and return the
        result.

        What a person has written (points, extra credit, comments) stays. The notebook
        is given the fingerprint, so that its file can be told from an older one.
        """
        notebook.metadata.setdefault("fovea", {})["fingerprint"] = fingerprint
        timestamp = read_timestamp(self.assignment.submission_folder(student))
        with self._transaction() as session:
            submission = self._submission(session, student)
            submission.timestamp = timestamp or submission.timestamp
            rows = self._write(session, submission, notebook.cells)
            late_s = submission.total_seconds_late
            if late_s > 0:
                plugin, check = self.penalties.plugin_inst, self.penalties
                penalty = plugin.late_submission_penalty(student, rows.score, late_s)
                if penalty is not None:
                    penalty = check._check_late_penalty(rows, penalty)
                rows.late_submission_penalty = penalty
            result = read_result(student, notebook, late_s)
            self._keep(session, result, fingerprint)
        return result

    def record_problem(
        self, student: str, problem: str, fingerprint: str = ""
    ) -> Result:
        """Write that a submission could not be graded: no points, for a person to see.

        The fingerprint is empty if another try may go better with the same files.
        """
        result = Result(student=student, problem=problem)
        with self._transaction() as session:
            self._write(session, self._submission(session, student), [])
            self._keep(session, result, fingerprint)
        return result

    def records(self) -> dict[str, tuple[str, Result]]:
        """Return the fingerprint and result of each student whose record is still what
        the gradebook says."""
        late: dict[str, float] = {}
        points: dict[str, dict[str, float | None]] = {}
        found = {}
        with Session(self.engine) as session:
            rows = self._submissions(api.BaseCell.name, api.Grade.auto_score)
            rows = rows.join(api.SubmittedAssignment.notebooks)
            rows = rows.join(api.SubmittedNotebook.grades).join(api.Grade.cell)
            for submission, name, score in session.execute(rows):
                late[submission.student_id] = submission.total_seconds_late
                points.setdefault(submission.student_id, {})[name] = score
            for row in session.execute(_of(self.assignment)):
                result = Result.from_dict(json.loads(row.result))
                written = points.get(row.student, {})
                if _agrees(result, written, late.get(row.student)):
                    found[row.student] = (row.fingerprint, result)
        return found

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        with Session(self.engine) as session, session.begin():
            if self.engine.dialect.name == "sqlite":
                # SQLite would let others write between what is read and written here
                session.execute(sql.text("BEGIN IMMEDIATE"))
            yield session

    def _submissions(self, *more: Any) -> sql.Select:
        rows = sql.select(api.SubmittedAssignment, *more)
        rows = rows.join(api.SubmittedAssignment.assignment)
        return rows.where(api.Assignment.name == self.assignment.name)

    def _submission(self, session: Session, student: str) -> api.SubmittedAssignment:
        """Return a student's submission, made with all its empty rows if need be."""
        submission = session.scalars(
            self._submissions().where(api.SubmittedAssignment.student_id == student)
        ).one_or_none()
        if submission is None:
            if session.get(api.Student, student) is None:
                session.add(api.Student(id=student))
            named = sql.select(api.Assignment).filter_by(name=self.assignment.name)
            submission = _new_submission(session.scalars(named).one(), student)
            session.add(submission)
            session.flush()
        return submission

    def _write(
        self,
        session: Session,
        submission: api.SubmittedAssignment,
        cells: list[NotebookNode],
    ) -> api.SubmittedNotebook:
        """Write all automatic points and comments of a notebook's cells, without a
        penalty; what is in no cell loses what it had."""
        scores = dict(_scores(cells))
        name = self.assignment.notebook
        (rows,) = (n for n in submission.notebooks if n.name == name)
        grades = _by_cell(session, api.Grade, rows)
        lacking = scores.keys() - grades.keys()
        if lacking:
            raise LookupError(
                f"the gradebook lacks {', '.join(sorted(lacking))} for this submission;"
                f" run `nbgrader generate_assignment {self.assignment.name}` and grade"
                " it again"
            )
        for name, grade in grades.items():
            grade.auto_score = scores.get(name)
            # a person's grade stays, and is looked at again
            needs = grade.manual_score is not None or grade.auto_score is None
            grade.needs_manual_grade = needs
        silent = {grade_id(c) for c in cells if utils.is_solution(c) and _is_stub(c)}
        for name, comment in _by_cell(session, api.Comment, rows).items():
            comment.auto_comment = "No response." if name in silent else None
        rows.late_submission_penalty = None
        session.flush()
        return rows

    def _keep(self, session: Session, result: Result, fingerprint: str) -> None:
        key = {"assignment": self.assignment.name, "student": result.student}
        data = {"fingerprint": fingerprint, "result": json.dumps(result.to_dict())}
        session.execute(_RESULTS.delete().filter_by(**key))
        session.execute(_RESULTS.insert().values(**key, **data))


def _engine(db_url: str) -> sql.Engine:
    wait = {"timeout": GRADEBOOK_WAIT_S} if db_url.startswith("sqlite") else {}
    return sql.create_engine(db_url, connect_args=wait)


def _of(assignment: Assignment) -> sql.Select:
    rows = sql.select(_RESULTS).order_by(_RESULTS.c.student)
    return rows.where(_RESULTS.c.assignment == assignment.name)


def _new_submission(
    assignment: api.Assignment, student: str
) -> api.SubmittedAssignment:
    notebooks = []
    for notebook in assignment.notebooks:
        tasks = notebook.task_cells
        grades = [api.Grade(cell_id=c.id) for c in notebook.grade_cells + tasks]
        comments = [api.Comment(cell_id=c.id) for c in notebook.solution_cells + tasks]
        new = api.SubmittedNotebook(grades=grades, comments=comments)
        new.notebook_id = notebook.id
        notebooks.append(new)
    return api.SubmittedAssignment(
        assignment_id=assignment.id, student_id=student, notebooks=notebooks
    )


def _by_cell(session: Session, kind: type, rows: api.SubmittedNotebook) -> dict:
    """Return a notebook's grades or comments by the names of their cells."""
    query = sql.select(api.BaseCell.name, kind).join(kind.cell)
    return dict(session.execute(query.where(kind.notebook_id == rows.id)).all())


def _scores(cells: list[NotebookNode]) -> Iterator[tuple[str, float | None]]:
    """Yield each graded cell's automatic points: a text that was left alone has 0."""
    for cell in cells:
        if utils.is_grade(cell):
            score = read_verdict(cell).score
            yield grade_id(cell), 0.0 if score is None and _is_stub(cell) else score


def _is_stub(cell: NotebookNode) -> bool:
    return cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)


def _agrees(
    result: Result, points: Mapping[str, float | None], late_s: float | None
) -> bool:
    """Tell whether the automatic points and the lateness are those of the result."""
    if result.problem:
        return all(score is None for score in points.values())
    automatic = {v.grade_id: v.score for v in result.verdicts if v.score is not None}
    return late_s == result.late_s and automatic.items() <= points.items()
