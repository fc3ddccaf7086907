"""A warm worker: a trusted process that judges, with a sandbox for the students' side.

``Worker`` starts ``python -m grader.worker`` and hands it tasks, one at a time, over
its pipes. It lives on between tasks; after a failure it is replaced.
"""

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from grader import sandbox
from grader.execution import Task, run
from grader.student import Server

# besides the notebook's own time: imports, the sandbox's start, replays
SPARE_S = 300
# data of students and the checks' own; what goes beyond is an error of one cell
MEMORY_BYTES = 12_000_000_000
# a process without a task ends by itself: at once, or when its sandbox has started
CLOSE_S = 20


class WorkerFailed(Exception):
    """The worker, not the student's code, did not come back with a result."""


class Worker:
    """A worker process, started when first needed."""

    def __init__(self, enclosed: bool = True):
        self.enclosed = enclosed
        self._process: subprocess.Popen | None = None
        self._busy = False
        self._lock = threading.Lock()

    def run(self, task: Task) -> str:
        """Return the executed notebook as JSON text; raise ``WorkerFailed``
        otherwise."""
        with self._lock:
            process = self._start()
            alarm = threading.Timer(task.limits.notebook_s + SPARE_S, process.kill)
            alarm.daemon = True
            alarm.start()
            self._busy = True
            try:
                process.stdin.write(task.to_json() + "\n")
                process.stdin.flush()
                reply = process.stdout.readline()
            except OSError:
                reply = ""
            finally:
                self._busy = False
                alarm.cancel()
            if not reply:
                self._stop()
                raise WorkerFailed("the grading process ended early")
            answer = json.loads(reply)
            if "error" in answer:
                self._stop()
                raise WorkerFailed(answer["error"])
            return answer["notebook"]

    def kill(self) -> None:
        """End a task that runs, and its process; the next task starts a new one."""
        if self._busy and (process := self._process):
            process.kill()

    def close(self) -> None:
        """End the process once it is done."""
        with self._lock:
            # killed while its sandbox starts, it would leave a part of that behind
            self._stop(CLOSE_S)

    def start(self) -> None:
        """Let the process warm up, unless it runs already."""
        with self._lock:
            self._start()

    def _start(self) -> subprocess.Popen:
        if self._process is None or self._process.poll() is not None:
            mode = "enclosed" if self.enclosed else "open"
            # one thread: small arrays gain nothing from more, and the same work gives
            # the same numbers
            names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
            self._process = subprocess.Popen(
                [sys.executable, "-m", "grader.worker", mode],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                # never a course's folder, which may vanish, or hold a torch.py
                cwd=Path(__file__).parents[1],
                env=dict(os.environ, **dict.fromkeys(names, "1"), PYTHONHASHSEED="0"),
            )
        return self._process

    def _stop(self, within_s: float = 0) -> None:
        if self._process:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
            try:
                self._process.wait(within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
        self._process = None


def main() -> None:
    """Answer tasks, a line of JSON each, until there are no more."""
    # what anybody prints here must not mix with the answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, hard))
    server = Server(enclosed=sys.argv[1] == "enclosed")
    parent = os.getppid()
    # while the sandbox warms up, load what the checks will need
    with contextlib.suppress(sandbox.NoSandbox):  # the first task will tell
        server.start()
    if not _left_alone():
        # there is no garbage among imports, and looking for it takes a while
        gc.disable()
        importlib.import_module("torch")
        gc.enable()
        gc.freeze()

    def tick() -> None:
        if os.getppid() != parent:
            os._exit(1)

    try:
        for line in sys.stdin:
            answers.write(json.dumps(_answer(line, server, tick)) + "\n")
            answers.flush()
    finally:
        server.close()
    # without Python's own end, which takes a while
    os._exit(0)


def _left_alone() -> bool:
    """Tell whether there will be no task."""
    poller = select.poll()
    poller.register(0, 0)
    return any(event & select.POLLHUP for _, event in poller.poll(0))


def _answer(line: str, server: Server, tick: Any) -> dict:
    try:
        return {"notebook": run(Task.from_json(line), server, tick)}
    except sandbox.NoSandbox as error:
        return {"error": str(error)}
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    main()
