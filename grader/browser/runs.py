"""A class being graded: a process of its own, whose progress the server keeps."""

import asyncio
import json
import os
import signal
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

# how long a process may take to end before it is killed
GRACE_S = 5
NUM_RECENT = 5
# of a class in which nothing can be graded, this many tell enough
NUM_PROBLEMS = 100
KEPT_BYTES = 4000


class Run:
    """A command that grades a class and prints an event per student, as JSON.

    It waits for its ``turn``, since each uses the whole machine; it is then running,
    and in the end finished, stopped or failed.
    """

    def __init__(self, command: list[str], root: Path, turn: asyncio.Lock):
        self.state, self.error = "waiting", ""
        self.is_complete = False
        self.done = self.total = self.skipped = 0
        self.problems: list[dict] = []
        self.recent: deque[dict] = deque(maxlen=NUM_RECENT)
        self.started = self.told = self.ended = self.pid = None
        self._task = asyncio.create_task(self._follow(command, root, turn))

    @property
    def is_active(self) -> bool:
        return not self._task.done()

    async def wait(self) -> None:
        await asyncio.wait([self._task])

    async def stop(self) -> None:
        """End the process; what it has graded stays graded."""
        # once: a second click must not interrupt the ending
        if not self._task.cancelling():
            self._task.cancel()
        await self.wait()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process and to its workers, if there are any."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    async def _follow(self, command: list[str], root: Path, turn: asyncio.Lock) -> None:
        try:
            async with turn:
                self.state, self.started = "running", time.monotonic()
                await self._grade(command, root)
                self.state = "finished"
        except asyncio.CancelledError:
            self.state = "stopped"
        except Exception as error:
            self.state, self.error = "failed", str(error) or repr(error)
        self.ended = time.monotonic()

    async def _grade(self, command: list[str], root: Path) -> None:
        # a session of its own: the process's workers are then ended with it
        options = {"cwd": root, "stdin": DEVNULL, "start_new_session": True}
        process = await asyncio.create_subprocess_exec(
            *command, stdout=PIPE, stderr=PIPE, limit=2**20, **options
        )
        self.pid = process.pid
        try:
            reading = _tail(process.stderr), self._take_all(process.stdout)
            said, _ = await asyncio.gather(*reading)
            await process.wait()
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                self.kill(number)
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(process.wait(), GRACE_S)
            self.pid = None
        if not self.is_complete:
            last = (said.strip().splitlines() or ["it said nothing"])[-1]
            status = process.returncode
            raise RuntimeError(f"it ended early, with exit status {status}: {last}")

    async def _take_all(self, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            # a library may print in between
            with suppress(json.JSONDecodeError):
                self._take(json.loads(line))

    def _take(self, event: Any) -> None:
        if not isinstance(event, dict):
            return
        if event.get("finished"):
            self.is_complete = True
        elif "student" in event:
            self.done, self.total = event["done"], event["total"]
            self.told = time.monotonic()
            self.skipped += bool(event.get("skipped"))
            self.recent.append(event)
            self.problems += [event] if event.get("problem") else []

    def to_dict(self) -> dict[str, Any]:
        """Return the progress as data that JSON can hold; times are in seconds."""
        now = time.monotonic()
        graded = self.done - self.skipped
        each = (self.told - self.started) / graded if graded else None
        left = each and each * (self.total - self.done) - (now - self.told)
        names = ("state", "error", "done", "total", "skipped")
        return {name: getattr(self, name) for name in names} | {
            "seconds": (self.ended or now) - (self.started or now),
            "seconds_each": each,
            "seconds_left": left and max(left, 0),
            "recent": list(self.recent),
            "problems": self.problems[:NUM_PROBLEMS],
            "num_problems": len(self.problems),
        }


async def _tail(stderr: asyncio.StreamReader) -> str:
    """Read all, so that the process never waits, and keep the end."""
    kept = b""
    while chunk := await stderr.read(KEPT_BYTES):
        kept = (kept + chunk)[-KEPT_BYTES:]
    return kept.decode(errors="replace")
