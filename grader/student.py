"""The trusted side of the sandbox: a warm fork server, and one student's process at a
time.

What comes back from a student's process is data, or it is no answer: whoever answers
something else, too late, too much, or not at all, is ended, and ``Gone`` says why.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from grader import sandbox
from grader.checking import StudentError, in_a_line
from grader.inside import wire

SERVER = "grader.inside.server"
# imports on a busy machine; nothing of a student's runs in this time
WARM_UP_S = 180
# how long the fork server may take for its small duties
DUTY_S = 10
# how long a process may take to give up what it does when it is interrupted
INTERRUPT_S = 2
MAX_REPLY_BYTES = 128_000_000
MEMORY_BYTES = 4_000_000_000
KINDS = frozenset({"handle"})


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the run of one notebook may take."""

    # one call of a student's function by a check
    call_s: float = 30
    # training cells of honest students take seconds; a hang should not hold up a class
    # for long
    cell_s: float = 60
    notebook_s: float = 300
    output_bytes: int = 1_000_000
    memory_bytes: int = MEMORY_BYTES
    file_bytes: int = 200_000_000
    processes: int = 64
    open_files: int = 256
    # how many cells may end the process before the rest is given up
    crashes: int = 4

    def for_process(self, enclosed: bool) -> dict[str, int]:
        """Return the resource limits of a student's process, by their names in
        ``resource``."""
        cpu_s = int(self.notebook_s) * 2 + 10
        limits = {
            "RLIMIT_AS": self.memory_bytes,
            "RLIMIT_CORE": 0,
            "RLIMIT_CPU": cpu_s,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_NOFILE": self.open_files,
        }
        # outside a sandbox it would count all that this user runs
        return limits | ({"RLIMIT_NPROC": self.processes} if enclosed else {})


class Gone(BaseException):
    """A student's process is no more; ``flag`` is one word for why, the text says it in
    full.

    No ``Exception``: a graded cell that catches all errors must not take it for one.
    """

    def __init__(self, flag: str, text: str):
        super().__init__(text)
        self.flag = flag


class CellTimeUp(BaseException):
    """A graded cell has had its time; the student's process lives on."""


class Server:
    """A warm fork server, replaced by a new one after anything unclean."""

    def __init__(self, enclosed: bool = True):
        self.enclosed = enclosed
        self._inside: sandbox.Enclosed | None = None
        self._control: socket.socket | None = None
        self._clean: dict | None = None

    def close(self) -> None:
        if self._inside:
            self._inside.kill()
            self._control.close()
        self._inside = self._control = None

    def start(self) -> None:
        """Start, if that is not done yet, and do not wait for the warm-up."""
        if self._inside:
            return
        self._clean = None
        self._control, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with other:
            self._inside = sandbox.start(
                SERVER, other, enclosed=self.enclosed, memory_bytes=MEMORY_BYTES
            )

    def _warm_up(self) -> None:
        self.start()
        try:
            # what is told first is how things are before any student
            self._clean = self._clean or self._hear(WARM_UP_S)
        except (OSError, EOFError) as error:
            said = self._inside.said()
            self.close()
            raise RuntimeError(
                f"the sandbox did not start ({type(error).__name__}): {said}"
            ) from None

    @contextmanager
    def student(
        self, limits: Limits, environment: dict[str, str], tick: Callable[[], None]
    ) -> Iterator["StudentProcess"]:
        """Yield a new student's process; leave nothing of it behind."""
        self._warm_up()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self.ask(
                    "fork",
                    theirs,
                    environment=environment,
                    limits=limits.for_process(self.enclosed),
                    output_bytes=limits.output_bytes,
                )
            yield StudentProcess(self, ours, limits, tick)
        finally:
            ours.close()
            self._end()

    def _end(self) -> None:
        try:
            clean = self.ask("end") == self._clean
        except (OSError, EOFError, ValueError):
            clean = False
        if not clean:
            self.close()

    def ask(self, operation: str, *handles: socket.socket, **arguments: Any) -> dict:
        """Return the fork server's answer; raise ``OSError`` or ``EOFError`` if there
        is none."""
        message = json.dumps({"op": operation, **arguments}).encode()
        self._control.settimeout(DUTY_S)
        socket.send_fds(self._control, [message], [h.fileno() for h in handles])
        return self._hear(DUTY_S)

    def _hear(self, seconds: float) -> dict:
        self._control.settimeout(seconds)
        text = self._control.recv(65536)
        if not text:
            raise EOFError
        return json.loads(text)

    def memory(self) -> int:
        return self._inside.memory()


