"""The page that grades whole classes, and what its script asks for."""

import asyncio
import atexit
import sqlite3
import sys
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from jupyter_server.base.handlers import (
    APIHandler,
    AuthenticatedFileHandler,
    JupyterHandler,
)
from tornado import web

from grader.browser.runs import Run
from grader.course import BadInput, Course

STATIC = Path(__file__).parent / "static"
COMMAND = [sys.executable, "-m", "grader", "autograde", "--events"]
# all that the page loads, and all that it may talk to, is this server
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'"
)
TO_LOOK_AT = """
    SELECT assignment.name, COUNT(DISTINCT submitted_assignment.id)
    FROM grade
    JOIN submitted_notebook ON submitted_notebook.id = grade.notebook_id
    JOIN submitted_assignment
        ON submitted_assignment.id = submitted_notebook.assignment_id
    JOIN assignment ON assignment.id = submitted_assignment.assignment_id
    WHERE grade.needs_manual_grade
    GROUP BY assignment.name
"""
# the last run of each assignment
_runs: dict[str, Run] = {}
_turn = asyncio.Lock()
_reading = threading.Lock()


class PageHandler(JupyterHandler):
    """The page itself, which holds no data."""

    @property
    def content_security_policy(self) -> str:
        return f"{super().content_security_policy}; {CONTENT_POLICY}"

    @web.authenticated
    def get(self) -> None:
        # reading the token sets the cookie that the script has to send back
        _ = self.xsrf_token
        self.finish((STATIC / "autograde.html").read_text(encoding="utf-8"))


class AssignmentsHandler(APIHandler):
    """What there is to grade, and how far it is."""

    @web.authenticated
    async def get(self) -> None:
        found = await _ask(assignments)
        for assignment in found:
            run = _runs.get(assignment["name"])
            assignment["run"] = run and run.to_dict()
        self.finish({"course": str(Path.cwd()), "assignments": found})


class RunHandler(APIHandler):
    """Start and stop the grading of a class."""

    @web.authenticated
    async def post(self, name: str) -> None:
        force = (self.get_json_body() or {}).get("force") is True
        root = await _ask(lambda course: course.assignment(name).course.root)
        if name in _runs and _runs[name].is_active:
            raise web.HTTPError(409, f"{name} is being graded already")
        command = [*COMMAND, *["--force"] * force, name]
        _runs[name] = Run(command, root, _turn)
        self.finish({})

    @web.authenticated
    async def delete(self, name: str) -> None:
        if name in _runs:
            await _runs[name].stop()
        self.finish({})


async def _ask(question: Callable[[Course], Any]) -> Any:
    """Ask something about the course that the server was started in, in a thread."""

    def answer() -> Any:
        with _reading:
            return question(_course(Path.cwd()))

    try:
        return await asyncio.to_thread(answer)
    except BadInput as error:
        raise web.HTTPError(404, str(error)) from None


@cache
def _course(folder: Path) -> Course:
    return Course.find(folder)


def assignments(course: Course) -> list[dict[str, Any]]:
    """Return of each assignment its name, how many submitted it, how many of those are
    graded, and how many wait for a person: with a written answer, or not gradable."""
    submitted = _students(course.folder("submitted"))
    graded = _students(course.folder("autograded"))
    to_look_at = _to_look_at(course.gradebook_path)
    return [
        {
            "name": name,
            "submitted": len(submitted[name]),
            "graded": len(submitted[name] & graded[name]),
            "to_look_at": to_look_at.get(name, 0),
        }
        for name in course.assignments()
    ]


def _students(folder: Path) -> dict[str, set[str]]:
    """Return who has a folder of each assignment."""
    found = defaultdict(set)
    for path in folder.glob("*/*"):
        if path.is_dir():
            found[path.name].add(path.parent.name)
    return found


def _to_look_at(gradebook: Path) -> dict[str, int]:
    if not gradebook.exists():
        return {}
    # read-only: looking at the page neither makes a gradebook nor changes it
    address = f"{gradebook.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as connection:
        try:
            return dict(connection.execute(TO_LOOK_AT).fetchall())
        except sqlite3.OperationalError:
            # nbgrader is about to make its tables
            return {}


@atexit.register
def _end_all() -> None:
    for run in _runs.values():
        run.kill()


RULES = [
    (r"/fovea/autograde", PageHandler),
    (r"/fovea/static/(.*)", AuthenticatedFileHandler, {"path": str(STATIC)}),
    (r"/fovea/api/assignments", AssignmentsHandler),
    (r"/fovea/api/autograde/([^/]+)", RunHandler),
]
