"""An executor for tests of what comes before and after a run: cells run right here."""

import ast
import json
from concurrent.futures import Future

from nbgrader.api import get_alembic_version

from grader.execution import Task

_versions: list[str] = []


class Quick:
    """Runs tasks in this process, without any limits, the moment they are
    submitted."""

    enclosed, jobs = False, 2

    def __init__(self) -> None:
        self.students: list[str | None] = []

    def submit(self, task: Task) -> Future:
        self.students.append(task.student)
        future: Future = Future()
        future.set_result(execute(task))
        return future


def execute(task: Task) -> str:
    """Return the task's notebook as JSON text, with what its cells return or raise."""
    notebook = json.loads(task.notebook)
    names: dict = {}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for count, cell in enumerate(code, 1):
        cell["execution_count"] = count
        try:
            value = _run("".join(cell["source"]), names)
        except Exception as error:
            kind, text = type(error).__name__, str(error)
            output = {"ename": kind, "evalue": text, "traceback": [text]}
            cell["outputs"] = [{"output_type": "error", **output}]
        else:
            if value is not None:
                bundle = getattr(value, "_repr_mimebundle_", None)
                data = bundle() if bundle else {"text/plain": repr(value)}
                output = {"output_type": "execute_result", "execution_count": count}
                cell["outputs"] = [output | {"data": data, "metadata": {}}]
    return json.dumps(notebook)


def _run(source: str, names: dict) -> object:
    """Run a cell's statements; return the value of its last expression."""
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return (
        eval(compile(ast.Expression(last.value), "cell", "eval"), names)
        if last
        else None
    )


def known_version() -> str:
    """Return the version of nbgrader's tables, which it asks another process for."""
    if not _versions:
        _versions.append(get_alembic_version())
    return _versions[0]


def dump(path: object) -> dict[str, list]:
    """Return what a gradebook says, table by table, without its random ids."""
    import sqlite3

    queries = {
        "submissions": "select student_id, timestamp, extension"
        " from submitted_assignment",
        "notebooks": "select a.student_id, n.late_submission_penalty"
        " from submitted_notebook n join submitted_assignment a"
        " on n.assignment_id = a.id",
        "grades": "select a.student_id, c.name, g.auto_score, g.manual_score,"
        " g.extra_credit, g.needs_manual_grade from grade g"
        " join base_cell c on g.cell_id = c.id"
        " join submitted_notebook n on g.notebook_id = n.id"
        " join submitted_assignment a on n.assignment_id = a.id",
        "comments": "select a.student_id, c.name, m.auto_comment, m.manual_comment"
        " from comment m join base_cell c on m.cell_id = c.id"
        " join submitted_notebook n on m.notebook_id = n.id"
        " join submitted_assignment a on n.assignment_id = a.id",
        "students": "select id from student",
        "results": "select student, fingerprint, result from fovea_results",
    }
    connection = sqlite3.connect(path)
    try:
        found = {}
        for name, query in queries.items():
            found[name] = sorted(connection.execute(query).fetchall(), key=repr)
        return found
    finally:
        connection.close()
