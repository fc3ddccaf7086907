"""nbgrader's gradebook before a run: nobody else grades, it can be written to, and it
knows the assignment."""

import fcntl
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from grader.course import Assignment, BadInput
from grader.recording import GRADEBOOK_WAIT_S

# the last line of a traceback; nbgrader ends with one that only points to those above
_ERROR = re.compile(r"(?!.*Please see the)[\w.]+(Error|Exception|Damaged)\b")


@contextmanager
def only_run(assignment: Assignment) -> Iterator[None]:
    """Hold the lock that a second run over the same gradebook would need."""
    path = assignment.course.root / "gradebook.db.lock"
    # whatever ends this process frees the lock
    try:
        file = path.open("a")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written: {error.strerror}; grades go into the course's"
            " folder, so run the command where you may write to it"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(
                f"another run grades a class of {assignment.course.root}; wait for its"
                " end, or stop it, and run the command again. Nothing was changed"
            ) from None
        yield


def check_gradebook(assignment: Assignment, wait_s: float = GRADEBOOK_WAIT_S) -> None:
    """Raise ``BadInput`` if the gradebook cannot be written to, before anything is
    run."""
    path = assignment.course.gradebook_path
    if not assignment.course.nbgrader.coursedir.db_url.startswith("sqlite"):
        return
    try:
        connection = sqlite3.connect(path, timeout=wait_s)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        what = (
            "is locked by another program"
            if "locked" in str(error)
            else f"fails: {error}"
        )
        raise BadInput(
            f"the gradebook {path} {what}; close what uses it and run the command"
            " again. Nothing was changed"
        ) from None
    except sqlite3.DatabaseError:
        raise BadInput(
            f"{path} is not a gradebook (no SQLite database); move it away, or put a"
            " backup back. Nothing was changed"
        ) from None


def register(assignment: Assignment) -> None:
    """Write the assignment's cells and points into the gradebook, leaving the release
    alone."""
    from nbgrader.utils import temp_attrs

    api = assignment.course.nbgrader
    with tempfile.TemporaryDirectory() as folder:
        with temp_attrs(api.coursedir, release_directory=folder):
            outcome = api.generate_assignment(assignment.name, force=True, create=True)
    if not outcome["success"]:
        reason = _reason(outcome)
        raise BadInput(f"nbgrader cannot read {assignment.source_path}: {reason}")


def _reason(outcome: dict) -> str:
    """Return the line of nbgrader's log that says why it failed."""
    log = f"{outcome.get('log', '')}\n{outcome.get('error', '')}".splitlines()
    lines = [line.strip() for line in log if line.strip()]
    errors = [line for line in lines if _ERROR.match(line)]
    return (errors or lines or ["no reason given"])[-1]
