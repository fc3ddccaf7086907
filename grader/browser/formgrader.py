"""The formgrader's autograde button, off the server's event loop."""

import asyncio
import json
import os
import sys
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

from nbgrader.server_extensions.formgrader import apihandlers
from nbgrader.server_extensions.formgrader.base import check_notebook_dir, check_xsrf
from tornado import web

# one submission at a time, as before: each may need all of the machine's memory
_turn = asyncio.Lock()


class AutogradeHandler(apihandlers.AutogradeHandler):
    """Autograde one submission without keeping other requests waiting."""

    @web.authenticated
    @check_xsrf
    @check_notebook_dir
    async def post(self, assignment_id: str, student_id: str) -> None:
        async with _turn:
            root = self.coursedir.root
            self.write(json.dumps(await autograde(root, assignment_id, student_id)))


async def autograde(root: str, assignment: str, student: str) -> dict[str, Any]:
    """Run ``nbgrader autograde`` in the course at ``root``; return what nbgrader's API
    does. In a process: in a thread, it would share objects with other requests."""
    command = [sys.executable, "-m", "nbgrader", "autograde", "--force"]
    command += [f"--assignment={assignment}", f"--student={student}"]
    # nbgrader calls alembic by name, which lies beside the interpreter
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=root,
        env=os.environ | {"PATH": path},
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=STDOUT,
    )
    log, _ = await process.communicate()
    return {"success": process.returncode == 0, "log": log.decode(errors="replace")}


RULES = [(r"/formgrader/api/submission/([^/]+)/([^/]+)/autograde", AutogradeHandler)]
