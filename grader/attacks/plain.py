"""Grading as is usual, student code and checks in one process: what cheats gain there.

Only for the attacks that are known to be harmless.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from grader.execution import Task

if TYPE_CHECKING:
    from grader.inside.shell import Shell


class _Plain:
    jobs, enclosed = 1, False

    def __init__(self, pool: ProcessPoolExecutor):
        self.pool = pool

    def submit(self, task: Task) -> Future:
        return self.pool.submit(_run, task)


@contextmanager
def executor() -> Iterator[_Plain]:
    """Yield an executor that runs each notebook in one process, forked for it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield _Plain(pool)


def _run(task: Task) -> str:
    import torch  # noqa: F401  (here, so that no fork has to)

    from grader.inside import shell

    with tempfile.TemporaryDirectory() as folder:
        executed = Path(folder, "executed.json")
        child = os.fork()
        if not child:
            try:
                os.chdir(folder)
                about = {"FOVEA_STUDENT": task.student, "FOVEA_SECRET": task.secret}
                os.environ.update(about)
                executed.write_text(_executed(task.notebook, shell.Shell()))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        return executed.read_text()


def _executed(text: str, shell: "Shell") -> str:
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            ran = shell.run_cell(cell["source"])
            cell.update(outputs=ran.outputs, execution_count=ran.execution_count)
    return json.dumps(notebook)