class StudentProcess:
    """One student's process, as far as it can be trusted: it answers, or it is gone."""

    def __init__(
        self,
        server: Server,
        sock: socket.socket,
        limits: Limits,
        tick: Callable[[], None],
    ):
        self.server, self.sock, self.limits = server, sock, limits
        # what crosses in place of an object that is no data; the judge's to say
        self.refer: wire.Refer | None = None
        self._tick_outside = tick

    def run_cell(self, source: str, seconds: float) -> dict:
        """Return a cell's ``outputs``, ``execution_count`` and ``flag``, and the
        outputs of ``earlier`` cells that it changed, as the process tells them.

        Raises ``TimeoutError`` if the cell took longer but gave up when interrupted.
        """
        reply = self._ask({"op": "cell", "source": source}, seconds)
        earlier = reply.setdefault("earlier", {})
        if not isinstance(reply.get("outputs"), list) or not isinstance(earlier, dict):
            raise Gone("Protocol", "the process answered with no outputs")
        reply["earlier"] = {
            place: outputs
            for place, outputs in earlier.items()
            if type(place) is int and place >= 0 and isinstance(outputs, list)
        }
        return reply

    def defined(self, names: list[str], seconds: float) -> set[str]:
        """Return those of ``names`` that are defined."""
        reply = self._ask({"op": "names", "names": names}, seconds).get("names")
        return {n for n in names if isinstance(reply, list) and n in reply}

    def call(
        self,
        target: wire.Tagged,
        arguments: list,
        keywords: dict,
        seconds: float,
        handles: bool = False,
    ) -> Any:
        """Return what a call there gives: plain data, or with ``handles`` also
        handles.

        Raises ``StudentError`` if it raises or gives something else, ``TimeoutError``
        if it took longer but gave up when interrupted.
        """
        request = {
            "op": "call",
            "target": target,
            "arguments": arguments,
            "keywords": keywords,
            "handles": handles,
        }
        reply = self._ask(request, seconds)
        error = reply.get("error")
        if error is not None:
            raise StudentError(_text(error, "kind"), _text(error, "text"))
        if "value" not in reply:
            raise Gone("Protocol", "the process answered without a value")
        return reply["value"]

    # --- one request, one answer ---

    def _ask(self, request: dict, seconds: float) -> dict:
        number = os.urandom(8)
        late = False
        try:
            wire.send(
                self.sock,
                {"id": number, **request},
                deadline=_after(seconds),
                refer=self.refer,
            )
            try:
                reply = self._receive(seconds)
            except TimeoutError:
                late = True
                self.server.ask("interrupt")
                reply = self._receive(INTERRUPT_S)
        except TimeoutError:
            text = f"the code took more than {seconds:g} s and could not be interrupted"
            raise Gone("TimeLimit", text) from None
        except wire.BadFrame as error:
            raise Gone("Protocol", f"the process answered no data: {error}") from None
        except (OSError, EOFError):
            raise self._death() from None
        # a fresh number for each request: nothing can be answered in advance
        if not isinstance(reply, dict) or reply.pop("id", None) != number:
            raise Gone("Protocol", "the process answered what was not asked")
        if late:
            raise TimeoutError
        return reply

    def _receive(self, seconds: float) -> Any:
        return wire.receive(
            self.sock,
            max_bytes=MAX_REPLY_BYTES,
            kinds=KINDS,
            deadline=_after(seconds),
            tick=self._tick,
        )

    def _tick(self) -> None:
        """Look after the process while it works."""
        self._tick_outside()
        if self.server.memory() > self.limits.memory_bytes:
            size = f"{self.limits.memory_bytes / 1e9:g} GB"
            raise Gone("MemoryLimit", f"the code took more than {size} of memory")
        with contextlib.suppress(OSError, EOFError, ValueError):
            if self.server.ask("alive")["alive"]:
                return
        raise self._death()

    def _death(self) -> Gone:
        return Gone(
            "ProcessDied",
            "the code ended its own process (exit, a crash, or too much memory)",
        )


def _after(seconds: float) -> float:
    return time.monotonic() + seconds


def _text(error: Any, key: str) -> str:
    """Return a short text from what the process says of an error."""
    text = error.get(key, "") if isinstance(error, dict) else ""
    return in_a_line(text) if isinstance(text, str) else ""
